package main

import (
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC)

func atSecond(seconds float64) time.Time { return noon.Add(time.Duration(math.Round(seconds * 1e9))) }

func fly(from, to float64) flight  { return flight{atSecond(from), atSecond(to)} }
func spanOf(from, to float64) span { return span{atSecond(from), atSecond(to)} }

func TestCallsInFlight(t *testing.T) {
	for name, c := range map[string]struct {
		all    []flight
		during span
		peak   int
		mean   float64
	}{
		"none":                                {nil, spanOf(0, 10), 0, 0},
		"one after another":                   {[]flight{fly(0, 5), fly(5, 10)}, spanOf(0, 10), 1, 1},
		"two at once":                         {[]flight{fly(0, 6), fly(4, 10)}, spanOf(0, 10), 2, 1.2},
		"only what is inside counts":          {[]flight{fly(-5, 5), fly(-2, -1), fly(9, 20), fly(10, 11)}, spanOf(0, 10), 1, .6},
		"one that was there before and after": {[]flight{fly(-5, 15), fly(3, 4)}, spanOf(0, 10), 2, 1.1},
	} {
		peak, mean := inFlight(c.all, c.during)
		if peak != c.peak || mean < c.mean-1e-9 || mean > c.mean+1e-9 {
			t.Errorf("%s: at most %d, %g on average", name, peak, mean)
		}
	}
}

func TestTheBusiestAndTheQuietestSecond(t *testing.T) {
	var even []flight
	for i := range 100 {
		even = append(even, fly(float64(i)/10, float64(i)/10+.2))
	}
	bunched := append([]flight{fly(4.05, 4.1), fly(4.06, 4.1)}, even...)
	gap := append(append([]flight{}, even[:40]...), even[46:]...)
	for name, c := range map[string]struct {
		all          []flight
		most, fewest int
	}{
		"even":    {even, 10, 9},
		"bunched": {bunched, 12, 9},
		"a gap":   {gap, 10, 3},
		"none":    {nil, 0, 0},
	} {
		most, fewest := busiest(c.all, spanOf(0, 10), time.Second)
		if most != c.most || fewest != c.fewest {
			t.Errorf("%s: %d at most, %d at least", name, most, fewest)
		}
	}
	if n := arrived(even, spanOf(1, 2)); n != 10 {
		t.Errorf("%d calls arrived in a second", n)
	}
}

func TestTheMiddleLeavesTheEndsOut(t *testing.T) {
	var all []flight
	for i := range 100 {
		all = append(all, fly(float64(i), float64(i)+1))
	}
	if got := middle(all, .15, .75); got != spanOf(15, 75) {
		t.Errorf("from %s to %s", got.from, got.to)
	}
	if got := middle(nil, .15, .75); got.length() != 0 {
		t.Errorf("nothing has a middle of %s", got.length())
	}
}

func TestEveryCallIsRecordedButALogin(t *testing.T) {
	calls := &flights{}
	handler := calls.record(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	for _, path := range []string{"/security/accesstoken", "/v1/deals", "/v1/point/incr"} {
		handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(http.MethodPost, path, nil))
	}
	calls.all[1].to = time.Time{} // it is under way
	seen := calls.seen()
	if len(seen) != 2 {
		t.Fatalf("%d calls", len(seen))
	}
	for _, f := range seen {
		if f.to.Before(f.from) {
			t.Errorf("a call from %s to %s", f.from, f.to)
		}
	}
}
