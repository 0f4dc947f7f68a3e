package gateway

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/notes/ingest"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

func TestPushAndClone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.hosted("acme/api")
	ada := w.dev("ada@example.com", access.WriteRepo)
	dir := ada.clone("acme/api.git")
	commit := ada.commit(dir, "first")
	out := ada.git(dir, "push", "origin", "HEAD:refs/heads/main")
	t.Log(out)
	if got := w.tip(api, "refs/heads/main"); got != commit {
		t.Fatalf("main is %s, want %s", got, commit)
	}
	again := ada.clone("acme/api")
	if got := ada.git(again, "rev-parse", "HEAD"); got != commit {
		t.Errorf("cloned %s, want %s", got, commit)
	}
	if len(w.judge.decided) != 1 || len(w.judge.received) != 1 {
		t.Fatalf("%d pushes were judged and %d received", len(w.judge.decided), len(w.judge.received))
	}
	p := w.judge.decided[0]
	if p.Email != ada.email || p.Repo != "acme/api" || p.Key != ada.key.Fingerprint || p.Address != "127.0.0.1" || len(p.Commits) != 1 {
		t.Errorf("judged %+v", p)
	}
	if by := w.judge.by[0]; by.User != ada.email || by.Org != w.org.ID || !strings.HasPrefix(by.Name, "ssh-key:") {
		t.Errorf("judged on behalf of %+v", by)
	}
	ada.noteIDs(dir, commit, "r1")
	t.Log(ada.git(dir, "push", "origin", notesRef))
	if got := w.ids(api); len(got) != 1 || got[0] != "r1" {
		t.Errorf("receipts %v", got)
	}
	w.fsck(api)
}

// TestReceiptsOfPushesAreTakenIn takes the gateway's repositories in as the
// daemon does.
func TestReceiptsOfPushesAreTakenIn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ingester := ingest.New(ingest.Config{DB: w.db, Gateway: w.repos, MirrorRoot: filepath.Join(w.root, "mirrors")})
	api, empty := w.hosted("acme/api"), w.hosted("acme/empty")
	ada := w.dev("ada@example.com", access.WriteRepo)
	dir := ada.clone("acme/api")
	commit := ada.commit(dir, "first")
	ada.noteIDs(dir, commit, "r1", "r2")
	ada.git(dir, "push", "-q", "origin", "HEAD:refs/heads/trunk", notesRef)
	for _, row := range []store.Repo{api, empty} {
		if _, err := ingester.Sync(t.Context(), w.org.ID, row.ID, nil); err != nil {
			t.Errorf("%s: %v", row.Name, err)
		}
	}
	if got := storetest.Column(t, w.db, `SELECT id FROM receipts WHERE org_id = $1 AND current ORDER BY id`, w.org.ID); !slices.Equal(got, []string{"r1", "r2"}) {
		t.Errorf("receipts %v", got)
	}
	if row := w.hostedRow("acme/api"); row.DefaultBranch != "refs/heads/trunk" || row.FetchError != "" {
		t.Errorf("default branch %q, error %q", row.DefaultBranch, row.FetchError)
	}
}

func TestTamperingIsRecorded(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	p.b.note(p.db, p.commit, receiptJSON("base", p.b.email, "cheap"), receiptJSON("b2", p.b.email, "m"))
	p.b.git(p.db, "push", "-q", "origin", notesRef)
	p.want("a1", "b1", "b2", "base")
	p.b.git(p.db, "notes", "--ref=blameprompt", "remove", p.commit)
	p.b.git(p.db, "push", "-q", "origin", notesRef)
	// What is somebody else's stays, and the note with it.
	p.want("a1", "b1", "b2", "base")
	if got := p.findings(p.row); !slices.Equal(got, []string{"receipt_kept base", "receipt_tampered base"}) {
		t.Errorf("findings %v", got)
	}
	acts := storetest.Column(t, p.world.db, `SELECT action || ' ' || (detail->>'receipt') || ' ' || principal FROM audit_log
		WHERE org_id = $1 AND action LIKE 'notes.%' ORDER BY seq`, p.org.ID)
	key := " ssh-key:" + p.b.key.ID.String()
	if !slices.Equal(acts, []string{"notes.receipt_tampered base" + key, "notes.receipt_kept base" + key}) {
		t.Errorf("audited %v", acts)
	}
}

func TestBothNotesRefsAreMerged(t *testing.T) {
	t.Parallel()
	p := newPair(t)
	const ai = "refs/notes/ai"
	log := func(key, model string) string {
		return "src/a.go\n  " + key + " 1-3\n---\n" + `{"schema_version":"authorship/3.0.0","git_ai_version":"1.0","base_commit_sha":"` + p.commit +
			`","prompts":{"` + key + `":{"agent_id":{"tool":"claude","id":"s-` + key + `","model":"` + model + `"},"human_author":"x"}}}`
	}
	p.a.git(p.da, "notes", "--ref=ai", "add", "-m", log("aaaaaaaaaaaaaaaa", "m1"), p.commit)
	p.b.git(p.db, "notes", "--ref=ai", "add", "-m", log("bbbbbbbbbbbbbbbb", "m2"), p.commit)
	p.a.git(p.da, "push", "-q", "origin", ai)
	p.b.git(p.db, "push", "-q", "origin", ai, notesRef)
	p.a.git(p.da, "fetch", "-q", "origin", ai+":"+ai)
	merged := p.a.git(p.da, "notes", "--ref=ai", "show", p.commit)
	for _, want := range []string{"aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb", "m1", "m2"} {
		if !strings.Contains(merged, want) {
			t.Errorf("the merged log has no %s:\n%s", want, merged)
		}
	}
}

func TestAMissingHookProgramRefusesPushes(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config, _ *ReposConfig) { c.HookProgram = "/nonexistent/blameprompt-hook" })
	api := w.hosted("acme/api")
	ada := w.dev("ada@example.com", access.WriteRepo)
	dir := ada.clone("acme/api")
	ada.commit(dir, "first")
	out, err := ada.tryGit(dir, "push", "origin", "HEAD:refs/heads/main")
	if err == nil || !strings.Contains(out, "BlamePrompt: this push is refused because a program of the service is missing.") {
		t.Errorf("%v: %s", err, out)
	}
	if w.tip(api, "refs/heads/main") != "" {
		t.Error("main is there")
	}
}

// TestModesOfRepositories has nobody judge, in both modes.
func TestModesOfRepositories(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.judge.first = func(hooks.Push) (hooks.Answer, error) {
		return hooks.Answer{}, fmt.Errorf("deciding: %w", store.ErrUnavailable)
	}
	ada := w.dev("ada@example.com", access.WriteRepo)
	for _, mode := range []string{store.ModeAdvisory, store.ModeEnforcing} {
		row := w.hosted("acme/" + mode)
		if _, err := w.db.UpdateRepo(t.Context(), access.CLI(w.org.ID), row.ID, store.RepoSettings{Mode: mode}); err != nil {
			t.Fatal(err)
		}
		dir := ada.clone("acme/" + mode)
		ada.commit(dir, "first")
		out, err := ada.tryGit(dir, "push", "origin", "HEAD:refs/heads/main")
		if accepted := mode == store.ModeAdvisory; (err == nil) != accepted || (w.tip(row, "refs/heads/main") != "") != accepted {
			t.Errorf("%s: %v: %s", mode, err, out)
		}
		if !strings.Contains(out, "the database is away") {
			t.Errorf("%s: the developer is not told: %s", mode, out)
		}
	}
}

func TestPushesAreCheckedAndBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *Config, _ *ReposConfig) { c.Limits.MaxPush = 1 << 20 })
	api := w.hosted("acme/api")
	ada := w.dev("ada@example.com", access.WriteRepo)
	dir := ada.clone("acme/api")
	local := gittest.Open(t, filepath.Join(dir, ".git"))
	blob := local.Object("blob", "x")
	tree := local.Object("tree", treeText(t, treeEntry{"100644", ".git", blob}))
	broken := local.Object("commit", fmt.Sprintf("tree %s\nauthor x <x@example.com> 1 +0000\ncommitter x <x@example.com> 1 +0000\n\nx\n", tree))
	if out, err := ada.tryGit(dir, "push", "origin", string(broken)+":refs/heads/broken"); err == nil || !strings.Contains(out, "contains '.git'") {
		t.Errorf("a tree with .git: %v: %s", err, out)
	}
	random := make([]byte, 3<<20)
	if _, err := rand.Read(random); err != nil {
		t.Fatal(err)
	}
	writeFile(t, filepath.Join(dir, "large.bin"), string(random))
	ada.commit(dir, "large")
	if out, err := ada.tryGit(dir, "push", "origin", "HEAD:refs/heads/large"); err == nil {
		t.Errorf("a push above the bound: %s", out)
	}
	if refs := gittest.Open(t, w.at(api).Dir()).Git("for-each-ref"); refs != "" {
		t.Errorf("refs %s", refs)
	}
}

func TestShutdownEndsWhatGoesOn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	api := w.hosted("acme/api")
	ada := w.dev("ada@example.com", access.WriteRepo)
	dir := ada.clone("acme/api")
	ada.commit(dir, "first")
	asked := make(chan struct{})
	w.judge.wait = asked
	pushed := make(chan error, 1)
	go func() {
		_, err := ada.tryGit(dir, "push", "origin", "HEAD:refs/heads/main")
		pushed <- err
	}()
	<-asked
	ctx, cancel := contextFor(t, 100*time.Millisecond)
	defer cancel()
	if err := w.server.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := <-pushed; err == nil {
		t.Error("the push passed")
	}
	if left := childrenOf(t, w.repos.dir(api.ID)); len(left) > 0 {
		t.Errorf("children are left: %v", left)
	}
	if _, err := os.Stat(w.server.sockets); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the directory of sockets is left: %v", err)
	}
}
