package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"strings"
	"time"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// DefaultTimeout ends a fetch for which FetchOptions names no time.
const DefaultTimeout = 30 * time.Minute

// FetchOptions say what to fetch.
type FetchOptions struct {
	// Remote comes from Rules.Check, just now.
	Remote Remote
	// Credential is for http and https; nil uses what the URL carried.
	Credential *Credential
	// Heads fetches all branches too.
	Heads bool
	// NotesRefs are full names, like refs/notes/blameprompt. Git can ask for
	// them by prefix only: a ref whose name merely begins like one of them is
	// transferred too and goes no further than refs/incoming/.
	NotesRefs []string
	// Progress, if set, gets git's progress lines, from one goroutine.
	Progress func(line string)
	// Timeout bounds everything, waiting for the lock too; zero is
	// DefaultTimeout.
	Timeout time.Duration
}

// TipChange is one step of a notes tip.
type TipChange struct {
	Ref string
	// Old is gitcmd.ZeroOID for a new ref, New for a deleted one.
	Old, New gitcmd.OID
	// Rewritten: New is not a descendant of Old, or the ref was deleted. Old is
	// kept as the ref ArchivedAs.
	Rewritten  bool
	ArchivedAs string
}

// FetchResult tells what a fetch changed.
type FetchResult struct {
	// Notes are the steps of the tips in their order. A ref has more than one if
	// an earlier fetch was killed before it could move the tip.
	Notes []TipChange
	// NotCommits are fetched notes refs that point at no commit; their tips
	// stay as they were.
	NotCommits []gitcmd.Ref
	// HeadsChanged: this fetch made, moved or deleted a branch.
	HeadsChanged bool
	// DefaultBranch is the full ref name of the remote's HEAD. It is empty if
	// that is unborn or detached, and if branches were not asked for.
	DefaultBranch string
	// Format is the object format, "sha1" or "sha256".
	Format string
	// Empty: the mirror holds none of what was asked for.
	Empty bool
}

// fetch is one run of Fetch.
type fetch struct {
	m      *Mirror
	o      FetchOptions
	repo   *gitcmd.Repo
	link   *Link
	result FetchResult
}

// Fetch brings the mirror up to date with the remote, creating it if need be.
// Errors are ErrUnreachable, ErrAccess, ErrRemote, ErrDamaged, ErrFormat,
// ErrBusy, a context's error, or of the file system; after each of them, and
// after a kill, the next Fetch goes on from what was reached.
//
// A shallow remote makes a shallow mirror that follows its border. Objects are
// not checked as git fsck does: old, harmless defects in real histories would
// shut out whole repositories, and nothing here checks files out.
func (m *Mirror) Fetch(ctx context.Context, o FetchOptions) (FetchResult, error) {
	if err := o.check(); err != nil {
		return FetchResult{}, fmt.Errorf("fetching: %w", err)
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	lock, err := m.acquire(ctx)
	if err != nil {
		return FetchResult{}, fmt.Errorf("fetching %s: %w", o.Remote, err)
	}
	defer lock.Close()
	f := &fetch{m: m, o: o}
	if err := f.run(ctx, lock); err != nil {
		return FetchResult{}, fmt.Errorf("fetching %s: %w", o.Remote, err)
	}
	return f.result, nil
}

var notesRef = regexp.MustCompile(`^refs/notes/[A-Za-z0-9_-][A-Za-z0-9_.-]*(/[A-Za-z0-9_-][A-Za-z0-9_.-]*)*$`)

func (o *FetchOptions) check() error {
	if o.Remote.url == "" {
		return errors.New("no remote is given")
	}
	if !o.Heads && len(o.NotesRefs) == 0 {
		return errors.New("nothing is asked for")
	}
	for _, ref := range o.NotesRefs {
		if !notesRef.MatchString(ref) || strings.Contains(ref, "..") || strings.HasSuffix(ref, ".lock") {
			return fmt.Errorf("%.100q is not the name of a notes ref", ref)
		}
	}
	if o.Credential == nil {
		o.Credential = o.Remote.credential
	}
	if o.Credential != nil {
		return o.Credential.check()
	}
	return nil
}

func (f *fetch) run(ctx context.Context, lock *os.File) error {
	if err := f.prepare(ctx, lock); err != nil {
		return err
	}
	defer os.RemoveAll(f.m.tmp)
	if err := f.settle(ctx, true); err != nil {
		return err
	}
	before, err := refMap(ctx, f.repo, "refs/heads/")
	if err != nil {
		return damageOr(err)
	}
	if f.o.Heads {
		if err := f.askDefaultBranch(ctx); err != nil {
			return err
		}
	}
	err = f.transfer(ctx)
	if errors.Is(err, ErrFormat) {
		err = f.startOver(ctx, lock, err)
	}
	if err != nil {
		return err
	}
	if err := f.settle(ctx, false); err != nil {
		return err
	}
	return f.summarize(ctx, before)
}

// prepare clears what a killed fetch left and writes the files that git needs.
func (f *fetch) prepare(ctx context.Context, lock *os.File) error {
	if err := os.RemoveAll(f.m.tmp); err != nil {
		return fmt.Errorf("clearing temporary files: %w", err)
	}
	if err := os.Mkdir(f.m.tmp, 0o700); err != nil {
		return fmt.Errorf("making room for temporary files: %w", err)
	}
	if _, err := os.Stat(f.m.dir); err == nil {
		if err := clearLeftovers(f.m.dir); err != nil {
			return err
		}
	}
	if err := f.open(ctx, lock, "sha1"); err != nil {
		return err
	}
	link, err := f.o.Remote.Link(f.m.tmp, f.o.Credential)
	f.link = link
	return err
}

// open opens the mirror or makes a new one. Init repairs a mirror that was
// killed while it was made.
func (f *fetch) open(ctx context.Context, lock *os.File, format string) error {
	repo, err := gitcmd.Open(f.m.dir)
	if errors.Is(err, gitcmd.ErrNotRepository) {
		repo, err = gitcmd.Init(ctx, f.m.dir, format)
	}
	if err != nil {
		return err
	}
	f.repo = repo.Holding(lock)
	f.result.Format, err = f.repo.Format(ctx)
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}

// startOver makes the mirror anew in the other object format and fetches
// again, if there is nothing in it that could be lost.
func (f *fetch) startOver(ctx context.Context, lock *os.File, mismatch error) error {
	refs, err := f.repo.Refs(ctx)
	if err != nil {
		return damageOr(err)
	}
	if len(refs) > 0 {
		return fmt.Errorf("%w; remove the mirror if the remote was recreated on purpose", mismatch)
	}
	if err := os.RemoveAll(f.m.dir); err != nil {
		return fmt.Errorf("making the mirror anew: %w", err)
	}
	other := map[string]string{"sha1": "sha256", "sha256": "sha1"}[f.result.Format]
	if err := f.open(ctx, lock, other); err != nil {
		return err
	}
	return f.transfer(ctx)
}

// askDefaultBranch reads "ref: <branch> TAB HEAD" from git ls-remote --symref.
func (f *fetch) askDefaultBranch(ctx context.Context) error {
	out, err := f.link.Command(ctx, f.repo, "ls-remote", "--quiet", "--symref", "--", f.o.Remote.url, "HEAD").Output(1 << 20)
	if err := f.link.Judge(ctx, f.repo, err); err != nil {
		return err
	}
	for line := range strings.Lines(string(out)) {
		value, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), "\t")
		if branch, ok := strings.CutPrefix(value, "ref: refs/heads/"); ok && name == "HEAD" {
			f.result.DefaultBranch = "refs/heads/" + branch
		}
	}
	return nil
}

// transfer runs git fetch. Refs are pruned first, so that a branch a/b can take
// the place of a branch a.
func (f *fetch) transfer(ctx context.Context) error {
	args := []string{"fetch", "--no-tags", "--prune", "--no-write-fetch-head", "--no-recurse-submodules",
		"--no-show-forced-updates", "--update-shallow", "--progress", "--", f.o.Remote.url}
	if f.o.Heads {
		args = append(args, "+refs/heads/*:refs/heads/*")
	}
	for _, ref := range f.o.NotesRefs {
		// A pattern, because git fails for a full name that the remote lacks.
		name := strings.TrimPrefix(ref, tipPrefix)
		args = append(args, "+"+ref+"*:"+incomingPrefix+name+"*")
	}
	c := f.link.Command(ctx, f.repo, args...)
	c.OnStderr = f.o.Progress
	return f.link.Judge(ctx, f.repo, c.Run())
}

func (f *fetch) summarize(ctx context.Context, before map[string]gitcmd.OID) error {
	heads, err := refMap(ctx, f.repo, "refs/heads/")
	if err != nil {
		return damageOr(err)
	}
	tips, err := refMap(ctx, f.repo, tipPrefix)
	if err != nil {
		return damageOr(err)
	}
	f.result.HeadsChanged = f.o.Heads && !maps.Equal(before, heads)
	f.result.Empty = !f.o.Heads || len(heads) == 0
	for _, ref := range f.o.NotesRefs {
		f.result.Empty = f.result.Empty && tips[ref].IsZero()
	}
	return nil
}
