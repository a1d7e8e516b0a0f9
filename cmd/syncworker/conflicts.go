package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"syncworker/internal/config"
	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

func (a *app) conflictsCmd() *cobra.Command {
	return parentCmd(&cobra.Command{
		Use:     "conflicts",
		GroupID: groupOps,
		Short:   "See and resolve events that clash with an earlier one",
		Long: `Where an event clashes with an earlier one it isn't sent: both are kept until
somebody decides. Causes:

  content     the same identity came again with other content
  deleted     a create for an order that was deleted
  vendor_key  two tenants share an account, and another one has the order number or
              uuid there; the second comer's delivery is held(vendor_key_conflict)`,
	}, a.conflictsListCmd(), a.conflictsShowCmd(), a.conflictsResolveCmd())
}

// conflictRow is a conflict in a table; JSON has all columns.
type conflictRow struct {
	ID         int64      `json:"id"`
	LastAt     time.Time  `json:"last_at"`
	Count      int        `json:"count"`
	Cause      string     `json:"cause"`
	Tenant     string     `json:"tenant"`
	Type       event.Type `json:"type"`
	Key        string     `json:"key" col:"ORDER / UUID"`
	Source     string     `json:"source"`
	What       string     `json:"what" col:"WHAT CAME"`
	Resolution string     `json:"resolution"`
}

func (a *app) conflictsListCmd() *cobra.Command {
	var f outbox.ConflictFilter
	var period periodFlags
	var all bool
	cmd := listCmd(a, &cobra.Command{
		Use:     "list",
		Short:   "List open conflicts, the newest first",
		Long:    "Lists open conflicts, the newest first.\n\n" + listsHelp,
		Example: "  syncworker conflicts list\n  syncworker conflicts list --all --since 7d -o json",
	}, "conflict",
		func(ctx context.Context, c config.Config, store *outbox.Store, limit int) ([]outbox.ListedConflict, bool, error) {
			err := oneOf("cause", f.Causes, outbox.Causes())
			f.Open = !all
			if err == nil {
				f.Since, f.Until, err = period.parse(c, a.now())
			}
			if err != nil {
				return nil, false, err
			}
			return store.Conflicts(ctx, f, limit)
		}, a.printConflicts)
	cmd.Flags().BoolVar(&all, "all", false, "also those that are resolved")
	cmd.Flags().StringSliceVar(&f.Causes, "cause", nil, "`cause`: "+strings.Join(outbox.Causes(), ", "))
	cmd.Flags().StringSliceVar(&f.OrderNos, "order", nil, "order `number`")
	cmd.Flags().StringSliceVar(&f.Tenants, "tenant", nil, "`tenant` of the second event")
	period.register(cmd, "last come")
	return cmd
}

func (a *app) printConflicts(list []outbox.ListedConflict) error {
	if a.output == outputJSON {
		return a.print(list)
	}
	rows := make([]conflictRow, len(list))
	for i, c := range list {
		rows[i] = conflictRow{
			ID: c.ID, LastAt: c.LastAt, Count: c.Count, Cause: c.Cause, Tenant: c.Tenant, Type: c.Type,
			Key: strings.Trim(c.OrderNo+" "+c.UUID, " "), Source: c.Source, What: c.What(), Resolution: orOpen(c.Resolution),
		}
	}
	return a.print(rows)
}

func (a *app) conflictsShowCmd() *cobra.Command {
	return showCmd(a, &cobra.Command{
		Use:     "show ID",
		Short:   "Show both events, field by field where they differ, and what you can do",
		Example: "  syncworker conflicts show 3\n  syncworker conflicts show 3 -o json",
	}, (*outbox.Store).ShowConflict, a.showConflict)
}

func (a *app) showConflict(x outbox.ShownConflict) error {
	if a.output == outputJSON {
		return a.printOne(x)
	}
	if err := a.printOne(x.ListedConflict); err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "\n%s\n", printable(aboutConflict(x)))
	if x.First == nil {
		fmt.Fprintf(a.stdout, "\nSecond\n%s\n", prettyJSON(string(x.Second)))
	} else {
		fmt.Fprintf(a.stdout, "\nFirst: %s of tenant %s from %s\nFields that differ: %d\n\n",
			x.FirstType, x.FirstTenant, printable(x.FirstSource), len(x.Differences))
		if err := a.print(x.Differences); err != nil {
			return err
		}
	}
	if err := a.showDeeds(x.Deeds); err != nil {
		return err
	}
	a.showCommands("What you can do", x.Next)
	return nil
}

// aboutConflict says what came, and what became of it.
func aboutConflict(x outbox.ShownConflict) string {
	if x.Cause == outbox.CauseVendorKey {
		owner := x.FirstTenant
		if owner == "" {
			owner = "another"
		}
		text := fmt.Sprintf("Tenants %s and %s share the account %s, where %s was %s's first. These are two events, not one with two contents.",
			owner, x.Tenant, x.Account, x.Key(), owner)
		if x.Delivery != 0 {
			text += fmt.Sprintf(" Delivery %d of tenant %s is %s.", x.Delivery, x.Tenant, x.DeliveryState)
		}
		return text
	}
	text := fmt.Sprintf("What came is %s. It isn't sent.", x.What())
	if x.First == nil {
		text += " The first event isn't here: its payload is past its retention."
	}
	return text
}

func (a *app) conflictsResolveCmd() *cobra.Command {
	var keepFirst, sendSecond bool
	var deed deedFlags
	cmd := &cobra.Command{
		Use:   "resolve ID (--keep-first | --send-second)",
		Short: "Keep the first, or send the second as a correction",
		Long: `--keep-first leaves things as they are. --send-second sends what the second event
says as an order.updated; it is for creates and updates of orders only, since a
second grant or refund is another effect and needs a uuid of its own.

A conflict over a vendor_key can only be kept: the key stays with the tenant that
had it first. The second comer's delivery is answered by itself, with "deliveries
cancel" or "deliveries resolve"; "conflicts show" names it.

It acts at once: --reason is required, and kept in the audit. Exit code 3: it was
refused, and needs another decision.`,
		Example: `  syncworker conflicts resolve 3 --keep-first --reason "a test of the till"
  syncworker conflicts resolve 3 --send-second --reason "the shop corrected the amount"`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err == nil && keepFirst == sendSecond {
				err = usagef("give one of --keep-first and --send-second")
			}
			if err == nil {
				err = deed.check(a)
			}
			if err != nil {
				return err
			}
			return a.withStore(cmd, func(ctx context.Context, c config.Config, store *outbox.Store) error {
				var uuid string
				if keepFirst {
					err = store.KeepFirst(ctx, id, deed.actor, deed.why)
				} else {
					uuid, err = store.SendSecond(ctx, id, deed.actor, deed.why, a.now(), c.Accounts)
				}
				if errors.Is(err, outbox.ErrRefused) {
					return &exitError{exitPerson, err}
				}
				if err != nil {
					return err
				}
				return a.reportResolved(ctx, store, id, uuid)
			})
		},
	}
	cmd.Flags().BoolVar(&keepFirst, "keep-first", false, "leave things as they are")
	cmd.Flags().BoolVar(&sendSecond, "send-second", false, "send the second content as an order.updated")
	deed.register(cmd)
	return cmd
}

// resolvedConflict is what the command reports.
type resolvedConflict struct {
	ID         int64  `json:"id"`
	Resolution string `json:"resolution"`
	SentAs     string `json:"sent_as,omitempty"` // uuid of the order.updated
}

func (a *app) reportResolved(ctx context.Context, store *outbox.Store, id int64, uuid string) error {
	x, err := store.ShowConflict(ctx, id)
	if err != nil {
		return err
	}
	if x.DeliveryState == outbox.Held {
		fmt.Fprintf(a.stderr, "The key stays with tenant %s. Delivery %d of tenant %s is held still: syncworker deliveries show %d\n",
			x.FirstTenant, x.Delivery, x.Tenant, x.Delivery)
	}
	return a.printOne(resolvedConflict{id, x.Resolution, uuid})
}
