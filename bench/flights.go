package main

import (
	"net/http"
	"slices"
	"sync"
	"time"
)

// flight is one call as the vendor saw it, from its arrival to its answer.
type flight struct{ from, to time.Time }

// flights are all calls that a vendor has taken, but for those of a login.
type flights struct {
	mu  sync.Mutex
	all []flight
}

// record notes every call. One that is under way has no end yet.
func (f *flights) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/security/accesstoken" {
			next.ServeHTTP(w, r)
			return
		}
		f.mu.Lock()
		n := len(f.all)
		f.all = append(f.all, flight{from: time.Now()})
		f.mu.Unlock()
		defer func() {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.all[n].to = time.Now()
		}()
		next.ServeHTTP(w, r)
	})
}

// seen returns the calls in the order of their arrival; those under way end now.
func (f *flights) seen() []flight {
	f.mu.Lock()
	defer f.mu.Unlock()
	now, all := time.Now(), slices.Clone(f.all)
	for i := range all {
		if all[i].to.IsZero() {
			all[i].to = now
		}
	}
	return all
}

// span is a part of a run.
type span struct{ from, to time.Time }

func (s span) has(at time.Time) bool { return !at.Before(s.from) && at.Before(s.to) }
func (s span) length() time.Duration { return s.to.Sub(s.from) }
func (s span) seconds() float64      { return s.length().Seconds() }
func (s span) cut(f flight) (span, bool) {
	if f.from.Before(s.from) {
		f.from = s.from
	}
	if f.to.After(s.to) {
		f.to = s.to
	}
	return span(f), f.to.After(f.from)
}

// inFlight returns how many calls were under way at most, and on average.
func inFlight(all []flight, during span) (peak int, mean float64) {
	type edge struct {
		at time.Time
		by int
	}
	var edges []edge
	var total time.Duration
	for _, f := range all {
		if part, some := during.cut(f); some {
			total += part.length()
			edges = append(edges, edge{part.from, 1}, edge{part.to, -1})
		}
	}
	slices.SortFunc(edges, func(a, b edge) int {
		if c := a.at.Compare(b.at); c != 0 {
			return c
		}
		return a.by - b.by // an answer makes room for the call of the same moment
	})
	now := 0
	for _, e := range edges {
		now += e.by
		peak = max(peak, now)
	}
	return peak, total.Seconds() / during.seconds()
}

// arrived counts the calls that began in a span.
func arrived(all []flight, during span) (n int) {
	for _, f := range all {
		if during.has(f.from) {
			n++
		}
	}
	return n
}

// busiest returns how many calls began in any time of that length inside a span:
// the most and the fewest. The calls are in the order of their arrival.
func busiest(all []flight, during span, length time.Duration) (most, fewest int) {
	var at []time.Time
	for _, f := range all {
		if during.has(f.from) {
			at = append(at, f.from)
		}
	}
	slices.SortFunc(at, time.Time.Compare)
	// Those that begin with a call have the most, those that begin right behind
	// one the fewest.
	fewest = len(at)
	next := 0
	for i := range at {
		end := at[i].Add(length)
		for next < len(at) && at[next].Before(end) {
			next++
		}
		most = max(most, next-i)
		if !end.After(during.to) {
			fewest = min(fewest, next-i-1)
		}
	}
	return most, fewest
}

// middle is the span between those calls of all of which so many parts of one
// have come before: without the beginning and the end.
func middle(all []flight, from, to float64) span {
	if len(all) == 0 {
		return span{}
	}
	nth := func(part float64) time.Time { return all[min(int(part*float64(len(all))), len(all)-1)].from }
	return span{nth(from), nth(to)}
}
