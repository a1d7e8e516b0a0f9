// Package imports keeps the direction in which the packages depend on each other.
package imports

import (
	"encoding/json"
	"errors"
	"io"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "syncworker/"

// arrows are what each package may import of ours, tests aside. cmd/syncworker
// is the wiring: it may import all, and nothing imports it.
var arrows = map[string][]string{
	"contracts":                 nil,
	"migrations":                nil,
	"internal/event":            nil,
	"internal/failpoint":        nil, // and each of the others may import it
	"internal/sandbox":          nil, // the other side: it shares no code with the client
	"internal/devstack":         nil,
	"internal/devstack/devtest": {"internal/devstack"},
	"internal/config":           {"internal/event"},
	"internal/trade":            {"internal/event"},
	"internal/outbox":           {"internal/event", "migrations"},
	"internal/vendors":          {"internal/event"},
	"internal/vendors/...":      {"internal/event", "internal/vendors"},
	// The suite pushes under the faults of the other side; tests alone import it.
	"internal/vendors/vendorstest": {"internal/event", "internal/vendors", "internal/sandbox"},
	"internal/vendors/every":       {"internal/event", "internal/vendors", "internal/vendors/..."},
	"internal/consumer":            {"internal/event", "internal/outbox", "migrations"},
	"internal/dispatch":            {"internal/event", "internal/outbox", "internal/vendors", "migrations"},
	"internal/witness":             {"internal/event", "internal/outbox", "migrations"},
	"internal/reconcile":           {"internal/event", "internal/outbox", "internal/vendors", "migrations"},
	"test/chaos/check":             nil, // a proof shares no code with what it proves
	"internal/console":             {"internal/event", "internal/outbox", "internal/vendors", "internal/reconcile", "migrations"},
}

// listed is a package as go list prints it. Deps has what it needs by way of
// others as well.
type listed struct {
	ImportPath string
	Name       string
	GoFiles    []string
	Deps       []string
}

func packages(t *testing.T) []listed {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", "list", "-json=ImportPath,Name,GoFiles,Deps", module+"...")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, stderr.String())
	var list []listed
	for d := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			return list
		} else {
			require.NoError(t, err)
		}
		if len(p.GoFiles) > 0 {
			list = append(list, p)
		}
	}
}

// allowed returns what a package may import, and whether the arrows name it.
func allowed(name string) ([]string, bool) {
	if to, ok := arrows[name]; ok {
		return to, true
	}
	for pattern, to := range arrows {
		if folder, below := strings.CutSuffix(pattern, "..."); below && strings.HasPrefix(name, folder) {
			return to, true
		}
	}
	return nil, false
}

func TestPackagesDependInOneDirection(t *testing.T) {
	seen := 0
	for _, p := range packages(t) {
		name := strings.TrimPrefix(p.ImportPath, module)
		for _, dep := range p.Deps {
			require.False(t, strings.HasPrefix(dep, module+"cmd/"), "%s depends on %s", name, dep)
		}
		if p.Name == "main" {
			continue
		}
		to, known := allowed(name)
		require.True(t, known, "%s: no arrow says what it may import; add it to arrows", name)
		seen++
		for _, dep := range p.Deps {
			if ours, ok := strings.CutPrefix(dep, module); ok {
				may := slices.ContainsFunc(to, func(other string) bool {
					folder, below := strings.CutSuffix(other, "...")
					return other == ours || below && strings.HasPrefix(ours, folder)
				})
				require.True(t, ours == "internal/failpoint" || may, "%s depends on %s", name, ours)
			}
		}
	}
	require.Greater(t, seen, 8)
}
