package dispatch

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// A delivery's life at a vendor that never takes it, from the first call to the
// end, on the times that the decisions themselves give.
func TestALifeOfRefusalsAndSilenceEndsInTime(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, w := situation(t, rapid.SampledFrom([]string{"points", "update", "cancel", "create"}).Draw(t, "variant"), clean)
		s.Policy.Retry.MaxAttempts = rapid.IntRange(1, 30).Draw(t, "attempts")
		s.Policy.Retry.MaxAge = time.Duration(rapid.IntRange(1, 96).Draw(t, "hours")) * time.Hour
		r := vendors.Result{Class: vendors.NotSent, Method: "POST"}
		if rapid.Bool().Draw(t, "refused") {
			r = vendors.Result{Class: vendors.Refused, Early: true, Method: "POST"}
		}
		begin, d := s.Now, w.Delivery
		for calls := 1; ; calls++ {
			s.Jitter = rapid.Float64Range(0, 0.999).Draw(t, "jitter")
			d.State, d.FirstSentAt = outbox.Inflight, s.Now
			next := s.AfterPush(d, w, r)
			require.Less(t, calls, 100_000, "it never ends")
			require.Equal(t, calls, next.Attempts)
			if next.State != outbox.Pending {
				require.Equal(t, outbox.Dead, next.State)
				if r.Class == vendors.Refused {
					require.False(t, s.Now.Before(begin.Add(s.Policy.EarlyGrace)), "given up within early_grace")
					return
				}
				require.GreaterOrEqual(t, next.Attempts, s.Policy.Retry.MaxAttempts)
				require.GreaterOrEqual(t, s.Now.Sub(next.ReceivedAt), s.Policy.Retry.MaxAge)
				return
			}
			wait := next.NextAttemptAt.Sub(s.Now)
			require.Positive(t, wait, "without a pause")
			require.LessOrEqual(t, wait, s.Policy.Retry.Max)
			if r.Class == vendors.Refused {
				require.LessOrEqual(t, s.Now, begin.Add(s.Policy.EarlyGrace))
			} else {
				require.True(t, next.Attempts < s.Policy.Retry.MaxAttempts || s.Now.Sub(next.ReceivedAt) < s.Policy.Retry.MaxAge)
			}
			d, s.Now = next, next.NextAttemptAt
		}
	})
}

// What the vendor asks for is waited for, and costs no attempt.
func TestARetryAfterIsHeeded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, w := drawSituation(t)
		asked := time.Duration(rapid.Int64Range(1, int64(vendors.MaxRetryAfter)).Draw(t, "asked"))
		class := rapid.SampledFrom([]vendors.Class{vendors.Throttled, vendors.Ambiguous}).Draw(t, "class")
		after := s.AfterPush(w.Delivery, w, vendors.Result{Class: class, RetryAfter: asked, Method: "POST"})
		if class == vendors.Throttled {
			require.Equal(t, w.Attempts, after.Attempts)
		}
		if after.State == outbox.Pending {
			require.False(t, after.NextAttemptAt.Before(s.Now.Add(asked)))
		}
	})
}

// Hours of an account whose vendor goes away and comes back, on the clock of the
// bubble: workers share what they find out, as the database lets them.
func TestHoursOfOutagesCostProbesAndNothingElse(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		workers := rapid.IntRange(1, 4).Draw(rt, "workers")
		inFlight := rapid.IntRange(workers, 20).Draw(rt, "in flight")
		down := time.Duration(rapid.IntRange(1, 300).Draw(rt, "minutes down")) * time.Minute
		var found problems
		synctest.Test(t, func(*testing.T) { outage(&found, workers, inFlight, down) })
		require.Empty(rt, found)
	})
}

// problems are told outside of the bubble: rapid can't fail within.
type problems []string

func (p *problems) Errorf(format string, args ...any) { *p = append(*p, fmt.Sprintf(format, args...)) }

func (p *problems) FailNow() {}

func outage(t *problems, workers, inFlight int, down time.Duration) {
	const perSecond = 5
	limits := Limits{MaxInFlight: inFlight, Rate: perSecond}
	circuit := Circuit{Probe: 5 * time.Second, MaxProbe: 5 * time.Minute}
	var gates []*gate
	for rank := range workers {
		g := newGate(limits)
		g.divide(outbox.Peers{Count: workers, Rank: rank})
		gates = append(gates, g)
	}
	var shared outbox.Gate
	begin, lost, answered := time.Now(), 0, 0
	var closed time.Time
	for now := begin; now.Sub(begin) < down+10*time.Minute; now = time.Now() {
		wait := time.Minute
		admitted := 0
		for _, g := range gates {
			g.sync(shared)
			for v := g.admit(now); ; v = g.admit(now) {
				if v.probe && !now.Before(shared.OpenUntil) { // TakeProbe: one worker has it
					shared.OpenUntil = now.Add(circuit.ProbeAfter(shared.Opens))
					shared.Opens++
					g.sync(shared)
					g.probe = true
					continue
				}
				if !v.ok {
					if v.wait > 0 {
						wait = min(wait, v.wait)
					}
					break
				}
				admitted++
			}
		}
		require.LessOrEqual(t, admitted, limits.MaxInFlight)
		for _, g := range gates {
			for ; g.used > 0; g.used-- {
				r := answer
				if r.StartedAt = now; now.Sub(begin) < down {
					r, lost = noReply, lost+1
					r.StartedAt = now
				} else {
					answered++
				}
				switch c := g.heard(r); {
				case c.open != "" && shared.OpenUntil.IsZero():
					shared.OpenUntil, shared.Opens = now.Add(circuit.Probe), 1
				case c.close:
					shared, closed = outbox.Gate{}, now
				}
			}
		}
		if admitted > 0 {
			wait = min(wait, 100*time.Millisecond) // what a call takes
		}
		<-time.After(wait)
	}
	probes := int(down/circuit.MaxProbe) + 8
	require.LessOrEqual(t, lost, workers*circuitRow+limits.MaxInFlight+probes, "an outage costs its beginning and the probes")
	require.False(t, closed.IsZero(), "it was back, and nobody noticed")
	require.LessOrEqual(t, closed.Sub(begin), down+circuit.MaxProbe+time.Second, "the next probe gets through")
	left := begin.Add(down + 10*time.Minute).Sub(closed).Seconds()
	require.InDelta(t, perSecond*left, answered, 0.1*perSecond*left+20, "after the ramp it goes at its rate")
}
