package price

import (
	"math/big"
	"strings"
	"time"
)

// Tokens are the tokens of one prompt by kind; nil where the client was silent.
// Input does not contain cached tokens.
type Tokens struct {
	Input, Output, CacheRead, CacheWrite *int64
}

// Cost is an amount and where it comes from.
type Cost struct {
	// USD is an exact plain decimal: at most 10 digits before and 12 behind the
	// point, no zeros at the end.
	USD string
	// Entry is the price that it was computed with.
	Entry Entry
}

// costDigits is how many digits behind the point an amount in picodollars has.
const costDigits = 12

// maxCost is the first amount, in picodollars, that has more than 10 digits
// before the point.
var maxCost = new(big.Int).Exp(big.NewInt(10), big.NewInt(10+costDigits), nil)

// Cost computes what the tokens of the model cost at a moment. It returns false
// when the book has no price for the model then, when input or output tokens
// are not known, when no token at all was counted, when tokens of a kind without
// price were used, and when a count is negative or the amount has more than 10
// digits before the point. Clients without a cache say nothing of it: silence
// there counts as none.
func (b *Book) Cost(model string, at time.Time, tokens Tokens) (Cost, bool) {
	if !tokens.counted() {
		return Cost{}, false
	}
	entry, ok := b.Entry(model, at)
	if !ok {
		return Cost{}, false
	}
	counts := [...]*int64{tokens.Input, tokens.Output, tokens.CacheRead, tokens.CacheWrite}
	sum := new(big.Int)
	for i, priced := range entry.rates() {
		count := counts[i]
		if count == nil || *count == 0 {
			continue
		}
		if *count < 0 || priced.rate == nil {
			return Cost{}, false
		}
		amount := big.NewInt(*count)
		sum.Add(sum, amount.Mul(amount, big.NewInt(int64(*priced.rate))))
	}
	if sum.Cmp(maxCost) >= 0 {
		return Cost{}, false
	}
	return Cost{USD: decimal(sum.String(), costDigits), Entry: entry}, true
}

// counted reports whether somebody counted: a prompt that was answered used
// tokens, and a client that writes 0 for all of them did not look.
func (t *Tokens) counted() bool {
	if t.Input == nil || t.Output == nil {
		return false
	}
	for _, count := range []*int64{t.Input, t.Output, t.CacheRead, t.CacheWrite} {
		if count != nil && *count != 0 {
			return true
		}
	}
	return false
}

// decimal puts the point into the digits of an integer, so many digits from the
// end.
func decimal(digits string, behind int) string {
	if missing := behind + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	point := len(digits) - behind
	fraction := strings.TrimRight(digits[point:], "0")
	if fraction == "" {
		return digits[:point]
	}
	return digits[:point] + "." + fraction
}
