package queue

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"

	"github.com/blameprompt/enterprise/store"
)

// Demand says when a repository shall be fetched.
type Demand int

const (
	// Once demands one fetch from now on.
	Once Demand = iota
	// Asked is Once on behalf of a person: it does not wait for the pause that
	// follows a failure.
	Asked
	// Event demands what a push to a branch needs: clients push their notes in
	// a second push, that no forge reports, a few seconds after the first.
	Event
)

// slots are the waits, in ascending order, after which a demand wants fetches.
func (d Demand) slots() []time.Duration {
	if d == Event {
		return []time.Duration{0, 3 * time.Second, 15 * time.Second, time.Minute}
	}
	return []time.Duration{0}
}

// fetchArgs demand that a fetch of the repository starts at or after Due.
//
// Due is a full second, rounded up, and the arguments are unique: any number
// of demands for a repository in one second are one job. Nothing is lost by
// that. Take a demand made at the moment m by the database's clock. Its Due is
// at or after m. If it is dropped, a job with the same Due exists, in one of
// the states available, pending, scheduled, retryable, running or completed:
//
//   - It has not begun: it begins later, at or after Due, so at or after m.
//   - It runs or has completed: it was taken up when the database's clock had
//     passed Due, because River compares with that clock, and either started a
//     fetch after that, or found that one had succeeded that started at or
//     after Due, or handed the demand over to a job with a later Due (again a
//     demand, of which the same is true), or found the repository removed.
//   - It was discarded or cancelled: that is not among the unique states, and
//     the demand is not dropped.
//
// What the demand wants to be seen happened before m, and so before the fetch.
type fetchArgs struct {
	OrgID  uuid.UUID `json:"org_id"`
	RepoID uuid.UUID `json:"repo_id"`
	Due    time.Time `json:"due"`
	// Asked is set for the demand of that name.
	Asked bool `json:"asked,omitempty"`
}

// Kind implements river.JobArgs.
func (fetchArgs) Kind() string { return "fetch" }

// InsertOpts implements river.JobArgsWithInsertOpts.
func (a fetchArgs) InsertOpts() river.InsertOpts {
	return river.InsertOpts{
		Queue:       fetchQueue,
		ScheduledAt: a.Due,
		MaxAttempts: 25,
		UniqueOpts:  river.UniqueOpts{ByArgs: true, ByState: rivertype.UniqueOptsByStateDefault()},
	}
}

// availableHook makes demands for later available at once. River would keep
// them scheduled until its leader looks, every five seconds and only while
// there is a leader; workers honour the time of an available job themselves.
type availableHook struct{ river.HookDefaults }

// InsertBegin implements rivertype.HookInsertBegin.
func (*availableHook) InsertBegin(_ context.Context, job *rivertype.JobInsertParams) error {
	if job.Kind == (fetchArgs{}).Kind() && job.State == rivertype.JobStateScheduled {
		job.State = rivertype.JobStateAvailable
	}
	return nil
}

// DemandFetch demands fetches of a repository, as part of the transaction:
// they begin after it commits. A transaction that demands fetches of several
// repositories does so in the order of their ids, or may meet a deadlock.
func (q *Queue) DemandFetch(ctx context.Context, tx *store.Tx, org, repo uuid.UUID, d Demand) error {
	var now time.Time
	if err := tx.QueryRow(ctx, `SELECT clock_timestamp()`).Scan(&now); err != nil {
		return fmt.Errorf("demanding a fetch: asking for the time: %w", err)
	}
	var jobs []fetchArgs
	for _, wait := range d.slots() {
		jobs = append(jobs, fetchArgs{OrgID: org, RepoID: repo, Due: ceilSecond(now.Add(wait)), Asked: d == Asked})
	}
	return q.insert(ctx, tx, jobs)
}

// postpone hands a demand over to one at or after the moment, in a transaction
// of its own.
func (q *Queue) postpone(ctx context.Context, a fetchArgs, to time.Time) error {
	a.Due = ceilSecond(to)
	return q.cfg.DB.InTx(ctx, func(tx *store.Tx) error { return q.insert(ctx, tx, []fetchArgs{a}) })
}

// insert takes jobs in the order in which every transaction takes them.
func (q *Queue) insert(ctx context.Context, tx *store.Tx, jobs []fetchArgs) error {
	params := make([]river.InsertManyParams, len(jobs))
	for i, job := range jobs {
		params[i].Args = job
	}
	if _, err := q.river.InsertManyTx(ctx, tx.Tx, params); err != nil {
		return fmt.Errorf("demanding a fetch: %w", err)
	}
	return nil
}

// ceilSecond rounds up to the full second.
func ceilSecond(t time.Time) time.Time {
	down := t.UTC().Truncate(time.Second)
	if down.Equal(t) {
		return down
	}
	return down.Add(time.Second)
}
