package ui

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/store"
)

// Repositories is the list of repositories with how their fetches go.
type Repositories struct {
	Base
	Query       string
	Rows        []RepoRow
	All         int
	Pager       Pager
	Connections []ConnectionRow
	// Days is the period of the sums, From and To its ends.
	Days     int
	From, To time.Time
}

// RepoRow is a repository with what it holds.
type RepoRow struct {
	store.Repo
	store.RepoStatus
	// Sums are of the last days, Live the AI share of what is alive.
	Sums store.PartFigures
	Live string
	// ReceiptRows and CommitRows are where the rows of the sums are.
	ReceiptRows, CommitRows string
}

// ConnectionRow is a connection and how many repositories it brought.
type ConnectionRow struct {
	store.Connection
	Repos int
}

// pageOfRepos is how many repositories a page has.
const pageOfRepos = 80

func (p *pages) repositories(w http.ResponseWriter, r *http.Request) error {
	base, err := p.newBase(r, "/repositories", "Repositories")
	if err != nil {
		return err
	}
	page := &Repositories{Base: base, Days: usualPeriod}
	form := queryOf(r)
	page.Query = form.text("q", 200)
	page.Problems = form.faults
	// What is no number is the first page.
	nth, _ := strconv.Atoi(form.text("page", 10))
	if err := p.readRepositories(r.Context(), page, nth); err != nil {
		return err
	}
	if base.Viewer.MayAdmin() {
		if page.Connections, err = p.connectionRows(r.Context(), base.Viewer.Org); err != nil {
			return err
		}
	}
	return p.show(w, r, statusFor(page.Problems), "repositories", page)
}

// readRepositories fills the nth page.
func (p *pages) readRepositories(ctx context.Context, page *Repositories, nth int) error {
	repos, err := p.cfg.DB.Repos(ctx, page.Viewer.Org)
	if err != nil {
		return err
	}
	page.All = len(repos)
	ids := page.turn(repos, nth)
	statuses, err := p.cfg.DB.RepoStatuses(ctx, page.Viewer.Org, ids)
	if err != nil {
		return err
	}
	page.From, page.To = page.lastDays(page.Days)
	all, err := p.cfg.DB.Figures(ctx, page.Viewer.Org, store.FiguresQuestion{AnalyticsFilter: store.AnalyticsFilter{From: page.From, To: page.To},
		By: store.FiguresByRepo, Top: page.All})
	sums := partsByKey(all.Parts)
	for i := range page.Rows {
		row := &page.Rows[i]
		row.RepoStatus, row.Sums = statuses[row.Repo.ID], sums[row.Name]
		row.Live = livePercent(row.Sums.Live)
		of := "&repo=" + url.QueryEscape(row.Name)
		row.ReceiptRows, row.CommitRows = "/receipts?"+dayRows(page.From, page.To)+of, commitRows(page.From, page.To)+of
	}
	return err
}

// turn takes the nth page, from 1, of the repositories that the search finds, and
// returns their ids. The first page is in the place of one that is not there.
func (p *Repositories) turn(repos []store.Repo, nth int) (ids []uuid.UUID) {
	query := strings.ToLower(p.Query)
	found := slices.DeleteFunc(slices.Clone(repos), func(r store.Repo) bool { return !strings.Contains(strings.ToLower(r.Name), query) })
	if nth < 1 || (nth-1)*pageOfRepos >= len(found) {
		nth = 1
	}
	first := (nth - 1) * pageOfRepos
	for _, repo := range found[first:min(first+pageOfRepos, len(found))] {
		p.Rows = append(p.Rows, RepoRow{Repo: repo})
		ids = append(ids, repo.ID)
	}
	here := url.Values{"q": {p.Query}}
	p.Pager.Shown = fmt.Sprintf("%s to %s of %s", count(first+1), count(first+len(ids)), count(len(found)))
	if nth > 1 {
		p.Pager.First = address("/repositories", here)
	}
	if first+len(ids) < len(found) {
		p.Pager.Next = address("/repositories", changed(here, "page", strconv.Itoa(nth+1)))
	}
	return ids
}

func (p *pages) connectionRows(ctx context.Context, org uuid.UUID) ([]ConnectionRow, error) {
	rows, err := p.cfg.DB.Connections(ctx, org)
	if err != nil {
		return nil, err
	}
	counts, err := p.cfg.DB.ConnectionRepos(ctx, org)
	out := make([]ConnectionRow, len(rows))
	for i, row := range rows {
		out[i] = ConnectionRow{row, counts[row.ID]}
	}
	return out, err
}

// syncMark says how the fetches of a repository go.
func syncMark(r store.Repo) Mark {
	switch {
	case r.RemovedAt != nil:
		return Mark{"quiet", "removed"}
	case r.FetchFailures > 0:
		return Mark{"bad", "failing"}
	case !r.Fetched():
		return Mark{"quiet", "API only"}
	case r.FetchedAt == nil:
		return Mark{"wait", "not fetched yet"}
	case r.FetchStartedAt != nil && r.FetchStartedAt.After(*r.FetchedAt):
		return Mark{"wait", "fetching"}
	}
	return Mark{"good", "fetched"}
}

// graceText is how long receipts may come after their push.
func graceText(seconds int) string {
	text := (time.Duration(seconds) * time.Second).String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
