package outbox

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
)

// SetFinanceTimeZone says whose days the finance views count by: an IANA name
// that Postgres knows too. It writes nothing where that is so already.
func (s *Store) SetFinanceTimeZone(ctx context.Context, zone string) error {
	const sql = `
		INSERT INTO finance.settings AS f (time_zone) VALUES ($1)
		ON CONFLICT (only_row) DO UPDATE SET time_zone = excluded.time_zone
		WHERE f.time_zone <> excluded.time_zone`
	_, err := s.pool.Exec(ctx, sql, zone)
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.ConstraintName == "settings_time_zone" {
		return fmt.Errorf("finance.time_zone: Postgres doesn't know the zone %q: name one that pg_timezone_names lists, such as Asia/Shanghai", zone)
	}
	if err != nil {
		return fmt.Errorf("setting finance.time_zone: %w", err)
	}
	return nil
}
