package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/config"
	"syncworker/internal/event"
	"syncworker/internal/sandbox"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/every"
)

// TestScriptsOfWhatVendorsHave runs the commands that read vendors against all four
// kinds of account, each script with its own.
func TestScriptsOfWhatVendorsHave(t *testing.T) {
	files, err := filepath.Glob("testdata/vendors/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run("with servers", func(t *testing.T) {
			s := newStack(t, sandbox.Switches{Pospal: sandbox.PospalSwitches{PageSize: 2}})
			s.withEveryVendor(t)
			s.runScript(t, file, accountNames(s.config)...)
		})
	}
}

// withEveryVendor adds accounts at the other vendors, and customers there.
func (s *stack) withEveryVendor(t *testing.T) {
	t.Helper()
	dmhub := s.config.Vendors["dmhub"]
	dmhub.Semantics.OrderReads = "deals"
	s.config.Vendors["dmhub"] = dmhub
	for name, app := range map[string]string{"heyshop": "shop", "pospal": "pospal"} {
		account := kinds().Account(name)
		account.BaseURL, account.AppID, account.Secret = dmhub.BaseURL, app, canarySecret
		account.Timeout, account.QuietPeriod, account.RateLimit = time.Second, 500*time.Millisecond, 0
		account.Retry = dmhub.Retry
		s.config.Vendors[name] = account
	}
	s.config.Routes = []config.Route{
		{Types: []string{"order.*", "point.*", "member.*", "device.*"}, Tenants: []string{"default"}, Accounts: []string{"dmhub"}},
		{Types: []string{"point.*", "level.*"}, Tenants: []string{"shop"}, Accounts: []string{"heyshop"}},
		{Types: []string{"coupon.code_added", "coupon.code_used"}, Tenants: []string{"*"}, Accounts: []string{"pospal"}},
	}
	for store, id := range map[string]int64{"": 16508, "heyshop": 50784, "pospal": 4711} {
		_, err := s.sandbox.SeedMembers(sandbox.Seed{Store: store, FirstID: id, Count: 2, Mobile: "13800000000", Points: 10})
		require.NoError(t, err)
	}
	const summer = 1199186483387900201
	for i := range 2*vendorPages + 1 { // more pages than are read for one delivery
		require.NoError(t, s.sandbox.SetPospalCode(sandbox.PospalCode{Store: "pospal", Promotion: summer, Customer: 4712, Code: fmt.Sprint("EARLIER", i)}))
	}
}

func TestReadsOfTheDocumentationExist(t *testing.T) {
	a := &app{now: time.Now}
	c := kinds().Default()
	c.Vendors = map[string]config.Account{}
	for account, kind := range map[string]string{"dmhub": "dmhub-loyalty", "deals": "dmhub-deals", "heyshop": "heyshop", "pospal": "pospal"} {
		settings := kinds().Account(kind)
		settings.AppID, settings.BaseURL = "app", "https://vendor.example"
		c.Vendors[account] = settings
	}
	named := 0
	for path, page := range pages(t) {
		for _, args := range commandsOf(page) {
			cmd, rest, err := a.rootCmd().Find(args)
			require.NoError(t, err)
			require.NoError(t, cmd.ParseFlags(rest))
			if cmd.CommandPath() == "syncworker vendors get" && cmd.Flags().NArg() > 1 && cmd.Flags().Arg(0) != "ACCOUNT" {
				_, err := a.resourceOf(c, cmd.Flags().Args())
				require.NoError(t, err, "%s: %v", path, args)
				named++
			}
		}
	}
	require.Positive(t, named)
}

func TestEveryKindOfAccountCanBeRead(t *testing.T) {
	for _, k := range every.Kinds() {
		settings := kinds().Account(k.Name)
		settings.AppID, settings.BaseURL = "app", "https://vendor.example"
		c := kinds().Default()
		c.Vendors = map[string]config.Account{"a": settings}
		_, reads, err := (&app{now: time.Now}).nameReads(c, "a")
		require.NoError(t, err, k.Name)
		names := resourceNames(reads.Resources())
		for _, e := range k.Endpoints {
			if e.Read != "" {
				require.Contains(t, names, e.Read, "%s: %s %s", k.Name, e.Method, e.Path)
			}
		}
		for _, r := range reads.Resources() {
			require.NotEmpty(t, r.About, r.Name)
			require.NotEmpty(t, r.Columns, r.Name)
			require.Truef(t, slices.ContainsFunc(k.Endpoints, func(e vendors.Endpoint) bool { return e.Read == r.Name }), "%s: %s is of no endpoint", k.Name, r.Name)
		}
	}
}

func TestOnlyWhatKeysNameIsTakenUnseen(t *testing.T) {
	rows := []json.RawMessage{[]byte(`{"id":5}`)}
	call := vendors.Call{Event: &event.Event{UUID: "l-0001"}}
	for name, tt := range map[string]struct {
		resource vendors.Resource
		want     int
	}{
		"one thing by its key": {vendors.Resource{Keys: []string{"id"}}, 0},
		"a list of one":        {vendors.Resource{}, -1},
		"a page of one":        {vendors.Resource{Keys: []string{"customer"}, Paged: true}, -1},
	} {
		require.Equal(t, tt.want, (&vendorRead{Resource: tt.resource, call: call}).choose(rows).row, name)
	}
}

func TestTimesWithoutAZoneAreTheVendors(t *testing.T) {
	c := kinds().Default()
	c.Vendors = map[string]config.Account{"dmhub": {Kind: "dmhub-loyalty"}, "pospal": {Kind: "pospal"}}
	for account, want := range map[string]int{"dmhub": 0, "pospal": 8 * 60 * 60} {
		_, offset := time.Date(2026, 11, 21, 0, 0, 0, 0, zoneOf(c, account)).Zone()
		require.Equal(t, want, offset, account)
	}
}
