package outbox

import (
	"context"
	"fmt"
)

// Prepare makes the database ready for a worker: the schema has to be up to
// date; partitions are made, and the views learn which day a moment belongs to.
func (s *Store) Prepare(ctx context.Context, timeZone string) error {
	var ready bool
	if err := s.pool.QueryRow(ctx, `SELECT to_regclass('outbox.deliveries') IS NOT NULL`).Scan(&ready); err != nil {
		return fmt.Errorf("looking at the schema: %w", err)
	}
	if !ready {
		return fmt.Errorf("the database has no schema outbox; run 'syncworker migrate up' first")
	}
	if err := s.EnsurePartitions(ctx); err != nil {
		return err
	}
	return s.SetFinanceTimeZone(ctx, timeZone)
}
