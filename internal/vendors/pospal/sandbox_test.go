package pospal_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/sandbox"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/pospal"
	"syncworker/internal/vendors/vendorstest"
)

const (
	rule     = 1199186483387900201 // the sandbox's first
	customer = 580988838483990582
)

// street is the sandbox with one customer, and the account that looks at it.
type street struct {
	sandbox *sandbox.Sandbox
	url     string
	account *pospal.Account
	reader  *pospal.Account // the same login, with all the time it needs
	codes   int
}

func newStreet(t *testing.T, timeout time.Duration, sw sandbox.Switches) *street {
	sb, err := sandbox.New(sandbox.Config{
		Accounts: []sandbox.Account{{AppID: appID, Secret: appKey, Store: "po", Vendor: sandbox.Pospal}}, Switches: sw,
	})
	require.NoError(t, err)
	srv, err := sandbox.Listen("127.0.0.1:0", sb)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, srv.Close()) })
	_, err = sb.SeedMembers(sandbox.Seed{Store: "po", Count: 1, Mobile: vendorstest.Mobile, FirstID: customer})
	require.NoError(t, err)
	s := &street{sandbox: sb, url: srv.URL}
	s.account, s.reader = s.login(t, appKey, timeout), s.login(t, appKey, 20*time.Second)
	return s
}

func (s *street) login(t *testing.T, key vendors.Secret, timeout time.Duration) *pospal.Account {
	v, err := pospal.Kind.New(vendors.Setup{Name: "pospal", BaseURL: s.url, AppID: appID, Secret: key, Timeout: timeout, MaxInFlight: 4})
	require.NoError(t, err)
	t.Cleanup(v.(*pospal.Account).Close)
	return v.(*pospal.Account)
}

// write is a call of now.
func (s *street) write(t *testing.T, typ event.Type, format string, args ...any) vendors.Call {
	now := time.Now().UTC()
	payload := fmt.Sprintf(`{"specversion":"1.0","id":"e","source":"pos/1","type":%q,"time":%q,"data":%s}`,
		typ, now.Format(time.RFC3339Nano), fmt.Sprintf(format, args...))
	e, err := event.Decode(event.Message{Subject: event.Subject(typ), Data: []byte(payload)}, event.Limits{}, now)
	require.NoError(t, err)
	return vendors.Call{Event: &e, FirstSentAt: now}
}

// pair is a new code's addition, and its use.
func (s *street) pair(t *testing.T) (add, use vendors.Call) {
	s.codes++
	code := fmt.Sprintf("C%d", s.codes)
	return s.write(t, event.CouponCodeAdded, `{"uuid":"u%d","promotionCouponUid":"%d","customerUid":%d,"code":%q}`, s.codes, rule, customer, code),
		s.write(t, event.CouponCodeUsed, `{"code":%q,"customerUid":%d}`, code, customer)
}

func (s *street) effects(c vendors.Call) int {
	op := map[event.Type]string{event.CouponCodeAdded: sandbox.OpPospalCodeAdd, event.CouponCodeUsed: sandbox.OpPospalCodeUse}[c.Event.Type]
	n := 0
	for _, e := range s.sandbox.EffectsOf(c.Event.Key) {
		if e.Op == op {
			n++
		}
	}
	return n
}

func TestBothWritesTakeEffectAndAreFound(t *testing.T) {
	for _, sw := range []sandbox.PospalSwitches{
		{},
		{PageSize: 1, PageSizeShown: "hidden", CodeType: "string", MessagesType: "text", StatusCase: "upper", UseTime: "server"},
	} {
		s := newStreet(t, 20*time.Second, sandbox.Switches{Pospal: sw})
		require.Equal(t, vendors.Applied, s.account.Check(t.Context()).Class)
		s.account.Push(t.Context(), s.write(t, event.CouponCodeAdded, `{"uuid":"u","promotionCouponUid":%d,"customerUid":%d}`, rule, customer))
		add, use := s.pair(t)

		early := s.account.Push(t.Context(), use)
		require.Equal(t, vendors.Refused, early.Class)
		require.True(t, early.Early)
		for _, call := range []vendors.Call{add, use} {
			require.Equal(t, vendors.Absent, s.account.Find(t.Context(), call).Found)
			r := s.account.Push(t.Context(), call)
			require.Equal(t, vendors.Applied, r.Class, "%s %s", r.Message, r.Reply)
			require.Equal(t, 1, s.effects(call))
			f := s.account.Find(t.Context(), call)
			require.Equal(t, vendors.Present, f.Found, "%s %s", f.Detail, f.Result.Reply)
		}
		again := s.account.Push(t.Context(), add)
		require.Equal(t, vendors.AlreadyApplied, again.Class)
		require.False(t, again.Proven, "the publisher chose the code: another may have had it")
		require.Equal(t, vendors.Refused, s.account.Push(t.Context(), use).Class)
		require.Equal(t, vendors.Present, s.account.Find(t.Context(), add).Found, "a used code is still the customer's")
		require.Empty(t, s.sandbox.Violations())
	}
}

// A class never says more than is true: applied means one effect, and all but
// ambiguous and applied mean none. A read afterwards knows.
func TestNoFaultMakesAClassLie(t *testing.T) {
	for _, fault := range sandbox.Faults() {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			s := newStreet(t, 300*time.Millisecond, sandbox.Switches{})
			add, _ := s.pair(t)
			other, use := s.pair(t)
			require.Equal(t, vendors.Applied, s.reader.Push(t.Context(), other).Class)
			for _, call := range []vendors.Call{add, use} {
				_, effects := vendorstest.PushUnder(t, s.sandbox, fault, s.account, call)
				vendorstest.RequireFound(t, s.reader, call, effects)
			}
			require.Empty(t, s.sandbox.Violations(), "redirects among others")
		})
	}
}

func TestACodeMadeOfTheEventIsRepeatedUntilItIsThere(t *testing.T) {
	for _, sw := range []sandbox.PospalSwitches{{}, {ExistingCode: "success"}} {
		s := newStreet(t, 300*time.Millisecond, sandbox.Switches{Pospal: sw})
		call := s.write(t, event.CouponCodeAdded, `{"uuid":"u-1","promotionCouponUid":%d}`, rule)
		require.NoError(t, s.sandbox.SetRules(sandbox.Rule{Faults: []sandbox.Fault{"hang_after"}, Times: 1}))
		require.Equal(t, vendors.Ambiguous, s.account.Push(t.Context(), call).Class)
		r := s.account.Push(t.Context(), call)
		require.True(t, r.Class == vendors.AlreadyApplied && r.Proven || r.Class == vendors.Applied, r.Class)
		require.Equal(t, event.DerivedCode("default", "u-1"), r.Receipt.Ref)
		require.Equal(t, 1, s.effects(call))
		require.Equal(t, vendors.Unclear, s.account.Find(t.Context(), call).Found, "without a customer no read shows it")
	}
}

func TestACodeThatAnotherHasIsNotOurs(t *testing.T) {
	s := newStreet(t, 20*time.Second, sandbox.Switches{})
	for code, theirs := range map[string]sandbox.PospalCode{
		"T1": {Promotion: rule + 2, Customer: customer}, "T2": {Promotion: rule, Customer: customer + 1}, "T3": {Promotion: rule},
	} {
		theirs.Store, theirs.Code = "po", code
		require.NoError(t, s.sandbox.SetPospalCode(theirs))
		call := s.write(t, event.CouponCodeAdded, `{"uuid":"u","promotionCouponUid":%d,"customerUid":%d,"code":%q}`, rule, customer, code)
		r := s.account.Push(t.Context(), call)
		require.Equal(t, vendors.AlreadyApplied, r.Class)
		require.False(t, r.Proven)
		require.NotEqual(t, vendors.Present, s.account.Find(t.Context(), call).Found, code)
	}
	require.Empty(t, s.sandbox.Effects())
}

func TestAUseAtTheTillIsNotOurs(t *testing.T) {
	s := newStreet(t, 20*time.Second, sandbox.Switches{})
	use := func(code string, k sandbox.PospalCode) vendors.Found {
		k.Store, k.Code, k.Promotion, k.Used = "po", code, rule, true
		require.NoError(t, s.sandbox.SetPospalCode(k))
		call := s.write(t, event.CouponCodeUsed, `{"code":%q}`, code)
		r := s.account.Push(t.Context(), call)
		require.Equal(t, vendors.Refused, r.Class)
		return s.account.Find(t.Context(), call).Found
	}
	require.Equal(t, vendors.Unclear, use("T1", sandbox.PospalCode{UsedBy: "another"}))
	require.Equal(t, vendors.Absent, use("T2", sandbox.PospalCode{UsedAt: time.Now().Add(-time.Hour)}), "not around the time of ours")
}

func TestReadsLagBehindWrites(t *testing.T) {
	s := newStreet(t, 20*time.Second, sandbox.Switches{ReadsLag: sandbox.Duration(time.Hour)})
	add, use := s.pair(t)
	for _, call := range []vendors.Call{add, use} {
		require.Equal(t, vendors.Applied, s.account.Push(t.Context(), call).Class)
		require.Equal(t, vendors.Absent, s.account.Find(t.Context(), call).Found, "which is why an absence counts only later")
	}
}

func TestTheQuotaAndARefusedLogin(t *testing.T) {
	s := newStreet(t, 20*time.Second, sandbox.Switches{Pospal: sandbox.PospalSwitches{DailyQuota: 1}})
	add, _ := s.pair(t)
	require.Equal(t, vendors.Applied, s.account.Push(t.Context(), add).Class)
	next, _ := s.pair(t)
	r := s.account.Push(t.Context(), next)
	require.Equal(t, vendors.Ambiguous, r.Class, "its code is documented nowhere")
	require.Equal(t, "1042", r.Code)
	sw := s.sandbox.Switches()
	sw.Pospal.OverQuotaStatus = 429
	require.NoError(t, s.sandbox.SetSwitches(sw))
	require.Equal(t, vendors.Throttled, s.account.Push(t.Context(), next).Class)
	wrong := s.login(t, "another", 20*time.Second)
	r = wrong.Push(t.Context(), next)
	require.Equal(t, vendors.Denied, r.Class)
	require.Equal(t, "1032", r.Code)
	require.Equal(t, vendors.Denied, wrong.Check(t.Context()).Class)
	require.Equal(t, vendors.Unavailable, wrong.Find(t.Context(), next).Found)
}

func TestPeopleReadAllThatTheVendorHas(t *testing.T) {
	s := newStreet(t, 20*time.Second, sandbox.Switches{Pospal: sandbox.PospalSwitches{PageSize: 2}})
	var last vendors.Call
	for range 5 {
		var add vendors.Call
		add, last = s.pair(t)
		require.Equal(t, vendors.Applied, s.account.Push(t.Context(), add).Class)
		require.Equal(t, vendors.Applied, s.account.Push(t.Context(), last).Class)
	}
	resource, keys, ok := s.account.Shows(last)
	require.True(t, ok)
	for _, tt := range []struct {
		resource string
		keys     []string
		rows     int
	}{
		{"promotion", []string{fmt.Sprint(rule)}, 1},
		{"promotions", nil, 2},
		{"promotion-pages", nil, 3},
		{"customer-codes", []string{fmt.Sprint(customer)}, 5},
		{resource, keys, 5},
	} {
		rows, next := 0, ""
		for first := true; first || next != ""; first = false {
			page, r := s.account.Read(t.Context(), tt.resource, tt.keys, next)
			require.Equal(t, vendors.Applied, r.Class, "%s: %s", tt.resource, r.Message)
			rows, next = rows+len(page.Rows), page.Next
		}
		require.Equal(t, tt.rows, rows, tt.resource)
	}
	_, r := s.account.Read(t.Context(), "promotion", []string{"7"}, "")
	require.Equal(t, vendors.Refused, r.Class)
	require.Empty(t, s.sandbox.Violations())
}
