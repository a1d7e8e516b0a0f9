package config

import (
	"slices"
	"strings"
	"time"

	"syncworker/internal/event"
)

// Kind is what the configuration has to know of a kind of account.
type Kind struct {
	Name       string
	BaseURL    string // that of all accounts; empty where each has its own
	DailyQuota int    // calls a day where an account doesn't say; 0 is no limit
	NeedsAppID bool
	Takes      []event.Type // what can be routed to an account of this kind
}

// Kinds are those that an account can have.
type Kinds []Kind

// find returns the kind of that name, or a nameless one.
func (k Kinds) find(name string) Kind {
	if i := slices.IndexFunc(k, func(k Kind) bool { return k.Name == name }); i >= 0 {
		return k[i]
	}
	return Kind{}
}

func (k Kinds) names() []string {
	var names []string
	for _, kind := range k {
		names = append(names, kind.Name)
	}
	return names
}

// Account is an account of that kind of which only the kind is set.
func (k Kinds) Account(kind string) Account {
	facts := k.find(kind)
	return Account{
		Kind:            kind,
		BaseURL:         facts.BaseURL,
		DailyQuota:      facts.DailyQuota,
		Timeout:         10 * time.Second,
		MaxInFlight:     64,
		RateLimit:       50,
		QuietPeriod:     5 * time.Minute,
		EarlyGrace:      2 * time.Minute,
		PredecessorWait: 24 * time.Hour,
		UnseenOrders:    Hold,
		UUIDTimeout:     72 * time.Hour,
		Retry:           Retry{Initial: time.Second, Max: 10 * time.Minute, MaxAttempts: 20, MaxAge: 72 * time.Hour},
		Semantics: Semantics{
			ExistingOrder: Unknown, DuplicateUUID: Unknown, UUIDWindow: time.Hour, PointTrace: Remark,
			NegativePoints: Sent, RefundState: Unknown,
		},
	}
}

// takes reports whether an account can be given events of the type.
func (c *Config) takes(account string, t event.Type) bool {
	return slices.Contains(c.kinds.find(c.Vendors[account].Kind).Takes, t)
}

// takesAny reports whether an account can be given any event that the pattern means.
func (c *Config) takesAny(account, pattern string) bool {
	return slices.ContainsFunc(c.kinds.find(c.Vendors[account].Kind).Takes, func(t event.Type) bool {
		return matches(pattern, string(t))
	})
}

// families are the patterns of event types that go together: "order.*".
func families() []string {
	var found []string
	for _, t := range event.Types() {
		family, _, _ := strings.Cut(string(t), ".")
		if !slices.Contains(found, family+".*") {
			found = append(found, family+".*")
		}
	}
	return found
}
