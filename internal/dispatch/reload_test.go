package dispatch

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/outbox"
)

// Each event whose lane another worker has is loaded by that one: a transaction for
// each would be most of what several workers cost the database.
func TestWhatRestsInManyLanesIsLoadedTogether(t *testing.T) {
	s := newShop(t, nil)
	mine, other := s.somebody(time.Minute), s.somebody(time.Minute)
	h := newHand(s.Worker, mine, 1, time.Now().Add(time.Minute))
	defer h.cut()
	h.draining = true // nothing is called here
	for member := range 5 {
		name := fmt.Sprint(16508 + member)
		b := s.batch(1, name)
		b.Accept = []string{"dmhub"}
		first, err := s.store.Enqueue(t.Context(), mine, b)
		require.NoError(t, err)
		require.Len(t, first.Handed, 1)
		h.takeAll(first.Handed, &choice{hand: h})
		b = s.batch(1, name)
		b.Accept = []string{"dmhub"}
		_, err = s.store.Enqueue(t.Context(), other, b)
		require.NoError(t, err)
	}
	h.mu.Lock()
	for _, l := range h.lanes {
		h.reload(l)
	}
	h.mu.Unlock()
	h.acts.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	require.Len(t, h.lanes, 5)
	for _, l := range h.lanes {
		require.Len(t, l.Work, 2)
		require.False(t, l.busy)
		require.Less(t, l.Work[0].ID, l.Work[1].ID)
	}
	const transactions = `SELECT count(DISTINCT xmin::text) FROM outbox.deliveries WHERE id % 2 = 0`
	require.Equal(t, 1, s.count(transactions))
}

func TestLanesOfWhichOneIsLostAreNotLoaded(t *testing.T) {
	s := newShop(t, nil)
	mine, other := s.somebody(time.Minute), s.somebody(time.Minute)
	var lanes []outbox.Lane
	for _, token := range []outbox.Token{mine, other} {
		b := s.batch(1, fmt.Sprint(16508+len(lanes)))
		b.Accept = []string{"dmhub"}
		out, err := s.store.Enqueue(t.Context(), token, b)
		require.NoError(t, err)
		lanes = append(lanes, out.Handed[0].Lane.Lane)
	}
	_, err := s.store.Enqueue(t.Context(), other, s.batch(1, "16508"))
	require.NoError(t, err)
	_, err = s.store.Reload(t.Context(), mine, lanes...)
	require.ErrorIs(t, err, outbox.ErrLeaseLost)
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.deliveries WHERE owner IS NULL`))
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.lanes WHERE news`))
}
