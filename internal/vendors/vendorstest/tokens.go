package vendorstest

import (
	"context"
	"sync"
	"time"

	"syncworker/internal/vendors"
)

// Tokens keeps one account's token in memory: a vendors.TokenSource for one
// process. The zero value has no token yet.
type Tokens struct {
	mu        sync.Mutex
	token     vendors.Token
	refreshAt time.Time
}

// Token implements vendors.TokenSource.
func (s *Tokens) Token(ctx context.Context, fetch vendors.FetchToken) (vendors.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.fresh() {
		return s.token, nil
	}
	return s.replace(ctx, fetch)
}

// Has implements vendors.TokenSource.
func (s *Tokens) Has() bool {
	if !s.mu.TryLock() {
		return false
	}
	defer s.mu.Unlock()
	return s.fresh()
}

func (s *Tokens) fresh() bool { return s.token.Value != "" && time.Now().Before(s.refreshAt) }

// Refresh implements vendors.TokenSource.
func (s *Tokens) Refresh(ctx context.Context, used int64, fetch vendors.FetchToken) (vendors.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.token.Generation != used {
		return s.token, nil
	}
	return s.replace(ctx, fetch)
}

func (s *Tokens) replace(ctx context.Context, fetch vendors.FetchToken) (vendors.Token, error) {
	value, lifetime, err := fetch(ctx)
	if err != nil {
		return vendors.Token{}, err
	}
	now := time.Now()
	s.token = vendors.Token{Value: value, Generation: s.token.Generation + 1, ExpiresAt: now.Add(lifetime)}
	s.refreshAt = vendors.RefreshAt(now, s.token.ExpiresAt)
	return s.token, nil
}
