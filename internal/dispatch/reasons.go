package dispatch

import (
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// Why a delivery is where it is, beside the reasons of package outbox. They are
// shown to people and filtered by; docs/states.md explains each.
const (
	// waiting
	PredecessorMissing = "predecessor_missing"
	PredecessorUnknown = "predecessor_unknown"
	PredecessorHeld    = "predecessor_held"
	PredecessorDead    = "predecessor_dead"

	// pending, to be tried again
	Early       = "early"        // refused, but what it needs may still be on its way
	NoAnswer    = "no_answer"    // nobody answered; also unknown
	NotReached  = "not_reached"  // nothing was sent
	ThrottledBy = "throttled"    // the vendor asks for patience
	DeniedBy    = "denied"       // the vendor refuses the token or the account
	ProvenGone  = "proven_gone"  // a read has shown that the unclear call had no effect
	KeySpent    = "key_spent"    // the same, and the vendor has used up the key: a new one
	RepeatAgain = "repeat_again" // refused after an unclear answer; it sets a state, so it's repeated

	// unknown
	EchoUnproven        = "echo_unproven"         // the vendor echoed a key that was used before
	DuplicateReported   = "duplicate_reported"    // the vendor says that it has it
	RefusedAfterUnclear = "refused_after_unclear" // refused, but an earlier call may have taken effect
	AmountUnread        = "amount_unread"         // it took effect; how much has to be read

	// held
	Unclear          = outbox.ReasonUnclear // the answer was unclear and no document says how to find out
	Mismatch         = "mismatch"           // a read shows something else than what was sent
	ReadWindowPassed = "read_window_passed" // too old for the vendor's reads
	GaveUp           = "gave_up"            // attempts and time are used up; also dead
	UnseenOrder      = "unseen_order"
	UnseenRefund     = "unseen_refund"
	Superseded       = "superseded" // an update that is older than one already delivered
	SeveralRefunds   = "several_refunds"
	MemberNotFound   = vendors.HoldMember
	Unwritable       = "unwritable"            // the database refused what was to be written about it
	Unsupported      = vendors.HoldUnsupported // the account has no operation for this type

	// dead
	Refused = "refused"

	// cancelled
	PredecessorCancelled = "predecessor_cancelled"
)
