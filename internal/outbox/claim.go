package outbox

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/shopspring/decimal"

	"syncworker/internal/event"
	"syncworker/internal/failpoint"
)

// Window is how many deliveries of a member's lane a worker takes into its hands at
// once, so that a few with long queues leave room for all others; orderWindow is
// the same for an order's lane, where each delivery may be in the others' way.
const (
	Window      = 32
	orderWindow = 128
)

func window(kind LaneKind) int {
	if kind == OrderLane {
		return orderWindow
	}
	return Window
}

// Loaded is a lane that the worker has, with the deliveries it took from rest in
// lane order.
type Loaded struct {
	LaneState
	Work []*Work
	More bool // the window may have left some behind
	// MorePass: some of these don't wait for what blocks.
	MorePass bool
	// Decisions is the last entry of outbox.audit by then: what a person has decided
	// about these deliveries isn't younger.
	Decisions int64
}

// Claim takes up to limit lanes of the account that are due and that no worker
// has, with their deliveries: of those that the last NextDue would have found.
func (s *Store) Claim(ctx context.Context, token Token, account string, limit int) ([]*Loaded, error) {
	const sql = `
		UPDATE outbox.lanes SET owner = $1, epoch = epoch + 1, handed = 0, next_at = NULL, news = false
		WHERE lane IN (
			SELECT lane FROM outbox.lanes
			WHERE account = $2 AND next_at >= $4 AND next_at <= now()
			ORDER BY next_at LIMIT $3
			FOR UPDATE SKIP LOCKED)
		RETURNING ` + laneColumns
	var loaded []*Loaded
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		var err error
		loaded, err = loadLanes(ctx, tx, token, sql, token, account, limit, s.looks.of(account).since)
		return err
	})
	for i := 0; failpoint.Enabled && err == nil && i < len(loaded); i++ {
		err = failpoint.Each(failpoint.Claimed, loaded[i].Work, func(w *Work) string { return string(w.Type) })
	}
	if err != nil {
		return nil, fmt.Errorf("claiming lanes of %s: %w", account, err)
	}
	return loaded, nil
}

// Reload takes what has come to rest in lanes that the worker already has. It
// returns ErrLeaseLost where one of them isn't the worker's any more.
func (s *Store) Reload(ctx context.Context, token Token, lanes ...Lane) ([]*Loaded, error) {
	const sql = `
		UPDATE outbox.lanes SET news = false
		WHERE lane IN (SELECT lane FROM outbox.lanes WHERE lane = ANY($2) AND owner = $1 ORDER BY lane FOR UPDATE)
		RETURNING ` + laneColumns
	var loaded []*Loaded
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		var err error
		if loaded, err = loadLanes(ctx, tx, token, sql, token, lanes); err == nil && len(loaded) < len(lanes) {
			err = ErrLeaseLost
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reloading lanes: %w", err)
	}
	return loaded, nil
}

// loadLanes runs the statement that takes lanes, and takes what rests in them:
// in an order's lane everything, since each delivery may block the others; in any
// other what may be acted on now, and, counted apart so that neither keeps the other
// out of the window, what blocks.
func loadLanes(ctx context.Context, tx pgx.Tx, token Token, take string, args ...any) ([]*Loaded, error) {
	st, err := holds(ctx, tx, token)
	if err != nil || !st.alive {
		return nil, cmp.Or(err, ErrLeaseLost)
	}
	rows, err := tx.Query(ctx, take, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var loaded []*Loaded
	byLane := map[Lane]*Loaded{}
	lanes := []Lane{}
	for rows.Next() {
		l := &Loaded{Decisions: st.decisions}
		if err := rows.Scan(l.columns()...); err != nil {
			return nil, err
		}
		loaded, byLane[l.Lane], lanes = append(loaded, l), l, append(lanes, l.Lane)
	}
	if err := rows.Err(); err != nil || len(loaded) == 0 {
		return nil, err
	}
	if err := collectWork(ctx, tx, loadSQL, []any{token, lanes, Window, orderWindow}, func(w *Work) {
		l := byLane[w.Lane]
		l.Work = append(l.Work, w)
	}); err != nil {
		return nil, err
	}
	if err := countLoaded(ctx, tx, loaded); err != nil {
		return nil, err
	}
	var low int64
	for _, l := range loaded {
		l.More, l.MorePass = l.windowFull()
		for _, w := range l.Work {
			if low == 0 || w.ID < low {
				low = w.ID
			}
		}
	}
	// Recovery looks from low_delivery on, so it has to cover what was taken here.
	const lower = `UPDATE outbox.workers SET low_delivery = $2 WHERE token = $1 AND low_delivery > $2`
	if low > 0 {
		if _, err := tx.Exec(ctx, lower, token, low); err != nil {
			return nil, err
		}
	}
	return loaded, nil
}

// loadSQL takes what rests in lanes. Each of its reads has an index that holds little else.
const loadSQL = `
	WITH taken AS (
		UPDATE outbox.deliveries SET owner = $1
		WHERE id IN (
			SELECT d.id FROM unnest($2::uuid[]) u(lane)
			JOIN outbox.lanes l USING (lane)
			CROSS JOIN LATERAL (
				(SELECT id FROM outbox.deliveries
				WHERE lane = l.lane AND owner IS NULL AND l.kind = 'order'
				ORDER BY lane_rank, event_time, id LIMIT $4)
				UNION ALL
				(SELECT id FROM outbox.deliveries
				WHERE lane = l.lane AND owner IS NULL AND l.kind <> 'order' AND blocks
				ORDER BY lane_rank, event_time, id LIMIT $3)
				UNION ALL
				(SELECT id FROM outbox.deliveries
				WHERE lane = l.lane AND owner IS NULL AND l.kind <> 'order' AND NOT blocks
					AND (state IN ('pending', 'waiting') OR state = 'unknown' AND next_attempt_at <= now())
				ORDER BY lane_rank, event_time, id LIMIT $3)) d)
		RETURNING *)
	SELECT ` + workColumns + `
	FROM taken d JOIN outbox.events e ON e.id = d.event_id AND e.received_at = d.received_at
	ORDER BY d.lane, d.lane_rank, d.event_time, d.id`

// windowFull reports whether there may be more than was loaded: of any deliveries,
// and outside of orders' lanes of those that don't block.
func (l *Loaded) windowFull() (any, passing bool) {
	if l.Kind == OrderLane {
		return len(l.Work) == orderWindow, false
	}
	blocking := 0
	for _, w := range l.Work {
		if w.Blocks {
			blocking++
		}
	}
	passing = len(l.Work)-blocking == Window
	return passing || blocking == Window, passing
}

// countLoaded counts what was loaded as handed over: an owner that misses the
// answer must not let go of the lane before it has met these.
func countLoaded(ctx context.Context, tx pgx.Tx, loaded []*Loaded) error {
	const sql = `
		UPDATE outbox.lanes l SET handed = l.handed + u.loaded
		FROM unnest($1::uuid[], $2::int[]) u(lane, loaded) WHERE l.lane = u.lane AND u.loaded > 0`
	lanes, counts := make([]Lane, len(loaded)), make([]int32, len(loaded))
	for i, l := range loaded {
		lanes[i], counts[i] = l.Lane, int32(len(l.Work))
		l.Handed += len(l.Work)
	}
	_, err := tx.Exec(ctx, sql, lanes, counts)
	return err
}

// adoptSQL reads what a worker holds. Where it begins is asked first: in a join with
// the worker's row the planner would read all deliveries to the end of the table.
const adoptSQL = `
	SELECT ` + workColumns + `
	FROM outbox.deliveries d
	JOIN outbox.events e ON e.id = d.event_id AND e.received_at = d.received_at
	WHERE d.id >= (SELECT low_delivery FROM outbox.workers WHERE token = $1) AND d.owner = $1
		AND d.state IN ('pending', 'waiting', 'inflight', 'unknown', 'held')
	ORDER BY d.lane_rank, d.event_time, d.id`

// Adopt returns the deliveries that the database says this worker holds, so that
// it can take into its hands those it doesn't know of: a commit whose answer was
// lost on the way leaves such.
func (s *Store) Adopt(ctx context.Context, token Token) ([]Handed, error) {
	var adopted []Handed
	var lanes []Lane
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		adopted, lanes = nil, nil
		err := collectWork(ctx, tx, adoptSQL, []any{token}, func(w *Work) {
			adopted, lanes = append(adopted, Handed{Work: *w}), append(lanes, w.Lane)
		})
		if err != nil || len(lanes) == 0 {
			return err
		}
		rows, err := tx.Query(ctx, `SELECT `+laneColumns+` FROM outbox.lanes WHERE lane = ANY($1)`, lanes)
		if err != nil {
			return err
		}
		defer rows.Close()
		byLane := map[Lane]LaneState{}
		for rows.Next() {
			var l LaneState
			if err := rows.Scan(l.columns()...); err != nil {
				return err
			}
			byLane[l.Lane] = l
		}
		for i := range adopted {
			adopted[i].Lane = byLane[adopted[i].Work.Lane]
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("looking for deliveries that this worker holds: %w", err)
	}
	return adopted, nil
}

const workColumns = `d.id, d.event_id, d.received_at, d.event_time, d.state_since, d.next_attempt_at, d.first_sent_at,
	d.quiet_until, d.early_since, d.lane, d.account, d.type, d.state, d.reason, d.attempts, d.calls, d.ambiguous, d.ever_ambiguous,
	d.key_used, d.duplicate, d.blocks, coalesce(d.vendor_key, ''), coalesce(d.mark, ''), d.vendor_ref, d.points_applied,
	e.ce_id, e.source, e.tenant, e.traceparent, e.order_no, e.uuid, e.membership_id, e.store, e.sales_channel,
	e.occurred_at, e.amount::text, coalesce(e.points, 0), e.pattern, e.remark, e.decr_to_zero, e.binary_mode, e.payload`

// collectWork runs a query for workColumns and passes each row on.
func collectWork(ctx context.Context, tx pgx.Tx, sql string, args []any, pass func(*Work)) error {
	rows, err := tx.Query(ctx, sql, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		w, err := scanWork(rows)
		if err != nil {
			return err
		}
		pass(w)
	}
	return rows.Err()
}

func scanWork(rows pgx.Rows) (*Work, error) {
	w := &Work{Event: &event.Event{}}
	d, e := &w.Delivery, w.Event
	var amount *string
	var binary bool
	var payload string
	err := rows.Scan(&d.ID, &d.EventID, &d.ReceivedAt, &d.EventTime, &d.StateSince, (*instant)(&d.NextAttemptAt),
		(*instant)(&d.FirstSentAt), (*instant)(&d.QuietUntil), (*instant)(&d.EarlySince), &d.Lane, &d.Account, &d.Type,
		&d.State, &d.Reason, &d.Attempts, &d.Calls, &d.Ambiguous, &d.EverAmbiguous, &d.KeyUsed, &d.Duplicate, &d.Blocks, &d.VendorKey, &d.Mark, &d.VendorRef,
		&d.PointsApplied, &e.ID, &e.Source, &e.Tenant, &e.TraceParent, &e.OrderNo, &e.UUID, &e.Member.MembershipID,
		&e.Store, &e.SalesChannel, (*instant)(&e.OccurredAt), &amount, &e.Points, &e.Pattern, &e.Remark,
		&e.DecrToZero, &binary, &payload)
	if err != nil {
		return nil, err
	}
	e.Type, e.Time = d.Type, d.EventTime.UTC()
	if amount != nil {
		value, err := decimal.NewFromString(*amount)
		if err != nil {
			return nil, fmt.Errorf("event %d: amount: %w", d.EventID, err)
		}
		e.Amount = decimal.NullDecimal{Decimal: value, Valid: true}
	}
	if e.Data, err = dataOf(binary, payload); err != nil {
		return nil, fmt.Errorf("event %d: payload: %w", d.EventID, err)
	}
	if err := e.ReadAbout(); err != nil {
		return nil, fmt.Errorf("event %d: data: %w", d.EventID, err)
	}
	return w, nil
}

// dataOf cuts the data out of a payload, byte by byte as it came.
func dataOf(binary bool, payload string) (json.RawMessage, error) {
	if binary {
		return json.RawMessage(payload), nil
	}
	var envelope struct {
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal([]byte(payload), &envelope); err != nil {
		return nil, err
	}
	return envelope.Data, nil
}

func identitiesOf(data json.RawMessage) ([]event.MemberIdentity, error) {
	var d struct {
		Identities []event.MemberIdentity `json:"identities"`
	}
	err := json.Unmarshal(data, &d)
	return d.Identities, err
}

// MemberOfOrder returns how the order's own create names its member: what a till
// that refunds by the number alone leaves out. Empty where there was no create.
func (s *Store) MemberOfOrder(ctx context.Context, tenant, orderNo string) (event.Member, error) {
	const sql = `
		SELECT e.membership_id, e.binary_mode, e.payload FROM outbox.identities i
		JOIN outbox.events e ON e.id = i.event_id AND e.received_at = i.received_at
		WHERE (i.order_no, i.uuid, i.kind, i.tenant) = ($1, '', 'order.created', $2)`
	var m event.Member
	var binary bool
	var payload string
	err := s.pool.QueryRow(ctx, sql, orderNo, tenant).Scan(&m.MembershipID, &binary, &payload)
	if err == pgx.ErrNoRows {
		return event.Member{}, nil
	}
	if err == nil {
		var data json.RawMessage
		if data, err = dataOf(binary, payload); err == nil {
			m.Identities, err = identitiesOf(data)
		}
	}
	if err != nil {
		return event.Member{}, fmt.Errorf("reading the member of an order's create: %w", err)
	}
	return m, nil
}

// StateOfRefund returns the state at the account of the refund that a
// refund_deleted takes back; empty where no such refund is known.
func (s *Store) StateOfRefund(ctx context.Context, account, tenant, orderNo, uuid string) (State, error) {
	const sql = `
		SELECT d.state FROM outbox.identities i JOIN outbox.deliveries d ON d.event_id = i.event_id
		WHERE (i.order_no, i.uuid, i.kind, i.tenant) = ($1, $2, 'order.refunded', $3) AND d.account = $4`
	var state State
	err := s.pool.QueryRow(ctx, sql, orderNo, uuid, tenant, account).Scan(&state)
	if err != nil && err != pgx.ErrNoRows {
		return "", fmt.Errorf("reading the refund that is to be taken back: %w", err)
	}
	return state, nil
}

// ReferencesBeside returns the vendor's references of what else has taken effect in a
// lane whose deliveries have a mark, the newest first: as many as a read may show as new.
func (s *Store) ReferencesBeside(ctx context.Context, d *Delivery) ([]string, error) {
	const sql = `
		SELECT vendor_ref FROM outbox.deliveries
		WHERE lane = $1 AND mark IS NOT NULL AND id <> $2 AND state = 'delivered' AND vendor_ref <> ''
		ORDER BY delivered_at DESC LIMIT 1000`
	rows, err := s.pool.Query(ctx, sql, d.Lane, d.ID)
	if err != nil {
		return nil, fmt.Errorf("reading what else has taken effect in a lane: %w", err)
	}
	refs, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return nil, fmt.Errorf("reading what else has taken effect in a lane: %w", err)
	}
	return refs, nil
}
