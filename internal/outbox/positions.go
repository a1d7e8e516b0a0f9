package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Position is how far a stream is known to be committed here.
type Position struct {
	Floor     uint64    // each message up to it was acknowledged before this was stored
	FloorTime time.Time // when the stream stored the message at Floor; zero: it had gone by then
	CreatedAt time.Time // of the stream: made anew, it counts anew
	// Server is when the database server was started that had all that was
	// acknowledged up to Floor.
	Server time.Time
}

// Position returns the stored position, the zero value where there is none, and
// when the server that answers was started. Where that isn't the position's, a
// failover or a restore may have lost what was committed after Floor was stored.
func (s *Store) Position(ctx context.Context, stream, consumer string) (p Position, server time.Time, err error) {
	const sql = `
		SELECT coalesce(p.floor, 0), p.floor_time, coalesce(p.created_at, 'epoch'), coalesce(p.server_started, 'epoch'),
			pg_postmaster_start_time()
		FROM (VALUES (1)) one LEFT JOIN outbox.positions p ON p.stream = $1 AND p.consumer = $2`
	var floor int64
	if err := s.pool.QueryRow(ctx, sql, stream, consumer).Scan(&floor, (*instant)(&p.FloorTime), &p.CreatedAt, &p.Server, &server); err != nil {
		return Position{}, time.Time{}, fmt.Errorf("reading the position in the stream: %w", err)
	}
	p.Floor = uint64(floor)
	return p, server, nil
}

// ErrServerChanged means that another database server answers than the one that
// was asked before: it was started anew, or it is another one, and may lack commits.
var ErrServerChanged = errors.New("the database server was started anew or is another one")

// SavePosition stores a position. It may go back: then the stream has lost its
// tail, or another worker has looked a moment later. It returns ErrServerChanged
// where the position's server isn't the one that answers.
func (s *Store) SavePosition(ctx context.Context, stream, consumer string, p Position) error {
	const sql = `
		INSERT INTO outbox.positions (stream, consumer, floor, floor_time, created_at, server_started)
		SELECT $1, $2, $3, $4, $5, $6 WHERE $6 = pg_postmaster_start_time()
		ON CONFLICT (stream, consumer) DO UPDATE SET
			floor = excluded.floor, floor_time = excluded.floor_time, created_at = excluded.created_at,
			server_started = excluded.server_started, updated_at = now()`
	tag, err := s.pool.Exec(ctx, sql, stream, consumer, int64(p.Floor), orNull(p.FloorTime), p.CreatedAt, p.Server)
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrServerChanged
	}
	if err != nil {
		return fmt.Errorf("saving the position in the stream: %w", err)
	}
	return nil
}
