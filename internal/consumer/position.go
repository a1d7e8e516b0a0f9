package consumer

import (
	"context"
	"errors"
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
	stored, err := c.store.Position(ctx, c.config.Stream, c.config.Durable)
	if err != nil {
		return err
	}
	info, err := cons.Info(ctx)
	if err != nil {
		return fmt.Errorf("reading the consumer's place: %w", err)
	}
	created := stream.CachedInfo().Created
	from, err := c.knownUpTo(ctx, stream, stored.Position)
	if err != nil {
		return err
	}
	acked := info.AckFloor.Stream
	upTo := acked
	if stored.Doubted.After(stored.DoubtRead) {
		// Also what was delivered and not acknowledged may have been sent, and what
		// was acknowledged above the floor may be lost.
		upTo = info.Delivered.Stream
	}
	if upTo > from {
		lost, err := c.readAgain(ctx, stream, from+1, upTo)
		if err != nil {
			return err
		}
		if lost > 0 {
			c.log.Error().Uint64("from", from+1).Uint64("to", upTo).Int("events", lost).
				Msg("the database had lost events that were acknowledged; they are unknown until read at the vendor")
		}
	}
	return c.storePosition(ctx, stream, outbox.Position{
		Floor: acked, CreatedAt: created, Server: stored.Now, DoubtRead: stored.Doubted,
	})
}

// knownUpTo returns the sequence up to which the stream is what it was when the
// position was stored: 0 where it was made anew, or where it has lost its tail and
// given the sequences to other messages.
func (c *Consumer) knownUpTo(ctx context.Context, stream jetstream.Stream, p outbox.Position) (uint64, error) {
	if !sameMoment(p.CreatedAt, stream.CachedInfo().Created) {
		return 0, nil
	}
	at, err := storedAt(ctx, stream, p.Floor)
	if err != nil {
		return 0, err
	}
	if p.FloorTime.IsZero() || !at.IsZero() && sameMoment(at, p.FloorTime) {
		return p.Floor, nil
	}
	info, err := stream.Info(ctx)
	if err != nil {
		return 0, fmt.Errorf("looking at the stream: %w", err)
	}
	if at.IsZero() && p.Floor < info.State.FirstSeq {
		return p.Floor, nil // it has left the stream by its age
	}
	c.log.Warn().Uint64("sequence", p.Floor).Uint64("last", info.State.LastSeq).
		Msg("the stream has lost messages that were acknowledged, and gives their sequences to others; reading it again")
	return 0, nil
}

// storedAt returns when the stream stored a message, zero where it isn't there.
func storedAt(ctx context.Context, stream jetstream.Stream, sequence uint64) (time.Time, error) {
	if sequence == 0 {
		return time.Time{}, nil
	}
	m, err := stream.GetMsg(ctx, sequence)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("looking at message %d of the stream: %w", sequence, err)
	}
	return m.Time, nil
}

// sameMoment compares as exactly as the database keeps times.
func sameMoment(a, b time.Time) bool {
	return a.Truncate(time.Microsecond).Equal(b.Truncate(time.Microsecond))
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
	stored, err := c.store.Position(ctx, c.config.Stream, c.config.Durable)
	if err != nil {
		return err
	}
	if stored.Floor < c.saved.Floor || !stored.Server.Equal(stored.Now) || stored.Doubted.After(stored.DoubtRead) {
		return c.catchUp(ctx, stream, cons)
	}
	p := outbox.Position{
		Floor: info.AckFloor.Stream, CreatedAt: stream.CachedInfo().Created, Server: stored.Now, DoubtRead: stored.DoubtRead,
	}
	if p.FloorTime = c.saved.FloorTime; p == c.saved {
		return nil
	}
	return c.storePosition(ctx, stream, p)
}

func (c *Consumer) storePosition(ctx context.Context, stream jetstream.Stream, p outbox.Position) (err error) {
	if p.FloorTime, err = storedAt(ctx, stream, p.Floor); err != nil {
		return err
	}
	if err := c.store.SavePosition(ctx, c.config.Stream, c.config.Durable, p); err != nil {
		return err
	}
	c.saved = p
	return nil
}
