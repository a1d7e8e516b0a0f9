package heyshop_test

import (
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
	"syncworker/internal/vendors/heyshop"
	"syncworker/internal/vendors/vendorstest"
)

// golden is a document of testdata; README.md there says where they come from.
func golden(tb testing.TB, name string) string {
	tb.Helper()
	b, err := os.ReadFile("testdata/" + name + ".json")
	require.NoError(tb, err)
	return strings.TrimSpace(string(b))
}

var published = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

// call is what a publisher sends, and the member that dispatch knows.
func call(tb testing.TB, typ event.Type, data string) vendors.Call {
	tb.Helper()
	payload := fmt.Sprintf(`{"specversion":"1.0","id":"e1","source":"pos/1","type":%q,"time":%q,"data":%s}`,
		typ, published.Format(time.RFC3339), data)
	e, err := event.Decode(event.Message{Subject: event.Subject(typ), Data: []byte(payload)}, event.Limits{}, published.Add(time.Minute))
	require.NoError(tb, err)
	c := vendors.Call{Event: &e, Member: e.Member.MembershipID, FirstSentAt: time.Now().UTC()}
	if typ.Point() {
		c.Member, c.Key = "100000", e.UUID
	}
	return c
}

const pointData = `{"uuid":"p-1","point":100,"pattern":5,"remark":"thanks","identities":[{"type":"mobile","value":"13912345678","name":"02155667788"}]}`

func points(tb testing.TB, typ event.Type) vendors.Call { return call(tb, typ, pointData) }

// levelData is the document's level as an event: with our uuid, and an id for all
// but a create.
func levelData(tb testing.TB, id string) string {
	return strings.Replace(golden(tb, "level_sent"), "{", `{"uuid":"l-1",`+id, 1)
}

func created(tb testing.TB) vendors.Call { return call(tb, event.LevelCreated, levelData(tb, "")) }
func updated(tb testing.TB) vendors.Call {
	return call(tb, event.LevelUpdated, levelData(tb, `"id":27,`))
}

func deleted(tb testing.TB) vendors.Call {
	return call(tb, event.LevelDeleted, `{"uuid":"l-1","id":"27"}`)
}

func setup(url string) vendors.Setup {
	return vendors.Setup{Name: "shop", BaseURL: url, Secret: "t0ken", Timeout: 20 * time.Second, MaxInFlight: 4}
}

func account(tb testing.TB, s vendors.Setup) *heyshop.Account {
	tb.Helper()
	v, err := heyshop.Kind.New(s)
	require.NoError(tb, err)
	a := v.(*heyshop.Account)
	tb.Cleanup(a.Close)
	return a
}

func suite(t *testing.T) vendorstest.Suite {
	taken := strings.Replace(golden(t, "adjusted"), `"points": 100`, `"points": -100`, 1)
	return vendorstest.Suite{
		New: func(tb testing.TB, s vendorstest.Setup) vendors.Vendor {
			return account(tb, vendors.Setup{Name: "shop", BaseURL: s.BaseURL, Secret: s.Secret, Timeout: s.Timeout, MaxInFlight: 4})
		},
		Samples: []vendorstest.Sample{
			{Name: string(event.PointIncremented), Call: points(t, event.PointIncremented), Good: golden(t, "adjusted")},
			{Name: string(event.PointDecremented), Call: points(t, event.PointDecremented), Good: taken},
			{Name: string(event.LevelCreated), Call: created(t), Good: golden(t, "level_created")},
			{Name: string(event.LevelUpdated), Call: updated(t), Good: golden(t, "level_created")},
			{Name: string(event.LevelDeleted), Call: deleted(t), NoContent: true},
		},
		Replies: []vendorstest.Reply{
			{Name: "detail", Body: `{"detail":"no: ` + vendorstest.Secret + `"}`, Class: refusal},
			{Name: "a field", Body: `{"points":["no: ` + vendorstest.Secret + `"],"non_field_errors":["x"]}`, Class: refusal},
			{Name: "an empty detail", Body: `{"detail":""}`, Class: unclear},
			{Name: "a detail and a code", Body: `{"detail":"no","code":409999}`, Class: unclear},
			{Name: "a field without a list", Body: `{"points":"no"}`, Class: unclear},
			{Name: "a field with an empty list", Body: `{"points":[]}`, Class: unclear},
			{Name: "a field with an empty message", Body: `{"points":[""]}`, Class: unclear},
			{Name: "a list", Body: `["no"]`, Class: unclear},
			{Name: "a row", Body: golden(t, "adjusted"), Class: func(sample string, status int) vendors.Class {
				if sample == string(event.PointIncremented) && (status == 200 || status == 201) {
					return vendors.Applied
				}
				return unclear(sample, status)
			}},
		},
	}
}

func TestConformance(t *testing.T) { vendorstest.Run(t, suite(t)) }

func TestEveryEndpointIsReached(t *testing.T) {
	suite(t).Reaches(t, heyshop.Kind, map[string][]string{"level": {"27"}, "point-entry": {"11742"}})
}

// refusal is what a body in the shape of an error means.
func refusal(sample string, status int) vendors.Class {
	switch {
	case status == http.StatusBadRequest, status == http.StatusNotFound && sample != string(event.LevelDeleted):
		return vendors.Refused
	case status == http.StatusNotFound:
		return vendors.AlreadyApplied
	}
	return unclear(sample, status)
}

func unclear(_ string, status int) vendors.Class {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return vendors.Denied
	case http.StatusTooManyRequests:
		return vendors.Throttled
	}
	return vendors.Ambiguous
}

// shop is a HeyShop that gives set answers and keeps what it was asked.
type shop struct {
	*httptest.Server
	mu    sync.Mutex
	seen  []string // method, path and query
	body  string   // of the last call
	reply func(r *http.Request) (int, string)
}

func newShop(t *testing.T) *shop {
	s := &shop{}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		if got := r.Header.Get("Authorization"); got != "Bearer t0ken" {
			t.Errorf("%s %s came with %q", r.Method, r.URL.Path, got)
		}
		body, _ := io.ReadAll(r.Body)
		s.seen, s.body = append(s.seen, r.Method+" "+r.URL.String()), string(body)
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

func (s *shop) account(t *testing.T) *heyshop.Account { return account(t, setup(s.URL)) }

func TestPushSendsWhatTheDocumentAsksFor(t *testing.T) {
	hundred := int64(100)
	applied := vendors.Receipt{Ref: "92921", Points: &hundred, Member: "100000"}
	for _, tt := range []struct {
		call    vendors.Call
		request string
		sent    string // as JSON
		status  int
		reply   string
		receipt vendors.Receipt
	}{
		{points(t, event.PointIncremented), "POST /api/loyalty/point_history/adjust/", golden(t, "adjust_sent"), 201, golden(t, "adjusted"), applied},
		{
			points(t, event.PointDecremented), "POST /api/loyalty/point_history/adjust/", `{"customer_id":100000,"points":-100}`, 200,
			strings.Replace(golden(t, "adjusted"), `"points": 100`, `"points": -100`, 1), applied,
		},
		{created(t), "POST /api/loyalty/level/", golden(t, "level_sent"), 201, golden(t, "level_created"), vendors.Receipt{Ref: "27"}},
		{updated(t), "PUT /api/loyalty/level/27/", golden(t, "level_sent"), 200, golden(t, "level_created"), vendors.Receipt{Ref: "27"}},
		{deleted(t), "DELETE /api/loyalty/level/27/", "", 204, "", vendors.Receipt{Ref: "27"}},
	} {
		t.Run(string(tt.call.Event.Type), func(t *testing.T) {
			s := newShop(t)
			s.answers(tt.status, tt.reply)
			r := s.account(t).Push(t.Context(), tt.call)
			require.Equal(t, vendors.Applied, r.Class, r.Message)
			require.Equal(t, tt.receipt, r.Receipt)
			require.Equal(t, []string{tt.request}, s.seen)
			require.Equal(t, tt.request, r.Method+" "+r.Path)
			if tt.sent == "" {
				require.Empty(t, s.body)
				return
			}
			require.JSONEq(t, tt.sent, s.body)
		})
	}
}

func TestALevelKeepsItsDecimalsAndWhatWeDoNotKnow(t *testing.T) {
	s := newShop(t)
	s.answers(201, `{"id":"28","title":"特殊会员","condition_points":"100","gain_points":0.1,"c_x":2}`)
	r := s.account(t).Push(t.Context(), call(t, event.LevelCreated,
		`{"title":"特殊会员 ","uuid":"l","condition_points":100,"gain_points":0.10,"c_x":1.10}`))
	require.Equal(t, `{"title":"特殊会员 ","condition_points":100,"gain_points":0.10,"c_x":1.10}`, s.body)
	require.Equal(t, vendors.Applied, r.Class, r.Message)
	require.Equal(t, "28", r.Receipt.Ref, "an id may come as a string")
}

func TestPushClassifies(t *testing.T) {
	for _, tt := range []struct {
		name   string
		call   vendors.Call
		status int
		body   string
		want   vendors.Result
	}{
		{
			"an unknown customer is for a person", points(t, event.PointIncremented), 400, `{"customer_id":["does not exist"]}`,
			vendors.Result{Class: vendors.Refused, Hold: "member_not_found", Code: "customer_id", Message: "customer_id: does not exist"},
		},
		{
			"so is one that isn't found", points(t, event.PointDecremented), 404, `{"detail":"Not found."}`,
			vendors.Result{Class: vendors.Refused, Hold: "member_not_found", Message: "Not found."},
		},
		{
			"points that can't be taken may be early", points(t, event.PointDecremented), 400, `{"points":["too few","x"]}`,
			vendors.Result{Class: vendors.Refused, Early: true, Code: "points", Message: "points: too few x"},
		},
		{
			"nobody is named", points(t, event.PointIncremented), 400, `{"detail":"no customer 13912345678, 02155667788"}`,
			vendors.Result{Class: vendors.Refused, Message: "no customer …, …"},
		},
		{
			"points that can't be given aren't", points(t, event.PointIncremented), 400, `{"points":["too many"]}`,
			vendors.Result{Class: vendors.Refused, Code: "points", Message: "points: too many"},
		},
		{
			"no level to set", updated(t), 404, `{"detail":"Not found."}`,
			vendors.Result{Class: vendors.Refused, Message: "Not found."},
		},
		{
			"no level to delete: done, if a read says so", deleted(t), 404, `{"detail":"Not found."}`,
			vendors.Result{Class: vendors.AlreadyApplied, Message: "Not found."},
		},
		{
			"a page that isn't found says nothing", deleted(t), 404, `<html>`,
			vendors.Result{Class: vendors.Ambiguous, Message: "HTTP 404 with a reply that isn't a JSON object"},
		},
		{
			"points cut to what was there", points(t, event.PointDecremented), 201, strings.Replace(golden(t, "adjusted"), `"points": 100`, `"points": -30`, 1),
			vendors.Result{Class: vendors.Ambiguous, Message: "the reply doesn't echo the call: points is -30 and not -100"},
		},
		{
			"points without their sign", points(t, event.PointDecremented), 201, golden(t, "adjusted"),
			vendors.Result{Class: vendors.Ambiguous, Message: "the reply doesn't echo the call: points is 100 and not -100"},
		},
		{
			"another customer", points(t, event.PointIncremented), 201, strings.Replace(golden(t, "adjusted"), `"id": 100000`, `"id": 100001`, 1),
			vendors.Result{Class: vendors.Ambiguous, Message: "the reply doesn't echo the call: it is about another customer"},
		},
		{
			"another kind", points(t, event.PointIncremented), 201, strings.Replace(golden(t, "adjusted"), "manual", "gift", 1),
			vendors.Result{Class: vendors.Ambiguous, Message: `the reply doesn't echo the call: kind is "gift"`},
		},
		{
			"case matters in names", points(t, event.PointIncremented), 201, strings.Replace(golden(t, "adjusted"), "points", "Points", 1),
			vendors.Result{Class: vendors.Ambiguous, Message: "the reply doesn't echo the call: it isn't a row of the history"},
		},
		{
			"another level", updated(t), 200, strings.Replace(golden(t, "level_created"), "27", "28", 1),
			vendors.Result{Class: vendors.Ambiguous, Message: "the reply doesn't echo the call: it is about another level"},
		},
		{
			"another title", created(t), 201, strings.Replace(golden(t, "level_created"), "特殊", "特别", 1),
			vendors.Result{Class: vendors.Ambiguous, Message: "the reply doesn't echo the call: title is another"},
		},
		{
			"other points of a level", created(t), 201, strings.Replace(golden(t, "level_created"), `"gain_points": 1`, `"gain_points": 1.5`, 1),
			vendors.Result{Class: vendors.Ambiguous, Message: "the reply doesn't echo the call: gain_points is 1.5 and not 1"},
		},
		{
			"a level without an id", created(t), 201, golden(t, "level_sent"),
			vendors.Result{Class: vendors.Ambiguous, Message: "the reply doesn't echo the call: id is missing"},
		},
		{
			"a delete that answers with something else", deleted(t), 200, `{}`,
			vendors.Result{Class: vendors.Ambiguous, Message: "the reply doesn't echo the call: HTTP 200 and not 204"},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.answers(tt.status, tt.body)
			r := s.account(t).Push(t.Context(), tt.call)
			require.Equal(t, tt.want, vendors.Result{Class: r.Class, Early: r.Early, Hold: r.Hold, Code: r.Code, Message: r.Message})
		})
	}
}

func TestWhatCanNotBeSentIsHeldBeforeAnythingIsAsked(t *testing.T) {
	s := newShop(t)
	held := setup(s.URL)
	held.Semantics.NegativePoints = heyshop.Held
	nobody, toZero, elsewhere := points(t, event.PointIncremented), points(t, event.PointDecremented), updated(t)
	nobody.Member, nobody.Event.Member.MembershipID = "", ""
	toZero.Event.DecrToZero = true
	elsewhere.Event.Key = "../9"
	odd := points(t, event.PointIncremented)
	odd.Member = "1/2"
	for name, tt := range map[string]struct {
		setup   vendors.Setup
		call    vendors.Call
		hold    string
		message string
	}{
		"no member":      {setup(s.URL), nobody, "member_not_found", "HeyShop knows customers by their id only"},
		"an odd member":  {setup(s.URL), odd, "member_not_found", `"1/2" isn't an id`},
		"decrToZero":     {setup(s.URL), toZero, "unsupported", "can't take what is there"},
		"held decrement": {held, points(t, event.PointDecremented), "unsupported", "adjust a customer of yours by -1"},
		"an odd level":   {setup(s.URL), elsewhere, "invalid_event", "isn't an id"},
		"an order": {
			setup(s.URL), vendors.Call{Event: &event.Event{Type: event.OrderCancelled}}, "unsupported", "no call for order.cancelled",
		},
	} {
		t.Run(name, func(t *testing.T) {
			a := account(t, tt.setup)
			mark, r := a.Mark(t.Context(), tt.call)
			require.Empty(t, mark)
			for _, r := range []vendors.Result{r, a.Push(t.Context(), tt.call)} {
				require.Equal(t, vendors.NotSent, r.Class)
				require.Equal(t, tt.hold, r.Hold)
				require.Contains(t, r.Message, tt.message)
			}
		})
	}
	require.Empty(t, s.seen)
	s.answers(201, golden(t, "adjusted"))
	require.Equal(t, vendors.Applied, account(t, held).Push(t.Context(), points(t, event.PointIncremented)).Class, "increments go out")
}

func TestAnAccountSaysAllThatIsWrong(t *testing.T) {
	_, err := heyshop.Kind.New(vendors.Setup{Name: "shop", Semantics: vendors.Semantics{NegativePoints: "maybe"}})
	require.ErrorContains(t, err, `account "shop"`)
	require.ErrorContains(t, err, "secret: empty")
	require.ErrorContains(t, err, "base_url: empty; give the shop's own, such as https://ywu18.heidianer.com")
	require.ErrorContains(t, err, `semantics.negative_points: "maybe"; give sent or held`)
	_, err = heyshop.Kind.New(vendors.Setup{Name: "shop", Secret: "s", BaseURL: "ywu18.heidianer.com", Timeout: time.Second})
	require.ErrorContains(t, err, "base_url")
}

func TestTheKindNamesItsOperations(t *testing.T) {
	a := account(t, setup("http://127.0.0.1:1"))
	for _, typ := range event.Types() {
		op, ok := a.Operation(typ)
		var paths []string
		for _, e := range heyshop.Kind.Endpoints {
			if e.Event == typ {
				paths = append(paths, e.Method+" "+e.Path)
			}
		}
		if !ok {
			require.NotContains(t, heyshop.Kind.Takes, typ)
			require.Empty(t, paths)
			continue
		}
		require.Contains(t, heyshop.Kind.Takes, typ)
		require.Equal(t, []string{op.Name}, paths)
		require.True(t, op.Blocks && op.Findable && op.EchoProves, typ)
	}
	var resources []string
	for _, r := range a.Resources() {
		resources = append(resources, r.Name)
	}
	var reads []string
	for _, e := range heyshop.Kind.Endpoints {
		require.NotEmpty(t, e.Section)
		require.NotEqual(t, e.Event == "", e.Unclear != "")
		if e.Read != "" {
			reads = append(reads, e.Read)
		}
	}
	require.Equal(t, resources, reads)
}

func TestCheckReadsALevel(t *testing.T) {
	s := newShop(t)
	s.answers(200, golden(t, "levels"))
	r := s.account(t).Check(t.Context())
	require.Equal(t, vendors.Applied, r.Class, r.Message)
	require.Equal(t, []string{"GET /api/loyalty/level/?page=1&page_size=1"}, s.seen)
	s.answers(403, `{"detail":"You do not have permission to perform this action."}`)
	require.Equal(t, vendors.Denied, s.account(t).Check(t.Context()).Class)
}
