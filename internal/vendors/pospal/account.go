// Package pospal speaks the coupons' part of Pospal's open platform (银豹,
// 促销(优惠券)API): codes are added and used, and can be read back.
//
// There is no token: each request is signed with the account's appKey.
package pospal

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// window is how long a code names its coupon: for good, so that a repeat is safe
// for longer than anybody repeats.
const window = 10 * 365 * 24 * time.Hour

// Account is one Pospal login (kind pospal). It implements vendors.Vendor, Finder,
// Checker and Reader. A push, a read and a page take at most twice Config.Timeout.
type Account struct {
	transport        *vendors.Transport
	appID            string
	secret           vendors.Secret
	timeout          time.Duration
	now              func() time.Time
	addPath, usePath string
}

// Close drops the idle connections.
func (a *Account) Close() { a.transport.Close() }

// Operation implements vendors.Vendor.
func (a *Account) Operation(t event.Type) (vendors.Operation, bool) {
	switch t {
	case event.CouponCodeAdded:
		// The code is the key: one store has it once.
		return vendors.Operation{
			Name: "POST " + a.addPath, Repeat: vendors.RepeatWindow, Window: window,
			Findable: true, EchoProves: true, Blocks: true,
		}, true
	case event.CouponCodeUsed:
		// What a second use of a code gets is documented nowhere.
		return vendors.Operation{
			Name: "POST " + a.usePath, Repeat: vendors.RepeatNever,
			Findable: true, EchoProves: true, Blocks: true,
		}, true
	}
	return vendors.Operation{}, false
}

// Push implements vendors.Vendor.
func (a *Account) Push(ctx context.Context, call vendors.Call) vendors.Result {
	e := call.Event
	if _, ok := a.Operation(e.Type); !ok {
		return vendors.Unsent(vendors.HoldUnsupported, fmt.Sprintf("Pospal has no call for %s", e.Type))
	}
	body, err := a.body(e)
	if err != nil {
		return vendors.Unsent(vendors.HoldEvent, err.Error())
	}
	req := a.request(a.path(e.Type), body)
	req.Personal = func() []string { return personal(e) }
	req.MaySend = call.MaySend
	r, rep := understand(req, a.transport.Do(ctx, req))
	switch {
	case rep.ok && r.Class == vendors.Ambiguous:
		match(&r, e, body, rep)
	case rep.failed && rep.code == codeExists && e.Type == event.CouponCodeAdded:
		r.Class = vendors.AlreadyApplied
		// A code that was made of the event is nobody else's.
		if r.Proven = e.Key == event.DerivedCode(e.Tenant, e.UUID); r.Proven {
			r.Receipt.Ref = e.Key
		}
	case r.Class == vendors.Refused && e.Type == event.CouponCodeUsed:
		r.Early = noSuch(rep.code)
	}
	return r
}

func (a *Account) path(t event.Type) string {
	if t == event.CouponCodeUsed {
		return a.usePath
	}
	return a.addPath
}

// match makes a Result Applied where the reply says success and doesn't contradict
// what was sent: it has little to echo.
func match(r *vendors.Result, e *event.Event, body []byte, rep reply) {
	asked, data := fieldsOf(body), fieldsOf(rep.all.get(nameData))
	for _, name := range [][]string{nameCode, namePromotion, nameCustomer} {
		got, want := data.text(name), asked.text(name)
		if got != "" && want != "" && got != want {
			r.Message = vendors.Shorten(fmt.Sprintf("the reply doesn't fit the call: %s is %q and not %q", name[0], got, want), 500)
			return
		}
	}
	r.Class, r.Message = vendors.Applied, ""
	r.Receipt.Ref = e.Key
}

// request signs a body: data-signature is the MD5 of appKey and body, in capitals,
// over the very bytes that are sent (接口交互格式说明). time-stamp isn't signed.
func (a *Account) request(path string, body []byte) vendors.Request {
	sum := md5.Sum(append([]byte(a.secret), body...))
	return vendors.Request{
		Method: http.MethodPost,
		Path:   path,
		Body:   body,
		Redact: []string{string(a.secret)},
		Headers: []vendors.Header{
			{Name: "User-Agent", Value: "openApi"},
			{Name: "time-stamp", Value: strconv.FormatInt(a.now().UnixMilli(), 10)},
			{Name: "data-signature", Value: strings.ToUpper(hex.EncodeToString(sum[:])), Secret: true},
		},
	}
}

// Check implements vendors.Checker: it reads the coupons' rules.
func (a *Account) Check(ctx context.Context) vendors.Result {
	_, r := a.page(ctx, query{path: pathPromotions}, nil)
	return r
}

// personal lists the values of an event that name a person.
func personal(e *event.Event) []string {
	var data struct {
		Identities []event.MemberIdentity `json:"identities"`
	}
	_ = json.Unmarshal(e.Data, &data) // identities of another kind name nobody
	var values []string
	for _, id := range data.Identities {
		values = append(values, id.Value, id.Name)
	}
	return values
}

// bounded limits a push or a read of several pages to two exchanges' time: less
// than the shortest lease.
func (a *Account) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, 2*a.timeout)
}
