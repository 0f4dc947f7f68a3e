package httpapi_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"testing"

	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/httpapi"
	"github.com/blameprompt/enterprise/httpapi/report/compliance"
)

// TestReportIsAskedForAndFetched goes the way of a client: ask, wait, fetch,
// compare, remove.
func TestReportIsAskedForAndFetched(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	w := newWorld(t, func(c *httpapi.Config) { c.ReportDir = dir })
	asked := map[string]any{"type": "soc2", "format": "html", "from": "2026-01-01", "to": "2026-03-31"}
	var made httpapi.Report
	w.post(w.admin, "/api/v1/reports", asked).want(202).into(&made)
	path := "/api/v1/reports/" + made.Id.String()
	if made.State != "waiting" || made.Paper != "A4" || made.Sha256 != nil {
		t.Errorf("made %+v", made)
	}
	if code := w.get(w.admin, path+"/content").want(409).problem().Code; code != "not_done" {
		t.Errorf("a report that waits is answered with %s", code)
	}
	writer := &compliance.Writer{DB: w.db, Dir: dir, Log: zerolog.Nop()}
	if err := writer.Work(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.get(w.admin, path).want(200).into(&made)
	content := w.get(w.admin, path+"/content").want(200)
	sum := sha256.Sum256([]byte(content.body))
	if made.State != "done" || made.Sha256 == nil || *made.Sha256 != hex.EncodeToString(sum[:]) || *made.Bytes != int64(len(content.body)) {
		t.Errorf("%d bytes of %+v", len(content.body), made)
	}
	for header, want := range map[string]string{"Content-Disposition": `attachment; filename="soc2-2026-01-01-2026-03-31.html"`,
		"Content-Type": "text/html; charset=utf-8", "Content-Security-Policy": "sandbox; default-src 'none'", "X-Content-Type-Options": "nosniff"} {
		if got := content.header.Get(header); got != want {
			t.Errorf("%s is %q, want %q", header, got, want)
		}
	}
	lost := filepath.Join(dir, made.Id.String())
	if err := os.Rename(lost, lost+".away"); err != nil {
		t.Fatal(err)
	}
	if code := w.get(w.admin, path+"/content").want(410).problem().Code; code != "file_gone" {
		t.Errorf("a report whose file is gone is answered with %s", code)
	}
	w.get(w.foreignAdmin, path).want(404)
	w.get(w.foreignAdmin, path+"/content").want(404)
	w.do(call{method: http.MethodDelete, path: path, key: w.foreignAdmin}).want(404)
	w.do(call{method: http.MethodDelete, path: path, key: w.admin}).want(204)
	w.get(w.admin, path+"/content").want(404)
}

func TestReportsAreCheckedWhenTheyAreAskedFor(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for field, change := range map[string]map[string]any{
		"type": {"type": "iso"}, "format": {"format": "docx"}, "from": {"from": "yesterday"}, "to": {"to": "2025-12-31"},
		"repo": {"repos": []string{"nowhere"}}, "team": {"teams": []string{"nobody"}}, "paper": {"paper": "A3"},
	} {
		asked := map[string]any{"type": "audit", "format": "csv", "from": "2026-01-01", "to": "2026-03-31"}
		for name, value := range change {
			asked[name] = value
		}
		if p := w.post(w.admin, "/api/v1/reports", asked).want(400).problem(); len(p.fields()) == 0 {
			t.Errorf("%s: no field is named: %+v", field, p)
		}
	}
	var schema map[string]any
	if err := json.Unmarshal([]byte(w.get(w.read, "/api/v1/report-schema").want(200).body), &schema); err != nil || schema["title"] != "Report" {
		t.Errorf("the schema: %v %v", schema["title"], err)
	}
}
