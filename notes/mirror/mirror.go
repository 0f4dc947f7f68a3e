// Package mirror keeps one bare repository per registered repository.
//
// It owns the mirrors below a root directory: which remotes may be fetched from
// (Rules, Remote), the fetch itself, and the notes tips. Fetched notes refs
// land in refs/incoming/ first. From there they become tips under refs/notes/
// in one ref transaction that also keeps every tip which the remote deleted or
// replaced by a non-descendant, as refs/archive/notes/<name>/<oid>. What branches
// left behind is kept as refs/archive/heads/<oid>.
//
// Promises: a process killed at any moment, also between two forced pushes to
// the remote, loses no fetched notes commit; the next fetch clears what a dead
// one left behind. One process at a time changes a mirror, across all daemons
// of a machine. Credentials reach git through a file of mode 0600 and appear in
// no argument, environment, error or progress line. Git connects only to the
// address that the rules have seen, follows no redirect, runs no helper, hook
// or user configuration, and nothing that a remote sends chooses a path here.
//
// A mirror is a cache: Remove and the next Fetch rebuild it. Only the archive
// cannot be fetched again.
package mirror

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// Sentinels that errors.Is finds in what Fetch and Maintain return.
var (
	// ErrUnreachable: the host has no address or does not answer as a git server.
	ErrUnreachable = errors.New("remote is unreachable")
	// ErrAccess: the remote wants other credentials, or the repository is not
	// there; forges do not tell the one from the other.
	ErrAccess = errors.New("remote refuses access or has no such repository")
	// ErrRemote: the remote answers, and cannot give what it advertises.
	ErrRemote = errors.New("remote repository is broken")
	// ErrDamaged: objects or files of the mirror are missing or corrupt. Remove
	// it; the next fetch builds it anew, but for archived tips.
	ErrDamaged = errors.New("mirror is damaged")
	// ErrFormat: the remote has another object format than the mirror, which
	// holds history already. Remove it if the remote was really recreated.
	ErrFormat = errors.New("remote changed its object format")
	// ErrBusy: another process held the mirror until the time was up.
	ErrBusy = errors.New("mirror is in use by another process")
)

// Mirror is the mirror of one repository. It may be used by several goroutines
// and processes at once.
type Mirror struct {
	dir  string
	lock string
	tmp  string
}

var uuidText = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// Open returns the mirror with that id, a lower-case UUID, below the directory
// root, which is created if need be. The mirror itself comes with the first
// Fetch.
func Open(root, id string) (*Mirror, error) {
	if !uuidText.MatchString(id) {
		return nil, fmt.Errorf("opening mirror: id %.50q is not a UUID", id)
	}
	root, err := filepath.Abs(root)
	if err != nil {
		return nil, fmt.Errorf("opening mirror %s: %w", id, err)
	}
	if err := os.MkdirAll(root, 0o700); err != nil {
		return nil, fmt.Errorf("opening mirror %s: %w", id, err)
	}
	base := filepath.Join(root, id)
	return &Mirror{dir: base + ".git", lock: base + ".lock", tmp: base + ".tmp"}, nil
}

// Repo returns the repository for reading, or gitcmd.ErrNotRepository before
// the first Fetch.
func (m *Mirror) Repo() (*gitcmd.Repo, error) {
	return gitcmd.Open(m.dir)
}

const (
	tipPrefix      = "refs/notes/"
	incomingPrefix = "refs/incoming/notes/"
	archivePrefix  = "refs/archive/notes/"
)

// Tips returns the notes tips by ref name, without archived ones.
func (m *Mirror) Tips(ctx context.Context) (map[string]gitcmd.OID, error) {
	repo, err := m.Repo()
	if err != nil {
		return nil, err
	}
	return refMap(ctx, repo, tipPrefix)
}

// Archived returns the tips that the notes ref had before it was deleted or
// forced elsewhere, in the order of their ids.
func (m *Mirror) Archived(ctx context.Context, ref string) ([]gitcmd.OID, error) {
	name, ok := strings.CutPrefix(ref, tipPrefix)
	if !ok || name == "" {
		return nil, fmt.Errorf("listing archived tips: %.100q is not a notes ref", ref)
	}
	repo, err := m.Repo()
	if err != nil {
		return nil, err
	}
	refs, err := repo.Refs(ctx, archivePrefix+name+"/")
	if err != nil {
		return nil, err
	}
	var oids []gitcmd.OID
	for _, r := range refs {
		if r.Name == archiveName(ref, r.OID) {
			oids = append(oids, r.OID)
		}
	}
	return oids, nil
}

func archiveName(ref string, oid gitcmd.OID) string {
	return archivePrefix + strings.TrimPrefix(ref, tipPrefix) + "/" + string(oid)
}

func refMap(ctx context.Context, repo *gitcmd.Repo, prefix string) (map[string]gitcmd.OID, error) {
	refs, err := repo.Refs(ctx, prefix)
	if err != nil {
		return nil, err
	}
	byName := make(map[string]gitcmd.OID, len(refs))
	for _, ref := range refs {
		byName[ref.Name] = ref.OID
	}
	return byName, nil
}

// Remove deletes the mirror and its archive. It waits for a running fetch.
func (m *Mirror) Remove(ctx context.Context) error {
	lock, err := m.acquire(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	// The lock file goes last and while it is held: whoever waited for it finds
	// that it is gone and makes a new one.
	if err := errors.Join(os.RemoveAll(m.tmp), os.RemoveAll(m.dir), os.Remove(m.lock)); err != nil {
		return fmt.Errorf("removing mirror: %w", err)
	}
	return nil
}

// Maintain packs the mirror and drops objects that nothing has referred to for
// two weeks, if enough has piled up to be worth it. Archived and current tips
// are kept. Call it after fetches, outside of what people wait for.
func (m *Mirror) Maintain(ctx context.Context) error {
	lock, err := m.acquire(ctx)
	if err != nil {
		return err
	}
	defer lock.Close()
	repo, err := m.Repo()
	if err != nil {
		return err
	}
	if err := clearLeftovers(m.dir); err != nil {
		return err
	}
	c := repo.Holding(lock).Command(ctx, "gc", "--auto", "--quiet")
	c.Config = []string{
		"gc.auto=2000", "gc.autoPackLimit=30", "gc.autoDetach=false", "gc.pruneExpire=2.weeks.ago",
		"gc.writeCommitGraph=true", "pack.threads=1", "pack.windowMemory=64m",
	}
	if err := c.Run(); err != nil {
		return fmt.Errorf("maintaining mirror: %w", damageOr(err))
	}
	return nil
}

// Verify walks all that the refs reach, commits and trees, and that their blobs
// are there. The error is ErrDamaged if something is missing or corrupt. A
// fetch looks at new history only: call Verify when reading the mirror fails
// with gitcmd.ErrMissingObject.
func (m *Mirror) Verify(ctx context.Context) error {
	repo, err := m.Repo()
	if err != nil {
		return err
	}
	return verify(ctx, repo)
}

func verify(ctx context.Context, repo *gitcmd.Repo) error {
	err := repo.Command(ctx, "rev-list", "--objects", "--all", "--quiet").Run()
	var failed *gitcmd.Error
	if errors.As(err, &failed) && failed.ExitCode > 0 {
		return fmt.Errorf("%w: remove it, the next fetch builds it anew: %w", ErrDamaged, err)
	}
	return err
}

func damageOr(err error) error {
	if errors.Is(err, gitcmd.ErrMissingObject) {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return err
}
