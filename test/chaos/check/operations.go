package check

import (
	"slices"
	"strings"
)

// naming is what tells an operation's requests from others.
type naming int

const (
	byKey         naming = iota // what it is about: the order, the code, the device, the member
	byUUID                      // the event's uuid, which the vendor knows
	byTrace                     // what the request's body has of the event
	byKeyAndTrace               // both: an order's update
)

// operation is what an event asks of a vendor.
type operation struct {
	op   string
	by   naming
	sets bool // it sets a state, and may be repeated after a call that was unclear
	// counted: nothing names the effect, and a read compares with what there was before.
	counted bool
	gone    string // the vendor's code for a removal of what isn't there: that is what was asked for
}

// operations are what events ask for, by the kind of account and the type.
var operations = map[string]map[string]operation{
	"dmhub-loyalty": {
		"order.created": {op: "deal.create"}, "order.updated": {op: "deal.update", by: byKeyAndTrace, sets: true}, "order.cancelled": {op: "deal.cancel"},
		"order.deleted": {op: "deal.delete"}, "order.refunded": {op: "deal.refund", by: byKeyAndTrace},
		"order.refund_deleted": {op: "deal.delete_refund", by: byKeyAndTrace},
		"point.incremented":    {op: "point.incr", by: byUUID}, "point.decremented": {op: "point.decr", by: byUUID},

		"member.registered": {op: "member.create"}, "member.updated": {op: "member.update", by: byTrace, sets: true},
		"member.identity_bound": {op: "member.bind", by: byTrace}, "member.identity_removed": {op: "member.unbind", gone: "409225"},
		"member.mobile_changed": {op: "member.mobile"}, "device.registered": {op: "device.register", sets: true},
		"coupon.drawn": {op: "coupon.draw", by: byTrace, counted: true}, "coupon.redeemed": {op: "coupon.redeem"},
	},
	"dmhub-deals": {
		"order.created": {op: "customer_deal.create"}, "order.updated": {op: "customer_deal.update", by: byKeyAndTrace, sets: true},
		"order.cancelled": {op: "customer_deal.cancel"}, "order.deleted": {op: "customer_deal.delete"},
		"order.refunded":       {op: "customer_deal.refund", by: byKeyAndTrace},
		"order.refund_deleted": {op: "customer_deal.delete_refund", by: byKeyAndTrace},
	},
	"heyshop": {
		"point.incremented": {op: "heyshop.adjust", by: byTrace, counted: true}, "point.decremented": {op: "heyshop.adjust", by: byTrace, counted: true},
		"level.created": {op: "heyshop.level_create", by: byTrace, counted: true}, "level.updated": {op: "heyshop.level_update", by: byTrace, sets: true},
		"level.deleted": {op: "heyshop.level_delete"},
	},
	"pospal": {"coupon.code_added": {op: "pospal.code_add"}, "coupon.code_used": {op: "pospal.code_use"}},
}

// namings are the operations' namings, by the vendor's name.
func namings() map[string]naming {
	all := map[string]naming{}
	for _, types := range operations {
		for _, o := range types {
			all[o.op] = o.by
		}
	}
	return all
}

func (c *checker) operationOf(op string) bool {
	_, known := c.namings[op]
	return known
}

// is reports whether a vendor's operation is what a type asks for, of whichever account.
func is(op, typ string) bool {
	for _, types := range operations {
		if types[typ].op == op {
			return true
		}
	}
	return false
}

// operation is what a delivery asks for.
func (c *checker) operation(d *Delivery) operation { return operations[c.kind(d)][d.Type] }

func (c *checker) kind(d *Delivery) string { return c.Run.Accounts[d.Account].Kind }

// blocking reports whether a delivery keeps what follows it in its lane waiting:
// all do but DM Hub's points, which have a key each.
func (c *checker) blocking(d *Delivery) bool { return c.operation(d).by != byUUID }

// routed lists the accounts that an event has to go to.
func (r Run) routed(typ, tenant string) (accounts []string) {
	for _, route := range r.Routes {
		if slices.Contains(route.Tenants, tenant) && slices.ContainsFunc(route.Types, func(t string) bool {
			group, all := strings.CutSuffix(t, "*")
			return t == typ || all && strings.HasPrefix(typ, group)
		}) {
			accounts = append(accounts, route.Accounts...)
		}
	}
	slices.Sort(accounts)
	return accounts
}

// about is what an event names that its vendor's requests are known by, where it is
// neither the order nor the uuid.
func about(f fact) string {
	d := f.data
	switch f.Type {
	case "point.incremented":
		return f.member() + " " + d.Point.String()
	case "point.decremented":
		return f.member() + " -" + d.Point.String()
	case "member.registered":
		if len(d.Identities) > 0 {
			return d.Identities[0].Type + ":" + d.Identities[0].Value
		}
	case "member.identity_bound":
		if len(d.Identities) > 0 {
			return d.Identities[0].Value
		}
	case "member.identity_removed", "member.mobile_changed":
		return f.member()
	case "coupon.redeemed":
		return d.CouponCode
	case "coupon.code_used":
		return d.Code
	case "coupon.code_added":
		if d.Code == "" {
			return madeCode(f.Tenant, f.UUID)
		}
		return d.Code
	case "device.registered":
		return d.PushID
	case "level.deleted":
		return d.ID.String()
	}
	return f.UUID
}
