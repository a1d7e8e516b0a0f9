package outbox

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"syncworker/internal/event"
)

// Filter chooses deliveries. What is empty chooses all; several values of one
// field are alternatives, several fields have to hold together.
type Filter struct {
	IDs      []int64
	EventIDs []int64
	States   []State
	Accounts []string
	Types    []event.Type
	OrderNos []string
	// Members are as people write them: "id:16508", "mobile:13800000000", or
	// without the kind, which stands for an id and for a mobile number.
	Members []string
	Tenants []string
	Reasons []string
	Codes   []string // the vendor's code in the last attempt
	Since   time.Time
	Until   time.Time // exclusive
}

// Empty reports whether the filter would choose every delivery.
func (f *Filter) Empty() bool {
	return len(f.IDs)+len(f.EventIDs)+len(f.States)+len(f.Accounts)+len(f.Types)+len(f.OrderNos)+len(f.Members)+
		len(f.Tenants)+len(f.Reasons)+len(f.Codes) == 0 && f.Since.IsZero() && f.Until.IsZero()
}

// Listed is a delivery as lists show it, with what its last attempt was told.
type Listed struct {
	ID            int64      `json:"id"`
	Tenant        string     `json:"tenant"`
	Account       string     `json:"account"`
	Type          event.Type `json:"type"`
	OrderNo       string     `json:"order_no"`
	UUID          string     `json:"uuid"`
	Member        string     `json:"member"`
	State         State      `json:"state"`
	Reason        string     `json:"reason"`
	Attempts      int        `json:"attempts"`
	HTTPStatus    int        `json:"http_status"` // 0: no attempt, or no answer
	VendorCode    string     `json:"vendor_code"`
	VendorMessage string     `json:"vendor_message"`
	ReceivedAt    time.Time  `json:"received_at"`
	DeliveredAt   time.Time  `json:"delivered_at,omitzero"`
	NextAttemptAt time.Time  `json:"next_attempt_at,omitzero"`
	AgeSeconds    int64      `json:"age_seconds"` // since it was received
	// Stopped is why its account isn't called, where it would be called now.
	Stopped *Stop `json:"stopped,omitempty"`
}

const listedColumns = `d.id, coalesce(e.tenant, ''), d.account, d.type, coalesce(e.order_no, ''), coalesce(e.uuid, ''),
	coalesce(e.member, ''), d.state, d.reason, d.calls, coalesce(a.http_status, 0), coalesce(a.vendor_code, ''),
	coalesce(a.vendor_message, ''), d.received_at, d.delivered_at, d.next_attempt_at,
	extract(epoch FROM now() - d.received_at)::bigint`

func (l *Listed) columns() []any {
	return []any{
		&l.ID, &l.Tenant, &l.Account, &l.Type, &l.OrderNo, &l.UUID, &l.Member, &l.State, &l.Reason,
		&l.Attempts, &l.HTTPStatus, &l.VendorCode, &l.VendorMessage, (*instant)(&l.ReceivedAt),
		(*instant)(&l.DeliveredAt), (*instant)(&l.NextAttemptAt), &l.AgeSeconds,
	}
}

// withEventAndAttempt joins what a delivery's row leaves out. Payloads go with
// their partition, so the event may be gone.
const withEventAndAttempt = `
	LEFT JOIN outbox.events e ON e.id = d.event_id AND e.received_at = d.received_at
	LEFT JOIN LATERAL (
		SELECT http_status, vendor_code, vendor_message FROM outbox.attempts
		WHERE delivery_id = d.id ORDER BY number DESC, recorded_at DESC LIMIT 1) a ON true`

// List returns the newest deliveries that the filter chooses, and whether there
// are more than limit.
func (s *Store) List(ctx context.Context, f Filter, limit int) (list []Listed, more bool, err error) {
	sql, args, err := s.listSQL(ctx, f, limit+1)
	if err != nil {
		return nil, false, fmt.Errorf("listing deliveries: %w", err)
	}
	stops, err := s.Stops(ctx)
	if err != nil {
		return nil, false, fmt.Errorf("listing deliveries: %w", err)
	}
	list, more, err = page(ctx, s.pool, limit, sql, args, func(row pgx.CollectableRow) (Listed, error) {
		var l Listed
		err := row.Scan(l.columns()...)
		l.stop(stops)
		return l, err
	})
	if err != nil {
		return nil, false, fmt.Errorf("listing deliveries: %w", err)
	}
	return list, more, nil
}

// stop says why a delivery that is to be called, or read back, isn't: its own
// row doesn't know.
func (l *Listed) stop(stops map[string]Stop) {
	l.Stopped = nil
	if stop, found := stops[l.Account]; found && (l.State == Pending || l.State == Unknown) {
		l.Stopped = &stop
	}
}

// page reads a list of at most limit, and whether there are more; sql asks for
// one more than that.
func page[T any](ctx context.Context, db querier, limit int, sql string, args []any,
	scan func(pgx.CollectableRow) (T, error),
) (list []T, more bool, err error) {
	rows, err := db.Query(ctx, sql, args...)
	if err != nil {
		return nil, false, err
	}
	if list, err = pgx.CollectRows(rows, scan); err != nil {
		return nil, false, err
	}
	return list[:min(limit, len(list))], len(list) > limit, nil
}

// listSQL chooses first and joins then, so that what isn't shown isn't read.
func (s *Store) listSQL(ctx context.Context, f Filter, limit int) (sql string, args []any, err error) {
	c, err := s.conditionsOf(ctx, &f)
	if err != nil {
		return "", nil, err
	}
	return `SELECT ` + listedColumns + `
		FROM (SELECT * FROM outbox.deliveries d ` + c.where() + ` ORDER BY d.id DESC LIMIT ` + strconv.Itoa(limit) + `) d` +
		withEventAndAttempt + `
		ORDER BY d.id DESC`, c.args, nil
}

// conditions are the parts of a WHERE over outbox.deliveries d.
type conditions struct {
	parts []string
	args  []any
}

// add adds a condition in which each $? stands for the argument.
func (c *conditions) add(sql string, arg any) {
	c.args = append(c.args, arg)
	c.parts = append(c.parts, strings.ReplaceAll(sql, "$?", "$"+strconv.Itoa(len(c.args))))
}

// in adds the condition where there is anything to compare with.
func in[T any](c *conditions, sql string, values []T) {
	if len(values) > 0 {
		c.add(sql, values)
	}
}

// between wants a column's time to be since or later, and before until; zero
// leaves a side open.
func (c *conditions) between(column string, since, until time.Time) {
	if !since.IsZero() {
		c.add(column+` >= $?`, since)
	}
	if !until.IsZero() {
		c.add(column+` < $?`, until)
	}
}

func (c *conditions) where() string {
	if len(c.parts) == 0 {
		return ""
	}
	return "WHERE " + strings.Join(c.parts, " AND ")
}

// conditionsOf turns a filter into conditions that have an index each: an order
// by its identities, a member by their events, a state by what is at rest.
func (s *Store) conditionsOf(ctx context.Context, f *Filter) (*conditions, error) {
	c := &conditions{}
	in(c, `d.id = ANY($?)`, f.IDs)
	in(c, `d.event_id = ANY($?)`, f.EventIDs)
	in(c, `d.event_id IN (SELECT i.event_id FROM outbox.identities i WHERE i.order_no = ANY($?))`, f.OrderNos)
	in(c, `d.event_id IN (SELECT m.id FROM outbox.events m WHERE m.member = ANY($?))`, memberKeys(f.Members))
	in(c, `d.account = ANY($?)`, f.Accounts)
	in(c, `d.type = ANY($?)`, f.Types)
	in(c, `d.reason = ANY($?)`, f.Reasons)
	in(c, `EXISTS (SELECT FROM outbox.events t
		WHERE t.id = d.event_id AND t.received_at = d.received_at AND t.tenant = ANY($?))`, f.Tenants)
	in(c, `(SELECT l.vendor_code FROM outbox.attempts l WHERE l.delivery_id = d.id
		ORDER BY l.number DESC, l.recorded_at DESC LIMIT 1) = ANY($?)`, f.Codes)
	c.between(`d.received_at`, f.Since, f.Until)
	return c, s.addStates(ctx, c, f.States)
}

// addStates chooses by state. What is at rest, and what is dead, has an index;
// what a worker holds is above the lowest id that any of them holds.
func (s *Store) addStates(ctx context.Context, c *conditions, states []State) error {
	if len(states) == 0 {
		return nil
	}
	if slices.Contains(states, Delivered) || slices.Contains(states, Cancelled) {
		c.add(`d.state = ANY($?)`, states)
		return nil
	}
	const lowest = `SELECT coalesce(min(low_delivery), 9223372036854775807) FROM outbox.workers WHERE ended_at IS NULL`
	var low int64
	if err := s.pool.QueryRow(ctx, lowest).Scan(&low); err != nil {
		return fmt.Errorf("looking for the oldest delivery in a worker's hands: %w", err)
	}
	// Written as a union, so that no estimate makes the planner read everything.
	c.add(`d.id IN (SELECT id FROM outbox.deliveries WHERE listed = ANY($?)
		UNION ALL SELECT id FROM outbox.deliveries WHERE id >= `+strconv.FormatInt(low, 10)+`
			AND listed IS NULL AND state = ANY($?))`, states)
	return nil
}

func memberKeys(members []string) []string {
	var keys []string
	for _, m := range members {
		keys = append(keys, m)
		if !strings.Contains(m, ":") {
			keys = append(keys, "id:"+m, "mobile:"+m)
		}
	}
	return keys
}
