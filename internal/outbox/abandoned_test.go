package outbox_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

// abandons leaves an order whose create was settled by a worker that ended before
// it let go of the lane: a drain does, since it begins nothing new.
func (s *shop) abandons(order string, state outbox.State) (id int64, token outbox.Token) {
	s.t.Helper()
	token = s.worker(time.Hour)
	h := s.enqueues(token, s.batch([]string{account}, line{kind: event.OrderCreated, order: order})).Handed[0]
	require.NoError(s.t, s.intends(token, 1, &h.Work))
	c := delivers(2, h)
	c.Settles[0].State, c.Lanes[0].Release = state, false
	if state == outbox.Dead {
		c.Settles[0].Reason = "refused"
	}
	c.Lanes[0].Created = string(state)
	_, err := s.Commit(s.t.Context(), token, c)
	require.NoError(s.t, err)
	require.NoError(s.t, s.End(s.t.Context(), token))
	return h.ID, token
}

func (s *shop) claimsAll() (work []*outbox.Work) {
	s.t.Helper()
	loaded, err := s.Claim(s.t.Context(), s.token, account, 10)
	require.NoError(s.t, err)
	for _, l := range loaded {
		work = append(work, l.Work...)
	}
	return work
}

func TestWhatComesToALaneOfAnEndedWorkerIsFound(t *testing.T) {
	s := newShop(t)
	s.abandons("o1", outbox.Delivered)
	out := s.enqueues(s.token, s.batch([]string{account}, line{kind: event.OrderCancelled, order: "o1", minute: 1}))
	require.True(t, out.Rested)
	require.Len(t, s.claimsAll(), 1)
}

func TestWhatAnEndedWorkerBringsToItsOwnLaneIsFound(t *testing.T) {
	s := newShop(t)
	_, token := s.abandons("o1", outbox.Delivered)
	s.enqueues(token, s.batch([]string{account}, line{kind: event.OrderCancelled, order: "o1", minute: 1}))
	require.Len(t, s.claimsAll(), 1)
}

func TestWhatAPersonReplaysInALaneOfAnEndedWorkerIsFound(t *testing.T) {
	s := newShop(t)
	id, _ := s.abandons("o1", outbox.Dead)
	s.acts(outbox.Replay, id)
	require.Len(t, s.claimsAll(), 1)
}

func TestALossIsFoundWhereAnEndedWorkerHasALane(t *testing.T) {
	s := newShop(t)
	s.abandons("o1", outbox.Dead)
	loss, err := s.FindLoss(t.Context(), map[outbox.Token]outbox.Mark{s.token: {Decisions: 1}}, nil)
	require.NoError(t, err)
	require.Equal(t, 1, loss.Held)
}

// A lane that was taken for what then was held belongs to a worker to which
// nothing was handed over: it has to know, or it never lets go.
func TestALaneThatWasTakenForNothingIsNamed(t *testing.T) {
	s := newShop(t)
	for name, of := range map[string]func(tenant, uuid string) line{
		"order": func(tenant, _ string) line { return line{kind: event.OrderCreated, order: "o1", tenant: tenant} },
		"points": func(tenant, uuid string) line {
			return line{kind: event.PointIncremented, uuid: uuid, tenant: tenant, member: "1380000000" + tenant}
		},
	} {
		s.comes(of("1", "p1"))
		for _, w := range s.claimsAll() {
			c := delivers(0, outbox.Handed{Work: *w})
			c.Lanes = []*outbox.LaneUpdate{{Lane: w.Lane, Epoch: 1, Release: true, Handed: 1}}
			s.commits(c)
		}
		out := s.enqueues(s.token, s.batch([]string{account}, of("2", "p1")))
		require.Empty(t, out.Handed, name)
		require.Len(t, out.Taken, 1, name)
		x := out.Taken[0]
		require.EqualValues(t, s.token, one[int64](s, `SELECT owner FROM outbox.lanes WHERE lane = $1`, x.Lane), name)
		loaded, err := s.Reload(t.Context(), s.token, x.Lane)
		require.NoError(t, err, name)
		release := &outbox.LaneUpdate{Lane: x.Lane, Epoch: x.Epoch, Release: true, Handed: loaded[0].Handed}
		s.commits(outbox.Commit{Lanes: []*outbox.LaneUpdate{release}})
		require.True(t, release.Released, name)
	}
}

// A worker that is being recovered while something comes to its lane: one of the
// two waits for the other.
func TestWhatComesWhileTheLanesOwnerIsRecoveredIsFound(t *testing.T) {
	s := newShop(t)
	dead := s.worker(time.Hour)
	h := s.enqueues(dead, s.batch([]string{account}, line{kind: event.OrderCreated, order: "o1"})).Handed[0]
	c := delivers(1, h)
	c.Lanes[0].Release = false
	_, err := s.Commit(t.Context(), dead, c)
	require.NoError(t, err)

	recovery, err := s.conn.Begin(t.Context())
	require.NoError(t, err)
	_, err = recovery.Exec(t.Context(), `SELECT FROM outbox.workers WHERE token = $1 FOR UPDATE`, dead)
	require.NoError(t, err)
	b := s.batch([]string{account}, line{kind: event.OrderCancelled, order: "o1", minute: 1})
	enqueued := make(chan error, 1)
	go func() {
		_, err := s.Enqueue(t.Context(), s.token, b)
		enqueued <- err
	}()
	s.waitsForLock()
	_, err = recovery.Exec(t.Context(), `UPDATE outbox.workers SET ended_at = now() WHERE token = $1`, dead)
	require.NoError(t, err)
	require.NoError(t, recovery.Commit(t.Context()))
	require.NoError(t, <-enqueued)
	require.Len(t, s.claimsAll(), 1)
}

// waitsForLock returns once some transaction of this database waits for another.
func (s *shop) waitsForLock() {
	s.t.Helper()
	watch, err := pgx.ConnectConfig(s.t.Context(), s.conn.Config())
	require.NoError(s.t, err)
	defer watch.Close(s.t.Context()) //nolint:errcheck // the database is dropped next
	require.Eventually(s.t, func() bool {
		const sql = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
		var n int
		return watch.QueryRow(s.t.Context(), sql).Scan(&n) == nil && n > 0
	}, time.Minute, 10*time.Millisecond)
}

// The answer of a Reload may be lost on its way, and the worker tries again: what
// the first one took is in its hands without its knowing.
func TestALaneIsNotLetGoBeforeItsOwnerHasMetWhatAReloadTook(t *testing.T) {
	s := newShop(t)
	other := s.worker(time.Hour)
	h := s.enqueues(s.token, s.batch([]string{account}, line{kind: event.OrderCreated, order: "o1"})).Handed[0]
	s.enqueues(other, s.batch([]string{account}, line{kind: event.OrderCancelled, order: "o1", minute: 1}))
	_, err := s.Reload(t.Context(), s.token, h.Lane.Lane) // nobody hears what it took
	require.NoError(t, err)
	again, err := s.Reload(t.Context(), s.token, h.Lane.Lane)
	require.NoError(t, err)
	require.Empty(t, again[0].Work)
	require.NoError(t, s.intends(s.token, 1, &h.Work))
	c := delivers(2, h)
	_, err = s.Commit(t.Context(), s.token, c)
	require.NoError(t, err)
	require.False(t, c.Lanes[0].Released)
	adopted, err := s.Adopt(t.Context(), s.token)
	require.NoError(t, err)
	require.Len(t, adopted, 1)
	require.Equal(t, event.OrderCancelled, adopted[0].Type)
}

func TestRecoveryWakesEveryLaneOfWhatItPutsToRest(t *testing.T) {
	s := newShop(t)
	ended := s.worker(time.Hour)
	s.enqueues(ended, s.batch([]string{account},
		line{kind: event.OrderCreated, order: "o1"}, line{kind: event.OrderCreated, order: "o2"}))
	// Whatever made it lose its lanes: they are idle, and another worker's.
	s.exec(`UPDATE outbox.lanes SET owner = NULL WHERE lane = (SELECT min(lane::text) FROM outbox.lanes)::uuid`)
	s.exec(`UPDATE outbox.lanes SET owner = $1 WHERE owner = $2`, s.token, ended)
	require.NoError(t, s.End(t.Context(), ended))
	require.Len(t, s.claimsAll(), 1)
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.lanes l WHERE owner = $1 AND news AND next_at IS NULL
		AND EXISTS (SELECT FROM outbox.deliveries d WHERE d.lane = l.lane AND d.owner IS NULL)`, s.token))
}
