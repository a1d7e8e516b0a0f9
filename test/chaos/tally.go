package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"syncworker/test/chaos/check"
)

// tally is what a run amounts to.
type tally struct {
	Deliveries, Calls, Unclear int
	Held                       map[string]int // by reason and, where a call is unclear, type; at the end
	Answered                   int            // held before, until a person answered
	Waiting, Dead              int
	Faults, Findings           int
}

// count makes the tally of a bundle. A call is unclear whose answer, if any, says
// neither that it took effect nor that it didn't.
func count(b *check.Bundle, report check.Report) tally {
	t := tally{Held: map[string]int{}, Deliveries: len(b.Deliveries), Faults: len(b.Faults), Findings: len(report.Findings)}
	answered := map[int64]int{}
	for _, a := range b.Attempts {
		if !a.Late && a.Action == "push" {
			answered[a.DeliveryID]++
			if a.Class == "ambiguous" {
				t.Unclear++
			}
		}
	}
	for _, d := range b.Deliveries {
		t.Calls += d.Calls
		t.Unclear += max(0, d.Calls-answered[d.ID])
		switch d.State {
		case "held":
			why := d.Reason
			if d.Ambiguous {
				why += " " + d.Type
			}
			t.Held[why]++
		case "waiting":
			t.Waiting++
		case "dead":
			t.Dead++
		}
	}
	for _, d := range b.Deeds {
		if slices.Contains([]string{"applied", "not-applied", "send-again"}, d.Action) {
			t.Answered += len(d.Changed)
		}
	}
	return t
}

// The causes of what is held.
func ofRefund(why string) bool { return strings.Contains(why, " order.refund") }
func ofOther(why string) bool  { return strings.Contains(why, " ") && !ofRefund(why) }
func ofEvents(why string) bool { return !strings.Contains(why, " ") }

// held counts what is held for such a cause.
func (t tally) held(causes ...func(why string) bool) (n int) {
	for why, held := range t.Held {
		if slices.ContainsFunc(causes, func(is func(string) bool) bool { return is(why) }) {
			n += held
		}
	}
	return n
}

// printRuns prints a line for each run.
func printRuns(w io.Writer, runs []*vendorRun) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "seed\texisting\trefunds\tlag\tconsumes\tduplicate\tfaults\tdeliveries\tcalls\tunclear\theld\tshare\tanswered\twaiting\tdead\tfindings\theld by reason")
	for _, r := range runs {
		held := r.held(ofRefund, ofOther, ofEvents)
		fmt.Fprintf(t, "%d\t%s\t%s\t%s\t%t\t%s\t%d\t%d\t%d\t%d\t%d\t%.1f%%\t%d\t%d\t%d\t%d\t%s\n", r.seed, r.ExistingOrder, r.Refunds,
			time.Duration(r.ReadsLag), r.RefusedConsumesUUID, r.DuplicateUUID, r.Faults, r.Deliveries, r.Calls, r.Unclear, held,
			100*float64(held)/float64(max(r.Deliveries, 1)), r.Answered, r.Waiting, r.Dead, r.Findings, strings.TrimPrefix(fmt.Sprint(r.Held), "map"))
	}
	_ = t.Flush()
}

// columns are those of the short table: a number of each run.
var columns = []struct {
	name string
	of   func(*vendorRun) int
}{
	{"deliveries", func(r *vendorRun) int { return r.Deliveries }},
	{"unclear calls", func(r *vendorRun) int { return r.Unclear }},
	{"held: unclear refund", func(r *vendorRun) int { return r.held(ofRefund) }},
	{"held: other unclear", func(r *vendorRun) int { return r.held(ofOther) }},
	{"held: the events' own", func(r *vendorRun) int { return r.held(ofEvents) }},
	{"waiting behind", func(r *vendorRun) int { return r.Waiting }},
	{"dead", func(r *vendorRun) int { return r.Dead }},
	{"findings", func(r *vendorRun) int { return r.Findings }},
}

// printRows prints a table in Markdown: a row for the combinations that differ only
// in what becomes of uuids, with the least and the most of them, and their sum.
func printRows(w io.Writer, runs []*vendorRun) {
	var names []string
	rows := map[string][]*vendorRun{}
	for _, r := range runs {
		name := r.row()
		if rows[name] == nil {
			names = append(names, name)
		}
		rows[name] = append(rows[name], r)
	}
	fmt.Fprint(w, "\n| existing order | refunds | reads lag |")
	for _, c := range columns {
		fmt.Fprintf(w, " %s |", c.name)
	}
	fmt.Fprintln(w, "\n|---|---|---|"+strings.Repeat("---|", len(columns)))
	for _, name := range names {
		fmt.Fprintf(w, "| %s |", name)
		for _, c := range columns {
			fmt.Fprintf(w, " %s |", spread(rows[name], c.of))
		}
		fmt.Fprintln(w)
	}
	fmt.Fprint(w, "| all | | |")
	for _, c := range columns {
		sum := 0
		for _, r := range runs {
			sum += c.of(r)
		}
		fmt.Fprintf(w, " %d |", sum)
	}
	fmt.Fprintln(w)
}

// spread is the least and the most of some runs.
func spread(runs []*vendorRun, of func(*vendorRun) int) string {
	least, most := of(runs[0]), of(runs[0])
	for _, r := range runs {
		least, most = min(least, of(r)), max(most, of(r))
	}
	if least == most {
		return fmt.Sprint(least)
	}
	return fmt.Sprintf("%d–%d", least, most)
}
