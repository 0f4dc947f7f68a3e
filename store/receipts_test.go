package store_test

import (
	"context"
	"crypto/md5"
	"fmt"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// choice is a filter and the same in plain SQL.
type choice struct {
	filter store.ReceiptFilter
	where  string
}

// draw makes a filter of up to three conditions.
func draw(r *rand.Rand) choice {
	var c choice
	conditions := []func(){
		func() {
			n := r.IntN(50)
			c.filter.Repos = []uuid.UUID{repoID(n)}
			c.and("EXISTS (SELECT FROM receipt_commits c WHERE c.receipt_id = r.id AND c.repo_id = '%s')", repoID(n))
		},
		func() {
			a, b := repoID(r.IntN(8)), repoID(r.IntN(50))
			c.filter.Repos = []uuid.UUID{a, b}
			c.and("EXISTS (SELECT FROM receipt_commits c WHERE c.receipt_id = r.id AND c.repo_id IN ('%s', '%s'))", a, b)
		},
		func() {
			c.filter.UserEmail = fmt.Sprintf("DEV%d@example.com", r.IntN(200))
			c.and("lower(user_email) = lower('%s')", c.filter.UserEmail)
		},
		func() {
			c.filter.UserName = fmt.Sprintf("dev %d", r.IntN(200))
			c.and("lower(user_name) = '%s'", c.filter.UserName)
		},
		func() {
			c.filter.Emails = []string{fmt.Sprintf("dev%d@example.com", r.IntN(200)), fmt.Sprintf("dev%d@example.com", r.IntN(200)), "x"}
			c.and("lower(user_email) IN ('%s')", strings.Join(c.filter.Emails, "', '"))
		},
		func() {
			c.filter.Model = []string{"gpt-4o", "gpt-5", "claude-opus-4-6", "claude-3-opus", "none"}[r.IntN(5)]
			c.and("model = '%s'", c.filter.Model)
		},
		func() {
			c.filter.Model = []string{"gpt*", "claude*4*", "*", "zzz*"}[r.IntN(4)]
			c.and("model LIKE '%s'", strings.ReplaceAll(c.filter.Model, "*", "%"))
		},
		func() {
			c.filter.Provider = []string{"claude", "codex", "gemini", "copilot"}[r.IntN(4)]
			c.and("provider = '%s'", c.filter.Provider)
		},
		func() {
			c.filter.Source = []string{"blameprompt", "git-ai", "api"}[r.IntN(3)]
			c.and("source = '%s'", c.filter.Source)
		},
		func() {
			current := r.IntN(2) == 0
			c.filter.Current = &current
			c.and("current = %v", current)
		},
		func() {
			c.filter.From = end.AddDate(0, 0, -r.IntN(400)).Add(time.Duration(r.IntN(86400)) * time.Second)
			c.filter.To = c.filter.From.AddDate(0, 0, r.IntN(60))
			c.and("timestamp >= '%s' AND timestamp < '%s'", c.filter.From.Format(time.RFC3339), c.filter.To.Format(time.RFC3339))
		},
		func() {
			c.filter.MinCost, c.filter.MaxCost = store.Decimal(fmt.Sprintf("%.2f", r.Float64())), "1.5"
			c.and("cost_usd >= %s AND cost_usd <= 1.5", c.filter.MinCost)
		},
		func() {
			c.filter.Text = "B" + string(rune('a'+r.IntN(26))) + "e"
			c.and("prompt_summary ILIKE '%%%s%%'", c.filter.Text)
		},
		func() {
			c.filter.Path = fmt.Sprintf("src/mod%d/", r.IntN(20))
			c.and("EXISTS (SELECT FROM receipt_files f WHERE f.receipt_id = r.id AND f.path LIKE '%s%%')", c.filter.Path)
		},
	}
	// The first two are of one field, so are the two of models.
	taken := map[int]bool{}
	for _, i := range r.Perm(len(conditions))[:1+r.IntN(3)] {
		field := map[int]int{1: 0, 6: 5}[i]
		if field == 0 && i != 1 {
			field = i
		}
		if !taken[field] {
			conditions[i]()
		}
		taken[field] = true
	}
	return c
}

func (c *choice) and(format string, args ...any) {
	if c.where != "" {
		c.where += " AND "
	}
	c.where += fmt.Sprintf(format, args...)
}

// end is the last moment of what storetest.Fill makes.
var end = time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)

func repoID(n int) uuid.UUID {
	return uuid.MustParse(repoIDs[n])
}

var repoIDs = func() []string {
	ids := make([]string, 50)
	for i := range ids {
		ids[i] = fmt.Sprintf("%x", md5.Sum([]byte(fmt.Sprintf("repo%d", i))))
	}
	return ids
}()

var plainOrder = map[store.ReceiptOrder]string{
	store.Newest: "timestamp DESC, id DESC", store.Oldest: "timestamp, id", store.Costliest: "cost_usd DESC NULLS LAST, id DESC",
}

// TestPagesAreThoseOfAPlainQuery compares what the bounded queries answer with
// what a plain one does, over random filters, orders and page sizes.
func TestPagesAreThoseOfAPlainQuery(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	storetest.Fill(t, db.Pool(), org.ID, 6000)
	if _, err := db.Pool().Exec(ctx, `UPDATE receipts SET cost_usd = NULL WHERE hashtext(id) % 7 = 0`); err != nil {
		t.Fatal(err)
	}
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	matched := 0
	for range 250 {
		c, order, limit := draw(r), store.ReceiptOrder(r.IntN(3)), 1+r.IntN(60)
		want := plain(t, db, org.ID, c, order)
		got, err := walk(ctx, db, org.ID, c.filter, order, limit)
		if err != nil {
			t.Fatal(err)
		}
		if len(want) > 5*limit {
			want = want[:5*limit]
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("seed %d: order %d in pages of %d by\n%s\n(-plain +got):\n%s", seed, order, limit, c.where, diff)
		}
		matched += len(want)
	}
	if matched < 2500 {
		t.Errorf("the filters matched only %d receipts together", matched)
	}
}

func plain(t *testing.T, db *store.DB, org uuid.UUID, c choice, order store.ReceiptOrder) []string {
	t.Helper()
	rows, err := db.Pool().Query(context.Background(), `SELECT id FROM receipts r WHERE org_id = $1 AND `+
		c.where+` ORDER BY `+plainOrder[order], org)
	if err != nil {
		t.Fatal(err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatalf("%v: %s", err, c.where)
	}
	return ids
}

// walk reads up to five pages.
func walk(ctx context.Context, db *store.DB, org uuid.UUID, f store.ReceiptFilter, order store.ReceiptOrder, limit int) ([]string, error) {
	ids := []string{}
	var after *store.ReceiptPosition
	for range 5 {
		page, err := db.Receipts(ctx, org, f, order, after, limit)
		if err != nil || len(page) == 0 {
			return ids, err
		}
		for i := range page {
			ids = append(ids, page[i].ID)
		}
		last := page[len(page)-1].Position()
		after = &last
	}
	return ids, nil
}

// TestHotQueriesDoNotWalkTables explains the queries that lists and analytics
// make, over 30,000 receipts, and finds none that reads a big table whole.
func TestHotQueriesDoNotWalkTables(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	storetest.Fill(t, db.Pool(), org.ID, 30_000)
	no := false
	for name, f := range map[string]store.ReceiptFilter{
		"repo and model":    {Repos: []uuid.UUID{repoID(3)}, Model: "gpt-5"},
		"repo and models":   {Repos: []uuid.UUID{repoID(3)}, Model: "claude*"},
		"repo and user":     {Repos: []uuid.UUID{repoID(3)}, UserEmail: "dev7@example.com"},
		"repo and name":     {Repos: []uuid.UUID{repoID(3)}, UserName: "dev 7"},
		"user and time":     {UserEmail: "dev7@example.com", From: end.AddDate(0, 0, -90), To: end.AddDate(0, 0, -60)},
		"provider and path": {Provider: "claude", Path: "src/mod7/file7_3.go"},
		"repo and prefix":   {Repos: []uuid.UUID{repoID(3)}, Path: "src/mod7/"},
		"team and model":    {Emails: []string{"dev2@example.com", "dev4@example.com", "dev6@example.com"}, Model: "gpt-5"},
		"commit and source": {Commit: "1234567", Source: "git-ai"},
		"repo and gone":     {Repos: []uuid.UUID{repoID(3)}, Current: &no},
		"repo and text":     {Repos: []uuid.UUID{repoID(3)}, Text: "zaqponth4"},
	} {
		_, plans, err := store.ExplainReceipts(ctx, db, org.ID, f, store.Newest, nil, 51)
		if err != nil {
			t.Fatal(err)
		}
		noWalk(t, name, plans)
	}
	for name, f := range map[string]store.AnalyticsFilter{
		"everything": {}, "a repository": {Repos: []uuid.UUID{repoID(3)}}, "a month": {From: end.AddDate(0, -1, 0), To: end},
		"a team": {Emails: []string{"dev2@example.com", "dev4@example.com"}},
	} {
		plans, err := store.ExplainAnalytics(ctx, db, org.ID, f)
		if err != nil {
			t.Fatal(err)
		}
		noWalk(t, "analytics of "+name, plans)
	}
}

var tableWalk = regexp.MustCompile(`Seq Scan on (receipts|receipt_files|receipt_commits|prompts|rollups)\b`)

func noWalk(t *testing.T, name string, plans []string) {
	t.Helper()
	if len(plans) == 0 {
		t.Errorf("%s: no query was explained", name)
	}
	for _, plan := range plans {
		if found := tableWalk.FindString(plan); found != "" {
			t.Errorf("%s: %s in\n%s", name, found, plan)
		}
	}
}
