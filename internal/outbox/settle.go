package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"syncworker/internal/failpoint"
)

// Attempt is one call to a vendor for a delivery, as it is written down. Secrets
// have been stripped from it.
type Attempt struct {
	Number    int
	StartedAt time.Time
	Duration  time.Duration
	Action    string // push, find, member or token: what the call was for
	Class     string
	Status    int
	Method    string
	Path      string
	Code      string
	Message   string
	Request   []byte // nil where it is the event's data, byte by byte
	Reply     []byte
}

// Settle is what a worker writes about one delivery that it holds.
type Settle struct {
	// Delivery has the values to write; its ID and WasCalls say which row, and
	// that nobody has written to it since.
	Delivery
	WasCalls int
	// Rest puts the delivery down: no worker holds it any more. A final delivery
	// isn't put down.
	Rest    bool
	Attempt *Attempt // nil where no call was made
}

// LaneUpdate is what a worker writes about a lane that it has: what later events
// need to know, and whether it lets go of it.
type LaneUpdate struct {
	Lane      Lane
	Epoch     int
	Created   string    // "" changes nothing
	UpdatedTo time.Time // the zero time changes nothing
	RefundsBy int       // added to the open refunds
	Deleted   bool
	Member    string // "" changes nothing
	Release   bool
	Handed    int  // with Release: how many deliveries of the lane the worker has met in this epoch
	PutDown   bool // with Release: deliveries of this lane rest
	Released  bool // set by Commit: the lane is no longer the worker's
	News      bool // set by Commit: it is, and something rests in it that the worker doesn't know
}

// Commit is one transaction of a worker.
type Commit struct {
	// Number counts the commits of a token from 1. A commit whose answer was
	// lost is recognized by it when it is tried again.
	Number  int64
	Settles []*Settle
	Intents []*Intent
	Lanes   []*LaneUpdate
}

// Commit writes all of it or nothing. It returns ErrLeaseLost where some row
// isn't the worker's any more, ErrWentBack where the database lacks what this
// token has written before, ErrServerChanged where it may lack some, and
// ErrUnwritable where a value can't be written however often it is tried. IDs in
// gone are of deliveries that a person has cancelled meanwhile: they were left
// alone, as are intents that it marks as stale, and the rest was written.
func (s *Store) Commit(ctx context.Context, token Token, c Commit) (gone []int64, err error) {
	left := c
	for err = errGone; err == errGone; {
		var cancelled []int64
		err = s.inTx(ctx, func(tx pgx.Tx) error {
			var err error
			if cancelled, err = commit(ctx, tx, token, &left); unwritable(ctx, tx, err) {
				return fmt.Errorf("%w: %w", ErrUnwritable, err)
			}
			if err == nil {
				err = failpoint.Each(failpoint.Settling, c.Settles, typeOfSettle)
			}
			return err
		})
		if err == errGone {
			gone = append(gone, cancelled...)
			left = left.without(gone)
		}
	}
	if err == errNotCounted {
		err = s.inTx(ctx, func(tx pgx.Tx) error {
			var err error
			if err = written(ctx, tx, token, c.Number); err == nil {
				gone, err = readBack(ctx, tx, token, c)
			}
			return err
		})
	}
	if err == nil {
		err = failpoint.Each(failpoint.Recorded, c.Settles, typeOfSettle)
	}
	return gone, err
}

func typeOfSettle(s *Settle) string { return string(s.Type) }

// What a transaction is rolled back for, to go on in another way.
var (
	errGone       = errors.New("a person has cancelled some of the deliveries")
	errNotCounted = errors.New("this isn't the token's next commit")
)

// without is the commit without what it says about some deliveries.
func (c Commit) without(ids []int64) Commit {
	c.Settles = slices.DeleteFunc(slices.Clone(c.Settles), func(x *Settle) bool { return slices.Contains(ids, x.ID) })
	c.Intents = slices.DeleteFunc(slices.Clone(c.Intents), func(x *Intent) bool { return slices.Contains(ids, x.ID) })
	return c
}

// commit sends all that is to be written in one trip, and looks at the answers
// then: a transaction that turns out to be wrong is rolled back. With errGone,
// gone are deliveries to leave out.
func commit(ctx context.Context, tx pgx.Tx, token Token, c *Commit) (gone []int64, err error) {
	var batch pgx.Batch
	var counted bool
	var settled, intended []int64
	queueCount(&batch, token, c.Number, &counted)
	queueSettles(&batch, token, c.Settles, &settled)
	queueIntents(&batch, token, c.Intents, &intended)
	queueAttempts(&batch, attemptsOf(token, c.Settles))
	queueLanes(&batch, token, c.Lanes)
	err = tx.SendBatch(ctx, &batch).Close()
	switch {
	case !counted && (err == nil || refused(err) || errors.Is(err, ErrLeaseLost)):
		return nil, errNotCounted
	case err != nil:
		return nil, fmt.Errorf("writing what became of deliveries: %w", err)
	}
	settles, intents := c.ids()
	notSettled, notIntended := missingFrom(settles, settled), missingFrom(intents, intended)
	if len(notIntended) > 0 {
		if notIntended, err = markStale(ctx, tx, token, c.Intents, notIntended); err != nil {
			return nil, err
		}
	}
	missing := append(notSettled, notIntended...)
	if len(missing) == 0 {
		return nil, nil
	}
	if err = cancelledByPerson(ctx, tx, missing); err == nil {
		err = errGone
	}
	return missing, err
}

// ids are the deliveries that the commit is about.
func (c *Commit) ids() (settles, intents []int64) {
	for _, x := range c.Settles {
		settles = append(settles, x.ID)
	}
	for _, x := range c.Intents {
		intents = append(intents, x.ID)
	}
	return settles, intents
}

// unwritable reports whether an error is about the values: the server refuses
// them, or they never got there although the connection is as good as before.
func unwritable(ctx context.Context, tx pgx.Tx, err error) bool {
	switch {
	case err == nil, err == errGone, err == errNotCounted, errors.Is(err, ErrLeaseLost):
		return false
	case refused(err), unsendable(err):
		return true
	}
	var pg *pgconn.PgError
	return !errors.As(err, &pg) && ctx.Err() == nil && !tx.Conn().IsClosed()
}

// unsendable reports whether a value of a batch isn't one of its parameter's type.
// The driver gives up the connection then.
func unsendable(err error) bool {
	var batch pgx.ErrPreprocessingBatch
	return errors.As(err, &batch) && strings.HasPrefix(batch.Error(), "error preprocessing batch (build)")
}

// refused reports whether the server refuses a value.
func refused(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (strings.HasPrefix(pg.Code, "22") || strings.HasPrefix(pg.Code, "23"))
}

// commitSlots is how many rows a worker counts its commits in.
const commitSlots = 1024

// countSQL counts the commit after the one before it. It takes the worker's row, so
// that a recovery of this worker is either done, and nothing is counted, or comes after.
const countSQL = `
	WITH alive AS MATERIALIZED (
		SELECT token FROM outbox.workers
		WHERE token = $1 AND ended_at IS NULL AND server_started = pg_postmaster_start_time() FOR KEY SHARE)
	INSERT INTO outbox.commits AS c (token, slot, number)
	SELECT token, $3::smallint, $2::bigint FROM alive
	WHERE $2 = 1 OR EXISTS (SELECT FROM outbox.commits WHERE token = $1 AND slot = $4::smallint AND number = $2 - 1)
	ON CONFLICT (token, slot) DO UPDATE SET number = excluded.number WHERE c.number < excluded.number`

func queueCount(b *pgx.Batch, token Token, number int64, counted *bool) {
	b.Queue(countSQL, token, number, number%commitSlots, (number-1)%commitSlots).Exec(func(tag pgconn.CommandTag) error {
		*counted = tag.RowsAffected() == 1
		return nil
	})
}

// commitsOf is the number of a worker's commits: the older workers', and what one that
// has ended had, are in its own row.
const commitsOf = `greatest(w.commits, (SELECT max(number) FROM outbox.commits c WHERE c.token = w.token))`

// written looks why a commit wasn't counted. It returns nil where that is since
// it was written before.
func written(ctx context.Context, tx pgx.Tx, token Token, number int64) error {
	const look = `SELECT ` + commitsOf + `, ended_at IS NOT NULL, server_started = pg_postmaster_start_time()
		FROM outbox.workers w WHERE token = $1`
	var commits int64
	var ended, same bool
	err := tx.QueryRow(ctx, look, token).Scan(&commits, &ended, &same)
	switch {
	case err == pgx.ErrNoRows:
		return ErrWentBack
	case err != nil:
		return err
	case ended:
		return ErrLeaseLost
	case commits < number-1:
		return ErrWentBack
	case !same:
		return ErrServerChanged
	case commits != number:
		return ErrLeaseLost
	}
	return nil
}

// readBack answers for a commit that was written before as it was answered then.
func readBack(ctx context.Context, tx pgx.Tx, token Token, c Commit) (gone []int64, err error) {
	rows, err := tx.Query(ctx, `SELECT id FROM outbox.deliveries WHERE id = ANY($1) AND owner = 0`, slices.Concat(c.ids()))
	if err != nil {
		return nil, err
	}
	if gone, err = pgx.CollectRows(rows, pgx.RowTo[int64]); err != nil {
		return nil, err
	}
	if _, err := markStale(ctx, tx, token, c.Intents, nil); err != nil {
		return nil, err
	}
	const lane = `SELECT news FROM outbox.lanes WHERE lane = $1 AND owner = $2 AND epoch = $3`
	for _, u := range c.Lanes {
		err := tx.QueryRow(ctx, lane, u.Lane, token, u.Epoch).Scan(&u.News)
		if u.Released = err == pgx.ErrNoRows; err != nil && !u.Released {
			return nil, err
		}
	}
	return gone, nil
}

// settleSQL writes what became of deliveries that are as the worker left them.
const settleSQL = `
	UPDATE outbox.deliveries d SET
		state = u.state, reason = u.reason, attempts = u.attempts, calls = u.calls,
		ambiguous = u.ambiguous, ever_ambiguous = u.ever_ambiguous, key_used = u.key_used, duplicate = u.duplicate,
		next_attempt_at = u.next_attempt_at, first_sent_at = u.first_sent_at, quiet_until = u.quiet_until,
		early_since = u.early_since,
		vendor_key = coalesce(u.vendor_key, d.vendor_key), vendor_ref = u.vendor_ref,
		points_applied = u.points_applied,
		delivered_at = CASE WHEN u.state = 'delivered' THEN now() END,
		state_since = CASE WHEN d.state = u.state AND d.reason = u.reason THEN d.state_since ELSE now() END,
		owner = CASE WHEN u.rest THEN NULL ELSE d.owner END
	FROM unnest($2::bigint[], $3::int[], $4::text[], $5::text[], $6::int[], $7::int[], $8::bool[], $9::bool[],
		$10::bool[], $11::bool[], $12::timestamptz[], $13::timestamptz[], $14::timestamptz[], $15::text[],
		$16::text[], $17::bigint[], $18::bool[], $19::timestamptz[])
		u(id, was_calls, state, reason, attempts, calls, ambiguous, ever_ambiguous, key_used, duplicate,
		next_attempt_at, first_sent_at, quiet_until, vendor_key, vendor_ref, points_applied, rest, early_since)
	WHERE d.id = u.id AND d.owner = $1 AND d.calls = u.was_calls
		AND d.state NOT IN ('delivered', 'dead', 'cancelled')
	RETURNING d.id`

// queueSettles writes deliveries, and adds to written those that it found as the
// worker left them.
func queueSettles(b *pgx.Batch, token Token, settles []*Settle, written *[]int64) {
	if len(settles) == 0 {
		return
	}
	n := len(settles)
	ids, wasCalls, states, reasons := make([]int64, n), make([]int, n), make([]string, n), make([]string, n)
	attempts, calls, applied := make([]int, n), make([]int, n), make([]*int64, n)
	var flags [5][]bool
	for i := range flags {
		flags[i] = make([]bool, n)
	}
	var times [4][]*time.Time
	for i := range times {
		times[i] = make([]*time.Time, n)
	}
	keys, refs := make([]*string, n), make([]string, n)
	for i, x := range settles {
		ids[i], wasCalls[i], states[i], reasons[i] = x.ID, x.WasCalls, string(x.State), x.Reason
		attempts[i], calls[i], applied[i], refs[i] = x.Attempts, x.Calls, x.PointsApplied, x.VendorRef
		for j, v := range [5]bool{x.Ambiguous, x.EverAmbiguous, x.KeyUsed, x.Duplicate, x.Rest} {
			flags[j][i] = v
		}
		for j, v := range [4]time.Time{x.NextAttemptAt, x.FirstSentAt, x.QuietUntil, x.EarlySince} {
			times[j][i] = orNull(v)
		}
		if x.VendorKey != "" {
			keys[i] = &x.VendorKey
		}
	}
	b.Queue(settleSQL, token, ids, wasCalls, states, reasons, attempts, calls, flags[0], flags[1],
		flags[2], flags[3], times[0], times[1], times[2], keys, refs, applied, flags[4], times[3]).
		Query(func(rows pgx.Rows) error { return appendIDs(rows, written) })
}

func appendIDs(rows pgx.Rows, to *[]int64) error {
	var id int64
	_, err := pgx.ForEachRow(rows, []any{&id}, func() error { *to = append(*to, id); return nil })
	return err
}

// missingFrom returns the ids that aren't among those written.
func missingFrom(ids, written []int64) []int64 {
	if len(ids) == len(written) {
		return nil
	}
	slices.Sort(written)
	return slices.DeleteFunc(slices.Clone(ids), func(id int64) bool {
		_, found := slices.BinarySearch(written, id)
		return found
	})
}

// cancelledByPerson tells deliveries that a person cancelled, which is no harm,
// from a lease that was taken over, which is ErrLeaseLost.
func cancelledByPerson(ctx context.Context, tx pgx.Tx, missing []int64) error {
	rows, err := tx.Query(ctx, `SELECT id FROM outbox.deliveries WHERE id = ANY($1) AND owner = 0`, missing)
	var cancelled []int64
	if err == nil {
		err = appendIDs(rows, &cancelled)
	}
	if err != nil {
		return fmt.Errorf("looking at deliveries that changed: %w", err)
	}
	if len(missingFrom(missing, cancelled)) > 0 {
		return ErrLeaseLost
	}
	return nil
}

func attemptsOf(token Token, settles []*Settle) []attemptRow {
	var rows []attemptRow
	for _, x := range settles {
		if x.Attempt != nil {
			rows = append(rows, attemptRow{x.ID, token, false, x.Attempt})
		}
	}
	return rows
}

type attemptRow struct {
	delivery int64
	worker   Token
	late     bool
	*Attempt
}

func queueAttempts(b *pgx.Batch, list []attemptRow) {
	if len(list) == 0 {
		return
	}
	const sql = `
		INSERT INTO outbox.attempts (delivery_id, number, worker, started_at, duration_us, http_status, late,
			action, class, method, path, vendor_code, vendor_message, reply, request)
		SELECT * FROM unnest($1::bigint[], $2::int[], $3::bigint[], $4::timestamptz[], $5::bigint[], $6::int[],
			$7::bool[], $8::text[], $9::text[], $10::text[], $11::text[], $12::text[], $13::text[], $14::text[], $15::text[])`
	n := len(list)
	ids, numbers, workers, started := make([]int64, n), make([]int, n), make([]Token, n), make([]time.Time, n)
	durations, statuses, lates, requests := make([]int64, n), make([]int, n), make([]bool, n), make([]*string, n)
	var text [7][]string
	for i := range text {
		text[i] = make([]string, n)
	}
	for i, a := range list {
		ids[i], numbers[i], workers[i], started[i], lates[i] = a.delivery, a.Number, a.worker, a.StartedAt, a.late
		durations[i], statuses[i] = a.Duration.Microseconds(), a.Status
		for j, v := range [7]string{
			a.Action, a.Class, a.Method, a.Path, storable(a.Code), storable(a.Message), storable(string(a.Reply)),
		} {
			text[j][i] = v
		}
		if a.Request != nil {
			request := storable(string(a.Request))
			requests[i] = &request
		}
	}
	b.Queue(sql, ids, numbers, workers, started, durations, statuses, lates,
		text[0], text[1], text[2], text[3], text[4], text[5], text[6], requests)
}

// A lane is let go of where its owner has met all that it was given; it rests then
// where something in it does.
const laneIsFree = `u.release AND l.handed = u.met AND NOT l.news`
const laneRests = `(u.put_down OR l.resting AND EXISTS (
	SELECT FROM outbox.deliveries d WHERE d.lane = l.lane AND d.owner IS NULL))`

// lanesSQL writes lanes.
//
// Where something rests in a lane that is let go, the lane is due when the
// first of it is. The deliveries were written before, in this transaction.
// Lanes are given, and so locked, in their order.
const lanesSQL = `
	UPDATE outbox.lanes l SET
		created = coalesce(nullif(u.created, ''), l.created),
		updated_to = greatest(l.updated_to, u.updated_to),
		open_refunds = greatest(l.open_refunds + u.refunds_by, 0),
		deleted = l.deleted OR u.deleted,
		member = coalesce(nullif(u.member, ''), l.member),
		owner = CASE WHEN ` + laneIsFree + ` THEN NULL ELSE l.owner END,
		resting = CASE WHEN ` + laneIsFree + ` THEN ` + laneRests + ` ELSE l.resting OR u.put_down END,
		next_at = CASE WHEN ` + laneIsFree + ` AND ` + laneRests + ` THEN (
			SELECT min(next_attempt_at) FROM outbox.deliveries d WHERE d.lane = l.lane AND d.owner IS NULL) END
	FROM unnest($2::uuid[], $3::int[], $4::text[], $5::timestamptz[], $6::int[], $7::bool[], $8::text[],
		$9::bool[], $10::int[], $11::bool[])
		u(lane, epoch, created, updated_to, refunds_by, deleted, member, release, met, put_down)
	WHERE l.lane = u.lane AND l.owner = $1 AND l.epoch = u.epoch
	RETURNING l.lane, l.owner IS NULL, l.news`

// queueLanes writes lanes and what became of them. A lane that isn't the worker's
// is ErrLeaseLost.
func queueLanes(b *pgx.Batch, token Token, updates []*LaneUpdate) {
	if len(updates) == 0 {
		return
	}
	updates = slices.SortedFunc(slices.Values(updates), func(a, b *LaneUpdate) int { return bytes.Compare(a.Lane[:], b.Lane[:]) })
	n := len(updates)
	lanes, epochs, created, updated := make([]Lane, n), make([]int, n), make([]string, n), make([]*time.Time, n)
	refunds, deleted, members, release := make([]int, n), make([]bool, n), make([]string, n), make([]bool, n)
	met, putDown := make([]int, n), make([]bool, n)
	for i, u := range updates {
		lanes[i], epochs[i], created[i], updated[i] = u.Lane, u.Epoch, u.Created, orNull(u.UpdatedTo)
		refunds[i], deleted[i], members[i], release[i] = u.RefundsBy, u.Deleted, u.Member, u.Release
		met[i], putDown[i] = u.Handed, u.PutDown
	}
	byLane := make(map[Lane]*LaneUpdate, n)
	for _, u := range updates {
		byLane[u.Lane] = u
	}
	b.Queue(lanesSQL, token, lanes, epochs, created, updated, refunds, deleted, members, release, met, putDown).
		Query(func(rows pgx.Rows) error {
			var lane Lane
			var free, news bool
			tag, err := pgx.ForEachRow(rows, []any{&lane, &free, &news}, func() error {
				byLane[lane].Released, byLane[lane].News = free, news
				return nil
			})
			if err == nil && tag.RowsAffected() != int64(n) {
				return ErrLeaseLost
			}
			return err
		})
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
