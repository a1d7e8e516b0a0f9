package dmhub

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// Deals is one DM Hub login for customer deals (kind dmhub-deals). It reads
// orders and has no write: an event that is routed to it is held.
type Deals struct {
	client *client
}

// NewDeals prepares an account without calling the vendor; of the config's
// semantics and uuid settings it needs none.
func NewDeals(c Config, tokens vendors.TokenSource) (*Deals, error) {
	client, err := c.withDefaults().client(tokens)
	if err != nil {
		return nil, err
	}
	return &Deals{client: client}, nil
}

// Close drops the idle connections.
func (d *Deals) Close() { d.client.transport.Close() }

// Operation implements vendors.Vendor.
func (d *Deals) Operation(event.Type) (vendors.Operation, bool) { return vendors.Operation{}, false }

// Push implements vendors.Vendor.
func (d *Deals) Push(_ context.Context, call vendors.Call) vendors.Result {
	return unsent(holdUnsupported, fmt.Sprintf("a dmhub-deals account only reads: it has no call for %s", call.Event.Type))
}

// Check implements vendors.Checker: it reads an order that can't exist.
func (d *Deals) Check(ctx context.Context) vendors.Result {
	ctx, cancel := d.client.bounded(ctx)
	defer cancel()
	_, r := d.deal(ctx, "syncworker-check")
	if r.Class == vendors.Refused {
		r.Class = vendors.Applied
	}
	return r
}

// deal is what a read shows of an order.
type deal struct {
	state string
	paid  string // amountPaid as it came; empty where the reply has none
	ref   string
}

// deal reads an order with getDealByOrderNo. Without one, Refused means that
// there is none that a read can show; any other class, that the read failed.
func (d *Deals) deal(ctx context.Context, orderNo string) (*deal, vendors.Result) {
	r, rep := d.client.call(ctx, vendors.Request{
		Method: http.MethodGet,
		Path:   "/v1/dealService/getDealByOrderNo",
		Query:  url.Values{"orderNo": {orderNo}},
	})
	switch {
	case noDeal(r, rep):
		r.Class = vendors.Refused
		return nil, r
	case r.Class == vendors.Refused:
		r.Class, r.Early = vendors.Ambiguous, false
		return nil, r
	case rep.kind != object || !rep.ok || r.Class != vendors.Ambiguous:
		return nil, r
	case text(rep.fields["orderNo"]) != orderNo:
		r.Message = "the reply names another order"
		return nil, r
	}
	r.Class, r.Message = vendors.Applied, ""
	return &deal{
		state: text(rep.fields["state"]),
		paid:  text(rep.fields["amountPaid"]),
		ref:   text(rep.fields["id"]),
	}, r
}

// noDeal recognizes the ways in which "not found" may be said: the document
// leaves it open. A 404 with any other body may come from something on the way.
func noDeal(r vendors.Result, rep reply) bool {
	empty := rep.kind == null || rep.kind == object && len(rep.fields) == 0
	switch {
	case r.Class == vendors.Refused:
		return rep.code == "409200"
	case r.Status == http.StatusNotFound:
		return empty || rep.kind == unread && len(r.Reply) == 0
	}
	return rep.ok && empty
}

// find answers whether the effect of an order's event exists. For a delete that
// is the order's absence.
func (d *Deals) find(ctx context.Context, call vendors.Call, now time.Time) vendors.Finding {
	e := call.Event
	found, r := d.deal(ctx, e.OrderNo)
	if found == nil && r.Class != vendors.Refused {
		return vendors.Finding{Found: vendors.Unavailable, Result: r}
	}
	f := vendors.Finding{Result: r}
	switch {
	case found == nil:
		f.Found, f.Detail = withoutDeal(e, now)
	default:
		f.Found, f.Detail = withDeal(call, *found)
	}
	if f.Found == vendors.Present && found != nil {
		f.Result.Receipt.Ref = found.ref
	}
	return f
}

func withDeal(call vendors.Call, d deal) (vendors.Found, string) {
	e := call.Event
	switch e.Type {
	case event.OrderCreated:
		if !call.MayBeUpdated && !sameAmount(d.paid, e.Amount) {
			return vendors.Unclear, fmt.Sprintf("the order is there with amountPaid %s and not %s", d.paid, e.Amount.Decimal)
		}
		return vendors.Present, ""
	case event.OrderCancelled:
		if d.state != cancelled {
			return vendors.Absent, fmt.Sprintf("the order's state is %q", shorten(d.state, 40))
		}
		return vendors.Present, ""
	}
	return vendors.Absent, "the order is there" // for a delete
}

func withoutDeal(e *event.Event, now time.Time) (vendors.Found, string) {
	switch {
	case e.Type == event.OrderDeleted:
		return vendors.Present, ""
	case e.Type == event.OrderCancelled:
		return vendors.Unclear, "there is no such order to cancel"
	case !e.OccurredAt.IsZero() && now.Sub(e.OccurredAt) > orderMemory:
		return vendors.Unclear, "reads show the last month only, and dateOrder is older"
	}
	return vendors.Absent, ""
}
