package dmhub

import (
	"context"
	"fmt"
	"time"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// owners looks up whom identities lead to: an empty id is nobody. Class is Applied
// where each of them was read.
func (a *Account) owners(ctx context.Context, identities []event.MemberIdentity) (found []membership, r vendors.Result) {
	r = vendors.Unsent("", "the event names no identity")
	for i, identity := range identities {
		var m membership
		m, r = a.lookUp(ctx, identity)
		r.Calls = i + 1
		if r.Class != vendors.Applied && r.Class != vendors.Refused {
			return nil, r
		}
		found = append(found, m)
	}
	if len(found) > 0 {
		r.Class, r.Hold = vendors.Applied, ""
	}
	return found, r
}

// findRegistered looks for a member who has all the identities and is as new as
// the call: who is older was there before it.
func (a *Account) findRegistered(ctx context.Context, call vendors.Call) vendors.Finding {
	found, r := a.owners(ctx, identitiesOf(call.Event))
	if r.Class != vendors.Applied {
		return vendors.Finding{Found: vendors.Unavailable, Result: r}
	}
	m, led := found[0], 0
	for _, f := range found {
		if f.id != "" {
			m, led = f, led+1
		}
	}
	f := vendors.Finding{Found: vendors.Unclear, Result: r}
	switch {
	case led == 0:
		f.Found = vendors.Absent
	case led < len(found) || !sameMember(found, m.id):
		f.Detail = "the identities don't all lead to one member"
	default:
		f.Found, f.Detail = registeredBy(call.FirstSentAt, m)
	}
	f.Result.Receipt = vendors.Receipt{}
	if f.Found == vendors.Present {
		f.Result.Receipt = vendors.Receipt{Ref: m.id, Member: m.id}
	}
	return f
}

func sameMember(found []membership, id string) bool {
	for _, f := range found {
		if f.id != id {
			return false
		}
	}
	return true
}

// registeredBy says whether a member may have come into being by a call that was
// first sent then.
func registeredBy(firstSent time.Time, m membership) (vendors.Found, string) {
	at, err := vendorTime(m.created)
	switch {
	case firstSent.IsZero():
		return vendors.Unclear, fmt.Sprintf("member %s has the identities; when the call was made isn't known any more", m.id)
	case err != nil:
		return vendors.Unclear, fmt.Sprintf("member %s has the identities; the reply doesn't say since when", m.id)
	case at.Before(firstSent.Add(-clockMargin)):
		return vendors.Unclear, fmt.Sprintf("member %s has the identities since %s, before the call", m.id, at.Format(time.RFC3339))
	}
	return vendors.Present, ""
}

// findBound looks whether the identities lead to the member that they were to be
// bound to.
func (a *Account) findBound(ctx context.Context, call vendors.Call) vendors.Finding {
	found, r := a.owners(ctx, identitiesOf(call.Event))
	if r.Class != vendors.Applied {
		return vendors.Finding{Found: vendors.Unavailable, Result: r}
	}
	f := vendors.Finding{Found: vendors.Unclear, Detail: "not all of the identities lead to the member", Result: r}
	f.Result.Receipt = vendors.Receipt{}
	switch member := memberOf(call); {
	case sameMember(found, ""):
		f.Found, f.Detail = vendors.Absent, ""
	case member != "" && sameMember(found, member):
		f.Found, f.Detail = vendors.Present, ""
		f.Result.Receipt.Member = member
	}
	return f
}

// markMember keeps the member whom a call is about: once it has taken effect, the
// identity that the event names them by leads to nobody.
func (a *Account) markMember(_ context.Context, call vendors.Call) (string, vendors.Result) {
	member := memberOf(call)
	switch {
	case !isID(member):
		return "", vendors.Unsent(vendors.HoldMember, "membershipId: missing, or not a number of DM Hub's")
	case call.Mark != "" && call.Mark != member:
		return "", vendors.Unsent(vendors.HoldMember, fmt.Sprintf("the event was sent for member %s, and names member %s by now", call.Mark, member))
	}
	return member, vendors.Result{Class: vendors.Applied, StartedAt: time.Now()}
}

// marked is the member whom the call was about.
func marked(call vendors.Call) string {
	if call.Mark != "" {
		return call.Mark
	}
	return memberOf(call)
}

// findRemoved looks whom the identity leads to: anybody but the member it was
// taken from proves that it's gone.
func (a *Account) findRemoved(ctx context.Context, call vendors.Call) vendors.Finding {
	found, r := a.owners(ctx, theIdentities(call.Event))
	if r.Class != vendors.Applied {
		return vendors.Finding{Found: vendors.Unavailable, Result: r}
	}
	f := vendors.Finding{Found: vendors.Present, Result: r}
	f.Result.Receipt = vendors.Receipt{Member: marked(call)}
	switch found[0].id {
	case "":
	case marked(call):
		f.Found, f.Detail = vendors.Absent, "the identity leads to the member"
	default:
		if marked(call) == "" || call.Event.Member.MembershipID == "" {
			// Who it led to was looked up, and may have been remembered too long.
			f.Found, f.Detail = vendors.Unclear, "the identity leads to another member, and the event doesn't say whom it was to be taken from"
		}
	}
	return f
}

// findMobile looks which mobile number the member has.
func (a *Account) findMobile(ctx context.Context, call vendors.Call) vendors.Finding {
	member := marked(call)
	if !isID(member) {
		return vendors.Finding{
			Found: vendors.Unclear, Result: vendors.Unsent("", "membershipId: missing; the member's mobile number is read by it"),
			Detail: "whose mobile number was to be changed isn't known any more",
		}
	}
	m, r := a.member(ctx, member)
	f := vendors.Finding{Found: vendors.Unclear, Result: r}
	numbers := mobilesOf(call.Event)
	switch {
	case r.Class == vendors.Refused:
		f.Detail = "there is no such member"
	case r.Class != vendors.Applied:
		f.Found = vendors.Unavailable
	case m.mobile == numbers[1].Value:
		f.Found, f.Result.Receipt = vendors.Present, vendors.Receipt{Ref: m.id, Member: m.id}
	case m.mobile == numbers[0].Value:
		f.Found = vendors.Absent
	default:
		f.Detail = "the member has neither the old nor the new mobile number"
	}
	return f
}
