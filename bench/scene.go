package main

import (
	"cmp"
	"slices"
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
	flights    *flights // notes every call; nil: nobody looks
	contenders []contender
}

// contender is one way to bring events to the vendor. The first of a scene is
// what the others are the measure of.
type contender struct {
	name     string
	rival    string // empty: the worker
	slots    int    // calls in flight at most
	events   int    // that are queued
	keeping  string
	takeover time.Duration // after which what a dead process had is taken again; 0: as it is by default
}

// template is the database that it gets a copy of.
func (c contender) template() string { return cmp.Or(c.rival, workerTemplate) }

// keepsAll is what the worker keeps, as it stands in the table.
const keepsAll = "order, every attempt, intents, fencing"

// contenders are the worker and those that are asked for.
func contenders(o options, slots int) []contender {
	all := []contender{{name: "syncworker", slots: slots, events: o.events, keeping: keepsAll}}
	for _, name := range []string{"ideal", "river", "watermill", "naive"} {
		if asked := strings.Split(o.against, ","); o.against == "" || slices.Contains(asked, name) {
			all = append(all, contender{name: name, rival: name, slots: slots, events: o.events, keeping: rivals()[name].keeps})
		}
	}
	if o.alone {
		return all[:1]
	}
	return all
}

// scenes are the runs: in flight = rate × latency.
func scenes(o options) []scene {
	all := []scene{
		{name: "stub 0 ms", echo: true, contenders: contenders(o, 16)},
		{name: "sandbox 0 ms", contenders: contenders(o, 16)},
		{name: "sandbox 20 ms", latency: 20 * time.Millisecond, contenders: contenders(o, 512)},
		{name: "sandbox 200 ms", latency: 200 * time.Millisecond, contenders: contenders(o, 2048)},
	}
	if o.killed {
		return nil
	}
	var chosen []scene
	for _, sc := range all {
		short := sc.latency <= 20*time.Millisecond && !sc.echo
		if strings.HasPrefix(sc.name, cmp.Or(o.only, sc.name)) && (short || o.full || o.only != "") {
			chosen = append(chosen, sc)
		}
	}
	return chosen
}
