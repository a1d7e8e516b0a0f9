package outbox

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Lanes that are due are looked for from where the last look found one. Before that
// the index has an entry of each lane that was claimed since: it can't go while
// somebody reads an older state of the database, and each look would read them all.
// Transactions that began earlier may leave lanes up to lookBack before that, and
// every sweepEvery a look begins with the first, more rarely where that takes long.
const (
	lookBack   = 2 * time.Second
	sweepEvery = 5 * time.Second
	sweepShare = 100 // a look from the first lane on takes one of so many parts of the time
	// sweepRarest is how much later it comes at most: a worker that stood still, or a
	// database that did, took long as well.
	sweepRarest = time.Minute
)

// looks is how far the lanes of each account were looked at.
type looks struct {
	mu   sync.Mutex
	last map[string]look
}

type look struct {
	since time.Time // where the next one begins
	swept time.Time // when one began with the first lane, by the database's clock; later where that took long
}

func (l *looks) of(account string) look {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last[account]
}

func (l *looks) note(account string, x look) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.last == nil {
		l.last = map[string]look{}
	}
	l.last[account] = x
}

// next is where to begin after a look at that moment found its first lane: zero is
// none, and one that isn't due is like none.
func (x look) next(first, now time.Time, swept bool, took time.Duration) look {
	if swept {
		x.swept = now.Add(min(sweepShare*took, sweepRarest))
	}
	if first.IsZero() || first.After(now) {
		first = now
	}
	x.since = first.Add(-lookBack)
	return x
}

// NextDue returns when the next lane at rest is due, zero where none is.
func (s *Store) NextDue(ctx context.Context, accounts []string) (next time.Time, err error) {
	const sql = `
		SELECT u.account, l.next_at, now(), u.sweep
		FROM (SELECT account, since, now() >= swept + $4::interval AS sweep
			FROM unnest($1::text[], $2::timestamptz[], $3::timestamptz[]) a(account, since, swept)) u
		LEFT JOIN LATERAL (SELECT next_at FROM outbox.lanes
			WHERE account = u.account AND next_at >= CASE WHEN u.sweep THEN '-infinity' ELSE u.since END
			ORDER BY next_at LIMIT 1) l ON true`
	since, swept := make([]time.Time, len(accounts)), make([]time.Time, len(accounts))
	for i, account := range accounts {
		x := s.looks.of(account)
		since[i], swept[i] = x.since, x.swept
	}
	var account string
	var first instant
	var now time.Time
	var sweep bool
	began := time.Now()
	rows, err := s.pool.Query(ctx, sql, accounts, since, swept, sweepEvery)
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&account, &first, &now, &sweep}, func() error {
			at := time.Time(first)
			s.looks.note(account, s.looks.of(account).next(at, now, sweep, time.Since(began)))
			if !at.IsZero() && (next.IsZero() || at.Before(next)) {
				next = at
			}
			return nil
		})
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("looking for lanes that are due: %w", err)
	}
	return next, nil
}
