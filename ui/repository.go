package ui

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// Repository is one repository: what it brings, how its notes are, and what its
// pushes are judged by.
type Repository struct {
	Base
	RepoRow
	Rows      string
	Figures   []Figure
	Chart     Chart
	Findings  []store.StoredFinding
	Decisions []store.Decision
	// Grace is as the form shows it.
	Grace string
}

// repoPeriod is the days that a repository's page looks back.
const repoPeriod = 90

func (p *pages) repoAt(r *http.Request) (store.Repo, error) {
	name, err := pathVar(r, "id")
	if err != nil {
		return store.Repo{}, err
	}
	return p.cfg.DB.Repo(r.Context(), whoOf(r).Org, name)
}

func (p *pages) repository(w http.ResponseWriter, r *http.Request) error {
	row, err := p.repoAt(r)
	if err != nil {
		return err
	}
	return p.showRepository(w, r, row, nil)
}

func (p *pages) showRepository(w http.ResponseWriter, r *http.Request, row store.Repo, refused []Fault) error {
	base, err := p.newBase(r, "/repositories", row.Name)
	if err != nil {
		return err
	}
	base.Problems = refused
	page := &Repository{Base: base, RepoRow: RepoRow{Repo: row}, Grace: graceText(row.GraceSeconds)}
	if err := p.readRepository(r.Context(), page); err != nil {
		return err
	}
	return p.show(w, r, statusFor(refused), "repository", page)
}

func (p *pages) readRepository(ctx context.Context, page *Repository) error {
	org, id := page.Viewer.Org, page.Repo.ID
	statuses, err := p.cfg.DB.RepoStatuses(ctx, org, []uuid.UUID{id})
	if err != nil {
		return err
	}
	page.RepoStatus = statuses[id]
	if err := p.repoSums(ctx, page); err != nil {
		return err
	}
	if page.Findings, err = p.cfg.DB.Findings(ctx, org, id, "", nil, 25); err != nil {
		return err
	}
	page.Decisions, err = p.cfg.DB.Decisions(ctx, org, store.DecisionFilter{Repo: id}, uuid.Nil, 10)
	return err
}

func (p *pages) repoSums(ctx context.Context, page *Repository) error {
	year, month, day := page.Now.In(page.zone()).Date()
	to := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	from := to.AddDate(0, 0, 1-repoPeriod)
	sums, err := p.cfg.DB.Analytics(ctx, page.Viewer.Org, store.AnalyticsFilter{Repos: []uuid.UUID{page.Repo.ID}, From: from, To: to}, 1)
	if err != nil {
		return err
	}
	page.Rows = address("/receipts", map[string][]string{"repo": {page.Name}, "from": {from.Format(time.DateOnly)}})
	page.Figures = []Figure{
		{Name: "Cost, 90 days", Value: usd(sums.Total.CostUSD), Rows: page.Rows + "&sort=-cost", Definition: "cost"},
		{Name: "Prompts, 90 days", Value: count(sums.Total.Prompts), Rows: page.Rows, Definition: "prompts"},
		{Name: "Receipts", Value: count(page.Receipts), Rows: "/receipts?repo=" + page.Repo.ID.String(), Definition: "receipts",
			Beside: count(page.ReceiptsCurrent) + " current"},
	}
	var points []point
	for _, d := range sums.Days {
		points = append(points, point{d.Day, float(d.CostUSD), usd(d.CostUSD)})
	}
	page.Chart = barChart("Cost by day", "Cost, US dollars", "cost", from, to, points)
	return nil
}

// changeRepository changes how pushes to a repository are judged and served.
func (p *pages) changeRepository(w http.ResponseWriter, r *http.Request) error {
	row, err := p.repoAt(r)
	if err != nil {
		return err
	}
	f := postOf(r)
	forward := f.on("forward_notes")
	change := store.RepoSettings{Mode: f.choice("mode", store.ModeAdvisory, store.ModeEnforcing),
		ReceiptMode: f.choice("receipts", store.ReceiptsDeferred, store.ReceiptsWait, store.ReceiptsSamePush),
		Gateway:     store.Gateway(f.choice("gateway", string(store.GatewayOff), string(store.GatewayHosted), string(store.GatewayForwarding))),
	}
	if row.Gateway == store.GatewayForwarding {
		change.ForwardNotes = &forward
	}
	if text := f.text("grace", 40); text != "" {
		grace, err := time.ParseDuration(text)
		if err != nil {
			f.refuse("grace", "must be a duration such as 15m or 1h30m")
		}
		change.Grace = &grace
	}
	if len(f.faults) > 0 {
		return p.showRepository(w, r, row, f.faults)
	}
	changed, err := p.cfg.DB.UpdateRepo(r.Context(), whoOf(r), row.ID, change)
	if faults, ok := faultsOf(err); err != nil && ok {
		return p.showRepository(w, r, row, faults)
	}
	if err != nil {
		return err
	}
	return done(w, r, "/repositories/"+changed.ID.String(), "changed")
}

// syncRepository demands a fetch.
func (p *pages) syncRepository(w http.ResponseWriter, r *http.Request) error {
	row, err := p.repoAt(r)
	if err != nil {
		return err
	}
	if !row.Fetched() || row.RemovedAt != nil {
		return p.showRepository(w, r, row, []Fault{{Problem: "It has no remote or was removed, so there is nothing to fetch."}})
	}
	by := whoOf(r)
	err = p.cfg.DB.InTx(r.Context(), func(tx *store.Tx) error {
		if err := tx.Audit(r.Context(), by, "repo.sync", row.Name, nil); err != nil {
			return err
		}
		return p.cfg.Fetches.DemandFetch(r.Context(), tx, by.Org, row.ID, queue.Asked)
	})
	if err != nil {
		return err
	}
	return done(w, r, "/repositories/"+row.ID.String(), "fetching")
}

// removeRepository stops fetching a repository; what it brought stays.
func (p *pages) removeRepository(w http.ResponseWriter, r *http.Request) error {
	row, err := p.repoAt(r)
	if err != nil {
		return err
	}
	if r.PostForm.Get("name") != row.Name {
		return p.showRepository(w, r, row, []Fault{{"name", "must be the name of the repository, to make sure"}})
	}
	if err := p.cfg.DB.RemoveRepo(r.Context(), whoOf(r), row.ID); err != nil {
		return err
	}
	return done(w, r, "/repositories", "repo-removed")
}
