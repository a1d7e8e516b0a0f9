// Package dmhub speaks DM Hub's API for loyalty (v1) and reads from its API for
// customer deals. Section numbers are those of the vendor's member document;
// docs/vendors.md has what no document says.
package dmhub

import (
	"time"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

const (
	// pointMemory is how far back the point details reach (§15), less an hour.
	pointMemory = 30*24*time.Hour - time.Hour
	// orderMemory is how far back order reads reach: "the last month", which
	// February makes 28 days, less a day.
	orderMemory = 27 * 24 * time.Hour
)

// path returns the path of the write that gives a type its effect (§5, §11).
// Points have the member in it.
func path(t event.Type, member string) string {
	switch t {
	case event.OrderCreated:
		return "/loyalty/v1/deal"
	case event.OrderUpdated:
		return "/loyalty/v1/dealService/update/"
	case event.OrderCancelled:
		return "/loyalty/v1/dealService/cancel"
	case event.OrderRefunded:
		return "/loyalty/v1/dealService/refund"
	case event.OrderRefundDeleted:
		return "/loyalty/v1/dealService/deleteRefund"
	case event.OrderDeleted:
		return "/loyalty/v1/dealService/delete"
	case event.PointIncremented:
		return pointPath(member) + "/incr"
	case event.PointDecremented:
		return pointPath(member) + "/decr"
	}
	return ""
}

func pointPath(member string) string {
	return "/loyalty/v1/membership/" + member + "/point"
}

// Operation implements vendors.Vendor. AmountByRead is true for decrements: it
// matters for an event with decrToZero only.
func (a *Account) Operation(t event.Type) (vendors.Operation, bool) {
	op, ok := a.operations[t]
	return op, ok
}

// operation says what is known of a type's call; the account's settings are part
// of it, and don't change.
func (a *Account) operation(t event.Type) (vendors.Operation, bool) {
	op := vendors.Operation{
		Name:        "POST " + path(t, "{membershipId}"),
		NeedsMember: true,
		Blocks:      true,
		FindWindow:  orderMemory,
	}
	reads := a.orders != nil
	switch t {
	case event.PointIncremented, event.PointDecremented:
		a.pointOperation(&op)
		op.AmountByRead = t == event.PointDecremented
	case event.OrderCreated:
		op.NeedsMember = false
		op.Findable, op.FindElsewhere = reads, reads
		switch a.semantics.ExistingOrder {
		case Replaced:
			op.Repeat, op.EchoProves = vendors.RepeatAlways, true
		case Refused:
			op.Repeat, op.EchoProves, op.DuplicateProves = vendors.RepeatAlways, true, true
		}
	case event.OrderUpdated:
		op.Repeat, op.EchoProves = vendors.RepeatAlways, true
	case event.OrderCancelled, event.OrderDeleted:
		op.Repeat, op.EchoProves, op.Findable, op.FindElsewhere = vendors.RepeatAlways, true, reads, reads
	case event.OrderRefunded, event.OrderRefundDeleted:
		op.Repeat = vendors.RepeatNever
	default:
		return vendors.Operation{}, false
	}
	return op, true
}

func (a *Account) pointOperation(op *vendors.Operation) {
	op.Blocks = false
	op.Repeat, op.Window = vendors.RepeatWindow, uuidWindow(a.uuidTimeout, a.semantics.UUIDWindow, a.timeout)
	op.Findable = a.semantics.PointTrace != None
	op.FindWindow = pointMemory
	// Where a repeated uuid is echoed, an echo may follow a call that was refused.
	op.EchoProves = a.semantics.DuplicateUUID == Refused
}

// uuidWindow is how long after the first call a repeat with the same uuid is
// safe: the vendor's window, less the time a repeat may take to arrive and a
// minute (or a tenth of a short window) for clocks.
func uuidWindow(asked, honoured, timeout time.Duration) time.Duration {
	window := min(asked, honoured)
	return max(0, window-timeout-min(time.Minute, window/10))
}
