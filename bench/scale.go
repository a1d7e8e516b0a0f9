package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// scaleLatency is how long the vendor takes, with -scale.
const scaleLatency = 200 * time.Millisecond

// joining is how long a worker waits that joins others, with the default lease of
// 30 s, until they know of it: a fifth of that; and a second for its start.
const joining = 7500 * time.Millisecond

// scale measures what more workers on one Postgres bring, whether an account's
// limits hold over them, and what a NATS cluster costs.
func (s *stack) scale(ctx context.Context, out io.Writer, p progress) error {
	rep := scaleReport{Machine: s.machine(ctx)}
	wanted := func(part string) bool { return strings.HasPrefix(part, s.opts.only) }
	if wanted("workers") {
		for _, cores := range workerCores(s.opts) {
			for _, workers := range []int{1, 2, 4} {
				p.say("%d workers, %s", workers, coresText(cores))
				g, err := s.withWorkers(ctx, workers, cores)
				if err != nil {
					return fmt.Errorf("%d workers: %w", workers, err)
				}
				rep.Workers = append(rep.Workers, g)
			}
		}
	}
	if wanted("limits") {
		l, err := s.limits(ctx, p)
		if err != nil {
			return fmt.Errorf("limits: %w", err)
		}
		rep.Limits = &l
	}
	if wanted("nats") {
		var err error
		if rep.NATS, err = s.clusters(ctx, p); err != nil {
			return fmt.Errorf("nats: %w", err)
		}
	}
	p.say("")
	return rep.publish(out, s.opts)
}

// team is some workers on one database.
type team struct {
	*stack
	database string
	pool     *pgxpool.Pool
	command  []string
	env      []string
	cores    float64 // for each; 0 is all there are
	workers  []*process
	groups   []string // control groups
}

// newTeam makes a database for workers that are started later.
func (s *stack) newTeam(ctx context.Context, accounts ...account) (*team, error) {
	database, err := s.freshDatabase(ctx, workerTemplate)
	if err != nil {
		return nil, err
	}
	cmd, err := s.workerCommand(database, accounts...)
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.New(ctx, s.databaseURL(database))
	if err != nil {
		return nil, fmt.Errorf("connecting to Postgres: %w", err)
	}
	return &team{stack: s, database: database, pool: pool, command: cmd.Args}, nil
}

// disband ends all workers and removes their database.
func (t *team) disband(ctx context.Context) error {
	for _, w := range t.workers {
		w.end()
	}
	for _, dir := range t.groups {
		_ = os.Remove(dir) // an empty one costs nothing
	}
	t.pool.Close()
	return t.dropDatabase(context.WithoutCancel(ctx), t.database)
}

// join starts one more worker.
func (t *team) join() error {
	cmd := exec.Command(t.command[0], t.command[1:]...)
	cmd.Env = append(os.Environ(), t.env...)
	name := fmt.Sprintf("%s-%d", t.database, len(t.workers)+1)
	w, err := t.launch(cmd, name)
	if err != nil {
		return err
	}
	t.workers = append(t.workers, w)
	if t.cores == 0 {
		return nil
	}
	dir, err := confine(cmd.Process.Pid, "syncworker-bench-"+name, t.cores)
	t.groups = append(t.groups, dir)
	return err
}

// leave lets the newest worker drain.
func (t *team) leave() {
	last := len(t.workers) - 1
	t.workers[last].end()
	t.workers = t.workers[:last]
}

// cpu is what the workers that run have spent, in seconds.
func (t *team) cpu() (sum float64, err error) {
	for _, w := range t.workers {
		own, _, err := cpuOf(w.cmd.Process.Pid)
		if err != nil {
			return 0, err
		}
		sum += own
	}
	return sum, nil
}

// pass waits for a time, or until a worker ends that shouldn't.
func (t *team) pass(ctx context.Context, d time.Duration) error {
	return t.until(ctx, d+time.Second, "time has passed", passed(d))
}

func passed(d time.Duration) func() (bool, error) {
	end := time.Now().Add(d)
	return func() (bool, error) { return !time.Now().Before(end), nil }
}

// until waits for something while the workers work.
func (t *team) until(ctx context.Context, patience time.Duration, what string, come func() (bool, error)) error {
	if err := waitFor(ctx, patience, what, t.workers, come); err != nil {
		return t.said(err)
	}
	return nil
}

// said adds the ends of the workers' logs to an error.
func (t *team) said(err error) error {
	for _, w := range t.workers {
		err = errors.Join(err, errors.New(lastLines(w.log)))
	}
	return err
}

// load is what the workers have asked of Postgres up to a moment.
type load struct {
	at       time.Time
	queries  float64 // statements, of transactions too
	commits  float64
	wakeUps  float64 // looks at what is due
	claims   float64
	taking   float64 // claims that found something
	reloads  float64 // of lanes to which another worker has added
	postgres float64 // CPU seconds
	workers  float64
	shared   float64 // of NATS and the vendor
}

// loadNow reads the statistics of this database, in which constants have become
// parameters. Those of commits may be a second old.
func (t *team) loadNow(ctx context.Context) (l load, err error) {
	const sql = `
		SELECT coalesce(sum(calls), 0),
			(SELECT xact_commit FROM pg_stat_database WHERE datname = $1),
			coalesce(sum(calls) FILTER (WHERE query LIKE '%SELECT u.account, l.next_at, now()%'), 0),
			coalesce(sum(calls) FILTER (WHERE query LIKE '%UPDATE outbox.lanes SET owner = $1, epoch = epoch +%'), 0),
			coalesce(sum(calls) FILTER (WHERE query LIKE '%WITH taken AS (%'), 0),
			coalesce(sum(calls) FILTER (WHERE query LIKE '%UPDATE outbox.lanes SET news = %'), 0)
		FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid WHERE d.datname = $1`
	l.at = time.Now()
	err = t.admin.QueryRow(ctx, sql, t.database).Scan(&l.queries, &l.commits, &l.wakeUps, &l.claims, &l.taking, &l.reloads)
	l.taking -= l.reloads // both load what they take with the same statement
	if err != nil {
		return l, fmt.Errorf("reading the statistics of statements: %w", err)
	}
	if l.workers, err = t.cpu(); err != nil {
		return l, err
	}
	if l.shared, _, err = cpuOf(os.Getpid()); err != nil {
		return l, err
	}
	l.postgres, err = treeCPU(t.pgPID)
	return l, err
}

// asked is what each worker asks of Postgres in a second.
type asked struct {
	Queries     float64 `json:"queries"`
	Commits     float64 `json:"commits"`
	WakeUps     float64 `json:"wake_ups"`
	EmptyClaims float64 `json:"empty_claims"`
}

func askedBy(before, after load, workers int) asked {
	each := after.at.Sub(before.at).Seconds() * float64(workers)
	return asked{
		Queries: (after.queries - before.queries) / each,
		Commits: (after.commits - before.commits) / each,
		WakeUps: (after.wakeUps - before.wakeUps) / each,
		// What was claimed and what was loaded are counted at the ends of two statements.
		EmptyClaims: max(0, (after.claims-before.claims)-(after.taking-before.taking)) / each,
	}
}

// unsettled counts what a worker may still do something about.
func (t *team) unsettled(ctx context.Context, events int) (int, error) {
	const sql = `SELECT $1 - count(*) FILTER (WHERE state IN ('delivered', 'dead', 'cancelled', 'held')) FROM outbox.deliveries`
	var n int
	err := t.pool.QueryRow(ctx, sql, events).Scan(&n)
	if err == pgx.ErrNoRows {
		err = nil
	}
	return n, err
}
