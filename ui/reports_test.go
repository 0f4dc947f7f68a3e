package ui

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/httpapi/report/compliance"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store/storetest"
)

// writeReports does what the task does at a moment.
func (w *world) writeReports(at time.Time) {
	w.t.Helper()
	writer := &compliance.Writer{DB: w.db, Dir: w.desk.Dir, Log: zerolog.Nop(), Now: func() time.Time { return at }}
	if err := writer.Work(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

var reportID = regexp.MustCompile(`/reports/([0-9a-f-]{36})/`)

// TestAReportIsAskedForWatchedFetchedAndRemoved goes the way of a person without
// JavaScript.
func TestAReportIsAskedForWatchedFetchedAndRemoved(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	storetest.MustRepo(t, w.db, w.org, "payments/web", "")
	b := w.person(w.org, "ada@example.com", access.RoleAdmin)
	b.get("/reports").want(200).says("No report was asked for yet").says("last quarter")
	b.post("/reports", "type", "soc2", "format", "html", "paper", "A4", "every", "", "from", "2026-01-01", "to", "2026-03-31", "repos", "payments/web").
		leads("/reports?done=report-asked")
	waiting := b.get("/reports?done=report-asked").want(200).says("The report is being made").says("waiting").says(`hx-trigger="every 2s"`).says("Cancel")
	id := reportID.FindStringSubmatch(waiting.body)[1]
	b.get("/reports/" + id + "/file").want(http.StatusConflict).says("The report has no file")
	w.writeReports(w.clock.time())
	listed := b.get("/reports").want(200).says("done").says("2026-01-01 to 2026-03-31").says("payments/web").says(`<td class="name"><bdi>ada@example.com`)
	if strings.Contains(listed.body, "hx-trigger=\"every") {
		t.Error("the list is asked for again though nothing is being made")
	}
	file := b.get("/reports/" + id + "/file").want(200).says("SOC 2")
	sum := sha256.Sum256([]byte(file.body))
	listed.says(hex.EncodeToString(sum[:]))
	if got := file.header.Get("Content-Disposition"); got != `attachment; filename="soc2-2026-01-01-2026-03-31.html"` {
		t.Errorf("it is saved as %q", got)
	}
	foreign := w.person(w.rival, "eve@example.com", access.RoleAdmin)
	foreign.get("/reports/" + id + "/file").want(404)
	foreign.post("/reports/" + id + "/remove").want(404)
	b.post("/reports/" + id + "/remove").leads("/reports?done=report-removed")
	b.get("/reports/" + id + "/file").want(404)
	acts := storetest.Column(t, w.db, `SELECT action FROM audit_log WHERE target = $1 ORDER BY seq`, id)
	if got := strings.Join(acts, " "); got != "report.create report.fetch report.remove" {
		t.Errorf("the acts are %q", got)
	}
}

func TestAReportIsScheduled(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.person(w.org, "ada@example.com", access.RoleAdmin)
	b.post("/reports", "type", "audit", "format", "csv", "every", "month").leads("/reports?done=report-scheduled")
	page := b.get("/reports").want(200).says("Made regularly").says("every month")
	id := regexp.MustCompile(`/reports/schedules/([0-9a-f-]{36})/`).FindStringSubmatch(page.body)[1]
	w.writeReports(w.clock.time())
	b.get("/reports").says("No report was asked for yet")
	w.writeReports(w.clock.time().AddDate(0, 0, 32))
	b.get("/reports").says("a schedule").says("done")
	w.person(w.rival, "eve@example.com", access.RoleAdmin).post("/reports/schedules/" + id + "/remove").want(404)
	b.post("/reports/schedules/" + id + "/remove").leads("/reports?done=schedule-ended")
}

// TestWhatCannotBeReportedIsRefusedAtItsField shows the form as it was filled in.
func TestWhatCannotBeReportedIsRefusedAtItsField(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	b := w.person(w.org, "ada@example.com", access.RoleAdmin)
	for field, change := range map[string][2]string{"type": {"type", "iso"}, "format": {"format", "docx"}, "paper": {"paper", "A3"}, "to": {"to", "2025-01-01"},
		"from": {"from", ""}, "every": {"every", "day"}, "repos": {"repos", "nowhere"}, "teams": {"teams", "nobody"}, "client": {"format", "client-json"}} {
		form := map[string][]string{"type": {"soc2"}, "format": {"pdf"}, "paper": {"A4"}, "every": {""}, "from": {"2026-01-01"}, "to": {"2026-02-01"}}
		form[change[0]] = []string{change[1]}
		page := b.do(http.MethodPost, "/reports", form).want(http.StatusBadRequest)
		if !strings.Contains(page.body, `class="field wrong"`) {
			t.Errorf("%s: no field says what is wrong: %s", field, page.body)
		}
		if change[1] != "" && change[0] == "repos" {
			page.says(`value="nowhere"`)
		}
	}
}

func TestLastQuarterIsThatBeforeThisOne(t *testing.T) {
	t.Parallel()
	for now, want := range map[string]string{"2026-01-01": "/reports?from=2025-10-01&to=2025-12-31", "2026-05-31": "/reports?from=2026-01-01&to=2026-03-31",
		"2024-06-30": "/reports?from=2024-01-01&to=2024-03-31"} {
		at, err := time.Parse(time.DateOnly, now)
		if err != nil {
			t.Fatal(err)
		}
		if got := presets(at)[0].Path; got != want {
			t.Errorf("on %s the last quarter is %s, want %s", now, got, want)
		}
	}
}
