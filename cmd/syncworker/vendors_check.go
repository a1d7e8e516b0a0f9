package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"syncworker/internal/config"
	"syncworker/internal/dispatch"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

func (a *app) vendorsCheckCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "check [ACCOUNT...]",
		Short: "Prove that accounts work: fetch a token, make a harmless read",
		Long: `Logs in to each account, or to those that are named, and reads something that
needn't exist. Nothing is written at the vendor. The token is the one that the
workers share: a check fetches none where they have one. The call counts against the
account's daily quota, and is made when that is used up as well.

Exits with 1 where an account failed.`,
		Example: "  syncworker vendors check\n  syncworker vendors check dmhub -o json",
		RunE: func(cmd *cobra.Command, args []string) error {
			return a.withStore(cmd, func(ctx context.Context, c config.Config, store *outbox.Store) error {
				for _, name := range args {
					if _, found := c.Vendors[name]; !found {
						return usagef("found account %q; the configuration has %v", name, accountNames(c))
					}
				}
				accounts, err := buildAccounts(c, store, a.now)
				if err != nil {
					return err
				}
				if len(args) > 0 {
					accounts = slices.DeleteFunc(accounts, func(x dispatch.Account) bool { return !slices.Contains(args, x.Name) })
				}
				return a.checkAccounts(ctx, c, store, accounts)
			})
		},
	}
}

// checkRow is what one account answered.
type checkRow struct {
	Account string        `json:"account"`
	Kind    string        `json:"kind"`
	Result  string        `json:"result"` // ok or failed
	Class   vendors.Class `json:"class"`
	Status  int           `json:"http_status" col:"HTTP"` // 0: no reply came
	Code    string        `json:"vendor_code" col:"CODE"`
	Message string        `json:"message"`
	TookMs  int64         `json:"took_ms"`
}

func (a *app) checkAccounts(ctx context.Context, c config.Config, store *outbox.Store, accounts []dispatch.Account) error {
	if len(accounts) == 0 {
		return errors.New("the configuration has no accounts: add one under vendors")
	}
	rows, failed := make([]checkRow, len(accounts)), 0
	for i, account := range accounts {
		kind := c.Vendors[account.Name].Kind
		checker, ok := account.Vendor.(vendors.Checker)
		if !ok {
			return fmt.Errorf("vendors.%s: accounts of kind %s can't be checked", account.Name, kind)
		}
		began := a.now()
		r := checker.Check(ctx)
		if limit := account.Limits.Daily; limit > 0 && r.Class != vendors.NotSent {
			// A check is made when the quota is used up, too, and shows that it is.
			day, _ := outbox.QuotaDay(began)
			if _, err := store.ReserveQuota(ctx, account.Limits.App, day, max(r.Calls, 1), limit); err != nil {
				return err
			}
		}
		rows[i] = checkRow{
			Account: account.Name, Kind: kind, Result: "ok", Class: r.Class,
			Status: r.Status, Code: r.Code, Message: r.Message, TookMs: a.now().Sub(began).Milliseconds(),
		}
		if r.Class != vendors.Applied {
			rows[i].Result = "failed"
			failed++
		}
	}
	if err := a.print(rows); err != nil {
		return err
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d accounts failed", failed, len(rows))
	}
	return nil
}
