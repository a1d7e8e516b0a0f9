// Package event is the contract with publishers: the event types, how an event
// is decoded from a NATS message, what makes it itself (its identity) and what
// makes two events the same (the hash of their meaning).
//
// It does no I/O and depends on no other package of ours.
package event

import (
	"encoding/json"
	"strings"
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

	MemberRegistered      Type = "member.registered"
	MemberUpdated         Type = "member.updated"
	MemberIdentityBound   Type = "member.identity_bound"
	MemberIdentityRemoved Type = "member.identity_removed"
	MemberMobileChanged   Type = "member.mobile_changed"
	CouponDrawn           Type = "coupon.drawn"
	CouponRedeemed        Type = "coupon.redeemed"
	CouponCodeAdded       Type = "coupon.code_added"
	CouponCodeUsed        Type = "coupon.code_used"
	DeviceRegistered      Type = "device.registered"
	LevelCreated          Type = "level.created"
	LevelUpdated          Type = "level.updated"
	LevelDeleted          Type = "level.deleted"
)

// Types lists every type of the contract in the order of the documentation.
func Types() []Type {
	return []Type{
		OrderCreated, OrderUpdated, OrderCancelled, OrderDeleted,
		OrderRefunded, OrderRefundDeleted, PointIncremented, PointDecremented,
		MemberRegistered, MemberUpdated, MemberIdentityBound, MemberIdentityRemoved, MemberMobileChanged,
		CouponDrawn, CouponRedeemed, CouponCodeAdded, CouponCodeUsed,
		DeviceRegistered, LevelCreated, LevelUpdated, LevelDeleted,
	}
}

// Point reports whether the type changes a member's points.
func (t Type) Point() bool { return t == PointIncremented || t == PointDecremented }

// Order reports whether the type concerns an order.
func (t Type) Order() bool { return strings.HasPrefix(string(t), "order.") }

// Creates reports whether the type brings into being what the later events of
// its lane are about: it goes before them, whenever it arrives.
func (t Type) Creates() bool {
	switch t {
	case OrderCreated, MemberRegistered, CouponCodeAdded, LevelCreated:
		return true
	}
	return false
}

// Removes reports whether the effect is that something isn't there any more, so that
// a read which doesn't show it yet looks like the effect.
func (t Type) Removes() bool {
	switch t {
	case OrderDeleted, MemberIdentityRemoved, LevelDeleted:
		return true
	}
	return false
}

// Sets reports whether the type sets a state that a later event of its lane may
// set anew: one that is older than what has been set must not go out after it.
func (t Type) Sets() bool {
	switch t {
	case OrderUpdated, MemberUpdated, MemberIdentityBound, MemberIdentityRemoved, MemberMobileChanged,
		DeviceRegistered, LevelUpdated:
		return true
	}
	return false
}

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
	OrderNo string // of an order's event
	UUID    string // empty for created, cancelled and deleted; the code of a coupon that is redeemed or used
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
	UUID    string // of coupon.redeemed and coupon.code_used the coupon's code
	Member  Member
	// Key is what a coupon's, a device's or a level's event is about: the coupon's
	// code, the push id, the level's id. Empty for all others, for coupon.drawn and
	// for level.created, whose vendor gives it.
	Key string

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
	case OrderCreated, OrderCancelled, OrderDeleted:
		id.OrderNo = e.OrderNo
	default:
		id.UUID = e.UUID
	}
	return id
}

// VendorKey names the event's effect at a vendor where the event has a name for
// it: one account has it once. Empty for orders, whose lane is their key, and
// where the vendor gives the name.
func (e *Event) VendorKey() string {
	switch e.Type {
	case PointIncremented, PointDecremented:
		return e.UUID
	case CouponRedeemed, CouponCodeAdded, CouponCodeUsed:
		return string(e.Type) + " " + e.Key
	}
	return ""
}

// Keyed reports whether events of the type have a VendorKey.
func (t Type) Keyed() bool {
	switch t {
	case CouponRedeemed, CouponCodeAdded, CouponCodeUsed:
		return true
	}
	return t.Point()
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
