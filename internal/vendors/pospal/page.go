package pospal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"

	"syncworker/internal/vendors"
)

const (
	// maxPages bounds a read: a vendor that loses our place begins again.
	maxPages = 50
	// maxPage is how long a page may be: 100 rows of a code are about 80 kB.
	maxPage = 1 << 20
)

// query is one read: where it is, and what it is asked with beside the appId.
type query struct {
	path  string
	asked []asked
}

type asked struct {
	name  string
	value json.RawMessage
}

// page is one page of a read. A read that has no pages has one.
type page struct {
	rows []json.RawMessage
	back json.RawMessage // what the next page is asked with, as it came; nil: none follows
	// cut: there may be more, and the vendor doesn't say how to go on.
	cut bool
}

// page reads one page; back is empty for the first one. Refused means that what is
// asked for isn't there.
func (a *Account) page(ctx context.Context, q query, back json.RawMessage) (page, vendors.Result) {
	var body bytes.Buffer
	fmt.Fprintf(&body, `{"%s":%s`, sentAppID, vendors.Quote(a.appID))
	for _, m := range q.asked {
		fmt.Fprintf(&body, `,"%s":%s`, m.name, m.value)
	}
	if len(back) > 0 {
		fmt.Fprintf(&body, `,"%s":%s`, sentBack, back)
	}
	body.WriteByte('}')
	req := a.request(q.path, body.Bytes())
	req.MaxReply = maxPage
	r, rep := understand(req, a.transport.Do(ctx, req))
	switch {
	case r.Class == vendors.Refused && !noSuch(rep.code):
		r.Class = vendors.Ambiguous // refused, but not because there is none
		return page{}, r
	case !rep.ok || r.Class != vendors.Ambiguous:
		return page{}, r
	}
	p, err := readPage(rep.all, back)
	if err != nil {
		r.Message = err.Error()
		return page{}, r
	}
	r.Class, r.Message = vendors.Applied, ""
	return p, r
}

// readPage finds the rows of a reply that says success: data is a list, or it or the
// reply itself (queryPromotionPages has no data) an object with result. Data alone
// is one row, null is none.
func readPage(all fields, asked json.RawMessage) (page, error) {
	data := all.get(nameData)
	from := fieldsOf(data)
	switch {
	case all.has(nameResult):
		from = all
	case from != nil && !from.has(nameResult):
		return page{rows: []json.RawMessage{data}}, nil
	case from == nil && data != nil:
		rows, err := list(data)
		return page{rows: rows}, err
	case from == nil && all.has(nameData):
		return page{}, nil
	case from == nil:
		return page{}, errors.New("the reply says success and has neither data nor result")
	}
	rows, err := list(from.get(nameResult))
	if err != nil || len(rows) == 0 {
		return page{}, err
	}
	p := page{rows: rows, back: from.get(nameBack)}
	size, err := strconv.Atoi(from.text(namePageSize))
	if err == nil && len(rows) < size {
		p.back = nil
		return p, nil
	}
	switch {
	case empty(p.back):
		p.back, p.cut = nil, err == nil
	case bytes.Equal(p.back, asked):
		p.back, p.cut = nil, true
	}
	return p, nil
}

func list(raw json.RawMessage) (rows []json.RawMessage, err error) {
	if raw != nil && json.Unmarshal(raw, &rows) != nil {
		err = errors.New("the reply's result isn't a list")
	}
	return rows, err
}

// empty reports that a postBackParameter names no place.
func empty(back json.RawMessage) bool {
	if back == nil {
		return true
	}
	f := fieldsOf(back)
	for _, v := range f {
		if vendors.Given(v) {
			return false
		}
	}
	return f != nil
}

// each reads the pages of a query and shows see their rows. whole says that it came
// to their end.
func (a *Account) each(ctx context.Context, q query, see func(row fields)) (whole bool, r vendors.Result) {
	var back json.RawMessage
	seen := map[string]bool{}
	for n := 1; n <= maxPages; n++ {
		var p page
		p, r = a.page(ctx, q, back)
		r.Calls = n
		if r.Class != vendors.Applied {
			return false, r
		}
		for _, row := range p.rows {
			see(fieldsOf(row))
		}
		if p.back == nil {
			return !p.cut, r
		}
		if seen[string(p.back)] {
			return false, r
		}
		back, seen[string(p.back)] = p.back, true
	}
	return false, r
}
