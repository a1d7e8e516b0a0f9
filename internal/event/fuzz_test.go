package event

import (
	"bytes"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"
)

// rewrite serializes JSON with other white space and its members in another
// order; numbers keep their literal, strings may be escaped otherwise.
func rewrite(t testing.TB, src []byte, random *rand.Rand) []byte {
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	var v any
	require.NoError(t, d.Decode(&v))
	return appendShuffled(nil, v, random)
}

func appendShuffled(buf []byte, v any, random *rand.Rand) []byte {
	buf = append(buf, strings.Repeat(" \n", random.IntN(2))...)
	switch v := v.(type) {
	case map[string]any:
		names := slices.Sorted(maps.Keys(v))
		random.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		buf = append(buf, '{')
		for i, name := range names {
			if i > 0 {
				buf = append(buf, ',')
			}
			buf = appendShuffled(buf, name, random)
			buf = append(buf, '\t', ':')
			buf = appendShuffled(buf, v[name], random)
		}
		return append(buf, '}')
	case []any:
		buf = append(buf, '[')
		for i, child := range v {
			if i > 0 {
				buf = append(buf, ',')
			}
			buf = appendShuffled(buf, child, random)
		}
		return append(buf, ']')
	default:
		leaf, _ := json.Marshal(v) // a string, number, bool or null from JSON marshals
		return append(buf, leaf...)
	}
}

func FuzzDecode(f *testing.F) {
	for _, dir := range []string{"good", "bad"} {
		for _, file := range corpus(f, dir) {
			if len(file.payload) < 4096 {
				f.Add(file.payload, uint64(len(file.payload)))
			}
		}
	}
	f.Fuzz(func(t *testing.T, payload []byte, seed uint64) {
		m := message(payload)
		e, err := Decode(m, Limits{}, corpusNow)
		rejects := Check(m, Limits{}, corpusNow)
		if err != nil {
			require.Equal(t, err, error(&rejects[0]))
			require.Contains(t, Reasons(), rejects[0].Reason)
			for _, r := range rejects {
				require.True(t, utf8.ValidString(r.Error()))
				require.NotContains(t, r.Error(), "\x00")
			}
			return
		}
		require.Empty(t, rejects)
		require.True(t, json.Valid(payload))
		require.True(t, json.Valid(e.Data))
		id := e.Identity()
		for _, s := range []string{e.ID, e.Source, e.Store, e.SalesChannel, e.Remark, e.Pattern, e.Member.Key(), e.Key, e.VendorKey(), id.Tenant, id.OrderNo, id.UUID} {
			require.True(t, utf8.ValidString(s))
			require.NotContains(t, s, "\x00")
		}
		require.NotEqual(t, id.OrderNo+id.UUID, "")
		require.LessOrEqual(t, max(len(id.OrderNo), len(id.UUID), len(e.Key), len(e.Member.MembershipID)), MaxKey)
		about := Event{Type: e.Type, Tenant: e.Tenant, UUID: e.UUID, Data: e.Data}
		require.NoError(t, about.ReadAbout())
		require.Equal(t, e.Member, about.Member)
		require.Equal(t, e.Key, about.Key)

		again := rewrite(t, payload, rand.New(rand.NewPCG(seed, 1)))
		other, err := Decode(message(again), Limits{MaxBytes: 2*len(again) + 1}, corpusNow)
		require.NoError(t, err, "%s", again)
		require.Equal(t, e.Hash, other.Hash, "%s", again)
		require.Equal(t, MsgID(&e), MsgID(&other))
	})
}

func FuzzHash(f *testing.F) {
	for _, s := range [][2]string{{`1.0`, `1e0`}, {`{"a":1,"b":2}`, `{"b":2,"a":1}`}, {`1e400`, `-1e-400`}, {`"\u00e9"`, `"é"`}, {`[1,[2]]`, `[[1],2]`}, {`0.10`, `1e-1`}, {`100`, `1e2`}, {`-0`, `0`}} {
		f.Add([]byte(s[0]), []byte(s[1]))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		docA, okA := hashable(a)
		docB, okB := hashable(b)
		if !okA || !okB {
			return
		}
		require.True(t, json.Valid(a), "the scanner takes what JSON doesn't have")
		same := docA.meaning(OrderCreated, "t", 0) == docB.meaning(OrderCreated, "t", 0)
		require.Equal(t, reference(t, a) == reference(t, b), same, "%s\n%s", a, b)
	})
}

// hashable is what Decode would hash.
func hashable(src []byte) (*document, bool) {
	doc, bad := scan(src, "data")
	if bad != nil {
		return nil, false
	}
	c := checker{doc: doc, limit: 1}
	c.numbers(0)
	return doc, len(doc.flaws) == 0 && len(c.rejects) == 0
}

// reference says the same as the hash by other means: the standard library's
// tree, with each number as an exact fraction.
func reference(t testing.TB, src []byte) string {
	d := json.NewDecoder(bytes.NewReader(src))
	d.UseNumber()
	var v any
	require.NoError(t, d.Decode(&v))
	out, err := json.Marshal(fractions(t, v))
	require.NoError(t, err)
	return string(out)
}

func FuzzSplice(f *testing.F) {
	f.Add([]byte(`{"a":1.10 , "b":[1,{"a":2}]}`), "a", []byte(`2`), "b")
	f.Add([]byte(`{}`), "a", []byte(`null`), "")
	f.Add([]byte(` { "\u0061" : "}" } `), "a", []byte(`"x"`), "a")
	f.Fuzz(func(t *testing.T, object []byte, name string, value []byte, drop string) {
		doc, bad := scan(object, "")
		if bad != nil || len(doc.flaws) > 0 || doc.nodes[0].kind != kindObject || !utf8.ValidString(name) {
			return
		}
		before := slices.Clone(object)
		got, err := Splice(object, []Set{{name, value}}, []string{drop})
		require.Equal(t, before, object)
		if !json.Valid(value) || !utf8.Valid(value) {
			if err == nil {
				require.True(t, json.Valid(got))
			}
			return
		}
		if err != nil {
			require.ErrorContains(t, err, string(TooDeep))
			return
		}
		var was, is map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(object, &was))
		require.NoError(t, json.Unmarshal(got, &is), "%s", got)
		delete(was, drop)
		was[name] = bytes.TrimSpace(value)
		require.Equal(t, was, is)
	})
}
