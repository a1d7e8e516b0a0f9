package sandbox

import (
	"maps"
	"slices"
	"strconv"
	"strings"
)

// device is what names one: a push id of a provider's.
type device struct{ provider, pushID string }

// Device is a phone that pushes go to ("dmhub-loyalty" §12).
type Device struct {
	Store    string `json:"store"`
	Provider string `json:"provider"`
	AppKey   string `json:"app_key"`
	PushID   string `json:"push_id"`
	OS       string `json:"os"`
	Member   int64  `json:"member,omitempty"` // 0 = anonymous
}

// registerDevice is "dmhub-loyalty" §12. Who the device belongs to is looked for by
// membershipId, a number or a text, then by mobile; else it is anonymous.
func (s *Sandbox) registerDevice(c *call) (any, *fail) {
	f := form{raw: c.body}
	d := Device{Store: c.store.name}
	for _, field := range []struct {
		name  string
		value *string
	}{{"provider", &d.Provider}, {"appKey", &d.AppKey}, {"pushId", &d.PushID}, {"os", &d.OS}} {
		*field.value = f.text(field.name, true)
	}
	mobile := f.text("mobile", false)
	switch {
	case f.err != nil:
		return nil, f.err
	case d.Provider != "jpush" && d.Provider != "getui":
		return nil, &fail{Code: "400001", Message: "Invalid provider(" + d.Provider + ")!"}
	case d.OS != "android" && d.OS != "ios":
		return nil, &fail{Code: "400001", Message: "Invalid os(" + d.OS + ")!"}
	}
	id, _ := strconv.ParseInt(strings.Trim(string(f.value("membershipId", false)), `"`), 10, 64)
	m := c.store.members[id]
	if m == nil {
		m = c.store.identities[identity{"mobile", mobile}]
	}
	reply := map[string]any{
		"provider": d.Provider, "appKey": d.AppKey, "pushId": d.PushID, "os": d.OS, "membershipId": nil,
	}
	if m != nil {
		d.Member, c.member = m.id, m.id
		reply["membershipId"] = strconv.FormatInt(m.id, 10)
	}
	key := device{d.Provider, d.PushID}
	before := c.store.devices[key]
	c.store.devices[key] = &d
	c.ledger.effect(c, Effect{Member: d.Member, Ref: d.PushID, Repeat: before != nil && *before == d})
	return reply, nil
}

// Devices returns all devices by store, provider and push id.
func (s *Sandbox) Devices() []Device {
	s.mu.Lock()
	defer s.mu.Unlock()
	var all []Device
	for _, name := range slices.Sorted(maps.Keys(s.stores)) {
		for _, d := range s.stores[name].devices {
			all = append(all, *d)
		}
	}
	slices.SortFunc(all, func(a, b Device) int {
		return strings.Compare(a.Store+"\x00"+a.Provider+"\x00"+a.PushID, b.Store+"\x00"+b.Provider+"\x00"+b.PushID)
	})
	return all
}
