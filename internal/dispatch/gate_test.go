package dispatch

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

var (
	answer   = vendors.Result{Class: vendors.Applied, Method: "POST", Status: 200}
	noReply  = vendors.Result{Class: vendors.Ambiguous, Method: "POST"}
	noDial   = vendors.Result{Class: vendors.NotSent, Method: "POST"}
	noToken  = vendors.Result{Class: vendors.Denied, Method: "POST", Status: 401}
	tooFast  = vendors.Result{Class: vendors.Throttled, Method: "POST", Status: 429, RetryAfter: 30 * time.Second}
	withheld = vendors.Result{Class: vendors.NotSent, Method: "POST", Withheld: true}
	noMember = vendors.Result{Class: vendors.NotSent, Hold: MemberNotFound} // nobody was asked
)

// alone is the gate of the only worker.
func alone(limits Limits) *gate {
	g := newGate(limits)
	g.divide(outbox.Peers{Count: 1})
	return g
}

// call makes one call that ends in r.
func (g *gate) call(t require.TestingT, now time.Time, r vendors.Result) change {
	require.True(t, g.admit(now).ok)
	g.used--
	return g.heard(r)
}

func TestWorkersShareTheLimits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := Limits{MaxInFlight: rapid.IntRange(1, 200).Draw(t, "max")}
		count := rapid.IntRange(1, 300).Draw(t, "workers")
		sum, least, most := 0, limits.MaxInFlight, 0
		for rank := range count {
			g := newGate(limits)
			g.divide(outbox.Peers{Count: count, Rank: rank})
			admitted := 0
			for g.admit(received).ok && g.enter(false) == nil {
				admitted++
			}
			require.Equal(t, g.share, admitted)
			require.Equal(t, g.share == 0, g.blocked(received))
			sum, least, most = sum+admitted, min(least, admitted), max(most, admitted)
		}
		require.Equal(t, limits.MaxInFlight, sum, "all of the limit, and no more")
		require.LessOrEqual(t, most-least, 1)
	})
}

func TestIntentsGoAheadOfTheSlotsAndCallsDoNot(t *testing.T) {
	g := alone(Limits{MaxInFlight: 2})
	var waiting []chan struct{}
	for g.admit(received).ok {
		if turn := g.enter(false); turn != nil {
			waiting = append(waiting, turn)
		}
	}
	require.Equal(t, 2, g.calling)
	require.Len(t, waiting, 8, "four for each slot")
	g.leave()
	require.True(t, closed(waiting[0]), "whoever came first")
	require.False(t, closed(waiting[1]))
	require.Equal(t, 2, g.calling)
	g.next(100)
	require.True(t, closed(waiting[7]), "all go where nothing is called any more")

	limited := alone(Limits{MaxInFlight: 2, Rate: 20})
	require.Equal(t, 1, limited.ahead(), "not more than the rate lets go at once")
	limited.ramp = 1
	require.Zero(t, limited.ahead(), "one at a time after a pause")
	require.Equal(t, maxAhead, alone(Limits{MaxInFlight: 1000}).ahead())
}

func closed(turn chan struct{}) bool {
	select {
	case <-turn:
		return true
	default:
		return false
	}
}

func TestWhatOpensTheCircuit(t *testing.T) {
	for _, x := range []struct {
		name  string
		calls string // . an answer, x none
		open  bool   // by the last of them
	}{
		{"four in a row", "xxxx", false},
		{"five in a row", "xxxxx", true},
		{"five in a row after answers", "...............xxxxx", true},
		{"one answer between them", "xxxx.xxxx", false},
		{"nine of twenty", "x.x.x.x.x.x.x.x.x...", false},
		{"ten of nineteen", "x.x.x.x.x.x.x.x.x.x", false},
		{"ten of twenty", "x.x.x.x.x.x.x.x.x..x", true},
		{"only the last twenty count", "xx" + "x.x.x.x.x.x.x.x.x...", false},
		{"and all of those", "..." + "x.x.x.x.x.x.x.x.x..x", true},
	} {
		g := alone(Limits{MaxInFlight: 1})
		var last change
		for i, c := range x.calls {
			r := answer
			if c == 'x' {
				r = []vendors.Result{noReply, noDial}[i%2]
			}
			require.Empty(t, last.open, "%s: opened before the end", x.name)
			last = g.call(t, received, r)
		}
		require.Equal(t, x.open, last.open == CauseNoAnswer, x.name)
	}
}

func TestWhatDoesNotOpenTheCircuit(t *testing.T) {
	for _, r := range []vendors.Result{
		{Class: vendors.Refused, Method: "POST"}, {Class: vendors.AlreadyApplied, Method: "POST"}, noMember, tooFast, withheld, {},
	} {
		g := alone(Limits{MaxInFlight: 1})
		for range 2 * circuitCalls {
			require.Empty(t, g.call(t, received, r).open, r.Class)
		}
	}
	require.Equal(t, CauseDenied, alone(Limits{MaxInFlight: 1}).call(t, received, noToken).open, "one denied call is enough")
}

func TestOneCallProbesAnOpenCircuit(t *testing.T) {
	g := alone(Limits{MaxInFlight: 4})
	require.True(t, g.admit(received).ok)
	g.sync(outbox.Gate{OpenUntil: received.Add(5 * time.Second)})
	require.True(t, g.blocked(received))
	require.False(t, g.blocked(received.Add(5*time.Second)), "a worker without deliveries takes one to probe with")
	require.Equal(t, verdict{wait: 5 * time.Second}, g.admit(received))

	later := received.Add(5 * time.Second)
	require.Equal(t, verdict{}, g.admit(later), "not while a call from before is under way")
	g.used--
	require.Equal(t, change{}, g.heard(answer), "which proves nothing about now")
	require.Equal(t, verdict{probe: true}, g.admit(later))
	g.asking = true
	require.Equal(t, verdict{}, g.admit(later), "asked for once")

	g.asking, g.probe = false, true
	g.shared.OpenUntil = later.Add(10 * time.Second)
	require.True(t, g.admit(later).ok)
	require.Equal(t, verdict{wait: 10 * time.Second}, g.admit(later), "one call, no more")
	g.used--
	require.Equal(t, change{}, g.heard(noReply), "it stays open")

	later = later.Add(10 * time.Second)
	g.probe, g.shared.OpenUntil = true, later.Add(20*time.Second)
	require.True(t, g.admit(later).ok)
	g.used--
	require.Equal(t, change{close: true}, g.heard(answer))
}

func TestAProbeThatAskedNobodyProvesNothing(t *testing.T) {
	for _, r := range []vendors.Result{noMember, withheld, {}} {
		g := alone(Limits{MaxInFlight: 4})
		g.sync(outbox.Gate{OpenUntil: received})
		g.probe = true
		require.Equal(t, change{}, g.call(t, received, r))
		require.True(t, g.open())
	}
}

func TestAThrottledProbeClosesTheCircuitAndIsHeeded(t *testing.T) {
	g := alone(Limits{MaxInFlight: 4})
	g.sync(outbox.Gate{OpenUntil: received})
	g.probe = true
	require.Equal(t, change{close: true, throttle: 30 * time.Second}, g.call(t, received, tooFast))
}

func TestAfterAPauseCallsGrowFromOne(t *testing.T) {
	for name, begin := range map[string]func(*gate){
		"the circuit has closed": func(g *gate) {
			g.sync(outbox.Gate{OpenUntil: received})
			g.sync(outbox.Gate{})
		},
		"throttled": func(g *gate) { require.Equal(t, 30*time.Second, g.call(t, received, tooFast).throttle) },
	} {
		g := alone(Limits{MaxInFlight: 3})
		begin(g)
		var allowed []int
		for range 4 {
			n := 0
			for g.admit(received).ok && g.enter(false) == nil {
				n++
			}
			allowed = append(allowed, n)
			g.used, g.calling, g.line = 0, 0, nil
			g.heard(answer)
		}
		require.Equal(t, []int{1, 2, 3, 3}, allowed, name)
	}
}

func TestAClosedCircuitBeginsToCountAnew(t *testing.T) {
	g := alone(Limits{MaxInFlight: 1})
	for range circuitRow {
		g.call(t, received, noReply)
	}
	g.sync(outbox.Gate{OpenUntil: received})
	g.sync(outbox.Gate{})
	for range circuitRow - 1 {
		require.Empty(t, g.call(t, received, noReply).open)
	}
	require.NotEmpty(t, g.call(t, received, noReply).open)
}

func TestWhatAWorkerHasFoundOutGoesBeforeWhatItHasRead(t *testing.T) {
	open := outbox.Gate{OpenUntil: received}
	for name, x := range map[string]struct {
		gate gate
		open bool
	}{
		"nothing happened meanwhile":   {gate{changes: 3}, false},
		"it changed after the reading": {gate{changes: 4}, true},
		"it isn't written yet":         {gate{changes: 3, sharing: 1}, true},
		"it is about to probe":         {gate{changes: 3, probe: true}, true},
		"it is asking for the probe":   {gate{changes: 3, asking: true}, true},
	} {
		g := x.gate
		g.shared = open
		g.read(outbox.Gate{PausedAt: received}, 3)
		require.Equal(t, x.open, g.open(), name)
		require.Equal(t, received, g.shared.PausedAt, "a person's pause is heeded at once")
	}
}

func TestAThrottledAccountWaits(t *testing.T) {
	g := alone(Limits{MaxInFlight: 4})
	g.sync(outbox.Gate{ThrottledUntil: received.Add(time.Minute)})
	require.Equal(t, verdict{wait: time.Minute}, g.admit(received))
	require.False(t, g.blocked(received), "it isn't for long")
	require.True(t, g.admit(received.Add(time.Minute)).ok)
	silent := tooFast
	silent.RetryAfter = 0
	require.Equal(t, time.Second, alone(Limits{MaxInFlight: 1}).call(t, received, silent).throttle)
}

func TestAPausedAccountWaitsForAPerson(t *testing.T) {
	g := alone(Limits{MaxInFlight: 4})
	g.sync(outbox.Gate{PausedAt: received, OpenUntil: received})
	g.probe = true
	require.Equal(t, verdict{}, g.admit(received.Add(time.Hour)))
	require.True(t, g.blocked(received))
}

func TestWorkersShareTheRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const workers, seconds, perSecond = 3, 20, 30
		calls, begin := 0, time.Now()
		var gates []*gate
		for rank := range workers {
			g := newGate(Limits{MaxInFlight: 1000, Rate: perSecond})
			g.divide(outbox.Peers{Count: workers, Rank: rank})
			gates = append(gates, g)
		}
		for time.Since(begin) < seconds*time.Second {
			var wait time.Duration
			for _, g := range gates {
				v := g.admit(time.Now())
				for ; v.ok; v = g.admit(time.Now()) {
					calls++
					g.used--
				}
				require.Positive(t, v.wait, "a gate that refuses for the rate says for how long")
				wait = max(wait, v.wait)
			}
			<-time.After(wait) // on the clock of the bubble
		}
		require.InDelta(t, perSecond*seconds, calls, workers+1)
	})
}

func TestProbesGetRarer(t *testing.T) {
	c := Circuit{Probe: 5 * time.Second, MaxProbe: time.Minute}
	for opens, want := range []time.Duration{5, 10, 20, 40, 60, 60} {
		require.Equal(t, want*time.Second, c.ProbeAfter(opens), "opened %d times", opens)
	}
	require.Equal(t, time.Minute, c.ProbeAfter(1<<40))
}

func TestAProbeThatMadeNoCallIsNotSpent(t *testing.T) {
	g := alone(Limits{MaxInFlight: 4})
	g.sync(outbox.Gate{OpenUntil: received})
	g.probe = true
	require.True(t, g.admit(received).ok)
	g.withdraw()
	require.True(t, g.probe, "the lane had nothing to call after all")
	require.True(t, g.admit(received).ok)
	g.used--
	require.Zero(t, g.heard(withheld))
	require.True(t, g.probe, "no byte of it left")
}
