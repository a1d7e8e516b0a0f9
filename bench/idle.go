package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	idleSettles = 15 * time.Second // until nothing is left of the start
	idleFor     = 30 * time.Second
	idleCPU     = 0.5 // % of a core
	idleQueries = 2   // a second
)

// idling is what a worker costs that has nothing to do.
type idling struct {
	Seconds      float64 `json:"seconds"`
	CPU          float64 `json:"worker_percent_of_a_core"`
	PostgresCPU  float64 `json:"postgres_percent_of_a_core"` // all of its processes
	Transactions float64 `json:"transactions_per_second"`
	Queries      []query `json:"queries"`
}

// query is a statement of the worker; a ping of its pool has none.
type query struct {
	SQL       string  `json:"sql"`
	PerSecond float64 `json:"per_second"`
	MsEach    float64 `json:"ms_each"`
}

// idle measures a worker that has worked and has nothing left to do.
func (s *stack) idle(ctx context.Context, out io.Writer, p progress) error {
	p.say("idle: %s", idleSettles+idleFor)
	i, err := s.idling(ctx)
	if err != nil {
		return fmt.Errorf("idle: %w", err)
	}
	p.say("")
	lines := i.lines()
	missed, err := writeLines(out, lines)
	if err != nil {
		return err
	}
	if err := keep(s.opts.out, map[string]any{"machine": s.machine(ctx), "idle": i, "goals": lines}); err != nil {
		return err
	}
	return missedGoals(missed)
}

func (i idling) lines() []line {
	sum := 0.0
	for _, q := range i.Queries {
		sum += q.PerSecond
	}
	lines := []line{
		atMost("an idle worker", i.CPU, idleCPU, "% of a core", fmt.Sprintf("over %.0f s", i.Seconds)),
		figure("Postgres, all processes", i.PostgresCPU, "% of a core", ""),
		atMost("queries a second", sum, idleQueries, "", ""),
		atMost("transactions a second", i.Transactions, idleQueries, "", "with the pings of idle connections"),
	}
	for _, q := range i.Queries {
		lines = append(lines, figure("  "+q.SQL[:min(len(q.SQL), 60)], q.PerSecond, "a second", fmt.Sprintf("%.2f ms each", q.MsEach)))
	}
	return lines
}

func (s *stack) idling(ctx context.Context) (i idling, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := s.freshStream(ctx); err != nil {
		return i, err
	}
	database, err := s.freshDatabase(ctx, workerTemplate)
	if err != nil {
		return i, err
	}
	defer func() { err = errors.Join(err, s.dropDatabase(context.WithoutCancel(ctx), database)) }()
	v, err := s.startVendor(scene{})
	if err != nil {
		return i, err
	}
	defer v.server.Close() //nolint:errcheck // nothing is written any more
	st, err := s.start(contender{slots: latencySlots}, database, v.url)
	if err != nil {
		return i, err
	}
	defer st.end()
	run := pacedRun{stack: s, process: st.process, vendor: v}
	if _, err := run.publish(ctx, pace{rate: warmUp, last: time.Second}); err != nil {
		return i, fmt.Errorf("warming up: %w\n%s", err, lastLines(st.log))
	}
	if err := wait(ctx, idleSettles); err != nil {
		return i, err
	}
	return i, run.watchIdle(ctx, database, &i)
}

func (r *pacedRun) watchIdle(ctx context.Context, database string, i *idling) error {
	const reset = `SELECT pg_stat_statements_reset(0, oid, 0) FROM pg_database WHERE datname = $1`
	if _, err := r.admin.Exec(ctx, reset, database); err != nil {
		return fmt.Errorf("resetting the statistics of statements: %w", err)
	}
	commits, err := r.commits(ctx, database)
	if err != nil {
		return err
	}
	own, postgres, err := r.spent()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := wait(ctx, idleFor); err != nil {
		return err
	}
	ownAfter, postgresAfter, err := r.spent()
	if err != nil {
		return err
	}
	i.Seconds = time.Since(began).Seconds()
	i.CPU, i.PostgresCPU = 100*(ownAfter-own)/i.Seconds, 100*(postgresAfter-postgres)/i.Seconds
	commitsAfter, err := r.commits(ctx, database)
	if err != nil {
		return err
	}
	i.Transactions = (commitsAfter - commits) / i.Seconds
	i.Queries, err = r.queries(ctx, database, i.Seconds)
	return err
}

func (s *stack) commits(ctx context.Context, database string) (n float64, err error) {
	const sql = `SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = $1`
	if err := s.admin.QueryRow(ctx, sql, database).Scan(&n); err != nil {
		return 0, fmt.Errorf("reading the statistics of the database: %w", err)
	}
	return n, nil
}

// queries are all statements in a database, the most frequent first.
func (s *stack) queries(ctx context.Context, database string, seconds float64) ([]query, error) {
	const sql = `
		SELECT s.query, s.calls / $2::float8, s.mean_exec_time
		FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = $1 ORDER BY s.calls DESC`
	rows, err := s.admin.Query(ctx, sql, database, seconds)
	if err != nil {
		return nil, fmt.Errorf("reading the statistics of statements: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[query])
	if err != nil {
		return nil, fmt.Errorf("reading the statistics of statements: %w", err)
	}
	for i, q := range list {
		list[i].SQL = strings.Join(strings.Fields(q.SQL), " ")
	}
	return list, nil
}
