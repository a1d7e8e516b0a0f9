package outbox_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"syncworker/internal/outbox"
)

// TestWhatElseTookEffectInALaneIsTold: of deliveries with a mark that are delivered,
// whoever had them, and of no other lane.
func TestWhatElseTookEffectInALaneIsTold(t *testing.T) {
	s := newShop(t)
	ref := func(ref string) func(*outbox.Delivery) {
		return func(d *outbox.Delivery) { d.VendorRef = ref }
	}
	asks := s.comesAs(outbox.Unknown, points("p1"), ref("11"))
	s.comesAs(outbox.Delivered, points("p2"), ref("12"))
	s.comesAs(outbox.Held, points("p3"), ref("13"))
	unmarked := s.comesAs(outbox.Delivered, points("p4"), ref("14"))
	s.comesAs(outbox.Delivered, create("o1"), ref("15"))
	_, err := s.conn.Exec(t.Context(), `UPDATE outbox.deliveries SET mark = '10' WHERE id <> $1`, unmarked)
	require.NoError(t, err)

	var d outbox.Delivery
	require.NoError(t, s.conn.QueryRow(t.Context(), `SELECT id, lane FROM outbox.deliveries WHERE id = $1`, asks).Scan(&d.ID, &d.Lane))
	refs, err := s.ReferencesBeside(t.Context(), &d)
	require.NoError(t, err)
	require.Equal(t, []string{"12"}, refs)
}
