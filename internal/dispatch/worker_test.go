package dispatch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"syncworker/internal/devstack/devtest"
	"syncworker/internal/event"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// counting is a vendor that answers at once, as answer says, and counts how
// often it was asked for each effect. It has a key for nothing.
type counting struct {
	answer func(*event.Event) vendors.Class

	mu     sync.Mutex
	pushes map[string]int
}

func (v *counting) Operation(t event.Type) (vendors.Operation, bool) {
	return vendors.Operation{Name: "POST /", Blocks: !t.Point()}, true
}

func (v *counting) Push(_ context.Context, call vendors.Call) vendors.Result {
	r := vendors.Result{Class: vendors.NotSent, Method: "POST", Path: "/", StartedAt: time.Now()}
	if call.MaySend() != nil {
		r.Withheld = true
		return r
	}
	v.mu.Lock()
	v.pushes[call.Event.UUID]++
	v.mu.Unlock()
	if r.Class = vendors.Applied; v.answer != nil {
		r.Class = v.answer(call.Event)
	}
	return r
}

// shop is a database with one worker that serves one account.
type shop struct {
	*Worker
	t      *testing.T
	vendor *counting
	log    *bytes.Buffer
	db     *pgx.Conn
	sent   uint64
}

func newShop(t *testing.T, answer func(*event.Event) vendors.Class) *shop {
	t.Helper()
	url := devtest.Database(t, migrate)
	others := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, others) })
	store, err := outbox.OpenForWorker(t.Context(), url, 4, 0)
	require.NoError(t, err)
	t.Cleanup(store.Close)
	s := &shop{t: t, vendor: &counting{answer: answer, pushes: map[string]int{}}, log: &bytes.Buffer{}}
	s.db, err = pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.db.Close(context.Background())) })
	accounts := []Account{{Name: "dmhub", Vendor: s.vendor, Policy: testPolicy(), Limits: Limits{MaxInFlight: 16}}}
	config := Config{
		Name: "till", Lease: 30 * time.Second, Drain: 5 * time.Second, Poll: 20 * time.Millisecond,
		Circuit: Circuit{Probe: time.Second, MaxProbe: time.Second},
	}
	s.Worker = New(store, accounts, config, zerolog.New(zerolog.SyncWriter(s.log)).Level(zerolog.WarnLevel),
		NewMetrics(prometheus.NewRegistry()), time.Now, func() float64 { return 0.5 })
	return s
}

// begin runs the worker until the returned function is called.
func (s *shop) begin() (stop func()) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(s.t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	var once sync.Once
	stop = func() { once.Do(func() { cancel(); require.NoError(s.t, <-done) }) }
	s.t.Cleanup(stop)
	return stop
}

// somebody is another worker, which does nothing by itself.
func (s *shop) somebody(lease time.Duration) outbox.Token {
	s.t.Helper()
	token, _, err := s.store.Register(s.t.Context(), "somebody else", lease)
	require.NoError(s.t, err)
	loss, err := s.store.FindLoss(s.t.Context(), nil, nil)
	require.NoError(s.t, err)
	require.NoError(s.t, s.store.Vouch(s.t.Context(), token, loss.Server))
	return token
}

// somebodyWaits returns once a session waits for a lock. What a transaction has
// seen of others it sees again, unless it is told to look anew.
func (s *shop) somebodyWaits() {
	s.t.Helper()
	const waits = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`
	for s.count(waits) == 0 {
		_, err := s.db.Exec(s.t.Context(), `SELECT pg_stat_clear_snapshot()`)
		require.NoError(s.t, err)
	}
}

// batch is n increments of one member.
func (s *shop) batch(n int, member string) outbox.Batch {
	var b outbox.Batch
	for range n {
		s.sent++
		data, err := json.Marshal(map[string]any{
			"uuid": fmt.Sprintf("p-%d", s.sent), "point": 8, "pattern": 0, "membershipId": member,
		})
		require.NoError(s.t, err)
		payload, err := json.Marshal(map[string]any{
			"specversion": "1.0", "id": fmt.Sprint(s.sent), "source": "pos/1", "type": event.PointIncremented,
			"time": received.Add(time.Duration(s.sent) * time.Second), "data": json.RawMessage(data),
		})
		require.NoError(s.t, err)
		e, err := event.Decode(event.Message{Subject: "sync.events.point.incremented", Data: payload}, event.Limits{}, received)
		require.NoError(s.t, err)
		b.Events = append(b.Events, outbox.Incoming{Event: &e, Accounts: []string{"dmhub"}, Sequence: s.sent, Payload: payload})
	}
	return b
}

// eventually waits until the deliveries are in these states.
func (s *shop) eventually(want map[string]int) {
	s.t.Helper()
	var got map[string]int
	for deadline := time.Now().Add(20 * time.Second); ; {
		rows, err := s.db.Query(s.t.Context(), `SELECT state, count(*) FROM outbox.deliveries GROUP BY 1`)
		require.NoError(s.t, err)
		var state string
		var n int
		got = map[string]int{}
		_, err = pgx.ForEachRow(rows, []any{&state, &n}, func() error { got[state] = n; return nil })
		require.NoError(s.t, err)
		if fmt.Sprint(got) == fmt.Sprint(want) || time.Now().After(deadline) {
			break
		}
	}
	require.Equal(s.t, want, got)
}

func (s *shop) count(sql string, args ...any) (n int) {
	s.t.Helper()
	require.NoError(s.t, s.db.QueryRow(s.t.Context(), sql, args...).Scan(&n))
	return n
}

func TestALongLaneGoesOnBehindWhatIsHeldAtTheEndOfAWindow(t *testing.T) {
	s := newShop(t, func(e *event.Event) vendors.Class {
		if e.UUID == fmt.Sprintf("p-%d", outbox.Window) {
			return vendors.Ambiguous
		}
		return vendors.Applied
	})
	token := s.somebody(time.Hour)
	_, err := s.store.Enqueue(t.Context(), token, s.batch(outbox.Window+40, "16508")) // nobody takes them: they rest
	require.NoError(t, err)
	stop := s.begin()
	s.eventually(map[string]int{"delivered": outbox.Window + 39, "held": 1})
	stop()
	require.Zero(t, s.count(`SELECT count(*) FROM outbox.lanes WHERE owner IS NOT NULL`))
}

func TestAWorkerThatDiesLaterIsTakenOver(t *testing.T) {
	s := newShop(t, nil)
	s.config.Lease, s.accounts[0].Policy.Timeout = 3*time.Second, time.Second
	s.begin()
	_, err := s.Enqueue(t.Context(), s.batch(1, "16509"))
	require.NoError(t, err)
	s.eventually(map[string]int{"delivered": 1}) // so it has looked for dead workers already
	b := s.batch(3, "16508")
	b.Accept = []string{"dmhub"}
	_, err = s.store.Enqueue(t.Context(), s.somebody(100*time.Millisecond), b)
	require.NoError(t, err)
	s.eventually(map[string]int{"delivered": 4})
}

func TestAMemberWithALongQueueLeavesRoomForOthers(t *testing.T) {
	release := make(chan struct{})
	s := newShop(t, func(e *event.Event) vendors.Class {
		if e.Member.MembershipID == "16508" {
			<-release
		}
		return vendors.Applied
	})
	s.begin()
	t.Cleanup(func() { close(release) })
	for range 12 {
		_, err := s.Enqueue(t.Context(), s.batch(100, "16508"))
		require.NoError(t, err)
	}
	for range 40 { // they come one by one, too
		_, err := s.Enqueue(t.Context(), s.batch(1, "16508"))
		require.NoError(t, err)
	}
	_, err := s.Enqueue(t.Context(), s.batch(1, "16509"))
	require.NoError(t, err)
	s.eventually(map[string]int{"delivered": 1, "inflight": 1, "pending": 1239})
	require.Less(t, s.count(`SELECT count(*) FROM outbox.deliveries WHERE owner IS NOT NULL AND state <> 'delivered'`), 2*outbox.Window)
}

func TestWhatACommitWithALostAnswerHandedOverIsAdopted(t *testing.T) {
	s := newShop(t, nil)
	ctx := t.Context()
	h, err := s.Worker.begin(ctx)
	require.NoError(t, err)
	b := s.batch(3, "16508")
	b.Accept = []string{"dmhub"}
	_, err = s.store.Enqueue(ctx, h.token, b) // it was committed, but nobody heard so
	require.NoError(t, err)
	h.suspect = missedAnswer

	running, cancel := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- h.run(running) }()
	require.NoError(t, h.renew(ctx))
	s.eventually(map[string]int{"delivered": 3})
	for s.count(`SELECT count(*) FROM outbox.lanes WHERE owner IS NOT NULL`) > 0 {
		require.NoError(t, ctx.Err())
	}
	cancel()
	require.NoError(t, <-ended)
}

func TestAdoptingWhileBusyTakesNothingTwice(t *testing.T) {
	s := newShop(t, nil)
	s.config.Lease = time.Hour // so that only this test adopts
	ctx := t.Context()
	stop := s.begin()
	const batches, each = 40, 50
	over := make(chan struct{})
	var adopting sync.WaitGroup
	adopting.Go(func() {
		for {
			select {
			case <-over:
				return
			default:
			}
			s.mu.Lock()
			h := s.hand
			s.mu.Unlock()
			if h != nil {
				h.mu.Lock()
				h.suspect = missedAnswer
				h.mu.Unlock()
				_ = h.adopt(ctx) // at the end, the token is given back
			}
		}
	})
	for range batches {
		var b outbox.Batch
		for i := range each {
			b.Events = append(b.Events, s.batch(1, fmt.Sprint(10000+i)).Events...)
		}
		_, err := s.Enqueue(ctx, b)
		require.NoError(t, err)
	}
	s.eventually(map[string]int{"delivered": batches * each})
	close(over)
	adopting.Wait()
	stop()
	require.NotContains(t, s.log.String(), "taken over", "it is the only worker")
	for uuid, n := range s.vendor.pushes {
		require.Equal(t, 1, n, uuid)
	}
}

func TestNoCallBeginsOnceADrainHasBegun(t *testing.T) {
	s := newShop(t, nil)
	s.accounts[0].Vendor = unready{s.vendor}
	ctx := t.Context()
	h, err := s.Worker.begin(ctx)
	require.NoError(t, err)
	running, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- h.run(running) }()
	lock, err := s.db.Begin(ctx) // that intents wait for
	require.NoError(t, err)
	_, err = lock.Exec(ctx, `LOCK TABLE outbox.commits IN SHARE MODE`)
	require.NoError(t, err)

	_, err = h.enqueue(ctx, s.batch(1, "16508"))
	require.NoError(t, err)
	s.somebodyWaits()
	_, err = h.enqueue(ctx, s.batch(1, "16509")) // its intent is behind the one that waits
	require.NoError(t, err)
	stop()
	for !h.isDraining() {
		require.NoError(t, ctx.Err())
	}
	require.NoError(t, lock.Commit(ctx))
	require.NoError(t, <-ended)
	require.Empty(t, s.vendor.pushes)
	require.Equal(t, 2, s.count(`SELECT count(*) FROM outbox.deliveries
		WHERE state = 'pending' AND owner IS NULL AND attempts = 0 AND NOT ambiguous`))
	require.Equal(t, 1, s.count(`SELECT sum(calls) FROM outbox.deliveries`), "only one intent was under way")
}

func TestAnIntentThatTravelsIsLeftOutOnceADrainHasBegun(t *testing.T) {
	h, a := handOf(t, plain)
	first, second := row(t, 1, "incr:a inflight"), row(t, 2, "incr:b pending at=1m")
	second.Event.Member.MembershipID = "16508"
	l := holding(h, outbox.MemberLane, first, second)
	done := first.Delivery
	done.State = outbox.Delivered
	a.gate.used = 1
	e, put, next := h.settled(a, l, first, &outbox.Settle{Delivery: done})
	require.NotNil(t, e.intent)
	require.Equal(t, 2, a.gate.used)
	h.commit.add(e)
	h.draining = true
	h.commit.drain()
	require.Equal(t, []*entry{e}, h.commit.next())
	require.Nil(t, e.intent)
	h.wasSettled(a, l, e, put, &next, nil, nil)
	require.Nil(t, next.Act)
	require.Equal(t, 1, a.gate.used)
	require.Equal(t, []*outbox.Work{second}, l.Work, "it is still held, and recovered when the token is given back")
}

func TestACircuitThatIsNotWrittenYetStaysOpen(t *testing.T) {
	s := newShop(t, nil)
	ctx := t.Context()
	h, err := s.Worker.begin(ctx)
	require.NoError(t, err)
	a := h.accounts["dmhub"]
	lock, err := s.db.Begin(ctx)
	require.NoError(t, err)
	_, err = lock.Exec(ctx, `LOCK TABLE outbox.gates IN EXCLUSIVE MODE`) // they can be read
	require.NoError(t, err)
	h.mu.Lock()
	h.answered(a, noToken)
	h.mu.Unlock()
	require.NoError(t, h.renew(ctx))
	require.True(t, a.gate.open(), "what was read doesn't know of it")
	require.NoError(t, lock.Commit(ctx))
	h.acts.Wait()
	require.NoError(t, h.renew(ctx))
	require.True(t, a.gate.open())
	require.NoError(t, s.store.CloseCircuit(ctx, "dmhub"))
	require.NoError(t, h.renew(ctx))
	require.False(t, a.gate.open())
	h.cut()
	require.NoError(t, s.store.End(ctx, h.token))
}

func TestTheGraceOfARefusalIsKeptAndBeginsAnewWithAReplay(t *testing.T) {
	s := newShop(t, nil)
	s.accounts[0].Policy.EarlyGrace, s.accounts[0].Policy.Retry.Initial = 200*time.Millisecond, 60*time.Millisecond
	s.accounts[0].Vendor = &oddReply{counting: s.vendor, uuid: "p-1", odd: func(r *vendors.Result) {
		r.Class, r.Early = vendors.Refused, true
	}}
	stop := s.begin()
	_, err := s.Enqueue(t.Context(), s.batch(1, "16508"))
	require.NoError(t, err)
	s.eventually(map[string]int{"dead": 1})
	stop()
	before := s.vendor.pushes["p-1"]
	require.Greater(t, before, 1)
	acted, err := s.store.Act(t.Context(), outbox.Decision{
		Action: outbox.Replay, Actor: "ops@till", Why: "the points are there now", Accounts: []string{"dmhub"},
	}, int64(s.count(`SELECT id FROM outbox.deliveries`)))
	require.NoError(t, err)
	require.Empty(t, acted.Refused)
	stop = s.begin()
	s.eventually(map[string]int{"dead": 1})
	stop()
	require.Greater(t, s.vendor.pushes["p-1"], before+1)
}

// elsewhere is a vendor whose reads go through another account, which doesn't
// answer until it is well.
type elsewhere struct {
	*counting
	well  atomic.Bool
	reads atomic.Int32
}

func (v *elsewhere) Operation(event.Type) (vendors.Operation, bool) {
	return vendors.Operation{Findable: true, FindElsewhere: true, FindWindow: 24 * time.Hour}, true
}

func (v *elsewhere) Find(context.Context, vendors.Call) vendors.Finding {
	v.reads.Add(1)
	r := vendors.Result{Class: vendors.Ambiguous, Method: "GET", StartedAt: time.Now()}
	if !v.well.Load() {
		return vendors.Finding{Found: vendors.Unavailable, Result: r}
	}
	r.Class = vendors.Applied
	return vendors.Finding{Found: vendors.Present, Result: r}
}

func TestReadsCountAtTheAccountThatTheyGoThrough(t *testing.T) {
	s := newShop(t, func(*event.Event) vendors.Class { return vendors.Ambiguous })
	v := &elsewhere{counting: s.vendor}
	deals := s.accounts[0]
	deals.Name = "deals"
	s.accounts = append(s.accounts, deals)
	s.accounts[0].Vendor, s.accounts[0].OrderReads = v, "deals"
	s.accounts[0].Policy.Retry.Initial, s.accounts[0].Policy.Retry.Max = 10*time.Millisecond, 20*time.Millisecond
	stop := s.begin()
	_, err := s.Enqueue(t.Context(), s.batch(1, "16508"))
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return s.count(`SELECT count(*) FROM outbox.gates WHERE account = 'deals' AND cause = 'no_answer'`) == 1
	}, 20*time.Second, 10*time.Millisecond)
	require.GreaterOrEqual(t, v.reads.Load(), int32(circuitRow))
	require.Zero(t, s.count(`SELECT count(*) FROM outbox.gates WHERE account = 'dmhub'`))
	v.well.Store(true)
	s.eventually(map[string]int{"delivered": 1})
	stop()
	require.Equal(t, 1, s.count(`SELECT attempts FROM outbox.deliveries`))
	require.Equal(t, 1, s.vendor.pushes["p-1"])
}

func TestAWorkerThatEndsLeavesNothingInFlight(t *testing.T) {
	s := newShop(t, nil)
	stop := s.begin()
	_, err := s.Enqueue(t.Context(), s.batch(200, "16508"))
	require.NoError(t, err)
	stop()
	require.Zero(t, s.count(`SELECT count(*) FROM outbox.deliveries WHERE state IN ('inflight', 'unknown')`))
	require.Zero(t, s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'pending' AND owner IS NOT NULL`))
	delivered := s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'delivered'`)
	require.Len(t, s.vendor.pushes, delivered, "each answer is written down")
	s.begin()
	s.eventually(map[string]int{"delivered": 200})
}

// forgetful is a witness that can't be asked.
type forgetful struct{}

func (forgetful) Begin(context.Context, outbox.Token) (bool, error) { return false, errors.New("away") }

func (forgetful) Known(context.Context) (map[outbox.Token]outbox.Mark, error) { return nil, nil }

func (forgetful) Saw(outbox.Token, outbox.Mark) {}

func TestAWorkerThatCannotBeginLeavesNoTokenBehind(t *testing.T) {
	s := newShop(t, nil)
	s.config.Witness = forgetful{}
	_, err := s.Worker.begin(t.Context())
	require.ErrorContains(t, err, "away")
	require.Equal(t, 0, s.count(`SELECT count(*) FROM outbox.workers WHERE ended_at IS NULL`), "it would have a share of the limits")
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.workers`))
}

// Housekeeping deletes the rows of tokens that ended long ago, while the process
// that had them still runs.
func TestATokenThatTheDatabaseForgotIsNoLoss(t *testing.T) {
	s := newShop(t, nil)
	ctx := t.Context()
	first, err := s.Worker.begin(ctx)
	require.NoError(t, err)
	require.NoError(t, s.store.End(ctx, first.token))
	second, err := s.Worker.begin(ctx)
	require.NoError(t, err)
	_, err = s.db.Exec(ctx, `UPDATE outbox.workers SET ended_at = now() - interval '31 days' WHERE token = $1`, first.token)
	require.NoError(t, err)
	_, err = s.store.KeepHouse(ctx, 0)
	require.NoError(t, err)
	require.NoError(t, s.Worker.vouch(ctx, second.token, false), "a plain restart of the server")
	_, err = s.db.Exec(ctx, `DELETE FROM outbox.workers WHERE token = $1`, second.token)
	require.NoError(t, err)
	require.ErrorIs(t, s.Worker.vouch(ctx, second.token, false), outbox.ErrWentBack)
}
