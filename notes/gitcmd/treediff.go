package gitcmd

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
)

// TreeChange is one path in which two trees differ.
type TreeChange struct {
	// Path is raw bytes as in TreeEntry.
	Path string
	// Old and New are zero where the path is absent.
	Old, New OID
	// OldMode and Mode are octal, "000000" where the path is absent.
	OldMode, Mode string
}

// TreeDiffer compares trees through one git diff-tree --stdin child, which is
// started at the first comparison and again after one that failed. It is for
// one goroutine at a time.
type TreeDiffer struct {
	ctx   context.Context
	repo  *Repo
	child *process
	out   *tokens
}

// NewTreeDiffer returns a differ whose child lives until Close or the end of
// ctx.
func (r *Repo) NewTreeDiffer(ctx context.Context) *TreeDiffer {
	return &TreeDiffer{ctx: ctx, repo: r}
}

// Close ends the child. It may be called again.
func (d *TreeDiffer) Close() error {
	if d.child != nil {
		d.child.stop()
		d.child = nil
	}
	return nil
}

// treeDiffArguments pin down all that configuration could change.
var treeDiffArguments = []string{
	"diff-tree", "--stdin", "-r", "-z", "--raw", "--always", "--no-abbrev", "--no-renames", "--no-relative",
	"--no-ext-diff", "--no-textconv", "--ignore-submodules=none", "-O/dev/null",
}

// Diff hands the paths in which the tree of commit differs from that of base to
// fn, in git's order; renames are deletions and additions. It costs as much as
// the subtrees that differ. An error of fn ends the comparison and is returned
// as it is. ErrMissingObject means that a commit or tree is incomplete.
func (d *TreeDiffer) Diff(base, commit OID, fn func(TreeChange) error) error {
	for _, oid := range []OID{base, commit} {
		if _, err := ParseOID(string(oid)); err != nil {
			return fmt.Errorf("comparing trees: %w", err)
		}
	}
	err := d.diff(base, commit, fn)
	if err != nil {
		d.Close()
	}
	return unwrapCallback(err, fmt.Sprintf("comparing the trees of %s and %s", base, commit))
}

// endMark is no revision: diff-tree repeats such a line and writes out all that
// it holds back.
const endMark = ".\n"

func (d *TreeDiffer) diff(base, commit OID, fn func(TreeChange) error) error {
	if d.child == nil {
		child, err := d.repo.Command(d.ctx, treeDiffArguments...).start(true)
		if err != nil {
			return err
		}
		d.child, d.out = child, newTokens(child.stdout)
	}
	// What follows a commit stands for its parents. If the child is dead, reading
	// tells why.
	_, _ = io.WriteString(d.child.stdin, string(commit)+" "+string(base)+"\n"+endMark)
	err := readTreeChanges(d.out, commit, fn)
	if errors.Is(err, errTruncated) {
		err = errors.Join(d.child.wait(), err)
		d.child = nil
	}
	return err
}

// readTreeChanges reads "<commit> NUL", an entry for each change, and endMark.
func readTreeChanges(t *tokens, commit OID, fn func(TreeChange) error) error {
	id, err := t.r.Peek(len(endMark))
	if err != nil {
		return errTruncated
	}
	if string(id) == endMark {
		return &MissingObjectError{OID: commit, Err: errors.New("git has no such commit")}
	}
	if header, err := t.inner(100); err != nil || header != string(commit) {
		return errors.Join(err, fmt.Errorf("unexpected header %.100q", header))
	}
	for {
		next, err := t.r.ReadByte()
		switch {
		case err != nil:
			return errTruncated
		case next == endMark[0]:
			_, err := t.r.Discard(len(endMark) - 1)
			return err
		case next != ':':
			return fmt.Errorf("unexpected %q behind commit %s", next, commit)
		}
		change, err := readTreeChange(t)
		if err != nil {
			return err
		}
		if err := fn(change); err != nil {
			return callbackError{err}
		}
	}
}

// readTreeChange reads "<old mode> <mode> <old> <new> <status> NUL <path> NUL".
func readTreeChange(t *tokens) (TreeChange, error) {
	meta, err := t.inner(200)
	if err != nil {
		return TreeChange{}, err
	}
	fields := strings.Split(meta, " ")
	if len(fields) != 5 {
		return TreeChange{}, fmt.Errorf("unexpected change %.100q", meta)
	}
	oids, err := parseOIDs(fields[2:4])
	if err != nil {
		return TreeChange{}, err
	}
	path, err := t.inner(MaxPath)
	return TreeChange{Path: path, Old: oids[0], New: oids[1], OldMode: fields[0], Mode: fields[1]}, err
}
