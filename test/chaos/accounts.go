package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"syncworker/internal/sandbox"
	"syncworker/test/chaos/check"
)

// The accounts of the workers, and the tenants whose events they get.
const (
	account        = "dmhub"
	dealsAccount   = "deals" // reads of dmhub's orders; nothing is routed to it
	crmAccount     = "crm"   // customer deals of another DM Hub, with the same members
	heyshopAccount = "heyshop"
	pospalAccount  = "pospal"

	appID     = "app"
	dealsApp  = "deals"
	crmApp    = "crm"
	heyshopID = "heyshop" // in the ledger: an account of HeyShop's has a secret alone
	pospalApp = "pospal"

	crmStore, heyshopStore, pospalStore = "crm", "heyshop", "pospal"

	otherTenant, webTenant = "brand-b", "brand-web"
)

// manyCalls is a daily quota that no run uses up.
const manyCalls = 1_000_000

// logins are the vendors' side of the accounts.
func logins() []sandbox.Account {
	return []sandbox.Account{
		{AppID: appID, Secret: secret}, {AppID: dealsApp, Secret: secret},
		{AppID: crmApp, Secret: secret, Store: crmStore},
		{AppID: heyshopID, Secret: secret, Store: heyshopStore, Vendor: sandbox.HeyShop},
		{AppID: pospalApp, Secret: secret, Store: pospalStore, Vendor: sandbox.Pospal},
	}
}

// accounts are those that something is routed to, by name.
func accounts() map[string]check.Account {
	return map[string]check.Account{
		account: {Kind: "dmhub-loyalty"}, crmAccount: {Kind: "dmhub-deals", Store: crmStore},
		heyshopAccount: {Kind: "heyshop", Store: heyshopStore}, pospalAccount: {Kind: "pospal", Store: pospalStore},
	}
}

// routes say which events go where. An order of the second tenant goes to two
// accounts, but where dmhub's orders are read: order_reads isn't used beside customer
// deals.
func routes(told string) []check.Route {
	shops := []string{"default", otherTenant}
	both := []string{account, crmAccount}
	if told != toldNothing {
		both = both[:1]
	}
	return []check.Route{
		{Types: []string{"order.*"}, Tenants: shops[:1], Accounts: []string{account}},
		{Types: []string{"order.*"}, Tenants: shops[1:], Accounts: both},
		{Types: []string{"point.*", "member.*", "device.*", "coupon.drawn", "coupon.redeemed"}, Tenants: shops, Accounts: []string{account}},
		{Types: []string{"coupon.code_added", "coupon.code_used"}, Tenants: shops, Accounts: []string{pospalAccount}},
		{Types: []string{"point.*", "level.*"}, Tenants: []string{webTenant}, Accounts: []string{heyshopAccount}},
	}
}

// secrets are the environment of all processes that talk to the vendors.
func secrets() (env []string) {
	for _, name := range []string{account, dealsAccount, crmAccount, heyshopAccount, pospalAccount} {
		env = append(env, "SYNCWORKER_VENDORS_"+strings.ToUpper(name)+"_SECRET="+secret)
	}
	return env
}

// writeAccounts writes the accounts and routes of a worker's configuration.
func (h *harness) writeAccounts(b *strings.Builder, vendorURL string) {
	b.WriteString("vendors:\n")
	for _, a := range []struct {
		name, kind, more string
		semantics        map[string]string
	}{
		{account, "dmhub-loyalty", "app_id: " + appID, h.run.Semantics},
		{dealsAccount, "dmhub-deals", "app_id: " + dealsApp, nil},
		{crmAccount, "dmhub-deals", "app_id: " + crmApp, nil},
		{heyshopAccount, "heyshop", "", map[string]string{"negative_points": "sent"}},
		{pospalAccount, "pospal", fmt.Sprintf("app_id: %s, daily_quota: %d", pospalApp, manyCalls), nil},
	} {
		if a.more != "" {
			a.more += ", "
		}
		fmt.Fprintf(b, "  %s: {kind: %s, base_url: %q, %stimeout: %s, max_in_flight: %d, rate_limit: 0, quiet_period: %s, "+
			"early_grace: 3s, retry: {initial: 20ms, max: 300ms}, semantics: {",
			a.name, a.kind, vendorURL, a.more, timeout, maxFlight, quiet)
		for _, name := range slices.Sorted(maps.Keys(a.semantics)) {
			fmt.Fprintf(b, "%s: %q, ", name, a.semantics[name])
		}
		b.WriteString("}}\n")
	}
	b.WriteString("routes:\n")
	for _, r := range h.run.Routes {
		fmt.Fprintf(b, "  - {types: [\"%s\"], tenants: [%s], accounts: [%s]}\n",
			strings.Join(r.Types, `", "`), strings.Join(r.Tenants, ", "), strings.Join(r.Accounts, ", "))
	}
}
