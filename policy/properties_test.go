package policy

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/policy/push"
)

// rounds is how many random pushes each property is tried on.
const rounds = 400

// randomPush makes a push with a few commits on two branches and receipts that
// share prompts, users and models.
func randomPush(r *rand.Rand) push.Input {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	in := push.Input{
		Today: "2026-11-23",
		Pusher: push.Person{User: "dev@example.com", Email: "dev@example.com", Teams: []string{pick("core",
			"web")}},
		Repo: push.Repo{Name: pick("shop/web", "shop/api", "tools")},
		Refs: []push.Ref{{Name: "refs/heads/main", Kind: push.Update}, {Name: "refs/heads/release/1",
			Kind: push.Create}},
		Await: r.IntN(4) == 0,
	}
	for i := range 1 + r.IntN(5) {
		added := r.Int64N(200)
		in.Commits = append(in.Commits, push.Commit{
			OID:   fmt.Sprintf("%040x", i+1),
			Refs:  []string{pick("refs/heads/main", "refs/heads/release/1")},
			Noted: r.IntN(3) > 0,
			Files: []push.File{{Path: pick("a.go", "infra/x.tf", "b.sql"), Added: added,
				AI: r.Int64N(added + 1)}},
		})
	}
	for i := range r.IntN(12) {
		in.Receipts = append(in.Receipts, randomReceipt(r, fmt.Sprintf("r%d", i), len(in.Commits)))
	}
	for _, account := range []push.Account{
		{Per: push.PerOrg, Period: "2026-11-23"}, {Per: push.PerRepo, Key: in.Repo.Name, Period: "2026-11-23"},
		{Per: push.PerUser, Key: "ann@example.com", Period: "2026-11-23"}, {Per: push.PerTeam, Key: "core",
			Period: "2026-11"},
	} {
		in.Totals.Spent = append(in.Totals.Spent, push.Spent{Account: account, USD: cents(r.Int64N(1500))})
	}
	return in
}

// randomReceipt makes a receipt; what is stored of a prompt depends on the
// prompt alone, as it does in a store.
func randomReceipt(r *rand.Rand, id string, commits int) push.Receipt {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	prompt := pick("", "p1", "p2", "p3")
	cost := cents(r.Int64N(900))
	receipt := push.Receipt{
		ID: id, Commit: fmt.Sprintf("%040x", 1+r.IntN(commits)), Prompt: prompt, CostUSD: &cost,
		Provider: pick("claude", "cursor"), Model: pick("claude-opus-4-6", "gpt-4o", "", "GPT-4o-2024-08-06"),
		User: pick("", "ann@example.com"), Day: pick("", "2026-11-23", "2026-11-22"),
		Teams: []string{pick("core", "web")},
	}
	if prompt == "p2" {
		counted := cents(200)
		receipt.CountedUSD = &counted
	}
	return receipt
}

func cents(n int64) push.Decimal {
	hundredth, err := push.ParseDecimal("0.01")
	if err != nil {
		panic(err)
	}
	return push.DecimalOf(n).Mul(hundredth)
}

// documents are policies of every rule, with and without scopes.
func documents() []string {
	rules := []string{
		`{"max_cost_per_day": 12}`, `{"max_cost_per_day": 9, "per": "user"}`,
		`{"max_cost_per_day": 9, "per": "repo", "periods": "touched"}`,
		`{"max_cost_per_month": 10, "per": "team"}`, `{"max_cost_per_prompt": 6.5}`,
		`{"allowed_models": ["claude-*"]}`,
		`{"blocked_models": ["gpt-4o"]}`, `{"allowed_providers": ["claude"]}`,
		`{"blocked_providers": ["cur*"]}`,
		`{"require_review_above": 100}`, `{"require_review_above": 50, "per": "commit"}`,
		`{"max_ai_percentage": 55, "window": "push"}`,
		`{"require_receipts": true}`, `{"protected_paths": ["/infra/", "*.sql"]}`, `{"forbid_secrets": true}`,
		`{"expression": "receipts.all(r, r.cost_usd < 8.0 || r.provider == 'claude')"}`,
		`{"expression": "size(receipts) < 6"}`,
		`{"expression": "totals.org_day < 12.0"}`, `{"expression": "commit.ai < 90", "each": "commit"}`,
	}
	scopes := []string{`{}`, `{"branches": ["main"]}`, `{"repos": ["shop/*"], "teams": ["core"]}`}
	var out []string
	for i, rule := range rules {
		for j, scope := range scopes {
			action := []string{"warn", "block"}[(i+j)%2]
			out = append(out, fmt.Sprintf(`{"id":"%d-%d","name":"n%d","rule":%s,"scope":%s,"action":%q}`, i,
				j, i%5, rule, scope, action))
		}
	}
	return out
}

func mustParse(t testing.TB, documents ...string) []Policy {
	t.Helper()
	policies := make([]Policy, 0, len(documents))
	for _, document := range documents {
		p, err := Parse([]byte(document))
		if err != nil {
			t.Fatalf("%s: %v", document, err)
		}
		policies = append(policies, p)
	}
	return policies
}

func mustCompile(t testing.TB, policies []Policy) *Set {
	t.Helper()
	set, err := Compile(policies)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

// TestOrderDoesNotMatter: of policies, receipts, totals and teams.
func TestOrderDoesNotMatter(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(1, 1))
	policies := mustParse(t, documents()...)
	set := mustCompile(t, policies)
	for range rounds {
		in := randomPush(r)
		want := set.Evaluate(context.Background(), in)
		wantNeeds := set.Needs(in)
		r.Shuffle(len(policies), func(i, j int) { policies[i], policies[j] = policies[j], policies[i] })
		r.Shuffle(len(in.Receipts), func(i, j int) {
			in.Receipts[i], in.Receipts[j] = in.Receipts[j],
				in.Receipts[i]
		})
		spent := in.Totals.Spent
		r.Shuffle(len(spent), func(i, j int) { spent[i], spent[j] = spent[j], spent[i] })
		other := mustCompile(t, policies)
		if diff := cmp.Diff(want, other.Evaluate(context.Background(), in)); diff != "" {
			t.Fatalf("another order, another verdict:\n%s", diff)
		}
		if diff := cmp.Diff(wantNeeds, other.Needs(in)); diff != "" {
			t.Fatalf("another order, other needs:\n%s", diff)
		}
	}
}

// TestMoreReceiptsNeverHelpCosts: adding a receipt never turns a refusal by a
// cost rule into anything milder.
func TestMoreReceiptsNeverHelpCosts(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(2, 2))
	var costs []string
	for _, document := range documents() {
		if strings.Contains(document, "max_cost") {
			costs = append(costs, strings.Replace(document, `"warn"`, `"block"`, 1))
		}
	}
	sets := make([]*Set, 0, len(costs))
	for _, p := range mustParse(t, costs...) {
		sets = append(sets, mustCompile(t, []Policy{p}))
	}
	refused := 0
	for range rounds {
		in := randomPush(r)
		more := in
		more.Receipts = append(slices.Clone(in.Receipts), randomReceipt(r, "added", len(in.Commits)))
		for i, set := range sets {
			before := set.Evaluate(context.Background(), in)
			if before.Outcome != push.Refuse {
				continue
			}
			refused++
			if after := set.Evaluate(context.Background(), more); after.Outcome != push.Refuse {
				t.Fatalf("%s: refused, but %s with one more receipt\n%+v", costs[i], after.Outcome, in)
			}
		}
	}
	if refused == 0 {
		t.Fatal("no push was refused: the property was not tried")
	}
}

// TestScopeNeverWidens: a policy with a scope is never stronger than the same
// without, for rules that judge commits one by one, and is about refs in scope
// alone.
func TestScopeNeverWidens(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(3, 3))
	narrowed := 0
	for range rounds {
		in := randomPush(r)
		in.Await = false
		for _, rule := range []string{
			`{"blocked_models": ["gpt-4o"]}`, `{"max_cost_per_prompt": 5}`, `{"protected_paths": ["infra/"]}`,
		} {
			wide := judgeOne(t, in, rule, `{}`)
			narrow := judgeOne(t, in, rule, `{"repos": ["shop/*"], "branches": ["main"], "teams": ["core"]}`)
			if narrow.Outcome.Stronger(wide.Outcome) != wide.Outcome {
				t.Fatalf("%s: %s in scope, %s without scope", rule, narrow.Outcome, wide.Outcome)
			}
			if narrow.Outcome != wide.Outcome {
				narrowed++
			}
			for _, f := range narrow.Findings {
				checkInScope(t, in, f)
			}
		}
	}
	if narrowed == 0 {
		t.Fatal("no scope made a difference: the property was not tried")
	}
}

func judgeOne(t *testing.T, in push.Input, rule, scope string) push.Verdict {
	t.Helper()
	policies := mustParse(t, fmt.Sprintf(`{"name":"p","action":"block","rule":%s,"scope":%s}`, rule, scope))
	return mustCompile(t, policies).Evaluate(context.Background(), in)
}

func checkInScope(t *testing.T, in push.Input, f push.Finding) {
	t.Helper()
	for _, c := range in.Commits {
		if c.OID == f.Commit && slices.Contains(c.Refs, "refs/heads/main") {
			return
		}
	}
	t.Fatalf("finding about a commit out of scope: %+v", f)
}

// TestNeedsSuffice: totals that Needs does not name change nothing.
func TestNeedsSuffice(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(4, 4))
	set := mustCompile(t, mustParse(t, documents()...))
	for range rounds {
		in := randomPush(r)
		want := set.Evaluate(context.Background(), in)
		needs := set.Needs(in)
		in.Totals.Spent = slices.DeleteFunc(slices.Clone(in.Totals.Spent), func(s push.Spent) bool {
			return !slices.Contains(needs.Accounts, s.Account)
		})
		if diff := cmp.Diff(want, set.Evaluate(context.Background(), in)); diff != "" {
			t.Fatalf("a total that nobody needs changes the verdict:\n%s", diff)
		}
	}
}

// TestDistinctReceipts: expressions that see each kind of receipt once have the
// value that they have over the whole list.
func TestDistinctReceipts(t *testing.T) {
	t.Parallel()
	r := rand.New(rand.NewPCG(5, 5))
	for _, text := range []string{
		`receipts.all(r, r.model_name != "gpt-4o")`,
		`receipts.exists(r, r.provider == "cursor" && r.cost_usd > 4.0)`,
		`receipts.all(a, receipts.exists(b, a.model == b.model && b.cost_usd >= a.cost_usd))`,
		`!receipts.exists(r, has(r.user) && commits.all(c, c.oid != r.commit || c.ai > 3))`,
		`receipts.all(r, 10.0 / r.cost_usd > 1.5 || r.input_tokens / size(r.model) > 3)`,
	} {
		rule, err := ParseRule([]byte(fmt.Sprintf(`{"expression": %q}`, text)))
		if err != nil {
			t.Fatal(err)
		}
		expr := rule.judge.(*expressionRule)
		if expr.use.projection == nil {
			t.Fatalf("%s: no projection", text)
		}
		whole := *expr
		whole.use.projection = nil
		for range rounds {
			in := randomPush(r)
			in.Await = false
			got, want := evaluateOnce(expr, &in), evaluateOnce(&whole, &in)
			if diff := cmp.Diff(want, got); diff != "" {
				t.Fatalf("%s:\n%s", text, diff)
			}
		}
	}
}

func evaluateOnce(rule *expressionRule, in *push.Input) []string {
	v := newPushed(in).view([]int{0, 1})
	p := &Policy{Name: "p", Action: Block, Rule: Rule{kind: Expression, judge: rule}}
	r := &report{policy: p}
	rule.judge(context.Background(), v, r)
	var texts []string
	for _, f := range r.findings {
		texts = append(texts, string(f.Problem))
	}
	return texts
}

// TestNoDistinctReceipts: expressions for which the number or the order of
// receipts matters see the whole list.
func TestNoDistinctReceipts(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		`size(receipts) > 2`,
		`receipts.all(r, r.model != "") && size(receipts) < 4`,
		`receipts.exists_one(r, r.model == "x")`,
		`receipts.map(r, r.model).size() > 2`,
		`receipts.filter(r, r.model == "x").size() > 2`,
		`receipts.all(r, size(r.files) < 3)`,
		`receipts.all(r, r == r)`,
		`receipts.all(r, commits.exists(r, r.oid == "x"))`,
		`receipts[0].model == "x"`,
		`dyn(receipts).all(r, r.model == "x")`,
	} {
		rule, err := ParseRule([]byte(fmt.Sprintf(`{"expression": %q}`, text)))
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		if expr := rule.judge.(*expressionRule); expr.use.projection != nil {
			t.Errorf("%s: projection %v", text, expr.use.projection)
		}
	}
}
