package price

import (
	"slices"
	"time"
)

// Period is a time during which one entry tells what a model costs.
type Period struct {
	// From is its first moment and Until the first behind it; zero is unbounded.
	From, Until time.Time
	Entry       Entry
}

// Periods returns what Entry answers for a model at all known moments, in order
// of time. Times without a price are left out.
func (b *Book) Periods(model string) []Period {
	candidates := b.candidates(model)
	var out []Period
	last := -1
	cuts := cutsOf(candidates)
	for i, from := range cuts {
		n := slices.IndexFunc(candidates, func(e *Entry) bool { return e.holdsFrom(from) })
		until := time.Time{}
		if i+1 < len(cuts) {
			until = cuts[i+1]
		}
		switch {
		case n < 0:
		case n == last:
			out[len(out)-1].Until = until
		default:
			out = append(out, Period{From: from, Until: until, Entry: *candidates[n]})
		}
		last = n
	}
	return out
}

// cutsOf are the moments at which another entry may come to hold, in order. The
// first is the beginning of time, which is zero.
func cutsOf(entries []*Entry) []time.Time {
	cuts := []time.Time{{}}
	for _, e := range entries {
		cuts = append(cuts, e.From, e.Until)
	}
	slices.SortFunc(cuts, time.Time.Compare)
	return slices.CompactFunc(cuts, time.Time.Equal)
}

// holdsFrom reports whether the entry is valid at a moment, zero being the
// beginning of time.
func (e *Entry) holdsFrom(at time.Time) bool {
	if at.IsZero() {
		return e.From.IsZero()
	}
	return e.holds(at)
}
