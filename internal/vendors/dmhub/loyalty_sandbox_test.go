package dmhub_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/sandbox"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/vendorstest"
)

const drawable = "11111" // a coupon that the sandbox has

// ops are the sandbox's names of the calls.
var ops = map[event.Type]string{
	event.MemberRegistered: sandbox.OpMemberCreate, event.MemberUpdated: sandbox.OpMemberUpdate,
	event.MemberIdentityBound: sandbox.OpMemberBind, event.MemberIdentityRemoved: sandbox.OpMemberUnbind,
	event.MemberMobileChanged: sandbox.OpMemberMobile, event.CouponDrawn: sandbox.OpCouponDraw,
	event.CouponRedeemed: sandbox.OpCouponRedeem, event.DeviceRegistered: sandbox.OpDeviceRegister,
}

// loyal are the new writes in an order in which each can take effect.
var loyal = []event.Type{
	event.MemberRegistered, event.MemberUpdated, event.MemberIdentityBound, event.MemberIdentityRemoved,
	event.MemberMobileChanged, event.CouponDrawn, event.CouponRedeemed, event.DeviceRegistered,
}

// loyalty returns the call of a type about the street's member, or about a new one.
// It makes the calls that have to come before, and reads what has to be known.
func (s *street) loyalty(t *testing.T, typ event.Type) vendors.Call {
	t.Helper()
	s.numbers++
	now := time.Now().UTC()
	identity := event.MemberIdentity{Type: "wechat", Value: fmt.Sprintf("w-%d", s.numbers), Name: "n"}
	e := &event.Event{ID: "e", Type: typ, Time: now, UUID: fmt.Sprintf("m-%d", s.numbers)}
	c := vendors.Call{Event: e, Member: s.member, FirstSentAt: now}
	identities := data(`[{"type":"wechat","value":%q,"name":"n"}]`, identity.Value)
	switch typ {
	case event.MemberRegistered:
		c.Member, e.Member = "", known(identity)
		e.Data = data(`{"uuid":%q,"membership":{"name":"test","c_x":1.10},"identities":%s}`, e.UUID, identities)
	case event.MemberUpdated:
		e.Data = data(`{"uuid":%q,"membershipId":%s,"membership":{"name":"name %d","gender":0}}`, e.UUID, s.member, s.numbers)
	case event.MemberIdentityBound:
		e.Data = data(`{"uuid":%q,"membershipId":%s,"identities":%s}`, e.UUID, s.member, identities)
	case event.MemberIdentityRemoved:
		bind := s.loyalty(t, event.MemberIdentityBound)
		require.Equal(t, vendors.Applied, s.reader.Push(t.Context(), bind).Class)
		e.Data = data(`{"uuid":%q,"membershipId":%s,"type":"wechat","value":"w-%d"}`, e.UUID, s.member, s.numbers)
	case event.MemberMobileChanged:
		from := s.mobile
		s.mobile = fmt.Sprintf("1380000%04d", s.numbers)
		e.Data = data(`{"uuid":%q,"oldMobile":%q,"newMobile":%q}`, e.UUID, from, s.mobile)
		e.Member = known(event.MemberIdentity{Type: "mobile", Value: from})
	case event.CouponDrawn:
		e.Data = data(`{"uuid":%q,"membershipId":%s,"couponId":%q}`, e.UUID, s.member, drawable)
	case event.CouponRedeemed:
		draw := s.loyalty(t, event.CouponDrawn)
		r := s.reader.Push(t.Context(), draw)
		require.Equal(t, vendors.Applied, r.Class, r.Message)
		e.Key, e.UUID = r.Receipt.Ref, r.Receipt.Ref
		e.Data = data(`{"couponCode":%q,"membershipId":%s}`, e.Key, s.member)
	case event.DeviceRegistered:
		c.Member, e.Key = "", fmt.Sprintf("push-%d", s.numbers)
		e.Data = data(`{"uuid":%q,"provider":"getui","appKey":"k","pushId":%q,"os":"ios","membershipId":%s}`, e.UUID, e.Key, s.member)
	}
	if op, _ := s.reader.Operation(typ); op.NeedsMark {
		mark, r := s.reader.Mark(t.Context(), c)
		require.Equal(t, vendors.Applied, r.Class, r.Message)
		c.Mark = mark
	}
	return c
}

// took counts the effects of an operation, without repeats.
func (s *street) took(typ event.Type) int { return s.sandbox.Summary().ByOp[ops[typ]].Effects }

func TestEightWritesOfMembersTakeEffectAndAreFound(t *testing.T) {
	s := newStreet(t, 20*time.Second)
	for _, typ := range loyal {
		call := s.loyalty(t, typ)
		before := s.took(typ)
		op, _ := s.account.Operation(typ)
		if op.Findable {
			f := s.account.Find(t.Context(), call)
			require.Equal(t, vendors.Absent, f.Found, "%s: %s %s", typ, f.Detail, f.Result.Message)
		}
		r := s.account.Push(t.Context(), call)
		require.Equal(t, vendors.Applied, r.Class, "%s: %s %s", typ, r.Message, r.Reply)
		require.Equal(t, before+1, s.took(typ), typ)
		if op.Findable {
			f := s.account.Find(t.Context(), call)
			require.Equal(t, vendors.Present, f.Found, "%s: %s %s", typ, f.Detail, f.Result.Reply)
			require.Equal(t, r.Receipt.Ref, f.Result.Receipt.Ref, typ)
		}
		resource, keys, ok := s.account.Shows(call)
		if typ == event.DeviceRegistered {
			require.False(t, ok)
			continue
		}
		_, shown := s.account.Read(t.Context(), resource, keys, "")
		want := vendors.Applied
		if typ == event.MemberIdentityRemoved {
			want = vendors.Refused
		}
		require.Equal(t, want, shown.Class, "%s: %s %v", typ, resource, keys)
	}
	require.Empty(t, s.sandbox.Violations())

	profile, _ := s.sandbox.Profile("shop", 123456789012345678)
	require.Contains(t, profile.Identities, "mobile:"+s.mobile)
	require.Regexp(t, `^"name \d+"$`, string(profile.Fields["name"]))
	require.Equal(t, int64(123456789012345678), s.sandbox.Devices()[0].Member)
	require.Equal(t, []string{"normal", "used"}, s.statuses())
}

func (s *street) statuses() (all []string) {
	for _, h := range s.sandbox.HeldCoupons() {
		all = append(all, h.Status)
	}
	slices.Sort(all)
	return all
}

func TestNoFaultMakesAClassOfAMembersWriteLie(t *testing.T) {
	for _, fault := range sandbox.Faults() {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			s := newStreet(t, 300*time.Millisecond)
			for _, typ := range loyal {
				call := s.loyalty(t, typ)
				_, effects := vendorstest.PushUnder(t, s.sandbox, fault, s.account, call)
				s.resolve(t, call, effects)
			}
			require.Empty(t, s.sandbox.Violations(), "redirects among others")
		})
	}
}

// resolve reads whether a call took effect, or repeats it where that is how it is
// cleared up.
func (s *street) resolve(t *testing.T, call vendors.Call, effects int) {
	t.Helper()
	typ := call.Event.Type
	op, _ := s.reader.Operation(typ)
	if op.Findable {
		vendorstest.RequireFound(t, s.reader, call, effects)
	}
	if op.Repeat == vendors.RepeatNever && effects > 0 {
		return
	}
	before := s.took(typ)
	r := s.reader.Push(t.Context(), call)
	switch {
	case typ == event.MemberIdentityRemoved && effects > 0:
		require.Equal(t, vendors.AlreadyApplied, r.Class, "%s: %s", typ, r.Message)
	default:
		require.Equal(t, vendors.Applied, r.Class, "%s: %s", typ, r.Message)
	}
	require.Equal(t, before+1-effects, s.took(typ), typ)
}

func TestRepeatsAsTheSwitchesHaveThem(t *testing.T) {
	for mode, want := range map[string]vendors.Class{"error": vendors.Refused, "echo": vendors.Applied} {
		s := newStreet(t, 20*time.Second)
		require.NoError(t, s.sandbox.SetSwitches(sandbox.Switches{Members: sandbox.MemberSwitches{
			BindAgain: mode, RedeemTwice: mode, MobileAgain: mode, IdentitiesShown: "asked", TotalsSwapped: true,
		}}))
		for _, typ := range []event.Type{event.MemberIdentityBound, event.CouponRedeemed, event.MemberMobileChanged} {
			call := s.loyalty(t, typ)
			require.Equal(t, vendors.Applied, s.account.Push(t.Context(), call).Class)
			if r := s.account.Push(t.Context(), call); typ != event.MemberMobileChanged || mode == "echo" {
				require.Equal(t, want, r.Class, "%s: %s", typ, r.Message)
			}
			require.Equal(t, vendors.Present, s.account.Find(t.Context(), call).Found, "%s: whatever a repeat got", typ)
			require.Equal(t, 1, s.took(typ))
		}
	}
}

// What a draw before has left behind mustn't pass for this one's effect, although a
// read doesn't show it yet.
func TestADrawIsToldFromTheOneBeforeItWhileReadsLag(t *testing.T) {
	s := newStreet(t, 20*time.Second)
	require.NoError(t, s.sandbox.SetSwitches(sandbox.Switches{ReadsLag: sandbox.Duration(time.Hour)}))
	first := s.loyalty(t, event.CouponDrawn)
	require.Equal(t, vendors.Applied, s.account.Push(t.Context(), first).Class)
	second := s.loyalty(t, event.CouponDrawn)
	mark, r := s.account.Mark(t.Context(), second)
	require.Equal(t, vendors.Applied, r.Class)
	second.Mark = mark
	require.NoError(t, s.sandbox.SetSwitches(sandbox.Switches{}))
	require.Equal(t, vendors.Absent, s.account.Find(t.Context(), second).Found)
	require.Equal(t, vendors.Applied, s.account.Push(t.Context(), second).Class)
	require.Equal(t, vendors.Present, s.account.Find(t.Context(), second).Found)
	second.Mark = "[]"
	require.Equal(t, vendors.Unclear, s.account.Find(t.Context(), second).Found)
}

func TestADrawIsFoundAmongManyPagesOfUsedOnes(t *testing.T) {
	s := newStreet(t, 20*time.Second)
	for range 3 {
		call := s.loyalty(t, event.CouponRedeemed)
		require.Equal(t, vendors.Applied, s.account.Push(t.Context(), call).Class)
	}
	draw := s.loyalty(t, event.CouponDrawn)
	require.Equal(t, vendors.Applied, s.account.Push(t.Context(), draw).Class)
	used := s.account.Push(t.Context(), draw)
	require.Equal(t, vendors.Applied, used.Class, "nothing at the vendor keeps a second one away")
	redeem := vendors.Call{Member: s.member, Event: &event.Event{
		Type: event.CouponRedeemed, Key: used.Receipt.Ref, Data: data(`{"couponCode":%q}`, used.Receipt.Ref),
	}}
	require.Equal(t, vendors.Applied, s.account.Push(t.Context(), redeem).Class)
	f := s.account.Find(t.Context(), draw)
	require.Equal(t, vendors.Unclear, f.Found, "used ones are read too")
	require.Contains(t, f.Detail, "2 new coupons")
}

func TestAMemberIsFoundAnewOnceTheirIdentityHasMoved(t *testing.T) {
	s := newStreet(t, 20*time.Second)
	old := known(event.MemberIdentity{Type: "mobile", Value: vendorstest.Mobile})
	id, _ := s.account.FindMember(t.Context(), old)
	require.Equal(t, s.member, id)
	require.Equal(t, vendors.Applied, s.account.Push(t.Context(), s.loyalty(t, event.MemberMobileChanged)).Class)
	id, r := s.account.FindMember(t.Context(), old)
	require.Empty(t, id, "the number is nobody's by now")
	require.Equal(t, vendors.Refused, r.Class)
}

// Points that greet a new member come at once; the vendor's reads may not show them yet.
func TestWhoHasJustRegisteredIsKnownWhileReadsLag(t *testing.T) {
	s := newStreet(t, 20*time.Second)
	require.NoError(t, s.sandbox.SetSwitches(sandbox.Switches{ReadsLag: sandbox.Duration(time.Hour)}))
	for _, typ := range []event.Type{event.MemberRegistered, event.MemberIdentityBound} {
		call := s.loyalty(t, typ)
		var data struct{ Identities []event.MemberIdentity }
		require.NoError(t, json.Unmarshal(call.Event.Data, &data))
		for _, identity := range data.Identities {
			id, _ := s.account.FindMember(t.Context(), known(identity))
			require.Empty(t, id)
		}
		r := s.account.Push(t.Context(), call)
		require.Equal(t, vendors.Applied, r.Class, r.Message)
		for _, identity := range data.Identities {
			id, found := s.account.FindMember(t.Context(), known(identity))
			require.Equal(t, r.Receipt.Member, id, typ)
			require.Zero(t, found.Calls)
		}
	}
}
