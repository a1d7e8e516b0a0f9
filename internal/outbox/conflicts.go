package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"syncworker/internal/event"
)

// ConflictFilter chooses conflicts; what is empty chooses all.
type ConflictFilter struct {
	Open     bool // only those that nobody has resolved
	Causes   []string
	OrderNos []string
	UUIDs    []string
	Tenants  []string
	CEID     string
	Since    time.Time // the last time that it came
	Until    time.Time // exclusive
}

// ListedConflict is an event that met another of the same identity, or whose key
// at the account another tenant has, or a create of a deleted order.
type ListedConflict struct {
	ID         int64      `json:"id"`
	FirstAt    time.Time  `json:"first_at"`
	LastAt     time.Time  `json:"last_at"`
	Count      int        `json:"count"`
	Cause      string     `json:"cause"` // content, deleted or vendor_key
	Tenant     string     `json:"tenant"`
	Account    string     `json:"account"` // for vendor_key
	Type       event.Type `json:"type"`
	OrderNo    string     `json:"order_no"`
	UUID       string     `json:"uuid"`
	EventTime  time.Time  `json:"event_time"`
	Source     string     `json:"source"`
	CEID       string     `json:"ce_id"`
	Resolution string     `json:"resolution"` // empty: open
	ResolvedAt time.Time  `json:"resolved_at,omitzero"`
}

// ShownConflict has both contents and the difference between them.
type ShownConflict struct {
	ListedConflict
	// First is what was there before; for vendor_key the other tenant's event,
	// nil where only its order is known.
	First       json.RawMessage `json:"first"`
	FirstSource string          `json:"first_source"`
	FirstTenant string          `json:"first_tenant"`
	FirstType   event.Type      `json:"first_type"`
	FirstAsOf   time.Time       `json:"first_event_time,omitzero"`
	Second      json.RawMessage `json:"second"`
	Differences []Difference    `json:"differences"`
	Deeds       []Deed          `json:"audit"`
	Next        []string        `json:"next"`

	eventID int64
	kind    string
}

const conflictColumns = `c.id, c.first_at, c.last_at, c.count, c.cause, c.tenant, c.account, c.type, c.order_no, c.uuid,
	c.event_time, c.source, c.ce_id, c.resolution, c.resolved_at`

func (c *ListedConflict) columns() []any {
	return []any{
		&c.ID, (*instant)(&c.FirstAt), (*instant)(&c.LastAt), &c.Count, &c.Cause, &c.Tenant, &c.Account, &c.Type,
		&c.OrderNo, &c.UUID, (*instant)(&c.EventTime), &c.Source, &c.CEID, &c.Resolution, (*instant)(&c.ResolvedAt),
	}
}

// Conflicts returns the newest conflicts, and whether there are more than limit.
func (s *Store) Conflicts(ctx context.Context, f ConflictFilter, limit int) (list []ListedConflict, more bool, err error) {
	c := &conditions{}
	if f.Open {
		c.parts = append(c.parts, `c.resolution = ''`)
	}
	in(c, `c.cause = ANY($?)`, f.Causes)
	in(c, `c.order_no = ANY($?)`, f.OrderNos)
	in(c, `c.uuid = ANY($?)`, f.UUIDs)
	in(c, `c.tenant = ANY($?)`, f.Tenants)
	if f.CEID != "" {
		c.add(`c.ce_id = $?`, f.CEID)
	}
	if !f.Since.IsZero() {
		c.add(`c.last_at >= $?`, f.Since)
	}
	if !f.Until.IsZero() {
		c.add(`c.last_at < $?`, f.Until)
	}
	sql := `SELECT ` + conflictColumns + ` FROM outbox.conflicts c ` + c.where() +
		` ORDER BY c.id DESC LIMIT ` + strconv.Itoa(limit+1)
	rows, err := s.pool.Query(ctx, sql, c.args...)
	if err == nil {
		list, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (ListedConflict, error) {
			var c ListedConflict
			err := row.Scan(c.columns()...)
			return c, err
		})
	}
	if err != nil {
		return nil, false, fmt.Errorf("listing conflicts: %w", err)
	}
	if len(list) > limit {
		return list[:limit], true, nil
	}
	return list, false, nil
}

// ShowConflict returns one conflict with both contents, or ErrNotFound.
func (s *Store) ShowConflict(ctx context.Context, id int64) (ShownConflict, error) {
	c, err := readConflict(ctx, s.pool, id, "")
	if err != nil {
		return c, err
	}
	err = s.readFirst(ctx, &c)
	if err == nil && c.First != nil {
		c.Differences, err = Differences(c.First, c.Second)
	}
	if err == nil {
		c.Deeds, err = s.Deeds(ctx, targetOf("conflict", id))
	}
	if err != nil {
		return c, fmt.Errorf("showing conflict %d: %w", id, err)
	}
	c.Next = c.nextCommands()
	return c, nil
}

// readConflict reads a conflict; lock may be FOR UPDATE.
func readConflict(ctx context.Context, db querier, id int64, lock string) (ShownConflict, error) {
	sql := `SELECT ` + conflictColumns + `, c.event_id, c.kind, c.binary_mode, c.payload
		FROM outbox.conflicts c WHERE c.id = $1 ` + lock
	var c ShownConflict
	var binary bool
	var payload string
	err := db.QueryRow(ctx, sql, id).Scan(append(c.columns(), &c.eventID, &c.kind, &binary, &payload)...)
	if err == pgx.ErrNoRows {
		return c, fmt.Errorf("conflict %d %w", id, ErrNotFound)
	}
	if err == nil {
		c.Second, err = dataOf(binary, payload)
	}
	if err != nil {
		return c, fmt.Errorf("reading conflict %d: %w", id, err)
	}
	return c, nil
}

// readFirst reads the event that was there before, where its payload still is.
func (s *Store) readFirst(ctx context.Context, c *ShownConflict) error {
	const columns = `SELECT e.binary_mode, e.payload, e.source, e.tenant, e.type, e.event_time `
	const byID = columns + `FROM outbox.events e WHERE e.id = $1`
	const ofAnotherTenant = columns + `
		FROM outbox.identities i JOIN outbox.events e ON e.id = i.event_id AND e.received_at = i.received_at
		WHERE (i.order_no, i.uuid, i.kind) = ($1, $2, $3) AND i.tenant <> $4 ORDER BY i.received_at LIMIT 1`
	sql, args := byID, []any{c.eventID}
	if c.Cause == "vendor_key" {
		sql, args = ofAnotherTenant, []any{c.OrderNo, c.UUID, c.kind, c.Tenant}
	}
	var binary bool
	var payload string
	err := s.pool.QueryRow(ctx, sql, args...).Scan(&binary, &payload, &c.FirstSource, &c.FirstTenant, &c.FirstType, (*instant)(&c.FirstAsOf))
	if err == pgx.ErrNoRows {
		return nil
	}
	if err == nil {
		c.First, err = dataOf(binary, payload)
	}
	if err != nil {
		return fmt.Errorf("reading the first event: %w", err)
	}
	return nil
}

func (c *ShownConflict) nextCommands() []string {
	if c.Resolution != "" {
		return nil
	}
	resolve := fmt.Sprintf("syncworker conflicts resolve %d ", c.ID)
	next := []string{resolve + "--keep-first"}
	if c.refusesSecond() == "" {
		next = append(next, resolve+"--send-second")
	}
	return next
}
