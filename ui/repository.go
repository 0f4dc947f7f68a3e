package ui

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
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
	// Days and Periods are as those of the overview.
	Days    int
	Periods []View
	Rows    string
	Figures []Figure
	Charts  []Chart
	// Folders are what the tip has at its root, the largest first, Map the same as
	// a picture.
	Folders []PathRow
	Map     Map
	// Connection is the one that the repository came with; nil for none.
	Connection *store.Connection
	Progress   Progress
	Findings   []store.StoredFinding
	Decisions  []store.Decision
	// Lines are the lines that the period added to the default branch, and Classes
	// their bar.
	Lines   store.LineSums
	Classes Share
	// Grace and Excluded are as the form shows them.
	Grace, Excluded string
}

// Progress is what of a repository is still being worked on.
type Progress struct {
	// Waiting counts commits to be classified, Done those that are.
	Done, Waiting int
	// Mapped of Files are the files of a live map that is being made.
	Mapped, Files int
}

// Busy reports whether there is anything to wait for.
func (p Progress) Busy() bool { return p.Waiting > 0 || p.Mapped < p.Files }

// Follow reports whether the page asks again by itself.
func (p *Repository) Follow() bool {
	return p.RemovedAt == nil && (p.Progress.Busy() || syncMark(p.Repo).Kind == "wait")
}

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
	page := &Repository{Base: base, RepoRow: RepoRow{Repo: row}, Days: daysOf(r), Grace: graceText(row.GraceSeconds),
		Excluded: strings.Join(row.ExcludedPaths, "\n")}
	page.Periods = periodViews("/repositories/"+row.ID.String(), page.Days)
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
	if err := p.readUpkeep(ctx, page); err != nil {
		return err
	}
	if page.Findings, err = p.cfg.DB.Findings(ctx, org, id, "", nil, 25); err != nil {
		return err
	}
	page.Decisions, err = p.cfg.DB.Decisions(ctx, org, store.DecisionFilter{Repo: id}, uuid.Nil, 10)
	return err
}

func (p *pages) repoSums(ctx context.Context, page *Repository) error {
	from, to := page.lastDays(page.Days)
	sums, err := p.cfg.DB.Figures(ctx, page.Viewer.Org, store.FiguresQuestion{Series: store.Daily,
		AnalyticsFilter: store.AnalyticsFilter{Repos: []uuid.UUID{page.Repo.ID}, From: from, To: to}})
	if err != nil {
		return err
	}
	page.Rows = "/receipts?" + dayRows(from, to) + "&repo=" + url.QueryEscape(page.Name)
	page.Figures = append(promptFigures(&sums.Total, page.Rows), Figure{Name: "Receipts in all", Value: count(page.Receipts),
		Rows: "/receipts?repo=" + url.QueryEscape(page.Name), Definition: "receipts", Beside: count(page.ReceiptsCurrent) + " current"})
	page.Lines = sums.Total.Lines
	page.Classes = lineShare(page.Lines.AI, page.Lines.Human, page.Lines.Unknown)
	page.Figures = append(page.Figures, lineFigures(page.Lines, commitRows(from, to)+"&repo="+url.QueryEscape(page.Name))...)
	page.Figures = append(page.Figures, liveFigure(sums.Live, "/repositories/"+page.Repo.ID.String()+"/files"))
	page.Charts = trends(from, to, sums.Series)[:2]
	return nil
}

// maxFolders is how many folders and files of the root a repository's page lists.
const maxFolders = 12

// readUpkeep reads what the tip has, what is being worked on, and where the
// repository came from.
func (p *pages) readUpkeep(ctx context.Context, page *Repository) error {
	org, id := page.Viewer.Org, page.Repo.ID
	_, rows, err := p.cfg.DB.LiveFolder(ctx, org, id, "", nil, maxListed)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	for _, row := range rows {
		page.Folders = append(page.Folders, PathRow{row, string(row.Path), filesPath(id, string(row.Path)), lineShare(row.AI, row.Human, row.Unknown)})
	}
	slices.SortStableFunc(page.Folders, func(a, b PathRow) int { return int(b.Total() - a.Total()) })
	page.Map = newMap(pathParts(page.Folders))
	page.Folders = page.Folders[:min(len(page.Folders), maxFolders)]
	if page.Progress.Done, page.Progress.Waiting, err = p.cfg.DB.LineProgress(ctx, org, id); err != nil {
		return err
	}
	if page.Progress.Mapped, page.Progress.Files, err = p.cfg.DB.LiveProgress(ctx, org, id); err != nil {
		return err
	}
	if page.ConnectionID != nil {
		connection, err := p.cfg.DB.Connection(ctx, org, *page.ConnectionID)
		if err != nil {
			return err
		}
		page.Connection = &connection
	}
	return nil
}

// promptFigures are what a period's prompts cost and how many they are; rows is
// where their receipts are.
func promptFigures(sums *store.Figures, rows string) []Figure {
	return []Figure{
		{Name: "Cost", Value: usd(sums.CostUSD), Rows: rows + "&sort=-cost", Definition: "cost"},
		{Name: "Prompts", Value: count(sums.Prompts), Rows: rows, Definition: "prompts"},
		{Name: "Receipts", Value: count(sums.Receipts), Rows: rows, Definition: "receipts", Beside: count(sums.ReceiptsCurrent) + " current"},
	}
}

// lineFigures are whose the added lines are, and how far that is known; rows is
// where their commits are.
func lineFigures(sums store.LineSums, rows string) []Figure {
	return []Figure{
		{Name: "AI share of added lines", Value: percent(sums.AI, sums.Added), Definition: "ai-share", Rows: rows + "&class=ai",
			Beside: count(sums.AI) + " of " + count(sums.Added) + " lines"},
		{Name: "Unknown", Value: percent(sums.Unknown, sums.Added), Definition: "unknown", Rows: rows + "&class=unknown",
			Beside: count(sums.Unknown) + " of " + count(sums.Added) + " lines"},
		{Name: "Coverage", Value: percent(sums.CommitsNoted, sums.Commits), Definition: "coverage", Rows: rows + "&kind=counted&noted=true",
			Beside: count(sums.CommitsNoted) + " of " + count(sums.Commits) + " commits",
			Also:   View{Name: count(sums.Commits-sums.CommitsNoted) + " without a note", Path: rows + "&kind=counted&noted=false"}},
		{Name: "AI-marked without a note", Value: count(sums.CommitsMarked), Unit: "commits", Definition: "marked", Rows: rows + "&marked=1"},
	}
}

// liveFigure is whose the lines are that are alive; rows is where they are.
func liveFigure(live store.LiveCounts, rows string) Figure {
	all := live.AI + live.Human + live.Unknown
	return Figure{Name: "Live AI share", Value: percent(live.AI, all), Definition: "live", Rows: rows,
		Beside: count(live.AI) + " of " + count(all) + " lines now"}
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
	change.NotesProtection = store.NotesProtection(f.choice("protection", string(store.NotesByMode), string(store.NotesRefuse),
		string(store.NotesWarn), string(store.NotesWithout)))
	if row.Gateway == store.GatewayForwarding {
		change.ForwardNotes = &forward
	}
	if change.ExcludedPaths = f.lines("excluded", 50_000); change.ExcludedPaths == nil {
		change.ExcludedPaths = []string{}
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
