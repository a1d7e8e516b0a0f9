package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"text/tabwriter"
)

// growthGoal is the least share of the empty tables' throughput.
const growthGoal = 0.9

// growthRow is a stage, by the medians of its rounds.
type growthRow struct {
	Stage        string
	Grown, Empty growthResult // each figure is the median
	Throughput   float64      // grown by empty, in the same round
	CPU          float64      // the same, of the worker and Postgres
}

// growthRows puts the rounds of each stage together. While an open query computes it
// takes a core: those rounds stand for themselves, and one in which it ended for nothing.
func growthRows(results []growthResult) (rows []growthRow) {
	type key struct {
		stage string
		round int
	}
	empty := map[key]growthResult{}
	var names []string
	byName := map[string][]growthResult{}
	for _, r := range results {
		if !r.Grown {
			empty[key{r.Stage, r.Round}] = r
		}
	}
	for _, r := range results {
		other, both := empty[key{r.Stage, r.Round}]
		if !r.Grown || !both || r.Computing != other.Computing {
			continue
		}
		name := r.Stage
		if r.Computing {
			name += ", which computes"
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
		byName[name] = append(byName[name], r)
	}
	for _, name := range names {
		row := growthRow{Stage: name}
		var others []growthResult
		var throughput, cpu []float64
		for _, r := range byName[name] {
			other := empty[key{r.Stage, r.Round}]
			others = append(others, other)
			throughput = append(throughput, r.PerSecond/other.PerSecond)
			cpu = append(cpu, (r.CPU+r.PostgresCPU)/(other.CPU+other.PostgresCPU))
		}
		row.Grown, row.Empty = medianGrowth(byName[name]), medianGrowth(others)
		row.Throughput, row.CPU = median(throughput), median(cpu)
		rows = append(rows, row)
	}
	return rows
}

// medianGrowth is the median of each figure that is printed.
func medianGrowth(results []growthResult) (m growthResult) {
	of := func(figure func(growthResult) float64) float64 {
		var all []float64
		for _, r := range results {
			all = append(all, figure(r))
		}
		return median(all)
	}
	m.PerSecond = of(func(r growthResult) float64 { return r.PerSecond })
	m.CPU = of(func(r growthResult) float64 { return r.CPU })
	m.PostgresCPU = of(func(r growthResult) float64 { return r.PostgresCPU })
	m.WAL = of(func(r growthResult) float64 { return r.WAL })
	m.FullPages = of(func(r growthResult) float64 { return r.FullPages })
	m.PeakMiB = of(func(r growthResult) float64 { return r.PeakMiB })
	m.Start = of(func(r growthResult) float64 { return r.Start })
	m.Stop = of(func(r growthResult) float64 { return r.Stop })
	m.PerClaim = of(func(r growthResult) float64 { return r.PerClaim })
	m.PerLane = of(func(r growthResult) float64 { return r.PerLane })
	m.NextDue = of(func(r growthResult) float64 { return r.NextDue })
	m.PerIntend = of(func(r growthResult) float64 { return r.PerIntend })
	return m
}

// reportGrowth prints the stages, keeps every figure, and says where the goal is missed.
func reportGrowth(out io.Writer, o options, m machine, results []growthResult) error {
	fmt.Fprintf(out, "%d cores, %s, %s, Postgres %s (fsync on); %d fresh events a measurement, %d in flight, vendor at 0 ms\n",
		m.Cores, m.OS, m.Go, m.Postgres, o.events, growthSlots)
	w := tabwriter.NewWriter(out, 0, 4, 2, ' ', 0)
	fmt.Fprintln(w, "tables\tdeliveries/s\tof empty\tCPU of empty\tworker + Postgres, CPU s per 1,000\tWAL bytes (whole pages) each\t"+ //nolint:errcheck // Flush says it
		"claim ms, per lane\tnext due ms\tintents ms\tMiB\tstart, stop s")
	line := func(name, shares string, r growthResult) {
		fmt.Fprintf(w, "%s\t%.0f\t%s\t%.3f + %.3f\t%.0f (%.2f)\t%.1f, %.3f\t%.2f\t%.2f\t%.0f\t%.1f, %.1f\n", name, r.PerSecond, shares, //nolint:errcheck // Flush says it
			r.CPU, r.PostgresCPU, r.WAL, r.FullPages, r.PerClaim, r.PerLane, r.NextDue, r.PerIntend, r.PeakMiB, r.Start, r.Stop)
	}
	var missed error
	for _, row := range growthRows(results) {
		mark := ""
		if row.Throughput < growthGoal {
			mark = " MISSED"
			missed = fmt.Errorf("%w: %s: %.2f of the empty tables' throughput", errGoalMissed, row.Stage, row.Throughput)
		}
		line(row.Stage, fmt.Sprintf("%.2f%s\t%.2f", row.Throughput, mark, row.CPU), row.Grown)
		line("  empty", "\t", row.Empty)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	text, err := json.MarshalIndent(map[string]any{"machine": m, "measurements": results}, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(o.out, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("keeping the figures: %w", err)
	}
	return missed
}
