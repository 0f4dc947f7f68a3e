package enforce_test

import (
	"testing"

	"github.com/blameprompt/enterprise/notes/price"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// TestAPushCostsWhatItsTokensCost judges by the price book what a client reports
// as nearly nothing, and by a price of the organisation's once it has one.
func TestAPushCostsWhatItsTokensCost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("Prompts", "block", `{"max_cost_per_prompt": 1}`)
	tokens := int64(1_000_000)
	note := func(name string) (push.Outcome, []string) {
		n := noted(name, "openai/gpt-5", "0.01")
		n.Receipts[0].Tokens.Input, n.Receipts[0].Tokens.Output = &tokens, &tokens
		answer := w.decide(with(pushed(commit(name)), n))
		return answer.Verdict.Outcome, w.rows(`SELECT trim_scale(cost_usd)::text FROM pushed_prompts WHERE decision_id = $1`, w.decision(answer).ID)
	}
	if outcome, _ := note("c1"); outcome != push.Refuse {
		t.Errorf("a prompt of 11.25 dollars: %s", outcome)
	}
	rate := price.Rate(100_000)
	err := w.db.InTx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.SetPrices(t.Context(), access.CLI(w.org.ID), store.PriceChange{Set: []price.Entry{{Model: "gpt-5", Input: &rate, Output: &rate}}})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if outcome, cost := note("c2"); outcome != push.Accept || len(cost) != 1 || cost[0] != "0.2" {
		t.Errorf("a prompt of 0.2 dollars: %s, counted as %v", outcome, cost)
	}
}

// TestRulesSayWhoNeedsNoReceipts takes the author of a marked commit for a bot once
// a rule says so.
func TestRulesSayWhoNeedsNoReceipts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("Receipts", "block", `{"require_receipts": true}`)
	w.set(`receipt_mode = 'same-push'`)
	if a := w.decide(pushed(marked("c1"))); a.Verdict.Outcome != push.Refuse {
		t.Errorf("without a rule: %s", a.Verdict.Outcome)
	}
	err := w.db.InTx(t.Context(), func(tx *store.Tx) error {
		_, err := tx.SetBotRule(t.Context(), access.CLI(w.org.ID), marked("c2").Author.Email, true)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if a := w.decide(pushed(marked("c2"))); a.Verdict.Outcome != push.Accept {
		t.Errorf("with a rule: %s", a.Verdict.Outcome)
	}
}
