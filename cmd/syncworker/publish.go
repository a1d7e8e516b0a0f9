package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"syncworker/internal/config"
	"syncworker/internal/consumer"
	"syncworker/internal/event"
)

func (a *app) publishCmd() *cobra.Command {
	var checkOnly, keepGoing bool
	cmd := &cobra.Command{
		Use:     "publish [FILE…]",
		GroupID: groupPublish,
		Short:   "Check events against the contract and publish them",
		Long: `Reads events as NDJSON, one CloudEvents envelope per line, from the files or from
stdin; a file that holds one event over several lines is taken too. All lines
are checked first, and all that is wrong with each is reported. If any line is
refused nothing is published, unless --keep-going.

Each event goes to sync.events.<type> with a Nats-Msg-Id of its identity and
content, so that publishing a file again is safe. The stream is made where it
isn't there yet.

As JSON it prints one object for each thing that is refused, with its file and
line, and then one with the counts. Exit code 1: something was refused.`,
		Example: `  syncworker publish events.ndjson
  syncworker publish --check < events.ndjson
  syncworker publish events.ndjson -o json`,
		RunE: func(cmd *cobra.Command, args []string) error {
			lines, err := a.readLines(args)
			if err != nil {
				return err
			}
			p := published{checked: checkLines(lines, a.now())}
			if checkOnly {
				return a.reportChecked(p.checked)
			}
			if p.Refused > 0 && !keepGoing {
				return a.reportPublished(p)
			}
			c, err := a.config()
			if err != nil {
				return err
			}
			if err := a.publishAll(cmd.Context(), c, &p); err != nil {
				return errors.Join(a.reportPublished(p), err)
			}
			return a.reportPublished(p)
		},
	}
	cmd.Flags().BoolVar(&checkOnly, "check", false, "check only, publish nothing")
	cmd.Flags().BoolVar(&keepGoing, "keep-going", false, "publish the good lines although others are refused")
	cmd.MarkFlagsMutuallyExclusive("check", "keep-going")
	return cmd
}

// inputLine is one event as somebody wrote it, and where.
type inputLine struct {
	file string
	line int
	text []byte
}

// readLines reads the files, or stdin where there are none; "-" is stdin too.
func (a *app) readLines(files []string) ([]inputLine, error) {
	if len(files) == 0 {
		files = []string{"-"}
	}
	var lines []inputLine
	for _, file := range files {
		var text []byte
		var err error
		if file == "-" {
			text, err = io.ReadAll(a.stdin)
		} else {
			text, err = os.ReadFile(file)
		}
		if err != nil {
			return nil, fmt.Errorf("reading events: %w", err)
		}
		lines = append(lines, splitEvents(file, text)...)
	}
	return lines, nil
}

// splitEvents cuts NDJSON into lines. A text that is one JSON object as a whole
// is one event, however many lines it has.
func splitEvents(file string, text []byte) []inputLine {
	whole := bytes.TrimSpace(text)
	first, _, several := bytes.Cut(whole, []byte("\n"))
	if several && !json.Valid(first) && json.Valid(whole) {
		return []inputLine{{file, 1, whole}}
	}
	var lines []inputLine
	for i, line := range bytes.Split(text, []byte("\n")) {
		if line = bytes.TrimSpace(line); len(line) > 0 {
			lines = append(lines, inputLine{file, i + 1, line})
		}
	}
	return lines
}

// refusedLine is one thing that the contract refuses in a line.
type refusedLine struct {
	File   string       `json:"file"`
	Line   int          `json:"line"`
	Reason event.Reason `json:"reason"`
	Field  string       `json:"field"`
	Detail string       `json:"detail"`
}

// checked is what the contract says of events.
type checked struct {
	Events  int `json:"events"`
	Good    int `json:"good"`
	Refused int `json:"refused"`

	problems []refusedLine // all that is wrong with those that are refused
	messages []*nats.Msg   // those that are good
}

// published is what became of events that were to be published.
type published struct {
	checked
	Published  int `json:"published"`
	Duplicates int `json:"duplicates"` // JetStream had them already
}

func checkLines(lines []inputLine, now time.Time) checked {
	c := checked{Events: len(lines)}
	for _, l := range lines {
		message, rejects := makeMessage(l.text, nil, now)
		for _, r := range rejects {
			c.problems = append(c.problems, refusedLine{l.file, l.line, r.Reason, r.Field, r.Detail})
		}
		if len(rejects) > 0 {
			c.Refused++
			continue
		}
		c.messages = append(c.messages, message)
	}
	c.Good = len(c.messages)
	return c
}

// makeMessage makes the NATS message of an event, or says all that the contract
// refuses about it. The headers are those of binary mode.
func makeMessage(payload []byte, header map[string][]string, now time.Time) (*nats.Msg, []event.Reject) {
	m := event.Message{Subject: event.Subject(typeOf(payload, header)), Header: header, Data: payload}
	if rejects := event.Check(m, event.Limits{}, now); len(rejects) > 0 {
		return nil, rejects
	}
	e, err := event.Decode(m, event.Limits{}, now)
	if err != nil { // Check has found nothing, so there is nothing
		return nil, []event.Reject{{Detail: err.Error()}}
	}
	message := nats.NewMsg(m.Subject)
	for name, values := range header {
		// NATS's own headers are orders to the server, and were for that time.
		if !strings.HasPrefix(strings.ToLower(name), "nats-") {
			message.Header[name] = values
		}
	}
	message.Header.Set(jetstream.MsgIDHeader, event.MsgID(&e))
	message.Data = payload
	return message, nil
}

// typeOf returns the type that an event claims, to publish it where it belongs.
func typeOf(payload []byte, header map[string][]string) event.Type {
	for name, values := range header {
		if strings.EqualFold(name, "ce-type") && len(values) > 0 {
			return event.Type(values[0])
		}
	}
	var e struct {
		Type event.Type `json:"type"`
	}
	_ = json.Unmarshal(payload, &e) // what can't be read is refused by the contract
	return e.Type
}

// publishAll sends messages and waits for each to be acknowledged.
func (a *app) publishAll(ctx context.Context, c config.Config, p *published) error {
	if len(p.messages) == 0 {
		return nil
	}
	js, stop, err := openJetStream(ctx, c)
	if err != nil {
		return err
	}
	defer stop()
	bar := a.progress(len(p.messages), "publishing")
	defer func() { _ = bar.Finish() }()
	const ahead = 1000 // messages without an answer at a time
	futures := make(chan jetstream.PubAckFuture, ahead)
	sending := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer close(futures)
		for _, m := range p.messages {
			future, err := js.PublishMsgAsync(m)
			if err != nil {
				sending <- fmt.Errorf("publishing: %w", err)
				return
			}
			select {
			case futures <- future:
			case <-ctx.Done():
				return
			}
		}
	}()
	if err := p.await(ctx, futures, bar); err != nil {
		return err
	}
	select {
	case err := <-sending:
		return err
	default:
		return ctx.Err()
	}
}

// await counts the answers.
func (p *published) await(ctx context.Context, futures <-chan jetstream.PubAckFuture, bar *progressbar.ProgressBar) error {
	for future := range futures {
		select {
		case ack := <-future.Ok():
			if ack.Duplicate {
				p.Duplicates++
			} else {
				p.Published++
			}
		case err := <-future.Err():
			return fmt.Errorf("publishing on %s: %w", future.Msg().Subject, err)
		case <-ctx.Done():
			return ctx.Err()
		}
		_ = bar.Add(1)
	}
	return nil
}

// openJetStream connects for one command: a server that isn't there is an error.
func openJetStream(ctx context.Context, c config.Config) (js jetstream.JetStream, stop func(), err error) {
	options := []nats.Option{nats.Name("syncworker publish")}
	if c.NATS.CredentialsFile != "" {
		options = append(options, nats.UserCredentials(c.NATS.CredentialsFile))
	}
	conn, err := nats.Connect(string(c.NATS.URL), options...)
	if err != nil {
		return nil, nil, fmt.Errorf("connecting to NATS (nats.url): %w", err)
	}
	js, err = jetstream.New(conn, jetstream.WithPublishAsyncTimeout(30*time.Second))
	if err == nil {
		_, err = consumer.EnsureStream(ctx, js, streamConfig(c.NATS))
	}
	if err != nil {
		conn.Close()
		return nil, nil, fmt.Errorf("opening JetStream: %w", err)
	}
	return js, conn.Close, nil
}

// reportChecked says what the contract refuses, and how much of it there is.
func (a *app) reportChecked(c checked) error {
	summary := fmt.Sprintf("%s: %d good, %d refused by the contract.", counted(c.Events, "event", "events"), c.Good, c.Refused)
	if err := a.printProblems(c.problems, c, summary); err != nil {
		return err
	}
	return c.refusal()
}

// reportPublished does the same, and says what has become of the good ones.
func (a *app) reportPublished(p published) error {
	summary := fmt.Sprintf("%s: %d refused by the contract, %d published, %d of them there already.",
		counted(p.Events, "event", "events"), p.Refused, p.Published+p.Duplicates, p.Duplicates)
	if err := a.printProblems(p.problems, p, summary); err != nil {
		return err
	}
	if err := p.refusal(); err != nil && p.Published+p.Duplicates == 0 {
		return fmt.Errorf("%w: nothing was published (--keep-going publishes the good ones)", err)
	}
	return p.refusal()
}

// printProblems prints a line for each problem and then the summary: counts as
// JSON, or in words.
func (a *app) printProblems(problems []refusedLine, counts any, summary string) error {
	if len(problems) > 0 {
		if err := a.print(problems); err != nil {
			return err
		}
	}
	if a.output == outputJSON {
		return a.printOne(counts)
	}
	_, err := fmt.Fprintln(a.stdout, summary)
	return err
}

func (c *checked) refusal() error {
	if c.Refused == 0 {
		return nil
	}
	return fmt.Errorf("the contract refuses %d of %s", c.Refused, counted(c.Events, "event", "events"))
}
