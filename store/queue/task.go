package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"

	"github.com/blameprompt/enterprise/store"
)

// TaskWorkers is the number of tasks that one program runs at a time. Each holds
// a connection of the database for its lock.
const TaskWorkers = 4

const (
	defaultTaskTimeout = 5 * time.Minute
	// taskBusyWait is how long a job leaves a running task alone.
	taskBusyWait = 500 * time.Millisecond
	// taskUnknownWait is how long a job of a task that this program does not
	// have waits for one that has it.
	taskUnknownWait = time.Minute
)

// Task is work that is done regularly and when it is poked. One worker at a
// time runs it, over all daemons on the database.
type Task struct {
	// Name is what Poke calls it by.
	Name string
	// Every is the pause between two regular runs; 0 means only when poked.
	Every time.Duration
	// Timeout ends a run that takes longer; 0 means 5 minutes.
	Timeout time.Duration
	// Work looks by itself for what is to be done, and may find nothing. A run
	// that returns an error, panics or dies with its daemon is repeated, with
	// growing pauses up to 5 minutes.
	Work func(context.Context) error
}

func checkTasks(tasks []Task) error {
	seen := make(map[string]bool, len(tasks))
	for _, task := range tasks {
		if task.Name == "" || task.Work == nil || seen[task.Name] {
			return fmt.Errorf("making the job queue: task %q has no name of its own or no work", task.Name)
		}
		seen[task.Name] = true
	}
	return nil
}

func (q *Queue) task(name string) (Task, bool) {
	for _, task := range q.cfg.Tasks {
		if task.Name == name {
			return task, true
		}
	}
	return Task{}, false
}

// taskArgs ask for a run of a task that starts after the job was committed.
//
// Every poke is a job of its own, so that no transaction ever waits for another.
// They become few again when a run starts: its job first removes, in a
// transaction that ends before the work begins, every other job of the task
// that waits. Whatever those wanted to be seen was committed with them, and so
// before the run. If the run fails or its daemon dies, its own job is still
// there and stands for all of them.
type taskArgs struct {
	Name string `json:"name"`
}

// Kind implements river.JobArgs.
func (taskArgs) Kind() string { return "task" }

// InsertOpts implements river.JobArgsWithInsertOpts. The number of attempts is
// that of several days.
func (taskArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{Queue: taskQueue, MaxAttempts: 1000}
}

// Poke demands a run of the task, as part of the transaction: one starts soon
// after the commit, and sees what was committed. Many pokes may be met by one
// run; a poke during a run leads to another. A task that no daemon has waits
// for one that has it.
func (q *Queue) Poke(ctx context.Context, tx *store.Tx, name string) error {
	if _, err := q.river.InsertTx(ctx, tx.Tx, taskArgs{Name: name}, nil); err != nil {
		return fmt.Errorf("poking task %s: %w", name, err)
	}
	return nil
}

// taskWorker runs tasks.
type taskWorker struct {
	river.WorkerDefaults[taskArgs]
	queue *Queue
}

// Timeout implements river.Worker.
func (w *taskWorker) Timeout(job *river.Job[taskArgs]) time.Duration {
	if task, ok := w.queue.task(job.Args.Name); ok {
		return task.Timeout
	}
	return defaultTaskTimeout
}

// NextRetry implements river.Worker.
func (w *taskWorker) NextRetry(job *river.Job[taskArgs]) time.Time {
	return time.Now().Add(backoff(job.Attempt))
}

// Work implements river.Worker.
func (w *taskWorker) Work(ctx context.Context, job *river.Job[taskArgs]) error {
	name := job.Args.Name
	task, ok := w.queue.task(name)
	if !ok {
		return w.queue.standIn(ctx, job, w.queue.unknownWait)
	}
	lock, err := tryLock(ctx, w.queue.cfg.DB, taskLock+name)
	if err != nil {
		return err
	}
	if lock == nil {
		return w.queue.standIn(ctx, job, taskBusyWait)
	}
	defer lock.Release()
	return w.queue.runTask(ctx, lock, task, job)
}

// standIn makes the job stand for all others that wait and puts it off. Those
// that run at this moment stay, for River notes a while after their end that
// they were put off; they are gathered when the next one's wait is over.
func (q *Queue) standIn(ctx context.Context, job *river.Job[taskArgs], wait time.Duration) error {
	if err := q.standFor(ctx, job); err != nil {
		return err
	}
	return river.JobSnooze(wait)
}

// standFor removes the waiting jobs of the job's task: its own run, which has
// not begun, will do.
func (q *Queue) standFor(ctx context.Context, job *river.Job[taskArgs]) error {
	_, err := q.cfg.DB.Pool().Exec(ctx, `
		DELETE FROM river_job WHERE id IN (
			SELECT id FROM river_job
			WHERE queue = $1 AND kind = $2 AND args->>'name' = $3 AND id <> $4
			  AND state IN ('available', 'pending', 'retryable', 'scheduled')
			FOR UPDATE SKIP LOCKED)`, taskQueue, job.Kind, job.Args.Name, job.ID)
	if err != nil {
		return fmt.Errorf("gathering the pokes of task %s: %w", job.Args.Name, err)
	}
	return nil
}

func (q *Queue) runTask(ctx context.Context, lock *Lock, task Task, job *river.Job[taskArgs]) error {
	if err := q.standFor(ctx, job); err != nil {
		return err
	}
	held, cancel := lock.Hold(ctx)
	defer cancel()
	err := task.Work(held)
	switch {
	case err == nil:
		return nil
	case errors.Is(ctx.Err(), context.Canceled):
		return fmt.Errorf("task %s was stopped: %w", task.Name, context.Canceled)
	}
	q.cfg.Log.Warn().Err(err).Str("task", task.Name).Int("attempt", job.Attempt).Msg("a task failed")
	return fmt.Errorf("task %s: %w", task.Name, err)
}

// reviveTasks pokes the tasks whose worker died: a job that is called running
// although nobody holds the lock, unless one waits or was taken up since. River
// would find them too, after the longest time that a job may take.
func (q *Queue) reviveTasks(ctx context.Context) error {
	rows, err := q.cfg.DB.Pool().Query(ctx, `
		SELECT DISTINCT j.args->>'name' FROM river_job j
		WHERE j.queue = $1 AND j.state = 'running' AND j.attempted_at < now() - $2::interval
		  AND NOT `+locked(`'`+taskLock+`' || (j.args->>'name')`)+`
		  AND NOT EXISTS (SELECT FROM river_job k
			WHERE k.queue = j.queue AND k.args->>'name' = j.args->>'name' AND k.id <> j.id
			  AND (k.state IN ('available', 'pending', 'retryable', 'scheduled')
			    OR k.state IN ('completed', 'running') AND k.attempted_at > j.attempted_at + $2::interval))`, taskQueue, q.orphanAge)
	if err != nil {
		return fmt.Errorf("looking for tasks whose worker died: %w", err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("looking for tasks whose worker died: %w", err)
	}
	for _, name := range names {
		if err := q.cfg.DB.InTx(ctx, func(tx *store.Tx) error { return q.Poke(ctx, tx, name) }); err != nil {
			return err
		}
	}
	return nil
}
