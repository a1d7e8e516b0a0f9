package main

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"

	"syncworker/internal/vendors"
	"syncworker/internal/vendors/dmhub"
	"syncworker/internal/vendors/every"
)

// The table of endpoints stands between these lines of docs/vendors.md.
const (
	tableBegins = "<!-- endpoints: make docs -->\n"
	tableEnds   = "<!-- end of endpoints -->\n"
)

// shown names the tests that show a vendor's endpoints.
type shown struct {
	reached  string // each call is the one of the table
	conforms string // whatever is answered, a write's class is right
	faults   string // the same against the simulated vendor's ledger
}

// shownBy are the tests of a kind: every vendor's package has them, one that has two
// kinds has them twice.
func shownBy(k vendors.Kind) shown {
	if k.Name == dmhub.CustomerDeals.Name {
		return shown{"TestEveryEndpointOfDealsIsReached", "TestDealsConformance", "TestNoFaultMakesAClassOfDealsLie"}
	}
	return shown{"TestEveryEndpointIsReached", "TestConformance", "TestNoFaultMakesAClassLie"}
}

// packageOf is the package of a kind's vendor: where its New was written.
func packageOf(k vendors.Kind) string {
	name := runtime.FuncForPC(reflect.ValueOf(k.New).Pointer()).Name()
	name, _, _ = strings.Cut(strings.TrimPrefix(name, "syncworker/"), ".")
	return name
}

// withEndpoints returns docs/vendors.md with the table of all endpoints as it is.
func withEndpoints(root string) ([]byte, error) {
	old, err := os.ReadFile(filepath.Join(root, "docs/vendors.md"))
	if err != nil {
		return nil, fmt.Errorf("reading the page of vendors: %w", err)
	}
	before, rest, ok := strings.Cut(string(old), tableBegins)
	_, after, ended := strings.Cut(rest, tableEnds)
	if !ok || !ended {
		return nil, fmt.Errorf("docs/vendors.md lacks %q or %q", tableBegins, tableEnds)
	}
	return []byte(before + tableBegins + endpointTables() + tableEnds + after), nil
}

func endpointTables() string {
	var b strings.Builder
	for _, k := range every.Kinds() {
		fmt.Fprintf(&b, "\n### `%s`\n\nIn `%s`.\n\n", k.Name, packageOf(k))
		b.WriteString("| section | call | reached by | where its answer isn't clear | shown by |\n|---|---|---|---|---|\n")
		for _, e := range k.Endpoints {
			by := shownBy(k)
			tests := "`" + by.reached + "`"
			if e.Event != "" {
				tests += ", `" + by.conforms + "`, `" + by.faults + "`"
			}
			fmt.Fprintf(&b, "| %s | `%s %s` | %s | %s | %s |\n", e.Section, e.Method, e.Path, reachedBy(e), whenUnclear(e), tests)
		}
	}
	b.WriteString("\n")
	return b.String()
}

// reachedBy is the event or the command that makes a call.
func reachedBy(e vendors.Endpoint) string {
	var ways []string
	if e.Event != "" {
		ways = append(ways, fmt.Sprintf("`%s`", e.Event))
	}
	if e.Read != "" {
		ways = append(ways, fmt.Sprintf("`vendors get … %s`", e.Read))
	}
	return strings.Join(ways, ", ")
}

func whenUnclear(e vendors.Endpoint) string {
	if e.Event == "" {
		return "a read: safe to repeat"
	}
	return e.Unclear
}
