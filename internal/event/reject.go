package event

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

// Reason is why the contract refuses an event: a code from a fixed list, stored
// with the reject and counted by metrics.
type Reason string

// The reasons. Which one an event gets for several problems is the order in
// which Check returns them.
const (
	TooLarge        Reason = "too_large"        // more bytes than Limits allows
	NotUTF8         Reason = "not_utf8"         // bytes that aren't UTF-8
	NotJSON         Reason = "not_json"         // not exactly one JSON value
	TooDeep         Reason = "too_deep"         // nested deeper than MaxDepth
	DuplicateKey    Reason = "duplicate_key"    // a name twice in one object, or an attribute in two headers
	BadCharacter    Reason = "bad_character"    // NUL or half a surrogate anywhere; in a key also U+FFFD, control and invisible characters, white space at an end
	KeyCase         Reason = "key_case"         // a known name in another case
	BadEnvelope     Reason = "bad_envelope"     // not a CloudEvents 1.0 event with JSON data
	UnknownType     Reason = "unknown_type"     // a type that the contract doesn't have
	SubjectMismatch Reason = "subject_mismatch" // published on a subject that isn't its type's
	BadTenant       Reason = "bad_tenant"       // not [a-z0-9-]{1,63}
	MissingField    Reason = "missing_field"    // absent, null or empty where it is required
	WrongType       Reason = "wrong_type"       // another JSON type than the contract's
	KeyTooLong      Reason = "key_too_long"     // a key longer than MaxKey bytes
	TextTooLong     Reason = "text_too_long"    // a text that is searched by, longer than MaxText bytes
	BadMoney        Reason = "bad_money"        // money out of range, or finer than MoneyDecimals
	BadPoints       Reason = "bad_points"       // points that aren't a positive integer
	BadNumber       Reason = "bad_number"       // any other number out of its range or form
	BadTime         Reason = "bad_time"         // no RFC 3339 time with a zone, or outside the sane window
	ReadOnly        Reason = "read_only"        // what the vendor keeps itself, or takes by another event
)

// Reasons lists every reason of the contract.
func Reasons() []Reason {
	return []Reason{
		TooLarge, NotUTF8, NotJSON, TooDeep, DuplicateKey, BadCharacter, KeyCase,
		BadEnvelope, UnknownType, SubjectMismatch, BadTenant, MissingField, WrongType,
		KeyTooLong, TextTooLong, BadMoney, BadPoints, BadNumber, BadTime, ReadOnly,
	}
}

// Reject is one thing the contract refuses in an event. It quotes no member,
// order number or text of the event, only short literals such as an amount.
type Reject struct {
	Reason Reason
	Field  string // "data.dealLines[0].qty"; empty where it is the event as a whole
	Detail string // what was found and what to do
}

func (r *Reject) Error() string {
	if r.Field == "" {
		return string(r.Reason) + ": " + r.Detail
	}
	return string(r.Reason) + ": " + r.Field + ": " + r.Detail
}

// maxProblems bounds what Check collects for one event.
const maxProblems = 100

// maxQuoted is how many bytes of an event a detail or a field's name quotes.
const maxQuoted = 48

// quote shows a short literal of the event in a detail.
func quote(s string) string { return strconv.Quote(shorten(s)) }

func shorten(s string) string {
	if len(s) > maxQuoted {
		end := maxQuoted
		for !utf8.RuneStart(s[end]) {
			end--
		}
		s = s[:end] + "…"
	}
	return strings.Map(func(r rune) rune {
		if invisible(r) || r == 0 {
			return utf8.RuneError
		}
		return r
	}, s)
}
