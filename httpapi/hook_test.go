package httpapi_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/hooks/enforce"
	"github.com/blameprompt/enterprise/httpapi"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// judge is an enforcer that refuses what has no commits to show, and keeps
// what it was asked.
type judge struct {
	*enforce.Enforcer

	mu       sync.Mutex
	decided  []asked
	received []asked
	fail     error
}

type asked struct {
	by   access.Principal
	repo string
	push hooks.Push
}

func (j *judge) Decide(_ context.Context, by access.Principal, repo string, p hooks.Push) (hooks.Answer, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.decided = append(j.decided, asked{by, repo, p})
	outcome := push.Accept
	if len(p.Commits) == 0 {
		outcome = push.Refuse
	}
	return hooks.Answer{Version: hooks.AnswerVersion, Verdict: push.Verdict{Outcome: outcome}, Decision: "d1"}, j.fail
}

func (j *judge) Received(_ context.Context, by access.Principal, repo string, p hooks.Push) error {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.received = append(j.received, asked{by, repo, p})
	return j.fail
}

var aPush = map[string]any{"version": 1, "object_format": "sha1", "forge": "git", "repo": "api", "via": "push",
	"refs": []any{map[string]any{"name": "refs/heads/main", "old": strings.Repeat("0", 40), "new": commitA, "kind": "create"}}}

// settle waits until what the server does behind its answers is done.
func (w *world) settle() { w.srv.Config.Shutdown(context.Background()) }

func TestAPushIsJudgedAndReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var answer hooks.Answer
	w.post(w.hook, "/api/v1/hook/push?repo=team/app&org=acme", aPush).want(200).into(&answer)
	if !answer.Refused() || answer.Decision != "d1" {
		t.Errorf("answer %+v", answer)
	}
	w.post(w.hook, "/api/v1/hook/received", aPush).want(204)
	w.settle()
	got, told := w.judge.decided[0], w.judge.received[0]
	if got.repo != "team/app" || got.push.Repo != "api" || got.by.Org != w.org.ID || !strings.HasPrefix(got.by.Name, "key:") ||
		!cmp.Equal(got.by.Scopes, []access.Scope{access.Hook}) || got.by.RequestID == "" {
		t.Errorf("asked %+v", got)
	}
	if told.repo != "" || len(told.push.Refs) != 1 {
		t.Errorf("told %+v", told)
	}
}

func TestAPushThatCannotBeJudgedIsAProblem(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, c := range []struct {
		path   string
		body   any
		fail   error
		status int
		code   string
	}{
		{"push", "", nil, 400, "invalid_input"},
		{"push", "not json", nil, 400, "invalid_input"},
		{"push", `{"version":2}`, nil, 400, "invalid_input"},
		{"push", `{"version":1,"object_format":"md5"}`, nil, 400, "invalid_input"},
		{"push", strings.Repeat("[", 200_000), nil, 400, "invalid_input"},
		{"push?org=rival", aPush, nil, 400, "invalid_input"},
		{"push?repo=" + strings.Repeat("x", 201), aPush, nil, 400, "invalid_input"},
		{"received", `{"version":2}`, nil, 400, "invalid_input"},
		{"push", aPush, fmt.Errorf("deciding: %w", store.ErrUnavailable), 503, "database_unavailable"},
		{"push", aPush, errPlanned, 500, "internal"},
	} {
		w.judge.fail = c.fail
		got := w.do(call{method: "POST", path: "/api/v1/hook/" + c.path, key: w.hook, body: c.body})
		if got.status != c.status || got.problem().Code != c.code {
			t.Errorf("%s %.40v: %d %s", c.path, c.body, got.status, got.body)
		}
	}
	// Behind a push the answer does not wait for the work.
	w.judge.fail = errPlanned
	w.post(w.hook, "/api/v1/hook/received", aPush).want(204)
	w.settle()
	if !strings.Contains(w.log.String(), errPlanned.Error()) {
		t.Error("the log does not tell of a report that failed")
	}
	silent := newWorld(t, func(cfg *httpapi.Config) { cfg.Enforcer = nil })
	if got := silent.post(silent.hook, "/api/v1/hook/push", aPush).want(503).problem(); got.Code != "no_enforcement" {
		t.Errorf("without an enforcer: %+v", got)
	}
}

func TestRepositoriesAreChanged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	type settings struct {
		Mode    string
		Receipt string `json:"receipt_mode"`
		Grace   int    `json:"grace_seconds"`
		Notes   string `json:"notes_protection"`
	}
	const path = "/api/v1/repos/backend"
	var got settings
	w.get(w.read, path).want(200).into(&got)
	if got != (settings{"advisory", "deferred", 900, "mode"}) {
		t.Errorf("at first %+v", got)
	}
	patch := func(body string) reply { return w.do(call{method: "PATCH", path: path, key: w.admin, body: body}) }
	patch(`{"mode":"enforcing"}`).want(200).into(&got)
	if got != (settings{"enforcing", "deferred", 900, "mode"}) {
		t.Errorf("after the mode %+v", got)
	}
	patch(`{"receipt_mode":"same-push","grace_seconds":0,"notes_protection":"warn"}`).want(200).into(&got)
	if got != (settings{"enforcing", "same-push", 0, "warn"}) {
		t.Errorf("after the receipts %+v", got)
	}
	for _, bad := range []string{`{}`, `{"mode":"strict"}`, `{"notes_protection":"on"}`, `{"notes_protection":null}`, `{"receipt_mode":""}`, `{"grace_seconds":604801}`, `{"grace_seconds":-1}`, `{"name":"x"}`} {
		patch(bad).want(400)
	}
	rows, err := w.db.AuditRows(context.Background(), w.org.ID, store.AuditFilter{}, 0, 2)
	if err != nil || rows[0].Action != "repo.update" || rows[0].Target != "backend" || !strings.Contains(string(rows[0].Detail), `"same-push"`) {
		t.Errorf("audited %+v, %v", rows, err)
	}
	var check struct {
		Org, Repo, Mode, Version string
		Known                    bool
	}
	w.get(w.hook, "/api/v1/hook?repo=backend").want(200).into(&check)
	if check.Org != "acme" || check.Repo != "backend" || !check.Known || check.Mode != "enforcing" || check.Version != "test" {
		t.Errorf("check says %+v", check)
	}
	w.get(w.hook, "/api/v1/hook?repo=unheard").want(200).into(&check)
	if check.Known || check.Mode != "advisory" {
		t.Errorf("check of an unknown repository says %+v", check)
	}
}

// throughSocket asks the hook server through a Unix socket.
func (w *world) throughSocket() func(method, path string, body any) (int, string) {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		w.t.Fatal(err)
	}
	server := httpapi.NewHookServer(w.api)
	served := make(chan error)
	go func() { served <- server.Serve(listener) }()
	w.t.Cleanup(func() {
		if err := server.Close(); err != nil {
			w.t.Error(err)
		}
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			w.t.Error(err)
		}
	})
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", path)
	}}}
	w.t.Cleanup(client.CloseIdleConnections)
	return func(method, target string, body any) (int, string) {
		w.t.Helper()
		req, err := http.NewRequest(method, "http://hook"+target, bodyOf(w.t, body))
		if err != nil {
			w.t.Fatal(err)
		}
		resp, err := client.Do(req)
		if err != nil {
			w.t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			w.t.Fatal(err)
		}
		return resp.StatusCode, string(text)
	}
}

func TestTheSocketServesHooksAndNothingElse(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *httpapi.Config) {
		cfg.Fallback = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "pages") })
	})
	ask := w.throughSocket()
	if status, text := ask("POST", "/api/v1/hook/push?org=acme&repo=app", aPush); status != 200 {
		t.Fatalf("status %d: %s", status, text)
	}
	if status, text := ask("POST", "/api/v1/hook/received?org=acme", aPush); status != 204 {
		t.Errorf("status %d: %s", status, text)
	}
	by := w.judge.decided[0].by
	if want := fmt.Sprintf("hook:uid=%d", os.Getuid()); by.Name != want || by.Org != w.org.ID || !by.Has(access.Hook) ||
		by.Has(access.Read) || by.Has(access.Ingest) || by.RequestID == "" {
		t.Errorf("principal %+v", by)
	}
	var check struct{ Org string }
	status, text := ask("GET", "/api/v1/hook?org=rival", nil)
	if err := json.Unmarshal([]byte(text), &check); status != 200 || err != nil || check.Org != "rival" {
		t.Errorf("status %d: %s", status, text)
	}
	for _, c := range []struct {
		method, path string
		want         int
	}{
		{"POST", "/api/v1/hook/push", 400}, // There is no organisation "default".
		{"POST", "/api/v1/hook/push?org=a%00b", 400},
		{"POST", "/api/v1/hook/push?org=%ff", 400},
		{"POST", "/api/v1/hook/push?org=acme&x=1", 400},
		{"GET", "/api/v1/hook/push?org=acme", 405},
		{"GET", "/api/v1/repos?org=acme", 404},
		{"GET", "/api/v1/hook/../repos?org=acme", 404},
		{"GET", "/api/v1/hook/..%2Frepos?org=acme", 404},
		{"GET", "/api/v1/hookers?org=acme", 404},
		{"GET", "/healthz", 404}, {"GET", "/metrics", 404}, {"GET", "/", 404}, {"POST", "/hooks/github/acme", 404},
	} {
		if status, text := ask(c.method, c.path, aPush); status != c.want {
			t.Errorf("%s %s: status %d, want %d: %.200s", c.method, c.path, status, c.want, text)
		}
	}
}
