package dispatch

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// handOf is a hand that serves one account of DM Hub, and that never writes: what
// it would write waits in its committer's queue.
func handOf(t *testing.T, v variant) (*hand, *account) {
	accounts := []Account{{Name: "dmhub", Vendor: v.account(t), Policy: testPolicy(), Limits: Limits{MaxInFlight: 4}}}
	w := New(nil, accounts, Config{Lease: time.Minute}, zerolog.Nop(), NewMetrics(prometheus.NewRegistry()),
		func() time.Time { return planned }, func() float64 { return 0.5 })
	h := newHand(w, 1, 1, planned.Add(time.Minute))
	a := h.accounts["dmhub"]
	a.gate.divide(outbox.Peers{Count: 1})
	return h, a
}

// holding puts a lane with these deliveries into the hand, an action under way.
func holding(h *hand, kind outbox.LaneKind, work ...*outbox.Work) *lane {
	l := &lane{Lane: Lane{LaneState: created, Work: work}, handed: len(work), busy: true}
	l.Kind, l.LaneState.Lane, l.Account, l.via = kind, outbox.Lane{1}, "dmhub", h.accounts["dmhub"]
	h.lanes[l.LaneState.Lane] = l
	return l
}

func TestARefundThatIsSettledIsLookedAtAnew(t *testing.T) {
	h, a := handOf(t, plain)
	refund, untake := row(t, 1, "refund:r1 inflight"), row(t, 2, "untake:r1 pending at=1m")
	l := holding(h, outbox.OrderLane, refund, untake)
	l.Refunds = map[string]outbox.State{"r1": ""} // looked at before the refund came
	done := refund.Delivery
	done.State = outbox.Delivered
	_, put, _ := h.settled(a, l, refund, &outbox.Settle{Delivery: done})
	require.Equal(t, []*outbox.Work{refund}, put)
	h.drop(a, l, put...)
	require.Equal(t, "look_at_refund 2", shown(Plan(&l.Lane, a.ops, a.Policy, planned)), "not waiting for a refund that is there")
}

func TestAnUnknownHeadOfAnOrderStaysInTheLane(t *testing.T) {
	h, a := handOf(t, reading)
	head, next := row(t, 1, "create inflight unclear"), row(t, 2, "cancel unknown:lost_commit due=0s lost since at=1m")
	l := holding(h, outbox.OrderLane, head, next, row(t, 3, "refund:r1 pending at=2m"))
	unread := head.Delivery
	unread.State, unread.Reason, unread.NextAttemptAt = outbox.Unknown, RefusedAfterUnclear, planned.Add(time.Minute)
	e, put, _ := h.settled(a, l, head, &outbox.Settle{Delivery: unread})
	require.Empty(t, put, "what stands behind it would pass it")
	require.False(t, e.settles[0].Rest)
}

func TestAnUnknownOfAMemberIsPutDownWhileTheOthersGoOn(t *testing.T) {
	h, a := handOf(t, plain)
	first, second := row(t, 1, "incr:a inflight old"), row(t, 2, "incr:b pending at=1m")
	second.Event.Member.MembershipID = "16508"
	l := holding(h, outbox.MemberLane, first, second)
	unread := first.Delivery
	unread.State, unread.Reason, unread.NextAttemptAt = outbox.Unknown, NoAnswer, planned.Add(time.Minute)
	e, put, next := h.settled(a, l, first, &outbox.Settle{Delivery: unread})
	require.Equal(t, []*outbox.Work{first}, put)
	require.True(t, e.settles[0].Rest)
	require.True(t, e.lane.PutDown)
	require.False(t, e.lane.Release)
	require.Same(t, second, next.Act)
	require.Equal(t, int64(2), e.intent.ID)
}

func TestALaneIsLetGoWhenNothingMoreCanBeDone(t *testing.T) {
	for _, x := range []struct {
		name    string
		more    bool
		work    []string
		release bool
	}{
		{"in backoff", false, []string{"incr:a pending:not_reached due=9s", "incr:b pending at=1m"}, true},
		{"in backoff, with more behind", true, []string{"incr:a pending:not_reached due=9s"}, true},
		{"short of points, with more behind", true, []string{"decr:a pending:early due=9s"}, true},
		{"held, with more behind", true, []string{"incr:a held:mismatch old"}, false},
		{"an order's event held, with more behind", true, []string{"refund:r1 held:unclear unclear"}, true},
	} {
		h, a := handOf(t, plain)
		var work []*outbox.Work
		for i, text := range x.work {
			work = append(work, row(t, int64(i+1), text))
		}
		kind := outbox.OrderLane
		if work[0].Type.Point() {
			kind = outbox.MemberLane
		}
		l := holding(h, kind, work...)
		l.busy, l.More = false, x.more
		h.consider(a, l)
		require.Len(t, h.commit.queue, 1, x.name)
		e := h.commit.queue[0]
		require.Equal(t, x.release, e.lane.Release, x.name)
		require.True(t, e.lane.PutDown, x.name)
		require.Len(t, e.settles, len(work), x.name)
	}
}

func TestWhatIsPostponedIsNotDueAtOnce(t *testing.T) {
	h, a := handOf(t, plain)
	w := row(t, 1, "untake:r1 waiting:predecessor_missing")
	l := holding(h, outbox.OrderLane, w)
	a.gate.used = 1
	h.postpone(a, l, w)
	require.Zero(t, a.gate.used)
	require.Empty(t, a.ready, "it would ask a database that is away without a pause")
	require.Len(t, h.commit.queue, 1)
	require.Equal(t, "pending", readable(h.commit.queue[0].settles[0].Delivery))
	require.Equal(t, planned.Add(time.Second), h.commit.queue[0].settles[0].NextAttemptAt)
}

func TestARepeatThatCameTooLateIsNotSent(t *testing.T) {
	h, a := handOf(t, plain)
	for text, may := range map[string]bool{
		"incr:a pending": true, "incr:a pending:no_answer unclear": true, "incr:a pending:no_answer old": false,
	} {
		w := row(t, 1, text)
		w.Event.Member.MembershipID = "16508"
		call, fail := h.prepare(a, holding(h, outbox.MemberLane, w), w)
		require.Nil(t, fail)
		require.Equal(t, may, call.MaySend() == nil, "%s: the intent may have taken long to commit", text)
	}
	h.leaseUntil = planned.Add(a.Policy.Timeout)
	call, _ := h.prepare(a, holding(h, outbox.OrderLane), row(t, 1, "create pending"))
	require.ErrorContains(t, call.MaySend(), "lease has 10s left")
}

func TestACallThatItsAccountsStateOvertakesIsNotSent(t *testing.T) {
	h, a := handOf(t, plain)
	w := row(t, 1, "create pending")
	require.True(t, a.gate.admit(planned).ok)
	call, _ := h.prepare(a, holding(h, outbox.OrderLane, w), w)
	require.NoError(t, call.MaySend())
	a.gate.sync(outbox.Gate{OpenUntil: planned.Add(time.Second), Cause: CauseNoAnswer})
	require.ErrorContains(t, call.MaySend(), "circuit of dmhub", "the intent may have taken long to commit")
	a.gate.probed = true
	require.NoError(t, call.MaySend(), "the one that probes")

	a.gate.sync(outbox.Gate{PausedAt: planned})
	require.ErrorContains(t, call.MaySend(), "dmhub has been paused", "those that wait for a slot don't go on")
	a.gate.sync(outbox.Gate{ThrottledUntil: planned.Add(time.Second)})
	require.ErrorContains(t, call.MaySend(), "patience")
	a.gate.sync(outbox.Gate{ThrottledUntil: planned})
	require.NoError(t, call.MaySend())
}

func TestNothingBeginsOnceAWorkerDrains(t *testing.T) {
	for _, text := range []string{"incr:a pending", "incr:a pending:not_reached due=9s"} {
		for _, stale := range []bool{false, true} {
			h, a := handOf(t, plain)
			l := holding(h, outbox.MemberLane, row(t, 1, text))
			l.busy, l.stale, h.draining = false, stale, true
			h.consider(a, l)
			require.False(t, l.busy)
			require.Empty(t, h.commit.queue)
			h.acts.Wait()
		}
	}
}

func TestAThrottledProbeClosesTheCircuitAndMakesAllWait(t *testing.T) {
	h, a := handOf(t, plain)
	a.gate.sync(outbox.Gate{OpenUntil: planned, Cause: CauseNoAnswer})
	a.gate.probed, h.draining = true, true
	c := a.gate.heard(tooFast)
	h.apply(a, c)
	require.False(t, a.gate.open())
	require.Equal(t, planned.Add(30*time.Second), a.gate.shared.ThrottledUntil)
}

func TestADeliveryThatIsHandedOverIsTakenOnce(t *testing.T) {
	h, a := handOf(t, plain)
	h.draining = true
	handed := outbox.Handed{Work: *row(t, 7, "incr:a pending"), Lane: outbox.LaneState{Lane: outbox.Lane{1}, Kind: outbox.MemberLane, Epoch: 1}}
	h.take(&handed)
	h.take(&handed)
	require.Equal(t, 1, a.live)
	require.Equal(t, 1, h.lanes[outbox.Lane{1}].handed)
	require.Equal(t, int64(7), h.lowest())
	h.drop(a, h.lanes[outbox.Lane{1}], h.lanes[outbox.Lane{1}].Work...)
	require.Equal(t, int64(8), h.lowest())
	floor := int64(3)
	h.entering[&floor] = struct{}{}
	require.Equal(t, int64(3), h.lowest(), "a commit under way may hand over smaller ones")
	h.claiming, h.low = 1, 2
	require.Equal(t, int64(2), h.lowest())
}

// withReads gives a hand the account that its orders are read through.
func withReads(h *hand) (deals *account) {
	deals = &account{Account: Account{Name: "deals"}, gate: alone(Limits{MaxInFlight: 1}), timer: time.AfterFunc(time.Hour, func() {})}
	deals.timer.Stop()
	h.accounts["deals"], h.accounts["dmhub"].OrderReads = deals, "deals"
	return deals
}

func TestAReadWaitsForTheAccountThatItGoesThrough(t *testing.T) {
	const unread = "cancel unknown:refused_after_unclear due=0s"
	for name, x := range map[string]struct {
		gate outbox.Gate
		wait time.Duration
	}{
		"paused":              {outbox.Gate{PausedAt: planned}, readWait},
		"paused, and was out": {outbox.Gate{PausedAt: planned, OpenUntil: planned.Add(time.Second)}, readWait},
		"its circuit is open": {outbox.Gate{OpenUntil: planned.Add(5 * time.Second)}, 5 * time.Second},
		"throttled":           {outbox.Gate{ThrottledUntil: planned.Add(time.Minute)}, time.Minute},
	} {
		h, a := handOf(t, reading)
		deals := withReads(h)
		deals.gate.sync(x.gate)
		w := row(t, 1, unread)
		l := holding(h, outbox.OrderLane, w)
		l.busy = false
		h.consider(a, l)
		require.Zero(t, a.gate.used+deals.gate.used, name)
		require.Len(t, h.commit.queue, 1, name)
		e := h.commit.queue[0]
		require.True(t, e.lane.Release, name)
		require.Equal(t, "unknown:"+RefusedAfterUnclear, readable(e.settles[0].Delivery), name)
		require.Equal(t, planned.Add(x.wait*3/2), e.settles[0].NextAttemptAt, name)
		require.Nil(t, e.settles[0].Attempt, name)
		require.Zero(t, e.settles[0].Attempts, name)
	}
	h, a := handOf(t, reading)
	deals := withReads(h)
	deals.gate.used = deals.gate.slots() + deals.gate.ahead()
	l := holding(h, outbox.OrderLane, row(t, 1, unread))
	l.busy = false
	h.consider(a, l)
	require.Equal(t, []*lane{l}, deals.ready, "for a place")
	require.Zero(t, a.gate.used, "and holds none of its own account")
	full := make([]*lane, readsInHand)
	deals.ready, l.queued = full, false
	h.consider(a, l)
	require.Len(t, deals.ready, readsInHand)
	require.Len(t, h.commit.queue, 1, "the hand has other things to do")
}

func TestALaneThatNeedsAnotherGateByNowGoesThere(t *testing.T) {
	h, a := handOf(t, reading)
	deals := withReads(h)
	a.gate.used = a.gate.slots() + a.gate.ahead() // so that nothing goes
	l := holding(h, outbox.OrderLane, row(t, 1, "cancel pending"))
	l.busy, l.queued, deals.ready = false, true, []*lane{l}
	h.pump(deals)
	require.Empty(t, deals.ready)
	require.Zero(t, deals.gate.used)
	require.Equal(t, []*lane{l}, a.ready)
}

// looking is a vendor that takes two calls to find a member.
type looking struct{ vendors.Vendor }

func (looking) FindMember(context.Context, event.Member) (string, vendors.Result) {
	return "16508", vendors.Result{Class: vendors.Applied, Calls: 2}
}

func TestLookUpsCountUnderTheRate(t *testing.T) {
	h, a := handOf(t, plain)
	a.gate = alone(Limits{MaxInFlight: 4, Rate: 10})
	a.members = looking{}
	w := row(t, 1, "incr:a pending")
	w.Event.Member.Identities = []event.MemberIdentity{{Type: "mobile", Value: "13800000000"}}
	require.True(t, a.gate.admit(planned).ok)
	call, fail := h.prepare(a, holding(h, outbox.MemberLane, w), w)
	require.Nil(t, fail)
	require.Equal(t, "16508", call.Member)
	require.Equal(t, verdict{wait: 300 * time.Millisecond}, a.gate.admit(planned), "behind three calls")
}

func TestWhatHasComeDuringALookUpGoesFirst(t *testing.T) {
	h, a := handOf(t, plain)
	w := row(t, 2, "incr:b pending at=2m")
	l := holding(h, outbox.MemberLane, w)
	require.True(t, h.stillFirst(a, l, w))
	l.awaits = 1
	require.False(t, h.stillFirst(a, l, w), "it is on its way")
	l.awaits, l.Work = 0, append(l.Work, row(t, 3, "incr:a pending at=1m"))
	Sort(l.Work)
	require.False(t, h.stillFirst(a, l, w), "it has come")
}
