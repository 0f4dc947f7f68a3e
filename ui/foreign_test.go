package ui

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// TestAForeignAdminNeitherSeesNorChanges walks every route with the ids of one
// organisation's things and a session of an admin of another one.
func TestAForeignAdminNeitherSeesNorChanges(t *testing.T) {
	t.Parallel()
	w := furnished(t)
	victim := w.person(w.org, "ada@example.com", access.RoleAdmin)
	ids := w.idsByPath(victim.session())
	eve := w.person(w.rival, "eve@example.com", access.RoleAdmin)
	before := w.rows()
	eachRoute(t, func(name, method, path string) {
		if !strings.Contains(name, "{id}") || strings.Contains(name, "static") {
			return
		}
		_, template, _ := strings.Cut(name, " ")
		prefix, rest, _ := strings.Cut(template, "{id}")
		id, ok := ids[prefix]
		if !ok {
			t.Errorf("%s: the test knows no id of the other organisation", name)
			return
		}
		got := eve.do(method, prefix+id+strings.ReplaceAll(rest, "{commit}", strings.Repeat("1", 40)), foreignForm(name))
		if got.status != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404: %.300s", name, got.status, got.body)
		}
	})
	for _, path := range []string{"/", "/receipts", "/receipts.csv", "/enforcement", "/enforcement/violations", "/policies", "/repositories", "/account"} {
		body := eve.get(path).want(http.StatusOK).body
		for _, theirs := range append([]string{"repo-1", "dev0@example.com", "ada@example.com", w.org.ID.String()}, pathsOf(ids)...) {
			if strings.Contains(body, theirs) {
				t.Errorf("%s shows %q of another organisation", path, theirs)
			}
		}
	}
	if diff := cmp.Diff(before, w.rows()); diff != "" {
		t.Errorf("somebody foreign changed rows (-before +after):\n%s", diff)
	}
}

// foreignForm is one that would be taken, so that nothing but the id is wrong.
func foreignForm(name string) map[string][]string {
	switch {
	case strings.HasPrefix(name, "GET"):
		return nil
	case strings.Contains(name, "/waive"), strings.Contains(name, "/release"):
		return map[string][]string{"reason": {"mine"}, "days": {"7"}, "expires": {"7"}}
	}
	return map[string][]string{}
}

// idsByPath has for each path that ends in an id one of the first organisation's.
func (w *world) idsByPath(session uuid.UUID) map[string]string {
	w.t.Helper()
	ctx, by := w.t.Context(), access.CLI(w.org.ID)
	column := func(sql string) string {
		w.t.Helper()
		return storetest.Column(w.t, w.db, sql)[0]
	}
	user := w.user(w.org, "ada@example.com")
	key, _, err := w.db.CreateKey(ctx, by, store.NewKey{Name: "laptop", Scopes: []access.Scope{access.Read}, User: user.Email})
	if err != nil {
		w.t.Fatal(err)
	}
	ssh, err := w.db.AddSSHKey(ctx, by, store.NewSSHKey{UserID: user.ID, Line: publicKey})
	if err != nil {
		w.t.Fatal(err)
	}
	policy := column(`SELECT id::text FROM policies`)
	waiver, err := w.db.CreateWaiver(ctx, by, store.NewWaiver{Policy: uuid.MustParse(policy), Pusher: "bob@example.com", Reason: "theirs", ExpiresAt: time.Now().Add(time.Hour)})
	if err != nil {
		w.t.Fatal(err)
	}
	connection, _, err := w.db.SaveConnection(ctx, by, store.NewConnection{Forge: "gitea", APIURL: "https://git.example.com", Owner: "acme", Token: "t"})
	if err != nil {
		w.t.Fatal(err)
	}
	secret, _, err := w.db.CreateWebhookSecret(ctx, by, "gitea", "")
	if err != nil {
		w.t.Fatal(err)
	}
	at := store.EndpointURL{URL: "https://hooks.example.com/s3cret", Origin: "https://hooks.example.com"}
	endpoint, _, err := w.db.CreateEndpoint(ctx, by, "theirs", at, nil, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return map[string]string{
		"/settings/endpoints/": endpoint.ID.String(),
		"/receipts/":           column(`SELECT id FROM receipts ORDER BY id`), "/repositories/": column(`SELECT id::text FROM repos ORDER BY name`),
		"/policies/": policy, "/decisions/": column(`SELECT id::text FROM decisions ORDER BY id`), "/holds/": column(`SELECT id::text FROM holds`),
		"/waivers/": waiver.ID.String(), "/connections/": connection.ID.String(),
		"/teams/": column(`SELECT id::text FROM teams ORDER BY name`), "/settings/webhooks/": secret.ID.String(),
		"/settings/keys/": key.ID.String(), "/settings/ssh-keys/": ssh.ID.String(),
		"/reports/": column(`SELECT id::text FROM reports ORDER BY id`), "/reports/schedules/": column(`SELECT id::text FROM report_schedules`),
		"/enforcement/reviews/": column(`SELECT v.id::text FROM violations v JOIN decisions d ON d.id = v.decision_id WHERE d.outcome = 'refuse'`),
		"/account/sessions/":    session.String(), "/account/keys/": key.ID.String(), "/account/ssh-keys/": ssh.ID.String(),
	}
}

// pathsOf are the ids by which pages would lead to the things: with the path, since
// a short id may be part of any word.
func pathsOf(ids map[string]string) []string {
	var out []string
	for prefix, id := range ids {
		out = append(out, prefix+id)
	}
	return out
}

// rows is a sum of what the first organisation has, by table.
func (w *world) rows() map[string]string {
	w.t.Helper()
	out := map[string]string{}
	for _, table := range storetest.Column(w.t, w.db, `SELECT table_name FROM information_schema.columns
		WHERE table_schema = 'public' AND column_name = 'org_id' ORDER BY 1`) {
		out[table] = storetest.Column(w.t, w.db, fmt.Sprintf(
			`SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, E'\n' ORDER BY t::text)), '') FROM %s t WHERE org_id = $1`, table), w.org.ID)[0]
	}
	if len(out) < 30 {
		w.t.Fatalf("only %d tables have an organisation", len(out))
	}
	return out
}
