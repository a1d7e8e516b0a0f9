package dispatch

import (
	"cmp"
	"slices"
	"time"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// Action is what is done about a delivery.
type Action string

// The actions.
const (
	Push Action = "push"
	Find Action = "find"
	// LookAtRefund reads our own tables for the refund that a refund_deleted
	// names; what follows is decided by AfterRefund.
	LookAtRefund Action = "look_at_refund"
)

// Step is what a lane does next: one action, or none, and then every delivery
// that it has is put down as it stands in Rest.
type Step struct {
	Act    *outbox.Work
	Action Action
	Rest   []outbox.Delivery
}

// Lane is what Plan decides on: a lane's facts with the deliveries in hand.
type Lane struct {
	outbox.LaneState
	Work []*outbox.Work // in lane order, see Sort
	// Refunds are the states of refunds that refund_deleted events name, by
	// uuid, as far as they have been looked at.
	Refunds map[string]outbox.State
	More    bool // deliveries of this lane may rest behind those in hand
}

// Operations returns the facts about an operation of the lane's account.
type Operations func(event.Type) (vendors.Operation, bool)

// Sort puts deliveries into lane order: the create first, then by event time,
// then by arrival; a refund_deleted that its clock puts before its refund goes
// behind it.
func Sort(work []*outbox.Work) {
	slices.SortStableFunc(work, func(a, b *outbox.Work) int {
		return cmp.Or(
			cmp.Compare(outbox.Rank(a.Type), outbox.Rank(b.Type)),
			a.EventTime.Compare(b.EventTime),
			cmp.Compare(a.ID, b.ID))
	})
	for i := 0; i < len(work); i++ {
		if work[i].Type != event.OrderRefundDeleted {
			continue
		}
		for j := len(work) - 1; j > i; j-- {
			if work[j].Type == event.OrderRefunded && work[j].Event.UUID == work[i].Event.UUID {
				refund := work[j]
				work = slices.Delete(work, j, j+1)
				work = slices.Insert(work, i, refund)
				break
			}
		}
	}
}

// Plan decides what a lane does next.
func Plan(l *Lane, ops Operations, policy Policy, now time.Time) Step {
	if l.Kind == outbox.MemberLane {
		return planMember(l, ops, now)
	}
	return planOrder(l, ops, policy, now)
}

// planMember goes through a member's points: in order, but what is unknown or
// held lets the others go on, since each has a key of its own; and a decrement
// that was refused only because points are missing lets increments pass.
func planMember(l *Lane, ops Operations, now time.Time) Step {
	var rest []outbox.Delivery
	short := false
	for i, w := range l.Work {
		op, ok := ops(w.Type)
		if !ok {
			rest = append(rest, heldAs(&w.Delivery, Unsupported))
			continue
		}
		action, next := move(&w.Delivery, op, now)
		if short && action == Push && w.Type == event.PointDecremented {
			rest = append(rest, behind(next, ""))
			continue
		}
		if action != "" && due(&next, now) {
			return Step{Act: w, Action: action}
		}
		rest = append(rest, next)
		switch {
		case next.State == outbox.Pending && next.Reason == Early:
			short = true
		case next.State == outbox.Pending:
			return Step{Rest: restBehind(rest, l.Work[i+1:], "")}
		case op.Blocks:
			return Step{Rest: restBehind(rest, l.Work[i+1:], blockedBy(next.State))}
		}
	}
	return Step{Rest: rest}
}

// planOrder goes through an order's events: each waits for those before it.
func planOrder(l *Lane, ops Operations, policy Policy, now time.Time) Step {
	if step, open := openQuestion(l, ops, now); open {
		return step
	}
	var rest []outbox.Delivery
	for i, w := range l.Work {
		if w.Type != event.OrderCreated && !asked(&w.Delivery) && l.Created != string(outbox.Delivered) {
			if waiting, stop := withoutCreate(l.Created, l.Work[i:], policy, now); stop {
				return Step{Rest: append(rest, waiting...)}
			}
		}
		op, ok := ops(w.Type)
		if !ok {
			return Step{Rest: restBehind(append(rest, heldAs(&w.Delivery, Unsupported)), l.Work[i+1:], PredecessorHeld)}
		}
		if d, skip, objected := objection(l, w, policy, now); objected {
			rest = append(rest, d)
			if skip {
				continue
			}
			return Step{Rest: restBehind(rest, l.Work[i+1:], blockedBy(d.State))}
		}
		action, next := move(&w.Delivery, op, now)
		if action == "" || !due(&next, now) {
			return Step{Rest: restBehind(append(rest, next), l.Work[i+1:], blockedBy(next.State))}
		}
		if _, looked := l.Refunds[w.Event.UUID]; w.Type == event.OrderRefundDeleted && !looked && !asked(&w.Delivery) {
			return Step{Act: w, Action: LookAtRefund}
		}
		return Step{Act: w, Action: action}
	}
	return Step{Rest: rest}
}

// openQuestion finds a delivery of the lane whose unclear call can be cleared up
// now. That goes before anything new, wherever in the lane it stands.
func openQuestion(l *Lane, ops Operations, now time.Time) (Step, bool) {
	for _, w := range l.Work {
		if w.State != outbox.Unknown && !w.Ambiguous {
			continue
		}
		op, ok := ops(w.Type)
		if !ok {
			continue
		}
		if action, next := move(&w.Delivery, op, now); action != "" && due(&next, now) {
			return Step{Act: w, Action: action}, true
		}
	}
	return Step{}, false
}

// asked reports whether the checks before a first sending don't apply: it was
// sent already, a person has it, or a person has decided that it is to be sent.
func asked(d *outbox.Delivery) bool {
	return d.Ambiguous || d.State == outbox.Unknown || d.State == outbox.Held || d.Reason == outbox.ReasonSentByPerson
}

// blockedBy is why what stands behind a delivery in this state waits; empty
// where it is simply behind a live head.
func blockedBy(s outbox.State) string {
	switch s {
	case outbox.Unknown:
		return PredecessorUnknown
	case outbox.Held:
		return PredecessorHeld
	}
	return ""
}

// restBehind adds the deliveries that stand behind one that lets nothing pass.
func restBehind(rest []outbox.Delivery, work []*outbox.Work, reason string) []outbox.Delivery {
	for _, w := range work {
		rest = append(rest, behind(w.Delivery, reason))
	}
	return rest
}

// behind returns a delivery that isn't the head as it rests: it has no time of
// its own. One with a question of its own keeps that.
func behind(d outbox.Delivery, reason string) outbox.Delivery {
	if asked(&d) && d.Reason != outbox.ReasonSentByPerson {
		return d
	}
	d.NextAttemptAt = time.Time{}
	switch {
	case reason != "":
		d.State, d.Reason = outbox.Waiting, reason
	case d.State == outbox.Waiting:
		d.State, d.Reason = outbox.Pending, ""
	}
	return d
}

// withoutCreate decides about the events of an order whose create hasn't been
// delivered and isn't in hand. stop is false where the first of them is sent all
// the same, since the account says so of orders that it never saw.
func withoutCreate(created string, work []*outbox.Work, policy Policy, now time.Time) (rest []outbox.Delivery, stop bool) {
	if created == "" && policy.SendUnseen && !now.Before(work[0].ReceivedAt.Add(policy.PredecessorWait)) {
		return nil, false
	}
	for _, w := range work {
		d := w.Delivery
		deadline := w.ReceivedAt.Add(policy.PredecessorWait)
		switch {
		case asked(&d):
		case created == string(outbox.Dead):
			d.State, d.Reason, d.NextAttemptAt = outbox.Waiting, PredecessorDead, time.Time{}
		case created == string(outbox.Cancelled):
			d.State, d.Reason, d.NextAttemptAt = outbox.Cancelled, PredecessorCancelled, time.Time{}
		case now.Before(deadline):
			d.State, d.Reason, d.NextAttemptAt = outbox.Waiting, PredecessorMissing, deadline
		case policy.SendUnseen:
			d = behind(d, "")
		default:
			d = heldAs(&d, UnseenOrder)
		}
		rest = append(rest, d)
	}
	return rest, true
}

// objection returns the delivery as it is when its turn has come and it isn't
// sent all the same. skip lets the others of its lane go on.
func objection(l *Lane, w *outbox.Work, policy Policy, now time.Time) (d outbox.Delivery, skip, objected bool) {
	d = w.Delivery
	if asked(&d) {
		return d, false, false
	}
	switch w.Type {
	case event.OrderUpdated:
		if w.EventTime.Before(l.UpdatedTo) {
			return heldAs(&d, Superseded), false, true
		}
	case event.OrderRefundDeleted:
		refund, looked := l.Refunds[w.Event.UUID]
		if !looked {
			return d, false, false
		}
		state, reason := AfterRefund(refund, l.OpenRefunds, l.Created)
		deadline := w.ReceivedAt.Add(policy.PredecessorWait)
		switch {
		case state == "":
			return d, false, false
		case reason == PredecessorMissing && !now.Before(deadline):
			return heldAs(&d, UnseenRefund), false, true
		case reason == PredecessorMissing:
			d.State, d.Reason, d.NextAttemptAt = state, reason, deadline
		default:
			d.State, d.Reason, d.NextAttemptAt = state, reason, time.Time{}
		}
		return d, state == outbox.Waiting, true
	}
	return d, false, false
}

// AfterRefund decides about a refund_deleted by what became of its refund: the
// state and the reason that it gets, or none where it may be sent. The vendor's
// call names only the order, so that is where its refund is the order's only
// outstanding one.
func AfterRefund(refund outbox.State, open int, created string) (outbox.State, string) {
	switch {
	case refund == outbox.Dead:
		return outbox.Waiting, PredecessorDead
	case refund == outbox.Held:
		return outbox.Waiting, PredecessorHeld
	case refund == outbox.Unknown || refund == outbox.Inflight:
		return outbox.Waiting, PredecessorUnknown
	case refund == outbox.Cancelled:
		return outbox.Held, PredecessorCancelled
	case refund != outbox.Delivered:
		return outbox.Waiting, PredecessorMissing
	case open != 1 || created != string(outbox.Delivered):
		return outbox.Held, SeveralRefunds
	}
	return "", ""
}

// move says what can be done about a delivery, and how it stands before that:
// an unclear call is repeated where that is safe, else read, else a person
// decides. No action means that it is held.
func move(d *outbox.Delivery, op vendors.Operation, now time.Time) (Action, outbox.Delivery) {
	next := *d
	if d.State == outbox.Waiting {
		// What it waited for is there, or it wouldn't have come this far.
		next.State, next.Reason, next.NextAttemptAt = outbox.Pending, "", time.Time{}
	}
	switch {
	case d.State == outbox.Held:
		return "", next
	case d.State == outbox.Unknown && !repeatable(d.Reason):
		return Find, next
	case d.State != outbox.Unknown && !d.Ambiguous:
		return Push, next
	case mayRepeat(op, d, now):
		return Push, next
	case op.Findable:
		return Find, next
	}
	return "", heldAs(d, Unclear)
}

// repeatable reports whether an unknown for this reason only lacks an answer.
// The others have one, and need a read to tell what it means.
func repeatable(reason string) bool {
	switch reason {
	case NoAnswer, outbox.ReasonWorkerLost, outbox.ReasonLostCommit:
		return true
	}
	return false
}

func heldAs(d *outbox.Delivery, reason string) outbox.Delivery {
	next := *d
	next.State, next.Reason, next.NextAttemptAt = outbox.Held, reason, time.Time{}
	return next
}

func due(d *outbox.Delivery, now time.Time) bool { return !d.NextAttemptAt.After(now) }
