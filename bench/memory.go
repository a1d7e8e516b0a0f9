package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/jackc/pgx/v5"
)

// A backlog on both sides of the worker, and a vendor that is too slow for it.
const (
	memoryEvents  = 1_400_000
	memoryQueued  = 1_000_000 // that are still in the stream at the end
	memoryBacklog = 200_000   // that are in the outbox by then
	memoryFor     = 30 * time.Second
	memorySlots   = 512
	memoryLatency = time.Second
	memoryMiB     = 100
)

// crammed is the worker's memory: while the vendor is paused and all goes to the
// outbox, and then while a slow vendor is brought what waits on both sides.
type crammed struct {
	Paused  float64   `json:"seconds_paused"`
	Slow    float64   `json:"seconds_slow"`
	PeakMiB float64   `json:"peak_mib"`
	MiB     []float64 `json:"mib_every_five_seconds"`
	Stream  int       `json:"left_in_stream"`
	Outbox  int       `json:"left_in_outbox"`
	Calls   int       `json:"calls"`
}

func (c crammed) lines() []line {
	return []line{
		atMost("the worker's peak memory", c.PeakMiB, memoryMiB, "MiB", fmt.Sprintf("every 5 s %.0f", c.MiB)),
		atLeast("events in the stream at the end", float64(c.Stream), memoryQueued, "", ""),
		atLeast("deliveries in the outbox at the end", float64(c.Outbox), memoryBacklog, "", fmt.Sprintf(
			"%.0f s paused, then %.0f s at %s, %d in flight: %d calls", c.Paused, c.Slow, memoryLatency, memorySlots, c.Calls)),
	}
}

// memory measures the worker's memory with more queued than it can bring.
func (s *stack) memory(ctx context.Context, out io.Writer, p progress) error {
	p.say("memory: queueing %d events", memoryEvents)
	c, err := s.cram(ctx, p)
	if err != nil {
		return fmt.Errorf("memory: %w", err)
	}
	p.say("")
	lines := c.lines()
	missed, err := writeLines(out, lines)
	if err != nil {
		return err
	}
	if err := keep(s.opts.out, map[string]any{"machine": s.machine(ctx), "memory": c, "goals": lines}); err != nil {
		return err
	}
	return missedGoals(missed)
}

func (s *stack) cram(ctx context.Context, p progress) (c crammed, err error) {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	if err := s.freshStream(ctx); err != nil {
		return c, err
	}
	for i := range memoryEvents {
		m, _, err := numbered(i)
		if err == nil {
			err = s.queueOne(m)
		}
		if err != nil {
			return c, err
		}
	}
	if err := s.queued(ctx, memoryEvents); err != nil {
		return c, err
	}
	database, err := s.freshDatabase(ctx, workerTemplate)
	if err != nil {
		return c, err
	}
	defer func() { err = errors.Join(err, s.dropDatabase(context.WithoutCancel(ctx), database)) }()
	conn, err := pgx.Connect(ctx, s.databaseURL(database))
	if err != nil {
		return c, fmt.Errorf("connecting to Postgres: %w", err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // the database goes next
	v, err := s.startVendor(scene{latency: memoryLatency})
	if err != nil {
		return c, err
	}
	defer v.server.Close() //nolint:errcheck // nothing is written any more
	st, err := s.start(contender{slots: memorySlots}, database, v.url)
	if err != nil {
		return c, err
	}
	defer st.end()
	w := memoryWatch{stack: s, started: st, database: database, conn: conn, crammed: &c, progress: p}
	if err := w.watch(ctx); err != nil {
		return c, fmt.Errorf("%w\n%s", err, lastLines(st.log))
	}
	c.Calls = int(v.writes.Load())
	return c, nil
}

// vendors lets ops pause or resume the worker's account.
func (s *stack) vendors(ctx context.Context, database, command string) error {
	cmd := exec.CommandContext(ctx, s.opts.worker, "vendors", command, "dmhub",
		"--config", filepath.Join(s.dir, database+".yaml"), "--actor", "bench", "--reason", "measuring")
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("vendors %s: %w; it says:\n%s", command, err, text)
	}
	return nil
}

// memoryWatch is a worker whose memory is looked at.
type memoryWatch struct {
	*stack
	*started
	*crammed
	progress progress
	database string // and the name of its consumer
	conn     *pgx.Conn
}

func (w *memoryWatch) watch(ctx context.Context) (err error) {
	began := time.Now()
	if err := w.vendors(ctx, w.database, "pause"); err != nil {
		return err
	}
	for enough := false; !enough; enough = w.Outbox >= memoryBacklog+memoryBacklog/4 {
		if err := w.look(ctx); err != nil {
			return err
		}
	}
	w.Paused = time.Since(began).Seconds()
	if err := w.vendors(ctx, w.database, "resume"); err != nil {
		return err
	}
	resumed := time.Now()
	for time.Since(resumed) < memoryFor {
		if err := w.look(ctx); err != nil {
			return err
		}
	}
	w.Slow = time.Since(resumed).Seconds()
	if w.PeakMiB, err = peakMiB(w.cmd.Process.Pid); err != nil {
		return err
	}
	left, err := w.leftInStream(ctx, w.database)
	w.Stream = int(left)
	return err
}

// look waits for five seconds and takes note of what is there then.
func (w *memoryWatch) look(ctx context.Context) (err error) {
	select {
	case <-w.ended:
		return errors.New("the worker has ended")
	case <-ctx.Done():
		return fmt.Errorf("%d deliveries are in the outbox: %w", w.Outbox, ctx.Err())
	case <-time.After(5 * time.Second):
	}
	now, err := memoryOf(w.cmd.Process.Pid, "VmRSS:")
	if err != nil {
		return err
	}
	w.MiB = append(w.MiB, now)
	w.Outbox, err = w.backlog(ctx, w.conn)
	w.progress.say("memory: %.0f MiB, %d in the outbox", now, w.Outbox)
	return err
}
