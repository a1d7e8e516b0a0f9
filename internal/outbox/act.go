package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncworker/internal/event"
	"syncworker/internal/failpoint"
)

// Acted is what became of a decision about one delivery.
type Acted struct {
	Refused string  // why it wasn't carried out, with the command that fits
	Changed []int64 // the delivery, and those that were cancelled with it
}

// errBusy: a worker has the delivery in its hands and is about to write it.
var errBusy = errors.New("a worker holds it")

// busyTries of busyPause are how long Act waits for a worker to put a delivery down.
const (
	busyTries = 20
	busyPause = 100 * time.Millisecond
)

// Act carries out a decision about one delivery, in one transaction that checks
// again, under the lock of its lane, whether it still can be, and that records
// who decided it. A decision that can't be carried out is no error.
func (s *Store) Act(ctx context.Context, dec Decision, id int64) (Acted, error) {
	for try := 1; ; try++ {
		var acted Acted
		err := s.inTx(ctx, func(tx pgx.Tx) error {
			var err error
			if acted, err = act(ctx, tx, &dec, id); err != nil {
				return err
			}
			return failpoint.Hit(failpoint.Replaying, string(dec.Action))
		})
		if err == nil {
			err = failpoint.Hit(failpoint.Replayed, string(dec.Action))
		}
		switch {
		case err == nil:
			return acted, nil
		case !errors.Is(err, errBusy) && !retryable(err):
			return Acted{}, fmt.Errorf("%s of delivery %d: %w", dec.Action, id, err)
		case try == busyTries:
			return Acted{Refused: "a worker is working on it at this moment: try again"}, nil
		}
		select {
		case <-ctx.Done():
			return Acted{}, ctx.Err()
		case <-time.After(busyPause):
		}
	}
}

func act(ctx context.Context, tx pgx.Tx, dec *Decision, id int64) (Acted, error) {
	st, before, err := lockStanding(ctx, tx, id)
	if err == pgx.ErrNoRows {
		return Acted{Refused: "isn't there: syncworker deliveries list"}, nil
	}
	if err != nil {
		return Acted{}, err
	}
	if why := dec.Refuses(st); why != "" {
		return Acted{Refused: why}, nil
	}
	if st.State == Held && st.Owner != nil && dec.Action != Cancel {
		return Acted{}, errBusy
	}
	if dec.Action == SendAgain && st.Account == "" {
		return routeHeld(ctx, tx, dec, st, before)
	}
	after, owner := dec.Change(st)
	if err := writeChange(ctx, tx, dec, before, &after, owner); err != nil {
		return Acted{}, err
	}
	acted := Acted{Changed: []int64{id}}
	facts := LaneUpdate{Lane: st.Lane}
	if own := st.Tenant == st.LaneTenant; own && st.Type == event.OrderCreated {
		if err := changeCreate(ctx, tx, dec, st, &after, &acted); err != nil {
			return Acted{}, err
		}
		facts = Facts(&after)
	} else if own {
		facts = Facts(&after)
	}
	return acted, wakeLane(ctx, tx, st.Lane, facts)
}

const standingColumns = `d.id, d.event_id, d.received_at, d.event_time, d.state_since, d.next_attempt_at,
	d.first_sent_at, d.quiet_until, d.delivered_at, d.lane, d.account, d.type, d.state, d.reason, d.attempts, d.calls,
	d.ambiguous, d.ever_ambiguous, d.key_used, d.duplicate, coalesce(d.vendor_key, ''), d.vendor_ref, d.points_applied,
	d.owner, coalesce(e.tenant, l.tenant, ''), coalesce(l.tenant, ''), coalesce(e.order_no, ''), e.amount::text,
	coalesce(e.points, 0), coalesce(e.decr_to_zero, false)`

const standingFrom = ` FROM outbox.deliveries d
	LEFT JOIN outbox.lanes l ON l.lane = d.lane
	LEFT JOIN outbox.events e ON e.id = d.event_id AND e.received_at = d.received_at `

func (s *Standing) columns() []any {
	d := &s.Delivery
	var deliveredAt instant
	return []any{
		&d.ID, &d.EventID, &d.ReceivedAt, &d.EventTime, &d.StateSince, (*instant)(&d.NextAttemptAt),
		(*instant)(&d.FirstSentAt), (*instant)(&d.QuietUntil), &deliveredAt, &d.Lane, &d.Account, &d.Type, &d.State,
		&d.Reason, &d.Attempts, &d.Calls, &d.Ambiguous, &d.EverAmbiguous, &d.KeyUsed, &d.Duplicate, &d.VendorKey,
		&d.VendorRef, &d.PointsApplied, &s.Owner, &s.Tenant, &s.LaneTenant, &s.OrderNo, &s.Amount, &s.Points,
		&s.DecrToZero,
	}
}

// lockStanding locks the delivery's lane and then the delivery, and returns it
// with its row as it is. A row that a worker is writing isn't waited for, since
// that worker locks the lane last.
func lockStanding(ctx context.Context, tx pgx.Tx, id int64) (*Standing, json.RawMessage, error) {
	const lane = `SELECT lane FROM outbox.lanes
		WHERE lane = (SELECT lane FROM outbox.deliveries WHERE id = $1) FOR UPDATE`
	var locked Lane
	if err := tx.QueryRow(ctx, lane, id).Scan(&locked); err != nil {
		return nil, nil, err
	}
	const delivery = `SELECT ` + standingColumns + `, to_jsonb(d)` + standingFrom + `WHERE d.id = $1 FOR UPDATE OF d NOWAIT`
	var st Standing
	var before json.RawMessage
	if err := tx.QueryRow(ctx, delivery, id).Scan(append(st.columns(), &before)...); err != nil {
		return nil, nil, err
	}
	return &st, before, nil
}

// writeChange writes a delivery as a person leaves it, and records it.
func writeChange(ctx context.Context, tx pgx.Tx, dec *Decision, before json.RawMessage, d *Delivery, owner *Token) error {
	const sql = `
		UPDATE outbox.deliveries AS d SET state = $2, reason = $3, owner = $4, attempts = $5, ambiguous = $6,
			first_sent_at = $7, quiet_until = $8, vendor_ref = $9, points_applied = $10, state_since = now(),
			early_since = CASE WHEN $2 <> 'pending' THEN early_since END,
			next_attempt_at = CASE WHEN $2 = 'pending' THEN now() END,
			delivered_at = CASE WHEN $2 = 'delivered' THEN now() END
		WHERE id = $1
		RETURNING to_jsonb(d) || jsonb_strip_nulls(jsonb_build_object('evidence', nullif($11::text, '')))`
	var after json.RawMessage
	err := tx.QueryRow(ctx, sql, d.ID, string(d.State), d.Reason, owner, d.Attempts, d.Ambiguous,
		orNull(d.FirstSentAt), orNull(d.QuietUntil), d.VendorRef, d.PointsApplied, dec.Evidence).Scan(&after)
	if err != nil {
		return fmt.Errorf("writing the delivery: %w", err)
	}
	return record(ctx, tx, Deed{
		Actor: dec.Actor, Action: string(dec.Action), Target: targetOf("delivery", d.ID), Why: dec.Why,
		Before: before, After: after,
	})
}

// changeCreate does what a decision about a create means for its order: one that
// is to be sent after all is open again, and one that is cancelled takes along
// what waits behind it.
func changeCreate(ctx context.Context, tx pgx.Tx, dec *Decision, st *Standing, after *Delivery, acted *Acted) error {
	switch after.State {
	case Pending:
		if _, err := tx.Exec(ctx, `UPDATE outbox.lanes SET created = '' WHERE lane = $1`, st.Lane); err != nil {
			return fmt.Errorf("opening the order again: %w", err)
		}
	case Cancelled:
		ids, err := behind(ctx, tx, []int64{st.ID})
		if err != nil {
			return err
		}
		along := *dec
		along.Why = fmt.Sprintf("%s (with the order's create, delivery %d)", dec.Why, st.ID)
		for _, id := range ids {
			follower, before, err := lockStanding(ctx, tx, id)
			if err != nil {
				return err
			}
			if refusesCancel(follower) != "" {
				continue
			}
			changed, owner := along.Change(follower)
			changed.Reason = ReasonPredecessorCancelled
			if err := writeChange(ctx, tx, &along, before, &changed, owner); err != nil {
				return err
			}
			acted.Changed = append(acted.Changed, id)
		}
	}
	return nil
}

// behind returns what waits behind creates: the order's other deliveries in the
// same lane that are still to be called.
func behind(ctx context.Context, db querier, creates []int64) ([]int64, error) {
	const sql = `
		SELECT f.id FROM outbox.deliveries c
		JOIN outbox.events e ON e.id = c.event_id AND e.received_at = c.received_at
		JOIN outbox.identities i ON i.order_no = e.order_no AND i.tenant = e.tenant
		JOIN outbox.deliveries f ON f.event_id = i.event_id AND f.lane = c.lane
		WHERE c.id = ANY($1) AND c.type = 'order.created' AND f.type <> 'order.created'
			AND f.state IN ('pending', 'waiting') AND NOT f.ambiguous
		ORDER BY f.id`
	rows, err := db.Query(ctx, sql, creates)
	if err != nil {
		return nil, fmt.Errorf("looking for what waits behind a create: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return nil, fmt.Errorf("looking for what waits behind a create: %w", err)
	}
	return ids, nil
}

// querier is a transaction or the pool.
type querier interface {
	Query(context.Context, string, ...any) (pgx.Rows, error)
	QueryRow(context.Context, string, ...any) pgx.Row
}
