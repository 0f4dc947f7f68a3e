package ui

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/store"
)

// Policies is the list of policies.
type Policies struct {
	Base
	Rows []PolicyRow
}

// PolicyRow is a policy in words.
type PolicyRow struct {
	store.Policy
	Action policy.Action
	// Rule and Scope say in short what the document says.
	Rule, Scope string
}

func (p *pages) policies(w http.ResponseWriter, r *http.Request) error {
	base, err := p.newBase(r, "/policies", "Policies")
	if err != nil {
		return err
	}
	page := &Policies{Base: base}
	rows, err := p.cfg.DB.Policies(r.Context(), base.Viewer.Org)
	if err != nil {
		return err
	}
	for _, row := range rows {
		page.Rows = append(page.Rows, policyRow(row))
	}
	return p.show(w, r, http.StatusOK, "policies", page)
}

func policyRow(row store.Policy) PolicyRow {
	outline := row.Outline()
	return PolicyRow{Policy: row, Action: outline.Action, Rule: ruleText(outline.Rule), Scope: scopeText(outline.Scope)}
}

// maxRuleText bounds what a list shows of a rule.
const maxRuleText = 160

// ruleText is a rule without the punctuation of JSON.
func ruleText(rule json.RawMessage) string {
	var members map[string]json.RawMessage
	if json.Unmarshal(rule, &members) != nil {
		return ""
	}
	var parts []string
	for _, name := range ruleOrder(members) {
		parts = append(parts, words(name)+" "+strings.NewReplacer(`"`, "", "[", "", "]", "", ",", ", ").Replace(string(members[name])))
	}
	return clip(strings.Join(parts, "; "), maxRuleText)
}

// scopeText is what a policy is for.
func scopeText(scope store.PolicyScope) string {
	var parts []string
	for _, part := range []struct {
		name     string
		patterns []string
	}{{"repositories", scope.Repos}, {"branches", scope.Branches}, {"teams", scope.Teams}} {
		if len(part.patterns) > 0 {
			parts = append(parts, part.name+" "+strings.Join(part.patterns, ", "))
		}
	}
	if parts == nil {
		return "every push"
	}
	return clip(strings.Join(parts, "; "), maxRuleText)
}
