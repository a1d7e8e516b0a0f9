package event

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
)

// HashVersion is the form that Event.Hash is computed in. It is stored beside
// the hash: hashes of different versions say nothing about each other.
//
// Version 1 is the SHA-256 of "1", the type, the tenant and the data, where a
// string is "s", its length in bytes, ":" and its decoded bytes; a number is
// "d", its digits without leading and trailing zeros, "e", the exponent and
// ";", with zero as "d0;"; true, false and null are "t", "f" and "z"; an array
// is its elements in "[" and "]"; an object is its names and values, sorted by
// the names' bytes, in "{" and "}". So 1.0, 1 and 1e0 are the same, two ids of
// 18 digits never are, and neither a string's escapes nor white space count.
const HashVersion = 1

// meaning returns the hash of what an event says, wherever and however often it
// was serialized.
func (d *document) meaning(t Type, tenant string, data int32) [32]byte {
	buf := make([]byte, 0, int(d.nodes[data].end-d.nodes[data].start)+128)
	buf = strconv.AppendInt(buf, HashVersion, 10)
	buf = appendText(buf, string(t))
	buf = appendText(buf, tenant)
	return sha256.Sum256(d.appendValue(buf, data))
}

func (d *document) appendValue(buf []byte, at int32) []byte {
	n := &d.nodes[at]
	switch n.kind {
	case kindNull:
		return append(buf, 'z')
	case kindBool:
		return append(buf, n.text[0])
	case kindString:
		return appendText(buf, n.text)
	case kindNumber:
		value, _ := parseNumber(n.text)
		return append(value.append(append(buf, 'd')), ';')
	case kindArray:
		buf = append(buf, '[')
		for i := at + 1; i < n.next; i = d.nodes[i].next {
			buf = d.appendValue(buf, i)
		}
		return append(buf, ']')
	default:
		buf = append(buf, '{')
		for _, i := range d.members(at) {
			buf = d.appendValue(appendText(buf, d.nodes[i].key), i)
		}
		return append(buf, '}')
	}
}

func appendText(buf []byte, s string) []byte {
	buf = append(buf, 's')
	buf = strconv.AppendInt(buf, int64(len(s)), 10)
	buf = append(buf, ':')
	return append(buf, s...)
}

// MsgID returns the Nats-Msg-Id of an event: the same for an event that is sent
// again, another for every other event and for another content of the same
// identity, so that JetStream drops a repeat and never a conflict.
func MsgID(e *Event) string {
	id := e.Identity()
	var buf []byte
	for _, column := range []string{id.Tenant, id.Kind, id.OrderNo, id.UUID} {
		buf = binary.AppendUvarint(buf, uint64(len(column)))
		buf = append(buf, column...)
	}
	buf = append(buf, HashVersion)
	sum := sha256.Sum256(append(buf, e.Hash[:]...))
	return hex.EncodeToString(sum[:])
}
