package dmhub_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/dmhub"
)

func TestDealIsReadInBothWays(t *testing.T) {
	for resource, want := range map[string]string{
		"deal":         "GET /v1/deals/11111111024",
		"deal-details": "GET /v1/dealService/getDealByOrderNo?orderNo=11111111024",
	} {
		s := newShop(t)
		s.answers(200, golden(t, "deal_read"))
		page, r := s.deals(t).Read(t.Context(), resource, []string{"11111111024"}, "")
		require.Equal(t, vendors.Applied, r.Class, r.Message)
		require.Equal(t, []string{want}, s.seen)
		require.Equal(t, vendors.Page{Rows: []json.RawMessage{json.RawMessage(golden(t, "deal_read"))}}, page)

		for reply, class := range map[string]vendors.Class{
			`{"error":{"code":"409200","message":"Not found"}}`: vendors.Refused,
			`null`: vendors.Refused,
			``:     vendors.Ambiguous,
			`{"error":{"code":"409000","message":"x"}}`: vendors.Ambiguous,
			`{"orderNo":"1"}`: vendors.Ambiguous,
		} {
			s.answers(200, reply)
			page, r := s.deals(t).Read(t.Context(), resource, []string{"11111111024"}, "")
			require.Equal(t, class, r.Class, reply)
			require.Empty(t, page)
		}
	}
}

func TestDealsAreReadPageByPage(t *testing.T) {
	s := newShop(t)
	d := s.deals(t)
	s.answers(200, golden(t, "deals/list.reply"))
	page, r := d.Read(t.Context(), "deals", []string{"8888"}, "")
	require.Equal(t, vendors.Applied, r.Class, r.Message)
	require.Equal(t, []string{"GET /v1/deals?customerId=8888&page=1&rows=100&sidx=dateOrder&sord=desc"}, s.seen)
	require.Len(t, page.Rows, 1)
	require.Contains(t, string(page.Rows[0]), `"counponCode":"222333444"`)
	require.Zero(t, page.Pages, "records is nobody knows whose number")

	again, r := d.Read(t.Context(), "deals", nil, page.Next)
	require.Equal(t, vendors.Applied, r.Class)
	require.Equal(t, "GET /v1/deals?page=2&rows=100&sidx=dateOrder&sord=desc", s.seen[1])
	require.Empty(t, again, "the same page again: page was ignored")

	s.answers(200, `{"page":2,"records":0,"rows":[]}`)
	last, r := d.Read(t.Context(), "deals", nil, page.Next)
	require.Equal(t, vendors.Applied, r.Class)
	require.Empty(t, last)

	for _, reply := range []string{`{"page":1}`, `{"rows":{}}`, `[]`, `{"error":{"code":"409200","message":""}}`} {
		s.answers(200, reply)
		page, r := d.Read(t.Context(), "deals", nil, "")
		require.Equal(t, vendors.Ambiguous, r.Class, reply)
		require.Empty(t, page)
	}
}

func TestALongPageIsReadAndShowsNoSecret(t *testing.T) {
	s := newShop(t)
	row := `{"orderNo":"o","remark":"` + strings.Repeat("x", 2*vendors.ReplyLimit) + ` the-token s3cret"}`
	s.answers(200, `{"rows":[`+row+`]}`)
	page, r := s.deals(t).Read(t.Context(), "deals", nil, "")
	require.Equal(t, vendors.Applied, r.Class, r.Message)
	require.Greater(t, len(page.Rows[0]), 2*vendors.ReplyLimit)
	for _, secret := range []string{"the-token", "s3cret"} {
		require.NotContains(t, string(page.Rows[0]), secret)
	}
}

func TestReadsOfDealsSayWhatTheyNeed(t *testing.T) {
	s := newShop(t)
	for _, tt := range []struct {
		resource string
		keys     []string
		page     string
		message  string
	}{
		{"deal", nil, "", "give one orderNo"},
		{"deal", []string{".."}, "", "can't stand in a path"},
		{"deal-details", []string{"1", "2"}, "", "give one orderNo"},
		{"deals", []string{"1", "2"}, "", "give one customerId"},
		{"deals", []string{"x"}, "", "customerId: not a number"},
		{"deals", nil, "x", `page "x"`},
		{"coupons", nil, "", `no resource "coupons"; there are deal, deal-details and deals`},
	} {
		page, r := s.deals(t).Read(t.Context(), tt.resource, tt.keys, tt.page)
		require.Equal(t, vendors.NotSent, r.Class)
		require.Contains(t, r.Message, tt.message)
		require.Empty(t, page)
	}
	require.Empty(t, s.seen)
}

func TestWhatShowsAnOrdersEvent(t *testing.T) {
	d := newShop(t).deals(t)
	for typ, g := range goldenDeals(t) {
		resource, keys, ok := d.Shows(g.call)
		require.True(t, ok, typ)
		require.Equal(t, []any{"deal-details", []string{g.call.Event.OrderNo}}, []any{resource, keys})
	}
	_, _, ok := d.Shows(vendors.Call{Event: &event.Event{Type: event.PointIncremented}})
	require.False(t, ok)
}

// The kind says all that the account does, and nothing else.
func TestCustomerDealsIsTheWholeDocument(t *testing.T) {
	d := newShop(t).deals(t)
	var lines []string
	reads := map[string]bool{}
	for _, e := range dmhub.CustomerDeals.Endpoints {
		lines = append(lines, fmt.Sprintf("%s %s %s", e.Section, e.Method, e.Path))
		if e.Event == "" {
			require.Equal(t, http.MethodGet, e.Method)
			reads[e.Read] = true
			continue
		}
		op, ok := d.Operation(e.Event)
		require.True(t, ok)
		require.Equal(t, e.Method+" "+e.Path, op.Name)
		require.Contains(t, dmhub.CustomerDeals.Takes, e.Event)
		require.NotEmpty(t, e.Unclear)
	}
	require.ElementsMatch(t, []string{
		"创建业务订单的API POST /v1/deals",
		"查询订单的API GET /v1/deals/{orderNo}",
		"查询所有订单的API GET /v1/deals",
		"修改业务订单的API PUT /v1/deals/{orderNo}",
		"取消业务订单的API POST /v1/dealService/cancel",
		"退货订单的API POST /v1/dealService/refund",
		"删除退货订单的API POST /v1/dealService/deleteRefund",
		"删除业务订单的API DELETE /v1/deals/{orderNo}",
		"根据订单号查询订单详情的API GET /v1/dealService/getDealByOrderNo",
	}, lines)
	require.Len(t, dmhub.CustomerDeals.Takes, 6)
	require.Len(t, d.Resources(), len(reads))
	for _, r := range d.Resources() {
		require.True(t, reads[r.Name], r.Name)
	}
	v, err := dmhub.CustomerDeals.New(vendors.Setup{Name: "deals"})
	require.ErrorContains(t, err, "app_id")
	require.True(t, v == nil, "not a nil of a type")
}
