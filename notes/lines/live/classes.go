package live

import (
	"cmp"
	"slices"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/lines"
)

// Classes says whose the lines of a file are: each is of the class, source and
// receipt that it was given when its commit added it. Added returns what
// lines.Classify says of a path of a commit, ascending. What is not among the
// added lines is unknown: lines of a path that did not count then, or whose
// commit was not or could not be read, or saw no text before.
func Classes(runs []Run, added func(commit gitcmd.OID, path string) []lines.Run) []lines.Run {
	var out []lines.Run
	for _, r := range runs {
		there := added(r.Commit, r.Path)
		i, _ := slices.BinarySearchFunc(there, r.Line, func(a lines.Run, line uint32) int { return cmp.Compare(a.Last, line) })
		for line := r.First; line <= r.Last; line = out[len(out)-1].Last + 1 {
			// at is where the line was when it was added.
			at := r.Line + (line - r.First)
			class := lines.Run{LineRange: notes.LineRange{First: line, Last: r.Last}, Class: lines.ClassUnknown}
			if i < len(there) && there[i].First <= at {
				class = there[i]
				class.LineRange = notes.LineRange{First: line, Last: min(r.Last, line+(there[i].Last-at))}
				i++
			} else if i < len(there) {
				class.Last = min(r.Last, line+(there[i].First-1-at))
			}
			out = append(out, class)
		}
	}
	return lines.Join(out)
}
