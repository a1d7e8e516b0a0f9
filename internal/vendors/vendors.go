// Package vendors says what a loyalty vendor is to us: one small interface, the
// classes that a call can end in, and the facts about each operation that decide
// what may be done when we don't know whether a call took effect.
//
// A vendor is one package below this one. It knows nothing of the outbox.
package vendors

import (
	"context"
	"time"

	"syncworker/internal/event"
)

// Class is how a call to a vendor ended. What follows from each is decided in
// package dispatch; ARCHITECTURE.md ("Outcomes") has the table.
type Class string

const (
	// Applied is a positive match: the reply echoes what was asked.
	Applied Class = "applied"
	// AlreadyApplied means that the vendor says it has it already.
	AlreadyApplied Class = "already_applied"
	// Refused is a definite business error of this very call.
	Refused Class = "refused"
	// NotSent means that no byte of the write left: dial, TLS or DNS failed, the
	// lease ran out first, or a read that has to come before the write failed.
	NotSent Class = "not_sent"
	// Throttled is a 429 or a documented quota code.
	Throttled Class = "throttled"
	// Denied is a 401, a 403 or the gateway's token error, after one refresh.
	Denied Class = "denied"
	// Ambiguous is everything else after bytes were sent.
	Ambiguous Class = "ambiguous"
)

// Vendor is one configured account at a vendor. Its methods are safe for
// concurrent use and take at most twice the account's timeout, fetching a token
// included.
type Vendor interface {
	// Operation returns the facts about the operation that gives an event of
	// this type its effect; false where the vendor has none for it.
	Operation(event.Type) (Operation, bool)
	// Push makes the one write that gives the event its effect. It never
	// returns a bare error: whatever happened is a Result with a class.
	Push(ctx context.Context, call Call) Result
}

// Preparer does beforehand what a push needs that isn't the write itself, so that
// a worker that dies over it leaves no call that may have been made. Asserted
// once, at start.
type Preparer interface {
	// Ready makes sure that there is a token with time left. Applied means that
	// there is, and costs nothing where there was; every other class is why not.
	// Push fetches one all the same where the gateway refuses it.
	Ready(ctx context.Context) Result
	// IsReady reports whether Ready would find all that a push needs, without
	// asking anybody or waiting for it.
	IsReady() bool
}

// Finder reads back whether a write took effect. Asserted once, at start.
type Finder interface {
	Find(ctx context.Context, call Call) Finding
}

// MemberFinder looks up the vendor's own id of a member. Asserted once, at start.
type MemberFinder interface {
	// FindMember returns the vendor's member id. Where it can't, id is empty
	// and the Result says why: Refused with the vendor's code means that there
	// is no such member; every other class means that the read failed.
	FindMember(ctx context.Context, m event.Member) (id string, r Result)
}

// Marker reads, before a write that no key names, what the vendor has already, so
// that Find can tell this write's effect from what was there before. Asserted once,
// at start.
type Marker interface {
	// Mark returns what was there, in a form that only Find understands: 1 to
	// MarkLimit bytes. Applied means that it was read; every other class is why
	// the write can't be made yet.
	Mark(ctx context.Context, call Call) (mark string, r Result)
}

// MarkLimit bounds what Marker returns, in bytes.
const MarkLimit = 16 << 10

// Checker proves that an account works: it fetches a token and makes a harmless
// read. Asserted once, at start.
type Checker interface {
	Check(ctx context.Context) Result
}

// Repeat says when a write may be sent again after an unclear answer.
type Repeat int

const (
	// RepeatNever: nothing keeps a repeat from taking effect twice.
	RepeatNever Repeat = iota
	// RepeatWindow: the vendor recognizes the key for Operation.Window.
	RepeatWindow
	// RepeatAlways: the write sets a state, so that repeating it changes nothing.
	RepeatAlways
)

// Operation is what is known about one write of one account, including what its
// configuration says of what the documents leave open (semantics).
type Operation struct {
	Name   string // method and path template, for logs and attempts: "POST /loyalty/v1/deal"
	Repeat Repeat
	Window time.Duration // how long the vendor recognizes the key, for RepeatWindow

	// NeedsMember: the write needs the vendor's member id.
	NeedsMember bool
	// NeedsMark: Find can only tell this write's effect by what was there before
	// it, which Marker reads.
	NeedsMark bool
	// Findable: Find can say whether the effect exists.
	Findable bool
	// FindElsewhere: Find goes through another account, whose pause, limits and
	// circuit are the ones that count. It needs no member.
	FindElsewhere bool
	// FindWindow is how far back a read can see.
	FindWindow time.Duration
	// EchoProves: an echo proves the effect even if an earlier call with the
	// same key may have reached the vendor. It doesn't where a duplicate of a
	// refused call would be echoed too.
	EchoProves bool
	// DuplicateProves: AlreadyApplied after an unclear answer of our own means
	// that the earlier call took effect, without a read.
	DuplicateProves bool
	// RefusalSpendsKey: a refused call may have used its key up, so that what a read
	// proves absent is sent again under a further one (FurtherKey). Elsewhere it is
	// sent under its own, or held where the vendor says that it has it.
	RefusalSpendsKey bool
	// AmountByRead: the reply doesn't say how much was applied (decrToZero).
	AmountByRead bool
	// Blocks: while the effect of this write is unclear or a person has to
	// decide, the rest of its lane waits.
	Blocks bool
}

// Call is what a vendor needs to give one event its effect, or to find it.
type Call struct {
	Event *event.Event
	// Member is the vendor's member id as digits, empty where unknown.
	Member string
	// Key is the vendor key of a point event: its uuid, or, with RefusalSpendsKey, the
	// one minted after the first was used up. What a coupon's event is about is Event.Key.
	Key string
	// Mark is what Marker has read before the write; empty where the operation
	// needs none.
	Mark string
	// FirstSentAt is when a byte of this delivery may first have left, zero
	// before the first call.
	FirstSentAt time.Time
	// Others, of an operation with a Mark that is read, are the vendor's references of
	// what else has taken effect in the lane: a read that lagged may have hidden them
	// from the mark, and they aren't this one's effect.
	Others []string
	// MayBeUpdated, of a create that is read: an update of the order may have taken
	// effect too, so that its amount isn't the create's.
	MayBeUpdated bool
	// MayBeRefunded, of a refund that is read: another refund of the order has taken
	// effect or may have, so that its state isn't this one's.
	MayBeRefunded bool
	// MaySend is asked right before the bytes go out; an error (the lease has
	// run out) ends the call as NotSent and Withheld. Nil means yes.
	MaySend func() error
}

// Result is how one call ended, and the evidence for it. Request and Reply have
// been stripped of secrets.
type Result struct {
	Class Class
	// Early: a refusal that may only mean that another event is still on its way.
	Early bool
	// Hold, for a NotSent or Refused that a person has to decide on instead of
	// a retry, is a delivery's hold reason such as "member_not_found".
	Hold string
	// Proven, for an AlreadyApplied: nobody but this event can have had that effect,
	// so that no read is needed.
	Proven bool
	// Withheld, for a NotSent that MaySend has stopped: the vendor wasn't asked,
	// and nothing is known of whether it would have answered.
	Withheld bool

	Status     int    // HTTP status; 0 where no reply came
	Code       string // the vendor's code as text; empty where none
	Message    string // the vendor's message, or what went wrong on our side
	RetryAfter time.Duration
	Receipt    Receipt
	// Calls is, of a look-up or a read, how many calls it took: several pages or
	// identities, or none where the answer was known.
	Calls int

	Method    string
	Path      string // path and query without any secret
	Request   []byte
	Reply     []byte // at most ReplyLimit bytes
	StartedAt time.Time
	Duration  time.Duration
}

// Receipt is the vendor's proof that the effect exists.
type Receipt struct {
	Ref string // the vendor's own reference, such as the deal's id or the code of a drawn coupon; may be empty
	// Points is what the vendor says was applied to the balance; nil where it
	// doesn't say.
	Points *int64
	// Member is the vendor's member id where the reply names it.
	Member string
}

// Found is what a read says about an effect.
type Found string

const (
	Present     Found = "present"     // the effect exists
	Absent      Found = "absent"      // the vendor has no trace of it, now
	Unclear     Found = "unclear"     // several candidates, or something that doesn't match
	Unavailable Found = "unavailable" // the read itself failed
)

// Finding is the answer of a read, with the call that gave it as evidence.
type Finding struct {
	Found  Found
	Result Result // Receipt is set where Found is Present
	Detail string // what doesn't match, for Unclear
}

// ReplyLimit is how much of a reply is read and kept, in bytes.
const ReplyLimit = 64 << 10

// Token is an access token of an account. Generation grows with each refresh.
type Token struct {
	Value      string
	Generation int64
	ExpiresAt  time.Time
}

// String keeps a token out of logs.
func (Token) String() string { return "token(…)" }

// TokenSource shares one token per account among all workers, since fetching a
// new one makes the old one invalid. An error of fetch comes back wrapped or as
// it is: a *TokenError in it says how the call ended.
type TokenSource interface {
	// Token returns the current token, fetching one where there is none or it
	// is about to expire.
	Token(ctx context.Context, fetch FetchToken) (Token, error)
	// Has reports whether Token would return one without asking anybody. It
	// doesn't wait.
	Has() bool
	// Refresh replaces the token that the gateway refused. It fetches only
	// where the stored generation is still the one that was used.
	Refresh(ctx context.Context, used int64, fetch FetchToken) (Token, error)
}

// FetchToken asks the vendor for a new token, with its lifetime.
type FetchToken func(ctx context.Context) (value string, lifetime time.Duration, err error)
