package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"syncworker/internal/trade"
)

// The limits of the two accounts whose calls are counted: one bounds the calls of a
// second, the other those in flight.
const (
	limitRate  = 100
	limitSlots = 64
	// steadyFor is how long nobody joins or leaves.
	steadyFor = 20 * time.Second
)

// limited is an account with a limit, and the vendor that sees what comes of it.
type limited struct {
	account
	vendor *vendor
	calls  *flights
	wanted wanted
	events []trade.Message
}

// phase is a part of the run in which the number of workers stays, or changes.
type phase struct {
	Name    string `json:"name"`
	Workers int    `json:"workers"` // 0: some join or leave
	span

	Rate      float64 `json:"rate_of_limit"`     // calls a second
	AnySecond float64 `json:"any_second"`        // the most calls in any second, of the limit
	AnyTen    float64 `json:"any_ten_seconds"`   // in any ten
	FewestTen float64 `json:"least_ten_seconds"` // the fewest in any ten
	InFlight  float64 `json:"in_flight_of_limit"`
	Peak      int     `json:"in_flight_at_most"`
}

// limitsHeld is what came of both limits in a run with workers that come and go.
type limitsHeld struct {
	Phases []phase `json:"phases"`
	// Of both accounts together.
	Calls int `json:"calls"`
	upheld
}

// limits keeps two accounts with a backlog while workers join and leave.
func (s *stack) limits(ctx context.Context, p progress) (held limitsHeld, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := s.freshStream(ctx); err != nil {
		return held, err
	}
	rated, err := s.limit(account{name: "rated", tenants: "rated", slots: limitSlots, rate: limitRate}, 1, 14_000)
	if err != nil {
		return held, err
	}
	defer rated.vendor.server.Close() //nolint:errcheck // nothing is written any more
	slotted, err := s.limit(account{name: "slotted", tenants: "slotted", slots: limitSlots}, 2, 45_000)
	if err != nil {
		return held, err
	}
	defer slotted.vendor.server.Close() //nolint:errcheck // nothing is written any more
	t, err := s.newTeam(ctx, rated.account, slotted.account)
	if err != nil {
		return held, err
	}
	defer func() { err = errors.Join(err, t.disband(ctx)) }()
	if err := t.sendAll(ctx, interleaved(slotted.events, rated.events)); err != nil {
		return held, err
	}
	phases, err := t.comeAndGo(ctx, p)
	if err != nil {
		return held, err
	}
	for _, w := range slices.Backward(t.workers) {
		w.end() // no call is cut off
	}
	held.Phases = phases
	if err := t.readOrder(ctx, &held.upheld); err != nil {
		return held, err
	}
	for _, l := range []*limited{&rated, &slotted} {
		held.Calls += int(l.vendor.calls.Load())
		held.upheld.count(&l.wanted, l.vendor)
	}
	return held, held.measure(rated.calls.seen(), slotted.calls.seen())
}

// interleaved puts the shorter list among the longer one, at even distances.
func interleaved(long, short []trade.Message) []trade.Message {
	var all []trade.Message
	for i, m := range long {
		all = append(all, m)
		all = append(all, short[i*len(short)/len(long):(i+1)*len(short)/len(long)]...)
	}
	return all
}

// limit makes an account, its vendor and more events for it than the run can bring.
func (s *stack) limit(a account, seed uint64, events int) (l limited, err error) {
	l = limited{account: a, calls: &flights{}}
	if l.events, err = tradeOf(seed, a.tenants, s.members, events); err != nil {
		return l, err
	}
	if l.wanted, err = wantedOf(l.events, mobiles(s.members)); err != nil {
		return l, err
	}
	l.vendor, err = s.startVendor(scene{latency: scaleLatency, calls: 1 << 20, flights: l.calls})
	if err == nil {
		l.url = l.vendor.url
	}
	return l, err
}

// comeAndGo has one worker work, then two, four and two.
func (t *team) comeAndGo(ctx context.Context, p progress) (phases []phase, err error) {
	during := func(name string, workers int, work func() error) error {
		p.say("limits: %s", name)
		st := phase{Name: name, Workers: workers, span: span{from: time.Now()}}
		err := work()
		st.to = time.Now()
		phases = append(phases, st)
		return err
	}
	steady := func() error { return t.pass(ctx, steadyFor) }
	for _, step := range []struct {
		name string
		to   int
	}{{"one begins", 1}, {"one joins", 2}, {"two join", 4}, {"two leave", 2}} {
		err := during(step.name, 0, func() error {
			for len(t.workers) < step.to {
				if err := t.join(); err != nil {
					return err
				}
			}
			for len(t.workers) > step.to {
				t.leave()
			}
			return t.pass(ctx, joining)
		})
		if err != nil {
			return phases, err
		}
		if err := during(fmt.Sprintf("%d steady", step.to), step.to, steady); err != nil {
			return phases, err
		}
	}
	return phases, nil
}

// measure holds what the vendors saw against the limits, phase by phase.
func (held *limitsHeld) measure(rated, slotted []flight) error {
	for i := range held.Phases {
		st := &held.Phases[i]
		st.Rate = float64(arrived(rated, st.span)) / st.seconds() / limitRate
		most, _ := busiest(rated, st.span, time.Second)
		st.AnySecond = float64(most) / limitRate
		most, fewest := busiest(rated, st.span, 10*time.Second)
		st.AnyTen, st.FewestTen = float64(most)/limitRate/10, float64(fewest)/limitRate/10
		var mean float64
		st.Peak, mean = inFlight(slotted, st.span)
		st.InFlight = mean / limitSlots
	}
	last := held.Phases[len(held.Phases)-1]
	if arrived(rated, last.span) == 0 || arrived(slotted, last.span) == 0 {
		return errors.New("an account has run out of events before the end")
	}
	return nil
}
