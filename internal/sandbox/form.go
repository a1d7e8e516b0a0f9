package sandbox

import (
	"bytes"
	"encoding/json"
	"strconv"
	"time"

	"github.com/shopspring/decimal"
)

// fail is why a call is refused; each dialect has its own words for it. Written as
// JSON it is a loyalty error's {"code","message"[,"point"]}.
type fail struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Point   *int64 `json:"point,omitempty"` // 409180 and 409181: the balance
	status  int    // HTTP status, where the dialect has one for it
}

func missing(field string) *fail {
	return &fail{Code: "400005", Message: "Missing field " + field + "!"}
}

func mistyped(field string, raw json.RawMessage) *fail {
	return &fail{Code: "400006", Message: "Invalid " + field + "(" + string(raw[:min(len(raw), 64)]) + ")!"}
}

var (
	errNoMember = &fail{Code: "210", Message: "没找到会员"}        // "dmhub-loyalty" §7
	errNotFound = &fail{Code: "409200", Message: "Not found"} // "dmhub-loyalty" §17
)

// form reads typed fields and remembers the first that is wrong.
type form struct {
	raw fields
	err *fail
}

func (f *form) fail(err *fail) {
	if f.err == nil {
		f.err = err
	}
}

// value returns the field's bytes, nil if it is absent or null.
func (f *form) value(name string, required bool) json.RawMessage {
	raw := f.raw[name]
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		if required {
			f.fail(missing(name))
		}
		return nil
	}
	return raw
}

// text reads a string; a required one must not be empty.
func (f *form) text(name string, required bool) string {
	raw := f.value(name, required)
	if raw == nil {
		return ""
	}
	if raw[0] != '"' {
		f.fail(mistyped(name, raw))
		return ""
	}
	v := text(raw)
	if v == "" && required {
		f.fail(missing(name))
	}
	return v
}

func (f *form) integer(name string, required bool) int64 {
	raw := f.value(name, required)
	if raw == nil {
		return 0
	}
	v, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil {
		f.fail(mistyped(name, raw))
	}
	return v
}

func (f *form) number(name string, required bool) decimal.Decimal {
	raw := f.value(name, required)
	if raw == nil {
		return decimal.Zero
	}
	v, ok := exact(raw)
	if !ok {
		f.fail(mistyped(name, raw))
	}
	return v
}

// exact reads a JSON number as a decimal. Its size is bounded: 1e999999999
// would be written out in full by the first sum.
func exact(raw json.RawMessage) (decimal.Decimal, bool) {
	if len(raw) == 0 || len(raw) > 64 || raw[0] == '"' {
		return decimal.Zero, false
	}
	v, err := decimal.NewFromString(string(raw))
	if err != nil || v.Exponent() > 30 || v.Exponent() < -64 {
		return decimal.Zero, false
	}
	return v, true
}

func (f *form) boolean(name string) bool {
	raw := f.value(name, false)
	if raw != nil && string(raw) != "true" && string(raw) != "false" {
		f.fail(mistyped(name, raw))
	}
	return string(raw) == "true"
}

// date reads a UTC time. The documents' text shows no zone, their samples show
// Z: both are taken.
func (f *form) date(name string, required bool) time.Time {
	v := f.text(name, required)
	if v == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339Nano, v)
	if err != nil {
		t, err = time.Parse("2006-01-02T15:04:05", v)
	}
	if err != nil {
		f.fail(mistyped(name, f.raw[name]))
	}
	return t.UTC()
}

// rows reads an array of objects; a required one must not be empty.
func (f *form) rows(name string, required bool) []fields {
	raw := f.value(name, required)
	if raw == nil {
		return nil
	}
	if raw[0] != '[' {
		f.fail(mistyped(name, raw))
		return nil
	}
	v := []fields{}
	for _, e := range elements(raw) {
		if e[0] != '{' {
			f.fail(mistyped(name, raw))
			return nil
		}
		v = append(v, members(e))
	}
	if len(v) == 0 && required {
		f.fail(missing(name))
	}
	return v
}

// stamp is the vendor's time format.
func stamp(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
