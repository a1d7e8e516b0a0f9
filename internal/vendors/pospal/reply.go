package pospal

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"syncworker/internal/vendors"
)

// fields are an object's members by their names in lower case.
type fields map[string]json.RawMessage

// fieldsOf reads an object; nil where the text isn't one, or has two members whose
// names differ by case alone, so that nobody can say which one counts.
func fieldsOf(raw json.RawMessage) fields {
	var exact map[string]json.RawMessage
	if json.Unmarshal(raw, &exact) != nil || exact == nil {
		return nil
	}
	f := make(fields, len(exact))
	for name, value := range exact {
		name = strings.ToLower(name)
		if _, twice := f[name]; twice {
			return nil
		}
		f[name] = value
	}
	return f
}

// get returns the first of the spellings that is there and isn't null.
func (f fields) get(spellings []string) json.RawMessage {
	for _, name := range spellings {
		if v := f[strings.ToLower(name)]; vendors.Given(v) {
			return v
		}
	}
	return nil
}

func (f fields) text(spellings []string) string { return vendors.Text(f.get(spellings)) }

func (f fields) has(spellings []string) bool {
	for _, name := range spellings {
		if _, ok := f[strings.ToLower(name)]; ok {
			return true
		}
	}
	return false
}

// reply is what the body of a reply says, whatever its status.
type reply struct {
	failed        bool // status error
	ok            bool // status success, with an HTTP status of success
	code, message string
	all           fields
}

// readReply reads the envelope {status, messages, errorCode, data}. Errors come
// with 200; errorCode is a number, a string or null, messages a list or a text.
func readReply(status int, body []byte) reply {
	rep := reply{all: fieldsOf(body)}
	if rep.all == nil {
		rep.message = fmt.Sprintf("HTTP %d with a reply that isn't one JSON object", status)
		return rep
	}
	if rep.code = strings.TrimSpace(rep.all.text(nameErrorCode)); rep.code == "0" {
		rep.code = ""
	}
	rep.message = messages(rep.all.get(nameMessages))
	switch said := strings.ToLower(rep.all.text(nameStatus)); {
	case said == "error":
		rep.failed = true
	case said == "success" && rep.code == "":
		if rep.ok = status == http.StatusOK || status == http.StatusCreated; !rep.ok {
			rep.message = fmt.Sprintf("HTTP %d with a status of success", status)
		}
	case said == "success":
		rep.message = "a status of success with an error code: " + rep.message
	default:
		rep.message = fmt.Sprintf("HTTP %d with a reply of an unknown shape", status)
	}
	return rep
}

func messages(raw json.RawMessage) string {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		return vendors.Text(raw)
	}
	var all []string
	for _, m := range list {
		all = append(all, vendors.Text(m))
	}
	return strings.Join(all, "; ")
}

// meaning is what an error code says of the call that it answers.
type meaning struct {
	class vendors.Class
	why   string
}

// codes are those of which it is sure enough that the call had no effect. The
// vendor's own table (错误代码表) can't be read any more: these are a client's of
// 2022. Whatever isn't here is ambiguous, the code of a quota that is used up too.
var codes = map[string]meaning{
	"1031": {vendors.Denied, "no signature: turned away before it was looked at"},
	"1032": {vendors.Denied, "another signature: turned away before it was looked at"},
	"1033": {vendors.Denied, "the signature couldn't be verified: turned away before it was looked at"},
	"1034": {vendors.Denied, "no such appId: turned away before it was looked at"},
	"2015": {vendors.Refused, "not found: there is nothing that it could have changed"},
	"2016": {vendors.Refused, "no permission: the appId may not do this"},
	"3001": {vendors.Refused, "the coupon isn't valid: none was made or used"},
	"3002": {vendors.Refused, "the coupon's rule is disabled"},
	"3003": {vendors.Refused, "the rule has too few codes left"},
	"9001": {vendors.Refused, "outside the time in which this is allowed"},
	"9003": {vendors.Refused, "bad parameters: nothing was done with them"},
}

// codeExists is how addCouponcode refuses a code that the store has already.
const codeExists = "3004"

// noSuch says whether what is named isn't there: of a use, a code that may only be on
// its way.
func noSuch(code string) bool { return code == "3001" || code == "2015" }

// classify looks at the body before the HTTP status. What it doesn't know, a
// positive match among them, is Ambiguous.
func classify(status int, rep reply) vendors.Class {
	known, ok := codes[rep.code]
	switch {
	case rep.failed && ok:
		return known.class
	case status == http.StatusTooManyRequests:
		return vendors.Throttled
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return vendors.Denied
	}
	return vendors.Ambiguous
}

// understand turns an exchange into a Result. Where the reply says success, its
// class is left to the caller, who knows what was asked.
func understand(req vendors.Request, x vendors.Exchange) (vendors.Result, reply) {
	r := x.Result(req)
	if x.Err != nil {
		return r, reply{}
	}
	rep := readReply(x.Status, x.Body)
	r.Class = classify(x.Status, rep)
	message := rep.message
	if message == "" && rep.failed {
		message = codes[rep.code].why
	}
	r.Code, r.Message = vendors.Shorten(req.Clean(rep.code), 64), vendors.Shorten(req.Clean(message), 500)
	return r, rep
}
