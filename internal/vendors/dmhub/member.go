package dmhub

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

const (
	memberCacheSize = 100_000
	memberCacheTime = time.Minute
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
		Class: vendors.Refused, Hold: vendors.HoldMember, StartedAt: time.Now(),
		Message: "the event names no member: neither membershipId nor identities",
	}
	for i, identity := range m.Identities {
		if id, ok := a.members.get(identity, time.Now()); ok {
			return id, vendors.Result{Class: vendors.Applied, Calls: i, StartedAt: time.Now()}
		}
		var found membership
		epoch := a.members.now()
		found, r = a.lookUp(ctx, identity)
		r.Calls = i + 1
		if found.id != "" {
			a.members.put(identity, found.id, time.Now(), epoch)
		}
		if r.Class != vendors.Refused {
			return found.id, r
		}
	}
	return "", r
}

// membership is what we read of a member's properties (会员模型).
type membership struct {
	id      string // digits
	created string // dateCreated, as it came
	mobile  string // empty where the member has none
}

// lookUp asks for one identity. Refused means that there is no such member.
func (a *Account) lookUp(ctx context.Context, identity event.MemberIdentity) (membership, vendors.Result) {
	r, rep := a.client.call(ctx, vendors.Request{
		Method:   http.MethodGet,
		Path:     "/loyalty/v1/membershipService/getMembershipByIdentity",
		Query:    url.Values{"type": {identity.Type}, "value": {identity.Value}},
		Personal: func() []string { return []string{identity.Value, identity.Name} },
	})
	if r.Class == vendors.Refused {
		switch rep.code {
		case "210", "220", "409200": // no member, no such identity type, not found
			r.Hold = vendors.HoldMember
		default:
			r.Class, r.Early = vendors.Ambiguous, false
		}
		return membership{}, r
	}
	return readMembership(r, rep, vendors.Fields(rep.fields["membership"]))
}

// member reads a member by their id (§3). Refused means that there is none.
func (a *Account) member(ctx context.Context, id string) (membership, vendors.Result) {
	r, rep := a.client.call(ctx, vendors.Request{Method: http.MethodGet, Path: "/loyalty/v1/membership/" + id})
	if r.Class == vendors.Refused && rep.code != "210" && rep.code != "409200" {
		r.Class, r.Early = vendors.Ambiguous, false
	}
	m, r := readMembership(r, rep, rep.fields)
	if m.id != "" && m.id != id {
		r.Class, r.Message = vendors.Ambiguous, "the reply is about another member"
		return membership{}, r
	}
	return m, r
}

// readMembership makes a Result Applied where the reply holds a member.
func readMembership(r vendors.Result, rep reply, fields map[string]json.RawMessage) (membership, vendors.Result) {
	if rep.kind != object || !rep.ok || r.Class != vendors.Ambiguous {
		return membership{}, r
	}
	m := membership{id: vendors.Text(fields["id"]), created: vendors.Text(fields["dateCreated"]), mobile: vendors.Text(fields["mobile"])}
	if !isID(m.id) {
		r.Message = "the reply holds no membership with an id"
		return membership{}, r
	}
	r.Class, r.Message, r.Receipt.Member = vendors.Applied, "", m.id
	return m, r
}

// memberCache remembers who was found. Who wasn't found isn't remembered: they
// may register any moment.
type memberCache struct {
	mu    sync.Mutex
	known *lru.Cache[event.MemberIdentity, knownMember]
	// epoch grows with each forget: a look-up that was under way meanwhile may have
	// read what was before it.
	epoch int64
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

// now is the epoch that a look-up which begins now is of.
func (c *memberCache) now() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.epoch
}

func (c *memberCache) put(identity event.MemberIdentity, id string, now time.Time, epoch int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if epoch == c.epoch {
		c.known.Add(cacheKey(identity), knownMember{id: id, until: now.Add(memberCacheTime)})
	}
}

// forget drops identities that may lead to another member by now, or to none.
func (c *memberCache) forget(identities ...event.MemberIdentity) {
	if len(identities) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.epoch++
	for _, identity := range identities {
		c.known.Remove(cacheKey(identity))
	}
}

// cacheKey leaves out the display name, which names nobody.
func cacheKey(i event.MemberIdentity) event.MemberIdentity {
	return event.MemberIdentity{Type: i.Type, Value: i.Value}
}
