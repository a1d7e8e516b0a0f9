//go:build failpoints

package failpoint

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
)

type action string

const (
	kill action = "kill"
	stop action = "stop"
	fail action = "error"
)

// points are all that a rule may name.
var points = []Point{
	Fetched, InboxCommitting, InboxCommitted, Acked, Claimed, Intended, Sending, Sent, Answered, Settling, Recorded,
	Draining, Migrating, Token, Replaying, Replayed,
}

// rule says what happens at a point, and when.
type rule struct {
	point  Point
	detail string // "": any
	action action
	nth    int        // the hit that fires; 0: a share of them does
	share  float64    // above 0, at most 1
	draw   *rand.Rand // for share
	hits   int
}

func (r *rule) fits(p Point, detail string) bool {
	return r.point == p && (r.detail == "" || r.detail == detail)
}

// fires counts a hit that fits.
func (r *rule) fires() bool {
	r.hits++
	if r.nth > 0 {
		return r.hits == r.nth
	}
	return r.draw.Float64() < r.share
}

// parse reads the rules of an environment, strictly.
func parse(spec, seed string) ([]*rule, error) {
	var from uint64
	if seed != "" {
		var err error
		if from, err = strconv.ParseUint(seed, 10, 64); err != nil {
			return nil, fmt.Errorf("SYNCWORKER_FAILPOINT_SEED: %q isn't a whole number from 0 on", seed)
		}
	}
	if spec == "" {
		return nil, nil
	}
	var rules []*rule
	for i, text := range strings.Split(spec, ";") {
		r, err := parseRule(text)
		if err != nil {
			return nil, fmt.Errorf("SYNCWORKER_FAILPOINTS: rule %q: %w", text, err)
		}
		if r.share > 0 && seed == "" {
			return nil, fmt.Errorf("SYNCWORKER_FAILPOINTS: rule %q: a share needs SYNCWORKER_FAILPOINT_SEED", text)
		}
		r.draw = rand.New(rand.NewPCG(from, uint64(i)))
		rules = append(rules, r)
	}
	return rules, nil
}

func parseRule(text string) (*rule, error) {
	where, what, ok := strings.Cut(text, "=")
	if !ok {
		return nil, fmt.Errorf("no =; write it as point/detail=action@n")
	}
	point, detail, detailed := strings.Cut(where, "/")
	r := &rule{point: Point(point), detail: detail, nth: 1}
	if !slices.Contains(points, r.point) {
		return nil, fmt.Errorf("there is no point %q; there are %v", point, points)
	}
	if detailed && detail == "" {
		return nil, fmt.Errorf("no detail behind the /")
	}
	at := strings.IndexAny(what, "@%")
	if at < 0 {
		at = len(what)
	}
	r.action = action(what[:at])
	if r.action != kill && r.action != stop && r.action != fail {
		return nil, fmt.Errorf("there is no action %q; there are kill, stop and error", r.action)
	}
	if at == len(what) {
		return r, nil
	}
	var err error
	when := what[at+1:]
	if what[at] == '@' {
		if r.nth, err = strconv.Atoi(when); err != nil || r.nth < 1 {
			return nil, fmt.Errorf("@%s isn't the number of a hit, from 1 on", when)
		}
		return r, nil
	}
	r.nth = 0
	if r.share, err = strconv.ParseFloat(when, 64); err != nil || !(r.share > 0 && r.share <= 1) {
		return nil, fmt.Errorf("%%%s isn't a share above 0 and up to 1", when)
	}
	return r, nil
}
