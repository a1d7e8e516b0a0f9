package migrations_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// twoMonths adds 30,000 orders of which every tenth has a refund, over the last
// two months, as if they had come in at their own time.
const twoMonths = `
	SELECT outbox.ensure_partitions(now() - interval '2 months');
	CREATE TEMP TABLE trade AS
		SELECT nextval('outbox.event_id') AS id, now() - interval '2 minutes' * n AS at, 'S' || n AS order_no,
			CASE k WHEN 0 THEN '' ELSE 'r' || n END AS uuid, CASE k WHEN 0 THEN 'order.created' ELSE 'order.refunded' END AS type
		FROM generate_series(1, 30000) n, generate_series(0, 1) k WHERE k = 0 OR n % 10 = 0 ORDER BY n DESC;
	INSERT INTO outbox.identities (order_no, uuid, kind, tenant, event_id, received_at, event_time, sequence, hash_version, hash)
		SELECT order_no, uuid, type, 'default', id, at, at, 1, 1, '\x00' FROM trade;
	INSERT INTO outbox.events SELECT id, at, at, at, 1.01, NULL, 'default', type, 'ce-' || id, 'pos', '', order_no, uuid, '', '',
		'Pudong', 'pos', '', '', false, false, repeat(md5(order_no), 30) FROM trade;
	INSERT INTO outbox.deliveries (event_id, received_at, event_time, lane, lane_rank, account, type, state, delivered_at, owner, calls)
		SELECT id, at, at, gen_random_uuid(), 1, 'dmhub', type, 'delivered', at, 1, 1 FROM trade;
	INSERT INTO outbox.attempts (delivery_id, number, worker, started_at, duration_us, http_status, action, class, method,
			path, vendor_code, vendor_message, reply)
		SELECT id, 1, 1, received_at, 1000, 200, 'push', 'applied', 'POST', '/deal', '', '', repeat('x', 300) FROM outbox.deliveries;
	SELECT brin_summarize_new_values(c.oid) FROM pg_class c WHERE c.relkind = 'i' AND c.relname LIKE 'events_%_coalesce%';
	ANALYZE outbox.identities, outbox.events, outbox.deliveries, outbox.attempts`

func TestAFilterReachesAnIndex(t *testing.T) {
	b := newBooks(t)
	b.exec(twoMonths)
	large := b.rows(`SELECT relname FROM pg_class WHERE relnamespace::regnamespace::text = 'outbox' AND relkind = 'r' AND reltuples > 2000`)
	require.Greater(t, len(large), 4)
	scanned := regexp.MustCompile(`Seq Scan on (` + strings.Join(large, "|") + `)\b`)

	for sql, rows := range map[string]int{
		`SELECT * FROM finance.orders WHERE order_no = 'S70'`:                                         1,
		`SELECT * FROM finance.orders WHERE date_order >= now() - interval '1 hour'`:                  29,
		`SELECT * FROM finance.refunds WHERE order_no = 'S70'`:                                        1,
		`SELECT * FROM finance.refunds WHERE uuid = 'r70'`:                                            1,
		`SELECT * FROM finance.refunds WHERE date_refund >= now() - interval '1 hour'`:                2,
		`SELECT * FROM finance.points WHERE uuid = 'p1'`:                                              0,
		`SELECT * FROM finance.deliveries WHERE order_no = 'S70'`:                                     2,
		`SELECT * FROM finance.deliveries WHERE id = 70`:                                              1,
		`SELECT * FROM finance.deliveries WHERE received_at >= now() - interval '1 hour'`:             31,
		`SELECT * FROM finance.daily WHERE day = finance.today() - 10`:                                1,
		`SELECT * FROM finance.daily WHERE day BETWEEN finance.today() - 11 AND finance.today() - 10`: 2,
	} {
		require.Len(t, b.rows(sql), rows, sql)
		plan := strings.Join(b.rows(`EXPLAIN `+sql), "\n")
		require.NotRegexp(t, scanned, plan, sql)
	}
	plan := strings.Join(b.rows(`EXPLAIN SELECT state, count(*) FROM finance.deliveries GROUP BY state`), "\n")
	require.NotContains(t, plan, "attempts", "who doesn't ask for the last call doesn't pay for it")
}
