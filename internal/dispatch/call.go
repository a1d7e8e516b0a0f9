package dispatch

import (
	"context"
	"errors"
	"time"

	"syncworker/internal/event"
	"syncworker/internal/failpoint"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// act does what a lane's step says, and what may follow at once, in one slot.
// intended tells that the intent of the first is committed, and that a call that
// has its slot before that has it.
func (h *hand) act(a *account, l *lane, step Step, intended bool) {
	defer h.acts.Done()
	for step.Act != nil {
		step = h.do(a, l, step, intended)
		intended = true
	}
}

// do performs one action and settles it. The step that it returns has its intent
// committed.
func (h *hand) do(a *account, l *lane, step Step, intended bool) Step {
	w := step.Act
	if !intended && h.isDraining() {
		return h.giveBack(a, l)
	}
	if step.Action == Find {
		return h.find(a, l, w)
	}
	call, fail := h.prepare(a, l, w)
	before := "member"
	if fail == nil && !intended {
		before, fail = "token", h.ready(a)
	}
	if fail == nil && !intended {
		if r := h.mark(a, w, &call); r != nil {
			before, fail = "mark", r
		}
	}
	switch {
	case fail != nil && fail.Class == "":
		return h.postpone(a, l, w)
	case fail != nil:
		return h.settlePush(a, l, w, *fail, before, w.Calls)
	}
	// What a person would have to clear up has its slot before its intent.
	op, _ := a.ops(w.Type)
	first := stake(op, step) == stakesPerson
	if !intended && !h.stillFirst(a, l, w) {
		return h.giveBack(a, l)
	}
	if first && !intended {
		h.enter(a)
	}
	if !intended && !h.intend(a, l, w) {
		if first {
			h.leave(a)
		}
		return Step{}
	}
	if !first {
		h.enter(a)
	}
	h.mu.Lock()
	w.Calls++
	w.State = outbox.Inflight
	if w.FirstSentAt.IsZero() {
		w.FirstSentAt = h.now()
	}
	call.FirstSentAt = w.FirstSentAt
	h.mu.Unlock()
	if err := failpoint.Hit(failpoint.Intended, string(w.Type)); err != nil {
		call.MaySend = func() error { return err }
	}
	result := a.Vendor.Push(failpoint.About(h.calls, string(w.Type)), call)
	h.leave(a)
	_ = failpoint.Hit(failpoint.Answered, string(w.Type))
	return h.settlePush(a, l, w, result, "push", w.Calls)
}

// stillFirst reports whether a delivery goes first in its lane also after what was
// found out for it: something that goes before may have come meanwhile.
func (h *hand) stillFirst(a *account, l *lane, w *outbox.Work) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return l.awaits == 0 && Plan(&l.Lane, a.ops, a.Policy, h.now()).Act == w
}

// callFor returns the call about a delivery with what is known of its member.
func (h *hand) callFor(a *account, l *lane, w *outbox.Work) vendors.Call {
	op, _ := a.ops(w.Type)
	h.mu.Lock()
	member, via := knownMember(l, w), l.via
	h.mu.Unlock()
	return vendors.Call{
		Event: w.Event, Member: member, Key: w.VendorKey, Mark: w.Mark, FirstSentAt: w.FirstSentAt,
		MaySend: func() error {
			if w.Ambiguous && !mayRepeat(op, &w.Delivery, h.now()) {
				return errors.New("it took too long until this repeat could be sent: the vendor may not know its key any more")
			}
			if err := h.maySend(a.Policy.Timeout); err != nil {
				return err
			}
			return h.overtaken(via)
		},
	}
}

// prepare fills in what the vendor needs and the event lacks. fail is what the
// push ends in where that can't be done; its class is empty where our own
// database didn't answer.
func (h *hand) prepare(a *account, l *lane, w *outbox.Work) (call vendors.Call, fail *vendors.Result) {
	op, _ := a.ops(w.Type)
	call = h.callFor(a, l, w)
	if !op.NeedsMember || call.Member != "" {
		return call, nil
	}
	named := w.Event.Member
	if len(named.Identities) == 0 && w.Type.Order() {
		ctx, cancel := context.WithTimeout(h.calls, a.Policy.Timeout)
		defer cancel()
		var err error
		if named, err = h.store.MemberOfOrder(ctx, w.Event.Tenant, w.Event.OrderNo); err != nil {
			h.log.Warn().Err(err).Int64("delivery", w.ID).Msg("filling in the member")
			return call, &vendors.Result{}
		}
	}
	if call.Member = named.MembershipID; call.Member != "" {
		return call, nil
	}
	if len(named.Identities) == 0 || a.members == nil {
		why := "neither this event nor its order's create names a member"
		if len(named.Identities) > 0 {
			why = "the member is named by identities, and this vendor knows members by membershipId only"
		}
		return call, &vendors.Result{Class: vendors.NotSent, Hold: MemberNotFound, StartedAt: h.now(), Message: why}
	}
	h.enter(a)
	id, r := a.members.FindMember(h.calls, named)
	h.leave(a)
	h.mu.Lock()
	a.gate.spend(h.now(), r.Calls)
	h.mu.Unlock()
	if id == "" {
		if r.Class == vendors.Refused {
			r.Hold = MemberNotFound
		}
		if r.Class != vendors.Throttled && r.Class != vendors.Denied {
			// Whatever became of the read, nothing of the write has left.
			r.Class = vendors.NotSent
		}
		return call, &r
	}
	call.Member = id
	return call, nil
}

// ready has the vendor do beforehand what isn't the write itself. fail is what the
// push ends in where it can't.
func (h *hand) ready(a *account) (fail *vendors.Result) {
	if a.preparer == nil {
		return nil
	}
	if r := a.preparer.Ready(h.calls); r.Class != vendors.Applied {
		return &r
	}
	return nil
}

// mark has the vendor note what is there before a write that no key names. fail is
// what the push ends in where that can't be done.
func (h *hand) mark(a *account, w *outbox.Work, call *vendors.Call) (fail *vendors.Result) {
	if op, _ := a.ops(w.Type); !op.NeedsMark || a.marker == nil {
		return nil
	}
	h.enter(a)
	mark, r := a.marker.Mark(h.calls, *call)
	h.leave(a)
	h.mu.Lock()
	defer h.mu.Unlock()
	a.gate.spend(h.now(), max(r.Calls, 1))
	if r.Class == vendors.Applied && mark != "" && len(mark) <= vendors.MarkLimit {
		w.Mark, call.Mark = mark, mark
		return nil
	}
	if r.Class != vendors.Throttled && r.Class != vendors.Denied {
		r.Class = vendors.NotSent // whatever became of the read, nothing of the write has left
	}
	return &r
}

// intend commits the intent and reports whether the call may be made. It may not
// where a drain has begun before the intent was taken to be written, nor where
// something that goes before it has come to rest: then the lane is loaded first.
func (h *hand) intend(a *account, l *lane, w *outbox.Work) bool {
	if h.isDraining() {
		h.giveBack(a, l)
		return false
	}
	type answer struct {
		gone bool
		err  error
	}
	answers := make(chan answer, 1)
	e := &entry{intent: &outbox.Intent{ID: w.ID, WasCalls: w.Calls, SentAt: h.now(), Mark: w.Mark}}
	e.done = func(gone []int64, err error) {
		answers <- answer{gone: contains(gone, w.ID), err: err}
	}
	h.commit.add(e)
	got := <-answers
	stale := got.err == nil && e.intent != nil && e.intent.Stale
	if got.err == nil && !got.gone && !stale && e.intent != nil {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	a.gate.withdraw()
	l.busy = false
	if got.gone {
		h.drop(a, l, w)
	}
	if got.gone || stale {
		l.stale = l.stale || stale
		h.consider(a, l)
	}
	h.pumpLocked(a)
	return false
}

// settlePush writes down what a push has come to.
func (h *hand) settlePush(a *account, l *lane, w *outbox.Work, r vendors.Result, action string, was int) Step {
	return h.settle(a, l, w, r, action, was, func(s Situation, d outbox.Delivery) outbox.Delivery {
		if w.Type == event.OrderCreated && r.Receipt.Member != "" {
			l.Member = r.Receipt.Member
		}
		return s.AfterPush(d, w, r)
	})
}

// find reads whether the effect exists.
func (h *hand) find(a *account, l *lane, w *outbox.Work) Step {
	call, fail := h.callFor(a, l, w), (*vendors.Result)(nil)
	if l.via == a {
		call, fail = h.prepare(a, l, w)
	}
	if fail != nil && fail.Class == "" {
		return h.postpone(a, l, w)
	}
	var f vendors.Finding
	asked := h.now()
	if op, _ := a.ops(w.Type); op.NeedsMark {
		ctx, cancel := context.WithTimeout(h.calls, a.Policy.Timeout)
		defer cancel()
		var err error
		if call.Others, err = h.store.ReferencesBeside(ctx, &w.Delivery); err != nil {
			h.log.Warn().Err(err).Int64("delivery", w.ID).Msg("looking for its effect")
			return h.postpone(a, l, w)
		}
	}
	h.mu.Lock()
	call.MayBeUpdated = l.mayHave(event.OrderUpdated)
	call.MayBeRefunded = l.OpenRefunds > 0 || l.unclearRefund(w)
	h.mu.Unlock()
	if fail != nil && fail.Hold == MemberNotFound && call.Mark != "" {
		fail = nil // the mark knows the member, whom the call may have taken the identity from
	}
	switch {
	case fail != nil:
		f = vendors.Finding{Found: vendors.Unavailable, Result: *fail}
	case a.finder == nil:
		f = vendors.Finding{Found: vendors.Unavailable}
	default:
		h.enter(l.via)
		f = a.finder.Find(h.calls, call)
		h.leave(l.via)
	}
	return h.settle(a, l, w, f.Result, string(Find), w.Calls, func(s Situation, d outbox.Delivery) outbox.Delivery {
		s.Asked, s.MayBeDeleted = asked, l.mayHave(event.OrderDeleted)
		return s.AfterFind(d, w, f)
	})
}

// settle decides what follows from an answer, and commits it. was is the number
// of calls that the delivery's row has.
func (h *hand) settle(a *account, l *lane, w *outbox.Work, r vendors.Result, action string, was int,
	decide func(Situation, outbox.Delivery) outbox.Delivery,
) Step {
	op, _ := a.ops(w.Type)
	via := l.via
	h.mu.Lock()
	s := Situation{
		Operation: op, Policy: a.Policy, Outage: h.answered(via, r), Now: h.now(), Jitter: h.jitter(),
	}
	before := w.Delivery
	if before.State == outbox.Waiting {
		before.State = outbox.Pending
	}
	after := decide(s, before)
	if action != "push" {
		after.Calls++
	}
	attempt := attemptOf(w, r, action, after.Calls)
	via.gate.used--
	e, put, next := h.settled(a, l, w, &outbox.Settle{Delivery: after, WasCalls: was, Attempt: attempt})
	h.metrics.attempt(via.Name, w.Type, action, r)
	if action == string(Find) {
		via.gate.spend(h.now(), r.Calls-1)
	}
	l.via = a
	h.pumpLocked(via) // the intents of others travel along with what became of this
	h.mu.Unlock()
	h.logAttempt(w, r, action, attempt)

	committed := make(chan struct{})
	e.done = func(gone []int64, err error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		defer close(committed)
		h.wasSettled(a, l, e, put, &next, gone, err)
	}
	h.commit.add(e)
	<-committed
	return next
}

// wasSettled takes over that an entry is written. next loses its act where its
// intent was not. The lock is held.
func (h *hand) wasSettled(a *account, l *lane, e *entry, put []*outbox.Work, next *Step, gone []int64, err error) {
	if next.Act != nil && (err != nil || e.intent == nil || e.intent.Stale || contains(gone, next.Act.ID)) {
		if contains(gone, next.Act.ID) && err == nil {
			put = append(put, next.Act)
		}
		l.stale = l.stale || err == nil && e.intent != nil && e.intent.Stale
		*next = Step{}
		a.gate.withdraw()
	}
	if e.lane != nil && e.lane.Release {
		h.wasPutDown(a, l, e, put, err)
		h.pumpLocked(a)
		return
	}
	if err != nil {
		l.busy = false
		return
	}
	h.drop(a, l, put...)
	for _, s := range e.settles {
		h.metrics.settled(a.Name, s.State)
	}
	if next.Act == nil {
		l.busy = false
		h.consider(a, l)
		h.pumpLocked(a)
	}
}

// lookAtRefund reads what has become of the refund that a refund_deleted names.
// It asks our own tables, and so needs nothing of the account's limits.
func (h *hand) lookAtRefund(a *account, l *lane, w *outbox.Work) {
	defer h.acts.Done()
	ctx, cancel := context.WithTimeout(h.calls, a.Policy.Timeout)
	defer cancel()
	state, err := h.store.StateOfRefund(ctx, a.Name, w.Event.Tenant, w.Event.OrderNo, w.Event.UUID)
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.log.Warn().Err(err).Int64("delivery", w.ID).Msg("looking at the refund that is to be taken back")
		h.later(w, time.Second)
	} else {
		if l.Refunds == nil {
			l.Refunds = map[string]outbox.State{}
		}
		l.Refunds[w.Event.UUID] = state
	}
	l.busy = false
	h.consider(a, l)
}

// postpone tries again in a moment, since our own database didn't answer.
func (h *hand) postpone(a *account, l *lane, w *outbox.Work) Step {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.later(w, time.Second)
	h.abandon(a, l)
	return Step{}
}

// giveBack ends an action that may not begin any more.
func (h *hand) giveBack(a *account, l *lane) Step {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.abandon(a, l)
	return Step{}
}

// enter waits for a slot of an account to make a call in.
func (h *hand) enter(via *account) {
	h.mu.Lock()
	turn := via.gate.enter(h.draining)
	h.mu.Unlock()
	if turn != nil {
		<-turn
	}
}

// leave gives the slot back.
func (h *hand) leave(via *account) {
	h.mu.Lock()
	defer h.mu.Unlock()
	via.gate.leave()
}

// abandon ends an action without a call. The lock is held.
func (h *hand) abandon(a *account, l *lane) {
	l.via.gate.withdraw()
	l.busy = false
	h.consider(a, l)
	h.pumpLocked(l.via)
}

func contains(ids []int64, id int64) bool {
	for _, x := range ids {
		if x == id {
			return true
		}
	}
	return false
}

func attemptOf(w *outbox.Work, r vendors.Result, action string, number int) *outbox.Attempt {
	if r.StartedAt.IsZero() && r.Class == "" {
		return nil
	}
	attempt := &outbox.Attempt{
		Number: number, StartedAt: r.StartedAt, Duration: r.Duration, Action: action, Class: string(r.Class),
		Status: r.Status, Method: r.Method, Path: r.Path, Code: r.Code, Message: r.Message,
		Request: r.Request, Reply: r.Reply,
	}
	if string(r.Request) == string(w.Event.Data) {
		attempt.Request = nil
	} else if attempt.Request == nil {
		attempt.Request = []byte{}
	}
	return attempt
}
