package outbox

import (
	"bytes"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
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

// settleSQL writes what became of deliveries that are as the worker left them: of all
// of them, or its transaction fails.
const settleSQL = `
	WITH settled AS (UPDATE outbox.deliveries d SET
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
	RETURNING 1)
	SELECT ` + allOrFail + ` FROM settled`

func queueSettles(b *pgx.Batch, token Token, settles []*Settle) {
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
		flags[2], flags[3], times[0], times[1], times[2], keys, refs, applied, flags[4], times[3])
}

func appendIDs(rows pgx.Rows, to *[]int64) error {
	var id int64
	_, err := pgx.ForEachRow(rows, []any{&id}, func() error { *to = append(*to, id); return nil })
	return err
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
	WITH changed AS (UPDATE outbox.lanes l SET
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
	RETURNING l.lane, l.owner IS NULL AS free, l.news)
	SELECT checked, lane, free, news FROM (SELECT ` + allOrFail + ` AS checked FROM changed) c LEFT JOIN changed ON true`

// queueLanes writes lanes, all of them, and what became of them.
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
			var checked int
			var lane Lane
			var free, news bool
			_, err := pgx.ForEachRow(rows, []any{&checked, &lane, &free, &news}, func() error {
				byLane[lane].Released, byLane[lane].News = free, news
				return nil
			})
			return err
		})
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}
