package gitcmd

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// WithShallow returns the repository with file (GIT_SHALLOW_FILE) as the list
// of commits at which history ends, as receive-pack gives it to the hooks of a
// shallow push.
func (r *Repo) WithShallow(file string) *Repo {
	shallow := *r
	shallow.env = append(slices.Clone(r.env), "GIT_SHALLOW_FILE="+file)
	return &shallow
}

// WithoutCheckout returns the repository as if nothing were checked out: no
// attribute of an index or of files in a work tree has a say in diffs.
func (r *Repo) WithoutCheckout() *Repo {
	bare := *r
	bare.env = append(slices.Clone(r.env), "GIT_INDEX_FILE=/nonexistent/index")
	return &bare
}

// NewCommits hands the commits that tips reach and no ref outside of
// refs/notes/ does to fn, newest first as far as commit times are true, at most
// limit of them, each with its message. Notes refs hide nothing, so that a
// commit that was once pushed to one is still new to the branches. Tips may be
// tags; what is neither commit nor tag is passed over. An error of fn ends the
// walk and is returned as it is. ErrMissingObject means that history is
// incomplete.
func (r *Repo) NewCommits(ctx context.Context, tips []OID, limit int, fn func(*Commit) error) error {
	return r.newCommits(ctx, tips, nil, limit, fn, "--not", "--exclude=refs/notes/*", "--all")
}

// CommitsBeyond hands the commits that tips reach and known do not to fn,
// whatever refs there are, and is otherwise as NewCommits. With known from the
// refs of a remote it tells what a push to that remote would bring.
func (r *Repo) CommitsBeyond(ctx context.Context, tips, known []OID, limit int, fn func(*Commit) error) error {
	return r.newCommits(ctx, tips, known, limit, fn)
}

func (r *Repo) newCommits(ctx context.Context, tips, known []OID, limit int, fn func(*Commit) error, hidden ...string) error {
	if len(tips) == 0 || limit <= 0 {
		return nil
	}
	revisions, err := writeRevisions(tips, known)
	if err != nil {
		return fmt.Errorf("reading new commits: %w", err)
	}
	args := []string{"log", "--stdin", "-z", "--encoding=UTF-8", "--no-color", "--no-show-signature",
		"--no-mailmap", "--no-decorate", "--no-notes", "--no-patch", "--max-count=" + strconv.Itoa(limit),
		"--format=tformat:" + logFormat + "%x00%B"}
	c := r.Command(ctx, append(args, hidden...)...)
	c.Stdin = strings.NewReader(revisions)
	err = c.Stream(func(out io.Reader) error { return readCommits(newTokens(out), fn) })
	return unwrapCallback(err, "reading new commits of "+r.dir)
}

// CommitsLeft returns the commits that old reaches, and neither tips nor any
// ref does, newest first and at most limit of them. Refs in refs/notes/ hide
// nothing, and neither do those that are named in moved, full names that are
// arguments of the child.
func (r *Repo) CommitsLeft(ctx context.Context, old OID, tips []OID, moved []string, limit int) ([]OID, error) {
	revisions, err := writeRevisions([]OID{old}, tips)
	if err != nil {
		return nil, fmt.Errorf("reading commits that are left: %w", err)
	}
	args := []string{"rev-list", "--stdin", "--max-count=" + strconv.Itoa(limit), "--not", "--exclude=refs/notes/*"}
	for _, name := range moved {
		args = append(args, "--exclude="+name)
	}
	// Not --all, which has HEAD too, and with it a branch that is moved.
	c := r.Command(ctx, append(args, "--glob=refs/*")...)
	c.Stdin = strings.NewReader(revisions)
	out, err := c.Output(int64(limit) * 65)
	if err != nil {
		return nil, fmt.Errorf("reading commits that are left in %s: %w", r.dir, err)
	}
	var left []OID
	for line := range strings.Lines(string(out)) {
		left = append(left, OID(strings.TrimSuffix(line, "\n")))
	}
	return left, nil
}
