package sandbox

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// at sets the clock and logs in anew.
func (c *client) at(year int, month time.Month, day, hour, minute, second int) {
	c.clock.advance(time.Date(year, month, day, hour, minute, second, 0, time.UTC).Sub(c.clock.now()))
	c.token = c.login("app", "s3cret")
}

func TestDocumentedMemberWrites(t *testing.T) {
	c := start(t, Config{})
	c.at(2017, 10, 31, 3, 7, 47)
	c.post("/loyalty/v1/membershipAndIdentities", `{"membership":{"name":"test","gender":1,"birthday":"1988-01-01","cm_test2":true},
		"identities":[{"type":"wechat","value":"123456","name":"cm_test"}]}`)
	c.at(2017, 10, 31, 5, 56, 57)
	const updated = `{"address":null,"balance":null,"birthday":"1988-01-01","createChannel":null,"createMethod":"外部系统导入",
		"customerId":null,"dateCreated":"2017-10-31T03:07:47Z","dateJoin":"2017-10-31T03:07:47Z","educationBackgro":null,
		"email":"111@test.com","familyName":null,"gender":0,"id":1,"idCard":null,"img":null,"income":null,"industry":null,
		"givenName":null,"lastUpdated":"2017-10-31T05:56:57Z","level":{"priority":0,"name":"青铜会员","id":422},
		"membershipCode":null,"mobile":null,"name":"test1","point":0,"source":null,"contentName":null,"campaignId":null,
		"country":null,"province":null,"city":null,"county":null,"cm_test2":true}`
	require.JSONEq(t, updated, c.api("PUT", "/loyalty/v1/membership/1?forceUpdate=false", `{"name":"test1","gender":0,"email":"111@test.com"}`))

	const bound = `[{"name":"cm_test1","type":"wechat","value":"666"}]`
	require.JSONEq(t, bound, c.post("/loyalty/v1/membership/1/bindIdentity", bound))
	require.JSONEq(t, `{"rows":[{"identities":[{"type":"wechat","value":"123456","name":"cm_test"},{"name":"cm_test1","type":"wechat","value":"666"}],
		"membership":`+updated+`}]}`,
		c.post("/loyalty/v1/membershipService/listMembershipByIdentities", `[{"type":"wechat","value":"666"},{"type":"wechat","value":"333"}]`))

	require.JSONEq(t, `{"result":"success"}`, c.api("DELETE", "/loyalty/v1/membership/identity/1?type=wechat&value=666", ""))
	require.JSONEq(t, `{"error":{"code":409225,"message":"Identity not found"}}`,
		c.api("DELETE", "/loyalty/v1/membership/identity/1?type=wechat&value=666", ""))
	require.JSONEq(t, `{"error":{"code":409224,"message":"Identity is last one"}}`,
		c.api("DELETE", "/loyalty/v1/membership/identity/1?type=wechat&value=123456", ""))

	c.seed(Seed{FirstID: 85, Mobiles: []string{"123"}})
	require.Contains(t, c.api("PUT", "/loyalty/v1/membershipService/updateMobile", `{"oldMobile":"123","newMobile":"456","membershipId":85}`), `"mobile":"456"`)
	require.Contains(t, c.get("/loyalty/v1/membershipService/getMembershipByIdentity?type=mobile&value=456"), `"id":85`)
	require.JSONEq(t, failure("210", "没找到会员"), c.get("/loyalty/v1/membershipService/getMembershipByIdentity?type=mobile&value=123"))
	require.Empty(t, c.sb.Violations())
}

func TestDocumentedReads(t *testing.T) {
	c := start(t, Config{})
	c.at(2018, 1, 22, 10, 9, 18)
	c.seed(Seed{FirstID: 667, Experience: 10})
	c.clock.advance(dealWindow)
	c.token = c.login("app", "s3cret")
	require.Contains(t, c.get("/loyalty/v1/membership/667/exp/changeLogs?rows=20&page=1&sord=asc&needTotal=true"),
		`"records":1,"rows":[{"dateCreated":"2017-12-23T10:09:18Z",`)

	c.at(2019, 4, 3, 6, 9, 4)
	c.post("/loyalty/v1/membershipAndIdentities", `{"membership":{"name":"x"},"identities":[{"type":"mobile","value":"13817704167"}]}`)
	require.JSONEq(t, `{"id":8,"tenantId":26,"dateCreated":"2019-04-03T06:09:04Z","membershipId":668,"lastUpdated":"2019-04-03T06:09:04Z",
		"md5type":"common","value":"13817704167","type":"mobile","md5value":"66f2a37ccdb1933d821ffb51d4922d1c"}`,
		c.get("/loyalty/v1/membershipService/getMembershipIdentityByMd5?md5type=common&md5value=66f2a37ccdb1933d821ffb51d4922d1c"))
	require.JSONEq(t, failure("409200", "Not found"),
		c.get("/loyalty/v1/membershipService/getMembershipIdentityByMd5?md5type=tmall&md5value=66f2a37ccdb1933d821ffb51d4922d1c"))

	require.Regexp(t, `^\{"rows":\[.*"id":667,.*"id":668,`, c.get("/loyalty/v1/membership"))
	require.Regexp(t, `^\{"records":2,"rows":\[[^\]]*"id":668,.*\],"total":2\}$`, c.get("/loyalty/v1/membership?rows=1&page=1&sord=desc&needTotal=true"))

	rules := c.get("/loyalty/v1/settings/level/rules")
	require.Contains(t, rules, `"consumption":{"enabled":false,"month":12,"number":5000}`)
	require.Contains(t, rules, `{"desp":null,"id":62,"isForever":false,"name":"2","operator":"or","priority":1,"rules":{},"status":0}`)

}

// sampleCoupon is the coupon of §13.4 to §13.7, of which only status and member vary.
func sampleCoupon(status string) string {
	return `{"dateDraw":"2017-12-05T05:54:10Z","endDate":"2017-12-15","couponId":"STxgWromTbt727eBcPOo",
		"qrcodeUrl":"http://127.0.0.1:8004/loyalty/qrimg/cnik8caw3EqPVCLAFP4IsmVeXwqb-EtxJSw3gugIq-0","membershipId":1,
		"barcodeUrl":"http://127.0.0.1:8004/loyalty/barimg/cnik8caw3EqPVCLAFP4IsmVeXwqb-EtxJSw3gugIq-0","dateRedeem":null,
		"uuid":"cnik8caw3EqPVCLAFP4IsmVeXwqb-EtxJSw3gugIq-0\r\n","startDate":"2017-12-10","couponCode":"34636772868722688",
		"status":"` + status + `","couponType":1,"couponName":"test","couponLabel":"test","couponSubLabel":"test","note":"test",
		"channels":[{"couponId":"test","couponChannel":"offline","url":null}],
		"rule":{"goodsLimit":"null","freeFee":null,"discount":null,"amountLimit":null}}`
}

func TestDocumentedCoupons(t *testing.T) {
	c := start(t, Config{})
	c.at(2017, 12, 5, 5, 54, 10)
	c.seed(Seed{Count: 1})
	const kind = `{"channels":[{"couponId":"test","couponChannel":"offline","url":null}],"couponId":"STxgWromTbt727eBcPOo",
		"couponLabel":"test","couponName":"test","couponSubLabel":"test","couponType":1,"drawLimit":100,"note":"test",
		"rule":{"amountLimit":null,"discount":null,"freeFee":null,"goodsLimit":"null"},"total":100000,
		"validDate":{"startDays":5,"validDays":5},"validType":2}`
	require.JSONEq(t, `{"rows":[`+kind+`],"total":2,"records":2}`, c.get("/loyalty/v1/coupon?needTotal=true&rows=1&page=1"))
	require.JSONEq(t, kind, c.get("/loyalty/v1/coupon/STxgWromTbt727eBcPOo"))
	require.JSONEq(t, `{"rows":[`+kind+`]}`, c.get("/loyalty/v1/couponService/getCouponByChannel?channel=offline&couponId=test"))
	for _, path := range []string{"/coupon/test", "/couponService/getCouponByChannel?channel=online&couponId=test"} {
		require.JSONEq(t, failure("409000", "coupon not found"), c.get("/loyalty/v1"+path))
	}

	draw := func() string {
		return c.post("/loyalty/v1/membership/1/coupon/draw", `{"couponId":"STxgWromTbt727eBcPOo"}`)
	}
	require.JSONEq(t, sampleCoupon("notStarted"), draw())
	require.JSONEq(t, sampleCoupon("notStarted"), c.get("/loyalty/v1/membershipCoupon/34636772868722688"))
	require.JSONEq(t, failure("409000", "coupon is notStarted"), c.post("/loyalty/v1/membershipCoupon/34636772868722688/redeem", `{"membershipId":1}`))
	c.at(2017, 12, 10, 0, 0, 0)
	require.JSONEq(t, sampleCoupon("used"), c.post("/loyalty/v1/membershipCoupon/34636772868722688/redeem", `{"membershipId":1}`))
	require.JSONEq(t, `{"rows":[`+sampleCoupon("used")+`],"total":1,"records":1}`,
		c.get("/loyalty/v1/membership/1/coupon?needTotal=true"), "without a status used ones are shown too")
	require.JSONEq(t, `{"rows":[]}`, c.get("/loyalty/v1/membership/1/coupon?status=normal"))

	draw()
	c.at(2018, 1, 1, 0, 0, 0)
	require.Contains(t, c.get("/loyalty/v1/membershipCoupon/34636772868722689"), `"status":"expired"`)
	require.JSONEq(t, failure("409000", "coupon is expired"), c.post("/loyalty/v1/membershipCoupon/34636772868722689/redeem", `{"membershipId":1}`))
	require.Equal(t, []string{"34636772868722688", "34636772868722688", "34636772868722689"}, c.refs())
	sum := c.sb.Summary()
	require.Equal(t, []int{2, 1}, []int{sum.Coupons, sum.CouponsUsed})
}

func (c *client) refs() (refs []string) {
	for _, e := range c.sb.Effects() {
		refs = append(refs, e.Ref)
	}
	return refs
}

func TestDocumentedDevice(t *testing.T) {
	c := start(t, Config{})
	c.seed(Seed{FirstID: 7, Mobiles: []string{"13800000000"}})
	register := func(rest string) string {
		return c.post("/loyalty/v1/appPush/register", `{"provider":"jpush","appKey":"k","pushId":"p","os":"ios"`+rest+`}`)
	}
	reply := func(member string) string {
		return `{"appKey":"k","membershipId":` + member + `,"os":"ios","provider":"jpush","pushId":"p"}`
	}
	require.JSONEq(t, reply("null"), register(""))
	require.JSONEq(t, reply(`"7"`), register(`,"membershipId":"7"`))
	require.JSONEq(t, reply(`"7"`), register(`,"membershipId":7`))
	require.JSONEq(t, reply(`"7"`), register(`,"membershipId":99,"mobile":"13800000000"`))
	require.JSONEq(t, reply(`null`), register(`,"membershipId":99,"mobile":"1"`))
	require.JSONEq(t, failure("400005", "Missing field provider!"), c.post("/loyalty/v1/appPush/register", `{"appKey":"k"}`))
	require.JSONEq(t, failure("400001", "Invalid os(winphone)!"),
		c.post("/loyalty/v1/appPush/register", `{"provider":"getui","appKey":"k","pushId":"p","os":"winphone"}`))
	require.Equal(t, []Device{{Provider: "jpush", AppKey: "k", PushID: "p", OS: "ios"}}, c.sb.Devices(), "the latest counts")
	require.Equal(t, OpTotals{Calls: 7, Effects: 3}, c.sb.Summary().ByOp[OpDeviceRegister], "two set what was there")
	require.JSONEq(t, `{"store":"","provider":"jpush","app_key":"k","push_id":"p","os":"ios"}`, c.admin("GET", "/sandbox/devices", "", 200))
}
