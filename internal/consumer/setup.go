package consumer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"syncworker/internal/event"
)

// SetupError says what a person has to change before events can be consumed.
type SetupError struct{ Problem, Remedy string }

func (e *SetupError) Error() string { return e.Problem + "; " + e.Remedy }

// Subjects is what the stream collects.
const Subjects = event.SubjectPrefix + ">"

// setUp makes the stream and the durable consumer, or checks those that are
// there. It changes nothing of what it finds.
func (c *Consumer) setUp(ctx context.Context) (jetstream.Stream, jetstream.Consumer, error) {
	stream, err := EnsureStream(ctx, c.js, c.config)
	if err != nil {
		return nil, nil, err
	}
	info := stream.CachedInfo()
	for _, d := range streamDifferences(c.streamConfig(), info.Config) {
		c.log.Warn().Str("stream", c.config.Stream).Msg(d)
	}
	if !slices.Contains(info.Config.Subjects, Subjects) {
		return nil, nil, &SetupError{
			fmt.Sprintf("stream %s collects %v and not %s", c.config.Stream, info.Config.Subjects, Subjects),
			fmt.Sprintf("add it (nats stream edit %s --subjects '%s') or name another stream in nats.stream", c.config.Stream, Subjects),
		}
	}
	cons, err := stream.Consumer(ctx, c.config.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		cons, err = c.makeConsumer(ctx, stream)
	}
	if errors.Is(err, jetstream.ErrNotPullConsumer) {
		return nil, nil, c.unfit("it pushes, and the worker pulls")
	}
	if err != nil {
		return nil, nil, fmt.Errorf("looking at the consumer %s: %w", c.config.Durable, err)
	}
	fatal, differences := consumerDifferences(c.consumerConfig(), cons.CachedInfo().Config)
	if fatal != "" {
		return nil, nil, c.unfit(fatal)
	}
	for _, d := range differences {
		c.log.Warn().Str("consumer", c.config.Durable).Msg(d)
	}
	return stream, cons, nil
}

// unfit is a consumer that is there and that would lose events.
func (c *Consumer) unfit(problem string) error {
	return &SetupError{
		fmt.Sprintf("consumer %s of stream %s: %s", c.config.Durable, c.config.Stream, problem),
		fmt.Sprintf("delete it (nats consumer rm %s %s) and start again: the worker makes it anew and recognizes what it has seen",
			c.config.Stream, c.config.Durable),
	}
}

// EnsureStream returns the stream, making it where it isn't there.
func EnsureStream(ctx context.Context, js jetstream.JetStream, config Config) (jetstream.Stream, error) {
	stream, err := js.Stream(ctx, config.Stream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = js.CreateStream(ctx, (&Consumer{config: config}).streamConfig())
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
			stream, err = js.Stream(ctx, config.Stream) // another worker was first
		}
	}
	if err != nil {
		return nil, fmt.Errorf("looking at the stream %s: %w", config.Stream, err)
	}
	return stream, nil
}

// makeConsumer makes the durable consumer. Where somebody has deleted it, it
// begins after what is known to be in the outbox.
func (c *Consumer) makeConsumer(ctx context.Context, stream jetstream.Stream) (jetstream.Consumer, error) {
	config := c.consumerConfig()
	position, err := c.store.Position(ctx, c.config.Stream, c.config.Durable)
	if err != nil {
		return nil, err
	}
	known, err := c.knownUpTo(ctx, stream, position.Position)
	if err != nil {
		return nil, err
	}
	if known > 0 {
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, known+1
		c.log.Warn().Uint64("from", config.OptStartSeq).Str("consumer", c.config.Durable).
			Msg("the consumer was deleted; making it anew from where the outbox knows the stream")
	}
	return stream.CreateOrUpdateConsumer(ctx, config)
}

func (c *Consumer) streamConfig() jetstream.StreamConfig {
	return jetstream.StreamConfig{
		Name: c.config.Stream, Subjects: []string{Subjects}, Storage: jetstream.FileStorage,
		Retention: jetstream.LimitsPolicy, Discard: jetstream.DiscardNew,
		Replicas: c.config.Replicas, MaxBytes: c.config.MaxBytes,
	}
}

func (c *Consumer) consumerConfig() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: c.config.Durable, AckPolicy: jetstream.AckExplicitPolicy, AckWait: c.config.AckWait,
		MaxDeliver: -1, MaxAckPending: c.config.MaxAckPending, DeliverPolicy: jetstream.DeliverAllPolicy,
	}
}

// streamDifferences says, setting by setting, where a stream isn't as configured
// and what that means.
func streamDifferences(want, got jetstream.StreamConfig) []string {
	var d []string
	note := func(setting string, want, got any, means string) {
		if want != got {
			d = append(d, fmt.Sprintf("the stream's %s is %v, configured is %v: %s", setting, got, want, means))
		}
	}
	note("storage", want.Storage, got.Storage, "events may not survive a restart of the server")
	note("retention", want.Retention, got.Retention, "events may go before they can be read again")
	note("discard policy", want.Discard, got.Discard, "a full stream drops its oldest events instead of refusing new ones")
	note("replicas", want.Replicas, got.Replicas, "it outlives the loss of other numbers of servers than planned")
	note("max_bytes", want.MaxBytes, got.MaxBytes, "it is full earlier or later than planned")
	limit := func(setting string, got int64, means string) {
		if got > 0 {
			d = append(d, fmt.Sprintf("the stream's %s is %d, configured is none: %s", setting, got, means))
		}
	}
	limit("max_msgs", got.MaxMsgs, "it is full at that many events")
	limit("max_msgs_per_subject", got.MaxMsgsPerSubject, "it is full at that many events of one type")
	limit("max_msg_size", int64(got.MaxMsgSize), "larger events are refused")
	if got.MaxAge > 0 {
		d = append(d, fmt.Sprintf("the stream's max_age is %s, configured is none: events go after that, read or not", got.MaxAge))
	}
	return d
}

// consumerDifferences tells settings that lose the promise from those that only
// change how it is kept.
func consumerDifferences(want, got jetstream.ConsumerConfig) (fatal string, d []string) {
	switch {
	case got.AckPolicy != want.AckPolicy:
		return fmt.Sprintf("its ack policy is %v, and only %v loses no event", got.AckPolicy, want.AckPolicy), nil
	case got.FilterSubject != "" && got.FilterSubject != Subjects:
		return fmt.Sprintf("it takes only %s of the stream's subjects", got.FilterSubject), nil
	case len(got.FilterSubjects) > 0:
		return fmt.Sprintf("it takes only %s of the stream's subjects", strings.Join(got.FilterSubjects, ", ")), nil
	case got.HeadersOnly:
		return "it delivers headers without the events", nil
	case got.MaxDeliver > 0:
		return fmt.Sprintf("it gives up on a message after %d deliveries, and an outage would lose events", got.MaxDeliver), nil
	}
	note := func(setting string, want, got any) {
		if want != got {
			d = append(d, fmt.Sprintf("the consumer's %s is %v, configured is %v", setting, got, want))
		}
	}
	note("ack_wait", want.AckWait, got.AckWait)
	note("max_ack_pending", want.MaxAckPending, got.MaxAckPending)
	return "", d
}
