package vendors

import (
	"bytes"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"net/url"
	"slices"
	"strings"
)

// mask stands where a secret was.
const mask = "…"

// Secret is a password that no verb of fmt and no encoder shows. Convert it to a
// string where it's sent.
type Secret string

// Format implements fmt.Formatter for every verb.
func (Secret) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, mask) }

// MarshalText implements encoding.TextMarshaler, for JSON and YAML.
func (Secret) MarshalText() ([]byte, error) { return []byte(mask), nil }

// partial is how many bytes at the end of a cut reply are taken for the start of
// a secret.
const partial = 6

// Redact returns text with each of the secrets masked, in the ways a reply may
// quote it: as it is, escaped for a URL, for HTML or for JSON. The start of a
// secret at the end of the text, where a reply was cut, goes too. The text isn't
// changed in place.
func Redact(text []byte, secrets ...string) []byte {
	if len(text) == 0 {
		return text
	}
	forms := quotations(secrets)
	for _, f := range forms {
		if bytes.Contains(text, []byte(f)) {
			text = bytes.ReplaceAll(text, []byte(f), []byte(mask))
		}
	}
	for _, f := range forms {
		for n := min(len(f)-1, len(text)); n >= partial; n-- {
			if text[len(text)-1] == f[n-1] && bytes.HasSuffix(text, []byte(f[:n])) {
				return append(bytes.Clone(text[:len(text)-n]), mask...)
			}
		}
	}
	return text
}

// unreserved characters stand for themselves in URLs, HTML and JSON alike.
const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_."

// quotations lists the forms of all secrets, longest first, so that a form that
// holds another goes as a whole.
func quotations(secrets []string) []string {
	var forms []string
	for _, s := range secrets {
		if s == "" || strings.Contains(mask, s) {
			continue
		}
		if strings.Trim(s, unreserved) == "" {
			forms = append(forms, s)
			continue
		}
		quoted, _ := json.Marshal(s) // a string always has a form
		inner := string(quoted[1 : len(quoted)-1])
		forms = append(forms, s, url.QueryEscape(s), url.PathEscape(s), html.EscapeString(s),
			inner, strings.ReplaceAll(inner, "/", `\/`))
	}
	slices.SortFunc(forms, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(forms)
}
