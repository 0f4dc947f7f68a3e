package gateway

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store/storetest"
)

// fates are the states of all decisions, oldest first, with the reason of a
// withdrawal, or that the push is open.
func (w *world) fates() []string {
	w.t.Helper()
	return storetest.Column(w.t, w.db, `
		SELECT d.state || coalesce(': ' || (e.detail->>'why'), '') || CASE WHEN o.decision_id IS NULL THEN '' ELSE ', open' END
		FROM decisions d LEFT JOIN decision_events e ON e.org_id = d.org_id AND e.decision_id = d.id AND e.event = 'withdrawn'
		LEFT JOIN open_pushes o ON o.org_id = d.org_id AND o.decision_id = d.id ORDER BY d.at`)
}

func (w *world) wantFates(want ...string) {
	w.t.Helper()
	if got := w.fates(); !slices.Equal(got, want) {
		w.t.Errorf("decisions are %q, want %q", got, want)
	}
}

func (w *world) settle() {
	w.t.Helper()
	if err := w.server.settleOlder(w.t.Context(), 0); err != nil {
		w.t.Error(err)
	}
}

func (d *dev) wantRefused(dir string, args ...string) {
	d.w.t.Helper()
	if out, err := d.tryGit(dir, args...); err == nil {
		d.w.t.Errorf("git %s passed: %s", strings.Join(args, " "), out)
	}
}

func TestDecisionsOnHostedPushesFollowTheRepository(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.hosted("acme/api")
	ada := w.dev("ada@example.com", access.WriteRepo)
	dir := ada.clone("acme/api")
	commit := ada.commit(dir, "first")
	ada.noteIDs(dir, commit, "r1")
	ada.git(dir, "push", "-q", "origin", "HEAD:refs/heads/main", notesRef)
	w.wantFates("final")
	// git refuses what was let through.
	lock := filepath.Join(w.repos.dir(api.ID), "refs", "heads", "main.lock")
	writeFile(t, lock, "")
	ada.commit(dir, "second")
	ada.wantRefused(dir, "push", "-q", "origin", "HEAD:refs/heads/main")
	w.wantFates("final", "withdrawn: it did not reach the repository")
	// One of two refs arrives.
	ada.wantRefused(dir, "push", "-q", "origin", "HEAD:refs/heads/main", "HEAD:refs/heads/topic")
	w.wantFates("final", "withdrawn: it did not reach the repository", "final")
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	ada.git(dir, "push", "-q", "origin", "HEAD:refs/heads/main")
	ada.wantRefused(dir, "push", "-q", "origin", ":"+notesRef)
	w.wantFates("final", "withdrawn: it did not reach the repository", "final", "final", "withdrawn: it did not reach the repository")
	// Back to a commit that is there already.
	writeFile(t, lock, "")
	ada.wantRefused(dir, "push", "-q", "--force", "origin", commit+":refs/heads/main")
	if got := w.fates(); got[len(got)-1] != "withdrawn: it did not reach the repository" {
		t.Errorf("a rewind that failed: %q", got)
	}
	w.settle()
	if count := storetest.Column(t, w.db, `SELECT count(*)::text FROM pushed_commits`)[0]; count != "2" {
		t.Errorf("%s commits count, want 2", count)
	}
}

func TestDecisionsOnForwardedPushesFollowTheRemote(t *testing.T) {
	t.Parallel()
	f := newForwarded(t)
	f.ada.commit(f.dir, "one")
	f.ada.git(f.dir, "push", "-q", "origin", "HEAD:refs/heads/main")
	f.wantFates("final")
	f.hook("exit 1\n")
	f.ada.commit(f.dir, "two")
	f.ada.wantRefused(f.dir, "push", "-q", "origin", "HEAD:refs/heads/main")
	f.ada.wantRefused(f.dir, "push", "-q", "origin", "HEAD:refs/for/main")
	refused := []string{"final", "withdrawn: the remote refused it", "withdrawn: it did not reach the repository"}
	f.wantFates(refused...)
	// The remote has taken it, and it is lost here: it stands.
	f.hook("exit 0\n")
	lock := filepath.Join(f.repos.dir(f.row.ID), "refs", "heads", "main.lock")
	writeFile(t, lock, "")
	f.ada.wantRefused(f.dir, "push", "-q", "origin", "HEAD:refs/heads/main")
	f.wantFates(append(refused, "final")...)
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	f.settle()
	f.wantFates(append(refused, "final")...)
}

// Where nobody can tell what the remote did, the push is open until it is seen.
func TestAPushWithAnUnknownEndIsSettledLater(t *testing.T) {
	t.Parallel()
	f := newForwarded(t)
	away := f.upstream.Dir + ".away"
	f.judge.first = func(hooks.Push) (hooks.Answer, error) {
		return hooks.Answer{}, errors.Join(errPass, os.Rename(f.upstream.Dir, away))
	}
	f.ada.commit(f.dir, "one")
	f.ada.wantRefused(f.dir, "push", "-q", "origin", "HEAD:refs/heads/main")
	f.wantFates("final, open")
	if err := f.server.settleOlder(t.Context(), 0); err == nil {
		t.Error("settled without the remote")
	}
	f.wantFates("final, open")
	if err := os.Rename(away, f.upstream.Dir); err != nil {
		t.Fatal(err)
	}
	// It is left alone while the remote may still be at work.
	if err := f.server.Settle(t.Context()); err != nil {
		t.Error(err)
	}
	f.wantFates("final, open")
	f.settle()
	f.settle()
	f.wantFates("withdrawn: it did not reach the repository")
}

// abandonedPush is a decision whose daemon was killed behind it.
func (f *forwarded) abandonedPush(refs ...hooks.Ref) {
	f.t.Helper()
	place, err := f.repos.place()
	if err != nil {
		f.t.Fatal(err)
	}
	p := hooks.Push{Version: hooks.PushVersion, ObjectFormat: "sha1", Refs: refs, Place: place,
		Environment: hooks.Environment{Forge: hooks.Gateway, Via: hooks.Pushed, Email: f.ada.email}}
	by := access.Principal{Org: f.org.ID, Name: "ssh-key:1", User: f.ada.email, Scopes: []access.Scope{access.Hook}, RequestID: newRequestID()}
	if a, err := f.judge.Decider.Decide(f.t.Context(), by, f.row.Name, p); err != nil || a.Refused() {
		f.t.Fatalf("%v: %+v", err, a)
	}
}

func TestPushesOfADaemonThatWasKilledAreSettled(t *testing.T) {
	t.Parallel()
	f := newForwarded(t)
	root := gitcmd.OID(f.same("refs/heads/main"))
	ref := func(name string, old, tip gitcmd.OID, kind push.RefKind) hooks.Ref {
		return hooks.Ref{Name: "refs/heads/" + name, Old: old, New: tip, Kind: kind}
	}
	side := f.upstream.Commits("refs/heads/side", 3)
	took, moved, forcedAway, lost := side[0], side[1], side[2], gitcmd.OID(strings.Repeat("1", 40))
	f.upstream.SetRef("refs/heads/took", took)
	f.upstream.Commit(gittest.Commit{Ref: "refs/heads/moved", Parents: []gitcmd.OID{moved}, Message: "further"})
	f.upstream.SetRef("refs/heads/away", root)
	f.upstream.SetRef("refs/heads/kept", took)
	f.abandonedPush(ref("took", gitcmd.ZeroOID, took, push.Create))
	f.abandonedPush(ref("moved", gitcmd.ZeroOID, moved, push.Create))
	f.abandonedPush(ref("away", root, forcedAway, push.Update))
	f.abandonedPush(ref("away", forcedAway, root, push.Force))
	f.abandonedPush(ref("main", root, lost, push.Update))
	f.abandonedPush(ref("kept", took, root, push.Force))
	f.abandonedPush(ref("gone", root, gitcmd.ZeroOID, push.Delete))
	f.abandonedPush(ref("took", took, gitcmd.ZeroOID, push.Delete))
	f.settle()
	const missing = "withdrawn: it did not reach the repository"
	f.wantFates("final", "final", "final", "final", missing, missing, "final", missing)
}

// A push that is under way is its session's, however long it takes.
func TestALivePushIsLeftToItsSession(t *testing.T) {
	t.Parallel()
	f := newForwarded(t)
	f.hook("touch \"$PWD/asked\"\nwhile [ -e \"$PWD/asked\" ]; do sleep 0.05; done\n")
	asked := filepath.Join(f.upstream.Dir, "asked")
	f.ada.commit(f.dir, "one")
	pushed := make(chan error, 1)
	go func() {
		_, err := f.ada.tryGit(f.dir, "push", "origin", "HEAD:refs/heads/main")
		pushed <- err
	}()
	within(t, "the remote to be asked", func() bool { _, err := os.Stat(asked); return err == nil })
	f.settle()
	f.wantFates("final, open")
	if err := errors.Join(os.Remove(asked), <-pushed); err != nil {
		t.Fatal(err)
	}
	f.wantFates("final")
}

func TestTheNameOfAPlaceIsMadeOnce(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "gateway")
	names := make(chan string, 8)
	for range cap(names) {
		go func() {
			name, err := NewRepos(ReposConfig{Root: root}).place()
			if err != nil {
				name = err.Error()
			}
			names <- name
		}()
	}
	first := <-names
	for range cap(names) - 1 {
		if name := <-names; name != first || len(name) < 20 {
			t.Errorf("names %q and %q", first, name)
		}
	}
	if files, _ := os.ReadDir(root); len(files) != 1 {
		t.Errorf("%d files are left", len(files))
	}
	other, err := NewRepos(ReposConfig{Root: t.TempDir()}).place()
	if err != nil || other == first {
		t.Errorf("another place is called %q: %v", other, err)
	}
	if err := os.WriteFile(filepath.Join(root, placeFile), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := NewRepos(ReposConfig{Root: root}).place(); err == nil {
		t.Error("an empty file is a name")
	}
}
