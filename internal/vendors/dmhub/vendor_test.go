package dmhub_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/dmhub"
	"syncworker/internal/vendors/vendorstest"
)

// golden is a reply of the vendor's documents, made JSON where the sample isn't.
func golden(tb testing.TB, name string) string {
	if tb != nil {
		tb.Helper()
	}
	b, err := os.ReadFile("testdata/" + name + ".json")
	if err != nil {
		panic(err)
	}
	return strings.TrimSpace(string(b))
}

func data(format string, args ...any) json.RawMessage {
	return json.RawMessage(fmt.Sprintf(format, args...))
}

func amount(s string) decimal.NullDecimal {
	return decimal.NewNullDecimal(decimal.RequireFromString(s))
}

var published = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

// call is what a till publishes, by type, as the vendor's samples have it.
func call(typ event.Type) vendors.Call {
	e := &event.Event{
		ID: "e1", Source: "pos/1", Type: typ, Time: published, Tenant: "default",
		OrderNo: "123456",
		Member:  event.Member{Identities: []event.MemberIdentity{{Type: "mobile", Value: vendorstest.Mobile}}},
	}
	c := vendors.Call{Event: e, Member: "399"}
	identities := fmt.Sprintf(`"identities":[{"type":"mobile","value":%q}],"contactTel":%q`, vendorstest.Mobile, vendorstest.ContactTel)
	switch typ {
	case event.OrderCreated:
		e.OrderNo, e.Amount = "deal_201912110081", amount("30.00")
		e.Data = data(`{"orderNo":"deal_201912110081","dateOrder":"2019-12-11T15:52:30+08:00","amountPaid":30.00,"store":"store","c_id":123456789012345678,%s}`, identities)
	case event.OrderUpdated:
		e.UUID = "u-1"
		e.Data = data(`{"orderNo":"123456","uuid":"u-1","dealLines":[{"lineId":"11111"}],%s}`, identities)
	case event.OrderRefunded:
		e.UUID, e.Amount = "r-1", amount("1111")
		e.Data = data(`{"orderNo":"123456","uuid":"r-1","refundTotal":1111.10,"dateRefund":"2026-11-21T16:00:00.5+08:00","refundLines":[{"lineId":"11111"}],%s}`, identities)
	case event.OrderRefundDeleted:
		e.UUID = "r-1"
		e.Data = data(`{"orderNo":"123456","uuid":"r-1",%s}`, identities)
	case event.PointIncremented, event.PointDecremented:
		e.OrderNo, e.UUID, e.Points, e.Pattern, e.Remark = "", "p-1", 8, "0", "赠送200"
		c.Key = "p-1"
		e.Data = data(`{"point":8,"pattern":0,"uuid":"p-1","remark":"赠送200","c_x":1.10,%s}`, identities)
	case event.OrderCancelled, event.OrderDeleted:
		e.Data = data(`{"orderNo":"123456",%s}`, identities)
	default:
		return loyaltyCall(typ)
	}
	return c
}

func goodReply(tb testing.TB, typ event.Type) string {
	return golden(tb, map[event.Type]string{
		event.OrderCreated: "deal", event.OrderUpdated: "update", event.OrderCancelled: "cancel",
		event.OrderDeleted: "delete", event.OrderRefunded: "refund", event.OrderRefundDeleted: "delete_refund",
		event.PointIncremented: "point", event.PointDecremented: "point",
		event.MemberRegistered: "member_registered", event.MemberUpdated: "member_updated",
		event.MemberIdentityBound: "identity_bound", event.MemberIdentityRemoved: "identity_removed",
		event.MemberMobileChanged: "mobile_changed", event.DeviceRegistered: "device",
		event.CouponDrawn: "coupon_drawn", event.CouponRedeemed: "coupon_redeemed",
	}[typ])
}

func suite(t *testing.T) vendorstest.Suite {
	s := vendorstest.Suite{
		New: func(tb testing.TB, s vendorstest.Setup) vendors.Vendor {
			a, err := dmhub.New(dmhub.Config{
				Name: "dmhub", BaseURL: s.BaseURL, AppID: "app", Secret: s.Secret, Timeout: s.Timeout, MaxInFlight: 4,
			}, s.Tokens)
			require.NoError(tb, err)
			return a
		},
		IsToken:        func(r *http.Request) bool { return r.URL.Path == "/security/accesstoken" },
		Token:          func(v string) string { return fmt.Sprintf(`{"error_code":0,"access_token":%q,"expires_in":7200}`, v) },
		BadCredentials: `{"error_code":"40004","error_description":"the params is illegal"}`,
		TokenExpired:   `{"error_code":40001,"error_description":"invalid credential"}`,
		Error: func(code any, message string) string {
			b, _ := json.Marshal(map[string]any{"error": map[string]any{"code": code, "message": message}})
			return string(b)
		},
		Refusal:     409000,
		ServerError: 500000,
	}
	for _, typ := range dmhub.Loyalty.Takes {
		c := call(typ)
		if !typ.Order() && !typ.Point() { // these name nobody otherwise
			person := fmt.Sprintf(`,"contactTel":%q}`, vendorstest.ContactTel)
			if !strings.Contains(string(c.Event.Data), vendorstest.Mobile) {
				person = fmt.Sprintf(`,"mobile":%q%s`, vendorstest.Mobile, person)
			}
			c.Event.Data = append(c.Event.Data[:len(c.Event.Data)-1:len(c.Event.Data)-1], person...)
		}
		s.Samples = append(s.Samples, vendorstest.Sample{Name: string(typ), Call: c, Good: goodReply(t, typ)})
	}
	return s
}

func TestConformance(t *testing.T) { vendorstest.Run(t, suite(t)) }

func TestEveryEndpointIsReached(t *testing.T) {
	suite(t).Reaches(t, dmhub.Loyalty, map[string][]string{
		"member": {"1"}, "member-by-identity": {"mobile", "139"}, "members-by-identities": {"mobile", "139"},
		"identity-by-md5": {"common", "66f2a37ccdb1933d821ffb51d4922d1c"}, "point-details": {"1"}, "experience": {"1"},
		"coupon": {"c1"}, "coupons-by-channel": {"online", "c1"}, "member-coupons": {"1"}, "member-coupon": {"34636772868722688"},
	})
}

// shop is a DM Hub that gives set answers and keeps what it was asked.
type shop struct {
	*httptest.Server
	mu    sync.Mutex
	seen  []string // method, path and query without the token
	body  string   // of the last call
	reply func(r *http.Request) (int, string)
}

func newShop(t *testing.T) *shop {
	s := &shop{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if r.URL.Path == "/security/accesstoken" {
			_, _ = io.WriteString(w, golden(t, "token"))
			return
		}
		q := r.URL.Query()
		if q.Get("access_token") != "the-token" {
			t.Errorf("%s %s came without the token", r.Method, r.URL.Path)
		}
		q.Del("access_token")
		seen := r.Method + " " + r.URL.Path
		if len(q) > 0 {
			seen += "?" + q.Encode()
		}
		body, _ := io.ReadAll(r.Body)
		s.seen, s.body = append(s.seen, seen), string(body)
		status, reply := s.reply(r)
		w.WriteHeader(status)
		_, _ = io.WriteString(w, reply)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *shop) answers(status int, body string) {
	s.reply = func(*http.Request) (int, string) { return status, body }
}

func (s *shop) config() dmhub.Config {
	return dmhub.Config{Name: "dmhub", BaseURL: s.URL, AppID: "app", Secret: "s3cret", Timeout: 30 * time.Second, UUIDTimeout: 72 * time.Hour}
}

func (s *shop) account(t *testing.T, change func(*dmhub.Config)) *dmhub.Account {
	c := s.config()
	if change != nil {
		change(&c)
	}
	a, err := dmhub.New(c, &vendorstest.Tokens{})
	require.NoError(t, err)
	t.Cleanup(a.Close)
	return a
}

func TestPushSendsWhatTheDocumentAsksFor(t *testing.T) {
	contact := `"contactTel":` + strconv.Quote(vendorstest.ContactTel)
	for typ, want := range map[event.Type][2]string{
		event.OrderCreated: {
			"POST /loyalty/v1/deal",
			`{"orderNo":"deal_201912110081","dateOrder":"2019-12-11T07:52:30Z","amountPaid":30.00,"store":"store","c_id":123456789012345678,` +
				`"identities":[{"type":"mobile","value":"13912345678"}],` + contact + `}`,
		},
		event.OrderUpdated: {
			"POST /loyalty/v1/dealService/update/",
			`{"orderNo":"123456","dealLines":[{"lineId":"11111"}],` + contact + `,"membershipId":399}`,
		},
		event.OrderCancelled: {"POST /loyalty/v1/dealService/cancel", `{"orderNo":"123456",` + contact + `,"membershipId":399}`},
		event.OrderDeleted:   {"POST /loyalty/v1/dealService/delete", `{"orderNo":"123456",` + contact + `,"membershipId":399}`},
		event.OrderRefunded: {
			"POST /loyalty/v1/dealService/refund",
			`{"orderNo":"123456","refundTotal":1111.10,"dateRefund":"2026-11-21T08:00:00.5Z","refundLines":[{"lineId":"11111"}],` + contact + `,"membershipId":399}`,
		},
		event.OrderRefundDeleted: {"POST /loyalty/v1/dealService/deleteRefund", `{"orderNo":"123456",` + contact + `,"membershipId":399}`},
		event.PointIncremented: {
			"POST /loyalty/v1/membership/399/point/incr",
			`{"point":8,"pattern":0,"uuid":"p-1","remark":"[uuid:p-1] 赠送200","c_x":1.10,` + contact + `,"uuid_timeout":259200,"date":"2026-11-21T08:00:00Z"}`,
		},
		event.PointDecremented: {
			"POST /loyalty/v1/membership/399/point/decr",
			`{"point":8,"pattern":0,"uuid":"p-1","remark":"[uuid:p-1] 赠送200","c_x":1.10,` + contact + `,"uuid_timeout":259200,"date":"2026-11-21T08:00:00Z"}`,
		},
	} {
		t.Run(string(typ), func(t *testing.T) {
			s := newShop(t)
			s.answers(200, goodReply(t, typ))
			r := s.account(t, nil).Push(t.Context(), call(typ))
			require.Equal(t, vendors.Applied, r.Class, r.Message)
			require.Equal(t, []string{want[0]}, s.seen)
			require.Equal(t, want[1], s.body)
			require.Equal(t, want[1], string(r.Request))
			require.Equal(t, want[0], r.Method+" "+r.Path)
			require.NotZero(t, r.StartedAt)
			require.Positive(t, r.Duration)
		})
	}
}

func TestPushTakesTheReceiptFromTheReply(t *testing.T) {
	s := newShop(t)
	a := s.account(t, nil)
	s.answers(200, golden(t, "deal"))
	require.Equal(t, vendors.Receipt{Ref: "8281", Member: "16508"}, a.Push(t.Context(), call(event.OrderCreated)).Receipt)
	s.answers(200, golden(t, "cancel"))
	require.Equal(t, vendors.Receipt{Ref: "1", Member: "1"}, a.Push(t.Context(), call(event.OrderCancelled)).Receipt)
	s.answers(200, golden(t, "point"))
	eight := int64(8)
	require.Equal(t, vendors.Receipt{Points: &eight}, a.Push(t.Context(), call(event.PointDecremented)).Receipt)
	toZero := call(event.PointDecremented)
	toZero.Event.DecrToZero = true
	require.Nil(t, a.Push(t.Context(), toZero).Receipt.Points, "the echo doesn't say how much was there")
}

func TestPushClassifiesFromTheBody(t *testing.T) {
	refusing := func(c *dmhub.Config) {
		c.Semantics.ExistingOrder, c.Semantics.ExistingOrderReply = dmhub.Refused, "409000 order Exists"
		c.Semantics.DuplicateUUID, c.Semantics.DuplicateUUIDReply = dmhub.Refused, "409777"
	}
	for _, tt := range []struct {
		name   string
		typ    event.Type
		config func(*dmhub.Config)
		status int
		body   string
		want   vendors.Result
	}{
		{
			"points not enough may be early", event.PointDecremented, nil, 200, `{"error":{"code":"409180","message":"Points not enough!","point":2}}`,
			vendors.Result{Class: vendors.Refused, Early: true, Code: "409180", Message: "Points not enough! (balance 2)"},
		},
		{
			"zero points may be early", event.PointDecremented, nil, 400, `{"error":{"code":409181,"message":"Zero points!","point":0}}`,
			vendors.Result{Class: vendors.Refused, Early: true, Code: "409181", Message: "Zero points! (balance 0)"},
		},
		{
			"member not found is for a person", event.OrderRefunded, nil, 200, `{"error":{"code":"210","message":"no member"}}`,
			vendors.Result{Class: vendors.Refused, Hold: "member_not_found", Code: "210", Message: "no member"},
		},
		{
			"field missing", event.OrderCreated, nil, 200, `{"error":{"code":"400005","message":"Missing field store!"}}`,
			vendors.Result{Class: vendors.Refused, Code: "400005", Message: "Missing field store!"},
		},
		{
			"the probed reply of an existing order", event.OrderCreated, refusing, 200, `{"error":{"code":409000,"message":"This ORDER already exists"}}`,
			vendors.Result{Class: vendors.AlreadyApplied, Code: "409000", Message: "This ORDER already exists"},
		},
		{
			"another reply with the same code", event.OrderCreated, refusing, 200, `{"error":{"code":409000,"message":"order closed"}}`,
			vendors.Result{Class: vendors.Refused, Code: "409000", Message: "order closed"},
		},
		{
			"the probed reply is a create's only", event.OrderCancelled, refusing, 200, `{"error":{"code":409000,"message":"order exists"}}`,
			vendors.Result{Class: vendors.Refused, Code: "409000", Message: "order exists"},
		},
		{
			"without the semantic it's a refusal", event.OrderCreated, nil, 200, `{"error":{"code":409000,"message":"order exists"}}`,
			vendors.Result{Class: vendors.Refused, Code: "409000", Message: "order exists"},
		},
		{
			"the probed reply of a duplicate uuid", event.PointIncremented, refusing, 500, `{"error":{"code":"409777","message":""}}`,
			vendors.Result{Class: vendors.AlreadyApplied, Code: "409777"},
		},
		{
			"an unknown code", event.PointIncremented, nil, 200, `{"error":{"code":"409777","message":"what?"}}`,
			vendors.Result{Class: vendors.Ambiguous, Code: "409777", Message: "what?"},
		},
		{
			"a gateway that has lost the API", event.OrderRefunded, nil, 504, `{"error_code":50004,"error_description":"upstream timeout"}`,
			vendors.Result{Class: vendors.Ambiguous, Code: "50004", Message: "upstream timeout"},
		},
		{
			"permission is not enough", event.OrderRefunded, nil, 500, `{"error_code":40201,"error_description":"permission is not enough"}`,
			vendors.Result{Class: vendors.Denied, Code: "40201", Message: "permission is not enough"},
		},
		{
			"an echo with other points", event.PointIncremented, nil, 200, `{"point":9,"pattern":0}`,
			vendors.Result{Class: vendors.Ambiguous, Message: "the reply doesn't echo the call: point is 9 and not 8"},
		},
		{
			"an echo with another pattern", event.PointIncremented, nil, 200, `{"point":8,"pattern":2}`,
			vendors.Result{Class: vendors.Ambiguous, Message: "the reply doesn't echo the call: pattern is 2 and not 0"},
		},
		{
			"an echo of another order", event.OrderDeleted, nil, 200, `{"orderNo":"1234567"}`,
			vendors.Result{Class: vendors.Ambiguous, Message: `the reply doesn't echo the call: orderNo is "1234567"`},
		},
		{
			"a cancel that didn't", event.OrderCancelled, nil, 200, `{"orderNo":"123456","state":"已付款"}`,
			vendors.Result{Class: vendors.Ambiguous, Message: `the reply doesn't echo the call: state is "已付款" and not "已取消"`},
		},
		{
			"a create with another amount", event.OrderCreated, nil, 200, `{"orderNo":"deal_201912110081","amountPaid":"30.01"}`,
			vendors.Result{Class: vendors.Ambiguous, Message: "the reply doesn't echo the call: amountPaid is 30.01 and not 30"},
		},
		{
			"case matters in names", event.OrderDeleted, nil, 200, `{"OrderNo":"123456"}`,
			vendors.Result{Class: vendors.Ambiguous, Message: `the reply doesn't echo the call: orderNo is ""`},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.answers(tt.status, tt.body)
			r := s.account(t, tt.config).Push(t.Context(), call(tt.typ))
			got := vendors.Result{Class: r.Class, Early: r.Early, Hold: r.Hold, Code: r.Code, Message: r.Message}
			require.Equal(t, tt.want, got)
			require.Equal(t, tt.body, string(r.Reply))
		})
	}
}

func TestPushAcceptsTheOlderEcho(t *testing.T) {
	s := newShop(t)
	s.answers(201, `{"point":"8"}`)
	require.Equal(t, vendors.Applied, s.account(t, nil).Push(t.Context(), call(event.PointIncremented)).Class)
}

func TestPushSendsNothingWithoutAMember(t *testing.T) {
	s := newShop(t)
	a := s.account(t, nil)
	for _, member := range []string{"", "../1", "12a", strings.Repeat("1", 21)} {
		c := call(event.PointIncremented)
		c.Member = member
		r := a.Push(t.Context(), c)
		require.Equal(t, vendors.NotSent, r.Class)
		require.Equal(t, "member_not_found", r.Hold)
	}
	require.Empty(t, s.seen)
}

func TestPushFillsInTheMemberOfACreateThatNamesNone(t *testing.T) {
	s := newShop(t)
	s.answers(200, golden(t, "deal"))
	c := call(event.OrderCreated)
	c.Event.Data = data(`{"orderNo":"deal_201912110081"}`)
	s.account(t, nil).Push(t.Context(), c)
	require.Equal(t, `{"orderNo":"deal_201912110081","membershipId":399}`, s.body)
}

func TestPushWritesAMemberThatCameAsAStringAsANumber(t *testing.T) {
	for typ, want := range map[event.Type]string{
		event.OrderCreated:  `{"orderNo":"o","membershipId":902384756102938475,"c_x":1.10}`,
		event.OrderRefunded: `{"orderNo":"o","membershipId":902384756102938475,"c_x":1.10}`,
	} {
		s := newShop(t)
		s.answers(200, golden(t, "deal"))
		c := call(typ)
		c.Event.Data = data(`{"orderNo":"o","membershipId":"902384756102938475","c_x":1.10}`)
		s.account(t, nil).Push(t.Context(), c)
		require.Equal(t, want, s.body)
	}
}

func TestPointTrace(t *testing.T) {
	s := newShop(t)
	s.answers(200, golden(t, "point"))
	a := s.account(t, func(c *dmhub.Config) { c.Semantics.PointTrace = dmhub.ExternalID })
	c := call(event.PointIncremented)
	c.Key = "minted"
	a.Push(t.Context(), c)
	require.Contains(t, s.body, `"uuid":"minted"`)
	require.Contains(t, s.body, `"remark":"赠送200"`)
}

func TestUnavailableIsUnclearHoweverPolite(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/security/accesstoken" {
			_, _ = io.WriteString(w, golden(t, "token"))
			return
		}
		w.Header().Set("Retry-After", "3")
		w.WriteHeader(http.StatusServiceUnavailable)
	}))
	t.Cleanup(s.Close)
	a := (&shop{Server: s}).account(t, nil)
	for _, typ := range dmhub.Loyalty.Takes {
		r := a.Push(t.Context(), call(typ))
		require.Equal(t, vendors.Ambiguous, r.Class, typ)
		require.Equal(t, 3*time.Second, r.RetryAfter)
	}
}
