// Package failpoint names the steps at which a process can die, so that tests
// make it die there. In a binary that is built without the tag "failpoints" all
// of it is empty and costs nothing.
//
// A binary that is built with it reads SYNCWORKER_FAILPOINTS when it starts:
//
//	sent/order.refunded=kill@1;acked=stop@3;settling=error%0.01
//
// Each rule is a point, the detail that it wants (none: any), what happens, and
// when: at the n-th hit that fits (@n, 1 where it isn't said) or at a share of
// them (%share), drawn from SYNCWORKER_FAILPOINT_SEED. kill is a SIGKILL to
// itself, stop a SIGSTOP, after which somebody has to send SIGCONT, and error is
// what Hit returns. Each that happens is a line on stderr.
package failpoint

// Point is a step at which a process can die.
type Point string

// The points in the order in which an event meets them. Their detail is the
// type of the event, unless it says something else.
const (
	Fetched         Point = "fetched"          // taken from the stream and decoded, nothing written
	InboxCommitting Point = "inbox_committing" // inside the enqueue's transaction, all of it written
	InboxCommitted  Point = "inbox_committed"  // committed, not acknowledged; error: the answer was lost
	Acked           Point = "acked"            // acknowledged
	Claimed         Point = "claimed"          // taken from rest, and that is committed; error: the answer was lost
	Intended        Point = "intended"         // the intent is committed, the call hasn't begun; error: it may not be sent
	Sending         Point = "sending"          // half of the request's body is out; a read has no detail
	Sent            Point = "sent"             // the request is written, nothing is read; a read has no detail
	Answered        Point = "answered"         // the answer is in memory and nowhere else; no error
	Settling        Point = "settling"         // the transaction that records the answer is about to be sent
	Recorded        Point = "recorded"         // that is committed; error: the answer was lost
	Draining        Point = "draining"         // told to stop, calls are under way; no detail, no error
	Migrating       Point = "migrating"        // between two migrations; no detail
	Token           Point = "token"            // fetched from the vendor, not stored; the detail is the account
	Replaying       Point = "replaying"        // inside a person's decision, all of it written; the detail is the action
	Replayed        Point = "replayed"         // that is committed; the detail is the action
)
