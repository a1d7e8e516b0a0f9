package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"syncworker/internal/config"
	"syncworker/internal/dispatch"
	"syncworker/internal/outbox"
)

// serve answers whoever operates the worker until the context ends: /livez says
// that the process runs, /readyz that it can do its work, /metrics how it goes.
func (a *app) serve(ctx context.Context, c config.Config, store *outbox.Store, conn *nats.Conn,
	worker *dispatch.Worker, registry *prometheus.Registry, log zerolog.Logger,
) error {
	accounts := slices.Sorted(maps.Keys(c.Vendors))
	registry.MustRegister(newUndecided(store, accounts), &ages{
		store: store, worker: worker, accounts: accounts, now: a.now,
		desc: prometheus.NewDesc("syncworker_oldest_delivery_seconds",
			"Age of the oldest delivery that isn't final: the figure to page on.", []string{"account", "state"}, nil),
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), 2*time.Second)
		defer cancel()
		err := errors.Join(databaseReady(ctx, store), worker.Ready(), natsReady(conn))
		if err != nil {
			http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))

	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", c.HTTP.Listen)
	if err != nil {
		return fmt.Errorf("listening on http.listen: %w", err)
	}
	log.Info().Str("address", "http://"+listener.Addr().String()).Msg("serving /livez, /readyz and /metrics")
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		_ = server.Shutdown(ctx)
	})
	defer stop()
	if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serving http.listen: %w", err)
	}
	return nil
}

// databaseReady names the database: a connection that breaks while it is asked
// says no more than "unexpected EOF".
func databaseReady(ctx context.Context, store *outbox.Store) error {
	if err := store.Ping(ctx); err != nil {
		return fmt.Errorf("the database doesn't answer: %w", err)
	}
	return nil
}

func natsReady(conn *nats.Conn) error {
	if !conn.IsConnected() {
		return errors.New("not connected to NATS")
	}
	return nil
}

// ages collects how old the oldest delivery of each account and state is, when
// somebody asks: of what rests in the database, and of what this worker holds.
type ages struct {
	store    *outbox.Store
	worker   *dispatch.Worker
	accounts []string
	now      func() time.Time
	desc     *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (g *ages) Describe(ch chan<- *prometheus.Desc) { ch <- g.desc }

// Collect implements prometheus.Collector.
func (g *ages) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	resting, err := g.store.Oldest(ctx, g.accounts)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(g.desc, err)
		return
	}
	oldest := map[[2]string]time.Time{}
	for _, o := range append(resting, g.worker.Oldest()...) {
		key := [2]string{o.Account, string(o.State)}
		if at, found := oldest[key]; !found || o.ReceivedAt.Before(at) {
			oldest[key] = o.ReceivedAt
		}
	}
	for key, at := range oldest {
		ch <- prometheus.MustNewConstMetric(g.desc, prometheus.GaugeValue, g.now().Sub(at).Seconds(), key[0], key[1])
	}
}
