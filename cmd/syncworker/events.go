package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"syncworker/internal/config"
	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

func (a *app) eventsCmd() *cobra.Command {
	return parentCmd(&cobra.Command{
		Use:     "events",
		GroupID: groupPublish,
		Short:   "See what became of events",
	}, a.eventsStatusCmd())
}

func (a *app) eventsStatusCmd() *cobra.Command {
	var q outbox.Question
	cmd := &cobra.Command{
		Use:   "status (VALUE | --order NUMBER | --uuid UUID | --id ID)",
		Short: "Say what became of an order number, a uuid or an event id",
		Long: `Shows where each event went, what the vendor says, how often it came again, and the
conflicts and rejects that are about it:

  --order        each event of this order number
  --uuid         the event with this uuid: an update, a refund, points, a member's
                 change; a coupon that was redeemed or used by its code
  --order --uuid the event of that order with that uuid
  --id           the event that came with this CloudEvents id. An id names one
                 sending: of an event that was sent again, the first is known
  VALUE          whichever of the three it is; where it is several, each by itself

What the contract refused is found where it still says what it is about; "rejects
list --mentions" searches all that came.

Exit codes: 0 found, 1 not found, 3 something needs a person.`,
		Example: `  syncworker events status deal_201912110081
  syncworker events status --order deal_201912110081 --uuid r-17
  syncworker events status --id 5f0c1d2e-7a41-4c55-9d4e-0a6b4a2f9c11 -o json`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			questions, err := questionsOf(q, args)
			if err != nil {
				return err
			}
			return a.withStore(cmd, func(ctx context.Context, _ config.Config, store *outbox.Store) error {
				answers := make([]outbox.Status, len(questions))
				for i, q := range questions {
					if answers[i], err = store.Status(ctx, q); err != nil {
						return err
					}
				}
				return a.reportStatus(answers)
			})
		},
	}
	cmd.Flags().StringVar(&q.OrderNo, "order", "", "order `number`")
	cmd.Flags().StringVar(&q.UUID, "uuid", "", "`uuid` of an event, or a coupon's code")
	cmd.Flags().StringVar(&q.CEID, "id", "", "CloudEvents `id`")
	cmd.Flags().StringVar(&q.Tenant, "tenant", "", "only events of this `tenant`")
	return cmd
}

// questionsOf are what is asked: one, or of a bare value each that it may be.
func questionsOf(q outbox.Question, args []string) ([]outbox.Question, error) {
	named := q.OrderNo+q.UUID+q.CEID != ""
	switch {
	case len(args) == 1 && args[0] != "" && !named:
		return []outbox.Question{
			{OrderNo: args[0], Tenant: q.Tenant}, {UUID: args[0], Tenant: q.Tenant}, {CEID: args[0], Tenant: q.Tenant},
		}, nil
	case len(args) == 1 || !named:
		return nil, usagef("give an order number, a uuid or an event id: as it is, or with --order, --uuid or --id")
	case q.CEID != "" && q.OrderNo+q.UUID != "":
		return nil, usagef("--id names one event: leave --order and --uuid out")
	}
	return []outbox.Question{q}, nil
}

// reportStatus shows the answers that know something; if none does, JSON has all.
func (a *app) reportStatus(answers []outbox.Status) error {
	known := slices.DeleteFunc(slices.Clone(answers), func(st outbox.Status) bool { return !st.Found() })
	shown := known
	if len(known) == 0 && a.output == outputJSON {
		shown = answers
	}
	if len(known) > 1 && a.output == outputTable {
		fmt.Fprintf(a.stdout, "This is %d things at once; --order, --uuid and --id ask for one of them.\n", len(known))
	}
	needsPerson := false
	for _, st := range shown {
		if err := a.showStatus(st, len(known) > 1); err != nil {
			return err
		}
		needsPerson = needsPerson || st.NeedsPerson()
	}
	switch {
	case len(known) == 0:
		return errors.New("nothing is known of it: it was not published, is not consumed yet, names another tenant, " +
			"or could not be read (syncworker rejects list --mentions VALUE)")
	case needsPerson:
		return needsPersonf("something needs a person")
	}
	return nil
}

// wayOf says how a bare value was understood.
func wayOf(q outbox.Question) string {
	switch {
	case q.OrderNo != "":
		return "As an order number"
	case q.UUID != "":
		return "As a uuid"
	}
	return "As an event id"
}

// statusRow is one delivery of an event, or an event that has none.
type statusRow struct {
	Type       event.Type   `json:"type"`
	OrderNo    string       `json:"order_no" col:"ORDER"`
	UUID       string       `json:"uuid"`
	Tenant     string       `json:"tenant"`
	EventTime  time.Time    `json:"event_time"`
	Duplicates int          `json:"duplicates" col:"AGAIN"`
	Account    string       `json:"account"`
	State      outbox.State `json:"state"`
	Reason     string       `json:"reason"`
	Vendor     string       `json:"vendor" col:"VENDOR SAYS"`
	Delivered  time.Time    `json:"delivered_at" col:"DELIVERED"`
	Delivery   int64        `json:"delivery"`
}

func (a *app) showStatus(st outbox.Status, heading bool) error {
	for i := range st.Events {
		for j := range st.Events[i].Deliveries {
			st.Events[i].Deliveries[j].Mask()
		}
	}
	if a.output == outputJSON {
		return a.printOne(st)
	}
	if heading {
		fmt.Fprintf(a.stdout, "\n%s\n\n", wayOf(st.Asked))
	}
	var rows []statusRow
	for _, e := range st.Events {
		row := statusRow{
			Type: e.Type, OrderNo: e.OrderNo, UUID: e.UUID, Tenant: e.Tenant, EventTime: e.EventTime, Duplicates: e.Duplicates,
		}
		for _, d := range e.Deliveries {
			listed := rowOf(d)
			row.Account, row.State, row.Reason, row.Vendor = listed.Account, d.State, listed.Reason, listed.Vendor
			row.Delivered, row.Delivery = d.DeliveredAt, d.ID
			if row.Type == "" {
				row.Type = d.Type
			}
			rows = append(rows, row)
		}
		if len(e.Deliveries) == 0 {
			rows = append(rows, row)
		}
	}
	if len(rows) > 0 {
		if err := a.print(rows); err != nil {
			return err
		}
	}
	for _, c := range st.Conflicts {
		fmt.Fprintf(a.stdout, "\nConflict %d (%s), %s: %s from %s of tenant %s came: %s\n", c.ID, c.Cause, orOpen(c.Resolution),
			c.Type, printable(c.Source), c.Tenant, printable(c.What()))
	}
	for _, r := range st.Rejects {
		again := ""
		if !r.RepublishedAt.IsZero() {
			again = " (published again since)"
		}
		fmt.Fprintf(a.stdout, "\nReject %d: %s %s: %s%s\n", r.ID, r.Reason, printable(r.Field), printable(r.Detail), again)
	}
	return nil
}
