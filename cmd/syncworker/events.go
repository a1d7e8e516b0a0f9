package main

import (
	"context"
	"fmt"
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
		Use:   "status (--order NUMBER | --uuid UUID | --id ID)",
		Short: "Say what became of an order number, a uuid or an event id",
		Long: `Shows each event of an order number, a uuid or a CloudEvents id: where it went, what
the vendor says, how often it came again, and conflicts and rejects that name it.
An id names one sending: of an event that was sent again, the first is known.

Exit codes: 0 found, 1 not found, 3 something needs a person.`,
		Example: `  syncworker events status --order deal_201912110081
  syncworker events status --uuid r-17 --tenant default
  syncworker events status --id 5f0c1d2e-7a41-4c55-9d4e-0a6b4a2f9c11 -o json`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			given := 0
			for _, value := range []string{q.OrderNo, q.UUID, q.CEID} {
				if value != "" {
					given++
				}
			}
			if given != 1 {
				return usagef("give one of --order, --uuid and --id")
			}
			return a.withStore(cmd, func(ctx context.Context, _ config.Config, store *outbox.Store) error {
				st, err := store.Status(ctx, q)
				if err != nil {
					return err
				}
				return a.reportStatus(st)
			})
		},
	}
	cmd.Flags().StringVar(&q.OrderNo, "order", "", "order `number`")
	cmd.Flags().StringVar(&q.UUID, "uuid", "", "`uuid` of an update, a refund or points")
	cmd.Flags().StringVar(&q.CEID, "id", "", "CloudEvents `id`")
	cmd.Flags().StringVar(&q.Tenant, "tenant", "", "only events of this `tenant`")
	return cmd
}

func (a *app) reportStatus(st outbox.Status) error {
	for i := range st.Events {
		for j := range st.Events[i].Deliveries {
			st.Events[i].Deliveries[j].Mask()
		}
	}
	print := a.showStatus
	if a.output == outputJSON {
		print = func(st outbox.Status) error { return a.printOne(st) }
	}
	if st.Found() || a.output == outputJSON {
		if err := print(st); err != nil {
			return err
		}
	}
	switch {
	case !st.Found():
		return fmt.Errorf("nothing is known of it: it was not published, is not consumed yet, or names another tenant")
	case st.NeedsPerson():
		return needsPersonf("something needs a person")
	}
	return nil
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

func (a *app) showStatus(st outbox.Status) error {
	var rows []statusRow
	for _, e := range st.Events {
		row := statusRow{
			Type: e.Type, OrderNo: e.OrderNo, UUID: e.UUID, Tenant: e.Tenant, EventTime: e.EventTime, Duplicates: e.Duplicates,
		}
		for _, d := range e.Deliveries {
			listed := rowOf(d)
			row.Account, row.State, row.Reason, row.Vendor = d.Account, d.State, d.Reason, listed.Vendor
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
		fmt.Fprintf(a.stdout, "\nConflict %d (%s): %s came again with other content from %s, %s\n", c.ID, c.Cause, c.Type,
			printable(c.Source), orOpen(c.Resolution))
	}
	for _, r := range st.Rejects {
		fmt.Fprintf(a.stdout, "\nReject %d: %s %s: %s\n", r.ID, r.Reason, printable(r.Field), printable(r.Detail))
	}
	return nil
}
