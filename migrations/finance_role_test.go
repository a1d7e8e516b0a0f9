package migrations_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"syncworker/internal/devstack/devtest"
	"syncworker/internal/outbox"
)

func TestAnotherDatabaseMakesTheRoleAtTheSameMoment(t *testing.T) {
	p := devtest.Postgres(t, false)
	admin := connect(t, p.URL)
	tx, err := admin.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `CREATE ROLE syncworker_finance LOGIN PASSWORD '`+financePassword+`'`)
	require.NoError(t, err)

	migrated := make(chan error)
	go func() { migrated <- migrate(t.Context(), p.URL) }()
	watch := connect(t, p.URL)
	require.Eventually(t, func() bool {
		var waits bool
		err := watch.QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'transactionid' AND NOT granted)`).Scan(&waits)
		return err == nil && waits
	}, time.Minute, 10*time.Millisecond, "the migration waits for whoever makes the role")
	require.NoError(t, tx.Commit(t.Context()))
	require.NoError(t, <-migrated)

	finance := connect(t, loginAs(t, p.URL, "syncworker_finance", financePassword))
	require.NoError(t, finance.QueryRow(t.Context(), `SELECT count(*) FROM finance.daily`).Scan(new(int)))
}

func TestWhoMayNotCreateRolesMigratesAndIsToldWhatToRun(t *testing.T) {
	p := devtest.Postgres(t, false)
	admin := connect(t, p.URL)
	run := func(conn *pgx.Conn, sql string) {
		t.Helper()
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	run(admin, `CREATE ROLE plain LOGIN PASSWORD 'plain'`)
	run(admin, `CREATE DATABASE shop OWNER plain`)
	shop := loginAs(t, databaseAt(t, p.URL, "shop"), "plain", "plain")
	var told []string
	_, err := outbox.Migrate(t.Context(), shop, func(notice string) { told = append(told, notice) })
	require.NoError(t, err)
	require.Len(t, told, 1, "and nothing of what the server itself has to say")
	require.Contains(t, told[0], "plain may not create roles. As one who may, run: CREATE ROLE")

	config, err := pgx.ParseConfig(shop)
	require.NoError(t, err)
	var notice string
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { notice = n.Message }
	plain, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	t.Cleanup(func() { plain.Close(t.Context()) }) //nolint:errcheck // the test is over
	run(plain, `SELECT finance.admit_reader()`)
	require.Contains(t, notice, "plain may not create roles")

	_, advice, found := strings.Cut(notice, "run: ")
	require.True(t, found, notice)
	forAdmin, forOwner, found := strings.Cut(advice, "and then, as plain: ")
	require.True(t, found, notice)
	run(admin, forAdmin)
	run(plain, forOwner)

	run(admin, `ALTER ROLE syncworker_finance PASSWORD '`+financePassword+`'`)
	finance := connect(t, loginAs(t, databaseAt(t, p.URL, "shop"), "syncworker_finance", financePassword))
	var readOnly, jit, timeout string
	err = finance.QueryRow(t.Context(), `SELECT current_setting('default_transaction_read_only'), current_setting('jit'),
		current_setting('statement_timeout') FROM (SELECT count(*) FROM finance.daily) d`).Scan(&readOnly, &jit, &timeout)
	require.NoError(t, err)
	require.Equal(t, []string{"on", "off", "1min"}, []string{readOnly, jit, timeout})
}

func databaseAt(t *testing.T, serverURL, name string) string {
	t.Helper()
	u, err := url.Parse(serverURL)
	require.NoError(t, err)
	u.Path = "/" + name
	return u.String()
}
