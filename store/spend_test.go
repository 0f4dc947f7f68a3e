package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"regexp"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// fillPushed leaves prompts of the last days that were pushed: a third is
// stored with less than it cost, a third with as much.
func fillPushed(t testing.TB, db *store.DB, org uuid.UUID, n int) {
	t.Helper()
	for _, sql := range []string{
		`INSERT INTO pushed_prompts (org_id, prompt_id, decision_id, repo_id, user_email, day, cost_usd)
		SELECT $1, md5('unstored' || i)::uuid, $1, md5('repo' || i % 50)::uuid, 'dev' || i % 200 || '@example.com',
		       date '2026-06-30' - i % 40, i % 7 * 0.01 FROM generate_series(1, $2) i`,
		`INSERT INTO pushed_prompts (org_id, prompt_id, decision_id, repo_id, user_email, day, cost_usd)
		SELECT org_id, prompt_id, org_id, repo_id, lower(user_email), day, coalesce(cost_usd, 0) + hashtext(prompt_id::text) % 2 * 0.5
		FROM prompts WHERE org_id = $1 AND day > date '2026-06-30' - 40 LIMIT $2 * 2`,
		`INSERT INTO pushed_commits (org_id, repo_id, commit, decision_id, patch_id, author_email, added, ai, human, noted, day)
		SELECT $1, md5('repo' || i % 50)::uuid, md5('c' || i) || '00000000', $1, '', '', i % 50, i % 20, i % 10, true, date '2026-06-30' - i % 100
		FROM generate_series(1, $2 * 5) i`,
		`ANALYZE`,
	} {
		args := []any{org, n}
		if sql == `ANALYZE` {
			args = nil
		}
		if _, err := db.Pool().Exec(context.Background(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
}

func teamNo(n int) []string {
	var emails []string
	for i := range 20 {
		emails = append(emails, fmt.Sprintf("dev%d@example.com", (n*20+i)*2))
	}
	return emails
}

// Totals are what the rows themselves add up to, whatever is asked for.
func TestTotalsEqualSumsOverTheRows(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	storetest.Fill(t, db.Pool(), org.ID, 10_000)
	fillPushed(t, db, org.ID, 1_000)
	for seed := range uint64(40) {
		rng := rand.New(rand.NewPCG(seed, 3))
		disturb(t, db, rng)
		ask := randomQuestion(rng, org.ID)
		got, plans, err := store.ExplainTotals(ctx, db, ask)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(naiveTotals(t, db, ask), readable(got)); diff != "" {
			t.Errorf("%+v (-rows +rollups):\n%s", ask.Needs, diff)
		}
		for _, plan := range plans {
			if found := totalsWalk.FindString(plan); found != "" {
				t.Errorf("%s in\n%s", found, plan)
			}
		}
	}
}

// Totals come from sums and from what no note has yet: never from receipts, nor
// from whole tables.
var totalsWalk = regexp.MustCompile(`receipts\b|Seq Scan on (prompts|rollups|rollup_months|pushed_prompts|pushed_commits|pushed_days)\b`)

// disturb sums some prompts up, stores, changes or removes some, and pushes some
// again: totals must not depend on any of the order.
func disturb(t *testing.T, db *store.DB, rng *rand.Rand) {
	t.Helper()
	switch rng.IntN(5) {
	case 0:
		if _, err := store.SumPushedPrompts(context.Background(), db, time.Duration(rng.IntN(2))*time.Hour, 1+rng.IntN(3000)); err != nil {
			t.Fatal(err)
		}
	case 1:
		exec(t, db, `INSERT INTO prompts (org_id, prompt_id, provider, session_id, receipts, receipt_id, repo_id, model, user_email, source, timestamp,
				day, current, cost_usd)
			SELECT org_id, prompt_id, '', '', 1, '', repo_id, '', CASE WHEN $1 % 3 > 0 THEN user_email ELSE '' END, 'api', now(), day, true, cost_usd * (hashtext(prompt_id::text) % 3)
			FROM pushed_prompts WHERE hashtext(prompt_id::text) % 20 = $1 ON CONFLICT DO NOTHING`, rng.IntN(20))
	case 2:
		exec(t, db, `UPDATE prompts SET cost_usd = coalesce(cost_usd, 0) + 0.25 WHERE hashtext(prompt_id::text) % 50 = $1`, rng.IntN(50))
	case 3:
		exec(t, db, `DELETE FROM prompts WHERE source = 'api' AND hashtext(prompt_id::text) % 10 = $1
			AND EXISTS (SELECT FROM pushed_prompts p WHERE p.prompt_id = prompts.prompt_id)`, rng.IntN(10))
	case 4:
		exec(t, db, `UPDATE pushed_prompts SET cost_usd = cost_usd + 1, stale = summed_usd IS NOT NULL
			WHERE hashtext(prompt_id::text) % 40 = $1`, rng.IntN(40))
	}
}

func exec(t *testing.T, db *store.DB, sql string, args ...any) {
	t.Helper()
	if _, err := db.Pool().Exec(context.Background(), sql, args...); err != nil {
		t.Fatal(err)
	}
}

func randomQuestion(rng *rand.Rand, org uuid.UUID) store.TotalsQuestion {
	day := time.Date(2026, 6, 30, 0, 0, 0, 0, time.UTC)
	ask := store.TotalsQuestion{OrgID: org, RepoID: repoID(rng.IntN(8)), Today: day}
	for range rng.IntN(6) {
		a := push.Account{Per: []push.Per{push.PerOrg, push.PerRepo, push.PerUser, push.PerTeam}[rng.IntN(4)],
			Period: day.AddDate(0, 0, -rng.IntN(60)).Format([]string{time.DateOnly, "2006-01"}[rng.IntN(2)])}
		switch a.Per {
		case push.PerUser:
			a.Key = fmt.Sprintf("dev%d@example.com", rng.IntN(30))
		case push.PerTeam:
			a.Key = fmt.Sprintf("team-%d", rng.IntN(6))
		}
		ask.Needs.Accounts = append(ask.Needs.Accounts, a)
	}
	for _, n := range []int{1, 7, 30, 90} {
		if rng.IntN(2) == 0 {
			ask.Needs.Windows = append(ask.Needs.Windows, n)
		}
	}
	return ask
}

func readable(got store.TotalsAnswer) []string {
	var out []string
	for _, s := range got.Spent {
		if s.USD.Sign() != 0 {
			out = append(out, fmt.Sprintf("%s %s %s: %s", s.Per, s.Key, s.Period, s.USD))
		}
	}
	for _, w := range got.Windows {
		out = append(out, fmt.Sprintf("%d days: %+v", w.Days, w.Lines))
	}
	return sorted(out)
}

func sorted(list []string) []string {
	seen := map[string]bool{}
	var out []string
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	for i := range out {
		for j := i + 1; j < len(out); j++ {
			if out[j] < out[i] {
				out[i], out[j] = out[j], out[i]
			}
		}
	}
	return out
}

// naiveTotals reads every row.
func naiveTotals(t *testing.T, db *store.DB, ask store.TotalsQuestion) []string {
	t.Helper()
	var out []string
	for _, a := range ask.Needs.Accounts {
		people := []string{a.Key}
		if a.Per == push.PerTeam {
			people = nil
			for n := range 5 {
				if a.Key == fmt.Sprintf("team-%d", n) {
					people = teamNo(n)
				}
			}
		}
		sum := storetest.Column(t, db, `
			SELECT trim_scale(coalesce(sum(usd), 0))::text FROM (
				SELECT repo_id, lower(user_email) AS who, day, coalesce(cost_usd, 0) AS usd FROM prompts
				UNION ALL
				SELECT p.repo_id, p.user_email, p.day, CASE WHEN s.user_email = '' AND $2 IN ('user', 'team') THEN p.cost_usd
					ELSE greatest(p.cost_usd - coalesce(s.cost_usd, 0), 0) END
				FROM pushed_prompts p LEFT JOIN prompts s USING (prompt_id)) x
			WHERE day::text LIKE $1 || '%' AND ($2 = 'org' OR $2 = 'repo' AND repo_id = $3 OR $2 IN ('user', 'team') AND who = ANY($4))`,
			a.Period, string(a.Per), ask.RepoID, people)[0]
		if sum != "0" {
			out = append(out, fmt.Sprintf("%s %s %s: %s", a.Per, a.Key, a.Period, sum))
		}
	}
	for _, n := range ask.Needs.Windows {
		out = append(out, storetest.Column(t, db, `
			SELECT format('%s days: {Added:%s AI:%s Human:%s}', $1::int, coalesce(sum(added), 0), coalesce(sum(ai), 0), coalesce(sum(human), 0))
			FROM pushed_commits WHERE repo_id = $2 AND day > $3::date - $1::int AND day <= $3`, n, ask.RepoID, ask.Today)...)
	}
	return sorted(out)
}

// Lists of decisions follow an index, whatever is filtered.
func TestListsOfDecisionsDoNotWalkTheTable(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme").ID
	manyDecisions(t, db, org, 20_000)
	if _, err := db.Pool().Exec(ctx, `ANALYZE`); err != nil {
		t.Fatal(err)
	}
	at := func(minute int) time.Time { return start.Add(time.Duration(minute) * time.Minute) }
	for name, f := range map[string]store.DecisionFilter{
		"all": {}, "repo": {Repo: repoID(1)}, "pusher": {Pusher: "dev1@example.com"}, "outcome": {Outcome: push.Refuse},
		"held": {State: store.StateHeld, Repo: repoID(1)}, "a day of the past": {From: at(100), To: at(200)}, "nothing": {Pusher: "nobody"},
	} {
		plan, err := store.ExplainDecisions(ctx, db, org, f, uuid.Nil, 51)
		if err != nil {
			t.Fatal(err)
		}
		if regexp.MustCompile(`Seq Scan on decisions`).MatchString(plan) {
			t.Errorf("%s:\n%s", name, plan)
		}
	}
}
