package ui

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi/respond"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// Reviews is the queue of commits that a review would let pass, and the reviews
// that were made.
type Reviews struct {
	Base
	Tabs   []Tab
	Wanted []Change
	Made   []store.Review
}

// Change is a commit that waits for a review, with what was pushed.
type Change struct {
	store.WantedReview
	Files  []push.File
	Author string
	// MoreFiles counts those that are not shown.
	MoreFiles int
}

const (
	reviewsPath = "/enforcement/reviews"
	// maxChanges and maxFiles bound the page.
	maxChanges = 25
	maxFiles   = 12
)

func (p *pages) reviews(w http.ResponseWriter, r *http.Request) error {
	return p.showReviews(w, r, nil)
}

func (p *pages) showReviews(w http.ResponseWriter, r *http.Request, refused []Fault) error {
	base, err := p.newBase(r, "/enforcement", "Reviews")
	if err != nil {
		return err
	}
	base.Problems = refused
	page := &Reviews{Base: base, Tabs: enforcementTabs(reviewsPath)}
	wanted, err := p.cfg.DB.WantedReviews(r.Context(), base.Viewer.Org, maxChanges)
	if err != nil {
		return err
	}
	if page.Wanted, err = p.changes(r.Context(), base.Viewer.Org, wanted); err != nil {
		return err
	}
	if page.Made, err = p.cfg.DB.Reviews(r.Context(), base.Viewer.Org, store.ReviewFilter{}, uuid.Nil, pageSize); err != nil {
		return err
	}
	return p.show(w, r, statusFor(refused), "reviews", page)
}

// changes adds what the hook told of the commits, which need not be in the
// mirror: a refused push never came.
func (p *pages) changes(ctx context.Context, org uuid.UUID, wanted []store.WantedReview) ([]Change, error) {
	decisions := make([]uuid.UUID, len(wanted))
	for i := range wanted {
		decisions[i] = wanted[i].DecisionID
	}
	inputs, err := p.cfg.DB.DecisionInputs(ctx, org, decisions)
	if err != nil {
		return nil, err
	}
	out := make([]Change, len(wanted))
	for i, row := range wanted {
		out[i].WantedReview = row
		var input push.Input
		if json.Unmarshal(inputs[row.DecisionID], &input) == nil {
			out[i].describe(&input)
		}
	}
	return out, nil
}

// describe takes the commit out of what was judged.
func (c *Change) describe(input *push.Input) {
	for i := range input.Commits {
		commit := &input.Commits[i]
		if commit.OID != c.Commit {
			continue
		}
		c.Author = commit.Author.Name
		c.Files = commit.Files[:min(len(commit.Files), maxFiles)]
		c.MoreFiles = len(commit.Files) - len(c.Files)
	}
}

// ReviewPage is a commit that waits for a review, with its change as far as it
// is here.
type ReviewPage struct {
	Base
	Tabs []Tab
	Change
	Diff     []DiffFile
	MoreDiff bool
}

// openReview shows the change of a commit that waits. Of a held branch the
// mirror has it; the content of a refused push never came, so that the files are
// shown as the hook counted them.
func (p *pages) openReview(w http.ResponseWriter, r *http.Request) error {
	id, err := idOf(r)
	if err != nil {
		return err
	}
	base, err := p.newBase(r, "/enforcement", "Review")
	if err != nil {
		return err
	}
	wanted, err := p.cfg.DB.WantedReviews(r.Context(), base.Viewer.Org, maxListed)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(wanted, func(row store.WantedReview) bool { return row.ID == id })
	if at < 0 {
		return &respond.Problem{Status: http.StatusNotFound, Code: "not_found", Detail: "The commit waits for no review any more: it was reviewed, waived or replaced."}
	}
	changes, err := p.changes(r.Context(), base.Viewer.Org, wanted[at:at+1])
	if err != nil {
		return err
	}
	page := &ReviewPage{Base: base, Tabs: enforcementTabs(reviewsPath), Change: changes[0]}
	page.Title = "Review of " + short(page.Commit)
	runs, err := p.runsOf(r.Context(), base.Viewer.Org, page.RepoID, page.Commit)
	if err != nil {
		return err
	}
	if page.Diff, page.MoreDiff, err = p.diff(r.Context(), page.RepoID, page.Commit, runs); err != nil {
		return err
	}
	return p.show(w, r, http.StatusOK, "review", page)
}

// runsOf are whose the lines of a commit are; nil if they are not classified.
func (p *pages) runsOf(ctx context.Context, org, repo uuid.UUID, commit string) ([]store.AddedRun, error) {
	known, err := p.cfg.DB.CommitNotes(ctx, org, repo, commit)
	if errors.Is(err, store.ErrNotFound) || err == nil && known.Lines == nil {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return append([]store.AddedRun{}, known.Lines.Runs...), nil
}

// review approves or rejects a commit of a decision.
func (p *pages) review(w http.ResponseWriter, r *http.Request) error {
	form := postOf(r)
	wanted := store.NewReview{Decision: form.id("decision"), Commit: strings.ToLower(form.match("commit", commitForm, "a commit id")),
		Comment: form.text("comment", 2000)}
	verdict := form.choice("verdict", "approve", "reject")
	if verdict == "" && len(form.faults) == 0 {
		form.refuse("verdict", "must be approve or reject")
	}
	wanted.Approved = verdict == "approve"
	if len(form.faults) > 0 {
		return p.showReviews(w, r, form.faults)
	}
	made, err := p.cfg.DB.CreateReviews(r.Context(), whoOf(r), wanted)
	if errors.Is(err, store.ErrNotAPerson) {
		return p.showReviews(w, r, []Fault{{Problem: "Only people review: sign in as a person."}})
	}
	if faults, ok := faultsOf(err); err != nil && ok {
		return p.showReviews(w, r, faults)
	}
	if err != nil {
		return err
	}
	p.reconsider(r, made[0].RepoID, store.EventReview)
	return done(w, r, reviewsPath, map[bool]string{true: "approved", false: "rejected"}[wanted.Approved])
}
