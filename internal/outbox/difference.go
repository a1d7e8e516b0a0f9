package outbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"syncworker/internal/event"
)

// Difference is one field in which two contents of an event differ, as JSON
// literals; empty where a content lacks it.
type Difference struct {
	Field  string `json:"field"` // "dealLines[0].qty"
	First  string `json:"first"`
	Second string `json:"second"`
}

// Differences compares two contents field by field, in the order of the fields'
// names. Numbers are compared by their value, as the hash of an event does.
func Differences(first, second json.RawMessage) ([]Difference, error) {
	a, err := flatten(first)
	if err != nil {
		return nil, fmt.Errorf("reading the first content: %w", err)
	}
	b, err := flatten(second)
	if err != nil {
		return nil, fmt.Errorf("reading the second content: %w", err)
	}
	differences := []Difference{}
	for field, literal := range a {
		if other, found := b[field]; !found || !sameLiteral(literal, other) {
			differences = append(differences, Difference{field, literal, other})
		}
	}
	for field, literal := range b {
		if _, found := a[field]; !found {
			differences = append(differences, Difference{field, "", literal})
		}
	}
	slices.SortFunc(differences, func(a, b Difference) int { return strings.Compare(a.Field, b.Field) })
	return differences, nil
}

func sameLiteral(a, b string) bool {
	if a == b {
		return true
	}
	number := func(s string) bool { return s[0] == '-' || s[0] >= '0' && s[0] <= '9' }
	if !number(a) || !number(b) {
		return false
	}
	x, okX := event.Decimal(a)
	y, okY := event.Decimal(b)
	return okX && okY && x.Equal(y)
}

// flatten returns each leaf by its path. An empty object or array is a leaf.
func flatten(data json.RawMessage) (map[string]string, error) {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		return nil, err
	}
	leaves := map[string]string{}
	walk("", value, leaves)
	return leaves, nil
}

func walk(path string, value any, leaves map[string]string) {
	switch v := value.(type) {
	case map[string]any:
		for key, member := range v {
			below := key
			if path != "" {
				below = path + "." + key
			}
			walk(below, member, leaves)
		}
		if len(v) == 0 {
			leaves[path] = "{}"
		}
	case []any:
		for i, element := range v {
			walk(path+"["+strconv.Itoa(i)+"]", element, leaves)
		}
		if len(v) == 0 {
			leaves[path] = "[]"
		}
	case json.Number:
		leaves[path] = v.String()
	default:
		literal, _ := json.Marshal(v) // a string, a bool or null always marshals
		leaves[path] = string(literal)
	}
}
