package httpapi_test

import (
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store/storetest"
)

// A key that nobody has the private half of.
const publicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ0mVN7oXsFVdLx0dLhC0pYtUeB3Vm0sX1cN5dTqvQkz"

type grant struct {
	Subject, Name, Permission string
	Repo                      *string
	Override                  bool
}

func (w *world) grants() []grant {
	w.t.Helper()
	var list struct{ Items []grant }
	w.get(w.admin, "/api/v1/grants").want(200).into(&list)
	return list.Items
}

// TestPeopleKeysAndGrants lets somebody in and shows them out again.
func TestPeopleKeysAndGrants(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	row := storetest.MustRepo(t, w.db, w.org, "web/app", "https://git.example.com/web/app.git")
	var user struct {
		ID, Email  string
		Logins     []string
		DisabledAt *string `json:"disabled_at"`
	}
	w.post(w.admin, "/api/v1/users", map[string]any{"email": "Ada@Example.com", "name": "Ada", "logins": []string{"ada", "Ada"}}).want(201).into(&user)
	if user.Email != "ada@example.com" || !cmp.Equal(user.Logins, []string{"ada"}) {
		t.Errorf("added %+v", user)
	}
	w.post(w.admin, "/api/v1/users", map[string]any{"email": "ada@example.com"}).want(409).problem()
	var key struct{ ID, User, Name, Fingerprint string }
	w.post(w.admin, "/api/v1/ssh-keys", map[string]any{"user": "ADA@example.com", "public_key": publicKey + " ada@laptop\n"}).want(201).into(&key)
	if key.User != user.Email || key.Name != "ada@laptop" || len(key.Fingerprint) != 50 {
		t.Errorf("added %+v", key)
	}
	w.post(w.admin, "/api/v1/ssh-keys", map[string]any{"user": user.ID, "public_key": publicKey}).want(409).problem()

	put := func(body map[string]any) reply {
		return w.do(call{method: "PUT", path: "/api/v1/grants", key: w.admin, body: body})
	}
	put(map[string]any{"user": user.ID, "permission": "read"}).want(200)
	put(map[string]any{"user": "ada@example.com", "repo": "web/app", "permission": "write", "override": true}).want(200)
	name := "web/app"
	want := []grant{{"user", "ada@example.com", "read", nil, false}, {"user", "ada@example.com", "write", &name, true}}
	if diff := cmp.Diff(want, w.grants()); diff != "" {
		t.Errorf("grants (-want +got):\n%s", diff)
	}
	id := uuid.MustParse(user.ID)
	if may, err := w.db.Permission(t.Context(), w.org.ID, id, row.ID); err != nil || may != (access.Grants{Read: true, Write: true, Override: true}) {
		t.Errorf("may %+v, %v", may, err)
	}
	w.do(call{method: "DELETE", path: "/api/v1/grants?user=ada@example.com&repo=web/app", key: w.admin}).want(204)
	w.do(call{method: "DELETE", path: "/api/v1/grants?user=ada@example.com&repo=web/app", key: w.admin}).want(404).problem()
	if diff := cmp.Diff(want[:1], w.grants()); diff != "" {
		t.Errorf("grants (-want +got):\n%s", diff)
	}
	w.do(call{method: "DELETE", path: "/api/v1/ssh-keys/" + key.ID, key: w.admin}).want(204)
	if _, err := w.db.SSHKeyOwner(t.Context(), key.Fingerprint); err == nil {
		t.Error("a revoked key has an owner")
	}
	w.do(call{method: "DELETE", path: "/api/v1/users/" + url.PathEscape("ada@example.com"), key: w.admin}).want(204)
	var users struct {
		Items []struct {
			DisabledAt *string `json:"disabled_at"`
		}
	}
	if w.get(w.read, "/api/v1/users").want(200).into(&users); len(users.Items) != 1 || users.Items[0].DisabledAt == nil {
		t.Errorf("listed %+v", users)
	}
	w.post(w.admin, "/api/v1/ssh-keys", map[string]any{"user": user.ID, "public_key": publicKey}).want(400).problem()
}

func TestGatewayRepositoriesByAPI(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var made struct {
		URL          *string
		Gateway      string
		ForwardNotes bool `json:"forward_notes"`
	}
	w.post(w.admin, "/api/v1/repos", map[string]any{"name": "hosted", "gateway": "hosted"}).want(201).into(&made)
	if made.URL != nil || made.Gateway != "hosted" || !made.ForwardNotes {
		t.Errorf("made %+v", made)
	}
	w.post(w.admin, "/api/v1/repos", map[string]any{"name": "forwarded", "gateway": "forwarding", "url": "https://git.example.com/x.git"}).want(201).into(&made)
	if made.Gateway != "forwarding" {
		t.Errorf("made %+v", made)
	}
	w.do(call{method: "PATCH", path: "/api/v1/repos/forwarded", key: w.admin, body: map[string]any{"gateway": "off", "forward_notes": false}}).want(200).into(&made)
	if made.Gateway != "off" || made.ForwardNotes {
		t.Errorf("changed to %+v", made)
	}
	w.do(call{method: "PATCH", path: "/api/v1/repos/hosted", key: w.admin, body: map[string]any{"gateway": "forwarding"}}).want(400).problem()
}
