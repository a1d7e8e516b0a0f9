// Package dmhub speaks DM Hub's API for loyalty (v1) and its API for customer
// deals. Section numbers are those of the vendor's documents; docs/vendors.md has
// what no document says.
package dmhub

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"time"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

const (
	// pointMemory is how far back the point details reach (§15), less an hour.
	pointMemory = 30*24*time.Hour - time.Hour
	// orderMemory is how far back order reads reach: "the last month", which
	// February makes 28 days, less a day.
	orderMemory = 27 * 24 * time.Hour
)

// write is what is known of the one call that gives events of a type their effect;
// writes has them all.
type write struct {
	event   event.Type
	section string
	method  string
	path    string // with what varies in braces
	// body makes what is sent of the event's data: what no change is about stays
	// byte for byte.
	body []change
	// query joins the path's; nil is none.
	query func(e *event.Event, data *event.Object) url.Values
	// personal are the values that name a person; nil is personal.
	personal func(*event.Event) []string
	// list: the reply is an array.
	list bool
	// echo compares a reply of success with what was asked, says what differs,
	// and else what the receipt is.
	echo func(call vendors.Call, rep reply) (receipt vendors.Receipt, difference string)
	// already is the code that says of a call that it's so already.
	already string
	// moves are the identities that lead to another member, or to none, after it.
	moves func(*event.Event) []event.MemberIdentity
	leads bool // they lead to the member whom a call that was applied has answered

	facts vendors.Operation // but for its name
	// settings changes the facts by what the account says.
	settings func(*Account, *vendors.Operation)
	mark     func(*Account, context.Context, vendors.Call) (string, vendors.Result)
	find     func(*Account, context.Context, vendors.Call) vendors.Finding
	unclear  string // for people: how an unclear answer is cleared up
}

// operation is a write with its facts as one account's settings make them.
type operation struct {
	*write
	vendors.Operation
}

// operationsOf returns the account's operations by type.
func operationsOf(a *Account) map[event.Type]operation {
	all := make(map[event.Type]operation, len(writes))
	for i := range writes {
		w := &writes[i]
		op := w.facts
		op.Name = w.method + " " + w.path
		if w.settings != nil {
			w.settings(a, &op)
		}
		all[w.event] = operation{w, op}
	}
	return all
}

// at returns the path with the member's id or the coupon's code in it.
func (w *write) at(member, key string) (string, error) {
	before, rest, varies := strings.Cut(w.path, "{")
	if !varies {
		return w.path, nil
	}
	name, after, _ := strings.Cut(rest, "}")
	value := member
	if name == "couponCode" {
		var err error
		if value, err = segment(name, key); err != nil {
			return "", err
		}
	}
	return before + value + after, nil
}

// segment is a value as one segment of a path.
func segment(name, value string) (string, error) {
	if strings.Trim(value, ".") == "" {
		return "", fmt.Errorf("%s: %q can't stand in a path of DM Hub's", name, value)
	}
	return url.PathEscape(value), nil
}

// match makes a Result Applied where the reply echoes what the event asked for;
// otherwise it stays Ambiguous and says what differs.
func (w *write) match(r *vendors.Result, call vendors.Call, rep reply) {
	if want := map[bool]kind{false: object, true: list}[w.list]; rep.kind != want || !rep.ok || r.Class != vendors.Ambiguous {
		return
	}
	receipt, difference := w.echo(call, rep)
	if difference != "" {
		r.Message = vendors.Shorten("the reply doesn't echo the call: "+difference, 500)
		return
	}
	r.Class, r.Message, r.Receipt = vendors.Applied, "", receipt
}

// makeBody returns what is sent for an event.
func (w *write) makeBody(a *Account, call vendors.Call, member string, data *event.Object) (json.RawMessage, error) {
	b := body{account: a, event: call.Event, key: call.Key, member: member, data: data, set: make([]event.Set, 0, 3)}
	for _, c := range w.body {
		c(&b)
	}
	switch {
	case b.err != nil:
		return nil, b.err
	case b.whole != nil || len(w.body) == 0:
		return b.whole, nil
	}
	return data.Splice(b.set, b.drop)
}
