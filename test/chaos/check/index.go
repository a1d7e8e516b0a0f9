package check

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// target names an effect at the vendor: what a delivery is to bring about.
type target struct{ op, order, uuid string }

// checker is a bundle with its indexes, and the report in the making.
type checker struct {
	*Bundle
	report    Report
	invariant string

	facts      map[Key][]published // good messages, by identity
	events     map[int64]*Event
	identities map[Key]*Identity
	ofEvent    map[int64][]*Delivery // by event
	deliveries map[int64]*Delivery
	lanes      map[string][]*Delivery
	attempts   map[int64][]Attempt
	effects    map[target][]Effect // without repeats of what was there
	calls      map[target][]Call
	traces     map[string]string // event of a request, by hash
	decided    map[int64][]Deed  // by delivery
	restores   []Fault
	against    map[Key][]Conflict // by the identity that they contradict
	orders     map[string][]*Delivery
	targets    map[target][]*Delivery
}

// published is a message with what it says.
type published struct {
	*Message
	fact
}

var operations = map[string]string{
	"order.created": "deal.create", "order.updated": "deal.update", "order.cancelled": "deal.cancel",
	"order.deleted": "deal.delete", "order.refunded": "deal.refund", "order.refund_deleted": "deal.delete_refund",
	"point.incremented": "point.incr", "point.decremented": "point.decr",
}

func newChecker(b *Bundle) *checker {
	c := &checker{
		Bundle: b, report: Report{Looked: map[string]int{}, States: map[string]int{}, Faults: map[string]int{}},
		facts: map[Key][]published{}, events: map[int64]*Event{}, identities: map[Key]*Identity{},
		ofEvent: map[int64][]*Delivery{}, deliveries: map[int64]*Delivery{}, lanes: map[string][]*Delivery{},
		attempts: map[int64][]Attempt{}, effects: map[target][]Effect{}, calls: map[target][]Call{},
		traces: map[string]string{}, decided: map[int64][]Deed{},
		against: map[Key][]Conflict{}, orders: map[string][]*Delivery{},
	}
	c.indexTables()
	c.indexLedger()
	for _, d := range b.Deeds {
		for _, id := range slices.Concat(d.IDs, d.Changed) {
			if !slices.ContainsFunc(c.decided[id], func(o Deed) bool { return o.Why == d.Why }) {
				c.decided[id] = append(c.decided[id], d)
			}
		}
	}
	for _, f := range b.Faults {
		if f.Kind == "postgres_restore" {
			c.restores = append(c.restores, f)
		}
	}
	return c
}

func (c *checker) indexTables() {
	for i := range c.Events {
		c.events[c.Events[i].ID] = &c.Events[i]
	}
	for i := range c.Identities {
		c.identities[c.Identities[i].Key] = &c.Identities[i]
	}
	for i := range c.Deliveries {
		d := &c.Deliveries[i]
		c.ofEvent[d.EventID] = append(c.ofEvent[d.EventID], d)
		c.deliveries[d.ID] = d
		c.lanes[d.Lane] = append(c.lanes[d.Lane], d)
		c.report.States[strings.TrimSuffix(d.State+":"+d.Reason, ":")]++
	}
	for i := range c.Deliveries {
		if e := c.events[c.Deliveries[i].EventID]; e != nil && e.OrderNo != "" {
			c.orders[e.OrderNo] = append(c.orders[e.OrderNo], &c.Deliveries[i])
		}
	}
	for _, row := range c.Conflicts {
		c.against[row.Key] = append(c.against[row.Key], row)
	}
	for _, a := range c.Attempts {
		c.attempts[a.DeliveryID] = append(c.attempts[a.DeliveryID], a)
	}
}

func (c *checker) indexLedger() {
	for _, r := range c.Requests {
		c.traces[r.Hash] = r.Event
	}
	for _, e := range c.refundsAsTaken(c.Effects) {
		if t := c.targetOf(e.Op, e.Key, e.UUID, e.Request); !e.Repeat {
			c.effects[t] = append(c.effects[t], e)
		}
	}
	for _, call := range c.Calls {
		t := c.targetOf(call.Op, call.Key, call.UUID, call.Request)
		c.calls[t] = append(c.calls[t], call)
	}
}

// refundsAsTaken returns the effects with what each refund was for. A vendor that
// lets a refund replace the former one has the difference in its ledger; what is
// left of the order's refunds after it is what the last one was for.
func (c *checker) refundsAsTaken(effects []Effect) []Effect {
	if c.Run.vendorDoes("refunds") != "overwrite" {
		return effects
	}
	effects = slices.Clone(effects)
	left := map[string]decimal.Decimal{}
	for i, e := range effects {
		switch e.Op {
		case "deal.refund":
			left[e.Key] = left[e.Key].Add(e.Amount)
			effects[i].Amount = left[e.Key]
		case "deal.delete_refund":
			left[e.Key] = left[e.Key].Add(e.Amount)
		}
	}
	return effects
}

// targetOf names what a request was for. Orders take no uuid: the request's body
// has the event's in a field of the shop's own.
func (c *checker) targetOf(op, key, uuid, request string) target {
	switch op {
	case "point.incr", "point.decr":
		base, _, _ := strings.Cut(uuid, "~") // behind it: a key that was made anew
		return target{op, "", base}
	case "deal.update", "deal.refund", "deal.delete_refund":
		return target{op, key, c.traces[request]}
	}
	return target{op, key, ""}
}

func (c *checker) target(d *Delivery) target {
	e := c.events[d.EventID]
	if e == nil {
		return target{}
	}
	t := target{operations[d.Type], e.OrderNo, e.UUID}
	switch d.Type {
	case "point.incremented", "point.decremented":
		t.order = ""
	case "order.created", "order.cancelled", "order.deleted":
		t.uuid = ""
	}
	return t
}

func (c *checker) look(n int) { c.report.Looked[c.invariant] += n }

func (c *checker) find(format string, args ...any) {
	c.report.Findings = append(c.report.Findings, Finding{c.invariant, fmt.Sprintf(format, args...)})
}

// show is a delivery as a finding names it, with its calls and effects.
func (c *checker) show(d *Delivery) string {
	var b strings.Builder
	name := "event " + fmt.Sprint(d.EventID)
	if e := c.events[d.EventID]; e != nil {
		name = strings.Join(strings.Fields(e.Tenant+" "+e.OrderNo+" "+e.UUID), "/")
	}
	fmt.Fprintf(&b, "%s %s, delivery %d, %s:%s, %d calls, %d attempts", d.Type, name, d.ID, d.State, d.Reason, d.Calls, len(c.attempts[d.ID]))
	t := c.target(d)
	for _, call := range c.calls[t] {
		fmt.Fprintf(&b, "; call %d at %s HTTP %d %s", call.Seq, clock(call.Time), call.Status, strings.TrimSpace(call.Code+" "+call.Fault))
	}
	for _, e := range c.effects[t] {
		fmt.Fprintf(&b, "; effect %d at %s by call %d %s", e.Seq, clock(e.Time), e.Call, strings.TrimSpace(e.Amount.String()))
	}
	for _, deed := range c.decided[d.ID] {
		fmt.Fprintf(&b, "; %s at %s (%s exit %d)", deed.Action, clock(deed.At), deed.Why, deed.Exit)
	}
	return b.String()
}

func clock(t time.Time) string { return t.UTC().Format("15:04:05.000") }

// restored reports whether a moment lies where the database has lost what it
// knew: between a copy and its being put back.
func (c *checker) restored(t time.Time) bool {
	return slices.ContainsFunc(c.restores, func(f Fault) bool { return !t.Before(f.At) && !t.After(f.Until) })
}

// touched reports whether a person has decided something about a delivery.
func (c *checker) touched(d *Delivery, actions ...string) bool {
	return slices.ContainsFunc(c.decided[d.ID], func(deed Deed) bool {
		return len(actions) == 0 || slices.Contains(actions, deed.Action)
	})
}

// during lists the faults of some kinds that overlap a time.
func (c *checker) during(from, to time.Time, kinds ...string) []Fault {
	var all []Fault
	for _, f := range c.Faults {
		until := f.Until
		if until.IsZero() {
			until = c.Run.LastFault
		}
		if slices.Contains(kinds, f.Kind) && !f.At.After(to) && !until.Before(from) {
			all = append(all, f)
		}
	}
	return all
}
