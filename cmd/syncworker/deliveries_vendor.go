package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"syncworker/internal/config"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/every"
)

// vendorPages is how many pages are read for one delivery.
const vendorPages = 20

// vendorSide is what was sent for a delivery beside what the vendor has.
type vendorSide struct {
	Account    string     `json:"account"`
	Resource   string     `json:"resource"`
	Keys       []string   `json:"keys"`
	Rows       int        `json:"rows"`                 // that were read
	Capped     bool       `json:"capped"`               // there were more than vendorPages
	Row        string     `json:"row"`                  // the id of the one that is compared; empty: none is
	Why        string     `json:"why"`                  // that one, or none
	Candidates []string   `json:"candidates,omitempty"` // where none was chosen: the ids of those that may be it
	OursFrom   string     `json:"ours_from"`
	Fields     []compared `json:"fields"`
}

// readVendor reads what the vendor has of a delivery. That it has nothing is an answer,
// not an error.
func (a *app) readVendor(ctx context.Context, c config.Config, store *outbox.Store, about vendorRead, force bool) (*vendorSide, error) {
	x := about.shown
	switch {
	case x.Event == nil:
		return nil, errors.New("the vendor isn't read: the payload is past its retention")
	case about.Name == "" && !about.byMember && about.refused != nil:
		return nil, about.refused
	case about.Name == "" && !about.byMember:
		return nil, fmt.Errorf("no read of %s shows the effect of %s", shownAccount(x.Account), x.Type)
	}
	r, err := a.openReader(ctx, c, store, about.account, force)
	if err != nil {
		return nil, err
	}
	if about.byMember {
		if err := about.lookUp(ctx, r); err != nil {
			return nil, err
		}
	}
	side := &vendorSide{Account: about.account, Resource: about.Name, Keys: append([]string{}, about.keys...), Fields: []compared{}}
	rows, err := about.read(ctx, r, side)
	var missing *readError
	switch {
	case errors.As(err, &missing) && missing.absent():
		side.Why = missing.Error()
		return side, nil
	case err != nil:
		return nil, err
	}
	chosen := about.choose(rows)
	side.Why, side.Candidates = chosen.by, chosen.candidates
	if chosen.row < 0 {
		return side, nil
	}
	leaves, _ := flatten(rows[chosen.row]) // sideBySide says what is wrong with it
	side.Row = nameOf(leaves, chosen.row)
	ours, from := sentFor(x)
	side.OursFrom = from
	z := zones{ours: zoneOf(c, x.Account), vendors: zoneOf(c, about.account)}
	side.Fields, err = sideBySide(ours, rows[chosen.row], z)
	return side, err
}

// lookUp finds the vendor's id of the member, and with it the read.
func (v *vendorRead) lookUp(ctx context.Context, r *reader) error {
	result, err := r.call(ctx, func() (result vendors.Result) {
		v.call.Member, result = r.vendor.(vendors.MemberFinder).FindMember(ctx, v.call.Event.Member)
		return result
	})
	switch {
	case err != nil:
		return err
	case v.call.Member == "":
		return &readError{r.account, "member", result}
	case !v.named(v.account, r.reads):
		return fmt.Errorf("no read of %s shows the effect of %s", v.account, v.shown.Type)
	}
	return nil
}

// read reads until the row with the vendor's reference, the last page, or vendorPages.
func (v *vendorRead) read(ctx context.Context, r *reader, side *vendorSide) (rows []json.RawMessage, err error) {
	pages := 0
	err = r.pages(ctx, v.Name, v.keys, func(page vendors.Page, _ vendors.Result) error {
		rows = append(rows, page.Rows...)
		pages++
		found := v.shown.VendorRef != "" && chooseRow(page.Rows, v.shown.VendorRef, nil).row >= 0
		side.Capped = !found && pages == vendorPages && page.Next != ""
		if found || side.Capped {
			return errEnough
		}
		return nil
	})
	side.Rows = len(rows)
	if errors.Is(err, errEnough) {
		err = nil
	}
	return rows, err
}

// choose returns the row that is the delivery's effect. What a read names by its keys
// alone is it.
func (v *vendorRead) choose(rows []json.RawMessage) choice {
	if len(rows) == 1 && !v.Paged && len(v.Keys) > 0 {
		return choice{by: "it is what the keys name"}
	}
	e := v.call.Event
	return chooseRow(rows, v.shown.VendorRef, []string{e.UUID, e.Key, v.call.Key, e.OrderNo})
}

// sentFor is what was sent for a delivery: the last request, or the event's data where
// no call had a body.
func sentFor(x outbox.Shown) (ours json.RawMessage, from string) {
	for _, t := range slices.Backward(x.AttemptLog) {
		if t.Action == "push" && t.Request != "" {
			return json.RawMessage(t.Request), fmt.Sprintf("the request of attempt %d", t.Number)
		}
	}
	return x.Event.Data, "the event's data"
}

// zoneOf is the zone of the times that an account's vendor writes without one.
func zoneOf(c config.Config, account string) *time.Location {
	for _, k := range every.Kinds() {
		if k.Name == c.Vendors[account].Kind && k.Zone != nil {
			return k.Zone
		}
	}
	return time.UTC
}

func (a *app) showVendor(side *vendorSide) error {
	if side == nil {
		return nil
	}
	fmt.Fprintf(a.stdout, "\nSide by side: %s\n", printable(getCommand(side.Account, side.Resource, side.Keys)))
	if side.Capped {
		fmt.Fprintf(a.stdout, "Only the first %d pages were read: %s.\n", vendorPages, counted(side.Rows, "row", "rows"))
	}
	if side.Row == "" {
		fmt.Fprintf(a.stdout, "No row is compared: %s.\n", printable(side.Why))
		for _, candidate := range side.Candidates {
			fmt.Fprintf(a.stdout, "  candidate  %s\n", printable(candidate))
		}
		return nil
	}
	fmt.Fprintf(a.stdout, "Row %s: %s. Ours is %s.\n\n", printable(side.Row), side.Why, side.OursFrom)
	type row struct {
		Field   string `json:"field"`
		Ours    string `json:"ours"`
		Mark    string `json:"mark" col:" "`
		Vendors string `json:"vendors" col:"VENDOR'S"`
	}
	rows := make([]row, len(side.Fields))
	for i, f := range side.Fields {
		ours, _ := unquoted(string(f.Ours))
		vendors, _ := unquoted(string(f.Vendors))
		rows[i] = row{f.Field, ours, f.mark(), vendors}
	}
	return a.print(rows)
}
