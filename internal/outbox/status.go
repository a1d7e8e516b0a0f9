package outbox

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"syncworker/internal/event"
)

// Question is what a publisher asks about: an order number, an event's own uuid,
// both (the event of that order that has that uuid), or the CloudEvents id of
// one sending.
type Question struct {
	OrderNo string `json:"order_no,omitempty"`
	UUID    string `json:"uuid,omitempty"`
	CEID    string `json:"ce_id,omitempty"`
	Tenant  string `json:"tenant,omitempty"` // empty: all
}

// Status is what became of it.
type Status struct {
	Asked     Question         `json:"asked"`
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

// Status answers a publisher's question. A reject that was published again
// counts only where that led to no event that the question is about.
func (s *Store) Status(ctx context.Context, q Question) (Status, error) {
	st := Status{Asked: q}
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
	if st.Rejects, err = s.rejectsOf(ctx, q, len(st.Events) > 0); err != nil {
		return Status{}, fmt.Errorf("looking for rejects: %w", err)
	}
	return st, nil
}

// rejectsOf finds the latest rejects that say they are what is asked about, and
// not those that merely have the same text somewhere. A reject has no tenant.
func (s *Store) rejectsOf(ctx context.Context, q Question, open bool) ([]ListedReject, error) {
	const sql = `SELECT ` + rejectColumns + `, r.headers, r.payload FROM outbox.rejects r
		WHERE (position(convert_to($1, 'UTF8') IN r.payload) > 0 OR position($1 IN r.headers) > 0)
			AND (r.republished_at IS NULL OR NOT $2)
		ORDER BY r.last_at DESC, r.id DESC`
	quoted, err := json.Marshal(cmp.Or(q.OrderNo, q.UUID, q.CEID))
	if err != nil {
		return nil, err
	}
	// Without its quotes: a number may have come without them.
	rows, err := s.pool.Query(ctx, sql, string(quoted[1:len(quoted)-1]), open)
	if err != nil {
		return nil, err
	}
	list := []ListedReject{}
	var r ListedReject
	var headers string
	var payload []byte
	_, err = pgx.ForEachRow(rows, append(r.columns(), &headers, &payload), func() error {
		h, err := headersOf(headers)
		if err == nil && len(list) < statusLimit && q.asksAbout(namesIn(payload, h)) {
			list = append(list, r)
		}
		return err
	})
	return list, err
}

func (q *Question) asksAbout(n named) bool {
	has := func(names []string, name string) bool { return name == "" || slices.Contains(names, name) }
	return has(n.orderNos, q.OrderNo) && has(n.uuids, q.UUID) && has(n.ids, q.CEID)
}

// eventsOf finds events by their identities, which outlive payloads.
func (s *Store) eventsOf(ctx context.Context, q Question) ([]EventStatus, error) {
	const columns = `
		SELECT i.event_id, i.tenant, coalesce(e.type, nullif(i.kind, 'point'), ''), i.order_no, i.uuid,
			coalesce(e.ce_id, ''), coalesce(e.source, ''), i.event_time, i.received_at, i.duplicates
		FROM outbox.identities i
		LEFT JOIN outbox.events e ON e.id = i.event_id AND e.received_at = i.received_at `
	const byOrder = columns + `WHERE i.order_no = $1 AND i.order_no <> '' AND ($4 = '' OR i.uuid = $4)`
	// Each arm has its index: the key of points, and the one over orders' uuids.
	const byUUID = columns + `WHERE (i.order_no = '' AND i.uuid = $1 OR i.order_no <> '' AND i.uuid <> '' AND i.uuid = $1)`
	const byCEID = `
		SELECT i.event_id, i.tenant, e.type, i.order_no, i.uuid, e.ce_id, e.source, i.event_time, i.received_at, i.duplicates
		FROM outbox.events e
		JOIN outbox.identities i ON i.order_no = e.order_no AND i.uuid IN (e.uuid, '') AND i.tenant = e.tenant
			AND i.event_id = e.id
		WHERE e.ce_id = $1`
	sql, args := byOrder, []any{q.OrderNo, q.Tenant, statusLimit, q.UUID}
	switch {
	case q.CEID != "":
		sql, args = byCEID, []any{q.CEID, q.Tenant, statusLimit}
	case q.OrderNo == "":
		sql, args = byUUID, []any{q.UUID, q.Tenant, statusLimit}
	}
	sql += ` AND ($2 = '' OR i.tenant = $2) ORDER BY i.event_time, i.event_id LIMIT $3`
	rows, err := s.pool.Query(ctx, sql, args...)
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
	stops, err := s.Stops(ctx)
	if err != nil {
		return fmt.Errorf("reading the events' deliveries: %w", err)
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
		l.stop(stops)
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
