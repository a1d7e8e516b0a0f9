package outbox_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

// drawStanding is any delivery that the table's constraints allow.
func drawStanding(t *rapid.T) *outbox.Standing {
	s := &outbox.Standing{Tenant: "a", LaneTenant: rapid.SampledFrom([]string{"a", "a", "b"}).Draw(t, "lane of")}
	s.ID, s.Account = 7, rapid.SampledFrom([]string{account, account, "gone", ""}).Draw(t, "account")
	s.Type = rapid.SampledFrom(event.Types()).Draw(t, "type")
	s.State = rapid.SampledFrom([]outbox.State{
		outbox.Pending, outbox.Waiting, outbox.Inflight, outbox.Unknown, outbox.Held, outbox.Held,
		outbox.Held, outbox.Dead, outbox.Dead, outbox.Dead, outbox.Dead, outbox.Delivered, outbox.Cancelled,
	}).Draw(t, "state")
	s.Reason, s.Attempts = "because", 7
	s.Ambiguous = s.State == outbox.Unknown || s.State != outbox.Dead && !s.State.Final() && rapid.Bool().Draw(t, "unclear")
	s.EverAmbiguous = s.Ambiguous || rapid.Bool().Draw(t, "was unclear")
	s.KeyUsed = s.EverAmbiguous
	if s.Type.Keyed() {
		s.VendorKey = rapid.SampledFrom([]string{"p1", "p1", ""}).Draw(t, "key")
	}
	if s.Type.Point() {
		s.Points, s.DecrToZero = rapid.Int64Range(0, 9).Draw(t, "points"), rapid.Bool().Draw(t, "to zero")
	}
	if s.EverAmbiguous {
		s.FirstSentAt, s.QuietUntil = opening, opening
	}
	return s
}

func drawDecision(t *rapid.T) outbox.Decision {
	dec := outbox.Decision{Actor: "ann@till", Why: "asked", Evidence: "seen", Accounts: []string{account}}
	if rapid.Bool().Draw(t, "says points") {
		points := rapid.Int64Range(0, 12).Draw(t, "said")
		dec.PointsApplied = &points
	}
	if rapid.Bool().Draw(t, "has a route") {
		dec.Route = func(event.Type, string) []string { return []string{account} }
	}
	return dec
}

func TestNoDecisionDoublesOrHidesAnEffect(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s, dec := drawStanding(t), drawDecision(t)
		for _, dec.Action = range []outbox.Action{
			outbox.Replay, outbox.Cancel, outbox.Applied, outbox.NotApplied, outbox.SendAgain,
		} {
			checkDecision(t, s, &dec)
		}
	})
}

func checkDecision(t *rapid.T, s *outbox.Standing, dec *outbox.Decision) {
	before := *s
	if why := dec.Refuses(s); why != "" {
		require.Equal(t, before, *s)
		return
	}
	require.NotContains(t, []outbox.State{outbox.Inflight, outbox.Unknown, outbox.Delivered, outbox.Cancelled}, s.State,
		"what is over or being found out isn't a person's to decide")
	require.False(t, s.State == outbox.Pending && s.Ambiguous, "a repeat that is on its way")
	after, owner := dec.Change(s)
	require.Equal(t, before, *s)
	require.Equal(t, after.State.Final(), owner != nil, "what is still to be sent is at rest")
	require.False(t, after.State == outbox.Dead && after.Ambiguous, "dead is certain")
	require.Equal(t, s.EverAmbiguous, after.EverAmbiguous, "that a call was unclear isn't forgotten")
	require.Equal(t, s.KeyUsed, after.KeyUsed)
	require.Equal(t, s.VendorKey, after.VendorKey)
	switch dec.Action {
	case outbox.Replay:
		require.Equal(t, outbox.Dead, s.State)
		require.False(t, s.EverAmbiguous, "what was ever unclear isn't replayed")
	case outbox.Cancel:
		require.Equal(t, outbox.Cancelled, after.State)
	default:
		require.True(t, s.State == outbox.Held || s.State == outbox.Dead && s.EverAmbiguous,
			"only what a person has to find out is resolved: %s", s.State)
	}
	if after.State == outbox.Pending {
		require.Zero(t, after.Attempts)
		require.True(t, s.Account == account || s.Account == "" && dec.Route != nil, "nothing is sent to an account that isn't configured")
		require.False(t, s.Account != "" && s.Type.Order() && s.LaneTenant != s.Tenant, "another tenant's order")
		require.False(t, s.Account != "" && s.Type.Keyed() && s.VendorKey == "", "another tenant's key")
	}
	if after.State == outbox.Delivered && s.Type.Point() && s.Points > 0 {
		require.NotNil(t, after.PointsApplied)
		require.LessOrEqual(t, *after.PointsApplied, s.Points)
		require.True(t, s.DecrToZero || *after.PointsApplied == s.Points, "no other number than what was asked")
	}
}

// What can be done is always said, and what is said can be done.
func TestEveryDeliveryThatWaitsForAPersonHasAWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawStanding(t)
		ways := 0
		for _, action := range []outbox.Action{outbox.Replay, outbox.Cancel, outbox.NotApplied, outbox.SendAgain} {
			dec := outbox.Decision{Action: action, Accounts: []string{account}}
			if dec.Refuses(s) == "" {
				ways++
			}
		}
		if s.State == outbox.Held || s.State == outbox.Dead {
			require.Positive(t, ways)
			require.NotEmpty(t, outbox.NextCommands(s))
		}
	})
}
