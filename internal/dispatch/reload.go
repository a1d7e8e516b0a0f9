package dispatch

import (
	"context"
	"errors"
	"time"

	"syncworker/internal/outbox"
)

// reloadLimit is how many lanes one transaction loads at most.
const reloadLimit = 256

// reload has what rests in a lane of the hand loaded, together with the lanes for
// which that is asked meanwhile: among several workers that is every event whose
// lane another one has. The lock is held.
func (h *hand) reload(l *lane) {
	l.busy = true
	h.acts.Add(1)
	h.reloads = append(h.reloads, l)
	if !h.reloading {
		h.reloading = true
		go h.reloadAll()
	}
}

// reloadAll loads lanes until none waits for it.
func (h *hand) reloadAll() {
	for {
		h.mu.Lock()
		batch := h.reloads[:min(len(h.reloads), reloadLimit)]
		h.reloads = h.reloads[len(batch):]
		if len(batch) == 0 {
			h.reloading = false
			h.mu.Unlock()
			return
		}
		h.claiming++
		h.mu.Unlock()
		h.reloadTogether(batch)
		for range batch {
			h.acts.Done()
		}
	}
}

func (h *hand) reloadTogether(batch []*lane) {
	ctx, cancel := context.WithTimeout(h.calls, h.config.Lease/3)
	defer cancel()
	ids, byID := make([]outbox.Lane, len(batch)), make(map[outbox.Lane]*lane, len(batch))
	for i, l := range batch {
		ids[i], byID[l.LaneState.Lane] = l.LaneState.Lane, l
	}
	loaded, err := h.store.Reload(ctx, h.token, ids...)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.claiming--
	switch {
	case errors.Is(err, outbox.ErrLeaseLost):
		select {
		case h.lost <- err:
		default:
		}
	case err != nil:
		h.log.Warn().Err(err).Int("lanes", len(batch)).Msg("reloading lanes")
		h.suspect = missedAnswer
		for _, l := range batch {
			l.busy = false
		}
		time.AfterFunc(time.Second, func() { h.tryAgain(batch) })
	default:
		for _, x := range loaded {
			l := byID[x.Lane]
			l.busy = false
			h.fill(h.accounts[x.Account], l, x)
		}
	}
}

// tryAgain considers lanes whose reload the database didn't answer.
func (h *hand) tryAgain(lanes []*lane) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, l := range lanes {
		h.consider(h.accounts[l.Account], l)
	}
}
