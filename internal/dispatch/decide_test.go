package dispatch

import (
	"cmp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors"
)

// afterPush is what a delivery comes to by the operation, what was before and
// the answer: the first column is one of variants, the second a history.
const afterPush = `
operation            before   applied                already applied             refused                        refused, perhaps early         ambiguous
points               clean    delivered              unknown:duplicate_reported  dead:refused                   pending:early                  pending:no_answer
points               keyused  unknown:echo_unproven  unknown:duplicate_reported  dead:refused                   pending:early                  pending:no_answer
points               unclear  unknown:echo_unproven  unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  pending:no_answer
points               late     unknown:echo_unproven  unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  unknown:no_answer
points-untraced      clean    delivered              held:duplicate_reported     dead:refused                   pending:early                  pending:no_answer
points-untraced      unclear  held:echo_unproven     held:duplicate_reported     held:refused_after_unclear     held:refused_after_unclear     pending:no_answer
points-untraced      late     held:echo_unproven     held:duplicate_reported     held:refused_after_unclear     held:refused_after_unclear     held:unclear
points-refusing      clean    delivered              unknown:duplicate_reported  dead:refused                   pending:early                  pending:no_answer
points-refusing      unclear  delivered              unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  pending:no_answer
points-refusing      late     delivered              unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  unknown:no_answer
to-zero              clean    unknown:amount_unread  unknown:duplicate_reported  dead:refused                   pending:early                  pending:no_answer
to-zero              keyused  unknown:echo_unproven  unknown:duplicate_reported  dead:refused                   pending:early                  pending:no_answer
to-zero              unclear  unknown:echo_unproven  unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  pending:no_answer
to-zero              late     unknown:echo_unproven  unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  unknown:no_answer
create               clean    delivered              held:duplicate_reported     dead:refused                   pending:early                  held:unclear
create               keyused  delivered              held:duplicate_reported     dead:refused                   pending:early                  held:unclear
create               unclear  delivered              held:duplicate_reported     held:refused_after_unclear     held:refused_after_unclear     held:unclear
create-read          clean    delivered              unknown:duplicate_reported  dead:refused                   pending:early                  unknown:no_answer
create-read          unclear  delivered              unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  unknown:no_answer
create-replaced      clean    delivered              held:duplicate_reported     dead:refused                   pending:early                  pending:no_answer
create-replaced      unclear  delivered              held:duplicate_reported     held:refused_after_unclear     held:refused_after_unclear     pending:no_answer
create-refused       clean    delivered              held:duplicate_reported     dead:refused                   pending:early                  pending:no_answer
create-refused       unclear  delivered              delivered                   held:refused_after_unclear     held:refused_after_unclear     pending:no_answer
update               clean    delivered              held:duplicate_reported     dead:refused                   pending:early                  pending:no_answer
update               unclear  delivered              held:duplicate_reported     pending:repeat_again           pending:repeat_again           pending:no_answer
cancel               clean    delivered              held:duplicate_reported     dead:refused                   pending:early                  pending:no_answer
cancel               unclear  delivered              held:duplicate_reported     held:refused_after_unclear     held:refused_after_unclear     pending:no_answer
cancel-read          clean    delivered              unknown:duplicate_reported  dead:refused                   pending:early                  unknown:no_answer
cancel-read          unclear  delivered              unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  unknown:no_answer
delete               clean    delivered              held:duplicate_reported     dead:refused                   pending:early                  pending:no_answer
delete               unclear  delivered              held:duplicate_reported     held:refused_after_unclear     held:refused_after_unclear     pending:no_answer
delete-read          clean    delivered              unknown:duplicate_reported  dead:refused                   pending:early                  unknown:no_answer
delete-read          unclear  delivered              unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  unknown:no_answer
refund               clean    delivered              held:duplicate_reported     dead:refused                   pending:early                  held:unclear
refund               keyused  delivered              held:duplicate_reported     dead:refused                   pending:early                  held:unclear
refund               unclear  delivered              held:duplicate_reported     held:refused_after_unclear     held:refused_after_unclear     held:unclear
refund-deleted       clean    delivered              held:duplicate_reported     dead:refused                   pending:early                  held:unclear
refund-deleted       unclear  delivered              held:duplicate_reported     held:refused_after_unclear     held:refused_after_unclear     held:unclear
register             clean    delivered              unknown:duplicate_reported  dead:refused                   pending:early                  unknown:no_answer
register             unclear  delivered              unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  unknown:no_answer
member               clean    delivered              held:duplicate_reported     dead:refused                   pending:early                  pending:no_answer
member               unclear  delivered              held:duplicate_reported     pending:repeat_again           pending:repeat_again           pending:no_answer
bind                 clean    delivered              unknown:duplicate_reported  dead:refused                   pending:early                  unknown:no_answer
bind                 unclear  delivered              unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  unknown:no_answer
unbind               clean    delivered              unknown:duplicate_reported  dead:refused                   pending:early                  unknown:no_answer
unbind               unclear  delivered              unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  unknown:no_answer
mobile               clean    delivered              unknown:duplicate_reported  dead:refused                   pending:early                  unknown:no_answer
mobile               unclear  delivered              unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  unknown:no_answer
draw                 clean    delivered              unknown:duplicate_reported  dead:refused                   pending:early                  unknown:no_answer
draw                 unclear  delivered              unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  unknown:no_answer
redeem               clean    delivered              unknown:duplicate_reported  dead:refused                   pending:early                  unknown:no_answer
redeem               unclear  delivered              unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  unknown:no_answer
device               clean    delivered              held:duplicate_reported     dead:refused                   pending:early                  pending:no_answer
device               unclear  delivered              held:duplicate_reported     pending:repeat_again           pending:repeat_again           pending:no_answer
deal                 clean    delivered              unknown:duplicate_reported  dead:refused                   pending:early                  unknown:no_answer
deal                 unclear  delivered              unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  unknown:no_answer
deal-update          clean    delivered              held:duplicate_reported     dead:refused                   pending:early                  pending:no_answer
deal-update          unclear  delivered              held:duplicate_reported     pending:repeat_again           pending:repeat_again           pending:no_answer
deal-cancel          clean    delivered              unknown:duplicate_reported  dead:refused                   pending:early                  unknown:no_answer
deal-cancel          unclear  delivered              unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  unknown:no_answer
deal-delete          clean    delivered              unknown:duplicate_reported  dead:refused                   pending:early                  unknown:no_answer
deal-delete          unclear  delivered              unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  unknown:no_answer
deal-refund          clean    delivered              held:duplicate_reported     dead:refused                   pending:early                  held:unclear
deal-refund          unclear  delivered              held:duplicate_reported     held:refused_after_unclear     held:refused_after_unclear     held:unclear
deal-refund-deleted  clean    delivered              held:duplicate_reported     dead:refused                   pending:early                  held:unclear
deal-refund-deleted  unclear  delivered              held:duplicate_reported     held:refused_after_unclear     held:refused_after_unclear     held:unclear
adjust               clean    delivered              unknown:duplicate_reported  dead:refused                   pending:early                  unknown:no_answer
adjust               unclear  delivered              unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  unknown:no_answer
adjust               late     delivered              unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  unknown:no_answer
adjust               keyused  delivered              unknown:duplicate_reported  dead:refused                   pending:early                  unknown:no_answer
level                clean    delivered              unknown:duplicate_reported  dead:refused                   pending:early                  unknown:no_answer
level                unclear  delivered              unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  unknown:no_answer
level-update         clean    delivered              unknown:duplicate_reported  dead:refused                   pending:early                  unknown:no_answer
level-update         unclear  delivered              unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  unknown:no_answer
level-delete         clean    delivered              unknown:duplicate_reported  dead:refused                   pending:early                  unknown:no_answer
level-delete         unclear  delivered              unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  unknown:no_answer
code                 clean    delivered              unknown:duplicate_reported  dead:refused                   pending:early                  pending:no_answer
code                 unclear  delivered              unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  pending:no_answer
code                 late     delivered              unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  pending:no_answer
code-use             clean    delivered              unknown:duplicate_reported  dead:refused                   pending:early                  unknown:no_answer
code-use             unclear  delivered              unknown:duplicate_reported  unknown:refused_after_unclear  unknown:refused_after_unclear  unknown:no_answer
`

// answers are the columns of afterPush.
var answers = []vendors.Result{
	{Class: vendors.Applied, Method: "POST", Status: 200},
	{Class: vendors.AlreadyApplied, Method: "POST", Status: 200},
	{Class: vendors.Refused, Method: "POST", Status: 200},
	{Class: vendors.Refused, Early: true, Method: "POST", Status: 200},
	{Class: vendors.Ambiguous, Method: "POST"},
}

func TestWhatFollowsFromAnAnswer(t *testing.T) {
	lines := strings.Split(strings.TrimSpace(afterPush), "\n")[1:]
	require.Greater(t, len(lines), 2*len(variants)-1, "each variant is there at least twice")
	for _, line := range lines {
		cells := strings.Fields(line)
		require.Len(t, cells, 2+len(answers), line)
		v, found := variants[cells[0]]
		require.True(t, found, line)
		for i, r := range answers {
			w := v.work(1)
			now := v.history(w, cells[1])
			s := Situation{Operation: v.operation(t), Policy: testPolicy(), Now: now, Jitter: 0.5}
			after := s.AfterPush(w.Delivery, w, r)
			require.Equal(t, cells[2+i], readable(after), "%s, %s: %s (early %t)", cells[0], cells[1], r.Class, r.Early)
		}
	}
}

// An update that was applied late, after the one that followed it, would undo it.
func TestWhatSetsAStateIsRepeatedOnlyOnceItsFirstCallCanNotArriveAnyMore(t *testing.T) {
	for _, name := range []string{"update", "cancel", "delete", "create-replaced"} {
		s, w := situation(t, name, clean)
		after := s.AfterPush(w.Delivery, w, vendors.Result{Class: vendors.Ambiguous, Method: "POST"})
		require.Equal(t, outbox.Pending, after.State, name)
		require.False(t, after.NextAttemptAt.Before(s.Now.Add(s.Policy.QuietPeriod)), name)
	}
	s, w := situation(t, "points", clean)
	after := s.AfterPush(w.Delivery, w, vendors.Result{Class: vendors.Ambiguous, Method: "POST"})
	require.True(t, after.NextAttemptAt.Before(s.Now.Add(s.Policy.QuietPeriod)), "its key keeps a late one from counting")
}

// situation returns a delivery of a variant with a history, and what its
// decision stands on.
func situation(t require.TestingT, name, before string) (Situation, *outbox.Work) {
	v := variants[name]
	w := v.work(1)
	now := v.history(w, before)
	return Situation{Operation: v.operation(t), Policy: testPolicy(), Now: now, Jitter: 0.5}, w
}

func TestWhatTheVendorHasNotTakenCostsLittle(t *testing.T) {
	for name := range variants {
		for _, before := range []string{clean, keyUsed, unclear} {
			for _, x := range []struct {
				class    vendors.Class
				withheld bool
				reason   string
				cost     int
			}{
				{vendors.Throttled, false, ThrottledBy, 0},
				{vendors.Denied, false, DeniedBy, 0},
				{vendors.NotSent, false, NotReached, 1},
				{vendors.NotSent, true, NotReached, 0},
			} {
				s, w := situation(t, name, before)
				class := x.class
				after := s.AfterPush(w.Delivery, w, vendors.Result{Class: class, Withheld: x.withheld, Method: "POST"})
				require.Equal(t, "pending:"+x.reason, readable(after), "%s, %s", name, before)
				require.Equal(t, w.Ambiguous, after.Ambiguous, "%s, %s: %s", name, before, class)
				require.Equal(t, w.EverAmbiguous, after.EverAmbiguous)
				require.Equal(t, w.KeyUsed, after.KeyUsed)
				require.True(t, after.NextAttemptAt.After(s.Now))
				require.Equal(t, w.Attempts+x.cost, after.Attempts, "%s, %s: %s", name, before, class)
				require.Equal(t, before == clean, after.FirstSentAt.IsZero(),
					"the window of a key begins with the first call that the vendor took")
			}
		}
	}
}

func TestAnOutageCostsNoAttempts(t *testing.T) {
	for name := range variants {
		for _, r := range append([]vendors.Result{{Class: vendors.NotSent, Method: "POST"}}, answers...) {
			for _, before := range []string{clean, unclear, late} {
				s, w := situation(t, name, before)
				s.Outage = true
				require.Equal(t, w.Attempts, s.AfterPush(w.Delivery, w, r).Attempts, "%s, %s: %s", name, before, r.Class)
			}
		}
	}
}

func TestRetryAfterIsWaitedFor(t *testing.T) {
	for _, class := range []vendors.Class{vendors.Throttled, vendors.Ambiguous} {
		s, w := situation(t, "points", clean)
		after := s.AfterPush(w.Delivery, w, vendors.Result{Class: class, Method: "POST", RetryAfter: 7 * time.Minute})
		require.Equal(t, s.Now.Add(7*time.Minute), after.NextAttemptAt, class)
	}
}

func TestARefusalIsEarlyForAWhileFromTheFirstOne(t *testing.T) {
	refused := vendors.Result{Class: vendors.Refused, Early: true, Method: "POST"}
	s, w := situation(t, "points", clean)
	for _, x := range []struct {
		name      string
		since     time.Time
		want, why string
	}{
		{"for the first time", time.Time{}, "pending:early", "an hour in the queue has kept the increments waiting as well"},
		{"within the grace", s.Now.Add(-119 * time.Second), "pending:early", ""},
		{"after the grace", s.Now.Add(-2 * time.Minute), "dead:refused", ""},
	} {
		d := w.Delivery
		d.ReceivedAt, d.FirstSentAt, d.EarlySince = s.Now.Add(-time.Hour), s.Now.Add(-time.Minute), x.since
		after := s.AfterPush(d, w, refused)
		require.Equal(t, x.want, readable(after), "%s: %s", x.name, x.why)
		require.Equal(t, cmp.Or(x.since, s.Now), after.EarlySince)
	}
}

// A decrement that will never have its points meets a vendor at which calls get
// lost, so that its keys are used up one after the other.
func TestTheGraceOfARefusalOutlivesItsKey(t *testing.T) {
	refused := vendors.Result{Class: vendors.Refused, Early: true, Method: "POST"}
	s, w := situation(t, "points", clean)
	first, keys := s.Now, map[string]bool{}
	for w.State != outbox.Dead {
		require.True(t, s.Now.Before(first.Add(s.Policy.EarlyGrace+2*s.Policy.QuietPeriod)), "after %d keys", len(keys))
		keys[w.VendorKey] = true
		w.FirstSentAt = cmp.Or(w.FirstSentAt, s.Now)
		w.Delivery = s.AfterPush(w.Delivery, w, refused)
		if w.State == outbox.Dead {
			break
		}
		w.Delivery = s.AfterPush(w.Delivery, w, vendors.Result{Class: vendors.Ambiguous, Method: "POST"})
		w.Delivery = s.AfterPush(w.Delivery, w, refused)
		require.Equal(t, "unknown:"+RefusedAfterUnclear, readable(w.Delivery))
		s.Now = w.QuietUntil
		s.Asked = s.Now
		w.Calls++
		w.Delivery = s.AfterFind(w.Delivery, w, vendors.Finding{Found: vendors.Absent})
		require.Equal(t, "pending:"+KeySpent, readable(w.Delivery))
	}
	require.Len(t, keys, 2)
}

func TestGivingUp(t *testing.T) {
	notSent := vendors.Result{Class: vendors.NotSent, Method: "POST"}
	noAnswer := vendors.Result{Class: vendors.Ambiguous, Method: "POST"}
	for _, x := range []struct {
		name, variant, before string
		attempts              int
		age                   time.Duration
		answer                vendors.Result
		want                  string
	}{
		{"both used up", "points", clean, 20, 72 * time.Hour, notSent, "dead:gave_up"},
		{"the last attempt counts", "points", clean, 19, 72 * time.Hour, notSent, "dead:gave_up"},
		{"attempts left", "points", clean, 18, 72 * time.Hour, notSent, "pending:not_reached"},
		{"time left", "points", clean, 90, 72*time.Hour - 1, notSent, "pending:not_reached"},
		{"unclear, and a read can tell", "points", unclear, 20, 72 * time.Hour, notSent, "unknown:no_answer"},
		{"unclear, and no read can tell", "points-untraced", unclear, 20, 72 * time.Hour, notSent, "held:gave_up"},
		{"an update", "update", unclear, 20, 72 * time.Hour, noAnswer, "held:gave_up"},
		{"an update with time left", "update", unclear, 20, 71 * time.Hour, noAnswer, "pending:no_answer"},
		{"points without an answer", "points", unclear, 20, 72 * time.Hour, noAnswer, "unknown:no_answer"},
	} {
		s, w := situation(t, x.variant, x.before)
		d := w.Delivery
		d.Attempts, d.ReceivedAt = x.attempts, s.Now.Add(-x.age)
		require.Equal(t, x.want, readable(s.AfterPush(d, w, x.answer)), x.name)
	}
}

func TestAPersonsDecisionOutlastsACallThatTheVendorDidNotTake(t *testing.T) {
	for _, class := range []vendors.Class{vendors.Throttled, vendors.Denied, vendors.NotSent} {
		s, w := situation(t, "update", clean)
		w.Reason = outbox.ReasonSentByPerson
		after := s.AfterPush(w.Delivery, w, vendors.Result{Class: class, Method: "POST"})
		require.Equal(t, "pending:sent_by_person", readable(after), class)
	}
}

func TestAMissingMemberIsHeldUnlessACallWasUnclear(t *testing.T) {
	missing := vendors.Result{Class: vendors.NotSent, Hold: MemberNotFound}
	for before, want := range map[string]string{
		clean: "held:member_not_found", keyUsed: "held:member_not_found", unclear: "pending:not_reached",
	} {
		s, w := situation(t, "points", before)
		require.Equal(t, want, readable(s.AfterPush(w.Delivery, w, missing)), before)
	}
	s, w := situation(t, "points", clean)
	gone := vendors.Result{Class: vendors.Refused, Hold: MemberNotFound, Method: "POST"}
	require.Equal(t, "held:member_not_found", readable(s.AfterPush(w.Delivery, w, gone)))
}

func TestWhatWasAppliedIsCounted(t *testing.T) {
	five := int64(5)
	s, w := situation(t, "points", clean)
	after := s.AfterPush(w.Delivery, w, vendors.Result{Class: vendors.Applied, Receipt: vendors.Receipt{Ref: "77"}})
	require.EqualValues(t, 8, *after.PointsApplied)
	require.Equal(t, "77", after.VendorRef)

	s, w = situation(t, "to-zero", clean)
	after = s.AfterPush(w.Delivery, w, vendors.Result{Class: vendors.Applied})
	require.Equal(t, "unknown:amount_unread", readable(after))
	require.Nil(t, after.PointsApplied, "the reply doesn't say how much was left to take")
	found := vendors.Finding{Found: vendors.Present, Result: vendors.Result{Receipt: vendors.Receipt{Points: &five}}}
	after = s.AfterFind(after, w, found)
	require.Equal(t, "delivered", readable(after))
	require.EqualValues(t, 5, *after.PointsApplied)
}

// A repeat was refused for a member whom nobody knows: what a person has to look at
// isn't lost on the way.
func TestWhatWasRefusedAfterAnUnclearCallIsHeardOnceMore(t *testing.T) {
	stranger := vendors.Result{Class: vendors.Refused, Code: "210", Hold: "member_not_found"}
	s, w := situation(t, "create-read", unclear)
	w.Delivery = s.AfterPush(w.Delivery, w, stranger)
	require.Equal(t, "unknown:"+RefusedAfterUnclear, readable(w.Delivery))
	s.Now = w.QuietUntil
	w.Delivery = s.AfterFind(w.Delivery, w, vendors.Finding{Found: vendors.Absent})
	require.Equal(t, "pending:"+ProvenGone, readable(w.Delivery))
	require.False(t, w.Ambiguous)
	require.Equal(t, "held:member_not_found", readable(s.AfterPush(w.Delivery, w, stranger)))
	require.Equal(t, "dead:refused", readable(s.AfterPush(w.Delivery, w, vendors.Result{Class: vendors.Refused})))
}

func TestADuplicateIsMarked(t *testing.T) {
	for name := range variants {
		s, w := situation(t, name, unclear)
		require.True(t, s.AfterPush(w.Delivery, w, answers[1]).Duplicate, name)
	}
}

func TestWhatFollowsFromARead(t *testing.T) {
	const reasons = "no_answer worker_lost lost_commit echo_unproven duplicate_reported refused_after_unclear amount_unread"
	for _, x := range []struct {
		variant string
		found   vendors.Found
		quiet   bool   // the quiet period has passed
		want    string // or, for absent, one for each of reasons
	}{
		{"points", vendors.Present, false, "delivered"},
		{"points", vendors.Unclear, true, "held:mismatch"},
		{"points", vendors.Absent, true, "pending:proven_gone pending:proven_gone pending:proven_gone " +
			"pending:key_spent pending:key_spent pending:key_spent held:amount_unread"},
		{"create-read", vendors.Present, false, "delivered"},
		{"create-read", vendors.Unclear, true, "held:mismatch"},
		{"create-read", vendors.Unclear, false, ""},
		{"create-read", vendors.Absent, true, "pending:proven_gone pending:proven_gone pending:proven_gone " +
			"held:mismatch held:mismatch pending:proven_gone held:amount_unread"},
		{"delete-read", vendors.Present, true, "delivered"},
		{"delete-read", vendors.Present, false, ""},
		{"level-update", vendors.Present, true, "delivered"},
		{"level-update", vendors.Present, false, ""},
		{"level-delete", vendors.Present, false, ""},
		{"bind", vendors.Present, true, "delivered"},
		{"bind", vendors.Present, false, ""},
		{"adjust", vendors.Present, false, "delivered"},
		{"adjust", vendors.Unclear, true, "held:mismatch"},
		{"level", vendors.Absent, true, "pending:proven_gone pending:proven_gone pending:proven_gone " +
			"held:mismatch held:mismatch pending:proven_gone held:amount_unread"},
		{"code", vendors.Unclear, true, "held:mismatch"},
		{"cancel-read", vendors.Absent, true, "pending:proven_gone pending:proven_gone pending:proven_gone " +
			"held:mismatch held:mismatch pending:proven_gone held:amount_unread"},
		{"points", vendors.Absent, false, ""},
		{"create-read", vendors.Absent, false, ""},
		{"points", vendors.Unavailable, true, ""},
	} {
		wants := strings.Fields(x.want)
		for i, reason := range strings.Fields(reasons) {
			s, w := situation(t, x.variant, unclear)
			w.State, w.Reason = outbox.Unknown, reason
			w.QuietUntil = s.Now
			if !x.quiet {
				w.QuietUntil = s.Now.Add(time.Second)
			}
			after := s.AfterFind(w.Delivery, w, vendors.Finding{Found: x.found})
			want := "unknown:" + reason
			switch len(wants) {
			case 0:
			case 1:
				want = wants[0]
			default:
				want = wants[i]
			}
			require.Equal(t, want, readable(after), "%s, %s, quiet %t, %s", x.variant, x.found, x.quiet, reason)
		}
	}
}

func TestOnlyAReadThatBeganAfterTheQuietPeriodProvesAbsence(t *testing.T) {
	s, w := situation(t, "points", late)
	w.State, w.Reason, w.QuietUntil = outbox.Unknown, NoAnswer, s.Now.Add(-time.Second)
	s.Asked = w.QuietUntil.Add(-time.Second)
	after := s.AfterFind(w.Delivery, w, vendors.Finding{Found: vendors.Absent})
	require.Equal(t, "unknown:no_answer", readable(after), "the call may have arrived between the read and its end")
	s.Asked = w.QuietUntil
	after = s.AfterFind(w.Delivery, w, vendors.Finding{Found: vendors.Absent})
	require.Equal(t, "pending:proven_gone", readable(after))
}

func TestAnOrderThatMayBeDeletedIsNotCreatedAgain(t *testing.T) {
	w := row(t, 1, "create unknown:lost_commit lost")
	s := Situation{Policy: testPolicy(), Now: planned, Asked: planned, MayBeDeleted: true}
	s.Operation, _ = reading.account(t).Operation(w.Type)
	w.QuietUntil = planned.Add(-time.Second)
	after := s.AfterFind(w.Delivery, w, vendors.Finding{Found: vendors.Absent})
	require.Equal(t, "held:unclear", readable(after))
	s.MayBeDeleted = false
	after = s.AfterFind(w.Delivery, w, vendors.Finding{Found: vendors.Absent})
	require.Equal(t, "pending:proven_gone", readable(after))
}

func TestWhatADeadWorkerLeftIsQuietOnlyAfterItsLastCall(t *testing.T) {
	s, w := situation(t, "points", late)
	w.State, w.Reason, w.QuietUntil = outbox.Unknown, outbox.ReasonWorkerLost, time.Time{}
	after := s.AfterFind(w.Delivery, w, vendors.Finding{Found: vendors.Absent})
	require.Equal(t, "unknown:worker_lost", readable(after))
	require.Equal(t, s.Now.Add(s.Policy.Timeout+s.Policy.QuietPeriod), after.NextAttemptAt)
	s.Now = after.NextAttemptAt
	require.Equal(t, "pending:proven_gone", readable(s.AfterFind(after, w, vendors.Finding{Found: vendors.Absent})))
}

func TestTheReadWindowCountsFromTheCall(t *testing.T) {
	for _, found := range []vendors.Found{vendors.Absent, vendors.Unavailable} {
		s, w := situation(t, "points", late)
		w.State, w.Reason, w.QuietUntil = outbox.Unknown, NoAnswer, s.Now
		w.ReceivedAt = s.Now.Add(-40 * 24 * time.Hour)
		w.FirstSentAt = s.Now.Add(-s.Operation.FindWindow)
		require.Equal(t, "held:read_window_passed", readable(s.AfterFind(w.Delivery, w, vendors.Finding{Found: found})))
		w.FirstSentAt = w.FirstSentAt.Add(time.Second)
		require.NotEqual(t, outbox.Held, s.AfterFind(w.Delivery, w, vendors.Finding{Found: found}).State,
			"%s: what was received long ago and sent now can be read", found)
	}
}

func TestAReadThatFailsIsTriedAgainLater(t *testing.T) {
	s, w := situation(t, "points", late)
	w.State, w.Reason, w.Calls = outbox.Unknown, EchoUnproven, 4
	failed := vendors.Finding{Found: vendors.Unavailable, Result: vendors.Result{Class: vendors.Throttled, RetryAfter: time.Minute}}
	require.Equal(t, s.Now.Add(time.Minute), s.AfterFind(w.Delivery, w, failed).NextAttemptAt)
	failed.Result.RetryAfter = 0
	require.Equal(t, s.Now.Add(4*time.Second), s.AfterFind(w.Delivery, w, failed).NextAttemptAt, "half of 1s doubled three times")
}

func TestASpentKeyIsReplacedByOneOfOurs(t *testing.T) {
	s, w := situation(t, "points", late)
	w.State, w.Reason, w.QuietUntil = outbox.Unknown, EchoUnproven, s.Now
	after := s.AfterFind(w.Delivery, w, vendors.Finding{Found: vendors.Absent})
	require.Equal(t, "5f0c~1.2", after.VendorKey)
	require.False(t, after.KeyUsed)
	require.False(t, after.Ambiguous)
	require.True(t, after.EverAmbiguous)
	require.Zero(t, after.FirstSentAt, "a new key has its own window")
}

// checkAfter asserts what is true of a delivery after any answer.
func checkAfter(t *rapid.T, before, after outbox.Delivery, s Situation, proven bool) {
	switch after.State {
	case outbox.Unknown:
		require.False(t, after.NextAttemptAt.IsZero(), "unknown has a next time")
	case outbox.Dead:
		require.False(t, after.Ambiguous, "dead is certain")
		require.False(t, before.Ambiguous && !proven, "what was unclear is dead only after a read that proves it")
	case outbox.Pending:
		require.False(t, after.NextAttemptAt.IsZero(), "tried again at some time")
		if after.Ambiguous && !before.Ambiguous && !s.Operation.Findable {
			require.NotEqual(t, vendors.RepeatNever, s.Operation.Repeat, "repeated without anything that makes it safe")
		}
	}
	if after.State != outbox.Delivered {
		require.NotEmpty(t, after.Reason)
	}
	if before.EverAmbiguous {
		require.True(t, after.EverAmbiguous, "that a call was unclear is never forgotten")
	}
	if after.Ambiguous {
		require.True(t, after.EverAmbiguous)
	}
	require.GreaterOrEqual(t, after.Attempts, before.Attempts)
}

func drawSituation(t *rapid.T) (Situation, *outbox.Work) {
	names := make([]string, 0, len(variants))
	for name := range variants {
		names = append(names, name)
	}
	s, w := situation(t, rapid.SampledFrom(sorted(names)).Draw(t, "variant"),
		rapid.SampledFrom([]string{clean, keyUsed, unclear, late}).Draw(t, "before"))
	s.Now = s.Now.Add(time.Duration(rapid.Int64Range(0, int64(40*24*time.Hour)).Draw(t, "later")))
	s.Outage = rapid.Bool().Draw(t, "outage")
	s.Jitter = rapid.Float64Range(0, 0.999).Draw(t, "jitter")
	w.Attempts = rapid.IntRange(0, 30).Draw(t, "attempts")
	return s, w
}

func TestPropertiesOfWhatFollowsFromAnAnswer(t *testing.T) {
	classes := []vendors.Class{
		vendors.Applied, vendors.AlreadyApplied, vendors.Refused, vendors.NotSent, vendors.Throttled, vendors.Denied, vendors.Ambiguous,
	}
	rapid.Check(t, func(t *rapid.T) {
		s, w := drawSituation(t)
		r := vendors.Result{
			Class: rapid.SampledFrom(classes).Draw(t, "class"), Early: rapid.Bool().Draw(t, "early"), Method: "POST",
			RetryAfter: time.Duration(rapid.Int64Range(0, int64(time.Hour)).Draw(t, "retry after")),
		}
		before := w.Delivery
		after := s.AfterPush(before, w, r)
		checkAfter(t, before, after, s, false)
		if r.Class == vendors.Ambiguous {
			require.True(t, after.Ambiguous)
			if w.Type == event.OrderRefunded {
				require.Equal(t, outbox.Held, after.State, "nothing keeps a refund from being taken twice")
			}
			if w.Type.Point() && s.Operation.Findable {
				require.NotEqual(t, outbox.Held, after.State, "points are held only where no read can tell")
			}
			if after.State == outbox.Pending && s.Operation.Repeat == vendors.RepeatWindow {
				require.True(t, after.NextAttemptAt.Before(after.FirstSentAt.Add(s.Operation.Window)), "a repeat outside of the key's window")
			}
		}
	})
}

func TestPropertiesOfWhatFollowsFromARead(t *testing.T) {
	reasons := []string{
		NoAnswer, outbox.ReasonWorkerLost, outbox.ReasonLostCommit, EchoUnproven, DuplicateReported, RefusedAfterUnclear,
		AmountUnread, NotReached, ThrottledBy,
	}
	rapid.Check(t, func(t *rapid.T) {
		s, w := drawSituation(t)
		w.State, w.Reason = outbox.Unknown, rapid.SampledFrom(reasons).Draw(t, "reason")
		if w.Reason != AmountUnread {
			w.Ambiguous, w.EverAmbiguous = true, true
		}
		if rapid.Bool().Draw(t, "has a quiet period") {
			w.QuietUntil = s.Now.Add(time.Duration(rapid.Int64Range(-int64(time.Hour), int64(time.Hour)).Draw(t, "quiet")))
		}
		s.Asked = s.Now.Add(-time.Duration(rapid.Int64Range(0, int64(s.Policy.Timeout)).Draw(t, "took")))
		found := rapid.SampledFrom([]vendors.Found{vendors.Present, vendors.Absent, vendors.Unclear, vendors.Unavailable}).Draw(t, "found")
		before := w.Delivery
		after := s.AfterFind(before, w, vendors.Finding{Found: found})
		proven := found == vendors.Absent && !before.QuietUntil.IsZero() && !s.Asked.Before(before.QuietUntil)
		checkAfter(t, before, after, s, proven)
		if before.Ambiguous && !after.Ambiguous {
			require.True(t, proven || found == vendors.Present, "cleared up by a read that proves nothing")
		}
		early := readAsState(w.Type) && (before.QuietUntil.IsZero() || s.Asked.Before(before.QuietUntil))
		require.Equal(t, found == vendors.Present && !early, after.State == outbox.Delivered)
	})
}
