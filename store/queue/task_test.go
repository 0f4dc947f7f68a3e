package queue

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// noFetch is the fetch of queues that have tasks only.
func noFetch(context.Context, uuid.UUID, uuid.UUID) error { return nil }

func startTasks(t *testing.T, db *store.DB, tasks ...Task) *Queue {
	t.Helper()
	return startQueue(t, Config{DB: db, Fetch: noFetch, Sweep: noSweep, Tasks: tasks})
}

func mustPoke(t *testing.T, q *Queue, name string) {
	t.Helper()
	if err := q.cfg.DB.InTx(t.Context(), func(tx *store.Tx) error { return q.Poke(t.Context(), tx, name) }); err != nil {
		t.Fatal(err)
	}
}

// waitingTasks counts the jobs of tasks that have not ended.
func waitingTasks(t *testing.T, db *store.DB) (n int) {
	t.Helper()
	err := db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM river_job WHERE kind = 'task' AND finalized_at IS NULL`).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// counter is a task that counts its runs, and those at the same time.
type counter struct {
	runs, now, most atomic.Int64
	during          func(context.Context) error
}

func (c *counter) work(ctx context.Context) error {
	c.runs.Add(1)
	now := c.now.Add(1)
	defer c.now.Add(-1)
	for most := c.most.Load(); now > most && !c.most.CompareAndSwap(most, now); {
		most = c.most.Load()
	}
	if c.during == nil {
		return nil
	}
	return c.during(ctx)
}

func TestTaskRunsRegularlyByOneWorkerAtATime(t *testing.T) {
	t.Parallel()
	dsn := storetest.DSN(t)
	c := &counter{during: func(ctx context.Context) error {
		select {
		case <-ctx.Done():
		case <-time.After(300 * time.Millisecond):
		}
		return nil
	}}
	task := Task{Name: "count", Every: time.Second, Work: c.work}
	a := startTasks(t, openDB(t, dsn), task)
	startTasks(t, openDB(t, dsn), task)
	eventually(t, "the regular runs", func() bool {
		mustPoke(t, a, "count")
		return c.runs.Load() >= 5
	})
	if most := c.most.Load(); most != 1 {
		t.Errorf("%d runs at the same time", most)
	}
}

func TestPokeDuringARunLeadsToAnother(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	begun, end := make(chan struct{}, 10), make(chan struct{})
	q := startTasks(t, db, Task{Name: "long", Work: func(ctx context.Context) error {
		begun <- struct{}{}
		select {
		case <-end:
		case <-ctx.Done():
		}
		return nil
	}})
	mustPoke(t, q, "long")
	<-begun
	for range 20 {
		mustPoke(t, q, "long")
	}
	// The poked jobs become at most one for each worker beside the one that runs.
	eventually(t, "the pokes are gathered", func() bool { return waitingTasks(t, db) <= TaskWorkers })
	close(end)
	<-begun
	eventually(t, "all pokes are met", func() bool { return waitingTasks(t, db) == 0 })
	if n := 1 + len(begun); n > TaskWorkers {
		t.Errorf("%d runs for 20 pokes during a run", n)
	}
}

func TestPokeOfARolledBackTransactionIsNone(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	c := &counter{}
	q := startTasks(t, db, Task{Name: "count", Work: c.work})
	no := errors.New("no")
	err := db.InTx(t.Context(), func(tx *store.Tx) error { return errors.Join(q.Poke(t.Context(), tx, "count"), no) })
	if !errors.Is(err, no) {
		t.Fatal(err)
	}
	if n := waitingTasks(t, db); n != 0 {
		t.Errorf("%d jobs of a transaction that was rolled back", n)
	}
}

// TestNoPokeIsLost has writers that add a row and poke in transactions of
// different lengths, and two daemons that note the rows that a run sees.
func TestNoPokeIsLost(t *testing.T) {
	t.Parallel()
	dsn := storetest.DSN(t)
	db := openDB(t, dsn)
	if _, err := db.Pool().Exec(t.Context(), `CREATE TABLE wishes (id bigint PRIMARY KEY, seen boolean NOT NULL DEFAULT false)`); err != nil {
		t.Fatal(err)
	}
	c := &counter{during: func(ctx context.Context) error {
		_, err := db.Pool().Exec(ctx, `UPDATE wishes SET seen = true WHERE NOT seen`)
		return err
	}}
	task := Task{Name: "see", Work: c.work}
	q := startTasks(t, db, task)
	startTasks(t, openDB(t, dsn), task)
	var writers sync.WaitGroup
	for w := range 4 {
		writers.Go(func() {
			for i := range 50 {
				if err := wish(t.Context(), q, w*1000+i); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	writers.Wait()
	eventually(t, "every row is seen", func() bool {
		var unseen int
		err := db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM wishes WHERE NOT seen`).Scan(&unseen)
		return err == nil && unseen == 0 && waitingTasks(t, db) == 0
	})
	if runs := c.runs.Load(); runs > 150 {
		t.Errorf("%d runs for 200 pokes: they are not gathered", runs)
	}
}

func wish(ctx context.Context, q *Queue, id int) error {
	return q.cfg.DB.InTx(ctx, func(tx *store.Tx) error {
		if err := q.Poke(ctx, tx, "see"); err != nil {
			return err
		}
		// What is poked before it is written counts like what is poked after.
		_, err := tx.Exec(ctx, `WITH pause AS MATERIALIZED (SELECT pg_sleep($2))
			INSERT INTO wishes (id) SELECT $1 FROM pause`, id, rand.Float64()/50)
		return err
	})
}

func TestFailedTaskIsRepeated(t *testing.T) {
	t.Parallel()
	for name, fail := range map[string]func(context.Context) error{
		"error":   func(context.Context) error { return errors.New("no") },
		"panic":   func(context.Context) error { panic("no") },
		"timeout": func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := &counter{}
			c.during = func(ctx context.Context) error {
				if c.runs.Load() == 1 {
					return fail(ctx)
				}
				return nil
			}
			db := newDB(t)
			q := startTasks(t, db, Task{Name: "once", Timeout: time.Second, Work: c.work})
			mustPoke(t, q, "once")
			eventually(t, "the second run", func() bool { return c.runs.Load() == 2 && waitingTasks(t, db) == 0 })
		})
	}
}

func TestTaskOfAnotherVersionWaits(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	c := &counter{}
	q := newQueue(t, Config{DB: db, Fetch: noFetch, Sweep: noSweep, Tasks: []Task{{Name: "known", Work: c.work}}})
	q.unknownWait = 200 * time.Millisecond
	for range 10 {
		mustPoke(t, q, "unknown")
	}
	start(t, q)
	mustPoke(t, q, "known")
	eventually(t, "the known task", func() bool { return c.runs.Load() == 1 })
	eventually(t, "the unknown ones are gathered", func() bool { return waitingTasks(t, db) <= TaskWorkers })
	if n := waitingTasks(t, db); n == 0 {
		t.Error("the unknown task is forgotten")
	}
}

func TestTasksAreChecked(t *testing.T) {
	t.Parallel()
	work := func(context.Context) error { return nil }
	for _, tasks := range [][]Task{
		{{Name: "", Work: work}}, {{Name: "a"}}, {{Name: "a", Work: work}, {Name: "a", Work: work}},
	} {
		if _, err := New(Config{DB: newDB(t), Tasks: tasks}); err == nil {
			t.Errorf("New takes the tasks %v", tasks)
		}
	}
}

// stuckTask makes the test binary a daemon whose only task never ends.
const stuckTask = "stuck"

func TestTaskOfAKilledDaemonRunsAgain(t *testing.T) {
	t.Parallel()
	dsn := storetest.DSN(t)
	db := openDB(t, dsn)
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envVictim+"="+dsn)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	mustPoke(t, newQueue(t, Config{DB: db}), stuckTask)
	eventually(t, "the victim runs the task", func() bool {
		var held bool
		err := db.Pool().QueryRow(t.Context(), `SELECT EXISTS (SELECT FROM river_job j WHERE state = 'running' AND `+
			locked(`'`+taskLock+stuckTask+`'`)+`)`).Scan(&held)
		return err == nil && held
	})
	c := &counter{}
	q := startTasks(t, db, Task{Name: stuckTask, Work: c.work})
	q.orphanAge = 100 * time.Millisecond
	if err := q.reviveTasks(t.Context()); err != nil {
		t.Fatal(err)
	}
	if runs := c.runs.Load(); runs != 0 {
		t.Errorf("%d runs beside the victim's", runs)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the victim ended by itself")
	}
	eventually(t, "the survivor runs it", func() bool {
		if err := q.reviveTasks(t.Context()); err != nil {
			t.Fatal(err)
		}
		return c.runs.Load() > 0 && waitingTasks(t, db) == 1
	})
	if err := q.reviveTasks(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := waitingTasks(t, db); n != 1 {
		t.Errorf("%d jobs, want only the dead one's: its work was done", n)
	}
}
