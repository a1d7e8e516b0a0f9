package event

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

// FuzzFields holds what is read at a fraction of the cost against json.Unmarshal.
func FuzzFields(f *testing.F) {
	for _, text := range []string{
		`{}`, `null`, `[1]`, ` {"a" : 1.10 , "b":[1,{"a":2}],"\u0061b":"x"} `, `{"a":1,"a":2}`, `{"a":1,"A":2}`, `{"a":`, "{\"a\":\"\xff\"}",
		`{"error":{"code":409180,"message":"积分不足"}}`,
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		fields, ok := Fields(text)
		if !ok {
			require.Nil(t, fields)
			return
		}
		var want map[string]json.RawMessage
		require.NoError(t, json.Unmarshal(text, &want))
		require.Equal(t, want, fields)
	})
}
