package dispatch

import (
	"context"
	"errors"
	"slices"
	"time"

	"syncworker/internal/outbox"
)

// renewLoop keeps the lease, and reads what the workers share.
func (h *hand) renewLoop(ctx context.Context) {
	tick := time.NewTicker(h.config.Lease / 10)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		err := h.renew(ctx)
		if errors.Is(err, outbox.ErrLeaseLost) {
			select {
			case h.lost <- err:
			default: // it is known already, and nobody may be listening any more
			}
			return
		}
		if err != nil && ctx.Err() == nil {
			h.log.Warn().Err(err).Msg("keeping the lease")
		}
	}
}

// renew extends the lease from the moment of asking, and takes over what other
// workers have found out about the accounts.
func (h *hand) renew(unbounded context.Context) error {
	ctx, cancel := context.WithTimeout(unbounded, h.config.Lease/3)
	defer cancel()
	h.mu.Lock()
	known, low, asked, suspect := h.low, h.lowest(), h.now(), h.suspect
	changes := map[*account]int{}
	for _, a := range h.accounts {
		changes[a] = a.gate.changes
	}
	h.mu.Unlock()
	renewed, err := h.store.Renew(ctx, h.token, h.config.Lease, known, low)
	if err != nil {
		return err
	}
	if !renewed.Vouched {
		// Marking all that is live as unknown takes as long as it takes.
		return h.vouch(unbounded, h.token, false)
	}
	h.sawDecisions(renewed.Decisions)
	if renewed.Dead {
		select {
		case h.dead <- struct{}{}:
		default: // it is known already
		}
	}
	gates, err := h.store.Gates(ctx)
	if err != nil {
		return err
	}
	if suspect > 0 {
		if err := h.adopt(ctx); err != nil {
			return err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.low, h.leaseUntil = renewed.Low, asked.Add(h.config.Lease)
	for _, a := range h.accounts {
		a.gate.divide(renewed.Peers)
		if renewed.Count > 1 && asked.Sub(h.joined) < h.config.Lease/5 {
			a.gate.share = 0 // until the others know that they have less
		}
		a.gate.read(gates[a.Name], changes[a])
		h.metrics.gate(a.Name, a.gate)
		a.gate.next(a.gate.slots())
		h.pumpLocked(a)
	}
	return nil
}

// sawDecisions notes what persons have decided: it is acted on from now on.
func (h *hand) sawDecisions(last int64) {
	h.saw(h.token, func(m *outbox.Mark) { m.Decisions = max(m.Decisions, last) })
}

// missedAnswer is how often the database is asked after an answer was missed: what
// was given up may still be committed after the first time.
const missedAnswer = 2

// adopt takes into the hand what the database says that it holds. Only one call
// of it may be under way.
func (h *hand) adopt(ctx context.Context) error {
	h.mu.Lock()
	h.met = map[int64]struct{}{}
	for _, l := range h.lanes {
		h.meet(l.Work...)
	}
	h.mu.Unlock()
	adopted, err := h.store.Adopt(ctx, h.token)
	h.mu.Lock()
	defer h.mu.Unlock()
	met := h.met
	h.met = nil
	if err != nil || len(h.entering) > 0 || h.claiming > 0 {
		return err // some of them may be on their way
	}
	h.suspect = max(h.suspect-1, 0)
	// What was in the hand when the database was asked, or came meanwhile, may be
	// settled by now: it isn't taken over again.
	adopted = slices.DeleteFunc(adopted, func(x outbox.Handed) bool {
		_, known := met[x.ID]
		return known || h.accounts[x.Account] == nil
	})
	lost := map[outbox.Lane]int{}
	for i := range adopted {
		lost[adopted[i].Lane.Lane]++
	}
	for i := range adopted {
		if w := &adopted[i].Work; w.State == outbox.Inflight {
			w.State = outbox.Pending // its intent came with it, and who doesn't know of it hasn't called
		}
		x := adopted[i].Lane
		if l := h.lanes[x.Lane]; l == nil || l.Epoch != x.Epoch {
			// All that was ever handed over is met with these; what else the
			// lane has is read first.
			h.lanes[x.Lane] = &lane{Lane: Lane{LaneState: x}, handed: x.Handed - lost[x.Lane], stale: true}
		}
	}
	h.takeAll(adopted, &choice{hand: h})
	return nil
}

// meet notes deliveries that come into the hand while the database is being
// asked what the hand should have. The lock is held.
func (h *hand) meet(work ...*outbox.Work) {
	if h.met == nil {
		return
	}
	for _, w := range work {
		h.met[w.ID] = struct{}{}
	}
}

// claimLoop takes lanes that are due: retries, backlogs, and what others left.
func (h *hand) claimLoop(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-h.wake:
		case <-timer.C:
		}
		wait, err := h.claim(ctx)
		if err != nil && ctx.Err() == nil {
			h.log.Warn().Err(err).Msg("looking for lanes that are due")
		}
		timer.Reset(wait)
	}
}

// claim takes what is due as far as there is room, and returns when to look again.
func (h *hand) claim(ctx context.Context) (time.Duration, error) {
	var names []string
	h.mu.Lock()
	for name, a := range h.accounts {
		if !h.draining && !a.gate.blocked(h.now()) && !a.busy() {
			names = append(names, name)
		}
	}
	h.mu.Unlock()
	if len(names) == 0 {
		return h.config.Poll, nil
	}
	next, err := h.store.NextDue(ctx, names)
	if err != nil || next.IsZero() {
		return h.config.Poll, err
	}
	if wait := next.Sub(h.now()); wait > 0 {
		return min(wait, h.config.Poll), nil
	}
	again := h.config.Poll
	for _, name := range names {
		a := h.accounts[name]
		limit := a.capacity() / 4
		n, err := h.claimAccount(ctx, a, limit)
		if err != nil {
			return h.config.Poll, err
		}
		if n > 0 {
			again = 0
		}
	}
	return max(again, time.Millisecond), nil
}

func (h *hand) claimAccount(ctx context.Context, a *account, limit int) (int, error) {
	h.mu.Lock()
	h.claiming++
	h.mu.Unlock()
	loaded, err := h.store.Claim(ctx, h.token, a.Name, limit)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.claiming--
	if errors.Is(err, outbox.ErrLeaseLost) {
		select {
		case h.lost <- err:
		default:
		}
	}
	if err != nil {
		h.suspect = missedAnswer
		return 0, err
	}
	for _, x := range loaded {
		l := &lane{}
		h.lanes[x.Lane] = l
		h.fill(a, l, x)
	}
	return len(loaded), nil
}

// fill puts what was loaded into a lane. The lock is held.
func (h *hand) fill(a *account, l *lane, x *outbox.Loaded) {
	l.LaneState, l.More, l.MorePass, l.stale, l.Refunds = x.LaneState, x.More, x.MorePass, false, nil
	l.hurry("", h.now()) // something has happened in it
	h.sawDecisions(x.Decisions)
	for _, w := range x.Work {
		h.maxID = max(h.maxID, w.ID)
	}
	h.meet(x.Work...)
	l.handed += len(x.Work)
	l.Work = append(l.Work, x.Work...)
	Sort(l.Work)
	a.live += len(x.Work)
	h.metrics.inHand(a.Name, a.live)
	h.consider(a, l)
}

// recoverLoop takes over what dead workers have left, at the start and whenever a
// renewal of the lease sees one.
func (h *hand) recoverLoop(ctx context.Context) {
	for {
		for {
			n, found, err := h.store.Recover(ctx)
			if err != nil && ctx.Err() == nil {
				h.log.Warn().Err(err).Msg("looking for dead workers")
			}
			if err != nil || !found {
				break
			}
			h.log.Warn().Int("deliveries", n).Msg("took over from a worker whose lease ran out")
			h.wakeUp()
		}
		select {
		case <-ctx.Done():
			return
		case <-h.dead:
		}
	}
}

// askForProbe asks for the right to make the one call that probes an account.
func (h *hand) askForProbe(a *account) {
	defer h.acts.Done()
	ctx, cancel := context.WithTimeout(h.calls, h.config.Lease/3)
	defer cancel()
	h.mu.Lock()
	wait := h.config.Circuit.ProbeAfter(a.gate.shared.Opens)
	h.mu.Unlock()
	mine, err := h.store.TakeProbe(ctx, a.Name, wait)
	if err != nil {
		h.log.Warn().Err(err).Msg("asking for the probe")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	a.gate.asking, a.gate.probe = false, mine
	a.gate.changes++
	a.gate.shared.OpenUntil = h.now().Add(wait)
	if mine {
		a.gate.shared.Opens++
	}
	h.pumpLocked(a)
}

// share tells the other workers what this one has found out about an account.
func (h *hand) share(a *account, c change) {
	defer h.acts.Done()
	defer func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		a.gate.sharing--
		a.gate.changes++
	}()
	ctx, cancel := context.WithTimeout(h.calls, h.config.Lease/3)
	defer cancel()
	var err error
	if c.throttle > 0 {
		err = h.store.Throttle(ctx, a.Name, c.throttle)
		h.log.Warn().Str("account", a.Name).Dur("wait_ms", c.throttle).Msg("the vendor asks for patience")
	}
	switch {
	case err != nil:
	case c.open != "":
		_, err = h.store.OpenCircuit(ctx, a.Name, c.open, h.config.Circuit.Probe)
		h.log.Error().Str("account", a.Name).Str("cause", c.open).
			Msg("the circuit is open: calls to this account wait until a probe gets through")
	case c.close:
		err = h.store.CloseCircuit(ctx, a.Name)
		h.log.Info().Str("account", a.Name).Msg("the circuit is closed: the account answers again")
	}
	if err != nil {
		h.log.Warn().Err(err).Str("account", a.Name).Msg("sharing the state of an account")
	}
}
