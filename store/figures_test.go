package store_test

import (
	stdcmp "cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// fillFigures makes receipts and 3,000 commits of the same people, repositories
// and time, of which some have two addresses.
func fillFigures(t *testing.T, db *store.DB, org uuid.UUID, receipts int) {
	t.Helper()
	storetest.Fill(t, db.Pool(), org, receipts)
	for _, sql := range []string{
		`INSERT INTO added_files (org_id, repo_id, commit, path, old_path, blob, excluded, added, ai, human, unknown, trailer)
		SELECT $1, md5('repo' || i % 7)::uuid, md5(i::text), convert_to('src/mod' || i % 20 || '/sub' || i % 3 || '/f.go', 'UTF8'), '', 'b', '', 12, i % 5, i % 3,
		       12 - i % 5 - i % 3, 0 FROM generate_series(1, 3000) i`,
		`INSERT INTO commit_lines (org_id, repo_id, commit, on_default, merge, committed_at, day, author_email, added, ai, human, unknown,
			trailer, excluded, deleted, noted, agent, bot, state, digest)
		SELECT $1, md5('repo' || i % 7)::uuid, md5(i::text), i % 11 <> 0, i % 13 = 0, d, d::date, 'dev' || i % 40 || '@example.com', 12, i % 5, i % 3,
		       12 - i % 5 - i % 3, 0, i % 2, 1, i % 4 <> 0, '', i % 17 = 0, 'classified', ''
		FROM generate_series(1, 3000) i, LATERAL (SELECT timestamptz '2026-06-30' - (i % 397) * interval '1 day' AS d) x`,
		`INSERT INTO commit_owners (org_id, repo_id, commit, provider, model, on_default, day, author_email, ai, trailer)
		SELECT org_id, repo_id, commit, 'claude', (ARRAY['claude-opus-4-6', 'gpt-5'])[1 + added % 5 % 2], on_default, day, author_email, ai, 0
		FROM commit_lines WHERE org_id = $1 AND ai > 0`,
		`INSERT INTO identities (org_id, email, person, source) VALUES ($1, 'dev3@example.com', 'dev4@example.com', 'rule')`,
	} {
		exec(t, db, sql, org)
	}
	exec(t, db, `ANALYZE`)
}

// TestFiguresEqualSumsOverTheRows compares figures of random periods,
// repositories and people with sums over receipts, prompts and commits.
func TestFiguresEqualSumsOverTheRows(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	fillFigures(t, db, org.ID, 10_000)
	first := mustDay(t, storetest.Column(t, db, `SELECT min(day)::text FROM receipts`)[0])
	repos := storetest.Column(t, db, `SELECT id::text FROM repos ORDER BY name`)
	people := storetest.Column(t, db, `SELECT DISTINCT lower(user_email) FROM receipts ORDER BY 1`)
	for seed := range uint64(25) {
		rng := rand.New(rand.NewPCG(seed, 11))
		ask := store.FiguresQuestion{AnalyticsFilter: randomFilter(rng, first, repos, people), Top: 1000,
			Series: []store.Grain{store.Daily, store.Weekly, store.Monthly}[rng.IntN(3)],
			By:     []store.FigureDimension{store.FiguresByRepo, store.FiguresByTeam, store.FiguresByUser, store.FiguresByModel, store.FiguresByProvider}[rng.IntN(5)]}
		if ask.By == store.FiguresByProvider {
			ask.Emails = nil
		}
		got, err := db.Figures(t.Context(), org.ID, ask)
		if err != nil {
			t.Fatal(err)
		}
		lines := []string{shownFigures("total", got.Total)}
		for _, p := range got.Series {
			lines = append(lines, shownFigures(p.Day.Format(time.DateOnly), p.Figures))
		}
		for _, p := range got.Parts {
			lines = append(lines, shownFigures("of "+p.Key, p.Figures))
		}
		sortStrings := cmpopts.SortSlices(func(a, b string) bool { return a < b })
		if diff := cmp.Diff(naiveFigures(t, db, ask), lines, sortStrings); diff != "" {
			t.Errorf("%+v (-rows +figures):\n%s", ask, diff)
		}
	}
}

func shownFigures(name string, f store.Figures) string {
	return fmt.Sprint(name, " ", f.Receipts, " ", f.Prompts, " ", stdcmp.Or(f.CostUSD, "0"), " ", f.Lines.Added, " ", f.Lines.AI, " ", f.Lines.Unknown, " ",
		f.Lines.Commits, " ", f.Lines.CommitsNoted)
}

// naiveFigures reads every row.
func naiveFigures(t *testing.T, db *store.DB, ask store.FiguresQuestion) []string {
	t.Helper()
	keys := map[store.FigureDimension][2]string{
		store.FiguresByRepo: {`(SELECT name FROM repos WHERE id = x.repo_id)`, ``},
		store.FiguresByUser: {`person_of(x.org_id, x.who)`, ``},
		store.FiguresByTeam: {`k.name`, `JOIN (SELECT DISTINCT t.name, person_of(m.org_id, m.email) AS person FROM teams t JOIN team_members m ON m.team_id = t.id) k
			ON k.person = person_of(x.org_id, x.who)`},
		store.FiguresByModel: {`x.model`, ``}, store.FiguresByProvider: {`x.provider`, ``},
	}[ask.By]
	const commits = `CASE WHEN bot OR merge AND added + excluded = 0 THEN 0 ELSE 1 END`
	lines := `SELECT org_id, repo_id, author_email AS who, day, '' AS model, '' AS provider, 0 AS receipts, 0 AS prompts, 0::numeric AS cost,
		added, ai, unknown, ` + commits + ` AS commits, ` + commits + ` * noted::int AS noted FROM commit_lines WHERE on_default`
	owners := `SELECT org_id, repo_id, author_email AS who, day, model, provider, 0 AS receipts, 0 AS prompts, 0::numeric AS cost, 0 AS added, ai, 0 AS unknown, 1 AS commits, 0 AS noted
		FROM commit_owners WHERE on_default`
	rows := func(lines string) string {
		return `(SELECT * FROM (
			SELECT org_id, repo_id, lower(user_email) AS who, day, model, provider, 1 AS receipts, 0 AS prompts, 0::numeric AS cost, 0 AS added, 0 AS ai, 0 AS unknown, 0 AS commits, 0 AS noted FROM receipts
			UNION ALL SELECT org_id, repo_id, lower(user_email), day, model, provider, 0, 1, coalesce(cost_usd, 0), 0, 0, 0, 0, 0 FROM prompts
			UNION ALL ` + lines + `) x WHERE ($1::date IS NULL OR day >= $1) AND ($2::date IS NULL OR day <= $2)
			AND ($3::uuid[] IS NULL OR repo_id = ANY($3)) AND ($4::text[] IS NULL OR who = ANY($4))) x`
	}
	const sums = `coalesce(sum(receipts), 0), coalesce(sum(prompts), 0), trim_scale(coalesce(sum(cost), 0)), coalesce(sum(added), 0), coalesce(sum(ai), 0),
		coalesce(sum(unknown), 0), coalesce(sum(commits), 0), coalesce(sum(noted), 0)`
	byKey := lines
	if ask.By == store.FiguresByModel || ask.By == store.FiguresByProvider {
		byKey = owners
	}
	sql := `SELECT concat_ws(' ', 'total', ` + sums + `) FROM ` + rows(lines) + `
		UNION ALL SELECT concat_ws(' ', date_trunc('` + string(ask.Series) + `', day::timestamp)::date, ` + sums + `) FROM ` + rows(lines) + ` GROUP BY date_trunc('` + string(ask.Series) + `', day::timestamp)
		UNION ALL SELECT concat_ws(' ', 'of', ` + keys[0] + `, ` + sums + `) FROM ` + rows(byKey) + ` ` + keys[1] + ` GROUP BY ` + keys[0]
	optional := func(day time.Time) any {
		if day.IsZero() {
			return nil
		}
		return day
	}
	return storetest.Column(t, db, sql, optional(ask.From), optional(ask.To), ask.Repos, ask.Emails)
}

// TestFiguresReadRollupsAlone: no table that grows with receipts, commits or
// lines is read, whatever is asked.
func TestFiguresReadRollupsAlone(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	fillFigures(t, db, org.ID, 20_000)
	end := mustDay(t, storetest.Column(t, db, `SELECT max(day)::text FROM receipts`)[0])
	grows := regexp.MustCompile(`on (receipts|prompts|receipt_\w+|commit_lines|commit_owners|added_\w+|live_runs|live_files|removed_runs)\b|Seq Scan on (line_|prompt_|path_)?rollups\b`)
	for _, f := range []store.AnalyticsFilter{{}, {From: end.AddDate(0, -3, -5), To: end}, {Repos: []uuid.UUID{repoID(3)}},
		{Emails: []string{"dev2@example.com", "dev4@example.com"}}} {
		for _, by := range []store.FigureDimension{store.FiguresByRepo, store.FiguresByTeam, store.FiguresByUser, store.FiguresByModel, store.FiguresByProvider,
			store.FiguresByCategory, store.FiguresByHour, store.FiguresByPath} {
			if f.Emails != nil && (by == store.FiguresByProvider || by == store.FiguresByCategory || by == store.FiguresByHour) || by == store.FiguresByPath && len(f.Repos) != 1 {
				continue
			}
			plans, err := store.ExplainFigures(ctx, db, org.ID, store.FiguresQuestion{AnalyticsFilter: f, Series: store.Weekly, By: by, Top: 100, Folder: "src/"})
			if err != nil || len(plans) < 7 {
				t.Fatalf("%d plans, %v", len(plans), err)
			}
			for _, plan := range plans {
				if found := grows.FindString(plan); found != "" {
					t.Errorf("%+v by %s: %s in\n%s", f, by, found, plan)
				}
			}
		}
	}
}
