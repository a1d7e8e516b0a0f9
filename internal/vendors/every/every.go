// Package every lists the vendors that there are.
package every

import (
	"syncworker/internal/event"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/dmhub"
	"syncworker/internal/vendors/heyshop"
	"syncworker/internal/vendors/pospal"
)

// Kinds are the kinds of account, in the order of the documentation. A new vendor is
// a line here and a package of its own.
func Kinds() []vendors.Kind {
	return []vendors.Kind{
		{
			Name: "dmhub-loyalty", BaseURL: "https://api.convertlab.com", NeedsAppID: true, PointsPass: true,
			Takes: []event.Type{
				event.OrderCreated, event.OrderUpdated, event.OrderCancelled, event.OrderDeleted, event.OrderRefunded,
				event.OrderRefundDeleted, event.PointIncremented, event.PointDecremented,
			},
			New: func(s vendors.Setup) (vendors.Vendor, error) {
				c := login(s)
				c.OrderReads, _ = s.OrderReads.(*dmhub.Deals)
				return dmhub.New(c, s.Tokens)
			},
		},
		dmhub.CustomerDeals,
		heyshop.Kind,
		pospal.Kind,
	}
}

func login(s vendors.Setup) dmhub.Config {
	return dmhub.Config{
		Name: s.Name, BaseURL: s.BaseURL, AppID: s.AppID, Secret: s.Secret,
		Timeout: s.Timeout, MaxInFlight: s.MaxInFlight, UUIDTimeout: s.UUIDTimeout,
		Semantics: dmhub.Semantics{
			ExistingOrder: s.Semantics.ExistingOrder, ExistingOrderReply: s.Semantics.ExistingOrderReply,
			DuplicateUUID: s.Semantics.DuplicateUUID, DuplicateUUIDReply: s.Semantics.DuplicateUUIDReply,
			UUIDWindow: s.Semantics.UUIDWindow, PointTrace: s.Semantics.PointTrace,
		},
	}
}
