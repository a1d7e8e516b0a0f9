package sandbox

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

// client calls a sandbox as any HTTP client would.
type client struct {
	t     testing.TB
	sb    *Sandbox
	url   string
	token string
	clock *clock
	http  *http.Client
}

// start listens with one account, a clock at the documents' 2020-04-30 and no
// members.
func start(t testing.TB, cfg Config) *client {
	t.Helper()
	ck := &clock{t: time.Date(2020, 4, 30, 6, 7, 0, 0, time.UTC)}
	cfg.Now = ck.now
	if cfg.Accounts == nil {
		cfg.Accounts = []Account{{AppID: "app", Secret: "s3cret"}}
	}
	sb, err := New(cfg)
	require.NoError(t, err)
	srv, err := Listen("127.0.0.1:0", sb)
	require.NoError(t, err)
	tr := &http.Transport{MaxIdleConnsPerHost: 64}
	c := &client{
		t: t, sb: sb, url: srv.URL, clock: ck,
		http: &http.Client{
			Transport: tr, Timeout: 10 * time.Second,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	t.Cleanup(func() {
		tr.CloseIdleConnections()
		require.NoError(t, srv.Close())
	})
	c.token = c.login("app", "s3cret")
	return c
}

func (c *client) login(app, secret string) string {
	c.t.Helper()
	q := url.Values{"grant_type": {"client_credentials"}, "appid": {app}, "secret": {secret}}
	_, body := c.request("GET", "/security/accesstoken?"+q.Encode(), "")
	var reply struct {
		Token string `json:"access_token"`
	}
	require.NoError(c.t, json.Unmarshal([]byte(body), &reply), body)
	return reply.Token
}

func (c *client) send(method, path, body string) (*http.Response, error) {
	c.t.Helper()
	req, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	require.NoError(c.t, err)
	return c.http.Do(req)
}

// request returns the status and the whole body.
func (c *client) request(method, path, body string) (int, string) {
	c.t.Helper()
	resp, err := c.send(method, path, body)
	require.NoError(c.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	return resp.StatusCode, string(b)
}

// api calls a path below the base with the token; it expects HTTP 200.
func (c *client) api(method, path, body string) string {
	c.t.Helper()
	status, reply := c.request(method, c.path(path), body)
	require.Equal(c.t, 200, status, reply)
	return reply
}

func (c *client) path(path string) string {
	if strings.Contains(path, "?") {
		return path + "&access_token=" + c.token
	}
	return path + "?access_token=" + c.token
}

func (c *client) post(path, body string) string { c.t.Helper(); return c.api("POST", path, body) }
func (c *client) get(path string) string        { c.t.Helper(); return c.api("GET", path, "") }

func (c *client) seed(s Seed) int64 {
	c.t.Helper()
	if s.Count == 0 {
		s.Count = 1
	}
	ids, err := c.sb.SeedMembers(s)
	require.NoError(c.t, err)
	return ids[0]
}

const (
	dealCreate       = "/loyalty/v1/deal"
	dealUpdate       = "/loyalty/v1/dealService/update/"
	dealCancel       = "/loyalty/v1/dealService/cancel"
	dealRefund       = "/loyalty/v1/dealService/refund"
	dealDeleteRefund = "/loyalty/v1/dealService/deleteRefund"
	dealDelete       = "/loyalty/v1/dealService/delete"
)

// order is a create with an amount, for the member with id 1.
func order(no, amount string) string {
	return `{"membershipId":1,"orderNo":"` + no + `","dateOrder":"2020-04-29T00:00:00Z","amountPaid":` + amount +
		`,"store":"s","salesChannel":"pos","dealLines":[{"lineId":"l1","productName":"p","qty":1}]}`
}

func refundOf(no, total string) string {
	return `{"membershipId":1,"orderNo":"` + no + `","dateRefund":"2020-04-30T00:00:00Z","refundTotal":` + total +
		`,"refundLines":[{"lineId":"l1"}]}`
}

func points(n, uuid string) string {
	return `{"point":` + n + `,"pattern":0,"uuid":"` + uuid + `","remark":"` + uuid + `"}`
}

func failure(code, message string) string {
	return `{"error":{"code":"` + code + `","message":"` + message + `"}}`
}

func TestConfigSaysWhatIsWrong(t *testing.T) {
	one := []Account{{AppID: "a", Secret: "s"}}
	for name, tc := range map[string]struct {
		cfg  Config
		want string
	}{
		"no account":   {Config{}, "accounts is empty"},
		"no secret":    {Config{Accounts: []Account{{AppID: "a"}}}, `account "a": app id and secret must both be set`},
		"twice":        {Config{Accounts: append(one, one...)}, `account "a" is there twice`},
		"switch":       {Config{Accounts: one, Switches: Switches{Refunds: "x"}}, `switch refunds is "x": use one of accumulate`},
		"negative lag": {Config{Accounts: one, Switches: Switches{ReadsLag: -1}}, "switch reads_lag"},
		"status":       {Config{Accounts: one, Switches: Switches{ErrorStatus: 99}}, "switch error_status is 99"},
		"token code":   {Config{Accounts: one, Switches: Switches{TokenErrorCode: "x1"}}, `token_error_code is "x1"`},
		"fault":        {Config{Accounts: one, Rules: []Rule{{Faults: []Fault{"x"}, Nth: 1}}}, `rule 1: faults has "x"`},
		"no fault":     {Config{Accounts: one, Rules: []Rule{{Nth: 1}}}, "faults is empty"},
		"op":           {Config{Accounts: one, Rules: []Rule{{Faults: []Fault{Redirect}, Nth: 1, Ops: []string{"x"}}}}, `ops has "x"`},
		"no trigger":   {Config{Accounts: one, Rules: []Rule{{Faults: []Fault{Redirect}}}}, "exactly one of nth, times and rate"},
		"two triggers": {Config{Accounts: one, Rules: []Rule{{Faults: []Fault{Redirect}, Nth: 1, Rate: 1}}}, "exactly one of"},
		"rate":         {Config{Accounts: one, Rules: []Rule{{Faults: []Fault{Redirect}, Rate: 2}}}, "rate up to 1"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(tc.cfg)
			require.ErrorContains(t, err, tc.want)
		})
	}
}

func TestStateOutlivesTheServer(t *testing.T) {
	c := start(t, Config{})
	c.seed(Seed{})
	c.post(dealCreate, order("A", "1"))

	again, err := Listen("127.0.0.1:0", c.sb)
	require.NoError(t, err)
	c.url = again.URL
	require.Contains(t, c.get("/v1/deals/A"), `"orderNo":"A"`)
	c.http.CloseIdleConnections()
	require.NoError(t, again.Close())
	_, err = c.send("GET", "/sandbox/healthz", "")
	require.Error(t, err)
}

// abort posts and gives up when stop is closed.
func (c *client) abort(stop <-chan struct{}, path, body string) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() {
		select {
		case <-stop:
			cancel()
		case <-ctx.Done():
		}
	}()
	req, err := http.NewRequestWithContext(ctx, "POST", c.url+c.path(path), strings.NewReader(body))
	if err != nil {
		panic(err)
	}
	if resp, err := c.http.Do(req); err == nil {
		resp.Body.Close()
	}
}

func TestAccountsOfDifferentVendorsShareNothing(t *testing.T) {
	_, err := New(Config{Accounts: []Account{{AppID: "a", Secret: "s", Vendor: "nobody"}}})
	require.EqualError(t, err, `sandbox: account "a": vendor is "nobody": use one of `+strings.Join(Vendors(), ", "))
}
