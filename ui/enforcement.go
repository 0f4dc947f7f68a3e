package ui

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/cursor"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// Decisions is the list of decisions, which follows what happens.
type Decisions struct {
	Base
	Tabs    []Tab
	Choices Choices
	Query   url.Values
	Rows    []store.Decision
	Chips   []Chip
	Pager   Pager
	// Poll is where the newest rows are asked for; empty for a page that stands
	// still. Pause and Resume lead to the other kind.
	Poll, Pause, Resume string
	Filtered            bool
}

// Get is a filter as it was given.
func (p *Decisions) Get(name string) string { return p.Query.Get(name) }

var decisionFilters = []struct{ key, name string }{
	{"repo", "Repository"}, {"pusher", "Pusher"}, {"outcome", "Outcome"}, {"state", "State"}, {"policy", "Policy"}, {"from", "From"}, {"to", "To"},
}

// enforcementTabs are the pages of the section, the one at the path marked.
func enforcementTabs(path string) []Tab {
	tabs := []Tab{{Path: "/enforcement", Name: "Decisions"}, {Path: "/enforcement/waiting", Name: "Pending and held"},
		{Path: "/enforcement/violations", Name: "Violations"}, {Path: "/enforcement/reviews", Name: "Reviews"},
		{Path: "/enforcement/waivers", Name: "Waivers"}}
	for i := range tabs {
		tabs[i].Current = tabs[i].Path == path
	}
	return tabs
}

func (p *pages) decisions(w http.ResponseWriter, r *http.Request) error {
	base, err := p.newBase(r, "/enforcement", "Enforcement")
	if err != nil {
		return err
	}
	page := &Decisions{Base: base, Tabs: enforcementTabs("/enforcement"), Query: r.URL.Query()}
	if page.Choices, err = p.choices(r.Context(), base.Viewer.Org); err != nil {
		return err
	}
	for _, f := range decisionFilters {
		if value := page.Get(f.key); value != "" {
			page.Chips = append(page.Chips, Chip{f.name, value, address("/enforcement", changed(page.Query, f.key, ""))})
		}
	}
	page.Filtered = len(page.Chips) > 0
	form := queryOf(r)
	filter, err := p.decisionFilter(r.Context(), &base, form)
	if err == nil && len(form.faults) == 0 {
		err = p.readDecisions(r.Context(), page, filter)
	}
	page.Problems = form.faults
	if faults, ok := faultsOf(err); err != nil && ok {
		page.Problems = append(page.Problems, faults...)
	} else if err != nil {
		return err
	}
	seen := fingerprint(page.Rows)
	if page.Poll != "" {
		page.Poll = address("/enforcement", changed(page.Query, "seen", seen))
	}
	if r.Header.Get("HX-Request") != "" && page.Get("seen") == seen {
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	return p.show(w, r, statusFor(page.Problems), "enforcement", page)
}

func (p *pages) decisionFilter(ctx context.Context, base *Base, f *form) (store.DecisionFilter, error) {
	out := store.DecisionFilter{Pusher: pusherKey(f.text("pusher", 320)),
		Outcome: push.Outcome(f.choice("outcome", "accept", "warn", "pending", "refuse")),
		State:   store.DecisionState(f.choice("state", "final", "pending", "held", "released"))}
	out.From, out.To = f.period(base.OrgZone)
	var err error
	if out.Repo, err = p.repoNamed(ctx, base.Viewer.Org, f, "repo"); err != nil {
		return out, err
	}
	out.Policy, err = p.policyNamed(ctx, base.Viewer.Org, f, "policy")
	return out, err
}

// pusherKey is a pusher as decisions name one: addresses are in lower case.
func pusherKey(name string) string {
	if strings.Contains(name, "@") {
		return strings.ToLower(name)
	}
	return name
}

func (p *pages) readDecisions(ctx context.Context, page *Decisions, filter store.DecisionFilter) error {
	still := changed(changed(page.Query, "seen", ""), "live", "")
	seal := cursor.Seal(page.Viewer.Org, "decisions page", address("", still))
	after, err := cursor.After(page.Get("cursor"), seal)
	if err != nil {
		return err
	}
	rows, err := p.cfg.DB.Decisions(ctx, page.Viewer.Org, filter, after, pageSize+1)
	if err != nil {
		return err
	}
	var more bool
	page.Rows, more = cut(rows)
	page.Pager.Shown = count(len(page.Rows)) + " shown"
	if after != uuid.Nil {
		page.Pager.First = address("/enforcement", still)
	}
	if more {
		page.Pager.Next = address("/enforcement", changed(still, "cursor", cursor.Make(seal, page.Rows[len(page.Rows)-1].ID)))
	}
	if after == uuid.Nil {
		page.Pause, page.Resume = address("/enforcement", changed(still, "live", "off")), address("/enforcement", still)
		if page.Get("live") != "off" {
			page.Poll = page.Resume
		}
	}
	return nil
}

// fingerprint tells whether a list of decisions changed.
func fingerprint(rows []store.Decision) string {
	h := sha256.New()
	for i := range rows {
		fmt.Fprintln(h, rows[i].ID, rows[i].State, rows[i].JudgedAt)
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
