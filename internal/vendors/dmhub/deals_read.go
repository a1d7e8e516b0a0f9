package dmhub

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

const (
	// dealRows is how many orders are asked for at once, and dealPage how many bytes
	// they may have.
	dealRows = 100
	dealPage = 4 << 20
)

// dealRead is one read of the customer-deals document.
type dealRead struct {
	vendors.Resource
	section, path string
}

// dealReads are the reads. All of them show the last month only: 注:所有订单查询只返回
// 最近一个月的订单.
var dealReads = []dealRead{
	{
		Resource: vendors.Resource{
			Name: "deal", Keys: []string{"orderNo"}, About: "an order of the last month (业务订单)",
			Columns: []string{"orderNo", "customerId", "dateOrder", "amountPaid", "amountTotal", "store", "salesChannel", "state"},
		},
		section: "查询订单的API", path: "/v1/deals/{orderNo}",
	},
	{
		Resource: vendors.Resource{
			Name: "deal-details", Keys: []string{"orderNo"}, About: "an order of the last month with its state and all its fields (订单详情)",
			Columns: []string{"orderNo", "customerIdStr", "dateOrder", "amountPaid", "amountTotal", "store", "salesChannel", "state"},
		},
		section: "根据订单号查询订单详情的API", path: "/v1/dealService/getDealByOrderNo",
	},
	{
		Resource: vendors.Resource{
			Name: "deals", Keys: []string{"[customerId]"}, About: "the orders of the last month, newest first (所有订单)", Paged: true,
			Columns: []string{"orderNo", "customerId", "dateOrder", "amountPaid", "store", "salesChannel"},
		},
		section: "查询所有订单的API", path: "/v1/deals",
	},
}

// Resources implements vendors.Reader.
func (d *Deals) Resources() []vendors.Resource {
	var all []vendors.Resource
	for _, r := range dealReads {
		all = append(all, r.Resource)
	}
	return all
}

// Shows implements vendors.Reader: the details are what shows an order's state.
func (d *Deals) Shows(call vendors.Call) (resource string, keys []string, ok bool) {
	if !call.Event.Type.Order() || call.Event.OrderNo == "" {
		return "", nil, false
	}
	return "deal-details", []string{call.Event.OrderNo}, true
}

// Read implements vendors.Reader.
func (d *Deals) Read(ctx context.Context, resource string, keys []string, page string) (vendors.Page, vendors.Result) {
	ctx, cancel := d.client.bounded(ctx)
	defer cancel()
	switch {
	case resource == "deals" && len(keys) <= 1:
		return d.readList(ctx, keys, page)
	case (resource == "deal" || resource == "deal-details") && len(keys) == 1:
		return d.readOne(ctx, resource, keys[0])
	case resource == "deal" || resource == "deal-details":
		return vendors.Page{}, vendors.Unsent("", fmt.Sprintf("%s: give one orderNo", resource))
	case resource == "deals":
		return vendors.Page{}, vendors.Unsent("", "deals: give one customerId, or none")
	}
	return vendors.Page{}, vendors.Unsent("", fmt.Sprintf("there is no resource %q; there are deal, deal-details and deals", resource))
}

func (d *Deals) readOne(ctx context.Context, resource, orderNo string) (vendors.Page, vendors.Result) {
	req := vendors.Request{Method: http.MethodGet, Path: "/v1/dealService/getDealByOrderNo", Query: url.Values{"orderNo": {orderNo}}}
	if resource == "deal" {
		path, err := dealPath("/v1/deals/{orderNo}", orderNo)
		if err != nil {
			return vendors.Page{}, vendors.Unsent("", err.Error())
		}
		req.Path, req.Query = path, nil
	}
	_, r := d.readDeal(ctx, req, orderNo)
	if r.Class != vendors.Applied {
		return vendors.Page{}, r
	}
	return vendors.Page{Rows: []json.RawMessage{r.Reply}}, r
}

// readList reads one page of the orders, newest first. The reply has no number of
// pages, and records may be those of this page or of all: a page that is empty, or
// that begins as the one before did, is the end. page is its number and the first
// order of the one before.
func (d *Deals) readList(ctx context.Context, keys []string, page string) (vendors.Page, vendors.Result) {
	query := url.Values{"rows": {strconv.Itoa(dealRows)}, "sidx": {"dateOrder"}, "sord": {"desc"}}
	if len(keys) == 1 {
		if strings.Trim(keys[0], "0123456789") != "" || keys[0] == "" {
			return vendors.Page{}, vendors.Unsent("", "customerId: not a number of DM Hub's")
		}
		query.Set("customerId", keys[0])
	}
	number, before, _ := strings.Cut(page, " ")
	n, err := strconv.Atoi(number)
	if page == "" {
		n, err = 1, nil
	}
	if err != nil || n < 1 {
		return vendors.Page{}, vendors.Unsent("", fmt.Sprintf("page %q: not one that a page before has named", page))
	}
	query.Set("page", strconv.Itoa(n))
	r, rep := d.client.call(ctx, vendors.Request{Method: http.MethodGet, Path: "/v1/deals", Query: query, MaxReply: dealPage})
	if rep.kind != object || !rep.ok || r.Class != vendors.Ambiguous {
		if r.Class == vendors.Refused {
			r.Class, r.Early = vendors.Ambiguous, false
		}
		return vendors.Page{}, r
	}
	rows, ok := rowsOf(rep.fields["rows"])
	if !ok {
		r.Message = "the reply holds no rows of orders"
		return vendors.Page{}, r
	}
	r.Class, r.Message = vendors.Applied, ""
	if len(rows) == 0 {
		return vendors.Page{}, r
	}
	first := vendors.Text(vendors.Fields(rows[0])["orderNo"])
	if n > 1 && first == before {
		return vendors.Page{}, r
	}
	return vendors.Page{Rows: rep.shown(rows), Next: fmt.Sprintf("%d %s", n+1, first)}, r
}

// endpointsOfDeals is the whole document.
func endpointsOfDeals() []vendors.Endpoint {
	var all []vendors.Endpoint
	for _, w := range dealWrites {
		all = append(all, vendors.Endpoint{Section: w.section, Method: w.method, Path: w.path, Event: w.event, Unclear: w.unclear})
	}
	for _, r := range dealReads {
		all = append(all, vendors.Endpoint{Section: r.section, Method: http.MethodGet, Path: r.path, Read: r.Name})
	}
	return all
}

func takesOfDeals() []event.Type {
	var all []event.Type
	for _, w := range dealWrites {
		all = append(all, w.event)
	}
	return all
}
