package check_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"syncworker/test/chaos/check"
)

func TestAWorldInWhichAllIsRightHasNoFindings(t *testing.T) {
	report := check.Check(right().Bundle)
	require.Empty(t, report.Findings)
	for _, invariant := range []string{"I1", "I2", "I3", "I4", "I5", "I6", "I7", "I8", "I9", "I10", "I11", "I12", "holds"} {
		require.Positive(t, report.Looked[invariant], invariant)
	}
	var table bytes.Buffer
	report.Print(&table)
	require.Contains(t, table.String(), "at most one effect per identity")
}

// lie is one way in which a bundle shows that a promise was broken.
type lie struct {
	invariant, says, name string
	tell                  func(w *world)
}

// forget takes an event out of the outbox.
func (w *world) forget(id int64) {
	w.Events = slices.DeleteFunc(w.Events, func(e check.Event) bool { return e.ID == id })
	w.Identities = slices.DeleteFunc(w.Identities, func(i check.Identity) bool { return i.EventID == id })
	w.Deliveries = slices.DeleteFunc(w.Deliveries, func(d check.Delivery) bool { return d.EventID == id })
}

// again lets an effect take place once more.
func (w *world) again(i int) {
	e := w.Effects[i]
	e.Seq = int64(len(w.Effects)) + 1
	w.Effects = append(w.Effects, e)
}

// withdraw takes the effects of a delivery back.
func (w *world) withdraw(op, key string) {
	w.Effects = slices.DeleteFunc(w.Effects, func(e check.Effect) bool { return e.Op == op && e.Key == key })
}

// swap exchanges the places of two effects in the ledger.
func (w *world) swap(i, j int) {
	w.Effects[i].Seq, w.Effects[j].Seq = w.Effects[j].Seq, w.Effects[i].Seq
}

func (w *world) saw(kind, op, key string) {
	w.Violations = append(w.Violations, check.Violation{Kind: kind, Op: op, Key: key, Call: 1})
}

var lies = []lie{
	{"I1", "default/point/p1 is lost", "an acknowledged event without a row", func(w *world) { w.forget(4) }},
	{"I1", "event 4 isn't what was published", "another content than was sent", func(w *world) {
		w.Events[3].Payload = strings.Replace(w.Events[3].Payload, ":8}", ":9}", 1)
	}},
	{"I1", `has deliveries for [""], want ["dmhub"]`, "an event without a delivery", func(w *world) { w.Deliveries[3].Account = "" }},
	{"I1", "nobody published it", "an event from nowhere", func(w *world) { w.Published = slices.Delete(w.Published, 3, 4) }},
	{"I1", "met 4 times again", "more duplicates than sendings", func(w *world) { w.Identities[3].Duplicates = 4 }},
	{"I1", "with nothing in the way", "a duplicate that wasn't counted", func(w *world) { w.Conflicts[0].Count = 0 }},
	{"I1", "was not kept", "a bad message that is gone", func(w *world) { w.Rejects = nil }},
	{"I1", "refuses what is good", "a good message that was refused", func(w *world) { w.Published[len(w.Published)-1].Bad = false }},

	{"I2", "2 effects: point.incremented", "points granted twice", func(w *world) { w.again(3) }},
	{"I2", "2 effects: order.refunded", "a refund made twice", func(w *world) { w.again(2) }},
	{"I2", "2 effects: order.updated", "an update made twice though its call was clear", func(w *world) { w.again(1) }},
	{"I2", "no delivery stands for", "an effect of nothing", func(w *world) { w.forget(6) }},
	{"I2", "created_twice", "an order that was created twice", func(w *world) { w.saw("created_twice", "deal.create", "o1") }},

	{"I3", "before its order's create", "a refund before its order", func(w *world) { w.swap(0, 2) }},
	{"I3", "refund_before_create", "a refund before its order, refused", func(w *world) { w.saw("refund_before_create", "deal.refund", "o1") }},
	{"I3", "an older update after a newer one", "updates inverted", func(w *world) {
		late := w.Deliveries[10]
		w.Deliveries[10].State, w.Deliveries[10].Reason, late.Calls = "delivered", "", 1
		w.Effects = append(w.Effects, check.Effect{Seq: 99, Op: "deal.update", Key: "o4", Request: "hash of oldorder.updated"})
		w.Requests = append(w.Requests, check.Request{Hash: "hash of oldorder.updated", Event: "old"})
	}},
	{"I3", "inverted: order.updated", "a refund before the update that came with it", func(w *world) {
		w.Deliveries[1].ReceivedAt = w.Deliveries[2].ReceivedAt
		w.swap(1, 2)
	}},

	{"I4", "waits for nothing", "waiting behind nothing", func(w *world) { w.Deliveries[7].Reason = "predecessor_dead" }},
	{"I4", "waits for nothing", "waiting for what is there", func(w *world) { w.event("order.created", "o3", "", 30, "delivered") }},
	{"I4", "nobody calls", "pending when all is over", func(w *world) { w.event("order.created", "o5", "", 30, "pending") }},
	{"I4", "never settled", "in flight when all is over", func(w *world) { w.event("order.created", "o5", "", 30, "inflight") }},
	{"I4", "never settled", "unknown when all is over", func(w *world) { w.event("order.created", "o5", "", 30, "unknown:no_answer") }},

	{"I5", "9 here, 8 at the vendor", "a point too many", func(w *world) { *w.FinancePoints[0].PointsApplied = 9 }},
	{"I5", "nobody knows how many", "points that nobody counted", func(w *world) { w.FinancePoints[0].PointsApplied = nil }},
	{"I5", "refunds of 9.99 here, 10 at the vendor", "a cent", func(w *world) { w.FinanceOrders[0].RefundedTotal = decimal.NewFromFloat(9.99) }},
	{"I5", "100.01 paid here", "a cent of an order", func(w *world) { w.FinanceOrders[0].AmountPaid = decimal.NewFromFloat(100.01) }},
	{"I5", "finance doesn't see it", "an order that finance misses", func(w *world) { w.FinanceOrders = w.FinanceOrders[1:] }},
	{"I5", "the members have", "a balance from nowhere", func(w *world) { w.Members[0].Points++ }},
	{"I5", "finance.daily has", "a day that has more", func(w *world) { w.FinanceDaily[0].PointsIn++ }},

	{"I6", "delivered without an effect: point.incremented", "delivered, and not there", func(w *world) { w.withdraw("point.incr", "1") }},
	{"I6", "dead, but it has an effect", "dead, and there", func(w *world) { w.Deliveries[3].State, w.Deliveries[3].Reason = "dead", "refused" }},
	{"I6", "dead, and unclear", "dead without knowing", func(w *world) { w.Deliveries[4].Ambiguous = true }},
	{"I6", "never unclear, but it has an effect", "cancelled, and there", func(w *world) { w.Deliveries[3].State = "cancelled" }},
	{"I6", "not sent and never unclear", "pending, and there", func(w *world) { w.Deliveries[3].State = "pending" }},

	{"I7", "0 were intended", "a call without an intent", func(w *world) { w.Deliveries[3].Calls = 0 }},
	{"I7", "attempt 2 was recorded, and 1 were intended", "an attempt without an intent", func(w *world) { w.Attempts[3].Number = 2 }},
	{"I7", "recorded twice", "two answers of one call", func(w *world) { w.Attempts = append(w.Attempts, w.Attempts[3]) }},
	{"I7", "ended at", "a write under a lost lease", func(w *world) {
		end := w.Attempts[3].RecordedAt.Add(-time.Minute)
		w.Workers[0].EndedAt = &end
	}},
	{"I7", "of which there is no delivery", "a call for nothing", func(w *world) {
		w.Calls = append(w.Calls, check.Call{Seq: 99, Account: "app", Op: "deal.cancel", Key: "o1"})
	}},

	{"I8", "its other content", "a conflict that is gone", func(w *world) { w.Conflicts = nil }},
	{"I8", "has what nobody published", "a conflict from nowhere", func(w *world) {
		w.Conflicts[0].Payload = strings.Replace(w.Conflicts[0].Payload, "101", "102", 1)
	}},
	{"I8", "the same content", "a conflict with itself", func(w *world) { w.Conflicts[0].Payload = w.Events[0].Payload }},
	{"I8", "was deleted, which it wasn't", "kept out for no reason", func(w *world) { w.Conflicts[0].Cause = "deleted" }},

	{"I9", "has 2 orders", "two orders in one lane", func(w *world) { w.Deliveries[5].Lane = "order o1" }},
	{"I9", "followed_redirect", "a redirect followed", func(w *world) { w.saw("followed_redirect", "deal.create", "o1") }},
	{"I9", "after_delete", "a refund of an order that was deleted long ago", func(w *world) { w.saw("after_delete", "deal.refund", "o1") }},
	{"I9", "more was refunded than paid", "too much refunded", func(w *world) { w.saw("over_refund", "deal.refund", "o2") }},

	{"I10", "worker1-001.log has", "the secret in a log", func(w *world) { w.Logs["worker1-001.log"] += "canary" }},
	{"I10", "worker1-001.log has", "a URL with its token in a log", func(w *world) { w.Logs["worker1-001.log"] += "?access_token=x" }},
	{"I10", "worker1-001.txt has", "a mobile number in a metric", func(w *world) { w.Metrics["worker1-001.txt"] += `{member="13800000001"}` }},
	{"I10", "table attempts has", "a token in a recorded call", func(w *world) { w.Tables["attempts"] += "token-of-dmhub" }},
	{"I10", "worker1-001.log has", "a name in a log", func(w *world) { w.Logs["worker1-001.log"] += "收货人甲" }},
	{"I10", "table deliveries has", "a mobile number in a delivery", func(w *world) { w.Tables["deliveries"] += "13800000001" }},

	{"I11", "is recorded 0 times", "a deed that nobody wrote down", func(w *world) { w.Audit = nil }},
	{"I11", "is recorded 2 times", "a deed written down twice", func(w *world) { w.Audit = append(w.Audit, w.Audit[0]) }},
	{"I11", "of which no command is known", "a record of nothing", func(w *world) { w.Deeds = nil }},
	{"I11", "changed 0 deliveries, and 1 are recorded", "a change that wasn't told", func(w *world) { w.Deeds[0].Changed = nil }},

	{"I12", "not drained", "work left over", func(w *world) { w.Run.Drained = time.Time{} }},
	{"I12", "ended with: exit status 2", "a worker that ended badly", func(w *world) { w.Run.Ends["worker1"] = "exit status 2" }},
	{"I12", `has "panic:"`, "a panic", func(w *world) { w.Logs["worker1-001.log"] += "panic: nil map" }},
	{"I12", `has "DATA RACE"`, "a race", func(w *world) { w.Logs["worker1-001.log"] += "WARNING: DATA RACE" }},
	{"I12", "doesn't fit the schema", "a column that isn't there", func(w *world) { w.Logs["worker1-001.log"] += "no such column (SQLSTATE 42703)" }},
	{"I12", "doesn't fit the schema", "a row that the schema refuses", func(w *world) { w.Logs["worker1-001.log"] += "must not be null (SQLSTATE 23502)" }},

	{"holds", "nothing explains it: order.refunded", "a refund held though its call was clear", func(w *world) {
		for i := range w.Calls {
			w.Calls[i].Fault = ""
		}
		w.Attempts[len(w.Attempts)-3].Class = "applied"
	}},
	{"holds", "nothing explains it: order.created", "a create held that a read could tell", func(w *world) { w.event("order.created", "o5", "", 1, "held:unclear") }},
	{"holds", "nothing explains it: point.incremented", "points held", func(w *world) { w.event("point.incremented", "", "p3", 1, "held:gave_up") }},
	{"holds", "nothing explains it: order.updated", "superseded by nothing", func(w *world) { w.Deliveries[11].State, w.Deliveries[11].Reason = "held", "superseded" }},
	{"holds", "nothing explains it: order.refund_deleted", "one refund called several", func(w *world) {
		w.event("order.refund_deleted", "o1", "r1", 0, "held:several_refunds")
	}},
	{"holds", "nothing explains it: order.created", "a member whom the vendor has", func(w *world) {
		w.event("order.created", "o5", "", 1, "held:member_not_found")
		w.Events[len(w.Events)-1].Member = "mobile:13800000001"
	}},
	{"holds", "nothing explains it: point.incremented", "a member who had registered before the read", func(w *world) {
		w.Run.Coming = []string{"17000000000"}
		w.Effects = append(w.Effects, check.Effect{Seq: 99, Time: noon.Add(-time.Hour), Op: "member.create", Key: "mobile:17000000000"})
		d := w.event("point.incremented", "", "p4", 1, "held:member_not_found")
		w.call(d, "210", "")
		d.StateSince = d.FirstSentAt.Add(time.Second)
		w.Events[len(w.Events)-1].Member = "mobile:17000000000"
	}},
	{"holds", "would have taken it: point.decremented", "dead though there were points", func(w *world) { w.Events[4].Points = 100 }},
	{"holds", "would have taken it: order.created", "a create that died", func(w *world) {
		w.call(w.event("order.created", "o5", "", 1, "dead:refused"), "409000", "")
	}},
	{"holds", "would have taken it: point.decremented", "dead without a refusal", func(w *world) { w.Deliveries[4].Reason = "gave_up" }},
	{"holds", "would have taken it: point.decremented", "a person's word that nobody gave", func(w *world) { w.Deliveries[4].Reason = "not_applied_by_person" }},
	{"holds", "where faults explain 4 at most", "everything held after one kill", func(w *world) {
		for _, uuid := range []string{"a", "b", "c", "d", "e"} {
			d := w.event("order.refunded", "o1", uuid, 1, "held:unclear")
			w.call(d, "", "")
			w.Attempts[len(w.Attempts)-1].Class = "ambiguous"
		}
		w.Faults = []check.Fault{{At: noon, Until: noon.Add(time.Hour), Kind: "worker_kill", Target: "worker1"}}
	}},
}

func TestEachLieIsFound(t *testing.T) {
	for _, l := range lies {
		t.Run(l.invariant+" "+l.name, func(t *testing.T) {
			w := right()
			l.tell(w)
			require.Contains(t, strings.Join(found(w, l.invariant), "\n"), l.says)
		})
	}
}

// TestWhoCameFirst has an update and a refund in the wrong order at the vendor. That is
// wrong only where the outbox had the update when the refund came.
func TestWhoCameFirst(t *testing.T) {
	for name, c := range map[string]struct {
		before time.Duration // how long before the refund's transaction the update's began
		id     int64         // of the update; the refund's is 3
		want   int
	}{
		"long before":                       {time.Minute, 2, 1},
		"at the same moment":                {time.Second, 2, 0},
		"begun long before, and ended last": {time.Minute, 99, 0},
	} {
		t.Run(name, func(t *testing.T) {
			w := right()
			update, refund := &w.Deliveries[1], &w.Deliveries[2]
			w.swap(1, 2)
			update.ReceivedAt = refund.ReceivedAt.Add(-c.before)
			for i := range w.Attempts {
				if w.Attempts[i].DeliveryID == update.ID {
					w.Attempts[i].DeliveryID = c.id
				}
			}
			update.ID = c.id
			require.Len(t, found(w, "I3"), c.want)
		})
	}
}

// TestASlowCallExplainsAHold has a refund held whose call nothing has cut off: no fault
// explains it, nor any that was lost.
func TestASlowCallExplainsAHold(t *testing.T) {
	for took, want := range map[time.Duration]int{100 * time.Millisecond: 2, 900 * time.Millisecond: 0, 1100 * time.Millisecond: 0, 5 * time.Second: 2} {
		t.Run(took.String(), func(t *testing.T) {
			w := right()
			w.Faults = nil
			w.call(w.event("order.refunded", "o1", "slow", 1, "held:unclear"), "", "")
			attempt, call := &w.Attempts[len(w.Attempts)-1], &w.Calls[len(w.Calls)-1]
			attempt.Class, call.Time = "ambiguous", attempt.StartedAt.Add(took)
			require.Len(t, found(w, "holds"), want)
		})
	}
}

// found are the findings about one invariant.
func found(w *world, invariant string) (all []string) {
	for _, f := range check.Check(w.Bundle).Findings {
		if f.Invariant == invariant {
			all = append(all, f.What)
		}
	}
	return all
}
