package store_test

import (
	"context"
	"fmt"
	"regexp"
	"testing"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/lines"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// fillLines makes 40,000 classified commits in 20 repositories, with notes,
// receipts, attestations and demands.
func fillLines(t *testing.T, db *store.DB, org uuid.UUID) {
	t.Helper()
	exec(t, db, `INSERT INTO repos (id, org_id, name) SELECT md5('repo' || i)::uuid, $1, 'repo-' || i FROM generate_series(0, 19) i`, org)
	exec(t, db, `INSERT INTO commits (org_id, repo_id, commit, parents, author_name, author_email, authored_at, committer_name, committer_email,
			committed_at, subject, bot)
		SELECT $1, md5('repo' || i % 20)::uuid, md5('c' || i) || '00000000', '{}', 'A', 'dev' || i % 50 || '@example.com', now(), 'A', 'a@b',
		       now() - i * interval '10 minutes', 's', false FROM generate_series(1, 40000) i`, org)
	for _, sql := range []string{
		`INSERT INTO commit_lines (org_id, repo_id, commit, on_default, merge, committed_at, day, author_email, added, ai, human, unknown, trailer,
			excluded, deleted, noted, agent, bot, state, digest)
		SELECT org_id, repo_id, commit, true, false, committed_at, committed_at::date, author_email, 10, 0, 0, 10, 0, 0, 0,
		       random() < 0.5, CASE WHEN random() < 0.1 THEN 'claude' ELSE '' END, false, 'classified', '' FROM commits WHERE org_id = $1`,
		`INSERT INTO note_refs (org_id, repo_id, ref, tip) SELECT org_id, id, 'refs/notes/ai', 'x' FROM repos WHERE org_id = $1`,
		`INSERT INTO note_versions (org_id, repo_id, ref, commit, notes_commit, blob, author_name, author_email, authored_at, committed_at, current)
		SELECT org_id, repo_id, 'refs/notes/ai', commit, 'n', 'b', '', '', now(), now(), true FROM commits WHERE org_id = $1`,
		`INSERT INTO note_bodies (org_id, repo_id, ref, commit, blob, format, format_version, tool_version, size, receipts, parser)
		SELECT org_id, repo_id, 'refs/notes/ai', commit, 'b', 'git-ai', '', '', 1, 1, 1 FROM commits WHERE org_id = $1`,
		`INSERT INTO attestations SELECT org_id, repo_id, 'refs/notes/ai', commit, 'b', 0, 'a', 'k', 'ai', 'g', '', '{[1,3)}', 2 FROM commits WHERE org_id = $1`,
		`INSERT INTO receipt_commits (org_id, receipt_id, repo_id, ref, commit, blob, position, content_hash, first_noted_at, noted_at, notes_commit, current)
		SELECT org_id, 'r' || commit, repo_id, 'refs/notes/blameprompt', commit, 'b', 0, '', now(), now(), '', true FROM commits WHERE org_id = $1`,
		`INSERT INTO receipt_files SELECT org_id, 'r' || commit, 0, 'a', 1, 9, commit, 1, 0 FROM commits WHERE org_id = $1`,
		`INSERT INTO line_demands (org_id, repo_id, commit) SELECT org_id, repo_id, commit FROM commits WHERE org_id = $1`,
	} {
		exec(t, db, sql, org)
	}
	exec(t, db, `ANALYZE`)
}

var lineWalk = regexp.MustCompile(`Seq Scan on (commits|commit_lines|added_\w+|line_demands|note_versions|note_bodies|attestations|receipt_\w+)\b`)

// What a batch of commits is classified by is found by index, and so are the
// pages of commits under every filter.
func TestLinesDoNotWalkTables(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme").ID
	fillLines(t, db, org)
	repo := uuid.MustParse(storetest.Column(t, db, `SELECT md5('repo3')::uuid::text`)[0])
	batch := store.LineBatch{OrgID: org, RepoID: repo}
	for i, commit := range storetest.Column(t, db, `SELECT commit FROM commits WHERE repo_id = $1 ORDER BY commit LIMIT 200`, repo) {
		batch.Commits = append(batch.Commits, &lines.Commit{OID: gitcmd.OID(commit), Files: []lines.File{
			{Path: fmt.Sprint(i % 7), Blob: gitcmd.OID(commit), Added: []notes.LineRange{{First: 1, Last: 10}}}}})
	}
	plans, err := store.ExplainTx(ctx, db, func(tx *store.Tx) error { return tx.ReadLines(ctx, batch) })
	if err != nil {
		t.Fatal(err)
	}
	if len(plans) < 5 {
		t.Errorf("%d plans", len(plans))
	}
	for _, plan := range plans {
		if found := lineWalk.FindString(plan); found != "" {
			t.Errorf("%s in\n%s", found, plan)
		}
	}
}

// The list of commits is one order under every filter, and its pages are parts of
// it.
func TestPagesOfCommits(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme").ID
	fillLines(t, db, org)
	yes := true
	for _, f := range []store.CommitFilter{{}, {Noted: &yes}, {Marked: true}, {Emails: []string{"dev3@example.com"}}, {Class: "unknown", Agent: "claude"}} {
		all, err := db.LineCommits(ctx, org, f, nil, 300)
		if err != nil || len(all) < 200 {
			t.Fatalf("%+v: %d commits, %v", f, len(all), err)
		}
		var after *store.CommitPosition
		for i := 0; i < 120; i += 40 {
			page, err := db.LineCommits(ctx, org, f, after, 40)
			if err != nil || len(page) != 40 {
				t.Fatalf("%+v: %d commits, %v", f, len(page), err)
			}
			for j, c := range page {
				if c.Commit != all[i+j].Commit {
					t.Fatalf("%+v: commit %d of the pages is another than that of the list", f, i+j)
				}
			}
			after = &store.CommitPosition{At: page[39].CommittedAt, RepoID: page[39].RepoID, Commit: page[39].Commit}
		}
	}
}
