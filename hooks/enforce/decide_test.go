package enforce_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/hooks/enforce"
	"github.com/blameprompt/enterprise/notes/gitcmd"
	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
)

const noModels = `{"blocked_models": ["gpt-4*"]}`

func TestDecisionIsRecordedBeforeItIsAnswered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("Models", "block", noModels)
	w.policy("Old models", "warn", `{"blocked_models": ["haiku*"]}`)
	for _, c := range []struct {
		push    hooks.Push
		outcome push.Outcome
		state   store.DecisionState
		brought int
	}{
		{with(pushed(commit("c1")), noted("c1", good, "1.5")), push.Accept, store.StateFinal, 1},
		{with(pushed(commit("c2")), noted("c2", poor, "1.5")), push.Warn, store.StateFinal, 1},
		{with(pushed(commit("c3")), noted("c3", bad, "1.5")), push.Refuse, store.StateFinal, 0},
		{pushed(commit("c4"), commit("c5")), push.Pending, store.StatePending, 2},
		{hooks.Push{Version: 1, Environment: hooks.Environment{Via: hooks.Pushed, Forge: hooks.Git}, ObjectFormat: "sha1",
			Refs: []hooks.Ref{{Name: "refs/notes/blameprompt", Old: oid("n1"), New: oid("n2"), Kind: push.Notes}}}, push.Accept, store.StateFinal, 0},
	} {
		answer := w.decide(c.push)
		d := w.decision(answer)
		if answer.Verdict.Outcome != c.outcome || d.Outcome != c.outcome || d.State != c.state {
			t.Errorf("answered %s, recorded %s (%s), want %s (%s)", answer.Verdict.Outcome, d.Outcome, d.State, c.outcome, c.state)
		}
		if diff := cmp.Diff(answer.Verdict, d.Verdict); diff != "" {
			t.Errorf("the recorded verdict is not the one that was told:\n%s", diff)
		}
		brought := w.rows(`SELECT commit FROM pushed_commits WHERE decision_id = $1`, d.ID)
		if len(brought) != c.brought {
			t.Errorf("%s: %d commits count, want %d", c.outcome, len(brought), c.brought)
		}
		if answer.Link != "https://bp.example.com/decisions/"+d.ID.String() {
			t.Errorf("link %q", answer.Link)
		}
		if n := len(w.rows(`SELECT action FROM audit_log WHERE action = $1 AND detail->>'decision' = $2 AND principal = 'hook:uid=7'
			AND request_id = 'r1'`, "push."+string(c.outcome), d.ID.String())); n != 1 {
			t.Errorf("%s: %d audit rows", c.outcome, n)
		}
	}
	due := w.rows(`SELECT (due_at = at + interval '15 minutes')::text FROM decisions WHERE state = 'pending'`)
	if diff := cmp.Diff([]string{"true"}, due); diff != "" {
		t.Error(diff)
	}
}

func TestReceiptModes(t *testing.T) {
	t.Parallel()
	must := `{"require_receipts": true}`
	both := pushed(marked("c1"))
	both.Refs = append(both.Refs, hooks.Ref{Name: "refs/heads/$(id) 'x'", Old: gitcmd.ZeroOID, New: oid("c1"), Kind: push.Create})
	waited := pushed(marked("c1"))
	waited.Waited = true
	unread := pushed(marked("c1"))
	unread.UnreadNotes, unread.Waited = true, true
	for name, c := range map[string]struct {
		mode    string
		push    hooks.Push
		outcome push.Outcome
		wait    int
		retry   string
	}{
		"deferred":                    {"deferred", pushed(marked("c1")), push.Pending, 0, ""},
		"deferred, noted":             {"deferred", with(pushed(marked("c1")), noted("c1", good, "")), push.Accept, 0, ""},
		"wait":                        {"wait", pushed(marked("c1")), push.Pending, 3000, ""},
		"wait, noted":                 {"wait", with(pushed(marked("c1")), noted("c1", good, "")), push.Accept, 0, ""},
		"wait, waited":                {"wait", waited, push.Refuse, 0, ""},
		"wait, notes unread":          {"wait", unread, push.Pending, 0, ""},
		"same push":                   {"same-push", pushed(marked("c1")), push.Refuse, 0, "git push --atomic origin main refs/notes/blameprompt"},
		"same push, noted":            {"same-push", with(pushed(marked("c1")), noted("c1", good, "")), push.Accept, 0, ""},
		"same push, a name to quote":  {"same-push", both, push.Refuse, 0, `git push --atomic origin main '$(id) '\''x'\''' refs/notes/blameprompt`},
		"same push, notes unread":     {"same-push", unread, push.Pending, 0, ""},
		"same push, nobody's machine": {"same-push", pushed(commit("c1")), push.Accept, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.policy("Receipts", "block", must)
			w.set(`receipt_mode = '` + c.mode + `'`)
			a := w.decide(c.push)
			if a.Verdict.Outcome != c.outcome || a.WaitMS != c.wait || a.Retry != c.retry {
				t.Errorf("answered %s, wait %d, retry %q; want %s, %d, %q", a.Verdict.Outcome, a.WaitMS, a.Retry, c.outcome, c.wait, c.retry)
			}
			if recorded := len(w.rows(`SELECT id::text FROM decisions`)); (recorded == 0) != (c.wait > 0) || (a.Decision == "") != (c.wait > 0) {
				t.Errorf("%d decisions, id %q", recorded, a.Decision)
			}
		})
	}
}

func TestAWaitingHookIsRefusedAtOnceWhereReceiptsCannotHelp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("Models", "block", noModels)
	w.policy("Receipts", "block", `{"require_receipts": true}`)
	w.set(`receipt_mode = 'wait'`)
	a := w.decide(with(pushed(marked("c1"), marked("c2")), noted("c1", bad, "")))
	if !a.Refused() || a.WaitMS != 0 || a.Decision == "" {
		t.Errorf("answered %+v", a)
	}
}

func TestQuietPushes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("Models", "block", noModels)
	bot := marked("bot")
	bot.Bot = true
	for name, c := range map[string]struct {
		push  hooks.Push
		quiet bool
	}{
		"nobody's hand":       {pushed(commit("c1"), commit("c2")), true},
		"an agent's hand":     {pushed(commit("c1"), marked("c2")), false},
		"an agent's, noted":   {with(pushed(commit("c1"), marked("c2")), noted("c2", good, "")), true},
		"nothing is awaited":  {with(pushed(marked("c2")), noted("c2", good, "")), false},
		"a bot's":             {pushed(commit("c1"), bot), true},
		"beside a refusal":    {with(pushed(commit("c1"), commit("c2")), noted("c2", bad, "")), false},
		"made by the forge":   {func() hooks.Push { p := pushed(marked("c1")); p.Via = hooks.Merged; return p }(), false},
		"notes without parts": {with(pushed(commit("c1")), hooks.Note{Commit: oid("c1"), Ref: "refs/notes/ai"}), false},
	} {
		if a := w.decide(c.push); a.Quiet != c.quiet {
			t.Errorf("%s: quiet %t (%s), want %t", name, a.Quiet, a.Verdict.Outcome, c.quiet)
		}
	}
}

func TestWaivers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	models := w.policy("Models", "block", noModels)
	other := w.policy("Providers", "block", `{"blocked_providers": ["cursor"]}`)
	elsewhere := storeRepo(w, "acme/other")
	refused := func() hooks.Push {
		return with(pushed(commit("c1"), commit("c2")), noted("c1", bad, ""), noted("c2", bad, ""))
	}
	for name, c := range map[string]struct {
		waivers []store.NewWaiver
		outcome push.Outcome
		waived  int
	}{
		"none":                  {nil, push.Refuse, 0},
		"of another policy":     {[]store.NewWaiver{{Policy: other, Pusher: ada}}, push.Refuse, 0},
		"of the pusher":         {[]store.NewWaiver{{Policy: models, Pusher: "Ada@Example.com"}}, push.Warn, 2},
		"of another pusher":     {[]store.NewWaiver{{Policy: models, Pusher: bob}}, push.Refuse, 0},
		"of the repository":     {[]store.NewWaiver{{Policy: models, Repo: w.repo.ID}}, push.Warn, 2},
		"of another repository": {[]store.NewWaiver{{Policy: models, Repo: elsewhere}}, push.Refuse, 0},
		"of one commit":         {[]store.NewWaiver{{Policy: models, Commit: string(oid("c1"))}}, push.Refuse, 1},
		"of a commit and a change": {[]store.NewWaiver{{Policy: models, Commit: string(oid("c1"))},
			{Policy: models, PatchID: commit("c2").PatchID}}, push.Warn, 2},
		"of another change": {[]store.NewWaiver{{Policy: models, PatchID: commit("c9").PatchID}}, push.Refuse, 0},
	} {
		var made []uuid.UUID
		for _, in := range c.waivers {
			made = append(made, w.waive(in).ID)
		}
		a := w.decide(refused())
		waived := 0
		for _, f := range a.Verdict.Findings {
			if f.Waiver != "" {
				waived++
			}
		}
		if a.Verdict.Outcome != c.outcome || waived != c.waived {
			t.Errorf("waiver %s: %s with %d findings waived, want %s with %d", name, a.Verdict.Outcome, waived, c.outcome, c.waived)
		}
		if kept := len(w.rows(`SELECT id::text FROM violations WHERE decision_id = $1 AND waiver_id = ANY($2)`, a.Decision, made)); kept != c.waived {
			t.Errorf("waiver %s: %d violations name it, want %d", name, kept, c.waived)
		}
		for _, id := range made {
			if _, err := w.db.RevokeWaiver(context.Background(), access.CLI(w.org.ID), id); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func storeRepo(w *world, name string) uuid.UUID {
	w.t.Helper()
	repo, err := w.db.CreateRepo(context.Background(), access.CLI(w.org.ID), store.NewRepo{Name: name})
	if err != nil {
		w.t.Fatal(err)
	}
	return repo.ID
}

func TestWaiversExpire(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.clock.now = time.Now()
	models := w.policy("Models", "block", noModels)
	w.waive(store.NewWaiver{Policy: models, Pusher: ada, ExpiresAt: time.Now().Add(time.Hour)})
	refused := func() hooks.Push { return with(pushed(commit("c1")), noted("c1", bad, "")) }
	late := w.decide(pushed(marked("c2")))
	if a := w.decide(refused()); a.Verdict.Outcome != push.Warn {
		t.Errorf("%s before it expires, want warn", a.Verdict.Outcome)
	}
	w.clock.forward(2 * time.Hour)
	if a := w.decide(refused()); a.Verdict.Outcome != push.Refuse {
		t.Errorf("%s after it expired, want refuse", a.Verdict.Outcome)
	}
	// The push was made while it was valid.
	w.arrive("c2", bad, "")
	w.reconsider(store.EventNotes)
	if d := w.decision(late); d.State != store.StateReleased || d.LateVerdict.Outcome != push.Warn {
		t.Errorf("the push of before is %s (%s), want released with a warning", d.State, d.LateVerdict.Outcome)
	}
}

// A policy lists twenty findings: those beyond may be about any commit.
func TestHiddenFindingsAreOnlyWaivedWithoutACommit(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	models := w.policy("Models", "block", noModels)
	p := pushed()
	for i := range push.MaxFindings + 5 {
		name := "c" + string(rune('A'+i))
		p.Commits = append(p.Commits, commit(name))
		p.Notes = append(p.Notes, noted(name, bad, ""))
		w.waive(store.NewWaiver{Policy: models, Commit: string(oid(name))})
	}
	if a := w.decide(p); !a.Refused() {
		t.Errorf("%s by waivers of each commit, want refuse: nobody saw all findings", a.Verdict.Outcome)
	}
	w.waive(store.NewWaiver{Policy: models, Repo: w.repo.ID})
	if a := w.decide(p); a.Verdict.Outcome != push.Warn {
		t.Errorf("%s by a waiver of the repository, want warn", a.Verdict.Outcome)
	}
}

func TestOverrides(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("Models", "block", noModels)
	w.mayOverride(w.user(ada, "ada"))
	w.user(bob)
	asked := func(options ...string) hooks.Push {
		p := with(pushed(commit("c1")), noted("c1", bad, ""))
		p.PushOptions = append([]string{"ci.variable=SECRET=hunter2"}, options...)
		return p
	}
	byLogin := asked(hooks.OverrideOption + "=by account")
	byLogin.Email = ""
	for name, c := range map[string]struct {
		push    hooks.Push
		outcome push.Outcome
		offered bool
		problem string
		reason  string
	}{
		"not asked":       {asked(), push.Refuse, true, "", ""},
		"asked":           {asked(hooks.OverrideOption + "= the site is\x1b[31m down\n "), push.Warn, false, "", "the site is [31m down"},
		"the last counts": {asked(hooks.OverrideOption+"=a", hooks.OverrideOption+"=b"), push.Warn, false, "", "b"},
		"by account":      {byLogin, push.Warn, false, "", "by account"},
		"no reason":       {asked(hooks.OverrideOption + "= "), push.Refuse, true, "reason", ""},
		"no value":        {asked(hooks.OverrideOption), push.Refuse, true, "reason", ""},
		"may not":         {as(bob, asked(hooks.OverrideOption+"=please")), push.Refuse, false, "no right", ""},
		"unknown":         {as("eve@example.com", asked(hooks.OverrideOption+"=please")), push.Refuse, false, "no right", ""},
	} {
		a := w.decide(c.push)
		d := w.decision(a)
		if a.Verdict.Outcome != c.outcome || a.Override != c.offered || !strings.Contains(a.OverrideProblem, c.problem) ||
			(c.problem == "") != (a.OverrideProblem == "") || d.Override != c.reason {
			t.Errorf("%s: %s, offered %t, problem %q, reason %q", name, a.Verdict.Outcome, a.Override, a.OverrideProblem, d.Override)
		}
		if len(d.Violations) != 1 || d.Violations[0].Finding.Overridden != (c.reason != "") {
			t.Errorf("%s: violations %+v", name, d.Violations)
		}
		audited := w.rows(`SELECT detail->>'override' FROM audit_log WHERE action = 'push.override' AND detail->>'decision' = $1`, a.Decision)
		if (len(audited) == 1) != (c.reason != "") {
			t.Errorf("%s: %d audit rows of an override", name, len(audited))
		}
		if c.problem != "" && !strings.Contains(a.Text(hooks.Git), c.problem) {
			t.Errorf("%s: the pusher does not read why it did not count:\n%s", name, a.Text(hooks.Git))
		}
	}
	if kept := w.rows(`SELECT push::text FROM decision_inputs WHERE push::text LIKE '%hunter2%'`); len(kept) > 0 {
		t.Error("push options of others are kept")
	}
}

// What was overridden does not hold the push later; what is still awaited does.
func TestOverrideAndLateVerdicts(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("Models", "block", noModels)
	w.policy("Providers", "block", `{"blocked_providers": ["claude"]}`, `{"branches": ["other"]}`)
	w.mayOverride(w.user(ada))
	p := with(pushed(commit("c1"), marked("c2")), noted("c1", bad, ""))
	p.Refs = append(p.Refs, hooks.Ref{Name: "refs/heads/other", Old: gitcmd.ZeroOID, New: oid("c2"), Kind: push.Create})
	p.Commits[0].Refs, p.Commits[1].Refs = []string{"refs/heads/main"}, []string{"refs/heads/other"}
	p.PushOptions = []string{hooks.OverrideOption + "=a hurry"}
	a := w.decide(p)
	if a.Verdict.Outcome != push.Pending {
		t.Fatalf("%s, want pending: receipts of the other branch are awaited", a.Verdict.Outcome)
	}
	w.arrive("c2", good, "")
	w.reconsider(store.EventNotes)
	d := w.decision(a)
	if d.State != store.StateHeld || len(d.Holds) != 1 || d.Holds[0].Ref != "refs/heads/other" {
		t.Errorf("%s with %+v, want the other branch held", d.State, d.Holds)
	}
	for _, p := range d.LateVerdict.Policies {
		if p.PolicyName == "Models" && p.Outcome != push.Warn {
			t.Errorf("the overridden policy says %s", p.Outcome)
		}
	}
}

func TestPoliciesThatFail(t *testing.T) {
	t.Parallel()
	fails := `{"expression": "1 / (size(commits) - 1) > 0"}`
	for _, c := range []struct {
		mode, action string
		outcome      push.Outcome
	}{
		{"advisory", "block", push.Warn}, {"advisory", "warn", push.Warn}, {"enforcing", "block", push.Refuse}, {"enforcing", "warn", push.Warn},
	} {
		w := newWorld(t)
		w.set(`mode = '` + c.mode + `'`)
		id := w.policy("Broken", c.action, fails)
		a := w.decide(pushed(commit("c1")))
		if a.Verdict.Outcome != c.outcome || a.Verdict.Findings[0].Problem != push.Failed {
			t.Errorf("%s, %s: %+v, want %s", c.mode, c.action, a.Verdict, c.outcome)
		}
		// The same of a policy that this program cannot read.
		w.exec(`UPDATE policies SET document = json_build_object('name', 'Broken', 'rule', json_build_object('of', 'tomorrow'), 'action', $2::text)
			WHERE id = $1`, id, c.action)
		w.exec(`UPDATE orgs SET policy_revision = policy_revision + 1`)
		a = w.decide(pushed(commit("c1")))
		if a.Verdict.Outcome != c.outcome || a.Verdict.Findings[0].Problem != push.Failed {
			t.Errorf("unreadable, %s, %s: %+v, want %s", c.mode, c.action, a.Verdict, c.outcome)
		}
	}
}

func TestViolationsBesideFailuresRefuseInAdvisoryRepositories(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("Broken", "block", `{"expression": "1 / (size(commits) - 1) > 0"}`)
	w.policy("Models", "block", noModels)
	if a := w.decide(with(pushed(commit("c1")), noted("c1", bad, ""))); !a.Refused() {
		t.Errorf("%s, want refuse", a.Verdict.Outcome)
	}
}

func TestWhoPushes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.user(ada, "ada-at-forge", "shared")
	w.user(bob, "shared")
	for name, c := range map[string]struct {
		env      hooks.Environment
		verified string
		want     string
	}{
		"by address":              {hooks.Environment{Email: "Ada@Example.com", User: "whoever"}, "", ada},
		"by account":              {hooks.Environment{User: "Ada-at-Forge"}, "", ada},
		"an account of two":       {hooks.Environment{User: "shared"}, "", "shared"},
		"unknown address":         {hooks.Environment{Email: "Eve@Example.com", User: "eve"}, "", "eve@example.com"},
		"unknown account":         {hooks.Environment{User: "Eve"}, "", "Eve"},
		"nobody":                  {hooks.Environment{}, "", ""},
		"verified by the gateway": {hooks.Environment{Forge: hooks.Gateway, Email: bob, User: "bob"}, ada, ada},
		"a person's hook key":     {hooks.Environment{Forge: hooks.GitLab, Email: bob}, ada, bob},
		"text that is none":       {hooks.Environment{Email: "\x00", User: "a\x00b"}, "", "\ufffd"},
	} {
		p := pushed(commit("c1"))
		p.Environment = c.env
		p.Via = hooks.Pushed
		by := w.by
		by.User = c.verified
		a, err := w.Decide(context.Background(), by, repoName, p)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got := w.decision(a).Pusher; got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestRepositories(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	decide := func(name string, change func(*hooks.Push)) (store.DecisionDetail, error) {
		p := pushed(commit("c1"))
		change(&p)
		a, err := w.Decide(context.Background(), w.by, name, p)
		if err != nil {
			return store.DecisionDetail{}, err
		}
		return w.decision(a), nil
	}
	for _, c := range []struct {
		name   string
		change func(*hooks.Push)
		want   string
	}{
		{repoName, func(*hooks.Push) {}, repoName},
		{"", func(*hooks.Push) {}, "forge/name"},
		{"new/one", func(*hooks.Push) {}, "new/one"},
		{repoName, func(p *hooks.Push) { p.Wiki = true }, repoName + ".wiki"},
	} {
		d, err := decide(c.name, c.change)
		if err != nil || d.Repo != c.want {
			t.Errorf("%q: %q (%v), want %q", c.name, d.Repo, err, c.want)
		}
		registered, err := w.db.Repo(context.Background(), w.org.ID, c.want)
		if err != nil || registered.ID != d.RepoID {
			t.Errorf("%q is not registered: %v", c.want, err)
		}
	}
	var invalid *store.InvalidError
	for _, bad := range []string{"a\nb", strings.Repeat("x", 300)} {
		if _, err := decide(bad, func(*hooks.Push) {}); !errors.As(err, &invalid) {
			t.Errorf("repository %.20q: %v, want it to be invalid", bad, err)
		}
	}
	if _, err := decide("", func(p *hooks.Push) { p.Repo = "" }); !errors.As(err, &invalid) {
		t.Errorf("no repository: %v", err)
	}
	if _, err := w.Decide(context.Background(), access.Principal{Org: uuid.New()}, repoName, pushed()); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an unknown organisation: %v", err)
	}
}

func TestRemovedRepositoriesAreJudged(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("Models", "block", noModels)
	if err := w.db.RemoveRepo(context.Background(), access.CLI(w.org.ID), w.repo.ID); err != nil {
		t.Fatal(err)
	}
	if a := w.decide(with(pushed(commit("c1")), noted("c1", bad, ""))); !a.Refused() {
		t.Errorf("%s, want refuse", a.Verdict.Outcome)
	}
}

func TestDryRunsLeaveNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("Models", "block", noModels)
	p := with(pushed(commit("c1")), noted("c1", bad, ""))
	p.DryRun = true
	a, err := w.Decide(context.Background(), w.by, "not/yet", p)
	if err != nil || !a.Refused() || a.Decision != "" || a.Link != "" {
		t.Errorf("answered %+v, %v", a, err)
	}
	verdict, err := w.Evaluate(context.Background(), access.Principal{Org: w.org.ID, User: bob}, enforce.EvaluateInput{Repo: "not/yet", Push: p})
	if err != nil || verdict.Outcome != push.Refuse {
		t.Errorf("evaluated %+v, %v", verdict, err)
	}
	for _, table := range []string{"decisions", "decision_inputs", "violations", "pushed_commits", "pushed_prompts"} {
		if n := w.rows(`SELECT count(*)::text FROM ` + table)[0]; n != "0" {
			t.Errorf("%s rows in %s", n, table)
		}
	}
	if _, err := w.db.Repo(context.Background(), w.org.ID, "not/yet"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a dry run registered the repository: %v", err)
	}
}

func TestEvaluateTriesOtherPolicies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("Models", "block", noModels)
	draft, err := policy.Parse([]byte(`{"id": "d", "name": "Draft", "rule": {"max_cost_per_day": 1, "per": "user"}, "action": "block"}`))
	if err != nil {
		t.Fatal(err)
	}
	set, err := policy.Compile([]policy.Policy{draft})
	if err != nil {
		t.Fatal(err)
	}
	p := with(pushed(commit("c1")), noted("c1", bad, "3.5"))
	verdict, err := w.Evaluate(context.Background(), access.Principal{Org: w.org.ID, User: ada},
		enforce.EvaluateInput{Repo: repoName, Push: p, Policies: set})
	if err != nil || len(verdict.Findings) != 1 || verdict.Findings[0].PolicyName != "Draft" || verdict.Findings[0].Account.Key != ada {
		t.Errorf("evaluated %+v, %v", verdict, err)
	}
}

// What the organisation has spent is not what an unknown repository has.
func TestUnknownRepositoriesHaveSpentNothing(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.decide(costing("c1", "9"))
	w.policy("Budget", "block", `{"max_cost_per_day": 10, "per": "repo"}`)
	for name, want := range map[string]push.Outcome{"not/yet": push.Accept, repoName: push.Refuse} {
		verdict, err := w.Evaluate(context.Background(), w.by, enforce.EvaluateInput{Repo: name, Push: costing("c2", "2")})
		if err != nil || verdict.Outcome != want {
			t.Errorf("%s: %s (%v), want %s", name, verdict.Outcome, err, want)
		}
	}
}

func TestChangedPoliciesCountAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	second := w.daemon(w.db)
	p := with(pushed(commit("c1")), noted("c1", bad, ""))
	judge := func() []push.Outcome {
		var out []push.Outcome
		for _, e := range []*enforce.Enforcer{w.Enforcer, second} {
			a, err := e.Decide(context.Background(), w.by, repoName, p)
			if err != nil {
				t.Fatal(err)
			}
			out = append(out, a.Verdict.Outcome)
		}
		return out
	}
	if got := judge(); !slices.Equal(got, []push.Outcome{push.Accept, push.Accept}) {
		t.Errorf("without policies: %v", got)
	}
	id := w.policy("Models", "block", noModels)
	if got := judge(); !slices.Equal(got, []push.Outcome{push.Refuse, push.Refuse}) {
		t.Errorf("with a policy: %v", got)
	}
	if _, err := w.db.EnablePolicy(context.Background(), access.CLI(w.org.ID), id, 0, false); err != nil {
		t.Fatal(err)
	}
	if got := judge(); !slices.Equal(got, []push.Outcome{push.Accept, push.Accept}) {
		t.Errorf("switched off: %v", got)
	}
}

func TestReviewsOfCommitsAndChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy("Reviews", "block", `{"require_review_above": 5}`)
	w.user(bob)
	w.user("cyd@example.com")
	refused := func() hooks.Push { return with(pushed(commit("c1")), noted("c1", good, "")) }
	if a := w.decide(refused()); !a.Refused() {
		t.Fatalf("%s without a review", a.Verdict.Outcome)
	}
	w.review(bob, string(oid("c1")), true)
	if a := w.decide(refused()); a.Verdict.Outcome != push.Accept {
		t.Errorf("%s with a review", a.Verdict.Outcome)
	}
	rebased := refused()
	rebased.Commits[0].OID, rebased.Notes[0].Commit, rebased.Refs[0].New = oid("r1"), oid("r1"), oid("r1")
	if a := w.decide(rebased); a.Verdict.Outcome != push.Accept {
		t.Errorf("%s of the same change in another commit", a.Verdict.Outcome)
	}
	w.review(bob, string(oid("c1")), false)
	if a := w.decide(refused()); !a.Refused() {
		t.Errorf("%s after the reviewer has changed their mind", a.Verdict.Outcome)
	}
	w.review("cyd@example.com", string(oid("c1")), true)
	if a := w.decide(refused()); a.Verdict.Outcome != push.Accept {
		t.Errorf("%s with somebody else's review", a.Verdict.Outcome)
	}
	if a := w.decide(as("cyd@example.com", refused())); !a.Refused() {
		t.Errorf("%s with the pusher's own review", a.Verdict.Outcome)
	}
}
