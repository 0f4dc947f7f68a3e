package ui

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/blameprompt/enterprise/store"
)

// Coverage is of how many commits notes speak, and where they do not.
type Coverage struct {
	Base
	Days    int
	Periods []View
	Figures []Figure
	Classes Share
	Total   store.LineSums
	Groups  []CoverageTable
	// Events are counted where they are asked for, at Count: that takes longer than
	// all else, so that a browser asks for it when it has shown the rest. Count is
	// empty for a period of which they are not counted.
	Events []EventCount
	Count  string
}

// CoverageTable are the groups of one kind, those with the most commits that
// nothing speaks for first.
type CoverageTable struct {
	ID, Title, What string
	Rows            []CoverageRow
}

// CoverageRow is a group; Path is where its commits without a note are.
type CoverageRow struct {
	store.CoverageGroup
	Path    string
	Classes Share
}

// EventCount is how often something happened to pushes and notes.
type EventCount struct {
	Name string
	N    int64
}

// maxEventDays is for how long a period events are counted, which takes a look at
// each push.
const (
	topCovered   = 15
	maxEventDays = 90
)

func (p *pages) coverage(w http.ResponseWriter, r *http.Request) error {
	base, err := p.newBase(r, "/coverage", "Lines and coverage")
	if err != nil {
		return err
	}
	page := &Coverage{Base: base, Days: daysOf(r)}
	page.Periods = periodViews("/coverage", page.Days)
	from, to := base.lastDays(page.Days)
	asked := store.AnalyticsFilter{From: from, To: to}
	if page.Days <= maxEventDays {
		page.Count = address("/coverage", url.Values{"days": {strconv.Itoa(page.Days)}, "events": {"on"}})
	}
	if page.Count != "" && r.URL.Query().Get("events") == "on" {
		if err := p.countEvents(r.Context(), page, asked); err != nil {
			return err
		}
	}
	if onlyLive(r) {
		return p.show(w, r, http.StatusOK, "coverage", page)
	}
	got, err := p.cfg.DB.CoverageSums(r.Context(), base.Viewer.Org, asked, topCovered)
	if err != nil {
		return err
	}
	page.fill(&got, from, to)
	return p.show(w, r, http.StatusOK, "coverage", page)
}

func (p *pages) countEvents(ctx context.Context, page *Coverage, asked store.AnalyticsFilter) error {
	counts, err := p.cfg.DB.CoverageEvents(ctx, page.Viewer.Org, asked)
	for _, kind := range store.EventKinds {
		page.Events = append(page.Events, EventCount{eventNames[kind], counts[kind]})
	}
	return err
}

func (p *Coverage) fill(got *store.Coverage, from, to time.Time) {
	p.Total, p.Classes = got.Total, lineShare(got.Total.AI, got.Total.Human, got.Total.Unknown)
	p.Figures = lineFigures(got.Total, commitRows(from, to))
	p.Groups = []CoverageTable{
		coverageTable("repos", "Repositories", "Repository", "repo", got.Repos, from, to),
		coverageTable("people", "People", "Person", "author", got.People, from, to),
		coverageTable("teams", "Teams", "Team", "team", got.Teams, from, to),
		coverageTable("agents", "Agents that commits name", "Agent", "agent", got.Agents, from, to),
	}
}

func coverageTable(id, title, what, filter string, groups []store.CoverageGroup, from, to time.Time) CoverageTable {
	t := CoverageTable{ID: id, Title: title, What: what}
	for _, g := range groups {
		t.Rows = append(t.Rows, CoverageRow{CoverageGroup: g, Classes: lineShare(g.AI, g.Human, g.Unknown),
			Path: commitRows(from, to) + "&" + filter + "=" + url.QueryEscape(g.Key)})
	}
	return t
}

// eventNames are the kinds of events as a count has them.
var eventNames = map[store.EventKind]string{
	store.EventPush: "Pushes", store.EventPushWithoutNotes: "Pushes without notes", store.EventNoteRewritten: "Notes rewritten",
	store.EventNoteDeleted: "Notes deleted", store.EventRefRewritten: "Notes refs rewritten", store.EventRefDeleted: "Notes refs deleted",
}

// commitRows is where the commits of a period are.
func commitRows(from, to time.Time) string {
	return "/commits?" + dayRows(from, to)
}

// dayRows are the days of a period as filters take them.
func dayRows(from, to time.Time) string {
	return "from=" + from.Format(time.DateOnly) + "&to=" + to.Format(time.DateOnly)
}
