package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"

	"syncworker/internal/config"
	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

// withStore runs f with the configuration and a connection to the outbox.
func (a *app) withStore(cmd *cobra.Command, f func(context.Context, config.Config, *outbox.Store) error) error {
	c, err := a.config()
	if err != nil {
		return err
	}
	store, err := openStore(cmd.Context(), c, outbox.Open)
	if err != nil {
		return err
	}
	defer store.Close()
	return f(cmd.Context(), c, store)
}

// filterFlags are the flags that choose deliveries.
type filterFlags struct {
	states, accounts, types, tenants, reasons, codes, orders, members []string

	period periodFlags
}

func (f *filterFlags) register(cmd *cobra.Command, reasonFlag string) {
	flags := cmd.Flags()
	flags.StringSliceVar(&f.states, "state", nil, "`state`: "+strings.Join(stateNames(), ", "))
	flags.StringSliceVar(&f.accounts, "account", nil, "`account` of the configuration")
	flags.StringSliceVar(&f.types, "type", nil, "event `type`, such as order.refunded, or several as in routes: 'order.*'")
	flags.StringSliceVar(&f.tenants, "tenant", nil, "`tenant`")
	flags.StringSliceVar(&f.reasons, reasonFlag, nil, "`reason` of the state, such as superseded")
	flags.StringSliceVar(&f.codes, "code", nil, "the vendor's `code` in the last attempt")
	flags.StringSliceVar(&f.orders, "order", nil, "order `number`")
	flags.StringSliceVar(&f.members, "member", nil, "`member`: membershipId, mobile number, or type:value")
	f.period.register(cmd, "received")
	for flag, values := range map[string][]string{"state": stateNames(), "type": typeNames()} {
		// The only error would be a flag that doesn't exist.
		_ = cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(values, cobra.ShellCompDirectiveNoFileComp))
	}
}

func stateNames() []string {
	return []string{"pending", "waiting", "inflight", "unknown", "held", "delivered", "dead", "cancelled"}
}

func typeNames() []string {
	var names []string
	for _, t := range event.Types() {
		names = append(names, string(t))
	}
	return names
}

// typesOf are the types that a pattern names: one, or as in routes all that begin
// with what stands before its *.
func typesOf(pattern string) []event.Type {
	prefix, open := strings.CutSuffix(pattern, "*")
	return slices.DeleteFunc(event.Types(), func(t event.Type) bool {
		return string(t) != pattern && !(open && strings.HasPrefix(string(t), prefix))
	})
}

// oneOf wants the values of a flag to be known.
func oneOf(flag string, values, known []string) error {
	for _, value := range values {
		if !slices.Contains(known, value) {
			return usagef("found --%s %q; want one of %s", flag, value, strings.Join(known, ", "))
		}
	}
	return nil
}

// filter reads the flags, and ids from the arguments: apart, or with commas.
func (f *filterFlags) filter(args []string, c config.Config, now time.Time) (outbox.Filter, error) {
	chosen := outbox.Filter{
		Accounts: f.accounts, OrderNos: f.orders, Members: f.members, Tenants: f.tenants, Reasons: f.reasons, Codes: f.codes,
	}
	if err := oneOf("state", f.states, stateNames()); err != nil {
		return chosen, err
	}
	for _, state := range f.states {
		chosen.States = append(chosen.States, outbox.State(state))
	}
	for _, pattern := range f.types {
		types := typesOf(pattern)
		if len(types) == 0 {
			return chosen, usagef("found --type %q; want one of %s, or a pattern such as 'order.*'", pattern, strings.Join(typeNames(), ", "))
		}
		chosen.Types = append(chosen.Types, types...)
	}
	for _, arg := range args {
		for _, text := range strings.Split(arg, ",") {
			id, err := parseID(text)
			if err != nil {
				return chosen, err
			}
			chosen.IDs = append(chosen.IDs, id)
		}
	}
	var err error
	chosen.Since, chosen.Until, err = f.period.parse(c, now)
	return chosen, err
}

func parseID(arg string) (int64, error) {
	id, err := strconv.ParseInt(arg, 10, 64)
	if err != nil || id <= 0 {
		return 0, usagef("found %q; want an id, as the lists show it", arg)
	}
	return id, nil
}

// periodFlags are --since and --until.
type periodFlags struct{ since, until string }

func (p *periodFlags) register(cmd *cobra.Command, what string) {
	cmd.Flags().StringVar(&p.since, "since", "",
		what+" from this `time` on: 2026-11-21T08:00:00+08:00, 2026-11-21 (in finance.time_zone), or how long ago: 2h, 7d")
	cmd.Flags().StringVar(&p.until, "until", "", what+" before this `time`; the same forms")
}

func (p *periodFlags) parse(c config.Config, now time.Time) (since, until time.Time, err error) {
	if since, err = parseWhen("since", p.since, c, now); err == nil {
		until, err = parseWhen("until", p.until, c, now)
	}
	return since, until, err
}

func parseWhen(flag, value string, c config.Config, now time.Time) (time.Time, error) {
	if value == "" {
		return time.Time{}, nil
	}
	if t, err := time.Parse(time.RFC3339, value); err == nil {
		return t, nil
	}
	zone, err := time.LoadLocation(c.Finance.TimeZone)
	if err != nil {
		return time.Time{}, fmt.Errorf("finance.time_zone: %w", err)
	}
	if t, err := time.ParseInLocation(time.DateOnly, value, zone); err == nil {
		return t, nil
	}
	if days, found := strings.CutSuffix(value, "d"); found {
		if n, err := strconv.Atoi(days); err == nil && n >= 0 && n < 100000 {
			return now.Add(-time.Duration(n) * 24 * time.Hour), nil
		}
	}
	if d, err := time.ParseDuration(value); err == nil && d >= 0 {
		return now.Add(-d), nil
	}
	return time.Time{}, usagef("found --%s %q; want a time such as 2026-11-21T08:00:00+08:00, a day such as 2026-11-21, or how long ago such as 2h or 7d", flag, value)
}

// deedFlags go with everything that a person does and that is recorded.
type deedFlags struct{ actor, why string }

func (d *deedFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&d.why, "reason", "", "`why` you do this; required to act, and kept in the audit")
	cmd.Flags().StringVar(&d.actor, "actor", "", "`who` does it; else $SYNCWORKER_ACTOR, else user@host")
}

// check wants a reason, and names the actor.
func (d *deedFlags) check(a *app) error {
	d.why = strings.TrimSpace(d.why)
	if d.why == "" {
		return usagef("--reason is missing: say why, it is kept in the audit")
	}
	if d.actor == "" {
		d.actor = a.env("SYNCWORKER_ACTOR")
	}
	if d.actor != "" {
		return nil
	}
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	name := fmt.Sprintf("uid %d", os.Getuid())
	if u, err := user.Current(); err == nil {
		name = u.Username
	}
	d.actor = name + "@" + host
	return nil
}

func accountNames(c config.Config) []string { return slices.Sorted(maps.Keys(c.Vendors)) }

// progress shows how far a long command is, on a terminal only; a total of -1 isn't
// known.
func (a *app) progress(total int, what string) *progressbar.ProgressBar {
	if !onTerminal(a.stderr) || total == 0 || total == 1 {
		return progressbar.DefaultSilent(int64(total))
	}
	return progressbar.NewOptions(total, progressbar.OptionSetWriter(a.stderr), progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(), progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish(),
		progressbar.OptionThrottle(100*time.Millisecond))
}
