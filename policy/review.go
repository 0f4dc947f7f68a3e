package policy

import (
	"context"
	"fmt"
	"strings"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/policy/push"
)

// reviewOption says what counts as a review.
type reviewOption struct {
	// trailers accepts "Reviewed-by:" in the commit message, which anyone may
	// type.
	trailers bool
}

func readReviewOption(o *object) reviewOption {
	return reviewOption{trailers: o.truth("accept_trailer", false)}
}

// reviewed reports whether somebody other than the author and the pusher
// approved the change.
func (opt reviewOption) reviewed(v *view, c *commit) bool {
	for i := range c.Reviews {
		review := &c.Reviews[i]
		if review.Approved && binds(review, c) && v.mayReview(c, review.Reviewer) {
			return true
		}
	}
	if !opt.trailers {
		return false
	}
	for _, t := range c.Trailers {
		if strings.EqualFold(strings.TrimSpace(t.Key), "Reviewed-by") && v.mayReview(c, trailerPerson(t.Value)) {
			return true
		}
	}
	return false
}

// binds reports whether the review is of this change: the same patch, or the
// same commit where the change has no patch id.
func binds(review *push.Review, c *commit) bool {
	if c.PatchID != "" && review.PatchID != "" {
		return review.PatchID == c.PatchID
	}
	return review.OID != "" && review.OID == c.OID
}

// mayReview reports whether the person is somebody, is neither author nor
// pusher, and is no machine.
func (v *view) mayReview(c *commit, p push.Person) bool {
	if p.User == "" && p.Email == "" {
		return false
	}
	if p.Same(c.Author) || p.Same(v.in.Pusher) {
		return false
	}
	return !notes.IsBot(p.Name, p.Email) && len(notes.AgentMarks(p.Name, p.Email, "", "", "")) == 0
}

// trailerPerson reads "Name <mail>". A name alone identifies nobody.
func trailerPerson(value string) push.Person {
	name, rest, _ := strings.Cut(value, "<")
	email, _, closed := strings.Cut(rest, ">")
	if !closed || !strings.Contains(email, "@") {
		return push.Person{}
	}
	return push.Person{Name: strings.TrimSpace(name), Email: strings.TrimSpace(email)}
}

// reviewWay is the way out of rules that ask for a review.
func (opt reviewOption) reviewWay() string {
	way := "Ask somebody other than author and pusher to approve the change"
	if opt.trailers {
		way += ", or add their Reviewed-by: trailer"
	}
	return way + ", then push again."
}

// maxLines bounds line counts in rules.
const maxLines = 1_000_000_000

// reviewRule is require_review_above: more AI lines than the limit need a
// review. Lines of reviewed commits do not count, so that part of a push can be
// reviewed and so that many small commits do not pass where one would not.
type reviewRule struct {
	withoutTotals
	reviewOption
	limit     int64
	perCommit bool
}

func readRequireReviewAbove(o *object) judge {
	return &reviewRule{
		limit:        whole(o.decimal(string(RequireReviewAbove), maxLines, 0)),
		perCommit:    o.choice("per", "push", "commit") == "commit",
		reviewOption: readReviewOption(o),
	}
}

func (rule *reviewRule) judge(_ context.Context, v *view, r *report) {
	var unreviewed []*commit
	for _, c := range v.commits {
		if (c.lines.AI > 0 || c.awaited) && !rule.reviewed(v, c) {
			unreviewed = append(unreviewed, c)
		}
	}
	if !rule.perCommit {
		rule.judgeLines(unreviewed, "The push", r)
		return
	}
	for _, c := range unreviewed {
		rule.judgeLines([]*commit{c}, "Commit "+short(c.OID), r)
	}
}

// judgeLines judges commits whose lines count together.
func (rule *reviewRule) judgeLines(commits []*commit, what string, r *report) {
	var ai, mayBe int64
	var awaited []*commit
	var first *commit
	for _, c := range commits {
		ai += c.lines.AI
		if first == nil && c.lines.AI > 0 {
			first = c
		}
		if c.awaited && c.lines.Unknown() > 0 {
			mayBe += c.lines.Unknown()
			awaited = append(awaited, c)
		}
	}
	switch {
	case ai > rule.limit:
		r.violated(first, rule.finding(ai, what))
	case ai+mayBe > rule.limit:
		r.await(awaited)
	}
}

func (rule *reviewRule) finding(ai int64, what string) push.Finding {
	lines := plural(ai, "AI line")
	return push.Finding{
		Limit: plural(rule.limit, "AI line") + " without review",
		Found: lines,
		Message: fmt.Sprintf("%s has %s that nobody reviewed; above %d a review is needed.",
			what, lines, rule.limit),
		Next: rule.reviewWay(),
	}
}

// pathRule is protected_paths: AI lines in matching files need a review.
// Excluded files count here: protection is about paths, not about sums.
type pathRule struct {
	withoutTotals
	reviewOption
	texts []string
	globs globs
}

func readProtectedPaths(o *object) judge {
	rule := &pathRule{texts: o.list(string(ProtectedPaths)), reviewOption: readReviewOption(o)}
	list, errs := pathGlobs(rule.texts)
	o.patternProblems(string(ProtectedPaths), errs)
	rule.globs = list
	return rule
}

func (rule *pathRule) judge(ctx context.Context, v *view, r *report) {
	var awaited []*commit
	for _, c := range v.commits {
		if ctx.Err() != nil {
			return
		}
		ai, mayBe := rule.touched(c)
		if len(ai) == 0 && (!c.awaited || !mayBe) || rule.reviewed(v, c) {
			continue
		}
		for _, f := range ai {
			r.violated(c, rule.finding(c, f))
		}
		if len(ai) == 0 {
			awaited = append(awaited, c)
		}
	}
	r.await(awaited)
}

// touched returns the protected files with AI lines, and whether another has
// lines that are not known.
func (rule *pathRule) touched(c *commit) (ai []*push.File, mayBe bool) {
	for i := range c.Files {
		f := &c.Files[i]
		lines := f.Lines()
		if lines.AI == 0 && (mayBe || lines.Unknown() == 0) || !rule.globs.match(f.Path) {
			continue
		}
		if lines.AI > 0 {
			ai = append(ai, f)
		} else {
			mayBe = true
		}
	}
	return ai, mayBe
}

func (rule *pathRule) finding(c *commit, f *push.File) push.Finding {
	lines := plural(f.Lines().AI, "AI line")
	return push.Finding{
		File:  f.Path,
		Limit: "review of AI lines in " + quoteList(rule.texts),
		Found: lines,
		Message: fmt.Sprintf("Commit %s has %s in the protected file %s that nobody reviewed.",
			short(c.OID), lines, quote(f.Path)),
		Next: rule.reviewWay(),
	}
}
