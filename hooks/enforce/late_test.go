package enforce_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"github.com/rs/zerolog"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/hooks/enforce"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/notes/gitcmd/gittest"
	"github.com/blameprompt/enterprise/notes/ingest"
	"github.com/blameprompt/enterprise/notes/mirror"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/queue"
	"github.com/blameprompt/enterprise/store/storetest"
)

// From a real push of a branch over the hook's reading of it, a later push of
// notes, and a fetch, to the hold.
func TestNotesOfAMirrorDecideLate(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	remote := gittest.New(t)
	base := remote.Commit(gittest.Commit{Files: map[string]string{"README": "x\n"}})
	tip := remote.Commit(gittest.Commit{Files: map[string]string{"a.go": strings.Repeat("line\n", 12), "go.sum": "a\nb\n"},
		Message: "Work\n\nCo-authored-by: Claude <noreply@anthropic.com>"})
	w := newWorld(t)
	root := t.TempDir()
	w.set(fmt.Sprintf(`remote_url = '%s'`, remote.Dir))
	w.Enforcer = enforce.New(enforce.Config{DB: w.db, Log: zerolog.Nop(), Now: w.clock.Now, Fetches: w.fetches,
		Notes: &enforce.Mirrors{DB: w.db, Root: root}})
	w.policy("Reviews", "block", `{"require_review_above": 5}`)

	repo, err := gitcmd.Open(remote.Dir)
	if err != nil {
		t.Fatal(err)
	}
	p, err := hooks.Preview(ctx, repo, []hooks.Update{{Old: base, New: tip, Ref: "refs/heads/main"}}, []gitcmd.OID{base},
		hooks.Environment{Forge: hooks.Git, Email: ada, Via: hooks.Pushed}, hooks.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	a := w.decide(p)
	if a.Verdict.Outcome != push.Pending {
		t.Fatalf("%s before notes came, want pending", a.Verdict.Outcome)
	}
	sync := ingest.New(ingest.Config{DB: w.db, MirrorRoot: root, Rules: mirror.Rules{FileRoots: []string{filepath.Dir(remote.Dir)}}})
	fetch := func() {
		t.Helper()
		if _, err := sync.Sync(ctx, w.org.ID, w.repo.ID, nil); err != nil {
			t.Fatal(err)
		}
		w.reconsider(store.EventNotes)
	}
	fetch()
	if d := w.decision(a); d.State != store.StatePending {
		t.Fatalf("%s after a fetch without notes", d.State)
	}
	note := map[string]any{"blameprompt_version": "1.0.1", "receipts": []any{map[string]any{"id": "r1", "provider": "claude", "model": good,
		"session_id": "s1", "prompt_number": 1, "cost_usd": 0.25, "timestamp": "2026-11-23T11:00:00Z", "user": "Ada <" + ada + ">",
		"files_changed": []any{map[string]any{"path": "a.go", "line_range": []int{1, 8}}}}}}
	text, err := json.Marshal(note)
	if err != nil {
		t.Fatal(err)
	}
	remote.Notes(gittest.Notes{Bodies: map[gitcmd.OID]string{tip: string(text)}})
	fetch()
	d := w.decision(a)
	if d.State != store.StateHeld || d.AI != 8 || d.Added != 12 {
		t.Fatalf("%s with %d AI lines of %d, want held with 8 of 12", d.State, d.AI, d.Added)
	}
	if diff := cmp.Diff([]string{string(tip)}, d.Holds[0].Commits); diff != "" {
		t.Error(diff)
	}
	if got := w.rows(`SELECT format('%s %s %s %s', added, ai, human, noted) FROM pushed_commits`); got[0] != "12 8 0 t" {
		t.Errorf("the commit counts as %q", got[0])
	}
	if got := w.rows(`SELECT format('%s %s %s', commits, added, ai) FROM pushed_days`); got[0] != "1 12 8" {
		t.Errorf("the day holds %q", got[0])
	}
	if len(d.Violations) != 1 || !d.Violations[0].Late {
		t.Errorf("violations %+v", d.Violations)
	}
}

// A decision that is due waits for a fetch that began after it was, and asks
// for it.
func TestNobodyIsHeldBeforeTheDaemonHasLooked(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.set(`remote_url = 'https://git.example.com/api.git'`)
	w.policy("Receipts", "block", `{"require_receipts": true}`)
	a := w.decide(pushed(marked("c1")))
	steps := []struct {
		what    string
		sql     string
		forward time.Duration
		state   store.DecisionState
		demands int
	}{
		{"in time", "", time.Minute, store.StatePending, 0},
		{"never fetched", "", 14 * time.Minute, store.StatePending, 1},
		{"fetched before it was due", `fetch_started_at = $2::timestamptz - interval '2 minutes', fetched_at = $2`, 0, store.StatePending, 2},
		{"being fetched", `fetch_started_at = $2, fetched_at = $2::timestamptz - interval '1 minute'`, time.Minute, store.StatePending, 3},
		{"the fetch failed", `fetch_started_at = $2, fetched_at = $2::timestamptz - interval '1 hour', fetch_failures = 1`, 0, store.StatePending, 4},
		{"fetched", `fetch_started_at = $2, fetched_at = $2, fetch_failures = 0`, 0, store.StateHeld, 4},
	}
	for _, s := range steps {
		w.clock.forward(s.forward)
		if s.sql != "" {
			w.exec(`UPDATE repos SET `+s.sql+` WHERE id = $1`, w.repo.ID, w.clock.Now())
		}
		w.due()
		if d := w.decision(a); d.State != s.state || len(w.fetches.list) != s.demands {
			t.Errorf("%s: %s after %d demands, want %s after %d", s.what, d.State, len(w.fetches.list), s.state, s.demands)
		}
	}
}

// What no call tells of is found by the regular look.
func TestNewsIsFoundWithoutACall(t *testing.T) {
	t.Parallel()
	for name, tell := range map[string]func(s *scene){
		"posted receipts": func(s *scene) { s.arrive("c1", good, ""); s.arrive("c2", good, "") },
		"uploaded notes":  func(s *scene) { s.upload("c1", good); s.upload("c2", good) },
		"a policy": func(s *scene) {
			if _, err := s.db.EnablePolicy(context.Background(), access.CLI(s.org.ID), s.policy, 0, false); err != nil {
				s.t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := event{}.in(t, store.StatePending)
			tell(s)
			s.due()
			s.check(store.StatePending, store.StateReleased)
		})
	}
	for name, tell := range map[string]func(s *scene){
		"a waiver": func(s *scene) { s.waive(store.NewWaiver{Policy: s.policy, Pusher: ada}) },
		"a review": func(s *scene) { s.review(bob, string(oid("c1")), true); s.review(bob, string(oid("c2")), true) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := event{reviews: name == "a review"}.in(t, store.StateHeld)
			tell(s)
			s.due()
			s.check(store.StateHeld, store.StateReleased)
		})
	}
}

// Many daemons that judge one decision at a time settle it once.
func TestDaemonsSettleADecisionOnce(t *testing.T) {
	t.Parallel()
	s := event{}.in(t, store.StatePending)
	daemons := []*enforce.Enforcer{s.Enforcer, s.daemon(storetest.OpenDSN(t, s.dsn)), s.daemon(storetest.OpenDSN(t, s.dsn))}
	s.upload("c1", bad)
	s.upload("c2", good)
	var wait sync.WaitGroup
	for i := range 12 {
		wait.Go(func() {
			var err error
			if i%2 == 0 {
				err = daemons[i%3].Reconsider(context.Background(), s.org.ID, s.repo.ID, store.EventNotes)
			} else {
				err = daemons[i%3].Due(context.Background())
			}
			if err != nil {
				t.Error(err)
			}
		})
	}
	wait.Wait()
	s.check(store.StatePending, store.StateHeld)
	d := s.decision(s.answer)
	if len(d.Events) != 1 || len(d.Holds) != 1 || len(d.Violations) != 1 {
		t.Errorf("%d events, %d holds, %d violations, want one of each", len(d.Events), len(d.Holds), len(d.Violations))
	}
	if n := len(s.rows(`SELECT action FROM audit_log WHERE action = 'decision.held'`)); n != 1 {
		t.Errorf("%d audit rows", n)
	}
}

// A daemon that read a decision before another one settled it does not undo
// that: what it knows is old.
func TestWhoIsOvertakenReadsAnew(t *testing.T) {
	t.Parallel()
	s := event{}.in(t, store.StatePending)
	slow := &slowNotes{NotesReader: &enforce.Mirrors{DB: s.db, Root: t.TempDir()}, read: make(chan struct{}), resume: make(chan struct{})}
	late := enforce.New(enforce.Config{DB: s.db, Log: zerolog.Nop(), Now: s.clock.Now, Notes: slow})
	done := make(chan error, 1)
	go func() { done <- late.Reconsider(context.Background(), s.org.ID, s.repo.ID, store.EventWaiver) }()
	select {
	case <-slow.read:
	case err := <-done:
		t.Fatalf("nothing was judged: %v", err)
	}
	s.come(map[string]string{"c1": bad, "c2": good})
	s.check(store.StatePending, store.StateHeld)
	close(slow.resume)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	s.check(store.StatePending, store.StateHeld)
}

// slowNotes keeps what it read until it may go on.
type slowNotes struct {
	enforce.NotesReader
	once         sync.Once
	read, resume chan struct{}
}

func (n *slowNotes) Notes(ctx context.Context, org, repo uuid.UUID, commits []string) ([]hooks.Note, error) {
	found, err := n.NotesReader.Notes(ctx, org, repo, commits)
	n.once.Do(func() {
		close(n.read)
		<-n.resume
	})
	return found, err
}

// That a hook let a push through does not show that it reached the repository.
func TestHoldsEndWhenTheirCommitsAreSeenToBeGone(t *testing.T) {
	t.Parallel()
	forced := func() hooks.Push {
		p := pushed()
		p.Refs[0] = hooks.Ref{Name: "refs/heads/main", Old: oid("c2"), New: oid("root"), Kind: push.Force, Forced: true,
			Abandoned: []gitcmd.OID{oid("c1"), oid("c2")}}
		return p
	}
	next := func(old string) hooks.Push {
		p := pushed(commit("next"))
		p.Refs[0].Old = oid(old)
		return p
	}
	t.Run("let through and not believed", func(t *testing.T) {
		t.Parallel()
		s := event{}.in(t, store.StateHeld)
		s.clock.forward(time.Second)
		if a := s.decide(forced()); a.Refused() {
			t.Fatalf("a push that takes the held commits away is refused:\n%s", a.Text(hooks.Git))
		}
		s.clock.forward(time.Second)
		// Git refused it: the branch is where it was.
		if a := s.decide(next("c2")); !a.Refused() {
			t.Error("the hold ended although the branch was not moved")
		}
	})
	t.Run("seen by a later push", func(t *testing.T) {
		t.Parallel()
		s := event{}.in(t, store.StateHeld)
		s.clock.forward(time.Second)
		s.decide(forced())
		s.clock.forward(time.Second)
		if a := s.decide(next("root")); a.Refused() {
			t.Errorf("refused although the branch was moved:\n%s", a.Text(hooks.Git))
		}
		if d := s.decision(s.answer); d.State != store.StateReleased || d.Holds[0].Release != "gone" {
			t.Errorf("%s, released because %q", d.State, d.Holds[0].Release)
		}
	})
	t.Run("seen by somebody else's push", func(t *testing.T) {
		t.Parallel()
		s := event{}.in(t, store.StateHeld)
		s.clock.forward(time.Second)
		s.decide(as(bob, forced()))
		s.clock.forward(time.Second)
		s.decide(as(bob, next("root")))
		s.clock.forward(time.Second)
		if a := s.decide(next("next")); a.Refused() {
			t.Errorf("refused although the branch was moved:\n%s", a.Text(hooks.Git))
		}
	})
	t.Run("only some of them", func(t *testing.T) {
		t.Parallel()
		s := event{reviews: true}.in(t, store.StateHeld)
		p := forced()
		p.Refs[0].Abandoned = p.Refs[0].Abandoned[1:]
		if a := s.decide(p); !a.Refused() {
			t.Error("a push that keeps a held commit passed")
		}
	})
	t.Run("a deleted branch", func(t *testing.T) {
		t.Parallel()
		s := event{}.in(t, store.StateHeld)
		p := pushed()
		p.Refs[0] = hooks.Ref{Name: "refs/heads/main", Old: oid("c2"), New: gitcmd.ZeroOID, Kind: push.Delete}
		s.clock.forward(time.Second)
		if a := s.decide(p); a.Refused() {
			t.Fatal("the deletion is refused")
		}
		again := next("")
		again.Refs[0].Old, again.Refs[0].Kind = gitcmd.ZeroOID, push.Create
		s.clock.forward(time.Second)
		if a := s.decide(again); a.Refused() {
			t.Errorf("refused although the branch was deleted:\n%s", a.Text(hooks.Git))
		}
	})
}

func TestHoldsKeepNotesAndOtherBranchesOpen(t *testing.T) {
	t.Parallel()
	s := event{}.in(t, store.StateHeld)
	for _, ref := range []string{"refs/heads/other", "refs/notes/blameprompt"} {
		p := pushed(commit("next"))
		p.Refs[0].Name = ref
		if ref != "refs/heads/other" {
			p.Refs[0].Kind, p.Commits = push.Notes, nil
		}
		if a := s.decide(p); a.Refused() {
			t.Errorf("a push to %s is refused", ref)
		}
	}
	a := s.decide(pushed(commit("next")))
	text := a.Text(hooks.Git)
	for _, want := range []string{`Branch "main" is held for you`, s.answer.Decision, "version 1"} {
		if !strings.Contains(strings.Join(strings.Fields(text), " "), want) {
			t.Errorf("the refusal does not say %q:\n%s", want, text)
		}
	}
}

func TestOverridePassesAHoldAndLeavesIt(t *testing.T) {
	t.Parallel()
	s := event{}.in(t, store.StateHeld)
	s.mayOverride(s.user(ada))
	p := with(pushed(commit("next")), noted("next", good, ""))
	p.PushOptions = []string{hooks.OverrideOption + "=a hurry"}
	if a := s.decide(p); a.Verdict.Outcome != push.Warn {
		t.Errorf("%s, want warn", a.Verdict.Outcome)
	}
	s.check(store.StatePending, store.StateHeld)
}

func TestWaiverOfAHoldCountsBeforeItIsReleased(t *testing.T) {
	t.Parallel()
	s := event{}.in(t, store.StateHeld)
	s.waive(store.NewWaiver{Policy: s.policy, Pusher: ada})
	if a := s.decide(with(pushed(commit("next")), noted("next", good, ""))); a.Verdict.Outcome != push.Warn {
		t.Errorf("%s, want warn", a.Verdict.Outcome)
	}
}

// Only the branches that have the commits at fault are held.
func TestHoldsAreOfTheRefsAtFault(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("Models", "block", noModels)
	p := pushed(marked("c1"), marked("c2"))
	p.Refs = []hooks.Ref{
		{Name: "refs/heads/a", Old: gitcmd.ZeroOID, New: oid("c1"), Kind: push.Create},
		{Name: "refs/heads/b", Old: gitcmd.ZeroOID, New: oid("c2"), Kind: push.Create},
		{Name: "refs/notes/x", Old: gitcmd.ZeroOID, New: oid("n"), Kind: push.Notes}}
	p.Commits[0].Refs, p.Commits[1].Refs = []string{"refs/heads/a"}, []string{"refs/heads/b"}
	a := w.decide(p)
	w.arrive("c1", good, "")
	w.arrive("c2", bad, "")
	w.reconsider(store.EventNotes)
	d := w.decision(a)
	if len(d.Holds) != 1 || d.Holds[0].Ref != "refs/heads/b" || !slices.Equal(d.Holds[0].Commits, []string{string(oid("c2"))}) {
		t.Errorf("holds %+v, want of b alone", d.Holds)
	}
}

func TestReceivedDemandsFetches(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	branch, notes := pushed(commit("c1")), pushed()
	notes.Refs[0].Name, notes.Refs[0].Kind = "refs/notes/ai", push.Notes
	for _, p := range []hooks.Push{branch, notes} {
		if err := w.Received(context.Background(), w.by, repoName, p); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Received(context.Background(), w.by, "never/seen", branch); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(w.fetches.list, []queue.Demand{queue.Event, queue.Once}) {
		t.Errorf("demanded %v", w.fetches.list)
	}
}

// Forges show what became of a push at the tips that came with it.
func TestStatusesFollowTheDecision(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("Models", "block", noModels)
	w.exec(`INSERT INTO forge_connections (id, org_id, forge, api_url, owner, sealed, created_by) VALUES ($1, $2, 'gitea', 'https://f', 'acme', '', 'cli')`,
		w.org.ID, w.org.ID)
	w.set(`connection_id = org_id`)
	told := 0
	w.Enforcer = enforce.New(enforce.Config{DB: w.db, Log: zerolog.Nop(), Now: w.clock.Now,
		Notes:    &enforce.Mirrors{DB: w.db, Root: t.TempDir()},
		Statuses: func(context.Context, *store.Tx) error { told++; return nil }})
	want := func(what string, statuses ...string) {
		t.Helper()
		got := w.rows(`SELECT format('%s %s: %s', left(commit, 6), state, description) FROM commit_statuses ORDER BY commit`)
		if diff := cmp.Diff(statuses, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
	}
	a := w.decide(pushed(marked("c1"), marked("c2")))
	want("pending", "633200 pending: Receipts are awaited")
	w.arrive("c1", bad, "")
	w.arrive("c2", good, "")
	w.reconsider(store.EventNotes)
	want("held", `633200 failure: Held by policy "Models"`)
	// A branch at a tip that was there before tells nothing new of it.
	other := pushed()
	other.Refs = []hooks.Ref{{Name: "refs/heads/copy", Old: gitcmd.ZeroOID, New: oid("c2"), Kind: push.Create}}
	w.decide(as(bob, other))
	want("another branch", `633200 failure: Held by policy "Models"`)
	w.waive(store.NewWaiver{Policy: w.decision(a).Violations[0].PolicyID, Pusher: ada})
	w.reconsider(store.EventWaiver)
	want("waived", "633200 success: Accepted, warnings: 1")
	w.decide(as(bob, with(pushed(commit("c3")), noted("c3", bad, ""))))
	w.decide(as(bob, with(pushed(commit("c4")), noted("c4", good, ""))))
	want("refused and accepted", "633200 success: Accepted, warnings: 1", "633400 success: Accepted")
	if told != 4 {
		t.Errorf("told %d times that there is something to post, want 4", told)
	}
}

// A late verdict is about the day of the push.
func TestLateVerdictsCountForTheDayOfThePush(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("Budget", "block", `{"max_cost_per_day": 10}`)
	a := w.decide(pushed(marked("c1")))
	w.clock.forward(14 * time.Hour)
	w.arrive("c1", good, "11")
	w.reconsider(store.EventNotes)
	if d := w.decision(a); d.State != store.StateHeld {
		t.Errorf("%s the day after, want held: the limit of the day of the push was broken", d.State)
	}
}

// Notes concern the decisions on their commits and no other; the end of the
// time concerns all.
func TestNotesConcernTheirCommits(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("Models", "block", noModels)
	for i := range 60 {
		w.decide(pushed(marked(fmt.Sprintf("c%d", i))))
	}
	for i := range 3 {
		w.upload(fmt.Sprintf("c%d", i*20), bad)
	}
	count := func(state string) string {
		return w.rows(`SELECT format('%s judged, %s `+state+`', count(judged_at), count(*) FILTER (WHERE state = $1)) FROM decisions`, state)[0]
	}
	w.reconsider(store.EventNotes)
	if got := count("held"); got != "3 judged, 3 held" {
		t.Errorf("notes of three commits: %s", got)
	}
	w.clock.forward(15 * time.Minute)
	w.due()
	if got := count("released"); got != "60 judged, 57 released" {
		t.Errorf("the end of the time: %s", got)
	}
}
