package event

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Set is a member that Splice gives an object.
type Set struct {
	Key   string
	Value json.RawMessage
}

// Object is a JSON object that is read once, to look into and to splice.
type Object struct {
	text json.RawMessage
	doc  *document
}

// ReadObject reads an object. An error means that it isn't one, which data of a
// decoded event always is.
func ReadObject(text json.RawMessage) (*Object, error) {
	doc, bad := scan(text, "")
	if bad != nil {
		return nil, fmt.Errorf("reading an object: %w", bad)
	}
	if doc.nodes[0].kind != kindObject {
		return nil, fmt.Errorf("reading an object: found %s", doc.nodes[0].kind)
	}
	return &Object{text, doc}, nil
}

// Release gives the object's memory back; what Get and Splice have returned stays.
func (o *Object) Release() { o.doc.release() }

// Get returns the text of a member's value, nil where there is none.
func (o *Object) Get(name string) json.RawMessage {
	at, found := o.doc.member(0, name)
	if !found {
		return nil
	}
	return o.text[o.doc.nodes[at].start:o.doc.nodes[at].end]
}

// Fields returns the members of an object by name. It reads what json.Unmarshal
// would, at a fraction of its cost, but knows less: text that isn't an object, or
// has anything that the contract refuses, is left to that.
func Fields(text json.RawMessage) (fields map[string]json.RawMessage, ok bool) {
	o, err := ReadObject(text)
	if err != nil {
		return nil, false
	}
	defer o.Release()
	if len(o.doc.flaws) > 0 {
		return nil, false
	}
	members := o.doc.members(0)
	fields = make(map[string]json.RawMessage, len(members))
	for _, at := range members {
		n := &o.doc.nodes[at]
		fields[n.key] = text[n.start:n.end]
	}
	return fields, true
}

// Splice returns the object with members set and dropped, and every other byte
// between its braces as it was: 1.10 stays 1.10, and what we don't know stays.
// A member that is there keeps its place; a new one goes to the end, in the
// order of set. A name in both set and drop is set.
//
// Where nothing changes, the very text that was read is returned; otherwise it
// isn't touched. An error means that a value isn't JSON.
func (o *Object) Splice(set []Set, drop []string) (json.RawMessage, error) {
	for _, s := range set {
		value, bad := scan(s.Value, s.Key)
		if bad != nil {
			return nil, fmt.Errorf("reading the value to set: %w", bad)
		}
		value.release()
	}
	out, changed := o.doc.splice(o.text, set, drop)
	if !changed {
		return o.text, nil
	}
	return out, nil
}

// Splice reads an object and splices it.
func Splice(text json.RawMessage, set []Set, drop []string) (json.RawMessage, error) {
	object, err := ReadObject(text)
	if err != nil {
		return nil, err
	}
	defer object.Release()
	return object.Splice(set, drop)
}

func (d *document) splice(src []byte, set []Set, drop []string) (out []byte, changed bool) {
	out = append(make([]byte, 0, len(src)+64), '{')
	empty := true
	add := func(parts ...[]byte) {
		if !empty {
			out = append(out, ',')
		}
		empty = false
		for _, p := range parts {
			out = append(out, p...)
		}
	}
	from := d.nodes[0].start + 1 // behind the brace or comma before the member
	for i := int32(1); i < d.nodes[0].next; i = d.nodes[i].next {
		n := &d.nodes[i]
		end := n.end // the comma or brace behind the member
		for src[end] != ',' && src[end] != '}' {
			end++
		}
		value := last(set, n.key)
		switch {
		case value != nil && string(value) != string(src[n.start:n.end]):
			add(src[from:n.start], value, src[n.end:end])
			changed = true
		case value == nil && slices.Contains(drop, n.key):
			changed = true
		default:
			add(src[from:end])
		}
		from = end + 1
	}
	for i, s := range set {
		if _, there := d.member(0, s.Key); there || slices.ContainsFunc(set[:i], func(e Set) bool { return e.Key == s.Key }) {
			continue
		}
		name, _ := json.Marshal(s.Key) // a string always marshals
		add(name, []byte{':'}, last(set, s.Key))
		changed = true
	}
	return append(out, '}'), changed
}

// last returns the value that set gives the key, nil where it gives none.
func last(set []Set, key string) json.RawMessage {
	for _, s := range slices.Backward(set) {
		if s.Key == key {
			return s.Value
		}
	}
	return nil
}
