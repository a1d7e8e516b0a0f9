package vendors

import (
	"bytes"

	"syncworker/internal/failpoint"
)

// send writes to the connection. With failpoints it stops when half of the body
// is out, and when all of it is.
func (f *flight) send(c *gateConn, p []byte, first bool) (n int, err error) {
	if !failpoint.Enabled {
		return c.Conn.Write(p)
	}
	body := len(p)
	if first {
		if end := bytes.Index(p, []byte("\r\n\r\n")); end >= 0 {
			body -= end + len("\r\n\r\n")
		}
		if n, err = c.Conn.Write(p[:len(p)-max((body+1)/2, 1)]); err == nil {
			err = failpoint.Hit(failpoint.Sending, f.about)
		}
		if err == nil {
			err = f.takeOff(c)
		}
		if err != nil {
			return n, err
		}
	}
	rest, err := c.Conn.Write(p[n:])
	if f.body -= body; err == nil && f.body <= 0 {
		err = failpoint.Hit(failpoint.Sent, f.about)
	}
	return n + rest, err
}
