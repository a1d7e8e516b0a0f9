package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Problem is one mistake in the configuration.
type Problem struct {
	Source  string `json:"source,omitempty"` // the file or the variable; empty where nothing was set
	Line    int    `json:"line,omitempty"`   // 0 where there is none
	Key     string `json:"key,omitempty"`    // key path such as vendors.dmhub.timeout
	Message string `json:"message"`          // what was found and what is allowed
}

func (p Problem) String() string {
	var b strings.Builder
	if p.Source != "" {
		b.WriteString(p.Source)
		if p.Line > 0 {
			fmt.Fprintf(&b, ":%d", p.Line)
		}
		b.WriteString(": ")
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	return b.String() + p.Message
}

// Problems is every mistake in the configuration. It is never empty as an error.
type Problems []Problem

func (ps Problems) Error() string {
	if len(ps) == 1 {
		return "the configuration has an error\n  " + ps[0].String()
	}
	lines := []string{fmt.Sprintf("the configuration has %d errors", len(ps))}
	for _, p := range ps {
		lines = append(lines, p.String())
	}
	return strings.Join(lines, "\n  ")
}

// asError sorts the problems by where they are: files before variables before
// what nobody set.
func asError(ps []Problem) error {
	if len(ps) == 0 {
		return nil
	}
	rank := func(p Problem) int {
		switch {
		case p.Line > 0:
			return 0
		case p.Source != "":
			return 1
		}
		return 2
	}
	slices.SortStableFunc(ps, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Source, b.Source), cmp.Compare(a.Key, b.Key))
	})
	return Problems(ps)
}

// DidYouMean is "; did you mean X?" for the known word nearest to the one that
// was written, or empty where none is near.
func DidYouMean(written string, known []string) string {
	best, least := "", max(1, len(written)/3)+1
	for _, k := range known {
		if d := distance(strings.ToLower(written), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	if best == "" {
		return ""
	}
	return "; did you mean " + best + "?"
}

// distance counts the single-byte edits between two words, a swap of neighbours
// being one.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
