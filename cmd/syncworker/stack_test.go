package main

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"syncworker/internal/config"
	"syncworker/internal/consumer"
	"syncworker/internal/devstack"
	"syncworker/internal/devstack/devtest"
	"syncworker/internal/outbox"
	"syncworker/internal/sandbox"
)

// stack is everything around a worker: a database, NATS and the vendor's side.
type stack struct {
	url     string
	nats    *devstack.NATS
	sandbox *sandbox.Sandbox
	config  config.Config
	db      *pgx.Conn
	js      jetstream.JetStream
	members []int64 // of increments
}

func newStack(t *testing.T, switches sandbox.Switches) *stack {
	t.Helper()
	return newStackOn(t, devtest.Database(t, migrate), switches)
}

func migrate(ctx context.Context, url string) error {
	_, err := outbox.Migrate(ctx, url, nil)
	return err
}

func newStackOn(t *testing.T, url string, switches sandbox.Switches) *stack {
	t.Helper()
	s := &stack{url: url, nats: devtest.NATSServer(t, devstack.NATSConfig{})}
	var err error
	s.sandbox, err = sandbox.New(sandbox.Config{
		Accounts: []sandbox.Account{
			{AppID: "app", Secret: canarySecret},
			{AppID: "deals", Secret: canarySecret},
			{AppID: "shop", Secret: canarySecret, Vendor: sandbox.HeyShop, Store: "heyshop"},
			{AppID: "pospal", Secret: canarySecret, Vendor: sandbox.Pospal, Store: "pospal"},
		},
		Switches: switches,
	})
	require.NoError(t, err)
	server, err := sandbox.Listen("127.0.0.1:0", s.sandbox)
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })

	s.config = kinds().Default()
	s.config.NATS.URL = config.URL(s.nats.URL)
	s.config.NATS.MaxBytes = 1 << 30
	s.config.Database.URL = config.URL(s.url)
	s.config.HTTP.Listen = "127.0.0.1:0"
	s.config.Dispatch.Lease = 3 * time.Second
	account := kinds().Account("dmhub-loyalty")
	account.BaseURL, account.AppID, account.Secret = server.URL, "app", canarySecret
	account.Timeout, account.QuietPeriod, account.EarlyGrace = time.Second, 500*time.Millisecond, 2*time.Second
	account.RateLimit, account.MaxInFlight = 0, 32
	account.Retry.Initial, account.Retry.Max = 20*time.Millisecond, 200*time.Millisecond
	reads := kinds().Account("dmhub-deals")
	reads.BaseURL, reads.AppID, reads.Secret, reads.Timeout = server.URL, "deals", canarySecret, time.Second
	s.config.Vendors = map[string]config.Account{"dmhub": account, "deals": reads}
	s.config.Routes = []config.Route{{Types: []string{"order.*", "point.*"}, Tenants: []string{"*"}, Accounts: []string{"dmhub"}}}

	s.connect(t)
	conn, err := nats.Connect(s.nats.URL, nats.MaxReconnects(-1))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	s.js, err = jetstream.New(conn, jetstream.WithPublishAsyncMaxPending(20000))
	require.NoError(t, err)
	_, err = consumer.EnsureStream(t.Context(), s.js, streamConfig(s.config.NATS))
	require.NoError(t, err)
	return s
}

// connect gives the test its own connection to the database.
func (s *stack) connect(t *testing.T) {
	t.Helper()
	db, err := pgx.Connect(t.Context(), s.url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close(context.Background()) })
	s.db = db
}

const canarySecret = "canary-secret-7f3a"

// start runs a worker until stop is called, which waits for it to drain.
func (s *stack) start(t *testing.T) (stop func(), log *devtest.Log) {
	t.Helper()
	log = &devtest.Log{}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	a := &app{now: time.Now}
	done := make(chan error, 1)
	go func() { done <- a.work(ctx, s.config, zerolog.New(log)) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			require.NoError(t, <-done)
		})
	}
	t.Cleanup(func() {
		stop()
		if t.Failed() {
			text := log.String()
			t.Log(text[max(0, len(text)-20000):])
		}
	})
	return stop, log
}

func (s *stack) publish(t *testing.T, typ string, at time.Time, data map[string]any) {
	t.Helper()
	payload, err := json.Marshal(map[string]any{
		"specversion": "1.0", "id": fmt.Sprint(time.Now().UnixNano()), "source": "test", "type": typ,
		"time": at.UTC().Format(time.RFC3339Nano), "data": data,
	})
	require.NoError(t, err)
	_, err = s.js.Publish(t.Context(), "sync.events."+typ, payload)
	require.NoError(t, err)
}

// states counts the deliveries by state and reason.
func (s *stack) states(t *testing.T) map[string]int {
	t.Helper()
	rows, err := s.db.Query(context.Background(), `SELECT state || CASE WHEN reason <> '' THEN ':' || reason ELSE '' END, count(*) FROM outbox.deliveries GROUP BY 1`)
	require.NoError(t, err)
	counts := map[string]int{}
	var state string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&state, &n}, func() error { counts[state] = n; return nil })
	require.NoError(t, err)
	return counts
}
