package policy

import (
	"bytes"
	"context"
	"encoding/json"
	"slices"

	"github.com/blameprompt/enterprise/policy/push"
)

// Kind names a rule.
type Kind string

// The rules.
const (
	MaxCostPerDay      Kind = "max_cost_per_day"
	MaxCostPerMonth    Kind = "max_cost_per_month"
	MaxCostPerPrompt   Kind = "max_cost_per_prompt"
	AllowedModels      Kind = "allowed_models"
	BlockedModels      Kind = "blocked_models"
	AllowedProviders   Kind = "allowed_providers"
	BlockedProviders   Kind = "blocked_providers"
	RequireReviewAbove Kind = "require_review_above"
	MaxAIPercentage    Kind = "max_ai_percentage"
	RequireReceipts    Kind = "require_receipts"
	ProtectedPaths     Kind = "protected_paths"
	ForbidSecrets      Kind = "forbid_secrets"
	Expression         Kind = "expression"
)

// ReviewKinds are the rules whose findings a review settles.
func ReviewKinds() []Kind { return []Kind{RequireReviewAbove, ProtectedPaths} }

// AwaitsReview reports whether a finding refuses a push and a review would settle it.
func AwaitsReview(f push.Finding) bool {
	return f.Outcome == push.Refuse && f.Waiver == "" && slices.Contains(ReviewKinds(), Kind(f.Rule))
}

// Kinds are all rules in the order in which they are shown.
func Kinds() []Kind {
	kinds := make([]Kind, 0, len(readers))
	for _, r := range readers {
		kinds = append(kinds, r.kind)
	}
	return kinds
}

func kindNames() []string {
	names := make([]string, 0, len(readers))
	for _, r := range readers {
		names = append(names, string(r.kind))
	}
	return names
}

// judge is what a rule does with a push. Both methods are pure; judge stops
// early when the context ends.
type judge interface {
	// judge reports what it finds in the part of the push that is in scope.
	judge(ctx context.Context, v *view, r *report)
	// needs adds the stored totals that judge reads.
	needs(v *view, scope *Scope, n *needs)
}

// withoutTotals is embedded by rules that read no stored totals.
type withoutTotals struct{}

func (withoutTotals) needs(*view, *Scope, *needs) {}

// readers hold one function per rule that reads its options.
var readers = []struct {
	kind Kind
	read func(*object) judge
}{
	{MaxCostPerDay, readMaxCostPerDay},
	{MaxCostPerMonth, readMaxCostPerMonth},
	{MaxCostPerPrompt, readMaxCostPerPrompt},
	{AllowedModels, readAllowedModels},
	{BlockedModels, readBlockedModels},
	{AllowedProviders, readAllowedProviders},
	{BlockedProviders, readBlockedProviders},
	{RequireReviewAbove, readRequireReviewAbove},
	{MaxAIPercentage, readMaxAIPercentage},
	{RequireReceipts, readRequireReceipts},
	{ProtectedPaths, readProtectedPaths},
	{ForbidSecrets, readForbidSecrets},
	{Expression, readExpression},
}

// readRule reads one rule object; problems are added to the list.
func readRule(raw []byte, problems *[]Problem) Rule {
	o := readObject("rule", raw, problems)
	if o.broken {
		return Rule{}
	}
	var rule Rule
	for _, r := range readers {
		if _, given := o.members[string(r.kind)]; !given {
			continue
		}
		if rule.kind != "" {
			o.take(string(r.kind))
			o.problem(o.at(string(r.kind)), "stands beside "+string(rule.kind)+": one policy has one rule")
			continue
		}
		rule = Rule{kind: r.kind, judge: r.read(o)}
	}
	if rule.kind == "" {
		o.problem("rule", "names no rule"+o.onlyNames(), kindNames()...)
		return Rule{}
	}
	o.finish()
	var text bytes.Buffer
	if json.Compact(&text, raw) == nil {
		rule.text = text.Bytes()
	}
	return rule
}

// onlyNames says which members there are where a known one is missed.
func (o *object) onlyNames() string {
	if len(o.names) == 0 {
		return ""
	}
	return " that is known, only " + quoteList(o.names)
}

// needs gathers push.Needs.
type needs struct {
	accounts map[push.Account]bool
	windows  map[int]bool
}

func (n *needs) result() push.Needs {
	var out push.Needs
	for a := range n.accounts {
		out.Accounts = append(out.Accounts, a)
	}
	for days := range n.windows {
		out.Windows = append(out.Windows, days)
	}
	slices.SortFunc(out.Accounts, compareAccounts)
	slices.Sort(out.Windows)
	return out
}
