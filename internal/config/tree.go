package config

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// origin is where a value was set.
type origin struct {
	source string // the file's path or the variable's name
	line   int    // 0 for a variable
}

type shape int

const (
	null shape = iota
	scalar
	mapping
	sequence
)

// tree is what the file and the environment say, before anything is known of
// types. Scalars keep their text, so that an 18-digit id stays as it was written.
type tree struct {
	shape  shape
	text   string
	keys   []string // of a mapping, as written
	fields map[string]*tree
	items  []*tree
	from   origin
}

func newMapping(from origin) *tree {
	return &tree{shape: mapping, fields: map[string]*tree{}, from: from}
}

func (t *tree) put(key string, child *tree) {
	if _, found := t.fields[key]; !found {
		t.keys = append(t.keys, key)
	}
	t.fields[key] = child
}

// set puts a scalar at the path, making the mappings on the way. A number in
// the path is an index of a sequence that has it.
func (t *tree) set(path []string, value *tree) {
	at := t
	for i, key := range path[:len(path)-1] {
		if at.shape == sequence {
			n, _ := strconv.Atoi(key)
			at = at.items[n]
			continue
		}
		next := at.fields[key]
		if next == nil || (next.shape != mapping && next.shape != sequence) {
			next = newMapping(value.from)
			at.put(path[i], next)
		}
		at = next
	}
	if at.shape == mapping {
		at.put(path[len(path)-1], value)
	}
}

// parseYAML reads one YAML document. A mistake of syntax is one problem; what
// the file means is looked at later.
func parseYAML(source string, data []byte) (*tree, []Problem) {
	file, err := parser.ParseBytes(data, 0)
	if err != nil {
		return newMapping(origin{source: source}), []Problem{syntaxProblem(source, err)}
	}
	r := yamlReader{source: source}
	docs := slices.DeleteFunc(file.Docs, func(d *ast.DocumentNode) bool { return d.Body == nil })
	switch len(docs) {
	case 0:
		return newMapping(origin{source: source}), nil
	case 1:
		return r.read(docs[0].Body), r.problems
	}
	line := docs[1].Body.GetToken().Position.Line
	return newMapping(origin{source: source}),
		[]Problem{{Source: source, Line: line, Message: "found a second YAML document; write one"}}
}

// syntaxProblem leaves out the excerpt of the file that the parser offers: it
// may show a password.
func syntaxProblem(source string, err error) Problem {
	p := Problem{Source: source, Message: "isn't YAML"}
	var syntax yaml.Error
	if errors.As(err, &syntax) {
		p.Message = "isn't YAML: " + syntax.GetMessage()
		if t := syntax.GetToken(); t != nil && t.Position != nil {
			p.Line = t.Position.Line
		}
	}
	return p
}

type yamlReader struct {
	source   string
	problems []Problem
}

func (r *yamlReader) read(n ast.Node) *tree {
	from := origin{source: r.source, line: n.GetToken().Position.Line}
	switch n := n.(type) {
	case *ast.MappingNode:
		return r.readMapping(from, n.Values)
	case *ast.MappingValueNode:
		return r.readMapping(from, []*ast.MappingValueNode{n})
	case *ast.SequenceNode:
		t := &tree{shape: sequence, from: from}
		for _, item := range n.Values {
			t.items = append(t.items, r.read(item))
		}
		return t
	case *ast.NullNode:
		return &tree{shape: null, from: from}
	case *ast.LiteralNode:
		return &tree{shape: scalar, text: n.Value.Value, from: from}
	case *ast.StringNode:
		return &tree{shape: scalar, text: n.Value, from: from}
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.InfinityNode, *ast.NanNode:
		return &tree{shape: scalar, text: n.GetToken().Value, from: from}
	}
	r.problems = append(r.problems, Problem{
		Source: from.source, Line: from.line,
		Message: fmt.Sprintf("found a YAML %s; write the value itself", strings.ToLower(n.Type().String())),
	})
	return &tree{shape: null, from: from}
}

func (r *yamlReader) readMapping(from origin, values []*ast.MappingValueNode) *tree {
	t := newMapping(from)
	if len(values) > 0 {
		t.from.line = values[0].Key.GetToken().Position.Line
	}
	for _, v := range values {
		key := v.Key.GetToken()
		child := r.read(v.Value)
		child.from.line = key.Position.Line
		t.put(key.Value, child)
	}
	return t
}
