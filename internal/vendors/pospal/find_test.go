package pospal_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/pospal"
)

// rows is a last page.
func rows(list ...string) string {
	return fmt.Sprintf(`{"status":"success","data":{"pageSize":100,"result":[%s]}}`, strings.Join(list, ","))
}

func TestFindReadsTheCustomersCodes(t *testing.T) {
	const ours = `{"code":"PS20261121001","promotionCouponUid":1199186483387900201}`
	nobodys := call(t, event.CouponCodeAdded, `{"uuid":"u","promotionCouponUid":1,"code":"C1"}`)
	for _, tt := range []struct {
		name  string
		call  vendors.Call
		reply string
		want  vendors.Found
		says  string
	}{
		{"there", added(t), rows(`{"code":"X1"}`, ours), vendors.Present, ""},
		{"names without capitals", added(t), `{"status":"success","data":{"pagesize":100,"result":[{"code":"PS20261121001","promotioncouponuid":1199186483387900201}]}}`, vendors.Present, ""},
		{"uids as text", added(t), rows(`{"Code":"PS20261121001","promotioncouponuid":"1199186483387900201","customrUid":"580988838483990582"}`), vendors.Present, ""},
		{"not there", added(t), rows(`{"code":"PS20261121002"}`), vendors.Absent, ""},
		{"none at all", added(t), `{"status":"success","data":null}`, vendors.Absent, ""},
		{"for another rule", added(t), rows(`{"code":"PS20261121001","promotionCouponUid":1199186483387900202}`), vendors.Unclear, "another rule"},
		{"for no rule", added(t), rows(`{"code":"PS20261121001"}`), vendors.Unclear, "another rule"},
		{"another customer's", added(t), rows(`{"code":"PS20261121001","promotionCouponUid":1199186483387900201,"customerUid":580988838483990583}`), vendors.Unclear, "another customer's"},
		{"in other letters", added(t), rows(`{"code":"ps20261121001","promotionCouponUid":1199186483387900201}`), vendors.Unclear, "differs by case"},
		{"in other letters too", added(t), rows(`{"code":"ps20261121001"}`, ours), vendors.Present, ""},
		{"twice", added(t), rows(ours, ours), vendors.Unclear, "2 rows"},
		{"a row without a code", added(t), rows(`{"kode":"PS20261121001"}`), vendors.Unclear, "without a code"},
		{"a row that is none", added(t), rows(`7`), vendors.Unclear, "without a code"},
		{"an event without a customer", nobodys, rows(ours), vendors.Unclear, "no customerUid"},
		{"no such customer", added(t), envelope(2015, "没有找到会员"), vendors.Unclear, "没有找到会员"},
		{"no permission", added(t), envelope(2016, "x"), vendors.Unavailable, ""},
		{"an error", added(t), envelope(9999, "x"), vendors.Unavailable, ""},
		{"a refused login", added(t), envelope(1032, "x"), vendors.Unavailable, ""},
		{"no list", added(t), `{"status":"success","data":{"result":7}}`, vendors.Unavailable, ""},
		{"nothing to read", added(t), `{"status":"success"}`, vendors.Unavailable, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.answers(200, tt.reply)
			f := s.account(t, nil).Find(t.Context(), tt.call)
			require.Equal(t, tt.want, f.Found, "%s %s", f.Detail, f.Result.Message)
			require.Contains(t, f.Detail, tt.says)
			if len(s.seen) > 0 {
				require.Equal(t, []string{`POST ` + reads + `queryCustomerCouponCodePage {"appId":"` + appID + `","customerUid":580988838483990582}`}, s.seen)
			}
			require.Equal(t, tt.want == vendors.Present, f.Result.Receipt.Ref == "PS20261121001")
		})
	}
}

func TestFindReadsTheGoldenLists(t *testing.T) {
	s := newShop(t)
	s.reply = func(path, body string) (int, string) {
		switch {
		case strings.HasSuffix(path, "queryUsedPromotionCode"):
			return 200, golden(t, "used_codes")
		default:
			return 200, golden(t, "customer_codes")
		}
	}
	a := s.account(t, nil)
	require.Equal(t, vendors.Present, a.Find(t.Context(), added(t)).Found)
	require.Equal(t, vendors.Present, a.Find(t.Context(), used(t)).Found)
	require.Len(t, s.seen, 2, "one row is less than a page of 100")
}

func TestFindReadsTheCodesUsedAroundTheCall(t *testing.T) {
	at := func(when, more string) string {
		return rows(fmt.Sprintf(`{"code":"PS20261121001","usedDateTime":%s%s}`, when, more))
	}
	for _, tt := range []struct {
		name, reply string
		want        vendors.Found
		says        string
	}{
		{"at its time", at(`"2026-11-21 16:00:00"`, ""), vendors.Present, ""},
		{"at the time of the call: useDateTime wasn't understood", at(`"2026-11-21 16:05:00"`, ""), vendors.Present, ""},
		{"at no time", at(`null`, ""), vendors.Present, ""},
		{"by us", at(`"2026-11-21 16:00:00"`, `,"usedByUserAppId":"`+appID+`","customerUid":580988838483990582`), vendors.Present, ""},
		{"at another time", at(`"2026-11-21 15:30:00"`, ""), vendors.Unclear, "used at 2026-11-21 15:30:00 and not at 2026-11-21 16:00:00"},
		{"at a time that is none", at(`"21.11.2026"`, ""), vendors.Unclear, "no time of Pospal's"},
		{"under another appId", at(`"2026-11-21 16:00:00"`, `,"usedByUserAppId":"OTHER"`), vendors.Unclear, "another appId"},
		{"by another customer", at(`"2026-11-21 16:00:00"`, `,"customerUid":"1"`), vendors.Unclear, "another customer's"},
		{
			"in another store as well",
			rows(`{"code":"PS20261121001","usedByUserAppId":"OTHER"}`, `{"code":"PS20261121001","usedByUserAppId":"`+appID+`"}`), vendors.Present, "",
		},
		{"not", rows(`{"code":"PS20261121002"}`), vendors.Absent, ""},
		{"none were", rows(), vendors.Absent, ""},
		{"not readable", envelope(9001, "x"), vendors.Unavailable, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.answers(200, tt.reply)
			f := s.account(t, nil).Find(t.Context(), used(t))
			require.Equal(t, tt.want, f.Found, f.Detail)
			require.Contains(t, f.Detail, tt.says)
			require.Equal(t, []string{
				`POST ` + reads + `queryUsedPromotionCode {"appId":"` + appID + `","startTime":"2026-11-21 15:50:00","excludeEndTime":"2026-11-21 16:11:01"}`,
			}, s.seen, "from ten minutes before it to ten minutes after now")
		})
	}
}

// windows are the times that a find has asked about.
func windows(t *testing.T, s *shop) (list [][2]string) {
	for _, seen := range s.seen {
		var asked struct{ StartTime, ExcludeEndTime string }
		require.NoError(t, json.Unmarshal([]byte(seen[strings.Index(seen, "{"):]), &asked))
		list = append(list, [2]string{asked.StartTime, asked.ExcludeEndTime})
	}
	return list
}

func TestFindAsksForNoMoreThanFiveDays(t *testing.T) {
	s := newShop(t)
	s.answers(200, rows())
	var now time.Time
	a := s.account(t, func(c *pospal.Config) { c.Now = func() time.Time { return now } })
	late := used(t)

	now = today.Add(6 * 24 * time.Hour)
	f := a.Find(t.Context(), late)
	require.Equal(t, vendors.Absent, f.Found, f.Detail)
	require.Equal(t, 2, f.Result.Calls)
	require.Equal(t, [][2]string{
		{"2026-11-21 15:50:00", "2026-11-26 15:50:00"}, {"2026-11-26 15:50:00", "2026-11-27 16:11:01"},
	}, windows(t, s))

	s.seen, now = nil, today.Add(20*24*time.Hour)
	late.FirstSentAt = now.Add(-time.Minute)
	require.Equal(t, vendors.Absent, a.Find(t.Context(), late).Found)
	require.Equal(t, [][2]string{
		{"2026-11-21 15:50:00", "2026-11-21 16:10:01"}, {"2026-12-11 15:50:00", "2026-12-11 16:11:01"},
	}, windows(t, s), "not what lies between")

	s.seen, late.FirstSentAt = nil, time.Time{}
	require.Equal(t, vendors.Absent, a.Find(t.Context(), late).Found)
	require.Len(t, s.seen, 5, "a call that the database has forgotten may have been made at any time since the event")

	s.seen, now = nil, today.Add(100*24*time.Hour)
	f = a.Find(t.Context(), late)
	require.Equal(t, vendors.Unclear, f.Found)
	require.Contains(t, f.Detail, "longer than could be read")
	require.Len(t, s.seen, 12)

	s.seen = nil
	s.answers(200, rows(`{"code":"PS20261121001"}`))
	f = a.Find(t.Context(), late)
	require.Equal(t, vendors.Present, f.Found)
	require.Len(t, s.seen, 1, "what is found needs no more calls")
}

// book serves pages: by the raw postBackParameter, what a page says.
func book(pages map[string]string) func(path, body string) (int, string) {
	return func(_, body string) (int, string) {
		var asked struct{ PostBackParameter json.RawMessage }
		if err := json.Unmarshal([]byte(body), &asked); err != nil {
			return 400, err.Error()
		}
		return 200, `{"status":"success","data":{` + pages[string(asked.PostBackParameter)] + `}}`
	}
}

func TestFindReadsPagesToTheirEnd(t *testing.T) {
	const (
		ours   = `"result":[{"code":"PS20261121001","promotionCouponUid":1199186483387900201}]`
		others = `"result":[{"code":"X"}]`
		second = `{ "parameterValue": 580988838483990582.50,"parameterType":"A" }`
	)
	back := func(raw string) string { return `,"postBackParameter":` + raw }
	for _, tt := range []struct {
		name  string
		pages map[string]string
		want  vendors.Found
		calls int
	}{
		{"on the second page, asked for as it was told", map[string]string{"": others + back(second), second: ours + back(`{"n":3}`), `{"n":3}`: `"result":[]`}, vendors.Present, 3},
		{"an empty page ends it, whatever it says", map[string]string{"": others + back(`1`), `1`: `"result":null` + back(`2`)}, vendors.Absent, 2},
		{"a short page ends it", map[string]string{"": others + back(`1`) + `,"pageSize":2`}, vendors.Absent, 1},
		{"a full page doesn't", map[string]string{"": others + back(`1`) + `,"pageSize":"1"`, `1`: ours + `,"pageSize":1`}, vendors.Present, 2},
		{"no place to go on ends it", map[string]string{"": others}, vendors.Absent, 1},
		{"an empty place to go on, too", map[string]string{"": others + back(`{"parameterType":null,"parameterValue":null}`)}, vendors.Absent, 1},
		{"a full page without one proves nothing", map[string]string{"": others + `,"pageSize":1`}, vendors.Unclear, 1},
		{"the same place again proves nothing", map[string]string{"": others + back(`1`), `1`: others + back(`1`)}, vendors.Unclear, 2},
		{"a ring of places neither", map[string]string{"": others + back(`1`), `1`: others + back(`2`), `2`: others + back(`1`)}, vendors.Unclear, 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.reply = book(tt.pages)
			f := s.account(t, nil).Find(t.Context(), added(t))
			require.Equal(t, tt.want, f.Found, f.Detail)
			require.Equal(t, tt.calls, f.Result.Calls)
			require.Len(t, s.seen, tt.calls)
		})
	}
}

func TestFindGivesUpOnEndlessPages(t *testing.T) {
	s := newShop(t)
	n := 0
	s.reply = func(string, string) (int, string) {
		n++
		return 200, fmt.Sprintf(`{"status":"success","data":{"postBackParameter":%d,"result":[{"code":"X"}]}}`, n)
	}
	f := s.account(t, nil).Find(t.Context(), added(t))
	require.Equal(t, vendors.Unclear, f.Found)
	require.Equal(t, 50, f.Result.Calls)
}

func TestFindReadsAPageThatIsLongerThanWhatIsKept(t *testing.T) {
	s := newShop(t)
	long := make([]string, 1000)
	for i := range long {
		long[i] = fmt.Sprintf(`{"code":"X%d","promotionCouponName":%q}`, i, strings.Repeat("满", 50))
	}
	s.answers(200, `{"status":"success","data":{"result":[`+strings.Join(long, ",")+`]}}`)
	f := s.account(t, nil).Find(t.Context(), added(t))
	require.Equal(t, vendors.Absent, f.Found, f.Result.Message)
	require.Equal(t, vendors.ReplyLimit, len(f.Result.Reply))
}

func TestFindOfAnythingElseIsUnavailable(t *testing.T) {
	s := newShop(t)
	a := s.account(t, nil)
	for _, e := range []*event.Event{
		{Type: event.CouponRedeemed, Key: "C", Data: json.RawMessage(`{}`)},
		{Type: event.CouponCodeUsed, Data: json.RawMessage(`{}`)},
		{Type: event.CouponCodeUsed, Key: "C", Data: json.RawMessage(`7`)},
	} {
		require.Equal(t, vendors.Unavailable, a.Find(t.Context(), vendors.Call{Event: e}).Found)
	}
	require.Empty(t, s.seen)
}
