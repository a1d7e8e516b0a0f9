package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/schollz/progressbar/v3"

	"syncworker/internal/consumer"
	"syncworker/internal/event"
	"syncworker/internal/trade"
)

// demoPatience is how long the demo waits for a day to settle.
const demoPatience = 3 * time.Minute

// demo is one day's trade, published to the servers of dev.
type demo struct {
	*servers
	parts   []part
	known   map[event.Identity]string // what the day's events are about; see about
	seed    uint64
	faults  float64
	db      *pgx.Conn
	js      jetstream.JetStream
	rejects int64 // the newest reject of before
	started time.Time
	took    time.Duration
}

// part is what one tenant publishes.
type part struct {
	tenant string
	day    *trade.Day
}

func (d *demo) tenants() []string {
	var names []string
	for _, p := range d.parts {
		names = append(names, p.tenant)
	}
	return names
}

// demo publishes a day, waits until it has settled and shows what became of it.
func (a *app) demo(ctx context.Context, s *servers, o devOptions) error {
	d := &demo{servers: s, faults: o.faults}
	if err := d.prepare(o, a.now()); err != nil {
		return err
	}
	db, err := pgx.Connect(ctx, string(s.config.Database.URL))
	if err != nil {
		return fmt.Errorf("connecting the demo to the database: %w", err)
	}
	defer db.Close(context.WithoutCancel(ctx)) //nolint:errcheck // only read
	d.db = db
	conn, err := nats.Connect(s.nats.URL, nats.Name("syncworker demo"))
	if err != nil {
		return fmt.Errorf("connecting the demo to NATS: %w", err)
	}
	defer conn.Close()
	if d.js, err = jetstream.New(conn); err != nil {
		return fmt.Errorf("opening JetStream for the demo: %w", err)
	}
	d.started = a.now()
	if err := d.publish(ctx); err != nil {
		return err
	}
	if err := d.settle(ctx, a.progress(d.deliveries(), "deliveries settled")); err != nil {
		return err
	}
	d.took = a.now().Sub(d.started)
	if err := s.vendor.SetRules(); err != nil { // what people try next goes well
		return err
	}
	report, err := d.report(ctx)
	if err != nil {
		return err
	}
	if err := a.printDemo(d, report, o); err != nil {
		return err
	}
	if n := len(report.Problems); n > 0 {
		return fmt.Errorf("the demo's day didn't end as it had to, in %d ways (-o json has all): %s", n, strings.Join(report.Problems[:min(n, 10)], "; "))
	}
	return nil
}

// prepare makes the day. Its number is kept, so that the next demo in this
// folder is another day.
func (d *demo) prepare(o devOptions, now time.Time) error {
	if d.seed = o.seed; d.seed == 0 {
		last, err := os.ReadFile(d.path("days"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("reading the number of the last demo: %w", err)
		}
		number, _ := strconv.ParseUint(strings.TrimSpace(string(last)), 10, 64) // a broken file counts as none
		d.seed = number + 1
		if err := os.WriteFile(d.path("days"), []byte(strconv.FormatUint(d.seed, 10)), 0o644); err != nil {
			return fmt.Errorf("keeping the number of the demo: %w", err)
		}
	}
	if err := d.makeDay(o, now); err != nil {
		return err
	}
	rules, err := faultRules(o.faults)
	if err != nil {
		return err
	}
	return d.vendor.SetRules(rules...)
}

// publish sends the day as the shops would: in order, each acknowledged by the
// stream. It sets no Nats-Msg-Id, so that repeats reach the outbox.
func (d *demo) publish(ctx context.Context) error {
	if _, err := consumer.EnsureStream(ctx, d.js, streamConfig(d.config.NATS)); err != nil {
		return err
	}
	const newest = `SELECT coalesce(max(id), 0) FROM outbox.rejects`
	if err := d.db.QueryRow(ctx, newest).Scan(&d.rejects); err != nil {
		return fmt.Errorf("looking for the newest reject: %w", err)
	}
	var acks []jetstream.PubAckFuture
	for m := range d.messages() {
		ack, err := d.js.PublishMsgAsync(&nats.Msg{Subject: m.Subject, Header: m.Header, Data: m.Data})
		if err != nil {
			return fmt.Errorf("publishing the day: %w", err)
		}
		acks = append(acks, ack)
	}
	for _, ack := range acks {
		select {
		case <-ack.Ok():
		case err := <-ack.Err():
			return fmt.Errorf("publishing the day: %w", err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// settle waits until every message is in the outbox and every delivery is final
// or waits for a person; for no longer than demoPatience.
func (d *demo) settle(ctx context.Context, bar *progressbar.ProgressBar) error {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	patience := time.NewTimer(demoPatience)
	defer patience.Stop()
	for {
		settled, err := d.settled(ctx)
		if err != nil {
			return err
		}
		_ = bar.Set(settled) // a bar that can't be drawn changes nothing
		if settled == d.deliveries() {
			return nil
		}
		select {
		case <-tick.C:
		case <-patience.C:
			return nil // the report says what hasn't settled
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// expected are the deliveries that have to come of the day, by account and type:
// one for each account that a route names.
func (d *demo) expected() map[traffic]int {
	want := map[traffic]int{}
	for _, p := range d.parts {
		for t, n := range p.day.Events {
			for _, account := range d.config.Accounts(t, p.tenant) {
				want[traffic{account, t}] += n
			}
		}
	}
	return want
}

func (d *demo) deliveries() int {
	sum := 0
	for _, n := range d.expected() {
		sum += n
	}
	return sum
}

// settled counts the deliveries that have: one that waits behind one that a person
// has to decide about is among them. The last counts only when the
// stream has nothing left: repeats, conflicts and rejects make no deliveries.
func (d *demo) settled(ctx context.Context) (int, error) {
	const sql = `
		SELECT count(*) FROM finance.deliveries
		WHERE tenant = ANY($1) AND (state IN ('delivered', 'dead', 'held', 'cancelled')
			OR state = 'waiting' AND reason IN ('predecessor_held', 'predecessor_dead'))`
	var settled int
	if err := d.db.QueryRow(ctx, sql, d.tenants()).Scan(&settled); err != nil {
		return 0, fmt.Errorf("counting what has settled: %w", err)
	}
	if settled < d.deliveries() {
		return settled, nil
	}
	cons, err := d.js.Consumer(ctx, d.config.NATS.Stream, d.config.NATS.Consumer)
	if err != nil {
		return 0, fmt.Errorf("looking at the consumer: %w", err)
	}
	if info := cons.CachedInfo(); info.NumPending > 0 || info.NumAckPending > 0 {
		return settled - 1, nil
	}
	return settled, nil
}
