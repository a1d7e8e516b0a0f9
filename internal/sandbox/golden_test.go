package sandbox

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The samples are those of the documents, without comments and stray commas.

func TestDocumentedToken(t *testing.T) {
	c := start(t, Config{})
	_, body := c.request("GET", "/security/accesstoken?grant_type=client_credentials&appid=app&secret=s3cret", "")
	require.Regexp(t, `^\{"access_token":"\w+","error_code":0,"expires_in":7200\}$`, body)
	for _, q := range []string{
		"grant_type=client_credentials&appid=app&secret=no", "grant_type=client_credentials&appid=no&secret=s3cret",
		"appid=app&secret=s3cret", "",
	} {
		status, body := c.request("GET", "/security/accesstoken?"+q, "")
		require.Equal(t, 200, status)
		require.JSONEq(t, `{"error_code":"40004","error_description":"the params is illegal"}`, body)
	}
}

const memberReply = `{
"address": null, "balance": null, "birthday": "1988-01-01", "createChannel": null, "createMethod": "外部系统导入",
"customerId": null, "dateCreated": "2017-10-31T03:21:09Z", "dateJoin": "2017-10-31T03:21:09Z", "educationBackgro": null,
"email": null, "familyName": null, "gender": 1, "id": 3, "idCard": null, "img": null, "income": null, "industry": null,
"givenName": null, "lastUpdated": "2017-10-31T03:21:09Z", "level": {"priority": 0, "name": "青铜会员", "id": 422},
"membershipCode": null, "mobile": null, "name": "test", "point": 0, "source": null, "contentName": null,
"campaignId": null, "country": null, "province": null, "city": null, "county": null}`

func TestDocumentedMember(t *testing.T) {
	c := start(t, Config{})
	c.seed(Seed{Count: 2})
	c.clock.advance(time.Date(2017, 10, 31, 3, 21, 9, 0, time.UTC).Sub(c.clock.now()))
	c.token = c.login("app", "s3cret")
	const identities = `[{"type":"wechat","value":"123456","name":"cm_test"}]`

	got := c.post("/loyalty/v1/membershipAndIdentities",
		`{"membership":{"name":"test","gender":1,"birthday":"1988-01-01","mobile":"1"},"identities":`+identities+`}`)
	require.JSONEq(t, memberReply, got)
	require.JSONEq(t, memberReply, c.get("/loyalty/v1/membership/3"))
	require.JSONEq(t, `{"identities":`+identities+`,"membership":`+memberReply+`}`,
		c.get("/loyalty/v1/membershipService/getMembershipByIdentity?type=wechat&value=123456"))
	require.Equal(t, int64(3), c.sb.Effects()[0].Member)
}

func TestMemberErrors(t *testing.T) {
	c := start(t, Config{})
	c.seed(Seed{Mobile: "13800000000"})
	const find = "/loyalty/v1/membershipService/getMembershipByIdentity"
	create := func(body string) string { return c.post("/loyalty/v1/membershipAndIdentities", body) }

	require.JSONEq(t, failure("210", "没找到会员"), c.get(find+"?type=mobile&value=1"))
	require.JSONEq(t, failure("100", "Missing field value!"), c.get(find+"?type=mobile"))
	require.JSONEq(t, failure("100", "Missing field type!"), c.get(find+"?value=1"))
	require.JSONEq(t, failure("210", "没找到会员"), c.get("/loyalty/v1/membership/99"))
	require.JSONEq(t, failure("210", "没找到会员"), c.get("/loyalty/v1/membership/x"))
	require.JSONEq(t, failure("400005", "Missing field membership!"), create(`{"identities":[]}`))
	require.JSONEq(t, failure("400006", "Invalid membership(1)!"), create(`{"membership":1}`))
	require.JSONEq(t, failure("400001", "Missing field identities!"), create(`{"membership":{}}`))
	require.JSONEq(t, failure("400001", "Missing field value!"), create(`{"membership":{},"identities":[{"type":"mobile"}]}`))
	require.JSONEq(t, failure("220", "身份类型不存在"), create(`{"membership":{},"identities":[{"type":"x","value":"1"}]}`))
	require.JSONEq(t, failure("222", "身份类型存在"), create(`{"membership":{},"identities":[{"type":"mobile","value":"13800000000"}]}`))
	require.JSONEq(t, failure("400006", "Invalid json!"), create(`{`))
	require.Empty(t, c.sb.Effects())
}

func TestDocumentedPoints(t *testing.T) {
	c := start(t, Config{})
	c.seed(Seed{FirstID: 399})
	const sample = `{"point":8,"pattern":0,"date":"2018-07-11T09:55:35Z","remark":"赠送200","source":"天猫",
		"contentName":"大转盘H5","campaignId":"4ea92f31fc8a4c4aa45555e918f86f4e"}`
	require.JSONEq(t, sample, c.post("/loyalty/v1/membership/399/point/incr", sample))
	require.JSONEq(t, sample, c.post("/loyalty/v1/membership/399/point/decr", sample))
	require.JSONEq(t, `{"error":{"code":"409181","message":"Zero points!","point":0}}`,
		c.post("/loyalty/v1/membership/399/point/decr", sample))
	require.JSONEq(t, `{"error":{"code":"409181","message":"Zero points!","point":0}}`,
		c.post("/loyalty/v1/membership/399/point/decr", `{"point":1,"pattern":1,"decrToZero":true}`))

	c.seed(Seed{FirstID: 5, Points: 2})
	require.JSONEq(t, `{"error":{"code":"409180","message":"Points not enough!","point":2}}`,
		c.post("/loyalty/v1/membership/5/point/decr", `{"point":3,"pattern":1,"decrToZero":false}`))
	require.JSONEq(t, `{"point":3,"pattern":1}`,
		c.post("/loyalty/v1/membership/5/point/decr", `{"point":3,"pattern":1,"decrToZero":true}`))
	last := c.sb.Effects()[len(c.sb.Effects())-1]
	require.Equal(t, int64(-2), last.Points)
	require.JSONEq(t, failure("210", "没找到会员"), c.post("/loyalty/v1/membership/6/point/incr", sample))
}

func TestPointErrors(t *testing.T) {
	c := start(t, Config{})
	c.seed(Seed{Points: 10})
	for body, want := range map[string]string{
		`{"pattern":0}`:                             failure("400005", "Missing field point!"),
		`{"point":null,"pattern":0}`:                failure("400005", "Missing field point!"),
		`{"point":1}`:                               failure("400005", "Missing field pattern!"),
		`{"point":1.5,"pattern":0}`:                 failure("400006", "Invalid point(1.5)!"),
		`{"point":0,"pattern":0}`:                   failure("400006", "Invalid point(0)!"),
		`{"point":-1,"pattern":0}`:                  failure("400006", "Invalid point(-1)!"),
		`{"point":2147483648,"pattern":0}`:          failure("400006", "Invalid point(2147483648)!"),
		`{"point":1,"pattern":6}`:                   failure("400001", "Invalid pattern(6)!"),
		`{"point":1,"pattern":0,"uuid":1}`:          failure("400006", "Invalid uuid(1)!"),
		`{"point":1,"pattern":0,"decrToZero":1}`:    failure("400006", "Invalid decrToZero(1)!"),
		`{"point":1,"pattern":0,"uuid_timeout":[]}`: failure("400006", "Invalid uuid_timeout([])!"),
		`[]`: failure("400006", "Invalid json!"),
	} {
		require.JSONEq(t, want, c.post("/loyalty/v1/membership/1/point/incr", body), body)
	}
	require.Empty(t, c.sb.Effects())
	require.Contains(t, c.post("/loyalty/v1/membership/1/point/decr", `{"point":1,"pattern":6}`), `"pattern":6`)
}

func TestDocumentedPointDetails(t *testing.T) {
	c := start(t, Config{Switches: Switches{UUIDTrace: "external_id"}})
	c.clock.advance(time.Date(2018, 7, 11, 9, 55, 35, 0, time.UTC).Sub(c.clock.now()))
	c.token = c.login("app", "s3cret")
	c.seed(Seed{FirstID: 399, Points: 119})
	c.post("/loyalty/v1/membership/399/point/decr",
		`{"point":5,"pattern":3,"date":"2018-07-11T09:55:35Z","uuid":"wechat_leave_message"}`)
	const details = "/loyalty/v1/membership/399/point"
	row := `{"id":248,"contentName":null,"campaignId":null,"date":"2018-07-11T09:55:35Z",
		"dateCreated":"2018-07-11T09:55:35Z","leftPoint":114,"lastUpdated":"2018-07-11T09:55:35Z","pattern":3,
		"source":null,"newPoint":114,"tenantId":26,"membershipId":399,"point":5,"oldPoint":119,"type":-1,"status":-1,
		"expireDate":null,"remark":null,"externalId":"wechat_leave_message"}`
	require.JSONEq(t, `{"rows":[`+row+`],"records":1,"total":1}`, c.get(details+"?rows=20&page=1&sord=asc&needTotal=true"))
	require.JSONEq(t, `{"rows":[`+row+`]}`, c.get(details))

	c.clock.advance(30 * 24 * time.Hour)
	c.token = c.login("app", "s3cret")
	require.JSONEq(t, `{"rows":[]}`, c.get(details), "details reach 30 days back")
	require.Contains(t, c.get("/loyalty/v1/membership/399"), `"point":114`)
}

func TestPointDetailsArePaged(t *testing.T) {
	c := start(t, Config{})
	c.seed(Seed{})
	for _, n := range []string{"1", "2", "3", "4", "5"} {
		c.post("/loyalty/v1/membership/1/point/incr", points(n, "u"+n))
	}
	page := func(q string) string { return c.get("/loyalty/v1/membership/1/point?" + q) }
	require.Regexp(t, `"remark":"u3".*"remark":"u4"`, page("rows=2&page=2"))
	require.Regexp(t, `"records":5,.*"remark":"u3".*"remark":"u2".*"total":3`, page("rows=2&page=2&sord=desc&needTotal=true"))
	require.JSONEq(t, `{"rows":[]}`, page("rows=2&page=4"))
}

func TestDocumentedDealCreate(t *testing.T) {
	c := start(t, Config{})
	c.seed(Seed{FirstID: 16508})
	const request = `{"membershipId":16508,"orderNo":"deal_201912110081","dateOrder":"2019-12-11T07:52:30Z","amountPaid":30,
		"store":"store","salesChannel":"taobao","dealLines":[{"lineId":"l_01","productId":"Id001","skuId":"s01",
		"productName":"Name001","qty":1,"priceUnit":5,"priceSubTotal":5,"priceSubPaid":5}]}`
	require.JSONEq(t, `{"store":"store","dateCreated":"2020-04-30T06:07:00Z","dateOrder":"2019-12-11T07:52:30Z",
		"state":"已付款","membershipId":16508,"salesChannel":"taobao","orderNo":"deal_201912110081",
		"lastUpdated":"2020-04-30T06:07:00Z","amountPaid":30,"id":8281,"dealLines":[{"productId":"Id001","skuId":"s01",
		"qty":1,"priceUnit":5,"priceSubTotal":5,"orderNo":"deal_201912110081","priceSubPaid":5,"lineId":"l_01",
		"productName":"Name001"}]}`, c.post(dealCreate, request))
}

// sampleOrder is the order 123456 of §11.2 to §11.5, as those samples need it.
const sampleOrder = `{"identities":[{"type":"wechat","value":"123456","name":"cm_test"}],"orderNo":"123456",
	"dateOrder":"2020-04-29T00:00:00","amountPaid":5000,"store":"s","salesChannel":"pos","dealLines":[
	{"lineId":"11111","productName":"a","qty":1},{"lineId":"22222","productName":"b","qty":2.5}]}`

func TestDocumentedDealWrites(t *testing.T) {
	c := start(t, Config{})
	c.post("/loyalty/v1/membershipAndIdentities",
		`{"membership":{"name":"test"},"identities":[{"type":"wechat","value":"123456","name":"cm_test"}]}`)
	require.Contains(t, c.post(dealCreate, sampleOrder), `"membershipId":1,`)
	id := `"id":"8281"`
	const lines = `"dealLines":[{"lineId":"11111"},{"lineId":"22222"}]`
	const named = `{"membershipId":1,"orderNo":"123456"}`

	require.JSONEq(t, `{"membershipId":1,"identities":[{"type":"wechat","value":"123456","name":"cm_test"}],
		"orderNo":"123456",`+id+`,`+lines+`,"state":"已付款"}`,
		c.post(dealUpdate, `{"membershipId":1,"orderNo":"123456",`+lines+`}`))
	require.JSONEq(t, `{"membershipId":1,"orderNo":"123456","refundTotal":"1111","refundLines":[{"lineId":"11111"}]}`,
		c.post(dealRefund, `{"refundLines":[{"lineId":"11111"}],"refundTotal":1111,"orderNo":"123456","membershipId":1,
			"dateRefund":"2017-04-22T12:56:47Z"}`))
	require.JSONEq(t, `{"refundTotal":1111,"orderNo":"123456","membershipId":1,"dateRefund":"2017-04-22T12:56:47Z",
		"refundLines":[{"lineId":"11111"}]}`, c.post(dealDeleteRefund, named))
	require.JSONEq(t, failure("409200", "Not found"), c.post(dealDeleteRefund, named))
	require.JSONEq(t, `{"membershipId":1,"orderNo":"123456",`+id+`,`+lines+`,"state":"已取消"}`, c.post(dealCancel, named))
	require.JSONEq(t, `{"membershipId":1,"orderNo":"123456",`+id+`,`+lines+`}`, c.post(dealDelete, named))
	require.JSONEq(t, failure("409200", "Not found"), c.post(dealDelete, named))
	require.JSONEq(t, failure("409200", "Not found"), c.post(dealCancel, named))
}

func TestDealErrors(t *testing.T) {
	c := start(t, Config{})
	c.seed(Seed{})
	whole := order("A", "1")
	for _, name := range []string{"salesChannel", "store", "orderNo", "dateOrder", "membershipId", "amountPaid", "dealLines"} {
		without := strings.Replace(whole, `"`+name+`"`, `"x"`, 1)
		require.JSONEq(t, failure("400005", "Missing field "+name+"!"), c.post(dealCreate, without))
	}
	for _, name := range []string{"lineId", "productName", "qty"} {
		without := strings.Replace(whole, `"`+name+`"`, `"x"`, 1)
		require.JSONEq(t, failure("400005", "Missing field "+name+"!"), c.post(dealCreate, without))
	}
	for old, wrong := range map[string]string{
		`"amountPaid":1`:                     `"amountPaid":"1"`,
		`"membershipId":1`:                   `"membershipId":"1"`,
		`"dateOrder":"2020-04-29T00:00:00Z"`: `"dateOrder":"yesterday"`,
		`"store":"s"`:                        `"store":1`,
		`"qty":1`:                            `"qty":"1"`,
	} {
		require.Contains(t, c.post(dealCreate, strings.Replace(whole, old, wrong, 1)), `"code":"400006"`, wrong)
	}
	require.JSONEq(t, failure("210", "没找到会员"), c.post(dealCreate, strings.Replace(whole, `Id":1`, `Id":2`, 1)))
	require.JSONEq(t, failure("409200", "Not found"), c.post(dealRefund, refundOf("A", "1")))
	require.JSONEq(t, failure("409200", "Not found"), c.post(dealUpdate, `{"orderNo":"A"}`))
	require.Empty(t, c.sb.Effects())

	c.post(dealCreate, whole)
	for _, name := range []string{"membershipId", "orderNo", "dateRefund", "refundTotal", "refundLines", "lineId"} {
		without := strings.Replace(refundOf("A", "1"), `"`+name+`"`, `"x"`, 1)
		require.JSONEq(t, failure("400005", "Missing field "+name+"!"), c.post(dealRefund, without))
	}
	require.Len(t, c.sb.Effects(), 1)
}

func TestDocumentedDealRead(t *testing.T) {
	c := start(t, Config{})
	c.seed(Seed{})
	c.post(dealCreate, `{"membershipId":1,"orderNo":"11111111024","amountTotal":69.0,"amountPaid":59.00,"amountDiscount":10,
		"groupId":"888","paymentTerm":"wechat","paymentNo":"555666777","type":"online","dateOrder":"2020-04-20T12:56:47Z",
		"store":"CL官方商城","salesChannel":"tmall","shippingMethod":"zto","contactName":"JH","contactTel":"12399988877",
		"shippingProvince":"上海","shippingCity":"上海","shippingCounty":"徐汇区","shippingStreet":"汇谷科技园",
		"shippingAddress":"上海市徐汇区汇谷科技园1幢605","dealLines":[{"lineId":"149766666","productName":"啤酒6瓶装",
		"productId":"1497","skuId":"149766666","category":"啤酒","qty":1,"priceUnit":69.0,"priceSubTotal":69.0}]}`)
	want := `{"campaign":null,"shippingCounty":"徐汇区","shippingStreet":"汇谷科技园","zipcode":null,
		"shippingAddress":"上海市徐汇区汇谷科技园1幢605","salesChannel":"tmall","amountPaid":59.000000,"contactName":"JH",
		"shippingCity":"上海","state":"已付款","merchantPoint":null,"groupId":"888","amountTotal":69.000000,"couponCode":null,
		"contactTel":"12399988877","dateOrder":"2020-04-20T12:56:47Z","buyerMessage":null,"customerId":90840682394599424,
		"shippingMethod":"zto","paymentTerm":"wechat","shippingProvince":"上海","store":"CL官方商城",
		"amountDiscount":10.000000,"discountType":null,"paymentNo":"555666777","remark":null,"type":"online","lines":[{
		"couponCode":null,"priceSubPaid":null,"skuId":"149766666","lNum3":null,"lNum2":null,"lNum4":null,"category":"啤酒",
		"priceUnit":69.000000,"brandName":null,"priceSubTotal":69.000000,"lNum1":null,"discountType":null,"lDate3":null,
		"lDate2":null,"lAttr6":null,"productId":"1497","lDate4":null,"lAttr5":null,"productName":"啤酒6瓶装","qty":1,
		"lineId":"149766666","lAttr4":null,"lAttr3":null,"lDate1":null,"lAttr2":null,"lAttr1":null}],
		"orderNo":"11111111024","customerIdStr":"90840682394599424"}`
	got := c.get("/v1/dealService/getDealByOrderNo?orderNo=11111111024")
	require.JSONEq(t, want, got)
	require.Contains(t, got, `"amountPaid":59.000000`)
	require.Contains(t, got, `"customerId":90840682394599424`)

	got = c.get("/v1/deals/11111111024")
	require.Contains(t, got, `"amountPaid":59.00,`)
	require.Contains(t, got, `"lines":[{`)
	require.NotContains(t, got, `"membershipId"`)

	require.JSONEq(t, failure("400005", "Missing field orderNo!"), c.get("/v1/dealService/getDealByOrderNo"))
	c.post(dealCancel, `{"membershipId":1,"orderNo":"11111111024"}`)
	require.Contains(t, c.get("/v1/deals/11111111024"), `"state":"已取消"`)
}

func TestOrderNumbersWithSlashes(t *testing.T) {
	c := start(t, Config{})
	c.seed(Seed{})
	c.post(dealCreate, order("a/b c%20", "1"))
	require.Contains(t, c.get("/v1/deals/a%2Fb%20c%2520"), `"orderNo":"a/b c%20"`)
}

func TestUndocumentedPathsAreNotFound(t *testing.T) {
	c := start(t, Config{})
	for _, path := range []string{"/loyalty/v1/dealService/update", "/loyalty/v1/deals", "/"} {
		status, _ := c.request("POST", c.path(path), `{}`)
		require.Equal(t, 404, status, path)
	}
	status, _ := c.request("GET", c.path(dealCreate), "")
	require.Equal(t, 404, status)
	require.Len(t, c.sb.Violations(), 4)
}
