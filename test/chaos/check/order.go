package check

import (
	"cmp"
	"slices"
	"time"
)

// recordMargin is how far apart the times of two transactions may be that ran at
// the same moment: a time is that of a transaction's begin.
const recordMargin = 2 * time.Second

// taken is an effect with the delivery that it belongs to.
type taken struct {
	Effect
	*Delivery
	event *Event
}

// inOrder proves that the effects of each order, and of each other lane, took place in
// its order.
func (c *checker) inOrder() {
	orders, lanes := map[place][]taken{}, map[string][]taken{}
	for i := range c.Deliveries {
		d := &c.Deliveries[i]
		e := c.events[d.EventID]
		if e == nil {
			continue
		}
		effects := c.effects[c.target(d)]
		if n := len(effects); n > 1 && c.setAgain(d) {
			effects = effects[n-1:] // what counts is what was set last
		}
		for _, effect := range effects {
			switch {
			case e.OrderNo != "":
				at := place{d.Account, e.OrderNo}
				orders[at] = append(orders[at], taken{effect, d, e})
			case c.blocking(d) && len(c.ofTarget(c.target(d))) == 1: // else nobody knows whose effect it is
				lanes[d.Lane] = append(lanes[d.Lane], taken{effect, d, e})
			}
		}
	}
	each(c, orders, c.pair)
	each(c, lanes, c.pairInLane)
	c.beforeTheirOrder()
}

// each looks at the effects of every place, two by two in the order in which they took
// place.
func each[K comparable](c *checker, places map[K][]taken, pair func(first, second taken)) {
	for _, effects := range places {
		slices.SortFunc(effects, func(a, b taken) int { return cmp.Compare(a.Seq, b.Seq) })
		c.look(len(effects))
		for i, later := range effects {
			for _, earlier := range effects[:i] {
				pair(earlier, later)
			}
		}
	}
}

// beforeTheirOrder looks for what the vendor saw of an order that wasn't there.
func (c *checker) beforeTheirOrder() {
	for _, v := range c.Violations {
		if (v.Kind == "refund_before_create" || v.Kind == "unknown_order") && !c.sentByPerson(v) {
			c.find("the vendor saw %s: %s %s, call %d at %s", v.Kind, v.Op, v.Key, v.Call, clock(v.Time))
		}
	}
}

// pair looks at two effects of one order in the order in which they took place.
func (c *checker) pair(first, second taken) {
	a, b := first.Delivery, second.Delivery
	switch {
	case c.restoredCalls(a), c.restoredCalls(b):
		// The database had forgotten what was done: more than one effect is found elsewhere.
	case b.Type == "order.created":
		c.find("an effect before its order's create (%s): %s", a.Type, c.show(a))
	case a.Type == "order.refund_deleted" && b.Type == "order.refunded" && first.event.UUID == second.event.UUID:
		c.find("a refund was taken back before it was made: %s", c.show(a))
	case a.Type == "order.created", c.touched(a), c.touched(b), !b.EventTime.Before(a.EventTime):
	case a.Type == "order.updated" && b.Type == "order.updated":
		c.find("an older update after a newer one: %s, after %s", c.show(b), c.show(a))
	case a.Type == "order.refund_deleted", b.Type == "order.refund_deleted":
		// It waits for its refund, and what comes later may pass.
	case c.knownBefore(b, a):
		c.find("inverted: %s, after %s", c.show(b), c.show(a))
	case b.ReceivedAt.Add(recordMargin).Before(first.Time):
		c.report.Overtaken++
	}
}

// pairInLane looks at two effects of another lane: what makes a thing goes first, and
// then each goes by its time.
func (c *checker) pairInLane(first, second taken) {
	a, b := first.Delivery, second.Delivery
	switch {
	case c.restoredCalls(a), c.restoredCalls(b), c.touched(a), c.touched(b):
	case b.Type == "member.registered" || b.Type == "coupon.code_added":
		c.find("an effect before what it is about was made (%s): %s", a.Type, c.show(a))
	case a.Type == "member.registered", a.Type == "coupon.code_added", !b.EventTime.Before(a.EventTime):
	case c.knownBefore(b, a):
		c.find("inverted: %s, after %s", c.show(b), c.show(a))
	case b.ReceivedAt.Add(recordMargin).Before(first.Time):
		c.report.Overtaken++
	}
}

// knownBefore reports whether the outbox had b when a came, so that a could not
// overtake it unseen. A transaction that began first may be the last to write its
// deliveries: their ids tell.
func (c *checker) knownBefore(b, a *Delivery) bool {
	return b.ReceivedAt.Equal(a.ReceivedAt) || b.ID < a.ID && b.ReceivedAt.Add(recordMargin).Before(a.ReceivedAt)
}

// sentByPerson reports whether a person had a call sent that the vendor could
// only refuse.
func (c *checker) sentByPerson(v Violation) bool {
	return slices.ContainsFunc(c.ordersOf(v.Op, v.Key), func(d *Delivery) bool { return c.touched(d, "send-again", "replay") })
}

// ofTarget lists the deliveries of a target. Only what a vendor can't tell from
// another has several: equal adjustments of one customer's points.
func (c *checker) ofTarget(t target) []*Delivery { return c.targets[t] }

// ordersOf lists the deliveries of an order at the account that has an operation.
func (c *checker) ordersOf(op, order string) []*Delivery {
	for name, a := range c.Run.Accounts {
		for _, o := range operations[a.Kind] {
			if o.op == op {
				return c.orders[place{name, order}]
			}
		}
	}
	return nil
}
