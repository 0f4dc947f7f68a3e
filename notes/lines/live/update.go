package live

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/blameprompt/enterprise/notes"
	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// batchFiles is how many files Update reads before it hands them over: what it
// asks about them is asked for all of them at once.
const batchFiles = 200

// Update makes the map of tip out of that of old: it hands every path to fn
// that differs or whose lines may come from elsewhere now, ordered by path, with
// KindRemoved for those that are gone. All others stay as they are. Tip need not
// descend from old. An error of fn or stored ends the reading and
// is returned as it is; the map is whole only when all of it came. The error is
// ErrMissingObject when either tip or its tree is incomplete: then the map must
// be built anew.
//
// Files for which old has a finding are read again when they changed. For a
// change of Options.Exclude, see Build and its Want.
func Update(ctx context.Context, repo *gitcmd.Repo, old, tip gitcmd.OID, stored Stored, o Options, fn func(*File) error) error {
	u := &update{
		work: work{repo: repo, o: o.withDefaults(), fn: fn}, old: old, tip: tip, stored: stored,
		trees: repo.NewTreeDiffer(ctx), blobs: repo.NewBatchReader(ctx),
		changed: map[string]gitcmd.TreeChange{}, met: map[pair]bool{},
	}
	defer u.trees.Close()
	defer u.blobs.Close()
	return u.run(ctx)
}

type update struct {
	work
	old, tip gitcmd.OID
	stored   Stored
	trees    *gitcmd.TreeDiffer
	blobs    *gitcmd.BatchReader
	// changed are the paths that differ.
	changed map[string]gitcmd.TreeChange
	// met holds for every pair that was asked about whether it met.
	met map[pair]bool
}

// job is one path that is read. Known files are the same as in the old map.
type job struct {
	path, mode string
	blob       gitcmd.OID
	known      bool
	// same is the commit whose file of that path it is, if that is known.
	same gitcmd.OID

	file   *File
	pieces []piece
}

func (u *update) run(ctx context.Context) error {
	if u.old == u.tip {
		return nil
	}
	err := u.trees.Diff(u.old, u.tip, func(c gitcmd.TreeChange) error {
		if !sameFile(c) {
			u.changed[c.Path] = c
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("updating the live map: %w", err)
	}
	jobs, err := u.jobs(ctx)
	if err != nil {
		return fmt.Errorf("updating the live map: %w", err)
	}
	u.total = len(jobs)
	for len(jobs) > 0 {
		n := min(batchFiles, len(jobs))
		if err := u.batch(ctx, jobs[:n]); err != nil {
			return err
		}
		jobs = jobs[n:]
	}
	return nil
}

// jobs returns what is to be read, ordered by path.
func (u *update) jobs(ctx context.Context) ([]job, error) {
	t := &trace{trees: u.trees, changed: u.changed, rest: u.tip, left: map[string]bool{}, at: map[gitcmd.OID][]string{}}
	walk := gitcmd.Walk{Include: []gitcmd.OID{u.tip}, Exclude: []gitcmd.OID{u.old}, Topo: true}
	err := u.repo.RevList(ctx, walk, t.step)
	if errors.Is(err, gitcmd.ErrMissingObject) {
		// Nothing is known of any chain.
		t, err = &trace{}, nil
	}
	if err != nil {
		return nil, err
	}
	var jobs []job
	for path, c := range u.changed {
		jobs = append(jobs, job{path: path, mode: c.Mode, blob: c.New})
	}
	for _, path := range t.ended {
		jobs = append(jobs, job{path: path, known: true})
	}
	delete(t.at, u.old)
	for commit, paths := range t.at {
		for _, path := range paths {
			jobs = append(jobs, job{path: path, known: true, same: commit})
		}
	}
	if t.rest != u.old {
		rest, err := u.rest(ctx, t)
		if err != nil {
			return nil, err
		}
		jobs = append(jobs, rest...)
	}
	slices.SortFunc(jobs, func(a, b job) int { return strings.Compare(a.path, b.path) })
	return jobs, nil
}

// rest returns what is to be read of the files that no new commit changed, where
// their chains have not come to the old tip.
func (u *update) rest(ctx context.Context, t *trace) ([]job, error) {
	var jobs []job
	add := func(path string) {
		if _, changed := u.changed[path]; !changed && !t.left[path] {
			jobs = append(jobs, job{path: path, known: true, same: t.rest})
		}
	}
	if t.rest != "" {
		differs, meet, err := diverge(ctx, u.repo, u.trees, u.old, t.rest)
		if err != nil && !errors.Is(err, gitcmd.ErrMissingObject) {
			return nil, err
		}
		if meet {
			for path := range differs {
				add(path)
			}
			return jobs, nil
		}
	}
	err := u.repo.Tree(ctx, u.tip, func(e gitcmd.TreeEntry) error { add(e.Path); return nil })
	return jobs, err
}

// batch reads files and hands them over.
func (u *update) batch(ctx context.Context, jobs []job) error {
	jobs, err := u.recall(ctx, jobs)
	if err != nil {
		return err
	}
	if err := u.look(jobs); err != nil {
		return fmt.Errorf("updating the live map: %w", err)
	}
	err = u.parallel(ctx, len(jobs), func(ctx context.Context, i int) error { return u.read(ctx, &jobs[i]) })
	if err != nil {
		return fmt.Errorf("updating the live map: %w", err)
	}
	sources, err := u.sources(ctx, jobs)
	if err != nil {
		return err
	}
	for i := range jobs {
		jobs[i].compose(sources)
		if err := u.give(jobs[i].file); err != nil {
			return err
		}
	}
	return nil
}

// recall completes the jobs that the old map knows and drops those without
// lines.
func (u *update) recall(ctx context.Context, jobs []job) ([]job, error) {
	var paths []string
	for _, j := range jobs {
		if j.known {
			paths = append(paths, j.path)
		}
	}
	files, err := u.lookUp(ctx, paths)
	if err != nil {
		return nil, err
	}
	kept := jobs[:0]
	for _, j := range jobs {
		if f := files[j.path]; !j.known {
			kept = append(kept, j)
		} else if f != nil && (f.Kind == KindText || f.Kind == KindUnreadable) {
			j.mode, j.blob = "100644", f.Blob
			kept = append(kept, j)
		} else {
			u.skip()
		}
	}
	return kept, nil
}

// lookUp returns files of the old map.
func (u *update) lookUp(ctx context.Context, paths []string) (map[string]*File, error) {
	if len(paths) == 0 {
		return nil, nil
	}
	return u.stored(ctx, paths)
}

// look gives the jobs their files.
func (u *update) look(jobs []job) (err error) {
	for i := range jobs {
		j := &jobs[i]
		if j.blob.IsZero() {
			j.file = &File{Path: j.path, Kind: KindRemoved}
		} else if j.file, err = u.fileOf(u.blobs, j.path, j.mode, j.blob); err != nil {
			return err
		}
	}
	return nil
}

// parallel calls fn for 0 to n-1, several at a time.
func (u *update) parallel(ctx context.Context, n int, fn func(context.Context, int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(u.o.Workers)
	for i := range n {
		group.Go(func() error { return fn(ctx, i) })
	}
	return group.Wait()
}

// read gives a job the pieces of its file that the new commits made of it.
func (u *update) read(ctx context.Context, j *job) (err error) {
	if j.file.Kind != KindText || j.file.Lines == 0 {
		return nil
	}
	if j.same != "" {
		whole := Run{notes.LineRange{First: 1, Last: j.file.Lines}, Origin{j.same, j.path, 1}}
		j.pieces = []piece{{whole, true}}
		return nil
	}
	j.pieces, err = u.blame(ctx, string(u.old)+".."+string(u.tip), j.path, nil)
	if unreadable := new(unreadableError); errors.As(err, unreadable) && unreadable.code != codeSlow {
		// The way without the old tip may be whole.
		j.pieces, err = u.blame(ctx, string(u.tip), j.path, nil)
	}
	return j.file.fault(err)
}
