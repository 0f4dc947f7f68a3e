package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/pglocal"
	"github.com/blameprompt/enterprise/store/storetest"
)

// patience is how long a test waits for what is sure to come.
const patience = 45 * time.Second

// run is one fetch by the database's clock.
type run struct {
	Repo           uuid.UUID
	Started, Ended time.Time
}

// forge stands for fetching: it records in the store what a fetch records, and
// for the test when each one ran.
type forge struct {
	db *store.DB
	// during is what a fetch does.
	during func(ctx context.Context, repo uuid.UUID) error

	mu   sync.Mutex
	runs []run
}

func (f *forge) fetch(ctx context.Context, org, repo uuid.UUID) error {
	row, err := f.db.FetchStarted(ctx, org, repo)
	if err != nil {
		return err
	}
	err = f.during(ctx, repo)
	out := store.Fetched{}
	if err != nil {
		out.Problem = err.Error()
	}
	record := context.WithoutCancel(ctx)
	if err := f.db.FetchEnded(record, org, repo, out); err != nil {
		return err
	}
	ended := clock(record, f.db)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.runs = append(f.runs, run{repo, *row.FetchStartedAt, ended})
	return err
}

// ofRepo returns the fetches of a repository in the order of their starts.
func (f *forge) ofRepo(repo uuid.UUID) []run {
	f.mu.Lock()
	defer f.mu.Unlock()
	runs := slices.DeleteFunc(slices.Clone(f.runs), func(r run) bool { return r.Repo != repo })
	slices.SortFunc(runs, func(a, b run) int { return a.Started.Compare(b.Started) })
	return runs
}

// startedSince reports whether a fetch that has ended began at or after m.
func (f *forge) startedSince(repo uuid.UUID, m time.Time) bool {
	runs := f.ofRepo(repo)
	return len(runs) > 0 && !runs[len(runs)-1].Started.Before(m)
}

func quickly(context.Context, uuid.UUID) error { return nil }

// clock is the database's time, zero when it does not answer.
func clock(ctx context.Context, db *store.DB) time.Time {
	var now time.Time
	if err := db.Pool().QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now); err != nil {
		return time.Time{}
	}
	return now
}

func openDB(t *testing.T, dsn string) *store.DB {
	t.Helper()
	db, err := store.Open(t.Context(), store.Config{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func newDB(t *testing.T) *store.DB {
	t.Helper()
	return openDB(t, storetest.DSN(t))
}

// newRepos registers repositories whose first sweep is an hour away.
func newRepos(t *testing.T, db *store.DB, n int) (org uuid.UUID, repos []uuid.UUID) {
	t.Helper()
	row, err := db.CreateOrg(t.Context(), "acme", "")
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		repo, err := db.CreateRepo(t.Context(), access.CLI(row.ID), store.NewRepo{
			Name: fmt.Sprintf("repo-%d", i), RemoteURL: "https://git.example/repo.git"})
		if err != nil {
			t.Fatal(err)
		}
		repos = append(repos, repo.ID)
	}
	return row.ID, repos
}

func newQueue(t *testing.T, cfg Config) *Queue {
	t.Helper()
	cfg.Log = zerolog.New(zerolog.NewTestWriter(t)).Level(zerolog.FatalLevel)
	q, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func startQueue(t *testing.T, cfg Config) *Queue {
	t.Helper()
	q := newQueue(t, cfg)
	start(t, q)
	return q
}

// start starts the queue and stops it with the test.
func start(t *testing.T, q *Queue) {
	t.Helper()
	if err := q.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := q.Stop(ctx); err != nil {
			t.Errorf("stopping: %v", err)
		}
	})
}

// noSweep is a sweep that finds nothing while a test runs.
var noSweep = Sweep{Every: time.Hour, Active: time.Hour, Idle: time.Hour}

// startIdle starts a queue whose repositories count as fetched just now, so
// that the first sweep leaves them alone.
func startIdle(t *testing.T, cfg Config, org uuid.UUID, repos []uuid.UUID) *Queue {
	t.Helper()
	markFetched(t, cfg.DB, org, repos)
	cfg.Sweep = noSweep
	return startQueue(t, cfg)
}

func markFetched(t *testing.T, db *store.DB, org uuid.UUID, repos []uuid.UUID) {
	t.Helper()
	for _, repo := range repos {
		if _, err := db.FetchStarted(t.Context(), org, repo); err != nil {
			t.Fatal(err)
		}
		if err := db.FetchEnded(t.Context(), org, repo, store.Fetched{}); err != nil {
			t.Fatal(err)
		}
	}
}

// demand returns a moment before which the demanded fetch must not start.
func demand(ctx context.Context, q *Queue, org, repo uuid.UUID, d Demand) (time.Time, error) {
	m := clock(ctx, q.cfg.DB)
	err := q.cfg.DB.InTx(ctx, func(tx *store.Tx) error { return q.DemandFetch(ctx, tx, org, repo, d) })
	return m, err
}

func mustDemand(t *testing.T, q *Queue, org, repo uuid.UUID, d Demand) time.Time {
	t.Helper()
	m, err := demand(t.Context(), q, org, repo, d)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// eventually polls until ok.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.After(patience)
	for !ok() {
		select {
		case <-deadline:
			t.Fatalf("waited %s in vain: %s", patience, what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// openJobs counts the demands that have not been met.
func openJobs(t *testing.T, db *store.DB) int {
	t.Helper()
	var n int
	err := db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM river_job
		WHERE kind = 'fetch' AND state IN ('available', 'pending', 'scheduled', 'retryable', 'running')`).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestStormOfDemands(t *testing.T) {
	t.Parallel()
	dsn := storetest.DSN(t)
	dbs := []*store.DB{openDB(t, dsn), openDB(t, dsn)}
	org, repos := newRepos(t, dbs[0], 4)
	forges := make([]*forge, len(dbs))
	queues := make([]*Queue, len(dbs))
	for i, db := range dbs {
		forges[i] = &forge{db: db, during: func(ctx context.Context, _ uuid.UUID) error {
			select {
			case <-time.After(time.Duration(rand.IntN(300)) * time.Millisecond):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}}
		queues[i] = startIdle(t, Config{DB: db, Fetch: forges[i].fetch}, org, repos)
	}
	began := clock(t.Context(), dbs[0])
	last := storm(t, queues, org, repos, 1000)
	eventually(t, "all demands are met", func() bool { return openJobs(t, dbs[0]) == 0 })

	seconds := int(clock(t.Context(), dbs[0]).Sub(began)/time.Second) + 2
	for i, repo := range repos {
		all := &forge{runs: slices.Concat(forges[0].runs, forges[1].runs)}
		runs := all.ofRepo(repo)
		if !all.startedSince(repo, last[i]) {
			t.Errorf("repository %d: no fetch since its last demand", i)
		}
		if len(runs) > seconds {
			t.Errorf("repository %d: %d fetches in %d seconds", i, len(runs), seconds)
		}
		checkApart(t, runs)
	}
}

// storm makes n demands from goroutines of all queues, and returns for each
// repository the moment of its last demand.
func storm(t *testing.T, queues []*Queue, org uuid.UUID, repos []uuid.UUID, n int) []time.Time {
	t.Helper()
	last := make([]time.Time, len(repos))
	var mu sync.Mutex
	var wg sync.WaitGroup
	for worker := range 8 {
		wg.Go(func() {
			for i := worker; i < n; i += 8 {
				pick := rand.IntN(len(repos))
				m, err := demand(context.Background(), queues[i%len(queues)], org, repos[pick], Once)
				if err != nil {
					t.Errorf("demand %d: %v", i, err)
					return
				}
				mu.Lock()
				if m.After(last[pick]) {
					last[pick] = m
				}
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return last
}

// checkApart wants fetches of one repository never to overlap.
func checkApart(t *testing.T, runs []run) {
	t.Helper()
	for i := 1; i < len(runs); i++ {
		if runs[i].Started.Before(runs[i-1].Ended) {
			t.Errorf("two fetches at once: %v began before %v ended", runs[i], runs[i-1])
		}
	}
}

func TestDemandDuringAFetchLeadsToAnother(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	org, repos := newRepos(t, db, 1)
	begun, proceed := make(chan struct{}, 10), make(chan struct{})
	f := &forge{db: db, during: func(ctx context.Context, _ uuid.UUID) error {
		begun <- struct{}{}
		select {
		case <-proceed:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}}
	q := startIdle(t, Config{DB: db, Fetch: f.fetch}, org, repos)
	mustDemand(t, q, org, repos[0], Once)
	<-begun
	var m time.Time
	for range 50 {
		m = mustDemand(t, q, org, repos[0], Once)
	}
	close(proceed)
	eventually(t, "a fetch since the last demand", func() bool { return f.startedSince(repos[0], m) })
	eventually(t, "all demands are met", func() bool { return openJobs(t, db) == 0 })
	checkApart(t, f.ofRepo(repos[0]))
}

func TestEventIsFetchedAtOnceAndForTheNotesPush(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	org, repos := newRepos(t, db, 1)
	f := &forge{db: db, during: quickly}
	q := startIdle(t, Config{DB: db, Fetch: f.fetch}, org, repos)
	m := mustDemand(t, q, org, repos[0], Event)
	eventually(t, "the fetch for the notes push", func() bool { return f.startedSince(repos[0], m.Add(3*time.Second)) })

	runs := f.ofRepo(repos[0])
	if len(runs) != 2 {
		t.Fatalf("%d fetches, want one at once and one after 3 s", len(runs))
	}
	// Rounded up to the second, plus the poll of the workers, plus this
	// machine's own delays.
	if late := runs[0].Started.Sub(m); late > 2500*time.Millisecond {
		t.Errorf("the first fetch began after %s", late)
	}
	if late := runs[1].Started.Sub(m); late > 5*time.Second {
		t.Errorf("the fetch for the notes began after %s, want within 5 s", late)
	}
	want := []time.Time{ceilSecond(m.Add(15 * time.Second)), ceilSecond(m.Add(time.Minute))}
	// The clock may step into the next second between asking it and demanding.
	if diff := cmp.Diff(want, openDues(t, db), cmpopts.EquateApproxTime(time.Second)); diff != "" {
		t.Errorf("later demands (-want +got):\n%s", diff)
	}
}

func openDues(t *testing.T, db *store.DB) []time.Time {
	t.Helper()
	rows, err := db.Pool().Query(t.Context(),
		`SELECT scheduled_at FROM river_job WHERE kind = 'fetch' AND state = 'available' ORDER BY scheduled_at`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var dues []time.Time
	for rows.Next() {
		var due time.Time
		if err := rows.Scan(&due); err != nil {
			t.Fatal(err)
		}
		dues = append(dues, due)
	}
	return dues
}

func TestFailuresAreRetriedOncePerRepository(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	org, repos := newRepos(t, db, 1)
	f := &forge{db: db}
	f.during = func(context.Context, uuid.UUID) error {
		if len(f.ofRepo(repos[0])) < 2 {
			return errors.New("the remote is away")
		}
		return nil
	}
	q := startIdle(t, Config{DB: db, Fetch: f.fetch}, org, repos)
	var m time.Time
	for range 20 {
		m = mustDemand(t, q, org, repos[0], Once)
	}
	eventually(t, "all demands are met", func() bool { return openJobs(t, db) == 0 })
	runs := f.ofRepo(repos[0])
	// The demands may fall into two seconds, of which the second may find the success.
	if len(runs) < 3 || len(runs) > 4 {
		t.Errorf("%d fetches, want two failures and one or two successes", len(runs))
	}
	if !f.startedSince(repos[0], m) {
		t.Error("no fetch since the last demand")
	}
	for i := range 2 {
		if pause := runs[i+1].Started.Sub(runs[i].Started); pause < backoff(i+1) {
			t.Errorf("try %d came %s after the one before, want %s", i+2, pause, backoff(i+1))
		}
	}
}

func TestAskingDoesNotWaitForThePauseAfterAFailure(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	org, repos := newRepos(t, db, 1)
	f := &forge{db: db, during: quickly}
	q := startIdle(t, Config{DB: db, Fetch: f.fetch}, org, repos)
	for range maxRetries {
		if err := db.FetchEnded(t.Context(), org, repos[0], store.Fetched{Problem: "no such host"}); err != nil {
			t.Fatal(err)
		}
	}
	mustDemand(t, q, org, repos[0], Once)
	m := mustDemand(t, q, org, repos[0], Asked)
	eventually(t, "the fetch that was asked for", func() bool { return f.startedSince(repos[0], m) })
}

func TestErrorThatTheRepositoryDoesNotKnowIsRetried(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	org, repos := newRepos(t, db, 1)
	f := &forge{db: db, during: quickly}
	calls := make(chan struct{}, 10)
	q := startIdle(t, Config{DB: db, Fetch: func(ctx context.Context, org, repo uuid.UUID) error {
		calls <- struct{}{}
		if len(calls) == 1 {
			return errors.New("a fault before the fetch")
		}
		return f.fetch(ctx, org, repo)
	}}, org, repos)
	m := mustDemand(t, q, org, repos[0], Once)
	eventually(t, "the second try", func() bool { return f.startedSince(repos[0], m) })
}

func TestRemovedRepositoryIsLeftAlone(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	org, repos := newRepos(t, db, 1)
	f := &forge{db: db, during: quickly}
	q := startIdle(t, Config{DB: db, Fetch: f.fetch}, org, repos)
	if err := db.RemoveRepo(t.Context(), access.CLI(org), repos[0]); err != nil {
		t.Fatal(err)
	}
	mustDemand(t, q, org, repos[0], Asked)
	eventually(t, "the demand is dropped", func() bool { return openJobs(t, db) == 0 })
	if n := len(f.ofRepo(repos[0])); n != 0 {
		t.Errorf("%d fetches of a removed repository", n)
	}
}

func TestSweepFetchesWhatNoEventTold(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	_, repos := newRepos(t, db, 3)
	f := &forge{db: db, during: quickly}
	startQueue(t, Config{DB: db, Fetch: f.fetch, Sweep: Sweep{Every: time.Second, Active: 2 * time.Second, Idle: time.Hour}})
	for _, repo := range repos {
		eventually(t, "two fetches by sweeps", func() bool { return len(f.ofRepo(repo)) >= 2 })
		runs := f.ofRepo(repo)
		if pause := runs[1].Started.Sub(runs[0].Started); pause < 2*time.Second {
			t.Errorf("swept again after %s", pause)
		}
	}
}

func TestSweepDoesNotPileUpDemands(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	org, repos := newRepos(t, db, 3)
	q := newQueue(t, Config{DB: db, Fetch: (&forge{db: db, during: quickly}).fetch})
	for range 3 {
		if err := q.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := openJobs(t, db); n != len(repos) {
		t.Errorf("%d demands after three sweeps over %d repositories of %s that nobody fetches", n, len(repos), org)
	}
}

func TestStopWaitsThenCancels(t *testing.T) {
	t.Parallel()
	db := newDB(t)
	org, repos := newRepos(t, db, 1)
	begun := make(chan struct{}, 1)
	f := &forge{db: db, during: func(ctx context.Context, _ uuid.UUID) error {
		begun <- struct{}{}
		<-ctx.Done()
		return ctx.Err()
	}}
	markFetched(t, db, org, repos)
	q := newQueue(t, Config{DB: db, Fetch: f.fetch, Sweep: noSweep, StopTimeout: 300 * time.Millisecond})
	if err := q.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	m := mustDemand(t, q, org, repos[0], Once)
	<-begun
	asked := time.Now()
	if err := q.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if waited := time.Since(asked); waited < 300*time.Millisecond {
		t.Errorf("the running fetch got %s, want 300 ms", waited)
	}
	if n := openJobs(t, db); n != 1 {
		t.Fatalf("%d open demands after the stop, want the cancelled one", n)
	}
	next := &forge{db: db, during: quickly}
	startQueue(t, Config{DB: db, Fetch: next.fetch, Sweep: noSweep})
	eventually(t, "the next daemon's fetch", func() bool { return next.startedSince(repos[0], m) })
}

// envVictim makes the test binary a daemon that is killed during a fetch.
const envVictim = "BLAMEPROMPT_TEST_QUEUE_VICTIM"

func TestMain(m *testing.M) {
	if dsn := os.Getenv(envVictim); dsn != "" {
		victim(dsn)
	}
	os.Exit(m.Run())
}

// victim runs a queue whose fetches and tasks never end.
func victim(dsn string) {
	ctx := context.Background()
	db, err := store.Open(ctx, store.Config{DSN: dsn})
	if err != nil {
		panic(err)
	}
	q, err := New(Config{DB: db, Sweep: noSweep, Log: zerolog.Nop(), Fetch: func(ctx context.Context, org, repo uuid.UUID) error {
		if _, err := db.FetchStarted(ctx, org, repo); err != nil {
			return err
		}
		<-ctx.Done()
		return ctx.Err()
	}, Tasks: []Task{{Name: stuckTask, Work: func(ctx context.Context) error {
		<-ctx.Done()
		return ctx.Err()
	}}}})
	if err != nil {
		panic(err)
	}
	if err := q.Start(ctx); err != nil {
		panic(err)
	}
	select {}
}

func TestFetchOfAKilledDaemonIsTakenOver(t *testing.T) {
	t.Parallel()
	dsn := storetest.DSN(t)
	db := openDB(t, dsn)
	org, repos := newRepos(t, db, 1)
	markFetched(t, db, org, repos)

	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envVictim+"="+dsn)
	cmd.Stderr = os.Stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	m := mustDemand(t, newQueue(t, Config{DB: db}), org, repos[0], Once)
	eventually(t, "the victim fetches", func() bool {
		state, err := newQueue(t, Config{DB: db}).readState(t.Context(), org, repos[0])
		return err == nil && state.Started.After(m)
	})
	f := &forge{db: db, during: quickly}
	q := startQueue(t, Config{DB: db, Fetch: f.fetch, Sweep: noSweep})
	q.orphanAge = 100 * time.Millisecond
	if err := q.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := openJobs(t, db); n != 1 {
		t.Errorf("%d open demands, want the one that the victim works on", n)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err == nil {
		t.Fatal("the victim ended by itself")
	}
	eventually(t, "the survivor fetches", func() bool {
		if err := q.sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
		return f.startedSince(repos[0], m)
	})
}

func TestDatabaseThatGoesAndComes(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "blameprompt-queue-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	config := pglocal.Config{Dir: filepath.Join(dir, "pg"), Volatile: true, Log: zerolog.Nop()}
	cluster := startCluster(t, config)
	dsn := cluster.DSN(pglocal.Database)
	if err := store.Migrate(t.Context(), dsn, zerolog.Nop()); err != nil {
		t.Fatal(err)
	}
	db := openDB(t, dsn)
	org, repos := newRepos(t, db, 1)
	f := &forge{db: db, during: quickly}
	q := startIdle(t, Config{DB: db, Fetch: f.fetch}, org, repos)
	m := mustDemand(t, q, org, repos[0], Once)
	eventually(t, "a fetch before", func() bool { return f.startedSince(repos[0], m) })

	if err := cluster.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := demand(t.Context(), q, org, repos[0], Once); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a demand to an absent database: %v, want ErrUnavailable", err)
	}
	startCluster(t, config)
	eventually(t, "the database is back", func() bool { return db.Ping(t.Context()) == nil })
	m = mustDemand(t, q, org, repos[0], Once)
	eventually(t, "a fetch after", func() bool { return f.startedSince(repos[0], m) })
}

func startCluster(t *testing.T, config pglocal.Config) *pglocal.Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cluster, err := pglocal.Start(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cluster.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return cluster
}

func TestCeilSecond(t *testing.T) {
	t.Parallel()
	base := time.Date(2026, 3, 1, 10, 0, 7, 0, time.UTC)
	for _, c := range []struct{ in, want time.Time }{
		{base, base},
		{base.Add(1), base.Add(time.Second)},
		{base.Add(999 * time.Millisecond), base.Add(time.Second)},
		{base.In(time.FixedZone("x", 3600)), base},
	} {
		if got := ceilSecond(c.in); got != c.want {
			t.Errorf("ceilSecond(%v) = %v, want %v", c.in, got, c.want)
		}
	}
}

func TestBackoffGrowsToItsBound(t *testing.T) {
	t.Parallel()
	var got []time.Duration
	for _, failures := range []int{1, 2, 8, 9, 10, 1000} {
		got = append(got, backoff(failures))
	}
	want := []time.Duration{2 * time.Second, 4 * time.Second, 256 * time.Second, maxBackoff, maxBackoff, maxBackoff}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}
