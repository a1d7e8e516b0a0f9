package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
)

type devOptions struct {
	dir      string
	database string
	fresh    bool
	demo     bool
	exit     bool

	orders, points int
	seed           uint64
	faults         float64
}

func (a *app) devCmd() *cobra.Command {
	var o devOptions
	cmd := &cobra.Command{
		Use:     "dev",
		GroupID: groupRun,
		Short:   "Run everything in one process: NATS, Postgres, simulated vendors, worker",
		Long: `Starts all that syncworker stands on, for trying it out and for developing against
it: NATS with JetStream in this process, a private Postgres from the binaries on
this machine, the simulated vendors, the migrations and a worker. Data stays in
--dir, except the vendors', who forget everything.

It writes --dir/syncworker.yaml: other commands work against what runs here with
--config. Settings from the environment don't count for it.

--demo publishes a day's trade of a shop with the trouble that real days have,
waits until all has settled that isn't waiting for a person, prints what became of
it on both sides, and stays up; each demo is another day. With --exit, and where
stdout is no terminal, it ends there: 0 if everything ended as it had to.`,
		Example: `  syncworker dev
  syncworker dev --demo
  syncworker dev --demo --orders 2000 --faults 0.2 --fresh
  syncworker --config .syncworker/syncworker.yaml deliveries list --state held`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(cmd.Flags().Changed); err != nil {
				return err
			}
			if !cmd.Flags().Changed("exit") {
				o.exit = o.demo && !onTerminal(a.stdout)
			}
			return a.dev(cmd.Context(), o)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&o.dir, "dir", ".syncworker", "`folder` for the data and the configuration")
	flags.StringVar(&o.database, "database", "", "`URL` of a Postgres to use in place of a private one; the password belongs in PGPASSWORD or ~/.pgpass")
	flags.BoolVar(&o.fresh, "fresh", false, "begin without the data of earlier runs")
	flags.BoolVar(&o.demo, "demo", false, "publish a day's trade and show what became of it")
	flags.BoolVar(&o.exit, "exit", false, "end when the demo has settled; the default where stdout is no terminal")
	flags.IntVar(&o.orders, "orders", 500, "orders of the demo's day")
	flags.IntVar(&o.points, "points", 0, "changes of points of the demo's day; 0: as many as orders")
	flags.Uint64Var(&o.seed, "seed", 0, "number of the demo's day, the same number makes the same trade; 0: the next one")
	flags.Float64Var(&o.faults, "faults", 0.1, "share of the demo's calls that the vendor lets fail, from 0 to 1")
	return cmd
}

func (o *devOptions) check(changed func(flag string) bool) error {
	if !o.demo {
		for _, flag := range []string{"exit", "orders", "points", "seed", "faults"} {
			if changed(flag) {
				return usagef("--%s goes with --demo; add it, or leave --%s out", flag, flag)
			}
		}
	}
	if o.orders < 25 {
		return usagef("found --orders %d; want at least 25, so that each kind of order is among them", o.orders)
	}
	if o.points == 0 {
		o.points = o.orders
	}
	if o.points < 0 {
		return usagef("found --points %d; want a positive number", o.points)
	}
	if o.fresh && o.database != "" {
		return usagef("--fresh removes the private Postgres and can't empty --database; leave one of them out")
	}
	_, err := faultRules(o.faults)
	return err
}

// dev runs the stack and a worker until the context ends, or the demo has.
func (a *app) dev(ctx context.Context, o devOptions) (err error) {
	s, err := startServers(ctx, o)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop(context.WithoutCancel(ctx))) }()
	log, closeLog, err := a.devLog(s, o)
	if err != nil {
		return err
	}
	defer closeLog()
	if a.output == outputTable {
		s.introduce(a.stdout)
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	group, running := errgroup.WithContext(running)
	group.Go(func() error { return a.work(running, s.config, log) })
	if o.demo {
		group.Go(func() error {
			err := a.demo(running, s, o)
			if o.exit {
				stop()
			}
			return err
		})
	}
	return group.Wait()
}

// devLog is the worker's log: on stderr, or in a file where the demo has the
// terminal.
func (a *app) devLog(s *servers, o devOptions) (log zerolog.Logger, end func(), err error) {
	if !o.demo {
		return a.logger(s.config.Log), func() {}, nil
	}
	file, err := os.OpenFile(s.path("worker.log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return log, nil, fmt.Errorf("opening the worker's log: %w", err)
	}
	return zerolog.New(file).With().Timestamp().Logger(), func() { _ = file.Close() }, nil
}

// self is how the user calls this binary again.
func self() string {
	path, err := os.Executable()
	if err != nil {
		return "syncworker"
	}
	if wd, err := os.Getwd(); err == nil {
		rel, err := filepath.Rel(wd, path)
		if err == nil && rel == filepath.Base(rel) {
			return "./" + rel
		}
		if err == nil && filepath.IsLocal(rel) {
			return rel
		}
	}
	return path
}
