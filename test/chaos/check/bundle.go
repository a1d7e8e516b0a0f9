package check

import (
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// Bundle is all that a run left behind. Nothing of it comes from a worker's
// memory: the publisher's journal, the tables, the vendor's ledger, what the
// operators and the harness did, logs and pages.
type Bundle struct {
	Run       Run
	Published []Message
	Deeds     []Deed
	Faults    []Fault
	Database
	Vendor
	Logs    map[string]string // by file
	Metrics map[string]string
	Tables  map[string]string // the dumps as they are, to search in
}

// Run says what was run, and how it ended.
type Run struct {
	Seed     uint64             `json:"seed"`
	Accounts map[string]Account `json:"accounts"` // that something is routed to
	Routes   []Route            `json:"routes"`
	Slots    int                `json:"slots"` // calls that may be under way at once
	Timeout  time.Duration      `json:"timeout"`
	Quiet    time.Duration      `json:"quiet"`
	Lease    time.Duration      `json:"lease"`
	Secret   string             `json:"secret"`
	Person   string             `json:"person"` // the name of each member and receiver
	Mobiles  []string           `json:"mobiles"`
	Coming   []string           `json:"coming"` // of these, those of who aren't members before they register
	Points   int64              `json:"points"` // start balances of all members
	Messages int                `json:"messages"`

	LastFault time.Time         `json:"last_fault"`
	Drained   time.Time         `json:"drained"`  // zero: never
	Left      string            `json:"left"`     // what was still to do when the harness gave up
	Ends      map[string]string `json:"ends"`     // how each worker ended
	Skipped   []string          `json:"skipped"`  // faults that this machine couldn't have
	Switches  any               `json:"switches"` // of the vendor: what its documents leave open
	// Semantics are what the account was told of that, as its configuration has it.
	Semantics map[string]string `json:"semantics"`
}

// Account is an account by its kind, and whom it shares what it holds with.
type Account struct {
	Kind  string `json:"kind"`
	Store string `json:"store"`
}

// Route says which events go to which accounts; "order.*" is all types of orders.
type Route struct {
	Types    []string `json:"types"`
	Tenants  []string `json:"tenants"`
	Accounts []string `json:"accounts"`
}

// vendorDoes is what one of the vendor's switches says, as refunds or
// heyshop.negative_points.
func (r Run) vendorDoes(name string) string {
	all, _ := r.Switches.(map[string]any)
	if group, rest, nested := strings.Cut(name, "."); nested {
		all, _ = all[group].(map[string]any)
		name = rest
	}
	does, _ := all[name].(string)
	return does
}

// Message is one line of the publisher's journal.
type Message struct {
	Subject   string              `json:"subject"`
	Header    map[string][]string `json:"header,omitempty"`
	Data      []byte              `json:"data"`
	Bad       bool                `json:"bad,omitempty"` // published to be refused
	Sent      int                 `json:"sent"`
	Acked     bool                `json:"acked"`
	Sequence  uint64              `json:"sequence"`
	FirstSent time.Time           `json:"first_sent"`
	AckedAt   time.Time           `json:"acked_at"`
}

// Deed is one command of an operator, with its answer.
type Deed struct {
	At       time.Time `json:"at"`
	Until    time.Time `json:"until"`
	Action   string    `json:"action"`
	IDs      []int64   `json:"ids"`
	Why      string    `json:"why"` // distinct for each command: the audit is found by it
	Exit     int       `json:"exit"`
	Answered bool      `json:"answered"`
	Changed  []int64   `json:"changed"`
}

// Fault is one thing that the harness did.
type Fault struct {
	At     time.Time `json:"at"`
	Until  time.Time `json:"until"`
	Kind   string    `json:"kind"`
	Target string    `json:"target"`
	Detail string    `json:"detail,omitempty"`
}

// Database is what the tables hold.
type Database struct {
	Events        []Event
	Identities    []Identity
	Deliveries    []Delivery
	Attempts      []Attempt
	Lanes         []Lane
	Rejects       []Reject
	Conflicts     []Conflict
	Audit         []Audit
	Workers       []Worker
	Tokens        []Token
	FinanceOrders []FinanceOrder
	FinancePoints []FinancePoint
	FinanceDaily  []FinanceDaily
}

// Event is a row of outbox.events.
type Event struct {
	ID         int64           `json:"id"`
	ReceivedAt time.Time       `json:"received_at"`
	EventTime  time.Time       `json:"event_time"`
	Tenant     string          `json:"tenant"`
	Type       string          `json:"type"`
	OrderNo    string          `json:"order_no"`
	UUID       string          `json:"uuid"`
	Member     string          `json:"member"`
	Points     int64           `json:"points"`
	Amount     decimal.Decimal `json:"amount"`
	DecrToZero bool            `json:"decr_to_zero"`
	BinaryMode bool            `json:"binary_mode"`
	Payload    string          `json:"payload"`
}

// Identity is a row of outbox.identities.
type Identity struct {
	Key
	EventID    int64     `json:"event_id"`
	ReceivedAt time.Time `json:"received_at"`
	Sequence   int64     `json:"sequence"`
	Duplicates int       `json:"duplicates"`
}

// Delivery is a row of outbox.deliveries.
type Delivery struct {
	ID            int64      `json:"id"`
	EventID       int64      `json:"event_id"`
	ReceivedAt    time.Time  `json:"received_at"`
	EventTime     time.Time  `json:"event_time"`
	StateSince    time.Time  `json:"state_since"`
	NextAttemptAt *time.Time `json:"next_attempt_at"`
	FirstSentAt   *time.Time `json:"first_sent_at"`
	Owner         *int64     `json:"owner"`
	Lane          string     `json:"lane"`
	Attempts      int        `json:"attempts"`
	Calls         int        `json:"calls"`
	PointsApplied *int64     `json:"points_applied"`
	Ambiguous     bool       `json:"ambiguous"`
	EverAmbiguous bool       `json:"ever_ambiguous"`
	Account       string     `json:"account"`
	Type          string     `json:"type"`
	State         string     `json:"state"`
	Reason        string     `json:"reason"`
}

// Attempt is a row of outbox.attempts.
type Attempt struct {
	DeliveryID int64     `json:"delivery_id"`
	Number     int       `json:"number"`
	Worker     int64     `json:"worker"`
	StartedAt  time.Time `json:"started_at"`
	RecordedAt time.Time `json:"recorded_at"`
	Late       bool      `json:"late"`
	Action     string    `json:"action"`
	Class      string    `json:"class"`
	Path       string    `json:"path"`
	VendorCode string    `json:"vendor_code"`
}

// Lane is a row of outbox.lanes.
type Lane struct {
	Lane    string     `json:"lane"`
	NextAt  *time.Time `json:"next_at"`
	Owner   *int64     `json:"owner"`
	Resting bool       `json:"resting"`
	Created string     `json:"created"`
}

// Reject is a row of outbox.rejects.
type Reject struct {
	ID      int64  `json:"id"`
	Subject string `json:"subject"`
	Count   int    `json:"count"`
	Reason  string `json:"reason"`
	Payload string `json:"payload"` // \x and hexadecimal
}

// Conflict is a row of outbox.conflicts.
type Conflict struct {
	Key
	ID         int64  `json:"id"`
	Count      int    `json:"count"`
	Cause      string `json:"cause"`
	Type       string `json:"type"`
	BinaryMode bool   `json:"binary_mode"`
	Payload    string `json:"payload"`
	Resolution string `json:"resolution"`
}

// Audit is a row of outbox.audit.
type Audit struct {
	ID     int64     `json:"id"`
	At     time.Time `json:"at"`
	Action string    `json:"action"`
	Target string    `json:"target"`
	Why    string    `json:"why"`
}

// Worker is a row of outbox.workers.
type Worker struct {
	Token   int64      `json:"token"`
	EndedAt *time.Time `json:"ended_at"`
}

// Token is a row of outbox.tokens, one of the values that may stand nowhere else.
type Token struct {
	Token string `json:"token"`
}

// FinanceOrder is a row of finance.orders.
type FinanceOrder struct {
	Tenant        string          `json:"tenant"`
	Account       string          `json:"account"`
	OrderNo       string          `json:"order_no"`
	AmountPaid    decimal.Decimal `json:"amount_paid"`
	RefundedTotal decimal.Decimal `json:"refunded_total"`
}

// FinancePoint is a row of finance.points.
type FinancePoint struct {
	Tenant        string `json:"tenant"`
	Account       string `json:"account"`
	UUID          string `json:"uuid"`
	Direction     int64  `json:"direction"`
	PointsApplied *int64 `json:"points_applied"`
	DeliveryState string `json:"delivery_state"`
}

// FinanceDaily is a row of finance.daily.
type FinanceDaily struct {
	RefundTotal decimal.Decimal `json:"refund_total"`
	PointsIn    int64           `json:"points_in"`
	PointsOut   int64           `json:"points_out"`
}
