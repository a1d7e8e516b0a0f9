package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Pause stops all calls to an account until Resume. It reports whether it was
// paused already, by whomever; that pause then stays as it is.
func (s *Store) Pause(ctx context.Context, account, actor, why string) (already bool, err error) {
	const sql = `
		UPDATE outbox.gates SET paused_at = now(), paused_by = $2, paused_why = $3
		WHERE account = $1 AND paused_at IS NULL`
	changed, err := s.changeGate(ctx, sql, Deed{Actor: actor, Action: "pause", Why: why}, account, account, actor, why)
	if err != nil {
		return false, fmt.Errorf("pausing %s: %w", account, err)
	}
	return !changed, nil
}

// Resume lets calls to an account through again, also where its circuit is open;
// what the vendor asked for by throttling stays. It reports whether anything
// stood in the way.
func (s *Store) Resume(ctx context.Context, account, actor, why string) (changed bool, err error) {
	const sql = `
		UPDATE outbox.gates SET paused_at = NULL, paused_by = '', paused_why = '', open_until = NULL, opens = 0, cause = ''
		WHERE account = $1 AND (paused_at IS NOT NULL OR open_until IS NOT NULL)`
	changed, err = s.changeGate(ctx, sql, Deed{Actor: actor, Action: "resume", Why: why}, account, account)
	if err != nil {
		return false, fmt.Errorf("resuming %s: %w", account, err)
	}
	return changed, nil
}

// changeGate runs an update of one account's gate, and records it where it
// changed anything.
func (s *Store) changeGate(ctx context.Context, sql string, deed Deed, account string, args ...any) (changed bool, err error) {
	const gate = `SELECT to_jsonb(g) FROM outbox.gates g WHERE account = $1 FOR UPDATE`
	deed.Target = "account " + account
	err = s.inTx(ctx, func(tx pgx.Tx) error {
		changed = false
		_, err := tx.Exec(ctx, `INSERT INTO outbox.gates (account) VALUES ($1) ON CONFLICT DO NOTHING`, account)
		if err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, gate, account).Scan(&deed.Before); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, sql, args...)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		changed = true
		if err := tx.QueryRow(ctx, gate, account).Scan(&deed.After); err != nil {
			return err
		}
		return record(ctx, tx, deed)
	})
	return changed, err
}

// Stop is why no call is made to an account now.
type Stop struct {
	Gate  string    `json:"gate"` // paused, circuit or throttled
	Why   string    `json:"why"`
	Until time.Time `json:"until,omitzero"` // when a call may be made; zero: once a person resumes it
}

// String says it in words.
func (s Stop) String() string {
	if s.Gate == "circuit" {
		return "account's circuit is open: " + s.Why
	}
	return "account " + s.Gate + " " + s.Why
}

// Stops returns, by account, those that aren't called at this moment.
func (s *Store) Stops(ctx context.Context) (map[string]Stop, error) {
	const sql = `SELECT ` + gateColumns + ` FROM outbox.gates
		WHERE paused_at IS NOT NULL OR open_until IS NOT NULL OR throttled_until > now()`
	rows, err := s.pool.Query(ctx, sql)
	if err != nil {
		return nil, fmt.Errorf("reading which accounts are stopped: %w", err)
	}
	gates, err := pgx.CollectRows(rows, scanGate)
	if err != nil {
		return nil, fmt.Errorf("reading which accounts are stopped: %w", err)
	}
	stops := make(map[string]Stop, len(gates))
	for _, g := range gates {
		stops[g.Account] = stopOf(g)
	}
	return stops, nil
}

// stopOf says what stops calls to an account whose gate isn't open.
func stopOf(g Gate) Stop {
	switch {
	case !g.PausedAt.IsZero():
		since := g.PausedAt.UTC().Format("2006-01-02 15:04Z")
		return Stop{Gate: "paused", Why: fmt.Sprintf("since %s by %s: %s", since, g.PausedBy, g.PausedWhy)}
	case !g.OpenUntil.IsZero():
		why := fmt.Sprintf("%s, opened %d times, next probe %s", g.Cause, g.Opens, g.OpenUntil.UTC().Format(time.TimeOnly+"Z"))
		return Stop{Gate: "circuit", Why: why, Until: g.OpenUntil}
	}
	return Stop{Gate: "throttled", Why: "until " + g.ThrottledUntil.UTC().Format(time.TimeOnly+"Z"), Until: g.ThrottledUntil}
}

// Backlog is how much of an account's deliveries isn't moving, by state.
type Backlog struct {
	Count  int64
	Oldest time.Time // when the oldest of them was received
}

// Backlogs counts, for each account and state, the deliveries that are at rest
// and those that are dead.
func (s *Store) Backlogs(ctx context.Context) (map[string]map[State]Backlog, error) {
	const sql = `
		SELECT account, listed, count(*), min(received_at) FROM outbox.deliveries
		WHERE listed IS NOT NULL GROUP BY account, listed`
	rows, err := s.pool.Query(ctx, sql)
	if err != nil {
		return nil, fmt.Errorf("counting what is at rest: %w", err)
	}
	backlogs := map[string]map[State]Backlog{}
	var account string
	var state State
	var b Backlog
	_, err = pgx.ForEachRow(rows, []any{&account, &state, &b.Count, (*instant)(&b.Oldest)}, func() error {
		if backlogs[account] == nil {
			backlogs[account] = map[State]Backlog{}
		}
		backlogs[account][state] = b
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("counting what is at rest: %w", err)
	}
	return backlogs, nil
}

// TokenTimes returns, by account, when the stored token was fetched and when it
// ends. The token itself isn't read.
func (s *Store) TokenTimes(ctx context.Context) (map[string]AccessToken, error) {
	const sql = `SELECT account, generation, fetched_at, expires_at FROM outbox.tokens`
	rows, err := s.pool.Query(ctx, sql)
	if err != nil {
		return nil, fmt.Errorf("reading the age of tokens: %w", err)
	}
	tokens := map[string]AccessToken{}
	var account string
	var t AccessToken
	_, err = pgx.ForEachRow(rows, []any{&account, &t.Generation, &t.FetchedAt, &t.ExpiresAt}, func() error {
		tokens[account] = t
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("reading the age of tokens: %w", err)
	}
	return tokens, nil
}
