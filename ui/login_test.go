package ui

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/httpapi/auth"
	"github.com/blameprompt/enterprise/policy/access"
)

func TestAPersonSignsInAndOut(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person(w.org, "ada@example.com", access.RoleMember)
	b := w.browser()
	b.get("/account?done=key").leads("/login?next=%2Faccount%3Fdone%3Dkey")
	b.get("/login?next=%2Faccount%3Fdone%3Dkey").want(200).says(`value="/account?done=key"`)
	b.post("/login", "org", "acme", "email", " Ada@example.com", "password", password, "next", "/account?done=key").leads("/account?done=key")
	b.get("/account").want(200).says("<bdi>ada@example.com</bdi>, member")
	b.get("/login").leads("/")
	secret := b.cookie()
	if secret == "" {
		t.Fatal("no cookie")
	}
	b.post("/logout").leads("/login")
	if b.cookie() != "" {
		t.Error("the cookie stays")
	}
	// The replay of a session that was ended.
	b.setCookie(secret)
	b.get("/account").leads("/login?next=%2Faccount")
	want := []string{"org.create", "invitation.create", "invitation.accept", "session.begin", "session.begin", "session.revoke"}
	if diff := cmp.Diff(want, w.actions()); diff != "" {
		t.Errorf("audited (-want +got):\n%s", diff)
	}
}

func TestTheCookieIsForThisSiteAndNoScript(t *testing.T) {
	t.Parallel()
	for public, want := range map[string]string{
		"http://blame.example.com":  "blameprompt=X; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax",
		"https://blame.example.com": "__Host-blameprompt=X; Path=/; Max-Age=604800; HttpOnly; Secure; SameSite=Lax",
	} {
		w := newWorld(t, func(c *auth.AccountConfig) { c.PublicURL = public })
		got := w.browser().post(w.invite(w.org, "ada@example.com", access.RoleViewer), "password", password).leads("/").header.Values("Set-Cookie")
		if len(got) != 1 {
			t.Fatalf("cookies %q", got)
		}
		name, rest, _ := strings.Cut(got[0], "=")
		secret, attributes, _ := strings.Cut(expires.ReplaceAllString(rest, ""), ";")
		if cookie := name + "=X;" + attributes; cookie != want || len(secret) != 43 {
			t.Errorf("with %s: %q and a secret of %d characters, want %q", public, cookie, len(secret), want)
		}
	}
}

var expires = regexp.MustCompile(` Expires=[^;]*;`)

// TestASessionThatWasKnownBeforeIsWorthNothing is session fixation: somebody
// plants a cookie in a browser and waits for its person to sign in.
func TestASessionThatWasKnownBeforeIsWorthNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person(w.org, "ada@example.com", access.RoleAdmin)
	eve := w.person(w.org, "eve@example.com", access.RoleViewer)
	for _, planted := range []string{strings.Repeat("A", 43), eve.cookie()} {
		victim := w.browser()
		victim.setCookie(planted)
		victim.login("ada@example.com", password).leads("/")
		if victim.cookie() == planted {
			t.Fatal("the planted cookie was kept")
		}
		thief := w.browser()
		thief.setCookie(planted)
		thief.get("/account").leads("/login?next=%2Faccount")
	}
}

func TestAnotherSiteCannotAct(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.person(w.org, "ada@example.com", access.RoleAdmin)
	for _, header := range []http.Header{
		{"Origin": {"https://evil.example.com"}}, {"Origin": {"null"}}, {"Sec-Fetch-Site": {"cross-site"}}, {"Sec-Fetch-Site": {"same-site"}},
	} {
		b.header = header
		for _, rt := range routes() {
			if rt.method == http.MethodGet {
				continue
			}
			path := strings.NewReplacer("{id}", "01a21502-e658-70f9-97d6-59906826ce0e", "{token}", "x").Replace(rt.path)
			if got := b.post(path, "email", "ada@example.com", "password", password); got.status != http.StatusForbidden {
				t.Errorf("%v, %s: status %d, want 403", header, rt.path, got.status)
			}
		}
	}
	for _, header := range []http.Header{
		{"Origin": {"http://blame.example.com"}}, {"Origin": {b.srv.URL}}, {"Sec-Fetch-Site": {"same-origin"}, "Origin": {"https://proxied"}}, {},
	} {
		b.header = header
		b.post("/account/sessions/revoke").leads("/account?done=sessions")
	}
}

func TestWhoeverSignsInIsNotSentToAnotherSite(t *testing.T) {
	t.Parallel()
	for next, want := range map[string]string{
		"": "/", "/": "/", "/receipts?q=a%20b&x=1": "/receipts?q=a%20b&x=1", "/repos/a%2Fb": "/repos/a%2Fb",
		"https://evil.example.com": "/", "//evil.example.com": "/", "/\\evil.example.com": "/", "\\/evil": "/", "/%2Fevil.example.com": "/",
		"/%5Cevil.example.com": "/", "http:/evil": "/", "javascript:alert(1)": "/", "/a\nb": "/", "/\tx": "/", " /x": "/", "evil": "/",
		"/x?u=//evil.example.com": "/x?u=//evil.example.com", "/login": "/", "/logout": "/", "/x#y": "/x",
		"/" + strings.Repeat("a", 3000): "/",
	} {
		if got := returnPath(next); got != want {
			t.Errorf("returnPath(%.60q) = %q, want %q", next, got, want)
		}
	}
}

func TestAPartOfAPageLeadsThePageToTheLogin(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	b.header = http.Header{"Hx-Request": {"true"}, "Hx-Current-Url": {"http://blame.example.com/account?x=1"}}
	if got := b.get("/account").want(401).header.Get("HX-Redirect"); got != "/login?next=%2Faccount%3Fx%3D1" {
		t.Errorf("HX-Redirect %q", got)
	}
}

// TestWhetherThereIsAnAccountIsNotTold compares whatever may be wrong.
func TestWhetherThereIsAnAccountIsNotTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person(w.org, "ada@example.com", access.RoleMember)
	w.person(w.org, "off@example.com", access.RoleMember)
	if _, err := w.db.DisableUser(t.Context(), access.CLI(w.org.ID), w.user(w.org, "off@example.com").ID); err != nil {
		t.Fatal(err)
	}
	w.invite(w.org, "new@example.com", access.RoleMember)
	var first string
	for _, c := range [][3]string{
		{"acme", "ada@example.com", "wrong horse battery"}, {"acme", "ada@example.com", ""}, {"acme", "nobody@example.com", password},
		{"acme", "off@example.com", password}, {"acme", "new@example.com", password}, {"rival", "ada@example.com", password},
		{"nowhere", "ada@example.com", password}, {"", "ada@example.com", password}, {"acme", "ada@example.com", strings.Repeat("x", 5000)},
	} {
		w.forgive()
		got := w.browser().post("/login", "org", c[0], "email", c[1], "password", c[2]).want(401)
		body := strings.NewReplacer(`value="`+c[0]+`"`, "", `value="`+c[1]+`"`, "").Replace(got.body)
		if first == "" {
			first = body
		}
		if body != first || got.header.Get("Set-Cookie") != "" {
			t.Errorf("%.60q is answered by another page: %s", c, cmp.Diff(first, body))
		}
	}
	for _, email := range []string{"a\x00@example.com", "\xff", strings.Repeat("a", 5000)} {
		w.browser().login(email, password).want(401)
	}
}

// forgive unlocks what is locked, for tests that are about something else.
func (w *world) forgive() {
	w.t.Helper()
	if _, err := w.db.Pool().Exec(w.t.Context(), `DELETE FROM login_failures`); err != nil {
		w.t.Fatal(err)
	}
}

func TestAnAccountIsLockedForAWhile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person(w.org, "ada@example.com", access.RoleMember)
	b := w.browser()
	for _, email := range []string{"ada@example.com", "nobody@example.com"} {
		for range 5 {
			b.login(email, "wrong horse battery").want(401)
		}
		got := b.login(email, password).want(429).says("Wait")
		if got.header.Get("Retry-After") != "60" {
			t.Errorf("%s: Retry-After %q", email, got.header.Get("Retry-After"))
		}
	}
	w.clock.advance(59 * time.Second)
	b.login("ada@example.com", password).want(429)
	w.clock.advance(time.Second)
	b.login("ada@example.com", "wrong horse battery").want(401)
	// Each further failure locks twice as long.
	if got := b.login("ada@example.com", password).want(429).header.Get("Retry-After"); got != "120" {
		t.Errorf("the second lock: Retry-After %q", got)
	}
	w.clock.advance(2 * time.Minute)
	b.login("ada@example.com", password).leads("/")
	b.login("ada@example.com", "wrong horse battery").want(401)
	b.login("ada@example.com", password).leads("/")
}

func TestManyAttemptsAtOnceDoNotOutrunTheLock(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person(w.org, "ada@example.com", access.RoleMember)
	var tried atomic.Int64
	var group sync.WaitGroup
	for i := range 20 {
		group.Go(func() {
			if w.browser().login("ada@example.com", fmt.Sprintf("wrong horse battery %d", i)).status == 401 {
				tried.Add(1)
			}
		})
	}
	if group.Wait(); tried.Load() != 5 {
		t.Errorf("%d attempts were made, want 5", tried.Load())
	}
}

func TestAnAddressThatTriesManyAccountsIsLocked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person(w.org, "ada@example.com", access.RoleMember)
	for i := range 50 {
		w.browser().login(fmt.Sprintf("a%d@example.com", i), password).want(401)
	}
	w.browser().login("ada@example.com", password).want(429)
	w.clock.advance(time.Minute)
	w.browser().login("ada@example.com", password).leads("/")
}

func TestASessionEndsByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *auth.AccountConfig) { c.Idle, c.Lifetime = time.Hour, 3*time.Hour })
	idle, busy := w.person(w.org, "ada@example.com", access.RoleMember), w.person(w.org, "bob@example.com", access.RoleMember)
	for range 5 {
		w.clock.advance(30 * time.Minute)
		busy.get("/account").want(200)
	}
	idle.get("/account").leads("/login?next=%2Faccount")
	w.clock.advance(30 * time.Minute)
	busy.get("/account").leads("/login?next=%2Faccount")
}

func TestADisabledPersonIsOutAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.person(w.org, "ada@example.com", access.RoleMember)
	link := w.passwordLink("ada@example.com")
	if _, err := w.db.DisableUser(t.Context(), access.CLI(w.org.ID), w.user(w.org, "ada@example.com").ID); err != nil {
		t.Fatal(err)
	}
	b.get("/account").leads("/login?next=%2Faccount")
	b.login("ada@example.com", password).want(401)
	b.get(link).want(404)
	// Whoever is enabled again signs in anew.
	b.post(w.invite(w.org, "ada@example.com", access.RoleMember), "password", password).leads("/")
	b.get("/account").want(200)
}

func TestOneOrganisationNeedNotBeNamed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.person(w.org, "ada@example.com", access.RoleMember)
	w.browser().get("/login?org=acme").want(200).says(`name="org" value="acme"`)
	if _, err := w.db.Pool().Exec(t.Context(), `DELETE FROM orgs WHERE id = $1`, w.rival.ID); err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	if page := b.get("/login").want(200); strings.Contains(page.body, `name="org"`) {
		t.Error("the only organisation is asked for")
	}
	b.post("/login", "email", "ada@example.com", "password", password).leads("/")
}

func TestLoginFormsOfAnotherKindAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.browser().do(http.MethodPost, "/login", url.Values{"password": {strings.Repeat("x", 100<<10)}}).want(400)
}
