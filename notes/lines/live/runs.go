package live

import (
	"cmp"
	"slices"

	"github.com/blameprompt/enterprise/notes"
)

func runsOf(pieces []piece) []Run {
	runs := make([]Run, len(pieces))
	for i, p := range pieces {
		runs[i] = p.Run
	}
	return runs
}

// setRuns gives the file its runs, if they are those of all its lines.
func (f *File) setRuns(runs []Run) {
	runs = joined(runs)
	if !cover(runs, f.Lines) {
		f.unreadable(codeFailed, "What git says does not cover the lines of this file.")
		return
	}
	f.Runs = runs
}

// cover reports whether the runs are those of so many lines.
func cover(runs []Run, lines uint32) bool {
	next := uint32(1)
	for _, r := range runs {
		if r.First != next || r.Last < r.First || r.Path == "" {
			return false
		}
		next = r.Last + 1
	}
	return next == lines+1
}

// joined unites neighbours that are neighbours where they come from, in place.
func joined(runs []Run) []Run {
	out := runs[:0]
	for _, r := range runs {
		if n := len(out); n > 0 {
			last := &out[n-1]
			if last.Last+1 == r.First && last.Commit == r.Commit && last.Path == r.Path &&
				last.Line+(r.First-last.First) == r.Line {
				last.Last = r.Last
				continue
			}
		}
		out = append(out, r)
	}
	return out
}

// cutOut returns the origins of n lines from first on, numbered from at, out of
// the runs of a file; false if they do not cover them.
func cutOut(runs []Run, first, n, at uint32) ([]Run, bool) {
	i := searchRuns(runs, first)
	var out []Run
	for ; n > 0 && i < len(runs); i++ {
		r := runs[i]
		if r.First > first {
			return nil, false
		}
		skip := first - r.First
		length := min(n, r.Last-first+1)
		r.Line += skip
		r.LineRange = notes.LineRange{First: at, Last: at + length - 1}
		out = append(out, r)
		first, n, at = first+length, n-length, at+length
	}
	return out, n == 0
}

// searchRuns returns the position of the run that has a line, or of the next one.
func searchRuns(runs []Run, line uint32) int {
	i, _ := slices.BinarySearchFunc(runs, line, func(r Run, line uint32) int { return cmp.Compare(r.Last, line) })
	return i
}

// united returns ranges as ascending ones that do not touch.
func united(ranges []notes.LineRange) []notes.LineRange {
	sorted := slices.SortedFunc(slices.Values(ranges), func(a, b notes.LineRange) int { return cmp.Compare(a.First, b.First) })
	out := sorted[:0]
	for _, r := range sorted {
		if n := len(out); n > 0 && r.First <= out[n-1].Last+1 {
			out[n-1].Last = max(out[n-1].Last, r.Last)
			continue
		}
		out = append(out, r)
	}
	return out
}
