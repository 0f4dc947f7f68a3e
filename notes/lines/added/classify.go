package added

import (
	"context"
	"fmt"
	"iter"

	"golang.org/x/sync/errgroup"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/lines"
	"github.com/blameprompt/enterprise/store"
)

const (
	// childCommits bounds the commits that one git child reads.
	childCommits = 20_000
	// A batch, which is written in one transaction, ends with so many commits, or
	// files and runs of lines.
	batchCommits = 200
	batchWeight  = 20_000
)

// classifyAll classifies until nothing is demanded.
func (r *run) classifyAll(ctx context.Context) error {
	for done := 0; ; {
		ids, err := r.keeper.cfg.DB.LineDemands(ctx, r.state.OrgID, r.state.RepoID, childCommits)
		if err != nil || len(ids) == 0 {
			return err
		}
		if r.progress != nil {
			_, waiting, err := r.keeper.cfg.DB.LineProgress(ctx, r.state.OrgID, r.state.RepoID)
			if err != nil {
				return err
			}
			r.progress(done, done+waiting)
		}
		commits := make([]gitcmd.OID, len(ids))
		for i, id := range ids {
			commits[i] = gitcmd.OID(id)
		}
		if err := r.classify(ctx, commits, &done); err != nil {
			return err
		}
	}
}

// classify reads commits with one git child and writes them, side by side.
func (r *run) classify(ctx context.Context, commits []gitcmd.OID, done *int) error {
	group, writing := errgroup.WithContext(ctx)
	batches := make(chan []*lines.Commit, 1)
	total := *done + len(commits)
	group.Go(func() error {
		for batch := range batches {
			if err := r.write(writing, batch); err != nil {
				return err
			}
			if *done += len(batch); r.progress != nil {
				r.progress(*done, max(total, *done))
			}
		}
		return nil
	})
	reader := &batcher{ctx: writing, out: batches}
	readErr := lines.Diff(writing, r.git, commits, func(c *lines.Commit) error { return reader.add(r.seen(c)) })
	// What was read before git failed is true all the same.
	flushErr := reader.flush()
	close(batches)
	if err := group.Wait(); err != nil {
		return err
	}
	if readErr != nil {
		return readErr
	}
	return flushErr
}

// batcher collects commits into batches.
type batcher struct {
	ctx    context.Context
	out    chan<- []*lines.Commit
	next   []*lines.Commit
	weight int
}

func (b *batcher) add(c *lines.Commit) error {
	b.next = append(b.next, c)
	for i := range c.Files {
		b.weight += 1 + len(c.Files[i].Added)
	}
	if len(b.next) < batchCommits && b.weight < batchWeight {
		return nil
	}
	return b.flush()
}

func (b *batcher) flush() error {
	if len(b.next) == 0 {
		return nil
	}
	select {
	case b.out <- b.next:
		b.next, b.weight = nil, 0
		return nil
	case <-b.ctx.Done():
		return b.ctx.Err()
	}
}

func (r *run) write(ctx context.Context, batch []*lines.Commit) error {
	if err := r.rules.Learn(ctx, pathsOf(batch)); err != nil {
		return fmt.Errorf("reading attributes: %w", err)
	}
	if err := r.keeper.cfg.DB.MeasureLines(ctx); err != nil {
		return err
	}
	written, err := r.keeper.cfg.DB.WriteLines(ctx, store.LineBatch{
		OrgID: r.state.OrgID, RepoID: r.state.RepoID, Plan: r.plan, Commits: batch, Exclude: r.exclude})
	r.report.Read += len(batch)
	r.report.Written += written
	return err
}

// pathsOf are the paths with added lines.
func pathsOf(commits []*lines.Commit) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, c := range commits {
			for i := range c.Files {
				if len(c.Files[i].Added) > 0 && !yield(c.Files[i].Path) {
					return
				}
			}
		}
	}
}

func (r *run) exclude(f *lines.File) lines.Reason { return r.rules.Reason(f.Path, f.Generated) }
