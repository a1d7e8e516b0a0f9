package dmhub

import (
	"context"
	"fmt"
	"net/http"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// Deals is one DM Hub login for customer deals (kind dmhub-deals). It implements
// vendors.Vendor, Preparer, Finder, Reader and Checker, and shows a loyalty account
// its orders. A push or a read takes at most twice Config.Timeout, fetching a token
// included.
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

// Ready implements vendors.Preparer.
func (d *Deals) Ready(ctx context.Context) vendors.Result {
	ctx, cancel := d.client.bounded(ctx)
	defer cancel()
	return d.client.ready(ctx)
}

// IsReady implements vendors.Preparer.
func (d *Deals) IsReady() bool { return d.client.tokens.Has() }

// Operation implements vendors.Vendor.
func (d *Deals) Operation(t event.Type) (vendors.Operation, bool) {
	w, ok := dealWriteOf(t)
	if !ok {
		return vendors.Operation{}, false
	}
	op := w.facts
	op.Name, op.FindWindow, op.EchoProves, op.Blocks = w.method+" "+w.path, orderMemory, true, true
	return op, true
}

// Push implements vendors.Vendor.
func (d *Deals) Push(ctx context.Context, call vendors.Call) vendors.Result {
	w, ok := dealWriteOf(call.Event.Type)
	if !ok {
		return vendors.Unsent(vendors.HoldUnsupported, fmt.Sprintf("customer deals have no call for %s", call.Event.Type))
	}
	req, hold, err := w.request(call)
	if err != nil {
		return vendors.Unsent(hold, err.Error())
	}
	ctx, cancel := d.client.bounded(ctx)
	defer cancel()
	r, rep := d.client.call(ctx, req)
	switch {
	case w.method == http.MethodDelete && r.Status == http.StatusNoContent && r.Class == vendors.Ambiguous:
		r.Class, r.Message = vendors.Applied, ""
	case rep.kind == object && rep.ok && r.Class == vendors.Ambiguous:
		matchDeal(&r, call.Event, rep)
	case r.Class == vendors.Refused && rep.code == "210":
		r.Hold = vendors.HoldMember
	}
	return r
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
