package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"syncworker/internal/devstack/devtest"
)

func TestMain(m *testing.M) {
	testscript.Main(withServers{m}, map[string]func(){"syncworker": main})
}

// withServers runs the tests and ends the servers that they have started.
type withServers struct{ m *testing.M }

func (w withServers) Run() int {
	return devtest.Run(w.m)
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

// exits runs a command and wants the exit code: exits 2 syncworker nonsense.
func exits(ts *testscript.TestScript, _ bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: exits code command [args...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	var exit interface{ ExitCode() int }
	switch {
	case errors.As(err, &exit):
		got = fmt.Sprint(exit.ExitCode())
	case err != nil:
		ts.Fatalf("running %s: %v", args[1], err)
	}
	if got != args[0] {
		ts.Fatalf("%v exited with %s, want %s", args[1:], got, args[0])
	}
}

func TestExitCodes(t *testing.T) {
	for _, tt := range []struct {
		name    string
		err     error
		started bool
		code    int
		stderr  string
	}{
		{"done", nil, true, 0, ""},
		{"failed", errors.New("the database is down"), true, 1, "syncworker: the database is down\n"},
		{"before the command ran", errors.New("unknown flag: --x"), false, 2, "syncworker: unknown flag: --x\nRun 'syncworker --help' for usage.\n"},
		{"usage", usagef("found %d", 1), true, 2, "syncworker: found 1\nRun 'syncworker --help' for usage.\n"},
		{"person", fmt.Errorf("resolving: %w", needsPersonf("2 held")), true, 3, "syncworker: resolving: 2 held\n"},
		{"interrupted", fmt.Errorf("listing: %w", context.Canceled), true, 1, "syncworker: interrupted\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var stderr bytes.Buffer
			a := &app{stderr: &stderr, started: tt.started}
			require.Equal(t, tt.code, a.report(a.rootCmd(), tt.err))
			require.Equal(t, tt.stderr, stderr.String())
		})
	}
}

type outputRow struct {
	ID      int64           `json:"id"`
	OrderNo string          `json:"order_no"`
	At      *time.Time      `json:"at,omitempty" col:"DELIVERED"`
	Paid    decimal.Decimal `json:"paid"`
	Tags    []string        `json:"tags"`
	Reply   string          `json:"reply" col:"-"`
}

func outputRows() []outputRow {
	at := time.Date(2026, 11, 21, 16, 0, 0, 5, time.FixedZone("", 8*3600))
	return []outputRow{
		{ID: 902384756102938475, OrderNo: "订单-1", At: &at, Paid: decimal.RequireFromString("30.5"), Tags: []string{"a", "b"}, Reply: "<ok>"},
		{ID: 2, OrderNo: "x\x1b[31m\n\u202e", Reply: "no"},
	}
}

func TestTablesShowWhatAPersonReads(t *testing.T) {
	var out bytes.Buffer
	a := &app{stdout: &out, output: outputTable}
	require.NoError(t, a.print(outputRows()))
	require.Equal(t, ""+
		"ID                  ORDER NO           DELIVERED             PAID   TAGS\n"+
		"902384756102938475  订单-1             2026-11-21 08:00:00Z  30.50  a, b\n"+
		"2                   x\\x1b[31m\\n\\u202e                        0.00\n", out.String())
}

func TestAmountsHaveTwoDecimalsOrAsManyAsTheyHave(t *testing.T) {
	for text, want := range map[string]string{
		"0": "0.00", "30": "30.00", "30.5": "30.50", "-1.10": "-1.10", "30.505": "30.505", "30.5000": "30.50",
		"99999999999999.01": "99999999999999.01",
	} {
		require.Equal(t, want, amount(decimal.RequireFromString(text)), text)
	}
}

func TestJSONIsOneObjectPerLineWithEveryField(t *testing.T) {
	var out bytes.Buffer
	a := &app{stdout: &out, output: outputJSON}
	require.NoError(t, a.print(outputRows()))
	require.NoError(t, a.printOne(outputRows()[1]))
	second := `{"id":2,"order_no":"x\u001b[31m\n‮","paid":"0","tags":null,"reply":"no"}` + "\n"
	require.Equal(t, `{"id":902384756102938475,"order_no":"订单-1","at":"2026-11-21T16:00:00.000000005+08:00",`+
		`"paid":"30.5","tags":["a","b"],"reply":"<ok>"}`+"\n"+second+second, out.String())
}

func TestOneRowIsALinePerFieldThatIsSet(t *testing.T) {
	var out bytes.Buffer
	a := &app{stdout: &out, output: outputTable}
	require.NoError(t, a.printOne(versionRow{Version: "v1.2.3", Go: "go1.26", Platform: "linux/amd64"}))
	require.Equal(t, "VERSION   v1.2.3\nGO        go1.26\nPLATFORM  linux/amd64\n", out.String())
}

// A duration in a log or in JSON is a bare number: only its name says the unit.
func TestDurationsSayTheirUnitInTheirName(t *testing.T) {
	duration := regexp.MustCompile(`\.Dur\("(\w+)"|time\.Duration +.json:"(\w+)`)
	found := 0
	for _, pattern := range []string{"*.go", "../../internal/*/*.go", "../../internal/vendors/*/*.go"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, file := range files {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			for _, name := range duration.FindAllStringSubmatch(string(text), -1) {
				found++
				require.NotEmpty(t, name[1], "%s: %s has nanoseconds in JSON: make it a number of _ms", file, name[2])
				require.True(t, strings.HasSuffix(name[1], "_ms"), "%s: %s", file, name[1])
			}
		}
	}
	require.Positive(t, found)
}

func TestVersionPrefersWhatTheLinkerSet(t *testing.T) {
	info := &debug.BuildInfo{Main: debug.Module{Version: "v1.0.0"}, Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}}}
	require.Equal(t, "v1.0.0", buildVersion("", info).Version)
	require.Equal(t, "abc", buildVersion("", info).Revision)
	require.Equal(t, "v2.0.0", buildVersion("v2.0.0", info).Version)
	require.Equal(t, "(devel)", buildVersion("", nil).Version)
}
