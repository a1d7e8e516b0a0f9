package sandbox

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// heyshopEntry is one row of the point history (积分历史).
type heyshopEntry struct {
	id       int64
	customer int64
	points   int64 // signed
	kind     string
	order    int64 // 0 = null
	created  time.Time
}

// firstEntry is the id of the document's first row.
const firstEntry = 11742

// heyshopOrder is the order of the document's list of the history.
//
//go:embed heyshop_order.json
var heyshopOrder []byte

// addEntry changes a customer's points.
func (st *store) addEntry(e heyshopEntry) *heyshopEntry {
	shop := st.shop()
	e.id = firstEntry
	if n := len(shop.entries); n > 0 {
		e.id = shop.entries[n-1].id + 1
	}
	if e.kind == "buy" {
		e.order = 2528283 + e.id
	}
	shop.entries = append(shop.entries, &e)
	shop.of[e.customer] = append(shop.of[e.customer], &e)
	st.members[e.customer].balance += e.points
	return &e
}

// adjustPoints is 调整指定用户积分.
func (s *Sandbox) adjustPoints(c *call) (any, *fail) {
	f := rest{raw: c.body}
	id, points := f.integer("customer_id"), f.integer("points")
	if f.err != nil {
		return nil, f.err
	}
	m := c.store.members[id]
	if m == nil {
		if c.sw.HeyShop.UnknownCustomer == "404" {
			return nil, noSuchRow()
		}
		return nil, &fail{Code: "customer_id", Message: fmt.Sprintf("Invalid pk %q - object does not exist.", strconv.FormatInt(id, 10))}
	}
	if points > math.MaxInt32 || points < math.MinInt32 {
		return nil, &fail{Code: "points", Message: "Ensure this value is less than or equal to 2147483647."}
	}
	if points < 0 {
		switch c.sw.HeyShop.NegativePoints {
		case "refused":
			return nil, &fail{Code: "points", Message: "Ensure this value is greater than or equal to 0."}
		case "cut":
			points = -min(-points, max(m.balance, 0))
		case "absolute":
			points = -points
		}
	}
	e := c.store.addEntry(heyshopEntry{customer: id, points: points, kind: "manual", created: c.now})
	c.ledger.effect(c, Effect{Member: id, Points: points, Ref: strconv.FormatInt(e.id, 10)})
	return e.document(m).raw("order", json.RawMessage("null")).text("created_at", heyshopStamp(e.created)).end(), nil
}

// document is what all replies show of a row, up to its order.
func (e *heyshopEntry) document(m *member) object {
	return object{}.int("id", e.id).raw("customer", heyshopCustomer(m)).int("points", e.points).text("kind", e.kind)
}

func heyshopCustomer(m *member) json.RawMessage {
	f := form{raw: m.fields}
	return object{}.int("id", m.id).text("mobile", m.mobile()).text("full_name", f.text("name", false)).
		text("gender", "unknown").raw("email", json.RawMessage("null")).raw("birthday", json.RawMessage("null")).
		text("note", "").raw("accepts_marketing", json.RawMessage("true")).
		text("created_at", heyshopStamp(m.created)).text("updated_at", heyshopStamp(m.created)).end()
}

// listEntries is 查询积分历史: each row has its whole order.
func (s *Sandbox) listEntries(c *call) (any, *fail) {
	ids, all, err := c.customers()
	if err != nil {
		return nil, err
	}
	rows := c.shop().entries
	if len(ids) == 1 {
		for id := range ids {
			rows = c.shop().of[id]
		}
	}
	var found []*heyshopEntry
	for _, e := range rows {
		if (all || ids[e.customer]) && !e.created.After(c.lagged()) {
			found = append(found, e)
		}
	}
	switch c.sw.HeyShop.HistoryOrder {
	case "newest":
		slices.Reverse(found)
	case "none":
		slices.SortStableFunc(found, func(a, b *heyshopEntry) int { return int(mix(uint64(a.id))>>40) - int(mix(uint64(b.id))>>40) })
	}
	page, doc, err := pageOf(c, "/api/loyalty/point_history/", found)
	if err != nil {
		return nil, err
	}
	results := []json.RawMessage{}
	for _, e := range page {
		m := c.store.members[e.customer]
		results = append(results, e.document(m).raw("order", e.wholeOrder(m)).text("created_at", heyshopStamp(e.created)).end())
	}
	doc["results"] = results
	return doc, nil
}

// wholeOrder is the document's order with its id and customer.
func (e *heyshopEntry) wholeOrder(m *member) json.RawMessage {
	if e.order == 0 {
		return json.RawMessage("null")
	}
	f := members(heyshopOrder)
	f["id"], f["customer"] = strconv.AppendInt(nil, e.order, 10), heyshopCustomer(m)
	return object{}.all(f).end()
}

// getEntry is 查询指定积分历史: the row has its order's id only.
func (s *Sandbox) getEntry(c *call) (any, *fail) {
	for _, e := range c.shop().entries {
		if strconv.FormatInt(e.id, 10) != c.path || e.created.After(c.lagged()) {
			continue
		}
		o := e.document(c.store.members[e.customer])
		if e.order == 0 {
			o = o.raw("order_id", json.RawMessage("null"))
		} else {
			o = o.int("order_id", e.order)
		}
		return o.text("created_at", heyshopStamp(e.created)).end(), nil
	}
	return nil, noSuchRow()
}

// HeyShopEntry is a row of the point history that comes about without a call: by
// the shop's staff, or by an order.
type HeyShopEntry struct {
	Store    string `json:"store"`
	Customer int64  `json:"customer"`
	Points   int64  `json:"points"` // signed
	Kind     string `json:"kind"`   // "manual" (also where empty) as by the staff, "buy" as by an order, or another
}

// AddHeyShopEntry changes a customer's points by the vendor's side: no call, no
// effect. It returns the row's id.
func (s *Sandbox) AddHeyShopEntry(e HeyShopEntry) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stores[e.Store]
	if st == nil || st.members[e.Customer] == nil {
		return 0, fmt.Errorf("sandbox: adding to the point history: store %q has no customer %d: seed one first", e.Store, e.Customer)
	}
	if e.Kind == "" {
		e.Kind = "manual"
	}
	row := st.addEntry(heyshopEntry{customer: e.Customer, points: e.Points, kind: e.Kind, created: s.cfg.Now().UTC()})
	return row.id, nil
}

func (s *Sandbox) postHeyShopEntry(w http.ResponseWriter, r *http.Request) {
	var e HeyShopEntry
	if !read(w, r, &e) {
		return
	}
	id, err := s.AddHeyShopEntry(e)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer(w, map[string]int64{"id": id})
}
