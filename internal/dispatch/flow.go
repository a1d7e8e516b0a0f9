package dispatch

import (
	"slices"
	"time"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// How a read waits for the account that it goes through, apart from its own: a
// few in the hand, the others at rest, so that they don't take the room of what
// could go on.
const (
	readsInHand = 256
	readWait    = 30 * time.Second
)

// consider decides what a lane does next: it waits for a gate with an action, or
// is put down. The lock is held.
func (h *hand) consider(a *account, l *lane) {
	if h.draining || l.busy || l.queued || l.awaits > 0 || h.lanes[l.LaneState.Lane] != l {
		return
	}
	if l.stale {
		h.reload(l)
		return
	}
	step := Plan(&l.Lane, a.ops, a.Policy, h.now())
	via := h.via(a, step)
	wait := via.readsIn(h.now())
	switch {
	case step.Act == nil:
		h.putDown(a, l, step.Rest)
	case step.Action == LookAtRefund: // that asks no vendor
		l.busy = true
		h.acts.Add(1)
		go h.lookAtRefund(a, l, step.Act)
	case via != a && wait > 0:
		h.later(step.Act, wait+time.Duration(h.jitter()*float64(wait)))
		h.consider(a, l)
	default:
		l.queued = true
		via.ready = append(via.ready, l)
		h.pumpLocked(via)
	}
}

// via returns the account whose gate an action has to pass.
func (h *hand) via(a *account, step Step) *account {
	if step.Act == nil || step.Action != Find {
		return a
	}
	if op, _ := a.ops(step.Act.Type); op.FindElsewhere && h.accounts[a.OrderReads] != nil {
		return h.accounts[a.OrderReads]
	}
	return a
}

// readsIn returns how long a read for another account rests before it asks for
// this one; 0 is that it may wait for this gate in the hand.
func (a *account) readsIn(now time.Time) time.Duration {
	shared := a.gate.shared
	switch {
	case shared.PausedAt.IsZero() && now.Before(shared.OpenUntil):
		return shared.OpenUntil.Sub(now)
	case a.gate.blocked(now), len(a.ready) >= readsInHand:
		return readWait
	}
	return max(shared.ThrottledUntil.Sub(now), 0)
}

// later puts off what a lane would do now. It costs no attempt. The lock is held.
func (h *hand) later(w *outbox.Work, wait time.Duration) {
	if w.State == outbox.Waiting {
		w.State, w.Reason = outbox.Pending, "" // else it would be due at once
	}
	w.NextAttemptAt = h.now().Add(wait)
}

func (h *hand) pump(a *account) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.pumpLocked(a)
}

// pumpLocked lets as many lanes act as an account's gate admits. The lock is held.
func (h *hand) pumpLocked(via *account) {
	for len(via.ready) > 0 && !h.draining {
		if l := via.ready[0]; l.awaits > 0 {
			l.queued, via.ready = false, via.ready[1:]
			continue // it is considered again when it goes on
		}
		now := h.now()
		v := via.gate.admit(now)
		if !v.ok {
			h.waitForGate(via, v)
			return
		}
		if via.gate.probed {
			h.probeWith(via, now)
		}
		l := via.ready[0]
		via.ready[0] = nil
		via.ready = via.ready[1:]
		l.queued = false
		a := h.accounts[l.Account]
		step := Plan(&l.Lane, a.ops, a.Policy, now)
		if step.Act == nil || step.Action == LookAtRefund || h.via(a, step) != via {
			via.gate.withdraw()
			h.consider(a, l)
			continue
		}
		l.busy, l.via = true, via
		h.acts.Add(1)
		h.inBackground(func() { h.act(a, l, step, false) })
	}
}

func (h *hand) waitForGate(a *account, v verdict) {
	switch {
	case v.probe:
		a.gate.asking = true
		h.acts.Add(1)
		go h.askForProbe(a)
	case v.quota:
		a.gate.quota.asking = true
		h.acts.Add(1)
		go h.askForQuota(a)
	case v.wait > 0:
		a.timer.Reset(v.wait)
	}
}

// putDown writes a lane's deliveries as they rest and lets go of the lane. The
// lock is held.
func (h *hand) putDown(a *account, l *lane, rest []outbox.Delivery) {
	if h.draining {
		return // what is held is recovered when the token is given back
	}
	beyond := l.beyond(rest)
	if beyond && len(rest) == 0 {
		l.stale = true
		h.consider(a, l)
		return
	}
	l.busy = true
	h.acts.Add(1)
	e := &entry{lane: &outbox.LaneUpdate{Lane: l.LaneState.Lane, Epoch: l.Epoch}}
	h.rest(l, e, rest, nil)
	e.lane.Release = !beyond
	put := slices.Clone(l.Work)
	e.done = func(gone []int64, err error) {
		h.mu.Lock()
		defer h.mu.Unlock()
		defer h.acts.Done()
		h.wasPutDown(a, l, e, put, err)
	}
	h.commit.add(e)
}

// rest adds to an entry that these deliveries rest as they are here, and that
// the lane is let go. with is the settle of the one that an action was about.
func (h *hand) rest(l *lane, e *entry, rest []outbox.Delivery, with *outbox.Settle) {
	e.lane.Release, e.lane.Handed = true, l.handed
	now := h.now()
	for _, d := range rest {
		s := &outbox.Settle{Delivery: d, WasCalls: d.Calls, Rest: !d.State.Final()}
		if with != nil && d.ID == with.ID {
			s.WasCalls, s.Attempt = with.WasCalls, with.Attempt
		}
		if s.Rest {
			e.lane.PutDown = true
			if !d.NextAttemptAt.IsZero() && !d.NextAttemptAt.After(now) {
				s.NextAttemptAt = now.Add(time.Second)
			}
		}
		e.settles = append(e.settles, s)
	}
}

// wasPutDown takes out of the hand what now rests, and the lane with it unless
// something has come that it has to look at first. The lock is held.
func (h *hand) wasPutDown(a *account, l *lane, e *entry, put []*outbox.Work, err error) {
	l.busy = false
	if err != nil {
		return
	}
	h.drop(a, l, put...)
	for _, s := range e.settles {
		h.metrics.settled(a.Name, s.State)
	}
	switch {
	case e.lane.Released:
		if h.lanes[l.LaneState.Lane] == l {
			delete(h.lanes, l.LaneState.Lane)
		}
	case e.lane.News || e.lane.PutDown:
		l.stale = true
		h.consider(a, l)
	case len(l.Work) > 0:
		h.consider(a, l)
	default:
		// A delivery that was handed over is on its way into this hand.
		if len(h.entering) == 0 {
			h.suspect = max(h.suspect, 1)
		}
	}
}

// drop takes deliveries out of the hand. The lock is held.
func (h *hand) drop(a *account, l *lane, work ...*outbox.Work) {
	before, busy := len(l.Work), a.busy()
	l.Work = slices.DeleteFunc(l.Work, func(w *outbox.Work) bool { return slices.Contains(work, w) })
	if a.live -= before - len(l.Work); busy && !a.busy() {
		// There is room again, for what rests and for what comes.
		h.wakeUp()
		close(h.room)
		h.room = make(chan struct{})
	}
	h.metrics.inHand(a.Name, a.live)
}

// settled takes over what an action has come to, and says what to write: the
// delivery, what the lane learns, and, where nothing more can be done about the
// lane now, that it is put down. Where the next call of the lane may go at once
// its intent travels along, and that step is returned. The lock is held.
func (h *hand) settled(a *account, l *lane, w *outbox.Work, s *outbox.Settle) (e *entry, put []*outbox.Work, next Step) {
	e = &entry{settles: []*outbox.Settle{s}}
	w.Delivery = s.Delivery
	learned := outbox.Facts(&w.Delivery)
	learned.Epoch = l.Epoch
	if w.Type == event.OrderCreated && w.State == outbox.Delivered {
		learned.Member = l.Member
	}
	if learned != (outbox.LaneUpdate{Lane: learned.Lane, Epoch: learned.Epoch}) {
		l.learn(learned)
		e.lane = &learned
	}
	if w.State.Final() {
		l.hurry(w.Type, h.now())
	}
	if w.Type == event.OrderRefunded {
		delete(l.Refunds, w.Event.UUID) // what was read of it is out of date
	}
	if w.State.Final() {
		put = append(put, w)
	}
	rest := Lane{LaneState: l.LaneState, Refunds: l.Refunds, Work: slices.DeleteFunc(slices.Clone(l.Work),
		func(x *outbox.Work) bool { return x == w && w.State.Final() })}
	step := Plan(&rest, a.ops, a.Policy, h.now())
	switch {
	case step.Act == nil && !l.beyond(step.Rest) && !h.draining:
		if e.lane == nil {
			e.lane = &outbox.LaneUpdate{Lane: l.LaneState.Lane, Epoch: l.Epoch}
		}
		if !w.State.Final() {
			e.settles = nil
		}
		h.rest(l, e, step.Rest, s)
		put = slices.Clone(l.Work)
	case step.Act != nil && step.Act != w && !w.State.Final() && w.State != outbox.Pending && !h.blocks(a, w):
		// The others of a member's lane go on without it.
		s.Rest = true
		if e.lane == nil {
			e.lane = &outbox.LaneUpdate{Lane: l.LaneState.Lane, Epoch: l.Epoch}
		}
		e.lane.PutDown = true
		put = append(put, w)
	}
	if step.Act != nil && step.Action == Push && h.goesOn(a, l, step.Act) {
		next = step
		e.intent = &outbox.Intent{ID: next.Act.ID, WasCalls: next.Act.Calls, SentAt: h.now()}
	}
	return e, put, next
}

// beyond reports whether deliveries that rest behind those in hand may be called
// now: nothing of what rests here keeps them from it, nor would come back with
// them at once.
func (l *lane) beyond(rest []outbox.Delivery) bool {
	return l.More && (len(rest) == 0 || l.Kind != outbox.OrderLane) &&
		!slices.ContainsFunc(rest, func(d outbox.Delivery) bool {
			switch {
			case d.Blocks:
				// Only what passes it may follow, and nothing passes one that creates.
				return !l.MorePass || d.Type.Creates() || d.State == outbox.Pending && !d.NextAttemptAt.IsZero()
			default:
				return d.State != outbox.Unknown && d.State != outbox.Held
			}
		})
}

// blocksLane implements outbox.Batch.Blocks.
func (h *hand) blocksLane(account string, t event.Type) bool {
	a := h.accounts[account]
	if a == nil {
		return false
	}
	op, _ := a.ops(t)
	return op.Blocks
}

// blocks reports whether the lane waits while a delivery is unknown or held.
func (h *hand) blocks(a *account, w *outbox.Work) bool {
	op, _ := a.ops(w.Type)
	return op.Blocks
}

// goesOn reports whether the lane's next call may follow at once in the slot of
// the one that has just ended. The lock is held.
func (h *hand) goesOn(a *account, l *lane, w *outbox.Work) bool {
	op, ok := a.ops(w.Type)
	if !ok || h.draining || l.awaits > 0 || op.NeedsMark || op.NeedsMember && knownMember(l, w) == "" || len(a.ready) > 0 ||
		stake(op, Step{Act: w, Action: Push}) == stakesPerson {
		return false
	}
	return a.gate.admit(h.now()).ok
}

// learn takes over what a final delivery changes for the later ones.
func (l *lane) learn(u outbox.LaneUpdate) {
	if u.Created != "" {
		l.Created = u.Created
	}
	if u.UpdatedTo.After(l.UpdatedTo) {
		l.UpdatedTo = u.UpdatedTo
	}
	l.OpenRefunds = max(l.OpenRefunds+u.RefundsBy, 0)
	l.Deleted = l.Deleted || u.Deleted
}

// hurry has what waited for a delivery of that type looked at again at once: what
// is unclear of an order, or blocks, waits its turn, and decrements may have lacked points.
func (l *lane) hurry(done event.Type, now time.Time) {
	for _, w := range l.Work {
		turn := (l.Kind == outbox.OrderLane || w.Blocks) && w.State != outbox.Held && (w.State == outbox.Unknown || w.Ambiguous)
		if turn || done == event.PointIncremented && w.State == outbox.Pending && w.Reason == Early {
			w.NextAttemptAt = now
		}
	}
}

// knownMember returns the vendor's id of the member that a delivery is about,
// where no look-up is needed.
func knownMember(l *lane, w *outbox.Work) string {
	if w.Event.Member.MembershipID != "" {
		return w.Event.Member.MembershipID
	}
	return l.Member
}

// answered counts an answer at the gate and shares what follows from it. It
// reports whether the account's circuit was open. The lock is held.
func (h *hand) answered(a *account, r vendors.Result) (outage bool) {
	outage = a.gate.open()
	if h.calls.Err() != nil {
		return outage // it was given up for our sake, not for the vendor's
	}
	c := a.gate.heard(r)
	if c == (change{}) {
		return outage
	}
	h.apply(a, c)
	a.gate.sharing++
	h.acts.Add(1)
	go h.share(a, c)
	return outage || c.open != ""
}

// apply takes over at once what the other workers are about to be told. The lock
// is held.
func (h *hand) apply(a *account, c change) {
	now := h.now()
	switch {
	case c.open != "":
		a.gate.shared.OpenUntil, a.gate.shared.Cause = now.Add(h.config.Circuit.Probe), c.open
	case c.close:
		closed := a.gate.shared
		closed.OpenUntil, closed.Opens, closed.Cause = time.Time{}, 0, ""
		a.gate.sync(closed)
	}
	if c.throttle > 0 {
		a.gate.shared.ThrottledUntil = now.Add(c.throttle)
	}
}
