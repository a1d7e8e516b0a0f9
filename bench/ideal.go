package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
)

// idealSchema keeps events apart from the narrow queue, whose rows leave room on
// their page.
const idealSchema = `
	CREATE TABLE events (id bigint PRIMARY KEY, received_at timestamptz NOT NULL DEFAULT now(),
		ce_id text NOT NULL UNIQUE, type text NOT NULL, payload text NOT NULL);
	CREATE TABLE queue (id bigint PRIMARY KEY, lane text NOT NULL, owner text NOT NULL, lease_until timestamptz NOT NULL)
		WITH (fillfactor = 50);
	CREATE TABLE attempts (event_id bigint NOT NULL, recorded_at timestamptz NOT NULL DEFAULT now(),
		started_at timestamptz NOT NULL, duration_us bigint NOT NULL, state text NOT NULL, reply text NOT NULL);`

var idealBooks = books{
	settled:  `SELECT count(*) FROM attempts`,
	last:     `SELECT max(recorded_at) FROM attempts`,
	noted:    `SELECT ce_id FROM events`,
	attempts: `SELECT count(*) FROM attempts`,
	open:     `SELECT ''`, // nobody comes back for what is left in the queue
}

// ideal is the least that brings events to the vendor in order with a row per
// attempt: no retry, no reclaim, no fencing, no intent, one process only.
type ideal struct {
	*means
	lastID atomic.Int64
	held   chan struct{} // one for each event in memory: it bounds them
	ready  chan parcel   // first of their lanes
	done   chan parcel

	mu    sync.Mutex
	lanes map[string][]parcel // what waits behind the one that is ready or under way
}

// parcel is an event on its way.
type parcel struct {
	id    int64
	lane  string
	call  call
	reply reply
}

func runIdeal(ctx context.Context, m *means) error {
	memory := max(8*batchLimit, 8*m.Slots)
	i := &ideal{
		means: m, held: make(chan struct{}, memory), ready: make(chan parcel, memory), done: make(chan parcel, m.Slots+batchLimit),
		lanes: map[string][]parcel{},
	}
	var newest int64
	if err := m.pool.QueryRow(ctx, `SELECT coalesce(max(id), 0) FROM events`).Scan(&newest); err != nil {
		return fmt.Errorf("looking for the newest event: %w", err)
	}
	i.lastID.Store(newest)
	failed := make(chan error, m.Slots+2)
	for range m.Slots {
		go func() { failed <- i.deliver(ctx) }()
	}
	go func() { failed <- i.settle(ctx) }()
	go func() { failed <- m.batches(ctx, i.take) }()
	return <-failed
}

// take commits a batch, already leased, and hands it over in memory.
func (i *ideal) take(ctx context.Context, events []occurrence) error {
	const insert = `
		WITH e AS (INSERT INTO events (id, ce_id, type, payload)
			SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::text[])
			ON CONFLICT (ce_id) DO NOTHING RETURNING id)
		INSERT INTO queue (id, lane, owner, lease_until)
			SELECT n.id, n.lane, 'ideal', now() + interval '30 seconds'
			FROM unnest($1::bigint[], $5::text[]) n (id, lane) JOIN e USING (id)
		RETURNING id`
	n := len(events)
	parcels := make(map[int64]parcel, n)
	ids, ces, types := make([]int64, n), make([]string, n), make([]string, n)
	payloads, lanes := make([]string, n), make([]string, n)
	for k, e := range events {
		i.held <- struct{}{}
		c, lane := i.call(e)
		ids[k], ces[k], types[k], payloads[k], lanes[k] = i.lastID.Add(1), e.ID, e.Type, e.Text, lane
		parcels[ids[k]] = parcel{id: ids[k], lane: lane, call: c}
	}
	rows, err := i.pool.Query(ctx, insert, ids, ces, types, payloads, lanes)
	if err != nil {
		return fmt.Errorf("inserting events: %w", err)
	}
	fresh := map[int64]bool{}
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return fmt.Errorf("inserting events: %w", err)
		}
		fresh[id] = true
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("inserting events: %w", err)
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for _, id := range ids {
		p := parcels[id]
		behind, busy := i.lanes[p.lane]
		switch {
		case !fresh[id]:
			<-i.held // it had come before
		case busy:
			i.lanes[p.lane] = append(behind, p)
		default:
			i.lanes[p.lane] = nil
			i.ready <- p
		}
	}
	return nil
}

// deliver makes one call after the other. A lane goes on as soon as the result is
// handed over.
func (i *ideal) deliver(ctx context.Context) error {
	for p := range i.ready {
		var err error
		if p.reply, err = i.vendor.post(ctx, p.call); err != nil {
			return err
		}
		p.call = call{}
		i.done <- p
		i.mu.Lock()
		if behind := i.lanes[p.lane]; len(behind) > 0 {
			i.lanes[p.lane] = behind[1:]
			i.ready <- behind[0]
		} else {
			delete(i.lanes, p.lane)
		}
		i.mu.Unlock()
	}
	return nil
}

// settle writes what has come back: the queue's row goes, an attempt's comes.
func (i *ideal) settle(ctx context.Context) error {
	const sql = `
		WITH d AS (DELETE FROM queue WHERE id = ANY ($1::bigint[]))
		INSERT INTO attempts (event_id, started_at, duration_us, state, reply)
		SELECT id, to_timestamp(started / 1e6), took, state, reply
		FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::text[], $5::text[]) a (id, started, took, state, reply)`
	var batch []parcel
	for {
		var err error
		if batch, err = gather(ctx, i.done, batch[:0]); err != nil {
			return err
		}
		n := len(batch)
		ids, started, took := make([]int64, n), make([]int64, n), make([]int64, n)
		states, replies := make([]string, n), make([]string, n)
		for k, p := range batch {
			ids[k], started[k], took[k] = p.id, p.reply.Started.UnixMicro(), p.reply.Took.Microseconds()
			states[k], replies[k] = stateOf(p.reply), p.reply.Text
		}
		if _, err := i.pool.Exec(ctx, sql, ids, started, took, states, replies); err != nil {
			return fmt.Errorf("settling events: %w", err)
		}
		for range batch {
			<-i.held
		}
	}
}
