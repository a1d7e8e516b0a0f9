package dmhub

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// What a person has to decide on, as hold reasons.
const (
	holdMember      = "member_not_found"
	holdUnsupported = "unsupported"
	holdEvent       = "invalid_event"
)

// Account is one DM Hub login for loyalty (kind dmhub-loyalty). It implements
// vendors.Vendor, Preparer, Finder, MemberFinder and Checker. A push or a read takes
// at most twice Config.Timeout, fetching a token included.
type Account struct {
	client      *client
	semantics   Semantics
	uuidTimeout time.Duration
	timeout     time.Duration
	orders      *Deals
	members     *memberCache
	operations  map[event.Type]vendors.Operation
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
		operations:  map[event.Type]vendors.Operation{},
	}
	for _, t := range event.Types() {
		if op, ok := a.operation(t); ok {
			a.operations[t] = op
		}
	}
	return a, nil
}

// Close drops the idle connections.
func (a *Account) Close() { a.client.transport.Close() }

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
	op, ok := a.Operation(call.Event.Type)
	if !ok {
		return unsent(holdUnsupported, fmt.Sprintf("DM Hub has no call for %s", call.Event.Type))
	}
	req, hold, err := a.write(call, op)
	if err != nil {
		return unsent(hold, err.Error())
	}
	ctx, cancel := a.client.bounded(ctx)
	defer cancel()
	r, rep := a.client.call(ctx, req)
	// A 503 stays Ambiguous with its RetryAfter, even where a repeat is safe: it
	// may have taken effect, and a refusal of the repeat must not pass for proof.
	switch {
	case rep.kind == object && rep.ok && r.Class == vendors.Ambiguous:
		match(&r, call.Event, rep)
	case a.duplicate(call.Event.Type, rep):
		r.Class, r.Early = vendors.AlreadyApplied, false
	case r.Class == vendors.Refused && rep.code == "210":
		r.Hold = holdMember
		a.members.forget(call.Event.Member)
	}
	return r
}

// write builds the request of an event; where it can't, hold says what a person
// has to look at.
func (a *Account) write(call vendors.Call, op vendors.Operation) (req vendors.Request, hold string, err error) {
	member := call.Member
	if member == "" {
		member = call.Event.Member.MembershipID
	}
	if op.NeedsMember && member == "" {
		return req, holdMember, fmt.Errorf("membershipId: missing; %s needs it", op.Name)
	}
	if strings.Trim(member, "0123456789") != "" || len(member) > 20 {
		return req, holdMember, fmt.Errorf("membershipId: %q isn't a number of DM Hub's", shorten(member, 40))
	}
	if call.Event.Type.Point() && call.Key == "" {
		return req, holdEvent, fmt.Errorf("uuid: missing; without it a repeat would take effect twice")
	}
	body, err := a.body(call, member)
	if err != nil {
		return req, holdEvent, err
	}
	return vendors.Request{
		Method:   http.MethodPost,
		Path:     path(call.Event.Type, member),
		Body:     body,
		Personal: func() []string { return personal(call.Event) },
		MaySend:  call.MaySend,
	}, "", nil
}

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

func unsent(hold, message string) vendors.Result {
	return vendors.Result{Class: vendors.NotSent, Hold: hold, Message: message, StartedAt: time.Now()}
}
