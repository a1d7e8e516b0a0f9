// Package docs_test holds the pages against the code.
package docs_test

import (
	"context"
	"errors"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"syncworker/internal/config"
	"syncworker/internal/devstack"
	"syncworker/internal/devstack/devtest"
	"syncworker/internal/event"
	"syncworker/internal/outbox"
	"syncworker/internal/vendors/every"
)

func TestMain(m *testing.M) { os.Exit(devtest.Run(m)) }

// files returns the project's files with this ending, by path from the root.
func files(t *testing.T, ending string) map[string]string {
	t.Helper()
	root, found := os.DirFS(".."), map[string]string{}
	require.NoError(t, fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "node_modules" || len(d.Name()) > 1 && d.Name()[0] == '.'):
			return fs.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, ending):
			return nil
		}
		text, err := fs.ReadFile(root, name)
		found[name] = string(text)
		return err
	}))
	require.NotEmpty(t, found)
	return found
}

var fence = regexp.MustCompile("(?ms)^```(\\w*) ?([^\n]*)\n(.*?)^```")

// block is a fenced block: its language, what stands behind that, and its text.
type block struct{ page, language, note, text string }

func blocks(t *testing.T, language string) []block {
	t.Helper()
	var found []block
	for name, text := range files(t, ".md") {
		for _, b := range fence.FindAllStringSubmatch(text, -1) {
			if b[1] == language {
				found = append(found, block{name, b[1], b[2], b[3]})
			}
		}
	}
	require.NotEmpty(t, found)
	return found
}

func TestEventsShownAreWhatTheContractTakesOrRefuses(t *testing.T) {
	refused := 0
	for _, b := range blocks(t, "json") {
		kind := regexp.MustCompile(`"type"\s*:\s*"([^"]+)"`).FindStringSubmatch(b.text)
		require.NotNil(t, kind, "%s: %s", b.page, b.text)
		m := event.Message{Subject: event.Subject(event.Type(kind[1])), Data: []byte(b.text)}
		_, err := event.Decode(m, event.Limits{}, time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC))
		if b.note == "" {
			require.NoError(t, err, "%s: %s", b.page, b.text)
			continue
		}
		var reject *event.Reject
		require.True(t, errors.As(err, &reject), "%s takes %s", b.page, b.text)
		require.Equal(t, b.note, string(reject.Reason), "%s: %s", b.page, b.text)
		refused++
	}
	require.Positive(t, refused)
}

func kinds() (list config.Kinds) {
	for _, k := range every.Kinds() {
		list = append(list, config.Kind{Name: k.Name, BaseURL: k.BaseURL, DailyQuota: k.DailyQuota, NeedsAppID: k.NeedsAppID, Takes: k.Takes})
	}
	return list
}

func TestConfigurationsShownLoad(t *testing.T) {
	for _, b := range blocks(t, "yaml") {
		file := filepath.Join(t.TempDir(), "syncworker.yaml")
		require.NoError(t, os.WriteFile(file, []byte(b.text), 0o600))
		_, err := config.Load(file, nil, kinds())
		require.NoError(t, err, "%s: %s", b.page, b.text)
	}
}

// slug is the anchor that a heading gets on the page.
func slug(heading string) string {
	heading = strings.NewReplacer("`", "", "*", "").Replace(strings.ToLower(strings.TrimSpace(heading)))
	return strings.ReplaceAll(regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(heading, ""), " ", "-")
}

func TestLinksLeadSomewhere(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading := regexp.MustCompile(`(?m)^#+ (.*)$`)
	pages := files(t, ".md")
	for name, text := range pages {
		for _, l := range link.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
			if strings.Contains(l[1], "://") {
				continue
			}
			to, anchor, _ := strings.Cut(l[1], "#")
			target := name
			if to != "" {
				target = path.Join(path.Dir(name), to)
				_, err := os.Stat(filepath.Join("..", target))
				require.NoError(t, err, "%s links to %s", name, l[1])
			}
			if anchor == "" {
				continue
			}
			var anchors []string
			for _, h := range heading.FindAllStringSubmatch(fence.ReplaceAllString(pages[target], ""), -1) {
				anchors = append(anchors, slug(h[1]))
			}
			require.Contains(t, anchors, anchor, "%s links to %s", name, l[1])
		}
	}
}

// constants returns the string constants of a package's files that pick wants,
// by name.
func constants(t *testing.T, pattern string, pick func(name string) bool) map[string]string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join("..", pattern))
	require.NoError(t, err)
	found := map[string]string{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			spec, ok := n.(*ast.ValueSpec)
			for i := 0; ok && i < len(spec.Values); i++ {
				if lit, isLit := spec.Values[i].(*ast.BasicLit); isLit && lit.Kind == token.STRING && pick(spec.Names[i].Name) {
					found[spec.Names[i].Name], err = strconv.Unquote(lit.Value)
					require.NoError(t, err)
				}
			}
			return true
		})
	}
	require.NotEmpty(t, found, pattern)
	return found
}

// rows returns the code in the first column of a page's tables, from a heading
// on to the next of the same level.
func rows(t *testing.T, page, heading string) []string {
	t.Helper()
	_, text, found := strings.Cut(files(t, ".md")[page], "\n## "+heading+"\n")
	require.True(t, found, "%s has no heading %s", page, heading)
	text, _, _ = strings.Cut(text, "\n## ")
	var first []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(text, -1) {
		if !slices.Contains(first, m[1]) {
			first = append(first, m[1])
		}
	}
	return first
}

func TestEveryReasonIsExplained(t *testing.T) {
	var contract []string
	for _, r := range event.Reasons() {
		contract = append(contract, string(r))
	}
	require.Equal(t, contract, rows(t, "docs/contract.md", "What is refused"))

	want := map[string]bool{}
	for _, found := range []map[string]string{
		constants(t, "internal/dispatch/reasons.go", func(string) bool { return true }),
		constants(t, "internal/outbox/*.go", func(name string) bool { return strings.HasPrefix(name, "Reason") }),
		constants(t, "internal/vendors/reply.go", func(name string) bool {
			return strings.HasPrefix(name, "Hold")
		}),
	} {
		for _, reason := range found {
			want[reason] = true
		}
	}
	explained := rows(t, "docs/states.md", "Reasons")
	for reason := range want {
		require.Contains(t, explained, reason)
	}
	for _, reason := range explained {
		require.True(t, want[reason], "docs/states.md explains %s, which nothing gives", reason)
	}
}

func TestEveryMetricIsExplained(t *testing.T) {
	name := regexp.MustCompile(`"(syncworker_[a-z_]+)"`)
	var metrics []string
	for file, text := range files(t, ".go") {
		if strings.HasSuffix(file, "_test.go") || !strings.Contains(text, "prometheus.") {
			continue
		}
		for _, m := range name.FindAllStringSubmatch(text, -1) {
			metrics = append(metrics, m[1])
		}
	}
	require.ElementsMatch(t, metrics, rows(t, "docs/operations.md", "Metrics"))
}

func TestEveryTestThatIsNamedExists(t *testing.T) {
	var code strings.Builder
	for file, text := range files(t, ".go") {
		if strings.HasSuffix(file, "_test.go") {
			code.WriteString(text)
		}
	}
	named := 0
	for page, text := range files(t, ".md") {
		for _, m := range regexp.MustCompile("`((?:Test|Fuzz)[A-Z]\\w+)`").FindAllStringSubmatch(text, -1) {
			require.Contains(t, code.String(), "func "+m[1]+"(", page)
			named++
		}
	}
	require.Positive(t, named)
}

func TestReadmeShowsTheExamplesAsTheyAre(t *testing.T) {
	readme := files(t, ".md")["README.md"]
	for _, name := range []string{"order.json", "go/main.go", "Publish.java", "publish.py"} {
		text, err := os.ReadFile(filepath.Join("examples", name))
		require.NoError(t, err)
		require.Contains(t, readme, "\n"+string(text)+"```\n", name)
	}
}

func TestQueriesShownRunAsFinance(t *testing.T) {
	migrate := func(ctx context.Context, url string) error { _, err := outbox.Migrate(ctx, url, nil); return err }
	db, err := pgx.Connect(t.Context(), devtest.Database(t, migrate))
	require.NoError(t, err)
	t.Cleanup(func() { _ = db.Close(context.Background()) })
	_, err = db.Exec(t.Context(), `SET ROLE syncworker_finance`)
	require.NoError(t, err)
	for _, b := range blocks(t, "sql") {
		_, err := db.Exec(t.Context(), b.text)
		require.NoError(t, err, "%s: %s", b.page, b.text)
	}
}

func TestTheGoExamplePublishesAnEventOfTheContract(t *testing.T) {
	server := devtest.NATSServer(t, devstack.NATSConfig{})
	conn, err := nats.Connect(server.URL)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	stream, err := js.CreateStream(ctx, jetstream.StreamConfig{Name: "SYNC", Subjects: []string{"sync.events.>"}})
	require.NoError(t, err)

	cmd := exec.CommandContext(ctx, "go", "run", "./examples/go")
	cmd.Env = append(cmd.Environ(), "NATS_URL="+server.URL)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))

	m, err := stream.GetMsg(ctx, 1)
	require.NoError(t, err)
	e, err := event.Decode(event.Message{Subject: m.Subject, Header: m.Header, Data: m.Data}, event.Limits{}, time.Now())
	require.NoError(t, err)
	require.Equal(t, event.OrderCreated, e.Type)
	require.Equal(t, e.ID, m.Header.Get(jetstream.MsgIDHeader))
	require.Equal(t, "30.5", e.Amount.Decimal.String())
}
