package outbox_test

import (
	"context"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"syncworker/internal/outbox"
)

func TestAMigrationThatHasToWaitForALockLetsTheWorkersThrough(t *testing.T) {
	s := newShop(t)
	_, err := s.conn.Exec(t.Context(), `
		ALTER TABLE outbox.positions DROP COLUMN doubt_read, DROP COLUMN timed_floor;
		ALTER TABLE outbox.deliveries DROP COLUMN blocks, DROP COLUMN mark;
		DROP TABLE outbox.quotas, outbox.commits;
		DELETE FROM goose_db_version WHERE version_id >= 9`)
	require.NoError(t, err)
	backup, err := s.conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = backup.Exec(t.Context(), `LOCK TABLE outbox.positions IN ACCESS SHARE MODE`)
	require.NoError(t, err)

	limited, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	waits, migrated := make(chan string, 1), make(chan error, 1)
	go func() {
		_, err := outbox.Migrate(limited, s.conn.Config().ConnString(), func(text string) { waits <- text })
		migrated <- err
	}()
	select {
	case text := <-waits:
		require.Contains(t, text, "lock timeout")
	case err := <-migrated:
		require.NoError(t, err, "it stands in the way all the time")
	}
	worker, err := pgx.ConnectConfig(t.Context(), s.conn.Config())
	require.NoError(t, err)
	defer worker.Close(t.Context()) //nolint:errcheck // the database is dropped next
	for range 3 {
		_, err = worker.Exec(limited, `SELECT FROM outbox.positions`)
		require.NoError(t, err)
	}
	require.NoError(t, backup.Rollback(t.Context()))
	require.NoError(t, <-migrated)
}
