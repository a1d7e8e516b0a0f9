package vendors

import (
	"bytes"
	"encoding/json"
	"strings"
	"time"
	"unicode"

	"syncworker/internal/event"
)

// What a person has to decide on, as Result.Hold: docs/states.md explains each.
const (
	HoldMember      = "member_not_found"
	HoldUnsupported = "unsupported"
	HoldEvent       = "invalid_event"
)

// Unsent is the result of a call that wasn't made, and why. With hold, a person has to
// decide; without it, it is tried again.
func Unsent(hold, message string) Result {
	return Result{Class: NotSent, Hold: hold, Message: message, StartedAt: time.Now()}
}

// Fields returns the members of an object by their exact names, nil where the text
// isn't one. A struct would take "Code" for "code".
func Fields(raw json.RawMessage) map[string]json.RawMessage {
	fields, ok := event.Fields(raw)
	if !ok && json.Unmarshal(raw, &fields) != nil {
		return nil
	}
	return fields
}

// Given reports whether a member is there and not null.
func Given(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// Text is a string or a number as text; empty for everything else. A number keeps
// its digits: ids are longer than a float64 holds.
func Text(raw json.RawMessage) string {
	if len(raw) == 0 {
		return ""
	}
	if raw[0] == '"' {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			return ""
		}
		return s
	}
	if raw[0] == '-' || raw[0] >= '0' && raw[0] <= '9' {
		return string(raw)
	}
	return ""
}

// Quote is a JSON string, with <, > and & as they are.
func Quote(s string) json.RawMessage {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(s) // a string into a buffer
	return bytes.TrimSpace(b.Bytes())
}

// Shorten makes a vendor's text fit to be kept: printable, and at most n runes.
func Shorten(s string, n int) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, strings.ToValidUTF8(s, "?"))
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}
