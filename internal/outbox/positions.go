package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Position is how far a stream is known to be committed here.
type Position struct {
	Floor     uint64    // each message up to it was acknowledged before this was stored
	CreatedAt time.Time // of the stream: made anew, it counts anew
}

// Position returns the stored position; the zero value where there is none.
func (s *Store) Position(ctx context.Context, stream, consumer string) (Position, error) {
	const sql = `SELECT floor, created_at FROM outbox.positions WHERE stream = $1 AND consumer = $2`
	var p Position
	var floor int64
	err := s.pool.QueryRow(ctx, sql, stream, consumer).Scan(&floor, &p.CreatedAt)
	if err != nil && err != pgx.ErrNoRows {
		return Position{}, fmt.Errorf("reading the position in the stream: %w", err)
	}
	p.Floor = uint64(floor)
	return p, nil
}

// SavePosition stores a position. Within one stream it never goes back.
func (s *Store) SavePosition(ctx context.Context, stream, consumer string, p Position) error {
	const sql = `
		INSERT INTO outbox.positions (stream, consumer, floor, created_at) VALUES ($1, $2, $3, $4)
		ON CONFLICT (stream, consumer) DO UPDATE SET
			floor = CASE WHEN positions.created_at = excluded.created_at
				THEN greatest(positions.floor, excluded.floor) ELSE excluded.floor END,
			created_at = excluded.created_at, updated_at = now()`
	if _, err := s.pool.Exec(ctx, sql, stream, consumer, int64(p.Floor), p.CreatedAt); err != nil {
		return fmt.Errorf("saving the position in the stream: %w", err)
	}
	return nil
}
