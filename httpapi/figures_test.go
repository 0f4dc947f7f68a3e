package httpapi_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

type figures struct {
	Receipts, Prompts, Commits int
	CommitsNoted               int     `json:"commits_noted"`
	CostUSD                    float64 `json:"cost_usd"`
	Lines                      struct{ Added, AI, Human, Unknown int }
	AIShare                    *float64 `json:"ai_share"`
	Coverage                   *float64
	PerAdded                   *float64 `json:"cost_per_added_ai_line"`
	Rows                       struct {
		Receipts, Commits *string
		CommitsNoted      *string `json:"commits_noted"`
		AI                *string
	}
}

type analytics struct {
	Percentage *float64 `json:"ai_code_percentage"`
	Figures    figures
	Live       struct{ AI int }
	PerLive    *float64 `json:"cost_per_live_ai_line"`
	LiveRows   string   `json:"live_rows"`
	ReworkRows string   `json:"rework_rows"`
	Rework     []struct{ Days int }
	Series     []struct {
		From, To string
		Figures  figures
	}
	Groups []struct {
		Key     string
		Figures figures
		Live    *struct{ AI int }
	}
	Previous *struct {
		From, To string
		Figures  figures
	}
}

// counted is a world with receipts and the lines of the commits that they stand on.
func counted(t *testing.T) *world {
	w := newWorld(t)
	w.seed()
	w.makeTeam("platform", "ann@example.com")
	w.exec(`INSERT INTO commit_lines (org_id, repo_id, commit, on_default, merge, committed_at, day, author_email, added, ai, human, unknown,
			trailer, excluded, deleted, noted, agent, bot, state, digest)
		SELECT $1, (SELECT id FROM repos WHERE name = v.repo), v.commit, true, false, v.day + time '12:00', v.day, v.who, v.added, v.ai, 0, v.added - v.ai,
		       0, 0, 0, v.ai > 0, '', false, 'classified', ''
		FROM (VALUES ('backend', 'c1', date '2026-03-01', 'ann@example.com', 10, 4), ('backend', 'c2', '2026-03-03', 'bob@example.com', 20, 0),
		             ('web/app', 'c3', '2026-03-05', 'bob@example.com', 10, 6), ('web/app', 'c4', '2026-02-20', 'ann@example.com', 8, 2)) v (repo, commit, day, who, added, ai)`, w.org.ID)
	w.exec(`INSERT INTO commits (org_id, repo_id, commit, parents, author_name, author_email, authored_at, committer_name, committer_email, committed_at, subject, bot)
		SELECT org_id, repo_id, commit, '{}', '', author_email, committed_at, '', '', committed_at, '', false FROM commit_lines`)
	return w
}

// TestEveryFigureOfAnalyticsIsTheNumberOfItsRows follows the links to lists, of
// totals, periods, parts and the period before.
func TestEveryFigureOfAnalyticsIsTheNumberOfItsRows(t *testing.T) {
	t.Parallel()
	w := counted(t)
	for _, query := range []string{"series=day&by=repo", "series=week&by=user&from=2026-03-02&to=2026-03-05&compare=previous", "series=month&by=team",
		"by=model", "by=tool", "by=user&team=platform&series=day", "by=repo&user=bob%40example.com&from=2026-03-01T12%3A00%3A00Z"} {
		var a analytics
		w.get(w.read, "/api/v1/analytics?"+query).want(200).into(&a)
		all := map[string]figures{"total": a.Figures}
		for _, p := range a.Series {
			all[p.From] = p.Figures
		}
		for _, g := range a.Groups {
			all["of "+g.Key] = g.Figures
		}
		if a.Previous != nil {
			all["before"] = a.Previous.Figures
		}
		for name, f := range all {
			for _, c := range []struct {
				count int
				rows  *string
			}{{f.Receipts, f.Rows.Receipts}, {f.Commits, f.Rows.Commits}, {f.CommitsNoted, f.Rows.CommitsNoted}} {
				if c.rows == nil {
					continue
				}
				link := *c.rows
				if !strings.Contains(link, "?") {
					link += "?"
				}
				if got := w.rowsOf(link); got != c.count {
					t.Errorf("%s, %s: %d, and %d rows at %s", query, name, c.count, got, *c.rows)
				}
			}
		}
		for _, link := range []string{a.LiveRows, a.ReworkRows} {
			w.get(w.read, link).want(200)
		}
	}
}

func TestAnalyticsShowLinesBesideCost(t *testing.T) {
	t.Parallel()
	w := counted(t)
	var a analytics
	w.get(w.read, "/api/v1/analytics?from=2026-03-01&to=2026-03-31&compare=previous&series=month&by=repo").want(200).into(&a)
	f := a.Figures
	if *a.Percentage != 25 || *f.AIShare != 0.25 || f.Lines.Unknown != 30 || *f.Coverage != 0.666667 || *f.PerAdded != 0.211234568 {
		t.Errorf("%v %+v, %v per line", *a.Percentage, f, *f.PerAdded)
	}
	if p := a.Previous; p.From != "2026-02-01" || p.To != "2026-02-28" || *p.Figures.AIShare != 0.25 || p.Figures.Lines.Added != 8 {
		t.Errorf("before: %+v", p)
	}
	if len(a.Series) != 1 || a.Series[0].From != "2026-03-01" || a.Series[0].Figures.Lines.AI != 10 || len(a.Rework) != 3 || a.PerLive != nil {
		t.Errorf("%+v", a)
	}
	var groups []string
	for _, g := range a.Groups {
		groups = append(groups, g.Key)
	}
	if diff := cmp.Diff([]string{"web/app", "backend"}, groups); diff != "" {
		t.Error(diff)
	}
	for query, field := range map[string]string{"compare=previous": "compare", "by=tool&team=platform": "by", "by=team&team=platform": "by",
		"by=path": "repo", "by=hour&team=platform": "by", "by=category&user=bob%40example.com": "by", "by=path&repo=backend&user=bob%40example.com": "by", "by=repo&path=src%2F": "path", "by=path&repo=backend&path=src": "path",
		"by=day": "by", "series=year": "series"} {
		if got := w.get(w.read, "/api/v1/analytics?"+query).want(400); !strings.Contains(string(got.body), field) {
			t.Errorf("%s: %s", query, got.body)
		}
	}
	var none analytics
	w.get(w.read, "/api/v1/analytics?"+url.Values{"from": {"2031-01-01"}}.Encode()).want(200).into(&none)
	if none.Percentage != nil || none.Figures.PerAdded != nil || len(none.Series) != 0 {
		t.Errorf("of nothing: %+v", none)
	}
}

// TestAnalyticsOfPromptsAndPaths asks for scores and hours, by what tools call
// prompts, by the hour and by folder, and follows the links of folders.
func TestAnalyticsOfPromptsAndPaths(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.makeTeam("platform", "ann@example.com")
	w.exec(`UPDATE orgs SET time_zone = 'Asia/Kolkata'`)
	w.exec(`INSERT INTO repos (id, org_id, name) VALUES ($1, $1, 'code')`, w.org.ID)
	w.exec(`INSERT INTO prompts (org_id, prompt_id, provider, session_id, receipts, receipt_id, repo_id, model, user_email, source, timestamp, day,
			current, cost_usd, score, category, seconds)
		SELECT $1, md5(v.who || v.at)::uuid, 'claude', 's', 1, v.at::text, $1, 'opus', v.who, 'blameprompt', v.at, v.at::date, true, 0.5, v.score, v.category, v.seconds
		FROM (VALUES ('Ann@example.com', timestamptz '2026-03-01 10:40Z', 95, 'refactor', 1800), ('ann@example.com', '2026-03-01 10:20Z', 40, 'question', 900),
		             ('bob@example.com', '2026-03-02 02:00Z', 70, 'refactor', NULL), ('bob@example.com', '2026-03-02 02:05Z', NULL, '', NULL))
			v (who, at, score, category, seconds)`, w.org.ID)
	w.exec(`INSERT INTO added_files (org_id, repo_id, commit, path, old_path, blob, excluded, added, ai, human, unknown, trailer)
		VALUES ($1, $1, 'c1', 'src/a.go', '', 'b', '', 10, 4, 0, 6, 0), ($1, $1, 'c1', 'b.go', '', 'b', '', 3, 0, 0, 3, 0)`, w.org.ID)
	w.exec(`INSERT INTO commits (org_id, repo_id, commit, parents, author_name, author_email, authored_at, committer_name, committer_email, committed_at, subject, bot)
		VALUES ($1, $1, 'c1', '{}', '', 'ann@example.com', '2026-03-01', '', '', '2026-03-01', '', false)`, w.org.ID)
	w.exec(`INSERT INTO commit_lines (org_id, repo_id, commit, on_default, merge, committed_at, day, author_email, added, ai, human, unknown,
			trailer, excluded, deleted, noted, agent, bot, state, digest)
		VALUES ($1, $1, 'c1', true, false, '2026-03-01', '2026-03-01', 'ann@example.com', 13, 4, 0, 9, 0, 0, 0, true, '', false, 'classified', '')`, w.org.ID)
	for query, want := range map[string]string{
		"":                  "total 3 68.333333 1 1 0 1, 2 0.75",
		"from=2026-03-02":   "total 1 70 0 1 0 0, 0 0",
		"by=user":           "total 3 68.333333 1 1 0 1, 2 0.75|ann@example.com 2 67.5 1 0 0 1, 2 0.75|bob@example.com 1 70 0 1 0 0, 0 0",
		"by=category":       "total 3 68.333333 1 1 0 1, 2 0.75|refactor: 2 prompts for 1, 2 82.5|question: 1 prompts for 0.5, 1 40",
		"by=hour":           "total 3 68.333333 1 1 0 1, 2 0.75|07: 2 prompts for 1, 1 70|15: 1 prompts for 0.5, 1 40|16: 1 prompts for 0.5, 1 95",
		"by=path&repo=code": `total 3 68.333333 1 1 0 1, 2 0.75|"src/" 10 4, 1 rows|"" 3 0`,
		"by=path&repo=code&path=src%2F&from=2026-03-01&to=2026-03-31": `total 3 68.333333 1 1 0 1, 2 0.75|"src/" 10 4`,
		"by=path&repo=code&to=2026-02-28":                             "total 0 null 0 0 0 0, 0 0",
	} {
		if got := strings.Join(w.facets(query), "|"); got != want {
			t.Errorf("%s:\n%s, not\n%s", query, got, want)
		}
	}
}

// facets shows what an answer has of prompts and folders, a line each.
func (w *world) facets(query string) []string {
	type facet struct {
		Quality struct {
			Scored, Excellent, Good, Fair, Poor int
			Average                             *float64
		}
		Time struct {
			Timed int
			Hours float64
		}
	}
	var a struct {
		Figures facet
		Groups  []struct {
			Key     string
			Figures facet
		}
		Kinds []struct {
			facet
			Key     string
			Prompts int
			CostUSD float64 `json:"cost_usd"`
		}
		Folders []struct {
			Path  string
			Own   bool
			Lines struct{ Added, AI int }
			Rows  struct{ Commits, Folders, Live *string }
		}
	}
	w.get(w.read, "/api/v1/analytics?"+query).want(200).into(&a)
	average := func(f facet) string {
		if f.Quality.Average == nil {
			return "null"
		}
		return fmt.Sprint(*f.Quality.Average)
	}
	of := func(name string, f facet) string {
		q := f.Quality
		return fmt.Sprintf("%s %d %s %d %d %d %d, %d %v", name, q.Scored, average(f), q.Excellent, q.Good, q.Fair, q.Poor, f.Time.Timed, f.Time.Hours)
	}
	out := []string{of("total", a.Figures)}
	for _, g := range a.Groups {
		out = append(out, of(g.Key, g.Figures))
	}
	for _, k := range a.Kinds {
		out = append(out, fmt.Sprintf("%s: %d prompts for %v, %d %s", k.Key, k.Prompts, k.CostUSD, k.Quality.Scored, average(k.facet)))
	}
	for _, f := range a.Folders {
		line := fmt.Sprintf("%q %d %d", f.Path, f.Lines.Added, f.Lines.AI)
		if !f.Own {
			line += fmt.Sprintf(", %d rows", w.rowsOf(*f.Rows.Commits))
			w.get(w.read, *f.Rows.Folders).want(200)
			if f.Rows.Live != nil {
				w.get(w.read, *f.Rows.Live).want(200)
			}
		}
		out = append(out, line)
	}
	return out
}

// TestBranchesAreAskedFor asks for a branch, looks at it, lists its commits and
// drops it.
func TestBranchesAreAskedFor(t *testing.T) {
	t.Parallel()
	w := counted(t)
	w.exec(`UPDATE repos SET default_branch = 'refs/heads/main'`)
	w.exec(`INSERT INTO branch_refs (org_id, repo_id, ref, tip) SELECT org_id, id, b, 'c' || length(b) FROM repos, unnest(ARRAY['refs/heads/main', 'refs/heads/next']) b`)
	type branch struct {
		Ref, State, Rows string
		Commits, Open    int
		Lines            struct{ Added, AI int }
	}
	var one branch
	w.post(w.write, "/api/v1/repos/backend/branches", map[string]any{"ref": "refs/heads/next"}).want(202).into(&one)
	w.post(w.write, "/api/v1/repos/backend/branches", map[string]any{"ref": "refs/heads/next"}).want(202)
	if one.Ref != "refs/heads/next" || one.State != "waiting" {
		t.Errorf("%+v", one)
	}
	for ref, problem := range map[string]string{"refs/heads/main": "default branch", "refs/heads/none": "no branch", "refs/tags/v1": "ref", "refs/heads/": "ref"} {
		if got := w.post(w.write, "/api/v1/repos/backend/branches", map[string]any{"ref": ref}); got.status != 400 && got.status != 422 || !strings.Contains(string(got.body), problem) {
			t.Errorf("%s: %d %s", ref, got.status, got.body)
		}
	}
	w.post(w.read, "/api/v1/repos/backend/branches", map[string]any{"ref": "refs/heads/next"}).want(403)
	w.exec(`UPDATE line_branches SET tip = 'c15', base = 'c15', planned_at = now()`)
	w.exec(`INSERT INTO branch_commits SELECT org_id, id, 'refs/heads/next', 'c1' FROM repos WHERE name = 'backend'`)
	var all struct{ Items []branch }
	w.get(w.read, "/api/v1/repos/backend/branches").want(200).into(&all)
	if len(all.Items) != 1 || all.Items[0].State != "done" || all.Items[0].Commits != 1 || all.Items[0].Lines.AI != 4 || w.rowsOf(all.Items[0].Rows) != 1 {
		t.Errorf("%+v", all.Items)
	}
	for query, problem := range map[string]string{"ref=refs/heads/next": "one repository", "repo=backend&ref=refs/heads/main": "not classified"} {
		if got := w.get(w.read, "/api/v1/commits?"+query).want(400); !strings.Contains(string(got.body), problem) {
			t.Errorf("%s: %s", query, got.body)
		}
	}
	w.do(call{method: "DELETE", key: w.write, path: "/api/v1/repos/backend/branches?ref=refs/heads/next"}).want(204)
	w.do(call{method: "DELETE", key: w.write, path: "/api/v1/repos/backend/branches?ref=refs/heads/next"}).want(404)
}
