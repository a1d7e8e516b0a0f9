package dmhub_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/dmhub"
	"syncworker/internal/vendors/vendorstest"
)

// dealEvent reads an event as it comes from a publisher.
func dealEvent(tb testing.TB, typ event.Type, data string) *event.Event {
	tb.Helper()
	e, err := event.Decode(event.Message{
		Subject: "sync.events." + string(typ),
		Data: []byte(fmt.Sprintf(`{"specversion":"1.0","id":"e-1","source":"pos/1","type":%q,"time":%q,"data":%s}`,
			typ, time.Now().UTC().Format(time.RFC3339), data)),
	}, event.Limits{}, time.Now())
	require.NoError(tb, err)
	return &e
}

// goldenDeal is one operation: its call, what is sent for it and what is answered.
type goldenDeal struct {
	call              vendors.Call
	line, body, reply string // method and path, the body, the good reply
}

func goldenDeals(tb testing.TB) map[event.Type]goldenDeal {
	all := map[event.Type]goldenDeal{}
	for name, line := range map[string]string{
		"created":        "POST /v1/deals",
		"updated":        "PUT /v1/deals/11122233344455",
		"cancelled":      "POST /v1/dealService/cancel",
		"refunded":       "POST /v1/dealService/refund",
		"refund_deleted": "POST /v1/dealService/deleteRefund",
	} {
		typ := event.Type("order." + name)
		e := dealEvent(tb, typ, golden(tb, "deals/"+name+".event"))
		all[typ] = goldenDeal{vendors.Call{Event: e}, line, golden(tb, "deals/"+name+".request"), golden(tb, "deals/"+name+".reply")}
	}
	e := dealEvent(tb, event.OrderDeleted, golden(tb, "deals/deleted.event"))
	all[event.OrderDeleted] = goldenDeal{vendors.Call{Event: e}, "DELETE /v1/deals/11122233344455", "", golden(tb, "deals/cancelled.reply")}
	return all
}

// requireExactly compares JSON without turning a number into another.
func requireExactly(t *testing.T, want, got string) {
	t.Helper()
	read := func(text string) (v any) {
		d := json.NewDecoder(strings.NewReader(text))
		d.UseNumber()
		require.NoError(t, d.Decode(&v), text)
		return v
	}
	require.Equal(t, read(want), read(got))
}

func TestDealsAreSentAsTheDocumentHasThem(t *testing.T) {
	for typ, g := range goldenDeals(t) {
		t.Run(string(typ), func(t *testing.T) {
			s := newShop(t)
			s.answers(200, g.reply)
			r := s.deals(t).Push(t.Context(), g.call)
			require.Equal(t, vendors.Applied, r.Class, r.Message)
			require.Equal(t, []string{g.line}, s.seen)
			require.Equal(t, g.line, r.Method+" "+r.Path)
			require.Equal(t, s.body, string(r.Request))
			if g.body == "" {
				require.Empty(t, s.body)
				return
			}
			requireExactly(t, g.body, s.body)
			require.NotContains(t, s.body, "902384756102938475", "the loyalty id is nobody's here")
		})
	}
}

// What the table doesn't name keeps its bytes, a null goes with its name, and an
// event that has customer deals' own words is left alone.
func TestDealsKeepWhatTheyDoNotKnow(t *testing.T) {
	for data, want := range map[string]string{
		`{"orderNo":"o", "uuid":"u", "c_x":1.10 , "remark":"<&>", "amountPaid":5e1}`:       `{ "c_x":1.10 , "remark":"<&>", "amountPaid":5e1}`,
		`{"orderNo":"o","uuid":"u","couponCode":null,"dealLines":null,"remark":null}`:      `{"remark":null}`,
		`{"orderNo":"o","uuid":"u","lines":[{"lineId":"1"}],"counponCode":"c"}`:            `{"lines":[{"lineId":"1"}],"counponCode":"c"}`,
		`{"orderNo":"o","uuid":"u","couponCode":"ours","counponCode":"c"}`:                 `{"counponCode":"ours"}`,
		`{"orderNo":"o","uuid":"u","customerId":90840682394599424,"store":"s"}`:            `{"customerId":90840682394599424,"store":"s"}`,
		`{"orderNo":"o","uuid":"u","dealLines":[{"lineId":"1","qty":2.50, "lAttr1":"x"}]}`: `{"lines":[{"lineId":"1","qty":2.50, "lAttr1":"x"}]}`,
	} {
		s := newShop(t)
		s.answers(200, `{"orderNo":"o"}`)
		r := s.deals(t).Push(t.Context(), vendors.Call{Event: dealEvent(t, event.OrderUpdated, data)})
		require.Equal(t, vendors.Applied, r.Class, r.Message)
		require.Equal(t, want, s.body)
	}
}

func TestDealsThatAPersonHasToLookAt(t *testing.T) {
	created := goldenDeals(t)[event.OrderCreated].call.Event
	without := func(drop ...string) string {
		data, err := event.Splice(created.Data, nil, drop)
		require.NoError(t, err)
		return string(data)
	}
	s := newShop(t)
	for _, tt := range []struct {
		typ                 event.Type
		data, hold, message string
	}{
		{event.OrderCreated, without("customerId", "identities"), "member_not_found", "customer deals know a customer by customerId or identities, not by membershipId"},
		{event.OrderCreated, strings.Replace(without(), `"8888"`, `"x8888"`, 1), "invalid_event", "customerId: isn't a number"},
		{event.OrderRefunded, strings.Replace(golden(t, "deals/refunded.event"), "完全退单", "退单", 1), "invalid_event", "state: is neither 完全退单 nor 部分退单"},
		{event.OrderRefunded, strings.Replace(golden(t, "deals/refunded.event"), `"完全退单"`, `1`, 1), "invalid_event", "state: is neither"},
	} {
		r := s.deals(t).Push(t.Context(), vendors.Call{Event: dealEvent(t, tt.typ, tt.data)})
		require.Equal(t, []any{vendors.NotSent, tt.hold}, []any{r.Class, r.Hold})
		require.Contains(t, r.Message, tt.message)
	}
	r := s.deals(t).Push(t.Context(), vendors.Call{Event: &event.Event{Type: event.PointIncremented}})
	require.Equal(t, "unsupported", r.Hold)
	for _, no := range []string{"", ".", ".."} {
		r = s.deals(t).Push(t.Context(), vendors.Call{Event: &event.Event{Type: event.OrderDeleted, OrderNo: no}})
		require.Equal(t, "invalid_event", r.Hold)
	}
	require.Empty(t, s.seen)

	s.answers(200, `{"error":{"code":210,"message":"没找到会员"}}`)
	r = s.deals(t).Push(t.Context(), vendors.Call{Event: created})
	require.Equal(t, []any{vendors.Refused, "member_not_found"}, []any{r.Class, r.Hold})
}

func TestOrderNumbersStandEscapedInPaths(t *testing.T) {
	s := newShop(t)
	var path string
	s.reply = func(r *http.Request) (int, string) {
		path = r.RequestURI[:strings.Index(r.RequestURI, "?")]
		return 200, string(quoted(t, map[string]string{"orderNo": r.PathValue("no")}))
	}
	for no, want := range map[string]string{
		"a/b":      "/v1/deals/a%2Fb",
		"订单 50%":   "/v1/deals/%E8%AE%A2%E5%8D%95%2050%25",
		"../x?a#b": "/v1/deals/..%2Fx%3Fa%23b",
		"..x":      "/v1/deals/..x",
	} {
		for _, typ := range []event.Type{event.OrderUpdated, event.OrderDeleted} {
			data := quoted(t, map[string]string{"orderNo": no, "uuid": "u"})
			s.deals(t).Push(t.Context(), vendors.Call{Event: dealEvent(t, typ, string(data))})
			require.Equal(t, want, path)
		}
		s.deals(t).Read(t.Context(), "deal", []string{no}, "")
		require.Equal(t, want, path)
	}
}

func quoted(t *testing.T, v any) []byte {
	b, err := json.Marshal(v)
	require.NoError(t, err)
	return b
}

func TestDealsBelieveAnEchoOnly(t *testing.T) {
	all := goldenDeals(t)
	for name, tt := range map[string]struct {
		typ     event.Type
		status  int
		reply   string
		class   vendors.Class
		message string
	}{
		"six decimals":            {event.OrderCreated, 201, `{"orderNo":"11122233344455","amountPaid":59.000000}`, vendors.Applied, ""},
		"amount as a text":        {event.OrderCreated, 200, `{"orderNo":"11122233344455","amountPaid":"59"}`, vendors.Applied, ""},
		"another amount":          {event.OrderCreated, 200, `{"orderNo":"11122233344455","amountPaid":59.01}`, vendors.Ambiguous, "amountPaid is 59.01 and not 59"},
		"another order":           {event.OrderUpdated, 200, `{"orderNo":"1"}`, vendors.Ambiguous, `orderNo is "1"`},
		"another case":            {event.OrderUpdated, 200, `{"OrderNo":"11122233344455"}`, vendors.Ambiguous, "orderNo"},
		"no state":                {event.OrderCancelled, 200, all[event.OrderUpdated].reply, vendors.Ambiguous, `state is ""`},
		"a refund is left":        {event.OrderRefundDeleted, 200, strings.Replace(all[event.OrderRefundDeleted].reply, "[]", `[{"lineId":"1"}]`, 1), vendors.Ambiguous, "refundLines"},
		"no lines":                {event.OrderRefundDeleted, 200, `{"orderNo":"E20180115140107"}`, vendors.Ambiguous, "refundLines"},
		"lines null":              {event.OrderRefundDeleted, 200, `{"orderNo":"E20180115140107","refundLines":null}`, vendors.Ambiguous, "refundLines"},
		"deleted, no content":     {event.OrderDeleted, 204, ``, vendors.Applied, ""},
		"deleted, an empty 200":   {event.OrderDeleted, 200, ``, vendors.Ambiguous, "isn't a JSON object"},
		"deleted, another order":  {event.OrderDeleted, 200, `{"orderNo":"1"}`, vendors.Ambiguous, "orderNo"},
		"no content for a create": {event.OrderCreated, 204, ``, vendors.Ambiguous, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := newShop(t)
			s.answers(tt.status, tt.reply)
			r := s.deals(t).Push(t.Context(), all[tt.typ].call)
			require.Equal(t, tt.class, r.Class)
			require.Contains(t, r.Message, tt.message)
		})
	}
}

func TestRefundsHaveTheirIdAsReceipt(t *testing.T) {
	g := goldenDeals(t)[event.OrderRefunded]
	for lines, want := range map[string]string{
		`[{"refundId":2100032073}]`:                                         "2100032073",
		`[{"refundId":90840682394599424},{"refundId":"90840682394599424"}]`: "90840682394599424",
		`[{"refundId":1},{"refundId":2}]`:                                   "",
		`[{"refundId":1},{}]`:                                               "",
		`[{},{"refundId":1}]`:                                               "",
		`[]`:                                                                "",
		`null`:                                                              "",
	} {
		s := newShop(t)
		s.answers(200, `{"orderNo":"11122233344455","refundTotal":"69","refundLines":`+lines+`}`)
		r := s.deals(t).Push(t.Context(), g.call)
		require.Equal(t, vendors.Applied, r.Class, "refundTotal comes as a number and as a text")
		require.Equal(t, want, r.Receipt.Ref, lines)
	}
}

func TestOperationsOfDeals(t *testing.T) {
	d := newShop(t).deals(t)
	fact := func(name string, repeat vendors.Repeat, findable bool) vendors.Operation {
		return vendors.Operation{Name: name, Repeat: repeat, Findable: findable, FindWindow: 27 * 24 * time.Hour, EchoProves: true, Blocks: true}
	}
	want := map[event.Type]vendors.Operation{
		event.OrderCreated:       fact("POST /v1/deals", vendors.RepeatAlways, true),
		event.OrderUpdated:       fact("PUT /v1/deals/{orderNo}", vendors.RepeatAlways, false),
		event.OrderCancelled:     fact("POST /v1/dealService/cancel", vendors.RepeatAlways, true),
		event.OrderRefunded:      fact("POST /v1/dealService/refund", vendors.RepeatNever, false),
		event.OrderRefundDeleted: fact("POST /v1/dealService/deleteRefund", vendors.RepeatNever, false),
		event.OrderDeleted:       fact("DELETE /v1/deals/{orderNo}", vendors.RepeatAlways, true),
	}
	for _, typ := range event.Types() {
		op, ok := d.Operation(typ)
		_, known := want[typ]
		require.Equal(t, known, ok, typ)
		require.Equal(t, want[typ], op)
	}
	f := d.Find(t.Context(), goldenDeals(t)[event.OrderRefunded].call)
	require.Equal(t, vendors.Unavailable, f.Found)
}

func dealsSuite(t *testing.T) vendorstest.Suite {
	s := vendorstest.Suite{
		New: func(tb testing.TB, s vendorstest.Setup) vendors.Vendor {
			v, err := dmhub.CustomerDeals.New(vendors.Setup{
				Name: "deals", BaseURL: s.BaseURL, AppID: "app", Secret: s.Secret, Timeout: s.Timeout, MaxInFlight: 4, Tokens: s.Tokens,
			})
			require.NoError(tb, err)
			return v
		},
		IsToken:        func(r *http.Request) bool { return r.URL.Path == "/security/accesstoken" },
		Token:          func(v string) string { return fmt.Sprintf(`{"error_code":0,"access_token":%q,"expires_in":7200}`, v) },
		BadCredentials: `{"error_code":"40004","error_description":"the params is illegal"}`,
		TokenExpired:   `{"error_code":40001,"error_description":"invalid credential"}`,
		Error: func(code any, message string) string {
			return string(quoted(t, map[string]any{"error": map[string]any{"code": code, "message": message}}))
		},
		Refusal:     409000,
		ServerError: 500000,
	}
	for typ, g := range goldenDeals(t) {
		data, err := event.Splice(g.call.Event.Data, []event.Set{
			{Key: "contactTel", Value: quoted(t, vendorstest.ContactTel)},
			{Key: "identities", Value: quoted(t, []any{map[string]string{"type": "mobile", "value": vendorstest.Mobile}})},
		}, nil)
		require.NoError(t, err)
		s.Samples = append(s.Samples, vendorstest.Sample{
			Name: string(typ), Call: vendors.Call{Event: dealEvent(t, typ, string(data))}, Good: g.reply,
			NoContent: typ == event.OrderDeleted,
		})
	}
	return s
}

func TestDealsConformance(t *testing.T) { vendorstest.Run(t, dealsSuite(t)) }

func TestEveryEndpointOfDealsIsReached(t *testing.T) {
	dealsSuite(t).Reaches(t, dmhub.CustomerDeals, map[string][]string{"deal": {"o1"}, "deal-details": {"o1"}})
}
