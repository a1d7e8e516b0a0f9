package heyshop

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"syncworker/internal/vendors"
)

const (
	// pageRows is the document's own page_size: a row of the history has its whole
	// order in it.
	pageRows = 10
	// maxPages bounds a read of a history that isn't shown newest first.
	maxPages = 100
	// pageBytes is how long a page may be.
	pageBytes = 4 << 20
)

// call makes one call with the account's token. What its reply means is left to the
// caller where it is a success: then the class is Ambiguous.
func (a *Account) call(ctx context.Context, req vendors.Request) (vendors.Result, reply) {
	req.Headers = []vendors.Header{{Name: "Authorization", Value: "Bearer " + string(a.token), Secret: true}}
	req.Redact = []string{string(a.token)}
	x := a.transport.Do(ctx, req)
	r := x.Result(req)
	if x.Err != nil {
		return r, reply{}
	}
	rep := readReply(x.Status, x.Body)
	r.Class = rep.class()
	r.Code, r.Message = vendors.Shorten(req.Clean(rep.field), 64), vendors.Shorten(req.Clean(rep.message), 500)
	return r, rep
}

// get makes a read. Its class is Applied where it was answered with an object, and
// Refused where there is no such thing.
func (a *Account) get(ctx context.Context, path string, query url.Values) (vendors.Result, reply) {
	r, rep := a.call(ctx, vendors.Request{Method: http.MethodGet, Path: path, Query: query, MaxReply: pageBytes})
	r.Calls = 1
	r.Reply = maskOrders(r.Reply)
	switch {
	case rep.ok && rep.fields != nil:
		r.Class, r.Message = vendors.Applied, ""
	case r.Class == vendors.Refused && rep.status != http.StatusNotFound:
		r.Class = vendors.Ambiguous // the read was refused: it says nothing of what is there
	}
	return r, rep
}

// list is one page of what the document shows as {count, next, previous, results}.
type list struct {
	count int // −1 where the reply has none
	rows  []fields
	raw   [][]byte // the rows as they came
	last  bool     // next is null
}

// page reads a page by its number. Next is only asked for whether it is there: it
// may have another scheme than ours, and leaves out what was asked for.
func (a *Account) page(ctx context.Context, path string, query url.Values, n int) (list, vendors.Result) {
	asked := url.Values{"page": {strconv.Itoa(n)}, "page_size": {strconv.Itoa(pageRows)}}
	for name, values := range query {
		asked[name] = values
	}
	r, rep := a.get(ctx, path, asked)
	if r.Class != vendors.Applied {
		if r.Class == vendors.Refused { // there is no such page
			r.Class = vendors.Ambiguous
		}
		return list{}, r
	}
	l, ok := readList(rep.fields)
	if !ok {
		r.Class, r.Message = vendors.Ambiguous, "the reply isn't a page of results"
	}
	return l, r
}
