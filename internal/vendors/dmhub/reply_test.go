package dmhub

import (
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

func TestReplyIsReadInAllItsForms(t *testing.T) {
	for _, tt := range []struct {
		status  int
		body    string
		kind    kind
		ok      bool
		code    string
		message string
		class   vendors.Class
	}{
		{200, `{"error_code":"40004","error_description":"the params is illegal"}`, gatewayError, false, "40004", "the params is illegal", vendors.Denied},
		{500, `{"error_code":40201,"error_description":"permission is not enough"}`, gatewayError, false, "40201", "permission is not enough", vendors.Denied},
		{502, `{"error_code":1,"error_description":"x"}`, gatewayError, false, "1", "x", vendors.Ambiguous},
		{429, `{"error_code":1,"error_description":"x"}`, gatewayError, false, "1", "x", vendors.Throttled},
		{200, `{"error_code":"","error_description":"x"}`, unread, false, "", "x", vendors.Ambiguous},
		{200, `{"error_code":0,"a":1}`, object, true, "", "", vendors.Ambiguous},
		{200, `{"error_code":"0"}`, object, true, "", "", vendors.Ambiguous},
		{200, `{"error":{"code":"409224","message":"last"}}`, apiError, false, "409224", "last", vendors.Refused},
		{200, `{"error":{"code":409225,"message":"none"}}`, apiError, false, "409225", "none", vendors.Refused},
		{500, `{"error":{"code":500000,"message":"oops"}}`, apiError, false, "500000", "oops", vendors.Ambiguous},
		{429, `{"error":{"code":"500000"}}`, apiError, false, "500000", "", vendors.Ambiguous},
		{429, `{"error":{"code":"409180"}}`, apiError, false, "409180", "", vendors.Refused},
		{200, `{"error":{"code":"","message":""}}`, apiError, false, "", "", vendors.Ambiguous},
		{200, `{"error":{"code":4.09180e5}}`, apiError, false, "4.09180e5", "", vendors.Ambiguous},
		{200, `{"error":"invalid_token"}`, unread, false, "", "invalid_token", vendors.Ambiguous},
		{401, `{"error":"invalid_token"}`, unread, false, "", "invalid_token", vendors.Denied},
		{201, `{"error":null,"id":1}`, object, true, "", "", vendors.Ambiguous},
		{202, `{"id":1}`, object, false, "", "HTTP 202 with a reply of an unknown shape", vendors.Ambiguous},
		{200, " null\n", null, true, "", "HTTP 200 with an empty reply", vendors.Ambiguous},
		{200, "", unread, false, "", "HTTP 200 with a reply that isn't a JSON object", vendors.Ambiguous},
		{403, "<html>", unread, false, "", "HTTP 403 with a reply that isn't a JSON object", vendors.Denied},
	} {
		rep := readReply(tt.status, []byte(tt.body))
		rep.fields = nil
		require.Equal(t, reply{kind: tt.kind, ok: tt.ok, code: tt.code, message: tt.message}, rep, tt.body)
		require.Equal(t, tt.class, classify(tt.status, rep), tt.body)
	}
}

func TestAnswersNeedsCodeAndWords(t *testing.T) {
	rep := reply{kind: apiError, code: "409000", message: "Order already EXISTS"}
	for setting, want := range map[string]bool{
		"409000": true, "409000 order exists": true, " 409000  EXISTS ": true,
		"409000 uuid": false, "409001": false, "": false, "exists": false,
	} {
		require.Equal(t, want, answers(setting, rep), setting)
	}
	rep.kind = gatewayError
	require.False(t, answers("409000", rep), "the gateway knows no orders")
}

func TestTextKeepsDigits(t *testing.T) {
	for raw, want := range map[string]string{
		`123456789012345678`: "123456789012345678", `"a\u4e2d"`: "a中", `1.10`: "1.10", `-1`: "-1",
		`true`: "", `null`: "", `{}`: "", ``: "",
	} {
		require.Equal(t, want, vendors.Text([]byte(raw)), raw)
	}
}

func FuzzReply(f *testing.F) {
	f.Add(200, []byte(`{"error":{"code":"409180","message":"x","point":2}}`))
	f.Add(500, []byte(`{"error_code":40201,"error_description":"y"}`))
	f.Add(200, []byte(`{"orderNo":"1","state":"已取消"}`))
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		rep := readReply(status, body)
		class := classify(status, rep)
		require.NotEqual(t, vendors.Applied, class)
		if rep.ok {
			require.Contains(t, []int{200, 201}, status)
			require.Equal(t, vendors.Ambiguous, class, "a positive match is the caller's to find")
		}
		if class == vendors.Refused {
			require.True(t, rep.kind == apiError && refusal(rep.code))
		}
		message := vendors.Shorten(rep.message, 500)
		require.True(t, utf8.ValidString(message))
		require.NotContains(t, message, "\x00")
	})
}

func TestMembersAreRememberedForAWhile(t *testing.T) {
	c := newMemberCache()
	who := event.MemberIdentity{Type: "mobile", Value: "13912345678", Name: "JH"}
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	c.put(who, "7", now, c.now())
	who.Name = "another name of the same"
	id, ok := c.get(who, now.Add(memberCacheTime-1))
	require.True(t, ok)
	require.Equal(t, "7", id)
	_, ok = c.get(who, now.Add(memberCacheTime))
	require.False(t, ok)
}

func TestALookUpThatAForgetOvertookIsNotRemembered(t *testing.T) {
	c := newMemberCache()
	who := event.MemberIdentity{Type: "mobile", Value: "13912345678"}
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	asked := c.now()
	c.forget(who)
	c.put(who, "7", now, asked) // read before the number moved
	_, ok := c.get(who, now)
	require.False(t, ok)
	c.put(who, "8", now, c.now())
	id, _ := c.get(who, now)
	require.Equal(t, "8", id)
}

func TestOfTwoMovesAtOnceNobodyKnowsWhichCameLast(t *testing.T) {
	c := newMemberCache()
	who := event.MemberIdentity{Type: "mobile", Value: "13912345678"}
	other := event.MemberIdentity{Type: "wechat", Value: "1"}
	now := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	first, second := c.now(), c.now()
	c.move("7", now, first, who)
	id, _ := c.get(who, now)
	require.Equal(t, "7", id)
	c.move("8", now, second, who, other)
	_, ok := c.get(who, now)
	require.False(t, ok)
	id, _ = c.get(other, now)
	require.Equal(t, "8", id)
}

func TestATokenStaysOutOfTheErrorOfItsReply(t *testing.T) {
	for _, body := range []string{
		`{"error_code":0,"access_token":"canary","expires_in":"soon"}`, `{"error_code":0,"access_token":"canary"}`,
		`{"error_code":7,"access_token":"canary"}`, `{"access_token":"canary","expires_in":0}`, `{"access_token":["canary"],"expires_in":9}`,
	} {
		s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, body) }))
		t.Cleanup(s.Close)
		c, err := Config{BaseURL: s.URL, AppID: "app", Secret: "x", Timeout: 20 * time.Second}.withDefaults().client(nil)
		require.NoError(t, err)
		t.Cleanup(c.transport.Close)
		_, _, err = c.fetch(t.Context())
		var refused *vendors.TokenError
		require.ErrorAs(t, err, &refused)
		require.NotContains(t, err.Error()+string(refused.Result.Reply), "canary", body)
	}
}
