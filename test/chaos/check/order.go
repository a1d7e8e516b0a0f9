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

// inOrder proves that the effects of each order took place in its order.
func (c *checker) inOrder() {
	orders := map[string][]taken{}
	for i := range c.Deliveries {
		d := &c.Deliveries[i]
		e := c.events[d.EventID]
		if e == nil || e.OrderNo == "" {
			continue
		}
		effects := c.effects[c.target(d)]
		if n := len(effects); n > 1 && c.setAgain(d) {
			effects = effects[n-1:] // what counts is what was set last
		}
		for _, effect := range effects {
			orders[e.OrderNo] = append(orders[e.OrderNo], taken{effect, d, e})
		}
	}
	for _, effects := range orders {
		slices.SortFunc(effects, func(a, b taken) int { return cmp.Compare(a.Seq, b.Seq) })
		c.look(len(effects))
		for i, later := range effects {
			for _, earlier := range effects[:i] {
				c.pair(earlier, later)
			}
		}
	}
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

// knownBefore reports whether the outbox had b when a came, so that a could not
// overtake it unseen.
func (c *checker) knownBefore(b, a *Delivery) bool {
	return b.ReceivedAt.Equal(a.ReceivedAt) || b.ReceivedAt.Add(recordMargin).Before(a.ReceivedAt)
}

// sentByPerson reports whether a person had a call sent that the vendor could
// only refuse.
func (c *checker) sentByPerson(v Violation) bool {
	return slices.ContainsFunc(c.orders[v.Key], func(d *Delivery) bool { return c.touched(d, "send-again", "replay") })
}

// ofTarget lists the deliveries of a target.
func (c *checker) ofTarget(t target) []*Delivery {
	if c.targets == nil {
		c.targets = map[target][]*Delivery{}
		for i := range c.Deliveries {
			d := &c.Deliveries[i]
			c.targets[c.target(d)] = append(c.targets[c.target(d)], d)
		}
	}
	return c.targets[t]
}
