package outbox_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

// rests leaves n orders at rest, due one after another up to now.
func (s *shop) rests(n int, name string) {
	var lines []line
	for i := range n {
		lines = append(lines, line{kind: event.OrderCreated, order: fmt.Sprint(name, i)})
	}
	s.enqueues(s.token, s.batch(nil, lines...))
	s.exec(`UPDATE outbox.lanes SET next_at = now() - interval '1 second' * n
		FROM (SELECT order_no, event_id, row_number() OVER (ORDER BY event_id) AS n FROM outbox.identities) i
		JOIN outbox.deliveries d USING (event_id) WHERE lanes.lane = d.lane AND i.order_no LIKE $1 || '%'`, name)
}

// Who reads an old state of the database keeps the index's entries of what was claimed.
func TestALookAtWhatIsDuePassesWhatWasClaimed(t *testing.T) {
	s := newShop(t)
	s.rests(400, "o")
	due := func() time.Time {
		at, err := s.NextDue(t.Context(), []string{account})
		require.NoError(t, err)
		return at
	}
	first := due()
	for range 3 {
		loaded, err := s.Claim(t.Context(), s.token, account, 100)
		require.NoError(t, err)
		require.Len(t, loaded, 100, "what is due is claimed from the first on")
		due()
	}
	require.WithinDuration(t, first.Add(300*time.Second), due(), time.Second)

	before, since := s.Since(account), first.Add(300*time.Second)
	require.WithinDuration(t, since.Add(-2*time.Second), before, time.Second)
	s.rests(1, "late")
	s.exec(`UPDATE outbox.lanes SET next_at = $1 WHERE lane = (SELECT lane FROM outbox.deliveries ORDER BY id DESC LIMIT 1)`, since.Add(-time.Second))
	loaded, err := s.Claim(t.Context(), s.token, account, 1)
	require.NoError(t, err)
	require.Len(t, loaded, 1)
	require.Contains(t, loaded[0].Work[0].Event.OrderNo, "late", "a transaction that began earlier left it")
}

func TestALookAtEverythingFindsWhatIsDueSinceLong(t *testing.T) {
	s := newShop(t)
	s.rests(1, "o")
	_, err := s.NextDue(t.Context(), []string{account})
	require.NoError(t, err)
	s.exec(`UPDATE outbox.lanes SET next_at = now() - interval '1 hour'`)
	claimed := 0
	require.Eventually(t, func() bool {
		at, err := s.NextDue(t.Context(), []string{account})
		require.NoError(t, err)
		loaded, err := s.Claim(t.Context(), s.token, account, 1)
		require.NoError(t, err)
		require.Equal(t, at.IsZero(), len(loaded) == 0)
		claimed += len(loaded)
		return claimed == 1
	}, 20*time.Second, 100*time.Millisecond)
}

func TestALookAtEverythingComesMoreRarelyWhereItTakesLong(t *testing.T) {
	for took, later := range map[time.Duration]time.Duration{
		0: 0, 10 * time.Millisecond: time.Second, time.Second: time.Minute, time.Hour: time.Minute,
	} {
		require.Equal(t, later, outbox.SweptLater(took), took)
	}
}
