package pospal

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// What people can read.
const (
	readPromotion      = "promotion"
	readPromotions     = "promotions"
	readPromotionPages = "promotion-pages"
	readCustomerCodes  = "customer-codes"
	readUsedCodes      = "used-codes"
)

var (
	ruleColumns = []string{"promotionCouponUid", "name", "enable", "startDate", "endDate", "avaliableQuantity", "usedQuantity", "createdQuantity"}
	codeColumns = []string{"code", "promotionCouponUid", "promotionCouponName", "createdDateTime", "expiredDate", "usedDateTime", "usedByUserAccount"}
)

// Resources implements vendors.Reader.
func (a *Account) Resources() []vendors.Resource {
	return []vendors.Resource{
		{Name: readPromotion, Keys: []string{"promotionCouponUid"}, About: "a coupon's rule by its uid (根据优惠券规则uid查询)", Columns: ruleColumns},
		{Name: readPromotions, About: "the coupons' rules that are available (优惠券规则)", Columns: ruleColumns},
		{
			Name: readPromotionPages, About: "all promotions (促销规则), in pages", Paged: true,
			Columns: []string{"uid", "type", "name", "enable", "startDatetime", "endDatetime", "promotionCouponUid"},
		},
		{Name: readCustomerCodes, Keys: []string{"customerUid"}, About: "a customer's codes (会员的优惠券号), in pages", Paged: true, Columns: codeColumns},
		{
			Name: readUsedCodes, Keys: []string{"start", "end"}, Paged: true, Columns: codeColumns,
			About: "the codes used from start until before end (核销过的优惠券号); times without a zone are China's",
		},
	}
}

func promotion(uid string) query {
	return query{pathPromotion, []asked{{sentPromotion, json.RawMessage(uid)}}}
}

func customerCodes(customer string) query {
	return query{pathCustomerCodes, []asked{{sentCustomer, json.RawMessage(customer)}}}
}

func usedCodes(s span) query {
	return query{pathUsedCodes, []asked{{sentFrom, vendors.Quote(inChina(s.from))}, {sentTo, vendors.Quote(inChina(s.to))}}}
}

// maxRead is how many pages of a read a person is shown.
const maxRead = 1000

// place is where a read in pages goes on: in which of its queries, after how many
// pages of it, and with which postBackParameter. That one is kept as a text, since
// it goes back as it came.
type place struct {
	Query int    `json:"query,omitempty"`
	Pages int    `json:"pages,omitempty"`
	Back  string `json:"back,omitempty"`
}

// Read implements vendors.Reader.
func (a *Account) Read(ctx context.Context, resource string, keys []string, next string) (vendors.Page, vendors.Result) {
	queries, err := queriesOf(resource, keys)
	var at place
	if err == nil && next != "" {
		err = json.Unmarshal([]byte(next), &at)
	}
	switch {
	case err != nil:
	case at.Query < 0 || at.Query >= len(queries):
		err = fmt.Errorf("page: %q isn't one that was given as next", vendors.Shorten(next, 40))
	case at.Pages > maxRead:
		err = fmt.Errorf("more than %d pages: the vendor may begin again and again", maxRead)
	}
	if err != nil {
		return vendors.Page{}, vendors.Unsent("", err.Error())
	}
	ctx, cancel := a.bounded(ctx)
	defer cancel()
	p, r := a.page(ctx, queries[at.Query], json.RawMessage(at.Back))
	if r.Class != vendors.Applied {
		return vendors.Page{}, r
	}
	page := vendors.Page{Next: at.next(p, len(queries))}
	for _, row := range p.rows {
		page.Rows = append(page.Rows, vendors.Redact(row, string(a.secret)))
	}
	switch {
	case p.cut:
		r.Message = "there may be more: the vendor doesn't say how to go on"
	case resource == readPromotion && len(page.Rows) == 0:
		r.Class, r.Message = vendors.Refused, "there is no such rule"
	}
	return page, r
}

// next says where to go on after a page; empty where that was the last one.
func (at place) next(p page, queries int) string {
	switch {
	case p.back != nil:
		at = place{at.Query, at.Pages + 1, string(p.back)}
	case at.Query+1 < queries:
		at = place{Query: at.Query + 1}
	default:
		return ""
	}
	b, _ := json.Marshal(at) // plain values
	return string(b)
}

// queriesOf returns the queries that together are a resource.
func queriesOf(resource string, keys []string) ([]query, error) {
	for _, r := range (&Account{}).Resources() {
		if r.Name == resource && len(r.Keys) != len(keys) {
			return nil, fmt.Errorf("%s: found %d keys; give %s", resource, len(keys), orNone(r.Keys))
		}
	}
	switch resource {
	case readPromotions:
		return []query{{path: pathPromotions}}, nil
	case readPromotionPages:
		return []query{{path: pathPromotionPages}}, nil
	case readPromotion, readCustomerCodes:
		if !isUID(keys[0]) {
			return nil, fmt.Errorf("%s: %q isn't a uid; give its digits", resource, vendors.Shorten(keys[0], 40))
		}
		if resource == readPromotion {
			return []query{promotion(keys[0])}, nil
		}
		return []query{customerCodes(keys[0])}, nil
	case readUsedCodes:
		return usedBetween(keys[0], keys[1])
	}
	return nil, fmt.Errorf("%q: no such resource of Pospal's", vendors.Shorten(resource, 40))
}

func orNone(keys []string) string {
	if len(keys) == 0 {
		return "none"
	}
	return strings.Join(keys, " and ")
}

func isUID(s string) bool {
	return s != "" && len(s) <= 19 && strings.Trim(s, "0123456789") == "" && s[0] != '0'
}

func usedBetween(from, to string) ([]query, error) {
	start, err := givenTime("start", from)
	if err != nil {
		return nil, err
	}
	end, err := givenTime("end", to)
	if err != nil {
		return nil, err
	}
	if !start.Before(end) {
		return nil, fmt.Errorf("end: %q isn't after start", vendors.Shorten(to, 40))
	}
	var list []query
	for ; end.Sub(start) > longest; start = start.Add(longest) {
		list = append(list, usedCodes(span{start, start.Add(longest)}))
	}
	return append(list, usedCodes(span{start, end})), nil
}

// givenTime reads a time as people write it; without a zone it is China's.
func givenTime(name, s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339, s); err == nil {
		return t, nil
	}
	for _, layout := range []string{chinaLayout, "2006-01-02T15:04:05", "2006-01-02 15:04", "2006-01-02T15:04", time.DateOnly} {
		if t, err := time.ParseInLocation(layout, s, china); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%s: %q; give a time such as 2026-11-21, 2026-11-21T16:00:00 (China's) or 2026-11-21T08:00:00Z", name, vendors.Shorten(s, 40))
}

// Shows implements vendors.Reader. A code without a customer can't be read.
func (a *Account) Shows(call vendors.Call) (resource string, keys []string, ok bool) {
	data, err := event.ReadObject(call.Event.Data)
	if err != nil {
		return "", nil, false
	}
	defer data.Release()
	switch call.Event.Type {
	case event.CouponCodeAdded:
		customer := vendors.Text(data.Get("customerUid"))
		return readCustomerCodes, []string{customer}, customer != ""
	case event.CouponCodeUsed:
		used := timeOfUse(call.Event, data)
		from, to := used, used
		if !call.FirstSentAt.IsZero() {
			from, to = earlier(used, call.FirstSentAt), later(used, call.FirstSentAt)
		}
		format := func(t time.Time) string { return t.In(china).Format(time.RFC3339) }
		return readUsedCodes, []string{format(from.Add(-clockMargin)), format(to.Add(clockMargin))}, true
	}
	return "", nil, false
}
