package httpapi_test

import (
	"encoding/json"
	"strings"
	"testing"
)

// TestWhatIsKeptOfAPersonIsOneAnswerOrAFile asks for the same in each format.
func TestWhatIsKeptOfAPersonIsOneAnswerOrAFile(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.seed()
	ask := func(accept, email string) reply {
		return w.do(call{method: "POST", path: "/api/v1/people/export", key: w.admin, body: map[string]any{"email": email},
			header: map[string]string{"Accept": accept}})
	}
	var rows struct {
		Items []struct {
			Table string
			Row   json.RawMessage
		}
	}
	ask("application/json", "ann@example.com").want(200).into(&rows)
	if len(rows.Items) == 0 {
		t.Fatal("nothing is kept of somebody with receipts")
	}
	lines := ask("application/x-ndjson", "ann@example.com").want(200)
	if n := strings.Count(string(lines.body), "\n"); n < len(rows.Items) {
		t.Errorf("%d lines, and %d rows in the JSON answer", n, len(rows.Items))
	}
	for accept, want := range map[string]struct{ file, says string }{
		"text/html":     {"person.html", "<h1>What is kept of ann@example.com</h1>"},
		"text/markdown": {"person.md", "# What is kept of ann\\@example.com"},
	} {
		got := ask(accept, "ann@example.com").want(200)
		if d := got.header.Get("Content-Disposition"); d != `attachment; filename="`+want.file+`"` {
			t.Errorf("%s: the file is %s", accept, d)
		}
		if !strings.Contains(string(got.body), want.says) || !strings.Contains(string(got.body), "Parser of DOOM") {
			t.Errorf("%s does not say what is kept:\n%.2000s", accept, got.body)
		}
	}
	ask("application/pdf", "ann@example.com").want(406)
	if got := ask("text/html", "nobody@example.com").want(200); !strings.Contains(string(got.body), "Nothing is kept.") {
		t.Errorf("of nobody the page says\n%.2000s", got.body)
	}
}
