// Command mutants breaks the program in ways that would lose, double or invert
// effects, one at a time, and checks that a test sees it. The work tree stays as
// it is: each mutant is an overlay of the build.
//
//	go run ./test/mutants            all of them; prints the table
//	go run ./test/mutants -run uuid  those whose name has "uuid"
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"text/tabwriter"
	"time"
)

// edit replaces text that stands exactly once in a file.
type edit struct{ file, old, new string }

// mutant is one way to break the program, and the test that has to see it.
type mutant struct {
	name  string
	edits []edit
	pkg   string
	tests string // regular expression
}

func main() {
	run := flag.String("run", "", "only mutants whose name has this `text`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := all(ctx, *run, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

func all(ctx context.Context, only string, out io.Writer) error {
	var failed []error
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "mutant\tcaught by\tseconds") //nolint:errcheck // a table
	for _, m := range mutants {
		if !strings.Contains(m.name, only) {
			continue
		}
		began := time.Now()
		caught, err := m.caught(ctx)
		if err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", m.name, err))
			caught = "NOBODY"
		}
		fmt.Fprintf(w, "%s\t%s\t%.0f\n", m.name, caught, time.Since(began).Seconds()) //nolint:errcheck // a table
		w.Flush()                                                                     //nolint:errcheck // a table
	}
	return errors.Join(failed...)
}

// caught builds the mutant and returns the tests that failed on it.
func (m mutant) caught(ctx context.Context) (string, error) {
	dir, err := os.MkdirTemp("", "syncworker-mutant-")
	if err != nil {
		return "", err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // it is a temporary folder
	overlay, err := m.overlay(dir)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "go", "test", "-vet=off", "-count=1", "-failfast", "-timeout=4m", "-json", "-run", m.tests, m.pkg)
	// In the environment, so that what a test builds is the mutant too.
	cmd.Env = append(os.Environ(), "GOFLAGS=-overlay="+overlay)
	text, err := cmd.Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return "", err
	}
	failed, ran := outcome(text)
	switch {
	case len(failed) > 0:
		return failed[0], nil
	case ran == 0:
		return "", fmt.Errorf("no test ran: does it still compile, and is there a test %s in %s?\n%s", m.tests, m.pkg, tail(text))
	case err != nil:
		return "", fmt.Errorf("%s ended without a failed test: %w\n%s", m.pkg, err, tail(text))
	}
	return "", fmt.Errorf("%d tests of %s pass on it", ran, m.pkg)
}

// overlay writes the mutated files, and the list that makes the build take them.
func (m mutant) overlay(dir string) (path string, err error) {
	contents := map[string]string{}
	for _, e := range m.edits {
		file, err := filepath.Abs(e.file)
		if err != nil {
			return "", err
		}
		if _, read := contents[file]; !read {
			text, err := os.ReadFile(file)
			if err != nil {
				return "", err
			}
			contents[file] = string(text)
		}
		if n := strings.Count(contents[file], e.old); n != 1 {
			return "", fmt.Errorf("%s has %d times what the mutant replaces, and not once: bring the mutant up to date:\n%s", e.file, n, e.old)
		}
		contents[file] = strings.Replace(contents[file], e.old, e.new, 1)
	}
	replace := map[string]string{}
	for file, text := range contents {
		replace[file] = filepath.Join(dir, fmt.Sprintf("%d.go", len(replace)))
		if err := os.WriteFile(replace[file], []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	path = filepath.Join(dir, "overlay.json")
	return path, os.WriteFile(path, list, 0o600)
}

// outcome reads what go test -json says: the tests that failed, the innermost
// first, and how many there were.
func outcome(text []byte) (failed []string, ran int) {
	for line := range strings.Lines(string(text)) {
		var e struct{ Action, Test string }
		if json.Unmarshal([]byte(line), &e) != nil || e.Test == "" {
			continue
		}
		switch e.Action {
		case "fail":
			failed, ran = append(failed, e.Test), ran+1
		case "pass":
			ran++
		}
	}
	return failed, ran
}

func tail(text []byte) string { return string(text[max(0, len(text)-2000):]) }
