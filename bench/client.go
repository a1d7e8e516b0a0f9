package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// client calls the vendor as cheaply as net/http can: connections and buffers
// are used again, headers and URLs aren't built anew.
type client struct {
	transport *http.Transport
	base      url.URL // with the token
	header    http.Header
	slots     chan struct{}
	buffers   sync.Pool
}

// reply is how a call ended.
type reply struct {
	Delivered bool
	Text      string // its beginning
	Started   time.Time
	Took      time.Duration
}

// replyKept is how much of a reply is kept: the vendor's id, or its error.
const replyKept = 200

func newClient(ctx context.Context, vendor string, slots int) (*client, error) {
	c := &client{
		transport: &http.Transport{MaxIdleConns: slots, MaxIdleConnsPerHost: slots, DisableCompression: true},
		header:    http.Header{"Content-Type": {"application/json"}},
		slots:     make(chan struct{}, slots),
		buffers:   sync.Pool{New: func() any { return new(bytes.Buffer) }},
	}
	login := vendor + "/security/accesstoken?grant_type=client_credentials&appid=" + appID + "&secret=" + secret
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, login, nil)
	if err != nil {
		return nil, err
	}
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return nil, fmt.Errorf("asking for a token: %w", err)
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	var got struct {
		Token string `json:"access_token"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		return nil, fmt.Errorf("reading the token: %w", err)
	}
	base, err := url.Parse(vendor)
	if err != nil {
		return nil, err
	}
	c.base = *base
	c.base.RawQuery = "access_token=" + got.Token
	return c, nil
}

// post makes the call once, whatever comes of it. It waits for one of the slots.
func (c *client) post(ctx context.Context, call call) (r reply, err error) {
	c.slots <- struct{}{}
	defer func() { <-c.slots }()
	target := c.base
	target.Path = call.path
	req := (&http.Request{
		Method: http.MethodPost, URL: &target, Host: target.Host, Header: c.header, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(call.body)), ContentLength: int64(len(call.body)),
	}).WithContext(ctx)
	r.Started = time.Now()
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		return r, fmt.Errorf("posting an event: %w", err)
	}
	buffer := c.buffers.Get().(*bytes.Buffer)
	defer c.buffers.Put(buffer)
	buffer.Reset()
	_, err = buffer.ReadFrom(resp.Body)
	_ = resp.Body.Close() // it was read
	if err != nil {
		return r, fmt.Errorf("reading the reply: %w", err)
	}
	r.Took = time.Since(r.Started)
	text := buffer.Bytes()
	r.Delivered = resp.StatusCode < http.StatusMultipleChoices && !bytes.Contains(text, []byte(`"error"`))
	r.Text = string(bytes.ToValidUTF8(text[:min(len(text), replyKept)], nil))
	return r, nil
}
