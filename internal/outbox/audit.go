package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// Deed is one action of a person, as it is kept for good.
type Deed struct {
	At     time.Time       `json:"at"`
	Actor  string          `json:"actor"`
	Action string          `json:"action"`
	Target string          `json:"target"` // "delivery 17", "account dmhub"
	Why    string          `json:"why"`
	Before json.RawMessage `json:"before"`
	After  json.RawMessage `json:"after"`
}

func targetOf(kind string, id int64) string { return kind + " " + strconv.FormatInt(id, 10) }

// record writes an action down, in the transaction that carries it out.
func record(ctx context.Context, tx pgx.Tx, d Deed) error {
	const sql = `INSERT INTO outbox.audit (actor, action, target, why, before, after) VALUES ($1, $2, $3, $4, $5, $6)`
	if _, err := tx.Exec(ctx, sql, d.Actor, d.Action, d.Target, d.Why, d.Before, d.After); err != nil {
		return fmt.Errorf("recording the action: %w", err)
	}
	return nil
}

// Deeds returns what persons have done to a target, oldest first.
func (s *Store) Deeds(ctx context.Context, target string) ([]Deed, error) {
	const sql = `SELECT at, actor, action, target, why, before, after FROM outbox.audit WHERE target = $1 ORDER BY id`
	rows, err := s.pool.Query(ctx, sql, target)
	if err != nil {
		return nil, fmt.Errorf("reading the audit of %s: %w", target, err)
	}
	deeds, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (Deed, error) {
		var d Deed
		err := row.Scan((*instant)(&d.At), &d.Actor, &d.Action, &d.Target, &d.Why, &d.Before, &d.After)
		return d, err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the audit of %s: %w", target, err)
	}
	return deeds, nil
}
