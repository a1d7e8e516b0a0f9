package main

import (
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
	"syncworker/internal/outbox"
)

const root = "../.."

func TestWhatIsGeneratedIsCurrent(t *testing.T) {
	files, err := generate(root)
	require.NoError(t, err)
	require.Len(t, files, 2)
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(root, name))
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "%s isn't current: run make docs", name)
	}
}

func TestEveryFieldSaysWhatItIs(t *testing.T) {
	p, err := readPage(root)
	require.NoError(t, err)
	require.Len(t, p.Events, len(event.Types()))
	check := func(where string, rows []field) {
		require.NotEmpty(t, rows, where)
		for _, f := range rows {
			require.NotEmpty(t, f.Type, "%s: %s", where, f.Name)
			require.True(t, strings.HasSuffix(f.Meaning, "."), "%s: %s means %q", where, f.Name, f.Meaning)
			require.NotContains(t, f.Meaning, "|")
		}
	}
	for _, e := range p.Events {
		check(string(e.Type), e.Fields)
		require.NotEmpty(t, e.Says, e.Type)
	}
	for _, s := range p.Shared {
		check(s.Title, s.Fields)
	}
}

// matters returns the members of data without which, or with another value, an
// event has another key.
func matters(t *testing.T, typ event.Type, data map[string]any, keyOf func(*event.Event) any) map[string]bool {
	t.Helper()
	decode := func(data map[string]any) (event.Event, error) {
		payload, err := json.Marshal(map[string]any{
			"specversion": "1.0", "id": "e", "source": "s", "type": typ, "time": "2026-11-21T08:00:00Z", "data": data,
		})
		require.NoError(t, err)
		return event.Decode(event.Message{Subject: event.Subject(typ), Data: payload}, event.Limits{}, time.Date(2026, 11, 22, 0, 0, 0, 0, time.UTC))
	}
	before, err := decode(data)
	require.NoError(t, err)
	found := map[string]bool{}
	for name := range data {
		for _, other := range []any{"77", 77, "2026-11-20T08:00:00Z", []any{map[string]any{"type": "mobile", "value": "77", "lineId": "77", "productName": "n", "qty": 1}}} {
			changed := maps.Clone(data)
			changed[name] = other
			if e, err := decode(changed); err == nil && keyOf(&e) != keyOf(&before) {
				found[name] = true
			}
		}
	}
	return found
}

// named are the members that a sentence names.
func named(sentence string, e *entry) []string {
	var names []string
	for _, word := range regexp.MustCompile(`[a-zA-Z_]+(\.[a-z_]+)?`).FindAllString(sentence, -1) {
		of := func(f field) bool { return f.Name == word }
		if slices.ContainsFunc(e.Fields, of) && !slices.Contains(names, word) {
			names = append(names, word)
		}
	}
	slices.Sort(names)
	return names
}

func TestIdentityAndLaneAreThoseOfTheCode(t *testing.T) {
	p, err := readPage(root)
	require.NoError(t, err)
	identity := func(e *event.Event) any { return e.Identity() }
	lane := func(e *event.Event) any { l, _ := outbox.LaneOf("account", e); return l }
	for _, e := range p.Events {
		var example struct{ Data map[string]any }
		require.NoError(t, json.Unmarshal([]byte(e.Example), &example))
		data := example.Data
		require.Equal(t, named(e.Identity, &e), slices.Sorted(maps.Keys(matters(t, e.Type, data, identity))), "identity of %s", e.Type)

		found := matters(t, e.Type, data, lane)
		if i := slices.IndexFunc(e.Fields, func(f field) bool { return f.Name == "membershipId" && f.Required != "yes" }); i >= 0 {
			delete(data, "membershipId") // a member is known by something else as well
			if e.Fields[i].Required != "" {
				data["identities"] = []any{map[string]any{"type": "wechat", "value": "666"}}
			}
			maps.Copy(found, matters(t, e.Type, data, lane))
		}
		require.Equal(t, named(e.Lane, &e), slices.Sorted(maps.Keys(found)), "lane of %s", e.Type)
	}
}
