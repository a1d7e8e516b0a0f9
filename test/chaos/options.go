package main

import (
	"io"
	"time"

	"syncworker/internal/sandbox"
)

// options say what is run.
type options struct {
	Seed     uint64
	Duration time.Duration // of publishing
	Rate     float64       // messages a second
	Out      string        // the bundle's folder; made anew
	Root     string        // of the repository
	Binary   string        // of the worker; built where empty
	From     string        // a revision whose workers begin, and are replaced; empty: none
	Race     bool
	Workers  int
	Cluster  bool              // three NATS nodes and a stream with three replicas
	Refuse   float64           // share of the vendor's writes that go wrong
	Restore  bool              // put Postgres back to an older copy
	Tail     bool              // put the stream back to an older copy
	Disk     string            // "", nats or postgres: whose disk runs full
	Switches *sandbox.Switches // what this vendor does where its documents leave it open; nil: drawn from the seed
	Settings string            // how much of that the account was told, see semantics; "": drawn from the seed
	// Failpoints is the share of steps at which a worker dies, all workers but
	// the first; a tenth of that and a half: at which it stands still or fails.
	Failpoints float64
	Every      every
	Progress   io.Writer // nil: quiet
}

// every is how long it takes on average until the next fault of a track.
type every struct{ Worker, NATS, Postgres, Link, Operator time.Duration }

func (o options) normal() options {
	if o.Switches == nil {
		drawn := switches(o.Seed)
		o.Switches = &drawn
	}
	if o.Settings == "" {
		o.Settings = settings(o.Seed)
	}
	if o.Every == (every{}) {
		// The shortest run has one crash of each server.
		o.Every = every{
			Worker: 1500 * time.Millisecond, NATS: min(9*time.Second, o.Duration), Postgres: min(11*time.Second, o.Duration),
			Link: 1200 * time.Millisecond, Operator: 1500 * time.Millisecond,
		}
	}
	return o
}
