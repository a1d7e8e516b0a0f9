package outbox_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

func TestADatabaseThatHasWhatIsKnownOfItLosesNothing(t *testing.T) {
	s := newShop(t)
	h := s.enqueues(s.token, s.batch([]string{account}, line{kind: event.OrderCreated, order: "o1"})).Handed[0]
	require.NoError(t, s.intends(s.token, 1, &h.Work))
	loss, err := s.FindLoss(t.Context(), map[outbox.Token]outbox.Mark{s.token: {Commits: 1}}, nil)
	require.NoError(t, err)
	require.False(t, loss.Any())
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'inflight'`))
}

func TestWhatIsLiveIsUnknownWhereCommitsAreMissing(t *testing.T) {
	for name, known := range map[string]func(outbox.Token) map[outbox.Token]outbox.Mark{
		"of a worker": func(t outbox.Token) map[outbox.Token]outbox.Mark {
			return map[outbox.Token]outbox.Mark{t: {Commits: 2}}
		},
		"with all of its row": func(t outbox.Token) map[outbox.Token]outbox.Mark { return map[outbox.Token]outbox.Mark{t + 70: {}} },
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			h := s.enqueues(s.token, s.batch([]string{account},
				line{kind: event.OrderCreated, order: "o1"}, line{kind: event.OrderCreated, order: "o2"})).Handed[0]
			require.NoError(t, s.intends(s.token, 1, &h.Work))
			other := s.worker(time.Hour)
			loss, err := s.FindLoss(t.Context(), known(s.token), nil)
			require.NoError(t, err)
			require.Equal(t, outbox.Loss{Workers: 1, Deliveries: 2, Server: loss.Server}, loss)
			require.Equal(t, 2, s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'unknown'
				AND reason = 'lost_commit' AND ambiguous AND ever_ambiguous AND owner IS NULL AND first_sent_at IS NULL`))
			require.Equal(t, 2, s.count(`SELECT count(*) FROM outbox.lanes WHERE owner IS NULL AND resting AND next_at <= now()`))
			for _, token := range []outbox.Token{s.token, other} {
				_, err = s.Commit(t.Context(), token, outbox.Commit{Number: 3})
				require.ErrorIs(t, err, outbox.ErrLeaseLost)
			}
			// Found once, it isn't found again.
			loss, err = s.FindLoss(t.Context(), known(s.token), nil)
			require.NoError(t, err)
			require.False(t, loss.Any())
			require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.audit WHERE action = 'doubt' AND actor = 'syncworker'`))
			// Nothing that was given away in the lost time is given away again.
			token := s.worker(time.Hour)
			_, err = s.Enqueue(t.Context(), token, s.batch([]string{account}, line{kind: event.OrderCreated, order: "o3"}))
			require.ErrorIs(t, err, outbox.ErrDoubted, "what comes may have been sent")
			s.readsAgain()
			for lost := range known(s.token) {
				require.Greater(t, token, lost)
			}
			more := s.enqueues(token, s.batch([]string{account}, line{kind: event.OrderCreated, order: "o3"})).Handed[0]
			require.Greater(t, more.ID, h.ID+1_000_000)
			require.Greater(t, more.EventID, h.EventID+1_000_000)
		})
	}
}

func TestWhatIsDeadIsHeldWhereDecisionsAreMissing(t *testing.T) {
	s := newShop(t)
	h := s.enqueues(s.token, s.batch([]string{account}, line{kind: event.OrderCreated, order: "o1"})).Handed[0]
	require.NoError(t, s.intends(s.token, 1, &h.Work))
	c := delivers(2, h)
	c.Settles[0].State, c.Settles[0].Reason = outbox.Dead, "refused"
	_, err := s.Commit(t.Context(), s.token, c)
	require.NoError(t, err)
	loss, err := s.FindLoss(t.Context(), map[outbox.Token]outbox.Mark{s.token: {Commits: 2, Decisions: 7}}, nil)
	require.NoError(t, err)
	require.Equal(t, outbox.Loss{Decisions: true, Held: 1, Server: loss.Server}, loss)
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'held' AND reason = 'lost_commit' AND ever_ambiguous`))
	loss, err = s.FindLoss(t.Context(), map[outbox.Token]outbox.Mark{s.token: {Commits: 2, Decisions: 7}}, nil)
	require.NoError(t, err)
	require.False(t, loss.Any())
}

// A server that was started anew may lack commits: nothing is written before
// somebody has looked.
func TestNothingIsWrittenToAServerThatNobodyVouchedFor(t *testing.T) {
	s := newShop(t)
	h := s.enqueues(s.token, s.batch([]string{account}, line{kind: event.OrderCreated, order: "o1"})).Handed[0]
	s.exec(`UPDATE outbox.workers SET server_started = 'epoch'`)
	require.ErrorIs(t, s.intends(s.token, 1, &h.Work), outbox.ErrServerChanged)
	_, err := s.Claim(t.Context(), s.token, account, 1)
	require.ErrorIs(t, err, outbox.ErrServerChanged)
	_, err = s.Enqueue(t.Context(), s.token, s.batch([]string{account}, line{kind: event.OrderCreated, order: "o2"}))
	require.ErrorIs(t, err, outbox.ErrServerChanged)
	renewed, err := s.Renew(t.Context(), s.token, time.Hour, 0, 0)
	require.NoError(t, err)
	require.False(t, renewed.Vouched)
	require.ErrorIs(t, s.Vouch(t.Context(), s.token, time.Now()), outbox.ErrServerChanged, "of another run of the server")
	s.vouches(s.token)
	require.NoError(t, s.intends(s.token, 1, &h.Work))
}

// A backup or a report reads an old state for hours, and until then no version of a
// row can go.
func TestACommitCostsNoMoreWhileAnOldStateIsRead(t *testing.T) {
	s := newShop(t)
	report, err := s.conn.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	require.NoError(t, err)
	var n int
	require.NoError(t, report.QueryRow(t.Context(), `SELECT count(*) FROM outbox.workers`).Scan(&n))
	blocks := func() int {
		tx, err := s.Pool().Begin(t.Context())
		require.NoError(t, err)
		defer tx.Rollback(context.WithoutCancel(t.Context())) //nolint:errcheck // nothing is to stay
		var plan []struct {
			Plan struct {
				Hit int `json:"Shared Hit Blocks"`
			}
		}
		const explain = `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) `
		next := s.commit + 1
		require.NoError(t, tx.QueryRow(t.Context(), explain+outbox.CountSQL, s.token, next, next%1024, (next-1)%1024).Scan(&plan))
		return plan[0].Plan.Hit
	}
	for range 2000 {
		s.commits(outbox.Commit{})
	}
	before := blocks()
	for range 4000 {
		s.commits(outbox.Commit{})
	}
	require.InDelta(t, before, blocks(), 15)
	require.NoError(t, report.Rollback(t.Context()))
}

func TestCommitsOfAWorkerThatHasEndedAreKnown(t *testing.T) {
	s := newShop(t)
	for range 3 {
		s.commits(outbox.Commit{})
	}
	known := map[outbox.Token]outbox.Mark{s.token: {Commits: 3}}
	for range 2 {
		loss, err := s.FindLoss(t.Context(), known, nil)
		require.NoError(t, err)
		require.False(t, loss.Any())
		require.NoError(t, s.End(t.Context(), s.token))
	}
	require.Zero(t, s.count(`SELECT count(*) FROM outbox.commits`))
	loss, err := s.FindLoss(t.Context(), map[outbox.Token]outbox.Mark{s.token: {Commits: 4}}, nil)
	require.NoError(t, err)
	require.Equal(t, 1, loss.Workers)
}

func TestAMarkOfAnOlderWorkerIsRead(t *testing.T) {
	for text, want := range map[string]outbox.Mark{
		`{}`: {}, `{"commits":7,"decisions":2}`: {Commits: 7, Decisions: 2}, `{"counted":7}`: {Commits: 7},
	} {
		var got outbox.Mark
		require.NoError(t, json.Unmarshal([]byte(text), &got))
		require.Equal(t, want, got)
	}
	text, err := json.Marshal(outbox.Mark{Commits: 7, Decisions: 2})
	require.NoError(t, err)
	require.JSONEq(t, `{"counted":7,"decisions":2}`, string(text))
}
