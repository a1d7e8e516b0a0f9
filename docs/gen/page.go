package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"syncworker/internal/event"
	"syncworker/internal/vendors/every"
)

// page is what the templates show.
type page struct {
	Events []entry
	Shared []shared // what several events have in common
}

// entry is one type of event.
type entry struct {
	Type     event.Type
	Subject  string
	Title    string
	Says     string
	Identity string
	Lane     string
	Accounts []string // the kinds of account that take it
	Fields   []field
	More     []shared // which further fields it may have
	Example  string
}

// shared is an object, or part of one, that several events have.
type shared struct {
	Def    string // in common.schema.json
	Title  string
	Text   string
	Fields []field
}

// field is a row of a table.
type field struct{ Name, Type, Required, Meaning string }

// titles are the headings of what is shared, by definition, in the page's order.
var titles = []shared{
	{Def: "order", Title: "Fields of an order"},
	{Def: "line", Title: "A line"},
	{Def: "points", Title: "Fields of a change of points"},
	{Def: "identity", Title: "An identity"},
	{Def: "membership", Title: "A membership"},
	{Def: "level", Title: "Fields of a level"},
}

func readPage(root string) (*page, error) {
	s, err := readSchemas()
	if err != nil {
		return nil, err
	}
	p := &page{}
	for _, t := range event.Types() {
		e, err := s.entry(t)
		if err != nil {
			return nil, fmt.Errorf("reading the schema of %s: %w", t, err)
		}
		if e.Example, err = example(root, t); err != nil {
			return nil, err
		}
		p.Events = append(p.Events, e)
	}
	for _, sh := range titles {
		o := s.object(s.common[sh.Def])
		sh.Text, sh.Fields = o.meaning, o.rows()
		p.Shared = append(p.Shared, sh)
	}
	return p, nil
}

func (s *schemas) entry(t event.Type) (entry, error) {
	schema := s.types[t]
	e := entry{Type: t, Subject: event.Subject(t), Title: str(schema["title"])}
	identity, rest, ok := strings.Cut(str(schema["description"]), ". Lane: ")
	if !ok {
		return e, fmt.Errorf("its description doesn't say identity and lane")
	}
	e.Identity = strings.TrimPrefix(identity, "Identity: ")
	e.Lane, e.Says, _ = strings.Cut(rest, ". ")
	for _, k := range every.Kinds() {
		if slices.Contains(k.Takes, t) {
			e.Accounts = append(e.Accounts, k.Name)
		}
	}
	o := s.object(sub(sub(schema, "properties"), "data"))
	e.Fields = o.own()
	for _, sh := range titles {
		if o.leavesOut(sh.Def) {
			e.More = append(e.More, sh)
		}
	}
	return e, nil
}

// example is the good event of the type that the decoder's tests have, with its
// envelope on one line and its data on the next.
func example(root string, t event.Type) (string, error) {
	raw, err := os.ReadFile(filepath.Join(root, "internal/event/testdata/good", string(t)+".json"))
	if err != nil {
		return "", fmt.Errorf("reading an example: %w", err)
	}
	var out bytes.Buffer
	if err := json.Compact(&out, raw); err != nil {
		return "", fmt.Errorf("reading an example of %s: %w", t, err)
	}
	return strings.Replace(out.String(), `,"data":`, ",\n \"data\":", 1), nil
}

// anchor is what a link to a heading of the page has.
func anchor(heading string) string {
	return "#" + strings.NewReplacer(".", "", " ", "-").Replace(strings.ToLower(heading))
}
