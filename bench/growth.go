package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go/jetstream"

	"syncworker/internal/event"
	"syncworker/internal/trade"
)

// grownDatabase is filled once and measured several times: a copy of ten million
// deliveries would take longer than what is measured.
const grownDatabase = "grown"

// Of a measurement: calls in flight, what rests and is due beside each event that
// comes, and what comes for orders that are blocked.
const (
	growthSlots  = 16
	duePerEvent  = 2
	blockedComes = 100
	queryIsOpen  = 2 * time.Minute
)

// stage is one state of the grown database. Each has what those before it have.
type stage struct {
	name      string
	anew      int // finished deliveries of a new database; 0 keeps the one before
	live      int
	lane      int // points in one lane, at the beginning of each measurement
	blocked   int // lanes
	query     bool
	retention bool
}

// growthStages are the states that are measured; by default all but the finished
// ones come at once.
func growthStages(full bool) []stage {
	if !full {
		return []stage{
			{name: "1,000,000 finished", anew: 1_000_000},
			{
				name: "and 100,000 live, 100,000 in one lane, 1,000 blocked lanes, an open query, retention",
				live: 100_000, lane: 100_000, blocked: 1000, query: true, retention: true,
			},
		}
	}
	return []stage{
		{name: "1,000,000 finished", anew: 1_000_000},
		{name: "10,000,000 finished", anew: 10_000_000},
		{name: "and 1,000,000 live", live: 1_000_000},
		{name: "and 100,000 in one lane", lane: 100_000},
		{name: "and 1,000 blocked lanes", blocked: 1000},
		{name: "and an open query", query: true},
		{name: "and retention", query: true, retention: true},
	}
}

// grownState is what the grown database has by now.
type grownState struct {
	filler
	*stack
	progress progress
	finished int
	stage    stage // with what the stages before had
	query    *openQuery
}

// growth measures the worker beside itself: on tables that have grown, in turns with
// empty ones.
func (s *stack) growth(ctx context.Context, out io.Writer, p progress) (err error) {
	g := &grownState{stack: s, progress: p, filler: filler{s.databaseURL(grownDatabase)}}
	var results []growthResult
	for _, next := range growthStages(s.opts.full) {
		if err := g.grow(ctx, next); err != nil {
			return fmt.Errorf("%s: %w", next.name, err)
		}
		some, err := g.measureStage(ctx)
		if err != nil {
			return fmt.Errorf("%s: %w", next.name, err)
		}
		results = append(results, some...)
	}
	p.say("")
	return reportGrowth(out, s.opts, s.machine(ctx), results)
}

// grow makes the state of the next stage.
func (g *grownState) grow(ctx context.Context, next stage) error {
	g.progress.say("filling: %s", next.name)
	if next.anew > 0 {
		if err := g.dropDatabase(ctx, "IF EXISTS "+grownDatabase); err != nil {
			return err
		}
		if _, err := g.admin.Exec(ctx, `CREATE DATABASE `+grownDatabase+` TEMPLATE `+workerTemplate); err != nil {
			return fmt.Errorf("making the database: %w", err)
		}
		// What NATS remembers of the workers of the one before is missing in this one,
		// which would be a database that has gone back in time.
		err := g.js.DeleteKeyValue(ctx, streamName+"_"+grownDatabase)
		if err != nil && !errors.Is(err, jetstream.ErrBucketNotFound) {
			return fmt.Errorf("forgetting the workers of the database before: %w", err)
		}
		g.finished = next.anew
		g.stage = next
		if err := g.filler.finished(ctx, next.anew); err != nil {
			return err
		}
	}
	if next.blocked > 0 {
		if err := g.filler.blocked(ctx, g.finished, next.blocked); err != nil {
			return err
		}
	}
	if next.live > 0 {
		if err := g.filler.live(ctx, "L", next.live, false); err != nil {
			return err
		}
	}
	g.stage = g.stage.with(next)
	return g.tidy(ctx)
}

// with is a stage on top of another.
func (s stage) with(next stage) stage {
	next.lane, next.blocked = max(s.lane, next.lane), max(s.blocked, next.blocked)
	next.live = max(s.live, next.live)
	return next
}

// measureStage measures the grown tables and the empty ones in turns, for as long as
// a query is open. The first measurement of a stage fills the caches, and isn't counted.
func (g *grownState) measureStage(ctx context.Context) (results []growthResult, err error) {
	if g.stage.query {
		if g.query, err = g.openQuery(ctx); err != nil {
			return nil, err
		}
		defer func() { g.query.end(); g.query = nil }()
	}
	for round := 0; round <= g.opts.rounds || g.query.open() < queryIsOpen; round++ {
		databases := []string{"", grownDatabase}
		if round%2 == 1 {
			slices.Reverse(databases)
		}
		for _, database := range databases {
			g.progress.say("%s: round %d, %s", g.stage.name, round, map[bool]string{true: "empty", false: "grown"}[database == ""])
			r, err := g.measureGrowth(ctx, database)
			if err != nil {
				return nil, fmt.Errorf("round %d: %w", round, err)
			}
			if r.Round = round; round > 0 {
				results = append(results, r)
			}
		}
	}
	return results, nil
}

// measureGrowth lets a worker bring fresh events to the vendor, and with them what it
// finds at rest, on the grown database, or on an empty one where none is given.
func (g *grownState) measureGrowth(ctx context.Context, database string) (r growthResult, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	g.runs++
	r = growthResult{Stage: g.stage.name, Grown: database != "", Computing: g.query.computing()}
	m := &growthRun{grownState: g, name: fmt.Sprintf("r%d-", g.runs), database: database, result: &r}
	if database == "" {
		if m.database, err = g.freshDatabase(ctx, workerTemplate); err != nil {
			return r, err
		}
		defer func() { err = errors.Join(err, g.dropDatabase(context.WithoutCancel(ctx), m.database)) }()
	}
	if m.conn, err = pgx.Connect(ctx, g.databaseURL(m.database)); err != nil {
		return r, fmt.Errorf("connecting to Postgres: %w", err)
	}
	defer m.conn.Close(context.Background()) //nolint:errcheck // it has only read
	if err := m.lay(ctx); err != nil {
		return r, err
	}
	if err := m.run(ctx); err != nil {
		return r, err
	}
	return r, g.js.DeleteConsumer(ctx, streamName, m.database)
}

// lay puts the work there: fresh events into the stream, and into the tables as much
// that rests and is due as on the empty ones, where the backlog hasn't more.
func (m *growthRun) lay(ctx context.Context) error {
	if err := m.freshStream(ctx); err != nil {
		return err
	}
	if err := m.publishDay(ctx); err != nil {
		return err
	}
	var due, queued int
	count := `SELECT (SELECT count(*) FROM (SELECT FROM outbox.lanes WHERE account = 'dmhub' AND next_at <= now() LIMIT $1) d),
		(SELECT count(*) FROM outbox.deliveries WHERE lane = ` + laneOfMember + ` AND owner IS NULL)`
	missing, member := duePerEvent*m.opts.events, m.members[len(m.members)-1].ID
	if err := m.conn.QueryRow(ctx, count, missing, strconv.FormatInt(member, 10)).Scan(&due, &queued); err != nil {
		return fmt.Errorf("counting what is due: %w", err)
	}
	f := filler{m.databaseURL(m.database)}
	if due < missing {
		if err := f.live(ctx, m.name, missing-due, true); err != nil {
			return err
		}
	}
	if m.result.Grown && queued < m.stage.lane {
		if err := f.lane(ctx, m.name, m.stage.lane-queued, member); err != nil {
			return err
		}
	}
	return m.conn.QueryRow(ctx, `SELECT max(id) FROM outbox.deliveries`).Scan(&m.last)
}

var laneOfMember = laneSQL("member", "'id:' || $2::text")

// publishDay brings fresh events: a day's trade of all members but the last, whose
// lane is the long one, and some for orders that are blocked.
func (m *growthRun) publishDay(ctx context.Context) error {
	messages, err := tradeOf(uint64(m.runs), "", m.members[:len(m.members)-1], m.opts.events)
	if err != nil {
		return err
	}
	if m.result.Grown && m.stage.blocked > 0 {
		for i := range blockedComes {
			text, err := envelope("default", string(event.OrderUpdated), map[string]any{
				"orderNo": fmt.Sprint("B", (m.runs*blockedComes+i)%m.stage.blocked), "uuid": fmt.Sprint(m.name, i),
				"dateOrder": time.Now().UTC().Format(time.RFC3339), "amountPaid": 1, "membershipId": firstMember,
			})
			if err != nil {
				return err
			}
			messages = append(messages, trade.Message{Subject: event.Subject(event.OrderUpdated), Data: text})
		}
	}
	return m.publishAll(ctx, messages)
}
