package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// account is one of the worker's, with whose events go to it.
type account struct {
	name, url string
	tenants   string // "*" is all of them
	slots     int    // calls in flight at most
	rate      int    // calls a second; 0 is no limit
}

// workerConfig is the worker with all that it promises; only the limits are out
// of the way.
const workerConfig = `nats: {url: %q, stream: %s, consumer: %s, max_bytes: %d}
database: {url: %q}
http: {listen: "127.0.0.1:0"}
log: {format: json}
vendors:
%sroutes:
%s`

// workerCommand is the shipped binary with these accounts, on a database of its
// own and with a consumer of the same name.
func (s *stack) workerCommand(database string, accounts ...account) (*exec.Cmd, error) {
	secretFile, configFile := filepath.Join(s.dir, "secret"), filepath.Join(s.dir, database+".yaml")
	var vendors, routes strings.Builder
	for _, a := range accounts {
		fmt.Fprintf(&vendors, "  %s: {kind: dmhub-loyalty, base_url: %q, app_id: %s, secret_file: %q, max_in_flight: %d, rate_limit: %d}\n",
			a.name, a.url, appID, secretFile, a.slots, a.rate)
		fmt.Fprintf(&routes, "  - {types: [\"order.*\", \"point.*\"], tenants: [%q], accounts: [%s]}\n", a.tenants, a.name)
	}
	text := fmt.Sprintf(workerConfig, s.nats.URL, streamName, database, int64(streamBytes), s.databaseURL(database), &vendors, &routes)
	for path, content := range map[string]string{secretFile: secret, configFile: text} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			return nil, fmt.Errorf("writing the worker's configuration: %w", err)
		}
	}
	return exec.Command(s.opts.worker, "run", "--config", configFile), nil
}

// process is a contender or a worker that runs.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed once it has ended
	log   string        // path of what it writes
}

// launch starts a command whose output goes to a log that is named after its database.
func (s *stack) launch(cmd *exec.Cmd, database string) (*process, error) {
	p := &process{cmd: cmd, ended: make(chan struct{}), log: filepath.Join(s.dir, database+".log")}
	log, err := os.Create(p.log)
	if err != nil {
		return nil, fmt.Errorf("opening the log of %s: %w", cmd.Path, err)
	}
	defer log.Close() //nolint:errcheck // the process has its own descriptor
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("starting %s: %w", cmd.Path, err)
	}
	go func() { defer close(p.ended); _ = cmd.Wait() }() // how it ended stands in its log
	return p, nil
}

// waitFor asks again and again whether something has come, while the workers work.
func waitFor(ctx context.Context, patience time.Duration, what string, workers []*process, come func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if done, err := come(); done || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		case <-tick.C:
		}
		for _, w := range workers {
			select {
			case <-w.ended:
				return fmt.Errorf("waiting until %s: a worker has ended", what)
			default:
			}
		}
	}
}

// end lets the process drain.
func (p *process) end() {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by itself
	select {
	case <-p.ended:
	case <-time.After(30 * time.Second):
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// lastLines is the end of a log, where the reason stands.
func lastLines(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-8):], "\n")
}
