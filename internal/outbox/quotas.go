package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// china has had no other time since 1991. No document says when a vendor's day
// begins; theirs are shops in China.
var china = time.FixedZone("CST", 8*60*60)

// QuotaDay is the vendor's day in which a moment lies, and when the next one begins.
func QuotaDay(at time.Time) (day string, next time.Time) {
	y, m, d := at.In(china).Date()
	return at.In(china).Format(time.DateOnly), time.Date(y, m, d+1, 0, 0, 0, 0, china)
}

// ReserveQuota takes up to want calls of what is left of an app's quota of that day,
// and returns how many those are.
func (s *Store) ReserveQuota(ctx context.Context, app, day string, want, limit int) (granted int, err error) {
	const begin = `INSERT INTO outbox.quotas (app, day, used) VALUES ($1, $2::text::date, 0) ON CONFLICT DO NOTHING`
	const take = `
		UPDATE outbox.quotas q SET used = q.used + least($3, greatest($4 - q.used, 0))
		FROM (SELECT used FROM outbox.quotas WHERE app = $1 AND day = $2::text::date FOR UPDATE) old
		WHERE q.app = $1 AND q.day = $2::text::date
		RETURNING q.used - old.used`
	err = pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, begin, app, day); err != nil {
			return err
		}
		return tx.QueryRow(ctx, take, app, day, want, limit).Scan(&granted)
	})
	if err != nil {
		return 0, fmt.Errorf("reserving calls of the daily quota of %s: %w", app, err)
	}
	return granted, nil
}

// ReturnQuota gives back what was reserved and isn't used.
func (s *Store) ReturnQuota(ctx context.Context, app, day string, unused int) error {
	const sql = `UPDATE outbox.quotas SET used = greatest(used - $3, 0) WHERE app = $1 AND day = $2::text::date`
	if _, err := s.pool.Exec(ctx, sql, app, day, unused); err != nil {
		return fmt.Errorf("giving back calls of the daily quota of %s: %w", app, err)
	}
	return nil
}

// QuotasUsed returns how many calls were reserved on that day, by app.
func (s *Store) QuotasUsed(ctx context.Context, day string) (map[string]int, error) {
	rows, err := s.pool.Query(ctx, `SELECT app, used FROM outbox.quotas WHERE day = $1::text::date`, day)
	if err != nil {
		return nil, fmt.Errorf("reading the daily quotas: %w", err)
	}
	used := map[string]int{}
	var app string
	var n int
	if _, err := pgx.ForEachRow(rows, []any{&app, &n}, func() error { used[app] = n; return nil }); err != nil {
		return nil, fmt.Errorf("reading the daily quotas: %w", err)
	}
	return used, nil
}
