package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"syncworker/internal/event"
)

// Accounts names the accounts that an event of this type and tenant goes to: in
// the order of the routes, each once. Empty means that no route takes it.
func (c Config) Accounts(t event.Type, tenant string) []string {
	var accounts []string
	for _, r := range c.Routes {
		if !matchAny(r.Types, string(t)) || !matchAny(r.Tenants, tenant) {
			continue
		}
		for _, name := range r.Accounts {
			if c.takes(name, t) && !slices.Contains(accounts, name) {
				accounts = append(accounts, name)
			}
		}
	}
	return accounts
}

func matchAny(patterns []string, value string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return matches(p, value) })
}

func matches(pattern, value string) bool {
	prefix, open := strings.CutSuffix(pattern, "*")
	return pattern == value || open && strings.HasPrefix(value, prefix)
}

// TokenAccount names the account whose access token this one shares: the first
// by name with the same base URL and app id. DM Hub keeps only the newest token
// of an app id valid, so that two accounts with one app id must not fetch apart.
func (c Config) TokenAccount(name string) string {
	own := c.Vendors[name]
	for _, other := range slices.Sorted(maps.Keys(c.Vendors)) {
		if a := c.Vendors[other]; a.BaseURL == own.BaseURL && a.AppID == own.AppID {
			return other
		}
	}
	return name
}

// notes are warnings about accounts and routes.
func (c *Config) notes() []string {
	var notes []string
	routed := map[string]bool{}
	for _, r := range c.Routes {
		for _, name := range r.Accounts {
			routed[name] = true
		}
	}
	for _, a := range c.Vendors {
		routed[a.Semantics.OrderReads] = true
	}
	for _, name := range slices.Sorted(maps.Keys(c.Vendors)) {
		a := c.Vendors[name]
		if !routed[name] {
			notes = append(notes, fmt.Sprintf("vendors.%s: nothing uses this account; name it in routes", name))
		}
		if strings.HasPrefix(a.BaseURL, "http://") {
			notes = append(notes, fmt.Sprintf("vendors.%s.base_url: http sends the secret and members' data unencrypted", name))
		}
		s := a.Semantics
		if s.OrderReads != "" && c.OrderReads(name) == "" {
			notes = append(notes, fmt.Sprintf("vendors.%s.semantics.order_reads: isn't used, since routes send orders of a tenant to this account and to one of kind %s: "+
				"a read can't tell which of them has made, cancelled or deleted an order", name, ordersKind))
		}
		if s.ExistingOrderReply != "" && s.ExistingOrder != Refused {
			notes = append(notes, fmt.Sprintf("vendors.%s.semantics.existing_order_reply: has no effect unless existing_order is refused", name))
		}
		if s.DuplicateUUIDReply != "" && s.DuplicateUUID != Refused {
			notes = append(notes, fmt.Sprintf("vendors.%s.semantics.duplicate_uuid_reply: has no effect unless duplicate_uuid is refused", name))
		}
	}
	if untaken := c.untaken(); len(untaken) > 0 {
		notes = append(notes, fmt.Sprintf("routes: no route takes %s of tenant %s; such events are held as unrouted",
			strings.Join(untaken, ", "), event.DefaultTenant))
	}
	return notes
}

// OrderReads names the account that an account's orders are read from, empty where
// there is none, or where customer deals get orders too: all logins of a shop may see
// one store, where the effect of the one would pass for the other's.
func (c *Config) OrderReads(name string) string {
	for other, a := range c.Vendors {
		if a.Kind == ordersKind && c.shareOrders(name, other) {
			return ""
		}
	}
	return c.Vendors[name].Semantics.OrderReads
}

// shareOrders reports whether orders of some tenant go to both accounts.
func (c *Config) shareOrders(a, b string) bool {
	for _, x := range c.ordersOf(a) {
		if slices.ContainsFunc(c.ordersOf(b), func(y string) bool { return overlap(x, y) }) {
			return true
		}
	}
	return false
}

// ordersOf lists the patterns of the tenants whose orders go to the account.
func (c *Config) ordersOf(account string) (tenants []string) {
	for _, r := range c.Routes {
		if slices.Contains(r.Accounts, account) && slices.ContainsFunc(event.Types(), func(t event.Type) bool {
			return t.Order() && matchAny(r.Types, string(t)) && c.takes(account, t)
		}) {
			tenants = append(tenants, r.Tenants...)
		}
	}
	return tenants
}

// overlap reports whether some tenant matches both patterns.
func overlap(a, b string) bool {
	return matches(a, strings.TrimSuffix(b, "*")) || matches(b, strings.TrimSuffix(a, "*"))
}

// untaken lists the event types of the default tenant that go nowhere though others
// of their family go somewhere: a shop that has no coupons routes none. Where
// nothing goes anywhere it lists all families.
func (c *Config) untaken() (untaken []string) {
	whole := 0
	for _, family := range families() {
		var types []string
		n := 0
		for _, t := range event.Types() {
			if matches(family, string(t)) {
				if n++; len(c.Accounts(t, event.DefaultTenant)) == 0 {
					types = append(types, string(t))
				}
			}
		}
		if len(types) < n {
			untaken = append(untaken, types...)
		} else {
			whole++
		}
	}
	if whole == len(families()) {
		return families()
	}
	return untaken
}
