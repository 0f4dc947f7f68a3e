package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// statusKit is a repository with a connection.
type statusKit struct {
	db   *store.DB
	org  uuid.UUID
	repo uuid.UUID
	conn uuid.UUID
}

func newStatusKit(t *testing.T) statusKit {
	t.Helper()
	db := storetest.Open(t)
	org := storetest.MustOrg(t, db, "acme")
	c := mustConnect(t, db, access.CLI(org.ID), newConnection())
	repo, _ := place(t, db, c, "acme/api", "github.com/acme/api", false)
	return statusKit{db, org.ID, repo.ID, c.ID}
}

func (k statusKit) want(t *testing.T, statuses ...store.Status) (wanted bool) {
	t.Helper()
	err := k.db.InTx(t.Context(), func(tx *store.Tx) (err error) {
		wanted, err = tx.WantStatuses(t.Context(), k.org, k.repo, statuses)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return wanted
}

func (k statusKit) claim(t *testing.T, claim time.Duration) []store.ClaimedStatus {
	t.Helper()
	rows, err := k.db.ClaimStatuses(t.Context(), 100, claim)
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// one claims the only status that is to be posted.
func (k statusKit) one(t *testing.T) store.ClaimedStatus {
	t.Helper()
	rows := k.claim(t, time.Hour)
	if len(rows) != 1 {
		t.Fatalf("claimed %+v, want one", rows)
	}
	return rows[0]
}

func (k statusKit) posted(t *testing.T, s store.ClaimedStatus) {
	t.Helper()
	if err := k.db.StatusPosted(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

func (k statusKit) failed(t *testing.T, s store.ClaimedStatus, f store.PostFailure) {
	t.Helper()
	if err := k.db.StatusFailed(t.Context(), s, f); err != nil {
		t.Fatal(err)
	}
}

func status(commit string, state store.StatusState) store.Status {
	return store.Status{Commit: commit, State: state, Description: string(state), Decision: uuid.Must(uuid.NewV7())}
}

func TestStatusIsPostedOnceAndWhatIsNewerAfterIt(t *testing.T) {
	t.Parallel()
	k := newStatusKit(t)
	if !k.want(t, status("a", store.StatusPending)) {
		t.Fatal("not wanted")
	}
	s := k.one(t)
	if s.State != store.StatusPending || s.ForgePath != "acme/api" || s.ConnectionID != k.conn || s.Attempts != 1 {
		t.Errorf("claimed %+v", s)
	}
	if rows := k.claim(t, time.Hour); len(rows) != 0 {
		t.Errorf("claimed twice: %+v", rows)
	}
	// A newer state waits for the end of the post that is under way.
	k.want(t, status("a", store.StatusSuccess))
	if rows := k.claim(t, time.Hour); len(rows) != 0 {
		t.Errorf("claimed during a post: %+v", rows)
	}
	k.posted(t, s)
	next := k.one(t)
	if next.State != store.StatusSuccess || next.Attempts != 1 {
		t.Errorf("then claimed %+v", next)
	}
	k.posted(t, next)
	if rows := k.claim(t, time.Hour); len(rows) != 0 {
		t.Errorf("posted, and claimed again: %+v", rows)
	}
	if k.want(t, status("a", store.StatusSuccess)) {
		t.Error("the same again is to be posted")
	}
}

func TestOlderDecisionDoesNotChangeAStatus(t *testing.T) {
	t.Parallel()
	k := newStatusKit(t)
	older, newer := status("a", store.StatusFailure), status("a", store.StatusSuccess)
	k.want(t, newer)
	if k.want(t, older) {
		t.Error("an older decision's status is wanted")
	}
	if s := k.one(t); s.State != store.StatusSuccess || s.DecisionID != newer.Decision {
		t.Errorf("claimed %+v", s)
	}
}

func TestLastStatusOfACommitCounts(t *testing.T) {
	t.Parallel()
	k := newStatusKit(t)
	k.want(t, status("b", store.StatusPending), status("a", store.StatusPending), status("a", store.StatusFailure))
	states := map[string]store.StatusState{}
	for _, s := range k.claim(t, time.Hour) {
		states[s.Commit] = s.State
	}
	if len(states) != 2 || states["a"] != store.StatusFailure || states["b"] != store.StatusPending {
		t.Errorf("claimed %v", states)
	}
}

func TestStatusWithoutConnectionIsNotWanted(t *testing.T) {
	t.Parallel()
	k := newStatusKit(t)
	k.want(t, status("a", store.StatusPending))
	by := access.CLI(k.org)
	if _, err := k.db.Disconnect(t.Context(), by, k.conn, false); err != nil {
		t.Fatal(err)
	}
	if rows := k.claim(t, time.Hour); len(rows) != 0 {
		t.Errorf("claimed %+v for nobody", rows)
	}
	if k.want(t, status("a", store.StatusFailure), status("b", store.StatusFailure)) {
		var n int
		if err := k.db.Pool().QueryRow(t.Context(), `SELECT count(*) FROM commit_statuses`).Scan(&n); err != nil || n != 1 {
			t.Errorf("%d rows, %v", n, err)
		}
	}
}

func TestFailedStatusWaitsAndIsGivenUp(t *testing.T) {
	t.Parallel()
	k := newStatusKit(t)
	k.want(t, status("a", store.StatusPending))
	k.failed(t, k.one(t), store.PostFailure{Problem: "no", Pause: time.Hour})
	if rows := k.claim(t, time.Hour); len(rows) != 0 {
		t.Errorf("claimed during the pause: %+v", rows)
	}
	// What is new does not wait for the pause of what was before.
	k.want(t, status("a", store.StatusSuccess))
	s := k.one(t)
	k.want(t, status("a", store.StatusFailure))
	k.failed(t, s, store.PostFailure{Problem: "no", Pause: time.Hour})
	s = k.one(t)
	if s.State != store.StatusFailure {
		t.Errorf("claimed %+v", s)
	}
	k.failed(t, s, store.PostFailure{Problem: "never", GiveUp: true})
	backlog, err := k.db.StatusBacklog(t.Context(), k.org, k.conn)
	if err != nil || backlog != (store.StatusBacklog{GivenUp: 1}) {
		t.Errorf("backlog %+v, %v", backlog, err)
	}
	// Another token may be allowed it.
	mustConnect(t, k.db, access.CLI(k.org), newConnection())
	if s := k.one(t); s.Attempts != 1 {
		t.Errorf("claimed %+v", s)
	}
}

func TestUnsurePostKeepsItsClaim(t *testing.T) {
	t.Parallel()
	k := newStatusKit(t)
	k.want(t, status("a", store.StatusPending))
	k.failed(t, k.one(t), store.PostFailure{Problem: "no answer", Unsure: true})
	k.want(t, status("a", store.StatusSuccess))
	if rows := k.claim(t, time.Hour); len(rows) != 0 {
		t.Errorf("claimed while the forge may still take the older one: %+v", rows)
	}
}

func TestLostClaimRecordsNothing(t *testing.T) {
	t.Parallel()
	k := newStatusKit(t)
	k.want(t, status("a", store.StatusPending))
	lost := k.claim(t, 0)[0]
	k.want(t, status("a", store.StatusSuccess))
	taken := k.one(t)
	k.posted(t, lost)
	k.posted(t, taken)
	var posted string
	if err := k.db.Pool().QueryRow(t.Context(), `SELECT posted FROM commit_statuses`).Scan(&posted); err != nil || posted != "success" {
		t.Errorf("posted %q, %v", posted, err)
	}
}

// TestConcurrentClaimersPostInOrder lets several claimers and writers at the
// same commits, and holds that every commit's posts never go back.
func TestConcurrentClaimersPostInOrder(t *testing.T) {
	t.Parallel()
	const commits, rounds = 8, 30
	k := newStatusKit(t)
	var mu sync.Mutex
	last := map[string]uuid.UUID{}
	post := func(s store.ClaimedStatus) {
		mu.Lock()
		defer mu.Unlock()
		if before := last[s.Commit]; before.String() > s.DecisionID.String() {
			t.Errorf("commit %s: decision %s was posted after %s", s.Commit, s.DecisionID, before)
		}
		last[s.Commit] = s.DecisionID
	}
	work, cancel := context.WithCancel(t.Context())
	defer cancel()
	var claimers, writers sync.WaitGroup
	for range 3 {
		claimers.Go(func() {
			for work.Err() == nil {
				rows, err := k.db.ClaimStatuses(t.Context(), 3, time.Minute)
				if err != nil {
					t.Error(err)
					return
				}
				for _, s := range rows {
					post(s)
					if err := k.db.StatusPosted(t.Context(), s); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	for range 2 {
		writers.Go(func() {
			for i := range rounds {
				var statuses []store.Status
				for c := range commits {
					s := status(fmt.Sprint(c), store.StatusPending)
					s.Description = fmt.Sprint(i, s.Decision)
					statuses = append(statuses, s)
				}
				err := k.db.InTx(t.Context(), func(tx *store.Tx) error {
					_, err := tx.WantStatuses(t.Context(), k.org, k.repo, statuses)
					return err
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	deadline := time.Now().Add(30 * time.Second)
	for backlog := 1; backlog > 0 && time.Now().Before(deadline); {
		b, err := k.db.StatusBacklog(t.Context(), k.org, k.conn)
		if err != nil {
			t.Fatal(err)
		}
		backlog = b.Waiting
	}
	cancel()
	claimers.Wait()
	var wrong int
	err := k.db.Pool().QueryRow(t.Context(),
		`SELECT count(*) FROM commit_statuses WHERE posted <> state OR posted_description <> description`).Scan(&wrong)
	if err != nil || wrong != 0 {
		t.Errorf("%d statuses are not posted, %v", wrong, err)
	}
}
