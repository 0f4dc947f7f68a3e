package added_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/notes/ingest"
	"github.com/blameprompt/enterprise/notes/lines/added"
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
	keeper *added.Keeper
	// mirror is the daemon's copy.
	mirror string
}

func newWorld(t testing.TB) *world {
	t.Helper()
	remote := gittest.New(t, gittest.In(filepath.Join(t.TempDir(), "remote.git")))
	mirrors, db := t.TempDir(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	w := &world{t: t, remote: remote, db: db, org: org, repo: storetest.MustRepo(t, db, org, "backend", remote.Dir)}
	w.ing = ingest.New(ingest.Config{DB: db, MirrorRoot: mirrors, Rules: mirror.Rules{FileRoots: []string{filepath.Dir(remote.Dir)}}})
	w.keeper = added.New(added.Config{DB: db, MirrorRoot: mirrors, Log: zerolog.New(zerolog.NewTestWriter(t))})
	w.mirror = filepath.Join(mirrors, w.repo.ID.String()+".git")
	return w
}

// fetch takes in what the remote has.
func (w *world) fetch() {
	w.t.Helper()
	if _, err := w.ing.Sync(w.t.Context(), w.org.ID, w.repo.ID, nil); err != nil {
		w.t.Fatalf("Sync: %v", err)
	}
}

// sync takes in what the remote has and classifies.
func (w *world) sync() added.Report {
	w.t.Helper()
	w.fetch()
	return w.keep()
}

func (w *world) keep() added.Report {
	w.t.Helper()
	report, err := w.keeper.Keep(w.t.Context(), w.org.ID, w.repo.ID, nil)
	if err != nil {
		w.t.Fatalf("Keep: %v", err)
	}
	state, err := w.db.LineState(w.t.Context(), w.org.ID, w.repo.ID)
	if err != nil || !state.Done() {
		w.t.Fatalf("after Keep something is left: %+v, %v", state, err)
	}
	return report
}

// lines lists the runs of every commit of the default branch, by subject.
func (w *world) lines() []string {
	w.t.Helper()
	return storetest.Column(w.t, w.db, `
		SELECT format('%s %s %s-%s %s %s %s', k.subject, convert_from(r.path, 'UTF8'), r.first, r.last, r.class, r.confidence,
		              coalesce(nullif(r.receipt_id, ''), r.author))
		FROM added_runs r JOIN commit_lines c USING (org_id, repo_id, commit) JOIN commits k USING (org_id, repo_id, commit)
		WHERE c.on_default ORDER BY 1`)
}

func (w *world) wantLines(want ...string) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.lines(), cmpopts.EquateEmpty()); diff != "" {
		w.t.Errorf("lines (-want +got):\n%s", diff)
	}
}

// sums are those of the repository's rollups.
func (w *world) sums() store.LineSums {
	w.t.Helper()
	sums, err := w.db.RepoLines(w.t.Context(), w.org.ID, w.repo.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return sums.LineSums
}

func (w *world) wantSums(want store.LineSums) {
	w.t.Helper()
	if diff := cmp.Diff(want, w.sums()); diff != "" {
		w.t.Errorf("sums (-want +got):\n%s", diff)
	}
}

// state is everything that is derived of added lines, as comparable rows. Rows
// of commits off the branch are a cache.
var state = []string{
	`SELECT format('commit %s', (to_jsonb(c) - 'revision')::text) FROM commit_lines c WHERE on_default`,
	`SELECT format('owner %s', to_jsonb(o)::text) FROM commit_owners o WHERE on_default`,
	`SELECT format('file %s', to_jsonb(f)::text) FROM added_files f JOIN commit_lines c USING (org_id, repo_id, commit) WHERE c.on_default`,
	`SELECT format('run %s', to_jsonb(r)::text) FROM added_runs r JOIN commit_lines c USING (org_id, repo_id, commit) WHERE c.on_default`,
	`SELECT format('day %s', to_jsonb(r)::text) FROM line_rollups r
		WHERE added <> 0 OR excluded <> 0 OR ai <> 0 OR deleted <> 0 OR commits <> 0 OR bot_commits <> 0 OR merge_commits <> 0`,
	`SELECT format('month %s', to_jsonb(r)::text) FROM line_rollup_months r
		WHERE added <> 0 OR excluded <> 0 OR ai <> 0 OR deleted <> 0 OR commits <> 0 OR bot_commits <> 0 OR merge_commits <> 0`,
	`SELECT format('finding %s %s', code, commit) FROM findings f JOIN commit_lines c USING (org_id, repo_id, commit)
		WHERE c.on_default AND code LIKE 'commit%'`,
	`SELECT format('tip %s', (to_jsonb(t) - 'planned_at' - 'done_at')::text) FROM line_tips t`,
}

func (w *world) dump() (rows []string) {
	w.t.Helper()
	for _, sql := range state {
		rows = append(rows, storetest.Column(w.t, w.db, sql+" ORDER BY 1")...)
	}
	return rows
}

// mustEqualFreshRun compares what is stored with what a run over nothing stores.
func (w *world) mustEqualFreshRun() {
	w.t.Helper()
	w.checkSums()
	kept := w.dump()
	_, err := w.db.Pool().Exec(w.t.Context(), `TRUNCATE commit_lines, commit_owners, added_files, added_runs, line_demands, line_tips,
		line_rollups, line_rollup_months, path_rollups, path_rollup_months`)
	if err != nil {
		w.t.Fatal(err)
	}
	w.keep()
	if diff := cmp.Diff(w.dump(), kept); diff != "" {
		w.t.Errorf("the tables differ from a fresh run (-fresh +kept):\n%s", diff)
	}
}

// checkSums holds all sums against what they are made of.
func (w *world) checkSums() {
	w.t.Helper()
	report, err := w.db.CheckNumbers(w.t.Context(), w.org.ID, 5, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	for _, d := range report.Differences {
		w.t.Errorf("%+v", d)
	}
}

// developer is a clone in which somebody works.
type developer struct{ *gittest.Fixture }

func (w *world) developer() developer {
	d := developer{gittest.Clone(w.t, w.remote.Dir)}
	d.Git("config", "user.name", "dev")
	d.Git("config", "user.email", "dev@example.com")
	return d
}

// commit writes a file, commits it with the subject and returns the commit.
func (d developer) commit(subject, file, content string) string {
	d.Write(file, content)
	d.Git("add", "-A")
	d.Git("commit", "--quiet", "-m", subject)
	return d.Git("rev-parse", "HEAD")
}

// blob is the id of a file at HEAD.
func (d developer) blob(file string) string { return d.Git("rev-parse", "HEAD:"+file) }

func (d developer) annotate(commit, body string) {
	d.Write(".git/note-body", body)
	d.Git("notes", "--ref=blameprompt", "add", "-f", "-F", filepath.Join(d.Dir, ".git", "note-body"), commit)
}

func (d developer) push(args ...string) {
	d.Git(append([]string{"push", "--quiet", "origin"}, args...)...)
}

// numbered is lines from first to last.
func numbered(first, last int) string {
	var b strings.Builder
	for n := first; n <= last; n++ {
		fmt.Fprintf(&b, "line %d\n", n)
	}
	return b.String()
}

// payload is a BlamePrompt note of receipts.
func payload(receipts ...string) string {
	return fmt.Sprintf(`{"blameprompt_version": "1.0.1", "receipts": [%s]}`, strings.Join(receipts, ", "))
}

// receipt is a receipt of one file; blob may be empty.
func receipt(id, model, file string, first, last int, blob string) string {
	return fmt.Sprintf(`{"id": %q, "provider": "claude", "model": %q, "session_id": "s", "prompt_summary": "p", "prompt_hash": "h",
		"message_count": 1, "cost_usd": 0.25, "timestamp": "2026-02-03T04:05:06Z", "user": "Dev <dev@example.com>",
		"files_changed": [{"path": %q, "line_range": [%d, %d], "blob_hash": %q, "additions": 3}]}`, id, model, file, first, last, blob)
}

// rated adds to a receipt what its tool says of the prompt.
func rated(receipt string, score int, category string, seconds int) string {
	return strings.Replace(receipt, `{"id"`, fmt.Sprintf(`{"prompt_duration_secs": %d, "prompt_quality": {"score": %d, "rating": "Good", "category": %q}, "id"`,
		seconds, score, category), 1)
}

// gitAI is an authorship log that gives lines of a file to a key.
func gitAI(file, key, ranges string) string {
	return fmt.Sprintf("%s\n  %s %s\n---\n{\"schema_version\": \"authorship/3.0.0\", \"prompts\": {%q: {\"agent_id\": {\"tool\": \"cursor\", "+
		"\"model\": \"gpt-5\", \"id\": \"x\"}}}}\n", file, key, ranges, key)
}

func (w *world) set(in store.RepoSettings) {
	w.t.Helper()
	if _, err := w.db.UpdateRepo(w.t.Context(), access.CLI(w.org.ID), w.repo.ID, in); err != nil {
		w.t.Fatal(err)
	}
}

func oids(texts ...string) (out []gitcmd.OID) {
	for _, text := range texts {
		out = append(out, gitcmd.OID(text))
	}
	return out
}
