package connect

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/hooks/forge"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
	"github.com/blameprompt/enterprise/store/storetest"
)

const token = "tok-en-123"

// listed is a repository in GitHub's words.
type listed struct {
	FullName string `json:"full_name"`
	CloneURL string `json:"clone_url"`
	SSHURL   string `json:"ssh_url"`
	Archived bool   `json:"archived"`
	Fork     bool   `json:"fork"`
}

// github is a server that behaves as GitHub's API does: it lists repositories,
// keeps webhooks and takes statuses.
type github struct {
	*httptest.Server

	mu    sync.Mutex
	token string
	repos []listed
	// hooks holds the secrets of webhooks by place and URL.
	hooks map[string]string
	// ownerHooks says whether the token may make webhooks of the owner, repoHooks
	// of repositories.
	ownerHooks, repoHooks bool
	// statuses are what was posted, in order, by commit.
	statuses map[string][]string
	// fail answers a status instead, if it returns a status.
	fail  func(commit string) int
	calls int
	// posts counts the webhooks that were made.
	posts int
}

func newGitHub(t *testing.T, names ...string) *github {
	t.Helper()
	g := &github{token: token, hooks: map[string]string{}, ownerHooks: true, repoHooks: true, statuses: map[string][]string{}}
	for _, name := range names {
		g.add(listed{FullName: name})
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /api/v3/orgs/acme", g.answer(func(*http.Request) (int, any) { return 200, map[string]string{"login": "acme"} }))
	mux.HandleFunc("GET /api/v3/orgs/acme/repos", g.answer(func(*http.Request) (int, any) { return 200, g.repos }))
	mux.HandleFunc("/api/v3/orgs/acme/hooks", g.answer(func(r *http.Request) (int, any) { return g.hook(r, g.ownerHooks, "owner") }))
	mux.HandleFunc("/api/v3/orgs/acme/hooks/{id}", g.answer(func(r *http.Request) (int, any) { return g.hook(r, g.ownerHooks, "owner") }))
	repoHook := g.answer(func(r *http.Request) (int, any) {
		return g.hook(r, g.repoHooks, r.PathValue("owner")+"/"+r.PathValue("name"))
	})
	mux.HandleFunc("/api/v3/repos/{owner}/{name}/hooks", repoHook)
	mux.HandleFunc("/api/v3/repos/{owner}/{name}/hooks/{id}", repoHook)
	mux.HandleFunc("POST /api/v3/repos/{owner}/{name}/statuses/{sha}", g.answer(g.status))
	g.Server = httptest.NewServer(mux)
	t.Cleanup(g.Close)
	return g
}

func (g *github) add(r listed) {
	if r.CloneURL == "" {
		r.CloneURL, r.SSHURL = "https://git.example/"+r.FullName+".git", "git@git.example:"+r.FullName+".git"
	}
	g.repos = append(g.repos, r)
}

func (g *github) answer(do func(*http.Request) (int, any)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.calls++
		status, body := http.StatusUnauthorized, any(map[string]string{"message": "Bad credentials"})
		if r.Header.Get("Authorization") == "Bearer "+g.token {
			status, body = do(r)
		}
		w.WriteHeader(status)
		json.NewEncoder(w).Encode(body)
	}
}

func (g *github) hook(r *http.Request, allowed bool, place string) (int, any) {
	if !allowed {
		return http.StatusForbidden, map[string]string{"message": "Must have admin rights."}
	}
	var in struct{ Config struct{ URL, Secret string } }
	if r.Method != http.MethodGet {
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			return http.StatusBadRequest, nil
		}
		g.hooks[place+" "+in.Config.URL] = in.Config.Secret
		if r.Method == http.MethodPost {
			g.posts++
		}
		return http.StatusCreated, map[string]int{"id": 1}
	}
	list := []any{}
	for at := range g.hooks {
		if url, ok := strings.CutPrefix(at, place+" "); ok {
			list = append(list, map[string]any{"id": 1, "config": map[string]string{"url": url}})
		}
	}
	return http.StatusOK, list
}

func (g *github) status(r *http.Request) (int, any) {
	commit := r.PathValue("sha")
	if g.fail != nil {
		if status := g.fail(commit); status != 0 {
			return status, map[string]string{"message": "No commit found for SHA: " + commit}
		}
	}
	var in struct {
		State, Description string
		URL                string `json:"target_url"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return http.StatusBadRequest, nil
	}
	g.statuses[commit] = append(g.statuses[commit], fmt.Sprintf("%s %s %s", in.State, in.Description, in.URL))
	return http.StatusCreated, map[string]int{"id": 1}
}

// kit is an organisation with a connector.
type kit struct {
	*Connector
	db     *store.DB
	org    store.Org
	by     access.Principal
	github *github
}

func newKit(t *testing.T, g *github) kit {
	t.Helper()
	db := storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	client, err := forge.NewClient(forge.ClientConfig{AllowHTTP: true})
	if err != nil {
		t.Fatal(err)
	}
	jobs, err := queue.New(queue.Config{DB: db, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	public := func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("9.9.9.9")}, nil
	}
	c := New(Config{DB: db, Forges: client, Remotes: mirror.Rules{Lookup: public}, Jobs: jobs, Log: zerolog.Nop(),
		PublicURL: "https://bp.example", WebhookURL: "https://bp.example"})
	return kit{c, db, org, access.CLI(org.ID), g}
}

func (k kit) request() Request {
	return Request{Forge: forge.GitHub, APIURL: k.github.URL, Owner: "acme", Token: token,
		Selection: store.Selection{Forks: true, Webhooks: true}}
}

func (k kit) connect(t *testing.T, in Request) store.Connection {
	t.Helper()
	row, _, err := k.Connect(t.Context(), k.by, in)
	if err != nil {
		t.Fatal(err)
	}
	return row
}

func (k kit) look(t *testing.T, row store.Connection, o LookOptions) Report {
	t.Helper()
	report, err := k.Look(t.Context(), k.by, row, o)
	if err != nil {
		t.Fatal(err)
	}
	return report
}

// actions are a report's lines as "path action".
func actions(r Report) []string {
	var lines []string
	for _, repo := range r.Repos {
		lines = append(lines, strings.TrimSpace(repo.Path+" "+string(repo.Action)+" "+repo.Reason))
	}
	return lines
}

// demands counts the fetches that are demanded of a repository.
func (k kit) demands(t *testing.T, repo uuid.UUID) (n int) {
	t.Helper()
	err := k.db.Pool().QueryRow(t.Context(),
		`SELECT count(*) FROM river_job WHERE kind = 'fetch' AND args->>'repo_id' = $1`, repo.String()).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
