package upkeep

import (
	"context"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/lines/live"
	"github.com/blameprompt/enterprise/store"
)

// build makes the map of a tip from nothing, or goes on with one that was begun.
// While the store takes files in, others are read.
func (w *keeping) build(ctx context.Context, state store.LiveMap) error {
	tip := gitcmd.OID(state.BuildingTip)
	rules, err := w.rules(ctx, state.BuildingTip)
	if err != nil {
		return err
	}
	defer rules.Close()
	at, err := w.committedAt(ctx, tip)
	if err != nil {
		return err
	}
	done, err := w.cfg.DB.LivePaths(ctx, w.OrgID, w.RepoID, state.Generation)
	if err != nil {
		return err
	}
	writer, err := w.writer(ctx)
	if err != nil {
		return err
	}
	defer writer.Close()
	files := make(chan *live.File, batchFiles)
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(files)
		return live.Build(groupCtx, w.git, tip, w.options(rules.Reason, done), func(f *live.File) error {
			select {
			case files <- f:
				return nil
			case <-groupCtx.Done():
				return groupCtx.Err()
			}
		})
	})
	group.Go(func() error { return take(groupCtx, writer, state.Generation, files) })
	if err := group.Wait(); err != nil {
		return err
	}
	return writer.Finish(ctx, state.Generation, at)
}

// take stores files as they come, in batches.
func take(ctx context.Context, writer *store.LiveWriter, generation int, files <-chan *live.File) error {
	b := &batch{write: func(ctx context.Context, files []*store.LiveFile) error {
		if err := writer.Stage(ctx, files); err != nil {
			return err
		}
		return writer.Write(ctx, generation)
	}}
	for f := range files {
		if err := b.add(ctx, f); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	return b.flush(ctx)
}

// The bounds of a batch: what is lost when the program dies, and what is held in
// memory.
const (
	batchFiles = 200
	batchRuns  = 20_000
	batchTime  = 5 * time.Second
)

// batch gathers files to write them together.
type batch struct {
	write func(context.Context, []*store.LiveFile) error
	files []*store.LiveFile
	runs  int
	begun time.Time
}

func (b *batch) add(ctx context.Context, f *live.File) error {
	if len(b.files) == 0 {
		b.begun = time.Now()
	}
	b.files = append(b.files, toRow(f))
	b.runs += len(f.Runs)
	if len(b.files) < batchFiles && b.runs < batchRuns && time.Since(b.begun) < batchTime {
		return nil
	}
	return b.flush(ctx)
}

func (b *batch) flush(ctx context.Context) error {
	if len(b.files) == 0 {
		return nil
	}
	err := b.write(ctx, b.files)
	b.files, b.runs = nil, 0
	return err
}
