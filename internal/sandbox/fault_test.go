package sandbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// seen is what a plain client sees of a fault.
type seen struct {
	status int
	header http.Header
	body   string
	err    error // of the call or of reading the body
}

// watch sends a create for order A with a time limit and reads all of the reply.
func (c *client) watch(limit time.Duration) seen {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, "POST", c.url+c.path(dealCreate), strings.NewReader(order("A", "1")))
	require.NoError(c.t, err)
	resp, err := c.http.Do(req)
	if err != nil {
		return seen{err: err}
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return seen{resp.StatusCode, resp.Header, string(b), err}
}

func requireTimeout(t *testing.T, s seen) {
	t.Helper()
	var n net.Error
	require.True(t, errors.As(s.err, &n) && n.Timeout(), "%v", s.err)
}

// looks says what a client must see of each kind of fault.
func looks(t *testing.T, f Fault, s seen) {
	t.Helper()
	status := func(want int, body string) {
		t.Helper()
		require.NoError(t, s.err)
		require.Equal(t, want, s.status)
		require.Contains(t, s.body, body)
	}
	switch f.kind() {
	case kindError:
		status(200, `"500000"`)
	case kindError500:
		status(500, `"500000"`)
	case kindErrorBlank:
		status(200, `"code":""`)
	case kindErrorNumber:
		status(200, `"code":409999`)
	case kindHTML:
		status(200, "<html>")
		require.Equal(t, "text/html", s.header.Get("Content-Type"))
	case kindBadGateway:
		status(502, "<html>")
	case kindEmpty:
		status(200, "")
		require.Empty(t, s.body)
	case kindUnavailable, string(ThrottleSeconds):
		require.Equal(t, "7", s.header.Get("Retry-After"))
	case string(ThrottleDate):
		status(429, "")
		at, err := http.ParseTime(s.header.Get("Retry-After"))
		require.NoError(t, err)
		require.Equal(t, time.Date(2020, 4, 30, 6, 7, 7, 0, time.UTC), at)
	case string(Redirect):
		status(302, "")
		require.Regexp(t, `^/sandbox/landing/\d+$`, s.header.Get("Location"))
	case string(TokenExpired):
		status(200, `"error_code"`)
	case kindReset:
		require.ErrorIs(t, s.err, syscall.ECONNRESET)
	case kindTruncated:
		require.ErrorIs(t, s.err, io.ErrUnexpectedEOF)
		require.NotEmpty(t, s.body)
	case kindHang, string(ApplyLate), kindSlowLoris:
		requireTimeout(t, s)
	case kindHuge:
		require.NoError(t, s.err)
		require.Greater(t, len(s.body), 1<<20)
	default:
		require.Fail(t, "a fault that this test doesn't know", "%s", f)
	}
}

func TestEachFaultIsSeenAndAppliesAsItSays(t *testing.T) {
	for _, f := range Faults() {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			c := start(t, Config{Rules: []Rule{{
				Faults: []Fault{f}, Times: 1, RetryAfter: Duration(7 * time.Second), Size: 2 << 20, Pause: Duration(time.Hour),
			}}})
			c.seed(Seed{})
			limit := 5 * time.Second
			if f.Silent() || f.kind() == kindSlowLoris {
				limit = 500 * time.Millisecond
			}
			if f.kind() == kindReset {
				limit = 5 * time.Second
			}
			looks(t, f, c.watch(limit))
			require.Eventually(t, func() bool { return c.sb.CallsOf("A")[0].Done }, 5*time.Second, time.Millisecond)

			call := c.sb.CallsOf("A")[0]
			require.Equal(t, f, call.Fault)
			require.Equal(t, f.Applies(), call.Applied)
			require.Equal(t, f.Silent(), call.Status == 0)
			effects := 0
			if f.Applies() {
				effects = 1
			}
			require.Len(t, c.sb.Effects(), effects)
			require.Zero(t, c.sb.Summary().InFlight)

			if f == TokenExpired {
				require.Contains(t, c.watch(time.Second).body, "error_code", "the token stays invalid")
				c.token = c.login("app", "s3cret")
			}
			after := c.watch(5 * time.Second)
			if f.Applies() {
				require.Contains(t, after.body, "order exists")
			} else {
				require.Contains(t, after.body, `"id":8281`)
			}
		})
	}
}

func TestFaultNamesAreDistinct(t *testing.T) {
	names := map[Fault]bool{}
	for _, f := range Faults() {
		require.False(t, names[f], f)
		names[f] = true
	}
	require.Len(t, names, 31)
}

func TestSlowAndHugeRepliesAreTheCallsOwn(t *testing.T) {
	c := start(t, Config{Rules: []Rule{
		{Faults: []Fault{"slow_loris_after"}, Nth: 1, Pause: Duration(10 * time.Microsecond)},
		{Faults: []Fault{"huge_after"}, Nth: 2, Size: 1 << 20},
	}})
	c.seed(Seed{})
	require.Contains(t, c.post(dealCreate, order("A", "1")), `"id":8281`)
	body := c.post(dealCreate, order("B", "1"))
	require.Greater(t, len(body), 1<<20)
	require.Contains(t, body, `"id":8282`)
}

func TestApplyLateComesAfterTheClientGaveUp(t *testing.T) {
	const late = 50 * time.Millisecond
	c := start(t, Config{})
	c.seed(Seed{})
	giveUp := c.hang(Rule{Faults: []Fault{ApplyLate}, Times: 1, Late: Duration(late)}, "A", dealCreate, order("A", "1"))
	require.Contains(t, c.get("/v1/deals/A"), "409200", "not yet")
	began := time.Now()
	giveUp()
	require.Eventually(t, func() bool { return c.sb.CallsOf("A")[0].Done }, 5*time.Second, time.Millisecond)
	require.Len(t, c.sb.Effects(), 1, "done means that nothing more comes")
	require.GreaterOrEqual(t, time.Since(began), late)
	require.Contains(t, c.get("/v1/deals/A"), `"orderNo":"A"`)
}

func TestAClosedServerEndsHangs(t *testing.T) {
	c := start(t, Config{Rules: []Rule{{Faults: []Fault{"hang_before"}, Rate: 1}}})
	srv, err := Listen("127.0.0.1:0", c.sb)
	require.NoError(t, err)
	c.url = srv.URL
	got := make(chan seen)
	go func() { got <- c.watch(time.Minute) }()
	require.Eventually(t, func() bool { return len(c.sb.CallsOf("A")) == 1 }, 5*time.Second, time.Millisecond)
	began := time.Now()
	require.NoError(t, srv.Close())
	require.Less(t, time.Since(began), 1900*time.Millisecond, "hangs are ended, not waited for")
	require.Error(t, (<-got).err)
}

func TestAFollowedRedirectIsTold(t *testing.T) {
	c := start(t, Config{Rules: []Rule{{Faults: []Fault{Redirect}, Times: 1}}})
	c.seed(Seed{})
	c.http.CheckRedirect = nil
	s := c.watch(5 * time.Second)
	require.Equal(t, 200, s.status)
	require.JSONEq(t, `{"result":"success"}`, s.body)
	call := c.sb.CallsOf("A")[0]
	require.True(t, call.Redirected)
	require.False(t, call.Applied)
	require.Equal(t, []Violation{{Kind: FollowedRedirect, Call: call.Seq, Time: c.clock.now(), Op: OpDealCreate, Key: "A"}},
		c.sb.Violations())
}

// faultsOf lists the faults of calls in the order of a plan's decisions.
func faultsOf(p plan, calls ...call) []Fault {
	var got []Fault
	for _, c := range calls {
		got = append(got, p.pick(&c).fault)
	}
	return got
}

func TestRulesChooseCalls(t *testing.T) {
	create := func(key string) call { return call{op: OpDealCreate, key: key} }
	f, g := []Fault{Redirect}, []Fault{TokenExpired}
	for name, tc := range map[string]struct {
		rules []Rule
		calls []call
		want  []Fault
	}{
		"none":       {nil, []call{create("A")}, []Fault{""}},
		"nth":        {[]Rule{{Faults: f, Nth: 2}}, []call{create("A"), create("B"), create("C")}, []Fault{"", Redirect, ""}},
		"times":      {[]Rule{{Faults: f, Times: 2}}, []call{create("A"), create("B"), create("C")}, []Fault{Redirect, Redirect, ""}},
		"key":        {[]Rule{{Faults: f, Times: 1, Key: "B"}}, []call{create("A"), create("B"), create("B")}, []Fault{"", Redirect, ""}},
		"uuid":       {[]Rule{{Faults: f, Times: 1, Key: "u"}}, []call{{op: OpPointIncr, key: "1"}, {op: OpPointIncr, key: "1", uuid: "u"}}, []Fault{"", Redirect}},
		"op":         {[]Rule{{Faults: f, Rate: 1, Ops: []string{OpDealRefund}}}, []call{create("A"), {op: OpDealRefund}}, []Fault{"", Redirect}},
		"writes":     {[]Rule{{Faults: f, Rate: 1}}, []call{{op: OpDealRead}, {op: OpToken}, {op: OpMemberCreate}}, []Fault{"", "", Redirect}},
		"all":        {[]Rule{{Faults: f, Rate: 1, Ops: []string{"*"}}}, []call{{op: OpDealRead}, {op: OpToken}}, []Fault{Redirect, Redirect}},
		"first wins": {[]Rule{{Faults: f, Nth: 1}, {Faults: g, Times: 2}}, []call{create("A"), create("B"), create("C")}, []Fault{Redirect, TokenExpired, ""}},
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, tc.want, faultsOf(newPlan(1, tc.rules), tc.calls...))
		})
	}
}

func TestARateHitsTheSameCallsInAnyOrder(t *testing.T) {
	rules := []Rule{{Faults: Faults(), Rate: 0.2}}
	decide := func(seed uint64, reverse bool) (map[string]Fault, int) {
		p, got, hits := newPlan(seed, rules), map[string]Fault{}, 0
		for i := range 2000 {
			if reverse {
				i = 1999 - i
			}
			key := "order-" + strconv.Itoa(i)
			if got[key] = p.pick(&call{op: OpDealCreate, key: key}).fault; got[key] != "" {
				hits++
			}
		}
		return got, hits
	}
	forward, hits := decide(1, false)
	backward, _ := decide(1, true)
	other, _ := decide(2, false)
	require.Equal(t, forward, backward)
	require.NotEqual(t, forward, other)
	require.InDelta(t, 400, hits, 80)
	kinds := map[Fault]bool{}
	for _, f := range forward {
		kinds[f] = true
	}
	require.Len(t, kinds, len(Faults())+1, "every fault comes up")
}

func TestARateDrawsEachTryAnew(t *testing.T) {
	p := newPlan(1, []Rule{{Faults: []Fault{Redirect}, Rate: 0.5}})
	hits := 0
	for range 1000 {
		if p.pick(&call{op: OpDealCreate, key: "A"}).fault != "" {
			hits++
		}
	}
	require.InDelta(t, 500, hits, 80)
}

func TestTheTokenCanFailToo(t *testing.T) {
	c := start(t, Config{})
	require.NoError(t, c.sb.SetRules(Rule{Faults: []Fault{"error_500_before"}, Times: 1, Ops: []string{OpToken}, Key: "app"}))
	status, _ := c.request("GET", "/security/accesstoken?grant_type=client_credentials&appid=app&secret=s3cret", "")
	require.Equal(t, 500, status)
	require.NotEmpty(t, c.login("app", "s3cret"))
}

func TestFaultsEndWhenRulesAreTakenAway(t *testing.T) {
	c := start(t, Config{Rules: []Rule{{Faults: []Fault{"error_before"}, Rate: 1}}})
	c.seed(Seed{})
	require.Contains(t, c.post(dealCreate, order("A", "1")), "500000")
	require.NoError(t, c.sb.AddRule(Rule{Faults: []Fault{"html_before"}, Nth: 1}))
	require.Contains(t, c.post(dealCreate, order("A", "1")), "500000")
	require.NoError(t, c.sb.SetRules())
	require.Contains(t, c.post(dealCreate, order("A", "1")), `"id":8281`)
}

func TestARawClientSeesTheResetAtOnce(t *testing.T) {
	c := start(t, Config{Rules: []Rule{{Faults: []Fault{"reset_before"}, Times: 1}}})
	conn, err := net.Dial("tcp", strings.TrimPrefix(c.url, "http://"))
	require.NoError(t, err)
	defer conn.Close()
	body := order("A", "1")
	_, err = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", c.path(dealCreate), len(body), body)
	require.NoError(t, err)
	var got bytes.Buffer
	_, err = got.ReadFrom(conn)
	require.ErrorIs(t, err, syscall.ECONNRESET)
	require.Empty(t, got.String())
}
