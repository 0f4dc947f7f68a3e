package ui

import (
	"strings"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

func TestAPersonChangesTheirPassword(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.person(w.org, "ada@example.com", access.RoleMember)
	other := w.browser()
	other.login("ada@example.com", password).leads("/")
	const fresh = "pass\u00e9 \U0001F40E battery"
	link := w.passwordLink("ada@example.com")
	b.post("/account/password", "old_password", "wrong horse battery", "password", fresh).want(400).says("is not your password")
	b.post("/account/password", "old_password", password, "password", "short").want(400).says("at least 12")
	b.post("/account/password", "old_password", password, "password", strings.Repeat("x", 257)).want(400).says("at most 256")
	b.post("/account/password", "old_password", password, "password", fresh).leads("/account?done=password")
	b.get("/account?done=password").want(200).says("Your password is changed")
	other.get("/account").leads("/login?next=%2Faccount")
	other.get(link).want(404)
	other.login("ada@example.com", password).want(401)
	// Another keyboard spells the same character otherwise.
	other.login("ada@example.com", "passe\u0301 \U0001F40E battery").leads("/")
}

func TestGuessingThePasswordOfAnOpenSessionIsLocked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.person(w.org, "ada@example.com", access.RoleMember)
	for range 5 {
		b.post("/account/password", "old_password", "wrong horse battery", "password", password).want(400)
	}
	b.post("/account/password", "old_password", password, "password", "another horse battery").want(429)
	w.clock.advance(time.Minute)
	b.post("/account/password", "old_password", password, "password", "another horse battery").leads("/account?done=password")
}

func TestAPersonEndsSessions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.person(w.org, "ada@example.com", access.RoleMember)
	phone, laptop := w.browser(), w.browser()
	phone.header.Set("User-Agent", "Phone <b>")
	phone.login("ada@example.com", password).leads("/")
	laptop.login("ada@example.com", password).leads("/")
	b.get("/account").want(200).says("Phone &lt;b&gt;").says("this one")
	b.post("/account/sessions/" + phone.session().String() + "/revoke").leads("/account?done=session")
	phone.get("/account").leads("/login?next=%2Faccount")
	laptop.get("/account").want(200)
	b.post("/account/sessions/revoke").leads("/account?done=sessions")
	laptop.get("/account").leads("/login?next=%2Faccount")
	b.get("/account").want(200)
}

func TestAPersonHasKeysOfTheirOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.person(w.org, "ada@example.com", access.RoleMember)
	b.post("/account/keys", "name", "laptop").want(400).says("no scope given")
	b.post("/account/keys", "name", "laptop", "scope", "root").want(400).says("unknown")
	for _, scope := range []string{"admin", "hook"} {
		b.post("/account/keys", "name", "laptop", "scope", scope).want(400).says("which you have not yourself")
	}
	page := b.post("/account/keys", "name", "laptop", "scope", "read", "scope", "ingest").want(200).says(store.KeyPrefix)
	_, rest, _ := strings.Cut(page.body, `<code id="secret">`)
	secret, _, _ := strings.Cut(rest, "<")
	p, err := w.db.PrincipalByKey(t.Context(), secret)
	if err != nil || p.User != "ada@example.com" || !p.Has(access.Read) || p.Has(access.Write) || p.SignedIn() {
		t.Errorf("the key is %+v, %v", p, err)
	}
	if again := b.get("/account").want(200); strings.Contains(again.body, secret) {
		t.Error("the secret is shown again")
	}
	// A key may do no more than its person.
	role := access.RoleViewer
	if _, err := w.db.UpdateUser(t.Context(), access.CLI(w.org.ID), p.UserID, store.UserChange{Role: &role}); err != nil {
		t.Fatal(err)
	}
	if p, err = w.db.PrincipalByKey(t.Context(), secret); err != nil || p.Has(access.Ingest) || !p.Has(access.Read) {
		t.Errorf("the key of a viewer is %+v, %v", p, err)
	}
	b.get("/account").want(200).says("viewer")
	b.post("/account/ssh-keys", "name", "x", "public_key", "nonsense").want(400)
	b.post("/account/ssh-keys", "name", "desk", "public_key", publicKey).leads("/account?done=ssh-key")
	b.get("/account").want(200).says("desk")
	b.post("/account/ssh-keys", "name", "desk", "public_key", publicKey).want(409)
}
