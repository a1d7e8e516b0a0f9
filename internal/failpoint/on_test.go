//go:build failpoints

package failpoint

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRulesAreReadStrictly(t *testing.T) {
	for _, tt := range []struct{ spec, seed, err string }{
		{spec: "sent=kill"},
		{spec: "sent/order.refunded=kill@1;acked=stop@3;settling=error%0.01", seed: "7"},
		{spec: "sent", err: `rule "sent": no =`},
		{spec: "sent=kill;", err: `rule "": no =`},
		{spec: "snet=kill", err: `there is no point "snet"; there are [fetched`},
		{spec: "sent/=kill", err: "no detail behind the /"},
		{spec: "sent=die", err: `there is no action "die"`},
		{spec: " sent=kill", err: `there is no point " sent"`},
		{spec: "sent=kill@0", err: "@0 isn't the number of a hit"},
		{spec: "sent=kill@x", err: "@x isn't the number of a hit"},
		{spec: "sent=kill@1%0.5", seed: "7", err: "@1%0.5 isn't the number of a hit"},
		{spec: "sent=kill%0", seed: "7", err: "%0 isn't a share"},
		{spec: "sent=kill%1.1", seed: "7", err: "%1.1 isn't a share"},
		{spec: "sent=kill%NaN", seed: "7", err: "%NaN isn't a share"},
		{spec: "sent=kill%0.1", err: "a share needs SYNCWORKER_FAILPOINT_SEED"},
		{seed: "-1", err: `SYNCWORKER_FAILPOINT_SEED: "-1" isn't a whole number`},
	} {
		t.Run(tt.spec, func(t *testing.T) {
			rules, err := parse(tt.spec, tt.seed)
			if tt.err == "" {
				require.NoError(t, err)
				require.Len(t, rules, strings.Count(tt.spec, "="))
				return
			}
			require.ErrorContains(t, err, tt.err)
		})
	}
}

// hits are the numbers of the hits, of 1000, at which something happens.
func hits(t *testing.T, spec, seed string, p Point, detail string) []int {
	t.Helper()
	rules, err := parse(spec, seed)
	require.NoError(t, err)
	a := &armory{rules: rules}
	var at []int
	for n := 1; n <= 1000; n++ {
		if _, ok := a.due(p, detail); ok {
			at = append(at, n)
		}
	}
	return at
}

func TestAHitIsCountedWhereItFits(t *testing.T) {
	require.Equal(t, []int{3}, hits(t, "sent/order.refunded=kill@3", "", Sent, "order.refunded"))
	require.Equal(t, []int{3}, hits(t, "sent=kill@3", "", Sent, "order.refunded"))
	require.Empty(t, hits(t, "sent/order.refunded=kill@3", "", Sent, "order.created"))
	require.Empty(t, hits(t, "sent/order.refunded=kill@3", "", Sent, ""))
	require.Empty(t, hits(t, "sent=kill@3", "", Sending, "order.refunded"))
	require.Equal(t, []int{1, 2}, hits(t, "sent=kill;sent/order.created=stop@2", "", Sent, "order.created"))
}

func TestASeedSaysWhichShare(t *testing.T) {
	one := hits(t, "sent=error%0.1", "7", Sent, "")
	require.InDelta(t, 100, len(one), 40)
	require.Equal(t, one, hits(t, "sent=error%0.1", "7", Sent, ""))
	require.NotEqual(t, one, hits(t, "sent=error%0.1", "8", Sent, ""))
	require.Len(t, hits(t, "sent=error%1", "7", Sent, ""), 1000)
}

// TestInAProcess is what the other tests run as a process of its own.
func TestInAProcess(t *testing.T) {
	if os.Getenv("FAILPOINT_PROCESS") == "" {
		return
	}
	for n := 1; n <= 3; n++ {
		fmt.Printf("hit %d: %v\n", n, Hit(Sent, Detail(About(t.Context(), "order.refunded"))))
	}
}

func process(t *testing.T, spec string) (cmd *exec.Cmd, stdout, stderr *strings.Builder) {
	t.Helper()
	stdout, stderr = &strings.Builder{}, &strings.Builder{}
	cmd = exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestInAProcess$")
	cmd.Env = append(os.Environ(), "FAILPOINT_PROCESS=1", "SYNCWORKER_FAILPOINTS="+spec)
	cmd.Stdout, cmd.Stderr = stdout, stderr
	require.NoError(t, cmd.Start())
	return cmd, stdout, stderr
}

func TestKillEndsTheProcessAtOnce(t *testing.T) {
	cmd, stdout, stderr := process(t, "sent/order.refunded=kill@2")
	require.Error(t, cmd.Wait())
	require.Equal(t, syscall.SIGKILL, cmd.ProcessState.Sys().(syscall.WaitStatus).Signal())
	require.Contains(t, stdout.String(), "hit 1: <nil>")
	require.NotContains(t, stdout.String(), "hit 2")
	require.Equal(t, "failpoint: sent/order.refunded: kill\n", stderr.String())
}

func TestStopLastsUntilSomebodyLetsItGoOn(t *testing.T) {
	cmd, stdout, _ := process(t, "sent=stop@2")
	var status syscall.WaitStatus
	_, err := syscall.Wait4(cmd.Process.Pid, &status, syscall.WUNTRACED, nil)
	require.NoError(t, err)
	require.True(t, status.Stopped())
	require.NoError(t, cmd.Process.Signal(syscall.SIGCONT))
	require.NoError(t, cmd.Wait())
	require.Contains(t, stdout.String(), "hit 2: <nil>\nhit 3: <nil>")
}

func TestErrorIsReturned(t *testing.T) {
	cmd, stdout, _ := process(t, "sent=error@2")
	require.NoError(t, cmd.Wait())
	require.Contains(t, stdout.String(),
		"hit 1: <nil>\nhit 2: failpoint sent/order.refunded: an error was asked for\nhit 3: <nil>")
}

func TestARuleThatCantBeReadEndsTheProcess(t *testing.T) {
	cmd, _, stderr := process(t, "sent=die")
	require.Error(t, cmd.Wait())
	require.Equal(t, 2, cmd.ProcessState.ExitCode())
	require.Contains(t, stderr.String(), `SYNCWORKER_FAILPOINTS: rule "sent=die": there is no action "die"`)
}

func TestEachHitsOnceForEach(t *testing.T) {
	was := armed
	defer func() { armed = was }()
	rules, err := parse("acked/b=error@2", "")
	require.NoError(t, err)
	armed = &armory{rules: rules}
	self := func(s string) string { return s }
	require.NoError(t, Each(Acked, []string{"a", "b", "a"}, self))
	require.ErrorContains(t, Each(Acked, []string{"a", "b"}, self), "failpoint acked/b")
	require.Empty(t, Detail(context.Background()))
}
