package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// outageReport is what one outage came to.
type outageReport struct {
	Outage  string  `json:"outage"`
	Seconds float64 `json:"seconds"`
	Events  int     `json:"events"`
	Backlog int     `json:"backlog"` // to be sent when the vendor came back
	Lines   []line  `json:"lines"`
	Calls   []int   `json:"calls_by_second"` // from the first answer to the last of the backlog
}

// line is one figure with what was to be reached; no goal is for information.
type line struct {
	What   string  `json:"what"`
	Value  float64 `json:"value"`
	Unit   string  `json:"unit,omitempty"`
	Goal   string  `json:"goal,omitempty"`
	Missed bool    `json:"missed,omitempty"`
	More   string  `json:"more,omitempty"`
}

func atMost(what string, value, goal float64, unit, more string) line {
	return line{What: what, Value: value, Unit: unit, Goal: fmt.Sprintf("at most %.4g", goal), Missed: value > goal, More: more}
}

func atLeast(what string, value, goal float64, unit, more string) line {
	return line{What: what, Value: value, Unit: unit, Goal: fmt.Sprintf("at least %.4g", goal), Missed: value < goal, More: more}
}

func none(what string, value int, more string) line {
	return line{What: what, Value: float64(value), Goal: "none", Missed: value > 0, More: more}
}

func figure(what string, value float64, unit, more string) line {
	return line{What: what, Value: value, Unit: unit, More: more}
}

// circuitRow is how many calls in a row without an answer open the circuit.
const circuitRow = 5

// promptly is what looking and one call may add to a time that was agreed.
const promptly = 2 * time.Second

func (o *outage) report() outageReport {
	lines := slices.Concat(o.whileAway(), o.onceBack(), o.inTheEnd())
	return outageReport{Outage: o.name, Seconds: o.back.Sub(o.cut).Seconds(), Events: o.events, Backlog: o.backlog, Lines: lines, Calls: o.seen.perSecond}
}

func (o *outage) whileAway() []line {
	n := &o.seen
	took := o.takenIn.Sub(o.cut)
	untaken := line{
		What: "all events are in the outbox after", Value: took.Seconds(), Unit: "s", Goal: "before it is back", Missed: o.takenIn.IsZero(),
		More: fmt.Sprintf("%d were in the stream; %.0f a second", o.untaken, float64(o.untaken)/took.Seconds()),
	}
	if untaken.Missed {
		untaken.Value, untaken.More = 0, "never"
	}
	gaps, early := o.spacing()
	idle := max(o.spentBack.at.Sub(o.spentIn.at).Seconds(), 1)
	worker, postgres := o.spentBack.worker-o.spentIn.worker, o.spentBack.postgres-o.spentIn.postgres
	return []line{
		atMost("attempts counted", float64(o.burnt.attempts), outageSlots+circuitRow, "", fmt.Sprintf("%d at most on one delivery", o.burnt.most)),
		none("deliveries with attempts and no call", o.burnt.unfounded, ""),
		atMost("calls before the circuit opened", float64(n.cutCalls), outageSlots+circuitRow, "",
			fmt.Sprintf("open %.1f s after the cut", o.opened.Sub(o.cut).Seconds())),
		atMost("probes", float64(len(n.probes)), float64(o.allowedProbes()), "", "after "+gaps+" s; the vendor saw "+fmt.Sprint(n.vendorCalls)),
		none("probes before their time", early, ""),
		untaken,
		figure("worker, all being taken in", 100*worker/idle, "% of a core", fmt.Sprintf("over %.0f s", idle)),
		figure("Postgres, the same", 100*postgres/idle, "% of a core", ""),
	}
}

// allowedProbes is how many probes fit into the time that the vendor was away.
func (o *outage) allowedProbes() (n int) {
	for at := o.opened.Add(probeAfter(0)); at.Before(o.back); n++ {
		at = at.Add(probeAfter(n + 1))
	}
	return n
}

// probeDue is when the first probe was due that could be answered.
func (o *outage) probeDue() time.Time {
	last := o.opened
	if n := len(o.seen.probes); n > 0 {
		last = o.seen.probes[n-1]
	}
	return last.Add(probeAfter(len(o.seen.probes)))
}

// spacing lists the times between the probes, and counts those that came early.
func (o *outage) spacing() (gaps string, early int) {
	var list []string
	last := o.opened
	for i, at := range o.seen.probes {
		gap := at.Sub(last)
		// The database's clock and ours see the circuit open within a moment.
		if gap < probeAfter(i)-500*time.Millisecond {
			early++
		}
		list = append(list, fmt.Sprintf("%.0f", gap.Seconds()))
		last = at
	}
	return strings.Join(list, " "), early
}

func (o *outage) onceBack() []line {
	n := &o.seen
	due := max(o.probeDue().Sub(o.back), 0)
	drained := n.drained.Sub(n.answered)
	return []line{
		atMost("the first call is answered after", n.answered.Sub(o.back).Seconds(), (due + promptly).Seconds(), "s",
			fmt.Sprintf("a probe was due in %.1f s", due.Seconds())),
		figure("calls in the first second", float64(n.perSecond[0]), "", "then "+strings.Trim(fmt.Sprint(n.perSecond[1:min(len(n.perSecond), rampSeconds)]), "[]")),
		atMost("calls in any second", float64(slices.Max(n.perSecond)), outageRate*1.05+outageSlots, "",
			fmt.Sprintf("rate_limit is %d, a burst a twentieth; look-ups count afterwards", outageRate)),
		atMost("drained after", drained.Seconds(), o.budget().Seconds(), "s",
			fmt.Sprintf("backlog/rate x %.2f; %.0f s after it was back", drained.Seconds()/o.budget().Seconds()*1.2, n.drained.Sub(o.back).Seconds())),
		o.occupied(),
		figure("all that needs nobody after", n.ended.Sub(n.answered).Seconds(), "s", "what was unclear waits for its quiet_period"),
	}
}

// occupied says how busy the machine was while the backlog was drained, and with what.
func (o *outage) occupied() line {
	from, to := o.spentBack, o.spentDrained
	busy, idle := to.machine-from.machine, to.unoccupied-from.unoccupied
	share := func(seconds float64) float64 { return 100 * seconds / max(busy+idle, 1) }
	return figure("the machine was busy", share(busy), "%", fmt.Sprintf("worker %.0f%%, Postgres %.0f%%, vendor and NATS %.0f%%, others %.0f%%",
		share(to.worker-from.worker), share(to.postgres-from.postgres), share(to.shared-from.shared),
		share(busy-(to.worker-from.worker)-(to.postgres-from.postgres)-(to.shared-from.shared))))
}

func (o *outage) inTheEnd() []line {
	n, l := &o.seen, &o.seen.ledger
	lines := []line{
		none("dead", n.dead, ""),
		figure("held", float64(n.held), "", fmt.Sprintf("%d wait behind them; %d are in a lane with an unclear call", n.waiting, n.behind)),
		none("held for a probe", n.heldByProbe, ""),
		none("held without an unclear call", n.heldUnasked, ""),
		none("effects that are doubled", l.doubled, fmt.Sprintf("of %d", l.effects)),
		none("delivered without an effect", l.missing, ""),
		none("out of order", total(l.violations), list(l.violations)),
	}
	if n.held == 0 {
		lines = append(lines, none("waiting for nothing", n.waiting, ""))
	}
	return lines
}

// errGoalMissed is what the program ends with where a goal is missed.
var errGoalMissed = errors.New("a goal is missed")

func reportOutages(out io.Writer, o options, m machine, reports []outageReport) error {
	fmt.Fprintf(out, "%d cores, %s, %s, Postgres %s (fsync on), events of %d bytes; rate_limit %d, max_in_flight %d, latency %s\n",
		m.Cores, m.OS, m.Go, m.Postgres, m.EventBytes, outageRate, outageSlots, outageLatency)
	var missed []string
	for _, r := range reports {
		fmt.Fprintf(out, "\n%s, away for %.0f s, %d events, %d of them to be sent when it is back\n", r.Outage, r.Seconds, r.Events, r.Backlog)
		names, err := writeLines(out, r.Lines)
		if err != nil {
			return err
		}
		for _, name := range names {
			missed = append(missed, r.Outage+": "+name)
		}
	}
	if err := keep(o.out, map[string]any{"machine": m, "outages": reports}); err != nil {
		return err
	}
	return missedGoals(missed)
}

// writeLines prints figures beside their goals, and returns the goals that are missed.
func writeLines(out io.Writer, lines []line) (missed []string, err error) {
	w := tabwriter.NewWriter(out, 0, 4, 3, ' ', 0)
	for _, l := range lines {
		mark := ""
		if l.Missed {
			mark = "MISSED"
			missed = append(missed, l.What)
		}
		fmt.Fprintf(w, "%s\t%.4g %s\t%s\t%s\t%s\n", l.What, l.Value, l.Unit, l.Goal, mark, l.More) //nolint:errcheck // Flush says it
	}
	return missed, w.Flush()
}

// missedGoals ends the run with an error where a goal is missed.
func missedGoals(missed []string) error {
	if len(missed) > 0 {
		return fmt.Errorf("%w: %s", errGoalMissed, strings.Join(missed, "; "))
	}
	return nil
}
