package hooks

import "time"

// maxCommits bounds the commits of any Push.
const maxCommits = 100_000

// Limits bound what Collect reads and tells. The zero value of a field stands
// for its default.
type Limits struct {
	// Commits is the largest number of new commits that are listed, default
	// 10,000; the newest are.
	Commits int
	// Diffs is the largest number of commits that are measured, default 1,000; the
	// newest are.
	Diffs int
	// DiffTime bounds the time for measuring, default 2 s, and DiffBytes the size
	// of the diffs, default 256 MiB.
	DiffTime  time.Duration
	DiffBytes int64
	// Files and Runs bound the files of all commits, default 50,000, and their
	// runs of added lines, default 200,000.
	Files, Runs int
	// Text bounds the bytes of names and trailers, of paths, of names of refs beside
	// commits and of the texts of notes, each; default 3 MiB. It keeps every Push
	// below MaxPush.
	Text int64
	// Notes bounds the number of notes that are read, default 2,000, and NoteBytes
	// the size of notes and trees of notes, default 128 MiB.
	Notes     int
	NoteBytes int64
	// Receipts bounds the receipts of all notes, default 10,000, Scan the bytes of
	// their texts that are searched for secrets, default 4 MiB.
	Receipts int
	Scan     int64
}

// DefaultLimits returns the limits that stand for the zero Limits.
func DefaultLimits() Limits { return Limits{}.orDefaults() }

func (l Limits) orDefaults() Limits {
	defaulted(&l.Commits, 10_000)
	defaulted(&l.Diffs, 1_000)
	defaulted(&l.DiffTime, 2*time.Second)
	defaulted(&l.DiffBytes, 256<<20)
	defaulted(&l.Files, 50_000)
	defaulted(&l.Runs, 200_000)
	defaulted(&l.Text, 3<<20)
	defaulted(&l.Notes, 2_000)
	defaulted(&l.NoteBytes, 128<<20)
	defaulted(&l.Receipts, 10_000)
	defaulted(&l.Scan, 4<<20)
	l.Commits = min(l.Commits, maxCommits)
	return l
}

func defaulted[T int | int64 | time.Duration](field *T, value T) {
	if *field <= 0 {
		*field = value
	}
}
