package httpapi_test

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/httpapi"
	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// living is a world in which a repository has a live map: of ten lines of
// "src/a.go" the first four are from a receipt, two from the trailer of copilot
// and one is human; "src/x/b.go" has three lines that nobody knows; and a file is
// excluded.
func living(t *testing.T) (*world, store.Repo) {
	t.Helper()
	w := newWorld(t)
	repo := storetest.MustRepo(t, w.db, w.org, "backend", "https://git.example.com/backend.git")
	for _, sql := range []string{
		`INSERT INTO commits (org_id, repo_id, commit, parents, author_name, author_email, authored_at, committer_name, committer_email, committed_at, subject, bot)
		SELECT $1, $2, c, '{}', '', 'Ada@example.com', now(), '', '', now() - days * interval '1 day', '', false FROM (VALUES ('c1', 100), ('c2', 50)) v (c, days)`,
		`INSERT INTO added_runs (org_id, repo_id, commit, path, first, last, class, source, confidence, receipt_id, author)
		SELECT $1, $2, 'c1', 'src/a.go', first, last, class, source, confidence, receipt, author FROM (VALUES
			(1, 4, 'ai', 'blameprompt', 'exact', 'r1', ''), (5, 6, 'ai', 'trailer', 'trailer', '', 'copilot'),
			(7, 7, 'human', 'git-ai', 'attested', '', 'Ada')) v (first, last, class, source, confidence, receipt, author)`,
		`INSERT INTO team_members (org_id, team_id, email) SELECT $1, id, 'ada@example.com' FROM teams WHERE org_id = $1 AND $2::uuid IS NOT NULL`,
	} {
		if strings.Contains(sql, "team_members") {
			run(t, w.db, `INSERT INTO teams (id, org_id, name) VALUES (gen_random_uuid(), $1, 'core')`, w.org.ID)
		}
		run(t, w.db, sql, w.org.ID, repo.ID)
	}
	w.post(w.ingest, "/api/v1/receipts?repo=backend", []any{map[string]any{"id": "r1", "provider": "claude", "model": "opus", "session_id": "s1", "user": "Ada <ada@example.com>"}})
	write(t, w.db, w.org, repo, []*store.LiveFile{
		{Path: "src/a.go", Blob: "b1", Kind: "text", Lines: 10, Runs: []store.LiveRun{{First: 1, Last: 10, Commit: "c1", OriginPath: "src/a.go", OriginLine: 1}}},
		{Path: "src/x/b.go", Blob: "b2", Kind: "text", Lines: 3, Runs: []store.LiveRun{{First: 1, Last: 3, Commit: "c2", OriginPath: "old", OriginLine: 1}}},
		{Path: "go.sum", Blob: "b3", Kind: "excluded", Excluded: "lockfile"},
		{Path: "huge", Blob: "b4", Kind: "too_large", Finding: &notes.Finding{Code: "file_too_large", Severity: notes.Warning, Where: "huge", Message: "Large."}},
	})
	return w, repo
}

func run(t *testing.T, db *store.DB, sql string, args ...any) {
	t.Helper()
	if _, err := db.Pool().Exec(context.Background(), sql, args...); err != nil {
		t.Fatalf("%v\n%s", err, sql)
	}
}

func write(t *testing.T, db *store.DB, org store.Org, repo store.Repo, files []*store.LiveFile) {
	t.Helper()
	ctx := context.Background()
	m, err := db.BeginLive(ctx, org.ID, repo.ID, "refs/heads/main", "tip", len(files), store.LiveBasis{})
	if err != nil {
		t.Fatal(err)
	}
	writer, err := db.LiveWriter(ctx, org.ID, repo.ID, m.Ref)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	if err := writer.Stage(ctx, files); err != nil {
		t.Fatal(err)
	}
	if err := writer.Write(ctx, m.Generation); err != nil {
		t.Fatal(err)
	}
	if err := writer.Finish(ctx, m.Generation, time.Date(2026, 2, 3, 4, 5, 6, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
}

// told is a group as one line.
func told(groups []httpapi.LiveGroup) []string {
	var out []string
	for _, g := range groups {
		line := fmt.Sprintf("%s %s: %d = %d + %d + %d", g.Kind, g.Key, g.Counts.Lines, g.Counts.Ai, g.Counts.Human, g.Counts.Unknown)
		if g.Rows != nil {
			line += " at " + *g.Rows
		}
		out = append(out, line)
	}
	return out
}

func TestLiveLinesAreGrouped(t *testing.T) {
	t.Parallel()
	w, repo := living(t)
	id := repo.ID.String()
	month := func(days int) string { return time.Now().UTC().AddDate(0, 0, -days).Format("2006-01") }
	for query, want := range map[string][]string{
		"":                     {"repo backend: 13 = 6 + 1 + 6 at /api/v1/live?by=path&repo=backend"},
		"by=model":             {"model opus: 4 = 4 + 0 + 0 at /api/v1/recall?model=opus", "model : 2 = 2 + 0 + 0"},
		"by=tool&repo=backend": {"tool claude: 4 = 4 + 0 + 0 at /api/v1/recall?repo=backend&tool=claude", "tool copilot: 2 = 2 + 0 + 0 at /api/v1/recall?repo=backend&tool=copilot"},
		"by=tool&limit=1":      {"tool claude: 4 = 4 + 0 + 0 at /api/v1/recall?tool=claude"},
		"by=user":              {"user ada@example.com: 13 = 6 + 1 + 6"},
		"by=team":              {"team core: 13 = 6 + 1 + 6"},
		"by=age":               {"age " + month(50) + ": 3 = 0 + 0 + 3", "age " + month(100) + ": 10 = 6 + 1 + 3"},
		"by=path&repo=backend": {"folder src/: 13 = 6 + 1 + 6 at /api/v1/live?by=path&path=src%2F&repo=" + id, "excluded go.sum: 0 = 0 + 0 + 0", "too_large huge: 0 = 0 + 0 + 0"},
		"by=path&repo=backend&path=src/": {"folder src/x/: 3 = 0 + 0 + 3 at /api/v1/live?by=path&path=src%2Fx%2F&repo=" + id,
			"text src/a.go: 10 = 6 + 1 + 3 at /api/v1/repos/" + id + "/live/files/src%2Fa.go"},
	} {
		var got httpapi.Live
		w.get(w.read, "/api/v1/live?"+query).want(200).into(&got)
		if diff := cmp.Diff(want, told(got.Groups)); diff != "" {
			t.Errorf("%s:\n%s", query, diff)
		}
		if got.Maps != 1 || got.Building != 0 || got.Total.Lines != 13 || got.Total.AiShare == nil || *got.Total.AiShare != 0.461538 {
			t.Errorf("%s: %+v", query, got)
		}
	}
	var none httpapi.Live
	w.get(w.foreignAdmin, "/api/v1/live").want(200).into(&none)
	if none.Total.Lines != 0 || none.Total.AiShare != nil || len(none.Groups) != 0 || none.Since != nil {
		t.Errorf("another organisation sees %+v", none)
	}
}

// TestLiveFolderInPages reads a folder entry by entry.
func TestLiveFolderInPages(t *testing.T) {
	t.Parallel()
	w, _ := living(t)
	var got []string
	for path := "/api/v1/live?by=path&repo=backend&limit=1"; path != ""; {
		var page httpapi.Live
		w.get(w.read, path).want(200).into(&page)
		for _, g := range page.Groups {
			got = append(got, g.Key)
		}
		path = ""
		if page.NextCursor != nil {
			path = "/api/v1/live?by=path&repo=backend&limit=1&cursor=" + *page.NextCursor
		}
	}
	if diff := cmp.Diff([]string{"src/", "go.sum", "huge"}, got); diff != "" {
		t.Error(diff)
	}
}

func TestRecall(t *testing.T) {
	t.Parallel()
	w, _ := living(t)
	for query, want := range map[string]string{
		"model=opus":                           "src/a.go:1-4 of c1 src/a.go:1 by r1 claude s1 exact",
		"tool=claude&model=opus":               "src/a.go:1-4 of c1 src/a.go:1 by r1 claude s1 exact",
		"session=s1&repo=backend":              "src/a.go:1-4 of c1 src/a.go:1 by r1 claude s1 exact",
		"receipt=r1":                           "src/a.go:1-4 of c1 src/a.go:1 by r1 claude s1 exact",
		"tool=copilot":                         "src/a.go:5-6 of c1 src/a.go:5 by - copilot  trailer",
		"tool=copilot&model=opus":              "",
		"model=" + url.QueryEscape("o'pus\"%"): "",
	} {
		var page struct{ Items []httpapi.RecalledLines }
		w.get(w.read, "/api/v1/recall?"+query).want(200).into(&page)
		var got []string
		for _, r := range page.Items {
			receipt := "-"
			if r.Receipt != nil {
				receipt = *r.Receipt
			}
			got = append(got, fmt.Sprintf("%s:%d-%d of %s %s:%d by %s %s %s %s", r.Path, r.First, r.Last, r.Commit, r.OriginPath, r.OriginLine, receipt, r.Tool, r.Session, r.Confidence))
		}
		if diff := cmp.Diff(want, strings.Join(got, "\n")); diff != "" {
			t.Errorf("%s:\n%s", query, diff)
		}
	}
	for _, bad := range []string{"", "repo=backend", "model=", "tool=x&cursor=AAAA", "model=a&repo=nowhere"} {
		if r := w.get(w.read, "/api/v1/recall?"+bad); r.status != 400 {
			t.Errorf("%q: %d %s", bad, r.status, r.body)
		}
	}
}

func TestLiveFile(t *testing.T) {
	t.Parallel()
	w, _ := living(t)
	var got []string
	for path := "?limit=2"; path != ""; {
		var file httpapi.LiveFile
		w.get(w.read, "/api/v1/repos/backend/live/files/src%2Fa.go"+path).want(200).into(&file)
		for _, r := range file.Runs {
			got = append(got, fmt.Sprintf("%d-%d %s %s %s %s", r.First, r.Last, r.Class, r.Tool, r.Model, r.Author))
		}
		if file.Counts.Ai != 6 || file.Tip != "tip" || file.Blob != "b1" {
			t.Errorf("%+v", file)
		}
		path = ""
		if file.NextCursor != nil {
			path = "?limit=2&cursor=" + *file.NextCursor
		}
	}
	want := []string{"1-4 ai claude opus ", "5-6 ai copilot  ", "7-7 human   Ada", "8-10 unknown   "}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for path, status := range map[string]int{"src%2Fnone": 404, "huge": 200, "%ff": 400} {
		if r := w.get(w.read, "/api/v1/repos/backend/live/files/"+path); r.status != status {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}

// TestRework has lines that landed and were removed, and such that were there
// before.
func TestRework(t *testing.T) {
	t.Parallel()
	w, repo := living(t)
	for _, sql := range []string{
		`INSERT INTO live_commits (org_id, repo_id, commit_id, author_email, committed_at, day, landed_at)
		SELECT $1, $2, 'n' || d, '', now() - d * interval '1 day', (now() - d * interval '1 day')::date, now() FROM unnest(ARRAY[10, 40, 120]) d`,
		`INSERT INTO removed_runs (org_id, repo_id, commit_id, origin_path, first, last, ended_at, ended_tip, class, source, confidence, receipt_id, author)
		SELECT $1, $2, c, 'x', 1, n, now() - ago * interval '1 day', '', 'ai', 'blameprompt', 'exact', 'r1', ''
		FROM (VALUES ('n10', 5, 5), ('n40', 3, 30), ('n40', 2, 15), ('n120', 1, 50), ('c1', 7, 99)) v (c, n, ago)`,
		`INSERT INTO live_runs (org_id, repo_id, path, first, last, commit_id, origin_path, origin_line, class, source, confidence, receipt_id, author)
		VALUES ($1, $2, 'y', 1, 5, 'n40', 'y', 1, 'ai', 'blameprompt', 'exact', 'r1', '')`,
	} {
		run(t, w.db, sql, w.org.ID, repo.ID)
	}
	var got httpapi.Rework
	w.get(w.read, "/api/v1/rework?by=model").want(200).into(&got)
	var lines []string
	for _, r := range append(got.Within, got.Groups[0].Within...) {
		lines = append(lines, fmt.Sprintf("%d: %d of %d", r.Days, r.Ai.Removed, r.Ai.Landed))
	}
	want := []string{"14: 3 of 11", "30: 5 of 11", "90: 1 of 1", "14: 3 of 11", "30: 5 of 11", "90: 1 of 1"}
	if diff := cmp.Diff(want, lines); diff != "" || got.Groups[0].Key != "opus" {
		t.Errorf("%s: %s", got.Groups[0].Key, diff)
	}
	if len(got.Weeks) < 4 || got.Since == nil {
		t.Errorf("%+v", got)
	}
}
