// Package gittest makes git repositories for tests: quickly, through git
// fast-import, and always the same, with fixed names and times. It owns the
// repositories, which live in the test's temporary directory; every method
// fails the test instead of returning an error. A Fixture is for one goroutine.
package gittest

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// Epoch is the time of the first commit of a fixture; each commit without a
// time of its own is a minute later than the one before.
var Epoch = time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC)

// The identity of commits that name none.
const (
	Name  = "Ada Author"
	Email = "ada@example.com"
)

// Fixture is a bare repository, or one with a work tree (see Clone).
type Fixture struct {
	// Dir is the bare repository, or the work tree.
	Dir string
	// Repo is its git directory.
	Repo *gitcmd.Repo

	t       testing.TB
	commits int
}

// Option changes what New makes.
type Option func(*options)

type options struct {
	dir    string
	format string
}

// SHA256 makes the repository's object format SHA-256.
func SHA256() Option { return func(o *options) { o.format = "sha256" } }

// In makes the repository at dir instead of in a new temporary directory.
func In(dir string) Option { return func(o *options) { o.dir = dir } }

// New makes an empty bare repository. Its HEAD is refs/heads/main.
func New(t testing.TB, opts ...Option) *Fixture {
	t.Helper()
	o := options{format: "sha1"}
	for _, opt := range opts {
		opt(&o)
	}
	if o.dir == "" {
		o.dir = filepath.Join(t.TempDir(), "fixture.git")
	}
	repo, err := gitcmd.Init(t.Context(), o.dir, o.format)
	if err != nil {
		t.Fatalf("gittest: %v", err)
	}
	return &Fixture{Dir: repo.Dir(), Repo: repo, t: t}
}

// Open returns a repository that is there already, to look at or to damage.
func Open(t testing.TB, dir string) *Fixture {
	t.Helper()
	repo, err := gitcmd.Open(dir)
	if err != nil {
		t.Fatalf("gittest: %v", err)
	}
	return &Fixture{Dir: repo.Dir(), Repo: repo, t: t}
}

// Clone clones url with the given further arguments of git clone into a new
// temporary directory; with --bare or --mirror there is no work tree.
func Clone(t testing.TB, url string, args ...string) *Fixture {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "clone")
	f := &Fixture{Dir: filepath.Dir(dir), t: t}
	f.Git(append(append([]string{"clone", "--quiet"}, args...), "--", url, dir)...)
	f.Dir = dir
	gitDir := f.Git("rev-parse", "--absolute-git-dir")
	repo, err := gitcmd.Open(gitDir)
	if err != nil {
		t.Fatalf("gittest: %v", err)
	}
	f.Repo = repo
	return f
}

// Git runs git in Dir as a user would, with the fixture's identity and time,
// and returns its output without the last newline.
func (f *Fixture) Git(args ...string) string {
	f.t.Helper()
	out, err := f.TryGit(args...)
	if err != nil {
		f.t.Fatalf("gittest: %v", err)
	}
	return out
}

// TryGit is Git for commands that may fail.
func (f *Fixture) TryGit(args ...string) (string, error) {
	c := gitcmd.New(f.t.Context(), f.Dir, args...)
	c.Protocols = []string{"file", "http", "ssh"}
	f.commits++
	date := fmt.Sprintf("%d +0000", f.nextTime().Unix())
	c.Env = []string{
		"GIT_AUTHOR_NAME=" + Name, "GIT_AUTHOR_EMAIL=" + Email, "GIT_AUTHOR_DATE=" + date,
		"GIT_COMMITTER_NAME=" + Name, "GIT_COMMITTER_EMAIL=" + Email, "GIT_COMMITTER_DATE=" + date,
		"GIT_NO_LAZY_FETCH=0",
	}
	out, err := c.Output(64 << 20)
	return strings.TrimSuffix(string(out), "\n"), err
}

// Write writes a file into the work tree.
func (f *Fixture) Write(path, content string) {
	f.t.Helper()
	path = filepath.Join(f.Dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
		f.t.Fatalf("gittest: %v", err)
	}
	if err := os.WriteFile(path, []byte(content), 0o666); err != nil {
		f.t.Fatalf("gittest: %v", err)
	}
}

// Tip returns what the ref points at, or "" when it does not exist.
func (f *Fixture) Tip(ref string) gitcmd.OID {
	f.t.Helper()
	refs, err := f.Repo.Refs(f.t.Context(), ref)
	if err != nil {
		f.t.Fatalf("gittest: %v", err)
	}
	for _, r := range refs {
		if r.Name == ref {
			return r.OID
		}
	}
	return ""
}

// Delete deletes refs.
func (f *Fixture) Delete(refs ...string) {
	f.t.Helper()
	var updates []gitcmd.RefUpdate
	for _, ref := range refs {
		updates = append(updates, gitcmd.RefUpdate{Name: ref, New: gitcmd.ZeroOID})
	}
	f.update(updates)
}

// SetRef points the ref at the object, whatever it was before.
func (f *Fixture) SetRef(ref string, oid gitcmd.OID) {
	f.t.Helper()
	f.update([]gitcmd.RefUpdate{{Name: ref, New: oid}})
}

func (f *Fixture) update(updates []gitcmd.RefUpdate) {
	f.t.Helper()
	if err := f.Repo.UpdateRefs(f.t.Context(), updates); err != nil {
		f.t.Fatalf("gittest: %v", err)
	}
}

// Object writes a raw object of the given type without checking it and returns
// its id: for malformed commits and trees.
func (f *Fixture) Object(kind, content string) gitcmd.OID {
	f.t.Helper()
	c := f.Repo.Command(f.t.Context(), "hash-object", "-t", kind, "-w", "--literally", "--stdin")
	c.Stdin = strings.NewReader(content)
	out, err := c.Output(100)
	if err != nil {
		f.t.Fatalf("gittest: %v", err)
	}
	return gitcmd.OID(strings.TrimSpace(string(out)))
}

// Lose removes an object from the repository, which makes it corrupt. All
// packs are unpacked for that.
func (f *Fixture) Lose(oids ...gitcmd.OID) {
	f.t.Helper()
	f.unpack()
	for _, oid := range oids {
		if err := os.Remove(f.loosePath(oid)); err != nil {
			f.t.Fatalf("gittest: %v", err)
		}
	}
}

// Corrupt overwrites an object with garbage. All packs are unpacked for that.
func (f *Fixture) Corrupt(oid gitcmd.OID) {
	f.t.Helper()
	f.unpack()
	path := f.loosePath(oid)
	if err := os.Remove(path); err != nil {
		f.t.Fatalf("gittest: %v", err)
	}
	if err := os.WriteFile(path, []byte("garbage"), 0o444); err != nil {
		f.t.Fatalf("gittest: %v", err)
	}
}

func (f *Fixture) loosePath(oid gitcmd.OID) string {
	return filepath.Join(f.Repo.Dir(), "objects", string(oid[:2]), string(oid[2:]))
}

func (f *Fixture) unpack() {
	f.t.Helper()
	packs, err := filepath.Glob(filepath.Join(f.Repo.Dir(), "objects", "pack", "*.pack"))
	if err != nil {
		f.t.Fatalf("gittest: %v", err)
	}
	for _, path := range packs {
		pack, err := os.ReadFile(path)
		if err != nil {
			f.t.Fatalf("gittest: %v", err)
		}
		for _, suffix := range []string{".pack", ".idx", ".rev", ".keep"} {
			_ = os.Remove(strings.TrimSuffix(path, ".pack") + suffix)
		}
		c := f.Repo.Command(f.t.Context(), "unpack-objects", "-q")
		c.Stdin = bytes.NewReader(pack)
		if err := c.Run(); err != nil {
			f.t.Fatalf("gittest: %v", err)
		}
	}
}

func (f *Fixture) nextTime() time.Time {
	return Epoch.Add(time.Duration(f.commits-1) * time.Minute)
}

// sorted returns the keys of m in order, so that what is made from a map is
// always the same.
func sorted[K ~string, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
