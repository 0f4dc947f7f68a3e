package ui

import (
	"net/http"

	"github.com/blameprompt/enterprise/httpapi/auth"
	"github.com/blameprompt/enterprise/httpapi/respond"
)

// Login is where people sign in.
type Login struct {
	Base
	// AskOrg says that there are several organisations.
	AskOrg bool
	// What was typed before, and what was wrong with it.
	Org, Email, Problem string
	// Next is where to go then.
	Next string
}

func (p *pages) loginForm(w http.ResponseWriter, r *http.Request) error {
	next := returnPath(r.URL.Query().Get("next"))
	if whoOf(r).SignedIn() {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
	return p.showLogin(w, r, http.StatusOK, Login{Org: r.URL.Query().Get("org"), Next: next})
}

func (p *pages) showLogin(w http.ResponseWriter, r *http.Request, status int, page Login) error {
	sole, err := p.cfg.DB.SoleOrg(r.Context())
	if err != nil {
		return err
	}
	page.Base, page.AskOrg = p.bareBase(r, "Sign in"), !sole
	return p.show(w, r, status, "login", &page)
}

func (p *pages) login(w http.ResponseWriter, r *http.Request) error {
	in := auth.Login{Org: r.PostForm.Get("org"), Email: r.PostForm.Get("email"), Password: r.PostForm.Get("password")}
	next := returnPath(r.PostForm.Get("next"))
	err := p.cfg.Accounts.SignIn(w, r, in)
	if err == nil {
		http.Redirect(w, r, next, http.StatusSeeOther)
		return nil
	}
	status, text, ok := refusal(err)
	if !ok {
		return err
	}
	respond.ExchangeOf(r.Context()).Err = err
	retryAfter(w, respond.ProblemOf(err))
	return p.showLogin(w, r, status, Login{Org: in.Org, Email: in.Email, Problem: text, Next: next})
}

func (p *pages) logout(w http.ResponseWriter, r *http.Request) error {
	if err := p.cfg.Accounts.SignOut(w, r); err != nil {
		return err
	}
	http.Redirect(w, r, "/login", http.StatusSeeOther)
	return nil
}
