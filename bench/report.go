package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// machine is what the figures were taken on.
type machine struct {
	Cores      int    `json:"cores"`
	OS         string `json:"os"`
	Go         string `json:"go"`
	Postgres   string `json:"postgres"`
	EventBytes int    `json:"event_bytes"`
}

type report struct {
	Machine machine   `json:"machine"`
	Rounds  int       `json:"rounds"`
	Seconds float64   `json:"seconds"`
	Summary []summary `json:"summary"`
	Results []result  `json:"results"`
}

// summary is one contender of a scene over all rounds: medians.
type summary struct {
	result
	Lowest  float64 `json:"lowest_events_per_second"`
	Highest float64 `json:"highest_events_per_second"`
	// Ratio is the median over the rounds of the first contender's events/s to
	// this one's.
	Ratio float64 `json:"first_contender_to_this"`
}

func newReport(m machine, o options, results []result, took time.Duration) report {
	return report{Machine: m, Rounds: o.rounds, Seconds: took.Seconds(), Summary: summarize(results), Results: results}
}

// summarize keeps the order in which scenes and contenders came first.
func summarize(results []result) []summary {
	type who struct{ scene, contender string }
	by, order := map[who][]result{}, []who{}
	first := map[string]string{}
	for _, r := range results {
		w := who{r.Scene, r.Contender}
		if by[w] == nil {
			order = append(order, w)
		}
		if first[r.Scene] == "" {
			first[r.Scene] = r.Contender
		}
		by[w] = append(by[w], r)
	}
	sums := make([]summary, len(order))
	for i, w := range order {
		rounds, base := by[w], by[who{w.scene, first[w.scene]}]
		speed := each(rounds, func(r result) float64 { return r.PerSecond })
		var ratios []float64
		for n := range min(len(rounds), len(base)) {
			ratios = append(ratios, base[n].PerSecond/rounds[n].PerSecond)
		}
		sums[i] = summary{result: medians(rounds), Lowest: slices.Min(speed), Highest: slices.Max(speed), Ratio: median(ratios)}
	}
	return sums
}

// medians is a round in which each figure is its median; what the ledger saw adds up.
func medians(rounds []result) result {
	m := rounds[0]
	m.Round, m.Effects, m.Calls, m.Mistakes = 0, 0, 0, map[string]int{}
	for _, r := range rounds {
		m.Effects, m.Calls = m.Effects+r.Effects, m.Calls+r.Calls
		for kind, n := range r.Mistakes {
			m.Mistakes[kind] += n
		}
	}
	for _, figure := range []func(*result) *float64{
		func(r *result) *float64 { return &r.Seconds }, func(r *result) *float64 { return &r.PerSecond },
		func(r *result) *float64 { return &r.CPU }, func(r *result) *float64 { return &r.PostgresCPU },
		func(r *result) *float64 { return &r.SharedCPU }, func(r *result) *float64 { return &r.PeakMiB },
		func(r *result) *float64 { return &r.WAL }, func(r *result) *float64 { return &r.Commits },
		func(r *result) *float64 { return &r.Versions }, func(r *result) *float64 { return &r.HOT },
		func(r *result) *float64 { return &r.LaneVersions }, func(r *result) *float64 { return &r.LaneHOT },
	} {
		*figure(&m) = median(each(rounds, func(r result) float64 { return *figure(&r) }))
	}
	return m
}

func each(rounds []result, figure func(result) float64) []float64 {
	var values []float64
	for _, r := range rounds {
		values = append(values, figure(r))
	}
	return values
}

func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// write prints the table.
func (r report) write(out io.Writer) error {
	fmt.Fprintf(out, "%d cores, %s, %s, Postgres %s (fsync on), events of %d bytes; medians of %d rounds; %.0f s in all\n",
		r.Machine.Cores, r.Machine.OS, r.Machine.Go, r.Machine.Postgres, r.Machine.EventBytes, r.Rounds, r.Seconds)
	fmt.Fprintln(out, "CPU: seconds per 1,000 events; shared: NATS and the vendor, which all of them need")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	const head = "\nscene\t|\tin flight\tevents\tevents/s\tlowest\thighest\tsyncworker is\tCPU\tPostgres\tshared\tMiB\tWAL B\tcommits\teffects\tmistakes\t"
	fmt.Fprintln(w, head)
	for _, s := range r.Summary {
		fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%.0f\t%.0f\t%.0f\t%.2fx\t%.3f\t%.3f\t%.3f\t%.0f\t%.0f\t%.2f\t%d of %d\t%d\t\n",
			s.Scene, s.Contender, s.Slots, s.Events, s.PerSecond, s.Lowest, s.Highest, s.Ratio,
			s.CPU, s.PostgresCPU, s.SharedCPU, s.PeakMiB, s.WAL, s.Commits, s.Effects, s.Events*r.Rounds, total(s.Mistakes))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	for _, s := range r.Summary {
		if s.Versions > 0 {
			fmt.Fprintf(out, "%s, %s: %.2f versions of a delivery, %.0f%% of its updates HOT; %.2f updates of lanes, %.0f%% HOT\n",
				s.Scene, s.Contender, s.Versions, 100*s.HOT, s.LaneVersions, 100*s.LaneHOT)
		}
		if total(s.Mistakes) > 0 {
			fmt.Fprintf(out, "%s, %s: the vendor saw %s\n", s.Scene, s.Contender, list(s.Mistakes))
		}
	}
	_, err := fmt.Fprintf(out, "kept: syncworker %s; bare loop %s; pool %s\n", keepsAll, keepsOne, keepsLast)
	return err
}

func total(mistakes map[string]int) (sum int) {
	for _, n := range mistakes {
		sum += n
	}
	return sum
}

func list(mistakes map[string]int) string {
	var kinds []string
	for kind, n := range mistakes {
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, n))
	}
	slices.Sort(kinds)
	return strings.Join(kinds, ", ")
}

func (r report) save(path string) error {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("keeping the figures: %w", err)
	}
	return nil
}
