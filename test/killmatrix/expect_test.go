package killmatrix

import (
	"slices"
	"strings"

	fp "syncworker/internal/failpoint"
)

// What happens at a failpoint.
const (
	kill = "kill"  // the process is gone, another goes on
	stop = "stop"  // it freezes until another has gone on, and comes back
	fail = "error" // the step fails, the process goes on
)

// step is a failpoint with what is to happen there.
type step struct {
	fp.Point
	action string
	// either: the vendor may have applied the call when it is met, or not.
	either bool
}

// steps are all that an operation meets. At recorded there is nothing left that a
// worker could come back with.
func steps() []step {
	return []step{
		{fp.Fetched, kill, false},
		{fp.Fetched, stop, false},
		{fp.Fetched, fail, false},
		{fp.InboxCommitting, kill, false},
		{fp.InboxCommitting, stop, false},
		{fp.InboxCommitting, fail, false},
		{fp.InboxCommitted, kill, false},
		{fp.InboxCommitted, stop, false},
		{fp.InboxCommitted, fail, false},
		{fp.Acked, kill, false},
		{fp.Acked, stop, false},
		{fp.Acked, fail, false},
		{fp.Claimed, kill, false},
		{fp.Claimed, stop, false},
		{fp.Claimed, fail, false},
		{fp.Intended, kill, false},
		{fp.Intended, stop, false},
		{fp.Intended, fail, false},
		{fp.Sending, kill, false},
		{fp.Sending, stop, false},
		{fp.Sending, fail, false},
		{fp.Sent, kill, true},
		{fp.Sent, stop, true},
		{fp.Sent, fail, true},
		{fp.Answered, kill, true},
		{fp.Answered, stop, true},
		{fp.Settling, kill, true},
		{fp.Settling, stop, true},
		{fp.Settling, fail, true},
		{fp.Recorded, kill, true},
		{fp.Recorded, fail, true},
		{fp.Draining, kill, true},
		{fp.Draining, stop, true},
	}
}

// chosen says which cells run without -all. The first eight operations meet every
// step; the others those at which it is decided what is known of their call, and each
// of the others at which the operation matters with every fifth of them.
func chosen(s step, op operation, applied bool) bool {
	switch {
	case *all || op.account == dmhub && (op.Order() || op.Point()) || s.Point == fp.Intended || s.Point == fp.Sent:
		return true
	case s.Point == fp.InboxCommitted && s.action == kill,
		slices.Contains([]fp.Point{fp.Sending, fp.Answered, fp.Settling, fp.Recorded, fp.Draining}, s.Point):
		n := 2 * (slices.Index(steps(), s) + slices.IndexFunc(operations(), op.is))
		if applied {
			n++
		}
		return n%5 == 0
	}
	return false
}

// outcome is what must have become of an event, in the end.
type outcome struct {
	State   string // with its reason
	Effects int    // at the vendor
	Calls   string // that are on record, reads included; with a ! from a worker that had lost its lease
}

// expect is the table: what must become of an event whose worker meets a step,
// where the vendor has applied its call then, or not.
func expect(s step, op operation, applied bool) outcome {
	switch {
	case s.Point == fp.InboxCommitted && s.action != fail && op.goesAtOnce():
		return expect(step{fp.Intended, s.action, false}, op, false)
	case slices.Contains([]fp.Point{fp.Fetched, fp.InboxCommitting, fp.InboxCommitted, fp.Acked, fp.Claimed}, s.Point):
		return outcome{"delivered", 1, "push"} // nothing was called yet
	case s.Point == fp.Intended && s.action == fail:
		return outcome{"delivered", 1, "push push"} // it is known that nothing was sent
	case s.action == fail || s.Point == fp.Recorded:
		// The answer is on record, unclear or not.
		if applied && s.Point != fp.Sent {
			return outcome{"delivered", 1, "push"}
		}
		return after("push", op, applied, whenUnclear(op, applied))
	case s.action == stop:
		// What it hears when it comes back is on record too, and may be the
		// evidence that was missing.
		o := after("push!", op, applied, whenLost(op, applied))
		switch {
		case applied && s.Point != fp.Sent && s.Point != fp.Draining:
			o.State = "delivered"
		case op.clears == byPerson && s.Point == fp.Intended:
			return outcome{"delivered", 1, "push! push"} // nothing was sent, as it says then
		}
		return o
	default:
		return after("", op, applied, whenLost(op, applied))
	}
}

// meanwhile is how the event stands before a frozen worker comes back.
func meanwhile(s step, op operation, want outcome) string {
	if s.action == stop && strings.HasPrefix(want.Calls, "push!") && op.clears == byPerson {
		return "held unclear"
	}
	return want.State
}

// after is the outcome where the calls so far leave open what has taken effect.
func after(calls string, op operation, applied bool, further string) outcome {
	o := outcome{"delivered", 1, strings.TrimSpace(calls + " " + further)}
	if op.clears == byPerson {
		o.State = "held unclear"
		if !applied {
			o.Effects = 0
		}
	}
	return o
}

// whenLost are the calls by which a worker finds out what has become of a call
// that another has left behind, and that may still arrive.
func whenLost(op operation, applied bool) string {
	switch op.clears {
	case byKey:
		return "push find"
	case byOwnKey, byRepeat:
		return "push"
	case bySetting: // absent, and once more when the first can't arrive any more
		return ifApplied(applied, "find", "find push")
	case byTrace: // absent, and still absent when it can't arrive any more
		return ifApplied(applied, "find", "find find push")
	case byState: // as it was, or as it is to be, which before that proves nothing
		return ifApplied(applied, "find find", "find find push")
	}
	return ""
}

// whenUnclear are the calls that follow an answer from which nothing can be
// told, once the call can't arrive any more.
func whenUnclear(op operation, applied bool) string {
	switch op.clears {
	case bySetting:
		return "push"
	case byTrace, byState:
		return ifApplied(applied, "find", "find push")
	}
	return whenLost(op, applied)
}

func ifApplied(applied bool, yes, no string) string {
	if applied {
		return yes
	}
	return no
}
