package ui

import (
	"errors"
	"net/http"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// GatewayAccess is who is known to the gateway by which key, and what grants
// let them do.
type GatewayAccess struct {
	Base
	Tabs    []Tab
	Keys    []store.SSHKey
	Grants  []store.Grant
	Choices Choices
}

func (p *pages) gatewayAccess(w http.ResponseWriter, r *http.Request) error {
	return p.showGatewayAccess(w, r, nil)
}

func (p *pages) showGatewayAccess(w http.ResponseWriter, r *http.Request, refused []Fault) error {
	base, err := p.newBase(r, "/settings", "SSH keys and grants")
	if err != nil {
		return err
	}
	base.Problems = refused
	page := &GatewayAccess{Base: base, Tabs: settingsTabs("/settings/ssh-keys")}
	if page.Keys, err = p.cfg.DB.SSHKeys(r.Context(), base.Viewer.Org); err != nil {
		return err
	}
	page.Keys = page.Keys[:min(len(page.Keys), maxListed)]
	if page.Grants, err = p.cfg.DB.Grants(r.Context(), base.Viewer.Org); err != nil {
		return err
	}
	page.Grants = page.Grants[:min(len(page.Grants), maxListed)]
	if page.Choices, err = p.choices(r.Context(), base.Viewer.Org); err != nil {
		return err
	}
	return p.show(w, r, statusFor(refused), "ssh_keys", page)
}

func (p *pages) endSSHKey(w http.ResponseWriter, r *http.Request) error {
	return p.endByID(w, r, "/settings/ssh-keys", "ssh-key-ended", func(by access.Principal, id uuid.UUID) error {
		_, err := p.cfg.DB.RevokeSSHKey(r.Context(), by, id)
		return err
	})
}

// changeGrant makes a grant, or takes one back.
func (p *pages) changeGrant(w http.ResponseWriter, r *http.Request) error {
	f := postOf(r)
	do := f.choice("do", "grant", "take-back")
	in, err := p.grantOf(r, f)
	if err == nil {
		err = f.err()
	}
	switch {
	case err != nil:
	case do == "take-back":
		_, err = p.cfg.DB.RemoveGrant(r.Context(), whoOf(r), in.Subject, in.SubjectID, in.RepoID)
	default:
		_, err = p.cfg.DB.SetGrant(r.Context(), whoOf(r), in)
	}
	if faults, ok := faultsOf(err); err != nil && ok {
		return p.showGatewayAccess(w, r, faults)
	}
	if err != nil {
		return err
	}
	return done(w, r, "/settings/ssh-keys", "grant-changed")
}

// grantOf reads whom and on what a grant is: a person or a team, and one
// repository or every one.
func (p *pages) grantOf(r *http.Request, f *form) (store.NewGrant, error) {
	org, ctx := whoOf(r).Org, r.Context()
	in := store.NewGrant{Permission: access.Permission(f.choice("permission", string(access.ReadRepo), string(access.WriteRepo))), Override: f.on("override")}
	var err error
	name := f.wanted("subject", 320)
	if in.Subject = store.Subject(f.choice("kind", string(store.SubjectUser), string(store.SubjectTeam))); in.Subject == store.SubjectTeam {
		in.SubjectID, err = p.cfg.DB.TeamID(ctx, org, name)
	} else {
		var user store.User
		in.Subject = store.SubjectUser
		user, err = p.cfg.DB.User(ctx, org, name)
		in.SubjectID = user.ID
	}
	if errors.Is(err, store.ErrNotFound) {
		f.refuse("subject", "must be a person's address or a team of your organisation")
		return in, nil
	}
	if err != nil {
		return in, err
	}
	in.RepoID, err = p.repoNamed(ctx, org, f, "repo")
	return in, err
}
