package outbox

import (
	"fmt"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"syncworker/internal/event"
)

// Action is what a person may do about a delivery.
type Action string

// The actions. The last three answer a delivery that is held.
const (
	Replay     Action = "replay"      // what is dead, and was never unclear, is tried again
	Cancel     Action = "cancel"      // it isn't to be sent
	Applied    Action = "applied"     // the effect exists
	NotApplied Action = "not_applied" // it doesn't, and isn't to be sent
	SendAgain  Action = "send_again"  // it is sent, again or although something spoke against it
)

// Reasons that a person's decision gives.
const (
	ReasonCancelledByPerson    = "cancelled_by_person"
	ReasonNotAppliedByPerson   = "not_applied_by_person"
	ReasonPredecessorCancelled = "predecessor_cancelled"
	ReasonRouted               = "routed" // cancelled: an unrouted delivery that has got accounts
)

// Decision is what a person has decided about some deliveries, and why.
type Decision struct {
	Action    Action
	Actor     string // "user@host"
	Why       string
	Evidence  string // for Applied: how they know that the effect exists
	VendorRef string // for Applied, may be empty
	// PointsApplied is, for Applied, how many points the vendor shows; nil stands
	// for those of the event.
	PointsApplied *int64
	// Accounts are those of the configuration: nothing is sent to any other.
	Accounts []string
	// Route names the accounts of an event that no route took when it came.
	Route func(t event.Type, tenant string) []string
	// Blocks is Batch.Blocks, for what is routed.
	Blocks func(account string, t event.Type) bool
}

// Standing is a delivery as a decision sees it.
type Standing struct {
	Delivery
	Owner      *Token // nil: at rest
	Tenant     string
	LaneTenant string // whose order it is at the account, should two tenants share a number
	OrderNo    string
	Amount     decimal.NullDecimal
	Points     int64 // 0: no points, or past its retention
	DecrToZero bool
}

const person Token = 0

// Refuses says why the decision can't be carried out on a delivery, with the
// command that fits; empty where it can.
func (dec *Decision) Refuses(s *Standing) string {
	switch dec.Action {
	case Replay:
		return dec.refusesReplay(s)
	case Cancel:
		return refusesCancel(s)
	}
	return dec.refusesResolve(s)
}

// passed says what is done about deliveries that need nothing from a person.
func passed(s *Standing) string {
	switch s.State {
	case Delivered:
		return "is delivered: nothing to do"
	case Cancelled:
		return "is cancelled (" + s.Reason + "): to have the effect, publish a new event"
	case Inflight:
		return "its call is under way: wait for the answer"
	case Unknown:
		return fmt.Sprintf("the effect of its call is being found out: syncworker deliveries show %d", s.ID)
	case Pending:
		return "is still to be called: wait"
	case Waiting:
		return fmt.Sprintf("waits (%s): syncworker deliveries show %d", s.Reason, s.ID)
	}
	return ""
}

func (dec *Decision) refusesReplay(s *Standing) string {
	switch {
	case s.State == Held:
		return fmt.Sprintf("is held (%s) and needs a decision: syncworker deliveries resolve %d", s.Reason, s.ID)
	case s.State != Dead:
		return passed(s)
	case s.EverAmbiguous:
		return fmt.Sprintf("a call of it got no clear answer before it was found to have no effect; to send it once more: "+
			"syncworker deliveries resolve %d --send-again", s.ID)
	case s.keyTaken():
		return keyTaken
	}
	return dec.refusesAccount(s)
}

const keyTaken = "another tenant has this key at the account: syncworker conflicts list"

// keyTaken reports whether another tenant's delivery has the key that this one
// would have at the vendor, whatever has been decided about it since.
func (s *Standing) keyTaken() bool {
	switch {
	case s.Account == "":
		return false
	case s.Type.Keyed():
		return s.VendorKey == ""
	}
	return s.Type.Order() && s.LaneTenant != s.Tenant
}

func refusesCancel(s *Standing) string {
	switch {
	case s.State == Pending && s.Ambiguous:
		return fmt.Sprintf("the effect of its last call isn't known and it is being repeated: syncworker deliveries show %d", s.ID)
	case s.State == Pending, s.State == Waiting, s.State == Held, s.State == Dead:
		return ""
	case s.State == Cancelled:
		return "is cancelled already (" + s.Reason + ")"
	}
	return passed(s)
}

func (dec *Decision) refusesResolve(s *Standing) string {
	switch {
	case s.State == Dead && !s.EverAmbiguous:
		return fmt.Sprintf("was refused and has no effect: syncworker deliveries replay %d", s.ID)
	case s.State != Held && s.State != Dead:
		return passed(s)
	case dec.Action == Applied:
		return dec.refusesPoints(s)
	case dec.Action != SendAgain:
		return ""
	case s.keyTaken():
		return keyTaken
	case s.Account == "" && (dec.Route == nil || len(dec.Route(s.Type, s.Tenant)) == 0):
		return fmt.Sprintf("no route takes %s of tenant %s: add one to routes in the configuration", s.Type, s.Tenant)
	case s.Account == "":
		return ""
	}
	return dec.refusesAccount(s)
}

// refusesPoints wants to know how many points there are where the event leaves
// it open.
func (dec *Decision) refusesPoints(s *Standing) string {
	said := dec.PointsApplied
	switch {
	case said != nil && !s.Type.Point():
		return "has no points: leave --points-applied out"
	case said != nil && s.Points > 0 && (*said > s.Points || *said < s.Points && !s.DecrToZero):
		return fmt.Sprintf("is about %d points, and %d can't be what was applied of it", s.Points, *said)
	case said == nil && s.DecrToZero && s.Delivery.PointsApplied == nil:
		return fmt.Sprintf("takes at most the balance: say with --points-applied how many of %d points were taken", s.Points)
	}
	return ""
}

func (dec *Decision) refusesAccount(s *Standing) string {
	if !slices.Contains(dec.Accounts, s.Account) {
		return fmt.Sprintf("the configuration has no account %q any more: add it to vendors, or cancel", s.Account)
	}
	return ""
}

// Change returns the delivery as the decision leaves it, and who holds it then.
// The times that the change itself sets are the database's.
func (dec *Decision) Change(s *Standing) (Delivery, *Token) {
	d, owner := s.Delivery, person
	switch dec.Action {
	case Cancel:
		d.State, d.Reason = Cancelled, ReasonCancelledByPerson
	case Applied:
		d.State, d.Reason, d.Ambiguous = Delivered, "", false
		if dec.VendorRef != "" {
			d.VendorRef = dec.VendorRef
		}
		switch {
		case dec.PointsApplied != nil:
			d.PointsApplied = dec.PointsApplied
		case d.PointsApplied == nil && s.Points > 0:
			d.PointsApplied = &s.Points
		}
	case NotApplied:
		d.State, d.Reason, d.Ambiguous = Dead, ReasonNotAppliedByPerson, false
	case Replay:
		d.State, d.Reason, d.Attempts = Pending, "", 0
		return d, nil
	case SendAgain:
		d.State, d.Reason, d.Attempts, d.Ambiguous = Pending, ReasonSentByPerson, 0, false
		d.FirstSentAt, d.QuietUntil = time.Time{}, time.Time{}
		return d, nil
	}
	return d, &owner
}

// NextCommands are what a person can do about a delivery now.
func NextCommands(s *Standing) []string {
	id := fmt.Sprint(s.ID)
	resolve := "syncworker deliveries resolve " + id
	cancel := "syncworker deliveries cancel " + id
	decisions := []string{
		resolve + " --applied --evidence TEXT   # the effect exists at the vendor",
		resolve + " --not-applied               # it doesn't",
		resolve + " --send-again                # send it once more",
	}
	switch {
	case s.State == Held && s.Reason == ReasonVendorKey:
		return append(decisions[:2:2], cancel, "syncworker conflicts list")
	case s.State == Held, s.State == Dead && s.EverAmbiguous:
		return append(decisions, cancel)
	case s.State == Dead:
		return []string{"syncworker deliveries replay " + id, cancel}
	case refusesCancel(s) == "":
		return []string{cancel}
	}
	return nil
}
