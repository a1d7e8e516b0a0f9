package outbox

import (
	"bytes"
	"encoding/json"
	"strings"
)

// named is what a refused message says that it is about. A message may say it
// several times, or break off before it does.
type named struct{ orderNos, uuids, ids []string }

// namesIn reads a refused message as far as it is JSON. In binary mode the id is
// a header, and the payload is the data.
func namesIn(payload []byte, headers map[string][]string) named {
	var n named
	for name, values := range headers {
		if strings.EqualFold(name, "ce-id") {
			n.ids = append(n.ids, values...)
		}
	}
	dec := json.NewDecoder(bytes.NewReader(payload))
	dec.UseNumber()
	if start, err := dec.Token(); err != nil || start != json.Delim('{') {
		return n
	}
	n.read(dec, true)
	return n
}

// read reads the members of an object whose { has been read: the envelope, or
// the data in it. A publisher who left the envelope out is understood too.
func (n *named) read(dec *json.Decoder, envelope bool) {
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return
		}
		value, err := dec.Token()
		if err != nil {
			return
		}
		name, _ := key.(string)
		switch {
		case value == json.Delim('{') && envelope && strings.EqualFold(name, "data"):
			n.read(dec, false)
		case value == json.Delim('{'), value == json.Delim('['):
			skip(dec)
		case strings.EqualFold(name, "orderNo"):
			n.orderNos = append(n.orderNos, textOf(value))
		case strings.EqualFold(name, "uuid"):
			n.uuids = append(n.uuids, textOf(value))
		case strings.EqualFold(name, "id") && envelope:
			n.ids = append(n.ids, textOf(value))
		}
	}
	_, _ = dec.Token() // the }, or where the message breaks off
}

// skip reads to the end of the object or array that has begun.
func skip(dec *json.Decoder) {
	for depth := 1; depth > 0; {
		token, err := dec.Token()
		if err != nil {
			return
		}
		switch token {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

// textOf is a string, or a number where a publisher forgot the quotes.
func textOf(token json.Token) string {
	switch v := token.(type) {
	case string:
		return v
	case json.Number:
		return v.String()
	}
	return ""
}
