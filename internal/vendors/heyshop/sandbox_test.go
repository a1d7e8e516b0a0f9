package heyshop_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/sandbox"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/heyshop"
	"syncworker/internal/vendors/vendorstest"
)

// market is the sandbox with one customer, and the two accounts that look at it.
type market struct {
	sandbox *sandbox.Sandbox
	account *heyshop.Account
	reader  *heyshop.Account // the same login, with all the time it needs, and another's memory
	numbers int
}

const customerID = 902384756102938475

func newMarket(t *testing.T, timeout time.Duration, switches sandbox.HeyShopSwitches) *market {
	sb, err := sandbox.New(sandbox.Config{
		Accounts: []sandbox.Account{{AppID: "shop", Secret: "t0ken", Store: "shop", Vendor: sandbox.HeyShop}},
		Switches: sandbox.Switches{HeyShop: switches},
	})
	require.NoError(t, err)
	srv, err := sandbox.Listen("127.0.0.1:0", sb)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, srv.Close()) })
	_, err = sb.SeedMembers(sandbox.Seed{Store: "shop", Count: 1, Mobile: "13400000000", FirstID: customerID, Points: 100})
	require.NoError(t, err)
	s := setup(srv.URL)
	m := &market{sandbox: sb, reader: account(t, s)}
	s.Timeout = timeout
	m.account = account(t, s)
	return m
}

// points is an adjustment of its own, marked as dispatch does it.
func (m *market) points(t *testing.T, typ event.Type, n int) vendors.Call {
	m.numbers++
	data := strings.Replace(strings.Replace(pointData, "p-1", fmt.Sprint("p-", m.numbers), 1), `"point":100`, `"point":`+strconv.Itoa(n), 1)
	c := call(t, typ, data)
	c.Member = fmt.Sprint(customerID)
	return m.mark(t, c)
}

func (m *market) mark(t *testing.T, c vendors.Call) vendors.Call {
	if op, _ := m.account.Operation(c.Event.Type); op.NeedsMark {
		mark, r := m.reader.Mark(t.Context(), c)
		require.Equal(t, vendors.Applied, r.Class, r.Message)
		require.NotEmpty(t, mark)
		c.Mark = mark
	}
	c.FirstSentAt = time.Now().UTC()
	return c
}

// level is a call about level 8, or a new one.
func (m *market) level(t *testing.T, typ event.Type) vendors.Call {
	m.numbers++
	data := fmt.Sprintf(`{"uuid":"l-%d","title":"level %d","condition_points":%d,"gain_points":1.50}`, m.numbers, m.numbers, m.numbers)
	switch typ {
	case event.LevelUpdated:
		data = strings.Replace(data, "{", `{"id":8,`, 1)
	case event.LevelDeleted:
		data = fmt.Sprintf(`{"uuid":"l-%d","id":8}`, m.numbers)
	}
	return m.mark(t, call(t, typ, data))
}

// staff adjusts the customer's points by hand.
func (m *market) staff(t *testing.T, n int64) {
	_, err := m.sandbox.AddHeyShopEntry(sandbox.HeyShopEntry{Store: "shop", Customer: customerID, Points: n})
	require.NoError(t, err)
}

// push makes a call that meets a fault, and returns how many effects it had.
func (m *market) push(t *testing.T, c vendors.Call, fault sandbox.Fault) (vendors.Result, int) {
	t.Helper()
	return vendorstest.PushUnder(t, m.sandbox, fault, m.account, c)
}

func TestFiveWritesTakeEffectAndAreFound(t *testing.T) {
	m := newMarket(t, 20*time.Second, sandbox.HeyShopSwitches{})
	require.Equal(t, vendors.Applied, m.account.Check(t.Context()).Class)
	for _, c := range []vendors.Call{
		m.points(t, event.PointIncremented, 8), m.points(t, event.PointDecremented, 500),
		m.level(t, event.LevelCreated), m.level(t, event.LevelUpdated), m.level(t, event.LevelDeleted),
	} {
		c = m.mark(t, c)
		require.Equal(t, vendors.Absent, m.reader.Find(t.Context(), c).Found, c.Event.Type)
		r, effects := m.push(t, c, "")
		require.Equal(t, vendors.Applied, r.Class, "%s %s", r.Message, r.Reply)
		require.Equal(t, 1, effects)
		f := m.reader.Find(t.Context(), c)
		require.Equal(t, vendors.Present, f.Found, "%s: %s %s", c.Event.Type, f.Detail, f.Result.Reply)
		require.Equal(t, r.Receipt.Ref, f.Result.Receipt.Ref)
		require.Equal(t, r.Receipt.Points, f.Result.Receipt.Points)
	}
	balance, _ := m.sandbox.Balance("shop", customerID)
	require.Equal(t, int64(100+8-500), balance)
	r, _ := m.push(t, m.level(t, event.LevelDeleted), "")
	require.Equal(t, vendors.AlreadyApplied, r.Class)
	require.Empty(t, m.sandbox.Violations())
}

// A class never says more than is true: applied means one effect, and all but
// ambiguous and applied mean none. A read afterwards knows.
func TestNoFaultMakesAClassLie(t *testing.T) {
	for _, fault := range sandbox.Faults() {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			m := newMarket(t, 300*time.Millisecond, sandbox.HeyShopSwitches{})
			for _, c := range []func() vendors.Call{
				func() vendors.Call { return m.points(t, event.PointIncremented, 8) },
				func() vendors.Call { return m.points(t, event.PointDecremented, 5) },
				func() vendors.Call { return m.level(t, event.LevelCreated) },
				func() vendors.Call { return m.level(t, event.LevelUpdated) },
				func() vendors.Call { return m.level(t, event.LevelDeleted) },
			} {
				call := c()
				_, effects := m.push(t, call, fault)
				vendorstest.RequireFound(t, m.reader, call, effects)
			}
			require.Empty(t, m.sandbox.Violations(), "redirects among others")
		})
	}
}

// Two adjustments of the same points, one of them under a fault, and a row of the
// staff's with the same points between them: each is told from the others.
func TestEqualAdjustmentsAreToldApart(t *testing.T) {
	orders := []string{"newest", "oldest", "none"}
	for n, fault := range sandbox.Faults() {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			for _, typ := range []event.Type{event.PointIncremented, event.PointDecremented} {
				for faulty := range 2 {
					n++
					m := newMarket(t, 200*time.Millisecond, sandbox.HeyShopSwitches{HistoryOrder: orders[n%3], MaxPageSize: 2})
					m.staff(t, 8)
					for i := range 2 {
						var meets sandbox.Fault
						if i == faulty {
							meets = fault
						}
						m.adjust(t, typ, meets)
						m.staff(t, 8)
						m.staff(t, -8)
					}
					require.Empty(t, m.sandbox.Violations())
				}
			}
		})
	}
}

// adjust changes the points by 8, has the staff change them by 3, and looks whether
// the read afterwards knows.
func (m *market) adjust(t *testing.T, typ event.Type, fault sandbox.Fault) {
	c := m.points(t, typ, 8)
	_, effects := m.push(t, c, fault)
	m.staff(t, 3)
	if typ == event.PointDecremented && effects == 0 {
		// The staff's 3 may be what HeyShop made of −8.
		require.Equal(t, vendors.Unclear, m.reader.Find(t.Context(), c).Found)
		return
	}
	vendorstest.RequireFound(t, m.reader, c, effects)
}

// What the staff does between the mark and the read, with the same points, can't be
// told from ours: with ours there are two, and a person decides. Where ours was lost
// theirs is taken for it, which docs/vendors.md says.
func TestWhatTheStaffDoesMeanwhile(t *testing.T) {
	for fault, want := range map[sandbox.Fault]vendors.Found{"reset_after": vendors.Unclear, "reset_before": vendors.Present} {
		m := newMarket(t, 20*time.Second, sandbox.HeyShopSwitches{})
		c := m.points(t, event.PointIncremented, 8)
		m.push(t, c, fault)
		m.staff(t, 8)
		require.Equal(t, want, m.reader.Find(t.Context(), c).Found)
	}
}

// Whatever HeyShop makes of negative points, an effect is never taken for none, and
// none is never taken for one.
func TestNegativePointsAreNeverTakenForSomethingElse(t *testing.T) {
	for negative, want := range map[string]vendors.Class{
		"applied": vendors.Applied, "refused": vendors.Refused, "cut": vendors.Ambiguous, "absolute": vendors.Ambiguous,
	} {
		for _, fault := range []sandbox.Fault{"", "reset_after", "reset_before"} {
			m := newMarket(t, 20*time.Second, sandbox.HeyShopSwitches{NegativePoints: negative})
			c := m.points(t, event.PointDecremented, 150)
			r, effects := m.push(t, c, fault)
			if fault == "" {
				require.Equal(t, want, r.Class, negative)
				require.Equal(t, want == vendors.Refused, r.Early)
			}
			found := vendors.Absent
			if effects == 1 {
				found = vendors.Present
				if want == vendors.Ambiguous {
					found = vendors.Unclear
				}
			}
			require.Equal(t, found, m.reader.Find(t.Context(), c).Found, "%s %s", negative, fault)
		}
	}
}

func TestAMarkThatLagsBehindIsNoTrap(t *testing.T) {
	m := newMarket(t, 20*time.Second, sandbox.HeyShopSwitches{})
	lag := func(d time.Duration) {
		sw := m.sandbox.Switches()
		sw.ReadsLag = sandbox.Duration(d)
		require.NoError(t, m.sandbox.SetSwitches(sw))
	}
	lag(time.Hour)
	for _, make := range []func() vendors.Call{
		func() vendors.Call { return m.points(t, event.PointIncremented, 8) },
		func() vendors.Call {
			c := m.level(t, event.LevelCreated)
			c.Event.Data = []byte(`{"title":"twice","condition_points":1}`)
			return m.mark(t, c)
		},
	} {
		first := make()
		r, _ := m.push(t, first, "")
		require.Equal(t, vendors.Applied, r.Class, r.Message)
		second := make()
		require.Equal(t, first.Mark, second.Mark, "the first one's effect isn't shown yet")
		_, effects := m.push(t, second, "reset_before")
		require.Zero(t, effects)
		require.Equal(t, vendors.Absent, m.account.Find(t.Context(), first).Found, "not shown yet: what the quiet period is for")
		lag(0)
		require.Equal(t, vendors.Absent, m.account.Find(t.Context(), second).Found)
		require.Equal(t, vendors.Present, m.account.Find(t.Context(), first).Found)
		lag(time.Hour)
	}
}

func TestAnUnknownCustomerIsForAPerson(t *testing.T) {
	for _, status := range []string{"400", "404"} {
		m := newMarket(t, 20*time.Second, sandbox.HeyShopSwitches{UnknownCustomer: status})
		c := m.points(t, event.PointIncremented, 8)
		c.Member = "5"
		r, effects := m.push(t, c, "")
		require.Equal(t, []any{vendors.Refused, "member_not_found", 0}, []any{r.Class, r.Hold, effects}, status)
	}
}

func TestReadsOfTheSandbox(t *testing.T) {
	m := newMarket(t, 20*time.Second, sandbox.HeyShopSwitches{})
	for range 12 {
		m.staff(t, 1)
	}
	_, err := m.sandbox.AddHeyShopEntry(sandbox.HeyShopEntry{Store: "shop", Customer: customerID, Kind: "buy"})
	require.NoError(t, err)
	rows := 0
	for next, n := "", 0; n == 0 || next != ""; n++ {
		p, r := m.reader.Read(t.Context(), "points", []string{fmt.Sprint(customerID), "1"}, next)
		require.Equal(t, vendors.Applied, r.Class, r.Message)
		require.Equal(t, 2, p.Pages)
		rows += len(p.Rows)
		next = p.Next
	}
	require.Equal(t, 13, rows)
	for resource, keys := range map[string][]string{"levels": nil, "level": {"8"}, "point-entry": {"11742"}} {
		p, r := m.reader.Read(t.Context(), resource, keys, "")
		require.Equal(t, vendors.Applied, r.Class, r.Message)
		require.NotEmpty(t, p.Rows)
	}
	_, r := m.reader.Read(t.Context(), "level", []string{"7"}, "")
	require.Equal(t, vendors.Refused, r.Class)
}
