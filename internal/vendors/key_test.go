package vendors

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCutKeyKnowsEveryKeyOfAnEventAndNoOther(t *testing.T) {
	for s, want := range map[string]struct {
		rest  string
		found bool
	}{
		"p-1":                              {"", true},
		FurtherKey("p-1", 17, 3):           {"", true},
		FurtherKey("p-1", 17, 3) + "] tea": {"] tea", true},
		"p-1] tea":                         {"] tea", true},
		"p-10":                             {"0", true},
		"p-1~x":                            {"~x", true},
		"q-1":                              {"q-1", false},
	} {
		rest, found := CutKey(s, "p-1")
		require.Equal(t, want.rest, rest, s)
		require.Equal(t, want.found, found, s)
	}
}
