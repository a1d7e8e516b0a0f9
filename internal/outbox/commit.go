package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"syncworker/internal/failpoint"
)

// Commit is one transaction of a worker.
type Commit struct {
	// Number counts the commits of a token from 1. A commit whose answer was
	// lost is recognized by it when it is tried again.
	Number  int64
	Settles []*Settle
	Intents []*Intent
	Lanes   []*LaneUpdate
}

// Commit writes all of it or nothing. It returns ErrLeaseLost where some row
// isn't the worker's any more, ErrWentBack where the database lacks what this
// token has written before, ErrServerChanged where it may lack some, and
// ErrUnwritable where a value can't be written however often it is tried. IDs in
// gone are of deliveries that a person has cancelled meanwhile: they were left
// alone, as are intents that it marks as stale, and the rest was written.
//
// It takes one trip: what must be true of all rows is asked by the statements, and
// what is wrong is looked for only where one of them fails.
func (s *Store) Commit(ctx context.Context, token Token, c Commit) (gone []int64, err error) {
	if err := failpoint.Each(failpoint.Settling, c.Settles, typeOfSettle); err != nil {
		return nil, err
	}
	left := c
	for {
		intended, err := s.write(ctx, token, &left)
		now := err == nil
		if !now && !notAll(err) {
			return nil, err
		}
		written, cancelled := now, []int64(nil)
		if !now || intended < len(left.Intents) {
			err = s.inTx(ctx, func(tx pgx.Tx) error {
				var err error
				if now {
					cancelled, err = markStale(ctx, tx, token, left.Intents)
				} else {
					written, cancelled, err = whatIsWrong(ctx, tx, token, left)
				}
				return err
			})
			if err != nil {
				return nil, err
			}
		}
		gone = append(gone, cancelled...)
		if written {
			return gone, failpoint.Each(failpoint.Recorded, c.Settles, typeOfSettle)
		}
		left = left.without(gone)
	}
}

func typeOfSettle(s *Settle) string { return string(s.Type) }

// without is the commit without what it says about some deliveries.
func (c Commit) without(ids []int64) Commit {
	c.Settles = slices.DeleteFunc(slices.Clone(c.Settles), func(x *Settle) bool { return slices.Contains(ids, x.ID) })
	c.Intents = slices.DeleteFunc(slices.Clone(c.Intents), func(x *Intent) bool { return slices.Contains(ids, x.ID) })
	return c
}

// allOrFail fails where a statement hasn't met every row that its second parameter
// names. It has an error of its own, that no value causes: nothing else divides.
const (
	allOrFail = `1 / (count(*) = cardinality($2))::int`
	failed    = "22012"
)

// notAll reports whether a commit was rolled back since a row wasn't as the worker
// left it.
func notAll(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && pg.Code == failed
}

// write sends a whole transaction in one trip, and returns how many of its intents it
// wrote. Who loses a deadlock goes again.
func (s *Store) write(ctx context.Context, token Token, c *Commit) (intended int, err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return 0, fmt.Errorf("writing what became of deliveries: %w", err)
	}
	defer conn.Release()
	for try := 0; ; try++ {
		intended, err = writeOn(ctx, conn, token, c)
		switch {
		case err == nil:
			return intended, nil
		case retryable(err) && try < 10:
		case unwritable(ctx, conn.Conn(), err):
			return 0, fmt.Errorf("%w: %w", ErrUnwritable, err)
		default:
			return 0, fmt.Errorf("writing what became of deliveries: %w", err)
		}
	}
}

// writeOn makes one try. Begin and commit go along: without them a batch that the
// driver gives up in its middle might be committed as far as it got.
func writeOn(ctx context.Context, conn *pgxpool.Conn, token Token, c *Commit) (intended int, err error) {
	var batch pgx.Batch
	batch.Queue("begin")
	batch.Queue(countSQL, token, c.Number, c.Number%commitSlots, (c.Number-1)%commitSlots)
	queueSettles(&batch, token, c.Settles)
	queueIntents(&batch, token, c.Intents, &intended)
	queueAttempts(&batch, attemptsOf(token, c.Settles))
	queueLanes(&batch, token, c.Lanes)
	batch.Queue("commit")
	if err = conn.SendBatch(ctx, &batch).Close(); err != nil && !conn.Conn().IsClosed() {
		_, rollback := conn.Exec(ctx, "rollback")
		if rollback != nil {
			_ = conn.Conn().Close(ctx) // it is good for nothing
		}
	}
	return intended, err
}

// unwritable reports whether an error is about the values: the server refuses
// them, or they never got there although the connection is as good as before.
func unwritable(ctx context.Context, conn *pgx.Conn, err error) bool {
	switch {
	case notAll(err):
		return false
	case refused(err), unsendable(err):
		return true
	}
	var pg *pgconn.PgError
	return !errors.As(err, &pg) && ctx.Err() == nil && !conn.IsClosed()
}

// unsendable reports whether a value of a batch isn't one of its parameter's type.
// The driver gives up the connection then.
func unsendable(err error) bool {
	var batch pgx.ErrPreprocessingBatch
	return errors.As(err, &batch) && strings.HasPrefix(batch.Error(), "error preprocessing batch (build)")
}

// refused reports whether the server refuses a value.
func refused(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (strings.HasPrefix(pg.Code, "22") || strings.HasPrefix(pg.Code, "23"))
}

// commitSlots is how many rows a worker counts its commits in.
const commitSlots = 1024

// countSQL counts the commit after the one before it. It takes the worker's row, so
// that a recovery of this worker is either done, and nothing is counted, or comes after.
const countSQL = `
	WITH alive AS MATERIALIZED (
		SELECT token FROM outbox.workers
		WHERE token = $1 AND ended_at IS NULL AND server_started = pg_postmaster_start_time() FOR KEY SHARE),
	counted AS (
		INSERT INTO outbox.commits AS c (token, slot, number)
		SELECT token, $3::smallint, $2::bigint FROM alive
		WHERE $2 = 1 OR EXISTS (SELECT FROM outbox.commits WHERE token = $1 AND slot = $4::smallint AND number = $2 - 1)
		ON CONFLICT (token, slot) DO UPDATE SET number = excluded.number WHERE c.number < excluded.number
		RETURNING 1)
	SELECT 1 / count(*)::int FROM counted`

// commitsOf is the number of a worker's commits: the older workers', and what one that
// has ended had, are in its own row.
const commitsOf = `greatest(w.commits, (SELECT max(number) FROM outbox.commits c WHERE c.token = w.token))`

// whatIsWrong looks why a commit wasn't written: it was before, and its answer was lost,
// or a person has cancelled deliveries that it is about. Whatever else isn't as the worker
// left it is ErrLeaseLost.
func whatIsWrong(ctx context.Context, tx pgx.Tx, token Token, c Commit) (written bool, cancelled []int64, err error) {
	if written, err = wasWritten(ctx, tx, token, c.Number); err != nil {
		return false, nil, err
	}
	if written {
		cancelled, err = readBack(ctx, tx, token, c)
		return true, cancelled, err
	}
	const others = `
		SELECT id FROM unnest($2::bigint[], $3::int[]) u(id, was_calls)
		WHERE NOT EXISTS (SELECT FROM outbox.deliveries d WHERE d.id = u.id AND d.owner = $1 AND d.calls = u.was_calls
			AND d.state NOT IN ('delivered', 'dead', 'cancelled'))`
	ids, wasCalls := make([]int64, len(c.Settles)), make([]int, len(c.Settles))
	for i, x := range c.Settles {
		ids[i], wasCalls[i] = x.ID, x.WasCalls
	}
	if cancelled, err = cancelledOf(ctx, tx, others, token, ids, wasCalls); err == nil && len(cancelled) == 0 {
		err = ErrLeaseLost // it is one of the lanes
	}
	return false, cancelled, err
}

// wasWritten reports whether a commit is the last that was written, and not the next.
func wasWritten(ctx context.Context, tx pgx.Tx, token Token, number int64) (bool, error) {
	const look = `SELECT ` + commitsOf + `, ended_at IS NOT NULL, server_started = pg_postmaster_start_time()
		FROM outbox.workers w WHERE token = $1`
	var commits int64
	var ended, same bool
	err := tx.QueryRow(ctx, look, token).Scan(&commits, &ended, &same)
	switch {
	case err == pgx.ErrNoRows:
		return false, ErrWentBack
	case err != nil:
		return false, fmt.Errorf("looking at what was written: %w", err)
	case ended:
		return false, ErrLeaseLost
	case commits < number-1:
		return false, ErrWentBack
	case !same:
		return false, ErrServerChanged
	case commits > number:
		return false, ErrLeaseLost
	}
	return commits == number, nil
}

// readBack answers for a commit that was written as it was answered, or would have been.
func readBack(ctx context.Context, tx pgx.Tx, token Token, c Commit) (gone []int64, err error) {
	settled := make([]int64, len(c.Settles))
	for i, x := range c.Settles {
		settled[i] = x.ID
	}
	rows, err := tx.Query(ctx, `SELECT id FROM outbox.deliveries WHERE id = ANY($1) AND owner = 0`, settled)
	if err == nil {
		err = appendIDs(rows, &gone)
	}
	if err != nil {
		return nil, fmt.Errorf("reading back what was written: %w", err)
	}
	notIntended, err := markStale(ctx, tx, token, c.Intents)
	if err != nil {
		return nil, err
	}
	const lane = `SELECT news FROM outbox.lanes WHERE lane = $1 AND owner = $2 AND epoch = $3`
	for _, u := range c.Lanes {
		err := tx.QueryRow(ctx, lane, u.Lane, token, u.Epoch).Scan(&u.News)
		if u.Released = err == pgx.ErrNoRows; err != nil && !u.Released {
			return nil, fmt.Errorf("reading back what was written: %w", err)
		}
	}
	return append(gone, notIntended...), nil
}

// cancelledOf returns the deliveries that a query finds to be otherwise than the worker
// left them. All of them have to be a person's: that is no harm, and else it is
// ErrLeaseLost.
func cancelledOf(ctx context.Context, tx pgx.Tx, sql string, args ...any) (cancelled []int64, err error) {
	var others []int64
	rows, err := tx.Query(ctx, sql, args...)
	if err == nil {
		err = appendIDs(rows, &others)
	}
	if err == nil && len(others) > 0 {
		rows, err = tx.Query(ctx, `SELECT id FROM outbox.deliveries WHERE id = ANY($1) AND owner = 0`, others)
		if err == nil {
			err = appendIDs(rows, &cancelled)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("looking at deliveries that changed: %w", err)
	}
	if len(cancelled) < len(others) {
		return nil, ErrLeaseLost
	}
	return cancelled, nil
}
