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

// Find implements vendors.Finder. Present says that the effect exists: for a
// delete, that the order is gone.
func (d *Deals) Find(ctx context.Context, call vendors.Call) vendors.Finding {
	if op, ok := d.Operation(call.Event.Type); !ok || !op.Findable {
		r := vendors.Unsent("", fmt.Sprintf("no read shows the effect of %s on a customer deal", call.Event.Type))
		return vendors.Finding{Found: vendors.Unavailable, Result: r, Detail: r.Message}
	}
	ctx, cancel := d.client.bounded(ctx)
	defer cancel()
	return d.find(ctx, call, time.Now())
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
	return d.readDeal(ctx, vendors.Request{
		Method: http.MethodGet,
		Path:   "/v1/dealService/getDealByOrderNo",
		Query:  url.Values{"orderNo": {orderNo}},
	}, orderNo)
}

// readDeal makes one of the two reads of an order.
func (d *Deals) readDeal(ctx context.Context, req vendors.Request, orderNo string) (*deal, vendors.Result) {
	r, rep := d.client.call(ctx, req)
	switch {
	case noDeal(r, rep):
		r.Class = vendors.Refused
		return nil, r
	case r.Class == vendors.Refused:
		r.Class, r.Early = vendors.Ambiguous, false
		return nil, r
	case rep.kind != object || !rep.ok || r.Class != vendors.Ambiguous:
		return nil, r
	case vendors.Text(rep.fields["orderNo"]) != orderNo:
		r.Message = "the reply names another order"
		return nil, r
	}
	r.Class, r.Message = vendors.Applied, ""
	return &deal{
		state: vendors.Text(rep.fields["state"]),
		paid:  vendors.Text(rep.fields["amountPaid"]),
		ref:   vendors.Text(rep.fields["id"]),
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
	if f.Found == vendors.Present && found != nil && e.Type != event.OrderRefunded { // a refund's id isn't shown
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
			return vendors.Absent, fmt.Sprintf("the order's state is %q", vendors.Shorten(d.state, 40))
		}
		return vendors.Present, ""
	}
	if e.Type == event.OrderRefunded {
		return refundOf(call, d.state)
	}
	return vendors.Absent, "the order is there" // for a delete
}

// refundOf tells by an order's state whether its only refund has taken effect. It is
// asked only where reads are known to show it.
func refundOf(call vendors.Call, state string) (vendors.Found, string) {
	switch state {
	case "部分退单", "完全退单":
		if call.MayBeRefunded {
			return vendors.Unclear, fmt.Sprintf("the order's state is %q, which another refund of it may have made", state)
		}
		return vendors.Present, ""
	case "", cancelled:
		return vendors.Unclear, fmt.Sprintf("the order's state is %q, which says nothing of a refund", state)
	}
	return vendors.Absent, fmt.Sprintf("the order's state is %q", vendors.Shorten(state, 40))
}

func withoutDeal(e *event.Event, now time.Time) (vendors.Found, string) {
	switch {
	case e.Type == event.OrderDeleted:
		return vendors.Present, ""
	case e.Type == event.OrderCancelled, e.Type == event.OrderRefunded:
		return vendors.Unclear, "there is no such order"
	case !e.OccurredAt.IsZero() && now.Sub(e.OccurredAt) > orderMemory:
		return vendors.Unclear, "reads show the last month only, and dateOrder is older"
	}
	return vendors.Absent, ""
}
