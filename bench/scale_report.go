package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
)

// scaleReport is what a run with -scale came to; what wasn't asked for is empty.
type scaleReport struct {
	Machine machine         `json:"machine"`
	Workers []workersResult `json:"workers,omitempty"`
	Limits  *limitsHeld     `json:"limits,omitempty"`
	NATS    []streamed      `json:"nats,omitempty"`
	Goals   []line          `json:"goals"`
}

// publish prints the tables, keeps the figures and says which goals are missed.
func (r scaleReport) publish(out io.Writer, o options) error {
	r.Goals = slices.Concat(workersGoals(r.Workers), limitGoals(r.Limits))
	fmt.Fprintf(out, "%d cores, %s, %s, Postgres %s (fsync on), events of %d bytes\n",
		r.Machine.Cores, r.Machine.OS, r.Machine.Go, r.Machine.Postgres, r.Machine.EventBytes)
	w := tabwriter.NewWriter(out, 0, 4, 3, ' ', 0)
	printWorkers(w, r.Workers)
	if r.Limits != nil {
		printLimits(w, *r.Limits)
	}
	printNATS(w, r.NATS)
	fmt.Fprintln(w) //nolint:errcheck // Flush says it
	if err := w.Flush(); err != nil {
		return err
	}
	missed, err := writeLines(out, r.Goals)
	if err != nil {
		return err
	}
	if err := keep(o.out, r); err != nil {
		return err
	}
	return missedGoals(missed)
}

func coresText(cores float64) string {
	if cores == 0 {
		return "all cores between them"
	}
	return fmt.Sprintf("%g of a core each", cores)
}

func printWorkers(w io.Writer, all []workersResult) {
	for i, g := range all {
		if i == 0 || all[i-1].Cores != g.Cores {
			fmt.Fprintf(w, "\nworkers, %s, vendor at %s\tevents/s\tcalls in flight\tat most\tworkers' CPU\tPostgres\tNATS, vendor\tcommits/event\treloads\t"+ //nolint:errcheck // Flush says it
				"each: queries/s\tcommits/s\twake-ups/s\tempty claims/s\tidle: queries/s\twake-ups/s\toverlaps\tdoubled\tout of order\tnot met\tovertaken\tpoints\tlost\theld\n", coresText(g.Cores), scaleLatency)
		}
		fmt.Fprintf(w, "%d\t%.0f\t%.0f\t%d\t%.3f\t%.3f\t%.3f\t%.2f\t%.2f\t%.0f\t%.1f\t%.2f\t%.2f\t%.2f\t%.2f\t%d\t%d\t%d\t%d\t%d\t%d\t%d\t%d\n", //nolint:errcheck // Flush says it
			g.Workers, g.PerSecond, g.Mean, g.Peak, g.CPU, g.PostgresCPU, g.SharedCPU, g.Commits, g.Reloads, g.Busy.Queries, g.Busy.Commits,
			g.Busy.WakeUps, g.Busy.EmptyClaims, g.Idle.Queries, g.Idle.WakeUps, g.Overlaps, g.Doubled, g.OutOfOrder, g.Unmet, g.Overtaken, g.PointsOvertaken, g.Lost, total(g.Held))
	}
}

func printLimits(w io.Writer, l limitsHeld) {
	fmt.Fprintf(w, "\nof the limit, vendor at %s\tseconds\tcalls/s of %d\tany second\tany 10 s\tleast in 10 s\tin flight of %d\tat most\n", scaleLatency, limitRate, limitSlots) //nolint:errcheck // Flush says it
	for _, s := range l.Phases {
		fmt.Fprintf(w, "%s\t%.1f\t%.3f\t%.2f\t%.3f\t%.3f\t%.3f\t%d\n", //nolint:errcheck // Flush says it
			s.Name, s.seconds(), s.Rate, s.AnySecond, s.AnyTen, s.FewestTen, s.InFlight, s.Peak)
	}
	fmt.Fprintf(w, "of %d calls: overlaps %d, doubled %d, out of order %d, not met %d, overtaken %d, points %d\n", l.Calls, l.Overlaps, l.Doubled, l.OutOfOrder, l.Unmet, l.Overtaken, l.PointsOvertaken) //nolint:errcheck // Flush says it
}

func printNATS(w io.Writer, all []streamed) {
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(w, "\nNATS, %d/s, then %d at once, vendor at 0 ms\tack p50 ms\tp99\tcall p50 ms\tp99\tpublished/s\tevents/s\tNATS, vendor CPU/1,000\n", natsPace, natsBurst) //nolint:errcheck // Flush says it
	for _, k := range kindsOfNATS() {
		of := func(figure func(streamed) float64) float64 {
			var values []float64
			for _, r := range all {
				if r.NATS == k.name {
					values = append(values, figure(r))
				}
			}
			return median(values)
		}
		fmt.Fprintf(w, "%s\t%.2f\t%.2f\t%.2f\t%.2f\t%.0f\t%.0f\t%.3f\n", k.name, //nolint:errcheck // Flush says it
			of(func(r streamed) float64 { return r.AckP50 }), of(func(r streamed) float64 { return r.AckP99 }),
			of(func(r streamed) float64 { return r.CallP50 }), of(func(r streamed) float64 { return r.CallP99 }),
			of(func(r streamed) float64 { return r.Published }), of(func(r streamed) float64 { return r.PerSecond }),
			of(func(r streamed) float64 { return r.SharedCPU }))
	}
}

// workersGoals compare some workers with one that has as much of a core.
func workersGoals(all []workersResult) (goals []line) {
	for _, g := range all {
		name := fmt.Sprintf("%d workers, %s: ", g.Workers, coresText(g.Cores))
		goals = append(goals,
			none(name+"two calls of a lane at once", g.Overlaps, fmt.Sprintf("of %d events", g.Events)),
			none(name+"effects that are doubled", g.Doubled, ""),
			none(name+"calls out of order", g.OutOfOrder, ""))
		at := slices.IndexFunc(all, func(one workersResult) bool { return one.Workers == 1 && one.Cores == g.Cores })
		if g.Workers == 1 || at < 0 {
			continue
		}
		one := all[at]
		if g.Cores > 0 {
			goals = append(goals, atLeast(name+"calls in flight, of one worker's", g.Mean/one.Mean, .75*float64(g.Workers), "x", ""))
		}
		// One wake-up each second is the poll; what others do must not wake a worker.
		goals = append(goals,
			atMost(name+"wake-ups of each when idle", g.Idle.WakeUps, one.Idle.WakeUps+.25, "/s", fmt.Sprintf("alone %.2f", one.Idle.WakeUps)),
			atMost(name+"wake-ups of each at work", g.Busy.WakeUps, 2*max(one.Busy.WakeUps, 1)+5, "/s", fmt.Sprintf("alone %.2f", one.Busy.WakeUps)),
			atMost(name+"empty claims of each at work", g.Busy.EmptyClaims, 1, "/s", fmt.Sprintf("alone %.2f", one.Busy.EmptyClaims)))
	}
	return goals
}

// limitGoals are for the run as a whole in flight, and where nobody comes or goes
// for the rate: a share that is free for a moment costs some calls.
func limitGoals(l *limitsHeld) (goals []line) {
	if l == nil {
		return nil
	}
	for _, s := range l.Phases {
		if s.Workers > 0 {
			goals = append(goals,
				atMost(s.Name+": calls a second, of the limit", s.Rate, 1.05, "", ""),
				atLeast(s.Name+": calls a second, of the limit", s.Rate, .95, "", ""),
				atLeast(s.Name+": calls in flight, of the limit", s.InFlight, .95, "", ""))
		}
		goals = append(goals,
			atMost(s.Name+": calls in any ten seconds, of the limit", s.AnyTen, 1.05, "", ""),
			atMost(s.Name+": calls in flight at most", float64(s.Peak), limitSlots*1.05, "", ""))
	}
	return append(goals,
		none("workers that come and go: two calls of a lane at once", l.Overlaps, fmt.Sprintf("of %d calls", l.Calls)),
		none("workers that come and go: effects that are doubled", l.Doubled, ""),
		none("workers that come and go: calls out of order", l.OutOfOrder, ""))
}
