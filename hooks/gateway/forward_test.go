package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// forwarded is a repository that the gateway forwards to a bare one on disk,
// and a developer with a clone.
type forwarded struct {
	*world
	row      store.Repo
	upstream *gittest.Fixture
	ada      *dev
	dir      string
}

func newForwarded(t testing.TB, change ...func(*Config, *ReposConfig)) *forwarded {
	t.Helper()
	f := &forwarded{world: newWorld(t, change...)}
	f.upstream = gittest.New(t, gittest.In(filepath.Join(f.root, "upstream.git")))
	f.upstream.Commit(gittest.Commit{Files: map[string]string{"README": "hello\n"}, Message: "root"})
	f.row = f.addRepo(store.NewRepo{Name: "acme/api", RemoteURL: f.upstream.Dir, Gateway: store.GatewayForwarding})
	f.ada = f.dev("ada@example.com", access.WriteRepo)
	f.dir = f.ada.clone("acme/api")
	return f
}

// hook gives the remote a pre-receive hook.
func (f *forwarded) hook(script string) {
	f.t.Helper()
	path := filepath.Join(f.upstream.Dir, "hooks", "pre-receive")
	writeFile(f.t, path, "#!/bin/sh\n"+script)
	if err := os.Chmod(path, 0o700); err != nil {
		f.t.Fatal(err)
	}
}

// same wants a ref to be the same here and there, and returns it.
func (f *forwarded) same(ref string) string {
	f.t.Helper()
	here, there := f.tip(f.row, ref), string(f.upstream.Tip(ref))
	if here != there {
		f.t.Errorf("%s is %q here and %q at the remote", ref, here, there)
	}
	return here
}

func TestPushesAreForwarded(t *testing.T) {
	t.Parallel()
	f := newForwarded(t)
	if f.ada.git(f.dir, "log", "--format=%s") != "root" {
		t.Fatal("the clone is not that of the remote")
	}
	commit := f.ada.commit(f.dir, "one")
	f.ada.git(f.dir, "push", "-q", "origin", "HEAD:refs/heads/main", "HEAD:refs/heads/topic")
	f.ada.git(f.dir, "tag", "-a", "-m", "v1", "v1")
	f.ada.git(f.dir, "push", "-q", "origin", "v1")
	if f.same("refs/heads/main") != commit || f.same("refs/heads/topic") != commit || f.same("refs/tags/v1") == "" {
		t.Errorf("main %s, topic %s, want %s", f.tip(f.row, "refs/heads/main"), f.tip(f.row, "refs/heads/topic"), commit)
	}
	f.ada.git(f.dir, "commit", "-q", "--amend", "-m", "two")
	if out, err := f.ada.tryGit(f.dir, "push", "origin", "HEAD:refs/heads/main"); err == nil {
		t.Errorf("a push that is no fast-forward passed: %s", out)
	}
	f.ada.git(f.dir, "push", "-q", "--force", "origin", "HEAD:refs/heads/main")
	if got := f.same("refs/heads/main"); got == commit {
		t.Error("the forced push did not arrive")
	}
	f.ada.git(f.dir, "push", "-q", "origin", ":refs/heads/topic", ":refs/tags/v1")
	if f.same("refs/heads/topic") != "" || f.same("refs/tags/v1") != "" {
		t.Error("deleted refs are there")
	}
	f.fsck(f.row)
}

func TestTheRemotesRefusalReachesTheDeveloper(t *testing.T) {
	t.Parallel()
	f := newForwarded(t)
	f.hook("echo 'GH006: Protected branch update failed for refs/heads/main.'\necho \"  see \x1b[31mhttps://example.com/rules\" >&2\nexit 1\n")
	before := f.same("refs/heads/main")
	f.ada.commit(f.dir, "one")
	out, err := f.ada.tryGit(f.dir, "push", "origin", "HEAD:refs/heads/main")
	if err == nil {
		t.Fatalf("the push passed: %s", out)
	}
	for _, want := range []string{
		"remote: BlamePrompt: this push is refused by the repository that it is forwarded to.",
		"remote:     GH006: Protected branch update failed for refs/heads/main.",
		"remote:     see https://example.com/rules",
		"remote:     ! main [remote rejected] (pre-receive hook declined)",
		"! [remote rejected] HEAD -> main (pre-receive hook declined)",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("the developer does not read %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Errorf("terminal sequences of the remote are handed on: %q", out)
	}
	if f.same("refs/heads/main") != before {
		t.Error("main moved")
	}
	// What is refused there for one ref is refused for all.
	f.hook("while read -r old new ref; do case $ref in */main) echo no; exit 1;; esac; done\n")
	if out, err := f.ada.tryGit(f.dir, "push", "origin", "HEAD:refs/heads/topic", "HEAD:refs/heads/main"); err == nil {
		t.Errorf("the push passed: %s", out)
	}
	if f.same("refs/heads/topic") != "" {
		t.Error("topic is there")
	}
}

func TestTheRemotesWordsReachTheDeveloper(t *testing.T) {
	t.Parallel()
	f := newForwarded(t)
	f.hook("echo 'Create a merge request: https://example.com/new?source=main'\n")
	f.ada.commit(f.dir, "one")
	out := f.ada.git(f.dir, "push", "origin", "HEAD:refs/heads/main")
	if !strings.Contains(out, "remote: BlamePrompt: the repository that this push was forwarded to says:") ||
		!strings.Contains(out, "remote:     Create a merge request: https://example.com/new?source=main") {
		t.Errorf("the developer reads:\n%s", out)
	}
}

func TestPushOptionsAreForwarded(t *testing.T) {
	t.Parallel()
	f := newForwarded(t)
	f.upstream.Git("config", "receive.advertisePushOptions", "true")
	f.hook("echo \"$GIT_PUSH_OPTION_COUNT: $GIT_PUSH_OPTION_0\"\n")
	f.ada.commit(f.dir, "one")
	out := f.ada.git(f.dir, "push", "-o", "blameprompt.note=x", "-o", "merge_request.create", "origin", "HEAD:refs/heads/main")
	if !strings.Contains(out, "remote:     1: merge_request.create") {
		t.Errorf("the remote heard:\n%s", out)
	}
}

func TestPoliciesComeBeforeTheRemote(t *testing.T) {
	t.Parallel()
	f := newForwarded(t)
	f.judge.first = func(p hooks.Push) (hooks.Answer, error) {
		return hooks.Answer{Version: hooks.AnswerVersion, Verdict: push.Verdict{Outcome: push.Refuse}}, nil
	}
	before := f.same("refs/heads/main")
	f.ada.commit(f.dir, "one")
	if out, err := f.ada.tryGit(f.dir, "push", "origin", "HEAD:refs/heads/main"); err == nil || !strings.Contains(out, "this push is refused.") {
		t.Errorf("%v: %s", err, out)
	}
	if f.same("refs/heads/main") != before {
		t.Error("what a policy refuses was forwarded")
	}
}

func TestWhatOthersDidAtTheRemoteIsThere(t *testing.T) {
	t.Parallel()
	f := newForwarded(t)
	// Merged at the forge: the next push sees it.
	merged := f.upstream.Commit(gittest.Commit{Message: "merged at the forge"})
	f.upstream.SetRef("refs/heads/release/1", merged)
	f.ada.commit(f.dir, "one")
	out, err := f.ada.tryGit(f.dir, "push", "origin", "HEAD:refs/heads/main")
	if err == nil || !strings.Contains(out, "fetch first") {
		t.Errorf("%v: %s", err, out)
	}
	f.ada.git(f.dir, "pull", "-q", "--rebase", "origin", "main")
	f.ada.git(f.dir, "push", "-q", "origin", "HEAD:refs/heads/main")
	f.same("refs/heads/main")
	if f.same("refs/heads/release/1") != string(merged) {
		t.Error("a branch of the remote is not here")
	}
	// A branch takes the place of a directory of branches.
	f.upstream.Delete("refs/heads/release/1")
	f.upstream.SetRef("refs/heads/release", merged)
	f.ada.git(f.dir, "push", "-q", "origin", "HEAD:refs/heads/topic")
	if f.same("refs/heads/release") != string(merged) {
		t.Error("a branch in place of a directory is not here")
	}
}

// TestOthersAreNotOverwritten has the remote move between the fetch and the
// push.
func TestOthersAreNotOverwritten(t *testing.T) {
	t.Parallel()
	f := newForwarded(t)
	var others gitcmd.OID
	f.judge.first = func(hooks.Push) (hooks.Answer, error) {
		others = f.upstream.Commit(gittest.Commit{Message: "others"})
		return hooks.Answer{}, errPass
	}
	f.ada.commit(f.dir, "one")
	out, err := f.ada.tryGit(f.dir, "push", "--force", "origin", "HEAD:refs/heads/main")
	if err == nil || !strings.Contains(out, "! main [rejected] (it has moved there meanwhile: fetch, then push again)") {
		t.Errorf("%v: %s", err, out)
	}
	if got := f.upstream.Tip("refs/heads/main"); got != others {
		t.Errorf("the remote's main is %s, want %s", got, others)
	}
}

func TestTheRemoteIsAway(t *testing.T) {
	t.Parallel()
	f := newForwarded(t, func(_ *Config, r *ReposConfig) { r.FetchTimeout = 20 * time.Second })
	commit := f.same("refs/heads/main")
	away := f.upstream.Dir + ".away"
	if err := os.Rename(f.upstream.Dir, away); err != nil {
		t.Fatal(err)
	}
	// As if it were long ago.
	state := f.repos.state(f.row.ID)
	<-state.fetching
	state.fetched = time.Time{}
	state.fetching <- struct{}{}
	// Reading goes on with what is here.
	out, err := f.ada.tryGit(f.dir, "ls-remote", "origin")
	if err != nil || !strings.Contains(out, commit) || !strings.Contains(out, "this is what it had before") {
		t.Errorf("reading: %v: %s", err, out)
	}
	f.ada.commit(f.dir, "one")
	out, err = f.ada.tryGit(f.dir, "push", "origin", "HEAD:refs/heads/main")
	if err == nil || !strings.Contains(out, `BlamePrompt: "acme/api" is forwarded to`) || !strings.Contains(out, "Push again in a minute.") {
		t.Errorf("pushing: %v: %s", err, out)
	}
	if got := f.tip(f.row, "refs/heads/main"); got != commit {
		t.Errorf("main is %s", got)
	}
	// It goes away between fetch and push.
	if err := os.Rename(away, f.upstream.Dir); err != nil {
		t.Fatal(err)
	}
	f.judge.first = func(hooks.Push) (hooks.Answer, error) {
		return hooks.Answer{}, errors.Join(errPass, os.Rename(f.upstream.Dir, away))
	}
	out, err = f.ada.tryGit(f.dir, "push", "origin", "HEAD:refs/heads/main")
	if err == nil || !strings.Contains(out, "BlamePrompt: this push is refused because it could not be forwarded.") {
		t.Errorf("away in between: %v: %s", err, out)
	}
	if got := f.tip(f.row, "refs/heads/main"); got != commit {
		t.Errorf("main is %s", got)
	}
	if err := os.Rename(away, f.upstream.Dir); err != nil {
		t.Fatal(err)
	}
	f.judge.mu.Lock()
	f.judge.first = nil
	f.judge.mu.Unlock()
	f.ada.git(f.dir, "push", "-q", "origin", "HEAD:refs/heads/main")
	f.same("refs/heads/main")
}

// TestWhatTheRemoteTookAndWasLostComesBack has a push that the remote takes and
// that fails here behind it.
func TestWhatTheRemoteTookAndWasLostComesBack(t *testing.T) {
	t.Parallel()
	f := newForwarded(t)
	lock := filepath.Join(f.repos.dir(f.row.ID), "refs", "heads", "main.lock")
	writeFile(t, lock, "")
	commit := f.ada.commit(f.dir, "one")
	out, err := f.ada.tryGit(f.dir, "push", "origin", "HEAD:refs/heads/main")
	if err == nil {
		t.Fatalf("the push passed: %s", out)
	}
	if got := f.upstream.Tip("refs/heads/main"); string(got) != commit {
		t.Fatalf("the remote has %s, want %s", got, commit)
	}
	if err := os.Remove(lock); err != nil {
		t.Fatal(err)
	}
	// The developer tries again, and finds it done.
	if out := f.ada.git(f.dir, "push", "origin", "HEAD:refs/heads/main"); !strings.Contains(out, "Everything up-to-date") {
		t.Errorf("pushed again: %s", out)
	}
	if f.same("refs/heads/main") != commit {
		t.Error("it did not come back")
	}
	f.fsck(f.row)
}

// TestRefsOnTheirWayAreLeftAlone reconciles while a push is between the remote
// and here.
func TestRefsOnTheirWayAreLeftAlone(t *testing.T) {
	t.Parallel()
	f := newForwarded(t)
	before := f.same("refs/heads/main")
	// The remote takes its time, and while it does others fetch.
	f.hook("touch \"$PWD/asked\"\nwhile [ -e \"$PWD/asked\" ]; do sleep 0.05; done\n")
	asked := filepath.Join(f.upstream.Dir, "asked")
	commit := f.ada.commit(f.dir, "one")
	pushed := make(chan error, 1)
	go func() {
		out, err := f.ada.tryGit(f.dir, "push", "origin", "HEAD:refs/heads/main")
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		pushed <- err
	}()
	within(t, "the remote to be asked", func() bool { _, err := os.Stat(asked); return err == nil })
	f.upstream.SetRef("refs/heads/other", gitcmd.OID(before))
	if _, err := f.repos.Prepare(t.Context(), f.row); err != nil {
		t.Fatal(err)
	}
	if f.same("refs/heads/other") != before {
		t.Error("another branch was not fetched meanwhile")
	}
	if err := os.Remove(asked); err != nil {
		t.Fatal(err)
	}
	if err := <-pushed; err != nil {
		t.Error(err)
	}
	if f.same("refs/heads/main") != commit {
		t.Error("main is not there")
	}
}

func TestNotesAreForwardedByFetchMergePush(t *testing.T) {
	t.Parallel()
	f := newForwarded(t)
	commit := f.tip(f.row, "refs/heads/main")
	// Somebody has pushed notes to the remote directly.
	f.upstream.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{gitcmd.OID(commit): payload(receiptJSON("direct", "x@example.com", "m"))}})
	mine := f.ada.commit(f.dir, "one")
	f.ada.noteIDs(f.dir, mine, "a1")
	f.ada.git(f.dir, "push", "-q", "origin", "HEAD:refs/heads/main", notesRef)
	within(t, "the notes to be forwarded", func() bool { return string(f.upstream.Tip(notesRef)) == f.tip(f.row, notesRef) })
	if got := f.ids(f.row); !slices.Equal(got, []string{"a1", "direct"}) {
		t.Errorf("receipts %v", got)
	}
	// The remote moves at the moment of the push: fetched, merged and tried again.
	f.hook("[ -e tricked ] && exit 0\ntouch tricked\necho later\nexit 1\n")
	second := f.ada.commit(f.dir, "two")
	f.ada.noteIDs(f.dir, second, "a2")
	f.ada.git(f.dir, "push", "-q", "origin", notesRef)
	within(t, "the notes to be forwarded after a refusal", func() bool {
		return string(f.upstream.Tip(notesRef)) == f.tip(f.row, notesRef)
	})
	if got := f.ids(f.row); !slices.Equal(got, []string{"a1", "a2", "direct"}) {
		t.Errorf("receipts %v", got)
	}
	f.fsck(f.row)
}

func TestNotesStayWhenTheyAreNotForwarded(t *testing.T) {
	t.Parallel()
	f := newForwarded(t)
	no := false
	row, err := f.db.UpdateRepo(t.Context(), access.CLI(f.org.ID), f.row.ID, store.RepoSettings{ForwardNotes: &no})
	if err != nil {
		t.Fatal(err)
	}
	commit := f.ada.commit(f.dir, "one")
	f.ada.noteIDs(f.dir, commit, "a1")
	f.ada.git(f.dir, "push", "-q", "origin", "HEAD:refs/heads/main", notesRef)
	if _, err := f.repos.Prepare(t.Context(), row); err != nil {
		t.Fatal(err)
	}
	if got := f.ids(row); !slices.Equal(got, []string{"a1"}) || f.upstream.Tip(notesRef) != "" {
		t.Errorf("receipts %v, the remote has %s", got, f.upstream.Tip(notesRef))
	}
}

func TestOnlyWhatARemoteKeepsIsForwarded(t *testing.T) {
	t.Parallel()
	f := newForwarded(t)
	f.ada.commit(f.dir, "one")
	for refspec, want := range map[string]string{
		"HEAD:refs/for/main":                  "refs/for/main is neither a branch nor a tag nor notes",
		"HEAD:refs/upstream/heads/main":       "deny updating a hidden ref",
		"HEAD:refs/pull/1/head":               "refs/pull/1/head is neither a branch nor a tag nor notes",
		":" + notesRef + " HEAD:refs/heads/x": notesRef + " cannot be deleted here",
	} {
		out, err := f.ada.tryGit(f.dir, append([]string{"push", "origin"}, strings.Fields(refspec)...)...)
		if err == nil || !strings.Contains(strings.Join(strings.Fields(strings.ReplaceAll(out, "remote:", "")), " "), want) {
			t.Errorf("%s: %v: %s", refspec, err, out)
		}
	}
	if refs := f.upstream.Git("for-each-ref", "--format=%(refname)"); refs != "refs/heads/main" {
		t.Errorf("the remote has %s", refs)
	}
	// What is hidden here is hidden from readers too.
	if out := f.ada.git(f.dir, "ls-remote", "origin"); strings.Contains(out, "upstream") {
		t.Errorf("shown: %s", out)
	}
}

// TestCredentialsOfTheRemoteAreSeenByNobody forwards to a server that asks for a
// password, and looks at every process and at all that is said.
func TestCredentialsOfTheRemoteAreSeenByNobody(t *testing.T) {
	t.Parallel()
	f := newForwarded(t)
	const secret = "s3cr3t-t0ken"
	server := httptest.NewServer(authenticated(t, f.root, "robot", secret))
	t.Cleanup(server.Close)
	f.upstream.Git("config", "http.receivepack", "true")
	row := f.addRepo(store.NewRepo{Name: "acme/web", RemoteURL: server.URL + "/upstream.git", User: "robot", Secret: secret,
		Gateway: store.GatewayForwarding})
	f.hook("echo \"hello " + secret + "\"\nfor p in /proc/[0-9]*; do tr '\\0' ' ' <$p/cmdline; tr '\\0' '\\n' <$p/environ; done >>seen 2>/dev/null\nexit 0\n")
	dir := f.ada.clone("acme/web")
	commit := f.ada.commit(dir, "one")
	out := f.ada.git(dir, "push", "origin", "HEAD:refs/heads/main")
	if got := f.tip(row, "refs/heads/main"); got != commit || string(f.upstream.Tip("refs/heads/main")) != commit {
		t.Errorf("main is %s here and %s there, want %s", got, f.upstream.Tip("refs/heads/main"), commit)
	}
	seen, err := os.ReadFile(filepath.Join(f.upstream.Dir, "seen"))
	if err != nil || len(seen) == 0 {
		t.Fatalf("the hook saw no processes: %v", err)
	}
	for what, text := range map[string]string{"a process": string(seen), "the developer": out, "the log": f.log.text()} {
		if strings.Contains(text, secret) {
			t.Errorf("%s shows the secret", what)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(f.root, "gateway", ".link-*")); len(left) > 0 {
		t.Errorf("files with credentials are left: %v", left)
	}
}

// authenticated serves the repositories below root over HTTP, with a password.
func authenticated(t *testing.T, root, user, secret string) http.Handler {
	t.Helper()
	path, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"), Stderr: &lockedBuffer{}, InheritEnv: []string{"PATH"},
		Env: []string{"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1", "HOME=" + root,
			"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=safe.directory", "GIT_CONFIG_VALUE_0=*"},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if u, s, ok := r.BasicAuth(); !ok || u != user || s != secret {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		r.Header.Del("Authorization")
		backend.ServeHTTP(w, r)
	})
}
