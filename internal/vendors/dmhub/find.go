package dmhub

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

const (
	pageRows = 100
	maxPages = 50
	// clockMargin is how far the vendor's clock may be from ours.
	clockMargin = 10 * time.Minute
)

// findOrder asks the account that shows orders (semantics.order_reads).
func (a *Account) findOrder(ctx context.Context, call vendors.Call) vendors.Finding {
	return a.orders.find(ctx, call, time.Now())
}

// pointRow is one row of the point details (§15). point is positive, the
// direction stands in type.
type pointRow struct {
	ID          json.RawMessage `json:"id"`
	Point       json.RawMessage `json:"point"`
	Type        json.RawMessage `json:"type"`
	Remark      string          `json:"remark"`
	ExternalID  json.RawMessage `json:"externalId"`
	Date        string          `json:"date"`
	DateCreated string          `json:"dateCreated"`
}

type pointPage struct {
	page
	rows []pointRow
}

// findPoints reads the member's details, newest first, for the rows that carry
// the call's uuid.
func (a *Account) findPoints(ctx context.Context, call vendors.Call) vendors.Finding {
	member := memberOf(call)
	if !isID(member) || call.Key == "" {
		return unavailable("membershipId or uuid: missing; the point details are read by them")
	}
	now, sent := time.Now(), pointDate(call.Event)
	seen := map[string]bool{}
	var ours []pointRow
	nameless := false
	for n := 1; n <= maxPages; n++ {
		page, r := a.pointPage(ctx, member, n)
		r.Calls = n
		if r.Class != vendors.Applied {
			return vendors.Finding{Found: vendors.Unavailable, Result: r}
		}
		fresh := 0
		for _, row := range page.rows {
			id := string(row.ID)
			if vendors.Given(row.ID) && seen[id] {
				continue
			}
			seen[id] = true
			fresh++
			if row.carries(call.Event.UUID) {
				ours = append(ours, row)
			}
			nameless = nameless || row.nameless(call)
		}
		if fresh == 0 || page.last(n, len(seen)) || page.past(call.FirstSentAt, sent) {
			f := judge(ours, call.Event, r, now.Sub(sent) > pointMemory)
			if f.Found == vendors.Absent && nameless {
				f.Found = vendors.Unclear
				f.Detail = "a row of the point details with this direction and these points has neither remark nor externalId: it may be ours"
			}
			return f
		}
	}
	return unavailable(fmt.Sprintf("the member has more than %d pages of point details", maxPages))
}

// carries says whether a row carries the event's uuid, or a further key that was
// made of it: a worker may have used one of which a database that was put back to
// an older state knows nothing.
func (r pointRow) carries(uuid string) bool {
	if rest, found := vendors.CutKey(vendors.Text(r.ExternalID), uuid); found && rest == "" {
		return true
	}
	return traces(uuid, r.Remark)
}

// nameless says whether a row may be the call's although it doesn't carry the uuid:
// no document promises that the details show what was sent as remark, and §15's
// sample shows none.
func (r pointRow) nameless(call vendors.Call) bool {
	return r.Remark == "" && vendors.Text(r.ExternalID) == "" && r.fits(call.Event) && !before(r.DateCreated, call.FirstSentAt)
}

func (a *Account) pointPage(ctx context.Context, member string, n int) (pointPage, vendors.Result) {
	p, r := a.page(ctx, pointPath(member), pageQuery(n))
	page := pointPage{page: p, rows: make([]pointRow, len(p.rows))}
	for i, raw := range p.rows {
		if json.Unmarshal(raw, &page.rows[i]) != nil {
			r.Class, r.Message = vendors.Ambiguous, "the reply holds no rows of point details"
		}
	}
	return page, r
}

func pointPath(member string) string { return "/loyalty/v1/membership/" + member + "/point" }

// past says whether all following rows are too old to be ours. No document says
// which date the rows are sorted by, so both have to be older than the call, on
// a page whose ids prove that it runs from new to old.
func (p pointPage) past(firstSent, sent time.Time) bool {
	if firstSent.IsZero() || len(p.rows) < 2 {
		return false
	}
	for i := 1; i < len(p.rows); i++ {
		newer, err := strconv.ParseInt(vendors.Text(p.rows[i-1].ID), 10, 64)
		older, err2 := strconv.ParseInt(vendors.Text(p.rows[i].ID), 10, 64)
		if err != nil || err2 != nil || older >= newer {
			return false
		}
	}
	last := p.rows[len(p.rows)-1]
	return before(last.DateCreated, firstSent) && before(last.Date, sent)
}

func before(vendors string, t time.Time) bool {
	at, err := vendorTime(vendors)
	return err == nil && at.Before(t.Add(-clockMargin))
}

// vendorTime reads a time of DM Hub's: UTC, with or without its Z.
func vendorTime(s string) (time.Time, error) {
	return time.Parse(time.RFC3339Nano, strings.TrimSuffix(s, "Z")+"Z")
}

// pointDate is the date that the change of points was sent with.
func pointDate(e *event.Event) time.Time {
	if e.OccurredAt.IsZero() {
		return e.Time
	}
	return e.OccurredAt
}

func direction(e *event.Event) string {
	if e.Type == event.PointDecremented {
		return "-1"
	}
	return "1"
}

// fits says whether a row has the direction and the points that were asked for.
func (r pointRow) fits(e *event.Event) bool {
	points, ok := event.Decimal(vendors.Text(r.Point))
	asked := decimal.NewFromInt(e.Points)
	return ok && vendors.Text(r.Type) == direction(e) &&
		(points.Equal(asked) || e.DecrToZero && points.IsPositive() && points.LessThan(asked))
}

// judge compares the rows that carry our uuid with what was asked. old says that
// the date sent is older than the details reach, so that no row proves nothing.
func judge(ours []pointRow, e *event.Event, r vendors.Result, old bool) vendors.Finding {
	f := vendors.Finding{Result: r}
	switch {
	case len(ours) > 1:
		f.Found, f.Detail = vendors.Unclear, fmt.Sprintf("%d rows of the point details carry the uuid", len(ours))
		return f
	case len(ours) == 0 && old:
		f.Found, f.Detail = vendors.Unclear, "the point details show the last 30 days only, and the event's date is older"
		return f
	case len(ours) == 0:
		f.Found = vendors.Absent
		return f
	}
	row := ours[0]
	if !row.fits(e) {
		f.Found = vendors.Unclear
		f.Detail = fmt.Sprintf("the row with the uuid has type %s and point %s; asked were %s and %d",
			vendors.Shorten(string(row.Type), 20), vendors.Shorten(string(row.Point), 20), direction(e), e.Points)
		return f
	}
	points, _ := event.Decimal(vendors.Text(row.Point)) // fits has read it
	applied := points.IntPart()
	f.Found = vendors.Present
	f.Result.Receipt = vendors.Receipt{Ref: vendors.Text(row.ID), Points: &applied}
	return f
}
