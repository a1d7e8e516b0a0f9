package sandbox

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// FuzzWrites holds that no body breaks the sandbox: each reply is JSON, and
// only what the ledger shows has changed.
func FuzzWrites(f *testing.F) {
	f.Add(order("A", "1e2"))
	f.Add(order("A", "1e999999999"))
	f.Add(refundOf("A", "-0.10"))
	f.Add(points("8", "u"))
	f.Add(`{"orderNo":"A","dealLines":[null]}`)
	f.Add(`{"membership":{"point":[]},"identities":[{"type":"c_","value":"\u0000"}]}`)
	f.Add(`{"orderNo":"A","amountTotal":1e999999999,"dealLines":[{"priceUnit":1e-999999999}]}`)
	f.Add(`null`)
	f.Add(`[{"type":"wechat","value":"1"},{}]`)
	f.Add(`{"couponId":"11111","provider":"jpush","appKey":"k","pushId":"p","os":"ios","membershipId":"1"}`)
	f.Add(`{"oldMobile":"13800000000","newMobile":"\u0000","membershipId":1,"gender":[],"identities":{}}`)
	f.Add(customerDeal("A", "1e2"))
	f.Add(sampleRefund)
	f.Add(`{"orderNo":"A","customerId":1e99,"lines":[{"lineId":"l","qty":1e-9999999}],"counponCode":null}`)
	f.Fuzz(func(t *testing.T, body string) {
		sb, err := New(Config{
			Accounts: []Account{{AppID: "a", Secret: "s"}},
			Switches: Switches{DealPoints: true, RefundState: true, ExistingOrder: "replace"},
		})
		require.NoError(t, err)
		_, err = sb.SeedMembers(Seed{Count: 1, Mobile: "13800000000"})
		require.NoError(t, err)
		do := func(method, path, body string) []byte {
			w := httptest.NewRecorder()
			sb.ServeHTTP(w, httptest.NewRequest(method, path, strings.NewReader(body)))
			require.Equal(t, 200, w.Code, path)
			require.True(t, json.Valid(w.Body.Bytes()), "%s: %s", path, w.Body)
			return w.Body.Bytes()
		}
		var token struct {
			Token string `json:"access_token"`
		}
		login := do("GET", "/security/accesstoken?grant_type=client_credentials&appid=a&secret=s", "")
		require.NoError(t, json.Unmarshal(login, &token))
		q := "?access_token=" + token.Token
		do("POST", dealCreate+q, order("A", "1"))
		for _, path := range []string{
			incr, decr, dealCreate, dealUpdate, dealRefund, dealDeleteRefund, dealCancel, dealDelete,
			"/loyalty/v1/membershipAndIdentities", "/loyalty/v1/membership/1/bindIdentity", "/loyalty/v1/membership/1/coupon/draw",
			"/loyalty/v1/membershipCoupon/34636772868722688/redeem", "/loyalty/v1/appPush/register",
			"/loyalty/v1/membershipService/listMembershipByIdentities",
		} {
			before := len(sb.Effects())
			do("POST", path+q, body)
			require.LessOrEqual(t, len(sb.Effects()), before+1)
		}
		do("POST", customerDeals+q, customerDeal("A", "1"))
		for _, path := range []string{customerDeals, customerRefund, customerDeleteRefund, customerCancel} {
			before := len(sb.Effects())
			do("POST", path+q, body)
			require.LessOrEqual(t, len(sb.Effects()), before+1)
		}
		do("PUT", "/v1/deals/A"+q, body)
		do("PUT", "/loyalty/v1/membership/1"+q, body)
		do("PUT", mobileCall+q, body)
		do("GET", customerDeals+q, "")
		do("GET", "/v1/deals/A"+q, "")
		do("GET", "/v1/dealService/getDealByOrderNo"+q+"&orderNo=A", "")
		do("GET", details+q, "")
		balance, _ := sb.Balance("", 1)
		sum := sb.Summary()
		require.Equal(t, balance, sum.PointsIn-sum.PointsOut)
	})
}

// FuzzParse holds the quick reader of JSON objects against encoding/json.
func FuzzParse(f *testing.F) {
	for _, s := range []string{
		order("A", "1e2"), ` { "a" : [ 1 , {"b":"}\"]"} ] , "c\u0041" : null , "d":-1.5e+3,"e":true } `, `{}`, `[]`, `null`, `{`, `{"a":1}x`,
		`{"a":[],"a":[null,"",{},[[]]]}`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		var want map[string]json.RawMessage
		ok := utf8.ValidString(s) && json.Unmarshal([]byte(s), &want) == nil && want != nil
		got, parsed := parse([]byte(s))
		if !utf8.ValidString(s) {
			return
		}
		require.Equal(t, ok, parsed)
		require.Len(t, got, len(want))
		for name, raw := range want {
			require.Equal(t, string(raw), string(got[name]))
			if raw[0] != '[' {
				continue
			}
			var list []json.RawMessage
			require.NoError(t, json.Unmarshal(raw, &list))
			require.Equal(t, list, elements(raw))
		}
	})
}
