package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store/storetest"
)

// told counts the messages that come, by id and by type.
type told struct {
	mu   sync.Mutex
	ids  map[string]int
	data map[string]map[string]any
}

func (t *told) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct {
		Type string
		Data map[string]any
	}
	if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ids[r.Header.Get("webhook-id")]++
	t.data[body.Type] = body.Data
}

func (t *told) has(kind string) map[string]any {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.data[kind]
}

// Two daemons share the work of telling; when one is killed, the other tells what
// it had left. What both recorded is told, and of what ended well nothing twice.
func TestTwoDaemonsTellAndOneIsKilled(t *testing.T) {
	t.Parallel()
	dsn := storetest.DSN(t)
	db := storetest.OpenDSN(t, dsn)
	org := storetest.MustOrg(t, db, "acme")
	storetest.MustRepo(t, db, org, "backend", "")
	env := []string{"BLAMEPROMPT_SEAL_KEY_FILE=" + filepath.Join(t.TempDir(), "seal.key"), "BLAMEPROMPT_PRIVATE_ADDRESSES=true"}
	first := begin(t, t.TempDir(), dsn, t.TempDir(), env...).ready()
	second := begin(t, t.TempDir(), dsn, t.TempDir(), env...).ready()
	admin, hook := storetest.MustKey(t, db, org, access.Admin), storetest.MustKey(t, db, org, access.Hook)
	all := &told{ids: map[string]int{}, data: map[string]map[string]any{}}
	receiver := httptest.NewServer(all)
	t.Cleanup(receiver.Close)
	var made struct{ Endpoint struct{ ID string } }
	first.call(admin, http.MethodPost, "/api/v1/endpoints", fmt.Sprintf(`{"name": "chat", "url": %q}`, receiver.URL+"/s3cret"), &made)

	var policy struct{ ID string }
	first.call(admin, http.MethodPost, "/api/v1/policies", `{"name": "nothing", "rule": {"expression": "size(commits) < 0"}, "action": "block"}`, &policy)
	second.judge(hook)
	eventually(t, "the refused push is told", func() bool { return all.has("push.refused") != nil })
	// Nobody has said how people get here.
	if got := all.has("push.refused"); got["url"] != nil || got["repo"] != "backend" || got["decision"] == nil {
		t.Errorf("told %v", got)
	}
	for _, p := range []*instance{first, second} {
		for range 10 {
			p.call(admin, http.MethodPost, "/api/v1/endpoints/"+made.Endpoint.ID+"/ping", ``, &struct{}{})
		}
	}
	state := func(state string) string {
		return storetest.Column(t, db, `SELECT count(*)::text FROM messages WHERE state = $1`, state)[0]
	}
	eventually(t, "all is told", func() bool { return state("sent") == "21" })
	all.mu.Lock()
	for id, n := range all.ids {
		if n != 1 {
			t.Errorf("message %s was told %d times", id, n)
		}
	}
	all.mu.Unlock()

	// Whichever has the task is killed on the way at some time.
	for range 20 {
		first.call(admin, http.MethodPost, "/api/v1/endpoints/"+made.Endpoint.ID+"/ping", ``, &struct{}{})
	}
	first.kill()
	eventually(t, "the other one tells the rest", func() bool { return state("sent") == "41" })
	all.mu.Lock()
	defer all.mu.Unlock()
	if len(all.ids) != 41 {
		t.Errorf("%d messages came, want 41", len(all.ids))
	}
	for _, p := range []*instance{first, second} {
		if log := p.out.String(); strings.Contains(log, "s3cret") || strings.Contains(log, "panic") {
			t.Errorf("the log holds the URL, or tells of trouble:\n%s", log)
		}
	}
}

// judge has a push of one commit judged.
func (p *instance) judge(key string) {
	p.t.Helper()
	commit := gitcmd.OID(strings.Repeat("1", 40))
	who := hooks.Identity{Name: "Ada", Email: "ada@example.com", Time: time.Now()}
	pushed := hooks.Push{Version: hooks.PushVersion, ObjectFormat: "sha1",
		Environment: hooks.Environment{Forge: hooks.Gitea, User: "ada", Email: "ada@example.com", Via: hooks.Pushed},
		Refs:        []hooks.Ref{{Name: "refs/heads/main", Old: gitcmd.OID(strings.Repeat("0", 40)), New: commit, Kind: push.Update}},
		Commits:     []hooks.Commit{{OID: commit, Measured: true, Author: who, Committer: who}}}
	var body bytes.Buffer
	if err := pushed.Encode(&body); err != nil {
		p.t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(context.Background(), http.MethodPost, p.url+"/api/v1/hook/push?org=acme&repo=backend", &body)
	if err != nil {
		p.t.Fatal(err)
	}
	request.Header.Set("Authorization", "Bearer "+key)
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		p.t.Fatal(err)
	}
	defer response.Body.Close()
	var answer hooks.Answer
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || !answer.Refused() {
		p.t.Fatalf("%d %+v, %v", response.StatusCode, answer, err)
	}
}
