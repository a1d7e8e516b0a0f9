package trade

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"syncworker/internal/event"
)

// happening is an event before it is published.
type happening struct {
	typ    event.Type
	at     time.Time
	source string
	order  *Order // nil for what isn't about an order
	data   any    // *orderData, *pointData, …
	trace  string
	sent   time.Time // decides the order of publication
	// inOrder: events of its lane are published in the order of their times,
	// whatever the disorder.
	inOrder bool
}

// happens adds a distinct event, which has its effect unless the caller takes it
// off again.
func (g *generator) happens(h *happening) {
	h.sent = h.at
	if g.chance(0.1) {
		h.trace = fmt.Sprintf("00-%016x%016x-%016x-01", g.rng.Uint64()|1, g.rng.Uint64(), g.rng.Uint64()|1)
	}
	g.day.Events[h.typ]++
	g.day.Delivered[h.typ]++
	g.events = append(g.events, h)
}

// repeat publishes some events a second time, as a till does that saw no
// acknowledgement. The create of an order that is deleted isn't among them: once
// the delete has taken effect, it would be a conflict.
func (g *generator) repeat() {
	if g.Disorder {
		g.disorder()
	}
	for _, h := range slices.Clone(g.events) {
		recreated := h.typ == event.OrderCreated && h.order.Deleted
		if recreated || !g.chance(g.Duplicates) {
			continue
		}
		again := *h
		again.sent = h.sent.Add(time.Duration(1+g.rng.IntN(600)) * time.Second)
		g.events = append(g.events, &again)
		g.day.Duplicates++
	}
}

// contradict publishes an identity again with other content, after the first.
func (g *generator) contradict() error {
	distinct := g.events[:len(g.events)-g.day.Duplicates]
	order := g.rng.Perm(len(distinct))
	for _, i := range order {
		if g.day.Conflicts == g.Conflicts {
			break
		}
		h := *distinct[i]
		switch d := h.data.(type) {
		case *pointData:
			other := *d
			other.Point++
			h.data = &other
			if g.day.Conflicts%2 == 1 { // both directions share their uuids
				h.typ, other.DecrToZero = event.PointIncremented, false
				if distinct[i].typ == h.typ {
					h.typ = event.PointDecremented
				}
			}
		case *orderData:
			other := *d
			switch {
			case h.typ == event.OrderCreated && !h.order.Deleted:
				other.AmountPaid = yuan(cents(d.AmountPaid) + 1)
			case h.typ == event.OrderRefunded:
				other.RefundTotal = yuan(cents(d.RefundTotal) + 1)
			default:
				continue
			}
			h.data = &other
		default:
			continue
		}
		h.sent = h.sent.Add(time.Duration(1+g.rng.IntN(600)) * time.Second)
		g.events = append(g.events, &h)
		g.day.Conflicts++
	}
	if g.day.Conflicts < g.Conflicts {
		return errors.New("trade: more conflicts than events that can have one: lower Conflicts")
	}
	g.useAgain()
	return nil
}

// disorder changes when the events of an order are published: of some, the
// create comes after what follows it; of two refunds the later may come first,
// and a refund after the event that takes it back. Updates keep their order: one
// that is older than another that was delivered is a matter for a person.
func (g *generator) disorder() {
	for rest := g.events; len(rest) > 0 && rest[0].order != nil; {
		n := 1
		for n < len(rest) && rest[n].order == rest[0].order {
			n++
		}
		if n > 1 {
			g.shuffle(rest[:n])
		}
		rest = rest[n:]
	}
	for _, h := range g.events {
		if h.order == nil && !h.inOrder {
			h.sent = h.sent.Add(time.Duration(g.rng.IntN(1800)) * time.Second)
		}
	}
}

// shuffle gives the times of an order's events to others of them.
func (g *generator) shuffle(events []*happening) {
	times := make([]time.Time, len(events))
	for i, h := range events {
		times[i] = h.sent
	}
	wanted := slices.Clone(events)
	if wanted[0].typ == event.OrderCreated && g.chance(0.3) {
		to := 1 + g.rng.IntN(len(wanted)-1)
		create := wanted[0]
		copy(wanted, wanted[1:to+1])
		wanted[to] = create
	}
	for i := range wanted[1:] {
		a, b := wanted[i], wanted[i+1]
		early := a.typ == event.OrderRefunded && b.typ == event.OrderRefunded ||
			a.typ == event.OrderRefunded && b.typ == event.OrderRefundDeleted && a.order.Refunds[0].TakenBack
		if early && g.chance(0.4) {
			wanted[i], wanted[i+1] = b, a
		}
	}
	for i, h := range wanted {
		h.sent = times[i]
	}
}

// publish writes all messages in the order in which they are sent.
func (g *generator) publish() error {
	slices.SortStableFunc(g.events, func(a, b *happening) int {
		return cmp.Or(a.sent.Compare(b.sent), a.at.Compare(b.at))
	})
	for _, h := range g.events {
		m, err := g.message(h)
		if err != nil {
			return fmt.Errorf("trade: writing an event: %w", err)
		}
		g.day.Messages = append(g.day.Messages, m)
	}
	if g.Bad {
		return g.spoil()
	}
	return nil
}

// envelope is CloudEvents' structured mode.
type envelope struct {
	SpecVersion string `json:"specversion"`
	ID          string `json:"id"`
	Source      string `json:"source"`
	Type        string `json:"type"`
	Time        string `json:"time"`
	Tenant      string `json:"tenant,omitempty"`
	TraceParent string `json:"traceparent,omitempty"`
	Data        any    `json:"data"`
}

// message writes an event, one in ten in binary mode. The id is of this sending
// alone.
func (g *generator) message(h *happening) (Message, error) {
	e := envelope{
		SpecVersion: "1.0", ID: g.uuid(), Source: h.source, Type: string(h.typ), Tenant: g.Tenant,
		Time: h.at.UTC().Format(time.RFC3339Nano), TraceParent: h.trace, Data: h.data,
	}
	m := Message{Subject: event.Subject(h.typ)}
	var err error
	if !g.chance(0.1) {
		m.Data, err = json.Marshal(e)
		return m, err
	}
	m.Header = map[string][]string{
		"ce-specversion": {e.SpecVersion}, "ce-id": {e.ID}, "ce-source": {e.Source}, "ce-type": {e.Type},
		"ce-time": {e.Time}, "content-type": {"application/json"},
	}
	if e.Tenant != "" {
		m.Header["ce-tenant"] = []string{e.Tenant}
	}
	if h.trace != "" {
		m.Header["traceparent"] = []string{h.trace}
	}
	m.Data, err = json.Marshal(h.data)
	return m, err
}
