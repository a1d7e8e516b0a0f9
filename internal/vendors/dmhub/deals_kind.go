package dmhub

import "syncworker/internal/vendors"

// CustomerDeals is DM Hub's API for customer deals (客户交易).
var CustomerDeals = vendors.Kind{
	Name:       "dmhub-deals",
	BaseURL:    "https://api.convertlab.com",
	NeedsAppID: true,
	Takes:      takesOfDeals(),
	Endpoints:  endpointsOfDeals(),
	New: func(s vendors.Setup) (vendors.Vendor, error) {
		d, err := NewDeals(Config{
			Name: s.Name, BaseURL: s.BaseURL, AppID: s.AppID, Secret: s.Secret, Timeout: s.Timeout, MaxInFlight: s.MaxInFlight,
		}, s.Tokens)
		if err != nil {
			return nil, err // not a *Deals that is nil
		}
		return d, nil
	},
}
