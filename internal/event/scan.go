package event

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may nest, the outermost included.
const MaxDepth = 64

type kind uint8

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

// String is the kind in the words of a detail: "found a number".
func (k kind) String() string {
	return [...]string{"null", "true or false", "a number", "a string", "an array", "an object"}[k]
}

// node is one JSON value. The children of an array or object follow it; next is
// the index behind its last descendant.
type node struct {
	kind       kind
	key        string // decoded name where the value is an object's member
	text       string // decoded string, or the literal of a number, true or false
	start, end int32  // the value's bytes in the source
	next       int32
	order      int32 // where its members, sorted by name, stand in document.order
	count      int32 // members or elements
}

// flaw is something the contract refuses in JSON that is otherwise well formed.
type flaw struct {
	reason Reason
	at     int32
	detail string
}

// document is one JSON text, read once. Its strings share one copy of the
// source, so they stay valid whatever becomes of the message's buffer.
type document struct {
	nodes []node
	order []int32
	flaws []flaw
	name  string // what stands before every path: "" or "data"
	wild  bool   // a number has an exponent, or is longer than numberLimit
}

// scanner reads JSON as RFC 8259 has it and nothing beyond, in one pass.
type scanner struct {
	src string
	pos int
	doc *document
	bad *Reject // what ended the scan
}

// used are documents that were released, for their memory: a text is read three
// times on its way to a vendor, and each reading would be 6 KB of garbage.
var used = sync.Pool{New: func() any { return new(document) }}

// keptNodes is how large a document may be for its memory to be kept.
const keptNodes = 4096

// release gives the document's memory to the next one. Strings taken from it
// stay; nothing else of it may be used.
func (d *document) release() {
	if cap(d.nodes) > keptNodes {
		return
	}
	clear(d.nodes)
	*d = document{nodes: d.nodes[:0], order: d.order[:0]}
	used.Put(d)
}

// scan reads one JSON text. The reject says why it can't be read at all; flaws
// of a text that can be read are in the document.
func scan(src []byte, name string) (*document, *Reject) {
	if i := invalidUTF8(src); i >= 0 {
		return nil, &Reject{NotUTF8, name, fmt.Sprintf("byte %d (0x%02x) isn't UTF-8; encode the event as UTF-8", i, src[i])}
	}
	s := scanner{src: string(src), doc: used.Get().(*document)}
	s.doc.name = name
	s.doc.nodes = slices.Grow(s.doc.nodes, min(len(src), math.MaxInt32)/16+8)
	s.doc.order = slices.Grow(s.doc.order, cap(s.doc.nodes))
	s.space()
	if s.value("", 1) {
		if s.space(); s.pos < len(s.src) {
			s.fail("the JSON value ends here, but more follows; publish one event per message")
		}
	}
	if s.bad != nil {
		s.bad.Field = name
		return nil, s.bad
	}
	return s.doc, nil
}

func invalidUTF8(src []byte) int {
	if utf8.Valid(src) {
		return -1
	}
	i := 0
	for {
		r, n := utf8.DecodeRune(src[i:])
		if r == utf8.RuneError && n == 1 {
			return i
		}
		i += n
	}
}

// fail ends the scan; it returns false so that callers can return it.
func (s *scanner) fail(what string) bool {
	s.bad = &Reject{Reason: NotJSON, Detail: fmt.Sprintf("at byte %d: %s", s.pos, what)}
	return false
}

func (s *scanner) expected(what string) bool {
	if s.pos >= len(s.src) {
		return s.fail("the text ends where " + what + " is expected; publish the whole JSON value")
	}
	r, _ := utf8.DecodeRuneInString(s.src[s.pos:])
	return s.fail(fmt.Sprintf("%q where %s is expected", r, what))
}

func (s *scanner) space() {
	for s.pos < len(s.src) {
		switch s.src[s.pos] {
		case ' ', '\t', '\n', '\r':
			s.pos++
		default:
			return
		}
	}
}

func (s *scanner) take(c byte) bool {
	if s.pos < len(s.src) && s.src[s.pos] == c {
		s.pos++
		return true
	}
	return false
}

// value reads one value into a node of its own and its children behind it.
func (s *scanner) value(key string, depth int) bool {
	if s.pos >= len(s.src) {
		return s.expected("a value")
	}
	at := int32(len(s.doc.nodes))
	s.doc.nodes = append(s.doc.nodes, node{key: key, start: int32(s.pos)})
	var ok bool
	switch c := s.src[s.pos]; {
	case c == '"':
		ok = s.leaf(at, kindString)
	case c == '-' || c >= '0' && c <= '9':
		ok = s.leaf(at, kindNumber)
	case c == 't' || c == 'f':
		ok = s.leaf(at, kindBool)
	case c == 'n':
		ok = s.leaf(at, kindNull)
	case c != '{' && c != '[':
		return s.expected("a value")
	case depth > MaxDepth:
		s.bad = &Reject{Reason: TooDeep, Detail: fmt.Sprintf("at byte %d: arrays and objects nest deeper than %d; flatten the event", s.pos, MaxDepth)}
		return false
	case c == '{':
		ok = s.object(at, depth)
	default:
		ok = s.array(at, depth)
	}
	n := &s.doc.nodes[at]
	n.end, n.next = int32(s.pos), int32(len(s.doc.nodes))
	return ok
}

// leaf reads a value without children.
func (s *scanner) leaf(at int32, k kind) (ok bool) {
	n := &s.doc.nodes[at]
	n.kind = k
	switch k {
	case kindString:
		n.text, ok = s.text(at)
	case kindNumber:
		n.text, ok = s.number()
	case kindBool:
		if n.text = "true"; s.src[s.pos] == 'f' {
			n.text = "false"
		}
		ok = s.literal(n.text)
	default:
		ok = s.literal("null")
	}
	return ok
}

func (s *scanner) literal(word string) bool {
	if !strings.HasPrefix(s.src[s.pos:], word) {
		return s.expected("a value")
	}
	s.pos += len(word)
	return true
}

func (s *scanner) array(at int32, depth int) bool {
	s.doc.nodes[at].kind = kindArray
	s.pos++
	if s.space(); s.take(']') {
		return true
	}
	for {
		s.space()
		if !s.value("", depth+1) {
			return false
		}
		s.doc.nodes[at].count++
		if s.space(); s.take(']') {
			return true
		}
		if !s.take(',') {
			return s.expected(`"," or "]"`)
		}
	}
}

func (s *scanner) object(at int32, depth int) bool {
	s.doc.nodes[at].kind = kindObject
	s.pos++
	if s.space(); s.take('}') {
		return true
	}
	for {
		if s.space(); s.pos >= len(s.src) || s.src[s.pos] != '"' {
			return s.expected("a member's name in double quotes")
		}
		child := int32(len(s.doc.nodes))
		key, ok := s.text(child)
		if !ok {
			return false
		}
		if strings.ContainsRune(key, utf8.RuneError) {
			s.flaw(BadCharacter, child, "the member's name holds U+FFFD, what a broken encoding leaves behind; send the name as it was meant")
		}
		if s.space(); !s.take(':') {
			return s.expected(`":"`)
		}
		s.space()
		if !s.value(key, depth+1) {
			return false
		}
		s.doc.nodes[at].count++
		if s.space(); s.take('}') {
			s.doc.nodes[at].order = s.sortMembers(at + 1)
			return true
		}
		if !s.take(',') {
			return s.expected(`"," or "}"`)
		}
	}
}

// sortMembers notes the order of the members that start at first, by name, and
// each name that stands twice.
func (s *scanner) sortMembers(first int32) int32 {
	doc := s.doc
	start := int32(len(doc.order))
	for i := first; i < int32(len(doc.nodes)); i = doc.nodes[i].next {
		doc.order = append(doc.order, i)
	}
	members := doc.order[start:]
	slices.SortStableFunc(members, func(a, b int32) int { return strings.Compare(doc.nodes[a].key, doc.nodes[b].key) })
	for i := 1; i < len(members); i++ {
		if doc.nodes[members[i-1]].key == doc.nodes[members[i]].key {
			s.flaw(DuplicateKey, members[i], "the name stands more than once in its object, and readers differ in which one they take; send it once")
		}
	}
	return start
}

func (s *scanner) flaw(r Reason, at int32, detail string) {
	if len(s.doc.flaws) < maxProblems {
		s.doc.flaws = append(s.doc.flaws, flaw{r, at, detail})
	}
}

// number reads a number's literal; what it is worth is parseNumber's business.
func (s *scanner) number() (string, bool) {
	start := s.pos
	s.take('-')
	if !s.take('0') && !s.digits() {
		return "", s.expected("a digit")
	}
	if s.take('.') && !s.digits() {
		return "", s.expected("a digit after the decimal point")
	}
	if s.take('e') || s.take('E') {
		s.doc.wild = true
		if !s.take('+') {
			s.take('-')
		}
		if !s.digits() {
			return "", s.expected("a digit of the exponent")
		}
	}
	if s.pos-start > numberLimit {
		s.doc.wild = true
	}
	return s.src[start:s.pos], true
}

func (s *scanner) digits() bool {
	start := s.pos
	for s.pos < len(s.src) && s.src[s.pos] >= '0' && s.src[s.pos] <= '9' {
		s.pos++
	}
	return s.pos > start
}

// text reads a string; at is the node that its flaws are reported for.
func (s *scanner) text(at int32) (string, bool) {
	s.pos++
	start := s.pos
	for s.pos < len(s.src) {
		switch c := s.src[s.pos]; {
		case c == '"':
			s.pos++
			return s.src[start : s.pos-1], true
		case c == '\\':
			return s.escaped(start, at)
		case c < 0x20:
			return "", s.fail(fmt.Sprintf("control character 0x%02x inside a string; escape or remove it", c))
		}
		s.pos++
	}
	return "", s.expected("the end of a string")
}

// escaped reads on from a string's first backslash.
func (s *scanner) escaped(start int, at int32) (string, bool) {
	buf := append(make([]byte, 0, 2*(s.pos-start)+16), s.src[start:s.pos]...)
	for s.pos < len(s.src) {
		c := s.src[s.pos]
		s.pos++
		switch {
		case c == '"':
			return string(buf), true
		case c < 0x20:
			s.pos--
			return "", s.fail(fmt.Sprintf("control character 0x%02x inside a string; escape or remove it", c))
		case c != '\\':
			buf = append(buf, c)
		default:
			var ok bool
			if buf, ok = s.escape(buf, at); !ok {
				return "", false
			}
		}
	}
	return "", s.expected("the end of a string")
}

func (s *scanner) escape(buf []byte, at int32) ([]byte, bool) {
	if s.pos >= len(s.src) {
		return nil, s.expected("the rest of an escape")
	}
	c := s.src[s.pos]
	s.pos++
	if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 {
		return append(buf, "\"\\/\b\f\n\r\t"[i]), true
	}
	if c != 'u' {
		s.pos--
		return nil, s.expected(`one of "\/bfnrtu after a backslash`)
	}
	r, ok := s.hex4()
	if !ok {
		return nil, s.fail("a \\u escape needs four hexadecimal digits")
	}
	switch {
	case r == 0:
		s.flaw(BadCharacter, at, "holds NUL (\\u0000), which no database text can hold; remove it")
	case r >= 0xd800 && r < 0xdc00:
		mark := s.pos
		if strings.HasPrefix(s.src[s.pos:], `\u`) {
			s.pos += 2
			if low, ok := s.hex4(); ok && low >= 0xdc00 && low < 0xe000 {
				return utf8.AppendRune(buf, 0x10000+(r-0xd800)<<10+(low-0xdc00)), true
			}
		}
		s.pos = mark
		fallthrough
	case r >= 0xdc00 && r < 0xe000:
		s.flaw(BadCharacter, at, fmt.Sprintf("holds half of a surrogate pair (\\u%04x), which is no character; send the whole pair or UTF-8", r))
		r = utf8.RuneError
	}
	return utf8.AppendRune(buf, r), true
}

func (s *scanner) hex4() (rune, bool) {
	if s.pos+4 > len(s.src) {
		return 0, false
	}
	v, err := strconv.ParseUint(s.src[s.pos:s.pos+4], 16, 16)
	if err != nil {
		return 0, false
	}
	s.pos += 4
	return rune(v), true
}
