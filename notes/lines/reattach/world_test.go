package reattach_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/notes/ingest"
	"github.com/blameprompt/enterprise/notes/lines/added"
	"github.com/blameprompt/enterprise/notes/lines/reattach"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

const notesRef = "refs/notes/blameprompt"

// world is a remote repository, and a daemon's view of it.
type world struct {
	t      testing.TB
	remote *gittest.Fixture
	db     *store.DB
	org    store.Org
	repo   store.Repo
	ing    *ingest.Ingester
	keeper *reattach.Keeper
	added  *added.Keeper
	// mirror is the daemon's copy, dev a clone in which somebody works.
	mirror string
	dev    *gittest.Fixture
}

func newWorld(t testing.TB) *world {
	t.Helper()
	remote := gittest.New(t, gittest.In(filepath.Join(t.TempDir(), "remote.git")))
	mirrors, db := t.TempDir(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	w := &world{t: t, remote: remote, db: db, org: org, repo: storetest.MustRepo(t, db, org, "backend", remote.Dir)}
	w.ing = ingest.New(ingest.Config{DB: db, MirrorRoot: mirrors, Rules: mirror.Rules{FileRoots: []string{filepath.Dir(remote.Dir)}}})
	w.keeper = reattach.New(reattach.Config{DB: db, MirrorRoot: mirrors, Log: zerolog.New(zerolog.NewTestWriter(t))})
	w.added = added.New(added.Config{DB: db, MirrorRoot: mirrors, Log: zerolog.New(zerolog.NewTestWriter(t))})
	w.mirror = filepath.Join(mirrors, w.repo.ID.String()+".git")
	w.dev = gittest.Clone(t, remote.Dir)
	w.commit("base", "base.txt", numbered(1, 30))
	w.push("HEAD:main")
	return w
}

// commit writes a file, commits it with the subject and returns the commit.
func (w *world) commit(subject, file, content string) string {
	w.dev.Write(file, content)
	w.dev.Git("add", "-A")
	w.dev.Git("commit", "--quiet", "-m", subject)
	return w.head()
}

func (w *world) head() string { return w.dev.Git("rev-parse", "HEAD") }

// annotate gives a commit a note with receipts of these ids, each for a file.
func (w *world) annotate(commit string, receipts ...string) {
	w.dev.Write(".git/note-body", fmt.Sprintf(`{"blameprompt_version": "1.0.1", "receipts": [%s]}`, strings.Join(receipts, ", ")))
	w.dev.Git("notes", "--ref=blameprompt", "add", "-f", "-F", filepath.Join(w.dev.Dir, ".git", "note-body"), commit)
}

func receipt(id, file string, first, last int, blob string) string {
	return fmt.Sprintf(`{"id": %q, "provider": "claude", "model": "opus", "session_id": "s", "prompt_summary": "p", "prompt_hash": "h",
		"message_count": 1, "cost_usd": 0.25, "timestamp": "2026-02-03T04:05:06Z", "user": "Dev <dev@example.com>",
		"files_changed": [{"path": %q, "line_range": [%d, %d], "blob_hash": %q, "additions": 3}]}`, id, file, first, last, blob)
}

func (w *world) push(args ...string) {
	w.dev.Git(append([]string{"push", "--quiet", "origin"}, args...)...)
}

// sync takes in what the remote has and looks for notes that were left behind.
func (w *world) sync() store.ReattachChange {
	w.t.Helper()
	if _, err := w.ing.Sync(w.t.Context(), w.org.ID, w.repo.ID, nil); err != nil {
		w.t.Fatalf("Sync: %v", err)
	}
	w.classify()
	change := w.keep()
	w.classify()
	return change
}

func (w *world) classify() {
	w.t.Helper()
	if _, err := w.added.Keep(w.t.Context(), w.org.ID, w.repo.ID, nil); err != nil {
		w.t.Fatalf("classifying: %v", err)
	}
}

// wantLines compares the classes on the default branch, in any order: "commit path first-last
// class confidence receipt <from".
func (w *world) wantLines(want ...string) {
	w.t.Helper()
	got := storetest.Column(w.t, w.db, `
		SELECT format('%s %s %s-%s %s %s %s', k.subject, convert_from(r.path, 'UTF8'), r.first, r.last, r.class, r.confidence,
		              CASE WHEN r.source = 'git-ai' THEN 'git-ai' ELSE r.receipt_id END) || coalesce(' <' || f.subject, '')
		FROM added_runs r JOIN commit_lines c USING (org_id, repo_id, commit) JOIN commits k USING (org_id, repo_id, commit)
		LEFT JOIN commits f ON f.org_id = r.org_id AND f.repo_id = r.repo_id AND f.commit = r.from_commit
		WHERE c.on_default`)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty(), cmpopts.SortSlices(strings.Compare)); diff != "" {
		w.t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// wantNoted compares the commits of the default branch that a note speaks of.
func (w *world) wantNoted(want ...string) {
	w.t.Helper()
	got := storetest.Column(w.t, w.db, `SELECT k.subject FROM commit_lines c JOIN commits k USING (org_id, repo_id, commit) WHERE c.on_default AND c.noted ORDER BY 1`)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		w.t.Errorf("noted commits (-want +got):\n%s", diff)
	}
}

// wait lets a quarter of an hour pass: every command takes a minute.
func (w *world) wait() {
	w.t.Helper()
	for range 15 {
		w.dev.Git("version")
	}
}

func (w *world) keep() store.ReattachChange {
	w.t.Helper()
	change, err := w.keeper.Keep(w.t.Context(), w.org.ID, w.repo.ID)
	if err != nil {
		w.t.Fatalf("Keep: %v", err)
	}
	return change
}

// want compares what is in force: "how from to", commits by their subjects.
func (w *world) want(want ...string) {
	w.t.Helper()
	got := storetest.Column(w.t, w.db, `
		SELECT format('%s %s %s', r.how, coalesce(f.subject, left(r.from_commit, 8)), t.subject) || CASE WHEN r.squash THEN ' squash' ELSE '' END
		FROM reattachments r
		LEFT JOIN commits f ON f.org_id = r.org_id AND f.repo_id = r.repo_id AND f.commit = r.from_commit
		JOIN commits t ON t.org_id = r.org_id AND t.repo_id = r.repo_id AND t.commit = r.to_commit
		WHERE r.active ORDER BY 1`)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		w.t.Errorf("reattachments (-want +got):\n%s", diff)
	}
	w.mustBeStable()
}

// wantMoved compares lines: "path first-last from path first".
func (w *world) wantMoved(want ...string) {
	w.t.Helper()
	got := storetest.Column(w.t, w.db, `
		SELECT format('%s %s-%s %s %s %s', convert_from(l.path, 'UTF8'), l.first, l.last, f.subject, convert_from(l.from_path, 'UTF8'), l.from_first)
		FROM reattached_lines l JOIN commits f ON f.org_id = l.org_id AND f.repo_id = l.repo_id AND f.commit = l.from_commit ORDER BY l.path, l.first`)
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		w.t.Errorf("moved lines (-want +got):\n%s", diff)
	}
}

// mustBeStable finds everything again and wants nothing to change.
func (w *world) mustBeStable() {
	w.t.Helper()
	if _, err := w.db.Pool().Exec(w.t.Context(), `UPDATE reattach_states SET state = ''`); err != nil {
		w.t.Fatal(err)
	}
	if change := w.keep(); change != (store.ReattachChange{}) {
		w.t.Errorf("finding again changed %+v", change)
	}
}

func (w *world) enable(on bool) {
	w.t.Helper()
	if _, err := w.db.UpdateRepo(w.t.Context(), access.CLI(w.org.ID), w.repo.ID, store.RepoSettings{Reattach: &on}); err != nil {
		w.t.Fatal(err)
	}
}

// gitAI gives a commit a note of git-ai that gives lines of a file to an agent.
func (w *world) gitAI(commit, file, ranges string) {
	w.dev.Write(".git/note-body", fmt.Sprintf("%s\n  abcdef0123456789 %s\n---\n{\"schema_version\": \"authorship/3.0.0\", \"prompts\": {"+
		"\"abcdef0123456789\": {\"agent_id\": {\"tool\": \"cursor\", \"model\": \"gpt-5\", \"id\": \"x\"}}}}\n", file, ranges))
	w.dev.Git("notes", "--ref=ai", "add", "-f", "-F", filepath.Join(w.dev.Dir, ".git", "note-body"), commit)
}

// originals are all rows of what notes said themselves.
func (w *world) originals() []string {
	w.t.Helper()
	var rows []string
	for _, table := range []string{"note_versions", "note_bodies", "receipt_commits", "receipts", "receipt_files", "attestations", "prompts"} {
		rows = append(rows, storetest.Column(w.t, w.db, `SELECT (to_jsonb(x) - 'synced_at')::text FROM `+table+` x ORDER BY 1`)...)
	}
	return rows
}

// numbered is lines from first to last.
func numbered(first, last int) string {
	var b strings.Builder
	for n := first; n <= last; n++ {
		fmt.Fprintf(&b, "line %d\n", n)
	}
	return b.String()
}
