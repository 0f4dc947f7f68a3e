// Package queue runs the program's background work from the same PostgreSQL
// that holds its data, with River as the mechanism.
//
// It owns the jobs: what a demand for a fetch means, who may work on a
// repository, what happens after a failure or a crash, and the sweep that
// finds what no event told. What a fetch or a task does is the caller's.
//
// Promises: a demand that was committed leads to a fetch that starts at or
// after it was made, and a poke to a run of its task that starts after the
// commit, however many there are and whatever dies between; one worker at a
// time fetches a repository or runs a task, over all daemons on the database;
// a database that is away stops work and never the program, and work resumes
// by itself.
package queue

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivertype"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/store"
)

// FetchFunc fetches a repository and takes its notes in. It notes start and
// end of the fetch in the store (DB.FetchStarted, DB.FetchEnded) and returns
// nil only after success. It must end soon after ctx has.
type FetchFunc func(ctx context.Context, org, repo uuid.UUID) error

// Config says what to run.
type Config struct {
	DB *store.DB
	// Fetch is the work. Nil makes a queue that only takes demands and pokes and
	// is never started.
	Fetch FetchFunc
	// Workers bounds the fetches that run at once in this program; 0 means 4.
	Workers int
	// FetchTimeout ends a fetch that takes longer; 0 means two hours, which a
	// first clone of a very large repository may need.
	FetchTimeout time.Duration
	// StopTimeout is how long Stop lets running fetches and tasks go on before
	// it cancels them; 0 means 10 seconds.
	StopTimeout time.Duration
	Sweep       Sweep
	// Tasks run beside the fetches; their names are unique.
	Tasks []Task
	// PollOnly does without LISTEN/NOTIFY, for poolers that cannot pass it on.
	// Sessions must stay whole in any case: fetches are locked by session.
	PollOnly bool
	Log      zerolog.Logger
}

// Sweep says how often repositories are fetched that no event speaks of.
type Sweep struct {
	// Every is the pause between two looks at what is due; 0 means 30 seconds.
	Every time.Duration
	// Active is the pause between fetches of a repository that brought
	// something new within IdleAfter, and Idle of any other; 0 means 5 minutes,
	// one hour and one day.
	Active, Idle, IdleAfter time.Duration
}

const (
	fetchQueue = "fetch"
	sweepQueue = "sweep"
	taskQueue  = "task"
	// pollInterval bounds how late a demand begins after it is due: whoever
	// inserts it wakes the workers at once, but it lies in the future then.
	pollInterval = 500 * time.Millisecond
	// rescueMargin lies between the timeout of a fetch and the moment at which
	// River takes its job for lost. Sweeps find lost fetches much earlier.
	rescueMargin = 5 * time.Minute
	// keepFinished is how long finished jobs stay for people to look at.
	keepFinished = time.Hour
)

func (c Config) withDefaults() Config {
	orDefault(&c.Workers, 4)
	orDefault(&c.FetchTimeout, 2*time.Hour)
	orDefault(&c.StopTimeout, 10*time.Second)
	orDefault(&c.Sweep.Every, 30*time.Second)
	orDefault(&c.Sweep.Active, 5*time.Minute)
	orDefault(&c.Sweep.Idle, time.Hour)
	orDefault(&c.Sweep.IdleAfter, 24*time.Hour)
	c.Tasks = slices.Clone(c.Tasks)
	for i := range c.Tasks {
		orDefault(&c.Tasks[i].Timeout, defaultTaskTimeout)
	}
	return c
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Queue takes demands and, once started, works on them. It is safe for
// concurrent use.
type Queue struct {
	cfg         Config
	orphanAge   time.Duration
	unknownWait time.Duration
	river       *river.Client[pgx.Tx]
}

// New prepares a queue on a database that store.Migrate has been over.
func New(cfg Config) (*Queue, error) {
	q := &Queue{cfg: cfg.withDefaults(), orphanAge: defaultOrphanAge, unknownWait: taskUnknownWait}
	if err := checkTasks(q.cfg.Tasks); err != nil {
		return nil, err
	}
	config := &river.Config{
		Logger: slog.New(zerolog.NewSlogHandler(quietRiver(cfg.Log))),
		Hooks:  []rivertype.Hook{&availableHook{}},
	}
	if cfg.Fetch != nil {
		q.configureWork(config)
	}
	client, err := river.NewClient(riverpgxv5.New(cfg.DB.Pool()), config)
	if err != nil {
		return nil, fmt.Errorf("making the job queue: %w", err)
	}
	q.river = client
	return q, nil
}

// quietRiver keeps River's routine reports out of the log.
func quietRiver(log zerolog.Logger) zerolog.Logger {
	return log.Level(max(log.GetLevel(), zerolog.WarnLevel)).With().Str("part", "queue").Logger()
}

func (q *Queue) configureWork(config *river.Config) {
	workers := river.NewWorkers()
	river.AddWorker(workers, &fetchWorker{queue: q})
	river.AddWorker(workers, &sweepWorker{queue: q})
	river.AddWorker(workers, &taskWorker{queue: q})
	config.Workers = workers
	config.Queues = map[string]river.QueueConfig{
		fetchQueue: {MaxWorkers: q.cfg.Workers},
		sweepQueue: {MaxWorkers: 1},
		taskQueue:  {MaxWorkers: TaskWorkers},
	}
	config.PeriodicJobs = []*river.PeriodicJob{every(q.cfg.Sweep.Every, sweepArgs{})}
	for _, task := range q.cfg.Tasks {
		if task.Every > 0 {
			config.PeriodicJobs = append(config.PeriodicJobs, every(task.Every, taskArgs{Name: task.Name}))
		}
	}
	config.FetchPollInterval = pollInterval
	config.PollOnly = q.cfg.PollOnly
	config.SoftStopTimeout = q.cfg.StopTimeout
	config.RescueStuckJobsAfter = q.longestTimeout() + rescueMargin
	config.CompletedJobRetentionPeriod = keepFinished
	config.CancelledJobRetentionPeriod = keepFinished
}

// every inserts a job at the start and then with the pause between, by the
// leader among the daemons.
func every(pause time.Duration, args river.JobArgs) *river.PeriodicJob {
	return river.NewPeriodicJob(river.PeriodicInterval(pause),
		func() (river.JobArgs, *river.InsertOpts) { return args, nil },
		&river.PeriodicJobOpts{RunOnStart: true})
}

// longestTimeout bounds how long a job may run.
func (q *Queue) longestTimeout() time.Duration {
	longest := q.cfg.FetchTimeout
	for _, task := range q.cfg.Tasks {
		longest = max(longest, task.Timeout)
	}
	return longest
}

// Start begins to work on demands and tasks. The database must answer now; from then on
// it may come and go. Ending ctx has the effect of Stop.
func (q *Queue) Start(ctx context.Context) error {
	if err := q.river.Start(ctx); err != nil {
		return fmt.Errorf("starting the job queue: %w", err)
	}
	return nil
}

// Stop takes no more work, waits for what runs up to Config.StopTimeout, then
// cancels it, and returns when all has ended or ctx has. Cancelled work begins
// anew with the next start of any daemon on the database.
func (q *Queue) Stop(ctx context.Context) error {
	if err := q.river.Stop(ctx); err != nil {
		return fmt.Errorf("stopping the job queue: %w", err)
	}
	return nil
}
