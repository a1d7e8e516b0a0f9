package event

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"syncworker/contracts"
)

// corpusNow is the clock that the corpus is judged by.
var corpusNow = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

// noFile are reasons that no payload can have by itself.
var noFile = map[Reason]string{
	TooLarge:        "a limit of the configuration; TestRejectsMoreThanTheLimit",
	SubjectMismatch: "lies between the payload and its subject; TestRejectsAnotherSubject",
}

// beyondSchema says why JSON Schema can't refuse what the decoder refuses; the
// keys are a reason or the name of a file of the bad corpus.
var beyondSchema = map[string]string{
	string(NotUTF8):      "a schema sees text, and Go's JSON reader repairs it",
	string(DuplicateKey): "JSON Schema's data model has each name once",
	string(KeyCase):      "names are compared exactly, and a pattern of every case of every name would bury the schema",
	string(TooDeep):      "a schema can't bound the depth of what it doesn't describe",

	"bad_character--nul-in-custom-field":   "the schema leaves unknown fields alone",
	"bad_character--nul-in-a-name":         "the schema leaves unknown fields alone",
	"bad_character--replacement-in-a-name": "the schema leaves unknown fields alone",
	"bad_character--lone-surrogate":        "JSON readers replace it before the schema sees it",
	"bad_character--low-surrogate-first":   "JSON readers replace it before the schema sees it",

	"key_too_long--chinese":  "maxLength counts characters, the columns count bytes",
	"text_too_long--chinese": "maxLength counts characters, the columns count bytes",

	"bad_number--custom-field-bomb":          "the schema leaves unknown fields alone",
	"bad_number--custom-field-digits":        "the schema leaves unknown fields alone",
	"bad_number--member-whole-with-fraction": "a schema sees the value, not how it is written",
	"bad_number--member-exponent":            "a schema sees the value, not how it is written",
	"bad_number--pattern-fraction":           "a schema sees the value, not how it is written",
	"bad_points--whole-with-fraction":        "a schema sees the value, not how it is written",
	"bad_points--exponent":                   "a schema sees the value, not how it is written",

	"bad_time--envelope-too-far-ahead": "depends on the clock",
	"bad_time--envelope-old-in-utc":    "a pattern sees the year as it is written",
}

// unreadable are files whose numbers this JSON Schema library can't hold.
var unreadable = []string{"bad_money--exponent-bomb", "bad_money--tiny-exponent-bomb", "bad_number--custom-field-bomb"}

// schemas compiles the contract of every type.
func schemas(t testing.TB) map[Type]*jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	files, err := contracts.Schemas.ReadDir(".")
	require.NoError(t, err)
	for _, f := range files {
		raw, err := contracts.Schemas.ReadFile(f.Name())
		require.NoError(t, err)
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
		require.NoError(t, err, f.Name())
		require.Equal(t, f.Name(), doc.(map[string]any)["$id"])
		require.NoError(t, c.AddResource(f.Name(), doc))
	}
	all := map[Type]*jsonschema.Schema{}
	for _, typ := range Types() {
		s, err := c.Compile(string(typ) + ".schema.json")
		require.NoError(t, err)
		all[typ] = s
	}
	require.Len(t, files, len(all)+1, "a schema per type and common.schema.json")
	return all
}

// fieldNames adds the members that a schema knows, and those of what it refers to.
func fieldNames(t *testing.T, common, schema map[string]any, names map[string]bool) {
	parts := []any{schema}
	if all, ok := schema["allOf"].([]any); ok {
		parts = append(parts, all...)
	}
	for _, part := range parts {
		ref, _ := part.(map[string]any)["$ref"].(string)
		if _, def, ok := strings.Cut(ref, "#/$defs/"); ok && def != "member" { // which only says that one of two is there
			fieldNames(t, common, common[def].(map[string]any), names)
		}
	}
	properties, _ := schema["properties"].(map[string]any)
	for name := range properties {
		names[name] = true
	}
}

func TestDecoderAndSchemasKnowTheSameFields(t *testing.T) {
	read := func(name string) (schema map[string]any) {
		raw, err := contracts.Schemas.ReadFile(name)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(raw, &schema))
		return schema
	}
	common := read("common.schema.json")["$defs"].(map[string]any)
	same := func(what string, s shape, schema map[string]any) {
		require.LessOrEqual(t, len(s.fields), maxFields, what)
		want, got := map[string]bool{}, map[string]bool{}
		for _, f := range s.fields {
			want[f.name] = true
		}
		fieldNames(t, common, schema, got)
		require.Equal(t, want, got, what)
	}
	for _, typ := range Types() {
		properties := read(string(typ) + ".schema.json")["properties"].(map[string]any)
		same(string(typ), shapes[typ].shape, properties["data"].(map[string]any))
	}
	for def, s := range map[string]shape{"line": namedLine, "identity": identityShape, "membership": membershipShape} {
		same(def, s, common[def].(map[string]any))
	}
}

// schemaRefuses reports whether no type's schema takes the payload.
func schemaRefuses(all map[Type]*jsonschema.Schema, payload []byte) bool {
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(payload))
	if err != nil {
		return true
	}
	s := all[typeOf(payload)]
	return s == nil || s.Validate(doc) != nil
}

// typeOf reads the type alone, as a publisher's own code knows it.
func typeOf(payload []byte) Type {
	var e struct {
		Type any `json:"type"`
	}
	_ = json.Unmarshal(payload, &e)
	s, _ := e.Type.(string)
	return Type(s)
}

// message puts a payload on the subject of its type.
func message(payload []byte) Message {
	return Message{Subject: Subject(typeOf(payload)), Data: payload}
}

type corpusFile struct {
	name    string
	payload []byte
}

func corpus(t testing.TB, dir string) []corpusFile {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join("testdata", dir, "*.json"))
	require.NoError(t, err)
	require.NotEmpty(t, paths)
	var files []corpusFile
	for _, p := range paths {
		raw, err := os.ReadFile(p)
		require.NoError(t, err)
		files = append(files, corpusFile{strings.TrimSuffix(filepath.Base(p), ".json"), raw})
	}
	return files
}

func TestDecoderAndSchemaTakeTheGoodCorpus(t *testing.T) {
	all := schemas(t)
	seen := map[Type]bool{}
	for _, f := range corpus(t, "good") {
		t.Run(f.name, func(t *testing.T) {
			e, err := Decode(message(f.payload), Limits{}, corpusNow)
			require.NoError(t, err)
			require.Empty(t, Check(message(f.payload), Limits{}, corpusNow))
			require.Contains(t, string(f.payload), string(e.Data), "data is what was published")
			seen[e.Type] = true

			doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(f.payload))
			require.NoError(t, err)
			require.NoError(t, all[e.Type].Validate(doc))
		})
	}
	require.Len(t, seen, len(Types()), "every type has a good event")
}

func TestDecoderAndSchemaRefuseTheBadCorpus(t *testing.T) {
	all := schemas(t)
	seen := map[Reason]bool{}
	for _, f := range corpus(t, "bad") {
		t.Run(f.name, func(t *testing.T) {
			reason, _, _ := strings.Cut(f.name, "--")
			_, err := Decode(message(f.payload), Limits{}, corpusNow)
			var reject *Reject
			require.ErrorAs(t, err, &reject)
			require.Equal(t, reason, string(reject.Reason), reject.Error())
			require.NotEmpty(t, reject.Detail)
			require.Less(t, len(reject.Error()), 400)
			require.Equal(t, *reject, Check(message(f.payload), Limits{}, corpusNow)[0])
			seen[reject.Reason] = true

			if slices.Contains(unreadable, f.name) {
				return
			}
			_, byReason := beyondSchema[reason]
			why, byName := beyondSchema[f.name]
			if !byReason && !byName {
				require.True(t, schemaRefuses(all, f.payload), "the schema takes it")
			} else if byName {
				require.False(t, schemaRefuses(all, f.payload), "the schema refuses it after all, in spite of: %s", why)
			}
		})
	}
	for _, r := range Reasons() {
		_, none := noFile[r]
		require.NotEqual(t, none, seen[r], "%s: a bad event or a reason why there is none", r)
	}
}

// Edge values for every rule, put in place of what a valid event has.
var edges = []string{
	`null`, `true`, `false`, `""`, `" "`, `"x"`, `"a b"`, `"a "`, `"\u0001"`, `"` + strings.Repeat("k", 129) + `"`,
	`"` + strings.Repeat("k", 1025) + `"`, `"2026-11-21T08:00:00Z"`, `"2026-11-21T08:00:00"`, `"1999-12-30T00:00:00Z"`,
	`"2026-11-21T08:00:00+08:00"`, `"16508"`, `"016"`, `"1.0"`, `0`, `-1`, `1`, `5`, `6`, `7`, `0.5`, `-0.01`, `0.0000001`, `1.10`,
	`2147483647`, `2147483648`, `9999999999999999999`, `10000000000000000000`, `1000000000000000`, `[]`, `{}`, `[{}]`, `[null]`, `["x"]`,
	`[{"lineId":"1"}]`, `[{"lineId":"1","productName":"n","qty":1}]`, `[{"type":"mobile","value":"1"}]`, `[{"type":"mobile"}]`,
	`"application/json"`, `"application/xml"`, `"default"`, `"Default"`, `"1.0"`, `"order.updated"`, `"point.decremented"`,
	`"."`, `".."`, `"a-b"`, `"a1B2"`, `"` + strings.Repeat("k", 51) + `"`, `{"name":"x"}`, `{"mobile":null}`, `{"mobile":"1"}`, `{"gender":-1}`,
}

func TestDecoderAndSchemaAgreeOnMutatedEvents(t *testing.T) {
	all := schemas(t)
	good := corpus(t, "good")
	rapid.Check(t, func(t *rapid.T) {
		f := rapid.SampledFrom(good).Draw(t, "event")
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(f.payload))
		require.NoError(t, err)
		for range rapid.IntRange(1, 3).Draw(t, "mutations") {
			mutate(t, doc)
		}
		payload, err := json.Marshal(doc)
		require.NoError(t, err)

		rejects := Check(message(payload), Limits{}, corpusNow)
		require.Equal(t, schemaRefuses(all, payload), len(rejects) > 0, "%s\n%v", payload, rejects)
	})
}

// mutate replaces, drops or adds one member of a random object of the event.
func mutate(t *rapid.T, doc any) {
	objects := collectObjects(nil, doc)
	object := rapid.SampledFrom(objects).Draw(t, "object")
	names := []string{
		"orderNo", "uuid", "membershipId", "identities", "tenant", "time", "dateOrder", "amountPaid", "dealLines",
		"refundLines", "refundTotal", "store", "point", "pattern", "decrToZero", "uuid_timeout", "remark", "qty",
		"lineId", "type", "value", "name", "c_custom", "data_base64", "datacontenttype", "specversion", "id", "source", "data",
		"membership", "forceUpdate", "oldMobile", "newMobile", "couponId", "couponCode", "promotionCouponUid", "customerUid", "code",
		"useDateTime", "provider", "pushId", "os", "mobile", "title", "condition_points", "gain_points", "redeem_limitation", "gender", "dateJoin",
	}
	name := rapid.SampledFrom(names).Draw(t, "name")
	if rapid.Bool().Draw(t, "drop") {
		delete(object, name)
		return
	}
	edge := rapid.SampledFrom(edges).Draw(t, "value")
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(edge))
	require.NoError(t, err)
	object[name] = value
}

func collectObjects(found []map[string]any, v any) []map[string]any {
	switch v := v.(type) {
	case map[string]any:
		found = append(found, v)
		for _, name := range slices.Sorted(maps.Keys(v)) {
			found = collectObjects(found, v[name])
		}
	case []any:
		for _, child := range v {
			found = collectObjects(found, child)
		}
	}
	return found
}
