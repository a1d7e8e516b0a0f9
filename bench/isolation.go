package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"syncworker/internal/event"
	"syncworker/internal/sandbox"
)

// The events whose way is measured: each of another member.
const (
	burst      = 8000             // at once, for the throughput
	paceRate   = 300              // a second, for the latency
	paceFor    = 10 * time.Second // how long
	isoLatency = 20 * time.Millisecond
)

// disturbance is what must not cost the others anything.
type disturbance struct {
	name string
	// before is published, and waited for to be in the outbox, before the others come.
	before func(publish func(tenant, typ string, data any) error) error
	// among is published with each hundredth of the others.
	among func(publish func(tenant, typ string, data any) error) error
	rules []sandbox.Rule
}

func disturbances() []disturbance {
	return []disturbance{
		{name: "nothing"},
		{
			name:  "an order that always fails",
			rules: []sandbox.Rule{{Faults: []sandbox.Fault{"error_500_before"}, Key: "broken", Rate: 1}},
			before: func(publish func(string, string, any) error) error {
				return publish("default", "order.created", map[string]any{
					"orderNo": "broken", "dateOrder": time.Now().UTC().Format(time.RFC3339), "amountPaid": 1, "store": "s",
					"salesChannel": "pos", "dealLines": []any{map[string]any{"lineId": "1", "productName": "Tea", "qty": 1}}, "membershipId": firstMember,
				})
			},
		},
		{
			name: "a member with 100,000 queued",
			before: func(publish func(string, string, any) error) error {
				for i := range 100_000 {
					if err := publish("default", "point.incremented", point(fmt.Sprintf("queued-%d", i), firstMember)); err != nil {
						return err
					}
				}
				return nil
			},
		},
		{
			name: "an account that hangs",
			before: func(publish func(string, string, any) error) error {
				for i := range 2000 {
					if err := publish("hangs", "point.incremented", point(fmt.Sprintf("hangs-%d", i), firstMember+int64(i))); err != nil {
						return err
					}
				}
				return nil
			},
		},
		{
			name: "a bad event among a hundred",
			among: func(publish func(string, string, any) error) error {
				return publish("default", "point.incremented", map[string]any{"point": -1})
			},
		},
	}
}

func point(uuid string, member int64) map[string]any {
	return map[string]any{"uuid": uuid, "point": 1, "pattern": 2, "membershipId": member}
}

// isolated is what the others got in one run.
type isolated struct {
	Disturbance string  `json:"disturbance"`
	Round       int     `json:"round"`
	PerSecond   float64 `json:"events_per_second"`
	P50         float64 `json:"p50_ms"` // from the publisher's ack to the call at the vendor
	P99         float64 `json:"p99_ms"`
}

// isolation measures what a disturbance costs the others, in turns with none.
func (s *stack) isolation(ctx context.Context, rounds int, out io.Writer, p progress) error {
	var results []isolated
	for round := range rounds {
		list := disturbances()
		if round%2 == 1 {
			slices.Reverse(list)
		}
		for _, d := range list {
			p.say("isolation: round %d of %d, %s", round+1, rounds, d.name)
			r, err := s.disturbed(ctx, d)
			if err != nil {
				return fmt.Errorf("isolation, round %d, %s: %w", round+1, d.name, err)
			}
			r.Round = round + 1
			results = append(results, r)
		}
	}
	p.say("")
	printIsolation(out, results)
	text, err := json.MarshalIndent(results, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(s.opts.out, text, 0o600)
}

func (s *stack) disturbed(ctx context.Context, d disturbance) (r isolated, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r.Disturbance = d.name
	if err := s.freshStream(ctx); err != nil {
		return r, err
	}
	database, err := s.freshDatabase(ctx, workerTemplate)
	if err != nil {
		return r, err
	}
	defer func() { err = errors.Join(err, s.dropDatabase(context.WithoutCancel(ctx), database)) }()
	good, err := s.startVendor(scene{latency: isoLatency, calls: 1 << 20, rules: d.rules})
	if err != nil {
		return r, err
	}
	defer good.server.Close() //nolint:errcheck // nothing is written any more
	hangs, err := s.startVendor(scene{rules: []sandbox.Rule{{Faults: []sandbox.Fault{"hang_before"}, Ops: []string{"*"}, Rate: 1}}})
	if err != nil {
		return r, err
	}
	defer hangs.server.Close() //nolint:errcheck // nothing is written any more
	cmd, err := s.workerCommand(database,
		account{name: "dmhub", url: good.url, tenants: "default", slots: 64},
		account{name: "hangs", url: hangs.url, tenants: "hangs", slots: 64})
	if err != nil {
		return r, err
	}
	worker, err := s.launch(cmd, database)
	if err != nil {
		return r, err
	}
	defer worker.end()
	if err := s.others(ctx, d, good, &r); err != nil {
		return r, fmt.Errorf("%w\n%s", err, lastLines(worker.log))
	}
	return r, nil
}

// others publishes those that are measured, first at a pace, then at once.
func (s *stack) others(ctx context.Context, d disturbance, v *vendor, r *isolated) error {
	if d.before != nil {
		if err := d.before(s.publishAsync); err != nil {
			return err
		}
		if err := s.takenIn(ctx); err != nil {
			return err
		}
	}
	published := map[string]time.Time{}
	tick := time.NewTicker(time.Second / paceRate)
	defer tick.Stop()
	for i := range paceRate * int(paceFor/time.Second) {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
		uuid := fmt.Sprintf("paced-%d", i)
		if err := s.publish(ctx, point(uuid, firstMember+1+int64(i%1999))); err != nil {
			return err
		}
		published[uuid] = time.Now()
		if d.among != nil && i%100 == 0 {
			if err := d.among(s.publishAsync); err != nil {
				return err
			}
		}
	}
	began := time.Now()
	for i := range burst {
		if err := s.publishAsync("default", "point.incremented", point(fmt.Sprintf("burst-%d", i), firstMember+1+int64(i%1999))); err != nil {
			return err
		}
		if d.among != nil && i%100 == 0 {
			if err := d.among(s.publishAsync); err != nil {
				return err
			}
		}
	}
	calls, err := awaitCalls(ctx, v, len(published)+burst)
	if err != nil {
		return err
	}
	var last time.Time
	var latencies []float64
	for uuid, at := range calls {
		if sent, paced := published[uuid]; paced {
			latencies = append(latencies, max(0, float64(at.Sub(sent).Microseconds())/1000))
		} else if at.After(last) {
			last = at
		}
	}
	slices.Sort(latencies)
	r.P50, r.P99 = latencies[len(latencies)/2], latencies[len(latencies)*99/100]
	r.PerSecond = burst / last.Sub(began).Seconds()
	return nil
}

// awaitCalls waits for the measured events at the vendor, and returns when each
// came first.
func awaitCalls(ctx context.Context, v *vendor, want int) (map[string]time.Time, error) {
	for {
		calls := map[string]time.Time{}
		for _, c := range v.sandbox.Calls() {
			if len(c.UUID) > 6 && (c.UUID[:6] == "paced-" || c.UUID[:6] == "burst-") {
				if _, seen := calls[c.UUID]; !seen {
					calls[c.UUID] = c.Time
				}
			}
		}
		if len(calls) == want {
			return calls, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%d of %d events came: %w", len(calls), want, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (s *stack) freshStream(ctx context.Context) error {
	if err := s.js.DeleteStream(ctx, streamName); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("removing the stream: %w", err)
	}
	_, err := s.js.CreateStream(ctx, jetstream.StreamConfig{
		Name: streamName, Subjects: []string{event.SubjectPrefix + ">"}, Storage: jetstream.FileStorage,
		Discard: jetstream.DiscardNew, MaxBytes: streamBytes, Replicas: max(1, s.replicas),
	})
	if err != nil {
		return fmt.Errorf("making the stream: %w", err)
	}
	return nil
}

// takenIn waits until all that was published is in the outbox.
func (s *stack) takenIn(ctx context.Context) error {
	select {
	case <-s.js.PublishAsyncComplete():
	case <-ctx.Done():
		return ctx.Err()
	}
	for {
		names, left := 0, uint64(0)
		stream, err := s.js.Stream(ctx, streamName)
		if err != nil {
			return err
		}
		for info := range stream.ListConsumers(ctx).Info() {
			names, left = names+1, info.NumPending+uint64(info.NumAckPending)
		}
		if names == 1 && left == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%d events are still in the stream: %w", left, ctx.Err())
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func envelope(tenant, typ string, data any) ([]byte, error) {
	return json.Marshal(map[string]any{
		"specversion": "1.0", "id": fmt.Sprint(time.Now().UnixNano()), "source": "bench", "type": typ, "tenant": tenant,
		"time": time.Now().UTC().Format(time.RFC3339Nano), "data": data,
	})
}

func (s *stack) publish(ctx context.Context, data any) error {
	text, err := envelope("default", "point.incremented", data)
	if err == nil {
		_, err = s.js.Publish(ctx, event.SubjectPrefix+"point.incremented", text)
	}
	return err
}

func (s *stack) publishAsync(tenant, typ string, data any) error {
	text, err := envelope(tenant, typ, data)
	if err == nil {
		_, err = s.js.PublishAsync(event.SubjectPrefix+typ, text)
	}
	return err
}

// printIsolation prints each disturbance beside nothing, by the medians of the
// ratios in the same round.
func printIsolation(out io.Writer, results []isolated) {
	alone := map[int]isolated{}
	for _, r := range results {
		if r.Disturbance == "nothing" {
			alone[r.Round] = r
		}
	}
	w := tabwriter.NewWriter(out, 0, 4, 3, ' ', 0)
	fmt.Fprintln(w, "beside\tevents/s\tof alone\tp50 ms\tp99 ms\tp99 of alone") //nolint:errcheck // a table
	for _, d := range disturbances() {
		var rate, share, p50, p99, tail []float64
		for _, r := range results {
			if r.Disturbance != d.name {
				continue
			}
			rate, p50, p99 = append(rate, r.PerSecond), append(p50, r.P50), append(p99, r.P99)
			share, tail = append(share, r.PerSecond/alone[r.Round].PerSecond), append(tail, r.P99/alone[r.Round].P99)
		}
		fmt.Fprintf(w, "%s\t%.0f\t%.2f\t%.1f\t%.1f\t%.2f\n", d.name, median(rate), median(share), median(p50), median(p99), median(tail)) //nolint:errcheck // a table
	}
	w.Flush() //nolint:errcheck // a table
}
