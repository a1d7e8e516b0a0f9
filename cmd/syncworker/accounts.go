package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"syncworker/internal/config"
	"syncworker/internal/dispatch"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/dmhub"
)

// buildAccounts makes the vendors of all configured accounts. Accounts that log
// in as the same app share one token.
func buildAccounts(c config.Config, store *outbox.Store, now func() time.Time) ([]dispatch.Account, error) {
	tokens := map[string]*dispatch.Tokens{}
	for name := range c.Vendors {
		shared := c.TokenAccount(name)
		if tokens[shared] == nil {
			tokens[shared] = dispatch.NewTokens(store, shared, now)
		}
	}
	var accounts []dispatch.Account
	for _, name := range slices.Sorted(maps.Keys(c.Vendors)) {
		a := c.Vendors[name]
		vendor, err := buildVendor(c, name, func(account string) vendors.TokenSource { return tokens[c.TokenAccount(account)] })
		if err != nil {
			return nil, err
		}
		accounts = append(accounts, dispatch.Account{
			Name: name, Vendor: vendor,
			Policy: dispatch.Policy{
				Timeout: a.Timeout, QuietPeriod: a.QuietPeriod, EarlyGrace: a.EarlyGrace,
				PredecessorWait: a.PredecessorWait, SendUnseen: a.UnseenOrders == config.Send,
				Retry: dispatch.Retry{
					Initial: a.Retry.Initial, Max: a.Retry.Max,
					MaxAttempts: a.Retry.MaxAttempts, MaxAge: a.Retry.MaxAge,
				},
			},
			Limits:     dispatch.Limits{MaxInFlight: a.MaxInFlight, Rate: a.RateLimit},
			OrderReads: a.Semantics.OrderReads,
		})
	}
	return accounts, nil
}

// buildVendor is the one place that knows every kind of account.
func buildVendor(c config.Config, name string, tokens func(account string) vendors.TokenSource) (vendors.Vendor, error) {
	switch kind := c.Vendors[name].Kind; kind {
	case config.DMHubLoyalty:
		login := dmhubLogin(c, name)
		if reads := c.Vendors[name].Semantics.OrderReads; reads != "" {
			deals, err := dmhub.NewDeals(dmhubLogin(c, reads), tokens(reads))
			if err != nil {
				return nil, err
			}
			login.OrderReads = deals
		}
		return dmhub.New(login, tokens(name))
	case config.DMHubDeals:
		return dmhub.NewDeals(dmhubLogin(c, name), tokens(name))
	default:
		return nil, fmt.Errorf("vendors.%s.kind: %q isn't available", name, kind)
	}
}

func dmhubLogin(c config.Config, name string) dmhub.Config {
	a := c.Vendors[name]
	return dmhub.Config{
		Name: name, BaseURL: a.BaseURL, AppID: a.AppID, Secret: vendors.Secret(a.Secret),
		Timeout: a.Timeout, MaxInFlight: a.MaxInFlight, UUIDTimeout: a.UUIDTimeout,
		Semantics: dmhub.Semantics{
			ExistingOrder: a.Semantics.ExistingOrder, ExistingOrderReply: a.Semantics.ExistingOrderReply,
			DuplicateUUID: a.Semantics.DuplicateUUID, DuplicateUUIDReply: a.Semantics.DuplicateUUIDReply,
			UUIDWindow: a.Semantics.UUIDWindow, PointTrace: a.Semantics.PointTrace,
		},
	}
}

var errNoDatabase = errors.New("database.url: not set; give it in the file or as SYNCWORKER_DATABASE_URL")

// openStore connects to the configured database, with outbox.Open or OpenForWorker.
func openStore(
	ctx context.Context, c config.Config, open func(context.Context, string, int, time.Duration) (*outbox.Store, error),
) (*outbox.Store, error) {
	if c.Database.URL == "" {
		return nil, errNoDatabase
	}
	return open(ctx, string(c.Database.URL), c.Database.MaxConnections, c.Dispatch.Lease)
}
