package heyshop_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// row is a row of the history, of now.
func row(id, points int, kind string) string { return rowAt(time.Now(), id, points, kind) }

func rowAt(at time.Time, id, points int, kind string) string {
	return fmt.Sprintf(`{"id":%d,"customer":{"id":100000,"mobile":"13400000000"},"points":%d,"kind":%q,"order":null,"created_at":%q}`,
		id, points, kind, at.In(time.FixedZone("", 8*3600)).Format("2006-01-02T15:04:05.000000-07:00"))
}

// page is a list that ends here.
func page(rows ...string) string { return pageOf(len(rows), false, rows...) }

func pageOf(count int, more bool, rows ...string) string {
	next := "null"
	if more {
		next = `"http://ywu18.heidianer.com/api/loyalty/point_history/?page=2"`
	}
	return fmt.Sprintf(`{"count":%d,"next":%s,"previous":null,"results":[%s]}`, count, next, strings.Join(rows, ","))
}

// pages serves rows in pages of a size, whatever was asked for.
func pages(rows []string, size int) func(*http.Request) (int, string) {
	return func(r *http.Request) (int, string) {
		n, _ := strconv.Atoi(r.URL.Query().Get("page"))
		from := min((n-1)*size, len(rows))
		to := min(from+size, len(rows))
		return 200, pageOf(len(rows), to < len(rows), rows[from:to]...)
	}
}

func marked(c vendors.Call, mark string) vendors.Call {
	c.Mark = mark
	return c
}

func TestFindComparesTheHistory(t *testing.T) {
	const mark = "10"
	plus, minus := marked(points(t, event.PointIncremented), mark), marked(points(t, event.PointDecremented), mark)
	old := time.Now().Add(-time.Hour)
	beside := plus
	beside.Others = []string{"12"}
	for _, tt := range []struct {
		name   string
		call   vendors.Call
		reply  string
		found  vendors.Found
		detail string
	}{
		{"ours", plus, page(row(11, 100, "manual")), vendors.Present, ""},
		{"ours, a decrement", minus, page(row(11, -100, "manual")), vendors.Present, ""},
		{"nothing", plus, page(), vendors.Absent, ""},
		{"what was there before", plus, page(row(10, 100, "manual"), row(9, 100, "manual")), vendors.Absent, ""},
		{"orders", plus, page(row(12, 100, "buy"), row(11, 0, "buy")), vendors.Absent, ""},
		{"others' points", plus, page(row(12, 99, "manual"), row(11, -100, "manual")), vendors.Absent, ""},
		{"ours among others", plus, page(row(13, 100, "buy"), row(12, 50, "manual"), row(11, 100, "manual")), vendors.Present, ""},
		{"what came late of another", beside, page(row(12, 100, "manual")), vendors.Absent, ""},
		{"ours beside that", beside, page(row(12, 100, "manual"), row(11, 100, "manual")), vendors.Present, ""},
		{"two of them", plus, page(row(12, 100, "manual"), row(11, 100, "manual")), vendors.Unclear, "staff"},
		{"made at another time", plus, page(rowAt(old, 11, 100, "manual")), vendors.Unclear, "wasn't made within"},
		{"ours and one of another time", plus, page(row(12, 100, "manual"), rowAt(old, 11, 100, "manual")), vendors.Unclear, "staff"},
		{"without a date", plus, page(strings.Replace(row(11, 100, "manual"), "created_at", "c", 1)), vendors.Unclear, "wasn't made within"},
		{"an unknown kind", plus, page(row(11, 100, "gift")), vendors.Unclear, `a kind that no document names: "gift"`},
		{"an unknown kind with other points", plus, page(row(11, 5, "sign")), vendors.Absent, ""},
		{"ours beside an unknown kind", plus, page(row(12, 100, "gift"), row(11, 100, "manual")), vendors.Present, ""},
		{"cut to what was there", minus, page(row(11, -30, "manual")), vendors.Unclear, "-30 points where -100 were asked for"},
		{"nothing was there", minus, page(row(11, 0, "manual")), vendors.Unclear, "0 points"},
		{"without the sign", minus, page(row(11, 100, "manual")), vendors.Unclear, "100 points where -100"},
		{"more than was asked for", minus, page(row(11, -101, "manual")), vendors.Absent, ""},
		{"the document's", plus, strings.Replace(golden(t, "history"), "50784", "100000", 2), vendors.Absent, ""},
		{"rows of others", plus, golden(t, "history"), vendors.Unavailable, "other customers"},
		{"no page", plus, `{"results":1}`, vendors.Unavailable, "isn't a page"},
		{"points beyond measure", plus, page(strings.Replace(row(11, 100, "manual"), ":100,\"kind", ":1e999999999,\"kind", 1)), vendors.Unavailable, "has no id"},
		{"a row without an id", plus, page(`{"points":100}`), vendors.Unavailable, "has no id"},
		{"fewer rows than it says", plus, pageOf(5, false, row(9, 1, "manual"), row(11, 100, "manual")), vendors.Unavailable, "count is 5"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.answers(200, tt.reply)
			f := s.account(t).Find(t.Context(), tt.call)
			require.Equal(t, tt.found, f.Found, "%+v", f)
			require.Contains(t, f.Detail, tt.detail)
			require.Equal(t, "GET /api/loyalty/point_history/?customer=100000&page=1&page_size=10", s.seen[0])
			if tt.found != vendors.Present {
				require.Zero(t, f.Result.Receipt)
				return
			}
			require.Equal(t, "11", f.Result.Receipt.Ref)
			require.Equal(t, int64(100), *f.Result.Receipt.Points)
			require.Equal(t, vendors.Applied, f.Result.Class)
		})
	}
}

func TestFindWithoutAMarkIsUnclear(t *testing.T) {
	s := newShop(t)
	for _, c := range []vendors.Call{points(t, event.PointIncremented), created(t)} {
		f := s.account(t).Find(t.Context(), c)
		require.Equal(t, vendors.Unclear, f.Found)
		require.Contains(t, f.Detail, "compare by hand")
	}
	require.Empty(t, s.seen)
}

// numbered is a history of ids, each of its own points.
func numbered(ids ...int) []string {
	var rows []string
	for _, id := range ids {
		rows = append(rows, row(id, id, "manual"))
	}
	return rows
}

func TestTheHistoryIsReadAsFarAsItsOrderIsProven(t *testing.T) {
	rising := make([]int, 25)
	for i := range rising {
		rising[i] = i + 1
	}
	falling := slices.Clone(rising)
	slices.Reverse(falling)
	for _, tt := range []struct {
		name  string
		ids   []int
		size  int
		mark  string
		calls int // how many pages
	}{
		{"no rows", nil, 10, "0", 1},
		{"one page", []int{3, 2, 1}, 10, "3", 1},
		{"newest first", falling, 10, "25", 1},
		{"newest first, in small pages", falling, 4, "25", 3},
		{"oldest first", rising, 10, "25", 3},
		{"no order", []int{5, 4, 3, 9, 8, 7, 1, 2, 6}, 3, "9", 3},
		{"no order on the first page", []int{5, 3, 4, 9, 8, 7, 1, 2, 6}, 3, "9", 3},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.reply = pages(numbered(tt.ids...), tt.size)
			a := s.account(t)
			c := points(t, event.PointIncremented)
			mark, r := a.Mark(t.Context(), c)
			require.Equal(t, vendors.Applied, r.Class, r.Message)
			require.Equal(t, tt.mark, mark)
			require.Equal(t, tt.calls, r.Calls)
			require.Len(t, s.seen, tt.calls)
			f := a.Find(t.Context(), marked(c, mark))
			require.Equal(t, vendors.Absent, f.Found, f.Detail)
			require.Equal(t, tt.calls, f.Result.Calls)
		})
	}
}

func TestFindReadsOnUntilItMeetsTheMark(t *testing.T) {
	ids := []int{}
	for id := 40; id > 0; id-- {
		ids = append(ids, id)
	}
	rows := numbered(ids...)
	rows[25] = row(15, 100, "manual")
	s := newShop(t)
	s.reply = pages(rows, 10)
	a := s.account(t)
	f := a.Find(t.Context(), marked(points(t, event.PointIncremented), "12"))
	require.Equal(t, vendors.Present, f.Found)
	require.Equal(t, "15", f.Result.Receipt.Ref)
	require.Equal(t, 3, f.Result.Calls, "the fourth page is older than the mark")
}

func TestAHistoryThatChangesWhileItIsReadIsReadAgain(t *testing.T) {
	s := newShop(t)
	s.reply = func(r *http.Request) (int, string) {
		if r.URL.Query().Get("page") == "1" {
			return 200, pageOf(4, true, row(4, 1, "manual"), row(3, 1, "manual"))
		}
		return 200, pageOf(5, false, row(3, 1, "manual"), row(2, 1, "manual"), row(1, 1, "manual")) // another has come before them
	}
	f := s.account(t).Find(t.Context(), marked(points(t, event.PointIncremented), "1"))
	require.Equal(t, vendors.Unavailable, f.Found)
	require.Contains(t, f.Detail, "4 rows of the point history were seen, and count is 5")
}

func TestAReadEndsWhateverTheVendorSays(t *testing.T) {
	s := newShop(t)
	s.answers(200, pageOf(9, true, row(1, 1, "manual"), row(2, 1, "manual")))
	_, r := s.account(t).Mark(t.Context(), points(t, event.PointIncremented))
	require.Equal(t, vendors.Ambiguous, r.Class)
	require.Contains(t, r.Message, "nothing new")
	require.Len(t, s.seen, 2)

	n := 0
	s.reply = func(*http.Request) (int, string) {
		n += 2
		return 200, pageOf(1_000_000, true, row(n, 1, "manual"), row(n+1, 1, "manual"))
	}
	_, r = s.account(t).Mark(t.Context(), points(t, event.PointIncremented))
	require.Equal(t, vendors.NotSent, r.Class)
	require.Equal(t, "unsupported", r.Hold)
	require.Equal(t, 100, r.Calls)
}

func TestAnAnsweredRowIsNotAnothersEffect(t *testing.T) {
	s := newShop(t)
	a := s.account(t)
	// The mark of the second is older than the first one's row: reads lag.
	s.answers(201, row(11, 100, "manual"))
	first, second := points(t, event.PointIncremented), points(t, event.PointIncremented)
	second.Event.UUID = "p-2"
	require.Equal(t, vendors.Applied, a.Push(t.Context(), first).Class)
	s.answers(200, page(row(11, 100, "manual")))
	require.Equal(t, vendors.Absent, a.Find(t.Context(), marked(second, "10")).Found)
	require.Equal(t, vendors.Present, a.Find(t.Context(), marked(first, "10")).Found, "its own")
	s.answers(200, page(row(12, 100, "manual"), row(11, 100, "manual")))
	f := a.Find(t.Context(), marked(second, "10"))
	require.Equal(t, vendors.Present, f.Found)
	require.Equal(t, "12", f.Result.Receipt.Ref)
	third := points(t, event.PointIncremented)
	third.Event.UUID = "p-3"
	require.Equal(t, vendors.Absent, a.Find(t.Context(), marked(third, "10")).Found, "what was found is known as well")
}

func level(id int, title string, gain string) string {
	return fmt.Sprintf(`{"id":%d,"title":%q,"condition_points":100,"sign_points":0,"gain_points":%s,"redeem_points":100,
		"redeem_limitation":0,"redeem_limitation_monthly":0}`, id, title, gain)
}

func TestFindComparesLevels(t *testing.T) {
	make := func(mark string) vendors.Call { return marked(created(t), mark) }
	for _, tt := range []struct {
		name   string
		call   vendors.Call
		status int
		reply  string
		found  vendors.Found
		detail string
	}{
		{"made", make("none"), 200, page(level(5, "初级会员", "1"), level(27, "特殊会员", "1.0")), vendors.Present, ""},
		{"made, without the space around it", make("none"), 200, page(level(27, " 特殊会员", "1")), vendors.Present, ""},
		{"not made", make("none"), 200, golden(t, "levels"), vendors.Absent, ""},
		{"there before", make("26,27"), 200, page(level(26, "特殊会员", "1"), level(27, "特殊会员", "1")), vendors.Absent, ""},
		{"made beside one that was there", make("26"), 200, page(level(26, "特殊会员", "1"), level(27, "特殊会员", "1")), vendors.Present, ""},
		{"two", make("none"), 200, page(level(28, "特殊会员", "1"), level(27, "特殊会员", "1")), vendors.Unclear, "levels 27, 28 have this title"},
		{"otherwise", make("none"), 200, page(level(27, "特殊会员", "2")), vendors.Unclear, "gain_points is 2 and not 1"},
		{"no page", make("none"), 200, golden(t, "level"), vendors.Unavailable, "isn't a page"},
		{"fewer than it says", make("none"), 200, pageOf(2, false, level(5, "x", "1")), vendors.Unavailable, "count is 2"},
		{"the read is refused", make("none"), 400, `{"detail":"no"}`, vendors.Unavailable, "no"},

		{"set", updated(t), 200, level(27, "特殊会员", "1.00"), vendors.Present, ""},
		{"not set", updated(t), 200, level(27, "特殊会员", "2"), vendors.Absent, ""},
		{"gone before it was set", updated(t), 404, `{"detail":"Not found."}`, vendors.Absent, ""},
		{"another level", updated(t), 200, level(28, "特殊会员", "1"), vendors.Unavailable, ""},
		{"the site is gone", updated(t), 404, `<html>`, vendors.Unavailable, ""},

		{"deleted", deleted(t), 404, `{"detail":"Not found."}`, vendors.Present, ""},
		{"not deleted", deleted(t), 200, level(27, "特殊会员", "1"), vendors.Absent, ""},
		{"the site is gone", deleted(t), 404, ``, vendors.Unavailable, ""},
		{"something else", deleted(t), 400, `{"detail":"x"}`, vendors.Unavailable, "x"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.answers(tt.status, tt.reply)
			f := s.account(t).Find(t.Context(), tt.call)
			require.Equal(t, tt.found, f.Found, "%+v", f)
			require.Contains(t, f.Detail, tt.detail)
			if tt.found == vendors.Present {
				require.Equal(t, "27", f.Result.Receipt.Ref)
				require.Equal(t, vendors.Applied, f.Result.Class)
			}
		})
	}
}

func TestTheMarkOfALevelIsWhatHasItsTitle(t *testing.T) {
	s := newShop(t)
	s.reply = pages([]string{level(5, "初级会员", "1"), level(27, "特殊会员 ", "1"), level(9, "x", "1"), level(30, "特殊会员", "1")}, 3)
	mark, r := s.account(t).Mark(t.Context(), created(t))
	require.Equal(t, vendors.Applied, r.Class, r.Message)
	require.Equal(t, "27,30", mark)
	require.Equal(t, 2, r.Calls)
	s.answers(200, golden(t, "levels"))
	mark, _ = s.account(t).Mark(t.Context(), created(t))
	require.Equal(t, "none", mark)
	s.answers(503, "")
	mark, r = s.account(t).Mark(t.Context(), created(t))
	require.Empty(t, mark)
	require.Equal(t, vendors.Ambiguous, r.Class)
}

func TestALevelThatWasAnsweredIsNotAnothers(t *testing.T) {
	s := newShop(t)
	a := s.account(t)
	s.answers(201, golden(t, "level_created"))
	require.Equal(t, vendors.Applied, a.Push(t.Context(), created(t)).Class)
	other := marked(created(t), "none")
	other.Event.UUID = "l-2"
	s.answers(200, page(level(27, "特殊会员", "1")))
	require.Equal(t, vendors.Absent, a.Find(t.Context(), other).Found)

	b := s.account(t)
	s.answers(200, golden(t, "level_created"))
	update := updated(t)
	update.Event.UUID = "l-3"
	require.Equal(t, vendors.Applied, b.Push(t.Context(), update).Class)
	s.answers(200, page(level(27, "特殊会员", "1")))
	require.Equal(t, vendors.Present, b.Find(t.Context(), other).Found, "who has changed a level hasn't made it")
}

func TestAPageHasRoomForLongOrders(t *testing.T) {
	s := newShop(t)
	long := strings.Replace(row(11, 100, "manual"), `"order":null`, `"order":{"note":"`+strings.Repeat("x", vendors.ReplyLimit)+`"}`, 1)
	s.answers(200, page(long))
	f := s.account(t).Find(t.Context(), marked(points(t, event.PointIncremented), "10"))
	require.Equal(t, vendors.Present, f.Found, f.Detail)
	require.LessOrEqual(t, len(f.Result.Reply), vendors.ReplyLimit)
}

func TestReadsShowWhatTheDocumentHas(t *testing.T) {
	s := newShop(t)
	a := s.account(t)
	for _, tt := range []struct {
		resource string
		keys     []string
		page     string
		golden   string
		request  string
		rows     int
	}{
		{"levels", nil, "", "levels", "GET /api/loyalty/level/?page=1&page_size=10", 3},
		{"level", []string{"5"}, "", "level", "GET /api/loyalty/level/5/", 1},
		{"points", nil, "", "history", "GET /api/loyalty/point_history/?page=1&page_size=10", 1},
		{"points", []string{"10000"}, "2", "history", "GET /api/loyalty/point_history/?customer=10000&page=2&page_size=10", 1},
		{"points", []string{"10000", "100001"}, "", "history", "GET /api/loyalty/point_history/?customer__in=10000%2C100001&page=1&page_size=10", 1},
		{"point-entry", []string{"11742"}, "", "entry", "GET /api/loyalty/point_history/11742/", 1},
	} {
		s.seen = nil
		s.answers(200, golden(t, tt.golden))
		p, r := a.Read(t.Context(), tt.resource, tt.keys, tt.page)
		require.Equal(t, vendors.Applied, r.Class, r.Message)
		require.Equal(t, []string{tt.request}, s.seen)
		require.Len(t, p.Rows, tt.rows)
		require.Empty(t, p.Next)
	}
}

// The list has a row's whole order, the entry its order_id, an adjustment's reply
// order: null.
func TestAnOrderIsShownInThreeWays(t *testing.T) {
	s := newShop(t)
	a := s.account(t)
	of := func(resource, name string, keys ...string) map[string]json.RawMessage {
		s.answers(200, golden(t, name))
		p, r := a.Read(t.Context(), resource, keys, "")
		require.Equal(t, vendors.Applied, r.Class, r.Message)
		var row map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(p.Rows[0], &row))
		return row
	}
	require.Equal(t, "2528283", string(of("point-entry", "entry", "11742")["order_id"]))
	var order map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(of("points", "history", "50784")["order"], &order))
	require.Equal(t, "2528283", string(order["id"]))
	require.Equal(t, `"…"`, string(order["token"]), "the key to the order's page")
	require.Equal(t, `""`, string(order["cart_token"]))
	s.answers(201, golden(t, "adjusted"))
	require.Equal(t, vendors.Applied, a.Push(t.Context(), points(t, event.PointIncremented)).Class)

	s.answers(200, strings.Replace(golden(t, "history"), "50784", "100000", 2))
	f := a.Find(t.Context(), marked(points(t, event.PointIncremented), "10"))
	require.NotContains(t, string(f.Result.Reply), "140d02c143da84766c595e1d7b26644abbf8399f")
}

func TestReadsArePaged(t *testing.T) {
	s := newShop(t)
	a := s.account(t)
	s.reply = pages(numbered(5, 4, 3, 2, 1), 2)
	var got []string
	next, n := "", 0
	for ; n == 0 || next != ""; n++ {
		p, r := a.Read(t.Context(), "points", []string{"100000"}, next)
		require.Equal(t, vendors.Applied, r.Class, r.Message)
		require.Equal(t, 3, p.Pages)
		for _, row := range p.Rows {
			got = append(got, string(row))
		}
		next = p.Next
	}
	require.Equal(t, 3, n)
	require.Equal(t, numbered(5, 4, 3, 2, 1)[0][:8], got[0][:8])
	require.Len(t, got, 5)
}

func TestReadsSayWhatIsWrong(t *testing.T) {
	s := newShop(t)
	a := s.account(t)
	for _, tt := range []struct {
		resource, page, message string
		keys                    []string
	}{
		{"members", "", "give levels, level ID, points [CUSTOMER…] or point-entry ID", nil},
		{"level", "", "level with 0 keys", nil},
		{"level", "", `"../5" isn't an id`, []string{"../5"}},
		{"points", "http://x", "give a number from 1", nil},
	} {
		_, r := a.Read(t.Context(), tt.resource, tt.keys, tt.page)
		require.Equal(t, vendors.NotSent, r.Class)
		require.Contains(t, r.Message, tt.message)
	}
	require.Empty(t, s.seen)
	s.answers(404, `{"detail":"Not found."}`)
	p, r := a.Read(t.Context(), "level", []string{"6"}, "")
	require.Equal(t, vendors.Refused, r.Class)
	require.Empty(t, p.Rows)
	s.answers(400, `{"detail":"no"}`)
	_, r = a.Read(t.Context(), "level", []string{"6"}, "")
	require.Equal(t, vendors.Ambiguous, r.Class, "that says nothing of the level")
	s.answers(200, `{"title":"x"}`)
	_, r = a.Read(t.Context(), "level", []string{"6"}, "")
	require.Equal(t, vendors.Ambiguous, r.Class)
}

func TestShowsNamesTheReadOfAnEffect(t *testing.T) {
	a := newShop(t).account(t)
	for want, c := range map[string]vendors.Call{
		"points [100000]": points(t, event.PointDecremented), "levels []": created(t), "level [27]": updated(t),
	} {
		resource, keys, ok := a.Shows(c)
		require.True(t, ok)
		require.Equal(t, want, fmt.Sprint(resource, " ", keys))
	}
	c := points(t, event.PointIncremented)
	c.Member = ""
	_, _, ok := a.Shows(c)
	require.False(t, ok)
}
