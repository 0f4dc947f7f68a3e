package httpapi_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/hooks"
	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// shownPolicy is a policy as the API shows it.
type shownPolicy struct {
	ID, Name, Action string
	Version          int
	Enabled          bool
	Rule             json.RawMessage
	Scope            store.PolicyScope
	RemovedAt        *time.Time `json:"removed_at"`
}

func (w *world) policy(document string) (p shownPolicy) {
	w.t.Helper()
	w.post(w.admin, "/api/v1/policies", document).want(201).into(&p)
	return p
}

func TestAPolicyFromItsFirstToItsLastVersion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	made := w.policy(`{"name":"Budget/day","rule":{"max_cost_per_day":50.0},"action":"block","enabled":true}`)
	if made.Version != 1 || made.Action != "block" || string(made.Rule) != `{"max_cost_per_day":50.0}` {
		t.Errorf("made %+v", made)
	}
	path := "/api/v1/policies/" + url.PathEscape("Budget/day")
	do := func(method, path string, body any, status int) (p shownPolicy) {
		t.Helper()
		got := w.do(call{method: method, path: path, key: w.admin, body: body}).want(status)
		if len(got.body) > 0 {
			got.into(&p)
		}
		return p
	}
	if got := do("PATCH", path, `{"enabled":false}`, 200); got.Version != 2 || got.Enabled || got.Action != "block" {
		t.Errorf("patched %+v", got)
	}
	if got := do("PATCH", path, `{"rule":{"max_cost_per_day":60},"scope":{"repos":["shop/*"]},"version":2}`, 200); got.Version != 3 || got.Scope.Repos[0] != "shop/*" {
		t.Errorf("patched %+v", got)
	}
	do("PATCH", path, `{"action":"warn","version":2}`, 409)
	do("PUT", path, `{"name":"Budget/day","rule":{"max_cost_per_day":70},"version":2}`, 409)
	if got := do("PUT", path, `{"name":"Budget/day","rule":{"max_cost_per_day":70},"version":3}`, 200); got.Version != 4 || !got.Enabled || got.Scope.Repos != nil {
		t.Errorf("replaced %+v", got)
	}
	if got := do("POST", "/api/v1/policies", fmt.Sprintf(`{"id":%q,"name":"Budget","rule":{"max_cost_per_day":70}}`, made.ID), 200); got.Version != 5 || got.Name != "Budget" {
		t.Errorf("posted with an id %+v", got)
	}
	path = "/api/v1/policies/Budget"
	if got := do("POST", path+"/disable", nil, 200); got.Version != 6 || got.Enabled {
		t.Errorf("disabled %+v", got)
	}
	if got := do("POST", path+"/enable", nil, 200); got.Version != 7 || !got.Enabled {
		t.Errorf("enabled %+v", got)
	}
	if got := do("POST", path+"/enable", nil, 200); got.Version != 7 {
		t.Errorf("enabled twice %+v", got)
	}
	do("DELETE", path, nil, 204)
	do("GET", path, nil, 404)
	if got := do("GET", "/api/v1/policies/"+made.ID, nil, 200); got.RemovedAt == nil || got.Version != 8 {
		t.Errorf("removed %+v", got)
	}
	w.checkVersions("/api/v1/policies/" + made.ID + "/versions")
}

// checkVersions walks the eight versions of the policy above in pages.
func (w *world) checkVersions(path string) {
	w.t.Helper()
	var told []string
	for next := ""; ; {
		var p struct {
			Items []struct {
				Version        int
				Change, Author string
				Document       struct{ Name string }
			}
			NextCursor *string `json:"next_cursor"`
		}
		w.get(w.read, path+"?limit=3"+next).want(200).into(&p)
		for _, v := range p.Items {
			told = append(told, fmt.Sprint(v.Version, " ", v.Change, " ", v.Document.Name))
			if !strings.HasPrefix(v.Author, "key:") {
				w.t.Errorf("author %q", v.Author)
			}
		}
		if p.NextCursor == nil {
			break
		}
		next = "&cursor=" + *p.NextCursor
	}
	want := []string{"8 removed Budget", "7 enabled Budget", "6 disabled Budget", "5 changed Budget", "4 changed Budget/day",
		"3 changed Budget/day", "2 disabled Budget/day", "1 created Budget/day"}
	if diff := cmp.Diff(want, told); diff != "" {
		w.t.Errorf("versions (-want +got):\n%s", diff)
	}
	var one struct {
		Document struct{ Rule json.RawMessage }
	}
	if w.get(w.read, path+"/3").want(200).into(&one); string(one.Document.Rule) != `{"max_cost_per_day":60}` {
		w.t.Errorf("version 3 is %s", one.Document.Rule)
	}
	w.get(w.read, path+"/9").want(404)
}

func TestPoliciesAreListed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy(`{"name":"b","rule":{"require_receipts":true}}`)
	w.policy(`{"name":"a","rule":{"require_receipts":true},"enabled":false}`)
	w.policy(`{"name":"c","rule":{"require_receipts":true}}`)
	w.do(call{method: "DELETE", path: "/api/v1/policies/c", key: w.admin}).want(204)
	for query, want := range map[string]string{"": "ab", "?enabled=true": "b", "?enabled=false": "a"} {
		var list struct{ Items []shownPolicy }
		w.get(w.read, "/api/v1/policies"+query).want(200).into(&list)
		names := ""
		for _, p := range list.Items {
			names += p.Name
		}
		if names != want {
			t.Errorf("%q lists %q, want %q", query, names, want)
		}
	}
	// One that a newer program wrote can be seen and replaced.
	if _, err := w.db.Pool().Exec(context.Background(), `UPDATE policies SET document = '{"name":"a","rule":{"max_fun":1},"action":"block","enabled":false}'
		WHERE name = 'a'`); err != nil {
		t.Fatal(err)
	}
	var newer shownPolicy
	if w.get(w.read, "/api/v1/policies/a").want(200).into(&newer); string(newer.Rule) != `{"max_fun":1}` || newer.Action != "block" {
		t.Errorf("a policy of a newer program is shown as %+v", newer)
	}
	if p := w.post(w.admin, "/api/v1/policies/a/enable", nil).want(400).problem(); p.fields() != "rule" {
		t.Errorf("a policy of a newer program is switched on: %+v", p)
	}
	w.do(call{method: "PUT", path: "/api/v1/policies/a", key: w.admin, body: `{"name":"a","rule":{"require_receipts":true}}`}).want(200)
	if p := w.post(w.admin, "/api/v1/policies", `{"name":"a","rule":{"require_receipts":true}}`).want(409).problem(); p.Code != "exists" {
		t.Errorf("a name that is taken: %+v", p)
	}
	for _, rule := range append([]policy.Kind{"policy"}, policy.Kinds()...) {
		var schema struct{ Title string }
		if w.get(w.read, "/api/v1/policies/schema/"+string(rule)).want(200).into(&schema); schema.Title != string(rule) {
			t.Errorf("the schema of %s is of %q", rule, schema.Title)
		}
	}
	if p := w.get(w.read, "/api/v1/policies/schema/max_fun").want(404).problem(); !strings.Contains(p.Detail, "max_cost_per_day") {
		t.Errorf("an unknown rule: %+v", p)
	}
}

// theirPush is a push by Bob of a commit that Cy wrote, with 30 lines and with
// a receipt of gpt-4 if it is noted.
func theirPush(commit string, noted bool) hooks.Push {
	oid := func(c string) string { return strings.Repeat(c, 40) }
	text := fmt.Sprintf(`{"version":1,"object_format":"sha1","forge":"git","user":"bob","email":"bob@example.com","repo":"shop","via":"push",
		"refs":[{"name":"refs/heads/main","old":%q,"new":%q,"kind":"update"}],
		"commits":[{"oid":%q,"author":{"name":"Cy","email":"cy@example.com"},"committer":{"name":"Cy","email":"cy@example.com"},"measured":true,
			"patch_id":%q,"files":[{"path":"a.go","added":30,"blob":%q,"runs":[[1,30]]}]}]}`, oid("0"), commit, commit, "ab"+commit[2:], oid("b"))
	p, err := hooks.DecodePush(strings.NewReader(text))
	if err != nil {
		panic(err)
	}
	if noted {
		p.Notes = []hooks.Note{{Commit: p.Commits[0].OID, Ref: "refs/notes/blameprompt", Receipts: []hooks.Receipt{{ID: "r-" + commit, Provider: "claude",
			Model: "gpt-4", CostUSD: "2", Timestamp: time.Now(), UserEmail: "cy@example.com",
			Files: []hooks.ReceiptFile{{Path: "a.go", Lines: hooks.Run{1, 30}, Blob: oid("b")}}}}}}
	}
	return p
}

// decide has a push to shop judged and recorded.
func (w *world) decide(p hooks.Push) hooks.Answer {
	w.t.Helper()
	by := access.Principal{Org: w.org.ID, Name: "hook:uid=1", Scopes: []access.Scope{access.Hook}}
	answer, err := w.judge.Enforcer.Decide(context.Background(), by, "shop", p)
	if err != nil {
		w.t.Fatal(err)
	}
	return answer
}

func TestAPushIsTriedWithoutBeingMade(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy(`{"name":"Models","rule":{"blocked_models":["gpt-4"]}}`)
	var verdict push.Verdict
	try := func(policies string, status int) reply {
		t.Helper()
		body, err := json.Marshal(theirPush(commitA, true))
		if err != nil {
			t.Fatal(err)
		}
		return w.post(w.read, "/api/v1/policies/evaluate", fmt.Sprintf(`{"push":%s%s}`, body, policies)).want(status)
	}
	try("", 200).into(&verdict)
	if verdict.Outcome != push.Warn || verdict.Findings[0].PolicyName != "Models" {
		t.Errorf("by the policies in force: %+v", verdict)
	}
	const tried = `,"policies":[{"name":"Review","rule":{"require_review_above":10},"action":"block","enabled":false},
		{"name":"Review","rule":{"require_review_above":50},"action":"block"}]`
	try(tried, 200).into(&verdict)
	if verdict.Outcome != push.Refuse || len(verdict.Findings) != 1 || verdict.Findings[0].PolicyID != "policies[0]" || len(verdict.Policies) != 2 {
		t.Errorf("by policies that are tried: %+v", verdict)
	}
	try(`,"policies":[{"name":"a","rule":{"require_receipts":true}},{"name":"b","rule":{"max_fun":1},"action":"shout"}]`, 400)
	if got := storetest.Column(t, w.db, `SELECT (SELECT count(*) FROM decisions) || ' ' || (SELECT count(*) FROM repos)`)[0]; got != "0 0" {
		t.Errorf("decisions and repositories after trials: %s", got)
	}
}

func TestABacktestOverHTTP(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.decide(theirPush(commitA, true))
	w.decide(theirPush(commitB, true))
	w.decide(theirPush(strings.Repeat("c", 40), false))
	saved := w.policy(`{"name":"Review","rule":{"require_review_above":10},"enabled":false}`)
	type result struct {
		Pushes      int
		WouldAccept int  `json:"would_accept"`
		WouldWarn   int  `json:"would_warn"`
		WouldRefuse int  `json:"would_refuse"`
		WouldWait   int  `json:"would_wait"`
		Complete    bool `json:"complete"`
		Examples    []struct {
			Decision, Outcome, Repo string
			Findings                []push.Finding
		}
	}
	for body, want := range map[string]result{
		`{"document":{"name":"x","rule":{"blocked_models":["gpt-4"]},"action":"block"}}`: {Pushes: 3, WouldRefuse: 2, WouldWait: 1, Complete: true},
		`{"document":{"name":"x","rule":{"max_cost_per_day":3},"action":"block"}}`:       {Pushes: 3, WouldAccept: 1, WouldRefuse: 1, WouldWait: 1, Complete: true},
		`{"policy":"Review"}`: {Pushes: 3, WouldWarn: 2, WouldWait: 1, Complete: true},
		fmt.Sprintf(`{"policy":%q,"from":"2020-01-01","to":"2020-12-31"}`, saved.ID): {Complete: true},
	} {
		var got result
		w.post(w.read, "/api/v1/policies/backtest", body).want(200).into(&got)
		if len(got.Examples) != want.WouldRefuse+want.WouldWarn+want.WouldWait {
			t.Errorf("%s: %d examples", body, len(got.Examples))
		}
		got.Examples = nil
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", body, diff)
		}
	}
}

// person makes a user and a key of hers that may write.
func (w *world) person(email string) string {
	w.t.Helper()
	if _, err := w.db.CreateUser(context.Background(), access.CLI(w.org.ID), store.NewUser{Email: email}); err != nil {
		w.t.Fatal(err)
	}
	var made struct {
		Key    struct{ User string }
		Secret string
	}
	w.post(w.admin, "/api/v1/keys", map[string]any{"name": "laptop", "scopes": []string{"write"}, "user": email}).want(201).into(&made)
	if made.Key.User != email {
		w.t.Errorf("the key is of %q", made.Key.User)
	}
	return made.Secret
}

// heldPush has a push accepted whose receipts then show that it breaks a policy.
func (w *world) heldPush(commit string) (decision string) {
	w.t.Helper()
	answer := w.decide(theirPush(commit, false))
	w.post(w.ingest, "/api/v1/receipts?repo=shop&commit="+commit, []any{map[string]any{"id": "late-" + commit, "provider": "claude", "model": "gpt-4",
		"files_changed": []any{map[string]any{"path": "a.go", "line_range": []int{1, 30}, "blob_hash": strings.Repeat("b", 40)}}}}).want(200)
	if err := w.judge.Reconsider(context.Background(), w.org.ID, uuid.Nil, store.EventNotes); err != nil {
		w.t.Fatal(err)
	}
	if got := w.state(answer.Decision); got != "held" {
		w.t.Fatalf("decision %s is %s, want held", answer.Decision, got)
	}
	return answer.Decision
}

func (w *world) state(decision string) string {
	w.t.Helper()
	var d struct{ Decision struct{ State string } }
	w.get(w.read, "/api/v1/decisions/"+decision).want(200).into(&d)
	return d.Decision.State
}

func TestAWaiverOfADecisionReleasesItAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy(`{"name":"Models","rule":{"blocked_models":["gpt-4"]},"action":"block"}`)
	decision := w.heldPush(commitA)
	var made struct {
		Items []struct {
			ID, Policy, Repo, Pusher, Commit string
			PatchID                          string `json:"patch_id"`
		}
	}
	w.post(w.admin, "/api/v1/waivers", map[string]any{"decision": decision, "reason": "a hotfix", "expires_at": time.Now().Add(time.Hour).Format(time.RFC3339)}).
		want(201).into(&made)
	if len(made.Items) != 1 || made.Items[0].Policy != "Models" || made.Items[0].Repo != "shop" || made.Items[0].PatchID != "ab"+commitA[2:] {
		t.Errorf("waivers %+v", made.Items)
	}
	if got := w.state(decision); got != "released" {
		t.Errorf("the decision is %s", got)
	}
	w.do(call{method: "DELETE", path: "/api/v1/waivers/" + made.Items[0].ID, key: w.admin}).want(204)
	for query, want := range map[string]int{"": 1, "?active=true": 0, "?active=false&repo=shop&policy=Models": 1, "?pusher=eve": 0} {
		var list struct{ Items []json.RawMessage }
		if w.get(w.read, "/api/v1/waivers"+query).want(200).into(&list); len(list.Items) != want {
			t.Errorf("%q lists %d waivers, want %d", query, len(list.Items), want)
		}
	}
}

func TestAReviewNeedsAPersonAndReleasesWhatItIsOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy(`{"name":"Review","rule":{"require_review_above":10},"action":"block"}`)
	ann, bob, cy := w.person("ann@example.com"), w.person("bob@example.com"), w.person("cy@example.com")
	decision := w.heldPush(commitA)
	var queue struct {
		Held, Pending []struct{ ID string }
		Commits       []struct {
			Commit string
			Held   bool
		}
	}
	w.get(ann, "/api/v1/reviews/queue").want(200).into(&queue)
	if len(queue.Held) != 1 || len(queue.Pending) != 0 || len(queue.Commits) != 1 || queue.Commits[0].Commit != commitA || !queue.Commits[0].Held {
		t.Errorf("queue %+v", queue)
	}
	approve := map[string]any{"decision": decision, "approved": true}
	if p := w.post(w.admin, "/api/v1/reviews", approve).want(403).problem(); p.Code != "not_a_person" {
		t.Errorf("a machine's review: %+v", p)
	}
	for _, own := range []string{bob, cy} {
		if p := w.post(own, "/api/v1/reviews", approve).want(400).problem(); p.fields() != "commit" {
			t.Errorf("a review of one's own: %+v", p)
		}
	}
	w.post(ann, "/api/v1/reviews", map[string]any{"repo": "shop", "commit": commitA, "approved": false, "comment": "not yet"}).want(201)
	if got := w.state(decision); got != "held" {
		t.Errorf("after a rejection the decision is %s", got)
	}
	w.post(ann, "/api/v1/reviews", approve).want(201)
	if got := w.state(decision); got != "released" {
		t.Errorf("after an approval the decision is %s", got)
	}
	var list struct {
		Items []struct {
			Reviewer, Commit string
			Approved         bool
		}
		NextCursor *string `json:"next_cursor"`
	}
	w.get(w.read, "/api/v1/reviews?limit=1&repo=shop&reviewer=Ann@example.com&commit="+commitA).want(200).into(&list)
	if len(list.Items) != 1 || !list.Items[0].Approved || list.NextCursor == nil {
		t.Errorf("the newest review: %+v", list)
	}
	w.get(w.read, "/api/v1/reviews?limit=1&cursor="+*list.NextCursor).want(400)
}

func TestADecisionShowsWhatBecameOfIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.policy(`{"name":"Models","rule":{"blocked_models":["gpt-4"]},"action":"block"}`)
	refused := w.decide(theirPush(commitB, true))
	held := w.heldPush(commitA)
	var holds struct {
		Items []struct {
			ID         string
			DecisionID string `json:"decision_id"`
		}
	}
	w.get(w.read, "/api/v1/holds?active=true&ref=refs/heads/main&pusher=Bob@example.com").want(200).into(&holds)
	if len(holds.Items) != 1 || holds.Items[0].DecisionID != held {
		t.Fatalf("holds %+v", holds)
	}
	var released struct{ Release, Reason string }
	w.post(w.admin, "/api/v1/holds/"+holds.Items[0].ID+"/release", `{"reason":"it is fine"}`).want(200).into(&released)
	if released.Release != "released" || released.Reason != "it is fine" {
		t.Errorf("released %+v", released)
	}
	var shown struct {
		Verdict     push.Verdict
		LateVerdict *push.Verdict `json:"late_verdict"`
		Text        string
		Events      []struct{ Event, State, Principal string }
		Violations  []struct{ Late bool }
		Holds       []struct{ Release string }
	}
	w.get(w.read, "/api/v1/decisions/"+held).want(200).into(&shown)
	if shown.Verdict.Outcome != push.Pending || shown.LateVerdict.Outcome != push.Refuse || len(shown.Violations) != 1 || !shown.Violations[0].Late ||
		len(shown.Holds) != 1 || shown.Holds[0].Release != "released" {
		t.Errorf("the held decision: %+v", shown)
	}
	if n := len(shown.Events); n < 2 || shown.Events[n-1].Event != "released" || shown.Events[n-1].State != "released" {
		t.Errorf("events %+v", shown.Events)
	}
	w.get(w.read, "/api/v1/decisions/"+refused.Decision).want(200).into(&shown)
	if !strings.Contains(shown.Text, "Models") || !strings.Contains(shown.Text, "/decisions/"+refused.Decision) {
		t.Errorf("text %q", shown.Text)
	}
	for path, want := range map[string]int{
		"decisions?repo=shop&pusher=BOB@example.com": 2, "decisions?outcome=refuse&policy=Models": 1, "decisions?state=released": 1, "decisions?outcome=warn": 0,
		"decisions?from=2020-01-01&to=2020-01-02": 0, "violations?policy=Models": 2, "violations?late=true&outcome=refuse&repo=shop": 1,
		"violations?decision=" + held: 1, "violations?commit=" + commitB + "&rule=blocked_models&waived=false": 1, "holds?active=false": 1,
	} {
		var list struct{ Items []json.RawMessage }
		if w.get(w.read, "/api/v1/"+path).want(200).into(&list); len(list.Items) != want {
			t.Errorf("%s lists %d, want %d", path, len(list.Items), want)
		}
	}
}

func TestDecisionsAndViolationsComeInPages(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	repo := storetest.MustRepo(t, w.db, w.org, "shop", "")
	p := w.policy(`{"name":"Review/all","rule":{"require_review_above":10},"action":"block"}`)
	for i := range 5 {
		w.held(repo, p.ID, fmt.Sprintf("%040x", i))
	}
	for _, list := range []string{"decisions?repo=shop", "violations?repo=shop", "holds?repo=shop"} {
		seen := map[string]bool{}
		for next := ""; ; {
			var page page
			w.get(w.read, "/api/v1/"+list+"&limit=2"+next).want(200).into(&page)
			for _, item := range page.Items {
				seen[item.ID] = true
			}
			if page.NextCursor == nil {
				break
			}
			next = "&cursor=" + *page.NextCursor
		}
		if len(seen) != 5 {
			t.Errorf("%s: %d of 5 in pages of two", list, len(seen))
		}
	}
}

func TestTeamsAreListedWithTheirMembers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	exec := func(sql string, args ...any) {
		t.Helper()
		if _, err := w.db.Pool().Exec(context.Background(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	core, empty := uuid.New(), uuid.New()
	exec(`INSERT INTO teams (id, org_id, name) VALUES ($1, $3, 'core'), ($2, $3, 'a')`, core, empty, w.org.ID)
	exec(`INSERT INTO team_members (org_id, team_id, email, role) VALUES ($1, $2, 'bob@example.com', 'admin'), ($1, $2, 'ann@example.com', 'member')`, w.org.ID, core)
	var list struct {
		Items []struct {
			Name    string
			Members []store.TeamMember
		}
	}
	w.get(w.read, "/api/v1/teams").want(200).into(&list)
	want := []store.TeamMember{{Email: "ann@example.com", Role: "member"}, {Email: "bob@example.com", Role: "admin"}}
	if len(list.Items) != 2 || list.Items[0].Name != "a" || len(list.Items[0].Members) != 0 || !cmp.Equal(list.Items[1].Members, want) {
		t.Errorf("teams %+v", list.Items)
	}
}
