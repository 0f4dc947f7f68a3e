package compliance

import (
	"bytes"
	"strings"
	"testing"

	"github.com/blameprompt/enterprise/httpapi/report"
)

// TestPersonIsReadable writes everything that is kept of a person as pages.
func TestPersonIsReadable(t *testing.T) {
	t.Parallel()
	w := newWorld(t, 300)
	for format, wants := range map[report.Format][]string{
		report.HTML:     {"<h1>What is kept of dev1@example.com</h1>", "Receipts: what was asked of AI tools", "<dt>User email</dt><dd>dev1@example.com", "Art. 15"},
		report.Markdown: {"# What is kept of dev1\\@example.com", "## Reviews that were given", "- **Comment:** \\@SUM(1)"},
	} {
		p := Person{Email: "dev1@example.com", Organisation: "Acme", Made: day(2026, 11, 26)}
		if format == report.Markdown {
			p.Email = "eve@example.com"
			wants[0] = "# What is kept of eve\\@example.com"
		}
		if err := w.db.ExportPerson(t.Context(), w.by, p.Email, p.Add); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := report.Write(t.Context(), &out, p.Document(), format, report.Options{}); err != nil {
			t.Fatal(err)
		}
		for _, want := range wants {
			if !strings.Contains(out.String(), want) {
				t.Errorf("%s: %q is missing in %.3000s", format, want, out.String())
			}
		}
	}
	p := Person{Email: "nobody@example.com", Organisation: "Acme"}
	if err := w.db.ExportPerson(t.Context(), w.by, p.Email, p.Add); err != nil {
		t.Fatal(err)
	}
	if text := p.Document().Sections[0].Paragraphs[2]; text != "Nothing is kept." {
		t.Errorf("of nobody it says %q", text)
	}
}
