package dispatch

import (
	"cmp"
	"slices"
	"time"

	"golang.org/x/time/rate"

	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// Limits are what an account allows all workers together.
type Limits struct {
	MaxInFlight int     // calls
	Rate        float64 // calls a second; 0 is no limit
	Daily       int     // calls of the app in one of the vendor's days; 0 is no limit
	App         string  // what that quota goes by: the account whose app id this one has
}

// Circuit says when an account's circuit opens and how long it stays open.
type Circuit struct {
	Probe, MaxProbe time.Duration // the first wait, which doubles up to the other
}

// How many of the last calls without an answer open the circuit: half of the
// last circuitCalls, or all of the last circuitRow.
const (
	circuitCalls = 20
	circuitRow   = 5
)

// Why a circuit is open.
const (
	CauseNoAnswer = "no_answer"
	CauseDenied   = "denied"
)

// gate is this worker's share of an account's limits, and whether the account
// may be called at all. It isn't safe for concurrent use: the dispatcher's lock
// is around it.
type gate struct {
	limits  Limits
	limiter *rate.Limiter

	share   int // calls in flight that are this worker's
	used    int // actions that were admitted: their calls, and what comes before and after
	calling int // calls in flight
	line    []chan struct{}
	ramp    int // after a pause, calls in flight grow from one; 0 is all of the share

	calls  []outcome   // the last ones to have begun, of those that have ended
	shared outbox.Gate // as last read or written
	probe  bool        // this worker has the probe, and hasn't used it
	probed bool        // its call is under way: the answer closes the circuit
	asking bool        // it is asking for the probe

	quota quota

	changes int // that this worker has made to what is shared
	sharing int // of these, not yet known to be written
}

func newGate(limits Limits) *gate {
	return &gate{limits: limits, limiter: rate.NewLimiter(rate.Inf, 1)}
}

// divide gives this worker its share of the limits among peers. A share of no
// call at all means that the worker takes nothing of this account.
func (g *gate) divide(p outbox.Peers) {
	g.share = g.limits.MaxInFlight / p.Count
	if p.Rank < g.limits.MaxInFlight%p.Count {
		g.share++
	}
	if g.limits.Rate > 0 {
		each := g.limits.Rate / float64(p.Count)
		g.limiter.SetLimit(rate.Limit(each))
		g.limiter.SetBurst(max(1, int(each/20)))
	}
}

// outcome of a call, for the circuit. What counts is when a call began: a burst of
// timeouts says nothing about a vendor that has answered since they were sent.
type outcome struct {
	began time.Time
	lost  bool // no answer came
}

// Verdict of a gate on one more call.
type verdict struct {
	ok    bool
	wait  time.Duration // where not ok: ask again after it; 0 is when something changes
	probe bool          // the right to make the one call that probes has to be asked for
	quota bool          // more of the daily quota has to be asked for
}

// slots is how many calls may be in flight.
func (g *gate) slots() int {
	if g.ramp > 0 {
		return min(g.share, g.ramp)
	}
	return g.share
}

// maxAhead bounds how many intents are committed before there is a slot for their
// calls. A worker that dies leaves them unclear.
const maxAhead = 128

// ahead is how many actions are admitted beyond the calls that may be in flight, so
// that a slot doesn't stand empty while an intent is being committed.
func (g *gate) ahead() int {
	if g.ramp > 0 || g.open() {
		return 0
	}
	if g.limits.Rate > 0 {
		return min(4*g.share, maxAhead, g.limiter.Burst())
	}
	return min(4*g.share, maxAhead)
}

// enter asks for a slot to make a call in. The turn is nil where it has it at once,
// as it has where no call is made any more, and else closed when it does.
func (g *gate) enter(ending bool) (turn chan struct{}) {
	if ending || g.calling < g.slots() {
		g.calling++
		return nil
	}
	turn = make(chan struct{})
	g.line = append(g.line, turn)
	return turn
}

// leave gives a slot back.
func (g *gate) leave() {
	g.calling--
	g.next(g.slots())
}

// next lets those go whose turn has come, with so many slots.
func (g *gate) next(slots int) {
	for len(g.line) > 0 && g.calling < slots {
		g.calling++
		close(g.line[0])
		g.line = g.line[1:]
	}
}

// admit decides about one more call, and counts it where it may go.
func (g *gate) admit(now time.Time) verdict {
	switch {
	case !g.shared.PausedAt.IsZero(), g.used >= g.slots()+g.ahead():
		return verdict{}
	case now.Before(g.shared.ThrottledUntil):
		return verdict{wait: g.shared.ThrottledUntil.Sub(now)}
	case g.open() && now.Before(g.shared.OpenUntil) && !g.probe:
		return verdict{wait: g.shared.OpenUntil.Sub(now)}
	case g.open() && !g.probe:
		return verdict{probe: !g.asking && g.used == 0}
	}
	if v, ok := g.spent(now); !ok {
		return v
	}
	r := g.limiter.ReserveN(now, 1)
	if wait := r.DelayFrom(now); wait > 0 {
		r.CancelAt(now)
		return verdict{wait: wait}
	}
	g.quota.left--
	g.probed, g.probe = g.probe, false
	g.used++
	return verdict{ok: true}
}

// withdraw gives back a slot in which no call was made, and with it the probe.
func (g *gate) withdraw() {
	g.used--
	g.quota.left++
	g.probe, g.probed = g.probe || g.probed, false
}

// spend counts calls that were made in a slot beyond the one it was given for:
// the next ones wait for them too.
func (g *gate) spend(now time.Time, calls int) {
	g.quota.left -= max(calls, 0)
	for range calls {
		g.limiter.ReserveN(now, 1)
	}
}

func (g *gate) open() bool { return !g.shared.OpenUntil.IsZero() }

// blocked reports whether there is no use in taking deliveries of the account. An
// open circuit whose time has come needs one, to probe with.
func (g *gate) blocked(now time.Time) bool {
	if g.quota.out {
		g.quota.turn(now)
	}
	return now.Before(g.shared.OpenUntil) || !g.shared.PausedAt.IsZero() || g.share == 0 || g.quota.out
}

// change is what the workers have to share after a call.
type change struct {
	open     string // the circuit opens, for this cause
	close    bool
	throttle time.Duration
}

// heard counts an answer, or that none came, and says what follows for all. What
// was decided without asking the vendor says nothing of it.
func (g *gate) heard(r vendors.Result) (c change) {
	if r.Method == "" || r.Withheld {
		g.probe, g.probed = g.probe || g.probed, false
		return c
	}
	probed := g.probed
	g.probed = false
	switch r.Class {
	case vendors.Denied:
		if !g.open() {
			c.open = CauseDenied
		}
		return c
	case vendors.Throttled:
		g.ramp = 1
		c.throttle = max(r.RetryAfter, time.Second)
	case vendors.NotSent, vendors.Ambiguous:
		if r.Hold != "" {
			break
		}
		g.note(r.StartedAt, true)
		if !g.open() && g.tripped() {
			c.open = CauseNoAnswer
		}
		return c
	}
	g.note(r.StartedAt, false)
	if g.open() {
		// A call from before it opened proves nothing about now.
		c.close = probed
		return c
	}
	if c.throttle == 0 && g.ramp > 0 {
		if g.ramp++; g.ramp > g.share {
			g.ramp = 0
		}
	}
	return c
}

func (g *gate) note(began time.Time, lost bool) {
	at, _ := slices.BinarySearchFunc(g.calls, began, func(o outcome, t time.Time) int {
		return cmp.Or(o.began.Compare(t), -1) // behind those of the same moment
	})
	g.calls = slices.Insert(g.calls, at, outcome{began, lost})
	if len(g.calls) > circuitCalls {
		g.calls = slices.Delete(g.calls, 0, 1)
	}
}

// tripped reports whether half of the last calls, or all of the last few, got no
// answer.
func (g *gate) tripped() bool {
	lost, row := 0, 0
	for i, o := range slices.Backward(g.calls) {
		if o.lost {
			lost++
			if row == len(g.calls)-1-i {
				row++
			}
		}
	}
	return row >= circuitRow || len(g.calls) == circuitCalls && lost >= circuitCalls/2
}

// sync takes over what the workers share. Once the circuit is closed again,
// calls in flight grow from one.
func (g *gate) sync(shared outbox.Gate) {
	if g.open() && shared.OpenUntil.IsZero() {
		g.ramp, g.calls = 1, nil
	}
	g.shared = shared
}

// read takes over what was read from the database. changes is how many this worker
// had made before it was asked: its own, which the answer may lack, goes first. A
// person's pause goes before all.
func (g *gate) read(shared outbox.Gate, changes int) {
	if g.probe || g.asking || g.sharing > 0 || g.changes != changes {
		g.shared.PausedAt = shared.PausedAt
		return
	}
	g.sync(shared)
}

// ProbeAfter returns how long a circuit that has opened so often in a row stays
// open before one call probes it.
func (c Circuit) ProbeAfter(opens int) time.Duration {
	wait := c.Probe
	for i := 0; i < opens && wait < c.MaxProbe; i++ {
		wait *= 2
	}
	return min(wait, c.MaxProbe)
}
