package sandbox

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// longestDealPage is what the sandbox gives at most; the document has no limit.
const longestDealPage = 1000

// listCustomerDeals is 查询所有订单: the last month's, by dateOrder unless sidx says
// otherwise. records is how many there are on all pages.
func (s *Sandbox) listCustomerDeals(c *call) (any, *fail) {
	var err *fail
	number := func(name string, otherwise int64) int64 {
		v := c.query.Get(name)
		if v == "" {
			return otherwise
		}
		n, bad := strconv.ParseInt(v, 10, 64)
		if bad != nil || n < 1 {
			err = &fail{Code: "400006", Message: "Invalid " + name + "(" + v[:min(len(v), 64)] + ")!"}
		}
		return n
	}
	rows, page, customer := min(number("rows", 20), longestDealPage), number("page", 1), number("customerId", 0)
	if err != nil {
		return nil, err
	}
	var found []*deal
	for _, h := range c.orders() {
		d := h.at(c.now.Add(-time.Duration(c.sw.ReadsLag)))
		if d != nil && !d.deleted && !d.hidden(c) && (customer == 0 || d.customer == customer) {
			found = append(found, d)
		}
	}
	slices.SortFunc(found, func(a, b *deal) int {
		var by int
		switch c.query.Get("sidx") {
		case "orderNo":
			by = strings.Compare(a.orderNo, b.orderNo)
		case "amountPaid":
			by = a.amountPaid.Cmp(b.amountPaid)
		default:
			by = a.dateOrder.Compare(b.dateOrder)
		}
		if by = cmp.Or(by, cmp.Compare(a.id, b.id)); strings.EqualFold(c.query.Get("sord"), "desc") {
			return -by
		}
		return by
	})
	from := int64(len(found))
	if page-1 < from/rows+1 {
		from = min((page-1)*rows, from)
	}
	docs := []any{}
	for _, d := range found[from:min(from+rows, int64(len(found)))] {
		docs = append(docs, d.document())
	}
	return map[string]any{"page": page, "records": len(found), "rows": docs}, nil
}

// CustomerDeal looks an order up as the customer-deals API knows it: where
// [Switches.DealsApart] is off, that is [Sandbox.Order].
func (s *Sandbox) CustomerDeal(store, orderNo string) (Order, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stores[store]
	if st == nil {
		return Order{}, false
	}
	h := st.customerDeals(s.switches)[orderNo]
	if h == nil {
		return Order{}, false
	}
	return h.now().order(st.name), true
}

// CustomerDeals returns all orders that the customer-deals API knows, by store and
// id.
func (s *Sandbox) CustomerDeals() []Order {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Order
	for _, st := range s.stores {
		for _, h := range st.customerDeals(s.switches) {
			all = append(all, h.now().order(st.name))
		}
	}
	sortOrders(all)
	return all
}

func (st *store) customerDeals(sw Switches) map[string]*history {
	if sw.DealsApart {
		return st.deals
	}
	return st.orders
}
