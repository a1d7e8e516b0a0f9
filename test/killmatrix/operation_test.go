package killmatrix

import (
	"fmt"
	"time"

	"syncworker/internal/event"
	"syncworker/internal/sandbox"
)

// operation is what one event asks of the vendor, and what has to be there first.
type operation struct {
	event.Type
	call   string // as the sandbox names it
	before []event.Type
}

// operations are all that the vendor has.
func operations() []operation {
	created := []event.Type{event.OrderCreated}
	return []operation{
		{event.OrderCreated, sandbox.OpDealCreate, nil},
		{event.OrderUpdated, sandbox.OpDealUpdate, created},
		{event.OrderCancelled, sandbox.OpDealCancel, created},
		{event.OrderDeleted, sandbox.OpDealDelete, created},
		{event.OrderRefunded, sandbox.OpDealRefund, created},
		{event.OrderRefundDeleted, sandbox.OpDealDeleteRefund, []event.Type{event.OrderCreated, event.OrderRefunded}},
		{event.PointIncremented, sandbox.OpPointIncr, nil},
		{event.PointDecremented, sandbox.OpPointDecr, nil},
	}
}

// refund reports whether no document says how to repeat or to read an operation.
func refund(t event.Type) bool { return t == event.OrderRefunded || t == event.OrderRefundDeleted }

// nameOf is the sandbox's name of what an event asks.
func nameOf(t event.Type) string {
	for _, op := range operations() {
		if op.Type == t {
			return op.call
		}
	}
	return ""
}

// dataOf is the data of an event of the one order and the one member of a cell.
func dataOf(t event.Type, member int64, at time.Time) map[string]any {
	data := map[string]any{"membershipId": member}
	if t.Point() {
		data["uuid"], data["point"], data["pattern"] = fmt.Sprint("p-", t), 5, 1
		return data
	}
	data["orderNo"] = "o-1"
	switch t {
	case event.OrderCreated:
		data["dateOrder"], data["amountPaid"] = at.Format(time.RFC3339), 30.5
		data["store"], data["salesChannel"] = "s", "pos"
		data["dealLines"] = []any{map[string]any{"lineId": "l1", "productName": "Tea", "qty": 1}}
	case event.OrderUpdated:
		data["uuid"], data["amountPaid"] = "u-1", 29.5
	case event.OrderRefunded:
		data["uuid"], data["refundTotal"], data["dateRefund"] = "r-1", 1.1, at.Format(time.RFC3339)
		data["refundLines"] = []any{map[string]any{"lineId": "l1"}}
	case event.OrderRefundDeleted:
		data["uuid"] = "r-1"
	}
	return data
}
