package main

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"
)

// beyond is how many samples have to lie above a quantile for it to mean anything.
const beyond = 2

// quantile of sorted samples, by the nearest rank; 0 where there are too few.
func quantile(sorted []float64, q float64) float64 {
	rank := int(math.Ceil(q*float64(len(sorted)) - 1e-9))
	if len(sorted)-rank < beyond {
		return 0
	}
	return sorted[rank-1]
}

// delaySummary is one contender at one pace over all rounds: medians.
type delaySummary struct {
	delay
	// The ratios are medians over the rounds: of the first contender's figure to
	// this one's in the same round.
	P50Ratio  float64 `json:"first_contenders_p50_to_this"`
	P99Ratio  float64 `json:"first_contenders_p99_to_this"`
	P999Ratio float64 `json:"first_contenders_p999_to_this"`
	CPURatio  float64 `json:"first_contenders_cpu_to_this"`
}

// summarizeDelays keeps the order of the paces; the first contender is the one
// that is measured.
func summarizeDelays(delays []delay, paces []pace, contenders []contender) (sums []delaySummary) {
	at := func(contender string, rate int) map[int]delay {
		rounds := map[int]delay{}
		for _, d := range delays {
			if d.Contender == contender && d.Rate == rate {
				rounds[d.Round] = d
			}
		}
		return rounds
	}
	for _, p := range paces {
		first := at(contenders[0].name, p.rate)
		for _, c := range contenders {
			rounds := at(c.name, p.rate)
			over := func(figure func(delay) float64) (mid, ratio float64) {
				var values, ratios []float64
				for round, d := range rounds {
					values, ratios = append(values, figure(d)), append(ratios, finite(figure(first[round])/figure(d)))
				}
				return median(values), median(ratios)
			}
			sum := delaySummary{delay: delay{Contender: c.name, Rate: p.rate, Samples: p.events()}}
			sum.P50, sum.P50Ratio = over(func(d delay) float64 { return d.P50 })
			sum.P99, sum.P99Ratio = over(func(d delay) float64 { return d.P99 })
			sum.P999, sum.P999Ratio = over(func(d delay) float64 { return d.P999 })
			_, sum.CPURatio = over(func(d delay) float64 { return d.CPU + d.PostgresCPU })
			sum.CPU, _ = over(func(d delay) float64 { return d.CPU })
			sum.PostgresCPU, _ = over(func(d delay) float64 { return d.PostgresCPU })
			sums = append(sums, sum)
		}
	}
	return sums
}

// The pace at which the worker is held against the bare ideal, and how much longer
// an event may take.
const (
	heldAt  = 100
	p50Goal = 1.3
	p99Goal = 1.5
)

func delayGoals(sums []delaySummary) (lines []line) {
	for _, s := range sums {
		if s.Rate == heldAt && s.Contender == "ideal" {
			lines = append(lines,
				atMost("p50 at 100 events/s", s.P50Ratio, p50Goal, "x the ideal's", ""),
				atMost("p99 at 100 events/s", s.P99Ratio, p99Goal, "x the ideal's", ""))
		}
	}
	return lines
}

func reportLatency(out io.Writer, o options, m machine, delays []delay) error {
	sums := summarizeDelays(delays, paces(o.full), contenders(o, latencySlots))
	fmt.Fprintf(out, "%d cores, %s, %s, Postgres %s (fsync on), vendor at 0 ms, %d in flight; medians of %d rounds\n",
		m.Cores, m.OS, m.Go, m.Postgres, latencySlots, o.rounds)
	fmt.Fprintf(out, "ms from right before publishing to the request at the vendor; – where fewer than %d samples lie beyond\n", beyond)
	fmt.Fprint(out, "x: syncworker's figure as a multiple of this one, median of the ratios of each round; CPU: seconds per 1,000 events\n\n")
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "events/s\t|\tsamples a round\tp50\tx\tp99\tx\tp99.9\tx\tCPU\tPostgres\tx\t") //nolint:errcheck // Flush says it
	for _, s := range sums {
		fmt.Fprintf(w, "%d\t%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\t%.3f\t%.3f\t%.2f\t\n", s.Rate, s.Contender, s.Samples, //nolint:errcheck // Flush says it
			known(s.P50), known(s.P50Ratio), known(s.P99), known(s.P99Ratio), known(s.P999), known(s.P999Ratio),
			s.CPU, s.PostgresCPU, s.CPURatio)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	fmt.Fprintln(out)
	lines := delayGoals(sums)
	missed, err := writeLines(out, lines)
	if err != nil {
		return err
	}
	figures := map[string]any{"machine": m, "rounds": o.rounds, "goals": lines, "summary": sums, "results": delays}
	if err := keep(o.out, figures); err != nil {
		return err
	}
	return missedGoals(missed)
}

func known(figure float64) string {
	if figure == 0 {
		return "–"
	}
	return fmt.Sprintf("%.2f", figure)
}
