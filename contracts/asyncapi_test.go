package contracts_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/stretchr/testify/require"

	"syncworker/internal/event"
)

// now is the clock that events are judged by.
var now = time.Date(2026, 11, 22, 8, 0, 0, 0, time.UTC)

// document is asyncapi.yaml as JSON has it.
func document(t *testing.T) map[string]any {
	t.Helper()
	raw, err := os.ReadFile("asyncapi.yaml")
	require.NoError(t, err)
	text, err := yaml.YAMLToJSON(raw)
	require.NoError(t, err)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	require.NoError(t, err)
	return doc.(map[string]any)
}

// specification is AsyncAPI 3.0.0 itself.
func specification(t *testing.T) *jsonschema.Schema {
	t.Helper()
	raw, err := os.Open("testdata/asyncapi-3.0.0.json")
	require.NoError(t, err)
	defer func() { _ = raw.Close() }()
	doc, err := jsonschema.UnmarshalJSON(raw)
	require.NoError(t, err)
	c := jsonschema.NewCompiler()
	require.NoError(t, c.AddResource("asyncapi.json", doc))
	s, err := c.Compile("asyncapi.json")
	require.NoError(t, err)
	return s
}

// follow returns what a path leads to: follow(doc, "channels", "order.created").
func follow(t *testing.T, at any, path ...string) any {
	t.Helper()
	for i, name := range path {
		object, _ := at.(map[string]any)
		require.Contains(t, object, name, strings.Join(path[:i+1], " / "))
		at = object[name]
	}
	return at
}

func TestTheAsyncAPIDocumentIsOne(t *testing.T) {
	require.NoError(t, specification(t).Validate(document(t)))
}

func TestTheSpecificationRefusesWhatIsNoAsyncAPI(t *testing.T) {
	spec := specification(t)
	for name, spoil := range map[string]func(doc map[string]any){
		"no info":    func(doc map[string]any) { delete(doc, "info") },
		"AsyncAPI 2": func(doc map[string]any) { doc["asyncapi"] = "2.6.0" },
		"an action of 2.x": func(doc map[string]any) {
			follow(t, doc, "operations", "take.order.created").(map[string]any)["action"] = "publish"
		},
		"another binding": func(doc map[string]any) {
			follow(t, doc, "components", "operationBindings", "pull", "nats").(map[string]any)["stream"] = "SYNC"
		},
		"a message of nothing": func(doc map[string]any) {
			follow(t, doc, "components", "messages", "order.created").(map[string]any)["body"] = map[string]any{}
		},
		"no protocol": func(doc map[string]any) { delete(follow(t, doc, "servers", "nats").(map[string]any), "protocol") },
	} {
		t.Run(name, func(t *testing.T) {
			doc := document(t)
			spoil(doc)
			require.Error(t, spec.Validate(doc))
		})
	}
}

func TestEachTypeHasOneChannelAndOneMessage(t *testing.T) {
	doc := document(t)
	require.Len(t, follow(t, doc, "channels"), len(event.Types()))
	require.Len(t, follow(t, doc, "operations"), len(event.Types()))
	require.Len(t, follow(t, doc, "components", "messages"), len(event.Types()))
	for _, typ := range event.Types() {
		name := string(typ)
		channel := follow(t, doc, "channels", name)
		require.Equal(t, event.Subject(typ), follow(t, channel, "address"))
		require.Len(t, follow(t, channel, "messages"), 1)
		require.Equal(t, "#/components/messages/"+name, follow(t, channel, "messages", name, "$ref"))
		require.Equal(t, "#/channels/"+name, follow(t, doc, "operations", "take."+name, "channel", "$ref"))
		message := follow(t, doc, "components", "messages", name)
		require.Equal(t, name, follow(t, message, "name"))
		require.Equal(t, "./"+name+".schema.json", follow(t, message, "payload", "schema", "$ref"))
	}
}

// references calls found with each $ref of a document.
func references(at any, found func(ref string)) {
	switch at := at.(type) {
	case map[string]any:
		for name, child := range at {
			if ref, ok := child.(string); ok && name == "$ref" {
				found(ref)
			}
			references(child, found)
		}
	case []any:
		for _, child := range at {
			references(child, found)
		}
	}
}

func TestEveryReferenceLeadsToSomething(t *testing.T) {
	doc, inside, schemas := document(t), 0, 0
	references(doc, func(ref string) {
		if path, within := strings.CutPrefix(ref, "#/"); within {
			follow(t, doc, strings.Split(path, "/")...)
			inside++
			return
		}
		folder, err := filepath.Abs(".")
		require.NoError(t, err)
		c := jsonschema.NewCompiler()
		_, err = c.Compile("file://" + filepath.ToSlash(filepath.Join(folder, ref)))
		require.NoError(t, err, "a reader of the file finds its schema, and what that refers to")
		schemas++
	})
	require.Equal(t, len(event.Types()), schemas)
	require.Greater(t, inside, 4*len(event.Types()))
}

func TestTheHeadersAreThoseOfTheContract(t *testing.T) {
	headers := follow(t, document(t), "components", "messageTraits", "sending", "headers", "properties").(map[string]any)
	header := map[string][]string{}
	good, err := os.ReadFile("../internal/event/testdata/good/coupon.drawn.json")
	require.NoError(t, err)
	var envelope map[string]json.RawMessage
	require.NoError(t, json.Unmarshal(good, &envelope))
	for name := range headers {
		attribute, binary := strings.CutPrefix(name, "ce-")
		if value := string(envelope[attribute]); binary && value != "" {
			header[name] = []string{strings.Trim(value, `"`)}
		}
	}
	require.Contains(t, headers, "Nats-Msg-Id")
	m := event.Message{Subject: event.Subject(event.CouponDrawn), Header: header, Data: envelope["data"]}
	require.True(t, event.Binary(header))
	for name := range header {
		require.Contains(t, follow(t, headers, name, "description"), "Required there", name)
	}
	_, err = event.Decode(m, event.Limits{}, now)
	require.NoError(t, err)
	for name := range header {
		without := map[string][]string{}
		for other, values := range header {
			if other != name {
				without[other] = values
			}
		}
		m.Header = without
		_, err = event.Decode(m, event.Limits{}, now)
		require.Error(t, err, "%s is required", name)
	}
}
