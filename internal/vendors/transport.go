package vendors

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// headerLimit is how many bytes of reply headers are read.
const headerLimit = 64 << 10

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
type Transport struct {
	base    *url.URL
	timeout time.Duration
	http    *http.Transport
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
	dialer := &net.Dialer{Timeout: c.Timeout}
	secure := &tls.Dialer{NetDialer: dialer, Config: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: c.RootCAs}}
	idle := max(c.MaxInFlight, 1)
	return &Transport{base: base, timeout: c.Timeout, http: &http.Transport{
		DialContext:            gated(dialer.DialContext),
		DialTLSContext:         gated(secure.DialContext),
		MaxIdleConns:           idle,
		MaxIdleConnsPerHost:    idle,
		IdleConnTimeout:        90 * time.Second,
		MaxResponseHeaderBytes: headerLimit,
		DisableCompression:     true,
	}}, nil
}

// Close drops the idle connections.
func (t *Transport) Close() { t.http.CloseIdleConnections() }

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
// A write that finds its kept connection closed before a byte left is tried once
// more on another one: nothing was sent, so nothing can happen twice.
func (t *Transport) Do(ctx context.Context, req Request) Exchange {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	until, _ := ctx.Deadline()
	start := time.Now()
	var x Exchange
	for range 2 {
		f := &flight{maySend: req.MaySend, until: until, body: len(req.Body)}
		x = t.try(ctx, req, f)
		x.Sent = f.land()
		x.Withheld = f.refused != nil
		if x.Err == nil || x.Sent || !f.reused || x.Withheld || ctx.Err() != nil {
			break
		}
	}
	x.StartedAt, x.Duration = start, time.Since(start)
	if errors.Is(x.Err, context.DeadlineExceeded) {
		x.Err = fmt.Errorf("no whole reply in time (timeout %s)", t.timeout)
	}
	return x
}

func (t *Transport) try(ctx context.Context, req Request, f *flight) (x Exchange) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	f.stop = cancel
	hreq, err := t.request(f.watch(ctx), req)
	if err != nil {
		x.Err = err
		return x
	}
	// RoundTrip and not a Client: a Client would follow redirects, and puts the
	// URL with its token into errors.
	resp, err := t.http.RoundTrip(hreq)
	if err != nil {
		x.Err = f.reason(err)
		return x
	}
	defer resp.Body.Close()
	x.Status, x.Header = resp.StatusCode, resp.Header
	x.Body, x.Err = readReply(resp.Body)
	return x
}

func (t *Transport) request(ctx context.Context, req Request) (*http.Request, error) {
	path, err := url.PathUnescape(req.Path)
	if err != nil {
		return nil, fmt.Errorf("building the request: path %q isn't escaped", req.Path)
	}
	target := *t.base
	target.Path, target.RawPath = t.base.Path+path, t.base.EscapedPath()+req.Path
	query := url.Values{}
	for _, values := range []url.Values{req.Query, req.Secret} {
		for k, v := range values {
			query[k] = v
		}
	}
	target.RawQuery = query.Encode()
	hreq, err := http.NewRequestWithContext(ctx, req.Method, "http://placeholder", bytes.NewReader(req.Body))
	if err != nil {
		return nil, fmt.Errorf("building the request: method %q isn't valid", req.Method)
	}
	// Without GetBody, net/http can't send a write again.
	hreq.URL, hreq.Host, hreq.GetBody = &target, target.Host, nil
	if len(req.Body) == 0 {
		hreq.Body = nil
	} else {
		hreq.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	hreq.Header.Set("Accept", "application/json")
	hreq.Header.Set("User-Agent", "syncworker")
	return hreq, nil
}

// readReply reads to the end, so that the connection can be used again, or to
// ReplyLimit.
func readReply(r io.Reader) ([]byte, error) {
	body, err := io.ReadAll(io.LimitReader(r, ReplyLimit+1))
	if len(body) > ReplyLimit {
		return body[:ReplyLimit], fmt.Errorf("reply larger than %d bytes", ReplyLimit)
	}
	if err != nil {
		return body, fmt.Errorf("reading the reply: %w", err)
	}
	return body, nil
}
