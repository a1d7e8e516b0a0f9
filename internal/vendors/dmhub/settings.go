package dmhub

import (
	"time"

	"syncworker/internal/vendors"
)

// pointSettings: where a repeated uuid is echoed, an echo may follow a call that
// was refused.
func pointSettings(a *Account, op *vendors.Operation) {
	op.Window = uuidWindow(a.uuidTimeout, a.semantics.UUIDWindow, a.timeout)
	op.Findable = a.semantics.PointTrace != None
	op.EchoProves = a.semantics.DuplicateUUID == Refused
}

func createSettings(a *Account, op *vendors.Operation) {
	readsElsewhere(a, op)
	switch a.semantics.ExistingOrder {
	case Replaced:
		op.Repeat, op.EchoProves = vendors.RepeatAlways, true
	case Refused:
		op.Repeat, op.EchoProves, op.DuplicateProves = vendors.RepeatAlways, true, true
	}
}

// readsElsewhere: the loyalty API reads no orders; an account for customer deals may.
func readsElsewhere(a *Account, op *vendors.Operation) {
	op.Findable, op.FindElsewhere = a.orders != nil, a.orders != nil
}

// refundSettings: the state of an order tells of a refund where somebody has seen it do so.
func refundSettings(a *Account, op *vendors.Operation) {
	if a.semantics.RefundState == Shown {
		readsElsewhere(a, op)
	}
}

// uuidWindow is how long after the first call a repeat with the same uuid is
// safe: the vendor's window, less the time a repeat may take to arrive and a
// minute (or a tenth of a short window) for clocks.
func uuidWindow(asked, honoured, timeout time.Duration) time.Duration {
	window := min(asked, honoured)
	return max(0, window-timeout-min(time.Minute, window/10))
}
