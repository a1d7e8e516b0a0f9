package dmhub

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// dealWrite is one call of the customer-deals document, and the event that it gives
// its effect.
type dealWrite struct {
	event        event.Type
	section      string // of the document, which has no numbers
	method, path string
	fields       []dealField // empty: the call has no body
	facts        vendors.Operation
	unclear      string
}

// dealWrites are the calls, each with how it words the event's data. What a table
// doesn't name is sent byte for byte: DM Hub has custom fields (自定义字段).
var dealWrites = []dealWrite{
	{
		event: event.OrderCreated, section: "创建业务订单的API", method: http.MethodPost, path: "/v1/deals",
		fields: []dealField{
			{"uuid", notSent, asItIs}, // the contract's own
			{"membershipId", notSent, asItIs},
			{"customerId", "customerId", aNumber},
			{"identities", "customerIdentities", each(
				dealField{"type", "identityType", asItIs},
				dealField{"value", "identityValue", asItIs},
				dealField{"name", "identityName", asItIs},
			)},
			{"dateOrder", "dateOrder", inUTCForm},
			{"couponCode", couponSent, asItIs},
			{"dealLines", "lines", each(dealField{"couponCode", couponSent, asItIs})},
		},
		facts:   vendors.Operation{Repeat: vendors.RepeatAlways, Findable: true},
		unclear: "read by its number, a month back; sent again once it is proven absent: a create replaces",
	},
	{
		event: event.OrderUpdated, section: "修改业务订单的API", method: http.MethodPut, path: "/v1/deals/{orderNo}",
		fields: []dealField{
			{"orderNo", notSent, asItIs}, // it stands in the path
			{"uuid", notSent, asItIs},
			{"membershipId", notSent, asItIs},
			{"customerId", "customerId", aNumber},
			{"identities", notSent, asItIs}, // the document has them for a create only
			{"dateOrder", "dateOrder", inUTCForm},
			{"couponCode", couponSent, asItIs},
			{"dealLines", "lines", each(dealField{"couponCode", couponSent, asItIs})},
		},
		facts:   vendors.Operation{Repeat: vendors.RepeatAlways},
		unclear: "repeated, newest only: it sets a state",
	},
	{
		event: event.OrderCancelled, section: "取消业务订单的API", method: http.MethodPost, path: "/v1/dealService/cancel",
		fields: []dealField{
			{"uuid", notSent, asItIs},
			{"membershipId", notSent, asItIs},
			{"customerId", "customerId", aNumber},
			{"identities", notSent, asItIs},
			{"cancelDate", "cancelDate", inUTCForm}, // without it: 默认取订单最后更新时间
			{"dateOrder", "dateOrder", inUTCForm},
			{"couponCode", couponSent, asItIs},
			{"dealLines", "lines", each(dealField{"couponCode", couponSent, asItIs})},
		},
		facts:   vendors.Operation{Repeat: vendors.RepeatAlways, Findable: true},
		unclear: "read by its number: state 已取消; repeated once it is proven that it isn't",
	},
	{
		event: event.OrderRefunded, section: "退货订单的API", method: http.MethodPost, path: "/v1/dealService/refund",
		fields: []dealField{
			{"uuid", notSent, asItIs},
			{"membershipId", notSent, asItIs},
			{"customerId", "customerId", aNumber},
			{"identities", notSent, asItIs},
			{"dateRefund", "refundDate", inUTCForm},
			{"state", "state", fullOrPartial},
		},
		facts:   vendors.Operation{Repeat: vendors.RepeatNever},
		unclear: "a person decides: no key, and no document says what a read shows",
	},
	{
		event: event.OrderRefundDeleted, section: "删除退货订单的API", method: http.MethodPost, path: "/v1/dealService/deleteRefund",
		fields: []dealField{
			{"uuid", notSent, asItIs},
			{"membershipId", notSent, asItIs},
			{"customerId", "customerId", aNumber},
			{"identities", notSent, asItIs},
			{"dateRefund", "refundDate", inUTCForm},
		},
		facts:   vendors.Operation{Repeat: vendors.RepeatNever},
		unclear: "a person decides: it names only the order, and a repeat takes back another refund",
	},
	{
		event: event.OrderDeleted, section: "删除业务订单的API", method: http.MethodDelete, path: "/v1/deals/{orderNo}",
		facts:   vendors.Operation{Repeat: vendors.RepeatAlways, Findable: true},
		unclear: "read by its number: it is gone; repeated once it is proven to be there",
	},
}

func dealWriteOf(t event.Type) (dealWrite, bool) {
	for _, w := range dealWrites {
		if w.event == t {
			return w, true
		}
	}
	return dealWrite{}, false
}

// request builds the call of an event; where it can't, hold says what a person has
// to look at.
func (w dealWrite) request(call vendors.Call) (req vendors.Request, hold string, err error) {
	path, err := dealPath(w.path, call.Event.OrderNo)
	if err != nil {
		return req, vendors.HoldEvent, err
	}
	req = vendors.Request{
		Method: w.method, Path: path, MaySend: call.MaySend,
		Personal: func() []string { return personal(call.Event) },
	}
	if len(w.fields) == 0 {
		return req, "", nil
	}
	if req.Body, err = reword(call.Event.Data, w.fields); err != nil {
		return req, vendors.HoldEvent, err
	}
	if w.event == event.OrderCreated && !namesCustomer(req.Body) {
		return req, vendors.HoldMember, errNoCustomer
	}
	return req, "", nil
}

var errNoCustomer = errors.New("customerId and identities: missing; customer deals know a customer by customerId or identities, " +
	"not by membershipId: send one of them with the order")

func namesCustomer(body []byte) bool {
	sent := vendors.Fields(body)
	ids := sent["customerIdentities"]
	return vendors.Given(sent["customerId"]) || vendors.Given(ids) && string(ids) != "[]"
}

// dealPath puts an order number into a path. Escaped or not, "." and ".." would be
// taken for steps in it.
func dealPath(template, orderNo string) (string, error) {
	if !strings.Contains(template, "{orderNo}") {
		return template, nil
	}
	if orderNo == "" || orderNo == "." || orderNo == ".." {
		return "", fmt.Errorf("orderNo: %q can't stand in a path; this order can't be named to the vendor", orderNo)
	}
	return strings.Replace(template, "{orderNo}", url.PathEscape(orderNo), 1), nil
}
