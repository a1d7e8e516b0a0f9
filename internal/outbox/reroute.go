package outbox

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// routeHeld gives an event that no route took its deliveries at the accounts that
// the routes name now, as if it had just come. The delivery without account is
// cancelled: it has been replaced.
func routeHeld(ctx context.Context, tx pgx.Tx, dec *Decision, st *Standing, before json.RawMessage) (Acted, error) {
	a, err := arrivalOf(ctx, tx, st)
	if err != nil {
		return Acted{}, err
	}
	a.Accounts = dec.Route(st.Type, st.Tenant)
	if err := deliver(ctx, tx, &pgx.Batch{}, person, Batch{Blocks: dec.Blocks}, []arrival{a}, &Enqueued{}); err != nil {
		return Acted{}, err
	}
	// A delivery finds its event by the time at which the event came.
	const same = `UPDATE outbox.deliveries SET received_at = $2 WHERE event_id = $1 AND id <> $3 RETURNING id`
	rows, err := tx.Query(ctx, same, st.EventID, st.ReceivedAt, st.ID)
	if err != nil {
		return Acted{}, fmt.Errorf("dating the routed deliveries: %w", err)
	}
	routed, err := pgx.CollectRows(rows, pgx.RowTo[int64])
	if err != nil {
		return Acted{}, fmt.Errorf("dating the routed deliveries: %w", err)
	}
	replaced, owner := st.Delivery, person
	replaced.State, replaced.Reason = Cancelled, ReasonRouted
	if err := writeChange(ctx, tx, dec, before, &replaced, &owner); err != nil {
		return Acted{}, err
	}
	return Acted{Changed: append([]int64{st.ID}, routed...)}, nil
}

// arrivalOf reads a stored event back as it was when it came.
func arrivalOf(ctx context.Context, tx pgx.Tx, st *Standing) (arrival, error) {
	a := arrival{eventID: st.EventID}
	const work = `SELECT ` + workColumns + ` FROM outbox.deliveries d
		JOIN outbox.events e ON e.id = d.event_id AND e.received_at = d.received_at WHERE d.id = $1`
	if err := collectWork(ctx, tx, work, []any{st.ID}, func(w *Work) { a.Event = w.Event }); err != nil {
		return a, fmt.Errorf("reading the event: %w", err)
	}
	if a.Event == nil {
		return a, errors.New("its payload is past its retention: publish the event again")
	}
	a.identity = a.Event.Identity()
	const sql = `
		SELECT e.binary_mode, e.payload, i.hash, i.sequence FROM outbox.events e
		JOIN outbox.identities i ON (i.order_no, i.uuid, i.kind, i.tenant) = ($3, $4, $5, $6)
		WHERE e.id = $1 AND e.received_at = $2`
	var hash []byte
	var sequence int64
	err := tx.QueryRow(ctx, sql, st.EventID, st.ReceivedAt, a.identity.OrderNo, a.identity.UUID, a.identity.Kind, a.identity.Tenant).
		Scan(&a.Binary, &a.Payload, &hash, &sequence)
	if err != nil {
		return a, fmt.Errorf("reading the event: %w", err)
	}
	copy(a.Event.Hash[:], hash)
	a.Sequence = uint64(sequence)
	return a, nil
}
