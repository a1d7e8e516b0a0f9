package config

import (
	"testing"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
)

func TestRoutesNameEachAccountOnceInTheirOrder(t *testing.T) {
	loyalty := Account{Kind: "dmhub-loyalty"}
	c := Config{kinds: kinds, Vendors: map[string]Account{
		"a": loyalty, "b": loyalty, "c": loyalty, "shop": {Kind: "heyshop"},
	}, Routes: []Route{
		{Types: []string{"order.*"}, Tenants: []string{"*"}, Accounts: []string{"b", "a"}},
		{Types: []string{"order.created", "point.*"}, Tenants: []string{"cn-*", "hk"}, Accounts: []string{"a", "c"}},
		{Types: []string{"*"}, Tenants: []string{"wild"}, Accounts: []string{"a", "shop"}},
	}}
	for _, tt := range []struct {
		typ    event.Type
		tenant string
		want   []string
	}{
		{event.OrderCreated, "default", []string{"b", "a"}},
		{event.OrderCreated, "cn-north", []string{"b", "a", "c"}},
		{event.OrderRefunded, "hk", []string{"b", "a"}},
		{event.PointIncremented, "hk", []string{"a", "c"}},
		{event.PointIncremented, "hk-1", nil},
		{event.PointIncremented, "default", nil},
		{event.PointIncremented, "wild", []string{"a", "shop"}},
		{event.CouponDrawn, "wild", []string{"a"}},
		{event.LevelCreated, "wild", []string{"shop"}},
		{event.DeviceRegistered, "wild", nil},
	} {
		require.Equal(t, tt.want, c.Accounts(tt.typ, tt.tenant), "%s %s", tt.typ, tt.tenant)
	}
}

func TestAccountsWithOneAppIDShareOneToken(t *testing.T) {
	c := Config{Vendors: map[string]Account{
		"b": {BaseURL: "https://h", AppID: "1"}, "a": {BaseURL: "https://h", AppID: "1"},
		"c": {BaseURL: "https://h", AppID: "2"}, "d": {BaseURL: "https://other", AppID: "1"},
	}}
	for name, want := range map[string]string{"a": "a", "b": "a", "c": "c", "d": "d"} {
		require.Equal(t, want, c.TokenAccount(name))
	}
}

func TestWarningsNameWhatIsPerhapsNotMeant(t *testing.T) {
	c := load(t, account+`    base_url: http://127.0.0.1:9000
    semantics: {duplicate_uuid_reply: "1", existing_order_reply: "2", order_reads: deals}
  deals: {kind: dmhub-deals, app_id: x}
  spare: {kind: dmhub-loyalty, app_id: y}
routes: [{types: ["order.*", point.incremented], tenants: ["*"], accounts: [dmhub]}, {types: [order.created], accounts: [deals]}]
`)
	require.Equal(t, []string{
		"vendors.dmhub.base_url: http sends the secret and members' data unencrypted",
		"vendors.dmhub.semantics.order_reads: isn't used, since routes send orders of a tenant to this account and to one of kind dmhub-deals: a read can't tell which of them has made, cancelled or deleted an order",
		"vendors.dmhub.semantics.existing_order_reply: has no effect unless existing_order is refused",
		"vendors.dmhub.semantics.duplicate_uuid_reply: has no effect unless duplicate_uuid is refused",
		"vendors.spare: nothing uses this account; name it in routes",
		"routes: no route takes point.decremented of tenant default; such events are held as unrouted",
	}, c.Warnings())
}

func TestPatternsOfTenantsOverlapWhereSomeTenantMatchesBoth(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want bool
	}{
		{"*", "*", true}, {"*", "a", true}, {"a", "a", true}, {"a", "b", false}, {"a-*", "a-1", true},
		{"a-*", "a-1*", true}, {"a-*", "b-*", false}, {"a-*", "a", false},
	} {
		require.Equal(t, tt.want, overlap(tt.a, tt.b), "%s %s", tt.a, tt.b)
		require.Equal(t, tt.want, overlap(tt.b, tt.a), "%s %s", tt.b, tt.a)
	}
}
