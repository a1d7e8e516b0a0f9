package dmhub

import (
	"net/http"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

const (
	apart = "uuid" // our contract's; DM Hub has no such field in these calls

	readElsewhere = "read in the account of order_reads; without one, "
	readMembers   = "the member of each identity is read"
)

// writes are the calls of the loyalty API that give events their effect.
var writes = []write{
	{
		event: event.MemberRegistered, section: "2. 创建会员和会员身份",
		method: http.MethodPost, path: "/loyalty/v1/membershipAndIdentities",
		body: []change{without(apart), noMobile}, personal: everyText,
		echo: echoRegistered, moves: identitiesOf, leads: true,
		facts: vendors.Operation{Findable: true, EchoProves: true, Blocks: true}, find: (*Account).findRegistered,
		unclear: readMembers + ": one who has them all and is as new as the call is ours; never repeated unseen",
	},
	{
		event: event.MemberUpdated, section: "4. 修改一个会员",
		method: http.MethodPut, path: "/loyalty/v1/membership/{membershipId}", query: forceUpdate,
		body: []change{noMobile, only("membership")}, personal: everyText,
		echo:    echoUpdated,
		facts:   vendors.Operation{Repeat: vendors.RepeatAlways, NeedsMember: true, EchoProves: true, Blocks: true},
		unclear: "repeated, newest only: it sets a state",
	},
	{
		event: event.PointIncremented, section: "5. 增减会员积分",
		method: http.MethodPost, path: "/loyalty/v1/membership/{membershipId}/point/incr",
		body: []change{without("identities", "membershipId"), pointUUID, pointDay, pointRemark},
		echo: echoPoints, find: (*Account).findPoints,
		facts:    vendors.Operation{Repeat: vendors.RepeatWindow, RefusalSpendsKey: true, NeedsMember: true, FindWindow: pointMemory},
		settings: pointSettings,
		unclear:  "repeated with its uuid inside the window; then the point details of 30 days are read for it",
	},
	{
		event: event.PointDecremented, section: "5. 增减会员积分",
		method: http.MethodPost, path: "/loyalty/v1/membership/{membershipId}/point/decr",
		body: []change{without("identities", "membershipId"), pointUUID, pointDay, pointRemark},
		echo: echoPoints, find: (*Account).findPoints,
		facts:    vendors.Operation{Repeat: vendors.RepeatWindow, RefusalSpendsKey: true, NeedsMember: true, FindWindow: pointMemory, AmountByRead: true},
		settings: pointSettings,
		unclear:  "repeated with its uuid inside the window; then the point details of 30 days are read for it",
	},
	{
		event: event.MemberIdentityBound, section: "6. 绑定会员身份",
		method: http.MethodPost, path: "/loyalty/v1/membership/{membershipId}/bindIdentity",
		body: []change{only("identities")}, personal: everyText, list: true,
		echo: echoBound, moves: identitiesOf, leads: true,
		facts: vendors.Operation{NeedsMember: true, Findable: true, EchoProves: true, Blocks: true}, find: (*Account).findBound,
		unclear: readMembers + ": bound if each leads to this one; never repeated unseen",
	},
	{
		event: event.MemberMobileChanged, section: "9. 修改会员手机号",
		method: http.MethodPut, path: "/loyalty/v1/membershipService/updateMobile",
		body: []change{without(apart), membershipID}, personal: everyText,
		echo: echoMobile, moves: mobilesOf,
		facts: vendors.Operation{NeedsMember: true, NeedsMark: true, Findable: true, EchoProves: true, Blocks: true},
		mark:  (*Account).markMember, find: (*Account).findMobile,
		unclear: "the member's mobile is read: the new one, the old one, or a person decides; never repeated unseen",
	},
	{
		event: event.OrderCreated, section: "11.1. 创建订单",
		method: http.MethodPost, path: "/loyalty/v1/deal",
		body: []change{membershipIDOrIdentities, utc("dateOrder")},
		echo: echoCreated, find: (*Account).findOrder,
		facts: vendors.Operation{FindWindow: orderMemory, Blocks: true}, settings: createSettings,
		unclear: "repeated where existing_order says replaced or refused; " + readElsewhere + "a person decides",
	},
	{
		event: event.OrderUpdated, section: "11.2. 修改订单",
		method: http.MethodPost, path: "/loyalty/v1/dealService/update/",
		body: changesOfOrders, echo: echoOrder,
		facts:   vendors.Operation{Repeat: vendors.RepeatAlways, NeedsMember: true, FindWindow: orderMemory, EchoProves: true, Blocks: true},
		unclear: "repeated, newest only: it sets a state",
	},
	{
		event: event.OrderCancelled, section: "11.3. 取消订单",
		method: http.MethodPost, path: "/loyalty/v1/dealService/cancel",
		body: changesOfOrders, echo: echoCancelled, find: (*Account).findOrder,
		facts:    vendors.Operation{Repeat: vendors.RepeatAlways, NeedsMember: true, FindWindow: orderMemory, EchoProves: true, Blocks: true},
		settings: readsElsewhere,
		unclear:  readElsewhere + "repeated: it sets a state",
	},
	{
		event: event.OrderRefunded, section: "11.4. 退单",
		method: http.MethodPost, path: "/loyalty/v1/dealService/refund",
		body: changesOfOrders, echo: echoOrder, find: (*Account).findOrder,
		facts:    vendors.Operation{NeedsMember: true, FindWindow: orderMemory, Blocks: true},
		settings: refundSettings,
		unclear:  "with refund_state shown, the order's only refund is read in the account of order_reads; else a person decides: no key",
	},
	{
		event: event.OrderRefundDeleted, section: "11.4. 删除退单",
		method: http.MethodPost, path: "/loyalty/v1/dealService/deleteRefund",
		body: changesOfOrders, echo: echoOrder,
		facts:   vendors.Operation{NeedsMember: true, FindWindow: orderMemory, Blocks: true},
		unclear: "a person decides: it names only the order, and no read shows it",
	},
	{
		event: event.OrderDeleted, section: "11.5. 删除订单",
		method: http.MethodPost, path: "/loyalty/v1/dealService/delete",
		body: changesOfOrders, echo: echoOrder, find: (*Account).findOrder,
		facts:    vendors.Operation{Repeat: vendors.RepeatAlways, NeedsMember: true, FindWindow: orderMemory, EchoProves: true, Blocks: true},
		settings: readsElsewhere,
		unclear:  readElsewhere + "repeated: it sets a state",
	},
	{
		event: event.DeviceRegistered, section: "12. 会员注册推送设备信息",
		method: http.MethodPost, path: "/loyalty/v1/appPush/register",
		body: []change{without(apart), membershipIDAsText}, echo: echoDevice,
		facts:   vendors.Operation{Repeat: vendors.RepeatAlways, EchoProves: true, Blocks: true},
		unclear: "repeated: it sets a state",
	},
	{
		event: event.CouponDrawn, section: "13.4. 领券",
		method: http.MethodPost, path: "/loyalty/v1/membership/{membershipId}/coupon/draw",
		body: []change{without(apart, "membershipId")}, echo: echoDrawn,
		facts: vendors.Operation{NeedsMember: true, NeedsMark: true, Findable: true, EchoProves: true, Blocks: true},
		mark:  (*Account).markCoupons, find: (*Account).findDrawn,
		unclear: "the member's coupons are read and compared with those before: one new one is ours; never repeated unseen",
	},
	{
		event: event.CouponRedeemed, section: "13.7. 核销",
		method: http.MethodPost, path: "/loyalty/v1/membershipCoupon/{couponCode}/redeem",
		body: []change{without("couponCode", "identities"), membershipID}, echo: echoRedeemed,
		facts: vendors.Operation{NeedsMember: true, Findable: true, EchoProves: true, Blocks: true}, find: (*Account).findRedeemed,
		unclear: "the coupon is read: used by this member; never repeated unseen",
	},
	{
		event: event.MemberIdentityRemoved, section: "14. 删除会员身份",
		method: http.MethodDelete, path: "/loyalty/v1/membership/identity/{membershipId}", query: theIdentity,
		personal: everyText, echo: echoRemoved, already: "409225", moves: theIdentities,
		facts: vendors.Operation{Repeat: vendors.RepeatAlways, NeedsMember: true, NeedsMark: true, Findable: true, EchoProves: true, Blocks: true},
		mark:  (*Account).markMember, find: (*Account).findRemoved,
		unclear: "the member of the identity is read: none or another is done; repeated, and 409225 is read too",
	},
}

// changesOfOrders are those of all calls about an order that is there (§11.2 on).
var changesOfOrders = []change{without(apart, "identities"), membershipID, utc("dateOrder"), utc("dateRefund")}
