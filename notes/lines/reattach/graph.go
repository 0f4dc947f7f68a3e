package reattach

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// graph is the part of a history that no branch reaches.
type graph struct {
	parents map[gitcmd.OID][]gitcmd.OID
	// ends are where work ended: commits that are no parent of another one, and
	// those that branches were at, in a fixed order.
	ends []gitcmd.OID
}

// has reports whether the commit was left behind.
func (g *graph) has(oid gitcmd.OID) bool {
	_, ok := g.parents[oid]
	return ok
}

// maxLeft bounds the commits that are held at once.
const maxLeft = 1_000_000

var errTooManyLeft = errors.New("branches left more than a million commits behind")

// readGraph reads what the commits and tips reach and the heads do not. Commits behind
// which history is incomplete are handed to broken and left out.
func readGraph(ctx context.Context, repo *gitcmd.Repo, commits, tips, heads []gitcmd.OID, broken func(gitcmd.OID)) (*graph, error) {
	g := &graph{parents: map[gitcmd.OID][]gitcmd.OID{}}
	unread := 0
	if err := g.read(ctx, repo, slices.Concat(tips, commits), heads, &unread, broken); err != nil {
		return nil, fmt.Errorf("reading what branches left: %w", err)
	}
	isParent := map[gitcmd.OID]bool{}
	for _, parents := range g.parents {
		for _, p := range parents {
			isParent[p] = true
		}
	}
	wasTip := setOf(tips)
	for _, oid := range sorted(g.parents) {
		if !isParent[oid] || wasTip[oid] {
			g.ends = append(g.ends, oid)
		}
	}
	return g, nil
}

// read adds the commits to the graph. Git ends where an object is absent: halves
// are tried until the commit that leads there stands alone.
func (g *graph) read(ctx context.Context, repo *gitcmd.Repo, commits, heads []gitcmd.OID, unread *int, broken func(gitcmd.OID)) error {
	part := map[gitcmd.OID][]gitcmd.OID{}
	err := repo.RevList(ctx, gitcmd.Walk{Include: commits, Exclude: heads}, func(oid gitcmd.OID, parents []gitcmd.OID) error {
		if len(g.parents)+len(part) == maxLeft {
			return errTooManyLeft
		}
		part[oid] = slices.Clone(parents)
		return nil
	})
	if err == nil {
		maps.Copy(g.parents, part)
		return nil
	}
	if *unread++; *unread > maxUnread || !errors.Is(err, gitcmd.ErrMissingObject) || ctx.Err() != nil {
		return err
	}
	if len(commits) == 1 {
		broken(commits[0])
		return nil
	}
	half := len(commits) / 2
	return errors.Join(g.read(ctx, repo, commits[:half], heads, unread, broken), g.read(ctx, repo, commits[half:], heads, unread, broken))
}

// chain is a line of work that was left behind: its commits from the end back
// to the branches.
type chain struct {
	tip     gitcmd.OID
	commits []gitcmd.OID
	// borders are commits on branches that the work began at or took in.
	borders []gitcmd.OID
}

// maxChain is the length up to which a chain may have become one commit.
const maxChain = 1000

// chainOf returns the chain with that end; false for one that is too long.
func (g *graph) chainOf(end gitcmd.OID) (chain, bool) {
	c := chain{tip: end}
	seen := map[gitcmd.OID]bool{end: true}
	for next := []gitcmd.OID{end}; len(next) > 0; next = next[1:] {
		if c.commits = append(c.commits, next[0]); len(c.commits) > maxChain {
			return chain{}, false
		}
		for _, p := range g.parents[next[0]] {
			switch {
			case seen[p]:
			case g.has(p):
				next = append(next, p)
			default:
				c.borders = append(c.borders, p)
			}
			seen[p] = true
		}
	}
	return c, true
}

// base returns where the work of a chain is to be compared from: the commit
// where it left the branches, and the last one that it took in from there. It is
// empty for work without any.
func (c *chain) base(ctx context.Context, repo *gitcmd.Repo) (gitcmd.OID, error) {
	base := gitcmd.OID("")
	for _, b := range c.borders {
		if base == "" {
			base = b
			continue
		}
		newer, err := repo.IsAncestor(ctx, base, b)
		if err != nil {
			return "", err
		}
		if newer {
			base = b
		}
	}
	return base, nil
}
