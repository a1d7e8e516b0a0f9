package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"syncworker/internal/event"
	"syncworker/internal/trade"
)

// What order allows at this latency: one call after the other on each key.
const (
	hotLatency = 20 * time.Millisecond
	hotKeys    = 20
	hotEvents  = 5000
	hotSlots   = 64
	laneEvents = 100_000
	laneFor    = 30 * time.Second // how long the one lane is watched
	ofAllowed  = 0.9              // of what order allows
)

// hot measures twenty members who are busy at once, beside the bare ideal, and the
// worker with one member who has a long queue.
func (s *stack) hot(ctx context.Context, out io.Writer, p progress) error {
	o := s.opts
	o.against = cmp.Or(o.against, "ideal")
	if err := s.refill(ctx, o.events, hotKeys); err != nil {
		return err
	}
	keys := scene{name: "20 hot keys, 20 ms", latency: hotLatency, contenders: contenders(o, hotSlots)}
	began := time.Now()
	results, err := s.rounds(ctx, []scene{keys}, p)
	if err != nil {
		return err
	}
	rep := newReport(s.machine(ctx), o, results, nil, time.Since(began))
	p.say("one lane of %d", laneEvents)
	long, err := s.longLane(ctx)
	if err != nil {
		return fmt.Errorf("one lane of %d: %w", laneEvents, err)
	}
	p.say("")
	if err := rep.write(out); err != nil {
		return err
	}
	lines := slices.Concat(keyGoals(rep.Summary[0]), long.goals())
	missed, err := writeLines(out, lines)
	if err != nil {
		return err
	}
	if err := keep(o.out, map[string]any{"keys": rep, "lane": long, "goals": lines}); err != nil {
		return err
	}
	return missedGoals(missed)
}

func keyGoals(s summary) []line {
	const allowed = float64(hotKeys*time.Second) / float64(hotLatency)
	return []line{
		atLeast("20 hot keys", s.PerSecond, ofAllowed*allowed, "events/s", fmt.Sprintf("order allows %.0f", allowed)),
		none("20 hot keys: out of order", s.OutOfOrder+s.PointsOutOfOrder, ""),
	}
}

// refill makes the stream anew, with points of that many members in turn.
func (s *stack) refill(ctx context.Context, events, members int) error {
	if err := s.freshStream(ctx); err != nil {
		return err
	}
	messages := make([]trade.Message, events)
	for i := range messages {
		data := point(fmt.Sprintf("hot-%d", i), firstMember+int64(i%members))
		data["c_receipt"] = receipt
		text, err := envelope("default", "point.incremented", data)
		if err != nil {
			return err
		}
		messages[i] = trade.Message{Subject: event.SubjectPrefix + "point.incremented", Data: text}
	}
	var err error
	if s.wanted, err = wantedOf(messages, nil); err != nil {
		return err
	}
	return s.publishAll(ctx, messages)
}

// longLane is what became of a member with a long queue.
type longLane struct {
	Events     int     `json:"events"`
	Taken      float64 `json:"seconds_until_taken_in"`
	Early      float64 `json:"calls_per_second_meanwhile"`
	PerSecond  float64 `json:"calls_per_second_after"`
	Left       int     `json:"left"` // in the outbox when it was measured
	PeakMiB    float64 `json:"peak_mib"`
	OutOfOrder int     `json:"out_of_order"`
}

func (l longLane) goals() []line {
	const allowed = float64(time.Second) / float64(hotLatency)
	more := fmt.Sprintf("order allows %.0f; %d left; %.1f in the %.0f s while they were taken in", allowed, l.Left, l.Early, l.Taken)
	return []line{
		atLeast("one lane of 100,000", l.PerSecond, ofAllowed*allowed, "events/s", more),
		none("one lane of 100,000: out of order", l.OutOfOrder, ""),
		figure("one lane of 100,000: peak memory", l.PeakMiB, "MiB", ""),
	}
}

func (s *stack) longLane(ctx context.Context) (l longLane, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := s.refill(ctx, laneEvents, 1); err != nil {
		return l, err
	}
	database, err := s.freshDatabase(ctx, workerTemplate)
	if err != nil {
		return l, err
	}
	defer func() { err = errors.Join(err, s.dropDatabase(context.WithoutCancel(ctx), database)) }()
	v, err := s.startVendor(scene{latency: hotLatency})
	if err != nil {
		return l, err
	}
	defer v.server.Close() //nolint:errcheck // nothing is written any more
	st, err := s.start(contender{slots: hotSlots}, database, v.url)
	if err != nil {
		return l, err
	}
	defer st.end()
	l.Events = laneEvents
	if err := s.watchLane(ctx, v, &l); err != nil {
		return l, fmt.Errorf("%w\n%s", err, lastLines(st.log))
	}
	if l.PeakMiB, err = peakMiB(st.cmd.Process.Pid); err != nil {
		return l, err
	}
	conn, err := pgx.Connect(ctx, s.databaseURL(database))
	if err != nil {
		return l, fmt.Errorf("connecting to Postgres: %w", err)
	}
	defer conn.Close(context.Background()) //nolint:errcheck // the database goes next
	l.Left, err = s.backlog(ctx, conn)
	seen := s.wanted.judge(v.effects())
	l.OutOfOrder = seen.OutOfOrder + seen.PointsOutOfOrder
	return l, err
}

// watchLane counts calls while the lane is taken in, and for a while after that.
func (s *stack) watchLane(ctx context.Context, v *vendor, l *longLane) error {
	began := time.Now()
	if err := s.takenIn(ctx); err != nil {
		return err
	}
	from, at := v.writes.Load(), time.Now()
	l.Taken = at.Sub(began).Seconds()
	l.Early = float64(from) / l.Taken
	if err := wait(ctx, laneFor); err != nil {
		return err
	}
	l.PerSecond = float64(v.writes.Load()-from) / time.Since(at).Seconds()
	return nil
}

// backlog is how many deliveries are still to be made.
func (s *stack) backlog(ctx context.Context, conn *pgx.Conn) (n int, err error) {
	const sql = `SELECT count(*) FROM outbox.deliveries WHERE state NOT IN ('delivered', 'dead', 'cancelled')`
	if err := conn.QueryRow(ctx, sql).Scan(&n); err != nil {
		return 0, fmt.Errorf("counting what is to be delivered: %w", err)
	}
	return n, nil
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}
