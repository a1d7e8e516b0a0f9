package dmhub

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// Resources implements vendors.Reader.
func (a *Account) Resources() []vendors.Resource {
	all := make([]vendors.Resource, len(reads))
	for i, d := range reads {
		all[i] = vendors.Resource{Name: d.name, Keys: d.keys, About: d.about, Paged: d.paged, Columns: d.columns}
	}
	return all
}

// Read implements vendors.Reader.
func (a *Account) Read(ctx context.Context, resource string, keys []string, page string) (vendors.Page, vendors.Result) {
	i := slices.IndexFunc(reads, func(d read) bool { return d.name == resource })
	if i < 0 {
		return vendors.Page{}, vendors.Unsent("", fmt.Sprintf("%s: DM Hub's loyalty API has no such resource", vendors.Shorten(resource, 40)))
	}
	d, at := &reads[i], place{n: 1}
	if page != "" {
		var err error
		if at, err = parsePlace(page); err != nil || !d.paged {
			return vendors.Page{}, vendors.Unsent("", fmt.Sprintf("%s: %s isn't a page of it", d.name, vendors.Shorten(page, 40)))
		}
	}
	req, err := d.request(keys, at.n)
	if err != nil {
		return vendors.Page{}, vendors.Unsent("", fmt.Sprintf("%s: %s", d.name, err))
	}
	ctx, cancel := a.client.bounded(ctx)
	defer cancel()
	r, rep := a.client.call(ctx, req)
	if rep.kind != object || !rep.ok || r.Class != vendors.Ambiguous {
		r.Early = false
		return vendors.Page{}, r
	}
	return d.shown(r, rep, at)
}

// request builds the call of a read.
func (d *read) request(keys []string, n int) (vendors.Request, error) {
	req := vendors.Request{Method: d.method, Query: url.Values{}, MaxReply: pageLimit, Personal: func() []string { return keys }}
	if d.method == "" {
		req.Method = http.MethodGet
	}
	if err := d.check(keys); err != nil {
		return req, err
	}
	if d.method == http.MethodPost {
		var asked []event.MemberIdentity
		for i := 0; i < len(keys); i += 2 {
			asked = append(asked, event.MemberIdentity{Type: keys[i], Value: keys[i+1]})
		}
		req.Path = d.path
		req.Body, _ = json.Marshal(asked) // strings always marshal
		return req, nil
	}
	if d.paged {
		req.Query = pageQuery(n)
	}
	before, rest, varies := strings.Cut(d.path, "{")
	if req.Path = before; varies {
		_, after, _ := strings.Cut(rest, "}")
		value, err := segment(d.keys[0], keys[0])
		if err != nil {
			return req, err
		}
		req.Path += value + after
		req.Personal = nil // ids of the vendor's own
	}
	for i, key := range keys {
		if i > 0 || !varies {
			req.Query.Set(strings.Trim(d.keys[i], "[]"), key)
		}
	}
	return req, nil
}

// check compares the keys given with those that the read has.
func (d *read) check(keys []string) error {
	least, most := 0, len(d.keys)
	for _, k := range d.keys {
		if !strings.HasPrefix(k, "[") {
			least++
		}
	}
	pairs := d.method == http.MethodPost
	if len(keys) < least || !pairs && len(keys) > most || pairs && len(keys)%2 != 0 {
		want := "none"
		if most > 0 {
			want = strings.Join(d.keys, " ")
		}
		return fmt.Errorf("%d keys; give %s", len(keys), want)
	}
	for i, key := range keys {
		name := d.keys[min(i, most-1)]
		switch {
		case key == "":
			return fmt.Errorf("%s: empty", name)
		case name == "membershipId" && !isID(key):
			return fmt.Errorf("membershipId: %q isn't a number of DM Hub's", vendors.Shorten(key, 40))
		}
	}
	return nil
}

// shown makes a page of a reply of success.
func (d *read) shown(r vendors.Result, rep reply, at place) (vendors.Page, vendors.Result) {
	if !d.list {
		row := json.RawMessage(bytes.TrimSpace(r.Reply))
		if len(rep.fields) == 0 || !json.Valid(row) {
			r.Message = "the reply holds nothing"
			return vendors.Page{}, r
		}
		r.Class, r.Message = vendors.Applied, ""
		return vendors.Page{Rows: []json.RawMessage{row}}, r
	}
	p, ok := readPage(rep)
	if !ok {
		r.Message = "the reply holds no rows"
		return vendors.Page{}, r
	}
	r.Class, r.Message = vendors.Applied, ""
	if !d.paged {
		return vendors.Page{Rows: rep.shown(p.rows)}, r
	}
	next := at.next(p)
	if next.hash == at.hash {
		return vendors.Page{}, r // the same page again: the vendor has no further one
	}
	shown := vendors.Page{Rows: rep.shown(p.rows), Pages: p.pages()}
	if len(p.rows) > 0 && !p.last(at.n, next.seen) {
		shown.Next = next.String()
	}
	return shown, r
}

// pages is how many pages there are, where the vendor's numbers agree: total are
// pages and records are rows, but the document's own sample (§13.1) has 12 pages
// of 10 rows.
func (p page) pages() int {
	if p.total > p.records {
		return 0
	}
	return int(p.total)
}

// place is a page of a list, and what was read before it.
type place struct {
	n, seen int
	hash    string // of the page before
}

func (at place) next(p page) place {
	h := sha256.New()
	for _, row := range p.rows {
		_, _ = h.Write(row) // a hash takes all
	}
	return place{at.n + 1, at.seen + len(p.rows), hex.EncodeToString(h.Sum(nil)[:8])}
}

// String is the form in which a page's Next has it.
func (at place) String() string { return fmt.Sprintf("%d.%d.%s", at.n, at.seen, at.hash) }

func parsePlace(s string) (place, error) {
	parts := strings.Split(s, ".")
	if len(parts) != 3 {
		return place{}, errors.New("not a page")
	}
	n, err := strconv.Atoi(parts[0])
	seen, err2 := strconv.Atoi(parts[1])
	if err != nil || err2 != nil || n < 2 || seen < 1 {
		return place{}, errors.New("not a page")
	}
	return place{n, seen, parts[2]}, nil
}

// Shows implements vendors.Reader: orders and devices have no read here.
func (a *Account) Shows(call vendors.Call) (resource string, keys []string, ok bool) {
	member := memberOf(call)
	of := func(identities []event.MemberIdentity) (string, []string, bool) {
		if len(identities) == 0 {
			return "", nil, false
		}
		return "member-by-identity", []string{identities[0].Type, identities[0].Value}, true
	}
	switch t := call.Event.Type; {
	case t == event.MemberRegistered, t == event.MemberIdentityBound:
		return of(identitiesOf(call.Event))
	case t == event.MemberIdentityRemoved:
		return of(theIdentities(call.Event))
	case t == event.CouponRedeemed:
		return "member-coupon", []string{call.Event.Key}, call.Event.Key != ""
	case t == event.MemberMobileChanged && member == "":
		return of(mobilesOf(call.Event)[1:])
	case t == event.MemberUpdated && member == "":
		return of(call.Event.Member.Identities)
	case member == "":
		return "", nil, false
	case t == event.MemberUpdated, t == event.MemberMobileChanged:
		return "member", []string{member}, true
	case t.Point():
		return "point-details", []string{member}, true
	case t == event.CouponDrawn:
		return "member-coupons", []string{member}, true
	}
	return "", nil, false
}
