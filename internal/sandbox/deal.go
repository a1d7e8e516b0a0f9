package sandbox

import (
	"bytes"
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/shopspring/decimal"
)

// Order states of the documents.
const (
	statePaid      = "已付款"
	stateCancelled = "已取消"
	statePartly    = "部分退单"
	stateRefunded  = "完全退单"
)

// deal is one version of an order. It is never changed: a write puts a new one
// into the history, because reads may lag and replies are written unlocked.
type deal struct {
	orderNo    string
	id         int64
	member     int64
	customer   int64
	state      string
	deleted    bool
	doc        []byte // the order as it was sent, with its updates: parsed when it is asked for, so that many orders cost little
	sent       string // hash of the customer deal's create while nothing has changed since
	amountPaid decimal.Decimal
	refunds    []refund
	creates    int
	granted    int64 // points that DealPoints gave and didn't take back
	dateOrder  time.Time
	created    time.Time
	updated    time.Time
}

type refund struct {
	id    int64
	total decimal.Decimal
	raw   json.RawMessage // the total as it was sent
	date  json.RawMessage
	lines []fields

	reason  string // of a customer deal's
	created time.Time
}

// parts are the order's header and its lines.
func (d *deal) parts() (header fields, lines []fields) {
	header = members(d.doc)
	f := form{raw: header}
	lines = f.rows("dealLines", false)
	delete(header, "dealLines")
	return header, lines
}

func (d *deal) refunded() decimal.Decimal {
	sum := decimal.Zero
	for _, r := range d.refunds {
		sum = sum.Add(r.total)
	}
	return sum
}

// history is an order's versions, oldest first.
type history struct{ versions []*deal }

func (h *history) now() *deal { return h.versions[len(h.versions)-1] }

// at returns the version that was the newest at a time, nil if there was none.
func (h *history) at(t time.Time) *deal {
	for _, d := range slices.Backward(h.versions) {
		if !d.updated.After(t) {
			return d
		}
	}
	return nil
}

// put makes d the newest version. Those that no lagging read can see any more
// are dropped.
func (st *store) put(c *call, d *deal) {
	d.updated = c.now
	orders := c.orders()
	h := orders[d.orderNo]
	if h == nil {
		h = &history{}
		orders[d.orderNo] = h
	}
	until := c.now.Add(-time.Duration(c.sw.ReadsLag))
	for len(h.versions) > 0 && (c.sw.ReadsLag == 0 || len(h.versions) > 1 && !h.versions[1].updated.After(until)) {
		h.versions = h.versions[1:]
	}
	h.versions = append(h.versions, d)
}

// createDeal is "dmhub-loyalty" §11.1.
func (s *Sandbox) createDeal(c *call) (any, *fail) {
	d, err := c.readDeal()
	if err != nil {
		return nil, err
	}
	change := d.amountPaid
	if h := c.store.orders[d.orderNo]; h != nil && h.now().deleted {
		c.ledger.violate(c, AfterDelete, 0)
	} else if h != nil {
		old := h.now()
		if c.sw.ExistingOrder == "error" {
			return nil, &fail{Code: "409000", Message: "order exists"}
		}
		c.ledger.violate(c, CreatedTwice, 0)
		d.id, d.created, d.creates = old.id, old.created, old.creates+1
		d.refunds, d.granted = old.refunds, old.granted
		if c.sw.ExistingOrder == "replace" {
			change = d.amountPaid.Sub(old.amountPaid)
		} else {
			d.amountPaid = d.amountPaid.Add(old.amountPaid)
		}
	}
	if d.id == 0 {
		d.id = c.store.nextDeal
		c.store.nextDeal++
	}
	points := c.dealPoints(d, change.IntPart())
	c.store.put(c, d)
	c.ledger.effect(c, Effect{Member: d.member, Points: points, Amount: change, Ref: strconv.FormatInt(d.id, 10)})
	return d.createReply(), nil
}

// readDeal reads and checks the order of a create.
func (c *call) readDeal() (*deal, *fail) {
	f := form{raw: c.body}
	for _, name := range []string{"salesChannel", "store", "orderNo"} {
		f.text(name, true)
	}
	d := &deal{
		orderNo: c.key, state: statePaid, creates: 1, created: c.now, doc: bytes.TrimSpace(c.raw),
		dateOrder: f.date("dateOrder", true), amountPaid: f.number("amountPaid", true),
	}
	lines := f.rows("dealLines", true)
	f.number("amountDiscount", false)
	f.number("amountTotal", false)
	for _, name := range []string{
		"type", "couponCode", "groupId", "paymentTerm", "paymentNo", "shippingMethod", "contactName", "contactTel",
		"shippingProvince", "shippingCity", "shippingCounty", "shippingStreet", "shippingAddress", "currency",
	} {
		f.text(name, false)
	}
	f.fail(checkLines(lines))
	if f.err != nil {
		return nil, f.err
	}
	m, err := c.buyer(true)
	if err != nil {
		return nil, err
	}
	d.member, d.customer = m.id, m.customer
	return d, nil
}

func checkLines(lines []fields) *fail {
	seen := map[string]bool{}
	for _, line := range lines {
		f := form{raw: line}
		id := f.text("lineId", true)
		f.text("productName", true)
		f.number("qty", true)
		f.number("priceUnit", false)
		f.number("priceSubTotal", false)
		if f.err != nil {
			return f.err
		}
		if seen[id] { // "在一个订单中保证唯一"
			return &fail{Code: "400001", Message: "Invalid lineId(" + id + ")!"}
		}
		seen[id] = true
	}
	return nil
}

// buyer finds the member by membershipId or, where allowed, identities.
func (c *call) buyer(required bool) (*member, *fail) {
	f := form{raw: c.body}
	id := f.integer("membershipId", false)
	ids := f.rows("identities", false)
	if f.err != nil {
		return nil, f.err
	}
	if c.body["membershipId"] != nil && id != 0 {
		if m := c.store.members[id]; m != nil {
			return m, nil
		}
		return nil, errNoMember
	}
	for _, raw := range ids {
		f := form{raw: raw}
		if m := c.store.identities[identity{f.text("type", true), f.text("value", true)}]; m != nil {
			c.member = m.id
			return m, nil
		}
		if f.err != nil {
			return nil, &fail{Code: "400001", Message: f.err.Message}
		}
	}
	if len(ids) > 0 {
		return nil, errNoMember
	}
	if required {
		return nil, missing("membershipId")
	}
	return nil, nil
}

// dealPoints moves an order's points where the switch says so: change > 0
// grants, < 0 takes back what the order was granted, down to a balance of zero.
func (c *call) dealPoints(d *deal, change int64) int64 {
	m := c.store.members[d.member]
	if !c.sw.DealPoints || m == nil || change == 0 {
		return 0
	}
	sign, points := int64(1), change
	if change < 0 {
		sign, points = -1, min(-change, d.granted, m.balance)
	}
	if points <= 0 {
		return 0
	}
	c.store.addPoints(m, pointChange{sign: sign, pattern: 2, date: c.now}, points, c) // 交易送积分, 交易退积分
	d.granted += sign * points
	return sign * points
}

// existing finds the order of a write to one, checks its member and returns a
// copy to change.
func (s *Sandbox) existing(c *call, unknown string) (*deal, *fail) {
	f := form{raw: c.body}
	f.text("orderNo", true)
	if f.err != nil {
		return nil, f.err
	}
	m, err := c.buyer(false)
	if err != nil {
		return nil, err
	}
	return c.changing(c.store.orders[c.key], m, unknown)
}

// changing returns a copy of an order to change; m is whom the call names, if anybody.
func (c *call) changing(h *history, m *member, unknown string) (*deal, *fail) {
	if h == nil {
		c.ledger.violate(c, unknown, 0)
		return nil, errNotFound
	}
	d := *h.now()
	if d.deleted {
		c.ledger.violate(c, AfterDelete, 0)
		return nil, errNotFound
	}
	if m != nil && m.id != d.member {
		c.ledger.violate(c, MemberMismatch, 0)
	}
	d.sent, c.member = "", d.member
	return &d, nil
}

func (s *Sandbox) changed(c *call, d *deal, e Effect) {
	c.store.put(c, d)
	e.Member = d.member
	if e.Ref == "" {
		e.Ref = strconv.FormatInt(d.id, 10)
	}
	c.ledger.effect(c, e)
}

// updateDeal is "dmhub-loyalty" §11.2: what is sent replaces what was there,
// dealLines as a whole, and null changes nothing.
func (s *Sandbox) updateDeal(c *call) (any, *fail) {
	d, err := s.existing(c, UnknownOrder)
	if err != nil {
		return nil, err
	}
	f := form{raw: c.body}
	f.rows("dealLines", false)
	paid := f.number("amountPaid", false)
	date := f.date("dateOrder", false)
	if f.err != nil {
		return nil, f.err
	}
	e := Effect{Repeat: true}
	merged := members(d.doc)
	for name, raw := range c.body {
		if f.value(name, false) != nil && string(merged[name]) != string(raw) {
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
	reply := c.echo(d)
	reply["id"], reply["state"] = strconv.FormatInt(d.id, 10), d.state
	if ids := merged["identities"]; ids != nil {
		reply["identities"] = ids
	}
	return reply, nil
}

// cancelDeal is "dmhub-loyalty" §11.3.
func (s *Sandbox) cancelDeal(c *call) (any, *fail) {
	d, err := s.existing(c, UnknownOrder)
	if err != nil {
		return nil, err
	}
	repeat := d.state == stateCancelled
	if repeat && c.sw.RepeatCancel == "error" {
		return nil, &fail{Code: "409000", Message: "order is cancelled"}
	}
	d.state = stateCancelled
	s.changed(c, d, Effect{Repeat: repeat, Points: c.dealPoints(d, -d.granted)})
	reply := d.lineReply()
	reply["state"] = d.state
	return reply, nil
}

// deleteDeal is "dmhub-loyalty" §11.5: the order is gone, its points stay.
func (s *Sandbox) deleteDeal(c *call) (any, *fail) {
	d, err := s.existing(c, UnknownOrder)
	if err != nil {
		return nil, err
	}
	d.deleted = true
	s.changed(c, d, Effect{})
	return d.lineReply(), nil
}

// createReply is the reply of §11.1: the order with its lines, id a number.
func (d *deal) createReply() json.RawMessage {
	header, lines := d.parts()
	orderNo := header["orderNo"]
	all := []byte{'['}
	for i, line := range lines {
		if i > 0 {
			all = append(all, ',')
		}
		line["orderNo"] = orderNo
		all = append(all, object(nil).all(line).end()...)
	}
	for _, name := range []string{"membershipId", "id", "state", "dateCreated", "lastUpdated"} {
		delete(header, name)
	}
	return object(nil).all(header).int("membershipId", d.member).int("id", d.id).text("state", d.state).
		text("dateCreated", stamp(d.created)).text("lastUpdated", stamp(d.updated)).
		raw("dealLines", append(all, ']')).end()
}

// lineReply is the reply of §11.3 and §11.5: id a string, lines by their ids.
func (d *deal) lineReply() map[string]any {
	_, given := d.parts()
	lines := make([]map[string]any, 0, len(given))
	for _, line := range given {
		lines = append(lines, map[string]any{"lineId": line["lineId"]})
	}
	return map[string]any{
		"membershipId": d.member, "orderNo": d.orderNo, "id": strconv.FormatInt(d.id, 10), "dealLines": lines,
	}
}

// echo is the request with the order's member.
func (c *call) echo(d *deal) map[string]any {
	doc := make(map[string]any, len(c.body)+3)
	for name, raw := range c.body {
		doc[name] = raw
	}
	doc["membershipId"] = d.member
	return doc
}
