package dispatch

import (
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// A vendor that is away for hours and a backlog, on the clock of the bubble: what
// becomes of each delivery, by the gate and by the decisions alone.
func TestHoursOfOutageCostABacklogNothing(t *testing.T) {
	for name, silence := range map[string]vendors.Result{"no reply": noReply, "no connection": noDial} {
		for _, down := range []time.Duration{10 * time.Minute, 3 * time.Hour, 100 * time.Hour} {
			t.Run(name+" for "+down.String(), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					b := backlog{
						effects: map[int64]bool{},
						down:    down, silence: silence, policy: testPolicy(), random: rand.New(rand.NewPCG(1, 2)), //nolint:gosec // the same each time
						gate: alone(Limits{MaxInFlight: backlogSlots, Rate: backlogRate}), op: variants["points"].operation(t),
					}
					b.live(t)
				})
			})
		}
	}
}

const (
	backlogSize  = 3000 // points, each of another member
	backlogRate  = 10
	backlogSlots = 8
)

// backlog is what waits at one account, and what calls come to.
type backlog struct {
	down    time.Duration
	silence vendors.Result
	policy  Policy
	random  *rand.Rand
	gate    *gate
	op      vendors.Operation

	work    []*outbox.Work
	lost    int
	effects map[int64]bool
}

func (b *backlog) live(t *testing.T) {
	begin, left := time.Now(), backlogSize
	var closed, drained time.Time
	for id := range backlogSize {
		w := variants["points"].work(int64(id))
		w.ReceivedAt = begin
		b.work = append(b.work, w)
	}
	budget := time.Duration(1.2 * backlogSize / backlogRate * float64(time.Second))
	for left > 0 {
		now := time.Now()
		require.Less(t, now.Sub(begin), b.down+time.Hour, "%d are left", left)
		called := b.called(now)
		for _, w := range called {
			b.settle(w, now, now.Sub(begin) < b.down)
			require.NotContains(t, []outbox.State{outbox.Dead, outbox.Held}, w.State)
			if w.State == outbox.Delivered {
				left--
				if !w.EverAmbiguous { // what was asked has a time of its own to wait
					drained = now
				}
			}
		}
		if closed.IsZero() && now.Sub(begin) >= b.down && !b.gate.open() {
			closed = now
		}
		wait := 10 * time.Millisecond // what a call takes
		if len(called) == 0 {
			wait = max(wait, b.gate.shared.OpenUntil.Sub(now))
		}
		<-time.After(wait)
	}
	burnt := 0
	for _, w := range b.work {
		burnt += w.Attempts
	}
	require.Less(t, burnt, circuitRow, "attempts are counted only before it is known to be an outage")
	require.LessOrEqual(t, b.lost, circuitRow+backlogSlots+4+int(b.down/time.Minute), "then it is probed, and no more")
	require.LessOrEqual(t, closed.Sub(begin), b.down+time.Minute+time.Second, "the next probe gets through")
	require.LessOrEqual(t, time.Since(closed), budget+b.policy.QuietPeriod+b.policy.Retry.Max)
	require.LessOrEqual(t, drained.Sub(closed), budget, "drained in the backlog by the rate, and a fifth")
}

// called are the deliveries whose calls begin now.
func (b *backlog) called(now time.Time) (called []*outbox.Work) {
	for _, w := range b.work {
		if w.State == outbox.Delivered || w.NextAttemptAt.After(now) {
			continue
		}
		v := b.gate.admit(now)
		if v.probe {
			b.gate.shared.OpenUntil = now.Add(Circuit{Probe: 5 * time.Second, MaxProbe: time.Minute}.ProbeAfter(b.gate.shared.Opens))
			b.gate.shared.Opens++
			b.gate.probe = true
			v = b.gate.admit(now)
		}
		if !v.ok {
			break
		}
		called = append(called, w)
	}
	return called
}

// settle makes a call, and ends it as the worker does: a push, or a read where
// something is unclear that a push doesn't clear up.
func (b *backlog) settle(w *outbox.Work, now time.Time, away bool) {
	r := answer
	if away {
		r, b.lost = b.silence, b.lost+1
	}
	r.StartedAt = now
	s := Situation{Operation: b.op, Policy: b.policy, Outage: b.gate.open(), Now: now, Asked: now, Jitter: b.random.Float64()}
	b.gate.used--
	switch c := b.gate.heard(r); {
	case c.open != "":
		s.Outage = true
		b.gate.shared.OpenUntil, b.gate.shared.Opens = now.Add(5*time.Second), 1
	case c.close:
		b.gate.sync(outbox.Gate{})
	}
	w.Calls++
	if w.State == outbox.Unknown || w.Ambiguous && !mayRepeat(b.op, &w.Delivery, now) {
		f := vendors.Finding{Found: vendors.Absent, Result: r}
		switch {
		case away:
			f.Found = vendors.Unavailable
		case b.effects[w.ID]:
			f.Found = vendors.Present
		}
		w.Delivery = s.AfterFind(w.Delivery, w, f)
		return
	}
	if w.State = outbox.Inflight; w.FirstSentAt.IsZero() {
		w.FirstSentAt = now
	}
	b.effects[w.ID] = b.effects[w.ID] || !away
	w.Delivery = s.AfterPush(w.Delivery, w, r)
}
