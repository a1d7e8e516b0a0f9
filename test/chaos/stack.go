package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// configure migrates the database and writes the configuration of each worker,
// whose links go through proxies, and of the operators, whose links don't.
func (h *harness) configure(ctx context.Context) error {
	replicas := 1
	if h.Cluster {
		replicas = 3
	}
	env := append(secrets(), "GORACE=atexit_sleep_ms=0")
	direct := filepath.Join(h.work, "operator.yaml")
	var urls []string
	for _, a := range h.nats.addresses() {
		urls = append(urls, "nats://"+a)
	}
	vendorHost := h.vendor.listener.Addr().String()
	if err := h.workerConfig(direct, urls, h.postgres.URL, "http://"+vendorHost, replicas, streamBytes); err != nil {
		return err
	}
	binary := cmp.Or(h.before, h.Binary)
	h.operators = newOperators(h.Seed, binary, direct, env, h.vendor)
	if err := h.migrate(ctx, binary, nil); err != nil {
		return err
	}
	for i := range h.Workers {
		w := &worker{
			name: fmt.Sprintf("worker%d", i+1), out: h.Out, binary: binary, env: env,
			configFile: filepath.Join(h.work, fmt.Sprintf("worker%d.yaml", i+1)),
		}
		if h.Failpoints > 0 && i > 0 {
			w.armed = armed(h.Failpoints, h.Seed*100+uint64(i))
		}
		if err := h.wire(w, replicas, vendorHost); err != nil {
			return err
		}
		h.workers = append(h.workers, w)
	}
	return nil
}

// wire puts a proxy into each of a worker's links.
func (h *harness) wire(w *worker, replicas int, vendorHost string) error {
	var urls []string
	for i, a := range h.nats.addresses() {
		proxy, err := h.proxies.link(fmt.Sprintf("%s/nats%d", w.name, i+1), a)
		if err != nil {
			return err
		}
		urls = append(urls, "nats://"+proxy)
	}
	database, err := h.throughProxy(w.name + "/postgres")
	if err != nil {
		return err
	}
	vendor, err := h.proxies.link(w.name+"/vendor", vendorHost)
	if err != nil {
		return err
	}
	return h.workerConfig(w.configFile, urls, database, "http://"+vendor, replicas, streamBytes)
}

// migrate brings the schema to what this program knows.
func (h *harness) migrate(ctx context.Context, binary string, armed []string) error {
	cmd := exec.CommandContext(ctx, binary, "migrate", "up", "--config", h.operators.config)
	cmd.Env = slices.Concat(os.Environ(), h.operators.env, armed)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("migrating: %w\n%s", err, strings.TrimSpace(string(out)))
	}
	return nil
}
