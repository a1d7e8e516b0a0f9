package dmhub_test

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/dmhub"
	"syncworker/internal/vendors/vendorstest"
)

func (s *shop) deals(t *testing.T) *dmhub.Deals {
	d, err := dmhub.NewDeals(s.config(), &vendorstest.Tokens{})
	require.NoError(t, err)
	t.Cleanup(d.Close)
	return d
}

// row is a row of the point details, of this hour.
func row(id int, remark string, direction, points int) string {
	return rowAt(time.Now(), id, remark, direction, points)
}

func rowAt(at time.Time, id int, remark string, direction, points int) string {
	now := at.UTC().Format(time.RFC3339)
	return fmt.Sprintf(`{"id":%d,"point":%d,"type":%d,"remark":%q,"externalId":null,"date":%q,"dateCreated":%q}`,
		id, points, direction, remark, now, now)
}

func page(rows ...string) string {
	return fmt.Sprintf(`{"rows":[%s],"records":%d,"total":1}`, strings.Join(rows, ","), len(rows))
}

// sentNow is a call whose date is of this hour.
func sentNow(typ event.Type) vendors.Call {
	c := call(typ)
	c.Event.Time = time.Now().UTC()
	c.FirstSentAt = c.Event.Time
	return c
}

func TestFindComparesThePointDetails(t *testing.T) {
	toZero := sentNow(event.PointDecremented)
	toZero.Event.DecrToZero = true
	back := sentNow(event.PointIncremented)
	back.Event.OccurredAt = time.Now().Add(-31 * 24 * time.Hour)
	for _, tt := range []struct {
		name   string
		call   vendors.Call
		reply  string
		found  vendors.Found
		points int64
	}{
		{"by remark", sentNow(event.PointIncremented), page(row(2, "[uuid:p-1] 赠送200", 1, 8)), vendors.Present, 8},
		{"by a remark without text", sentNow(event.PointIncremented), page(row(2, "[uuid:p-1]", 1, 8)), vendors.Present, 8},
		{"by externalId", sentNow(event.PointIncremented), page(strings.Replace(row(2, "", 1, 8), "null", `"p-1"`, 1)), vendors.Present, 8},
		{"a decrement", sentNow(event.PointDecremented), page(row(2, "[uuid:p-1] x", -1, 8)), vendors.Present, 8},
		{"what was there to take", toZero, page(row(2, "[uuid:p-1] x", -1, 5)), vendors.Present, 5},
		{"nothing", sentNow(event.PointIncremented), page(), vendors.Absent, 0},
		{"others only", sentNow(event.PointIncremented), page(row(3, "[uuid:p-11] x", 1, 8), row(2, "p-1", 1, 8), row(1, "[uuid:p-1", 1, 8)), vendors.Absent, 0},
		{"the document's row", sentNow(event.PointIncremented), golden(t, "point_details"), vendors.Absent, 0},
		{"another direction", sentNow(event.PointIncremented), page(row(2, "[uuid:p-1] x", -1, 8)), vendors.Unclear, 0},
		{"other points", sentNow(event.PointDecremented), page(row(2, "[uuid:p-1] x", -1, 5)), vendors.Unclear, 0},
		{"more than asked", toZero, page(row(2, "[uuid:p-1] x", -1, 9)), vendors.Unclear, 0},
		{"two of them", sentNow(event.PointIncremented), page(row(3, "[uuid:p-1] x", 1, 8), row(2, "[uuid:p-1] x", 1, 8)), vendors.Unclear, 0},
		{"one without any name that may be ours", sentNow(event.PointIncremented), page(row(2, "", 1, 8)), vendors.Unclear, 0},
		{"ours beside one without a name", sentNow(event.PointIncremented), page(row(3, "", 1, 8), row(2, "[uuid:p-1] x", 1, 8)), vendors.Present, 8},
		{"less than asked, without a name", toZero, page(row(2, "", -1, 5)), vendors.Unclear, 0},
		{"other points without a name", sentNow(event.PointIncremented), page(row(3, "", 1, 9), row(2, "", -1, 8)), vendors.Absent, 0},
		{"one without a name from before the call", sentNow(event.PointIncremented), page(rowAt(time.Now().Add(-time.Hour), 2, "", 1, 8)), vendors.Absent, 0},
		{"nothing, but the date is too old to be shown", back, page(), vendors.Unclear, 0},
		{"an error", sentNow(event.PointIncremented), `{"error":{"code":"210","message":""}}`, vendors.Unavailable, 0},
		{"no rows", sentNow(event.PointIncremented), `{"records":0}`, vendors.Unavailable, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.answers(200, tt.reply)
			f := s.account(t, nil).Find(t.Context(), tt.call)
			require.Equal(t, tt.found, f.Found, "%+v", f)
			if tt.points == 0 {
				require.Nil(t, f.Result.Receipt.Points)
				return
			}
			require.Equal(t, tt.points, *f.Result.Receipt.Points)
			require.Equal(t, "2", f.Result.Receipt.Ref)
		})
	}
}

// details serves rows in pages, as many a page as the vendor cares to give.
func details(rows []string, size int) func(*http.Request) (int, string) {
	return func(r *http.Request) (int, string) {
		n, _ := strconv.Atoi(r.URL.Query().Get("page"))
		from := min((n-1)*size, len(rows))
		return 200, fmt.Sprintf(`{"rows":[%s]}`, strings.Join(rows[from:min(from+size, len(rows))], ","))
	}
}

func TestFindReadsPagesToTheEnd(t *testing.T) {
	var rows []string
	for id := 50; id > 0; id-- {
		rows = append(rows, row(id, "another", 1, 8))
	}
	rows[49] = row(1, "[uuid:p-1] x", 1, 8)
	s := newShop(t)
	s.reply = details(rows, 20) // fewer than the hundred that were asked for
	f := s.account(t, nil).Find(t.Context(), sentNow(event.PointIncremented))
	require.Equal(t, vendors.Present, f.Found)
	require.Len(t, s.seen, 4, "the fourth page is empty")
	require.Equal(t, 4, f.Result.Calls)
	require.Equal(t, "GET /loyalty/v1/membership/399/point?needTotal=true&page=1&rows=100&sord=desc", s.seen[0])
}

func TestFindBelievesTheNumberOfPagesOnlyWithTheNumberOfRows(t *testing.T) {
	s := newShop(t)
	pages := []string{row(3, "x", 1, 8), row(2, "x", 1, 8), row(1, "[uuid:p-1]", 1, 8)}
	s.reply = func(r *http.Request) (int, string) {
		n, _ := strconv.Atoi(r.URL.Query().Get("page"))
		return 200, fmt.Sprintf(`{"rows":[%s],"total":1,"records":3}`, pages[n-1])
	}
	require.Equal(t, vendors.Present, s.account(t, nil).Find(t.Context(), sentNow(event.PointIncremented)).Found)
	require.Len(t, s.seen, 3)
}

func TestFindStopsAtRowsOlderThanTheCall(t *testing.T) {
	old := func(id int) string { return rowAt(time.Now().Add(-time.Hour), id, "x", 1, 8) }
	s := newShop(t)
	a := s.account(t, nil)
	s.reply = details([]string{row(9, "x", 1, 8), old(8), old(7), old(6), old(5)}, 2)
	require.Equal(t, vendors.Absent, a.Find(t.Context(), sentNow(event.PointIncremented)).Found)
	require.Len(t, s.seen, 1)

	s.seen = nil
	s.reply = details([]string{old(5), old(6), old(7), old(8), row(9, "[uuid:p-1]", 1, 8)}, 2)
	require.Equal(t, vendors.Present, a.Find(t.Context(), sentNow(event.PointIncremented)).Found, "sord was ignored: the oldest came first")

	s.seen = nil
	dated := sentNow(event.PointIncremented)
	dated.Event.OccurredAt = time.Now().Add(-5 * time.Hour)
	s.reply = details([]string{old(9), old(8), rowAt(dated.Event.OccurredAt, 7, "[uuid:p-1]", 1, 8)}, 2)
	require.Equal(t, vendors.Present, a.Find(t.Context(), dated).Found, "sorted by the event's own date")

	s.seen = nil
	s.reply = details([]string{old(8), old(7), old(6), old(5)}, 1)
	late := sentNow(event.PointIncremented)
	late.FirstSentAt = time.Time{}
	a.Find(t.Context(), late)
	require.Len(t, s.seen, 5, "without the time of the first call all pages are read")
}

func TestFindGivesUpOnEndlessPages(t *testing.T) {
	s := newShop(t)
	id := 1_000_000
	s.reply = func(*http.Request) (int, string) {
		id--
		return 200, fmt.Sprintf(`{"rows":[%s]}`, row(id, "x", 1, 8))
	}
	f := s.account(t, nil).Find(t.Context(), sentNow(event.PointIncremented))
	require.Equal(t, vendors.Unavailable, f.Found)
	require.Contains(t, f.Detail, "more than 50 pages")
	s.seen = nil
	s.reply = func(*http.Request) (int, string) { return 200, fmt.Sprintf(`{"rows":[%s]}`, row(1, "x", 1, 8)) }
	require.Equal(t, vendors.Absent, s.account(t, nil).Find(t.Context(), sentNow(event.PointIncremented)).Found)
	require.Len(t, s.seen, 2, "the same page again is the end")
}

func TestFindReadsOrders(t *testing.T) {
	deal := func(state, paid string) string {
		return fmt.Sprintf(`{"orderNo":"123456","state":%q,"amountPaid":%s}`, state, paid)
	}
	create := call(event.OrderCreated)
	create.Event.OrderNo = "123456"
	old := call(event.OrderCreated)
	old.Event.OrderNo, old.Event.OccurredAt = "123456", time.Now().Add(-28*24*time.Hour)
	updated := create
	updated.MayBeUpdated = true
	refund, shown := call(event.OrderRefunded), dmhub.Shown
	another := refund
	another.MayBeRefunded = true
	notFound := `{"error":{"code":"409200","message":"Not found"}}`
	for _, tt := range []struct {
		name   string
		call   vendors.Call
		status int
		reply  string
		want   vendors.Found
	}{
		{"created", create, 200, deal("已付款", "30.000000"), vendors.Present},
		{"created, amount as text", create, 200, deal("已付款", `"30"`), vendors.Present},
		{"created with another amount", create, 200, deal("已付款", "30.01"), vendors.Unclear},
		{"created, and perhaps updated since", updated, 200, deal("已付款", "30.01"), vendors.Present},
		{"created with an amount beyond measure", create, 200, deal("已付款", "1e999999999"), vendors.Unclear},
		{"created without an amount", create, 200, deal("已付款", "null"), vendors.Unclear},
		{"not created", create, 200, notFound, vendors.Absent},
		{"not created, with null", create, 200, "null", vendors.Absent},
		{"not created, with an empty object", create, 200, "{}", vendors.Absent},
		{"not created, with 404", create, 404, "", vendors.Absent},
		{"not created, but too old to be shown", old, 200, notFound, vendors.Unclear},
		{"404 of another hand", create, 404, `{"status":404,"error":"Not Found","path":"/v1/x"}`, vendors.Unavailable},
		{"404 as a page", create, 404, "<html>", vendors.Unavailable},
		{"no body", create, 200, "", vendors.Unavailable},
		{"null behind an error", create, 500, "null", vendors.Unavailable},
		{"another order", create, 200, `{"orderNo":"12345"}`, vendors.Unavailable},
		{"field missing", create, 200, `{"error":{"code":"100","message":""}}`, vendors.Unavailable},
		{"cancelled", call(event.OrderCancelled), 200, deal("已取消", "30"), vendors.Present},
		{"not cancelled", call(event.OrderCancelled), 200, deal("已付款", "30"), vendors.Absent},
		{"nothing to cancel", call(event.OrderCancelled), 200, notFound, vendors.Unclear},
		{"deleted", call(event.OrderDeleted), 200, notFound, vendors.Present},
		{"not deleted", call(event.OrderDeleted), 200, deal("已付款", "30"), vendors.Absent},
		{"refunded", refund, 200, deal("部分退单", "30"), vendors.Present},
		{"refunded whole", refund, 200, deal("完全退单", "30"), vendors.Present},
		{"refunded, perhaps by another refund", another, 200, deal("部分退单", "30"), vendors.Unclear},
		{"not refunded", refund, 200, deal("已付款", "30"), vendors.Absent},
		{"not refunded, whatever else there is", another, 200, deal("已付款", "30"), vendors.Absent},
		{"cancelled before it was refunded", refund, 200, deal("已取消", "30"), vendors.Unclear},
		{"no order to refund", refund, 200, notFound, vendors.Unclear},
		{"no read shows a refund", call(event.OrderRefunded), 200, deal("已付款", "30"), vendors.Unavailable},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newShop(t)
			s.answers(tt.status, tt.reply)
			a := s.account(t, func(c *dmhub.Config) {
				if c.OrderReads = s.deals(t); tt.want != vendors.Unavailable {
					c.Semantics.RefundState = shown
				}
			})
			f := a.Find(t.Context(), tt.call)
			require.Equal(t, tt.want, f.Found, "%+v", f)
			if len(s.seen) > 0 {
				require.Equal(t, []string{"GET /v1/dealService/getDealByOrderNo?orderNo=123456"}, s.seen)
			}
		})
	}
}

func TestFindReadsTheDocumentsOrder(t *testing.T) {
	s := newShop(t)
	s.answers(200, golden(t, "deal_read"))
	c := call(event.OrderCreated)
	c.Event.OrderNo, c.Event.Amount = "11111111024", amount("59")
	f := s.account(t, func(cfg *dmhub.Config) { cfg.OrderReads = s.deals(t) }).Find(t.Context(), c)
	require.Equal(t, vendors.Present, f.Found)
}

func TestFindWithoutAReaderIsUnavailable(t *testing.T) {
	s := newShop(t)
	f := s.account(t, nil).Find(t.Context(), call(event.OrderCreated))
	require.Equal(t, vendors.Unavailable, f.Found)
	require.Empty(t, s.seen)
}
