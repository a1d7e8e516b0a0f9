package devtest_test

import (
	"context"
	"errors"
	"os"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"syncworker/internal/devstack"
	"syncworker/internal/devstack/devtest"
)

func TestMain(m *testing.M) { os.Exit(devtest.Run(m)) }

func query(t *testing.T, dbURL, sql string) (out string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), dbURL)
	require.NoError(t, err)
	defer conn.Close(context.Background()) //nolint:errcheck // the test is over
	require.NoError(t, conn.QueryRow(t.Context(), sql).Scan(&out))
	return out
}

func migrate(ctx context.Context, dbURL string) error {
	conn, err := pgx.Connect(ctx, dbURL)
	if err != nil {
		return err
	}
	_, err = conn.Exec(ctx, `CREATE TABLE thing AS SELECT 'migrated' AS word`)
	return errors.Join(err, conn.Close(ctx))
}

func TestEachTestHasItsOwnCopyOfTheTemplate(t *testing.T) {
	var first string
	t.Run("writes", func(t *testing.T) {
		first = devtest.Database(t, migrate)
		second := devtest.Database(t, migrate)
		require.NotEqual(t, first, second)
		require.Equal(t, "mine", query(t, first, `UPDATE thing SET word = 'mine' RETURNING word`))
		require.Equal(t, "migrated", query(t, second, `SELECT word FROM thing`))
	})
	require.Equal(t, "migrated", query(t, devtest.Database(t, migrate), `SELECT word FROM thing`))
	_, err := pgx.Connect(t.Context(), first)
	require.ErrorContains(t, err, "does not exist", "it is dropped with its test")
}

func TestWithoutMigrationTheDatabaseIsEmpty(t *testing.T) {
	devtest.Database(t, migrate)
	require.Equal(t, "0", query(t, devtest.Database(t, nil),
		`SELECT count(*)::text FROM pg_tables WHERE schemaname = 'public'`))
}

func TestParallelTestsGetDatabases(t *testing.T) {
	for range 4 {
		t.Run("one of them", func(t *testing.T) {
			t.Parallel()
			require.Equal(t, "migrated", query(t, devtest.Database(t, migrate), `SELECT word FROM thing`))
		})
	}
}

func TestAClusterOfOnesOwn(t *testing.T) {
	p := devtest.Postgres(t, true)
	require.Equal(t, "on", query(t, p.URL, `SHOW fsync`))
	p.Kill()
	require.NoError(t, p.Restart(t.Context()))
	require.Equal(t, "off", query(t, devtest.Database(t, nil), `SHOW fsync`))
}

func TestNATSServersAreSeparate(t *testing.T) {
	a, b := devtest.NATSServer(t, devstack.NATSConfig{}), devtest.NATSServer(t, devstack.NATSConfig{})
	require.NotEqual(t, a.URL, b.URL)
}
