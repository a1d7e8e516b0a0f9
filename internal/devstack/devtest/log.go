package devtest

import (
	"bytes"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sayTimeout is how long a test waits for a line of a log.
const sayTimeout = 30 * time.Second

// Log collects what processes and goroutines write, while a test reads it. Its
// zero value is empty; don't copy it.
type Log struct {
	mu  sync.Mutex // guards buf
	buf bytes.Buffer
}

// Write appends; it can't fail.
func (l *Log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

// String is everything so far.
func (l *Log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// Says waits until the log matches a regular expression.
func (l *Log) Says(tb testing.TB, pattern string) {
	tb.Helper()
	re := regexp.MustCompile(pattern)
	require.Eventually(tb, func() bool { return re.MatchString(l.String()) }, sayTimeout, 30*time.Millisecond, "the log says %s", pattern)
}
