package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"syncworker/test/chaos/check"
)

// sweep says how all combinations are run.
type sweep struct {
	options
	Together int // runs at once
	Nth      int // only each n-th combination
}

// vendorRun is one combination with what came of it.
type vendorRun struct {
	combination
	seed uint64
	tally
	err error
}

func sweepFlags(args []string) sweep {
	var s sweep
	f := flag.NewFlagSet("chaos switches", flag.ExitOnError)
	f.Uint64Var(&s.Seed, "seed", 1000, "of the first combination; each further one has the next")
	f.DurationVar(&s.Duration, "duration", 8*time.Second, "how long each run publishes")
	f.Float64Var(&s.Rate, "rate", 60, "messages a second")
	f.Float64Var(&s.Refuse, "faulty", 0.15, "share of the vendor's writes that go wrong")
	f.StringVar(&s.Settings, "settings", toldNothing, "how much of what the vendor does the account was told: "+strings.Join(told, ", "))
	f.IntVar(&s.Together, "together", 3, "runs at once")
	f.IntVar(&s.Nth, "nth", 1, "only each n-th combination")
	f.StringVar(&s.Out, "out", filepath.Join(os.TempDir(), "chaos-switches"), "the bundles' folder; only those with findings stay")
	f.StringVar(&s.Root, "root", ".", "the repository's folder, to build the worker from")
	f.StringVar(&s.Binary, "worker", "", "a worker that is built already")
	_ = f.Parse(args) // exits by itself
	s.Workers = 2
	return s
}

// everyVendor runs the combinations and prints what came of each. Its error is
// that one of them has findings, or couldn't be run.
func everyVendor(ctx context.Context, s sweep) error {
	if !slices.Contains(told, s.Settings) || s.Together < 1 || s.Nth < 1 {
		return fmt.Errorf("-settings %s, -together %d, -nth %d: give one of %s, and numbers from 1 on",
			s.Settings, s.Together, s.Nth, strings.Join(told, ", "))
	}
	if s.Binary == "" {
		dir, err := os.MkdirTemp("", "syncworker-chaos-")
		if err != nil {
			return fmt.Errorf("making a folder for the worker: %w", err)
		}
		defer os.RemoveAll(dir) //nolint:errcheck // it is in the temporary folder
		s.Binary = filepath.Join(dir, "syncworker")
		if err := build(ctx, s.Root, s.Binary, false); err != nil {
			return err
		}
	}
	var runs []*vendorRun
	for i, c := range combinations() {
		if i%s.Nth == 0 {
			runs = append(runs, &vendorRun{combination: c, seed: s.Seed + uint64(i)})
		}
	}
	s.all(ctx, runs)
	printRuns(os.Stdout, runs)
	printRows(os.Stdout, runs)
	var broken []error
	for _, r := range runs {
		if r.err != nil {
			broken = append(broken, fmt.Errorf("%w\n  again: %s", r.err, s.command(r)))
		}
	}
	return errors.Join(broken...)
}

// all runs them, so many at once.
func (s sweep) all(ctx context.Context, runs []*vendorRun) {
	next := make(chan *vendorRun)
	var group sync.WaitGroup
	for range s.Together {
		group.Go(func() {
			for r := range next {
				if r.err = s.one(ctx, r); r.err != nil {
					fmt.Fprintf(os.Stderr, "seed %d, %s: %v\n", r.seed, r.combination, r.err)
				} else {
					fmt.Fprintf(os.Stderr, "seed %d, %s: well\n", r.seed, r.combination)
				}
			}
		})
	}
	for _, r := range runs {
		if ctx.Err() != nil {
			break
		}
		next <- r
	}
	close(next)
	group.Wait()
}

// one runs a combination and checks what it left behind.
func (s sweep) one(ctx context.Context, r *vendorRun) error {
	o := s.options
	o.Seed, o.Out = r.seed, filepath.Join(s.Out, fmt.Sprint(r.seed))
	var err error
	if o.Switches, err = given(r.String(), r.seed); err != nil {
		return err
	}
	if err := run(ctx, o); err != nil {
		return err
	}
	b, err := check.Load(o.Out)
	if err != nil {
		return err
	}
	report := check.Check(b)
	r.tally = count(b, report)
	if r.Findings > 0 {
		var text strings.Builder
		for _, f := range report.Findings {
			fmt.Fprintf(&text, "\n  %s: %s", f.Invariant, f.What)
		}
		return fmt.Errorf("seed %d: %d findings, in %s:%s", r.seed, r.Findings, o.Out, text.String())
	}
	if err := os.RemoveAll(o.Out); err != nil {
		return fmt.Errorf("removing a bundle: %w", err)
	}
	return nil
}

// command repeats one combination alone.
func (s sweep) command(r *vendorRun) string {
	return fmt.Sprintf("go run ./test/chaos run -seed %d -duration %s -rate %g -faulty %g -settings %s -switches '%s'",
		r.seed, s.Duration, s.Rate, s.Refuse, s.Settings, r.combination)
}
