package sandbox

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// customerDeal finds the order of a write to one and returns a copy to change.
func (s *Sandbox) customerDeal(c *call, unknown string) (*deal, *fail) {
	f := form{raw: c.body}
	if no := f.text("orderNo", c.path == ""); f.err != nil {
		return nil, f.err
	} else if no != "" && no != c.key {
		return nil, &fail{Code: "400001", Message: "Invalid orderNo(" + no + ")!"}
	}
	m, err := c.customer()
	if err != nil {
		return nil, err
	}
	return c.changing(c.orders()[c.key], m, unknown)
}

// updateCustomerDeal is 修改业务订单: what is sent replaces what was there, lines as
// a whole, and null changes nothing.
func (s *Sandbox) updateCustomerDeal(c *call) (any, *fail) {
	d, err := s.customerDeal(c, UnknownOrder)
	if err != nil {
		return nil, err
	}
	f := form{raw: c.body}
	paid, date := f.number("amountPaid", false), f.date("dateOrder", false)
	if c.checkHeader(&f); f.err != nil {
		return nil, f.err
	}
	e := Effect{Repeat: true}
	merged, sent := members(d.doc), c.kept()
	for name, raw := range sent {
		if string(raw) != "null" && string(merged[name]) != string(raw) && !sameRows(merged[name], raw) {
			merged[name], e.Repeat = raw, false
		}
	}
	if !e.Repeat {
		d.doc = object(nil).all(merged).end()
	}
	if f.value("amountPaid", false) != nil {
		e.Amount, d.amountPaid = paid.Sub(d.amountPaid), paid
	}
	if !date.IsZero() {
		d.dateOrder = date
	}
	s.changed(c, d, e)
	return d.document(), nil
}

// sameRows says whether two arrays of objects have the same members: their order
// is nobody's.
func sameRows(a, b json.RawMessage) bool {
	if len(a) == 0 || a[0] != '[' || len(b) == 0 || b[0] != '[' {
		return false
	}
	x, y := elements(a), elements(b)
	return slices.EqualFunc(x, y, func(a, b json.RawMessage) bool {
		if a[0] != '{' || b[0] != '{' {
			return string(a) == string(b)
		}
		one, other := members(a), members(b)
		for name := range one {
			if string(one[name]) != string(other[name]) {
				return false
			}
		}
		return len(one) == len(other)
	})
}

// cancelCustomerDeal is 取消业务订单.
func (s *Sandbox) cancelCustomerDeal(c *call) (any, *fail) {
	f := form{raw: c.body}
	if f.date("cancelDate", false); f.err != nil {
		return nil, f.err
	}
	d, err := s.customerDeal(c, UnknownOrder)
	if err != nil {
		return nil, err
	}
	repeat := d.state == stateCancelled
	if repeat && c.sw.RepeatCancel == "error" {
		return nil, &fail{Code: "409000", Message: "order is cancelled"}
	}
	d.state = stateCancelled
	s.changed(c, d, Effect{Repeat: repeat})
	doc := d.document()
	doc["state"] = d.state
	return doc, nil
}

// deleteCustomerDeal is 删除业务订单; what it answers the document doesn't say.
func (s *Sandbox) deleteCustomerDeal(c *call) (any, *fail) {
	d, err := s.customerDeal(c, UnknownOrder)
	if err != nil {
		return nil, err
	}
	doc := d.document()
	d.deleted = true
	s.changed(c, d, Effect{})
	switch c.sw.DealDeleteReply {
	case "empty":
		return noBody{}, nil
	case "echo":
		return doc, nil
	}
	return noContent{}, nil
}

// refundCustomerDeal is 退货业务订单.
func (s *Sandbox) refundCustomerDeal(c *call) (any, *fail) {
	f := form{raw: c.body}
	f.date("refundDate", false)
	state := f.text("state", false)
	r := refund{
		total: f.number("refundTotal", true), raw: c.body["refundTotal"], reason: f.text("reason", false),
		lines: f.refundLines(), created: c.now,
	}
	if state != "" && state != statePartly && state != stateRefunded {
		f.fail(&fail{Code: "400001", Message: "Invalid state(" + state + ")!"})
	}
	if f.err != nil {
		return nil, f.err
	}
	d, err := s.customerDeal(c, RefundBeforeCreate)
	if err != nil {
		return nil, err
	}
	amount, err := d.refund(c, &r)
	if err != nil {
		return nil, err
	}
	if state != "" && c.sw.RefundState {
		d.state = state
	}
	s.changed(c, d, Effect{Amount: amount, Ref: strconv.FormatInt(r.id, 10)})
	return d.refundReply(c, r, d.refundedLines(r)), nil
}

// deleteCustomerRefund is 删除退货订单. It names no refund: the newest that is
// outstanding goes.
func (s *Sandbox) deleteCustomerRefund(c *call) (any, *fail) {
	d, err := s.customerDeal(c, UnknownOrder)
	if err != nil {
		return nil, err
	}
	r, err := d.takeBack(c)
	if err != nil {
		return nil, err
	}
	s.changed(c, d, Effect{Amount: r.total.Neg(), Ref: strconv.FormatInt(r.id, 10)})
	rest := []json.RawMessage{}
	for _, other := range d.refunds {
		rest = append(rest, d.refundedLines(other)...)
	}
	return d.refundReply(c, r, rest), nil
}

// refundReply is what both answer: a number for the total, no date.
func (d *deal) refundReply(c *call, r refund, lines []json.RawMessage) map[string]any {
	doc := map[string]any{
		"dateRefund": nil, "dateCreated": stamp(r.created), "orderNo": d.orderNo, "lastUpdated": stamp(c.now),
		"refundTotal": json.RawMessage(r.total.String()), "customerId": nil, "reason": nil, "refundLines": lines,
	}
	if d.customer != 0 {
		doc["customerId"] = d.customer
	}
	if r.reason != "" {
		doc["reason"] = r.reason
	}
	return doc
}

// refundedLines are a refund's lines with what the order's line of the same id has.
func (d *deal) refundedLines(r refund) []json.RawMessage {
	_, lines := d.parts()
	all := []json.RawMessage{}
	for _, given := range r.lines {
		doc := object(nil).text("orderNo", d.orderNo).int("refundId", r.id).raw("lineId", given["lineId"])
		if d.customer != 0 {
			doc = doc.int("customerId", d.customer)
		}
		for _, line := range lines {
			if string(line["lineId"]) != string(given["lineId"]) {
				continue
			}
			for _, name := range []string{"skuId", "productId", "qty", "category", "productName", "priceUnit", "priceSubTotal"} {
				if line[name] == nil {
					continue
				}
				raw := line[name]
				if strings.HasPrefix(name, "price") {
					raw = encode(sixDecimals(raw))
				}
				doc = doc.raw(name, raw)
			}
		}
		all = append(all, doc.end())
	}
	return all
}
