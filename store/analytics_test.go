package store_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// Whatever the period, the repositories and the people: sums over months and
// days are those over the receipts and prompts themselves.
func TestAnalyticsEqualSumsOverTheRows(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	storetest.Fill(t, db.Pool(), org.ID, 20_000)
	first := mustDay(t, storetest.Column(t, db, `SELECT min(day)::text FROM receipts`)[0])
	repos := storetest.Column(t, db, `SELECT id::text FROM repos ORDER BY name`)
	people := storetest.Column(t, db, `SELECT DISTINCT lower(user_email) FROM receipts ORDER BY 1`)
	for seed := range uint64(60) {
		rng := rand.New(rand.NewPCG(seed, 7))
		f := randomFilter(rng, first, repos, people)
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			got, err := db.Analytics(context.Background(), org.ID, f, 1000)
			if err != nil {
				t.Fatal(err)
			}
			var sums []string
			for _, k := range got.Models {
				sums = append(sums, fmt.Sprintf("model %s %d %s", k.Key, k.Receipts, k.CostUSD))
			}
			for _, k := range got.Repos {
				sums = append(sums, fmt.Sprintf("repo %s %d %s", k.Key, k.Receipts, k.CostUSD))
			}
			sums = append(sums, fmt.Sprintf("total %d %d %s", got.Total.Receipts, got.Total.Prompts, got.Total.CostUSD))
			sortStrings := cmpopts.SortSlices(func(a, b string) bool { return a < b })
			if diff := cmp.Diff(naiveSums(t, db, f), sums, sortStrings); diff != "" {
				t.Errorf("%+v (-rows +rollups):\n%s", f, diff)
			}
		})
	}
}

func randomFilter(rng *rand.Rand, first time.Time, repos, people []string) store.AnalyticsFilter {
	var f store.AnalyticsFilter
	if rng.IntN(3) > 0 {
		f.From = first.AddDate(0, 0, rng.IntN(400))
	}
	if rng.IntN(3) > 0 {
		f.To = first.AddDate(0, 0, rng.IntN(400))
		if f.To.Before(f.From) {
			f.From, f.To = f.To, f.From
		}
	}
	if rng.IntN(3) == 0 {
		f.Repos = []uuid.UUID{uuid.MustParse(repos[rng.IntN(len(repos))]), uuid.MustParse(repos[rng.IntN(len(repos))])}
	}
	if rng.IntN(3) == 0 {
		f.Emails = []string{people[rng.IntN(len(people))], people[rng.IntN(len(people))], "nobody@example.com"}
	}
	return f
}

func naiveSums(t *testing.T, db *store.DB, f store.AnalyticsFilter) []string {
	const rows = `WITH r AS (SELECT * FROM receipts WHERE %[1]s), p AS (SELECT * FROM prompts WHERE %[1]s),
		k AS (SELECT 'model ' || model AS key, 1 AS n, 0::numeric AS cost FROM r UNION ALL SELECT 'model ' || model, 0, coalesce(cost_usd, 0) FROM p
			UNION ALL SELECT 'repo ' || repo, 1, 0 FROM r
			UNION ALL SELECT 'repo ' || (SELECT name FROM repos WHERE id = p.repo_id), 0, coalesce(cost_usd, 0) FROM p)
		SELECT format('%%s %%s %%s', key, sum(n), trim_scale(sum(cost))) FROM k GROUP BY key
		UNION ALL
		SELECT format('total %%s %%s %%s', (SELECT count(*) FROM r), (SELECT count(*) FROM p), trim_scale(coalesce((SELECT sum(cost_usd) FROM p), 0)))`
	const chosen = `($1::date IS NULL OR day >= $1) AND ($2::date IS NULL OR day <= $2)
		AND ($3::uuid[] IS NULL OR repo_id = ANY($3)) AND ($4::text[] IS NULL OR lower(user_email) = ANY($4))`
	optional := func(day time.Time) any {
		if day.IsZero() {
			return nil
		}
		return day
	}
	return storetest.Column(t, db, fmt.Sprintf(rows, chosen), optional(f.From), optional(f.To), f.Repos, f.Emails)
}

func mustDay(t *testing.T, text string) time.Time {
	t.Helper()
	day, err := time.Parse(time.DateOnly, text)
	if err != nil {
		t.Fatal(err)
	}
	return day
}
