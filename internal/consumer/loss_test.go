package consumer_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"syncworker/internal/outbox"
)

// loses puts the database back to where it had nothing, as a restore does, and has
// that noticed, as a worker does that begins.
func (s *side) loses(t *testing.T) {
	t.Helper()
	for _, sql := range []string{
		`DELETE FROM outbox.deliveries`, `DELETE FROM outbox.events`, `DELETE FROM outbox.identities`, `DELETE FROM outbox.lanes`,
		`UPDATE outbox.positions SET floor = 0, floor_time = NULL, server_started = 'epoch'`,
	} {
		_, err := s.db.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	loss, err := s.store.FindLoss(t.Context(), map[outbox.Token]outbox.Mark{s.token: {Commits: 1}}, nil)
	require.NoError(t, err)
	require.True(t, loss.Any())
}

// fetches takes messages as a worker that dies before it acknowledges them.
func (s *side) fetches(t *testing.T, n int) jetstream.Consumer {
	t.Helper()
	cons, err := s.js.CreateOrUpdateConsumer(t.Context(), s.config.Stream, jetstream.ConsumerConfig{
		Durable: s.config.Durable, AckPolicy: jetstream.AckExplicitPolicy, AckWait: s.config.AckWait, MaxDeliver: -1,
		MaxAckPending: s.config.MaxAckPending, DeliverPolicy: jetstream.DeliverAllPolicy,
	})
	require.NoError(t, err)
	b, err := cons.Fetch(n)
	require.NoError(t, err)
	for range b.Messages() {
	}
	return cons
}

func TestWhatWasAcknowledgedAboveTheFloorIsReadAgain(t *testing.T) {
	s := newSide(t)
	s.config.AckWait = 4 * time.Second
	s.ensure(t)
	s.publish(t, 0, 1)
	cons := s.fetches(t, 1)
	s.publish(t, 1, 50)
	stop := s.start(t)
	require.Eventually(t, func() bool {
		i, err := cons.Info(t.Context())
		return err == nil && i.NumAckPending == 1 && s.count(t, events) == 49
	}, 10*time.Second, 10*time.Millisecond)
	stop()
	s.loses(t)
	s.start(t)
	require.Eventually(t, func() bool {
		i, err := cons.Info(t.Context())
		return err == nil && i.AckFloor.Stream == 50
	}, 30*time.Second, 10*time.Millisecond)
	require.Equal(t, 50, s.count(t, events))
}

func TestWhatWasSentAndNotAcknowledgedIsUnknownAfterALoss(t *testing.T) {
	s := newSide(t)
	s.ensure(t)
	s.publish(t, 0, 10)
	stop := s.start(t)
	s.consumed(t, 10)
	stop()
	s.publish(t, 10, 20)
	s.fetches(t, 10) // committed and sent by a worker whose acks got lost
	s.loses(t)
	s.start(t)
	s.consumed(t, 20)
	require.Equal(t, 20, s.count(t, `SELECT count(*) FROM outbox.deliveries WHERE state = 'unknown'`))
}
