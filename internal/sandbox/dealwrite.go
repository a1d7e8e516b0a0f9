package sandbox

import (
	"encoding/json"
	"maps"
)

// Writes of "dmhub-customer-deals", as the ledger and the fault rules name them.
const (
	OpCustomerDealCreate       = "customer_deal.create"
	OpCustomerDealUpdate       = "customer_deal.update"
	OpCustomerDealCancel       = "customer_deal.cancel"
	OpCustomerDealRefund       = "customer_deal.refund"
	OpCustomerDealDeleteRefund = "customer_deal.delete_refund"
	OpCustomerDealDelete       = "customer_deal.delete"
	OpCustomerDealList         = "customer_deal.list"
)

func (s *Sandbox) customerDealRoutes() {
	s.handle(dmhub(), map[string]route{
		"POST /v1/deals":                       {OpCustomerDealCreate, (*Sandbox).createCustomerDeal},
		"PUT /v1/deals/{id}":                   {OpCustomerDealUpdate, (*Sandbox).updateCustomerDeal},
		"POST /v1/dealService/cancel":          {OpCustomerDealCancel, (*Sandbox).cancelCustomerDeal},
		"POST /v1/dealService/refund":          {OpCustomerDealRefund, (*Sandbox).refundCustomerDeal},
		"POST /v1/dealService/deleteRefund":    {OpCustomerDealDeleteRefund, (*Sandbox).deleteCustomerRefund},
		"DELETE /v1/deals/{id}":                {OpCustomerDealDelete, (*Sandbox).deleteCustomerDeal},
		"GET /v1/deals":                        {OpCustomerDealList, (*Sandbox).listCustomerDeals},
		"GET /v1/deals/{id}":                   {OpDealRead, (*Sandbox).readDeal},
		"GET /v1/dealService/getDealByOrderNo": {OpDealRead, (*Sandbox).readDeal},
	})
}

// orders are those that the call's API knows.
func (c *call) orders() map[string]*history {
	if c.sw.DealsApart && ofCustomerDeals(c.op) {
		return c.store.deals
	}
	return c.store.orders
}

// createCustomerDeal is 创建业务订单: what is there under the number is replaced.
func (s *Sandbox) createCustomerDeal(c *call) (any, *fail) {
	d, err := c.readCustomerDeal()
	if err != nil {
		return nil, err
	}
	e := Effect{Amount: d.amountPaid}
	if h := c.orders()[d.orderNo]; h != nil && h.now().deleted {
		c.ledger.violate(c, AfterDelete, 0)
	} else if h != nil {
		old := h.now()
		d.id, d.created, d.creates, d.refunds = old.id, old.created, old.creates+1, old.refunds
		e.Amount, e.Repeat = d.amountPaid.Sub(old.amountPaid), old.sent == c.hash
		if !e.Repeat { // it has undone what came after the first
			c.ledger.violate(c, CreatedTwice, 0)
		}
	}
	if d.id == 0 {
		d.id = c.store.nextDeal
		c.store.nextDeal++
	}
	d.sent = c.hash
	s.changed(c, d, e)
	return d.document(), nil
}

// readCustomerDeal reads and checks the order of a create. Which fields are
// required the document has lost; those without which there is no order are.
func (c *call) readCustomerDeal() (*deal, *fail) {
	f := form{raw: c.body}
	f.text("orderNo", true)
	d := &deal{
		orderNo: c.key, state: statePaid, creates: 1, created: c.now,
		dateOrder: f.date("dateOrder", true), amountPaid: f.number("amountPaid", true),
	}
	f.rows("lines", true)
	c.checkHeader(&f)
	if f.err != nil {
		return nil, f.err
	}
	m, err := c.customer()
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, missing("customerId")
	}
	d.member, d.customer = m.id, m.customer
	d.doc = object(nil).all(c.kept()).end()
	return d, nil
}

func (c *call) checkHeader(f *form) {
	for _, name := range []string{
		"discountType", "couponCode", "counponCode", "groupId", "paymentTerm", "paymentNo", "type", "store", "salesChannel",
		"shippingMethod", "contactName", "contactTel", "zipcode", "shippingProvince", "shippingCity", "shippingCounty",
		"shippingStreet", "shippingAddress", "buyerMessage", "remark", "campaign", "currency",
	} {
		f.text(name, false)
	}
	f.number("amountTotal", false)
	f.number("amountDiscount", false)
	f.integer("merchantPoint", false)
	seen := map[string]bool{}
	for _, line := range f.rows("lines", false) {
		l := form{raw: line}
		id := l.text("lineId", true)
		for _, name := range []string{"qty", "priceUnit", "priceSubTotal", "priceSubPaid"} {
			l.number(name, false)
		}
		if l.err == nil && seen[id] { // "订单行在该订单中的唯一标识"
			l.fail(&fail{Code: "400001", Message: "Invalid lineId(" + id + ")!"})
		}
		seen[id] = true
		f.fail(l.err)
	}
}

// customer finds the customer by customerId or, without one, customerIdentities;
// nil where the call names none.
func (c *call) customer() (*member, *fail) {
	f := form{raw: c.body}
	id := f.integer("customerId", false)
	ids := f.rows("customerIdentities", false)
	if f.err != nil {
		return nil, f.err
	}
	if f.value("customerId", false) != nil {
		if m := c.store.customers[id]; m != nil {
			return m, nil
		}
		return nil, errNoMember
	}
	for _, raw := range ids {
		f := form{raw: raw}
		if m := c.store.identities[identity{f.text("identityType", true), f.text("identityValue", true)}]; m != nil {
			return m, nil
		}
		if f.err != nil {
			return nil, f.err
		}
	}
	if len(ids) > 0 {
		return nil, errNoMember
	}
	return nil, nil
}

// kept is what stays of a request, in the names that orders are kept under: the
// coupon in the one spelling that the switch honours, its lines as dealLines.
func (c *call) kept() fields {
	ignored := "couponCode"
	if c.sw.DealCoupon == "couponCode" {
		ignored = "counponCode"
	}
	doc := maps.Clone(c.body)
	for _, name := range []string{"customerId", "customerIdentities", "lines", ignored} {
		delete(doc, name)
	}
	f := form{raw: c.body}
	if f.value("lines", false) == nil {
		return doc
	}
	all := []byte{'['}
	for i, line := range f.rows("lines", false) {
		if i > 0 {
			all = append(all, ',')
		}
		delete(line, ignored)
		all = append(all, object(nil).all(line).end()...)
	}
	doc["dealLines"] = json.RawMessage(append(all, ']'))
	return doc
}
