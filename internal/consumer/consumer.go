// Package consumer brings events from JetStream into the outbox: batch by batch,
// in one transaction each, acknowledged only after the commit.
package consumer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"

	"syncworker/internal/event"
	"syncworker/internal/failpoint"
	"syncworker/internal/outbox"
)

// Config names the stream and the durable consumer, with what they are made with
// where they aren't there yet.
type Config struct {
	Stream        string
	Durable       string
	AckWait       time.Duration
	MaxAckPending int
	Replicas      int
	MaxBytes      int64
}

// BatchLimit is how many messages one transaction takes at most. It takes what
// has arrived and never waits for more.
const BatchLimit = 500

// Enqueue commits a batch; dispatch.Worker has it.
type Enqueue func(context.Context, outbox.Batch) (outbox.Enqueued, error)

// Route says which accounts an event of a tenant goes to.
type Route func(t event.Type, tenant string) []string

// Consumer is the way from the stream into the outbox.
type Consumer struct {
	js      jetstream.JetStream
	store   *outbox.Store
	enqueue Enqueue
	route   Route
	config  Config
	log     zerolog.Logger
	metrics *Metrics

	saved outbox.Position // as this process last stored it
}

// New returns a consumer. It doesn't touch the stream before Run.
func New(js jetstream.JetStream, store *outbox.Store, enqueue Enqueue, route Route, config Config,
	log zerolog.Logger, metrics *Metrics,
) *Consumer {
	return &Consumer{
		js: js, store: store, enqueue: enqueue, route: route, config: config, log: log, metrics: metrics,
	}
}

// Metrics of a consumer.
type Metrics struct {
	messages *prometheus.CounterVec
	pending  prometheus.Gauge
}

// NewMetrics registers the consumer's metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	m := &Metrics{
		messages: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "syncworker_messages_total", Help: "Messages taken from the stream, by what they were.",
		}, []string{"result"}),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "syncworker_stream_pending", Help: "Messages of the stream that are not in the outbox yet.",
		}),
	}
	reg.MustRegister(m.messages, m.pending)
	return m
}

// Run consumes until the context ends. What keeps it from consuming, a server
// that is away or a database, makes it wait; only what a person has to change
// ends it with an error.
func (c *Consumer) Run(ctx context.Context) error {
	for try := 0; ctx.Err() == nil; try++ {
		err := c.session(ctx)
		var wrong *SetupError
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.As(err, &wrong):
			return err
		}
		c.log.Warn().Err(err).Msg("consuming was interrupted; going on")
		select {
		case <-ctx.Done():
		case <-time.After(min(time.Duration(try+1)*100*time.Millisecond, 2*time.Second)):
		}
	}
	return nil
}

// session consumes until something breaks.
func (c *Consumer) session(ctx context.Context) error {
	stream, cons, err := c.setUp(ctx)
	if err != nil {
		return err
	}
	if err := c.catchUp(ctx, stream, cons); err != nil {
		return err
	}
	messages, err := cons.Messages(jetstream.PullMaxMessages(2*BatchLimit), jetstream.PullHeartbeat(5*time.Second))
	if err != nil {
		return fmt.Errorf("subscribing: %w", err)
	}
	arrived, broken := pull(messages)
	defer handBack(messages, arrived)
	position := time.NewTicker(positionEvery)
	defer position.Stop()
	for {
		var first jetstream.Msg
		select {
		case <-ctx.Done():
			return ctx.Err()
		case err := <-broken:
			return err
		case <-position.C:
			if err := c.savePosition(ctx, stream, cons); err != nil {
				return err
			}
			continue
		case m, open := <-arrived:
			if !open {
				return <-broken
			}
			first = m
		}
		if err := c.take(ctx, gather(first, arrived)); err != nil {
			return err
		}
	}
}

// pull reads messages ahead, so that a batch is what has arrived meanwhile. It
// closes arrived once the messages are drained.
func pull(messages jetstream.MessagesContext) (<-chan jetstream.Msg, <-chan error) {
	arrived, broken := make(chan jetstream.Msg, BatchLimit), make(chan error, 1)
	go func() {
		defer close(arrived)
		for {
			m, err := messages.Next()
			if errors.Is(err, jetstream.ErrNoHeartbeat) {
				continue // the server is away; the client connects again by itself
			}
			if err != nil {
				broken <- fmt.Errorf("reading from the consumer: %w", err)
				return
			}
			arrived <- m
		}
	}()
	return arrived, broken
}

// handBack gives messages that were read ahead back to the server, so that
// another worker needn't wait for them until their time is up.
func handBack(messages jetstream.MessagesContext, arrived <-chan jetstream.Msg) {
	messages.Drain()
	for m := range arrived {
		if err := m.Nak(); err != nil {
			messages.Stop()
		}
	}
}

// gather returns the first message with all that have arrived meanwhile.
func gather(first jetstream.Msg, arrived <-chan jetstream.Msg) []jetstream.Msg {
	batch := []jetstream.Msg{first}
	for len(batch) < BatchLimit {
		select {
		case m, open := <-arrived:
			if !open {
				return batch
			}
			batch = append(batch, m)
		default:
			return batch
		}
	}
	return batch
}

// take commits a batch and then acknowledges it. While the database is away it
// goes on trying with the same batch: what the server sends again meanwhile is
// recognized.
func (c *Consumer) take(ctx context.Context, messages []jetstream.Msg) error {
	batch, refused, err := c.decode(messages)
	if err != nil {
		return err
	}
	if err := failpoint.Each(failpoint.Fetched, batch.Events, typeOf); err != nil {
		return err
	}
	out, err := c.commit(ctx, batch)
	if err != nil {
		for _, m := range messages {
			_ = m.Nak() // else the next worker waits for them until their time is up
		}
		return err
	}
	c.count("event", out.Events)
	c.count("duplicate", out.Duplicates)
	c.count("conflict", out.Conflicts)
	c.count("reject", len(batch.Rejects))
	// The last one is acknowledged twice over: once the server has confirmed it,
	// those before it have arrived as well.
	for i, m := range messages {
		switch {
		case refused[i]:
			err = m.TermWithReason("refused by the contract; kept in outbox.rejects")
		case i == len(messages)-1:
			err = m.DoubleAck(context.WithoutCancel(ctx)) // it waits for five seconds at most
		default:
			err = m.Ack()
		}
		if err != nil {
			// The server sends it again, and then it is a duplicate.
			return fmt.Errorf("acknowledging: %w", err)
		}
	}
	return failpoint.Each(failpoint.Acked, batch.Events, typeOf)
}

// typeOf is the detail of the failpoints.
func typeOf(in outbox.Incoming) string { return string(in.Event.Type) }

func (c *Consumer) commit(ctx context.Context, batch outbox.Batch) (outbox.Enqueued, error) {
	for try := 0; ; try++ {
		out, err := c.enqueue(ctx, batch)
		if err == nil || ctx.Err() != nil || errors.Is(err, outbox.ErrDoubted) {
			return out, err
		}
		if try%20 == 0 {
			c.log.Warn().Err(err).Msg("the outbox doesn't take events; nothing is acknowledged until it does")
		}
		select {
		case <-ctx.Done():
			return out, ctx.Err()
		case <-time.After(min(time.Duration(try+1)*50*time.Millisecond, time.Second)):
		}
	}
}

func (c *Consumer) count(result string, n int) {
	c.metrics.messages.WithLabelValues(result).Add(float64(n))
}

// decode makes a batch of messages; refused tells which of them the contract
// refuses.
func (c *Consumer) decode(messages []jetstream.Msg) (batch outbox.Batch, refused []bool, err error) {
	refused = make([]bool, len(messages))
	for i, m := range messages {
		meta, err := m.Metadata()
		if err != nil {
			return batch, nil, fmt.Errorf("reading a message's metadata: %w", err)
		}
		in, reject := c.decodeOne(m.Subject(), m.Headers(), m.Data(), meta.Sequence.Stream, meta.Timestamp)
		if reject != nil {
			refused[i] = true
			batch.Rejects = append(batch.Rejects, *reject)
			continue
		}
		batch.Events = append(batch.Events, *in)
	}
	return batch, refused, nil
}

// decodeOne decodes a message as of the time when the stream stored it, so that
// a second look comes to the same end.
func (c *Consumer) decodeOne(subject string, header map[string][]string, data []byte, sequence uint64,
	stored time.Time,
) (*outbox.Incoming, *outbox.Reject) {
	e, err := event.Decode(event.Message{Subject: subject, Header: header, Data: data}, event.Limits{}, stored)
	if err != nil {
		r := &outbox.Reject{
			Subject: strings.ToValidUTF8(subject, "\uFFFD"), Sequence: sequence, Headers: header,
			Payload: data, Reason: "unreadable", Detail: err.Error(),
		}
		var reject *event.Reject
		if errors.As(err, &reject) {
			r.Reason, r.Field, r.Detail = string(reject.Reason), reject.Field, reject.Detail
		}
		return nil, r
	}
	return &outbox.Incoming{
		Event: &e, Accounts: c.route(e.Type, e.Tenant), Sequence: sequence,
		Binary: event.Binary(header), Headers: header, Payload: data,
	}, nil
}
