package dmhub_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/dmhub"
	"syncworker/internal/vendors/vendorstest"
)

func TestOperationsWithoutSemantics(t *testing.T) {
	a := newShop(t).account(t, nil)
	const order = 27 * 24 * time.Hour
	point := vendors.Operation{
		Repeat: vendors.RepeatWindow, Window: 58*time.Minute + 30*time.Second, NeedsMember: true,
		Findable: true, FindWindow: 719 * time.Hour, RefusalSpendsKey: true,
	}
	incr, decr := point, point
	incr.Name, decr.Name = "POST /loyalty/v1/membership/{membershipId}/point/incr", "POST /loyalty/v1/membership/{membershipId}/point/decr"
	decr.AmountByRead = true
	for typ, want := range map[event.Type]vendors.Operation{
		event.PointIncremented:   incr,
		event.PointDecremented:   decr,
		event.OrderCreated:       {Name: "POST /loyalty/v1/deal", FindWindow: order, Blocks: true},
		event.OrderUpdated:       {Name: "POST /loyalty/v1/dealService/update/", Repeat: vendors.RepeatAlways, NeedsMember: true, FindWindow: order, EchoProves: true, Blocks: true},
		event.OrderCancelled:     {Name: "POST /loyalty/v1/dealService/cancel", Repeat: vendors.RepeatAlways, NeedsMember: true, FindWindow: order, EchoProves: true, Blocks: true},
		event.OrderDeleted:       {Name: "POST /loyalty/v1/dealService/delete", Repeat: vendors.RepeatAlways, NeedsMember: true, FindWindow: order, EchoProves: true, Blocks: true},
		event.OrderRefunded:      {Name: "POST /loyalty/v1/dealService/refund", NeedsMember: true, FindWindow: order, Blocks: true},
		event.OrderRefundDeleted: {Name: "POST /loyalty/v1/dealService/deleteRefund", NeedsMember: true, FindWindow: order, Blocks: true},

		event.MemberRegistered:      {Name: "POST /loyalty/v1/membershipAndIdentities", Findable: true, EchoProves: true, Blocks: true},
		event.MemberUpdated:         {Name: "PUT /loyalty/v1/membership/{membershipId}", Repeat: vendors.RepeatAlways, NeedsMember: true, EchoProves: true, Blocks: true},
		event.MemberIdentityBound:   {Name: "POST /loyalty/v1/membership/{membershipId}/bindIdentity", NeedsMember: true, Findable: true, EchoProves: true, Blocks: true},
		event.MemberIdentityRemoved: {Name: "DELETE /loyalty/v1/membership/identity/{membershipId}", Repeat: vendors.RepeatAlways, NeedsMember: true, NeedsMark: true, Findable: true, EchoProves: true, Blocks: true},
		event.MemberMobileChanged:   {Name: "PUT /loyalty/v1/membershipService/updateMobile", NeedsMember: true, NeedsMark: true, Findable: true, EchoProves: true, Blocks: true},
		event.CouponDrawn:           {Name: "POST /loyalty/v1/membership/{membershipId}/coupon/draw", NeedsMember: true, NeedsMark: true, Findable: true, EchoProves: true, Blocks: true},
		event.CouponRedeemed:        {Name: "POST /loyalty/v1/membershipCoupon/{couponCode}/redeem", NeedsMember: true, Findable: true, EchoProves: true, Blocks: true},
		event.DeviceRegistered:      {Name: "POST /loyalty/v1/appPush/register", Repeat: vendors.RepeatAlways, EchoProves: true, Blocks: true},
	} {
		got, ok := a.Operation(typ)
		require.True(t, ok, typ)
		require.Equal(t, want, got, typ)
	}
	for _, typ := range []event.Type{event.LevelCreated, event.CouponCodeAdded} {
		_, ok := a.Operation(typ)
		require.False(t, ok)
		require.Equal(t, "unsupported", a.Push(t.Context(), vendors.Call{Event: &event.Event{Type: typ}}).Hold)
	}
}

func TestSemanticsChangeOperations(t *testing.T) {
	operation := func(typ event.Type, change func(*dmhub.Config)) vendors.Operation {
		op, ok := newShop(t).account(t, change).Operation(typ)
		require.True(t, ok)
		return op
	}
	replaced := operation(event.OrderCreated, func(c *dmhub.Config) { c.Semantics.ExistingOrder = dmhub.Replaced })
	require.Equal(t, vendors.RepeatAlways, replaced.Repeat)
	require.True(t, replaced.EchoProves)
	require.False(t, replaced.DuplicateProves)

	refused := operation(event.OrderCreated, func(c *dmhub.Config) {
		c.Semantics.ExistingOrder, c.Semantics.ExistingOrderReply = dmhub.Refused, "409000"
	})
	require.Equal(t, vendors.RepeatAlways, refused.Repeat)
	require.True(t, refused.EchoProves)
	require.True(t, refused.DuplicateProves)

	point := operation(event.PointDecremented, func(c *dmhub.Config) {
		c.Semantics.DuplicateUUID, c.Semantics.DuplicateUUIDReply = dmhub.Refused, "409000 uuid"
		c.Semantics.PointTrace = dmhub.None
		c.Semantics.UUIDWindow = 100 * time.Hour
	})
	require.True(t, point.EchoProves)
	require.False(t, point.DuplicateProves, "a refused call may have used up the uuid")
	require.False(t, point.Findable)
	require.Equal(t, 72*time.Hour-90*time.Second, point.Window, "uuid_timeout is the shorter one")

	tiny := operation(event.PointDecremented, func(c *dmhub.Config) { c.Semantics.UUIDWindow = 20 * time.Second })
	require.Zero(t, tiny.Window, "a repeat could arrive too late")

	read := func(c *dmhub.Config) { c.OrderReads = newShop(t).deals(t) }
	for typ, want := range map[event.Type]bool{
		event.OrderCreated: true, event.OrderCancelled: true, event.OrderDeleted: true,
		event.OrderUpdated: false, event.OrderRefunded: false, event.OrderRefundDeleted: false,
	} {
		require.Equal(t, want, operation(typ, read).Findable, typ)
	}
}

func TestNewListsAllThatIsWrong(t *testing.T) {
	_, err := dmhub.New(dmhub.Config{
		Name: "dmhub", BaseURL: "https://user:pass@example.com", Secret: "canary-secret", UUIDTimeout: time.Millisecond, Timeout: time.Second,
		Semantics: dmhub.Semantics{ExistingOrder: "doubled", DuplicateUUID: dmhub.Refused, PointTrace: "here", UUIDWindow: -1},
	}, &vendorstest.Tokens{})
	require.Error(t, err)
	for _, part := range []string{
		`account "dmhub"`, "app_id: empty", "base_url: more than", "uuid_timeout: 1ms", `semantics.existing_order: "doubled"`,
		"semantics.duplicate_uuid_reply: empty", `semantics.point_trace: "here"`, "semantics.uuid_window: -1ns",
	} {
		require.ErrorContains(t, err, part)
	}
	require.NotContains(t, err.Error(), "pass")
	require.NotContains(t, err.Error(), "canary")
}
