package hooks

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/policy/push"
)

// classify orders the commits and says what happens to each ref.
func (c *collection) classify(ctx context.Context) error {
	c.push.Commits = parentsFirst(c.commits, c.index)
	for i := range c.push.Commits {
		c.index[c.push.Commits[i].OID] = i
	}
	for _, u := range c.updates {
		ref := refOf(u)
		ref.Commit = c.tags[u.New]
		c.push.Refs = append(c.push.Refs, ref)
	}
	if err := c.findForced(ctx); err != nil {
		return err
	}
	c.assignRefs()
	if err := c.findAbandoned(ctx); err != nil {
		return err
	}
	return c.findInitial(ctx)
}

// refOf is the update without what only the history tells.
func refOf(u Update) Ref {
	return Ref{Name: strings.ToValidUTF8(u.Ref, "\uFFFD"), Old: u.Old, New: u.New, Kind: kindOf(u)}
}

func kindOf(u Update) push.RefKind {
	switch {
	case isNotesRef(u.Ref):
		return push.Notes
	case strings.HasPrefix(u.Ref, "refs/tags/"):
		return push.Tag
	case u.New.IsZero():
		return push.Delete
	case u.Old.IsZero():
		return push.Create
	}
	return push.Update
}

// parentsFirst orders commits so that parents stand before their children and
// otherwise from the last to the first.
func parentsFirst(commits []Commit, index map[gitcmd.OID]int) []Commit {
	if len(commits) == 0 {
		return nil
	}
	ordered := make([]Commit, 0, len(commits))
	done := make([]bool, len(commits))
	var stack []int
	for last := len(commits) - 1; last >= 0; last-- {
		stack = append(stack, last)
		for len(stack) > 0 {
			top := stack[len(stack)-1]
			if before := unplacedParent(&commits[top], index, done); before >= 0 {
				stack = append(stack, before)
				continue
			}
			stack = stack[:len(stack)-1]
			if !done[top] {
				done[top] = true
				ordered = append(ordered, commits[top])
			}
		}
	}
	return ordered
}

func unplacedParent(commit *Commit, index map[gitcmd.OID]int, done []bool) int {
	for _, parent := range commit.Parents {
		if i, ok := index[parent]; ok && !done[i] {
			return i
		}
	}
	return -1
}

// The bounds of the search for old tips in the history of new ones.
const (
	// maxSteps bounds the commits of the push that are looked at for all refs.
	maxSteps = 10_000_000
	// maxAncestry bounds the refs for which a child is started, two at a time.
	maxAncestry = 64
)

// findForced sets Forced and the kind of updates that are no fast-forwards.
// Most are found in the pushed commits themselves; git is asked about the rest.
func (c *collection) findForced(ctx context.Context) error {
	var asked []int
	steps := maxSteps
	for i, u := range c.updates {
		ref := &c.push.Refs[i]
		if u.Old.IsZero() || u.New.IsZero() || ref.Kind == push.Tag || c.extends(u, &steps) {
			continue
		}
		ref.Forced = true
		asked = append(asked, i)
	}
	// Nothing is refused for the sake of branches that are forced, so that notes refs come first.
	slices.SortStableFunc(asked, func(a, b int) int { return cmp.Compare(rank(c.push.Refs[a]), rank(c.push.Refs[b])) })
	if err := c.askAncestry(ctx, asked[:min(len(asked), maxAncestry)]); err != nil {
		return err
	}
	for i := range c.push.Refs {
		if c.push.Refs[i].Forced && c.push.Refs[i].Kind == push.Update {
			c.push.Refs[i].Kind = push.Force
		}
	}
	return nil
}

func rank(ref Ref) int {
	if ref.Kind == push.Notes {
		return 0
	}
	return 1
}

// extends reports whether a walk from the new id over the pushed commits meets
// the old one.
func (c *collection) extends(u Update, steps *int) bool {
	if slices.Contains(c.notes.parents[u.New], u.Old) {
		return true
	}
	start, ok := c.index[u.New]
	if !ok {
		return false
	}
	seen := map[int]bool{start: true}
	for queue := []int{start}; len(queue) > 0 && *steps > 0; *steps-- {
		commit := &c.push.Commits[queue[0]]
		queue = queue[1:]
		for _, parent := range commit.Parents {
			if parent == u.Old {
				return true
			}
			if i, ok := c.index[parent]; ok && !seen[i] {
				seen[i] = true
				queue = append(queue, i)
			}
		}
	}
	return false
}

// askAncestry clears Forced of the refs for which git finds the old id in the
// new history. What is no commit, or cannot be reached, is not found there.
func (c *collection) askAncestry(ctx context.Context, asked []int) error {
	return twoAtATime(ctx, asked, func(i int) {
		found, err := c.repo.IsAncestor(ctx, c.updates[i].Old, c.updates[i].New)
		if err == nil && found {
			c.push.Refs[i].Forced = false
		}
	})
}

// twoAtATime does work, which starts a child each, for all items.
func twoAtATime(ctx context.Context, items []int, work func(int)) error {
	var running sync.WaitGroup
	slots := make(chan struct{}, 2)
	for _, i := range items {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			work(i)
		})
	}
	running.Wait()
	return ctx.Err()
}

// maxLeaving bounds the forced and deleted refs of a push whose Abandoned is
// looked for: their names are arguments of each child.
const maxLeaving = 256

// findAbandoned sets Abandoned of forced updates and deleted branches. What git
// cannot tell, as of an old id that is no commit, stays empty.
func (c *collection) findAbandoned(ctx context.Context) error {
	if c.preview {
		return nil
	}
	var leaving []int
	for i := range c.push.Refs {
		if ref := &c.push.Refs[i]; ref.Kind == push.Force || ref.Kind == push.Delete {
			leaving = append(leaving, i)
		}
	}
	if len(leaving) == 0 || len(leaving) > maxLeaving {
		return nil
	}
	var moved []string
	for _, i := range leaving {
		moved = append(moved, c.updates[i].Ref)
	}
	return twoAtATime(ctx, leaving[:min(len(leaving), maxAncestry)], func(i int) {
		commits, err := c.repo.CommitsLeft(ctx, c.updates[i].Old, c.tips(), moved, MaxAbandoned)
		if err == nil {
			c.push.Refs[i].Abandoned = commits
		}
	})
}

// assignRefs names for each commit the refs that reach it. With more than 64
// refs, or very long names, it is left open, which stands for all.
func (c *collection) assignRefs() {
	tips := c.judged()
	if len(tips) > 64 {
		return
	}
	all := uint64(1)<<len(tips) - 1
	text := c.limits.Text
	reached := make([]uint64, len(c.push.Commits))
	for bit, i := range tips {
		tip := c.push.Refs[i].New
		if peeled := c.push.Refs[i].Commit; peeled != "" {
			tip = peeled
		}
		if at, ok := c.index[tip]; ok {
			reached[at] |= 1 << bit
		}
	}
	for at := len(c.push.Commits) - 1; at >= 0; at-- {
		commit := &c.push.Commits[at]
		for _, parent := range commit.Parents {
			if p, ok := c.index[parent]; ok {
				reached[p] |= reached[at]
			}
		}
		if reached[at] == all {
			continue
		}
		names, size := c.named(tips, reached[at])
		if text -= size; text >= 0 {
			commit.Refs = names
		}
	}
}

// named returns the names of those tips whose bits are set, and their size.
func (c *collection) named(tips []int, bits uint64) (names []string, size int64) {
	for bit, i := range tips {
		if bits&(1<<bit) != 0 {
			names = append(names, c.push.Refs[i].Name)
			size += int64(len(c.push.Refs[i].Name))
		}
	}
	return names, size
}

// judged are the places of the refs that may bring commits.
func (c *collection) judged() []int {
	var places []int
	for i, u := range c.updates {
		if !u.New.IsZero() && !isNotesRef(u.Ref) {
			places = append(places, i)
		}
	}
	return places
}

// findInitial looks for a branch when the push brings the beginning of history.
func (c *collection) findInitial(ctx context.Context) error {
	rooted := c.more || slices.ContainsFunc(c.push.Commits, func(commit Commit) bool { return len(commit.Parents) == 0 })
	created := func(ref Ref) bool { return ref.Kind == push.Create && strings.HasPrefix(ref.Name, "refs/heads/") }
	if !rooted || !slices.ContainsFunc(c.push.Refs, created) {
		return nil
	}
	if c.preview {
		c.push.Initial = len(c.known) == 0
		return nil
	}
	out, err := c.repo.Command(ctx, "for-each-ref", "--count=1", "--format=%(refname)", "refs/heads/").Output(64 << 10)
	if err != nil {
		return err
	}
	c.push.Initial = len(out) == 0
	return nil
}
