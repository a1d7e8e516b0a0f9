package outbox_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

func TestWhatWaitsForAPersonIsCounted(t *testing.T) {
	s := newShop(t)
	counts := func() map[string]int {
		list, err := s.Undecided(t.Context(), []string{account, "other"})
		require.NoError(t, err)
		got := map[string]int{}
		for _, x := range list {
			got[x.Account+" "+x.Kind] = x.Count
		}
		return got
	}
	none := map[string]int{
		" held": 0, " dead": 0, account + " held": 0, account + " dead": 0, "other held": 0, "other dead": 0,
		" conflict": 0, " reject": 0,
	}
	require.Equal(t, none, counts(), "a metric that is there before anything is wrong")

	s.comes(line{kind: event.OrderCreated, order: "u-0"})
	for _, order := range []string{"u-1", "u-2"} {
		s.comesAs(outbox.Held, line{kind: event.OrderCreated, order: order})
	}
	dead := s.comesAs(outbox.Dead, line{kind: event.OrderCreated, order: "u-3"})
	s.comesTo(nil, nil, line{kind: event.OrderCreated, order: "u-4"})
	s.comes(line{kind: event.OrderCreated, order: "u-0", amount: "31.50"})
	conflict := s.conflict()
	s.rejects(`{"x": 1}`, 100)
	got := counts()
	require.Equal(t, []int{2, 1, 1, 1, 1}, []int{
		got[account+" held"], got[account+" dead"], got[" held"], got[" conflict"], got[" reject"],
	})

	s.acts(outbox.Cancel, dead)
	s.exec(`UPDATE outbox.conflicts SET resolution = 'kept_first', resolved_at = now() WHERE id = $1`, conflict)
	s.exec(`UPDATE outbox.rejects SET republished_at = now()`)
	got = counts()
	require.Zero(t, got[account+" dead"]+got[" conflict"]+got[" reject"])

	s.exec(`INSERT INTO outbox.rejects (last_sequence, digest, subject, reason, field, detail, headers, payload)
		SELECT n, int8send(n), '', '', '', '', '', '' FROM generate_series(1, 1100) n`)
	require.Equal(t, outbox.UndecidedLimit, counts()[" reject"], "no scrape reads more")
}
