package ui

import (
	"net/http"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/store"
)

// Waiting is what waits: decisions for receipts, and branches that are held.
type Waiting struct {
	Base
	Tabs    []Tab
	Pending []store.Decision
	Holds   []store.RepoHold
}

// waiting lists the newest of both; a list that is longer says so.
func (p *pages) waiting(w http.ResponseWriter, r *http.Request) error {
	base, err := p.newBase(r, "/enforcement", "Pending and held")
	if err != nil {
		return err
	}
	page := &Waiting{Base: base, Tabs: enforcementTabs("/enforcement/waiting")}
	org, active := base.Viewer.Org, true
	page.Holds, err = p.cfg.DB.Holds(r.Context(), org, store.HoldFilter{Active: &active}, uuid.Nil, maxListed)
	if err != nil {
		return err
	}
	page.Pending, err = p.cfg.DB.Decisions(r.Context(), org, store.DecisionFilter{State: store.StatePending}, uuid.Nil, maxListed)
	if err != nil {
		return err
	}
	return p.show(w, r, http.StatusOK, "waiting", page)
}

// Full reports whether a list was cut.
func (p *Waiting) Full(n int) bool { return n >= maxListed }
