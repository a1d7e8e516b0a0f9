package killmatrix

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

const (
	sigterm = syscall.SIGTERM
	sigcont = syscall.SIGCONT
)

// report collects what has become of each cell, for docs/reliability.md.
type report struct {
	mu    sync.Mutex
	cells map[string]outcome
}

func (r *report) add(s step, op operation, applied bool, got outcome) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cells == nil {
		r.cells = map[string]outcome{}
	}
	r.cells[cellName(s, op, applied)] = got
}

func cellName(s step, op operation, applied bool) string {
	return fmt.Sprint(s.Point, s.action, op.account, op.Type, applied)
}

// write prints one line for each step and one column for each operation, to the
// test's log and to the file that SYNCWORKER_KILLMATRIX_REPORT names.
func (r *report) write(t *testing.T) {
	var b strings.Builder
	b.WriteString("| failpoint | happens | call |")
	for _, op := range operations() {
		fmt.Fprintf(&b, " %s %s |", op.account, op.Type)
	}
	b.WriteString("\n|---|---|---|" + strings.Repeat("---|", len(operations())) + "\n")
	for _, s := range steps() {
		for _, applied := range []bool{true, false} {
			if applied && !s.either {
				continue
			}
			call := "not made"
			if s.either {
				call = map[bool]string{true: "applied", false: "not applied"}[applied]
			}
			fmt.Fprintf(&b, "| %s | %s | %s |", s.Point, s.action, call)
			for _, op := range operations() {
				got, ran := r.cells[cellName(s, op, applied)]
				if !ran {
					b.WriteString(" – |")
					continue
				}
				fmt.Fprintf(&b, " %s, %d (%s) |", got.State, got.Effects, got.Calls)
			}
			b.WriteString("\n")
		}
	}
	t.Log("state, effects at the vendor (calls on record)\n" + b.String())
	if path := os.Getenv("SYNCWORKER_KILLMATRIX_REPORT"); path != "" {
		require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o644))
	}
}
