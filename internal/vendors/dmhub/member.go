package dmhub

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

const (
	memberCacheSize = 100_000
	memberCacheTime = 10 * time.Minute
)

// FindMember implements vendors.MemberFinder with getMembershipByIdentity (§7):
// the identities are tried in turn, and the first that DM Hub knows counts.
func (a *Account) FindMember(ctx context.Context, m event.Member) (string, vendors.Result) {
	if m.MembershipID != "" {
		return m.MembershipID, vendors.Result{Class: vendors.Applied, StartedAt: time.Now()}
	}
	ctx, cancel := a.client.bounded(ctx)
	defer cancel()
	r := vendors.Result{
		Class: vendors.Refused, Hold: holdMember, StartedAt: time.Now(),
		Message: "the event names no member: neither membershipId nor identities",
	}
	for i, identity := range m.Identities {
		if id, ok := a.members.get(identity, time.Now()); ok {
			return id, vendors.Result{Class: vendors.Applied, Calls: i, StartedAt: time.Now()}
		}
		var id string
		id, r = a.lookUp(ctx, identity)
		r.Calls = i + 1
		if id != "" {
			a.members.put(identity, id, time.Now())
		}
		if r.Class != vendors.Refused {
			return id, r
		}
	}
	return "", r
}

// lookUp asks for one identity. Refused means that there is no such member.
func (a *Account) lookUp(ctx context.Context, identity event.MemberIdentity) (string, vendors.Result) {
	r, rep := a.client.call(ctx, vendors.Request{
		Method:   http.MethodGet,
		Path:     "/loyalty/v1/membershipService/getMembershipByIdentity",
		Query:    url.Values{"type": {identity.Type}, "value": {identity.Value}},
		Personal: func() []string { return []string{identity.Value, identity.Name} },
	})
	if r.Class == vendors.Refused {
		switch rep.code {
		case "210", "220", "409200": // no member, no such identity type, not found
			r.Hold = holdMember
		default:
			r.Class, r.Early = vendors.Ambiguous, false
		}
		return "", r
	}
	if rep.kind != object || !rep.ok || r.Class != vendors.Ambiguous {
		return "", r
	}
	var member struct {
		ID json.RawMessage `json:"id"`
	}
	id := ""
	if json.Unmarshal(rep.fields["membership"], &member) == nil {
		id = text(member.ID)
	}
	if id == "" || strings.Trim(id, "0123456789") != "" {
		r.Message = "the reply holds no membership with an id"
		return "", r
	}
	r.Class, r.Message, r.Receipt.Member = vendors.Applied, "", id
	return id, r
}

// memberCache remembers who was found. Who wasn't found isn't remembered: they
// may register any moment.
type memberCache struct {
	known *lru.Cache[event.MemberIdentity, knownMember]
}

type knownMember struct {
	id    string
	until time.Time
}

func newMemberCache() *memberCache {
	known, err := lru.New[event.MemberIdentity, knownMember](memberCacheSize)
	if err != nil {
		panic(err) // only for a size below 1
	}
	return &memberCache{known: known}
}

func (c *memberCache) get(identity event.MemberIdentity, now time.Time) (string, bool) {
	m, ok := c.known.Get(cacheKey(identity))
	if !ok || !now.Before(m.until) {
		return "", false
	}
	return m.id, true
}

func (c *memberCache) put(identity event.MemberIdentity, id string, now time.Time) {
	c.known.Add(cacheKey(identity), knownMember{id: id, until: now.Add(memberCacheTime)})
}

// forget drops a member whom DM Hub says it doesn't know any more.
func (c *memberCache) forget(m event.Member) {
	for _, identity := range m.Identities {
		c.known.Remove(cacheKey(identity))
	}
}

// cacheKey leaves out the display name, which names nobody.
func cacheKey(i event.MemberIdentity) event.MemberIdentity {
	return event.MemberIdentity{Type: i.Type, Value: i.Value}
}
