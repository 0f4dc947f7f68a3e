package ui

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// Whoever follows the link that git showed is told first what to do now, by where
// the push stands and by what they may do themselves.
func TestADecisionSaysWhatToDoNow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	repo := storetest.MustRepo(t, w.db, w.org, "web", "https://git.example.com/web.git")
	admin, member := w.person(w.org, "ada@example.com", access.RoleAdmin), w.person(w.org, "bob@example.com", access.RoleMember)
	const step, next = "Use an allowed model.", "What to do now"
	for name, c := range map[string]struct {
		outcome push.Outcome
		state   store.DecisionState
		rule    string
		waiver  string
		holds   []string
		// admin and member are told what follows; not is what nobody is told.
		admin, member, not []string
	}{
		"refused": {outcome: push.Refuse, state: store.StateFinal, rule: "allowed_models", admin: []string{next, "nothing of it arrived", step, `href="#waive"`},
			member: []string{next, step, "An administrator can waive or release it"}, not: []string{"To the reviews", `href="#release"`}},
		"refused for want of a review": {outcome: push.Refuse, state: store.StateFinal, rule: "require_review_above",
			admin: []string{"To the reviews"}, member: []string{"To the reviews", step}},
		"waived": {outcome: push.Refuse, state: store.StateFinal, rule: "allowed_models", waiver: "w", admin: []string{"waived now: push again"},
			member: []string{"waived now: push again"}, not: []string{`href="#waive"`, "An administrator can"}},
		"held": {outcome: push.Pending, state: store.StateHeld, rule: "allowed_models", holds: []string{"refs/heads/side"},
			admin: []string{"takes no more pushes", `href="#release"`, step}, member: []string{"takes no more pushes", step, "An administrator can"}},
		"pending": {outcome: push.Pending, state: store.StatePending, rule: "allowed_models", admin: []string{"receipts are awaited"},
			member: []string{"receipts are awaited"}, not: []string{"An administrator can"}},
		"warned": {outcome: push.Warn, state: store.StateFinal, rule: "allowed_models", not: []string{next}},
	} {
		t.Run(name, func(t *testing.T) {
			commit := strings.Repeat("7", 40)
			finding := push.Finding{PolicyID: "6f0ea27c-77f5-4a0d-92b5-6a4c02f0c0b4", PolicyName: "models", Version: 1, Rule: c.rule, Outcome: push.Refuse,
				Commit: commit, Message: "The model is not allowed.", Next: step, Waiver: c.waiver}
			if c.outcome == push.Warn {
				finding.Outcome = push.Warn
			}
			id := storetest.MustDecision(t, w.db, w.org, storetest.Decision{At: time.Now(), Repo: repo, Pusher: "bob@example.com", State: c.state, Holds: c.holds,
				Verdict: push.Verdict{Outcome: c.outcome, Findings: []push.Finding{finding, finding}}})
			for who, want := range map[*browser][]string{admin: c.admin, member: c.member} {
				got := who.get("/decisions/" + id.String()).want(http.StatusOK)
				for _, text := range append(want, "/repositories/"+repo.ID.String()+"/commits/"+commit, "<title>Push to web") {
					got.says(text)
				}
				for _, text := range c.not {
					if strings.Contains(got.body, text) {
						t.Errorf("the page says %q", text)
					}
				}
				if n := strings.Count(got.body, "<li><bdi>"+step); n > 1 {
					t.Errorf("the step is said %d times", n)
				}
			}
		})
	}
}

// A refused field is called as the form calls it.
func TestFieldsAreNamedAsFormsNameThem(t *testing.T) {
	t.Parallel()
	for field, want := range map[string]string{"q": "Search", "from": "From", "scope.repos[2]": "Repositories, entry 2", "rule.max_cost_per_day": "Max cost per day",
		"name": "Name", "": "", "min_cost": "Cost from"} {
		if got := fieldName(field); got != want {
			t.Errorf("%q is called %q, want %q", field, got, want)
		}
	}
	for value, want := range map[string]string{"org": "organisation", "true": "yes", "false": "no", "": "", "same_push": "same push"} {
		if got := choiceName(value); got != want {
			t.Errorf("%q is offered as %q, want %q", value, got, want)
		}
	}
	for seconds, want := range map[int]string{900: "15m", 5400: "1h30m", 7200: "2h", 90: "1m30s", 0: "0s"} {
		if got := graceText(seconds); got != want {
			t.Errorf("%d seconds are %q, want %q", seconds, got, want)
		}
	}
}

// A moment with room says when and how long ago, and not the same day twice.
func TestAMomentSaysBoth(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	clock := Clock{Now: now, Zone: time.UTC}
	for at, want := range map[time.Time][2]string{
		now.AddDate(0, 0, -90):        {"28 Aug 2026", "90 days ago"},
		now.Add(-3 * time.Hour):       {"3 h ago", "3 h ago"},
		now.Add(2 * time.Minute):      {"in 2 min", "in 2 min"},
		now.Add(-5 * time.Second):     {"now", "now"},
		now.AddDate(0, 2, 0):          {"26 Jan 2027", "in 61 days"},
		now.Add(-36 * time.Hour):      {"36 h ago", "36 h ago"},
		now.Add(-29 * 24 * time.Hour): {"29 days ago", "29 days ago"},
	} {
		if got := [2]string{clock.At(at).Ago, clock.When(at).Ago}; got != want {
			t.Errorf("%s: %q, want %q", at, got, want)
		}
	}
	if m := clock.When((*time.Time)(nil)); m.ISO != "" || m.Ago != "" {
		t.Errorf("no time is shown as %+v", m)
	}
}
