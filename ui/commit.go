package ui

import (
	"errors"
	"net/http"

	"github.com/blameprompt/enterprise/store"
)

// CommitPage is one commit: whose its lines are, and what its notes say.
type CommitPage struct {
	Base
	store.CommitNotes
	Repo    store.Repo
	ID      string
	Files   []FileLines
	Classes Share
	// Diff is the beginning of the change, MoreDiff says that there is more.
	Diff     []DiffFile
	MoreDiff bool
}

// FileLines is a file of a commit with the runs of its added lines.
type FileLines struct {
	Path, OldPath string
	store.AddedFile
	Classes Share
	Runs    []store.AddedRun
	// MoreRuns counts those that are not shown.
	MoreRuns int
}

// Bounds of a commit's page.
const (
	maxCommitFiles = 25
	maxFileRuns    = 4
)

func (p *pages) commit(w http.ResponseWriter, r *http.Request) error {
	repo, err := p.repoAt(r)
	if err != nil {
		return err
	}
	id, err := pathVar(r, "commit")
	if err != nil {
		return err
	}
	if !commitForm.MatchString(id) {
		return store.ErrNotFound
	}
	base, err := p.newBase(r, "/coverage", "Commit "+short(id))
	if err != nil {
		return err
	}
	page := &CommitPage{Base: base, Repo: repo, ID: id}
	// A commit that was pushed just now may not have been fetched yet.
	page.CommitNotes, err = p.cfg.DB.CommitNotes(r.Context(), base.Viewer.Org, repo.ID, id)
	if err != nil && !errors.Is(err, store.ErrNotFound) {
		return err
	}
	if err := p.cfg.DB.PromptsListed(r.Context(), base.Viewer.Principal, store.WithText(page.Receipts)); err != nil {
		return err
	}
	page.layOut()
	var runs []store.AddedRun
	if page.Lines != nil {
		runs = append([]store.AddedRun{}, page.Lines.Runs...)
	}
	if page.Diff, page.MoreDiff, err = p.diff(r.Context(), repo.ID, id, runs); err != nil {
		return err
	}
	return p.show(w, r, http.StatusOK, "commit", page)
}

// layOut puts the runs to their files.
func (p *CommitPage) layOut() {
	if p.Lines == nil {
		return
	}
	p.Classes = lineShare(p.Lines.AI, p.Lines.Human, p.Lines.Unknown)
	runs := map[string][]store.AddedRun{}
	for _, run := range p.Lines.Runs {
		runs[string(run.Path)] = append(runs[string(run.Path)], run)
	}
	for _, file := range p.Lines.Files[:min(len(p.Lines.Files), maxCommitFiles)] {
		of := runs[string(file.Path)]
		shown := of[:min(len(of), maxFileRuns)]
		p.Files = append(p.Files, FileLines{Path: string(file.Path), OldPath: string(file.OldPath), AddedFile: file,
			Classes: lineShare(file.AI, file.Human, file.Unknown), Runs: shown, MoreRuns: len(of) - len(shown)})
	}
}
