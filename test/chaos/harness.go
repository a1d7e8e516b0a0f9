package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"syncworker/internal/devstack"
	"syncworker/internal/sandbox"
	"syncworker/internal/trade"
	"syncworker/test/chaos/check"
)

// drainLimit is how long all that isn't waiting for a person may take once the
// last fault is over.
const drainLimit = 60 * time.Second

// harness is one run.
type harness struct {
	options
	work     string // what isn't part of the bundle
	disk     string // the small file system; empty: there is none
	before   string // the worker that the run begins with; empty: there is one version
	commit   string // of before
	crossed  string // the newest migration of before, and of this version
	nats     *natsServers
	postgres *devstack.Postgres
	vendor   *vendor
	proxies  *proxies
	workers  []*worker
	conn     *nats.Conn
	js       jetstream.JetStream
	publisher
	operators *operators
	run       check.Run

	mu     sync.Mutex // guards faults
	faults []check.Fault
	failed []error
}

// run runs the whole: servers, workers, publisher, faults, calm, bundle.
func run(ctx context.Context, o options) error {
	h := &harness{options: o.normal()}
	defer h.end()
	if err := h.set(ctx); err != nil {
		return err
	}
	if err := h.start(ctx); err != nil {
		return err
	}
	watched := h.watchMachine(ctx)
	h.trade(ctx)
	err := h.calm()
	if err == nil {
		h.drain(ctx)
	}
	watched()
	if err != nil {
		return err
	}
	return h.save(ctx)
}

// set starts what the workers stand on.
func (h *harness) set(ctx context.Context) error {
	if err := os.RemoveAll(h.Out); err != nil {
		return fmt.Errorf("clearing %s: %w", h.Out, err)
	}
	for _, dir := range []string{"logs", "metrics", "db", "vendor"} {
		if err := os.MkdirAll(filepath.Join(h.Out, dir), 0o755); err != nil {
			return fmt.Errorf("making the bundle's folder: %w", err)
		}
	}
	var err error
	if h.work, err = os.MkdirTemp("", "syncworker-chaos-"); err != nil {
		return fmt.Errorf("making a folder: %w", err)
	}
	if err := os.Chmod(h.work, 0o711); err != nil {
		return fmt.Errorf("opening a folder to Postgres: %w", err)
	}
	if h.Binary == "" {
		h.Binary = filepath.Join(h.work, "syncworker")
		if err := build(ctx, h.Root, h.Binary, h.Race); err != nil {
			return err
		}
	}
	if h.From != "" {
		if err := h.buildBefore(ctx); err != nil {
			return err
		}
	}
	if h.vendor, err = newVendor(h.Seed, *h.Switches); err != nil {
		return err
	}
	if err := h.vendor.SetRules(trouble(h.Refuse)...); err != nil {
		return err
	}
	h.proxies = newProxies()
	nodes := 1
	if h.Cluster {
		nodes = 3
	}
	if err := h.shrink(); err != nil {
		return err
	}
	if h.nats, err = newNATS(h.work, nodes); err != nil {
		return err
	}
	if err := h.nats.await(ctx); err != nil {
		return err
	}
	h.postgres, err = devstack.StartPostgres(ctx, devstack.PostgresConfig{Dir: filepath.Join(h.work, "postgres")})
	return err
}

// shrink puts the server whose disk is to run full on a small one. A machine that
// doesn't allow that goes without, and the bundle says so.
func (h *harness) shrink() error {
	size := map[string]int{"nats": 64, "postgres": 512}[h.Disk]
	if h.Disk == "" {
		return nil
	}
	if size == 0 {
		return fmt.Errorf("found disk %q: use nats or postgres", h.Disk)
	}
	dir := filepath.Join(h.work, map[string]string{"nats": "nats1/store", "postgres": "postgres"}[h.Disk])
	if err := mount(dir, size); err != nil {
		h.run.Skipped = append(h.run.Skipped, "disk_full: "+err.Error())
		h.Disk = ""
		return nil
	}
	h.disk = dir
	return nil
}

// start connects the publisher, migrates, and runs the workers.
func (h *harness) start(ctx context.Context) error {
	messages, who, err := script(h.Seed, int(h.Rate*h.Duration.Seconds()), h.vendor)
	if err != nil {
		return err
	}
	h.messages = messages
	h.run = check.Run{
		Skipped: h.run.Skipped, Seed: h.Seed, Switches: h.vendor.Switches(), Semantics: semantics(h.Settings, h.vendor.Switches()), Accounts: accounts(), Routes: routes(h.Settings), Slots: maxFlight, Timeout: timeout, Quiet: quiet, Lease: lease,
		Secret: secret, Person: trade.Person, Mobiles: who.mobiles, Coming: who.coming, Messages: len(messages), Ends: map[string]string{},
	}
	for _, m := range h.vendor.Members() {
		h.run.Points += m.Points
	}
	if err := h.connect(); err != nil {
		return err
	}
	h.publisher.js = h.js
	if err := h.configure(ctx); err != nil {
		return err
	}
	for _, w := range h.workers {
		if err := w.start(); err != nil {
			return err
		}
	}
	return h.awaitStream(ctx)
}

func (h *harness) connect() error {
	var err error
	var urls string
	for _, a := range h.nats.addresses() {
		urls += "nats://" + a + ","
	}
	h.conn, err = nats.Connect(urls[:len(urls)-1], nats.MaxReconnects(-1), nats.ReconnectWait(100*time.Millisecond),
		nats.RetryOnFailedConnect(true), nats.ErrorHandler(func(*nats.Conn, *nats.Subscription, error) {})) // it is about to be killed
	if err != nil {
		return fmt.Errorf("connecting to NATS: %w", err)
	}
	h.js, err = jetstream.New(h.conn)
	return err
}

// awaitStream returns when a worker has made the stream and its consumer.
func (h *harness) awaitStream(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	for {
		_, err := h.js.Consumer(ctx, stream, durable)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("no worker has made the stream, see %s: %w", filepath.Join(h.Out, "logs"), err)
		case <-time.After(100 * time.Millisecond):
		}
	}
}

const (
	stream  = "SYNC"
	durable = "syncworker"
)

// trade publishes, with all faults and operators beside it, and returns when the
// last of them is over.
func (h *harness) trade(ctx context.Context) {
	publishing, published := context.WithCancel(ctx)
	defer published()
	var beside sync.WaitGroup
	for name, steps := range schedule(h.options) {
		beside.Go(func() { h.play(publishing, name, steps) })
	}
	if h.before != "" { // it is carried out to its end
		beside.Go(func() { h.play(ctx, "upgrade", h.upgrade()) })
	}
	beside.Go(func() { h.operators.work(publishing, h.Every.Operator) })
	beside.Go(func() { h.watch(publishing) })
	for _, w := range h.workers {
		beside.Go(func() { h.supervise(publishing, w) })
	}
	// Whatever stands in its way, publishing ends some time.
	limited, cancel := context.WithTimeout(ctx, 3*h.Duration+time.Minute)
	defer cancel()
	h.publish(limited, h.Rate)
	published()
	beside.Wait()
}

// watch scrapes the workers' pages, and shows how far the run is.
func (h *harness) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, w := range h.workers {
			w.scrape(ctx)
		}
		h.tell("published %d of %d, %d faults, %d commands", h.acked.Load(), len(h.messages), h.count(), h.operators.count())
	}
}

func (h *harness) tell(format string, args ...any) {
	if h.Progress != nil {
		fmt.Fprintf(h.Progress, "\r\x1b[K"+format, args...)
	}
}

// note writes down what the harness does; until ends it.
func (h *harness) note(kind, target, detail string) (until func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := len(h.faults)
	h.faults = append(h.faults, check.Fault{At: time.Now(), Kind: kind, Target: target, Detail: detail})
	return func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.faults[i].Until = time.Now()
	}
}

func (h *harness) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.faults)
}

// fail keeps an error of the harness itself: the run is worth nothing then.
func (h *harness) fail(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.failed = append(h.failed, err)
}

// calm ends all faults and has everything run.
func (h *harness) calm() error {
	err := h.vendor.SetRules([]sandbox.Rule{}...)
	for _, n := range h.nats.nodes {
		err = errors.Join(err, n.start())
	}
	for _, w := range h.workers {
		w.signal(syscall.SIGCONT)
		if len(w.armed) > 0 { // what dies at random can't be waited for
			until := h.note(workerKill, w.name, "the last one")
			w.kill()
			until()
			w.armed = nil
		}
		err = errors.Join(err, w.start())
	}
	h.run.LastFault = time.Now()
	return errors.Join(append(h.failed, err)...)
}

// end leaves nothing behind but the bundle.
func (h *harness) end() {
	for _, w := range h.workers {
		w.kill()
	}
	if h.conn != nil {
		h.conn.Close()
	}
	if h.proxies != nil {
		h.proxies.stop()
	}
	if h.nats != nil {
		h.nats.stop()
	}
	if h.vendor != nil {
		_ = h.vendor.http.Close()
	}
	if h.postgres != nil {
		h.postgres.Kill()
		_ = h.postgres.Stop(context.Background())
		_ = devstack.RemovePostgres(context.Background(), filepath.Join(h.work, "postgres"))
	}
	if h.disk != "" {
		_ = syscall.Unmount(h.disk, 0)
	}
	if h.work != "" {
		_ = os.RemoveAll(h.work)
	}
}
