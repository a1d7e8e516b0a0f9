package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"syncworker/internal/config"
	"syncworker/internal/outbox"
)

func (a *app) vendorsCmd() *cobra.Command {
	return parentCmd(&cobra.Command{
		Use:     "vendors",
		GroupID: groupOps,
		Short:   "See and check the vendor accounts, pause and resume them",
		Long: `An account is one login at a vendor: an entry under vendors in the configuration.
Everything that is pushed to a vendor goes through one, and can be paused there.`,
	}, a.vendorsListCmd(), a.vendorsGetCmd(), a.vendorsCheckCmd(), a.pauseCmd(), a.resumeCmd())
}

// vendorRow is one account: whether it may be called, and what waits for it.
type vendorRow struct {
	Account string `json:"account"`
	Kind    string `json:"kind"` // empty: not in the configuration any more
	BaseURL string `json:"base_url"`
	Gate    string `json:"gate"`
	Why     string `json:"why"`
	// Quota is how many of the day's calls are reserved; nil where there is no limit.
	Quota *quotaUse `json:"quota,omitempty" col:"QUOTA TODAY"`
	// Of the access token, which is never shown.
	TokenFetchedAt time.Time `json:"token_fetched_at,omitzero" col:"TOKEN FETCHED"`
	TokenExpiresAt time.Time `json:"token_expires_at,omitzero" col:"-"`
	Pending        int64     `json:"pending"`
	Waiting        int64     `json:"waiting"`
	Unknown        int64     `json:"unknown"`
	Held           int64     `json:"held"`
	Dead           int64     `json:"dead"`
	OldestAt       time.Time `json:"oldest_at,omitzero" col:"OLDEST SINCE"` // of all but dead
}

// quotaUse is how much of an account's daily quota its workers have reserved. Accounts
// of one app share it.
type quotaUse struct {
	Used     int       `json:"used"`
	Limit    int       `json:"limit"`
	RenewsAt time.Time `json:"renews_at"`
}

// String is it in a table.
func (q quotaUse) String() string { return fmt.Sprintf("%d of %d", q.Used, q.Limit) }

func (a *app) vendorsListCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List the accounts: may they be called, and what waits for them",
		Long: `Lists the accounts with what waits for them. What workers have in their hands at
this moment isn't counted. Gates:

  open       calls go through
  throttled  the vendor asked for patience
  circuit    the vendor doesn't answer, or refuses us; one call probes from time to time
  paused     a person has paused it
  quota      the calls that the vendor grants in a day are used up, or reserved by workers
  none       nothing can be called: no route took these events (the line "(unrouted)",
             whose account is empty in JSON), or the account has left the configuration`,
		Example: "  syncworker vendors list\n  syncworker vendors list -o json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.withStore(cmd, func(ctx context.Context, c config.Config, store *outbox.Store) error {
				rows, err := vendorRows(ctx, c, store, a.now())
				if err != nil {
					return err
				}
				if len(rows) == 0 && a.output == outputTable {
					_, err := fmt.Fprintln(a.stdout, "The configuration has no accounts: add one under vendors.")
					return err
				}
				if a.output == outputTable {
					for i := range rows {
						rows[i].Account = shownAccount(rows[i].Account)
					}
				}
				return a.print(rows)
			})
		},
	}
}

func vendorRows(ctx context.Context, c config.Config, store *outbox.Store, now time.Time) ([]vendorRow, error) {
	stops, err := store.Stops(ctx)
	if err != nil {
		return nil, err
	}
	backlogs, err := store.Backlogs(ctx)
	if err != nil {
		return nil, err
	}
	tokens, err := store.TokenTimes(ctx)
	if err != nil {
		return nil, err
	}
	day, next := outbox.QuotaDay(now)
	used, err := store.QuotasUsed(ctx, day)
	if err != nil {
		return nil, err
	}
	names := accountNames(c)
	for _, name := range slices.Sorted(maps.Keys(backlogs)) {
		if !slices.Contains(names, name) {
			names = append(names, name) // left the configuration, or is that of unrouted events
		}
	}
	var rows []vendorRow
	for _, name := range names {
		row := vendorRow{Account: name, Kind: c.Vendors[name].Kind, BaseURL: c.Vendors[name].BaseURL}
		if limit := c.Vendors[name].DailyQuota; limit > 0 {
			row.Quota = &quotaUse{used[c.TokenAccount(name)], limit, next}
		}
		row.Gate, row.Why = gateOf(name, row.Kind, stops, row.Quota)
		if row.Kind != "" {
			token := tokens[c.TokenAccount(name)]
			row.TokenFetchedAt, row.TokenExpiresAt = token.FetchedAt, token.ExpiresAt
		}
		b := backlogs[name]
		row.Pending, row.Waiting, row.Unknown = b[outbox.Pending].Count, b[outbox.Waiting].Count, b[outbox.Unknown].Count
		row.Held, row.Dead = b[outbox.Held].Count, b[outbox.Dead].Count
		for state, backlog := range b {
			if state != outbox.Dead && (row.OldestAt.IsZero() || backlog.Oldest.Before(row.OldestAt)) {
				row.OldestAt = backlog.Oldest
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// gateOf says whether an account may be called, and why not.
func gateOf(account, kind string, stops map[string]outbox.Stop, quota *quotaUse) (gate, why string) {
	stop, stopped := stops[account]
	switch {
	case account == "":
		return "none", "no route took these events: add one, then deliveries resolve --send-again"
	case kind == "":
		return "none", "the account has left the configuration: put it back, or cancel"
	case stopped:
		return stop.Gate, stop.Why
	case quota != nil && quota.Used >= quota.Limit:
		return "quota", quotaSpent(quota.Limit, quota.RenewsAt)
	}
	return "open", ""
}

func (a *app) pauseCmd() *cobra.Command {
	var deed deedFlags
	cmd := &cobra.Command{
		Use:   "pause ACCOUNT",
		Short: "Stop all calls to an account",
		Long: `Stops all calls of all workers to an account; those under way end. Events are taken
in as before, and wait: "deliveries list" says what they wait for.`,
		Example: `  syncworker vendors pause dmhub --reason "their maintenance until 02:00"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeGate(cmd, args[0], &deed, func(ctx context.Context, store *outbox.Store) error {
				already, err := store.Pause(ctx, args[0], deed.actor, deed.why)
				if err == nil && already {
					fmt.Fprintln(a.stderr, "It was paused already; that pause stays as it is.")
				}
				return err
			})
		},
	}
	deed.register(cmd)
	return cmd
}

func (a *app) resumeCmd() *cobra.Command {
	var deed deedFlags
	cmd := &cobra.Command{
		Use:   "resume ACCOUNT",
		Short: "Let calls to an account through again",
		Long: `Ends a pause, and lets calls through at once where the vendor didn't answer or
refused us, without waiting for a probe.`,
		Example: `  syncworker vendors resume dmhub --reason "maintenance is over"`,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.changeGate(cmd, args[0], &deed, func(ctx context.Context, store *outbox.Store) error {
				changed, err := store.Resume(ctx, args[0], deed.actor, deed.why)
				if err == nil && !changed {
					fmt.Fprintln(a.stderr, "Nothing stood in the way of its calls.")
				}
				return err
			})
		},
	}
	deed.register(cmd)
	return cmd
}

func (a *app) changeGate(cmd *cobra.Command, account string, deed *deedFlags, change func(context.Context, *outbox.Store) error) error {
	if err := deed.check(a); err != nil {
		return err
	}
	return a.withStore(cmd, func(ctx context.Context, c config.Config, store *outbox.Store) error {
		if _, found := c.Vendors[account]; !found {
			return usagef("found account %q; the configuration has %v", account, accountNames(c))
		}
		if err := change(ctx, store); err != nil {
			return err
		}
		rows, err := vendorRows(ctx, c, store, a.now())
		if err != nil {
			return err
		}
		i := slices.IndexFunc(rows, func(r vendorRow) bool { return r.Account == account })
		return a.printOne(rows[i])
	})
}
