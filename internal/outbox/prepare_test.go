package outbox_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

func TestWhatIsDueForAnAccountThatLeftTheConfigurationIsHeld(t *testing.T) {
	s := newShop(t)
	s.comes(line{kind: event.OrderCreated, order: "o1"}, line{kind: event.OrderCancelled, order: "o1", minute: 1},
		line{kind: event.PointIncremented, uuid: "p1"})
	held, err := s.Prepare(t.Context(), "Asia/Shanghai", []string{account})
	require.NoError(t, err)
	require.Zero(t, held)
	held, err = s.Prepare(t.Context(), "Asia/Shanghai", []string{"another"})
	require.NoError(t, err)
	require.Equal(t, 3, held)
	require.Equal(t, 3, s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'held' AND reason = 'account_missing'`))
	claimed, err := s.Claim(t.Context(), s.token, account, 10)
	require.NoError(t, err)
	require.Empty(t, claimed)
}

func TestRetentionDropsPartitionsOfWhichNothingLiveIsLeft(t *testing.T) {
	s := newShop(t)
	old := time.Now().AddDate(-1, 0, 0)
	_, err := s.conn.Exec(t.Context(), `SELECT outbox.ensure_partitions($1)`, old)
	require.NoError(t, err)
	partitions := func() int {
		return s.count(`SELECT count(*) FROM pg_inherits WHERE inhparent IN ('outbox.events'::regclass, 'outbox.attempts'::regclass)`)
	}
	before := partitions()
	id := s.comes(line{kind: event.OrderCreated, order: "o1"})[0]
	for _, table := range []string{"identities", "events", "deliveries"} {
		_, err = s.conn.Exec(t.Context(), `UPDATE outbox.`+table+` SET received_at = $1`, old)
		require.NoError(t, err)
	}

	dropped, err := s.KeepHouse(t.Context(), 0)
	require.NoError(t, err)
	require.Empty(t, dropped, "0 keeps everything")
	dropped, err = s.KeepHouse(t.Context(), 90*24*time.Hour)
	require.NoError(t, err)
	require.Empty(t, dropped, "a delivery of that time is still live")
	claimed, err := s.Claim(t.Context(), s.token, account, 10)
	require.NoError(t, err)
	require.Len(t, claimed, 1)
	dropped, err = s.KeepHouse(t.Context(), 90*24*time.Hour)
	require.NoError(t, err)
	require.Empty(t, dropped, "a worker holds it")
	_, err = s.conn.Exec(t.Context(), `UPDATE outbox.deliveries SET state = 'delivered', delivered_at = now() WHERE id = $1`, id)
	require.NoError(t, err)
	dropped, err = s.KeepHouse(t.Context(), 90*24*time.Hour)
	require.NoError(t, err)
	require.Len(t, dropped, 6)
	require.Equal(t, before-6, partitions())
}

// Whoever writes waits behind one who waits for a table of its own.
func TestHousekeepingDoesntWaitForWhoReads(t *testing.T) {
	s := newShop(t)
	s.exec(`SELECT outbox.ensure_partitions($1)`, time.Now().AddDate(-1, 0, 0))
	next := time.Now().UTC().AddDate(0, 0, 1-time.Now().UTC().Day()).AddDate(0, 2, 0).Format("outbox.events_200601")
	for what, missing := range map[string]bool{"nothing to make": false, "a month to make": true} {
		t.Run(what, func(t *testing.T) {
			if missing {
				s.exec(`DROP TABLE ` + next)
			}
			reader, err := s.conn.Begin(t.Context())
			require.NoError(t, err)
			defer reader.Rollback(context.WithoutCancel(t.Context())) //nolint:errcheck // it has only read
			_, err = reader.Exec(t.Context(), `SELECT count(*) FROM outbox.events`)
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			_, err = s.KeepHouse(ctx, 90*24*time.Hour)
			require.ErrorIs(t, err, outbox.ErrRead)
		})
	}
	dropped, err := s.KeepHouse(t.Context(), 90*24*time.Hour)
	require.NoError(t, err)
	require.Len(t, dropped, 6)
}
