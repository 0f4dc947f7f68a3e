// Package live says where each line of a branch's tip comes from.
//
// It owns the live map: for every file of a tip, runs of lines with the commit
// that last changed them, and the path and number that they had there, by which
// the class of a line can be looked up among the added lines of that commit.
// Build makes the map of a tip; Update makes it of the map of another tip and
// reads only files whose lines may come from elsewhere now.
//
// Promises: the map is what git blame --root says of every file at the tip,
// line by line, however many updates it went through; docs/numbers.md defines
// it and says why the updates are exact. What git cannot say is a finding of
// that file and stops no other. Memory is bounded by the files that are read at
// once and by the paths that changed. Whoever stores the map does so file by
// file, as they come; a Build that was cut short goes on with what is left.
package live

import (
	"cmp"
	"context"
	"runtime"
	"time"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/lines"
)

// Origin is where a line was added.
type Origin struct {
	Commit gitcmd.OID
	// Path is what Commit has the line in, as raw bytes.
	Path string
	// Line is its number there, from 1.
	Line uint32
}

// Run is a run of lines that stand in the same order, side by side, in the file
// that they come from. Origin is that of the first one.
type Run struct {
	notes.LineRange
	Origin
}

// Kind says what a path of the tip is to the live map.
type Kind string

// The kinds; all but KindText have no runs.
const (
	KindText Kind = "text"
	// KindExcluded: Options.Exclude says that its lines do not count.
	KindExcluded Kind = "excluded"
	// KindBinary: there is a NUL among the first 8,000 bytes, as for git diff.
	KindBinary Kind = "binary"
	// KindTooLarge: more than Options.MaxBytes or MaxLines; there is a finding.
	KindTooLarge  Kind = "too_large"
	KindSymlink   Kind = "symlink"
	KindSubmodule Kind = "submodule"
	// KindUnreadable: git cannot say where the lines come from; the finding says
	// why.
	KindUnreadable Kind = "unreadable"
	// KindRemoved: Update was told of a path that is no longer there.
	KindRemoved Kind = "removed"
)

// File is one path of the live map.
type File struct {
	// Path is raw bytes, as in gitcmd.TreeEntry.
	Path string
	// Blob is what the tip has there: of a submodule a commit, of a removed path
	// nothing.
	Blob gitcmd.OID
	Kind Kind
	// Excluded is why the lines do not count, of KindExcluded.
	Excluded lines.Reason
	// Lines is how many lines the file has, of KindText.
	Lines uint32
	// Runs cover lines 1 to Lines, ascending, none longer than it must be to be
	// joined with its neighbour.
	Runs []Run
	// Finding is nil unless the kind is KindTooLarge or KindUnreadable.
	Finding *notes.Finding
}

// Options say how a map is made. The zero value leaves nothing out.
type Options struct {
	// Workers is how many files are read at once, each with one git child; zero
	// is one per processor.
	Workers int
	// Timeout is how long git may take for one file; zero is DefaultTimeout.
	Timeout time.Duration
	// MaxBytes and MaxLines bound the files whose lines are followed; zero is
	// DefaultMaxBytes and DefaultMaxLines.
	MaxBytes int64
	MaxLines uint32
	// Exclude says why the lines of a path do not count, or "". Generated is what
	// lines.GeneratedHeader says of the file. Paths that are left out for their
	// name alone are not read. It is called by several goroutines.
	Exclude func(path string, generated bool) lines.Reason
	// Want says whether Build shall read a path: false for one that an earlier
	// Build of the same tip has handed over. It is called by one goroutine.
	Want func(path string) bool
	// Progress, if set, is told after each path how many of all are done. It is
	// called by one goroutine at a time.
	Progress func(done, total int)
}

// What the options are where they are zero.
const (
	DefaultTimeout  = 5 * time.Minute
	DefaultMaxBytes = 16 << 20
	DefaultMaxLines = 1_000_000
)

func (o Options) withDefaults() Options {
	o.Workers = cmp.Or(o.Workers, runtime.GOMAXPROCS(0))
	o.Timeout = cmp.Or(o.Timeout, DefaultTimeout)
	o.MaxBytes = cmp.Or(o.MaxBytes, DefaultMaxBytes)
	o.MaxLines = cmp.Or(o.MaxLines, DefaultMaxLines)
	return o
}

// Stored returns the files of a stored map by their paths; what it does not
// have is left out.
type Stored func(ctx context.Context, paths []string) (map[string]*File, error)
