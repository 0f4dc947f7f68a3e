package store_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

var moneyWalk = regexp.MustCompile(`Seq Scan on (receipts|prompts|prompt_sessions|commits|receipt_commits|findings)\b`)

// What follows from prices and people is found by index, however many receipts
// there are.
func TestMoneyDoesNotWalkTables(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme").ID
	storetest.Fill(t, db.Pool(), org, 20_000)
	for _, sql := range []string{
		`SELECT prompt_sessions_sum(ARRAY(SELECT DISTINCT ROW(org_id, provider, session_id)::session_key FROM prompts WHERE org_id = $1))`,
		`INSERT INTO price_due (org_id, model) VALUES ($1, 'gpt-5')`,
		`INSERT INTO claims_due SELECT org_id, id FROM receipts WHERE org_id = $1`,
		`INSERT INTO commits SELECT DISTINCT ON (repo_id, commit_hash) org_id, repo_id, commit_hash, '{}'::text[], 'Ada', 'ada@example.com', timestamp,
			'Ada', 'ada@example.com', timestamp, 'x', NULL::jsonb, false, '{}'::text[] FROM receipts WHERE org_id = $1`,
		`INSERT INTO findings (org_id, id, code, severity, message) SELECT $1, md5('f' || i)::uuid, 'x', 'info', '' FROM generate_series(1, 5000) i`,
	} {
		exec(t, db, sql, org)
	}
	exec(t, db, `ANALYZE`)
	rows, err := db.PromptSessions(t.Context(), org, store.PromptSessionFilter{}, nil, 300)
	if err != nil || len(rows) != 300 {
		t.Fatalf("%d sessions, %v", len(rows), err)
	}
	at := rows[299]
	plans, err := store.ExplainMoney(t.Context(), db, org, store.PromptSessionFilter{Provider: "claude"},
		&store.PromptSessionPosition{ID: at.ID, LastAt: at.LastAt})
	if err != nil {
		t.Fatal(err)
	}
	if len(plans) < 5 {
		t.Errorf("%d plans", len(plans))
	}
	for _, plan := range plans {
		if found := moneyWalk.FindString(plan); found != "" {
			t.Errorf("%s in\n%s", found, plan)
		}
	}
	for i, index := range []string{"prompt_sessions_time", "prompt_sessions_users"} {
		if !strings.Contains(plans[i], index) {
			t.Errorf("%s is not used:\n%s", index, plans[i])
		}
	}
}
