package sandbox

import (
	"encoding/json"
	"slices"
	"time"
)

// memberState is a member's properties and identities from one time on. It is never
// changed: a write puts a new one in its place, because reads may lag.
type memberState struct {
	since      time.Time
	fields     fields
	identities []fields // as they were sent
}

// mobile is the value of the mobile identity, empty where there is none.
func (st memberState) mobile() string {
	for _, raw := range st.identities {
		f := form{raw: raw}
		if f.text("type", true) == "mobile" {
			return f.text("value", true)
		}
	}
	return ""
}

// at returns the state that was the newest at a time.
func (m *member) at(t time.Time) memberState {
	for _, past := range slices.Backward(m.past) {
		if m.since.After(t) && !past.since.After(t) {
			return past
		}
	}
	return m.memberState
}

// become gives a member a new state. Former ones are kept for reads that lag.
func (m *member) become(c *call, next memberState) {
	next.since = c.now
	if c.sw.ReadsLag > 0 {
		m.past = append(m.past, m.memberState)
	} else {
		m.past = nil
	}
	m.memberState = next
}

// owned is whom an identity leads to from one time on; nil is nobody.
type owned struct {
	since time.Time
	by    *member
}

// give lets an identity lead to a member, or to nobody.
func (st *store) give(c *call, id identity, to *member) {
	if past := st.moved[id]; c.sw.ReadsLag > 0 || past != nil {
		if past == nil {
			past = []owned{{by: st.identities[id]}}
		}
		st.moved[id] = append(past, owned{c.now, to})
	}
	if to == nil {
		delete(st.identities, id)
		return
	}
	st.identities[id] = to
}

// owner returns whom an identity led to at a time.
func (st *store) owner(id identity, at time.Time) *member {
	m := st.identities[id]
	for _, o := range slices.Backward(st.moved[id]) {
		if m = o.by; !o.since.After(at) {
			break
		}
	}
	if m == nil || m.created.After(at) {
		return nil
	}
	return m
}

// identityOf reads an entry of identities.
func identityOf(raw fields) identity {
	f := form{raw: raw}
	return identity{f.text("type", true), f.text("value", true)}
}

// updateMember is "dmhub-loyalty" §4: what is sent replaces what was there; null
// changes nothing, nor does what other calls set. Where the member came from stays
// as it is unless forceUpdate is true.
func (s *Sandbox) updateMember(c *call) (any, *fail) {
	m := c.store.members[c.member]
	if m == nil {
		return nil, errNoMember
	}
	readOnly := []string{"id", "mobile", "point", "level", "balance", "dateCreated", "lastUpdated", "dateJoin", "createMethod"}
	origin := []string{"source", "contentName", "campaignId"}
	f := form{raw: c.body}
	next, repeat := fields{}, true
	for name, raw := range m.fields {
		next[name] = raw
	}
	for name, raw := range c.body {
		kept := slices.Contains(origin, name) && c.query.Get("forceUpdate") != "true" && m.fields[name] != nil
		if f.value(name, false) == nil || slices.Contains(readOnly, name) || kept || string(next[name]) == string(raw) {
			continue
		}
		next[name], repeat = raw, false
	}
	m.become(c, memberState{fields: next, identities: m.identities})
	c.ledger.effect(c, Effect{Member: m.id, Ref: c.key, Repeat: repeat})
	return m.document(c.now), nil
}

// bindIdentity is "dmhub-loyalty" §6: all of the identities, or none.
func (s *Sandbox) bindIdentity(c *call) (any, *fail) {
	m := c.store.members[c.member]
	if m == nil {
		return nil, errNoMember
	}
	rows, err := objects(c.raw)
	if err != nil {
		return nil, err
	}
	var fresh []fields
	reply := []any{}
	for _, raw := range rows {
		if c.sw.Members.BindAgain != "echo" || c.store.identities[identityOf(raw)] != m {
			fresh = append(fresh, raw)
		}
		reply = append(reply, map[string]any{"type": raw["type"], "value": raw["value"], "name": raw["name"]})
	}
	ids, err := c.store.newIdentities(fresh)
	if err != nil && (len(fresh) > 0 || len(rows) == 0) {
		return nil, err
	}
	e := Effect{Member: m.id, Repeat: len(ids) == 0}
	for _, id := range ids {
		c.store.give(c, id, m)
		e.Ref += id.Type + ":" + id.Value + " "
	}
	m.become(c, memberState{fields: m.fields, identities: slices.Concat(m.identities, fresh)})
	c.ledger.effect(c, e)
	return reply, nil
}

// objects reads an array of objects.
func objects(raw []byte) (rows []fields, err *fail) {
	f := form{raw: fields{"identities": json.RawMessage(raw)}}
	if rows = f.rows("identities", true); f.err != nil {
		return nil, &fail{Code: "400001", Message: f.err.Message}
	}
	return rows, nil
}

// unbindIdentity is "dmhub-loyalty" §14.
func (s *Sandbox) unbindIdentity(c *call) (any, *fail) {
	id := identity{c.query.Get("type"), c.query.Get("value")}
	m := c.store.members[c.member]
	switch {
	case id.Type == "" || id.Value == "":
		return nil, &fail{Code: "100", Message: "Missing field type or value!"}
	case m == nil:
		return nil, errNoMember
	case c.store.identities[id] != m:
		return nil, &fail{Code: "409225", Message: "Identity not found"}
	case len(m.identities) == 1:
		return nil, &fail{Code: "409224", Message: "Identity is last one"}
	}
	left := slices.DeleteFunc(slices.Clone(m.identities), func(raw fields) bool { return identityOf(raw) == id })
	c.store.give(c, id, nil)
	m.become(c, memberState{fields: m.fields, identities: left})
	c.ledger.effect(c, Effect{Member: m.id, Ref: id.Type + ":" + id.Value})
	return map[string]string{"result": "success"}, nil
}

// updateMobile is "dmhub-loyalty" §9. Its errors are not documented.
func (s *Sandbox) updateMobile(c *call) (any, *fail) {
	f := form{raw: c.body}
	from, to := f.text("oldMobile", true), f.text("newMobile", true)
	f.integer("membershipId", true)
	if f.err != nil {
		return nil, f.err
	}
	m := c.store.members[c.member]
	next := identity{"mobile", to}
	switch {
	case m == nil:
		return nil, errNoMember
	case m.mobile() == to && c.sw.Members.MobileAgain == "echo":
		c.ledger.effect(c, Effect{Member: m.id, Ref: to, Repeat: true})
		return m.document(c.now), nil
	case m.mobile() != from:
		return nil, &fail{Code: "212", Message: "身份验证错误"}
	case c.store.identities[next] != nil:
		return nil, &fail{Code: "222", Message: "身份类型存在"}
	}
	identities := slices.Clone(m.identities)
	for i, raw := range identities {
		if identityOf(raw) == (identity{"mobile", from}) {
			identities[i] = fields{"type": raw["type"], "value": encode(to), "name": raw["name"]}
		}
	}
	c.store.give(c, identity{"mobile", from}, nil)
	c.store.give(c, next, m)
	m.become(c, memberState{fields: m.fields, identities: identities})
	c.ledger.effect(c, Effect{Member: m.id, Ref: to})
	return m.document(c.now), nil
}
