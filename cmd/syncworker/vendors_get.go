package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"syncworker/internal/config"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// getFlags are how much of a resource is read, and whether at any rate.
type getFlags struct {
	limit int
	all   bool
	force bool
}

func (a *app) vendorsGetCmd() *cobra.Command {
	var flags getFlags
	cmd := &cobra.Command{
		Use:   "get ACCOUNT [RESOURCE [KEY...]]",
		Short: "Read what a vendor has: members, points, orders, coupons, levels",
		Long: `Reads what the vendor of an account has, page by page, and prints its rows. Without
a RESOURCE it lists what can be read there, and by which keys: one in brackets may
be left out, one with … may be repeated.

A table shows some of the fields; -o json prints each row as the vendor sent it, one
per line. --limit bounds the rows of both.

It uses the workers' token and counts against the account's daily quota. While the
account is paused, throttled or its circuit is open it reads only with --force.
What it prints is the vendor's, personal data included, and goes nowhere else.

Exits with 1 where the vendor shows no such thing, or couldn't be read.`,
		Example: `  syncworker vendors get dmhub
  syncworker vendors get dmhub member-by-identity mobile 13800000000
  syncworker vendors get dmhub point-details 16508 --all -o json | jq .point`,
		Args:              cobra.MinimumNArgs(1),
		ValidArgsFunction: a.completeGet,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkLimit(flags.limit, 1); err != nil {
				return err
			}
			c, err := a.config()
			if err != nil {
				return err
			}
			resource, err := a.resourceOf(c, args)
			if err != nil || resource.Name == "" {
				return err
			}
			return a.withStore(cmd, func(ctx context.Context, c config.Config, store *outbox.Store) error {
				r, err := a.openReader(ctx, c, store, args[0], flags.force)
				if err != nil {
					return err
				}
				return a.get(ctx, r, resource, args[2:], flags)
			})
		},
	}
	limitFlag(cmd, &flags.limit, 100, "how many rows at most")
	cmd.Flags().BoolVar(&flags.all, "all", false, "all rows")
	cmd.Flags().BoolVar(&flags.force, "force", false, "read although the account is paused, throttled or its circuit is open")
	cmd.MarkFlagsMutuallyExclusive("limit", "all")
	return cmd
}

// resourceOf returns what the arguments ask for. Where they name no resource it lists
// those of the account, and returns none.
func (a *app) resourceOf(c config.Config, args []string) (vendors.Resource, error) {
	account := args[0]
	if _, found := c.Vendors[account]; !found {
		return vendors.Resource{}, usagef("found account %q; the configuration has %v%s",
			account, accountNames(c), config.DidYouMean(account, accountNames(c)))
	}
	_, reads, err := a.nameReads(c, account)
	if err != nil {
		return vendors.Resource{}, err
	}
	resources := reads.Resources()
	if len(args) == 1 {
		return vendors.Resource{}, a.listResources(resources)
	}
	i := slices.IndexFunc(resources, func(r vendors.Resource) bool { return r.Name == args[1] })
	if i < 0 {
		names := resourceNames(resources)
		return vendors.Resource{}, usagef("found resource %q; %s has %s%s",
			args[1], account, strings.Join(names, ", "), config.DidYouMean(args[1], names))
	}
	return resources[i], checkKeys(resources[i], args[2:])
}

func resourceNames(resources []vendors.Resource) (names []string) {
	for _, r := range resources {
		names = append(names, r.Name)
	}
	return names
}

// checkKeys wants as many keys as the resource has: "[status]" may be left out, and
// "[type value…]" be repeated.
func checkKeys(r vendors.Resource, keys []string) error {
	least, together := 0, 0
	for _, key := range r.Keys {
		if !strings.HasPrefix(key, "[") {
			least++
		}
		if strings.HasSuffix(strings.TrimSuffix(key, "]"), "…") {
			together = len(strings.Fields(key))
		}
	}
	fits := len(keys) >= least && len(keys) <= len(r.Keys)
	if together > 0 {
		fits = len(keys) >= least && (len(keys)-least)%together == 0
	}
	switch {
	case !fits && len(r.Keys) == 0:
		return usagef("found %s; %s takes none", counted(len(keys), "key", "keys"), r.Name)
	case !fits:
		return usagef("found %s; %s takes %s", counted(len(keys), "key", "keys"), r.Name, strings.Join(r.Keys, " "))
	case slices.Contains(keys, ""):
		return usagef("found an empty key; %s takes %s", r.Name, strings.Join(r.Keys, " "))
	}
	return nil
}

func (a *app) listResources(resources []vendors.Resource) error {
	type row struct {
		Resource string   `json:"resource"`
		Keys     []string `json:"keys" col:"-"`
		About    string   `json:"about" col:"WHAT IT IS"`
		Paged    bool     `json:"paged" col:"-"`
		Columns  []string `json:"columns" col:"-"`
	}
	type line struct {
		Resource string `json:"resource"`
		Keys     string `json:"keys"`
		About    string `json:"about" col:"WHAT IT IS"`
	}
	rows, lines := make([]row, len(resources)), make([]line, len(resources))
	for i, r := range resources {
		rows[i] = row{Resource: r.Name, Keys: append([]string{}, r.Keys...), About: r.About, Paged: r.Paged, Columns: r.Columns}
		lines[i] = line{r.Name, strings.Join(r.Keys, " "), r.About}
	}
	if a.output == outputJSON {
		return a.print(rows)
	}
	return a.print(lines)
}

// get prints the rows of a resource: as JSON while they come, as a table at the end.
// What was read before a page failed is printed too.
func (a *app) get(ctx context.Context, r *reader, resource vendors.Resource, keys []string, flags getFlags) error {
	out := &rowPrinter{app: a, columns: resource.Columns, limit: flags.limit}
	if flags.all {
		out.limit = 0
	}
	progress := &pageProgress{app: a}
	err := r.pages(ctx, resource.Name, keys, func(page vendors.Page, result vendors.Result) error {
		progress.page(page)
		if result.Message != "" {
			fmt.Fprintln(a.stderr, "note:", printable(result.Message))
		}
		return out.page(page)
	})
	progress.end()
	more := errors.Is(err, errEnough)
	if more {
		err = nil
	}
	if failed := out.end(err == nil); failed != nil {
		return failed
	}
	if more {
		fmt.Fprintf(a.stderr, "There are more: these are the first %d. Raise --limit, or give --all.\n", flags.limit)
	}
	if err != nil && out.rows > 0 {
		return fmt.Errorf("%w; that was after %s", err, counted(out.rows, "row", "rows"))
	}
	return err
}

// completeGet completes accounts, and what can be read of one.
func (a *app) completeGet(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	c, err := a.config()
	if err != nil || len(args) > 1 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	if len(args) == 0 {
		return accountNames(c), cobra.ShellCompDirectiveNoFileComp
	}
	if _, reads, err := a.nameReads(c, args[0]); err == nil {
		var names []string
		for _, r := range reads.Resources() {
			names = append(names, r.Name+"\t"+r.About)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	}
	return nil, cobra.ShellCompDirectiveNoFileComp
}
