package outbox

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// Late appends what a worker heard after it had lost its lease. Where that is of a
// push, and the delivery still waits for exactly that answer, it is the evidence
// that resolves it: the call took effect, or the vendor hasn't taken it, and it may
// be made again. It reports whether it did.
func (s *Store) Late(ctx context.Context, token Token, x *Settle) (resolved bool, err error) {
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		resolved = false
		if x.Attempt == nil {
			return nil
		}
		var batch pgx.Batch
		queueAttempts(&batch, []attemptRow{{x.ID, token, true, x.Attempt}})
		if err := tx.SendBatch(ctx, &batch).Close(); err != nil {
			return err
		}
		untaken := x.State == Pending && !x.Ambiguous && x.Attempt.Action == "push"
		if x.State != Delivered && !untaken {
			return nil
		}
		var lane Lane
		err := tx.QueryRow(ctx, `SELECT lane FROM outbox.lanes
			WHERE lane = (SELECT lane FROM outbox.deliveries WHERE id = $1) FOR UPDATE`, x.ID).Scan(&lane)
		if err == pgx.ErrNoRows {
			return nil // the database has lost it
		}
		if err != nil {
			return err
		}
		d := Delivery{State: x.State}
		if untaken {
			err = lateUntaken(ctx, tx, token, x, &d)
		} else {
			err = lateDelivered(ctx, tx, token, x, &d)
		}
		if err == pgx.ErrNoRows {
			return nil
		}
		if err != nil {
			return err
		}
		resolved = true
		return wakeLane(ctx, tx, lane, Facts(&d))
	})
	if err != nil {
		return false, fmt.Errorf("recording a late answer: %w", err)
	}
	return resolved, nil
}

// lateDelivered writes that the call took effect, where that is still waited for.
func lateDelivered(ctx context.Context, tx pgx.Tx, token Token, x *Settle, d *Delivery) error {
	const sql = `
		UPDATE outbox.deliveries SET state = 'delivered', reason = '', ambiguous = false, delivered_at = now(),
			state_since = now(), next_attempt_at = NULL, owner = $2, vendor_ref = $4, points_applied = $5
		WHERE id = $1 AND owner IS NULL AND state IN ('unknown', 'held') AND reason IN ($6, $7) AND calls = $3
		RETURNING type, event_time`
	return tx.QueryRow(ctx, sql, x.ID, token, x.Calls, x.VendorRef, x.PointsApplied, ReasonWorkerLost, ReasonUnclear).
		Scan(&d.Type, &d.EventTime)
}

// lateUntaken writes that the vendor hasn't taken the call, where that is still
// waited for. An effect proves itself; that this call had none says nothing of
// another that a database has forgotten as it went back in time. It can't have
// while the server is the one that the token was good for.
func lateUntaken(ctx context.Context, tx pgx.Tx, token Token, x *Settle, d *Delivery) error {
	const sql = `
		UPDATE outbox.deliveries SET state = 'pending', reason = $4, attempts = $5, ambiguous = false, key_used = $6,
			next_attempt_at = $7, first_sent_at = $8, quiet_until = $9, early_since = $10, state_since = now()
		WHERE id = $1 AND owner IS NULL AND state IN ('unknown', 'held') AND reason IN ($11, $12) AND calls = $3
			AND EXISTS (SELECT FROM outbox.workers WHERE token = $2 AND server_started = pg_postmaster_start_time())
		RETURNING type, event_time`
	return tx.QueryRow(ctx, sql, x.ID, token, x.Calls, x.Reason, x.Attempts, x.KeyUsed, orNull(x.NextAttemptAt),
		orNull(x.FirstSentAt), orNull(x.QuietUntil), orNull(x.EarlySince), ReasonWorkerLost, ReasonUnclear).
		Scan(&d.Type, &d.EventTime)
}

// wakeLane makes a lane due at once, where no worker has it, and tells the
// worker that has it to look again. facts are what a final delivery changes for
// the later events of its order.
func wakeLane(ctx context.Context, tx pgx.Tx, lane Lane, facts LaneUpdate) error {
	const sql = `
		UPDATE outbox.lanes SET
			created = coalesce(nullif($2, ''), created),
			updated_to = greatest(updated_to, $3),
			open_refunds = greatest(open_refunds + $4, 0),
			deleted = deleted OR $5,
			resting = true, news = true,
			next_at = CASE WHEN owner IS NULL AND account <> '' THEN now() END
		WHERE lane = $1
		RETURNING owner`
	var owner *Token
	err := tx.QueryRow(ctx, sql, lane, facts.Created, orNull(facts.UpdatedTo), facts.RefundsBy, facts.Deleted).Scan(&owner)
	if err != nil {
		return fmt.Errorf("waking a lane: %w", err)
	}
	// What is unclear behind it waits its turn, which may have come.
	const turn = `UPDATE outbox.deliveries SET next_attempt_at = now()
		WHERE lane = $1 AND owner IS NULL AND ambiguous AND next_attempt_at > now()
			AND (blocks OR (SELECT kind FROM outbox.lanes WHERE lane = $1) = 'order')`
	if _, err := tx.Exec(ctx, turn, lane); err != nil {
		return fmt.Errorf("waking what waits in a lane: %w", err)
	}
	if owner == nil {
		return nil
	}
	return freeAbandoned(ctx, tx, map[Lane]Token{lane: *owner})
}

// storable makes text that Postgres takes: valid UTF-8 without NUL.
func storable(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}
