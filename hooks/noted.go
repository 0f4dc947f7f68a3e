package hooks

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sort"
	"strings"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// foundNotes is what one batch reader found.
type foundNotes struct {
	found  []Note
	unread bool
	// parents are those of the notes tips.
	parents map[gitcmd.OID][]gitcmd.OID
}

// The bounds of single objects.
const (
	maxTree      = 32 << 20
	maxTip       = 1 << 20
	maxTagDepth  = 8
	maxTreeReads = 100_000
)

// readNotes reads the notes of the new commits, and the tags of the push, by
// one child. Trees are read from the root to the notes that are wanted, so
// that the cost is that of the push and not of the notes that are there.
func (c *collection) readNotes(ctx context.Context) error {
	c.notes.parents = make(map[gitcmd.OID][]gitcmd.OID)
	tips, err := c.noteTips(ctx)
	if err != nil {
		return err
	}
	reader := c.repo.NewBatchReader(ctx)
	defer reader.Close()
	if err := c.readNotesAt(ctx, reader, tips); err != nil || ctx.Err() != nil {
		return err
	}
	return c.peelTags(reader)
}

// ReadNotes reads the notes of commits in the trees of tips, by ref name, as
// Collect reads those of a push; commits come newest first. Unread says that
// notes of them may exist that are not among those found.
func ReadNotes(ctx context.Context, repo *gitcmd.Repo, tips map[string]gitcmd.OID, commits []gitcmd.OID,
	limits Limits) (found []Note, unread bool, err error) {
	c := newCollection(repo, nil, limits.orDefaults())
	c.notes.parents = make(map[gitcmd.OID][]gitcmd.OID)
	for i, oid := range commits {
		c.index[oid] = i
		c.commits = append(c.commits, Commit{OID: oid})
	}
	close(c.listed)
	reader := repo.NewBatchReader(ctx)
	defer reader.Close()
	if err := c.readNotesAt(ctx, reader, tips); err != nil {
		return nil, false, err
	}
	return c.notes.found, c.notes.unread, ctx.Err()
}

// readNotesAt reads the notes of the commits, when they are listed, in the
// trees of tips.
func (c *collection) readNotesAt(ctx context.Context, reader *gitcmd.BatchReader, tips map[string]gitcmd.OID) error {
	w := &noteWalk{ctx: ctx, reader: reader, bytes: c.limits.NoteBytes, trees: maxTreeReads}
	roots, err := c.readTips(w, tips)
	if err != nil {
		return err
	}
	select {
	case <-c.listed:
	case <-ctx.Done():
		return nil
	}
	for i := range c.commits {
		w.wanted = append(w.wanted, string(c.commits[i].OID))
	}
	sort.Strings(w.wanted)
	for _, ref := range slices.Sorted(maps.Keys(roots)) {
		if err := w.find(ref, roots[ref]); err != nil {
			return fmt.Errorf("looking for notes in %s: %w", ref, err)
		}
	}
	if err := c.readBodies(w); err != nil {
		return fmt.Errorf("reading notes: %w", err)
	}
	c.notes.unread = c.notes.unread || w.cut
	return nil
}

// noteTips returns the tips of the registered notes refs, as they will be.
func (c *collection) noteTips(ctx context.Context) (map[string]gitcmd.OID, error) {
	tips := make(map[string]gitcmd.OID)
	var asked []string
	for ref := range notes.RefFormats {
		i := slices.IndexFunc(c.updates, func(u Update) bool { return u.Ref == ref })
		if i < 0 {
			asked = append(asked, ref)
		} else if !c.updates[i].New.IsZero() {
			tips[ref] = c.updates[i].New
		}
	}
	if len(asked) == 0 || len(c.tips()) == 0 {
		return tips, nil
	}
	there, err := c.repo.Tips(ctx, asked...)
	if err != nil {
		return nil, err
	}
	maps.Copy(tips, there)
	return tips, nil
}

// readTips returns the trees of the tips by ref. A tip without a tree holds no
// notes.
func (c *collection) readTips(w *noteWalk, tips map[string]gitcmd.OID) (map[string]gitcmd.OID, error) {
	roots := make(map[string]gitcmd.OID)
	for ref, tip := range tips {
		object, err := w.reader.Read(tip, maxTip)
		if err != nil {
			return nil, fmt.Errorf("reading tip of %s: %w", ref, err)
		}
		switch {
		case object.Type == "tree":
			roots[ref] = tip
		case object.Type == "commit" && object.Data != nil:
			links := headerLinks(object.Data)
			c.notes.parents[tip] = links["parent"]
			if trees := links["tree"]; len(trees) > 0 {
				roots[ref] = trees[0]
			}
		case object.Type != "blob":
			c.notes.unread = true
		}
	}
	return roots, nil
}

// headerLinks returns the ids in the header of a commit or tag by field.
func headerLinks(object []byte) map[string][]gitcmd.OID {
	links := make(map[string][]gitcmd.OID)
	header, _, _ := bytes.Cut(object, []byte("\n\n"))
	for line := range strings.Lines(string(header)) {
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if oid, err := gitcmd.ParseOID(value); err == nil {
			links[field] = append(links[field], oid)
		}
	}
	return links
}

// peelTags follows the pushed tags to their commits.
func (c *collection) peelTags(reader *gitcmd.BatchReader) error {
	for _, u := range c.updates {
		_, isCommit := c.index[u.New]
		if u.New.IsZero() || isCommit || !strings.HasPrefix(u.Ref, "refs/tags/") {
			continue
		}
		commit, err := peel(reader, u.New)
		if err != nil {
			return fmt.Errorf("reading tag %.100q: %w", u.Ref, err)
		}
		if commit != "" && commit != u.New {
			c.tags[u.New] = commit
		}
	}
	return nil
}

// peel returns the commit behind a chain of tags, or "".
func peel(reader *gitcmd.BatchReader, oid gitcmd.OID) (gitcmd.OID, error) {
	for range maxTagDepth {
		object, err := reader.Read(oid, maxTip)
		if err != nil {
			return "", err
		}
		if object.Type == "commit" {
			return oid, nil
		}
		target := headerLinks(object.Data)["object"]
		if object.Type != "tag" || len(target) == 0 {
			return "", nil
		}
		oid = target[0]
	}
	return "", nil
}

// noteWalk looks for notes in trees of notes.
type noteWalk struct {
	ctx    context.Context
	reader *gitcmd.BatchReader
	// wanted are the ids of the annotated commits, sorted.
	wanted []string
	// bytes and trees are what may still be read; cut says that it was not enough
	// or that something could not be read.
	bytes int64
	trees int
	cut   bool
	found []noteBlob
}

type noteBlob struct {
	commit gitcmd.OID
	ref    string
	blob   gitcmd.OID
}

// subtree is a tree whose notes are of commits that begin with prefix.
type subtree struct {
	oid    gitcmd.OID
	prefix string
}

// find adds the notes under root, at whatever fan-out they are.
func (w *noteWalk) find(ref string, root gitcmd.OID) error {
	if len(w.wanted) == 0 {
		return nil
	}
	level := []subtree{{oid: root}}
	for len(level) > 0 {
		w.trees -= len(level)
		if w.trees < 0 {
			w.cut = true
			return nil
		}
		var next []subtree
		at := 0
		err := w.reader.ReadMany(w.ctx, idsOf(level), maxTree, func(object gitcmd.Object) error {
			next = w.enter(ref, level[at].prefix, object, next)
			at++
			return nil
		})
		if err != nil {
			return err
		}
		level = next
	}
	return nil
}

func idsOf(trees []subtree) func(func(gitcmd.OID) bool) {
	return func(yield func(gitcmd.OID) bool) {
		for _, tree := range trees {
			if !yield(tree.oid) {
				return
			}
		}
	}
}

// enter takes the entries of one tree that lead to what is wanted: "<mode> SP
// <name> NUL <binary id>".
func (w *noteWalk) enter(ref, prefix string, object gitcmd.Object, next []subtree) []subtree {
	w.bytes -= object.Size
	if object.Type != "tree" || object.Data == nil || w.bytes < 0 {
		w.cut = true
		return next
	}
	idSize := len(w.wanted[0]) / 2
	for data := object.Data; len(data) > 0; {
		end := bytes.IndexByte(data, 0)
		if end < 0 || len(data) < end+1+idSize {
			w.cut = true
			return next
		}
		mode, name, _ := strings.Cut(string(data[:end]), " ")
		id := data[end+1 : end+1+idSize]
		data = data[end+1+idSize:]
		path := prefix + name
		if len(path) > 2*idSize || !w.leads(path) {
			continue
		}
		oid := gitcmd.OID(fmt.Sprintf("%x", id))
		switch {
		case mode == "40000":
			next = append(next, subtree{oid: oid, prefix: path})
		case len(path) == 2*idSize:
			w.found = append(w.found, noteBlob{commit: gitcmd.OID(path), ref: ref, blob: oid})
		}
	}
	return next
}

// leads reports whether a wanted id begins with path.
func (w *noteWalk) leads(path string) bool {
	i := sort.SearchStrings(w.wanted, path)
	return i < len(w.wanted) && strings.HasPrefix(w.wanted[i], path)
}
