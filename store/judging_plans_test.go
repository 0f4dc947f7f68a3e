package store_test

import (
	"context"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// fillJudging makes many rows of all that a judgement asks for.
func fillJudging(t *testing.T, db *store.DB, org uuid.UUID) {
	t.Helper()
	manyDecisions(t, db, org, 20_000)
	for _, sql := range []string{
		`INSERT INTO repos (id, org_id, name) SELECT md5('repo' || i)::uuid, $1, 'repo-' || i FROM generate_series(0, 2000) i`,
		`INSERT INTO users (id, org_id, email, logins) SELECT md5('u' || i)::uuid, $1, 'dev' || i || '@example.com', ARRAY['dev' || i]
		FROM generate_series(0, 5000) i`,
		`INSERT INTO teams (id, org_id, name) SELECT md5('t' || i)::uuid, $1, 'team-' || i FROM generate_series(0, 200) i`,
		`INSERT INTO team_members (org_id, team_id, email) SELECT $1, md5('t' || i % 200)::uuid, 'dev' || i || '@example.com'
		FROM generate_series(0, 5000) i`,
		`INSERT INTO grants (org_id, subject, subject_id, repo_id, permission, override, created_by)
		SELECT $1, 'user', md5('u' || i)::uuid, md5('repo' || i % 2000)::uuid, 'write', i % 50 = 0, '' FROM generate_series(0, 5000) i`,
		`INSERT INTO policies (id, org_id, name, version, enabled, document)
		SELECT md5('p' || i)::uuid, $1, 'p' || i, 1, true, '{}' FROM generate_series(0, 400) i`,
		`INSERT INTO waivers (org_id, id, policy_id, pusher, reason, created_by, expires_at)
		SELECT $1, md5('w' || i)::uuid, md5('p' || i % 400)::uuid, 'dev' || i, 'x', '', now() + i * interval '1 minute' FROM generate_series(0, 10000) i`,
		`INSERT INTO reviews (org_id, id, repo_id, commit, patch_id, reviewer, name, approved, principal)
		SELECT $1, md5('v' || i)::uuid, md5('repo' || i % 2000)::uuid, md5('c' || i), md5('x' || i), 'a@b', '', true, '' FROM generate_series(0, 20000) i`,
		`INSERT INTO holds (org_id, id, decision_id, repo_id, ref, pusher, commits, released_at)
		SELECT org_id, id, id, repo_id, 'refs/heads/' || took_us, pusher, '{}', CASE WHEN random() < 0.9 THEN now() END FROM decisions WHERE org_id = $1`,
		`UPDATE decisions SET state = 'pending', due_at = at WHERE org_id = $1 AND abs(hashtext(id::text)) % 200 = 0`,
		`INSERT INTO pushed_commits (org_id, repo_id, commit, decision_id, patch_id, author_email, added, ai, human, noted, day)
		SELECT org_id, repo_id, md5(id::text || i), id, md5(id::text || i), '', 1, 0, 0, false, '2026-03-01' FROM decisions, generate_series(1, 3) i
		WHERE org_id = $1`,
		`INSERT INTO note_versions (org_id, repo_id, ref, commit, notes_commit, blob, author_name, author_email, authored_at, committed_at, current)
		SELECT org_id, repo_id, 'refs/notes/blameprompt', commit || 'x', 'n', 'b', '', '', now(), now(), true FROM pushed_commits WHERE org_id = $1`,
		`INSERT INTO receipt_commits (org_id, receipt_id, repo_id, ref, commit, blob, position, content_hash, first_noted_at, noted_at, notes_commit)
		SELECT org_id, commit, repo_id, 'api', commit || 'x', '', 0, '', now(), now(), '' FROM pushed_commits WHERE org_id = $1`,
		`INSERT INTO note_uploads (org_id, commit, blob, content, uploaded_by) SELECT org_id, commit || 'x', '', '', '' FROM pushed_commits WHERE org_id = $1`,
	} {
		exec(t, db, sql, org)
	}
	exec(t, db, `ANALYZE`)
}

// What a judgement asks for, and the regular look at decisions, is found by
// index.
func TestJudgingDoesNotWalkTables(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme").ID
	fillJudging(t, db, org)
	id := func(name string) uuid.UUID {
		return uuid.MustParse(storetest.Column(t, db, `SELECT md5($1)::uuid::text`, name)[0])
	}
	plans, err := store.ExplainTx(ctx, db, func(tx *store.Tx) error {
		_, err := tx.PushTarget(ctx, org, "repo-7")
		if err == nil {
			_, err = tx.Pusher(ctx, org, repoID(7), store.PusherClaim{Email: "dev9@example.com", Login: "dev9"})
		}
		if err == nil {
			_, err = tx.TeamNames(ctx, org, []string{"dev9@example.com", "dev10@example.com"})
		}
		if err == nil {
			_, err = tx.Reviews(ctx, org, repoID(7), []string{"c1", "c2"}, []string{"p1", "p2"})
		}
		if err == nil {
			_, err = tx.ActiveWaivers(ctx, org, repoID(7), "dev9@example.com", []uuid.UUID{id("p7"), id("p8")}, time.Now())
		}
		if err == nil {
			_, err = tx.ActiveHolds(ctx, org, repoID(1), []string{"refs/heads/main"})
		}
		if err == nil {
			_, err = tx.AcceptedPushes(ctx, org, repoID(1), uuid.Nil, 50)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, ids := range [][2]uuid.UUID{{org, repoID(1)}, {uuid.Nil, uuid.Nil}} {
		stale, err := store.ExplainStale(ctx, db, ids[0], ids[1])
		if err != nil {
			t.Fatal(err)
		}
		// The newest waiver of each organisation is asked for once.
		plans = append(plans, strings.ReplaceAll(stale[0], "Seq Scan on waivers", ""))
	}
	if len(plans) < 9 {
		t.Errorf("%d plans", len(plans))
	}
	for _, plan := range plans {
		if found := judgingWalk.FindString(plan); found != "" {
			t.Errorf("%s in\n%s", found, plan)
		}
	}
}

var judgingWalk = regexp.MustCompile(`Seq Scan on (decisions|holds|reviews|waivers|users|team_members|grants|pushed_\w+|note_versions|receipt_commits|note_uploads)\b`)
