package dispatch

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// drawWork is any delivery that the database may hold at rest, or a worker in
// its hands.
func drawWork(t *rapid.T, id int64, kind event.Type) *outbox.Work {
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	minutes := func(label string, from, to int) time.Duration {
		return time.Duration(rapid.IntRange(from, to).Draw(t, label)) * time.Minute
	}
	w := variant{kind: kind}.work(id)
	w.Event.UUID = pick("uuid", "r1", "r2", "r3")
	w.EventTime = received.Add(minutes("time", 0, 5))
	w.ReceivedAt = planned.Add(-minutes("age", 0, 48*60))
	w.State = outbox.State(pick("state", "pending", "pending", "waiting", "unknown", "held"))
	switch w.State {
	case outbox.Pending:
		w.Reason = pick("reason", "", "", NotReached, Early, outbox.ReasonSentByPerson, NoAnswer, ProvenGone)
		w.Ambiguous = w.Reason == NoAnswer
	case outbox.Waiting:
		w.Reason = pick("reason", PredecessorMissing, PredecessorHeld, PredecessorDead, PredecessorUnknown)
	case outbox.Unknown:
		w.Reason = pick("reason", NoAnswer, outbox.ReasonWorkerLost, outbox.ReasonLostCommit, RefusedAfterUnclear, AmountUnread)
		w.Ambiguous = w.Reason != AmountUnread
	default:
		w.Reason = pick("reason", Unclear, Superseded, UnseenOrder, outbox.ReasonVendorKey)
		w.Ambiguous = w.Reason == Unclear
	}
	if w.State == outbox.Unknown || w.State != outbox.Held && rapid.Bool().Draw(t, "has a time") {
		w.NextAttemptAt = planned.Add(minutes("due", -2, 2))
	}
	if w.Ambiguous && w.Reason != outbox.ReasonLostCommit {
		w.FirstSentAt = planned.Add(-minutes("sent", 0, 120))
	}
	w.EverAmbiguous, w.KeyUsed = w.Ambiguous, w.Ambiguous
	return w
}

// drawLane is any lane; in one of a member, serial says that each delivery blocks.
func drawLane(t *rapid.T, serial bool) *Lane {
	l := &Lane{LaneState: outbox.LaneState{Kind: outbox.MemberLane}}
	of := []event.Type{event.PointIncremented, event.PointDecremented}
	if serial {
		of = append(of, event.MemberRegistered, event.MemberUpdated, event.MemberIdentityRemoved)
		l.UpdatedTo = received.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "updated")) * time.Minute)
	} else if rapid.Bool().Draw(t, "order") {
		l.Kind = outbox.OrderLane
		of = []event.Type{
			event.OrderUpdated, event.OrderCancelled, event.OrderRefunded, event.OrderRefundDeleted, event.OrderDeleted,
		}
		l.Created = rapid.SampledFrom([]string{"delivered", "delivered", "", "dead", "cancelled"}).Draw(t, "created")
		l.OpenRefunds = rapid.IntRange(0, 2).Draw(t, "open refunds")
		l.UpdatedTo = received.Add(time.Duration(rapid.IntRange(0, 3).Draw(t, "updated")) * time.Minute)
		l.Refunds = map[string]outbox.State{}
		for _, uuid := range []string{"r1", "r2"} {
			l.Refunds[uuid] = rapid.SampledFrom([]outbox.State{"", "delivered", "dead", "held", "cancelled"}).Draw(t, "refund")
		}
		if l.Created == "" && rapid.Bool().Draw(t, "create in hand") {
			l.Work = append(l.Work, drawWork(t, 1, event.OrderCreated))
		}
	}
	for i := range rapid.IntRange(0, 6).Draw(t, "deliveries") {
		l.Work = append(l.Work, drawWork(t, int64(i+2), rapid.SampledFrom(of).Draw(t, "type")))
	}
	Sort(l.Work)
	return l
}

// passes reports whether what comes later in the lane may be called although x
// hasn't been.
func passes(l *Lane, serial bool, x, later *outbox.Work) bool {
	switch {
	case serial:
		return later.Ambiguous || later.State == outbox.Unknown // it was called before
	case l.Kind == outbox.OrderLane && later.Reason == outbox.ReasonSentByPerson && l.Created != "delivered" && !asked(&x.Delivery):
		return true // x waits for the create
	case later.Ambiguous || later.State == outbox.Unknown:
		return true // it was called before: only its answer is missing
	case x.Type == event.OrderRefundDeleted:
		return !x.Ambiguous && x.State != outbox.Unknown && x.State != outbox.Held
	case !x.Type.Point():
		return false
	case x.State == outbox.Unknown, x.State == outbox.Held:
		return true
	}
	// An early one, a decrement behind such a one, or what is held from now on.
	return x.Reason == Early || x.Type == event.PointDecremented && later.Type == event.PointIncremented || x.Ambiguous
}

func TestPlanKeepsTheOrderAndForgetsNothing(t *testing.T) {
	accounts := map[string]Operations{}
	for name, v := range map[string]variant{"plain": plain, "reading": reading, "replaced": replaced, "untraced": untraced} {
		accounts[name] = v.account(t).Operation
	}
	for name, repeat := range map[string]vendors.Repeat{"setting": vendors.RepeatAlways, "keyless": vendors.RepeatNever} {
		accounts[name] = func(event.Type) (vendors.Operation, bool) {
			return vendors.Operation{Repeat: repeat, Findable: name == "keyless", Blocks: true, EchoProves: true}, true
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		name := rapid.SampledFrom([]string{"plain", "reading", "replaced", "untraced", "setting", "keyless"}).Draw(t, "account")
		serial := name == "setting" || name == "keyless"
		l, ops := drawLane(t, serial), accounts[name]
		policy := testPolicy()
		policy.SendUnseen = rapid.Bool().Draw(t, "send unseen orders")
		for i, w := range l.Work {
			t.Logf("%d: %d %s %s %s, due %s, unclear %t", i, w.ID, w.Type, w.Event.UUID, readable(w.Delivery), w.NextAttemptAt, w.Ambiguous)
		}
		step := Plan(l, ops, policy, planned)
		if step.Act != nil {
			require.Empty(t, step.Rest)
			require.NotEqual(t, outbox.Held, step.Act.State, "what a person has to decide isn't called")
			for _, x := range l.Work {
				if x == step.Act {
					break
				}
				unclear := x.Ambiguous || x.State == outbox.Unknown
				require.False(t, serial && unclear && step.Action == Push, "%d is repeated before %d is clear", step.Act.ID, x.ID)
				require.True(t, passes(l, serial, x, step.Act), "%s %d passes %d (%s)", step.Action, step.Act.ID, x.ID, readable(x.Delivery))
			}
			return
		}
		checkRest(t, l, step.Rest)

		left := *l
		left.Work = nil
		for i, w := range l.Work {
			require.Equal(t, w.ID, step.Rest[i].ID, "every delivery rests, once")
			if again := *w; !step.Rest[i].State.Final() {
				again.Delivery = step.Rest[i]
				left.Work = append(left.Work, &again)
			}
		}
		second := Plan(&left, ops, policy, planned)
		require.Nil(t, second.Act, "a lane that was put down isn't due at once")
		checkRest(t, &left, second.Rest)
	})
}

// checkRest asserts that nothing rests in silence.
func checkRest(t *rapid.T, l *Lane, rest []outbox.Delivery) {
	require.Len(t, rest, len(l.Work))
	live := false // something before it has a time, or a person has it
	for _, d := range rest {
		name := fmt.Sprintf("%d %s", d.ID, readable(d))
		require.True(t, d.NextAttemptAt.IsZero() || d.NextAttemptAt.After(planned), "%s: due, and put down", name)
		switch d.State {
		case outbox.Pending:
			require.True(t, live || !d.NextAttemptAt.IsZero(), "%s: nothing will ever wake it", name)
		case outbox.Unknown:
			require.False(t, d.NextAttemptAt.IsZero(), name)
		case outbox.Cancelled:
			require.Equal(t, "cancelled", l.Created, name)
		default:
			require.Contains(t, []outbox.State{outbox.Waiting, outbox.Held}, d.State, name)
		}
		if d.State != outbox.Pending {
			require.NotEmpty(t, d.Reason, name)
		}
		live = live || !d.NextAttemptAt.IsZero() || d.State == outbox.Held || d.State == outbox.Waiting
	}
}

func TestSortPutsTakingBackBehindItsRefund(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l := drawLane(t, false)
		l.Kind = outbox.OrderLane
		Sort(l.Work)
		seen := map[string]bool{}
		for i := len(l.Work) - 1; i >= 0; i-- {
			w := l.Work[i]
			switch w.Type {
			case event.OrderRefunded:
				seen[w.Event.UUID] = true
			case event.OrderRefundDeleted:
				require.False(t, seen[w.Event.UUID], "%d comes before its refund", w.ID)
			case event.OrderCreated:
				require.Zero(t, i)
			}
		}
	})
}
