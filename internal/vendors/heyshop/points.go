package heyshop

import (
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/shopspring/decimal"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// Kinds of a row of the history that the document shows. There may be others.
const (
	manual = "manual" // by an adjustment, ours or the shop's staff's
	buy    = "buy"    // by an order
)

// lateness is how far from our call, by our clock, the vendor may have dated its
// effect: their clocks differ, and a call may arrive late.
const lateness = 10 * time.Minute

// proof is how many rows with falling ids show that a history is newest first: in
// any other order that is one in 3.6 million.
const proof = 10

// entry is a row of the history. The list has the row's whole order, the entry by
// id its order_id, an adjustment's reply order: null; none of them is needed.
type entry struct {
	id       int64
	customer string
	points   decimal.Decimal
	kind     string
	created  time.Time // zero where it can't be read
}

func readEntry(f fields) (entry, bool) {
	points, ok := number(f["points"])
	e := entry{id: id(f["id"]), customer: vendors.Text(vendors.Fields(f["customer"])["id"]), points: points, kind: vendors.Text(f["kind"])}
	e.created, _ = time.Parse(time.RFC3339Nano, vendors.Text(f["created_at"]))
	return e, ok && e.id > 0 && e.customer != ""
}

// adjusted says what an adjustment's reply lacks of the echo; empty where it is one.
func adjusted(call vendors.Call, e entry, ok bool) string {
	switch asked := signed(call.Event); {
	case !ok:
		return "it isn't a row of the history"
	case e.customer != customer(call):
		return "it is about another customer"
	case e.kind != manual:
		return fmt.Sprintf("kind is %q", vendors.Shorten(e.kind, 20))
	case !e.points.Equal(decimal.NewFromInt(asked)):
		return fmt.Sprintf("points is %s and not %d", e.points, asked)
	}
	return ""
}

// history reads a customer's rows, newest first as far as the vendor shows them so.
// No document says how they are sorted: only where the ids prove it does the read
// end before the last page, once enough says that what follows doesn't matter.
func (a *Account) history(ctx context.Context, customer string, enough func(oldest int64) bool) ([]entry, vendors.Result) {
	var rows []entry
	seen := map[int64]bool{}
	falling, last := true, int64(0)
	for n := 1; n <= maxPages; n++ {
		page, r := a.page(ctx, historyPath, url.Values{"customer": {customer}}, n)
		r.Calls = n
		if r.Class != vendors.Applied {
			return nil, r
		}
		before := len(seen)
		for _, f := range page.rows {
			e, ok := readEntry(f)
			if !ok {
				return nil, unreadable(r, "a row of the point history has no id, customer or points")
			}
			if e.customer != customer {
				return nil, unreadable(r, "the point history shows rows of other customers than the one that was asked for")
			}
			falling = falling && (last == 0 || e.id < last)
			last = e.id
			if !seen[e.id] {
				rows = append(rows, e)
			}
			seen[e.id] = true
		}
		switch {
		case page.last && !falling && page.count >= 0 && page.count != len(seen):
			return nil, unreadable(r, fmt.Sprintf("%d rows of the point history were seen, and count is %d: it changed while it was read", len(seen), page.count))
		case page.last, falling && len(seen) >= proof && enough(last):
			return rows, r
		case len(seen) == before:
			return nil, unreadable(r, "a page of the point history shows nothing new, and says that another follows")
		}
	}
	r := vendors.Unsent(vendors.HoldUnsupported, fmt.Sprintf("the customer has more than %d rows of point history, and HeyShop doesn't show the newest first: "+
		"adjust the points by hand and resolve this with the row's id", maxPages*pageRows))
	r.Calls = maxPages
	return nil, r
}

// unreadable is a read whose answer can't be used.
func unreadable(r vendors.Result, why string) vendors.Result {
	r.Class, r.Message = vendors.Ambiguous, why
	return r
}

// markPoints notes the largest id of the customer's history, 0 where there is none.
func (a *Account) markPoints(ctx context.Context, call vendors.Call) (string, vendors.Result) {
	rows, r := a.history(ctx, customer(call), func(int64) bool { return true })
	if r.Class != vendors.Applied {
		return "", r
	}
	newest := int64(0)
	for _, e := range rows {
		newest = max(newest, e.id)
	}
	return strconv.FormatInt(newest, 10), r
}

// findPoints reads the rows that weren't there when the mark was made.
func (a *Account) findPoints(ctx context.Context, call vendors.Call) vendors.Finding {
	mark, err := strconv.ParseInt(call.Mark, 10, 64)
	if err != nil {
		return unmarked()
	}
	rows, r := a.history(ctx, customer(call), func(oldest int64) bool { return oldest <= mark })
	if r.Class != vendors.Applied {
		return vendors.Finding{Found: vendors.Unavailable, Result: r, Detail: r.Message}
	}
	rows = slices.DeleteFunc(rows, func(e entry) bool {
		return e.id <= mark || a.anothers(call, strconv.FormatInt(e.id, 10))
	})
	f := judge(call, rows)
	r.Receipt = f.Result.Receipt
	f.Result = r
	return f
}

// judge compares the rows that are new since the mark, and not known as another's,
// with what was asked.
func judge(call vendors.Call, rows []entry) vendors.Finding {
	var equal []entry
	maybe := ""
	for _, e := range rows {
		switch {
		case e.kind == manual && e.points.Equal(decimal.NewFromInt(signed(call.Event))):
			equal = append(equal, e)
		case maybe == "":
			maybe = e.mayBe(call)
		}
	}
	switch {
	case len(equal) > 1:
		return vendors.Finding{Found: vendors.Unclear, Detail: fmt.Sprintf(
			"%d manual rows of the point history with these points are newer than the call: the shop's staff makes such rows too", len(equal))}
	case len(equal) == 1 && !equal[0].near(call.FirstSentAt):
		return vendors.Finding{Found: vendors.Unclear, Detail: fmt.Sprintf(
			"row %d of the point history has these points, but wasn't made within %s of the call", equal[0].id, lateness)}
	case len(equal) == 1:
		points := call.Event.Points
		return vendors.Finding{Found: vendors.Present, Result: vendors.Result{Receipt: vendors.Receipt{
			Ref: strconv.FormatInt(equal[0].id, 10), Points: &points, Member: equal[0].customer,
		}}}
	case maybe != "":
		return vendors.Finding{Found: vendors.Unclear, Detail: maybe}
	}
	return vendors.Finding{Found: vendors.Absent}
}

// mayBe says why a row that isn't what was asked may be its effect all the same;
// empty where it can't be.
func (e entry) mayBe(call vendors.Call) string {
	asked := decimal.NewFromInt(signed(call.Event))
	switch {
	case e.kind == buy:
		return ""
	case e.kind != manual && e.points.Equal(asked):
		return fmt.Sprintf("row %d of the point history has these points, and a kind that no document names: %q", e.id, vendors.Shorten(e.kind, 20))
	case e.kind == manual && call.Event.Type == event.PointDecremented && e.points.Abs().LessThanOrEqual(asked.Abs()):
		// What HeyShop makes of negative points isn't documented: it may stop at 0, or
		// drop the sign.
		return fmt.Sprintf("row %d of the point history has %s points where %s were asked for", e.id, e.points, asked)
	}
	return ""
}

// near reports whether a row may have been made by a call of this time.
func (e entry) near(sent time.Time) bool { return e.created.Sub(sent).Abs() <= lateness }

// unmarked is all that can be said where nothing is known of what was there before.
func unmarked() vendors.Finding {
	const why = "what was there before the call isn't known any more (a database that was put back?): compare by hand"
	return vendors.Finding{Found: vendors.Unclear, Result: vendors.Unsent("", why), Detail: why}
}
