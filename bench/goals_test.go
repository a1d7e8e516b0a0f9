package main

import (
	"slices"
	"strings"
	"testing"

	"syncworker/internal/sandbox"
)

func TestGoalsOfWhatOrderAllows(t *testing.T) {
	for want, c := range map[string]struct {
		keys summary
		lane longLane
	}{
		"":                                  {summary{result: result{PerSecond: 900}}, longLane{PerSecond: 45}},
		"20 hot keys":                       {summary{result: result{PerSecond: 899}}, longLane{PerSecond: 45}},
		"20 hot keys: out of order":         {summary{result: result{PerSecond: 900, verdict: verdict{PointsOutOfOrder: 1}}}, longLane{PerSecond: 45}},
		"one lane of 100,000":               {summary{result: result{PerSecond: 900}}, longLane{PerSecond: 44}},
		"one lane of 100,000: out of order": {summary{result: result{PerSecond: 900}}, longLane{PerSecond: 45, OutOfOrder: 1}},
	} {
		missed := missedOf(slices.Concat(keyGoals(c.keys), c.lane.goals()))
		if got := strings.Join(missed, "; "); got != want {
			t.Errorf("missed are %q, want %q", got, want)
		}
	}
}

func TestGoalsOfAnIdleWorker(t *testing.T) {
	for want, i := range map[string]idling{
		"":                      {CPU: .5, Queries: []query{{PerSecond: 1.5}, {PerSecond: .5}}},
		"an idle worker":        {CPU: .51},
		"queries a second":      {Queries: []query{{PerSecond: 1.5}, {PerSecond: .6}}},
		"transactions a second": {Transactions: 2.1},
	} {
		if got := strings.Join(missedOf(i.lines()), "; "); got != want {
			t.Errorf("missed are %q, want %q", got, want)
		}
	}
}

func TestGoalsOfTheMemory(t *testing.T) {
	for want, c := range map[string]crammed{
		"":                                    {PeakMiB: 100, Stream: memoryQueued, Outbox: memoryBacklog},
		"the worker's peak memory":            {PeakMiB: 101, Stream: memoryQueued, Outbox: memoryBacklog},
		"events in the stream at the end":     {PeakMiB: 99, Stream: memoryQueued - 1, Outbox: memoryBacklog},
		"deliveries in the outbox at the end": {PeakMiB: 99, Stream: memoryQueued, Outbox: memoryBacklog - 1},
	} {
		if got := strings.Join(missedOf(c.lines()), "; "); got != want {
			t.Errorf("missed are %q, want %q", got, want)
		}
	}
}

func TestANumberedEventNamesWhatTheLedgerShows(t *testing.T) {
	for i, op := range []string{sandbox.OpDealCreate, sandbox.OpPointIncr} {
		m, key, err := numbered(i)
		if err != nil {
			t.Fatal(err)
		}
		e, err := readEvent(nil, string(m.Data))
		if err != nil || opOf[e.Type] != op || !strings.Contains(e.data, key) || !strings.HasSuffix(m.Subject, e.Type) {
			t.Errorf("%s at %s, error %v", e.Type, m.Subject, err)
		}
		if size := len(m.Data); size < 900 || size > 1200 {
			t.Errorf("an event of %d bytes", size)
		}
	}
}
