package store_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// Verdicts mark the receipts that are there, and receipts the verdicts; what is
// taken back is marked no more.
func TestWhatPoliciesSaidFollowsVerdictsAndReceipts(t *testing.T) {
	t.Parallel()
	db, ctx := storetest.Open(t), t.Context()
	org := storetest.MustOrg(t, db, "acme")
	storetest.Fill(t, db.Pool(), org.ID, 60)
	repo, err := db.Repo(ctx, org.ID, "repo-1")
	if err != nil {
		t.Fatal(err)
	}
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := db.Pool().Exec(ctx, sql, args...); err != nil {
			t.Fatalf("%v: %s", err, sql)
		}
	}
	of := func(id string, want ...store.ReceiptResult) {
		t.Helper()
		got, err := db.ResultsOf(ctx, org.ID, id)
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %v, %v, want %v", id, got, err, want)
		}
		report, err := db.CheckNumbers(ctx, org.ID, 5, nil)
		if err != nil || slices.ContainsFunc(report.Differences, func(d store.NumberDifference) bool { return d.Table == "receipt_results" }) {
			t.Errorf("%+v, %v", report.Differences, err)
		}
	}
	commit, later := strings.Repeat("a", 40), strings.Repeat("b", 40)
	exec(`UPDATE receipt_commits SET commit = $1 WHERE receipt_id IN ('r-1', 'r-2')`, commit)
	finding := push.Finding{PolicyID: "6f0ea27c-77f5-4a0d-92b5-6a4c02f0c0b4", Version: 1, Outcome: push.Refuse, Commit: commit, Receipt: "r-1"}
	of("r-1")
	storetest.MustDecision(t, db, org, storetest.Decision{At: time.Now(), Repo: repo, Pusher: "ada@example.com",
		Verdict: push.Verdict{Outcome: push.Refuse, Findings: []push.Finding{finding}}})
	of("r-1", store.ResultRefused)
	of("r-2")

	// A verdict on a commit whose receipts come behind it, which names none.
	warned := push.Finding{PolicyID: finding.PolicyID, Version: 1, Outcome: push.Warn, Commit: later}
	storetest.MustDecision(t, db, org, storetest.Decision{At: time.Now(), Repo: repo, Pusher: "ada@example.com",
		Verdict: push.Verdict{Outcome: push.Warn, Findings: []push.Finding{warned}}})
	exec(`INSERT INTO receipt_commits SELECT (jsonb_populate_record(c, jsonb_build_object('commit', $1::text))).* FROM receipt_commits c
		WHERE receipt_id = 'r-2' LIMIT 1`, later)
	of("r-2", store.ResultWarned)

	exec(`INSERT INTO holds (org_id, id, decision_id, repo_id, ref, pusher, commits)
		SELECT org_id, id, id, repo_id, 'refs/heads/main', pusher, $1::text[] FROM decisions LIMIT 1`, []string{later})
	of("r-2", store.ResultHeld, store.ResultWarned)
	exec(`UPDATE holds SET released_at = now()`)
	of("r-2", store.ResultWarned)

	exec(`UPDATE receipts SET timestamp = timestamp + interval '1 day' WHERE id = 'r-1'`)
	page, err := db.Receipts(ctx, org.ID, store.ReceiptFilter{Result: store.ResultRefused}, store.Newest, nil, 10)
	if err != nil || len(page) != 1 || page[0].ID != "r-1" {
		t.Errorf("%v, %v", page, err)
	}
	// A repository that carries it besides, and another cost.
	exec(`INSERT INTO receipt_commits SELECT (jsonb_populate_record(c, jsonb_build_object('repo_id', $1::text, 'commit', 'c'))).*
		FROM receipt_commits c WHERE receipt_id = 'r-1' LIMIT 1`, repoID(49))
	exec(`UPDATE receipts SET cost_usd = 77 WHERE id = 'r-1'`)
	of("r-1", store.ResultRefused)
	page, err = db.Receipts(ctx, org.ID, store.ReceiptFilter{Result: store.ResultRefused, Repos: []uuid.UUID{repoID(49)}}, store.Costliest, nil, 10)
	if err != nil || len(page) != 1 || page[0].ID != "r-1" {
		t.Errorf("%v, %v", page, err)
	}
	exec(`DELETE FROM violations WHERE outcome = 'refuse'`)
	of("r-1")
	exec(`DELETE FROM receipt_commits WHERE commit = $1`, later)
	of("r-2")

	// What came at the moment of a verdict, past its trigger.
	exec(`ALTER TABLE receipt_commits DISABLE TRIGGER USER`)
	exec(`UPDATE receipt_commits SET commit = $1 WHERE receipt_id = 'r-3'`, later)
	exec(`ALTER TABLE receipt_commits ENABLE TRIGGER USER`)
	if err := db.MarkResults(ctx, time.Now()); err != nil {
		t.Fatal(err)
	}
	of("r-3", store.ResultWarned)
}
