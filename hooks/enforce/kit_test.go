package enforce_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/hooks/enforce"
	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
	"github.com/blameprompt/enterprise/store/storetest"
)

const (
	repoName = "acme/api"
	ada      = "ada@example.com"
	bob      = "bob@example.com"
)

// noon is when the pushes of most tests are made.
var noon = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// clock is a clock that tests set.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) forward(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// demands counts the fetches that were demanded.
type demands struct {
	mu   sync.Mutex
	list []queue.Demand
}

func (d *demands) DemandFetch(_ context.Context, _ *store.Tx, _, _ uuid.UUID, demand queue.Demand) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.list = append(d.list, demand)
	return nil
}

// world is an organisation with one repository and an enforcer.
type world struct {
	t       testing.TB
	dsn     string
	db      *store.DB
	org     store.Org
	repo    store.Repo
	clock   *clock
	fetches *demands
	by      access.Principal
	// backends are the database's processes, for benchmarks.
	backends []string
	*enforce.Enforcer
}

func newWorld(t testing.TB) *world {
	t.Helper()
	dsn := storetest.DSN(t)
	return newWorldIn(t, dsn, storetest.OpenDSN(t, dsn), "acme")
}

// newWorldIn makes an organisation in a database that others may share.
func newWorldIn(t testing.TB, dsn string, db *store.DB, name string) *world {
	t.Helper()
	org := storetest.MustOrg(t, db, name)
	w := &world{t: t, dsn: dsn, db: db, org: org, repo: storetest.MustRepo(t, db, org, repoName, ""), clock: &clock{now: noon},
		fetches: &demands{}, by: access.Principal{Org: org.ID, Name: "hook:uid=7", Scopes: []access.Scope{access.Hook}, RequestID: "r1"}}
	w.Enforcer = w.daemon(db)
	return w
}

// daemon is a further enforcer on a store.
func (w *world) daemon(db *store.DB) *enforce.Enforcer {
	return enforce.New(enforce.Config{DB: db, PublicURL: "https://bp.example.com/", Log: zerolog.Nop(), Now: w.clock.Now,
		Notes: &enforce.Mirrors{DB: db, Root: w.t.TempDir()}, Fetches: w.fetches})
}

// policy puts a policy in force: a rule as JSON, "warn" or "block", and perhaps
// a scope.
func (w *world) policy(name, action, rule string, scope ...string) uuid.UUID {
	w.t.Helper()
	text := fmt.Sprintf(`{"name": %q, "rule": %s, "action": %q`, name, rule, action)
	for _, s := range scope {
		text += `, "scope": ` + s
	}
	doc, err := policy.Parse([]byte(text + "}"))
	if err != nil {
		w.t.Fatal(err)
	}
	row, err := w.db.CreatePolicy(context.Background(), access.CLI(w.org.ID), doc)
	if err != nil {
		w.t.Fatal(err)
	}
	return row.ID
}

// set changes columns of the repository.
func (w *world) set(assignments string) {
	w.t.Helper()
	w.exec(`UPDATE repos SET `+assignments+` WHERE id = $1`, w.repo.ID)
}

func (w *world) exec(sql string, args ...any) {
	w.t.Helper()
	if _, err := w.db.Pool().Exec(context.Background(), sql, args...); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) user(email string, logins ...string) store.User {
	w.t.Helper()
	user, err := w.db.CreateUser(context.Background(), access.CLI(w.org.ID), store.NewUser{Email: email, Name: "Dr. " + email, Logins: logins})
	if err != nil {
		w.t.Fatal(err)
	}
	return user
}

func (w *world) mayOverride(user store.User) {
	w.t.Helper()
	_, err := w.db.SetGrant(context.Background(), access.CLI(w.org.ID),
		store.NewGrant{Subject: store.SubjectUser, SubjectID: user.ID, Permission: access.WriteRepo, Override: true})
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) waive(in store.NewWaiver) store.Waiver {
	w.t.Helper()
	if in.Reason == "" {
		in.Reason = "agreed"
	}
	if in.ExpiresAt.IsZero() {
		in.ExpiresAt = time.Now().Add(240 * time.Hour)
	}
	waiver, err := w.db.CreateWaiver(context.Background(), access.CLI(w.org.ID), in)
	if err != nil {
		w.t.Fatal(err)
	}
	return waiver
}

// review records a review by a user.
func (w *world) review(reviewer string, commit string, approved bool) {
	w.t.Helper()
	by := access.Principal{Org: w.org.ID, Name: "key:1", User: reviewer, Scopes: []access.Scope{access.Write}}
	in := store.NewReview{Repo: w.repo.ID, Commit: commit, Approved: approved, Comment: "looked at it"}
	if _, err := w.db.CreateReviews(context.Background(), by, in); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) decide(p hooks.Push) hooks.Answer {
	w.t.Helper()
	answer, err := w.Decide(context.Background(), w.by, repoName, p)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer
}

func (w *world) reconsider(event string) {
	w.t.Helper()
	if err := w.Reconsider(context.Background(), w.org.ID, w.repo.ID, event); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) due() {
	w.t.Helper()
	if err := w.Due(context.Background()); err != nil {
		w.t.Fatal(err)
	}
}

// decision reads what was decided.
func (w *world) decision(a hooks.Answer) store.DecisionDetail {
	w.t.Helper()
	d, err := w.db.Decision(context.Background(), w.org.ID, uuid.MustParse(a.Decision))
	if err != nil {
		w.t.Fatal(err)
	}
	return d
}

// rows returns a query's rows as text.
func (w *world) rows(sql string, args ...any) []string {
	w.t.Helper()
	return storetest.Column(w.t, w.db, sql, args...)
}

// oid makes an object id of a short name.
func oid(name string) gitcmd.OID {
	return gitcmd.OID((fmt.Sprintf("%x", name) + strings.Repeat("0", 40))[:40])
}

// pushed makes a push of commits to main.
func pushed(commits ...hooks.Commit) hooks.Push {
	p := hooks.Push{Version: hooks.PushVersion, ObjectFormat: "sha1", Commits: commits,
		Environment: hooks.Environment{Forge: hooks.Gitea, User: "ada", Email: ada, Repo: "forge/name", Via: hooks.Pushed}}
	tip := oid("root")
	if len(commits) > 0 {
		tip = commits[len(commits)-1].OID
	}
	p.Refs = []hooks.Ref{{Name: "refs/heads/main", Old: oid("root"), New: tip, Kind: push.Update}}
	return p
}

// by changes who pushes.
func as(email string, p hooks.Push) hooks.Push {
	p.User, p.Email = strings.Split(email, "@")[0], email
	return p
}

func with(p hooks.Push, notes ...hooks.Note) hooks.Push {
	p.Notes = append(p.Notes, notes...)
	return p
}

// commit makes a commit that adds ten lines to a file of its own.
func commit(name string) hooks.Commit {
	return hooks.Commit{
		OID: oid(name), Parents: []gitcmd.OID{oid("root")}, Measured: true, PatchID: strings.Repeat("a", 30) + string(oid(name))[:10],
		Author:    hooks.Identity{Name: "Ada", Email: ada, Time: noon},
		Committer: hooks.Identity{Name: "Ada", Email: ada, Time: noon},
		Files:     []hooks.File{{Path: name + ".go", Added: 10, Blob: oid("blob " + name), Runs: []hooks.Run{{1, 10}}}},
	}
}

// marked makes a commit that names an agent.
func marked(name string) hooks.Commit {
	c := commit(name)
	c.Marks = []push.Mark{{Agent: "claude", Evidence: "trailer Co-authored-by"}}
	return c
}

// noted makes a note of a commit with a receipt of its file.
func noted(name, model, cost string) hooks.Note {
	number := int64(1)
	return hooks.Note{Commit: oid(name), Ref: "refs/notes/blameprompt", Blob: oid("note " + name), Receipts: []hooks.Receipt{{
		ID: "receipt-" + name, Provider: "claude", Model: model, SessionID: "session-" + name, PromptNumber: &number, CostUSD: cost,
		Timestamp: noon.Add(-time.Hour), UserName: "Ada", UserEmail: ada,
		Files: []hooks.ReceiptFile{{Path: name + ".go", Lines: hooks.Run{1, 10}, Blob: string(oid("blob " + name))}}}}}
}

// arrive posts a receipt for a commit, as a client without notes does.
func (w *world) arrive(name, model, cost string) {
	w.t.Helper()
	number := int64(1)
	note := notes.Note{Format: notes.FormatBlamePrompt, Receipts: []notes.Receipt{{
		ID: "receipt-" + name, Provider: "claude", Model: model, SessionID: "session-" + name, PromptNumber: &number, CostUSD: cost,
		Timestamp: noon.Add(-time.Hour), UserName: "Ada", UserEmail: ada,
		Files: []notes.FileChange{{Path: name + ".go", LineStart: 1, LineEnd: 10, BlobHash: string(oid("blob " + name))}}}}}
	posted := []store.PostedNote{{Commit: string(oid(name)), Note: note}}
	if _, err := w.db.PostNotes(context.Background(), access.CLI(w.org.ID), repoName, posted); err != nil {
		w.t.Fatal(err)
	}
}

// input reads what was judged.
func (w *world) input(d store.DecisionDetail) push.Input {
	w.t.Helper()
	var in push.Input
	if err := json.Unmarshal([]byte(w.rows(`SELECT input::text FROM decision_inputs WHERE decision_id = $1`, d.ID)[0]), &in); err != nil {
		w.t.Fatal(err)
	}
	return in
}
