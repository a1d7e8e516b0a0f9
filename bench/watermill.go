package main

import (
	"context"
	"fmt"

	"github.com/ThreeDotsLabs/watermill"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// watermillSchema is a row per event, written after the call: before it nothing is.
const watermillSchema = `
	CREATE TABLE events (recorded_at timestamptz NOT NULL DEFAULT now(), ce_id text NOT NULL, type text NOT NULL,
		payload text NOT NULL, started_at timestamptz NOT NULL, duration_us bigint NOT NULL, state text NOT NULL, reply text NOT NULL);`

var watermillBooks = books{
	settled:  `SELECT count(*) FROM events`,
	last:     `SELECT max(recorded_at) FROM events`,
	noted:    `SELECT ce_id FROM events`,
	attempts: `SELECT count(*) FROM events`,
	open:     `SELECT ''`,
}

// brought is a row of Watermill's events.
type brought struct {
	occurrence
	reply reply
}

// runWatermill is a router with one handler: call, row, acknowledgement.
func runWatermill(ctx context.Context, m *means) error {
	router, err := message.NewRouter(message.RouterConfig{}, watermill.NopLogger{})
	if err != nil {
		return err
	}
	rows := newRecorder(ctx, m.insertBrought)
	sub := &pullSubscriber{cons: m.cons, room: make(chan struct{}, handlersPerSlot*m.Slots)}
	router.AddConsumerHandler("deliver", streamName, sub, func(msg *message.Message) error {
		header := nats.Header{}
		for _, name := range []string{"ce-type", "ce-id"} {
			if v := msg.Metadata.Get(name); v != "" {
				header[name] = []string{v}
			}
		}
		e, err := readEvent(header, string(msg.Payload))
		if err != nil {
			return err
		}
		c, _ := m.call(e)
		r, err := m.vendor.post(ctx, c)
		if err != nil {
			return err
		}
		return rows.record(ctx, brought{e, r})
	})
	return router.Run(ctx)
}

func (m *means) insertBrought(ctx context.Context, rows []brought) error {
	const insert = `
		INSERT INTO events (ce_id, type, payload, started_at, duration_us, state, reply)
		SELECT ce_id, type, payload, to_timestamp(started / 1e6), took, state, reply
		FROM unnest($1::text[], $2::text[], $3::text[], $4::bigint[], $5::bigint[], $6::text[], $7::text[])
			a (ce_id, type, payload, started, took, state, reply)`
	n := len(rows)
	ces, types, payloads := make([]string, n), make([]string, n), make([]string, n)
	started, took := make([]int64, n), make([]int64, n)
	states, replies := make([]string, n), make([]string, n)
	for i, b := range rows {
		ces[i], types[i], payloads[i] = b.ID, b.Type, b.Text
		started[i], took[i] = b.reply.Started.UnixMicro(), b.reply.Took.Microseconds()
		states[i], replies[i] = stateOf(b.reply), b.reply.Text
	}
	_, err := m.pool.Exec(ctx, insert, ces, types, payloads, started, took, states, replies)
	return err
}

// pullSubscriber gives Watermill many messages at a time. That of watermill-nats
// waits for each message's acknowledgement before it takes the next.
type pullSubscriber struct {
	cons jetstream.Consumer
	room chan struct{} // one for each message that is under way
}

// Subscribe delivers until the context ends.
func (s *pullSubscriber) Subscribe(ctx context.Context, _ string) (<-chan *message.Message, error) {
	out := make(chan *message.Message)
	_, err := s.cons.Consume(func(m jetstream.Msg) {
		s.room <- struct{}{}
		msg := message.NewMessage(m.Headers().Get("ce-id"), m.Data())
		for name, values := range m.Headers() {
			msg.Metadata.Set(name, values[0])
		}
		msg.SetContext(ctx)
		out <- msg
		go func() {
			defer func() { <-s.room }()
			select {
			case <-msg.Acked():
				_ = m.Ack() // an event whose acknowledgement is lost comes again
			case <-msg.Nacked():
				_ = m.Nak()
			case <-ctx.Done():
			}
		}()
	}, jetstream.PullMaxMessages(max(4*batchLimit, cap(s.room))))
	if err != nil {
		return nil, fmt.Errorf("consuming the stream: %w", err)
	}
	return out, nil
}

// Close leaves the consumer to the process, which ends next.
func (s *pullSubscriber) Close() error { return nil }
