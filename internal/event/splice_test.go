package event

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestSplice(t *testing.T) {
	tests := map[string]struct {
		object string
		set    []Set
		drop   []string
		want   string
	}{
		"adds at the end":      {`{"a":1.10, "b":908406823945994241}`, []Set{{"c", json.RawMessage(`"x"`)}, {"d", json.RawMessage(`2`)}}, nil, `{"a":1.10, "b":908406823945994241,"c":"x","d":2}`},
		"adds to nothing":      {`{ }`, []Set{{"a", json.RawMessage(`1`)}}, nil, `{"a":1}`},
		"replaces in place":    {`{ "a" : 1 , "b" : [1, 2] }`, []Set{{"a", json.RawMessage(`{"x":1}`)}}, nil, `{ "a" : {"x":1} , "b" : [1, 2] }`},
		"replaces null":        {`{"membershipId":null}`, []Set{{"membershipId", json.RawMessage(`16508`)}}, nil, `{"membershipId":16508}`},
		"finds escaped names":  {`{"\u0061":1}`, []Set{{"a", json.RawMessage(`2`)}}, nil, `{"\u0061":2}`},
		"escapes new names":    {`{}`, []Set{{"a\"b", json.RawMessage(`2`)}}, nil, `{"a\"b":2}`},
		"drops the first":      {`{"a":1, "b":2, "c":3}`, nil, []string{"a"}, `{ "b":2, "c":3}`},
		"drops the middle":     {`{"a":1, "b":2, "c":3}`, nil, []string{"b"}, `{"a":1, "c":3}`},
		"drops the last":       {`{"a":1, "b":2, "c":3}`, nil, []string{"c"}, `{"a":1, "b":2}`},
		"drops all, then adds": {`{"a":1,"b":{"a":2}}`, []Set{{"c", json.RawMessage(`3`)}}, []string{"a", "b"}, `{"c":3}`},
		"leaves what is below": {`{"x":{"a":1},"y":["a",{"a":"},"}]}`, []Set{{"z", json.RawMessage(`0`)}}, []string{"a"}, `{"x":{"a":1},"y":["a",{"a":"},"}],"z":0}`},
		"set wins over drop":   {`{"a":1}`, []Set{{"a", json.RawMessage(`2`)}}, []string{"a"}, `{"a":2}`},
		"the last set wins":    {`{}`, []Set{{"a", json.RawMessage(`1`)}, {"a", json.RawMessage(`2`)}}, nil, `{"a":2}`},
		"empty name":           {`{"":1}`, []Set{{"", json.RawMessage(`2`)}}, nil, `{"":2}`},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			object := json.RawMessage(tt.object)
			got, err := Splice(object, tt.set, tt.drop)
			require.NoError(t, err)
			require.Equal(t, tt.want, string(got))
			require.Equal(t, tt.object, string(object), "the object isn't touched")
		})
	}
}

func TestSpliceReturnsTheSameBytesWhereNothingChanges(t *testing.T) {
	object := json.RawMessage(" { \"a\" : 1.10 ,\n\t\"b\":2 } ")
	got, err := Splice(object, []Set{{"a", json.RawMessage(`1.10`)}}, []string{"c"})
	require.NoError(t, err)
	require.Same(t, &object[0], &got[0])
	require.Len(t, got, len(object))
}

func TestSpliceRefusesWhatIsNotJSON(t *testing.T) {
	_, err := Splice(json.RawMessage(`[1]`), nil, nil)
	require.ErrorContains(t, err, "an array")
	_, err = Splice(json.RawMessage(`{`), nil, nil)
	require.ErrorContains(t, err, "not_json")
	_, err = Splice(json.RawMessage(`{}`), []Set{{"a", json.RawMessage(`1,"b":2`)}}, nil)
	require.ErrorContains(t, err, "not_json: a:")
}
