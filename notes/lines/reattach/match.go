package reattach

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/lines"
	"github.com/blameprompt/enterprise/store"
)

// batchPatches is how many commits one pair of children computes patch ids of.
const batchPatches = 5000

// maxUnread bounds the children that end because a repository is damaged.
const maxUnread = 500

func sorted[V any](m map[gitcmd.OID]V) []gitcmd.OID { return slices.Sorted(maps.Keys(m)) }

func texts(oids []gitcmd.OID) []string {
	out := make([]string, len(oids))
	for i, oid := range oids {
		out[i] = string(oid)
	}
	return out
}

// work is a change that was left behind: of one commit, or of a whole chain.
type work struct {
	change
	at    time.Time
	chain chain
}

// findPatches finds commits that make the same change as one that was left
// behind, or as all commits of a chain together.
func (r *run) findPatches(ctx context.Context) error {
	works, err := r.works(ctx)
	if err != nil || len(works) == 0 {
		return err
	}
	if err := r.learnPatches(ctx, works); err != nil {
		return err
	}
	var commits, bases []string
	var since []time.Time
	byChange := map[change]work{}
	for _, w := range works {
		commits, bases = append(commits, string(w.commit)), append(bases, string(w.base))
		since = append(since, w.at.Add(-clockSkew))
		byChange[w.change] = w
	}
	same, err := r.db.SamePatches(ctx, r.state.OrgID, r.state.RepoID, commits, bases, since)
	if err != nil {
		return err
	}
	return r.matchAll(ctx, same, byChange)
}

// works lists the changes that were left behind and have notes: of single
// commits first.
func (r *run) works(ctx context.Context) ([]work, error) {
	var works []work
	for _, oid := range sorted(r.notes) {
		if len(r.graph.parents[oid]) < 2 {
			works = append(works, work{change: change{commit: oid}, at: r.notes[oid][0].At})
		}
	}
	for _, end := range r.graph.ends {
		c, ok := r.graph.chainOf(end)
		if !ok || len(c.commits) < 2 {
			continue
		}
		at, noted := r.newest(c)
		if !noted {
			continue
		}
		base, err := c.base(ctx, r.git)
		if err != nil {
			return nil, err
		}
		if base != "" {
			works = append(works, work{change{base, end}, at, c})
		}
	}
	return works, nil
}

// newest returns when the last commit of a chain with a note was made.
func (r *run) newest(c chain) (at time.Time, noted bool) {
	for _, oid := range c.commits {
		for _, n := range r.notes[oid] {
			if noted = true; n.At.After(at) {
				at = n.At
			}
		}
	}
	return at, noted
}

// learnPatches computes the patch ids that are not known yet: of what was left
// behind, and of every commit since that may have become of it.
func (r *run) learnPatches(ctx context.Context, works []work) error {
	// Nothing can be learned of what is gone, and it may be very old.
	works = slices.DeleteFunc(slices.Clone(works), func(w work) bool { return r.gone[w.commit] })
	if len(works) == 0 {
		return nil
	}
	oldest := slices.MinFunc(works, func(a, b work) int { return a.at.Compare(b.at) }).at
	var named, tips []string
	for _, w := range works {
		if w.base != "" {
			tips = append(tips, string(w.commit))
		} else {
			named = append(named, string(w.commit))
		}
	}
	wanted, err := r.db.CommitsWithoutPatch(ctx, r.state.OrgID, r.state.RepoID, oldest.Add(-clockSkew), named)
	if err != nil {
		return err
	}
	have, err := r.db.Bases(ctx, r.state.OrgID, r.state.RepoID, tips)
	if err != nil {
		return err
	}
	oids := make([]gitcmd.OID, len(wanted))
	for i, text := range wanted {
		oids[i] = gitcmd.OID(text)
	}
	there, err := r.there(ctx, oids)
	if err != nil {
		return err
	}
	var singles, chains []change
	for _, oid := range there {
		singles = append(singles, change{commit: oid})
	}
	for _, w := range works {
		if w.base != "" && have[string(w.commit)] != string(w.base) {
			chains = append(chains, w.change)
		}
	}
	for batch := range slices.Chunk(singles, batchPatches) {
		if err := r.learn(ctx, batch); err != nil {
			return err
		}
	}
	for batch := range slices.Chunk(chains, batchPatches) {
		if err := r.learn(ctx, batch); err != nil {
			return err
		}
	}
	return nil
}

// learn stores the patch ids of a batch. Changes that git cannot read have none.
func (r *run) learn(ctx context.Context, batch []change) error {
	unread := 0
	ids, err := r.patchIDs(ctx, batch, &unread)
	if err != nil {
		return err
	}
	patches := make([]store.Patch, len(batch))
	for i, c := range batch {
		patches[i] = store.Patch{Commit: string(c.commit), Base: string(c.base), PatchID: ids[c.commit]}
	}
	return r.db.AddPatches(ctx, r.state.OrgID, r.state.RepoID, patches)
}

// patchIDs is patchIDs of the repository. Git ends at the first commit whose
// objects are absent: halves are tried until it stands alone.
func (r *run) patchIDs(ctx context.Context, batch []change, unread *int) (map[gitcmd.OID]string, error) {
	ids, err := patchIDs(ctx, r.git, batch)
	if err == nil || ctx.Err() != nil || !errors.Is(err, gitcmd.ErrMissingObject) {
		return ids, err
	}
	if len(batch) == 1 {
		if *unread++; *unread > maxUnread {
			return nil, err
		}
		return nil, r.reportUnread(ctx, batch[0].commit)
	}
	ids = map[gitcmd.OID]string{}
	for _, half := range [][]change{batch[:len(batch)/2], batch[len(batch)/2:]} {
		part, err := r.patchIDs(ctx, half, unread)
		if err != nil {
			return nil, err
		}
		maps.Copy(ids, part)
	}
	return ids, nil
}

func (r *run) reportUnread(ctx context.Context, commit gitcmd.OID) error {
	var faults []store.Fault
	for _, n := range r.notes[commit] {
		faults = append(faults, fault(n, codeUnread, "The mirror lacks objects of this commit, which no branch reaches any more, so that "+
			"its change cannot be compared with those of other commits."))
	}
	return r.record(ctx, faults)
}

// matchAll judges the commits that make the same changes.
func (r *run) matchAll(ctx context.Context, same []store.SamePatch, works map[change]work) error {
	targets := map[gitcmd.OID]bool{}
	for _, s := range same {
		targets[gitcmd.OID(s.To)] = true
	}
	on, err := r.reached(ctx, sorted(targets))
	if err != nil {
		return err
	}
	// Single commits first: a chain may have others that changed nothing.
	slices.SortStableFunc(same, func(a, b store.SamePatch) int { return cmp.Compare(min(len(a.Base), 1), min(len(b.Base), 1)) })
	for rest := same; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Commit == rest[0].Commit && rest[n].Base == rest[0].Base {
			n++
		}
		w := works[change{gitcmd.OID(rest[0].Base), gitcmd.OID(rest[0].Commit)}]
		if err := r.match(ctx, w, rest[:n], on); err != nil {
			return err
		}
		rest = rest[n:]
	}
	return nil
}

// match lays the notes of work to the commits that make the same change. Of
// those that follow one another the first is meant: what comes later does again
// what was undone between.
func (r *run) match(ctx context.Context, w work, same []store.SamePatch, on map[gitcmd.OID]bool) error {
	if len(same) > store.MaxSamePatch {
		return r.reportAmbiguous(ctx, w)
	}
	var first []gitcmd.OID
	for _, s := range same {
		to := gitcmd.OID(s.To)
		if !on[to] {
			continue
		}
		again := false
		for _, f := range first {
			after, err := r.git.IsAncestor(ctx, f, to)
			if err != nil {
				return err
			}
			again = again || after
		}
		if !again {
			first = append(first, to)
		}
	}
	for _, to := range first {
		if err := r.lay(ctx, w, to); err != nil {
			return err
		}
	}
	return nil
}

func (r *run) reportAmbiguous(ctx context.Context, w work) error {
	var faults []store.Fault
	for _, n := range r.notes[w.commit] {
		faults = append(faults, fault(n, codeAmbiguous, "Too many commits make the same change as this one, which no branch reaches any more. "+
			"Its notes were laid to none of them."))
	}
	return r.record(ctx, faults)
}

// lay adds the reattachments of the notes of work to a commit, with lines where
// they are not stored yet.
func (r *run) lay(ctx context.Context, w work, to gitcmd.OID) error {
	commits := []gitcmd.OID{w.commit}
	if w.base != "" {
		commits = w.chain.commits
	}
	var fresh []*store.Reattachment
	for _, from := range commits {
		for _, n := range r.notes[from] {
			f := r.found.add(store.Reattachment{NoteMove: store.NoteMove{Ref: n.Ref, Commit: n.Commit, Blob: n.Blob, To: string(to)},
				How: store.ByPatchID})
			f.Squash = f.Squash || w.base != ""
			if r.known[keyOf(f.NoteMove)] == nil {
				fresh = append(fresh, f)
			}
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	moved, err := r.lines(ctx, w, to)
	if err != nil {
		return err
	}
	for _, f := range fresh {
		for _, l := range moved {
			if l.From == f.Commit {
				f.Lines = append(f.Lines, l)
			}
		}
	}
	return nil
}

// lines says which lines of a commit are those of work. What git cannot say is
// nothing.
func (r *run) lines(ctx context.Context, w work, to gitcmd.OID) ([]store.MovedLines, error) {
	wanted := []gitcmd.OID{to}
	if w.base == "" {
		if r.gone[w.commit] {
			return nil, nil
		}
		wanted = []gitcmd.OID{w.commit, to}
	}
	var read []*lines.Commit
	err := lines.Diff(ctx, r.git, wanted, func(c *lines.Commit) error {
		read = append(read, c)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if w.base == "" {
		return movedLines(read[0], read[1]), nil
	}
	moved, err := squashedLines(ctx, r.git, w.chain, w.base, read[0])
	if errors.Is(err, gitcmd.ErrMissingObject) {
		return nil, nil
	}
	return moved, err
}
