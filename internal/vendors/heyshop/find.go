package heyshop

import (
	"context"
	"fmt"
	"net/http"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// Mark implements vendors.Marker, for what no key names: adjustments of points and
// new levels. What can't be sent ends here already.
func (a *Account) Mark(ctx context.Context, call vendors.Call) (string, vendors.Result) {
	if _, hold, err := a.write(call); err != nil {
		return "", vendors.Unsent(hold, err.Error())
	}
	ctx, cancel := a.bounded(ctx)
	defer cancel()
	switch {
	case call.Event.Type.Point():
		return a.markPoints(ctx, call)
	case call.Event.Type == event.LevelCreated:
		return a.markLevel(ctx, call)
	}
	return "", vendors.Unsent("", fmt.Sprintf("%s needs no mark", call.Event.Type))
}

// Find implements vendors.Finder.
func (a *Account) Find(ctx context.Context, call vendors.Call) vendors.Finding {
	ctx, cancel := a.bounded(ctx)
	defer cancel()
	var f vendors.Finding
	switch {
	case call.Event.Type.Point():
		f = a.findPoints(ctx, call)
	case call.Event.Type == event.LevelCreated:
		f = a.findCreated(ctx, call)
	case call.Event.Type == event.LevelUpdated, call.Event.Type == event.LevelDeleted:
		f = a.findLevel(ctx, call)
	default:
		r := vendors.Unsent("", fmt.Sprintf("no read shows the effect of %s at this account", call.Event.Type))
		return vendors.Finding{Found: vendors.Unavailable, Result: r, Detail: r.Message}
	}
	if f.Found == vendors.Present {
		a.remember(call, f.Result.Receipt.Ref)
	}
	return f
}

// match makes a Result Applied where the reply echoes what the event asked for;
// otherwise it stays Ambiguous and says what differs.
func match(r *vendors.Result, call vendors.Call, rep reply) {
	if !rep.ok {
		return
	}
	var difference string
	var receipt vendors.Receipt
	switch e := call.Event; {
	case e.Type == event.LevelDeleted:
		if rep.status != http.StatusNoContent {
			difference = fmt.Sprintf("HTTP %d and not 204", rep.status)
		}
		receipt.Ref = e.Key
	case rep.fields == nil:
		difference = "it isn't a JSON object"
	case e.Type.Point():
		row, ok := readEntry(rep.fields)
		difference = adjusted(call, row, ok)
		points := e.Points
		receipt = vendors.Receipt{Ref: vendors.Text(rep.fields["id"]), Points: &points, Member: row.customer}
	default:
		receipt.Ref = vendors.Text(rep.fields["id"])
		switch {
		case id(rep.fields["id"]) == 0:
			difference = "id is missing"
		case e.Type == event.LevelUpdated && receipt.Ref != e.Key:
			difference = "it is about another level"
		default:
			difference = levelDifference(e, rep.fields)
		}
	}
	if difference != "" {
		r.Message = vendors.Shorten("the reply doesn't echo the call: "+difference, 500)
		return
	}
	r.Class, r.Message, r.Receipt = vendors.Applied, "", receipt
}
