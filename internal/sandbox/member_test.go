package sandbox

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const mobileCall = "/loyalty/v1/membershipService/updateMobile"

// people are members 1 and 2 with the mobile numbers 123 and 124.
func people(t *testing.T, sw MemberSwitches) *client {
	t.Helper()
	c := start(t, Config{Switches: Switches{Members: sw}})
	c.seed(Seed{Mobiles: []string{"123", "124"}})
	return c
}

func (c *client) identities(member int64) []string {
	c.t.Helper()
	p, found := c.sb.Profile("", member)
	require.True(c.t, found)
	return p.Identities
}

func TestAnUpdateKeepsWhatOtherCallsSet(t *testing.T) {
	c := people(t, MemberSwitches{})
	update := func(force, body string) string {
		return c.api("PUT", "/loyalty/v1/membership/1?forceUpdate="+force, body)
	}
	reply := update("false", `{"id":9,"mobile":"999","point":5,"level":null,"name":null,"source":"a","c_x":1.10}`)
	require.Contains(t, reply, `"id":1,`)
	require.Contains(t, reply, `"mobile":"123"`)
	require.Contains(t, reply, `"point":0`)
	require.Contains(t, reply, `"source":"a"`)
	require.Contains(t, reply, `"c_x":1.10`)
	require.Contains(t, update("false", `{"source":"b"}`), `"source":"a"`)
	require.Contains(t, update("true", `{"source":"b"}`), `"source":"b"`)
	require.Contains(t, c.api("PUT", "/loyalty/v1/membership/9", `{}`), `"code":"210"`)
	require.Equal(t, OpTotals{Calls: 4, Effects: 2}, c.sb.Summary().ByOp[OpMemberUpdate], "one changed nothing")
}

func TestIdentitiesAreOneMembers(t *testing.T) {
	c := people(t, MemberSwitches{})
	bind := func(body string) string { return c.post("/loyalty/v1/membership/1/bindIdentity", body) }
	require.JSONEq(t, failure("222", "身份类型存在"), bind(`[{"type":"wechat","value":"1"},{"type":"mobile","value":"124"}]`))
	require.JSONEq(t, failure("220", "身份类型不存在"), bind(`[{"type":"x","value":"1"}]`))
	require.JSONEq(t, failure("400001", "Missing field identities!"), bind(`[]`))
	require.JSONEq(t, failure("400001", "Missing field value!"), bind(`[{"type":"wechat"}]`))
	require.JSONEq(t, failure("400006", "Invalid json!"), bind(`{}`))
	require.Equal(t, []string{"mobile:123"}, c.identities(1), "all or none")
	require.Contains(t, c.api("DELETE", "/loyalty/v1/membership/identity/1?type=mobile&value=124", ""), "409225", "another's")
	require.Contains(t, c.api("DELETE", "/loyalty/v1/membership/identity/1?type=mobile", ""), `"code":100`)

	bind(`[{"type":"wechat","value":"1"}]`)
	require.Contains(t, c.api("DELETE", "/loyalty/v1/membership/identity/1?type=mobile&value=123", ""), "success")
	require.Contains(t, c.get("/loyalty/v1/membership/1"), `"mobile":null`, "删除的身份类型为mobile则会清空对应会员的号码")
	require.Equal(t, []string{"wechat:1"}, c.identities(1))
	require.NotContains(t, c.post("/loyalty/v1/membership/2/bindIdentity", `[{"type":"mobile","value":"123"}]`), "error", "it is free again")
}

func TestRepeatsOfMembersWrites(t *testing.T) {
	for mode, want := range map[string][3]string{
		"error": {`"code":"222"`, `"code":"212"`, `"message":"coupon is used"`},
		"echo":  {`"value":"1"`, `"mobile":"456"`, `"status":"used"`},
	} {
		c := people(t, MemberSwitches{BindAgain: mode, MobileAgain: mode, RedeemTwice: mode})
		c.post("/loyalty/v1/membership/1/coupon/draw", `{"couponId":"11111"}`)
		for i, call := range []func() string{
			func() string {
				return c.post("/loyalty/v1/membership/1/bindIdentity", `[{"type":"wechat","value":"1"}]`)
			},
			func() string {
				return c.api("PUT", mobileCall, `{"oldMobile":"123","newMobile":"456","membershipId":1}`)
			},
			func() string {
				return c.post("/loyalty/v1/membershipCoupon/34636772868722688/redeem", `{"membershipId":1}`)
			},
		} {
			require.NotContains(t, call(), "error")
			require.Contains(t, call(), want[i])
		}
		for _, op := range []string{OpMemberBind, OpMemberMobile, OpCouponRedeem} {
			require.Equal(t, OpTotals{Calls: 2, Effects: 1}, c.sb.Summary().ByOp[op])
		}
		require.Equal(t, []string{"mobile:456", "wechat:1"}, c.identities(1))
	}
}

func TestMobileErrors(t *testing.T) {
	c := people(t, MemberSwitches{})
	for body, want := range map[string]string{
		`{"newMobile":"456","membershipId":1}`:                   failure("400005", "Missing field oldMobile!"),
		`{"oldMobile":"123","newMobile":"456"}`:                  failure("400005", "Missing field membershipId!"),
		`{"oldMobile":"123","newMobile":"456","membershipId":9}`: failure("210", "没找到会员"),
		`{"oldMobile":"9","newMobile":"456","membershipId":1}`:   failure("212", "身份验证错误"),
		`{"oldMobile":"123","newMobile":"124","membershipId":1}`: failure("222", "身份类型存在"),
	} {
		require.JSONEq(t, want, c.api("PUT", mobileCall, body))
	}
	require.Empty(t, c.sb.Effects())
}

func TestCouponLimits(t *testing.T) {
	c := people(t, MemberSwitches{})
	c.admin("POST", "/sandbox/coupons", `{"coupon_id":"one","draw_limit":1,"total":2}`, 200)
	require.Contains(t, c.admin("POST", "/sandbox/coupons", `{"coupon_id":"one"}`, 400), "is empty or there already")
	require.Contains(t, c.admin("POST", "/sandbox/coupons", `{"coupon_id":"x","store":"y"}`, 400), `store "y" isn't any account's`)
	require.Contains(t, c.admin("POST", "/sandbox/coupons", `{"coupon_id":"x","type":4}`, 400), "type is 1 to 3")
	c.seed(Seed{Count: 1})
	draw := func(member string) string {
		return c.post("/loyalty/v1/membership/"+member+"/coupon/draw", `{"couponId":"one"}`)
	}
	require.Contains(t, draw("1"), `"status":"normal"`)
	require.JSONEq(t, failure("409000", "draw limit reached"), draw("1"))
	require.Contains(t, draw("2"), `"couponCode":"34636772868722689"`)
	require.JSONEq(t, failure("409000", "no coupon left"), draw("3"))
	require.JSONEq(t, failure("210", "没找到会员"), draw("9"))
	require.JSONEq(t, failure("409000", "coupon not found"), c.post("/loyalty/v1/membership/1/coupon/draw", `{"couponId":"no"}`))
	require.JSONEq(t, failure("400005", "Missing field couponId!"), c.post("/loyalty/v1/membership/1/coupon/draw", `{}`))
	require.JSONEq(t, failure("409000", "coupon of another member"),
		c.post("/loyalty/v1/membershipCoupon/34636772868722688/redeem", `{"membershipId":2}`))
	require.JSONEq(t, failure("409200", "Not found"), c.post("/loyalty/v1/membershipCoupon/1/redeem", `{"membershipId":1}`))
	require.JSONEq(t, failure("400005", "Missing field membershipId!"), c.post("/loyalty/v1/membershipCoupon/1/redeem", `{}`))
	require.Regexp(t, `^\{"store":"","code":"34636772868722688","coupon_id":"one","member":1,"status":"normal",`, c.admin("GET", "/sandbox/coupons", "", 200))
}

func TestMembersReadsLag(t *testing.T) {
	c := people(t, MemberSwitches{})
	require.NoError(t, c.sb.SetSwitches(Switches{ReadsLag: Duration(time.Minute)}))
	c.clock.advance(time.Hour)
	find := func(mobile string) string {
		return c.get("/loyalty/v1/membershipService/getMembershipByIdentity?type=mobile&value=" + mobile)
	}
	c.api("PUT", mobileCall, `{"oldMobile":"123","newMobile":"456","membershipId":1}`)
	c.post("/loyalty/v1/membership/1/coupon/draw", `{"couponId":"11111"}`)
	c.post("/loyalty/v1/membershipCoupon/34636772868722688/redeem", `{"membershipId":1}`)
	require.Contains(t, find("123"), `"mobile":"123"`)
	require.Contains(t, find("456"), `"code":"210"`)
	require.JSONEq(t, `{"rows":[]}`, c.get("/loyalty/v1/membership/1/coupon"))
	require.JSONEq(t, failure("409200", "Not found"), c.get("/loyalty/v1/membershipCoupon/34636772868722688"))

	c.clock.advance(30 * time.Second)
	c.api("PUT", mobileCall, `{"oldMobile":"456","newMobile":"789","membershipId":1}`)
	c.clock.advance(30 * time.Second)
	require.Contains(t, find("456"), `"mobile":"456"`, "each change has its own time")
	require.Contains(t, find("123"), `"code":"210"`)
	require.Contains(t, find("789"), `"code":"210"`)
	require.Contains(t, c.get("/loyalty/v1/membershipCoupon/34636772868722688"), `"status":"used"`)
	c.clock.advance(30 * time.Second)
	require.Contains(t, find("789"), `"mobile":"789"`)
}

func TestWritesOfOneMemberOrCouponOverlap(t *testing.T) {
	c := people(t, MemberSwitches{})
	c.post("/loyalty/v1/membership/1/coupon/draw", `{"couponId":"11111"}`)
	redeem := "/loyalty/v1/membershipCoupon/34636772868722688/redeem"
	giveUp := c.hang(Rule{Faults: []Fault{"hang_before"}, Times: 1}, "34636772868722688", redeem, `{"membershipId":1}`)
	c.post(redeem, `{"membershipId":1}`)
	giveUp()
	require.Equal(t, 1, c.sb.Summary().Violations[Overlap])
	require.Equal(t, map[string]int{"coupon/34636772868722688": 2}, c.sb.Summary().LaneMax)
}

func TestIdentitiesShownAndTotalsSwapped(t *testing.T) {
	c := people(t, MemberSwitches{IdentitiesShown: "asked", TotalsSwapped: true})
	c.post("/loyalty/v1/membership/1/bindIdentity", `[{"type":"wechat","value":"1","name":"n"}]`)
	require.Regexp(t, `^\{"identities":\[\{"name":"n","type":"wechat","value":"1"\}\],`,
		c.get("/loyalty/v1/membershipService/getMembershipByIdentity?type=wechat&value=1"))
	require.Contains(t, c.get("/loyalty/v1/membership?needTotal=true&rows=20"), `"total":2`)
	require.Contains(t, c.get("/loyalty/v1/membership?needTotal=true&rows=20"), `"records":1`)
	require.Contains(t, c.admin("POST", "/sandbox/switches", `{"members":{"bind_again":"x"}}`, 400), `switch members.bind_again is "x"`)
}
