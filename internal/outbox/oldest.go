package outbox

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Oldest is the delivery that has rested longest in a state at an account.
type Oldest struct {
	Account    string
	State      State
	ReceivedAt time.Time
}

// Oldest returns, for each of the accounts and each state that rests, when the
// oldest delivery was received. It reads one index entry for each of them. What
// no route took is under the account "".
func (s *Store) Oldest(ctx context.Context, accounts []string) ([]Oldest, error) {
	const sql = `
		SELECT a.account, s.state, d.received_at
		FROM unnest($1::text[]) a(account)
		CROSS JOIN unnest(ARRAY['pending', 'waiting', 'unknown', 'held']) s(state)
		CROSS JOIN LATERAL (
			SELECT received_at FROM outbox.deliveries
			WHERE listed = s.state AND account = a.account
			ORDER BY received_at LIMIT 1) d`
	rows, err := s.pool.Query(ctx, sql, append([]string{""}, accounts...))
	if err != nil {
		return nil, fmt.Errorf("reading the oldest deliveries: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Oldest])
	if err != nil {
		return nil, fmt.Errorf("reading the oldest deliveries: %w", err)
	}
	return list, nil
}
