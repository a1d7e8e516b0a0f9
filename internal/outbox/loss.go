package outbox

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// Mark is how far a worker is known, from outside the database, to have come in it.
type Mark struct {
	Commits   int64 `json:"counted,omitempty"`   // of its token
	Decisions int64 `json:"decisions,omitempty"` // the last entry of outbox.audit that it saw
}

// UnmarshalJSON reads marks of older workers too. These look for "commits" alone, and
// for what they know of in outbox.workers: there the newer ones have none.
func (m *Mark) UnmarshalJSON(text []byte) error {
	var mark struct{ Counted, Commits, Decisions int64 }
	err := json.Unmarshal(text, &mark)
	*m = Mark{Commits: max(mark.Counted, mark.Commits), Decisions: mark.Decisions}
	return err
}

// Loss is what the database lacks of what it once had.
type Loss struct {
	Workers    int  `json:"workers"`    // whose commits are missing
	Decisions  bool `json:"decisions"`  // of persons are missing
	Deliveries int  `json:"deliveries"` // are unknown now, since they may have been sent
	Held       int  `json:"held"`       // were dead, and may have been replayed
	// Server is when the server was started that was compared.
	Server time.Time `json:"-"`
}

// Any reports whether anything is missing.
func (l Loss) Any() bool { return l.Workers > 0 || l.Decisions }

// lossOf compares what is known with what the database has.
func lossOf(known, has map[Token]Mark, decisions int64) Loss {
	var l Loss
	for token, mark := range known {
		if there, found := has[token]; !found || there.Commits < mark.Commits {
			l.Workers++
		}
		l.Decisions = l.Decisions || mark.Decisions > decisions
	}
	return l
}

// FindLoss compares the database with what is known of it. Where something is
// missing, what the database calls pending may have been sent, and what it calls
// dead may have been replayed: all tokens end, what is live becomes unknown, and
// with decisions lost what is dead is held. No number that was given away in the
// lost time is given away again.
//
// found, which may be nil, is told before that begins: with many live deliveries it
// takes minutes.
func (s *Store) FindLoss(ctx context.Context, known map[Token]Mark, found func(Loss)) (Loss, error) {
	var loss Loss
	err := s.inTx(ctx, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtext('syncworker.loss'))`); err != nil {
			return err
		}
		has, decisions, err := marks(ctx, tx, known)
		if err != nil {
			return err
		}
		loss = lossOf(known, has, decisions)
		if err := tx.QueryRow(ctx, `SELECT pg_postmaster_start_time()`).Scan(&loss.Server); err != nil || !loss.Any() {
			return err
		}
		if found != nil {
			found(loss)
		}
		return doubt(ctx, tx, known, &loss)
	})
	if err != nil {
		return Loss{}, fmt.Errorf("comparing the database with what is known of it: %w", err)
	}
	return loss, nil
}

func marks(ctx context.Context, tx pgx.Tx, known map[Token]Mark) (has map[Token]Mark, decisions int64, err error) {
	tokens := make([]Token, 0, len(known))
	for token := range known {
		tokens = append(tokens, token)
	}
	rows, err := tx.Query(ctx, `SELECT token, `+commitsOf+` FROM outbox.workers w WHERE token = ANY($1)`, tokens)
	if err != nil {
		return nil, 0, err
	}
	has = map[Token]Mark{}
	var token Token
	var mark Mark
	if _, err := pgx.ForEachRow(rows, []any{&token, &mark.Commits}, func() error { has[token] = mark; return nil }); err != nil {
		return nil, 0, err
	}
	err = tx.QueryRow(ctx, `SELECT coalesce(max(id), 0) FROM outbox.audit`).Scan(&decisions)
	return has, decisions, err
}

// doubt believes nothing of what the database says is still to be sent.
func doubt(ctx context.Context, tx pgx.Tx, known map[Token]Mark, loss *Loss) error {
	if err := endAll(ctx, tx); err != nil {
		return err
	}
	// What was sent with a key of which nothing is known here can't be repeated,
	// only read.
	const live = `
		UPDATE outbox.deliveries SET state = 'unknown', reason = $1, ambiguous = true, ever_ambiguous = true,
			key_used = true, first_sent_at = NULL, quiet_until = NULL, next_attempt_at = now(), state_since = now()
		WHERE listed IN ('pending', 'waiting', 'unknown') AND account <> ''`
	tag, err := tx.Exec(ctx, live, ReasonLostCommit)
	if err != nil {
		return fmt.Errorf("doubting what is live: %w", err)
	}
	loss.Deliveries = int(tag.RowsAffected())
	if loss.Decisions {
		if loss.Held, err = doubtDecided(ctx, tx); err != nil {
			return err
		}
	}
	const due = `
		UPDATE outbox.lanes SET owner = NULL, resting = true, news = true, next_at = now()
		WHERE account <> '' AND lane IN (SELECT lane FROM outbox.deliveries WHERE listed IN ('unknown', 'held') AND reason = $1)`
	if _, err := tx.Exec(ctx, due, ReasonLostCommit); err != nil {
		return fmt.Errorf("waking lanes: %w", err)
	}
	return remember(ctx, tx, known, *loss)
}

// endAll ends every worker's token: what they hold is at rest.
func endAll(ctx context.Context, tx pgx.Tx) error {
	rows, err := tx.Query(ctx, `SELECT token, low_delivery FROM outbox.workers WHERE ended_at IS NULL ORDER BY token FOR UPDATE`)
	if err != nil {
		return err
	}
	type worker struct {
		Token Token
		Low   int64
	}
	workers, err := pgx.CollectRows(rows, pgx.RowToStructByPos[worker])
	if err != nil {
		return err
	}
	for _, w := range workers {
		if _, err := recoverWorker(ctx, tx, w.Token, w.Low); err != nil {
			return err
		}
	}
	return nil
}

// doubtDecided holds what is dead, and marks what is held: a person may have sent
// it in the lost time.
func doubtDecided(ctx context.Context, tx pgx.Tx) (held int, err error) {
	const dead = `
		UPDATE outbox.deliveries SET state = 'held', reason = $1, owner = NULL, ambiguous = true, ever_ambiguous = true,
			state_since = now()
		WHERE listed = 'dead' AND account <> ''`
	tag, err := tx.Exec(ctx, dead, ReasonLostCommit)
	if err == nil {
		_, err = tx.Exec(ctx, `UPDATE outbox.deliveries SET ambiguous = true, ever_ambiguous = true
			WHERE listed = 'held' AND account <> '' AND NOT (ambiguous AND ever_ambiguous)`)
	}
	if err != nil {
		return 0, fmt.Errorf("doubting what was decided: %w", err)
	}
	return int(tag.RowsAffected()), nil
}

// idGap is how far numbers are moved on: more than are given away between a
// backup and the moment when it is missed.
const idGap = 10_000_000

// remember makes the database know of what it has lost, so that it isn't found
// again, and moves its numbers on.
func remember(ctx context.Context, tx pgx.Tx, known map[Token]Mark, loss Loss) error {
	const lost = `
		INSERT INTO outbox.workers (token, name, lease_until, commits, ended_at) OVERRIDING SYSTEM VALUE
		VALUES ($1, 'lost', now(), $2, now())
		ON CONFLICT (token) DO UPDATE SET commits = greatest(workers.commits, excluded.commits),
			ended_at = coalesce(workers.ended_at, now())`
	var last, decisions int64
	for token, mark := range known {
		if _, err := tx.Exec(ctx, lost, token, mark.Commits); err != nil {
			return fmt.Errorf("remembering a lost worker: %w", err)
		}
		last, decisions = max(last, int64(token)), max(decisions, mark.Decisions)
	}
	for sequence, atLeast := range map[string]int64{
		"outbox.workers_token_seq": last, "outbox.audit_id_seq": decisions,
		"outbox.event_id": 0, "outbox.deliveries_id_seq": 0, "outbox.conflicts_id_seq": 0, "outbox.rejects_id_seq": 0,
	} {
		gap := int64(idGap)
		if atLeast > 0 {
			gap = 1
		}
		const move = `SELECT setval($1::regclass, greatest(nextval($1::regclass), $2) + $3)`
		if _, err := tx.Exec(ctx, move, sequence, atLeast, gap); err != nil {
			return fmt.Errorf("moving %s on: %w", sequence, err)
		}
	}
	after, err := json.Marshal(loss)
	if err != nil {
		return err
	}
	return record(ctx, tx, Deed{
		Actor: "syncworker", Action: "doubt", Target: "database", Before: json.RawMessage("{}"), After: after,
		Why: "the database lacks commits that workers had made: it has gone back in time",
	})
}

// Vouch declares that the server that was started at that moment has all that this
// token committed. It returns ErrServerChanged where another one answers.
func (s *Store) Vouch(ctx context.Context, token Token, server time.Time) error {
	const sql = `
		UPDATE outbox.workers SET server_started = CASE WHEN pg_postmaster_start_time() = $2 THEN $2 ELSE server_started END
		WHERE token = $1 AND ended_at IS NULL
		RETURNING pg_postmaster_start_time() = $2`
	var same bool
	err := s.pool.QueryRow(ctx, sql, token, server).Scan(&same)
	switch {
	case err == pgx.ErrNoRows:
		return ErrLeaseLost
	case err != nil:
		return fmt.Errorf("vouching for the database server: %w", err)
	case !same:
		return ErrServerChanged
	}
	return nil
}
