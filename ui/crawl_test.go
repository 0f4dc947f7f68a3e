package ui

import (
	"cmp"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"golang.org/x/net/html"

	"github.com/blameprompt/enterprise/httpapi/auth"
	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// maxPage is what a page may weigh.
const maxPage = 100 << 10

// furnished is a world in which every list has rows, and every text of people
// and clients is hostile.
func furnished(t testing.TB) *world {
	t.Helper()
	w := newWorld(t)
	storetest.FillHistory(t, w.db.Pool(), w.org.ID, 3000)
	nasty := strings.ReplaceAll(hostile, "\x00", "")
	w.furnishEnforcement(nasty)
	w.furnishReports(nasty)
	w.furnishAdministration()
	w.poison(nasty)
	w.fetchRepo()
	return w
}

// hostileTail is what every text of people and clients ends in: markup, writing
// from right to left with a character that turns what follows around, and one that
// a terminal obeys.
const hostileTail = "\"'><b class=hostile>\u202eשלום\x1b"

// tame are the columns that hold no text of people or clients: ids, hashes and
// words of the program; what a constraint of the database holds to words of the
// program need not be here.
var tame = regexp.MustCompile(`\.(id|hash|prefix|scopes|commit|commit_id|commit_hash|blob|blob_hash|tip|building_tip|notes_commit|from_commit|to_commit|ended_tip|` +
	`patch_id|state|status|place|session|forge|rule|change|dimension|subject|permission|kind|class|excluded|reason|confidence|code|time_zone|format|` +
	`parents|boundary|git_version|exclude_revision|rules|rules_tip|globs|fingerprint|public_key|outcome|receipt_mode|event|release|how|prompts|prompts_applied|content_hash|` +
	`digest|digests|commitment|credential|sealed|mode|object_format|url_key|gateway|notes_protection|remote_url|api_url|logins|role|type|person)$|^orgs.name$|` +
	`^(goose_db_version|river_|audit_links|audit_pending|sessions|account_links|passwords|login_failures|prices|price_models|price_periods|rollup_months|line_rollup_months|retention|identities|mailmap)`)

// poison puts the tail behind every text, whatever the table, with the database's
// own triggers asleep.
func (w *world) poison(nasty string) {
	w.t.Helper()
	columns := storetest.Column(w.t, w.db, `SELECT c.table_name || '.' || c.column_name || ' ' || c.data_type FROM information_schema.columns c
		JOIN information_schema.tables t USING (table_schema, table_name)
		WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND (c.data_type IN ('text', 'ARRAY') AND c.udt_name IN ('text', '_text')
		      OR c.data_type = 'bytea' AND c.column_name ~ '(^|_)(path|directory|parent)$') ORDER BY 1`)
	w.withoutRules(func(exec func(string, ...any) (int64, error)) {
		poisoned := 0
		for _, column := range columns {
			name, kind, _ := strings.Cut(column, " ")
			if tame.MatchString(name) {
				continue
			}
			table, field, _ := strings.Cut(name, ".")
			value := map[string]string{"text": "%s || $1", "bytea": "%s || convert_to($1, 'UTF8')", "ARRAY": "array_append(%s, $1)"}[kind]
			n, err := exec(fmt.Sprintf(`UPDATE %s SET %s = `+value+` WHERE %[2]s IS NOT NULL`, table, field, field), hostileTail)
			if err != nil && !strings.Contains(err.Error(), "23514") {
				w.t.Errorf("%s: %v", name, err)
			}
			if n > 0 {
				poisoned++
			}
		}
		if poisoned < 60 {
			w.t.Errorf("only %d columns have hostile texts", poisoned)
		}
		// What is said at length is hostile all through.
		for _, sql := range []string{
			`UPDATE receipts SET prompt_summary = $1, response_summary = $1, detail = json_build_object('tool', $1::text), conversation = json_build_array($1::text) WHERE id LIKE 'r-1%'`,
			`UPDATE audit_log SET detail = json_build_object('name', $1::text) WHERE seq % 2 = 0`,
			`UPDATE users SET name = $1, logins = ARRAY[$1]`,
			`UPDATE orgs SET title = $1`,
		} {
			if _, err := exec(sql, nasty); err != nil {
				w.t.Errorf("%s: %v", sql, err)
			}
		}
	})
}

// withoutRules runs statements while no trigger and no foreign key of the database
// looks; the keys do not come back.
func (w *world) withoutRules(run func(exec func(sql string, args ...any) (rows int64, err error))) {
	w.t.Helper()
	exec := func(sql string, args ...any) (int64, error) {
		tag, err := w.db.Pool().Exec(w.t.Context(), sql, args...)
		return tag.RowsAffected(), err
	}
	each := func(query, statement string) {
		w.t.Helper()
		if _, err := exec(`DO $$ DECLARE x record; BEGIN FOR x IN ` + query + ` LOOP EXECUTE format(` + statement + `); END LOOP; END $$`); err != nil {
			w.t.Fatal(err)
		}
	}
	const triggers = `SELECT DISTINCT tgrelid::regclass AS name FROM pg_trigger JOIN pg_class c ON c.oid = tgrelid
		WHERE NOT tgisinternal AND c.relnamespace = 'public'::regnamespace`
	each(`SELECT conrelid::regclass AS name, conname FROM pg_constraint WHERE contype = 'f' AND conparentid = 0`, `'ALTER TABLE %s DROP CONSTRAINT %I', x.name, x.conname`)
	each(triggers, `'ALTER TABLE %s DISABLE TRIGGER USER', x.name`)
	run(exec)
	each(triggers, `'ALTER TABLE %s ENABLE TRIGGER USER', x.name`)
}

// furnishAdministration makes one of each thing that an administrator makes, and
// of what is recorded besides.
func (w *world) furnishAdministration() {
	w.t.Helper()
	ctx, by := w.t.Context(), access.CLI(w.org.ID)
	must := func(_ any, err error) {
		w.t.Helper()
		if err != nil {
			w.t.Fatal(err)
		}
	}
	user := storetest.MustUser(w.t, w.db, w.org, "vera@example.com", "vera")
	_, _, err := w.db.CreateKey(ctx, by, store.NewKey{Name: "laptop", Scopes: []access.Scope{access.Read}, User: user.Email})
	must(nil, err)
	must(w.db.AddSSHKey(ctx, by, store.NewSSHKey{UserID: user.ID, Line: anotherPublicKey}))
	must(w.db.SetGrant(ctx, by, store.NewGrant{Subject: store.SubjectUser, SubjectID: user.ID, Permission: access.WriteRepo}))
	w.invite(w.org, "late@example.com", access.RoleViewer)
	must(w.db.CreateWaiver(ctx, by, store.NewWaiver{Policy: uuid.MustParse(w.column(`SELECT id::text FROM policies WHERE name LIKE 'no %'`)),
		Pusher: "bob@example.com", Reason: "a hotfix", ExpiresAt: time.Now().Add(time.Hour)}))
	_, _, err = w.db.SaveConnection(ctx, by, store.NewConnection{Forge: "gitea", APIURL: "https://git.example.com", Owner: "acme", Token: "t"})
	must(nil, err)
	_, _, err = w.db.CreateWebhookSecret(ctx, by, "gitea", "")
	must(nil, err)
	w.furnishEndpoints(by)
	for _, sql := range []string{
		`INSERT INTO reviews (org_id, id, repo_id, commit, patch_id, reviewer, name, approved, comment, principal)
		 SELECT $1, gen_random_uuid(), id, md5(name) || '00000000', '', 'vera@example.com', 'Vera', true, 'fine', 'user:vera@example.com' FROM repos WHERE org_id = $1`,
		`INSERT INTO note_versions (org_id, repo_id, ref, commit, notes_commit, blob, author_name, author_email, authored_at, committed_at, current)
		 SELECT org_id, repo_id, ref, commit_hash, notes_commit, blob, user_name, user_email, timestamp, timestamp, true
		 FROM receipts WHERE org_id = $1 AND id = 'r-1'`,
		`INSERT INTO attestations (org_id, repo_id, ref, commit, blob, position, path, key, class, receipt_id, author, lines, line_count)
		 SELECT org_id, repo_id, ref, commit_hash, blob, 1, 'src/main.go', 'k', 'ai', id, user_name, '{[1,20)}', 19 FROM receipts WHERE org_id = $1 AND id = 'r-1'`,
		`INSERT INTO findings (org_id, id, repo_id, code, severity, ref, commit, receipt_id, location, message)
		 SELECT org_id, gen_random_uuid(), repo_id, 'receipt.tampered', 'error', ref, commit_hash, id, 'receipts[0]', 'The receipt was changed.' FROM receipts WHERE org_id = $1 AND id = 'r-1'`,
		`INSERT INTO reports (org_id, id, type, format, paper, first_day, last_day, repos, teams, state, error, created_by)
		 SELECT $1, gen_random_uuid(), 'soc2', 'pdf', 'A4', '2026-01-01', '2026-03-31', '{web}', '{core}', s, 'no room', 'user:vera' FROM unnest(ARRAY['done', 'failed', 'waiting']) s`,
		`INSERT INTO report_schedules (org_id, id, type, format, paper, repos, teams, every, next_first, created_by)
		 VALUES ($1, gen_random_uuid(), 'gdpr', 'csv', 'A4', '{web}', '{core}', 'month', '2026-04-01', 'user:vera')`,
		`UPDATE repos SET fetch_error = 'no route', fetch_failures = 3, default_branch = 'refs/heads/main' WHERE org_id = $1 AND name = 'repo-1'`,
		`UPDATE decisions SET override = 'it burns' WHERE org_id = $1 AND outcome = 'warn'`,
		`INSERT INTO decision_events (org_id, decision_id, seq, event, state, principal) SELECT org_id, id, 1, 'judged', state, 'user:vera' FROM decisions WHERE org_id = $1`,
	} {
		if _, err := w.db.Pool().Exec(ctx, sql, w.org.ID); err != nil {
			w.t.Fatalf("%v: %s", err, sql)
		}
	}
}

// furnishEndpoints makes endpoints in every state, with messages of every kind.
func (w *world) furnishEndpoints(by access.Principal) {
	w.t.Helper()
	for _, name := range []string{"chat", "gone", "idle"} {
		_, _, err := w.db.CreateEndpoint(w.t.Context(), by, name, store.EndpointURL{URL: "https://hooks.example.com/s3cret", Origin: "https://hooks.example.com"}, nil, nil)
		if err != nil {
			w.t.Fatal(err)
		}
	}
	answer := strings.Repeat(strings.ReplaceAll(hostile, "\x00", ""), 20)
	for _, sql := range []string{
		`INSERT INTO messages (org_id, id, endpoint_id, type, at, repo_id, data, state, attempts)
		 SELECT $1, gen_random_uuid(), e.id, 'push.refused', now(), d.repo_id, json_build_object('decision', d.id, 'repo', $2::text), s, 3
		 FROM endpoints e, decisions d, unnest(ARRAY['waiting', 'sent', 'failed']) s WHERE e.org_id = $1 AND d.org_id = $1 AND d.outcome = 'refuse' AND e.name <> 'idle'`,
		`INSERT INTO messages (org_id, id, endpoint_id, type, at, data, state, attempts)
		 SELECT $1, gen_random_uuid(), id, 'waiver.created', now(), json_build_object('waiver', gen_random_uuid(), 'repo', $2::text), 'sent', 3 FROM endpoints, generate_series(1, 30) WHERE org_id = $1`,
		`INSERT INTO message_attempts (org_id, message_id, number, at, took_ms, status, error, answer)
		 SELECT $1, id, n, now(), 12, 500, $2, $2 FROM messages, generate_series(1, 3) n WHERE org_id = $1`,
		`UPDATE endpoints SET disabled_at = now(), disabled = 'gone', failing_since = now() WHERE org_id = $1 AND name = 'gone' AND $2 <> ''`,
		`UPDATE endpoints SET failing_since = now(), failures = 3, previous_until = now() + interval '1 hour' WHERE org_id = $1 AND name = 'chat' AND $2 <> ''`,
	} {
		if _, err := w.db.Pool().Exec(w.t.Context(), sql, w.org.ID, answer); err != nil {
			w.t.Fatalf("%v: %s", err, sql)
		}
	}
}

const anotherPublicKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl vera@laptop"

// furnishEnforcement makes policies, and decisions of every outcome.
func (w *world) furnishEnforcement(nasty string) {
	w.t.Helper()
	ctx, by := w.t.Context(), access.CLI(w.org.ID)
	doc, err := policy.Parse([]byte(`{"name": "no <b>bold</b> models", "rule": {"blocked_models": ["<script>*"]}, "action": "block"}`))
	if err != nil {
		w.t.Fatal(err)
	}
	row, err := w.db.CreatePolicy(ctx, by, doc)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.db.EnablePolicy(ctx, by, row.ID, 0, false); err != nil {
		w.t.Fatal(err)
	}
	repo, err := w.db.Repo(ctx, w.org.ID, "repo-1")
	if err != nil {
		w.t.Fatal(err)
	}
	for i, c := range []struct {
		outcome push.Outcome
		state   store.DecisionState
		holds   []string
	}{{push.Accept, store.StateFinal, nil}, {push.Warn, store.StateFinal, nil}, {push.Refuse, store.StateFinal, nil},
		{push.Pending, store.StatePending, nil}, {push.Pending, store.StateHeld, []string{"refs/heads/" + nasty}}} {
		commit := strings.Repeat(strconv.Itoa(i+1), 40)
		finding := push.Finding{PolicyID: row.ID.String(), PolicyName: nasty, Version: 1, Rule: "require_review_above", Problem: push.Violated,
			Outcome: push.Refuse, Commit: commit, File: nasty, Receipt: "r-1", Limit: nasty, Found: nasty, Message: nasty, Next: nasty}
		storetest.MustDecision(w.t, w.db, w.org, storetest.Decision{At: time.Now().Add(-time.Duration(i) * time.Minute), Repo: repo, Pusher: nasty,
			State: c.state, Holds: c.holds,
			Verdict: push.Verdict{Outcome: c.outcome, Findings: []push.Finding{finding}, Policies: []push.Judged{{PolicyID: row.ID.String(), PolicyName: nasty, Version: 1, Outcome: c.outcome}}},
			Input: push.Input{Refs: []push.Ref{{Name: "refs/heads/" + nasty, New: commit, Kind: push.Update}},
				Commits: []push.Commit{{OID: commit, Author: push.Person{Name: nasty}, Files: []push.File{{Path: nasty, Added: 10, AI: 4}}}}},
		})
	}
}

// Every link of every page leads to a page that is there, is small enough, and
// lets no text out; every form, filled in with what is hostile in every field, is
// answered by such a page too. There is no route to a page that this does not see.
func TestEveryLinkLeadsSomewhere(t *testing.T) {
	t.Parallel()
	w := furnished(t)
	ada := w.person(w.org, "ada@example.com", access.RoleAdmin)
	c := w.crawl(ada)
	c.wantEveryRoute()
	for _, f := range c.forms {
		f.fill(hostile)
		got := ada.do(f.method, f.path(), f.body())
		if got.status >= 500 {
			t.Errorf("%s %s: status %d", f.method, f.action, got.status)
		}
		if got.status != http.StatusSeeOther && !isFile(got) {
			c.check(f.method+" "+f.action+" with hostile fields", f.action, got.body)
		}
	}
}

// crawl is a walk over all pages.
type crawl struct {
	*world
	// pages are the paths in the order in which they were found, kinds how many
	// there are of a kind, and forms one for each that pages have.
	pages []string
	kinds map[string]int
	forms map[string]*aForm
	queue []string
}

// aForm is a form of a page with the names of its fields.
type aForm struct {
	method, action string
	fields         url.Values
	// fixed are the fields whose value is one of a few.
	fixed map[string]bool
}

func (f *aForm) fill(text string) {
	for name := range f.fields {
		if !f.fixed[name] {
			f.fields[name] = []string{text}
		}
	}
}

// path and body are how the form is sent.
func (f *aForm) path() string {
	if f.method == http.MethodGet {
		return address(f.action, f.fields)
	}
	return f.action
}

func (f *aForm) body() url.Values {
	if f.method == http.MethodGet {
		return nil
	}
	return f.fields
}

// perKind is how many pages of one kind are visited.
const perKind = 4

// crawl follows every link, a few times for each kind of page.
func (w *world) crawl(b *browser) *crawl {
	w.t.Helper()
	c := &crawl{world: w, kinds: map[string]int{}, forms: map[string]*aForm{}, queue: append([]string{"/"}, w.doors()...)}
	seen := map[string]bool{}
	for len(c.queue) > 0 {
		path := c.queue[0]
		c.queue = c.queue[1:]
		// The API is no page.
		if strings.HasPrefix(path, "/api/") || seen[path] || c.kinds[kindOfPath(path)] >= perKind {
			continue
		}
		seen[path] = true
		c.kinds[kindOfPath(path)]++
		got := b.get(path)
		if got.status != http.StatusOK && !(path == "/login" && got.status == http.StatusSeeOther) {
			w.t.Errorf("%s: status %d", path, got.status)
			continue
		}
		if isFile(got) {
			c.kinds[routeOf(path)]++
			continue
		}
		if len(got.body) > maxPage {
			w.t.Errorf("%s: %d bytes", path, len(got.body))
		}
		c.pages = append(c.pages, path)
		c.check(path, path, got.body)
	}
	return c
}

func isFile(p page) bool {
	return strings.HasPrefix(p.asked, "GET /static/") || strings.Contains(p.header.Get("Content-Disposition"), "attachment")
}

// doors are pages that no page leads to, and those of the repository that is real.
func (w *world) doors() []string {
	w.t.Helper()
	link, secret, err := w.db.PasswordLink(w.t.Context(), access.CLI(w.org.ID), w.column(`SELECT email FROM users WHERE email LIKE 'vera%'`), w.clock.time())
	if err != nil {
		w.t.Fatal(err)
	}
	// The link of the first start, long after it.
	setup := strings.Replace(w.invite(w.org, "first@example.com", access.RoleAdmin), "invitations", "setup", 1)
	if _, err := w.db.Pool().Exec(w.t.Context(), `UPDATE account_links SET kind = 'setup' WHERE email = 'first@example.com'`); err != nil {
		w.t.Fatal(err)
	}
	real := w.column(`SELECT l.commit FROM commit_lines l JOIN repos r ON r.id = l.repo_id WHERE r.name = 'web' AND l.ai > 0`)
	return []string{"/login", w.invite(w.org, "next@example.com", access.RoleMember), auth.LinkURL("", link.Kind, secret), setup,
		"/repositories/web", "/repositories/web/files", "/repositories/web/files?path=main.go", "/repositories/web/commits/" + real}
}

// wantEveryRoute fails the test if a route that a browser can get was not seen.
func (c *crawl) wantEveryRoute() {
	c.t.Helper()
	seen := map[string]bool{"/static/{hash}/{name}": true, reportFilePath: true}
	for kind := range c.kinds {
		seen[kind] = true
	}
	for _, path := range c.pages {
		seen[routeOf(path)] = true
	}
	for _, rt := range routes() {
		if rt.method == http.MethodGet && !seen[rt.path] {
			c.t.Errorf("no page leads to %s, so that nobody looks for what it lets out", rt.path)
		}
	}
}

// check looks for what broke out of a page, and collects its links and forms.
func (c *crawl) check(where, path, page string) {
	c.t.Helper()
	checkMarkup(c.t, where, page)
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		c.t.Fatalf("%s: %v", where, err)
	}
	var form *aForm
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		c.element(where, n)
		switch n.Data {
		case "a":
			c.link(attr(n, "href"))
		case "form":
			form = c.form(path, n)
		case "input", "textarea", "select", "button":
			if name := attr(n, "name"); name != "" && form != nil && within(n, "form") {
				form.add(n, name)
			}
		}
		c.link(attr(n, "hx-get"))
	}
}

const reportFilePath = "/reports/{id}/file"

func (c *crawl) link(to string) {
	// Files of reports are there where they were made.
	if to, _, _ = strings.Cut(to, "#"); to != "" && routeOf(to) != reportFilePath {
		c.queue = append(c.queue, to)
	}
}

// form is the form of an element, which has its fields to come; the first of a kind
// is kept.
func (c *crawl) form(path string, n *html.Node) *aForm {
	f := &aForm{method: strings.ToUpper(cmp.Or(attr(n, "method"), "get")), action: attr(n, "action"), fields: url.Values{}, fixed: map[string]bool{}}
	if f.action == "" {
		f.action, _, _ = strings.Cut(path, "?")
	}
	// What ends the session is no form to fill in.
	key := f.method + " " + kindOfPath(f.action)
	if _, ok := c.forms[key]; !ok && f.action != "/logout" {
		c.forms[key] = f
	}
	return f
}

// add takes a field into the form, with the value that the page proposes if only a
// few are allowed.
func (f *aForm) add(n *html.Node, name string) {
	kind := attr(n, "type")
	if n.Data == "button" || n.Data == "select" || kind == "hidden" || kind == "checkbox" || kind == "radio" {
		f.fixed[name] = true
		if n.Data != "select" && !f.fields.Has(name) {
			f.fields.Set(name, attr(n, "value"))
		}
		return
	}
	f.fields.Set(name, "")
}

// element wants an element to be one that our templates write.
func (c *crawl) element(where string, n *html.Node) {
	c.t.Helper()
	if !ourElements[n.Data] {
		c.t.Errorf("%s: a text became the element %s", where, n.Data)
	}
	for _, a := range n.Attr {
		name, _, _ := strings.Cut(a.Key, "-")
		if !ourAttributes[strings.ToLower(name)] || a.Key == "class" && strings.Contains(a.Val, "hostile") {
			c.t.Errorf("%s: a text became the attribute %s of an element %s", where, a.Key, n.Data)
		}
	}
}

var (
	ourElements = setOf(`a article bdi blockquote body button br caption circle code datalist dd del details div dl dt em fieldset figcaption figure footer form
		g h1 h2 h3 head header html input ins kbd label legend li line link main meta nav ol option p path pre rect script section select small span strong
		summary svg table tbody td text textarea tfoot th thead time title tr ul`)
	ourAttributes = setOf(`action aria autocomplete charset checked class colspan content cx cy d data datetime defer describedby dir disabled download
		enctype fill for height href hx id inputmode lang list max maxlength method min minlength name open placeholder points preserveaspectratio r rel
		required role rows rowspan rx ry scope selected spellcheck src step stroke tabindex title transform type value viewbox width x x1 x2 y y1 y2`)
)

func setOf(words string) map[string]bool {
	out := map[string]bool{}
	for word := range strings.FieldsSeq(words) {
		out[word] = true
	}
	return out
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func within(n *html.Node, element string) bool {
	for p := range n.Ancestors() {
		if p.Data == element {
			return true
		}
	}
	return false
}

var (
	idInPath   = regexp.MustCompile(`[0-9a-f-]{36}|[0-9a-f]{40}|/r-[0-9]+[^/?]*`)
	queryNames = regexp.MustCompile(`=[^&]*`)
)

// kindOfPath is a path without what makes it one of many.
func kindOfPath(path string) string {
	_, query, _ := strings.Cut(path, "?")
	if route := routeOf(path); route != "" {
		path = route + "?" + query
	}
	return queryNames.ReplaceAllString(idInPath.ReplaceAllString(path, "{id}"), "")
}

// column is the one value that a query answers.
func (w *world) column(sql string) string {
	w.t.Helper()
	values := storetest.Column(w.t, w.db, sql)
	if len(values) != 1 {
		w.t.Fatalf("%d values of %s", len(values), sql)
	}
	return values[0]
}

// furnishReports makes reports in every state, and schedules.
func (w *world) furnishReports(nasty string) {
	w.t.Helper()
	for _, sql := range []string{
		`INSERT INTO reports (org_id, id, type, format, paper, first_day, last_day, repos, teams, state, rows, bytes, sha256, error, created_by)
		 SELECT $2, gen_random_uuid(), 'audit', 'client-json', 'A4', '2026-07-01', '2026-09-30', ARRAY[$1], ARRAY[$1], state, 1234567, 1,
			sha256('x'), CASE state WHEN 'failed' THEN $1 ELSE '' END, $1
		 FROM unnest(ARRAY['waiting', 'running', 'done', 'failed']) state, generate_series(1, 15)`,
		`INSERT INTO report_schedules (org_id, id, type, format, paper, repos, teams, every, next_first, created_by)
		 SELECT $2, gen_random_uuid(), 'soc2', 'pdf', 'Letter', ARRAY[$1], ARRAY[$1], every, '2099-01-01', $1 FROM unnest(ARRAY['week', 'year']) every`,
	} {
		if _, err := w.db.Pool().Exec(w.t.Context(), sql, nasty, w.org.ID); err != nil {
			w.t.Fatalf("%v: %s", err, sql)
		}
	}
	for _, id := range storetest.Column(w.t, w.db, `SELECT id::text FROM reports WHERE state = 'done'`) {
		if err := os.WriteFile(filepath.Join(w.desk.Dir, id), []byte("x"), 0o600); err != nil {
			w.t.Fatal(err)
		}
	}
}
