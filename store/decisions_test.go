package store_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// manyDecisions makes n decisions, one a minute from start on, of three
// pushers in two repositories; every tenth is refused by one policy.
func manyDecisions(t testing.TB, db *store.DB, org uuid.UUID, n int) {
	t.Helper()
	for _, sql := range []string{
		`INSERT INTO decisions (org_id, id, at, repo_id, repo, pusher, pusher_name, forge, via, refs, outcome, state, receipt_mode,
			commits, added, ai, human, verdict, took_us, request_id)
		SELECT $1, (lpad(to_hex((extract(epoch FROM t.at) * 1000)::bigint), 12, '0') || '7' || substr(md5(i::text), 1, 3)
		            || '8' || substr(md5(i::text), 4, 15))::uuid,
		       t.at, md5('repo' || i % 2)::uuid, 'repo-' || i % 2, 'dev' || i % 3 || '@example.com', 'Dev', 'git', 'push',
		       '[{"name": "refs/heads/main", "kind": "update"}]', CASE WHEN i % 10 = 0 THEN 'refuse' ELSE 'accept' END, 'final',
		       'deferred', 1, 10, 5, 0, '{"outcome": "accept", "findings": [], "policies": []}', 900, ''
		FROM generate_series(0, $2 - 1) i, LATERAL (SELECT timestamptz '2026-03-01 12:00Z' + i * interval '1 minute' AS at) t`,
		`INSERT INTO violations (org_id, id, decision_id, at, late, repo_id, repo, pusher, policy_id, policy_name, version, rule,
			outcome, commit, finding)
		SELECT org_id, id, id, at, false, repo_id, repo, pusher, md5('policy')::uuid, 'Models', 1, 'blocked_models', 'refuse', 'c1',
		       '{"policy_name": "Models", "message": "it is blocked"}'
		FROM decisions WHERE org_id = $1 AND outcome = 'refuse' AND $2 > 0`,
	} {
		if _, err := db.Pool().Exec(context.Background(), sql, org, n); err != nil {
			t.Fatal(err)
		}
	}
}

func TestDecisionsAreListedNewestFirst(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme").ID
	manyDecisions(t, db, org, 60)
	other := storetest.MustOrg(t, db, "other").ID
	at := func(minute int) time.Time { return start.Add(time.Duration(minute) * time.Minute) }
	for name, c := range map[string]struct {
		org  uuid.UUID
		f    store.DecisionFilter
		want int
	}{
		"all":           {org, store.DecisionFilter{}, 60},
		"another org":   {other, store.DecisionFilter{}, 0},
		"repo":          {org, store.DecisionFilter{Repo: uuid.MustParse(storetest.Column(t, db, `SELECT md5('repo1')::uuid::text`)[0])}, 30},
		"pusher":        {org, store.DecisionFilter{Pusher: "dev1@example.com"}, 20},
		"outcome":       {org, store.DecisionFilter{Outcome: push.Refuse}, 6},
		"state":         {org, store.DecisionFilter{State: store.StateHeld}, 0},
		"period":        {org, store.DecisionFilter{From: at(10), To: at(20)}, 10},
		"policy":        {org, store.DecisionFilter{Policy: uuid.MustParse(storetest.Column(t, db, `SELECT md5('policy')::uuid::text`)[0])}, 6},
		"other policy":  {org, store.DecisionFilter{Policy: org}, 0},
		"several of it": {org, store.DecisionFilter{Outcome: push.Refuse, From: at(15), Pusher: "dev2@example.com"}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got []store.Decision
			for after := uuid.Nil; ; {
				page, err := db.Decisions(context.Background(), c.org, c.f, after, 7)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, page...)
				if len(page) < 7 {
					break
				}
				after = page[len(page)-1].ID
			}
			if len(got) != c.want {
				t.Errorf("%d decisions, want %d", len(got), c.want)
			}
			for i := 1; i < len(got); i++ {
				if !got[i].At.Before(got[i-1].At) {
					t.Errorf("decision %d is of %s, the one before of %s", i, got[i].At, got[i-1].At)
				}
			}
		})
	}
}

func TestDecisionIsReadWithWhatHangsOnIt(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme").ID
	manyDecisions(t, db, org, 1)
	id := uuid.MustParse(storetest.Column(t, db, `SELECT id::text FROM decisions`)[0])
	got, err := db.Decision(context.Background(), org, id)
	if err != nil {
		t.Fatal(err)
	}
	if got.Outcome != push.Refuse || len(got.Violations) != 1 || got.Violations[0].Finding.Message != "it is blocked" {
		t.Errorf("got %+v", got)
	}
	if diff := cmp.Diff([]push.Ref{{Name: "refs/heads/main", Kind: push.Update}}, got.Refs); diff != "" {
		t.Error(diff)
	}
	if _, err := db.Decision(context.Background(), uuid.New(), id); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("reading it for another organisation: %v, want ErrNotFound", err)
	}
}

// Pages of violations of one pusher, and of one commit, read what they show and
// no more.
func TestViolationsAreFoundByIndex(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme").ID
	manyDecisions(t, db, org, 10)
	_, err := db.Pool().Exec(ctx, `
		INSERT INTO violations (org_id, id, decision_id, late, repo_id, repo, pusher, policy_id, policy_name, version, rule, outcome, commit, finding)
		SELECT v.org_id, md5('v' || i)::uuid, v.decision_id, false, v.repo_id, v.repo, 'dev' || i % 500 || '@example.com', v.policy_id, '', 1,
		       'blocked_models', 'refuse', md5('c' || i / 3), '{}'
		FROM violations v, generate_series(1, 40000) i WHERE v.org_id = $1`, org)
	if err != nil {
		t.Fatal(err)
	}
	exec(t, db, `ANALYZE violations`)
	commit := storetest.Column(t, db, `SELECT md5('c100')`)[0]
	for _, c := range []struct {
		filter store.ViolationFilter
		index  string
		want   int
	}{
		{store.ViolationFilter{Pusher: "dev7@example.com"}, "violations_pusher", 50},
		{store.ViolationFilter{Pusher: "nobody@example.com"}, "violations_pusher", 0},
		{store.ViolationFilter{Commit: commit}, "violations_commit", 3},
		{store.ViolationFilter{Commit: commit, Pusher: "dev301@example.com"}, "violations_commit", 1},
	} {
		page, plan, err := store.ExplainViolations(ctx, db, org, c.filter, 50)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) != c.want || !strings.Contains(plan, c.index) {
			t.Errorf("%+v: %d violations, want %d by %s:\n%s", c.filter, len(page), c.want, c.index, plan)
		}
	}
}

// A policy that only warned was violated in no push that was refused: the orders of
// both are walked side by side, and no decision is read to find that out.
func TestDecisionsOfAPolicyAreFoundByIndexes(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme").ID
	manyDecisions(t, db, org, 20_000)
	exec(t, db, `INSERT INTO violations (org_id, id, decision_id, late, repo_id, repo, pusher, policy_id, policy_name, version, rule, outcome, commit, finding)
		SELECT org_id, md5(id::text)::uuid, id, false, repo_id, repo, pusher, md5('mild')::uuid, '', 1, 'blocked_models', 'warn', 'c', '{}'
		FROM decisions WHERE org_id = $1 AND outcome = 'accept' AND commits > 0`, org)
	exec(t, db, `VACUUM ANALYZE decisions, violations`)
	mild := uuid.MustParse(storetest.Column(t, db, `SELECT md5('mild')::uuid::text`)[0])
	plan, err := store.ExplainDecisions(ctx, db, org, store.DecisionFilter{Outcome: push.Refuse, Policy: mild}, uuid.Nil, 50)
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(plan, "violations_judged") || !strings.Contains(plan, "Index Only Scan") || strings.Contains(plan, "Seq Scan") {
		t.Errorf("decisions are read to find that none match:\n%s", plan)
	}
}
