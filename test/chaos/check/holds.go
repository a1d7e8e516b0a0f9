package check

import (
	"slices"
	"strings"
	"time"
)

// holds proves that a person is asked only where nothing else can help, and that
// nothing is given up that the vendor would have taken.
func (c *checker) holds() {
	lost := 0 // holds that a lost worker or a broken link explains, not the ledger
	for i := range c.Deliveries {
		d := &c.Deliveries[i]
		switch d.State {
		case "held":
			c.look(1)
			why, byLoss := c.mayBeHeld(d)
			if !why {
				c.find("held, and nothing explains it: %s", c.show(d))
			}
			if byLoss {
				lost++
			}
		case "dead":
			c.look(1)
			if !c.mayBeDead(d) {
				c.find("dead, and the vendor would have taken it: %s", c.show(d))
			}
		}
	}
	if budget := c.lossBudget(); lost > budget {
		c.find("%d holds by lost calls, where faults explain %d at most", lost, budget)
	}
}

// lossBudget is how many calls the harness can have cut off.
func (c *checker) lossBudget() int {
	n := 0
	for _, f := range c.Faults {
		if slices.Contains(cutting, f.Kind) {
			n++
		}
	}
	return n * c.Run.Slots
}

// cutting are the faults that cut off calls, or what is known of them.
var cutting = []string{"worker_kill", "worker_stop", "worker_term", "link_toxic", "link_cut", "postgres_kill", "postgres_restore", "disk_full", "failpoint", "worker_exit", "machine_stall"}

func refundLike(d *Delivery) bool {
	return d.Type == "order.refunded" || d.Type == "order.refund_deleted"
}

// mayBeHeld says whether something explains a hold. byLoss: what explains it is
// not in the ledger.
func (c *checker) mayBeHeld(d *Delivery) (explained, byLoss bool) {
	switch d.Reason {
	case "unclear", "refused_after_unclear", "mismatch", "lost_commit":
		if c.forgotten(d) {
			return true, false
		}
	}
	switch d.Reason {
	case "unclear", "refused_after_unclear":
		if !refundLike(d) && (d.Type == "order.updated" || c.overtakenByDelete(d) || !c.unreadable(d)) {
			return c.overtakenByDelete(d), false
		}
		if c.faulty(d) {
			return true, false
		}
		return c.cutOff(d), true
	case "superseded":
		order := c.events[d.EventID] != nil && c.events[d.EventID].OrderNo != ""
		return (d.Type == "order.updated" || !order) && slices.ContainsFunc(c.lanes[d.Lane], func(o *Delivery) bool {
			return (o.Type == d.Type || !order) && o.State == "delivered" && d.EventTime.Before(o.EventTime)
		}), false
	case "several_refunds":
		return d.Type == "order.refund_deleted" && c.severalRefunds(d), false
	case "member_not_found":
		return !c.memberKnown(d), false
	case "predecessor_cancelled":
		return slices.ContainsFunc(c.lanes[d.Lane], func(o *Delivery) bool { return o.State == "cancelled" }), false
	case "mismatch":
		return c.overtakenByDelete(d) || c.nameless(d) || (c.tillsOwn(d) || c.counted(d)) && (c.faulty(d) || c.cutOff(d)) ||
			c.removedTooEarly(d), false
	}
	return false, false
}

// nameless reports whether only the point details could tell of a delivery, and this
// vendor's don't show whose their rows are.
func (c *checker) nameless(d *Delivery) bool {
	e := c.events[d.EventID]
	return e != nil && c.operation(d).by == byUUID && c.Run.vendorDoes("uuid_trace") == "none" && (e.DecrToZero || c.faulty(d) || c.cutOff(d))
}

// tillsOwn reports whether a code is of a till's own and for nobody: where it is there,
// no read tells whether it was ours.
func (c *checker) tillsOwn(d *Delivery) bool {
	own := c.says[d.EventID].data
	return d.Type == "coupon.code_added" && own.Code != "" && own.CustomerUID == ""
}

// removedTooEarly reports whether the removal of an identity came to the outbox before
// what it undoes: the vendor had nothing to remove, and has it now.
func (c *checker) removedTooEarly(d *Delivery) bool {
	return d.Type == "member.identity_removed" && slices.ContainsFunc(c.lanes[d.Lane], func(o *Delivery) bool {
		return o.Type == "member.identity_bound" && o.EventTime.Before(d.EventTime) && !c.knownBefore(o, d)
	})
}

// counted reports whether a delivery is only told from others by what there was before
// it, and reads lag: what another worker did just before may then show up late.
func (c *checker) counted(d *Delivery) bool {
	return c.operation(d).counted && c.lag() > 0
}

// lag is how late this vendor's reads show what was done.
func (c *checker) lag() time.Duration {
	late, err := time.ParseDuration(c.Run.vendorDoes("reads_lag"))
	if err != nil {
		return 0 // it has no such switch
	}
	return late
}

// unreadable reports whether no read that the account was told of shows the effect
// of a delivery.
func (c *checker) unreadable(d *Delivery) bool {
	return c.events[d.EventID] != nil && c.events[d.EventID].OrderNo != "" && c.kind(d) == "dmhub-loyalty" && c.Run.Semantics["order_reads"] == ""
}

// forgotten reports whether the database went back in time after an event was
// published: what was done about it since the copy is not known to anybody.
func (c *checker) forgotten(d *Delivery) bool {
	e := c.events[d.EventID]
	if e == nil || len(c.restores) == 0 || !d.EverAmbiguous {
		return false
	}
	for _, i := range c.Identities {
		if i.EventID != d.EventID {
			continue
		}
		return slices.ContainsFunc(c.facts[i.Key], func(m published) bool {
			return slices.ContainsFunc(c.restores, func(f Fault) bool { return m.FirstSent.Before(f.Until.Add(c.Run.Lease)) })
		})
	}
	return false
}

// faulty reports whether the vendor left a call of the delivery unanswered, answered it
// with nonsense, or got it late.
func (c *checker) faulty(d *Delivery) bool {
	return slices.ContainsFunc(c.calls[c.target(d)], func(call Call) bool {
		return call.Fault != "" && !strings.HasPrefix(call.Fault, "throttle") && call.Fault != "token_expired" || !call.Done || c.cameLate(d, call)
	})
}

// cameLate reports whether the vendor got a call when half of its attempt's time was
// over, or all: a machine that is busy needs no fault for that.
func (c *checker) cameLate(d *Delivery, call Call) bool {
	return slices.ContainsFunc(c.attempts[d.ID], func(a Attempt) bool {
		took := call.Time.Sub(a.StartedAt)
		return a.Class == "ambiguous" && took > c.Run.Timeout/2 && took < c.Run.Timeout+slack
	})
}

// cutOff reports whether an intent of the delivery was left without an answer by
// a fault of the harness: a worker that died or stood still, a link that broke.
func (c *checker) cutOff(d *Delivery) bool {
	answered := map[int]bool{}
	for _, a := range c.attempts[d.ID] {
		if a.Late {
			continue // its worker had lost its lease: the intent was left to others
		}
		answered[a.Number] = true
		if a.Class == "ambiguous" && len(c.during(a.StartedAt.Add(-slack), a.StartedAt.Add(c.Run.Timeout+slack), cutting...)) > 0 {
			return true
		}
	}
	if len(answered) >= d.Calls || d.FirstSentAt == nil {
		return c.restoredCalls(d)
	}
	return len(c.during(d.FirstSentAt.Add(-slack), d.FirstSentAt.Add(c.Run.Lease+slack), cutting...)) > 0 || c.restoredCalls(d)
}

const slack = time.Second

// severalRefunds reports whether the vendor's call to take back a refund could
// have met another: the order has several, or its only one isn't settled.
func (c *checker) severalRefunds(d *Delivery) bool {
	n := 0
	for _, o := range c.lanes[d.Lane] {
		if o.Type == "order.refunded" {
			n++
			if o.State != "delivered" || c.touched(o) {
				return true
			}
		}
	}
	return n > 1
}

// memberKnown reports whether the vendor had the member of an order's create, or of
// points, when the delivery was held.
func (c *checker) memberKnown(d *Delivery) bool {
	for _, o := range c.lanes[d.Lane] {
		e := c.events[o.EventID]
		if e == nil || e.Member == "" {
			continue
		}
		mobile, isMobile := strings.CutPrefix(e.Member, "mobile:")
		if slices.Contains(c.Run.Coming, mobile) {
			return slices.ContainsFunc(c.effects[target{"member.create", "mobile:" + mobile, ""}], func(e Effect) bool {
				// Else the event had come before its member's own, or reads didn't show the
				// member yet.
				return e.Time.Add(c.lag()).Before(c.lastRead(d))
			})
		}
		return !isMobile || slices.Contains(c.Run.Mobiles, mobile)
	}
	return false
}

// lastRead is when the read began that a delivery was held for.
func (c *checker) lastRead(d *Delivery) time.Time {
	at := d.StateSince
	for _, a := range c.attempts[d.ID] {
		if !a.Late && a.StartedAt.Before(d.StateSince) {
			at = a.StartedAt
		}
	}
	return at
}

// overtakenByDelete reports whether the order was deleted at the vendor before
// this delivery came to be called.
func (c *checker) overtakenByDelete(d *Delivery) bool {
	deleted := c.effects[c.of(d, "order.deleted")]
	calls := c.calls[c.target(d)]
	return len(deleted) > 0 && (len(calls) == 0 || calls[0].Time.After(deleted[0].Time)) && c.cameAfterDelete(d)
}

// cameAfterDelete reports whether the outbox got an event only once it had the
// delete of its order: by the contract the delete is the later of the two.
func (c *checker) cameAfterDelete(d *Delivery) bool {
	return slices.ContainsFunc(c.lanes[d.Lane], func(o *Delivery) bool {
		return o.Type == "order.deleted" && d != o && !c.knownBefore(d, o)
	})
}

// mayBeDead reports whether the vendor has refused a delivery for good, or a
// person has said that it isn't to be sent.
func (c *checker) mayBeDead(d *Delivery) bool {
	if d.Reason == "not_applied_by_person" {
		return c.touched(d, "not-applied")
	}
	if d.Reason != "refused" {
		return false
	}
	refused := slices.ContainsFunc(c.calls[c.target(d)], func(call Call) bool { return call.Code != "" && !call.Applied })
	switch {
	case !refused:
		return false
	case d.Type == "level.updated":
		return slices.ContainsFunc(c.lanes[d.Lane], func(o *Delivery) bool {
			return o.Type == "level.deleted" && !c.knownBefore(d, o) && len(c.effects[c.target(o)]) > 0
		})
	case d.Type == "coupon.code_used":
		return c.codeCameLate(d)
	case c.kind(d) == "heyshop" && d.Type == "point.decremented":
		return c.Run.vendorDoes("heyshop.negative_points") == "refused"
	case d.Type == "point.decremented":
		return !c.hasPoints(d)
	case d.Type == "order.refunded" && c.Run.vendorDoes("refunds") == "refuse" && c.hadRefund(d):
		return true
	}
	return c.overtakenByDelete(d)
}

// codeCameLate reports whether a code wasn't there yet at the last call that uses it.
func (c *checker) codeCameLate(d *Delivery) bool {
	t := c.target(d)
	calls := c.calls[t]
	added := c.effects[target{"pospal.code_add", t.order, ""}]
	return len(added) == 0 || calls[len(calls)-1].Time.Before(added[0].Time)
}

// hadRefund reports whether the order had another refund when a call for this one
// was refused.
func (c *checker) hadRefund(d *Delivery) bool {
	t := c.target(d)
	return slices.ContainsFunc(c.calls[t], func(call Call) bool {
		open := 0
		for _, o := range c.orders[place{d.Account, t.order}] {
			for _, e := range c.effects[c.target(o)] {
				switch {
				case e.Call > call.Seq:
				case o.Type == "order.refunded":
					open++
				case o.Type == "order.refund_deleted":
					open--
				}
			}
		}
		return call.Code != "" && !call.Applied && open > 0
	})
}

// hasPoints reports whether a member has what a decrement asks for, in the end:
// trade takes no more than was there at the start, whatever comes first.
func (c *checker) hasPoints(d *Delivery) bool {
	e := c.events[d.EventID]
	for _, m := range c.Members {
		if slices.ContainsFunc(c.calls[c.target(d)], func(call Call) bool { return call.Member == m.ID }) {
			return !e.DecrToZero && m.Points >= e.Points || e.DecrToZero && m.Points > 0
		}
	}
	return false
}
