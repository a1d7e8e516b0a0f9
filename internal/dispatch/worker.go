package dispatch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// Account is one configured vendor login with everything that dispatch needs.
type Account struct {
	Name   string
	Vendor vendors.Vendor
	Policy Policy
	Limits Limits
	// OrderReads is the account that Find asks where the operation says
	// FindElsewhere; empty where there is none.
	OrderReads string
}

// Config of a worker.
type Config struct {
	Name    string        // of the process, for people
	Lease   time.Duration // at least three times the longest account timeout
	Drain   time.Duration // how long calls under way may take once it is told to stop
	Circuit Circuit
	Poll    time.Duration // how often it looks for lanes that are due
	Witness Witness       // nil: a database that goes back in time isn't noticed by a new worker
}

// Witness remembers outside of the database how far each token has come in it.
// Package witness has it.
type Witness interface {
	// Begin notes that a token exists; fresh is false where it did before.
	Begin(ctx context.Context, token outbox.Token) (fresh bool, err error)
	// Known returns the marks of all tokens.
	Known(ctx context.Context) (map[outbox.Token]outbox.Mark, error)
	// Saw takes note of a mark without waiting.
	Saw(token outbox.Token, mark outbox.Mark)
}

// Worker consumes lanes: it calls the vendors and writes down what they answer.
// Any number of workers may share a database.
type Worker struct {
	store    *outbox.Store
	accounts []Account
	config   Config
	log      zerolog.Logger
	metrics  *Metrics
	now      func() time.Time
	jitter   func() float64 // uniform in [0, 1)

	mu      sync.Mutex
	hand    *hand
	changed chan struct{}                // closed when hand changes
	failed  error                        // why it couldn't begin, the last time
	marks   map[outbox.Token]outbox.Mark // of this process's tokens
}

// New returns a worker. now has to carry a monotonic reading, as time.Now does.
func New(store *outbox.Store, accounts []Account, config Config, log zerolog.Logger, metrics *Metrics,
	now func() time.Time, jitter func() float64,
) *Worker {
	return &Worker{
		store: store, accounts: accounts, config: config, log: log, metrics: metrics,
		now: now, jitter: jitter, changed: make(chan struct{}), marks: map[outbox.Token]outbox.Mark{},
	}
}

// Run works until the context ends and what was under way is settled. Where the
// worker loses its lease, or the database stays away for longer than that, it
// drops what it held and goes on under a new token.
func (w *Worker) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		h, err := w.begin(ctx)
		w.mu.Lock()
		w.failed = err
		w.mu.Unlock()
		if errors.Is(err, outbox.ErrWentBack) {
			continue // what it may have lost is unknown now
		}
		if err != nil {
			w.log.Warn().Err(err).Msg("can't begin yet; trying again")
			select {
			case <-ctx.Done():
			case <-time.After(w.config.Poll):
			}
			continue
		}
		w.setHand(h)
		err = h.run(ctx)
		w.setHand(nil)
		if errors.Is(err, outbox.ErrLeaseLost) && ctx.Err() == nil {
			w.log.Warn().Int64("token", int64(h.token)).Msg("the lease was taken over; going on under a new token")
			continue
		}
		if err != nil {
			return fmt.Errorf("dispatching: %w", err)
		}
	}
	return nil
}

func (w *Worker) begin(ctx context.Context) (*hand, error) {
	asked := w.now()
	token, low, err := w.store.Register(ctx, w.config.Name, w.config.Lease)
	if err != nil {
		return nil, err
	}
	h := newHand(w, token, low, asked.Add(w.config.Lease))
	if err = w.vouch(ctx, token, true); err == nil {
		err = h.renew(ctx)
	}
	if err == nil {
		w.forgetBut(token)
		return h, nil
	}
	// Else the others would leave this worker its share until the lease runs out.
	return nil, errors.Join(err, h.end(ctx, w.config.Lease/3, err))
}

// vouch makes sure that the database that answers has all that any worker is
// known to have committed. Else it returns ErrWentBack: all tokens have ended, and
// what is live is unknown.
func (w *Worker) vouch(ctx context.Context, token outbox.Token, first bool) error {
	known := map[outbox.Token]outbox.Mark{}
	if w.config.Witness != nil {
		fresh := true
		var err error
		if first {
			if fresh, err = w.config.Witness.Begin(ctx, token); err != nil {
				return err
			}
		}
		if known, err = w.config.Witness.Known(ctx); err != nil {
			return err
		}
		if !fresh {
			mark := known[token]
			mark.Commits = max(mark.Commits, 1) // another worker's: it isn't there any more
			known[token] = mark
		}
	}
	w.mu.Lock()
	for own, mark := range w.marks {
		known[own] = outbox.Mark{
			Commits: max(mark.Commits, known[own].Commits), Decisions: max(mark.Decisions, known[own].Decisions),
		}
	}
	w.mu.Unlock()
	loss, err := w.store.FindLoss(ctx, known, func(l outbox.Loss) {
		w.log.Error().Int("workers", l.Workers).Bool("decisions", l.Decisions).
			Msg("the database has gone back in time: nothing is called until all that is live is marked as unknown")
	})
	if err != nil {
		return err
	}
	if loss.Any() {
		w.log.Error().Int("unknown", loss.Deliveries).Int("held", loss.Held).
			Msg("what the database says is still to be sent is unknown until read at the vendor")
		return outbox.ErrWentBack
	}
	return w.store.Vouch(ctx, token, loss.Server)
}

// forgetBut forgets the tokens before this one. A database that lacks a commit of
// theirs lacks the row of this one as well, and one that is well forgets them too.
func (w *Worker) forgetBut(token outbox.Token) {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.marks, func(old outbox.Token, _ outbox.Mark) bool { return old != token })
}

// saw remembers how far a token has come.
func (w *Worker) saw(token outbox.Token, change func(*outbox.Mark)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	mark := w.marks[token]
	change(&mark)
	w.marks[token] = mark
	if w.config.Witness != nil {
		w.config.Witness.Saw(token, mark)
	}
}

func (w *Worker) setHand(h *hand) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hand = h
	close(w.changed)
	w.changed = make(chan struct{})
}

// Enqueue commits a batch and takes its deliveries into this worker's hands as
// far as they have room. It waits while the worker has no token.
func (w *Worker) Enqueue(ctx context.Context, b outbox.Batch) (outbox.Enqueued, error) {
	for {
		w.mu.Lock()
		h, changed := w.hand, w.changed
		w.mu.Unlock()
		if h != nil {
			return h.enqueue(ctx, b)
		}
		select {
		case <-ctx.Done():
			return outbox.Enqueued{}, ctx.Err()
		case <-changed:
		}
	}
}

// Ready reports whether the worker holds a lease that has time left.
func (w *Worker) Ready() error {
	w.mu.Lock()
	h, why := w.hand, w.failed
	w.mu.Unlock()
	if h == nil {
		return fmt.Errorf("the worker can't begin yet: %w", cmp.Or(why, errors.New("it has no token")))
	}
	return h.mayCall(0)
}

// operations returns the facts of an account's vendor as Plan wants them.
func (a *Account) operations() Operations {
	return func(t event.Type) (vendors.Operation, bool) { return a.Vendor.Operation(t) }
}

// Oldest returns, for each account and state, when the oldest delivery that this
// worker holds was received.
func (w *Worker) Oldest() []outbox.Oldest {
	w.mu.Lock()
	h := w.hand
	w.mu.Unlock()
	if h == nil {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var oldest []outbox.Oldest
	for _, l := range h.lanes {
		for _, x := range l.Work {
			oldest = append(oldest, outbox.Oldest{Account: x.Account, State: x.State, ReceivedAt: x.ReceivedAt})
		}
	}
	return oldest
}
