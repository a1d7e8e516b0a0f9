package vendors

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"syncworker/internal/failpoint"
)

// TransportConfig is what an account's HTTP connections need to know.
type TransportConfig struct {
	// BaseURL is where the vendor's paths start. Plain http is used only where
	// it says so.
	BaseURL string
	// Timeout bounds one exchange, from the dial to the last byte of the reply.
	Timeout time.Duration
	// MaxInFlight is how many connections are kept open between calls.
	MaxInFlight int
	// RootCAs are the authorities that sign the vendor's certificate; nil
	// means the system's.
	RootCAs *x509.CertPool
}

// Transport makes an account's HTTP calls, one exchange at a time: it follows no
// redirect, keeps no cookie, uses no proxy and never sends a write twice. It is
// safe for concurrent use.
//
// The connections are its own. net/http's client has two goroutines for each, and
// doesn't tell whether a byte of a request has left; what it sends and reads in
// HTTP is what its reader of replies takes.
type Transport struct {
	base    *url.URL
	host    string // as the Host header has it
	timeout time.Duration
	conns   pool
}

// NewTransport checks the base URL and prepares the connections; it dials nothing.
func NewTransport(c TransportConfig) (*Transport, error) {
	base, err := parseBaseURL(c.BaseURL)
	if err != nil {
		return nil, err
	}
	if c.Timeout <= 0 {
		return nil, fmt.Errorf("timeout: %s; give a duration above 0, such as 10s", c.Timeout)
	}
	return &Transport{
		base: base, host: base.Host, timeout: c.Timeout,
		conns: pool{dial: dialer(base, c), most: max(c.MaxInFlight, 1)},
	}, nil
}

// dialer connects to the vendor; with https, what it returns has been verified.
func dialer(base *url.URL, c TransportConfig) func(context.Context) (net.Conn, error) {
	plain := &net.Dialer{Timeout: c.Timeout}
	port := base.Port()
	if base.Scheme == "http" {
		address := net.JoinHostPort(base.Hostname(), cmp.Or(port, "80"))
		return func(ctx context.Context) (net.Conn, error) { return plain.DialContext(ctx, "tcp", address) }
	}
	secure := &tls.Dialer{NetDialer: plain, Config: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.RootCAs}}
	address := net.JoinHostPort(base.Hostname(), cmp.Or(port, "443"))
	return func(ctx context.Context) (net.Conn, error) { return secure.DialContext(ctx, "tcp", address) }
}

// Close drops the idle connections.
func (t *Transport) Close() { t.conns.close() }

func parseBaseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	switch {
	case err != nil:
		return nil, errors.New("base_url: not a URL; give one such as https://api.convertlab.com")
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, fmt.Errorf("base_url: scheme %q; give a URL that starts with https://", u.Scheme)
	case u.Host == "":
		return nil, errors.New("base_url: no host; give a URL such as https://api.convertlab.com")
	case u.User != nil, u.RawQuery != "", u.Fragment != "":
		return nil, fmt.Errorf("base_url: more than scheme, host and path; give it as %s://%s%s", u.Scheme, u.Host, u.EscapedPath())
	}
	u.Path, u.RawPath = strings.TrimSuffix(u.Path, "/"), strings.TrimSuffix(u.RawPath, "/")
	return u, nil
}

// Do makes one exchange and reports what happened; it has no other error.
//
// A write that finds its kept connection closed before a byte left is tried again
// on another one, the last time on a new one: nothing was sent, so nothing can
// happen twice.
func (t *Transport) Do(ctx context.Context, req Request) Exchange {
	start := time.Now()
	until := start.Add(t.timeout)
	if d, ok := ctx.Deadline(); ok && d.Before(until) {
		until = d
	}
	var x Exchange
	request, err := t.request(req)
	for reused := true; err == nil && reused; {
		x, reused = t.try(ctx, req, request, until)
		if x.Err == nil || x.Sent || x.Withheld || ctx.Err() != nil {
			break
		}
	}
	if err != nil {
		x.Err = err
	}
	x.StartedAt, x.Duration = start, time.Since(start)
	if errors.Is(x.Err, os.ErrDeadlineExceeded) || errors.Is(x.Err, context.DeadlineExceeded) {
		x.Err = fmt.Errorf("no whole reply in time (timeout %s)", t.timeout)
		if err := context.Cause(ctx); err != nil && !errors.Is(err, context.DeadlineExceeded) {
			x.Err = err
		}
	}
	return x
}

// try makes the exchange on one connection; kept reports that it was a kept one.
func (t *Transport) try(ctx context.Context, req Request, request []byte, until time.Time) (x Exchange, kept bool) {
	dialing, cancel := context.WithDeadline(ctx, until)
	c, err := t.conns.get(dialing)
	cancel()
	if err != nil {
		x.Err = err
		return x, false
	}
	kept = c.used
	again := false
	defer func() {
		if !again {
			_ = c.Close() // what it was about is told by x
		}
	}()
	if err := c.SetDeadline(until); err != nil {
		x.Err = err
		return x, kept
	}
	// A context that ends takes the time away.
	stop := context.AfterFunc(ctx, func() { _ = c.SetDeadline(time.Unix(1, 0)) })
	x.Sent, x.Withheld, x.Err = c.send(request, len(req.Body), req.MaySend, until, failpoint.Detail(ctx))
	if x.Err == nil {
		x.Status, x.Header, x.Body, again, x.Err = c.reply(req.Method, cmp.Or(req.MaxReply, ReplyLimit))
	}
	if again = stop() && again; again {
		t.conns.put(c)
	}
	return x, kept
}

// request is the request as it goes over the wire.
func (t *Transport) request(req Request) ([]byte, error) {
	if strings.Trim(req.Method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" || req.Method == "" {
		return nil, fmt.Errorf("building the request: method %q isn't valid", req.Method)
	}
	if _, err := url.PathUnescape(req.Path); err != nil || strings.ContainsFunc(req.Path, breaksPath) {
		return nil, fmt.Errorf("building the request: path %q isn't escaped", req.Path)
	}
	b := make([]byte, 0, 512+len(req.Body))
	b = append(b, req.Method...)
	b = append(b, ' ')
	b = append(b, t.base.EscapedPath()...)
	b = append(b, req.Path...)
	separator := byte('?')
	for _, values := range [2]url.Values{req.Query, req.Secret} {
		if len(values) > 0 {
			b = append(append(b, separator), values.Encode()...)
			separator = '&'
		}
	}
	b = append(b, " HTTP/1.1\r\nHost: "...)
	b = append(b, t.host...)
	b = append(b, "\r\nAccept: application/json\r\n"...)
	agent := "syncworker"
	for _, h := range req.Headers {
		if strings.ContainsAny(h.Name, " :\r\n") || strings.ContainsAny(h.Value, "\r\n\x00") {
			return nil, fmt.Errorf("building the request: header %q isn't valid", h.Name)
		}
		if h.Name == "User-Agent" {
			agent = h.Value
			continue
		}
		b = append(append(append(append(b, h.Name...), ": "...), h.Value...), "\r\n"...)
	}
	b = append(append(append(b, "User-Agent: "...), agent...), "\r\n"...)
	if len(req.Body) > 0 {
		b = append(b, "Content-Type: application/json; charset=utf-8\r\n"...)
	}
	if len(req.Body) > 0 || req.Method == http.MethodPost {
		b = append(b, "Content-Length: "...)
		b = append(strconv.AppendInt(b, int64(len(req.Body)), 10), "\r\n"...)
	}
	return append(append(b, "\r\n"...), req.Body...), nil
}

// breaksPath tells what can't stand in the first line of a request.
func breaksPath(r rune) bool { return r <= ' ' || r >= 0x7f || r == '?' || r == '#' }
