package pospal

import (
	"time"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// Kind is an account at Pospal. Each merchant has a host of its own.
var Kind = vendors.Kind{
	Name:       "pospal",
	DailyQuota: 3000, // the example of openApiLimitAccess/queryAccessTimes; an account in Australia reports 300
	Zone:       china,
	NeedsAppID: true,
	Takes:      []event.Type{event.CouponCodeAdded, event.CouponCodeUsed},
	Endpoints: []vendors.Endpoint{
		{Section: "queryCouponPromotionByUid 根据优惠券规则uid查询", Method: "POST", Path: pathPromotion, Read: readPromotion},
		{Section: "queryCouponPromotions 查询可用优惠券规则", Method: "POST", Path: pathPromotions, Read: readPromotions},
		{
			Section: "addCouponcode 添加优惠券号(核销码)", Method: "POST", Path: writes + addCode + "/", Event: event.CouponCodeAdded,
			Unclear: "sent again with the same code: 3004 says that it is there, which proves it where the code was made of the event, and is read by the customer otherwise",
		},
		{Section: "queryCustomerCouponCodePage 分页查询会员所有优惠券号(核销码)", Method: "POST", Path: pathCustomerCodes, Read: readCustomerCodes},
		{Section: "queryUsedPromotionCode 分页查询核销过的优惠券号(核销码)", Method: "POST", Path: pathUsedCodes, Read: readUsedCodes},
		{Section: "queryPromotionPages 分页查询促销规则", Method: "POST", Path: pathPromotionPages, Read: readPromotionPages},
		{
			Section: "promotioncouponcode/use 使用优惠券号(核销码)", Method: "POST", Path: writes + useCode + "/", Event: event.CouponCodeUsed,
			Unclear: "never sent again before the used codes were read around its time and found without it",
		},
	},
	New: func(s vendors.Setup) (vendors.Vendor, error) {
		return New(Config{
			Name: s.Name, BaseURL: s.BaseURL, AppID: s.AppID, Secret: s.Secret, Timeout: s.Timeout,
			MaxInFlight: s.MaxInFlight, CouponPath: s.Semantics.CouponPath, Now: time.Now,
		})
	},
}
