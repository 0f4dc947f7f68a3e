package connect

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks/forge"
	"github.com/blameprompt/enterprise/store"
)

func sha(n int) string { return fmt.Sprintf("%040x", n) }

// want notes a status and returns its decision.
func (k kit) want(t *testing.T, repo uuid.UUID, commit string, state store.StatusState) uuid.UUID {
	t.Helper()
	s := store.Status{Commit: commit, State: state, Description: "is " + string(state), Decision: uuid.Must(uuid.NewV7())}
	err := k.db.InTx(t.Context(), func(tx *store.Tx) error {
		wanted, err := tx.WantStatuses(t.Context(), k.org.ID, repo, []store.Status{s})
		if err == nil && wanted {
			err = k.cfg.Jobs.Poke(t.Context(), tx, StatusTask)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return s.Decision
}

func (k kit) post(t *testing.T) {
	t.Helper()
	if err := k.PostStatuses(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// statusKit is a kit with one connected repository.
func statusKit(t *testing.T) (kit, uuid.UUID) {
	t.Helper()
	k := newKit(t, newGitHub(t, "acme/api"))
	k.look(t, k.connect(t, k.request()), LookOptions{})
	repo, err := k.db.Repo(t.Context(), k.org.ID, "acme/api")
	if err != nil {
		t.Fatal(err)
	}
	return k, repo.ID
}

func TestStatusesArePosted(t *testing.T) {
	t.Parallel()
	k, repo := statusKit(t)
	first := k.want(t, repo, sha(1), store.StatusPending)
	k.post(t)
	second := k.want(t, repo, sha(1), store.StatusFailure)
	for n := range 100 {
		k.want(t, repo, sha(100+n), store.StatusSuccess)
	}
	k.post(t)
	k.post(t)
	want := []string{"pending is pending https://bp.example/decisions/" + first.String(),
		"failure is failure https://bp.example/decisions/" + second.String()}
	if diff := cmp.Diff(want, k.github.statuses[sha(1)]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if n := len(k.github.statuses); n != 101 {
		t.Errorf("%d commits have a status, want 101", n)
	}
	for commit, posted := range k.github.statuses {
		if commit != sha(1) && len(posted) != 1 {
			t.Errorf("commit %s was told %q", commit, posted)
		}
	}
}

func TestStatusOfACommitThatComesLater(t *testing.T) {
	t.Parallel()
	k, repo := statusKit(t)
	k.github.fail = func(string) int { return http.StatusUnprocessableEntity }
	k.want(t, repo, sha(1), store.StatusSuccess)
	k.want(t, repo, sha(2), store.StatusSuccess)
	k.post(t)
	k.github.fail = nil
	k.post(t)
	if n := len(k.github.statuses); n != 0 {
		t.Errorf("%d statuses were tried again at once", n)
	}
	k.skipPause(t)
	k.post(t)
	if n := len(k.github.statuses); n != 2 {
		t.Errorf("%d statuses after the pause, want 2", n)
	}
}

// skipPause lets statuses be tried that wait for their next try.
func (k kit) skipPause(t *testing.T) {
	t.Helper()
	if _, err := k.db.Pool().Exec(t.Context(), `UPDATE commit_statuses SET next_at = now() WHERE next_at < 'infinity'`); err != nil {
		t.Fatal(err)
	}
}

func TestStatusThatIsRefusedForGoodIsGivenUp(t *testing.T) {
	t.Parallel()
	k, repo := statusKit(t)
	k.want(t, repo, sha(1), store.StatusSuccess)
	tries := 0
	k.github.fail = func(string) int { tries++; return http.StatusNotFound }
	for range giveUpAfter + 3 {
		k.post(t)
		k.skipPause(t)
	}
	if tries != giveUpAfter {
		t.Errorf("tried %d times, want %d", tries, giveUpAfter)
	}
	// A newer verdict begins anew.
	k.github.fail = nil
	k.want(t, repo, sha(1), store.StatusFailure)
	k.post(t)
	if len(k.github.statuses[sha(1)]) != 1 {
		t.Errorf("then told %q", k.github.statuses[sha(1)])
	}
}

func TestStatusesWaitForAForgeThatIsAway(t *testing.T) {
	t.Parallel()
	k, repo := statusKit(t)
	for n := range 20 {
		k.want(t, repo, sha(n), store.StatusSuccess)
	}
	k.github.Close()
	k.post(t)
	backlog := k.backlog(t)
	if backlog.Waiting != 20 || backlog.GivenUp != 0 {
		t.Errorf("backlog %+v", backlog)
	}
}

func (k kit) backlog(t *testing.T) store.StatusBacklog {
	t.Helper()
	rows, err := k.db.Connections(t.Context(), k.org.ID)
	if err != nil {
		t.Fatal(err)
	}
	backlog, err := k.db.StatusBacklog(t.Context(), k.org.ID, rows[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	return backlog
}

func TestStoppedPostKeepsItsClaim(t *testing.T) {
	t.Parallel()
	k, repo := statusKit(t)
	k.want(t, repo, sha(1), store.StatusPending)
	ctx, cancel := context.WithCancel(t.Context())
	k.github.fail = func(string) int { cancel(); return http.StatusBadGateway }
	if err := k.PostStatuses(ctx); !errors.Is(err, context.Canceled) {
		t.Fatalf("%v", err)
	}
	k.github.fail = nil
	k.want(t, repo, sha(1), store.StatusSuccess)
	k.post(t)
	if posted := k.github.statuses[sha(1)]; len(posted) != 0 {
		t.Errorf("posted %q while the forge may still take the older one", posted)
	}
}

func TestEndOfAConnectionEndsItsStatuses(t *testing.T) {
	t.Parallel()
	k, repo := statusKit(t)
	k.want(t, repo, sha(1), store.StatusPending)
	rows, err := k.db.Connections(t.Context(), k.org.ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := k.db.Disconnect(t.Context(), k.by, rows[0].ID, false); err != nil {
		t.Fatal(err)
	}
	k.post(t)
	if len(k.github.statuses) != 0 {
		t.Errorf("told %v", k.github.statuses)
	}
}

func TestJudge(t *testing.T) {
	t.Parallel()
	now := time.Now()
	refused := &forge.CallError{Err: forge.ErrMissing}
	for name, c := range map[string]struct {
		attempts int
		age      time.Duration
		err      error
		pause    time.Duration
		giveUp   bool
		unsure   bool
	}{
		"first":           {1, 0, refused, 2 * time.Second, false, false},
		"fifth":           {5, 0, refused, 32 * time.Second, false, false},
		"last":            {giveUpAfter, 0, refused, maxPause, true, false},
		"failing":         {40, 0, &forge.CallError{Err: forge.ErrFailing}, maxPause, false, false},
		"no answer":       {1, 0, &forge.CallError{Err: forge.ErrUnreachable}, 2 * time.Second, false, true},
		"resting":         {1, 0, &forge.CallError{Err: forge.ErrResting}, restPause, false, false},
		"limited":         {3, 0, &forge.CallError{Err: forge.ErrLimited, RetryAt: now.Add(time.Hour)}, time.Hour, false, false},
		"old":             {3, 8 * 24 * time.Hour, &forge.CallError{Err: forge.ErrFailing}, 8 * time.Second, true, false},
		"no forge's word": {giveUpAfter, 0, errors.New("a fault of ours"), maxPause, true, false},
	} {
		got := judge(store.ClaimedStatus{Attempts: c.attempts, ChangedAt: now.Add(-c.age)}, c.err, now)
		want := store.PostFailure{Problem: c.err.Error(), Pause: c.pause, GiveUp: c.giveUp, Unsure: c.unsure}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestStatusTaskIsPoked(t *testing.T) {
	t.Parallel()
	k, repo := statusKit(t)
	k.want(t, repo, sha(1), store.StatusPending)
	var names []string
	rows, err := k.db.Pool().Query(t.Context(), `SELECT args->>'name' FROM river_job WHERE kind = 'task' ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			t.Fatal(err)
		}
		names = append(names, name)
	}
	if got := strings.Join(names, " "); got != LookTask+" "+StatusTask {
		t.Errorf("poked %s", got)
	}
}
