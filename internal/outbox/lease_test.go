package outbox_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

func (s *shop) worker(lease time.Duration) outbox.Token {
	s.t.Helper()
	token, _, err := s.Register(s.t.Context(), "worker", lease)
	require.NoError(s.t, err)
	s.vouches(token)
	return token
}

// readsAgain is what a consumer does after a doubt.
func (s *shop) readsAgain() {
	s.t.Helper()
	k, err := s.Position(s.t.Context(), "SYNC", "syncworker")
	require.NoError(s.t, err)
	require.True(s.t, k.Doubted.After(k.DoubtRead))
	require.NoError(s.t, s.SavePosition(s.t.Context(), "SYNC", "syncworker", outbox.Position{
		CreatedAt: opening, Server: k.Now, DoubtRead: k.Doubted,
	}))
}

// vouches lets a token be used: the server has all that it committed.
func (s *shop) vouches(token outbox.Token) {
	s.t.Helper()
	loss, err := s.FindLoss(s.t.Context(), nil, nil)
	require.NoError(s.t, err)
	require.NoError(s.t, s.Vouch(s.t.Context(), token, loss.Server))
}

// intends commits the intent for a delivery as commit number n of a worker.
func (s *shop) intends(token outbox.Token, n int64, w *outbox.Work) error {
	s.t.Helper()
	_, err := s.Commit(s.t.Context(), token, outbox.Commit{
		Number: n, Intents: []*outbox.Intent{{ID: w.ID, WasCalls: w.Calls, SentAt: opening}},
	})
	if err == nil {
		w.Calls++
		w.State, w.FirstSentAt = outbox.Inflight, opening
	}
	return err
}

// delivers is the commit that settles a delivery and lets go of its lane.
func delivers(n int64, h outbox.Handed) outbox.Commit {
	d := h.Delivery
	d.State, d.Reason = outbox.Delivered, ""
	return outbox.Commit{
		Number: n,
		Settles: []*outbox.Settle{{
			Delivery: d, WasCalls: h.Calls,
			Attempt: &outbox.Attempt{Number: h.Calls, StartedAt: opening, Action: "push", Class: "applied", Status: 200},
		}},
		Lanes: []*outbox.LaneUpdate{{Lane: h.Lane.Lane, Epoch: h.Lane.Epoch, Release: true, Handed: h.Lane.Handed}},
	}
}

func TestWhatIsJustCommittedIsHandedToAFreeLane(t *testing.T) {
	s := newShop(t)
	out := s.enqueues(s.token, s.batch([]string{account}, line{kind: event.OrderCreated, order: "o1"}))
	require.Len(t, out.Handed, 1)
	h := out.Handed[0]
	require.NoError(t, s.intends(s.token, 1, &h.Work))
	c := delivers(2, h)
	gone, err := s.Commit(t.Context(), s.token, c)
	require.NoError(t, err)
	require.Empty(t, gone)
	require.True(t, c.Lanes[0].Released)
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.lanes WHERE owner IS NULL AND NOT resting AND next_at IS NULL`))
}

func TestALaneIsNotLetGoWhileAnotherWorkerHasAddedToIt(t *testing.T) {
	s := newShop(t)
	other := s.worker(time.Hour)
	h := s.enqueues(s.token, s.batch([]string{account}, line{kind: event.OrderCreated, order: "o1"})).Handed[0]
	added := s.enqueues(other, s.batch([]string{account}, line{kind: event.OrderUpdated, order: "o1", uuid: "u1", minute: 1}))
	require.Empty(t, added.Handed)
	require.NoError(t, s.intends(s.token, 1, &h.Work))
	c := delivers(2, h)
	_, err := s.Commit(t.Context(), s.token, c)
	require.NoError(t, err)
	require.False(t, c.Lanes[0].Released)
	require.True(t, c.Lanes[0].News)
	loaded, err := s.Reload(t.Context(), s.token, h.Lane.Lane)
	require.NoError(t, err)
	require.Len(t, loaded[0].Work, 1)
	require.Equal(t, event.OrderUpdated, loaded[0].Work[0].Type)
}

func TestALaneIsNotLetGoBeforeItsOwnerHasMetWhatWasHandedOver(t *testing.T) {
	s := newShop(t)
	h := s.enqueues(s.token, s.batch([]string{account}, line{kind: event.OrderCreated, order: "o1"})).Handed[0]
	require.Len(t, s.enqueues(s.token, s.batch([]string{account}, line{kind: event.OrderCancelled, order: "o1", minute: 1})).Handed, 1)
	require.NoError(t, s.intends(s.token, 1, &h.Work))
	c := delivers(2, h) // knows of one
	_, err := s.Commit(t.Context(), s.token, c)
	require.NoError(t, err)
	require.False(t, c.Lanes[0].Released)
	require.False(t, c.Lanes[0].News)
}

// I7: a worker whose lease was taken over writes nothing; what it heard is
// appended, and resolves the unknown that it left.
func TestAWorkerThatLostItsLeaseCanNotWrite(t *testing.T) {
	s := newShop(t)
	zombie := s.worker(time.Nanosecond)
	h := s.enqueues(zombie, s.batch([]string{account}, line{kind: event.OrderCreated, order: "o1"})).Handed[0]
	require.NoError(t, s.intends(zombie, 1, &h.Work))
	n, found, err := s.Recover(t.Context())
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, 1, n)
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'unknown' AND reason = 'worker_lost' AND ever_ambiguous`))

	c := delivers(2, h)
	_, err = s.Commit(t.Context(), zombie, c)
	require.ErrorIs(t, err, outbox.ErrLeaseLost)
	require.Zero(t, s.count(`SELECT count(*) FROM outbox.attempts`))
	_, err = s.Renew(t.Context(), zombie, time.Hour, 0, 0)
	require.ErrorIs(t, err, outbox.ErrLeaseLost)

	resolved, err := s.Late(t.Context(), zombie, c.Settles[0])
	require.NoError(t, err)
	require.True(t, resolved)
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.attempts WHERE late`))
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.lanes WHERE created = 'delivered' AND next_at IS NOT NULL`))
}

func TestARenewalTellsOfAnotherWorkerThatHasDied(t *testing.T) {
	s := newShop(t)
	renews := func(token outbox.Token) outbox.Renewed {
		r, err := s.Renew(t.Context(), token, time.Hour, 0, 0)
		require.NoError(t, err)
		return r
	}
	late := s.worker(time.Nanosecond)
	require.False(t, renews(late).Dead, "it was only late itself")
	s.worker(time.Hour)
	require.False(t, renews(late).Dead, "both are alive")
	s.worker(time.Nanosecond)
	r := renews(late)
	require.True(t, r.Dead)
	require.Equal(t, 3, r.Count, "the dead don't share the limits")
	_, found, err := s.Recover(t.Context())
	require.NoError(t, err)
	require.True(t, found)
	require.False(t, renews(late).Dead, "it was taken over")
}

func TestRecoveryFindsALaneThatItsOwnerHadWorkedOff(t *testing.T) {
	s := newShop(t)
	dead := s.worker(time.Second)
	h := s.enqueues(dead, s.batch([]string{account}, line{kind: event.OrderCreated, order: "o1"})).Handed[0]
	s.comes(line{kind: event.OrderCancelled, order: "o1", minute: 1})
	require.NoError(t, s.intends(dead, 1, &h.Work))
	c := delivers(2, h)
	_, err := s.Commit(t.Context(), dead, c)
	require.NoError(t, err)
	require.False(t, c.Lanes[0].Released, "there are news, which it dies before looking at")
	require.NoError(t, s.End(t.Context(), dead))
	claimed, err := s.Claim(t.Context(), s.token, account, 10)
	require.NoError(t, err)
	require.Len(t, claimed, 1)
	require.Len(t, claimed[0].Work, 1)
}

func TestAnEndedTokenTakesNothing(t *testing.T) {
	s := newShop(t)
	ended := s.worker(time.Hour)
	require.NoError(t, s.End(t.Context(), ended))
	out := s.enqueues(ended, s.batch([]string{account}, line{kind: event.OrderCreated, order: "o1"}))
	require.Empty(t, out.Handed)
	_, err := s.Claim(t.Context(), ended, account, 10)
	require.ErrorIs(t, err, outbox.ErrLeaseLost)
	claimed, err := s.Claim(t.Context(), s.token, account, 10)
	require.NoError(t, err)
	require.Len(t, claimed, 1)
}

func TestLateEvidenceResolvesNothingOnceSomebodyElseHasCalled(t *testing.T) {
	s := newShop(t)
	zombie := s.worker(time.Nanosecond)
	h := s.enqueues(zombie, s.batch([]string{account}, line{kind: event.OrderCreated, order: "o1"})).Handed[0]
	require.NoError(t, s.intends(zombie, 1, &h.Work))
	_, _, err := s.Recover(t.Context())
	require.NoError(t, err)
	claimed, err := s.Claim(t.Context(), s.token, account, 10)
	require.NoError(t, err)
	require.NoError(t, s.intends(s.token, 1, claimed[0].Work[0]))
	resolved, err := s.Late(t.Context(), zombie, delivers(2, h).Settles[0])
	require.NoError(t, err)
	require.False(t, resolved)
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'inflight'`))
}

func TestLateEvidenceResolvesWhatIsHeldForTheWantOfIt(t *testing.T) {
	s := newShop(t)
	zombie := s.worker(time.Nanosecond)
	h := s.enqueues(zombie, s.batch([]string{account}, line{kind: event.OrderRefunded, order: "o1", uuid: "r1"})).Handed[0]
	require.NoError(t, s.intends(zombie, 1, &h.Work))
	_, _, err := s.Recover(t.Context())
	require.NoError(t, err)
	claimed, err := s.Claim(t.Context(), s.token, account, 10)
	require.NoError(t, err)
	held := claimed[0].Work[0].Delivery
	held.State, held.Reason, held.NextAttemptAt = outbox.Held, outbox.ReasonUnclear, time.Time{}
	_, err = s.Commit(t.Context(), s.token, outbox.Commit{Number: 1, Settles: []*outbox.Settle{{Delivery: held, WasCalls: held.Calls, Rest: true}}})
	require.NoError(t, err)

	resolved, err := s.Late(t.Context(), zombie, delivers(2, h).Settles[0])
	require.NoError(t, err)
	require.True(t, resolved)
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'delivered'`))
}

func TestLateEvidenceThatNothingWasSentLetsItBeSent(t *testing.T) {
	for _, x := range []struct {
		name     string
		resolves bool
		change   func(s *shop, late *outbox.Settle)
	}{
		{"nothing else has happened", true, func(*shop, *outbox.Settle) {}},
		{"an earlier call is unclear", false, func(_ *shop, late *outbox.Settle) { late.Ambiguous = true }},
		{"it's of a read", false, func(_ *shop, late *outbox.Settle) { late.Attempt.Action = "find" }},
		{"somebody else has called", false, func(s *shop, _ *outbox.Settle) { s.exec(`UPDATE outbox.deliveries SET calls = calls + 1`) }},
		{"a person has decided", false, func(s *shop, _ *outbox.Settle) { s.exec(`UPDATE outbox.deliveries SET reason = 'gave_up'`) }},
		{"the database may have gone back since", false, func(s *shop, _ *outbox.Settle) {
			s.exec(`UPDATE outbox.workers SET server_started = 'epoch' WHERE ended_at IS NOT NULL`)
		}},
	} {
		t.Run(x.name, func(t *testing.T) {
			s := newShop(t)
			zombie := s.worker(time.Nanosecond)
			h := s.enqueues(zombie, s.batch([]string{account}, line{kind: event.OrderRefunded, order: "o1", uuid: "r1"})).Handed[0]
			before := h.Delivery
			require.NoError(t, s.intends(zombie, 1, &h.Work))
			_, _, err := s.Recover(t.Context())
			require.NoError(t, err)
			s.exec(`UPDATE outbox.deliveries SET state = 'held', reason = 'unclear', next_attempt_at = NULL;
				UPDATE outbox.lanes SET next_at = NULL`)

			late := &outbox.Settle{Delivery: before, Attempt: &outbox.Attempt{
				Number: 1, StartedAt: opening, Action: "push", Class: "not_sent",
			}}
			late.State, late.Reason, late.Calls, late.NextAttemptAt = outbox.Pending, "not_reached", 1, opening
			x.change(s, late)
			resolved, err := s.Late(t.Context(), zombie, late)
			require.NoError(t, err)
			require.Equal(t, x.resolves, resolved)
			require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.attempts WHERE late`))
			want := map[bool]int{true: 1}[x.resolves]
			require.Equal(t, want, s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'pending'
				AND reason = 'not_reached' AND NOT ambiguous AND ever_ambiguous AND NOT key_used AND first_sent_at IS NULL`))
			require.Equal(t, 1-want, s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'held' AND ambiguous`))
			claimed, err := s.Claim(t.Context(), s.token, account, 10)
			require.NoError(t, err)
			require.Len(t, claimed, want, "its lane is due")
		})
	}
}

func TestRecoveryFindsWhatWasClaimedFromLongAgo(t *testing.T) {
	s := newShop(t)
	s.comes(line{kind: event.OrderCreated, order: "old"})
	s.comes(line{kind: event.OrderCreated, order: "new"})
	dead := s.worker(time.Nanosecond) // its low_delivery is above both
	claimed, err := s.Claim(t.Context(), dead, account, 10)
	require.NoError(t, err)
	require.Len(t, claimed, 2)
	n, found, err := s.Recover(t.Context())
	require.NoError(t, err)
	require.True(t, found)
	require.Equal(t, 2, n)
	require.Equal(t, 2, s.count(`SELECT count(*) FROM outbox.lanes WHERE owner IS NULL AND next_at <= now()`))
}

func TestACommitWhoseAnswerWasLostIsRecognized(t *testing.T) {
	s := newShop(t)
	h := s.enqueues(s.token, s.batch([]string{account}, line{kind: event.OrderCreated, order: "o1"})).Handed[0]
	before := h.Work
	require.NoError(t, s.intends(s.token, 1, &h.Work))
	again := before
	require.NoError(t, s.intends(s.token, 1, &again))
	require.Equal(t, 1, s.count(`SELECT calls FROM outbox.deliveries`))
	c := delivers(2, h)
	for range 2 {
		c.Lanes[0].Released = false
		_, err := s.Commit(t.Context(), s.token, c)
		require.NoError(t, err)
		require.True(t, c.Lanes[0].Released)
	}
	require.Equal(t, 1, s.count(`SELECT count(*) FROM outbox.attempts`))
}

func TestADatabaseThatWentBackEndsTheToken(t *testing.T) {
	s := newShop(t)
	h := s.enqueues(s.token, s.batch([]string{account}, line{kind: event.OrderCreated, order: "o1"})).Handed[0]
	require.ErrorIs(t, s.intends(s.token, 2, &h.Work), outbox.ErrLeaseLost, "commit 1 is missing")
}

// Two writers, one lane: whatever the interleaving of several workers that add
// to, claim and let go of the same lanes, each delivery is called once, never two
// of a lane at once, and none is left asleep.
func TestWorkersThatShareLanesLoseNothingAndDoubleNothing(t *testing.T) {
	s := newShop(t)
	const workers, batches, orders = 3, 40, 5
	var mu sync.Mutex
	calling, called := map[outbox.Lane]outbox.Token{}, map[int64]int{}
	var all []outbox.Batch
	for i := range batches * workers {
		var lines []line
		for j := range 4 {
			lines = append(lines, line{kind: event.OrderUpdated, order: fmt.Sprint("o", (i+j)%orders), uuid: fmt.Sprint("u", i, "-", j), minute: i % 600})
		}
		all = append(all, s.batch([]string{account}, lines...))
	}
	// call stands for the vendor: it sees who calls in which lane.
	call := func(token outbox.Token, w *outbox.Work) error {
		mu.Lock()
		defer mu.Unlock()
		if by, busy := calling[w.Lane]; busy {
			return fmt.Errorf("worker %d calls in a lane of worker %d", token, by)
		}
		calling[w.Lane] = token
		called[w.ID]++
		return nil
	}
	var group sync.WaitGroup
	errs := make(chan error, workers)
	for n := range workers {
		token := s.worker(time.Hour)
		group.Go(func() {
			p := &player{shop: s, token: token, call: call, done: func(l outbox.Lane) {
				mu.Lock()
				defer mu.Unlock()
				delete(calling, l)
			}}
			errs <- p.play(all[n*batches:(n+1)*batches], rand.New(rand.NewPCG(7, uint64(n))))
		})
	}
	group.Wait()
	for range workers {
		require.NoError(t, <-errs)
	}
	require.Equal(t, batches*workers*4, s.count(`SELECT count(*) FROM outbox.deliveries WHERE state = 'delivered'`))
	require.Equal(t, orders, s.count(`SELECT count(*) FROM outbox.lanes WHERE owner IS NULL AND NOT resting AND next_at IS NULL`))
	for id, n := range called {
		require.Equal(t, 1, n, "delivery %d", id)
	}
}

// player is a minimal dispatcher: it works a lane off, row by row.
type player struct {
	*shop
	token  outbox.Token
	number int64
	call   func(outbox.Token, *outbox.Work) error
	done   func(outbox.Lane)
}

func (p *player) play(batches []outbox.Batch, rng *rand.Rand) error {
	for _, b := range batches {
		if rng.IntN(4) == 0 {
			b.Accept = nil
		}
		out, err := p.Enqueue(p.t.Context(), p.token, b)
		if err != nil {
			return err
		}
		lanes := map[outbox.Lane]*outbox.Loaded{}
		for _, h := range out.Handed {
			if lanes[h.Work.Lane] == nil {
				lanes[h.Work.Lane] = &outbox.Loaded{LaneState: h.Lane}
			}
			lanes[h.Work.Lane].Work = append(lanes[h.Work.Lane].Work, &h.Work)
		}
		for _, l := range lanes {
			if err := p.workOff(l); err != nil {
				return err
			}
		}
		if err := p.claimAll(1 + rng.IntN(3)); err != nil {
			return err
		}
	}
	return p.claimAll(100)
}

func (p *player) claimAll(limit int) error {
	for {
		loaded, err := p.Claim(p.t.Context(), p.token, account, limit)
		if err != nil || len(loaded) == 0 {
			return err
		}
		for _, l := range loaded {
			if err := p.workOff(l); err != nil {
				return err
			}
		}
	}
}

func (p *player) workOff(l *outbox.Loaded) error {
	for {
		for _, w := range l.Work {
			if err := p.call(p.token, w); err != nil {
				return err
			}
			p.done(w.Lane)
			c := delivers(0, outbox.Handed{Work: *w, Lane: l.LaneState})
			c.Lanes = nil
			if err := p.commits(c); err != nil {
				return err
			}
		}
		release := &outbox.LaneUpdate{Lane: l.Lane, Epoch: l.Epoch, Release: true, Handed: l.Handed}
		if err := p.commits(outbox.Commit{Lanes: []*outbox.LaneUpdate{release}}); err != nil || release.Released {
			return err
		}
		if !release.News {
			return errors.New("a lane isn't let go although nothing is in it")
		}
		loaded, err := p.Reload(p.t.Context(), p.token, l.Lane)
		if err != nil {
			return err
		}
		l = loaded[0]
	}
}

func (p *player) commits(c outbox.Commit) error {
	p.number++
	c.Number = p.number
	gone, err := p.Commit(p.t.Context(), p.token, c)
	if err == nil && len(gone) > 0 {
		return fmt.Errorf("gone: %v", gone)
	}
	return err
}
