package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"syncworker/internal/sandbox"
)

// The account whose vendor goes away, and when.
const (
	outageRate    = 400 // calls a second
	outageSlots   = 64
	outageLatency = 20 * time.Millisecond
	outageAfter   = 5 * outageRate // calls
)

// probeAfter is how long a circuit stays open that has opened so often in a row,
// as docs/operations.md has it: 5 s, doubling up to a minute.
func probeAfter(opens int) time.Duration {
	return min(5*time.Second<<min(opens, 8), time.Minute)
}

// absence is one way in which a vendor is away.
type absence struct {
	name            string
	leave, comeBack func(*vendor) error
}

func absences(only string) []absence {
	all := []absence{
		{
			name:  "refused: no connection",
			leave: func(v *vendor) error { return v.server.Close() },
			comeBack: func(v *vendor) error {
				return v.listen(strings.TrimPrefix(v.url, "http://"))
			},
		},
		{
			name: "silent: 503 or no reply",
			leave: func(v *vendor) error {
				return v.sandbox.SetRules(sandbox.Rule{
					Faults: []sandbox.Fault{"unavailable_before", "hang_before"}, Ops: []string{"*"}, Rate: 1,
				})
			},
			comeBack: func(v *vendor) error { return v.sandbox.SetRules() },
		},
	}
	var chosen []absence
	for _, a := range all {
		if strings.HasPrefix(a.name, only) {
			chosen = append(chosen, a)
		}
	}
	return chosen
}

// outages lets the vendor go away and come back, in each way, and says whether
// the worker kept what is promised of it.
func (s *stack) outages(ctx context.Context, out io.Writer, p progress) error {
	var reports []outageReport
	for _, a := range absences(s.opts.only) {
		o, err := s.away(ctx, a, p)
		if err != nil {
			return fmt.Errorf("outage, %s: %w", a.name, err)
		}
		reports = append(reports, o.report())
	}
	p.say("")
	return reportOutages(out, s.opts, s.machine(ctx), reports)
}

// away measures one outage from beginning to end.
func (s *stack) away(ctx context.Context, a absence, p progress) (o *outage, err error) {
	database, err := s.freshDatabase(ctx, workerTemplate)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.dropDatabase(context.WithoutCancel(ctx), database)) }()
	o = &outage{name: a.name, events: s.opts.events, stack: s, consumer: database, progress: p}
	if o.conn, err = pgx.Connect(ctx, s.databaseURL(database)); err != nil {
		return nil, fmt.Errorf("connecting to Postgres: %w", err)
	}
	defer o.conn.Close(context.Background()) //nolint:errcheck // the database goes next
	v, err := s.startVendor(scene{latency: outageLatency, calls: 1 << 20})
	if err != nil {
		return nil, err
	}
	defer func() { _ = v.server.Close() }() // nothing is written any more
	o.vendor = v
	cmd, err := s.workerCommand(database, account{name: "dmhub", url: v.url, tenants: "*", slots: outageSlots, rate: outageRate})
	if err != nil {
		return nil, err
	}
	if o.worker, err = s.launch(cmd, database); err != nil {
		return nil, err
	}
	defer o.worker.end()
	for _, phase := range []func(context.Context, absence) error{o.before, o.during, o.after, o.rest} {
		if err := phase(ctx, a); err != nil {
			return nil, fmt.Errorf("%w\n%s", err, lastLines(o.worker.log))
		}
	}
	o.worker.end()
	if err := o.read(ctx); err != nil {
		return nil, err
	}
	return o, s.js.DeleteConsumer(ctx, streamName, database)
}

// outage is one while it goes on, and what was seen of it.
type outage struct {
	*stack
	progress progress
	name     string
	events   int
	consumer string // of the stream
	conn     *pgx.Conn
	vendor   *vendor
	worker   *process

	cut, opened, takenIn, back, closed time.Time // opened, closed: the circuit

	untaken            uint64 // events in the stream when the vendor went
	backlog            int    // deliveries to be sent when it came back
	spentIn, spentBack spent  // from takenIn on all is idle
	spentDrained       spent
	burnt              burnt
	seen               seen
}

// spent is CPU time up to a moment, in seconds.
type spent struct {
	at                  time.Time
	worker, postgres    float64
	shared              float64 // NATS and the vendor
	machine, unoccupied float64 // all cores
}

// spentNow reads the CPU time of the worker, of Postgres and of the machine.
func (o *outage) spentNow() (u spent, err error) {
	if u.machine, u.unoccupied, err = machineCPU(); err != nil {
		return u, err
	}
	if u.shared, _, err = cpuOf(os.Getpid()); err != nil {
		return u, err
	}
	if u.worker, _, err = cpuOf(o.worker.cmd.Process.Pid); err != nil {
		return u, err
	}
	u.at = time.Now()
	u.postgres, err = treeCPU(o.pgPID)
	return u, err
}

// before lets the worker work for a while.
func (o *outage) before(ctx context.Context, _ absence) error {
	o.progress.say("%s: working", o.name)
	return o.until(ctx, time.Minute, "the vendor has its first calls", func() (bool, error) {
		return o.vendor.writes.Load() >= outageAfter, nil
	})
}

// during takes the vendor away and brings it back.
func (o *outage) during(ctx context.Context, a absence) (err error) {
	if o.untaken, err = o.leftInStream(ctx, o.consumer); err != nil {
		return err
	}
	o.cut = time.Now()
	if err := a.leave(o.vendor); err != nil {
		return fmt.Errorf("taking the vendor away: %w", err)
	}
	end := o.cut.Add(o.opts.down)
	err = o.until(ctx, o.opts.down+time.Minute, "the outage is over", func() (bool, error) {
		o.progress.say("%s: away for another %s", o.name, time.Until(end).Round(time.Second))
		return !time.Now().Before(end), o.look(ctx)
	})
	if err != nil {
		return err
	}
	if o.spentBack, err = o.spentNow(); err != nil {
		return err
	}
	if err := o.readBurnt(ctx); err != nil {
		return err
	}
	o.back = time.Now()
	if err := a.comeBack(o.vendor); err != nil {
		return fmt.Errorf("bringing the vendor back: %w", err)
	}
	return nil
}

// look notes when the circuit has opened and when the stream was read to its end.
func (o *outage) look(ctx context.Context) error {
	if o.opened.IsZero() {
		until, err := o.gate(ctx)
		if err != nil || until.IsZero() {
			return err
		}
		o.opened = time.Now()
	}
	if !o.takenIn.IsZero() {
		return nil
	}
	left, err := o.leftInStream(ctx, o.consumer)
	if err != nil || left > 0 {
		return err
	}
	o.takenIn = time.Now()
	o.spentIn, err = o.spentNow()
	return err
}

// after waits until all is delivered that the outage has left no question about.
func (o *outage) after(ctx context.Context, _ absence) error {
	err := o.until(ctx, 2*time.Minute+3*o.budget(), "the backlog is drained", func() (bool, error) {
		if o.closed.IsZero() {
			until, err := o.gate(ctx)
			if err == nil && until.IsZero() {
				o.closed = time.Now()
			}
			return false, err
		}
		left := o.events - int(o.vendor.writes.Load())
		o.progress.say("%s: back, about %d to go", o.name, left)
		if left > o.events/50 {
			return false, nil // asking the database would cost what is being measured
		}
		var n int
		err := o.conn.QueryRow(ctx, `SELECT count(*) FROM outbox.deliveries WHERE state NOT IN ('delivered', 'dead', 'cancelled')
			AND lane NOT IN (`+unclearLanes+`)`, o.cut, o.back).Scan(&n)
		return n == 0, err
	})
	if err == nil {
		o.spentDrained, err = o.spentNow()
	}
	return err
}

// budget is how long the backlog may take.
func (o *outage) budget() time.Duration {
	return time.Duration(float64(o.backlog) / outageRate * 1.2 * float64(time.Second))
}

// rest waits until nothing goes on by itself any more. What was unclear when the
// vendor went waits for its quiet period.
func (o *outage) rest(ctx context.Context, _ absence) error {
	o.progress.say("%s: what was unclear waits for its quiet period", o.name)
	return o.until(ctx, 8*time.Minute, "nothing is to be done any more", func() (bool, error) {
		var n int
		err := o.conn.QueryRow(ctx, `SELECT count(*) FROM outbox.deliveries WHERE state IN ('pending', 'inflight', 'unknown')`).Scan(&n)
		return n == 0, err
	})
}

// until waits for something while the worker works.
func (o *outage) until(ctx context.Context, patience time.Duration, what string, come func() (bool, error)) error {
	return waitFor(ctx, patience, what, []*process{o.worker}, come)
}
