package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// pair is a round of a stage on grown and on empty tables.
func pair(name string, round int, grown, empty float64) []growthResult {
	return []growthResult{
		{Stage: name, Round: round, Grown: true, PerSecond: grown, CPU: 0.3, PostgresCPU: 0.3},
		{Stage: name, Round: round, PerSecond: empty, CPU: 0.2, PostgresCPU: 0.3},
	}
}

func TestAStageIsTheMedianOfItsRounds(t *testing.T) {
	var results []growthResult
	for round, rates := range [][2]float64{{900, 1000}, {500, 2000}, {1900, 2000}} {
		results = append(results, pair("a", round+1, rates[0], rates[1])...)
	}
	rows := growthRows(append(results, growthResult{Stage: "a", Round: 9, Grown: true, PerSecond: 1}))
	if len(rows) != 1 {
		t.Fatalf("rows %+v", rows)
	}
	row := rows[0]
	if row.Throughput != 0.9 || row.Grown.PerSecond != 900 || row.Empty.PerSecond != 2000 {
		t.Errorf("throughput %v, grown %v, empty %v", row.Throughput, row.Grown.PerSecond, row.Empty.PerSecond)
	}
	if row.CPU < 1.19 || row.CPU > 1.21 {
		t.Errorf("CPU %v", row.CPU)
	}
}

func TestRoundsInWhichAQueryComputesStandForThemselves(t *testing.T) {
	results := slices.Concat(pair("q", 1, 500, 600), pair("q", 2, 100, 1000), pair("q", 3, 1000, 1000))
	results[0].Computing, results[1].Computing = true, true
	results[2].Computing = true // and ended in the middle of the round
	rows := growthRows(results)
	if len(rows) != 2 || rows[0].Stage != "q, which computes" || rows[1].Stage != "q" || rows[1].Throughput != 1 {
		t.Errorf("rows %+v", rows)
	}
}

func TestAStageBelowTheGoalFailsTheRun(t *testing.T) {
	for want, grown := range map[string]float64{"": 950, "b: 0.89": 890} {
		o := options{out: filepath.Join(t.TempDir(), "growth.json"), events: 10}
		var out strings.Builder
		err := reportGrowth(&out, o, machine{Cores: 2}, append(pair("a", 1, 1000, 1000), pair("b", 1, grown, 1000)...))
		if want == "" && err != nil || want != "" && (!errors.Is(err, errGoalMissed) || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.0f: error %v", grown, err)
		}
		if strings.Contains(out.String(), "MISSED") != (want != "") {
			t.Errorf("%.0f: printed %s", grown, out.String())
		}
		text, err := os.ReadFile(o.out)
		var kept struct{ Measurements []growthResult }
		if err == nil {
			err = json.Unmarshal(text, &kept)
		}
		if err != nil || len(kept.Measurements) != 4 || kept.Measurements[2].PerSecond != grown {
			t.Errorf("%.0f: kept %+v, error %v", grown, kept, err)
		}
	}
}

func TestStagesAddToEachOther(t *testing.T) {
	for _, full := range []bool{false, true} {
		var s stage
		for _, next := range growthStages(full) {
			if s = s.with(next); next.anew > 0 {
				s = next
			}
		}
		if s.live == 0 || s.lane != 100_000 || s.blocked != 1000 || !s.query || !s.retention {
			t.Errorf("full %v: the last stage is %+v", full, s)
		}
	}
}

func TestRetentionReachesTheOldestMonthAndNoOther(t *testing.T) {
	now := time.Date(2026, 11, 22, 7, 30, 0, 0, time.UTC)
	keep, err := retentionFor("events_202512", now)
	if err != nil {
		t.Fatal(err)
	}
	past := now.Add(-keep)
	if ends := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC); past.Before(ends) || past.After(ends.Add(time.Hour)) {
		t.Errorf("what is before %s goes; the month ends at %s", past, ends)
	}
	if _, err := retentionFor("events_default", now); err == nil {
		t.Error("no month, and no error")
	}
}
