package dmhub

import (
	"encoding/json"
	"fmt"

	"github.com/shopspring/decimal"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// cancelled is the state of an order that was cancelled (§11.3).
const cancelled = "已取消"

// echoPoints compares what §5 echoes. An older document has a reply with point
// alone.
func echoPoints(call vendors.Call, rep reply) (vendors.Receipt, string) {
	e := call.Event
	receipt := vendors.Receipt{Member: vendors.Text(rep.fields["membershipId"])}
	points, ok := event.Decimal(vendors.Text(rep.fields["point"]))
	asked := decimal.NewFromInt(e.Points)
	switch {
	case !ok:
		return receipt, "point is missing"
	case e.DecrToZero && points.IsPositive() && points.LessThan(asked):
		// Less was there than was asked for.
	case !points.Equal(asked):
		return receipt, fmt.Sprintf("point is %s and not %s", points, asked)
	}
	if pattern := vendors.Text(rep.fields["pattern"]); pattern != "" && e.Pattern != "" && pattern != e.Pattern {
		return receipt, fmt.Sprintf("pattern is %s and not %s", pattern, e.Pattern)
	}
	// With decrToZero the echo doesn't say how much was there to take.
	if !e.DecrToZero {
		applied := e.Points
		receipt.Points = &applied
	}
	return receipt, ""
}

// echoOrder compares what §11 echoes. The refund's total isn't compared: the
// document's own sample echoes another one.
func echoOrder(call vendors.Call, rep reply) (vendors.Receipt, string) {
	receipt := vendors.Receipt{Ref: vendors.Text(rep.fields["id"]), Member: vendors.Text(rep.fields["membershipId"])}
	if no := vendors.Text(rep.fields["orderNo"]); no != call.Event.OrderNo {
		return receipt, fmt.Sprintf("orderNo is %q", no)
	}
	return receipt, ""
}

func echoCancelled(call vendors.Call, rep reply) (vendors.Receipt, string) {
	receipt, difference := echoOrder(call, rep)
	if state := vendors.Text(rep.fields["state"]); difference == "" && state != cancelled {
		difference = fmt.Sprintf("state is %q and not %q", state, cancelled)
	}
	return receipt, difference
}

func echoCreated(call vendors.Call, rep reply) (vendors.Receipt, string) {
	receipt, difference := echoOrder(call, rep)
	paid, asked := vendors.Text(rep.fields["amountPaid"]), call.Event.Amount
	if difference == "" && paid != "" && !sameAmount(paid, asked) {
		difference = fmt.Sprintf("amountPaid is %s and not %s", paid, asked.Decimal)
	}
	return receipt, difference
}

// sameAmount compares money; an event that names no amount agrees with any.
func sameAmount(got string, asked decimal.NullDecimal) bool {
	d, ok := event.Decimal(got)
	return ok && (!asked.Valid || d.Equal(asked.Decimal))
}

// personal lists the values of an event that name a person.
func personal(e *event.Event) []string {
	var data struct {
		ContactName     string `json:"contactName"`
		ContactTel      string `json:"contactTel"`
		ShippingAddress string `json:"shippingAddress"`
		ShippingStreet  string `json:"shippingStreet"`
		Mobile          string `json:"mobile"`
	}
	// A field of another type leaves the others.
	_ = json.Unmarshal(e.Data, &data)
	values := []string{data.ContactName, data.ContactTel, data.ShippingAddress, data.ShippingStreet, data.Mobile}
	for _, id := range e.Member.Identities {
		values = append(values, id.Value, id.Name)
	}
	return values
}
