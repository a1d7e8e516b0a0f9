package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
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
	ID      int64         `json:"id"`
	OrderNo string        `json:"order_no"`
	At      *time.Time    `json:"at,omitempty" col:"DELIVERED"`
	Took    time.Duration `json:"took_ns"`
	Tags    []string      `json:"tags"`
	Reply   string        `json:"reply" col:"-"`
}

func outputRows() []outputRow {
	at := time.Date(2026, 11, 21, 16, 0, 0, 5, time.FixedZone("", 8*3600))
	return []outputRow{
		{ID: 902384756102938475, OrderNo: "订单-1", At: &at, Took: 1500 * time.Microsecond, Tags: []string{"a", "b"}, Reply: "<ok>"},
		{ID: 2, OrderNo: "x\x1b[31m\n\u202e", Reply: "no"},
	}
}

func TestTablesShowWhatAPersonReads(t *testing.T) {
	var out bytes.Buffer
	a := &app{stdout: &out, output: outputTable}
	require.NoError(t, a.print(outputRows()))
	require.Equal(t, ""+
		"ID                  ORDER NO           DELIVERED             TOOK NS  TAGS\n"+
		"902384756102938475  订单-1             2026-11-21 08:00:00Z  2ms      a, b\n"+
		"2                   x\\x1b[31m\\n\\u202e                        0s\n", out.String())
}

func TestJSONIsOneObjectPerLineWithEveryField(t *testing.T) {
	var out bytes.Buffer
	a := &app{stdout: &out, output: outputJSON}
	require.NoError(t, a.print(outputRows()))
	require.NoError(t, a.printOne(outputRows()[1]))
	second := `{"id":2,"order_no":"x\u001b[31m\n‮","took_ns":0,"tags":null,"reply":"no"}` + "\n"
	require.Equal(t, `{"id":902384756102938475,"order_no":"订单-1","at":"2026-11-21T16:00:00.000000005+08:00",`+
		`"took_ns":1500000,"tags":["a","b"],"reply":"<ok>"}`+"\n"+second+second, out.String())
}

func TestOneRowIsALinePerFieldThatIsSet(t *testing.T) {
	var out bytes.Buffer
	a := &app{stdout: &out, output: outputTable}
	require.NoError(t, a.printOne(versionRow{Version: "v1.2.3", Go: "go1.26", Platform: "linux/amd64"}))
	require.Equal(t, "VERSION   v1.2.3\nGO        go1.26\nPLATFORM  linux/amd64\n", out.String())
}

func TestVersionPrefersWhatTheLinkerSet(t *testing.T) {
	info := &debug.BuildInfo{Main: debug.Module{Version: "v1.0.0"}, Settings: []debug.BuildSetting{{Key: "vcs.revision", Value: "abc"}}}
	require.Equal(t, "v1.0.0", buildVersion("", info).Version)
	require.Equal(t, "abc", buildVersion("", info).Revision)
	require.Equal(t, "v2.0.0", buildVersion("v2.0.0", info).Version)
	require.Equal(t, "(devel)", buildVersion("", nil).Version)
}
