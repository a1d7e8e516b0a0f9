package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncworker/internal/event"
)

// CorrectionSource is the CloudEvents source of a correction that ops sends.
const CorrectionSource = "syncworker/conflicts"

// ErrRefused is in the error of a resolution that can't be carried out; its text
// says why and what to do.
var ErrRefused = errors.New("refused")

// refusesSecond says why the second content can't be sent as a correction; empty
// where it can. Only an order's content can be corrected: a second grant or
// refund is another effect, and needs an identity of its own.
func (c *ShownConflict) refusesSecond() string {
	switch {
	case c.Cause == CauseDeleted:
		return "the order was deleted at the vendor: publish it under a new order number"
	case c.Cause == CauseVendorKey:
		return c.What() + ": cancel the delivery that is held for it, and publish the event under a key of its own"
	case c.Type == event.OrderCreated, c.Type == event.OrderUpdated:
		return ""
	case c.Type == event.OrderCancelled, c.Type == event.OrderDeleted:
		return "an order is cancelled or deleted once, whatever else the event says: keep the first"
	}
	return fmt.Sprintf("another %s is another effect: publish a new event with its own uuid", c.Type)
}

// KeepFirst resolves a conflict in favour of what was there before. A delivery
// that is held for the other tenant's key stays to be cancelled.
func (s *Store) KeepFirst(ctx context.Context, id int64, actor, why string) error {
	err := s.resolveConflict(ctx, id, "kept_first", actor, why, func(pgx.Tx, *ShownConflict) (string, error) {
		return "", nil
	})
	if err != nil {
		return fmt.Errorf("keeping the first of conflict %d: %w", id, err)
	}
	return nil
}

// SendSecond resolves a conflict by an order.updated that says what the second
// event said, and that is enqueued like any other event. It returns the event's
// uuid, which follows from the conflict, so that no conflict is corrected twice.
// An error that is ErrRefused says what to do instead.
func (s *Store) SendSecond(ctx context.Context, id int64, actor, why string, now time.Time,
	route func(t event.Type, tenant string) []string,
) (uuid string, err error) {
	err = s.resolveConflict(ctx, id, "sent_second", actor, why, func(tx pgx.Tx, c *ShownConflict) (string, error) {
		if why := c.refusesSecond(); why != "" {
			return "", fmt.Errorf("%w: %s", ErrRefused, why)
		}
		a, err := correction(c, now)
		if err != nil {
			return "", err
		}
		a.Accounts, uuid = route(a.Event.Type, a.Event.Tenant), a.Event.UUID
		var known identities
		var first, second pgx.Batch
		queueIdentities(&first, []Incoming{a}, &known)
		if err := tx.SendBatch(ctx, &first).Close(); err != nil {
			return "", err
		}
		fresh, _ := known.split()
		if len(fresh) == 0 {
			return "", fmt.Errorf("%w: a publisher has used the uuid %s for this order", ErrRefused, uuid)
		}
		queueEvents(&second, fresh)
		return uuid, deliver(ctx, tx, &second, person, Batch{}, fresh, &Enqueued{})
	})
	if err != nil {
		return "", fmt.Errorf("sending the second of conflict %d: %w", id, err)
	}
	return uuid, nil
}

// correction makes the order.updated that says what the second event said.
func correction(c *ShownConflict, now time.Time) (Incoming, error) {
	uuid := fmt.Sprintf("conflict-%d", c.ID)
	data, err := event.Splice(c.Second, []event.Set{{Key: "uuid", Value: json.RawMessage(`"` + uuid + `"`)}}, nil)
	if err != nil {
		return Incoming{}, err
	}
	payload, err := json.Marshal(struct {
		SpecVersion string          `json:"specversion"`
		ID          string          `json:"id"`
		Source      string          `json:"source"`
		Type        event.Type      `json:"type"`
		Time        time.Time       `json:"time"`
		Tenant      string          `json:"tenant"`
		Data        json.RawMessage `json:"data"`
	}{"1.0", uuid, CorrectionSource, event.OrderUpdated, now.UTC(), c.Tenant, data})
	if err != nil {
		return Incoming{}, fmt.Errorf("making the correction: %w", err)
	}
	e, err := event.Decode(event.Message{Subject: event.Subject(event.OrderUpdated), Data: payload}, event.Limits{}, now)
	if err != nil {
		return Incoming{}, fmt.Errorf("%w: the contract doesn't take the second content as an update: %w", ErrRefused, err)
	}
	return Incoming{Event: &e, Payload: payload}, nil
}

// resolveConflict locks an open conflict, carries the resolution out and records it.
func (s *Store) resolveConflict(ctx context.Context, id int64, resolution, actor, why string,
	carryOut func(pgx.Tx, *ShownConflict) (sentAs string, err error),
) error {
	const row = `SELECT to_jsonb(c) - 'payload' - 'headers' FROM outbox.conflicts c WHERE id = $1`
	const resolve = `
		UPDATE outbox.conflicts AS c SET resolution = $2, resolved_at = now() WHERE id = $1
		RETURNING to_jsonb(c) - 'payload' - 'headers' || jsonb_strip_nulls(jsonb_build_object('sent_as', nullif($3::text, '')))`
	return s.inTx(ctx, func(tx pgx.Tx) error {
		c, err := readConflict(ctx, tx, id, "FOR UPDATE")
		if err != nil {
			return err
		}
		if c.Resolution != "" {
			return fmt.Errorf("%w: it is resolved already (%s): syncworker conflicts show %d", ErrRefused, c.Resolution, id)
		}
		deed := Deed{Actor: actor, Action: resolution, Target: targetOf("conflict", id), Why: why}
		if err := tx.QueryRow(ctx, row, id).Scan(&deed.Before); err != nil {
			return fmt.Errorf("reading the conflict: %w", err)
		}
		sentAs, err := carryOut(tx, &c)
		if err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, resolve, id, resolution, sentAs).Scan(&deed.After); err != nil {
			return fmt.Errorf("marking the conflict: %w", err)
		}
		return record(ctx, tx, deed)
	})
}
