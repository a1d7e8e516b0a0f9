package dispatch

import (
	"context"
	"sync"
	"time"

	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// Tokens is one account's token as all workers share it, since a new one makes
// the old one invalid. It implements vendors.TokenSource.
type Tokens struct {
	store   *outbox.Store
	account string
	now     func() time.Time

	mu     sync.Mutex // one refresh at a time in this process
	cached outbox.AccessToken
}

// NewTokens returns the token of an account. Accounts that log in as the same
// app share one name here.
func NewTokens(store *outbox.Store, account string, now func() time.Time) *Tokens {
	return &Tokens{store: store, account: account, now: now}
}

// Token implements vendors.TokenSource.
func (t *Tokens) Token(ctx context.Context, fetch vendors.FetchToken) (vendors.Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fresh() {
		return shared(t.cached), nil
	}
	stored, err := t.store.AccessToken(ctx, t.account)
	if err != nil {
		return vendors.Token{}, err
	}
	if t.cached = stored; t.fresh() {
		return shared(t.cached), nil
	}
	return t.replace(ctx, stored.Generation, fetch)
}

// Has implements vendors.TokenSource.
func (t *Tokens) Has() bool {
	if !t.mu.TryLock() { // it is being fetched, perhaps
		return false
	}
	defer t.mu.Unlock()
	return t.fresh()
}

// Refresh implements vendors.TokenSource.
func (t *Tokens) Refresh(ctx context.Context, used int64, fetch vendors.FetchToken) (vendors.Token, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.cached.Generation != used && t.fresh() {
		return shared(t.cached), nil
	}
	return t.replace(ctx, used, fetch)
}

// replace asks the vendor for a new token unless another worker has done so. The
// lock is held.
func (t *Tokens) replace(ctx context.Context, used int64, fetch vendors.FetchToken) (vendors.Token, error) {
	replaced, err := t.store.ReplaceToken(ctx, t.account, used, fetch)
	if err != nil {
		return vendors.Token{}, err
	}
	t.cached = replaced
	return shared(replaced), nil
}

func (t *Tokens) fresh() bool {
	return t.cached.Generation > 0 && t.now().Before(vendors.RefreshAt(t.cached.FetchedAt, t.cached.ExpiresAt))
}

func shared(t outbox.AccessToken) vendors.Token {
	return vendors.Token{Value: t.Value, Generation: t.Generation, ExpiresAt: t.ExpiresAt}
}
