package ui

import (
	"errors"
	"net/http"
	"strings"

	"github.com/gorilla/mux"

	"github.com/blameprompt/enterprise/httpapi/auth"
	"github.com/blameprompt/enterprise/store"
)

// Link is where somebody chooses a password, for the first time or anew.
type Link struct {
	Base
	Kind store.LinkKind
	// Org is the name of the organisation.
	Org string
	// Email is whose the link is; asked for where it is nobody's yet.
	Email, Name string
	Problem     string
}

// linkKinds are what links are for by the first part of their path, and what
// their pages are called.
var linkKinds = map[string]struct {
	kind  store.LinkKind
	title string
}{
	"setup":       {store.LinkSetup, "Set up the first account"},
	"invitations": {store.LinkInvitation, "You are invited"},
	"password":    {store.LinkPassword, "Choose a new password"},
}

// openLink finds the link of a request.
func (p *pages) openLink(r *http.Request) (Link, error) {
	first, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	of := linkKinds[first]
	link, org, err := p.cfg.Accounts.OpenLink(r.Context(), of.kind, mux.Vars(r)["token"])
	return Link{Base: p.bareBase(r, of.title), Kind: of.kind, Org: org, Email: link.Email, Name: link.Name}, err
}

func (p *pages) linkForm(w http.ResponseWriter, r *http.Request) error {
	page, err := p.openLink(r)
	if err != nil {
		return p.deadLink(w, r, err)
	}
	return p.show(w, r, http.StatusOK, "link", &page)
}

// takeLink makes what the link is for, and signs its person in.
func (p *pages) takeLink(w http.ResponseWriter, r *http.Request) error {
	page, err := p.openLink(r)
	if err != nil {
		return p.deadLink(w, r, err)
	}
	in := auth.Newcomer{Email: r.PostForm.Get("email"), Name: r.PostForm.Get("name"), Password: r.PostForm.Get("password")}
	err = p.cfg.Accounts.TakeLink(w, r, page.Kind, mux.Vars(r)["token"], in)
	if err == nil {
		http.Redirect(w, r, "/", http.StatusSeeOther)
		return nil
	}
	status, text, ok := refusal(err)
	if !ok {
		return p.deadLink(w, r, err)
	}
	page.Problem, page.Name = text, in.Name
	if page.Kind == store.LinkSetup {
		page.Email = in.Email
	}
	return p.show(w, r, status, "link", &page)
}

// deadLink says what to do about a link that is not good.
func (p *pages) deadLink(w http.ResponseWriter, r *http.Request, err error) error {
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	return p.show(w, r, http.StatusNotFound, "message", &Message{Base: p.bareBase(r, "This link has ended"),
		Text: "It was used, replaced or taken back, or its time is over. An administrator of your organisation can make a new one."})
}
