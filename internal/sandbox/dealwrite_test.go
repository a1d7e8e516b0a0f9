package sandbox

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	customerDeals        = "/v1/deals"
	customerCancel       = "/v1/dealService/cancel"
	customerRefund       = "/v1/dealService/refund"
	customerDeleteRefund = "/v1/dealService/deleteRefund"
)

// The document's sample order. Its customer 8888 has the id that the seed gives
// here, and its PUT has lost a stray comma.
const (
	sampleHeader = `"customerId":90840682394599424,"orderNo":"11122233344455","amountTotal":69.0,"amountPaid":59.0,"amountDiscount":10,
		"counponCode":"222333444","groupId":"888","paymentTerm":"wechat","paymentNo":"555666777","type":"online",
		"dateOrder":"2017-04-20T12:56:47Z","store":"CL官方商城","salesChannel":"tmall","shippingMethod":"zto","contactName":"JH",
		"contactTel":"12399988877","shippingProvince":"上海","shippingCity":"上海","shippingCounty":"徐汇区",
		"shippingStreet":"汇谷科技园","shippingAddress":"上海市徐汇区汇谷科技园1幢605","lines":[{"lineId":"149766666",
		"productName":"啤酒6瓶装","productId":"1497","skuId":"149766666","category":"啤酒","qty":1,"priceUnit":69.0,
		"priceSubTotal":69.0}]`
	sampleDeal    = `{` + sampleHeader + `}`
	sampleRequest = `{` + sampleHeader + `,"customerIdentities":[
		{"identityType":"wechat","identityValue":"o123456...","identityName":"微信昵称"},
		{"identityType":"your-system-account","identityValue":"user123","identityName":"您系统里的用户名"}]}`
	sampleRefund = `{"refundLines":[{"lineId":"149766666"}],"refundTotal":69.0,"orderNo":"11122233344455",
		"refundDate":"2017-04-20T12:56:47Z","state":"完全退单","reason":""}`
)

// in2017 is a sandbox on the day after the sample's order.
func in2017(t *testing.T, sw Switches) *client {
	c := start(t, Config{Switches: sw})
	c.clock.advance(time.Date(2017, 4, 21, 0, 0, 0, 0, time.UTC).Sub(c.clock.now()))
	c.token = c.login("app", "s3cret")
	c.seed(Seed{Mobile: "13800000000"})
	return c
}

func TestDocumentedCustomerDeal(t *testing.T) {
	c := in2017(t, Switches{RefundState: true})
	require.JSONEq(t, sampleDeal, c.post(customerDeals, sampleRequest))
	shown := func(state string) string {
		return strings.TrimSuffix(sampleDeal, "}") + `,"state":"` + state + `"}`
	}
	require.JSONEq(t, shown(statePaid), c.get("/v1/deals/11122233344455"))
	require.JSONEq(t, `{"page":1,"records":1,"rows":[`+sampleDeal+`]}`, c.get(customerDeals))

	refund := `{"dateRefund":null,"dateCreated":"2017-04-21T00:00:00Z","orderNo":"11122233344455","refundTotal":69,
		"lastUpdated":"2017-04-21T00:00:00Z","customerId":90840682394599424,"reason":null,"refundLines":[`
	got := c.post(customerRefund, sampleRefund)
	require.JSONEq(t, refund+`{"customerId":90840682394599424,"skuId":"149766666","orderNo":"11122233344455","productId":"1497",
		"qty":1,"category":"啤酒","priceUnit":69.000000,"productName":"啤酒6瓶装","lineId":"149766666","refundId":2100032073,
		"priceSubTotal":69.000000}]}`, got)
	require.Contains(t, got, `"priceUnit":69.000000`)
	require.JSONEq(t, shown(stateRefunded), c.get("/v1/deals/11122233344455"))
	require.JSONEq(t, refund+`]}`, c.post(customerDeleteRefund, `{"orderNo":"11122233344455"}`))
	require.JSONEq(t, failure("409200", "Not found"), c.post(customerDeleteRefund, `{"orderNo":"11122233344455"}`))

	changed := strings.NewReplacer(`"JH"`, `"CL"`, "12399988877", "18566677788").Replace
	require.JSONEq(t, changed(sampleDeal), c.api("PUT", "/v1/deals/11122233344455", `{"contactName":"CL","contactTel":"18566677788"}`))
	require.JSONEq(t, changed(shown(stateCancelled)),
		c.post(customerCancel, `{"orderNo":"11122233344455","cancelDate":"2018-12-20T03:14:02Z"}`))

	status, body := c.request("DELETE", c.path("/v1/deals/11122233344455"), "")
	require.Equal(t, []any{204, ""}, []any{status, body})
	require.JSONEq(t, failure("409200", "Not found"), c.get("/v1/deals/11122233344455"))
	require.JSONEq(t, `{"page":1,"records":0,"rows":[]}`, c.get(customerDeals))

	var ops []string
	for _, e := range c.sb.EffectsOf("11122233344455") {
		ops = append(ops, e.Op)
		require.Equal(t, int64(1), e.Member)
		require.NotEmpty(t, e.Ref)
	}
	require.Equal(t, []string{
		OpCustomerDealCreate, OpCustomerDealRefund, OpCustomerDealDeleteRefund, OpCustomerDealUpdate, OpCustomerDealCancel, OpCustomerDealDelete,
	}, ops)
	sum := c.sb.Summary()
	require.Equal(t, []string{"59", "0", "0", "0"}, []string{
		sum.DealsPaid.String(), sum.DealsRefunded.String(), sum.AmountPaid.String(), sum.Totals.Refunded.String(),
	})
	require.Equal(t, []string{OverRefund}, kinds(c.sb.Violations()), "69 of 59")
}

func kinds(all []Violation) []string {
	var found []string
	for _, v := range all {
		found = append(found, v.Kind)
	}
	return found
}

// customerDeal is a create for the seeded customer.
func customerDeal(no, amount string) string {
	return `{"customerIdentities":[{"identityType":"mobile","identityValue":"13800000000"}],"orderNo":"` + no +
		`","dateOrder":"2017-04-20T00:00:00Z","amountPaid":` + amount + `,"lines":[{"lineId":"l1","qty":2.5}]}`
}

func TestACustomerDealIsReplaced(t *testing.T) {
	c := in2017(t, Switches{})
	c.post(customerDeals, customerDeal("A", "10.50"))
	c.post(customerDeals, customerDeal("A", "10.50"))
	require.True(t, c.sb.EffectsOf("A")[1].Repeat, "the same once more")
	require.Empty(t, c.sb.Violations())

	c.api("PUT", "/v1/deals/A", `{"remark":"x"}`)
	require.NotContains(t, c.post(customerDeals, customerDeal("A", "10.50")), "remark")
	require.Equal(t, []string{CreatedTwice}, kinds(c.sb.Violations()), "it has undone the update")
	c.post(customerDeals, customerDeal("A", "11"))
	o, _ := c.sb.CustomerDeal("", "A")
	require.Equal(t, []any{"11", 4}, []any{o.AmountPaid.String(), o.Creates})
	require.Equal(t, "11", c.sb.Summary().DealsPaid.String())
	require.Equal(t, o, c.sb.CustomerDeals()[0])
}

func TestCustomerDealErrors(t *testing.T) {
	c := in2017(t, Switches{})
	whole := customerDeal("A", "10")
	for _, name := range []string{"orderNo", "dateOrder", "amountPaid", "lines", "lineId", "identityType", "identityValue"} {
		require.JSONEq(t, failure("400005", "Missing field "+name+"!"), c.post(customerDeals, strings.Replace(whole, `"`+name+`"`, `"x"`, 1)))
	}
	require.JSONEq(t, failure("400005", "Missing field customerId!"), c.post(customerDeals, strings.Replace(whole, "customerIdentities", "identities", 1)))
	require.JSONEq(t, failure("210", "没找到会员"), c.post(customerDeals, strings.Replace(whole, "13800000000", "1", 1)))
	require.JSONEq(t, failure("210", "没找到会员"), c.post(customerDeals, strings.Replace(whole, `{`, `{"customerId":5,`, 1)))
	require.JSONEq(t, failure("400006", `Invalid customerId(\"5\")!`), c.post(customerDeals, strings.Replace(whole, `{`, `{"customerId":"5",`, 1)))
	require.JSONEq(t, failure("409200", "Not found"), c.api("PUT", "/v1/deals/A", `{}`))
	require.JSONEq(t, failure("409200", "Not found"), c.api("DELETE", "/v1/deals/A", ``))
	require.JSONEq(t, failure("409200", "Not found"), c.post(customerCancel, `{"orderNo":"A"}`))
	require.JSONEq(t, failure("400005", "Missing field orderNo!"), c.post(customerCancel, `{}`))
	require.Empty(t, c.sb.Effects())
	require.Equal(t, []string{UnknownOrder, UnknownOrder, UnknownOrder}, kinds(c.sb.Violations()))

	c.post(customerDeals, whole)
	refund := strings.Replace(sampleRefund, "11122233344455", "A", 1)
	for _, name := range []string{"orderNo", "refundTotal", "refundLines", "lineId"} {
		require.JSONEq(t, failure("400005", "Missing field "+name+"!"), c.post(customerRefund, strings.Replace(refund, `"`+name+`"`, `"x"`, 1)))
	}
	require.JSONEq(t, failure("400001", "Invalid state(退单)!"), c.post(customerRefund, strings.Replace(refund, "完全退单", "退单", 1)))
	require.JSONEq(t, failure("400001", "Invalid orderNo(B)!"), c.api("PUT", "/v1/deals/A", `{"orderNo":"B"}`))
	require.JSONEq(t, failure("400006", `Invalid json!`), c.api("PUT", "/v1/deals/A", `{`))
	require.Len(t, c.sb.Effects(), 1)
}

func TestCustomerDealsAreListedInPages(t *testing.T) {
	c := in2017(t, Switches{})
	c.seed(Seed{FirstID: 2, Mobile: "13900000000"})
	for i, no := range []string{"A", "B", "C"} {
		c.post(customerDeals, strings.Replace(customerDeal(no, "1"), "04-20T", "04-1"+[]string{"7", "5", "6"}[i]+"T", 1))
	}
	c.post(customerDeals, strings.Replace(customerDeal("D", "1"), "13800000000", "13900000000", 1))
	c.post(customerDeals, strings.Replace(customerDeal("old", "1"), "04-20T", "01-20T", 1))
	list := func(query string) string {
		var shown []string
		for _, part := range strings.Split(c.get(customerDeals+"?"+query), `"orderNo":"`)[1:] {
			shown = append(shown, part[:strings.Index(part, `"`)])
		}
		return strings.Join(shown, "")
	}
	require.Equal(t, "BCAD", list(""), "by dateOrder, the last month's")
	require.Equal(t, "DA", list("sord=desc&rows=2"))
	require.Equal(t, "CB", list("sord=desc&rows=2&page=2"))
	require.Empty(t, list("rows=2&page=3"))
	require.Equal(t, "DCBA", list("sidx=orderNo&sord=desc"))
	require.Equal(t, "D", list("customerId=90840682394599425"))
	require.JSONEq(t, failure("400006", "Invalid page(0)!"), c.get(customerDeals+"?page=0"))
	require.Empty(t, list("page=9223372036854775807&rows=2"))
}

func TestDealsApart(t *testing.T) {
	c := in2017(t, Switches{DealsApart: true})
	c.post(dealCreate, strings.Replace(order("A", "1"), "2020", "2017", 1))
	require.Contains(t, c.get("/v1/deals/A"), "409200", "loyalty's own")
	c.post(customerDeals, customerDeal("A", "2"))
	require.Contains(t, c.get("/v1/deals/A"), `"amountPaid":2`)
	c.post(customerCancel, `{"orderNo":"A"}`)
	mine, _ := c.sb.Order("", "A")
	theirs, _ := c.sb.CustomerDeal("", "A")
	require.Equal(t, []string{statePaid, stateCancelled, "1", "2"}, []string{mine.State, theirs.State, mine.AmountPaid.String(), theirs.AmountPaid.String()})
	require.Equal(t, []int{1, 1}, []int{c.sb.Summary().Orders, c.sb.Summary().Deals})
	require.Empty(t, c.sb.Violations())
	require.Contains(t, c.get("/sandbox/deals"), stateCancelled)

	c = in2017(t, Switches{})
	c.post(customerDeals, customerDeal("A", "2"))
	require.Contains(t, c.post(dealCreate, order("A", "1")), "order exists", "one store for both")
}

func TestDealCoupon(t *testing.T) {
	both := strings.NewReplacer(`"qty"`, `"counponCode":"l","couponCode":"m","qty"`, `"lines"`, `"counponCode":"h","couponCode":"i","lines"`).Replace(customerDeal("A", "1"))
	for field, want := range map[string][]string{"counponCode": {`"counponCode":"l"`, `"counponCode":"h"`}, "couponCode": {`"couponCode":"m"`, `"couponCode":"i"`}} {
		c := in2017(t, Switches{DealCoupon: field})
		got := c.post(customerDeals, both)
		require.Equal(t, 2, strings.Count(got, "ponCode"))
		require.Contains(t, got, want[0])
		require.Contains(t, got, want[1])
		require.NotContains(t, c.get("/v1/dealService/getDealByOrderNo?orderNo=A"), "counponCode")
	}
}

func TestDealDeleteReply(t *testing.T) {
	for mode, want := range map[string][]any{"no_content": {204, ""}, "empty": {200, ""}, "echo": {200, `"orderNo":"A"`}} {
		c := in2017(t, Switches{DealDeleteReply: mode})
		c.post(customerDeals, customerDeal("A", "1"))
		status, body := c.request("DELETE", c.path("/v1/deals/A"), "")
		require.Equal(t, want[0], status)
		require.Contains(t, body, want[1])
	}
}

func TestRefundsOfACustomerDeal(t *testing.T) {
	for mode, want := range map[string]string{"accumulate": "3", "overwrite": "2", "refuse": "1"} {
		c := in2017(t, Switches{Refunds: mode})
		c.post(customerDeals, customerDeal("A", "10"))
		refund := func(total string) string {
			return c.post(customerRefund, `{"orderNo":"A","refundTotal":`+total+`,"refundLines":[{"lineId":"l1"}]}`)
		}
		refund("1")
		refund("2.00")
		o, _ := c.sb.CustomerDeal("", "A")
		require.Equal(t, want, o.Refunded.String(), mode)
		require.Equal(t, want, c.sb.Summary().DealsRefunded.String())
		if mode == "accumulate" {
			got := c.post(customerDeleteRefund, `{"orderNo":"A"}`)
			require.Contains(t, got, `"refundTotal":2}`, "the newest")
			require.Contains(t, got, `"refundId":2100032073`, "one is left")
		}
	}
}

func TestStatesOfACustomerDeal(t *testing.T) {
	partly := strings.NewReplacer("11122233344455", "A", stateRefunded, statePartly, "69.0", "10", "149766666", "l1").Replace(sampleRefund)
	for shown, want := range map[bool]string{true: statePartly, false: statePaid} {
		c := in2017(t, Switches{RefundState: shown})
		c.post(customerDeals, customerDeal("A", "10"))
		c.post(customerRefund, partly)
		require.Contains(t, c.get("/v1/deals/A"), want, "as the request says, not as the amounts do")
	}
	for mode, want := range map[string]string{"echo": stateCancelled, "error": "409000"} {
		c := in2017(t, Switches{RepeatCancel: mode})
		c.post(customerDeals, customerDeal("A", "10"))
		c.post(customerCancel, `{"orderNo":"A"}`)
		require.Contains(t, c.post(customerCancel, `{"orderNo":"A"}`), want)
		require.Equal(t, 1, c.sb.Summary().ByOp[OpCustomerDealCancel].Effects)
	}
}

func TestRepeatedUpdatesOfACustomerDeal(t *testing.T) {
	c := in2017(t, Switches{})
	c.post(customerDeals, customerDeal("a/订单 %2F", "10"))
	path := "/v1/deals/a%2F%E8%AE%A2%E5%8D%95%20%252F"
	update := `{"amountPaid":8.50,"c_x":{"a":1.10},"lines":[{"lineId":"l2","qty":1,"x":null}],"remark":null}`
	require.Contains(t, c.api("PUT", path, update), `"c_x":{"a":1.10}`)
	c.api("PUT", path, update)
	effects := c.sb.EffectsOf("a/订单 %2F")
	require.Equal(t, []bool{false, false, true}, []bool{effects[0].Repeat, effects[1].Repeat, effects[2].Repeat})
	require.Equal(t, "8.5", c.sb.Summary().DealsPaid.String())
	require.Empty(t, c.sb.Violations())
	c.api("PUT", path, `{"customerId":90840682394599425}`)
	require.Empty(t, c.sb.Violations(), "nobody has that id")
	c.seed(Seed{})
	c.api("PUT", path, `{"customerId":90840682394599425}`)
	require.Equal(t, []string{MemberMismatch}, kinds(c.sb.Violations()))
}
