package sandbox

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func (c *client) admin(method, path, body string, want int) string {
	c.t.Helper()
	status, reply := c.request(method, path, body)
	require.Equal(c.t, want, status, reply)
	return reply
}

func TestAdminEndpoints(t *testing.T) {
	c := start(t, Config{})
	require.JSONEq(t, `{"status":"ok"}`, c.admin("GET", "/sandbox/healthz", "", 200))
	require.JSONEq(t, `{"ids":[123456789012345678,123456789012345679]}`, c.admin("POST", "/sandbox/members",
		`{"first_id":123456789012345678,"mobiles":["13800000000","13800000001"],"points":7}`, 200))
	require.JSONEq(t, `{"ids":[1]}`, c.admin("POST", "/sandbox/members", `{"first_id":1,"count":1}`, 200))
	require.Equal(t, `{"store":"","id":1,"points":0,"customer":90840682394599426}`+"\n"+
		`{"store":"","id":123456789012345678,"mobile":"13800000000","points":7,"customer":90840682394599424}`+"\n"+
		`{"store":"","id":123456789012345679,"mobile":"13800000001","points":7,"customer":90840682394599425}`+"\n", c.admin("GET", "/sandbox/members", "", 200))

	c.post(dealCreate, order("A", "0.10"))
	c.post(dealCreate, order("B", "0.2"))
	require.Regexp(t, `^\{"seq":1,.*"key":"A",.*"amount":"0.1",.*\}\n\{"seq":2,.*\}\n$`, c.admin("GET", "/sandbox/ledger", "", 200))
	require.Equal(t, 1, strings.Count(c.admin("GET", "/sandbox/ledger?key=B", "", 200), "\n"))
	require.Equal(t, 3, strings.Count(c.admin("GET", "/sandbox/ledger?of=calls", "", 200), "\n"))
	require.Equal(t, 1, strings.Count(c.admin("GET", "/sandbox/ledger?of=calls&key=B", "", 200), "\n"))
	require.Empty(t, c.admin("GET", "/sandbox/ledger?of=violations", "", 200))
	require.Contains(t, c.admin("GET", "/sandbox/ledger?of=x", "", 400), `of is "x"`)
	require.Equal(t, 2, strings.Count(c.admin("GET", "/sandbox/orders", "", 200), `"state":"已付款"`))
	sum := c.admin("GET", "/sandbox/summary", "", 200)
	require.Contains(t, sum, `"amount_paid":"0.3"`)
	require.Contains(t, sum, `"deal.create":{"calls":2,"effects":2,"faults":0}`)
	require.NotContains(t, sum, c.token)

	c.admin("POST", "/sandbox/reset", "", 200)
	require.Empty(t, c.admin("GET", "/sandbox/ledger", "", 200))
	require.Empty(t, c.admin("GET", "/sandbox/members", "", 200))
}

func TestSwitchesAreChangedOneByOne(t *testing.T) {
	c := start(t, Config{Switches: Switches{Refunds: "refuse"}})
	got := c.admin("POST", "/sandbox/switches", `{"existing_order":"double","latency":"20ms"}`, 200)
	require.JSONEq(t, got, c.admin("GET", "/sandbox/switches", "", 200))
	sw := c.sb.Switches()
	require.Equal(t, []any{"double", "refuse", Duration(20 * time.Millisecond)}, []any{sw.ExistingOrder, sw.Refunds, sw.Latency})
	for body, want := range map[string]string{
		`{"refunds":"x"}`: `switch refunds is "x"`, `{"latency":20}`: "reading the body", `{"y":1}`: `unknown field "y"`,
		`{"latency":"x"}`: "write it like 20ms",
	} {
		require.Contains(t, c.admin("POST", "/sandbox/switches", body, 400), want)
	}
	require.Equal(t, sw, c.sb.Switches())
	c.sb.Reset()
	require.Equal(t, "error", c.sb.Switches().ExistingOrder)
}

func TestFaultsAreSetOverHTTP(t *testing.T) {
	c := start(t, Config{})
	c.seed(Seed{})
	got := c.admin("POST", "/sandbox/faults", `{"rules":[{"faults":["throttle_seconds"],"times":1,"retry_after":"3s"}]}`, 200)
	require.Contains(t, got, `"rules":[{"faults":["throttle_seconds"],"times":1,"retry_after":"3s"}]`)
	require.Contains(t, got, `"slow_loris_after"`)
	status, _ := c.request("POST", c.path(dealCreate), order("A", "1"))
	require.Equal(t, 429, status)
	require.Contains(t, c.admin("POST", "/sandbox/faults", `{"rules":[{"faults":["x"]}]}`, 400), `rule 1: faults has "x"`)
	require.Contains(t, c.admin("POST", "/sandbox/faults", `{"rules":[]}`, 200), `"rules":[]`)
}

func TestSeedingSaysWhatIsWrong(t *testing.T) {
	c := start(t, Config{})
	c.seed(Seed{Mobile: "13800000000"})
	for body, want := range map[string]string{
		`{"store":"x","count":1}`:         `store "x" isn't any account's`,
		`{"count":1,"first_id":1}`:        "id 1 is there already",
		`{"mobiles":["1","13800000000"]}`: `mobile "13800000000" is there already`,
		`{"mobiles":["1","1"]}`:           `mobile "1" is there twice`,
		`{"count":3,"mobiles":["1"]}`:     "count is 3 for 1 mobiles",
		`{"count":-1}`:                    "can't be negative",
		`{"count":1,"mobile":"x"}`:        `mobile is "x"`,
	} {
		require.Contains(t, c.admin("POST", "/sandbox/members", body, 400), want)
	}
	require.Len(t, c.sb.Members(), 1, "all or none")
}
