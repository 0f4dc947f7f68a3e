package main

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/notes/lines/upkeep"
	"github.com/blameprompt/enterprise/store"
)

// newLiveKeeper makes what keeps live maps up.
func newLiveKeeper(cfg *Config, db *store.DB, log zerolog.Logger) *upkeep.Keeper {
	return upkeep.New(upkeep.Config{DB: db, MirrorRoot: cfg.mirrorRoot(), Log: log})
}

const mapping = "mapping live lines"

// keepLiveHere brings the live map of a repository up to date in this process.
func keepLiveHere(ctx context.Context, s *session, repo store.Repo, bar *progress) error {
	bar.stage(mapping)
	return newLiveKeeper(s.cfg, s.db, s.log).Keep(ctx, repo.OrgID, repo.ID, func(done, total int) { bar.show(mapping, done, total) })
}

// watchLive waits until the daemon has brought the live map of a repository to
// the tip that its default branch has.
func watchLive(ctx context.Context, s *session, repo store.Repo, bar *progress) error {
	for {
		repos, err := s.db.LiveRepos(ctx, repo.OrgID, repo.ID)
		if err != nil || len(repos) == 0 || repos[0].Tip == repos[0].MapTip {
			return err
		}
		done, total, err := s.db.LiveProgress(ctx, repo.OrgID, repo.ID)
		if err != nil {
			return err
		}
		bar.show(mapping, done, total)
		alive, err := daemonAlive(s.cfg)
		if err != nil {
			return err
		}
		if !alive {
			return errDaemonEnded
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(linesStep):
		}
	}
}
