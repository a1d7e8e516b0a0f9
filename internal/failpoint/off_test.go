//go:build !failpoints

package failpoint_test

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// build builds the worker and returns what its symbols and its strings are, as
// far as they are of failpoints.
func build(t *testing.T, flags ...string) (symbols, environment bool) {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "syncworker")
	args := append([]string{"build", "-o", bin}, flags...)
	out, err := exec.CommandContext(t.Context(), "go", append(args, "syncworker/cmd/syncworker")...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	names, err := exec.CommandContext(t.Context(), "go", "tool", "nm", bin).Output()
	require.NoError(t, err)
	require.Contains(t, string(names), "syncworker/internal/dispatch.", "the symbols are those of the worker")
	code, err := exec.CommandContext(t.Context(), "grep", "-c", "SYNCWORKER_FAILPOINT", bin).Output()
	return strings.Contains(string(names), "syncworker/internal/failpoint."), err == nil && strings.TrimSpace(string(code)) != "0"
}

func TestTheShippedWorkerHasNothingOfFailpoints(t *testing.T) {
	symbols, environment := build(t)
	require.False(t, symbols, "a call of a failpoint is left")
	require.False(t, environment, "it reads the environment of failpoints")

	symbols, environment = build(t, "-tags", "failpoints")
	require.True(t, symbols)
	require.True(t, environment)
}
