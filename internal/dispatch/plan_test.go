package dispatch

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
	"syncworker/internal/vendors/dmhub"
)

// planned is when lanes are planned in tests: two days after all was received,
// unless a row says otherwise.
var planned = received.Add(48 * time.Hour)

var kinds = map[string]event.Type{
	"create": event.OrderCreated, "update": event.OrderUpdated, "cancel": event.OrderCancelled,
	"delete": event.OrderDeleted, "refund": event.OrderRefunded, "untake": event.OrderRefundDeleted,
	"incr": event.PointIncremented, "decr": event.PointDecremented,
	"register": event.MemberRegistered, "change": event.MemberUpdated,
}

// row reads a delivery: its kind with the uuid, its state with the reason, and
//
//	at=5m     the event's time, counted from the others'
//	new       received just now
//	due=5m    the next attempt, counted from now
//	unclear   an earlier call wasn't answered, a minute ago
//	old       the same, two hours ago: no key is recognized any more
//	lost      the same, by a process that the database has forgotten
//	since     its state began just now
func row(t require.TestingT, id int64, text string) *outbox.Work {
	fields := strings.Fields(text)
	kind, uuid, _ := strings.Cut(fields[0], ":")
	state, reason, _ := strings.Cut(fields[1], ":")
	require.Contains(t, kinds, kind)
	w := variant{kind: kinds[kind]}.work(id)
	w.State, w.Reason, w.Event.UUID = outbox.State(state), reason, uuid
	if w.State == outbox.Unknown {
		w.Ambiguous = true
	}
	for _, f := range fields[2:] {
		name, value, _ := strings.Cut(f, "=")
		var by time.Duration
		if value != "" {
			var err error
			by, err = time.ParseDuration(value)
			require.NoError(t, err)
		}
		switch name {
		case "at":
			w.EventTime = received.Add(by)
		case "new":
			w.ReceivedAt = planned
		case "due":
			w.NextAttemptAt = planned.Add(by)
		case "unclear":
			w.Ambiguous, w.FirstSentAt = true, planned.Add(-time.Minute)
		case "old":
			w.Ambiguous, w.FirstSentAt = true, planned.Add(-2*time.Hour)
		case "lost":
			w.Ambiguous = true
		case "since":
			w.StateSince = planned
		default:
			require.Fail(t, "unknown word", f)
		}
	}
	w.EverAmbiguous, w.KeyUsed = w.Ambiguous, w.Ambiguous
	return w
}

// shown is a step as the tables write it: the action with the delivery's id, or
// all deliveries as they rest.
func shown(s Step) string {
	if s.Act != nil {
		return fmt.Sprintf("%s %d", s.Action, s.Act.ID)
	}
	var rest []string
	for _, d := range s.Rest {
		text := fmt.Sprintf("%d %s", d.ID, readable(d))
		if !d.NextAttemptAt.IsZero() {
			text += " " + d.NextAttemptAt.Sub(planned).String()
		}
		rest = append(rest, text)
	}
	return strings.Join(rest, ", ")
}

// plannedLane is one row of the tables of Plan.
type plannedLane struct {
	name    string
	account variant // its reads and semantics
	lane    Lane
	send    bool // unseen_orders: send
	work    []string
	want    string
}

func (x plannedLane) run(t *testing.T) {
	t.Helper()
	l := x.lane
	l.Kind = outbox.OrderLane
	for i, text := range x.work {
		w := row(t, int64(i+1), text)
		if !w.Type.Order() {
			l.Kind = outbox.MemberLane
		}
		l.Work = append(l.Work, w)
	}
	Sort(l.Work)
	policy := testPolicy()
	policy.SendUnseen = x.send
	require.Equal(t, x.want, shown(Plan(&l, x.account.account(t).Operation, policy, planned)), x.name)
}

var (
	created  = outbox.LaneState{Created: string(outbox.Delivered)}
	plain    = variant{}
	reading  = variant{reads: true}
	replaced = variant{said: dmhub.Semantics{ExistingOrder: dmhub.Replaced}}
	untraced = variant{said: dmhub.Semantics{PointTrace: dmhub.None}}
)

func refunds(open int) Lane {
	l := Lane{LaneState: created}
	l.OpenRefunds = open
	return l
}

func known(open int, uuid string, s outbox.State) Lane {
	l := refunds(open)
	l.Refunds = map[string]outbox.State{uuid: s}
	return l
}

func TestWhatAnOrderDoesNext(t *testing.T) {
	updated := created
	updated.UpdatedTo = received.Add(time.Minute)
	dead, cancelled := outbox.LaneState{Created: "dead"}, outbox.LaneState{Created: "cancelled"}
	for _, x := range []plannedLane{
		{"nothing left", plain, Lane{LaneState: created}, false, nil, ""},
		{"the create goes first, whenever it comes", plain, Lane{}, false, []string{"refund:r1 pending at=-1h", "create pending at=1h"}, "push 2"},
		{"the others by their time", plain, Lane{LaneState: created}, false, []string{"update:u2 pending at=2m", "update:u1 pending at=1m"}, "push 2"},
		{"then by arrival", plain, Lane{LaneState: created}, false, []string{"update:u2 pending", "update:u1 pending"}, "push 1"},

		{
			"backoff makes the others wait for their live head", plain,
			Lane{LaneState: created},
			false,
			[]string{"update:u1 pending:not_reached due=9s", "refund:r1 waiting:predecessor_unknown", "cancel pending due=-1s at=1m"},
			"1 pending:not_reached 9s, 2 pending, 3 pending",
		},
		{
			"unknown makes them wait", reading,
			Lane{},
			false,
			[]string{"create unknown:no_answer due=1s", "update:u1 pending", "refund:r1 pending at=1m"},
			"1 unknown:no_answer 1s, 2 waiting:predecessor_unknown, 3 waiting:predecessor_unknown",
		},
		{
			"held makes them wait", plain,
			Lane{LaneState: created},
			false,
			[]string{"refund:r1 held:unclear unclear", "update:u1 pending at=1m"},
			"1 held:unclear, 2 waiting:predecessor_held",
		},
		{
			"what a database has lost waits for its create", plain,
			Lane{},
			false,
			[]string{"update:u1 unknown:lost_commit new"},
			"1 unknown:lost_commit 24h0m0s",
		},
		{"but not for one that a person has cancelled", plain, Lane{LaneState: cancelled}, false, []string{"update:u1 unknown:lost_commit new"}, "1 held:unclear"},
		{"nor for a dead one", plain, Lane{LaneState: dead}, false, []string{"update:u1 unknown:lost_commit new"}, "1 held:unclear"},
		{
			"nor is it sent before a create that comes only now", plain,
			Lane{},
			false,
			[]string{"create pending due=1s", "update:u1 unknown:lost_commit"},
			"1 pending 1s, 2 unknown:lost_commit 24h0m0s",
		},
		{"what they waited for is there", plain, Lane{LaneState: created}, false, []string{"update:u1 waiting:predecessor_held"}, "push 1"},
		{
			"an unclear refund is held", plain,
			Lane{LaneState: created},
			false,
			[]string{"refund:r1 unknown:worker_lost due=0s unclear", "update:u1 pending at=1m"},
			"1 held:unclear, 2 waiting:predecessor_held",
		},
		{"an unclear update is repeated", plain, Lane{LaneState: created}, false, []string{"update:u1 unknown:worker_lost due=0s unclear"}, "push 1"},
		{
			"but not while its first call may still arrive", plain,
			Lane{LaneState: created},
			false,
			[]string{"update:u1 unknown:worker_lost due=0s unclear since", "cancel pending at=1m"},
			"1 unknown:worker_lost 5m10s, 2 waiting:predecessor_unknown",
		},
		{
			"what the database lost is cleared up in order", plain,
			Lane{LaneState: created},
			false,
			[]string{"update:u1 unknown:lost_commit due=1s lost", "cancel unknown:lost_commit due=-1s lost at=1m"},
			"1 unknown:lost_commit 1s, 2 unknown:lost_commit 24h0m0s",
		},
		{
			"a later one is read, since that changes nothing", reading,
			Lane{},
			false,
			[]string{"create unknown:lost_commit due=1s lost", "cancel unknown:lost_commit due=-1s lost since at=1m"},
			"find 2",
		},
		{
			"but that a deleted order is gone says nothing before its create is clear", reading,
			Lane{},
			false,
			[]string{"create unknown:lost_commit due=1s lost", "delete unknown:lost_commit due=-1s lost at=1m"},
			"1 unknown:lost_commit 1s, 2 unknown:lost_commit 24h0m0s",
		},
		{
			"nor is anything sent behind one that a person has", plain,
			Lane{LaneState: created},
			false,
			[]string{"refund:r1 unknown:lost_commit due=-1s lost", "cancel unknown:lost_commit due=-1s lost at=1m"},
			"1 held:unclear, 2 unknown:lost_commit 24h0m0s",
		},
		{
			"what the database lost waits for a create that it lost too", plain,
			Lane{},
			false,
			[]string{"update:u1 unknown:lost_commit due=-1s lost new", "cancel unknown:lost_commit due=-1s lost new at=1m"},
			"1 unknown:lost_commit 24h0m0s, 2 unknown:lost_commit 24h0m0s",
		},
		{"but not for ever", plain, Lane{}, false, []string{"update:u1 unknown:lost_commit due=-1s lost"}, "1 held:unclear"},
		{"an order that is gone was perhaps never created", reading, Lane{}, false, []string{"delete unknown:lost_commit due=-1s lost new"}, "1 unknown:lost_commit 24h0m0s"},
		{"an unclear create is read", reading, Lane{}, false, []string{"create unknown:worker_lost due=0s unclear"}, "find 1"},
		{"or repeated where that replaces", replaced, Lane{}, false, []string{"create unknown:worker_lost due=0s unclear"}, "push 1"},
		{"but not where it may replace what came after", replaced, Lane{}, false, []string{"create unknown:lost_commit due=0s lost"}, "1 held:unclear"},
		{
			"an answer that has to be read isn't sent again", reading,
			Lane{LaneState: created},
			false,
			[]string{"cancel unknown:refused_after_unclear due=0s unclear"},
			"find 1",
		},
		{
			"what is unclear goes before what is new", reading,
			Lane{LaneState: created},
			false,
			[]string{"update:u1 pending", "cancel unknown:no_answer due=0s unclear at=1m"},
			"push 2",
		},
		{
			"what nothing can clear up is held at once", reading,
			Lane{},
			false,
			[]string{"create unknown:lost_commit due=5s lost", "refund:r1 unknown:lost_commit due=0s lost"},
			"1 unknown:lost_commit 5s, 2 held:unclear",
		},

		{
			"an older update is superseded", plain,
			Lane{LaneState: updated},
			false,
			[]string{"update:u1 pending", "update:u3 pending at=2m"},
			"1 held:superseded, 2 waiting:predecessor_held",
		},
		{"one of the same time isn't", plain, Lane{LaneState: updated}, false, []string{"update:u1 pending at=1m"}, "push 1"},
		{
			"an older update isn't repeated either", plain,
			Lane{LaneState: updated},
			false,
			[]string{"update:u1 unknown:lost_commit lost due=0s", "cancel pending at=2m"},
			"1 held:superseded, 2 waiting:predecessor_held",
		},
		{"unless a person has decided", plain, Lane{LaneState: updated}, false, []string{"update:u1 pending:sent_by_person due=0s"}, "push 1"},
		{
			"whose decision outlasts a predecessor", plain,
			Lane{LaneState: updated},
			false,
			[]string{"refund:r1 held:unclear unclear", "update:u1 pending:sent_by_person due=0s", "cancel pending at=1m"},
			"1 held:unclear, 2 pending:sent_by_person, 3 waiting:predecessor_held",
		},

		{"a dead refund makes nobody wait", plain, Lane{LaneState: created}, false, []string{"update:u1 pending"}, "push 1"},
		{
			"a dead create does", plain,
			Lane{LaneState: dead},
			false,
			[]string{"update:u1 pending", "refund:r1 pending at=1m"},
			"1 waiting:predecessor_dead, 2 waiting:predecessor_dead",
		},
		{
			"a cancelled create takes them along", plain,
			Lane{LaneState: cancelled},
			false,
			[]string{"update:u1 pending", "refund:r1 waiting:predecessor_held at=1m", "cancel held:unclear unclear at=2m"},
			"1 cancelled:predecessor_cancelled, 2 cancelled:predecessor_cancelled, 3 held:unclear",
		},
		{"a person may send a refund all the same", plain, Lane{LaneState: dead}, false, []string{"refund:r1 pending:sent_by_person due=0s"}, "push 1"},

		{
			"also before one that waits for its create", plain,
			Lane{LaneState: dead},
			false,
			[]string{"update:u1 pending", "refund:r1 pending:sent_by_person due=0s at=1m"},
			"push 2",
		},
		{
			"but not before one that a person has", plain,
			Lane{},
			false,
			[]string{"update:u1 pending", "refund:r1 pending:sent_by_person due=0s at=1m"},
			"1 held:unseen_order, 2 pending:sent_by_person",
		},

		{
			"a create that never came is waited for", plain,
			Lane{},
			false,
			[]string{"update:u1 pending new", "refund:r1 pending new at=1m"},
			"1 waiting:predecessor_missing 24h0m0s, 2 waiting:predecessor_missing 24h0m0s",
		},
		{
			"then a person decides", plain,
			Lane{},
			false,
			[]string{"update:u1 waiting:predecessor_missing due=0s", "refund:r1 pending new at=1m"},
			"1 held:unseen_order, 2 waiting:predecessor_missing 24h0m0s",
		},
		{"or it is sent", plain, Lane{}, true, []string{"update:u1 waiting:predecessor_missing due=0s", "refund:r1 pending at=1m"}, "push 1"},
		{
			"but in order", plain,
			Lane{},
			true,
			[]string{"update:u1 pending new", "refund:r1 pending at=1m"},
			"1 waiting:predecessor_missing 24h0m0s, 2 pending",
		},
		{"not where the create is dead", plain, Lane{LaneState: dead}, true, []string{"refund:r1 pending"}, "1 waiting:predecessor_dead"},
	} {
		x.run(t)
	}
}

func TestWhatTakingBackARefundWaitsFor(t *testing.T) {
	for _, x := range []plannedLane{
		{"its refund goes first, whatever their clocks say", plain, refunds(0), false, []string{"untake:r1 pending at=1m", "refund:r1 pending at=9m"}, "push 2"},
		{"another one's doesn't", plain, refunds(1), false, []string{"untake:r1 pending at=1m", "refund:r2 pending at=9m"}, "look_at_refund 1"},
		{"what became of it is looked up", plain, refunds(1), false, []string{"untake:r1 pending"}, "look_at_refund 1"},
		{"delivered, and the only one", plain, known(1, "r1", outbox.Delivered), false, []string{"untake:r1 pending"}, "push 1"},
		{"delivered, one of two", plain, known(2, "r1", outbox.Delivered), false, []string{"untake:r1 pending"}, "1 held:several_refunds"},
		{"delivered, but taken back already", plain, known(0, "r1", outbox.Delivered), false, []string{"untake:r1 pending"}, "1 held:several_refunds"},
		{"dead, and the others go on", plain, known(0, "r1", outbox.Dead), false, []string{"untake:r1 pending", "update:u1 pending at=1m"}, "push 2"},
		{"dead", plain, known(0, "r1", outbox.Dead), false, []string{"untake:r1 pending due=0s"}, "1 waiting:predecessor_dead"},
		{"held", plain, known(0, "r1", outbox.Held), false, []string{"untake:r1 pending"}, "1 waiting:predecessor_held"},
		{"unknown", plain, known(0, "r1", outbox.Unknown), false, []string{"untake:r1 pending"}, "1 waiting:predecessor_unknown"},
		{"cancelled", plain, known(0, "r1", outbox.Cancelled), false, []string{"untake:r1 pending"}, "1 held:predecessor_cancelled"},
		{
			"not there yet", plain, known(0, "r1", ""), false,
			[]string{"untake:r1 pending new", "update:u1 pending:not_reached due=9s at=1m"},
			"1 waiting:predecessor_missing 24h0m0s, 2 pending:not_reached 9s",
		},
		{
			"never came", plain, known(0, "r1", ""), false,
			[]string{"untake:r1 waiting:predecessor_missing", "update:u1 pending at=1m"},
			"1 held:unseen_refund, 2 waiting:predecessor_held",
		},
		{
			"another may have been refunded", plain, known(1, "r1", outbox.Delivered), false,
			[]string{"untake:r1 pending", "refund:r2 held:unclear unclear at=1m"},
			"1 waiting:predecessor_unknown, 2 held:unclear",
		},
		{"a person has decided", plain, refunds(2), false, []string{"untake:r1 pending:sent_by_person due=0s"}, "push 1"},
	} {
		x.run(t)
	}
}

func TestWhatAMemberDoesNext(t *testing.T) {
	for _, x := range []plannedLane{
		{"in order", plain, Lane{}, false, []string{"incr:a pending at=1m", "decr:b pending"}, "push 2"},
		{"unknown lets the others go on", plain, Lane{}, false, []string{"incr:a unknown:echo_unproven due=5m old", "decr:b pending at=1m"}, "push 2"},
		{"held lets the others go on", plain, Lane{}, false, []string{"incr:a held:mismatch old", "decr:b pending at=1m"}, "push 2"},
		{
			"backoff doesn't", plain,
			Lane{},
			false,
			[]string{"incr:a pending:not_reached due=9s", "decr:b pending at=1m"},
			"1 pending:not_reached 9s, 2 pending",
		},
		{"early lets increments pass", plain, Lane{}, false, []string{"decr:a pending:early due=9s", "decr:b pending at=1m", "incr:c pending at=2m"}, "push 3"},
		{"but no decrement", plain, Lane{}, false, []string{"decr:a pending:early due=9s", "decr:b pending at=1m"}, "1 pending:early 9s, 2 pending"},
		{"early and due", plain, Lane{}, false, []string{"decr:a pending:early due=0s", "incr:c pending at=2m"}, "push 1"},
		{"a repeat isn't a new decrement", plain, Lane{}, false, []string{"decr:a pending:early due=9s", "decr:b pending:no_answer due=0s unclear at=1m"}, "push 2"},
		{"a question goes before a backoff", plain, Lane{}, false, []string{"incr:a pending:not_reached due=9s", "incr:b unknown:no_answer due=0s old at=1m"}, "find 2"},
		{"points pass a change of the member that is held", plain, Lane{}, false, []string{"change:u held:superseded", "incr:a pending at=1m"}, "push 2"},
		{"what changes the member doesn't", plain, Lane{}, false, []string{"change:u held:superseded", "change:v pending at=1m"}, "1 held:superseded, 2 waiting:predecessor_held"},
		{
			"points wait for the member", plain,
			Lane{},
			false,
			[]string{"register:u held:mismatch", "incr:a pending at=1m"},
			"1 held:mismatch, 2 waiting:predecessor_held",
		},
		{"points pass what waits behind a change that is held", plain, Lane{}, false, []string{"change:u held:superseded", "change:v waiting:predecessor_held at=1m", "decr:a pending at=2m"}, "push 3"},
		{"repeated inside the window", plain, Lane{}, false, []string{"incr:a unknown:worker_lost due=0s unclear"}, "push 1"},
		{"read after it", plain, Lane{}, false, []string{"incr:a unknown:worker_lost due=0s old"}, "find 1"},
		{"read where the first call is forgotten", plain, Lane{}, false, []string{"incr:a unknown:lost_commit due=0s lost"}, "find 1"},
		{
			"held where no read can tell", untraced,
			Lane{},
			false,
			[]string{"incr:a pending:not_reached due=9s", "incr:b pending:no_answer due=0s old at=1m"},
			"1 pending:not_reached 9s, 2 held:unclear",
		},
	} {
		x.run(t)
	}
}

func TestWhatTheAccountHasNoCallForIsHeld(t *testing.T) {
	none := func(event.Type) (vendors.Operation, bool) { return vendors.Operation{}, false }
	for _, x := range []struct{ first, second, want string }{
		{"update:u1 pending", "cancel pending at=1m", "1 held:unsupported, 2 waiting:predecessor_held"},
		{"incr:a pending", "incr:b held:vendor_key_conflict at=1m", "1 held:unsupported, 2 held:vendor_key_conflict"},
	} {
		l := Lane{LaneState: created, Work: []*outbox.Work{row(t, 1, x.first), row(t, 2, x.second)}}
		l.Kind = outbox.OrderLane
		if l.Work[0].Type.Point() {
			l.Kind = outbox.MemberLane
		}
		require.Equal(t, x.want, shown(Plan(&l, none, testPolicy(), planned)))
	}
}
