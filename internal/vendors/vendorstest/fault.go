package vendorstest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/sandbox"
	"syncworker/internal/vendors"
)

// PushUnder pushes a call that meets a fault of the sandbox, empty for none, and waits
// until nothing more comes of it. It holds the result against the ledger: a class never
// says more than is true, so that Applied means one effect, and all but Ambiguous and
// Applied mean none. It returns how many effects there were.
func PushUnder(t *testing.T, s *sandbox.Sandbox, fault sandbox.Fault, v vendors.Vendor, call vendors.Call) (vendors.Result, int) {
	t.Helper()
	if fault != "" {
		require.NoError(t, s.SetRules(sandbox.Rule{Faults: []sandbox.Fault{fault}, Times: 1}))
	}
	before := len(s.Effects())
	r := v.Push(t.Context(), call)
	require.NoError(t, s.SetRules())
	require.Eventually(t, func() bool {
		for _, c := range s.Calls() {
			if !c.Done {
				return false
			}
		}
		return true
	}, 10*time.Second, 10*time.Millisecond)
	effects := len(s.Effects()) - before
	require.LessOrEqual(t, effects, 1)
	switch r.Class {
	case vendors.Ambiguous:
	case vendors.Applied:
		require.Equal(t, 1, effects, "%s: %s %s", call.Event.Type, r.Message, r.Reply)
	default:
		require.Zero(t, effects, "%s: %s: %s", call.Event.Type, r.Class, r.Message)
	}
	return r, effects
}

// RequireFound holds what a read says against how many effects there were.
func RequireFound(t *testing.T, v vendors.Finder, call vendors.Call, effects int) {
	t.Helper()
	want := map[int]vendors.Found{0: vendors.Absent, 1: vendors.Present}[effects]
	f := v.Find(t.Context(), call)
	require.Equal(t, want, f.Found, "%s: %s %s", call.Event.Type, f.Detail, f.Result.Message)
}
