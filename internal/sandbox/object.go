package sandbox

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// fields is a JSON object whose values keep the bytes that were sent: numbers
// are never turned into floats.
type fields map[string]json.RawMessage

// parse reads a JSON object. It is several times as fast as decoding into a
// map, which matters where a benchmark's worker shares the machine.
func parse(raw []byte) (fields, bool) {
	raw = bytes.TrimSpace(raw)
	if len(raw) == 0 || raw[0] != '{' || !json.Valid(raw) {
		return nil, false
	}
	return members(raw), true
}

// members splits a valid JSON object.
func members(raw []byte) fields {
	f := fields{}
	for i := 1; ; {
		i = blank(raw, i)
		if raw[i] == '}' {
			return f
		}
		end := value(raw, i)
		name := text(raw[i:end])
		i = blank(raw, blank(raw, end)+1) // behind the colon
		end = value(raw, i)
		f[name] = raw[i:end:end]
		if i = blank(raw, end); raw[i] == ',' {
			i++
		}
	}
}

// elements splits a valid JSON array.
func elements(raw []byte) []json.RawMessage {
	list := []json.RawMessage{}
	for i := 1; ; {
		i = blank(raw, i)
		if raw[i] == ']' {
			return list
		}
		end := value(raw, i)
		list = append(list, raw[i:end:end])
		if i = blank(raw, end); raw[i] == ',' {
			i++
		}
	}
}

// text is the string that a valid JSON string stands for.
func text(raw []byte) string {
	if bytes.IndexByte(raw, '\\') < 0 {
		return string(bytes.ToValidUTF8(raw[1:len(raw)-1], []byte("\uFFFD")))
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		panic("sandbox: a valid JSON string can't be read: " + err.Error())
	}
	return s
}

func blank(raw []byte, i int) int {
	for raw[i] == ' ' || raw[i] == '\t' || raw[i] == '\n' || raw[i] == '\r' {
		i++
	}
	return i
}

// value returns the end of the value that starts at i in valid JSON.
func value(raw []byte, i int) int {
	for depth := 0; ; i++ {
		switch raw[i] {
		case '"':
			for i++; raw[i] != '"'; i++ {
				if raw[i] == '\\' {
					i++
				}
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		case ',', ':', ' ', '\t', '\n', '\r':
			continue
		default: // a number or a word
			for i+1 < len(raw) && bytes.IndexByte([]byte(",:]} \t\n\r"), raw[i+1]) < 0 {
				i++
			}
		}
		if depth == 0 {
			return i + 1
		}
	}
}

// object is a JSON object in the making.
type object []byte

func (o object) raw(name string, v []byte) object {
	if len(o) == 0 {
		o = append(o, '{')
	} else {
		o = append(o, ',')
	}
	o = append(o, encode(name)...)
	o = append(o, ':')
	return append(o, v...)
}

func (o object) text(name, v string) object { return o.raw(name, encode(v)) }

func (o object) int(name string, v int64) object {
	return o.raw(name, strconv.AppendInt(nil, v, 10))
}

func (o object) all(f fields) object {
	for name, v := range f {
		o = o.raw(name, v)
	}
	return o
}

func (o object) end() json.RawMessage {
	if len(o) == 0 {
		return json.RawMessage("{}")
	}
	return json.RawMessage(append(o, '}'))
}
