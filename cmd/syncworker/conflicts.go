package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"syncworker/internal/config"
	"syncworker/internal/outbox"
)

func (a *app) conflictsCmd() *cobra.Command {
	return parentCmd(&cobra.Command{
		Use:     "conflicts",
		GroupID: groupOps,
		Short:   "See and resolve events of one identity and different content",
		Long: `The second of two events with the same identity and different content isn't sent:
both are kept until somebody decides. Causes:

  content     the same identity came with other content
  deleted     a create for an order that was deleted
  vendor_key  another tenant has the number or uuid at the account`,
	}, a.conflictsListCmd(), a.conflictsShowCmd(), a.conflictsResolveCmd())
}

func (a *app) conflictsListCmd() *cobra.Command {
	var f outbox.ConflictFilter
	var period periodFlags
	var limit int
	var all bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List open conflicts, the newest first",
		Example: "  syncworker conflicts list\n  syncworker conflicts list --all --since 7d -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkLimit(limit, 1); err != nil {
				return err
			}
			return a.withStore(cmd, func(ctx context.Context, c config.Config, store *outbox.Store) error {
				var err error
				f.Open = !all
				if f.Since, f.Until, err = period.parse(c, a.now()); err != nil {
					return err
				}
				list, more, err := store.Conflicts(ctx, f, limit)
				if err != nil {
					return err
				}
				if len(list) == 0 && a.output == outputTable {
					_, err := fmt.Fprintln(a.stdout, "No conflict matches.")
					return err
				}
				defer a.moreRows(more, limit)
				return a.print(list)
			})
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also those that are resolved")
	cmd.Flags().StringSliceVar(&f.Causes, "cause", nil, "`cause`: content, deleted or vendor_key")
	cmd.Flags().StringArrayVar(&f.OrderNos, "order", nil, "order `number`")
	cmd.Flags().StringSliceVar(&f.Tenants, "tenant", nil, "`tenant`")
	period.register(cmd, "last come")
	limitFlag(cmd, &limit, 50, "how many at most")
	return cmd
}

func (a *app) conflictsShowCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "show ID",
		Short:   "Show both contents, field by field where they differ",
		Example: "  syncworker conflicts show 3\n  syncworker conflicts show 3 -o json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseID(args[0])
			if err != nil {
				return err
			}
			return a.withStore(cmd, func(ctx context.Context, _ config.Config, store *outbox.Store) error {
				x, err := store.ShowConflict(ctx, id)
				if err != nil {
					return err
				}
				if a.output == outputJSON {
					return a.printOne(x)
				}
				return a.showConflict(x)
			})
		},
	}
}

func (a *app) showConflict(x outbox.ShownConflict) error {
	if err := a.printOne(x.ListedConflict); err != nil {
		return err
	}
	if x.First == nil {
		fmt.Fprintf(a.stdout, "\nThe first event isn't here: its payload is past its retention, or only its order is known.\n\nSecond\n%s\n",
			prettyJSON(string(x.Second)))
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
	a.showNext(x.Next)
	return nil
}

func (a *app) conflictsResolveCmd() *cobra.Command {
	var keepFirst, sendSecond bool
	var deed deedFlags
	cmd := &cobra.Command{
		Use:   "resolve ID (--keep-first | --send-second)",
		Short: "Keep the first, or send the second as a correction",
		Long: `--keep-first leaves things as they are. --send-second sends what the second event
says as an order.updated; it is for creates and updates of orders only, since a
second grant or refund is another effect and needs a uuid of its own.`,
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
	if x.Cause == "vendor_key" {
		fmt.Fprintf(a.stderr, "The delivery that was held for it is still held: syncworker deliveries list --state held --account %s\n", x.Account)
	}
	return a.printOne(resolvedConflict{id, x.Resolution, uuid})
}
