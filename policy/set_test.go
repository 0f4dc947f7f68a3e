package policy

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/policy/push"
)

func TestCompileRefuses(t *testing.T) {
	t.Parallel()
	one := mustParse(t, `{"id":"1","name":"a","rule":{"require_receipts":true}}`)[0]
	if _, err := Compile([]Policy{one, one}); !errors.Is(err, ErrDuplicate) {
		t.Errorf("two with one id: %v", err)
	}
	if _, err := Compile([]Policy{{Name: "empty", Enabled: true}}); !errors.Is(err, ErrNoRule) {
		t.Errorf("no rule: %v", err)
	}
	off := one
	off.Enabled = false
	if got := mustCompile(t, []Policy{off}).Policies(); len(got) != 0 {
		t.Errorf("a disabled policy is in the set: %+v", got)
	}
}

// TestEndedContext: a block policy is not passed by running out of time.
func TestEndedContext(t *testing.T) {
	t.Parallel()
	set := mustCompile(t, mustParse(t,
		`{"id":"1","name":"a","action":"block","rule":{"expression":"true"}}`,
		`{"id":"2","name":"b","action":"warn","rule":{"require_receipts":true}}`))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	verdict := set.Evaluate(ctx, push.Input{Refs: []push.Ref{{Name: "refs/heads/main", Kind: push.Update}}})
	if verdict.Outcome != push.Refuse || len(verdict.Findings) != 2 {
		t.Fatalf("got %+v", verdict)
	}
	for _, f := range verdict.Findings {
		if f.Problem != push.Failed || !strings.Contains(f.Message, "time") {
			t.Errorf("finding %+v", f)
		}
	}
}

// stop is a context that ends after some looks at it.
type stop struct {
	context.Context
	looks int
	done  chan struct{}
}

func (s *stop) Done() <-chan struct{} { return s.done }

func (s *stop) Err() error {
	if s.looks--; s.looks > 0 {
		return nil
	}
	if s.looks == 0 {
		close(s.done)
	}
	return context.Canceled
}

// TestInterrupted: an expression stops in the middle when the context ends.
func TestInterrupted(t *testing.T) {
	t.Parallel()
	set := mustCompile(t, mustParse(t, `{"name":"a","action":"block","rule":{"expression":
		"receipts.all(a, receipts.all(b, a.id + b.id != ''))"}}`))
	ctx := &stop{Context: context.Background(), looks: 2, done: make(chan struct{})}
	verdict := set.Evaluate(ctx, benchInput(1000))
	if len(verdict.Findings) != 1 {
		t.Fatalf("got %+v", verdict)
	}
	if f := verdict.Findings[0]; f.Problem != push.Failed || !strings.Contains(f.Found, "time") {
		t.Errorf("finding %+v", f)
	}
}

// panicking is a rule with a programming error.
type panicking struct{ withoutTotals }

func (panicking) judge(context.Context, *view, *report) { panic("index\x1b[31m out of range") }

// TestPanicIsAFinding: one broken rule neither stops the others nor the caller.
func TestPanicIsAFinding(t *testing.T) {
	t.Parallel()
	policies := mustParse(t, `{"id":"1","name":"good","action":"warn","rule":{"expression":"false"}}`)
	policies = append(policies, Policy{ID: "2", Name: "bad", Action: Block, Enabled: true,
		Rule: Rule{kind: "bad", judge: panicking{}}})
	verdict := mustCompile(t, policies).Evaluate(context.Background(),
		push.Input{Refs: []push.Ref{{Name: "refs/heads/main", Kind: push.Update}}})
	if verdict.Outcome != push.Refuse || len(verdict.Findings) != 2 {
		t.Fatalf("got %+v", verdict)
	}
	if f := verdict.Findings[0]; f.PolicyName != "bad" || f.Problem != push.Failed || strings.Contains(f.Message, "\x1b") {
		t.Errorf("finding %+v", f)
	}
}

// TestConcurrentUse: one set judges many pushes at once, each with its verdict.
func TestConcurrentUse(t *testing.T) {
	t.Parallel()
	set := mustCompile(t, mustParse(t, documents()...))
	r := rand.New(rand.NewPCG(9, 9))
	var wait sync.WaitGroup
	for range 8 {
		in := randomPush(r)
		want := set.Evaluate(context.Background(), in)
		for range 4 {
			wait.Go(func() {
				if diff := cmp.Diff(want, set.Evaluate(context.Background(), in)); diff != "" {
					t.Error(diff)
				}
			})
		}
	}
	wait.Wait()
}

// TestVersionsAreNamed: a verdict says which policies were used, in which version.
func TestVersionsAreNamed(t *testing.T) {
	t.Parallel()
	set := mustCompile(t, mustParse(t,
		`{"id":"2","name":"b","version":7,"rule":{"require_receipts":true}}`,
		`{"id":"1","name":"a","version":3,"action":"block","rule":{"expression":"false"}}`,
		`{"id":"3","name":"c","version":1,"rule":{"expression":"false"},"scope":{"repos":["other"]}}`))
	verdict := set.Evaluate(context.Background(), push.Input{Refs: []push.Ref{{Name: "refs/heads/main",
		Kind: push.Update}}})
	want := []push.Judged{
		{PolicyID: "1", PolicyName: "a", Version: 3, Outcome: push.Refuse},
		{PolicyID: "2", PolicyName: "b", Version: 7, Outcome: push.Accept},
	}
	if diff := cmp.Diff(want, verdict.Policies); diff != "" {
		t.Error(diff)
	}
}

func TestNeeds(t *testing.T) {
	t.Parallel()
	set := mustCompile(t, mustParse(t,
		`{"id":"1","name":"a","rule":{"max_cost_per_day":1,"per":"user"}}`,
		`{"id":"2","name":"b","rule":{"max_cost_per_month":1,"per":"team","periods":"touched"},"scope":{"teams":["core"]}}`,
		`{"id":"3","name":"c","rule":{"max_ai_percentage":1,"window":"90d"}}`,
		`{"id":"4","name":"d","rule":{"max_ai_percentage":1,"window":"push"}}`,
		`{"id":"5","name":"e","rule":{"max_cost_per_day":1,"per":"repo"},"scope":{"repos":["other"]}}`))
	cost := push.DecimalOf(1)
	in := push.Input{
		Today: "2026-11-23", Pusher: push.Person{User: "Dev@example.com", Teams: []string{"core", "web"}},
		Refs:    []push.Ref{{Name: "refs/heads/main", Kind: push.Update}},
		Commits: []push.Commit{{OID: "1"}},
		Receipts: []push.Receipt{
			{ID: "1", Commit: "1", CostUSD: &cost, Day: "2026-10-01"}, {ID: "2", Commit: "1",
				CostUSD: &cost}, {ID: "3", Commit: "1"},
		},
	}
	want := push.Needs{
		Accounts: []push.Account{
			{Per: push.PerTeam, Key: "core", Period: "2026-10"}, {Per: push.PerTeam, Key: "core",
				Period: "2026-11"},
			{Per: push.PerUser, Key: "dev@example.com", Period: "2026-11-23"},
		},
		Windows: []int{90},
	}
	if diff := cmp.Diff(want, set.Needs(in)); diff != "" {
		t.Error(diff)
	}
	totals := mustCompile(t, mustParse(t,
		`{"name":"t","rule":{"expression":"totals.org_day < 1.0"}}`)).Needs(in)
	if len(totals.Accounts) != 10 {
		t.Errorf("an expression over totals needs %+v", totals.Accounts)
	}
}

// benchInput is a push of 10 commits with n receipts of distinct costs.
func benchInput(n int) push.Input {
	in := push.Input{
		Today:  "2026-11-23",
		Pusher: push.Person{User: "dev@example.com", Email: "dev@example.com", Teams: []string{"core"}},
		Repo:   push.Repo{Name: "shop/web"},
		Refs:   []push.Ref{{Name: "refs/heads/main", Kind: push.Update}},
	}
	for i := range 10 {
		c := push.Commit{OID: fmt.Sprintf("%040x", i), Noted: true, PatchID: fmt.Sprint(i)}
		for j := range 10 {
			c.Files = append(c.Files, push.File{Path: fmt.Sprintf("src/pkg%d/file%d.go", i, j), Added: 50,
				AI: 20})
		}
		in.Commits = append(in.Commits, c)
	}
	models := []string{"claude-opus-4-6", "claude-sonnet-4-5-20250929", "gpt-4o", "gemini-2.5-pro",
		"anthropic/claude-haiku-4.5"}
	for i := range n {
		cost := push.DecimalOf(int64(i)).Mul(cents(1)).Add(cents(7))
		in.Receipts = append(in.Receipts, push.Receipt{
			ID: fmt.Sprintf("receipt-%d", i), Commit: in.Commits[i%10].OID, Provider: "claude",
			Model:  models[i%len(models)],
			Prompt: fmt.Sprintf("session/%d", i/2), User: fmt.Sprintf("user%d@example.com", i%7),
			Day: "2026-11-23", CostUSD: &cost,
			InputTokens: int64(i) * 10, OutputTokens: int64(i),
		})
	}
	return in
}

// benchPolicies are 100: every rule, and as many expressions as there is room.
func benchPolicies(expressions int) []string {
	rules := []string{
		`{"max_cost_per_day": 100000}`, `{"max_cost_per_day": 100000, "per": "user"}`,
		`{"max_cost_per_month": 900000, "per": "team"}`,
		`{"max_cost_per_prompt": 50}`, `{"allowed_models": ["claude-*", "gpt-4o", "gemini-*"]}`,
		`{"blocked_models": ["gpt-3*"]}`,
		`{"allowed_providers": ["claude"]}`, `{"require_review_above": 5000}`, `{"max_ai_percentage": 90}`,
		`{"require_receipts": true}`, `{"protected_paths": ["/infra/**", "*.pem"]}`, `{"forbid_secrets": true}`,
	}
	texts := []string{
		`receipts.all(r, r.model_name != \"gpt-3\")`,
		`receipts.all(r, r.cost_usd < 50.0)`,
		`!receipts.exists(r, r.provider == \"cursor\" && r.model.startsWith(\"gpt\"))`,
		`commits.all(c, c.ai < 1000 || c.bot)`,
		`totals.org_day < 100000.0`,
		`receipts.all(r, r.user.endsWith(\"@example.com\"))`,
		`push.ai_percentage < 90.0`,
		`commits.all(c, c.files.all(f, !f.path.endsWith(\".sql\") || f.ai == 0))`,
	}
	var out []string
	for i := range 100 {
		rule := rules[i%len(rules)]
		if i < expressions {
			rule = fmt.Sprintf(`{"expression": "%s && %d < 1000"}`, texts[i%len(texts)], i)
		}
		out = append(out, fmt.Sprintf(`{"id":"%d","name":"p%d","action":"block","rule":%s}`, i, i, rule))
	}
	return out
}

// cpuTime is what the process used, which other work on the machine does not
// lengthen.
func cpuTime(b *testing.B) time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func BenchmarkEvaluate(b *testing.B) {
	for _, expressions := range []int{0, 30, 100} {
		b.Run(fmt.Sprintf("100 policies, %d expressions, 1000 receipts", expressions), func(b *testing.B) {
			set := mustCompile(b, mustParse(b, benchPolicies(expressions)...))
			in := benchInput(1000)
			b.ReportAllocs()
			start := cpuTime(b)
			for b.Loop() {
				if verdict := set.Evaluate(context.Background(), in); verdict.Outcome != push.Accept {
					b.Fatalf("%+v", verdict.Findings)
				}
			}
			b.ReportMetric(float64(cpuTime(b)-start)/float64(b.N)/1e6, "cpu-ms/op")
		})
	}
}

// Of findings that refuse, a review settles those of two rules, unless they are
// waived.
func TestWhatAwaitsAReview(t *testing.T) {
	t.Parallel()
	refused := push.Finding{Rule: string(RequireReviewAbove), Outcome: push.Refuse}
	waived, warned, other, path := refused, refused, refused, refused
	waived.Waiver, warned.Outcome, other.Rule, path.Rule = "w1", push.Warn, string(BlockedModels), string(ProtectedPaths)
	for name, c := range map[string]struct {
		finding push.Finding
		want    bool
	}{"large": {refused, true}, "protected path": {path, true}, "waived": {waived, false}, "warned": {warned, false}, "another rule": {other, false}} {
		if got := AwaitsReview(c.finding); got != c.want {
			t.Errorf("%s: %t, want %t", name, got, c.want)
		}
	}
}
