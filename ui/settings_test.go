package ui

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

func TestPricesAreSetAndTakenAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.person(w.org, "ada@example.com", access.RoleAdmin)
	b.get("/settings/prices?q=opus").want(http.StatusOK).says("claude-opus").says("None of that name")
	set := []string{"do", "set", "model", "house <b>", "input", "4", "output", "20", "valid_from", "2026-10-01", "source", "contract"}
	b.post("/settings/prices", set...).leads("/settings/prices?done=prices-changed")
	b.get("/settings/prices").says("house &lt;b&gt;").says("contract")
	b.post("/settings/prices", "do", "set", "model", "x", "input", "many", "source", "kept").want(http.StatusBadRequest).says("input").says(`value="kept"`)
	b.post("/settings/prices", "do", "alias", "alias", "mine", "model", "house <b>").leads("/settings/prices?done=prices-changed")
	b.get("/settings/prices").says("mine")
	b.post("/settings/prices", "do", "remove-alias", "alias", "mine").leads("/settings/prices?done=prices-changed")
	b.post("/settings/prices", "do", "remove", "id", w.column(`SELECT id::text FROM price_entries`)).leads("/settings/prices?done=prices-changed")
	if got := storetest.Column(t, w.db, `SELECT model FROM price_entries UNION ALL SELECT alias FROM price_aliases`); len(got) != 0 {
		t.Errorf("%q stay", got)
	}
	b.post("/settings/prices", "do", "nothing").want(http.StatusBadRequest)
}

func TestIdentitiesAreJoinedAndSplit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.person(w.org, "ada@example.com", access.RoleAdmin)
	const page, done = "/settings/identities", "/settings/identities?done=people-joined"
	b.post(page, "do", "join", "person", "ada@example.com", "emails", "a@home.example\nada@work.example").leads(done)
	b.get(page).want(http.StatusOK).says("a@home.example").says("ada@work.example")
	b.get(page + "?email=a@home.example").says("is the person")
	b.post(page, "do", "split", "email", "a@home.example").leads(done)
	b.get(page).says("stands for itself")
	b.post(page, "do", "reset", "email", "a@home.example").leads(done)
	b.post(page, "do", "join", "person", "nobody", "emails", "x").want(http.StatusBadRequest).says("must be an e-mail address")
	b.post(page, "do", "bot", "pattern", "*-robot@example.com").leads(done)
	b.get(page).says("*-robot@example.com")
	b.post(page, "do", "forget-bot", "pattern", "*-robot@example.com").leads(done)
	want := []string{"identity.join", "identity.join", "identity.split", "identity.reset"}
	if got := w.actions(); !slices.Equal(slices.DeleteFunc(got, func(a string) bool { return !strings.HasPrefix(a, "identity.") }), want) {
		t.Errorf("acts %q", got)
	}
}

func TestPrivacyIsKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.person(w.org, "ada@example.com", access.RoleAdmin)
	const page = "/settings/privacy"
	b.post(page, "do", "prompts", "prompts", "hashed").leads(page + "?done=changed")
	b.get(page).want(http.StatusOK).says(`value="hashed" checked`)
	b.post(page, "do", "retention", "class", "deliveries", "days", "30").leads(page + "?done=changed")
	b.get(page).says(`value="30"`)
	b.post(page, "do", "retention", "class", "deliveries", "days", "never").want(http.StatusBadRequest)
	w.person(w.org, "bob@example.com", access.RoleMember)
	for format, want := range map[string]struct{ name, says string }{
		"json": {"person.ndjson", `"table":"users"`},
		"html": {"person.html", "<h1>What is kept of bob@example.com</h1>"},
		"md":   {"person.md", "# What is kept of bob\\@example.com"},
	} {
		file := b.post(page+"/export", "email", "bob@example.com", "format", format).want(http.StatusOK).says(want.says)
		if got := file.header.Get("Content-Disposition"); got != `attachment; filename="`+want.name+`"` {
			t.Errorf("the export is %q, want %s", got, want.name)
		}
	}
	b.post(page+"/export", "email", "bob@example.com", "format", "exe").want(http.StatusBadRequest).says("must be one of")
	b.post(page+"/export", "email", "nobody@example.com", "format", "json").says("is of nobody")
	b.post(page, "do", "erase", "email", "bob@example.com", "again", "bob").want(http.StatusBadRequest).says("to make sure")
	b.post(page, "do", "erase", "email", "bob@example.com", "again", "bob@example.com").want(http.StatusOK).says("The person is erased")
}

func TestADeliveryIsDoneOnceMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.person(w.org, "ada@example.com", access.RoleAdmin)
	record := func(id, repo string, isPush bool) {
		t.Helper()
		err := w.db.InTx(t.Context(), func(tx *store.Tx) error {
			_, _, err := tx.RecordDelivery(t.Context(), w.org.ID, store.Delivery{Forge: "gitea", ID: id, Event: "push", Push: isPush, Name: repo})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	record("early", "web", true)
	record("ping", "", false)
	const list = "/settings/webhooks"
	again := func(id string) page { return b.post(list+"/redeliver", "forge", "gitea", "delivery", id) }
	again("early").leads(list + "?done=unknown-repo")
	repo := storetest.MustRepo(t, w.db, w.org, "web", "https://git.example.com/web.git")
	again("early").leads(list + "?done=redelivered")
	again("ping").leads(list + "?done=ignored-before")
	if !slices.Equal(w.fetched.repos, []uuid.UUID{repo.ID}) {
		t.Errorf("fetched %v, want %v", w.fetched.repos, repo.ID)
	}
	if got := again("none"); got.status != http.StatusNotFound {
		t.Errorf("a delivery that is not there: %d", got.status)
	}
	w.person(w.rival, "eve@example.com", access.RoleAdmin).post(list+"/redeliver", "forge", "gitea", "delivery", "early").want(http.StatusNotFound)
	b.get(list).want(http.StatusOK).says("Redeliver")
}

// What cannot be taken back is behind a second button, and the audit log says whose
// the key was that acted.
func TestWhatEndsSomethingAsksOnceMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.person(w.org, "ada@example.com", access.RoleAdmin)
	by := access.CLI(w.org.ID)
	user := storetest.MustUser(t, w.db, w.org, "vera@example.com", "vera")
	_, _, err := w.db.CreateKey(t.Context(), by, store.NewKey{Name: "laptop", Scopes: []access.Scope{access.Read}, User: user.Email})
	if err == nil {
		_, err = w.db.AddSSHKey(t.Context(), by, store.NewSSHKey{UserID: user.ID, Line: anotherPublicKey})
	}
	if err == nil {
		_, err = w.db.SetGrant(t.Context(), by, store.NewGrant{Subject: store.SubjectUser, SubjectID: user.ID, Permission: access.WriteRepo})
	}
	if err == nil {
		_, _, err = w.db.SaveConnection(t.Context(), by, store.NewConnection{Forge: "gitea", APIURL: "https://git.example.com", Owner: "acme", Token: "t"})
	}
	if err != nil {
		t.Fatal(err)
	}
	for path, sure := range map[string]string{"/settings/keys": "Yes, revoke</button>", "/settings/ssh-keys": "Yes, take back</button>",
		"/settings/people": "Yes, disable</button>", "/repositories": "Yes, disconnect</button>"} {
		b.get(path).want(http.StatusOK).says(sure)
	}
	id := w.column(`SELECT id::text FROM ssh_keys`)
	key := access.Principal{Org: w.org.ID, Name: "ssh-key:" + id, User: "vera@example.com", Scopes: []access.Scope{access.Hook}}
	if err := w.db.InTx(t.Context(), func(tx *store.Tx) error { return tx.Audit(t.Context(), key, "push.accept", "web", nil) }); err != nil {
		t.Fatal(err)
	}
	b.get("/audit?action=push.accept").want(http.StatusOK).says("<bdi>vera@example.com</bdi>").says("ssh-key …" + id[len(id)-6:]).says(`title="ssh-key:` + id)
}

// Who is refused types nothing again.
func TestRefusedFormsKeepWhatWasTyped(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.person(w.org, "ada@example.com", access.RoleAdmin)
	for path, fields := range map[string][]string{
		"/settings/people":     {"do", "invite", "email", "no address", "name", "Vera", "role", "member"},
		"/settings/keys":       {"name", "laptop", "user", "nobody@example.com", "scope", "read", "days", "30"},
		"/settings/grants":     {"do", "grant", "kind", "user", "subject", "nobody@example.com", "repo", "web", "permission", "read"},
		"/settings/identities": {"do", "join", "person", "no address", "emails", "x"},
		"/teams":               {"name", strings.Repeat("n", 300)},
	} {
		got := b.post(path, fields...).want(http.StatusBadRequest)
		for i := 0; i < len(fields); i += 2 {
			if name := fields[i]; strings.Contains("email name user subject repo person", name) {
				got.says(`value="` + fields[i+1] + `"`)
			}
		}
	}
	if got := b.get("/settings/people").body; strings.Contains(got, `value="Vera"`) {
		t.Error("a form that nobody sent is filled in")
	}
}
