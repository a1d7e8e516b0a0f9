package main

import (
	"slices"
	"testing"
	"time"
)

func TestAQuantileNeedsSamplesBeyondIt(t *testing.T) {
	numbers := func(n int) (sorted []float64) {
		for i := range n {
			sorted = append(sorted, float64(i+1))
		}
		return sorted
	}
	for _, c := range []struct {
		samples int
		q, want float64
	}{
		{200, .5, 100}, {200, .99, 198}, {199, .99, 0}, {1500, .999, 0}, {10_000, .999, 9990}, {2, .5, 0}, {0, .5, 0},
	} {
		if got := quantile(numbers(c.samples), c.q); got != c.want {
			t.Errorf("quantile %v of %d samples is %v, want %v", c.q, c.samples, got, c.want)
		}
	}
}

func TestAPublisherKeepsItsPace(t *testing.T) {
	p := pace{rate: 1000, last: 10 * time.Second}
	if p.events() != 10_000 || p.due(0) != 0 || p.due(1) != time.Millisecond || p.due(9999) != 9999*time.Millisecond {
		t.Errorf("%d events, the last after %s", p.events(), p.due(9999))
	}
}

func TestDelaysAreFromPublishingToArrival(t *testing.T) {
	at := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	published := map[string]time.Time{"a": at, "b": at.Add(time.Second)}
	arrived := map[string]time.Time{"a": at.Add(5 * time.Millisecond), "b": at.Add(time.Second + 1500*time.Microsecond), "warm": at}
	ms, err := delaysOf(published, arrived)
	if err != nil || !slices.Equal(ms, []float64{1.5, 5}) {
		t.Errorf("%v, error %v", ms, err)
	}
	delete(arrived, "b")
	if ms, err := delaysOf(published, arrived); err == nil {
		t.Errorf("an event that didn't come passes: %v", ms)
	}
}

func TestDelaysAreComparedInTheSameRound(t *testing.T) {
	var delays []delay
	for round, p50 := range [][2]float64{{2, 1}, {9, 3}, {4, 4}} {
		delays = append(delays, // who goes first differs
			delay{Contender: "ideal", Rate: 100, Round: round + 1, P50: p50[1], P99: 2 * p50[1], CPU: 1},
			delay{Contender: "syncworker", Rate: 100, Round: round + 1, P50: p50[0], P99: 2 * p50[0], CPU: 1, PostgresCPU: 2})
	}
	sums := summarizeDelays(delays, []pace{{rate: 100, last: time.Second}}, []contender{{name: "syncworker"}, {name: "ideal"}})
	if len(sums) != 2 || sums[0].P50 != 4 || sums[0].P50Ratio != 1 || sums[0].Samples != 100 {
		t.Fatalf("%+v", sums)
	}
	if ideal := sums[1]; ideal.P50 != 3 || ideal.P50Ratio != 2 || ideal.P99Ratio != 2 || ideal.P999Ratio != 0 || ideal.CPURatio != 3 {
		t.Errorf("ideal is %+v", ideal)
	}
	if missed := missedOf(delayGoals(sums)); len(missed) != 2 {
		t.Errorf("twice the ideal's delay: missed are %q", missed)
	}
	sums[1].P50Ratio, sums[1].P99Ratio = 1.3, 1.5
	if missed := missedOf(delayGoals(sums)); len(missed) != 0 {
		t.Errorf("at the goal: missed are %q", missed)
	}
}

func missedOf(lines []line) (names []string) {
	for _, l := range lines {
		if l.Missed {
			names = append(names, l.What)
		}
	}
	return names
}
