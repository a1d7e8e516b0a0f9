package outbox

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// Look returns a delivery with its event as a worker has it, without taking it, and
// the vendor's id of its lane's member where a reply has named it. It returns
// ErrNotFound also where the payload is past its retention.
func (s *Store) Look(ctx context.Context, id int64) (w *Work, member string, err error) {
	const sql = `SELECT ` + workColumns + `
		FROM outbox.deliveries d JOIN outbox.events e ON e.id = d.event_id AND e.received_at = d.received_at
		WHERE d.id = $1`
	rows, err := s.pool.Query(ctx, sql, id)
	if err == nil {
		w, err = pgx.CollectExactlyOneRow(rows, func(pgx.CollectableRow) (*Work, error) { return scanWork(rows) })
	}
	if err == pgx.ErrNoRows {
		return nil, "", fmt.Errorf("delivery %d with its event %w", id, ErrNotFound)
	}
	if err == nil {
		const lane = `SELECT member FROM outbox.lanes WHERE lane = $1`
		if err = s.pool.QueryRow(ctx, lane, w.Lane).Scan(&member); err == pgx.ErrNoRows {
			err = nil
		}
	}
	if err != nil {
		return nil, "", fmt.Errorf("looking at delivery %d: %w", id, err)
	}
	return w, member, nil
}
