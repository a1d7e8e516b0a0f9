package pospal

import (
	"context"
	"fmt"
	"strings"
	"time"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

const (
	// longest is what queryUsedPromotionCode takes: endTime - startTime <= 5天.
	longest = 5 * 24 * time.Hour
	// maxSpans bounds how many of these one answer costs.
	maxSpans = 12
	// clockMargin is how far the vendor's clock may be from ours.
	clockMargin = 10 * time.Minute
)

// Find implements vendors.Finder.
func (a *Account) Find(ctx context.Context, call vendors.Call) vendors.Finding {
	data, err := event.ReadObject(call.Event.Data)
	if err != nil || call.Event.Key == "" {
		r := vendors.Unsent("", "the event names no code that could be looked for")
		return vendors.Finding{Found: vendors.Unavailable, Result: r, Detail: r.Message}
	}
	defer data.Release()
	ctx, cancel := a.bounded(ctx)
	defer cancel()
	look := look{code: call.Event.Key, customer: vendors.Text(data.Get("customerUid")), appID: a.appID}
	switch call.Event.Type {
	case event.CouponCodeAdded:
		look.promotion, look.differs = vendors.Text(data.Get("promotionCouponUid")), look.sameCoupon
		return a.findAdded(ctx, &look)
	case event.CouponCodeUsed:
		look.differs = look.sameUse
		look.used, look.sent, look.now = timeOfUse(call.Event, data), call.FirstSentAt, a.now()
		if look.sent.IsZero() { // since the event was there
			look.sent = call.Event.Time
		}
		return a.findUsed(ctx, &look)
	}
	r := vendors.Unsent("", fmt.Sprintf("no read shows the effect of %s", call.Event.Type))
	return vendors.Finding{Found: vendors.Unavailable, Result: r, Detail: r.Message}
}

// look is what rows are compared with, and what they have come to.
type look struct {
	code, customer, promotion, appID string
	used, sent, now                  time.Time // of a use: by the event, first call, this read

	differs func(fields) string // what of a row with the code isn't as it was sent
	fits    int                 // rows that are as they were sent
	other   string              // what another row with the code differs by
	blank   bool                // a row has no code to compare
}

// see takes in a row. A list has the codes of all stores, and a code is unique in
// one only.
func (l *look) see(row fields) {
	switch code := row.text(nameCode); {
	case code == "":
		l.blank = true
	case !strings.EqualFold(code, l.code):
	case code != l.code: // whether case counts isn't said
		l.other = fmt.Sprintf("there is the code %q, which differs by case alone", code)
	default:
		if why := l.differs(row); why != "" {
			l.other = why
		} else {
			l.fits++
		}
	}
}

// findAdded reads the customer's codes: without a customer no read shows a code
// that hasn't been used.
func (a *Account) findAdded(ctx context.Context, l *look) vendors.Finding {
	if l.customer == "" {
		r := vendors.Unsent("", "the event has no customerUid, and codes can be read by it only; sending it again is safe, since a store refuses a code that it has")
		return vendors.Finding{Found: vendors.Unclear, Result: r, Detail: r.Message}
	}
	whole, r := a.each(ctx, customerCodes(l.customer), l.see)
	return l.judge(whole, r)
}

// findUsed reads the used codes around the time of the use as it was sent, and since
// the first call: useDateTime may not have been understood, and counts from then.
func (a *Account) findUsed(ctx context.Context, l *look) vendors.Finding {
	list := spans(l.used, l.sent, l.now)
	whole := len(list) <= maxSpans
	list = list[:min(len(list), maxSpans)]
	calls := 0
	var r vendors.Result
	for _, s := range list {
		complete, page := a.each(ctx, usedCodes(s), l.see)
		calls += page.Calls
		r, whole = page, whole && complete
		r.Calls = calls
		if r.Class != vendors.Applied || l.fits > 0 {
			break
		}
	}
	return l.judge(whole, r)
}

// judge says what the rows come to. whole says that the list was read to its end.
func (l *look) judge(whole bool, r vendors.Result) vendors.Finding {
	f := vendors.Finding{Found: vendors.Unclear, Result: r}
	switch {
	case r.Class == vendors.Refused: // the customer, or whatever else the list is of
		f.Detail = "there is no such list: " + r.Message
	case r.Class != vendors.Applied:
		f.Found = vendors.Unavailable
	case l.fits == 1:
		f.Found, f.Result.Receipt.Ref = vendors.Present, l.code
	case l.fits > 1:
		f.Detail = fmt.Sprintf("%d rows have the code", l.fits)
	case l.other != "":
		f.Detail = vendors.Shorten(l.other, 500)
	case l.blank:
		f.Detail = "the list has rows without a code"
	case !whole:
		f.Detail = "the list is longer than could be read, and what was read doesn't have the code"
	default:
		f.Found = vendors.Absent
	}
	return f
}

// sameCoupon says what of a customer's code isn't as it was sent.
func (l *look) sameCoupon(row fields) string {
	if p := row.text(namePromotion); p != l.promotion {
		return fmt.Sprintf("the customer has the code for another rule: promotionCouponUid is %q and not %q", p, l.promotion)
	}
	return l.sameCustomer(row)
}

// sameUse says what speaks against a used code's having been used by our call.
func (l *look) sameUse(row fields) string {
	if by := row.text(nameUsedBy); by != "" && by != l.appID {
		return "the code was used under another appId"
	}
	at := row.text(nameUsedAt)
	t, err := chinaTime(at)
	switch {
	case at == "":
	case err != nil:
		return fmt.Sprintf("usedDateTime is %q, which is no time of Pospal's", at)
	case !around(l.used, l.used, t) && !around(l.sent, l.now, t):
		return fmt.Sprintf("the code was used at %s and not at %s", at, inChina(l.used))
	}
	return l.sameCustomer(row)
}

func (l *look) sameCustomer(row fields) string {
	if c := row.text(nameCustomer); c != "" && c != "0" && l.customer != "" && c != l.customer {
		return "the code is another customer's"
	}
	return ""
}

func around(from, to, t time.Time) bool {
	return !t.Before(from.Add(-clockMargin)) && !t.After(to.Add(clockMargin))
}

// span is a time of whole seconds; to isn't in it.
type span struct{ from, to time.Time }

// spans are the times to look at, none longer than the vendor takes: around the use,
// and from the first call to now.
func spans(used, sent, now time.Time) []span {
	if sent.After(now) {
		sent = now
	}
	all := []span{{used.Add(-clockMargin), used.Add(clockMargin)}, {sent.Add(-clockMargin), now.Add(clockMargin)}}
	if a, b := all[0], all[1]; !a.to.Before(b.from) && !b.to.Before(a.from) {
		all = []span{{earlier(a.from, b.from), later(a.to, b.to)}}
	}
	var list []span
	for _, s := range all {
		list = append(list, s.cut()...)
	}
	return list
}

// cut splits a span into pieces that the vendor takes.
func (s span) cut() (list []span) {
	from, to := s.from.Truncate(time.Second), s.to.Truncate(time.Second).Add(time.Second)
	for ; to.Sub(from) > longest; from = from.Add(longest) {
		list = append(list, span{from, from.Add(longest)})
	}
	return append(list, span{from, to})
}

func earlier(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
