package dispatch

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

func TestWhatIsAtStakeWithACall(t *testing.T) {
	for _, x := range []struct {
		variant string
		action  Action
		before  string
		want    int
	}{
		{"points", Push, clean, stakesNothing},
		{"points-untraced", Push, clean, stakesNothing},
		{"points", Push, unclear, stakesTime},
		{"points-untraced", Push, unclear, stakesPerson},
		{"create", Push, clean, stakesPerson},
		{"create-read", Push, clean, stakesTime},
		{"create-read", Find, unclear, stakesNothing},
		{"update", Push, clean, stakesTime},
		{"cancel", Push, clean, stakesTime},
		{"refund", Push, clean, stakesPerson},
		{"refund-deleted", Push, clean, stakesPerson},
		{"refund-deleted", LookAtRefund, clean, noCall},
	} {
		v := variants[x.variant]
		w := v.work(1)
		v.history(w, x.before)
		require.Equal(t, x.want, stake(v.operation(t), Step{Act: w, Action: x.action}), "%s of %s, %s", x.action, x.variant, x.before)
	}
	require.Equal(t, noCall, stake(vendors.Operation{}, Step{}))
}

func TestAProbeIsMadeWithWhatHasTheLeastAtStake(t *testing.T) {
	for _, x := range []struct {
		ready []string
		want  string
	}{
		{[]string{"create pending", "update pending", "incr:a pending", "incr:b pending"}, "incr:a pending"},
		{[]string{"create pending", "update pending", "cancel pending"}, "update pending"},
		{[]string{"create pending due=1h", "create pending"}, "create pending"},
		{[]string{"create pending"}, "create pending"},
	} {
		h, a := handOf(t, plain)
		var wanted *lane
		for i, text := range x.ready {
			w := row(t, int64(i), text)
			kind := outbox.OrderLane
			if w.Type.Point() {
				kind = outbox.MemberLane
			}
			l := holding(h, kind, w)
			a.ready = append(a.ready, l)
			if text == x.want && wanted == nil {
				wanted = l
			}
		}
		all := slices.Clone(a.ready)
		h.probeWith(a, planned)
		require.Same(t, wanted, a.ready[0], x.ready)
		require.ElementsMatch(t, all, a.ready)
	}
}

func TestAProbeDoesNotGoBeforeWhatIsOnItsWay(t *testing.T) {
	h, a := handOf(t, plain)
	order := holding(h, outbox.OrderLane, row(t, 1, "create pending"))
	points := holding(h, outbox.MemberLane, row(t, 2, "incr:a pending"))
	points.awaits = 1
	a.ready = []*lane{order, points}
	h.probeWith(a, planned)
	require.Same(t, order, a.ready[0])
}

// silent is a vendor that takes every type, and that never answers. Points have
// a key.
type silent struct{ *counting }

func (v *silent) Operation(t event.Type) (vendors.Operation, bool) {
	op := vendors.Operation{Name: "POST /", Blocks: !t.Point()}
	if t.Point() {
		op.Repeat, op.Window = vendors.RepeatWindow, time.Hour
	}
	return op, true
}

func TestAnOutageHoldsNothingThatWasNotUnderWay(t *testing.T) {
	s := newShop(t, func(*event.Event) vendors.Class { return vendors.Ambiguous })
	s.accounts[0].Vendor = &silent{counting: s.vendor}
	s.accounts[0].Limits.MaxInFlight = 1
	s.config.Circuit = Circuit{Probe: 20 * time.Millisecond, MaxProbe: 20 * time.Millisecond}
	s.begin()
	var b outbox.Batch
	for i := range 20 {
		order := s.order(event.OrderCreated).Events[0]
		order.Payload = bytes.ReplaceAll(order.Payload, []byte(`"o1"`), fmt.Appendf(nil, `"n%d"`, i))
		e, err := event.Decode(event.Message{Subject: event.Subject(event.OrderCreated), Data: order.Payload}, event.Limits{}, received)
		require.NoError(t, err)
		order.Event = &e
		b.Events = append(b.Events, order)
	}
	for i := range 20 {
		b.Events = append(b.Events, s.batch(1, fmt.Sprint(i+1)).Events...)
	}
	_, err := s.Enqueue(t.Context(), b)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		s.vendor.mu.Lock()
		defer s.vendor.mu.Unlock()
		calls := 0
		for _, n := range s.vendor.pushes {
			calls += n
		}
		return calls >= circuitRow+10
	}, 20*time.Second, 10*time.Millisecond, "it probes")
	var held int
	require.NoError(t, s.db.QueryRow(t.Context(), `SELECT count(*) FROM outbox.deliveries WHERE state = 'held'`).Scan(&held))
	require.LessOrEqual(t, held, circuitRow, "only what was called before the circuit opened")
}
