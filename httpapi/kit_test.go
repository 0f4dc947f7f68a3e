package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/hooks/endpoint"
	"github.com/blameprompt/enterprise/hooks/enforce"
	"github.com/blameprompt/enterprise/httpapi"
	"github.com/blameprompt/enterprise/httpapi/auth"
	"github.com/blameprompt/enterprise/notes/ingest"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
	"github.com/blameprompt/enterprise/store/storetest"
)

// world is the API over a database of its own, with two organisations.
type world struct {
	t       testing.TB
	db      *store.DB
	srv     *httptest.Server
	spec    *openapi3.T
	api     *httpapi.API
	fetches *demands
	judge   *judge
	forge   *gitServer
	log     *syncBuffer
	// accounts let people in.
	accounts *auth.Accounts
	org      store.Org
	// Keys of org by scope, and one that may do everything in another.
	admin, write, read, ingest, hook string
	foreign                          store.Org
	foreignAdmin                     string
}

func newWorld(t testing.TB, change ...func(*httpapi.Config)) *world {
	t.Helper()
	w := worldOver(t, storetest.Open(t), change...)
	w.org, w.foreign = storetest.MustOrg(t, w.db, "acme"), storetest.MustOrg(t, w.db, "rival")
	w.admin = storetest.MustKey(t, w.db, w.org, access.Admin)
	w.write = storetest.MustKey(t, w.db, w.org, access.Write)
	w.read = storetest.MustKey(t, w.db, w.org, access.Read)
	w.ingest = storetest.MustKey(t, w.db, w.org, access.Ingest)
	w.hook = storetest.MustKey(t, w.db, w.org, access.Hook)
	w.foreignAdmin = storetest.MustKey(t, w.db, w.foreign, access.Admin)
	return w
}

// filledWorld is the API over n receipts and what goes with them, with a key
// that may read them.
func filledWorld(t testing.TB, n int) *world {
	t.Helper()
	dsn, org := storetest.Filled(t, n)
	w := worldOver(t, storetest.OpenDSN(t, dsn))
	w.org, w.read = org, storetest.MustKey(t, w.db, org, access.Read)
	return w
}

// worldOver is the API over a database, with no organisation of its own.
func worldOver(t testing.TB, db *store.DB, change ...func(*httpapi.Config)) *world {
	t.Helper()
	w := &world{t: t, db: db, fetches: &demands{}, judge: &judge{}, forge: newGitServer(t), log: &syncBuffer{}}
	w.judge.Enforcer = enforce.New(enforce.Config{DB: w.db, PublicURL: "https://blameprompt.example.com", Log: zerolog.Nop(),
		Notes: &enforce.Mirrors{DB: w.db, Root: t.TempDir()}})
	cfg := httpapi.Config{Connections: connector(t, w.db), Endpoints: &endpoint.Desk{DB: w.db, Rules: endpoint.Rules{CheckAddress: rules().CheckAddress}}, DB: w.db, Intake: ingest.New(ingest.Config{DB: w.db}), Fetches: w.fetches, Remotes: rules(), Enforcer: w.judge,
		Log: zerolog.New(w.log), PublicURL: "https://blameprompt.example.com", Version: "test",
		Auth: auth.Config{PerSecond: 1e6, Burst: 1e6, Guesses: 1e6}}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	w.accounts, err = auth.NewAccounts(auth.AccountConfig{DB: w.db, PublicURL: cfg.PublicURL, Now: cfg.Auth.Now,
		Cost: auth.Cost{Memory: 64, Passes: 1, Lanes: 1}})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Auth.Accounts = w.accounts
	if w.api, err = httpapi.New(cfg); err != nil {
		t.Fatal(err)
	}
	w.srv = httptest.NewServer(w.api)
	t.Cleanup(w.srv.Close)
	if w.spec, err = httpapi.Spec(); err != nil {
		t.Fatal(err)
	}
	return w
}

func withClock(c *clock) func(*httpapi.Config) {
	return func(cfg *httpapi.Config) { cfg.Auth.Now = c.time }
}

// slowly lets nobody ask more than three times at once.
func slowly(cfg *httpapi.Config) { cfg.Auth.PerSecond, cfg.Auth.Burst = 0.5, 3 }

// rules resolve every name to a public address, without asking anybody.
func rules() mirror.Rules {
	return mirror.Rules{Lookup: func(context.Context, string) ([]netip.Addr, error) {
		return []netip.Addr{netip.MustParseAddr("93.184.216.34")}, nil
	}}
}

// demands records what was asked to be fetched, once its transaction ended well.
type demands struct {
	mu   sync.Mutex
	made []demand
	fail error
}

type demand struct {
	org, repo uuid.UUID
	kind      queue.Demand
}

func (d *demands) DemandFetch(ctx context.Context, tx *store.Tx, org, repo uuid.UUID, kind queue.Demand) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var alive int
	if err := tx.QueryRow(ctx, `SELECT 1`).Scan(&alive); err != nil {
		return err
	}
	d.made = append(d.made, demand{org, repo, kind})
	return d.fail
}

func (d *demands) take() []demand {
	d.mu.Lock()
	defer d.mu.Unlock()
	made := d.made
	d.made = nil
	return made
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// call is a request to be made.
type call struct {
	method, path, key string
	body              any
	header            map[string]string
}

// reply is an answer, read to its end.
type reply struct {
	t      testing.TB
	status int
	header http.Header
	body   []byte
}

// do makes a request and holds the answer against openapi.yaml.
func (w *world) do(c call) reply {
	w.t.Helper()
	req, err := http.NewRequest(c.method, w.srv.URL+c.path, bodyOf(w.t, c.body))
	if err != nil {
		w.t.Fatal(err)
	}
	if c.key != "" {
		req.Header.Set("Authorization", "Bearer "+c.key)
	}
	if c.body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, value := range c.header {
		if value == "" {
			req.Header.Del(name)
			continue
		}
		req.Header.Set(name, value)
	}
	resp, err := w.srv.Client().Do(req)
	if err != nil {
		w.t.Fatalf("%s %s: %v", c.method, c.path, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", c.method, c.path, err)
	}
	out := reply{t: w.t, status: resp.StatusCode, header: resp.Header, body: body}
	w.checkAgainstSpec(req, out)
	return out
}

func bodyOf(t testing.TB, body any) io.Reader {
	t.Helper()
	switch b := body.(type) {
	case nil:
		return nil
	case string:
		return strings.NewReader(b)
	case []byte:
		return bytes.NewReader(b)
	case io.Reader:
		return b
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return bytes.NewReader(text)
}

func (w *world) get(key, path string) reply {
	w.t.Helper()
	return w.do(call{method: "GET", path: path, key: key})
}

func (w *world) post(key, path string, body any) reply {
	w.t.Helper()
	return w.do(call{method: "POST", path: path, key: key, body: body})
}

var braces = regexp.MustCompile(`\\\{[a-z_]+\\\}`)

// operation finds what openapi.yaml says of a request; nil if nothing.
func (w *world) operation(method, escapedPath string) (string, *openapi3.PathItem, *openapi3.Operation) {
	path := "/" + strings.TrimLeft(escapedPath, "/")
	if strings.HasPrefix(path, "/worker/") {
		path = strings.TrimRight(path, "/")
	}
	for template, item := range w.spec.Paths.Map() {
		pattern := "^" + braces.ReplaceAllString(regexp.QuoteMeta(template), "[^/]+") + "$"
		if regexp.MustCompile(pattern).MatchString(path) && item.GetOperation(method) != nil {
			return template, item, item.GetOperation(method)
		}
	}
	return "", nil, nil
}

func (w *world) checkAgainstSpec(req *http.Request, got reply) {
	w.t.Helper()
	if id := got.header.Get("X-Request-Id"); id == "" {
		w.t.Errorf("%s %s: no X-Request-Id", req.Method, req.URL)
	}
	template, item, op := w.operation(req.Method, req.URL.EscapedPath())
	if op == nil {
		return
	}
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: req, Route: &routers.Route{
			Spec: w.spec, Path: template, PathItem: item, Method: req.Method, Operation: op}},
		Status: got.status, Header: got.header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true, MultiError: true},
	}
	media, _, _ := strings.Cut(got.header.Get("Content-Type"), ";")
	if slices.Contains([]string{"text/csv", "text/html", "text/markdown", "application/x-ndjson"}, media) || template == "/api/openapi.yaml" ||
		template == "/metrics" {
		input.Options.ExcludeResponseBody = true
	}
	input.SetBodyBytes(got.body)
	if err := openapi3filter.ValidateResponse(context.Background(), input); err != nil {
		w.t.Errorf("%s %s: the answer is not what openapi.yaml says: %v\n%s", req.Method, req.URL, err, got.body)
	}
}

// want fails the test if the status is another one.
func (r reply) want(status int) reply {
	r.t.Helper()
	if r.status != status {
		r.t.Fatalf("status %d, want %d: %s", r.status, status, r.body)
	}
	return r
}

// problem is a problem document.
type problem struct {
	Status    int
	Code      string
	Detail    string
	RequestID string `json:"request_id"`
	Errors    []struct{ Field, Problem string }
}

func (r reply) problem() (p problem) {
	r.t.Helper()
	if got := r.header.Get("Content-Type"); got != "application/problem+json" {
		r.t.Fatalf("Content-Type %q of status %d, want a problem document: %s", got, r.status, r.body)
	}
	r.into(&p)
	return p
}

// fields are the names that a problem document complains of, joined.
func (p problem) fields() string {
	var names []string
	for _, e := range p.Errors {
		names = append(names, e.Field)
	}
	return strings.Join(names, " ")
}

func (r reply) into(v any) {
	r.t.Helper()
	if err := json.Unmarshal(r.body, v); err != nil {
		r.t.Fatalf("reading %s: %v", r.body, err)
	}
}

// page is the part of a list that tests look at.
type page struct {
	Items []struct {
		ID   string
		Repo string
	}
	NextCursor *string `json:"next_cursor"`
}

// ids are the ids of the receipts that a query answers, in order.
func (w *world) ids(query string) string {
	w.t.Helper()
	var p page
	w.get(w.read, "/api/v1/receipts?"+query).want(200).into(&p)
	var ids []string
	for _, item := range p.Items {
		ids = append(ids, item.ID)
	}
	return strings.Join(ids, " ")
}

func readFile(t testing.TB, path ...string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(path...))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var errPlanned = errors.New("planned failure")
