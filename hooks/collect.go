package hooks

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/policy/push"
)

// ErrIncomplete says that history between the pushed commits and what the
// repository has is missing. A shallow clone whose history does not reach into
// the repository pushes so; git refuses that by itself unless
// receive.shallowUpdate is set.
var ErrIncomplete = errors.New("history of the push is incomplete")

// Collect reads what a push brings, in the quarantine that env names, by
// children of git that run side by side. repo is the git directory; updates
// and env come from ReadUpdates and ReadEnvironment. It changes nothing.
//
// New commits are those that no ref outside of refs/notes/ reached before. The
// updates mean this:
//
//   - A deletion brings no commits. Neither does a ref that is set to what
//     another ref reaches already.
//   - A tag brings the commits that only it reaches; Ref.Commit is what an
//     annotated one stands for. A tag of a tree or blob brings none.
//   - A new branch brings what no other ref has, not its whole history.
//   - A forced push brings the new commits of the new tip; Ref.Forced tells, see
//     there for very many refs. What it leaves behind is Ref.Abandoned, as with
//     a deleted branch.
//   - Notes refs bring no commits. The notes of the new commits are read in the
//     new tree of a pushed notes ref, else in the tree that it has now, and in
//     none when it is deleted. Notes of other commits are not read, but for
//     their sizes: LargeNotes are those that come with the push.
//   - The first push of a whole repository (Initial) and any other with more
//     than Limits.Commits new commits: the newest are listed and MoreCommits is
//     set. Commits beyond Limits.Diffs, DiffTime and the other bounds are
//     listed without Files and PatchID, and not Measured.
//   - A push from a shallow clone is as any other as long as its history meets
//     the repository's. Where it does not, the error is ErrIncomplete, or, in a
//     repository that accepts shallow pushes, Shallow is set and commits at the
//     border are marked Boundary.
//
// Behind a push, in post-receive, no commits are new any more.
//
// The error is ErrIncomplete, that of ctx, or what git said.
func Collect(ctx context.Context, repo *gitcmd.Repo, updates []Update, env Environment, limits Limits) (Push, error) {
	return newCollection(env.Quarantine.within(repo), updates, limits.orDefaults()).collect(ctx, env)
}

func (c *collection) collect(ctx context.Context, env Environment) (Push, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	c.push.Environment = env
	if err := c.readBoundary(env.Quarantine.Shallow); err != nil {
		return Push{}, err
	}
	c.run(ctx, cancel)
	if err := context.Cause(ctx); err != nil {
		return Push{}, fmt.Errorf("collecting push: %w", incomplete(err))
	}
	c.assemble()
	if err := c.classify(ctx); err != nil {
		return Push{}, fmt.Errorf("collecting push: %w", incomplete(err))
	}
	return c.push, nil
}

func (q Quarantine) within(repo *gitcmd.Repo) *gitcmd.Repo {
	if q.Objects != "" {
		repo = repo.WithQuarantine(q.Objects, q.Alternates)
	}
	if q.Shallow != "" {
		repo = repo.WithShallow(q.Shallow)
	}
	return repo
}

func incomplete(err error) error {
	if errors.Is(err, gitcmd.ErrMissingObject) {
		return fmt.Errorf("%w: %w", ErrIncomplete, err)
	}
	return err
}

// collection is a Push in the making. Each field behind push is written by
// one of the goroutines of run and read when they have ended.
type collection struct {
	repo    *gitcmd.Repo
	updates []Update
	limits  Limits
	// boundary are the commits at which shallow history ends.
	boundary map[gitcmd.OID]bool
	push     Push
	// preview says that the repository is the one that pushes; known is then what
	// the other one has.
	preview bool
	known   []gitcmd.OID

	// commits are newest first; index is the place of each. Both are complete
	// when listed is closed.
	commits []Commit
	index   map[gitcmd.OID]int
	more    bool
	listed  chan struct{}

	measured []measurement
	notes    foundNotes
	large    []LargeNote
	// tags are what pushed annotated tags stand for, by their id.
	tags map[gitcmd.OID]gitcmd.OID
}

func newCollection(repo *gitcmd.Repo, updates []Update, limits Limits) *collection {
	c := &collection{
		repo: repo, updates: updates, limits: limits, boundary: make(map[gitcmd.OID]bool),
		index: make(map[gitcmd.OID]int), listed: make(chan struct{}), tags: make(map[gitcmd.OID]gitcmd.OID),
	}
	c.push.Version, c.push.ObjectFormat = PushVersion, objectFormat(updates)
	return c
}

func objectFormat(updates []Update) string {
	if len(updates) > 0 && len(updates[0].New) == 64 {
		return "sha256"
	}
	return "sha1"
}

// maxShallow bounds the file of the commits at which history ends.
const maxShallow = 1 << 20

func (c *collection) readBoundary(file string) error {
	if file == "" {
		return nil
	}
	info, err := os.Stat(file)
	if err == nil && info.Size() > maxShallow {
		err = fmt.Errorf("%d bytes are more than %d", info.Size(), maxShallow)
	}
	var text []byte
	if err == nil {
		text, err = os.ReadFile(file)
	}
	if err != nil {
		return fmt.Errorf("collecting push: reading shallow file: %w", err)
	}
	for line := range strings.FieldsSeq(string(text)) {
		c.boundary[gitcmd.OID(line)] = true
	}
	return nil
}

// run lists the commits and, while they come, measures them and looks for
// their notes. The first error ends all; a fault of this program is one, so that
// a push that brings it about is one that nobody could judge.
func (c *collection) run(ctx context.Context, cancel context.CancelCauseFunc) {
	var running sync.WaitGroup
	side := func(work func() error) {
		running.Go(func() {
			defer func() {
				if fault := faultOf(recover()); fault != nil {
					cancel(fault)
				}
			}()
			if err := work(); err != nil {
				cancel(err)
			}
		})
	}
	diffs := newFeed()
	context.AfterFunc(ctx, diffs.Close)
	side(func() error { return c.measure(ctx, diffs) })
	side(func() error { return c.readNotes(ctx) })
	side(func() error { return c.findLargeNotes(ctx) })
	side(func() error {
		defer close(c.listed)
		defer diffs.Close()
		return c.list(ctx, diffs)
	})
	running.Wait()
}

// tips are the new ids that may bring commits.
func (c *collection) tips() []gitcmd.OID {
	var tips []gitcmd.OID
	for _, u := range c.updates {
		if !u.New.IsZero() && !isNotesRef(u.Ref) {
			tips = append(tips, u.New)
		}
	}
	return tips
}

func isNotesRef(ref string) bool { return strings.HasPrefix(ref, "refs/notes/") }

// list reads the new commits and feeds those to measure.
func (c *collection) list(ctx context.Context, diffs *feed) error {
	fed, text := 0, c.limits.Text
	commits := c.repo.NewCommits
	if c.preview {
		commits = c.commitsBeyond
	}
	return commits(ctx, c.tips(), c.limits.Commits+1, func(commit *gitcmd.Commit) error {
		if len(c.commits) == c.limits.Commits {
			c.more = true
			return nil
		}
		boundary := c.boundary[commit.OID]
		if fed < c.limits.Diffs && !boundary {
			diffs.add(commit.OID)
			fed++
		}
		c.index[commit.OID] = len(c.commits)
		described := describe(commit, boundary)
		if text -= described.textSize(); text < 0 {
			described.abridge()
		}
		c.commits = append(c.commits, described)
		return nil
	})
}

// The bounds of a commit. A short name is what is left when many commits have
// long ones.
const (
	maxName        = 256
	maxShortName   = 32
	maxTrailers    = 64
	maxTrailer     = 512
	maxCommitMarks = 8
	maxParents     = 1000
)

func describe(c *gitcmd.Commit, boundary bool) Commit {
	out := Commit{
		OID: c.OID, Parents: c.Parents[:min(len(c.Parents), maxParents)], Boundary: boundary,
		Author:    identity(c.AuthorName, c.AuthorEmail, c.AuthorTime),
		Committer: identity(c.CommitterName, c.CommitterEmail, c.CommitTime),
		Bot:       notes.IsBot(c.AuthorName, c.AuthorEmail),
	}
	for _, t := range notes.Trailers(c.Message) {
		if len(out.Trailers) == maxTrailers {
			break
		}
		out.Trailers = append(out.Trailers, push.Trailer{Key: bounded(t.Key, maxTrailer), Value: bounded(t.Value, maxTrailer)})
	}
	marks := notes.AgentMarks(c.AuthorName, c.AuthorEmail, c.CommitterName, c.CommitterEmail, c.Message)
	for _, m := range marks[:min(len(marks), maxCommitMarks)] {
		out.Marks = append(out.Marks, push.Mark{Agent: m.Agent, Evidence: m.Evidence})
	}
	return out
}

func identity(name, email string, at time.Time) Identity {
	return Identity{Name: bounded(name, maxName), Email: bounded(email, maxName), Time: at}
}

// textSize counts what the pusher wrote.
func (c *Commit) textSize() int64 {
	size := len(c.Author.Name) + len(c.Author.Email) + len(c.Committer.Name) + len(c.Committer.Email)
	for _, t := range c.Trailers {
		size += len(t.Key) + len(t.Value)
	}
	return int64(size)
}

// abridge leaves what names the commit.
func (c *Commit) abridge() {
	c.Cut, c.Trailers = true, nil
	for _, who := range []*Identity{&c.Author, &c.Committer} {
		who.Name, who.Email = cut(who.Name, maxShortName), cut(who.Email, maxShortName)
	}
}

// emptyTrees are the ids of the tree without entries, which every git knows.
var emptyTrees = map[string]string{
	"sha1":   "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
	"sha256": "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
}

// measure reads the diffs of the commits that are fed, as far as the bounds
// allow.
func (c *collection) measure(ctx context.Context, diffs *feed) error {
	if len(c.tips()) == 0 {
		return nil
	}
	timed, cancel := context.WithTimeout(ctx, c.limits.DiffTime)
	defer cancel()
	context.AfterFunc(timed, diffs.Close)
	child := c.repo.Command(timed, diffArguments...)
	child.Stdin = diffs
	child.Grace = 100 * time.Millisecond
	// Since 2.43 git obeys the attributes of HEAD in a bare repository: the
	// pusher's own file could declare all text binary.
	child.Config = []string{"attr.tree=" + emptyTrees[c.push.ObjectFormat]}
	err := child.Stream(func(out io.Reader) error {
		defer diffs.Close()
		return newDiffReader(out, c.push.ObjectFormat, c.limits, func(m measurement) {
			c.measured = append(c.measured, m)
		}).readAll()
	})
	if errors.Is(err, errBudget) || timed.Err() != nil && ctx.Err() == nil {
		return nil
	}
	if err != nil {
		return fmt.Errorf("measuring commits: %w", err)
	}
	return nil
}

// assemble puts what the goroutines found together.
func (c *collection) assemble() {
	for _, m := range c.measured {
		if i, ok := c.index[m.oid]; ok {
			commit := &c.commits[i]
			commit.Measured, commit.Files, commit.PatchID = true, m.files, m.patchID
		}
	}
	for i := range c.commits {
		if !c.commits[i].Measured {
			c.push.Unmeasured++
		}
		c.push.Shallow = c.push.Shallow || c.commits[i].Boundary
	}
	c.push.MoreCommits = c.more
	c.push.Notes, c.push.UnreadNotes = c.notes.found, c.notes.unread
	c.push.LargeNotes = c.large
}
