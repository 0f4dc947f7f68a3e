package ui

import (
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/httpapi/auth"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

func (w *world) passwordLink(email string) string {
	w.t.Helper()
	link, secret, err := w.db.PasswordLink(w.t.Context(), access.CLI(w.org.ID), email, w.clock.time())
	if err != nil {
		w.t.Fatal(err)
	}
	return auth.LinkURL("", link.Kind, secret)
}

func TestTheFirstAdminIsMadeByTheLinkOfTheFirstStart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, org := range []store.Org{w.org, w.rival} {
		if _, err := w.db.Pool().Exec(t.Context(), `DELETE FROM orgs WHERE id = $1`, org.ID); err != nil {
			t.Fatal(err)
		}
	}
	first, err := w.db.Bootstrap(t.Context())
	if err != nil || first.Key == "" || first.Setup == "" {
		t.Fatalf("secrets %+v, %v", first, err)
	}
	if again, err := w.db.Bootstrap(t.Context()); err != nil || again != (store.FirstSecrets{}) {
		t.Errorf("the second start: %+v, %v", again, err)
	}
	b, path := w.browser(), auth.LinkURL("", store.LinkSetup, first.Setup)
	b.get(path).want(200).says(`name="email"`)
	b.post(path, "email", "root", "name", "Ada", "password", password).want(400).says("Address: give an address").says(`value="Ada"`)
	b.post(path, "email", "root@example.com", "name", "Ada", "password", "short").want(400).says("at least 12 characters")
	b.post(path, "email", "Root@example.com", "name", "Ada", "password", password).leads("/")
	b.get("/account").want(200).says("<bdi>Ada</bdi>, <bdi>root@example.com</bdi>, admin")
	w.browser().get(path).want(404).says("This link has ended")
	w.browser().post(path, "email", "eve@example.com", "password", password).want(404)
	if strings.Contains(w.log.String(), first.Setup) || !strings.Contains(w.log.String(), "/setup/…") {
		t.Errorf("the log holds the secret of the link:\n%s", w.log)
	}
}

func TestLinksEnd(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.browser()
	replaced := w.invite(w.org, "ada@example.com", access.RoleMember)
	late := w.invite(w.org, "ada@example.com", access.RoleMember)
	b.get(replaced).want(404)
	b.get(strings.Replace(late, "invitations", "password", 1)).want(404)
	b.get(strings.Replace(late, "invitations", "setup", 1)).want(404)
	w.clock.advance(7*24*time.Hour - time.Second)
	b.get(late).want(200).says("ada@example.com").says("<strong><bdi>acme</bdi></strong>")
	w.clock.advance(time.Second)
	b.post(late, "password", password).want(404)
	list, err := w.db.Invitations(t.Context(), w.org.ID)
	if err != nil || len(list) != 2 {
		t.Fatalf("%v, %v", list, err)
	}
	revoked := w.invite(w.org, "bob@example.com", access.RoleMember)
	list, _ = w.db.Invitations(t.Context(), w.org.ID)
	if _, err := w.db.RevokeInvitation(t.Context(), access.CLI(w.org.ID), list[0].ID); err != nil {
		t.Fatal(err)
	}
	b.get(revoked).want(404)
}

func TestALinkIsGoodOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	path := w.invite(w.org, "ada@example.com", access.RoleMember)
	var taken atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if w.browser().post(path, "password", password).status == http.StatusSeeOther {
				taken.Add(1)
			}
		})
	}
	if group.Wait(); taken.Load() != 1 {
		t.Errorf("the link was good %d times", taken.Load())
	}
}

func TestAnInvitationKeepsWhatThePersonHad(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	user, err := w.db.CreateUser(t.Context(), access.CLI(w.org.ID), store.NewUser{Email: "ada@example.com", Name: "Ada", Logins: []string{"ada"}})
	if err != nil {
		t.Fatal(err)
	}
	b := w.browser()
	b.post(w.invite(w.org, "ada@example.com", access.RoleAdmin), "password", password).leads("/")
	got := w.user(w.org, "ada@example.com")
	if got.ID != user.ID || got.Name != "Ada" || got.Role != access.RoleAdmin || len(got.Logins) != 1 || !got.HasPassword {
		t.Errorf("%+v", got)
	}
}

func TestANewPasswordEndsEverySession(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	thief := w.person(w.org, "ada@example.com", access.RoleMember)
	owner := w.browser()
	owner.get(w.passwordLink("ada@example.com")).want(200).says("ada@example.com")
	owner.post(w.passwordLink("ada@example.com"), "password", "another horse battery").leads("/")
	thief.get("/account").leads("/login?next=%2Faccount")
	thief.login("ada@example.com", password).want(401)
	owner.get("/account").want(200)
}
