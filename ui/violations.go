package ui

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/cursor"
	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// Violations is the list of what policies found.
type Violations struct {
	Base
	Tabs    []Tab
	Choices Choices
	Query   url.Values
	Rules   []policy.Kind
	Rows    []store.Violation
	Chips   []Chip
	Pager   Pager
}

// Get is a filter as it was given.
func (p *Violations) Get(name string) string { return p.Query.Get(name) }

const violationsPath = "/enforcement/violations"

var violationFilters = []struct{ key, name string }{
	{"repo", "Repository"}, {"policy", "Policy"}, {"rule", "Rule"}, {"pusher", "Pusher"}, {"outcome", "Outcome"}, {"commit", "Commit"},
	{"late", "Late"}, {"waived", "Waived"}, {"from", "From"}, {"to", "To"},
}

func (p *pages) violations(w http.ResponseWriter, r *http.Request) error {
	base, err := p.newBase(r, "/enforcement", "Violations")
	if err != nil {
		return err
	}
	page := &Violations{Base: base, Tabs: enforcementTabs(violationsPath), Query: r.URL.Query(), Rules: policy.Kinds()}
	if page.Choices, err = p.choices(r.Context(), base.Viewer.Org); err != nil {
		return err
	}
	for _, f := range violationFilters {
		if value := page.Get(f.key); value != "" {
			page.Chips = append(page.Chips, Chip{f.name, value, address(violationsPath, changed(page.Query, f.key, ""))})
		}
	}
	form := queryOf(r)
	filter, err := p.violationFilter(r.Context(), &base, form)
	if err == nil && len(form.faults) == 0 {
		err = p.readViolations(r.Context(), page, filter)
	}
	page.Problems = form.faults
	if faults, ok := faultsOf(err); err != nil && ok {
		page.Problems = append(page.Problems, faults...)
	} else if err != nil {
		return err
	}
	return p.show(w, r, statusFor(page.Problems), "violations", page)
}

func (p *pages) violationFilter(ctx context.Context, base *Base, f *form) (store.ViolationFilter, error) {
	out := store.ViolationFilter{Pusher: pusherKey(f.text("pusher", 320)), Rule: f.text("rule", 100),
		Outcome: push.Outcome(f.choice("outcome", "warn", "refuse")), Commit: strings.ToLower(f.match("commit", commitForm, "a commit id")),
		Late: f.yesNo("late"), Waived: f.yesNo("waived")}
	out.From, out.To = f.period(base.OrgZone)
	var err error
	if out.Repos, err = p.reposNamed(ctx, base.Viewer.Org, f, "repo"); err != nil {
		return out, err
	}
	out.Policy, err = p.policyNamed(ctx, base.Viewer.Org, f, "policy")
	return out, err
}

func (p *pages) readViolations(ctx context.Context, page *Violations, filter store.ViolationFilter) error {
	plain := changed(page.Query, "", "")
	seal := cursor.Seal(page.Viewer.Org, "violations page", address("", plain))
	after, err := cursor.After(page.Get("cursor"), seal)
	if err != nil {
		return err
	}
	rows, err := p.cfg.DB.Violations(ctx, page.Viewer.Org, filter, after, pageSize+1)
	if err != nil {
		return err
	}
	var more bool
	page.Rows, more = cut(rows)
	page.Pager.Shown = count(len(page.Rows)) + " shown"
	if after != uuid.Nil {
		page.Pager.First = address(violationsPath, plain)
	}
	if more {
		page.Pager.Next = address(violationsPath, changed(plain, "cursor", cursor.Make(seal, page.Rows[len(page.Rows)-1].ID)))
	}
	return nil
}
