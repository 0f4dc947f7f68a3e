package ui

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/hooks/endpoint"
	"github.com/blameprompt/enterprise/httpapi"
	"github.com/blameprompt/enterprise/httpapi/auth"
	"github.com/blameprompt/enterprise/httpapi/report/compliance"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
	"github.com/blameprompt/enterprise/store/storetest"
)

// world is the pages over a database of its own, with two organisations.
type world struct {
	t        testing.TB
	db       *store.DB
	accounts *auth.Accounts
	srv      *httptest.Server
	clock    *clock
	log      *strings.Builder
	// mirrors is the root of the mirrors, fetched the repositories that were demanded.
	mirrors    string
	fetched    *demands
	desk       *compliance.Desk
	org, rival store.Org
}

// cheap is a cost at which tests are not about hashing.
var cheap = auth.Cost{Memory: 64, Passes: 1, Lanes: 1}

const password = "correct horse battery"

func newWorld(t testing.TB, change ...func(*auth.AccountConfig)) *world {
	t.Helper()
	db := storetest.Open(t)
	w := newWorldOn(t, db, storetest.MustOrg(t, db, "acme"), change...)
	w.rival = storetest.MustOrg(t, db, "rival")
	return w
}

// newWorldOn is the pages over a database that is there, with one organisation.
func newWorldOn(t testing.TB, db *store.DB, org store.Org, change ...func(*auth.AccountConfig)) *world {
	t.Helper()
	w := &world{t: t, db: db, clock: &clock{now: time.Now()}, log: &strings.Builder{}, org: org}
	cfg := auth.AccountConfig{DB: w.db, PublicURL: "http://blame.example.com", Cost: cheap, Now: w.clock.time}
	for _, f := range change {
		f(&cfg)
	}
	var err error
	if w.accounts, err = auth.NewAccounts(cfg); err != nil {
		t.Fatal(err)
	}
	spec, err := httpapi.Spec()
	if err != nil {
		t.Fatal(err)
	}
	w.desk = &compliance.Desk{DB: w.db, Dir: t.TempDir(), Now: w.clock.time}
	w.mirrors, w.fetched = t.TempDir(), &demands{}
	handler, err := New(Config{DB: w.db, Spec: spec, MirrorRoot: w.mirrors, Fetches: w.fetched, Endpoints: &endpoint.Desk{DB: w.db, Rules: endpoint.Rules{AllowHTTP: true}}, Accounts: w.accounts, Reports: w.desk, PublicURL: cfg.PublicURL, Version: "1.2.3"})
	if err != nil {
		t.Fatal(err)
	}
	w.srv = httptest.NewServer(respond.Wrap(respond.Options{Log: zerolog.New(zerolog.SyncWriter(w.log))}, handler))
	t.Cleanup(w.srv.Close)
	return w
}

// demands notes what is to be fetched; the queue's own tests hold what becomes of
// that.
type demands struct{ repos []uuid.UUID }

func (d *demands) DemandFetch(_ context.Context, _ *store.Tx, _, repo uuid.UUID, _ queue.Demand) error {
	d.repos = append(d.repos, repo)
	return nil
}

// clock is a clock that stands still until it is advanced.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// browser is somebody at a browser: it keeps cookies and follows no redirect.
type browser struct {
	*world
	client *http.Client
	// header goes with every request.
	header http.Header
}

func (w *world) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.t.Fatal(err)
	}
	return &browser{world: w, header: http.Header{}, client: &http.Client{Jar: jar,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// page is an answer, read to its end.
type page struct {
	t      testing.TB
	asked  string
	status int
	header http.Header
	body   string
}

func (b *browser) do(method, path string, form url.Values) page {
	b.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequest(method, b.srv.URL+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	req.Header = b.header.Clone()
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return page{b.t, method + " " + path, resp.StatusCode, resp.Header, string(text)}
}

func (b *browser) get(path string) page { b.t.Helper(); return b.do(http.MethodGet, path, nil) }

// post sends a form of names and values.
func (b *browser) post(path string, fields ...string) page {
	b.t.Helper()
	form := url.Values{}
	for i := 0; i < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	return b.do(http.MethodPost, path, form)
}

func (b *browser) login(email, password string) page {
	b.t.Helper()
	return b.post("/login", "org", b.org.Name, "email", email, "password", password)
}

// cookie is the session cookie that the browser holds, empty for none.
func (b *browser) cookie() string {
	u, _ := url.Parse(b.srv.URL)
	for _, c := range b.client.Jar.Cookies(u) {
		if strings.HasSuffix(c.Name, "blameprompt") {
			return c.Value
		}
	}
	return ""
}

// setCookie puts a session cookie into the browser.
func (b *browser) setCookie(value string) {
	u, _ := url.Parse(b.srv.URL)
	b.client.Jar.SetCookies(u, []*http.Cookie{{Name: "blameprompt", Value: value, Path: "/"}})
}

// want fails the test if the status is another one.
func (p page) want(status int) page {
	p.t.Helper()
	if p.status != status {
		p.t.Fatalf("%s: status %d, want %d: %s", p.asked, p.status, status, p.body)
	}
	return p
}

// leads fails the test unless the page leads to a path.
func (p page) leads(path string) page {
	p.t.Helper()
	if p.want(http.StatusSeeOther); p.header.Get("Location") != path {
		p.t.Fatalf("%s leads to %q, want %q", p.asked, p.header.Get("Location"), path)
	}
	return p
}

// says fails the test unless the page has a text.
func (p page) says(text string) page {
	p.t.Helper()
	if !strings.Contains(p.body, text) {
		p.t.Fatalf("%s does not say %q: %s", p.asked, text, p.body)
	}
	return p
}

// invite makes an invitation and returns its path.
func (w *world) invite(org store.Org, email string, role access.Role) string {
	w.t.Helper()
	link, secret, err := w.db.Invite(w.t.Context(), access.CLI(org.ID), store.NewInvitation{Email: email, Role: role, Now: w.clock.time()})
	if err != nil {
		w.t.Fatal(err)
	}
	return auth.LinkURL("", link.Kind, secret)
}

// person is somebody of an organisation who is signed in.
func (w *world) person(org store.Org, email string, role access.Role) *browser {
	w.t.Helper()
	b := w.browser()
	b.post(w.invite(org, email, role), "name", "Ada", "password", password).leads("/")
	return b
}

func (w *world) user(org store.Org, email string) store.User {
	w.t.Helper()
	user, err := w.db.User(w.t.Context(), org.ID, email)
	if err != nil {
		w.t.Fatal(err)
	}
	return user
}

// actions are what the audit log of an organisation has, in order.
func (w *world) actions() []string {
	w.t.Helper()
	return storetest.Column(w.t, w.db, `SELECT action FROM audit_log WHERE org_id = $1 ORDER BY seq`, w.org.ID)
}

// session is the id of the session of a browser.
func (b *browser) session() uuid.UUID {
	b.t.Helper()
	p, err := b.db.PrincipalBySession(b.t.Context(), b.cookie(), b.clock.time(), time.Hour)
	if err != nil {
		b.t.Fatal(err)
	}
	return p.Session
}
