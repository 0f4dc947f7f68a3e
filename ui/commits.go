package ui

import (
	"context"
	"net/http"
	"net/url"
	"reflect"
	"time"

	"github.com/blameprompt/enterprise/httpapi/cursor"
	"github.com/blameprompt/enterprise/store"
)

// Commits is the list of commits of default branches.
type Commits struct {
	Base
	Choices Choices
	Query   url.Values
	Classes []string
	Rows    []CommitRow
	Chips   []Chip
	Pager   Pager
	// Total is how many commits the figures of the same days count; nil where the
	// list is filtered by more than sums are kept by.
	Total *int64
}

// CommitRow is a commit and the bar of its classes.
type CommitRow struct {
	store.LineCommit
	Classes Share
}

// Get is a filter as it was given.
func (p *Commits) Get(name string) string { return p.Query.Get(name) }

var commitFilters = []struct{ key, name string }{
	{"repo", "Repository"}, {"team", "Team"}, {"author", "Author"}, {"agent", "Agent"}, {"class", "Lines"}, {"noted", "Note"},
	{"marked", "AI-marked without a note"}, {"kind", "Kind"}, {"from", "From"}, {"to", "To"},
}

func (p *pages) commits(w http.ResponseWriter, r *http.Request) error {
	base, err := p.newBase(r, "/coverage", "Commits")
	if err != nil {
		return err
	}
	page := &Commits{Base: base, Query: r.URL.Query(), Classes: store.CommitClasses}
	if page.Choices, err = p.choices(r.Context(), base.Viewer.Org); err != nil {
		return err
	}
	for _, f := range commitFilters {
		if value := page.Get(f.key); value != "" {
			page.Chips = append(page.Chips, Chip{f.name, value, address("/commits", changed(page.Query, f.key, ""))})
		}
	}
	form := queryOf(r)
	filter, err := p.commitFilter(r, &base, form)
	if err == nil && len(form.faults) == 0 {
		err = p.readCommits(r, page, filter)
	}
	page.Problems = form.faults
	if faults, ok := faultsOf(err); err != nil && ok {
		page.Problems = append(page.Problems, faults...)
	} else if err != nil {
		return err
	}
	return p.show(w, r, statusFor(page.Problems), "commits", page)
}

func (p *pages) commitFilter(r *http.Request, base *Base, f *form) (store.CommitFilter, error) {
	out := store.CommitFilter{Class: f.choice("class", store.CommitClasses...), Noted: f.yesNo("noted"), Marked: f.on("marked"),
		Agent: f.text("agent", 200), Kind: store.CommitKind(f.choice("kind", "counted", "bot", "merge"))}
	out.From, out.To = f.day("from", time.UTC), f.day("to", time.UTC)
	var err error
	if out.Repos, err = p.reposNamed(r.Context(), base.Viewer.Org, f, "repo"); err != nil {
		return out, err
	}
	if out.Emails, err = p.teamNamed(r.Context(), base.Viewer.Org, f, "team"); err != nil {
		return out, err
	}
	if author := f.text("author", 320); author != "" {
		out.Emails = []string{pusherKey(author)}
	}
	return out, nil
}

func (p *pages) readCommits(r *http.Request, page *Commits, filter store.CommitFilter) error {
	still := changed(page.Query, "", "")
	seal := cursor.Seal(page.Viewer.Org, "commits page", address("", still))
	var after *store.CommitPosition
	if err := cursor.Open(page.Get("cursor"), seal, &after); err != nil {
		return err
	}
	rows, err := p.cfg.DB.LineCommits(r.Context(), page.Viewer.Org, filter, after, pageSize+1)
	if err != nil {
		return err
	}
	if after == nil {
		if page.Total, err = p.commitTotal(r.Context(), page, filter); err != nil {
			return err
		}
	}
	rows, more := cut(rows)
	for _, row := range rows {
		page.Rows = append(page.Rows, CommitRow{row, lineShare(row.AI, row.Human, row.Unknown)})
	}
	page.Pager.Shown = count(len(rows)) + " shown"
	if after != nil {
		page.Pager.First = address("/commits", still)
	}
	if more {
		last := rows[len(rows)-1]
		page.Pager.Next = address("/commits", changed(still, "cursor", cursor.Make(seal,
			store.CommitPosition{At: last.CommittedAt, RepoID: last.RepoID, Commit: last.Commit})))
	}
	return nil
}

// commitTotal counts a list whose filters are days, repositories, a team and what
// figures tell commits apart by.
func (p *pages) commitTotal(ctx context.Context, page *Commits, f store.CommitFilter) (*int64, error) {
	summed := store.CommitFilter{Repos: f.Repos, Emails: f.Emails, From: f.From, To: f.To, Kind: f.Kind, Noted: f.Noted, Marked: f.Marked}
	if f.From.IsZero() || page.Get("author") != "" || !reflect.DeepEqual(f, summed) || totalOf(f, store.LineSums{}) == nil {
		return nil, nil
	}
	sums, err := p.cfg.DB.FigureTotals(ctx, page.Viewer.Org, store.AnalyticsFilter{Repos: f.Repos, Emails: f.Emails, From: f.From, To: f.To})
	return totalOf(f, sums.Lines), err
}

// totalOf is which of the sums counts the commits of a filter; nil if none does.
func totalOf(f store.CommitFilter, sums store.LineSums) *int64 {
	n := int64(0)
	switch {
	case f.Marked && f.Kind == "" && f.Noted == nil:
		n = sums.CommitsMarked
	case f.Marked:
		return nil
	case f.Kind == store.KindCounted && f.Noted == nil:
		n = sums.Commits
	case f.Kind == store.KindCounted && *f.Noted:
		n = sums.CommitsNoted
	case f.Kind == store.KindCounted:
		n = sums.Commits - sums.CommitsNoted
	case f.Noted != nil:
		return nil
	case f.Kind == "":
		n = sums.Commits + sums.BotCommits + sums.MergeCommits
	case f.Kind == store.KindBot:
		n = sums.BotCommits
	case f.Kind == store.KindMerge:
		n = sums.MergeCommits
	}
	return &n
}
