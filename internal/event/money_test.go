package event

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
	"github.com/stretchr/testify/require"
)

// FuzzMoney: what the contract takes as money arrives to the last digit, and what
// it refuses is out of range, too fine or negative.
func FuzzMoney(f *testing.F) {
	for _, s := range []string{
		"0", "30.00", "0.01", "1e2", "19.999999", "999999999999999", "1000000000000000", "0.0000001", "-1", "-0", "1E-6", "1e400",
		"123456789012345.123456", "00", "1.", ".5", "0x10", "\"3\"",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, literal string) {
		var value json.Number
		if len(literal) > 1000 || json.Unmarshal([]byte(literal), &value) != nil || string(value) != literal {
			return // no JSON number
		}
		e, err := Decode(message([]byte(fmt.Sprintf(`{"specversion":"1.0","id":"1","source":"pos/1","type":"order.refunded",
			"time":"2026-11-21T08:00:00Z","data":{"orderNo":"o1","uuid":"r1","refundTotal":%s,"dateRefund":"2026-11-21T08:00:00Z",
			"refundLines":[{"lineId":"l1","qty":1,"refundSubtotal":1}]}}`, literal))), Limits{}, corpusNow)
		if len(literal) > numberLimit {
			require.Error(t, err)
			return
		}
		d, ok := parseNumber(literal)
		if !ok {
			require.Error(t, err)
			return
		}
		exact, isRat := new(big.Rat).SetString(literal)
		require.True(t, isRat)
		most := new(big.Rat).SetInt(new(big.Int).Exp(big.NewInt(10), big.NewInt(MoneyDigits), nil))
		fine := new(big.Rat).Mul(exact, new(big.Rat).SetInt64(1_000_000))
		takes := exact.Sign() >= 0 && exact.Cmp(most) < 0 && fine.IsInt()
		require.Equal(t, takes, err == nil, "%s: %v", literal, err)
		require.Equal(t, exact.Sign() == 0, d.zero())
		if err != nil {
			return
		}
		require.Zero(t, exact.Cmp(e.Amount.Decimal.Rat()), "%s became %s", literal, e.Amount.Decimal)
		stored, err := decimal.NewFromString(e.Amount.Decimal.String()) // as it goes to the database and back
		require.NoError(t, err)
		require.True(t, stored.Equal(e.Amount.Decimal))
	})
}

func TestANumberThatWouldBeWrittenOutIsNoDecimal(t *testing.T) {
	for s, want := range map[string]bool{
		"1": true, "59.000000": true, "-0.5": true, "1e3": true, "90840682394599424": true,
		"": false, "x": false, "1e999999999": false, "1e-999999999": false, "0." + strings.Repeat("1", 500): false,
	} {
		_, ok := Decimal(s)
		require.Equal(t, want, ok, s)
	}
}
