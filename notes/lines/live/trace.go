package live

import (
	"context"
	"errors"
	"maps"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// A file whose content a parent has at the same path comes from that parent as
// a whole, for git blame: from the first such parent. The commits that it comes
// through in this way are its chain. Where two chains meet, the lines of both
// files come from the same places.

// trace follows the chains of the files of a tip which the old tip has too, down
// through the commits that are new.
type trace struct {
	trees *gitcmd.TreeDiffer
	// changed are the paths that are not followed.
	changed map[string]gitcmd.TreeChange
	// rest is the commit that the chains of all files have come to which are not in
	// left, and empty when there they came to an end.
	rest gitcmd.OID
	// left are the paths that are no longer with the rest.
	left map[string]bool
	// at are those of them whose chains go on, by the commits they have come to.
	at map[gitcmd.OID][]string
	// ended are the files that a new commit changed: theirs have come to an end.
	ended []string
}

// sameFile reports whether git blame sees no change: modes do not matter as long
// as both are files.
func sameFile(c gitcmd.TreeChange) bool {
	return c.Old == c.New && isRegular(c.OldMode) && isRegular(c.Mode)
}

// step moves what is at a commit to its parents. Commits come children first.
func (t *trace) step(commit gitcmd.OID, parents []gitcmd.OID) error {
	moving := t.at[commit]
	delete(t.at, commit)
	all := t.rest == commit
	if all {
		t.rest = ""
		if len(parents) > 0 {
			t.rest = parents[0]
		}
	}
	for i, parent := range parents {
		if len(moving) == 0 && !(all && i == 0) {
			break
		}
		differs, err := differing(t.trees, parent, commit)
		if err != nil {
			return err
		}
		for path := range differs {
			if all && i == 0 && t.leave(path) {
				moving = append(moving, path)
			}
		}
		moving = t.pass(moving, parent, differs)
	}
	t.ended = append(t.ended, moving...)
	return nil
}

// leave takes a path out of the rest and reports whether it is to be followed.
// One that is at neither tip, because it came and went, is followed in vain.
func (t *trace) leave(path string) bool {
	if _, changed := t.changed[path]; changed || t.left[path] {
		return false
	}
	t.left[path] = true
	return true
}

// pass moves the paths that do not differ to the parent and returns the others.
func (t *trace) pass(moving []string, parent gitcmd.OID, differs map[string]bool) []string {
	kept := moving[:0]
	for _, path := range moving {
		if differs[path] {
			kept = append(kept, path)
		} else {
			t.at[parent] = append(t.at[parent], path)
		}
	}
	return kept
}

// differing returns the paths in which two commits differ.
func differing(trees *gitcmd.TreeDiffer, base, commit gitcmd.OID) (map[string]bool, error) {
	differs := map[string]bool{}
	err := trees.Diff(base, commit, func(c gitcmd.TreeChange) error {
		if !sameFile(c) {
			differs[c.Path] = true
		}
		return nil
	})
	return differs, err
}

// pair is a file as a commit has it.
type pair struct {
	commit gitcmd.OID
	path   string
}

// maxWalk bounds the commits that are looked at to find where chains meet.
const maxWalk = 50_000

// errFound ends a walk that has nothing more to find.
var errFound = errors.New("all is found")

// meeting finds out of which pairs the chains meet those of the same paths at the
// old tip.
type meeting struct {
	trees *gitcmd.TreeDiffer
	// ours are the chains from the old tip, theirs those of the pairs, by commit
	// and path.
	ours, theirs chains
	// open counts the pairs of each path that may still meet, left all of them.
	open map[string]int
	left int
	met  map[pair]bool
}

// meet returns those of the pairs, whose commits the old tip reaches, that have
// the same lines from the same places as the file of that path at the old tip.
// It may miss some, where history is long or incomplete or its times are wrong.
func meet(ctx context.Context, repo *gitcmd.Repo, trees *gitcmd.TreeDiffer, old gitcmd.OID, pairs []pair) (map[pair]bool, error) {
	m := &meeting{trees: trees, ours: chains{}, theirs: chains{}, open: map[string]int{}, left: len(pairs), met: map[pair]bool{}}
	if len(pairs) == 0 {
		return m.met, nil
	}
	for _, p := range pairs {
		m.ours.put(old, p.path, nil)
		m.theirs.put(p.commit, p.path, []pair{p})
		m.open[p.path]++
	}
	err := repo.RevList(ctx, gitcmd.Walk{Include: []gitcmd.OID{old}, Limit: maxWalk}, m.step)
	if errors.Is(err, errFound) || errors.Is(err, gitcmd.ErrMissingObject) {
		err = nil
	}
	return m.met, err
}

// chains are where files have come to, by commit and path, and for which pairs.
type chains map[gitcmd.OID]map[string][]pair

func (c chains) put(commit gitcmd.OID, path string, pairs []pair) {
	if c[commit] == nil {
		c[commit] = map[string][]pair{}
	}
	c[commit][path] = append(c[commit][path], pairs...)
}

// move takes the files that do not differ from those at a commit to its parent.
func (c chains) move(from map[string][]pair, parent gitcmd.OID, differs map[string]bool) {
	for path, pairs := range from {
		if !differs[path] {
			c.put(parent, path, pairs)
			delete(from, path)
		}
	}
}

// step lets the chains meet that have come to a commit and moves the others to
// its parents.
func (m *meeting) step(commit gitcmd.OID, parents []gitcmd.OID) error {
	ours, theirs := m.ours[commit], m.theirs[commit]
	delete(m.ours, commit)
	delete(m.theirs, commit)
	for path, pairs := range theirs {
		if _, both := ours[path]; both {
			for _, p := range pairs {
				m.met[p] = true
			}
			m.close(path, len(pairs))
			delete(theirs, path)
		}
	}
	m.forget(ours)
	m.forget(theirs)
	for _, parent := range parents {
		if len(ours)+len(theirs) == 0 {
			break
		}
		if err := m.pass(ours, theirs, parent, commit); err != nil {
			return err
		}
	}
	for path := range ours {
		m.close(path, m.open[path])
	}
	for path, pairs := range theirs {
		m.close(path, len(pairs))
	}
	if m.left == 0 {
		return errFound
	}
	return nil
}

// close notes that n of the open pairs of a path are no longer open.
func (m *meeting) close(path string, n int) {
	n = min(n, m.open[path])
	m.open[path] -= n
	m.left -= n
}

// forget drops chains of paths of which no pair is open.
func (m *meeting) forget(chains map[string][]pair) {
	for path := range chains {
		if m.open[path] == 0 {
			delete(chains, path)
		}
	}
}

// pass moves chains to a parent that has the same files.
func (m *meeting) pass(ours, theirs map[string][]pair, parent, commit gitcmd.OID) error {
	differs, err := differing(m.trees, parent, commit)
	if err != nil {
		return err
	}
	m.ours.move(ours, parent, differs)
	m.theirs.move(theirs, parent, differs)
	return nil
}

// diverge returns the paths in which the lines of first parents from two commits
// on differ until they come to the same commit, and whether they do.
func diverge(ctx context.Context, repo *gitcmd.Repo, trees *gitcmd.TreeDiffer, a, b gitcmd.OID) (map[string]bool, bool, error) {
	first, err := firstParents(ctx, repo, a, func(oid gitcmd.OID) bool { return oid == b })
	if err != nil {
		return nil, false, err
	}
	place := make(map[gitcmd.OID]int, len(first))
	for i, oid := range first {
		place[oid] = i
	}
	second, err := firstParents(ctx, repo, b, func(oid gitcmd.OID) bool { _, met := place[oid]; return met })
	if err != nil {
		return nil, false, err
	}
	met, ok := place[second[len(second)-1]]
	if !ok {
		return nil, false, nil
	}
	differs := map[string]bool{}
	for _, line := range [][]gitcmd.OID{first[:met+1], second} {
		for i := range len(line) - 1 {
			paths, err := differing(trees, line[i+1], line[i])
			if err != nil {
				return nil, false, err
			}
			maps.Copy(differs, paths)
		}
	}
	return differs, true, nil
}

// firstParents lists a commit, its first parent, and so on until the end.
func firstParents(ctx context.Context, repo *gitcmd.Repo, from gitcmd.OID, end func(gitcmd.OID) bool) ([]gitcmd.OID, error) {
	var line []gitcmd.OID
	walk := gitcmd.Walk{Include: []gitcmd.OID{from}, FirstParent: true, Limit: maxWalk}
	err := repo.RevList(ctx, walk, func(commit gitcmd.OID, _ []gitcmd.OID) error {
		line = append(line, commit)
		if end(commit) {
			return errFound
		}
		return nil
	})
	if errors.Is(err, errFound) {
		err = nil
	}
	return line, err
}
