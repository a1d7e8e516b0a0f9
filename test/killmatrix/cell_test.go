package killmatrix

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"syncworker/internal/consumer"
	"syncworker/internal/devstack"
	"syncworker/internal/devstack/devtest"
	"syncworker/internal/event"
	"syncworker/internal/outbox"
	"syncworker/internal/sandbox"
)

const secret = "canary-secret-7f3a"

// lease of the workers; three times the timeout of a call, as the configuration
// wants it.
const lease = 1800 * time.Millisecond

// cell is everything around the workers of one cell: what they share.
type cell struct {
	t       *testing.T
	db      *pgx.Conn
	js      jetstream.JetStream
	sandbox *sandbox.Sandbox
	account string // what is published is its tenant's
	member  int64
	file    string // the configuration
	began   time.Time
	sent    []event.Type // what has been published
}

func migrate(ctx context.Context, url string) error {
	_, err := outbox.Migrate(ctx, url, nil)
	return err
}

// newCell starts a cell's servers. quiet is the account's quiet_period.
func newCell(t *testing.T, quiet time.Duration) *cell {
	t.Helper()
	return newCellOn(t, devtest.Database(t, migrate), quiet)
}

func newCellOn(t *testing.T, url string, quiet time.Duration) *cell {
	t.Helper()
	c := &cell{t: t, account: dmhub, began: time.Now().Add(-time.Hour).UTC()}
	server := devtest.NATSServer(t, devstack.NATSConfig{})
	var err error
	c.sandbox, err = sandbox.New(sandbox.Config{Accounts: []sandbox.Account{
		{AppID: dmhub, Secret: secret},
		{AppID: deals, Secret: secret},
		{AppID: shop, Secret: secret, Vendor: sandbox.HeyShop, Store: shop},
		{AppID: till, Secret: secret, Vendor: sandbox.Pospal, Store: till},
	}})
	require.NoError(t, err)
	vendor, err := sandbox.Listen("127.0.0.1:0", c.sandbox)
	require.NoError(t, err)
	t.Cleanup(func() { _ = vendor.Close() })
	for _, store := range []string{"", shop, till} {
		members, err := c.sandbox.SeedMembers(sandbox.Seed{Store: store, FirstID: 16508, Count: 1, Mobile: mobile, Points: 500})
		require.NoError(t, err)
		c.member = members[0]
	}
	require.NoError(t, c.sandbox.AddPospalPromotion(sandbox.PospalPromotion{Store: till, UID: promotion}))

	c.db, err = pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = c.db.Close(context.Background()) })
	conn, err := nats.Connect(server.URL, nats.MaxReconnects(-1))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	c.js, err = jetstream.New(conn)
	require.NoError(t, err)
	_, err = consumer.EnsureStream(t.Context(), c.js, consumer.Config{Stream: "SYNC", Replicas: 1, MaxBytes: 1 << 30})
	require.NoError(t, err)

	c.file = filepath.Join(t.TempDir(), "syncworker.yaml")
	common := fmt.Sprintf("base_url: %q, timeout: 600ms, quiet_period: %s, early_grace: 300ms, rate_limit: 0, retry: {initial: 20ms, max: 200ms}",
		vendor.URL, quiet)
	text := fmt.Sprintf(`
nats: {url: %q, max_bytes: 1GiB, ack_wait: 1s}
database: {url: %q, max_connections: 4}
http: {listen: "127.0.0.1:0"}
dispatch: {lease: %s, drain_timeout: 5s}
vendors:
  dmhub: {kind: dmhub-loyalty, app_id: dmhub, semantics: {order_reads: deals}, `+common+`}
  deals: {kind: dmhub-deals, app_id: deals, `+common+`}
  shop: {kind: heyshop, `+common+`}
  till: {kind: pospal, app_id: till, `+common+`}
routes:
  - {types: ["order.*", "point.*", "member.*", "coupon.*", "device.*"], tenants: [dmhub], accounts: [dmhub]}
  - {types: ["order.*"], tenants: [deals], accounts: [deals]}
  - {types: ["point.*", "level.*"], tenants: [shop], accounts: [shop]}
  - {types: ["coupon.*"], tenants: [till], accounts: [till]}
`, server.URL, url, lease)
	require.NoError(t, os.WriteFile(c.file, []byte(text), 0o600))
	return c
}

// publish publishes events of the account's tenant, a minute apart.
func (c *cell) publish(types ...event.Type) {
	c.t.Helper()
	for _, t := range types {
		at := c.began.Add(time.Duration(len(c.sent)) * time.Minute)
		payload, err := json.Marshal(map[string]any{
			"specversion": "1.0", "id": fmt.Sprint("e-", len(c.sent)), "source": "test", "type": t, "tenant": c.account,
			"time": at.Format(time.RFC3339Nano), "data": c.dataOf(t, at),
		})
		require.NoError(c.t, err)
		_, err = c.js.Publish(c.t.Context(), "sync.events."+string(t), payload)
		require.NoError(c.t, err)
		c.sent = append(c.sent, t)
	}
}

// text returns the one text that a query has.
func (c *cell) text(sql string, args ...any) string {
	c.t.Helper()
	var text *string
	err := c.db.QueryRow(context.Background(), sql, args...).Scan(&text)
	if err == pgx.ErrNoRows || err == nil && text == nil {
		return ""
	}
	require.NoError(c.t, err)
	return *text
}

// state is how the delivery of an event stands: "held unclear".
func (c *cell) state(t event.Type) string {
	c.t.Helper()
	return strings.TrimSpace(c.text(`SELECT state || ' ' || reason FROM outbox.deliveries WHERE type = $1`, string(t)))
}

// becomes waits until the deliveries of events stand so.
func (c *cell) becomes(state string, types ...event.Type) {
	c.t.Helper()
	for _, t := range types {
		eventually(c.t, func() bool { return c.state(t) == state }, fmt.Sprintf("%s is %s", t, state))
		require.Empty(c.t, c.text(`SELECT string_agg(detail, '; ') FROM outbox.rejects`))
	}
}

// calls are the attempts of an event's delivery, those of a worker that had lost
// its lease with a mark: "push! find push".
func (c *cell) calls(t event.Type) string {
	c.t.Helper()
	return c.text(`SELECT string_agg(action || CASE WHEN late THEN '!' ELSE '' END, ' ' ORDER BY number, late)
		FROM outbox.attempts a JOIN outbox.deliveries d ON d.id = a.delivery_id WHERE d.type = $1`, string(t))
}

// pause stops the account, and waits until the worker has noticed: it looks each
// time when it has renewed its lease.
func (c *cell) pause() {
	c.t.Helper()
	c.does("vendors", "pause", c.account, "--reason", "test")
	c.renews(3)
}

// renews waits until the one worker has renewed its lease so often.
func (c *cell) renews(times int) {
	c.t.Helper()
	const lease = `SELECT lease_until::text FROM outbox.workers WHERE ended_at IS NULL`
	eventually(c.t, func() bool { return c.text(lease) != "" }, "it has a token")
	for range times {
		last := c.text(lease)
		eventually(c.t, func() bool { return c.text(lease) != last }, "the lease is renewed")
	}
}

func (c *cell) resume() {
	c.t.Helper()
	c.does("vendors", "resume", c.account, "--reason", "test")
}
