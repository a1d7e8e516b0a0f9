package config

import (
	"errors"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

const mask = "***"

// Secret prints and encodes as "***"; string(s) is the secret itself.
type Secret string

// String keeps the secret out of logs and errors.
func (s Secret) String() string { return mask }

// GoString keeps the secret out of %#v.
func (s Secret) GoString() string { return mask }

// MarshalText keeps the secret out of JSON and YAML.
func (s Secret) MarshalText() ([]byte, error) { return []byte(mask), nil }

// URL is one connection URL, or several separated by commas, that may hold a
// password. It prints and encodes with the password masked; string(u) is the
// URL itself.
type URL string

// String is the URL with its password or token masked.
func (u URL) String() string {
	if strings.HasPrefix(string(u), "postgres") {
		return maskURL(string(u)) // commas separate hosts inside one URL
	}
	parts := strings.Split(string(u), ",")
	for i, part := range parts {
		if i > 0 && strings.Contains(part, "@") && !strings.Contains(part, "://") {
			return mask // a comma in a password
		}
		parts[i] = maskURL(part)
	}
	return strings.Join(parts, ",")
}

// GoString keeps the password out of %#v.
func (u URL) GoString() string { return strconv.Quote(u.String()) }

// MarshalText keeps the password out of JSON and YAML.
func (u URL) MarshalText() ([]byte, error) { return []byte(u.String()), nil }

func maskURL(raw string) string {
	scheme, rest, found := strings.Cut(raw, "://")
	if !found {
		if strings.ContainsAny(raw, "@=") {
			return mask
		}
		return raw
	}
	authority, tail := rest, ""
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		authority, tail = rest[:i], rest[i:]
	}
	if strings.Contains(tail, "@") {
		return scheme + "://" + mask // a / or ? in a password: what is what can't be told
	}
	if i := strings.LastIndex(authority, "@"); i >= 0 {
		user, _, hasPassword := strings.Cut(authority[:i], ":")
		switch {
		case hasPassword:
			user += ":" + mask
		case !strings.HasPrefix(scheme, "postgres"):
			user = mask // a NATS token stands where the user name would
		}
		authority = user + authority[i:]
	}
	if path, query, found := strings.Cut(tail, "?"); found {
		tail = path + "?" + maskQuery(query)
	}
	return scheme + "://" + authority + tail
}

func maskQuery(query string) string {
	pairs := strings.Split(query, "&")
	for i, pair := range pairs {
		key, _, _ := strings.Cut(pair, "=")
		name, err := url.QueryUnescape(key)
		if err != nil || strings.Contains(strings.ToLower(name), "pass") {
			pairs[i] = key + "=" + mask
		}
	}
	return strings.Join(pairs, "&")
}

// Bytes is a size; it is written as 512MiB, 10GiB or a plain number of bytes.
type Bytes int64

var sizeUnits = []struct {
	name string
	size int64
}{
	{"TiB", 1 << 40},
	{"GiB", 1 << 30},
	{"MiB", 1 << 20},
	{"KiB", 1 << 10},
	{"TB", 1e12},
	{"GB", 1e9},
	{"MB", 1e6},
	{"KB", 1e3},
	{"B", 1},
}

// String is the size in the largest binary unit that needs no fraction.
func (b Bytes) String() string {
	for _, u := range sizeUnits[:4] {
		if b != 0 && int64(b)%u.size == 0 {
			return strconv.FormatInt(int64(b)/u.size, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}

var errNotSize = errors.New("a size such as 512MiB or 10GiB")

func parseBytes(text string) (Bytes, error) {
	number, unit := text, int64(1)
	for _, u := range sizeUnits {
		if rest, found := strings.CutSuffix(text, u.name); found {
			number, unit = strings.TrimSpace(rest), u.size
			break
		}
	}
	n, err := strconv.ParseInt(number, 10, 64)
	if err != nil || n < 0 || n > math.MaxInt64/unit {
		return 0, errNotSize
	}
	return Bytes(n * unit), nil
}

var (
	wholeDays      = regexp.MustCompile(`^([0-9]{1,5})d$`)
	errNotDuration = errors.New("a duration with its unit such as 500ms, 30s, 10m, 72h or 90d")
)

func parseDuration(text string) (time.Duration, error) {
	if m := wholeDays.FindStringSubmatch(text); m != nil {
		days, _ := strconv.Atoi(m[1])
		return time.Duration(days) * 24 * time.Hour, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil {
		return 0, errNotDuration
	}
	return d, nil
}

// formatDuration is the duration without the zero units that Go adds: 72h, not 72h0m0s.
func formatDuration(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// format is a value as messages and config print show it: secrets masked.
func format(value any) string {
	switch v := value.(type) {
	case time.Duration:
		return formatDuration(v)
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return fmt.Sprint(value)
}
