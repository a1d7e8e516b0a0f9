package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncworker/internal/sandbox"
)

// leftInStream is how many events a consumer hasn't acknowledged.
func (s *stack) leftInStream(ctx context.Context, consumer string) (uint64, error) {
	c, err := s.js.Consumer(ctx, streamName, consumer)
	if err != nil {
		return 0, fmt.Errorf("looking at the consumer: %w", err)
	}
	info := c.CachedInfo()
	return info.NumPending + uint64(info.NumAckPending), nil
}

// gate returns until when the circuit is open; zero where it is closed.
func (o *outage) gate(ctx context.Context) (time.Time, error) {
	var until *time.Time
	err := o.conn.QueryRow(ctx, `SELECT open_until FROM outbox.gates`).Scan(&until)
	switch {
	case errors.Is(err, pgx.ErrNoRows), err == nil && until == nil:
		return time.Time{}, nil
	case err != nil:
		return time.Time{}, fmt.Errorf("reading the gate: %w", err)
	}
	return *until, nil
}

// unclearLanes are those in which a call of the outage has left a question. What
// is behind it waits, as it has to.
const unclearLanes = `
	SELECT lane FROM outbox.deliveries d JOIN outbox.attempts a ON a.delivery_id = d.id
	WHERE a.class = 'ambiguous' AND a.started_at BETWEEN $1::timestamptz - interval '1 minute' AND $2`

// burnt is what the outage has cost while it lasted.
type burnt struct {
	attempts  int // counted on all deliveries
	most      int // on one of them
	unfounded int // deliveries with more attempts than calls on record
}

func (o *outage) readBurnt(ctx context.Context) error {
	const sql = `
		SELECT coalesce(sum(attempts), 0), coalesce(max(attempts), 0),
			count(*) FILTER (WHERE attempts > (SELECT count(*) FROM outbox.attempts a WHERE a.delivery_id = d.id)),
			(SELECT count(*) FROM outbox.deliveries WHERE state IN ('delivered', 'dead', 'cancelled', 'held'))
		FROM outbox.deliveries d WHERE attempts > 0`
	b, through := &o.burnt, 0
	if err := o.conn.QueryRow(ctx, sql).Scan(&b.attempts, &b.most, &b.unfounded, &through); err != nil {
		return fmt.Errorf("reading what the outage has cost: %w", err)
	}
	o.backlog = o.events - through
	return nil
}

// seen is what stands in the tables and in the vendor's ledger once all is over.
type seen struct {
	cutCalls    int         // without an answer, from before the circuit was open
	probes      []time.Time // while it was open, and the vendor away
	vendorCalls int         // that came while it was away and the circuit open, look-ups too; 0 where it can't see them
	answered    time.Time   // when the first call began that the vendor answered again
	drained     time.Time   // all that the outage left no question about
	ended       time.Time   // all that doesn't wait for a person
	perSecond   []int       // calls, from that moment on

	dead, held, waiting int
	heldByProbe         int
	heldUnasked         int // without an unclear call
	behind              int // deliveries of lanes with an unclear call
	ledger              ledger
}

func (o *outage) read(ctx context.Context) error {
	n := &o.seen
	// One that the opening circuit has overtaken wasn't made.
	const calls = `SELECT started_at, class FROM outbox.attempts
		WHERE started_at >= $1 AND NOT (class = 'not_sent' AND vendor_message LIKE '%the circuit of%') ORDER BY started_at`
	rows, err := o.conn.Query(ctx, calls, o.cut.Add(-time.Minute))
	if err != nil {
		return fmt.Errorf("reading the attempts: %w", err)
	}
	var at time.Time
	var class string
	_, err = pgx.ForEachRow(rows, []any{&at, &class}, func() error {
		lost := class == "ambiguous" || class == "not_sent"
		switch {
		case lost && at.Before(o.opened):
			n.cutCalls++
		case at.After(o.opened) && at.Before(o.back):
			n.probes = append(n.probes, at)
		case !lost && at.After(o.back) && n.answered.IsZero():
			n.answered = at
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the attempts: %w", err)
	}
	const states = `
		WITH unclear AS (SELECT delivery_id, bool_or(started_at > $3) AS probe FROM outbox.attempts
			WHERE class = 'ambiguous' GROUP BY 1)
		SELECT count(*) FILTER (WHERE state = 'dead'), count(*) FILTER (WHERE state = 'held'),
			count(*) FILTER (WHERE state = 'waiting'),
			count(*) FILTER (WHERE state = 'held' AND probe), count(*) FILTER (WHERE state = 'held' AND probe IS NULL),
			count(*) FILTER (WHERE lane IN (` + unclearLanes + `)), max(delivered_at),
			max(delivered_at) FILTER (WHERE lane NOT IN (` + unclearLanes + `))
		FROM outbox.deliveries LEFT JOIN unclear ON delivery_id = id`
	err = o.conn.QueryRow(ctx, states, o.cut, o.back, o.opened).Scan(&n.dead, &n.held, &n.waiting,
		&n.heldByProbe, &n.heldUnasked, &n.behind, &n.ended, &n.drained)
	if err != nil {
		return fmt.Errorf("reading what has become of the deliveries: %w", err)
	}
	o.readCalls()
	return o.readLedger(ctx)
}

// rampSeconds is how long the calls are counted by the second.
const rampSeconds = 10

func (o *outage) readCalls() {
	n := &o.seen
	all := make([]int, int(n.drained.Sub(n.answered)/time.Second)+1)
	for _, c := range o.vendor.sandbox.Calls() {
		if i := int(c.Time.Sub(n.answered) / time.Second); !c.Time.Before(n.answered) && i < len(all) {
			all[i]++
		}
		if c.Time.After(o.opened) && c.Time.Before(o.back) {
			n.vendorCalls++
		}
	}
	n.perSecond = all
}

// ledger is the vendor's, held against the worker's tables.
type ledger struct {
	effects    int
	doubled    int // effects that no delivery may have had
	missing    int // delivered without an effect
	violations map[string]int
}

// readLedger counts, for each operation on an order and for each uuid of points,
// the effects that there are and those that there may be.
func (o *outage) readLedger(ctx context.Context) error {
	has := map[effect]int{}
	for _, e := range o.vendor.effects() {
		o.seen.ledger.effects++
		has[e]++
	}
	const sql = `
		SELECT e.type, CASE WHEN e.type LIKE 'point.%' THEN e.uuid ELSE e.order_no END,
			count(*) FILTER (WHERE state = 'delivered'), count(*) FILTER (WHERE state = 'held')
		FROM outbox.deliveries d JOIN outbox.events e ON e.id = d.event_id GROUP BY 1, 2`
	rows, err := o.conn.Query(ctx, sql)
	if err != nil {
		return fmt.Errorf("reading what is delivered: %w", err)
	}
	var typ, key string
	var delivered, held int
	_, err = pgx.ForEachRow(rows, []any{&typ, &key, &delivered, &held}, func() error {
		e := effect{opOf[typ], key}
		o.seen.ledger.missing += max(0, delivered-has[e])
		o.seen.ledger.doubled += max(0, has[e]-delivered-held)
		delete(has, e)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading what is delivered: %w", err)
	}
	for _, n := range has {
		o.seen.ledger.doubled += n // nobody asked for them
	}
	o.readViolations()
	return nil
}

// readViolations leaves out what is promised to nobody: a member whom events name
// differently has two lanes, and points behind an unclear call go on, since each
// has its own uuid.
func (o *outage) readViolations() {
	l := &o.seen.ledger
	l.violations = map[string]int{}
	for _, v := range o.vendor.sandbox.Violations() {
		if v.Kind != sandbox.Overlap || v.Op != sandbox.OpPointIncr && v.Op != sandbox.OpPointDecr {
			l.violations[v.Kind+" of "+v.Op]++
		}
	}
}
