package ui

import (
	"net/http"

	"github.com/blameprompt/enterprise/store"
)

// settingsTabs are the pages of the section, the one at the path marked.
func settingsTabs(path string) []Tab {
	tabs := []Tab{{Path: "/settings", Name: "Organisation"}, {Path: "/settings/people", Name: "People"}, {Path: "/settings/keys", Name: "API keys"},
		{Path: "/settings/webhooks", Name: "Webhooks in"}, {Path: endpointsPath, Name: "Webhooks out"}, {Path: "/settings/ssh-keys", Name: "SSH keys and grants"},
		{Path: identitiesPath, Name: "Identities"}, {Path: pricesPath, Name: "Prices"}, {Path: privacyPath, Name: "Privacy"}}
	for i := range tabs {
		tabs[i].Current = tabs[i].Path == path
	}
	return tabs
}

// Settings is what holds for the organisation.
type Settings struct {
	Base
	Tabs         []Tab
	Organisation store.Org
}

func (p *pages) settings(w http.ResponseWriter, r *http.Request) error {
	return p.showSettings(w, r, nil)
}

func (p *pages) showSettings(w http.ResponseWriter, r *http.Request, refused []Fault) error {
	base, err := p.newBase(r, "/settings", "Settings")
	if err != nil {
		return err
	}
	base.Problems = refused
	page := &Settings{Base: base, Tabs: settingsTabs("/settings")}
	if page.Organisation, err = p.cfg.DB.OrgByID(r.Context(), base.Viewer.Org); err != nil {
		return err
	}
	return p.show(w, r, statusFor(refused), "settings", page)
}

func (p *pages) changeSettings(w http.ResponseWriter, r *http.Request) error {
	f := postOf(r)
	title, zone, keep := f.text("title", 300), f.text("time_zone", 100), f.on("conversations")
	change := store.OrgChange{Title: &title, StoreConversations: &keep}
	if zone != "" {
		change.TimeZone = &zone
	}
	err := f.err()
	if err == nil {
		_, err = p.cfg.DB.UpdateOrg(r.Context(), whoOf(r), change)
	}
	if faults, ok := faultsOf(err); err != nil && ok {
		return p.showSettings(w, r, faults)
	}
	if err != nil {
		return err
	}
	return done(w, r, "/settings", "changed")
}
