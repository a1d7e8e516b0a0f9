package sandbox

import (
	"bytes"
	"encoding/json"
	"strconv"
	"strings"
	"time"
)

// china is Pospal's time, which shows no zone.
var china = time.FixedZone("", 8*60*60)

const chinaStamp = "2006-01-02 15:04:05"

// signed reads the fields of a request of Pospal's, and remembers the first that is
// wrong: error 9003.
type signed struct {
	raw fields
	err *fail
}

func (f *signed) wrong(name string) {
	if f.err == nil {
		f.err = &fail{Code: "9003", Message: "参数错误: " + name}
	}
}

func (f *signed) value(name string, required bool) json.RawMessage {
	raw := f.raw[name]
	if len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		if required {
			f.wrong(name)
		}
		return nil
	}
	return raw
}

func (f *signed) text(name string, required bool) string {
	raw := f.value(name, required)
	if raw == nil {
		return ""
	}
	if raw[0] != '"' || required && len(raw) == 2 {
		f.wrong(name)
		return ""
	}
	return text(raw)
}

// uid reads a long, as a number or as a text.
func (f *signed) uid(name string, required bool) int64 {
	raw := f.value(name, required)
	if raw == nil {
		return 0
	}
	v, err := strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64)
	if err != nil {
		f.wrong(name)
	}
	return v
}

// code is 限英文或数字, at most 50 of them.
func (f *signed) code() string {
	v := f.text("code", true)
	for _, r := range v {
		if r < '0' || r > '9' && r < 'A' || r > 'Z' && r < 'a' || r > 'z' {
			f.wrong("code")
		}
	}
	if len(v) > 50 {
		f.wrong("code")
	}
	return v
}

func (f *signed) moment(name string, required bool) time.Time {
	v := f.text(name, required)
	if v == "" {
		return time.Time{}
	}
	t, err := time.ParseInLocation(chinaStamp, v, china)
	if err != nil {
		f.wrong(name)
	}
	return t
}

// chinaTime is a time as Pospal writes it, null where there is none.
func chinaTime(t time.Time) json.RawMessage {
	if t.IsZero() {
		return json.RawMessage("null")
	}
	return encode(t.In(china).Format(chinaStamp))
}
