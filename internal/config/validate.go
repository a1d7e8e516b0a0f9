package config

import (
	"fmt"
	"maps"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"syncworker/internal/event"
)

// checker collects what is wrong with the values. A key that already has a
// problem holds its default, so that one mistake is reported once.
type checker struct {
	c        *Config
	known    map[string]bool
	problems []Problem
}

func validate(c *Config, known []Problem) []Problem {
	k := &checker{c: c, known: map[string]bool{}}
	for _, p := range known {
		k.known[p.Key] = true
	}
	k.connections()
	k.worker()
	for _, name := range slices.Sorted(maps.Keys(c.Vendors)) {
		k.account("vendors."+name, c.Vendors[name])
	}
	for i, r := range c.Routes {
		k.route(fmt.Sprintf("routes[%d]", i), r)
	}
	return k.problems
}

// want records a problem with the key unless ok.
func (k *checker) want(ok bool, key string, found any, want string, args ...any) {
	if ok || k.known[key] {
		return
	}
	text := format(found)
	if s, isText := found.(string); isText {
		text = quote(s)
	}
	at := k.c.origin(key)
	k.problems = append(k.problems, Problem{
		Source: at.source, Line: at.line, Key: key,
		Message: fmt.Sprintf("found %s; want %s", text, fmt.Sprintf(want, args...)),
	})
}

func (k *checker) oneOf(key, found string, allowed ...string) {
	k.want(slices.Contains(allowed, found), key, found, "%s%s", strings.Join(allowed, ", "), DidYouMean(found, allowed))
}

var streamName = regexp.MustCompile(`^[^\s.*>/\\]{1,255}$`)

func (k *checker) connections() {
	n := k.c.NATS
	for part := range strings.SplitSeq(string(n.URL), ",") {
		u, err := url.Parse(strings.TrimSpace(part))
		ok := err == nil && u.Host != "" && slices.Contains([]string{"nats", "tls", "ws", "wss"}, u.Scheme)
		k.want(ok, "nats.url", n.URL, "nats://host:4222, or several such URLs separated by commas (nats, tls, ws, wss)")
	}
	k.want(streamName.MatchString(n.Stream), "nats.stream", n.Stream, "a name without white space and . * > / \\")
	k.want(streamName.MatchString(n.Consumer), "nats.consumer", n.Consumer, "a name without white space and . * > / \\")
	k.want(n.AckWait >= time.Second, "nats.ack_wait", n.AckWait, "at least 1s")
	k.want(n.MaxAckPending >= 1, "nats.max_ack_pending", n.MaxAckPending, "at least 1")
	k.want(n.Replicas >= 1 && n.Replicas <= 5, "nats.replicas", n.Replicas, "1 to 5")
	k.want(n.MaxBytes >= 1<<20, "nats.max_bytes", n.MaxBytes, "at least 1MiB")

	d := k.c.Database
	u, err := url.Parse(string(d.URL))
	ok := d.URL == "" || err == nil && (u.Scheme == "postgres" || u.Scheme == "postgresql")
	k.want(ok, "database.url", d.URL, "postgres://user:password@host:5432/name")
	k.want(d.MaxConnections >= 2, "database.max_connections", d.MaxConnections, "at least 2")
	k.want(d.Retention == 0 || d.Retention >= 24*time.Hour, "database.retention", d.Retention, "0 (for ever) or at least 24h")
}

func (k *checker) worker() {
	c := k.c
	_, port, err := net.SplitHostPort(c.HTTP.Listen)
	if err == nil {
		_, err = net.LookupPort("tcp", port)
	}
	k.want(err == nil, "http.listen", c.HTTP.Listen, "host:port such as 127.0.0.1:8080")
	k.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	k.oneOf("log.format", c.Log.Format, "auto", "json", "console")

	_, err = time.LoadLocation(c.Finance.TimeZone)
	zone := c.Finance.TimeZone != "" && c.Finance.TimeZone != "Local"
	k.want(err == nil && zone, "finance.time_zone", c.Finance.TimeZone, "an IANA time zone such as Asia/Shanghai or UTC")

	k.want(c.Dispatch.DrainTimeout > 0, "dispatch.drain_timeout", c.Dispatch.DrainTimeout, "more than 0")
	k.want(c.Dispatch.Lease > 0, "dispatch.lease", c.Dispatch.Lease, "more than 0")
	for _, name := range slices.Sorted(maps.Keys(c.Vendors)) {
		a := c.Vendors[name]
		k.want(c.Dispatch.Lease >= 3*a.Timeout, "dispatch.lease", c.Dispatch.Lease,
			"at least %s, three times vendors.%s.timeout", formatDuration(3*a.Timeout), name)
		whole := a.PredecessorWait + a.Retry.MaxAge
		k.want(c.Database.Retention == 0 || c.Database.Retention >= whole, "database.retention", c.Database.Retention,
			"at least %s: vendors.%s may wait and retry that long", formatDuration(whole), name)
	}
}

func (k *checker) account(key string, a Account) {
	if k.known[key] {
		return
	}
	facts := k.c.kinds.find(a.Kind)
	k.oneOf(key+".kind", a.Kind, k.c.kinds.names()...)
	if facts.Name != "" {
		k.baseURL(key+".base_url", a.BaseURL)
		k.want(a.AppID != "" || !facts.NeedsAppID, key+".app_id", a.AppID, "the app id that the vendor gave for this account")
	}
	k.want(a.DailyQuota >= 0, key+".daily_quota", a.DailyQuota, "calls a day, 0 for no limit")
	k.want(a.Timeout > 0, key+".timeout", a.Timeout, "more than 0")
	k.want(a.MaxInFlight >= 1, key+".max_in_flight", a.MaxInFlight, "at least 1")
	k.want(a.RateLimit >= 0, key+".rate_limit", a.RateLimit, "calls a second, 0 for no limit")
	k.want(a.QuietPeriod > 0, key+".quiet_period", a.QuietPeriod, "more than 0")
	k.want(a.EarlyGrace >= 0, key+".early_grace", a.EarlyGrace, "0 or more")
	k.want(a.PredecessorWait >= 0, key+".predecessor_wait", a.PredecessorWait, "0 or more")
	k.oneOf(key+".unseen_orders", a.UnseenOrders, Hold, Send)
	whole := a.UUIDTimeout >= time.Second && a.UUIDTimeout%time.Second == 0
	k.want(whole, key+".uuid_timeout", a.UUIDTimeout, "whole seconds, at least 1s")

	k.want(a.Retry.Initial > 0, key+".retry.initial", a.Retry.Initial, "more than 0")
	k.want(a.Retry.Max >= a.Retry.Initial, key+".retry.max", a.Retry.Max, "at least retry.initial, which is %s", formatDuration(a.Retry.Initial))
	k.want(a.Retry.MaxAttempts >= 1, key+".retry.max_attempts", a.Retry.MaxAttempts, "at least 1")
	k.want(a.Retry.MaxAge >= 0, key+".retry.max_age", a.Retry.MaxAge, "0 or more")
	k.semantics(key+".semantics", a.Semantics)
}

func (k *checker) baseURL(key, base string) {
	u, err := url.Parse(base)
	ok := err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" && u.User == nil &&
		!strings.ContainsAny(base, "?#") && u.RawQuery == ""
	shown := base
	if at := strings.IndexAny(base, "?#"); at >= 0 {
		shown = base[:at] + "?…" // there may be a token in it
	}
	k.want(ok, key, shown, "https://host without user, password, query and fragment")
}

func (k *checker) semantics(key string, s Semantics) {
	k.oneOf(key+".existing_order", s.ExistingOrder, Unknown, Refused, Replaced)
	k.oneOf(key+".duplicate_uuid", s.DuplicateUUID, Unknown, Refused, Echoed)
	k.oneOf(key+".point_trace", s.PointTrace, Remark, ExternalID, None)
	k.oneOf(key+".refund_state", s.RefundState, Unknown, Shown)
	k.oneOf(key+".negative_points", s.NegativePoints, Sent, Held)
	k.want(s.CouponPath == "" || couponPath.MatchString(s.CouponPath), key+".coupon_path", s.CouponPath, "a path such as /pospal-api2/openapi/v1/promotionOpenApi")
	k.want(s.UUIDWindow > 0, key+".uuid_window", s.UUIDWindow, "more than 0")
	for _, probed := range []struct{ name, value, reply string }{
		{"existing_order", s.ExistingOrder, s.ExistingOrderReply},
		{"duplicate_uuid", s.DuplicateUUID, s.DuplicateUUIDReply},
	} {
		k.want(probed.value != Refused || strings.TrimSpace(probed.reply) != "", key+"."+probed.name+"_reply", probed.reply,
			`the reply that was probed, as "CODE" or "CODE words", since %s is refused`, probed.name)
	}
	if s.OrderReads != "" {
		kind := "no account"
		if a, found := k.c.Vendors[s.OrderReads]; found {
			kind = a.Kind
		}
		k.want(kind == ordersKind, key+".order_reads", s.OrderReads, "the name of a %s account; %s is %s", ordersKind, s.OrderReads, kind)
	}
}

// ordersKind is what semantics.order_reads has to name.
const ordersKind = "dmhub-deals"

var (
	couponPath    = regexp.MustCompile(`^(/[A-Za-z0-9._-]+)+$`)
	tenantPattern = regexp.MustCompile(`^([a-z0-9-]{1,63}|[a-z0-9-]{0,63}\*)$`)
	typePatterns  = append(append([]string{"*"}, families()...), typeNames()...)
)

func typeNames() []string {
	var names []string
	for _, t := range event.Types() {
		names = append(names, string(t))
	}
	return names
}

func (k *checker) route(key string, r Route) {
	k.want(len(r.Types) > 0, key+".types", "", `at least one of "order.*", "point.*", "*" or an event type`)
	k.want(len(r.Tenants) > 0, key+".tenants", "", `at least one tenant or "*"`)
	k.want(len(r.Accounts) > 0, key+".accounts", "", "at least one account")
	for i, t := range r.Types {
		k.oneOf(fmt.Sprintf("%s.types[%d]", key, i), t, typePatterns...)
	}
	for i, t := range r.Tenants {
		k.want(tenantPattern.MatchString(t), fmt.Sprintf("%s.tenants[%d]", key, i), t, `a tenant of a-z, 0-9 and -, a prefix and "*", or "*"`)
	}
	configured := slices.Sorted(maps.Keys(k.c.Vendors))
	for i, name := range r.Accounts {
		at := fmt.Sprintf("%s.accounts[%d]", key, i)
		a, found := k.c.Vendors[name]
		k.want(found || k.known["vendors."+name], at, name, "an account below vendors (%s)%s",
			strings.Join(configured, ", "), DidYouMean(name, configured))
		for _, t := range r.Types {
			if facts := k.c.kinds.find(a.Kind); facts.Name != "" && slices.Contains(typePatterns, t) {
				k.want(k.c.takesAny(name, t), at, name, "an account that takes %s; those of kind %s take %s", t, a.Kind, typesOf(facts))
			}
		}
	}
}

func typesOf(k Kind) string {
	var names []string
	for _, t := range k.Takes {
		names = append(names, string(t))
	}
	return strings.Join(names, ", ")
}
