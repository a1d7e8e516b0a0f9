package migrations_test

import (
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"syncworker/migrations"
)

// first is the migration with which the rule begins.
const first = 10

// takes are statements that take away what the workers use that run, or refuse
// what they write.
var takes = map[string]*regexp.Regexp{
	"drops":             regexp.MustCompile(`(?i)\bDROP\b`),
	"renames":           regexp.MustCompile(`(?i)\bRENAME\b`),
	"moves":             regexp.MustCompile(`(?i)\bSET SCHEMA\b`),
	"changes a type":    regexp.MustCompile(`(?i)\bALTER (COLUMN )?\w+ (SET DATA )?TYPE\b`),
	"wants a value":     regexp.MustCompile(`(?i)\bSET NOT NULL\b`),
	"adds a constraint": regexp.MustCompile(`(?i)\bADD (CONSTRAINT|CHECK|UNIQUE|PRIMARY|FOREIGN|EXCLUDE)\b`),
	"refuses rows":      regexp.MustCompile(`(?i)^CREATE UNIQUE INDEX\b`),
	"takes a right":     regexp.MustCompile(`(?i)\bREVOKE\b`),
	"empties":           regexp.MustCompile(`(?i)^(TRUNCATE|DELETE)\b`),
}

var (
	comment  = regexp.MustCompile(`--[^\n]*`)
	body     = regexp.MustCompile(`(?s)\$\$.*?\$\$`) // of a function: it takes nothing before it is called
	space    = regexp.MustCompile(`\s+`)
	why      = regexp.MustCompile(`(?m)^-- old workers: \S.{20,}`)
	marked   = regexp.MustCompile(`(?i)COMMENT ON SCHEMA outbox IS 'oldest worker: ([0-9]+)'`)
	table    = regexp.MustCompile(`(?i)^CREATE TABLE (?:IF NOT EXISTS )?([\w.]+)`)
	index    = regexp.MustCompile(`(?i)^CREATE (?:UNIQUE )?INDEX (CONCURRENTLY )?(\w+) ON ([\w.]+)`)
	makeway  = regexp.MustCompile(`(?i)^DROP INDEX CONCURRENTLY IF EXISTS outbox\.(\w+)$`)
	required = regexp.MustCompile(`(?i)\bADD (?:COLUMN )?(?:IF NOT EXISTS )?[^,]*\bNOT NULL\b[^,]*`)
	filled   = regexp.MustCompile(`(?i)\b(DEFAULT|GENERATED)\b`)
)

// broken says what a migration of this number does that the workers of the version
// before, which run meanwhile, can't live with.
func broken(number int64, text string) (found []string) {
	if mark := marked.FindStringSubmatch(text); mark != nil {
		if n, _ := strconv.ParseInt(mark[1], 10, 64); n < first || n >= number {
			return []string{fmt.Sprintf("oldest worker: %d: the version that stopped using it is %d to %d", n, first, number-1)}
		}
		return nil
	}
	if why.MatchString(text) {
		return nil
	}
	ours, remade, waits := map[string]bool{}, map[string]bool{}, false
	for sql := range strings.SplitSeq(body.ReplaceAllString(comment.ReplaceAllString(text, ""), ""), ";") {
		sql = strings.TrimSpace(space.ReplaceAllString(sql, " "))
		waits = waits || strings.EqualFold(sql, "SET lock_timeout = 0")
		if m := table.FindStringSubmatch(sql); m != nil {
			ours[m[1]] = true
		}
		if m := makeway.FindStringSubmatch(sql); m != nil {
			remade[m[1]] = true
			continue
		}
		if m := index.FindStringSubmatch(sql); m != nil {
			if ours[m[3]] {
				continue
			}
			if m[1] == "" {
				found = append(found, "stops who writes until the index is made: "+sql)
			} else if !remade[m[2]] || !waits {
				found = append(found, "isn't run as the package's comment says: "+sql)
			}
		}
		for what, pattern := range takes {
			if pattern.MatchString(sql) {
				found = append(found, what+": "+sql)
			}
		}
		for _, column := range required.FindAllString(sql, -1) {
			if !filled.MatchString(column) {
				found = append(found, "wants what older workers don't write: "+sql)
			}
		}
	}
	return found
}

func TestMigrationsExpand(t *testing.T) {
	files, err := fs.Glob(migrations.FS, "*.sql")
	require.NoError(t, err)
	for _, name := range files {
		number, err := goose.NumericComponent(name)
		require.NoError(t, err)
		if number < first {
			continue
		}
		text, err := fs.ReadFile(migrations.FS, name)
		require.NoError(t, err)
		require.Empty(t, broken(number, string(text)), "%s: see the package's comment", name)
	}
}

func TestTheRuleSeesWhatOlderWorkersCanNotLiveWith(t *testing.T) {
	const a = "ALTER TABLE outbox.deliveries "
	for sql, ok := range map[string]bool{
		"CREATE TABLE outbox.new (id bigint NOT NULL UNIQUE); CREATE UNIQUE INDEX new_id ON outbox.new (id)": true,
		a + "ADD COLUMN hint text":                                                                                                               true,
		a + "ADD COLUMN hint text NOT NULL DEFAULT ''":                                                                                           true,
		a + "ADD COLUMN hint numeric(9,2) NOT NULL DEFAULT 0, ADD COLUMN more text":                                                              true,
		a + "ADD COLUMN double bigint NOT NULL GENERATED ALWAYS AS (2 * id) STORED":                                                              true,
		"CREATE FUNCTION outbox.f() RETURNS void LANGUAGE sql AS $$ DELETE FROM x; DROP TABLE y $$":                                              true,
		"-- what we DROP one day\nCREATE VIEW outbox.v AS SELECT 1":                                                                              true,
		"SET lock_timeout = 0; DROP INDEX CONCURRENTLY IF EXISTS outbox.by_hint;\nCREATE INDEX CONCURRENTLY by_hint ON outbox.deliveries (hint)": true,

		a + "ADD COLUMN hint text NOT NULL":                                  false,
		a + "ADD COLUMN hint text NOT NULL, ADD COLUMN more text DEFAULT ''": false,
		a + "DROP COLUMN reason":                                             false,
		a + "RENAME COLUMN reason TO cause":                                  false,
		a + "ALTER COLUMN reason\n\tTYPE varchar(10)":                        false,
		a + "ALTER COLUMN reason SET NOT NULL":                               false,
		a + "ADD CONSTRAINT short CHECK (length(reason) < 9) NOT VALID":      false,
		"DROP TABLE outbox.tokens":                                           false,
		"DELETE FROM outbox.tokens":                                          false,
		"CREATE UNIQUE INDEX CONCURRENTLY one ON outbox.deliveries (reason)": false,
		"CREATE INDEX by_reason ON outbox.deliveries (reason)":               false,
		"CREATE INDEX CONCURRENTLY by_reason ON outbox.deliveries (reason)":  false,
		"DROP INDEX CONCURRENTLY IF EXISTS outbox.by_reason;\nCREATE INDEX CONCURRENTLY by_reason ON outbox.deliveries (reason)":                   false,
		"SET lock_timeout = 0; DROP INDEX CONCURRENTLY IF EXISTS outbox.other;\nCREATE INDEX CONCURRENTLY by_reason ON outbox.deliveries (reason)": false,

		"-- old workers: none of them has ever read or written this column\n" + a + "DROP COLUMN reason": true,
		"-- old workers:\n" + a + "DROP COLUMN reason":                                                   false,
		"COMMENT ON SCHEMA outbox IS 'oldest worker: 11'; " + a + "DROP COLUMN reason":                   true,
		"COMMENT ON SCHEMA outbox IS 'oldest worker: 12'; " + a + "DROP COLUMN reason":                   false,
		"COMMENT ON SCHEMA outbox IS 'oldest worker: 9'; " + a + "DROP COLUMN reason":                    false,
		"COMMENT ON SCHEMA outbox IS 'at least 11'; " + a + "DROP COLUMN reason":                         false,
	} {
		require.Equal(t, ok, len(broken(12, sql)) == 0, "%s: %q", sql, broken(12, sql))
	}
}
