package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
)

const (
	// maxBackoff bounds the pause after a failure.
	maxBackoff = 5 * time.Minute
	// maxRetries is the number of failures in a row after which only events and
	// sweeps try again: the pause has grown to maxBackoff by then.
	maxRetries = 9
	// A demand that finds its repository being fetched looks again after a
	// quarter of the time that the fetch has taken so far, within these bounds.
	minBusyWait = 500 * time.Millisecond
	maxBusyWait = 5 * time.Second
	// recordTimeout bounds what is still to be written when a fetch has ended.
	recordTimeout = 15 * time.Second
)

// backoff is the pause after a number of failures in a row.
func backoff(failures int) time.Duration {
	if failures >= maxRetries {
		return maxBackoff
	}
	return time.Second << failures
}

// repoState is what decides whether a demand needs a fetch.
type repoState struct {
	// Now is the database's time, by which all others here are.
	Now      time.Time
	Gone     bool
	Started  time.Time
	Ended    time.Time
	Failures int
}

// succeededSince reports whether a fetch started at or after the moment and
// ended well. It is meaningful while no fetch runs.
func (s repoState) succeededSince(at time.Time) bool {
	return s.Failures == 0 && !s.Started.Before(at) && !s.Ended.Before(s.Started)
}

// nextTry is when a failing repository may be fetched again.
func (s repoState) nextTry() time.Time { return s.Started.Add(backoff(s.Failures)) }

// mustPause reports whether the demand is to wait for the next try. One that a
// person asked for waits only if it has been tried.
func (s repoState) mustPause(a fetchArgs) bool {
	tried := !a.Asked || !s.Started.Before(a.Due)
	return s.Failures > 0 && tried && s.nextTry().After(s.Now)
}

// busyWait is how long to leave a running fetch alone.
func (s repoState) busyWait() time.Duration {
	return min(max(s.Now.Sub(s.Started)/4, minBusyWait), maxBusyWait)
}

func (q *Queue) readState(ctx context.Context, org, repo uuid.UUID) (repoState, error) {
	rows, err := q.cfg.DB.Pool().Query(ctx, `
		SELECT clock_timestamp() AS now, removed_at IS NOT NULL OR remote_url IS NULL AND gateway = 'off' AS gone,
			coalesce(fetch_started_at, 'epoch') AS started, coalesce(fetched_at, 'epoch') AS ended,
			fetch_failures AS failures
		FROM repos WHERE org_id = $1 AND id = $2`, org, repo)
	if err != nil {
		return repoState{}, fmt.Errorf("reading the state of repository %s: %w", repo, err)
	}
	state, err := pgx.CollectExactlyOneRow(rows, pgx.RowToStructByName[repoState])
	if errors.Is(err, pgx.ErrNoRows) {
		return repoState{Gone: true}, nil
	}
	if err != nil {
		return repoState{}, fmt.Errorf("reading the state of repository %s: %w", repo, err)
	}
	return state, nil
}

// fetchWorker meets demands.
type fetchWorker struct {
	river.WorkerDefaults[fetchArgs]
	queue *Queue
}

// Timeout implements river.Worker.
func (w *fetchWorker) Timeout(*river.Job[fetchArgs]) time.Duration { return w.queue.cfg.FetchTimeout }

// NextRetry implements river.Worker for errors that are not the repository's:
// a database that was away, a fault of the program.
func (w *fetchWorker) NextRetry(job *river.Job[fetchArgs]) time.Time {
	return time.Now().Add(backoff(job.Attempt))
}

// Work implements river.Worker.
func (w *fetchWorker) Work(ctx context.Context, job *river.Job[fetchArgs]) error {
	lock, err := TryLock(ctx, w.queue.cfg.DB, job.Args.RepoID)
	if err != nil {
		return err
	}
	if lock == nil {
		return w.queue.waitForOther(ctx, job.Args)
	}
	defer lock.Release()
	return w.queue.meet(ctx, lock, job.Args)
}

// waitForOther hands the demand over to a later one. Jobs that were put off
// one by one would all come back as often as they are many; as demands for the
// same second they become one.
func (q *Queue) waitForOther(ctx context.Context, a fetchArgs) error {
	state, err := q.readState(ctx, a.OrgID, a.RepoID)
	if err != nil || state.Gone {
		return err
	}
	return q.postpone(ctx, a, state.Now.Add(state.busyWait()))
}

// meet decides under the lock what a demand needs, and does it.
func (q *Queue) meet(ctx context.Context, lock *Lock, a fetchArgs) error {
	state, err := q.readState(ctx, a.OrgID, a.RepoID)
	switch {
	case err != nil:
		return err
	case state.Gone || state.succeededSince(a.Due):
		return nil
	case state.mustPause(a):
		a.Asked = false
		return q.postpone(ctx, a, state.nextTry())
	}
	held, cancel := lock.Hold(ctx)
	err = q.cfg.Fetch(held, a.OrgID, a.RepoID)
	cancel()
	if err == nil {
		return nil
	}
	return q.afterFailure(ctx, a, state.Now, err)
}

// afterFailure decides who tries again. A failure that was recorded in the
// repository is the repository's: one demand at its next try stands for all
// that fail with it. Any other failure is the job's, for River to retry.
func (q *Queue) afterFailure(ctx context.Context, a fetchArgs, began time.Time, cause error) error {
	if errors.Is(ctx.Err(), context.Canceled) {
		return fmt.Errorf("fetching was stopped: %w", context.Canceled)
	}
	record, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	state, err := q.readState(record, a.OrgID, a.RepoID)
	if err != nil {
		return errors.Join(cause, err)
	}
	switch {
	case state.Gone:
		return nil
	case state.Failures == 0 || state.Started.Before(began):
		return cause
	}
	q.cfg.Log.Warn().Err(cause).Stringer("repo", a.RepoID).Int("failures", state.Failures).Msg("fetching failed")
	if state.Failures >= maxRetries {
		return nil
	}
	a.Asked = false
	return q.postpone(record, a, state.nextTry())
}
