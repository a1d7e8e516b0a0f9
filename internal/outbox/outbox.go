// Package outbox is the durable middle of syncworker: what JetStream delivered
// and what has become of it, in Postgres. It enqueues events, hands their
// deliveries to workers under a lease, writes down what became of each call, and
// answers the questions of ops.
//
// Locks are taken in one order: identities, then deliveries that the worker
// holds, then lanes. What touches deliveries at rest takes their lane first.
package outbox

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"syncworker/internal/event"
)

// Store is the outbox in one database. It is safe for concurrent use.
type Store struct {
	pool  *pgxpool.Pool
	looks looks
}

// Open connects to the database and checks that it answers. maxConns bounds the
// connections of this process: three or four serve a busy worker. idle is how
// long the server lets a transaction wait for this process, 0 for ever: one that
// froze or lost its machine keeps others from its locks, that on its lease too.
func Open(ctx context.Context, url string, maxConns int, idle time.Duration) (*Store, error) {
	return open(ctx, url, maxConns, idle, nil)
}

// OpenForWorker is Open for what a worker does all day: rows by their keys, a few
// hundred at a time. Its plans go by the indexes whatever the statistics say. In
// a database that was empty this morning, or where one member has most of the
// queue, the planner would read whole tables, and keep to that plan.
func OpenForWorker(ctx context.Context, url string, maxConns int, idle time.Duration) (*Store, error) {
	return open(ctx, url, maxConns, idle, map[string]string{
		"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "enable_hashjoin": "off",
		"enable_mergejoin": "off", "enable_material": "off", "jit": "off",
	})
}

// pingAfter is how long a connection may lie unused before it is tried first. What
// runs every second isn't doubled by it.
const pingAfter = 5 * time.Second

func open(ctx context.Context, url string, maxConns int, idle time.Duration, planner map[string]string) (*Store, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		// pgx's own error repeats the URL, and with it the password.
		return nil, errors.New("database.url: it can't be read as a Postgres URL or DSN")
	}
	config.MaxConns = int32(maxConns)
	config.ShouldPing = func(_ context.Context, c pgxpool.ShouldPingParams) bool { return c.IdleDuration > pingAfter }
	config.ConnConfig.RuntimeParams["application_name"] = "syncworker"
	config.ConnConfig.RuntimeParams["timezone"] = "UTC"
	config.ConnConfig.RuntimeParams["idle_in_transaction_session_timeout"] = strconv.FormatInt(idle.Milliseconds(), 10)
	maps.Copy(config.ConnConfig.RuntimeParams, planner)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("connecting to the database: %w", err)
	}
	if err := pool.Ping(ctx); err != nil {
		pool.Close()
		return nil, fmt.Errorf("connecting to the database at %s:%d: %w",
			config.ConnConfig.Host, config.ConnConfig.Port, err)
	}
	return &Store{pool: pool}, nil
}

// Close waits for connections in use and closes them all.
func (s *Store) Close() { s.pool.Close() }

// Ping asks the database for an answer.
func (s *Store) Ping(ctx context.Context) error { return s.pool.Ping(ctx) }

// State of a delivery; ARCHITECTURE.md has the diagram.
type State string

// The states of a delivery.
const (
	Pending   State = "pending"
	Waiting   State = "waiting"
	Inflight  State = "inflight"
	Unknown   State = "unknown"
	Held      State = "held"
	Delivered State = "delivered"
	Dead      State = "dead"
	Cancelled State = "cancelled"
)

// Final reports whether nothing more happens to a delivery by itself.
func (s State) Final() bool { return s == Delivered || s == Dead || s == Cancelled }

// Reasons that this package gives; package dispatch has the rest.
const (
	ReasonUnrouted       = "unrouted"
	ReasonVendorKey      = "vendor_key_conflict"
	ReasonLostCommit     = "lost_commit"
	ReasonWorkerLost     = "worker_lost"
	ReasonUnclear        = "unclear" // no document says how to find out; package dispatch holds such
	ReasonAccountMissing = "account_missing"
	// ReasonSentByPerson lets a delivery pass the checks that held it.
	ReasonSentByPerson = "sent_by_person"
)

// Lane is the key of the deliveries that have to go in order: the first 16
// bytes of a SHA-256 over account, kind and key.
type Lane [16]byte

// String is the lane as Postgres prints it.
func (l Lane) String() string { return hex.EncodeToString(l[:]) }

// LaneKind says what a lane stands for.
type LaneKind string

// The kinds of lanes.
const (
	OrderLane  LaneKind = "order"
	MemberLane LaneKind = "member"
	CouponLane LaneKind = "coupon" // one coupon code, or what one member draws
	DeviceLane LaneKind = "device"
	LevelLane  LaneKind = "level" // one level of a programme, or all that are new
)

// LaneOf returns the lane of an event at an account. A member that two events
// name differently (id, mobile) has two lanes.
func LaneOf(account string, e *event.Event) (Lane, LaneKind) {
	kind, key := MemberLane, e.Member.Key()
	switch e.Type {
	case event.CouponDrawn:
		kind = CouponLane
	case event.CouponRedeemed, event.CouponCodeAdded, event.CouponCodeUsed:
		kind, key = CouponLane, "code:"+e.Key
	case event.DeviceRegistered:
		kind, key = DeviceLane, e.Key
	case event.LevelCreated, event.LevelUpdated, event.LevelDeleted:
		kind, key = LevelLane, e.Key
	default:
		if e.Type.Order() {
			kind, key = OrderLane, e.OrderNo
		}
	}
	sum := sha256.Sum256([]byte(account + "\x00" + string(kind) + "\x00" + key))
	return Lane(sum[:16]), kind
}

// Rank is the delivery's first sorting key in its lane: a create goes first,
// whenever it arrives; all others follow by event time.
func Rank(t event.Type) int16 {
	if t.Creates() {
		return 0
	}
	return 1
}

// Delivery is one event for one account: the unit of work.
type Delivery struct {
	ID            int64
	EventID       int64
	ReceivedAt    time.Time
	EventTime     time.Time
	StateSince    time.Time
	NextAttemptAt time.Time // zero: none of its own
	FirstSentAt   time.Time // zero: not sent with this vendor key
	QuietUntil    time.Time // until then, a read that finds nothing proves nothing
	EarlySince    time.Time // when it was first refused as perhaps early, whatever its key; zero: never
	Lane          Lane
	Account       string
	Type          event.Type
	State         State
	Reason        string
	Attempts      int // that count against retry.max_attempts
	Calls         int // all, reads included: the number of the last attempt
	Ambiguous     bool
	EverAmbiguous bool
	KeyUsed       bool // an earlier call with this vendor key may have reached the vendor
	Duplicate     bool
	Blocks        bool // outside of orders' lanes: while it is unclear or held, the rest of its lane waits
	VendorKey     string
	Mark          string // what the vendor had before the call; empty where no read needs it
	VendorRef     string
	PointsApplied *int64
}

// Work is a delivery in a worker's hands, with its event.
type Work struct {
	Delivery
	Event *event.Event
}

// LaneState is a lane's row: who works on it, and what the later events of an
// order need to know of the earlier ones.
type LaneState struct {
	Lane        Lane
	Kind        LaneKind
	Account     string
	Tenant      string
	Epoch       int    // grows whenever a worker takes the lane
	Handed      int    // deliveries given to the owner, as they came or loaded, in this epoch
	Created     string // "", or the final state of the create
	UpdatedTo   time.Time
	OpenRefunds int
	Deleted     bool
	Member      string // the vendor's member id, where a reply named it
}

// Token is a worker's fencing token: each write that it makes names it, and a
// worker whose lease was taken over writes nothing.
type Token int64

// ErrLeaseLost is returned where another worker has taken over what this one held.
var ErrLeaseLost = errors.New("the worker's lease was taken over")

// ErrWentBack is an ErrLeaseLost: the database lacks what this token had written.
var ErrWentBack = fmt.Errorf("the database has gone back in time: %w", ErrLeaseLost)

// ErrUnwritable is in the error of a Commit that can't succeed as it is: the
// database answers, and some value isn't one that it can have.
var ErrUnwritable = errors.New("a value can't be written")

// retryable reports a conflict between transactions that goes away on a repeat.
func retryable(err error) bool {
	var pg *pgconn.PgError
	return errors.As(err, &pg) && (pg.Code == "40P01" || pg.Code == "40001" || pg.Code == "55P03")
}

// inTx runs f in a transaction, and again where it lost a deadlock.
func (s *Store) inTx(ctx context.Context, f func(pgx.Tx) error) error {
	for try := 0; ; try++ {
		err := pgx.BeginFunc(ctx, s.pool, f)
		if err == nil || try == 10 || !retryable(err) {
			return err
		}
	}
}

// UUIDValue makes a lane a Postgres uuid.
func (l Lane) UUIDValue() (pgtype.UUID, error) { return pgtype.UUID{Bytes: l, Valid: true}, nil }

// ScanUUID reads a lane from a Postgres uuid.
func (l *Lane) ScanUUID(v pgtype.UUID) error {
	*l = v.Bytes
	return nil
}
