// Command bench measures what the worker's guarantees cost on this machine: the
// shipped binary beside the bare ideal pipeline and what a team would otherwise
// build, on the same events, Postgres, NATS and vendor, in turns.
//
// Figures of one machine can only be compared within one run, by the ratios of
// the same round: everything shares the machine's cores, the vendor too.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/term"
)

// options are what a run is made of.
type options struct {
	worker  string // path of the syncworker binary
	out     string // path of the JSON file
	dir     string // for the servers' files; empty: a temporary folder
	rounds  int
	events  int
	only    string
	alone   bool
	against string
	killed  bool
	full    bool
	sql     bool
	iso     bool
	outage  bool
	growth  bool
	scale   bool
	down    time.Duration
	latency bool
	hot     bool
	idle    bool
	memory  bool
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == rivalCommand {
		exit(rivalMain(os.Args[2:]))
	}
	var o options
	flag.StringVar(&o.worker, "worker", "../bin/syncworker", "the worker's `binary`")
	flag.StringVar(&o.out, "out", "out.json", "`file` for the figures of every round")
	flag.StringVar(&o.dir, "dir", "", "`folder` for the servers' files; a temporary one by default")
	flag.IntVar(&o.rounds, "rounds", 0, "rounds; 3 by default, 9 with -full")
	flag.IntVar(&o.events, "events", 0, "events that are queued; 10000 by default, 50000 with -outage")
	flag.StringVar(&o.only, "only", "", "only the scenes whose name begins with this, such as stub; with -outage refused or silent")
	flag.BoolVar(&o.alone, "alone", false, "only the worker, to compare builds or profiles of it")
	flag.StringVar(&o.against, "against", "", "only these beside the worker, by comma: ideal, river, watermill, naive")
	flag.BoolVar(&o.killed, "killed", false, "only what is lost and doubled when a contender is killed half-way")
	flag.BoolVar(&o.full, "full", false, "more rounds and more events")
	flag.BoolVar(&o.sql, "statements", false, "print what each statement of the worker cost Postgres; costs some time itself")
	flag.BoolVar(&o.iso, "isolation", false, "what one bad order, member, account or event costs the others, in place of the rest")
	flag.BoolVar(&o.outage, "outage", false, "what a vendor that is away costs, and what follows, in place of the rest")
	flag.BoolVar(&o.growth, "growth", false, "what tables that have grown cost, in place of the rest")
	flag.BoolVar(&o.scale, "scale", false, "what more workers bring, whether limits hold over them, and a NATS cluster, in place of the rest; -events is for each worker, -only workers, limits or nats")
	flag.DurationVar(&o.down, "down", time.Minute, "how long the vendor is away, with -outage")
	flag.BoolVar(&o.latency, "latency", false, "how long an event takes from its publisher to the vendor, in place of the rest")
	flag.BoolVar(&o.hot, "hot", false, "what order allows: twenty busy members, and one with 100,000 events, in place of the rest")
	flag.BoolVar(&o.idle, "idle", false, "what a worker costs that has nothing to do, in place of the rest")
	flag.BoolVar(&o.memory, "memory", false, "the worker's memory with more than a million events queued, in place of the rest")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	exit(run(ctx, o.withDefaults(), os.Stdout, progressTo(os.Stderr)))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func (o options) withDefaults() options {
	rounds, events := 3, 10_000
	if o.full && !o.growth {
		rounds = 9
	}
	if o.outage || o.full && (o.latency || o.memory) {
		events = 50_000
	}
	if o.hot {
		events = hotEvents
	}
	o.sql = o.sql || o.idle || o.growth
	if o.scale {
		rounds, events, o.sql = 1, 5_000, true // the statements are counted
		if o.full {
			rounds = 5
		}
	}
	if o.rounds == 0 {
		o.rounds = rounds
	}
	if o.events == 0 {
		o.events = events
	}
	return o
}

// progress writes where the run is, over the same line each time.
type progress struct{ to io.Writer }

// progressTo says nothing where nobody watches.
func progressTo(f *os.File) progress {
	if !term.IsTerminal(int(f.Fd())) {
		return progress{io.Discard}
	}
	return progress{f}
}

func (p progress) say(format string, args ...any) {
	fmt.Fprintf(p.to, "\r\x1b[K"+format, args...)
}

func run(ctx context.Context, o options, out io.Writer, p progress) (err error) {
	began := time.Now()
	if o.worker, err = filepath.Abs(o.worker); err != nil {
		return err
	}
	if _, err := os.Stat(o.worker); err != nil {
		return fmt.Errorf("the worker's binary: %w (make build makes it)", err)
	}
	p.say("starting Postgres and NATS, queueing %d events", o.events)
	s, err := startStack(ctx, o)
	if err != nil {
		return err
	}
	defer s.stop()
	switch {
	case o.iso:
		return s.isolation(ctx, o.rounds, out, p)
	case o.outage:
		return s.outages(ctx, out, p)
	case o.latency:
		return s.latencies(ctx, out, p)
	case o.hot:
		return s.hot(ctx, out, p)
	case o.idle:
		return s.idle(ctx, out, p)
	case o.memory:
		return s.memory(ctx, out, p)
	case o.growth:
		return s.growth(ctx, out, p)
	case o.scale:
		return s.scale(ctx, out, p)
	}
	results, err := s.rounds(ctx, scenes(o), p)
	if err != nil {
		return err
	}
	var crashes []crash
	if !o.alone && (o.killed || o.only == "") {
		if crashes, err = s.killed(ctx, p); err != nil {
			return err
		}
	}
	p.say("")
	rep := newReport(s.machine(ctx), o, results, crashes, time.Since(began))
	if err := rep.write(out); err != nil {
		return err
	}
	if err := rep.draw(strings.TrimSuffix(o.out, ".json") + ".svg"); err != nil {
		return err
	}
	return rep.save(o.out)
}

// rounds lets the contenders of each scene go in turns.
func (s *stack) rounds(ctx context.Context, scenes []scene, p progress) (results []result, err error) {
	o := s.opts
	for _, sc := range scenes {
		for round := range o.rounds {
			for i := range sc.contenders {
				if round%2 == 1 {
					i = len(sc.contenders) - 1 - i // who goes first has the quieter machine
				}
				c := sc.contenders[i]
				p.say("%s: round %d of %d, %s", sc.name, round+1, o.rounds, c.name)
				r, err := s.measure(ctx, sc, c)
				if err != nil {
					return nil, fmt.Errorf("%s, round %d, %s: %w", sc.name, round+1, c.name, err)
				}
				r.Round = round + 1
				results = append(results, r)
			}
		}
	}
	return results, nil
}
