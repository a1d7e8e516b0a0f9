package vendors

import (
	"context"
	"errors"
	"net"
	"net/http/httptrace"
	"os"
	"sync"
	"time"

	"syncworker/internal/failpoint"
)

var errLanded = errors.New("the call is over")

// flight is one request on its way to a connection. It knows whether a byte of
// it may have left, which net/http doesn't tell, and asks MaySend at the last
// moment before the first one does.
type flight struct {
	maySend func() error
	stop    context.CancelFunc
	until   time.Time // when the exchange has to be over
	body    int       // bytes of it that are still to be written, for failpoints
	about   string    // what it is, for failpoints

	mu      sync.Mutex
	conn    *gateConn // carries the request, once a byte of it may have left
	reused  bool      // the connection served another call before
	refused error     // what MaySend said
	landed  bool
}

// watch makes the flight known to the connection that the request gets.
func (f *flight) watch(ctx context.Context) context.Context {
	f.about = failpoint.Detail(ctx)
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			f.mu.Lock()
			f.reused = info.Reused
			f.mu.Unlock()
			if c, ok := info.Conn.(*gateConn); ok {
				c.board(f)
			}
		},
	})
}

// takeOff is asked before each write to a connection.
func (f *flight) takeOff(c *gateConn) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.refused != nil:
		return f.refused
	case f.landed:
		return errLanded
	case f.conn == c && time.Now().After(f.until):
		// MaySend has granted the time of one exchange. A process that froze
		// between two writes must not finish a request that others have given up.
		return os.ErrDeadlineExceeded
	case f.conn == c:
		return nil
	}
	if f.maySend != nil {
		if f.refused = f.maySend(); f.refused != nil {
			f.stop()
			return f.refused
		}
	}
	f.conn = c
	return nil
}

// turnBack takes back a takeOff whose first write moved no byte.
func (f *flight) turnBack(c *gateConn) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.conn == c {
		f.conn = nil
	}
}

// land ends the flight and reports whether a byte may have left. A write that
// net/http has left behind in a goroutine finds the gate closed.
func (f *flight) land() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.landed = true
	return f.conn != nil
}

// reason prefers what MaySend said to the cancelled context that followed.
func (f *flight) reason(err error) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.refused != nil {
		return f.refused
	}
	return err
}

// gateConn asks its flight before it writes. With TLS it stands above the
// encryption, so a handshake isn't a byte of the request.
type gateConn struct {
	net.Conn
	mu     sync.Mutex
	flight *flight
	moved  bool // a byte of this flight has left
}

func gated(dial func(ctx context.Context, network, addr string) (net.Conn, error)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := dial(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &gateConn{Conn: c}, nil
	}
}

func (c *gateConn) board(f *flight) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flight, c.moved = f, false
}

// Write implements net.Conn. net/http writes one request at a time to a
// connection, from one goroutine.
func (c *gateConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	f, moved := c.flight, c.moved
	c.mu.Unlock()
	if f == nil {
		return 0, errLanded
	}
	if err := f.takeOff(c); err != nil {
		return 0, err
	}
	n, err := f.send(c, p, !moved)
	if n == 0 && err != nil && !moved {
		f.turnBack(c)
		return n, err
	}
	c.mu.Lock()
	c.moved = true
	c.mu.Unlock()
	return n, err
}
