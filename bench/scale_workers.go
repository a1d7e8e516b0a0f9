package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"syncworker/internal/sandbox"
	"syncworker/internal/trade"
)

// partOfACore is what each worker gets, so that it is the worker that bounds what it
// does, as on a machine of its own, and not what it shares this one with.
const partOfACore = 0.1

// workerCores are the parts of a core that each worker gets: the whole machine
// between them comes last.
func workerCores(o options) []float64 {
	if o.full {
		return []float64{partOfACore, 0}
	}
	return []float64{partOfACore}
}

// unboundSlots is a max_in_flight that no number of workers reaches here.
const unboundSlots = 1024

// workersResult is what so many workers did.
type workersResult struct {
	Workers int     `json:"workers"`
	Cores   float64 `json:"cores_each"` // 0: what there is
	Events  int     `json:"events"`

	PerSecond float64 `json:"events_per_second"` // between the 15th and the 75th of a hundred calls
	Mean      float64 `json:"calls_in_flight"`
	Peak      int     `json:"calls_in_flight_at_most"`

	CPU         float64 `json:"cpu_seconds_per_1000"`
	PostgresCPU float64 `json:"postgres_cpu_seconds_per_1000"`
	SharedCPU   float64 `json:"shared_cpu_seconds_per_1000"`
	Commits     float64 `json:"commits_per_event"`
	Reloads     float64 `json:"reloads_per_event"`
	Busy        asked   `json:"busy_each_per_second"`
	Idle        asked   `json:"idle_each_per_second"`

	upheld
	Lost int            `json:"effects_lost"`
	Held map[string]int `json:"held"`
}

// upheld is what has to stay true however many workers there are.
type upheld struct {
	Overlaps int `json:"lane_overlaps"` // two calls of one lane at once
	Doubled  int `json:"effects_doubled"`
	// Calls before one that goes before them and had been committed for two seconds.
	OutOfOrder int `json:"calls_out_of_order"`
	// The same with one that was committed just then: its worker hadn't met it yet.
	Unmet int `json:"calls_before_one_not_met"`
	// Effects behind one of a later event of the stream: another worker had read that
	// one sooner.
	Overtaken       int `json:"effects_overtaken"`
	PointsOvertaken int `json:"points_overtaken"`
}

// count adds what the vendor's ledger and the worker's tables show, and returns
// how many effects the ledger lacks.
func (k *upheld) count(w *wanted, v *vendor) (lost int) {
	ledger := w.judge(v.effects())
	k.Doubled += ledger.Doubled
	k.Overtaken += ledger.OutOfOrder
	k.PointsOvertaken += ledger.PointsOutOfOrder
	k.Overlaps += w.overlaps(v.sandbox.Violations(), v.sandbox.Calls())
	return len(ledger.missing)
}

// withWorkers lets some workers bring a day's trade to the vendor, as many events for each
// however many they are.
func (s *stack) withWorkers(ctx context.Context, workers int, cores float64) (g workersResult, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	g = workersResult{Workers: workers, Cores: cores, Events: s.opts.events * workers}
	if err := s.freshStream(ctx); err != nil {
		return g, err
	}
	messages, err := s.dayOf(g.Events)
	if err != nil {
		return g, err
	}
	wanted, err := wantedOf(messages, mobiles(s.members))
	if err != nil {
		return g, err
	}
	calls := &flights{}
	v, err := s.startVendor(scene{latency: scaleLatency, calls: 1 << 20, flights: calls})
	if err != nil {
		return g, err
	}
	defer v.server.Close() //nolint:errcheck // nothing is written any more
	t, err := s.newTeam(ctx, account{name: "dmhub", url: v.url, tenants: "*", slots: unboundSlots})
	if err != nil {
		return g, err
	}
	t.cores = cores
	defer func() { err = errors.Join(err, t.disband(ctx)) }()
	if err := t.bringDay(ctx, messages, v, &g); err != nil {
		return g, err
	}
	all := calls.seen()
	during := middle(all, .15, .75)
	g.Peak, g.Mean = inFlight(all, during)
	g.PerSecond = float64(arrived(all, during)) / during.seconds()
	g.Lost = g.upheld.count(&wanted, v)
	return g, t.readOrder(ctx, &g.upheld)
}

// bringDay takes the workers from idle through the day's trade.
func (t *team) bringDay(ctx context.Context, messages []trade.Message, v *vendor, g *workersResult) error {
	for range g.Workers {
		if err := t.join(); err != nil {
			return err
		}
	}
	if err := t.pass(ctx, joining); err != nil {
		return err
	}
	idle, err := t.loadNow(ctx)
	if err != nil {
		return err
	}
	if err := t.pass(ctx, 5*time.Second); err != nil {
		return err
	}
	begun, err := t.loadNow(ctx)
	if err != nil {
		return err
	}
	if err := t.sendAll(ctx, messages); err != nil {
		return err
	}
	err = t.until(ctx, patience, "all events are settled", func() (bool, error) {
		if v.writes.Load() < int64(g.Events)*97/100 {
			return false, nil // asking the database would cost what is being measured
		}
		n, err := t.unsettled(ctx, g.Events)
		return n == 0, err
	})
	if err != nil {
		return err
	}
	done, err := t.loadNow(ctx)
	if err != nil {
		return err
	}
	if done.wakeUps == 0 || g.Workers > 1 && done.reloads == 0 {
		return errors.New("the statistics know none of the worker's statements: see loadNow")
	}
	g.Idle, g.Busy = askedBy(idle, begun, g.Workers), askedBy(begun, done, g.Workers)
	each := float64(g.Events) / 1000
	g.CPU, g.PostgresCPU = (done.workers-begun.workers)/each, (done.postgres-begun.postgres)/each
	g.Reloads = (done.reloads - begun.reloads) / float64(g.Events)
	g.SharedCPU, g.Commits = (done.shared-begun.shared)/each, (done.commits-begun.commits)/float64(g.Events)
	g.Held, err = t.held(ctx)
	return err
}

// readOrder counts the deliveries that were called before one of their lane that
// goes before them, although that one was committed when their intent was made.
func (t *team) readOrder(ctx context.Context, k *upheld) error {
	const sql = `
		WITH called AS (
			SELECT d.lane, (d.lane_rank, d.event_time, d.id) AS place, d.first_sent_at AS intended,
				(SELECT min(started_at) FROM outbox.attempts WHERE delivery_id = d.id AND action = 'push') AS at,
				pg_xact_commit_timestamp(e.xmin) AS committed
			FROM outbox.deliveries d JOIN outbox.events e ON e.id = d.event_id AND e.received_at = d.received_at),
		hurried AS (
			SELECT max(x.intended - before.committed) > interval '2 seconds' AS long
			FROM called x JOIN called before ON before.lane = x.lane AND before.place < x.place
				AND before.at > x.at AND before.committed < x.intended
			GROUP BY x.lane, x.place)
		SELECT count(*) FILTER (WHERE long), count(*) FILTER (WHERE NOT long) FROM hurried`
	if err := t.pool.QueryRow(ctx, sql).Scan(&k.OutOfOrder, &k.Unmet); err != nil {
		return fmt.Errorf("looking for calls out of order: %w", err)
	}
	return nil
}

// held counts what waits for a person, by its reason.
func (t *team) held(ctx context.Context) (map[string]int, error) {
	rows, err := t.pool.Query(ctx, `SELECT type || ': ' || reason, count(*) FROM outbox.deliveries WHERE state = 'held' GROUP BY 1`)
	if err != nil {
		return nil, fmt.Errorf("counting what is held: %w", err)
	}
	held := map[string]int{}
	var reason string
	var n int
	_, err = pgx.ForEachRow(rows, []any{&reason, &n}, func() error { held[reason] = n; return nil })
	return held, err
}

// sendAll publishes messages as fast as the stream takes them.
func (s *stack) sendAll(ctx context.Context, messages []trade.Message) error {
	for _, m := range messages {
		msg := &nats.Msg{Subject: m.Subject, Header: nats.Header(m.Header), Data: m.Data}
		if _, err := s.js.PublishMsgAsync(msg, jetstream.WithStallWait(time.Minute)); err != nil {
			return fmt.Errorf("publishing an event: %w", err)
		}
	}
	select {
	case <-s.js.PublishAsyncComplete():
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// overlaps counts the calls that began while another of the same lane was under
// way. A member whom events name differently has two lanes, and may have a call of
// each.
func (w *wanted) overlaps(violations []sandbox.Violation, calls []sandbox.Call) (n int) {
	bySeq := make(map[int64]sandbox.Call, len(calls))
	for _, c := range calls {
		bySeq[c.Seq] = c
	}
	lane := func(seq int64) string {
		c := bySeq[seq]
		at := w.by[effect{c.Op, cmp.Or(c.UUID, c.Key)}]
		if len(at) == 0 {
			return c.Key
		}
		return w.lanes[at[0]]
	}
	for _, v := range violations {
		if v.Kind == sandbox.Overlap && lane(v.Call) == lane(v.Other) {
			n++
		}
	}
	return n
}
