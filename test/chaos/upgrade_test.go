package main

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestWorkersOfTwoVersions is the bounded run that begins with the commit before
// this one, and migrates and replaces it under load, of a seed that stays.
func TestWorkersOfTwoVersions(t *testing.T) {
	const before = "HEAD~1"
	if _, err := git(t.Context(), "../..", "rev-parse", "--verify", before+"^{commit}"); err != nil {
		t.Skipf("there is no %s here: a clone needs a history of two commits: %v", before, err)
	}
	o := options{
		Seed: 792950, Duration: 15 * time.Second, Rate: 120, Root: "../..", Race: raced(), Workers: 2,
		Refuse: 0.1, Failpoints: 0.0003, From: before,
	}
	o.Out = filepath.Join(os.TempDir(), fmt.Sprint("chaos-", o.Seed))
	t.Logf("go run ./test/chaos run -from %s -seed %d -duration %s -rate %g -failpoints %g", before, o.Seed, o.Duration, o.Rate, o.Failpoints)
	done := prove(t, o).Faults
	require.Positive(t, done[schemaMigrate])
	require.Equal(t, o.Workers+1, done[workerUpgrade])
	require.Positive(t, done[workerRollback])
}

func TestAnUpgradeMigratesBeforeItReplacesAnything(t *testing.T) {
	back := 0
	for seed := range uint64(100) {
		runs := map[int]string{}
		o := options{Seed: seed, Workers: 3}
		for i, s := range o.upgrade() {
			require.Equal(t, i == 0, s.Kind == schemaMigrate)
			require.Less(t, s.At, 1.0)
			if i > 0 {
				runs[s.Target%o.Workers] = s.Kind
			}
		}
		require.Len(t, runs, o.Workers, "each of them is replaced")
		for _, kind := range runs {
			require.Equal(t, runs[0], kind, "all of them end as the same version")
		}
		if runs[0] == workerRollback {
			back++
		}
	}
	require.InDelta(t, 25, back, 15, "some seeds end with the version before")
}
