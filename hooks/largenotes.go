package hooks

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// LargeNote is what a push puts into a notes ref and nobody will read: its
// content has more than notes.MaxBody bytes.
type LargeNote struct {
	Ref string `json:"ref"`
	// Commit is the annotated one; empty for a file that is no note.
	Commit gitcmd.OID `json:"commit,omitempty"`
	Size   int64      `json:"size"`
}

// The bounds of the search for large notes: how many are told, how many notes
// refs are looked at, and how many of their files.
const (
	maxLargeNotes = 20
	maxLargeRefs  = 16
	maxLargeFiles = 500_000
)

// findLargeNotes looks for large notes among those that the pushed notes refs
// have and did not have before, by their sizes alone. It takes its part of the
// time for measuring: what it could not look at is taken to be small, for no
// push is to fail because of it.
func (c *collection) findLargeNotes(ctx context.Context) error {
	if c.preview {
		return nil
	}
	timed, cancel := context.WithTimeout(ctx, c.limits.DiffTime)
	defer cancel()
	looked := 0
	for _, u := range c.updates {
		if !isNotesRef(u.Ref) || u.New.IsZero() || looked == maxLargeRefs {
			continue
		}
		looked++
		large, err := c.largeNotes(timed, u)
		if err != nil && ctx.Err() == nil {
			// The ref holds no tree of notes, or its files are too many: others say so.
			continue
		}
		if err != nil {
			return fmt.Errorf("looking at the sizes of notes: %w", err)
		}
		c.large = append(c.large, large...)
	}
	c.large = c.large[:min(len(c.large), maxLargeNotes)]
	return nil
}

// largeNotes finds those of one ref.
func (c *collection) largeNotes(ctx context.Context, u Update) ([]LargeNote, error) {
	before := u.Old
	if before.IsZero() {
		// Where the ref is hidden from pushers it may be there all the same.
		tips, err := c.repo.Tips(ctx, u.Ref)
		if err != nil {
			return nil, err
		}
		if before = tips[u.Ref]; before == "" {
			before = gitcmd.OID(emptyTrees[c.push.ObjectFormat])
		}
	}
	var files []gitcmd.Change
	err := c.repo.DiffTrees(ctx, before, u.New, func(change gitcmd.Change) error {
		if len(files) == maxLargeFiles {
			return errBudget
		}
		if !change.New.IsZero() {
			files = append(files, change)
		}
		return nil
	})
	if err != nil || len(files) == 0 {
		return nil, err
	}
	var large []LargeNote
	err = c.sizes(ctx, files, func(i int, size int64) {
		if size > notes.MaxBody && len(large) < maxLargeNotes {
			large = append(large, LargeNote{Ref: refOf(u).Name, Commit: annotated(files[i].Path, len(u.New)), Size: size})
		}
	})
	return large, err
}

// annotated is the commit of a note at a path of a notes tree, "" if it is none.
func annotated(path string, digits int) gitcmd.OID {
	oid, err := gitcmd.ParseOID(strings.ReplaceAll(path, "/", ""))
	if err != nil || len(oid) != digits {
		return ""
	}
	return oid
}

// sizes asks git for the sizes of files, without reading them, and tells each
// with its place.
func (c *collection) sizes(ctx context.Context, files []gitcmd.Change, tell func(i int, size int64)) error {
	var asked strings.Builder
	for _, file := range files {
		asked.WriteString(string(file.New) + "\n")
	}
	child := c.repo.Command(ctx, "cat-file", "--batch-check=%(objectsize)")
	child.Stdin = strings.NewReader(asked.String())
	return child.Stream(func(out io.Reader) error {
		lines := bufio.NewScanner(out)
		for i := 0; i < len(files) && lines.Scan(); i++ {
			// Of what is missing git says that instead.
			if size, err := strconv.ParseInt(lines.Text(), 10, 64); err == nil {
				tell(i, size)
			}
		}
		return lines.Err()
	})
}
