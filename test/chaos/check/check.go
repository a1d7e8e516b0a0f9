// Package check proves from what a run left behind that its workers were never
// wrong. It shares no code with them: it reads the publisher's journal, the
// tables, the vendor's ledger, the operators' journal and the harness's, and
// decides by itself what they should say.
package check

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// The invariants, as ARCHITECTURE.md counts them, and the budget for holds.
const (
	NoLoss      = "I1"
	OneEffect   = "I2"
	InOrder     = "I3"
	NotStuck    = "I4"
	SumsAgree   = "I5"
	NoLies      = "I6"
	Fenced      = "I7"
	BothKept    = "I8"
	Apart       = "I9"
	Discreet    = "I10"
	Audited     = "I11"
	Drained     = "I12"
	HoldsBudget = "holds"
)

// proofs are what is proven, in the order of the table.
var proofs = []struct {
	Invariant string
	Says      string
	prove     func(*checker)
}{
	{NoLoss, "acknowledged events have one row each", (*checker).kept},
	{OneEffect, "at most one effect per identity", (*checker).once},
	{InOrder, "effects of an order in its order", (*checker).inOrder},
	{NotStuck, "what rests has a reason, and something to wait for", (*checker).notStuck},
	{SumsAgree, "points and money, ours against theirs", (*checker).sums},
	{NoLies, "delivered has its effect, dead has none", (*checker).truthful},
	{Fenced, "no call without intent, nothing written by who has ended", (*checker).fenced},
	{BothKept, "same identity, other content: both kept", (*checker).conflicts},
	{Apart, "who waits, waits for its own lane; the careful do nothing careless", (*checker).apart},
	{Discreet, "no secret and nobody's number where it doesn't belong", (*checker).discreet},
	{Audited, "each decision of a person recorded once", (*checker).audited},
	{Drained, "all done in time, and every worker well", (*checker).drained},
	{HoldsBudget, "nothing held or dead without a cause at the vendor", (*checker).holds},
}

// Finding is one broken promise.
type Finding struct {
	Invariant string
	What      string
}

// Report is what a check came to.
type Report struct {
	Looked   map[string]int // how much was looked at, by invariant
	Findings []Finding
	States   map[string]int // of the deliveries, with their reasons
	Faults   map[string]int // by kind
	Drain    time.Duration  // from the last fault until all was done
	Skipped  []string       // faults that this machine couldn't have
	// Overtaken counts effects that went before an older event of their order which
	// another worker had received later than theirs, but well before the call.
	Overtaken int
}

// Of counts the findings of an invariant.
func (r Report) Of(invariant string) int {
	n := 0
	for _, f := range r.Findings {
		if f.Invariant == invariant {
			n++
		}
	}
	return n
}

// Check proves the invariants on a bundle. It changes nothing.
func Check(b *Bundle) Report {
	c := newChecker(b)
	for _, p := range proofs {
		c.invariant = p.Invariant
		p.prove(c)
	}
	for _, f := range b.Faults {
		c.report.Faults[f.Kind]++
	}
	if !b.Run.Drained.IsZero() {
		c.report.Drain = b.Run.Drained.Sub(b.Run.LastFault)
	}
	c.report.Skipped = b.Run.Skipped
	return c.report
}

// most is how many findings of an invariant are printed.
const most = 15

// Print writes the table, and the findings below it.
func (r Report) Print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "\tholds\tlooked at\tfindings")
	for _, p := range proofs {
		fmt.Fprintf(t, "%s\t%s\t%d\t%d\n", p.Invariant, p.Says, r.Looked[p.Invariant], r.Of(p.Invariant))
	}
	_ = t.Flush()
	fmt.Fprintln(w, "\nfaults:", strings.TrimPrefix(fmt.Sprint(r.Faults), "map"))
	fmt.Fprintln(w, "deliveries:", strings.TrimPrefix(fmt.Sprint(r.States), "map"))
	fmt.Fprintln(w, "drained in", r.Drain.Round(100*time.Millisecond))
	for _, s := range r.Skipped {
		fmt.Fprintln(w, "not tried:", s)
	}
	if r.Overtaken > 0 {
		fmt.Fprintf(w, "%d effects went before an older event of their order that had come later\n", r.Overtaken)
	}
	printed := map[string]int{}
	for _, f := range r.Findings {
		if printed[f.Invariant]++; printed[f.Invariant] <= most {
			fmt.Fprintf(w, "%s: %s\n", f.Invariant, f.What)
		}
	}
	for _, p := range proofs {
		if n := printed[p.Invariant]; n > most {
			fmt.Fprintf(w, "%s: and %d more\n", p.Invariant, n-most)
		}
	}
}
