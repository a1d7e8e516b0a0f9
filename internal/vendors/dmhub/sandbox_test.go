package dmhub_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/sandbox"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/dmhub"
	"syncworker/internal/vendors/vendorstest"
)

// street is the sandbox with one member, and the two accounts that look at it.
type street struct {
	sandbox *sandbox.Sandbox
	account *dmhub.Account
	reader  *dmhub.Account // the same login, with all the time it needs
	member  string
	mobile  string // the member's
	numbers int
}

func newStreet(t *testing.T, timeout time.Duration) *street {
	sb, err := sandbox.New(sandbox.Config{Accounts: []sandbox.Account{
		{AppID: "loyalty", Secret: "s1", Store: "shop"}, {AppID: "deals", Secret: "s2", Store: "shop"},
	}})
	require.NoError(t, err)
	srv, err := sandbox.Listen("127.0.0.1:0", sb)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, srv.Close()) })
	ids, err := sb.SeedMembers(sandbox.Seed{Store: "shop", Count: 1, Mobile: vendorstest.Mobile, FirstID: 123456789012345678, Points: 100})
	require.NoError(t, err)

	c := dmhub.Config{Name: "deals", BaseURL: srv.URL, AppID: "deals", Secret: "s2", Timeout: 20 * time.Second}
	deals, err := dmhub.NewDeals(c, &vendorstest.Tokens{})
	require.NoError(t, err)
	t.Cleanup(deals.Close)
	c.Name, c.AppID, c.Secret, c.OrderReads, c.UUIDTimeout = "loyalty", "loyalty", "s1", deals, time.Hour
	tokens := &vendorstest.Tokens{}
	reader, err := dmhub.New(c, tokens)
	require.NoError(t, err)
	t.Cleanup(reader.Close)
	c.Timeout = timeout
	account, err := dmhub.New(c, tokens)
	require.NoError(t, err)
	t.Cleanup(account.Close)
	return &street{sandbox: sb, account: account, reader: reader, member: fmt.Sprint(ids[0]), mobile: vendorstest.Mobile}
}

// order returns calls for one new order, by type.
func (s *street) order() map[event.Type]vendors.Call {
	s.numbers++
	now := time.Now().UTC()
	no := fmt.Sprintf("order-%d", s.numbers)
	calls := map[event.Type]vendors.Call{}
	for typ, body := range map[event.Type]string{
		event.OrderCreated: fmt.Sprintf(`{"orderNo":%q,"membershipId":%s,"dateOrder":%q,"amountPaid":30.50,"store":"s","salesChannel":"tmall",
			"dealLines":[{"lineId":"l1","productName":"beer","qty":1,"priceSubTotal":30.50}]}`, no, s.member, now.Format(time.RFC3339)),
		event.OrderUpdated: fmt.Sprintf(`{"orderNo":%q,"uuid":"u","contactName":"JH"}`, no),
		event.OrderRefunded: fmt.Sprintf(`{"orderNo":%q,"uuid":"r","refundTotal":30.50,"dateRefund":%q,"refundLines":[{"lineId":"l1"}]}`,
			no, now.Format(time.RFC3339)),
		event.OrderRefundDeleted: fmt.Sprintf(`{"orderNo":%q,"uuid":"r"}`, no),
		event.OrderCancelled:     fmt.Sprintf(`{"orderNo":%q}`, no),
		event.OrderDeleted:       fmt.Sprintf(`{"orderNo":%q}`, no),
	} {
		e := &event.Event{ID: "e", Type: typ, Time: now, OrderNo: no, OccurredAt: now, Data: data(`%s`, body)}
		if typ == event.OrderCreated {
			e.Amount = amount("30.5")
		}
		calls[typ] = vendors.Call{Event: e, Member: s.member, FirstSentAt: now}
	}
	return calls
}

func (s *street) points(typ event.Type, points int64, toZero bool) vendors.Call {
	s.numbers++
	now := time.Now().UTC()
	uuid := fmt.Sprintf("uuid-%d", s.numbers)
	return vendors.Call{
		Member: s.member, Key: uuid, FirstSentAt: now,
		Event: &event.Event{
			ID: "e", Type: typ, Time: now, UUID: uuid, Points: points, Pattern: "2", Remark: "thanks", DecrToZero: toZero,
			Data: data(`{"point":%d,"pattern":2,"uuid":%q,"remark":"thanks","decrToZero":%t}`, points, uuid, toZero),
		},
	}
}

func (s *street) effects(c vendors.Call) int {
	n := 0
	for _, e := range s.sandbox.Effects() {
		if c.Event.Type.Point() && e.UUID == c.Key || !c.Event.Type.Point() && e.Key == c.Event.OrderNo {
			n++
		}
	}
	return n
}

func TestEightWritesTakeEffectAndAreFound(t *testing.T) {
	s := newStreet(t, 20*time.Second)
	id, r := s.account.FindMember(t.Context(), event.Member{Identities: []event.MemberIdentity{{Type: "mobile", Value: vendorstest.Mobile}}})
	require.Equal(t, s.member, id, r.Message)
	require.Equal(t, vendors.Applied, s.account.Check(t.Context()).Class)

	order := s.order()
	for _, typ := range []event.Type{
		event.OrderCreated, event.OrderUpdated, event.OrderRefunded, event.OrderRefundDeleted, event.OrderCancelled, event.OrderDeleted,
	} {
		call := order[typ]
		op, _ := s.account.Operation(typ)
		if op.Findable {
			require.Equal(t, vendors.Absent, s.account.Find(t.Context(), call).Found, typ)
		}
		before := s.effects(call)
		r := s.account.Push(t.Context(), call)
		require.Equal(t, vendors.Applied, r.Class, "%s: %s %s", typ, r.Message, r.Reply)
		require.Equal(t, before+1, s.effects(call), typ)
		if op.Findable {
			f := s.account.Find(t.Context(), call)
			require.Equal(t, vendors.Present, f.Found, "%s: %s %s", typ, f.Detail, f.Result.Reply)
		}
	}

	for _, tt := range []struct {
		call    vendors.Call
		applied int64
	}{
		{s.points(event.PointIncremented, 8, false), 8},
		{s.points(event.PointDecremented, 5, false), 5},
		{s.points(event.PointDecremented, 500, true), 103},
	} {
		require.Equal(t, vendors.Absent, s.account.Find(t.Context(), tt.call).Found)
		r := s.account.Push(t.Context(), tt.call)
		require.Equal(t, vendors.Applied, r.Class, "%s %s", r.Message, r.Reply)
		f := s.account.Find(t.Context(), tt.call)
		require.Equal(t, vendors.Present, f.Found, f.Detail)
		require.Equal(t, tt.applied, *f.Result.Receipt.Points)
	}
	require.Empty(t, s.sandbox.Violations())

	empty := s.account.Push(t.Context(), s.points(event.PointDecremented, 1, true))
	require.Equal(t, vendors.Refused, empty.Class)
	require.Equal(t, "409181", empty.Code)
	require.True(t, empty.Early)
}

// A class never says more than is true: applied means one effect, and all but
// ambiguous and applied mean none. A read afterwards knows.
func TestNoFaultMakesAClassLie(t *testing.T) {
	for _, fault := range sandbox.Faults() {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			s := newStreet(t, 300*time.Millisecond)
			order := s.order()
			for _, call := range []vendors.Call{
				order[event.OrderCreated], s.points(event.PointIncremented, 8, false), s.points(event.PointDecremented, 5, true),
			} {
				_, effects := vendorstest.PushUnder(t, s.sandbox, fault, s.account, call)
				vendorstest.RequireFound(t, s.reader, call, effects)
			}
			require.Empty(t, s.sandbox.Violations(), "redirects among others")
		})
	}
}
