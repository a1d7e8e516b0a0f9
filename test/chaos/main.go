// Command chaos runs workers under every fault that it knows, and proves from
// what they left behind that they were never wrong.
//
//	go run ./test/chaos run -seed 7 -duration 60s -rate 150 -out /tmp/bundle
//	go run ./test/chaos check /tmp/bundle
//	go run ./test/chaos switches
//	make chaos SEED=7
//
// run starts NATS as processes of their own, a private Postgres, the simulated
// vendor, and workers with a proxy in each of their links; publishes days of
// trade, with a schedule of faults and operators beside it that is made from the
// seed; heals everything, waits until all has drained, and saves a bundle:
// journals, tables, ledger, logs and metrics. Both commands then check the
// bundle, print a table of the invariants and exit with 1 where one is broken.
//
// switches does the same, shortly, for each of the vendors that the documents
// allow, and prints a table of what was held at each.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"
	"github.com/rs/zerolog/log"
	"golang.org/x/term"

	"syncworker/test/chaos/check"
)

func main() {
	if file := os.Getenv(natsEnv); file != "" {
		exit(serveNATS(file))
	}
	log.Logger = zerolog.Nop() // toxiproxy's toxics write there
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	if len(os.Args) < 2 {
		usage()
	}
	switch os.Args[1] {
	case "run":
		o := flags(os.Args[2:])
		fmt.Printf("seed %d, %s of %.0f messages a second, into %s\n", o.Seed, o.Duration, o.Rate, o.Out)
		if err := run(ctx, o); err != nil {
			exit(err)
		}
		exit(verify(o.Out))
	case "check":
		if len(os.Args) != 3 {
			usage()
		}
		exit(verify(os.Args[2]))
	case "switches":
		exit(everyVendor(ctx, sweepFlags(os.Args[2:])))
	default:
		usage()
	}
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: chaos run [flags]; chaos check DIR; chaos switches [flags]; -help lists the flags")
	os.Exit(2)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "chaos:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// verify checks a bundle and prints what came of it.
func verify(dir string) error {
	b, err := check.Load(dir)
	if err != nil {
		return err
	}
	report := check.Check(b)
	report.Print(os.Stdout)
	if n := len(report.Findings); n > 0 {
		return fmt.Errorf("%d findings; the bundle is in %s", n, dir)
	}
	return nil
}

func flags(args []string) options {
	var o options
	f := flag.NewFlagSet("chaos run", flag.ExitOnError)
	f.Uint64Var(&o.Seed, "seed", uint64(time.Now().UnixNano()%1_000_000), "of the schedule, the trade and the vendor's faults; a fresh one by default")
	f.DurationVar(&o.Duration, "duration", time.Minute, "how long to publish")
	f.Float64Var(&o.Rate, "rate", 150, "messages a second")
	f.StringVar(&o.Out, "out", "", "the bundle's folder (default: chaos-SEED in the temporary folder)")
	f.StringVar(&o.Root, "root", ".", "the repository's folder, to build the worker from")
	f.StringVar(&o.Binary, "worker", "", "a worker that is built already")
	f.StringVar(&o.From, "from", "", "begin with the worker and the schema of this git revision, migrate and replace it under load")
	f.BoolVar(&o.Race, "race", false, "build the worker with the race detector")
	f.IntVar(&o.Workers, "workers", 2, "processes")
	f.BoolVar(&o.Cluster, "cluster", false, "three NATS nodes, and a stream with three replicas")
	f.Float64Var(&o.Refuse, "faulty", 0.1, "share of the vendor's writes that go wrong")
	f.BoolVar(&o.Restore, "restore", false, "put Postgres back to a copy of some seconds ago, too")
	f.BoolVar(&o.Tail, "tail", false, "put the stream back to a copy of some seconds ago, too")
	f.StringVar(&o.Disk, "disk", "", "nats or postgres: whose disk runs full, too")
	f.Float64Var(&o.Failpoints, "failpoints", 0, "share of steps at which a worker dies, all workers but the first; 0.0003 is much")
	vendor := f.String("switches", "", `what the vendor does where its documents leave it open, as {"refunds":"refuse"}; what isn't named is drawn from the seed`)
	f.StringVar(&o.Settings, "settings", "", "how much of that the account was told: "+strings.Join(told, ", ")+"; drawn from the seed by default")
	_ = f.Parse(args) // exits by itself
	if *vendor != "" {
		var err error
		if o.Switches, err = given(*vendor, o.Seed); err != nil {
			exit(err)
		}
	}
	if o.Settings != "" && !slices.Contains(told, o.Settings) {
		exit(fmt.Errorf("-settings %s: give one of %s", o.Settings, strings.Join(told, ", ")))
	}
	if o.Out == "" {
		o.Out = fmt.Sprintf("%s/chaos-%d", os.TempDir(), o.Seed)
	}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		o.Progress = os.Stderr
	}
	return o
}
