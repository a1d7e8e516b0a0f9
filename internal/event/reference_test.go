package event

import (
	"encoding/json"
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
)

// fractions replaces every number of a tree by its value as an exact fraction.
func fractions(t testing.TB, v any) any {
	switch v := v.(type) {
	case map[string]any:
		for name, child := range v {
			v[name] = fractions(t, child)
		}
	case []any:
		for i, child := range v {
			v[i] = fractions(t, child)
		}
	case json.Number:
		r, ok := new(big.Rat).SetString(v.String())
		require.True(t, ok, v)
		return map[string]any{"\x00number": r.String()}
	}
	return v
}

func TestParseNumber(t *testing.T) {
	tests := map[string]number{
		"0":        {},
		"-0.00e9":  {},
		"1":        {whole: "1"},
		"1200":     {whole: "12", exp: 2},
		"12.3400":  {whole: "12", frac: "34", exp: -2},
		"-0.0012":  {negative: true, frac: "12", exp: -4},
		"1e400":    {whole: "1", exp: 400},
		"10.0e-1":  {whole: "1"},
		"0.010E+3": {frac: "1", exp: 1},
	}
	for literal, want := range tests {
		got, ok := parseNumber(literal)
		require.True(t, ok, literal)
		require.Equal(t, want, got, literal)
	}
	for _, literal := range []string{"1e401", "1e-401", "1e99999999999999999999", "0e999999999"} {
		_, ok := parseNumber(literal)
		require.False(t, ok, literal)
	}
}
