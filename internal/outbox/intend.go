package outbox

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Intent is the committed fact that a call is about to be made.
type Intent struct {
	ID       int64
	WasCalls int
	SentAt   time.Time
	Mark     string // what the vendor had just before; empty changes nothing
	// Stale is set by Commit: something rests in its lane that goes before it. It
	// wasn't written, and would be once that is loaded.
	Stale bool
}

// intendSQL writes intents. What goes before one is what a reload takes first. It
// asks for the first that rests, in the order of the lane's index: asked whether
// there is any, the planner reads the whole table where one lane has most of it.
const intendSQL = `
	UPDATE outbox.deliveries d SET state = 'inflight', reason = '', calls = d.calls + 1,
		first_sent_at = coalesce(d.first_sent_at, u.sent_at), mark = coalesce(u.mark, d.mark)
	FROM unnest($2::bigint[], $3::int[], $4::timestamptz[], $5::text[]) u(id, was_calls, sent_at, mark)
	WHERE d.id = u.id AND d.owner = $1 AND d.calls = u.was_calls
		AND d.state NOT IN ('delivered', 'dead', 'cancelled')
		AND NOT EXISTS (
			SELECT FROM (
				SELECT r.lane_rank, r.event_time, r.id FROM outbox.deliveries r
				WHERE r.lane = d.lane AND r.owner IS NULL AND (r.state IN ('pending', 'waiting') AND (d.blocks OR NOT r.blocks)
					OR r.blocks AND (d.blocks OR r.lane_rank = 0)
					OR (SELECT kind FROM outbox.lanes l WHERE l.lane = d.lane) = 'order')
				ORDER BY r.lane_rank, r.event_time, r.id LIMIT 1) rests
			WHERE (rests.lane_rank, rests.event_time, rests.id) < (d.lane_rank, d.event_time, d.id))`

// queueIntents writes the intents but those that are stale or a person's, and says how
// many it wrote. The order of a lane holds for what was committed before this began.
func queueIntents(b *pgx.Batch, token Token, intents []*Intent, written *int) {
	if len(intents) == 0 {
		return
	}
	n := len(intents)
	ids, wasCalls, sentAt, marks := make([]int64, n), make([]int, n), make([]time.Time, n), make([]*string, n)
	for i, x := range intents {
		ids[i], wasCalls[i], sentAt[i] = x.ID, x.WasCalls, x.SentAt
		if x.Mark != "" {
			marks[i] = &x.Mark
		}
		x.Stale = false
	}
	b.Queue(intendSQL, token, ids, wasCalls, sentAt, marks).Exec(func(tag pgconn.CommandTag) error {
		*written = int(tag.RowsAffected())
		return nil
	})
}

// markStale marks, of the intents of a commit that was written, those that weren't
// although the worker still has their delivery as it was. It returns those that a
// person has cancelled.
func markStale(ctx context.Context, tx pgx.Tx, token Token, intents []*Intent) (cancelled []int64, err error) {
	if len(intents) == 0 {
		return nil, nil
	}
	const sql = `
		SELECT id FROM outbox.deliveries JOIN unnest($2::bigint[], $3::int[]) u(id, was_calls) USING (id)
		WHERE owner = $1 AND calls = was_calls AND state NOT IN ('delivered', 'dead', 'cancelled')`
	const others = `
		SELECT id FROM unnest($2::bigint[], $3::int[]) u(id, was_calls)
		WHERE NOT EXISTS (SELECT FROM outbox.deliveries d WHERE d.id = u.id AND d.owner = $1
			AND (d.calls = u.was_calls AND d.state NOT IN ('delivered', 'dead', 'cancelled')
				OR d.calls = u.was_calls + 1 AND d.state = 'inflight'))`
	ids, wasCalls := make([]int64, len(intents)), make([]int, len(intents))
	for i, x := range intents {
		ids[i], wasCalls[i] = x.ID, x.WasCalls
	}
	rows, err := tx.Query(ctx, sql, token, ids, wasCalls)
	var stale []int64
	if err == nil {
		err = appendIDs(rows, &stale)
	}
	if err != nil {
		return nil, fmt.Errorf("looking for stale intents: %w", err)
	}
	for _, x := range intents {
		x.Stale = slices.Contains(stale, x.ID)
	}
	return cancelledOf(ctx, tx, others, token, ids, wasCalls)
}
