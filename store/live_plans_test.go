package store_test

import (
	"context"
	"regexp"
	"testing"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// fillLive makes 200,000 runs of 20 repositories from 20,000 receipts of ten
// models, and 20,000 of an agent's trailer.
func fillLive(t *testing.T, db *store.DB, org uuid.UUID) {
	t.Helper()
	for _, table := range []string{"live_runs", "receipts"} {
		exec(t, db, `ALTER TABLE `+table+` DISABLE TRIGGER USER`)
	}
	for _, sql := range []string{
		`INSERT INTO repos (id, org_id, name) SELECT md5('repo' || i)::uuid, $1, 'repo-' || i FROM generate_series(0, 19) i`,
		`INSERT INTO live_runs (org_id, repo_id, path, first, last, commit_id, origin_path, origin_line, class, source, confidence, receipt_id, author)
		SELECT $1, md5('repo' || i % 20)::uuid, convert_to('dir' || i % 50 || '/file' || i % 3000, 'UTF8'), i * 10, i * 10 + 4, md5('c' || i % 5000),
		       'x', 1, 'ai', CASE WHEN i % 10 = 0 THEN 'trailer' ELSE 'blameprompt' END, 'exact',
		       CASE WHEN i % 10 = 0 THEN '' ELSE 'r' || i % 19997 END, CASE WHEN i % 10 = 0 THEN 'copilot' ELSE '' END
		FROM generate_series(1, 200000) i`,
		`INSERT INTO live_receipts (org_id, receipt_id, repo_id, model, provider, session_id, lines, removed)
		SELECT $1, receipt_id, repo_id, 'm' || (hashtext(receipt_id) & 7), 'claude', 's' || (hashtext(receipt_id) & 255), sum(last - first + 1), 0
		FROM live_runs WHERE receipt_id <> '' AND org_id = $1 GROUP BY 2, 3`,
	} {
		exec(t, db, sql, org)
	}
	exec(t, db, `ANALYZE`)
}

// TestRecallIsFoundByIndex: whatever is asked for, and wherever in the list, a
// page of recalled lines is read in the order of an index.
func TestRecallIsFoundByIndex(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme").ID
	fillLive(t, db, org)
	for name, c := range map[string]struct {
		ask  store.Recall
		want int
	}{
		"model":                      {store.Recall{Model: "m3"}, 50},
		"tool, with trailers":        {store.Recall{Provider: "claude"}, 50},
		"tool, by trailers alone":    {store.Recall{Provider: "copilot"}, 50},
		"session":                    {store.Recall{Session: "s77"}, 50},
		"receipt":                    {store.Recall{Receipt: "r1234"}, 9},
		"model of one repository":    {store.Recall{Model: "m3", Repos: []uuid.UUID{repoID(3)}}, 50},
		"agent in a few of them":     {store.Recall{Provider: "copilot", Repos: []uuid.UUID{repoID(0), repoID(10)}}, 50},
		"model and tool, in several": {store.Recall{Model: "m3", Provider: "claude", Repos: []uuid.UUID{repoID(0), repoID(3)}}, 50},
	} {
		t.Run(name, func(t *testing.T) {
			var after *store.RecallPosition
			for range 2 {
				page, plans, err := store.ExplainRecall(ctx, db, org, c.ask, after, 50)
				if err != nil {
					t.Fatal(err)
				}
				if after == nil && len(page) != c.want {
					t.Errorf("%d rows, want %d", len(page), c.want)
				}
				for _, plan := range plans {
					if found := recallWalk.FindString(plan); found != "" {
						t.Errorf("%s in\n%s", found, plan)
					}
				}
				if len(page) == 0 {
					return
				}
				position := page[len(page)-1].Position()
				after = &position
			}
		})
	}
}

var recallWalk = regexp.MustCompile(`Seq Scan on live_\w+|rows=[0-9]{5,} loops`)

// TestRecallPages: pages joined are the whole list, in order, each run once.
func TestRecallPages(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme").ID
	fillLive(t, db, org)
	exec(t, db, `UPDATE live_receipts SET provider = 'copilot' WHERE hashtext(receipt_id) % 50 = 0`)
	ask := store.Recall{Provider: "copilot", Repos: []uuid.UUID{repoID(0), repoID(10), repoID(7)}}
	all, err := db.Recall(ctx, org, ask, nil, 1_000_000)
	if err != nil || len(all) < 2500 {
		t.Fatalf("%d, %v", len(all), err)
	}
	var after *store.RecallPosition
	for at := 0; ; {
		page, err := db.Recall(ctx, org, ask, after, 701)
		if err != nil {
			t.Fatal(err)
		}
		for i := range page {
			if all[at].Position().Repo != page[i].RepoID || string(all[at].Path) != string(page[i].Path) || all[at].First != page[i].First {
				t.Fatalf("at %d: %+v, want %+v", at, page[i], all[at])
			}
			at++
		}
		if len(page) < 701 {
			if at != len(all) {
				t.Errorf("%d runs, want %d", at, len(all))
			}
			return
		}
		position := page[len(page)-1].Position()
		after = &position
	}
}
