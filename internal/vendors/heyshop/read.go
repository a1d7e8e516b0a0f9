package heyshop

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

var levelColumns = append([]string{"id"}, levelFields...)

// Resources implements vendors.Reader.
func (a *Account) Resources() []vendors.Resource {
	entry := []string{"id", "customer.id", "points", "kind", "created_at"}
	return []vendors.Resource{
		{Name: "levels", About: "all level rules (积分等级规则)", Paged: true, Columns: levelColumns},
		{Name: "level", Keys: []string{"id"}, About: "one level rule", Columns: levelColumns},
		{
			Name: "points", Keys: []string{"[customer…]"}, About: "the point history (积分历史) of customers, or of all", Paged: true,
			Columns: entry,
		},
		{Name: "point-entry", Keys: []string{"id"}, About: "one row of the point history", Columns: entry},
	}
}

// Shows implements vendors.Reader.
func (a *Account) Shows(call vendors.Call) (resource string, keys []string, ok bool) {
	switch t := call.Event.Type; {
	case t.Point() && customer(call) != "":
		return "points", []string{customer(call)}, true
	case t == event.LevelCreated:
		return "levels", nil, true
	case (t == event.LevelUpdated || t == event.LevelDeleted) && call.Event.Key != "":
		return "level", []string{call.Event.Key}, true
	}
	return "", nil, false
}

// Read implements vendors.Reader. What a page names as the next one is its number.
func (a *Account) Read(ctx context.Context, resource string, keys []string, page string) (vendors.Page, vendors.Result) {
	ctx, cancel := a.bounded(ctx)
	defer cancel()
	for _, key := range keys {
		if !digits(key) {
			return vendors.Page{}, vendors.Unsent("", fmt.Sprintf("%s: %q isn't an id of HeyShop's", resource, vendors.Shorten(key, 40)))
		}
	}
	n, err := strconv.Atoi(page)
	if page == "" {
		n, err = 1, nil
	}
	switch {
	case err != nil || n < 1:
		return vendors.Page{}, vendors.Unsent("", fmt.Sprintf("page: %q; give a number from 1", vendors.Shorten(page, 40)))
	case resource == "levels" && len(keys) == 0:
		return a.readPage(ctx, levelsPath, nil, n)
	case resource == "level" && len(keys) == 1:
		return a.readOne(ctx, levelsPath+keys[0]+"/")
	case resource == "points":
		return a.readPage(ctx, historyPath, filter(keys), n)
	case resource == "point-entry" && len(keys) == 1:
		return a.readOne(ctx, historyPath+keys[0]+"/")
	}
	return vendors.Page{}, vendors.Unsent("", fmt.Sprintf(
		"%s with %d keys: give levels, level ID, points [CUSTOMER…] or point-entry ID", vendors.Shorten(resource, 40), len(keys)))
}

// filter narrows the history down to customers.
func filter(customers []string) url.Values {
	switch len(customers) {
	case 0:
		return nil
	case 1:
		return url.Values{"customer": {customers[0]}}
	}
	return url.Values{"customer__in": {strings.Join(customers, ",")}}
}

func (a *Account) readPage(ctx context.Context, path string, query url.Values, n int) (vendors.Page, vendors.Result) {
	l, r := a.page(ctx, path, query, n)
	if r.Class != vendors.Applied {
		return vendors.Page{}, r
	}
	p := vendors.Page{}
	for _, raw := range l.raw {
		p.Rows = append(p.Rows, a.shown(raw))
	}
	if !l.last {
		p.Next = strconv.Itoa(n + 1)
		if l.count > 0 && len(l.rows) > 0 {
			p.Pages = (l.count + len(l.rows) - 1) / len(l.rows)
		}
	} else {
		p.Pages = n
	}
	return p, r
}

func (a *Account) readOne(ctx context.Context, path string) (vendors.Page, vendors.Result) {
	r, rep := a.get(ctx, path, nil)
	if r.Class != vendors.Applied {
		return vendors.Page{}, r
	}
	if id(rep.fields["id"]) == 0 || rep.status != http.StatusOK {
		return vendors.Page{}, unreadable(r, "the reply has no id")
	}
	return vendors.Page{Rows: []json.RawMessage{a.shown(rep.raw)}, Pages: 1}, r
}

// shown is a row without secrets.
func (a *Account) shown(row []byte) json.RawMessage {
	return maskOrders(vendors.Redact(row, string(a.token)))
}
