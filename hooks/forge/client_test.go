package forge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const apiToken = Secret("tok-en-123")

// asked is one request that a forge received.
type asked struct {
	Method, Target string
	Auth           string
	Body           string
}

// reply is what a forge answers.
type reply struct {
	status int
	header map[string]string
	body   string
}

// fakeForge is an HTTP server that answers from a table and keeps what it was
// asked. Targets are escaped paths with their query.
type fakeForge struct {
	*httptest.Server
	answers map[string]reply

	mu    sync.Mutex
	asked []asked
}

func newForge(t *testing.T, answers map[string]reply) *fakeForge {
	t.Helper()
	f := &fakeForge{answers: answers}
	f.Server = httptest.NewServer(f)
	t.Cleanup(f.Close)
	return f
}

func (f *fakeForge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	f.mu.Lock()
	f.asked = append(f.asked, asked{r.Method, r.URL.RequestURI(), r.Header.Get("Authorization"), string(body)})
	f.mu.Unlock()
	answer, ok := f.answers[r.Method+" "+r.URL.RequestURI()]
	if !ok {
		if answer, ok = f.answers["*"]; !ok {
			answer = reply{status: http.StatusNotFound, body: `{"message":"Not Found"}`}
		}
	}
	for name, value := range answer.header {
		w.Header().Set(name, strings.ReplaceAll(value, "{server}", f.URL))
	}
	if answer.status == 0 {
		answer.status = http.StatusOK
	}
	w.WriteHeader(answer.status)
	io.WriteString(w, strings.ReplaceAll(answer.body, "{server}", f.URL))
}

// requests returns what was asked since the last call, as "METHOD target".
func (f *fakeForge) requests() []string {
	var lines []string
	for _, a := range f.take() {
		lines = append(lines, a.Method+" "+a.Target)
	}
	return lines
}

func (f *fakeForge) take() []asked {
	f.mu.Lock()
	defer f.mu.Unlock()
	taken := f.asked
	f.asked = nil
	return taken
}

func newClient(t *testing.T, cfg ClientConfig) *Client {
	t.Helper()
	cfg.AllowHTTP = true
	c, err := NewClient(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// dialects are the forges, told apart as accounts do.
var dialects = []struct {
	name  string
	forge Name
	root  string
	owner string
	repo  string
	// path is the repository's in a request.
	path string
	auth string
}{
	{"github", GitHub, "/api/v3", "acme", "acme/payments", "/repos/acme/payments", "Bearer tok-en-123"},
	{"gitlab", GitLab, "/api/v4", "acme", "acme/tools/payments", "/projects/acme%2Ftools%2Fpayments", "Bearer tok-en-123"},
	{"gitea", Gitea, "/api/v1", "acme", "acme/payments", "/repos/acme/payments", "token tok-en-123"},
	{"cloud", Bitbucket, "/2.0", "acme", "acme/payments", "/repositories/acme/payments", "Bearer tok-en-123"},
	{"datacenter", Bitbucket, "/rest/api/latest", "PAY", "PAY/payments", "/projects/PAY/repos/payments", "Bearer tok-en-123"},
}

func account(f *fakeForge, i int) Account {
	d := dialects[i]
	return Account{Forge: d.forge, APIURL: f.URL + d.root, Owner: d.owner, Token: apiToken}
}

func apiBody(t *testing.T, name string) string {
	t.Helper()
	body, err := os.ReadFile(filepath.Join("testdata", "api", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func sameJSON(t *testing.T, what, got, want string) {
	t.Helper()
	var a, b any
	if err := errors.Join(json.Unmarshal([]byte(got), &a), json.Unmarshal([]byte(want), &b)); err != nil {
		t.Fatalf("%s: %v in %s", what, err, got)
	}
	if diff := cmp.Diff(b, a); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestSetStatus(t *testing.T) {
	t.Parallel()
	const url = "https://bp.example.com/decisions/7"
	hub := `{"state":"%s","target_url":"` + url + `","description":"Two policies hold.","context":"blameprompt"}`
	build := `{"key":"blameprompt","state":"%s","name":"BlamePrompt","url":"` + url + `","description":"Two policies hold."}`
	wants := map[string]struct {
		target string
		body   string
		states [3]string
	}{
		"github":     {"/statuses/" + oidA, hub, [3]string{"pending", "success", "failure"}},
		"gitea":      {"/statuses/" + oidA, hub, [3]string{"pending", "success", "failure"}},
		"gitlab":     {"/statuses/" + oidA, strings.Replace(strings.Replace(hub, `,"context":"blameprompt"`, "", 1), "{", `{"name":"blameprompt",`, 1), [3]string{"pending", "success", "failed"}},
		"cloud":      {"/commit/" + oidA + "/statuses/build", build, [3]string{"INPROGRESS", "SUCCESSFUL", "FAILED"}},
		"datacenter": {"/commits/" + oidA + "/builds", build, [3]string{"INPROGRESS", "SUCCESSFUL", "FAILED"}},
	}
	for i, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			want := wants[d.name]
			f := newForge(t, map[string]reply{"*": {status: http.StatusCreated, body: `{"id":93,"status":"success"}`}})
			c := newClient(t, ClientConfig{})
			for n, state := range []State{Pending, Success, Failure} {
				err := c.SetStatus(t.Context(), account(f, i), d.repo, oidA, Status{state, "Two policies hold.", url})
				if err != nil {
					t.Fatal(err)
				}
				got := f.take()[0]
				if got.Method != http.MethodPost || got.Target != d.root+d.path+want.target || got.Auth != d.auth {
					t.Errorf("asked %s %s with %q", got.Method, got.Target, got.Auth)
				}
				sameJSON(t, string(state), got.Body, fmt.Sprintf(want.body, want.states[n]))
			}
		})
	}
}

func TestSetStatusShortensDescriptions(t *testing.T) {
	t.Parallel()
	f := newForge(t, map[string]reply{"*": {status: http.StatusCreated, body: `{}`}})
	err := newClient(t, ClientConfig{}).SetStatus(t.Context(), account(f, 0), "acme/payments", oidA,
		Status{State: Failure, Description: "a\nb\x1b[31m" + strings.Repeat("ö", 500)})
	if err != nil {
		t.Fatal(err)
	}
	var body struct{ Description string }
	if err := json.Unmarshal([]byte(f.take()[0].Body), &body); err != nil {
		t.Fatal(err)
	}
	if n := len([]rune(body.Description)); n != maxDescription || strings.ContainsAny(body.Description, "\n\x1b") {
		t.Errorf("%d characters: %q", n, body.Description)
	}
}

func TestGitLabPendingAgainIsNoFailure(t *testing.T) {
	t.Parallel()
	again := `{"message":"Cannot transition status via :enqueue from :pending (Reason(s): Status cannot transition via \"enqueue\")"}`
	f := newForge(t, map[string]reply{"*": {status: http.StatusBadRequest, body: again}})
	c := newClient(t, ClientConfig{})
	if err := c.SetStatus(t.Context(), account(f, 1), "acme/payments", oidA, Status{State: Pending}); err != nil {
		t.Errorf("pending again: %v", err)
	}
	if err := c.SetStatus(t.Context(), account(f, 1), "acme/payments", oidA, Status{State: Success}); !errors.Is(err, ErrRejected) {
		t.Errorf("another refusal: %v", err)
	}
}

func TestListRepos(t *testing.T) {
	t.Parallel()
	link := map[string]string{"Link": `<https://elsewhere.example/x?page=2>; rel="next", <https://elsewhere.example/x?page=9>; rel="last"`}
	three := func(host, owner, old string) []Repo {
		return []Repo{
			{Path: owner + "/payments", HTTPURL: "https://" + host + "/acme/payments.git", SSHURL: "git@" + host + ":acme/payments.git", DefaultBranch: "main", Private: true},
			{Path: owner + "/" + old, HTTPURL: "https://" + host + "/acme/" + old + ".git", SSHURL: "git@" + host + ":acme/" + old + ".git", DefaultBranch: "master", Archived: true},
			{Path: owner + "/linux", HTTPURL: "https://" + host + "/acme/linux.git", SSHURL: "git@" + host + ":acme/linux.git", DefaultBranch: "master", Fork: true},
		}
	}
	gitea := three("git.example.com", "acme", "old")
	gitea[1].DefaultBranch = "main"
	for i, c := range []struct {
		answers map[string]reply
		want    []Repo
	}{
		{map[string]reply{
			"GET /api/v3/orgs/acme/repos?page=1&per_page=100&sort=full_name&type=all": {header: link, body: apiBody(t, "github-repos")},
			"GET /api/v3/orgs/acme/repos?page=2&per_page=100&sort=full_name&type=all": {body: `[{"full_name":"acme/zoo","clone_url":"https://github.com/acme/zoo.git"}]`},
		}, append(three("github.com", "acme", "old"), Repo{Path: "acme/zoo", HTTPURL: "https://github.com/acme/zoo.git"})},
		{map[string]reply{
			"GET /api/v4/groups/acme/projects?include_subgroups=true&order_by=id&page=1&per_page=100&sort=asc&with_shared=false": {header: map[string]string{"X-Next-Page": "2"}, body: apiBody(t, "gitlab-projects")},
			"GET /api/v4/groups/acme/projects?include_subgroups=true&order_by=id&page=2&per_page=100&sort=asc&with_shared=false": {body: `[{"path_with_namespace":"acme/a/b/c","http_url_to_repo":"https://x.example/acme/a/b/c.git"}]`},
		}, append(three("gitlab.example.com", "acme", "tools/old"), Repo{Path: "acme/a/b/c", HTTPURL: "https://x.example/acme/a/b/c.git"})},
		{map[string]reply{
			"GET /api/v1/orgs/acme/repos?limit=50&page=1": {header: link, body: apiBody(t, "gitea-repos")},
			"GET /api/v1/orgs/acme/repos?limit=50&page=2": {header: link, body: `[]`},
		}, gitea},
		{map[string]reply{
			"GET /2.0/repositories/acme?pagelen=100": {body: strings.Replace(apiBody(t, "cloud-repositories"), `"page": 1,`, `"page": 1, "next": "{server}/2.0/repositories/acme?page=2",`, 1)},
			"GET /2.0/repositories/acme?page=2":      {body: `{"values":[{"full_name":"acme/zoo"}]}`},
		}, []Repo{
			{Path: "acme/payments", HTTPURL: "https://bitbucket.org/acme/payments.git", SSHURL: "git@bitbucket.org:acme/payments.git", DefaultBranch: "main", Private: true},
			{Path: "acme/linux", HTTPURL: "https://bitbucket.org/acme/linux.git", Fork: true},
			{Path: "acme/zoo"},
		}},
		{map[string]reply{
			"GET /rest/api/latest/projects/PAY/repos?limit=100&start=0":  {body: strings.Replace(apiBody(t, "datacenter-repos"), `"isLastPage": true`, `"isLastPage": false, "nextPageStart": 37`, 1)},
			"GET /rest/api/latest/projects/PAY/repos?limit=100&start=37": {body: `{"values":[{"slug":"zoo","project":{"key":"PAY"},"public":true}],"isLastPage":true}`},
		}, []Repo{
			{Path: "PAY/payments", HTTPURL: "https://bitbucket.example.com/scm/pay/payments.git", SSHURL: "ssh://git@bitbucket.example.com:7999/pay/payments.git", Private: true},
			{Path: "PAY/old", HTTPURL: "https://bitbucket.example.com/scm/pay/old.git", Archived: true},
			{Path: "PAY/linux", HTTPURL: "https://bitbucket.example.com/scm/pay/linux.git", Fork: true},
			{Path: "PAY/zoo"},
		}},
	} {
		t.Run(dialects[i].name, func(t *testing.T) {
			t.Parallel()
			f := newForge(t, c.answers)
			repos, err := newClient(t, ClientConfig{}).ListRepos(t.Context(), account(f, i))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, repos); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			if asked := f.requests(); len(asked) != len(c.answers) {
				t.Errorf("asked %q", asked)
			}
		})
	}
}

func TestListReposOfAUser(t *testing.T) {
	t.Parallel()
	list := `[{"full_name":"acme/own"}]`
	for name, c := range map[string]struct {
		dialect int
		answers map[string]reply
		want    int
	}{
		"github, the token's own": {0, map[string]reply{
			"GET /api/v3/user": {body: `{"login":"Acme"}`},
			"GET /api/v3/user/repos?affiliation=owner&page=1&per_page=100&sort=full_name": {body: list}}, 1},
		"github, another's": {0, map[string]reply{
			"GET /api/v3/user": {status: 403, body: `{"message":"Resource not accessible by integration"}`},
			"GET /api/v3/users/acme/repos?page=1&per_page=100&sort=full_name": {body: list}}, 1},
		"gitlab": {1, map[string]reply{
			"GET /api/v4/users/acme/projects?order_by=id&page=1&per_page=100&sort=asc": {body: `[{"path_with_namespace":"acme/own"}]`}}, 1},
		"gitea": {2, map[string]reply{"GET /api/v1/users/acme/repos?limit=50&page=1": {body: list}}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newForge(t, c.answers)
			repos, err := newClient(t, ClientConfig{}).ListRepos(t.Context(), account(f, c.dialect))
			if err != nil || len(repos) != c.want || repos[0].Path != "acme/own" {
				t.Errorf("listed %+v, %v", repos, err)
			}
		})
	}
}

func TestCreateWebhook(t *testing.T) {
	t.Parallel()
	hub := `{"active":true,"events":["push"],"name":"web","config":{"url":"{url}","content_type":"json","secret":"s","insecure_ssl":"0"}}`
	for i, want := range []struct{ owner, body, page, change, id string }{
		{"/orgs/acme/hooks", hub, "?page=1&per_page=100", "PATCH", "12345678"},
		{"/groups/acme/hooks", `{"url":"{url}","token":"s","push_events":true,"tag_push_events":true,"enable_ssl_verification":true}`, "?page=1&per_page=100", "PUT", "12345678"},
		{"/orgs/acme/hooks", `{"active":true,"events":["push","delete"],"type":"gitea","config":{"url":"{url}","content_type":"json","secret":"s"}}`, "?limit=50&page=1", "PATCH", "12345678"},
		{"/workspaces/acme/hooks", `{"description":"BlamePrompt","url":"{url}","active":true,"secret":"s","events":["repo:push"]}`, "?pagelen=100", "PUT", "%7B12345678%7D"},
		{"/projects/PAY/webhooks", `{"name":"BlamePrompt","url":"{url}","active":true,"events":["repo:refs_changed"],"configuration":{"secret":"s"}}`, "?limit=100&start=0", "PUT", "12345678"},
	} {
		d := dialects[i]
		url := "https://bp.example.com/hooks/" + string(d.forge) + "/acme"
		body := strings.ReplaceAll(want.body, "{url}", url)
		hooks := apiBody(t, d.name+"-hooks")
		of := strings.Replace(d.path, "/hooks", "", 1) + want.owner[strings.LastIndex(want.owner, "/"):]
		for repo, path := range map[string]string{"": d.root + want.owner, d.repo: d.root + of} {
			t.Run(d.name+" "+repo, func(t *testing.T) {
				t.Parallel()
				check := func(list, method, target string, created bool) {
					t.Helper()
					f := newForge(t, map[string]reply{"GET " + path + want.page: {body: list}, "*": {body: `{}`}})
					got, err := newClient(t, ClientConfig{}).CreateWebhook(t.Context(), account(f, i), repo, Webhook{url, "s"})
					if err != nil || got != created {
						t.Errorf("created %t, %v", got, err)
					}
					asked := f.take()
					last := asked[len(asked)-1]
					if len(asked) != 2 || last.Method != method || last.Target != target {
						t.Errorf("asked %+v, want %s %s", asked, method, target)
					}
					sameJSON(t, method, last.Body, body)
				}
				check(hooks, want.change, path+"/"+want.id, false)
				check(strings.Replace(hooks, url, "https://other.example/", 1), http.MethodPost, path, true)
			})
		}
	}
}

func TestCheck(t *testing.T) {
	t.Parallel()
	targets := []string{"GET /api/v3/orgs/acme", "GET /api/v4/groups/acme?with_projects=false", "GET /api/v1/orgs/acme",
		"GET /2.0/repositories/acme?pagelen=1", "GET /rest/api/latest/projects/PAY/repos?limit=1"}
	users := map[string]string{"github": "GET /api/v3/users/acme", "gitlab": "GET /api/v4/users/acme/projects?per_page=1", "gitea": "GET /api/v1/users/acme"}
	for i, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			c := newClient(t, ClientConfig{})
			body := `{"values":[]}`
			f := newForge(t, map[string]reply{targets[i]: {body: body}})
			if err := c.Check(t.Context(), account(f, i)); err != nil {
				t.Error(err)
			}
			f = newForge(t, map[string]reply{"*": {status: 401, body: `{"message":"Bad credentials"}`}})
			if err := c.Check(t.Context(), account(f, i)); !errors.Is(err, ErrToken) {
				t.Errorf("a bad token: %v", err)
			}
			f = newForge(t, nil)
			if err := c.Check(t.Context(), account(f, i)); !errors.Is(err, ErrMissing) {
				t.Errorf("no such owner: %v", err)
			}
			if user := users[d.name]; user != "" {
				f = newForge(t, map[string]reply{user: {body: body}})
				if err := c.Check(t.Context(), account(f, i)); err != nil {
					t.Errorf("a user: %v", err)
				}
			}
		})
	}
}

func TestRefusalsAreSortedAndWordedSafely(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		answer reply
		want   error
		text   string
	}{
		"github token":      {reply{status: 401, body: `{"message":"Bad credentials","documentation_url":"https://docs.github.com/rest","status":"401"}`}, ErrToken, "the forge does not accept the token (HTTP 401): Bad credentials"},
		"github scope":      {reply{status: 403, body: `{"message":"Resource not accessible by personal access token"}`}, ErrForbidden, "Resource not accessible by personal access token"},
		"github validation": {reply{status: 422, body: `{"message":"Validation Failed","errors":[{"resource":"Hook","code":"custom","message":"The \"push\" event cannot have more than 20 hooks"}]}`}, ErrRejected, `Validation Failed; The "push" event cannot have more than 20 hooks`},
		"github no commit":  {reply{status: 422, body: `{"message":"No commit found for SHA: c00d"}`}, ErrRejected, "No commit found for SHA: c00d"},
		"gitlab missing":    {reply{status: 404, body: `{"message":"404 Project Not Found"}`}, ErrMissing, "404 Project Not Found"},
		"gitlab scope":      {reply{status: 403, body: `{"error":"insufficient_scope","error_description":"The request requires higher privileges than provided by the access token.","scope":"api"}`}, ErrForbidden, "insufficient_scope; The request requires higher privileges than provided by the access token."},
		"gitlab field":      {reply{status: 422, body: `{"message":{"url":["is blocked: Requests to the local network are not allowed"]}}`}, ErrRejected, "url is blocked: Requests to the local network are not allowed"},
		"gitlab conflict":   {reply{status: 409, body: `{"message":"Another update to this commit status is in progress"}`}, ErrRejected, "Another update"},
		"gitea":             {reply{status: 403, body: `{"message":"token does not have at least one of required scope(s): [write:repository]","url":"https://x/api/swagger"}`}, ErrForbidden, "write:repository"},
		"gitea no commit":   {reply{status: 500, body: `{"message":"GetCommit[c00d]: object does not exist [id: c00d, rel_path: ]","url":"https://x/api/swagger"}`}, ErrMissing, "object does not exist"},
		"cloud":             {reply{status: 404, body: `{"type":"error","error":{"message":"Repository acme/x not found","detail":"There is no API hosted at this URL."}}`}, ErrMissing, "Repository acme/x not found; There is no API hosted at this URL."},
		"datacenter":        {reply{status: 404, body: `{"errors":[{"context":null,"message":"Project PAY does not exist.","exceptionName":"com.atlassian.bitbucket.project.NoSuchProjectException"}]}`}, ErrMissing, "Project PAY does not exist."},
		"echoed token":      {reply{status: 400, body: `{"message":"no such token: tok-en-123"}`}, ErrRejected, "no such token: [secret]"},
		"control bytes":     {reply{status: 500, body: `{"message":"a\u001b[31m\nb\u202e"}`}, ErrFailing, "a[31m b"},
		"html":              {reply{status: 502, body: "<html><h1>Bad Gateway</h1></html>"}, ErrFailing, "the forge fails (HTTP 502)"},
		"long":              {reply{status: 400, body: `{"message":"` + strings.Repeat("x", 10_000) + `"}`}, ErrRejected, "xxx"},
		"gone":              {reply{status: 410}, ErrMissing, ""},
		"informal":          {reply{status: 304}, ErrAnswer, ""},
		"not JSON":          {reply{status: 200, body: "<html>sign in</html>"}, ErrAnswer, "not valid JSON at byte 1"},
		"another type":      {reply{status: 200, body: `{"a":1}`}, ErrAnswer, "expected"},
		"too deep":          {reply{status: 200, body: strings.Repeat("[", 100)}, ErrAnswer, "deeper than 64"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newForge(t, map[string]reply{"*": c.answer})
			_, err := newClient(t, ClientConfig{}).ListRepos(t.Context(), Account{Forge: Gitea, APIURL: f.URL, Owner: "acme", Token: apiToken})
			var call *CallError
			if !errors.Is(err, c.want) || !errors.As(err, &call) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			if text := err.Error(); !strings.Contains(text, c.text) || len(text) > 500 || strings.ContainsAny(text, "\x1b\n\u202e") {
				t.Errorf("%q, want %q in it", text, c.text)
			}
			if strings.Contains(err.Error(), string(apiToken)) {
				t.Error("the error holds the token")
			}
		})
	}
}

func TestLimitsAreHonoured(t *testing.T) {
	t.Parallel()
	began := time.Now()
	soon := fmt.Sprint(began.Add(10 * time.Minute).Unix())
	limit := `{"message":"API rate limit exceeded for user ID 1."}`
	for name, c := range map[string]struct {
		answer reply
		wait   time.Duration
		good   bool
	}{
		"retry-after":       {reply{status: 429, header: map[string]string{"Retry-After": "60"}}, time.Minute, false},
		"date":              {reply{status: 429, header: map[string]string{"Retry-After": time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}}, time.Hour, false},
		"github primary":    {reply{status: 403, header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": soon}, body: limit}, 10 * time.Minute, false},
		"github secondary":  {reply{status: 403, body: `{"message":"You have exceeded a secondary rate limit."}`}, time.Minute, false},
		"gitlab":            {reply{status: 429, header: map[string]string{"RateLimit-Remaining": "0", "RateLimit-Reset": soon}, body: "Retry later"}, 10 * time.Minute, false},
		"maintenance":       {reply{status: 503, header: map[string]string{"Retry-After": "120"}}, 2 * time.Minute, false},
		"absurd":            {reply{status: 429, header: map[string]string{"Retry-After": "99999999"}}, maxLimitWait, false},
		"nonsense":          {reply{status: 429, header: map[string]string{"Retry-After": "-5", "X-RateLimit-Reset": "soon"}}, time.Minute, false},
		"the last that was": {reply{status: 200, header: map[string]string{"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": soon}, body: "[]"}, 10 * time.Minute, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newForge(t, map[string]reply{"*": c.answer})
			client := newClient(t, ClientConfig{})
			a := account(f, 0)
			list := func(a Account) *CallError {
				_, err := client.ListRepos(t.Context(), a)
				var call *CallError
				errors.As(err, &call)
				return call
			}
			first := list(a)
			if c.good != (first == nil) {
				t.Fatalf("first call: %v", first)
			}
			f.take()
			again := list(a)
			if again == nil || !errors.Is(again, ErrLimited) || len(f.requests()) != 0 {
				t.Fatalf("second call: %v", again)
			}
			// Some forges say for how long, some until when.
			if at := again.RetryAt; at.Before(began.Add(c.wait-2*time.Second)) || at.After(time.Now().Add(c.wait+2*time.Second)) {
				t.Errorf("may call again at %s, %s after %s", at, c.wait, began)
			}
			a.Token = "another"
			list(a)
			if len(f.requests()) == 0 {
				t.Error("another token waits too")
			}
		})
	}
}

func TestLimitEnds(t *testing.T) {
	t.Parallel()
	var l limits
	who := limited{"host", "token"}
	l.set(who, time.Now().Add(time.Hour))
	l.set(who, time.Now().Add(time.Minute))
	if wait := time.Until(l.wait(who)); wait < 59*time.Minute {
		t.Errorf("an earlier end took the place of a later one: %s", wait)
	}
	l.until[who] = time.Now().Add(-time.Second)
	if until := l.wait(who); !until.IsZero() || len(l.until) != 0 {
		t.Errorf("past its end: %v", until)
	}
}

func TestFailingHostIsLeftAlone(t *testing.T) {
	t.Parallel()
	f := newForge(t, map[string]reply{"*": {status: 500}})
	healthy := newForge(t, map[string]reply{"*": {body: `{}`}})
	c := newClient(t, ClientConfig{Rest: 100 * time.Millisecond})
	a := account(f, 0)
	for range restAfter {
		if err := c.Check(t.Context(), a); !errors.Is(err, ErrFailing) {
			t.Fatal(err)
		}
	}
	if err := c.Check(t.Context(), a); !errors.Is(err, ErrResting) {
		t.Errorf("after %d failures: %v", restAfter, err)
	}
	if n := len(f.requests()); n != restAfter {
		t.Errorf("%d requests, want %d", n, restAfter)
	}
	if err := c.Check(t.Context(), account(healthy, 0)); err != nil {
		t.Errorf("another host: %v", err)
	}
	f.answers["*"] = reply{body: `{}`}
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := c.Check(t.Context(), a)
		if err == nil {
			break
		}
		if !errors.Is(err, ErrResting) || time.Now().After(deadline) {
			t.Fatalf("after the rest: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func TestRefusalsDoNotRestAHost(t *testing.T) {
	t.Parallel()
	f := newForge(t, nil)
	c := newClient(t, ClientConfig{})
	for range 3 * restAfter {
		if err := c.Check(t.Context(), account(f, 4)); !errors.Is(err, ErrMissing) {
			t.Fatal(err)
		}
	}
}

func TestUnreachableForge(t *testing.T) {
	t.Parallel()
	f := newForge(t, nil)
	f.Close()
	if err := newClient(t, ClientConfig{}).Check(t.Context(), account(f, 0)); !errors.Is(err, ErrUnreachable) {
		t.Errorf("%v", err)
	}
}

// slowForge sends a header, then nothing, or a byte now and then.
func slowForge(t *testing.T, first string) *httptest.Server {
	t.Helper()
	ended := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if first != "" {
			io.WriteString(w, first)
			w.(http.Flusher).Flush()
		}
		select {
		case <-r.Context().Done():
		case <-ended:
		}
	}))
	t.Cleanup(func() { close(ended); server.Close() })
	return server
}

func TestSlowAnswerEndsInTime(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{"no header": "", "half a body": `[{"full_name":`} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := slowForge(t, first)
			c := newClient(t, ClientConfig{Timeout: 200 * time.Millisecond})
			began := time.Now()
			_, err := c.ListRepos(t.Context(), Account{Forge: Gitea, APIURL: server.URL, Owner: "acme"})
			if !errors.Is(err, ErrUnreachable) || time.Since(began) > 10*time.Second {
				t.Errorf("%v after %s", err, time.Since(began))
			}
		})
	}
}

func TestCallersEndIsNoFailureOfTheHost(t *testing.T) {
	t.Parallel()
	server := slowForge(t, "")
	c := newClient(t, ClientConfig{})
	for range 2 * restAfter {
		ctx, cancel := contextEndingSoon(t)
		err := c.Check(ctx, Account{Forge: Gitea, APIURL: server.URL, Owner: "acme"})
		cancel()
		var call *CallError
		if err == nil || errors.As(err, &call) {
			t.Fatalf("%v, want the caller's end", err)
		}
	}
}

func TestHugeAnswerIsRefused(t *testing.T) {
	t.Parallel()
	piece := bytes.Repeat([]byte(" "), 1<<20)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		for range 40 {
			if _, err := w.Write(piece); err != nil {
				return
			}
		}
	}))
	defer server.Close()
	_, err := newClient(t, ClientConfig{}).ListRepos(t.Context(), Account{Forge: Gitea, APIURL: server.URL, Owner: "acme"})
	if !errors.Is(err, ErrAnswer) || !strings.Contains(err.Error(), "longer than 16 MiB") {
		t.Errorf("%v", err)
	}
}

func TestEndlessListsEnd(t *testing.T) {
	t.Parallel()
	next := map[string]string{"Link": `<x>; rel="next"`}
	for name, c := range map[string]struct {
		dialect int
		answer  reply
	}{
		"numbered": {2, reply{header: next, body: `[{"full_name":"acme/a"}]`}},
		"followed": {3, reply{body: `{"values":[{"full_name":"acme/a"}],"next":"{server}/2.0/repositories/acme"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newForge(t, map[string]reply{"*": c.answer})
			if _, err := newClient(t, ClientConfig{}).ListRepos(t.Context(), account(f, c.dialect)); !errors.Is(err, ErrAnswer) {
				t.Errorf("%v", err)
			}
			if n := len(f.requests()); n != maxPages {
				t.Errorf("%d requests, want %d", n, maxPages)
			}
		})
	}
	f := newForge(t, map[string]reply{"*": {body: `{"values":[],"isLastPage":false,"nextPageStart":0}`}})
	if _, err := newClient(t, ClientConfig{}).ListRepos(t.Context(), account(f, 4)); err != nil || len(f.requests()) != 1 {
		t.Errorf("a page that points to itself: %v", err)
	}
}

func TestTokenStaysAtItsServer(t *testing.T) {
	t.Parallel()
	thief := newForge(t, map[string]reply{"*": {body: `[]`}})
	for name, c := range map[string]struct {
		dialect int
		answer  reply
	}{
		"redirect":  {0, reply{status: 302, header: map[string]string{"Location": thief.URL + "/x"}}},
		"next page": {3, reply{body: `{"values":[],"next":"` + thief.URL + `/2.0/x"}`}},
		"other API": {3, reply{body: `{"values":[],"next":"{server}/1.0/x"}`}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newForge(t, map[string]reply{"*": c.answer})
			if _, err := newClient(t, ClientConfig{}).ListRepos(t.Context(), account(f, c.dialect)); !errors.Is(err, ErrAnswer) {
				t.Errorf("%v", err)
			}
			if asked := thief.requests(); len(asked) != 0 {
				t.Errorf("the other server was asked %q", asked)
			}
		})
	}
}

func TestRedirectsWithinTheServer(t *testing.T) {
	t.Parallel()
	moved := map[string]string{"Location": "/api/v3/repositories/7/statuses"}
	target := "/api/v3/repos/acme/payments/statuses/" + oidA
	for name, c := range map[string]struct {
		status int
		want   error
	}{"kept method": {307, nil}, "permanent": {308, nil}, "lost method": {301, ErrAnswer}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newForge(t, map[string]reply{
				"POST " + target:                       {status: c.status, header: moved},
				"POST /api/v3/repositories/7/statuses": {status: 201, body: `{}`}})
			err := newClient(t, ClientConfig{}).SetStatus(t.Context(), account(f, 0), "acme/payments", oidA, Status{State: Success})
			if !errors.Is(err, c.want) {
				t.Fatalf("%v, want %v", err, c.want)
			}
			asked := f.take()
			if last := asked[len(asked)-1]; last.Method != http.MethodPost || !strings.Contains(last.Body, "success") || last.Auth == "" {
				t.Errorf("asked %+v", asked)
			}
		})
	}
	f := newForge(t, map[string]reply{"GET /api/v3/orgs/acme": {status: 301, header: map[string]string{"Location": "/api/v3/organizations/9"}},
		"GET /api/v3/organizations/9": {body: `{}`}})
	if err := newClient(t, ClientConfig{}).Check(t.Context(), account(f, 0)); err != nil {
		t.Errorf("reading what moved: %v", err)
	}
	f = newForge(t, map[string]reply{"*": {status: 302, header: map[string]string{"Location": "/again"}}})
	if err := newClient(t, ClientConfig{}).Check(t.Context(), account(f, 0)); !errors.Is(err, ErrAnswer) {
		t.Errorf("a circle: %v", err)
	}
}

func TestAddressRules(t *testing.T) {
	t.Parallel()
	f := newForge(t, map[string]reply{"*": {body: `{}`}})
	no := errors.New("loopback is not allowed")
	var seen string
	refuse := newClient(t, ClientConfig{CheckAddress: func(host string, addr netip.Addr) error {
		seen = host + " " + addr.String()
		return no
	}})
	a := account(f, 0)
	a.APIURL = strings.Replace(a.APIURL, "127.0.0.1", "localhost", 1)
	if err := refuse.Check(t.Context(), a); !errors.Is(err, ErrAddress) || !strings.Contains(err.Error(), no.Error()) {
		t.Errorf("%v", err)
	}
	if !strings.HasPrefix(seen, "localhost ") || len(f.requests()) != 0 {
		t.Errorf("asked about %q", seen)
	}
	secure, err := NewClient(ClientConfig{})
	if err != nil {
		t.Fatal(err)
	}
	if err := secure.Check(t.Context(), a); !errors.Is(err, ErrAddress) || !strings.Contains(err.Error(), "use https") {
		t.Errorf("http: %v", err)
	}
}

func TestCertificatesToTrust(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{}`) }))
	t.Cleanup(server.Close)
	server.Config.ErrorLog = nil
	a := Account{Forge: Gitea, APIURL: server.URL, Owner: "acme"}
	if err := newClient(t, ClientConfig{}).Check(t.Context(), a); !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("without its certificate: %v", err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pemOf(server.Certificate()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := newClient(t, ClientConfig{CAFile: file}).Check(t.Context(), a); err != nil {
		t.Errorf("with its certificate: %v", err)
	}
	if _, err := NewClient(ClientConfig{CAFile: "client_test.go"}); err == nil {
		t.Error("a file without certificates is taken")
	}
}

func TestBadRequestsAreNotMade(t *testing.T) {
	t.Parallel()
	f := newForge(t, map[string]reply{"*": {body: `{}`}})
	c := newClient(t, ClientConfig{})
	for i, d := range dialects {
		for _, repo := range []string{"", "payments", "acme/", "/payments", "acme/../x", "acme/.", "acme/a\x00b"} {
			if err := c.SetStatus(t.Context(), account(f, i), repo, oidA, Status{State: Success}); !errors.Is(err, ErrRejected) {
				t.Errorf("%s, status of %q: %v", d.name, repo, err)
			}
			if repo == "" {
				continue
			}
			if _, err := c.CreateWebhook(t.Context(), account(f, i), repo, Webhook{}); !errors.Is(err, ErrRejected) {
				t.Errorf("%s, webhook of %q: %v", d.name, repo, err)
			}
		}
		for _, commit := range []string{"", "main", "../x", strings.ToUpper(oidA)} {
			if err := c.SetStatus(t.Context(), account(f, i), d.repo, commit, Status{State: Success}); !errors.Is(err, ErrRejected) {
				t.Errorf("%s, status of commit %q: %v", d.name, commit, err)
			}
		}
	}
	if asked := f.requests(); len(asked) != 0 {
		t.Errorf("asked %q", asked)
	}
	for _, name := range []Name{Gogs, Generic, "x"} {
		if err := c.Check(t.Context(), Account{Forge: name, APIURL: f.URL}); !errors.Is(err, ErrNoAPI) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
