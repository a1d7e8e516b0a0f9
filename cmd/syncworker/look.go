package main

import (
	"context"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"syncworker/internal/config"
	"syncworker/internal/outbox"
)

// listCmd makes a command that shows the newest of what read returns, at most
// --limit, and says on stderr where there are more.
func listCmd[T any](a *app, cmd *cobra.Command, noun string,
	read func(ctx context.Context, c config.Config, store *outbox.Store, limit int) (list []T, more bool, err error),
	show func(list []T) error,
) *cobra.Command {
	var limit int
	limitFlag(cmd, &limit, 50, "how many at most")
	cmd.Args = cobra.NoArgs
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := checkLimit(limit, 1); err != nil {
			return err
		}
		if err := checkLists(cmd); err != nil {
			return err
		}
		return a.withStore(cmd, func(ctx context.Context, c config.Config, store *outbox.Store) error {
			list, more, err := read(ctx, c, store, limit)
			if err != nil {
				return err
			}
			if len(list) == 0 && a.output == outputTable {
				_, err := fmt.Fprintf(a.stdout, "No %s matches.\n", noun)
				return err
			}
			if more {
				defer fmt.Fprintf(a.stderr, "There are more: these are the newest %d. Narrow the filters, or raise --limit.\n", limit)
			}
			return show(list)
		})
	}
	return cmd
}

// showCmd makes a command that shows all about the one thing whose id is given.
func showCmd[T any](a *app, cmd *cobra.Command,
	read func(store *outbox.Store, ctx context.Context, id int64) (T, error),
	show func(T) error,
) *cobra.Command {
	cmd.Args = cobra.ExactArgs(1)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		id, err := parseID(args[0])
		if err != nil {
			return err
		}
		return a.withStore(cmd, func(ctx context.Context, _ config.Config, store *outbox.Store) error {
			x, err := read(store, ctx, id)
			if err != nil {
				return err
			}
			return show(x)
		})
	}
	return cmd
}

// limitFlag adds --limit to a list.
func limitFlag(cmd *cobra.Command, limit *int, standard int, what string) {
	cmd.Flags().IntVar(limit, "limit", standard, what)
}

func checkLimit(limit, least int) error {
	if limit < least || limit > 1_000_000 {
		return usagef("found --limit %d; want %d to 1000000", limit, least)
	}
	return nil
}

const listsHelp = `Filters take several values, with commas or by repeating the flag; a value with a
comma in it stands in double quotes: --order '"a,b"'.`

// checkLists wants a value in each place of a list: an empty one, such as that of
// a script's variable that isn't set, would choose what has no order or member.
func checkLists(cmd *cobra.Command) error {
	for _, flag := range []string{"state", "account", "type", "tenant", "reason", "state-reason", "code", "order", "member", "cause"} {
		values, err := cmd.Flags().GetStringSlice(flag)
		if err != nil || !cmd.Flags().Changed(flag) {
			continue // the command has no such list, or nobody gave it
		}
		if len(values) == 0 || slices.Contains(values, "") {
			return usagef("found an empty value in --%s; give one, or leave the flag out", flag)
		}
	}
	return nil
}
