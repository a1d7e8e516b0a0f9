package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"syncworker/internal/devstack"
	"syncworker/internal/event"
	"syncworker/internal/trade"
)

// What is published to each kind of NATS: at a pace, and at once.
const (
	natsPace  = 100 // a second
	natsFor   = 6 * time.Second
	natsBurst = 8000
	natsSlots = 64
)

// streamed is what one kind of NATS came to.
type streamed struct {
	NATS      string  `json:"nats"`
	Round     int     `json:"round"`
	AckP50    float64 `json:"ack_p50_ms"`  // from publishing to the stream's acknowledgement
	AckP99    float64 `json:"ack_p99_ms"`  //
	CallP50   float64 `json:"call_p50_ms"` // from publishing to the call at the vendor
	CallP99   float64 `json:"call_p99_ms"`
	Published float64 `json:"published_per_second"` // at once, by one publisher
	PerSecond float64 `json:"events_per_second"`    // of these, to the vendor
	SharedCPU float64 `json:"nats_and_vendor_cpu_seconds_per_1000"`
}

// kindOfNATS is one node or several.
type kindOfNATS struct {
	name       string
	nodes      int
	syncAlways bool
}

func kindsOfNATS() []kindOfNATS {
	return []kindOfNATS{{"one node", 1, false}, {"one node, sync always", 1, true}, {"three nodes, R3", 3, false}}
}

// clusters measures each kind in turns.
func (s *stack) clusters(ctx context.Context, p progress) (results []streamed, err error) {
	for round := range s.opts.rounds {
		kinds := kindsOfNATS()
		if round%2 == 1 {
			slices.Reverse(kinds)
		}
		for i, k := range kinds {
			p.say("nats: round %d of %d, %s", round+1, s.opts.rounds, k.name)
			r, err := s.streamThrough(ctx, k, filepath.Join(s.dir, fmt.Sprintf("cluster-%d-%d", round, i)))
			if err != nil {
				return nil, fmt.Errorf("%s: %w", k.name, err)
			}
			r.Round = round + 1
			results = append(results, r)
		}
	}
	return results, nil
}

// streamThrough measures one kind: a stack like this one, but for its NATS.
func (s *stack) streamThrough(ctx context.Context, k kindOfNATS, dir string) (r streamed, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	r.NATS = k.name
	nodes, err := startNodes(dir, k)
	if err != nil {
		return r, err
	}
	defer func() {
		for _, n := range nodes {
			n.Shutdown()
			n.WaitForShutdown()
		}
		err = errors.Join(err, os.RemoveAll(dir))
	}()
	on := *s
	on.replicas = k.nodes
	var urls []string
	for _, n := range nodes {
		urls = append(urls, n.ClientURL())
	}
	on.nats = &devstack.NATS{URL: strings.Join(urls, ",")}
	if on.conn, err = nats.Connect(on.nats.URL); err != nil {
		return r, fmt.Errorf("connecting to NATS: %w", err)
	}
	defer on.conn.Close()
	if on.js, err = jetstream.New(on.conn); err != nil {
		return r, err
	}
	if err := on.elected(ctx); err != nil {
		return r, err
	}
	v, err := on.startVendor(scene{calls: 1 << 20})
	if err != nil {
		return r, err
	}
	defer v.server.Close() //nolint:errcheck // nothing is written any more
	t, err := on.newTeam(ctx, account{name: "dmhub", url: v.url, tenants: "*", slots: natsSlots})
	if err != nil {
		return r, err
	}
	defer func() { s.runs = on.runs; err = errors.Join(err, t.disband(ctx)) }()
	t.env = []string{fmt.Sprintf("SYNCWORKER_NATS_REPLICAS=%d", k.nodes)}
	if err := t.join(); err != nil {
		return r, err
	}
	if err := t.stream(ctx, v, &r); err != nil {
		return r, t.said(err)
	}
	return r, nil
}

// elected makes the stream, once the nodes have a leader among them: without one
// nobody answers.
func (s *stack) elected(ctx context.Context) error {
	for {
		try, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := s.freshStream(try)
		cancel()
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// stream publishes at a pace, then at once, and waits for the calls.
func (t *team) stream(ctx context.Context, v *vendor, r *streamed) error {
	if err := t.publish(ctx, point("first", firstMember)); err != nil {
		return err
	}
	err := t.until(ctx, time.Minute, "the worker works", func() (bool, error) { return v.writes.Load() > 0, nil })
	if err != nil {
		return err
	}
	before, _, err := cpuOf(os.Getpid())
	if err != nil {
		return err
	}
	published, acks, err := t.paced(ctx)
	if err != nil {
		return err
	}
	messages, err := atOnce()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := t.sendAll(ctx, messages); err != nil {
		return err
	}
	r.Published = natsBurst / time.Since(began).Seconds()
	calls, err := awaitCalls(ctx, v, len(published)+natsBurst)
	if err != nil {
		return err
	}
	after, _, err := cpuOf(os.Getpid())
	if err != nil {
		return err
	}
	r.SharedCPU = (after - before) / float64(len(calls)) * 1000
	r.read(published, calls, acks, began)
	return nil
}

// atOnce makes the events that are published at once.
func atOnce() (messages []trade.Message, err error) {
	for i := range natsBurst {
		text, err := envelope("default", "point.incremented", point(fmt.Sprintf("burst-%d", i), firstMember+1+int64(i%1999)))
		if err != nil {
			return nil, err
		}
		messages = append(messages, trade.Message{Subject: event.SubjectPrefix + "point.incremented", Data: text})
	}
	return messages, nil
}

// paced publishes some events one after another, and returns when each was and how
// long its acknowledgement took, in milliseconds.
func (t *team) paced(ctx context.Context) (published map[string]time.Time, acks []float64, err error) {
	published = map[string]time.Time{}
	tick := time.NewTicker(time.Second / natsPace)
	defer tick.Stop()
	for i := range natsPace * int(natsFor/time.Second) {
		select {
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-tick.C:
		}
		uuid, at := fmt.Sprintf("paced-%d", i), time.Now()
		if err := t.publish(ctx, point(uuid, firstMember+1+int64(i%1999))); err != nil {
			return nil, nil, fmt.Errorf("publishing an event: %w", err)
		}
		published[uuid] = at
		acks = append(acks, milliseconds(time.Since(at)))
	}
	return published, acks, nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// read takes the times of the calls apart into those at a pace and those at once.
func (r *streamed) read(published, calls map[string]time.Time, acks []float64, began time.Time) {
	var last time.Time
	var latencies []float64
	for uuid, at := range calls {
		if sent, paced := published[uuid]; paced {
			latencies = append(latencies, milliseconds(at.Sub(sent)))
		} else if at.After(last) {
			last = at
		}
	}
	slices.Sort(latencies)
	slices.Sort(acks)
	at := func(sorted []float64, percent int) float64 { return sorted[len(sorted)*percent/100] }
	r.AckP50, r.AckP99 = at(acks, 50), at(acks, 99)
	r.CallP50, r.CallP99 = at(latencies, 50), at(latencies, 99)
	r.PerSecond = natsBurst / last.Sub(began).Seconds()
}

// startNodes starts NATS servers in this process that make a cluster where they are
// several.
func startNodes(dir string, k kindOfNATS) (nodes []*server.Server, err error) {
	defer func() {
		if err != nil {
			for _, n := range nodes {
				n.Shutdown()
			}
		}
	}()
	ports, err := devstack.FreePorts(k.nodes)
	if err != nil {
		return nil, err
	}
	for i := range k.nodes {
		o := &server.Options{
			ServerName: fmt.Sprintf("n%d", i+1), Host: "127.0.0.1", Port: -1, NoSigs: true, JetStream: true,
			StoreDir: filepath.Join(dir, fmt.Sprint(i)), JetStreamMaxStore: 64 << 30, SyncAlways: k.syncAlways, DisableJetStreamBanner: true,
		}
		if k.nodes > 1 {
			o.Cluster = server.ClusterOpts{Name: "bench", Host: "127.0.0.1", Port: ports[i]}
			for _, port := range ports {
				o.Routes = append(o.Routes, &url.URL{Scheme: "nats", Host: fmt.Sprintf("127.0.0.1:%d", port)})
			}
		}
		n, err := server.NewServer(o)
		if err != nil {
			return nodes, fmt.Errorf("starting NATS: %w", err)
		}
		nodes = append(nodes, n)
		go n.Start()
	}
	for _, n := range nodes {
		if !n.ReadyForConnections(30 * time.Second) {
			return nodes, errors.New("starting NATS: it isn't ready for connections")
		}
	}
	return nodes, nil
}
