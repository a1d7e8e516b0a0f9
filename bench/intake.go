package main

import (
	"context"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"
)

// batchLimit is how many events or rows go into one statement at most.
const batchLimit = 500

// gather waits for one and takes with it what else has come, up to the limit.
func gather[T any](ctx context.Context, from <-chan T, batch []T) ([]T, error) {
	select {
	case <-ctx.Done():
		return nil, ctx.Err()
	case first := <-from:
		batch = append(batch, first)
	}
	for len(batch) < batchLimit {
		select {
		case next := <-from:
			batch = append(batch, next)
		default:
			return batch, nil
		}
	}
	return batch, nil
}

// batches gives what has arrived to take, and acknowledges it once that has
// returned: each event plainly, the last with a confirmation.
func (m *means) batches(ctx context.Context, take func(context.Context, []occurrence) error) error {
	arrived := make(chan jetstream.Msg, 2*batchLimit)
	consuming, err := m.cons.Consume(func(msg jetstream.Msg) { arrived <- msg }, jetstream.PullMaxMessages(4*batchLimit))
	if err != nil {
		return fmt.Errorf("consuming the stream: %w", err)
	}
	defer consuming.Stop()
	var batch []jetstream.Msg
	for {
		if batch, err = gather(ctx, arrived, batch[:0]); err != nil {
			return err
		}
		events := make([]occurrence, len(batch))
		for i, msg := range batch {
			if events[i], err = readMessage(msg); err != nil {
				return err
			}
		}
		if err := take(ctx, events); err != nil {
			return err
		}
		for _, msg := range batch[:len(batch)-1] {
			if err := msg.Ack(); err != nil {
				return fmt.Errorf("acknowledging an event: %w", err)
			}
		}
		if err := batch[len(batch)-1].DoubleAck(ctx); err != nil {
			return fmt.Errorf("acknowledging the last event of a batch: %w", err)
		}
	}
}

// recorder writes the rows that have come in one statement. Whoever brings one
// waits until it is committed.
type recorder[T any] struct{ in chan note[T] }

type note[T any] struct {
	row     T
	written chan error
}

// newRecorder writes until the context ends.
func newRecorder[T any](ctx context.Context, write func(context.Context, []T) error) recorder[T] {
	r := recorder[T]{make(chan note[T], batchLimit)}
	go func() {
		var notes []note[T]
		var rows []T
		for {
			var err error
			if notes, err = gather(ctx, r.in, notes[:0]); err != nil {
				return
			}
			rows = rows[:0]
			for _, n := range notes {
				rows = append(rows, n.row)
			}
			err = write(ctx, rows)
			for _, n := range notes {
				n.written <- err
			}
		}
	}()
	return r
}

func (r recorder[T]) record(ctx context.Context, row T) error {
	n := note[T]{row, make(chan error, 1)}
	select {
	case r.in <- n:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-n.written:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
