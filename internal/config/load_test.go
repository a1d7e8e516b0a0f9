package config

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
)

// kinds are like those of the vendors that there are.
var kinds = Kinds{
	{Name: "dmhub-loyalty", BaseURL: "https://api.convertlab.com", NeedsAppID: true, Takes: []event.Type{
		event.OrderCreated, event.OrderUpdated, event.OrderCancelled, event.OrderDeleted, event.OrderRefunded,
		event.OrderRefundDeleted, event.PointIncremented, event.PointDecremented, event.CouponDrawn,
	}},
	{Name: "dmhub-deals", BaseURL: "https://api.convertlab.com", NeedsAppID: true, Takes: []event.Type{event.OrderCreated}},
	{Name: "heyshop", Takes: []event.Type{event.PointIncremented, event.PointDecremented, event.LevelCreated}},
	{Name: "pospal", NeedsAppID: true, DailyQuota: 3000, Takes: []event.Type{event.CouponCodeAdded}},
}

// account is the least that an account needs.
const account = `
vendors:
  dmhub:
    kind: dmhub-loyalty
    app_id: shop-1
`

func write(t *testing.T, yaml string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	require.NoError(t, os.WriteFile(path, []byte(yaml), 0o600))
	return path
}

func load(t *testing.T, yaml string, environ ...string) Config {
	t.Helper()
	c, err := Load(write(t, yaml), environ, kinds)
	require.NoError(t, err)
	return c
}

// problems loads what has to be wrong; lines are "LINE KEY: message" or, for
// what a variable set, "NAME KEY: message".
func problems(t *testing.T, yaml string, environ ...string) []string {
	t.Helper()
	path := write(t, yaml)
	_, err := Load(path, environ, kinds)
	var found Problems
	require.ErrorAs(t, err, &found)
	var lines []string
	for _, p := range found {
		where := p.Source
		if p.Line > 0 {
			require.Equal(t, path, p.Source)
			where = fmt.Sprint(p.Line)
		}
		lines = append(lines, fmt.Sprintf("%s %s: %s", where, p.Key, p.Message))
	}
	return lines
}

func TestWithoutFileAndVariablesTheDefaultsAreInForce(t *testing.T) {
	c, err := Load("", nil, kinds)
	require.NoError(t, err)
	c.origins, c.warnings = nil, nil
	require.Equal(t, kinds.Default(), c)
	require.ErrorContains(t, c.CheckWorker(), "SYNCWORKER_DATABASE_URL")
}

func TestFileOverridesDefaultsAndVariablesOverrideTheFile(t *testing.T) {
	c := load(t, `
nats:
  url: nats://nats:4222,nats://nats2:4222
  ack_wait: 45s
  max_bytes: 512MiB
database: {retention: 90d}
vendors:
  dm-hub:
    kind: dmhub-loyalty
    app_id: 123456789012345678901
    rate_limit: 0.5
    retry: {max: 5m}
    semantics:
      existing_order: refused
      existing_order_reply: 409000 已存在
routes:
  - types: ["order.*"]
    accounts: [dm-hub]
`, "SYNCWORKER_NATS_ACK_WAIT=50s",
		"SYNCWORKER_HTTP_LISTEN=", // empty counts as not set
		"SYNCWORKER_VENDORS_DM_HUB_RETRY_MAX_ATTEMPTS=7",
		"SYNCWORKER_VENDORS_DM_HUB_SECRET=s3cret",
		"SYNCWORKER_ROUTES_0_TENANTS=brand-a, brand-b",
		"PATH=/bin")

	want := kinds.Default()
	want.NATS.URL, want.NATS.AckWait, want.NATS.MaxBytes = "nats://nats:4222,nats://nats2:4222", 50*time.Second, 512<<20
	want.Database.Retention = 90 * 24 * time.Hour
	a := kinds.Account("dmhub-loyalty")
	a.AppID, a.Secret, a.RateLimit = "123456789012345678901", "s3cret", 0.5
	a.Retry.Max, a.Retry.MaxAttempts = 5*time.Minute, 7
	a.Semantics.ExistingOrder, a.Semantics.ExistingOrderReply = Refused, "409000 已存在"
	want.Vendors = map[string]Account{"dm-hub": a}
	want.Routes = []Route{{Types: []string{"order.*"}, Tenants: []string{"brand-a", "brand-b"}, Accounts: []string{"dm-hub"}}}

	c.origins, c.warnings, c.missing = nil, nil, nil
	require.Equal(t, want, c)
}

func TestAccountsAndRoutesCanStandInTheEnvironmentAlone(t *testing.T) {
	c, err := Load("", []string{
		"SYNCWORKER_VENDORS_MAIN_SHOP_KIND=dmhub-loyalty",
		"SYNCWORKER_VENDORS_MAIN_SHOP_APP_ID=shop-1",
		"SYNCWORKER_VENDORS_MAIN_SHOP_SEMANTICS_UUID_WINDOW=2h",
		`SYNCWORKER_ROUTES=[{types: ["*"], tenants: ["*"], accounts: [main_shop]}]`,
	}, kinds)
	require.NoError(t, err)
	require.Equal(t, 2*time.Hour, c.Vendors["main_shop"].Semantics.UUIDWindow)
	require.Equal(t, []string{"main_shop"}, c.Accounts(event.OrderCreated, "default"))
}

func TestTheKindOfAnAccountOfTheFileCanBeOverridden(t *testing.T) {
	a := load(t, account, "SYNCWORKER_VENDORS_DMHUB_KIND=dmhub-deals").Vendors["dmhub"]
	require.Equal(t, "dmhub-deals", a.Kind)
	require.Equal(t, "shop-1", a.AppID)
}

func TestEveryMistakeIsListedAtOnceWithItsPlace(t *testing.T) {
	require.Equal(t, []string{
		`3 nats.ack_wiat: unknown key; did you mean ack_wait? (known here: url, credentials_file, stream, consumer, ack_wait, max_ack_pending, replicas, max_bytes)`,
		`4 nats.replicas: found "many"; want a whole number`,
		`6 dispatch.lease: found 20s; want at least 30s, three times vendors.dmhub.timeout`,
		`9 vendors.dmhub.kind: found "dmhub-loyalti"; want dmhub-loyalty, dmhub-deals, heyshop, pospal; did you mean dmhub-loyalty?`,
		`10 vendors.dmhub.app_id: found a list; want one value`,
		`SYNCWORKER_HTTP_LISTEN http.listen: found "8080"; want host:port such as 127.0.0.1:8080`,
	}, problems(t, `
nats:
  ack_wiat: 30s
  replicas: many
dispatch:
  lease: 20s
vendors:
  dmhub:
    kind: dmhub-loyalti
    app_id: [a]
`, "SYNCWORKER_HTTP_LISTEN=8080"))
}

func TestWhatIsRefusedAndWhy(t *testing.T) {
	loyalty := account + "    "
	for _, tt := range []struct{ name, yaml, want string }{
		{"unknown section", "nast: {}", `1 nast: unknown key; did you mean nats?`},
		{"syntax", "nats: [", `1 : isn't YAML`},
		{"duplicate key", "nats:\n  stream: A\n  stream: B", `3 : isn't YAML: mapping key "stream" already defined`},
		{"second document", "nats: {}\n---\nhttp: {}", `3 : found a second YAML document`},
		{"anchor", "nats:\n  stream: &a SYNC", `2 : found a YAML anchor`},
		{"no mapping", "- nats", ` : found no keys`},
		{"section as value", "nats: fast", `1 nats: found "fast"; want keys below it: url`},
		{"duration without unit", "nats: {ack_wait: 30}", `nats.ack_wait: found "30"; want a duration with its unit`},
		{"ack_wait range", "nats: {ack_wait: 10ms}", `nats.ack_wait: found 10ms; want at least 1s`},
		{"size", "nats: {max_bytes: 10Gi}", `nats.max_bytes: found "10Gi"; want a size`},
		{"size overflow", "nats: {max_bytes: 9000000TiB}", `nats.max_bytes: found "9000000TiB"; want a size`},
		{"replicas", "nats: {replicas: 6}", `nats.replicas: found 6; want 1 to 5`},
		{"stream name", "nats: {stream: a.b}", `nats.stream: found "a.b"`},
		{"nats url", "nats: {url: '127.0.0.1:4222'}", `nats.url: found 127.0.0.1:4222; want nats://host:4222`},
		{"database url", "database: {url: 'mysql://u:hunter2@h/d'}", `database.url: found mysql://u:***@h/d; want postgres://`},
		{"url as section", "database: 'postgres://u:hunter2@h/d'", `1 database: found "postgres://u:***@h/d"; want keys below it: url`},
		{"url at the wrong key", "http: {listen: 'nats://u:hunter2@h'}", `http.listen: found "nats://u:***@h"; want host:port`},
		{"retention", "database: {retention: 1h}", `database.retention: found 1h; want 0 (for ever) or at least 24h`},
		{"retention and age", account + "database: {retention: 48h}", `database.retention: found 48h; want at least 96h: vendors.dmhub`},
		{"log level", "log: {level: warning}", `log.level: found "warning"; want debug, info, warn, error`},
		{"time zone", "finance: {time_zone: Shanghai}", `finance.time_zone: found "Shanghai"; want an IANA time zone`},
		{"local time zone", "finance: {time_zone: Local}", `finance.time_zone: found "Local"`},
		{"account name", "vendors:\n  DMHub: {kind: dmhub-loyalty}", `2 vendors.DMHub: found the account name "DMHub"; want 1 to 63 of a-z`},
		{"unknown kind", "vendors:\n  p:\n    kind: posbal", `3 vendors.p.kind: found "posbal"; want dmhub-loyalty, dmhub-deals, heyshop, pospal; did you mean pospal?`},
		{"no app id", "vendors:\n  p:\n    kind: dmhub-deals", `2 vendors.p.app_id: found "";`},
		{"secret in the file", loyalty + "secret: hunter2", `6 vendors.dmhub.secret: a secret has no place in the file; put it in the variable SYNCWORKER_VENDORS_DMHUB_SECRET, or in a file of its own that vendors.dmhub.secret_file names`},
		{"password in base_url", loyalty + "base_url: https://u:hunter2@h", `vendors.dmhub.base_url: found "https://u:***@h"; want https://host without user`},
		{"query in base_url", loyalty + "base_url: https://h?token=1", `vendors.dmhub.base_url: found`},
		{"scheme of base_url", loyalty + "base_url: ftp://h", `vendors.dmhub.base_url: found "ftp://h"`},
		{"in flight", loyalty + "max_in_flight: 0", `vendors.dmhub.max_in_flight: found 0; want at least 1`},
		{"rate", loyalty + "rate_limit: -1", `vendors.dmhub.rate_limit: found -1; want calls a second, 0 for no limit`},
		{"rate no number", loyalty + "rate_limit: .nan", `vendors.dmhub.rate_limit: found ".nan"; want a number`},
		{"unseen orders", loyalty + "unseen_orders: drop", `vendors.dmhub.unseen_orders: found "drop"; want hold, send`},
		{"uuid timeout", loyalty + "uuid_timeout: 1500ms", `vendors.dmhub.uuid_timeout: found 1.5s; want whole seconds`},
		{"retry", loyalty + "retry: {initial: 1h}", `vendors.dmhub.retry.max: found 10m; want at least retry.initial, which is 1h`},
		{"reply of an existing order", loyalty + "semantics: {existing_order: refused}", `vendors.dmhub.semantics.existing_order_reply: found ""; want the reply that was probed`},
		{"reply of a duplicate uuid", loyalty + "semantics: {duplicate_uuid: refused}", `vendors.dmhub.semantics.duplicate_uuid_reply: found ""`},
		{"semantics value", loyalty + "semantics: {duplicate_uuid: replaced}", `vendors.dmhub.semantics.duplicate_uuid: found "replaced"; want unknown, refused, echoed`},
		{"order_reads without account", loyalty + "semantics: {order_reads: deals}", `order_reads: found "deals"; want the name of a dmhub-deals account; deals is no account`},
		{"order_reads of another kind", loyalty + "semantics: {order_reads: dmhub}", `want the name of a dmhub-deals account; dmhub is dmhub-loyalty`},
		{"route to no account", account + "routes:\n  - {types: ['*'], accounts: [dmhup]}", `7 routes[0].accounts[0]: found "dmhup"; want an account below vendors (dmhub); did you mean dmhub?`},
		{"route of an event to a vendor without it", "vendors: {h: {kind: heyshop, base_url: https://h}}\nroutes: [{types: [level.created, coupon.drawn], accounts: [h]}]", `2 routes[0].accounts[0]: found "h"; want an account that takes coupon.drawn; those of kind heyshop take point.incremented, point.decremented, level.created`},
		{"route of a family to a vendor without any of it", "vendors: {h: {kind: heyshop, base_url: https://h}}\nroutes: [{types: [order.*], accounts: [h]}]", `2 routes[0].accounts[0]: found "h"; want an account that takes order.*`},
		{"no base URL", "vendors: {h: {kind: heyshop}}", `1 vendors.h.base_url: found ""; want https://host`},
		{"negative quota", account + "    daily_quota: -1", `6 vendors.dmhub.daily_quota: found -1; want calls a day`},
		{"route without accounts", "routes: [{types: ['*']}]", `routes[0].accounts: found ""; want at least one account`},
		{"type pattern", account + "routes: [{types: [orders.*], accounts: [dmhub]}]", `routes[0].types[0]: found "orders.*"; want *, order.*`},
		{"tenant pattern", account + "routes: [{types: ['*'], tenants: [A], accounts: [dmhub]}]", `routes[0].tenants[0]: found "A"; want a tenant`},
		{"list as value", account + "routes: [{types: 'order.*', accounts: [dmhub]}]", `routes[0].types: found "order.*"; want a list`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			found := strings.Join(problems(t, tt.yaml), "\n")
			require.Contains(t, found, tt.want)
			require.NotContains(t, found, "hunter2")
		})
	}
}

func TestVariablesThatSetNothing(t *testing.T) {
	for name, want := range map[string]string{
		"SYNCWORKER_NATS_ACK_WIAT":          "SYNCWORKER_NATS_ACK_WIAT : no setting has this name; did you mean SYNCWORKER_NATS_ACK_WAIT?",
		"SYNCWORKER_VENDORS_DMHUP_BASE_URL": "did you mean SYNCWORKER_VENDORS_DMHUB_BASE_URL?",
		"SYNCWORKER_ROUTES_1_TYPES":         "did you mean SYNCWORKER_ROUTES_0_TYPES?",
	} {
		found := problems(t, account+"routes: [{types: ['*'], accounts: [dmhub]}]", name+"=x")
		require.Len(t, found, 1)
		require.Contains(t, found[0], want)
	}
	c := load(t, account, "SYNCWORKER_NATS_SERVICE_HOST=10.0.0.1", "SYNCWORKER_NATS_PORT_4222_TCP_ADDR=10.0.0.1", "SYNCWORKER_NAST_URL=x")
	require.Contains(t, c.Warnings(), "SYNCWORKER_NAST_URL: no setting has this name; did you mean SYNCWORKER_NATS_URL?")
	require.NotContains(t, strings.Join(c.Warnings(), "\n"), "10.0.0.1")
	require.NotContains(t, strings.Join(c.Warnings(), "\n"), "SERVICE_HOST")
}

func TestAccountsThatShareAVariableAreRefused(t *testing.T) {
	found := problems(t, "vendors:\n  a-b: {kind: dmhub-deals, app_id: a}\n  a_b: {kind: dmhub-deals, app_id: b}")
	require.Equal(t, []string{
		"3 vendors.a_b: variables that begin with SYNCWORKER_VENDORS_A_B_ would set this account and a-b; rename one of the two",
	}, found)
}

func TestSecretComesFromAFileAndIsMissedOnlyByTheWorker(t *testing.T) {
	file := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(file, []byte("s3cret\n"), 0o600))
	yaml := account + "database: {url: 'postgres://h/d'}\n"

	c := load(t, yaml, "SYNCWORKER_VENDORS_DMHUB_SECRET_FILE="+file)
	require.Equal(t, "s3cret", string(c.Vendors["dmhub"].Secret))
	require.NoError(t, c.CheckWorker())
	var out bytes.Buffer
	require.NoError(t, c.Print(&out))
	require.Regexp(t, `# secret: \*\*\* +# SYNCWORKER_VENDORS_DMHUB_SECRET_FILE\n`, out.String())

	c = load(t, yaml, "SYNCWORKER_VENDORS_DMHUB_SECRET_FILE="+file+".not")
	require.ErrorContains(t, c.CheckWorker(), "SYNCWORKER_VENDORS_DMHUB_SECRET_FILE: vendors.dmhub.secret_file: reading the secret: open ")

	c = load(t, yaml)
	require.ErrorContains(t, c.CheckWorker(), "c.yaml:3: vendors.dmhub.secret: not set; put it in the variable SYNCWORKER_VENDORS_DMHUB_SECRET")

	require.NoError(t, os.WriteFile(file, []byte(" \n"), 0o600))
	c = load(t, yaml, "SYNCWORKER_VENDORS_DMHUB_SECRET_FILE="+file)
	require.ErrorContains(t, c.CheckWorker(), "found 2 bytes in ")
}

func TestSecretInTheFileIsRefusedThoughAVariableOverridesIt(t *testing.T) {
	found := problems(t, account+"    secret: hunter2", "SYNCWORKER_VENDORS_DMHUB_SECRET=hunter3")
	require.Len(t, found, 1)
	require.Contains(t, found[0], "6 vendors.dmhub.secret: a secret has no place in the file")
	require.Len(t, problems(t, account+"    secret: {value: hunter2}"), 1)
}

func TestFileThatIsNotThere(t *testing.T) {
	_, err := Load(filepath.Join(t.TempDir(), "no.yaml"), nil, kinds)
	require.ErrorIs(t, err, os.ErrNotExist)
	require.ErrorContains(t, err, "reading the configuration: open ")
}

func TestPrintMasksSecretsAndSaysWhereValuesCameFrom(t *testing.T) {
	path := write(t, account+`
database: {url: "postgres://syncworker:hunter2@db/outbox?sslpassword=hunter3"}
nats: {ack_wait: 72h}
`)
	c, err := Load(path, []string{
		"SYNCWORKER_VENDORS_DMHUB_SECRET=hunter4", "SYNCWORKER_NATS_URL=nats://hunter5@a:1,nats://u:hunter6@b:2",
	}, kinds)
	require.NoError(t, err)
	var out bytes.Buffer
	require.NoError(t, c.Print(&out))
	require.NotContains(t, out.String()+fmt.Sprintf("%v %+v %#v", c, c, c), "hunter")
	for _, line := range []string{
		`url: "postgres://syncworker:***@db/outbox?sslpassword=***" # ` + path + ":7",
		`url: "nats://***@a:1,nats://u:***@b:2"     # SYNCWORKER_NATS_URL`,
		`ack_wait: 72h                              # ` + path + ":8",
		`stream: "SYNC"                             # default`,
		`# secret: ***                            # SYNCWORKER_VENDORS_DMHUB_SECRET`,
	} {
		require.Contains(t, out.String(), line)
	}
}

func TestWhatPrintWritesLoadsToTheSame(t *testing.T) {
	c := load(t, `
database: {url: "postgres://u@h/d", retention: 100d}
vendors:
  "123": {kind: dmhub-deals, app_id: "a: b # c"}
  dmhub:
    kind: dmhub-loyalty
    app_id: "yes"
    rate_limit: 0.25
    semantics: {order_reads: "123", existing_order_reply: "\"409000\"\nx"}
routes:
  - {types: [order.created, "point.*"], tenants: [cn-*], accounts: [dmhub]}
`)
	var out bytes.Buffer
	require.NoError(t, c.Print(&out))
	again := load(t, out.String())
	c.origins, c.missing, again.origins, again.missing = nil, nil, nil, nil
	require.Equal(t, c, again, out.String())
}

func TestARefusedBaseURLShowsNothingButItsHost(t *testing.T) {
	_, err := Load("", []string{
		"SYNCWORKER_VENDORS_DMHUB_KIND=dmhub-loyalty", "SYNCWORKER_VENDORS_DMHUB_APP_ID=app",
		"SYNCWORKER_VENDORS_DMHUB_BASE_URL=https://user:hunter2@api.convertlab.com/x?access_token=hunter2",
	}, kinds)
	require.ErrorContains(t, err, "@api.convertlab.com/x?…")
	require.NotContains(t, err.Error(), "hunter2")
}
