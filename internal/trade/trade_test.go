package trade_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/trade"
)

var opening = time.Date(2026, 11, 21, 0, 0, 0, 0, time.UTC)

func config() trade.Config {
	cfg := trade.Config{
		Seed: 7, Start: opening, Orders: 300, Points: 300, Duplicates: 0.1, Conflicts: 12, Disorder: true, Bad: true,
		ShortOfPoints: 6, SeveralRefunds: 2, Strangers: 3, Orphans: 2,
	}
	for i := range int64(40) {
		m := trade.Member{ID: 16500 + i, Mobile: fmt.Sprint(13800000000 + i), Points: 5000}
		if i < 5 {
			m.Points = 0
		}
		cfg.Members = append(cfg.Members, m)
	}
	return cfg
}

// full is a day that has everything.
func full() trade.Config {
	cfg := config()
	cfg.People = trade.People{New: 12, Coupon: "1254"}
	for i := range int64(10) {
		cfg.People.Patrons = append(cfg.People.Patrons, trade.Patron{
			ID: 700 + i, Mobile: fmt.Sprint(13700000000 + i), Coupons: []string{fmt.Sprintf("K%da", i), fmt.Sprintf("K%db", i)},
		})
	}
	cfg.Codes = trade.Codes{Count: 24, Promotions: []int64{901, 902}, Customers: []int64{31, 32, 33}}
	cfg.Web = trade.Web{Changes: 60, NewLevels: 3, Levels: []int64{5, 8, 9}}
	for i := range int64(10) {
		cfg.Web.Customers = append(cfg.Web.Customers, trade.Customer{ID: 50784 + i, Points: 400})
	}
	return cfg
}

func day(t *testing.T, cfg trade.Config) *trade.Day {
	t.Helper()
	d, err := trade.New(cfg)
	require.NoError(t, err)
	return d
}

// decoded is what the worker would see of a day.
type decoded struct {
	good       []event.Event
	rejects    map[event.Reason]int
	firsts     []event.Event // those of the good ones that are new
	duplicates int
	conflicts  int
}

func decode(t *testing.T, d *trade.Day) decoded {
	t.Helper()
	out := decoded{rejects: map[event.Reason]int{}}
	hashes := map[event.Identity][32]byte{}
	for _, m := range d.Messages {
		e, err := event.Decode(event.Message(m), event.Limits{}, opening.Add(trade.Hours))
		if err != nil {
			var reject *event.Reject
			require.ErrorAs(t, err, &reject)
			out.rejects[reject.Reason]++
			continue
		}
		out.good = append(out.good, e)
		switch hash, known := hashes[e.Identity()]; {
		case !known:
			hashes[e.Identity()] = e.Hash
			out.firsts = append(out.firsts, e)
		case hash == e.Hash:
			out.duplicates++
			require.False(t, e.Type == event.OrderCreated && d.Orders[e.OrderNo].Deleted,
				"a create that comes again after its delete is a conflict")
		default:
			out.conflicts++
		}
	}
	return out
}

func TestTheSameConfigMakesTheSameDay(t *testing.T) {
	require.Equal(t, day(t, full()), day(t, full()))
}

func TestDaysOfDifferentSeedsShareNoIdentity(t *testing.T) {
	other := config()
	other.Seed++
	seen := map[event.Identity]bool{}
	for _, e := range decode(t, day(t, config())).firsts {
		seen[e.Identity()] = true
	}
	for _, e := range decode(t, day(t, other)).firsts {
		require.False(t, seen[e.Identity()], "%+v", e.Identity())
	}
}

func TestDaysOfDifferentSeedsShareNoMessage(t *testing.T) {
	other := config()
	other.Seed++
	seen := map[string]bool{}
	for _, m := range day(t, config()).Messages {
		seen[string(m.Data)] = true
	}
	for _, m := range day(t, other).Messages {
		require.False(t, seen[string(m.Data)], "%s", m.Data)
	}
}

func TestTheContractSeesWhatTheDayExpects(t *testing.T) {
	d := day(t, full())
	got := decode(t, d)
	require.Equal(t, d.Duplicates, got.duplicates)
	require.Equal(t, 12+3, got.conflicts, "with the codes that two tills use")
	require.Equal(t, d.Conflicts, got.conflicts)
	require.Equal(t, d.Rejects, got.rejects)
	require.GreaterOrEqual(t, len(trade.BadKinds()), 20)
	events := map[event.Type]int{}
	for _, e := range got.firsts {
		events[e.Type]++
	}
	require.Equal(t, d.Events, events)
	require.Len(t, events, len(event.Types()), "every type of the contract happens")
	require.Equal(t, 300+2+3, events[event.OrderCreated])
	require.Equal(t, 300+3+6, decodedPoints(t, config()), "with the members that are cleared")
	require.Equal(t, 12, events[event.MemberRegistered])
	require.Equal(t, 24, events[event.CouponCodeAdded])
	require.Equal(t, 18, events[event.CouponCodeUsed])
	require.Equal(t, 20, events[event.CouponRedeemed])
	share := float64(d.Duplicates) / float64(len(got.firsts))
	require.InDelta(t, 0.1, share, 0.03)
}

// decodedPoints counts the distinct changes of points of a day.
func decodedPoints(t *testing.T, cfg trade.Config) (n int) {
	t.Helper()
	for _, e := range decode(t, day(t, cfg)).firsts {
		if e.Type.Point() {
			n++
		}
	}
	return n
}

func TestEveryBadKindIsRefusedForItsReason(t *testing.T) {
	cfg := config()
	cfg.Orders, cfg.Points, cfg.ShortOfPoints, cfg.SeveralRefunds, cfg.Strangers, cfg.Orphans, cfg.Conflicts = 0, 0, 0, 0, 0, 0, 0
	got := decode(t, day(t, cfg))
	require.Empty(t, got.good)
	want := map[event.Reason]int{}
	for _, b := range trade.BadKinds() {
		want[b.Reason]++
	}
	require.Equal(t, want, got.rejects)
}

func TestExpectationsAddUp(t *testing.T) {
	d := day(t, full())
	delivered, events := 0, 0
	for _, typ := range event.Types() {
		events += d.Events[typ]
		delivered += d.Delivered[typ]
	}
	stopped := 0
	for _, n := range d.Refused {
		stopped += n
	}
	for _, n := range d.Held {
		stopped += n
	}
	require.Equal(t, events, delivered+stopped)
	require.Equal(t, map[string]int{"409180": 3, "409181": 3}, d.Refused)
	require.Equal(t, map[string]int{"several_refunds": 2, "member_not_found": 3, "unseen_order": 2}, d.Held)

	// The same sums again, from the events themselves.
	paid, refunds := map[string]decimal.Decimal{}, map[string]decimal.Decimal{}
	last := map[string]time.Time{}
	points := map[event.Type]int64{}
	for _, e := range decode(t, d).firsts {
		o := d.Orders[e.OrderNo]
		switch {
		case e.Type.Point():
			points[e.Type] += e.Points
		case o == nil || o.Held != "":
		case e.Amount.Valid && e.Type == event.OrderRefunded:
			refunds[e.OrderNo] = refunds[e.OrderNo].Add(e.Amount.Decimal)
		case e.Amount.Valid && e.Time.After(last[e.OrderNo]):
			paid[e.OrderNo], last[e.OrderNo] = e.Amount.Decimal, e.Time
		}
	}
	sum := decimal.Zero
	for no, o := range d.Orders {
		if o.Held != "" {
			continue
		}
		require.True(t, o.Paid.Equal(paid[no]), "%s: %s paid, %s expected", no, paid[no], o.Paid)
		all := decimal.Zero
		for _, r := range o.Refunds {
			all = all.Add(r.Total)
		}
		require.True(t, all.Equal(refunds[no]), "%s: %s refunded, %s expected", no, refunds[no], all)
		require.False(t, all.GreaterThan(o.Paid), "%s: %s of %s refunded", no, all, o.Paid)
		sum = sum.Add(o.Paid)
	}
	require.True(t, sum.Equal(d.Paid))
	require.True(t, d.Refunded.IsPositive())
	require.Equal(t, points[event.PointIncremented], d.PointsIn)
	require.Greater(t, points[event.PointDecremented], d.PointsOut, "members that are cleared have less than what is asked for")
}

func TestNoMemberRunsShortWhateverTheOrder(t *testing.T) {
	cfg := config()
	for i := range cfg.Members {
		cfg.Members[i].Points = min(cfg.Members[i].Points, 300)
	}
	d := day(t, cfg)
	cleared := 0
	for id, m := range d.Members {
		require.GreaterOrEqual(t, m.Balance(), int64(0), "member %d", id)
		if m.Start == 0 {
			require.Zero(t, m.In+m.Out, "member %d has nothing and gets nothing", id)
		}
		if m.Start > 0 && m.Out == m.Start {
			cleared++
			require.Zero(t, m.In, "member %d is cleared, and what is there to take must not depend on the order", id)
			continue
		}
		require.True(t, m.Start == 0 || m.Out < m.Start, "member %d: %d of %d taken", id, m.Out, m.Start)
	}
	require.Equal(t, 3, cleared)
}

// TestDisorderKeepsWhatItMust: every kind of disorder happens, and none that
// would be a matter for a person.
func TestDisorderKeepsWhatItMust(t *testing.T) {
	seen := map[string]bool{}
	updated := map[string]time.Time{}
	var late, refundsSwapped, takenBackEarly int
	lastRefund := map[string]time.Time{}
	ended := map[string]bool{}
	for _, e := range decode(t, day(t, config())).firsts {
		seen[string(e.Type)+e.OrderNo+e.UUID] = true
		created := seen[string(event.OrderCreated)+e.OrderNo]
		require.False(t, ended[e.OrderNo] && e.Type != event.OrderCreated, "%s after the delete of %s", e.Type, e.OrderNo)
		switch e.Type {
		case event.OrderUpdated:
			require.True(t, e.Time.After(updated[e.OrderNo]), "an older update of %s comes later", e.OrderNo)
			updated[e.OrderNo] = e.Time
		case event.OrderRefunded:
			if !e.Time.After(lastRefund[e.OrderNo]) {
				refundsSwapped++
			}
			lastRefund[e.OrderNo] = e.Time
			if !created {
				late++
			}
		case event.OrderRefundDeleted:
			if !seen[string(event.OrderRefunded)+e.OrderNo+e.UUID] {
				takenBackEarly++
			}
		case event.OrderDeleted:
			ended[e.OrderNo] = true
		}
	}
	require.Positive(t, late)
	require.Positive(t, refundsSwapped)
	require.Positive(t, takenBackEarly)
}

func TestWithoutDisorderEventsComeByTime(t *testing.T) {
	cfg := config()
	cfg.Disorder, cfg.Duplicates, cfg.Conflicts = false, 0, 0
	var last time.Time
	for _, e := range decode(t, day(t, cfg)).good {
		require.False(t, e.Time.Before(last))
		last = e.Time
	}
}

func TestEventsLookLikeAShops(t *testing.T) {
	size, n, byMobile, binary, traced := 0, 0, 0, 0, 0
	d := day(t, config())
	for _, m := range d.Messages {
		e, err := event.Decode(event.Message(m), event.Limits{}, opening.Add(trade.Hours))
		if err != nil {
			continue
		}
		if m.Header != nil {
			binary++
		}
		require.False(t, e.Time.Before(opening))
		require.False(t, e.Time.After(opening.Add(trade.Hours)))
		if e.TraceParent != "" {
			traced++
		}
		if e.Type == event.OrderCreated {
			size, n = size+len(m.Data), n+1
			if len(e.Member.Identities) > 0 {
				byMobile++
			}
		}
	}
	require.InDelta(t, 1000, size/n, 250, "bytes of a create")
	require.InDelta(t, 0.4, float64(byMobile)/float64(n), 0.1)
	require.Positive(t, binary)
	require.Positive(t, traced)
}

func TestADayNeedsMembers(t *testing.T) {
	for _, tt := range []struct {
		name string
		cfg  trade.Config
		want string
	}{
		{"nobody", trade.Config{Orders: 1}, "no members"},
		{"twice", trade.Config{Members: []trade.Member{{ID: 1}, {ID: 1}}}, "member 1 is there twice"},
		{"nobody with points", trade.Config{Points: 1, Members: []trade.Member{{ID: 1}}}, "no member has points"},
		{"too many conflicts", trade.Config{Orders: 1, Conflicts: 9, Members: []trade.Member{{ID: 1}}}, "more conflicts than events"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			_, err := trade.New(tt.cfg)
			require.ErrorContains(t, err, tt.want)
		})
	}
}
