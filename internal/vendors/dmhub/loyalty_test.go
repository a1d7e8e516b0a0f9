package dmhub_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/dmhub"
	"syncworker/internal/vendors/vendorstest"
)

const sampleCode = "34636772868722688"

// request is a sample of what is sent, without its braces.
func request(name string) string {
	return strings.TrimSuffix(strings.TrimPrefix(golden(nil, name+"_request"), "{"), "}")
}

// loyaltyCall is an event about a member, a coupon or a device as the vendor's
// samples have it.
func loyaltyCall(typ event.Type) vendors.Call {
	e := &event.Event{ID: "e1", Source: "crm", Type: typ, Time: published, Tenant: "default", UUID: "m-1"}
	c := vendors.Call{Event: e, Member: "1"}
	switch typ {
	case event.MemberRegistered:
		c.Member = ""
		e.Member = known(event.MemberIdentity{Type: "wechat", Value: "123456", Name: "cm_test"})
		e.Data = data(`{"uuid":"m-1",%s,"c_tel":%q}`, request("member_registered"), vendorstest.ContactTel)
	case event.MemberUpdated:
		e.Member = known(mobile)
		e.Data = data(`{"uuid":"m-1","identities":[{"type":"mobile","value":%q}],"membership":{%s}}`, vendorstest.Mobile, request("member_updated"))
	case event.MemberIdentityBound:
		e.Data = data(`{"uuid":"m-1","membershipId":1,"identities":%s}`, golden(nil, "identity_bound_request"))
	case event.MemberIdentityRemoved:
		e.Member = known(mobile)
		e.Data = data(`{"uuid":"m-1","membershipId":"1","type":"mobile","value":%q}`, vendorstest.Mobile)
	case event.MemberMobileChanged:
		c.Member = "85"
		e.Member = known(event.MemberIdentity{Type: "mobile", Value: "123"})
		e.Data = data(`{"uuid":"m-1","oldMobile":"123","newMobile":"456"}`)
	case event.CouponDrawn:
		c.Mark = "[]"
		e.Data = data(`{"uuid":"m-1","membershipId":1,"couponId":"STxgWromTbt727eBcPOo"}`)
	case event.CouponRedeemed:
		e.Key, e.UUID = sampleCode, sampleCode
		e.Data = data(`{"couponCode":%q,"identities":[{"type":"mobile","value":%q}]}`, sampleCode, vendorstest.Mobile)
		e.Member = known(mobile)
	case event.DeviceRegistered:
		c.Member = ""
		e.Key = "1a0018970a8b7f3d1c5"
		e.Data = data(`{"uuid":"m-1",%s}`, strings.Replace(request("device"), "13800000000", vendorstest.Mobile, 1))
	}
	return c
}

func TestPushSendsTheDocumentsSamples(t *testing.T) {
	for _, tt := range []struct {
		typ        event.Type
		seen, body string
		receipt    vendors.Receipt
	}{
		{
			event.MemberRegistered, "POST /loyalty/v1/membershipAndIdentities",
			fmt.Sprintf(`{%s,"c_tel":%q}`, request("member_registered"), vendorstest.ContactTel), vendors.Receipt{Ref: "3", Member: "3"},
		},
		{
			event.MemberUpdated, "PUT /loyalty/v1/membership/1?forceUpdate=false",
			golden(t, "member_updated_request"), vendors.Receipt{Ref: "1", Member: "1"},
		},
		{
			event.MemberIdentityBound, "POST /loyalty/v1/membership/1/bindIdentity",
			golden(t, "identity_bound_request"), vendors.Receipt{Member: "1"},
		},
		{
			event.MemberIdentityRemoved, "DELETE /loyalty/v1/membership/identity/1?type=mobile&value=" + vendorstest.Mobile,
			"", vendors.Receipt{Member: "1"},
		},
		{
			event.MemberMobileChanged, "PUT /loyalty/v1/membershipService/updateMobile",
			strings.Replace(golden(t, "mobile_changed_request"), ":8}", ":85}", 1), vendors.Receipt{Ref: "85", Member: "85"},
		},
		{
			event.CouponDrawn, "POST /loyalty/v1/membership/1/coupon/draw",
			strings.Replace(golden(t, "coupon_drawn_request"), "11111", "STxgWromTbt727eBcPOo", 1), vendors.Receipt{Ref: sampleCode, Member: "1"},
		},
		{
			event.CouponRedeemed, "POST /loyalty/v1/membershipCoupon/" + sampleCode + "/redeem",
			golden(t, "coupon_redeemed_request"), vendors.Receipt{Ref: sampleCode, Member: "1"},
		},
		{
			event.DeviceRegistered, "POST /loyalty/v1/appPush/register",
			strings.Replace(golden(t, "device_request"), "13800000000", vendorstest.Mobile, 1), vendors.Receipt{Ref: "1a0018970a8b7f3d1c5", Member: "16508"},
		},
	} {
		t.Run(string(tt.typ), func(t *testing.T) {
			s := newShop(t)
			s.answers(200, goodReply(t, tt.typ))
			r := s.account(t, nil).Push(t.Context(), call(tt.typ))
			require.Equal(t, vendors.Applied, r.Class, r.Message)
			require.Equal(t, []string{tt.seen}, s.seen)
			require.Equal(t, tt.body, s.body)
			require.Equal(t, tt.receipt, r.Receipt)
			require.NotContains(t, r.Path, vendorstest.Mobile)
		})
	}
}

// pushed is what becomes of a sample whose data and reply are others.
func pushed(t *testing.T, typ event.Type, body string, change func(*vendors.Call)) (vendors.Result, *shop) {
	t.Helper()
	s := newShop(t)
	s.answers(200, body)
	c := call(typ)
	if change != nil {
		change(&c)
	}
	return s.account(t, nil).Push(t.Context(), c), s
}

func with(raw string) func(*vendors.Call) {
	return func(c *vendors.Call) { c.Event.Data = data(`%s`, raw) }
}

func TestPushUnderstandsWhatTheDocumentContradicts(t *testing.T) {
	device := func(member string) string {
		return strings.Replace(golden(t, "device"), `"16508"`, member, 1)
	}
	for _, tt := range []struct {
		name   string
		typ    event.Type
		reply  string
		change func(*vendors.Call)
		want   vendors.Result
	}{
		{
			"a code as a string", event.MemberRegistered, `{"error":{"code":"222","message":"身份类型存在"}}`, nil,
			vendors.Result{Class: vendors.Refused, Code: "222", Message: "身份类型存在"},
		},
		{
			"a code as a number", event.MemberRegistered, `{"error":{"code":221,"message":"身份md5存在"}}`, nil,
			vendors.Result{Class: vendors.Refused, Code: "221", Message: "身份md5存在"},
		},
		{
			"the template's empty code", event.MemberRegistered, `{"error":{"code":"","message":""}}`, nil,
			vendors.Result{Class: vendors.Ambiguous},
		},
		{
			"the last identity", event.MemberIdentityRemoved, golden(t, "identity_last"), nil,
			vendors.Result{Class: vendors.Refused, Code: "409224", Message: "Identity is last one"},
		},
		{
			"an identity that is gone", event.MemberIdentityRemoved, golden(t, "identity_not_found"), nil,
			vendors.Result{Class: vendors.AlreadyApplied, Code: "409225", Message: "Identity not found"},
		},
		{
			"that code is a removal's only", event.MemberIdentityBound, golden(t, "identity_not_found"), nil,
			vendors.Result{Class: vendors.Refused, Code: "409225", Message: "Identity not found"},
		},
		{
			"a field of a device is missing", event.DeviceRegistered, `{"error":{"code":"400005","message":"Missing field provider!"}}`, nil,
			vendors.Result{Class: vendors.Refused, Code: "400005", Message: "Missing field provider!"},
		},
		{
			"a field of a device is invalid", event.DeviceRegistered, `{"error":{"code":"400001","message":"Invalid os(winphone)!"}}`, nil,
			vendors.Result{Class: vendors.Refused, Code: "400001", Message: "Invalid os(winphone)!"},
		},
		{
			"an anonymous device", event.DeviceRegistered, device("null"), nil,
			vendors.Result{Class: vendors.Applied, Receipt: vendors.Receipt{Ref: "1a0018970a8b7f3d1c5"}},
		},
		{
			"a device of a member as a number, found by mobile", event.DeviceRegistered, device("85"), nil,
			vendors.Result{Class: vendors.Applied, Receipt: vendors.Receipt{Ref: "1a0018970a8b7f3d1c5", Member: "85"}},
		},
		{
			"a device of another member", event.DeviceRegistered, device("85"), with(`{` + strings.Replace(request("device"), `,"mobile":"13800000000"`, "", 1) + `}`),
			vendors.Result{Class: vendors.Ambiguous, Message: `the reply doesn't echo the call: membershipId is "85"`},
		},
		{
			"another device", event.DeviceRegistered, strings.Replace(golden(t, "device"), "jpush", "getui", 1), nil,
			vendors.Result{Class: vendors.Ambiguous, Message: `the reply doesn't echo the call: provider is "getui"`},
		},
		{
			"ids as text", event.CouponDrawn, strings.Replace(golden(t, "coupon_drawn"), `"membershipId":1`, `"membershipId":"1"`, 1), nil,
			vendors.Result{Class: vendors.Applied, Receipt: vendors.Receipt{Ref: sampleCode, Member: "1"}},
		},
		{
			"a code as a number of 17 digits", event.CouponRedeemed, strings.Replace(golden(t, "coupon_redeemed"), `"`+sampleCode+`"`, sampleCode, 1), nil,
			vendors.Result{Class: vendors.Applied, Receipt: vendors.Receipt{Ref: sampleCode, Member: "1"}},
		},
		{
			"a status in capitals", event.CouponRedeemed, strings.Replace(golden(t, "coupon_redeemed"), `"used"`, `"USED"`, 1), nil,
			vendors.Result{Class: vendors.Applied, Receipt: vendors.Receipt{Ref: sampleCode, Member: "1"}},
		},
		{
			"a channel's couponId is another thing", event.CouponDrawn, golden(t, "coupon_drawn"), with(`{"uuid":"m-1","membershipId":1,"couponId":"test"}`),
			vendors.Result{Class: vendors.Ambiguous, Message: `the reply doesn't echo the call: couponId is "STxgWromTbt727eBcPOo"`},
		},
		{
			"a coupon that was there before", event.CouponDrawn, golden(t, "coupon_drawn"), func(c *vendors.Call) { c.Mark = `["` + sampleCode + `"]` },
			vendors.Result{Class: vendors.Ambiguous, Message: "the reply doesn't echo the call: the member had the coupon before the call"},
		},
		{
			"a coupon of another member", event.CouponDrawn, golden(t, "coupon_drawn"), func(c *vendors.Call) { c.Member = "2" },
			vendors.Result{Class: vendors.Ambiguous, Message: `the reply doesn't echo the call: membershipId is "1"`},
		},
		{
			"a coupon that isn't used", event.CouponRedeemed, golden(t, "member_coupon"), nil,
			vendors.Result{Class: vendors.Ambiguous, Message: `the reply doesn't echo the call: status is "notStarted" and not used`},
		},
		{
			"another coupon", event.CouponRedeemed, strings.Replace(golden(t, "coupon_redeemed"), sampleCode, "1", 1), nil,
			vendors.Result{Class: vendors.Ambiguous, Message: `the reply doesn't echo the call: couponCode is "1"`},
		},
		{
			"a coupon used by another member", event.CouponRedeemed, golden(t, "coupon_redeemed"), func(c *vendors.Call) { c.Member = "2" },
			vendors.Result{Class: vendors.Ambiguous, Message: `the reply doesn't echo the call: membershipId is "1"`},
		},
		{
			"the sample's other member", event.MemberMobileChanged, golden(t, "mobile_changed"), func(c *vendors.Call) { c.Member = "8" },
			vendors.Result{Class: vendors.Ambiguous, Message: `the reply doesn't echo the call: id is "85"`},
		},
		{
			"the old mobile number", event.MemberMobileChanged, strings.Replace(golden(t, "mobile_changed"), `"456"`, `"123"`, 1), nil,
			vendors.Result{Class: vendors.Ambiguous, Message: "the reply doesn't echo the call: mobile isn't the new one"},
		},
		{
			"a name that wasn't taken", event.MemberUpdated, strings.Replace(golden(t, "member_updated"), `"test1"`, `"test"`, 1), nil,
			vendors.Result{Class: vendors.Ambiguous, Message: "the reply doesn't echo the call: name is another one"},
		},
		{
			"a gender as text", event.MemberUpdated, strings.Replace(golden(t, "member_updated"), `"gender":0`, `"gender":"0"`, 1), nil,
			vendors.Result{Class: vendors.Applied, Receipt: vendors.Receipt{Ref: "1", Member: "1"}},
		},
		{
			"another member's update", event.MemberUpdated, golden(t, "member_updated"), func(c *vendors.Call) { c.Member = "2" },
			vendors.Result{Class: vendors.Ambiguous, Message: `the reply doesn't echo the call: id is "1"`},
		},
		{
			"a new member with another mobile number", event.MemberRegistered, strings.Replace(golden(t, "member_registered"), `"mobile":null`, `"mobile":"1"`, 1),
			func(c *vendors.Call) { c.Event.Member = known(mobile) },
			vendors.Result{Class: vendors.Ambiguous, Message: "the reply doesn't echo the call: mobile is another one"},
		},
		{
			"an identity that isn't in the reply", event.MemberIdentityBound, `[{"type":"wechat","value":"667"}]`, nil,
			vendors.Result{Class: vendors.Ambiguous, Message: "the reply doesn't echo the call: identity 1 isn't there"},
		},
		{
			"a member who isn't there", event.MemberUpdated, `{"error":{"code":"210","message":"没找到会员"}}`, nil,
			vendors.Result{Class: vendors.Refused, Hold: "member_not_found", Code: "210", Message: "没找到会员"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r, _ := pushed(t, tt.typ, tt.reply, tt.change)
			got := vendors.Result{Class: r.Class, Early: r.Early, Hold: r.Hold, Code: r.Code, Message: r.Message, Receipt: r.Receipt}
			require.Equal(t, tt.want, got)
		})
	}
}

func TestPushHoldsWhatTheVendorWouldLose(t *testing.T) {
	r, s := pushed(t, event.MemberUpdated, golden(t, "member_updated"), with(`{"uuid":"m-1","membership":{"mobile":"13912345678","name":"x"}}`))
	require.Equal(t, vendors.NotSent, r.Class)
	require.Equal(t, "invalid_event", r.Hold)
	require.Contains(t, r.Message, "publish member.mobile_changed")
	require.NotContains(t, r.Message, vendorstest.Mobile)
	require.Empty(t, s.seen)

	r, _ = pushed(t, event.MemberUpdated, golden(t, "member_updated"), with(`{"uuid":"m-1","membership":{"mobile":null,"name":"test1"}}`))
	require.Equal(t, vendors.Applied, r.Class, "a till that writes null for what it doesn't know")

	r, s = pushed(t, event.CouponRedeemed, golden(t, "coupon_redeemed"), func(c *vendors.Call) { c.Event.Key = ".." })
	require.Equal(t, "invalid_event", r.Hold)
	require.Empty(t, s.seen)
}

func TestForceUpdateIsSaidInTheQuery(t *testing.T) {
	_, s := pushed(t, event.MemberUpdated, golden(t, "member_updated"), with(`{"uuid":"m-1","forceUpdate":true,"membership":{"source":"tmall"}}`))
	require.Equal(t, []string{"PUT /loyalty/v1/membership/1?forceUpdate=true"}, s.seen)
	require.Equal(t, `{"source":"tmall"}`, s.body)
}

func TestACodeIsEscapedInAPath(t *testing.T) {
	_, s := pushed(t, event.CouponRedeemed, golden(t, "coupon_redeemed"), func(c *vendors.Call) { c.Event.Key = "a/b?c" })
	require.Equal(t, []string{"POST /loyalty/v1/membershipCoupon/a/b?c/redeem"}, s.seen, "as the server decodes it")
}

func TestWhatMovesAnIdentityIsForgotten(t *testing.T) {
	for typ, identity := range map[event.Type]event.MemberIdentity{
		event.MemberMobileChanged:   {Type: "mobile", Value: "123"},
		event.MemberIdentityRemoved: mobile,
		event.MemberIdentityBound:   {Type: "wechat", Value: "666"},
		event.MemberRegistered:      {Type: "wechat", Value: "123456"},
	} {
		for _, body := range []string{goodReply(t, typ), `<html>`, `{"error_code":40001,"error_description":"x"}`} {
			s := newShop(t)
			a := s.account(t, nil)
			look := func() int {
				s.answers(200, golden(t, "member"))
				before := len(s.seen)
				_, r := a.FindMember(t.Context(), known(identity))
				require.Equal(t, vendors.Applied, r.Class)
				return len(s.seen) - before
			}
			require.Equal(t, 1, look()+look(), "remembered")
			s.answers(200, body)
			r := a.Push(t.Context(), call(typ))
			want := 1
			if r.Class == vendors.Applied && (typ == event.MemberRegistered || typ == event.MemberIdentityBound) {
				want = 0 // the answer says to whom it leads
			}
			require.Equal(t, want, look(), "%s, answered with %s", typ, body)
		}
	}
}

func TestKindListsEveryEndpointOfTheDocument(t *testing.T) {
	sections := map[string]int{}
	names := map[string]bool{}
	for _, e := range dmhub.Loyalty.Endpoints {
		n, _, _ := strings.Cut(e.Section, ".")
		sections[n]++
		require.True(t, strings.HasPrefix(e.Path, "/loyalty/v1/"), e.Path)
		require.Equal(t, e.Event == "", e.Read != "", e.Path)
		require.Equal(t, e.Event != "", e.Unclear != "", e.Path)
		names[e.Section] = true
	}
	require.Equal(t, map[string]int{
		"1": 1, "2": 1, "3": 1, "4": 1, "5": 2, "6": 1, "7": 1, "8": 1, "9": 1, "10": 1, "11": 6, "12": 1, "13": 7, "14": 1, "15": 1, "16": 1, "17": 1,
	}, sections)
	require.Len(t, names, 28)
	require.Equal(t, "1. 查看全部会员", dmhub.Loyalty.Endpoints[0].Section)
	require.Equal(t, "13.7. 核销", dmhub.Loyalty.Endpoints[24].Section)
	require.Len(t, dmhub.Loyalty.Takes, 16)
}

func TestKindBuildsAnAccount(t *testing.T) {
	s := newShop(t)
	setup := vendors.Setup{
		Name: "dmhub", BaseURL: s.URL, AppID: "app", Secret: "s", Timeout: 30e9, Tokens: &vendorstest.Tokens{},
		Semantics: vendors.Semantics{ExistingOrder: dmhub.Replaced},
	}
	v, err := dmhub.Loyalty.New(setup)
	require.NoError(t, err)
	op, _ := v.Operation(event.OrderCreated)
	require.Equal(t, vendors.RepeatAlways, op.Repeat)
	require.False(t, op.Findable)
	setup.OrderReads = s.deals(t)
	v, err = dmhub.Loyalty.New(setup)
	require.NoError(t, err)
	op, _ = v.Operation(event.OrderCreated)
	require.True(t, op.Findable)

	setup.OrderReads = v
	_, err = dmhub.Loyalty.New(setup)
	require.ErrorContains(t, err, "semantics.order_reads")
	setup.OrderReads, setup.AppID = nil, ""
	v, err = dmhub.Loyalty.New(setup)
	require.ErrorContains(t, err, "app_id: empty")
	require.Nil(t, v)
}
