package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"syncworker/internal/config"
	"syncworker/internal/dispatch"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// reader reads for a person what an account's vendor has. What it calls counts like
// the workers' calls: the token is theirs, and so is the daily quota.
type reader struct {
	account string
	vendor  vendors.Vendor
	reads   vendors.Reader
	store   *outbox.Store
	now     func() time.Time
	app     string // what the daily quota goes by
	daily   int    // calls; 0 is no limit
	pace    *rate.Limiter
}

// openReader wants the account to be open to calls; with force a person reads all
// the same.
func (a *app) openReader(ctx context.Context, c config.Config, store *outbox.Store, account string, force bool) (*reader, error) {
	stops, err := store.Stops(ctx)
	if err != nil {
		return nil, err
	}
	if stop, stopped := stops[account]; stopped && !force {
		return nil, fmt.Errorf("%s isn't read: %s; --force reads all the same", account, stop)
	}
	vendor, err := buildVendor(c, account, func(name string) vendors.TokenSource {
		return dispatch.NewTokens(store, c.TokenAccount(name), a.now)
	})
	if err != nil {
		return nil, err
	}
	reads, err := readerOf(c, account, vendor)
	if err != nil {
		return nil, err
	}
	settings := c.Vendors[account]
	pace := rate.NewLimiter(rate.Inf, 1)
	if settings.RateLimit > 0 {
		pace.SetLimit(rate.Limit(settings.RateLimit))
	}
	return &reader{
		account: account, vendor: vendor, reads: reads, store: store, now: a.now,
		app: c.TokenAccount(account), daily: settings.DailyQuota, pace: pace,
	}, nil
}

func readerOf(c config.Config, account string, vendor vendors.Vendor) (vendors.Reader, error) {
	reads, ok := vendor.(vendors.Reader)
	if !ok {
		return nil, fmt.Errorf("vendors.%s: accounts of kind %s can't be read", account, c.Vendors[account].Kind)
	}
	return reads, nil
}

// nameReads returns what can be read of an account, and asks nobody: neither a secret
// nor a database is needed for it.
func (a *app) nameReads(c config.Config, account string) (vendors.Vendor, vendors.Reader, error) {
	own := c
	own.Vendors = map[string]config.Account{}
	for name, settings := range c.Vendors {
		settings.Secret = "not needed"
		own.Vendors[name] = settings
	}
	vendor, err := buildVendor(own, account, func(name string) vendors.TokenSource {
		return dispatch.NewTokens(nil, name, a.now)
	})
	if err != nil {
		return nil, nil, err
	}
	reads, err := readerOf(c, account, vendor)
	return vendor, reads, err
}

// call makes one call under the account's rate and daily quota. An error is that it
// wasn't made.
func (r *reader) call(ctx context.Context, exchange func() vendors.Result) (vendors.Result, error) {
	if err := r.pace.Wait(ctx); err != nil {
		return vendors.Result{}, fmt.Errorf("waiting for rate_limit: %w", err)
	}
	if r.daily == 0 {
		return exchange(), nil
	}
	day, next := outbox.QuotaDay(r.now())
	granted, err := r.store.ReserveQuota(ctx, r.app, day, 1, r.daily)
	if err != nil {
		return vendors.Result{}, err
	}
	if granted == 0 {
		return vendors.Result{}, fmt.Errorf("%s isn't read: %s", r.account, quotaSpent(r.daily, next))
	}
	result := exchange()
	switch {
	case result.Class == vendors.NotSent:
		err = r.store.ReturnQuota(ctx, r.app, day, 1)
	case result.Calls > 1:
		_, err = r.store.ReserveQuota(ctx, r.app, day, result.Calls-1, r.daily)
	}
	return result, err
}

// quotaSpent says since when and until when nothing is called.
func quotaSpent(limit int, next time.Time) string {
	return fmt.Sprintf("the daily quota of %s is used up; it goes on at %s in China (%s)", counted(limit, "call", "calls"),
		next.Format("2006-01-02 15:04"), next.UTC().Format("2006-01-02 15:04Z"))
}

// errEnough ends a read before its last page.
var errEnough = errors.New("enough")

// pages reads page by page and passes each on, until the last one or an error of
// pass. A page that is named as the next one twice is an error: it would never end.
func (r *reader) pages(ctx context.Context, resource string, keys []string, pass func(vendors.Page, vendors.Result) error) error {
	named := map[string]bool{}
	for next := ""; ; {
		var page vendors.Page
		result, err := r.call(ctx, func() (result vendors.Result) {
			page, result = r.reads.Read(ctx, resource, keys, next)
			return result
		})
		switch {
		case err != nil:
			return err
		case result.Class != vendors.Applied:
			return &readError{r.account, resource, result}
		}
		if err := pass(page, result); err != nil || page.Next == "" {
			return err
		}
		if next = page.Next; named[next] {
			return fmt.Errorf("reading %s of %s: the same page follows twice, so that there is no end", resource, r.account)
		}
		named[next] = true
	}
}

// readError is a read that showed nothing.
type readError struct {
	account, resource string
	result            vendors.Result
}

// absent says that the vendor answered that there is no such thing.
func (e *readError) absent() bool { return e.result.Class == vendors.Refused }

func (e *readError) Error() string {
	r := e.result
	how := []string{string(r.Class)}
	if r.Status != 0 {
		how = append(how, fmt.Sprintf("HTTP %d", r.Status))
	}
	if r.Code != "" {
		how = append(how, "code "+printable(r.Code))
	}
	text := strings.Join(how, ", ")
	if r.Message != "" {
		text += ": " + printable(r.Message)
	}
	if e.absent() {
		return fmt.Sprintf("%s shows no such %s (%s)", e.account, e.resource, text)
	}
	return fmt.Sprintf("reading %s of %s: %s", e.resource, e.account, text)
}
