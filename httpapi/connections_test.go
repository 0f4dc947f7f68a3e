package httpapi_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/hooks/connect"
	"github.com/blameprompt/enterprise/hooks/forge"
	"github.com/blameprompt/enterprise/httpapi"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// gitServer answers as a forge of which only the token's check matters.
type gitServer struct {
	*httptest.Server

	mu     sync.Mutex
	status int
	header http.Header
	body   string
}

func newGitServer(t testing.TB) *gitServer {
	g := &gitServer{status: http.StatusOK, body: `{}`}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		for name, values := range g.header {
			w.Header()[name] = values
		}
		w.WriteHeader(g.status)
		io.WriteString(w, g.body)
	}))
	t.Cleanup(g.Close)
	return g
}

func (g *gitServer) answer(status int, body string, header http.Header) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.status, g.body, g.header = status, body, header
}

// connector is the daemon's, which may speak to servers on this machine.
func connector(t testing.TB, db *store.DB) *connect.Connector {
	t.Helper()
	client, err := forge.NewClient(forge.ClientConfig{AllowHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := queue.New(queue.Config{DB: db, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	return connect.New(connect.Config{DB: db, Forges: client, Remotes: rules(), Jobs: jobs, Log: zerolog.Nop()})
}

func (w *world) connection() map[string]any {
	return map[string]any{"forge": "gitea", "api_url": w.forge.URL, "owner": "acme", "token": "hunter2"}
}

func TestConnections(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var row httpapi.Connection
	w.post(w.admin, "/api/v1/connections", w.connection()).want(201).into(&row)
	want := httpapi.Connection{Id: row.Id, Forge: "gitea", ApiUrl: w.forge.URL + "/api/v1", Owner: "acme", Include: []string{}, Exclude: []string{},
		Forks: true, Webhooks: true, CreatedBy: row.CreatedBy, CreatedAt: row.CreatedAt}
	if diff := cmp.Diff(want, row); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	change := w.connection()
	change["include"], change["exclude"], change["forks"] = []string{"acme/*"}, []string{"acme/x"}, false
	w.post(w.admin, "/api/v1/connections", change).want(200).into(&row)
	if row.Id != want.Id || row.Forks || len(row.Include) != 1 {
		t.Errorf("changed to %+v", row)
	}
	var list struct{ Items []httpapi.Connection }
	got := w.get(w.admin, "/api/v1/connections").want(200)
	got.into(&list)
	if len(list.Items) != 1 || strings.Contains(string(got.body), "hunter2") {
		t.Errorf("listed %s", got.body)
	}
	w.do(call{method: "DELETE", path: "/api/v1/connections/" + row.Id.String(), key: w.foreignAdmin}).want(404)
	w.do(call{method: "DELETE", path: "/api/v1/connections/" + row.Id.String(), key: w.admin}).want(204)
	w.do(call{method: "DELETE", path: "/api/v1/connections/" + row.Id.String(), key: w.admin}).want(404)
	if strings.Contains(w.log.String(), "hunter2") {
		t.Error("the log holds the token")
	}
	acts, err := w.db.AuditRows(t.Context(), w.org.ID, store.AuditFilter{}, 0, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, act := range acts {
		if strings.Contains(string(act.Detail), "hunter2") {
			t.Errorf("%s holds the token", act.Action)
		}
	}
}

func TestDisconnectRemovesRepositoriesOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// In this order: what was removed stays so.
	for _, test := range []struct {
		query   string
		removed bool
	}{{"", false}, {"?remove_repos=true", true}} {
		query, removed := test.query, test.removed
		var row httpapi.Connection
		w.post(w.admin, "/api/v1/connections", w.connection()).want(201).into(&row)
		c, err := w.db.Connection(t.Context(), w.org.ID, row.Id)
		if err != nil {
			t.Fatal(err)
		}
		err = w.db.InTx(t.Context(), func(tx *store.Tx) error {
			_, _, err := tx.PlaceRepo(t.Context(), access.CLI(w.org.ID), c,
				store.ForgeRepo{Path: "acme/api", RemoteURL: "https://git.example.com/acme/api", URLKey: "git.example.com/acme/api"}, false)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		w.do(call{method: "DELETE", path: "/api/v1/connections/" + row.Id.String() + query, key: w.admin}).want(204)
		repo, err := w.db.Repo(t.Context(), w.org.ID, "acme/api")
		if err != nil || (repo.RemovedAt != nil) != removed {
			t.Errorf("%q: removed at %v, %v", query, repo.RemovedAt, err)
		}
	}
}

func TestWhatTheForgeSaysToAConnection(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		status int
		body   string
		header http.Header
		want   int
		field  string
	}{
		"token":   {401, `{"message":"invalid token hunter2"}`, nil, 400, "token"},
		"scope":   {403, `{"message":"token does not have at least one of required scope(s)"}`, nil, 400, "token"},
		"owner":   {404, `{"message":"user does not exist"}`, nil, 400, "owner"},
		"failing": {500, `oops`, nil, 502, ""},
		"limited": {429, ``, http.Header{"Retry-After": {"60"}}, 503, ""},
		"moved":   {302, ``, http.Header{"Location": {"https://elsewhere.example/"}}, 502, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.forge.answer(c.status, c.body, c.header)
			got := w.post(w.admin, "/api/v1/connections", w.connection())
			if got.status != c.want || c.field != "" && !strings.Contains(string(got.body), `"field":"`+c.field+`"`) {
				t.Errorf("status %d: %s", got.status, got.body)
			}
			if c.status == 429 && got.header.Get("Retry-After") == "" {
				t.Error("it does not say when to try again")
			}
			if strings.Contains(string(got.body)+w.log.String(), "hunter2") {
				t.Errorf("the token is in the answer or the log: %s", got.body)
			}
			if rows, err := w.db.Connections(t.Context(), w.org.ID); err != nil || len(rows) != 0 {
				t.Errorf("%d connections, %v", len(rows), err)
			}
		})
	}
}
