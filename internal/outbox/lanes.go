package outbox

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"syncworker/internal/event"
)

// route is one delivery of a batch before it is inserted.
type route struct {
	*arrival
	account string
	lane    Lane
	kind    LaneKind
	state   State
	reason  string
	blocks  bool
	key     *string // the vendor key that is claimed for it, where there is one
	owner   *Token
	handed  *Handed // where the worker gets it
}

// routesOf gives each fresh event one delivery per account.
func routesOf(b Batch, fresh []arrival) []*route {
	var routes []*route
	for i := range fresh {
		a := &fresh[i]
		if len(a.Accounts) == 0 {
			lane, kind := LaneOf("", a.Event)
			routes = append(routes, &route{arrival: a, lane: lane, kind: kind, state: Held, reason: ReasonUnrouted})
		}
		for _, account := range a.Accounts {
			lane, kind := LaneOf(account, a.Event)
			r := &route{arrival: a, account: account, lane: lane, kind: kind, state: Pending}
			if b.Recovered {
				r.state, r.reason = Unknown, ReasonLostCommit
			}
			if key := a.Event.VendorKey(); key != "" {
				r.key = &key
			}
			r.blocks = kind != OrderLane && b.blocks(account, a.Event.Type)
			routes = append(routes, r)
		}
	}
	return routes
}

// deliver inserts the deliveries of fresh events. Lanes that are free are taken by
// this worker, so that what is just committed needs neither a poll nor, where it
// goes at once, a second transaction. The statements in first go before.
func deliver(ctx context.Context, tx pgx.Tx, first *pgx.Batch, token Token, b Batch, fresh []arrival, out *Enqueued) error {
	routes, lanes := routesOf(b, fresh), map[Lane]*laneRow{}
	queueJoins(first, token, b, routes, lanes)
	if err := tx.SendBatch(ctx, first).Close(); err != nil {
		return fmt.Errorf("joining lanes: %w", err)
	}
	if err := freeAbandoned(ctx, tx, restingInHands(lanes)); err != nil {
		return err
	}
	for _, r := range routes {
		lane := lanes[r.lane]
		switch {
		case r.account == "":
		case r.kind == OrderLane && lane.Tenant != r.identity.Tenant:
			r.state, r.reason = Held, ReasonVendorKey
		case lane.handsTo(token) && b.takes(r):
			r.owner = &token
		}
	}
	b.handOver(routes, lanes)
	ids, err := insertRoutes(ctx, tx, routes)
	if err != nil {
		return err
	}
	return settleRoutes(ctx, tx, token, b, routes, ids, lanes, out)
}

// handOver prepares what the worker gets, and lets it choose what it calls at once.
func (b *Batch) handOver(routes []*route, lanes map[Lane]*laneRow) {
	var handed []Handed
	for _, r := range routes {
		if r.owner != nil {
			handed = append(handed, Handed{
				Lane: lanes[r.lane].LaneState,
				Work: Work{Event: r.Event, Delivery: Delivery{
					EventID: r.eventID, EventTime: r.Event.Time, Lane: r.lane,
					Account: r.account, Type: r.Event.Type, State: Pending, VendorKey: deref(r.key), Blocks: r.blocks,
				}},
			})
		}
	}
	if b.Intend != nil && len(handed) > 0 {
		b.Intend(handed)
	}
	for _, r := range routes {
		if r.owner != nil {
			r.handed, handed = &handed[0], handed[1:]
		}
	}
}

// laneRow is a lane as its upsert leaves it.
type laneRow struct {
	LaneState
	owner   *Token
	resting bool
}

// handsTo reports whether a delivery that joins the lane goes straight to the
// worker: it has the lane, and nothing rests there that has to go first.
func (l *laneRow) handsTo(token Token) bool {
	return l.owner != nil && *l.owner == token && !l.resting
}

// restingInHands returns the owners of lanes in which something rests all the
// same. One of them may be this worker's own, which has ended and goes on reading.
func restingInHands(lanes map[Lane]*laneRow) map[Lane]Token {
	owned := map[Lane]Token{}
	for lane, l := range lanes {
		if l.owner != nil && l.resting {
			owned[lane] = *l.owner
		}
	}
	return owned
}

// freeAbandoned makes lanes due whose owner has ended: recovery finds a lane by
// what is in it, and so leaves one that was empty. An owner that hasn't ended
// doesn't before this transaction is over, so that its recovery finds what came.
func freeAbandoned(ctx context.Context, tx pgx.Tx, owned map[Lane]Token) error {
	if len(owned) == 0 {
		return nil
	}
	const sql = `
		WITH owners AS MATERIALIZED (
			SELECT token, ended_at FROM outbox.workers WHERE token = ANY($2) ORDER BY token FOR KEY SHARE)
		UPDATE outbox.lanes SET owner = NULL, resting = true, news = true, next_at = CASE WHEN account <> '' THEN now() END
		WHERE lane = ANY($1) AND owner IN (SELECT token FROM owners WHERE ended_at IS NOT NULL)`
	_, err := tx.Exec(ctx, sql, slices.Collect(maps.Keys(owned)), slices.Collect(maps.Values(owned)))
	if err != nil {
		return fmt.Errorf("freeing lanes of workers that have ended: %w", err)
	}
	return nil
}

func (b *Batch) blocks(account string, t event.Type) bool {
	return b.Blocks != nil && b.Blocks(account, t)
}

func (b *Batch) takes(r *route) bool {
	return r.account != "" && !b.Recovered && slices.Contains(b.Accept, r.account)
}

// queueJoins adds to the lanes of these deliveries, in lane order. A lane that is
// idle, with nothing at rest, is taken; where another worker has it, or where
// something is at rest, the new deliveries rest too and the lane has news.
func queueJoins(batch *pgx.Batch, token Token, b Batch, routes []*route, joined map[Lane]*laneRow) {
	type joining struct {
		*route
		count int
	}
	byLane := map[Lane]*joining{}
	var sorted []*joining
	for _, r := range routes {
		if j := byLane[r.lane]; j != nil {
			j.count++
			continue
		}
		j := &joining{route: r, count: 1}
		byLane[r.lane] = j
		sorted = append(sorted, j)
	}
	slices.SortFunc(sorted, func(a, b *joining) int { return slices.Compare(a.lane[:], b.lane[:]) })
	n := len(sorted)
	lanes, kinds, accounts, tenants := make([]Lane, n), make([]string, n), make([]string, n), make([]string, n)
	counts, take := make([]int32, n), make([]bool, n)
	for i, j := range sorted {
		lanes[i], kinds[i], accounts[i], tenants[i] = j.lane, string(j.kind), j.account, j.identity.Tenant
		counts[i] = int32(j.count)
		take[i] = b.takes(j.route) && j.count <= window(j.kind) && !slices.Contains(b.Full, j.lane)
	}
	// A lane without account is a place to hold what no route takes: never due.
	const sql = `
		INSERT INTO outbox.lanes AS l (lane, kind, account, tenant, handed, owner, epoch, resting, news, next_at)
		SELECT u.lane, u.kind, u.account, u.tenant, CASE WHEN u.take THEN u.added ELSE 0 END, CASE WHEN u.take THEN $1::bigint END,
		       u.take::int, NOT u.take, NOT u.take, CASE WHEN NOT u.take AND u.account <> '' THEN now() END
		FROM unnest($2::uuid[], $3::text[], $4::text[], $5::text[], $6::int[], $7::bool[])
			u(lane, kind, account, tenant, added, take)
		ON CONFLICT (lane) DO UPDATE SET
			handed = CASE WHEN l.resting OR excluded.owner IS NULL THEN l.handed
			              WHEN l.owner IS NULL THEN excluded.handed
			              WHEN l.owner = excluded.owner THEN l.handed + excluded.handed
			              ELSE l.handed END,
			owner = CASE WHEN l.owner IS NULL AND NOT l.resting THEN excluded.owner ELSE l.owner END,
			epoch = CASE WHEN l.owner IS NULL AND NOT l.resting THEN l.epoch + excluded.epoch ELSE l.epoch END,
			resting = l.resting OR excluded.owner IS NULL OR coalesce(l.owner <> excluded.owner, false),
			news = l.resting OR excluded.owner IS NULL OR coalesce(l.owner <> excluded.owner, false),
			next_at = CASE WHEN l.owner IS NULL AND (l.resting OR excluded.owner IS NULL) AND l.account <> '' THEN now()
			               ELSE l.next_at END
		RETURNING lane, kind, account, tenant, epoch, handed, created, updated_to,
			open_refunds, deleted, member, owner, resting`
	batch.Queue(sql, token, lanes, kinds, accounts, tenants, counts, take).Query(func(rows pgx.Rows) error {
		for rows.Next() {
			var r laneRow
			if err := rows.Scan(append(r.columns(), &r.owner, &r.resting)...); err != nil {
				return err
			}
			joined[r.Lane] = &r
		}
		return rows.Err()
	})
}

// laneColumns is what columns scans.
const laneColumns = `lane, kind, account, tenant, epoch, handed, created, updated_to,
	open_refunds, deleted, member`

func (l *LaneState) columns() []any {
	return []any{
		&l.Lane, &l.Kind, &l.Account, &l.Tenant, &l.Epoch, &l.Handed, &l.Created, (*instant)(&l.UpdatedTo),
		&l.OpenRefunds, &l.Deleted, &l.Member,
	}
}

func insertRoutes(ctx context.Context, tx pgx.Tx, routes []*route) (map[deliveryKey]inserted, error) {
	n := len(routes)
	events, times, lanes, ranks := make([]int64, n), make([]time.Time, n), make([]Lane, n), make([]int16, n)
	accounts, types, states, reasons := make([]string, n), make([]string, n), make([]string, n), make([]string, n)
	owners, keys, sentAt, blocks := make([]*Token, n), make([]*string, n), make([]*time.Time, n), make([]bool, n)
	for i, r := range routes {
		if r.handed != nil && !r.handed.SentAt.IsZero() {
			r.state, sentAt[i] = Inflight, &r.handed.SentAt
		}
		events[i], times[i], lanes[i], ranks[i] = r.eventID, r.Event.Time, r.lane, Rank(r.Event.Type)
		accounts[i], types[i], states[i], reasons[i] = r.account, string(r.Event.Type), string(r.state), r.reason
		owners[i], keys[i], blocks[i] = r.owner, r.key, r.blocks
	}
	const sql = `
		INSERT INTO outbox.deliveries (event_id, event_time, lane, lane_rank, account, type, state, reason, owner,
			vendor_key, first_sent_at, blocks, calls, ambiguous, ever_ambiguous, key_used, next_attempt_at)
		SELECT u.*, (u.state = 'inflight')::int, u.state = 'unknown', u.state = 'unknown', u.state = 'unknown',
		       CASE WHEN u.state = 'unknown' THEN now() END
		FROM unnest($1::bigint[], $2::timestamptz[], $3::uuid[], $4::smallint[], $5::text[], $6::text[], $7::text[],
			$8::text[], $9::bigint[], $10::text[], $11::timestamptz[], $12::bool[]) u(event_id, event_time, lane, lane_rank, account,
			type, state, reason, owner, vendor_key, first_sent_at, blocks)
		ON CONFLICT (account, vendor_key) WHERE vendor_key IS NOT NULL DO NOTHING
		RETURNING event_id, account, id, received_at`
	rows, err := tx.Query(ctx, sql, events, times, lanes, ranks, accounts, types, states, reasons, owners, keys, sentAt, blocks)
	if err != nil {
		return nil, fmt.Errorf("inserting deliveries: %w", err)
	}
	ids := make(map[deliveryKey]inserted, n)
	var k deliveryKey
	var in inserted
	if _, err := pgx.ForEachRow(rows, []any{&k.event, &k.account, &in.id, &in.at}, func() error { ids[k] = in; return nil }); err != nil {
		return nil, fmt.Errorf("inserting deliveries: %w", err)
	}
	return ids, nil
}

// instant reads a timestamptz that may be NULL: the zero time then.
type instant time.Time

// ScanTimestamptz implements pgtype.TimestamptzScanner.
func (t *instant) ScanTimestamptz(v pgtype.Timestamptz) error {
	*t = instant{}
	if v.Valid {
		*t = instant(v.Time.UTC())
	}
	return nil
}

type deliveryKey struct {
	event   int64
	account string
}

type inserted struct {
	id int64
	at time.Time
}

// settleRoutes hands over what the worker now holds, and keeps as conflicts the
// deliveries whose vendor key somebody else has at that account.
func settleRoutes(ctx context.Context, tx pgx.Tx, token Token, b Batch, routes []*route,
	ids map[deliveryKey]inserted, lanes map[Lane]*laneRow, out *Enqueued,
) error {
	const held = `
		INSERT INTO outbox.deliveries (event_id, event_time, lane, lane_rank, account, type, state, reason)
		VALUES ($1, $2, $3, $4, $5, $6, 'held', $7)` // it never blocks: what it would do is another event's
	// It rests, in a lane that may have counted it as handed over.
	const notHanded = `UPDATE outbox.lanes SET resting = true, news = true, handed = handed - $2 WHERE lane = $1`
	for _, r := range routes {
		in, found := ids[deliveryKey{r.eventID, r.account}]
		if !found || r.reason == ReasonVendorKey {
			if !found {
				_, err := tx.Exec(ctx, held, r.eventID, r.Event.Time, r.lane, Rank(r.Event.Type), r.account,
					string(r.Event.Type), ReasonVendorKey)
				if err != nil {
					return fmt.Errorf("holding a delivery whose vendor key is taken: %w", err)
				}
			}
			if err := insertConflict(ctx, tx, *r.arrival, "vendor_key", r.account); err != nil {
				return err
			}
			out.Conflicts++
			counted := 0
			if lane := lanes[r.lane]; lane.handsTo(token) && b.takes(r) {
				counted = 1
				out.Taken = append(out.Taken, lane.LaneState)
			}
			if _, err := tx.Exec(ctx, notHanded, r.lane, counted); err != nil {
				return fmt.Errorf("holding a delivery whose vendor key is taken: %w", err)
			}
			continue
		}
		if r.owner == nil {
			out.Rested = out.Rested || r.account != ""
			continue
		}
		r.handed.ID, r.handed.ReceivedAt = in.id, in.at
		out.Handed = append(out.Handed, *r.handed)
	}
	return nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
