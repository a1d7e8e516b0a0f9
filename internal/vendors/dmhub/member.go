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
		asked := a.members.now()
		found, r = a.lookUp(ctx, identity)
		r.Calls = i + 1
		if found.id != "" {
			a.members.put(identity, found.id, time.Now(), asked)
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
	moves int64 // how often identities were moved
}

// knownMember is whom an identity leads to; an empty id isn't known.
type knownMember struct {
	id    string
	until time.Time
	moved int64 // which of the moves was its last
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
	if !ok || m.id == "" || !now.Before(m.until) {
		return "", false
	}
	return m.id, true
}

// now is asked before a call whose answer is put.
func (c *memberCache) now() int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.moves
}

// put remembers what a call has answered, unless the identity was moved since asked:
// then the call may have read what was before.
func (c *memberCache) put(identity event.MemberIdentity, id string, now time.Time, asked int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := cacheKey(identity)
	if m, _ := c.known.Peek(key); m.moved <= asked {
		c.known.Add(key, knownMember{id: id, until: now.Add(memberCacheTime), moved: m.moved})
	}
}

// move says that identities lead to member by now, who is empty where that isn't
// certain; asked is from before the call that moved them.
func (c *memberCache) move(member string, now time.Time, asked int64, identities ...event.MemberIdentity) {
	if len(identities) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moves++
	for _, identity := range identities {
		key := cacheKey(identity)
		m := knownMember{id: member, until: now.Add(memberCacheTime), moved: c.moves}
		if before, _ := c.known.Peek(key); before.moved > asked {
			m.id = "" // another call has moved it meanwhile: which came last isn't known
		}
		c.known.Add(key, m)
	}
}

// forget drops identities that may lead to another member by now, or to none.
func (c *memberCache) forget(identities ...event.MemberIdentity) {
	c.move("", time.Time{}, 0, identities...)
}

// cacheKey leaves out the display name, which names nobody.
func cacheKey(i event.MemberIdentity) event.MemberIdentity {
	return event.MemberIdentity{Type: i.Type, Value: i.Value}
}
