package sandbox

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"time"
)

// seenAt is the time that reads show.
func (c *call) seenAt() time.Time { return c.now.Add(-time.Duration(c.sw.ReadsLag)) }

// listMembers is "dmhub-loyalty" §1, paged like the other lists although the
// document doesn't say so.
func (s *Sandbox) listMembers(c *call) (any, *fail) {
	at := c.seenAt()
	var all []*member
	for _, id := range slices.Sorted(maps.Keys(c.store.members)) {
		if m := c.store.members[id]; !m.created.After(at) {
			all = append(all, m)
		}
	}
	return paged(c, all, func(m *member) any { return m.document(at) }), nil
}

// found is the reply of §7 about one member.
func (c *call) found(m *member, asked identity) map[string]any {
	at := c.seenAt()
	identities := m.at(at).identities
	if c.sw.Members.IdentitiesShown == "asked" {
		identities = slices.DeleteFunc(slices.Clone(identities), func(raw fields) bool { return identityOf(raw) != asked })
	}
	return map[string]any{"identities": identities, "membership": m.document(at)}
}

// findMembers is "dmhub-loyalty" §8: those who are found, each once.
func (s *Sandbox) findMembers(c *call) (any, *fail) {
	rows, err := objects(c.raw)
	if err != nil {
		return nil, err
	}
	docs, seen := []any{}, map[int64]bool{}
	for _, raw := range rows {
		id := identityOf(raw)
		if m := c.store.owner(id, c.seenAt()); m != nil && !seen[m.id] {
			seen[m.id] = true
			docs = append(docs, c.found(m, id))
		}
	}
	return map[string]any{"rows": docs}, nil
}

// identityByMD5 is "dmhub-loyalty" §17: of tmall are the identities of taobao-account.
func (s *Sandbox) identityByMD5(c *call) (any, *fail) {
	kind, sum := c.query.Get("md5type"), c.query.Get("md5value")
	if kind == "" || sum == "" {
		return nil, &fail{Code: "100", Message: "Missing field md5type or md5value!"}
	}
	for id := range c.store.identities {
		m := c.store.owner(id, c.seenAt())
		of := md5.Sum([]byte(id.Value))
		if m == nil || hex.EncodeToString(of[:]) != sum || (kind == "tmall") != (id.Type == "taobao-account") {
			continue
		}
		c.member = m.id
		return map[string]any{
			"id": 8, "tenantId": 26, "dateCreated": stamp(m.created), "lastUpdated": stamp(m.created), "membershipId": m.id,
			"md5type": kind, "md5value": sum, "type": id.Type, "value": id.Value,
		}, nil
	}
	return nil, errNotFound
}

// levelRules is "dmhub-loyalty" §10, with the levels of its sample.
func (s *Sandbox) levelRules(*call) (any, *fail) {
	off := json.RawMessage(`{"enabled":false,"month":12,"number":5000}`)
	rows := []any{}
	for i, name := range []string{"1", "2", "3", "5"} {
		rules := map[string]any{}
		if i == 0 {
			rules = map[string]any{
				"consumption": off, "consumptionTotal": off, "frequency": off, "frequencyTotal": off, "points": off,
				"pointsTotal": off, "desp": "默认最低等级",
			}
		}
		rows = append(rows, map[string]any{
			"desp": nil, "id": 61 + i, "isForever": i%2 == 0, "name": name, "operator": "or", "priority": i, "rules": rules, "status": 0,
		})
	}
	return map[string]any{"rows": rows}, nil
}

// experience is "dmhub-loyalty" §16. No call changes experience: what there is was
// seeded.
func (s *Sandbox) experience(c *call) (any, *fail) {
	m := c.store.members[c.member]
	if m == nil || m.created.After(c.seenAt()) {
		return nil, errNoMember
	}
	var rows []int64
	if m.experience > 0 {
		rows = append(rows, m.experience)
	}
	return paged(c, rows, func(value int64) any {
		return map[string]any{
			"id": 256, "tenantId": 26, "dateCreated": stamp(m.created), "membershipId": m.id, "lastUpdated": stamp(m.created),
			"expType": 1, "expValue": value, "oldExp": 0, "newExp": value, "remark": nil, "dateObtain": stamp(m.created),
			"externalId": nil,
		}
	}), nil
}

// Profile is what the vendor holds of a member beside points.
type Profile struct {
	Identities []string                   `json:"identities"` // "mobile:13800000000", in the order in which they were bound
	Fields     map[string]json.RawMessage `json:"fields"`
}

// Profile returns a member's; the store is the [Account]'s.
func (s *Sandbox) Profile(store string, member int64) (p Profile, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st := s.stores[store]
	if st == nil || st.members[member] == nil {
		return Profile{}, false
	}
	m := st.members[member]
	for _, raw := range m.identities {
		id := identityOf(raw)
		p.Identities = append(p.Identities, id.Type+":"+id.Value)
	}
	p.Fields = maps.Clone(m.fields)
	return p, true
}
