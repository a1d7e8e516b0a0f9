package migrations_test

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// documented returns the SQL blocks of a Markdown file by the heading that they
// stand under.
func documented(t *testing.T, file string) map[string]string {
	t.Helper()
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	blocks := map[string]string{}
	heading, inside := "", false
	for line := range strings.Lines(string(text)) {
		switch {
		case strings.HasPrefix(line, "```"):
			if inside = !inside && line == "```sql\n"; inside {
				require.NotContains(t, blocks, heading, "one query per heading")
				blocks[heading] = ""
			}
		case inside:
			blocks[heading] += line
		case strings.HasPrefix(line, "#"):
			heading = strings.TrimSpace(strings.TrimLeft(line, "#"))
		}
	}
	return blocks
}

func TestTheDocumentedQueriesAnswerWhatFinanceAsks(t *testing.T) {
	b := newBooks(t)
	b.add(aDaysTrade()...)

	// A % stands for the columns that are times.
	want := map[string][]string{
		"An order that goes to two accounts": {"5 | 150.30"},
		"Today's net by store":               {"Jingan | 3 | 70.00", "Pudong | 2 | -249.70"},
		"Yesterday's totals by account":      {"dmhub | 2 | 260.00 | 60.00 | 12.34 | 4 | 0 | 0"},
		"What is held, and for how much": {
			"dmhub | no_read | 2 | 30.00 | 7.00 | - | %",
			"dmhub | member_not_found | 1 | - | - | 50 | %",
			"dmhub | several_refunds | 1 | - | - | - | %",
			"dmhub | superseded | 1 | - | - | - | %",
		},
		"Orders paid but not delivered for more than an hour": {"dmhub | A5 | Pudong | %", "dmhub | A6 | Pudong | %"},
		"Points granted without a delivered order":            {"dmhub | p3 | id:16508 | 100 | order A6 | %"},
		"Refunds that exceed what was paid":                   {"dmhub | A7 | Pudong | 200.00 | 250.00 | 50.00"},
		"Refunds delivered without a delivered order":         {"dmhub | A8 | r8 | 12.34 | %"},
		"Cancelled orders with open refunds":                  {"dmhub | A4 | cancelled | 50.00 | 10.00"},
		"What the vendor refused, with its code and the money": {
			"dmhub | order.created | refused | 210 | member 138****0000 not found | 1 | 40.00 | -",
			"dmhub | point.decremented | refused | 409180 | Points not enough! | 1 | - | 9",
		},
	}
	blocks := documented(t, "../docs/finance.md")
	require.Len(t, blocks, 11)
	for heading, sql := range blocks {
		t.Run(heading, func(t *testing.T) {
			got := b.rows(sql)
			lines, known := want[heading]
			if !known {
				require.Equal(t, "Points in and out by member this month", heading)
				requirePointsByMember(t, got)
				return
			}
			require.Len(t, got, len(lines), "%v", got)
			for i, line := range lines {
				if start, cut := strings.CutSuffix(line, "%"); cut {
					require.Truef(t, strings.HasPrefix(got[i], start), "%s\nis not %s", got[i], line)
				} else {
					require.Equal(t, line, got[i])
				}
			}
		})
	}
}

// requirePointsByMember looks at today's members; yesterday's may be of another month.
func requirePointsByMember(t *testing.T, got []string) {
	t.Helper()
	sums := map[string]string{}
	masked := map[string]int{}
	for _, row := range got {
		f := strings.Split(row, " | ")
		require.Len(t, f[2], 16, "the key of a member")
		masked[f[1]]++
		sums[f[1]+" "+f[5]] = strings.Join(f[3:5], " ")
	}
	require.Equal(t, "100 0", sums["id:16508 100"])
	require.Equal(t, 2, masked["mobile:138****0000"], "two members who look alike stay two")
	require.Equal(t, "8 3", sums["mobile:138****0000 5"])
	require.Equal(t, "7 0", sums["mobile:138****0000 7"])
}
