package vendors

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// MaxRetryAfter is the longest wait that a Retry-After header can ask for.
const MaxRetryAfter = time.Hour

// Request is one HTTP request to a vendor, with its secrets apart from the rest.
type Request struct {
	Method string
	Path   string // below the base URL, escaped, starting with a slash
	Query  url.Values
	// Secret joins the query when the request is sent and is shown nowhere: its
	// values are taken out of replies and errors too.
	Secret url.Values
	// Redact are further values, such as the account's password, that are taken
	// out of replies and errors.
	Redact []string
	// Headers are sent beside those that every request has, or in their place. The
	// values of those that are secret are shown nowhere.
	Headers []Header
	Body    []byte // JSON
	// MaxReply is how many bytes of a reply are read; 0 is ReplyLimit. A page of a
	// list may be longer than what is kept of a call.
	MaxReply int
	// Personal returns values, such as a mobile number, that must not stand in a
	// Result's Path and Message. It is asked only where there is something to show.
	Personal func() []string
	// MaySend is Call.MaySend.
	MaySend func() error
}

// Header is one header of a Request.
type Header struct {
	Name, Value string
	Secret      bool
}

// Exchange is what became of one Request.
type Exchange struct {
	Status int // 0 where no reply came
	Header http.Header
	Body   []byte // at most Request.MaxReply bytes, secrets and all
	// Sent says that a byte of the request may have left.
	Sent bool
	// Withheld says that MaySend has stopped it.
	Withheld bool
	// Err is why there is no whole reply. It names no URL.
	Err error

	StartedAt time.Time
	Duration  time.Duration
}

// Result is the exchange as evidence, without its secrets. Its class is NotSent
// or, where no whole reply came or nobody has understood it yet, Ambiguous.
func (x Exchange) Result(req Request) Result {
	r := Result{
		Class:      Ambiguous,
		Status:     x.Status,
		RetryAfter: RetryAfter(x.Header.Get("Retry-After"), x.StartedAt.Add(x.Duration)),
		Method:     req.Method,
		Path:       req.ShownPath(),
		Request:    req.Body,
		Reply:      Redact(x.Body[:min(len(x.Body), ReplyLimit)], req.secrets()...),
		StartedAt:  x.StartedAt,
		Duration:   x.Duration,
	}
	if x.Err != nil {
		r.Message = req.Clean(x.Err.Error())
		if !x.Sent {
			r.Class, r.Withheld = NotSent, x.Withheld
		}
	}
	return r
}

// ShownPath is path and query without secrets and personal values.
func (req Request) ShownPath() string {
	if len(req.Query) == 0 {
		return req.Path
	}
	personal := req.personal()
	shown := url.Values{}
	for k, values := range req.Query {
		for _, v := range values {
			if slices.Contains(personal, v) {
				v = mask
			}
			shown.Add(k, v)
		}
	}
	return req.Path + "?" + strings.ReplaceAll(shown.Encode(), url.QueryEscape(mask), mask)
}

// leastPersonal is the length in bytes from which a personal value is looked for
// in a text: shorter ones stand in any text.
const leastPersonal = 4

// Clean takes secrets and personal values out of a text that is shown.
func (req Request) Clean(text string) string {
	if text == "" {
		return ""
	}
	out := req.secrets()
	for _, p := range req.personal() {
		if len(p) >= leastPersonal {
			out = append(out, p)
		}
	}
	return string(Redact([]byte(text), out...))
}

func (req Request) personal() []string {
	if req.Personal == nil {
		return nil
	}
	return req.Personal()
}

func (req Request) secrets() []string {
	all := slices.Clone(req.Redact)
	for _, values := range req.Secret {
		all = append(all, values...)
	}
	for _, h := range req.Headers {
		if h.Secret {
			all = append(all, h.Value)
		}
	}
	return all
}

// RetryAfter reads a Retry-After header in seconds or as an HTTP date. What it
// can't read is 0; the longest answer is MaxRetryAfter.
func RetryAfter(header string, now time.Time) time.Duration {
	header = strings.TrimSpace(header)
	if header == "" {
		return 0
	}
	if strings.Trim(header, "0123456789") == "" {
		seconds, err := strconv.ParseInt(header, 10, 64)
		if err != nil || seconds > int64(MaxRetryAfter/time.Second) {
			return MaxRetryAfter
		}
		return time.Duration(seconds) * time.Second
	}
	at, err := http.ParseTime(header)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), MaxRetryAfter)
}
