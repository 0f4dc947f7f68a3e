package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/blameprompt/enterprise/cmd/blamepromptd/daemontest"
)

// forgeHost behaves as a Gitea server with one organisation, acme, whose
// repositories are private.
type forgeHost struct {
	*httptest.Server
	work string

	mu    sync.Mutex
	hooks []string
}

func cmdForgeHost(ts *testscript.TestScript, neg bool, args []string) {
	daemontest.Usage(ts, neg, len(args) == 0, "forgehost")
	path, err := exec.Command("git", "--exec-path").Output()
	ts.Check(err)
	git := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
		Env: []string{"GIT_PROJECT_ROOT=" + ts.MkAbs("remotes"), "GIT_HTTP_EXPORT_ALL=1", "GIT_CONFIG_NOSYSTEM=1",
			"HOME=" + ts.Getenv("HOME")},
		InheritEnv: []string{"PATH"}, Stderr: io.Discard,
	}
	f := &forgeHost{work: ts.MkAbs(".")}
	mux := http.NewServeMux()
	mux.Handle("/acme/", f.private(git))
	mux.HandleFunc("GET /api/v1/orgs/acme", f.api(func(*http.Request) any { return map[string]string{"username": "acme"} }))
	mux.HandleFunc("GET /api/v1/orgs/acme/repos", f.api(f.repos))
	mux.HandleFunc("GET /api/v1/orgs/acme/hooks", f.api(f.listHooks))
	mux.HandleFunc("POST /api/v1/orgs/acme/hooks", f.api(f.addHook))
	mux.HandleFunc("PATCH /api/v1/orgs/acme/hooks/{id}", f.api(f.addHook))
	mux.HandleFunc("POST /api/v1/repos/acme/{name}/statuses/{sha}", f.api(f.addStatus))
	f.Server = httptest.NewServer(mux)
	ts.Defer(f.Close)
	ts.Setenv("FORGE", f.URL)
}

// knows reports whether the token is the one that counts now.
func (f *forgeHost) knows(token string) bool {
	want, err := os.ReadFile(filepath.Join(f.work, "token"))
	return err == nil && token == strings.TrimSpace(string(want))
}

func (f *forgeHost) private(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, password, _ := r.BasicAuth(); !f.knows(password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="forge"`)
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (f *forgeHost) api(do func(*http.Request) any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if !f.knows(strings.TrimPrefix(r.Header.Get("Authorization"), "token ")) {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprintln(w, `{"message":"invalid username, password or token"}`)
			return
		}
		answer := do(r)
		if r.Method == http.MethodPost {
			w.WriteHeader(http.StatusCreated)
		}
		if err := json.NewEncoder(w).Encode(answer); err != nil {
			panic(http.ErrAbortHandler)
		}
	}
}

func (f *forgeHost) repos(*http.Request) any {
	dirs, err := filepath.Glob(filepath.Join(f.work, "remotes", "acme", "*.git"))
	if err != nil {
		return err.Error()
	}
	list := []map[string]any{}
	for _, dir := range dirs {
		name := "acme/" + strings.TrimSuffix(filepath.Base(dir), ".git")
		list = append(list, map[string]any{"full_name": name, "clone_url": f.URL + "/" + name + ".git",
			"archived": name == "acme/old", "private": true, "default_branch": "main"})
	}
	return list
}

func (f *forgeHost) listHooks(*http.Request) any {
	list := []map[string]any{}
	for i, url := range f.hooks {
		list = append(list, map[string]any{"id": i + 1, "config": map[string]string{"url": url}})
	}
	return list
}

func (f *forgeHost) addHook(r *http.Request) any {
	var in struct{ Config struct{ URL, Secret string } }
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return err.Error()
	}
	if r.Method == http.MethodPost {
		f.hooks = append(f.hooks, in.Config.URL)
	}
	return f.note("webhooks", "%s %s %d characters\n", r.Method, in.Config.URL, len(in.Config.Secret))
}

func (f *forgeHost) addStatus(r *http.Request) any {
	var in struct {
		State, Description, Context string
		URL                         string `json:"target_url"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		return err.Error()
	}
	return f.note("statuses", "%s %s %s: %s %s\n", r.PathValue("name"), in.Context, in.State, in.Description, in.URL)
}

// note adds a line to a file of the script.
func (f *forgeHost) note(name, format string, args ...any) any {
	file, err := os.OpenFile(filepath.Join(f.work, name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err.Error()
	}
	defer file.Close()
	fmt.Fprintf(file, format, args...)
	return map[string]int{"id": 1}
}
