package main

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
)

// collectLess has the collector let more garbage come together while little is in
// use: a tenth of a busy worker's CPU for some 10 MiB. With a large backlog in hand
// it goes back to Go's own measure. Who sets GOGC decides.
func collectLess() {
	live := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	current := percentFor(0)
	debug.SetGCPercent(current)
	type sentinel struct{ _ *int }
	var collected func(*sentinel)
	collected = func(s *sentinel) { // once after each collection
		runtime.SetFinalizer(s, collected)
		metrics.Read(live)
		if percent := percentFor(live[0].Value.Uint64()); percent != current {
			current = percent
			debug.SetGCPercent(current)
		}
	}
	runtime.SetFinalizer(&sentinel{}, collected)
}

// percentFor is how much may be allocated until the next collection, as a percentage
// of the bytes that were in use after the last one.
func percentFor(live uint64) int {
	if live < 16<<20 {
		return 200
	}
	return 100
}
