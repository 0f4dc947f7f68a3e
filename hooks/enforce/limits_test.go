package enforce_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/hooks/enforce"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// costing makes a push of one commit with one prompt of that cost.
func costing(name, cost string) hooks.Push {
	p := with(pushed(commit(name)), noted(name, good, cost))
	p.Notes[0].Receipts[0].Timestamp = noon
	return p
}

// Pushes that are judged at once pass one limit as if one came after the other:
// as many as fit below it, whatever daemon judges them.
func TestSimultaneousPushesShareALimit(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name         string
		rule         string
		pushes, pass int
	}{
		{"two, org and day", `{"max_cost_per_day": 10}`, 2, 1},
		{"twenty, org and month", `{"max_cost_per_month": 50}`, 20, 7},
		{"twenty, repo", `{"max_cost_per_day": 28, "per": "repo"}`, 20, 4},
		{"twenty, user", `{"max_cost_per_day": 21, "per": "user"}`, 20, 3},
		{"twenty, team", `{"max_cost_per_day": 21.5, "per": "team"}`, 20, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.team("core", ada)
			w.policy("Budget", "block", c.rule)
			daemons := []*enforce.Enforcer{w.Enforcer, w.daemon(storetest.OpenDSN(t, w.dsn))}
			var wait sync.WaitGroup
			outcomes := make([]push.Outcome, c.pushes)
			for i := range c.pushes {
				wait.Go(func() {
					a, err := daemons[i%2].Decide(context.Background(), w.by, repoName, costing(fmt.Sprintf("c%d", i), "7"))
					if err != nil {
						t.Error(err)
					}
					outcomes[i] = a.Verdict.Outcome
				})
			}
			wait.Wait()
			accepted := 0
			for _, o := range outcomes {
				if o == push.Accept {
					accepted++
				}
			}
			if accepted != c.pass {
				t.Errorf("%d of %d pushes of $7 passed, want %d: %v", accepted, c.pushes, c.pass, outcomes)
			}
			if kept := len(w.rows(`SELECT prompt_id::text FROM pushed_prompts`)); kept != c.pass {
				t.Errorf("%d prompts count, want %d", kept, c.pass)
			}
		})
	}
}

func (w *world) team(name string, emails ...string) {
	w.t.Helper()
	id := uuid.New()
	w.exec(`INSERT INTO teams (id, org_id, name) VALUES ($1, $2, $3)`, id, w.org.ID, name)
	for _, email := range emails {
		w.exec(`INSERT INTO team_members (org_id, team_id, email) VALUES ($1, $2, $3)`, w.org.ID, id, email)
	}
}

func TestSimultaneousPushesShareAWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("Share", "block", `{"max_ai_percentage": 50, "window": "7d"}`)
	// 100 lines of unknown origin first, then pushes of 10 AI lines: after ten of
	// them half of all lines are AI.
	base := pushed()
	for i := range 10 {
		base.Commits = append(base.Commits, commit(fmt.Sprintf("b%d", i)))
		base.Notes = append(base.Notes, hooks.Note{Commit: oid(fmt.Sprintf("b%d", i)), Ref: "refs/notes/ai"})
	}
	w.decide(base)
	var wait sync.WaitGroup
	var mu sync.Mutex
	accepted := 0
	for i := range 16 {
		wait.Go(func() {
			a, err := w.Decide(context.Background(), w.by, repoName, costing(fmt.Sprintf("c%d", i), ""))
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if a.Verdict.Outcome == push.Accept {
				accepted++
			}
		})
	}
	wait.Wait()
	if accepted != 10 {
		t.Errorf("%d pushes passed, want 10", accepted)
	}
	if sums := w.rows(`SELECT format('%s %s %s', commits, added, ai) FROM pushed_days`); !slices.Equal(sums, []string{"20 200 100"}) {
		t.Errorf("the days hold %v", sums)
	}
}

// A prompt counts once: before its note is stored, when it is, and when it is
// pushed again.
func TestPromptsCountOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("Budget", "block", `{"max_cost_per_day": 10}`)
	spent := func() string {
		t.Helper()
		var sum push.Decimal
		err := w.db.InTx(context.Background(), func(tx *store.Tx) error {
			answer, err := tx.Totals(context.Background(), store.TotalsQuestion{OrgID: w.org.ID, RepoID: w.repo.ID, Today: noon.Truncate(24 * time.Hour),
				Needs: push.Needs{Accounts: []push.Account{{Per: push.PerOrg, Period: "2026-11-23"}}}})
			for _, s := range answer.Spent {
				sum = sum.Add(s.USD)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		return sum.String()
	}
	want := func(what, usd string) {
		t.Helper()
		if got := spent(); got != usd {
			t.Errorf("%s: $%s is spent, want $%s", what, got, usd)
		}
	}
	w.decide(costing("c1", "4"))
	want("pushed", "4")
	if a := w.decide(costing("c1", "4")); a.Refused() {
		t.Error("the same prompt is refused when it is pushed again")
	}
	want("pushed again", "4")
	w.arrive("c1", good, "4")
	want("stored", "4")
	w.due()
	if left := w.rows(`SELECT prompt_id::text FROM pushed_prompts`); len(left) != 0 {
		t.Errorf("%d prompts are still kept beside the stored ones", len(left))
	}
	want("pruned", "4")
	if a := w.decide(costing("c1", "9")); a.Refused() {
		t.Errorf("a larger report of a stored prompt is refused below the limit:\n%s", a.Text(hooks.Git))
	}
	want("a larger report", "9")
	w.due()
	want("a larger report than the stored one is not pruned", "9")
	if a := w.decide(costing("c2", "1.01")); !a.Refused() {
		t.Error("a push beyond the limit passed")
	}
	if a := w.decide(costing("c3", "1.00")); a.Refused() {
		t.Error("a push at the limit was refused")
	}
}

// Accepted pushes cost what they bring on the day of each prompt, for who
// prompted, else the pusher.
func TestCostsAreLaidToWhoPrompted(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.team("core", ada)
	w.team("all", ada, bob)
	p := pushed(commit("c1"))
	note := noted("c1", good, "3")
	number := int64(2)
	note.Receipts = append(note.Receipts,
		hooks.Receipt{ID: "r2", Provider: "claude", SessionID: "s", PromptNumber: &number, CostUSD: "2", UserEmail: "BOB@example.com", Timestamp: noon},
		hooks.Receipt{ID: "r3", CostUSD: "1", Timestamp: noon.Add(-40 * 24 * time.Hour)},
		hooks.Receipt{ID: "r4", CostUSD: "0.5"})
	w.decide(as(bob, with(p, note)))
	accounts := []push.Account{
		{Per: push.PerOrg, Period: "2026-11-23"}, {Per: push.PerOrg, Period: "2026-11"}, {Per: push.PerOrg, Period: "2026-10"},
		{Per: push.PerRepo, Key: repoName, Period: "2026-11"}, {Per: push.PerUser, Key: ada, Period: "2026-11-23"},
		{Per: push.PerUser, Key: bob, Period: "2026-11"}, {Per: push.PerUser, Key: bob, Period: "2026-10-14"},
		{Per: push.PerTeam, Key: "core", Period: "2026-11-23"}, {Per: push.PerTeam, Key: "all", Period: "2026-11"},
		{Per: push.PerTeam, Key: "none", Period: "2026-11"}, {Per: push.PerUser, Key: "eve\x00", Period: "bad"},
	}
	want := []string{"5.5", "5.5", "1", "5.5", "3", "2.5", "1", "3", "5.5", "", ""}
	err := w.db.InTx(context.Background(), func(tx *store.Tx) error {
		answer, err := tx.Totals(context.Background(), store.TotalsQuestion{OrgID: w.org.ID, RepoID: w.repo.ID, Needs: push.Needs{Accounts: accounts}})
		for i, a := range accounts {
			got := ""
			for _, s := range answer.Spent {
				if s.Account == a {
					got = s.USD.String()
				}
			}
			if got != want[i] {
				t.Errorf("%+v has spent %q, want %q", a, got, want[i])
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// Whatever comes, in whatever order and on whatever daemon: the decisions on
// record are the answers that were given, and what counts is what they accepted.
func TestRecordedDecisionsAreTheAnswersGiven(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("Models", "block", noModels)
	w.policy("Budget", "block", `{"max_cost_per_day": 40}`)
	w.policy("Old models", "warn", `{"blocked_models": ["haiku*"]}`)
	daemons := []*enforce.Enforcer{w.Enforcer, w.daemon(storetest.OpenDSN(t, w.dsn))}
	var mu sync.Mutex
	answers := map[string]hooks.Answer{}
	var wait sync.WaitGroup
	for worker := range 8 {
		wait.Go(func() {
			rng := rand.New(rand.NewPCG(uint64(worker), 5))
			for i := range 12 {
				p := randomPush(rng, fmt.Sprintf("w%d-%d", worker, i))
				a, err := daemons[rng.IntN(2)].Decide(context.Background(), w.by, repoName, p)
				if err != nil {
					t.Error(err)
					continue
				}
				mu.Lock()
				answers[a.Decision] = a
				mu.Unlock()
			}
		})
		// Late verdicts are made beside them.
		wait.Go(func() {
			if err := daemons[worker%2].Due(context.Background()); err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	recorded, err := w.db.Decisions(context.Background(), w.org.ID, store.DecisionFilter{}, uuid.Nil, 1000)
	if err != nil {
		t.Fatal(err)
	}
	if len(recorded) != 96 || len(answers) != 96 {
		t.Errorf("%d decisions and %d answers, want 96", len(recorded), len(answers))
	}
	commits, spent := 0, push.Decimal{}
	for _, d := range recorded {
		a, ok := answers[d.ID.String()]
		if !ok || a.Verdict.Outcome != d.Outcome {
			t.Errorf("decision %s is %s, answered %q", d.ID, d.Outcome, a.Verdict.Outcome)
		}
		if d.Outcome != push.Refuse {
			commits += d.Commits
		}
	}
	for _, usd := range w.rows(`SELECT cost_usd::text FROM pushed_prompts`) {
		cost, err := push.ParseDecimal(usd)
		if err != nil {
			t.Fatal(err)
		}
		spent = spent.Add(cost)
	}
	if got := w.rows(`SELECT count(*)::text FROM pushed_commits`)[0]; got != fmt.Sprint(commits) {
		t.Errorf("%s commits count, want %d", got, commits)
	}
	if spent.Cmp(push.DecimalOf(40)) > 0 {
		t.Errorf("$%s was spent below a limit of $40", spent)
	}
}

func randomPush(rng *rand.Rand, name string) hooks.Push {
	p := pushed()
	for i := range 1 + rng.IntN(3) {
		one := fmt.Sprintf("%s-%d", name, i)
		// The name must fit into an id.
		one = one[max(0, len(one)-20):]
		c := commit(one)
		if rng.IntN(2) == 0 {
			c = marked(one)
		}
		p.Commits = append(p.Commits, c)
		if rng.IntN(3) > 0 {
			n := noted(one, []string{good, good, good, bad, poor}[rng.IntN(5)], fmt.Sprint(rng.IntN(3)))
			n.Receipts[0].Timestamp = noon
			p.Notes = append(p.Notes, n)
		}
	}
	p.Refs[0].New = p.Commits[len(p.Commits)-1].OID
	return p
}

func TestDatabaseThatIsAway(t *testing.T) {
	t.Parallel()
	db, err := store.Open(context.Background(), store.Config{DSN: "postgres://nobody@127.0.0.1:1/none?connect_timeout=1"})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	e := enforce.New(enforce.Config{DB: db})
	p := pushed(commit("c1"))
	if _, err := e.Decide(context.Background(), access.Principal{Org: uuid.New()}, repoName, p); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("deciding: %v, want ErrUnavailable", err)
	}
	if err := e.Received(context.Background(), access.Principal{Org: uuid.New()}, repoName, p); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("noting a push: %v, want ErrUnavailable", err)
	}
	if err := e.Due(context.Background()); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("looking at what is due: %v, want ErrUnavailable", err)
	}
}
