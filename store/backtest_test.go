package store_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/backtest"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store/storetest"
)

func usd(t testing.TB, text string) *push.Decimal {
	t.Helper()
	d, err := push.ParseDecimal(text)
	if err != nil {
		t.Fatal(err)
	}
	return &d
}

func compiled(t testing.TB, rule string) *policy.Set {
	t.Helper()
	set, err := policy.Compile([]policy.Policy{document(t, `{"name":"tried","action":"block","rule":`+rule+`}`)})
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// TestABacktestReadsWhatIsStored records a push of one prompt for $1 and one
// commit of 10 AI lines in 20 every six hours for ten days, with the rollups
// that their receipts would leave, and one costly day before.
func TestABacktestReadsWhatIsStored(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	team := uuid.New()
	o.exec(`INSERT INTO teams (id, org_id, name) VALUES ($1, $2, 'core')`, team, o.org.ID)
	o.exec(`INSERT INTO team_members (org_id, team_id, email) VALUES ($1, $2, 'bob@example.com')`, o.org.ID, team)
	begin := time.Date(2026, 3, 5, 0, 0, 0, 0, time.UTC)
	o.spent(begin.AddDate(0, 0, -2), "50")
	for n := range 40 {
		at := begin.Add(time.Duration(n) * 6 * time.Hour)
		commit := push.Commit{OID: oid(n), Noted: true, Files: []push.File{{Path: "a", Added: 20, AI: 10}}}
		in := push.Input{Now: at, Today: at.Format(time.DateOnly), Repo: push.Repo{Name: "shop"},
			Pusher: push.Person{User: "bob@example.com", Teams: []string{"core"}}, Refs: []push.Ref{{Name: "refs/heads/main", Kind: push.Update}},
			Commits: []push.Commit{commit}, Receipts: []push.Receipt{{ID: fmt.Sprint("r", n), Commit: oid(n), Prompt: fmt.Sprint("p", n), CostUSD: usd(t, "1")}}}
		storetest.MustDecision(t, o.db, o.org, storetest.Decision{At: at, Repo: o.repo, Pusher: "bob@example.com", Input: in})
		o.spent(at, "1")
	}
	for rule, want := range map[string]int{
		`{"max_cost_per_day":4}`:                          0,
		`{"max_cost_per_day":3}`:                          10,
		`{"max_cost_per_day":2,"per":"repo"}`:             20,
		`{"max_cost_per_month":70}`:                       20,
		`{"max_cost_per_month":89,"per":"user"}`:          1,
		`{"max_cost_per_month":88,"per":"team"}`:          2,
		`{"max_ai_percentage":50,"window":"30d"}`:         0,
		`{"max_ai_percentage":49.9,"window":"30d"}`:       40,
		`{"expression":"push.ai <= 10 && push.ai >= 10"}`: 0,
	} {
		got, err := o.backtest(o.ctx, o.org.ID, compiled(t, rule), begin, begin.AddDate(0, 0, 10))
		if err != nil || got.Pushes != 40 || got.WouldRefuse != want || got.Stopped != "" {
			t.Errorf("%s: %d of %d refused, %v; want %d of 40", rule, got.WouldRefuse, got.Pushes, err, want)
		}
	}
	o.backtestBounds(begin)
}

// backtestBounds holds periods, organisations and records that are not there.
func (o *office) backtestBounds(begin time.Time) {
	o.t.Helper()
	set := compiled(o.t, `{"max_cost_per_day":0}`)
	part, err := o.backtest(o.ctx, o.org.ID, set, begin.AddDate(0, 0, 2), begin.AddDate(0, 0, 4))
	if err != nil || part.Pushes != 8 || part.WouldRefuse != 8 || len(part.Examples) != 8 {
		o.t.Errorf("two days: %+v, %v", part, err)
	}
	foreign := storetest.MustOrg(o.t, o.db, "rival")
	if none, err := o.backtest(o.ctx, foreign.ID, set, begin, begin.AddDate(1, 0, 0)); err != nil || none.Pushes != 0 {
		o.t.Errorf("another organisation: %+v, %v", none, err)
	}
	o.exec(`DELETE FROM decision_inputs WHERE decision_id IN (SELECT id FROM decisions ORDER BY id LIMIT 3)`)
	o.exec(`UPDATE decision_inputs SET input = json_build_object('now', repeat('x', 17000000))
		WHERE decision_id = (SELECT id FROM decisions ORDER BY id DESC LIMIT 1)`)
	got, err := o.backtest(o.ctx, o.org.ID, set, begin, begin.AddDate(0, 0, 10))
	if err != nil || got.WouldRefuse != 36 || len(got.NotJudged) != 2 || got.NotJudged[0].Pushes != 3 || got.NotJudged[1].Pushes != 1 {
		o.t.Errorf("with missing records: %+v, %v", got.NotJudged, err)
	}
	ctx, cancel := context.WithCancel(o.ctx)
	cancel()
	if got, err := o.backtest(ctx, o.org.ID, set, begin, begin.AddDate(0, 0, 10)); err != nil || got.Stopped == "" {
		o.t.Errorf("without time: %+v, %v", got, err)
	}
	o.db.Close()
	if _, err := o.backtest(o.ctx, o.org.ID, set, begin, begin.AddDate(0, 0, 10)); err == nil || errors.Is(err, context.Canceled) {
		o.t.Errorf("without a database: %v", err)
	}
}

// backtest judges pushes by what was recorded of them alone.
func (o *office) backtest(ctx context.Context, org uuid.UUID, set *policy.Set, from, to time.Time) (backtest.Result, error) {
	return backtest.Run(ctx, set, o.db.Books(org), func(yield func(backtest.Recorded, error) bool) {
		for row, err := range o.db.RecordedPushes(ctx, org, from, to) {
			one := backtest.Recorded{Decision: row.ID.String(), Told: row.Outcome, Missing: fmt.Sprint("missing, oversized ", row.Oversized)}
			if err == nil && row.Input != nil {
				one.Input = &push.Input{}
				err = json.Unmarshal(row.Input, one.Input)
			}
			if !yield(one, err) {
				return
			}
		}
	})
}

func (o *office) exec(sql string, args ...any) {
	o.t.Helper()
	if _, err := o.db.Pool().Exec(o.ctx, sql, args...); err != nil {
		o.t.Fatal(err)
	}
}

// spent adds to the rollups what a prompt of Bob's in the shop does.
func (o *office) spent(day time.Time, usd string) {
	o.t.Helper()
	for _, cell := range []struct {
		dimension, key string
		repo           uuid.UUID
	}{{"all", "", uuid.Nil}, {"all", "", o.repo.ID}, {"user", "bob@example.com", uuid.Nil}, {"user", "bob@example.com", o.repo.ID}} {
		o.exec(`INSERT INTO rollups AS r (org_id, dimension, repo_id, key, key2, day, cost_usd) VALUES ($1, $2, $3, $4, '', $5, $6)
			ON CONFLICT (org_id, dimension, repo_id, key, key2, day) DO UPDATE SET cost_usd = r.cost_usd + excluded.cost_usd`,
			o.org.ID, cell.dimension, cell.repo, cell.key, day, usd)
	}
}
