package vendors

import (
	"bytes"
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// wire is a connection that keeps what is written to it.
type wire struct {
	net.Conn
	sent bytes.Buffer
}

func (w *wire) Write(p []byte) (int, error) { return w.sent.Write(p) }

func TestAWriterThatFrozeHalfWaySendsNoMoreOnceItsTimeIsOver(t *testing.T) {
	var w wire
	c, f := &gateConn{Conn: &w}, &flight{until: time.Now().Add(time.Hour)}
	c.board(f)
	_, err := c.Write([]byte("half, "))
	require.NoError(t, err)
	_, err = c.Write([]byte("more, "))
	require.NoError(t, err)
	f.until = time.Now().Add(-time.Millisecond)
	_, err = c.Write([]byte("the rest"))
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Equal(t, "half, more, ", w.sent.String())
	require.True(t, f.land(), "what has left may have been understood")
}
