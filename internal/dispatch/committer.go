package dispatch

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"syncworker/internal/outbox"
)

// commitLimit is how many entries one transaction takes at most. It takes what
// has come meanwhile and never waits for more.
const commitLimit = 500

// entry is what one lane has to write. At most one entry of a lane is under way.
type entry struct {
	settles []*outbox.Settle
	intent  *outbox.Intent
	lane    *outbox.LaneUpdate
	// done is called once with what became of it: err is nil or ErrLeaseLost;
	// gone are deliveries that a person has cancelled meanwhile. An intent that
	// wasn't taken before the drain is nil by then, and one that is stale wasn't
	// written.
	done func(gone []int64, err error)
}

// committer writes the entries of all lanes in few transactions. While the
// database is away it keeps them: an answer that a vendor gave is written down
// whatever happens to the context of its call.
type committer struct {
	store   *outbox.Store
	token   outbox.Token
	log     zerolog.Logger
	lost    chan error
	ctx     context.Context
	abandon context.CancelFunc
	number  int64
	// vouch looks whether a server that was started anew has all that was
	// committed; saw is told how much that is.
	vouch func(context.Context) error
	saw   func(number int64)

	mu       sync.Mutex
	queue    []*entry
	draining bool
	closed   bool
	signal   chan struct{} // the queue isn't what it was
	// unrecorded are settles that could not be written under the token. It is
	// read after run has returned.
	unrecorded []*outbox.Settle
}

func newCommitter(w *Worker, token outbox.Token, log zerolog.Logger) *committer {
	ctx, cancel := context.WithCancel(context.Background())
	return &committer{
		store: w.store, token: token, log: log, ctx: ctx, abandon: cancel,
		vouch:  func(ctx context.Context) error { return w.vouch(ctx, token, false) },
		saw:    func(number int64) { w.saw(token, func(m *outbox.Mark) { m.Commits = number }) },
		signal: make(chan struct{}, 1), lost: make(chan error, 1),
	}
}

// add queues an entry. It never waits, so that it may be called under a lock
// that done takes too; what may be queued is bounded by what is in the hand.
func (c *committer) add(e *entry) {
	c.mu.Lock()
	c.queue = append(c.queue, e)
	c.mu.Unlock()
	c.wake()
}

// drain takes no more intents: what is settled is written without them.
func (c *committer) drain() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.draining = true
}

// close ends run once everything has been written.
func (c *committer) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.wake()
}

func (c *committer) wake() {
	select {
	case c.signal <- struct{}{}:
	default:
	}
}

// next waits for entries and takes what has come. It returns none once the
// committer is closed and everything has been taken.
func (c *committer) next() []*entry {
	for {
		c.mu.Lock()
		batch := c.queue[:min(len(c.queue), commitLimit)]
		c.queue = c.queue[len(batch):]
		if c.draining {
			for _, e := range batch {
				e.intent = nil
			}
		}
		closed := c.closed
		c.mu.Unlock()
		if len(batch) > 0 || closed {
			return batch
		}
		<-c.signal
	}
}

func (c *committer) run() {
	defer c.abandon()
	var failed error
	for {
		batch := c.next()
		if len(batch) == 0 {
			return
		}
		var gone []int64
		if failed == nil {
			gone, failed = c.write(batch)
			if failed != nil {
				c.lost <- failed
			}
		}
		for _, e := range batch {
			if failed != nil {
				c.keep(e)
			}
			e.done(gone, failed)
		}
	}
}

// write commits the batch, again and again while the database is away. An entry
// that can't be written must not keep the others from it: then each is written by
// itself, and what can't be is held for a person.
func (c *committer) write(batch []*entry) ([]int64, error) {
	gone, err := c.tryUntilAnswered(batch)
	if !errors.Is(err, outbox.ErrUnwritable) {
		return gone, err
	}
	if len(batch) > 1 {
		gone = nil
		for _, e := range batch {
			one, err := c.write([]*entry{e})
			if err != nil {
				return gone, err
			}
			gone = append(gone, one...)
		}
		return gone, nil
	}
	c.log.Error().Err(err).Msg("what became of a delivery can't be written as it is; a person has to look")
	for _, s := range batch[0].settles {
		holdUnwritable(s, err)
	}
	if gone, err = c.tryUntilAnswered(batch); errors.Is(err, outbox.ErrUnwritable) {
		return nil, outbox.ErrLeaseLost
	}
	return gone, err
}

// holdUnwritable makes of a settle what the database takes in any case.
func holdUnwritable(s *outbox.Settle, err error) {
	s.State, s.Reason, s.NextAttemptAt, s.QuietUntil = outbox.Held, Unwritable, time.Time{}, time.Time{}
	s.Ambiguous, s.EverAmbiguous, s.Rest = true, true, true
	s.VendorKey, s.VendorRef, s.PointsApplied = "", "", nil
	if a := s.Attempt; a != nil {
		status := a.Status
		if status > 999 {
			status = 0 // no vendor's; it may be what can't be written
		}
		s.Attempt = &outbox.Attempt{
			Number: a.Number, StartedAt: a.StartedAt, Duration: a.Duration, Action: a.Action, Class: a.Class,
			Status: status, Message: "not written as it was: " + err.Error(),
		}
	}
}

func (c *committer) tryUntilAnswered(batch []*entry) ([]int64, error) {
	commit := outbox.Commit{Number: c.number + 1}
	for _, e := range batch {
		commit.Settles = append(commit.Settles, e.settles...)
		if e.intent != nil {
			commit.Intents = append(commit.Intents, e.intent)
		}
		if e.lane != nil {
			commit.Lanes = append(commit.Lanes, e.lane)
		}
	}
	for try := 0; ; try++ {
		gone, err := c.store.Commit(c.ctx, c.token, commit)
		if errors.Is(err, outbox.ErrServerChanged) {
			if err = c.vouch(c.ctx); err == nil {
				continue
			}
		}
		switch {
		case err == nil:
			c.number++
			c.saw(c.number)
			return gone, nil
		case errors.Is(err, outbox.ErrLeaseLost) || errors.Is(err, outbox.ErrUnwritable):
			return nil, err
		case c.ctx.Err() != nil:
			return nil, outbox.ErrLeaseLost
		case try == 0 || try%50 == 0:
			c.log.Warn().Err(err).Int("entries", len(batch)).Msg("writing answers down; trying again until it works")
		}
		select {
		case <-c.ctx.Done():
		case <-time.After(min(time.Duration(try+1)*10*time.Millisecond, time.Second)):
		}
	}
}

// keep holds on to answers that could not be written under the token.
func (c *committer) keep(e *entry) {
	for _, s := range e.settles {
		if s.Attempt != nil {
			c.unrecorded = append(c.unrecorded, s)
		}
	}
}
