// Package vendorstest is the suite that every vendor runs: whatever a server
// answers, or doesn't, the call ends in the right class, and no secret and no
// personal data stand in what is told of it.
package vendorstest

import (
	"net/http"
	"testing"
	"time"

	"syncworker/internal/vendors"
)

// What must not leak. Samples name their member by Mobile and ContactTel, so
// that a reply which quotes them can be told.
const (
	Secret     = "canary/Secret+of=the&app"
	Mobile     = "13912345678"
	ContactTel = "02155667788"
)

// Setup is what a vendor under test is built from.
type Setup struct {
	BaseURL string
	Timeout time.Duration
	Secret  vendors.Secret
	Tokens  vendors.TokenSource
}

// Sample is one operation and the reply by which the vendor says that it's done.
type Sample struct {
	Name string
	Call vendors.Call
	Good string // the body; with status 200 or 201; empty: none but a 204 says so
	// NoContent: a 204 says so too.
	NoContent bool
}

// Reply is a further reply of the vendor, whose meaning depends on the status.
type Reply struct {
	Name, Body string
	// Class is what a call of the sample with this name ends in.
	Class func(sample string, status int) vendors.Class
}

// Suite describes a vendor to the tests.
type Suite struct {
	New     func(testing.TB, Setup) vendors.Vendor
	Samples []Sample

	// IsToken says whether a request asks for a token; Token is the reply. Nil: the
	// vendor has no tokens, and a refused login stays refused.
	IsToken func(*http.Request) bool
	Token   func(value string) string
	// BadCredentials is the reply to a request for a token that is refused.
	BadCredentials string
	// TokenExpired is the reply by which the gateway refuses a token, or the vendor
	// the login of a call; empty where only the status says so.
	TokenExpired string

	// Replies are those of a vendor whose errors have no codes.
	Replies []Reply

	// Error is the API's error envelope; code is a string or an int. Nil where errors
	// have no codes.
	Error func(code any, message string) string
	// Refusal is a code of a definite business error, as a number.
	Refusal int
	// ServerError is the code of an unknown failure on the vendor's side; 0 where it
	// has none.
	ServerError int
}

// Run runs the suite. It takes no time of its own but the timeouts of the calls
// that are never answered.
func Run(t *testing.T, s Suite) {
	for _, sample := range s.Samples {
		t.Run(sample.Name, func(t *testing.T) {
			t.Run("status and body", func(t *testing.T) { s.statuses(t, sample) })
			t.Run("redirects aren't followed", func(t *testing.T) { s.redirects(t, sample) })
			t.Run("throttled", func(t *testing.T) { s.throttled(t, sample) })
			t.Run("broken replies", func(t *testing.T) { s.broken(t, sample) })
			t.Run("no reply in time", func(t *testing.T) { s.slow(t, sample) })
			if s.IsToken != nil {
				t.Run("token", func(t *testing.T) { s.tokens(t, sample) })
			} else {
				t.Run("login", func(t *testing.T) { s.login(t, sample) })
			}
			t.Run("nothing sent", func(t *testing.T) { s.unsent(t, sample) })
		})
	}
}
