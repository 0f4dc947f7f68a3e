package httpapi_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// sessionCookie is what a browser sends.
const sessionCookie = "__Host-blameprompt="

// signIn makes somebody of a role and begins a session of theirs; it returns the
// header of a request in it.
func (w *world) signIn(org store.Org, email string, role access.Role) map[string]string {
	w.t.Helper()
	user, err := w.db.CreateUser(w.t.Context(), access.CLI(org.ID), store.NewUser{Email: email, Role: role})
	if err != nil {
		w.t.Fatal(err)
	}
	_, secret, err := w.db.BeginSession(w.t.Context(), store.NewSession{OrgID: org.ID, UserID: user.ID, Now: time.Now(), Idle: time.Hour, Lifetime: time.Hour})
	if err != nil {
		w.t.Fatal(err)
	}
	return map[string]string{"Cookie": sessionCookie + secret}
}

func (w *world) sessionOf(header map[string]string) string {
	w.t.Helper()
	p, err := w.db.PrincipalBySession(w.t.Context(), strings.TrimPrefix(header["Cookie"], sessionCookie), time.Now(), time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	return p.Session.String()
}

// byRole is what a role may do, of the words of x-scope.
var byRole = map[access.Role]string{
	access.RoleAdmin: "any read write ingest hook admin person", access.RoleMember: "any read write ingest person", access.RoleViewer: "any read person",
}

// partly are operations that everybody may ask, but for their own things: what
// somebody gets for the first organisation's things, which are others'.
var partly = map[string]int{
	"listKeys": 200, "createKey": 400, "revokeKey": 404, "listSSHKeys": 200, "addSSHKey": 400, "revokeSSHKey": 404,
}

func TestEveryOperationIsAllowedByRole(t *testing.T) {
	t.Parallel()
	for _, role := range access.Roles {
		t.Run(string(role), func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			th := w.makeThings()
			w.signIn(w.org, "stays@example.com", access.RoleAdmin)
			ops := w.operations()
			for _, id := range sortedIDs() {
				// Each in a session of its own: some operations end others.
				header := w.signIn(w.org, strings.ToLower(id)+"@example.com", role)
				got := w.do(call{method: ops[id][0], path: probes[id].path(th), body: probes[id].body, header: header})
				may := false
				for _, word := range strings.Split(ops[id][1], " or ") {
					may = may || strings.Contains(" "+byRole[role]+" ", " "+word+" ")
				}
				want, isPartly := partly[id]
				switch {
				case may && (got.status == 401 || got.status == 403):
					t.Errorf("%s: status %d, want it allowed: %s", id, got.status, got.body)
				case !may && isPartly && got.status != want:
					t.Errorf("%s: status %d, want %d: %s", id, got.status, want, got.body)
				case !may && !isPartly && got.status != 403:
					t.Errorf("%s: status %d, want 403: %s", id, got.status, got.body)
				case got.status >= 500:
					t.Errorf("%s: status %d: %s", id, got.status, got.body)
				}
			}
		})
	}
}

func TestNoOperationAnswersASessionThatEnded(t *testing.T) {
	t.Parallel()
	clock := &clock{now: time.Now()}
	w := newWorld(t, withClock(clock))
	th := w.makeThings()
	ended := w.signIn(w.org, "ended@example.com", access.RoleAdmin)
	expired := w.signIn(w.org, "expired@example.com", access.RoleAdmin)
	w.do(call{method: "DELETE", path: "/api/v1/account/sign-ins/" + w.sessionOf(ended), header: ended}).want(204)
	clock.advance(2 * time.Hour)
	ops := w.operations()
	for _, id := range sortedIDs() {
		for name, header := range map[string]map[string]string{"an ended session": ended, "an expired one": expired, "a guess": {"Cookie": sessionCookie + "x"}} {
			got := w.do(call{method: ops[id][0], path: probes[id].path(th), body: probes[id].body, header: header})
			if got.status != http.StatusUnauthorized {
				t.Errorf("%s with %s: status %d, want 401", id, name, got.status)
			}
		}
	}
}

func TestAForeignAdminInASessionNeitherSeesNorChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	th := w.makeThings()
	w.signIn(w.foreign, "stays@example.com", access.RoleAdmin)
	before, ops := w.dump(), w.operations()
	for _, id := range sortedIDs() {
		p := probes[id]
		header := w.signIn(w.foreign, strings.ToLower(id)+"@example.com", access.RoleAdmin)
		got := w.do(call{method: ops[id][0], path: p.path(th), body: p.body, header: header})
		want := p.foreign
		if own, ok := foreignSession[id]; ok {
			want = own
		}
		if got.status != want {
			t.Errorf("%s: status %d, want %d: %s", id, got.status, want, got.body)
		}
	}
	w.unchanged(before)
}

// foreignSession is what somebody gets who is signed in elsewhere, where it is
// not what a key gets: their own account.
var foreignSession = map[string]int{
	"getAccount": 200, "changePassword": 400, "listSignIns": 200, "endSignIn": 404, "endOtherSignIns": 204,
}

func TestATeamAdminChangesTheirTeamAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	header := w.signIn(w.org, "ada@example.com", access.RoleViewer)
	for _, team := range []string{"back/end", "web"} {
		w.post(w.admin, "/api/v1/teams", map[string]any{"name": team}).want(201)
	}
	member := func(method, team, email string, body any) reply {
		return w.do(call{method: method, path: "/api/v1/teams/" + team + "/members/" + email, header: header, body: body})
	}
	role := func(name string) any { return map[string]any{"role": name} }
	member("PUT", "web", "bob@example.com", role("member")).want(403)
	for team, own := range map[string]string{"back%2Fend": "admin", "web": "member"} {
		w.do(call{method: "PUT", path: "/api/v1/teams/" + team + "/members/Ada@example.com", key: w.admin, body: role(own)}).want(200)
	}
	member("PUT", "back%2Fend", "Bob@example.com", role("viewer")).want(200)
	member("PUT", "back%2Fend", "bob@example.com", role("member")).want(200)
	member("PUT", "back%2Fend", "bob", role("member")).want(400)
	member("PUT", "back%2Fend", "bob@example.com", role("king")).want(400)
	member("PUT", "web", "bob@example.com", role("member")).want(403)
	member("DELETE", "web", "ada@example.com", nil).want(403)
	member("PUT", "nowhere", "bob@example.com", role("member")).want(404)
	var team struct {
		Name    string
		Members []struct{ Email, Role string }
	}
	w.do(call{method: "PATCH", path: "/api/v1/teams/back%2Fend", header: header, body: map[string]any{"name": "web"}}).want(409)
	w.do(call{method: "PATCH", path: "/api/v1/teams/back%2Fend", header: header, body: map[string]any{"name": "core"}}).want(200).into(&team)
	if team.Name != "core" || len(team.Members) != 2 || team.Members[1].Email != "bob@example.com" || team.Members[1].Role != "member" {
		t.Errorf("the team is %+v", team)
	}
	w.do(call{method: "DELETE", path: "/api/v1/teams/core", header: header}).want(403)
	member("DELETE", "core", "bob@example.com", nil).want(204)
	member("DELETE", "core", "bob@example.com", nil).want(404)
	// A key does not become an admin of a team by its person.
	_, secret, err := w.db.CreateKey(t.Context(), access.CLI(w.org.ID), store.NewKey{Name: "k", Scopes: []access.Scope{access.Read}, User: "ada@example.com"})
	if err != nil {
		t.Fatal(err)
	}
	w.do(call{method: "PUT", path: "/api/v1/teams/core/members/eve@example.com", key: secret, body: role("admin")}).want(403)
	w.do(call{method: "DELETE", path: "/api/v1/teams/core", key: w.admin}).want(204)
	member("PUT", "core", "bob@example.com", role("member")).want(403)
}

func TestAMemberHasKeysOfTheirOwnOverTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	header := w.signIn(w.org, "ada@example.com", access.RoleMember)
	storetest.MustUser(t, w.db, w.org, "bob@example.com")
	key := func(in map[string]any) reply {
		return w.do(call{method: "POST", path: "/api/v1/keys", header: header, body: in})
	}
	var made struct {
		Key    struct{ ID, User string }
		Secret string
	}
	key(map[string]any{"name": "laptop", "scopes": []string{"read", "ingest"}}).want(201).into(&made)
	if made.Key.User != "ada@example.com" {
		t.Errorf("the key is %q's", made.Key.User)
	}
	key(map[string]any{"name": "x", "scopes": []string{"admin"}}).want(400)
	key(map[string]any{"name": "x", "scopes": []string{"read"}, "user": "bob@example.com"}).want(403)
	// A person's key makes no keys and sees no account.
	w.post(made.Secret, "/api/v1/keys", map[string]any{"name": "x", "scopes": []string{"read"}}).want(403)
	w.get(made.Secret, "/api/v1/account").want(403)
	var keys struct{ Items []struct{ ID string } }
	w.do(call{method: "GET", path: "/api/v1/keys", header: header}).want(200).into(&keys)
	if len(keys.Items) != 1 || keys.Items[0].ID != made.Key.ID {
		t.Errorf("the list is %+v", keys)
	}
	var ssh struct{ ID string }
	w.do(call{method: "POST", path: "/api/v1/ssh-keys", header: header, body: map[string]any{"user": "bob@example.com", "public_key": publicKey}}).want(403)
	w.do(call{method: "POST", path: "/api/v1/ssh-keys", header: header, body: map[string]any{"user": "ada@example.com", "public_key": publicKey}}).want(201).into(&ssh)
	w.do(call{method: "DELETE", path: "/api/v1/ssh-keys/" + ssh.ID, header: header}).want(204)
	w.do(call{method: "DELETE", path: "/api/v1/keys/" + made.Key.ID, header: header}).want(204)
	w.get(made.Secret, "/api/v1/org").want(401)
}

func TestASessionChangesNothingForAnotherSite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	header := w.signIn(w.org, "ada@example.com", access.RoleAdmin)
	for _, from := range []map[string]string{{"Origin": "https://evil.example.com"}, {"Sec-Fetch-Site": "cross-site"}} {
		from["Cookie"] = header["Cookie"]
		if code := w.do(call{method: "POST", path: "/api/v1/teams", header: from, body: map[string]any{"name": "x"}}).want(403).problem().Code; code != "cross_origin" {
			t.Errorf("%v: %s", from, code)
		}
		w.do(call{method: "GET", path: "/api/v1/teams", header: from}).want(200)
		// A key is not sent by a browser on its own.
		from["Cookie"] = ""
		w.do(call{method: "POST", path: "/api/v1/teams", header: from, key: w.admin, body: map[string]any{"name": uuid.NewString()[:8]}}).want(201)
	}
	header["Origin"] = "https://blameprompt.example.com"
	w.do(call{method: "POST", path: "/api/v1/teams", header: header, body: map[string]any{"name": "x"}}).want(201)
	// A key goes before a session.
	delete(header, "Origin")
	w.do(call{method: "DELETE", path: "/api/v1/teams/x", header: header, key: w.read}).want(403)
	w.do(call{method: "DELETE", path: "/api/v1/teams/x", header: header, key: "bpe_unknown"}).want(401)
}

func TestPeopleAreInvitedAndChangedOverTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var invited struct {
		Invitation struct{ ID, Email, Role string }
		Link       string
	}
	w.post(w.admin, "/api/v1/invitations", map[string]any{"email": "Ada@example.com", "role": "admin"}).want(201).into(&invited)
	if invited.Invitation.Role != "admin" || !strings.HasPrefix(invited.Link, "https://blameprompt.example.com/invitations/") {
		t.Errorf("invited %+v", invited)
	}
	if list := w.get(w.admin, "/api/v1/invitations").want(200); strings.Contains(string(list.body), invited.Link[45:]) || !strings.Contains(string(list.body), "ada@example.com") {
		t.Errorf("the list is %s", list.body)
	}
	w.do(call{method: "DELETE", path: "/api/v1/invitations/" + invited.Invitation.ID, key: w.admin}).want(204)
	w.do(call{method: "DELETE", path: "/api/v1/invitations/" + invited.Invitation.ID, key: w.admin}).want(204)
	w.signIn(w.org, "ada@example.com", access.RoleAdmin)
	patch := func(who string, in map[string]any) reply {
		return w.do(call{method: "PATCH", path: "/api/v1/users/" + who, key: w.admin, body: in})
	}
	if code := patch("ada@example.com", map[string]any{"role": "viewer"}).want(409).problem().Code; code != "last_admin" {
		t.Errorf("code %s", code)
	}
	w.do(call{method: "DELETE", path: "/api/v1/users/ada@example.com", key: w.admin}).want(409)
	w.signIn(w.org, "bob@example.com", access.RoleAdmin)
	var user struct {
		Name, Role string
		Logins     []string
	}
	patch("ada@example.com", map[string]any{"role": "viewer", "name": "Ada", "logins": []string{"Ada"}}).want(200).into(&user)
	if user.Name != "Ada" || user.Role != "viewer" || len(user.Logins) != 1 || user.Logins[0] != "ada" {
		t.Errorf("changed to %+v", user)
	}
	w.get(w.read, "/api/v1/users/ada@example.com").want(200).into(&user)
	for _, bad := range []map[string]any{{}, {"role": "king"}, {"name": "a\x1bb"}, {"email": "x@example.com"}} {
		patch("ada@example.com", bad).want(400)
	}
	var link struct{ Link string }
	w.post(w.admin, "/api/v1/users/ada@example.com/password-link", nil).want(201).into(&link)
	if !strings.HasPrefix(link.Link, "https://blameprompt.example.com/password/") {
		t.Errorf("the link is %s", link.Link)
	}
	w.do(call{method: "DELETE", path: "/api/v1/users/ada@example.com", key: w.admin}).want(204)
	w.post(w.admin, "/api/v1/users/ada@example.com/password-link", nil).want(404)
}

func TestTheAccountOfAPersonOverTheAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	header := w.signIn(w.org, "ada@example.com", access.RoleMember)
	var account struct {
		User   struct{ Email, Role string }
		Org    struct{ Name string }
		Scopes []string
		Teams  []string
	}
	w.do(call{method: "GET", path: "/api/v1/account", header: header}).want(200).into(&account)
	if account.User.Email != "ada@example.com" || account.Org.Name != "acme" || strings.Join(account.Scopes, " ") != "ingest read write" || account.Teams == nil {
		t.Errorf("the account is %+v", account)
	}
	var sessions struct {
		Items []struct {
			ID      string
			Current bool
		}
	}
	w.do(call{method: "GET", path: "/api/v1/account/sign-ins", header: header}).want(200).into(&sessions)
	if len(sessions.Items) != 1 || !sessions.Items[0].Current || sessions.Items[0].ID != w.sessionOf(header) {
		t.Errorf("the sessions are %+v", sessions)
	}
	// Somebody without a password has none to guess.
	w.do(call{method: "PUT", path: "/api/v1/account/password", header: header,
		body: map[string]any{"old_password": "", "password": "correct horse battery"}}).want(400)
	w.do(call{method: "DELETE", path: "/api/v1/account/sign-ins", header: header}).want(204)
	w.do(call{method: "DELETE", path: "/api/v1/account/sign-ins/" + sessions.Items[0].ID, header: header}).want(204)
	w.do(call{method: "GET", path: "/api/v1/account", header: header}).want(401)
}

func TestSettingsOfAnOrganisation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	patch := func(in map[string]any) reply {
		return w.do(call{method: "PATCH", path: "/api/v1/org", key: w.admin, body: in})
	}
	var org struct {
		Name, Title string
		TimeZone    string `json:"time_zone"`
	}
	patch(map[string]any{"title": "Acme & Co", "time_zone": "Europe/Athens"}).want(200).into(&org)
	if org.Name != "acme" || org.Title != "Acme & Co" || org.TimeZone != "Europe/Athens" {
		t.Errorf("the organisation is %+v", org)
	}
	for _, bad := range []map[string]any{{"name": "other"}, {"time_zone": "Local"}, {"time_zone": "Mars/Olympus"}, {"title": "a\x00b"}, {}} {
		patch(bad).want(400)
	}
	w.seed()
	patch(map[string]any{"time_zone": "Europe/Athens", "title": ""}).want(200)
	if fields := patch(map[string]any{"time_zone": "UTC"}).want(400).problem().fields(); fields != "time_zone" {
		t.Errorf("the zone of counted receipts: %s", fields)
	}
}

func TestASessionThatAsksTooOftenWaits(t *testing.T) {
	t.Parallel()
	clock := &clock{now: time.Now()}
	w := newWorld(t, withClock(clock), slowly)
	header := w.signIn(w.org, "ada@example.com", access.RoleMember)
	for range 3 {
		w.do(call{method: "GET", path: "/api/v1/org", header: header}).want(200)
	}
	w.do(call{method: "GET", path: "/api/v1/org", header: header}).want(429)
	w.do(call{method: "GET", path: "/api/v1/org", header: w.signIn(w.org, "bob@example.com", access.RoleMember)}).want(200)
	clock.advance(2 * time.Second)
	w.do(call{method: "GET", path: "/api/v1/org", header: header}).want(200)
}

func TestPoliciesOfATeam(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, team := range []string{"web", "core"} {
		w.post(w.admin, "/api/v1/teams", map[string]any{"name": team}).want(201)
	}
	for name, scope := range map[string]string{"all": `{}`, "web": `{"teams":["web"]}`, "others": `{"teams":["**","!web"]}`} {
		w.post(w.admin, "/api/v1/policies", `{"name":"`+name+`","rule":{"require_receipts":true},"scope":`+scope+`}`).want(201)
	}
	for team, want := range map[string]string{"web": "all web", "core": "all others"} {
		var page struct{ Items []struct{ Name string } }
		w.get(w.read, "/api/v1/policies?team="+team).want(200).into(&page)
		var names []string
		for _, item := range page.Items {
			names = append(names, item.Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("policies of %s: %q, want %q", team, got, want)
		}
	}
	w.get(w.read, "/api/v1/policies?team=nowhere").want(400)
}
