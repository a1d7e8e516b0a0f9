package outbox_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"syncworker/internal/devstack/devtest"
	"syncworker/internal/outbox"
)

func TestFinanceCountsByTheZoneOfTheConfig(t *testing.T) {
	url := devtest.Database(t, migrate)
	store, err := outbox.Open(t.Context(), url, 1, 0)
	require.NoError(t, err)
	defer store.Close()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer conn.Close(t.Context()) //nolint:errcheck // the test is over
	settings := func() (zone, version string) {
		require.NoError(t, conn.QueryRow(t.Context(), `SELECT time_zone, ctid::text FROM finance.settings`).Scan(&zone, &version))
		return zone, version
	}

	zone, before := settings()
	require.Equal(t, "Asia/Shanghai", zone)
	require.NoError(t, store.SetFinanceTimeZone(t.Context(), "Asia/Shanghai"))
	_, after := settings()
	require.Equal(t, before, after, "what is so already isn't written")

	require.NoError(t, store.SetFinanceTimeZone(t.Context(), "Europe/Paris"))
	zone, _ = settings()
	require.Equal(t, "Europe/Paris", zone)

	err = store.SetFinanceTimeZone(t.Context(), "Mars/Olympus")
	require.ErrorContains(t, err, `finance.time_zone: Postgres doesn't know the zone "Mars/Olympus"`)
	zone, _ = settings()
	require.Equal(t, "Europe/Paris", zone)
}
