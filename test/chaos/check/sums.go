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
		theirs := c.theirPoints(p)
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

// theirPoints is what the vendor has of a change of points. Of equal adjustments each
// has as much.
func (c *checker) theirPoints(p FinancePoint) (points int64) {
	t := target{"point.incr", "", p.UUID}
	if p.Direction < 0 {
		t.op = "point.decr"
	}
	if c.Run.Accounts[p.Account].Kind == "heyshop" {
		for _, d := range c.ofEvent[c.eventOf(Key{p.Tenant, "point", "", p.UUID})] {
			t = c.target(d)
		}
	}
	for i, e := range c.effects[t] {
		if i == 0 || len(c.ofTarget(t)) < 2 {
			points += e.Points * p.Direction
		}
	}
	return points
}

// eventOf is the id of an identity's event; 0: there is none.
func (c *checker) eventOf(k Key) int64 {
	if id := c.identities[k]; id != nil {
		return id.EventID
	}
	return 0
}

// money compares each order's amount and refunds. What isn't delivered but took
// effect, since a person has yet to look, stands apart.
func (c *checker) money() {
	apart := map[place]decimal.Decimal{} // refunds that finance doesn't count
	unclear := map[place]bool{}          // orders whose amount isn't settled
	for i := range c.Deliveries {
		d := &c.Deliveries[i]
		if d.State == "delivered" || c.events[d.EventID] == nil || c.takenBack(d) {
			continue
		}
		at := place{d.Account, c.events[d.EventID].OrderNo}
		for _, e := range c.effects[c.target(d)] {
			switch d.Type {
			case "order.refunded", "order.refund_deleted":
				apart[at] = apart[at].Add(e.Amount)
			case "order.created", "order.updated":
				unclear[at] = true
			}
		}
	}
	ours, keeps := map[place]FinanceOrder{}, map[string]string{}
	for _, o := range c.FinanceOrders {
		ours[place{o.Account, o.OrderNo}] = o
	}
	for name, a := range c.Run.Accounts {
		keeps[a.Store] = name
	}
	for _, theirs := range c.Orders {
		c.look(1)
		at := place{keeps[theirs.Store], theirs.OrderNo}
		our, found := ours[at]
		if !found {
			c.find("order %s is at the vendor, and finance doesn't see it", theirs.OrderNo)
			continue
		}
		if known := c.refunded(at, theirs).Sub(apart[at]); !known.Equal(our.RefundedTotal) {
			c.find("order %s: refunds of %s here, %s at the vendor, of which %s isn't delivered",
				theirs.OrderNo, our.RefundedTotal, c.refunded(at, theirs), apart[at])
		}
		if !unclear[at] && !theirs.AmountPaid.Equal(our.AmountPaid) {
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
func (c *checker) refunded(at place, o Order) decimal.Decimal {
	if c.Run.vendorDoes("refunds") != "overwrite" {
		return o.Refunded
	}
	sum := decimal.Zero
	for _, d := range c.orders[at] {
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
