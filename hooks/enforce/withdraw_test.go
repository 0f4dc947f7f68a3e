package enforce_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

// spent is what the organisation has spent on the day of the tests.
func (w *world) spent() string {
	w.t.Helper()
	var sum push.Decimal
	err := w.db.InTx(context.Background(), func(tx *store.Tx) error {
		answer, err := tx.Totals(context.Background(), store.TotalsQuestion{OrgID: w.org.ID, RepoID: w.repo.ID, Today: noon.Truncate(24 * time.Hour),
			Needs: push.Needs{Accounts: []push.Account{{Per: push.PerOrg, Period: "2026-11-23"}}}})
		for _, s := range answer.Spent {
			sum = sum.Add(s.USD)
		}
		return err
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return sum.String()
}

func (w *world) wantSpent(what, usd string) {
	w.t.Helper()
	if got := w.spent(); got != usd {
		w.t.Errorf("%s: $%s is spent, want $%s", what, got, usd)
	}
}

// lines are the sums of pushed lines of all days.
func (w *world) lines() string {
	w.t.Helper()
	return w.rows(`SELECT format('%s %s %s', coalesce(sum(commits), 0), coalesce(sum(added), 0), coalesce(sum(ai), 0)) FROM pushed_days`)[0]
}

func (w *world) withdraw(a hooks.Answer) {
	w.t.Helper()
	if err := w.Withdraw(context.Background(), w.by, uuid.MustParse(a.Decision), "the remote refused it"); err != nil {
		w.t.Fatal(err)
	}
}

// kept is a push to a repository that will know whether it took it.
func kept(p hooks.Push) hooks.Push {
	p.Forge, p.Place = hooks.Gateway, "here"
	return p
}

// What a push brought counts no more when it did not arrive, and the next try is
// not judged by it.
func TestAWithdrawnPushCountsNoMore(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("Budget", "block", `{"max_cost_per_day": 10}`)
	before := w.decide(costing("c0", "3"))
	lost := w.decide(kept(costing("c1", "7")))
	w.wantSpent("let through", "10")
	if a := w.decide(costing("c2", "1")); !a.Refused() {
		t.Error("a push above the limit passed")
	}
	for range 2 {
		w.withdraw(lost)
		w.wantSpent("withdrawn", "3")
		if got := w.lines(); got != "1 10 10" {
			t.Errorf("commits, lines and AI lines are %s", got)
		}
	}
	d := w.decision(lost)
	if d.State != store.StateWithdrawn || d.Outcome != push.Accept || len(d.Events) != 1 || d.Events[0].Event != store.EventWithdrawn ||
		d.Events[0].State != store.StateWithdrawn {
		t.Errorf("decision %+v, events %+v", d.Decision, d.Events)
	}
	audit := w.rows(`SELECT principal || ' ' || (detail->>'decision') || ' ' || (detail->>'why') FROM audit_log WHERE action = 'decision.withdrawn'`)
	if !slices.Equal(audit, []string{"hook:uid=7 " + lost.Decision + " the remote refused it"}) {
		t.Errorf("audit %q", audit)
	}
	// A later try has the room, and counts.
	again := w.decide(kept(costing("c1", "7")))
	if again.Refused() {
		t.Errorf("the next try is refused:\n%s", again.Text(hooks.Git))
	}
	w.wantSpent("again", "10")
	// Those that refused stay as they are, and of others nothing is known.
	refused := w.decide(costing("c2", "1"))
	w.withdraw(refused)
	if d := w.decision(refused); d.State != store.StateFinal || len(d.Events) > 0 {
		t.Errorf("a refusal is %s", d.State)
	}
	other := access.CLI(uuid.New())
	for _, by := range []access.Principal{w.by, other} {
		id := uuid.New()
		if by.Org == other.Org {
			id = uuid.MustParse(before.Decision)
		}
		if err := w.Withdraw(context.Background(), by, id, "x"); !errors.Is(err, store.ErrNotFound) {
			t.Errorf("withdrawing what is not there: %v", err)
		}
	}
	w.wantSpent("at the end", "10")
}

// Of what two pushes brought, one that stands keeps its part, whichever came
// first and however much it reported.
func TestASharedPartStays(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first, second string
		withdrawn     int
		want          string
	}{
		"the later one, which said more": {"4", "9", 1, "4"},
		"the later one, which said less": {"9", "4", 1, "9"},
		"the earlier one, same report":   {"4", "4", 0, "4"},
		"the earlier one, said more":     {"9", "4", 0, "4"},
		"the earlier one, said less":     {"4", "9", 0, "9"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, summed := range []bool{false, true} {
				w := newWorld(t)
				w.policy("Budget", "block", `{"max_cost_per_day": 100}`)
				tries := []hooks.Answer{w.decide(kept(costing("c1", c.first))), w.decide(kept(costing("c1", c.second)))}
				if summed {
					w.exec(`UPDATE pushed_prompts SET pushed_at = now() - interval '1 hour'`)
					w.due()
				}
				w.withdraw(tries[c.withdrawn])
				w.wantSpent("one of two", c.want)
				if got := w.lines(); got != "1 10 10" {
					t.Errorf("commits, lines and AI lines are %s", got)
				}
				w.due()
				w.wantSpent("summed up", c.want)
				w.withdraw(tries[1-c.withdrawn])
				w.wantSpent("none of two", "0")
				w.due()
				w.wantSpent("summed up, none", "0")
				if left := w.rows(`SELECT prompt_id::text FROM pushed_prompts UNION ALL SELECT commit FROM pushed_commits`); len(left) > 0 {
					t.Errorf("left: %v", left)
				}
			}
		})
	}
}

// What waits for receipts, and what is held, ends with the push; the forge is
// told nothing of commits that it has not.
func TestWithdrawingEndsHoldsAndStatuses(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.exec(`INSERT INTO forge_connections (id, org_id, forge, api_url, owner, sealed, created_by) VALUES ($1, $1, 'gitea', 'https://g', 'acme', '', '')`, w.org.ID)
	w.set("connection_id = '" + w.org.ID.String() + "'")
	w.policy("Models", "block", `{"blocked_models": ["gpt-4*"]}`)
	a := w.decide(kept(pushed(marked("c1"))))
	w.arrive("c1", bad, "1")
	w.due()
	if d := w.decision(a); d.State != store.StateHeld {
		t.Fatalf("the decision is %s", d.State)
	}
	w.withdraw(a)
	d := w.decision(a)
	if d.State != store.StateWithdrawn || len(d.Holds) != 1 || d.Holds[0].ReleasedAt == nil || d.Holds[0].Release != "withdrawn" {
		t.Errorf("%s, holds %+v", d.State, d.Holds)
	}
	if left := w.rows(`SELECT commit FROM commit_statuses`); len(left) > 0 {
		t.Errorf("statuses of %v", left)
	}
	if a := w.decide(pushed(commit("c2"))); a.Refused() {
		t.Errorf("held by what did not arrive:\n%s", a.Text(hooks.Git))
	}
}

// A push is open until its repository reports it.
func TestOpenPushes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ctx := context.Background()
	open := func(place string) []string {
		t.Helper()
		list, err := w.db.OpenPushes(ctx, place, w.clock.Now().Add(time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, one := range list {
			if one.OrgID != w.org.ID || one.RepoID != w.repo.ID || len(one.Refs) != 1 {
				t.Errorf("open push %+v", one)
			}
			ids = append(ids, one.DecisionID.String())
			if one.Followed {
				ids = append(ids, "followed")
			}
		}
		return ids
	}
	expect := func(what string, want ...string) {
		t.Helper()
		if got := open("here"); !slices.Equal(got, want) {
			t.Errorf("%s: open are %v, want %v", what, got, want)
		}
	}
	decide := func(session string, p hooks.Push) hooks.Answer {
		t.Helper()
		w.clock.forward(time.Second)
		by := w.by
		by.RequestID = session
		a, err := w.Decide(ctx, by, repoName, p)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	first := decide("s1", kept(pushed(commit("c1"))))
	w.decide(pushed(commit("c9")))
	elsewhere := kept(pushed(commit("c2")))
	elsewhere.Place = "elsewhere"
	decide("s1", elsewhere)
	expect("let through", first.Decision)
	p := kept(pushed(commit("c3")))
	p.Refs[0].Old = oid("c1")
	second := decide("s2", p)
	expect("and pushed on", first.Decision, "followed", second.Decision)
	by := w.by
	by.RequestID = "s1"
	if err := w.Received(ctx, by, repoName, reported(kept(pushed(commit("c1"))))); err != nil {
		t.Fatal(err)
	}
	expect("reported", second.Decision)
	if err := w.db.PushArrived(ctx, w.org.ID, uuid.MustParse(second.Decision)); err != nil {
		t.Fatal(err)
	}
	expect("closed")
	if len(open("elsewhere")) != 1 {
		t.Error("the push elsewhere was closed too")
	}
	w.policy("Models", "block", `{"blocked_models": ["gpt-4*"]}`)
	decide("s3", kept(with(pushed(commit("c4")), noted("c4", bad, "1"))))
	expect("refused")
	third := decide("s4", kept(pushed(commit("c5"))))
	expect("another", third.Decision)
	w.withdraw(third)
	expect("withdrawn")
}
