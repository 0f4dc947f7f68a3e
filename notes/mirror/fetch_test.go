package mirror_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/notes/mirror"
)

const (
	id   = "018f3c2e-5b7a-7c33-9d0e-0123456789ab"
	ref  = "refs/notes/blameprompt"
	main = "refs/heads/main"
)

// world is a remote on disk and a mirror of it.
type world struct {
	*gittest.Fixture
	t      *testing.T
	root   string
	rules  mirror.Rules
	mirror *mirror.Mirror
}

func newWorld(t *testing.T, opts ...gittest.Option) *world {
	t.Helper()
	dir := t.TempDir()
	remote := gittest.New(t, append(opts, gittest.In(filepath.Join(dir, "remote.git")))...)
	return &world{
		Fixture: remote, t: t, root: filepath.Join(dir, "mirrors"),
		rules:  mirror.Rules{FileRoots: []string{dir}},
		mirror: mustOpen(t, filepath.Join(dir, "mirrors")),
	}
}

func mustOpen(t *testing.T, root string) *mirror.Mirror {
	t.Helper()
	m, err := mirror.Open(root, id)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func mustCheck(t *testing.T, r mirror.Rules, url string) mirror.Remote {
	t.Helper()
	remote, err := r.Check(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	return remote
}

func (w *world) tryFetch() (mirror.FetchResult, error) {
	w.t.Helper()
	remote := mustCheck(w.t, w.rules, w.Dir)
	return w.mirror.Fetch(w.t.Context(), mirror.FetchOptions{Remote: remote, Heads: true, NotesRefs: []string{ref}})
}

func (w *world) fetch() mirror.FetchResult {
	w.t.Helper()
	result, err := w.tryFetch()
	if err != nil {
		w.t.Fatal(err)
	}
	return result
}

func (w *world) repo() *gitcmd.Repo {
	w.t.Helper()
	repo, err := w.mirror.Repo()
	if err != nil {
		w.t.Fatal(err)
	}
	return repo
}

// wantState compares the mirror's tip and archive of the notes ref.
func (w *world) wantState(tip gitcmd.OID, archived ...gitcmd.OID) {
	w.t.Helper()
	tips, err := w.mirror.Tips(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	if tips[ref] != tip {
		w.t.Errorf("tip = %q, want %q", tips[ref], tip)
	}
	got, err := w.mirror.Archived(w.t.Context(), ref)
	if err != nil {
		w.t.Fatal(err)
	}
	slices.Sort(archived)
	if !slices.Equal(got, archived) {
		w.t.Errorf("archived = %v, want %v", got, archived)
	}
}

func (w *world) wantHeads(want ...string) {
	w.t.Helper()
	refs, err := w.repo().Refs(w.t.Context(), "refs/heads/")
	if err != nil {
		w.t.Fatal(err)
	}
	var got []string
	for _, r := range refs {
		got = append(got, strings.TrimPrefix(r.Name, "refs/heads/"))
	}
	if !slices.Equal(got, want) {
		w.t.Errorf("heads = %q, want %q", got, want)
	}
}

func archiveRef(oid gitcmd.OID) string { return "refs/archive/notes/blameprompt/" + string(oid) }

// note makes a notes commit on the remote, on the given parents or the tip.
func (w *world) note(text string, parents ...gitcmd.OID) gitcmd.OID {
	w.t.Helper()
	return w.Notes(gittest.Notes{Parents: parents, Bodies: map[gitcmd.OID]string{gitcmd.OID(strings.Repeat("ab", 20)): text}})
}

func (w *world) orphanNote(text string) gitcmd.OID {
	w.t.Helper()
	return w.Notes(gittest.Notes{Root: true, Bodies: map[gitcmd.OID]string{gitcmd.OID(strings.Repeat("ab", 20)): text}})
}

func TestLifeOfANotesRef(t *testing.T) {
	t.Parallel()
	for format, opts := range map[string][]gittest.Option{"sha1": nil, "sha256": {gittest.SHA256()}} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, opts...)
			step := func(name string, got mirror.FetchResult, want ...mirror.TipChange) {
				t.Helper()
				if diff := cmp.Diff(want, got.Notes); diff != "" {
					t.Errorf("%s (-want +got):\n%s", name, diff)
				}
				if got.Format != format {
					t.Errorf("%s: format %q, want %q", name, got.Format, format)
				}
			}
			zero := gitcmd.ZeroOID

			w.Commits(main, 3)
			got := w.fetch()
			step("no notes", got)
			if !got.HeadsChanged || got.DefaultBranch != main || got.Empty {
				t.Errorf("first fetch = %+v", got)
			}
			w.wantState("")

			a := w.note("a")
			step("first notes", w.fetch(), mirror.TipChange{Ref: ref, Old: zero, New: a})
			got = w.fetch()
			step("nothing new", got)
			if got.HeadsChanged {
				t.Error("nothing new, and yet branches changed")
			}
			w.note("b")
			c := w.note("c")
			step("forward", w.fetch(), mirror.TipChange{Ref: ref, Old: a, New: c})
			w.wantState(c)

			w.SetRef(ref, a)
			step("backwards", w.fetch(), mirror.TipChange{Ref: ref, Old: c, New: a, Rewritten: true, ArchivedAs: archiveRef(c)})
			w.wantState(a, c)

			d := w.orphanNote("d")
			step("another root", w.fetch(), mirror.TipChange{Ref: ref, Old: a, New: d, Rewritten: true, ArchivedAs: archiveRef(a)})
			w.wantState(d, a, c)

			w.Delete(ref)
			step("deleted", w.fetch(), mirror.TipChange{Ref: ref, Old: d, New: zero, Rewritten: true, ArchivedAs: archiveRef(d)})
			w.wantState("", a, c, d)

			e := w.orphanNote("e")
			step("recreated", w.fetch(), mirror.TipChange{Ref: ref, Old: zero, New: e})
			w.SetRef(ref, d)
			step("an archived tip again", w.fetch(), mirror.TipChange{Ref: ref, Old: e, New: d, Rewritten: true, ArchivedAs: archiveRef(e)})
			f := w.orphanNote("f")
			step("archived twice", w.fetch(), mirror.TipChange{Ref: ref, Old: d, New: f, Rewritten: true, ArchivedAs: archiveRef(d)})
			g := w.Notes(gittest.Notes{Parents: []gitcmd.OID{e, f}})
			step("merged", w.fetch(), mirror.TipChange{Ref: ref, Old: f, New: g})
			w.wantState(g, a, c, d, e)
			if out, err := w.repo().Command(t.Context(), "fsck", "--strict").Output(1 << 20); err != nil {
				t.Errorf("git fsck: %v\n%s", err, out)
			}
		})
	}
}

func TestEmptyRemote(t *testing.T) {
	t.Parallel()
	for format, opts := range map[string][]gittest.Option{"sha1": nil, "sha256": {gittest.SHA256()}} {
		w := newWorld(t, opts...)
		got := w.fetch()
		if !got.Empty || got.Notes != nil || got.HeadsChanged || got.DefaultBranch != "" {
			t.Errorf("fetch of an empty remote = %+v", got)
		}
		w.wantState("")
		tip := w.note("later")
		if got := w.fetch(); got.Empty || got.Format != format || len(got.Notes) != 1 {
			t.Errorf("fetch of a filled remote = %+v", got)
		}
		w.wantState(tip)
	}
}

func TestFormatChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tip := w.note("kept")
	w.fetch()
	if err := os.RemoveAll(w.Dir); err != nil {
		t.Fatal(err)
	}
	gittest.New(t, gittest.SHA256(), gittest.In(w.Dir)).Commits(main, 1)
	if _, err := w.tryFetch(); !errors.Is(err, mirror.ErrFormat) {
		t.Errorf("fetch of a remote recreated with SHA-256: %v, want ErrFormat", err)
	}
	w.wantState(tip)
	if err := w.mirror.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := w.fetch(); got.Format != "sha256" {
		t.Errorf("fetch after Remove = %+v", got)
	}
}

func TestNotesOnly(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Commits(main, 3)
	tip := w.note("a")
	ai := w.Notes(gittest.Notes{Ref: "refs/notes/ai"})
	w.Notes(gittest.Notes{Ref: "refs/notes/ai-backup"})
	w.Notes(gittest.Notes{Ref: "refs/notes/commits"})
	o := mirror.FetchOptions{Remote: mustCheck(t, w.rules, w.Dir), NotesRefs: []string{ref, "refs/notes/ai", "refs/notes/gone"}}
	got, err := w.mirror.Fetch(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	if got.DefaultBranch != "" || got.HeadsChanged || len(got.Notes) != 2 {
		t.Errorf("result = %+v", got)
	}
	w.wantHeads()
	tips, err := w.mirror.Tips(t.Context())
	if diff := cmp.Diff(map[string]gitcmd.OID{ref: tip, "refs/notes/ai": ai}, tips); err != nil || diff != "" {
		t.Errorf("tips: %v (-want +got):\n%s", err, diff)
	}
}

func TestHostileRefsOfARemote(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tip := w.Commits(main, 1)[0]
	deep := "refs/heads/" + strings.Repeat("d/", 300) + "x"
	odd := []string{"refs/heads/-rf", "refs/heads/$(id)", "refs/heads/'\"`", "refs/heads/\xff", deep, "refs/heads/" + strings.Repeat("n", 240)}
	for _, name := range odd {
		w.SetRef(name, tip)
	}
	w.SetRef("refs/heads/a", tip)
	w.note("x")
	w.fetch()
	for _, name := range odd {
		if refs, err := w.repo().Refs(t.Context(), name); err != nil || len(refs) != 1 {
			t.Errorf("ref %.40q: %v, %v", name, refs, err)
		}
		w.Delete(name)
	}

	w.Delete("refs/heads/a")
	w.SetRef("refs/heads/a/b", tip)
	w.fetch()
	w.wantHeads("a/b", "main")
	w.Delete("refs/heads/a/b")
	w.SetRef("refs/heads/a", tip)
	w.fetch()
	w.wantHeads("a", "main")
}

func TestNotesRefBecomesADirectory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	o := mirror.FetchOptions{Remote: mustCheck(t, w.rules, w.Dir), NotesRefs: []string{ref, ref + "/team"}}
	fetch := func(want ...mirror.TipChange) {
		t.Helper()
		got, err := w.mirror.Fetch(t.Context(), o)
		if diff := cmp.Diff(want, got.Notes); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	}
	a := w.note("a")
	fetch(mirror.TipChange{Ref: ref, Old: gitcmd.ZeroOID, New: a})
	w.Delete(ref)
	b := w.Notes(gittest.Notes{Ref: ref + "/team", Root: true})
	fetch(mirror.TipChange{Ref: ref, Old: a, New: gitcmd.ZeroOID, Rewritten: true, ArchivedAs: archiveRef(a)},
		mirror.TipChange{Ref: ref + "/team", Old: gitcmd.ZeroOID, New: b})
	w.wantState("", a)
}

func TestNotesRefThatIsNoCommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tip := w.note("a")
	w.fetch()
	blob := w.Object("blob", "no commit")
	w.SetRef(ref, blob)
	for range 2 {
		got := w.fetch()
		want := []gitcmd.Ref{{Name: ref, OID: blob}}
		if diff := cmp.Diff(want, got.NotCommits); diff != "" || got.Notes != nil {
			t.Errorf("result = %+v", got)
		}
		w.wantState(tip)
	}
	next := w.note("b", tip)
	w.fetch()
	w.wantState(next)
}

func TestDefaultBranch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tip := w.Commits("refs/heads/trunk", 1)[0]
	if got := w.fetch(); got.DefaultBranch != "" {
		t.Errorf("default branch with an unborn HEAD = %q", got.DefaultBranch)
	}
	w.Git("symbolic-ref", "HEAD", "refs/heads/trunk")
	if got := w.fetch(); got.DefaultBranch != "refs/heads/trunk" {
		t.Errorf("default branch = %q", got.DefaultBranch)
	}
	w.Git("update-ref", "--no-deref", "HEAD", string(tip))
	if got := w.fetch(); got.DefaultBranch != "" {
		t.Errorf("default branch with a detached HEAD = %q", got.DefaultBranch)
	}
}

func TestShallowRemote(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ids := w.Commits(main, 10)
	w.note("x")
	shallow := filepath.Join(filepath.Dir(w.Dir), "shallow.git")
	w.Git("clone", "-q", "--bare", "--depth=3", "file://"+w.Dir, shallow)
	remote := mustCheck(t, w.rules, shallow)
	got, err := w.mirror.Fetch(t.Context(), mirror.FetchOptions{Remote: remote, Heads: true, NotesRefs: []string{ref}})
	if err != nil || !got.HeadsChanged {
		t.Fatalf("fetch of a shallow remote = %+v, %v", got, err)
	}
	var history []gitcmd.OID
	err = w.repo().Commits(t.Context(), ids[9:], nil, func(c *gitcmd.Commit) error {
		history = append(history, c.OID)
		return nil
	})
	if err != nil || !slices.Equal(history, ids[7:]) {
		t.Errorf("history of the mirror = %v, %v; want the last three commits", history, err)
	}
}

func TestRemoteThatLacksObjects(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Commits(main, 2)
	w.fetch()
	tip := w.Commit(gittest.Commit{Files: map[string]string{"new": "new\n"}})
	w.Lose(gitcmd.OID(w.Git("rev-parse", string(tip)+"^{tree}")))
	if _, err := w.tryFetch(); !errors.Is(err, mirror.ErrRemote) {
		t.Errorf("fetch from a corrupt remote: %v, want ErrRemote", err)
	}

	partial := filepath.Join(filepath.Dir(w.Dir), "partial.git")
	whole := newWorld(t)
	whole.Commits(main, 2)
	whole.Git("config", "uploadpack.allowFilter", "true")
	w.Git("clone", "-q", "--bare", "--filter=blob:none", "file://"+whole.Dir, partial)
	if err := os.RemoveAll(whole.Dir); err != nil {
		t.Fatal(err)
	}
	other := mustOpen(t, t.TempDir())
	_, err := other.Fetch(t.Context(), mirror.FetchOptions{Remote: mustCheck(t, w.rules, partial), Heads: true})
	if !errors.Is(err, mirror.ErrRemote) && !errors.Is(err, mirror.ErrAccess) {
		t.Errorf("fetch from a partial clone whose origin is gone: %v, want ErrRemote", err)
	}
}

func TestDamagedMirror(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, w *world, local *gittest.Fixture){
		"corrupt tip": func(t *testing.T, w *world, local *gittest.Fixture) {
			local.Corrupt(local.Tip(main))
		},
		"lost notes tip": func(t *testing.T, w *world, local *gittest.Fixture) {
			local.Lose(local.Tip(ref))
		},
		"unreadable configuration": func(t *testing.T, w *world, local *gittest.Fixture) {
			if err := os.WriteFile(filepath.Join(local.Dir, "config"), []byte("[core\n"), 0o666); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.Commits(main, 3)
			w.note("a")
			w.fetch()
			damage(t, w, gittest.Open(t, filepath.Join(w.root, id+".git")))
			w.Commits(main, 3)
			tip := w.orphanNote("b")
			_, err := w.tryFetch()
			if !errors.Is(err, mirror.ErrDamaged) {
				t.Fatalf("fetch into a damaged mirror: %v, want ErrDamaged", err)
			}
			if err := w.mirror.Remove(t.Context()); err != nil {
				t.Fatal(err)
			}
			w.fetch()
			w.wantState(tip)
		})
	}
}

func TestVerify(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Commits(main, 3)
	w.fetch()
	if err := w.mirror.Verify(t.Context()); err != nil {
		t.Fatal(err)
	}
	local := gittest.Open(t, filepath.Join(w.root, id+".git"))
	local.Lose(gitcmd.OID(local.Git("rev-parse", main+"~1^{tree}")))
	w.Commits(main, 3)
	w.fetch()
	if err := w.mirror.Verify(t.Context()); !errors.Is(err, mirror.ErrDamaged) || !errors.Is(err, gitcmd.ErrMissingObject) {
		t.Errorf("Verify of a mirror with a hole in old history: %v, want ErrDamaged", err)
	}
}

func TestLeftoversOfAKilledFetch(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Commits(main, 1)
	a := w.note("a")
	w.fetch()
	dir := filepath.Join(w.root, id+".git")
	for _, name := range []string{
		"refs/heads/main.lock", "refs/notes/blameprompt.lock", "refs/incoming/notes/blameprompt.lock", "packed-refs.lock",
		"packed-refs.new", "shallow.lock", "config.lock", "HEAD.lock", "gc.pid", "objects/info/commit-graph.lock",
		"objects/pack/tmp_pack_abc123", "objects/pack/pack-0000000000000000000000000000000000000000.keep",
	} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o777), os.WriteFile(path, []byte("stale"), 0o444)); err != nil {
			t.Fatal(err)
		}
	}
	secret := filepath.Join(w.root, id+".tmp", "credentials")
	if err := errors.Join(os.MkdirAll(filepath.Dir(secret), 0o700), os.WriteFile(secret, []byte("https://u:p@h"), 0o600)); err != nil {
		t.Fatal(err)
	}
	w.Commits(main, 1)
	b := w.orphanNote("b")
	w.fetch()
	w.wantState(b, a)
	if left, err := filepath.Glob(filepath.Join(dir, "*.lock")); err != nil || left != nil {
		t.Errorf("locks left: %v, %v", left, err)
	}
	if entries, err := os.ReadDir(w.root); err != nil || len(entries) != 2 {
		t.Errorf("root holds %v, %v; want the mirror and its lock", entries, err)
	}
}

// A fetch that is killed between transfer and ref transaction leaves the tip in
// refs/incoming alone, where the next transfer would overwrite it.
func TestTipFetchedByAKilledFetchIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.note("a")
	w.fetch()
	b := w.orphanNote("b")
	local := gittest.Open(t, filepath.Join(w.root, id+".git"))
	local.Git("fetch", "-q", w.Dir, "+"+ref+":refs/incoming/notes/blameprompt")
	c := w.orphanNote("c")
	got := w.fetch()
	want := []mirror.TipChange{
		{Ref: ref, Old: a, New: b, Rewritten: true, ArchivedAs: archiveRef(a)},
		{Ref: ref, Old: b, New: c, Rewritten: true, ArchivedAs: archiveRef(b)},
	}
	if diff := cmp.Diff(want, got.Notes); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	w.wantState(c, a, b)
}

func TestConcurrentFetches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Commits(main, 50)
	tip := w.note("a")
	remote := mustCheck(t, w.rules, w.Dir)
	var wg sync.WaitGroup
	changes := make([]int, 4)
	for i := range changes {
		wg.Go(func() {
			got, err := mustOpen(t, w.root).Fetch(t.Context(), mirror.FetchOptions{Remote: remote, Heads: true, NotesRefs: []string{ref}})
			if err != nil {
				t.Error(err)
			}
			changes[i] = len(got.Notes)
		})
	}
	wg.Wait()
	slices.Sort(changes)
	if !slices.Equal(changes, []int{0, 0, 0, 1}) {
		t.Errorf("changes seen by four fetches at once = %v, want one of them to see one", changes)
	}
	w.wantState(tip)
}

func TestBusyMirror(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.note("a")
	hold := w.hold()
	o := mirror.FetchOptions{Remote: mustCheck(t, w.rules, w.Dir), Heads: true, Timeout: 50 * time.Millisecond}
	if _, err := w.mirror.Fetch(t.Context(), o); !errors.Is(err, mirror.ErrBusy) {
		t.Errorf("fetch of a held mirror: %v, want ErrBusy", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := errors.Join(w.mirror.Maintain(ctx), w.mirror.Remove(ctx)); !errors.Is(err, mirror.ErrBusy) {
		t.Errorf("Maintain and Remove of a held mirror: %v, want ErrBusy", err)
	}
	hold.Close()
	w.fetch()
}

func TestMaintainKeepsArchivedTips(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := w.note("a")
	w.fetch()
	b := w.orphanNote("b")
	w.fetch()
	local := gittest.Open(t, filepath.Join(w.root, id+".git"))
	packs := func() int {
		paths, err := filepath.Glob(filepath.Join(local.Dir, "objects/pack/*.pack"))
		if err != nil {
			t.Fatal(err)
		}
		return len(paths)
	}
	if err := w.mirror.Maintain(t.Context()); err != nil || packs() != 0 {
		t.Errorf("Maintain of a small mirror: %v, %d packs", err, packs())
	}
	local.Git("config", "fastimport.unpackLimit", "1")
	for range 31 {
		local.Commits(main, 1)
	}
	if err := w.mirror.Maintain(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := packs(); n > 2 {
		t.Errorf("%d packs after maintenance", n)
	}
	w.wantState(b, a)
	if has, err := w.repo().HasCommit(t.Context(), a); !has || err != nil {
		t.Errorf("archived tip after maintenance: %v, %v", has, err)
	}
}

func TestOpenRefusesOtherIDs(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"", "..", "a/b", "../" + id, strings.ToUpper(id), id + "/x", id + ".git", strings.ReplaceAll(id, "-", "")} {
		if _, err := mirror.Open(t.TempDir(), bad); err == nil {
			t.Errorf("Open accepted the id %q", bad)
		}
	}
}

func TestFetchRefusesNonsense(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	remote := mustCheck(t, w.rules, w.Dir)
	for _, o := range []mirror.FetchOptions{
		{Heads: true}, {Remote: remote}, {Remote: remote, NotesRefs: []string{"refs/heads/main"}},
		{Remote: remote, NotesRefs: []string{"refs/notes/*"}}, {Remote: remote, NotesRefs: []string{"refs/notes/a..b"}},
		{Remote: remote, NotesRefs: []string{"refs/notes/-a/../../heads/x"}}, {Remote: remote, NotesRefs: []string{"refs/notes/a.lock"}},
		{Remote: remote, NotesRefs: []string{"refs/notes/a:refs/heads/b"}}, {Remote: remote, NotesRefs: []string{"refs/notes/"}},
		{Remote: remote, Heads: true, Credential: &mirror.Credential{User: "a\nhost=evil", Secret: "x"}},
	} {
		if _, err := w.mirror.Fetch(t.Context(), o); err == nil {
			t.Errorf("Fetch accepted %+v", o)
		}
	}
	if _, err := w.mirror.Repo(); !errors.Is(err, gitcmd.ErrNotRepository) {
		t.Errorf("Repo before the first fetch: %v", err)
	}
}

func TestRemoteOfAnotherOwner(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tip := w.note("a")
	if os.Geteuid() == 0 {
		err := filepath.WalkDir(w.Dir, func(path string, _ os.DirEntry, err error) error {
			return errors.Join(err, os.Lchown(path, 65534, 65534))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	w.fetch()
	w.wantState(tip)
}

func TestVanishedRemote(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tip := w.note("a")
	w.fetch()
	for _, entry := range []string{"HEAD", "objects", "refs"} {
		if err := os.RemoveAll(filepath.Join(w.Dir, entry)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := w.tryFetch(); !errors.Is(err, mirror.ErrAccess) {
		t.Errorf("fetch of a directory that is no repository any more: %v, want ErrAccess", err)
	}
	w.wantState(tip)
}
