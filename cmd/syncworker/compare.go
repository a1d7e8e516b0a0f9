package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	"syncworker/internal/event"
)

// leaf is one value of a JSON text by its path: "lines[0].qty". An empty object or
// array is a leaf.
type leaf struct {
	path    string
	literal string // as it came
}

// flatten returns the leaves of a JSON text in the order in which they came.
func flatten(data json.RawMessage) ([]leaf, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var leaves []leaf
	err := flattenValue(dec, "", &leaves)
	return leaves, err
}

func flattenValue(dec *json.Decoder, path string, leaves *[]leaf) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	opened, nested := token.(json.Delim)
	if !nested {
		literal, err := json.Marshal(token)
		*leaves = append(*leaves, leaf{path, string(literal)})
		return err
	}
	empty := true
	for i := 0; dec.More(); i++ {
		empty = false
		below := fmt.Sprintf("%s[%d]", path, i)
		if opened == '{' {
			name, err := dec.Token()
			if err != nil {
				return err
			}
			below = strings.TrimPrefix(fmt.Sprintf("%s.%s", path, name), ".")
		}
		if err := flattenValue(dec, below, leaves); err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return err
	}
	if empty {
		*leaves = append(*leaves, leaf{path, map[json.Delim]string{'{': "{}", '[': "[]"}[opened]})
	}
	return nil
}

// compared is one field of what was sent and of what the vendor has. A side that
// lacks it is empty; null counts as lacking where the other side lacks it.
type compared struct {
	Field   string          `json:"field"`
	Ours    json.RawMessage `json:"ours,omitempty"`
	Vendors json.RawMessage `json:"vendors,omitempty"`
	Same    bool            `json:"same"`
}

// mark is how a comparison ended, for people.
func (c compared) mark() string {
	switch {
	case c.Same:
		return "="
	case c.Vendors == nil:
		return "only ours"
	case c.Ours == nil:
		return "only the vendor's"
	}
	return "≠"
}

// zones are those of the times that each side writes without one.
type zones struct{ ours, vendors *time.Location }

// sideBySide puts two JSON texts side by side, field by field: ours in the order of its
// fields, then what only the vendor has.
func sideBySide(ours, vendors json.RawMessage, z zones) ([]compared, error) {
	sent, err := flatten(ours)
	if err != nil {
		return nil, fmt.Errorf("reading what was sent: %w", err)
	}
	has, err := flatten(vendors)
	if err != nil {
		return nil, fmt.Errorf("reading what the vendor has: %w", err)
	}
	theirs := map[string]string{}
	for _, l := range has {
		theirs[l.path] = l.literal
	}
	list, met := []compared{}, map[string]bool{}
	for _, l := range sent {
		path := l.path
		literal, found := theirs[path]
		if !found {
			path = renamed(path)
			literal, found = theirs[path]
		}
		met[path] = true
		if !found && l.literal == "null" {
			continue
		}
		c := compared{Field: l.path, Ours: json.RawMessage(l.literal)}
		if found {
			c.Vendors, c.Same = json.RawMessage(literal), sameValue(l.literal, literal, z)
		}
		list = append(list, c)
	}
	for _, l := range has {
		if !met[l.path] && l.literal != "null" {
			list = append(list, compared{Field: l.path, Vendors: json.RawMessage(l.literal)})
		}
	}
	return list, nil
}

// otherNames are fields that a read shows under another name than the write, or the
// event, has.
var otherNames = map[string]string{
	"dealLines":   "lines",        // an order's, in DM Hub's loyalty API and in that of customer deals
	"newMobile":   "mobile",       // of DM Hub's members
	"customer_id": "customer.id",  // of HeyShop's points
	"useDateTime": "usedDateTime", // of Pospal's codes
}

// renamed is the path with the other name of its first part.
func renamed(path string) string {
	end := strings.IndexAny(path, ".[")
	if end < 0 {
		end = len(path)
	}
	if name, found := otherNames[path[:end]]; found {
		return name + path[end:]
	}
	return path
}

// number is a JSON number, which a vendor may write as a string. One with leading
// zeros is a text; the exponent is short, since comparing 1e999999999 as a decimal
// would take all memory.
var number = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]{1,2})?$`)

// sameValue compares two JSON literals: a number with a number, or with a string
// that has one, by value; two strings as texts, or as moments where both are times.
func sameValue(a, b string, z zones) bool {
	if a == b {
		return true
	}
	textA, stringA := unquoted(a)
	textB, stringB := unquoted(b)
	if stringA && stringB {
		at, okA := moment(textA, z.ours)
		bt, okB := moment(textB, z.vendors)
		return textA == textB || okA && okB && at.Equal(bt)
	}
	if !number.MatchString(textA) || !number.MatchString(textB) {
		return false
	}
	x, okX := event.Decimal(textA)
	y, okY := event.Decimal(textB)
	return okX && okY && x.Equal(y)
}

// unquoted is the text of a JSON string, or the literal of anything else.
func unquoted(literal string) (text string, isString bool) {
	if json.Unmarshal([]byte(literal), &text) != nil || literal == "null" {
		return literal, false
	}
	return text, true
}

func moment(s string, zone *time.Location) (time.Time, bool) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, true
	}
	for _, layout := range []string{"2006-01-02T15:04:05.999999999", time.DateTime} {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
