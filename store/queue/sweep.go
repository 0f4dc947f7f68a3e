package queue

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/blameprompt/enterprise/store"
)

const (
	// sweepTimeout bounds one sweep.
	sweepTimeout = time.Minute
	// sweepBatch is the number of demands that share a transaction.
	sweepBatch = 200
	// defaultOrphanAge is how long a job must have run before a free lock means
	// that its worker died: it takes the lock as the first thing it does.
	defaultOrphanAge = 15 * time.Second
)

// sweepArgs demand one look at what is due. The leader among the daemons
// inserts them; a sweep that fails is not repeated, the next one comes.
type sweepArgs struct{}

// Kind implements river.JobArgs.
func (sweepArgs) Kind() string { return "sweep" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (sweepArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: sweepQueue, MaxAttempts: 1}
}

type sweepWorker struct {
	river.WorkerDefaults[sweepArgs]
	queue *Queue
}

// Timeout implements river.Worker.
func (w *sweepWorker) Timeout(*river.Job[sweepArgs]) time.Duration { return sweepTimeout }

// Work implements river.Worker.
func (w *sweepWorker) Work(ctx context.Context, _ *river.Job[sweepArgs]) error {
	return errors.Join(w.queue.sweep(ctx), w.queue.reviveTasks(ctx))
}

// target is a repository to fetch.
type target struct{ OrgID, RepoID uuid.UUID }

// sweep demands a fetch of every repository that has waited its interval and
// is not about to be fetched, and of those whose worker died.
func (q *Queue) sweep(ctx context.Context) error {
	s := q.cfg.Sweep
	due, err := q.cfg.DB.ReposDue(ctx, s.Active, s.Idle, s.IdleAfter)
	if err != nil {
		return fmt.Errorf("sweeping: %w", err)
	}
	busy, err := q.busy(ctx)
	if err != nil {
		return err
	}
	targets, err := q.orphans(ctx)
	if err != nil {
		return err
	}
	for _, repo := range due {
		targets = append(targets, target{repo.OrgID, repo.ID})
	}
	targets = slices.DeleteFunc(targets, func(t target) bool { return busy[t.RepoID] })
	return q.demandAll(ctx, targets)
}

// demandAll inserts in the order of ids, like every transaction.
func (q *Queue) demandAll(ctx context.Context, targets []target) error {
	slices.SortFunc(targets, func(a, b target) int { return bytes.Compare(a.RepoID[:], b.RepoID[:]) })
	for batch := range slices.Chunk(slices.Compact(targets), sweepBatch) {
		err := q.cfg.DB.InTx(ctx, func(tx *store.Tx) error {
			for _, t := range batch {
				if err := q.DemandFetch(ctx, tx, t.OrgID, t.RepoID, Once); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("sweeping: %w", err)
		}
	}
	return nil
}

// locked finds, in a query over river_job j, whether a session holds the lock
// of the name that the SQL expression makes.
func locked(name string) string {
	return `EXISTS (SELECT FROM pg_locks l
			WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
			  AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
			  AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended(` + name + `, 0))`
}

// jobs lists the fetch jobs that have not ended, with the repository's lock.
var jobs = `
	SELECT j.state, j.attempted_at, (j.args->>'org_id')::uuid AS org_id, (j.args->>'repo_id')::uuid AS repo_id,
		` + locked(`'`+fetchLock+`' || (j.args->>'repo_id')`) + ` AS locked
	FROM river_job j
	WHERE j.kind = 'fetch' AND j.state IN ('available', 'pending', 'scheduled', 'retryable', 'running')`

// busy are the repositories that a demand waits for, or that are being fetched.
func (q *Queue) busy(ctx context.Context) (map[uuid.UUID]bool, error) {
	rows, err := q.cfg.DB.Pool().Query(ctx, `
		SELECT DISTINCT repo_id FROM (`+jobs+`) j WHERE state <> 'running' OR locked`)
	if err != nil {
		return nil, fmt.Errorf("sweeping: looking at the demands: %w", err)
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return nil, fmt.Errorf("sweeping: looking at the demands: %w", err)
	}
	busy := make(map[uuid.UUID]bool, len(ids))
	for _, id := range ids {
		busy[id] = true
	}
	return busy, nil
}

// orphans are the repositories of jobs that are called running although nobody
// holds the lock, unless a fetch has succeeded since: their daemon died. River
// would find them too, after the longest time that a fetch may take.
func (q *Queue) orphans(ctx context.Context) ([]target, error) {
	rows, err := q.cfg.DB.Pool().Query(ctx, `
		SELECT DISTINCT j.org_id, j.repo_id FROM (`+jobs+`) j JOIN repos r ON r.org_id = j.org_id AND r.id = j.repo_id
		WHERE j.state = 'running' AND NOT j.locked AND j.attempted_at < now() - $1::interval
		  AND coalesce(r.fetched_at, '-infinity') < j.attempted_at`, q.orphanAge)
	if err != nil {
		return nil, fmt.Errorf("sweeping: looking for orphans: %w", err)
	}
	targets, err := pgx.CollectRows(rows, pgx.RowToStructByName[target])
	if err != nil {
		return nil, fmt.Errorf("sweeping: looking for orphans: %w", err)
	}
	return targets, nil
}
