package main

import (
	"io"
	"time"
)

// options say what is run.
type options struct {
	Seed     uint64
	Duration time.Duration // of publishing
	Rate     float64       // messages a second
	Out      string        // the bundle's folder; made anew
	Root     string        // of the repository
	Binary   string        // of the worker; built where empty
	Race     bool
	Workers  int
	Cluster  bool    // three NATS nodes and a stream with three replicas
	Refuse   float64 // share of the vendor's writes that go wrong
	Restore  bool    // put Postgres back to an older copy
	Tail     bool    // put the stream back to an older copy
	Disk     string  // "", nats or postgres: whose disk runs full
	// Failpoints is the share of steps at which a worker dies, all workers but
	// the first; a tenth of that and a half: at which it stands still or fails.
	Failpoints float64
	Every      every
	Progress   io.Writer // nil: quiet
}

// every is how long it takes on average until the next fault of a track.
type every struct{ Worker, NATS, Postgres, Link, Operator time.Duration }

func (o options) normal() options {
	if o.Every == (every{}) {
		o.Every = every{
			Worker: 1500 * time.Millisecond, NATS: 9 * time.Second, Postgres: 11 * time.Second,
			Link: 1200 * time.Millisecond, Operator: 1500 * time.Millisecond,
		}
	}
	return o
}
