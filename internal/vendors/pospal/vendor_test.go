package pospal_test

import (
	"crypto/md5"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/pospal"
	"syncworker/internal/vendors/vendorstest"
)

const (
	appID  = "5A8FBDC6B4D2BF7C"
	appKey = "429394739838293834"

	addPath = "/pospal-api/api/auth/openapi/promotion/addCouponcode/"
	usePath = "/pospal-api/api/auth/openapi/promotioncouponcode/use/"
	reads   = "/pospal-api2/openapi/v1/promotionOpenApi/"
)

// golden is a document of testdata; README.md there says where they come from.
func golden(tb testing.TB, name string) string {
	tb.Helper()
	b, err := os.ReadFile("testdata/" + name + ".json")
	require.NoError(tb, err)
	return strings.TrimSpace(string(b))
}

var (
	published = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	today     = published.Add(time.Minute)
)

// call is what a till publishes.
func call(tb testing.TB, typ event.Type, data string) vendors.Call {
	tb.Helper()
	payload := fmt.Sprintf(`{"specversion":"1.0","id":"e1","source":"pos/1","type":%q,"time":%q,"data":%s}`,
		typ, published.Format(time.RFC3339), data)
	e, err := event.Decode(event.Message{Subject: event.Subject(typ), Data: []byte(payload)}, event.Limits{}, today)
	require.NoError(tb, err)
	return vendors.Call{Event: &e, FirstSentAt: today}
}

func added(tb testing.TB) vendors.Call {
	return call(tb, event.CouponCodeAdded, golden(tb, "event_added"))
}
func used(tb testing.TB) vendors.Call {
	return call(tb, event.CouponCodeUsed, golden(tb, "event_used"))
}

// shop is a Pospal that gives set answers and keeps what it was asked.
type shop struct {
	*httptest.Server
	mu     sync.Mutex
	seen   []string // path and body
	header http.Header
	body   string // of the last call
	reply  func(path, body string) (int, string)
}

func newShop(t *testing.T) *shop {
	s := &shop{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		body, _ := io.ReadAll(r.Body)
		s.seen = append(s.seen, r.Method+" "+r.URL.Path+" "+string(body))
		s.header, s.body = r.Header, string(body)
		status, reply := s.reply(r.URL.Path, string(body))
		w.WriteHeader(status)
		_, _ = io.WriteString(w, reply)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *shop) answers(status int, body string) {
	s.reply = func(string, string) (int, string) { return status, body }
}

func (s *shop) account(t *testing.T, change func(*pospal.Config)) *pospal.Account {
	c := pospal.Config{
		Name: "pospal", BaseURL: s.URL, AppID: appID, Secret: appKey, Timeout: 30 * time.Second, Now: func() time.Time { return today },
	}
	if change != nil {
		change(&c)
	}
	a, err := pospal.New(c)
	require.NoError(t, err)
	t.Cleanup(a.Close)
	return a
}

func envelope(code any, message string) string {
	b, _ := json.Marshal(map[string]any{"status": "error", "messages": []string{message}, "errorCode": code, "data": nil})
	return string(b)
}

func suite(t *testing.T) vendorstest.Suite {
	return vendorstest.Suite{
		New: func(tb testing.TB, s vendorstest.Setup) vendors.Vendor {
			a, err := pospal.New(pospal.Config{
				Name: "pospal", BaseURL: s.BaseURL, AppID: appID, Secret: s.Secret, Timeout: s.Timeout, MaxInFlight: 4, Now: time.Now,
			})
			require.NoError(tb, err)
			return a
		},
		TokenExpired: envelope(1032, "签名不匹配"),
		Error:        envelope,
		Refusal:      3001,
		Samples: []vendorstest.Sample{
			{Name: "code_added", Call: added(t), Good: golden(t, "added")},
			{Name: "code_used", Call: used(t), Good: golden(t, "used")},
		},
	}
}

func TestConformance(t *testing.T) { vendorstest.Run(t, suite(t)) }

func TestPushSendsWhatTheDocumentAsksFor(t *testing.T) {
	for _, tt := range []struct {
		call         vendors.Call
		path, sent   string
		good, folder string
	}{
		{added(t), addPath, "sent_added", "added", ""},
		{used(t), usePath, "sent_used", "used", ""},
		{added(t), reads + "addCouponcode", "sent_added", "added", strings.TrimSuffix(reads, "/")},
		{used(t), reads + "promotioncouponcode/use", "sent_used", "used", strings.TrimSuffix(reads, "/")},
		{added(t), reads + "promotion/addCouponcode", "sent_added", "added", reads + "promotion"},
		{used(t), reads + "promotioncouponcode/use", "sent_used", "used", reads + "promotion"},
	} {
		s := newShop(t)
		s.answers(200, golden(t, tt.good))
		a := s.account(t, func(c *pospal.Config) { c.CouponPath = tt.folder })
		r := a.Push(t.Context(), tt.call)
		require.Equal(t, vendors.Applied, r.Class, r.Message)
		require.Equal(t, []string{"POST " + tt.path + " " + golden(t, tt.sent)}, s.seen)
		require.Equal(t, golden(t, tt.sent), string(r.Request))
		require.Equal(t, tt.path, r.Path)
		require.Equal(t, "PS20261121001", r.Receipt.Ref)
		op, ok := a.Operation(tt.call.Event.Type)
		require.True(t, ok)
		require.Equal(t, "POST "+tt.path, op.Name)
	}
}

func TestRequestsAreSignedOverTheBytesThatAreSent(t *testing.T) {
	s := newShop(t)
	s.answers(200, golden(t, "used"))
	s.account(t, nil).Push(t.Context(), added(t))
	require.Equal(t, "openApi", s.header.Get("User-Agent"))
	require.Equal(t, "application/json; charset=utf-8", s.header.Get("Content-Type"))
	require.Equal(t, fmt.Sprint(today.UnixMilli()), s.header.Get("time-stamp"))
	require.Equal(t, fmt.Sprintf("%X", md5.Sum([]byte(appKey+s.body))), s.header.Get("data-signature"))
	require.Empty(t, s.header.Get("Accept-Encoding"), "nothing here unpacks a reply")
}

func TestASignatureThatIsQuotedIsNotKept(t *testing.T) {
	s := newShop(t)
	signature := ""
	s.reply = func(string, string) (int, string) {
		signature = s.header.Get("data-signature")
		return 200, envelope(1032, "data-signature: "+signature)
	}
	r := s.account(t, nil).Push(t.Context(), added(t))
	require.Equal(t, "data-signature: …", r.Message)
	require.NotContains(t, string(r.Reply), signature)
}

func TestWhatTheEventLeavesOut(t *testing.T) {
	for _, tt := range []struct {
		typ        event.Type
		data, want string
	}{
		{
			event.CouponCodeAdded, `{"uuid":"u-1","promotionCouponUid":1199186483387900201,"customerUid":null}`,
			`{"promotionCouponUid":1199186483387900201,"appId":"` + appID + `","code":"` + event.DerivedCode("default", "u-1") + `"}`,
		},
		{
			event.CouponCodeUsed, `{"code":"C1"}`,
			`{"code":"C1","appId":"` + appID + `","useDateTime":"2026-11-21 16:00:00"}`,
		},
		{
			event.CouponCodeUsed, `{"code":"C1","AppID":"another","appId":"another","useDateTime":"2026-11-20T20:00:01-05:00","n":1.10}`,
			`{"code":"C1","appId":"` + appID + `","useDateTime":"2026-11-21 09:00:01","n":1.10}`,
		},
	} {
		s := newShop(t)
		s.answers(200, golden(t, "used"))
		r := s.account(t, nil).Push(t.Context(), call(t, tt.typ, tt.data))
		require.Equal(t, vendors.Applied, r.Class, r.Message)
		require.Equal(t, tt.want, s.body)
	}
}

func TestPushEndsInTheClassOfTheReply(t *testing.T) {
	derived := call(t, event.CouponCodeAdded, `{"uuid":"u-1","promotionCouponUid":1,"customerUid":2}`)
	success := func(data string) string {
		return `{"status":"success","messages":null,"errorCode":0,"data":` + data + `}`
	}
	for _, tt := range []struct {
		name string
		call vendors.Call
		body string
		want vendors.Result
	}{
		{"success in capitals", added(t), `{"Status":"SUCCESS","ErrorCode":"0","Messages":"ok"}`, vendors.Result{Class: vendors.Applied}},
		{"no signature", added(t), envelope(1031, ""), vendors.Result{Class: vendors.Denied, Code: "1031", Message: "no signature: turned away before it was looked at"}},
		{"signature mismatch", used(t), envelope("1032", "x"), vendors.Result{Class: vendors.Denied, Code: "1032", Message: "x"}},
		{"verify error", used(t), envelope(1033, "x"), vendors.Result{Class: vendors.Denied, Code: "1033", Message: "x"}},
		{"unknown appId", used(t), envelope(1034, "x"), vendors.Result{Class: vendors.Denied, Code: "1034", Message: "x"}},
		{"not found", added(t), envelope(2015, "x"), vendors.Result{Class: vendors.Refused, Code: "2015", Message: "x"}},
		{"a code that isn't there yet", used(t), envelope(2015, "x"), vendors.Result{Class: vendors.Refused, Early: true, Code: "2015", Message: "x"}},
		{"no permission", added(t), envelope(2016, "x"), vendors.Result{Class: vendors.Refused, Code: "2016", Message: "x"}},
		{"a rule that isn't valid", added(t), envelope(3001, "x"), vendors.Result{Class: vendors.Refused, Code: "3001", Message: "x"}},
		{"a code that isn't valid", used(t), envelope(3001, "x"), vendors.Result{Class: vendors.Refused, Early: true, Code: "3001", Message: "x"}},
		{"disabled", used(t), envelope("3002", "x"), vendors.Result{Class: vendors.Refused, Code: "3002", Message: "x"}},
		{"too few codes", added(t), envelope(3003, "x"), vendors.Result{Class: vendors.Refused, Code: "3003", Message: "x"}},
		{"outside the time", added(t), envelope(9001, "x"), vendors.Result{Class: vendors.Refused, Code: "9001", Message: "x"}},
		{"bad parameters", added(t), envelope(9003, "x"), vendors.Result{Class: vendors.Refused, Code: "9003", Message: "x"}},
		{"messages as a text", added(t), `{"status":"ERROR","messages":"x","errorCode":"3001"}`, vendors.Result{Class: vendors.Refused, Code: "3001", Message: "x"}},
		{"several messages", added(t), `{"status":"error","messages":["x",null,"y"],"errorCode":3001}`, vendors.Result{Class: vendors.Refused, Code: "3001", Message: "x; ; y"}},
		{
			"a code that is there", added(t), envelope(3004, "x"),
			vendors.Result{Class: vendors.AlreadyApplied, Code: "3004", Message: "x"},
		},
		{
			"a code that only this event can have made", derived, envelope("3004", "x"),
			vendors.Result{Class: vendors.AlreadyApplied, Proven: true, Code: "3004", Message: "x"},
		},
		{"3004 on a use", used(t), envelope(3004, "x"), vendors.Result{Class: vendors.Ambiguous, Code: "3004", Message: "x"}},
		{"a version", added(t), envelope(9002, "x"), vendors.Result{Class: vendors.Ambiguous, Code: "9002", Message: "x"}},
		{"a quota's code, which nobody knows", added(t), envelope(1042, "x"), vendors.Result{Class: vendors.Ambiguous, Code: "1042", Message: "x"}},
		{"an error without a code", used(t), envelope(nil, "x"), vendors.Result{Class: vendors.Ambiguous, Message: "x"}},
		{"a code without an error", used(t), `{"errorCode":3001}`, vendors.Result{Class: vendors.Ambiguous, Code: "3001", Message: "HTTP 200 with a reply of an unknown shape"}},
		{
			"success with an error code", added(t), `{"status":"success","errorCode":3001,"messages":["x"]}`,
			vendors.Result{Class: vendors.Ambiguous, Code: "3001", Message: "a status of success with an error code: x"},
		},
		{
			"two statuses", added(t), `{"status":"error","Status":"success","errorCode":null}`,
			vendors.Result{Class: vendors.Ambiguous, Message: "HTTP 200 with a reply that isn't one JSON object"},
		},
		{"another code", added(t), success(`{"code":"OTHER"}`), vendors.Result{Class: vendors.Ambiguous, Message: `the reply doesn't fit the call: code is "OTHER" and not "PS20261121001"`}},
		{"another rule", derived, success(`{"promotionCouponUid":"3"}`), vendors.Result{Class: vendors.Ambiguous, Message: `the reply doesn't fit the call: promotionCouponUid is "3" and not "1"`}},
		{"another customer", derived, success(`{"customrUid":3}`), vendors.Result{Class: vendors.Ambiguous, Message: `the reply doesn't fit the call: customerUid is "3" and not "2"`}},
		{"an echo", derived, success(`{"customerUid":"2","promotionCouponUid":1}`), vendors.Result{Class: vendors.Applied}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.answers(200, tt.body)
			r := s.account(t, nil).Push(t.Context(), tt.call)
			got := vendors.Result{Class: r.Class, Early: r.Early, Proven: r.Proven, Code: r.Code, Message: r.Message}
			require.Equal(t, tt.want, got)
			require.Equal(t, tt.body, string(r.Reply))
			require.Equal(t, tt.want.Class == vendors.Applied || tt.want.Proven, r.Receipt.Ref == tt.call.Event.Key)
		})
	}
}

func TestPushSendsNothingItHasNoCallFor(t *testing.T) {
	s := newShop(t)
	a := s.account(t, nil)
	r := a.Push(t.Context(), vendors.Call{Event: &event.Event{Type: event.CouponDrawn, Data: json.RawMessage(`{}`)}})
	require.Equal(t, vendors.NotSent, r.Class)
	require.Equal(t, "unsupported", r.Hold)
	nameless := used(t)
	nameless.Event.Key = ""
	r = a.Push(t.Context(), nameless)
	require.Equal(t, vendors.NotSent, r.Class)
	require.Equal(t, "invalid_event", r.Hold)
	require.Empty(t, s.seen)
}

func TestAWindowIsLongerThanAnybodyRepeats(t *testing.T) {
	a := newShop(t).account(t, nil)
	op, _ := a.Operation(event.CouponCodeAdded)
	require.Equal(t, vendors.RepeatWindow, op.Repeat)
	require.Greater(t, op.Window, 365*24*time.Hour)
	op, _ = a.Operation(event.CouponCodeUsed)
	require.Equal(t, vendors.RepeatNever, op.Repeat)
	require.Zero(t, op.Window)
	for _, typ := range pospal.Kind.Takes {
		op, ok := a.Operation(typ)
		require.True(t, ok && op.Blocks && op.Findable && op.EchoProves && !op.DuplicateProves, typ)
	}
}

func TestConfigSaysAllThatIsWrong(t *testing.T) {
	_, err := pospal.New(pospal.Config{Name: "shop", CouponPath: "addCouponcode/"})
	require.ErrorContains(t, err, `account "shop": app_id: empty`)
	for _, want := range []string{"secret: empty", "base_url: empty; give the merchant's own", "now: nil", `coupon_path: "addCouponcode/"`} {
		require.ErrorContains(t, err, want)
	}
	v, err := pospal.Kind.New(vendors.Setup{Name: "shop", BaseURL: "https://area24-win.pospal.cn:443", AppID: "a", Secret: "s", Timeout: time.Second})
	require.NoError(t, err)
	op, _ := v.Operation(event.CouponCodeAdded)
	require.Equal(t, "POST "+addPath, op.Name)
	require.Empty(t, pospal.Kind.BaseURL, "each merchant has its own")
}

func TestCheckReadsTheRules(t *testing.T) {
	s := newShop(t)
	s.answers(200, `{"status":"success","data":[]}`)
	r := s.account(t, nil).Check(t.Context())
	require.Equal(t, vendors.Applied, r.Class, r.Message)
	require.Equal(t, []string{`POST ` + reads + `queryCouponPromotions {"appId":"` + appID + `"}`}, s.seen)
	s.answers(200, envelope(1034, "x"))
	require.Equal(t, vendors.Denied, s.account(t, nil).Check(t.Context()).Class)
}

// What the lost document says twice or in two ways, as far as it concerns what is
// sent and read.
func TestWhatTheDocumentContradicts(t *testing.T) {
	s := newShop(t)
	a := s.account(t, nil)
	row := func(resource, reply string, keys ...string) string {
		s.answers(200, reply)
		page, r := a.Read(t.Context(), resource, keys, "")
		require.Equal(t, vendors.Applied, r.Class, r.Message)
		require.Len(t, page.Rows, 1)
		return string(page.Rows[0])
	}
	t.Run("promotionCouponAppId is an integer, and a text", func(t *testing.T) {
		for _, value := range []string{`5`, `"5A8F"`} {
			ours := `{"code":"PS20261121001","promotionCouponUid":1199186483387900201,"promotionCouponAppId":` + value + `}`
			require.Equal(t, ours, row("customer-codes", rows(ours), "1"))
			require.Equal(t, vendors.Present, a.Find(t.Context(), added(t)).Found)
		}
	})
	t.Run("codeExpiredDate is json, and a text", func(t *testing.T) {
		for _, value := range []string{`{"time":1}`, `"2026-12-31 23:59:59"`, `null`} {
			s.answers(200, `{"status":"success","data":{"codeExpiredDate":`+value+`}}`)
			require.Equal(t, vendors.Applied, a.Push(t.Context(), added(t)).Class)
		}
	})
	t.Run("parameterType and Value are texts, and a long and a decimal", func(t *testing.T) {
		for _, back := range []string{`{"parameterType":"A","parameterValue":"1"}`, `{"parameterType":9007199254740993,"parameterValue":580988838483990582.50}`} {
			s.reply = book(map[string]string{"": `"result":[{"code":"X"}],"postBackParameter":` + back, back: `"result":[]`})
			require.Equal(t, vendors.Absent, a.Find(t.Context(), added(t)).Found)
			require.Contains(t, s.body, `"postBackParameter":`+back)
		}
	})
	t.Run("queryPromotionPages has no data", func(t *testing.T) {
		pages := golden(t, "promotion_pages")
		plain := row("promotion-pages", pages)
		within := strings.Replace(pages, `"pageSize"`, `"data":{"pageSize"`, 1) + "}"
		require.Equal(t, plain, row("promotion-pages", within))
	})
	t.Run("createdByUserAppId and createUserAppId, and what 90 means, are shown as they are", func(t *testing.T) {
		for _, ours := range []string{`{"createdByUserAppId":"a"}`, `{"createUserAppId":"a"}`, `{"enjoyCustomerDiscount":90}`} {
			require.Equal(t, ours, row("promotion-pages", rows(ours)))
		}
	})
	t.Run("excludeEndTime's format runs into the next sentence", func(t *testing.T) {
		row("used-codes", rows(`{"code":"X"}`), "2026-11-21T08:00:00Z", "2026-11-21T08:00:01Z")
		require.Contains(t, s.body, `"startTime":"2026-11-21 16:00:00","excludeEndTime":"2026-11-21 16:00:01"`)
	})
	t.Run("reads and writes are below different folders", func(t *testing.T) {
		for _, e := range pospal.Kind.Endpoints {
			want := reads
			if e.Event != "" {
				want = "/pospal-api/api/auth/openapi/"
			}
			require.True(t, strings.HasPrefix(e.Path, want), e.Path)
		}
	})
}
