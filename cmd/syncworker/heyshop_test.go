package main

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/config"
	"syncworker/internal/sandbox"
)

// newShopStack is a stack whose second vendor is a HeyShop shop with customers.
func newShopStack(t *testing.T, customers int) (s *stack, ids []int64) {
	t.Helper()
	s = newStack(t, sandbox.Switches{})
	sb, err := sandbox.New(sandbox.Config{Accounts: []sandbox.Account{{AppID: "shop", Secret: canarySecret, Vendor: sandbox.HeyShop}}})
	require.NoError(t, err)
	server, err := sandbox.Listen("127.0.0.1:0", sb)
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	s.sandbox = sb
	ids, err = sb.SeedMembers(sandbox.Seed{Count: customers, FirstID: 100000})
	require.NoError(t, err)
	account := kinds().Account("heyshop")
	account.BaseURL, account.Secret = server.URL, canarySecret
	account.Timeout, account.QuietPeriod = time.Second, 500*time.Millisecond
	account.RateLimit, account.MaxInFlight = 0, 32
	account.Retry.Initial, account.Retry.Max = 20*time.Millisecond, 200*time.Millisecond
	s.config.Vendors = map[string]config.Account{"shop": account}
	s.config.Routes = []config.Route{{Types: []string{"point.*", "level.*"}, Tenants: []string{"*"}, Accounts: []string{"shop"}}}
	return s, ids
}

// refs returns the vendor's references of the delivered events of a kind.
func (s *stack) refs(t *testing.T, kind string) []string {
	t.Helper()
	var refs []string
	rows, err := s.db.Query(context.Background(), `SELECT vendor_ref FROM outbox.deliveries WHERE state = 'delivered' AND type LIKE $1`, kind)
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var ref string
		require.NoError(t, rows.Scan(&ref))
		refs = append(refs, ref)
	}
	require.NoError(t, rows.Err())
	return refs
}

// HeyShop has no key for an adjustment: that each has one effect, however often its
// answer is lost, is what marks and reads are for.
func TestAdjustmentsWithoutAKeyHaveOneEffectEach(t *testing.T) {
	s, customers := newShopStack(t, 10)
	require.NoError(t, s.sandbox.SetRules(sandbox.Rule{Faults: sandbox.Faults(), Rate: 0.3, Size: 1 << 20, Pause: sandbox.Duration(50 * time.Millisecond)}))
	stop, _ := s.start(t)
	at := time.Now().Add(-time.Minute)
	for i, customer := range customers {
		for n, typ := range []string{"incremented", "incremented", "decremented", "incremented", "decremented"} {
			s.publish(t, "point."+typ, at.Add(time.Duration(n)*time.Second), map[string]any{
				"uuid": fmt.Sprintf("p-%d-%d", i, n), "point": 5, "pattern": 2, "membershipId": customer,
			})
		}
	}
	for i := range 3 {
		level := map[string]any{"uuid": fmt.Sprintf("c-%d", i), "title": fmt.Sprint("level ", i), "condition_points": 10, "gain_points": 1.5}
		s.publish(t, "level.created", at, level)
		level = map[string]any{"uuid": fmt.Sprintf("u-%d", i), "id": "5", "title": fmt.Sprint("first ", i), "condition_points": i}
		s.publish(t, "level.updated", at.Add(time.Duration(i)*time.Second), level)
	}
	s.publish(t, "level.deleted", at, map[string]any{"uuid": "d", "id": 9})
	s.stand(t, map[string]int{"delivered": 57})
	stop()

	var effects []string
	for _, e := range s.sandbox.Effects() {
		if e.Op == sandbox.OpHeyShopAdjust {
			effects = append(effects, e.Ref)
		}
	}
	require.ElementsMatch(t, effects, s.refs(t, "point.%"), "each row of the history is the effect of one event")
	for _, customer := range customers {
		balance, _ := s.sandbox.Balance("", customer)
		require.Equal(t, int64(5), balance)
	}
	titles := map[int64]string{}
	for _, l := range s.sandbox.Levels() {
		titles[l.ID] = l.Title
	}
	require.Len(t, titles, 5, "the document's three, three new ones, without the one that was deleted")
	require.Equal(t, "first 2", titles[5])
	require.Empty(t, s.sandbox.Violations())
}

// A member who is named by a mobile number, and what HeyShop can't do, wait for a
// person before anything is called.
func TestWhatHeyShopCanNotTakeWaitsForAPerson(t *testing.T) {
	s, customers := newShopStack(t, 1)
	s.start(t)
	s.publish(t, "point.incremented", time.Now(), map[string]any{
		"uuid": "a", "point": 5, "pattern": 2, "identities": []any{map[string]any{"type": "mobile", "value": "13800000000"}},
	})
	s.publish(t, "point.decremented", time.Now(), map[string]any{
		"uuid": "b", "point": 5, "pattern": 2, "membershipId": customers[0], "decrToZero": true,
	})
	s.stand(t, map[string]int{"held:member_not_found": 1, "held:unsupported": 1})
	require.Zero(t, s.sandbox.Summary().Calls)
}
