package killmatrix

import (
	"slices"
	"strings"

	"syncworker/internal/event"
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

// outcome is what must have become of an event, in the end.
type outcome struct {
	State   string // with its reason
	Effects int    // at the vendor
	Calls   string // that are on record, reads included; with a ! from a worker that had lost its lease
}

// expect is the table: what must become of an event whose worker meets a step,
// where the vendor has applied its call then, or not.
func expect(s step, t event.Type, applied bool) outcome {
	switch {
	case s.Point == fp.InboxCommitted && s.action != fail && goesAtOnce(t):
		return expect(step{fp.Intended, s.action, false}, t, false)
	case slices.Contains([]fp.Point{fp.Fetched, fp.InboxCommitting, fp.InboxCommitted, fp.Acked, fp.Claimed}, s.Point):
		return outcome{"delivered", 1, "push"} // nothing was called yet
	case s.Point == fp.Intended && s.action == fail:
		return outcome{"delivered", 1, "push push"} // it is known that nothing was sent
	case s.action == fail || s.Point == fp.Recorded:
		// The answer is on record, unclear or not.
		if applied && s.Point != fp.Sent {
			return outcome{"delivered", 1, "push"}
		}
		return after("push", t, applied, whenUnclear(t, applied))
	case s.action == stop:
		// What it hears when it comes back is on record too, and may be the
		// evidence that was missing.
		o := after("push!", t, applied, whenLost(t, applied))
		switch {
		case applied && s.Point != fp.Sent && s.Point != fp.Draining:
			o.State = "delivered"
		case refund(t) && s.Point == fp.Intended:
			return outcome{"delivered", 1, "push! push"} // nothing was sent, as it says then
		}
		return o
	default:
		return after("", t, applied, whenLost(t, applied))
	}
}

// goesAtOnce reports whether the intent of an operation is committed with its event:
// its lane is idle and the token is there, since its order was created before, and
// nothing else has to be found out.
func goesAtOnce(t event.Type) bool {
	return t != event.OrderCreated && !t.Point() && t != event.OrderRefundDeleted
}

// meanwhile is how the event stands before a frozen worker comes back.
func meanwhile(s step, t event.Type, want outcome) string {
	if s.action == stop && strings.HasPrefix(want.Calls, "push!") && refund(t) {
		return "held unclear"
	}
	return want.State
}

// after is the outcome where the calls so far leave open what has taken effect.
func after(calls string, t event.Type, applied bool, further string) outcome {
	o := outcome{"delivered", 1, strings.TrimSpace(calls + " " + further)}
	if refund(t) {
		o.State = "held unclear" // no document says how to find out
		if !applied {
			o.Effects = 0
		}
	}
	return o
}

// whenLost are the calls by which a worker finds out what has become of a call
// that another has left behind.
func whenLost(t event.Type, applied bool) string {
	switch {
	case refund(t):
		return ""
	case t.Point():
		return "push find" // with the same uuid; the answer to a repeat proves nothing by itself
	case t == event.OrderUpdated:
		return "push" // the newest update once more
	case t == event.OrderDeleted && applied:
		return "find find" // not there, which at first may be since it isn't shown yet
	case applied:
		return "find"
	case t == event.OrderCreated, t == event.OrderDeleted:
		return "find find push" // absent, and still absent when the call can't arrive any more
	}
	return "find push" // a cancel: absent, and once more when the first can't arrive any more
}

// whenUnclear are the calls that follow an answer from which nothing can be
// told, once the call can't arrive any more.
func whenUnclear(t event.Type, applied bool) string {
	switch {
	case (t == event.OrderCreated || t == event.OrderDeleted) && !applied:
		return "find push" // absent for good
	case t == event.OrderDeleted:
		return "find" // the order isn't there any more
	case t == event.OrderCancelled:
		return "push"
	}
	return whenLost(t, applied)
}
