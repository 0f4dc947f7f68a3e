package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// office is an organisation with a repository, a policy and people.
type office struct {
	t        *testing.T
	ctx      context.Context
	db       *store.DB
	org      store.Org
	by       access.Principal
	repo     store.Repo
	policy   store.Policy
	ann, bob access.Principal
}

func newOffice(t *testing.T) *office {
	t.Helper()
	o := &office{t: t, ctx: context.Background(), db: storetest.Open(t)}
	o.org = storetest.MustOrg(t, o.db, "acme")
	o.by = access.CLI(o.org.ID)
	o.repo = storetest.MustRepo(t, o.db, o.org, "shop", "")
	var err error
	o.policy, err = o.db.CreatePolicy(o.ctx, o.by, document(t, `{"name":"Review","rule":{"require_review_above":10},"action":"block"}`))
	if err != nil {
		t.Fatal(err)
	}
	o.ann, o.bob = o.person("ann@example.com"), o.person("bob@example.com")
	return o
}

func (o *office) person(email string) access.Principal {
	o.t.Helper()
	if _, err := o.db.CreateUser(o.ctx, o.by, store.NewUser{Email: email, Name: "A name"}); err != nil {
		o.t.Fatal(err)
	}
	return access.Principal{Org: o.org.ID, Name: "key:" + email, User: email}
}

func oid(n int) string { return fmt.Sprintf("%040x", n) }

// finding is one of the office's policy, about a commit unless it is empty.
func (o *office) finding(outcome push.Outcome, commit string) push.Finding {
	return push.Finding{PolicyID: o.policy.ID.String(), PolicyName: "Review", Version: 1, Rule: "require_review_above",
		Problem: push.Violated, Outcome: outcome, Commit: commit, Message: "nobody reviewed it"}
}

func commits(author string, oids ...string) []push.Commit {
	var out []push.Commit
	for _, one := range oids {
		out = append(out, push.Commit{OID: one, PatchID: "f" + one[1:], Author: push.Person{Email: author}})
	}
	return out
}

// refused records a refused push by Bob of commits that he wrote.
func (o *office) refused(state store.DecisionState, verdict push.Verdict, oids ...string) uuid.UUID {
	o.t.Helper()
	d := storetest.Decision{Repo: o.repo, Pusher: "bob@example.com", State: state, Verdict: verdict,
		Input: push.Input{Commits: commits("bob@example.com", oids...)}}
	if state == store.StateHeld {
		d.Holds = []string{"refs/heads/main"}
	}
	return storetest.MustDecision(o.t, o.db, o.org, d)
}

func wantInvalid(t *testing.T, what string, err error, field string) {
	t.Helper()
	var invalid *store.InvalidError
	if !errors.As(err, &invalid) || invalid.Field != field {
		t.Errorf("%s: %v, want that %s is wrong", what, err, field)
	}
}

func TestAKeyOfAPerson(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	key, secret, err := o.db.CreateKey(o.ctx, o.by, store.NewKey{Name: "laptop", Scopes: []access.Scope{access.Read}, User: "Ann@example.com"})
	if err != nil || key.User != "ann@example.com" {
		t.Fatalf("created %+v, %v", key, err)
	}
	p, err := o.db.PrincipalByKey(o.ctx, secret)
	if err != nil || p.User != "ann@example.com" || p.Name != "key:"+key.ID.String() {
		t.Errorf("the principal is %+v, %v", p, err)
	}
	machine := storetest.MustKey(t, o.db, o.org, access.Read)
	if p, err := o.db.PrincipalByKey(o.ctx, machine); err != nil || p.User != "" {
		t.Errorf("a machine's principal is %+v, %v", p, err)
	}
	_, _, err = o.db.CreateKey(o.ctx, o.by, store.NewKey{Name: "x", Scopes: []access.Scope{access.Read}, User: "eve@example.com"})
	wantInvalid(t, "a key of nobody", err, "user")
	other := access.CLI(storetest.MustOrg(t, o.db, "rival").ID)
	_, _, err = o.db.CreateKey(o.ctx, other, store.NewKey{Name: "x", Scopes: []access.Scope{access.Read}, User: "ann@example.com"})
	wantInvalid(t, "a key of somebody of another organisation", err, "user")
	ann, err := o.db.User(o.ctx, o.org.ID, "ann@example.com")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := o.db.DisableUser(o.ctx, o.by, ann.ID); err != nil {
		t.Fatal(err)
	}
	if _, err := o.db.PrincipalByKey(o.ctx, secret); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("the key of a disabled user: %v, want ErrNotFound", err)
	}
}

func TestWaiversAreBounded(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	tomorrow := time.Now().Add(24 * time.Hour)
	good := store.NewWaiver{Policy: o.policy.ID, Repo: o.repo.ID, Reason: "a hotfix", ExpiresAt: tomorrow}
	for field, change := range map[string]func(*store.NewWaiver){
		"reason":     func(w *store.NewWaiver) { w.Reason = "  " },
		"expires_at": func(w *store.NewWaiver) { w.ExpiresAt = time.Now() },
		"policy":     func(w *store.NewWaiver) { w.Policy = o.repo.ID },
		"repo":       func(w *store.NewWaiver) { w.Repo = uuid.Nil },
		"commit":     func(w *store.NewWaiver) { w.Commit = "abc" },
		"patch_id":   func(w *store.NewWaiver) { w.Commit, w.PatchID = oid(1), oid(2) },
	} {
		bad := good
		change(&bad)
		_, err := o.db.CreateWaiver(o.ctx, o.by, bad)
		wantInvalid(t, field, err, field)
	}
	for name, change := range map[string]func(*store.NewWaiver){
		"no expiry":    func(w *store.NewWaiver) { w.ExpiresAt = time.Time{} },
		"two years":    func(w *store.NewWaiver) { w.ExpiresAt = time.Now().AddDate(2, 0, 0) },
		"a long story": func(w *store.NewWaiver) { w.Reason = strings.Repeat("x", 3000) },
		"another repo": func(w *store.NewWaiver) { w.Repo = o.policy.ID },
	} {
		bad := good
		change(&bad)
		var invalid *store.InvalidError
		if _, err := o.db.CreateWaiver(o.ctx, o.by, bad); !errors.As(err, &invalid) {
			t.Errorf("%s: %v, want an InvalidError", name, err)
		}
	}
	made, err := o.db.CreateWaiver(o.ctx, o.ann, store.NewWaiver{Policy: o.policy.ID, Pusher: " Bob@Example.com ", Commit: strings.ToUpper(oid(0xabc)),
		Reason: " a hotfix ", ExpiresAt: tomorrow})
	if err != nil {
		t.Fatal(err)
	}
	got := []string{made.Policy, made.Repo, made.Pusher, made.Commit, made.Reason, made.CreatedBy}
	if diff := cmp.Diff([]string{"Review", "", "bob@example.com", oid(0xabc), "a hotfix", "ann@example.com"}, got); diff != "" {
		t.Errorf("waiver (-want +got):\n%s", diff)
	}
}

func TestWaiversAreListedAndRevoked(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var made []store.Waiver
	for i := range 5 {
		w, err := o.db.CreateWaiver(o.ctx, o.by, store.NewWaiver{Policy: o.policy.ID, Repo: o.repo.ID, Pusher: fmt.Sprint("p", i),
			Reason: "why not", ExpiresAt: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		made = append(made, w)
	}
	revoked, err := o.db.RevokeWaiver(o.ctx, o.ann, made[1].ID)
	if err != nil || revoked.RevokedAt == nil || revoked.RevokedBy != "ann@example.com" {
		t.Errorf("revoked %+v, %v", revoked, err)
	}
	if again, err := o.db.RevokeWaiver(o.ctx, o.bob, made[1].ID); err != nil || again.RevokedBy != "ann@example.com" {
		t.Errorf("revoked again %+v, %v", again, err)
	}
	foreign := access.CLI(storetest.MustOrg(t, o.db, "rival").ID)
	if _, err := o.db.RevokeWaiver(o.ctx, foreign, made[0].ID); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("revoked from another organisation: %v", err)
	}
	pushers := func(f store.WaiverFilter, after uuid.UUID, limit int) (out string) {
		t.Helper()
		rows, err := o.db.Waivers(o.ctx, o.org.ID, f, after, limit)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range rows {
			out += w.Pusher
		}
		return out
	}
	yes, no := true, false
	for want, got := range map[string]string{
		"p4p3p2p1p0": pushers(store.WaiverFilter{Policy: o.policy.ID, Repos: []uuid.UUID{o.repo.ID}}, uuid.Nil, 10),
		"p4p3":       pushers(store.WaiverFilter{}, uuid.Nil, 2),
		"p2p1p0":     pushers(store.WaiverFilter{}, made[3].ID, 10),
		"p4p3p2p0":   pushers(store.WaiverFilter{Active: &yes}, uuid.Nil, 10),
		"p1":         pushers(store.WaiverFilter{Active: &no}, uuid.Nil, 10),
		"p3":         pushers(store.WaiverFilter{Pusher: "p3"}, uuid.Nil, 10),
		"":           pushers(store.WaiverFilter{Policy: o.repo.ID}, uuid.Nil, 10),
	} {
		if got != want {
			t.Errorf("listed %q, want %q", got, want)
		}
	}
	acts := storetest.Column(t, o.db, `SELECT action FROM audit_log WHERE target = $1 ORDER BY seq`, made[1].ID.String())
	if diff := cmp.Diff([]string{"waiver.create", "waiver.revoke"}, acts); diff != "" {
		t.Errorf("audited (-want +got):\n%s", diff)
	}
}

func TestADecisionIsWaivedAsNarrowlyAsItCanBe(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	tomorrow := time.Now().Add(24 * time.Hour)
	limits := func(id uuid.UUID) (out []string) {
		t.Helper()
		made, err := o.db.WaiveDecision(o.ctx, o.by, id, "it is urgent", tomorrow)
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range made {
			out = append(out, strings.Join([]string{w.Repo, w.Pusher, w.Commit, w.PatchID}, "/"))
		}
		return out
	}
	refuse := func(outcomes ...push.Finding) push.Verdict {
		return push.Verdict{Outcome: push.Refuse, Findings: outcomes}
	}
	about := o.finding(push.Refuse, oid(1))
	twice, unknown, general, mild := about, o.finding(push.Refuse, oid(9)), o.finding(push.Refuse, ""), o.finding(push.Warn, oid(2))
	got := limits(o.refused(store.StateFinal, refuse(about, twice, unknown, general, mild), oid(1), oid(2)))
	if diff := cmp.Diff([]string{"shop///f" + oid(1)[1:], "shop//" + oid(9) + "/", "shop/bob@example.com//"}, got); diff != "" {
		t.Errorf("waivers (-want +got):\n%s", diff)
	}
	crowd := refuse(about)
	crowd.Policies = []push.Judged{{PolicyID: o.policy.ID.String(), More: 3}}
	if diff := cmp.Diff([]string{"shop/bob@example.com//"}, limits(o.refused(store.StateHeld, crowd, oid(1)))); diff != "" {
		t.Errorf("waivers where findings are left out (-want +got):\n%s", diff)
	}
	_, err := o.db.WaiveDecision(o.ctx, o.by, o.refused(store.StateFinal, push.Verdict{Outcome: push.Warn, Findings: []push.Finding{mild}}), "x", tomorrow)
	wantInvalid(t, "a decision that refuses nothing", err, "decision")
	if err := o.db.RemovePolicy(o.ctx, o.by, o.policy.ID, 0); err != nil {
		t.Fatal(err)
	}
	_, err = o.db.WaiveDecision(o.ctx, o.by, o.refused(store.StateFinal, refuse(about), oid(1)), "x", tomorrow)
	wantInvalid(t, "a decision by a removed policy", err, "decision")
	foreign := access.CLI(storetest.MustOrg(t, o.db, "rival").ID)
	if _, err := o.db.WaiveDecision(o.ctx, foreign, o.refused(store.StateFinal, refuse(about)), "x", tomorrow); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("a decision of another organisation: %v", err)
	}
}

func TestReviewsAreOfPeopleAndOfChanges(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	verdict := push.Verdict{Outcome: push.Refuse, Findings: []push.Finding{o.finding(push.Refuse, oid(1))}}
	decision := o.refused(store.StateFinal, verdict, oid(1), oid(2))
	storetest.MustDecision(t, o.db, o.org, storetest.Decision{Repo: o.repo, Pusher: "bob@example.com",
		Input: push.Input{Commits: commits("cy@example.com", oid(3))}})
	review := func(by access.Principal, in store.NewReview) (out []string, err error) {
		made, err := o.db.CreateReviews(o.ctx, by, in)
		for _, r := range made {
			out = append(out, fmt.Sprint(r.Repo, " ", r.Commit[38:], " ", r.PatchID, " ", r.Reviewer, " ", r.Approved))
		}
		return out, err
	}
	patch := func(n int) string { return "f" + oid(n)[1:] }
	for name, c := range map[string]struct {
		in   store.NewReview
		want []string
	}{
		"of a decision":         {store.NewReview{Decision: decision, Approved: true}, []string{"shop 01 " + patch(1) + " ann@example.com true", "shop 02 " + patch(2) + " ann@example.com true"}},
		"of a decision's":       {store.NewReview{Decision: decision, Commit: oid(2), Approved: true}, []string{"shop 02 " + patch(2) + " ann@example.com true"}},
		"of a pushed commit":    {store.NewReview{Repo: o.repo.ID, Commit: oid(3), Comment: "no"}, []string{"shop 03 " + patch(3) + " ann@example.com false"}},
		"of a refused commit":   {store.NewReview{Repo: o.repo.ID, Commit: oid(2), Approved: true}, []string{"shop 02 " + patch(2) + " ann@example.com true"}},
		"of what is not pushed": {store.NewReview{Repo: o.repo.ID, Commit: oid(7), Approved: true}, []string{"shop 07  ann@example.com true"}},
	} {
		got, err := review(o.ann, c.in)
		if err != nil || !sameSet(got, c.want) {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
	for field, in := range map[string]store.NewReview{
		"commit":   {Decision: decision, Commit: oid(3), Approved: true},
		"comment":  {Decision: decision},
		"repo":     {Decision: decision, Repo: o.repo.ID, Approved: true},
		"decision": {Decision: o.refused(store.StateFinal, verdict), Approved: true},
	} {
		_, err := review(o.ann, in)
		wantInvalid(t, field, err, field)
	}
	_, err := review(o.bob, store.NewReview{Decision: decision, Approved: true})
	wantInvalid(t, "one's own change", err, "commit")
	cy := o.person("cy@example.com")
	_, err = review(cy, store.NewReview{Repo: o.repo.ID, Commit: oid(3), Approved: true})
	wantInvalid(t, "one's own commit", err, "commit")
	_, err = review(o.ann, store.NewReview{Repo: o.policy.ID, Commit: oid(7), Approved: true})
	wantInvalid(t, "no repository", err, "repo")
	for _, nobody := range []access.Principal{o.by, {Org: o.org.ID, Name: "key:1", User: "ghost@example.com"}} {
		if _, err := review(nobody, store.NewReview{Decision: decision, Approved: true}); !errors.Is(err, store.ErrNotAPerson) {
			t.Errorf("by %q: %v, want ErrNotAPerson", nobody.User, err)
		}
	}
}

func sameSet(a, b []string) bool {
	seen := map[string]int{}
	for _, s := range a {
		seen[s]++
	}
	for _, s := range b {
		seen[s]--
	}
	for _, n := range seen {
		if n != 0 {
			return false
		}
	}
	return true
}

func TestTheReviewQueueIsWhatAReviewWouldLetPass(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	refusal := func(n int) push.Verdict {
		return push.Verdict{Outcome: push.Refuse, Findings: []push.Finding{o.finding(push.Refuse, oid(n))}}
	}
	o.refused(store.StateFinal, refusal(1), oid(1))
	o.refused(store.StateFinal, refusal(1), oid(1))
	o.refused(store.StateHeld, refusal(2), oid(2))
	o.refused(store.StateReleased, refusal(3), oid(3))
	o.refused(store.StateFinal, push.Verdict{Outcome: push.Warn, Findings: []push.Finding{o.finding(push.Warn, oid(4))}}, oid(4))
	queue := func() (out []string) {
		t.Helper()
		rows, err := o.db.WantedReviews(o.ctx, o.org.ID, 10)
		if err != nil {
			t.Fatal(err)
		}
		for _, row := range rows {
			out = append(out, fmt.Sprint(row.Commit[38:], row.Held))
		}
		return out
	}
	review := func(by access.Principal, approved bool) {
		t.Helper()
		if _, err := o.db.CreateReviews(o.ctx, by, store.NewReview{Repo: o.repo.ID, Commit: oid(1), Approved: approved, Comment: "hm"}); err != nil {
			t.Fatal(err)
		}
	}
	for step, c := range []struct {
		do   func()
		want []string
	}{
		{func() {}, []string{"02true", "01false"}},
		{func() { review(o.ann, false) }, []string{"02true", "01false"}},
		{func() { review(o.ann, true) }, []string{"02true"}},
		{func() { review(o.ann, false) }, []string{"02true", "01false"}},
		{func() {
			storetest.MustDecision(t, o.db, o.org, storetest.Decision{Repo: o.repo, Pusher: "bob@example.com", Input: push.Input{Commits: commits("bob@example.com", oid(1))}})
		}, []string{"02true"}},
		// A later push names the commit that holds its branch, and is refused for it.
		{func() {
			storetest.MustDecision(t, o.db, o.org, storetest.Decision{Repo: o.repo, Pusher: "bob@example.com", Input: push.Input{Commits: commits("bob@example.com", oid(2))}})
			o.refused(store.StateFinal, refusal(2), oid(5))
		}, []string{"02true"}},
	} {
		c.do()
		if diff := cmp.Diff(c.want, queue()); diff != "" {
			t.Errorf("step %d (-want +got):\n%s", step, diff)
		}
	}
	all, err := o.db.Reviews(o.ctx, o.org.ID, store.ReviewFilter{Repos: []uuid.UUID{o.repo.ID}, Commit: oid(1), Reviewer: "Ann@example.com"}, uuid.Nil, 2)
	if err != nil || len(all) != 2 || all[0].Approved || !all[1].Approved || all[0].Name != "A name" {
		t.Errorf("reviews, newest first: %+v, %v", all, err)
	}
}

func TestTheLastReleasedHoldReleasesTheDecision(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	decision := storetest.MustDecision(t, o.db, o.org, storetest.Decision{Repo: o.repo, Pusher: "bob@example.com", State: store.StateHeld,
		Verdict: push.Verdict{Outcome: push.Pending}, Holds: []string{"refs/heads/a", "refs/heads/b"}})
	if _, err := o.db.Pool().Exec(o.ctx, `INSERT INTO commit_statuses (org_id, repo_id, commit, state, description, decision_id)
		VALUES ($1, $2, $3, 'failure', '', $4)`, o.org.ID, o.repo.ID, oid(1), decision); err != nil {
		t.Fatal(err)
	}
	yes := true
	holds, err := o.db.Holds(o.ctx, o.org.ID, store.HoldFilter{Active: &yes, Pusher: "Bob@example.com"}, uuid.Nil, 10)
	if err != nil || len(holds) != 2 || holds[0].Repo != "shop" {
		t.Fatalf("holds %+v, %v", holds, err)
	}
	state := func() string {
		return storetest.Column(t, o.db, `SELECT d.state || ' ' || s.state || ' ' || (SELECT count(*) FROM decision_events)
			FROM decisions d, commit_statuses s`)[0]
	}
	_, err = o.db.ReleaseHold(o.ctx, o.ann, holds[0].ID, " ")
	wantInvalid(t, "no reason", err, "reason")
	foreign := access.CLI(storetest.MustOrg(t, o.db, "rival").ID)
	if _, err := o.db.ReleaseHold(o.ctx, foreign, holds[0].ID, "mine"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("from another organisation: %v", err)
	}
	first, err := o.db.ReleaseHold(o.ctx, o.ann, holds[0].ID, "it is fine")
	if err != nil || first.ReleasedBy != "ann@example.com" || first.Release != "released" || first.Reason != "it is fine" {
		t.Errorf("released %+v, %v", first, err)
	}
	if got := state(); got != "held failure 0" {
		t.Errorf("after one of two: %s", got)
	}
	if _, err := o.db.ReleaseHold(o.ctx, o.ann, holds[1].ID, "it is fine"); err != nil {
		t.Error(err)
	}
	if got := state(); got != "released success 1" {
		t.Errorf("after both: %s", got)
	}
	if again, err := o.db.ReleaseHold(o.ctx, o.bob, holds[0].ID, "no, me"); err != nil || again.ReleasedBy != "ann@example.com" {
		t.Errorf("released again %+v, %v", again, err)
	}
	detail, err := o.db.Decision(o.ctx, o.org.ID, decision)
	if err != nil || len(detail.Events) != 1 || detail.Events[0].Event != "released" || detail.Events[0].Principal != "ann@example.com" {
		t.Errorf("the decision: %+v, %v", detail.Events, err)
	}
}

func TestViolationsAreFiltered(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	var decisions []uuid.UUID
	base := time.Now().Add(-48 * time.Hour)
	for i := range 6 {
		outcome := []push.Outcome{push.Warn, push.Refuse}[i%2]
		decisions = append(decisions, storetest.MustDecision(t, o.db, o.org, storetest.Decision{At: base.Add(time.Duration(i) * time.Hour), Repo: o.repo,
			Pusher: fmt.Sprintf("p%d@example.com", i%3), Verdict: push.Verdict{Outcome: outcome, Findings: []push.Finding{o.finding(outcome, oid(i))}}}))
	}
	listed := func(f store.ViolationFilter) (out string) {
		t.Helper()
		for after := uuid.Nil; ; {
			rows, err := o.db.Violations(o.ctx, o.org.ID, f, after, 2)
			if err != nil {
				t.Fatal(err)
			}
			for _, v := range rows {
				out, after = out+v.Commit[39:], v.ID
			}
			if len(rows) < 2 {
				return out
			}
		}
	}
	yes, no := true, false
	for name, c := range map[string]struct {
		f    store.ViolationFilter
		want string
	}{
		"all":      {store.ViolationFilter{Repos: []uuid.UUID{o.repo.ID}, Policy: o.policy.ID, Rule: "require_review_above", Late: &no, Waived: &no}, "543210"},
		"outcome":  {store.ViolationFilter{Outcome: push.Refuse}, "531"},
		"pusher":   {store.ViolationFilter{Pusher: "P1@example.com"}, "41"},
		"decision": {store.ViolationFilter{Decision: decisions[2]}, "2"},
		"commit":   {store.ViolationFilter{Commit: oid(3)}, "3"},
		"period":   {store.ViolationFilter{From: base.Add(time.Hour), To: base.Add(3 * time.Hour)}, "21"},
		"late":     {store.ViolationFilter{Late: &yes}, ""},
		"waived":   {store.ViolationFilter{Waived: &yes}, ""},
		"repo":     {store.ViolationFilter{Repos: []uuid.UUID{}}, ""},
	} {
		if got := listed(c.f); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
	foreign := storetest.MustOrg(t, o.db, "rival")
	if rows, err := o.db.Violations(o.ctx, foreign.ID, store.ViolationFilter{}, uuid.Nil, 10); err != nil || len(rows) != 0 {
		t.Errorf("another organisation sees %d, %v", len(rows), err)
	}
}
