package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/spf13/cobra"

	"syncworker/internal/config"
	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

func (a *app) rejectsCmd() *cobra.Command {
	return parentCmd(&cobra.Command{
		Use:     "rejects",
		GroupID: groupOps,
		Short:   "See what the contract refused, correct it and publish it again",
		Long: `A message that the contract refuses is kept with its bytes, once per subject and
content. docs/contract.md explains each reason.`,
	}, a.rejectsListCmd(), a.rejectsShowCmd(), a.republishCmd())
}

func (a *app) rejectsListCmd() *cobra.Command {
	var f outbox.RejectFilter
	var period periodFlags
	cmd := listCmd(a, &cobra.Command{
		Use:   "list",
		Short: "List rejects, the latest first",
		Long:  "Lists rejects, the latest first.\n\n" + listsHelp,
		Example: `  syncworker rejects list --open
  syncworker rejects list --reason missing_field,bad_time --since 1d
  syncworker rejects list --mentions deal_201912110081`,
	}, "reject",
		func(ctx context.Context, c config.Config, store *outbox.Store, limit int) ([]outbox.ListedReject, bool, error) {
			err := oneOf("reason", f.Reasons, rejectReasons())
			if err == nil {
				f.Since, f.Until, err = period.parse(c, a.now())
			}
			if err != nil {
				return nil, false, err
			}
			return store.Rejects(ctx, f, limit)
		},
		func(list []outbox.ListedReject) error { return a.print(list) })
	cmd.Flags().StringSliceVar(&f.Reasons, "reason", nil, "`reason` of the contract, such as missing_field")
	cmd.Flags().StringVar(&f.Mentions, "mentions", "", "`text` that the message has anywhere as a JSON string, such as an order number")
	cmd.Flags().BoolVar(&f.Open, "open", false, "only what hasn't been published again")
	period.register(cmd, "last come")
	return cmd
}

func rejectReasons() []string {
	var names []string
	for _, r := range event.Reasons() {
		names = append(names, string(r))
	}
	return names
}

func (a *app) rejectsShowCmd() *cobra.Command {
	var raw bool
	cmd := showCmd(a, &cobra.Command{
		Use:   "show ID",
		Short: "Show one reject with its bytes",
		Example: `  syncworker rejects show 12
  syncworker rejects show 12 --raw > event.json   # to correct it`,
	}, (*outbox.Store).ShowReject, func(r outbox.ShownReject) error {
		switch {
		case raw:
			_, err := a.stdout.Write(r.Payload)
			return err
		case a.output == outputJSON:
			return a.printOne(r)
		}
		return a.showReject(r)
	})
	cmd.Flags().BoolVar(&raw, "raw", false, "write the bytes alone, as they came")
	return cmd
}

func (a *app) showReject(r outbox.ShownReject) error {
	if err := a.printOne(r.ListedReject); err != nil {
		return err
	}
	for name, values := range r.Headers {
		fmt.Fprintf(a.stdout, "header  %s: %s\n", printable(name), printable(strings.Join(values, ", ")))
	}
	fmt.Fprintf(a.stdout, "\nBytes (%d)\n", len(r.Payload))
	if utf8.Valid(r.Payload) {
		fmt.Fprintln(a.stdout, prettyJSON(string(r.Payload)))
	} else {
		fmt.Fprintf(a.stdout, "  %+q\n", r.Payload)
	}
	if err := a.showDeeds(r.Deeds); err != nil {
		return err
	}
	if r.RepublishedAt.IsZero() {
		id := fmt.Sprint(r.ID)
		a.showCommands("What you can do", []string{
			"syncworker rejects show " + id + " --raw > event.json   # correct it, then",
			"syncworker rejects republish " + id + " --file event.json --reason TEXT",
		})
	}
	return nil
}

func (a *app) republishCmd() *cobra.Command {
	var file string
	var deed deedFlags
	cmd := &cobra.Command{
		Use:   "republish ID",
		Short: "Publish a reject again, as it is or corrected",
		Long: `Publishes the bytes of a reject again, or those of --file in their place. They
have to be what the contract takes now; else the command says what it refuses and
exits with 1. It acts at once: --reason is required. The reject is marked, and who
did it and why is kept in the audit.`,
		Example: `  syncworker rejects republish 12 --reason "the clock of the till was wrong"
  syncworker rejects republish 12 --file event.json --reason "order number added"
  jq -c .corrected incident.json | syncworker rejects republish 12 --file - --reason "ticket 9"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err == nil {
				err = deed.check(a)
			}
			if err != nil {
				return err
			}
			return a.withStore(cmd, func(ctx context.Context, c config.Config, store *outbox.Store) error {
				return a.republish(ctx, c, store, id, file, deed)
			})
		},
	}
	cmd.Flags().StringVar(&file, "file", "", "`file` with the corrected event; - is stdin")
	deed.register(cmd)
	return cmd
}

// republished is what the command reports.
type republished struct {
	ID        int64  `json:"id"`
	Subject   string `json:"subject"`
	MsgID     string `json:"nats_msg_id"`
	Duplicate bool   `json:"duplicate"` // JetStream had it already
}

func (a *app) republish(ctx context.Context, c config.Config, store *outbox.Store, id int64, file string, deed deedFlags) error {
	r, err := store.ShowReject(ctx, id)
	if err != nil {
		return err
	}
	message, err := a.correctedMessage(r, file)
	if err != nil {
		return err
	}
	js, stop, err := openJetStream(ctx, c)
	if err != nil {
		return err
	}
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ack, err := js.PublishMsg(ctx, message)
	if err != nil {
		return fmt.Errorf("publishing on %s: %w", message.Subject, err)
	}
	msgID := message.Header.Get(jetstream.MsgIDHeader)
	if err := store.Republished(ctx, id, deed.actor, deed.why, msgID); err != nil {
		return err
	}
	return a.printOne(republished{id, message.Subject, msgID, ack.Duplicate})
}

// correctedMessage makes the message to publish of a reject. Its headers go along
// where its own bytes do: they hold the envelope of binary mode.
func (a *app) correctedMessage(r outbox.ShownReject, file string) (*nats.Msg, error) {
	payload, header := r.Payload, r.Headers
	var err error
	switch file {
	case "":
	case "-":
		payload, err = io.ReadAll(a.stdin)
		header = nil
	default:
		payload, err = os.ReadFile(file)
		header = nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the corrected event: %w", err)
	}
	message, rejects := makeMessage(payload, header, a.now())
	if len(rejects) == 0 {
		return message, nil
	}
	text := fmt.Sprintf("the contract refuses reject %d still:", r.ID)
	for _, reject := range rejects {
		text += "\n  " + reject.Error()
	}
	return nil, fmt.Errorf("%s\ncorrect it and give it with --file", text)
}
