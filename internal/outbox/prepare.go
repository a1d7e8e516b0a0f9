package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Prepare makes the database ready for a worker with these accounts: the schema
// has to be one that this build can work with, partitions are made, the views
// learn which day a moment belongs to, and what is due for an account that has left
// the configuration is held. It returns how many deliveries those are.
func (s *Store) Prepare(ctx context.Context, timeZone string, accounts []string) (held int, err error) {
	if err := s.checkSchema(ctx); err != nil {
		return 0, err
	}
	if _, err := s.pool.Exec(ctx, `SELECT outbox.ensure_partitions(now())`); err != nil {
		return 0, fmt.Errorf("making partitions: %w", err)
	}
	if err := s.SetFinanceTimeZone(ctx, timeZone); err != nil {
		return 0, err
	}
	return s.holdMissing(ctx, accounts)
}

// holdMissing holds what is due for accounts that nobody has configured, lane by
// lane. What an unclear call left keeps its question.
func (s *Store) holdMissing(ctx context.Context, accounts []string) (held int, err error) {
	// One index entry for each account, however many lanes are due.
	const missing = `
		WITH RECURSIVE a AS (
			SELECT min(account) AS account FROM outbox.lanes WHERE next_at IS NOT NULL
			UNION ALL
			SELECT (SELECT min(account) FROM outbox.lanes WHERE next_at IS NOT NULL AND account > a.account)
			FROM a WHERE account IS NOT NULL)
		SELECT coalesce(array_agg(account), '{}') FROM a WHERE account <> ALL($1) AND account <> ''`
	const lanes = `
		UPDATE outbox.lanes SET next_at = NULL WHERE lane IN (
			SELECT lane FROM outbox.lanes
			WHERE next_at IS NOT NULL AND account = ANY($1)
			ORDER BY lane LIMIT 500 FOR UPDATE SKIP LOCKED)
		RETURNING lane`
	const deliveries = `
		UPDATE outbox.deliveries SET state = 'held', reason = $2, next_attempt_at = NULL, state_since = now()
		WHERE lane = ANY($1) AND owner IS NULL AND state IN ('pending', 'waiting', 'unknown')`
	var gone []string
	if err := s.pool.QueryRow(ctx, missing, accounts).Scan(&gone); err != nil {
		return 0, fmt.Errorf("looking for accounts that aren't configured: %w", err)
	}
	for len(gone) > 0 {
		var n int
		err := s.inTx(ctx, func(tx pgx.Tx) error {
			rows, err := tx.Query(ctx, lanes, gone)
			if err != nil {
				return err
			}
			due, err := pgx.CollectRows(rows, pgx.RowTo[Lane])
			if err != nil {
				return err
			}
			n = len(due)
			tag, err := tx.Exec(ctx, deliveries, due, ReasonAccountMissing)
			held += int(tag.RowsAffected())
			return err
		})
		if err != nil {
			return held, fmt.Errorf("holding deliveries of accounts that aren't configured: %w", err)
		}
		if n == 0 {
			break
		}
	}
	return held, nil
}

// ErrRead is returned by KeepHouse where somebody has been reading events or attempts
// for longer than it may wait: all who write stand behind it. It is to be tried again.
var ErrRead = errors.New("the tables are being read")

// KeepHouse makes the partitions of the months to come, and drops those whose
// payloads are older than retention; 0 keeps them all. It returns the names of
// what it dropped.
func (s *Store) KeepHouse(ctx context.Context, retention time.Duration) (dropped []string, err error) {
	err = s.changePartitions(ctx, func(tx pgx.Tx) error {
		_, err := tx.Exec(ctx, `SELECT outbox.ensure_partitions(now())`)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("making partitions: %w", err)
	}
	const forget = `DELETE FROM outbox.workers WHERE ended_at < now() - interval '30 days'`
	if _, err := s.pool.Exec(ctx, forget); err != nil {
		return nil, fmt.Errorf("forgetting workers that ended long ago: %w", err)
	}
	if _, err := s.pool.Exec(ctx, `DELETE FROM outbox.quotas WHERE day < current_date - 30`); err != nil {
		return nil, fmt.Errorf("forgetting the quotas of past days: %w", err)
	}
	if retention == 0 {
		return nil, nil
	}
	err = s.changePartitions(ctx, func(tx pgx.Tx) error {
		rows, err := tx.Query(ctx, `SELECT outbox.drop_partitions($1)`, retention)
		if err == nil {
			dropped, err = pgx.CollectRows(rows, pgx.RowTo[string])
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("dropping old partitions: %w", err)
	}
	return dropped, nil
}

// changePartitions runs what needs a table for itself, and returns ErrRead rather
// than wait for its readers. Another worker that does the same is waited for.
func (s *Store) changePartitions(ctx context.Context, f func(pgx.Tx) error) error {
	const lock = `SELECT pg_advisory_xact_lock(hashtext('syncworker.partitions'))`
	const patience = `SET LOCAL lock_timeout = '200ms'`
	err := pgx.BeginFunc(ctx, s.pool, func(tx pgx.Tx) error {
		for _, sql := range []string{lock, patience} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		return f(tx)
	})
	var pg *pgconn.PgError
	if errors.As(err, &pg) && pg.Code == "55P03" {
		return ErrRead
	}
	return err
}
