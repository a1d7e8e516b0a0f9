package vendors

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"os"
	"sync"
	"time"
)

const (
	// headerLimit is how many bytes of reply headers are read.
	headerLimit = 64 << 10
	// idleTime is how long a connection is kept between two calls.
	idleTime = 90 * time.Second
	// pieceOf a request is what leaves between two looks at the clock.
	pieceOf = 16 << 10
)

// conn is one connection to the vendor. It carries one exchange at a time, in the
// goroutine that makes it: whether a byte of a request has left is a fact that the
// writer has, and nobody writes after it has given up.
type conn struct {
	net.Conn
	replies *bufio.Reader
	left    int64 // bytes that may still be read before a reply's body begins
	used    bool  // it has served a call
	timer   *time.Timer
}

// Read implements io.Reader for replies: headers have a limit.
func (c *conn) Read(p []byte) (int, error) {
	if c.left <= 0 {
		return 0, io.ErrUnexpectedEOF
	}
	n, err := c.Conn.Read(p[:min(int64(len(p)), c.left)])
	c.left -= int64(n)
	return n, err
}

// errOver is a kept connection that the vendor has closed meanwhile.
var errOver = errors.New("the vendor has closed the connection")

// send writes a request, and asks maySend right before its first byte. sent
// reports whether a byte may have left.
func (c *conn) send(request []byte, body int, maySend func() error, until time.Time, about string) (sent, withheld bool, err error) {
	if maySend != nil {
		if err := maySend(); err != nil {
			return false, true, err
		}
	}
	if c.used && !quiet(c.Conn) {
		return false, false, errOver
	}
	for out := 0; out < len(request); {
		// maySend has granted the time of one exchange. A process that froze between
		// two writes must not finish a request that others have given up.
		if time.Now().After(until) {
			return out > 0, false, os.ErrDeadlineExceeded
		}
		piece, err := c.write(request, out, body, about)
		out += piece
		if err != nil {
			return out > 0, false, err
		}
	}
	return true, false, nil
}

// reply reads the reply to a request, at most limit bytes of its body. again reports
// whether the connection can carry another one.
func (c *conn) reply(method string, limit int) (status int, header http.Header, body []byte, again bool, err error) {
	request := &http.Request{Method: method}
	for {
		c.left = headerLimit
		resp, err := http.ReadResponse(c.replies, request)
		if err != nil {
			if c.left <= 0 {
				err = fmt.Errorf("headers larger than %d bytes", headerLimit)
			}
			return 0, nil, nil, false, fmt.Errorf("reading the reply: %w", orNoReply(err))
		}
		if resp.StatusCode < 200 && resp.StatusCode != http.StatusSwitchingProtocols {
			continue // the final one follows
		}
		c.left = math.MaxInt64 // the body has a limit of its own
		body, err = readBody(resp, limit)
		again = err == nil && !resp.Close && c.replies.Buffered() == 0 && resp.StatusCode >= 200 && c.silent()
		return resp.StatusCode, resp.Header, body, again, err
	}
}

// silent reports whether nothing follows a reply that is already here. Over TLS it
// may be where neither our buffer nor the socket shows it: taken for the answer to
// the next call, it would be another's.
func (c *conn) silent() bool {
	if _, secure := c.Conn.(*tls.Conn); !secure {
		return true // quiet sees it before the next call
	}
	if c.SetReadDeadline(time.Unix(1, 0)) != nil {
		return false
	}
	_, err := c.replies.Peek(1)
	return errors.Is(err, os.ErrDeadlineExceeded)
}

// orNoReply words what net/http says of a connection that ended without a reply.
func orNoReply(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		return errors.New("the connection ended before a whole reply")
	}
	return err
}

// readBody reads to the end, so that the connection can be used again, or to the
// limit.
func readBody(resp *http.Response, limit int) ([]byte, error) {
	if resp.ContentLength > int64(limit) {
		return nil, fmt.Errorf("reply larger than %d bytes", limit)
	}
	if resp.ContentLength > 0 {
		body := make([]byte, resp.ContentLength)
		n, err := io.ReadFull(resp.Body, body)
		if err != nil {
			return body[:n], fmt.Errorf("reading the reply: %w", orNoReply(err))
		}
		return body, nil
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, int64(limit)+1))
	if len(body) > limit {
		return body[:limit], fmt.Errorf("reply larger than %d bytes", limit)
	}
	if err != nil {
		return body, fmt.Errorf("reading the reply: %w", orNoReply(err))
	}
	return body, nil
}

// pool keeps the connections of an account between calls, the last one used on top.
type pool struct {
	dial func(context.Context) (net.Conn, error)
	most int

	mu     sync.Mutex
	idle   []*conn
	closed bool
}

// get returns a kept connection, or a new one.
func (p *pool) get(ctx context.Context) (*conn, error) {
	if c := p.take(); c != nil {
		return c, nil
	}
	raw, err := p.dial(ctx)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: raw}
	c.replies = bufio.NewReader(c)
	return c, nil
}

func (p *pool) take() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle = p.idle[:n-1]
	c.timer.Stop()
	return c
}

// put keeps a connection for the next call.
func (p *pool) put(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || len(p.idle) >= p.most {
		_ = c.Close() // nothing is on its way in it
		return
	}
	c.used = true
	if c.timer == nil {
		c.timer = time.AfterFunc(idleTime, func() { p.drop(c) })
	} else {
		c.timer.Reset(idleTime)
	}
	p.idle = append(p.idle, c)
}

// drop closes a connection that has been idle for long, unless it was just taken.
func (p *pool) drop(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, x := range p.idle {
		if x == c {
			p.idle = append(p.idle[:i], p.idle[i+1:]...)
			_ = c.Close() // nothing is on its way in it
			return
		}
	}
}

// close closes what is idle; what is in use is closed when it comes back.
func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, c := range p.idle {
		c.timer.Stop()
		_ = c.Close() // nothing is on its way in it
	}
	p.idle = nil
}
