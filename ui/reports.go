package ui

import (
	"encoding/hex"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/cursor"
	"github.com/blameprompt/enterprise/httpapi/export"
	"github.com/blameprompt/enterprise/httpapi/report/compliance"
	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// Reports is where compliance reports are asked for, watched, fetched and
// scheduled.
type Reports struct {
	Base
	// Fields are those of the form, Repos and Teams what it proposes.
	Fields       []Input
	Repos, Teams []string
	// Periods lead to the form with another period filled in.
	Periods   []Preset
	Rows      []ReportRow
	Schedules []ScheduleRow
	Pager     Pager
	// Poll is where the list is asked for again while a report is being made.
	Poll string
}

// Preset is a period by its name.
type Preset struct{ Name, Path string }

// ReportRow is a report of the list.
type ReportRow struct {
	store.Report
	Open, Done  bool
	Size, Sum   string
	Days, Scope string
}

// ScheduleRow is a schedule of the list.
type ScheduleRow struct {
	store.ReportSchedule
	Days, Scope string
}

const reportsPath = "/reports"

func (p *pages) reports(w http.ResponseWriter, r *http.Request) error {
	return p.showReports(w, r, r.URL.Query(), nil)
}

// showReports shows the page with the form as it was filled in.
func (p *pages) showReports(w http.ResponseWriter, r *http.Request, given url.Values, refused []Fault) error {
	base, err := p.newBase(r, reportsPath, "Reports")
	if err != nil {
		return err
	}
	base.Problems = refused
	page := &Reports{Base: base}
	org, err := p.cfg.DB.OrgByID(r.Context(), base.Viewer.Org)
	if err != nil {
		return err
	}
	zone, err := time.LoadLocation(org.TimeZone)
	if err != nil {
		return err
	}
	choices, err := p.choices(r.Context(), base.Viewer.Org)
	if err != nil {
		return err
	}
	page.Repos, page.Teams = choices.Repos, choices.Teams
	page.Periods = presets(base.Now.In(zone))
	page.Fields = reportForm(given, page.Periods[0], org.TimeZone, refused)
	if err := p.listReports(r, page); err != nil {
		return err
	}
	return p.show(w, r, statusFor(refused), "reports", page)
}

// presets are the periods that reports are mostly asked for, the last whole
// quarter first.
func presets(now time.Time) []Preset {
	month := time.Date(now.Year(), now.Month(), 1, 0, 0, 0, 0, time.UTC)
	quarter := month.AddDate(0, -(int(now.Month())-1)%3, 0)
	year := time.Date(now.Year(), 1, 1, 0, 0, 0, 0, time.UTC)
	today := time.Date(now.Year(), now.Month(), now.Day(), 0, 0, 0, 0, time.UTC)
	preset := func(name string, from, behind time.Time) Preset {
		return Preset{name, address(reportsPath, url.Values{"from": {from.Format(time.DateOnly)}, "to": {behind.AddDate(0, 0, -1).Format(time.DateOnly)}})}
	}
	return []Preset{
		preset("last quarter", quarter.AddDate(0, -3, 0), quarter),
		preset("last month", month.AddDate(0, -1, 0), month),
		preset("last year", year.AddDate(-1, 0, 0), year),
		preset("this year so far", year, today.AddDate(0, 0, 1)),
		preset("last 90 days", today.AddDate(0, 0, -89), today.AddDate(0, 0, 1)),
	}
}

// reportForm is the form, filled in with what was given, else with a period.
func reportForm(given url.Values, period Preset, zone string, refused []Fault) []Input {
	usual, _ := url.Parse(period.Path)
	fields := []Input{
		{ID: "type", Name: "type", Label: "Report", Options: []Option{
			{"soc2", "SOC 2: controls over AI-assisted changes"}, {"gdpr", "GDPR: personal data in receipts"}, {"audit", "Audit: every receipt"}}},
		{ID: "format", Name: "format", Label: "Format", Options: []Option{{"pdf", "PDF"}, {"html", "HTML"}, {"md", "Markdown"}, {"csv", "CSV"},
			{"json", "JSON"}, {"client-json", "JSON as the client's audit writes it"}}},
		{ID: "paper", Name: "paper", Label: "Page size of a PDF", Options: []Option{{"A4", "A4"}, {"Letter", "Letter"}}},
		{ID: "every", Name: "every", Label: "How often", Options: []Option{{"", "once, now"}, {"week", "every week"}, {"month", "every month"},
			{"quarter", "every quarter"}, {"year", "every year"}}, Hint: "A regular report is made when its period is over."},
		{ID: "from", Name: "from", Label: "First day", Type: "date", Hint: "Of a report that is made once, in " + zone + "."},
		{ID: "to", Name: "to", Label: "Last day", Type: "date"},
		{ID: "repos", Name: "repos", Label: "Repositories", Type: "text", List: "repos-known", Hint: "With commas between them; empty means all."},
		{ID: "teams", Name: "teams", Label: "Teams", Type: "text", List: "teams-known", Hint: "With commas between them; empty means everybody."},
	}
	for i := range fields {
		f := &fields[i]
		f.Value, f.Problem = given.Get(f.Name), problemOf(refused, f.Name)
		if !given.Has(f.Name) {
			f.Value = usual.Query().Get(f.Name)
		}
	}
	return fields
}

func (p *pages) listReports(r *http.Request, page *Reports) error {
	org := page.Viewer.Org
	seal := cursor.Seal(org, "reports page", "")
	var before *store.ReportKey
	if err := cursor.Open(r.URL.Query().Get("cursor"), seal, &before); err != nil {
		return err
	}
	rows, err := p.cfg.DB.Reports(r.Context(), org, before, pageSize+1)
	if err != nil {
		return err
	}
	rows, more := cut(rows)
	for _, row := range rows {
		shown := newReportRow(row)
		page.Rows = append(page.Rows, shown)
		if shown.Open {
			page.Poll = address(reportsPath, url.Values{"cursor": {r.URL.Query().Get("cursor")}})
		}
	}
	page.Pager.Shown = count(len(rows)) + " shown"
	if before != nil {
		page.Pager.First = reportsPath
	}
	if more {
		last := rows[len(rows)-1]
		page.Pager.Next = address(reportsPath, url.Values{"cursor": {cursor.Make(seal, store.ReportKey{At: last.CreatedAt, ID: last.ID})}})
	}
	schedules, err := p.cfg.DB.ReportSchedules(r.Context(), org)
	for _, s := range schedules[:min(len(schedules), pageSize)] {
		page.Schedules = append(page.Schedules, ScheduleRow{s, days(s.NextFirst, s.NextLast), scopeOf(s.Repos, s.Teams)})
	}
	return err
}

func newReportRow(r store.Report) ReportRow {
	row := ReportRow{Report: r, Open: r.State == store.ReportWaiting || r.State == store.ReportRunning, Done: r.State == store.ReportDone,
		Days: days(r.FirstDay, r.LastDay), Scope: scopeOf(r.Repos, r.Teams)}
	if row.Done {
		row.Size, row.Sum = fileSize(r.Bytes), hex.EncodeToString(r.SHA256)
	}
	return row
}

// fileSize is a number of bytes as people say it.
func fileSize(bytes int64) string {
	size, unit := float64(bytes), "bytes"
	for _, larger := range []string{"KB", "MB", "GB"} {
		if size < 1000 {
			break
		}
		size, unit = size/1000, larger
	}
	return strings.TrimSuffix(strconv.FormatFloat(size, 'f', 1, 64), ".0") + " " + unit
}

func days(first, last time.Time) string {
	return first.Format(time.DateOnly) + " to " + last.Format(time.DateOnly)
}

// scopeOf says of what a report is.
func scopeOf(repos, teams []string) string {
	var parts []string
	if len(repos) > 0 {
		parts = append(parts, strings.Join(repos, ", "))
	}
	if len(teams) > 0 {
		parts = append(parts, "of "+strings.Join(teams, ", "))
	}
	if len(parts) == 0 {
		return "everything"
	}
	return strings.Join(parts, " ")
}

// askForReport asks for a report, or for one regularly.
func (p *pages) askForReport(w http.ResponseWriter, r *http.Request) error {
	f := postOf(r)
	every := store.Every(f.text("every", 20))
	asked := store.Report{Type: f.wanted("type", 20), Format: f.wanted("format", 20), Paper: f.text("paper", 20), Repos: f.names("repos"), Teams: f.names("teams")}
	if every == "" {
		asked.FirstDay, asked.LastDay = f.day("from", time.UTC), f.day("to", time.UTC)
		for name, day := range map[string]time.Time{"from": asked.FirstDay, "to": asked.LastDay} {
			if day.IsZero() && len(f.faults) == 0 {
				f.refuse(name, "must be given")
			}
		}
	}
	err := f.err()
	notice := "report-asked"
	switch {
	case err != nil:
	case every == "":
		_, err = p.cfg.Reports.Ask(r.Context(), whoOf(r), asked)
	default:
		notice = "report-scheduled"
		_, err = p.cfg.Reports.Schedule(r.Context(), whoOf(r), store.ReportSchedule{Type: asked.Type, Format: asked.Format, Paper: asked.Paper,
			Repos: asked.Repos, Teams: asked.Teams, Every: every})
	}
	if faults, ok := faultsOf(err); err != nil && ok {
		return p.showReports(w, r, r.PostForm, faults)
	}
	if err != nil {
		return err
	}
	return done(w, r, reportsPath, notice)
}

// names are what a field names with commas between them.
func (f *form) names(name string) []string {
	var out []string
	for part := range strings.SplitSeq(f.text(name, 4000), ",") {
		if part = strings.TrimSpace(part); part != "" {
			out = append(out, part)
		}
	}
	return out
}

var errNoFile = &respond.Problem{Status: http.StatusConflict, Code: "not_done", Detail: "The report has no file. It is still being made, or could not be made."}

// reportFile hands the file of a report over.
func (p *pages) reportFile(w http.ResponseWriter, r *http.Request) error {
	id, err := idOf(r)
	if err != nil {
		return err
	}
	row, file, err := p.cfg.Reports.Open(r.Context(), whoOf(r), id)
	if errors.Is(err, compliance.ErrNotDone) {
		return errNoFile
	}
	if err != nil {
		return err
	}
	defer file.Close()
	return export.Report(w, file, &row)
}

// removeReport removes a report, and gives up one that is being made.
func (p *pages) removeReport(w http.ResponseWriter, r *http.Request) error {
	return p.endByID(w, r, reportsPath, "report-removed", func(by access.Principal, id uuid.UUID) error {
		return p.cfg.Reports.Remove(r.Context(), by, id)
	})
}

func (p *pages) endReportSchedule(w http.ResponseWriter, r *http.Request) error {
	return p.endByID(w, r, reportsPath, "schedule-ended", func(by access.Principal, id uuid.UUID) error {
		return p.cfg.DB.RemoveReportSchedule(r.Context(), by, id)
	})
}

// reportMark shows how far a report is.
func reportMark(state store.ReportState) Mark {
	switch state {
	case store.ReportWaiting:
		return Mark{"wait", "waiting"}
	case store.ReportRunning:
		return Mark{"wait", "being made"}
	case store.ReportFailed:
		return Mark{"bad", "failed"}
	}
	return Mark{"good", "done"}
}
