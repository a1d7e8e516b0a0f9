package sandbox

import (
	"crypto/md5"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	pospalReads = "/pospal-api2/openapi/v1/promotionOpenApi/"
	addCodePath = "/pospal-api/api/auth/openapi/promotion/addCouponcode/"
	useCodePath = "/pospal-api/api/auth/openapi/promotioncouponcode/use/"
)

// startTill is a Pospal store with one customer beside the DM Hub account.
func startTill(t testing.TB, sw PospalSwitches) *client {
	t.Helper()
	c := start(t, Config{
		Accounts: []Account{
			{AppID: "app", Secret: "s3cret"},
			{AppID: "till", Secret: "key", Store: "po", Vendor: Pospal}, {AppID: "till2", Secret: "key2", Store: "po", Vendor: Pospal},
		},
		Switches: Switches{Pospal: sw},
	})
	_, err := c.sb.SeedMembers(Seed{Store: "po", FirstID: 580988838483990582, Count: 1})
	require.NoError(t, err)
	return c
}

// signed sends a body with these headers.
func (c *client) signed(path, body string, headers map[string]string) (int, string) {
	c.t.Helper()
	req, err := http.NewRequest(http.MethodPost, c.url+path, strings.NewReader(body))
	require.NoError(c.t, err)
	for name, v := range headers {
		req.Header.Set(name, v)
	}
	resp, err := c.http.Do(req)
	require.NoError(c.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	return resp.StatusCode, string(b)
}

func headersOf(key, body string) map[string]string {
	return map[string]string{
		"User-Agent": "openApi", "time-stamp": "1588226820000", "data-signature": fmt.Sprintf("%X", md5.Sum([]byte(key+body))),
	}
}

// till calls Pospal's API: its app id is added to the members given.
func (c *client) till(path, members string) string {
	c.t.Helper()
	body := strings.TrimSuffix(`{"appId":"till",`+members, ",") + "}"
	status, reply := c.signed(path, body, headersOf("key", body))
	require.Equal(c.t, 200, status)
	return reply
}

func addition(code string, rule, customer int64) string {
	s := fmt.Sprintf(`"promotionCouponUid":%d,"code":%q`, rule, code)
	if customer != 0 {
		s += fmt.Sprintf(`,"customerUid":%d`, customer)
	}
	return s
}

func pospalError(code, message string) string {
	return `{"status":"error","messages":["` + message + `"],"errorCode":` + code + `,"data":null}`
}

const tillsCustomer = 580988838483990582

func TestPospalChecksTheSignatureOverTheBytes(t *testing.T) {
	c := startTill(t, PospalSwitches{})
	path := pospalReads + "queryCouponPromotions"
	body := `{ "appId":"till" }`
	good := headersOf("key", body)
	with := func(name, v string) map[string]string {
		h := map[string]string{}
		for k, v := range good {
			h[k] = v
		}
		h[name] = v
		return h
	}
	for _, tt := range []struct {
		name, body string
		headers    map[string]string
		code       string
	}{
		{"signed", body, good, ""},
		{"not signed", body, with("data-signature", ""), "1031"},
		{"in small letters", body, with("data-signature", strings.ToLower(good["data-signature"])), "1032"},
		{"with another key", body, headersOf("key2", body), "1032"},
		{"of another body", `{"appId":"till"}`, good, "1032"},
		{"at no time", body, with("time-stamp", ""), "1033"},
		{"at a time in words", body, with("time-stamp", "2020-04-30"), "1033"},
		{"by another program", body, with("User-Agent", "curl"), "1033"},
		{"by nobody", `{"appId":"nobody"}`, headersOf("key", `{"appId":"nobody"}`), "1034"},
		{"by another vendor's", `{"appId":"app"}`, headersOf("s3cret", `{"appId":"app"}`), "1034"},
		{"without a body", ``, headersOf("key", ``), "1034"},
	} {
		status, reply := c.signed(path, tt.body, tt.headers)
		require.Equal(t, 200, status, tt.name)
		var e struct {
			Status    string
			ErrorCode json.Number
		}
		require.NoError(t, json.Unmarshal([]byte(reply), &e))
		require.Equal(t, tt.code, string(e.ErrorCode), tt.name)
		require.Equal(t, map[bool]string{true: "success", false: "error"}[tt.code == ""], e.Status)
	}
	require.Equal(t, 1, c.sb.CallsToday("till"), "what is refused costs nothing")
}

func TestPospalCodesAreAddedOnceAndUsed(t *testing.T) {
	c := startTill(t, PospalSwitches{})
	add := func(members string) string { return c.till(addCodePath, members) }
	require.JSONEq(t, `{"status":"success","messages":[],"errorCode":null,"data":{"codeExpiredDate":"2036-01-01 00:00:00","customrUid":580988838483990582}}`,
		add(addition("C1", firstRule, tillsCustomer)))
	require.JSONEq(t, pospalError("3004", "优惠券号已存在"), add(addition("C1", firstRule, 0)))
	require.JSONEq(t, pospalError("3001", "优惠券无效"), add(addition("C2", 7, 0)))
	require.JSONEq(t, pospalError("3002", "优惠券已停用"), add(addition("C2", firstRule+1, 0)))
	require.JSONEq(t, pospalError("2015", "没有找到会员"), add(addition("C2", firstRule, 7)))
	for _, bad := range []string{
		addition("C-2", firstRule, 0), addition("", firstRule, 0), addition(strings.Repeat("1", 51), firstRule, 0),
		`"code":"C2"`, `"code":"C2","promotionCouponUid":"x"`, `"code":7,"promotionCouponUid":1`,
	} {
		require.Contains(t, add(bad), `"errorCode":9003`, bad)
	}
	require.Contains(t, add(addition("L1", firstRule+2, 0)), `"codeExpiredDate"`)
	require.Contains(t, add(addition("L2", firstRule+2, 0)), `"success"`)
	require.JSONEq(t, pospalError("3003", "优惠券号数量不足"), add(addition("L3", firstRule+2, 0)))

	use := func(members string) string { return c.till(useCodePath, members) }
	require.JSONEq(t, pospalError("3001", "优惠券无效"), use(`"code":"C9"`))
	require.JSONEq(t, pospalError("3001", "优惠券无效"), use(`"code":"C1","customerUid":7`))
	require.Contains(t, use(`"code":"C1","useDateTime":"2020-04-30T14:00:00"`), "9003")
	require.JSONEq(t, `{"status":"success","messages":[],"errorCode":null,"data":null}`,
		use(`"code":"C1","customerUid":580988838483990582,"useDateTime":"2020-04-30 13:00:00"`))
	require.JSONEq(t, pospalError("3001", "优惠券无效"), use(`"code":"C1"`))

	var ops []string
	for _, e := range c.sb.EffectsOf("C1") {
		ops = append(ops, e.Op+" "+e.Ref)
		require.EqualValues(t, tillsCustomer, e.Member)
	}
	require.Equal(t, []string{"pospal.code_add 23498234", "pospal.code_use 23498234"}, ops)
	require.Equal(t, PospalCode{
		Store: "po", Code: "C1", Promotion: firstRule, Customer: tillsCustomer, Used: true, UsedBy: "till",
		UsedAt: time.Date(2020, 4, 30, 5, 0, 0, 0, time.UTC),
	}, c.sb.PospalCodes()[0])
	sum := c.sb.Summary()
	require.Equal(t, 3, sum.Codes)
	require.Equal(t, 3, sum.ByOp[OpPospalCodeAdd].Effects)
	require.Equal(t, 1, sum.ByOp[OpPospalCodeUse].Effects)
	require.Equal(t, c.sb.CallsToday("till"), sum.CallsToday["till"])
	require.Empty(t, c.sb.Violations())
}

func TestPospalSwitchesSayWhatTheDocumentDoesNot(t *testing.T) {
	c := startTill(t, PospalSwitches{
		DoubleUse: "success", ExistingCode: "success", UseTime: "server", CodeType: "string", MessagesType: "text", StatusCase: "upper",
	})
	c.till(addCodePath, addition("C1", firstRule, tillsCustomer))
	require.Contains(t, c.till(addCodePath, addition("C1", firstRule, 0)), `"SUCCESS"`)
	require.Len(t, c.sb.EffectsOf("C1"), 1, "the first one stays")
	c.till(useCodePath, `"code":"C1","useDateTime":"2020-04-29 13:00:00"`)
	require.Equal(t, c.clock.now(), c.sb.PospalCodes()[0].UsedAt)
	require.Empty(t, c.sb.Violations())
	require.JSONEq(t, `{"status":"SUCCESS","messages":"","errorCode":null,"data":null}`, c.till(useCodePath, `"code":"C1"`))
	require.Equal(t, CodeUsedTwice, c.sb.Violations()[0].Kind)
	require.JSONEq(t, `{"status":"ERROR","messages":"优惠券无效","errorCode":"3001","data":null}`, c.till(useCodePath, `"code":"C2"`))
	for _, bad := range []PospalSwitches{{DoubleUse: "x"}, {PageSize: -1}, {DailyQuota: -1}, {OverQuotaStatus: 7}, {OverQuotaCode: "x"}} {
		require.ErrorContains(t, c.sb.SetSwitches(Switches{Pospal: bad}), "pospal.")
	}
}

func TestPospalCountsCallsByChinasDay(t *testing.T) {
	c := startTill(t, PospalSwitches{DailyQuota: 2})
	list := func() string { return c.till(pospalReads+"queryCouponPromotions", "") }
	for range 2 {
		require.Contains(t, list(), "success")
	}
	require.JSONEq(t, pospalError("1042", "超出每日访问次数"), list())
	body := `{"appId":"till2"}`
	_, reply := c.signed(pospalReads+"queryCouponPromotions", body, headersOf("key2", body))
	require.Contains(t, reply, "success", "each app id has its own")

	sw := c.sb.Switches()
	sw.Pospal.OverQuotaCode, sw.Pospal.OverQuotaStatus = "7", 429
	require.NoError(t, c.sb.SetSwitches(sw))
	body = `{"appId":"till"}`
	status, reply := c.signed(pospalReads+"queryCouponPromotions", body, headersOf("key", body))
	require.Equal(t, 429, status)
	require.Contains(t, reply, `"errorCode":7`)

	c.clock.t = time.Date(2020, 4, 30, 15, 59, 59, 0, time.UTC)
	require.Equal(t, 2, c.sb.CallsToday("till"))
	c.clock.advance(time.Second) // midnight in Shanghai
	require.Zero(t, c.sb.CallsToday("till"))
	require.Contains(t, list(), "success")
}

func TestPospalPagesGoOnWhereTheyAreTold(t *testing.T) {
	c := startTill(t, PospalSwitches{PageSize: 2})
	for i := range 5 {
		c.till(addCodePath, addition(fmt.Sprintf("C%d", i), firstRule, tillsCustomer))
		if i < 3 {
			c.till(useCodePath, fmt.Sprintf(`"code":"C%d"`, i))
		}
	}
	type pageOf struct {
		PageSize          int
		PostBackParameter json.RawMessage
		Result            []struct{ Code, UsedByUserAppID string }
	}
	type reply struct {
		pageOf
		Data *pageOf
	}
	read := func(path, members string) (codes []string, sizes []int) {
		back := ""
		for {
			var r reply
			require.NoError(t, json.Unmarshal([]byte(c.till(path, members+back)), &r))
			if r.Data == nil {
				r.Data = &r.pageOf
			}
			for _, row := range r.Data.Result {
				codes = append(codes, row.Code)
			}
			sizes = append(sizes, r.Data.PageSize)
			if len(r.Data.Result) < 2 {
				return codes, sizes
			}
			back = `,"postBackParameter":` + string(r.Data.PostBackParameter)
		}
	}
	customer := `"customerUid":580988838483990582`
	codes, sizes := read(pospalReads+"queryCustomerCouponCodePage", customer)
	require.Equal(t, []string{"C4", "C3", "C2", "C1", "C0"}, codes)
	require.Equal(t, []int{2, 2, 2}, sizes)
	day := `"startTime":"2020-04-28 00:00:00","excludeEndTime":"2020-05-03 00:00:00"`
	codes, _ = read(pospalReads+"queryUsedPromotionCode", day)
	require.Equal(t, []string{"C2", "C1", "C0"}, codes)
	codes, _ = read(pospalReads+"queryPromotionPages", `"x":1`)
	require.Len(t, codes, 3, "they have no code, but they are there")

	again := c.till(pospalReads+"queryPromotionPages", "")
	require.Contains(t, again, `"postBackParameter":{"parameterType": 1, "parameterValue": 1199186483387900202.50}`)
	require.NotContains(t, again, `"data"`)
	lost := c.till(pospalReads+"queryPromotionPages", `"postBackParameter":{"parameterType":1,"parameterValue":1199186483387900202.50}`)
	require.Contains(t, lost, "9003", "not as it was told")

	for _, bad := range []string{
		`"startTime":"2020-04-28 00:00:00","excludeEndTime":"2020-05-03 00:00:01"`, `"startTime":"2020-04-28 00:00:00","excludeEndTime":"2020-04-28 00:00:00"`,
		`"startTime":"2020-04-28 00:00:00"`,
	} {
		require.Contains(t, c.till(pospalReads+"queryUsedPromotionCode", bad), "9003", bad)
	}
	require.Contains(t, c.till(pospalReads+"queryCustomerCouponCodePage", ""), "9003")

	require.NoError(t, c.sb.SetSwitches(Switches{ReadsLag: Duration(time.Minute)}))
	require.Contains(t, c.till(pospalReads+"queryCustomerCouponCodePage", customer), `"result":[]`)
	require.Contains(t, c.till(pospalReads+"queryUsedPromotionCode", day), `"result":[]`)
}

func TestPospalRules(t *testing.T) {
	c := startTill(t, PospalSwitches{PageSizeShown: "hidden"})
	require.NoError(t, c.sb.AddPospalPromotion(PospalPromotion{Store: "po", UID: 7, Name: "别店的券", AppID: "till2"}))
	require.JSONEq(t, pospalError("2016", "没有权限"), c.till(addCodePath, addition("C1", 7, 0)))
	rule := c.till(pospalReads+"queryCouponPromotionByUid", `"promotionCouponUid":7`)
	require.Contains(t, rule, `"name":"别店的券"`)
	require.Contains(t, rule, `"createUserAppId":"till2"`)
	require.JSONEq(t, pospalError("3001", "优惠券无效"), c.till(pospalReads+"queryCouponPromotionByUid", `"promotionCouponUid":8`))
	require.Contains(t, c.till(pospalReads+"queryCouponPromotionByUid", ""), "9003")
	list := c.till(pospalReads+"queryCouponPromotions", "")
	require.Equal(t, 3, strings.Count(list, `"enable":1`))
	require.NotContains(t, list, "停用")
	require.NotContains(t, c.till(pospalReads+"queryPromotionPages", ""), "pageSize")

	require.Error(t, c.sb.AddPospalPromotion(PospalPromotion{Store: "po", UID: 7}))
	require.Error(t, c.sb.AddPospalPromotion(PospalPromotion{Store: "", UID: 8}), "not a Pospal store")
	require.Error(t, c.sb.SetPospalCode(PospalCode{Store: "po", Code: "X", Promotion: 8}))
}

func TestWhatATillDoesIsNoEffect(t *testing.T) {
	c := startTill(t, PospalSwitches{})
	status, reply := c.request("POST", "/sandbox/pospal/codes", fmt.Sprintf(`{"store":"po","code":"T1","promotion":%d,"customer":580988838483990582}`, firstRule))
	require.Equal(t, 200, status, reply)
	require.JSONEq(t, pospalError("3004", "优惠券号已存在"), c.till(addCodePath, addition("T1", firstRule, 0)))
	status, _ = c.request("POST", "/sandbox/pospal/codes", `{"store":"po","code":"T1","used":true}`)
	require.Equal(t, 200, status)
	require.JSONEq(t, pospalError("3001", "优惠券无效"), c.till(useCodePath, `"code":"T1"`))
	require.Contains(t, c.till(pospalReads+"queryUsedPromotionCode", `"startTime":"2020-04-30 14:00:00","excludeEndTime":"2020-04-30 15:00:00"`), `"usedByUserAppId":null`)
	_, reply = c.request("GET", "/sandbox/pospal/codes", "")
	require.Contains(t, reply, `"code":"T1"`)
	status, _ = c.request("POST", "/sandbox/pospal/promotions", `{"store":"po","uid":9}`)
	require.Equal(t, 200, status)
	status, _ = c.request("POST", "/sandbox/pospal/promotions", `{"store":"po","uid":9}`)
	require.Equal(t, 400, status)
	require.Empty(t, c.sb.Effects())
}

func TestPospalWritesOfOneCodeOverlap(t *testing.T) {
	c := startTill(t, PospalSwitches{})
	require.NoError(t, c.sb.SetRules(Rule{Faults: []Fault{"hang_before"}, Ops: []string{OpPospalCodeAdd}, Times: 1}))
	body := `{"appId":"till",` + addition("C1", firstRule, 0) + `}`
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, c.url+addCodePath, strings.NewReader(body))
	require.NoError(t, err)
	for name, v := range headersOf("key", body) {
		req.Header.Set(name, v)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		hung := http.Client{Transport: c.http.Transport, Timeout: 2 * time.Second}
		if resp, err := hung.Do(req); err == nil {
			resp.Body.Close()
		}
	}()
	require.Eventually(t, func() bool { return len(c.sb.CallsOf("C1")) == 1 }, 5*time.Second, time.Millisecond)
	c.till(useCodePath, `"code":"C1"`)
	<-done
	require.Equal(t, Overlap, c.sb.Violations()[0].Kind)
	require.Equal(t, 2, c.sb.Summary().LaneMax["po/code/C1"])
}

func TestPospalPathsAreNotGuessed(t *testing.T) {
	c := startTill(t, PospalSwitches{})
	body := `{"appId":"till"}`
	for _, path := range []string{strings.TrimSuffix(addCodePath, "/"), strings.TrimSuffix(useCodePath, "/"), strings.ToLower(pospalReads) + "querycouponpromotions"} {
		status, _ := c.signed(path, body, headersOf("key", body))
		require.Equal(t, 404, status)
	}
	require.Len(t, c.sb.Violations(), 3)
}
