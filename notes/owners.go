package notes

import (
	"slices"
	"sort"
)

// owners turns claims, of which a later one takes a line from an earlier one,
// into disjoint ascending ones. It works on the borders of the claims and not
// on lines, so that its cost is n log n in the number of claims.
func owners(claims []claim) []claim {
	if disjoint(claims) {
		return joined(claims)
	}
	borders := make([]uint32, 0, 2*len(claims))
	for _, c := range claims {
		borders = append(borders, c.First, c.Last+1)
	}
	slices.Sort(borders)
	borders = slices.Compact(borders)
	segments := make([]claim, len(borders)-1)
	for i := range segments {
		segments[i] = claim{LineRange{borders[i], borders[i+1] - 1}, unowned}
	}
	free := newFreeList(len(segments))
	for i := len(claims) - 1; i >= 0; i-- {
		c := claims[i]
		end := search(borders, c.Last+1)
		for s := free.next(search(borders, c.First)); s < end; s = free.next(s) {
			segments[s].key = c.key
			free.take(s)
		}
	}
	return joined(slices.DeleteFunc(segments, func(c claim) bool { return c.key == unowned }))
}

// unowned marks a gap between claims.
const unowned = -1

func search(borders []uint32, line uint32) int {
	return sort.Search(len(borders), func(i int) bool { return borders[i] >= line })
}

func disjoint(claims []claim) bool {
	for i := 1; i < len(claims); i++ {
		if claims[i].First <= claims[i-1].Last {
			return false
		}
	}
	return true
}

// joined unites neighbours of one key in ascending disjoint claims.
func joined(claims []claim) []claim {
	out := claims[:0:0]
	for _, c := range claims {
		if n := len(out); n > 0 && out[n-1].key == c.key && out[n-1].Last+1 == c.First {
			out[n-1].Last = c.Last
			continue
		}
		out = append(out, c)
	}
	return out
}

// freeList finds the next free position at or behind another in nearly
// constant time: a disjoint-set forest with path halving.
type freeList []int

func newFreeList(n int) freeList {
	f := make(freeList, n+1)
	for i := range f {
		f[i] = i
	}
	return f
}

func (f freeList) take(i int) { f[i] = i + 1 }

func (f freeList) next(i int) int {
	for f[i] != i {
		f[i] = f[f[i]]
		i = f[i]
	}
	return i
}
