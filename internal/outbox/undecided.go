package outbox

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// UndecidedLimit is how many of each kind are counted at most: whoever has more than
// that to decide needs no exact number.
const UndecidedLimit = 1000

// Undecided is how many of one kind wait for a person's decision.
type Undecided struct {
	Account string // of deliveries; empty for what no route took, and for the others
	Kind    string // held, dead, conflict or reject
	Count   int    // at most UndecidedLimit
}

// Undecided counts what waits for a person: deliveries that are held or dead, by
// account, conflicts that nobody has resolved, and rejects that haven't been
// published again. Nothing counts these as they come and go, so they are counted
// when somebody asks, at the cost of UndecidedLimit index entries of each kind.
func (s *Store) Undecided(ctx context.Context, accounts []string) ([]Undecided, error) {
	const sql = `
		SELECT a.account, k.kind, (
			SELECT count(*) FROM (
				SELECT FROM outbox.deliveries WHERE listed = k.kind AND account = a.account LIMIT $2) d)
		FROM unnest($1::text[]) a(account) CROSS JOIN unnest(ARRAY['held', 'dead']) k(kind)
		UNION ALL
		SELECT '', 'conflict', count(*) FROM (SELECT FROM outbox.conflicts WHERE resolution = '' LIMIT $2) c
		UNION ALL
		SELECT '', 'reject', count(*) FROM (SELECT FROM outbox.rejects WHERE republished_at IS NULL LIMIT $2) r`
	rows, err := s.pool.Query(ctx, sql, append([]string{""}, accounts...), UndecidedLimit)
	if err != nil {
		return nil, fmt.Errorf("counting what waits for a person: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Undecided])
	if err != nil {
		return nil, fmt.Errorf("counting what waits for a person: %w", err)
	}
	return list, nil
}
