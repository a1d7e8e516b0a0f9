package outbox_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"syncworker/internal/devstack/devtest"
	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

// intent is the intent for a delivery as it was handed over.
func intent(h outbox.Handed) *outbox.Intent {
	return &outbox.Intent{ID: h.ID, WasCalls: h.Calls, SentAt: opening}
}

// I3: what another worker has added to a lane is called before what is behind it,
// however long the owner has had that in its hand.
func TestNothingIsCalledBeforeWhatHasCommittedAndGoesBeforeIt(t *testing.T) {
	points := func(uuid string, minute int) line {
		return line{kind: event.PointIncremented, member: "13800000001", uuid: uuid, minute: minute}
	}
	deleted := line{kind: event.OrderDeleted, order: "o1", minute: 5}
	for name, c := range map[string]struct {
		mine, added line
		stale       bool
	}{
		"an older event of the order":     {deleted, line{kind: event.OrderCancelled, order: "o1", minute: 4}, true},
		"its create, whatever its clock":  {deleted, line{kind: event.OrderCreated, order: "o1", minute: 9}, true},
		"a later event of the order":      {deleted, line{kind: event.OrderUpdated, order: "o1", uuid: "u1", minute: 6}, false},
		"another order":                   {deleted, line{kind: event.OrderCancelled, order: "o2", minute: 4}, false},
		"older points of the member":      {points("p2", 2), points("p1", 1), true},
		"later points of the member":      {points("p1", 1), points("p2", 2), false},
		"one of another tenant, held":     {deleted, line{kind: event.OrderCancelled, order: "o1", tenant: "b", minute: 4}, true},
		"its points, of the same instant": {points("p1", 1), points("p2", 1), false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			out := s.enqueues(s.token, s.batch([]string{account}, c.mine, line{kind: event.OrderCreated, order: "o3"}))
			require.Len(t, out.Handed, 2)
			require.Empty(t, s.enqueues(s.worker(time.Hour), s.batch(nil, c.added)).Handed)

			first := outbox.Commit{Number: 1, Intents: []*outbox.Intent{intent(out.Handed[0]), intent(out.Handed[1])}}
			for range 2 { // the second time as if the answer had been lost
				first.Intents[0].Stale, first.Intents[1].Stale = !c.stale, true
				gone, err := s.Commit(t.Context(), s.token, first)
				require.NoError(t, err)
				require.Empty(t, gone)
				require.Equal(t, c.stale, first.Intents[0].Stale)
				require.False(t, first.Intents[1].Stale, "it is of another lane")
				require.Equal(t, map[bool]int{true: 1, false: 2}[c.stale], s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'inflight'`))
				require.Equal(t, map[bool]int{true: 1, false: 2}[c.stale], s.count(`SELECT sum(calls) FROM outbox.deliveries`))
			}
			if !c.stale {
				return
			}
			loaded, err := s.Reload(t.Context(), s.token, out.Handed[0].Lane.Lane)
			require.NoError(t, err)
			require.Len(t, loaded[0].Work, 1)
			second := outbox.Commit{Number: 2, Intents: []*outbox.Intent{intent(out.Handed[0])}}
			_, err = s.Commit(t.Context(), s.token, second)
			require.NoError(t, err)
			require.False(t, second.Intents[0].Stale, "whether it is its turn is the worker's to say now")
			require.Equal(t, 2, s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'inflight'`))
		})
	}
}

// What a member's lane has put aside lets the others go on, and isn't loaded again.
func TestWhatAMemberHasOnHoldMakesNothingStale(t *testing.T) {
	s := newShop(t)
	held := s.comesAs(outbox.Held, line{kind: event.PointIncremented, uuid: "p1", minute: 1})
	lane := s.claims(held).Lane
	h := s.comes(line{kind: event.PointIncremented, uuid: "p2", minute: 2})
	loaded, err := s.Reload(t.Context(), s.token, lane)
	require.NoError(t, err)
	require.Len(t, loaded[0].Work, 1)
	require.Equal(t, h[0], loaded[0].Work[0].ID)
	require.Empty(t, s.commits(outbox.Commit{Intents: []*outbox.Intent{{ID: h[0], SentAt: opening}}}))
	require.Equal(t, "inflight", s.row(h[0])["state"])
}

// What blocks keeps the others of its lane waiting, so that who plans the lane has to
// see it.
func TestWhatBlocksIsLoadedWithItsLaneWhateverItsState(t *testing.T) {
	s := newShop(t)
	held := s.comesAs(outbox.Held, line{kind: event.PointIncremented, uuid: "p1", minute: 1})
	s.exec(`UPDATE outbox.deliveries SET blocks = true WHERE id = $1`, held)
	work := s.claims(s.comes(line{kind: event.PointIncremented, uuid: "p2", minute: 2})[0]).Work
	require.Len(t, work, 2)
	require.Equal(t, held, work[0].ID)
	require.True(t, work[0].Blocks)
}

func TestAnIntentIsNotStaleButLostOnceSomebodyElseHasItsDelivery(t *testing.T) {
	s := newShop(t)
	h := s.enqueues(s.token, s.batch([]string{account}, line{kind: event.OrderDeleted, order: "o1", minute: 5})).Handed[0]
	s.enqueues(s.worker(time.Hour), s.batch(nil, line{kind: event.OrderCancelled, order: "o1", minute: 4}))
	s.exec(`UPDATE outbox.deliveries SET owner = 99 WHERE id = $1`, h.ID)
	_, err := s.Commit(t.Context(), s.token, outbox.Commit{Number: 1, Intents: []*outbox.Intent{intent(h)}})
	require.ErrorIs(t, err, outbox.ErrLeaseLost)
}

func TestIntentsReadTheIndexOfALaneThatHasMostOfAll(t *testing.T) {
	s := newShop(t)
	id := s.comes(line{kind: event.PointIncremented, uuid: "p"})[0]
	s.exec(`INSERT INTO outbox.deliveries (event_id, event_time, lane, lane_rank, account, type, state)
		SELECT event_id, event_time, lane, lane_rank, account, type, state FROM outbox.deliveries, generate_series(1, 30000) WHERE id = $1`, id)
	s.exec(`ANALYZE outbox.deliveries, outbox.lanes`)
	plan := s.plan(`(bigint, bigint[], int[], timestamptz[], text[]) AS `+outbox.IntendSQL, `(1, '{1}', '{0}', '{now}', '{NULL}')`)
	require.NotContains(t, plan, "Seq Scan on deliveries")
}

// A member with a long queue has a few taken at a time, and none of them blocks.
func TestALoadReadsNoMoreOfALongQueueThanItTakes(t *testing.T) {
	s := newShop(t)
	id := s.comes(line{kind: event.PointIncremented, uuid: "p"})[0]
	s.exec(`INSERT INTO outbox.deliveries (event_id, received_at, event_time, lane, lane_rank, account, type, state)
		SELECT event_id, received_at, event_time, lane, lane_rank, account, type, state FROM outbox.deliveries, generate_series(1, 30000) WHERE id = $1`, id)
	s.exec(`VACUUM ANALYZE outbox.deliveries`)
	var lane outbox.Lane
	require.NoError(t, s.conn.QueryRow(t.Context(), `SELECT lane FROM outbox.deliveries WHERE id = $1`, id).Scan(&lane))
	tx, err := s.Pool().Begin(t.Context())
	require.NoError(t, err)
	defer tx.Rollback(context.WithoutCancel(t.Context())) //nolint:errcheck // nothing is to stay
	var plan []struct {
		Plan struct {
			Hit  int `json:"Shared Hit Blocks"`
			Read int `json:"Shared Read Blocks"`
			Rows int `json:"Actual Rows"`
		}
	}
	err = tx.QueryRow(t.Context(), `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) `+outbox.LoadSQL, s.token, []outbox.Lane{lane}, 32, 128).Scan(&plan)
	require.NoError(t, err)
	require.Equal(t, 32, plan[0].Plan.Rows)
	require.Less(t, plan[0].Plan.Hit+plan[0].Plan.Read, 800, "of some 1,000 that the lane has")
}

func TestAWorkersPlansGoByTheIndexesInAnEmptyDatabase(t *testing.T) {
	store, err := outbox.OpenForWorker(t.Context(), devtest.Database(t, migrate), 1, 0)
	require.NoError(t, err)
	t.Cleanup(store.Close)
	exec := func(sql string) {
		_, err := store.Pool().Exec(t.Context(), sql, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
	}
	exec(`SET plan_cache_mode = force_generic_plan`) // as after five of them
	// As after the first few hundred events of a new installation, before anybody
	// has looked at the tables.
	exec(`INSERT INTO outbox.deliveries (event_id, event_time, lane, lane_rank, account, type, state, owner)
		SELECT n, now(), gen_random_uuid(), 1, 'dmhub', 'point.incremented', 'pending', 1 FROM generate_series(1, 200) n;
		INSERT INTO outbox.lanes (lane, kind, account, tenant) SELECT lane, 'member', 'dmhub', 'default' FROM outbox.deliveries`)
	for name, sql := range map[string]string{"settle": outbox.SettleSQL, "lanes": outbox.LanesSQL, "intend": outbox.IntendSQL} {
		exec(`PREPARE ` + name + ` AS ` + sql)
		var parameters int
		require.NoError(t, store.Pool().QueryRow(t.Context(),
			`SELECT cardinality(parameter_types) FROM pg_prepared_statements WHERE name = $1`, name).Scan(&parameters))
		rows, err := store.Pool().Query(t.Context(), `EXPLAIN EXECUTE `+name+`(`+strings.Repeat("NULL,", parameters-1)+`NULL)`, pgx.QueryExecModeSimpleProtocol)
		require.NoError(t, err)
		plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
		require.NoError(t, err)
		require.NotContains(t, strings.Join(plan, "\n"), "Seq Scan", name)
	}
}

// plan is how a statement is run that is prepared with parameters.
func (s *shop) plan(prepared, args string) string {
	s.t.Helper()
	s.exec(`SET plan_cache_mode = force_generic_plan`)
	s.exec(`PREPARE looked_at ` + prepared)
	rows, err := s.conn.Query(s.t.Context(), `EXPLAIN EXECUTE looked_at `+args, pgx.QueryExecModeSimpleProtocol)
	require.NoError(s.t, err)
	plan, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(s.t, err)
	return strings.Join(plan, "\n")
}

func TestWhatAWorkerHoldsIsReadFromWhereItBegins(t *testing.T) {
	s := newShop(t)
	id := s.comes(line{kind: event.PointIncremented, uuid: "p"})[0]
	s.exec(`INSERT INTO outbox.deliveries (event_id, event_time, lane, lane_rank, account, type, state, delivered_at, owner)
		SELECT n, event_time, lane, lane_rank, account, type, 'delivered', now(), 1
		FROM outbox.deliveries, generate_series(1, 30000) n WHERE id = $1`, id)
	s.exec(`ANALYZE outbox.deliveries, outbox.workers`)
	s.exec(`SET enable_seqscan = off; SET enable_hashjoin = off; SET enable_mergejoin = off`)
	require.Regexp(t, `Index Scan using deliveries_pkey on deliveries d.*\n\s+Index Cond: \(id >= \$`, s.plan(`(bigint) AS `+outbox.AdoptSQL, `(1)`))
}
