package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"syncworker/contracts"
	"syncworker/internal/event"
)

// schemas are those of the contract as they are written.
type schemas struct {
	common map[string]map[string]any
	types  map[event.Type]map[string]any
}

func readSchemas() (*schemas, error) {
	read := func(name string, into any) error {
		raw, err := contracts.Schemas.ReadFile(name)
		if err == nil {
			err = json.Unmarshal(raw, into)
		}
		if err != nil {
			return fmt.Errorf("reading %s: %w", name, err)
		}
		return nil
	}
	var common struct {
		Defs map[string]map[string]any `json:"$defs"`
	}
	s := &schemas{types: map[event.Type]map[string]any{}}
	if err := read("common.schema.json", &common); err != nil {
		return nil, err
	}
	s.common = common.Defs
	for _, t := range event.Types() {
		var schema map[string]any
		if err := read(string(t)+".schema.json", &schema); err != nil {
			return nil, err
		}
		s.types[t] = schema
	}
	return s, nil
}

// object is what a schema says about an object, with what it refers to.
type object struct {
	meaning  string
	props    map[string]*property
	required []string
	either   bool // membershipId or identities
}

// property is one member of an object.
type property struct {
	object // of a list, of its elements
	form   string
	from   string // the definition that the object shares it with; empty where it is its own
}

// object reads a schema of an object, and of what it is made of.
func (s *schemas) object(schema map[string]any) *object {
	o := &object{meaning: str(schema["description"]), props: map[string]*property{}}
	parts := []map[string]any{schema}
	for _, part := range list(schema["allOf"]) {
		parts = append(parts, part.(map[string]any))
	}
	for _, part := range parts {
		def, found := definition(part)
		if !found {
			continue
		}
		if def == "member" {
			o.either = true
			continue
		}
		below := s.object(s.common[def])
		o.required = append(o.required, below.required...)
		o.either = o.either || below.either
		for name, p := range below.props {
			p.from = def
			o.props[name] = p
		}
	}
	for _, name := range list(schema["required"]) {
		o.required = append(o.required, name.(string))
	}
	for name, prop := range sub(schema, "properties") {
		o.add(name, s.property(prop.(map[string]any)))
	}
	return o
}

// add sets what an object says of a member itself, over what it shares with others.
func (o *object) add(name string, p *property) {
	if shared := o.props[name]; shared != nil {
		if !strings.HasPrefix(p.form, "integer") {
			p.form = shared.form
		}
		p.meaning = cmp.Or(p.meaning, shared.meaning)
		p.props = shared.props
		if len(p.required) == 0 {
			p.required = shared.required
		}
	}
	o.props[name] = p
}

func (s *schemas) property(schema map[string]any) *property {
	def, _ := definition(schema)
	p := &property{form: s.form(def, schema)}
	p.meaning = str(schema["description"])
	if p.meaning == "" && def != "" {
		p.meaning = str(s.common[def]["description"])
	}
	if items := sub(schema, "items"); len(items) > 0 {
		element := s.object(items)
		p.props, p.required = element.props, element.required
	}
	return p
}

// forms are the words for what is said of a value, by definition.
var forms = map[string]string{
	"key": "key", "optionalKey": "key", "text": "text", "searchedText": "text", "money": "decimal", "paid": "amount",
	"moment": "time", "optionalMoment": "time", "membershipId": "id", "vendorId": "id", "optionalVendorId": "id",
	"couponCode": "code", "optionalCouponCode": "code", "flag": "boolean", "readOnly": "not set",
	"identities": "list of [identities](#an-identity)", "membership": "[membership](#a-membership)",
}

// form says what a value has to be.
func (s *schemas) form(def string, schema map[string]any) string {
	if f := forms[def]; f != "" {
		return f
	}
	if inner := s.common[def]; inner != nil {
		schema = inner
	}
	if of, found := definition(sub(schema, "items")); found && of == "line" {
		return "list of [lines](#a-line)"
	}
	kind := str(schema["type"])
	if kinds := list(schema["type"]); len(kinds) > 0 {
		kind = kinds[0].(string)
	}
	if least, found := schema["minimum"]; kind == "integer" && found {
		kind = fmt.Sprintf("integer from %v", least)
		if most, _ := schema["maximum"].(float64); most > 0 && most < 1000 {
			kind += fmt.Sprintf(" to %v", most)
		}
	}
	return kind
}

// definition is the one of common.schema.json that a schema refers to.
func definition(schema map[string]any) (string, bool) {
	_, def, found := strings.Cut(str(schema["$ref"]), "#/$defs/")
	return def, found
}

// names lists members: what is required first, in the schema's order.
func (o *object) names() []string {
	var names []string
	for _, name := range o.required {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(o.props)) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// rows are all of the object's members as a table has them.
func (o *object) rows() []field {
	var rows []field
	for _, name := range o.names() {
		rows = append(rows, o.row("", name))
	}
	return rows
}

func (o *object) row(before, name string) field {
	p := o.props[name]
	required := ""
	switch {
	case slices.Contains(o.required, name):
		required = "yes"
	case o.either && (name == "membershipId" || name == "identities"):
		required = "one of the two"
	}
	return field{before + name, p.form, required, p.meaning}
}

// own are the rows that an event's own table has: what it requires, also of its
// lines, and what it doesn't share with others.
func (o *object) own() []field {
	var rows []field
	for _, name := range o.names() {
		p, row := o.props[name], o.row("", name)
		if p.from != "" && row.Required == "" {
			continue
		}
		rows = append(rows, row)
		for _, inner := range p.required {
			if p.from == "" && strings.Contains(p.form, "lines") {
				rows = append(rows, p.row(name+"[].", inner))
			}
		}
	}
	return rows
}

// leavesOut reports whether members of a definition aren't in the event's own table.
func (o *object) leavesOut(def string) bool {
	for name, p := range o.props {
		if p.from == def && o.row("", name).Required == "" {
			return true
		}
	}
	return false
}

func str(v any) string {
	s, _ := v.(string)
	return s
}

func list(v any) []any {
	l, _ := v.([]any)
	return l
}

func sub(v map[string]any, name string) map[string]any {
	m, _ := v[name].(map[string]any)
	return m
}
