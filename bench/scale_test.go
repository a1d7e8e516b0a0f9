package main

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"syncworker/internal/sandbox"
	"syncworker/internal/trade"
)

// goodWorkers is what one, two and four workers do where all goals are reached.
func goodWorkers() []workersResult {
	var all []workersResult
	for _, n := range []int{1, 2, 4} {
		all = append(all, workersResult{
			Workers: n, Cores: partOfACore, Events: 8000 * n, PerSecond: 700 * float64(n), Mean: 140 * float64(n),
			Idle: asked{WakeUps: 1}, Busy: asked{WakeUps: 1, EmptyClaims: .2},
		})
	}
	return all
}

func goodLimits() *limitsHeld {
	return &limitsHeld{Calls: 40_000, Phases: []phase{
		{Name: "one joins", Peak: 64, AnyTen: 1},
		{Name: "2 steady", Workers: 2, Rate: 1, AnyTen: 1.01, InFlight: .98, Peak: 64},
	}}
}

func missedIn(goals []line) (names []string) {
	for _, l := range goals {
		if l.Missed {
			names = append(names, l.What)
		}
	}
	return names
}

func TestWhatMoreWorkersMissIsNamed(t *testing.T) {
	for want, spoil := range map[string]func([]workersResult){
		"":                                 func([]workersResult) {},
		"two calls of a lane at once":      func(all []workersResult) { all[2].Overlaps = 1 },
		"effects that are doubled":         func(all []workersResult) { all[2].Doubled = 1 },
		"calls out of order":               func(all []workersResult) { all[2].OutOfOrder = 1 },
		"calls in flight, of one worker's": func(all []workersResult) { all[2].Mean = 140 * 2.9 },
		"wake-ups of each when idle":       func(all []workersResult) { all[2].Idle.WakeUps = 4 },
		"wake-ups of each at work":         func(all []workersResult) { all[2].Busy.WakeUps = 40 },
		"empty claims of each at work":     func(all []workersResult) { all[2].Busy.EmptyClaims = 3 },
	} {
		all := goodWorkers()
		spoil(all)
		got := missedIn(workersGoals(all))
		if want == "" && len(got) > 0 || want != "" && !slices.Contains(got, "4 workers, 0.1 of a core each: "+want) {
			t.Errorf("%q: missed are %q", want, got)
		}
	}
}

func TestWorkersThatShareTheMachineNeedNotDoMore(t *testing.T) {
	all := goodWorkers()
	for i := range all {
		all[i].Cores, all[i].Mean = 0, 600
	}
	if got := missedIn(workersGoals(all)); len(got) > 0 {
		t.Errorf("missed are %q", got)
	}
}

func TestALimitThatIsBrokenIsNamed(t *testing.T) {
	for want, spoil := range map[string]func([]phase){
		"":                                       func([]phase) {},
		"2 steady: calls a second, of the limit": func(s []phase) { s[1].Rate = 1.06 },
		"2 steady: calls in flight, of the limit":           func(s []phase) { s[1].InFlight = .9 },
		"one joins: calls in any ten seconds, of the limit": func(s []phase) { s[0].AnyTen = 1.06 },
		"one joins: calls in flight at most":                func(s []phase) { s[0].Peak = 68 },
	} {
		l := goodLimits()
		spoil(l.Phases)
		got := missedIn(limitGoals(l))
		if want == "" && len(got) > 0 || want != "" && !slices.Equal(got, []string{want}) {
			t.Errorf("%q: missed are %q", want, got)
		}
	}
	l := goodLimits()
	l.Phases[1].Rate = .94
	if got := missedIn(limitGoals(l)); len(got) != 1 {
		t.Errorf("a limit that isn't used: missed are %q", got)
	}
	if got := limitGoals(nil); got != nil {
		t.Errorf("goals of what wasn't run: %v", got)
	}
}

func TestTheVendorsCallsAreHeldAgainstTheLimits(t *testing.T) {
	held := limitsHeld{Phases: []phase{{Name: "1 steady", Workers: 1, span: spanOf(0, 20)}}}
	var rated, slotted []flight
	for i := range 20 * limitRate {
		at := float64(i) / limitRate
		rated = append(rated, fly(at, at+.2))
	}
	for slot := range limitSlots + 2 {
		slotted = append(slotted, fly(float64(slot)/100, 19.9))
	}
	if err := held.measure(rated, slotted); err != nil {
		t.Fatal(err)
	}
	s := held.Phases[0]
	if s.Rate != 1 || s.AnySecond != 1 || s.AnyTen != 1 || s.FewestTen < .998 || s.Peak != limitSlots+2 || s.InFlight < 1 {
		t.Errorf("%+v", s)
	}
	if err := held.measure(rated, nil); err == nil {
		t.Error("an account without calls is taken for one that keeps its limit")
	}
}

func TestEachWorkersPartIsWhatIsCounted(t *testing.T) {
	before := load{at: noon, queries: 100, commits: 10, wakeUps: 5, claims: 50, taking: 50}
	later := load{at: noon.Add(10 * time.Second), queries: 1100, commits: 110, wakeUps: 25, claims: 90, taking: 70}
	got := askedBy(before, later, 2)
	if want := (asked{Queries: 50, Commits: 5, WakeUps: 1, EmptyClaims: 1}); got != want {
		t.Errorf("%+v", got)
	}
}

func TestOnlyCallsOfOneLaneOverlap(t *testing.T) {
	w := wanted{
		lanes: []string{"member 1 by id", "member 1 by mobile", "member 1 by id", "order"},
		by: map[effect][]int{
			{sandbox.OpPointIncr, "a"}: {0}, {sandbox.OpPointDecr, "b"}: {1}, {sandbox.OpPointIncr, "c"}: {2},
			{sandbox.OpDealCreate, "N1"}: {3},
		},
	}
	calls := []sandbox.Call{
		{Seq: 1, Op: sandbox.OpPointIncr, Key: "1", UUID: "a"},
		{Seq: 2, Op: sandbox.OpPointDecr, Key: "1", UUID: "b"},
		{Seq: 3, Op: sandbox.OpPointIncr, Key: "1", UUID: "c"},
		{Seq: 4, Op: sandbox.OpDealCreate, Key: "N1"},
		{Seq: 5, Op: sandbox.OpDealCancel, Key: "N1"}, // which nobody published
	}
	for name, c := range map[string]struct {
		violation sandbox.Violation
		want      int
	}{
		"one lane of a member":    {sandbox.Violation{Kind: sandbox.Overlap, Call: 3, Other: 1}, 1},
		"both lanes of a member":  {sandbox.Violation{Kind: sandbox.Overlap, Call: 2, Other: 1}, 0},
		"another kind of mistake": {sandbox.Violation{Kind: sandbox.UnknownOrder, Call: 4}, 0},
	} {
		if got := w.overlaps([]sandbox.Violation{c.violation}, calls); got != c.want {
			t.Errorf("%s: %d overlaps", name, got)
		}
	}
}

func TestTheShorterListIsAmongTheLongerOne(t *testing.T) {
	list := func(names string) (messages []trade.Message) {
		for _, n := range names {
			messages = append(messages, trade.Message{Subject: string(n)})
		}
		return messages
	}
	var got strings.Builder
	for _, m := range interleaved(list("abcdef"), list("XYZ")) {
		got.WriteString(m.Subject)
	}
	if got.String() != "abXcdYefZ" {
		t.Error(got.String())
	}
}

func TestTimesAreReadApart(t *testing.T) {
	published := map[string]time.Time{"paced-0": noon, "paced-1": noon}
	calls := map[string]time.Time{
		"paced-0": noon.Add(2 * time.Millisecond), "paced-1": noon.Add(4 * time.Millisecond),
		"burst-0": noon.Add(3 * time.Second), "burst-1": noon.Add(4 * time.Second),
	}
	var r streamed
	r.read(published, calls, []float64{3, 1}, noon.Add(2*time.Second))
	if r.CallP50 != 4 || r.CallP99 != 4 || r.AckP50 != 3 || r.PerSecond != natsBurst/2 {
		t.Errorf("%+v", r)
	}
}

func TestAScaleReportFailsWhereAGoalIsMissed(t *testing.T) {
	o := options{out: filepath.Join(t.TempDir(), "scale.json")}
	var out strings.Builder
	rep := scaleReport{Workers: goodWorkers(), Limits: goodLimits(), NATS: []streamed{{NATS: "one node", PerSecond: 4000}}}
	if err := rep.publish(&out, o); err != nil {
		t.Error(err)
	}
	rep.Workers[1].Overlaps = 1
	err := rep.publish(&out, o)
	if !errors.Is(err, errGoalMissed) || !strings.Contains(err.Error(), "2 workers, 0.1 of a core each: two calls of a lane at once") {
		t.Errorf("error %v", err)
	}
}
