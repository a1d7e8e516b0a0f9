package sandbox

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// rest reads the fields of a request as HeyShop's framework does, and remembers
// what is wrong with the first bad one.
type rest struct {
	raw fields
	err *fail
}

func (f *rest) fail(field, message string) {
	if f.err == nil {
		f.err = &fail{Code: field, Message: message}
	}
}

func (f *rest) value(name string) json.RawMessage {
	raw := f.raw[name]
	if len(raw) == 0 {
		f.fail(name, "This field is required.")
		return nil
	}
	if bytes.Equal(raw, []byte("null")) {
		f.fail(name, "This field may not be null.")
		return nil
	}
	return raw
}

// text takes the white space off both ends.
func (f *rest) text(name string) string {
	raw := f.value(name)
	if raw == nil {
		return ""
	}
	if raw[0] != '"' {
		f.fail(name, "Not a valid string.")
		return ""
	}
	v := strings.TrimSpace(text(raw))
	if v == "" {
		f.fail(name, "This field may not be blank.")
	}
	return v
}

func (f *rest) integer(name string) int64 {
	raw := f.value(name)
	if raw == nil {
		return 0
	}
	digits := string(raw)
	if raw[0] == '"' {
		digits = text(raw)
	}
	v, err := strconv.ParseInt(digits, 10, 64)
	if err != nil {
		f.fail(name, "A valid integer is required.")
	}
	return v
}

// heyshopStamp is the shop's time, with microseconds and +08:00.
func heyshopStamp(t time.Time) string {
	return t.In(time.FixedZone("", 8*60*60)).Format("2006-01-02T15:04:05.000000-07:00")
}

// pageOf cuts a page out of all rows. What it names as next is the document's:
// another host than the caller's, and without what the caller asked for.
func pageOf[T any](c *call, path string, all []T) ([]T, map[string]any, *fail) {
	number := func(name string, missing int) (int, bool) {
		v := c.query.Get(name)
		if v == "" {
			return missing, true
		}
		n, err := strconv.Atoi(v)
		return n, err == nil && n > 0
	}
	size, ok := number("page_size", 10)
	if !ok {
		size = 10
	}
	size = min(size, c.sw.HeyShop.MaxPageSize)
	page, ok := number("page", 1)
	if !ok || page > 1 && (page-1)*size >= len(all) {
		return nil, nil, &fail{Code: "detail", Message: "Invalid page.", status: 404}
	}
	from := (page - 1) * size
	to := min(from+size, len(all))
	doc := map[string]any{"count": len(all), "next": nil, "previous": nil}
	at := func(n int) string {
		return "http://shop.heidianer.com" + path + "?" + url.Values{"page": {strconv.Itoa(n)}}.Encode()
	}
	if to < len(all) {
		doc["next"] = at(page + 1)
	}
	if page > 1 {
		doc["previous"] = at(page - 1)
	}
	return all[from:to], doc, nil
}

// customers reads the filter of the history: customer, or customer__in; all is that
// there is none.
func (c *call) customers() (ids map[int64]bool, all bool, err *fail) {
	given := c.query.Get("customer")
	if given == "" {
		given = c.query.Get("customer__in")
	}
	if given == "" {
		return nil, true, nil
	}
	ids = map[int64]bool{}
	for _, text := range strings.Split(given, ",") {
		id, bad := strconv.ParseInt(strings.TrimSpace(text), 10, 64)
		if bad != nil {
			return nil, false, &fail{Code: "customer", Message: fmt.Sprintf("Select a valid choice. %s is not one of the available choices.", text)}
		}
		ids[id] = true
	}
	return ids, false, nil
}
