package report

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

var update = flag.Bool("update", false, "write testdata anew")

// hostile is text that means something to some format.
var hostile = []string{
	`<script>alert(1)</script>`, `=cmd|' /C calc'!A0`, `@SUM(1)`, "a|b", "`x` [y](javascript:z)", "# no heading", "two\nlines\ttab",
	"\x1b[31mred\x1b[0m", "\u202Egnp.exe", `quote " and ' &amp; \ back`, "Ωμέγα Ёлка žluť", "中文 🙂", "\xff\xfe", "",
}

func sample() *Document {
	rows := make([]Row, len(hostile))
	for i, text := range hostile {
		rows[i] = Row{text, "9943646b717d44989f5ad5eff14014859943646b", int64(1234567 * i), Decimal("1234.5"), Decimal("61.803"),
			time.Date(2026, 3, 1, 12, 30, i, 5000, time.UTC), i%2 == 0, nil, "nine"}
	}
	wide := &Table{Name: "everything", Caption: "Everything that a cell may hold", Rows: Fixed(rows...), Columns: []Column{
		{"text", "Text", Text}, {"commit", "Commit", OID}, {"lines", "Lines", Number}, {"cost_usd", "Cost", Money}, {"share", "AI share", Share},
		{"at", "At (UTC)", Time}, {"ok", "Fine", Truth}, {"nothing", "Nothing", Text}, {"last", "Last", Text}}}
	return &Document{
		Type: "audit", Title: "Audit of <everything>", Organisation: "Acme & Söhne", Made: time.Date(2026, 11, 26, 1, 2, 3, 0, time.UTC),
		Parameters: []Fact{{Name: "Period", Value: "2026-01-01 to 2026-03-31", Note: "in Europe/Athens"}},
		Main:       wide,
		Sections: []*Section{
			{ID: "summary", Title: "Summary", Paragraphs: []string{"What was found. " + strings.Repeat("It goes on for a while. ", 30), hostile[0]},
				Facts: []Fact{{Name: "Receipts", Value: "1,234", Note: "GET /api/v1/receipts?from=2026-01-01"}},
				Chart: &Chart{Title: "Receipts by month", Unit: "receipts", Labels: []string{"2026-01", "2026-02 " + strings.Repeat("long ", 20), "2026-03"}, Values: []float64{12, 0, 1234.5}}},
			{ID: "rows", Title: "Rows", Table: wide, Sections: []*Section{
				{ID: "none", Title: "None", Table: &Table{Name: "none", Columns: []Column{{"a", "A", Text}}, Empty: "There were no exceptions."}}}},
		},
	}
}

func write(t *testing.T, doc *Document, format Format, o Options) string {
	t.Helper()
	var out bytes.Buffer
	if err := Write(t.Context(), &out, doc, format, o); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

func TestGolden(t *testing.T) {
	t.Parallel()
	for _, format := range []Format{JSON, CSV, Markdown, HTML} {
		got := write(t, sample(), format, Options{})
		file := filepath.Join("testdata", "sample."+string(format))
		if *update {
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(want), got); diff != "" {
			t.Errorf("%s (go test -update writes it anew): %s", format, diff)
		}
	}
}

func TestSameDocumentSameBytes(t *testing.T) {
	t.Parallel()
	for _, format := range []Format{JSON, CSV, Markdown, HTML} {
		first := write(t, sample(), format, Options{})
		if first != write(t, sample(), format, Options{}) {
			t.Errorf("%s differs from run to run", format)
		}
	}
}

func TestCSVHoldsNoFormula(t *testing.T) {
	t.Parallel()
	doc := sample()
	for _, main := range []*Table{doc.Main, nil} {
		doc.Main = main
		records, err := csv.NewReader(strings.NewReader(write(t, doc, CSV, Options{}))).ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, record := range records {
			for _, cell := range record {
				if cell != "" && strings.Contains("=+@\t\r", cell[:1]) {
					t.Errorf("a spreadsheet would run %q", cell)
				}
			}
		}
	}
	for text, want := range map[string]string{"-1.5": "-1.5", "-1+2": "'-1+2", "+1": "'+1", "": "", "a": "a", "－1": "'－1"} {
		if got := SafeCell(text); got != want {
			t.Errorf("SafeCell(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestHTMLHoldsNoMarkupOfCells(t *testing.T) {
	t.Parallel()
	page := write(t, sample(), HTML, Options{})
	for _, bad := range []string{"<script", "\u202E", "\x1b", "javascript:z\""} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
}

func TestLongTablesSayWhatTheyLeaveOut(t *testing.T) {
	t.Parallel()
	doc := sample()
	rows := make([]Row, 2500)
	for i := range rows {
		rows[i] = Row{fmt.Sprintf("row %d", i)}
	}
	doc.Sections[1].Table = &Table{Name: "long", Columns: []Column{{"a", "A", Text}}, Rows: Fixed(rows...)}
	for _, format := range []Format{Markdown, HTML} {
		got := write(t, doc, format, Options{MaxRows: 100})
		if !strings.Contains(got, "row 99") || strings.Contains(got, "row 100") || !strings.Contains(got, "2,400 more rows are not shown") {
			t.Errorf("%s does not say that 2,400 of 2,500 rows are missing", format)
		}
	}
	var parsed struct {
		Sections []struct {
			Table struct{ Rows []json.RawMessage }
		}
	}
	if err := json.Unmarshal([]byte(write(t, doc, JSON, Options{MaxRows: 100})), &parsed); err != nil || len(parsed.Sections[1].Table.Rows) != 2500 {
		t.Errorf("JSON has %d of 2,500 rows (%v)", len(parsed.Sections[1].Table.Rows), err)
	}
}

func TestPeopleHaveFewerColumns(t *testing.T) {
	t.Parallel()
	doc := sample()
	doc.Main.People = []string{"at", "cost_usd"}
	for format, cells := range map[Format]int{CSV: 9, Markdown: 2, HTML: 2} {
		text := write(t, doc, format, Options{})
		all := strings.Contains(text, "nine")
		if all != (cells == 9) || !strings.Contains(text, "1,234.5") && !strings.Contains(text, "1234.5") {
			t.Errorf("%s has all columns: %v", format, all)
		}
	}
	doc.Main.Rows = func(context.Context) iter.Seq2[Row, error] {
		return func(yield func(Row, error) bool) { yield(nil, errBroken) }
	}
	if err := Write(t.Context(), io.Discard, doc, HTML, Options{}); !errors.Is(err, errBroken) {
		t.Errorf("the error of the rows is lost: %v", err)
	}
}

// TestPDF reads what a person would: all text, no empty page, nothing over the
// edge.
func TestPDF(t *testing.T) {
	t.Parallel()
	for _, paper := range []string{"A4", "Letter"} {
		text := pdfText(t, write(t, sample(), PDF, Options{Paper: paper}))
		pages := strings.Split(strings.TrimSuffix(text, "\f"), "\f")
		for i, page := range pages {
			if !strings.Contains(page, fmt.Sprintf("%d of %d", i+1, len(pages))) || len(strings.Fields(page)) < 12 {
				t.Errorf("%s: page %d of %d is empty or has no number:\n%s", paper, i+1, len(pages), page)
			}
		}
		words := strings.Join(strings.Fields(text), " ")
		for _, want := range []string{"Audit of <everything>", "Acme & Söhne", "Ωμέγα", "Ёлка", "[U+4E2D][U+6587]", "There were no exceptions.", "$1,234.5", "9943646b717d"} {
			if !strings.Contains(words, want) && !strings.Contains(strings.ReplaceAll(words, " ", ""), strings.ReplaceAll(want, " ", "")) {
				t.Errorf("%s: %q is missing in\n%s", paper, want, text)
			}
		}
	}
}

func pdfText(t *testing.T, pdf string) string {
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
	return string(out)
}

func TestWidthsFillThePage(t *testing.T) {
	t.Parallel()
	for _, wants := range [][]float64{{10}, {10, 20}, {500, 10}, {500, 500, 1}, {100, 100, 100, 100}, {0, 0}} {
		var sum float64
		for _, w := range shareOut(174, wants) {
			sum += w
			if w <= 0 {
				t.Errorf("%v: a column without width", wants)
			}
		}
		if sum < 173.9 || sum > 174.1 {
			t.Errorf("%v: %.1f of 174 mm", wants, sum)
		}
	}
}

var errBroken = errors.New("the database went away")

func TestErrorsOfRowsEndTheReport(t *testing.T) {
	t.Parallel()
	doc := sample()
	doc.Main.Rows = func(context.Context) iter.Seq2[Row, error] {
		return func(yield func(Row, error) bool) { yield(nil, errBroken) }
	}
	for _, format := range Formats {
		if err := Write(t.Context(), io.Discard, doc, format, Options{}); !errors.Is(err, errBroken) {
			t.Errorf("%s: %v", format, err)
		}
	}
	doc.Main.Rows = Fixed(Row{"too", "few"})
	if err := Write(t.Context(), io.Discard, doc, CSV, Options{}); err == nil {
		t.Error("a row of two cells under nine columns is taken")
	}
	if err := Write(t.Context(), io.Discard, doc, "docx", Options{}); err == nil {
		t.Error("docx is taken")
	}
}

func TestErrorsOfTheWriterAreTold(t *testing.T) {
	t.Parallel()
	for _, format := range Formats {
		if err := Write(t.Context(), brokenPipe{}, sample(), format, Options{}); !errors.Is(err, errBroken) {
			t.Errorf("%s: %v", format, err)
		}
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errBroken }

func validate(t *testing.T, report string) {
	t.Helper()
	schema, err := jsonschema.UnmarshalJSON(bytes.NewReader(Schema))
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
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(report))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled.Validate(value); err != nil {
		t.Error(err)
	}
}

// TestJSONIsBySchema checks names and shapes; kinds and types are in the golden
// file.
func TestJSONIsBySchema(t *testing.T) {
	t.Parallel()
	validate(t, write(t, sample(), JSON, Options{}))
	if !regexp.MustCompile(`"cost_usd":"1234.5"`).MatchString(write(t, sample(), JSON, Options{})) {
		t.Error("an amount is not text")
	}
}
