package ui

import (
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/notes/ingest"
	"github.com/blameprompt/enterprise/notes/lines/added"
	"github.com/blameprompt/enterprise/notes/lines/upkeep"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// fetchedRepo is a repository that was fetched, ingested and classified as the
// daemon does it: its second commit adds lines 2 to 4 of main.go, of which a
// receipt claims 2 and 3, and a branch has a commit of its own.
type fetchedRepo struct {
	store.Repo
	commit, side gitcmd.OID
}

func (w *world) fetchRepo() fetchedRepo {
	w.t.Helper()
	ctx, dir := w.t.Context(), w.t.TempDir()
	f := gittest.New(w.t, gittest.In(filepath.Join(dir, "web.git")))
	f.Commit(gittest.Commit{Files: map[string]string{"main.go": "package main\n", "lib/a.go": "package lib\n\nvar A = 1\n"}, Message: "begin"})
	out := fetchedRepo{}
	out.commit = f.Commit(gittest.Commit{Files: map[string]string{"main.go": "package main\n// <b>one</b>\n// two\n// three\n"}, Message: "more"})
	out.side = f.Commit(gittest.Commit{Ref: "refs/heads/side", Parents: []gitcmd.OID{out.commit},
		Files: map[string]string{"side.go": "package main // beside\n"}, Message: "beside"})
	blob := f.Git("rev-parse", string(out.commit)+":main.go")
	note := fmt.Sprintf(`{"blameprompt_version": "1.0.1", "receipts": [{"id": "r-real", "provider": "claude", "model": "claude-opus-4-6",
		"session_id": "s", "prompt_summary": "write two lines", "prompt_hash": "sha256:00", "cost_usd": 0.25, "prompt_number": 1,
		"timestamp": "2026-01-02T03:01:00Z", "user": "Ada <ada@example.com>", "file_path": "main.go", "line_range": [2, 3],
		"files_changed": [{"path": "main.go", "line_range": [2, 3], "additions": 2, "blob_hash": %q}]}]}`, blob)
	f.Commit(gittest.Commit{Ref: "refs/notes/blameprompt", Root: true, Files: map[string]string{gittest.NotePath(out.commit, 1): note}})
	out.Repo = storetest.MustRepo(w.t, w.db, w.org, "web", f.Dir)
	ing := ingest.New(ingest.Config{DB: w.db, MirrorRoot: w.mirrors, Rules: mirror.Rules{FileRoots: []string{dir}}})
	if _, err := ing.Sync(ctx, w.org.ID, out.Repo.ID, nil); err != nil {
		w.t.Fatal(err)
	}
	if err := added.New(added.Config{DB: w.db, MirrorRoot: w.mirrors}).Work(ctx); err != nil {
		w.t.Fatal(err)
	}
	if err := upkeep.New(upkeep.Config{DB: w.db, MirrorRoot: w.mirrors}).Work(ctx); err != nil {
		w.t.Fatal(err)
	}
	return out
}

// A commit shows its change with the class of each line and the receipt where
// its lines begin; a file at the tip does so for every line that is alive.
func TestWhoseEachLineIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	repo := w.fetchRepo()
	b := w.person(w.org, "ada@example.com", access.RoleViewer)
	at := "/repositories/" + repo.ID.String()
	commit := b.get(at + "/commits/" + string(repo.commit)).want(http.StatusOK)
	for _, want := range []string{
		`<span class="is ai">      2 ai &#43;// &lt;b&gt;one&lt;/b&gt; <a href="/receipts/r-real">receipt</a>`,
		`<span class="is ai">      3 ai &#43;// two`,
		`<span class="is unknown">      4 ·· &#43;// three`,
	} {
		commit.says(want)
	}
	file := b.get(at + "/files?path=main.go").want(http.StatusOK)
	for line, class := range map[int]string{1: "unknown", 2: "ai", 3: "ai", 4: "unknown"} {
		file.says(fmt.Sprintf(`<tr class="%s"><td class="num">%d</td>`, class, line))
	}
	file.says(`<a href="/receipts/r-real"><bdi>claude-opus-4-6</bdi></a>`)
	b.get(at + "/files").want(http.StatusOK).says("lib/").says(`class="map"`)
	b.get(at).want(http.StatusOK).says("Live lines by folder").says("lib/").says("28.6 %")
	b.get("/receipts/r-real").want(http.StatusOK).says("/commits/" + string(repo.commit)).says("write two lines")
}

// A review shows the change of a held branch, which the mirror has, and says of
// a refused push that its content never came.
func TestAReviewShowsTheChange(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	repo := w.fetchRepo()
	b := w.person(w.org, "ada@example.com", access.RoleMember)
	doc := `{"name": "review", "rule": {"require_review_above": 0}, "action": "block"}`
	policy, faults := parsePolicy([]byte(doc))
	if faults != nil {
		t.Fatal(faults)
	}
	row, err := w.db.CreatePolicy(t.Context(), access.CLI(w.org.ID), policy)
	if err != nil {
		t.Fatal(err)
	}
	decide := func(commit string, outcome push.Outcome, state store.DecisionState, holds ...string) {
		finding := push.Finding{PolicyID: row.ID.String(), PolicyName: "review", Version: 1, Rule: "require_review_above", Problem: push.Violated,
			Outcome: push.Refuse, Commit: commit, Message: "A review is wanted.", Next: "Ask for one."}
		storetest.MustDecision(t, w.db, w.org, storetest.Decision{At: time.Now(), Repo: repo.Repo, Pusher: "bob@example.com", State: state, Holds: holds,
			Verdict: push.Verdict{Outcome: outcome, Findings: []push.Finding{finding}},
			Input:   push.Input{Commits: []push.Commit{{OID: commit, Author: push.Person{Name: "Bob"}, Files: []push.File{{Path: "side.go", Added: 1}}}}}})
	}
	refused := strings.Repeat("7", 40)
	decide(string(repo.side), push.Pending, store.StateHeld, "refs/heads/side")
	decide(refused, push.Refuse, store.StateFinal)
	if _, err := w.db.Pool().Exec(t.Context(), `UPDATE holds SET commits = $1`, []string{string(repo.side)}); err != nil {
		t.Fatal(err)
	}
	for commit, want := range map[string][]string{
		string(repo.side): {"branch held", "&#43;package main // beside", "side.go"},
		refused:           {"push refused", "its content never came here", "side.go"},
	} {
		id := w.column(`SELECT id::text FROM violations WHERE commit = '` + commit + `'`)
		b.get("/enforcement/reviews").want(http.StatusOK).says("/enforcement/reviews/" + id)
		got := b.get("/enforcement/reviews/" + id).want(http.StatusOK)
		for _, text := range want {
			got.says(text)
		}
	}
	decision := w.column(`SELECT decision_id::text FROM violations WHERE commit = '` + refused + `'`)
	b.post("/enforcement/reviews", "decision", decision, "commit", refused, "verdict", "approve").leads("/enforcement/reviews?done=approved")
	id := w.column(`SELECT id::text FROM violations WHERE commit = '` + refused + `'`)
	b.get("/enforcement/reviews/" + id).want(http.StatusNotFound).says("waits for no review any more")
}

// Receipts are listed by what policies said of them, and taken away so.
func TestReceiptsByWhatPoliciesSaid(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	repo := w.fetchRepo()
	b := w.person(w.org, "ada@example.com", access.RoleViewer)
	b.get("/receipts?policy_result=refused").want(http.StatusOK).says("No receipt has all of that")
	finding := push.Finding{PolicyID: "6f0ea27c-77f5-4a0d-92b5-6a4c02f0c0b4", PolicyName: "models", Version: 1, Outcome: push.Refuse, Commit: string(repo.commit)}
	storetest.MustDecision(t, w.db, w.org, storetest.Decision{At: time.Now(), Repo: repo.Repo, Pusher: "bob@example.com",
		Verdict: push.Verdict{Outcome: push.Refuse, Findings: []push.Finding{finding}}})
	b.get("/receipts?policy_result=refused").want(http.StatusOK).says("write two lines").says("/receipts.csv?policy_result=refused")
	b.get("/receipts?policy_result=waived").want(http.StatusOK).says("No receipt has all of that")
	b.get("/receipts.csv?policy_result=refused").want(http.StatusOK).says("r-real")
	b.get("/receipts?policy_result=unheard").want(http.StatusBadRequest).says("must be one of refused, warned, waived, held")
	b.get("/receipts/r-real").want(http.StatusOK).says("refused").says("models")
}

// A team's budgets are the limits that policies set for it.
func TestBudgetsAreWhatPoliciesSay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	by := access.CLI(w.org.ID)
	team, err := w.db.CreateTeam(t.Context(), by, "payments")
	if err != nil {
		t.Fatal(err)
	}
	for _, doc := range []string{
		`{"name": "team month", "rule": {"max_cost_per_month": 100.5, "per": "team"}, "scope": {"teams": ["pay*"]}, "action": "block"}`,
		`{"name": "each day", "rule": {"max_cost_per_day": 5, "per": "user"}}`,
		`{"name": "others", "rule": {"max_cost_per_day": 7, "per": "team"}, "scope": {"teams": ["web"]}}`,
		`{"name": "off", "rule": {"max_cost_per_day": 8, "per": "team"}, "enabled": false}`,
		`{"name": "all of us", "rule": {"max_cost_per_day": 9}}`,
	} {
		policy, faults := parsePolicy([]byte(doc))
		if faults != nil {
			t.Fatal(faults)
		}
		if _, err := w.db.CreatePolicy(t.Context(), by, policy); err != nil {
			t.Fatal(err)
		}
	}
	got := w.person(w.org, "ada@example.com", access.RoleViewer).get("/teams/" + team.ID.String()).want(http.StatusOK)
	got.says("team month").says("$100.50").says("are refused").says("the team, this month").says("each day").says("each member, a day")
	for _, name := range []string{"others", "off", "all of us"} {
		if strings.Contains(got.body, name) {
			t.Errorf("the policy %q is no budget of the team", name)
		}
	}
}
