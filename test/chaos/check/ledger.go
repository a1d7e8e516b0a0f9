package check

import (
	"time"

	"github.com/shopspring/decimal"
)

// Vendor is what the other side says.
type Vendor struct {
	Effects    []Effect
	Calls      []Call
	Orders     []Order
	Members    []Member
	Violations []Violation
	// Requests name the event of a request, by the SHA-256 of its body.
	Requests []Request
}

// Effect is one change of what the vendor holds.
type Effect struct {
	Seq     int64           `json:"seq"`
	Call    int64           `json:"call"`
	Time    time.Time       `json:"time"`
	Op      string          `json:"op"`
	Key     string          `json:"key"`
	UUID    string          `json:"uuid"`
	Member  int64           `json:"member"`
	Store   string          `json:"store"`
	Points  int64           `json:"points"` // signed
	Amount  decimal.Decimal `json:"amount"`
	Repeat  bool            `json:"repeat"` // set what was there already
	Request string          `json:"request"`
}

// Call is one request that arrived.
type Call struct {
	Seq     int64     `json:"seq"`
	Time    time.Time `json:"time"`
	Account string    `json:"account"`
	Op      string    `json:"op"`
	Key     string    `json:"key"`
	UUID    string    `json:"uuid"`
	Member  int64     `json:"member"`
	Status  int       `json:"status"`
	Code    string    `json:"code"`
	Fault   string    `json:"fault"`
	Applied bool      `json:"applied"`
	Done    bool      `json:"done"`
	Request string    `json:"request"`
}

// Order is an order as the vendor has it in the end.
type Order struct {
	Store      string          `json:"store"`
	OrderNo    string          `json:"order_no"`
	Deleted    bool            `json:"deleted"`
	AmountPaid decimal.Decimal `json:"amount_paid"`
	Refunded   decimal.Decimal `json:"refunded"`
}

// Member is a member as the vendor has it in the end.
type Member struct {
	ID     int64  `json:"id"`
	Mobile string `json:"mobile"`
	Points int64  `json:"points"`
}

// Violation is something that a careful client never does.
type Violation struct {
	Kind  string    `json:"kind"`
	Call  int64     `json:"call"`
	Other int64     `json:"other"`
	Time  time.Time `json:"time"`
	Op    string    `json:"op"`
	Key   string    `json:"key"`
}

// Request is what the wire says of a body.
type Request struct {
	Hash  string `json:"hash"`
	Event string `json:"event"`
}
