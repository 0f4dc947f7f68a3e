package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/hooks/gateway"
	"github.com/blameprompt/enterprise/notes/ingest"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
)

// watchStep is the pause between two looks at a fetch that a daemon makes.
const watchStep = 200 * time.Millisecond

// syncRepo has a repository fetched: by the daemon if one runs, else here.
func (a *app) syncRepo(ctx context.Context, s *session, repo store.Repo, noWait bool) error {
	began := time.Now()
	bar := a.newProgress()
	var err error
	switch {
	case noWait:
		err = demandSync(ctx, s, repo)
	case s.daemon:
		if err = watchSync(ctx, s, repo, bar); err == nil {
			err = watchLines(ctx, s, repo, bar)
		}
		if err == nil {
			err = watchLive(ctx, s, repo, bar)
		}
	default:
		if err = syncHere(ctx, s, repo, bar); err == nil {
			err = classifyHere(ctx, s, repo, bar)
		}
		if err == nil {
			err = keepLiveHere(ctx, s, repo, bar)
		}
	}
	bar.end()
	if err != nil {
		return fmt.Errorf("%s: %w", repo.Name, err)
	}
	return a.printSynced(ctx, s, repo, noWait, time.Since(began))
}

func (a *app) printSynced(ctx context.Context, s *session, repo store.Repo, noWait bool, took time.Duration) error {
	statuses, err := s.db.RepoStatuses(ctx, repo.OrgID, []uuid.UUID{repo.ID})
	if err != nil {
		return err
	}
	row, err := s.db.Repo(ctx, repo.OrgID, repo.ID.String())
	if err != nil {
		return err
	}
	holds := statuses[repo.ID]
	switch {
	case a.json:
		return a.printJSON(showRepo(row, holds))
	case noWait:
		fmt.Fprintf(a.stdout, "%s is registered; a daemon fetches it.\n", plain(row.Name))
	default:
		fmt.Fprintf(a.stdout, "%s: %d receipts, %d findings, in %s.\n", plain(row.Name), holds.Receipts, holds.Findings,
			took.Round(100*time.Millisecond))
	}
	return nil
}

// syncHere fetches in this process, under the lock that daemons take.
func syncHere(ctx context.Context, s *session, repo store.Repo, bar *progress) error {
	lock, err := awaitLock(ctx, s, repo, bar)
	if err != nil {
		return err
	}
	defer lock.Release()
	held, cancel := lock.Hold(ctx)
	defer cancel()
	repos := newGatewayRepos(s.cfg, s.db, s.log)
	defer repos.Close()
	_, err = newIngester(s.cfg, s.db, repos, s.log).Sync(held, repo.OrgID, repo.ID, bar.ingest)
	return err
}

// awaitLock waits while somebody else fetches the repository.
func awaitLock(ctx context.Context, s *session, repo store.Repo, bar *progress) (*queue.Lock, error) {
	for {
		lock, err := queue.TryLock(ctx, s.db, repo.ID)
		if err != nil || lock != nil {
			return lock, err
		}
		bar.stage("waiting for another fetch")
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(watchStep):
		}
	}
}

// errDaemonEnded: the daemon that was to fetch ended first.
var errDaemonEnded = errors.New("the daemon ended before it fetched; the next one will")

// watchSync demands a fetch from the daemon and waits for its end.
func watchSync(ctx context.Context, s *session, repo store.Repo, bar *progress) error {
	before, err := s.db.Repo(ctx, repo.OrgID, repo.ID.String())
	if err != nil {
		return err
	}
	if err := demandSync(ctx, s, repo); err != nil {
		return err
	}
	bar.stage("waiting for the daemon")
	for {
		now, err := s.db.Repo(ctx, repo.OrgID, repo.ID.String())
		if err != nil {
			return err
		}
		if done, err := syncEnded(before, now); done {
			return err
		}
		if started(before, now) {
			bar.stage("the daemon fetches")
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
		case <-time.After(watchStep):
		}
	}
}

// started reports whether a fetch began between two looks.
func started(before, now store.Repo) bool {
	return now.FetchStartedAt != nil && (before.FetchStartedAt == nil || now.FetchStartedAt.After(*before.FetchStartedAt))
}

// syncEnded reports whether a fetch that began after the look before has ended,
// and with what error.
func syncEnded(before, now store.Repo) (bool, error) {
	switch {
	case now.RemovedAt != nil:
		return true, errors.New("it was removed meanwhile")
	case !started(before, now):
		return false, nil
	case now.FetchFailures > before.FetchFailures:
		return true, errors.New(now.FetchError)
	}
	return now.FetchFailures == 0 && now.FetchedAt != nil && !now.FetchedAt.Before(*now.FetchStartedAt), nil
}

// newIngester makes what fetches and takes in.
func newIngester(cfg *Config, db *store.DB, repos *gateway.Repos, log zerolog.Logger) *ingest.Ingester {
	return ingest.New(ingest.Config{
		DB: db, Gateway: repos, MirrorRoot: cfg.mirrorRoot(), Rules: cfg.rules(), FetchTimeout: cfg.FetchTimeout.Duration, Log: log,
	})
}
