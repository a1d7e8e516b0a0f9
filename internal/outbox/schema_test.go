package outbox_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"syncworker/internal/devstack/devtest"
	"syncworker/internal/outbox"
)

func TestAWorkerTellsWhetherItCanWorkWithTheSchema(t *testing.T) {
	const newer = `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9001, true), (9002, true)`
	for name, c := range map[string]struct {
		sql   string
		wants string // of the error; empty: it works
	}{
		"its own":            {sql: `SELECT 1`},
		"newer, and expands": {sql: newer},
		"newer, and contracts what newer workers use": {
			sql: newer + `; COMMENT ON SCHEMA outbox IS 'oldest worker: 9001'`, wants: "use a worker that knows version 9001 or a later one",
		},
		"contracted before this worker": {sql: newer + `; COMMENT ON SCHEMA outbox IS 'oldest worker: 9'`},
		"older": {
			sql:   `DELETE FROM goose_db_version WHERE version_id = (SELECT max(version_id) FROM goose_db_version)`,
			wants: "run 'syncworker migrate up' of this worker first",
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			_, err := s.conn.Exec(t.Context(), c.sql)
			require.NoError(t, err)
			_, err = s.Prepare(t.Context(), "Asia/Shanghai", []string{account})
			if c.wants == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, c.wants)
		})
	}
}

func TestAWorkerWithoutItsSchemaSaysSo(t *testing.T) {
	store, err := outbox.Open(t.Context(), devtest.Database(t, nil), 4, 0)
	require.NoError(t, err)
	defer store.Close()
	_, err = store.Prepare(t.Context(), "Asia/Shanghai", nil)
	require.ErrorContains(t, err, "run 'syncworker migrate up' first")
}

func TestAnOlderBinaryMigratesNothingWhereTheSchemaIsNewer(t *testing.T) {
	s := newShop(t)
	_, err := s.conn.Exec(t.Context(), `INSERT INTO goose_db_version (version_id, is_applied) VALUES (9001, true)`)
	require.NoError(t, err)
	applied, err := outbox.Migrate(t.Context(), s.conn.Config().ConnString(), nil)
	require.NoError(t, err)
	require.Empty(t, applied)
}
