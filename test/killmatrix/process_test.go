package killmatrix

import (
	"fmt"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/devstack/devtest"
)

// soon is how long a test waits for what has to happen by itself.
const soon = 20 * time.Second

func eventually(t *testing.T, holds func() bool, what string) {
	t.Helper()
	require.Eventually(t, holds, soon, 30*time.Millisecond, what)
}

// process is a worker that dies as its failpoints say.
type process struct {
	cmd *exec.Cmd
	log *devtest.Log
}

// start runs a worker; failpoints may be empty.
func (c *cell) start(failpoints string) *process {
	c.t.Helper()
	p := &process{log: &devtest.Log{}, cmd: c.command(failpoints, "run")}
	p.cmd.Stderr = p.log
	require.NoError(c.t, p.cmd.Start())
	c.t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
		if c.t.Failed() {
			text := p.log.String()
			c.t.Logf("worker %d, failpoints %q:\n%s", p.cmd.Process.Pid, failpoints, text[max(0, len(text)-6000):])
		}
	})
	return p
}

// command is the program with the cell's configuration.
func (c *cell) command(failpoints string, args ...string) *exec.Cmd {
	cmd := exec.Command(worker, append(args, "--config", c.file)...)
	cmd.Env = append(cmd.Environ(), "SYNCWORKER_FAILPOINTS="+failpoints)
	for _, account := range accounts {
		cmd.Env = append(cmd.Env, fmt.Sprintf("SYNCWORKER_VENDORS_%s_SECRET=%s", strings.ToUpper(account), secret))
	}
	return cmd
}

// does runs a command that has to succeed, and returns what it prints.
func (c *cell) does(args ...string) string {
	c.t.Helper()
	out, err := c.command("", args...).CombinedOutput()
	require.NoError(c.t, err, "%v: %s", args, out)
	return string(out)
}

// killed waits until the process has died of its failpoint.
func killed(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	select {
	case <-done:
	case <-time.After(soon):
		require.Fail(t, "the failpoint wasn't met")
	}
	require.Equal(t, syscall.SIGKILL, cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
}

// frozen waits until the process has stopped at its failpoint.
func frozen(t *testing.T, cmd *exec.Cmd) {
	t.Helper()
	eventually(t, func() bool {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED|syscall.WNOHANG, nil)
		return err == nil && pid > 0 && status.Stopped()
	}, "the failpoint is met")
}

// pids are the workers as alive has them.
func pids(workers []*process) string {
	var list []string
	for _, w := range workers {
		list = append(list, strconv.Itoa(w.cmd.Process.Pid))
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

// alive are the processes whose tokens haven't ended.
func (c *cell) alive() string {
	c.t.Helper()
	return c.text(`SELECT string_agg(pid, ' ' ORDER BY pid COLLATE "C") FROM (
		SELECT split_part(name, '/', 2) AS pid FROM outbox.workers WHERE ended_at IS NULL) w`)
}

// drains tells a worker to stop, and waits until it has.
func (p *process) drains(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, p.cmd.Wait(), p.log.String())
	require.Contains(t, p.log.String(), "drained: nothing is in flight")
}
