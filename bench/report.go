package main

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
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
	Killed  []crash   `json:"killed"`
	Results []result  `json:"results"`
}

// summary is one contender of a scene over all rounds: medians.
type summary struct {
	result
	Lowest  float64 `json:"lowest_events_per_second"`
	Highest float64 `json:"highest_events_per_second"`
	// The ratios are medians over the rounds: of the first contender's figure to
	// this one's in the same round.
	Ratio    float64 `json:"first_contender_to_this"` // events/s
	CPURatio float64 `json:"first_contenders_cpu_to_this"`
	WALRatio float64 `json:"first_contenders_wal_to_this"`
}

func newReport(m machine, o options, results []result, killed []crash, took time.Duration) report {
	return report{Machine: m, Rounds: o.rounds, Seconds: took.Seconds(), Summary: summarize(results), Killed: killed, Results: results}
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
		ratio := func(figure func(result) float64) float64 {
			var ratios []float64
			for n := range min(len(rounds), len(base)) {
				ratios = append(ratios, figure(base[n])/figure(rounds[n]))
			}
			return finite(median(ratios))
		}
		sums[i] = summary{
			result: medians(rounds), Lowest: slices.Min(speed), Highest: slices.Max(speed),
			Ratio:    ratio(func(r result) float64 { return r.PerSecond }),
			CPURatio: ratio(func(r result) float64 { return r.CPU + r.PostgresCPU }),
			WALRatio: ratio(func(r result) float64 { return r.WAL }),
		}
	}
	return sums
}

// medians is a round in which each figure is its median; what the ledger saw adds up.
func medians(rounds []result) result {
	m := rounds[0]
	m.Round, m.Effects, m.Calls, m.Mistakes, m.Lost, m.verdict = 0, 0, 0, map[string]int{}, 0, verdict{}
	for _, r := range rounds {
		m.Effects, m.Calls, m.Lost = m.Effects+r.Effects, m.Calls+r.Calls, m.Lost+r.Lost
		m.Doubled, m.OutOfOrder = m.Doubled+r.Doubled, m.OutOfOrder+r.OutOfOrder
		m.PointsOutOfOrder += r.PointsOutOfOrder
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

// finite is 0 for what JSON can't write.
func finite(x float64) float64 {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		return 0
	}
	return x
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
	if len(r.Summary) > 0 {
		if err := r.writeRounds(out); err != nil {
			return err
		}
	}
	if err := writeStatements(out, r.Results); err != nil {
		return err
	}
	return writeKilled(out, r.Killed)
}

func (r report) writeRounds(out io.Writer) error {
	fmt.Fprintln(out, "CPU: seconds per 1,000 events; shared: NATS and the vendor, which all of them need")
	fmt.Fprintln(out, "x: syncworker's figure as a multiple of this one, median of the ratios of each round; the last four columns: sums")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\nscene\t|\tin flight\tevents/s\tlowest\thighest\tx\tCPU\tPostgres\tx\tshared\tMiB\tWAL B\tx\tcommits\tout of order\tpoints\tlost\tdoubled\t")
	for _, s := range r.Summary {
		fmt.Fprintf(w, "%s\t%s\t%d\t%.0f\t%.0f\t%.0f\t%.2f\t%.3f\t%.3f\t%.2f\t%.3f\t%.0f\t%.0f\t%.2f\t%.2f\t%d\t%d\t%d\t%d\t\n",
			s.Scene, s.Contender, s.Slots, s.PerSecond, s.Lowest, s.Highest, s.Ratio, s.CPU, s.PostgresCPU, s.CPURatio,
			s.SharedCPU, s.PeakMiB, s.WAL, s.WALRatio, s.Commits, s.OutOfOrder, s.PointsOutOfOrder, s.Lost, s.Doubled)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	for i, s := range r.Summary {
		if s.Versions > 0 {
			fmt.Fprintf(out, "%s, %s: %.2f versions of a delivery, %.0f%% of its updates HOT; %.2f updates of lanes, %.0f%% HOT\n",
				s.Scene, s.Contender, s.Versions, 100*s.HOT, s.LaneVersions, 100*s.LaneHOT)
		}
		if first := i == 0 || r.Summary[i-1].Scene != s.Scene; first && total(s.Mistakes) > 0 {
			fmt.Fprintf(out, "%s, %s: the vendor saw %s\n", s.Scene, s.Contender, list(s.Mistakes))
		}
	}
	return nil
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

func (r report) save(path string) error { return keep(path, r) }

// keep writes figures as JSON.
func keep(path string, figures any) error {
	text, err := json.MarshalIndent(figures, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("keeping the figures: %w", err)
	}
	return nil
}
