package check

import (
	"slices"

	"github.com/shopspring/decimal"
)

// sums proves that what finance reads agrees with the vendor to the cent.
func (c *checker) sums() {
	c.points()
	c.money()
	c.daily()
}

// points compares each change of points, and each member's balance.
func (c *checker) points() {
	for _, p := range c.FinancePoints {
		op := "point.incr"
		if p.Direction < 0 {
			op = "point.decr"
		}
		var theirs int64
		for _, e := range c.effects[target{op, "", p.UUID}] {
			theirs += e.Points * p.Direction
		}
		c.look(1)
		switch {
		case p.DeliveryState != "delivered" && p.PointsApplied != nil:
			c.find("points %s/%s are %s, and %d are counted", p.Tenant, p.UUID, p.DeliveryState, *p.PointsApplied)
		case p.DeliveryState == "delivered" && p.PointsApplied == nil:
			c.find("points %s/%s are delivered, and nobody knows how many; the vendor has %d", p.Tenant, p.UUID, theirs)
		case p.DeliveryState == "delivered" && *p.PointsApplied != theirs:
			c.find("points %s/%s: %d here, %d at the vendor", p.Tenant, p.UUID, *p.PointsApplied, theirs)
		}
	}
	var balances, changes int64
	for _, m := range c.Members {
		balances += m.Points
	}
	for _, e := range c.Effects {
		changes += e.Points
	}
	if balances != c.Run.Points+changes {
		c.find("the members have %d points, their effects make %d", balances, c.Run.Points+changes)
	}
}

// money compares each order's amount and refunds. What isn't delivered but took
// effect, since a person has yet to look, stands apart.
func (c *checker) money() {
	apart := map[string]decimal.Decimal{} // by order: refunds that finance doesn't count
	unclear := map[string]bool{}          // orders whose amount isn't settled
	for i := range c.Deliveries {
		d := &c.Deliveries[i]
		if d.State == "delivered" || c.events[d.EventID] == nil || c.takenBack(d) {
			continue
		}
		t := c.target(d)
		for _, e := range c.effects[t] {
			switch d.Type {
			case "order.refunded", "order.refund_deleted":
				apart[t.order] = apart[t.order].Add(e.Amount)
			case "order.created", "order.updated":
				unclear[t.order] = true
			}
		}
	}
	ours := map[string]FinanceOrder{}
	for _, o := range c.FinanceOrders {
		ours[o.OrderNo] = o
	}
	for _, theirs := range c.Orders {
		c.look(1)
		our, found := ours[theirs.OrderNo]
		if !found {
			c.find("order %s is at the vendor, and finance doesn't see it", theirs.OrderNo)
			continue
		}
		if known := c.refunded(theirs).Sub(apart[theirs.OrderNo]); !known.Equal(our.RefundedTotal) {
			c.find("order %s: refunds of %s here, %s at the vendor, of which %s isn't delivered",
				theirs.OrderNo, our.RefundedTotal, c.refunded(theirs), apart[theirs.OrderNo])
		}
		if !unclear[theirs.OrderNo] && !theirs.AmountPaid.Equal(our.AmountPaid) {
			c.find("order %s: %s paid here, %s at the vendor", theirs.OrderNo, our.AmountPaid, theirs.AmountPaid)
		}
	}
}

// takenBack reports whether a refund is known to be taken back. Finance counts
// neither then, whether or not anybody knows that there was one.
func (c *checker) takenBack(refund *Delivery) bool {
	return refund.Type == "order.refunded" && slices.ContainsFunc(c.lanes[refund.Lane], func(d *Delivery) bool {
		return d.Type == "order.refund_deleted" && d.State == "delivered" &&
			c.events[d.EventID] != nil && c.events[d.EventID].UUID == c.events[refund.EventID].UUID
	})
}

// refunded is what the vendor has taken of an order's refunds. One that lets a
// refund replace the former shows the last one only, whoever sends them.
func (c *checker) refunded(o Order) decimal.Decimal {
	if c.Run.vendorDoes("refunds") != "overwrite" {
		return o.Refunded
	}
	sum := decimal.Zero
	for _, d := range c.orders[o.OrderNo] {
		if refundLike(d) {
			for _, e := range c.effects[c.target(d)] {
				sum = sum.Add(e.Amount)
			}
		}
	}
	return sum
}

// daily compares the sum of all days with the other views.
func (c *checker) daily() {
	var in, out, pointsIn, pointsOut int64
	days, orders := decimal.Zero, decimal.Zero
	for _, d := range c.FinanceDaily {
		in, out, days = in+d.PointsIn, out+d.PointsOut, days.Add(d.RefundTotal)
	}
	for _, p := range c.FinancePoints {
		if p.PointsApplied == nil {
			continue
		}
		if p.Direction > 0 {
			pointsIn += *p.PointsApplied
		} else {
			pointsOut += *p.PointsApplied
		}
	}
	for _, o := range c.FinanceOrders {
		orders = orders.Add(o.RefundedTotal)
	}
	c.look(3)
	if in != pointsIn || out != pointsOut || !days.Equal(orders) {
		c.find("finance.daily has %d points in, %d out and refunds of %s; the other views %d, %d and %s",
			in, out, days, pointsIn, pointsOut, orders)
	}
}
