package dmhub

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// Loyalty is the kind of account of the loyalty document.
var Loyalty = vendors.Kind{
	Name:       "dmhub-loyalty",
	BaseURL:    "https://api.convertlab.com",
	NeedsAppID: true,
	PointsPass: true,
	Takes:      taken(),
	Endpoints:  endpoints(),
	New:        newLoyalty,
}

// newLoyalty builds an account of the loyalty API.
func newLoyalty(s vendors.Setup) (vendors.Vendor, error) {
	c := configOf(s)
	if s.OrderReads != nil {
		deals, ok := s.OrderReads.(*Deals)
		if !ok {
			return nil, fmt.Errorf("account %q: semantics.order_reads: names an account that shows no DM Hub orders; give one of kind dmhub-deals", s.Name)
		}
		c.OrderReads = deals
	}
	a, err := New(c, s.Tokens)
	if err != nil {
		return nil, err // a typed nil would pass for an account
	}
	return a, nil
}

// configOf is what the accounts of both kinds are built from.
func configOf(s vendors.Setup) Config {
	return Config{
		Name: s.Name, BaseURL: s.BaseURL, AppID: s.AppID, Secret: s.Secret,
		Timeout: s.Timeout, MaxInFlight: s.MaxInFlight, UUIDTimeout: s.UUIDTimeout,
		Semantics: Semantics{
			ExistingOrder: s.Semantics.ExistingOrder, ExistingOrderReply: s.Semantics.ExistingOrderReply,
			DuplicateUUID: s.Semantics.DuplicateUUID, DuplicateUUIDReply: s.Semantics.DuplicateUUIDReply,
			UUIDWindow: s.Semantics.UUIDWindow, PointTrace: s.Semantics.PointTrace,
			RefundState: s.Semantics.RefundState,
		},
	}
}

func taken() []event.Type {
	var types []event.Type
	for _, t := range event.Types() {
		if slices.ContainsFunc(writes, func(w write) bool { return w.event == t }) {
			types = append(types, t)
		}
	}
	return types
}

// endpoints lists the document's calls in its order.
func endpoints() []vendors.Endpoint {
	var all []vendors.Endpoint
	for _, w := range writes {
		all = append(all, vendors.Endpoint{Section: w.section, Method: w.method, Path: w.path, Event: w.event, Unclear: w.unclear})
	}
	for _, d := range reads {
		all = append(all, vendors.Endpoint{Section: d.section, Method: cmp.Or(d.method, http.MethodGet), Path: d.path, Read: d.name})
	}
	slices.SortStableFunc(all, func(a, b vendors.Endpoint) int { return slices.Compare(numbers(a.Section), numbers(b.Section)) })
	return all
}

// numbers are those that a section's title begins with: 13, 4 of "13.4. 领券".
func numbers(section string) (n []int) {
	for part := range strings.SplitSeq(section, ".") {
		i, err := strconv.Atoi(part)
		if err != nil {
			break
		}
		n = append(n, i)
	}
	return n
}
