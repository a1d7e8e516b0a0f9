package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"syncworker/internal/event"
	"syncworker/internal/sandbox"
	"syncworker/internal/trade"
)

// latencySlots are more calls in flight than any pace here needs.
const latencySlots = 64

// warmUp is how many events go first: connections, a token and the statements of
// Postgres are there before anything is measured.
const warmUp = 100

// pace is how many events a second a publisher brings, whatever becomes of them,
// and for how long.
type pace struct {
	rate int
	last time.Duration
}

func paces(full bool) []pace {
	if full {
		return []pace{{10, 30 * time.Second}, {100, 30 * time.Second}, {1000, 20 * time.Second}}
	}
	return []pace{{10, 20 * time.Second}, {100, 15 * time.Second}, {1000, 10 * time.Second}}
}

func (p pace) events() int { return p.rate * int(p.last/time.Second) }

// due is when an event is published, counted from the first.
func (p pace) due(event int) time.Duration {
	return time.Duration(event) * time.Second / time.Duration(p.rate)
}

// delay is how long the events of one pace took, from right before they were
// published until the vendor had read the request.
type delay struct {
	Contender   string  `json:"contender"`
	Rate        int     `json:"events_per_second"`
	Round       int     `json:"round"`
	Samples     int     `json:"samples"`
	P50         float64 `json:"p50_ms"`
	P99         float64 `json:"p99_ms,omitempty"`  // 0: too few samples
	P999        float64 `json:"p999_ms,omitempty"` // 0: too few samples
	CPU         float64 `json:"cpu_seconds_per_1000"`
	PostgresCPU float64 `json:"postgres_cpu_seconds_per_1000"`
}

// latencies lets the worker and the bare ideal bring paced events in turns.
func (s *stack) latencies(ctx context.Context, out io.Writer, p progress) error {
	o := s.opts
	o.against = cmp.Or(o.against, "ideal")
	var delays []delay
	for round := range o.rounds {
		turn := contenders(o, latencySlots)
		if round%2 == 1 {
			slices.Reverse(turn)
		}
		for _, c := range turn {
			p.say("latency: round %d of %d, %s", round+1, o.rounds, c.name)
			measured, err := s.paced(ctx, c)
			if err != nil {
				return fmt.Errorf("latency, round %d, %s: %w", round+1, c.name, err)
			}
			for _, d := range measured {
				d.Round = round + 1
				delays = append(delays, d)
			}
		}
	}
	p.say("")
	return reportLatency(out, o, s.machine(ctx), delays)
}

// paced measures one contender at all paces.
func (s *stack) paced(ctx context.Context, c contender) (delays []delay, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if err := s.freshStream(ctx); err != nil {
		return nil, err
	}
	database, err := s.freshDatabase(ctx, c.template())
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.dropDatabase(context.WithoutCancel(ctx), database)) }()
	v, err := s.startVendor(scene{calls: 1 << 20})
	if err != nil {
		return nil, err
	}
	defer v.server.Close() //nolint:errcheck // nothing is written any more
	st, err := s.start(c, database, v.url)
	if err != nil {
		return nil, err
	}
	defer st.end()
	run := pacedRun{stack: s, process: st.process, vendor: v}
	if _, err := run.publish(ctx, pace{rate: warmUp, last: time.Second}); err != nil {
		return nil, fmt.Errorf("warming up: %w\n%s", err, lastLines(st.log))
	}
	for _, p := range paces(s.opts.full) {
		d, err := run.measure(ctx, p)
		if err != nil {
			return nil, fmt.Errorf("%d events/s: %w\n%s", p.rate, err, lastLines(st.log))
		}
		d.Contender = c.name
		delays = append(delays, d)
	}
	return delays, nil
}

// pacedRun is a contender to whom events are brought.
type pacedRun struct {
	*stack
	*process
	vendor    *vendor
	published int // over all paces
}

func (r *pacedRun) measure(ctx context.Context, p pace) (d delay, err error) {
	own, postgres, err := r.spent()
	if err != nil {
		return d, err
	}
	published, err := r.publish(ctx, p)
	if err != nil {
		return d, err
	}
	ownAfter, postgresAfter, err := r.spent()
	if err != nil {
		return d, err
	}
	ms, err := delaysOf(published, r.vendor.arrivals())
	if err != nil {
		return d, err
	}
	d = delay{Rate: p.rate, Samples: len(ms), P50: quantile(ms, .5), P99: quantile(ms, .99), P999: quantile(ms, .999)}
	n := float64(len(ms)) / 1000
	d.CPU, d.PostgresCPU = (ownAfter-own)/n, (postgresAfter-postgres)/n
	return d, nil
}

func (r *pacedRun) spent() (own, postgres float64, err error) {
	if own, _, err = cpuOf(r.cmd.Process.Pid); err == nil {
		postgres, err = treeCPU(r.pgPID)
	}
	return own, postgres, err
}

// publish brings events at their time, without waiting for what becomes of those
// before, and waits for all of them at the vendor. It returns when each was published.
func (r *pacedRun) publish(ctx context.Context, p pace) (map[string]time.Time, error) {
	published := make(map[string]time.Time, p.events())
	began := time.Now()
	for i := range p.events() {
		m, key, err := numbered(r.published)
		if err != nil {
			return nil, err
		}
		r.published++
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(time.Until(began.Add(p.due(i)))):
		}
		published[key] = time.Now()
		if _, err := r.js.PublishAsync(m.Subject, m.Data); err != nil {
			return nil, fmt.Errorf("publishing an event: %w", err)
		}
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for came := r.vendor.writes.Load(); came < int64(r.published); came = r.vendor.writes.Load() {
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d calls were made: %w", came, r.published, ctx.Err())
		case <-r.ended:
			return nil, fmt.Errorf("%d of %d calls were made, and the process has ended", came, r.published)
		case <-tick.C:
		}
	}
	return published, nil
}

// receipt makes an event as large as most are.
var receipt = fmt.Sprintf("%0700d", 0)

// numbered is an event of 1 KB with a key that the vendor's ledger shows: an order
// or points, of one of the members in turn.
func numbered(i int) (m trade.Message, key string, err error) {
	key = fmt.Sprintf("numbered-%d", i)
	member := firstMember + int64(i)%2000
	typ, data := "point.incremented", point(key, member)
	if i%2 == 0 {
		typ, data = "order.created", map[string]any{
			"orderNo": key, "dateOrder": time.Now().UTC().Format(time.RFC3339), "amountPaid": 1, "store": "s", "salesChannel": "pos",
			"dealLines": []any{map[string]any{"lineId": "1", "productName": "Tea", "qty": 1}}, "membershipId": member,
		}
	}
	data["c_receipt"] = receipt
	m.Subject = event.SubjectPrefix + typ
	m.Data, err = envelope("default", typ, data)
	return m, key, err
}

// arrivals are when the write of each order and of each uuid came first.
func (v *vendor) arrivals() map[string]time.Time {
	arrived := map[string]time.Time{}
	for _, c := range v.sandbox.Calls() {
		key := c.Key
		if c.Op == sandbox.OpPointIncr {
			key = c.UUID
		}
		if _, again := arrived[key]; !again {
			arrived[key] = c.Time
		}
	}
	return arrived
}

// delaysOf are the times between publishing and arrival in milliseconds, sorted.
func delaysOf(published, arrived map[string]time.Time) ([]float64, error) {
	ms := make([]float64, 0, len(published))
	for key, at := range published {
		came, ok := arrived[key]
		if !ok {
			return nil, fmt.Errorf("%s didn't come to the vendor", key)
		}
		ms = append(ms, float64(came.Sub(at).Microseconds())/1000)
	}
	slices.Sort(ms)
	return ms, nil
}
