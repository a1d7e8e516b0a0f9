package event

import (
	"slices"
	"strconv"
	"strings"
)

// member returns the index of an object's member by its exact name.
func (d *document) member(object int32, name string) (int32, bool) {
	members := d.members(object)
	i, ok := slices.BinarySearchFunc(members, name, func(at int32, name string) int {
		return strings.Compare(d.nodes[at].key, name)
	})
	if !ok {
		return 0, false
	}
	return members[i], true
}

// members returns an object's members sorted by name.
func (d *document) members(object int32) []int32 {
	n := &d.nodes[object]
	if n.kind != kindObject {
		return nil
	}
	return d.order[n.order : n.order+n.count]
}

// given returns a member that is there and isn't null. Publishers' serializers
// write null for what a till doesn't know, so null counts as absent.
func (d *document) given(object int32, name string) (*node, bool) {
	at, ok := d.member(object, name)
	if !ok || d.nodes[at].kind == kindNull {
		return nil, false
	}
	return &d.nodes[at], true
}

// text returns a member's decoded string or literal, empty where it isn't given.
func (d *document) text(object int32, name string) string {
	if n, ok := d.given(object, name); ok {
		return n.text
	}
	return ""
}

// path names a value the way a person would: "data.dealLines[2].qty".
func (d *document) path(target int32) string {
	path := d.name
	at := int32(0)
	for at < target {
		object := d.nodes[at].kind == kindObject
		child := at + 1
		i := 0
		for d.nodes[child].next <= target {
			child = d.nodes[child].next
			i++
		}
		if object {
			path = join(path, d.nodes[child].key)
		} else {
			path += "[" + strconv.Itoa(i) + "]"
		}
		at = child
	}
	return path
}

func join(path, key string) string {
	key = shorten(key)
	if path == "" {
		return key
	}
	return path + "." + key
}
