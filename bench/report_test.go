package main

import (
	"encoding/json"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestRatiosAreOfTheSameRound(t *testing.T) {
	var results []result
	for round, speed := range [][2]float64{{100, 50}, {300, 100}, {200, 40}} {
		results = append(results,
			result{Scene: "s", Contender: "a", Round: round + 1, PerSecond: speed[0], Events: 10, Effects: 10},
			result{Scene: "s", Contender: "b", Round: round + 1, PerSecond: speed[1], Mistakes: map[string]int{"overlap": 1}})
	}
	sums := summarize(results)
	if len(sums) != 2 || sums[0].Contender != "a" {
		t.Fatalf("summaries %+v", sums)
	}
	a, b := sums[0], sums[1]
	if a.PerSecond != 200 || a.Lowest != 100 || a.Highest != 300 || a.Effects != 30 || a.Ratio != 1 {
		t.Errorf("a is %+v", a)
	}
	if b.PerSecond != 50 || b.Ratio != 3 || b.Mistakes["overlap"] != 3 {
		t.Errorf("b is %+v", b)
	}
}

func TestMedianOfAnEvenNumberIsBetween(t *testing.T) {
	if m := median([]float64{4, 1, 3, 2}); m != 2.5 {
		t.Errorf("median %v", m)
	}
}

func TestCPUTimeIsReadBehindANameWithSpaces(t *testing.T) {
	own, reaped, err := parseStat("7 (a b) c) S 1 2 3 4 5 6 7 8 9 10 150 50 300 100 20 0")
	if err != nil || own != 2 || reaped != 4 {
		t.Errorf("own %v, reaped %v, error %v", own, reaped, err)
	}
	if _, _, err := parseStat("7 (a) S 1"); err == nil {
		t.Error("a line that is cut off passes")
	}
}

func TestAnEventGrowsInsideItsData(t *testing.T) {
	random := rand.NewChaCha8([32]byte{})
	for name, c := range map[string]struct {
		data   string
		binary bool
	}{
		"structured": {`{"id":"1","data":{"orderNo":"A"}}`, false},
		"binary":     {`{"orderNo":"A"}`, true},
		"large":      {`{"id":"1","data":{"orderNo":"A","r":"` + strings.Repeat("x", 2000) + `"}}`, false},
	} {
		grown := withReceipt([]byte(c.data), c.binary, random)
		var doc struct {
			OrderNo string
			Data    struct{ OrderNo string }
		}
		if err := json.Unmarshal(grown, &doc); err != nil || doc.OrderNo+doc.Data.OrderNo != "A" {
			t.Errorf("%s: %s: %v", name, grown, err)
		}
		if len(grown) < eventSize-1 || len(c.data) > eventSize && len(grown) != len(c.data) {
			t.Errorf("%s: %d bytes", name, len(grown))
		}
	}
}

func TestTheTableNamesWhatTheVendorSaw(t *testing.T) {
	var out strings.Builder
	r := newReport(machine{Cores: 2}, options{rounds: 1}, []result{{
		Scene: "s", Contender: "a", Events: 1, PerSecond: 1, Versions: 3, HOT: 1, Mistakes: map[string]int{"overlap of point.incr": 2},
	}}, nil, time.Second)
	if err := r.write(&out); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"3.00 versions of a delivery, 100%", "the vendor saw overlap of point.incr 2"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}

func TestCostsAreComparedInTheSameRound(t *testing.T) {
	var results []result
	for _, cost := range [][2]float64{{2, 1}, {9, 3}, {8, 2}} {
		results = append(results,
			result{Scene: "s", Contender: "a", CPU: cost[0] - 1, PostgresCPU: 1, WAL: cost[1]},
			result{Scene: "s", Contender: "b", CPU: cost[1], WAL: cost[0]})
	}
	if b := summarize(results)[1]; b.CPURatio != 3 || b.WALRatio != 1.0/3 {
		t.Errorf("b's CPU %v, WAL %v", b.CPURatio, b.WALRatio)
	}
	if a := summarize([]result{{Scene: "s", Contender: "a"}})[0]; a.CPURatio != 0 {
		t.Errorf("a figure that JSON can't write: %v", a.CPURatio)
	}
}

func TestTheTableSaysWhatACrashHasCost(t *testing.T) {
	var out strings.Builder
	r := newReport(machine{}, options{}, nil, []crash{
		{Contender: "a", Calls: 12, Attempts: 10, Asked: 3},
		{Contender: "b", Unnoted: 1, Lost: 4, verdict: verdict{Doubled: 5}},
	}, time.Second)
	if err := r.write(&out); err != nil {
		t.Fatal(err)
	}
	var rows []string
	for line := range strings.Lines(out.String()) {
		rows = append(rows, strings.Join(strings.Fields(line), " "))
	}
	for _, want := range []string{"a yes yes 2 0 0 3 0 0", "b no no 0 4 5 0 0 0"} {
		if !slices.Contains(rows, want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
}
