package ui

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/blameprompt/enterprise/httpapi/auth"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// People is who is in the organisation, and who is invited.
type People struct {
	Base
	Tabs        []Tab
	Users       []store.User
	Invitations []store.AccountLink
	Roles       []access.Role
	// Q is what addresses and names are searched for.
	Q     string
	Pager Pager
	// Link is of the invitation that was made just now.
	Link string
}

// Open reports whether an invitation can still be taken.
func (p *People) Open(l store.AccountLink) bool {
	return l.UsedAt == nil && l.RevokedAt == nil && l.ExpiresAt.After(p.Now)
}

func (p *pages) people(w http.ResponseWriter, r *http.Request) error {
	return p.showPeople(w, r, "", nil)
}

func (p *pages) showPeople(w http.ResponseWriter, r *http.Request, link string, refused []Fault) error {
	base, err := p.newBase(r, "/settings", "People")
	if err != nil {
		return err
	}
	base.Problems = refused
	page := &People{Base: base, Tabs: settingsTabs("/settings/people"), Roles: access.Roles, Link: link}
	users, err := p.cfg.DB.Users(r.Context(), base.Viewer.Org)
	if err != nil {
		return err
	}
	page.choose(users, r.URL.Query())
	invitations, err := p.cfg.DB.Invitations(r.Context(), base.Viewer.Org)
	if err != nil {
		return err
	}
	for _, invitation := range invitations {
		if page.Open(invitation) && len(page.Invitations) < maxListed {
			page.Invitations = append(page.Invitations, invitation)
		}
	}
	return p.show(w, r, statusFor(refused), "people", page)
}

// choose takes the people that the query asks for, in the order of their addresses:
// of an organisation all can be read, and not all be shown.
func (p *People) choose(users []store.User, query url.Values) {
	p.Q = query.Get("q")
	wanted, after := strings.ToLower(strings.TrimSpace(p.Q)), query.Get("after")
	users = slices.DeleteFunc(users, func(u store.User) bool {
		return u.Email <= after || !strings.Contains(u.Email, wanted) && !strings.Contains(strings.ToLower(u.Name), wanted)
	})
	slices.SortFunc(users, func(a, b store.User) int { return strings.Compare(a.Email, b.Email) })
	var more bool
	p.Users, more = cut(users)
	p.Pager.Shown = count(len(p.Users)) + " shown"
	if after != "" {
		p.Pager.First = address("/settings/people", changed(query, "after", ""))
	}
	if more {
		p.Pager.Next = address("/settings/people", changed(query, "after", p.Users[len(p.Users)-1].Email))
	}
}

// changePeople does what the button of the people's page says.
func (p *pages) changePeople(w http.ResponseWriter, r *http.Request) error {
	by, ctx, f := whoOf(r), r.Context(), postOf(r)
	var err error
	switch f.choice("do", "invite", "role", "disable", "password-link", "revoke") {
	case "invite":
		return p.invite(w, r)
	case "role":
		role := access.Role(f.text("role", 20))
		_, err = p.cfg.DB.UpdateUser(ctx, by, f.id("user"), store.UserChange{Role: &role})
	case "disable":
		_, err = p.cfg.DB.DisableUser(ctx, by, f.id("user"))
	case "password-link":
		return p.passwordLink(w, r)
	case "revoke":
		_, err = p.cfg.DB.RevokeInvitation(ctx, by, f.id("invitation"))
	default:
		f.refuse("do", "must be a button of the page")
		err = f.err()
	}
	if faults, ok := faultsOf(err); err != nil && ok {
		return p.showPeople(w, r, "", faults)
	}
	if err != nil {
		return err
	}
	return done(w, r, "/settings/people", "people-changed")
}

// invite makes an invitation and shows its link once.
func (p *pages) invite(w http.ResponseWriter, r *http.Request) error {
	f := postOf(r)
	link, secret, err := p.cfg.DB.Invite(r.Context(), whoOf(r), store.NewInvitation{Email: f.text("email", 300), Name: f.text("name", 300),
		Role: access.Role(f.text("role", 20)), Now: p.cfg.Accounts.Now()})
	return p.showLink(w, r, link.Kind, secret, err)
}

// passwordLink makes a link by which a person chooses a new password, and shows
// it once.
func (p *pages) passwordLink(w http.ResponseWriter, r *http.Request) error {
	link, secret, err := p.cfg.DB.PasswordLink(r.Context(), whoOf(r), postOf(r).text("email", 300), p.cfg.Accounts.Now())
	return p.showLink(w, r, link.Kind, secret, err)
}

func (p *pages) showLink(w http.ResponseWriter, r *http.Request, kind store.LinkKind, secret string, err error) error {
	if faults, ok := faultsOf(err); err != nil && ok {
		return p.showPeople(w, r, "", faults)
	}
	if err != nil {
		return err
	}
	return p.showPeople(w, r, auth.LinkURL(p.cfg.PublicURL, kind, secret), nil)
}
