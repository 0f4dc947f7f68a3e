package httpapi_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Pool().Exec(context.Background(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

type linked struct {
	Count int
	Rows  string
}

type coverageSums struct {
	Commits, Noted, Marked linked
	NotNoted               linked `json:"not_noted"`
	BotCommits             linked `json:"bot_commits"`
	MergeCommits           linked `json:"merge_commits"`
	Coverage               *float64
	Lines                  struct{ Added, AI, Human, Unknown int }
}

type coverage struct {
	Total                        coverageSums
	Repos, People, Teams, Agents []struct {
		Key     string
		NotedAt *time.Time `json:"noted_at"`
		Sums    coverageSums
	}
	Events []struct {
		Kind string
		linked
	}
}

// rowsOf counts the items behind a link, a few to a page.
func (w *world) rowsOf(link string) int {
	w.t.Helper()
	n := 0
	for cursor := ""; ; {
		var page struct {
			Items      []map[string]any
			NextCursor *string `json:"next_cursor"`
		}
		w.get(w.read, link+"&limit=7"+cursor).want(200).into(&page)
		n += len(page.Items)
		if page.NextCursor == nil {
			return n
		}
		cursor = "&cursor=" + *page.NextCursor
	}
}

// TestEveryFigureOfCoverageIsTheNumberOfItsRows follows all links, under several
// filters.
func TestEveryFigureOfCoverageIsTheNumberOfItsRows(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fillCommits(60)
	for _, query := range []string{"", "?repo=api", "?team=core", "?user=ada%40example.com", "?from=2026-02-03&to=2026-02-20",
		"?repo=web&team=core&from=2026-02-10", "?user=nobody%40example.com"} {
		t.Run(query, func(t *testing.T) {
			w := &world{t: t, db: w.db, srv: w.srv, spec: w.spec, api: w.api, read: w.read}
			var c coverage
			w.get(w.read, "/api/v1/coverage"+query).want(200).into(&c)
			w.checkSums("total", c.Total)
			for _, list := range [][]struct {
				Key     string
				NotedAt *time.Time `json:"noted_at"`
				Sums    coverageSums
			}{c.Repos, c.People, c.Teams, c.Agents} {
				for _, g := range list {
					w.checkSums(g.Key, g.Sums)
				}
			}
			if len(c.Events) != 6 {
				t.Errorf("events: %+v", c.Events)
			}
			for _, e := range c.Events {
				if n := w.rowsOf(e.Rows); n != e.Count {
					t.Errorf("%s: %d, but %d rows at %s", e.Kind, e.Count, n, e.Rows)
				}
				if query == "" && e.Count == 0 {
					t.Errorf("the test has no event %s", e.Kind)
				}
			}
		})
	}
}

func (w *world) checkSums(what string, s coverageSums) {
	w.t.Helper()
	for _, figure := range []linked{s.Commits, s.Noted, s.NotNoted, s.Marked, s.BotCommits, s.MergeCommits} {
		if n := w.rowsOf(figure.Rows); n != figure.Count {
			w.t.Errorf("%s: %d, but %d rows at %s", what, figure.Count, n, figure.Rows)
		}
	}
	if s.Noted.Count+s.NotNoted.Count != s.Commits.Count || s.Lines.AI+s.Lines.Human+s.Lines.Unknown != s.Lines.Added {
		w.t.Errorf("%s does not add up: %+v", what, s)
	}
}

// fillCommits stores classified commits of every kind in two repositories, and
// what happened to pushes and notes.
func (w *world) fillCommits(n int) {
	w.t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	w.exec(`INSERT INTO teams (id, org_id, name) VALUES (gen_random_uuid(), $1, 'core')`, w.org.ID)
	w.exec(`INSERT INTO team_members (org_id, team_id, email) SELECT $1, id, 'ada@example.com' FROM teams`, w.org.ID)
	repos := []store.Repo{storetest.MustRepo(w.t, w.db, w.org, "api", ""), storetest.MustRepo(w.t, w.db, w.org, "web", "")}
	for i := range n {
		repo, at := repos[rng.IntN(2)], time.Date(2026, 2, 1+rng.IntN(27), rng.IntN(24), 0, 0, 0, time.UTC)
		commit, email := fmt.Sprintf("%040x", i), []string{"ada@example.com", "ben@example.com"}[rng.IntN(2)]
		merge, bot, noted, agent := rng.IntN(5) == 0, rng.IntN(6) == 0, rng.IntN(2) == 0, []string{"", "claude", "cursor"}[rng.IntN(3)]
		added := rng.IntN(4) * 10
		w.exec(`INSERT INTO commits (org_id, repo_id, commit, parents, author_name, author_email, authored_at, committer_name,
				committer_email, committed_at, subject, bot)
			VALUES ($1, $2, $3, '{}', 'A', $4, $5, 'A', $4, $5, 'change', $6)`, w.org.ID, repo.ID, commit, email, at, bot)
		w.exec(`INSERT INTO commit_lines (org_id, repo_id, commit, on_default, merge, committed_at, day, author_email, added, ai, human,
				unknown, trailer, excluded, deleted, noted, agent, bot, state, digest)
			VALUES ($1, $2, $3, $4, $5, $6::timestamptz, $6::timestamptz::date, $7, $8::bigint, $8::bigint / 2, 0, $8::bigint - $8::bigint / 2, 0, 0, 0, $9, $10, $11, 'classified', '')`,
			w.org.ID, repo.ID, commit, rng.IntN(10) > 0, merge, at, email, added, noted, agent, bot)
		if rng.IntN(2) == 0 {
			storetest.MustDecision(w.t, w.db, w.org, storetest.Decision{At: at.Add(time.Duration(i)), Repo: repo, Pusher: email,
				Input: push.Input{Commits: []push.Commit{{OID: commit, Author: push.Person{Email: email}}}}})
		}
		for v := range rng.IntN(3) {
			w.exec(`INSERT INTO note_versions (org_id, repo_id, ref, commit, notes_commit, blob, author_name, author_email, authored_at,
					committed_at, current)
				VALUES ($1, $2, 'refs/notes/ai', $3, $4, 'b', 'A', $5, $6, $6, $7)`, w.org.ID, repo.ID, commit, fmt.Sprint(v), email, at, v == 1)
		}
		if rng.IntN(4) == 0 {
			w.exec(`INSERT INTO findings (org_id, id, repo_id, code, severity, ref, message, found_at)
				VALUES ($1, gen_random_uuid(), $2, $3, 'warning', 'refs/notes/ai', '', $4)`, w.org.ID, repo.ID,
				[]string{"notes_ref_rewritten", "notes_ref_deleted"}[rng.IntN(2)], at)
		}
	}
}

func TestCommitsByClassAndWithTheirFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fillCommits(30)
	w.exec(`INSERT INTO added_files SELECT org_id, repo_id, commit, '\xff2f61', '', 'b', '', added, ai, human, unknown, trailer
		FROM commit_lines WHERE added = 20`)
	w.exec(`INSERT INTO added_runs SELECT org_id, repo_id, commit, '\xff2f61', 3, 12, 'ai', 'git-ai', 'attested', 'g', ''
		FROM commit_lines WHERE added = 20`)
	var page struct {
		Items []struct {
			Link  string
			Lines struct{ Added, AI int }
		}
	}
	w.get(w.read, "/api/v1/commits?class=ai&limit=200").want(200).into(&page)
	want := storetest.Column(t, w.db, `SELECT count(*)::text FROM commit_lines WHERE on_default AND ai > 0`)
	if len(page.Items) == 0 || fmt.Sprint(len(page.Items)) != want[0] {
		t.Errorf("%d commits with AI lines, want %s", len(page.Items), want[0])
	}
	for _, item := range page.Items {
		if item.Lines.Added != 20 {
			continue
		}
		var detail struct {
			Lines struct {
				Files []struct {
					Path string
					Runs []struct{ First, Last int }
				}
			}
		}
		w.get(w.read, item.Link).want(200).into(&detail)
		want := []struct{ First, Last int }{{3, 12}}
		if len(detail.Lines.Files) != 1 || detail.Lines.Files[0].Path != "\uFFFD/a" || !cmp.Equal(want, detail.Lines.Files[0].Runs) {
			t.Errorf("%s: %+v", item.Link, detail)
		}
	}
	w.get(w.read, "/api/v1/commits?class=robot").want(400)
	w.get(w.read, "/api/v1/coverage?from=2026-02-03&to=2026-02-01").want(400)
	w.get(w.read, "/api/v1/coverage?team="+url.QueryEscape("no such team")).want(400)
}

func TestPathsAreExcludedOverTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	storetest.MustRepo(t, w.db, w.org, "api", "")
	var repo struct {
		ExcludedPaths []string `json:"excluded_paths"`
	}
	change := func(globs ...string) reply {
		return w.do(call{method: "PATCH", path: "/api/v1/repos/api", key: w.admin, body: map[string]any{"excluded_paths": append([]string{}, globs...)}})
	}
	change("gen/", "!gen/keep.go").want(200).into(&repo)
	if diff := cmp.Diff([]string{"gen/", "!gen/keep.go"}, repo.ExcludedPaths); diff != "" {
		t.Error(diff)
	}
	change("/").want(400)
	change().want(200).into(&repo)
	if len(repo.ExcludedPaths) != 0 {
		t.Errorf("excluded paths after none were given: %v", repo.ExcludedPaths)
	}
}
