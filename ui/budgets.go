package ui

import (
	"context"
	"encoding/json"
	"time"

	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/store"
)

// Budget is a limit of cost that a policy sets, beside what was spent.
type Budget struct {
	Policy, Path string
	// Refuses says that pushes above it are refused, else they are warned of.
	Refuses bool
	Limit   store.Decimal
	// Period is what the limit is for, and Each whose: the team's, or each member's
	// of whom no sum is shown.
	Period string
	Each   bool
	Spent  store.Decimal
	Part   Share
	Over   bool
}

// costRule is a rule on cost as its document says it.
type costRule struct {
	Day   json.Number `json:"max_cost_per_day"`
	Month json.Number `json:"max_cost_per_month"`
	Per   string      `json:"per"`
}

// budgets are what the policies in force say of the cost of a team: limits per
// team, and per user for its members.
func (p *pages) budgets(ctx context.Context, base *Base, team store.Team) ([]Budget, error) {
	policies, err := p.cfg.DB.Policies(ctx, base.Viewer.Org)
	if err != nil {
		return nil, err
	}
	var out []Budget
	for _, row := range policies {
		budget, ok := budgetOf(row, team.Name)
		if !ok {
			continue
		}
		if !budget.Each {
			if budget.Spent, err = p.spent(ctx, base, team, budget.Period); err != nil {
				return nil, err
			}
			budget.fill()
		}
		out = append(out, budget)
	}
	return out, nil
}

// budgetOf is the limit that a policy sets for a team, if it sets one.
func budgetOf(row store.Policy, team string) (Budget, bool) {
	outline := row.Outline()
	var rule costRule
	if !row.Enabled || json.Unmarshal(outline.Rule, &rule) != nil || rule.Per != "team" && rule.Per != "user" {
		return Budget{}, false
	}
	if len(outline.Scope.Teams) > 0 {
		names, err := policy.CompileNames(outline.Scope.Teams)
		if err != nil || !names.Match(team) {
			return Budget{}, false
		}
	}
	b := Budget{Policy: row.Name, Path: "/policies/" + row.ID.String(), Refuses: outline.Action == policy.Block, Each: rule.Per == "user"}
	switch {
	case rule.Day != "":
		b.Limit, b.Period = store.Decimal(rule.Day), "day"
	case rule.Month != "":
		b.Limit, b.Period = store.Decimal(rule.Month), "month"
	default:
		return Budget{}, false
	}
	return b, true
}

// spent is what the members' prompts of today or of this month cost.
func (p *pages) spent(ctx context.Context, base *Base, team store.Team, period string) (store.Decimal, error) {
	_, today := base.lastDays(1)
	from := today
	if period == "month" {
		from = time.Date(today.Year(), today.Month(), 1, 0, 0, 0, 0, time.UTC)
	}
	emails, err := p.cfg.DB.TeamEmails(ctx, base.Viewer.Org, team.ID.String())
	if err != nil {
		return "", err
	}
	total, err := p.cfg.DB.FigureTotals(ctx, base.Viewer.Org, store.AnalyticsFilter{Emails: append([]string{}, emails...), From: from, To: today})
	return total.CostUSD, err
}

// fill compares what was spent with the limit.
func (b *Budget) fill() {
	limit, spent := float(b.Limit), float(b.Spent)
	b.Over = spent > limit
	width := 100.0
	if limit > 0 {
		width = min(100*spent/limit, 100)
	}
	text := usd(b.Spent) + " of " + usd(b.Limit)
	b.Part = Share{Summary: text}
	if spent > 0 {
		b.Part.Parts = []Part{{Kind: "cost", X: "0", W: decimal(width), Label: text}}
	}
}
