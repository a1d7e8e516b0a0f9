package vendors

import (
	"syncworker/internal/failpoint"
)

// write writes the next piece of a request. With failpoints it stops when half of
// the body is out, and when all of it is.
func (c *conn) write(request []byte, out, body int, about string) (n int, err error) {
	if !failpoint.Enabled {
		return c.Conn.Write(request[out:min(out+pieceOf, len(request))])
	}
	half := len(request) - max((body+1)/2, 1)
	switch {
	case out < half:
		if n, err = c.Conn.Write(request[out:half]); err == nil {
			err = failpoint.Hit(failpoint.Sending, about)
		}
	default:
		if n, err = c.Conn.Write(request[out:]); err == nil {
			err = failpoint.Hit(failpoint.Sent, about)
		}
	}
	return n, err
}
