package ui

import (
	"context"
	"net/http"
	"net/url"
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

// maxRepos bounds the repositories of a page; a search finds the others.
const maxRepos = 150

func (p *pages) repositories(w http.ResponseWriter, r *http.Request) error {
	base, err := p.newBase(r, "/repositories", "Repositories")
	if err != nil {
		return err
	}
	page := &Repositories{Base: base, Days: usualPeriod}
	form := queryOf(r)
	page.Query = form.text("q", 200)
	page.Problems = form.faults
	if err := p.readRepositories(r.Context(), page); err != nil {
		return err
	}
	if base.Viewer.MayAdmin() {
		if page.Connections, err = p.connectionRows(r.Context(), base.Viewer.Org); err != nil {
			return err
		}
	}
	return p.show(w, r, statusFor(page.Problems), "repositories", page)
}

func (p *pages) readRepositories(ctx context.Context, page *Repositories) error {
	repos, err := p.cfg.DB.Repos(ctx, page.Viewer.Org)
	if err != nil {
		return err
	}
	page.All = len(repos)
	var ids []uuid.UUID
	for _, repo := range repos {
		if len(page.Rows) < maxRepos && strings.Contains(strings.ToLower(repo.Name), strings.ToLower(page.Query)) {
			page.Rows = append(page.Rows, RepoRow{Repo: repo})
			ids = append(ids, repo.ID)
		}
	}
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
