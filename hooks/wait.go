package hooks

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/policy/push"
)

// pollStep is the pause between two looks at the notes refs.
const pollStep = 25 * time.Millisecond

// awaitNotes looks for notes of the push that another push brings meanwhile,
// until each of its commits that answer awaits has one or patience is over,
// and replaces Notes and UnreadNotes by what is there then. What cannot be read
// is looked for again: the other push is at work.
func awaitNotes(ctx context.Context, repo *gitcmd.Repo, updates []Update, p *Push, answer Answer, patience time.Duration, limits Limits) {
	over := time.NewTimer(patience)
	defer over.Stop()
	step := time.NewTicker(pollStep)
	defer step.Stop()
	awaited := answer.awaited(p)
	var seen map[string]gitcmd.OID
	for {
		c := recollection(repo, updates, p, limits)
		tips, err := c.noteTips(ctx)
		if err == nil && !maps.Equal(tips, seen) && c.readNotes(ctx) == nil {
			// What came between the two looks is seen at the next one.
			seen = tips
			p.Notes, p.UnreadNotes = c.notes.found, c.notes.unread
			if allNoted(awaited, p.Notes) {
				return
			}
		}
		select {
		case <-step.C:
		case <-over.C:
			return
		case <-ctx.Done():
			return
		}
	}
}

// recollection is a collection whose commits are listed already.
func recollection(repo *gitcmd.Repo, updates []Update, p *Push, limits Limits) *collection {
	c := newCollection(p.Quarantine.within(repo), updates, limits.orDefaults())
	c.commits = slices.Clone(p.Commits)
	slices.Reverse(c.commits)
	for i := range c.commits {
		c.index[c.commits[i].OID] = i
	}
	close(c.listed)
	return c
}

// awaited are the commits whose receipts the verdict misses: those that it
// names, or all if it does not name all of them.
func (a Answer) awaited(p *Push) []gitcmd.OID {
	var named []gitcmd.OID
	whole := hiddenFindings(a.Verdict) == 0
	for _, f := range a.Verdict.Findings {
		switch {
		case f.Problem != push.Awaited:
		case f.Commit == "":
			whole = false
		default:
			named = append(named, gitcmd.OID(f.Commit))
		}
	}
	if whole && len(named) > 0 {
		return named
	}
	named = nil
	for i := range p.Commits {
		named = append(named, p.Commits[i].OID)
	}
	return named
}

func allNoted(commits []gitcmd.OID, notes []Note) bool {
	noted := make(map[gitcmd.OID]bool)
	for i := range notes {
		noted[notes[i].Commit] = true
	}
	return !slices.ContainsFunc(commits, func(oid gitcmd.OID) bool { return !noted[oid] })
}
