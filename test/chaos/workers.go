package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// worker is one `syncworker run`, started again and again.
type worker struct {
	name       string
	out        string // the bundle's folder
	configFile string
	env        []string
	armed      []string // environment: the failpoints

	mu      sync.Mutex // guards all below
	binary  string     // of the next process
	process *child
	log     string // file of the process that runs, or ran last
	starts  int
}

// start runs the worker's process; it does nothing where it runs.
func (w *worker) start() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.process != nil && w.process.alive() {
		return nil
	}
	w.starts++
	w.log = filepath.Join(w.out, "logs", fmt.Sprintf("%s-%03d.log", w.name, w.starts))
	log, err := os.Create(w.log)
	if err != nil {
		return fmt.Errorf("making a log: %w", err)
	}
	defer log.Close() //nolint:errcheck // the process has its own descriptor
	cmd := exec.Command(w.binary, "run", "--config", w.configFile)
	cmd.Env, cmd.Stdout, cmd.Stderr = slices.Concat(os.Environ(), w.env, w.armed), log, log
	if w.process, err = startChild(cmd); err != nil {
		return fmt.Errorf("running %s: %w", w.name, err)
	}
	return nil
}

// use makes the worker's next process one of this program.
func (w *worker) use(binary string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.binary = binary
}

func (w *worker) running() (*child, string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.process, w.log
}

func (w *worker) kill() {
	if p, _ := w.running(); p != nil {
		p.kill()
	}
}

func (w *worker) signal(s syscall.Signal) {
	if p, _ := w.running(); p != nil {
		_ = p.Signal(s) // fails only for a process that has ended
	}
}

// working is what a worker logs once it has begun.
const working = `"message":"working"`

// drained is how a worker ends that was stopped, or that wasn't working yet.
const drained = "drained"

// drain stops the worker by SIGTERM and returns how it ended; one that takes
// longer than limit is killed, which is an end of its own.
func (w *worker) drain(limit time.Duration) string {
	p, file := w.running()
	if p == nil {
		return "never started"
	}
	w.signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(limit):
		p.kill()
		return "killed: it didn't drain in " + limit.String()
	}
	log, err := os.ReadFile(file)
	switch {
	case err != nil:
		return err.Error()
	case p.err != nil && strings.Contains(string(log), working):
		return p.err.Error()
	}
	return drained
}

var serving = regexp.MustCompile(`"address":"(http://[^"]+)"`)

// scrape keeps the worker's metrics page, one file per process.
func (w *worker) scrape(ctx context.Context) {
	p, log := w.running()
	if p == nil || !p.alive() {
		return
	}
	text, err := os.ReadFile(log)
	if err != nil {
		return
	}
	match := serving.FindSubmatch(text)
	if match == nil {
		return // it isn't that far yet
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, string(match[1])+"/metrics", nil)
	if err != nil {
		return
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return // killed or stopped meanwhile
	}
	defer resp.Body.Close() //nolint:errcheck // it was read
	page, err := io.ReadAll(resp.Body)
	if err == nil {
		name := strings.TrimSuffix(filepath.Base(log), ".log") + ".txt"
		_ = os.WriteFile(filepath.Join(w.out, "metrics", name), page, 0o600) // the next page is as good
	}
}

// workerConfig writes what a worker reads: each of its links by its own proxy.
func (h *harness) workerConfig(file string, natsURLs []string, database, vendorURL string, replicas int, maxBytes int64) error {
	var b strings.Builder
	fmt.Fprintf(&b, "nats: {url: %q, max_bytes: %d, ack_wait: 3s, replicas: %d}\n", strings.Join(natsURLs, ","), maxBytes, replicas)
	fmt.Fprintf(&b, "database: {url: %q, max_connections: 8}\nhttp: {listen: \"127.0.0.1:0\"}\nlog: {format: json}\n", database)
	fmt.Fprintf(&b, "dispatch: {lease: %s, drain_timeout: 20s}\n", lease)
	h.writeAccounts(&b, vendorURL)
	if err := os.WriteFile(file, []byte(b.String()), 0o600); err != nil {
		return fmt.Errorf("writing a worker's configuration: %w", err)
	}
	return nil
}

// lease of the workers: a stop that is longer makes a zombie.
const lease = 3 * time.Second

// build makes the binary that all workers and operators run.
func build(ctx context.Context, root, to string, race bool) error {
	args := []string{"build", "-tags", "failpoints", "-o", to}
	if race {
		args = append(args, "-race")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "./cmd/syncworker")...)
	cmd.Dir = root
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building syncworker: %w\n%s", err, out)
	}
	return nil
}
