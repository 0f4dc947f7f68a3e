package ui

import (
	"net/http"

	"github.com/blameprompt/enterprise/httpapi/auth"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy/access"
)

// loginPage is what templates/login.html shows.
type loginPage struct {
	frame
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
	return p.showLogin(w, r, http.StatusOK, loginPage{Org: r.URL.Query().Get("org"), Next: next})
}

func (p *pages) showLogin(w http.ResponseWriter, r *http.Request, status int, page loginPage) error {
	sole, err := p.cfg.DB.SoleOrg(r.Context())
	if err != nil {
		return err
	}
	page.frame, page.AskOrg = p.frame(r, "Sign in"), !sole
	return p.show(w, status, "login.html", page)
}

func (p *pages) login(w http.ResponseWriter, r *http.Request) error {
	if err := r.ParseForm(); err != nil {
		return respond.InvalidField("form", "could not be read")
	}
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
	return p.showLogin(w, r, status, loginPage{Org: in.Org, Email: in.Email, Problem: text, Next: next})
}

func (p *pages) logout(w http.ResponseWriter, r *http.Request) error {
	if err := p.cfg.Accounts.SignOut(w, r); err != nil {
		return err
	}
	http.Redirect(w, r, "/login", http.StatusSeeOther)
	return nil
}

// home leads to the first page that a person may see.
func (p *pages) home(w http.ResponseWriter, r *http.Request) error {
	if !access.Possible(whoOf(r), access.ToUseAccount) {
		return errForbidden
	}
	http.Redirect(w, r, "/account", http.StatusSeeOther)
	return nil
}
