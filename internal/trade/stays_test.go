package trade_test

import (
	"crypto/sha256"
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestADayStaysAsItIs: what benchmarks were measured with is still what they
// publish.
func TestADayStaysAsItIs(t *testing.T) {
	sum := sha256.New()
	for _, m := range day(t, config()).Messages {
		sum.Write(m.Data)
		sum.Write([]byte(m.Subject))
	}
	require.Equal(t, "bf5fb046bacc5093f200944b524a7f68b7357804a5f20504f1ce08cf5a396afb", hex.EncodeToString(sum.Sum(nil)))
}
