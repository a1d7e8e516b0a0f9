package devstack_test

import (
	"bytes"
	"net"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"syncworker/internal/devstack"
)

func streams(t *testing.T, n *devstack.NATS) jetstream.JetStream {
	t.Helper()
	conn, err := nats.Connect(n.URL)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	return js
}

func TestNATSRestartKeepsStreamsAndURL(t *testing.T) {
	n, err := devstack.StartNATS(devstack.NATSConfig{Dir: t.TempDir(), SyncAlways: true})
	require.NoError(t, err)
	t.Cleanup(n.Shutdown)
	js := streams(t, n)
	_, err = js.CreateStream(t.Context(), jetstream.StreamConfig{
		Name: "KEPT", Subjects: []string{"kept"}, MaxBytes: 10 << 30,
	})
	require.NoError(t, err, "10 GiB, the default of our stream, fit the server's limit on any disk")
	_, err = js.Publish(t.Context(), "kept", []byte("x"))
	require.NoError(t, err)

	before := n.URL
	require.NoError(t, n.Restart())
	require.Equal(t, before, n.URL)
	stream, err := streams(t, n).Stream(t.Context(), "KEPT")
	require.NoError(t, err)
	require.EqualValues(t, 1, stream.CachedInfo().State.Msgs)

	n.Shutdown()
	n.Shutdown() // of a server that has ended does nothing
	_, err = nats.Connect(n.URL)
	require.Error(t, err)
}

func TestNATSSaysWhyItCantStart(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close() //nolint:errcheck // nothing was sent
	_, err = devstack.StartNATS(devstack.NATSConfig{Dir: t.TempDir(), Port: l.Addr().(*net.TCPAddr).Port})
	require.ErrorContains(t, err, l.Addr().String())
	require.ErrorContains(t, err, "address already in use")

	_, err = devstack.StartNATS(devstack.NATSConfig{Dir: "/dev/null/x"})
	require.ErrorContains(t, err, "/dev/null/x")
	_, err = devstack.StartNATS(devstack.NATSConfig{})
	require.ErrorContains(t, err, "no folder")
}

func TestNATSLogsWhereItIsTold(t *testing.T) {
	var out bytes.Buffer
	n, err := devstack.StartNATS(devstack.NATSConfig{Dir: t.TempDir(), Log: zerolog.New(zerolog.SyncWriter(&out))})
	require.NoError(t, err)
	n.Shutdown()
	require.Contains(t, out.String(), `"level":"debug","message":"nats: Server is ready"`)
}
