package httpapi_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

const commitA, commitB = "1111111111111111111111111111111111111111", "2222222222222222222222222222222222222222"

// receipt is one as the client writes it; change overrides its members.
func receipt(id, at string, change map[string]any) map[string]any {
	r := map[string]any{"id": id, "provider": "claude", "model": "claude-opus-4-6", "session_id": "s-" + id, "prompt_number": 1,
		"prompt_summary": "add a parser", "cost_usd": 0.25, "user": "Ann <ann@example.com>", "timestamp": at,
		"files_changed": []any{map[string]any{"path": "src/a.go", "line_range": []int{1, 9}}}}
	for name, value := range change {
		r[name] = value
	}
	return r
}

// seed posts six receipts, r1 the oldest, in two repositories.
func (w *world) seed() {
	w.t.Helper()
	post := func(repo, commit string, receipts ...map[string]any) {
		w.t.Helper()
		got := w.post(w.ingest, "/api/v1/receipts", map[string]any{"repo": repo, "commit_hash": commit, "receipts": receipts}).want(200)
		var posted struct{ Accepted, Duplicates int }
		if got.into(&posted); posted.Accepted != len(receipts) || posted.Duplicates != 0 {
			w.t.Fatalf("posting: %s", got.body)
		}
	}
	post("backend", commitA,
		receipt("r1", "2026-03-01T10:00:00Z", nil),
		receipt("r2", "2026-03-02T23:30:00Z", map[string]any{"model": "claude-sonnet-4-5", "cost_usd": 0.1,
			"prompt_summary": "fix 50% of_the bugs"}),
		receipt("r3", "2026-03-03T10:00:00Z", map[string]any{"provider": "codex", "model": "gpt-5", "cost_usd": nil,
			"user": "Bob <BOB@Example.com>"}))
	post("web/app", commitB,
		receipt("r4", "2026-03-04T10:00:00Z", map[string]any{"user": "Bob <bob@example.com>", "cost_usd": 1.5,
			"files_changed": []any{map[string]any{"path": "web/x.ts", "line_range": []int{3, 4}}}}),
		receipt("r5", "2026-03-05T10:00:00Z", map[string]any{"model": "claude-sonnet-4-5", "prompt_summary": "=Parser of DOOM"}),
		receipt("r6", "2026-03-05T10:00:00Z", map[string]any{"cost_usd": 0.0123456789}))
}

func TestReceiptsAreFiltered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.makeTeam("platform", "ann@example.com")
	backend, err := w.db.Repo(context.Background(), w.org.ID, "backend")
	if err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]string{
		"":                            "r6 r5 r4 r3 r2 r1",
		"sort=timestamp":              "r1 r2 r3 r4 r5 r6",
		"sort=-cost":                  "r4 r5 r1 r2 r6 r3",
		"repo=backend":                "r3 r2 r1",
		"repo=" + backend.ID.String(): "r3 r2 r1",
		"repo=web%2Fapp":              "r6 r5 r4",
		"repo=backend&repo=web%2Fapp": "r6 r5 r4 r3 r2 r1",
		"user=bob%40example.com":      "r4 r3",
		"user=BOB%40EXAMPLE.COM":      "r4 r3",
		"user=bob":                    "r4 r3",
		"user=nobody":                 "",
		"model=claude-sonnet-4-5":     "r5 r2",
		"model=claude-*":              "r6 r5 r4 r2 r1",
		"model=*5":                    "r5 r3 r2",
		"model=claude-_pus*":          "",
		"model=none*":                 "",
		"provider=codex":              "r3",
		"team=platform":               "r6 r5 r2 r1",
		"team=platform&model=*4-5":    "r5 r2",
		"team=platform&user=bob":      "",
		"from=2026-03-03":             "r6 r5 r4 r3",
		"to=2026-03-02":               "r2 r1",
		"to=2026-03-02T23:30:00Z":     "r1",
		"from=2026-03-02T23:30:00Z&to=2026-03-03":        "r3 r2",
		"from=2026-03-03T00:30:00%2B01:00&to=2026-03-02": "r2",
		"from=2026-03-03T00:30:00+01:00&to=2026-03-02":   "r2",
		"commit=1111111":                        "r3 r2 r1",
		"commit=" + commitB:                     "r6 r5 r4",
		"commit=1111111&repo=web%2Fapp":         "",
		"commit=3333333":                        "",
		"path=web%2Fx.ts":                       "r4",
		"path=web%2F":                           "r4",
		"path=*.go":                             "r6 r5 r3 r2 r1",
		"path=src":                              "",
		"q=PARSER":                              "r6 r5 r4 r3 r1",
		"q=50%25+of_the":                        "r2",
		"q=50_":                                 "",
		"source=api":                            "r6 r5 r4 r3 r2 r1",
		"source=git-ai":                         "",
		"current=false":                         "",
		"current=true&repo=backend":             "r3 r2 r1",
		"min_cost=0.25":                         "r6 r5 r4 r1",
		"min_cost=0.25&max_cost=1":              "r5 r1",
		"max_cost=0.1":                          "r6 r2",
		"repo=backend&model=*-5&sort=timestamp": "r2 r3",
		"repo=backend&provider=claude&source=api": "r2 r1",
	} {
		if want == "r6 r5 r4 r1" {
			want = "r5 r4 r1"
		}
		if got := w.ids(query); got != want {
			t.Errorf("?%s gives %q, want %q", query, got, want)
		}
	}
}

func (w *world) makeTeam(name string, emails ...string) {
	w.t.Helper()
	ctx, id := context.Background(), uuid.New()
	_, err := w.db.Pool().Exec(ctx, `INSERT INTO teams (id, org_id, name) VALUES ($1, $2, $3)`, id, w.org.ID, name)
	if err == nil {
		_, err = w.db.Pool().Exec(ctx, `INSERT INTO team_members (org_id, team_id, email) SELECT $1, $2, unnest($3::text[])`,
			w.org.ID, id, emails)
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestDatesAreDaysOfTheOrganisation(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if _, err := w.db.Pool().Exec(context.Background(), `UPDATE orgs SET time_zone = 'Asia/Tokyo' WHERE id = $1`, w.org.ID); err != nil {
		t.Fatal(err)
	}
	w.seed()
	// r2 was made on 2 March in London and on 3 March in Tokyo.
	if got := w.ids("from=2026-03-03&to=2026-03-03"); got != "r3 r2" {
		t.Errorf("3 March in Tokyo holds %q, want r3 r2", got)
	}
}

func TestPagesCoverEverythingOnceInEveryOrder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	for _, query := range []string{"", "sort=timestamp", "sort=-cost", "repo=backend&sort=-cost", "repo=backend&repo=web%2Fapp&model=claude*",
		"user=ann%40example.com&model=claude*&sort=timestamp"} {
		want := w.ids(query)
		for limit := 1; limit <= 4; limit++ {
			if got := strings.Join(w.walk(query, limit), " "); got != want {
				t.Errorf("?%s in pages of %d gives %q, want %q", query, limit, got, want)
			}
		}
	}
}

// walk follows next_cursor to the end.
func (w *world) walk(query string, limit int) (ids []string) {
	w.t.Helper()
	next := ""
	for range 10_000 {
		var p page
		w.get(w.read, fmt.Sprintf("/api/v1/receipts?limit=%d&%s&%s", limit, query, next)).want(200).into(&p)
		for _, item := range p.Items {
			ids = append(ids, item.ID)
		}
		if p.NextCursor == nil {
			return ids
		}
		if len(p.Items) != limit {
			w.t.Fatalf("a page of %d items with a cursor, want %d", len(p.Items), limit)
		}
		next = "cursor=" + *p.NextCursor
	}
	w.t.Fatal("the pages do not end")
	return nil
}

func TestACursorIsBoundToItsList(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	var p page
	w.get(w.read, "/api/v1/receipts?limit=1&repo=backend").want(200).into(&p)
	cursor := *p.NextCursor
	w.get(w.read, "/api/v1/receipts?limit=2&repo=backend&cursor="+cursor).want(200)
	for _, query := range []string{"repo=web%2Fapp", "repo=backend&sort=timestamp", "repo=backend&model=gpt-5", ""} {
		got := w.get(w.read, "/api/v1/receipts?"+query+"&cursor="+cursor).want(400).problem()
		if got.fields() != "cursor" {
			t.Errorf("?%s with a cursor of another list complains of %q, want cursor", query, got.fields())
		}
	}
}

func TestAReceiptOfTwoRepositoriesIsFoundInBoth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a := storetest.MustRepo(t, w.db, w.org, "a", "https://git.example.com/a.git")
	b := storetest.MustRepo(t, w.db, w.org, "b", "https://git.example.com/b.git")
	w.note(a, commitA, "both", "only-a")
	w.note(b, commitB, "both", "only-b")
	// The content comes from the body that was noted last, in b.
	for query, want := range map[string]string{
		"repo=a": "only-a both", "repo=b": "only-b both", "repo=a&repo=b": "only-b only-a both", "": "only-b only-a both",
		"repo=a&model=m-1": "only-a both", "repo=a&model=none": "", "repo=a&sort=timestamp": "both only-a",
		"repo=a&sort=-cost": "only-a both", "repo=a&commit=" + commitB: "", "repo=a&commit=" + commitA: "only-a both",
	} {
		if got := w.ids(query); got != want {
			t.Errorf("?%s gives %q, want %q", query, got, want)
		}
	}
	if got := strings.Join(w.walk("repo=a", 1), " "); got != "only-a both" {
		t.Errorf("pages of repository a give %q", got)
	}
}

// note takes a note with receipts of these ids into a repository, the first of
// them made first.
func (w *world) note(repo store.Repo, commit string, ids ...string) {
	w.t.Helper()
	ctx := context.Background()
	src := store.Source{Org: w.org, Repo: repo, Ref: "refs/notes/blameprompt"}
	at := time.Date(2026, 4, 1, 12, 0, 0, 0, time.UTC)
	if repo.Name == "b" {
		at = at.Add(time.Hour)
	}
	n := notes.Note{Format: notes.FormatBlamePrompt, FormatVersion: "1"}
	for i, id := range ids {
		made := at
		if i == 0 {
			made = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
		}
		n.Receipts = append(n.Receipts, notes.Receipt{ID: id, Index: i, Model: "m-1", Provider: "p", CostUSD: fmt.Sprint(i + 1),
			Timestamp: made, Files: []notes.FileChange{{Path: "f", LineStart: 1, LineEnd: 2}}})
	}
	pair := store.Pair{Commit: commit, Blob: strings.Repeat("b", 40)}
	version := store.Version{Commit: commit, NotesCommit: "n" + commit[1:], Blob: pair.Blob, AuthoredAt: at, CommittedAt: at}
	err := w.db.Intake(ctx, src, func(in *store.Intake) error {
		if err := in.MoveTip(ctx, "", version.NotesCommit); err != nil {
			return err
		}
		batch := store.Batch{Versions: []store.Version{version}, Tip: []store.TipNote{{Pair: pair}}, Bodies: []store.Body{{Pair: pair, Size: 9, Note: n}}}
		if err := in.Stage(ctx, store.NewRows(src, batch)); err != nil {
			return err
		}
		return in.Merge(ctx, store.MergeOptions{WholeTip: true, TipVersion: version}, func(context.Context, []store.BodyRef) error { return nil })
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

func TestAReceiptShowsAllThatIsKnownOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.note(storetest.MustRepo(t, w.db, w.org, "a", "https://git.example.com/a.git"), commitA, "x/y z")
	w.note(storetest.MustRepo(t, w.db, w.org, "b", "https://git.example.com/b.git"), commitB, "x/y z")
	var got struct {
		ID         string
		CostUSD    float64 `json:"cost_usd"`
		Provenance struct {
			Repo, Ref, Commit string
			NoteBlob          string `json:"note_blob"`
			NotesCommit       string `json:"notes_commit"`
		}
		Files   []struct{ Path string }
		Commits []struct {
			Repo, Commit string
			SameContent  bool `json:"same_content"`
		}
		Versions []struct{ Commit string }
	}
	w.get(w.read, "/api/v1/receipts/"+url.PathEscape("x/y z")).want(200).into(&got)
	if got.ID != "x/y z" || got.CostUSD != 1 || got.Provenance.Repo != "b" || got.Provenance.Ref != "refs/notes/blameprompt" ||
		got.Provenance.Commit != commitB || got.Provenance.NotesCommit != "n"+commitB[1:] || got.Provenance.NoteBlob != strings.Repeat("b", 40) {
		t.Errorf("the receipt is %+v", got)
	}
	if len(got.Files) != 1 || got.Files[0].Path != "f" || len(got.Versions) != 2 {
		t.Errorf("files and versions are %+v", got)
	}
	if len(got.Commits) != 2 || got.Commits[0].Repo != "b" || got.Commits[1].Repo != "a" || !got.Commits[1].SameContent {
		t.Errorf("commits are %+v", got.Commits)
	}
	w.get(w.read, "/api/v1/receipts/none").want(404).problem()
}

func TestCostsAreExact(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	// More digits than a float64 holds.
	const exact = `123456789.123456789012`
	w.post(w.ingest, "/api/v1/receipts?repo=backend", `[{"id":"e","cost_usd":`+exact+`,"session_id":"s","model":"m"}]`).want(200)
	for _, path := range []string{"/api/v1/receipts", "/api/v1/receipts/e"} {
		if got := w.get(w.read, path).want(200); !bytes.Contains(got.body, []byte(`"cost_usd":123456789.123456789012`)) {
			t.Errorf("%s does not show the cost as it was: %s", path, got.body)
		}
	}
	if got := w.get(w.read, "/api/v1/analytics").want(200); !bytes.Contains(got.body, []byte(`"total_cost_usd":123456789.123456789012`)) {
		t.Errorf("analytics do not show the cost as it was: %s", got.body)
	}
}

func TestPostedReceiptsAreJudgedOneByOne(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	type posted struct {
		Accepted, Duplicates int
		Rejected             []struct {
			Index int
			Error string
		}
	}
	one := receipt("p1", "2026-03-01T10:00:00Z", nil)
	for _, test := range []struct {
		name, path           string
		body                 any
		accepted, duplicates int
		rejected             []int
	}{
		{"an array with the repository in the query", "?repo=backend&commit=" + commitA, []any{one}, 1, 0, nil},
		{"the same again", "?repo=backend", []any{one}, 0, 1, nil},
		{"an object", "", map[string]any{"repo": "backend", "commit_hash": commitA, "receipts": []any{receipt("p2", "", nil), one}}, 1, 1, nil},
		{"a note payload", "?repo=backend&commit=" + strings.ToUpper(commitA),
			map[string]any{"blameprompt_version": "1.0.1", "receipts": []any{receipt("p3", "", nil)}}, 1, 0, nil},
		{"a bad one among good ones", "?repo=new", []any{receipt("p4", "", nil), "nonsense", receipt("p5", "", nil), 7}, 2, 0, []int{1, 3}},
		{"none", "?repo=backend", []any{}, 0, 0, nil},
		{"whole notes", "", map[string]any{"repo": "backend", "notes": []any{
			note(commitA, receipt("p6", "", nil), one), note(commitB, receipt("p7", "", nil), receipt("p6", "", nil)),
			map[string]any{"commit_hash": commitB, "content": "no note"}, note("HEAD", receipt("p8", "", nil)),
		}}, 2, 2, []int{2, 3}},
		{"whole notes with the repository in the query", "?repo=backend", map[string]any{"notes": []any{
			map[string]any{"commit_hash": strings.ToUpper(commitB), "content": `{"receipts":[{"id":"p9"}]} {"receipts":[{"id":"p10"}]}`},
		}}, 2, 0, nil},
		{"a receipt with a member of that name", "?repo=backend", map[string]any{"id": "p11", "notes": []any{"mine"}}, 1, 0, nil},
	} {
		var got posted
		w.post(w.ingest, "/api/v1/receipts"+test.path, test.body).want(200).into(&got)
		var rejected []int
		for _, r := range got.Rejected {
			rejected = append(rejected, r.Index)
			if r.Error == "" {
				t.Errorf("%s: no reason for %d", test.name, r.Index)
			}
		}
		if got.Accepted != test.accepted || got.Duplicates != test.duplicates || !cmp.Equal(rejected, test.rejected) {
			t.Errorf("%s: %+v, want %+v", test.name, got, test)
		}
	}
	if got := w.ids("repo=new"); len(strings.Fields(got)) != 2 {
		t.Errorf("the new repository holds %q", got)
	}
	if got := w.ids("commit=" + commitB); len(strings.Fields(got)) != 3 {
		t.Errorf("the commit of two notes has the receipts %q", got)
	}
	for body, field := range map[string]string{
		`{"repo":"backend","notes":{}}`:               "notes",
		`{"repo":"backend","notes":["note"]}`:         "notes",
		`{"repo":7,"notes":[]}`:                       "repo",
		`{"notes":[{"commit_hash":"","content":""}]}`: "repo",
	} {
		got := w.do(call{method: "POST", path: "/api/v1/receipts", key: w.ingest, body: []byte(body)}).want(400)
		if !bytes.Contains(got.body, []byte(`"field":"`+field+`"`)) {
			t.Errorf("%s: %s", body, got.body)
		}
	}
}

// note is a whole note as it is posted.
func note(commit string, receipts ...any) map[string]any {
	content, err := json.Marshal(map[string]any{"blameprompt_version": "1.0.1", "receipts": receipts})
	if err != nil {
		panic(err)
	}
	return map[string]any{"commit_hash": commit, "content": string(content)}
}

func TestPostedReceiptsMayBeCompressed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var body bytes.Buffer
	z := gzip.NewWriter(&body)
	fmt.Fprint(z, `[{"id":"z1","model":"m"}]`)
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	w.do(call{method: "POST", path: "/api/v1/receipts?repo=backend", key: w.ingest, body: body.Bytes(),
		header: map[string]string{"Content-Encoding": "gzip"}}).want(200)
	if got := w.ids(""); got != "z1" {
		t.Errorf("stored %q, want z1", got)
	}
}

func TestCSVHoldsTheWholeFilteredSet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	got := w.do(call{method: "GET", path: "/api/v1/receipts?user=ann%40example.com", key: w.read, header: map[string]string{"Accept": "text/csv"}}).want(200)
	rows, err := csv.NewReader(bytes.NewReader(got.body)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range rows[0] {
		column[name] = i
	}
	var ids, summaries, costs []string
	for _, row := range rows[1:] {
		ids, summaries, costs = append(ids, row[column["id"]]), append(summaries, row[column["prompt_summary"]]), append(costs, row[column["cost_usd"]])
	}
	if diff := cmp.Diff([]string{"r6", "r5", "r2", "r1"}, ids); diff != "" {
		t.Errorf("receipts (-want +got):\n%s", diff)
	}
	if summaries[1] != "'=Parser of DOOM" {
		t.Errorf("a formula came out as %q", summaries[1])
	}
	if costs[0] != "0.0123456789" {
		t.Errorf("a cost came out as %q", costs[0])
	}
	if kind := got.header.Get("Content-Type"); !strings.HasPrefix(kind, "text/csv") {
		t.Errorf("Content-Type %q", kind)
	}
}

func TestCSVGoesOnOverManyPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	storetest.Fill(t, w.db.Pool(), w.org.ID, 2500)
	for _, sort := range []string{"-timestamp", "timestamp", "-cost"} {
		got := w.do(call{method: "GET", path: "/api/v1/receipts?sort=" + sort, key: w.read, header: map[string]string{"Accept": "text/csv"}}).want(200)
		rows, err := csv.NewReader(bytes.NewReader(got.body)).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]bool{}
		for _, row := range rows[1:] {
			seen[row[0]] = true
		}
		if len(rows) != 2501 || len(seen) != 2500 {
			t.Errorf("sort=%s: %d rows of %d receipts, want 2500", sort, len(rows)-1, len(seen))
		}
	}
}

func TestAnalyticsKeepTheSeedsShape(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	w.makeTeam("platform", "ann@example.com")
	type sums struct {
		TotalReceipts int              `json:"total_receipts"`
		TotalPrompts  int              `json:"total_prompts"`
		TotalCost     store.Decimal    `json:"total_cost_usd"`
		Percentage    *float64         `json:"ai_code_percentage"`
		TopModels     []map[string]any `json:"top_models"`
		TopRepos      []map[string]any `json:"top_repos"`
		DailyTrend    []map[string]any `json:"daily_trend"`
	}
	var all sums
	w.get(w.read, "/api/v1/analytics").want(200).into(&all)
	want := sums{TotalReceipts: 6, TotalPrompts: 6, TotalCost: "2.1123456789",
		TopModels: []map[string]any{
			{"model": "claude-opus-4-6", "count": 3.0, "cost": 1.7623456789},
			{"model": "claude-sonnet-4-5", "count": 2.0, "cost": 0.35},
			{"model": "gpt-5", "count": 1.0, "cost": 0.0}},
		TopRepos: []map[string]any{
			{"repo": "web/app", "receipts": 3.0, "cost": 1.7623456789},
			{"repo": "backend", "receipts": 3.0, "cost": 0.35}},
		DailyTrend: []map[string]any{
			{"date": "2026-03-01", "receipts": 1.0, "cost": 0.25}, {"date": "2026-03-02", "receipts": 1.0, "cost": 0.1},
			{"date": "2026-03-03", "receipts": 1.0, "cost": 0.0}, {"date": "2026-03-04", "receipts": 1.0, "cost": 1.5},
			{"date": "2026-03-05", "receipts": 2.0, "cost": 0.2623456789}}}
	if diff := cmp.Diff(want, all); diff != "" {
		t.Errorf("analytics (-want +got):\n%s", diff)
	}
	for query, want := range map[string]string{
		"from=2026-03-02&to=2026-03-03":                     "2 0.1",
		"from=2026-03-02T12:00:00Z&to=2026-03-02T13:00:00Z": "1 0.1",
		"repo=backend":                "3 0.35",
		"repo=backend&repo=web%2Fapp": "6 2.1123456789",
		"team=platform":               "4 0.6123456789",
		"team=platform&repo=backend":  "2 0.35",
		"from=2030-01-01":             "0 0",
	} {
		var got sums
		w.get(w.read, "/api/v1/analytics?"+query).want(200).into(&got)
		if s := fmt.Sprint(got.TotalReceipts, " ", got.TotalCost); s != want {
			t.Errorf("analytics?%s sum up to %q, want %q", query, s, want)
		}
	}
}

func TestTheOtherOrganisationSeesNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	reader := storetest.MustKey(t, w.db, w.foreign, access.Read)
	var p page
	if w.get(reader, "/api/v1/receipts").want(200).into(&p); len(p.Items) != 0 {
		t.Errorf("a foreign key sees %d receipts", len(p.Items))
	}
	var sums struct {
		Total int `json:"total_receipts"`
	}
	if w.get(reader, "/api/v1/analytics").want(200).into(&sums); sums.Total != 0 {
		t.Errorf("a foreign key sees %d receipts in analytics", sums.Total)
	}
}
