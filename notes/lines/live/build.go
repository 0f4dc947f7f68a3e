package live

import (
	"context"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/blameprompt/enterprise/notes/gitcmd"
)

// Build reads every path of the tip that Options.Want lets through and hands
// each to fn, in no order, from one goroutine at a time; an error of fn ends the
// reading and is returned as it is. Of a tree that names a path twice, which no
// git makes, both come. The error is ErrMissingObject when the tree of the tip
// is incomplete.
//
// To go on after an end, build the same tip again with a Want that leaves out
// what fn has had, and bring the map to the tip of that day by Update.
func Build(ctx context.Context, repo *gitcmd.Repo, tip gitcmd.OID, o Options, fn func(*File) error) error {
	w := &work{repo: repo, o: o.withDefaults(), fn: fn}
	err := repo.Tree(ctx, tip, func(gitcmd.TreeEntry) error { w.total++; return nil })
	if err != nil {
		return fmt.Errorf("building the live map: %w", err)
	}
	group, ctx := errgroup.WithContext(ctx)
	entries := make(chan gitcmd.TreeEntry)
	group.Go(func() error {
		defer close(entries)
		return w.list(ctx, tip, entries)
	})
	for range w.o.Workers {
		group.Go(func() error { return w.readAll(ctx, tip, entries) })
	}
	return group.Wait()
}

// list sends the paths that are wanted.
func (w *work) list(ctx context.Context, tip gitcmd.OID, entries chan<- gitcmd.TreeEntry) error {
	return w.repo.Tree(ctx, tip, func(entry gitcmd.TreeEntry) error {
		if w.o.Want != nil && !w.o.Want(entry.Path) {
			w.skip()
			return nil
		}
		select {
		case entries <- entry:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	})
}

func (w *work) skip() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done++
}

func (w *work) readAll(ctx context.Context, tip gitcmd.OID, entries <-chan gitcmd.TreeEntry) error {
	blobs := w.repo.NewBatchReader(ctx)
	defer blobs.Close()
	for e := range entries {
		f, err := w.fileOf(blobs, e.Path, e.Mode, e.OID)
		if err != nil {
			return fmt.Errorf("building the live map: %w", err)
		}
		if err := w.follow(ctx, f, tip); err != nil {
			return fmt.Errorf("building the live map: %w", err)
		}
		if err := w.give(f); err != nil {
			return err
		}
	}
	return nil
}

// follow gives a file of KindText at the tip its runs, from all its history.
func (w *work) follow(ctx context.Context, f *File, tip gitcmd.OID) error {
	if f.Kind != KindText || f.Lines == 0 {
		return nil
	}
	pieces, err := w.blame(ctx, string(tip), f.Path, nil)
	if err != nil {
		return f.fault(err)
	}
	f.setRuns(runsOf(pieces))
	return nil
}
