package dispatch

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// members is one increment of each of n members.
func (s *shop) members(n int) outbox.Batch {
	var all outbox.Batch
	for i := range n {
		all.Events = append(all.Events, s.batch(1, fmt.Sprint(16508+i)).Events...)
	}
	return all
}

// holding runs a hand until the test is over.
func (s *shop) running() *hand {
	h, err := s.Worker.begin(s.t.Context())
	require.NoError(s.t, err)
	ctx, stop := context.WithCancel(context.WithoutCancel(s.t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- h.run(ctx) }()
	s.t.Cleanup(func() { stop(); require.NoError(s.t, <-ended) })
	return h
}

func TestACallFollowsItsEventByOneTransaction(t *testing.T) {
	called := make(chan struct{})
	s := newShop(t, func(*event.Event) vendors.Class { close(called); return vendors.Applied })
	h := s.running()
	// Nobody settles or intends anything while this is held; events come in.
	lock, err := s.db.Begin(t.Context())
	require.NoError(t, err)
	_, err = lock.Exec(t.Context(), `LOCK TABLE outbox.commits IN SHARE MODE`)
	require.NoError(t, err)
	_, err = h.enqueue(t.Context(), s.members(1))
	require.NoError(t, err)
	select {
	case <-called:
	case <-time.After(20 * time.Second):
		require.Fail(t, "it isn't called")
	}
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'inflight' AND calls = 1 AND first_sent_at IS NOT NULL`))
	require.NoError(t, lock.Commit(t.Context()))
	s.eventually(map[string]int{"delivered": 1})
	require.Equal(t, 1, s.count(`SELECT calls FROM outbox.deliveries`))
	require.Equal(t, 1, s.count(`SELECT number FROM outbox.attempts`))
}

func TestNoMoreIsChosenThanHasASlot(t *testing.T) {
	answer := make(chan struct{})
	s := newShop(t, func(*event.Event) vendors.Class { <-answer; return vendors.Applied })
	h := s.running()
	_, err := h.enqueue(t.Context(), s.members(20))
	require.NoError(t, err)
	require.Equal(t, 16, s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'inflight'`), "what only a person could clear up")
	close(answer)
	s.eventually(map[string]int{"delivered": 20})
	require.Len(t, s.vendor.pushes, 20)
}

func TestWhatWasChosenAndIsNotHandedOverGivesItsSlotBack(t *testing.T) {
	s := newShop(t, nil)
	h := s.running()
	used := func() (used, calling int) {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.accounts["dmhub"].gate.used, h.accounts["dmhub"].gate.calling
	}
	b := s.members(1)
	_, err := s.db.Exec(t.Context(), `
		INSERT INTO outbox.deliveries (event_id, event_time, lane, lane_rank, account, type, state, reason, vendor_key)
		VALUES (0, now(), gen_random_uuid(), 1, 'dmhub', 'point.incremented', 'held', 'unclear', $1)`, b.Events[0].Event.UUID)
	require.NoError(t, err)
	out, err := h.enqueue(t.Context(), b)
	require.NoError(t, err)
	require.Empty(t, out.Handed, "the key is another's")
	u, c := used()
	require.Zero(t, u+c)

	h.cut()
	_, err = h.enqueue(t.Context(), s.members(1))
	require.Error(t, err)
	u, c = used()
	require.Zero(t, u+c)
	require.Empty(t, s.vendor.pushes)
}

func TestWhatIsCommittedEarlierIsCalledEarlier(t *testing.T) {
	answer := make(chan struct{})
	var order []string
	s := newShop(t, func(e *event.Event) vendors.Class {
		if order = append(order, e.UUID); len(order) == 1 {
			<-answer
		}
		return vendors.Applied
	})
	h := s.running()
	first, second, third := s.batch(1, "16508"), s.batch(1, "16508"), s.batch(1, "16508")
	for _, b := range []outbox.Batch{first, third} {
		_, err := h.enqueue(t.Context(), b)
		require.NoError(t, err)
	}
	lock, err := s.db.Begin(t.Context())
	require.NoError(t, err)
	_, err = lock.Exec(t.Context(), `LOCK TABLE outbox.events IN SHARE MODE`) // events wait, results don't
	require.NoError(t, err)
	entered := make(chan error, 1)
	go func() { _, err := h.enqueue(t.Context(), second); entered <- err }()
	s.somebodyWaits()
	close(answer)
	for s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'delivered'`) == 0 {
		require.NoError(t, t.Context().Err())
	}
	require.NoError(t, lock.Commit(t.Context()))
	require.NoError(t, <-entered)
	s.eventually(map[string]int{"delivered": 3})
	require.Equal(t, []string{"p-1", "p-2", "p-3"}, order)
}

func TestAStopDoesNotBreakACommitOff(t *testing.T) {
	s := newShop(t, nil)
	h := s.running()
	lock, err := s.db.Begin(t.Context())
	require.NoError(t, err)
	_, err = lock.Exec(t.Context(), `LOCK TABLE outbox.events IN SHARE MODE`)
	require.NoError(t, err)
	ctx, stop := context.WithCancel(t.Context())
	entered := make(chan error, 1)
	go func() { _, err := h.enqueue(ctx, s.members(1)); entered <- err }()
	s.somebodyWaits()
	stop()
	require.NoError(t, lock.Commit(t.Context()))
	require.NoError(t, <-entered)
	s.eventually(map[string]int{"delivered": 1})
}
