package witness

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"syncworker/internal/devstack"
	"syncworker/internal/devstack/devtest"
	"syncworker/internal/outbox"
)

type marks = map[outbox.Token]outbox.Mark

// begin runs a witness on a server until the test ends.
func begin(t *testing.T, server *devstack.NATS, stream string) *Witness {
	t.Helper()
	conn, err := nats.Connect(server.URL, nats.MaxReconnects(-1), nats.ReconnectWait(10*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	w := New(js, stream, "syncworker", 1, zerolog.Nop())
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	go func() { defer close(done); w.Run(ctx) }()
	t.Cleanup(func() { stop(); <-done })
	return w
}

func (w *Witness) knows(t *testing.T, want marks) {
	t.Helper()
	require.Eventually(t, func() bool {
		known, err := w.Known(t.Context())
		return err == nil && len(known) == len(want) && func() bool {
			for token, mark := range want {
				if known[token] != mark {
					return false
				}
			}
			return true
		}()
	}, 10*time.Second, 10*time.Millisecond, "%v", want)
}

func TestWhatOneWorkerNotesAnotherKnows(t *testing.T) {
	server := devtest.NATSServer(t, devstack.NATSConfig{})
	one, other := begin(t, server, "SYNC"), begin(t, server, "SYNC")
	one.knows(t, marks{})
	fresh, err := one.Begin(t.Context(), 17)
	require.NoError(t, err)
	require.True(t, fresh)
	other.knows(t, marks{17: {}})
	fresh, err = other.Begin(t.Context(), 17)
	require.NoError(t, err)
	require.False(t, fresh, "the database gave the token away twice")
	for n := range int64(1000) {
		one.Saw(17, outbox.Mark{Commits: n + 1, Decisions: 3})
	}
	other.Saw(18, outbox.Mark{Commits: 5})
	for _, w := range []*Witness{one, other} {
		w.knows(t, marks{17: {Commits: 1000, Decisions: 3}, 18: {Commits: 5}})
	}
	begin(t, server, "OTHER").knows(t, marks{})
}

func TestWhatCouldNotBeNotedIsNotedLater(t *testing.T) {
	server := devtest.NATSServer(t, devstack.NATSConfig{})
	w := begin(t, server, "SYNC")
	w.Saw(1, outbox.Mark{Commits: 1})
	w.knows(t, marks{1: {Commits: 1}})
	server.Shutdown()
	w.Saw(1, outbox.Mark{Commits: 2})
	w.Saw(2, outbox.Mark{Commits: 7})
	require.NoError(t, server.Restart())
	w.Saw(1, outbox.Mark{Commits: 3})
	w.knows(t, marks{1: {Commits: 3}, 2: {Commits: 7}})
}
