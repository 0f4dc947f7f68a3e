package push

import (
	"bytes"
	"fmt"
	"math/big"
	"strconv"
	"strings"
)

// Decimal is an exact decimal number, used for US dollars and percentages:
// sums and comparisons never round. Dividing the smallest prices (a fraction
// of a dollar per million tokens) needs more digits than any fixed scale in 64
// bits has, so the digits are a big integer. The zero value is 0; values are
// immutable and may be shared.
type Decimal struct {
	// The value is coef / 10^scale; nil stands for 0.
	coef  *big.Int
	scale int
}

// The bounds of ParseDecimal: characters and places behind the point.
const (
	maxDecimalText  = 64
	maxDecimalScale = 48
)

// ParseDecimal reads a decimal as JSON writes numbers, exponent included. The
// error says what is wrong; texts longer than 64 characters and values with
// more than 48 digits before or behind the point are refused.
func ParseDecimal(text string) (Decimal, error) {
	if len(text) > maxDecimalText {
		return Decimal{}, fmt.Errorf("number of %d characters: at most %d are read", len(text), maxDecimalText)
	}
	mantissa, exponent, err := splitExponent(text)
	if err != nil {
		return Decimal{}, err
	}
	whole, fraction, point := strings.Cut(mantissa, ".")
	digits := strings.TrimPrefix(whole, "-")
	if digits == "" || !allDigits(digits) || !allDigits(fraction) || (point && fraction == "") {
		return Decimal{}, fmt.Errorf("%s is not a decimal number", strconv.Quote(text))
	}
	scale := len(fraction) - exponent
	if scale > maxDecimalScale || scale < -maxDecimalScale {
		return Decimal{}, fmt.Errorf("%s has more than %d digits", strconv.Quote(text), maxDecimalScale)
	}
	coef, _ := new(big.Int).SetString(whole+fraction, 10)
	if scale < 0 {
		coef.Mul(coef, pow10(-scale))
		scale = 0
	}
	return Decimal{coef: coef, scale: scale}, nil
}

func splitExponent(text string) (mantissa string, exponent int, err error) {
	i := strings.IndexAny(text, "eE")
	if i < 0 {
		return text, 0, nil
	}
	exponent, err = strconv.Atoi(text[i+1:])
	if err != nil || exponent > maxDecimalScale || exponent < -maxDecimalScale {
		return "", 0, fmt.Errorf("%s has no usable exponent", strconv.Quote(text))
	}
	return text[:i], exponent, nil
}

func allDigits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}

// powers are 10^0 to 10^18, all that fit into 64 bits; they are never changed.
var powers = func() (list [19]*big.Int) {
	for i, n := 0, int64(1); i < len(list); i, n = i+1, n*10 {
		list[i] = big.NewInt(n)
	}
	return list
}()

// zero is shared and never changed.
var zero = new(big.Int)

func pow10(n int) *big.Int {
	if n < len(powers) {
		return powers[n]
	}
	return new(big.Int).Exp(powers[1], big.NewInt(int64(n)), nil)
}

// DecimalOf returns n.
func DecimalOf(n int64) Decimal { return Decimal{coef: big.NewInt(n)} }

// Add returns d + e.
func (d Decimal) Add(e Decimal) Decimal {
	x, y, scale := align(d, e)
	return Decimal{coef: new(big.Int).Add(x, y), scale: scale}
}

// Sub returns d - e.
func (d Decimal) Sub(e Decimal) Decimal {
	x, y, scale := align(d, e)
	return Decimal{coef: new(big.Int).Sub(x, y), scale: scale}
}

// Mul returns d * e.
func (d Decimal) Mul(e Decimal) Decimal {
	return Decimal{coef: new(big.Int).Mul(d.int(), e.int()), scale: d.scale + e.scale}
}

// Cmp is negative, zero or positive as d is below, equal to or above e.
func (d Decimal) Cmp(e Decimal) int {
	x, y, _ := align(d, e)
	return x.Cmp(y)
}

// Sign is -1, 0 or 1.
func (d Decimal) Sign() int { return d.int().Sign() }

// Max returns the larger of both.
func (d Decimal) Max(e Decimal) Decimal {
	if d.Cmp(e) < 0 {
		return e
	}
	return d
}

// Float64 is the nearest floating-point number, for expressions alone.
func (d Decimal) Float64() float64 {
	// Both sides are exact as floating-point numbers, so that the quotient is
	// rounded once.
	const exactInt, exactPower = 1 << 53, 15
	if n := d.int(); d.scale <= exactPower && n.IsInt64() && n.Int64() < exactInt && n.Int64() > -exactInt {
		return float64(n.Int64()) / float64(pow10(d.scale).Int64())
	}
	f, _ := new(big.Rat).SetFrac(d.int(), pow10(d.scale)).Float64()
	return f
}

// String writes all digits without an exponent and without zeros at the end.
func (d Decimal) String() string {
	text := d.padded(d.scale)
	if d.scale > 0 {
		text = strings.TrimRight(text, "0")
		text = strings.TrimSuffix(text, ".")
	}
	return text
}

// Dollars writes the amount for people: "$50.00", "$0.0123".
func (d Decimal) Dollars() string {
	text, sign := d.String(), ""
	if rest, negative := strings.CutPrefix(text, "-"); negative {
		text, sign = rest, "-"
	}
	_, fraction, _ := strings.Cut(text, ".")
	if fraction == "" {
		text += "."
	}
	return sign + "$" + text + strings.Repeat("0", max(0, 2-len(fraction)))
}

// MarshalJSON writes a JSON number with all digits.
func (d Decimal) MarshalJSON() ([]byte, error) { return []byte(d.String()), nil }

// UnmarshalJSON reads a JSON number, or a string that holds one.
func (d *Decimal) UnmarshalJSON(text []byte) error {
	if bytes.Equal(text, []byte("null")) {
		return nil
	}
	value, err := ParseDecimal(strings.Trim(string(text), `"`))
	if err != nil {
		return fmt.Errorf("reading a decimal: %w", err)
	}
	*d = value
	return nil
}

// Equal reports whether both are the same number; go-cmp uses it.
func (d Decimal) Equal(e Decimal) bool { return d.Cmp(e) == 0 }

func (d Decimal) int() *big.Int {
	if d.coef == nil {
		return zero
	}
	return d.coef
}

// align returns both coefficients at one scale; zero has every scale.
func align(d, e Decimal) (x, y *big.Int, scale int) {
	x, y = d.int(), e.int()
	switch {
	case x.Sign() == 0:
		return x, y, e.scale
	case y.Sign() == 0:
		return x, y, d.scale
	case d.scale < e.scale:
		x = new(big.Int).Mul(x, pow10(e.scale-d.scale))
	case e.scale < d.scale:
		y = new(big.Int).Mul(y, pow10(d.scale-e.scale))
	}
	return x, y, max(d.scale, e.scale)
}

// padded writes the value with exactly scale digits behind the point.
func (d Decimal) padded(scale int) string {
	digits, sign := d.int().String(), ""
	if rest, negative := strings.CutPrefix(digits, "-"); negative {
		digits, sign = rest, "-"
	}
	if short := scale + 1 - len(digits); short > 0 {
		digits = strings.Repeat("0", short) + digits
	}
	if scale == 0 {
		return sign + digits
	}
	point := len(digits) - scale
	return sign + digits[:point] + "." + digits[point:]
}

// Places counts the digits behind the point, zeros at the end left out.
func (d Decimal) Places() int {
	_, fraction, _ := strings.Cut(d.String(), ".")
	return len(fraction)
}

// Int64 returns the value when it is a whole number that fits.
func (d Decimal) Int64() (int64, bool) {
	n, ok := new(big.Int).SetString(d.String(), 10)
	if !ok || !n.IsInt64() {
		return 0, false
	}
	return n.Int64(), true
}

// CeilDiv returns the smallest whole number that is not below d / n, for a
// positive n; it is 0 when the result does not fit.
func (d Decimal) CeilDiv(n int64) int64 {
	divisor := new(big.Int).Mul(pow10(d.scale), big.NewInt(n))
	quotient, rest := new(big.Int).DivMod(d.int(), divisor, new(big.Int))
	if rest.Sign() > 0 {
		quotient.Add(quotient, big.NewInt(1))
	}
	if !quotient.IsInt64() {
		return 0
	}
	return quotient.Int64()
}
