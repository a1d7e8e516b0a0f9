package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Gate is what all workers share about whether an account may be called.
type Gate struct {
	Account        string
	PausedAt       time.Time // zero: no person has paused it
	PausedBy       string
	PausedWhy      string
	OpenUntil      time.Time // zero: the circuit is closed
	Opens          int       // how often it has opened without closing
	Cause          string    // why the circuit is open: no_answer or denied
	ThrottledUntil time.Time
}

const gateColumns = `account, paused_at, paused_by, paused_why, open_until, opens, cause, throttled_until`

func scanGate(row pgx.CollectableRow) (Gate, error) {
	var g Gate
	err := row.Scan(&g.Account, (*instant)(&g.PausedAt), &g.PausedBy, &g.PausedWhy, (*instant)(&g.OpenUntil),
		&g.Opens, &g.Cause, (*instant)(&g.ThrottledUntil))
	return g, err
}

// Gates returns the gates that are or were anything but open to calls.
func (s *Store) Gates(ctx context.Context) (map[string]Gate, error) {
	rows, err := s.pool.Query(ctx, `SELECT `+gateColumns+` FROM outbox.gates`)
	if err != nil {
		return nil, fmt.Errorf("reading the gates: %w", err)
	}
	list, err := pgx.CollectRows(rows, scanGate)
	if err != nil {
		return nil, fmt.Errorf("reading the gates: %w", err)
	}
	gates := make(map[string]Gate, len(list))
	for _, g := range list {
		gates[g.Account] = g
	}
	return gates, nil
}

// OpenCircuit stops all calls to an account for the given time. Where it is open
// already it stays as it is, and the stored gate is returned.
func (s *Store) OpenCircuit(ctx context.Context, account, cause string, wait time.Duration) (Gate, error) {
	const sql = `
		INSERT INTO outbox.gates (account, open_until, opens, cause) VALUES ($1, now() + $3, 1, $2)
		ON CONFLICT (account) DO UPDATE SET
			open_until = coalesce(gates.open_until, excluded.open_until),
			opens = greatest(gates.opens, 1),
			cause = CASE WHEN gates.open_until IS NULL THEN excluded.cause ELSE gates.cause END
		RETURNING ` + gateColumns
	return s.oneGate(ctx, "opening the circuit of "+account, sql, account, cause, wait)
}

// TakeProbe gives one worker the right to make one call to an account whose
// circuit is open and whose time has come; meanwhile, and where that call fails,
// the circuit stays open for the given time. It reports whether this one has it.
func (s *Store) TakeProbe(ctx context.Context, account string, wait time.Duration) (bool, error) {
	const sql = `
		UPDATE outbox.gates SET open_until = now() + $2, opens = opens + 1
		WHERE account = $1 AND open_until <= now() AND paused_at IS NULL`
	tag, err := s.pool.Exec(ctx, sql, account, wait)
	if err != nil {
		return false, fmt.Errorf("taking the probe of %s: %w", account, err)
	}
	return tag.RowsAffected() == 1, nil
}

// CloseCircuit lets calls through again.
func (s *Store) CloseCircuit(ctx context.Context, account string) error {
	const sql = `UPDATE outbox.gates SET open_until = NULL, opens = 0, cause = '' WHERE account = $1`
	if _, err := s.pool.Exec(ctx, sql, account); err != nil {
		return fmt.Errorf("closing the circuit of %s: %w", account, err)
	}
	return nil
}

// Throttle stops all calls to an account until the vendor takes calls again.
func (s *Store) Throttle(ctx context.Context, account string, wait time.Duration) error {
	const sql = `
		INSERT INTO outbox.gates (account, throttled_until) VALUES ($1, now() + $2)
		ON CONFLICT (account) DO UPDATE SET throttled_until = greatest(gates.throttled_until, excluded.throttled_until)`
	if _, err := s.pool.Exec(ctx, sql, account, wait); err != nil {
		return fmt.Errorf("throttling %s: %w", account, err)
	}
	return nil
}

func (s *Store) oneGate(ctx context.Context, doing, sql string, args ...any) (Gate, error) {
	rows, err := s.pool.Query(ctx, sql, args...)
	if err != nil {
		return Gate{}, fmt.Errorf("%s: %w", doing, err)
	}
	g, err := pgx.CollectExactlyOneRow(rows, scanGate)
	if err != nil {
		return Gate{}, fmt.Errorf("%s: %w", doing, err)
	}
	return g, nil
}
