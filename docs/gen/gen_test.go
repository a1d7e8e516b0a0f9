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
	"syncworker/internal/vendors/every"
)

const root = "../.."

func TestWhatIsGeneratedIsCurrent(t *testing.T) {
	files, err := generate(root)
	require.NoError(t, err)
	require.Len(t, files, 3)
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
		require.NotEmpty(t, e.Accounts, "%s: no kind of account takes it", e.Type)
	}
	for _, s := range p.Shared {
		check(s.Title, s.Fields)
	}
}

// Each event that a kind takes has its endpoint, and no cell of the table is empty.
func TestTheTableOfEndpointsIsWhole(t *testing.T) {
	for _, k := range every.Kinds() {
		reached := map[event.Type]bool{}
		seen := map[string]bool{}
		for _, e := range k.Endpoints {
			name := k.Name + " " + e.Method + " " + e.Path
			require.False(t, seen[name+e.Section+string(e.Event)], "%s stands twice", name)
			seen[name+e.Section+string(e.Event)] = true
			require.NotEmpty(t, e.Section, name)
			require.Contains(t, []string{"GET", "POST", "PUT", "DELETE"}, e.Method, name)
			require.True(t, strings.HasPrefix(e.Path, "/"), name)
			require.NotEmpty(t, reachedBy(e), "%s is reached by nothing", name)
			require.NotEmpty(t, whenUnclear(e), "%s doesn't say what happens where its answer isn't clear", name)
			reached[e.Event] = true
		}
		for _, typ := range k.Takes {
			require.True(t, reached[typ], "%s has no endpoint for %s", k.Name, typ)
		}
		by := shownBy(k)
		for _, test := range []string{by.reached, by.conforms, by.faults} {
			require.Contains(t, testsOf(t, packageOf(k)), test, "%s has no such test", packageOf(k))
		}
	}
	require.NotContains(t, endpointTables(), "|  |")
}

// testsOf are the names of a package's tests.
func testsOf(t *testing.T, folder string) (names []string) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, folder, "*_test.go"))
	require.NoError(t, err)
	for _, file := range files {
		text, err := os.ReadFile(file)
		require.NoError(t, err)
		for _, m := range regexp.MustCompile(`(?m)^func (Test\w+)\(`).FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1])
		}
	}
	return names
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
