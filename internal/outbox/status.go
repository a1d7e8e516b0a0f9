package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"syncworker/internal/event"
)

// Question is what a publisher asks about: an order number, an event's own uuid,
// or the CloudEvents id of one sending. Exactly one of the three is set.
type Question struct {
	OrderNo string
	UUID    string
	CEID    string
	Tenant  string // empty: all
}

// Status is what became of it.
type Status struct {
	Events    []EventStatus    `json:"events"`
	Conflicts []ListedConflict `json:"conflicts"`
	Rejects   []ListedReject   `json:"rejects"`
}

// EventStatus is one event with its deliveries.
type EventStatus struct {
	EventID    int64      `json:"event_id"`
	Tenant     string     `json:"tenant"`
	Type       event.Type `json:"type"` // of points past their retention: empty
	OrderNo    string     `json:"order_no"`
	UUID       string     `json:"uuid"`
	CEID       string     `json:"ce_id"` // of the first sending; empty: past its retention
	Source     string     `json:"source"`
	EventTime  time.Time  `json:"event_time"`
	ReceivedAt time.Time  `json:"received_at"`
	Duplicates int        `json:"duplicates"`
	Deliveries []Listed   `json:"deliveries"`
}

// Found reports whether anything is known.
func (s *Status) Found() bool { return len(s.Events)+len(s.Conflicts)+len(s.Rejects) > 0 }

// NeedsPerson reports whether anything waits for somebody's decision or for a
// publisher to correct it.
func (s *Status) NeedsPerson() bool {
	for _, e := range s.Events {
		for _, d := range e.Deliveries {
			if d.State == Held || d.State == Dead {
				return true
			}
		}
	}
	for _, c := range s.Conflicts {
		if c.Resolution == "" {
			return true
		}
	}
	for _, r := range s.Rejects {
		if r.RepublishedAt.IsZero() {
			return true
		}
	}
	return false
}

// statusLimit bounds each part of a status.
const statusLimit = 500

// Status answers a publisher's question. Rejects are those that mention the
// value anywhere.
func (s *Store) Status(ctx context.Context, q Question) (Status, error) {
	var st Status
	var err error
	if st.Events, err = s.eventsOf(ctx, q); err != nil {
		return Status{}, fmt.Errorf("looking for the events: %w", err)
	}
	if err := s.addDeliveries(ctx, st.Events); err != nil {
		return Status{}, err
	}
	if st.Conflicts, err = s.conflictsOf(ctx, q); err != nil {
		return Status{}, err
	}
	mentions := q.OrderNo + q.UUID + q.CEID
	if st.Rejects, _, err = s.Rejects(ctx, RejectFilter{Mentions: mentions}, statusLimit); err != nil {
		return Status{}, err
	}
	return st, nil
}

// eventsOf finds events by their identities, which outlive payloads.
func (s *Store) eventsOf(ctx context.Context, q Question) ([]EventStatus, error) {
	const columns = `
		SELECT i.event_id, i.tenant, coalesce(e.type, nullif(i.kind, 'point'), ''), i.order_no, i.uuid,
			coalesce(e.ce_id, ''), coalesce(e.source, ''), i.event_time, i.received_at, i.duplicates
		FROM outbox.identities i
		LEFT JOIN outbox.events e ON e.id = i.event_id AND e.received_at = i.received_at `
	const byOrder = columns + `WHERE i.order_no = $1 AND i.order_no <> ''`
	// Each arm has its index: the key of points, and the one over orders' uuids.
	const byUUID = columns + `WHERE (i.order_no = '' AND i.uuid = $1 OR i.order_no <> '' AND i.uuid <> '' AND i.uuid = $1)`
	const byCEID = `
		SELECT i.event_id, i.tenant, e.type, i.order_no, i.uuid, e.ce_id, e.source, i.event_time, i.received_at, i.duplicates
		FROM outbox.events e
		JOIN outbox.identities i ON i.order_no = e.order_no AND i.uuid IN (e.uuid, '') AND i.tenant = e.tenant
			AND i.event_id = e.id
		WHERE e.ce_id = $1`
	sql, value := byOrder, q.OrderNo
	switch {
	case q.UUID != "":
		sql, value = byUUID, q.UUID
	case q.CEID != "":
		sql, value = byCEID, q.CEID
	}
	sql += ` AND ($2 = '' OR i.tenant = $2) ORDER BY i.event_time, i.event_id LIMIT $3`
	rows, err := s.pool.Query(ctx, sql, value, q.Tenant, statusLimit)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (EventStatus, error) {
		e := EventStatus{Deliveries: []Listed{}}
		err := row.Scan(&e.EventID, &e.Tenant, &e.Type, &e.OrderNo, &e.UUID, &e.CEID, &e.Source,
			(*instant)(&e.EventTime), (*instant)(&e.ReceivedAt), &e.Duplicates)
		return e, err
	})
}

func (s *Store) addDeliveries(ctx context.Context, events []EventStatus) error {
	if len(events) == 0 {
		return nil
	}
	ids := make([]int64, len(events))
	byID := make(map[int64]*EventStatus, len(events))
	for i := range events {
		ids[i], byID[events[i].EventID] = events[i].EventID, &events[i]
	}
	const sql = `SELECT d.event_id, ` + listedColumns + ` FROM outbox.deliveries d` + withEventAndAttempt + `
		WHERE d.event_id = ANY($1) ORDER BY d.id`
	rows, err := s.pool.Query(ctx, sql, ids)
	if err != nil {
		return fmt.Errorf("reading the events' deliveries: %w", err)
	}
	var id int64
	var l Listed
	_, err = pgx.ForEachRow(rows, append([]any{&id}, l.columns()...), func() error {
		byID[id].Deliveries = append(byID[id].Deliveries, l)
		return nil
	})
	if err != nil {
		return fmt.Errorf("reading the events' deliveries: %w", err)
	}
	return nil
}

func (s *Store) conflictsOf(ctx context.Context, q Question) ([]ListedConflict, error) {
	f := ConflictFilter{CEID: q.CEID}
	if q.OrderNo != "" {
		f.OrderNos = []string{q.OrderNo}
	}
	if q.UUID != "" {
		f.UUIDs = []string{q.UUID}
	}
	if q.Tenant != "" {
		f.Tenants = []string{q.Tenant}
	}
	list, _, err := s.Conflicts(ctx, f, statusLimit)
	return list, err
}
