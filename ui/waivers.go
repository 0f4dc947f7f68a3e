package ui

import (
	"net/http"

	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"github.com/blameprompt/enterprise/store"
)

// Waivers is the list of exceptions.
type Waivers struct {
	Base
	Tabs []Tab
	All  bool
	Rows []store.Waiver
}

const waiversPath = "/enforcement/waivers"

// waivers lists the waivers in force, or with all=1 the newest of any kind.
func (p *pages) waivers(w http.ResponseWriter, r *http.Request) error {
	base, err := p.newBase(r, "/enforcement", "Waivers")
	if err != nil {
		return err
	}
	page := &Waivers{Base: base, Tabs: enforcementTabs(waiversPath), All: r.URL.Query().Get("all") != ""}
	var filter store.WaiverFilter
	if !page.All {
		active := true
		filter.Active = &active
	}
	if page.Rows, err = p.cfg.DB.Waivers(r.Context(), base.Viewer.Org, filter, uuid.Nil, maxListed); err != nil {
		return err
	}
	return p.show(w, r, http.StatusOK, "waivers", page)
}

// Active reports whether a waiver is in force.
func (p *Waivers) Active(w store.Waiver) bool { return w.RevokedAt == nil && w.ExpiresAt.After(p.Now) }

func (p *pages) revokeWaiver(w http.ResponseWriter, r *http.Request) error {
	id, err := uuid.Parse(mux.Vars(r)["id"])
	if err != nil {
		return store.ErrNotFound
	}
	waiver, err := p.cfg.DB.RevokeWaiver(r.Context(), whoOf(r), id)
	if err != nil {
		return err
	}
	repo := uuid.Nil
	if waiver.RepoID != nil {
		repo = *waiver.RepoID
	}
	p.reconsider(r, repo, store.EventWaiver)
	return done(w, r, waiversPath, "revoked")
}
