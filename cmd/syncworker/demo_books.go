package main

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"syncworker/internal/event"
)

// bookRow is one sum on both sides. They agree where the vendor has exactly what
// is delivered here, and beyond that only what deliveries that a person has to
// decide about have left there.
type bookRow struct {
	Account   string          `json:"account"`
	Sum       string          `json:"sum"`
	Outbox    decimal.Decimal `json:"outbox"`    // of what is delivered
	Undecided decimal.Decimal `json:"undecided"` // effects of deliveries that are held
	Vendor    decimal.Decimal `json:"vendor"`    // of the ledger's effects
	Agree     bool            `json:"agree"`
	money     bool            // shown with its cents
}

// entries are amounts by what they concern: an order's number, a point's uuid, a
// customer, a code.
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
func compare(account, sum string, ours, theirs entries, open map[string][]decimal.Decimal) (row bookRow, differing []string) {
	row = bookRow{Account: account, Sum: sum, Outbox: ours.sum(), Vendor: theirs.sum()}
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

// book is a sum that both sides have.
type book struct{ account, sum string }

// The sums.
const (
	sumPaid     = "orders, paid"
	sumRefunded = "refunds outstanding"
	sumGranted  = "points granted"
	sumTaken    = "points taken"
	sumAdded    = "codes added"
	sumUsed     = "codes used"
)

// demoBooks are the books in the order in which they are shown, with the type of
// event that a person may have to decide about.
var demoBooks = []struct {
	book
	decided event.Type
	money   bool
}{
	{book{demoLoyalty, sumPaid}, event.OrderCreated, true},
	{book{demoLoyalty, sumRefunded}, event.OrderRefunded, true},
	{book{demoLoyalty, sumGranted}, event.PointIncremented, false},
	{book{demoLoyalty, sumTaken}, event.PointDecremented, false},
	{book{demoDeals, sumPaid}, event.OrderCreated, true},
	{book{demoDeals, sumRefunded}, event.OrderRefunded, true},
	{book{demoHeyShop, sumGranted}, event.PointIncremented, false},
	{book{demoHeyShop, sumTaken}, event.PointDecremented, false},
	{book{demoPospal, sumAdded}, event.CouponCodeAdded, false},
	{book{demoPospal, sumUsed}, event.CouponCodeUsed, false},
}

// ledger is what one side has of a day.
type ledger map[book]entries

func (l ledger) add(b book, key string, amount decimal.Decimal) {
	if l[b] == nil {
		l[b] = entries{}
	}
	l[b].add(key, amount)
}

// doubts are the amounts of the deliveries that may have had an effect and wait
// for a person, by account and type, and by what they concern.
type doubts map[traffic]map[string][]decimal.Decimal

// books compares both sides and counts the vendors' effects by type.
func (d *demo) books(ctx context.Context, r *demoReport) error {
	ours, open, err := d.ourSide(ctx)
	if err != nil {
		return err
	}
	theirs, effects := theirSide(d.deeds())
	if err := d.effects(ctx, r, effects); err != nil {
		return err
	}
	for _, b := range demoBooks {
		row, differing := compare(b.account, b.sum, ours[b.book], theirs[b.book], open[traffic{b.account, b.decided}])
		row.money = b.money
		r.Books = append(r.Books, row)
		for _, key := range differing {
			r.Problems = append(r.Problems, fmt.Sprintf("%s: %s: %s here and %s at the vendor for %s",
				b.account, b.sum, ours[b.book][key], theirs[b.book][key], key))
		}
	}
	return nil
}

// ourSide reads what the finance views say is delivered, and what a person has
// to decide about. A web shop's points are known by their customer: its vendor has
// no key for them.
func (d *demo) ourSide(ctx context.Context) (ledger, doubts, error) {
	const sql = `
		SELECT account, $2, '', order_no, amount_paid::text FROM finance.orders
		WHERE tenant = ANY($1) AND delivery_state = 'delivered'
		UNION ALL
		SELECT account, $3, '', order_no, refunded_total::text FROM finance.orders
		WHERE tenant = ANY($1) AND refunded_total <> 0
		UNION ALL
		SELECT account, CASE direction WHEN 1 THEN $4 ELSE $5 END, '', CASE account WHEN $8 THEN member ELSE uuid END,
		       coalesce(points_applied, 0)::text
		FROM finance.points WHERE tenant = ANY($1)
		UNION ALL
		SELECT f.account, CASE f.type WHEN 'coupon.code_added' THEN $6 ELSE $7 END, '', split_part(d.vendor_key, ' ', 2), '1'
		FROM finance.deliveries f JOIN outbox.deliveries d USING (id)
		WHERE f.tenant = ANY($1) AND f.type IN ('coupon.code_added', 'coupon.code_used') AND f.state = 'delivered'
		UNION ALL
		SELECT f.account, '', f.type, CASE WHEN f.type LIKE 'order.%' THEN f.order_no WHEN f.type LIKE 'coupon.%' THEN split_part(d.vendor_key, ' ', 2)
		           WHEN f.account = $8 THEN f.member ELSE f.uuid END,
		       CASE WHEN f.type LIKE 'coupon.%' THEN '1' ELSE coalesce(f.amount, f.points, 0)::text END
		FROM finance.deliveries f JOIN outbox.deliveries d USING (id)
		WHERE f.tenant = ANY($1) AND f.state = 'held' AND f.type <> 'order.refund_deleted'
		UNION ALL
		SELECT t.account, '', 'order.refunded', t.order_no, (-r.refund_total)::text
		FROM finance.deliveries t JOIN finance.refunds r USING (tenant, account, order_no, uuid)
		WHERE t.tenant = ANY($1) AND t.state = 'held' AND t.type = 'order.refund_deleted'`
	ours, open := ledger{}, doubts{}
	rows, err := d.db.Query(ctx, sql, d.tenants(), sumPaid, sumRefunded, sumGranted, sumTaken, sumAdded, sumUsed, demoHeyShop)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the finance views: %w", err)
	}
	var account, sum, typ, key, text string
	_, err = pgx.ForEachRow(rows, []any{&account, &sum, &typ, &key, &text}, func() error {
		amount, err := decimal.NewFromString(text)
		if sum != "" {
			ours.add(book{account, sum}, key, amount)
			return err
		}
		of := traffic{account, event.Type(typ)}
		if open[of] == nil {
			open[of] = map[string][]decimal.Decimal{}
		}
		open[of][key] = append(open[of][key], amount)
		return err
	})
	if err != nil {
		return nil, nil, fmt.Errorf("reading the finance views: %w", err)
	}
	return ours, open, nil
}
