package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"testing"
	"time"

	"github.com/rs/zerolog"
	"github.com/rs/zerolog/log"
	"github.com/stretchr/testify/require"

	"syncworker/test/chaos/check"
)

func TestMain(m *testing.M) {
	if file := os.Getenv(natsEnv); file != "" {
		exit(serveNATS(file))
	}
	log.Logger = zerolog.Nop()
	os.Exit(m.Run())
}

// TestWorkersUnderEveryFault is the bounded run, of a seed that stays: fresh ones are for
// make chaos. What a failing one left behind is kept; the command repeats it.
func TestWorkersUnderEveryFault(t *testing.T) {
	for seed, duration := range map[uint64]time.Duration{5: 30 * time.Second} {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			o := options{
				Seed: seed, Duration: duration, Rate: 120, Root: "../..", Race: raced(), Workers: 2,
				Refuse: 0.1, Failpoints: 0.0003, Out: filepath.Join(os.TempDir(), fmt.Sprint("chaos-", seed)),
			}
			t.Logf("go run ./test/chaos run -seed %d -duration %s -rate %g -failpoints %g", o.Seed, o.Duration, o.Rate, o.Failpoints)
			prove(t, o)
		})
	}
}

// prove carries a run out, and wants nothing to be found in what it left.
func prove(t *testing.T, o options) check.Report {
	t.Helper()
	require.NoError(t, run(t.Context(), o))
	b, err := check.Load(o.Out)
	require.NoError(t, err)
	report := check.Check(b)
	report.Print(t.Output())
	require.Empty(t, report.Findings, "the bundle is in %s", o.Out)
	require.NoError(t, os.RemoveAll(o.Out))
	return report
}

// raced reports whether this test runs under the race detector: then the workers
// do too.
func raced() bool {
	info, _ := debug.ReadBuildInfo()
	return info != nil && slices.ContainsFunc(info.Settings, func(s debug.BuildSetting) bool { return s.Key == "-race" && s.Value == "true" })
}

func TestASeedMakesTheSameSchedule(t *testing.T) {
	o := options{Seed: 7, Duration: time.Hour, Tail: true, Restore: true, Disk: "nats"}.normal()
	require.Equal(t, schedule(o), schedule(o))
	other := o
	other.Seed = 8
	require.NotEqual(t, schedule(o), schedule(other))

	kinds := map[string]bool{}
	for _, steps := range schedule(o) {
		require.True(t, slices.IsSortedFunc(steps, func(a, b step) int { return int((a.At - b.At) * 1e9) }))
		for _, s := range steps {
			kinds[s.Kind] = true
		}
	}
	for _, kind := range []string{
		workerKill, workerStop, workerTerm, natsKill, consumerDelete, streamFull, streamTail, postgresKill, postgresRestore,
		diskFull, linkToxic, linkCut,
	} {
		require.True(t, kinds[kind], kind)
	}
}

func TestBadMessagesAreSpreadAmongTheGood(t *testing.T) {
	good := make([]check.Message, 100)
	all := interleave(good, []check.Message{{Bad: true}, {Bad: true}, {Bad: true}})
	require.Len(t, all, 103)
	var at []int
	for i, m := range all {
		if m.Bad {
			at = append(at, i)
		}
	}
	require.Equal(t, []int{25, 51, 77}, at)
}
