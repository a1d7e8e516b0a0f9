package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/rs/zerolog"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"syncworker/internal/config"
	"syncworker/internal/consumer"
	"syncworker/internal/dispatch"
	"syncworker/internal/outbox"
	"syncworker/internal/witness"
)

func (a *app) runCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "run",
		GroupID: groupRun,
		Short:   "Run the worker until it is told to stop",
		Long: `Consumes events, keeps them in the outbox and brings each to its vendors. Run as
many workers against one database as you like: they share the work and the
limits of each account.

SIGTERM or SIGINT drains: no new call begins, those under way are answered and
written down (dispatch.drain_timeout), and what is held goes back to the others.`,
		Example: `  syncworker migrate up && syncworker run
  syncworker run --config /etc/syncworker.yaml`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := a.config()
			if err != nil {
				return err
			}
			if err := c.CheckWorker(); err != nil {
				return err
			}
			if os.Getenv("GOGC") == "" {
				collectLess()
			}
			return a.work(cmd.Context(), c, a.logger(c.Log))
		},
	}
}

// onTerminal reports whether somebody sees at once what is written.
func onTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	return ok && term.IsTerminal(int(file.Fd()))
}

// logger writes to stderr, as lines for people on a terminal and as JSON else.
func (a *app) logger(c config.Log) zerolog.Logger {
	zerolog.TimeFieldFormat = time.RFC3339Nano
	var out io.Writer = a.stderr
	if c.Format == "console" || c.Format == "auto" && onTerminal(a.stderr) {
		out = zerolog.ConsoleWriter{Out: a.stderr, TimeFormat: "15:04:05.000", NoColor: os.Getenv("NO_COLOR") != ""}
	}
	level, err := zerolog.ParseLevel(c.Level)
	if err != nil {
		level = zerolog.InfoLevel
	}
	return zerolog.New(out).Level(level).With().Timestamp().Logger()
}

// work runs a worker: consumer, dispatch and the pages for operation. It ends
// with the context: the consumer first, and the calls under way after it.
func (a *app) work(ctx context.Context, c config.Config, log zerolog.Logger) error {
	for _, warning := range c.Warnings() {
		log.Warn().Msg(warning)
	}
	store, err := openStore(ctx, c, outbox.OpenForWorker)
	if err != nil {
		return err
	}
	defer store.Close()
	held, err := store.Prepare(ctx, c.Finance.TimeZone, slices.Sorted(maps.Keys(c.Vendors)))
	if err != nil {
		return err
	}
	if held > 0 {
		log.Error().Int("deliveries", held).Msg("held: their account isn't configured any more (reason account_missing)")
	}
	accounts, err := buildAccounts(c, store, a.now)
	if err != nil {
		return err
	}
	conn, err := connectNATS(c.NATS, log)
	if err != nil {
		return err
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		return fmt.Errorf("opening JetStream: %w", err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	host, _ := os.Hostname()
	memory := witness.New(js, c.NATS.Stream, c.NATS.Consumer, c.NATS.Replicas, log)
	worker := dispatch.New(store, accounts, dispatch.Config{
		Name:  fmt.Sprintf("%s/%d", host, os.Getpid()),
		Lease: c.Dispatch.Lease, Drain: c.Dispatch.DrainTimeout, Poll: time.Second,
		Circuit: dispatch.Circuit{Probe: 5 * time.Second, MaxProbe: time.Minute},
		Witness: memory,
	}, log, dispatch.NewMetrics(registry), a.now, rand.Float64)
	events := consumer.New(js, store, worker.Enqueue, c.Accounts, streamConfig(c.NATS), log, consumer.NewMetrics(registry))

	// The consumer needs the worker to the last batch, so the worker's context
	// ends after the consumer has.
	working, stopWorking := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWorking()
	group, consuming := errgroup.WithContext(ctx)
	remembering, stopRemembering := context.WithCancel(context.WithoutCancel(ctx))
	defer stopRemembering()
	group.Go(func() error { defer stopRemembering(); return worker.Run(working) })
	group.Go(func() error { memory.Run(remembering); return nil })
	group.Go(func() error { defer stopWorking(); return events.Run(consuming) })
	group.Go(func() error { keepHouse(consuming, store, c.Database.Retention, log); return nil })
	group.Go(func() error { return a.serve(consuming, c, store, conn, worker, registry, log) })
	log.Info().Str("version", buildVersion(version, nil).Version).Int("accounts", len(accounts)).Msg("working")
	if err := group.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	log.Info().Msg("drained: nothing is in flight, everything is written down")
	return nil
}

// keepHouse looks after the partitions once an hour until the context ends, and
// again after a minute where that failed.
func keepHouse(ctx context.Context, store *outbox.Store, retention time.Duration, log zerolog.Logger) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		dropped, err := store.KeepHouse(ctx, retention)
		timer.Reset(time.Hour)
		switch {
		case err != nil && ctx.Err() == nil:
			log.Warn().Err(err).Msg("looking after the partitions, and again in a minute")
			timer.Reset(time.Minute)
		case len(dropped) > 0:
			log.Info().Strs("partitions", dropped).Msg("dropped what is older than database.retention")
		}
	}
}

func streamConfig(c config.NATS) consumer.Config {
	return consumer.Config{
		Stream: c.Stream, Durable: c.Consumer, AckWait: c.AckWait, MaxAckPending: c.MaxAckPending,
		Replicas: c.Replicas, MaxBytes: int64(c.MaxBytes),
	}
}

// connectNATS returns a connection that is made anew for as long as it takes.
func connectNATS(c config.NATS, log zerolog.Logger) (*nats.Conn, error) {
	options := []nats.Option{
		nats.Name("syncworker"), nats.MaxReconnects(-1), nats.RetryOnFailedConnect(true),
		nats.ReconnectWait(500 * time.Millisecond),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn().Err(err).Msg("the connection to NATS broke; connecting again")
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info().Msg("connected to NATS again") }),
	}
	if c.CredentialsFile != "" {
		options = append(options, nats.UserCredentials(c.CredentialsFile))
	}
	conn, err := nats.Connect(string(c.URL), options...)
	if err != nil {
		return nil, fmt.Errorf("connecting to NATS (nats.url): %w", err)
	}
	return conn, nil
}
