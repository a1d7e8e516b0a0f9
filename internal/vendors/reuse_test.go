package vendors

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestAWriteThatFindsItsConnectionClosedTakesAnother(t *testing.T) {
	var calls atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	t.Cleanup(s.Close)
	tr, err := NewTransport(TransportConfig{BaseURL: s.URL, Timeout: 20 * time.Second})
	require.NoError(t, err)
	t.Cleanup(tr.Close)
	var first net.Conn
	dial := tr.conns.dial
	tr.conns.dial = func(ctx context.Context) (net.Conn, error) {
		c, err := dial(ctx)
		if first == nil {
			first = c
		}
		return c, err
	}
	req := Request{Method: http.MethodPost, Path: "/", Body: []byte("{}")}
	require.NoError(t, tr.Do(t.Context(), req).Err)

	asked := 0
	req.MaySend = func() error {
		if asked++; asked == 1 { // the kept connection goes just before the first byte
			s.CloseClientConnections()
			for quiet(first) {
				runtime.Gosched()
			}
		}
		return nil
	}
	x := tr.Do(t.Context(), req)
	require.NoError(t, x.Err)
	require.Equal(t, 2, asked)
	require.EqualValues(t, 2, calls.Load())
}

// wire is a connection that keeps what is written to it, and freezes then.
type wire struct {
	net.Conn
	sent  bytes.Buffer
	until time.Time
}

func (w *wire) Write(p []byte) (int, error) {
	for time.Now().Before(w.until) {
		runtime.Gosched()
	}
	return w.sent.Write(p)
}

func TestAWriterThatFrozeSendsNoMoreOnceItsTimeIsOver(t *testing.T) {
	w := wire{until: time.Now().Add(20 * time.Millisecond)}
	c := &conn{Conn: &w}
	request := make([]byte, 3*pieceOf)
	sent, _, err := c.send(request, len(request)-100, nil, w.until, "")
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Equal(t, pieceOf, w.sent.Len())
	require.True(t, sent, "what has left may have been understood")

	sent, _, err = c.send(request, len(request)-100, nil, w.until, "")
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Equal(t, pieceOf, w.sent.Len())
	require.False(t, sent)
}

// corked writes to a connection what is gathered, at once.
type corked struct {
	net.Conn
	gathered bytes.Buffer
	cork     bool
}

func (c *corked) Write(p []byte) (int, error) {
	if c.cork {
		return c.gathered.Write(p)
	}
	return c.Conn.Write(p)
}

func (c *corked) uncork() error {
	c.cork = false
	_, err := c.gathered.WriteTo(c.Conn)
	return err
}

func TestAReplyThatNobodyAskedForIsNoAnswer(t *testing.T) {
	s := httptest.NewUnstartedServer(nil)
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var serving sync.WaitGroup
	serving.Go(func() {
		for n := 1; ; n++ {
			raw, err := l.Accept()
			if err != nil {
				return
			}
			c := &corked{Conn: raw}
			secure := tls.Server(c, &tls.Config{Certificates: s.TLS.Certificates})
			serving.Go(func() {
				defer raw.Close() //nolint:errcheck // the other side looks
				requests := bufio.NewReader(secure)
				for {
					req, err := http.ReadRequest(requests)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					c.cork = true
					for _, reply := range []string{fmt.Sprint(n), "stray"} { // a record each, together in one packet
						_, _ = fmt.Fprintf(secure, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(reply), reply)
					}
					if c.uncork() != nil {
						return
					}
				}
			})
		}
	})
	tr, err := NewTransport(TransportConfig{BaseURL: "https://" + l.Addr().String(), Timeout: 20 * time.Second, RootCAs: roots})
	require.NoError(t, err)
	t.Cleanup(func() {
		tr.Close()
		require.NoError(t, l.Close())
		serving.Wait()
	})
	for _, want := range []string{"1", "2", "3"} {
		x := tr.Do(t.Context(), Request{Method: http.MethodPost, Path: "/", Body: []byte("{}")})
		require.NoError(t, x.Err)
		require.Equal(t, want, string(x.Body), "each on a connection of its own")
	}
}

func TestARepliesEndIsFoundWhereItIs(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	for name, c := range map[string]struct {
		reply string
		close bool // the server closes after it
		body  string
		err   string
		conns int // that two calls take
	}{
		"a length":           {reply: ok + "Content-Length: 2\r\n\r\n{}", body: "{}", conns: 1},
		"chunks":             {reply: ok + "Transfer-Encoding: chunked\r\n\r\n1\r\n{\r\n1\r\n}\r\n0\r\n\r\n", body: "{}", conns: 1},
		"the connection's":   {reply: ok + "\r\n{}", close: true, body: "{}", conns: 2},
		"it says that it is": {reply: ok + "Connection: close\r\nContent-Length: 2\r\n\r\n{}", body: "{}", conns: 2},
		"an old server":      {reply: "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", body: "{}", conns: 2},
		"a word before":      {reply: "HTTP/1.1 100 Continue\r\n\r\n" + ok + "Content-Length: 2\r\n\r\n{}", body: "{}", conns: 1},
		"no body":            {reply: "HTTP/1.1 204 No Content\r\n\r\n", conns: 1},
		"more than a reply":  {reply: ok + "Content-Length: 2\r\n\r\n{}HTTP/1.1 200 OK\r\n", body: "{}", conns: 2},
		"too short":          {reply: ok + "Content-Length: 3\r\n\r\n{}", close: true, body: "{}", err: "before a whole reply", conns: 2},
		"nothing":            {close: true, err: "before a whole reply", conns: 2},
		"no HTTP":            {reply: "hello\r\n\r\n", err: "malformed HTTP", conns: 2},
		"endless headers":    {reply: ok + strings.Repeat("A: b\r\n", headerLimit/6+1), err: "headers larger than", conns: 2},
		"a large body":       {reply: ok + "Content-Length: 99999999\r\n\r\n", err: "larger than", conns: 2},
		"large chunks": {
			reply: ok + "Transfer-Encoding: chunked\r\n\r\n200000\r\n" + strings.Repeat("x", 0x200000) + "\r\n0\r\n\r\n",
			body:  strings.Repeat("x", ReplyLimit), err: "larger than", conns: 2,
		},
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			require.NoError(t, err)
			var conns atomic.Int32
			var serving sync.WaitGroup
			serve := func(conn net.Conn) {
				defer conn.Close() //nolint:errcheck // the other side looks
				requests := bufio.NewReader(conn)
				for {
					req, err := http.ReadRequest(requests)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, req.Body)
					if _, err := io.WriteString(conn, c.reply); err != nil || c.close {
						return
					}
				}
			}
			serving.Go(func() {
				for {
					conn, err := l.Accept()
					if err != nil {
						return
					}
					conns.Add(1)
					serving.Go(func() { serve(conn) })
				}
			})
			tr, err := NewTransport(TransportConfig{BaseURL: "http://" + l.Addr().String(), Timeout: 20 * time.Second})
			require.NoError(t, err)
			t.Cleanup(func() {
				tr.Close()
				require.NoError(t, l.Close())
				serving.Wait()
			})
			for range 2 {
				x := tr.Do(t.Context(), Request{Method: http.MethodPost, Path: "/", Body: []byte("{}")})
				require.True(t, x.Sent)
				require.Equal(t, c.body, string(x.Body))
				if c.err == "" {
					require.NoError(t, x.Err)
				} else {
					require.ErrorContains(t, x.Err, c.err)
				}
			}
			require.EqualValues(t, c.conns, conns.Load())
		})
	}
}
