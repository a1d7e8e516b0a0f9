package consumer

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"syncworker/internal/outbox"
)

// positionEvery is how often the place in the stream is stored. After a crash,
// what was acknowledged since is looked at once more.
const positionEvery = 5 * time.Second

// catchUp reads again what the stream has had acknowledged and the outbox may
// not have: after a crash that is nothing but duplicates, after a database that
// lost commits it is what it has lost. Whether that was sent isn't known.
func (c *Consumer) catchUp(ctx context.Context, stream jetstream.Stream, cons jetstream.Consumer) error {
	info, err := cons.Info(ctx)
	if err != nil {
		return fmt.Errorf("reading the consumer's place: %w", err)
	}
	created := stream.CachedInfo().Created
	stored, server, err := c.store.Position(ctx, c.config.Stream, c.config.Durable)
	if err != nil {
		return err
	}
	from := stored.Floor
	if !sameStream(stored.CreatedAt, created) {
		from = 0
	}
	acked := info.AckFloor.Stream
	if acked > from {
		lost, err := c.readAgain(ctx, stream, from+1, acked)
		if err != nil {
			return err
		}
		if lost > 0 {
			c.log.Error().Uint64("from", from+1).Uint64("to", acked).Int("events", lost).
				Msg("the database had lost events that were acknowledged; they are unknown until read at the vendor")
		}
	}
	return c.storePosition(ctx, outbox.Position{Floor: acked, CreatedAt: created, Server: server})
}

// readAgain enqueues a part of the stream once more, and returns how many events
// of it were missing.
func (c *Consumer) readAgain(ctx context.Context, stream jetstream.Stream, from, to uint64) (lost int, err error) {
	cons, err := stream.OrderedConsumer(ctx, jetstream.OrderedConsumerConfig{
		DeliverPolicy: jetstream.DeliverByStartSequencePolicy, OptStartSeq: from,
	})
	if err != nil {
		return 0, fmt.Errorf("reading the stream again: %w", err)
	}
	state, err := stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("reading the stream again: %w", err)
	}
	to = min(to, state.State.LastSeq)
	from = max(from, state.State.FirstSeq)
	for at := from; at <= to; {
		fetched, err := cons.Fetch(int(min(BatchLimit, to-at+1)), jetstream.FetchMaxWait(5*time.Second))
		if err != nil {
			return lost, fmt.Errorf("reading the stream again: %w", err)
		}
		var batch outbox.Batch
		batch.Recovered = true
		n := 0
		for m := range fetched.Messages() {
			meta, err := m.Metadata()
			if err != nil {
				return lost, fmt.Errorf("reading a message's metadata: %w", err)
			}
			at, n = meta.Sequence.Stream+1, n+1
			if meta.Sequence.Stream > to {
				break
			}
			in, reject := c.decodeOne(m.Subject(), m.Headers(), m.Data(), meta.Sequence.Stream, meta.Timestamp)
			if reject != nil {
				batch.Rejects = append(batch.Rejects, *reject)
			} else {
				batch.Events = append(batch.Events, *in)
			}
		}
		if err := fetched.Error(); err != nil {
			return lost, fmt.Errorf("reading the stream again: %w", err)
		}
		if n == 0 {
			return lost, nil // the rest has left the stream
		}
		out, err := c.commit(ctx, batch)
		if err != nil {
			return lost, err
		}
		lost += out.Events
	}
	return lost, nil
}

// savePosition stores how far the stream is acknowledged, and so committed. Where
// the stored place has gone back, or another server answers than the one that it
// was stored with, the database may have lost commits: of no worker's place is
// then believed more than what is stored.
func (c *Consumer) savePosition(ctx context.Context, stream jetstream.Stream, cons jetstream.Consumer) error {
	info, err := cons.Info(ctx)
	if err != nil {
		return fmt.Errorf("reading the consumer's place: %w", err)
	}
	c.metrics.pending.Set(float64(info.NumPending) + float64(info.NumAckPending))
	stored, server, err := c.store.Position(ctx, c.config.Stream, c.config.Durable)
	if err != nil {
		return err
	}
	if stored.Floor < c.saved.Floor || !stored.Server.Equal(server) {
		return c.catchUp(ctx, stream, cons)
	}
	p := outbox.Position{Floor: info.AckFloor.Stream, CreatedAt: stream.CachedInfo().Created, Server: server}
	if p == c.saved {
		return nil
	}
	return c.storePosition(ctx, p)
}

func (c *Consumer) storePosition(ctx context.Context, p outbox.Position) error {
	if err := c.store.SavePosition(ctx, c.config.Stream, c.config.Durable, p); err != nil {
		return err
	}
	c.saved = p
	return nil
}
