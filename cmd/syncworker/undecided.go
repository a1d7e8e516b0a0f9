package main

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"syncworker/internal/outbox"
)

// undecided collects how much waits for a person, when somebody asks.
type undecided struct {
	store    *outbox.Store
	accounts []string
	desc     *prometheus.Desc
}

func newUndecided(store *outbox.Store, accounts []string) *undecided {
	return &undecided{store: store, accounts: accounts, desc: prometheus.NewDesc("syncworker_waiting_for_person",
		"What a person has to decide: deliveries held and dead, conflicts and rejects that are open. Counted up to 1000 of each.",
		[]string{"account", "kind"}, nil)}
}

// Describe implements prometheus.Collector.
func (d *undecided) Describe(ch chan<- *prometheus.Desc) { ch <- d.desc }

// Collect implements prometheus.Collector.
func (d *undecided) Collect(ch chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	counts, err := d.store.Undecided(ctx, d.accounts)
	if err != nil {
		ch <- prometheus.NewInvalidMetric(d.desc, err)
		return
	}
	for _, o := range counts {
		ch <- prometheus.MustNewConstMetric(d.desc, prometheus.GaugeValue, float64(o.Count), o.Account, o.Kind)
	}
}
