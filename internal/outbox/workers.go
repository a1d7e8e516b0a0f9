package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Register makes this process a worker: it gets a token, and a lease that lasts
// until Renew is late. low is the delivery id to begin Renew with. The token is good
// for nothing before Vouch.
func (s *Store) Register(ctx context.Context, name string, lease time.Duration) (token Token, low int64, err error) {
	const sql = `
		INSERT INTO outbox.workers (name, lease_until, low_delivery, server_started)
		VALUES ($1, now() + $2, (SELECT coalesce(max(id), 0) + 1 FROM outbox.deliveries), 'epoch')
		RETURNING token, low_delivery`
	if err := s.pool.QueryRow(ctx, sql, name, lease).Scan(&token, &low); err != nil {
		return 0, 0, fmt.Errorf("registering the worker: %w", err)
	}
	return token, low, nil
}

// Peers says how many workers are alive, and which of them this one is.
type Peers struct {
	Count int
	Rank  int // 0 is the eldest
}

// Renewed is what a worker learns when it renews its lease.
type Renewed struct {
	Peers
	Low       int64 // where recovery would begin to look
	Decisions int64 // the last entry of outbox.audit
	Dead      bool  // another worker's lease has run out: Recover has something to do
	// Vouched: the server that answers is the one that is known to have all that
	// this token has committed.
	Vouched bool
}

// Renew extends the worker's lease and tells how many workers share the limits, and
// whether one has died.
// low is a delivery id below which this worker holds nothing live; it replaces
// known, the one that the last Renew returned, unless a claim has lowered it
// meanwhile. It returns ErrLeaseLost where another worker has recovered what this
// one held; a lease that ran out unnoticed is simply renewed.
func (s *Store) Renew(ctx context.Context, token Token, lease time.Duration, known, low int64) (Renewed, error) {
	const sql = `
		WITH renewed AS (
			UPDATE outbox.workers SET lease_until = now() + $2,
				low_delivery = CASE WHEN low_delivery = $3 THEN $4 ELSE low_delivery END
			WHERE token = $1 AND ended_at IS NULL
			RETURNING low_delivery, server_started = pg_postmaster_start_time() AS vouched)
		SELECT coalesce((SELECT low_delivery FROM renewed), -1), coalesce((SELECT vouched FROM renewed), false),
		       (SELECT coalesce(max(id), 0) FROM outbox.audit),
		       count(*) FILTER (WHERE w.token <> $1 AND w.lease_until > now()),
		       count(*) FILTER (WHERE w.token < $1 AND w.lease_until > now()),
		       coalesce(bool_or(w.token <> $1 AND w.lease_until < now()), false)
		FROM outbox.workers w WHERE w.ended_at IS NULL`
	var r Renewed
	var others int
	err := s.pool.QueryRow(ctx, sql, token, lease, known, low).
		Scan(&r.Low, &r.Vouched, &r.Decisions, &others, &r.Rank, &r.Dead)
	if err != nil {
		return Renewed{}, fmt.Errorf("renewing the worker's lease: %w", err)
	}
	if r.Low < 0 {
		return Renewed{}, ErrLeaseLost
	}
	r.Count = others + 1
	return r, nil
}

// standing is what a transaction has to know of the worker's token.
type standing struct {
	alive     bool
	decisions int64 // the last entry of outbox.audit
	// doubted: since the database has gone back in time, the stream hasn't been
	// read again.
	doubted bool
}

const holdsSQL = `
	SELECT ended_at IS NULL, server_started = pg_postmaster_start_time(),
		(SELECT coalesce(max(id), 0) FROM outbox.audit),
		coalesce((SELECT max(at) FROM outbox.audit WHERE target = 'database' AND action = 'doubt')
			> (SELECT coalesce(min(doubt_read), '-infinity') FROM outbox.positions), false)
	FROM outbox.workers WHERE token = $1 FOR KEY SHARE`

// holds looks at a token. Until the transaction is over, a recovery of this worker
// waits; its own commits don't. It returns ErrServerChanged where nobody has vouched
// for the server yet, and ErrWentBack where it doesn't know the token.
func holds(ctx context.Context, tx pgx.Tx, token Token) (s standing, err error) {
	return s, s.read(tx.QueryRow(ctx, holdsSQL, token))
}

// queueHolds is holds as part of a batch.
func queueHolds(b *pgx.Batch, token Token, s *standing) { b.Queue(holdsSQL, token).QueryRow(s.read) }

func (s *standing) read(row pgx.Row) error {
	var same bool
	err := row.Scan(&s.alive, &same, &s.decisions, &s.doubted)
	switch {
	case err == pgx.ErrNoRows:
		return ErrWentBack
	case err != nil:
		return fmt.Errorf("looking at the worker's token: %w", err)
	case !same:
		return ErrServerChanged
	}
	return nil
}

// End gives up the token: whatever the worker still holds is recovered at once.
func (s *Store) End(ctx context.Context, token Token) error {
	return s.inTx(ctx, func(tx pgx.Tx) error {
		var low int64
		err := tx.QueryRow(ctx, `SELECT low_delivery FROM outbox.workers
			WHERE token = $1 AND ended_at IS NULL FOR UPDATE`, token).Scan(&low)
		if err == pgx.ErrNoRows {
			return nil
		}
		if err != nil {
			return fmt.Errorf("ending the worker: %w", err)
		}
		_, err = recoverWorker(ctx, tx, token, low)
		return err
	})
}

// Recover takes over what one worker whose lease ran out has left: what it held
// goes back to rest, and calls that may have been under way become unknown. It
// returns how many deliveries that were, and false where no worker is dead.
func (s *Store) Recover(ctx context.Context) (released int, found bool, err error) {
	const sql = `
		SELECT token, low_delivery FROM outbox.workers
		WHERE ended_at IS NULL AND lease_until < now()
		ORDER BY token LIMIT 1 FOR UPDATE SKIP LOCKED`
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		var token Token
		var low int64
		err := tx.QueryRow(ctx, sql).Scan(&token, &low)
		if err == pgx.ErrNoRows {
			return nil
		}
		if err != nil {
			return fmt.Errorf("looking for dead workers: %w", err)
		}
		found = true
		released, err = recoverWorker(ctx, tx, token, low)
		return err
	})
	return released, found, err
}

// recoverWorker runs with the worker's row locked. The quiet period of an
// unknown begins when the dead worker's last byte may have arrived: it checks
// its lease before each send, so that is the end of its lease plus a call.
// Package dispatch adds the account's quiet period when it reads.
func recoverWorker(ctx context.Context, tx pgx.Tx, token Token, low int64) (int, error) {
	const deliveries = `
		UPDATE outbox.deliveries SET
			owner = NULL,
			state = CASE WHEN state = 'inflight' THEN 'unknown' ELSE state END,
			reason = CASE WHEN state = 'inflight' THEN $3 ELSE reason END,
			ambiguous = ambiguous OR state = 'inflight',
			ever_ambiguous = ever_ambiguous OR state = 'inflight',
			key_used = key_used OR state = 'inflight',
			next_attempt_at = CASE WHEN state IN ('inflight', 'pending') THEN now() ELSE next_attempt_at END,
			quiet_until = CASE WHEN state = 'inflight' THEN NULL ELSE quiet_until END,
			state_since = CASE WHEN state = 'inflight' THEN now() ELSE state_since END
		WHERE id >= $2 AND owner = $1 AND state IN ('pending', 'waiting', 'inflight', 'unknown', 'held')
		RETURNING lane`
	rows, err := tx.Query(ctx, deliveries, token, low, ReasonWorkerLost)
	if err != nil {
		return 0, fmt.Errorf("recovering deliveries: %w", err)
	}
	lanes, err := pgx.CollectRows(rows, pgx.RowTo[Lane])
	if err != nil {
		return 0, fmt.Errorf("recovering deliveries: %w", err)
	}
	// Also a lane that the worker had let go of with something of its own left is
	// due, and one that somebody else has by now has news.
	const free = `
		UPDATE outbox.lanes SET owner = nullif(owner, $1), resting = true, news = true,
			next_at = CASE WHEN owner = $1 OR owner IS NULL THEN now() END
		WHERE lane IN (SELECT lane FROM outbox.lanes WHERE lane = ANY($2) ORDER BY lane FOR UPDATE)`
	if _, err := tx.Exec(ctx, free, token, lanes); err != nil {
		return 0, fmt.Errorf("recovering lanes: %w", err)
	}
	// A lane that it had worked off, but not let go of since another worker had
	// added to it, has nothing of its own left: what rests in it leads there.
	const idle = `
		UPDATE outbox.lanes SET owner = NULL, resting = true, news = true, next_at = now()
		WHERE owner = $1 AND lane IN (SELECT lane FROM outbox.deliveries WHERE owner IS NULL)`
	if _, err := tx.Exec(ctx, idle, token); err != nil {
		return 0, fmt.Errorf("recovering lanes: %w", err)
	}
	_, err = tx.Exec(ctx, `UPDATE outbox.workers w SET ended_at = now(), commits = `+commitsOf+` WHERE token = $1`, token)
	if err == nil {
		_, err = tx.Exec(ctx, `DELETE FROM outbox.commits WHERE token = $1`, token)
	}
	if err != nil {
		return 0, fmt.Errorf("ending the worker: %w", err)
	}
	return len(lanes), nil
}
