package main

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"github.com/shopspring/decimal"
)

// printDemo shows what became of the day and what to try next.
func (a *app) printDemo(d *demo, r *demoReport, o devOptions) error {
	if a.output == outputJSON {
		return a.printJSON(r)
	}
	w := a.stdout
	fmt.Fprintf(w, "Day %d of the shop and its web shop (tenants %s): %d messages, %d events, %d deliveries, settled\n"+
		"after %.1f s. The vendors let %d of %d calls fail. %d effects, %.0f a second; from the outbox to the effect:\n"+
		"half within %.0f ms, 95%% within %.0f ms.\n\n", r.Day, strings.Join(r.Tenants, ", "), r.Messages, r.Events, r.Deliveries,
		r.Seconds, r.Faults, r.Calls, r.Pace.Delivered, r.Pace.Rate, r.Pace.P50, r.Pace.P95)
	a.demoTable("What came in, and what became of it", r.typeTable())
	a.demoTable("What didn't get through, and why", r.stoppedTable())
	fmt.Fprintf(w, "%s\n\n", r.door())
	a.demoTable("The books on both sides, by account", r.bookTable())
	if len(r.Problems) == 0 {
		fmt.Fprintf(w, "Everything ended as it had to: nothing is lost, nothing took effect twice, the books agree to the cent, and\n"+
			"%d deliveries wait for a person, since nobody can know or decide it for them.\n", r.waiting())
	}
	if o.exit {
		return nil
	}
	fmt.Fprintf(w, "\nIt all stays up until Ctrl-C, and the vendor answers every call from now on. In another terminal:\n\n")
	for _, command := range r.suggestions() {
		fmt.Fprintf(w, "  %s --config %s %s\n", self(), shown(d.path("syncworker.yaml")), command)
	}
	return nil
}

// suggestions are three commands to try that none refuses.
func (r *demoReport) suggestions() []string {
	third := "deliveries list --state dead"
	if r.Replay != 0 {
		third = fmt.Sprintf("deliveries replay %d", r.Replay)
	}
	return []string{"deliveries list --state held", fmt.Sprintf("deliveries show %d", r.Example), third}
}

func (a *app) demoTable(title string, t table.Writer) {
	style := table.StyleLight
	style.Format.Header, style.Format.Footer = text.FormatDefault, text.FormatDefault
	style.Title.Format = text.FormatDefault
	t.SetStyle(style)
	t.SetTitle(title)
	fmt.Fprintf(a.stdout, "%s\n\n", t.Render())
}

// rightFrom aligns the columns from the n-th on as numbers.
func rightFrom(t table.Writer, n, columns int) {
	var configs []table.ColumnConfig
	for ; n <= columns; n++ {
		configs = append(configs, table.ColumnConfig{Number: n, Align: text.AlignRight, AlignHeader: text.AlignRight, AlignFooter: text.AlignRight})
	}
	t.SetColumnConfigs(configs)
}

func (r *demoReport) typeTable() table.Writer {
	t := table.NewWriter()
	t.AppendHeader(table.Row{"account", "event", "published", "delivered", "dead", "held", "waiting", "at the vendor"})
	var sum typeRow
	for i, row := range r.Types {
		account := row.Account
		if i > 0 && account == r.Types[i-1].Account {
			account = ""
		} else if i > 0 {
			t.AppendSeparator()
		}
		t.AppendRow(table.Row{account, row.Type, row.Published, row.Delivered, some(row.Dead), some(row.Held), some(row.Waiting + row.Other), row.Effects})
		sum.Published, sum.Delivered, sum.Dead = sum.Published+row.Published, sum.Delivered+row.Delivered, sum.Dead+row.Dead
		sum.Held, sum.Waiting, sum.Effects = sum.Held+row.Held, sum.Waiting+row.Waiting+row.Other, sum.Effects+row.Effects
	}
	t.AppendFooter(table.Row{"", "", sum.Published, sum.Delivered, some(sum.Dead), some(sum.Held), some(sum.Waiting), sum.Effects})
	rightFrom(t, 3, 8)
	return t
}

func (r *demoReport) stoppedTable() table.Writer {
	t := table.NewWriter()
	t.AppendHeader(table.Row{"account", "state", "reason", "event", "vendor's code", "deliveries", "money", "points"})
	for i, s := range r.Stopped {
		account := s.Account
		if i > 0 && account == r.Stopped[i-1].Account {
			account = ""
		}
		t.AppendRow(table.Row{account, s.State, s.Reason, s.Type, s.Code, s.Deliveries, money(s.Amount), some(int(s.Points))})
	}
	rightFrom(t, 6, 8)
	return t
}

// door says what made no delivery.
func (r *demoReport) door() string {
	rejected := 0
	var reasons []string
	for _, reason := range slices.Sorted(maps.Keys(r.Rejects)) {
		rejected += r.Rejects[reason]
		reasons = append(reasons, fmt.Sprintf("%s %d", reason, r.Rejects[reason]))
	}
	lines := strings.Split(text.WrapSoft(fmt.Sprintf(
		"No delivery came of %d messages that repeat an event, of %d with the identity of another event and other content "+
			"(conflicts), and of %d that break the contract: %s.",
		r.Duplicates, r.Conflicts, rejected, strings.Join(reasons, ", ")), 108), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(line, " ")
	}
	return strings.Join(lines, "\n")
}

func (r *demoReport) bookTable() table.Writer {
	t := table.NewWriter()
	t.AppendHeader(table.Row{"account", "sum", "delivered, by the outbox", "+ held, but applied", "= the vendor's ledger", ""})
	for i, b := range r.Books {
		account := b.Account
		if i > 0 && account == r.Books[i-1].Account {
			account = ""
		}
		show := func(d decimal.Decimal) string {
			if b.money {
				return d.StringFixed(2)
			}
			return d.String()
		}
		verdict := "agree"
		if !b.Agree {
			verdict = "DIFFER"
		}
		t.AppendRow(table.Row{account, b.Sum, show(b.Outbox), show(b.Undecided), show(b.Vendor), verdict})
	}
	rightFrom(t, 3, 5)
	return t
}

// waiting counts what a person has to decide about, with what waits behind it.
func (r *demoReport) waiting() int {
	n := 0
	for _, t := range r.Types {
		n += t.Held + t.Waiting
	}
	return n
}

// some leaves out what isn't there.
func some(n int) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(n)
}

func money(d decimal.Decimal) string {
	if d.IsZero() {
		return ""
	}
	return d.StringFixed(2)
}
