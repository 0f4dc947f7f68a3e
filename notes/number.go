package notes

import (
	"bytes"
	"math"
	"strconv"
	"strings"
)

// validNumber reports whether raw is a number by the grammar of RFC 8259.
func validNumber(raw []byte) bool {
	if n := digitRun(raw); n == len(raw) && n > 0 && raw[0] != '0' {
		return true
	}
	raw = bytes.TrimPrefix(raw, []byte("-"))
	whole := digitRun(raw)
	if whole == 0 || (whole > 1 && raw[0] == '0') {
		return false
	}
	raw = raw[whole:]
	if len(raw) > 0 && raw[0] == '.' {
		n := digitRun(raw[1:])
		if n == 0 {
			return false
		}
		raw = raw[1+n:]
	}
	if len(raw) > 0 && (raw[0] == 'e' || raw[0] == 'E') {
		raw = raw[1:]
		if len(raw) > 0 && (raw[0] == '+' || raw[0] == '-') {
			raw = raw[1:]
		}
		return len(raw) > 0 && digitRun(raw) == len(raw)
	}
	return len(raw) == 0
}

func digitRun(b []byte) int {
	n := 0
	for n < len(b) && b[n] >= '0' && b[n] <= '9' {
		n++
	}
	return n
}

// storableNumber reports whether raw is a number that PostgreSQL's jsonb takes
// without growing it: at most 64 characters and a two-digit exponent.
func storableNumber(raw []byte) bool {
	if len(raw) > 64 || !validNumber(raw) {
		return false
	}
	e := bytes.IndexAny(raw, "eE")
	return e < 0 || len(bytes.TrimLeft(raw[e+1:], "+-0")) <= 2
}

// decimal is the exact value of a JSON number: 0.digits times ten to the
// power of point. digits has no zero at either end and is empty for zero.
type decimal struct {
	negative bool
	digits   string
	point    int
}

// parseDecimal reads a number that validNumber accepts. Exponents beyond a
// million count as a million.
func parseDecimal(raw []byte) decimal {
	var d decimal
	text := string(raw)
	text, d.negative = strings.CutPrefix(text, "-")
	exponent := 0
	if e := strings.IndexAny(text, "eE"); e >= 0 {
		// Atoi saturates at the ends of int, which min and max bring back.
		exponent, _ = strconv.Atoi(text[e+1:])
		exponent = min(max(exponent, -1_000_000), 1_000_000)
		text = text[:e]
	}
	whole, fraction, _ := strings.Cut(text, ".")
	d.digits = whole + fraction
	d.point = len(whole) + exponent
	trimmed := strings.TrimLeft(d.digits, "0")
	d.point -= len(d.digits) - len(trimmed)
	d.digits = strings.TrimRight(trimmed, "0")
	if d.digits == "" {
		d.point = 0
	}
	return d
}

// round rounds half up to places digits after the point.
func (d decimal) round(places int) (rounded decimal, changed bool) {
	keep := d.point + places
	if keep >= len(d.digits) {
		return d, false
	}
	if keep < 0 || d.digits[keep] < '5' {
		d.digits = strings.TrimRight(d.digits[:max(keep, 0)], "0")
		return d, true
	}
	digits := []byte("0" + d.digits[:keep])
	i := len(digits) - 1
	for digits[i] == '9' {
		digits[i] = '0'
		i--
	}
	digits[i]++
	d.point++
	trimmed := strings.TrimLeft(string(digits), "0")
	d.point -= len(digits) - len(trimmed)
	d.digits = strings.TrimRight(trimmed, "0")
	return d, true
}

// plain writes d without exponent. The caller has bounded point and digits.
func (d decimal) plain() string {
	switch {
	case d.digits == "":
		return "0"
	case d.point <= 0:
		return "0." + strings.Repeat("0", -d.point) + d.digits
	case d.point >= len(d.digits):
		return d.digits + strings.Repeat("0", d.point-len(d.digits))
	}
	return d.digits[:d.point] + "." + d.digits[d.point:]
}

// The digits that a cost keeps: more than any budget before the point, and
// behind it more than a float's noise.
const (
	costWholeDigits    = 10
	costFractionDigits = 12
)

// plainCost turns a number into exact decimal text; ok is false for a
// negative one or one beyond costWholeDigits.
func plainCost(raw []byte) (cost string, rounded, ok bool) {
	d := parseDecimal(raw)
	if (d.negative && d.digits != "") || d.point > costWholeDigits {
		return "", false, false
	}
	d, rounded = d.round(costFractionDigits)
	if d.point > costWholeDigits {
		return "", false, false
	}
	return d.plain(), rounded, true
}

// wholeNumber returns the value of a number that is a non-negative integer
// within int64; 3.0 and 3e2 are.
func wholeNumber(raw []byte) (int64, bool) {
	if len(raw) <= 18 && digitRun(raw) == len(raw) {
		return smallInteger(raw), true
	}
	d := parseDecimal(raw)
	if d.digits == "" {
		return 0, true
	}
	if d.negative || d.point < len(d.digits) || d.point > 19 {
		return 0, false
	}
	n, err := strconv.ParseInt(d.plain(), 10, 64)
	return n, err == nil
}

func smallInteger(raw []byte) int64 {
	var n int64
	for _, c := range raw {
		n = n*10 + int64(c-'0')
	}
	return n
}

// seconds returns a finite non-negative float.
func seconds(raw []byte) (float64, bool) {
	f, err := strconv.ParseFloat(string(raw), 64)
	if err != nil || f < 0 || math.IsInf(f, 0) || math.IsNaN(f) {
		return 0, false
	}
	// Adding zero turns -0 into 0.
	return f + 0, true
}
