package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"syncworker/internal/config"
	"syncworker/internal/event"
	"syncworker/internal/sandbox"
	"syncworker/internal/trade"
)

var dealOperations = map[event.Type]string{
	event.OrderCreated: sandbox.OpCustomerDealCreate, event.OrderUpdated: sandbox.OpCustomerDealUpdate,
	event.OrderCancelled: sandbox.OpCustomerDealCancel, event.OrderDeleted: sandbox.OpCustomerDealDelete,
	event.OrderRefunded: sandbox.OpCustomerDealRefund, event.OrderRefundDeleted: sandbox.OpCustomerDealDeleteRefund,
}

// dealsDay is a day whose orders name members by what both accounts know them by.
func dealsDay(t *testing.T, s *stack) *shopDay {
	t.Helper()
	_, err := s.sandbox.SeedMembers(sandbox.Seed{Count: 100, Mobile: "13800000000", Points: 500, Name: trade.Person})
	require.NoError(t, err)
	d := &shopDay{stack: s}
	config := trade.Config{
		Seed: 7, Orders: 400, Duplicates: 0.1, Disorder: true, Start: time.Now().Add(-20 * time.Hour).UTC().Truncate(time.Second),
	}
	for _, m := range s.sandbox.Members() {
		config.Members = append(config.Members, trade.Member{ID: m.ID, CustomerID: m.Customer, Mobile: m.Mobile, Points: m.Points})
		d.mobiles = append(d.mobiles, m.Mobile)
	}
	d.Day, err = trade.New(config)
	require.NoError(t, err)
	return d
}

// One day's orders go to both of DM Hub's APIs, each delivery on its own, while one
// write in five fails. What happens to the one is nothing to the other.
func TestADayOfOrdersForTwoAccountsOfAVendorThatFails(t *testing.T) {
	s := newStack(t, sandbox.Switches{DealsApart: true, DealDeleteReply: "empty"})
	for name, account := range s.config.Vendors {
		like := s.config.Vendors["dmhub"]
		account.Timeout, account.QuietPeriod, account.EarlyGrace = 500*time.Millisecond, 1500*time.Millisecond, like.EarlyGrace
		account.RateLimit, account.MaxInFlight, account.Retry = 0, 32, like.Retry
		s.config.Vendors[name] = account
	}
	s.config.Routes = []config.Route{{Types: []string{"order.*", "point.*"}, Tenants: []string{"*"}, Accounts: []string{"dmhub", "deals"}}}
	require.NoError(t, s.sandbox.SetRules(everyFault()...))
	d := dealsDay(t, s)
	d.publishAll(t)
	stop, log := d.start(t)
	d.settles(t, 4*time.Minute)
	stop()

	effects := map[string]int{}
	for _, e := range d.sandbox.Effects() {
		if !e.Repeat && strings.HasPrefix(e.Op, "customer_deal.") {
			effects[e.Op+" "+e.Key]++
		}
	}
	rows, err := d.db.Query(t.Context(), `
		SELECT d.type, e.order_no, count(*) FILTER (WHERE state = 'delivered'), count(*) FILTER (WHERE state IN ('held', 'unknown') AND ambiguous)
		FROM outbox.deliveries d JOIN outbox.events e ON e.id = d.event_id WHERE d.account = 'deals' GROUP BY 1, 2`)
	require.NoError(t, err)
	var typ, no string
	var delivered, open int
	_, err = pgx.ForEachRow(rows, []any{&typ, &no, &delivered, &open}, func() error {
		key := dealOperations[event.Type(typ)] + " " + no
		n := effects[key]
		delete(effects, key)
		if n < delivered || n > delivered+open {
			return fmt.Errorf("%s %s: %d delivered, %d open to a person, and %d effects at the vendor: %+v", typ, no, delivered, open, n, d.sandbox.CallsOf(no))
		}
		return nil
	})
	require.NoError(t, err)
	require.Empty(t, effects, "effects that no delivery stands for")
	t.Log(d.counts(t, `SELECT account || ' ' || type || ' ' || state || ' ' || reason, count(*) FROM outbox.deliveries GROUP BY 1`))
	for _, v := range d.sandbox.Violations() {
		require.NotContains(t, v.Op, "customer_deal.", "%+v", v)
	}
	require.Equal(t, d.Paid.String(), d.sandbox.Summary().DealsPaid.String())
	require.Zero(t, d.count(t, `SELECT count(*) FROM outbox.deliveries WHERE account = 'deals' AND state <> 'delivered'
		AND type NOT IN ('order.refunded', 'order.refund_deleted') AND NOT (state = 'waiting' AND reason = 'predecessor_held')`))
	d.discreet(t, log.String())
}
