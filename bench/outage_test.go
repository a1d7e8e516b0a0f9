package main

import (
	"errors"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"syncworker/internal/trade"
)

// kept is an outage of a minute in which all goals are reached.
func kept() *outage {
	cut := time.Date(2026, 11, 21, 8, 0, 0, 0, time.UTC)
	at := func(seconds float64) time.Time { return cut.Add(time.Duration(seconds * float64(time.Second))) }
	return &outage{
		name: "refused", events: 5000, backlog: 4000, untaken: 3000,
		cut: cut, opened: at(1), takenIn: at(10), back: at(60), closed: at(77),
		burnt: burnt{attempts: 4, most: 1},
		seen: seen{
			cutCalls: 20, probes: []time.Time{at(6), at(16), at(36)}, answered: at(76), drained: at(87), ended: at(90),
			perSecond: []int{100, 380, 400}, held: 2, waiting: 1, behind: 5,
			ledger: ledger{effects: 4998, violations: map[string]int{}},
		},
	}
}

func missed(r outageReport) (names []string) {
	for _, l := range r.Lines {
		if l.Missed {
			names = append(names, l.What)
		}
	}
	return names
}

func TestAGoalThatIsMissedIsNamed(t *testing.T) {
	for want, spoil := range map[string]func(*outage){
		"":                                     func(*outage) {},
		"attempts counted":                     func(o *outage) { o.burnt.attempts = 70 },
		"deliveries with attempts and no call": func(o *outage) { o.burnt.unfounded = 1 },
		"calls before the circuit opened":      func(o *outage) { o.seen.cutCalls = 70 },
		"probes":                               func(o *outage) { o.seen.probes = append(o.seen.probes, o.cut.Add(59*time.Second)) },
		"probes before their time":             func(o *outage) { o.seen.probes[1] = o.cut.Add(15 * time.Second) },
		"all events are in the outbox after":   func(o *outage) { o.takenIn = time.Time{} },
		"the first call is answered after":     func(o *outage) { o.seen.answered = o.cut.Add(79 * time.Second) },
		"calls in any second":                  func(o *outage) { o.seen.perSecond[2] = 500 },
		"drained after":                        func(o *outage) { o.seen.drained = o.cut.Add(89 * time.Second) },
		"dead":                                 func(o *outage) { o.seen.dead = 1 },
		"held for a probe":                     func(o *outage) { o.seen.heldByProbe = 1 },
		"held without an unclear call":         func(o *outage) { o.seen.heldUnasked = 1 },
		"waiting for nothing":                  func(o *outage) { o.seen.held = 0 },
		"effects that are doubled":             func(o *outage) { o.seen.ledger.doubled = 1 },
		"delivered without an effect":          func(o *outage) { o.seen.ledger.missing = 1 },
		"out of order":                         func(o *outage) { o.seen.ledger.violations = map[string]int{"unknown_order": 1} },
	} {
		o := kept()
		spoil(o)
		got := missed(o.report())
		if want == "" && len(got) > 0 || want != "" && !slices.Contains(got, want) {
			t.Errorf("%q: missed are %q", want, got)
		}
	}
}

func TestAMissedGoalFailsTheRun(t *testing.T) {
	opts := options{out: filepath.Join(t.TempDir(), "outage.json")}
	var out strings.Builder
	if err := reportOutages(&out, opts, machine{}, []outageReport{kept().report()}); err != nil {
		t.Error(err)
	}
	o := kept()
	o.seen.dead = 3
	err := reportOutages(&out, opts, machine{}, []outageReport{o.report()})
	if !errors.Is(err, errGoalMissed) || !strings.Contains(err.Error(), "refused: dead") {
		t.Errorf("error %v", err)
	}
}

func TestAVendorThatComesBackIsWhereItWas(t *testing.T) {
	s := &stack{members: []trade.Member{{ID: firstMember, Mobile: "13800000000"}}}
	v, err := s.startVendor(scene{})
	if err != nil {
		t.Fatal(err)
	}
	answers := func() bool {
		r, err := http.Get(v.url)
		if err == nil {
			_ = r.Body.Close() // only that it came matters
		}
		return err == nil
	}
	refused := absences("refused")[0]
	where := v.url
	for range 2 {
		if !answers() {
			t.Error("it doesn't answer")
		}
		if err := refused.leave(v); err != nil || answers() {
			t.Errorf("it answers still, error %v", err)
		}
		if err := refused.comeBack(v); err != nil || v.url != where {
			t.Errorf("it is at %s, error %v", v.url, err)
		}
	}
	if err := v.server.Close(); err != nil {
		t.Error(err)
	}
}
