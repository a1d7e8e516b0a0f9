package dmhub

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// Account is one DM Hub login for loyalty (kind dmhub-loyalty). It implements
// vendors.Vendor, Preparer, Marker, Finder, MemberFinder, Reader and Checker. A push
// or a read takes at most twice Config.Timeout, fetching a token included.
type Account struct {
	client      *client
	semantics   Semantics
	uuidTimeout time.Duration
	timeout     time.Duration
	orders      *Deals
	members     *memberCache
	drawn       *drawnCoupons
	operations  map[event.Type]operation
}

// New prepares an account without calling the vendor. Its error lists all that
// is wrong with the config. tokens must be shared by all accounts of one app id,
// since a new token makes the old one invalid.
func New(c Config, tokens vendors.TokenSource) (*Account, error) {
	c = c.withDefaults()
	client, err := c.client(tokens)
	if err != nil {
		return nil, err
	}
	a := &Account{
		client:      client,
		semantics:   c.Semantics,
		uuidTimeout: c.UUIDTimeout,
		timeout:     c.Timeout,
		orders:      c.OrderReads,
		members:     newMemberCache(),
		drawn:       newDrawnCoupons(),
	}
	a.operations = operationsOf(a)
	return a, nil
}

// Close drops the idle connections.
func (a *Account) Close() { a.client.transport.Close() }

// Operation implements vendors.Vendor. AmountByRead is true for decrements: it
// matters for an event with decrToZero only.
func (a *Account) Operation(t event.Type) (vendors.Operation, bool) {
	op, ok := a.operations[t]
	return op.Operation, ok
}

// Ready implements vendors.Preparer.
func (a *Account) Ready(ctx context.Context) vendors.Result {
	ctx, cancel := a.client.bounded(ctx)
	defer cancel()
	return a.client.ready(ctx)
}

// IsReady implements vendors.Preparer.
func (a *Account) IsReady() bool { return a.client.tokens.Has() }

// Push implements vendors.Vendor.
func (a *Account) Push(ctx context.Context, call vendors.Call) vendors.Result {
	op, ok := a.operations[call.Event.Type]
	if !ok {
		return vendors.Unsent(vendors.HoldUnsupported, fmt.Sprintf("DM Hub has no call for %s", call.Event.Type))
	}
	req, hold, err := a.request(call, op)
	if err != nil {
		return vendors.Unsent(hold, err.Error())
	}
	ctx, cancel := a.client.bounded(ctx)
	defer cancel()
	asked := a.members.now()
	r, rep := a.client.call(ctx, req)
	op.match(&r, call, rep)
	// A 503 stays Ambiguous with its RetryAfter, even where a repeat is safe: it
	// may have taken effect, and a refusal of the repeat must not pass for proof.
	switch {
	case op.already != "" && r.Class == vendors.Refused && rep.code == op.already, a.duplicate(call.Event.Type, rep):
		r.Class, r.Early = vendors.AlreadyApplied, false
	case r.Class == vendors.Refused && rep.code == "210":
		r.Hold = vendors.HoldMember
		a.members.forget(call.Event.Member.Identities...)
	}
	if op.moves != nil && r.Class != vendors.NotSent {
		leadTo := ""
		if op.leads && r.Class == vendors.Applied {
			leadTo = r.Receipt.Member // what follows needs no read, which may not show it yet
		}
		a.members.move(leadTo, time.Now(), asked, op.moves(call.Event)...)
	}
	if call.Event.Type == event.CouponDrawn && r.Class == vendors.Applied {
		a.drawn.add(call, r.Receipt.Ref)
	}
	return r
}

// Mark implements vendors.Marker.
func (a *Account) Mark(ctx context.Context, call vendors.Call) (string, vendors.Result) {
	op, ok := a.operations[call.Event.Type]
	if !ok || op.mark == nil {
		return "", vendors.Unsent(vendors.HoldUnsupported, fmt.Sprintf("DM Hub's call for %s needs nothing read before it", call.Event.Type))
	}
	ctx, cancel := a.client.bounded(ctx)
	defer cancel()
	return op.mark(a, ctx, call)
}

// Find implements vendors.Finder. Present says that the effect exists: for a
// delete, that the order is gone.
func (a *Account) Find(ctx context.Context, call vendors.Call) vendors.Finding {
	op, ok := a.operations[call.Event.Type]
	if !ok || !op.Findable {
		return unavailable(fmt.Sprintf("no read shows the effect of %s at this account", call.Event.Type))
	}
	ctx, cancel := a.client.bounded(ctx)
	defer cancel()
	f := op.find(a, ctx, call)
	if op.moves != nil {
		a.members.forget(op.moves(call.Event)...)
	}
	return f
}

// request builds the call of an event; where it can't, hold says what a person
// has to look at.
func (a *Account) request(call vendors.Call, op operation) (req vendors.Request, hold string, err error) {
	member := memberOf(call)
	if op.NeedsMember && member == "" {
		return req, vendors.HoldMember, fmt.Errorf("membershipId: missing; %s needs it", op.Name)
	}
	if member != "" && !isID(member) {
		return req, vendors.HoldMember, fmt.Errorf("membershipId: %q isn't a number of DM Hub's", vendors.Shorten(member, 40))
	}
	if call.Event.Type.Point() && call.Key == "" {
		return req, vendors.HoldEvent, fmt.Errorf("uuid: missing; without it a repeat would take effect twice")
	}
	data, err := event.ReadObject(call.Event.Data)
	if err != nil {
		return req, vendors.HoldEvent, fmt.Errorf("data: %w", err)
	}
	defer data.Release()
	path, err := op.at(member, call.Event.Key)
	if err != nil {
		return req, vendors.HoldEvent, err
	}
	body, err := op.makeBody(a, call, member, data)
	if err != nil {
		return req, vendors.HoldEvent, err
	}
	var query url.Values
	if op.query != nil {
		query = op.query(call.Event, data)
	}
	who := personal
	if op.personal != nil {
		who = op.personal
	}
	return vendors.Request{
		Method: op.method, Path: path, Query: query, Body: body,
		Personal: func() []string { return who(call.Event) },
		MaySend:  call.MaySend,
	}, "", nil
}

// memberOf is the vendor's id of the member that a call is about.
func memberOf(call vendors.Call) string {
	if call.Member != "" {
		return call.Member
	}
	return call.Event.Member.MembershipID
}

// isID says whether a text can be an id of DM Hub's.
func isID(s string) bool { return s != "" && len(s) <= 20 && strings.Trim(s, "0123456789") == "" }

// duplicate says whether the reply is the one by which this tenant refuses what
// it has already.
func (a *Account) duplicate(t event.Type, rep reply) bool {
	s := a.semantics
	switch {
	case t.Point():
		return s.DuplicateUUID == Refused && answers(s.DuplicateUUIDReply, rep)
	case t == event.OrderCreated:
		return s.ExistingOrder == Refused && answers(s.ExistingOrderReply, rep)
	}
	return false
}

// Check implements vendors.Checker: it looks a member up who can't exist, the
// read that the account needs anyway. That there is none proves that it works.
func (a *Account) Check(ctx context.Context) vendors.Result {
	ctx, cancel := a.client.bounded(ctx)
	defer cancel()
	_, r := a.lookUp(ctx, event.MemberIdentity{Type: "mobile", Value: "0"})
	if r.Class == vendors.Refused {
		r.Class = vendors.Applied
	}
	return r
}

// unavailable is a read that wasn't made, and why.
func unavailable(message string) vendors.Finding {
	return vendors.Finding{Found: vendors.Unavailable, Result: vendors.Unsent("", message), Detail: message}
}
