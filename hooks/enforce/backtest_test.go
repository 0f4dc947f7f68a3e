package enforce_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/backtest"
	"github.com/blameprompt/enterprise/policy/push"
)

// tried is what a rule would have done to the pushes of the day.
func (w *world) tried(rule string) backtest.Result {
	w.t.Helper()
	doc, err := policy.Parse([]byte(`{"name": "tried", "action": "block", "rule": ` + rule + `}`))
	if err != nil {
		w.t.Fatal(err)
	}
	set, err := policy.Compile([]policy.Policy{doc})
	if err != nil {
		w.t.Fatal(err)
	}
	got, err := w.Backtest(context.Background(), w.org.ID, set, noon.Add(-24*time.Hour), noon.Add(24*time.Hour))
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

// counts are pushes that would be accepted, refused and waited for.
func counts(r backtest.Result) string {
	return fmt.Sprintf("%d accepted, %d refused, %d waiting", r.WouldAccept, r.WouldRefuse, r.WouldWait)
}

// TestABacktestKnowsReceiptsThatCameLater pushes without any policy in force,
// so that nobody waits for receipts, and has some of them come.
func TestABacktestKnowsReceiptsThatCameLater(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set(`grace_seconds = 900`)
	w.decide(with(pushed(commit("c1")), noted("c1", "gpt-4o", "1.5")))
	w.decide(pushed(commit("c2")))
	w.decide(pushed(commit("c3")))
	w.decide(pushed(marked("c4")))
	for _, step := range []struct {
		do   func()
		want map[string]string
	}{
		{func() {}, map[string]string{
			`{"blocked_models": ["gpt-4*"]}`: "0 accepted, 1 refused, 3 waiting",
			`{"max_cost_per_day": 3}`:        "1 accepted, 0 refused, 3 waiting",
			`{"require_review_above": 9}`:    "0 accepted, 1 refused, 3 waiting",
			`{"require_receipts": true}`:     "3 accepted, 0 refused, 1 waiting",
		}},
		{func() { w.arrive("c2", "gpt-4o", "2") }, map[string]string{
			`{"blocked_models": ["gpt-4*"]}`: "0 accepted, 2 refused, 2 waiting",
			`{"max_cost_per_day": 3}`:        "1 accepted, 1 refused, 2 waiting",
			`{"require_review_above": 9}`:    "0 accepted, 2 refused, 2 waiting",
		}},
		{func() { w.clock.forward(20 * time.Minute) }, map[string]string{
			`{"blocked_models": ["gpt-4*"]}`: "2 accepted, 2 refused, 0 waiting",
			`{"max_cost_per_day": 3.5}`:      "4 accepted, 0 refused, 0 waiting",
			// What a commit says of itself counts when no note comes any more.
			`{"require_review_above": 9}`: "1 accepted, 3 refused, 0 waiting",
			`{"require_receipts": true}`:  "3 accepted, 1 refused, 0 waiting",
		}},
	} {
		step.do()
		for rule, want := range step.want {
			if got := w.tried(rule); counts(got) != want || got.Pushes != 4 || len(got.NotJudged) > 0 {
				t.Errorf("%s: %s, want %s (%+v)", rule, counts(got), want, got.NotJudged)
			}
		}
	}
	if got := w.rows(`SELECT (SELECT count(*) FROM decisions) || ' ' || (SELECT count(*) FROM violations)`)[0]; got != "4 0" {
		t.Errorf("decisions and violations after backtests: %s", got)
	}
}

// TestABacktestAgreesWithWhatWasDecided judges pushes by policies in force, and
// then by the same policies again.
func TestABacktestAgreesWithWhatWasDecided(t *testing.T) {
	t.Parallel()
	for _, rule := range []string{`{"max_cost_per_day": 7, "per": "user"}`, `{"max_ai_percentage": 60, "window": "7d"}`, `{"blocked_models": ["gpt*"]}`} {
		t.Run(rule, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.policy("Rule", "block", rule)
			refused := 0
			for n := range 30 {
				name := fmt.Sprint("n", n)
				p := with(pushed(commit(name)), noted(name, []string{"gpt-5", "claude-opus-4-6"}[n%2], fmt.Sprintf("0.%d", 1+n%9)))
				if n%3 == 0 {
					p.Notes = nil
					p.Commits[0].Bot = true
				}
				if w.decide(as([]string{ada, bob}[n%2], p)).Refused() {
					refused++
				}
				w.clock.forward(20 * time.Minute)
			}
			if got := w.tried(rule); got.WouldRefuse != refused || refused == 0 || got.Pushes != 30 {
				t.Errorf("%d were refused, the backtest says %s", refused, counts(got))
			}
		})
	}
}

func TestABacktestOfUnreadableRecords(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for n := range 3 {
		w.decide(pushed(commit(fmt.Sprint("c", n))))
	}
	w.exec(`DELETE FROM decision_inputs WHERE decision_id = (SELECT id FROM decisions ORDER BY id LIMIT 1)`)
	w.exec(`UPDATE decision_inputs SET input = '{"now": 7}' WHERE decision_id = (SELECT id FROM decisions ORDER BY id DESC LIMIT 1)`)
	got := w.tried(`{"require_receipts": true}`)
	if got.Pushes != 3 || got.WouldAccept != 1 || len(got.NotJudged) != 2 {
		t.Errorf("got %+v", got)
	}
}

// BenchmarkBacktest judges 10,000 recorded pushes of 5 commits and 10 receipts
// in 20 repositories over 30 days by a cost rule, of which every tenth lacked
// its notes at the push.
func BenchmarkBacktest(b *testing.B) {
	w := newWorld(b)
	const pushes, perDay = 10_000, 334
	begin := noon.Add(-30 * 24 * time.Hour).Truncate(24 * time.Hour)
	var ids []uuid.UUID
	var ats []time.Time
	var repos, inputs, records []string
	for n := range pushes {
		at := begin.Add(time.Duration(n) * 24 * time.Hour / perDay)
		p := pushed()
		in := push.Input{Now: at, Today: at.Format(time.DateOnly), Pusher: push.Person{User: fmt.Sprintf("dev%d@example.com", n%200)},
			Repo: push.Repo{Name: fmt.Sprint("repo", n%20)}, Refs: []push.Ref{{Name: "refs/heads/main", Kind: push.Update}}}
		for c := range 5 {
			one := commit(fmt.Sprint("c", n, ".", c))
			p.Commits = append(p.Commits, one)
			in.Commits = append(in.Commits, push.Commit{OID: string(one.OID), Noted: n%10 != 0, Files: []push.File{{Path: "a.go", Added: 40, AI: 20}}})
			for r := range 2 {
				cost, _ := push.ParseDecimal("0.01")
				in.Receipts = append(in.Receipts, push.Receipt{ID: fmt.Sprint("r", n, c, r), Commit: string(one.OID), Prompt: fmt.Sprint("p", n, c, r),
					Provider: "claude", Model: "claude-opus-4-6", CostUSD: &cost, InputTokens: 1000, OutputTokens: 1000, Files: []string{"a.go"}})
			}
		}
		if n%10 == 0 {
			in.Receipts, in.Await = nil, true
		}
		id := uuid.Must(uuid.NewV7())
		for i, ms := 0, at.UnixMilli(); i < 6; i++ {
			id[i] = byte(ms >> (8 * (5 - i)))
		}
		ids, ats, repos = append(ids, id), append(ats, at), append(repos, in.Repo.Name)
		inputs, records = append(inputs, marshal(b, in)), append(records, marshal(b, p))
	}
	w.exec(`INSERT INTO decisions (org_id, id, at, repo_id, repo, pusher, pusher_name, forge, via, refs, outcome, state, receipt_mode, commits, added,
			ai, human, verdict, took_us, request_id)
		SELECT $1, d.id, d.at, $2, d.repo, 'dev', '', 'git', 'push', '[]', 'accept', 'final', 'deferred', 5, 0, 0, 0, '{}', 0, ''
		FROM unnest($3::uuid[], $4::timestamptz[], $5::text[]) d (id, at, repo)`, w.org.ID, w.repo.ID, ids, ats, repos)
	w.exec(`INSERT INTO decision_inputs (org_id, decision_id, push, input) SELECT $1, i.* FROM unnest($2::uuid[], $3::json[], $4::json[]) i`,
		w.org.ID, ids, records, inputs)
	doc, err := policy.Parse([]byte(`{"name": "tried", "action": "block", "rule": {"max_cost_per_day": 30}}`))
	if err != nil {
		b.Fatal(err)
	}
	set, err := policy.Compile([]policy.Policy{doc})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		got, err := w.Backtest(context.Background(), w.org.ID, set, begin, begin.Add(31*24*time.Hour))
		if err != nil || got.Pushes != pushes || got.WouldRefuse == 0 {
			b.Fatalf("%s of %d, %v", counts(got), got.Pushes, err)
		}
	}
}

func marshal(b *testing.B, v any) string {
	b.Helper()
	text, err := json.Marshal(v)
	if err != nil {
		b.Fatal(err)
	}
	return string(text)
}
