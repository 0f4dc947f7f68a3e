package main

import (
	"context"
	"time"

	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/notes/lines/upkeep"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
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

// pokeLive has the daemon look at live maps now: lines were classified.
func pokeLive(ctx context.Context, s *session) error {
	q, err := queue.New(queue.Config{DB: s.db, Log: s.log})
	if err != nil {
		return err
	}
	return s.db.InTx(ctx, func(tx *store.Tx) error { return q.Poke(ctx, tx, upkeep.Task) })
}

// livePatience is how long the map may stand still: another daemon may have the
// mirror, and the map is looked at again whoever waits.
const livePatience = time.Minute

// watchLive has the daemon bring the live map of a repository up to date, and
// waits for it as long as it gets on.
func watchLive(ctx context.Context, s *session, repo store.Repo, bar *progress) error {
	if err := pokeLive(ctx, s); err != nil {
		return err
	}
	seen, moved := -1, time.Now()
	for {
		repos, err := s.db.LiveRepos(ctx, repo.OrgID, repo.ID)
		if err != nil || len(repos) == 0 || repos[0].Tip == repos[0].MapTip && !repos[0].Changed {
			return err
		}
		done, total, err := s.db.LiveProgress(ctx, repo.OrgID, repo.ID)
		if err != nil {
			return err
		}
		bar.show(mapping, done, total)
		if done != seen {
			seen, moved = done, time.Now()
		}
		if time.Since(moved) > livePatience {
			return nil
		}
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
