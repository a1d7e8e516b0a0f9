// Package killmatrix makes a worker die, freeze or fail at each step of each
// operation, whether the vendor applied the call or not, and holds what becomes
// of it against one table: what must be at the vendor, and what must be written.
package killmatrix

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"syncworker/internal/devstack/devtest"
)

// atOnce is how many cells run at the same time: they mostly wait for leases.
const atOnce = "8"

// all runs every step with every operation, not only those that differ: make matrix.
var all = flag.Bool("all", false, "every step with every operation: some minutes more")

// worker is the program with its failpoints.
var worker string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	dir, err := os.MkdirTemp("", "syncworker-killmatrix-")
	if err == nil {
		defer os.RemoveAll(dir) //nolint:errcheck // a folder of the system's
		worker = filepath.Join(dir, "syncworker")
		err = flag.Set("test.parallel", atOnce)
	}
	if err == nil {
		var out []byte
		out, err = exec.Command("go", "build", "-tags", "failpoints", "-o", worker, "syncworker/cmd/syncworker").CombinedOutput()
		os.Stderr.Write(out) //nolint:errcheck // what the compiler says
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "building a worker with failpoints:", err)
		return 1
	}
	return devtest.Run(m)
}
