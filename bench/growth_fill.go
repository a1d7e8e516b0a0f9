package main

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

// What a grown database holds. Finished deliveries are spread over history, ids
// and times growing together; of ten, six concern four orders, and the other four
// are points of grownMembers members.
const (
	history      = 360 * 24 * time.Hour
	grownMembers = 50_000
	blockedIDs   = 10_000 // left free for what was blocked when four fifths had come
	chunk        = 100_000
)

// laneSQL is the lane of a kind and key at the account dmhub, as outbox.LaneOf has it.
func laneSQL(kind, key string) string {
	return `encode(substr(sha256('dmhub\000` + kind + `\000'::bytea || convert_to(` + key + `, 'UTF8')), 1, 16), 'hex')::uuid`
}

// grown is the shape of one event with its delivery; the fills differ in what they
// put into it.
const grown = `
	CREATE TEMP TABLE grown (id bigint, at timestamptz, order_no text, uuid text, type text, kind text, member text,
		lane uuid, state text, reason text, next_at timestamptz, calls int, payload text)`

// finishedSQL makes the n-th to m-th of $3 finished events, from $4 on.
var finishedSQL = `
	INSERT INTO grown SELECT
		1 + n + CASE WHEN n >= $3::bigint / 5 * 4 THEN ` + fmt.Sprint(blockedIDs) + ` ELSE 0 END, $4::timestamptz + $5::interval * (n::float8 / $3),
		o, CASE WHEN k < 4 THEN '' ELSE md5('u' || n)::uuid::text END,
		t, CASE WHEN k < 6 THEN t ELSE 'point' END, CASE WHEN k < 6 THEN '' ELSE m END,
		CASE WHEN k < 6 THEN ` + laneSQL("order", "o") + ` ELSE ` + laneSQL("member", "m") + ` END,
		CASE WHEN n % 1000 = 7 THEN 'dead' ELSE 'delivered' END, CASE WHEN n % 1000 = 7 THEN 'refused' ELSE '' END, NULL, 1,
		'{"specversion":"1.0","id":"' || n || '","source":"pos/shanghai-001","type":"' || t || '","data":{"orderNo":"' || o || '","amountPaid":19.90}}'
	FROM (SELECT n, k, 'id:' || ` + fmt.Sprint(firstMember) + ` + n * 7919 % ` + fmt.Sprint(grownMembers) + ` AS m,
			CASE WHEN k < 4 THEN 'F' || n WHEN k < 6 THEN 'F' || n - 4 ELSE '' END AS o,
			(ARRAY['order.created', 'order.created', 'order.created', 'order.created', 'order.updated', 'order.refunded',
				'point.incremented', 'point.incremented', 'point.incremented', 'point.decremented'])[k + 1] AS t
		FROM (SELECT n, n % 10 AS k FROM generate_series($1::bigint, $2) n) a) b`

// liveData is the data of a create that the vendor takes.
const liveData = `'{"orderNo":"' || o || '","dateOrder":"2026-11-21T08:00:00Z","amountPaid":19.90,"amountTotal":19.90,"store":"Pudong",'
	|| '"salesChannel":"pos","membershipId":' || ` + "10000 + n % 1999" + ` || ',"dealLines":[{"lineId":"1","productName":"Tea","qty":1}]}'`

// liveSQL makes the n-th to m-th live orders, named after $3, from the id $4 on. Of
// five, two are due; the others in the next day, as after a call that didn't get
// through. $5 makes all of them due.
var liveSQL = `
	INSERT INTO grown SELECT $4::bigint + 1 + n, now() - interval '1 hour', o, '', 'order.created', 'order.created', 'id:' || 10000 + n % 1999,
		` + laneSQL("order", "o") + `, 'pending', CASE WHEN due THEN '' ELSE 'not_reached' END,
		CASE WHEN due THEN now() - interval '1 hour' * random() ELSE now() + interval '1 hour' + interval '1 day' * random() END, CASE WHEN due THEN 0 ELSE 1 END,
		'{"specversion":"1.0","id":"' || o || '","source":"pos/shanghai-001","type":"order.created","time":"2026-11-21T08:00:00Z","data":' || ` + liveData + ` || '}'
	FROM (SELECT n, $3::text || n AS o, $5 OR n % 5 < 2 AS due FROM generate_series($1::bigint, $2) n) a`

// laneOfOneSQL makes points of one member, all in one lane, from the id $4 on.
var laneOfOneSQL = `
	INSERT INTO grown SELECT $4::bigint + 1 + n, now() - interval '1 hour' + interval '1 ms' * n, '', u, 'point.incremented', 'point', 'id:' || $5::bigint,
		` + laneSQL("member", "'id:' || $5::bigint") + `, 'pending', '', now() - interval '1 minute', 0,
		'{"specversion":"1.0","id":"' || u || '","source":"crm/points","type":"point.incremented","time":"2026-11-21T08:00:00Z","data":{"uuid":"' || u
			|| '","membershipId":' || $5::bigint || ',"point":1,"pattern":2}}'
	FROM (SELECT n, md5($3::text || n)::uuid::text AS u FROM generate_series($1::bigint, $2) n) a`

// blockedSQL makes orders whose create is held, and five updates behind each that wait.
var blockedSQL = `
	INSERT INTO grown SELECT $4::bigint + 1 + n, $5::timestamptz + interval '1 second' * n, o, CASE WHEN k = 0 THEN '' ELSE md5($3::text || n)::uuid::text END, t, t,
		'id:10000', ` + laneSQL("order", "o") + `, CASE WHEN k = 0 THEN 'held' ELSE 'waiting' END,
		CASE WHEN k = 0 THEN 'mismatch' ELSE 'predecessor_held' END, NULL, CASE WHEN k = 0 THEN 2 ELSE 0 END,
		'{"specversion":"1.0","id":"' || n || '","source":"pos/shanghai-001","type":"' || t || '","time":"2026-11-21T08:00:00Z","data":' || ` + liveData + ` || '}'
	FROM (SELECT n, n % 6 AS k, $3::text || n / 6 AS o, CASE WHEN n % 6 = 0 THEN 'order.created' ELSE 'order.updated' END AS t
		FROM generate_series($1::bigint, $2) n) a`

// spreadSQL puts what grown holds into the tables, as the worker would have left it.
var spreadSQL = []string{
	`INSERT INTO outbox.identities (order_no, uuid, kind, tenant, event_id, received_at, event_time, sequence, hash_version, hash)
		SELECT order_no, uuid, kind, 'default', id, at, at, id, 1, sha256(convert_to(payload, 'UTF8')) FROM grown`,
	`INSERT INTO outbox.events SELECT id, at, at, at, CASE WHEN kind <> 'point' THEN 19.90 END, CASE WHEN kind = 'point' THEN 1 END,
		'default', type, 'ce-' || payload_id, 'pos/shanghai-001', '', order_no, uuid, CASE WHEN member LIKE 'id:%' THEN substr(member, 4) ELSE '' END,
		member, CASE WHEN kind <> 'point' THEN 'Pudong' ELSE '' END, '', CASE WHEN kind = 'point' THEN '2' ELSE '' END, '', false, false, payload
		FROM (SELECT *, id AS payload_id FROM grown) g`,
	`INSERT INTO outbox.lanes (lane, kind, account, tenant, epoch, created, open_refunds, updated_to, resting, news, next_at)
		SELECT lane, CASE WHEN max(kind) = 'point' THEN 'member' ELSE 'order' END, 'dmhub', 'default', 1,
			coalesce(max(state) FILTER (WHERE type = 'order.created' AND state IN ('delivered', 'dead')), ''),
			count(*) FILTER (WHERE type = 'order.refunded' AND state = 'delivered'),
			max(at) FILTER (WHERE type = 'order.updated' AND state = 'delivered'),
			bool_or(state NOT IN ('delivered', 'dead')), bool_or(next_at IS NOT NULL), min(next_at)
		FROM grown GROUP BY lane ORDER BY lane
		ON CONFLICT (lane) DO UPDATE SET resting = lanes.resting OR excluded.resting, news = lanes.news OR excluded.news,
			next_at = CASE WHEN lanes.owner IS NULL THEN coalesce(excluded.next_at, lanes.next_at) END`,
	`INSERT INTO outbox.deliveries (id, event_id, received_at, event_time, state_since, next_attempt_at, first_sent_at, delivered_at,
			owner, lane, attempts, calls, points_applied, lane_rank, account, type, state, reason, vendor_key, vendor_ref)
		OVERRIDING SYSTEM VALUE
		SELECT id, id, at, at, at, CASE WHEN calls = 1 THEN next_at END, CASE WHEN calls > 0 THEN at END, CASE WHEN state = 'delivered' THEN at END,
			CASE WHEN state IN ('delivered', 'dead') THEN 1 END, lane, calls, calls, CASE WHEN kind = 'point' AND calls > 0 THEN 1 END,
			CASE WHEN type = 'order.created' THEN 0 ELSE 1 END, 'dmhub', type, state, reason, CASE WHEN kind = 'point' THEN uuid END,
			CASE WHEN state = 'delivered' THEN '8281' ELSE '' END FROM grown`,
	`INSERT INTO outbox.attempts (delivery_id, number, worker, started_at, recorded_at, duration_us, http_status, action, class, method, path,
			vendor_code, vendor_message, reply)
		SELECT id, c, 1, at, at, 9000, 200, 'push', CASE state WHEN 'delivered' THEN 'applied' WHEN 'dead' THEN 'refused' ELSE 'not_sent' END,
			'POST', '/loyalty/v1/deal', '', '', '{"id":8281,"orderNo":"' || order_no || '","amountPaid":19.90,"state":"created"}'
		FROM grown, generate_series(1, calls) c`,
}

// filler puts rows into one database.
type filler struct{ url string }

// run makes what a statement says of 0 to n - 1, in chunks, some at a time; args are
// its parameters behind the first two.
func (f filler) run(ctx context.Context, n int, sql string, args ...any) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(runtime.NumCPU())
	for from := 0; from < n; from += chunk {
		group.Go(func() error { return f.chunk(ctx, sql, append([]any{from, min(from+chunk, n) - 1}, args...)) })
	}
	return group.Wait()
}

func (f filler) chunk(ctx context.Context, sql string, args []any) error {
	conn, err := pgx.Connect(ctx, f.url)
	if err != nil {
		return fmt.Errorf("connecting to Postgres: %w", err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // what was to be written is committed
	// Rows may be lost while the tables are filled; the run would end then.
	const set = `SET synchronous_commit = off; SET work_mem = '64MB'; SET temp_buffers = '128MB'; SET jit = off`
	if _, err := conn.Exec(ctx, set); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, grown); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, sql, args...); err != nil {
			return fmt.Errorf("filling the tables: %w", err)
		}
		for _, into := range spreadSQL {
			if _, err := tx.Exec(ctx, into); err != nil {
				return fmt.Errorf("filling the tables: %w: %s", err, strings.Join(strings.Fields(into), " ")[:60])
			}
		}
		return nil
	})
}

// finished fills the tables with n finished deliveries, one after another over the
// time that has gone by, and makes the partitions that they would have met.
func (f filler) finished(ctx context.Context, n int) error {
	from := time.Now().UTC().Add(-history)
	if err := f.exec(ctx, `SELECT outbox.ensure_partitions(m) FROM generate_series($1::timestamptz, now(), interval '15 days') m`, from); err != nil {
		return err
	}
	if err := f.run(ctx, n, finishedSQL, n, from, history-2*time.Hour); err != nil {
		return err
	}
	return f.exec(ctx, `SELECT setval('outbox.deliveries_id_seq', $1), setval('outbox.event_id', $1)`, n+blockedIDs)
}

// blocked adds lanes that a held create blocks, from when four fifths of n had come.
func (f filler) blocked(ctx context.Context, n, lanes int) error {
	at := time.Now().UTC().Add(-history / 5)
	return f.run(ctx, 6*lanes, blockedSQL, "B", n/5*4, at)
}

// live adds n live orders behind all that there is. due makes all of them due.
func (f filler) live(ctx context.Context, name string, n int, due bool) error {
	first, err := f.reserve(ctx, n)
	if err != nil {
		return err
	}
	return f.run(ctx, n, liveSQL, name, first, due)
}

// lane adds n points of one member.
func (f filler) lane(ctx context.Context, name string, n int, member int64) error {
	first, err := f.reserve(ctx, n)
	if err != nil {
		return err
	}
	return f.run(ctx, n, laneOfOneSQL, name, first, member)
}

// reserve moves the ids on, and returns the last before those that are free then.
func (f filler) reserve(ctx context.Context, n int) (last int64, err error) {
	conn, err := pgx.Connect(ctx, f.url)
	if err != nil {
		return 0, fmt.Errorf("connecting to Postgres: %w", err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // nothing is left to be written
	const sql = `
		WITH l AS (SELECT greatest(nextval('outbox.deliveries_id_seq'), nextval('outbox.event_id')) AS last)
		SELECT last FROM l, LATERAL (SELECT setval('outbox.deliveries_id_seq', last + $1), setval('outbox.event_id', last + $1)) s`
	if err := conn.QueryRow(ctx, sql, n).Scan(&last); err != nil {
		return 0, fmt.Errorf("reserving ids: %w", err)
	}
	return last, nil
}

// tidy does what autovacuum would have done long ago.
func (f filler) tidy(ctx context.Context) error {
	const summarize = `SELECT brin_summarize_new_values(c.oid) FROM pg_class c JOIN pg_am m ON m.oid = c.relam
		WHERE m.amname = 'brin' AND c.relkind = 'i'`
	for _, sql := range []string{
		`VACUUM (ANALYZE) outbox.identities, outbox.events, outbox.lanes, outbox.deliveries, outbox.attempts`, summarize, `CHECKPOINT`,
	} {
		if err := f.exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

func (f filler) exec(ctx context.Context, sql string, args ...any) error {
	conn, err := pgx.Connect(ctx, f.url)
	if err != nil {
		return fmt.Errorf("connecting to Postgres: %w", err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // what was to be written is committed
	if _, err := conn.Exec(ctx, sql, args...); err != nil {
		return fmt.Errorf("filling the tables: %w", err)
	}
	return nil
}
