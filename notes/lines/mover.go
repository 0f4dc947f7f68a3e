package lines

import (
	"cmp"
	"slices"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// Reattached is what the note of another commit, which was left behind, says of
// the lines of a commit.
type Reattached struct {
	// From is the other commit.
	From         gitcmd.OID
	Claims       []Claim
	Attestations []notes.Attestation
}

// Moved is a run of lines of a commit that another one added: the first of them
// is line FromFirst of FromPath there.
type Moved struct {
	Path string
	notes.LineRange
	FromPath  string
	FromFirst uint32
}

// fromLast is the last line there.
func (m *Moved) fromLast() uint32 { return m.FromFirst + m.Last - m.First }

// Mover carries what is said of the lines of one commit over to those of
// another. What it answers is bounded by MaxRanges in all, however often ranges
// lie over each other.
type Mover struct {
	// runs are those of each path of the other commit, ascending.
	runs  map[string][]Moved
	files []File
	paths *paths
	left  int
}

// NewMover returns a Mover for the runs of one pair of commits.
func NewMover(moved []Moved) *Mover {
	m := &Mover{runs: map[string][]Moved{}, left: MaxRanges}
	for _, r := range moved {
		if m.runs[r.FromPath] == nil {
			// Paths are told apart by name alone: any blob will do.
			m.files = append(m.files, File{Path: r.FromPath, Blob: "1"})
		}
		m.runs[r.FromPath] = append(m.runs[r.FromPath], r)
	}
	for _, runs := range m.runs {
		slices.SortFunc(runs, func(a, b Moved) int { return cmp.Compare(a.FromFirst, b.FromFirst) })
	}
	m.paths = newPaths(m.files)
	return m
}

// Claim returns what a claim says of the lines where they are now. One whose
// envelope is not known says nothing.
func (m *Mover) Claim(c Claim) []Claim {
	envelope := c.envelope()
	i, ok := m.paths.find(c.Path, "")
	if envelope.Last == 0 || !ok {
		return nil
	}
	var out []Claim
	m.over(m.files[i].Path, envelope, func(path string, at notes.LineRange) {
		out = append(out, Claim{ReceiptID: c.ReceiptID, Path: path, First: int64(at.First), Last: int64(at.Last), Attached: c.Attached})
	})
	return out
}

// Attestation returns what an attestation says of the lines where they are now,
// one for each path.
func (m *Mover) Attestation(a notes.Attestation) []notes.Attestation {
	var out []notes.Attestation
	at := map[string]int{}
	for _, r := range united(a.Lines) {
		m.over(a.Path, r, func(path string, now notes.LineRange) {
			i, ok := at[path]
			if !ok {
				i = len(out)
				at[path] = i
				moved := a
				moved.Path, moved.Lines = path, nil
				out = append(out, moved)
			}
			out[i].Lines = append(out[i].Lines, now)
		})
	}
	return out
}

// over calls fn for the parts of a range that moved.
func (m *Mover) over(path string, r notes.LineRange, fn func(path string, now notes.LineRange)) {
	runs := m.runs[path]
	first, _ := slices.BinarySearchFunc(runs, r.First, func(m Moved, line uint32) int { return cmp.Compare(m.fromLast(), line) })
	for _, run := range runs[first:] {
		if run.FromFirst > r.Last || m.left == 0 {
			return
		}
		m.left--
		from, to := max(run.FromFirst, r.First), min(run.fromLast(), r.Last)
		fn(run.Path, notes.LineRange{First: run.First + from - run.FromFirst, Last: run.First + to - run.FromFirst})
	}
}

// united returns the ranges that mean lines, ascending and disjoint.
func united(ranges []notes.LineRange) []notes.LineRange {
	out := slices.DeleteFunc(slices.Clone(ranges), func(r notes.LineRange) bool {
		return r.First == 0 || r.Last < r.First || r.Last > notes.MaxLine
	})
	slices.SortFunc(out, func(a, b notes.LineRange) int { return cmp.Compare(a.First, b.First) })
	n := 0
	for _, r := range out {
		if n > 0 && r.First <= out[n-1].Last+1 {
			out[n-1].Last = max(out[n-1].Last, r.Last)
			continue
		}
		out[n] = r
		n++
	}
	return out[:n]
}
