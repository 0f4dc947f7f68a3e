package endpoint_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/hooks/endpoint"
	"github.com/blameprompt/enterprise/hooks/enforce"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

const (
	repoName = "acme/api"
	ada      = "ada@example.com"
	bob      = "bob@example.com"
)

// noon is when pushes are made.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// received is a request as it came to a receiver.
type received struct {
	ID, Timestamp, Signature string
	Path                     string
	Header                   http.Header
	Body                     []byte
	Type                     string          `json:"type"`
	At                       time.Time       `json:"timestamp"`
	Data                     json.RawMessage `json:"data"`
}

// verifies computes the signature as the specification has it, by itself.
func (r received) verifies(secret string) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	if err != nil || len(key) < 24 || len(key) > 64 {
		return false
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", r.ID, r.Timestamp, r.Body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for _, signature := range strings.Split(r.Signature, " ") {
		if hmac.Equal([]byte(signature), []byte(want)) {
			return true
		}
	}
	return false
}

// receiver is an HTTP server that takes messages, or does what answer says.
type receiver struct {
	*httptest.Server
	t      testing.TB
	mu     sync.Mutex
	got    []received
	answer func(w http.ResponseWriter, r *http.Request, n int)
}

func newReceiver(t testing.TB, answer func(w http.ResponseWriter, r *http.Request, n int)) *receiver {
	t.Helper()
	rc := &receiver{t: t, answer: answer}
	rc.Server = httptest.NewServer(rc)
	t.Cleanup(rc.Close)
	return rc
}

func (rc *receiver) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		rc.t.Error(err)
	}
	got := received{ID: r.Header.Get("webhook-id"), Timestamp: r.Header.Get("webhook-timestamp"), Signature: r.Header.Get("webhook-signature"),
		Path: r.URL.String(), Header: r.Header, Body: body}
	if err := json.Unmarshal(body, &got); err != nil {
		rc.t.Errorf("%s %s: %v", r.Method, r.URL, err)
	}
	rc.mu.Lock()
	rc.got = append(rc.got, got)
	n := len(rc.got)
	rc.mu.Unlock()
	if rc.answer != nil {
		rc.answer(w, r, n)
	}
}

// all is what came so far.
func (rc *receiver) all() []received {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return append([]received(nil), rc.got...)
}

// types are the types of what came so far.
func (rc *receiver) types() (types []string) {
	for _, r := range rc.all() {
		types = append(types, r.Type)
	}
	return types
}

// always answers a status.
func always(status int) func(http.ResponseWriter, *http.Request, int) {
	return func(w http.ResponseWriter, _ *http.Request, _ int) { w.WriteHeader(status) }
}

// world is an organisation with a repository, an enforcer and a sender.
type world struct {
	t    testing.TB
	dsn  string
	db   *store.DB
	org  store.Org
	repo store.Repo
	by   access.Principal
	desk *endpoint.Desk
	*enforce.Enforcer
}

func newWorld(t testing.TB) *world {
	t.Helper()
	dsn := storetest.DSN(t)
	db := openDB(t, dsn)
	org := storetest.MustOrg(t, db, "acme")
	w := &world{t: t, dsn: dsn, db: db, org: org, repo: storetest.MustRepo(t, db, org, repoName, ""), by: access.CLI(org.ID),
		desk: &endpoint.Desk{DB: db, Rules: endpoint.Rules{AllowHTTP: true}}}
	w.Enforcer = enforce.New(enforce.Config{DB: db, Log: zerolog.Nop(), Now: func() time.Time { return noon },
		Notes: &enforce.Mirrors{DB: db, Root: t.TempDir()}})
	return w
}

func openDB(t testing.TB, dsn string) *store.DB {
	t.Helper()
	return openSealed(t, dsn, "0123456789abcdef0123456789abcdef")
}

// openSealed opens a database with the key that its secrets are sealed with.
func openSealed(t testing.TB, dsn, key string) *store.DB {
	t.Helper()
	sealer, err := store.NewSealer([]byte(key))
	if err != nil {
		t.Fatal(err)
	}
	db, err := store.Open(context.Background(), store.Config{DSN: dsn, Sealer: sealer, PublicURL: "https://bp.example.com/"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// sender makes a sender whose attempts follow at once.
func (w *world) sender(change func(*endpoint.Config)) *endpoint.Sender {
	w.t.Helper()
	cfg := endpoint.Config{DB: w.db, Rules: w.desk.Rules, Log: zerolog.Nop(), Pauses: make([]time.Duration, 9)}
	if change != nil {
		change(&cfg)
	}
	s, err := endpoint.NewSender(cfg)
	if err != nil {
		w.t.Fatal(err)
	}
	return s
}

func (w *world) send() {
	w.t.Helper()
	w.sendBy(w.sender(nil))
}

func (w *world) sendBy(s *endpoint.Sender) {
	w.t.Helper()
	if err := s.Send(context.Background()); err != nil {
		w.t.Fatal(err)
	}
}

// listen adds an endpoint at a receiver.
func (w *world) listen(rc *receiver, types ...store.MessageType) (store.Endpoint, string) {
	w.t.Helper()
	return w.add(endpoint.New{Name: "chat", URL: rc.URL + "/services/T0/s3cret?token=x", Types: types})
}

func (w *world) add(in endpoint.New) (store.Endpoint, string) {
	w.t.Helper()
	row, secret, err := w.desk.Create(context.Background(), w.by, in)
	if err != nil {
		w.t.Fatal(err)
	}
	return row, secret
}

func (w *world) ping(row store.Endpoint) store.Message {
	w.t.Helper()
	m, err := w.db.PingEndpoint(context.Background(), w.by, row.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return m
}

// endpoint reads how an endpoint stands.
func (w *world) endpoint(row store.Endpoint) store.Endpoint {
	w.t.Helper()
	row, err := w.db.Endpoint(context.Background(), w.org.ID, row.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return row
}

// messages lists those of an endpoint, newest first.
func (w *world) messages(row store.Endpoint) []store.Message {
	w.t.Helper()
	list, err := w.db.Messages(context.Background(), w.org.ID, store.MessageFilter{Endpoint: row.ID}, uuid.Nil, 100)
	if err != nil {
		w.t.Fatal(err)
	}
	return list
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Pool().Exec(context.Background(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) policy(name, action, rule string) uuid.UUID {
	w.t.Helper()
	doc, err := policy.Parse(fmt.Appendf(nil, `{"name": %q, "rule": %s, "action": %q}`, name, rule, action))
	if err != nil {
		w.t.Fatal(err)
	}
	row, err := w.db.CreatePolicy(context.Background(), w.by, doc)
	if err != nil {
		w.t.Fatal(err)
	}
	return row.ID
}

func (w *world) decide(p hooks.Push) hooks.Answer {
	w.t.Helper()
	by := access.Principal{Org: w.org.ID, Name: "hook:uid=7", Scopes: []access.Scope{access.Hook}, RequestID: "r1"}
	answer, err := w.Decide(context.Background(), by, repoName, p)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer
}

// oid makes an object id of a short name.
func oid(name string) gitcmd.OID {
	return gitcmd.OID((fmt.Sprintf("%x", name) + strings.Repeat("0", 40))[:40])
}

// pushed makes a push of a commit to main, with a receipt of a model unless that
// is empty.
func pushed(name, model string) hooks.Push {
	commit := hooks.Commit{
		OID: oid(name), Parents: []gitcmd.OID{oid("root")}, Measured: true, PatchID: strings.Repeat("a", 30) + string(oid(name))[:10],
		Author:    hooks.Identity{Name: "Ada", Email: ada, Time: noon},
		Committer: hooks.Identity{Name: "Ada", Email: ada, Time: noon},
		Files:     []hooks.File{{Path: name + ".go", Added: 10, Blob: oid("blob " + name), Runs: []hooks.Run{{1, 10}}}},
	}
	p := hooks.Push{Version: hooks.PushVersion, ObjectFormat: "sha1", Commits: []hooks.Commit{commit},
		Environment: hooks.Environment{Forge: hooks.Gitea, User: "ada", Email: ada, Repo: "forge/name", Via: hooks.Pushed}}
	p.Refs = []hooks.Ref{{Name: "refs/heads/main", Old: oid("root"), New: commit.OID, Kind: push.Update}}
	if model != "" {
		number := int64(1)
		p.Notes = []hooks.Note{{Commit: commit.OID, Ref: "refs/notes/blameprompt", Blob: oid("note " + name), Receipts: []hooks.Receipt{{
			ID: "receipt-" + name, Provider: "claude", Model: model, SessionID: "session-" + name, PromptNumber: &number, CostUSD: "0.25",
			Timestamp: noon.Add(-time.Hour), UserName: "Ada", UserEmail: ada,
			Files: []hooks.ReceiptFile{{Path: name + ".go", Lines: hooks.Run{1, 10}, Blob: string(oid("blob " + name))}}}}}}
	}
	return p
}
