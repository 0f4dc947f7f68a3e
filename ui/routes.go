package ui

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/gorilla/mux"

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
	// timeout is usualTimeout if 0.
	timeout time.Duration
}

// Bounds of a request.
const (
	usualTimeout  = 30 * time.Second
	exportTimeout = 15 * time.Minute
	// maxForm bounds what a browser may send, maxPublicForm what anybody may.
	maxForm       = 256 << 10
	maxPublicForm = 64 << 10
)

// routes is the one list of them.
func routes() []route {
	const get, post = http.MethodGet, http.MethodPost
	return []route{
		{get, "/static/{hash}/{name}", access.Public, (*pages).asset, 0},

		{get, "/login", access.Public, (*pages).loginForm, 0},
		{post, "/login", access.Public, (*pages).login, 0},
		{post, "/logout", access.ToUseAccount, (*pages).logout, 0},
		{get, "/setup/{token}", access.Public, (*pages).linkForm, 0},
		{post, "/setup/{token}", access.Public, (*pages).takeLink, 0},
		{get, "/invitations/{token}", access.Public, (*pages).linkForm, 0},
		{post, "/invitations/{token}", access.Public, (*pages).takeLink, 0},
		{get, "/password/{token}", access.Public, (*pages).linkForm, 0},
		{post, "/password/{token}", access.Public, (*pages).takeLink, 0},
		{get, "/account", access.ToUseAccount, (*pages).account, 0},
		{post, "/account/password", access.ToUseAccount, (*pages).changePassword, 0},
		{post, "/account/sessions/revoke", access.ToUseAccount, (*pages).revokeOtherSessions, 0},
		{post, "/account/sessions/{id}/revoke", access.ToUseAccount, (*pages).revokeSession, 0},
		{post, "/account/keys", access.ToManageKeys, (*pages).createKey, 0},
		{post, "/account/keys/{id}/revoke", access.ToManageKeys, (*pages).revokeKey, 0},
		{post, "/account/ssh-keys", access.ToManageKeys, (*pages).addSSHKey, 0},
		{post, "/account/ssh-keys/{id}/revoke", access.ToManageKeys, (*pages).revokeSSHKey, 0},

		{get, "/", access.ToRead, (*pages).overview, 0},
		{get, "/receipts", access.ToRead, (*pages).receipts, 0},
		{get, "/receipts.csv", access.ToRead, (*pages).receiptsCSV, exportTimeout},
		{get, "/receipts.json", access.ToRead, (*pages).receiptsJSON, exportTimeout},
		{get, "/receipts/{id}", access.ToRead, (*pages).receipt, 0},
		{get, "/coverage", access.ToRead, (*pages).coverage, 0},
		{get, "/commits", access.ToRead, (*pages).commits, 0},
		{get, "/repositories/{id}/files", access.ToRead, (*pages).files, 0},
		{get, "/repositories/{id}/commits/{commit}", access.ToRead, (*pages).commit, 0},
		{get, "/enforcement", access.ToRead, (*pages).decisions, 0},
		{get, "/enforcement/waiting", access.ToRead, (*pages).waiting, 0},
		{get, violationsPath, access.ToRead, (*pages).violations, 0},
		{get, reviewsPath, access.ToRead, (*pages).reviews, 0},
		{get, reviewsPath + "/{id}", access.ToRead, (*pages).openReview, 0},
		{post, reviewsPath, access.ToWrite, (*pages).review, 0},
		{get, waiversPath, access.ToRead, (*pages).waivers, 0},
		{post, "/waivers/{id}/revoke", access.ToAdminister, (*pages).revokeWaiver, 0},
		{get, "/decisions/{id}", access.Public, (*pages).decision, 0},
		{post, "/decisions/{id}/waive", access.ToAdminister, (*pages).waiveDecision, 0},
		{post, "/holds/{id}/release", access.ToAdminister, (*pages).releaseHold, 0},
		{get, "/policies", access.ToRead, (*pages).policies, 0},
		{post, "/policies", access.ToAdminister, (*pages).savePolicy, backtestTimeout},
		{get, "/policies/new", access.ToAdminister, (*pages).newPolicy, 0},
		{get, "/policies/{id}", access.ToRead, (*pages).policy, 0},
		{post, "/policies/{id}", access.ToAdminister, (*pages).savePolicy, backtestTimeout},
		{get, "/policies/{id}/edit", access.ToAdminister, (*pages).editPolicy, 0},
		{post, "/policies/{id}/switch", access.ToAdminister, (*pages).switchPolicy, 0},
		{get, "/repositories", access.ToRead, (*pages).repositories, 0},
		{post, "/repositories", access.ToAdminister, (*pages).addRepository, 0},
		{get, "/repositories/new", access.ToAdminister, (*pages).newRepository, 0},
		{get, "/repositories/{id}", access.ToRead, (*pages).repository, 0},
		{post, "/repositories/{id}", access.ToAdminister, (*pages).changeRepository, 0},
		{post, "/repositories/{id}/sync", access.ToWrite, (*pages).syncRepository, 0},
		{post, "/repositories/{id}/remove", access.ToAdminister, (*pages).removeRepository, 0},
		{get, "/connections/new", access.ToAdminister, (*pages).newConnection, 0},
		{post, "/connections", access.ToAdminister, (*pages).addConnection, 0},
		{post, "/connections/{id}/disconnect", access.ToAdminister, (*pages).disconnect, 0},
		{get, "/teams", access.ToRead, (*pages).teams, 0},
		{post, "/teams", access.ToAdminister, (*pages).createTeam, 0},
		{get, "/teams/{id}", access.ToRead, (*pages).team, 0},
		{post, "/teams/{id}", access.ToManageTeam, (*pages).changeTeam, 0},
		{get, reportsPath, access.ToAdminister, (*pages).reports, 0},
		{post, reportsPath, access.ToAdminister, (*pages).askForReport, 0},
		{get, "/reports/{id}/file", access.ToAdminister, (*pages).reportFile, exportTimeout},
		{post, "/reports/{id}/remove", access.ToAdminister, (*pages).removeReport, 0},
		{post, "/reports/schedules/{id}/remove", access.ToAdminister, (*pages).endReportSchedule, 0},
		{get, "/audit", access.ToAdminister, (*pages).audit, 0},
		{get, "/audit.csv", access.ToAdminister, (*pages).auditCSV, exportTimeout},
		{get, "/settings", access.ToAdminister, (*pages).settings, 0},
		{post, "/settings", access.ToAdminister, (*pages).changeSettings, 0},
		{get, "/settings/people", access.ToAdminister, (*pages).people, 0},
		{post, "/settings/people", access.ToAdminister, (*pages).changePeople, 0},
		{get, "/settings/keys", access.ToAdminister, (*pages).keys, 0},
		{post, "/settings/keys", access.ToAdminister, (*pages).makeKey, 0},
		{post, "/settings/keys/{id}/revoke", access.ToAdminister, (*pages).endKey, 0},
		{get, "/settings/webhooks", access.ToAdminister, (*pages).webhooks, 0},
		{post, "/settings/webhooks", access.ToAdminister, (*pages).makeWebhookSecret, 0},
		{post, "/settings/webhooks/{id}/revoke", access.ToAdminister, (*pages).endWebhookSecret, 0},
		{post, "/settings/webhooks/redeliver", access.ToAdminister, (*pages).redeliver, 0},
		{get, endpointsPath, access.ToAdminister, (*pages).endpoints, 0},
		{post, endpointsPath, access.ToAdminister, (*pages).makeEndpoint, 0},
		{get, endpointsPath + "/{id}", access.ToAdminister, (*pages).endpoint, 0},
		{post, endpointsPath + "/{id}", access.ToAdminister, (*pages).changeEndpoint, 0},
		{post, endpointsPath + "/{id}/redeliver", access.ToAdminister, (*pages).resend, 0},
		{get, pricesPath, access.ToAdminister, (*pages).prices, 0},
		{post, pricesPath, access.ToAdminister, (*pages).changePrices, 0},
		{get, identitiesPath, access.ToAdminister, (*pages).identities, 0},
		{post, identitiesPath, access.ToAdminister, (*pages).changeIdentities, 0},
		{get, privacyPath, access.ToAdminister, (*pages).privacy, 0},
		{post, privacyPath, access.ToAdminister, (*pages).changePrivacy, exportTimeout},
		{post, privacyPath + "/export", access.ToAdminister, (*pages).exportPerson, exportTimeout},
		{get, "/settings/ssh-keys", access.ToAdminister, (*pages).gatewayAccess, 0},
		{post, "/settings/ssh-keys/{id}/revoke", access.ToAdminister, (*pages).endSSHKey, 0},
		{post, "/settings/grants", access.ToAdminister, (*pages).changeGrant, 0},
		{post, "/preferences", access.Public, (*pages).preferences, 0},
		{get, "/help", access.Public, (*pages).help, 0},
		{get, referencePath, access.Public, (*pages).apiReference, 0},
		{get, referencePath + "/{operation}", access.Public, (*pages).apiOperation, 0},
		{get, referencePath + "/schemas/{name}", access.Public, (*pages).apiSchema, 0},
	}
}

// handler serves a route to those who may have it.
func (p *pages) handler(rt route) http.Handler {
	timeout, limit := cmp.Or(rt.timeout, usualTimeout), int64(maxForm)
	if rt.action == access.Public {
		limit = maxPublicForm
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), timeout)
		defer cancel()
		respond.ExchangeOf(ctx).Route = rt.path
		r = r.WithContext(ctx)
		r.Body = http.MaxBytesReader(w, r.Body, limit)
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

// admit finds out who asks and whether they may, and reads the form. The request
// that it returns carries the principal, if there is one.
func (p *pages) admit(rt route, r *http.Request) (*http.Request, error) {
	who, err := p.cfg.Accounts.Principal(r)
	switch {
	case errors.Is(err, auth.ErrSignedOut) && rt.action == access.Public:
	case err != nil:
		return r, err
	default:
		r = r.WithContext(auth.With(r.Context(), who))
		if !access.Possible(who, rt.action) {
			return r, errForbidden
		}
	}
	if r.Method == http.MethodPost {
		if err := r.ParseForm(); err != nil {
			return r, respond.InvalidField("form", "could not be read")
		}
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

// pathVar is a part of the path as it was meant. The router matched the escaped
// path, in which a name may hold a slash.
func pathVar(r *http.Request, name string) (string, error) {
	value, err := url.PathUnescape(mux.Vars(r)[name])
	if err != nil {
		return "", respond.InvalidField("path", "must be percent-encoded")
	}
	return value, nil
}
