package demo

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/blameprompt/enterprise/policy"
)

// The names of policies. Names may hold whatever can be printed, and one does.
const (
	policyModels   = `Approved models <b onmouseover="alert('policy')">only</b> מודלים`
	policyBudget   = "Daily budget of a person"
	policyReceipts = "No agent without a receipt"
	policyReview   = "Large changes by AI are read by somebody"
	policyInfra    = "Infrastructure is reviewed"
	policySecrets  = "Secrets stay out of prompts"
	policyShare    = "Not more than four fifths by AI"
	policyDear     = "Dear prompts are explained"
)

// rule is a policy document as the story has it.
type rule struct {
	Name    string              `json:"name"`
	Rule    map[string]any      `json:"rule"`
	Scope   map[string][]string `json:"scope,omitempty"`
	Action  string              `json:"action"`
	Enabled bool                `json:"enabled"`
}

// rules are made on the days of the story.
func (s *story) rules() {
	s.rule(8, rule{policyReceipts, map[string]any{"require_receipts": true}, nil, "warn", true})
	s.rule(12, rule{policySecrets, map[string]any{"forbid_secrets": true}, nil, "warn", true})
	s.rule(30, rule{policyModels, map[string]any{"allowed_models": []string{"claude-*", "gpt-5*", "gemini-*"}, "unknown_models": "allow"}, nil, "block", true})
	s.rule(41, rule{policyInfra, map[string]any{"protected_paths": []string{"/terraform/**"}}, map[string][]string{"repos": {repoInfra}}, "block", true})
	s.rule(45, rule{policyShare, map[string]any{"max_ai_percentage": 80, "window": "30d"}, nil, "warn", true})
	s.rule(48, rule{policyDear, map[string]any{"max_cost_per_prompt": 25}, nil, "warn", false})
	s.rule(58, rule{policyBudget, map[string]any{"max_cost_per_day": 30, "per": "user"}, nil, "warn", true})
	s.rule(61, rule{policyReview, map[string]any{"require_review_above": 200}, map[string][]string{"repos": {repoPayments}}, "block", true})
}

func (s *story) rule(n int, r rule) {
	at := s.day(n).Add(7*time.Hour + 30*time.Minute)
	s.then(at, func(w *world) error {
		doc, err := r.parsed()
		if err != nil {
			return err
		}
		stored, err := w.cfg.DB.CreatePolicy(w.ctx, w.as(s.people[0]), doc)
		w.policies[r.Name] = stored
		return err
	})
}

func (r rule) parsed() (policy.Policy, error) {
	text, err := json.Marshal(r)
	if err != nil {
		return policy.Policy{}, fmt.Errorf("writing policy %s: %w", r.Name, err)
	}
	return policy.Parse(text)
}

// change puts another document into a policy's place.
func (s *story) change(at time.Time, r rule) {
	s.then(at, func(w *world) error {
		doc, err := r.parsed()
		if err != nil {
			return err
		}
		_, _, err = w.cfg.DB.UpdatePolicy(w.ctx, w.as(s.people[0]), w.policies[r.Name].ID, 0, doc)
		return err
	})
}
