package gateway

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/go-git/go-git/v5/plumbing"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// A merge of notes joins what the repository has (ours) and what was pushed
// (theirs) into a commit with both as parents, so that whoever pushed either
// fetches it by a fast-forward. Bodies are merged as package notes does it, by
// these rules in addition:
//
//   - No push changes a receipt that is here. One with a known id and other
//     content is left out, and the finding receipt_tampered tells.
//   - A push removes the receipts of the person who pushes, and those that it
//     carries on another commit, as the clients do when history is rewritten.
//     Where it would remove others too, the note loses none, and the finding
//     receipt_kept tells.
//   - Fan-out is no content: a note moves to where theirs has moved it.
//   - What is no note in the pushed tree is left out.

// emptyTree is the tree without entries, which git knows without having it.
const emptyTree = gitcmd.OID("4b825dc642cb6eb9a060e54bf8d69288fbee4904")

// notesMerge is one merge of two tips.
type notesMerge struct {
	repo   *gitcmd.Repo
	format notes.Format
	// pusher is the address of the person who pushes, in lower case; empty for
	// nobody.
	pusher string
	now    time.Time

	reader *gitcmd.BatchReader
	writer objectWriter
	// ours and theirs are the tips, base their merge base, "" for none.
	ours, theirs, base gitcmd.OID
	oursTree           gitcmd.OID
	// was, here and pushed are the places of the notes that theirs changed, in
	// the three trees.
	was, here, pushed places
	// odd says that theirs changed something that is no note.
	odd bool
	// carried are the ids of receipts in notes that theirs changed; nil until
	// somebody asks.
	carried map[string]bool
	edits   treeEdits
	// plain says that the result is theirs' tree.
	plain  bool
	events []mergeEvent
}

// places are the paths and blobs of notes by annotated commit. Usually it is
// one; a tree can hold a note twice, at two depths.
type places map[string][]notePlace

type notePlace struct {
	path string
	blob gitcmd.OID
}

// errNotNotes says that what was pushed is no history of notes. Its message is
// for the pusher.
var errNotNotes = errors.New("what was pushed is no commit")

// run returns the tip that joins both; it is ours when theirs brings nothing
// and theirs when nothing has to be decided. It moves no ref.
func (m *notesMerge) run(ctx context.Context) (gitcmd.OID, error) {
	m.reader, m.writer = m.repo.NewBatchReader(ctx), newObjectWriter(m.repo)
	defer m.reader.Close()
	if _, err := m.treeOf(m.theirs); err != nil {
		return "", err
	}
	if m.ours == "" {
		return m.theirs, nil
	}
	var err error
	if m.base, err = m.repo.MergeBase(ctx, m.ours, m.theirs); err != nil {
		return "", err
	}
	if m.base == m.theirs {
		return m.ours, nil
	}
	if m.oursTree, err = m.treeOf(m.ours); err != nil {
		return "", err
	}
	if err := m.compare(ctx); err != nil {
		return "", fmt.Errorf("comparing notes: %w", err)
	}
	if err := m.decide(); err != nil {
		return "", err
	}
	if m.plain && m.base == m.ours && !m.odd {
		return m.theirs, nil
	}
	return m.commit()
}

// treeOf returns the tree of a commit.
func (m *notesMerge) treeOf(oid gitcmd.OID) (gitcmd.OID, error) {
	object, err := m.reader.Read(oid, maxCommit)
	if err != nil {
		return "", err
	}
	line, _, _ := strings.Cut(string(object.Data), "\n")
	tree, isTree := strings.CutPrefix(line, "tree ")
	if object.Type != "commit" || !isTree {
		return "", errNotNotes
	}
	return gitcmd.ParseOID(tree)
}

// maxCommit bounds a commit object.
const maxCommit = 8 << 20

// compare finds the notes that theirs changed since the base, and where ours
// has these. It costs as much as theirs changed, not as the trees are large:
// who never fetches has none of the notes of others.
func (m *notesMerge) compare(ctx context.Context) error {
	basis := m.base
	if basis == "" {
		basis = emptyTree
	}
	var err error
	if m.was, m.pushed, m.odd, err = m.changes(ctx, basis, m.theirs); err != nil {
		return err
	}
	if m.base == m.ours {
		m.here = maps.Clone(m.was)
		return nil
	}
	m.here, err = m.find(m.oursTree, slices.Sorted(maps.Keys(m.touched())))
	return err
}

// touched are the commits whose notes theirs changed.
func (m *notesMerge) touched() map[string]bool {
	commits := make(map[string]bool, len(m.was)+len(m.pushed))
	for commit := range m.was {
		commits[commit] = true
	}
	for commit := range m.pushed {
		commits[commit] = true
	}
	return commits
}

// changes returns the notes that differ between two trees, as the one and as
// the other has them.
func (m *notesMerge) changes(ctx context.Context, old, tip gitcmd.OID) (before, after places, odd bool, err error) {
	before, after = places{}, places{}
	err = m.repo.DiffTrees(ctx, old, tip, func(c gitcmd.Change) error {
		commit := annotated(c.Path)
		if commit == "" || !c.New.IsZero() && c.Mode != "100644" && c.Mode != "100755" {
			odd = true
			return nil
		}
		if !c.Old[0].IsZero() {
			before[commit] = append(before[commit], notePlace{c.Path, c.Old[0]})
		}
		if !c.New.IsZero() {
			after[commit] = append(after[commit], notePlace{c.Path, c.New})
		}
		return nil
	})
	return before, after, odd, err
}

// find looks for the notes of commits, which are sorted, in a tree, at whatever
// fan-out they are.
func (m *notesMerge) find(root gitcmd.OID, commits []string) (places, error) {
	found := places{}
	type subtree struct {
		oid  gitcmd.OID
		path string
	}
	level := []subtree{{oid: root}}
	for len(level) > 0 {
		var next []subtree
		for _, tree := range level {
			err := m.editor().each(tree.oid, func(e treeEntry) {
				path := tree.path + e.name
				prefix := strings.ReplaceAll(path, "/", "")
				switch {
				case !leads(commits, prefix):
				case e.mode == modeTree && len(e.name) == 2:
					next = append(next, subtree{e.oid, path + "/"})
				case e.mode != modeTree && len(prefix) == 2*idSize:
					found[prefix] = append(found[prefix], notePlace{path, e.oid})
				}
			})
			if err != nil {
				return nil, err
			}
		}
		level = next
	}
	return found, nil
}

// leads reports whether one of the sorted ids begins with prefix.
func leads(ids []string, prefix string) bool {
	i, _ := slices.BinarySearch(ids, prefix)
	return i < len(ids) && strings.HasPrefix(ids[i], prefix)
}

func (m *notesMerge) editor() treeEditor { return treeEditor{m.reader, m.writer} }

var notePath = regexp.MustCompile(`^([0-9a-f]{2}/)*[0-9a-f]+$`)

// annotated returns the commit that a note's path stands for, "" for a path
// that is no note's.
func annotated(path string) string {
	commit := strings.ReplaceAll(path, "/", "")
	if len(commit) != 2*idSize || !notePath.MatchString(path) {
		return ""
	}
	return commit
}

// commit writes the merge commit.
func (m *notesMerge) commit() (gitcmd.OID, error) {
	tree, err := m.editor().edit(m.oursTree, m.edits)
	if err != nil {
		return "", fmt.Errorf("writing the merged notes: %w", err)
	}
	text := fmt.Sprintf("tree %s\nparent %s\nparent %s\nauthor %[4]s %[5]d +0000\ncommitter %[4]s %[5]d +0000\n\n"+
		"Notes merged by the gateway\n", tree, m.ours, m.theirs, mergeIdentity, m.now.Unix())
	return m.writer.write(plumbing.CommitObject, []byte(text))
}

// mergeIdentity is in the commits that the gateway makes.
const mergeIdentity = "BlamePrompt gateway <gateway@blameprompt.invalid>"
