package consumer_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"syncworker/internal/consumer"
	"syncworker/internal/devstack"
	"syncworker/internal/devstack/devtest"
	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

func TestMain(m *testing.M) { os.Exit(devtest.Run(m)) }

// side is a stream and an outbox, with a consumer between them.
type side struct {
	nats   *devstack.NATS
	dir    string
	js     jetstream.JetStream
	store  *outbox.Store
	token  outbox.Token
	db     *pgx.Conn
	config consumer.Config

	mu      sync.Mutex
	batches []outbox.Batch // as they were committed
}

func newSide(t *testing.T) *side {
	t.Helper()
	s := &side{
		dir: t.TempDir(),
		config: consumer.Config{
			Stream: "SYNC", Durable: "syncworker", AckWait: 2 * time.Second, MaxAckPending: 5000, Replicas: 1, MaxBytes: 1 << 30,
		},
	}
	url := devtest.Database(t, func(ctx context.Context, url string) error {
		_, err := outbox.Migrate(ctx, url, nil)
		return err
	})
	s.nats = devtest.NATSServer(t, devstack.NATSConfig{Dir: s.dir})
	conn, err := nats.Connect(s.nats.URL, nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	s.js, err = jetstream.New(conn)
	require.NoError(t, err)
	s.store, err = outbox.OpenForWorker(t.Context(), url, 4, 0)
	require.NoError(t, err)
	t.Cleanup(s.store.Close)
	s.token, _, err = s.store.Register(t.Context(), "test", time.Minute)
	require.NoError(t, err)
	loss, err := s.store.FindLoss(t.Context(), nil, nil)
	require.NoError(t, err)
	require.NoError(t, s.store.Vouch(t.Context(), s.token, loss.Server))
	s.db, err = pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.db.Close(context.Background()) })
	return s
}

func (s *side) new(log zerolog.Logger) *consumer.Consumer {
	enqueue := func(ctx context.Context, b outbox.Batch) (outbox.Enqueued, error) {
		out, err := s.store.Enqueue(ctx, s.token, b)
		if err == nil {
			s.mu.Lock()
			s.batches = append(s.batches, b)
			s.mu.Unlock()
		}
		return out, err
	}
	route := func(event.Type, string) []string { return []string{"a"} }
	return consumer.New(s.js, s.store, enqueue, route, s.config, log, consumer.NewMetrics(prometheus.NewRegistry()))
}

// start consumes until stop is called, which waits for the end.
func (s *side) start(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- s.new(zerolog.New(zerolog.NewTestWriter(t))).Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(t, <-done)
	})
	t.Cleanup(stop)
	return stop
}

func (s *side) ensure(t *testing.T) {
	t.Helper()
	_, err := consumer.EnsureStream(t.Context(), s.js, s.config)
	require.NoError(t, err)
}

// publish publishes cancels of orders o-FROM to o-(TO-1).
func (s *side) publish(t *testing.T, from, to int) {
	t.Helper()
	for i := from; i < to; i++ {
		s.pour(t, fmt.Sprintf(`{"specversion":"1.0","id":"e-%d","source":"pos/1","type":"order.cancelled","time":%q,"data":{"orderNo":"o-%d"}}`,
			i, time.Now().UTC().Format(time.RFC3339), i))
	}
}

func (s *side) pour(t *testing.T, data string) {
	t.Helper()
	_, err := s.js.Publish(t.Context(), "sync.events.order.cancelled", []byte(data))
	require.NoError(t, err)
}

func (s *side) count(t *testing.T, sql string) (n int) {
	t.Helper()
	require.NoError(t, s.db.QueryRow(t.Context(), sql).Scan(&n))
	return n
}

const events = `SELECT count(*) FROM outbox.events`

// consumed waits until so many events are there and nothing is left in the stream.
func (s *side) consumed(t *testing.T, want int) {
	t.Helper()
	require.Eventually(t, func() bool {
		cons, err := s.js.Consumer(t.Context(), s.config.Stream, s.config.Durable)
		if err != nil {
			return false
		}
		info := cons.CachedInfo()
		return info.NumPending == 0 && info.NumAckPending == 0 && s.count(t, events) == want
	}, 20*time.Second, 10*time.Millisecond)
}

func TestOneBadEventCostsTheOthersOfItsBatchNothing(t *testing.T) {
	s := newSide(t)
	s.ensure(t)
	s.publish(t, 0, 250)
	bad := "{\"orderNo\":\"\x00\xff"
	s.pour(t, bad)
	s.publish(t, 250, 499)
	s.start(t)
	s.consumed(t, 499)
	var payload []byte
	var reason string
	require.NoError(t, s.db.QueryRow(t.Context(), `SELECT payload, reason FROM outbox.rejects`).Scan(&payload, &reason))
	require.Equal(t, bad, string(payload))
	require.Equal(t, "not_utf8", reason)
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.batches {
		if len(b.Rejects) > 0 {
			require.Greater(t, len(b.Events), 1, "it stood in one batch with others")
		}
	}
}

func TestWhoStopsGivesBackWhatItHadReadAhead(t *testing.T) {
	s := newSide(t)
	s.ensure(t)
	s.config.AckWait = time.Minute
	s.publish(t, 0, 1500)
	began := make(chan struct{})
	stuck := func(ctx context.Context, _ outbox.Batch) (outbox.Enqueued, error) {
		select {
		case <-began:
		default:
			close(began)
		}
		<-ctx.Done()
		return outbox.Enqueued{}, ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	first := consumer.New(s.js, s.store, stuck, func(event.Type, string) []string { return nil }, s.config,
		zerolog.Nop(), consumer.NewMetrics(prometheus.NewRegistry()))
	go func() { done <- first.Run(ctx) }()
	<-began
	cancel()
	require.NoError(t, <-done)
	s.start(t)
	s.consumed(t, 1500) // long before their time would be up
}

func TestAStreamThatLostItsTailIsConsumedToTheEnd(t *testing.T) {
	for name, deleted := range map[string]bool{"with its consumer": false, "whose consumer is deleted too": true} {
		t.Run(name, func(t *testing.T) { losesItsTail(t, deleted) })
	}
}

func losesItsTail(t *testing.T, deleted bool) {
	t.Helper()
	s := newSide(t)
	s.ensure(t)
	stop := s.start(t)
	s.publish(t, 0, 50)
	s.consumed(t, 50)
	stop()
	behind := filepath.Join(t.TempDir(), "behind")
	s.nats.Shutdown()
	require.NoError(t, os.CopyFS(behind, os.DirFS(s.dir)))
	require.NoError(t, s.nats.Restart())
	s.reachable(t)
	stop = s.start(t)
	s.publish(t, 50, 80)
	s.consumed(t, 80)
	stop()
	stop = s.start(t)
	require.Eventually(t, func() bool { return s.count(t, `SELECT floor::int FROM outbox.positions`) == 80 },
		20*time.Second, 10*time.Millisecond, "its place in the stream is stored")
	stop()

	s.nats.Shutdown()
	require.NoError(t, os.RemoveAll(s.dir))
	require.NoError(t, os.CopyFS(s.dir, os.DirFS(behind)))
	require.NoError(t, s.nats.Restart())
	s.reachable(t)
	s.publish(t, 80, 120) // whose sequences are 51 to 90
	if deleted {
		require.NoError(t, s.js.DeleteConsumer(t.Context(), s.config.Stream, s.config.Durable))
	}
	s.start(t)
	s.consumed(t, 120)
	require.Zero(t, s.count(t, `SELECT count(*) FROM outbox.deliveries WHERE state <> 'pending'`), "none was lost by the database")
	require.Zero(t, s.count(t, `SELECT count(*) FROM outbox.conflicts`))
}

func (s *side) reachable(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool { _, err := s.js.Stream(t.Context(), s.config.Stream); return err == nil },
		20*time.Second, 10*time.Millisecond)
}
