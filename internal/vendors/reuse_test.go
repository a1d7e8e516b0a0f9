package vendors

import (
	"context"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// closing tells when the client closes its end.
type closing struct {
	net.Conn
	closed func()
}

func (c *closing) Close() error {
	err := c.Conn.Close()
	c.closed()
	return err
}

func TestAWriteThatFindsItsConnectionClosedTakesAnother(t *testing.T) {
	var calls atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { calls.Add(1) }))
	t.Cleanup(s.Close)
	tr, err := NewTransport(TransportConfig{BaseURL: s.URL, Timeout: 20 * time.Second})
	require.NoError(t, err)
	t.Cleanup(tr.Close)
	closed := make(chan struct{})
	closeOnce := sync.OnceFunc(func() { close(closed) })
	tr.http.DialContext = gated(func(ctx context.Context, network, addr string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, addr)
		if err != nil {
			return nil, err
		}
		return &closing{Conn: c, closed: closeOnce}, nil
	})
	req := Request{Method: http.MethodPost, Path: "/", Body: []byte("{}")}
	require.NoError(t, tr.Do(t.Context(), req).Err)

	asked := 0
	req.MaySend = func() error {
		if asked++; asked == 1 { // the kept connection goes just before the first byte
			s.CloseClientConnections()
			<-closed
		}
		return nil
	}
	x := tr.Do(t.Context(), req)
	require.NoError(t, x.Err)
	require.Equal(t, 2, asked)
	require.EqualValues(t, 2, calls.Load())
}
