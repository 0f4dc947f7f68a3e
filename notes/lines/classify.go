package lines

import (
	"slices"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// ClassUnknown is the class of a line that nothing speaks for.
const ClassUnknown notes.LineClass = "unknown"

// Source says where the class of a line comes from.
type Source string

// The sources; a line of class unknown has none.
const (
	SourceBlamePrompt Source = "blameprompt"
	SourceGitAI       Source = "git-ai"
	SourceTrailer     Source = "trailer"
)

// Confidence says how sure the class of a line is.
type Confidence string

// From the surest on. Of several claims on a line the surest owns it.
const (
	// Exact: the receipt recorded the very blob that the commit has at the path.
	Exact Confidence = "exact"
	// Attested: a git-ai note names the line.
	Attested Confidence = "attested"
	// Envelope: the line lies between the first and the last one that a receipt
	// of the commit says it changed.
	Envelope Confidence = "envelope"
	// Trailer: the commit says of itself that an agent had a part in it.
	Trailer Confidence = "trailer"
)

// Run is a run of added lines of one owner.
type Run struct {
	notes.LineRange
	Class notes.LineClass
	// Source and Confidence are empty for unknown lines.
	Source     Source
	Confidence Confidence
	// ReceiptID is the receipt that the lines come from; empty for human and
	// unknown lines and those of a trailer.
	ReceiptID string
	// Author is the name behind attested human lines, the agent for those of a
	// trailer.
	Author string
	// From is the commit whose note speaks for the lines, where that was left
	// behind and its note reattached to this one.
	From gitcmd.OID
}

// Counts are numbers of added lines. Added = AI + Human + Unknown; Excluded are
// beside it.
type Counts struct {
	Added, AI, Human, Unknown int64
	// Trailer is the part of AI that a trailer alone speaks for.
	Trailer  int64
	Excluded int64
}

// Add adds the other counts to c.
func (c *Counts) Add(other Counts) {
	c.Added += other.Added
	c.AI += other.AI
	c.Human += other.Human
	c.Unknown += other.Unknown
	c.Trailer += other.Trailer
	c.Excluded += other.Excluded
}

func (c *Counts) count(r Run) {
	n := int64(r.Last) - int64(r.First) + 1
	c.Added += n
	switch r.Class {
	case notes.ClassAI:
		c.AI += n
	case notes.ClassHuman:
		c.Human += n
	default:
		c.Unknown += n
	}
	if r.Confidence == Trailer {
		c.Trailer += n
	}
}

// FileLines is a file with added lines and whose they are.
type FileLines struct {
	File *File
	// Runs cover the added lines, ascending; nil when the file is excluded.
	Runs     []Run
	Excluded Reason
	Counts   Counts
}

// Claim is a BlamePrompt receipt's word that it changed a file.
type Claim struct {
	ReceiptID string
	// Path is as in notes.FileChange.
	Path string
	// First and Last are the envelope, inclusive; unknown unless 0 < First <= Last.
	First, Last int64
	// Blob is the file's content after the change, or empty.
	Blob gitcmd.OID
	// Attached says that the receipt is in the note of this commit. One that is
	// not, found by its blob, is asked for exact matches alone.
	Attached bool
}

// Claims returns the claims of a receipt. A receipt whose envelope is line 1
// alone, without a blob and without added lines, does not know it: importers
// write that for every file.
func Claims(receipt *notes.Receipt, attached bool) []Claim {
	claims := make([]Claim, 0, len(receipt.Files))
	for _, f := range receipt.Files {
		c := Claim{
			ReceiptID: receipt.ID, Path: f.Path, First: f.LineStart, Last: f.LineEnd,
			Blob: gitcmd.OID(f.BlobHash), Attached: attached,
		}
		if c.First == 1 && c.Last == 1 && c.Blob == "" && (f.Additions == nil || *f.Additions == 0) {
			c.First, c.Last = 0, 0
		}
		claims = append(claims, c)
	}
	return claims
}

// Evidence is all that speaks for the lines of one commit.
type Evidence struct {
	// Attestations are those of the commit's git-ai note.
	Attestations []notes.Attestation
	// Claims are those of the receipts in the commit's BlamePrompt note, and of
	// receipts anywhere in the repository with a blob that the commit has. Of two
	// claims that are equally sure the later one wins: order them by time.
	Claims []Claim
	// Reattached is what notes of commits that were left behind say of it.
	Reattached []Reattached
	// Noted says that the commit has a note that could be read, also an empty one,
	// or that one was reattached to it.
	Noted bool
	// Agent is the agent that a trailer or identity of the commit names, or empty.
	Agent string
}

// Classify gives every added line of a commit to one owner: to the receipt
// that has its file's exact content; else to whom the git-ai note gives it; else
// to the receipt in whose envelope it lies; else, if no note speaks of the commit
// at all, to the agent that the commit names; else it is unknown.
//
// A receipt with the exact content and no known envelope owns all added lines of
// the file; one without either owns none. Git-ai paths are compared as they
// are, those of receipts as paths that end alike by whole components. Exclude
// tells which files do not count and may be nil. Files without added lines are
// left out. It takes n log n time in the ranges of files and evidence.
func Classify(files []File, evidence Evidence, exclude func(*File) Reason) ([]FileLines, Counts) {
	var out []FileLines
	var total Counts
	bids := collect(files, evidence)
	for i := range files {
		f := &files[i]
		if len(f.Added) == 0 {
			continue
		}
		lines := FileLines{File: f}
		if exclude != nil {
			lines.Excluded = exclude(f)
		}
		if lines.Excluded != "" {
			lines.Counts.Excluded = Count(f.Added)
		} else {
			lines.Runs = runs(f.Added, bids[i], evidence.rest())
			for _, r := range lines.Runs {
				lines.Counts.count(r)
			}
		}
		total.Add(lines.Counts)
		out = append(out, lines)
	}
	return out, total
}

// rest is the owner of lines that nobody claims.
func (e *Evidence) rest() Run {
	if e.Agent == "" || e.Noted || len(e.Attestations) > 0 {
		return Run{Class: ClassUnknown}
	}
	return Run{Class: notes.ClassAI, Source: SourceTrailer, Confidence: Trailer, Author: e.Agent}
}

// collect returns what is claimed of each file, the surest claims last, and of
// equally sure ones those of the commit's own note.
func collect(files []File, e Evidence) [][]Run {
	b := &bidding{files: files, paths: newPaths(files), bids: make([][]Run, len(files)), exact: make([][]Run, len(files))}
	for _, r := range e.Reattached {
		for _, c := range r.Claims {
			b.claim(c, r.From)
		}
	}
	for _, c := range e.Claims {
		b.claim(c, "")
	}
	for _, r := range e.Reattached {
		for _, a := range r.Attestations {
			b.attest(a, r.From)
		}
	}
	for _, a := range e.Attestations {
		b.attest(a, "")
	}
	for i := range b.bids {
		b.bids[i] = append(b.bids[i], b.exact[i]...)
	}
	return b.bids
}

// bidding collects what is claimed of files.
type bidding struct {
	files []File
	paths *paths
	// exact are the bids of receipts with the very content.
	bids, exact [][]Run
}

func (b *bidding) claim(c Claim, from gitcmd.OID) {
	run := Run{Class: notes.ClassAI, Source: SourceBlamePrompt, ReceiptID: c.ReceiptID, From: from}
	run.LineRange = c.envelope()
	if i, ok := b.paths.exact(c); ok {
		run.Confidence = Exact
		if run.Last == 0 {
			run.LineRange = notes.LineRange{First: 1, Last: notes.MaxLine}
		}
		b.exact[i] = append(b.exact[i], run)
		return
	}
	run.Confidence = Envelope
	if !c.Attached || run.Last == 0 {
		return
	}
	if i, ok := b.paths.find(c.Path, ""); ok {
		b.bids[i] = append(b.bids[i], run)
	}
}

func (b *bidding) attest(a notes.Attestation, from gitcmd.OID) {
	i, ok := b.paths.byPath[a.Path]
	if !ok || b.files[i].Path != a.Path {
		return
	}
	b.bids[i] = slices.Grow(b.bids[i], len(a.Lines))
	for _, r := range a.Lines {
		if r.First == 0 || r.Last < r.First || r.Last > notes.MaxLine {
			continue
		}
		b.bids[i] = append(b.bids[i], Run{
			LineRange: r, Class: a.Class, Source: SourceGitAI, Confidence: Attested,
			ReceiptID: a.ReceiptID, Author: a.Author, From: from,
		})
	}
}

func (p *paths) exact(c Claim) (int, bool) {
	if c.Blob.IsZero() {
		return 0, false
	}
	return p.find(c.Path, c.Blob)
}

// envelope returns the lines of a claim, 0 to 0 if they are not known.
func (c *Claim) envelope() notes.LineRange {
	if c.First < 1 || c.Last < c.First || c.First > notes.MaxLine {
		return notes.LineRange{}
	}
	return notes.LineRange{First: uint32(c.First), Last: uint32(min(c.Last, notes.MaxLine))}
}

// runs gives the added lines to the last of the bids that covers them, and
// what is left to rest.
func runs(added []notes.LineRange, bids []Run, rest Run) []Run {
	owned := resolve(bids)
	out := make([]Run, 0, len(added)+len(owned))
	next := 0
	for _, a := range added {
		for line := a.First; line <= a.Last; line = out[len(out)-1].Last + 1 {
			for next < len(owned) && owned[next].Last < line {
				next++
			}
			run := rest
			run.LineRange = notes.LineRange{First: line, Last: a.Last}
			if next < len(owned) && owned[next].First <= line {
				run = owned[next]
				run.LineRange = notes.LineRange{First: line, Last: min(a.Last, owned[next].Last)}
			} else if next < len(owned) {
				run.Last = min(a.Last, owned[next].First-1)
			}
			out = append(out, run)
		}
	}
	return Join(out)
}

// Join unites neighbours of one owner, in place.
func Join(runs []Run) []Run {
	out := runs[:0]
	for _, r := range runs {
		if n := len(out); n > 0 && out[n-1].Last+1 == r.First {
			same := r
			same.LineRange = out[n-1].LineRange
			if same == out[n-1] {
				out[n-1].Last = r.Last
				continue
			}
		}
		out = append(out, r)
	}
	return out
}

// resolve turns bids, of which a later one takes lines from an earlier one,
// into disjoint ascending runs. It works on the borders of the bids, so that
// its cost is n log n in their number.
func resolve(bids []Run) []Run {
	if ascending(bids) {
		return bids
	}
	borders := make([]uint32, 0, 2*len(bids))
	for _, b := range bids {
		borders = append(borders, b.First, b.Last+1)
	}
	slices.Sort(borders)
	borders = slices.Compact(borders)
	// owner is the bid from a border to the next one, free the next border from
	// which on nobody owns the lines yet.
	owner := make([]int, len(borders))
	free := newFreeList(len(borders))
	for i, b := range slices.Backward(bids) {
		first, _ := slices.BinarySearch(borders, b.First)
		end, _ := slices.BinarySearch(borders, b.Last+1)
		for s := free.next(first); s < end; s = free.next(s) {
			owner[s] = i + 1
			free.take(s)
		}
	}
	var out []Run
	for s, i := range owner {
		if i == 0 {
			continue
		}
		run := bids[i-1]
		run.LineRange = notes.LineRange{First: borders[s], Last: borders[s+1] - 1}
		out = append(out, run)
	}
	return out
}

func ascending(bids []Run) bool {
	for i := 1; i < len(bids); i++ {
		if bids[i].First <= bids[i-1].Last {
			return false
		}
	}
	return true
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
