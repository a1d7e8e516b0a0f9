package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
	"syncworker/internal/sandbox"
)

// demoReport is what became of a day.
type demoReport struct {
	Tenant     string         `json:"tenant"`
	Day        uint64         `json:"day"`
	Messages   int            `json:"messages"`
	Seconds    float64        `json:"seconds"` // from the first message until all had settled
	Duplicates int            `json:"duplicates"`
	Conflicts  int            `json:"conflicts"`
	Rejects    map[string]int `json:"rejects"` // by reason
	Types      []typeRow      `json:"types"`
	Stopped    []stoppedRow   `json:"stopped"`
	Books      []bookRow      `json:"books"`
	Pace       pace           `json:"pace"`
	Faults     int            `json:"faults"`   // calls that the vendor let fail
	Calls      int            `json:"calls"`    // that reached the vendor
	Example    int64          `json:"example"`  // a delivery worth looking at
	Replay     int64          `json:"replay"`   // one that may be replayed; 0: none may
	Problems   []string       `json:"problems"` // what isn't as it had to be
}

// typeRow is what became of the events of one type.
type typeRow struct {
	Type      string `json:"type"`
	Published int    `json:"published"` // messages of the contract, repeats and conflicts left out
	Delivered int    `json:"delivered"`
	Dead      int    `json:"dead"`
	Held      int    `json:"held"`
	Waiting   int    `json:"waiting"`
	Other     int    `json:"other"`
	Effects   int    `json:"effects"` // at the vendor
}

// stoppedRow is one way in which deliveries didn't get through.
type stoppedRow struct {
	State      string          `json:"state"`
	Reason     string          `json:"reason"`
	Code       string          `json:"vendor_code"`
	Type       string          `json:"type"`
	Deliveries int             `json:"deliveries"`
	Amount     decimal.Decimal `json:"amount"`
	Points     int64           `json:"points"`
}

// pace is how fast effects came.
type pace struct {
	Delivered int     `json:"delivered"`
	P50       float64 `json:"p50_ms"` // from the commit in the outbox to the recorded effect
	P95       float64 `json:"p95_ms"`
	Rate      float64 `json:"per_second"` // over the time in which the first nine tenths were delivered
}

func (d *demo) report(ctx context.Context) (*demoReport, error) {
	r := &demoReport{Tenant: d.tenant, Day: d.seed, Messages: len(d.day.Messages), Seconds: d.took.Seconds(), Rejects: map[string]int{}}
	for _, part := range []func(context.Context, *demoReport) error{d.door, d.types, d.stopped, d.example, d.replayable, d.speed, d.books} {
		if err := part(ctx, r); err != nil {
			return nil, err
		}
	}
	for _, op := range d.vendor.Summary().ByOp {
		r.Calls, r.Faults = r.Calls+op.Calls, r.Faults+op.Faults
	}
	d.judge(r)
	return r, nil
}

// door counts what came in and made no delivery.
func (d *demo) door(ctx context.Context, r *demoReport) error {
	const counts = `
		SELECT (SELECT coalesce(sum(duplicates), 0) FROM outbox.identities WHERE tenant = $1),
		       (SELECT coalesce(sum(count), 0) FROM outbox.conflicts WHERE tenant = $1)`
	const rejects = `SELECT reason, sum(count)::int FROM outbox.rejects WHERE id > $1 GROUP BY reason`
	if err := d.db.QueryRow(ctx, counts, d.tenant).Scan(&r.Duplicates, &r.Conflicts); err != nil {
		return fmt.Errorf("counting duplicates and conflicts: %w", err)
	}
	rows, err := d.db.Query(ctx, rejects, d.rejects)
	if err == nil {
		var reason string
		var n int
		_, err = pgx.ForEachRow(rows, []any{&reason, &n}, func() error { r.Rejects[reason] = n; return nil })
	}
	if err != nil {
		return fmt.Errorf("counting rejects: %w", err)
	}
	return nil
}

func (d *demo) types(ctx context.Context, r *demoReport) error {
	const sql = `
		SELECT type, count(*) AS published, count(*) FILTER (WHERE state = 'delivered') AS delivered,
		       count(*) FILTER (WHERE state = 'dead') AS dead, count(*) FILTER (WHERE state = 'held') AS held,
		       count(*) FILTER (WHERE state = 'waiting') AS waiting,
		       count(*) FILTER (WHERE state NOT IN ('delivered', 'dead', 'held', 'waiting')) AS other, 0 AS effects
		FROM finance.deliveries WHERE tenant = $1 GROUP BY type`
	rows, err := d.db.Query(ctx, sql, d.tenant)
	if err == nil {
		r.Types, err = pgx.CollectRows(rows, pgx.RowToStructByPos[typeRow])
	}
	if err != nil {
		return fmt.Errorf("counting deliveries by type: %w", err)
	}
	at := func(t typeRow) int { return slices.Index(event.Types(), event.Type(t.Type)) }
	slices.SortFunc(r.Types, func(a, b typeRow) int { return at(a) - at(b) })
	return nil
}

// stopped groups what isn't delivered. A vendor's code is the last that a call
// was answered with: a read that came after it has none.
func (d *demo) stopped(ctx context.Context, r *demoReport) error {
	const sql = `
		SELECT f.state, f.reason, coalesce(a.vendor_code, '') AS code, f.type, count(*) AS deliveries,
		       coalesce(sum(f.amount), 0) AS amount, coalesce(sum(f.points), 0)::bigint AS points
		FROM finance.deliveries f
		LEFT JOIN LATERAL (
			SELECT vendor_code FROM outbox.attempts
			WHERE delivery_id = f.id AND vendor_code <> '' AND f.state = 'dead'
			ORDER BY number DESC LIMIT 1) a ON true
		WHERE f.tenant = $1 AND f.state <> 'delivered'
		GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 4`
	rows, err := d.db.Query(ctx, sql, d.tenant)
	if err == nil {
		r.Stopped, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (s stoppedRow, err error) {
			var amount string
			err = row.Scan(&s.State, &s.Reason, &s.Code, &s.Type, &s.Deliveries, &amount, &s.Points)
			if err == nil {
				s.Amount, err = decimal.NewFromString(amount)
			}
			return s, err
		})
	}
	if err != nil {
		return fmt.Errorf("counting what isn't delivered: %w", err)
	}
	return nil
}

// example finds the delivery with the most to tell: one whose answer was unclear,
// or else one that isn't delivered.
func (d *demo) example(ctx context.Context, r *demoReport) error {
	const sql = `
		SELECT id FROM finance.deliveries WHERE tenant = $1
		ORDER BY state = 'held' AND reason = 'unclear' DESC, state = 'held' DESC, attempts DESC, id LIMIT 1`
	if err := d.db.QueryRow(ctx, sql, d.tenant).Scan(&r.Example); err != nil {
		return fmt.Errorf("looking for an example: %w", err)
	}
	return nil
}

// replayable finds a delivery that a replay takes: not all that is dead is.
func (d *demo) replayable(ctx context.Context, r *demoReport) error {
	store, err := openStore(ctx, d.config, outbox.Open)
	if err != nil {
		return err
	}
	defer store.Close()
	decision := outbox.Decision{Action: outbox.Replay, Accounts: accountNames(d.config)}
	plan, err := store.Plan(ctx, decision, outbox.Filter{States: []outbox.State{outbox.Dead}, Tenants: []string{d.tenant}}, 0)
	if err != nil {
		return fmt.Errorf("looking for what may be replayed: %w", err)
	}
	if len(plan.IDs) > 0 {
		r.Replay = plan.IDs[0]
	}
	return nil
}

func (d *demo) speed(ctx context.Context, r *demoReport) error {
	const sql = `
		SELECT count(*), coalesce(percentile_cont(0.5) WITHIN GROUP (ORDER BY took), 0),
		       coalesce(percentile_cont(0.95) WITHIN GROUP (ORDER BY took), 0),
		       coalesce(0.9 * count(*) / nullif(percentile_cont(0.9) WITHIN GROUP (ORDER BY at), 0), 0)
		FROM (
			SELECT 1000 * extract(epoch FROM delivered_at - received_at)::float8 AS took,
			       extract(epoch FROM delivered_at - min(received_at) OVER ())::float8 AS at
			FROM finance.deliveries WHERE tenant = $1 AND state = 'delivered') d`
	err := d.db.QueryRow(ctx, sql, d.tenant).Scan(&r.Pace.Delivered, &r.Pace.P50, &r.Pace.P95, &r.Pace.Rate)
	if err != nil {
		return fmt.Errorf("measuring the pace: %w", err)
	}
	return nil
}

// judge compares with what had to become of the day. What an unclear answer
// leaves for a person to decide isn't foreseen: with faults, only what must hold
// all the same is compared.
func (d *demo) judge(r *demoReport) {
	want := func(what string, got, want int) {
		if got != want {
			r.Problems = append(r.Problems, fmt.Sprintf("%s: %d, and not %d", what, got, want))
		}
	}
	want("duplicates", r.Duplicates, d.day.Duplicates)
	want("conflicts", r.Conflicts, d.day.Conflicts)
	for _, reason := range slices.Sorted(maps.Keys(d.day.Rejects)) {
		want("rejected as "+string(reason), r.Rejects[string(reason)], d.day.Rejects[reason])
	}
	got := map[event.Type]typeRow{}
	dead, refused := 0, 0
	for _, t := range r.Types {
		got[event.Type(t.Type)] = t
		dead += t.Dead
		want(t.Type+" neither final nor with a person", t.Other, 0)
	}
	for _, t := range event.Types() {
		want(string(t)+" in the outbox", got[t].Published, d.day.Events[t])
		if d.faults == 0 {
			want(string(t)+" delivered", got[t].Delivered, d.day.Delivered[t])
		}
	}
	for _, n := range d.day.Refused {
		refused += n
	}
	want("dead", dead, refused)
	for _, s := range r.Stopped {
		if s.State == "held" && event.Type(s.Type).Point() {
			want("points held as "+s.Reason, s.Deliveries, 0)
		}
	}
	for _, v := range d.vendor.Violations() {
		if !d.meant(v) {
			r.Problems = append(r.Problems, fmt.Sprintf("the vendor saw %s at %s of %s", v.Kind, v.Op, v.Key))
		}
	}
}

// meant reports what looks careless to the vendor and isn't: a member named by
// id and by mobile number has two lanes, and a delete whose answer was unclear
// is safe to repeat.
func (d *demo) meant(v sandbox.Violation) bool {
	switch v.Kind {
	case sandbox.Overlap:
		return v.Op == sandbox.OpPointIncr || v.Op == sandbox.OpPointDecr
	case sandbox.AfterDelete:
		return v.Op == sandbox.OpDealDelete && d.faults > 0
	}
	return false
}
