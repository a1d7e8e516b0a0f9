package main

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestALinkThatHealsKeepsNothing has a toxic end that has something to pass on to a
// client that is gone, and then a request by a new connection: it comes soon or never.
func TestALinkThatHealsKeepsNothing(t *testing.T) {
	p := newProxies()
	t.Cleanup(p.stop)
	came := make(chan string, 10)
	server, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { _ = server.Close() })
	go func() {
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close() //nolint:errcheck // the test is over
				request := make([]byte, 4)
				if _, err := io.ReadFull(c, request); err != nil {
					return
				}
				came <- string(request)
				_, _ = c.Write(make([]byte, 4<<20)) // the client may be gone
			}()
		}
	}()
	address, err := p.link("vendor", server.Addr().String())
	require.NoError(t, err)
	ask := func(request string) net.Conn {
		c, err := net.Dial("tcp", address)
		if err != nil {
			return nil
		}
		_, _ = c.Write([]byte(request)) // a link that is cut takes none
		return c
	}

	require.NoError(t, p.poison("vendor", toxic{Name: "fault", Type: "bandwidth", Stream: "downstream", Toxicity: 1, Attributes: map[string]any{"rate": 20}}))
	for range 4 {
		c := ask("slow")
		require.Equal(t, "slow", <-came)
		require.NoError(t, c.(*net.TCPConn).SetLinger(0))
		require.NoError(t, c.Close())
	}
	healed := make(chan error, 1)
	go func() { healed <- p.heal("vendor") }()
	var asked time.Time
	for waiting := true; waiting; {
		asked = time.Now()
		c := ask("next")
		select {
		case <-came:
			waiting = false
		case <-time.After(50 * time.Millisecond):
		}
		if c != nil {
			_ = c.Close()
		}
	}
	require.NoError(t, <-healed)
	require.Less(t, time.Since(asked), time.Second)
	select {
	case late := <-came:
		require.Failf(t, "a request was kept", "%q came by a connection that was over", late)
	case <-time.After(100 * time.Millisecond):
	}
}
