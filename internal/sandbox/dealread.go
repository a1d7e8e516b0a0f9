package sandbox

import (
	"encoding/json"
	"strconv"
	"time"
)

// dealWindow is how far back order reads reach: "所有订单查询只返回最近一个月的订单",
// by a date that isn't said.
const dealWindow = 30 * 24 * time.Hour

// readDeal is getDealByOrderNo and GET /v1/deals/{orderNo} of
// "dmhub-customer-deals".
func (s *Sandbox) readDeal(c *call) (any, *fail) {
	if c.key == "" {
		return nil, missing("orderNo")
	}
	var d *deal
	if h := c.orders()[c.key]; h != nil {
		d = h.at(c.now.Add(-time.Duration(c.sw.ReadsLag)))
	}
	if d == nil || d.deleted || d.hidden(c) {
		switch c.sw.OrderNotFound {
		case "null":
			return nil, nil
		case "empty":
			return noBody{}, nil
		}
		return nil, errNotFound
	}
	c.member = d.member
	if c.path == "" {
		return d.fullDocument(), nil
	}
	doc := d.document()
	doc["state"] = d.state
	return doc, nil
}

func (d *deal) hidden(c *call) bool {
	date := d.dateOrder
	if c.sw.OrderWindowBy == "date_created" {
		date = d.created
	}
	return date.Before(c.now.Add(-dealWindow))
}

// document is the order as most replies have it: what was sent, in the names of the
// customer-deals model.
func (d *deal) document() map[string]any {
	header, lines := d.parts()
	doc := make(map[string]any, len(header)+4)
	for name, raw := range header {
		if name != "membershipId" && name != "identities" {
			doc[name] = raw
		}
	}
	doc["customerId"] = nil
	if d.customer != 0 {
		doc["customerId"] = d.customer
	}
	doc["lines"] = lines
	return doc
}

// fullDocument is the reply of getDealByOrderNo: every property of the model,
// amounts with six decimals.
func (d *deal) fullDocument() map[string]any {
	doc := map[string]any{}
	for _, name := range []string{
		"campaign", "shippingCounty", "shippingStreet", "zipcode", "shippingAddress", "salesChannel", "amountPaid",
		"contactName", "shippingCity", "merchantPoint", "groupId", "amountTotal", "couponCode", "contactTel",
		"buyerMessage", "shippingMethod", "paymentTerm", "shippingProvince", "store", "amountDiscount",
		"discountType", "paymentNo", "remark", "type", "customerIdStr",
	} {
		doc[name] = nil
	}
	for name, v := range d.document() {
		doc[name] = v
	}
	doc["state"] = d.state
	delete(doc, "counponCode") // its couponCode is null in the sample of an order that has one
	for _, name := range []string{"amountPaid", "amountTotal", "amountDiscount"} {
		raw, _ := doc[name].(json.RawMessage)
		doc[name] = sixDecimals(raw)
	}
	if d.customer != 0 {
		doc["customerIdStr"] = strconv.FormatInt(d.customer, 10)
	}
	_, given := d.parts()
	lines := make([]map[string]any, 0, len(given))
	for _, line := range given {
		lines = append(lines, fullLine(line))
	}
	doc["lines"] = lines
	return doc
}

func fullLine(line fields) map[string]any {
	doc := map[string]any{}
	for _, name := range []string{
		"couponCode", "priceSubPaid", "skuId", "category", "priceUnit", "brandName", "priceSubTotal", "discountType",
		"productId", "productName", "qty", "lineId", "lNum1", "lNum2", "lNum3", "lNum4", "lDate1", "lDate2", "lDate3",
		"lDate4", "lAttr1", "lAttr2", "lAttr3", "lAttr4", "lAttr5", "lAttr6",
	} {
		doc[name] = nil
	}
	for name, raw := range line {
		doc[name] = raw
	}
	delete(doc, "counponCode")
	for _, name := range []string{"priceUnit", "priceSubTotal", "priceSubPaid"} {
		doc[name] = sixDecimals(line[name])
	}
	return doc
}

// sixDecimals writes an amount like 59.000000, or with more decimals if it has
// them.
func sixDecimals(raw json.RawMessage) any {
	v, ok := exact(raw)
	if !ok {
		return raw
	}
	return json.RawMessage(v.StringFixed(max(6, -v.Exponent())))
}
