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

// place is an order at an account.
type place struct{ account, order string }

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
	orders     map[place][]*Delivery
	targets    map[target][]*Delivery
	namings    map[string]naming
	says       map[int64]fact // what an event says, by its id
}

// published is a message with what it says.
type published struct {
	*Message
	fact
}

func newChecker(b *Bundle) *checker {
	c := &checker{
		Bundle: b, report: Report{Looked: map[string]int{}, States: map[string]int{}, Faults: map[string]int{}},
		facts: map[Key][]published{}, events: map[int64]*Event{}, identities: map[Key]*Identity{},
		ofEvent: map[int64][]*Delivery{}, deliveries: map[int64]*Delivery{}, lanes: map[string][]*Delivery{},
		attempts: map[int64][]Attempt{}, effects: map[target][]Effect{}, calls: map[target][]Call{},
		traces: map[string]string{}, decided: map[int64][]Deed{},
		against: map[Key][]Conflict{}, orders: map[place][]*Delivery{}, targets: map[target][]*Delivery{},
		namings: namings(), says: map[int64]fact{},
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
		e := &c.Events[i]
		c.events[e.ID] = e
		if f, err := decode(envelopeOf(e.BinaryMode, e.Type, e.Tenant), []byte(e.Payload)); err == nil { // else found elsewhere
			c.says[e.ID] = f
		}
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
			at := place{c.Deliveries[i].Account, e.OrderNo}
			c.orders[at] = append(c.orders[at], &c.Deliveries[i])
		}
		t := c.target(&c.Deliveries[i])
		c.targets[t] = append(c.targets[t], &c.Deliveries[i])
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
	left := map[place]decimal.Decimal{} // by store
	for i, e := range effects {
		at := place{e.Store, e.Key}
		switch e.Op {
		case "deal.refund", "customer_deal.refund":
			left[at] = left[at].Add(e.Amount)
			effects[i].Amount = left[at]
		case "deal.delete_refund", "customer_deal.delete_refund":
			left[at] = left[at].Add(e.Amount)
		}
	}
	return effects
}

// targetOf names what a request was for. Most take no uuid of ours: the request's
// body tells which event it is of.
func (c *checker) targetOf(op, key, uuid, request string) target {
	switch c.namings[op] {
	case byUUID:
		base, _, _ := strings.Cut(uuid, "~") // behind it: a key that was made anew
		return target{op, "", base}
	case byTrace:
		return target{op, "", c.traces[request]}
	case byKeyAndTrace:
		return target{op, key, c.traces[request]}
	}
	return target{op, key, ""}
}

func (c *checker) target(d *Delivery) target {
	e, o := c.events[d.EventID], c.operation(d)
	switch {
	case e == nil:
		return target{}
	case o.by == byUUID:
		return target{o.op, "", e.UUID}
	case o.by == byTrace:
		return target{o.op, "", about(c.says[e.ID])}
	case o.by == byKeyAndTrace:
		return target{o.op, e.OrderNo, e.UUID}
	case e.OrderNo != "":
		return target{o.op, e.OrderNo, ""}
	}
	return target{o.op, about(c.says[e.ID]), ""}
}

// of is the target of another event about a delivery's order, by that type.
func (c *checker) of(d *Delivery, typ string) target {
	return target{operations[c.kind(d)][typ].op, c.target(d).order, ""}
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
	fmt.Fprintf(&b, "%s %s at %s, delivery %d, %s:%s, %d calls, %d attempts", d.Type, name, d.Account, d.ID, d.State, d.Reason, d.Calls, len(c.attempts[d.ID]))
	t := c.target(d)
	for _, call := range c.calls[t] {
		fmt.Fprintf(&b, "; call %d at %s HTTP %d %s", call.Seq, clock(call.Time), call.Status, strings.TrimSpace(call.Code+" "+call.Fault))
	}
	for _, a := range c.attempts[d.ID] {
		fmt.Fprintf(&b, "; attempt %d by worker %d at %s to %s, %s %s", a.Number, a.Worker, clock(a.StartedAt), clock(a.RecordedAt), a.Action, a.Class)
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
