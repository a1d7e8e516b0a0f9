package migrations_test

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"syncworker/internal/devstack/devtest"
	"syncworker/internal/outbox"
)

// books is a database with deliveries in it, and a login as finance.
type books struct {
	t       *testing.T
	url     string
	owner   *pgx.Conn
	finance *pgx.Conn
	// noon of today, in a time zone in which it is about noon now: no test
	// crosses midnight.
	noon time.Time
	zone string
}

// financePassword is what tests give to the role, which comes without one.
const financePassword = "abacus"

func newBooks(t *testing.T) *books {
	t.Helper()
	b := &books{t: t, url: devtest.Database(t, migrate)}
	b.owner = connect(t, b.url)
	b.exec(`ALTER ROLE syncworker_finance PASSWORD '` + financePassword + `'`)
	b.finance = connect(t, loginAs(t, b.url, "syncworker_finance", financePassword))

	now := time.Now().UTC()
	east := 12 - now.Hour()
	b.zone = "Etc/GMT" + map[bool]string{true: "-", false: "+"}[east >= 0] + strconv.Itoa(max(east, -east))
	b.noon = now.Truncate(time.Hour)
	store, err := outbox.Open(t.Context(), b.url, 1, 0)
	require.NoError(t, err)
	defer store.Close()
	require.NoError(t, store.SetFinanceTimeZone(t.Context(), b.zone))
	return b
}

func connect(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { conn.Close(context.Background()) }) //nolint:errcheck // the test is over
	return conn
}

func loginAs(t *testing.T, dbURL, user, password string) string {
	t.Helper()
	u, err := url.Parse(dbURL)
	require.NoError(t, err)
	u.User = url.UserPassword(user, password)
	return u.String()
}

func (b *books) exec(sql string, args ...any) {
	b.t.Helper()
	_, err := b.owner.Exec(b.t.Context(), sql, args...)
	require.NoError(b.t, err)
}

// rows runs a query as finance and returns each row as text, NULL as "-".
func (b *books) rows(sql string, args ...any) []string {
	b.t.Helper()
	rows, err := b.finance.Query(b.t.Context(), sql, append([]any{pgx.QueryExecModeSimpleProtocol}, args...)...)
	require.NoError(b.t, err)
	lines, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (string, error) {
		var fields []string
		for _, v := range row.RawValues() {
			if v == nil {
				v = []byte("-")
			}
			fields = append(fields, string(v))
		}
		return strings.Join(fields, " | "), nil
	})
	require.NoError(b.t, err)
	return lines
}

// entry is one event with its delivery to each account.
type entry struct {
	kind    string // the event's type
	tenant  string // default where empty
	order   string
	uuid    string
	amount  string
	points  int
	store   string
	member  string
	remark  string
	toZero  bool
	at      time.Duration // from noon of today
	undated bool          // only the event has a time, its data has none

	accounts string // by blanks; dmhub where empty
	state    string // delivered where empty
	reason   string
	applied  string
	ref      string
	status   int // of the last attempt, where there was one
	code     string
	message  string
}

// add writes the rows that enqueuing, dispatching and settling an event leave.
func (b *books) add(entries ...entry) {
	b.t.Helper()
	for _, e := range entries {
		if e.tenant == "" {
			e.tenant = "default"
		}
		if e.accounts == "" {
			e.accounts = "dmhub"
		}
		if e.state == "" {
			e.state = "delivered"
		}
		id := b.addEvent(&e)
		for account := range strings.FieldsSeq(e.accounts) {
			b.addDelivery(&e, id, strings.Trim(account, "-"))
		}
	}
}

func (b *books) addEvent(e *entry) (id int64) {
	b.t.Helper()
	kind := e.kind
	if strings.HasPrefix(kind, "point.") {
		kind = "point"
	}
	at := b.noon.Add(e.at)
	err := b.owner.QueryRow(b.t.Context(), `
		INSERT INTO outbox.identities (order_no, uuid, kind, tenant, event_time, sequence, hash_version, hash)
		VALUES ($1, $2, $3, $4, $5, 1, 1, '\x00') RETURNING event_id`, e.order, e.uuid, kind, e.tenant, at).Scan(&id)
	require.NoError(b.t, err)
	b.exec(`
		INSERT INTO outbox.events (id, received_at, event_time, occurred_at, amount, points, tenant, type, ce_id, source,
			order_no, uuid, membership_id, member, store, sales_channel, pattern, remark, decr_to_zero, binary_mode, payload)
		SELECT event_id, received_at, event_time, CASE WHEN NOT $2 THEN event_time END, nullif($3, '')::numeric,
			nullif($4::bigint, 0), tenant, $5, 'ce-' || event_id, 'pos/till-1', order_no, uuid, '', $6, $7, 'pos', '0', $8, $9, false, '{}'
		FROM outbox.identities WHERE event_id = $1`,
		id, e.undated, e.amount, e.points, e.kind, e.member, e.store, e.remark, e.toZero)
	return id
}

func (b *books) addDelivery(e *entry, event int64, account string) {
	b.t.Helper()
	var id int64
	err := b.owner.QueryRow(b.t.Context(), `
		INSERT INTO outbox.deliveries (event_id, received_at, event_time, lane, lane_rank, account, type, state, reason,
			vendor_ref, points_applied, delivered_at, owner, attempts, calls)
		SELECT event_id, received_at, event_time, gen_random_uuid(), 1, $2, $3, $4, $5, $6, nullif($7, '')::bigint,
			CASE WHEN $4 = 'delivered' THEN now() END, CASE WHEN $4 IN ('delivered', 'dead', 'cancelled') THEN 1 END, $8, $8
		FROM outbox.identities WHERE event_id = $1 RETURNING id`,
		event, account, e.kind, e.state, e.reason, e.ref, e.applied, map[bool]int{true: 2}[e.status != 0]).Scan(&id)
	require.NoError(b.t, err)
	if e.status == 0 {
		return
	}
	b.exec(`
		INSERT INTO outbox.attempts (delivery_id, number, worker, started_at, duration_us, http_status, late, action,
			class, method, path, vendor_code, vendor_message, reply)
		SELECT $1, u.number, 1, now(), 1000, u.status, u.late, 'push', 'refused', 'POST', '/deal', u.code, u.message, ''
		FROM (VALUES (1, 503, false, 'first', 'not the last'), (2, $2::int, false, $3, $4), (2, 504, true, 'late', 'came late'))
			u(number, status, late, code, message)`, id, e.status, e.code, e.message)
}

// aDaysTrade is what the documented queries are asked about.
func aDaysTrade() []entry {
	const yesterday = -24 * time.Hour
	return []entry{
		{kind: "order.created", order: "A1", amount: "0.1", store: "Pudong", at: -2 * time.Hour, ref: "8281"},
		{kind: "order.created", order: "A2", amount: "0.2", store: "Pudong", at: -2 * time.Hour},

		{kind: "order.created", order: "A3", amount: "100.00", store: "Jingan", at: -6 * time.Hour},
		{kind: "order.updated", order: "A3", uuid: "u2", amount: "90.00", at: -4 * time.Hour},
		{kind: "order.updated", order: "A3", uuid: "u1", amount: "95.00", at: -5 * time.Hour},
		{kind: "order.updated", order: "A3", uuid: "u3", at: -3 * time.Hour},
		{kind: "order.updated", order: "A3", uuid: "u4", amount: "80.00", at: -2 * time.Hour, state: "held", reason: "superseded"},
		{kind: "order.refunded", order: "A3", uuid: "r1", amount: "20.00", at: -2 * time.Hour},
		{kind: "order.refunded", order: "A3", uuid: "r2", amount: "5.00", at: -2 * time.Hour},
		{kind: "order.refund_deleted", order: "A3", uuid: "r2", at: -time.Hour},
		{kind: "order.refunded", order: "A3", uuid: "r3", amount: "7.00", at: -time.Hour, state: "held", reason: "no_read"},
		{kind: "order.refund_deleted", order: "A3", uuid: "r1", at: -time.Hour, state: "held", reason: "several_refunds"},

		{kind: "order.created", order: "A4", amount: "50.00", store: "Jingan", at: -3 * time.Hour},
		{kind: "order.cancelled", order: "A4", at: -2 * time.Hour},
		{kind: "order.refunded", order: "A4", uuid: "r4", amount: "10.00", at: -time.Hour},

		{kind: "order.created", order: "A5", amount: "30.00", store: "Pudong", at: -3 * time.Hour, state: "held", reason: "no_read"},
		{
			kind: "order.created", order: "A6", amount: "40.00", store: "Pudong", at: -2 * time.Hour, state: "dead", reason: "refused",
			status: 200, code: "210", message: "member 13800000000 not found",
		},
		{kind: "order.created", order: "A10", amount: "15.00", store: "Pudong", at: 30 * time.Minute, state: "pending"},
		{kind: "order.created", order: "A11", amount: "999.00", store: "Pudong", at: -2 * time.Hour, state: "cancelled", reason: "cancelled_by_person"},

		{kind: "order.created", order: "A7", amount: "200.00", store: "Pudong", at: yesterday},
		{kind: "order.refunded", order: "A7", uuid: "r7", amount: "250.00", at: -time.Hour},
		{kind: "order.refunded", order: "A8", uuid: "r8", amount: "12.34", at: yesterday},
		{kind: "order.created", order: "A9", amount: "60.00", store: "Pudong", at: yesterday},
		{kind: "order.cancelled", order: "A9", at: yesterday + time.Hour},
		{kind: "order.deleted", order: "A9", at: yesterday + 2*time.Hour},

		{kind: "order.created", order: "B1", amount: "10.00", store: "Jingan", at: -2 * time.Hour, accounts: "dmhub mirror"},

		{kind: "point.incremented", uuid: "p1", points: 8, member: "mobile:13800000000", remark: "order A1", at: -2 * time.Hour},
		{kind: "point.decremented", uuid: "p2", points: 5, member: "mobile:13800000000", at: -time.Hour, toZero: true, applied: "3"},
		{kind: "point.incremented", uuid: "p3", points: 100, member: "id:16508", remark: "order A6", at: -time.Hour},
		{kind: "point.incremented", uuid: "p4", points: 50, member: "id:16508", remark: "order A404", at: -time.Hour, state: "held", reason: "member_not_found"},
		{kind: "point.incremented", uuid: "p5", points: 7, member: "mobile:13811110000", remark: "call 13800000000", at: -time.Hour, undated: true},
		{kind: "point.incremented", uuid: "p7", points: 4, member: "id:9", at: yesterday},
		{
			kind: "point.decremented", uuid: "p6", points: 9, member: "wechat:oXyz", at: -time.Hour, state: "dead", reason: "refused",
			status: 200, code: "409180", message: "Points not enough!",
		},
	}
}

func (b *books) one(sql string, args ...any) string {
	b.t.Helper()
	rows := b.rows(sql, args...)
	require.Len(b.t, rows, 1, fmt.Sprintf("%s %v", sql, args))
	return rows[0]
}
