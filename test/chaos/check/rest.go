package check

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// notStuck proves that whatever isn't final says why, and what it waits for.
func (c *checker) notStuck() {
	for i := range c.Deliveries {
		d := &c.Deliveries[i]
		c.look(1)
		switch d.State {
		case "delivered", "dead", "cancelled":
		case "waiting":
			if !c.waitsForSomething(d) {
				c.find("waits for nothing: %s", c.show(d))
			}
		case "held":
			if d.Reason == "" {
				c.find("held without a reason: %s", c.show(d))
			}
		case "pending":
			// What a person has sent keeps its place behind what they haven't answered.
			if d.Reason != "sent_by_person" || !c.laneHas(d, "held", "waiting") {
				c.find("still to be called, and nobody calls: %s", c.show(d))
			}
		case "unknown":
			// What a database has lost is cleared up in order: behind what a person has.
			if d.Reason != "lost_commit" || !c.laneHas(d, "held", "waiting") {
				c.find("never settled: %s", c.show(d))
			}
		default:
			c.find("never settled: %s", c.show(d))
		}
	}
}

func (c *checker) laneHas(d *Delivery, states ...string) bool {
	return slices.ContainsFunc(c.lanes[d.Lane], func(o *Delivery) bool { return o != d && slices.Contains(states, o.State) })
}

// waitsForSomething checks the reason of a delivery that waits.
func (c *checker) waitsForSomething(d *Delivery) bool {
	var create, refund *Delivery
	for _, o := range c.lanes[d.Lane] {
		switch {
		case o.Type == "order.created":
			create = o
		case o.Type == "order.refunded" && c.events[o.EventID].UUID == c.events[d.EventID].UUID:
			refund = o
		}
	}
	takesBack := d.Type == "order.refund_deleted"
	switch d.Reason {
	case "predecessor_missing":
		return create == nil || takesBack && (refund == nil || refund.State == "waiting")
	case "predecessor_dead":
		return create != nil && create.State == "dead" || takesBack && refund != nil && refund.State == "dead"
	case "predecessor_held":
		return c.laneHas(d, "held")
	}
	return false // nothing is unknown once all has drained
}

// apart proves that no delivery is kept back by another's lane, and that the
// vendor saw nothing that a careful client never does.
func (c *checker) apart() {
	for lane, deliveries := range c.lanes {
		c.look(1)
		orders := map[string]bool{}
		for _, d := range deliveries {
			if e := c.events[d.EventID]; e != nil {
				orders[e.Tenant+" "+e.OrderNo] = true
			}
		}
		if len(orders) > 1 {
			c.find("lane %s has %d orders", lane, len(orders))
		}
	}
	for _, v := range c.Violations {
		if why := c.careless(v); why != "" {
			c.find("the vendor saw %s: %s %s, call %d at %s: %s", v.Kind, v.Op, v.Key, v.Call, clock(v.Time), why)
		}
	}
}

// careless says what is wrong with a violation; empty: nothing that the faults
// don't explain.
func (c *checker) careless(v Violation) string {
	switch v.Kind {
	case "followed_redirect", "unknown_path", "member_mismatch":
		return "a careful client never does"
	case "after_delete":
		// A delete may be repeated, and an event that comes after it is refused.
		return c.afterDelete(v)
	case "over_refund":
		if c.contradicted(v.Key) {
			return ""
		}
		return "more was refunded than paid, and no events of the order contradict each other"
	}
	return ""
}

func (c *checker) contradicted(order string) bool {
	return slices.ContainsFunc(c.Conflicts, func(row Conflict) bool { return row.OrderNo == order })
}

// afterDelete explains a write to a deleted order: the delete itself again, an
// event that came to the outbox after the delete, or one that is cleared up in
// order with a delete that the database has lost.
func (c *checker) afterDelete(v Violation) string {
	if is(v.Op, "order.deleted") {
		return ""
	}
	var deleted []Effect
	for _, d := range c.ordersOf(v.Op, v.Key) {
		if d.Type == "order.deleted" {
			deleted = c.effects[c.target(d)]
		}
	}
	for _, d := range c.ordersOf(v.Op, v.Key) {
		if c.operation(d).op == v.Op && len(deleted) > 0 && (c.touched(d) || c.cameAfterDelete(d) || c.forgotten(d)) {
			return ""
		}
	}
	return fmt.Sprintf("the order was deleted before, by %d effects", len(deleted))
}

// misfit is what Postgres says of a statement that doesn't fit the schema: what it
// names isn't there (42), or what it writes isn't allowed (23).
var misfit = regexp.MustCompile(`SQLSTATE (42|23)...`)

// drained proves that all ended well, and in time.
func (c *checker) drained() {
	c.look(1 + len(c.Run.Ends))
	if c.Run.Drained.IsZero() {
		c.find("not drained %s after the last fault: %s", "within its time", c.Run.Left)
	}
	for name, end := range c.Run.Ends {
		if end != "drained" {
			c.find("%s ended with: %s", name, end)
		}
	}
	for name, log := range c.Logs {
		for _, cry := range []string{"panic:", "DATA RACE", "fatal error:"} {
			if i := strings.Index(log, cry); i >= 0 {
				c.find("%s has %q: %.300s", name, cry, log[i:])
			}
		}
		if at := misfit.FindStringIndex(log); at != nil {
			c.find("%s doesn't fit the schema: %.300s", name, lineAt(log, at[0]))
		}
	}
}
