package dmhub

import "net/http"

// read is one read of the loyalty API for people.
type read struct {
	name, about string
	section     string
	method      string   // GET where empty
	path        string   // with {membershipId}, {couponId} or {couponCode} of the keys
	keys        []string // in order; "[x]" may be left out, "[x…]" may be repeated
	list        bool     // the reply has rows
	paged       bool
	columns     []string
}

var memberColumns = []string{"id", "name", "mobile", "point", "level.name", "dateJoin", "lastUpdated"}

var foundColumns = []string{"membership.id", "membership.name", "membership.mobile", "membership.point", "identities"}

var couponColumns = []string{"couponId", "couponName", "couponType", "total", "drawLimit", "validDate", "channels"}

var heldColumns = []string{"couponCode", "couponId", "couponName", "status", "dateDraw", "dateRedeem", "startDate", "endDate"}

// reads are the resources of the loyalty API, in the order of its document.
var reads = []read{
	{
		name: "members", about: "all members (全部会员)", section: "1. 查看全部会员",
		path: "/loyalty/v1/membership", paged: true, list: true, columns: memberColumns,
	},
	{
		name: "member", about: "one member (会员)", section: "3. 查看一个会员",
		path: "/loyalty/v1/membership/{membershipId}", keys: []string{"membershipId"}, columns: memberColumns,
	},
	{
		name: "member-by-identity", about: "the member of an identity (会员身份)", section: "7. 根据会员身份查找会员",
		path: "/loyalty/v1/membershipService/getMembershipByIdentity", keys: []string{"type", "value"}, columns: foundColumns,
	},
	{
		name: "members-by-identities", about: "the members of several identities", section: "8. 根据会员身份列表查找会员",
		method: http.MethodPost, path: "/loyalty/v1/membershipService/listMembershipByIdentities",
		keys: []string{"type", "value", "[type value…]"}, list: true, columns: foundColumns,
	},
	{
		name: "level-rules", about: "the rules of the member levels (会员等级设置)", section: "10. 查看会员等级设置",
		path: "/loyalty/v1/settings/level/rules", list: true,
		columns: []string{"id", "name", "priority", "operator", "isForever", "status", "rules"},
	},
	{
		name: "coupons", about: "all coupons (优惠券)", section: "13.1.获取所有coupon",
		path: "/loyalty/v1/coupon", paged: true, list: true, columns: couponColumns,
	},
	{
		name: "coupon", about: "one coupon (优惠券)", section: "13.2.根据couponId获取coupon",
		path: "/loyalty/v1/coupon/{couponId}", keys: []string{"couponId"}, columns: couponColumns,
	},
	{
		name: "coupons-by-channel", about: "the coupon of a channel's code (优惠券渠道码); the channel is online or offline",
		section: "13.3.根据couponChannel获取coupon",
		path:    "/loyalty/v1/couponService/getCouponByChannel", keys: []string{"channel", "couponId"}, list: true, columns: couponColumns,
	},
	{
		name: "member-coupon", about: "one coupon of a member's (优惠券认领)", section: "13.5.根据couponCode获取membershipCoupon",
		path: "/loyalty/v1/membershipCoupon/{couponCode}", keys: []string{"couponCode"}, columns: append([]string{"membershipId"}, heldColumns...),
	},
	{
		name: "member-coupons", about: "a member's coupons (优惠券认领); the status is normal or used", section: "13.6.根据membershipId获取membershipCoupon列表",
		path: "/loyalty/v1/membership/{membershipId}/coupon", keys: []string{"membershipId", "[status]"}, paged: true, list: true, columns: heldColumns,
	},
	{
		name: "point-details", about: "a member's changes of points in the last 30 days (积分明细)", section: "15.查看会员积分明细",
		path: "/loyalty/v1/membership/{membershipId}/point", keys: []string{"membershipId"}, paged: true, list: true,
		columns: []string{"id", "date", "type", "point", "oldPoint", "newPoint", "pattern", "remark", "externalId"},
	},
	{
		name: "experience", about: "a member's changes of experience in the last 30 days (经验明细)", section: "16.查看会员经验明细",
		path: "/loyalty/v1/membership/{membershipId}/exp/changeLogs", keys: []string{"membershipId"}, paged: true, list: true,
		columns: []string{"id", "dateObtain", "expType", "expValue", "oldExp", "newExp", "remark", "externalId"},
	},
	{
		name: "identity-by-md5", about: "the identity with an md5; the type is common or tmall", section: "17.根据md5查询会员身份的API",
		path: "/loyalty/v1/membershipService/getMembershipIdentityByMd5", keys: []string{"md5type", "md5value"},
		columns: []string{"membershipId", "type", "value", "md5type", "md5value", "dateCreated"},
	},
}
