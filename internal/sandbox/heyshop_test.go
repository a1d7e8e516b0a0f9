package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	levelPath  = "/api/loyalty/level/"
	pointsPath = "/api/loyalty/point_history/"
	adjustPath = pointsPath + "adjust/"
)

// startShop is a HeyShop shop with the document's customer beside the DM Hub account.
func startShop(t testing.TB, cfg Config) *client {
	t.Helper()
	cfg.Accounts = []Account{{AppID: "app", Secret: "s3cret"}, {AppID: "shop", Secret: "bearer-token", Store: "hey", Vendor: HeyShop}}
	c := start(t, cfg)
	_, err := c.sb.SeedMembers(Seed{Store: "hey", FirstID: 100000, Count: 1, Mobile: "13400000000", Name: "test"})
	require.NoError(t, err)
	return c
}

// hey calls HeyShop's API.
func (c *client) hey(method, path, body string) (int, string) {
	c.t.Helper()
	req, err := http.NewRequest(method, c.url+path, strings.NewReader(body))
	require.NoError(c.t, err)
	req.Header.Set("Authorization", "Bearer bearer-token")
	resp, err := c.http.Do(req)
	require.NoError(c.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	return resp.StatusCode, string(b)
}

func levelRule(id int, title string, condition, gain, redeem string) string {
	prefix := ""
	if id > 0 {
		prefix = fmt.Sprintf(`"id":%d,`, id)
	}
	return fmt.Sprintf(`{%s"title":%q,"condition_points":%s,"sign_points":0,"gain_points":%s,"redeem_points":%s,
		"redeem_limitation":0,"redeem_limitation_monthly":0}`, prefix, title, condition, gain, redeem)
}

func TestHeyShopLevelsAreTheDocuments(t *testing.T) {
	c := startShop(t, Config{})
	status, body := c.hey("GET", levelPath, "")
	require.Equal(t, 200, status)
	require.JSONEq(t, `{"count":3,"next":null,"previous":null,"results":[`+
		levelRule(5, "初级会员", "0", "0", "0")+","+levelRule(8, "黄金会员", "1000", "0", "0")+","+levelRule(9, "白金会员", "2000", "0", "0")+`]}`, body)
	status, body = c.hey("GET", levelPath+"5/", "")
	require.Equal(t, 200, status)
	require.JSONEq(t, levelRule(5, "初级会员", "0", "0", "0"), body)

	status, body = c.hey("POST", levelPath, levelRule(0, "特殊会员", "100", "1", "100"))
	require.Equal(t, 201, status)
	require.JSONEq(t, levelRule(27, "特殊会员", "100", "1", "100"), body)
	status, body = c.hey("PUT", levelPath+"27/", levelRule(0, "特殊会员", "100", "1.50", "100"))
	require.Equal(t, 200, status)
	require.JSONEq(t, levelRule(27, "特殊会员", "100", "1.5", "100"), body)
	c.hey("PUT", levelPath+"27/", levelRule(0, "特殊会员", "100", "1.5", "100"))
	require.Len(t, c.sb.Levels(), 4)
	status, body = c.hey("DELETE", levelPath+"27/", "")
	require.Equal(t, 204, status)
	require.Empty(t, body)
	status, body = c.hey("DELETE", levelPath+"27/", "")
	require.Equal(t, 404, status)
	require.JSONEq(t, `{"detail":"Not found."}`, body)

	var seen []string
	for _, e := range c.sb.EffectsOf("27") {
		seen = append(seen, fmt.Sprint(e.Op, " ", e.Ref, " ", e.Repeat))
	}
	require.Equal(t, []string{
		OpHeyShopLevelUpdate + " 27 false", OpHeyShopLevelUpdate + " 27 true", OpHeyShopLevelDelete + " 27 false",
	}, seen)
	require.Equal(t, "27", c.sb.EffectsOf("特殊会员")[0].Ref, "a create's key is its title")
}

func TestHeyShopPointsAreTheDocuments(t *testing.T) {
	c := startShop(t, Config{})
	_, err := c.sb.AddHeyShopEntry(HeyShopEntry{Store: "hey", Customer: 100000, Points: 0, Kind: "buy"})
	require.NoError(t, err)
	c.clock.advance(time.Microsecond)
	status, body := c.hey("POST", adjustPath, `{"customer_id":100000,"points":100}`)
	require.Equal(t, 201, status)
	const customer = `{"id":100000,"mobile":"13400000000","full_name":"test","gender":"unknown","email":null,"birthday":null,"note":"",
		"accepts_marketing":true,"created_at":"2020-03-31T14:07:00.000000+08:00","updated_at":"2020-03-31T14:07:00.000000+08:00"}`
	require.JSONEq(t, `{"id":11743,"customer":`+customer+`,"points":100,"kind":"manual","order":null,
		"created_at":"2020-04-30T14:07:00.000001+08:00"}`, body)
	balance, _ := c.sb.Balance("hey", 100000)
	require.Equal(t, int64(100), balance)

	_, body = c.hey("GET", pointsPath+"11742/", "")
	require.JSONEq(t, `{"id":11742,"customer":`+customer+`,"points":0,"kind":"buy","order_id":2540025,
		"created_at":"2020-04-30T14:07:00.000000+08:00"}`, body)
	_, body = c.hey("GET", pointsPath+"?customer=100000&page_size=1", "")
	require.JSONEq(t, `{"count":2,"next":"http://shop.heidianer.com/api/loyalty/point_history/?page=2","previous":null,"results":[
		{"id":11743,"customer":`+customer+`,"points":100,"kind":"manual","order":null,"created_at":"2020-04-30T14:07:00.000001+08:00"}]}`, body)
	_, body = c.hey("GET", pointsPath+"?customer__in=1,100000&page=2&page_size=1", "")
	var page struct {
		Next    *string
		Results []struct{ Order map[string]json.RawMessage }
	}
	require.NoError(t, json.Unmarshal([]byte(body), &page))
	require.Nil(t, page.Next)
	require.Equal(t, "2540025", string(page.Results[0].Order["id"]))
	require.JSONEq(t, customer, string(page.Results[0].Order["customer"]))
	require.Contains(t, page.Results[0].Order, "lines")

	effect := c.sb.EffectsOf("100000")[0]
	require.Equal(t, []any{OpHeyShopAdjust, int64(100), "11743", "hey"}, []any{effect.Op, effect.Points, effect.Ref, effect.Store})
	require.Len(t, c.sb.Effects(), 1, "what the shop itself does is no effect")
	require.Equal(t, int64(100), c.sb.Summary().PointsIn)
}

func TestHeyShopErrors(t *testing.T) {
	c := startShop(t, Config{})
	for _, tt := range []struct {
		method, path, body string
		status             int
		reply              string
	}{
		{"POST", adjustPath, `{"customer_id":1,"points":1}`, 400, `{"customer_id":["Invalid pk \"1\" - object does not exist."]}`},
		{"POST", adjustPath, `{"customer_id":100000}`, 400, `{"points":["This field is required."]}`},
		{"POST", adjustPath, `{"customer_id":100000,"points":null}`, 400, `{"points":["This field may not be null."]}`},
		{"POST", adjustPath, `{"customer_id":100000,"points":1.5}`, 400, `{"points":["A valid integer is required."]}`},
		{"POST", adjustPath, `{`, 400, `{"detail":"JSON parse error"}`},
		{"POST", levelPath, `{"title":" ","condition_points":1}`, 400, `{"title":["This field may not be blank."]}`},
		{"PUT", levelPath + "5/", `{"title":"x","condition_points":-1}`, 400, `{"condition_points":["Ensure this value is greater than or equal to 0."]}`},
		{"PUT", levelPath + "6/", `{"title":"x","condition_points":1}`, 404, `{"detail":"Not found."}`},
		{"GET", levelPath + "6/", ``, 404, `{"detail":"Not found."}`},
		{"GET", pointsPath + "1/", ``, 404, `{"detail":"Not found."}`},
		{"GET", pointsPath + "?page=2", ``, 404, `{"detail":"Invalid page."}`},
		{"GET", pointsPath + "?customer=x", ``, 400, `{"customer":["Select a valid choice. x is not one of the available choices."]}`},
	} {
		status, body := c.hey(tt.method, tt.path, tt.body)
		require.Equal(t, tt.status, status, "%s %s", tt.path, body)
		require.JSONEq(t, tt.reply, body)
	}
	require.Empty(t, c.sb.Effects())
	for _, header := range []string{"", "Bearer s3cret", "Basic bearer-token"} {
		req, err := http.NewRequest("GET", c.url+levelPath, nil)
		require.NoError(t, err)
		req.Header.Set("Authorization", header)
		resp, err := c.http.Do(req)
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		require.Equal(t, 401, resp.StatusCode, "a secret of another vendor's account isn't a token")
	}
	_, reply := c.request("GET", "/security/accesstoken?grant_type=client_credentials&appid=shop&secret=bearer-token", "")
	require.Contains(t, reply, "40004", "nor the other way round")
	require.Empty(t, c.sb.Violations())
	status, _ := c.hey("GET", "/api/loyalty/level", "")
	require.Equal(t, 404, status)
	require.Equal(t, UnknownPath, c.sb.Violations()[0].Kind)
}

func TestHeyShopSwitches(t *testing.T) {
	take := func(t *testing.T, negative string) (int, string, int64) {
		c := startShop(t, Config{Switches: Switches{HeyShop: HeyShopSwitches{NegativePoints: negative}}})
		_, err := c.sb.AddHeyShopEntry(HeyShopEntry{Store: "hey", Customer: 100000, Points: 30})
		require.NoError(t, err)
		status, body := c.hey("POST", adjustPath, `{"customer_id":100000,"points":-50}`)
		var reply struct{ Points json.Number }
		if status < 300 {
			require.NoError(t, json.Unmarshal([]byte(body), &reply))
		}
		balance, _ := c.sb.Balance("hey", 100000)
		return status, reply.Points.String(), balance
	}
	for negative, want := range map[string][3]any{
		"": {201, "-50", int64(-20)}, "refused": {400, "", int64(30)}, "cut": {201, "-30", int64(0)}, "absolute": {201, "50", int64(80)},
	} {
		t.Run(negative, func(t *testing.T) {
			status, points, balance := take(t, negative)
			require.Equal(t, want, [3]any{status, points, balance})
		})
	}
	t.Run("orders of the history", func(t *testing.T) {
		for order, want := range map[string]string{"": "11745 11744 11743", "oldest": "11742 11743 11744", "none": ""} {
			c := startShop(t, Config{Switches: Switches{HeyShop: HeyShopSwitches{HistoryOrder: order, MaxPageSize: 3}}})
			for range 4 {
				c.hey("POST", adjustPath, `{"customer_id":100000,"points":1}`)
			}
			_, body := c.hey("GET", pointsPath+"?page_size=100", "")
			var page struct{ Results []struct{ ID json.Number } }
			require.NoError(t, json.Unmarshal([]byte(body), &page))
			require.Len(t, page.Results, 3)
			ids := fmt.Sprint(page.Results[0].ID, " ", page.Results[1].ID, " ", page.Results[2].ID)
			if want == "" {
				require.NotContains(t, []string{"11745 11744 11743", "11742 11743 11744"}, ids)
				continue
			}
			require.Equal(t, want, ids)
		}
	})
	_, err := New(Config{Accounts: []Account{{AppID: "a", Secret: "s"}}, Switches: Switches{HeyShop: HeyShopSwitches{HistoryOrder: "x"}}})
	require.ErrorContains(t, err, "heyshop.history_order")
	for _, bad := range []HeyShopSwitches{{MaxPageSize: -1}, {CreateStatus: 400}} {
		_, err := New(Config{Accounts: []Account{{AppID: "a", Secret: "s"}}, Switches: Switches{HeyShop: bad}})
		require.Error(t, err)
	}
}

func TestHeyShopReadsLag(t *testing.T) {
	c := startShop(t, Config{Switches: Switches{ReadsLag: Duration(time.Minute)}})
	c.hey("POST", adjustPath, `{"customer_id":100000,"points":1}`)
	c.hey("POST", levelPath, levelRule(0, "x", "1", "1", "1"))
	c.hey("DELETE", levelPath+"5/", "")
	seen := func() (rows, levels int) {
		var page struct{ Count int }
		_, body := c.hey("GET", pointsPath, "")
		require.NoError(t, json.Unmarshal([]byte(body), &page))
		rows = page.Count
		_, body = c.hey("GET", levelPath, "")
		require.NoError(t, json.Unmarshal([]byte(body), &page))
		return rows, page.Count
	}
	rows, levels := seen()
	require.Equal(t, []int{0, 3}, []int{rows, levels})
	status, _ := c.hey("GET", levelPath+"5/", "")
	require.Equal(t, 200, status)
	status, _ = c.hey("GET", pointsPath+"11742/", "")
	require.Equal(t, 404, status)
	c.clock.advance(time.Minute)
	rows, levels = seen()
	require.Equal(t, []int{1, 3}, []int{rows, levels})
	status, _ = c.hey("GET", levelPath+"5/", "")
	require.Equal(t, 404, status)
}

func TestHeyShopCallsForOneCustomerMustNotOverlap(t *testing.T) {
	c := startShop(t, Config{Rules: []Rule{{Faults: []Fault{ApplyLate}, Ops: []string{OpHeyShopAdjust}, Times: 1}}})
	first := &http.Client{Timeout: 200 * time.Millisecond}
	t.Cleanup(first.CloseIdleConnections)
	req, err := http.NewRequest("POST", c.url+adjustPath, strings.NewReader(`{"customer_id":100000,"points":1}`))
	require.NoError(t, err)
	req.Header.Set("Authorization", "Bearer bearer-token")
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, err := first.Do(req)
		require.Error(t, err)
	}()
	require.Eventually(t, func() bool { return c.sb.Summary().InFlight == 1 }, 5*time.Second, time.Millisecond)
	c.hey("POST", adjustPath, `{"customer_id":100000,"points":1}`)
	<-done
	require.Equal(t, Overlap, c.sb.Violations()[0].Kind)
	require.Equal(t, map[string]int{"hey/member/100000": 2}, c.sb.Summary().LaneMax)
	require.Eventually(t, func() bool { return len(c.sb.Effects()) == 2 }, 5*time.Second, time.Millisecond)
}

func TestAStaffsEntryComesThroughTheAdminsDoor(t *testing.T) {
	c := startShop(t, Config{})
	status, body := c.request("POST", "/sandbox/heyshop/entries", `{"store":"hey","customer":100000,"points":-5}`)
	require.Equal(t, 200, status)
	require.JSONEq(t, `{"id":11742}`, body)
	balance, _ := c.sb.Balance("hey", 100000)
	require.Equal(t, int64(-5), balance)
	status, body = c.request("POST", "/sandbox/heyshop/entries", `{"store":"hey","customer":1,"points":-5}`)
	require.Equal(t, 400, status)
	require.Contains(t, body, "no customer 1")
}

// FuzzHeyShopWrites holds that no body breaks the sandbox: each reply is JSON, and
// only what the ledger shows has changed.
func FuzzHeyShopWrites(f *testing.F) {
	f.Add(`{"customer_id":1,"points":-5}`)
	f.Add(`{"customer_id":"1","points":"5"}`)
	f.Add(levelRule(0, "x", "1", "1e999999999", `"3"`))
	f.Add(`{"title":"\u0000","condition_points":99999999999999999999}`)
	f.Add(`null`)
	f.Fuzz(func(t *testing.T, body string) {
		sb, err := New(Config{
			Accounts: []Account{{AppID: "a", Secret: "s", Vendor: HeyShop}},
			Switches: Switches{HeyShop: HeyShopSwitches{NegativePoints: "cut"}},
		})
		require.NoError(t, err)
		_, err = sb.SeedMembers(Seed{Count: 1})
		require.NoError(t, err)
		do := func(method, path string) {
			r := httptest.NewRequest(method, path, strings.NewReader(body))
			r.Header.Set("Authorization", "Bearer s")
			w := httptest.NewRecorder()
			sb.ServeHTTP(w, r)
			require.Contains(t, []int{200, 201, 204, 400, 404}, w.Code)
			require.True(t, w.Code == 204 || json.Valid(w.Body.Bytes()), "%s: %s", path, w.Body)
		}
		for _, call := range [][2]string{
			{"POST", adjustPath}, {"POST", levelPath}, {"PUT", levelPath + "5/"}, {"PUT", levelPath + "27/"}, {"DELETE", levelPath + "8/"},
		} {
			before := len(sb.Effects())
			do(call[0], call[1])
			require.LessOrEqual(t, len(sb.Effects()), before+1)
			do("GET", levelPath)
			do("GET", pointsPath)
		}
		balance, _ := sb.Balance("", 1)
		sum := sb.Summary()
		require.Equal(t, balance, sum.PointsIn-sum.PointsOut)
	})
}
