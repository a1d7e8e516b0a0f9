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
	"syncworker/internal/event"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/every"
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
			Limits: dispatch.Limits{
				MaxInFlight: a.MaxInFlight, Rate: a.RateLimit,
				Daily: a.DailyQuota, App: c.TokenAccount(name),
			},
			OrderReads: c.OrderReads(name),
		})
	}
	return accounts, nil
}

// kinds are those of every.Kinds as the configuration sees them.
func kinds() config.Kinds {
	var list config.Kinds
	for _, k := range every.Kinds() {
		list = append(list, config.Kind{
			Name: k.Name, BaseURL: k.BaseURL, DailyQuota: k.DailyQuota, NeedsAppID: k.NeedsAppID, Takes: k.Takes,
		})
	}
	return list
}

// blocks is outbox.Decision.Blocks: what Operation says as well, without an account's
// secret.
func blocks(c config.Config) func(account string, t event.Type) bool {
	all := every.Kinds()
	return func(account string, t event.Type) bool {
		i := slices.IndexFunc(all, func(k vendors.Kind) bool { return k.Name == c.Vendors[account].Kind })
		return i >= 0 && !(t.Point() && all[i].PointsPass)
	}
}

// buildVendor makes the vendor of one account, and of the one that it reads orders
// from.
func buildVendor(c config.Config, name string, tokens func(account string) vendors.TokenSource) (vendors.Vendor, error) {
	a := c.Vendors[name]
	all := every.Kinds()
	i := slices.IndexFunc(all, func(k vendors.Kind) bool { return k.Name == a.Kind })
	if i < 0 {
		return nil, fmt.Errorf("vendors.%s.kind: there is no kind %q", name, a.Kind)
	}
	setup := vendors.Setup{
		Name: name, BaseURL: a.BaseURL, AppID: a.AppID, Secret: vendors.Secret(a.Secret),
		Timeout: a.Timeout, MaxInFlight: a.MaxInFlight, UUIDTimeout: a.UUIDTimeout, Tokens: tokens(name),
		Semantics: vendors.Semantics{
			ExistingOrder: a.Semantics.ExistingOrder, ExistingOrderReply: a.Semantics.ExistingOrderReply,
			DuplicateUUID: a.Semantics.DuplicateUUID, DuplicateUUIDReply: a.Semantics.DuplicateUUIDReply,
			UUIDWindow: a.Semantics.UUIDWindow, PointTrace: a.Semantics.PointTrace,
			RefundState:    a.Semantics.RefundState,
			NegativePoints: a.Semantics.NegativePoints, CouponPath: a.Semantics.CouponPath,
		},
	}
	if reads := c.OrderReads(name); reads != "" {
		var err error
		if setup.OrderReads, err = buildVendor(c, reads, tokens); err != nil {
			return nil, err
		}
	}
	return all[i].New(setup)
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
