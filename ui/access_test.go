package ui

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/gorilla/mux"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// visit is how a route is asked in the walk: with which form, and what becomes
// of it for whom. Somebody of a role may get 403 at most; whoever is not signed
// in is led to /login, but for what is public.
type visit struct {
	form   []string
	public bool
	// roles are those that may; empty for all.
	roles []access.Role
}

// visits has every route.
var visits = map[string]visit{
	"GET /decisions/{id}":                     {public: true},
	"GET /login":                              {public: true},
	"POST /login":                             {public: true, form: []string{"email", "a@example.com", "password", "x"}},
	"POST /logout":                            {},
	"GET /setup/{token}":                      {public: true},
	"POST /setup/{token}":                     {public: true, form: []string{"password", password}},
	"GET /invitations/{token}":                {public: true},
	"POST /invitations/{token}":               {public: true, form: []string{"password", password}},
	"GET /password/{token}":                   {public: true},
	"POST /password/{token}":                  {public: true, form: []string{"password", password}},
	"GET /":                                   {},
	"GET /account":                            {},
	"POST /account/password":                  {form: []string{"old_password", "x", "password", password}},
	"POST /account/sessions/revoke":           {},
	"POST /account/sessions/{id}/revoke":      {},
	"POST /account/keys":                      {form: []string{"name", "x", "scope", "read"}},
	"POST /account/keys/{id}/revoke":          {},
	"POST /account/ssh-keys":                  {form: []string{"public_key", "x"}},
	"POST /account/ssh-keys/{id}/revoke":      {},
	"GET /static/{hash}/{name}":               {public: true},
	"GET /receipts":                           {},
	"GET /receipts.csv":                       {},
	"GET /receipts.json":                      {},
	"GET /receipts/{id}":                      {},
	"GET /enforcement":                        {},
	"GET /enforcement/waiting":                {},
	"GET /enforcement/violations":             {},
	"GET /enforcement/reviews":                {},
	"GET /enforcement/reviews/{id}":           {},
	"POST /enforcement/reviews":               {roles: writers},
	"GET /enforcement/waivers":                {},
	"POST /waivers/{id}/revoke":               {roles: admins},
	"POST /decisions/{id}/waive":              {roles: admins},
	"POST /holds/{id}/release":                {roles: admins},
	"GET /policies":                           {},
	"POST /policies":                          {roles: admins},
	"GET /policies/new":                       {roles: admins},
	"GET /policies/{id}":                      {},
	"POST /policies/{id}":                     {roles: admins},
	"GET /policies/{id}/edit":                 {roles: admins},
	"POST /policies/{id}/switch":              {roles: admins},
	"GET /repositories":                       {},
	"POST /repositories":                      {roles: admins},
	"GET /repositories/new":                   {roles: admins},
	"GET /repositories/{id}":                  {},
	"POST /repositories/{id}":                 {roles: admins},
	"POST /repositories/{id}/sync":            {roles: writers},
	"POST /repositories/{id}/remove":          {roles: admins},
	"GET /connections/new":                    {roles: admins},
	"POST /connections":                       {roles: admins},
	"POST /connections/{id}/disconnect":       {roles: admins},
	"POST /preferences":                       {public: true},
	"GET /help":                               {public: true},
	"GET /help/api":                           {public: true},
	"GET /help/api/{operation}":               {public: true},
	"GET /help/api/schemas/{name}":            {public: true},
	"GET /teams":                              {},
	"POST /teams":                             {roles: admins},
	"GET /teams/{id}":                         {},
	"POST /teams/{id}":                        {roles: admins},
	"GET /reports":                            {roles: admins},
	"POST /reports":                           {roles: admins},
	"GET /reports/{id}/file":                  {roles: admins},
	"POST /reports/{id}/remove":               {roles: admins},
	"POST /reports/schedules/{id}/remove":     {roles: admins},
	"GET /audit":                              {roles: admins},
	"GET /audit.csv":                          {roles: admins},
	"GET /settings":                           {roles: admins},
	"POST /settings":                          {roles: admins},
	"GET /settings/people":                    {roles: admins},
	"POST /settings/people":                   {roles: admins},
	"GET /settings/keys":                      {roles: admins},
	"POST /settings/keys":                     {roles: admins},
	"POST /settings/keys/{id}/revoke":         {roles: admins},
	"GET /settings/webhooks":                  {roles: admins},
	"POST /settings/webhooks":                 {roles: admins},
	"POST /settings/webhooks/{id}/revoke":     {roles: admins},
	"GET /settings/ssh-keys":                  {roles: admins},
	"POST /settings/ssh-keys/{id}/revoke":     {roles: admins},
	"POST /settings/grants":                   {roles: admins},
	"POST /settings/webhooks/redeliver":       {roles: admins},
	"GET /settings/endpoints":                 {roles: admins},
	"POST /settings/endpoints":                {roles: admins},
	"GET /settings/endpoints/{id}":            {roles: admins},
	"POST /settings/endpoints/{id}":           {roles: admins},
	"POST /settings/endpoints/{id}/redeliver": {roles: admins},
	"GET /settings/prices":                    {roles: admins},
	"POST /settings/prices":                   {roles: admins},
	"GET /settings/identities":                {roles: admins},
	"POST /settings/identities":               {roles: admins},
	"GET /settings/privacy":                   {roles: admins},
	"POST /settings/privacy":                  {roles: admins},
	"POST /settings/privacy/export":           {roles: admins},
	"GET /coverage":                           {},
	"GET /repositories/{id}/files":            {},
	"GET /commits":                            {},
	"GET /repositories/{id}/commits/{commit}": {},
}

var writers, admins = []access.Role{access.RoleAdmin, access.RoleMember}, []access.Role{access.RoleAdmin}

// eachRoute calls f with every route that the router serves.
func eachRoute(t *testing.T, f func(name, method, path string)) {
	t.Helper()
	p := &pages{}
	err := p.router().Walk(func(route *mux.Route, _ *mux.Router, _ []*mux.Route) error {
		template, err := route.GetPathTemplate()
		if err != nil {
			return err
		}
		methods, err := route.GetMethods()
		if err != nil || len(methods) != 1 {
			t.Errorf("%s: a route has one method: %v %v", template, methods, err)
			return nil
		}
		path := strings.NewReplacer("{id}", uuid.NewString(), "{token}", "unknown", "{hash}", "0", "{commit}", "0123456789", "{name}", "x", "{operation}", "none").Replace(template)
		f(methods[0]+" "+template, methods[0], path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// served is the router of all routes, for those who ask where a path leads.
var served = sync.OnceValue((&pages{}).router)

// routeOf is the path of the route that serves a GET of a path, empty for none.
func routeOf(path string) string {
	u, err := url.ParseRequestURI(path)
	if err != nil {
		return ""
	}
	var match mux.RouteMatch
	if !served().Match(&http.Request{Method: http.MethodGet, URL: u}, &match) || match.Route == nil {
		return ""
	}
	template, err := match.Route.GetPathTemplate()
	if err != nil {
		return ""
	}
	return template
}

func TestEveryRouteIsVisited(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	eachRoute(t, func(name, _, _ string) {
		seen[name] = true
		if _, ok := visits[name]; !ok {
			t.Errorf("%s is not in the table of visits: nobody knows who may", name)
		}
	})
	for name := range visits {
		if !seen[name] {
			t.Errorf("the table of visits has %s, the routes have not", name)
		}
	}
	for _, rt := range routes() {
		if v := visits[rt.method+" "+rt.path]; v.public != (rt.action == access.Public) {
			t.Errorf("%s %s: public is %v in the table, the action is %s", rt.method, rt.path, v.public, rt.action)
		}
	}
}

func TestNobodyIsLetInWithoutASession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	expired, ended := w.person(w.org, "late@example.com", access.RoleAdmin), w.person(w.org, "gone@example.com", access.RoleMember)
	w.person(w.org, "stays@example.com", access.RoleAdmin)
	secret := ended.cookie()
	ended.post("/logout").leads("/login")
	ended.setCookie(secret)
	w.clock.advance(13 * time.Hour)
	guess := w.browser()
	guess.setCookie("guess")
	for who, b := range map[string]*browser{"anonymous": w.browser(), "an expired session": expired, "an ended session": ended, "a guess": guess} {
		eachRoute(t, func(name, method, path string) {
			got := b.do(method, path, formOf(visits[name]))
			location := got.header.Get("Location")
			if visits[name].public == strings.HasPrefix(location, "/login") {
				t.Errorf("%s, %s: status %d, leads to %q: %.200s", who, name, got.status, location, got.body)
			}
		})
	}
}

func formOf(v visit) map[string][]string {
	form := map[string][]string{}
	for i := 0; i < len(v.form); i += 2 {
		form[v.form[i]] = []string{v.form[i+1]}
	}
	return form
}

func TestEveryRoleGetsWhatItMay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, role := range access.Roles {
		eachRoute(t, func(name, method, path string) {
			// Each in a session of its own: some routes end it.
			b := w.person(w.org, role2email(role, name), role)
			got := b.do(method, path, formOf(visits[name]))
			may := len(visits[name].roles) == 0
			for _, r := range visits[name].roles {
				may = may || r == role
			}
			if may == (got.status == http.StatusForbidden) || got.status >= 500 {
				t.Errorf("%s, %s: status %d, want it allowed: %v", role, name, got.status, may)
			}
		})
	}
}

func role2email(role access.Role, name string) string {
	return string(role) + "." + uuid.NewSHA1(uuid.Nil, []byte(name)).String() + "@example.com"
}

// TestAForeignPersonReachesNothing lets an admin of another organisation, and a
// colleague, try the ids of a person's own things.
func TestAForeignPersonReachesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	victim := w.person(w.org, "ada@example.com", access.RoleMember)
	who := w.user(w.org, "ada@example.com")
	by := access.CLI(w.org.ID)
	key, _, err := w.db.CreateKey(t.Context(), by, store.NewKey{Name: "laptop", Scopes: []access.Scope{access.Read}, User: who.Email})
	if err != nil {
		t.Fatal(err)
	}
	ssh, err := w.db.AddSSHKey(t.Context(), by, store.NewSSHKey{UserID: who.ID, Line: publicKey})
	if err != nil {
		t.Fatal(err)
	}
	session := victim.session()
	for name, b := range map[string]*browser{
		"a foreign admin": w.person(w.rival, "eve@example.com", access.RoleAdmin),
		"a colleague":     w.person(w.org, "bob@example.com", access.RoleMember),
	} {
		for _, path := range []string{
			"/account/sessions/" + session.String() + "/revoke", "/account/keys/" + key.ID.String() + "/revoke",
			"/account/ssh-keys/" + ssh.ID.String() + "/revoke",
		} {
			if got := b.post(path); got.status != http.StatusNotFound {
				t.Errorf("%s, %s: status %d, want 404", name, path, got.status)
			}
		}
		if page := b.get("/account").want(200); strings.Contains(page.body, "laptop") || strings.Contains(page.body, ssh.Fingerprint) {
			t.Errorf("%s sees somebody else's keys", name)
		}
	}
	victim.get("/account").want(200).says("laptop").says(ssh.Fingerprint)
	victim.post("/account/keys/" + key.ID.String() + "/revoke").leads("/account?done=key")
	victim.post("/account/ssh-keys/" + ssh.ID.String() + "/revoke").leads("/account?done=ssh-key-revoked")
}

const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0mVN7oXsFVdLx0dLhC0pYtUeB3Vm0sX1cN5dTqvQkz ada@laptop"
