package sandbox

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Duration is a [time.Duration] that JSON writes as "20ms".
type Duration time.Duration

// MarshalText writes the form that [time.ParseDuration] reads.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads "20ms", "1h".
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return fmt.Errorf("duration %q: write it like 20ms or 1h", text)
	}
	*d = Duration(v)
	return nil
}

// Switches choose among what the vendor's documents leave open. The zero value
// of a field is its first-named choice.
type Switches struct {
	// ExistingOrder is what a create with a known order number does: "error"
	// (409000 "order exists"), "replace" (dmhub-customer-deals says so of
	// /v1/deals), or "double" (grants a second time).
	ExistingOrder string `json:"existing_order"`
	// Refunds of one order: "accumulate", "overwrite" the former one, or
	// "refuse" a second one (409000).
	Refunds string `json:"refunds"`
	// RepeatCancel of a cancelled order: "echo" the state, or "error" (409000).
	RepeatCancel string `json:"repeat_cancel"`

	// DuplicateUUID inside the window: "error" (409000 "uuid exists") or "echo"
	// the request as if it had been applied.
	DuplicateUUID string `json:"duplicate_uuid"`
	// RefusedConsumesUUID makes 409180 and 409181 use up the uuid.
	RefusedConsumesUUID bool `json:"refused_consumes_uuid"`
	// BalanceFirst looks at the balance before the uuid: a decrement that emptied
	// it is refused with 409181 when it is repeated.
	BalanceFirst bool `json:"balance_first"`
	// UUIDTrace is where point details show a uuid: "remark" (the remark as it
	// was sent, externalId null), "external_id" (remark too), or "none" (both
	// null).
	UUIDTrace string `json:"uuid_trace"`
	// UUIDWindow holds for a call without uuid_timeout; 0 = the documented hour.
	UUIDWindow Duration `json:"uuid_window"`
	// UUIDWindowMax caps what uuid_timeout asks for; 0 = as long as asked.
	UUIDWindowMax Duration `json:"uuid_window_max"`

	// DealPoints lets create grant the whole units of amountPaid as points, and
	// cancel and refund take them back, down to zero.
	DealPoints bool `json:"deal_points"`
	// RefundState shows 部分退单 or 完全退单 in order reads after a refund; else
	// the state stays.
	RefundState bool `json:"refund_state"`
	// OrderNotFound is the reply to a read of an absent order: "error" (409200),
	// "null", or "empty" (no body).
	OrderNotFound string `json:"order_not_found"`
	// OrderWindowBy is the date by which order reads show the last 30 days
	// only: "date_order" or "date_created".
	OrderWindowBy string `json:"order_window_by"`

	// DealsApart gives the customer-deals API orders of its own: no write of one API
	// touches the other's, and order reads don't show loyalty's. Else both have one
	// order per number, so that a loyalty create finds an order that a customer deal
	// has made. No document says which it is.
	DealsApart bool `json:"deals_apart"`
	// DealCoupon is the spelling in which customer deals take a coupon; the other
	// one is ignored: "counponCode" (of the samples) or "couponCode" (of the model).
	DealCoupon string `json:"deal_coupon"`
	// DealDeleteReply to DELETE /v1/deals/{orderNo}: "no_content" (204), "empty" (200
	// without a body), or "echo" the order.
	DealDeleteReply string `json:"deal_delete_reply"`

	// ReadsLag is how long a write stays invisible to reads.
	ReadsLag Duration `json:"reads_lag"`
	// Latency passes before each API call takes effect, whether or not its
	// client is still there.
	Latency Duration `json:"latency"`
	// ErrorStatus is the HTTP status of loyalty errors; 0 = 200.
	ErrorStatus int `json:"error_status"`
	// CreateStatus is the HTTP status of a create that succeeded; 0 = 200.
	CreateStatus int `json:"create_status"`
	// TokenErrorCode is the gateway's code for an invalid token, which no
	// document names; "" = 40001.
	TokenErrorCode string `json:"token_error_code"`
	// TokenErrorType of that code in JSON: "alternate", "number" or "string".
	TokenErrorType string `json:"token_error_type"`

	Members MemberSwitches  `json:"members"`
	HeyShop HeyShopSwitches `json:"heyshop"`
	Pospal  PospalSwitches  `json:"pospal"`
}

type choice struct {
	name    string
	value   *string
	allowed []string
}

func (s *Switches) choices() []choice {
	return slices.Concat(s.HeyShop.choices(), s.Pospal.choices(), s.Members.choices(), []choice{
		{"existing_order", &s.ExistingOrder, []string{"error", "replace", "double"}},
		{"refunds", &s.Refunds, []string{"accumulate", "overwrite", "refuse"}},
		{"repeat_cancel", &s.RepeatCancel, []string{"echo", "error"}},
		{"duplicate_uuid", &s.DuplicateUUID, []string{"error", "echo"}},
		{"uuid_trace", &s.UUIDTrace, []string{"remark", "external_id", "none"}},
		{"order_not_found", &s.OrderNotFound, []string{"error", "null", "empty"}},
		{"order_window_by", &s.OrderWindowBy, []string{"date_order", "date_created"}},
		{"deal_coupon", &s.DealCoupon, []string{"counponCode", "couponCode"}},
		{"deal_delete_reply", &s.DealDeleteReply, []string{"no_content", "empty", "echo"}},
		{"token_error_type", &s.TokenErrorType, []string{"alternate", "number", "string"}},
	})
}

func (s Switches) withDefaults() Switches {
	for _, c := range s.choices() {
		if *c.value == "" {
			*c.value = c.allowed[0]
		}
	}
	if s.UUIDWindow == 0 {
		s.UUIDWindow = Duration(time.Hour)
	}
	if s.ErrorStatus == 0 {
		s.ErrorStatus = 200
	}
	if s.CreateStatus == 0 {
		s.CreateStatus = 200
	}
	if s.TokenErrorCode == "" {
		s.TokenErrorCode = "40001"
	}
	s.HeyShop.fill()
	s.Pospal.fill()
	return s
}

func (s Switches) check() error {
	for _, c := range s.choices() {
		if !slices.Contains(c.allowed, *c.value) {
			return fmt.Errorf("sandbox: switch %s is %q: use one of %s", c.name, *c.value, strings.Join(c.allowed, ", "))
		}
	}
	for name, d := range map[string]Duration{
		"uuid_window": s.UUIDWindow, "uuid_window_max": s.UUIDWindowMax,
		"reads_lag": s.ReadsLag, "latency": s.Latency,
	} {
		if d < 0 {
			return fmt.Errorf("sandbox: switch %s is %s: it can't be negative", name, time.Duration(d))
		}
	}
	for name, code := range map[string]int{"error_status": s.ErrorStatus, "create_status": s.CreateStatus} {
		if code < 200 || code > 599 {
			return fmt.Errorf("sandbox: switch %s is %d: use an HTTP status from 200 to 599", name, code)
		}
	}
	if err := errors.Join(s.HeyShop.check(), s.Pospal.check()); err != nil {
		return err
	}
	if s.TokenErrorType != "string" && !digits(s.TokenErrorCode) {
		return fmt.Errorf("sandbox: switch token_error_code is %q: use digits, or set token_error_type to string", s.TokenErrorCode)
	}
	return nil
}

func digits(s string) bool {
	return s != "" && s[0] != '0' && strings.Trim(s, "0123456789") == ""
}
