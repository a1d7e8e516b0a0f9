package main

import (
	"cmp"
	"strings"
	"time"

	"syncworker/internal/sandbox"
)

// scene is one vendor with those who are compared at it.
type scene struct {
	name       string
	latency    time.Duration
	echo       bool // a vendor that only echoes, in place of the sandbox
	calls      int  // how many calls the sandbox remembers; 0: a thousand
	rules      []sandbox.Rule
	contenders []contender
}

// contender is one way to bring events to the vendor. The first of a scene is
// what the others are the measure of.
type contender struct {
	name    string
	naive   bool
	slots   int // calls in flight at most
	events  int // how many of those that are queued
	keeping string
}

// What each keeps, as it stands in the table.
const (
	keepsAll  = "order, every attempt, intents, fencing"
	keepsLast = "the last reply; no order"
	keepsOne  = "the last reply; in order, since one at a time"
)

// scenes are the runs. One who would need minutes gets fewer events.
func scenes(o options) []scene {
	worker := func(slots int) contender {
		return contender{name: "syncworker", slots: slots, events: o.events, keeping: keepsAll}
	}
	naive := func(slots, events int) contender {
		c := contender{name: "bare loop", naive: true, slots: slots, events: min(events, o.events), keeping: keepsOne}
		if slots > 1 {
			c.name, c.keeping = "bare loop, pool", keepsLast
		}
		return c
	}
	all := []scene{
		{name: "sandbox 0 ms", contenders: []contender{worker(16), naive(1, 3000), naive(16, o.events)}},
		{
			name: "sandbox 20 ms", latency: 20 * time.Millisecond,
			contenders: []contender{worker(512), naive(1, 200), naive(512, o.events)},
		},
		{name: "stub 0 ms", echo: true, contenders: []contender{worker(16), naive(1, 3000), naive(16, o.events)}},
	}
	var chosen []scene
	for _, sc := range all {
		if o.alone {
			sc.contenders = sc.contenders[:1]
		}
		if strings.HasPrefix(sc.name, cmp.Or(o.only, sc.name)) {
			chosen = append(chosen, sc)
		}
	}
	return chosen
}
