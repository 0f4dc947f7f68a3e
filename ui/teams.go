package ui

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// Teams is the list of teams with what the last days cost.
type Teams struct {
	Base
	Rows []TeamRow
	// Days is the period of the sums, From and To its ends.
	Days     int
	From, To time.Time
}

// TeamRow is a team and its figures.
type TeamRow struct {
	store.Team
	Sums store.PartFigures
	// Live are the lines that are alive of its members' commits.
	Live string
	// ReceiptRows and CommitRows are where the rows of the sums are.
	ReceiptRows, CommitRows string
}

// Team is one team: who is in it, and what they cost.
type Team struct {
	Base
	TeamRow
	MayManage bool
	Roles     []access.Role
	Days      int
	Periods   []View
	Rows      string
	Figures   []Figure
	Charts    []Chart
	Budgets   []Budget
	Repos     []Ranked
	Models    []Ranked
}

func (p *pages) teams(w http.ResponseWriter, r *http.Request) error {
	return p.showTeams(w, r, nil)
}

func (p *pages) showTeams(w http.ResponseWriter, r *http.Request, refused []Fault) error {
	base, err := p.newBase(r, "/teams", "Teams")
	if err != nil {
		return err
	}
	base.Problems = refused
	page := &Teams{Base: base, Days: usualPeriod}
	teams, err := p.cfg.DB.Teams(r.Context(), base.Viewer.Org)
	if err != nil {
		return err
	}
	page.From, page.To = base.lastDays(page.Days)
	all, err := p.cfg.DB.Figures(r.Context(), base.Viewer.Org, store.FiguresQuestion{AnalyticsFilter: store.AnalyticsFilter{From: page.From, To: page.To},
		By: store.FiguresByTeam, Top: len(teams)})
	if err != nil {
		return err
	}
	sums := partsByKey(all.Parts)
	for _, team := range teams {
		part := sums[team.Name]
		of := "&team=" + url.QueryEscape(team.Name)
		page.Rows = append(page.Rows, TeamRow{Team: team, Sums: part, Live: livePercent(part.Live),
			ReceiptRows: "/receipts?" + dayRows(page.From, page.To) + of, CommitRows: commitRows(page.From, page.To) + of})
	}
	return p.show(w, r, statusFor(refused), "teams", page)
}

// partsByKey are figures by what they are of.
func partsByKey(parts []store.PartFigures) map[string]store.PartFigures {
	out := make(map[string]store.PartFigures, len(parts))
	for _, part := range parts {
		out[part.Key] = part
	}
	return out
}

// livePercent is the AI share of live lines, where they are known.
func livePercent(live *store.LiveCounts) string {
	if live == nil {
		return percent(0, 0)
	}
	return percent(live.AI, live.AI+live.Human+live.Unknown)
}

func (p *pages) teamAt(r *http.Request) (store.Team, error) {
	name, err := pathVar(r, "id")
	if err != nil {
		return store.Team{}, err
	}
	return p.cfg.DB.Team(r.Context(), whoOf(r).Org, name)
}

func (p *pages) team(w http.ResponseWriter, r *http.Request) error {
	row, err := p.teamAt(r)
	if err != nil {
		return err
	}
	return p.showTeam(w, r, row, nil)
}

func (p *pages) showTeam(w http.ResponseWriter, r *http.Request, row store.Team, refused []Fault) error {
	base, err := p.newBase(r, "/teams", row.Name)
	if err != nil {
		return err
	}
	base.Problems = refused
	page := &Team{Base: base, TeamRow: TeamRow{Team: row}, Roles: access.Roles, MayManage: mayManage(r, row), Days: daysOf(r)}
	page.Periods = periodViews("/teams/"+row.ID.String(), page.Days)
	if err := p.readTeam(r.Context(), page); err != nil {
		return err
	}
	return p.show(w, r, statusFor(refused), "team", page)
}

// readTeam reads what the members left in the last days, and what policies allow
// them.
func (p *pages) readTeam(ctx context.Context, page *Team) error {
	org := page.Viewer.Org
	emails, err := p.cfg.DB.TeamEmails(ctx, org, page.Team.ID.String())
	if err != nil {
		return err
	}
	from, to := page.lastDays(page.Days)
	filter := store.AnalyticsFilter{Emails: append([]string{}, emails...), From: from, To: to}
	sums, err := p.cfg.DB.Figures(ctx, org, store.FiguresQuestion{AnalyticsFilter: filter, Series: store.Daily})
	if err != nil {
		return err
	}
	top, err := p.cfg.DB.Analytics(ctx, org, filter, topRanked)
	if err != nil {
		return err
	}
	page.fill(&sums, from, to)
	cost := sums.Total.CostUSD
	page.Repos, page.Models = ranked(top.Repos, cost, page.Rows, "repo"), ranked(top.Models, cost, page.Rows, "model")
	page.Budgets, err = p.budgets(ctx, &page.Base, page.Team)
	return err
}

func (p *Team) fill(sums *store.FiguresAnswer, from, to time.Time) {
	p.Rows = "/receipts?" + dayRows(from, to) + "&team=" + url.QueryEscape(p.Name)
	p.Figures = append(promptFigures(&sums.Total, p.Rows), Figure{Name: "Members", Value: count(len(p.Members)), Rows: "#members"})
	lines := lineFigures(sums.Total.Lines, commitRows(from, to)+"&team="+url.QueryEscape(p.Name))
	p.Figures = append(append(p.Figures, lines[:3]...), liveFigure(sums.Live, "/coverage#teams"))
	p.Charts = trends(from, to, sums.Series)[:2]
}

func mayManage(r *http.Request, team store.Team) bool {
	return access.Allow(whoOf(r), access.ToManageTeam, access.Resource{Team: team.ID})
}

// createTeam makes a team without members.
func (p *pages) createTeam(w http.ResponseWriter, r *http.Request) error {
	team, err := p.cfg.DB.CreateTeam(r.Context(), whoOf(r), r.PostForm.Get("name"))
	if faults, ok := faultsOf(err); err != nil && ok {
		return p.showTeams(w, r, faults)
	}
	if err != nil {
		return err
	}
	return done(w, r, "/teams/"+team.ID.String(), "team-made")
}

// changeTeam does what the button of a team's page says.
func (p *pages) changeTeam(w http.ResponseWriter, r *http.Request) error {
	row, err := p.teamAt(r)
	if err != nil {
		return err
	}
	by, ctx, f := whoOf(r), r.Context(), postOf(r)
	do := f.choice("do", "rename", "set", "take-out", "remove")
	if !mayManage(r, row) || do == "remove" && !access.Allow(by, access.ToAdminister, access.Resource{}) {
		return errForbidden
	}
	switch do {
	case "rename":
		_, err = p.cfg.DB.RenameTeam(ctx, by, row.ID, f.text("name", 300))
	case "set":
		_, err = p.cfg.DB.SetTeamMember(ctx, by, row.ID, f.text("email", 300), access.Role(f.text("role", 20)))
	case "take-out":
		err = p.cfg.DB.RemoveTeamMember(ctx, by, row.ID, f.text("email", 300))
	case "remove":
		return p.removeTeam(w, r, row)
	default:
		f.refuse("do", "must be a button of the page")
		err = f.err()
	}
	if faults, ok := faultsOf(err); err != nil && ok {
		return p.showTeam(w, r, row, faults)
	}
	if err != nil {
		return err
	}
	return done(w, r, "/teams/"+row.ID.String(), "team-changed")
}

func (p *pages) removeTeam(w http.ResponseWriter, r *http.Request, row store.Team) error {
	if r.PostForm.Get("name") != row.Name {
		return p.showTeam(w, r, row, []Fault{{"name", "must be the name of the team, to make sure"}})
	}
	if err := p.cfg.DB.RemoveTeam(r.Context(), whoOf(r), row.ID); err != nil {
		return err
	}
	return done(w, r, "/teams", "team-removed")
}
