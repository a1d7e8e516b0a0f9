package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/jackc/pgx/v5"

	"syncworker/internal/trade"
)

// patience is how long a measurement may take.
const patience = 5 * time.Minute

// started is a contender at work.
type started struct {
	contender
	*process
	books
}

// measure lets one contender bring its events to the vendor.
func (s *stack) measure(ctx context.Context, sc scene, c contender) (r result, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r = result{Scene: sc.name, Contender: c.name, Keeps: c.keeping, Slots: c.slots, Events: c.events}
	database, err := s.freshDatabase(ctx, c.template())
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.dropDatabase(context.WithoutCancel(ctx), database)) }()
	conn, err := pgx.Connect(ctx, s.databaseURL(database))
	if err != nil {
		return r, fmt.Errorf("connecting to Postgres: %w", err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // the database goes next
	v, err := s.startVendor(sc)
	if err != nil {
		return r, err
	}
	defer v.server.Close() //nolint:errcheck // nothing is written any more
	before, err := s.usage(ctx)
	if err != nil {
		return r, err
	}
	st, err := s.start(c, database, v.url)
	if err != nil {
		return r, err
	}
	err = s.observe(ctx, st, v, conn, before, &r)
	st.end()
	if err != nil {
		return r, fmt.Errorf("%w\n%s", err, lastLines(st.log))
	}
	cpu := st.cmd.ProcessState.UserTime() + st.cmd.ProcessState.SystemTime()
	r.CPU = cpu.Seconds() / float64(c.events) * 1000
	r.verdict = s.wanted.judge(v.effects())
	r.Lost = len(r.missing)
	if s.opts.sql && c.rival == "" {
		if r.Statements, err = s.statements(ctx, database, c.events); err != nil {
			return r, err
		}
	}
	return r, s.afterwards(ctx, conn, database, c, &r)
}

// observe waits until all is settled and notes what it took.
func (s *stack) observe(ctx context.Context, st *started, v *vendor, conn *pgx.Conn, before usage, r *result) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for settled := 0; settled < st.events; {
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d of %d events are settled: %w", settled, st.events, ctx.Err())
		case <-st.ended:
			return fmt.Errorf("%d of %d events are settled, and the process has ended", settled, st.events)
		case <-tick.C:
		}
		if v.writes.Load() < int64(st.events) {
			continue // asking the database would cost what is being measured
		}
		if err := conn.QueryRow(ctx, st.settled).Scan(&settled); err != nil {
			return fmt.Errorf("counting what is settled: %w", err)
		}
	}
	after, err := s.usage(ctx)
	if err != nil {
		return err
	}
	r.spend(before, after)
	var last time.Time
	if err := conn.QueryRow(ctx, st.last).Scan(&last); err != nil {
		return fmt.Errorf("reading when the last event was settled: %w", err)
	}
	r.took(time.Unix(0, v.first.Load()), last)
	r.Calls = v.calls.Load()
	r.Effects, r.Mistakes = v.ledger()
	r.PeakMiB, err = peakMiB(st.cmd.Process.Pid)
	return err
}

// afterwards reads what Postgres knows only when the contender's sessions are gone.
func (s *stack) afterwards(ctx context.Context, conn *pgx.Conn, database string, c contender, r *result) error {
	if err := s.js.DeleteConsumer(ctx, streamName, database); err != nil {
		return fmt.Errorf("removing the consumer: %w", err)
	}
	var commits float64
	const sql = `SELECT xact_commit FROM pg_stat_database WHERE datname = $1`
	if err := s.admin.QueryRow(ctx, sql, database).Scan(&commits); err != nil {
		return fmt.Errorf("reading the statistics of the database: %w", err)
	}
	r.Commits = commits / float64(c.events)
	if c.rival != "" {
		return nil
	}
	return s.rowVersions(ctx, conn, r)
}

// workerBooks leave out what waits for a person or for its time.
var workerBooks = books{
	settled:  `SELECT count(*) FROM outbox.deliveries WHERE state IN ('delivered', 'dead', 'cancelled')`,
	last:     `SELECT max(recorded_at) FROM outbox.attempts`,
	noted:    `SELECT ce_id FROM outbox.events`,
	attempts: `SELECT count(*) FROM outbox.attempts WHERE action = 'push'`,
	open: `SELECT e.ce_id FROM outbox.deliveries d JOIN outbox.events e ON e.id = d.event_id
		WHERE d.state NOT IN ('delivered', 'dead', 'cancelled')`,
}

func (s *stack) start(c contender, database, vendor string) (*started, error) {
	st := &started{contender: c, books: workerBooks}
	cmd, err := (*exec.Cmd)(nil), error(nil)
	if c.rival == "" {
		cmd, err = s.workerCommand(database, account{name: "dmhub", url: vendor, tenants: "*", slots: c.slots})
	} else {
		st.books = rivals()[c.rival].books
		cmd, err = s.rivalCommandLine(c, database, vendor)
	}
	if err != nil {
		return nil, err
	}
	if c.rival == "" && c.takeover > 0 {
		cmd.Env = append(os.Environ(), "SYNCWORKER_NATS_ACK_WAIT="+c.takeover.String())
	}
	st.process, err = s.launch(cmd, database)
	return st, err
}

func mobiles(members []trade.Member) map[string]int64 {
	ids := make(map[string]int64, len(members))
	for _, m := range members {
		ids[m.Mobile] = m.ID
	}
	return ids
}
