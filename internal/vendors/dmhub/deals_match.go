package dmhub

import (
	"encoding/json"
	"fmt"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// The states of a refund (退货订单的API, state).
const (
	refundedFully  = "完全退单"
	refundedPartly = "部分退单"
)

// matchDeal makes a Result Applied where the reply echoes what the event asked for;
// otherwise it stays Ambiguous and says what differs.
func matchDeal(r *vendors.Result, e *event.Event, rep reply) {
	if difference := dealDifference(e, rep.fields); difference != "" {
		r.Message = vendors.Shorten("the reply doesn't echo the call: "+difference, 500)
		return
	}
	r.Class, r.Message = vendors.Applied, ""
	if e.Type == event.OrderRefunded {
		r.Receipt.Ref = refundRef(rep.fields["refundLines"])
	}
}

// dealDifference compares what the samples echo. A refund's total isn't compared: no
// document says whether it is the refund's or the sum of all.
func dealDifference(e *event.Event, got map[string]json.RawMessage) string {
	if no := vendors.Text(got["orderNo"]); no != e.OrderNo {
		return fmt.Sprintf("orderNo is %q", no)
	}
	switch e.Type {
	case event.OrderCreated:
		if paid := vendors.Text(got["amountPaid"]); paid != "" && !sameAmount(paid, e.Amount) {
			return fmt.Sprintf("amountPaid is %s and not %s", paid, e.Amount.Decimal)
		}
	case event.OrderCancelled:
		if state := vendors.Text(got["state"]); state != cancelled {
			return fmt.Sprintf("state is %q and not %q", state, cancelled)
		}
	case event.OrderRefundDeleted:
		if lines, ok := rowsOf(got["refundLines"]); !ok || len(lines) > 0 {
			return "refundLines isn't empty"
		}
	}
	return ""
}

// refundRef is the id of the refund; empty where its lines have several.
func refundRef(lines json.RawMessage) string {
	rows, _ := rowsOf(lines)
	ref := ""
	for i, row := range rows {
		id := vendors.Text(vendors.Fields(row)["refundId"])
		if i > 0 && id != ref {
			return ""
		}
		ref = id
	}
	return ref
}

// rowsOf returns the members of a list; ok is false for what isn't one.
func rowsOf(raw json.RawMessage) (rows []json.RawMessage, ok bool) {
	if !vendors.Given(raw) || json.Unmarshal(raw, &rows) != nil {
		return nil, false
	}
	return rows, true
}
