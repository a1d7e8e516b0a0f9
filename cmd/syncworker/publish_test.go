package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"syncworker/internal/devstack"
	"syncworker/internal/devstack/devtest"
	"syncworker/internal/event"
)

// publishes runs the command on the day of the examples, and returns the lines of
// JSON that it prints.
func publishes(t *testing.T, stdin, natsURL string, args ...string) (lines []map[string]any, err error) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	a := &app{
		stdin: strings.NewReader(stdin), stdout: &stdout, stderr: &stderr, environ: []string{"SYNCWORKER_NATS_URL=" + natsURL},
		now: func() time.Time { return time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC) },
	}
	root := a.rootCmd()
	root.SetArgs(append([]string{"publish", "-o", "json"}, args...))
	err = root.ExecuteContext(t.Context())
	for d := json.NewDecoder(&stdout); d.More(); {
		var line map[string]any
		require.NoError(t, d.Decode(&line), stderr.String())
		lines = append(lines, line)
	}
	require.NotEmpty(t, lines, "%v", err)
	return lines, err
}

func TestEveryEventOfThePageIsPublishedOnce(t *testing.T) {
	var examples []string
	for _, block := range fence.FindAllStringSubmatch(pages(t)["docs/events.md"], -1) {
		examples = append(examples, strings.ReplaceAll(block[2], "\n", ""))
	}
	require.Len(t, examples, len(event.Types()))
	file := strings.Join(examples, "\n")
	server := devtest.NATSServer(t, devstack.NATSConfig{})

	for _, want := range []string{
		`{"events":21,"good":21,"refused":0,"published":21,"duplicates":0}`,
		`{"events":21,"good":21,"refused":0,"published":0,"duplicates":21}`,
	} {
		lines, err := publishes(t, file, server.URL)
		require.NoError(t, err)
		got, err := json.Marshal(lines[0])
		require.NoError(t, err)
		require.JSONEq(t, want, string(got))
	}

	conn, err := nats.Connect(server.URL)
	require.NoError(t, err)
	t.Cleanup(conn.Close)
	js, err := jetstream.New(conn)
	require.NoError(t, err)
	stream, err := js.Stream(t.Context(), "SYNC")
	require.NoError(t, err)
	ids := map[string]bool{}
	for i, typ := range event.Types() {
		m, err := stream.GetMsg(t.Context(), uint64(i+1))
		require.NoError(t, err)
		require.Equal(t, event.Subject(typ), m.Subject)
		require.Equal(t, examples[i], string(m.Data), "as it was written")
		ids[m.Header.Get(jetstream.MsgIDHeader)] = true
	}
	require.Len(t, ids, len(examples), "no event is taken for another")
}

func TestTwoTillsThatRedeemOneCodeAreBothPublished(t *testing.T) {
	server := devtest.NATSServer(t, devstack.NATSConfig{})
	till := func(id string, member string) string {
		return `{"specversion":"1.0","id":"` + id + `","source":"pos/` + id + `","type":"coupon.redeemed","time":"2026-11-21T08:00:00Z",` +
			`"data":{"couponCode":"34636772868722688","membershipId":` + member + `}}`
	}
	lines, err := publishes(t, till("1", "16508")+"\n"+till("2", "16508")+"\n"+till("3", "16509"), server.URL)
	require.NoError(t, err)
	require.EqualValues(t, 2, lines[0]["published"], "another member is a conflict, which somebody has to see")
	require.EqualValues(t, 1, lines[0]["duplicates"], "the same said twice")
}

func TestCheckNamesTheReasonOfEachBadEvent(t *testing.T) {
	files, err := filepath.Glob("../../internal/event/testdata/bad/*.json")
	require.NoError(t, err)
	checked := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		if !json.Valid(text) || text[0] != '{' {
			continue // several lines, each of which is refused for itself
		}
		lines, err := publishes(t, "", "", "--check", file)
		require.ErrorContains(t, err, "the contract refuses 1 of 1 event", file)
		reason, _, _ := strings.Cut(filepath.Base(file), "--")
		require.True(t, slices.ContainsFunc(lines, func(l map[string]any) bool { return l["reason"] == reason }), "%s: %v", file, lines)
		require.EqualValues(t, 1, lines[len(lines)-1]["refused"])
		checked++
	}
	require.Greater(t, checked, 200)
}
