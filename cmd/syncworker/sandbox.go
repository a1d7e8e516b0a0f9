package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"syncworker/internal/sandbox"
)

// The logins that the sandbox knows: DM Hub's loyalty and customer deals, which
// have the same members, a HeyShop shop and a Pospal store.
const (
	sandboxApp     = "sandbox"
	sandboxDeals   = "sandbox-deals"
	sandboxHeyShop = "sandbox-heyshop" // in the ledger: a HeyShop account has a secret alone
	sandboxPospal  = "sandbox-pospal"
	// sandboxSecret is what opens the simulation where nobody chose another.
	sandboxSecret = "sandbox"
)

type sandboxOptions struct {
	listen     string
	secretFile string
	members    int
	mobile     string
	points     int64
	faults     float64
	latency    time.Duration
}

func (a *app) sandboxCmd() *cobra.Command {
	var o sandboxOptions
	cmd := &cobra.Command{
		Use:     "sandbox",
		GroupID: groupRun,
		Short:   "Run the simulated vendors alone",
		Long: `Simulates the HTTP APIs of DM Hub, HeyShop and Pospal as their documents describe
them, in memory: members, orders, refunds, points, coupons and levels, with a ledger
of every effect that a call has had. It is for trying things out, and it forgets
everything when it ends.

There is a login for each kind of account: the app id ` + sandboxApp + ` for dmhub-loyalty,
` + sandboxDeals + ` for dmhub-deals, which has the same members and orders, ` + sandboxPospal + `
for pospal, and for heyshop the secret alone. What it holds and has seen can be read
under /sandbox/ (summary, ledger, orders, members); POST /sandbox/faults and
/sandbox/switches change how it behaves while it runs.`,
		Example: `  syncworker sandbox --listen 127.0.0.1:8090 --members 100 --mobile 13800000000
  syncworker sandbox --faults 0.1          # one write in ten fails, before or after its effect
  curl -s localhost:8090/sandbox/summary`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.sandbox(cmd.Context(), o) },
	}
	flags := cmd.Flags()
	flags.StringVar(&o.listen, "listen", "127.0.0.1:8090", "`host:port` to listen on; port 0 picks a free one")
	flags.StringVar(&o.secretFile, "secret-file", "", "`file` with the secret of all logins; without it the secret is the word "+sandboxSecret)
	flags.IntVar(&o.members, "members", 100, "how many members each vendor has at the start")
	flags.StringVar(&o.mobile, "mobile", "13800000000", "mobile number of the first member; the others count on from it")
	flags.Int64Var(&o.points, "points", 1000, "points that each member has at the start")
	flags.Float64Var(&o.faults, "faults", 0, "share of the writes that fail, from 0 to 1")
	flags.DurationVar(&o.latency, "latency", 0, "how long each call takes")
	return cmd
}

// sandbox serves until the context ends.
func (a *app) sandbox(ctx context.Context, o sandboxOptions) error {
	secret := sandboxSecret
	if o.secretFile != "" {
		text, err := os.ReadFile(o.secretFile)
		if err != nil {
			return fmt.Errorf("--secret-file: %w", err)
		}
		if secret = strings.TrimSpace(string(text)); secret == "" {
			return usagef("--secret-file %s is empty: put the secret in it", o.secretFile)
		}
	}
	rules, err := faultRules(o.faults)
	if err != nil {
		return err
	}
	vendor, err := newSandbox(secret, sandbox.Switches{Latency: sandbox.Duration(o.latency)}, rules)
	if err != nil {
		return err
	}
	var ids []int64 // the same in each store
	for _, store := range []string{"", storeHeyShop, storePospal} {
		ids, err = vendor.SeedMembers(sandbox.Seed{Store: store, Count: o.members, Mobile: o.mobile, Points: o.points})
		if err != nil {
			return err
		}
	}
	server, err := sandbox.Listen(o.listen, vendor)
	if err != nil {
		return err
	}
	if err := a.introduceSandbox(server.URL, o, ids); err != nil {
		_ = server.Close() // the error that counts is the first
		return err
	}
	<-ctx.Done()
	return server.Close()
}

// The sandbox's stores: what DM Hub has is in the one without a name.
const (
	storeHeyShop = "heyshop"
	storePospal  = "pospal"
)

// newSandbox is a shop's vendors with a login of each kind.
func newSandbox(secret string, switches sandbox.Switches, rules []sandbox.Rule) (*sandbox.Sandbox, error) {
	return sandbox.New(sandbox.Config{
		Accounts: []sandbox.Account{
			{AppID: sandboxApp, Secret: secret}, {AppID: sandboxDeals, Secret: secret},
			{AppID: sandboxHeyShop, Secret: secret, Store: storeHeyShop, Vendor: sandbox.HeyShop},
			{AppID: sandboxPospal, Secret: secret, Store: storePospal, Vendor: sandbox.Pospal},
		},
		Switches:  switches,
		Rules:     rules,
		Seed:      1,
		KeepCalls: 100_000,
	})
}

// faultRules makes this share of the writes fail, in ways that leave the caller
// with nothing to go by: half of them took effect. Some are slow or ask for
// patience, but not many: each of those stops the whole account for a while.
func faultRules(share float64) ([]sandbox.Rule, error) {
	if share < 0 || share > 1 {
		return nil, usagef("found --faults %g; want a share from 0 to 1", share)
	}
	if share == 0 {
		return nil, nil
	}
	return []sandbox.Rule{
		{Faults: []sandbox.Fault{sandbox.ThrottleSeconds}, Nth: 50},
		{Faults: []sandbox.Fault{sandbox.TokenExpired}, Nth: 150},
		{Faults: []sandbox.Fault{"hang_before"}, Nth: 20},
		{Faults: []sandbox.Fault{"hang_after"}, Nth: 30},
		{Rate: share, Faults: []sandbox.Fault{
			"error_before", "error_after", "error_500_before", "error_500_after", "error_blank_before", "error_number_after",
			"reset_before", "reset_after", "html_before", "html_after", "bad_gateway_before", "bad_gateway_after",
			"truncated_before", "truncated_after", "empty_before", "empty_after", sandbox.Redirect,
		}},
	}, nil
}

// sandboxInfo is what somebody needs to use the sandbox.
type sandboxInfo struct {
	URL      string `json:"url"`
	AppID    string `json:"app_id"`        // kind dmhub-loyalty
	DealsID  string `json:"deals_app_id"`  // kind dmhub-deals
	PospalID string `json:"pospal_app_id"` // kind pospal
	HeyShop  string `json:"heyshop"`       // kind heyshop
	Secret   string `json:"secret"`
	Members  string `json:"members"`
}

func (a *app) introduceSandbox(url string, o sandboxOptions, ids []int64) error {
	info := sandboxInfo{
		URL: url, AppID: sandboxApp, DealsID: sandboxDeals, PospalID: sandboxPospal, HeyShop: "the secret alone",
		Secret: "the word " + sandboxSecret, Members: "none",
	}
	if o.secretFile != "" {
		info.Secret = "as in " + o.secretFile
	}
	if len(ids) > 0 {
		info.Members = fmt.Sprintf("%d to %d, %d points each, mobile %s and up", ids[0], ids[len(ids)-1], o.points, o.mobile)
	}
	return a.printOne(info)
}
