package dispatch

import (
	"testing"

	"github.com/stretchr/testify/require"

	"syncworker/internal/outbox"
)

func TestPointsBehindAKeyOfAnotherTenantAreDelivered(t *testing.T) {
	s := newShop(t, nil)
	taken := func(b outbox.Batch, tenant string) outbox.Batch {
		e := *b.Events[0].Event
		e.Tenant, e.UUID = tenant, "p-1"
		b.Events[0].Event = &e
		return b
	}
	stop := s.begin()
	for i, b := range []outbox.Batch{s.batch(1, "16508"), taken(s.batch(1, "16509"), "b"), s.batch(1, "16509")} {
		_, err := s.Enqueue(t.Context(), b)
		require.NoError(t, err)
		s.eventually([]map[string]int{{"delivered": 1}, {"delivered": 1, "held": 1}, {"delivered": 2, "held": 1}}[i])
	}
	for s.count(`SELECT count(*) FROM outbox.lanes WHERE owner IS NOT NULL`) > 0 {
		require.NoError(t, t.Context().Err())
	}
	stop()
}

// While an answer of the database is missing, the worker may hold what it doesn't
// know of: it would raise the mark above that, and neither it nor a recovery would
// find it again.
func TestAHandInDoubtDoesNotRaiseItsMark(t *testing.T) {
	h, _ := handOf(t, plain)
	h.low, h.maxID = 3, 7
	require.Equal(t, int64(8), h.lowest())
	h.suspect = missedAnswer
	require.Equal(t, int64(3), h.lowest())
}
