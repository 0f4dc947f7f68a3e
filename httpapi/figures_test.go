package httpapi_test

import (
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
		"by=path": "by", "series=year": "series"} {
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
