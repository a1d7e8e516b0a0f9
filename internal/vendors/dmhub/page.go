package dmhub

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"syncworker/internal/vendors"
)

// pageLimit is how long a page may be, in bytes: a hundred members or coupons are
// longer than what is kept of a call.
const pageLimit = 1 << 20

// page is one page of a list (§13, §15, §16).
type page struct {
	rows           []json.RawMessage
	records, total int64 // 0 where the reply has none
}

// pageQuery asks for a page, newest first.
func pageQuery(n int) url.Values {
	return url.Values{
		"rows": {strconv.Itoa(pageRows)}, "page": {strconv.Itoa(n)}, "sord": {"desc"}, "needTotal": {"true"},
	}
}

// page reads one page. A refusal of the read says nothing of an effect, and so is
// Ambiguous.
func (a *Account) page(ctx context.Context, path string, query url.Values) (page, vendors.Result) {
	r, rep := a.client.call(ctx, vendors.Request{Method: http.MethodGet, Path: path, Query: query, MaxReply: pageLimit})
	if rep.kind != object || !rep.ok || r.Class != vendors.Ambiguous {
		if r.Class == vendors.Refused {
			r.Class, r.Early = vendors.Ambiguous, false
		}
		return page{}, r
	}
	p, ok := readPage(rep)
	if !ok {
		r.Message = "the reply holds no rows"
		return page{}, r
	}
	r.Class, r.Message = vendors.Applied, ""
	return p, r
}

func readPage(rep reply) (p page, ok bool) {
	if p.rows, ok = rowsOf(rep.fields["rows"]); !ok {
		return page{}, false
	}
	p.records, _ = strconv.ParseInt(vendors.Text(rep.fields["records"]), 10, 64)
	p.total, _ = strconv.ParseInt(vendors.Text(rep.fields["total"]), 10, 64)
	return p, true
}

// last says whether no page follows. The vendor may give fewer rows than were
// asked for, so that a short page proves nothing; and the document's samples mix
// up pages and rows, so that both have to agree.
func (p page) last(n, seen int) bool {
	return p.total > 0 && p.records > 0 && int64(n) >= p.total && int64(seen) >= p.records
}
