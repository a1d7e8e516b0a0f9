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

// ErrNotFound is returned where what was asked for by its id isn't there.
var ErrNotFound = errors.New("isn't there")

// Shown is all that is known about one delivery, personal data included.
type Shown struct {
	Listed
	EventTime     time.Time      `json:"event_time"`
	StateSince    time.Time      `json:"state_since"`
	FirstSentAt   time.Time      `json:"first_sent_at,omitzero"`
	QuietUntil    time.Time      `json:"quiet_until,omitzero"`
	Calls         int            `json:"calls"`
	Ambiguous     bool           `json:"ambiguous"`
	EverAmbiguous bool           `json:"ever_ambiguous"`
	Duplicate     bool           `json:"duplicate"`
	VendorKey     string         `json:"vendor_key"`
	VendorRef     string         `json:"vendor_ref"`
	PointsApplied *int64         `json:"points_applied,omitempty"`
	Worker        string         `json:"worker"` // that has it in its hands; empty: it rests or is final
	Event         *ShownEvent    `json:"event"`  // nil: past its retention
	Lane          []LaneLine     `json:"lane"`
	LaneNextAt    time.Time      `json:"lane_next_at,omitzero"`
	LaneWorker    string         `json:"lane_worker"` // that has the lane
	AttemptLog    []ShownAttempt `json:"attempt_log"`
	Deeds         []Deed         `json:"audit"`
	Conflicts     []ConflictID   `json:"conflicts"`
	Next          []string       `json:"next"` // the commands that a person can use now
}

// ShownEvent is the event with its envelope.
type ShownEvent struct {
	ID          int64           `json:"id"`
	CEID        string          `json:"ce_id"`
	Source      string          `json:"source"`
	TraceParent string          `json:"traceparent"`
	Duplicates  int             `json:"duplicates"`
	Data        json.RawMessage `json:"data"`
}

// LaneLine is one delivery of a lane.
type LaneLine struct {
	ID        int64      `json:"id"`
	Type      event.Type `json:"type"`
	UUID      string     `json:"uuid"`
	State     State      `json:"state"`
	Reason    string     `json:"reason"`
	EventTime time.Time  `json:"event_time"`
	This      bool       `json:"this"`
}

// ShownAttempt is one attempt: a call to the vendor, with request and reply.
type ShownAttempt struct {
	Number        int       `json:"number"`
	StartedAt     time.Time `json:"started_at"`
	DurationMs    float64   `json:"duration_ms"`
	Action        string    `json:"action"`
	Class         string    `json:"class"`
	Method        string    `json:"method"`
	Path          string    `json:"path"`
	HTTPStatus    int       `json:"http_status"`
	VendorCode    string    `json:"vendor_code"`
	VendorMessage string    `json:"vendor_message"`
	Late          bool      `json:"late"` // heard by a worker that had lost its lease
	Request       string    `json:"request"`
	Reply         string    `json:"reply"`
}

// ConflictID names a conflict of an event.
type ConflictID struct {
	ID         int64  `json:"id"`
	Cause      string `json:"cause"`
	Resolution string `json:"resolution"` // empty: open
}

// laneLimit bounds how many deliveries of a lane Show returns, newest first.
const laneLimit = 100

// Show returns what is known about a delivery, or ErrNotFound.
func (s *Store) Show(ctx context.Context, id int64) (Shown, error) {
	list, _, err := s.List(ctx, Filter{IDs: []int64{id}}, 1)
	if err != nil {
		return Shown{}, err
	}
	if len(list) == 0 {
		return Shown{}, fmt.Errorf("delivery %d %w", id, ErrNotFound)
	}
	x := Shown{Listed: list[0]}
	st, err := s.showStanding(ctx, &x)
	if err == nil {
		err = s.showEvent(ctx, st, &x)
	}
	if err == nil {
		err = s.showLane(ctx, st, &x)
	}
	if err == nil {
		err = s.showAttempts(ctx, &x)
	}
	if err == nil {
		x.Deeds, err = s.Deeds(ctx, targetOf("delivery", id))
	}
	if err != nil {
		return Shown{}, fmt.Errorf("showing delivery %d: %w", id, err)
	}
	x.Next = NextCommands(st)
	return x, nil
}

func (s *Store) showStanding(ctx context.Context, x *Shown) (*Standing, error) {
	list, err := standings(ctx, s.pool, `SELECT `+standingColumns+standingFrom+`WHERE d.id = $1`, x.ID)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, ErrNotFound
	}
	st := &list[0]
	x.EventTime, x.StateSince, x.FirstSentAt, x.QuietUntil = st.EventTime.UTC(), st.StateSince.UTC(), st.FirstSentAt, st.QuietUntil
	x.Calls, x.Ambiguous, x.EverAmbiguous, x.Duplicate = st.Calls, st.Ambiguous, st.EverAmbiguous, st.Duplicate
	x.VendorKey, x.VendorRef, x.PointsApplied = st.VendorKey, st.VendorRef, st.PointsApplied
	const lane = `
		SELECT l.next_at, coalesce(o.name, ''), coalesce(h.name, '') FROM outbox.lanes l
		LEFT JOIN outbox.workers o ON o.token = l.owner
		LEFT JOIN outbox.workers h ON h.token = $2
		WHERE l.lane = $1`
	holder := st.Owner
	if st.State.Final() {
		holder = nil
	}
	err = s.pool.QueryRow(ctx, lane, st.Lane, holder).Scan((*instant)(&x.LaneNextAt), &x.LaneWorker, &x.Worker)
	if err == pgx.ErrNoRows {
		err = nil
	}
	return st, err
}

func (s *Store) showEvent(ctx context.Context, st *Standing, x *Shown) error {
	const sql = `
		SELECT e.ce_id, e.source, e.traceparent, e.binary_mode, e.payload, coalesce(i.duplicates, 0)
		FROM outbox.events e
		LEFT JOIN outbox.identities i ON i.order_no = e.order_no AND i.tenant = e.tenant AND i.event_id = e.id
			AND i.uuid IN (e.uuid, '')
		WHERE e.id = $1 AND e.received_at = $2`
	e := ShownEvent{ID: st.EventID}
	var binary bool
	var payload string
	err := s.pool.QueryRow(ctx, sql, st.EventID, st.ReceivedAt).
		Scan(&e.CEID, &e.Source, &e.TraceParent, &binary, &payload, &e.Duplicates)
	if err == pgx.ErrNoRows {
		return nil
	}
	if err == nil {
		e.Data, err = dataOf(binary, payload)
	}
	if err != nil {
		return fmt.Errorf("reading its event: %w", err)
	}
	x.Event = &e
	const conflicts = `SELECT id, cause, resolution FROM outbox.conflicts c
		WHERE c.event_id = $1 AND c.order_no = $2 ORDER BY id`
	rows, err := s.pool.Query(ctx, conflicts, st.EventID, st.OrderNo)
	if err == nil {
		x.Conflicts, err = pgx.CollectRows(rows, pgx.RowToStructByPos[ConflictID])
	}
	if err != nil {
		return fmt.Errorf("reading its conflicts: %w", err)
	}
	return nil
}

// showLane reads the deliveries of the same order, or of the same member, at the
// account. The lane's own index has only what is at rest.
func (s *Store) showLane(ctx context.Context, st *Standing, x *Shown) error {
	const order = `SELECT i.event_id FROM outbox.identities i WHERE i.order_no = $2`
	const member = `SELECT m.id FROM outbox.events m WHERE m.member = $2 AND m.member <> ''`
	events, key := order, st.OrderNo
	if st.Type.Point() {
		events, key = member, x.Member
	}
	sql := `
		SELECT d.id, d.type, coalesce(e.uuid, ''), d.state, d.reason, d.event_time, d.id = $3
		FROM (SELECT * FROM outbox.deliveries d WHERE d.event_id IN (` + events + `) AND d.lane = $1
			ORDER BY d.lane_rank DESC, d.event_time DESC, d.id DESC LIMIT $4) d
		LEFT JOIN outbox.events e ON e.id = d.event_id AND e.received_at = d.received_at
		ORDER BY d.lane_rank, d.event_time, d.id`
	rows, err := s.pool.Query(ctx, sql, st.Lane, key, st.ID, laneLimit)
	if err == nil {
		x.Lane, err = pgx.CollectRows(rows, pgx.RowToStructByPos[LaneLine])
	}
	if err != nil {
		return fmt.Errorf("reading its lane: %w", err)
	}
	return nil
}

func (s *Store) showAttempts(ctx context.Context, x *Shown) error {
	const sql = `
		SELECT number, started_at, duration_us / 1000.0::float8, action, class, method, path, http_status, vendor_code,
			vendor_message, late, request, reply
		FROM outbox.attempts WHERE delivery_id = $1 ORDER BY number, recorded_at`
	rows, err := s.pool.Query(ctx, sql, x.ID)
	if err != nil {
		return fmt.Errorf("reading its attempts: %w", err)
	}
	x.AttemptLog, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (ShownAttempt, error) {
		var a ShownAttempt
		var request *string
		err := row.Scan(&a.Number, (*instant)(&a.StartedAt), &a.DurationMs, &a.Action, &a.Class, &a.Method, &a.Path,
			&a.HTTPStatus, &a.VendorCode, &a.VendorMessage, &a.Late, &request, &a.Reply)
		switch {
		case request != nil:
			a.Request = *request
		case x.Event != nil:
			a.Request = string(x.Event.Data)
		}
		return a, err
	})
	if err != nil {
		return fmt.Errorf("reading its attempts: %w", err)
	}
	return nil
}
