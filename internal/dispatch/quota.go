package dispatch

import (
	"context"
	"time"

	"syncworker/internal/outbox"
)

// quota is what this worker has reserved of the calls that an app may make in one
// of its vendor's days. All workers and accounts of the app reserve from the same.
type quota struct {
	day    string
	left   int  // reserved and not used; below 0 where a call turned out to be several
	out    bool // nothing is left to reserve on this day
	asking bool
}

// atOnce is how many calls are reserved together: a worker that dies loses no more.
func (l Limits) atOnce() int { return max(1, min(20, l.Daily/100)) }

// turn begins a new day where one has begun. What was reserved is of the old one.
func (q *quota) turn(now time.Time) {
	if day, _ := outbox.QuotaDay(now); q.day != day {
		q.day, q.left, q.out = day, 0, false
	}
}

// spent decides by the daily quota alone; ok is that nothing speaks against a call.
func (g *gate) spent(now time.Time) (v verdict, ok bool) {
	if g.limits.Daily == 0 {
		return verdict{}, true
	}
	g.quota.turn(now)
	switch {
	case g.quota.left > 0:
		return verdict{}, true
	case g.quota.out:
		_, next := outbox.QuotaDay(now)
		return verdict{wait: next.Sub(now)}, false
	}
	return verdict{quota: !g.quota.asking}, false
}

// askForQuota reserves the next calls of an account's daily quota.
func (h *hand) askForQuota(a *account) {
	defer h.acts.Done()
	ctx, cancel := context.WithTimeout(h.calls, h.config.Lease/3)
	defer cancel()
	h.mu.Lock()
	day, want := a.gate.quota.day, a.Limits.atOnce()-min(a.gate.quota.left, 0)
	h.mu.Unlock()
	granted, err := h.store.ReserveQuota(ctx, a.Limits.App, day, want, a.Limits.Daily)
	h.mu.Lock()
	defer h.mu.Unlock()
	q := &a.gate.quota
	q.asking = false
	switch {
	case err != nil:
		h.log.Warn().Err(err).Str("account", a.Name).Msg("asking for the daily quota")
		a.timer.Reset(time.Second)
		return
	case q.day == day:
		q.left += granted
		if q.out = granted == 0; q.out {
			h.log.Error().Str("account", a.Name).Int("daily_quota", a.Limits.Daily).
				Msg("the daily quota is used up: calls to this account wait until midnight in China")
		}
	}
	h.pumpLocked(a)
}

// returnQuota gives back what isn't going to be used.
func (h *hand) returnQuota(ctx context.Context) {
	for _, a := range h.accounts {
		h.mu.Lock()
		day, unused := a.gate.quota.day, a.gate.quota.left
		a.gate.quota.left = 0
		h.mu.Unlock()
		if unused <= 0 {
			continue
		}
		if err := h.store.ReturnQuota(ctx, a.Limits.App, day, unused); err != nil {
			h.log.Warn().Err(err).Str("account", a.Name).Msg("giving back what is left of the daily quota")
		}
	}
}
