package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
	"syncworker/internal/sandbox"
)

// TestOpsScripts runs the commands of publishers and ops against a database, a
// NATS server and the vendor's side, each script with its own.
func TestOpsScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/ops/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run("with servers", func(t *testing.T) { runOpsScript(t, file) })
	}
}

func runOpsScript(t *testing.T, file string) {
	s := newStack(t, sandbox.Switches{})
	s.config.Routes[0].Tenants = []string{"default", "alpha", "beta"} // what any other publishes is unrouted
	_, err := s.sandbox.SeedMembers(sandbox.Seed{Count: 1, Mobile: "13800000000", Points: 10})
	require.NoError(t, err)
	s.runScript(t, file, "dmhub")
}

// runScript runs a script whose configuration has these accounts.
func (s *stack) runScript(t *testing.T, file string, accounts ...string) {
	t.Helper()
	testscript.Run(t, testscript.Params{
		Files:               []string{file},
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", "atexit_sleep_ms=0")
			env.Setenv("SYNCWORKER_ACTOR", "ann@till")
			env.Setenv("SYNCWORKER_CONFIG", filepath.Join(env.WorkDir, "syncworker.yaml"))
			env.Setenv("SYNCWORKER_DATABASE_URL", s.url)
			env.Setenv("SYNCWORKER_NATS_URL", s.nats.URL)
			for _, name := range accounts {
				env.Setenv("SYNCWORKER_VENDORS_"+strings.ToUpper(name)+"_BASE_URL", s.config.Vendors["dmhub"].BaseURL)
			}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "works": s.works(t), "pours": s.pours,
		},
	})
}

// pours publishes a file's bytes as they are: pours subject file.
func (s *stack) pours(ts *testscript.TestScript, _ bool, args []string) {
	_, err := s.js.Publish(context.Background(), args[0], []byte(ts.ReadFile(args[1])))
	ts.Check(err)
}

// works runs a worker until the deliveries, rejects and conflicts stand as named:
// works delivered=2 dead:refused=1 rejects=1.
func (s *stack) works(t *testing.T) func(*testscript.TestScript, bool, []string) {
	return func(ts *testscript.TestScript, _ bool, args []string) {
		stop, _ := s.start(t)
		slices.Sort(args)
		stand := func() []string {
			states := s.states(t)
			for _, table := range []string{"rejects", "conflicts"} {
				var n int
				ts.Check(s.db.QueryRow(t.Context(), "SELECT count(*) FROM outbox."+table).Scan(&n))
				if n > 0 {
					states[table] = n
				}
			}
			var list []string
			for _, state := range slices.Sorted(maps.Keys(states)) {
				list = append(list, fmt.Sprintf("%s=%d", state, states[state]))
			}
			return list
		}
		deadline := time.After(20 * time.Second)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for !slices.Equal(stand(), args) {
			select {
			case <-deadline:
				ts.Fatalf("it stands as %v, want %v", stand(), args)
			case <-tick.C:
			}
		}
		stop()
	}
}

func TestTimesAreReadAsPeopleWriteThem(t *testing.T) {
	now := time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)
	c := kinds().Default()
	for value, want := range map[string]string{
		"2026-11-21T08:00:00+08:00": "2026-11-21T00:00:00Z",
		"2026-11-21":                "2026-11-20T16:00:00Z",
		"2h":                        "2026-11-21T10:00:00Z",
		"7d":                        "2026-11-14T12:00:00Z",
	} {
		got, err := parseWhen("since", value, c, now)
		require.NoError(t, err, value)
		require.Equal(t, want, got.UTC().Format(time.RFC3339), value)
	}
	for _, value := range []string{"yesterday", "-2h", "2026-13-01", "d"} {
		_, err := parseWhen("since", value, c, now)
		require.ErrorContains(t, err, "found --since")
	}
}

func TestAgesHaveTwoUnits(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m1s", 90 * time.Minute: "1h30m", 50 * time.Hour: "2d2h",
	} {
		require.Equal(t, want, age(d))
	}
}

func TestInputIsCutIntoEvents(t *testing.T) {
	for name, tt := range map[string]struct {
		text string
		want []string
	}{
		"lines":         {"{\"a\":1}\r\n\n {\"b\":2}", []string{`1:{"a":1}`, `3:{"b":2}`}},
		"one event":     {"{\n \"a\": 1\n}\n", []string{"1:{\n \"a\": 1\n}"}},
		"one line":      {`{"a":1}`, []string{`1:{"a":1}`}},
		"a broken line": {"{\"a\":\n{\"b\":2}\n", []string{`1:{"a":`, `2:{"b":2}`}},
		"nothing":       {" \n", nil},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, l := range splitEvents("f", []byte(tt.text)) {
				got = append(got, fmt.Sprintf("%d:%s", l.line, l.text))
			}
			require.Equal(t, tt.want, got)
		})
	}
}

func TestGatesSayWhyAnAccountIsNotCalled(t *testing.T) {
	stops := map[string]outbox.Stop{"dmhub": {Gate: "paused", Why: "since noon"}}
	spent := &quotaUse{3000, 3000, time.Date(2026, 11, 22, 0, 0, 0, 0, time.FixedZone("", 8*60*60))}
	for _, tt := range []struct {
		account, kind, gate, why string
		quota                    *quotaUse
	}{
		{"other", "dmhub-loyalty", "open", "", nil},
		{"other", "pospal", "open", "", &quotaUse{Used: 2999, Limit: 3000}},
		{"other", "pospal", "quota", "the daily quota of 3000 calls is used up; it goes on at 2026-11-22 00:00 in China (2026-11-21 16:00Z)", spent},
		{"dmhub", "dmhub-loyalty", "paused", "since noon", spent},
		{"dmhub", "", "none", "the account has left the configuration", nil},
		{"", "", "none", "no route took these events", nil},
	} {
		gate, why := gateOf(tt.account, tt.kind, stops, tt.quota)
		require.Equal(t, tt.gate, gate, tt)
		require.True(t, strings.HasPrefix(why, tt.why), why)
	}
}

func TestTypesAreChosenByPatternsAsInRoutes(t *testing.T) {
	for pattern, want := range map[string][]event.Type{
		"order.refunded": {event.OrderRefunded},
		"point.*":        {event.PointIncremented, event.PointDecremented},
		"order.refund*":  {event.OrderRefunded, event.OrderRefundDeleted},
		"*":              event.Types(),
		"order":          {},
		"*.created":      {},
	} {
		require.Equal(t, want, typesOf(pattern), pattern)
	}
}

func TestADemoSuggestsNoReplayThatIsRefused(t *testing.T) {
	s := newStack(t, sandbox.Switches{})
	_, err := s.sandbox.SeedMembers(sandbox.Seed{Count: 1, Mobile: "13800000000", Points: 10})
	require.NoError(t, err)
	for _, uuid := range []string{"p1", "p2"} {
		s.publish(t, "point.decremented", time.Now(), map[string]any{
			"uuid": uuid, "point": 500, "pattern": 1, "identities": []map[string]string{{"type": "mobile", "value": "13800000000"}},
		})
	}
	stop, _ := s.start(t)
	require.Eventually(t, func() bool { return s.states(t)["dead:refused"] == 2 }, 20*time.Second, 20*time.Millisecond)
	stop()
	d := &demo{servers: &servers{config: s.config}, parts: []part{{tenant: "default"}}}
	suggests := func(want string) {
		t.Helper()
		report := demoReport{Example: 1}
		require.NoError(t, d.replayable(t.Context(), &report))
		require.Contains(t, report.suggestions(), want)
	}
	suggests("deliveries replay 1")
	_, err = s.db.Exec(t.Context(), `UPDATE outbox.deliveries SET ever_ambiguous = true WHERE id = 1`)
	require.NoError(t, err)
	suggests("deliveries replay 2")
	_, err = s.db.Exec(t.Context(), `UPDATE outbox.deliveries SET ever_ambiguous = true`)
	require.NoError(t, err)
	suggests("deliveries list --state dead")
}

func TestHeadersOfBinaryModeGoAlongAndOrdersToTheServerDont(t *testing.T) {
	header := map[string][]string{
		"ce-specversion": {"1.0"}, "ce-id": {"e1"}, "ce-source": {"pos/1"}, "Ce-Type": {"order.cancelled"},
		"ce-time": {"2026-11-21T08:00:00Z"}, "Nats-Expected-Last-Sequence": {"7"}, "Nats-Msg-Id": {"old"},
	}
	m, rejects := makeMessage([]byte(`{"orderNo":"o1"}`), header, time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))
	require.Empty(t, rejects)
	require.Equal(t, "sync.events.order.cancelled", m.Subject)
	require.Equal(t, []string{"e1"}, m.Header["ce-id"])
	require.NotContains(t, m.Header, "Nats-Expected-Last-Sequence")
	require.NotEqual(t, "old", m.Header.Get("Nats-Msg-Id"))
}

func TestAGoodEventIsPublishedByteByByte(t *testing.T) {
	text, err := os.ReadFile("../../internal/event/testdata/good/order.created--chinese.json")
	require.NoError(t, err)
	p := checkLines(splitEvents("f", text), time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))
	require.Empty(t, p.problems)
	require.Len(t, p.messages, 1)
	require.Equal(t, "sync.events.order.created", p.messages[0].Subject)
	require.True(t, bytes.Equal(bytes.TrimSpace(text), p.messages[0].Data), "the bytes stay as they are")
	require.Len(t, p.messages[0].Header.Get("Nats-Msg-Id"), 64)
}
