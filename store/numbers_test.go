package store_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// summed is an organisation with a row in every table of sums: a commit of ten
// lines of which six are of a receipt, two of a trailer and one human, and which
// has nine alive; a removed line; two prompts; and a push.
func summed(t *testing.T) *fixture {
	f := newFixture(t)
	f.take("", "t1", true, store.Batch{Versions: []store.Version{step(1, "c1", "b1")}, Tip: tip("c1", "b1"),
		Bodies: []store.Body{body("c1", "b1", receipt("r1", 1, "0.30"), receipt("r2", 1, "0.45"), receipt("r3", 2, "0.05"))}})
	org, repo := f.src.Org.ID, f.src.Repo.ID
	for _, sql := range []string{
		`INSERT INTO added_files (org_id, repo_id, commit, path, old_path, blob, excluded, added, ai, human, unknown, trailer) VALUES
			($1, $2, 'c1', 'src/a.go', '', 'b', '', 10, 8, 1, 1, 2), ($1, $2, 'c1', 'go.sum', '', 'b', 'lockfile', 5, 0, 0, 0, 0)`,
		`INSERT INTO commit_lines (org_id, repo_id, commit, on_default, merge, committed_at, day, author_email, added, ai, human, unknown,
			trailer, excluded, deleted, noted, agent, bot, state, digest)
		VALUES ($1, $2, 'c1', true, false, '2026-03-01T10:00:00Z', '2026-03-01', 'dev@example.com', 10, 8, 1, 1, 2, 5, 0, true, '', false, 'classified', '')`,
		`INSERT INTO added_runs (org_id, repo_id, commit, path, first, last, class, source, confidence, receipt_id, author) VALUES
			($1, $2, 'c1', 'src/a.go', 1, 6, 'ai', 'blameprompt', 'exact', 'r1', ''), ($1, $2, 'c1', 'src/a.go', 7, 8, 'ai', 'trailer', 'trailer', '', 'copilot'),
			($1, $2, 'c1', 'src/a.go', 9, 9, 'human', 'git-ai', 'attested', '', 'Dev')`,
		`INSERT INTO commit_owners (org_id, repo_id, commit, provider, model, on_default, day, author_email, ai, trailer) VALUES
			($1, $2, 'c1', 'claude', 'claude-opus-4-6', true, '2026-03-01', 'dev@example.com', 6, 0), ($1, $2, 'c1', 'copilot', '', true, '2026-03-01', 'dev@example.com', 2, 2)`,
		`INSERT INTO live_commits VALUES ($1, $2, 'c1', 'dev@example.com', '2026-03-01T10:00:00Z', '2026-03-01', now())`,
		`INSERT INTO live_runs (org_id, repo_id, path, first, last, commit_id, origin_path, origin_line, class, source, confidence, receipt_id, author) VALUES
			($1, $2, 'src/a.go', 1, 5, 'c1', 'src/a.go', 1, 'ai', 'blameprompt', 'exact', 'r1', ''), ($1, $2, 'src/a.go', 6, 9, 'c1', 'src/a.go', 7, 'unknown', '', '', '', '')`,
		`INSERT INTO live_files (org_id, repo_id, path, directory, blob, kind, reason, generation, lines, ai, human, unknown)
		VALUES ($1, $2, 'src/a.go', 'src/', 'b', 'text', '', 1, 9, 5, 0, 4)`,
		`INSERT INTO removed_runs (org_id, repo_id, commit_id, origin_path, first, last, ended_at, ended_tip, class, source, confidence, receipt_id, author)
		VALUES ($1, $2, 'c1', 'src/a.go', 6, 6, '2026-03-09T10:00:00Z', 'c2', 'ai', 'blameprompt', 'exact', 'r1', '')`,
		`INSERT INTO pushed_commits (org_id, repo_id, commit, decision_id, patch_id, author_email, added, ai, human, noted, day)
		VALUES ($1, $2, 'c1', gen_random_uuid(), '', 'dev@example.com', 10, 8, 1, true, '2026-03-02')`,
		`INSERT INTO pushed_prompts (org_id, prompt_id, decision_id, repo_id, user_email, day, cost_usd)
		VALUES ($1, gen_random_uuid(), gen_random_uuid(), $2, 'dev@example.com', '2026-03-02', 0.75)`,
	} {
		exec(t, f.db, sql, org, repo)
	}
	exec(t, f.db, `DELETE FROM line_demands`)
	if _, err := store.SumPushedPrompts(t.Context(), f.db, 0, 100); err != nil {
		t.Fatal(err)
	}
	return f
}

// differences are those of a check as text, one line each.
func (f *fixture) differences() []string {
	f.t.Helper()
	report, err := f.db.CheckNumbers(f.t.Context(), f.src.Org.ID, 100, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	var out []string
	for _, d := range report.Differences {
		day := ""
		if d.Day != nil {
			day = d.Day.Format("2006-01-02")
		}
		out = append(out, strings.Join(strings.Fields(fmt.Sprint(d.Table, " ", d.Dimension, " ", d.Repo, " ", d.Key, " ", day, " ", d.Figure, ": ", d.Stored, " for ", d.Recomputed)), " "))
	}
	if report.Found != int64(len(out)) {
		f.t.Errorf("%d found, %d listed", report.Found, len(out))
	}
	return out
}

// TestSpoiledNumbersAreNamed changes one row of each table of sums behind its
// triggers' back.
func TestSpoiledNumbersAreNamed(t *testing.T) {
	t.Parallel()
	f := summed(t)
	if got := f.differences(); len(got) > 0 {
		t.Fatalf("before anything was spoiled:\n%s", strings.Join(got, "\n"))
	}
	for _, c := range []struct{ table, sql, want string }{
		{"rollups", `UPDATE rollups SET prompts = prompts + 1 WHERE dimension = 'model' AND repo_id <> $1`,
			"rollups model backend claude-opus-4-6 2026-03-01 prompts: 3 for 2"},
		{"rollups", `DELETE FROM rollups WHERE dimension = 'all' AND repo_id = $1`, "rollups all 2026-03-01 cost_usd: 0 for 0.5"},
		{"rollups", `INSERT INTO rollups (org_id, dimension, repo_id, key, key2, day, receipts) SELECT org_id, 'user', $1, 'ghost', '', '2026-03-03', 7 FROM repos`,
			"rollups user ghost 2026-03-03 receipts: 7 for 0"},
		{"rollup_months", `UPDATE rollup_months SET input_tokens = 0 WHERE dimension = 'source' AND repo_id = $1`,
			"rollup_months source blameprompt 2026-03-01 input_tokens: 0 for 200"},
		{"prompts", `UPDATE prompts SET cost_usd = 0.3 WHERE cost_usd = 0.45 AND $1 IS NOT NULL`, "cost_usd: 0.3 for 0.45"},
		{"prompts", `DELETE FROM prompts WHERE cost_usd = 0.05 AND $1 IS NOT NULL`, "receipt_id: - for r3"},
		{"prompt_sessions", `UPDATE prompt_sessions SET prompts = 9 WHERE $1 IS NOT NULL`, "prompt_sessions claude s1 prompts: 9 for 2"},
		{"added_files", `UPDATE added_files SET ai = 7, unknown = 2 WHERE excluded = '' AND $1 IS NOT NULL`, "added_files backend c1 src/a.go ai: 7 for 8"},
		{"commit_lines", `UPDATE commit_lines SET ai = 9, unknown = 0 WHERE $1 IS NOT NULL`, "commit_lines backend c1 ai: 9 for 8"},
		{"commit_owners", `UPDATE commit_owners SET model = 'gpt' WHERE provider = 'claude' AND $1 IS NOT NULL`, "commit_owners backend c1 claude gpt ai: 6 for 0"},
		{"line_rollups", `UPDATE line_rollups SET unknown = 3 WHERE dimension = 'user' AND repo_id <> $1`,
			"line_rollups user backend dev@example.com 2026-03-01 unknown: 3 for 1"},
		{"line_rollup_months", `UPDATE line_rollup_months SET commits_noted = 0 WHERE dimension = 'all' AND repo_id = $1`,
			"line_rollup_months all 2026-03-01 commits_noted: 0 for 1"},
		{"path_rollups", `UPDATE path_rollups SET ai = 3 WHERE path = 'src/' AND $1 IS NOT NULL`, "path_rollups backend src/ 2026-03-01 ai: 3 for 8"},
		{"path_rollup_months", `DELETE FROM path_rollup_months WHERE path = '' AND $1 IS NOT NULL`, "path_rollup_months backend 2026-03-01 excluded: 0 for 5"},
		{"prompt_rollups", `UPDATE prompt_rollups SET prompts = 7 WHERE dimension = 'hour' AND repo_id = $1`, "prompt_rollups hour 12 2026-03-01 prompts: 7 for"},
		{"prompt_rollup_months", `UPDATE prompt_rollup_months SET scored = 1 WHERE dimension = 'all' AND repo_id = $1`,
			"prompt_rollup_months all 2026-03-01 scored: 1 for 0"},
		{"live_files", `UPDATE live_files SET ai = 4, unknown = 5 WHERE $1 IS NOT NULL`, "live_files backend src/a.go ai: 4 for 5"},
		{"live_directories", `UPDATE live_directories SET files = 2 WHERE path = 'src/' AND $1 IS NOT NULL`, "live_directories backend src/ files: 2 for 1"},
		{"live_receipts", `UPDATE live_receipts SET model = '' WHERE $1 IS NOT NULL`, "live_receipts backend r1 model: for claude-opus-4-6"},
		{"live_sums", `UPDATE live_sums SET ai = 50 WHERE dimension = 'month' AND repo_id = $1`, "live_sums month 2026-03 ai: 50 for 5"},
		{"live_cohorts", `UPDATE live_cohorts SET removed14 = 0 WHERE dimension = 'all' AND class = 'ai' AND repo_id = $1`,
			"live_cohorts all ai true 2026-02-23 removed14: 0 for 1"},
		{"pushed_days", `UPDATE pushed_days SET added = 11 WHERE $1 IS NOT NULL`, "pushed_days backend 2026-03-02 added: 11 for 10"},
		{"pushed_spend", `UPDATE pushed_spend SET cost_usd = 1 WHERE dimension = 'user' AND monthly AND repo_id = $1`,
			"pushed_spend user dev@example.com true 2026-03-01 cost_usd: 1 for 0.75"},
	} {
		exec(t, f.db, `ALTER TABLE `+c.table+` DISABLE TRIGGER USER`)
		exec(t, f.db, `CREATE TABLE kept AS SELECT * FROM `+c.table)
		exec(t, f.db, strings.ReplaceAll(c.sql, "$1", "'00000000-0000-0000-0000-000000000000'::uuid"))
		if got := strings.Join(f.differences(), "\n"); !strings.Contains(got, c.want) || !strings.Contains(got, c.table) {
			t.Errorf("after %s:\n%s\nwant %s", c.sql, got, c.want)
		}
		exec(t, f.db, `DELETE FROM `+c.table)
		exec(t, f.db, `INSERT INTO `+c.table+` SELECT * FROM kept`)
		exec(t, f.db, `DROP TABLE kept`)
		exec(t, f.db, `ALTER TABLE `+c.table+` ENABLE TRIGGER USER`)
	}
	if diff := cmp.Diff([]string(nil), f.differences()); diff != "" {
		t.Errorf("after all was mended:\n%s", diff)
	}
}

// TestNumbersOfManyReceipts holds the sums that the test kit makes by itself.
func TestNumbersOfManyReceipts(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	storetest.Fill(t, db.Pool(), org.ID, 20_000)
	report, err := db.CheckNumbers(t.Context(), org.ID, 10, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range report.Differences {
		if strings.Contains(d.Table, "rollup") {
			t.Errorf("%+v", d)
		}
	}
}
