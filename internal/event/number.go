package event

import (
	"strconv"
	"strings"

	"github.com/shopspring/decimal"
)

const (
	// MoneyDecimals is how fine money and quantities may be.
	MoneyDecimals = 6
	// MoneyDigits bounds money and quantities: less than 10 to this power,
	// with either sign.
	MoneyDigits = 15
	// numberLimit bounds how long a number's literal is and how large its
	// exponent. Every double fits; 1e999999999, which a reader downstream may
	// expand to a gigabyte, doesn't.
	numberLimit = 400
)

// Decimal reads a number of whatever origin as a decimal; false where it is none, or
// beyond what anybody means: arithmetic with 1e999999999 would write it out in full.
func Decimal(s string) (decimal.Decimal, bool) {
	if len(s) > numberLimit {
		return decimal.Decimal{}, false
	}
	d, err := decimal.NewFromString(s)
	return d, err == nil && d.Exponent() <= numberLimit && d.Exponent() >= -2*numberLimit
}

// number is a JSON number taken apart without arithmetic: whole and frac, put
// one behind the other, times ten to the power of exp. It has no leading and no
// trailing zeros, so that two literals of one value are equal; zero has no
// digits at all.
type number struct {
	negative    bool
	whole, frac string
	exp         int
}

// parseNumber takes apart what the scanner read as a number; false where it is
// beyond numberLimit.
func parseNumber(literal string) (number, bool) {
	if len(literal) > numberLimit {
		return number{}, false
	}
	var n number
	mantissa := literal
	if i := exponentMark(literal); i >= 0 {
		exp, err := strconv.Atoi(literal[i+1:])
		if err != nil || exp > numberLimit || exp < -numberLimit {
			return number{}, false
		}
		n.exp, mantissa = exp, literal[:i]
	}
	mantissa, n.negative = strings.CutPrefix(mantissa, "-")
	whole, frac, _ := strings.Cut(mantissa, ".")

	n.frac = strings.TrimRight(frac, "0")
	n.whole = strings.TrimLeft(whole, "0")
	n.exp -= len(n.frac)
	if n.frac == "" {
		n.whole = strings.TrimRight(n.whole, "0")
		n.exp += len(strings.TrimLeft(whole, "0")) - len(n.whole)
	}
	if n.whole == "" {
		n.frac = strings.TrimLeft(n.frac, "0")
	}
	if n.zero() {
		return number{}, true
	}
	return n, true
}

func exponentMark(literal string) int {
	for i := range len(literal) {
		if literal[i]|0x20 == 'e' {
			return i
		}
	}
	return -1
}

func (n number) zero() bool { return n.whole == "" && n.frac == "" }

// inRange reports whether the number is money or a quantity that we take.
func (n number) inRange() bool {
	return n.exp >= -MoneyDecimals && len(n.whole)+len(n.frac)+n.exp <= MoneyDigits
}

// append writes the one form that all literals of this value share.
func (n number) append(buf []byte) []byte {
	if n.zero() {
		return append(buf, '0')
	}
	if n.negative {
		buf = append(buf, '-')
	}
	buf = append(buf, n.whole...)
	buf = append(buf, n.frac...)
	buf = append(buf, 'e')
	return strconv.AppendInt(buf, int64(n.exp), 10)
}
