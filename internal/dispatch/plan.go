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
	// MorePass: some of these don't wait for what blocks in it.
	MorePass bool
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
	p := &plan{Lane: l, ops: ops, policy: policy, now: now}
	if step, open := p.openQuestion(); open {
		return step
	}
	if l.Kind == outbox.OrderLane {
		return p.order()
	}
	return p.series()
}

// plan is what one run of Plan looks at.
type plan struct {
	*Lane
	ops    Operations
	policy Policy
	now    time.Time
}

// openQuestion finds a delivery of the lane whose unclear call can be cleared up
// now. That goes before anything new, wherever in the lane it stands. Several of an
// order are unclear where a database has lost what became of them: then a later one
// isn't sent, nor a delete believed, before the earlier ones are clear, nor before
// a create that is only now to be sent.
func (p *plan) openQuestion() (Step, bool) {
	earlier := false
	for _, w := range p.Work {
		if w.State != outbox.Unknown && !w.Ambiguous {
			earlier = earlier || w.Type == event.OrderCreated
			continue
		}
		action, next := p.move(w)
		waits := changes(w, action) && (earlier || p.lacksCreate(w))
		if action != "" && p.due(&next) && !waits {
			return Step{Act: w, Action: action}, true
		}
		op, _ := p.ops(w.Type)
		earlier = earlier || p.Kind == outbox.OrderLane || op.Blocks
	}
	return Step{}, false
}

// changes reports whether an action about an unclear call may change something, or
// believes that something has changed.
func changes(w *outbox.Work, action Action) bool {
	return action == Push || action == Find && readAsState(w.Type)
}

// lacksCreate reports whether an order's event has an unclear call although its
// create isn't delivered, nor in hand: a database has lost that it came at all.
func (p *plan) lacksCreate(w *outbox.Work) bool {
	return p.Kind == outbox.OrderLane && p.Created != string(outbox.Delivered) && !p.policy.SendUnseen &&
		w.Reason != outbox.ReasonSentByPerson && (w.State == outbox.Unknown || w.Ambiguous) &&
		!slices.ContainsFunc(p.Work, func(x *outbox.Work) bool { return x.Type == event.OrderCreated })
}

// mayHave reports whether an event of that type may have taken effect in the lane
// without our knowing: an order that isn't there may have been created and deleted,
// one with another amount may have been updated.
func (l *Lane) mayHave(t event.Type) bool {
	return slices.ContainsFunc(l.Work, func(w *outbox.Work) bool {
		return w.Type == t && (w.Ambiguous || w.State == outbox.Unknown)
	})
}

// series goes through what isn't an order's: one after the other. What is unknown or
// held lets the others go on unless the operation blocks. DM Hub's points have a key
// of their own each: they don't block, and pass what does unless the member isn't
// there yet. A decrement that was refused only because points are missing lets
// increments pass.
func (p *plan) series() Step {
	var rest []outbox.Delivery
	short, stopped, reason := false, false, ""
	for i, w := range p.Work {
		op, _ := p.ops(w.Type)
		if stopped && op.Blocks {
			rest = append(rest, p.behind(w, reason))
			continue
		}
		action, next := p.move(w)
		if short && action == Push && w.Type == event.PointDecremented {
			rest = append(rest, p.behind(w, ""))
			continue
		}
		if action != "" && p.due(&next) {
			return Step{Act: w, Action: action}
		}
		rest = append(rest, next)
		switch {
		case next.State == outbox.Pending && next.Reason == Early && !op.Blocks:
			short = true
		case next.State == outbox.Pending:
			return Step{Rest: p.restBehind(rest, i+1, "")}
		case op.Blocks && w.Type.Creates():
			return Step{Rest: p.restBehind(rest, i+1, blockedBy(next.State))}
		case op.Blocks:
			stopped, reason = true, blockedBy(next.State)
		}
	}
	return Step{Rest: rest}
}

// order goes through an order's events: each waits for those before it.
func (p *plan) order() Step {
	var rest []outbox.Delivery
	// Without the create each waits or is held by itself. Only what a person has
	// decided to send passes those that wait.
	waits, stopped := false, false
	for i, w := range p.Work {
		switch {
		case w.Type == event.OrderCreated || p.Created == string(outbox.Delivered):
		case !asked(&w.Delivery):
			if d, goes := p.withoutCreate(w, waits); !goes {
				rest = append(rest, d)
				waits, stopped = true, stopped || d.State == outbox.Held
				continue
			}
		case w.State == outbox.Held, waits && (stopped || w.Reason != outbox.ReasonSentByPerson || w.Ambiguous):
			rest = append(rest, p.behind(w, ""))
			waits, stopped = true, true
			continue
		}
		if d, skip, objected := p.objection(w); objected {
			rest = append(rest, d)
			if skip {
				continue
			}
			return Step{Rest: p.restBehind(rest, i+1, blockedBy(d.State))}
		}
		action, next := p.move(w)
		if action != "" && changes(w, action) && p.lacksCreate(w) {
			next, action = p.untilCreated(w), ""
		}
		if action == "" || !p.due(&next) {
			return Step{Rest: p.restBehind(append(rest, next), i+1, blockedBy(next.State))}
		}
		if _, looked := p.Refunds[w.Event.UUID]; w.Type == event.OrderRefundDeleted && !looked && !asked(&w.Delivery) {
			return Step{Act: w, Action: LookAtRefund}
		}
		return Step{Act: w, Action: action}
	}
	return Step{Rest: rest}
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

// restBehind adds the deliveries from the i-th on, which stand behind one that
// lets nothing pass.
func (p *plan) restBehind(rest []outbox.Delivery, i int, reason string) []outbox.Delivery {
	for _, w := range p.Work[i:] {
		rest = append(rest, p.behind(w, reason))
	}
	return rest
}

// behind returns a delivery that isn't the head as it rests: it has no time of
// its own. One with a question of its own keeps that, or is held where nothing
// can answer it; a person's decision to send it still stands when its turn comes.
func (p *plan) behind(w *outbox.Work, reason string) outbox.Delivery {
	d := w.Delivery
	switch {
	case d.Reason == outbox.ReasonSentByPerson && !d.Ambiguous:
		d.NextAttemptAt = time.Time{}
		return d
	case asked(&d):
		switch _, d = p.move(w); {
		case d.State != outbox.Held && p.lacksCreate(w):
			return p.untilCreated(w)
		case d.State != outbox.Held && p.due(&d):
			// What it waits for has it looked at again; see hurry and wakeLane.
			d.NextAttemptAt = p.now.Add(p.policy.PredecessorWait)
		}
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

// withoutCreate decides about an event of an order whose create hasn't been
// delivered and isn't in hand. goes is true where it is sent all the same, since
// the account says so of orders that it never saw; not before others that wait.
func (p *plan) withoutCreate(w *outbox.Work, waits bool) (d outbox.Delivery, goes bool) {
	d = w.Delivery
	switch {
	case p.Created == string(outbox.Dead):
		d.State, d.Reason, d.NextAttemptAt = outbox.Waiting, PredecessorDead, time.Time{}
	case p.Created == string(outbox.Cancelled):
		d.State, d.Reason, d.NextAttemptAt = outbox.Cancelled, PredecessorCancelled, time.Time{}
	case p.now.Before(p.deadline(w)):
		d.State, d.Reason, d.NextAttemptAt = outbox.Waiting, PredecessorMissing, p.deadline(w)
	case p.policy.SendUnseen && waits:
		return p.behind(w, ""), false
	case p.policy.SendUnseen:
		return d, true
	default:
		d = heldAs(&d, UnseenOrder)
	}
	return d, false
}

// untilCreated returns an unclear delivery as it waits for its order's create: as
// long as any other would, and not for one that won't come.
func (p *plan) untilCreated(w *outbox.Work) outbox.Delivery {
	d := w.Delivery
	if p.Created != "" || !p.now.Before(p.deadline(w)) {
		return heldAs(&d, Unclear)
	}
	d.NextAttemptAt = p.deadline(w)
	return d
}

// deadline is when a delivery has waited long enough for its predecessor.
func (p *plan) deadline(w *outbox.Work) time.Time { return w.ReceivedAt.Add(p.policy.PredecessorWait) }

// objection returns the delivery as it is when its turn has come and it isn't
// sent all the same. skip lets the others of its lane go on.
func (p *plan) objection(w *outbox.Work) (d outbox.Delivery, skip, objected bool) {
	d = w.Delivery
	refund, looked := p.Refunds[w.Event.UUID]
	if w.Type != event.OrderRefundDeleted || !looked || asked(&d) {
		return d, false, false
	}
	state, reason := AfterRefund(refund, p.OpenRefunds, p.Created)
	if state == "" && p.unclearRefund(w) {
		state, reason = outbox.Waiting, PredecessorUnknown
	}
	switch {
	case state == "":
		return d, false, false
	case reason == PredecessorMissing && !p.now.Before(p.deadline(w)):
		return heldAs(&d, UnseenRefund), false, true
	}
	d.State, d.Reason, d.NextAttemptAt = state, reason, time.Time{}
	if reason == PredecessorMissing {
		d.NextAttemptAt = p.deadline(w)
	}
	return d, state == outbox.Waiting, true
}

// superseded reports whether what sets a state is older than what was set already:
// updates are partial, so neither sending nor dropping it is safe. That goes for
// a repeat too.
func (p *plan) superseded(w *outbox.Work) bool {
	return w.Type.Sets() && w.EventTime.Before(p.UpdatedTo) && w.Reason != outbox.ReasonSentByPerson
}

// unclearRefund reports whether another refund of the order, or the taking back
// of one, may have taken effect without our knowing.
func (l *Lane) unclearRefund(but *outbox.Work) bool {
	return slices.ContainsFunc(l.Work, func(w *outbox.Work) bool {
		return w != but && (w.Type == event.OrderRefunded || w.Type == event.OrderRefundDeleted) &&
			(w.Ambiguous || w.State == outbox.Unknown)
	})
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
func (p *plan) move(w *outbox.Work) (Action, outbox.Delivery) {
	d, next := &w.Delivery, w.Delivery
	op, supported := p.ops(w.Type)
	if d.State == outbox.Waiting {
		// What it waited for is there, or it wouldn't have come this far.
		next.State, next.Reason, next.NextAttemptAt = outbox.Pending, "", time.Time{}
	}
	switch {
	case d.State == outbox.Held:
		return "", next
	case !supported:
		return "", heldAs(d, Unsupported)
	case p.superseded(w):
		return "", heldAs(d, Superseded)
	case d.State == outbox.Unknown && !repeatable(d.Reason):
		return Find, next
	case d.State != outbox.Unknown && !d.Ambiguous:
		return Push, next
	case readAsState(d.Type) && op.Findable:
		return Find, next // a repeat may be an error where the first has taken effect
	case mayRepeat(op, d, p.now) && op.Repeat == vendors.RepeatAlways && p.now.Before(p.quiet(d)):
		// An earlier call may still arrive, and must not after what follows it.
		if op.Findable {
			return Find, next
		}
		next.NextAttemptAt = p.quiet(d)
		return Push, next
	case mayRepeat(op, d, p.now):
		return Push, next
	case op.Findable:
		return Find, next
	}
	return "", heldAs(d, Unclear)
}

// quiet is when an unclear call can't arrive any more. One whose worker was lost
// was sent before the lease ran out, at the latest.
func (p *plan) quiet(d *outbox.Delivery) time.Time {
	if d.QuietUntil.IsZero() {
		return d.StateSince.Add(p.policy.Timeout + p.policy.QuietPeriod)
	}
	return d.QuietUntil
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

func (p *plan) due(d *outbox.Delivery) bool { return !d.NextAttemptAt.After(p.now) }
