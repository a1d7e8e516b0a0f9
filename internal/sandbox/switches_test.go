package sandbox

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

const (
	incr    = "/loyalty/v1/membership/1/point/incr"
	decr    = "/loyalty/v1/membership/1/point/decr"
	details = "/loyalty/v1/membership/1/point"
)

func with(t *testing.T, sw Switches) *client {
	t.Helper()
	c := start(t, Config{Switches: sw})
	c.seed(Seed{Points: 100})
	return c
}

func (c *client) order(no string) Order {
	c.t.Helper()
	o, found := c.sb.Order("", no)
	require.True(c.t, found)
	return o
}

func (c *client) balance() int64 {
	c.t.Helper()
	n, found := c.sb.Balance("", 1)
	require.True(c.t, found)
	return n
}

func requireMoney(t *testing.T, want string, got decimal.Decimal) {
	t.Helper()
	require.Equal(t, want, got.String())
}

func TestExistingOrder(t *testing.T) {
	for mode, want := range map[string]struct {
		reply, paid string
		creates     int
		points      int64
	}{
		"error":   {`"code":"409000","message":"order exists"`, "30.5", 1, 130},
		"replace": {`"id":8281`, "20.25", 2, 120},
		"double":  {`"id":8281`, "50.75", 2, 150},
	} {
		t.Run(mode, func(t *testing.T) {
			c := with(t, Switches{ExistingOrder: mode, DealPoints: true})
			c.post(dealCreate, order("A", "30.5"))
			require.Contains(t, c.post(dealCreate, order("A", "20.25")), want.reply)
			requireMoney(t, want.paid, c.order("A").AmountPaid)
			requireMoney(t, want.paid, c.sb.Summary().AmountPaid)
			require.Equal(t, want.creates, c.order("A").Creates)
			require.Len(t, c.sb.EffectsOf("A"), want.creates)
			require.Equal(t, want.creates-1, c.sb.Summary().Violations[CreatedTwice])
			require.Equal(t, want.points, c.balance())
		})
	}
}

func TestRefunds(t *testing.T) {
	for mode, want := range map[string]struct {
		reply, refunded string
		effects         int
	}{
		"accumulate": {`"refundTotal":"0.2"`, "0.3", 2},
		"overwrite":  {`"refundTotal":"0.2"`, "0.2", 2},
		"refuse":     {`"code":"409000","message":"refund exists"`, "0.1", 1},
	} {
		t.Run(mode, func(t *testing.T) {
			c := with(t, Switches{Refunds: mode})
			c.post(dealCreate, order("A", "1"))
			c.post(dealRefund, refundOf("A", "0.10"))
			require.Contains(t, c.post(dealRefund, refundOf("A", "0.2")), want.reply)
			requireMoney(t, want.refunded, c.order("A").Refunded)
			requireMoney(t, want.refunded, c.sb.Summary().Refunded)
			require.Equal(t, want.effects, c.sb.Summary().ByOp[OpDealRefund].Effects)
		})
	}
}

func TestDeletedRefundIsTheNewest(t *testing.T) {
	c := with(t, Switches{})
	c.post(dealCreate, order("A", "10"))
	c.post(dealRefund, refundOf("A", "3"))
	c.post(dealRefund, refundOf("A", "4"))
	require.Contains(t, c.post(dealDeleteRefund, `{"orderNo":"A"}`), `"refundTotal":4`)
	requireMoney(t, "3", c.order("A").Refunded)
	requireMoney(t, "3", c.sb.Summary().Refunded)
	c.post(dealDeleteRefund, `{"orderNo":"A"}`)
	requireMoney(t, "0", c.sb.Summary().Refunded)
}

func TestRepeatCancel(t *testing.T) {
	for mode, want := range map[string]string{"echo": stateCancelled, "error": "409000"} {
		c := with(t, Switches{RepeatCancel: mode})
		c.post(dealCreate, order("A", "10"))
		c.post(dealCancel, `{"orderNo":"A"}`)
		require.Contains(t, c.post(dealCancel, `{"orderNo":"A"}`), want)
		require.Equal(t, 1, c.sb.Summary().ByOp[OpDealCancel].Effects)
	}
}

func TestDuplicateUUID(t *testing.T) {
	for mode, want := range map[string]string{
		"error": failure("409000", "uuid exists"),
		"echo":  `{"point":9,"pattern":0,"remark":"u"}`,
	} {
		c := with(t, Switches{DuplicateUUID: mode})
		c.post(incr, points("5", "u"))
		require.JSONEq(t, want, c.post(incr, points("9", "u")))
		require.JSONEq(t, want, c.post(decr, points("9", "u")), "one name space for both directions")
		require.Equal(t, int64(105), c.balance())
		require.Len(t, c.sb.EffectsOf("u"), 1)
		c.post(incr, `{"point":1,"pattern":0}`)
		c.post(incr, `{"point":1,"pattern":0}`)
		require.Equal(t, int64(107), c.balance(), "without a uuid nothing is a duplicate")
	}
}

func TestUUIDWindow(t *testing.T) {
	timeout := func(s string) string { return `{"point":1,"pattern":0,"uuid":"u","uuid_timeout":` + s + `}` }
	for name, tc := range map[string]struct {
		sw   Switches
		body string
		want time.Duration
	}{
		"an hour by default":   {Switches{}, points("1", "u"), time.Hour},
		"as asked":             {Switches{}, timeout("7000"), 7000 * time.Second},
		"another default":      {Switches{UUIDWindow: Duration(time.Minute)}, points("1", "u"), time.Minute},
		"capped":               {Switches{UUIDWindowMax: Duration(time.Minute)}, timeout("7000"), time.Minute},
		"cap above what's due": {Switches{UUIDWindowMax: Duration(time.Hour)}, timeout("60"), time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			c := with(t, tc.sw)
			c.post(incr, tc.body)
			c.clock.advance(tc.want - time.Second)
			require.Contains(t, c.post(incr, tc.body), "uuid exists")
			require.Empty(t, c.sb.Violations())
			c.clock.advance(time.Second)
			require.NotContains(t, c.post(incr, tc.body), "error")
			require.Equal(t, int64(102), c.balance())
			require.Equal(t, UUIDAppliedTwice, c.sb.Violations()[0].Kind)
		})
	}
}

func TestRefusedCallAndItsUUID(t *testing.T) {
	for consumes, want := range map[bool]string{true: "uuid exists", false: `"point":200`} {
		c := with(t, Switches{RefusedConsumesUUID: consumes})
		require.Contains(t, c.post(decr, points("200", "u")), "409180")
		c.post(incr, points("100", "v"))
		require.Contains(t, c.post(decr, points("200", "u")), want)
	}
}

func TestADecrementThatEmptiedTheBalanceIsRepeated(t *testing.T) {
	for first, want := range map[bool]string{true: "409181", false: "uuid exists"} {
		c := with(t, Switches{BalanceFirst: first})
		require.Contains(t, c.post(decr, points("100", "u")), `"point":100`)
		require.Contains(t, c.post(decr, points("100", "u")), want)
		require.Len(t, c.sb.EffectsOf("u"), 1)
	}
}

func TestUUIDTrace(t *testing.T) {
	for mode, want := range map[string]string{
		"remark":      `"externalId":null,.*"remark":"u"`,
		"external_id": `"externalId":"u",.*"remark":"u"`,
		"none":        `"externalId":null,.*"remark":null`,
	} {
		c := with(t, Switches{UUIDTrace: mode})
		c.post(incr, points("1", "u"))
		require.Regexp(t, want, c.get(details))
	}
}

func TestDealPoints(t *testing.T) {
	c := with(t, Switches{DealPoints: true})
	c.post(dealCreate, order("A", "30.99"))
	require.Equal(t, int64(130), c.balance())
	c.post(dealRefund, refundOf("A", "10.5"))
	require.Equal(t, int64(120), c.balance())
	c.post(dealDeleteRefund, `{"orderNo":"A"}`)
	c.post(dealUpdate, `{"orderNo":"A","amountPaid":99}`)
	require.Equal(t, int64(120), c.balance(), "update and deleteRefund leave points alone")
	c.post(dealCancel, `{"orderNo":"A"}`)
	require.Equal(t, int64(100), c.balance())
	require.Regexp(t, `"pattern":2.*"pattern":2.*"pattern":2`, c.get(details))
	sum := c.sb.Summary()
	require.Equal(t, []int64{30, 30}, []int64{sum.PointsIn, sum.PointsOut})

	c.sb.SetSwitches(Switches{})
	c.post(dealCreate, order("B", "30"))
	require.Equal(t, int64(100), c.balance(), "off by default")
}

func TestRefundState(t *testing.T) {
	state := func(c *client) string { return c.get("/v1/deals/A") }
	c := with(t, Switches{RefundState: true})
	c.post(dealCreate, order("A", "10"))
	c.post(dealRefund, refundOf("A", "4"))
	require.Contains(t, state(c), statePartly)
	c.post(dealRefund, refundOf("A", "6"))
	require.Contains(t, state(c), stateRefunded)
	c.post(dealDeleteRefund, `{"orderNo":"A"}`)
	require.Contains(t, state(c), statePartly)

	c = with(t, Switches{})
	c.post(dealCreate, order("A", "10"))
	c.post(dealRefund, refundOf("A", "4"))
	require.Contains(t, state(c), statePaid)
}

func TestOrderNotFound(t *testing.T) {
	for mode, want := range map[string]string{
		"error": failure("409200", "Not found"), "null": "null", "empty": "",
	} {
		c := with(t, Switches{OrderNotFound: mode})
		require.Equal(t, want, c.get("/v1/deals/A"))
		require.Equal(t, want, c.get("/v1/dealService/getDealByOrderNo?orderNo=A"))
		c.post(dealCreate, order("A", "1"))
		c.post(dealDelete, `{"orderNo":"A"}`)
		require.Equal(t, want, c.get("/v1/deals/A"))
	}
}

func TestOrdersOfTheLastMonth(t *testing.T) {
	old := strings.Replace(order("A", "1"), "2020-04-29", "2020-03-01", 1)
	for mode, want := range map[string]string{"date_order": "409200", "date_created": `"orderNo":"A"`} {
		c := with(t, Switches{OrderWindowBy: mode})
		c.post(dealCreate, old)
		require.Contains(t, c.get("/v1/deals/A"), want)
		c.clock.advance(31 * 24 * time.Hour)
		c.token = c.login("app", "s3cret")
		require.Contains(t, c.get("/v1/deals/A"), "409200")
	}
}

func TestReadsLag(t *testing.T) {
	c := with(t, Switches{ReadsLag: Duration(time.Minute)})
	c.post(dealCreate, order("A", "1"))
	c.post(incr, points("5", "u"))
	c.post("/loyalty/v1/membershipAndIdentities", `{"membership":{},"identities":[{"type":"c_x","value":"1"}]}`)
	require.Contains(t, c.get("/v1/deals/A"), "409200")
	require.JSONEq(t, `{"rows":[]}`, c.get(details))
	require.Contains(t, c.get("/loyalty/v1/membership/1"), `"point":100`)
	require.Contains(t, c.get("/loyalty/v1/membership/2"), `"210"`)

	c.clock.advance(time.Minute)
	c.post(dealCancel, `{"orderNo":"A"}`)
	require.Contains(t, c.get("/v1/deals/A"), statePaid)
	require.Contains(t, c.get(details), `"remark":"u"`)
	require.Contains(t, c.get("/loyalty/v1/membership/1"), `"point":105`)
	require.Contains(t, c.get("/loyalty/v1/membershipService/getMembershipByIdentity?type=c_x&value=1"), `"id":2`)
	c.clock.advance(time.Minute)
	require.Contains(t, c.get("/v1/deals/A"), stateCancelled)
}

func TestStatuses(t *testing.T) {
	c := with(t, Switches{ErrorStatus: 400, CreateStatus: 201})
	status, _ := c.request("POST", c.path(dealCreate), order("A", "1"))
	require.Equal(t, 201, status)
	status, _ = c.request("POST", c.path(dealCreate), order("A", "1"))
	require.Equal(t, 400, status)
	require.Equal(t, 400, c.sb.CallsOf("A")[1].Status)
}

func TestLatency(t *testing.T) {
	c := with(t, Switches{Latency: Duration(20 * time.Millisecond)})
	began := time.Now()
	c.post(incr, points("1", "u"))
	require.GreaterOrEqual(t, time.Since(began), 20*time.Millisecond)
}

func TestMoneyAndIDsAreExact(t *testing.T) {
	c := start(t, Config{})
	const id = 987654321098765433 // not a float64
	c.seed(Seed{FirstID: id, Count: 2, Mobile: "13800000000"})
	big := func(body string) string { return strings.Replace(body, `Id":1`, fmt.Sprintf(`Id":%d`, id), 1) }
	reply := c.post(dealCreate, big(order("A", "0.1")))
	require.Contains(t, reply, fmt.Sprintf(`"membershipId":%d`, id))
	c.post(dealCreate, big(order("B", "0.2")))
	c.post(dealCreate, big(order("C", "12345678901234567.89")))
	requireMoney(t, "12345678901234568.19", c.sb.Summary().AmountPaid)
	require.Contains(t, c.get("/v1/deals/C"), `"amountPaid":12345678901234567.89`)
	require.Contains(t, c.get("/v1/dealService/getDealByOrderNo?orderNo=C"), `"amountPaid":12345678901234567.890000`)
	c.post(dealRefund, big(refundOf("A", "0.1")))
	require.Empty(t, c.sb.Violations())
	c.post(dealRefund, big(refundOf("A", "0.01")))
	require.Equal(t, OverRefund, c.sb.Violations()[0].Kind)
	require.Contains(t, c.get("/loyalty/v1/membershipService/getMembershipByIdentity?type=mobile&value=13800000001"),
		fmt.Sprintf(`"id":%d`, id+1))
	require.Contains(t, c.get(fmt.Sprintf("/loyalty/v1/membership/%d", id)), `"mobile":"13800000000"`)
}

func TestUpdate(t *testing.T) {
	c := with(t, Switches{})
	c.post(dealCreate, order("A", "10"))
	c.post(dealUpdate, `{"orderNo":"A","amountPaid":8.5,"c_custom":[1.50]}`)
	c.post(dealUpdate, `{"orderNo":"A","amountPaid":8.5,"c_custom":[1.50]}`)
	require.Contains(t, c.get("/v1/deals/A"), `"c_custom":[1.50]`)
	requireMoney(t, "8.5", c.order("A").AmountPaid)
	requireMoney(t, "8.5", c.sb.Summary().AmountPaid)
	effects := c.sb.EffectsOf("A")
	require.Equal(t, []bool{false, false, true}, []bool{effects[0].Repeat, effects[1].Repeat, effects[2].Repeat})
	c.post(dealUpdate, `{"orderNo":"A","dealLines":[{"lineId":"l2"}]}`)
	require.Contains(t, c.get("/v1/deals/A"), `"lines":[{"lineId":"l2"}]`)
}
