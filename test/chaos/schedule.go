package main

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"time"
)

// Kinds of fault. The fault journal names them.
const (
	workerKill      = "worker_kill"
	workerStop      = "worker_stop" // SIGSTOP past the lease, then SIGCONT: a zombie
	workerTerm      = "worker_term"
	workerExit      = "worker_exit" // by itself, or it was killed between two looks
	workerIdle      = "worker_idle" // the same, before it had begun
	failpoint       = "failpoint"   // killed or stopped by one
	natsKill        = "nats_kill"
	consumerDelete  = "consumer_delete"
	streamFull      = "stream_full"
	streamTail      = "stream_tail" // the stream is put back to an older copy of its store
	postgresKill    = "postgres_kill"
	postgresRestore = "postgres_restore" // the database is put back to an older copy
	diskFull        = "disk_full"
	linkToxic       = "link_toxic"
	linkCut         = "link_cut"
	machineStall    = "machine_stall" // by itself: nothing ran for a while
)

// step is one fault of the schedule.
type step struct {
	At     float64       // share of the messages that are published by then
	Kind   string        //
	Target int           // which worker or node; modulo their number
	For    time.Duration // how long it lasts, or how long until the restart
	Link   string        // nats, postgres or vendor
	Toxic  toxic
}

// track is a row of faults that follow one another; tracks run side by side.
type track []step

// schedule makes all tracks from the seed: the same options make the same
// schedule, and its times are shares of what is published.
func schedule(o options) map[string]track {
	tracks := map[string]track{}
	add := func(name string, every time.Duration, make func(*rand.Rand) step) {
		rng := rand.New(rand.NewPCG(o.Seed, uint64(len(name))<<32|uint64(name[0])))
		n := int(o.Duration / every)
		for i := range n {
			s := make(rng)
			s.At = (float64(i) + rng.Float64()) / float64(n)
			tracks[name] = append(tracks[name], s)
		}
		slices.SortFunc(tracks[name], func(a, b step) int { return cmp.Compare(a.At, b.At) })
	}
	add("workers", o.Every.Worker, workerFault)
	add("stream", o.Every.NATS, o.streamFault)
	add("postgres", o.Every.Postgres, o.databaseFault)
	add("links", o.Every.Link, linkFault)
	return tracks
}

func workerFault(rng *rand.Rand) step {
	s := step{Target: rng.IntN(1 << 16), For: between(rng, 0, 800)}
	switch p := rng.Float64(); {
	case p < 0.7:
		s.Kind = workerKill
	case p < 0.85:
		s.Kind, s.For = workerStop, lease+between(rng, 500, 2500)
	default:
		s.Kind = workerTerm
	}
	return s
}

func (o options) streamFault(rng *rand.Rand) step {
	s := step{Kind: natsKill, Target: rng.IntN(1 << 16), For: between(rng, 100, 1500)}
	switch p := rng.Float64(); {
	case p < 0.6:
	case p < 0.8:
		s.Kind = consumerDelete
	default:
		s.Kind, s.For = streamFull, between(rng, 500, 2000)
	}
	if o.Tail && rng.Float64() < 0.3 {
		s.Kind, s.For = streamTail, between(rng, 1000, 3000)
	}
	if o.Disk == "nats" && rng.Float64() < 0.3 {
		s.Kind, s.For = diskFull, between(rng, 1000, 3000)
	}
	return s
}

func (o options) databaseFault(rng *rand.Rand) step {
	s := step{Kind: postgresKill, For: between(rng, 0, 1500)}
	if o.Restore && rng.Float64() < 0.5 {
		s.Kind, s.For = postgresRestore, between(rng, 2000, 10000)
	}
	if o.Disk == "postgres" && rng.Float64() < 0.3 {
		s.Kind, s.For = diskFull, between(rng, 1000, 3000)
	}
	return s
}

// linkFault makes a link slow, deaf or broken. What it delays stays below the
// quiet period of the accounts, which is the promise that a network makes there.
func linkFault(rng *rand.Rand) step {
	s := step{Kind: linkToxic, Target: rng.IntN(1 << 16), For: between(rng, 200, 2000)}
	s.Link = []string{"nats", "postgres", "vendor"}[rng.IntN(3)]
	side := []string{"upstream", "downstream"}[rng.IntN(2)]
	t := toxic{Name: "fault", Stream: side, Toxicity: []float32{1, 1, 0.5}[rng.IntN(3)]}
	switch rng.IntN(7) {
	case 0:
		s.Kind = linkCut
	case 1:
		t.Type, t.Attributes = "latency", map[string]any{"latency": 50 + rng.IntN(350), "jitter": rng.IntN(50)}
	case 2:
		t.Type, t.Attributes = "timeout", map[string]any{"timeout": rng.IntN(2) * (100 + rng.IntN(900))}
	case 3:
		t.Type, t.Attributes = "reset_peer", map[string]any{"timeout": rng.IntN(200)}
	case 4:
		t.Type, t.Attributes = "slow_close", map[string]any{"delay": 100 + rng.IntN(500)}
	case 5:
		t.Type, t.Attributes = "bandwidth", map[string]any{"rate": 20 + rng.IntN(80)}
	case 6:
		t.Type, t.Attributes = "limit_data", map[string]any{"bytes": 500 + rng.IntN(20000)}
	}
	s.Toxic = t
	return s
}

// between is a time of so many milliseconds.
func between(rng *rand.Rand, least, most int) time.Duration {
	return time.Duration(least+rng.IntN(most-least+1)) * time.Millisecond
}
