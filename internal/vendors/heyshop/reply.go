package heyshop

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/shopspring/decimal"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// fields are the members of an object, by exact name.
type fields map[string]json.RawMessage

// reply is what a reply says. No document describes errors: {"detail": …} and
// {field: […]} are those of the framework that the paging shows, and of HeyShop's
// own client.
type reply struct {
	status  int
	ok      bool // a status of success
	refusal bool // one of the two shapes of an error
	field   string
	message string
	fields  fields // of an object
	raw     []byte // the body as it came
}

func readReply(status int, body []byte) reply {
	rep := reply{status: status, fields: vendors.Fields(body), raw: body}
	rep.ok = status == http.StatusOK || status == http.StatusCreated || status == http.StatusNoContent
	switch {
	case rep.ok:
	case rep.fields == nil:
		rep.message = fmt.Sprintf("HTTP %d with a reply that isn't a JSON object", status)
	default:
		if rep.field, rep.message, rep.refusal = readError(rep.fields); !rep.refusal {
			rep.message = fmt.Sprintf("HTTP %d with a reply of an unknown shape", status)
		}
	}
	return rep
}

// readError reads {"detail":"…"}, which has no field, and {field:["…"]}.
func readError(f fields) (field, message string, ok bool) {
	if message = vendors.Text(f["detail"]); len(f) == 1 && message != "" {
		return "", message, true
	}
	var names, messages []string
	for name, raw := range f {
		var list []string
		if json.Unmarshal(raw, &list) != nil || len(list) == 0 || strings.Join(list, "") == "" {
			return "", "", false
		}
		names = append(names, name)
		messages = append(messages, name+": "+strings.Join(list, " "))
	}
	if len(names) == 0 {
		return "", "", false
	}
	slices.Sort(names)
	slices.Sort(messages)
	return names[0], strings.Join(messages, "; "), true
}

// class is what the reply to any call means. Only what can't be mistaken is a
// refusal: 400 and 404 in the shape of an error.
func (rep reply) class() vendors.Class {
	switch rep.status {
	case http.StatusUnauthorized, http.StatusForbidden:
		return vendors.Denied
	case http.StatusTooManyRequests:
		return vendors.Throttled
	case http.StatusBadRequest, http.StatusNotFound:
		if rep.refusal {
			return vendors.Refused
		}
	}
	return vendors.Ambiguous
}

// aboutCustomer reports whether an adjust was refused for its customer.
func (rep reply) aboutCustomer() bool {
	return rep.status == http.StatusNotFound || rep.field == "customer_id" || rep.field == "customer"
}

// readList reads a page of results.
func readList(f fields) (list, bool) {
	l := list{count: -1, last: !vendors.Given(f["next"])}
	if n, err := strconv.Atoi(vendors.Text(f["count"])); err == nil {
		l.count = n
	}
	var rows []json.RawMessage
	if !vendors.Given(f["results"]) || json.Unmarshal(f["results"], &rows) != nil {
		return list{}, false
	}
	for _, raw := range rows {
		row := vendors.Fields(raw)
		if row == nil {
			return list{}, false
		}
		l.rows, l.raw = append(l.rows, row), append(l.raw, raw)
	}
	return l, true
}

// orderToken is how a history's row shows the key to its order's page.
var orderToken = regexp.MustCompile(`("(?:cart_)?token"\s*:\s*")[^"\\]+"`)

// maskOrders takes the keys to orders' pages out of rows of the history.
func maskOrders(rows []byte) []byte { return orderToken.ReplaceAll(rows, []byte(`$1…"`)) }

// id reads an id, as a number or a string; 0 where it isn't one.
func id(raw json.RawMessage) int64 {
	n, err := strconv.ParseInt(vendors.Text(raw), 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// number reads a decimal, as a number or a string.
func number(raw json.RawMessage) (decimal.Decimal, bool) {
	return event.Decimal(vendors.Text(raw))
}
