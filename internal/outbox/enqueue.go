package outbox

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"syncworker/internal/event"
	"syncworker/internal/failpoint"
)

// Incoming is one valid event as it came from the stream.
type Incoming struct {
	Event    *event.Event
	Accounts []string            // where it goes to; none makes it held(unrouted)
	Sequence uint64              // of the stream; tells a redelivery from a duplicate, no more
	Binary   bool                // CloudEvents binary mode: Payload is the data alone
	Headers  map[string][]string // kept with a conflict
	Payload  []byte
}

// Reject is one message that the contract refuses.
type Reject struct {
	Subject, Reason, Field, Detail string
	Sequence                       uint64
	Headers                        map[string][]string
	Payload                        []byte
}

// Batch is what one transaction takes in.
type Batch struct {
	Events  []Incoming
	Rejects []Reject
	// Accept names the accounts that this worker takes deliveries of into its
	// hands; those of others are left at rest, due at once.
	Accept []string
	// Full are lanes of which the worker has enough in its hands.
	Full []Lane
	// Intend chooses, of the deliveries that the worker is about to hold, those that
	// it calls at once: it sets their SentAt, and their intent is written with them.
	// It is asked again where the transaction is run again: its last answer counts.
	// The ids of deliveries aren't known yet.
	Intend func([]Handed)
	// Blocks tells of which deliveries outside of orders' lanes the rest of the lane
	// waits while they are unclear or held; nil is of none.
	Blocks func(account string, t event.Type) bool
	// Recovered: these events were acknowledged before, but the database has
	// lost them. Whether they were sent is not known.
	Recovered bool
}

// Enqueued says what became of a batch. Only after Enqueue has returned without
// an error may its messages be acknowledged.
type Enqueued struct {
	// Handed are the deliveries that the worker now holds, with their lanes'
	// state, in the order of their arrival.
	Handed []Handed
	// Taken are lanes that the worker now has although nothing in them was handed
	// over, since its key is another tenant's.
	Taken []LaneState
	// Rested tells that deliveries were left at rest that are due.
	Rested     bool
	Events     int
	Duplicates int
	Conflicts  int
}

// Handed is one delivery that the committing worker holds.
type Handed struct {
	Work
	Lane LaneState
	// SentAt is set where its intent was written with it: no call was made before.
	SentAt time.Time
}

// ErrDoubted means that the stream has to be read again first: the database has
// gone back in time, and events that come now may be some that it has lost.
var ErrDoubted = errors.New("the database has gone back in time, and the stream wasn't read again yet")

// Enqueue commits a batch: new events with their deliveries, conflicts, and
// rejects. It is idempotent: a batch that is enqueued again adds nothing.
func (s *Store) Enqueue(ctx context.Context, token Token, b Batch) (out Enqueued, err error) {
	again := false // rarely: some create is of an order that was deleted
	for err = errRecreated; err == errRecreated; again = true {
		err = s.inTx(ctx, func(tx pgx.Tx) error {
			out = Enqueued{}
			return enqueue(ctx, tx, token, b, again, &out)
		})
	}
	if err == nil {
		err = failpoint.Each(failpoint.InboxCommitted, b.Events, typeOfIncoming)
	}
	if err != nil {
		return Enqueued{}, fmt.Errorf("enqueuing a batch of %d events and %d rejects: %w",
			len(b.Events), len(b.Rejects), err)
	}
	return out, nil
}

// errRecreated rolls back what took a create of a deleted order for any other.
var errRecreated = errors.New("there is a create of an order that was deleted")

// enqueue sends what doesn't depend on an answer together: latency is trips. With
// apart, creates of deleted orders are taken out first.
func enqueue(ctx context.Context, tx pgx.Tx, token Token, b Batch, apart bool, out *Enqueued) error {
	var first pgx.Batch
	var st standing
	var known identities
	queueHolds(&first, token, &st)
	queueRejects(&first, b.Rejects)
	queueIdentities(&first, b.Events, &known)
	if err := tx.SendBatch(ctx, &first).Close(); err != nil {
		return fmt.Errorf("inserting identities and rejects: %w", err)
	}
	if st.doubted && !b.Recovered {
		return ErrDoubted
	}
	if !st.alive {
		b.Accept = nil // they rest: nobody would ever take over what this token holds
	}
	fresh, seen := known.split()
	if len(seen) > 0 {
		if err := meetAgain(ctx, tx, seen, out); err != nil {
			return err
		}
	}
	var second pgx.Batch
	var recreated []recreation
	queueRecreated(&second, fresh, &recreated)
	if apart {
		err := tx.SendBatch(ctx, &second).Close()
		if err == nil {
			fresh, err = dropRecreated(ctx, tx, fresh, recreated, out)
		}
		if err != nil {
			return fmt.Errorf("looking for deleted orders: %w", err)
		}
		second, recreated = pgx.Batch{}, nil
	}
	if len(fresh) == 0 {
		return nil
	}
	out.Events = len(fresh)
	queueEvents(&second, fresh)
	if err := deliver(ctx, tx, &second, token, b, fresh, out); err != nil {
		return err
	}
	if len(recreated) > 0 {
		return errRecreated
	}
	return failpoint.Each(failpoint.InboxCommitting, b.Events, typeOfIncoming)
}

func typeOfIncoming(in Incoming) string { return string(in.Event.Type) }

// arrival is an incoming event on its way through one transaction.
type arrival struct {
	Incoming
	identity event.Identity
	eventID  int64
}

func compareIdentity(a, b event.Identity) int {
	for _, c := range [4]int{
		strings.Compare(a.OrderNo, b.OrderNo), strings.Compare(a.UUID, b.UUID),
		strings.Compare(a.Kind, b.Kind), strings.Compare(a.Tenant, b.Tenant),
	} {
		if c != 0 {
			return c
		}
	}
	return 0
}

// identities are what a batch's events are known by.
type identities struct {
	firsts, seen []arrival // of one identity in the batch, the first to arrive counts
	ids          map[event.Identity]int64
}

// queueIdentities adds the identities that are new, in one fixed order so that
// two batches can't wait for each other.
func queueIdentities(b *pgx.Batch, incoming []Incoming, known *identities) {
	arrivals := make([]arrival, len(incoming))
	for i, in := range incoming {
		arrivals[i] = arrival{Incoming: in, identity: in.Event.Identity()}
	}
	slices.SortStableFunc(arrivals, func(a, b arrival) int { return compareIdentity(a.identity, b.identity) })
	for i, a := range arrivals {
		if i > 0 && arrivals[i-1].identity == a.identity {
			known.seen = append(known.seen, a)
		} else {
			known.firsts = append(known.firsts, a)
		}
	}
	n := len(known.firsts)
	known.ids = make(map[event.Identity]int64, n)
	orderNos, uuids, kinds, tenants := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	times, sequences, hashes := make([]time.Time, n), make([]int64, n), make([][]byte, n)
	for i, a := range known.firsts {
		orderNos[i], uuids[i], kinds[i], tenants[i] = a.identity.OrderNo, a.identity.UUID, a.identity.Kind, a.identity.Tenant
		times[i], sequences[i], hashes[i] = a.Event.Time, int64(a.Sequence), a.Event.Hash[:]
	}
	const sql = `
		INSERT INTO outbox.identities (order_no, uuid, kind, tenant, event_time, sequence, hash, hash_version)
		SELECT *, $8 FROM unnest($1::text[], $2::text[], $3::text[], $4::text[],
			$5::timestamptz[], $6::bigint[], $7::bytea[])
		ON CONFLICT DO NOTHING
		RETURNING order_no, uuid, kind, tenant, event_id`
	b.Queue(sql, orderNos, uuids, kinds, tenants, times, sequences, hashes, event.HashVersion).Query(func(rows pgx.Rows) error {
		var identity event.Identity
		var id int64
		_, err := pgx.ForEachRow(rows, []any{&identity.OrderNo, &identity.UUID, &identity.Kind, &identity.Tenant, &id},
			func() error { known.ids[identity] = id; return nil })
		return err
	})
}

// split returns the events that are new, in the order of their arrival, and those
// whose identity was there before.
func (known *identities) split() (fresh, seen []arrival) {
	seen = known.seen
	for _, a := range known.firsts {
		if id, ok := known.ids[a.identity]; ok {
			a.eventID = id
			fresh = append(fresh, a)
		} else {
			seen = append(seen, a)
		}
	}
	// Ids follow the order of identities; what follows wants that of arrival.
	slices.SortStableFunc(fresh, func(a, b arrival) int { return int(int64(a.Sequence) - int64(b.Sequence)) })
	return fresh, seen
}

// meetAgain counts duplicates and keeps conflicts among events whose identity
// was there before.
func meetAgain(ctx context.Context, tx pgx.Tx, seen []arrival, out *Enqueued) error {
	const first = `
		SELECT i.event_id, i.hash, i.sequence,
		       d.event_time IS NOT NULL AND d.event_time < $5
		FROM outbox.identities i
		LEFT JOIN outbox.identities d ON i.kind = 'order.created'
			AND (d.order_no, d.uuid, d.kind, d.tenant) = (i.order_no, '', 'order.deleted', i.tenant)
		WHERE (i.order_no, i.uuid, i.kind, i.tenant) = ($1, $2, $3, $4)`
	const count = `
		UPDATE outbox.identities SET duplicates = duplicates + 1, sequence = $5
		WHERE (order_no, uuid, kind, tenant) = ($1, $2, $3, $4)`
	for _, a := range seen {
		var hash []byte
		var sequence int64
		var recreated bool
		err := tx.QueryRow(ctx, first, a.identity.OrderNo, a.identity.UUID, a.identity.Kind, a.identity.Tenant, a.Event.Time).
			Scan(&a.eventID, &hash, &sequence, &recreated)
		if err != nil {
			return fmt.Errorf("reading the first event of an identity: %w", err)
		}
		switch {
		case !bytes.Equal(hash, a.Event.Hash[:]):
			err = insertConflict(ctx, tx, a, "content", "")
			out.Conflicts++
		case int64(a.Sequence) <= sequence:
			// The same message, delivered again.
		case recreated:
			err = insertConflict(ctx, tx, a, "deleted", "")
			out.Conflicts++
		default:
			_, err = tx.Exec(ctx, count, a.identity.OrderNo, a.identity.UUID, a.identity.Kind, a.identity.Tenant, int64(a.Sequence))
			out.Duplicates++
		}
		if err != nil {
			return fmt.Errorf("meeting an identity again: %w", err)
		}
	}
	return nil
}

// recreation is an order that a delete has had its effect on.
type recreation struct {
	orderNo, tenant string
	deletedBy       int64 // the event
}

// queueRecreated looks for creates of orders that were deleted before.
func queueRecreated(b *pgx.Batch, fresh []arrival, found *[]recreation) {
	var orderNos, tenants []string
	for _, a := range fresh {
		if a.Event.Type == event.OrderCreated {
			orderNos, tenants = append(orderNos, a.identity.OrderNo), append(tenants, a.identity.Tenant)
		}
	}
	if len(orderNos) == 0 {
		return
	}
	// A delete that is itself still waiting for its create only overtook it.
	const sql = `
		SELECT i.order_no, i.tenant, i.event_id
		FROM unnest($1::text[], $2::text[]) u(order_no, tenant)
		JOIN outbox.identities i ON (i.order_no, i.uuid, i.kind, i.tenant) = (u.order_no, '', 'order.deleted', u.tenant)
		WHERE EXISTS (SELECT FROM outbox.deliveries d WHERE d.event_id = i.event_id AND d.state = 'delivered')`
	b.Queue(sql, orderNos, tenants).Query(func(rows pgx.Rows) error {
		var r recreation
		_, err := pgx.ForEachRow(rows, []any{&r.orderNo, &r.tenant, &r.deletedBy}, func() error { *found = append(*found, r); return nil })
		return err
	})
}

// dropRecreated takes out creates of orders that were deleted before: such an
// order may exist at a vendor only because a person says so.
func dropRecreated(ctx context.Context, tx pgx.Tx, fresh []arrival, found []recreation, out *Enqueued) ([]arrival, error) {
	type key struct{ orderNo, tenant string }
	deleted := map[key]int64{}
	for _, r := range found {
		deleted[key{r.orderNo, r.tenant}] = r.deletedBy
	}
	var kept []arrival
	for _, a := range fresh {
		deletedBy, is := deleted[key{a.identity.OrderNo, a.identity.Tenant}]
		if a.Event.Type != event.OrderCreated || !is {
			kept = append(kept, a)
			continue
		}
		// The identity isn't taken: nothing of this create was let through.
		_, err := tx.Exec(ctx, `DELETE FROM outbox.identities WHERE (order_no, uuid, kind, tenant) = ($1, '', $2, $3)`,
			a.identity.OrderNo, a.identity.Kind, a.identity.Tenant)
		if err != nil {
			return nil, fmt.Errorf("keeping a create of a deleted order: %w", err)
		}
		a.eventID = deletedBy
		if err := insertConflict(ctx, tx, a, "deleted", ""); err != nil {
			return nil, err
		}
		out.Conflicts++
	}
	return kept, nil
}

// insertConflict keeps the second comer, once per identity, cause and hash.
// a.eventID names the event that it conflicts with.
func insertConflict(ctx context.Context, tx pgx.Tx, a arrival, cause, account string) error {
	const sql = `
		INSERT INTO outbox.conflicts (last_sequence, event_id, event_time, order_no, uuid, kind, tenant, account,
			cause, hash, source, ce_id, type, binary_mode, headers, payload)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)
		ON CONFLICT (order_no, uuid, kind, tenant, account, cause, hash) DO UPDATE SET
			count = conflicts.count + CASE WHEN excluded.last_sequence > conflicts.last_sequence THEN 1 ELSE 0 END,
			last_sequence = greatest(conflicts.last_sequence, excluded.last_sequence), last_at = now()`
	e := a.Event
	_, err := tx.Exec(ctx, sql, int64(a.Sequence), a.eventID, e.Time, a.identity.OrderNo, a.identity.UUID,
		a.identity.Kind, a.identity.Tenant, account, cause, e.Hash[:], e.Source, e.ID, string(e.Type),
		a.Binary, headersJSON(a.Headers), string(a.Payload))
	if err != nil {
		return fmt.Errorf("keeping a conflict: %w", err)
	}
	return nil
}

func queueEvents(b *pgx.Batch, fresh []arrival) {
	const sql = `
		INSERT INTO outbox.events (id, event_time, occurred_at, amount, points, tenant, type, ce_id, source,
			traceparent, order_no, uuid, membership_id, member, store, sales_channel, pattern, remark,
			decr_to_zero, binary_mode, payload)
		SELECT id, event_time, occurred_at, amount::numeric, points, tenant, type, ce_id, source,
			traceparent, order_no, uuid, membership_id, member, store, sales_channel, pattern, remark,
			decr_to_zero, binary_mode, payload
		FROM unnest($1::bigint[], $2::timestamptz[], $3::timestamptz[], $4::text[], $5::bigint[],
			$6::text[], $7::text[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[],
			$14::text[], $15::text[], $16::text[], $17::text[], $18::text[], $19::bool[], $20::bool[], $21::text[])
			u(id, event_time, occurred_at, amount, points, tenant, type, ce_id, source,
			traceparent, order_no, uuid, membership_id, member, store, sales_channel, pattern, remark,
			decr_to_zero, binary_mode, payload)`
	n := len(fresh)
	ids, times, occurred := make([]int64, n), make([]time.Time, n), make([]*time.Time, n)
	amounts, points := make([]*string, n), make([]*int64, n)
	var text [13][]string
	for i := range text {
		text[i] = make([]string, n)
	}
	toZero, binary, payloads := make([]bool, n), make([]bool, n), make([]string, n)
	for i, a := range fresh {
		e := a.Event
		ids[i], times[i], binary[i], payloads[i], toZero[i] = a.eventID, e.Time, a.Binary, string(a.Payload), e.DecrToZero
		if !e.OccurredAt.IsZero() {
			occurred[i] = &e.OccurredAt
		}
		if e.Amount.Valid {
			amount := e.Amount.Decimal.String()
			amounts[i] = &amount
		}
		if e.Type.Point() {
			points[i] = &e.Points
		}
		for j, v := range [13]string{
			e.Tenant, string(e.Type), e.ID, e.Source, e.TraceParent, e.OrderNo, e.UUID,
			e.Member.MembershipID, e.Member.Key(), e.Store, e.SalesChannel, e.Pattern, e.Remark,
		} {
			text[j][i] = v
		}
	}
	args := []any{ids, times, occurred, amounts, points}
	for i := range text {
		args = append(args, text[i])
	}
	b.Queue(sql, append(args, toZero, binary, payloads)...)
}

// queueRejects keeps what the contract refused, once per subject and bytes.
func queueRejects(b *pgx.Batch, rejects []Reject) {
	const sql = `
		INSERT INTO outbox.rejects (last_sequence, digest, subject, reason, field, detail, headers, payload)
		VALUES ($1, sha256(convert_to($2, 'UTF8') || '\x00'::bytea || $7), $2, $3, $4, $5, $6, $7)
		ON CONFLICT (digest) DO UPDATE SET
			count = rejects.count + CASE WHEN excluded.last_sequence > rejects.last_sequence THEN 1 ELSE 0 END,
			last_sequence = greatest(rejects.last_sequence, excluded.last_sequence), last_at = now()`
	sorted := slices.SortedStableFunc(slices.Values(rejects), func(a, b Reject) int {
		if c := strings.Compare(a.Subject, b.Subject); c != 0 {
			return c
		}
		return bytes.Compare(a.Payload, b.Payload)
	})
	for _, r := range sorted {
		b.Queue(sql, int64(r.Sequence), r.Subject, r.Reason, r.Field, r.Detail, headersJSON(r.Headers), r.Payload)
	}
}

// headersJSON returns headers as text that Postgres takes.
func headersJSON(header map[string][]string) string {
	if len(header) == 0 {
		return "{}"
	}
	text, err := json.Marshal(header) // invalid UTF-8 becomes U+FFFD
	if err != nil {
		return "{}"
	}
	return strings.ReplaceAll(string(text), `\u0000`, `\ufffd`)
}
