package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
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
	settled string // query: how many events are through
	last    string // query: when the last one was
}

// measure lets one contender bring its events to the vendor.
func (s *stack) measure(ctx context.Context, sc scene, c contender) (r result, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r = result{Scene: sc.name, Contender: c.name, Keeps: c.keeping, Slots: c.slots, Events: c.events}
	template := workerTemplate
	if c.naive {
		template = naiveTemplate
	}
	database, err := s.freshDatabase(ctx, template)
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
	if c.naive {
		return nil
	}
	return s.rowVersions(ctx, conn, r)
}

func (s *stack) start(c contender, database, vendor string) (*started, error) {
	st := &started{contender: c}
	command := s.contendingCommand
	if c.naive {
		command = s.naiveCommand
	}
	cmd, err := command(st, database, vendor)
	if err != nil {
		return nil, err
	}
	st.process, err = s.launch(cmd, database)
	return st, err
}

func (s *stack) contendingCommand(st *started, database, vendor string) (*exec.Cmd, error) {
	st.settled = `SELECT count(*) FROM outbox.deliveries WHERE state IN ('delivered', 'dead', 'cancelled')`
	st.last = `SELECT max(recorded_at) FROM outbox.attempts`
	return s.workerCommand(database, account{name: "dmhub", url: vendor, tenants: "*", slots: st.slots})
}

func (s *stack) naiveCommand(st *started, database, vendor string) (*exec.Cmd, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("looking for this program: %w", err)
	}
	text, err := json.Marshal(naiveConfig{
		NATS: s.nats.URL, Consumer: database, Database: s.databaseURL(database), Vendor: vendor,
		Slots: st.slots, Events: st.events, Members: mobiles(s.members),
	})
	if err != nil {
		return nil, err
	}
	path := filepath.Join(s.dir, database+".json")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return nil, fmt.Errorf("writing the bare loop's configuration: %w", err)
	}
	st.settled = `SELECT count(*) FROM queue WHERE state <> 'pending'`
	st.last = `SELECT max(settled_at) FROM queue`
	return exec.Command(self, naiveCommand, path), nil
}

func mobiles(members []trade.Member) map[string]int64 {
	ids := make(map[string]int64, len(members))
	for _, m := range members {
		ids[m.Mobile] = m.ID
	}
	return ids
}
