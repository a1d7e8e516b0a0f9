package vendors

import (
	"time"

	"syncworker/internal/event"
)

// Kind is what there is to know of a vendor before an account of it is built. A
// vendor's package exports one for each value that an account's kind can have.
type Kind struct {
	Name string // the value of kind in the configuration
	// BaseURL is where the vendor's API is for everybody; empty where each account
	// has its own.
	BaseURL string
	// DailyQuota is how many calls a day the vendor grants an app id where the
	// account doesn't say; 0 is no limit.
	DailyQuota int
	// Zone is that of the times that the vendor writes without one; nil is UTC.
	Zone *time.Location
	// NeedsAppID: an account has an app id beside its secret.
	NeedsAppID bool
	// PointsPass: each change of points has a key of its own, so that one that is
	// unclear or held doesn't keep the member's others waiting.
	PointsPass bool
	// Takes lists the events that an account of this kind can give their effect.
	Takes []event.Type
	// Endpoints lists all of the vendor's API that the documents describe.
	Endpoints []Endpoint
	// New builds an account. It calls nobody. Its error lists all that is wrong.
	New func(Setup) (Vendor, error)
}

// Endpoint is one call of a vendor's API as its document has it.
type Endpoint struct {
	Section string // of the document: "11.1 创建订单"
	Method  string
	Path    string // with what varies in braces
	// Event is what makes this call; empty for a read.
	Event event.Type
	// Read is the resource by which people read it: vendors get ACCOUNT READ.
	Read string
	// Unclear says, of a write, what happens where its answer isn't clear: how it is
	// repeated or found out.
	Unclear string
}

// Setup is one account as its configuration has it.
type Setup struct {
	Name        string // the account's, for errors
	BaseURL     string
	AppID       string
	Secret      Secret
	Timeout     time.Duration // of one exchange
	MaxInFlight int
	UUIDTimeout time.Duration
	Semantics   Semantics
	Tokens      TokenSource
	// OrderReads is the account that semantics.order_reads names; nil where it
	// names none.
	OrderReads Vendor
}

// Semantics is what the documents leave open and somebody has probed; package
// config has what each value means. A vendor looks at those that concern it.
type Semantics struct {
	ExistingOrder      string
	ExistingOrderReply string
	DuplicateUUID      string
	DuplicateUUIDReply string
	UUIDWindow         time.Duration
	PointTrace         string
	RefundState        string
	// NegativePoints is whether a HeyShop account takes points with negative
	// points: "sent" or "held". Its document has no example of it.
	NegativePoints string
	// CouponPath is where a Pospal account's coupon writes are; its document and
	// a client differ.
	CouponPath string
}
