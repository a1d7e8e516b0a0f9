package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
)

// RejectFilter chooses rejects; what is empty chooses all.
type RejectFilter struct {
	Reasons []string
	Since   time.Time // the last time that it came
	Until   time.Time // exclusive
	// Mentions is a text that the payload or the headers have as a JSON string,
	// such as an order number.
	Mentions string
	// Open leaves out what has been published again.
	Open bool
}

// ListedReject is a message that the contract refused, as lists show it.
type ListedReject struct {
	ID            int64     `json:"id"`
	FirstAt       time.Time `json:"first_at"`
	LastAt        time.Time `json:"last_at"`
	Count         int       `json:"count"`
	Subject       string    `json:"subject"`
	Reason        string    `json:"reason"`
	Field         string    `json:"field"`
	Detail        string    `json:"detail"`
	RepublishedAt time.Time `json:"republished_at,omitzero"`
}

// ShownReject has the raw bytes too.
type ShownReject struct {
	ListedReject
	Headers map[string][]string `json:"headers"`
	Payload []byte              `json:"payload"` // base64 in JSON: it may be anything
	Deeds   []Deed              `json:"audit"`
}

const rejectColumns = `r.id, r.first_at, r.last_at, r.count, r.subject, r.reason, r.field, r.detail, r.republished_at`

func (r *ListedReject) columns() []any {
	return []any{
		&r.ID, (*instant)(&r.FirstAt), (*instant)(&r.LastAt), &r.Count, &r.Subject, &r.Reason, &r.Field, &r.Detail,
		(*instant)(&r.RepublishedAt),
	}
}

// Rejects returns the rejects that came last, and whether there are more than limit.
func (s *Store) Rejects(ctx context.Context, f RejectFilter, limit int) (list []ListedReject, more bool, err error) {
	c := &conditions{}
	in(c, `r.reason = ANY($?)`, f.Reasons)
	c.between(`r.last_at`, f.Since, f.Until)
	if f.Mentions != "" {
		quoted, err := json.Marshal(f.Mentions)
		if err != nil {
			return nil, false, fmt.Errorf("listing rejects: %w", err)
		}
		c.add(`(position(convert_to($?, 'UTF8') IN r.payload) > 0 OR position($? IN r.headers) > 0)`, string(quoted))
	}
	if f.Open {
		c.parts = append(c.parts, `r.republished_at IS NULL`)
	}
	sql := `SELECT ` + rejectColumns + ` FROM outbox.rejects r ` + c.where() +
		` ORDER BY r.last_at DESC, r.id DESC LIMIT ` + strconv.Itoa(limit+1)
	list, more, err = page(ctx, s.pool, limit, sql, c.args, func(row pgx.CollectableRow) (ListedReject, error) {
		var r ListedReject
		err := row.Scan(r.columns()...)
		return r, err
	})
	if err != nil {
		return nil, false, fmt.Errorf("listing rejects: %w", err)
	}
	return list, more, nil
}

// ShowReject returns one reject with its bytes, or ErrNotFound.
func (s *Store) ShowReject(ctx context.Context, id int64) (ShownReject, error) {
	const sql = `SELECT ` + rejectColumns + `, r.headers, r.payload FROM outbox.rejects r WHERE r.id = $1`
	var r ShownReject
	var headers string
	err := s.pool.QueryRow(ctx, sql, id).Scan(append(r.columns(), &headers, &r.Payload)...)
	if err == pgx.ErrNoRows {
		return r, fmt.Errorf("reject %d %w", id, ErrNotFound)
	}
	if err == nil {
		r.Headers, err = headersOf(headers)
	}
	if err == nil {
		r.Deeds, err = s.Deeds(ctx, targetOf("reject", id))
	}
	if err != nil {
		return r, fmt.Errorf("showing reject %d: %w", id, err)
	}
	return r, nil
}

// headersOf reads headers as they are kept: a JSON object of lists.
func headersOf(text string) (map[string][]string, error) {
	if text == "" {
		return nil, nil
	}
	var h map[string][]string
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		return nil, fmt.Errorf("reading the headers: %w", err)
	}
	return h, nil
}

// Republished records that a reject was published again as the event msgID.
func (s *Store) Republished(ctx context.Context, id int64, actor, why, msgID string) error {
	const row = `SELECT to_jsonb(r) - 'payload' - 'headers' FROM outbox.rejects r WHERE id = $1 FOR UPDATE`
	const mark = `
		UPDATE outbox.rejects AS r SET republished_at = now() WHERE id = $1
		RETURNING to_jsonb(r) - 'payload' - 'headers' || jsonb_build_object('published_as', $2::text)`
	deed := Deed{Actor: actor, Action: "republish", Target: targetOf("reject", id), Why: why}
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		if err := tx.QueryRow(ctx, row, id).Scan(&deed.Before); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, mark, id, msgID).Scan(&deed.After); err != nil {
			return err
		}
		return record(ctx, tx, deed)
	})
	if err != nil {
		return fmt.Errorf("recording that reject %d was published again: %w", id, err)
	}
	return nil
}
