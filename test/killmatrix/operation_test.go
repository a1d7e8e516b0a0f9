package killmatrix

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/sandbox"
	"syncworker/internal/vendors/every"
)

// The accounts of a cell, by name: each is the tenant of what it gets.
const (
	dmhub = "dmhub" // loyalty
	deals = "deals" // customer deals, of the same DM Hub; shows dmhub its orders
	shop  = "shop"  // HeyShop
	till  = "till"  // Pospal
)

var accounts = []string{dmhub, deals, shop, till}

// What is there from the beginning.
const (
	mobile    = "13800000000" // of the one member or customer
	promotion = 1048577       // of Pospal's codes
	level     = 8             // of HeyShop's levels
)

// clearing is how the documents let an unclear call be cleared up: ARCHITECTURE.md,
// "When the effect isn't known".
type clearing int

const (
	byPerson  clearing = iota // nothing tells whether it took effect
	byKey                     // repeated with its key, whose answer proves nothing: then read
	byOwnKey                  // repeated with a key that is nobody else's: any answer to that proves it
	byRepeat                  // it sets a state that no read shows: set once more
	bySetting                 // a read shows the state; set once more when the first can't arrive any more
	byTrace                   // a read shows what only this call leaves behind
	byState                   // a read shows a state that may be an older one, as long as reads may lag
)

// operation is what one event asks of an account, and what has to be there first.
type operation struct {
	account string
	event.Type
	call   string // as the sandbox names it
	clears clearing
	before []event.Type
	// looks: something is looked at before its intent, which so can't travel with
	// the event.
	looks bool
}

// operations are all writes of all vendors.
func operations() []operation {
	created := []event.Type{event.OrderCreated}
	refunded := []event.Type{event.OrderCreated, event.OrderRefunded}
	bound := []event.Type{event.MemberIdentityBound}
	drawn := []event.Type{event.CouponDrawn}
	added := []event.Type{event.CouponCodeAdded}
	return []operation{
		{dmhub, event.OrderCreated, sandbox.OpDealCreate, byTrace, nil, false},
		{dmhub, event.OrderUpdated, sandbox.OpDealUpdate, byRepeat, created, false},
		{dmhub, event.OrderCancelled, sandbox.OpDealCancel, bySetting, created, false},
		{dmhub, event.OrderDeleted, sandbox.OpDealDelete, byState, created, false},
		{dmhub, event.OrderRefunded, sandbox.OpDealRefund, byPerson, created, false},
		{dmhub, event.OrderRefundDeleted, sandbox.OpDealDeleteRefund, byPerson, refunded, true},
		{dmhub, event.PointIncremented, sandbox.OpPointIncr, byKey, nil, false},
		{dmhub, event.PointDecremented, sandbox.OpPointDecr, byKey, nil, false},

		{dmhub, event.MemberRegistered, sandbox.OpMemberCreate, byTrace, nil, false},
		{dmhub, event.MemberUpdated, sandbox.OpMemberUpdate, byRepeat, nil, false},
		{dmhub, event.MemberIdentityBound, sandbox.OpMemberBind, byState, nil, false},
		{dmhub, event.MemberIdentityRemoved, sandbox.OpMemberUnbind, byState, bound, true},
		{dmhub, event.MemberMobileChanged, sandbox.OpMemberMobile, byState, nil, true},
		{dmhub, event.CouponDrawn, sandbox.OpCouponDraw, byTrace, nil, true},
		{dmhub, event.CouponRedeemed, sandbox.OpCouponRedeem, byTrace, drawn, false},
		{dmhub, event.DeviceRegistered, sandbox.OpDeviceRegister, byRepeat, nil, false},

		{deals, event.OrderCreated, sandbox.OpCustomerDealCreate, bySetting, nil, false},
		{deals, event.OrderUpdated, sandbox.OpCustomerDealUpdate, byRepeat, created, false},
		{deals, event.OrderCancelled, sandbox.OpCustomerDealCancel, bySetting, created, false},
		{deals, event.OrderDeleted, sandbox.OpCustomerDealDelete, byState, created, false},
		{deals, event.OrderRefunded, sandbox.OpCustomerDealRefund, byPerson, created, false},
		{deals, event.OrderRefundDeleted, sandbox.OpCustomerDealDeleteRefund, byPerson, refunded, true},

		{shop, event.PointIncremented, sandbox.OpHeyShopAdjust, byTrace, nil, true},
		{shop, event.PointDecremented, sandbox.OpHeyShopAdjust, byTrace, nil, true},
		{shop, event.LevelCreated, sandbox.OpHeyShopLevelCreate, byTrace, nil, true},
		{shop, event.LevelUpdated, sandbox.OpHeyShopLevelUpdate, byState, nil, false},
		{shop, event.LevelDeleted, sandbox.OpHeyShopLevelDelete, byState, nil, false},

		{till, event.CouponCodeAdded, sandbox.OpPospalCodeAdd, byOwnKey, nil, false},
		{till, event.CouponCodeUsed, sandbox.OpPospalCodeUse, byTrace, added, false},
	}
}

func TestOperationsAreAllThatVendorsTake(t *testing.T) {
	kinds := map[string]string{"dmhub-loyalty": dmhub, "dmhub-deals": deals, "heyshop": shop, "pospal": till}
	want := 0
	for _, kind := range every.Kinds() {
		for _, taken := range kind.Takes {
			require.NotEmpty(t, operationOf(kinds[kind.Name], taken).call, "%s of %s has no row here", taken, kind.Name)
			want++
		}
	}
	require.Len(t, operations(), want)
}

// operationOf is the operation of an event at an account.
func operationOf(account string, t event.Type) operation {
	want := operation{account: account, Type: t}
	for _, op := range operations() {
		if op.is(want) {
			return op
		}
	}
	return operation{}
}

func (op operation) is(other operation) bool {
	return op.account == other.account && op.Type == other.Type
}

// goesAtOnce reports whether the intent of an operation is committed with its event:
// its lane is idle, nothing has to be found out, and a token or a share of the day's
// quota is there, since something was sent before. HeyShop needs neither.
func (op operation) goesAtOnce() bool {
	return !op.looks && (len(op.before) > 0 || op.account == shop)
}

// dataOf is the data of an event of the one order, member, coupon or level of a
// cell, as the account takes it.
func (c *cell) dataOf(t event.Type, at time.Time) map[string]any {
	data := map[string]any{"uuid": fmt.Sprint("u-", t), "membershipId": c.member}
	switch {
	case t.Point():
		data["point"], data["pattern"] = 5, 1
	case t.Order():
		c.order(t, at, data)
	default:
		c.other(t, data)
	}
	return data
}

// order adds what an order's event has.
func (c *cell) order(t event.Type, at time.Time, data map[string]any) {
	data["orderNo"] = "o-1"
	if c.account == deals { // which know no membershipId
		delete(data, "membershipId")
		data["identities"] = []any{map[string]any{"type": "mobile", "value": mobile}}
	}
	switch t {
	case event.OrderCreated:
		data["dateOrder"], data["amountPaid"] = at.Format(time.RFC3339), 30.5
		data["store"], data["salesChannel"] = "s", "pos"
		data["dealLines"] = []any{map[string]any{"lineId": "l1", "productName": "Tea", "qty": 1}}
	case event.OrderUpdated:
		data["amountPaid"] = 29.5
	case event.OrderRefunded, event.OrderRefundDeleted:
		data["uuid"] = "r-1"
		if t == event.OrderRefunded {
			data["refundTotal"], data["dateRefund"] = 1.1, at.Format(time.RFC3339)
			data["refundLines"] = []any{map[string]any{"lineId": "l1"}}
		}
	}
}

// other adds what the events of members, coupons, devices and levels have.
func (c *cell) other(t event.Type, data map[string]any) {
	code := event.DerivedCode(till, fmt.Sprint("u-", event.CouponCodeAdded))
	switch t {
	case event.MemberRegistered:
		delete(data, "membershipId")
		data["membership"] = map[string]any{"name": "Lin"}
		data["identities"] = []any{map[string]any{"type": "mobile", "value": "13900000001"}}
	case event.MemberUpdated:
		data["membership"] = map[string]any{"name": "Lin"}
	case event.MemberIdentityBound:
		data["identities"] = []any{map[string]any{"type": "wechat", "value": "w-1"}}
	case event.MemberIdentityRemoved:
		data["type"], data["value"] = "wechat", "w-1"
	case event.MemberMobileChanged:
		data["oldMobile"], data["newMobile"] = mobile, "13900000001"
	case event.CouponDrawn:
		data["couponId"] = "11111"
	case event.CouponRedeemed:
		data["couponCode"] = c.sandbox.HeldCoupons()[0].Code
	case event.DeviceRegistered:
		data["provider"], data["appKey"], data["pushId"], data["os"] = "jpush", "a", "d-1", "ios"
	case event.LevelCreated, event.LevelUpdated, event.LevelDeleted:
		delete(data, "membershipId")
		if t != event.LevelCreated {
			data["id"] = level
		}
		if t != event.LevelDeleted {
			data["title"], data["condition_points"] = "Gold", 10
		}
	case event.CouponCodeAdded:
		data["promotionCouponUid"], data["customerUid"] = promotion, c.member
	case event.CouponCodeUsed:
		data["code"], data["customerUid"] = code, c.member
	}
}
