package dispatch

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"syncworker/internal/failpoint"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// hand is what a worker holds under one token: lanes with their deliveries. A
// lane is in the hand as long as there is something to do about it now; else it
// is put down, and the database says when it is due.
type hand struct {
	*Worker
	token  outbox.Token
	log    zerolog.Logger
	commit *committer

	mu         sync.Mutex
	accounts   map[string]*account
	lanes      map[outbox.Lane]*lane
	leaseUntil time.Time
	joined     time.Time
	low        int64 // as the database has it
	maxID      int64 // the largest delivery id seen
	entering   map[*int64]struct{}
	claiming   int
	reloads    []*lane // that wait to be loaded
	reloading  bool
	suspect    int                // how often to ask the database for what this hand has without knowing
	met        map[int64]struct{} // while it is asked: what is in the hand or comes into it
	draining   bool

	acts  sync.WaitGroup  // actions and commits under way
	calls context.Context // of everything that actions ask for; ends when a drain has taken too long
	cut   context.CancelFunc
	idle  chan func()   // goroutines that have made calls, and wait for the next
	wake  chan struct{} // something may be due
	room  chan struct{} // closed, and made anew, when an account has room again
	lost  chan error
	dead  chan struct{} // another worker's lease has run out
}

// account is an account's part of the hand.
type account struct {
	Account
	ops      Operations
	preparer vendors.Preparer
	finder   vendors.Finder
	members  vendors.MemberFinder
	marker   vendors.Marker
	gate     *gate
	ready    []*lane // of whatever account, that wait for this gate
	live     int     // deliveries in hand
	timer    *time.Timer
}

// lane is a lane in the hand.
type lane struct {
	Lane
	handed int      // deliveries met: handed over as they came, or loaded
	busy   bool     // an action or a commit is under way
	via    *account // whose slot the action under way has
	queued bool     // in its account's ready list
	stale  bool     // something rests in it that has to be loaded first
	awaits int      // batches on their way that bring what goes before some of it
}

// capacity is how many deliveries of one account a worker takes into its hands.
func (a *account) capacity() int { return min(max(4*a.Limits.MaxInFlight, 1024), 8192) }

func newHand(w *Worker, token outbox.Token, low int64, leaseUntil time.Time) *hand {
	h := &hand{
		Worker: w, token: token, low: low, maxID: low - 1, leaseUntil: leaseUntil,
		log:      w.log.With().Int64("worker", int64(token)).Logger(),
		accounts: map[string]*account{}, lanes: map[outbox.Lane]*lane{}, entering: map[*int64]struct{}{},
		idle: make(chan func()), wake: make(chan struct{}, 1), room: make(chan struct{}),
		lost: make(chan error, 1), dead: make(chan struct{}, 1), joined: w.now(),
	}
	h.calls, h.cut = context.WithCancel(context.Background())
	h.commit = newCommitter(w, token, h.log)
	for _, a := range w.accounts {
		acc := &account{Account: a, ops: a.operations(), gate: newGate(a.Limits)}
		acc.preparer, _ = a.Vendor.(vendors.Preparer)
		acc.finder, _ = a.Vendor.(vendors.Finder)
		acc.members, _ = a.Vendor.(vendors.MemberFinder)
		acc.marker, _ = a.Vendor.(vendors.Marker)
		acc.timer = time.AfterFunc(time.Hour, func() { h.pump(acc) })
		acc.timer.Stop()
		h.accounts[a.Name] = acc
	}
	return h
}

// run works until the context ends, and then until what is under way is settled.
func (h *hand) run(ctx context.Context) error {
	committed := make(chan struct{})
	go func() { defer close(committed); h.commit.run() }()
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var loops sync.WaitGroup
	loops.Go(func() { h.renewLoop(background) })
	loops.Go(func() { h.claimLoop(background) })
	loops.Go(func() { h.recoverLoop(background) })

	var err error
	select {
	case <-ctx.Done():
	case err = <-h.lost:
	case err = <-h.commit.lost:
	}
	deadline := h.now().Add(h.config.Drain)
	h.drain()
	stop()
	loops.Wait()
	h.commit.close()
	<-committed
	for _, a := range h.accounts {
		a.timer.Stop()
	}
	return errors.Join(err, h.end(ctx, max(deadline.Sub(h.now()), time.Second), err))
}

// drain lets nothing new begin and waits for what is under way. A call whose
// intent is committed, and of which no byte has left, is taken back. Calls that
// take too long are given up, in time for what is known of them to be written
// down.
func (h *hand) drain() {
	defer h.cut()
	h.mu.Lock()
	h.draining = true
	for _, a := range h.accounts {
		a.gate.next(math.MaxInt) // to be withheld
	}
	h.mu.Unlock()
	_ = failpoint.Hit(failpoint.Draining, "")
	h.commit.drain()
	done := make(chan struct{})
	go func() { h.acts.Wait(); close(done) }()
	for _, giveUp := range []struct {
		after time.Duration
		on    func()
	}{{h.config.Drain * 3 / 4, h.cut}, {h.config.Drain / 4, h.commit.abandon}} {
		select {
		case <-done:
			return
		case <-time.After(giveUp.after):
			giveUp.on()
		}
	}
	<-done
}

// end gives the token back, so that others take over at once, and writes down as
// late what could not be recorded under it. A database that has gone back in time
// may not even know the deliveries that it was about.
func (h *hand) end(ctx context.Context, within time.Duration, why error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
	defer cancel()
	h.returnQuota(ctx)
	if err := h.store.End(ctx, h.token); err != nil {
		return fmt.Errorf("giving the token back: %w", err)
	}
	if errors.Is(why, outbox.ErrWentBack) {
		return nil
	}
	var failed error
	for _, s := range h.commit.unrecorded {
		resolved, err := h.store.Late(ctx, h.token, s)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("delivery %d: %w", s.ID, err))
			continue
		}
		h.log.Warn().Int64("delivery", s.ID).Bool("resolved", resolved).Msg("recorded a late answer")
	}
	return failed
}

// inBackground runs an action in a goroutine that has run others where one is
// idle: its stack has grown to what a call takes already.
func (h *hand) inBackground(act func()) {
	select {
	case h.idle <- act:
	default:
		go func() {
			for {
				act()
				select {
				case act = <-h.idle:
				case <-h.calls.Done():
					return
				}
			}
		}()
	}
}

// maySend reports whether the first byte of a call may leave now.
func (h *hand) maySend(timeout time.Duration) error {
	if h.isDraining() {
		return errors.New("the worker is being stopped")
	}
	return h.mayCall(timeout)
}

func (h *hand) isDraining() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.draining
}

// mayCall reports whether the lease has more time left than a call may take.
func (h *hand) mayCall(timeout time.Duration) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if left := h.leaseUntil.Sub(h.now()); left <= timeout {
		return fmt.Errorf("the worker's lease has %s left", left.Round(time.Millisecond))
	}
	return nil
}

// roomWait is how long a batch waits at most for room in the hand. Handed over,
// it costs half of what it costs to put it to rest and to claim it again.
const roomWait = time.Second

// waitForRoom waits while all accounts that a batch goes to have their hands full.
func (h *hand) waitForRoom(ctx context.Context, b outbox.Batch) {
	late := time.NewTimer(roomWait)
	defer late.Stop()
	for {
		h.mu.Lock()
		room, full := h.room, h.full(b)
		h.mu.Unlock()
		if !full {
			return
		}
		select {
		case <-room:
		case <-late.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// full reports whether every account that a batch goes to is being called and has
// more in hand than it needs to go on. The lock is held.
func (h *hand) full(b outbox.Batch) bool {
	for _, in := range b.Events {
		for _, name := range in.Accounts {
			a := h.accounts[name]
			if a == nil || a.gate.blocked(h.now()) || !a.busy() {
				return false
			}
		}
	}
	return len(b.Events) > 0 && !h.draining
}

// busy reports whether there is no need to look for more deliveries.
func (a *account) busy() bool { return a.live > a.capacity()/2 }

// enqueue commits a batch and takes into the hand what was handed over.
func (h *hand) enqueue(ctx context.Context, b outbox.Batch) (outbox.Enqueued, error) {
	h.waitForRoom(ctx, b)
	arriving := lanesOf(b)
	h.mu.Lock()
	for name, a := range h.accounts {
		if !h.draining && !a.gate.blocked(h.now()) && a.live < a.capacity() {
			b.Accept = append(b.Accept, name)
		}
	}
	for lane, l := range h.lanes {
		if len(l.Work) >= outbox.Window {
			b.Full = append(b.Full, lane)
		}
	}
	b.Blocks = h.blocksLane
	floor := h.maxID + 1
	h.entering[&floor] = struct{}{}
	ended := ctx
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	// A stop doesn't break a commit off: with its answer lost, what was intended with
	// it would be unclear.
	defer context.AfterFunc(ended, func() { time.AfterFunc(h.config.Drain/4, stop) })()
	chosen := &choice{hand: h}
	if !h.draining {
		h.acts.Add(1) // a drain waits for what was chosen
		defer h.acts.Done()
		defer context.AfterFunc(h.calls, stop)()
		b.Intend = chosen.intend
	}
	awaiting := h.await(arriving)
	h.mu.Unlock()

	out, err := h.store.Enqueue(ctx, h.token, b)

	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.entering, &floor)
	if err != nil {
		chosen.takeBack()
		h.suspect = missedAnswer
		h.goOn(awaiting)
		return out, err
	}
	h.takeAll(out.Handed, chosen)
	h.goOn(awaiting)
	for _, x := range out.Taken {
		h.takeEmpty(x)
	}
	if out.Rested {
		h.wakeUp()
	}
	return out, nil
}

// takeAll takes what was handed over together. A lane is considered only once all
// of it is there: its order isn't that of arrival. The lock is held.
func (h *hand) takeAll(handed []outbox.Handed, chosen *choice) {
	for i := range handed {
		h.take(&handed[i])
	}
	chosen.begin(handed)
	for i := range handed {
		if l := h.lanes[handed[i].Lane.Lane]; l != nil {
			h.consider(h.accounts[handed[i].Account], l)
		}
	}
}

// take puts a delivery that was handed over into its lane. The lock is held.
func (h *hand) take(handed *outbox.Handed) {
	w := &handed.Work
	h.maxID = max(h.maxID, w.ID)
	a := h.accounts[w.Account]
	l := h.lanes[handed.Lane.Lane]
	if l == nil || l.Epoch != handed.Lane.Epoch {
		l = &lane{Lane: Lane{LaneState: handed.Lane}}
		h.lanes[l.LaneState.Lane] = l
	}
	for _, has := range l.Work {
		if has.ID == w.ID {
			return
		}
	}
	l.handed++
	h.meet(w)
	l.Work = append(l.Work, w)
	Sort(l.Work)
	a.live++
	h.metrics.inHand(a.Name, a.live)
}

// takeEmpty lets go of a lane that was taken for what then could not be handed
// over, unless more is in it. The lock is held.
func (h *hand) takeEmpty(x outbox.LaneState) {
	if l := h.lanes[x.Lane]; l != nil && l.Epoch == x.Epoch {
		return
	}
	l := &lane{Lane: Lane{LaneState: x}, stale: true}
	h.lanes[x.Lane] = l
	h.consider(h.accounts[x.Account], l)
}

func (h *hand) wakeUp() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// lowest returns a delivery id below which this hand holds nothing live. The
// lock is held.
func (h *hand) lowest() int64 {
	if h.claiming > 0 || h.suspect > 0 {
		return h.low
	}
	low := h.maxID + 1
	for floor := range h.entering {
		low = min(low, *floor)
	}
	for _, l := range h.lanes {
		for _, w := range l.Work {
			low = min(low, w.ID)
		}
	}
	return low
}
