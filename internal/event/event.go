// Package event is the contract with publishers: the event types, how an event
// is decoded from a NATS message, what makes it itself (its identity) and what
// makes two events the same (the hash of their meaning).
//
// It does no I/O and depends on no other package of ours.
package event

import (
	"encoding/json"
	"time"

	"github.com/shopspring/decimal"
)

// Type is the CloudEvents type of an event.
type Type string

// The types that the contract knows.
const (
	OrderCreated       Type = "order.created"
	OrderUpdated       Type = "order.updated"
	OrderCancelled     Type = "order.cancelled"
	OrderDeleted       Type = "order.deleted"
	OrderRefunded      Type = "order.refunded"
	OrderRefundDeleted Type = "order.refund_deleted"
	PointIncremented   Type = "point.incremented"
	PointDecremented   Type = "point.decremented"
)

// Types lists every type of the contract in the order of the documentation.
func Types() []Type {
	return []Type{
		OrderCreated, OrderUpdated, OrderCancelled, OrderDeleted,
		OrderRefunded, OrderRefundDeleted, PointIncremented, PointDecremented,
	}
}

// Point reports whether the type changes a member's points; every other type
// concerns an order.
func (t Type) Point() bool { return t == PointIncremented || t == PointDecremented }

// DefaultTenant is the tenant of an event that names none.
const DefaultTenant = "default"

// PointKind is the one name space that the uuids of both point types share.
const PointKind = "point"

// Identity is the business key that makes an event itself. Two events with the
// same identity and the same hash are duplicates; with another hash they are a
// conflict. It is compared column by column, never as one joined string.
type Identity struct {
	Tenant  string
	Kind    string // the type, or PointKind for both point types
	OrderNo string // empty for points
	UUID    string // empty for created, cancelled and deleted
}

// Event is one decoded, valid event. Its strings are valid UTF-8 without NUL.
type Event struct {
	ID          string // CloudEvents id: names this sending, never the event
	Source      string // CloudEvents source, such as "pos/shanghai-001"
	Type        Type
	Time        time.Time // CloudEvents time, UTC: what the lane is ordered by
	Tenant      string
	TraceParent string // W3C trace context, empty where the publisher sent none

	OrderNo string
	UUID    string
	Member  Member

	Store        string
	SalesChannel string
	OccurredAt   time.Time           // dateOrder, dateRefund or date in UTC; zero where absent
	Amount       decimal.NullDecimal // amountPaid of an order, refundTotal of a refund
	Points       int64               // points of a point event, always positive
	Pattern      string              // pattern of a point event, as digits
	Remark       string
	DecrToZero   bool

	// Data is the data member exactly as published: unknown fields, decimals
	// and long ids included.
	Data json.RawMessage

	// Hash is the SHA-256 of the event's meaning in HashVersion's form.
	Hash [32]byte
}

// Identity returns the key that makes the event itself inside its tenant.
func (e *Event) Identity() Identity {
	id := Identity{Tenant: e.Tenant, Kind: string(e.Type)}
	switch e.Type {
	case PointIncremented, PointDecremented:
		id.Kind, id.UUID = PointKind, e.UUID
	case OrderUpdated, OrderRefunded, OrderRefundDeleted:
		id.OrderNo, id.UUID = e.OrderNo, e.UUID
	default:
		id.OrderNo = e.OrderNo
	}
	return id
}

// Member names a member as the publisher knows them: by the vendor's
// membershipId, or by identities such as a mobile number, or not at all.
type Member struct {
	MembershipID string // digits; empty where the event has none
	Identities   []MemberIdentity
}

// MemberIdentity is one entry of data.identities (会员身份).
type MemberIdentity struct {
	Type  string `json:"type"`
	Value string `json:"value"`
	Name  string `json:"name,omitempty"`
}

// Key is the member as a lane and a search column see it: "id:16508" or
// "mobile:13800000000"; empty where the event names no member. The first
// identity counts.
func (m Member) Key() string {
	switch {
	case m.MembershipID != "":
		return "id:" + m.MembershipID
	case len(m.Identities) > 0:
		return m.Identities[0].Type + ":" + m.Identities[0].Value
	}
	return ""
}
