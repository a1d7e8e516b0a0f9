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
	// DoubtRead is the last doubt for which the stream was read again.
	DoubtRead time.Time
}

// Known is what the database says of a stream.
type Known struct {
	Position
	Now     time.Time // when the server that answers was started: another one may have lost commits
	Doubted time.Time // when the database was last found to have gone back in time; zero: never
}

// Position returns what is stored of a stream; of a position that isn't there it
// has zero values.
func (s *Store) Position(ctx context.Context, stream, consumer string) (k Known, err error) {
	const sql = `
		SELECT coalesce(p.floor, 0), CASE WHEN p.timed_floor = p.floor THEN p.floor_time END,
			coalesce(p.created_at, 'epoch'), coalesce(p.server_started, 'epoch'),
			nullif(p.doubt_read, '-infinity'), pg_postmaster_start_time(),
			(SELECT max(at) FROM outbox.audit WHERE target = 'database' AND action = 'doubt')
		FROM (VALUES (1)) one LEFT JOIN outbox.positions p ON p.stream = $1 AND p.consumer = $2`
	var floor int64
	err = s.pool.QueryRow(ctx, sql, stream, consumer).Scan(&floor, (*instant)(&k.FloorTime), &k.CreatedAt, &k.Server,
		(*instant)(&k.DoubtRead), &k.Now, (*instant)(&k.Doubted))
	if err != nil {
		return Known{}, fmt.Errorf("reading the position in the stream: %w", err)
	}
	k.Floor = uint64(floor)
	return k, nil
}

// ErrServerChanged means that another database server answers than the one that
// was asked before: it was started anew, or it is another one, and may lack commits.
var ErrServerChanged = errors.New("the database server was started anew or is another one")

// SavePosition stores a position. It may go back: then the stream has lost its
// tail, or another worker has looked a moment later. It returns ErrServerChanged
// where the position's server isn't the one that answers.
func (s *Store) SavePosition(ctx context.Context, stream, consumer string, p Position) error {
	const sql = `
		INSERT INTO outbox.positions (stream, consumer, floor, timed_floor, floor_time, created_at, server_started, doubt_read)
		SELECT $1, $2, $3, $3, $4, $5, $6, coalesce($7::timestamptz, '-infinity') WHERE $6 = pg_postmaster_start_time()
		ON CONFLICT (stream, consumer) DO UPDATE SET
			floor = excluded.floor, timed_floor = excluded.timed_floor, floor_time = excluded.floor_time,
			created_at = excluded.created_at, server_started = excluded.server_started,
			doubt_read = greatest(positions.doubt_read, excluded.doubt_read), updated_at = now()`
	tag, err := s.pool.Exec(ctx, sql, stream, consumer, int64(p.Floor), orNull(p.FloorTime), p.CreatedAt, p.Server,
		orNull(p.DoubtRead))
	if err == nil && tag.RowsAffected() == 0 {
		err = ErrServerChanged
	}
	if err != nil {
		return fmt.Errorf("saving the position in the stream: %w", err)
	}
	return nil
}
