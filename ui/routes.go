package ui

import (
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/blameprompt/enterprise/httpapi/auth"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy/access"
)

// route is one thing that a browser may ask for. Whoever asks must be able to
// do the action; where that depends on a resource, the page asks again with it.
type route struct {
	method, path string
	action       access.Action
	serve        func(*pages, http.ResponseWriter, *http.Request) error
}

// routes is the one list of them.
func routes() []route {
	const get, post = http.MethodGet, http.MethodPost
	return []route{
		{get, "/static/style.css", access.Public, (*pages).serveStyle},
		{get, "/decisions/{id}", access.Public, (*pages).decision},

		{get, "/login", access.Public, (*pages).loginForm},
		{post, "/login", access.Public, (*pages).login},
		{post, "/logout", access.ToUseAccount, (*pages).logout},
		{get, "/setup/{token}", access.Public, (*pages).linkForm},
		{post, "/setup/{token}", access.Public, (*pages).takeLink},
		{get, "/invitations/{token}", access.Public, (*pages).linkForm},
		{post, "/invitations/{token}", access.Public, (*pages).takeLink},
		{get, "/password/{token}", access.Public, (*pages).linkForm},
		{post, "/password/{token}", access.Public, (*pages).takeLink},

		{get, "/", access.ToKnowOneself, (*pages).home},
		{get, "/account", access.ToUseAccount, (*pages).account},
		{post, "/account/password", access.ToUseAccount, (*pages).changePassword},
		{post, "/account/sessions/revoke", access.ToUseAccount, (*pages).revokeOtherSessions},
		{post, "/account/sessions/{id}/revoke", access.ToUseAccount, (*pages).revokeSession},
		{post, "/account/keys", access.ToManageKeys, (*pages).createKey},
		{post, "/account/keys/{id}/revoke", access.ToManageKeys, (*pages).revokeKey},
		{post, "/account/ssh-keys", access.ToManageKeys, (*pages).addSSHKey},
		{post, "/account/ssh-keys/{id}/revoke", access.ToManageKeys, (*pages).revokeSSHKey},
	}
}

// maxForm bounds what a browser may send.
const maxForm = 64 << 10

// handler serves a route to those who may have it.
func (p *pages) handler(rt route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		respond.ExchangeOf(r.Context()).Route = rt.path
		r.Body = http.MaxBytesReader(w, r.Body, maxForm)
		err := p.cfg.Accounts.CheckOrigin(r)
		if err == nil {
			r, err = p.admit(rt, r)
		}
		if err == nil {
			err = rt.serve(p, w, r)
		}
		switch {
		case errors.Is(err, auth.ErrSignedOut):
			p.toLogin(w, r)
		case err != nil:
			p.showError(w, r, err)
		}
	})
}

// admit finds out who asks and whether they may. The request it returns carries
// the principal, if there is one.
func (p *pages) admit(rt route, r *http.Request) (*http.Request, error) {
	who, err := p.cfg.Accounts.Principal(r)
	switch {
	case errors.Is(err, auth.ErrSignedOut) && rt.action == access.Public:
		return r, nil
	case err != nil:
		return r, err
	}
	r = r.WithContext(auth.With(r.Context(), who))
	if !access.Possible(who, rt.action) {
		return r, errForbidden
	}
	return r, nil
}

// errForbidden is for a person whose role is not enough.
var errForbidden = &respond.Problem{Status: http.StatusForbidden, Code: "forbidden",
	Detail: "Your role does not allow this. An administrator of your organisation can change it."}

// whoOf is who asks; admit has made sure that there is one unless the route is
// public.
func whoOf(r *http.Request) access.Principal {
	who, _ := auth.PrincipalOf(r.Context())
	return who
}

// toLogin has a person sign in, and come back where they wanted to go.
func (p *pages) toLogin(w http.ResponseWriter, r *http.Request) {
	next := ""
	if r.Method == http.MethodGet {
		next = r.URL.RequestURI()
	}
	if r.Header.Get("HX-Request") == "true" {
		// A part of a page cannot become the form: the browser leaves the page.
		if current, err := url.Parse(r.Header.Get("HX-Current-URL")); err == nil {
			next = current.RequestURI()
		}
		w.Header().Set("HX-Redirect", loginPath(next))
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	http.Redirect(w, r, loginPath(next), http.StatusSeeOther)
}

func loginPath(next string) string {
	if next = returnPath(next); next == "/" {
		return "/login"
	}
	return "/login?next=" + url.QueryEscape(next)
}

// returnPath is the path of this site that next names, else "/": nobody is sent
// to another site by a link that begins here.
func returnPath(next string) string {
	u, err := url.Parse(next)
	switch {
	case err != nil, len(next) > 2000, u.IsAbs(), u.Host != "", u.User != nil, u.Opaque != "",
		!strings.HasPrefix(next, "/"), strings.HasPrefix(u.Path, "//"), strings.Contains(u.Path, `\`),
		strings.ContainsFunc(next, func(c rune) bool { return c <= ' ' || c == 0x7f }):
		return "/"
	case u.Path == "/login", u.Path == "/logout":
		return "/"
	}
	return (&url.URL{Path: u.Path, RawPath: u.RawPath, RawQuery: u.RawQuery}).String()
}
