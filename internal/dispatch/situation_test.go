package dispatch

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/dmhub"
	"syncworker/internal/vendors/every"
)

var received = time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)

const eventUUID = "5f0c"

func testPolicy() Policy {
	return Policy{
		Timeout: 10 * time.Second, QuietPeriod: 5 * time.Minute, EarlyGrace: 2 * time.Minute,
		PredecessorWait: 24 * time.Hour,
		Retry:           Retry{Initial: time.Second, Max: 10 * time.Minute, MaxAttempts: 20, MaxAge: 72 * time.Hour},
	}
}

// variant is a type at an account with certain semantics.
type variant struct {
	kind   event.Type
	at     string // the kind of account; empty is DM Hub's loyalty
	reads  bool   // semantics.order_reads is set
	said   dmhub.Semantics
	toZero bool
}

// variants are the rows of the resolution table, by the names that tests use.
var variants = map[string]variant{
	"points":          {kind: event.PointIncremented},
	"points-untraced": {kind: event.PointIncremented, said: dmhub.Semantics{PointTrace: dmhub.None}},
	"points-refusing": {kind: event.PointIncremented, said: dmhub.Semantics{DuplicateUUID: dmhub.Refused, DuplicateUUIDReply: "409000"}},
	"to-zero":         {kind: event.PointDecremented, toZero: true},
	"create":          {kind: event.OrderCreated},
	"create-read":     {kind: event.OrderCreated, reads: true},
	"create-replaced": {kind: event.OrderCreated, said: dmhub.Semantics{ExistingOrder: dmhub.Replaced}},
	"create-refused":  {kind: event.OrderCreated, said: dmhub.Semantics{ExistingOrder: dmhub.Refused, ExistingOrderReply: "409000"}},
	"update":          {kind: event.OrderUpdated},
	"cancel":          {kind: event.OrderCancelled},
	"cancel-read":     {kind: event.OrderCancelled, reads: true},
	"delete":          {kind: event.OrderDeleted},
	"delete-read":     {kind: event.OrderDeleted, reads: true},
	"refund":          {kind: event.OrderRefunded, reads: true},
	"refund-deleted":  {kind: event.OrderRefundDeleted, reads: true},

	"register": {kind: event.MemberRegistered},
	"member":   {kind: event.MemberUpdated},
	"bind":     {kind: event.MemberIdentityBound},
	"unbind":   {kind: event.MemberIdentityRemoved},
	"mobile":   {kind: event.MemberMobileChanged},
	"draw":     {kind: event.CouponDrawn},
	"redeem":   {kind: event.CouponRedeemed},
	"device":   {kind: event.DeviceRegistered},

	"deal":                {at: customerDeals, kind: event.OrderCreated},
	"deal-update":         {at: customerDeals, kind: event.OrderUpdated},
	"deal-cancel":         {at: customerDeals, kind: event.OrderCancelled},
	"deal-delete":         {at: customerDeals, kind: event.OrderDeleted},
	"deal-refund":         {at: customerDeals, kind: event.OrderRefunded},
	"deal-refund-deleted": {at: customerDeals, kind: event.OrderRefundDeleted},

	"adjust":       {at: heyShop, kind: event.PointIncremented},
	"level":        {at: heyShop, kind: event.LevelCreated},
	"level-update": {at: heyShop, kind: event.LevelUpdated},
	"level-delete": {at: heyShop, kind: event.LevelDeleted},

	"code":     {at: posPal, kind: event.CouponCodeAdded},
	"code-use": {at: posPal, kind: event.CouponCodeUsed},
}

// Kinds of account, beside DM Hub's loyalty.
const (
	customerDeals = "dmhub-deals"
	heyShop       = "heyshop"
	posPal        = "pospal"
)

// account returns a DM Hub account with these semantics: its facts are what the
// decisions stand on. It is never called.
func (v variant) account(t require.TestingT) *dmhub.Account {
	c := dmhub.Config{
		Name: "dmhub", BaseURL: "https://vendor.invalid", AppID: "app", Secret: "s", Timeout: 10 * time.Second,
		MaxInFlight: 4, UUIDTimeout: 72 * time.Hour, Semantics: v.said,
	}
	if v.reads {
		deals, err := dmhub.NewDeals(c, nil)
		require.NoError(t, err)
		c.OrderReads = deals
	}
	a, err := dmhub.New(c, handy{})
	require.NoError(t, err)
	return a
}

// handy always has a token.
type handy struct{}

func (handy) Token(context.Context, vendors.FetchToken) (vendors.Token, error) {
	return vendors.Token{Value: "t", Generation: 1}, nil
}

func (handy) Has() bool { return true }

func (handy) Refresh(context.Context, int64, vendors.FetchToken) (vendors.Token, error) {
	return vendors.Token{Value: "t", Generation: 2}, nil
}

func (v variant) operation(t require.TestingT) vendors.Operation {
	at := vendors.Vendor(v.account(t))
	for _, kind := range every.Kinds() {
		if kind.Name == v.at {
			var err error
			at, err = kind.New(vendors.Setup{
				Name: v.at, BaseURL: "https://vendor.invalid", AppID: "app", Secret: "s", Timeout: 10 * time.Second, MaxInFlight: 4,
			})
			require.NoError(t, err)
		}
	}
	op, ok := at.Operation(v.kind)
	require.True(t, ok)
	return op
}

// work is a delivery of this variant just as it was handed over.
func (v variant) work(id int64) *outbox.Work {
	w := &outbox.Work{
		Delivery: outbox.Delivery{
			ID: id, ReceivedAt: received, EventTime: received, Account: "dmhub", Type: v.kind, State: outbox.Pending,
		},
		Event: &event.Event{Type: v.kind, Time: received, Tenant: "default", OrderNo: "o1", UUID: eventUUID, DecrToZero: v.toZero},
	}
	if v.kind.Point() {
		w.Event.Points, w.Event.OrderNo, w.VendorKey = 8, "", eventUUID
	}
	return w
}

// The histories that a delivery may have when a call is made for it.
const (
	clean   = "clean"   // never called
	unclear = "unclear" // a call five minutes ago wasn't answered
	late    = "late"    // the same two hours ago, behind the window of the key
	keyUsed = "keyused" // refused as early a moment ago, and never unclear
)

// history puts a delivery into the state that it has while a call is made at the
// returned time.
func (v variant) history(w *outbox.Work, h string) (now time.Time) {
	now = received.Add(5 * time.Minute)
	w.FirstSentAt = now
	switch h {
	case clean:
	case keyUsed:
		w.KeyUsed, w.Calls, w.Attempts, w.FirstSentAt = true, 1, 1, now.Add(-time.Second)
	case unclear, late:
		w.FirstSentAt = received
		w.Ambiguous, w.EverAmbiguous, w.KeyUsed, w.Calls, w.Attempts = true, true, true, 1, 1
		w.QuietUntil = received.Add(5 * time.Minute)
		if h == late {
			now = received.Add(2 * time.Hour)
		}
	}
	w.Calls++
	w.State = outbox.Inflight
	return now
}

func readable(d outbox.Delivery) string {
	if d.Reason == "" {
		return string(d.State)
	}
	return string(d.State) + ":" + d.Reason
}

func TestVariantsAreAllThatVendorsTake(t *testing.T) {
	seen := map[variant]bool{}
	for _, v := range variants {
		seen[variant{kind: v.kind, at: v.at}] = true
	}
	types := map[event.Type]bool{}
	for _, kind := range every.Kinds() {
		at := kind.Name
		if at == "dmhub-loyalty" {
			at = ""
		}
		for _, taken := range kind.Takes {
			types[taken] = true
			if taken == event.PointDecremented {
				taken = event.PointIncremented // to-zero is the one that differs
			}
			require.True(t, seen[variant{kind: taken, at: at}], "%s at %s has no row in the tables of outcomes", taken, kind.Name)
		}
	}
	for _, kind := range event.Types() {
		require.True(t, types[kind], "no vendor takes %s", kind)
	}
}
