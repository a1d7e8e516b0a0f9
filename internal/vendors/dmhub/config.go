package dmhub

import (
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	"syncworker/internal/vendors"
)

// What a setting of Semantics says.
const (
	Unknown    = "unknown"
	Refused    = "refused"
	Replaced   = "replaced"
	Echoed     = "echoed"
	Remark     = "remark"
	ExternalID = "external_id"
	None       = "none"
	Shown      = "shown"
)

// Config is one DM Hub login. The zero value of a semantic is what the documents
// say and no more.
type Config struct {
	Name        string // the account's name, for errors
	BaseURL     string
	AppID       string
	Secret      vendors.Secret
	Timeout     time.Duration // of one exchange
	MaxInFlight int
	// UUIDTimeout is sent as uuid_timeout with each change of points.
	UUIDTimeout time.Duration
	Semantics   Semantics
	// OrderReads is the account named by semantics.order_reads, which shows
	// this account's orders; nil where there is none.
	OrderReads *Deals
	// RootCAs sign the vendor's certificate; nil means the system's.
	RootCAs *x509.CertPool
}

// Semantics is what the documents leave open and somebody has probed.
type Semantics struct {
	// ExistingOrder is what a create does to an order number that is there:
	// unknown, refused or replaced.
	ExistingOrder string
	// ExistingOrderReply is how it refuses: "CODE", or "CODE words that the
	// message has".
	ExistingOrderReply string
	// DuplicateUUID is what a repeated uuid gets: unknown, refused or echoed.
	DuplicateUUID      string
	DuplicateUUIDReply string
	// UUIDWindow is the longest that the tenant recognizes a uuid.
	UUIDWindow time.Duration
	// PointTrace is where our uuid can be read back: remark, external_id or none.
	PointTrace string
	// RefundState is whether reads of orders show a refund in the order's state
	// (部分退单, 完全退单): unknown or shown.
	RefundState string
}

// withDefaults fills in what the documents say.
func (c Config) withDefaults() Config {
	s := &c.Semantics
	for _, v := range []*string{&s.ExistingOrder, &s.DuplicateUUID, &s.RefundState} {
		if *v == "" {
			*v = Unknown
		}
	}
	if s.PointTrace == "" {
		s.PointTrace = Remark
	}
	if s.UUIDWindow == 0 {
		s.UUIDWindow = time.Hour
	}
	if c.UUIDTimeout == 0 {
		c.UUIDTimeout = s.UUIDWindow
	}
	return c
}

// check returns all that is wrong at once.
func (c Config) check() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf(format, args...)) }
	if c.AppID == "" {
		bad("app_id: empty; give the app's id from DM Hub's application settings")
	}
	if c.Secret == "" {
		bad("secret: empty; give it by secret_file or the environment")
	}
	s := c.Semantics
	oneOf := func(setting, value string, allowed ...string) {
		for _, a := range allowed {
			if value == a {
				return
			}
		}
		bad("semantics.%s: %q; give one of %v", setting, value, allowed)
	}
	oneOf("existing_order", s.ExistingOrder, Unknown, Refused, Replaced)
	oneOf("duplicate_uuid", s.DuplicateUUID, Unknown, Refused, Echoed)
	oneOf("point_trace", s.PointTrace, Remark, ExternalID, None)
	oneOf("refund_state", s.RefundState, Unknown, Shown)
	if s.ExistingOrder == Refused && s.ExistingOrderReply == "" {
		bad(`semantics.existing_order_reply: empty; with existing_order refused, give the reply that was probed, such as "409000 exists"`)
	}
	if s.DuplicateUUID == Refused && s.DuplicateUUIDReply == "" {
		bad(`semantics.duplicate_uuid_reply: empty; with duplicate_uuid refused, give the reply that was probed, such as "409000 duplicate"`)
	}
	if s.UUIDWindow < 0 {
		bad("semantics.uuid_window: %s; give a duration above 0, such as 1h", s.UUIDWindow)
	}
	if c.UUIDTimeout < time.Second {
		bad("uuid_timeout: %s; give at least 1s", c.UUIDTimeout)
	}
	return errors.Join(errs...)
}

func (c Config) client(tokens vendors.TokenSource) (*client, error) {
	transport, err := vendors.NewTransport(vendors.TransportConfig{
		BaseURL: c.BaseURL, Timeout: c.Timeout, MaxInFlight: c.MaxInFlight, RootCAs: c.RootCAs,
	})
	if err := errors.Join(c.check(), err); err != nil {
		return nil, fmt.Errorf("account %q: %w", c.Name, err)
	}
	return &client{transport: transport, tokens: tokens, appID: c.AppID, secret: c.Secret, timeout: c.Timeout}, nil
}
