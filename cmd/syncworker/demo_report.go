package main

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

// demoReport is what became of a day.
type demoReport struct {
	Tenants    []string       `json:"tenants"` // the shop's, and its web shop's
	Day        uint64         `json:"day"`
	Messages   int            `json:"messages"`
	Events     int            `json:"events"`     // distinct ones of the contract
	Deliveries int            `json:"deliveries"` // of them: an order goes to two accounts
	Seconds    float64        `json:"seconds"`    // from the first message until all had settled
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

// typeRow is what became of the events of one type at one account.
type typeRow struct {
	Account   string `json:"account"`
	Type      string `json:"type"`
	Published int    `json:"published"` // events of the contract that go there, repeats and conflicts left out
	Delivered int    `json:"delivered"`
	Dead      int    `json:"dead"`
	Held      int    `json:"held"`
	Waiting   int    `json:"waiting"`
	Other     int    `json:"other"`
	Effects   int    `json:"effects"` // at the vendor
}

// stoppedRow is one way in which deliveries didn't get through.
type stoppedRow struct {
	Account    string          `json:"account"`
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
	r := &demoReport{
		Tenants: d.tenants(), Day: d.seed, Deliveries: d.deliveries(), Seconds: d.took.Seconds(), Rejects: map[string]int{},
	}
	for _, p := range d.parts {
		r.Messages += len(p.day.Messages)
		for _, n := range p.day.Events {
			r.Events += n
		}
	}
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
		SELECT (SELECT coalesce(sum(duplicates), 0) FROM outbox.identities WHERE tenant = ANY($1)),
		       (SELECT coalesce(sum(count), 0) FROM outbox.conflicts WHERE tenant = ANY($1))`
	const rejects = `SELECT reason, sum(count)::int FROM outbox.rejects WHERE id > $1 GROUP BY reason`
	if err := d.db.QueryRow(ctx, counts, d.tenants()).Scan(&r.Duplicates, &r.Conflicts); err != nil {
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
		SELECT account, type, count(*) AS published, count(*) FILTER (WHERE state = 'delivered') AS delivered,
		       count(*) FILTER (WHERE state = 'dead') AS dead, count(*) FILTER (WHERE state = 'held') AS held,
		       count(*) FILTER (WHERE state = 'waiting') AS waiting,
		       count(*) FILTER (WHERE state NOT IN ('delivered', 'dead', 'held', 'waiting')) AS other, 0 AS effects
		FROM finance.deliveries WHERE tenant = ANY($1) GROUP BY account, type`
	rows, err := d.db.Query(ctx, sql, d.tenants())
	if err == nil {
		r.Types, err = pgx.CollectRows(rows, pgx.RowToStructByPos[typeRow])
	}
	if err != nil {
		return fmt.Errorf("counting deliveries by type: %w", err)
	}
	at := func(t typeRow) int { return slices.Index(event.Types(), event.Type(t.Type)) }
	slices.SortFunc(r.Types, func(a, b typeRow) int { return cmp.Or(strings.Compare(a.Account, b.Account), at(a)-at(b)) })
	return nil
}

// stopped groups what isn't delivered. A vendor's code is the last that a call
// was answered with: a read that came after it has none.
func (d *demo) stopped(ctx context.Context, r *demoReport) error {
	const sql = `
		SELECT f.account, f.state, f.reason, coalesce(a.vendor_code, '') AS code, f.type, count(*) AS deliveries,
		       coalesce(sum(f.amount), 0) AS amount, coalesce(sum(f.points), 0)::bigint AS points
		FROM finance.deliveries f
		LEFT JOIN LATERAL (
			SELECT vendor_code FROM outbox.attempts
			WHERE delivery_id = f.id AND vendor_code <> '' AND f.state = 'dead'
			ORDER BY number DESC LIMIT 1) a ON true
		WHERE f.tenant = ANY($1) AND f.state <> 'delivered'
		GROUP BY 1, 2, 3, 4, 5 ORDER BY 1, 2, 3, 4, 5`
	rows, err := d.db.Query(ctx, sql, d.tenants())
	if err == nil {
		r.Stopped, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (s stoppedRow, err error) {
			var amount string
			err = row.Scan(&s.Account, &s.State, &s.Reason, &s.Code, &s.Type, &s.Deliveries, &amount, &s.Points)
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
		SELECT id FROM finance.deliveries WHERE tenant = ANY($1)
		ORDER BY state = 'held' AND reason = 'unclear' DESC, state = 'held' DESC, attempts DESC, id LIMIT 1`
	if err := d.db.QueryRow(ctx, sql, d.tenants()).Scan(&r.Example); err != nil {
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
	plan, err := store.Plan(ctx, decision, outbox.Filter{States: []outbox.State{outbox.Dead}, Tenants: d.tenants()}, 0)
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
			FROM finance.deliveries WHERE tenant = ANY($1) AND state = 'delivered') d`
	err := d.db.QueryRow(ctx, sql, d.tenants()).Scan(&r.Pace.Delivered, &r.Pace.P50, &r.Pace.P95, &r.Pace.Rate)
	if err != nil {
		return fmt.Errorf("measuring the pace: %w", err)
	}
	return nil
}
