package ui

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
)

// Teams is the list of teams with what the last days cost.
type Teams struct {
	Base
	Rows []TeamRow
	// Summed says how many teams have their sums; longer lists have not.
	Days, Summed int
}

// TeamRow is a team and its sums.
type TeamRow struct {
	store.Team
	Sums store.Sums
}

// Team is one team: who is in it, and what they cost.
type Team struct {
	Base
	TeamRow
	MayManage bool
	Roles     []access.Role
	Rows      string
	Figures   []Figure
	Chart     Chart
	Repos     []Ranked
	Models    []Ranked
}

// teamDays is the period of teams' sums, and maxSummed how many teams a list
// sums up.
const (
	teamDays  = 30
	maxSummed = 60
)

func (p *pages) teams(w http.ResponseWriter, r *http.Request) error {
	return p.showTeams(w, r, nil)
}

func (p *pages) showTeams(w http.ResponseWriter, r *http.Request, refused []Fault) error {
	base, err := p.newBase(r, "/teams", "Teams")
	if err != nil {
		return err
	}
	base.Problems = refused
	page := &Teams{Base: base, Days: teamDays}
	teams, err := p.cfg.DB.Teams(r.Context(), base.Viewer.Org)
	if err != nil {
		return err
	}
	for _, team := range teams {
		row := TeamRow{Team: team}
		if page.Summed < maxSummed {
			sums, err := p.teamSums(r.Context(), &base, team)
			if err != nil {
				return err
			}
			row.Sums = sums.Total
			page.Summed++
		}
		page.Rows = append(page.Rows, row)
	}
	return p.show(w, r, statusFor(refused), "teams", page)
}

// teamSums are what the members of a team left in the last days.
func (p *pages) teamSums(ctx context.Context, base *Base, team store.Team) (store.Analytics, error) {
	emails := []string{}
	for _, member := range team.Members {
		emails = append(emails, strings.ToLower(member.Email))
	}
	from, to, err := p.orgDays(ctx, base, teamDays)
	if err != nil {
		return store.Analytics{}, err
	}
	return p.cfg.DB.Analytics(ctx, base.Viewer.Org, store.AnalyticsFilter{Emails: emails, From: from, To: to}, topRanked)
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
	page := &Team{Base: base, TeamRow: TeamRow{Team: row}, Roles: access.Roles, MayManage: mayManage(r, row)}
	sums, err := p.teamSums(r.Context(), &base, row)
	if err != nil {
		return err
	}
	from, to, err := p.orgDays(r.Context(), &base, teamDays)
	if err != nil {
		return err
	}
	page.Rows = address("/receipts", map[string][]string{"team": {row.Name}, "from": {from.Format(time.DateOnly)}})
	page.Figures = []Figure{
		{Name: "Cost, 30 days", Value: usd(sums.Total.CostUSD), Rows: page.Rows + "&sort=-cost", Definition: "cost"},
		{Name: "Prompts, 30 days", Value: count(sums.Total.Prompts), Rows: page.Rows, Definition: "prompts"},
		{Name: "Members", Value: count(len(row.Members))},
	}
	page.Chart = costChart(from, to, sums.Days)
	page.Repos, page.Models = ranked(sums.Repos, sums.Total.CostUSD, page.Rows, "repo"), ranked(sums.Models, sums.Total.CostUSD, page.Rows, "model")
	return p.show(w, r, statusFor(refused), "team", page)
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
