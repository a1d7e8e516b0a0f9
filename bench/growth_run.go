package main

import (
	"context"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
)

// growthResult is one measurement.
type growthResult struct {
	Stage     string `json:"stage"`
	Round     int    `json:"round"`
	Grown     bool   `json:"grown"`     // else on empty tables
	Computing bool   `json:"computing"` // the open query took a core when this began

	Fresh       int     `json:"fresh_events"`
	Written     int     `json:"deliveries"` // with those that had rested
	Seconds     float64 `json:"seconds"`
	PerSecond   float64 `json:"deliveries_per_second"`
	CPU         float64 `json:"cpu_seconds_per_1000"`
	PostgresCPU float64 `json:"postgres_cpu_seconds_per_1000"`
	WAL         float64 `json:"wal_bytes_per_delivery"`
	FullPages   float64 `json:"wal_full_pages_per_delivery"`
	PeakMiB     float64 `json:"peak_mib"`
	Start       float64 `json:"start_seconds"` // from the process to its first call
	Stop        float64 `json:"stop_seconds"`  // from the signal to its end
	claimCost

	Statements []statement `json:"statements"`
}

// claimCost is what claiming by query cost.
type claimCost struct {
	Claims    int     `json:"claims"`
	Lanes     int     `json:"lanes_claimed"`
	PerClaim  float64 `json:"ms_per_claim"` // with the loading of what rests in the lanes
	PerLane   float64 `json:"ms_per_lane"`
	NextDue   float64 `json:"ms_per_look_for_what_is_due"`
	PerIntend float64 `json:"ms_per_statement_of_intents"`
}

// growthRun is one measurement while it goes on.
type growthRun struct {
	*grownState
	name     string // of what is laid for it
	database string
	conn     *pgx.Conn
	last     int64 // the last delivery before the fresh ones
	ended    time.Time
	result   *growthResult
}

// run starts a worker, and notes what it took until all fresh events were settled.
func (m *growthRun) run(ctx context.Context) error {
	v, err := m.startVendor(scene{})
	if err != nil {
		return err
	}
	defer v.server.Close() //nolint:errcheck // nothing is written any more
	cmd, err := m.workerCommand(m.database, account{name: "dmhub", url: v.url, tenants: "*", slots: growthSlots})
	if err != nil {
		return err
	}
	if m.result.Grown && m.stage.retention {
		keep, err := m.keepAllButOneMonth(ctx)
		if err != nil {
			return err
		}
		cmd.Env = append(os.Environ(), "SYNCWORKER_DATABASE_RETENTION="+keep.String())
	}
	if _, err := m.admin.Exec(ctx, `SELECT pg_stat_statements_reset()`); err != nil {
		return fmt.Errorf("forgetting the statistics of statements: %w", err)
	}
	pages, err := m.fullPages(ctx)
	if err != nil {
		return err
	}
	before, err := m.usage(ctx)
	if err != nil {
		return err
	}
	began := time.Now()
	worker, err := m.launch(cmd, m.database)
	if err != nil {
		return err
	}
	defer worker.end()
	if err := m.observe(ctx, worker, v, before, pages); err != nil {
		return fmt.Errorf("%w\n%s", err, lastLines(worker.log))
	}
	m.result.Start = time.Unix(0, v.first.Load()).Sub(began).Seconds()
	began = time.Now()
	worker.end()
	m.result.Stop = time.Since(began).Seconds()
	return m.count(ctx, v)
}

// observe waits until all fresh events are settled, and as many calls made as there
// are on the empty tables, and reads what has been spent.
func (m *growthRun) observe(ctx context.Context, worker *process, v *vendor, before usage, pages float64) error {
	const settled = `SELECT count(*) FROM outbox.deliveries WHERE id > $1 AND state IN ('delivered', 'dead', 'cancelled')`
	all := int64((1 + duePerEvent) * m.opts.events)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for n := 0; n < m.opts.events; {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d calls are made, and %d of %d fresh events are settled (%s): %w",
				v.writes.Load(), all, n, m.opts.events, m.standing(), ctx.Err())
		case <-worker.ended:
			return fmt.Errorf("%d of %d fresh events are settled, and the worker has ended", n, m.opts.events)
		case <-tick.C:
		}
		if v.writes.Load() < all {
			continue // asking the database would cost what is being measured
		}
		if err := m.conn.QueryRow(ctx, settled, m.last).Scan(&n); err != nil {
			return fmt.Errorf("counting what is settled: %w", err)
		}
	}
	m.ended = time.Now()
	r, written := m.result, int(v.writes.Load())
	after, err := m.usage(ctx)
	if err != nil {
		return err
	}
	cpu, _, err := cpuOf(worker.cmd.Process.Pid)
	if err != nil {
		return err
	}
	now, err := m.fullPages(ctx)
	if err != nil {
		return err
	}
	n := float64(written)
	r.Fresh, r.CPU, r.PostgresCPU = m.opts.events, cpu/n*1000, (after.postgres-before.postgres)/n*1000
	r.WAL, r.FullPages = float64(after.wal-before.wal)/n, (now-pages)/n
	if r.PeakMiB, err = peakMiB(worker.cmd.Process.Pid); err != nil {
		return err
	}
	if r.Statements, err = m.statements(ctx, m.database, written); err != nil {
		return err
	}
	r.claimCost, err = m.claimCost(ctx)
	return err
}

// standing says what the deliveries of this measurement have come to.
func (m *growthRun) standing() string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	const sql = `
		SELECT concat_ws(', ',
			(SELECT string_agg(format('%s fresh %s', n, state), ', ')
				FROM (SELECT state, count(*) n FROM outbox.deliveries WHERE id > $1 GROUP BY 1) s),
			(SELECT string_agg(format('%s at rest %s %s', n, listed, reason), ', ')
				FROM (SELECT listed, reason, count(*) n FROM outbox.deliveries WHERE listed IN ('pending', 'waiting', 'unknown', 'held') GROUP BY 1, 2) s),
			(SELECT format('%s lanes due', count(*)) FROM outbox.lanes WHERE next_at <= now()),
			(SELECT format('%s lanes owned', count(*)) FROM outbox.lanes WHERE owner IS NOT NULL))`
	var text string
	if err := m.conn.QueryRow(ctx, sql, m.last).Scan(&text); err != nil {
		return err.Error()
	}
	return text
}

// count counts what was written down meanwhile.
func (m *growthRun) count(ctx context.Context, v *vendor) error {
	r, first := m.result, time.Unix(0, v.first.Load())
	const written = `SELECT count(*) FROM outbox.attempts WHERE started_at >= $1 AND recorded_at <= $2 AND action = 'push'`
	if err := m.conn.QueryRow(ctx, written, first.Add(-time.Second), m.ended).Scan(&r.Written); err != nil {
		return fmt.Errorf("counting what was written down: %w", err)
	}
	r.Seconds = m.ended.Sub(first).Seconds()
	r.PerSecond = float64(r.Written) / r.Seconds
	return nil
}

// claimCost reads what the statements cost that find, take and load lanes.
func (m *growthRun) claimCost(ctx context.Context) (c claimCost, err error) {
	const sql = `
		WITH s AS (
			SELECT query, s.calls, s.rows, total_exec_time AS ms
			FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = $1)
		SELECT coalesce(sum(calls) FILTER (WHERE query LIKE '%FOR UPDATE SKIP LOCKED%RETURNING lane, kind%'), 0)::int,
			coalesce(sum(rows) FILTER (WHERE query LIKE '%FOR UPDATE SKIP LOCKED%RETURNING lane, kind%'), 0)::int,
			coalesce(sum(ms) FILTER (WHERE query LIKE '%FOR UPDATE SKIP LOCKED%RETURNING lane, kind%'
				OR query LIKE '%WITH taken AS%' OR query LIKE '%handed = l.handed + u.loaded%'), 0)::float8,
			coalesce(sum(ms) FILTER (WHERE query LIKE '%LEFT JOIN LATERAL (SELECT next_at FROM outbox.lanes%')
				/ sum(calls) FILTER (WHERE query LIKE '%LEFT JOIN LATERAL (SELECT next_at FROM outbox.lanes%'), 0)::float8,
			coalesce(sum(ms) FILTER (WHERE query LIKE '%first_sent_at = coalesce(d.first_sent_at, u.sent_at)%')
				/ sum(calls) FILTER (WHERE query LIKE '%first_sent_at = coalesce(d.first_sent_at, u.sent_at)%'), 0)::float8
		FROM s`
	var ms float64
	if err := m.admin.QueryRow(ctx, sql, m.database).Scan(&c.Claims, &c.Lanes, &ms, &c.NextDue, &c.PerIntend); err != nil {
		return c, fmt.Errorf("reading what claims cost: %w", err)
	}
	c.PerClaim, c.PerLane = ms/max(float64(c.Claims), 1), ms/max(float64(c.Lanes), 1)
	return c, nil
}

// fullPages is how many whole pages were ever written to the WAL.
func (m *growthRun) fullPages(ctx context.Context) (pages float64, err error) {
	if err = m.admin.QueryRow(ctx, `SELECT wal_fpi FROM pg_stat_wal`).Scan(&pages); err != nil {
		err = fmt.Errorf("reading the statistics of the WAL: %w", err)
	}
	return pages, err
}

// keepAllButOneMonth is a retention by which the worker drops the oldest month that
// is there.
func (m *growthRun) keepAllButOneMonth(ctx context.Context) (time.Duration, error) {
	var name string
	const sql = `SELECT min(relname) FROM pg_class WHERE relname ~ '^events_[0-9]{6}$' AND relkind = 'r'`
	if err := m.conn.QueryRow(ctx, sql).Scan(&name); err != nil {
		return 0, fmt.Errorf("looking for the oldest partition: %w", err)
	}
	return retentionFor(name, time.Now())
}

// retentionFor is the longest time, in whole hours, by which a partition such as
// events_202511 is past its retention.
func retentionFor(partition string, now time.Time) (time.Duration, error) {
	month, err := time.Parse("events_200601", partition)
	if err != nil {
		return 0, fmt.Errorf("reading the month of a partition: %w", err)
	}
	return now.Sub(month.AddDate(0, 1, 0)).Truncate(time.Hour), nil
}

// openQuery is a transaction of finance: it reads everything once, and stays open.
type openQuery struct {
	began time.Time
	busy  atomic.Bool
	ended chan struct{}
	leave context.CancelFunc
}

// open is for how long it has been open; for ever where there is none.
func (q *openQuery) open() time.Duration {
	if q == nil {
		return 1 << 62
	}
	return time.Since(q.began)
}

func (q *openQuery) computing() bool { return q != nil && q.busy.Load() }

// queryTimeout is what a role of finance has for one query.
const queryTimeout = "60s"

// openQuery lets finance read all orders and deliveries of the grown database from
// one snapshot. The longest that a query may take is what its role is given.
func (g *grownState) openQuery(ctx context.Context) (*openQuery, error) {
	conn, err := pgx.Connect(ctx, g.url)
	if err != nil {
		return nil, fmt.Errorf("connecting to Postgres: %w", err)
	}
	const begin = `BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL statement_timeout = '` + queryTimeout + `'; SELECT count(*) FROM finance.settings`
	if _, err := conn.Exec(ctx, begin); err != nil {
		return nil, fmt.Errorf("opening a query: %w", err)
	}
	ctx, leave := context.WithCancel(ctx)
	q := &openQuery{began: time.Now(), ended: make(chan struct{}), leave: leave}
	q.busy.Store(true)
	go func() {
		defer close(q.ended)
		defer conn.Close(context.Background()) //nolint:errcheck // it has only read
		for _, sql := range []string{
			`SELECT state, count(*), sum(amount) FROM finance.deliveries GROUP BY state`,
			`SELECT order_state, count(*), sum(net_amount) FROM finance.orders GROUP BY order_state`,
		} {
			// One that takes too long ends; the snapshot stays.
			_, _ = conn.Exec(ctx, `SAVEPOINT one`)
			if _, err := conn.Exec(ctx, sql); err != nil {
				_, _ = conn.Exec(ctx, `ROLLBACK TO one`)
			}
		}
		q.busy.Store(false)
		<-ctx.Done()
	}()
	return q, nil
}

// end gives the snapshot up.
func (q *openQuery) end() {
	q.leave()
	<-q.ended
}
