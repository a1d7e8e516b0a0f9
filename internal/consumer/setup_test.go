package consumer_test

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"syncworker/internal/consumer"
)

func TestWhatLosesThePromiseEndsTheWorkerWithWhatToDo(t *testing.T) {
	remove := "delete it (nats consumer rm SYNC syncworker) and start again: the worker makes it anew and recognizes what it has seen"
	stream := jetstream.StreamConfig{Name: "SYNC", Subjects: []string{consumer.Subjects}}
	theirs := func(change func(*jetstream.ConsumerConfig)) *jetstream.ConsumerConfig {
		c := &jetstream.ConsumerConfig{Durable: "syncworker", AckPolicy: jetstream.AckExplicitPolicy}
		change(c)
		return c
	}
	for name, tt := range map[string]struct {
		stream   jetstream.StreamConfig
		consumer *jetstream.ConsumerConfig
		want     string
	}{
		"a stream without our subject": {
			jetstream.StreamConfig{Name: "SYNC", Subjects: []string{"sync.events.order.*"}},
			nil,
			"stream SYNC collects [sync.events.order.*] and not sync.events.>; " +
				"add it (nats stream edit SYNC --subjects 'sync.events.>') or name another stream in nats.stream",
		},
		"no acknowledgement": {
			stream, theirs(func(c *jetstream.ConsumerConfig) { c.AckPolicy = jetstream.AckNonePolicy }),
			"consumer syncworker of stream SYNC: its ack policy is AckNone, and only AckExplicit loses no event; " + remove,
		},
		"acknowledging one acknowledges all before it": {
			stream, theirs(func(c *jetstream.ConsumerConfig) { c.AckPolicy = jetstream.AckAllPolicy }),
			"consumer syncworker of stream SYNC: its ack policy is AckAll, and only AckExplicit loses no event; " + remove,
		},
		"a filter": {
			stream, theirs(func(c *jetstream.ConsumerConfig) { c.FilterSubject = "sync.events.order.created" }),
			"consumer syncworker of stream SYNC: it takes only sync.events.order.created of the stream's subjects; " + remove,
		},
		"several filters": {
			stream, theirs(func(c *jetstream.ConsumerConfig) {
				c.FilterSubjects = []string{"sync.events.order.created", "sync.events.order.deleted"}
			}),
			"consumer syncworker of stream SYNC: it takes only sync.events.order.created, sync.events.order.deleted of the stream's subjects; " + remove,
		},
		"a last delivery": {
			stream, theirs(func(c *jetstream.ConsumerConfig) { c.MaxDeliver = 5 }),
			"consumer syncworker of stream SYNC: it gives up on a message after 5 deliveries, and an outage would lose events; " + remove,
		},
		"headers only": {
			stream, theirs(func(c *jetstream.ConsumerConfig) { c.HeadersOnly = true }),
			"consumer syncworker of stream SYNC: it delivers headers without the events; " + remove,
		},
		"a push consumer": {
			stream, theirs(func(c *jetstream.ConsumerConfig) { c.DeliverSubject = "somewhere" }),
			"consumer syncworker of stream SYNC: it pushes, and the worker pulls; " + remove,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSide(t) // of its own: a server that is still deleting a stream can't make another of that name
			_, err := s.js.CreateStream(t.Context(), tt.stream)
			require.NoError(t, err)
			if c := tt.consumer; c != nil && c.DeliverSubject != "" {
				_, err = s.js.CreateOrUpdatePushConsumer(t.Context(), "SYNC", *c)
			} else if c != nil {
				_, err = s.js.CreateConsumer(t.Context(), "SYNC", *c)
			}
			require.NoError(t, err)
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			err = s.new(zerolog.Nop()).Run(ctx)
			require.IsType(t, &consumer.SetupError{}, err)
			require.EqualError(t, err, tt.want)
		})
	}
}
