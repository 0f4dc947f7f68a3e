package gitcmd

import (
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Commit is what a commit says about itself. Names, addresses and the message
// are valid UTF-8 (re-encoded from the commit's encoding, what is not readable
// becomes U+FFFD) without NUL; names and addresses are cut at 4 KiB. Times are
// in UTC, clamped to MinTime and MaxTime.
type Commit struct {
	OID            OID
	Parents        []OID
	AuthorName     string
	AuthorEmail    string
	AuthorTime     time.Time
	CommitterName  string
	CommitterEmail string
	CommitTime     time.Time
	// Message is subject and body, cut at 64 KiB; empty in CommitChanges.
	Message string
}

// CommitChanges is a commit and what it changed.
type CommitChanges struct {
	Commit
	Changes []Change
}

// Change is one path that differs from every parent of its commit.
type Change struct {
	// Path is raw bytes as in TreeEntry.
	Path string
	// Old is the object in each parent, in their order, zero where the path is
	// absent. A root commit has one: zero.
	Old []OID
	// New is zero when the commit deleted the path.
	New OID
	// Mode is the new mode in octal, "000000" for a deleted path.
	Mode string
}

// Bounds of the times of a commit: a header can hold any number.
var (
	MinTime = time.Unix(0, 0).UTC()
	MaxTime = time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)
)

const (
	maxIdentity = 4 << 10
	maxMessage  = 64 << 10
	maxParents  = 1 << 20
)

// logFormat ends every field in NUL, which no field of a commit can hold.
const logFormat = "%H%x00%P%x00%an%x00%ae%x00%at%x00%cn%x00%ce%x00%ct"

// logArguments pin down all that configuration could change.
var logArguments = []string{
	"log", "--stdin", "--topo-order", "--reverse", "-z", "--encoding=UTF-8", "--no-color",
	"--no-show-signature", "--no-mailmap", "--no-decorate", "--no-notes",
}

// Changes hands the commits that are reachable from include and not from
// exclude to fn, parents before children, each with the paths in which it
// differs from all of its parents: for a merge those that the merge itself
// decided, for a root and at the border of a shallow repository the whole
// tree. Renames are deletions and additions; commits without changes come too.
// The value is fn's to keep. An error of fn ends the walk and is returned as
// it is. ErrMissingObject means that history or a tree is incomplete.
func (r *Repo) Changes(ctx context.Context, include, exclude []OID, fn func(*CommitChanges) error) error {
	reader := &changeReader{fn: fn}
	err := r.log(ctx, include, exclude, reader.readAll, "--raw", "-c", "--root", "--no-abbrev", "--no-renames",
		"--no-relative", "--no-ext-diff", "--no-textconv", "--ignore-submodules=none", "-O/dev/null",
		"--format=tformat:"+logFormat)
	if err != nil || reader.last == nil {
		return err
	}
	return fn(reader.last)
}

// Commits hands the same commits as Changes to fn, in the same order, with
// their messages and without their changes.
func (r *Repo) Commits(ctx context.Context, include, exclude []OID, fn func(*Commit) error) error {
	return r.log(ctx, include, exclude, func(t *tokens) error {
		return readCommits(t, fn)
	}, "--no-patch", "--format=tformat:"+logFormat+"%x00%B")
}

func (r *Repo) log(ctx context.Context, include, exclude []OID, read func(*tokens) error, args ...string) error {
	// Without a revision git log would show HEAD.
	if len(include) == 0 {
		return nil
	}
	revisions, err := writeRevisions(include, exclude)
	if err != nil {
		return fmt.Errorf("reading history: %w", err)
	}
	c := r.Command(ctx, append(append([]string{}, logArguments...), args...)...)
	c.Stdin = strings.NewReader(revisions)
	err = c.Stream(func(out io.Reader) error { return read(newTokens(out)) })
	return unwrapCallback(err, "reading history of "+r.dir)
}

func readCommits(t *tokens, fn func(*Commit) error) error {
	for {
		commit, err := readHeader(t)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		message, err := t.inner(maxMessage)
		if err != nil {
			return err
		}
		commit.Message = cleanText(message)
		if err := fn(&commit); err != nil {
			return callbackError{err}
		}
	}
}

// changeReader reads the output of git log --raw -c -z: a header, then for
// each change ":<modes> <oids> <status> NUL <path> NUL". Between the two git
// writes a newline or NULs, depending on the number of parents.
type changeReader struct {
	tokens *tokens
	fn     func(*CommitChanges) error
	// last is held back until the next commit begins or git has ended well: a
	// git that dies while it compares trees leaves it without its changes.
	last *CommitChanges
}

func (c *changeReader) readAll(t *tokens) error {
	c.tokens = t
	for {
		commit, err := readHeader(t)
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if c.last != nil {
			if err := c.fn(c.last); err != nil {
				return callbackError{err}
			}
		}
		changes, err := c.readChanges(max(1, len(commit.Parents)))
		if err != nil {
			return err
		}
		c.last = &CommitChanges{Commit: commit, Changes: changes}
	}
}

func (c *changeReader) readChanges(parents int) ([]Change, error) {
	var changes []Change
	for {
		next, err := c.skipSeparators()
		if err == io.EOF || err == nil && next != ':' {
			return changes, nil
		}
		if err != nil {
			return nil, err
		}
		change, err := c.readChange(parents)
		if err != nil {
			return nil, err
		}
		changes = append(changes, change)
	}
}

func (c *changeReader) skipSeparators() (byte, error) {
	for {
		next, err := c.tokens.r.ReadByte()
		if err != nil {
			return 0, err
		}
		if next != '\n' && next != 0 {
			return next, c.tokens.r.UnreadByte()
		}
	}
}

func (c *changeReader) readChange(parents int) (Change, error) {
	meta, err := c.tokens.inner((parents + 1) * 80)
	if err != nil {
		return Change{}, err
	}
	fields := strings.Split(strings.TrimLeft(meta, ":"), " ")
	if len(fields) != 2*parents+3 {
		return Change{}, fmt.Errorf("unexpected change %.100q of a commit with %d parents", meta, parents)
	}
	path, err := c.tokens.inner(MaxPath)
	if err != nil {
		return Change{}, err
	}
	oids, err := parseOIDs(fields[parents+1 : 2*parents+2])
	if err != nil {
		return Change{}, err
	}
	return Change{Path: path, Old: oids[:parents:parents], New: oids[parents], Mode: fields[parents]}, nil
}

// readHeader reads logFormat. The error is io.EOF when there is none.
func readHeader(t *tokens) (Commit, error) {
	id, err := t.next(100)
	if err != nil {
		return Commit{}, err
	}
	var commit Commit
	if commit.OID, err = ParseOID(id); err != nil {
		return Commit{}, err
	}
	parents, err := t.inner(65 * maxParents)
	if err != nil {
		return Commit{}, err
	}
	if commit.Parents, err = parseOIDs(strings.Fields(parents)); err != nil {
		return Commit{}, err
	}
	var authorTime, commitTime string
	for _, field := range []*string{
		&commit.AuthorName, &commit.AuthorEmail, &authorTime,
		&commit.CommitterName, &commit.CommitterEmail, &commitTime,
	} {
		if *field, err = t.inner(maxIdentity); err != nil {
			return Commit{}, err
		}
		*field = cleanText(*field)
	}
	commit.AuthorTime, commit.CommitTime = parseTime(authorTime), parseTime(commitTime)
	return commit, nil
}

// inner is next inside of a record, where the output must not end.
func (t *tokens) inner(limit int) (string, error) {
	token, err := t.next(limit)
	if err == io.EOF {
		err = errTruncated
	}
	return token, err
}

func parseOIDs(fields []string) ([]OID, error) {
	oids := make([]OID, len(fields))
	for i, field := range fields {
		oid, err := ParseOID(field)
		if err != nil {
			return nil, err
		}
		oids[i] = oid
	}
	return oids, nil
}

// parseTime reads seconds since 1970. What is no number counts as MinTime.
func parseTime(s string) time.Time {
	seconds, err := strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	if err != nil && !strings.Contains(err.Error(), "range") {
		return MinTime
	}
	return time.Unix(min(max(seconds, MinTime.Unix()), MaxTime.Unix()), 0).UTC()
}

func cleanText(s string) string {
	return strings.ToValidUTF8(s, "\uFFFD")
}
