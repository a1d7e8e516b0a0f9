package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"syncworker/internal/config"
	"syncworker/internal/devstack"
	"syncworker/internal/devstack/devtest"
	"syncworker/internal/event"
	"syncworker/internal/trade"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/every"
	"syncworker/internal/vendors/heyshop"
	"syncworker/internal/vendors/pospal"
)

// devFolder is a folder for dev that leaves nothing behind.
func devFolder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "dev")
	t.Cleanup(func() {
		if _, err := os.Stat(filepath.Join(dir, "postgres")); err == nil {
			require.NoError(t, devstack.RemovePostgres(context.Background(), filepath.Join(dir, "postgres")))
		}
	})
	return dir
}

func TestDemoEndsAsItHasTo(t *testing.T) {
	dir := devFolder(t)
	for _, tt := range []struct {
		name, faults string
		day          uint64
	}{{"every call answered", "0", 1}, {"one call in five fails", "0.2", 2}} {
		var stdout, stderr bytes.Buffer
		code := run(t.Context(), []string{"dev", "--dir", dir, "--demo", "--orders", "30", "--faults", tt.faults, "-o", "json"},
			nil, nil, &stdout, &stderr)
		require.Zero(t, code, "%s: %s", tt.name, stderr.String())
		require.Empty(t, stderr.String(), "quiet where stdout is no terminal")
		var report demoReport
		require.NoError(t, json.Unmarshal(stdout.Bytes(), &report))
		require.Empty(t, report.Problems)
		require.Equal(t, tt.day, report.Day, "the next demo in a folder is another day")
		requireEveryAccount(t, report)
		requireTwoScreens(t, report)
		require.Equal(t, tt.faults != "0", report.Faults > 0)
	}
	requireNoSecret(t, dir)
}

// requireEveryAccount: each event goes where it has to, and each vendor has exactly
// what is delivered there.
func requireEveryAccount(t *testing.T, report demoReport) {
	t.Helper()
	types, sum := map[string][]string{}, 0
	for _, row := range report.Types {
		types[row.Account] = append(types[row.Account], row.Type)
		sum += row.Published
		// All of the few refunds that are taken back may be with a person.
		require.True(t, row.Effects > 0 || row.Held+row.Waiting == row.Published, "%+v", row)
		require.GreaterOrEqual(t, row.Effects, row.Delivered, "%+v", row)
	}
	all := map[string]bool{}
	for kind, account := range map[string]string{"dmhub-loyalty": "dmhub", "dmhub-deals": "dmhub-deals", "heyshop": "heyshop", "pospal": "pospal"} {
		i := slices.IndexFunc(every.Kinds(), func(k vendors.Kind) bool { return k.Name == kind })
		var takes []string
		for _, typ := range every.Kinds()[i].Takes {
			takes = append(takes, string(typ))
			all[string(typ)] = true
		}
		require.ElementsMatch(t, takes, types[account], "%s takes all that its kind can", account)
	}
	require.Len(t, all, len(event.Types()))
	require.Equal(t, report.Deliveries, sum)
	require.Greater(t, report.Deliveries, report.Events, "an order goes to two accounts")
	require.Len(t, report.Books, len(demoBooks))
	for _, b := range report.Books {
		require.True(t, b.Agree, "%+v", b)
		require.True(t, b.Vendor.IsPositive(), "%+v", b)
	}
}

// requireTwoScreens: people see each account, and no more than they can take in.
func requireTwoScreens(t *testing.T, report demoReport) {
	t.Helper()
	var out bytes.Buffer
	a := &app{stdout: &out, output: outputTable}
	require.NoError(t, a.printDemo(nil, &report, devOptions{exit: true}))
	for _, b := range report.Books {
		require.Regexp(t, `(?m)^│ `+b.Account+` +│`, out.String())
	}
	require.Contains(t, out.String(), "Everything ended as it had to")
	lines := strings.Split(out.String(), "\n")
	require.LessOrEqual(t, len(lines), 120)
	for _, line := range lines {
		require.LessOrEqual(t, len([]rune(line)), 132)
	}
}

// requireNoSecret: what people look at has no secret in it, and the files that
// have one are the owner's alone.
func requireNoSecret(t *testing.T, dir string) {
	t.Helper()
	secret, err := os.ReadFile(filepath.Join(dir, "sandbox.secret"))
	require.NoError(t, err)
	pgpass, err := os.ReadFile(filepath.Join(dir, "pgpass"))
	require.NoError(t, err)
	password := pgpass[strings.LastIndexByte(string(pgpass), ':')+1:]
	for _, name := range []string{"syncworker.yaml", "worker.log"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		require.NotEmpty(t, text)
		require.NotContains(t, string(text), string(secret), name)
		require.NotContains(t, string(text), strings.TrimSpace(string(password)), name)
		require.NotRegexp(t, `\b(1380000|1[578]00[12]00)\d{4}\b`, string(text), "a member's mobile number in %s", name)
		require.NotContains(t, string(text), trade.Person, name)
	}
	for _, name := range []string{"syncworker.yaml", "sandbox.secret", "pgpass", "worker.log"} {
		info, err := os.Stat(filepath.Join(dir, name))
		require.NoError(t, err)
		require.Equal(t, os.FileMode(0o600), info.Mode().Perm(), name)
	}
}

// until polls what another part of the process brings about.
func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	require.Eventually(t, done, 30*time.Second, 20*time.Millisecond, what)
}

func ready(dir string) bool {
	c, err := config.Load(filepath.Join(dir, "syncworker.yaml"), nil, kinds())
	if err != nil {
		return false
	}
	reply, err := http.Get("http://" + c.HTTP.Listen + "/readyz")
	if err != nil {
		return false
	}
	defer reply.Body.Close() //nolint:errcheck // only its status counts
	return reply.StatusCode == http.StatusOK
}

func TestDevStaysUpAndKeepsItsFolderForItself(t *testing.T) {
	dir := devFolder(t)
	ctx, stop := context.WithCancel(t.Context())
	var stdout bytes.Buffer
	log := &devtest.Log{}
	ended := make(chan int, 1)
	go func() { ended <- run(ctx, []string{"dev", "--dir", dir}, nil, nil, &stdout, log) }()
	t.Cleanup(stop)
	until(t, "dev is ready", func() bool { return ready(dir) })

	var stderr bytes.Buffer
	require.Equal(t, exitFailed, run(t.Context(), []string{"dev", "--dir", dir}, nil, nil, &bytes.Buffer{}, &stderr))
	require.Contains(t, stderr.String(), "another syncworker dev runs in "+dir)

	var status bytes.Buffer
	file := filepath.Join(dir, "syncworker.yaml")
	require.Zero(t, run(t.Context(), []string{"--config", file, "migrate", "status"}, nil, nil, &status, &stderr), stderr.String())
	require.Contains(t, status.String(), "0001_outbox.sql")

	stop()
	require.Zero(t, <-ended, "ending dev is no failure")
	require.Contains(t, stdout.String(), file)
	require.NotContains(t, stdout.String(), "password")
}

func TestDevRefusesFlagsThatDoNotGoTogether(t *testing.T) {
	for _, tt := range []struct{ args, want string }{
		{"--orders 50", "--orders goes with --demo"},
		{"--exit", "--exit goes with --demo"},
		{"--demo --orders 3", "want at least 25"},
		{"--demo --points -1", "want a positive number"},
		{"--demo --faults 1.5", "want a share from 0 to 1"},
		{"--fresh --database postgres://x", "leave one of them out"},
	} {
		var stderr bytes.Buffer
		args := append([]string{"dev", "--dir", filepath.Join(t.TempDir(), "dev")}, strings.Fields(tt.args)...)
		require.Equal(t, exitUsage, run(t.Context(), args, nil, nil, &bytes.Buffer{}, &stderr), tt.args)
		require.Contains(t, stderr.String(), tt.want)
	}
}

func TestCompareFindsWhatTheBooksHide(t *testing.T) {
	d := decimal.RequireFromString
	for _, tt := range []struct {
		name         string
		ours, theirs entries
		open         map[string][]decimal.Decimal
		agree        bool
		undecided    string
		differing    []string
	}{
		{"the same", entries{"a": d("1.10")}, entries{"a": d("1.1")}, nil, true, "0", nil},
		{"nothing", entries{}, entries{}, nil, true, "0", nil},
		{"an effect is missing", entries{"a": d("1.10")}, entries{}, nil, false, "0", []string{"a"}},
		{"an effect too many", entries{}, entries{"a": d("1.10")}, nil, false, "0", []string{"a"}},
		{"equal sums of different orders", entries{"a": d("1")}, entries{"b": d("1")}, nil, false, "0", []string{"a", "b"}},
		{"a held one took effect", entries{"a": d("1")}, entries{"a": d("3.5")}, map[string][]decimal.Decimal{"a": {d("2.5")}}, true, "2.5", nil},
		{"a held one had no effect", entries{"a": d("1")}, entries{"a": d("1")}, map[string][]decimal.Decimal{"a": {d("2.5")}}, true, "0", nil},
		{"one of two held ones did", entries{}, entries{"a": d("2")}, map[string][]decimal.Decimal{"a": {d("2.5"), d("2")}}, true, "2", nil},
		{"both did", entries{}, entries{"a": d("4.5")}, map[string][]decimal.Decimal{"a": {d("2.5"), d("2")}}, true, "4.5", nil},
		{"a held one took effect twice", entries{}, entries{"a": d("5")}, map[string][]decimal.Decimal{"a": {d("2.5")}}, false, "0", []string{"a"}},
		{"another order's is held", entries{}, entries{"a": d("2.5")}, map[string][]decimal.Decimal{"b": {d("2.5")}}, false, "0", []string{"a"}},
		{"a held deletion took effect", entries{"a": d("2.5")}, entries{}, map[string][]decimal.Decimal{"a": {d("-2.5")}}, true, "-2.5", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			row, differing := compare("dmhub", "sum", tt.ours, tt.theirs, tt.open)
			require.Equal(t, tt.agree, row.Agree)
			require.True(t, row.Undecided.Equal(d(tt.undecided)), row.Undecided.String())
			require.Equal(t, tt.differing, differing)
		})
	}
}

func TestSandboxServesUntilItIsStopped(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	secret := filepath.Join(t.TempDir(), "secret")
	require.NoError(t, os.WriteFile(secret, []byte("from-a-file\n"), 0o600))
	stdout := &devtest.Log{}
	var stderr bytes.Buffer
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"sandbox", "--listen", "127.0.0.1:0", "--members", "3", "--secret-file", secret, "--faults", "0.1", "-o", "json"},
			nil, nil, stdout, &stderr)
	}()
	until(t, "the sandbox says where it is", func() bool { return strings.Contains(stdout.String(), "\n") })
	require.NotContains(t, stdout.String(), "from-a-file")
	var info sandboxInfo
	require.NoError(t, json.Unmarshal([]byte(stdout.String()), &info))
	for _, app := range []string{info.AppID, info.DealsID} {
		reply, err := http.Get(info.URL + "/security/accesstoken?grant_type=client_credentials&appid=" + app + "&secret=from-a-file")
		require.NoError(t, err)
		var token map[string]any
		require.NoError(t, json.NewDecoder(reply.Body).Decode(&token))
		require.NoError(t, reply.Body.Close())
		require.Contains(t, token, "access_token")
	}
	for _, kind := range []vendors.Kind{heyshop.Kind, pospal.Kind} {
		account, err := kind.New(vendors.Setup{
			Name: kind.Name, BaseURL: info.URL, AppID: info.PospalID, Secret: "from-a-file", Timeout: 5 * time.Second, MaxInFlight: 1,
		})
		require.NoError(t, err)
		r := account.(vendors.Checker).Check(t.Context())
		require.Equal(t, vendors.Applied, r.Class, "%s: %s", kind.Name, r.Message)
	}
	stop()
	require.Zero(t, <-ended, stderr.String())
}
