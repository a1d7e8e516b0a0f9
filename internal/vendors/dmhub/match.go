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

// match makes a Result Applied where the reply echoes what the event asked for;
// otherwise it stays Ambiguous and says what differs.
func match(r *vendors.Result, e *event.Event, rep reply) {
	var difference string
	if e.Type.Point() {
		difference = pointDifference(e, rep.fields)
	} else {
		difference = orderDifference(e, rep.fields)
	}
	if difference != "" {
		r.Message = shorten("the reply doesn't echo the call: "+difference, 500)
		return
	}
	r.Class, r.Message = vendors.Applied, ""
	r.Receipt.Member = text(rep.fields["membershipId"])
	if e.Type.Point() {
		// With decrToZero the echo doesn't say how much was there to take.
		if !e.DecrToZero {
			points := e.Points
			r.Receipt.Points = &points
		}
		return
	}
	r.Receipt.Ref = text(rep.fields["id"])
}

// pointDifference compares what §5 echoes. An older document has a reply with
// point alone.
func pointDifference(e *event.Event, got map[string]json.RawMessage) string {
	points, err := decimal.NewFromString(text(got["point"]))
	asked := decimal.NewFromInt(e.Points)
	switch {
	case err != nil:
		return "point is missing"
	case e.DecrToZero && points.IsPositive() && points.LessThan(asked):
		// Less was there than was asked for.
	case !points.Equal(asked):
		return fmt.Sprintf("point is %s and not %s", points, asked)
	}
	if pattern := text(got["pattern"]); pattern != "" && e.Pattern != "" && pattern != e.Pattern {
		return fmt.Sprintf("pattern is %s and not %s", pattern, e.Pattern)
	}
	return ""
}

// orderDifference compares what §11 echoes. The refund's total isn't compared:
// the document's own sample echoes another one.
func orderDifference(e *event.Event, got map[string]json.RawMessage) string {
	if no := text(got["orderNo"]); no != e.OrderNo {
		return fmt.Sprintf("orderNo is %q", no)
	}
	switch e.Type {
	case event.OrderCancelled:
		if state := text(got["state"]); state != cancelled {
			return fmt.Sprintf("state is %q and not %q", state, cancelled)
		}
	case event.OrderCreated:
		if paid := text(got["amountPaid"]); paid != "" && !sameAmount(paid, e.Amount) {
			return fmt.Sprintf("amountPaid is %s and not %s", paid, e.Amount.Decimal)
		}
	}
	return ""
}

// sameAmount compares money; an event that names no amount agrees with any.
func sameAmount(got string, asked decimal.NullDecimal) bool {
	d, err := decimal.NewFromString(got)
	return err == nil && (!asked.Valid || d.Equal(asked.Decimal))
}

// personal lists the values of an event that name a person.
func personal(e *event.Event) []string {
	var data struct {
		ContactName     string `json:"contactName"`
		ContactTel      string `json:"contactTel"`
		ShippingAddress string `json:"shippingAddress"`
		ShippingStreet  string `json:"shippingStreet"`
	}
	// A field of another type leaves the others.
	_ = json.Unmarshal(e.Data, &data)
	values := []string{data.ContactName, data.ContactTel, data.ShippingAddress, data.ShippingStreet}
	for _, id := range e.Member.Identities {
		values = append(values, id.Value, id.Name)
	}
	return values
}
