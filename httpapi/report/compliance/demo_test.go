package compliance_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"encoding/xml"
	"flag"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/blameprompt/enterprise/cmd/blamepromptd/demo"
	"github.com/blameprompt/enterprise/httpapi"
	"github.com/blameprompt/enterprise/httpapi/report"
	"github.com/blameprompt/enterprise/httpapi/report/compliance"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

var (
	update = flag.Bool("update", false, "write testdata anew")
	keep   = flag.String("keep", "", "a directory that gets the reports over the demo, to be looked at")
)

// ends is the moment at which the story of the demo ends in these tests.
var ends = time.Date(2026, 9, 30, 18, 0, 0, 0, time.UTC)

// TestDemo makes the reports over the demo organisation, which is made once.
func TestDemo(t *testing.T) {
	t.Parallel()
	if raceDetector || testing.Short() {
		t.Skip("making the demo takes minutes, and goroutines meet in the tests of its own")
	}
	w := buildDemo(t)
	t.Run("golden", w.golden)
	t.Run("pages", w.pages)
	t.Run("figures", w.figures)
	t.Run("erasure", w.erasure)
}

// world is the demo with the API over it.
type world struct {
	db  *store.DB
	org store.Org
	api *httptest.Server
	key string
	// log is what the API logs.
	log *bytes.Buffer
	// ids are those that the database drew, each with the one that stands for it.
	ids map[string]string
}

func buildDemo(t *testing.T) *world {
	t.Helper()
	root := t.TempDir()
	hook := filepath.Join(root, "blameprompt-hook")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", hook, "../../../cmd/blameprompt-hook").CombinedOutput(); err != nil {
		t.Fatalf("building the hook: %v: %s", err, out)
	}
	work := filepath.Join(root, "work")
	if err := os.Mkdir(work, 0o700); err != nil {
		t.Fatal(err)
	}
	w := &world{db: storetest.Open(t), log: &bytes.Buffer{}, ids: map[string]string{}}
	began := time.Now()
	made, err := demo.Build(t.Context(), demo.Config{DB: w.db, MirrorRoot: filepath.Join(root, "mirrors"), GatewayRoot: filepath.Join(root, "gateway"),
		HookProgram: hook, WorkDir: work, Now: ends, Seed: 1, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the demo was made in %s", time.Since(began).Round(time.Second))
	w.org, w.key = made.Org, storetest.MustKey(t, w.db, made.Org, access.Admin)
	handler, err := httpapi.New(httpapi.Config{DB: w.db, Log: zerolog.New(zerolog.SyncWriter(w.log))})
	if err != nil {
		t.Fatal(err)
	}
	w.api = httptest.NewServer(handler)
	t.Cleanup(w.api.Close)
	return w
}

// quarter is the period of the reports.
func (w *world) quarter() store.ReportScope {
	zone, _ := time.LoadLocation(w.org.TimeZone)
	return store.ReportScope{Org: w.org, FirstDay: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC), LastDay: time.Date(2026, 9, 30, 0, 0, 0, 0, time.UTC),
		From: time.Date(2026, 7, 1, 0, 0, 0, 0, zone), To: time.Date(2026, 10, 1, 0, 0, 0, 0, zone)}
}

// week is the period of the golden reports, which people have to read.
func (w *world) week() store.ReportScope {
	s := w.quarter()
	s.FirstDay, s.LastDay = s.FirstDay.AddDate(0, 0, 62), s.FirstDay.AddDate(0, 0, 68)
	s.From, s.To = s.From.AddDate(0, 0, 62), s.From.AddDate(0, 0, 69)
	return s
}

// read hands the document of a report to fn, with what the database drew masked.
func (w *world) read(t *testing.T, scope store.ReportScope, kind compliance.Type, fn func(*report.Document)) {
	t.Helper()
	err := w.db.ReadReport(t.Context(), scope, func(data *store.ReportData) error {
		doc, err := compliance.Document(t.Context(), data, compliance.Request{Type: kind, By: "user:auditor@acme.example", Made: ends}, nil)
		if err != nil {
			return err
		}
		w.maskAll(doc.Sections)
		fn(doc)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

var drawn = regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`)

// mask puts a numbered id in the place of each that the database drew.
func (w *world) mask(text string) string {
	return drawn.ReplaceAllStringFunc(text, func(id string) string {
		if w.ids[id] == "" {
			w.ids[id] = fmt.Sprintf("00000000-0000-0000-0000-%012d", len(w.ids)+1)
		}
		return w.ids[id]
	})
}

func (w *world) maskAll(sections []*report.Section) {
	for _, s := range sections {
		if s.Table != nil {
			w.maskTable(s.Table)
		}
		w.maskAll(s.Sections)
	}
}

func (w *world) maskTable(table *report.Table) {
	rows := table.Rows
	table.Rows = func(ctx context.Context) iter.Seq2[report.Row, error] {
		return func(yield func(report.Row, error) bool) {
			n := int64(0)
			for row, err := range rows(ctx) {
				n++
				for i, cell := range row {
					if table.Columns[i].Key == "seq" {
						// Acts are numbered with gaps where a transaction was tried again.
						row[i] = n
						continue
					}
					switch v := cell.(type) {
					case string:
						row[i] = w.mask(v)
					case time.Time:
						// The story tells whole seconds. How long something takes is the machine's.
						if v.Nanosecond() != 0 {
							row[i] = v.Truncate(24 * time.Hour)
						}
					}
				}
				if !yield(row, err) {
					return
				}
			}
		}
	}
}

func write(t *testing.T, doc *report.Document, format report.Format, paper string) []byte {
	t.Helper()
	var out bytes.Buffer
	if err := report.Write(t.Context(), &out, doc, format, report.Options{Paper: paper}); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

func (w *world) golden(t *testing.T) {
	for _, kind := range compliance.Types {
		w.read(t, w.week(), kind, func(doc *report.Document) {
			for _, s := range doc.Sections {
				if s.ID == "evidence" {
					// Which pushes are sampled is chosen by ids that the database draws.
					s.Table.Rows = nil
				}
			}
			for _, format := range report.Formats {
				text := write(t, doc, format, "A4")
				name := string(kind) + "." + string(format)
				keepFile(t, name, text)
				switch format {
				case report.PDF:
					name, text = name+".txt", pdfText(t, text, "-layout")
				case report.CSV:
					checkCSV(t, name, text)
				case report.JSON:
					checkSchema(t, name, text)
				}
				compare(t, name, text)
			}
		})
	}
	w.goldenClient(t)
}

// goldenClient is the client's own form, which has no document.
func (w *world) goldenClient(t *testing.T) {
	var out bytes.Buffer
	err := w.db.ReadReport(t.Context(), w.week(), func(data *store.ReportData) error {
		return compliance.Write(t.Context(), &out, data, compliance.Request{Type: compliance.Audit}, compliance.ClientJSON, report.Options{}, nil)
	})
	if err != nil {
		t.Fatal(err)
	}
	keepFile(t, "client.json", out.Bytes())
	compare(t, "client.json", []byte(w.mask(out.String())))
}

func keepFile(t *testing.T, name string, text []byte) {
	t.Helper()
	if *keep == "" {
		return
	}
	if err := os.WriteFile(filepath.Join(*keep, name), text, 0o644); err != nil {
		t.Fatal(err)
	}
}

func compare(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(want, got) {
		return
	}
	wants, gots := strings.Split(string(want), "\n"), strings.Split(string(got), "\n")
	for i := range max(len(wants), len(gots)) {
		if i >= len(wants) || i >= len(gots) || wants[i] != gots[i] {
			t.Errorf("%s (go test -update writes it anew) differs from line %d on: %s", name, i+1,
				cmp.Diff(wants[min(i, len(wants)):min(i+2, len(wants))], gots[min(i, len(gots)):min(i+2, len(gots))]))
			return
		}
	}
}

func checkCSV(t *testing.T, name string, text []byte) {
	t.Helper()
	records, err := csv.NewReader(bytes.NewReader(text)).ReadAll()
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	for _, record := range records {
		for _, cell := range record {
			if cell != "" && strings.Contains("=+@\t\r", cell[:1]) {
				t.Errorf("%s: a spreadsheet would run %q", name, cell)
			}
		}
	}
}

func checkSchema(t *testing.T, name string, text []byte) {
	t.Helper()
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(report.Schema))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource("schema.json", schema); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err == nil {
		err = compiled.Validate(value)
	}
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

func pdfText(t *testing.T, pdf []byte, how string) []byte {
	t.Helper()
	program, err := exec.LookPath("pdftotext")
	if err != nil {
		t.Skip("pdftotext (poppler-utils) is not here")
	}
	cmd := exec.CommandContext(t.Context(), program, how, "-", "-")
	cmd.Stdin = bytes.NewReader(pdf)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// box is a page or a word of `pdftotext -bbox`.
type box struct {
	Width  float64 `xml:"width,attr"`
	Height float64 `xml:"height,attr"`
	XMin   float64 `xml:"xMin,attr"`
	YMin   float64 `xml:"yMin,attr"`
	XMax   float64 `xml:"xMax,attr"`
	YMax   float64 `xml:"yMax,attr"`
	Text   string  `xml:",chardata"`
	Words  []box   `xml:"word"`
}

// pages looks for pages with nothing to read, and for text outside of the margins
// or over the footer.
func (w *world) pages(t *testing.T) {
	for _, kind := range compliance.Types {
		for _, paper := range compliance.Papers {
			w.read(t, w.quarter(), kind, func(doc *report.Document) {
				pdf := write(t, doc, report.PDF, paper)
				keepFile(t, fmt.Sprintf("%s.%s.pdf", kind, paper), pdf)
				var parsed struct {
					Pages []box `xml:"body>doc>page"`
				}
				if err := xml.Unmarshal(pdfText(t, pdf, "-bbox"), &parsed); err != nil {
					t.Fatal(err)
				}
				if len(parsed.Pages) < 3 {
					t.Errorf("%s on %s has %d pages", kind, paper, len(parsed.Pages))
				}
				for i, page := range parsed.Pages {
					checkPage(t, fmt.Sprintf("%s on %s, page %d", kind, paper, i+1), page, fmt.Sprintf("%d of %d", i+1, len(parsed.Pages)))
				}
			})
		}
	}
}

func checkPage(t *testing.T, name string, page box, number string) {
	t.Helper()
	// 18 mm on the sides, and the footer in the last 12 mm, in points.
	const side, foot = 18 * 72 / 25.4, 12 * 72 / 25.4
	body := 0
	var footer []string
	for _, word := range page.Words {
		if word.YMin > page.Height-foot-2 {
			footer = append(footer, word.Text)
		} else {
			body++
			if word.YMax > page.Height-foot {
				t.Errorf("%s: %q runs into the footer", name, word.Text)
			}
		}
		// A fraction of a point is how letters lean over.
		if word.XMin < side-1 || word.XMax > page.Width-side+1 || word.YMin < side/2 {
			t.Errorf("%s: %q is outside of the margins: %.0f to %.0f of %.0f", name, word.Text, word.XMin, word.XMax, page.Width)
		}
	}
	if body < 8 || !strings.HasSuffix(strings.Join(footer, " "), number) {
		t.Errorf("%s: %d words above the footer %q", name, body, footer)
	}
}

// get asks the API.
func (w *world) get(t *testing.T, path string, query url.Values, into any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.api.URL+path+"?"+query.Encode(), nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+w.key)
	resp, err := w.api.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if err := json.NewDecoder(resp.Body).Decode(into); err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d, %v", path, resp.StatusCode, err)
	}
}

// all gathers the items of every page of a list.
func all[Item any](t *testing.T, w *world, path string, query url.Values) []Item {
	t.Helper()
	var items []Item
	for {
		var page struct {
			Items []Item  `json:"items"`
			Next  *string `json:"next_cursor"`
		}
		w.get(t, path, query, &page)
		items = append(items, page.Items...)
		if page.Next == nil || *page.Next == "" {
			return items
		}
		query.Set("cursor", *page.Next)
	}
}

// question is a scope, as a report and as the API are asked about it.
type question struct {
	repos, teams []string
}

func (q question) query() url.Values {
	return url.Values{"repo": q.repos, "team": q.teams, "from": {"2026-07-01"}, "to": {"2026-09-30"}}
}

// figures compares what reports say with what the API answers for the same
// question.
func (w *world) figures(t *testing.T) {
	repos, err := w.db.Repos(t.Context(), w.org.ID)
	if err != nil {
		t.Fatal(err)
	}
	teams, err := w.db.Teams(t.Context(), w.org.ID)
	if err != nil {
		t.Fatal(err)
	}
	for name, q := range map[string]question{
		"all": {}, "one repository": {repos: []string{repos[0].Name}}, "two repositories": {repos: []string{repos[1].Name, repos[2].Name}},
		"a team": {teams: []string{teams[0].Name}}, "a team in a repository": {repos: []string{repos[0].Name}, teams: []string{teams[0].Name}},
	} {
		t.Run(name, func(t *testing.T) {
			soc2, audit, gdpr := w.asJSON(t, compliance.SOC2, q), w.asJSON(t, compliance.Audit, q), w.asJSON(t, compliance.GDPR, q)
			for _, made := range []parsed{soc2, audit, gdpr} {
				w.sameTotals(t, q, made)
			}
			w.sameReceipts(t, q, audit, gdpr)
			w.sameCoverage(t, q, soc2)
			// The lists of decisions and violations are filtered by pusher and not by team.
			if len(q.teams) == 0 {
				w.sameDecisions(t, q, soc2)
			}
		})
	}
}

// parsed is a report as JSON.
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
	rest := p.Sections
	for len(rest) > 0 {
		if rest[0].ID == id {
			return rest[0]
		}
		rest = append(rest[1:], rest[0].Sections...)
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

// column is the cells of a column as text.
func (s section) column(key string) []string {
	cells := []string{}
	for _, row := range s.Table.Rows {
		cells = append(cells, fmt.Sprint(row[key]))
	}
	return cells
}

// asJSON makes a report as the daemon does.
func (w *world) asJSON(t *testing.T, kind compliance.Type, q question) parsed {
	t.Helper()
	desk := &compliance.Desk{DB: w.db, Dir: t.TempDir()}
	by := access.CLI(w.org.ID)
	r, err := desk.Ask(t.Context(), by, store.Report{Type: string(kind), Format: "json", Repos: q.repos, Teams: q.teams,
		FirstDay: w.quarter().FirstDay, LastDay: w.quarter().LastDay})
	if err != nil {
		t.Fatal(err)
	}
	if err := (&compliance.Writer{DB: w.db, Dir: desk.Dir, Log: zerolog.Nop()}).Work(t.Context()); err != nil {
		t.Fatal(err)
	}
	_, file, err := desk.Open(t.Context(), by, r.ID)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var p parsed
	if err := json.NewDecoder(file).Decode(&p); err != nil {
		t.Fatal(err)
	}
	return p
}

func (w *world) sameTotals(t *testing.T, q question, made parsed) {
	t.Helper()
	var want struct {
		Receipts int64       `json:"total_receipts"`
		Current  int64       `json:"receipts_current"`
		Prompts  int64       `json:"total_prompts"`
		Cost     json.Number `json:"total_cost_usd"`
	}
	w.get(t, "/api/v1/analytics", q.query(), &want)
	totals := made.find(t, "totals")
	got := []string{totals.fact("Receipts"), totals.fact("Current receipts"), totals.fact("Prompts"), totals.fact("Cost")}
	if diff := cmp.Diff([]string{fmt.Sprint(want.Receipts), fmt.Sprint(want.Current), fmt.Sprint(want.Prompts), want.Cost.String() + " USD"}, got); diff != "" {
		t.Errorf("totals, the API's before the report's: %s", diff)
	}
}

func (w *world) sameReceipts(t *testing.T, q question, audit, gdpr parsed) {
	t.Helper()
	query := q.query()
	query.Set("sort", "timestamp")
	items := all[struct {
		ID    string `json:"id"`
		Email string `json:"user_email"`
	}](t, w, "/api/v1/receipts", query)
	ids, people := []string{}, map[string]int{}
	for _, r := range items {
		ids = append(ids, r.ID)
		people[strings.ToLower(r.Email)]++
	}
	if diff := cmp.Diff(ids, audit.find(t, "trail").column("receipt_id")); diff != "" {
		t.Errorf("receipts, the API's before the trail's: %s", diff)
	}
	counted := map[string]int{}
	for _, row := range gdpr.find(t, "people").Table.Rows {
		n, _ := row["receipts"].(float64)
		counted[fmt.Sprint(row["email"])] = int(n)
	}
	if diff := cmp.Diff(people, counted); diff != "" {
		t.Errorf("receipts by person, the API's before the report's: %s", diff)
	}
}

func (w *world) sameCoverage(t *testing.T, q question, soc2 parsed) {
	t.Helper()
	type linked struct{ Count int64 }
	var answer struct {
		Total struct {
			Commits linked           `json:"commits"`
			Noted   linked           `json:"noted"`
			Marked  linked           `json:"marked"`
			Bots    linked           `json:"bot_commits"`
			Lines   map[string]int64 `json:"lines"`
		} `json:"total"`
	}
	w.get(t, "/api/v1/coverage", q.query(), &answer)
	total := answer.Total
	want := map[string]int64{"commits": total.Commits.Count, "with_note": total.Noted.Count, "marked_without_note": total.Marked.Count,
		"bot_commits": total.Bots.Count, "added": total.Lines["added"], "ai": total.Lines["ai"], "human": total.Lines["human"], "unknown": total.Lines["unknown"]}
	gaps, got := soc2.find(t, "gaps"), map[string]int64{}
	for key := range want {
		got[key] = 0
		for _, row := range gaps.Table.Rows {
			n, _ := row[key].(float64)
			got[key] += int64(n)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("coverage, the API's before the report's: %s", diff)
	}
	if got := int64(len(soc2.find(t, "marked").Table.Rows)); got != want["marked_without_note"] {
		t.Errorf("%d commits that name a tool are listed, the API has %d", got, want["marked_without_note"])
	}
	if got := gaps.fact("Commits of people on default branches"); got != fmt.Sprint(want["commits"]) {
		t.Errorf("%s commits, the API has %d", got, want["commits"])
	}
}

func (w *world) sameDecisions(t *testing.T, q question, soc2 parsed) {
	t.Helper()
	type named struct {
		ID      string `json:"id"`
		Outcome string `json:"outcome"`
		Late    bool   `json:"late"`
		Policy  string `json:"policy_name"`
		Waiver  any    `json:"waiver_id"`
	}
	// Decisions are asked for by one repository at a time.
	scopes := []question{q}
	if len(q.repos) > 1 {
		scopes = scopes[:0]
		for _, repo := range q.repos {
			scopes = append(scopes, question{repos: []string{repo}})
		}
	}
	want, got := map[string]string{}, map[string]string{}
	for _, scope := range scopes {
		for _, d := range all[named](t, w, "/api/v1/decisions", scope.query()) {
			want[d.ID] = d.Outcome
		}
	}
	decisions := soc2.find(t, "cc6-6").Table.Rows
	for _, row := range decisions {
		got[fmt.Sprint(row["id"])] = fmt.Sprint(row["outcome"])
	}
	if diff := cmp.Diff(want, got); diff != "" || len(decisions) != len(want) {
		t.Errorf("%d decisions, the API's before the report's: %s", len(decisions), diff)
	}
	violated, waived := map[string]int{}, 0
	for _, v := range all[named](t, w, "/api/v1/violations", q.query()) {
		violated[v.Policy]++
		if v.Waiver != nil {
			waived++
		}
	}
	counted := map[string]int{}
	for _, row := range soc2.find(t, "violated").Table.Rows {
		refused, _ := row["refused"].(float64)
		warned, _ := row["warned"].(float64)
		counted[fmt.Sprint(row["policy"])] += int(refused + warned)
	}
	if diff := cmp.Diff(violated, counted); diff != "" {
		t.Errorf("violations by policy, the API's before the report's: %s", diff)
	}
	listed := strings.Count(strings.Join(soc2.find(t, "exceptions").column("why"), " "), "waiver")
	if listed != waived {
		t.Errorf("%d waived violations are exceptions, the API has %d", listed, waived)
	}
}

// erasure takes the person with the most receipts out, and looks for what is left
// of them: in every table, in reports made later in every format, in metrics, and
// in what is logged from then on.
func (w *world) erasure(t *testing.T) {
	people := w.asJSON(t, compliance.GDPR, question{}).find(t, "people").Table.Rows
	most := people[0]
	for _, row := range people {
		if row["receipts"].(float64) > most["receipts"].(float64) {
			most = row
		}
	}
	email, name := fmt.Sprint(most["email"]), fmt.Sprint(most["names"])
	var before, after map[string]any
	w.get(t, "/api/v1/analytics", question{}.query(), &before)
	if !w.names(t, email) || !w.names(t, name) {
		t.Fatalf("nothing is known of %s, %s", name, email)
	}
	w.log.Reset()
	if _, err := w.db.ErasePerson(t.Context(), access.CLI(w.org.ID), email); err != nil {
		t.Fatal(err)
	}
	w.get(t, "/api/v1/analytics", question{}.query(), &after)
	for _, part := range []string{"total_receipts", "receipts_current", "total_prompts", "total_cost_usd", "tokens", "daily_trend", "top_models", "top_repos"} {
		if diff := cmp.Diff(before[part], after[part]); diff != "" {
			t.Errorf("%s changed with the erasure: %s", part, diff)
		}
	}
	made := map[string]string{"a log": w.log.String(), "metrics": w.metrics(t)}
	for _, kind := range compliance.Types {
		w.read(t, w.quarter(), kind, func(doc *report.Document) {
			for _, format := range report.Formats {
				text := write(t, doc, format, "A4")
				if format == report.PDF {
					text = pdfText(t, text, "-raw")
				}
				made[string(kind)+"."+string(format)] = string(text)
			}
		})
	}
	for _, who := range []string{email, name} {
		if w.names(t, who) {
			t.Errorf("a table has %s still", who)
		}
		for where, text := range made {
			if strings.Contains(strings.ToLower(text), strings.ToLower(who)) {
				t.Errorf("%s has %s still", where, who)
			}
		}
	}
}

// names reports whether any row of any table has a text, in any case.
func (w *world) names(t *testing.T, text string) (found bool) {
	t.Helper()
	for _, table := range storetest.Column(t, w.db, `SELECT format('%I.%I', schemaname, tablename) FROM pg_tables WHERE schemaname <> 'information_schema' AND schemaname NOT LIKE 'pg\_%'`) {
		var in bool
		err := w.db.Pool().QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM `+table+` t WHERE strpos(lower(to_jsonb(t)::text), lower($1)) > 0)`, text).Scan(&in)
		if err != nil {
			t.Fatalf("%s: %v", table, err)
		}
		found = found || in
	}
	return found
}

func (w *world) metrics(t *testing.T) string {
	t.Helper()
	resp, err := w.api.Client().Get(w.api.URL + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("metrics: status %d, %v", resp.StatusCode, err)
	}
	return string(text)
}
