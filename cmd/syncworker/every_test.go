package main

import (
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/schollz/progressbar/v3"
	"github.com/stretchr/testify/require"

	"syncworker/internal/devstack/devtest"
	"syncworker/internal/event"
	"syncworker/internal/sandbox"
	"syncworker/internal/trade"
)

// everyDay is a shop's day for all four accounts, with the configuration that dev
// writes, on a stack of its own.
func everyDay(t *testing.T, orders int) *demo {
	t.Helper()
	s := newStack(t, sandbox.Switches{})
	all := &servers{dir: t.TempDir(), nats: s.nats}
	require.NoError(t, all.startVendor())
	t.Cleanup(func() { _ = all.api.Close() })
	require.NoError(t, all.configure(devOptions{database: s.url}))
	d := &demo{servers: all, faults: 0.2, seed: 11, db: s.db, js: s.js}
	require.NoError(t, d.makeDay(devOptions{orders: orders, points: orders}, time.Now()))
	require.NoError(t, d.vendor.SetRules(everyFault()...))
	return d
}

// worker is a process with the day's configuration, which can be killed.
func (d *demo) worker(t *testing.T) *process {
	t.Helper()
	p := &process{log: &devtest.Log{}}
	p.cmd = exec.Command("syncworker", "run", "--config", d.path("syncworker.yaml"))
	p.cmd.Stderr = p.log
	p.cmd.Env = append(p.cmd.Environ(), "GORACE=atexit_sleep_ms=0", "SYNCWORKER_HTTP_LISTEN=127.0.0.1:0", "SYNCWORKER_NATS_ACK_WAIT=3s")
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

// consumed reports whether the stream has nothing left for anybody.
func (d *demo) consumed(t *testing.T) bool {
	t.Helper()
	cons, err := d.js.Consumer(t.Context(), d.config.NATS.Stream, d.config.NATS.Consumer)
	if err != nil {
		return false
	}
	info := cons.CachedInfo()
	return info.NumPending == 0 && info.NumAckPending == 0
}

// TestEveryVendorFailsAndAWorkerIsKilled: all 21 types of event go to the four
// accounts, one write in five fails in every way that there is, and the worker that has
// taken them in is killed with its calls under way. Each event has the effect that it has to,
// once, or waits for a person where nobody could know.
func TestEveryVendorFailsAndAWorkerIsKilled(t *testing.T) {
	d := everyDay(t, 120)
	require.NoError(t, d.publish(t.Context()))
	workers := []*process{d.worker(t)}
	until(t, "all is in the outbox", func() bool { return d.consumed(t) })
	workers = append(workers, d.worker(t)) // by now the first one has most of the lanes
	require.NoError(t, workers[0].cmd.Process.Kill())
	_ = workers[0].cmd.Wait()
	settled, err := d.settled(t.Context())
	require.NoError(t, err)
	require.Less(t, settled, d.deliveries(), "the worker was killed when nothing was left to do")
	require.NoError(t, d.settle(t.Context(), progressbar.DefaultSilent(1)))
	for _, w := range workers[1:] {
		require.NoError(t, w.cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, w.cmd.Wait(), w.log.String())
		require.Contains(t, w.log.String(), "drained: nothing is in flight")
	}
	report, err := d.report(t.Context())
	require.NoError(t, err)
	for _, s := range report.Stopped {
		t.Logf("%+v", s)
	}
	require.Empty(t, report.Problems)
	requireEveryAccount(t, *report)
	seen := map[string]bool{}
	for _, row := range report.Types {
		seen[row.Type] = true
	}
	require.Len(t, seen, len(event.Types()))
	d.discreet(t, workers)
}

// discreet: no secret, mobile number or name of the day in a log.
func (d *demo) discreet(t *testing.T, workers []*process) {
	t.Helper()
	secret, err := os.ReadFile(d.path("sandbox.secret"))
	require.NoError(t, err)
	private := []string{string(secret), "access_token", trade.Person}
	for _, about := range d.known {
		if kind, mobile, _ := strings.Cut(about, ":"); kind == "mobile" {
			private = append(private, mobile)
		}
	}
	for _, w := range workers {
		log := w.log.String()
		require.NotEmpty(t, log)
		for _, p := range private {
			require.NotContains(t, log, p)
		}
	}
}
