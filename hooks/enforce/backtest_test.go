package enforce_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/backtest"
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
