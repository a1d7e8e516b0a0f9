package sandbox

import (
	"strconv"

	"github.com/shopspring/decimal"
)

// refundDeal is "dmhub-loyalty" §11.4. dateRefund is required as its table
// says, although its sample has none.
func (s *Sandbox) refundDeal(c *call) (any, *fail) {
	f := form{raw: c.body}
	f.integer("membershipId", true)
	f.text("orderNo", true)
	f.date("dateRefund", true)
	f.text("reason", false)
	r := refund{
		total: f.number("refundTotal", true), raw: c.body["refundTotal"],
		date: c.body["dateRefund"], lines: f.refundLines(),
	}
	if f.err != nil {
		return nil, f.err
	}
	d, err := s.existing(c, RefundBeforeCreate)
	if err != nil {
		return nil, err
	}
	amount, err := d.refund(c, &r)
	if err != nil {
		return nil, err
	}
	points := c.dealPoints(d, -r.total.IntPart())
	s.changed(c, d, Effect{Amount: amount, Points: points, Ref: strconv.FormatInt(r.id, 10)})
	return map[string]any{
		"membershipId": d.member, "orderNo": d.orderNo, "refundTotal": r.total.String(), "refundLines": r.lines,
	}, nil
}

// deleteRefund is "dmhub-loyalty" §11.4 (the second one). It names no refund:
// the newest that is outstanding goes. Points stay as they are.
func (s *Sandbox) deleteRefund(c *call) (any, *fail) {
	d, err := s.existing(c, UnknownOrder)
	if err != nil {
		return nil, err
	}
	r, err := d.takeBack(c)
	if err != nil {
		return nil, err
	}
	s.changed(c, d, Effect{Amount: r.total.Neg(), Ref: strconv.FormatInt(r.id, 10)})
	return map[string]any{
		"refundTotal": r.raw, "orderNo": d.orderNo, "membershipId": d.member, "dateRefund": r.date, "refundLines": r.lines,
	}, nil
}

// refundLines are the rows of a refund, each of a line.
func (f *form) refundLines() []fields {
	lines := f.rows("refundLines", true)
	for _, line := range lines {
		l := form{raw: line}
		l.text("lineId", true)
		f.fail(l.err)
	}
	return lines
}

// refund adds a refund as the switch says, which shows in the order's state. It
// returns by how much what is refunded has grown.
func (d *deal) refund(c *call, r *refund) (decimal.Decimal, *fail) {
	if len(d.refunds) > 0 && c.sw.Refunds == "refuse" {
		return decimal.Zero, &fail{Code: "409000", Message: "refund exists"}
	}
	before := d.refunded()
	r.id = c.store.nextRefund
	c.store.nextRefund++
	if c.sw.Refunds == "overwrite" {
		d.refunds = nil
	}
	d.refunds = append(d.refunds[:len(d.refunds):len(d.refunds)], *r)
	if d.refunded().GreaterThan(d.amountPaid) {
		c.ledger.violate(c, OverRefund, 0)
	}
	d.showRefund(c.sw)
	return d.refunded().Sub(before), nil
}

// takeBack removes the newest refund that is outstanding.
func (d *deal) takeBack(c *call) (refund, *fail) {
	last := len(d.refunds) - 1
	if last < 0 {
		return refund{}, errNotFound
	}
	r := d.refunds[last]
	d.refunds = d.refunds[:last:last]
	d.showRefund(c.sw)
	return r, nil
}

func (d *deal) showRefund(sw Switches) {
	if !sw.RefundState || d.state == stateCancelled {
		return
	}
	switch {
	case len(d.refunds) == 0:
		d.state = statePaid
	case d.refunded().LessThan(d.amountPaid):
		d.state = statePartly
	default:
		d.state = stateRefunded
	}
}
