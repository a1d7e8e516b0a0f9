package dmhub

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// heldCoupon is what we read of a member's coupon (membershipCoupon, §13). The
// channels of its coupon have a couponId as well, which is another thing.
type heldCoupon struct {
	code     string
	couponID string
	member   string
	status   string // normal, used, notStarted, expired
	drawn    string // dateDraw
}

func readHeldCoupon(fields map[string]json.RawMessage) heldCoupon {
	return heldCoupon{
		code: vendors.Text(fields["couponCode"]), couponID: vendors.Text(fields["couponId"]),
		member: vendors.Text(fields["membershipId"]), status: vendors.Text(fields["status"]), drawn: vendors.Text(fields["dateDraw"]),
	}
}

// used compares without case, as the vendor's samples vary in it.
func (c heldCoupon) used() bool { return strings.EqualFold(c.status, "used") }

func couponOf(e *event.Event) string { return vendors.Text(vendors.Fields(e.Data)["couponId"]) }

// echoDrawn wants a coupon of that kind for that member (§13.4), and one that they
// didn't have before.
func echoDrawn(call vendors.Call, rep reply) (vendors.Receipt, string) {
	c, asked := readHeldCoupon(rep.fields), couponOf(call.Event)
	before, _ := readMark(call.Mark)
	switch {
	case c.code == "":
		return vendors.Receipt{}, "couponCode is missing"
	case asked == "" || c.couponID != asked:
		return vendors.Receipt{}, fmt.Sprintf("couponId is %q", vendors.Shorten(c.couponID, 80))
	case c.member != memberOf(call):
		return vendors.Receipt{}, fmt.Sprintf("membershipId is %q", vendors.Shorten(c.member, 40))
	case slices.Contains(before, c.code):
		return vendors.Receipt{}, "the member had the coupon before the call"
	}
	return vendors.Receipt{Ref: c.code, Member: c.member}, ""
}

// echoRedeemed wants the coupon as used (§13.7); dateRedeem is null even then.
func echoRedeemed(call vendors.Call, rep reply) (vendors.Receipt, string) {
	c := readHeldCoupon(rep.fields)
	switch {
	case c.code == "" || c.code != call.Event.Key:
		return vendors.Receipt{}, fmt.Sprintf("couponCode is %q", vendors.Shorten(c.code, 80))
	case !c.used():
		return vendors.Receipt{}, fmt.Sprintf("status is %q and not used", vendors.Shorten(c.status, 40))
	case c.member != memberOf(call):
		return vendors.Receipt{}, fmt.Sprintf("membershipId is %q", vendors.Shorten(c.member, 40))
	}
	return vendors.Receipt{Ref: c.code, Member: c.member}, ""
}

// held lists all coupons of a kind that a member has, used and expired ones too: no
// status is asked for (§13.6).
func (a *Account) held(ctx context.Context, member, coupon string) (held []heldCoupon, r vendors.Result) {
	seen := map[string]bool{}
	for n := 1; n <= maxPages; n++ {
		var p page
		p, r = a.page(ctx, "/loyalty/v1/membership/"+member+"/coupon", pageQuery(n))
		r.Calls = n
		if r.Class != vendors.Applied {
			return nil, r
		}
		fresh := 0
		for _, raw := range p.rows {
			c := readHeldCoupon(vendors.Fields(raw))
			switch {
			case c.code == "":
				r.Class, r.Message = vendors.Ambiguous, "the reply holds a coupon without a code"
				return nil, r
			case seen[c.code]:
				continue
			case c.couponID == coupon:
				held = append(held, c)
			}
			seen[c.code] = true
			fresh++
		}
		if fresh == 0 || p.last(n, len(seen)) {
			return held, r
		}
	}
	r = vendors.Unsent(vendors.HoldUnsupported, fmt.Sprintf("the member has more than %d pages of coupons; which one is new can't be told", maxPages))
	return nil, r
}

// markCoupons notes the coupons of the kind that the member has before the draw:
// those that a read shows, and those that were drawn too recently for it.
func (a *Account) markCoupons(ctx context.Context, call vendors.Call) (string, vendors.Result) {
	member, coupon := memberOf(call), couponOf(call.Event)
	if !isID(member) || coupon == "" {
		return "", vendors.Unsent(vendors.HoldEvent, "membershipId or couponId: missing; a coupon is drawn by them")
	}
	held, r := a.held(ctx, member, coupon)
	if r.Class != vendors.Applied {
		return "", r
	}
	codes := a.drawn.of(member, coupon)
	for _, c := range held {
		codes = append(codes, c.code)
	}
	slices.Sort(codes)
	mark, _ := json.Marshal(append([]string{}, slices.Compact(codes)...)) // strings always marshal
	if len(mark) > vendors.MarkLimit {
		return "", vendors.Unsent(vendors.HoldUnsupported, fmt.Sprintf("the member has %d coupons of this kind, more than can be noted before a draw", len(codes)))
	}
	return string(mark), r
}

func readMark(mark string) (codes []string, ok bool) {
	return codes, mark != "" && json.Unmarshal([]byte(mark), &codes) == nil
}

// findDrawn compares the member's coupons with those before the call.
func (a *Account) findDrawn(ctx context.Context, call vendors.Call) vendors.Finding {
	before, ok := readMark(call.Mark)
	if !ok {
		return vendors.Finding{
			Found: vendors.Unclear, Result: vendors.Unsent("", "the coupons before the draw aren't known any more"),
			Detail: "which coupons the member had before the draw isn't known any more, so that a new one can't be told",
		}
	}
	member, coupon := memberOf(call), couponOf(call.Event)
	if !isID(member) || coupon == "" {
		return unavailable("membershipId or couponId: missing; the member's coupons are read by them")
	}
	held, r := a.held(ctx, member, coupon)
	if r.Class != vendors.Applied {
		return vendors.Finding{Found: vendors.Unavailable, Result: r, Detail: r.Message}
	}
	fresh := slices.DeleteFunc(held, func(c heldCoupon) bool {
		return slices.Contains(before, c.code) || slices.Contains(call.Others, c.code)
	})
	f := vendors.Finding{Result: r}
	switch len(fresh) {
	case 0:
		f.Found = vendors.Absent
	case 1:
		if !drawnWith(call, fresh[0].drawn) {
			f.Found = vendors.Unclear
			f.Detail = fmt.Sprintf("the member has one new coupon of this kind, %s, which wasn't drawn at the time of the call", vendors.Shorten(fresh[0].code, 40))
			break
		}
		f.Found, f.Result.Receipt = vendors.Present, vendors.Receipt{Ref: fresh[0].code, Member: member}
		a.drawn.add(call, fresh[0].code)
	default:
		f.Found = vendors.Unclear
		f.Detail = "the member has " + strconv.Itoa(len(fresh)) + " new coupons of this kind"
		for _, c := range fresh[:min(len(fresh), 10)] {
			f.Detail += ", " + vendors.Shorten(c.code, 40)
		}
	}
	return f
}

// drawnWith says whether a coupon was drawn when the call was made: someone else may
// have drawn one of the same kind since.
func drawnWith(call vendors.Call, dateDraw string) bool {
	at, err := vendorTime(dateDraw)
	return err == nil && !call.FirstSentAt.IsZero() && at.Sub(call.FirstSentAt).Abs() <= clockMargin
}

// findRedeemed reads the coupon (§13.5).
func (a *Account) findRedeemed(ctx context.Context, call vendors.Call) vendors.Finding {
	code, err := segment("couponCode", call.Event.Key)
	if err != nil {
		return unavailable(err.Error())
	}
	r, rep := a.client.call(ctx, vendors.Request{Method: http.MethodGet, Path: "/loyalty/v1/membershipCoupon/" + code})
	f := vendors.Finding{Found: vendors.Unavailable, Result: r}
	c := readHeldCoupon(rep.fields)
	switch {
	case r.Class == vendors.Refused && rep.code == "409200":
		f.Found, f.Detail = vendors.Absent, "there is no such coupon"
	case r.Class == vendors.Refused && rep.code == "409000":
		f.Found, f.Detail = vendors.Unclear, "the read of the coupon was refused: "+r.Message
	case r.Class == vendors.Refused:
		f.Result.Class, f.Result.Early = vendors.Ambiguous, false
	case rep.kind != object || !rep.ok || r.Class != vendors.Ambiguous || c.code != call.Event.Key:
		// The read has shown nothing.
	default:
		f.Result.Class, f.Result.Message = vendors.Applied, ""
		f.Found, f.Detail = c.redeemed(memberOf(call))
	}
	if f.Found == vendors.Present {
		f.Result.Receipt = vendors.Receipt{Ref: c.code, Member: c.member}
	}
	return f
}

// redeemed says whether a coupon shows that a member has used it. An expired one
// doesn't say whether it was used before.
func (c heldCoupon) redeemed(by string) (vendors.Found, string) {
	switch {
	case c.used() && c.member != by:
		return vendors.Unclear, fmt.Sprintf("the coupon is used, and member %s's", vendors.Shorten(c.member, 40))
	case c.used():
		return vendors.Present, ""
	case strings.EqualFold(c.status, "normal"), strings.EqualFold(c.status, "notStarted"):
		return vendors.Absent, ""
	}
	return vendors.Unclear, fmt.Sprintf("the coupon's status is %q", vendors.Shorten(c.status, 40))
}

// drawnCoupons remembers the latest draws, which reads may not show yet.
type drawnCoupons struct {
	mu    sync.Mutex
	codes *lru.Cache[string, []drawnCoupon]
}

type drawnCoupon struct {
	code string
	at   time.Time
}

const (
	drawnMembers = 10_000
	drawnTime    = time.Hour // longer than any read lags
)

func newDrawnCoupons() *drawnCoupons {
	codes, err := lru.New[string, []drawnCoupon](drawnMembers)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &drawnCoupons{codes: codes}
}

func (d *drawnCoupons) add(call vendors.Call, code string) {
	key := drawnKey(memberOf(call), couponOf(call.Event))
	now := time.Now()
	d.mu.Lock()
	defer d.mu.Unlock()
	known, _ := d.codes.Get(key)
	known = slices.DeleteFunc(slices.Clone(known), func(c drawnCoupon) bool { return now.Sub(c.at) > drawnTime })
	d.codes.Add(key, append(known, drawnCoupon{code, now}))
}

func (d *drawnCoupons) of(member, coupon string) (codes []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	known, _ := d.codes.Get(drawnKey(member, coupon))
	for _, c := range known {
		codes = append(codes, c.code)
	}
	return codes
}

func drawnKey(member, coupon string) string { return member + " " + url.QueryEscape(coupon) }
