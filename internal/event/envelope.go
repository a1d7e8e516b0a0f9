package event

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// SubjectPrefix stands before an event's type in the subject it is published on.
const SubjectPrefix = "sync.events."

// Subject returns the subject that events of the type are published on.
func Subject(t Type) string { return SubjectPrefix + string(t) }

// Names of headers are compared without regard to case: NATS keeps the case that
// the publisher wrote, and client libraries differ.
const (
	headerPrefix      = "ce-"
	headerContentType = "content-type"
	headerTrace       = "traceparent"
)

// envelopeFields are the attributes that the contract knows. traceparent isn't
// among them: it is read in any case, and dropped where it makes no sense.
var envelopeFields = []field{
	{name: "specversion"},
	{name: "id"},
	{name: "source"},
	{name: "type"},
	{name: "time"},
	{name: "tenant"},
	{name: "datacontenttype"},
	{name: "data"},
	{name: "data_base64"},
}

// header returns what the headers of this name hold, in any case, without
// repeats.
func header(h map[string][]string, name string) []string {
	var values []string
	for k, v := range h {
		if strings.EqualFold(k, name) {
			values = append(values, v...)
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}

// Binary reports whether the attributes are in headers and the payload is the
// data alone. A content type of CloudEvents decides; without one, any of the
// required attributes does.
func Binary(h map[string][]string) bool {
	if len(h) == 0 {
		return false
	}
	if types := header(h, headerContentType); len(types) == 1 && strings.HasPrefix(strings.ToLower(types[0]), "application/cloudevents") {
		return false
	}
	for k := range h {
		switch strings.ToLower(k) {
		case "ce-specversion", "ce-id", "ce-source", "ce-type":
			return true
		}
	}
	return false
}

// contentType rejects what the headers announce and we don't read.
func (c *checker) contentType() {
	for _, t := range header(c.header, headerContentType) {
		switch lower := strings.ToLower(t); {
		case strings.HasPrefix(lower, "application/cloudevents-batch"):
			c.add(BadEnvelope, "content-type", "a batch of events; publish one event per message")
		case c.binary && !isJSON(t):
			c.add(BadEnvelope, "content-type", fmt.Sprintf("found %s; publish the data as application/json", quote(t)))
		}
	}
}

func isJSON(contentType string) bool {
	media, _, _ := strings.Cut(contentType, ";")
	media = strings.ToLower(strings.TrimRight(media, " \t"))
	return strings.HasSuffix(media, "/json") || strings.HasSuffix(media, "+json")
}

// attribute returns an attribute of the envelope; empty where it isn't given or
// was rejected for what it is.
func (c *checker) attribute(name string) string {
	if !c.binary {
		at, ok := c.doc.member(0, name)
		if !ok || c.doc.nodes[at].kind == kindNull || !c.is(at, kindString) {
			return ""
		}
		return c.doc.nodes[at].text
	}
	values := header(c.header, headerPrefix+name)
	if len(values) == 0 {
		return ""
	}
	if len(values) > 1 {
		c.add(DuplicateKey, name, "several headers give it different values; send one")
	}
	return percentDecoded(values[0])
}

// percentDecoded undoes what the HTTP binding of CloudEvents, and the NATS
// binding after it, asks of header values that aren't printable ASCII.
func percentDecoded(s string) string {
	if decoded, err := url.PathUnescape(s); err == nil {
		s = decoded
	}
	return strings.ToValidUTF8(s, string(utf8.RuneError))
}

// envelope checks and reads the attributes.
func (c *checker) envelope(subject string) Event {
	if !c.binary {
		c.known(0, envelopeFields)
	}
	var e Event
	c.cloudEvent()
	e.ID = c.named("id", checkKey)
	e.Source = c.named("source", checkText)
	e.Type = c.eventType(subject)
	e.Tenant = c.tenant()
	if s, ok := c.required("time", MissingField); ok {
		t, reason, detail := parseMoment(s, c.now)
		if reason != "" {
			c.add(reason, "time", detail)
		}
		e.Time = t
	}
	e.TraceParent = c.traceParent()
	return e
}

// required returns an attribute, rejecting its absence for the reason.
func (c *checker) required(name string, reason Reason) (string, bool) {
	s := c.attribute(name)
	if s == "" {
		c.add(reason, name, "isn't there or is empty; send it with every event")
	}
	return s, s != ""
}

// named returns an attribute that CloudEvents requires and check agrees to.
func (c *checker) named(name string, check func(string) (Reason, string)) string {
	s, ok := c.required(name, BadEnvelope)
	if ok {
		if reason, detail := check(s); reason != "" {
			c.add(reason, name, detail)
		}
	}
	return s
}

// cloudEvent checks what makes it a CloudEvents 1.0 event with JSON data.
func (c *checker) cloudEvent() {
	if v, ok := c.required("specversion", BadEnvelope); ok && v != "1.0" {
		c.add(BadEnvelope, "specversion", fmt.Sprintf(`found %s; publish CloudEvents "1.0"`, quote(v)))
	}
	if t := c.attribute("datacontenttype"); t != "" && !isJSON(t) {
		c.add(BadEnvelope, "datacontenttype", fmt.Sprintf("found %s; publish the data as application/json", quote(t)))
	}
	if c.binary {
		return
	}
	if at, ok := c.doc.member(0, "data_base64"); ok {
		c.reject(BadEnvelope, at, "the contract has no encoded data; publish it as JSON in data")
	}
}

// eventType returns the type, empty where the contract doesn't have it.
func (c *checker) eventType(subject string) Type {
	s, ok := c.required("type", BadEnvelope)
	if !ok {
		return ""
	}
	t := Type(s)
	if _, known := shapeOf(t); !known {
		c.add(UnknownType, "type", fmt.Sprintf("found %s; the contract has %s", quote(s), typesLike(s)))
		return ""
	}
	if subject != Subject(t) {
		c.add(SubjectMismatch, "subject", fmt.Sprintf("published on %s, events of type %s belong on %s", quote(subject), t, Subject(t)))
	}
	return t
}

// typesLike lists the types of the contract that have the word before the dot with
// s in common, or these words where there is none.
func typesLike(s string) string {
	word, _, _ := strings.Cut(strings.ToLower(s), ".")
	var words, alike []string
	for _, t := range Types() {
		first, _, _ := strings.Cut(string(t), ".")
		if first == word {
			alike = append(alike, string(t))
		}
		words = append(words, first+".…")
	}
	if len(alike) > 0 {
		return strings.Join(alike, ", ")
	}
	return strings.Join(slices.Compact(words), ", ")
}

func (c *checker) tenant() string {
	t := c.attribute("tenant")
	if t == "" {
		if c.present("tenant") {
			c.add(BadTenant, "tenant", "is empty; leave it out for "+DefaultTenant)
		}
		return DefaultTenant
	}
	ok := len(t) <= 63
	for i := range len(t) {
		ok = ok && (t[i] >= 'a' && t[i] <= 'z' || t[i] >= '0' && t[i] <= '9' || t[i] == '-')
	}
	if !ok {
		c.add(BadTenant, "tenant", fmt.Sprintf("found %s; send 1 to 63 of a-z, 0-9 and -", quote(t)))
	}
	return t
}

// present reports whether an attribute is there and not null.
func (c *checker) present(name string) bool {
	if c.binary {
		return len(header(c.header, headerPrefix+name)) > 0
	}
	_, ok := c.doc.given(0, name)
	return ok
}

// traceParent returns the W3C trace context: the event's own before that of the
// header, since a relay may have set the latter. Nothing is rejected for it.
func (c *checker) traceParent() string {
	var found []string
	if c.binary {
		found = header(c.header, headerPrefix+headerTrace)
	} else {
		for _, at := range c.doc.members(0) {
			if n := c.doc.nodes[at]; n.kind == kindString && strings.EqualFold(n.key, headerTrace) {
				found = append(found, n.text)
			}
		}
	}
	for _, s := range append(found, header(c.header, headerTrace)...) {
		if s = strings.ToLower(s); validTrace(s) {
			return s
		}
	}
	return ""
}

// validTrace reports whether s is version-traceid-parentid-flags in lower-case
// hexadecimal, with neither id all zeros.
func validTrace(s string) bool {
	if len(s) != 55 || s[:2] == "ff" || strings.Trim(s[3:35], "0") == "" || strings.Trim(s[36:52], "0") == "" {
		return false
	}
	for i := range len(s) {
		dash := i == 2 || i == 35 || i == 52
		hex := s[i] >= '0' && s[i] <= '9' || s[i] >= 'a' && s[i] <= 'f'
		if dash && s[i] != '-' || !dash && !hex {
			return false
		}
	}
	return true
}
