package lines

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// maxUnreadable bounds the commits that one Diff passes over.
const maxUnreadable = 100

// The empty trees by the length of an object id. With an empty tree as the
// source of attributes a repository cannot declare its text to be binary.
var emptyTrees = map[int]string{
	40: "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
	64: "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}

// diffArguments ask for the changed paths, NUL-separated, and then for hunks,
// and pin down all that configuration could change. -c makes of a merge what
// differs from every parent; without any context git gets the line numbers of
// such hunks wrong.
var diffArguments = []string{
	"diff-tree", "--stdin", "-z", "--raw", "-p", "-r", "-U1", "-c", "--root", "--always", "--full-index", "--no-abbrev",
	"-M50%", "-l1000", "--diff-algorithm=myers", "--indent-heuristic", "--inter-hunk-context=0", "--no-color",
	"--no-ext-diff", "--no-textconv", "--no-relative", "--ignore-submodules=none", "--submodule=short",
	"--src-prefix=a/", "--dst-prefix=b/", "-O/dev/null",
}

// bigFile is the size from which git calls a file binary: a comparison holds
// both of its sides in memory.
const bigFile = "core.bigFileThreshold=100m"

// Diff hands every commit to fn, in the order given, with what it changed. The
// value is fn's to keep; an error of fn ends the reading and is returned as it
// is. One git child reads all of them; a commit that it cannot read is handed
// over as Unreadable and the rest goes on. Of more than a hundred such commits
// the first one too many ends the reading with its error. At the border of a
// shallow repository a commit looks like a root.
func Diff(ctx context.Context, repo *gitcmd.Repo, commits []gitcmd.OID, fn func(*Commit) error) error {
	for _, oid := range commits {
		if _, err := gitcmd.ParseOID(string(oid)); err != nil {
			return fmt.Errorf("reading added lines: %w", err)
		}
	}
	for unreadable := 0; len(commits) > 0; {
		done, err := diffRun(ctx, repo, commits, fn)
		commits = commits[done:]
		var failed failedError
		if !errors.As(err, &failed) || !failed.concernsCommit(ctx, repo) {
			return err
		}
		// The first commit that is not done was the last one begun, or is whole and
		// the next one failed before its first byte: alone it shows which.
		done, err = diffRun(ctx, repo, commits[:1], fn)
		if errors.As(err, &failed) && failed.concernsCommit(ctx, repo) {
			if unreadable++; unreadable > maxUnreadable {
				return err
			}
			done, err = 1, fn(&Commit{OID: commits[0], Unreadable: failed.error})
		}
		if err != nil {
			return err
		}
		commits = commits[done:]
	}
	return nil
}

// DiffBase returns what a commit has and another one has not, as Diff would if
// the other were its only parent.
func DiffBase(ctx context.Context, repo *gitcmd.Repo, base, commit gitcmd.OID) (*Commit, error) {
	for _, oid := range []gitcmd.OID{base, commit} {
		if _, err := gitcmd.ParseOID(string(oid)); err != nil {
			return nil, fmt.Errorf("reading added lines: %w", err)
		}
	}
	var found *Commit
	_, err := diffRequests(ctx, repo, []gitcmd.OID{commit}, string(commit)+" "+string(base)+"\n", func(c *Commit) error {
		found = c
		return nil
	})
	return found, err
}

// failedError is a failure of git, not of the caller's function.
type failedError struct{ error }

func (e failedError) Unwrap() error { return e.error }

// died is how git ends when it cannot go on with what it was given.
const died = 128

// concernsCommit reports whether git failed over a commit, and not because it
// could not run at all, was killed, or lost the repository.
func (e failedError) concernsCommit(ctx context.Context, repo *gitcmd.Repo) bool {
	if ctx.Err() != nil {
		return false
	}
	var child *gitcmd.Error
	if errors.As(e.error, &child) && child.ExitCode != died {
		return false
	}
	_, err := gitcmd.Open(repo.Dir())
	return err == nil
}

// diffRun reads commits with one child and returns how many of them fn has.
func diffRun(ctx context.Context, repo *gitcmd.Repo, commits []gitcmd.OID, fn func(*Commit) error) (int, error) {
	return diffRequests(ctx, repo, commits, revisions(commits), fn)
}

// diffRequests reads what one child says to requests, a line for each commit.
func diffRequests(ctx context.Context, repo *gitcmd.Repo, commits []gitcmd.OID, requests string, fn func(*Commit) error) (int, error) {
	queue := &queue{expected: commits, fn: fn}
	cmd := repo.Command(ctx, diffArguments...)
	cmd.Config = []string{bigFile, "diff.suppressBlankEmpty=false", "attr.tree=" + emptyTrees[len(commits[0])]}
	// Nor does a repository with a work tree then take them from its index.
	cmd.Env = []string{"GIT_INDEX_FILE=/nonexistent/index"}
	cmd.Stdin = strings.NewReader(requests)
	var readErr error
	err := cmd.Stream(func(out io.Reader) error {
		readErr = readDiff(out, bounds, queue.add)
		return queue.err
	})
	switch {
	case queue.err != nil:
		return queue.done, queue.err
	case err != nil:
		return queue.done, failedError{fmt.Errorf("reading added lines: %w", err)}
	case readErr != nil:
		return queue.done, failedError{fmt.Errorf("reading added lines: %w", readErr)}
	}
	return queue.done, queue.finish()
}

func revisions(commits []gitcmd.OID) string {
	var b strings.Builder
	for _, oid := range commits {
		b.WriteString(string(oid))
		b.WriteByte('\n')
	}
	return b.String()
}

// queue hands commits over in the expected order. The last one is held back
// until the next begins or git has ended well: a git that dies leaves it with
// a part of its files.
type queue struct {
	expected []gitcmd.OID
	fn       func(*Commit) error
	held     *Commit
	done     int
	// err is what fn returned.
	err error
}

func (q *queue) add(c *Commit) error {
	if err := q.release(); err != nil {
		return err
	}
	// git passes over ids that name no commit it has.
	for q.done < len(q.expected) && q.expected[q.done] != c.OID {
		if err := q.give(absent(q.expected[q.done])); err != nil {
			return err
		}
	}
	if q.done == len(q.expected) {
		return fmt.Errorf("git shows commit %s, which is not asked for", c.OID)
	}
	q.held = c
	return nil
}

func (q *queue) release() error {
	if q.held == nil {
		return nil
	}
	held := q.held
	q.held = nil
	return q.give(held)
}

func (q *queue) give(c *Commit) error {
	if q.err = q.fn(c); q.err != nil {
		return q.err
	}
	q.done++
	return nil
}

func (q *queue) finish() error {
	if err := q.release(); err != nil {
		return err
	}
	for q.done < len(q.expected) {
		if err := q.give(absent(q.expected[q.done])); err != nil {
			return err
		}
	}
	return nil
}

func absent(oid gitcmd.OID) *Commit {
	return &Commit{OID: oid, Unreadable: &gitcmd.MissingObjectError{OID: oid, Err: errors.New("git has no such commit")}}
}
