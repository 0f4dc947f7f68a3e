package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/httpapi"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/store/queue"
	"github.com/blameprompt/enterprise/store/storetest"
)

// repo is the part of a repository's document that tests look at.
type repo struct {
	ID        string
	Name      string
	URL       string
	NotesRefs []string `json:"notes_refs"`
	NotesOnly bool     `json:"notes_only"`
	RemovedAt *string  `json:"removed_at"`
	Status    struct {
		Receipts, Findings int
		Current            int `json:"receipts_current"`
		Tips               []struct{ Ref, Tip string }
	}
}

// A host that nobody knows is the mistake of who named it.
func TestARepositoryOfAnUnknownHostIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(cfg *httpapi.Config) {
		cfg.Remotes = mirror.Rules{Lookup: func(context.Context, string) ([]netip.Addr, error) { return nil, errors.New("no such host") }}
	})
	problem := w.post(w.admin, "/api/v1/repos", map[string]any{"name": "app", "url": "https://git.nowhere.example/app.git"}).want(400).problem()
	if len(problem.Errors) != 1 || problem.Errors[0].Field != "url" || problem.Errors[0].Problem != "names a host for which the daemon finds no address" {
		t.Errorf("%+v", problem)
	}
}

func TestRepositoriesAreAddedShownSyncedAndRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var made repo
	w.post(w.admin, "/api/v1/repos", map[string]any{"name": "team/app", "url": "https://robot:hunter2@git.example.com/team/app.git",
		"notes_refs": []string{"refs/notes/ai"}, "notes_only": true}).want(201).into(&made)
	if made.URL != "https://git.example.com/team/app.git" || !made.NotesOnly || !cmp.Equal(made.NotesRefs, []string{"refs/notes/ai"}) {
		t.Errorf("added %+v", made)
	}
	stored, err := w.db.Repo(context.Background(), w.org.ID, "team/app")
	if err != nil {
		t.Fatal(err)
	}
	user, secret, err := w.db.Credential(context.Background(), w.org.ID, stored.ID)
	if err != nil || user != "robot" || secret != "hunter2" {
		t.Errorf("the credential of the URL is %q, %q, %v", user, secret, err)
	}
	if strings.Contains(w.log.String(), "hunter2") {
		t.Error("the log holds a credential")
	}
	if got := w.fetches.take(); len(got) != 1 || got[0] != (demand{w.org.ID, stored.ID, queue.Asked}) {
		t.Errorf("adding demanded %v, want one fetch", got)
	}
	w.post(w.admin, "/api/v1/repos", map[string]any{"name": "team/app", "url": "https://git.example.com/x.git"}).want(409).problem()

	for address, names := range map[string]string{
		"ssh://git@git.example.com/team/app": "team/app", "git@git.example.com:team/app.git": "team/app",
		"https://git.example.com/team/other": "", "nonsense": "",
	} {
		var list struct{ Items []repo }
		w.get(w.read, "/api/v1/repos?url="+url.QueryEscape(address)).want(200).into(&list)
		got := ""
		for _, r := range list.Items {
			got += r.Name
		}
		if got != names {
			t.Errorf("at %s are %q, want %q", address, got, names)
		}
	}

	w.note(stored, commitA, "n1", "n2")
	var shown repo
	w.get(w.read, "/api/v1/repos/team%2Fapp").want(200).into(&shown)
	if shown.ID != made.ID || shown.Status.Receipts != 2 || shown.Status.Current != 2 || len(shown.Status.Tips) != 1 ||
		shown.Status.Tips[0].Ref != "refs/notes/blameprompt" {
		t.Errorf("shown %+v", shown)
	}
	w.post(w.write, "/api/v1/repos/"+made.ID+"/sync", nil).want(202)
	if got := w.fetches.take(); len(got) != 1 || got[0].kind != queue.Asked {
		t.Errorf("syncing demanded %v, want one fetch", got)
	}
	w.do(call{method: "DELETE", path: "/api/v1/repos/team%2Fapp", key: w.admin}).want(204)
	w.do(call{method: "DELETE", path: "/api/v1/repos/team%2Fapp", key: w.admin}).want(404)
	w.post(w.write, "/api/v1/repos/team%2Fapp/sync", nil).want(409)
	w.get(w.read, "/api/v1/repos/team%2Fapp").want(200).into(&shown)
	if shown.RemovedAt == nil || shown.Status.Receipts != 2 {
		t.Errorf("after removal %+v", shown)
	}
	var list struct{ Items []repo }
	if w.get(w.read, "/api/v1/repos").want(200).into(&list); len(list.Items) != 0 {
		t.Errorf("the list still has %v", list.Items)
	}
}

func TestWhatIsDoneIsAudited(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for i := range 5 {
		w.post(w.admin, "/api/v1/keys", map[string]any{"name": fmt.Sprint("k", i), "scopes": []string{"read"}}).want(201)
	}
	w.do(call{method: "PATCH", path: "/api/v1/org", key: w.admin, body: map[string]any{"store_conversations": true},
		header: map[string]string{"X-Request-Id": "the-request"}}).want(200)
	type acts struct {
		Items []struct {
			Seq               int64
			Action, Principal string
			RequestID         string `json:"request_id"`
		}
		NextCursor *string `json:"next_cursor"`
	}
	var first acts
	w.get(w.admin, "/api/v1/audit?limit=2").want(200).into(&first)
	if a := first.Items[0]; a.Action != "org.update" || a.RequestID != "the-request" || !strings.HasPrefix(a.Principal, "key:") {
		t.Errorf("the last act is %+v", a)
	}
	seen, next := len(first.Items), first.NextCursor
	for next != nil {
		var more acts
		w.get(w.admin, "/api/v1/audit?limit=2&cursor="+*next).want(200).into(&more)
		seen, next = seen+len(more.Items), more.NextCursor
	}
	// One act made the organisation, five its first keys.
	if seen != 1+5+5+1 {
		t.Errorf("the pages hold %d acts, want 12", seen)
	}
}

func TestFindingsComeInPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.post(w.ingest, "/api/v1/receipts?repo=backend", `[{"id":"f1"},{"id":"f2","cost_usd":"x"},{"id":"f3"},{"id":"f4"}]`).want(200)
	type findings struct {
		Items      []struct{ ID, Severity, Code string }
		NextCursor *string `json:"next_cursor"`
	}
	var all findings
	w.get(w.read, "/api/v1/repos/backend/findings").want(200).into(&all)
	if len(all.Items) < 4 || all.NextCursor != nil {
		t.Fatalf("%d findings in one page, want at least 4 and no cursor", len(all.Items))
	}
	var walked findings
	next := ""
	for range 100 {
		var p findings
		w.get(w.read, "/api/v1/repos/backend/findings?limit=1"+next).want(200).into(&p)
		walked.Items = append(walked.Items, p.Items...)
		if p.NextCursor == nil {
			break
		}
		next = "&cursor=" + *p.NextCursor
	}
	if diff := cmp.Diff(all.Items, walked.Items); diff != "" {
		t.Errorf("pages of one differ from one page (-one +pages):\n%s", diff)
	}
	var infos findings
	w.get(w.read, "/api/v1/repos/backend/findings?severity=info").want(200).into(&infos)
	for _, f := range infos.Items {
		if f.Severity != "info" {
			t.Errorf("severity=info lists %+v", f)
		}
	}
}

func TestACommitShowsWhatItsNotesSay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	log := "src/a.go\n  abcd1234abcd1234 1-10,20\n  h_123 11-12\n---\n" + `{
  "schema_version": "authorship/3.0.0",
  "git_ai_version": "1.0.0",
  "base_commit_sha": "` + commitA + `",
  "prompts": {"abcd1234abcd1234": {"agent_id": {"tool": "claude", "id": "s1", "model": "claude-opus-4-6"}, "human_author": "Ann <ann@example.com>",
    "messages": [], "total_additions": 11, "total_deletions": 0, "accepted_lines": 11, "overriden_lines": 0}},
  "humans": {"h_123": {"author": "Ann <ann@example.com>"}}
}`
	r := storetest.MustRepo(t, w.db, w.org, "lib", "https://git.example.com/lib.git")
	if _, err := w.db.Pool().Exec(context.Background(), `
		INSERT INTO commits (org_id, repo_id, commit, parents, author_name, author_email, authored_at, committer_name, committer_email,
			committed_at, subject, bot) VALUES ($1, $2, $3, '{}', 'Ann', 'ann@example.com', now(), 'Ann', 'ann@example.com', now(), 'subject', false)`,
		w.org.ID, r.ID, commitA); err != nil {
		t.Fatal(err)
	}
	w.post(w.ingest, "/worker/notes/upload", map[string]any{"entries": []any{map[string]any{"commit_sha": commitA, "content": log}}}).want(200)
	var got struct {
		Metadata *struct{ Subject string }
		Versions []struct {
			Ref     string
			Current bool
		}
		Receipts []struct{ ID, Model string }
		Attested struct {
			AI, Human int
			Paths     []struct {
				Path, Class string
				LineCount   int     `json:"line_count"`
				Lines       [][]int `json:"lines"`
			}
		}
	}
	w.get(w.read, "/api/v1/repos/lib/commits/"+strings.ToUpper(commitA)).want(200).into(&got)
	if got.Metadata == nil || got.Metadata.Subject != "subject" || len(got.Versions) != 1 || !got.Versions[0].Current {
		t.Errorf("metadata and versions: %+v", got)
	}
	if len(got.Receipts) != 1 || got.Receipts[0].Model != "claude-opus-4-6" {
		t.Fatalf("receipts: %+v", got.Receipts)
	}
	if got.Attested.AI != 11 || got.Attested.Human != 2 || len(got.Attested.Paths) != 2 {
		t.Fatalf("attested: %+v", got.Attested)
	}
	if diff := cmp.Diff([][]int{{1, 10}, {20, 20}}, got.Attested.Paths[0].Lines); diff != "" {
		t.Errorf("lines of AI (-want +got):\n%s", diff)
	}
	var detail struct {
		Attested []struct {
			Path  string
			Lines [][]int
		}
	}
	w.get(w.read, "/api/v1/receipts/"+got.Receipts[0].ID).want(200).into(&detail)
	if len(detail.Attested) != 1 || !cmp.Equal(detail.Attested[0].Lines, [][]int{{1, 10}, {20, 20}}) {
		t.Errorf("lines of the receipt: %+v", detail.Attested)
	}
}

func TestTheNotesBackendKeepsBytes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	type counts struct {
		Success int `json:"success_count"`
		Failure int `json:"failure_count"`
	}
	upload := func(entries ...any) (c counts) {
		w.post(w.ingest, "/worker/notes/upload/", map[string]any{"version": 1, "entries": entries}).want(200).into(&c)
		return c
	}
	odd := "line\r\n\ttab <b>&amp;\u2028 \u0000 end without newline"
	entry := func(sha, content any) any { return map[string]any{"commit_sha": sha, "content": content} }
	if got := upload(entry(commitA, "old"), entry(commitA, odd), entry("short", "x"), entry(commitB, 7), "nonsense", entry(commitB, "b")); got != (counts{3, 3}) {
		t.Errorf("upload says %+v, want 3 stored and 3 not", got)
	}
	var got struct{ Notes map[string]string }
	w.do(call{method: "GET", path: "/worker/notes/?commits=" + commitA + "," + commitB + "," + commitA + "," + strings.Repeat("3", 40),
		header: map[string]string{"X-API-Key": w.ingest}}).want(200).into(&got)
	if diff := cmp.Diff(map[string]string{commitA: odd, commitB: "b"}, got.Notes); diff != "" {
		t.Errorf("notes (-want +got):\n%s", diff)
	}
	upload(entry(commitA, "last"))
	w.get(w.read, "/worker/notes?commits="+commitA).want(200).into(&got)
	if got.Notes[commitA] != "last" {
		t.Errorf("the note is %q, want the last one", got.Notes[commitA])
	}
	if got := upload(entry(commitB, strings.Repeat("x", 8<<20))); got != (counts{1, 0}) {
		t.Errorf("a note of 8 MiB: %+v", got)
	}
}

func TestTheStockClientIsServed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// The client joins its address and the path, so that a slash may be doubled.
	for _, path := range []string{"/api/me", "//api/me"} {
		var me map[string]any
		w.do(call{method: "GET", path: path, header: map[string]string{"X-API-Key": w.ingest}}).want(200).into(&me)
		if me["username"] != t.Name() {
			t.Errorf("GET %s says %v", path, me)
		}
	}
	got := w.do(call{method: "POST", path: "//api/sync", header: map[string]string{"X-API-Key": w.read, "Content-Type": "application/json"},
		body: `{"activities":[{"date":"2026-02-14","promptCount":3,"modelsUsed":{"claude":3}}]}`}).want(200)
	if strings.TrimSpace(string(got.body)) != "{}" {
		t.Errorf("sync answers %s, want {}", got.body)
	}
}

func TestHealthReadinessAndMetrics(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.get("", "/healthz?probe=1").want(200)
	w.get("", "/readyz").want(200)
	w.get(w.read, "/api/v1/receipts/some-id").want(404)
	w.get("", "/api/v1/org").want(401)
	got := string(w.get("", "/metrics").want(200).body)
	for _, want := range []string{
		`blameprompt_http_requests_total{method="GET",route="/api/v1/receipts/{id}",status="4xx"} 1`,
		`blameprompt_http_refusals_total{code="unauthenticated"} 1`,
		`blameprompt_http_request_seconds_count{method="GET",route="/readyz"} 1`,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("the metrics lack %s", want)
		}
	}
	if strings.Contains(got, "some-id") {
		t.Error("the metrics have a label of a client's making")
	}
}

func TestReadinessSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	if _, err := w.db.Pool().Exec(ctx, `UPDATE goose_db_version SET version_id = version_id + 100`); err != nil {
		t.Fatal(err)
	}
	var health struct{ Problems []string }
	w.get("", "/readyz").want(503).into(&health)
	if len(health.Problems) != 1 || !strings.Contains(health.Problems[0], "version") {
		t.Errorf("problems %q, want one that names the versions", health.Problems)
	}
	w.db.Close()
	w.get("", "/readyz").want(503).into(&health)
	if len(health.Problems) != 1 || !strings.Contains(health.Problems[0], "reached") {
		t.Errorf("problems %q, want that the database cannot be reached", health.Problems)
	}
	w.get("", "/healthz").want(200)
	got := w.get(w.read, "/api/v1/org").want(503)
	if p := got.problem(); p.Code != "database_unavailable" || got.header.Get("Retry-After") == "" {
		t.Errorf("without a database: %s", got.body)
	}
}

func TestFaultsAreLoggedAndNotSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(c *httpapi.Config) {
		c.Fallback = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/panic" {
				panic("the secret plan")
			}
			fmt.Fprint(w, "a page")
		})
	})
	w.fetches.fail = errPlanned
	r := storetest.MustRepo(t, w.db, w.org, "lib", "https://git.example.com/lib.git")
	got := w.post(w.admin, "/api/v1/repos/"+r.ID.String()+"/sync", nil).want(500)
	if strings.Contains(string(got.body), errPlanned.Error()) {
		t.Errorf("the cause is sent to the client: %s", got.body)
	}
	if id := got.problem().RequestID; !strings.Contains(w.log.String(), errPlanned.Error()) || !strings.Contains(w.log.String(), id) {
		t.Error("the cause is not in the log with the request's id")
	}
	if got := w.get("", "/panic").want(500); strings.Contains(string(got.body), "plan") {
		t.Errorf("a panic is sent to the client: %s", got.body)
	}
	if !strings.Contains(w.log.String(), "the secret plan") {
		t.Error("a panic is not logged")
	}
	if got := w.get("", "/page").want(200); string(got.body) != "a page" {
		t.Errorf("the fallback answered %q", got.body)
	}
}

func TestTheLogHoldsNoSearchedTextAndNoKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.get(w.read, "/api/v1/receipts?q=salary+of+ann&model=gpt-5").want(200)
	w.post(w.ingest, "/api/v1/receipts?repo=a", `[{"id":"l1","prompt_summary":"salary of bob"}]`).want(200)
	log := w.log.String()
	for _, secret := range []string{"salary", w.read, w.ingest} {
		if strings.Contains(log, secret) {
			t.Errorf("the log holds %q", secret)
		}
	}
	if !strings.Contains(log, "gpt-5") || !strings.Contains(log, `"status":200`) || !strings.Contains(log, `"route":"/api/v1/receipts"`) {
		t.Errorf("the log lacks what it should tell: %s", log)
	}
}
