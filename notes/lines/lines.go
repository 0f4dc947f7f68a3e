// Package lines says which lines a commit added and whose they are.
//
// It owns three things: Diff reads the added lines of commits out of git;
// Excluder says which paths do not count and why; Classify gives every added
// line one class, with the source that says so and how sure it is.
//
// Promises: a line that nothing speaks for is unknown, never human. Only lines
// that the commit itself added are ever given to anybody. Work is done on
// ranges and never on lines: a note that attests four thousand million lines
// costs as much as one that attests ten. Diff runs one git child, reads its
// output as a stream and passes over the bytes of lines, so that memory is
// bounded by the files and hunks of one commit. Classify and Excluder do no I/O
// and may be used by several goroutines at once.
package lines

import (
	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// Commit is what one commit changed against its first parent, the empty tree
// for a root. For a merge it is what the merge itself decided: files that differ
// from every parent, and in them the lines that no parent has.
type Commit struct {
	OID   gitcmd.OID
	Merge bool
	// Files are in git's order.
	Files []File
	// Cut says that the commit has more than MaxFiles files or MaxRanges ranges;
	// those beyond are left out.
	Cut bool
	// Unreadable is set where git could not compare the commit and Files is
	// empty: errors.Is with gitcmd.ErrMissingObject when objects are absent.
	Unreadable error
}

// The bounds of one commit.
const (
	MaxFiles  = 250_000
	MaxRanges = 2_000_000
)

// limits are those bounds where they are enforced.
type limits struct{ files, ranges int }

var bounds = limits{MaxFiles, MaxRanges}

// File is one path that a commit changed.
type File struct {
	// Path is raw bytes; of a deleted file it is the path that it had.
	Path string
	// OldPath is the path in the first parent where git saw a rename; not known
	// for merges.
	OldPath string
	// Status is git's letter: A, M, D, R or T; for a merge one per parent.
	Status string
	// Blob is what the commit has at Path, zero when it deleted the file.
	Blob gitcmd.OID
	// Mode is octal as git prints it, "000000" for a deleted file. Symbolic links
	// ("120000") and submodules ("160000") have no lines.
	Mode string
	// Added are the lines that the commit added, ascending and disjoint, numbered
	// as in Blob.
	Added []notes.LineRange
	// Deleted counts the lines that it removed; for a merge those that every
	// parent has.
	Deleted int64
	// Binary says that git sees no text: neither Added nor Deleted is known.
	Binary bool
	// Generated says that the first lines, where the commit added them, say that
	// a tool wrote the file; see GeneratedHeader.
	Generated bool
}

// Count returns the number of lines in ranges that are disjoint.
func Count(ranges []notes.LineRange) int64 {
	var n int64
	for _, r := range ranges {
		n += int64(r.Last) - int64(r.First) + 1
	}
	return n
}
