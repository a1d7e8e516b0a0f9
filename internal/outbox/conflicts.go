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

// Causes of a conflict.
const (
	CauseContent   = "content"    // the same identity came with other content
	CauseDeleted   = "deleted"    // a create for an order that was deleted
	CauseVendorKey = "vendor_key" // another tenant has the key at the account
)

// Causes lists every cause of a conflict.
func Causes() []string { return []string{CauseContent, CauseDeleted, CauseVendorKey} }

// What says in words what came, and what stood in its way.
func (c *ListedConflict) What() string {
	switch c.Cause {
	case CauseDeleted:
		return "a create for an order that was deleted"
	case CauseVendorKey:
		return fmt.Sprintf("%s is another tenant's at account %s", c.Key(), c.Account)
	}
	return "the same identity with other content"
}

// Key names what the conflict is about.
func (c *ListedConflict) Key() string {
	if c.OrderNo != "" {
		return "order " + c.OrderNo
	}
	return "uuid " + c.UUID
}

// ShownConflict has both contents and the difference between them.
type ShownConflict struct {
	ListedConflict
	// First is what was there before; for vendor_key the other tenant's event,
	// nil where only FirstTenant is known.
	First       json.RawMessage `json:"first"`
	FirstSource string          `json:"first_source"`
	FirstTenant string          `json:"first_tenant"`
	FirstType   event.Type      `json:"first_type"`
	FirstAsOf   time.Time       `json:"first_event_time,omitzero"`
	Second      json.RawMessage `json:"second"`
	// Delivery is, for vendor_key, the second comer's at the account, in DeliveryState.
	Delivery      int64        `json:"delivery,omitempty"`
	DeliveryState State        `json:"delivery_state,omitempty"`
	Differences   []Difference `json:"differences"`
	Deeds         []Deed       `json:"audit"`
	Next          []string     `json:"next"`

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
	c.between(`c.last_at`, f.Since, f.Until)
	sql := `SELECT ` + conflictColumns + ` FROM outbox.conflicts c ` + c.where() +
		` ORDER BY c.id DESC LIMIT ` + strconv.Itoa(limit+1)
	list, more, err = page(ctx, s.pool, limit, sql, c.args, func(row pgx.CollectableRow) (ListedConflict, error) {
		var c ListedConflict
		err := row.Scan(c.columns()...)
		return c, err
	})
	if err != nil {
		return nil, false, fmt.Errorf("listing conflicts: %w", err)
	}
	return list, more, nil
}

// ShowConflict returns one conflict with both contents, or ErrNotFound.
func (s *Store) ShowConflict(ctx context.Context, id int64) (ShownConflict, error) {
	c, err := readConflict(ctx, s.pool, id, "")
	if err != nil {
		return c, err
	}
	err = s.readFirst(ctx, &c)
	if err == nil && c.Cause == CauseVendorKey {
		err = s.readHeld(ctx, &c)
	}
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
		WHERE (i.order_no, i.uuid, i.kind) = ($1, $2, $3) AND i.tenant <> $4
			AND EXISTS (SELECT FROM outbox.deliveries d WHERE d.event_id = i.event_id AND d.account = $5)
		ORDER BY i.received_at LIMIT 1`
	sql, args := byID, []any{c.eventID}
	if c.Cause == CauseVendorKey {
		sql, args = ofAnotherTenant, []any{c.OrderNo, c.UUID, c.kind, c.Tenant, c.Account}
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

// readHeld reads the delivery whose key is another tenant's, and whose that is:
// an order's lane knows it longer than any payload.
func (s *Store) readHeld(ctx context.Context, c *ShownConflict) error {
	const sql = `
		SELECT d.id, d.state, CASE WHEN l.kind = 'order' THEN l.tenant ELSE '' END
		FROM outbox.deliveries d JOIN outbox.lanes l USING (lane) WHERE d.event_id = $1 AND d.account = $2`
	var tenant string
	err := s.pool.QueryRow(ctx, sql, c.eventID, c.Account).Scan(&c.Delivery, &c.DeliveryState, &tenant)
	if err == pgx.ErrNoRows {
		return nil
	}
	if err != nil {
		return fmt.Errorf("reading the second comer's delivery: %w", err)
	}
	if c.FirstTenant == "" {
		c.FirstTenant = tenant
	}
	return nil
}

func (c *ShownConflict) nextCommands() []string {
	var next []string
	if c.DeliveryState == Held {
		next = append(next, fmt.Sprintf("syncworker deliveries show %d   # the second comer's, held: cancel or resolve it", c.Delivery))
	}
	if c.Resolution != "" {
		return next
	}
	resolve := fmt.Sprintf("syncworker conflicts resolve %d ", c.ID)
	next = append(next, resolve+"--keep-first --reason TEXT")
	if c.refusesSecond() == "" {
		next = append(next, resolve+"--send-second --reason TEXT")
	}
	return next
}
