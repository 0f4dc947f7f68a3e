package compliance

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/rs/zerolog"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/blameprompt/enterprise/httpapi/report"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// world is an organisation with receipts of 400 days, and with one of everything
// that a report lists.
type world struct {
	db  *store.DB
	org store.Org
	by  access.Principal
}

const acts = `
	INSERT INTO policies (id, org_id, name, version, enabled, document)
		VALUES ('00000000-0000-0000-0000-000000000001', $1, 'No gpt', 2, true, '{}');
	INSERT INTO policy_versions (org_id, policy_id, version, document, change, author, created_at) VALUES
		($1, '00000000-0000-0000-0000-000000000001', 1, '{"rule":{"blocked_models":["gpt-4*"]}}', 'create', 'user:ada@example.com', '2026-01-01'),
		($1, '00000000-0000-0000-0000-000000000001', 2, '{"rule":{"blocked_models":["gpt-*"]}}', 'replace', 'user:ada@example.com', '2026-02-01');
	INSERT INTO decisions (org_id, id, at, repo_id, repo, pusher, pusher_name, forge, via, refs, outcome, state, receipt_mode, override, commits,
			added, ai, human, verdict, took_us, request_id)
		SELECT $1, ('00000000-0000-0000-0001-' || lpad(i::text, 12, '0'))::uuid, timestamptz '2026-02-01' + i * interval '1 hour', r.id, r.name,
			'dev1@example.com', 'Dev 1', 'plain', 'socket', '[{"name":"refs/heads/main"}]', CASE WHEN i % 5 = 0 THEN 'refuse' ELSE 'accept' END, 'final',
			'deferred', CASE WHEN i = 7 THEN '=it burns' ELSE '' END, 2, 40, 20, 10, '{"policies":[{},{}]}', 1000, ''
		FROM generate_series(1, 60) i, (SELECT id, name FROM repos WHERE org_id = $1 ORDER BY name LIMIT 1) r;
	INSERT INTO waivers (org_id, id, policy_id, reason, created_by, created_at, expires_at)
		VALUES ($1, '00000000-0000-0000-0002-000000000001', '00000000-0000-0000-0000-000000000001', 'a <b>trial</b>', 'user:ada@example.com', '2026-02-01', '2026-08-01');
	INSERT INTO violations (org_id, id, decision_id, at, late, repo_id, repo, pusher, policy_id, policy_name, version, rule, outcome, commit, waiver_id, finding)
		SELECT $1, ('00000000-0000-0000-0003-' || lpad(i::text, 12, '0'))::uuid, d.id, d.at, false, d.repo_id, d.repo, d.pusher,
			'00000000-0000-0000-0000-000000000001', 'No gpt', 2, 'blocked_models', CASE WHEN d.outcome = 'refuse' THEN 'refuse' ELSE 'warn' END,
			md5(i::text) || '00000000', CASE WHEN i = 3 THEN '00000000-0000-0000-0002-000000000001'::uuid END, '{}'
		FROM decisions d, LATERAL (SELECT right(d.id::text, 3)::int AS i) n WHERE d.org_id = $1 AND i IN (3, 5, 7, 10);
	INSERT INTO pushed_commits (org_id, repo_id, commit, decision_id, patch_id, author_email, added, ai, human, noted, day)
		SELECT $1, d.repo_id, md5(d.id::text) || '00000000', d.id, '', d.pusher, 40, 20, 10, true, '2026-02-01' FROM decisions d WHERE d.org_id = $1 AND d.outcome = 'accept';
	INSERT INTO reviews (org_id, id, repo_id, commit, patch_id, reviewer, name, approved, comment, principal, created_at)
		SELECT $1, '00000000-0000-0000-0004-000000000001', r.id, md5('c') || '00000000', md5('p') || '00000000', 'eve@example.com', 'Eve', true, '@SUM(1)', 'user:eve@example.com', '2026-02-03'
		FROM repos r WHERE r.org_id = $1 ORDER BY r.name LIMIT 1;
	INSERT INTO findings (org_id, id, repo_id, code, severity, ref, commit, message, found_at)
		SELECT $1, '00000000-0000-0000-0005-000000000001', r.id, 'notes_ref_rewritten', 'warning', 'refs/notes/ai', '', 'The notes ref was forced.', '2026-02-04'
		FROM repos r WHERE r.org_id = $1 ORDER BY r.name LIMIT 1;
	INSERT INTO audit_log (org_id, principal, action, target, at) VALUES
		($1, 'user:ada@example.com', 'key.create', 'laptop', '2026-02-05'), ($1, 'user:ada@example.com', 'policy.replace', 'No gpt', '2026-02-01');
	INSERT INTO commit_lines (org_id, repo_id, commit, on_default, merge, committed_at, day, author_email, added, ai, human, unknown, trailer, excluded,
			deleted, noted, agent, bot, state, digest)
		SELECT $1, r.id, md5('l' || i) || '00000000', true, false, timestamptz '2026-02-10' + i * interval '1 minute', '2026-02-10', 'dev1@example.com',
			10, 5, 2, 3, 0, 0, 0, i % 3 = 0, CASE WHEN i % 4 = 0 THEN 'copilot' ELSE '' END, i % 10 = 0, 'classified', ''
		FROM generate_series(1, 40) i, (SELECT id FROM repos WHERE org_id = $1 ORDER BY name LIMIT 1) r;`

func newWorld(t testing.TB, receipts int) *world {
	t.Helper()
	db := storetest.Open(t)
	org, err := db.CreateOrg(t.Context(), "acme", "Europe/Athens")
	if err != nil {
		t.Fatal(err)
	}
	storetest.Fill(t, db.Pool(), org.ID, receipts)
	for _, statement := range strings.Split(acts, ";\n") {
		if _, err := db.Pool().Exec(t.Context(), statement, org.ID); err != nil {
			t.Fatalf("%v in %s", err, statement)
		}
	}
	return &world{db: db, org: org, by: access.CLI(org.ID)}
}

// made asks for a report, has it written, and returns its row and its file.
func (w *world) made(t testing.TB, r store.Report) (store.Report, string) {
	t.Helper()
	writer := &Writer{DB: w.db, Dir: t.TempDir(), Log: zerolog.Nop()}
	if r.FirstDay.IsZero() {
		r.FirstDay, r.LastDay = day(2025, 1, 1), day(2026, 12, 31)
	}
	if r.Paper == "" {
		r.Paper = "A4"
	}
	asked := w.asked(t, r)
	if err := writer.Work(t.Context()); err != nil {
		t.Fatal(err)
	}
	r = w.finished(t, asked.ID)
	text, err := os.ReadFile(writer.File(r.ID))
	if err != nil || int64(len(text)) != r.Bytes {
		t.Fatalf("the file has %d bytes and not %d (%v)", len(text), r.Bytes, err)
	}
	return r, string(text)
}

func (w *world) asked(t testing.TB, r store.Report) store.Report {
	t.Helper()
	err := w.db.InTx(t.Context(), func(tx *store.Tx) (err error) {
		r, err = tx.CreateReport(t.Context(), w.by, r)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func (w *world) finished(t testing.TB, id uuid.UUID) store.Report {
	t.Helper()
	r, err := w.db.ReportByID(t.Context(), w.org.ID, id)
	if err != nil {
		t.Fatal(err)
	}
	if r.State != store.ReportDone {
		t.Fatalf("report %s %s is %s: %s", r.Type, r.Format, r.State, r.Error)
	}
	return r
}

func day(year int, month time.Month, d int) time.Time {
	return time.Date(year, month, d, 0, 0, 0, 0, time.UTC)
}

func TestEveryReportInEveryFormat(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3000)
	schema := compileSchema(t)
	for _, kind := range Types {
		for _, format := range report.Formats {
			t.Run(string(kind)+"."+string(format), func(t *testing.T) {
				_, text := w.made(t, store.Report{Type: string(kind), Format: string(format)})
				switch format {
				case report.JSON:
					value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
					if err != nil {
						t.Fatal(err)
					}
					if err := schema.Validate(value); err != nil {
						t.Error(err)
					}
				case report.CSV:
					records, err := csv.NewReader(strings.NewReader(text)).ReadAll()
					if err != nil || len(records) < 20 {
						t.Fatalf("%d records: %v", len(records), err)
					}
					for _, record := range records {
						for _, cell := range record {
							if cell != "" && strings.Contains("=+@", cell[:1]) {
								t.Errorf("a spreadsheet would run %q", cell)
							}
						}
					}
				case report.PDF:
					checkPages(t, text)
				}
			})
		}
	}
}

func compileSchema(t *testing.T) *jsonschema.Schema {
	t.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(report.Schema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("schema.json", value); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

// checkPages wants every page to have its number and something to read.
func checkPages(t *testing.T, pdf string) {
	t.Helper()
	program, err := exec.LookPath("pdftotext")
	if err != nil {
		t.Skip("pdftotext (poppler-utils) is not here")
	}
	cmd := exec.CommandContext(t.Context(), program, "-layout", "-", "-")
	cmd.Stdin = strings.NewReader(pdf)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	pages := strings.Split(strings.TrimSuffix(string(out), "\f"), "\f")
	for i, page := range pages {
		if !strings.Contains(page, fmt.Sprintf("%d of %d", i+1, len(pages))) || len(strings.Fields(page)) < 12 {
			t.Errorf("page %d of %d is empty or has no number:\n%s", i+1, len(pages), page)
		}
	}
}

// parsed is as much of a report as the tests read.
type parsed struct {
	Sections []section
}

type section struct {
	ID       string
	Facts    []struct{ Name, Value string }
	Table    struct{ Rows []map[string]any }
	Sections []section
}

func (p parsed) find(t *testing.T, id string) section {
	t.Helper()
	all := p.Sections
	for len(all) > 0 {
		if all[0].ID == id {
			return all[0]
		}
		all = append(all[1:], all[0].Sections...)
	}
	t.Fatalf("the report has no section %s", id)
	return section{}
}

func (s section) fact(name string) string {
	for _, f := range s.Facts {
		if f.Name == name {
			return f.Value
		}
	}
	return ""
}

func (w *world) parsed(t *testing.T, r store.Report) parsed {
	t.Helper()
	r.Format = "json"
	_, text := w.made(t, r)
	var p parsed
	if err := json.Unmarshal([]byte(text), &p); err != nil {
		t.Fatal(err)
	}
	return p
}

// TestFiguresAreTheAPIs asks report and analytics the same questions.
func TestFiguresAreTheAPIs(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 3000)
	repo, err := w.db.Repo(t.Context(), w.org.ID, "repo-1")
	if err != nil {
		t.Fatal(err)
	}
	team, err := w.db.TeamEmails(t.Context(), w.org.ID, "team-1")
	if err != nil {
		t.Fatal(err)
	}
	only := []uuid.UUID{repo.ID}
	first, last := day(2026, 1, 15), day(2026, 4, 2)
	for name, question := range map[string]struct {
		asked  store.Report
		filter store.AnalyticsFilter
	}{
		"all":  {store.Report{}, store.AnalyticsFilter{}},
		"repo": {store.Report{Repos: []string{"repo-1"}}, store.AnalyticsFilter{Repos: only}},
		"team": {store.Report{Teams: []string{"team-1"}}, store.AnalyticsFilter{Emails: team}},
		"both": {store.Report{Repos: []string{"repo-1"}, Teams: []string{"team-1"}}, store.AnalyticsFilter{Repos: only, Emails: team}},
	} {
		question.asked.Type, question.asked.FirstDay, question.asked.LastDay = "audit", first, last
		question.filter.From, question.filter.To = first, last
		want, err := w.db.Analytics(t.Context(), w.org.ID, question.filter, 1)
		if err != nil {
			t.Fatal(err)
		}
		p := w.parsed(t, question.asked)
		totals := p.find(t, "totals")
		if totals.fact("Receipts") != fmt.Sprint(want.Total.Receipts) || totals.fact("Prompts") != fmt.Sprint(want.Total.Prompts) ||
			totals.fact("Cost") != string(want.Total.CostUSD)+" USD" {
			t.Errorf("%s: %+v, the API has %+v", name, totals.Facts, want.Total)
		}
		if rows := len(p.find(t, "trail").Table.Rows); int64(rows) != want.Total.Receipts {
			t.Errorf("%s: the trail has %d of %d receipts", name, rows, want.Total.Receipts)
		}
	}
}

func TestExceptionsAreListedOneByOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 500)
	p := w.parsed(t, store.Report{Type: "soc2"})
	rows := p.find(t, "exceptions").Table.Rows
	if len(rows) != 2 || rows[0]["why"] != "waiver" || rows[0]["reason"] != "a <b>trial</b>" || rows[0]["approver"] != "user:ada@example.com" ||
		rows[1]["why"] != "override" || rows[1]["reason"] != "=it burns" {
		t.Errorf("exceptions: %v", rows)
	}
	if got := p.find(t, "cc8-1").fact("Population"); got != "60 pushes with 120 commits" {
		t.Errorf("population: %s", got)
	}
	if rows := p.find(t, "policies").Table.Rows; len(rows) != 2 || rows[0]["until"] == nil || rows[1]["until"] != nil {
		t.Errorf("policies: %v", rows)
	}
	if rows := p.find(t, "evidence").Table.Rows; len(rows) != 25 {
		t.Errorf("%d samples", len(rows))
	}
	coverage := p.find(t, "gaps").Table.Rows
	if len(coverage) != 1 || coverage[0]["commits"] != 36.0 || coverage[0]["with_note"] != 12.0 || coverage[0]["unknown"] != 120.0 {
		t.Errorf("coverage: %v", coverage)
	}
	if rows := p.find(t, "marked").Table.Rows; len(rows) != 5 {
		t.Errorf("%d commits without a note, want 5", len(rows))
	}
}

func TestTrailHasTheClientsColumns(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 100)
	_, text := w.made(t, store.Report{Type: "audit", Format: "csv"})
	head, _, _ := strings.Cut(text, "\n")
	const client = "commit_sha,date,author,message,provider,model,session_id,message_count,cost_usd,files,total_lines,prompt_summary,prompt_hash"
	if !strings.HasPrefix(head, client+",") {
		t.Errorf("the columns begin with %s", head)
	}
}

func TestReportOfADeadDaemonIsTakenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10)
	var r store.Report
	err := w.db.InTx(t.Context(), func(tx *store.Tx) (err error) {
		r, err = tx.CreateReport(t.Context(), w.by, store.Report{Type: "gdpr", Format: "md", Paper: "A4", FirstDay: day(2026, 1, 1), LastDay: day(2026, 1, 1)})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	take := func(stale time.Duration) bool {
		t.Helper()
		_, ok, err := w.db.NextReport(t.Context(), stale)
		if err != nil {
			t.Fatal(err)
		}
		return ok
	}
	if !take(time.Minute) || take(time.Minute) || !take(-time.Minute) {
		t.Error("a report is taken by one, and by another only when it was left")
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	writer := &Writer{DB: w.db, Dir: t.TempDir(), Log: zerolog.Nop()}
	if err := writer.one(ctx, r); err == nil {
		t.Error("a daemon that stops finished a report")
	}
}

// TestRemovedReportIsGivenUp removes a report while it is written.
func TestRemovedReportIsGivenUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10)
	desk := &Desk{DB: w.db, Dir: t.TempDir()}
	writer := &Writer{DB: w.db, Dir: desk.Dir, Log: zerolog.Nop()}
	for name, write := range map[string]func(store.Report) error{
		"before it is taken up": func(store.Report) error { return writer.Work(t.Context()) },
		"before it is finished": func(r store.Report) error { return writer.one(t.Context(), r) },
		"while it is written": func(r store.Report) error {
			var rows atomic.Int64
			ctx, rest := writer.beat(t.Context(), &r, &rows)
			defer rest()
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(time.Minute):
				return errors.New("it is still written a minute later")
			}
		},
	} {
		r, err := desk.Ask(t.Context(), w.by, store.Report{Type: "gdpr", Format: "csv", FirstDay: day(2026, 1, 1), LastDay: day(2026, 1, 31)})
		if err != nil {
			t.Fatal(err)
		}
		if err := desk.Remove(t.Context(), w.by, r.ID); err != nil {
			t.Fatal(err)
		}
		if err := write(r); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if files, err := os.ReadDir(desk.Dir); err != nil || len(files) != 0 {
			t.Errorf("%s: %v stay (%v)", name, files, err)
		}
	}
}

// TestClientJSONHasTheClientsShape compares names and kinds of all that the
// client's own `audit --format json` writes with what is written here.
func TestClientJSONHasTheClientsShape(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 50)
	_, err := w.db.Pool().Exec(t.Context(), `UPDATE receipts SET detail = '{"tools_used":["Edit"],"input_tokens":"many"}', input_tokens = NULL,
		user_name = 'Ada =1+1', conversation = '[{"turn":0,"role":"user","content":"<b>"}]', current = true WHERE id = 'r-1'`)
	if err != nil {
		t.Fatal(err)
	}
	row, text := w.made(t, store.Report{Type: "audit", Format: "client-json"})
	var commits []struct {
		SHA     string           `json:"commit_sha"`
		Date    time.Time        `json:"commit_date"`
		Author  string           `json:"commit_author"`
		Message *string          `json:"commit_message"`
		Lines   *int64           `json:"total_ai_lines"`
		Cost    *float64         `json:"total_cost_usd"`
		Repo    string           `json:"repo"`
		Receipt []map[string]any `json:"receipts"`
	}
	in := json.NewDecoder(strings.NewReader(text))
	in.DisallowUnknownFields()
	if err := in.Decode(&commits); err != nil {
		t.Fatal(err)
	}
	if int64(len(commits)) != row.Rows || len(commits) == 0 {
		t.Fatalf("%d commits, %d rows", len(commits), row.Rows)
	}
	receipts := 0
	for i, c := range commits {
		if len(c.SHA) != 40 || c.Date.IsZero() || !strings.HasSuffix(c.Author, ">") || c.Message == nil || c.Lines == nil || c.Cost == nil || c.Repo == "" {
			t.Errorf("commit %d: %+v", i, c)
		}
		for _, r := range c.Receipt {
			receipts++
			checkClientReceipt(t, r)
		}
	}
	var current int
	if err := w.db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM receipts WHERE current`).Scan(&current); err != nil || receipts != current {
		t.Errorf("%d of %d current receipts (%v)", receipts, current, err)
	}
}

// checkClientReceipt holds a receipt to what the client's own parser demands.
func checkClientReceipt(t *testing.T, r map[string]any) {
	t.Helper()
	for kind, fields := range map[string][]string{
		"string":         {"id", "provider", "model", "session_id", "prompt_summary", "prompt_hash", "timestamp", "user", "file_path"},
		"float64":        {"message_count", "cost_usd"},
		"[]interface {}": {"line_range", "files_changed"},
	} {
		for _, field := range fields {
			if got := fmt.Sprintf("%T", r[field]); got != kind {
				t.Errorf("receipt %v: %s is %s and not %s", r["id"], field, got, kind)
			}
		}
	}
	if _, err := time.Parse(time.RFC3339, fmt.Sprint(r["timestamp"])); err != nil {
		t.Error(err)
	}
	if r["id"] == "r-1" {
		_, tokens := r["input_tokens"]
		if tokens || !cmp.Equal(r["tools_used"], []any{"Edit"}) || !strings.HasPrefix(fmt.Sprint(r["user"]), "Ada =1+1 <") || len(r["conversation"].([]any)) != 1 {
			t.Errorf("receipt r-1: %v", r)
		}
	}
	for field, value := range r {
		if value == nil {
			t.Errorf("receipt %v: %s is null", r["id"], field)
		}
	}
}

func TestOnlyAuditHasTheClientsForm(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 10)
	_, err := (&Desk{DB: w.db}).Ask(t.Context(), w.by, store.Report{Type: "soc2", Format: "client-json", FirstDay: day(2026, 1, 1), LastDay: day(2026, 1, 2)})
	if problem := respond.ProblemOf(err); len(problem.Fields) != 1 || problem.Fields[0].Field != "format" {
		t.Errorf("it is answered with %v", err)
	}
	_, text := w.made(t, store.Report{Type: "audit", Format: "client-json", FirstDay: day(2020, 1, 1), LastDay: day(2020, 1, 2)})
	if text != "[]\n" {
		t.Errorf("nothing is %q", text)
	}
}
