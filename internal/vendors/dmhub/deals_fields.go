package dmhub

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"syncworker/internal/event"
	"syncworker/internal/vendors"
)

// couponSent is the name under which a coupon is sent, of an order and of a line.
// The document's samples have this spelling, its model couponCode, and nothing says
// which one counts; it is the one place to change it.
const couponSent = "counponCode"

// notSent, as a name at the vendor, leaves a field out.
const notSent = ""

// dealField is one row of a transformation: a field of the event, which has
// loyalty's words, and how customer deals take it.
type dealField struct {
	name string // in the event
	as   string // at the vendor
	form func(json.RawMessage) (json.RawMessage, error)
}

// reword returns an object with the fields worded as the rows say, and all others
// as they are. A field that is null goes with its name.
func reword(object json.RawMessage, rows []dealField) (json.RawMessage, error) {
	data, err := event.ReadObject(object)
	if err != nil {
		return nil, fmt.Errorf("data: %w", err)
	}
	defer data.Release()
	var set []event.Set
	var drop []string
	for _, row := range rows {
		value := data.Get(row.name)
		if value == nil {
			continue
		}
		if row.as != row.name {
			drop = append(drop, row.name)
		}
		if row.as == notSent || !vendors.Given(value) {
			continue
		}
		if value, err = row.form(value); err != nil {
			return nil, fmt.Errorf("%s: %w", row.name, err)
		}
		set = append(set, event.Set{Key: row.as, Value: value})
	}
	return data.Splice(set, drop)
}

func asItIs(value json.RawMessage) (json.RawMessage, error) { return value, nil }

// each rewords the objects of a list.
func each(rows ...dealField) func(json.RawMessage) (json.RawMessage, error) {
	return func(value json.RawMessage) (json.RawMessage, error) {
		var list []json.RawMessage
		if json.Unmarshal(value, &list) != nil {
			return nil, errors.New("isn't a list")
		}
		all := []byte{'['}
		for i, object := range list {
			object, err := reword(object, rows)
			if err != nil {
				return nil, err
			}
			if i > 0 {
				all = append(all, ',')
			}
			all = append(all, object...)
		}
		return append(all, ']'), nil
	}
}

// aNumber writes an id that came as a string as the number that the document wants
// (Long).
func aNumber(value json.RawMessage) (json.RawMessage, error) {
	id := vendors.Text(value)
	if id == "" || len(id) > 19 || strings.Trim(id, "0123456789") != "" || id[0] == '0' {
		return nil, errors.New("isn't a number of DM Hub's; send its digits, or name the customer by identities")
	}
	return json.RawMessage(id), nil
}

// inUTCForm writes a time with an offset in DM Hub's form; what isn't such a time
// stays.
func inUTCForm(value json.RawMessage) (json.RawMessage, error) {
	s := vendors.Text(value)
	t, err := time.Parse(time.RFC3339Nano, s)
	if err != nil || strings.HasSuffix(s, "Z") {
		return value, nil
	}
	return vendors.Quote(t.UTC().Format(time.RFC3339Nano)), nil
}

// fullOrPartial lets pass what the document has for the state of a refund.
func fullOrPartial(value json.RawMessage) (json.RawMessage, error) {
	switch vendors.Text(value) {
	case refundedFully, refundedPartly:
		return value, nil
	}
	return nil, fmt.Errorf("is neither %s nor %s; send one of them, or leave it out", refundedFully, refundedPartly)
}
