package store_test

import (
	"context"
	"fmt"
	command "os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// TestEveryTextIsClassified fails for a column that may hold text and of which
// nobody has said what it may hold of people: see personal.go.
func TestEveryTextIsClassified(t *testing.T) {
	t.Parallel()
	db := storetest.Open(t)
	columns := storetest.Column(t, db, `
		SELECT c.table_name || '.' || c.column_name FROM information_schema.columns c
		JOIN information_schema.tables t USING (table_schema, table_name)
		WHERE c.table_schema = 'public' AND t.table_type = 'BASE TABLE' AND c.table_name NOT LIKE 'river%' AND c.table_name <> 'goose_db_version'
		  AND (c.data_type IN ('text', 'json', 'jsonb', 'bytea', 'character varying') OR c.data_type = 'ARRAY' AND c.udt_name IN ('_text', '_json', '_jsonb', '_bytea'))
		ORDER BY 1`)
	for _, column := range columns {
		if store.DataClass(column) == "" {
			t.Errorf("say in store/personal.go what %s may hold of people", column)
		}
	}
}

// ada is whom the tests erase.
const (
	adaEmail = "ada@example.com"
	adaName  = "Ada Lovelace"
	adaText  = "rewrite the analytical engine"
)

func receiptBy(id string, prompt int64, name, email, text string) notes.Receipt {
	r := receipt(id, prompt, "0.1")
	r.UserName, r.UserEmail, r.User = name, email, name+" <"+email+">"
	r.PromptSummary, r.ResponseSummary, r.PromptHash = text, text+" done", "hash of "+text
	r.Detail, r.Conversation = []byte(`{"note": "`+text+`"}`), []byte(`[{"role": "user", "content": "`+text+`"}]`)
	return r
}

// inhabited is an organisation in which Ada did all that people do.
func inhabited(t *testing.T) *fixture {
	f := newFixture(t)
	ctx := context.Background()
	by := access.CLI(f.src.Org.ID)
	storeThem := true
	if _, err := f.db.UpdateOrg(ctx, by, store.OrgChange{StoreConversations: &storeThem}); err != nil {
		t.Fatal(err)
	}
	user, err := f.db.CreateUser(ctx, by, store.NewUser{Email: adaEmail, Name: adaName, Logins: []string{"countess"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.db.CreateKey(ctx, by, store.NewKey{Name: "laptop of " + adaName, User: user.Email, Scopes: []access.Scope{access.Read}}); err != nil {
		t.Fatal(err)
	}
	f.reload()
	f.notesOfAda()
	f.takeCommits()
	storetest.MustDecision(t, f.db, f.src.Org, storetest.Decision{Repo: f.src.Repo, Pusher: adaEmail})
	f.exec(`INSERT INTO policies (id, org_id, name, version, enabled, document)
		SELECT gen_random_uuid(), id, 'p', 1, true, '{"reviewers": ["` + adaEmail + `"]}' FROM orgs`)
	f.exec(`INSERT INTO waivers (org_id, id, policy_id, pusher, reason, created_by, expires_at)
		SELECT org_id, gen_random_uuid(), id, '` + adaEmail + `', 'asked by ` + adaName + `', 'user:` + adaEmail + `', now() FROM policies LIMIT 1`)
	f.exec(`INSERT INTO reviews (org_id, id, repo_id, commit, patch_id, reviewer, name, approved, comment, principal)
		SELECT org_id, gen_random_uuid(), id, 'c1', 'p', '` + adaEmail + `', '` + adaName + `', true, 'looks good, ` + adaName + `', 'user:` + adaEmail + `' FROM repos LIMIT 1`)
	f.exec(`INSERT INTO decision_inputs (org_id, decision_id, push, input)
		SELECT org_id, gen_random_uuid(), '{"pusher": {"name": "` + adaName + `", "email": "` + adaEmail + `", "login": "countess"}, "countess": 1}', '{}' FROM repos LIMIT 1`)
	f.exec(`INSERT INTO pushed_spend SELECT org_id, 'user', id, '` + adaEmail + `', false, '2026-03-01', 4.5 FROM repos LIMIT 1`)
	f.exec(`INSERT INTO note_uploads (org_id, commit, blob, content, uploaded_by) SELECT id, 'c1', 'u1', convert_to('{"author": "` + adaEmail + `"}', 'UTF8'), 'key:1' FROM orgs`)
	f.act("push.accept", "backend", map[string]any{"pusher": adaEmail, "login": "countess", "said": "by \u003c" + adaEmail + ">"})
	f.extend()
	return f
}

// reload reads the organisation as an intake would.
func (f *fixture) reload() {
	f.t.Helper()
	org, err := f.db.OrgByID(context.Background(), f.src.Org.ID)
	if err != nil {
		f.t.Fatal(err)
	}
	f.src.Org = org
}

func (f *fixture) notesOfAda() {
	f.t.Helper()
	version := step(0, "c1", "b1")
	version.AuthorName, version.AuthorEmail = adaName, adaEmail
	own := body("c1", "b1", receiptBy("r1", 1, adaName, "Ada@Example.com", adaText), receiptBy("r2", 2, "Bob", "bob@example.com", "of bob"))
	own.Note.Attestations = []notes.Attestation{{Path: "a.go", Key: "h1", Class: notes.ClassHuman, Author: adaName + " <" + adaEmail + ">",
		Lines: []notes.LineRange{{First: 1, Last: 2}}}}
	old := f.rows(`SELECT tip FROM note_refs`)
	from := ""
	if len(old) > 0 {
		from = old[0]
	}
	f.take(from, from+"t", false, store.Batch{Versions: []store.Version{version}, Tip: tip("c1", "b1"), Bodies: []store.Body{own}})
}

func (f *fixture) takeCommits() {
	f.t.Helper()
	ctx := context.Background()
	c := store.NewCommit{Commit: "c1", Parents: []string{}, AuthorName: adaName, AuthorEmail: adaEmail, CommitterName: adaName, CommitterEmail: adaEmail,
		AuthoredAt: start, CommittedAt: start, Subject: "asked by " + adaEmail, CoAuthors: []string{adaEmail}}
	err := f.db.TakeBranches(ctx, f.src.Org.ID, f.src.Repo.ID, map[string]string{"refs/heads/main": "c1"},
		func(add func([]store.NewCommit) error) error { return add([]store.NewCommit{c}) })
	if err != nil {
		f.t.Fatal(err)
	}
}

// totals are sums that an erasure must not change.
const totals = `
	SELECT 'receipts ' || count(*) || ' ' || sum(cost_usd) || ' ' || sum(input_tokens) || ' ' || count(DISTINCT user_email) FROM receipts
	UNION ALL SELECT 'prompts ' || count(*) || ' ' || sum(cost_usd) || ' ' || count(DISTINCT user_email) FROM prompts
	UNION ALL SELECT 'rollup ' || dimension || ' ' || sum(receipts) || ' ' || sum(cost_usd) || ' ' || count(DISTINCT key) FROM rollups GROUP BY dimension
	UNION ALL SELECT 'month ' || dimension || ' ' || sum(receipts) || ' ' || sum(cost_usd) || ' ' || count(DISTINCT key) FROM rollup_months GROUP BY dimension
	UNION ALL SELECT 'spend ' || sum(cost_usd) || ' ' || count(DISTINCT key) FROM pushed_spend
	UNION ALL SELECT 'decisions ' || count(*) || ' ' || count(DISTINCT pusher) FROM decisions
	UNION ALL SELECT 'turns ' || sum(conversation_turns) || ' ' || sum(conversation_bytes) FROM receipts
	UNION ALL SELECT 'versions ' || count(*) FROM note_versions
	UNION ALL SELECT 'users ' || count(*) FROM users
	ORDER BY 1`

func TestErasedPersonIsNowhere(t *testing.T) {
	t.Parallel()
	f := inhabited(t)
	before := f.rows(totals)
	noted := f.verify(nil).Head
	f.has(t, true)
	f.exec(`ANALYZE`)
	f.sampled(t, true)
	erasure, err := f.db.ErasePerson(context.Background(), access.CLI(f.src.Org.ID), " "+adaEmail)
	if err != nil {
		t.Fatal(err)
	}
	f.has(t, false)
	f.sampled(t, false)
	f.vacuumed(t, erasure)
	if diff := cmp.Diff(before, f.rows(totals)); diff != "" {
		t.Errorf("totals (-before +after):\n%s", diff)
	}
	f.want(`SELECT prompt_summary FROM receipts ORDER BY id`, "", "of bob")
	f.want(`SELECT user_email FROM receipts ORDER BY id`, erasure.Pseudonym, "bob@example.com")
	f.want(`SELECT push::text FROM decision_inputs WHERE push::text LIKE '%login%'`,
		`{"pusher": {"name": "(erased)", "email": "`+erasure.Pseudonym+`", "login": "(erased)"}, "countess": 1}`)
	f.want(`SELECT (revoked_at IS NOT NULL)::text FROM api_keys WHERE user_id IS NOT NULL`, "true")
	f.want(`SELECT action || ' ' || target FROM audit_log WHERE action = 'person.erase'`, "person.erase "+erasure.Pseudonym)

	// The chain holds, and tells of the redactions.
	report := f.verify(&noted)
	if len(report.Problems) > 0 || report.Redacted < 2 {
		t.Errorf("the chain behind an erasure: %+v", report)
	}
	f.exec(`ALTER TABLE audit_log DISABLE TRIGGER USER`)
	f.exec(`UPDATE audit_log SET target = target || '!' WHERE seq = (SELECT min(seq) FROM audit_log WHERE commitment IS NOT NULL)`)
	if report := f.verify(nil); len(report.Problems) != 1 || report.Problems[0].Problem != "redaction_unproven" {
		t.Errorf("words that were changed behind an erasure: %+v", report.Problems)
	}
}

func TestErasedPersonDoesNotComeBack(t *testing.T) {
	t.Parallel()
	f := inhabited(t)
	ctx := context.Background()
	by := access.CLI(f.src.Org.ID)
	stale := f.src
	if _, err := f.db.ErasePerson(ctx, by, adaEmail); err != nil {
		t.Fatal(err)
	}
	after := storetest.Dump(t, f.db)

	// What was read before the erasure is not written behind it.
	err := f.db.Intake(ctx, stale, func(in *store.Intake) error {
		return in.Merge(ctx, store.MergeOptions{TipVersion: step(25, "", "")}, nil)
	})
	if err == nil || !strings.Contains(err.Error(), "what is kept has changed") {
		t.Errorf("an intake from before the erasure: %v", err)
	}
	// The same notes read again, into a database that has lost them.
	f.reload()
	f.exec(`TRUNCATE note_refs, note_versions, note_bodies, receipt_commits, receipts, receipt_files, attestations, prompts, rollups, rollup_months, findings`)
	f.notesOfAda()
	f.exec(`TRUNCATE commits, branch_refs`)
	f.takeCommits()
	f.has(t, false)
	if diff := cmp.Diff(stripTip(after), stripTip(storetest.Dump(t, f.db))); diff != "" {
		t.Errorf("read again (-erased +read again):\n%s", diff)
	}
	// What came by a way that does not know who was erased.
	f.exec(`INSERT INTO pushed_commits (org_id, repo_id, commit, decision_id, patch_id, author_email, added, ai, human, noted, day)
		SELECT org_id, id, 'c7', gen_random_uuid(), '', '` + adaEmail + `', 1, 1, 0, true, '2026-03-01' FROM repos LIMIT 1`)
	f.has(t, true)
	if err := f.db.EraseAgain(ctx); err != nil {
		t.Fatal(err)
	}
	f.has(t, false)
	if _, err := f.db.ErasePerson(ctx, by, adaEmail); err != nil {
		t.Errorf("erasing again: %v", err)
	}
	if report := f.verify(nil); !onlyNotes(report.Problems) {
		t.Errorf("%+v", report.Problems)
	}
}

// onlyNotes: the notes were removed behind the chain's back, the acts were not.
func onlyNotes(problems []store.ChainProblem) bool {
	for _, p := range problems {
		if p.Kind == "acts" || p.Kind == "" {
			return false
		}
	}
	return true
}

func stripTip(lines []string) []string {
	var out []string
	for _, line := range lines {
		if !strings.HasPrefix(line, "tip ") {
			out = append(out, line)
		}
	}
	return out
}

// has dumps the whole database and looks for Ada in it.
func (f *fixture) has(t *testing.T, want bool) {
	t.Helper()
	dump, err := command.Command("pg_dump", "--dbname", f.dsn).CombinedOutput()
	if err != nil {
		t.Fatalf("dumping: %v: %s", err, dump)
	}
	found := ""
	for _, line := range strings.Split(string(dump), "\n") {
		for _, word := range []string{adaEmail, adaName, adaText, `"countess",`, `"countess"}`} {
			if strings.Contains(strings.ToLower(line), strings.ToLower(word)) {
				found += fmt.Sprintf("%q in %.300s\n", word, line)
			}
		}
	}
	if (found != "") != want {
		t.Errorf("the dump names the person: %v, want %v\n%s", !want, want, found)
	}
}

// sampled looks for Ada in what the planner keeps of the values of columns, which
// no dump has.
func (f *fixture) sampled(t *testing.T, want bool) {
	t.Helper()
	named := f.rows(`SELECT s.tablename || '.' || s.attname || ': ' || w FROM pg_stats s, unnest(ARRAY['` + adaEmail + `', '` + adaName + `', '` + adaText + `']) w
		WHERE s.schemaname = current_schema() AND strpos(lower(concat(s.most_common_vals, s.histogram_bounds, s.most_common_elems)), lower(w)) > 0 ORDER BY 1`)
	if (len(named) > 0) != want {
		t.Errorf("statistics name the person: %v, want %v: %q", !want, want, named)
	}
}

// vacuumed holds that every table that an erasure changed is vacuumed once, and
// with it its indexes.
func (f *fixture) vacuumed(t *testing.T, erasure store.Erasure) {
	t.Helper()
	for range 2 {
		if err := f.db.VacuumErased(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	counts := map[string]string{}
	for _, row := range f.rows(`SELECT relname || ' ' || vacuum_count FROM pg_stat_user_tables WHERE schemaname = current_schema()`) {
		table, n, _ := strings.Cut(row, " ")
		counts[table] = n
	}
	if len(erasure.Rows) == 0 {
		t.Fatal("the erasure changed nothing")
	}
	for table := range erasure.Rows {
		if counts[table] != "1" {
			t.Errorf("%s was vacuumed %s times", table, counts[table])
		}
	}
}

func TestPromptsAreReduced(t *testing.T) {
	t.Parallel()
	f := inhabited(t)
	ctx := context.Background()
	set := func(p store.Prompts) {
		t.Helper()
		if _, err := f.db.UpdateOrg(ctx, access.CLI(f.src.Org.ID), store.OrgChange{Prompts: &p}); err != nil {
			t.Fatal(err)
		}
		f.reload()
	}
	const texts = `SELECT left(prompt_summary, 7) || '|' || left(response_summary, 7) || '|' || (prompt_hash <> '')::text || '|' ||
		(detail IS NULL)::text || '|' || (conversation IS NULL)::text FROM receipts ORDER BY id`
	set(store.PromptsHashed)
	if err := f.db.ApplyPrompts(ctx); err != nil {
		t.Fatal(err)
	}
	f.want(texts, "hashed:|hashed:|true|true|true", "hashed:|hashed:|true|true|true")
	stored := f.rows(`SELECT prompt_summary FROM receipts ORDER BY id`)
	if err := f.db.ApplyPrompts(ctx); err != nil {
		t.Fatal(err)
	}
	f.exec(`TRUNCATE note_refs, note_versions, note_bodies, receipt_commits, receipts, receipt_files, attestations, prompts, rollups, rollup_months, findings`)
	f.notesOfAda()
	if diff := cmp.Diff(stored, f.rows(`SELECT prompt_summary FROM receipts ORDER BY id`)); diff != "" {
		t.Errorf("reduced at once (-reduced later +at once):\n%s", diff)
	}
	set(store.PromptsDropped)
	if err := f.db.ApplyPrompts(ctx); err != nil {
		t.Fatal(err)
	}
	f.want(texts, "||false|true|true", "||false|true|true")
	f.want(`SELECT DISTINCT prompts_applied FROM orgs`, "dropped")
	wrong := store.Prompts("kept")
	if _, err := f.db.UpdateOrg(ctx, access.CLI(f.src.Org.ID), store.OrgChange{Prompts: &wrong}); err == nil {
		t.Error("an unknown setting was taken")
	}
}

func TestSecretsAreMaskedWhereverTheyStand(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	secret := "AKIA" + "QYLPMN5HHHFPZAM2"
	r := receiptBy("r1", 1, "Bob", "bob@example.com", "use "+secret)
	r.SessionID, r.Files[0].Path = "s "+secret, "deploy/"+secret+"/a.go"
	r.RawTimestamps = map[string]string{"timestamp": "at " + secret}
	b := body("c1", "b1", r)
	b.Note.Findings = []notes.Finding{{Code: "field_mistyped", Severity: notes.Warning, Where: "/" + secret, Message: "m"}}
	b.Note.Attestations = []notes.Attestation{{Path: secret, Key: secret, Class: notes.ClassHuman, Author: secret, Lines: []notes.LineRange{{First: 1, Last: 2}}}}
	f.take("", "t1", false, store.Batch{Versions: []store.Version{step(0, "c1", "b1")}, Tip: tip("c1", "b1"), Bodies: []store.Body{b}})
	dump, err := command.Command("pg_dump", "--dbname", f.dsn).CombinedOutput()
	if err != nil || strings.Contains(string(dump), secret) {
		t.Errorf("the secret is in the database (%v)", err)
	}
	f.want(`SELECT prompt_summary FROM receipts`, "use [masked:aws-access-token]")
	f.want(`SELECT location FROM findings WHERE code = 'secret_found' AND receipt_id = 'r1' ORDER BY location COLLATE "C"`, "/conversation aws-access-token", "/files_changed aws-access-token", "/prompt_hash aws-access-token", "/prompt_summary aws-access-token",
		"/response_summary aws-access-token", "/session_id aws-access-token", "/timestamp aws-access-token", "detail aws-access-token")
	f.want(`SELECT DISTINCT commit || ' ' || blob FROM findings WHERE code = 'secret_found'`, "c1 b1")
}

func TestOldDataIsRemoved(t *testing.T) {
	t.Parallel()
	f := inhabited(t)
	ctx := context.Background()
	by := access.CLI(f.src.Org.ID)
	before := f.rows(totals)
	f.exec(`INSERT INTO webhook_deliveries (org_id, forge, delivery_id, event, repo, outcome, received_at)
		SELECT id, 'github', n::text, 'push', 'r', 'fetch', now() - make_interval(days => n) FROM orgs, generate_series(80, 100) n`)
	days := 30
	for _, class := range []string{"conversations", "decision_documents", "prompts"} {
		if err := f.db.SetRetention(ctx, by, store.Retention{Class: class, Days: &days}); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.db.SetRetention(ctx, by, store.Retention{Class: "receipts", Days: &days}); err == nil {
		t.Error("a class that there is not was taken")
	}
	for range 2 {
		if err := f.db.ApplyRetention(ctx); err != nil {
			t.Fatal(err)
		}
	}
	f.want(`SELECT count(*)::text || ' ' || max(delivery_id) FROM webhook_deliveries`, "10 89")
	f.want(`SELECT count(*)::text FROM receipts WHERE prompt_summary <> '' OR conversation IS NOT NULL OR detail IS NOT NULL`, "0")
	f.want(`SELECT target || ' ' || (detail->>'rows') FROM audit_log WHERE action = 'retention.apply' ORDER BY 1`, "conversations 2", "deliveries 11", "prompts 2")
	if diff := cmp.Diff(before, f.rows(totals)); diff != "" {
		t.Errorf("totals (-before +after):\n%s", diff)
	}
}

func TestReadersOfPromptsAreRecorded(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	ctx := context.Background()
	by := access.Principal{Org: f.src.Org.ID, Name: "key:1"}
	for _, n := range []int{50, 0, 7} {
		if err := f.db.PromptsListed(ctx, by, n); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.db.PromptRead(ctx, by, "r1"); err != nil {
		t.Fatal(err)
	}
	const acts = `SELECT principal || ' ' || action || ' ' || coalesce(detail->>'requests', target) || ' ' || coalesce(detail->>'receipts', '')
		FROM audit_log WHERE action LIKE 'prompt.%' ORDER BY seq`
	f.want(acts, "key:1 prompt.read r1 ")
	for range 2 {
		if err := store.RecordListed(ctx, f.db, time.Now().Add(time.Hour)); err != nil {
			t.Fatal(err)
		}
	}
	f.want(acts, "key:1 prompt.read r1 ", "key:1 prompt.list 2 57")
}
