package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"syncworker/internal/event"
	"syncworker/internal/sandbox"
)

// bookRow is one sum on both sides. They agree where the vendor has exactly what
// is delivered here, and beyond that only what deliveries that a person has to
// decide about have left there.
type bookRow struct {
	Sum       string          `json:"sum"`
	Outbox    decimal.Decimal `json:"outbox"`    // of what is delivered
	Undecided decimal.Decimal `json:"undecided"` // effects of deliveries that are held
	Vendor    decimal.Decimal `json:"vendor"`    // of the ledger's effects
	Agree     bool            `json:"agree"`
	money     bool            // shown with its cents
}

// entries are amounts by what they concern: an order's number, a point's uuid.
type entries map[string]decimal.Decimal

func (e entries) add(key string, amount decimal.Decimal) { e[key] = e[key].Add(amount) }

func (e entries) sum() decimal.Decimal {
	sum := decimal.Zero
	for _, amount := range e {
		sum = sum.Add(amount)
	}
	return sum
}

// compare holds both sides against each other, entry by entry. open has the
// amounts of the deliveries of an entry that may have had an effect and wait for
// a person: a difference has to be the sum of some of them.
func compare(name string, ours, theirs entries, open map[string][]decimal.Decimal) (row bookRow, differing []string) {
	row = bookRow{Sum: name, Outbox: ours.sum(), Vendor: theirs.sum()}
	keys := maps.Clone(ours)
	maps.Copy(keys, theirs)
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		difference := theirs[key].Sub(ours[key])
		if !difference.IsZero() && !sumOfSome(open[key], difference) {
			differing = append(differing, key)
			continue
		}
		row.Undecided = row.Undecided.Add(difference)
	}
	row.Agree = len(differing) == 0 && row.Outbox.Add(row.Undecided).Equal(row.Vendor)
	return row, differing
}

// sumOfSome reports whether some of the amounts, at least one, add up to it.
func sumOfSome(amounts []decimal.Decimal, sum decimal.Decimal) bool {
	for i, amount := range amounts {
		if amount.Equal(sum) || sumOfSome(amounts[i+1:], sum.Sub(amount)) {
			return true
		}
	}
	return false
}

// ledger is what one side has of a day.
type ledger struct {
	paid, refunded, in, out entries
	effects                 map[event.Type]int
}

func newLedger() ledger {
	return ledger{entries{}, entries{}, entries{}, entries{}, map[event.Type]int{}}
}

// books compares both sides and counts the vendor's effects by type.
func (d *demo) books(ctx context.Context, r *demoReport) error {
	ours := newLedger()
	open, uuids, err := d.ourSide(ctx, ours)
	if err != nil {
		return err
	}
	theirs := theirSide(d.ofThisDay(uuids))
	for i := range r.Types {
		t := &r.Types[i]
		t.Effects = theirs.effects[event.Type(t.Type)]
		if t.Effects < t.Delivered || t.Effects > t.Delivered+t.Held {
			r.Problems = append(r.Problems, fmt.Sprintf("%s: %d delivered, and %d effects at the vendor", t.Type, t.Delivered, t.Effects))
		}
	}
	for _, b := range []struct {
		name         string
		ours, theirs entries
		open         map[string][]decimal.Decimal
		money        bool
	}{
		{"orders, paid", ours.paid, theirs.paid, open["order.created"], true},
		{"refunds outstanding", ours.refunded, theirs.refunded, open["order.refunded"], true},
		{"points granted", ours.in, theirs.in, open["point"], false},
		{"points taken", ours.out, theirs.out, open["point"], false},
	} {
		row, differing := compare(b.name, b.ours, b.theirs, b.open)
		row.money = b.money
		r.Books = append(r.Books, row)
		for _, key := range differing {
			r.Problems = append(r.Problems, fmt.Sprintf("%s: %s here and %s at the vendor for %s", b.name, b.ours[key], b.theirs[key], key))
		}
	}
	return nil
}

// ourSide reads what the finance views say is delivered, and what a person has
// to decide about. uuids are those of all point events of the day.
func (d *demo) ourSide(ctx context.Context, l ledger) (open map[string]map[string][]decimal.Decimal, uuids map[string]bool, err error) {
	const sql = `
		SELECT 'paid', order_no, amount_paid::text FROM finance.orders
		WHERE tenant = $1 AND delivery_state = 'delivered'
		UNION ALL
		SELECT 'refunded', order_no, refunded_total::text FROM finance.orders
		WHERE tenant = $1 AND refunded_total <> 0
		UNION ALL
		SELECT CASE direction WHEN 1 THEN 'in' ELSE 'out' END, uuid, coalesce(points_applied, 0)::text FROM finance.points
		WHERE tenant = $1
		UNION ALL
		SELECT 'open ' || CASE WHEN type LIKE 'point.%' THEN 'point' ELSE type END,
		       CASE WHEN type LIKE 'point.%' THEN uuid ELSE order_no END, coalesce(amount, points, 0)::text
		FROM finance.deliveries
		WHERE tenant = $1 AND state = 'held' AND type <> 'order.refund_deleted'
		UNION ALL
		SELECT 'open order.refunded', t.order_no, (-r.refund_total)::text
		FROM finance.deliveries t JOIN finance.refunds r USING (tenant, account, order_no, uuid)
		WHERE t.tenant = $1 AND t.state = 'held' AND t.type = 'order.refund_deleted'`
	open, uuids = map[string]map[string][]decimal.Decimal{}, map[string]bool{}
	rows, err := d.db.Query(ctx, sql, d.tenant)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the finance views: %w", err)
	}
	var what, key, text string
	_, err = pgx.ForEachRow(rows, []any{&what, &key, &text}, func() error {
		amount, err := decimal.NewFromString(text)
		switch what {
		case "paid":
			l.paid.add(key, amount)
		case "refunded":
			l.refunded.add(key, amount)
		case "in":
			l.in.add(key, amount)
			uuids[key] = true
		case "out":
			l.out.add(key, amount)
			uuids[key] = true
		default:
			of := what[len("open "):]
			if open[of] == nil {
				open[of] = map[string][]decimal.Decimal{}
			}
			open[of][key] = append(open[of][key], amount)
		}
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("reading the finance views: %w", err)
	}
	return open, uuids, nil
}

// theirSide sums up the vendor's ledger.
func theirSide(effects []sandbox.Effect) ledger {
	l := newLedger()
	types := map[string]event.Type{
		sandbox.OpDealCreate: event.OrderCreated, sandbox.OpDealUpdate: event.OrderUpdated,
		sandbox.OpDealCancel: event.OrderCancelled, sandbox.OpDealDelete: event.OrderDeleted,
		sandbox.OpDealRefund: event.OrderRefunded, sandbox.OpDealDeleteRefund: event.OrderRefundDeleted,
		sandbox.OpPointIncr: event.PointIncremented, sandbox.OpPointDecr: event.PointDecremented,
	}
	for _, e := range effects {
		t := types[e.Op]
		if !e.Repeat {
			l.effects[t]++
		}
		switch t {
		case event.OrderCreated, event.OrderUpdated:
			l.paid.add(e.Key, e.Amount)
		case event.OrderRefunded, event.OrderRefundDeleted:
			l.refunded.add(e.Key, e.Amount)
		case event.PointIncremented:
			l.in.add(pointUUID(e), decimal.NewFromInt(e.Points))
		case event.PointDecremented:
			l.out.add(pointUUID(e), decimal.NewFromInt(-e.Points))
		}
	}
	return l
}
