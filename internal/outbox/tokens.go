package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncworker/internal/failpoint"
)

// AccessToken is an account's token as all workers share it.
type AccessToken struct {
	Value      string
	Generation int64
	FetchedAt  time.Time
	ExpiresAt  time.Time
}

// AccessToken returns the stored token of an account; its Generation is 0 where
// there is none yet.
func (s *Store) AccessToken(ctx context.Context, account string) (AccessToken, error) {
	return accessToken(ctx, s.pool, account)
}

func accessToken(ctx context.Context, db interface {
	QueryRow(context.Context, string, ...any) pgx.Row
}, account string,
) (AccessToken, error) {
	const sql = `SELECT token, generation, fetched_at, expires_at FROM outbox.tokens WHERE account = $1`
	var t AccessToken
	err := db.QueryRow(ctx, sql, account).Scan(&t.Value, &t.Generation, &t.FetchedAt, &t.ExpiresAt)
	if err != nil && err != pgx.ErrNoRows {
		return AccessToken{}, fmt.Errorf("reading the token of %s: %w", account, err)
	}
	return t, nil
}

// ReplaceToken stores what fetch returns, but only where the stored generation
// is still used: otherwise another worker has replaced it already, and its token
// is returned. One worker fetches at a time; the others wait for it here. fetch
// has to bound its own time.
func (s *Store) ReplaceToken(ctx context.Context, account string, used int64,
	fetch func(context.Context) (value string, lifetime time.Duration, err error),
) (AccessToken, error) {
	const lock = `SELECT pg_advisory_xact_lock(hashtext('syncworker.token'), hashtext($1))`
	const replace = `
		INSERT INTO outbox.tokens (account, token, generation, fetched_at, expires_at)
		VALUES ($1, $2, $3, now(), now() + $4)
		ON CONFLICT (account) DO UPDATE SET token = excluded.token, generation = excluded.generation,
			fetched_at = excluded.fetched_at, expires_at = excluded.expires_at
		RETURNING token, generation, fetched_at, expires_at`
	var t AccessToken
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, lock, account); err != nil {
			return fmt.Errorf("locking the token: %w", err)
		}
		var err error
		if t, err = accessToken(ctx, tx, account); err != nil || t.Generation != used {
			return err
		}
		value, lifetime, err := fetch(failpoint.About(ctx, ""))
		if err == nil {
			err = failpoint.Hit(failpoint.Token, account)
		}
		if err != nil {
			return err
		}
		return tx.QueryRow(ctx, replace, account, value, used+1, lifetime).
			Scan(&t.Value, &t.Generation, &t.FetchedAt, &t.ExpiresAt)
	})
	if err != nil {
		return AccessToken{}, fmt.Errorf("replacing the token of %s: %w", account, err)
	}
	return t, nil
}
