package dmhub

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// FuzzAnswer: whatever comes back, a call counts as applied only where a whole
// reply of success echoes what was asked.
func FuzzAnswer(f *testing.F) {
	f.Add(200, []byte(`{"orderNo":"o1","id":7,"amountPaid":30.00}`), uint8(0), false)
	f.Add(201, []byte(`{"orderNo":"o1","state":"已取消"}`), uint8(2), false)
	f.Add(200, []byte(`{"point":8,"pattern":0,"membershipId":399}`), uint8(6), false)
	f.Add(200, []byte(`{"point":3}`), uint8(7), true)
	f.Add(500, []byte(`{"orderNo":"o1"}`), uint8(1), false)
	f.Add(200, []byte(`{"orderNo":"o1","error":{"code":"409000"}}`), uint8(4), false)
	f.Add(200, []byte(`{"orderno":"o1"}`), uint8(3), false)
	f.Fuzz(func(t *testing.T, status int, body []byte, kind uint8, toZero bool) {
		e := &event.Event{Type: event.Types()[kind%8], OrderNo: "o1"} // orders and points
		if e.Type.Point() {
			e.OrderNo, e.Points, e.Pattern, e.DecrToZero = "", 8, "0", toZero
		}
		if e.Type == event.OrderCreated {
			e.Amount = decimal.NewNullDecimal(decimal.New(30, 0))
		}
		x := vendors.Exchange{Status: status, Body: body, Sent: true, StartedAt: time.Unix(0, 0)}
		r, rep := understand(vendors.Request{Method: http.MethodPost, Path: "/x"}, x)
		writeOf(e.Type).match(&r, vendors.Call{Event: e}, rep)
		require.True(t, utf8.ValidString(r.Message) && utf8.ValidString(r.Code))
		require.LessOrEqual(t, utf8.RuneCountInString(r.Message), 500)
		require.LessOrEqual(t, utf8.RuneCountInString(r.Code), 64)
		if r.Class != vendors.Applied {
			return
		}
		require.Contains(t, []int{200, 201}, status)
		var fields map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(body, &fields))
		require.True(t, fields["error"] == nil || string(fields["error"]) == "null")
		if !e.Type.Point() {
			var no any
			require.NoError(t, json.Unmarshal(fields["orderNo"], &no))
			require.Equal(t, "o1", no)
			return
		}
		got, err := decimal.NewFromString(strings.Trim(string(fields["point"]), `"`))
		require.NoError(t, err)
		require.True(t, got.Equal(decimal.New(8, 0)) || toZero && got.IsPositive() && got.LessThan(decimal.New(8, 0)))
	})
}

func writeOf(t event.Type) *write {
	return &writes[slices.IndexFunc(writes, func(w write) bool { return w.event == t })]
}

// FuzzResultIsClean: a server that quotes what it was sent puts no secret into
// what is kept, and no person into what is shown.
func FuzzResultIsClean(f *testing.F) {
	f.Add("canary-secret-9", "canary/token+x=", "13912345678", 500, "before ", " after", uint8(0))
	f.Add("s3cr\"et<&>", "tok en", "张三的电话", 200, `{"error":{"code":"409000","message":"`, `"}}`, uint8(3))
	f.Fuzz(func(t *testing.T, secret, token, person string, status int, before, after string, how uint8) {
		for _, s := range []string{secret, token, person} {
			if len(s) < 8 || !utf8.ValidString(s) || strings.ContainsAny(s, "…") || strings.Contains(before+after+"loyalty/v1", s) {
				return
			}
		}
		quote := []func(string) string{
			func(s string) string { return s }, url.QueryEscape, url.PathEscape,
			func(s string) string { b, _ := json.Marshal(s); return string(b[1 : len(b)-1]) },
		}[how%4]
		said := before + quote(secret) + " " + quote(token) + " " + quote(person) + after
		req := vendors.Request{
			Method: http.MethodPost, Path: "/loyalty/v1", Query: url.Values{"value": {person}},
			Secret: url.Values{"access_token": {token}}, Redact: []string{secret}, Personal: func() []string { return []string{person} },
		}
		for _, x := range []vendors.Exchange{
			{Status: status, Body: []byte(said), Sent: true}, {Err: errors.New(said), Sent: true},
			{Status: status, Body: []byte(said), Sent: true, Err: errors.New("reading the reply: " + said)},
		} {
			r, _ := understand(req, x)
			shown := strings.Join([]string{r.Path, r.Code, r.Message, fmt.Sprint(r.Receipt)}, "\n")
			for _, s := range []string{secret, token} {
				require.NotContains(t, shown, s)
				require.NotContains(t, string(r.Reply), s)
				require.NotContains(t, string(r.Reply), quote(s))
			}
			require.NotContains(t, shown, person)
		}
	})
}
