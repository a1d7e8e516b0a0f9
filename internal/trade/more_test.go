package trade_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/trade"
)

// TestWhatDependsOnOrderIsPublishedInOrder: a new member's points come after the
// registration, and what sets a state never after what is newer.
func TestWhatDependsOnOrderIsPublishedInOrder(t *testing.T) {
	registered, last := map[string]bool{}, map[string]time.Time{}
	welcomed := 0
	for _, e := range decode(t, day(t, full())).firsts {
		who := e.Member.Key()
		switch {
		case e.Type == event.MemberRegistered:
			registered[who] = true
		case registered[who] && e.Type.Point():
			welcomed++
		}
		if e.Type.Sets() && e.OrderNo == "" {
			lane := who + e.Key
			require.True(t, e.Time.After(last[lane]), "%s of %s", e.Type, lane)
			last[lane] = e.Time
		}
	}
	require.Len(t, registered, 12)
	require.GreaterOrEqual(t, welcomed, 12)
}

func TestNewMembersAreNobodysElse(t *testing.T) {
	other := full()
	other.Seed++
	seen := map[string]bool{}
	for _, cfg := range []trade.Config{full(), other} {
		for _, e := range decode(t, day(t, cfg)).firsts {
			if e.Type == event.MemberRegistered {
				require.False(t, seen[e.Member.Key()])
				seen[e.Member.Key()] = true
			}
		}
	}
}

// TestCodesAreUsedOnce: by whoever is first; one of eight before it is known that
// it was added, whatever its code is.
func TestCodesAreUsedOnce(t *testing.T) {
	added, used := map[string]bool{}, map[string]bool{}
	early, own, derived, forNobody := 0, 0, 0, 0
	for _, e := range decode(t, day(t, full())).firsts {
		switch e.Type {
		case event.CouponCodeAdded:
			added[e.Key] = true
			var data map[string]any
			require.NoError(t, json.Unmarshal(e.Data, &data))
			if data["code"] != nil {
				own++
			} else {
				derived++
			}
			if data["customerUid"] == nil {
				forNobody++
			}
		case event.CouponCodeUsed:
			require.False(t, used[e.Key])
			used[e.Key] = true
			if !added[e.Key] {
				early++
			}
		}
	}
	for code := range used {
		require.True(t, added[code], code)
	}
	require.Equal(t, []int{24, 18, 3, 12, 12, 8}, []int{len(added), len(used), early, own, derived, forNobody})
}

func TestCouponsOfPatronsAreRedeemedOnce(t *testing.T) {
	redeemed := map[string]int{}
	for _, e := range decode(t, day(t, full())).firsts {
		if e.Type == event.CouponRedeemed {
			redeemed[e.Key]++
		}
	}
	for _, p := range full().People.Patrons {
		for _, code := range p.Coupons {
			require.Equal(t, 1, redeemed[code], code)
		}
	}
	require.Len(t, redeemed, 20)
}

func TestOrdersNameTheCustomerWhereTheyNameTheMember(t *testing.T) {
	cfg := config()
	for i := range cfg.Members {
		cfg.Members[i].CustomerID = 90840682394599424 + int64(i)
	}
	named := 0
	for _, e := range decode(t, day(t, cfg)).firsts {
		if e.Type != event.OrderCreated {
			continue
		}
		var data struct{ CustomerID json.Number }
		require.NoError(t, json.Unmarshal(e.Data, &data))
		require.Equal(t, e.Member.MembershipID != "", data.CustomerID != "", "%s", e.Data)
		if data.CustomerID != "" {
			named++
		}
	}
	require.Positive(t, named)
}

// TestAWebShopsDay: a day that has nothing else, with equal amounts in a row.
func TestAWebShopsDay(t *testing.T) {
	cfg := trade.Config{Seed: 3, Start: opening, Tenant: "web", Duplicates: 0.1, Disorder: true, Web: full().Web}
	d := day(t, cfg)
	inARow := 0
	last, gone := map[string]int64{}, map[string]bool{}
	for _, e := range decode(t, d).firsts {
		switch {
		case e.Type.Point():
			who, points := e.Member.MembershipID, e.Points
			if e.Type == event.PointDecremented {
				points = -points
			}
			if last[who] == points {
				inARow++
			}
			last[who] = points
		case e.Type == event.LevelDeleted:
			gone[e.Key] = true
		default:
			require.False(t, gone[e.Key] && e.Key != "", "%s after the delete", e.Type)
		}
	}
	require.Greater(t, inARow, 10)
	require.Equal(t, map[string]bool{"9": true}, gone)
	require.GreaterOrEqual(t, d.Events[event.PointIncremented]+d.Events[event.PointDecremented], 60)
	require.Equal(t, 3, d.Events[event.LevelCreated])
	require.Equal(t, 5, d.Events[event.LevelUpdated])
	for id, a := range d.Members {
		require.Less(t, a.Out, a.Start, "customer %d", id)
	}
}
