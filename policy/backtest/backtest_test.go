package backtest_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/backtest"
	"github.com/blameprompt/enterprise/policy/push"
)

// ledger is what accepted pushes brought: costs by owner and day, lines by
// repository and day. As Books it stands for the rollups.
type ledger struct {
	costs map[string]push.Decimal
	lines map[string]push.Lines
	asked map[string]int
}

func newLedger() *ledger {
	return &ledger{costs: map[string]push.Decimal{}, lines: map[string]push.Lines{}, asked: map[string]int{}}
}

func (l *ledger) Spent(_ context.Context, per push.Per, key, month string) (map[string]push.Decimal, error) {
	l.asked[fmt.Sprint(per, key, month)]++
	out := map[string]push.Decimal{}
	for at, usd := range l.costs {
		if prefix := fmt.Sprint(per, " ", key, " "); strings.HasPrefix(at, prefix+month) {
			out[at[len(prefix):]] = usd
		}
	}
	return out, nil
}

func (l *ledger) Added(_ context.Context, repo, from string) (map[string]push.Lines, error) {
	l.asked[repo]++
	out := map[string]push.Lines{}
	for at, lines := range l.lines {
		if day, ok := strings.CutPrefix(at, repo+" "); ok && day >= from {
			out[day] = lines
		}
	}
	return out, nil
}

// totals are the sums at this moment, as a daemon that judges would read them.
func (l *ledger) totals(in *push.Input, needs push.Needs) (totals push.Totals) {
	for _, a := range needs.Accounts {
		var sum push.Decimal
		for at, usd := range l.costs {
			if strings.HasPrefix(at, fmt.Sprint(a.Per, " ", a.Key, " ", a.Period)) {
				sum = sum.Add(usd)
			}
		}
		totals.Spent = append(totals.Spent, push.Spent{Account: a, USD: sum})
	}
	today, _ := time.Parse(time.DateOnly, in.Today)
	for _, days := range needs.Windows {
		var sum push.Lines
		for i := range days {
			sum = sum.Plus(l.lines[in.Repo.Name+" "+today.AddDate(0, 0, -i).Format(time.DateOnly)])
		}
		totals.Windows = append(totals.Windows, push.Window{Days: days, Lines: sum})
	}
	return totals
}

// add books a push whose prompts are all of its day and come once.
func (l *ledger) add(in *push.Input) {
	for i := range in.Commits {
		at := in.Repo.Name + " " + in.Today
		l.lines[at] = l.lines[at].Plus(in.Commits[i].Lines())
	}
	for _, r := range in.Receipts {
		user := r.User
		if user == "" {
			user = in.Pusher.User
		}
		for _, owner := range []string{"org ", "repo " + in.Repo.Name, "user " + user, "team core"} {
			at := owner + " " + in.Today
			l.costs[at] = l.costs[at].Add(*r.CostUSD)
		}
	}
}

func dollars(t testing.TB, text string) *push.Decimal {
	t.Helper()
	d, err := push.ParseDecimal(text)
	if err != nil {
		t.Fatal(err)
	}
	return &d
}

func setOf(t testing.TB, documents ...string) *policy.Set {
	t.Helper()
	var policies []policy.Policy
	for _, d := range documents {
		p, err := policy.Parse([]byte(d))
		if err != nil {
			t.Fatal(err)
		}
		policies = append(policies, p)
	}
	set, err := policy.Compile(policies)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func recorded(told push.Outcome, in push.Input) backtest.Recorded {
	in.Receipts = slices.Clone(in.Receipts)
	return backtest.Recorded{Decision: in.Today + in.Commits[0].OID, Told: told, Input: &in, Repo: in.Repo.Name}
}

func each(list ...backtest.Recorded) iter.Seq2[backtest.Recorded, error] {
	return func(yield func(backtest.Recorded, error) bool) {
		for _, one := range list {
			if !yield(one, nil) {
				return
			}
		}
	}
}

// aPush has one commit with AI lines and prompts of these costs.
func aPush(t testing.TB, day string, n int, ai int64, costs ...string) push.Input {
	t.Helper()
	oid := fmt.Sprintf("%040x", n)
	in := push.Input{Today: day, Pusher: push.Person{User: fmt.Sprintf("dev%d@example.com", n%3), Teams: []string{"core"}},
		Repo: push.Repo{Name: fmt.Sprint("repo", n%2)}, Refs: []push.Ref{{Name: "refs/heads/main", Kind: push.Update}},
		Commits: []push.Commit{{OID: oid, Noted: true, Files: []push.File{{Path: "a.go", Added: ai + 10, AI: ai, Human: 3}}}}}
	for i, cost := range costs {
		in.Receipts = append(in.Receipts, push.Receipt{ID: fmt.Sprint("r", n, ".", i), Commit: oid, Prompt: fmt.Sprint("p", n, ".", i),
			Day: day, CostUSD: dollars(t, cost)})
	}
	return in
}

// TestSumsAreThoseOfTheMoment compares, for rules that read totals, a backtest
// with judging every push when it was made.
func TestSumsAreThoseOfTheMoment(t *testing.T) {
	t.Parallel()
	for _, rule := range []string{
		`{"max_cost_per_day":20}`, `{"max_cost_per_day":9,"per":"repo"}`, `{"max_cost_per_day":7,"per":"user"}`,
		`{"max_cost_per_month":150,"per":"team"}`, `{"max_cost_per_month":60,"per":"user"}`, `{"max_cost_per_month":300}`,
		`{"max_ai_percentage":45,"window":"1d"}`, `{"max_ai_percentage":45,"window":"7d"}`, `{"max_ai_percentage":47,"window":"30d"}`,
		`{"expression":"totals.org_day + totals.repo_month < 140.0"}`,
	} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			set := setOf(t, `{"name":"p","action":"block","rule":`+rule+`}`)
			rnd := rand.New(rand.NewPCG(3, 5))
			online := newLedger()
			var list []backtest.Recorded
			var want []string
			for n := range 300 {
				day := time.Date(2026, 1, 20, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n/7).Format(time.DateOnly)
				in := aPush(t, day, n, rnd.Int64N(20), fmt.Sprintf("%d.%02d", rnd.IntN(6), rnd.IntN(100)))
				in.Totals = online.totals(&in, set.Needs(in))
				outcome := set.Evaluate(context.Background(), in).Outcome
				if outcome == push.Refuse {
					want = append(want, in.Today+in.Commits[0].OID)
				}
				told := push.Accept
				if rnd.IntN(5) == 0 {
					told = push.Refuse
				} else {
					online.add(&in)
				}
				list = append(list, recorded(told, in))
			}
			got, err := backtest.Run(context.Background(), set, online, each(list...))
			if err != nil {
				t.Fatal(err)
			}
			if got.WouldRefuse != len(want) || got.WouldAccept != len(list)-len(want) || len(want) < 10 || got.InScope != len(list) {
				t.Errorf("refused %d, accepted %d of %d; when they were made %d were refused", got.WouldRefuse, got.WouldAccept, len(list), len(want))
			}
			var examples []string
			for _, e := range got.Examples {
				examples = append(examples, e.Decision)
			}
			slices.Reverse(want)
			if diff := cmp.Diff(want[:min(20, len(want))], examples); diff != "" {
				t.Errorf("examples (-want +got):\n%s", diff)
			}
			for what, n := range online.asked {
				if n > 1 {
					t.Errorf("the books were asked %d times for %s", n, what)
				}
			}
		})
	}
}

func TestPromptsCountOnce(t *testing.T) {
	t.Parallel()
	set := setOf(t, `{"name":"p","action":"block","rule":{"max_cost_per_day":10,"periods":"touched"}}`)
	books := newLedger()
	books.costs["org  2026-01-01"] = *dollars(t, "9")
	first := aPush(t, "2026-01-02", 1, 1, "6")
	again := aPush(t, "2026-01-02", 2, 1, "6")
	again.Receipts[0].Prompt = first.Receipts[0].Prompt
	dearer := aPush(t, "2026-01-02", 3, 1, "8")
	dearer.Receipts[0].Prompt = first.Receipts[0].Prompt
	// What is of an earlier day is in the books by now.
	late := aPush(t, "2026-01-02", 4, 1, "5")
	late.Receipts[0].Day = "2026-01-01"
	over := aPush(t, "2026-01-02", 5, 1, "2.01")
	got, err := backtest.Run(context.Background(), set, books, each(recorded(push.Accept, first), recorded(push.Warn, again),
		recorded(push.Accept, dearer), recorded(push.Accept, late), recorded(push.Refuse, over)))
	if err != nil {
		t.Fatal(err)
	}
	if got.WouldAccept != 4 || got.WouldRefuse != 1 || got.Examples[0].Told != push.Refuse || got.Examples[0].Findings[0].Found != "$10.01, $2.01 of it new" {
		t.Errorf("got %+v", got)
	}
}

func TestWhatCannotBeJudgedIsCounted(t *testing.T) {
	t.Parallel()
	set := setOf(t, `{"name":"p","rule":{"blocked_models":["gpt-4"]},"scope":{"repos":["repo1"]}}`)
	awaiting := aPush(t, "2026-01-02", 1, 1)
	awaiting.Await, awaiting.Commits[0].Noted = true, false
	bad := aPush(t, "2026-01-02", 1, 1, "1")
	bad.Receipts[0].Model = "gpt-4"
	outside := bad
	outside.Repo.Name = "other"
	got, err := backtest.Run(context.Background(), set, newLedger(), each(
		backtest.Recorded{Missing: "its record is not kept any more"}, backtest.Recorded{Missing: "its record is not kept any more"},
		backtest.Recorded{},
		recorded(push.Pending, awaiting), recorded(push.Accept, bad), recorded(push.Accept, outside)))
	if err != nil {
		t.Fatal(err)
	}
	want := backtest.Result{Pushes: 6, InScope: 2, WouldAccept: 1, WouldWarn: 1, WouldWait: 1, NotJudged: []backtest.NotJudged{
		{Reason: "its record is not kept any more", Pushes: 2}, {Reason: "its record is not there", Pushes: 1}}}
	if len(got.Examples) != 2 || got.Examples[0].Outcome != push.Warn || got.Examples[1].Outcome != push.Pending {
		t.Errorf("examples %+v", got.Examples)
	}
	got.Examples = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
}

func TestABacktestEndsWithItsTime(t *testing.T) {
	t.Parallel()
	set := setOf(t, `{"name":"p","rule":{"require_receipts":true}}`)
	ctx, cancel := context.WithCancel(context.Background())
	got, err := backtest.Run(ctx, set, newLedger(), func(yield func(backtest.Recorded, error) bool) {
		for n := 0; yield(recorded(push.Accept, aPush(t, "2026-01-02", n, 1)), nil); n++ {
			if n == 4 {
				cancel()
			}
		}
	})
	if err != nil || got.Pushes != 5 || got.Stopped == "" {
		t.Errorf("got %+v, %v", got, err)
	}
	planned := errors.New("planned")
	_, err = backtest.Run(context.Background(), set, newLedger(), func(yield func(backtest.Recorded, error) bool) { yield(backtest.Recorded{}, planned) })
	if !errors.Is(err, planned) {
		t.Errorf("an error of the pushes: %v", err)
	}
}
