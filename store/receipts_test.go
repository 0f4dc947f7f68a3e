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

func (c *choice) and(format string, args ...any) {
	if c.where != "" {
		c.where += " AND "
	}
	c.where += fmt.Sprintf(format, args...)
}

// conditions draw one condition each; of one field only one is taken.
var conditions = []struct {
	field string
	add   func(c *choice, r *rand.Rand)
}{
	{"repo", func(c *choice, r *rand.Rand) { c.filter.Repos = []uuid.UUID{repoID(r.IntN(50))} }},
	{"repo", func(c *choice, r *rand.Rand) { c.filter.Repos = []uuid.UUID{repoID(r.IntN(8)), repoID(r.IntN(50))} }},
	{"user", func(c *choice, r *rand.Rand) {
		c.filter.UserEmail = fmt.Sprintf("DEV%d@example.com", min(r.IntN(200), r.IntN(200)))
		c.and("lower(user_email) = lower('%s')", c.filter.UserEmail)
	}},
	{"user", func(c *choice, r *rand.Rand) {
		c.filter.UserName = fmt.Sprintf("dev %d", min(r.IntN(200), r.IntN(200)))
		c.and("lower(user_name) = '%s'", c.filter.UserName)
	}},
	{"team", func(c *choice, r *rand.Rand) {
		c.filter.Emails = []string{"x", fmt.Sprintf("dev%d@example.com", r.IntN(200)), "dev1@example.com", "dev3@example.com"}[r.IntN(4):]
		if r.IntN(10) == 0 {
			c.filter.Emails = []string{}
		}
		c.and("lower(user_email) = ANY ('{%s}')", strings.Join(c.filter.Emails, ","))
	}},
	{"model", func(c *choice, r *rand.Rand) {
		c.filter.Model = []string{"gpt-4o", "gpt-5", "claude-opus-4-6", "claude-3-opus", "none"}[r.IntN(5)]
		c.and("model = '%s'", c.filter.Model)
	}},
	{"model", func(c *choice, r *rand.Rand) {
		c.filter.Model = []string{"gpt*", "claude*4*", "*", "zzz*"}[r.IntN(4)]
		c.and("model LIKE '%s'", strings.ReplaceAll(c.filter.Model, "*", "%"))
	}},
	{"provider", func(c *choice, r *rand.Rand) {
		c.filter.Provider = []string{"claude", "codex", "gemini", "copilot"}[r.IntN(4)]
		c.and("provider = '%s'", c.filter.Provider)
	}},
	{"source", func(c *choice, r *rand.Rand) {
		c.filter.Source = []string{"blameprompt", "git-ai", "api"}[r.IntN(3)]
		c.and("source = '%s'", c.filter.Source)
	}},
	{"current", func(c *choice, r *rand.Rand) {
		current := r.IntN(2) == 0
		c.filter.Current = &current
		c.and("current = %v", current)
	}},
	{"time", func(c *choice, r *rand.Rand) {
		from := end.AddDate(0, 0, -r.IntN(400)).Add(time.Duration(r.IntN(86400)) * time.Second)
		to := from.AddDate(0, 0, r.IntN(2)*r.IntN(60)).Add(time.Hour)
		if which := r.IntN(4); which != 0 {
			c.filter.From = from
			c.and("timestamp >= '%s'", from.Format(time.RFC3339))
		} else if which != 1 {
			c.filter.To = to
			c.and("timestamp < '%s'", to.Format(time.RFC3339))
		}
	}},
	{"cost", func(c *choice, r *rand.Rand) {
		least := r.Float64() * r.Float64() * 2
		if which := r.IntN(4); which != 0 {
			c.filter.MinCost = store.Decimal(fmt.Sprintf("%.2f", least))
			c.and("cost_usd >= %s", c.filter.MinCost)
		} else if which != 1 {
			c.filter.MaxCost = store.Decimal(fmt.Sprintf("%.2f", least+r.Float64()*r.Float64()))
			c.and("cost_usd <= %s", c.filter.MaxCost)
		}
	}},
	{"text", func(c *choice, r *rand.Rand) {
		c.filter.Text = []string{"B" + string(rune('a'+r.IntN(26))) + "e", "iroga", "IRO", "o1 ", "7", "%", " "}[r.IntN(7)]
		c.and("strpos(lower(prompt_summary), lower('%s')) > 0", c.filter.Text)
	}},
	{"path", func(c *choice, r *rand.Rand) {
		c.filter.Path = []string{fmt.Sprintf("src/mod%d/", r.IntN(20)), "src/mod1/file1_2.go", "src/mod0/file0_0.go", "src/mod1/file21_1.go",
			"src/mod3/*_4.go", "src/*/file1*", "*2.go", "s*0/*", "src/", "src"}[r.IntN(10)]
		pattern := strings.NewReplacer("_", `\_`, "*", "%").Replace(c.filter.Path)
		if strings.HasSuffix(pattern, "/") {
			pattern += "%"
		}
		c.and("EXISTS (SELECT FROM receipt_files f WHERE f.receipt_id = r.id AND f.path LIKE '%s')", pattern)
	}},
	{"result", func(c *choice, r *rand.Rand) {
		c.filter.Result = store.ReceiptResults[r.IntN(4)]
		c.and("EXISTS (SELECT FROM receipt_commits c JOIN violations v ON v.commit = c.commit WHERE c.receipt_id = r.id AND %s)",
			map[store.ReceiptResult]string{"refused": "v.outcome = 'refuse' AND v.waiver_id IS NULL", "warned": "v.outcome = 'warn'",
				"waived": "v.waiver_id IS NOT NULL", "held": "false"}[c.filter.Result])
	}},
	{"commit", func(c *choice, r *rand.Rand) {
		sum := md5.Sum([]byte(fmt.Sprintf("%dc%d", r.IntN(8), r.IntN(2000))))
		c.filter.Commit = fmt.Sprintf("%x", sum)[:1+r.IntN(12)]
	}},
}

// draw makes a filter of up to three conditions.
func draw(r *rand.Rand) choice {
	var c choice
	taken := map[string]bool{}
	for _, i := range r.Perm(len(conditions))[:1+r.IntN(3)] {
		if !taken[conditions[i].field] {
			conditions[i].add(&c, r)
		}
		taken[conditions[i].field] = true
	}
	// A commit must carry the receipt in one of the repositories.
	if c.filter.Repos != nil || c.filter.Commit != "" {
		repos := make([]string, len(c.filter.Repos))
		for i, id := range c.filter.Repos {
			repos[i] = id.String()
		}
		c.and("EXISTS (SELECT FROM receipt_commits c WHERE c.receipt_id = r.id AND c.commit LIKE '%s%%' AND (%v OR c.repo_id = ANY ('{%s}')))",
			c.filter.Commit, len(repos) == 0, strings.Join(repos, ","))
	}
	return c
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
	storetest.FillViolations(t, db.Pool(), org.ID)
	unsettle(t, db)
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	matched := 0
	for range 400 {
		c, order, limit := draw(r), store.ReceiptOrder(r.IntN(3)), 1+r.IntN(60)
		want := plain(t, db, org.ID, c, order)
		if len(want) > 5*limit {
			want = want[:5*limit]
		}
		for name, receipts := range map[string]query{"DB.Receipts": (*store.DB).Receipts, "little effort": store.ReceiptsWithLittle} {
			got, err := walk(ctx, db, receipts, org.ID, c.filter, order, limit)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("seed %d: %s, order %d in pages of %d by\n%s\n(-plain +got):\n%s", seed, name, order, limit, c.where, diff)
			}
		}
		matched += len(want)
	}
	if matched < 4000 {
		t.Errorf("the filters matched only %d receipts together", matched)
	}
}

// unsettle changes what storetest.Fill made too even: some costs are unknown,
// those of some models are low, days are those of another time zone, and another
// organisation has receipts with the same ids and values.
func unsettle(t *testing.T, db *store.DB) {
	t.Helper()
	rival := storetest.MustOrg(t, db, "rival")
	conn, err := db.Pool().Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	for _, sql := range []string{
		`UPDATE receipts SET cost_usd = CASE WHEN hashtext(id) % 7 <> 0 AND model LIKE '%4%' THEN cost_usd / 50
			WHEN hashtext(id) % 7 <> 0 THEN cost_usd END, day = (timestamp AT TIME ZONE 'Pacific/Kiritimati')::date`,
		`CREATE TEMP TABLE theirs AS SELECT * FROM receipts WHERE hashtext(id) % 3 = 0`,
		`UPDATE theirs SET org_id = '` + rival.ID.String() + `'`,
		`INSERT INTO receipts SELECT * FROM theirs`,
		`DROP TABLE theirs`,
		`ANALYZE receipts`,
	} {
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Fatal(err)
		}
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

type query func(*store.DB, context.Context, uuid.UUID, store.ReceiptFilter, store.ReceiptOrder, *store.ReceiptPosition, int) ([]store.Receipt, error)

// walk reads up to five pages.
func walk(ctx context.Context, db *store.DB, receipts query, org uuid.UUID, f store.ReceiptFilter, order store.ReceiptOrder,
	limit int) ([]string, error) {
	ids := []string{}
	var after *store.ReceiptPosition
	for range 5 {
		page, err := receipts(db, ctx, org, f, order, after, limit)
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
	storetest.FillViolations(t, db.Pool(), org.ID)
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
		"result":            {Result: store.ResultRefused},
		"result and user":   {Result: store.ResultWarned, UserEmail: "dev7@example.com"},
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

// A period that begins after the last receipt of a provider or model has none of it,
// whatever else is asked for.
func TestNothingIsFoundAfterTheLastOfAKind(t *testing.T) {
	t.Parallel()
	ctx, db := context.Background(), storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	storetest.Fill(t, db.Pool(), org.ID, 20_000)
	for column, set := range map[string]func(*store.ReceiptFilter, string){
		"provider": func(f *store.ReceiptFilter, v string) { f.Provider = v },
		"model":    func(f *store.ReceiptFilter, v string) { f.Model = v },
	} {
		old := storetest.Column(t, db, `SELECT `+column+` FROM receipts GROUP BY 1 ORDER BY max(timestamp) LIMIT 1`)[0]
		var last time.Time
		if err := db.Pool().QueryRow(ctx, `SELECT max(timestamp) FROM receipts WHERE `+column+` = $1`, old).Scan(&last); err != nil {
			t.Fatal(err)
		}
		for _, days := range []int{1, 2, 3, 4, 40, 400} {
			for more, change := range map[string]func(*store.ReceiptFilter){
				"alone": func(*store.ReceiptFilter) {}, "with a text": func(f *store.ReceiptFilter) { f.Text = "bak" },
				"with a cost": func(f *store.ReceiptFilter) { f.MinCost = "0.5" }, "with a path": func(f *store.ReceiptFilter) { f.Path = "src/" },
				"with a user": func(f *store.ReceiptFilter) { f.UserEmail = "dev1@example.com" },
			} {
				f := store.ReceiptFilter{From: last.AddDate(0, 0, days)}
				set(&f, old)
				change(&f)
				for _, order := range []store.ReceiptOrder{store.Newest, store.Oldest, store.Costliest} {
					got, err := store.ReceiptsWithLittle(db, ctx, org.ID, f, order, nil, 10)
					if err != nil || len(got) != 0 {
						t.Errorf("%s %s, %d days after the last, order %d: %d receipts, %v", column, more, days, order, len(got), err)
					}
				}
			}
		}
	}
}
