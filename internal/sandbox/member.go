package sandbox

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
)

// store is what one DM Hub tenant holds: members, orders, used uuids.
type store struct {
	name       string
	members    map[int64]*member
	identities map[identity]*member
	moved      map[identity][]owned   // where identities led to, for reads that lag
	kinds      []*coupon              // of DM Hub's coupons
	held       []*heldCoupon          // by code
	given      map[string]*heldCoupon // those of them that no call has drawn
	devices    map[device]*Device
	customers  map[int64]*member // by customerId
	orders     map[string]*history
	deals      map[string]*history // customer deals, where they are apart from orders
	uuids      map[string]usedUUID
	nextMember int64
	nextDeal   int64
	nextRefund int64
	nextPoint  int64
	heyshop    *heyshopStore // nil until it is needed
	coupons    *pospalStore  // nil until it is needed
}

func newStore(name string) *store {
	return &store{
		name: name, members: map[int64]*member{}, identities: map[identity]*member{}, moved: map[identity][]owned{}, given: map[string]*heldCoupon{},
		kinds: defaultCoupons(), devices: map[device]*Device{},
		customers: map[int64]*member{}, orders: map[string]*history{}, deals: map[string]*history{}, uuids: map[string]usedUUID{},
		nextMember: 1, nextDeal: 8281, nextRefund: 2100032073, nextPoint: 248,
	}
}

type identity struct{ Type, Value string }

type member struct {
	id       int64
	customer int64 // 0 = null
	memberState
	past       []memberState // older ones
	created    time.Time
	experience int64
	start      int64 // balance before the first row
	balance    int64
	rows       []pointRow
}

// document is the member as reads show it at a time: the built-in properties of
// "dmhub-loyalty" §3, null unless they were sent, and those of one's own.
func (m *member) document(at time.Time) map[string]any {
	doc, state := map[string]any{}, m.at(at)
	for _, name := range []string{
		"address", "balance", "birthday", "createChannel", "customerId", "educationBackgro", "email", "familyName",
		"gender", "givenName", "idCard", "img", "income", "industry", "membershipCode", "name", "source",
		"contentName", "campaignId", "country", "province", "city", "county",
	} {
		doc[name] = nil
	}
	for name, raw := range state.fields {
		doc[name] = raw
	}
	doc["mobile"] = nil // only the identity sets it
	if mobile := state.mobile(); mobile != "" {
		doc["mobile"] = mobile
	}
	if m.customer != 0 {
		doc["customerId"] = m.customer
	}
	doc["id"] = m.id
	doc["createMethod"] = "外部系统导入"
	doc["level"] = map[string]any{"priority": 0, "name": "青铜会员", "id": 422}
	doc["dateCreated"], doc["dateJoin"] = stamp(m.created), stamp(m.created)
	updated := state.since
	doc["point"] = m.start
	for _, row := range slices.Backward(m.rows) {
		if !row.created.After(at) {
			doc["point"] = row.newPoint
			if row.created.After(updated) {
				updated = row.created
			}
			break
		}
	}
	doc["lastUpdated"] = stamp(updated)
	return doc
}

// createMember is "dmhub-loyalty" §2.
func (s *Sandbox) createMember(c *call) (any, *fail) {
	f := form{raw: c.body}
	raw := f.value("membership", true)
	if f.err != nil {
		return nil, f.err
	}
	var given fields
	if json.Unmarshal(raw, &given) != nil {
		return nil, mistyped("membership", raw)
	}
	rows := f.rows("identities", false)
	if f.err != nil {
		return nil, f.err
	}
	ids, err := c.store.newIdentities(rows)
	if err != nil {
		return nil, err
	}
	m := &member{id: c.store.nextMember, memberState: memberState{c.now, given, rows}, created: c.now}
	c.store.add(m, ids)
	c.member = m.id
	c.ledger.effect(c, Effect{Member: m.id, Ref: strconv.FormatInt(m.id, 10)})
	return m.document(c.now), nil
}

// newIdentities checks identities that are to be bound: of a known type, and
// nobody's yet.
func (st *store) newIdentities(rows []fields) ([]identity, *fail) {
	if len(rows) == 0 {
		return nil, &fail{Code: "400001", Message: "Missing field identities!"}
	}
	var ids []identity
	for _, raw := range rows {
		f := form{raw: raw}
		id := identity{f.text("type", true), f.text("value", true)}
		if f.err != nil {
			return nil, &fail{Code: "400001", Message: f.err.Message}
		}
		builtIn := []string{"mobile", "wechat", "wechat-unionid", "taobao-account"}
		if !slices.Contains(builtIn, id.Type) && !strings.HasPrefix(id.Type, "c_") {
			return nil, &fail{Code: "220", Message: "身份类型不存在"}
		}
		if st.identities[id] != nil || slices.Contains(ids, id) {
			return nil, &fail{Code: "222", Message: "身份类型存在"}
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func (st *store) add(m *member, ids []identity) {
	st.members[m.id] = m
	if m.customer != 0 {
		st.customers[m.customer] = m
	}
	for _, id := range ids {
		st.identities[id] = m
		if past := st.moved[id]; past != nil {
			st.moved[id] = append(past, owned{m.created, m})
		}
	}
	st.nextMember = max(st.nextMember, m.id) + 1
}

// getMember is "dmhub-loyalty" §3.
func (s *Sandbox) getMember(c *call) (any, *fail) {
	at := c.seenAt()
	m := c.store.members[c.member]
	if m == nil || m.created.After(at) {
		return nil, errNoMember
	}
	return m.document(at), nil
}

// findMember is "dmhub-loyalty" §7, with its own code for a missing parameter.
func (s *Sandbox) findMember(c *call) (any, *fail) {
	id := identity{c.query.Get("type"), c.query.Get("value")}
	for name, v := range map[string]string{"type": id.Type, "value": id.Value} {
		if v == "" {
			return nil, &fail{Code: "100", Message: "Missing field " + name + "!"}
		}
	}
	m := c.store.owner(id, c.seenAt())
	if m == nil {
		return nil, errNoMember
	}
	c.member = m.id
	return c.found(m, id), nil
}

// Seed describes members to put into a store, by the vendor's side: no call,
// no effect.
type Seed struct {
	Store   string   `json:"store"`
	Count   int      `json:"count"`    // members to add; with Mobiles, at most their number
	FirstID int64    `json:"first_id"` // up to 18 digits; 0 = the next free one
	Mobiles []string `json:"mobiles"`  // one a member
	Mobile  string   `json:"mobile"`   // without Mobiles: the first one, counted up, as 13800000000
	Name    string   `json:"name"`     // of each of them
	Points  int64    `json:"points"`   // starting balance
	// Experience of each of them, which no call changes.
	Experience int64 `json:"experience"`
}

// SeedMembers adds members and returns their ids in order.
func (s *Sandbox) SeedMembers(seed Seed) ([]int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stores[seed.Store]
	if st == nil {
		return nil, fmt.Errorf("sandbox: seeding members: store %q isn't any account's: use one of %q",
			seed.Store, slices.Sorted(maps.Keys(s.stores)))
	}
	mobiles, err := seed.mobiles()
	if err != nil {
		return nil, err
	}
	first := max(seed.FirstID, 0)
	if first == 0 {
		first = st.nextMember
	}
	twice := map[string]bool{}
	for i, mobile := range mobiles {
		if mobile != "" && twice[mobile] {
			return nil, fmt.Errorf("sandbox: seeding members: mobile %q is there twice: give each member its own", mobile)
		}
		twice[mobile] = true
		if st.members[first+int64(i)] != nil {
			return nil, fmt.Errorf("sandbox: seeding members: id %d is there already: use another first_id", first+int64(i))
		}
		if mobile != "" && st.identities[identity{"mobile", mobile}] != nil {
			return nil, fmt.Errorf("sandbox: seeding members: mobile %q is there already: use another", mobile)
		}
	}
	ids := make([]int64, 0, len(mobiles))
	for i, mobile := range mobiles {
		m := &member{
			id: first + int64(i), customer: 90840682394599424 + int64(len(st.members)),
			start: seed.Points, balance: seed.Points, created: s.cfg.Now().UTC().Add(-dealWindow), experience: seed.Experience,
		}
		m.since = m.created
		if seed.Name != "" {
			raw, _ := json.Marshal(seed.Name)
			m.fields = fields{"name": raw}
		}
		var bound []identity
		if mobile != "" {
			raw, _ := json.Marshal(mobile)
			m.identities = []fields{{"type": json.RawMessage(`"mobile"`), "value": raw, "name": raw}}
			bound = []identity{{"mobile", mobile}}
		}
		st.add(m, bound)
		ids = append(ids, m.id)
	}
	return ids, nil
}

// mobiles returns one number a member, empty for none.
func (seed Seed) mobiles() ([]string, error) {
	if seed.Points < 0 || seed.Count < 0 || seed.FirstID < 0 {
		return nil, errors.New("sandbox: seeding members: count, first_id and points can't be negative")
	}
	if len(seed.Mobiles) > 0 {
		if seed.Count > len(seed.Mobiles) {
			return nil, fmt.Errorf("sandbox: seeding members: count is %d for %d mobiles: give one each", seed.Count, len(seed.Mobiles))
		}
		return seed.Mobiles, nil
	}
	mobiles := make([]string, seed.Count)
	if seed.Mobile == "" {
		return mobiles, nil
	}
	from, err := strconv.ParseInt(seed.Mobile, 10, 64)
	if err != nil {
		return nil, fmt.Errorf("sandbox: seeding members: mobile is %q: use digits only", seed.Mobile)
	}
	for i := range mobiles {
		mobiles[i] = strconv.FormatInt(from+int64(i), 10)
	}
	return mobiles, nil
}
