package main

import (
	"context"

	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/notes/lines/reattach"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// reattachTask is the task that lays notes that were left behind to other
// commits. Whose lines may differ by that is classified at once.
func reattachTask(cfg *Config, db *store.DB, demands *queue.Queue, log zerolog.Logger) queue.Task {
	keeper := reattach.New(reattach.Config{DB: db, MirrorRoot: cfg.mirrorRoot(), Log: log,
		Changed: func(ctx context.Context, tx *store.Tx) error { return demands.Poke(ctx, tx, queue.LinesTask) }})
	return queue.Task{Name: reattach.Task, Every: reattachEvery, Timeout: linesTimeout, Work: keeper.Work}
}

// reattachHere does it for one repository in this process, and says whether
// anything changed.
func reattachHere(ctx context.Context, s *session, repo store.Repo) (changed bool, err error) {
	keeper := reattach.New(reattach.Config{DB: s.db, MirrorRoot: s.cfg.mirrorRoot(), Log: s.log})
	change, err := keeper.Keep(ctx, repo.OrgID, repo.ID)
	return change != (store.ReattachChange{}), err
}

// reattachOf says what becomes of notes whose commits were left behind.
func reattachOf(r store.Repo) string {
	if !r.Reattach {
		return "stay where they are"
	}
	return "speak of the commits that have their content now"
}
