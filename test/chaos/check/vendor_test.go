package check_test

import (
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"

	"syncworker/test/chaos/check"
)

// does has the vendor do something that its documents leave open.
func (w *world) does(name, what string) { w.Run.Switches = map[string]any{name: what} }

// createAgain repeats an order's unclear create, which takes effect once more.
func createAgain(w *world) {
	d := w.event("order.created", "o5", "", 70, "delivered")
	d.EverAmbiguous = true
	w.call(d, "", "")
	again := w.Effects[len(w.Effects)-1]
	again.Seq, again.Call, again.Amount = again.Seq+1, int64(len(w.Calls)), decimal.Zero
	w.Effects = append(w.Effects, again)
	w.saw("created_twice", "deal.create", "o5")
}

// refundAgain makes a second refund of o1, which replaces the first.
func refundAgain(w *world) {
	w.event("order.refunded", "o1", "r9", 4, "delivered")
	w.Effects[len(w.Effects)-1].Amount = decimal.NewFromInt(-6)
	for i := range w.Orders {
		if w.Orders[i].OrderNo == "o1" {
			w.Orders[i].Refunded = decimal.NewFromInt(4)
		}
	}
}

func refusedRefund(order string) func(*world) {
	return func(w *world) { w.call(w.event("order.refunded", order, "r9", 4, "dead:refused"), "409000", "") }
}

func heldCreate(w *world) {
	d := w.event("order.created", "o5", "", 1, "held:unclear")
	d.EverAmbiguous, d.Ambiguous = true, true
	w.call(d, "", "reset_before")
}

func heldPoints(w *world) {
	d := w.event("point.incremented", "", "p9", 1, "held:mismatch")
	d.EverAmbiguous, d.Ambiguous = true, true
	w.call(d, "", "reset_after")
	w.effect(d, 1)
}

func heldToZero(w *world, toZero bool) {
	d := w.event("point.decremented", "", "p9", 1, "held:mismatch")
	w.Events[len(w.Events)-1].DecrToZero = toZero
	w.call(d, "", "")
	w.effect(d, 1)
}

// What one vendor's documents allow is a lie at another.
func TestWhatAVendorDoesExplainsNoMoreThanThat(t *testing.T) {
	for name, c := range map[string]struct {
		tell func(*world)
		says string // what is found; empty: nothing
	}{
		"an unclear create that a read could tell": {heldCreate, "nothing explains it: order.created"},
		"an unclear create that no read tells": {func(w *world) {
			w.Run.Semantics = nil
			heldCreate(w)
		}, ""},
		"a create held though its call was clear": {func(w *world) {
			w.Run.Semantics = nil
			heldCreate(w)
			w.Calls[len(w.Calls)-1].Fault, w.Attempts[len(w.Attempts)-1].Class = "", "applied"
		}, "nothing explains it: order.created"},
		"an unclear update that needs no read": {func(w *world) {
			w.Run.Semantics = nil
			w.call(w.event("order.updated", "o1", "u9", 0, "held:unclear"), "", "reset_before")
		}, "nothing explains it: order.updated"},
		"a create repeated, and nobody knows that it replaces": {func(w *world) {
			w.does("existing_order", "replace")
			createAgain(w)
		}, "created_twice"},
		"a create repeated where it is known to replace": {func(w *world) {
			w.does("existing_order", "replace")
			w.Run.Semantics["existing_order"] = "replaced"
			createAgain(w)
		}, ""},
		"a create repeated where it counts twice": {func(w *world) {
			w.does("existing_order", "double")
			w.Run.Semantics["existing_order"] = "replaced"
			createAgain(w)
		}, "2 effects"},
		"a refund that replaces the former": {func(w *world) {
			w.does("refunds", "overwrite")
			refundAgain(w)
		}, ""},
		"a refund that is gone": {refundAgain, "refunds of 14 here, 4 at the vendor"},
		"a second refund refused": {func(w *world) {
			w.does("refunds", "refuse")
			refusedRefund("o1")(w)
		}, ""},
		"the only refund refused": {func(w *world) {
			w.does("refunds", "refuse")
			refusedRefund("o4")(w)
		}, "would have taken it: order.refunded"},
		"a second refund refused by a vendor that takes it": {refusedRefund("o1"), "would have taken it: order.refunded"},
		"points whose row nobody can know": {func(w *world) {
			w.does("uuid_trace", "none")
			heldPoints(w)
		}, ""},
		"points whose row has their uuid": {heldPoints, "nothing explains it: point.incremented"},
		"points held though their call was clear": {func(w *world) {
			w.does("uuid_trace", "none")
			w.event("point.incremented", "", "p9", 1, "held:mismatch")
		}, "nothing explains it: point.incremented"},
		"how many points were left isn't known": {func(w *world) {
			w.does("uuid_trace", "none")
			heldToZero(w, true)
		}, ""},
		"a decrement that was taken, and nobody knows": {func(w *world) {
			w.does("uuid_trace", "none")
			heldToZero(w, false)
		}, "never unclear, but it has an effect"},
	} {
		t.Run(name, func(t *testing.T) {
			w := right()
			c.tell(w)
			var found []string
			for _, f := range check.Check(w.Bundle).Findings {
				found = append(found, f.What)
			}
			if c.says == "" {
				require.Empty(t, found)
				return
			}
			require.Contains(t, strings.Join(found, "\n"), c.says)
		})
	}
}
