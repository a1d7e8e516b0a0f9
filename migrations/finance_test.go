package migrations_test

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"
)

// contract has the columns that users' own queries rely on, in their order.
var contract = map[string]string{
	"orders": "tenant, account, order_no, source, store, sales_channel, date_order, amount_paid, refunded_total, " +
		"net_amount, order_state, delivery_state, reason, vendor_ref, delivered_at",
	"refunds": "tenant, account, order_no, uuid, refund_total, date_refund, delivery_state, reason, delivered_at",
	"points": "tenant, account, uuid, member, direction, points, points_applied, pattern, remark, occurred_at, " +
		"delivery_state, reason, delivered_at",
	"deliveries": "id, tenant, account, type, order_no, uuid, member, state, reason, attempts, http_status, " +
		"vendor_code, vendor_message, received_at, delivered_at",
	"daily": "day, tenant, account, store, orders, amount_paid, refunds, refund_total, points_in, points_out, " +
		"undelivered, undelivered_amount",
}

func TestTheViewsHaveTheirColumnsAndEachIsDescribed(t *testing.T) {
	b := newBooks(t)
	views := b.rows(`SELECT relname FROM pg_class WHERE relnamespace = 'finance'::regnamespace AND relkind = 'v'`)
	require.Len(t, views, len(contract))
	for view, columns := range contract {
		got := b.one(`SELECT string_agg(attname, ', ' ORDER BY attnum) FROM pg_attribute
			WHERE attrelid = ('finance.' || $1)::regclass AND attnum > 0`, view)
		require.True(t, strings.HasPrefix(got, columns), "finance.%s has %s", view, got)
		require.Empty(t, b.rows(`SELECT attname FROM pg_attribute WHERE attrelid = ('finance.' || $1)::regclass
			AND attnum > 0 AND coalesce(col_description(attrelid, attnum), '') = ''`, view), "not described in %s", view)
		require.NotEqual(t, "-", b.one(`SELECT obj_description(('finance.' || $1)::regclass)`, view))
	}
}

func TestFinanceReadsTheViewsAndNothingElse(t *testing.T) {
	b := newBooks(t)
	b.add(aDaysTrade()...)
	for view := range contract {
		require.NotEqual(t, "0", b.one(`SELECT count(*) FROM finance.`+view))
	}
	b.exec(`INSERT INTO outbox.tokens VALUES ('dmhub', 'secret', 1, now(), now())`)
	denied := []string{
		`SELECT * FROM outbox.tokens`, `SELECT * FROM outbox.events`, `SELECT * FROM outbox.deliveries`,
		`SELECT * FROM outbox.attempts`, `SELECT * FROM outbox.order_effects`, `SELECT * FROM finance.settings`,
		`SELECT outbox.ensure_partitions(now())`, `UPDATE finance.settings SET time_zone = 'UTC'`,
		`UPDATE finance.deliveries SET state = 'delivered'`, `DELETE FROM finance.deliveries`,
		`CREATE TABLE finance.mine (n int)`, `CREATE TABLE public.mine (n int)`, `CREATE ROLE mine`,
	}
	for _, sql := range denied {
		_, err := b.finance.Exec(t.Context(), sql)
		var pg *pgconn.PgError
		require.ErrorAs(t, err, &pg, sql)
		// No right, a read-only transaction, or a view that nothing can be written through.
		require.Contains(t, []string{"42501", "25006", "55000"}, pg.Code, "%s: %v", sql, err)
	}
	_, err := b.finance.Exec(t.Context(), `SET default_transaction_read_only = off`)
	require.NoError(t, err)
	for _, sql := range denied {
		_, err := b.finance.Exec(t.Context(), sql)
		require.Error(t, err, "even where the session says that it may write: %s", sql)
	}
}

func TestTheRoleIsBounded(t *testing.T) {
	b := newBooks(t)
	require.Equal(t, "1min | on | 1min", b.one(`SELECT current_setting('statement_timeout'),
		current_setting('default_transaction_read_only'), current_setting('idle_in_transaction_session_timeout')`))
	require.Equal(t, "false | false | false", b.one(`SELECT rolsuper::text, rolcreaterole::text, rolcreatedb::text
		FROM pg_roles WHERE rolname = 'syncworker_finance'`))
}

func TestAnOrderSaysWhatWasPaidGivenBackAndDelivered(t *testing.T) {
	b := newBooks(t)
	b.add(aDaysTrade()...)
	for order, want := range map[string]string{
		"A1":  "Pudong | 0.1 | 0 | 0.1 | created | delivered |  | 8281 | true",
		"A3":  "Jingan | 90.00 | 20.00 | 70.00 | created | delivered |  |  | true",
		"A4":  "Jingan | 50.00 | 10.00 | 0 | cancelled | delivered |  |  | true",
		"A5":  "Pudong | 30.00 | 0 | 30.00 | created | held | no_read |  | false",
		"A8":  "- | - | 12.34 | - | - | - | - | - | false",
		"A9":  "Pudong | 60.00 | 0 | 0 | deleted | delivered |  |  | true",
		"A11": "Pudong | 999.00 | 0 | 999.00 | created | cancelled | cancelled_by_person |  | false",
	} {
		require.Equal(t, want, b.one(`SELECT store, amount_paid, refunded_total, net_amount, order_state, delivery_state,
			reason, vendor_ref, (delivered_at IS NOT NULL)::text FROM finance.orders WHERE order_no = $1`, order), order)
	}
	require.Equal(t, []string{"dmhub | 10.00", "mirror | 10.00"},
		b.rows(`SELECT account, net_amount FROM finance.orders WHERE order_no = 'B1' ORDER BY account`))
	require.Equal(t, []string{"r1 | false | delivered", "r2 | true | delivered", "r3 | false | held"},
		b.rows(`SELECT uuid, (taken_back_at IS NOT NULL)::text, delivery_state FROM finance.refunds
			WHERE order_no = 'A3' ORDER BY uuid`))
}

func TestOneAccountsRefundIsNotAnothers(t *testing.T) {
	b := newBooks(t)
	b.add(
		entry{kind: "order.created", order: "X", amount: "10", accounts: "dmhub mirror"},
		entry{kind: "order.created", order: "X", amount: "70", tenant: "other"},
		entry{kind: "order.refunded", order: "X", uuid: "r", amount: "4", accounts: "mirror"},
		entry{kind: "order.cancelled", order: "X", tenant: "other"},
		entry{kind: "order.refunded", order: "X", uuid: "r", amount: "1", tenant: "other", accounts: "third"},
	)
	require.Equal(t, []string{
		"default | dmhub | 10 | 0 | 10 | created",
		"default | mirror | 10 | 4 | 6 | created",
		"other | dmhub | 70 | 0 | 0 | cancelled",
		"other | third | - | 1 | - | -",
	}, b.rows(`SELECT tenant, account, amount_paid, refunded_total, net_amount, order_state FROM finance.orders
		ORDER BY tenant, account`))
}

func TestARefundOutlivesTheCreateThatRetentionDropped(t *testing.T) {
	b := newBooks(t)
	b.add(aDaysTrade()...)
	b.exec(`DELETE FROM outbox.events WHERE order_no = 'A7' AND type = 'order.created'`)
	require.Equal(t, "- | 250.00 | - | - | -", b.one(`SELECT amount_paid, refunded_total, net_amount, order_state, delivery_state
		FROM finance.orders WHERE order_no = 'A7'`))
}

func TestAnEventThatHasGotAnAccountStandsOnce(t *testing.T) {
	b := newBooks(t)
	b.add(entry{kind: "order.created", order: "X", amount: "10", accounts: "-", state: "held", reason: "unrouted"})
	require.Equal(t, " | held", b.one(`SELECT account, delivery_state FROM finance.orders`))
	b.exec(`UPDATE outbox.deliveries SET state = 'cancelled', reason = 'routed', owner = 0`)
	b.exec(`INSERT INTO outbox.deliveries (event_id, received_at, event_time, lane, lane_rank, account, type, state)
		SELECT event_id, received_at, event_time, lane, lane_rank, 'dmhub', type, 'pending' FROM outbox.deliveries`)
	require.Equal(t, "dmhub | pending", b.one(`SELECT account, delivery_state FROM finance.orders`))
	require.Equal(t, "2", b.one(`SELECT count(*) FROM finance.deliveries`))
}

func TestADayIsADayOfTheTimeZone(t *testing.T) {
	b := newBooks(t)
	b.exec(`UPDATE finance.settings SET time_zone = 'Asia/Shanghai'`)
	b.add(
		entry{kind: "order.created", order: "late", amount: "1", at: 0},
		entry{kind: "order.created", order: "early", amount: "2", at: 0},
	)
	b.exec(`UPDATE outbox.events SET occurred_at = CASE order_no WHEN 'late' THEN timestamptz '2026-03-01T15:59:59.999Z'
		ELSE '2026-03-01T16:00:00Z' END`)
	require.Equal(t, []string{"2026-03-01 | 1", "2026-03-02 | 2"}, b.rows(`SELECT day, amount_paid FROM finance.daily ORDER BY day`))
	require.Equal(t, "2", b.one(`SELECT amount_paid FROM finance.daily WHERE day = '2026-03-02'`))
	require.Equal(t, "early", b.one(`SELECT order_no FROM finance.orders WHERE date_order >= finance.day_start('2026-03-02')`))

	// An hour that comes twice, midnight in it: the clock goes back at one.
	b.exec(`UPDATE finance.settings SET time_zone = 'America/Havana'`)
	b.exec(`UPDATE outbox.events SET occurred_at = '2025-11-02T04:30:00Z'`)
	require.Equal(t, []string{"2025-11-02 | 2"}, b.rows(`SELECT day, orders FROM finance.daily WHERE day = '2025-11-02'`))
}

func TestTheDayHasWhatWasDeliveredAndWhatIsNot(t *testing.T) {
	b := newBooks(t)
	b.add(aDaysTrade()...)
	require.Equal(t, []string{
		"dmhub |  | 0 | 0 | 0 | 0 | 115 | 3 | 2 | 0 | 0 | 0",
		"dmhub | Jingan | 3 | 150.00 | 2 | 30.00 | 0 | 0 | 3 | 7.00 | 1 | 50.00",
		"dmhub | Pudong | 2 | 0.3 | 1 | 250.00 | 0 | 0 | 3 | 85.00 | 0 | 0",
		"mirror | Jingan | 1 | 10.00 | 0 | 0 | 0 | 0 | 0 | 0 | 0 | 0",
	}, b.rows(`SELECT account, store, orders, amount_paid, refunds, refund_total, points_in, points_out, undelivered,
		undelivered_amount, cancelled, cancelled_amount FROM finance.daily WHERE day = finance.today() ORDER BY 1, 2`))

	perDay := b.one(`SELECT sum(orders), sum(amount_paid), sum(refund_total), sum(points_in - points_out) FROM finance.daily`)
	require.Equal(t, b.one(`SELECT
		(SELECT count(*) FROM finance.orders WHERE delivery_state = 'delivered'),
		(SELECT sum(amount_paid) FROM finance.orders WHERE delivery_state = 'delivered'),
		(SELECT sum(refund_total) FROM finance.refunds WHERE delivery_state = 'delivered' AND taken_back_at IS NULL),
		(SELECT sum(direction * points_applied) FROM finance.points)`), perDay, "the days add up to what the other views have")
}

func TestSumsAreExactToTheCent(t *testing.T) {
	b := newBooks(t)
	b.add(
		entry{kind: "order.created", order: "1", amount: "0.1", store: "s"},
		entry{kind: "order.created", order: "2", amount: "0.2", store: "s"},
		entry{kind: "order.created", order: "3", amount: "123456789012345678.91", store: "big"},
		entry{kind: "order.created", order: "4", amount: "0.09", store: "big"},
		entry{kind: "order.refunded", order: "3", uuid: "r", amount: "123456789012345678.90", store: "big"},
	)
	require.Equal(t, []string{"big | 123456789012345679.00 | 123456789012345678.90", "s | 0.3 | 0"},
		b.rows(`SELECT store, amount_paid, refund_total FROM finance.daily ORDER BY store`))
	require.Equal(t, "0.01", b.one(`SELECT net_amount FROM finance.orders WHERE order_no = '3'`))
	require.Equal(t, "0.40", b.one(`SELECT sum(net_amount) FROM finance.orders`))
}

func TestPointsSayWhatTheVendorMoved(t *testing.T) {
	b := newBooks(t)
	b.add(aDaysTrade()...)
	b.add(entry{kind: "point.decremented", uuid: "p8", points: 5, member: "id:1", toZero: true})
	require.Equal(t, []string{
		"p1 | 1 | 8 | 8", "p2 | -1 | 5 | 3", "p3 | 1 | 100 | 100", "p4 | 1 | 50 | -", "p5 | 1 | 7 | 7",
		"p6 | -1 | 9 | -", "p7 | 1 | 4 | 4", "p8 | -1 | 5 | -",
	}, b.rows(`SELECT uuid, direction, points, points_applied FROM finance.points ORDER BY uuid`))
	require.Equal(t, "true", b.one(`SELECT (occurred_at = $1)::text FROM finance.points WHERE uuid = 'p5'`,
		b.noon.Add(-time.Hour)), "without a date, the event's time")
}

func TestNobodyIsNamed(t *testing.T) {
	b := newBooks(t)
	for member, want := range map[string]string{
		"": "", "id:16508": "id:16508", "mobile:13800000000": "mobile:138****0000", "mobile:+8613800000000": "mobile:+86****0000",
		"card:88001234": "card:8****", "wechat:oXyz": "wechat:o****", "email:bob@example.com": "email:b****",
		"id:bob": "id:b****", "odd:a:13800000000": "odd:a****", "x:": "x:****", "x:a\nb": "x:a****",
	} {
		require.Equal(t, want, b.one(`SELECT finance.mask_member($1)`, member))
	}
	b.add(aDaysTrade()...)
	for view := range contract {
		for _, row := range b.rows(`SELECT v::text FROM finance.` + view + ` v`) {
			require.NotContains(t, row, "13800000000", view)
			require.NotContains(t, row, "oXyz", view)
		}
	}
	require.Equal(t, "2 | 1", b.one(`SELECT count(*), count(DISTINCT member_key) FROM finance.points WHERE uuid IN ('p1', 'p2')`))
}

func TestADeliveryShowsTheLastCallInItsOrder(t *testing.T) {
	b := newBooks(t)
	b.add(aDaysTrade()...)
	require.Equal(t, "dead | refused | 2 | 200 | 210 | 40.00", b.one(`SELECT state, reason, attempts, http_status, vendor_code, amount
		FROM finance.deliveries WHERE order_no = 'A6'`), "neither the first call, nor the answer that came late")
	require.Equal(t, "held | - | -", b.one(`SELECT state, http_status, vendor_message FROM finance.deliveries WHERE order_no = 'A5'`))
	require.Equal(t, b.one(`SELECT count(*) FROM finance.deliveries`), b.one(`SELECT count(DISTINCT id) FROM finance.deliveries`))
}
