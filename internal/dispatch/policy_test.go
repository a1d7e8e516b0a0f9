package dispatch

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

func sorted(s []string) []string {
	slices.Sort(s)
	return s
}

func TestBackoffDoublesUpToItsCap(t *testing.T) {
	r := Retry{Initial: time.Second, Max: 10 * time.Second}
	const most = 1 - 1e-9
	for n, want := range map[int]time.Duration{
		0: 1, 1: 1, 2: 2, 3: 4, 4: 8, 5: 10, 6: 10, 1000: 10, math.MaxInt: 10,
	} {
		require.InDelta(t, float64(want*time.Second), float64(r.Backoff(n, most)), 1e3, "attempt %d", n)
		require.InDelta(t, float64(want*time.Second)/2, float64(r.Backoff(n, 0.5)), 1e3, "attempt %d: full jitter", n)
		require.Equal(t, 100*time.Millisecond, r.Backoff(n, 0), "attempt %d: never at once", n)
	}
}

func TestBackoffStaysInItsBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := Retry{
			Initial: time.Duration(rapid.Int64Range(1, int64(time.Hour)).Draw(t, "initial")),
			Max:     time.Duration(rapid.Int64Range(1, int64(24*time.Hour)).Draw(t, "max")),
		}
		n := rapid.IntRange(0, math.MaxInt).Draw(t, "n")
		wait := r.Backoff(n, rapid.Float64Range(0, 0.9999).Draw(t, "jitter"))
		require.GreaterOrEqual(t, wait, min(r.Initial, r.Max)/10)
		require.LessOrEqual(t, wait, r.Max)
	})
}

func TestGivingUpNeedsAttemptsAndTime(t *testing.T) {
	r := testPolicy().Retry
	for _, x := range []struct {
		attempts int
		age      time.Duration
		want     bool
	}{
		{20, 72 * time.Hour, true},
		{21, 100 * time.Hour, true},
		{19, 1000 * time.Hour, false},
		{1000, 72*time.Hour - 1, false},
	} {
		d := outbox.Delivery{Attempts: x.attempts, ReceivedAt: received}
		require.Equal(t, x.want, r.gaveUp(&d, received.Add(x.age)), "%d attempts in %s", x.attempts, x.age)
	}
}

func TestWhenAWriteMayBeRepeated(t *testing.T) {
	never := vendors.Operation{Repeat: vendors.RepeatNever}
	always := vendors.Operation{Repeat: vendors.RepeatAlways}
	window := vendors.Operation{Repeat: vendors.RepeatWindow, Window: time.Hour}
	forgotten := time.Time{} // sent by a process that the database has lost
	for _, x := range []struct {
		name  string
		op    vendors.Operation
		kind  event.Type
		first time.Time
		after time.Duration
		want  bool
	}{
		{"refund", never, event.OrderRefunded, received, 0, false},
		{"update", always, event.OrderUpdated, received, 1000 * time.Hour, true},
		{"forgotten update", always, event.OrderUpdated, forgotten, 0, true},
		{"create that replaces", always, event.OrderCreated, received, time.Hour, true},
		{"forgotten create that replaces", always, event.OrderCreated, forgotten, 0, false},
		{"points", window, event.PointIncremented, received, time.Hour - 1, true},
		{"points at the end of the window", window, event.PointIncremented, received, time.Hour, false},
		{"forgotten points", window, event.PointIncremented, forgotten, 0, false},
	} {
		d := outbox.Delivery{Type: x.kind, FirstSentAt: x.first, Ambiguous: true}
		require.Equal(t, x.want, mayRepeat(x.op, &d, received.Add(x.after)), x.name)
	}
}

// A level that was set to something else and back is as it was: a read that lags
// would show the first.
func TestWhatIsReadAsAStateIsReadOnceMoreWhenItsCallCanNotArriveAnyMore(t *testing.T) {
	for name, want := range map[string]Action{
		"level-update": Find, "level-delete": Find, "unbind": Find, "delete-read": Find,
		"deal": Push, "deal-cancel": Push, "cancel-read": Push,
	} {
		v := variants[name]
		w := v.work(1)
		now := v.history(w, unclear)
		w.State, w.Reason, w.QuietUntil = outbox.Unknown, NoAnswer, now
		l := Lane{Work: []*outbox.Work{w}, LaneState: outbox.LaneState{Created: string(outbox.Delivered)}}
		if w.Type.Order() {
			l.Kind = outbox.OrderLane
		}
		op := v.operation(t)
		step := Plan(&l, func(event.Type) (vendors.Operation, bool) { return op, true }, testPolicy(), now)
		require.Equal(t, want, step.Action, name)
	}
}
