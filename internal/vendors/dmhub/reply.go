package dmhub

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"syncworker/internal/vendors"
)

type kind int

const (
	unread       kind = iota // not JSON, or JSON of an unknown shape
	gatewayError             // {"error_code":…,"error_description":…}: the API never saw the call
	apiError                 // {"error":{"code":…,"message":…}}
	object                   // an object that is no error
	list                     // an array
	null                     // the JSON value null
)

// reply is what the body of a reply says, whatever its status.
type reply struct {
	kind          kind
	ok            bool // an object, an array or null, with a status of success: it may be a positive match
	code, message string
	fields        map[string]json.RawMessage // of an object, by exact name
	rows          []json.RawMessage          // of an array
	secrets       []string                   // of the call: not in what is shown of fields
}

// shown are rows of the reply as people may see them.
func (rep reply) shown(rows []json.RawMessage) []json.RawMessage {
	clean := make([]json.RawMessage, len(rows))
	for i, row := range rows {
		clean[i] = vendors.Redact(row, rep.secrets...)
	}
	return clean
}

// readReply reads both of DM Hub's error envelopes and plain objects. Codes come
// as a string, a number or empty.
func readReply(status int, body []byte) reply {
	var rep reply
	success := status == http.StatusOK || status == http.StatusCreated
	if string(bytes.TrimSpace(body)) == "null" {
		return reply{kind: null, ok: success, message: fmt.Sprintf("HTTP %d with an empty reply", status)}
	}
	// A map, since a struct would take "Code" for "code".
	if rep.fields = vendors.Fields(body); rep.fields == nil {
		rep.message = fmt.Sprintf("HTTP %d with a reply that isn't a JSON object", status)
		if rows, isList := rowsOf(body); isList {
			rep.kind, rep.ok, rep.rows = list, success, rows
		}
		return rep
	}
	if code := rep.fields["error_code"]; vendors.Given(code) && vendors.Text(code) != "0" {
		if rep.code, rep.message = vendors.Text(code), vendors.Text(rep.fields["error_description"]); rep.code != "" {
			rep.kind = gatewayError
		}
		return rep
	}
	if failure := rep.fields["error"]; vendors.Given(failure) {
		e := vendors.Fields(failure)
		if e == nil {
			rep.message = vendors.Text(failure)
			return rep
		}
		rep.kind, rep.code, rep.message = apiError, vendors.Text(e["code"]), vendors.Text(e["message"])
		if balance := vendors.Text(e["point"]); balance != "" {
			rep.message += " (balance " + balance + ")"
		}
		return rep
	}
	if rep.kind, rep.ok = object, success; !success {
		rep.message = fmt.Sprintf("HTTP %d with a reply of an unknown shape", status)
	}
	return rep
}

// classify looks at the body before the status. What it can't tell, a positive
// match among them, is Ambiguous.
func classify(status int, rep reply) vendors.Class {
	switch {
	case rep.kind == apiError && refusal(rep.code):
		return vendors.Refused
	case rep.kind == apiError && rep.code == "500000":
		return vendors.Ambiguous
	case status == http.StatusTooManyRequests:
		return vendors.Throttled
	case status == http.StatusBadGateway, status == http.StatusServiceUnavailable, status == http.StatusGatewayTimeout:
		// Whatever stands in the body, the API may have been asked.
		return vendors.Ambiguous
	case rep.kind == gatewayError, status == http.StatusUnauthorized, status == http.StatusForbidden:
		return vendors.Denied
	}
	return vendors.Ambiguous
}

// refusal says whether the documents have the code as a definite business error.
func refusal(code string) bool {
	switch code {
	case "100", "400001", "400005", "400006", // a field is missing or invalid
		"210", "212", "220", "221", "222", "409224", "409225", // members and identities
		"409000", "409180", "409181", "409200": // business, points, not found
		return true
	}
	return false
}

// early: an increment that the member's points wait for may be on its way.
func early(code string) bool { return code == "409180" || code == "409181" }

// answers says whether an error is the one that a setting describes: "CODE", or
// "CODE words that the message has".
func answers(setting string, rep reply) bool {
	words := strings.Fields(strings.ToLower(setting))
	if len(words) == 0 || rep.kind != apiError || !strings.EqualFold(rep.code, words[0]) {
		return false
	}
	message := strings.ToLower(rep.message)
	for _, w := range words[1:] {
		if !strings.Contains(message, w) {
			return false
		}
	}
	return true
}
