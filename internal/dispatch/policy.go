// Package dispatch gives each delivery its effect at the vendor: it keeps the
// lanes in order, decides what follows from each answer, and writes it down.
//
// Decisions are pure functions: Plan says what a lane does next, AfterPush and
// AfterFind what an answer means, Backoff when to try again. The Worker does the
// calls and the writing around them.
package dispatch

import (
	"time"

	"github.com/cenkalti/backoff/v4"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// Policy is what an account's configuration says about trying and waiting.
type Policy struct {
	Timeout         time.Duration // of one call
	QuietPeriod     time.Duration // before a read that finds nothing proves anything
	EarlyGrace      time.Duration // how long a refusal may only mean "too early"
	PredecessorWait time.Duration // how long an event waits for its order's create
	SendUnseen      bool          // then send it (unseen_orders: send), else hold it
	Retry           Retry
}

// Retry is the schedule of an account.
type Retry struct {
	Initial, Max time.Duration
	// Giving up needs both.
	MaxAttempts int
	MaxAge      time.Duration
}

// Backoff returns how long to wait after the n-th attempt (n ≥ 1): exponential,
// with full jitter. jitter is uniform in [0, 1). The schedule is computed from
// the stored number of attempts, since a process that starts anew has no other.
func (r Retry) Backoff(n int, jitter float64) time.Duration {
	b := backoff.ExponentialBackOff{
		InitialInterval: r.Initial,
		MaxInterval:     r.Max,
		Multiplier:      2,
		MaxElapsedTime:  0, // never ends by itself: the age of a delivery does that
		Stop:            backoff.Stop,
		Clock:           backoff.SystemClock,
	}
	b.Reset()
	wait := min(b.NextBackOff(), r.Max)
	for i := 1; i < n && wait < r.Max; i++ {
		wait = b.NextBackOff()
	}
	// A full jitter may come out as nothing at all; a call that was just refused
	// is worth a moment.
	return max(time.Duration(float64(wait)*jitter), min(r.Initial, r.Max)/10)
}

// gaveUp reports whether a delivery has used up both its attempts and its time.
func (r Retry) gaveUp(d *outbox.Delivery, now time.Time) bool {
	return d.Attempts >= r.MaxAttempts && now.Sub(d.ReceivedAt) >= r.MaxAge
}

// mayRepeat reports whether a write whose answer is unclear may be sent again at
// that time: the vendor recognizes its key, or it sets a state. What was sent by
// a process that the database has forgotten has no first time, and a create that
// replaces must not replace what came after it.
func mayRepeat(op vendors.Operation, d *outbox.Delivery, at time.Time) bool {
	switch op.Repeat {
	case vendors.RepeatAlways:
		return !d.FirstSentAt.IsZero() || d.Type != event.OrderCreated
	case vendors.RepeatWindow:
		return !d.FirstSentAt.IsZero() && at.Before(d.FirstSentAt.Add(op.Window))
	}
	return false
}

// readAsState reports whether a read shows the effect of a type as a state that may
// have been before: what an order, a level or an identity leaves is nothing, and so
// is what isn't shown yet; a level that was set back is as it was. Reads may lag, so
// that either answer counts only after the quiet period.
func readAsState(t event.Type) bool {
	return t.Sets() || t.Removes()
}
