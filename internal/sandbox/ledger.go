package sandbox

import (
	"slices"
	"strconv"
	"time"

	"github.com/shopspring/decimal"
)

// Effect is one change of what the vendor holds. The list only grows, in the
// order in which the effects took place.
type Effect struct {
	Seq     int64           `json:"seq"`
	Call    int64           `json:"call"` // Seq of the call that caused it
	Time    time.Time       `json:"time"`
	Account string          `json:"account"` // app id
	Store   string          `json:"store"`
	Op      string          `json:"op"`
	Key     string          `json:"key"` // what orders calls: the order number, or for points the member id
	UUID    string          `json:"uuid,omitempty"`
	Member  int64           `json:"member,omitempty"`
	Points  int64           `json:"points,omitempty"` // signed, as applied
	Amount  decimal.Decimal `json:"amount"`           // signed change of the order's amountPaid (create, update) or refunded sum
	Ref     string          `json:"ref,omitempty"`    // the vendor's id of the deal, refund, point row or member
	Repeat  bool            `json:"repeat,omitempty"` // set what was already there: an update or cancel once more
	Request string          `json:"request"`          // SHA-256 of the request's body, hex
}

// Call is one request that arrived, whether or not it had an effect.
type Call struct {
	Seq        int64     `json:"seq"`
	Time       time.Time `json:"time"`
	Account    string    `json:"account,omitempty"` // app id; empty while the token is unknown
	Op         string    `json:"op"`
	Key        string    `json:"key,omitempty"`
	UUID       string    `json:"uuid,omitempty"`
	Member     int64     `json:"member,omitempty"`
	Status     int       `json:"status"`            // HTTP status; 0 = none sent (yet)
	Code       string    `json:"code,omitempty"`    // error code of the reply, if it was refused
	Fault      Fault     `json:"fault,omitempty"`   // injected
	Applied    bool      `json:"applied"`           // it had an effect
	Done       bool      `json:"done"`              // nothing more will come of it
	Redirected bool      `json:"redirected"`        // the client followed a redirect fault
	Request    string    `json:"request,omitempty"` // SHA-256 of the body, hex
}

// Kinds of [Violation].
const (
	Overlap            = "overlap"              // a second write for one order or one member's points while the first was under way
	RefundBeforeCreate = "refund_before_create" // a refund of an order that isn't there yet
	UnknownOrder       = "unknown_order"        // another write to an order that isn't there yet
	AfterDelete        = "after_delete"         // a write to a deleted order
	CreatedTwice       = "created_twice"        // a create took effect on an order that was there
	OverRefund         = "over_refund"          // more refunded than paid
	MemberMismatch     = "member_mismatch"      // a write names another member than the order has
	UUIDAppliedTwice   = "uuid_applied_twice"   // points granted or taken twice for one uuid
	FollowedRedirect   = "followed_redirect"    // the client followed a redirect
	UnknownPath        = "unknown_path"         // no such endpoint
)

// Violation is something that a careful client never does.
type Violation struct {
	Kind  string    `json:"kind"`
	Call  int64     `json:"call"`
	Other int64     `json:"other,omitempty"` // overlap: the call that was under way
	Time  time.Time `json:"time"`
	Op    string    `json:"op"`
	Key   string    `json:"key,omitempty"`
}

type laneID struct{ store, kind, key string }

type lane struct {
	active int
	last   int64 // the newest call that entered
}

// ledger is guarded by the sandbox's mutex.
type ledger struct {
	keep       int
	calls      []Call // a ring once keep calls are there: call n stands at (n-1) mod keep
	effects    []Effect
	violations []Violation
	lanes      map[laneID]*lane // those with a call under way
	seq        int64
	active     int
	maxActive  int
	maxLane    int
	laneMax    map[laneID]int // where it exceeded 1
	totals     Totals
	tokens     map[string]int
}

func newLedger(keep int) *ledger {
	return &ledger{
		keep: keep, lanes: map[laneID]*lane{}, laneMax: map[laneID]int{}, tokens: map[string]int{},
		totals: Totals{ByOp: map[string]OpTotals{}, Violations: map[string]int{}},
	}
}

// arrive writes the call down and enters its lane.
func (l *ledger) arrive(c *call, account string) {
	l.seq++
	c.seq = l.seq
	e := Call{
		Seq: c.seq, Time: c.now, Account: account, Op: c.op, Key: c.key, UUID: c.uuid,
		Member: c.member, Fault: c.hit.fault, Request: c.hash,
	}
	if l.keep > 0 && len(l.calls) == l.keep {
		l.calls[(c.seq-1)%int64(l.keep)] = e
	} else {
		l.calls = append(l.calls, e)
	}
	l.active++
	l.maxActive = max(l.maxActive, l.active)
	t := l.totals.ByOp[c.op]
	t.Calls++
	if c.hit.fault != "" {
		t.Faults++
	}
	l.totals.ByOp[c.op] = t
	if kind := laneKind(c.op); kind != "" && c.key != "" && c.store != nil {
		l.enter(c, laneID{c.store.name, kind, c.key})
	}
}

func (l *ledger) enter(c *call, id laneID) {
	c.lane = id
	n := l.lanes[id]
	if n == nil {
		n = &lane{}
		l.lanes[id] = n
	}
	n.active++
	if n.active > 1 {
		l.violate(c, Overlap, n.last)
		l.laneMax[id] = max(l.laneMax[id], n.active)
	}
	n.last = c.seq
	l.maxLane = max(l.maxLane, n.active)
}

// leave ends the call for the client: it has its reply, or has given up. done
// says that no effect can come any more.
func (l *ledger) leave(c *call, status int, done bool) {
	l.active--
	if n := l.lanes[c.lane]; n != nil {
		if n.active--; n.active == 0 {
			delete(l.lanes, c.lane)
		}
	}
	if e := l.call(c.seq); e != nil {
		e.Status, e.Done = status, done
	}
}

// call returns the entry of a call, or nil if newer ones took its place.
func (l *ledger) call(seq int64) *Call {
	i := seq - 1
	if l.keep > 0 {
		i %= int64(l.keep)
	}
	if i < 0 || i >= int64(len(l.calls)) || l.calls[i].Seq != seq {
		return nil
	}
	return &l.calls[i]
}

func (l *ledger) effect(c *call, e Effect) {
	e.Seq = int64(len(l.effects)) + 1
	e.Call, e.Time, e.Account, e.Store = c.seq, c.now, c.account, c.store.name
	e.Op, e.Key, e.UUID, e.Request = c.op, c.key, c.uuid, c.hash
	l.effects = append(l.effects, e)
	c.effects++
	l.totals.add(e)
}

func (l *ledger) violate(c *call, kind string, other int64) {
	l.violations = append(l.violations, Violation{
		Kind: kind, Call: c.seq, Other: other, Time: c.now, Op: c.op, Key: c.key,
	})
	l.totals.Violations[kind]++
}

// Effects returns all effects in the order in which they took place.
func (s *Sandbox) Effects() []Effect {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ledger.effects)
}

// EffectsOf returns the effects with this order number, member id or uuid.
func (s *Sandbox) EffectsOf(key string) []Effect {
	s.mu.Lock()
	defer s.mu.Unlock()
	var found []Effect
	for _, e := range s.ledger.effects {
		if e.Key == key || e.UUID == key || (e.Member != 0 && strconv.FormatInt(e.Member, 10) == key) {
			found = append(found, e)
		}
	}
	return found
}

// Calls returns the calls that are kept, oldest first.
func (s *Sandbox) Calls() []Call {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.ledger
	if l.keep == 0 || len(l.calls) < l.keep {
		return slices.Clone(l.calls)
	}
	oldest := l.seq % int64(l.keep)
	return slices.Concat(l.calls[oldest:], l.calls[:oldest])
}

// CallsOf returns the kept calls with this order number, member id or uuid.
func (s *Sandbox) CallsOf(key string) []Call {
	var found []Call
	for _, c := range s.Calls() {
		if c.Key == key || c.UUID == key || (c.Member != 0 && strconv.FormatInt(c.Member, 10) == key) {
			found = append(found, c)
		}
	}
	return found
}

// Violations returns what a careful client wouldn't have done, in order.
func (s *Sandbox) Violations() []Violation {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.ledger.violations)
}
