package httpapi_test

import (
	"context"
	"fmt"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/httpapi"
	"github.com/blameprompt/enterprise/httpapi/auth"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// things are what the first organisation has, for paths to name.
type things struct {
	repo, receipt, commit, key, secret, policy, decision, waiver, hold, connection, user, sshKey, price, session, team, invitation, signIn, report, schedule, endpoint, message string
}

func (w *world) makeThings() things {
	w.t.Helper()
	w.seed()
	repo := storetest.MustRepo(w.t, w.db, w.org, "fetched", "https://git.example.com/fetched.git")
	var key struct{ Key struct{ ID string } }
	w.post(w.admin, "/api/v1/keys", map[string]any{"name": "laptop", "scopes": []string{"read"}}).want(201).into(&key)
	var secret struct {
		WebhookSecret struct{ ID string } `json:"webhook_secret"`
	}
	w.post(w.admin, "/api/v1/webhook-secrets", map[string]any{"forge": "github"}).want(201).into(&secret)
	w.post(w.ingest, "/worker/notes/upload", map[string]any{"entries": []any{map[string]any{"commit_sha": commitA, "content": "x"}}}).want(200)
	th := things{repo: repo.ID.String(), receipt: "r1", commit: commitA, key: key.Key.ID, secret: secret.WebhookSecret.ID}
	w.makeRulings(&th, repo)
	connection, _, err := w.db.SaveConnection(w.t.Context(), access.CLI(w.org.ID),
		store.NewConnection{Forge: "gitea", APIURL: w.forge.URL, Owner: "acme", Token: "token"})
	if err != nil {
		w.t.Fatal(err)
	}
	th.connection = connection.ID.String()
	th.endpoint, th.message = w.makeEndpoint()
	w.makePeople(&th)
	w.makeMoney(&th)
	return th
}

// makePeople adds somebody with a key and a grant.
func (w *world) makePeople(th *things) {
	w.t.Helper()
	var made struct{ ID string }
	w.post(w.admin, "/api/v1/users", map[string]any{"email": "zoe@example.com"}).want(201).into(&made)
	th.user = made.ID
	w.post(w.admin, "/api/v1/ssh-keys", map[string]any{"user": th.user, "public_key": publicKey}).want(201).into(&made)
	th.sshKey = made.ID
	w.post(w.admin, "/api/v1/teams", map[string]any{"name": "web/secret"}).want(201).into(&made)
	th.team = made.ID
	w.do(call{method: "PUT", path: "/api/v1/teams/" + th.team + "/members/zoe@example.com", key: w.admin, body: map[string]any{"role": "admin"}}).want(200)
	var invited struct{ Invitation struct{ ID string } }
	w.post(w.admin, "/api/v1/invitations", map[string]any{"email": "new@example.com"}).want(201).into(&invited)
	th.invitation = invited.Invitation.ID
	th.signIn = w.sessionOf(w.signIn(w.org, "owner@example.com", access.RoleMember))
	w.do(call{method: "PUT", path: "/api/v1/grants", key: w.admin, body: map[string]any{"user": th.user, "repo": "fetched", "permission": "write"}}).want(200)
	w.post(w.admin, "/api/v1/reports", reportAsked).want(202).into(&made)
	th.report = made.ID
	w.post(w.admin, "/api/v1/report-schedules", scheduleAsked).want(201).into(&made)
	th.schedule = made.ID
}

var reportAsked = map[string]any{"type": "audit", "format": "csv", "from": "2026-01-01", "to": "2026-03-31"}

var scheduleAsked = map[string]any{"type": "soc2", "format": "pdf", "every": "quarter"}

// makeMoney sets a price, an alias, a rule on an address and one on a bot.
func (w *world) makeMoney(th *things) {
	w.t.Helper()
	put := func(path string, body map[string]any) reply {
		return w.do(call{method: "PUT", path: path, key: w.admin, body: body}).want(200)
	}
	var book struct{ Own []struct{ ID string } }
	put("/api/v1/prices", map[string]any{"items": []any{map[string]any{"model": "backend-secret-model", "input": 1}},
		"aliases": []any{map[string]any{"alias": "backend-secret", "model": "backend-secret-model"}}}).into(&book)
	th.price = book.Own[0].ID
	put("/api/v1/identities", map[string]any{"person": "zoe@example.com", "emails": []string{"backend-secret@example.com"}})
	put("/api/v1/bots", map[string]any{"pattern": "backend-secret", "bot": true})
	th.session = storetest.Column(w.t, w.db, `SELECT id::text FROM prompt_sessions ORDER BY 1 LIMIT 1`)[0]
}

// makeRulings makes a policy, a held decision by it, and a waiver.
func (w *world) makeRulings(th *things, repo store.Repo) {
	w.t.Helper()
	var made struct{ ID string }
	w.post(w.admin, "/api/v1/policies", `{"name":"Review/all","rule":{"require_review_above":10},"action":"block"}`).want(201).into(&made)
	th.policy = made.ID
	th.decision = w.held(repo, made.ID, commitA).String()
	var waivers struct{ Items []struct{ ID string } }
	w.post(w.admin, "/api/v1/waivers", map[string]any{"policy": "Review/all", "repo": "fetched", "pusher": "eve@example.com", "reason": "backend-secret",
		"expires_at": time.Now().Add(time.Hour).Format(time.RFC3339)}).want(201).into(&waivers)
	th.waiver = waivers.Items[0].ID
	th.hold = storetest.Column(w.t, w.db, `SELECT id::text FROM holds WHERE decision_id = $1`, th.decision)[0]
}

// held records a decision that holds main of a repository for Bob, because
// nobody reviewed a commit of Cy's.
func (w *world) held(repo store.Repo, policyID, commit string) uuid.UUID {
	w.t.Helper()
	finding := push.Finding{PolicyID: policyID, PolicyName: "Review/all", Version: 1, Rule: "require_review_above", Problem: push.Violated,
		Outcome: push.Refuse, Commit: commit, Message: "nobody reviewed it", Next: "have it reviewed"}
	return storetest.MustDecision(w.t, w.db, w.org, storetest.Decision{Repo: repo, Pusher: "bob@example.com", State: store.StateHeld,
		Verdict: push.Verdict{Outcome: push.Refuse, Findings: []push.Finding{finding}, Policies: []push.Judged{}},
		Input:   push.Input{Commits: []push.Commit{{OID: commit, PatchID: commit, Author: push.Person{Email: "cy@example.com"}}}},
		Holds:   []string{"refs/heads/main"}})
}

// probe is how an operation is asked in the walk: with names of the first
// organisation's things, and what a key of another one that may do everything
// gets.
type probe struct {
	path    func(th things) string
	body    any
	foreign int
}

func policyPath(rest string) func(things) string {
	return func(th things) string { return "/api/v1/policies/" + th.policy + rest }
}

func fixed(path string) func(things) string { return func(things) string { return path } }

// probes has every operation of openapi.yaml that needs a key.
var probes = map[string]probe{
	"listReceipts":       {fixed("/api/v1/receipts"), nil, 200},
	"postReceipts":       {fixed("/api/v1/receipts?repo=backend"), []any{map[string]any{"id": "r1", "model": "stolen"}}, 200},
	"getReceipt":         {func(th things) string { return "/api/v1/receipts/" + th.receipt }, nil, 404},
	"getAnalytics":       {fixed("/api/v1/analytics"), nil, 200},
	"getCoverage":        {fixed("/api/v1/coverage"), nil, 200},
	"listCoverageEvents": {fixed("/api/v1/coverage/events?kind=push"), nil, 200},
	"listCommits":        {fixed("/api/v1/commits"), nil, 200},
	"getLive":            {fixed("/api/v1/live"), nil, 200},
	"getLiveFile":        {func(th things) string { return "/api/v1/repos/" + th.repo + "/live/files/x" }, nil, 404},
	"recallLines":        {fixed("/api/v1/recall?model=m"), nil, 200},
	"getRework":          {fixed("/api/v1/rework"), nil, 200},
	"listRepos":          {fixed("/api/v1/repos"), nil, 200},
	"addRepo":            {fixed("/api/v1/repos"), map[string]any{"name": "fetched", "url": "https://git.example.com/mine.git"}, 201},
	"getRepo":            {func(th things) string { return "/api/v1/repos/" + th.repo }, nil, 404},
	"updateRepo":         {func(th things) string { return "/api/v1/repos/" + th.repo }, map[string]any{"mode": "enforcing"}, 404},
	"checkHook":          {fixed("/api/v1/hook?repo=fetched"), nil, 200},
	"judgePush":          {fixed("/api/v1/hook/push"), aPush, 200},
	"reportPush":         {fixed("/api/v1/hook/received"), aPush, 204},
	"removeRepo":         {func(th things) string { return "/api/v1/repos/" + th.repo }, nil, 404},
	"syncRepo":           {func(th things) string { return "/api/v1/repos/" + th.repo + "/sync" }, nil, 404},
	"getCommit": {func(th things) string { return "/api/v1/repos/" + th.repo + "/commits/" + th.commit }, nil,
		404},
	"listFindings":       {func(th things) string { return "/api/v1/repos/" + th.repo + "/findings" }, nil, 404},
	"listLineBranches":   {func(th things) string { return "/api/v1/repos/" + th.repo + "/branches" }, nil, 404},
	"addLineBranch":      {func(th things) string { return "/api/v1/repos/" + th.repo + "/branches" }, map[string]any{"ref": "refs/heads/next"}, 404},
	"dropLineBranch":     {func(th things) string { return "/api/v1/repos/" + th.repo + "/branches?ref=refs/heads/next" }, nil, 404},
	"listReattachments":  {func(th things) string { return "/api/v1/repos/" + th.repo + "/reattachments" }, nil, 404},
	"getOrg":             {fixed("/api/v1/org"), nil, 200},
	"updateOrg":          {fixed("/api/v1/org"), map[string]any{"store_conversations": true}, 200},
	"listKeys":           {fixed("/api/v1/keys"), nil, 200},
	"createKey":          {fixed("/api/v1/keys"), map[string]any{"name": "k", "scopes": []string{"admin"}}, 201},
	"revokeKey":          {func(th things) string { return "/api/v1/keys/" + th.key }, nil, 404},
	"listPolicies":       {fixed("/api/v1/policies"), nil, 200},
	"createPolicy":       {fixed("/api/v1/policies"), `{"name":"Review/all","rule":{"require_receipts":true},"enabled":false}`, 201},
	"evaluatePush":       {fixed("/api/v1/policies/evaluate"), map[string]any{"repo": "fetched", "push": aPush}, 200},
	"backtestPolicy":     {fixed("/api/v1/policies/backtest"), `{"document":{"name":"x","rule":{"require_receipts":true}}}`, 200},
	"getPolicySchema":    {fixed("/api/v1/policies/schema/policy"), nil, 200},
	"getPolicy":          {policyPath(""), nil, 404},
	"replacePolicy":      {policyPath(""), `{"name":"mine","rule":{"require_receipts":true}}`, 404},
	"updatePolicy":       {policyPath(""), `{"enabled":false}`, 404},
	"removePolicy":       {policyPath(""), nil, 404},
	"enablePolicy":       {policyPath("/enable"), nil, 404},
	"disablePolicy":      {policyPath("/disable"), nil, 404},
	"listPolicyVersions": {policyPath("/versions"), nil, 404},
	"getPolicyVersion":   {policyPath("/versions/1"), nil, 404},
	"listDecisions":      {fixed("/api/v1/decisions"), nil, 200},
	"getDecision":        {func(th things) string { return "/api/v1/decisions/" + th.decision }, nil, 404},
	"listViolations":     {fixed("/api/v1/violations"), nil, 200},
	"listWaivers":        {fixed("/api/v1/waivers"), nil, 200},
	"createWaiver": {fixed("/api/v1/waivers"), map[string]any{"policy": "Review/all", "repo": "fetched", "reason": "why not",
		"expires_at": "2999-01-01T00:00:00Z"}, 400},
	"revokeWaiver":      {func(th things) string { return "/api/v1/waivers/" + th.waiver }, nil, 404},
	"listReviews":       {fixed("/api/v1/reviews"), nil, 200},
	"createReview":      {fixed("/api/v1/reviews"), map[string]any{"repo": "unknown", "commit": commitA, "approved": true}, 400},
	"getReviewQueue":    {fixed("/api/v1/reviews/queue"), nil, 200},
	"listHolds":         {fixed("/api/v1/holds"), nil, 200},
	"releaseHold":       {func(th things) string { return "/api/v1/holds/" + th.hold + "/release" }, map[string]any{"reason": "mine"}, 404},
	"listTeams":         {fixed("/api/v1/teams"), nil, 200},
	"listPrices":        {fixed("/api/v1/prices"), nil, 200},
	"setPrices":         {fixed("/api/v1/prices"), map[string]any{"items": []any{map[string]any{"model": "mine", "input": 1}}}, 200},
	"removePrice":       {func(th things) string { return "/api/v1/prices/" + th.price }, nil, 404},
	"removePriceAlias":  {fixed("/api/v1/price-aliases?alias=backend-secret"), nil, 404},
	"listPricePeriods":  {fixed("/api/v1/price-periods?model=backend-secret"), nil, 200},
	"listIdentities":    {fixed("/api/v1/identities"), nil, 200},
	"joinIdentities":    {fixed("/api/v1/identities"), map[string]any{"person": "a@example.com", "emails": []string{"b@example.com"}}, 200},
	"listIdentityRules": {fixed("/api/v1/identity-rules"), nil, 200},
	"splitIdentity":     {fixed("/api/v1/identity-rules"), map[string]any{"email": "zoe@example.com"}, 204},
	"resetIdentity":     {fixed("/api/v1/identity-rules?email=backend-secret@example.com"), nil, 404},
	"listBots":          {fixed("/api/v1/bots"), nil, 200},
	"setBot":            {fixed("/api/v1/bots"), map[string]any{"pattern": "x", "bot": true}, 200},
	"removeBot":         {fixed("/api/v1/bots?pattern=backend-secret"), nil, 404},
	"listSessions":      {fixed("/api/v1/sessions"), nil, 200},
	"getSession":        {func(th things) string { return "/api/v1/sessions/" + th.session }, nil, 404},
	"getAuditHead":      {fixed("/api/v1/audit/head"), nil, 200},
	"listReports":       {fixed("/api/v1/reports"), nil, 200},
	"createReport":      {fixed("/api/v1/reports"), reportAsked, 202},
	"getReport":         {func(th things) string { return "/api/v1/reports/" + th.report }, nil, 404},
	"removeReport":      {func(th things) string { return "/api/v1/reports/" + th.report }, nil, 404},
	"getReportContent":  {func(th things) string { return "/api/v1/reports/" + th.report + "/content" }, nil, 404},
	"getReportSchema":   {fixed("/api/v1/report-schema"), nil, 200},

	"listEndpoints":    {fixed("/api/v1/endpoints"), nil, 200},
	"createEndpoint":   {fixed("/api/v1/endpoints"), map[string]any{"name": "mine", "url": "https://hooks.example.com/x"}, 201},
	"getEndpoint":      {func(th things) string { return "/api/v1/endpoints/" + th.endpoint }, nil, 404},
	"updateEndpoint":   {func(th things) string { return "/api/v1/endpoints/" + th.endpoint }, map[string]any{"enabled": false}, 404},
	"removeEndpoint":   {func(th things) string { return "/api/v1/endpoints/" + th.endpoint }, nil, 404},
	"rotateEndpoint":   {func(th things) string { return "/api/v1/endpoints/" + th.endpoint + "/rotate" }, nil, 404},
	"pingEndpoint":     {func(th things) string { return "/api/v1/endpoints/" + th.endpoint + "/ping" }, nil, 404},
	"listMessages":     {fixed("/api/v1/messages"), nil, 200},
	"redeliverMessage": {func(th things) string { return "/api/v1/messages/" + th.message + "/redeliver" }, nil, 404},

	"listWebhookDeliveries": {fixed("/api/v1/webhook-deliveries"), nil, 200},
	"redeliverWebhook":      {fixed("/api/v1/webhook-deliveries/redeliver"), map[string]any{"forge": "gitea", "delivery": "backend-secret"}, 404},

	"listReportSchedules":  {fixed("/api/v1/report-schedules"), nil, 200},
	"createReportSchedule": {fixed("/api/v1/report-schedules"), scheduleAsked, 201},
	"removeReportSchedule": {func(th things) string { return "/api/v1/report-schedules/" + th.schedule }, nil, 404},

	"createTeam":          {fixed("/api/v1/teams"), map[string]any{"name": "web/secret"}, 201},
	"getTeam":             {func(th things) string { return "/api/v1/teams/" + th.team }, nil, 404},
	"updateTeam":          {func(th things) string { return "/api/v1/teams/" + th.team }, map[string]any{"name": "mine"}, 404},
	"removeTeam":          {func(th things) string { return "/api/v1/teams/" + th.team }, nil, 404},
	"setTeamMember":       {func(th things) string { return "/api/v1/teams/" + th.team + "/members/eve@example.com" }, map[string]any{"role": "admin"}, 404},
	"removeTeamMember":    {func(th things) string { return "/api/v1/teams/" + th.team + "/members/zoe@example.com" }, nil, 404},
	"getUser":             {func(th things) string { return "/api/v1/users/" + th.user }, nil, 404},
	"updateUser":          {func(th things) string { return "/api/v1/users/" + th.user }, map[string]any{"role": "viewer"}, 404},
	"createPasswordLink":  {func(th things) string { return "/api/v1/users/" + th.user + "/password-link" }, nil, 404},
	"listInvitations":     {fixed("/api/v1/invitations"), nil, 200},
	"createInvitation":    {fixed("/api/v1/invitations"), map[string]any{"email": "new@example.com"}, 201},
	"revokeInvitation":    {func(th things) string { return "/api/v1/invitations/" + th.invitation }, nil, 404},
	"getAccount":          {fixed("/api/v1/account"), nil, 403},
	"changePassword":      {fixed("/api/v1/account/password"), map[string]any{"old_password": "x", "password": "correct horse battery"}, 403},
	"listSignIns":         {fixed("/api/v1/account/sign-ins"), nil, 403},
	"endSignIn":           {func(th things) string { return "/api/v1/account/sign-ins/" + th.signIn }, nil, 403},
	"endOtherSignIns":     {fixed("/api/v1/account/sign-ins"), nil, 403},
	"listAudit":           {fixed("/api/v1/audit"), nil, 200},
	"listRetention":       {fixed("/api/v1/retention"), nil, 200},
	"setRetention":        {fixed("/api/v1/retention"), map[string]any{"class": "deliveries", "days": 90}, 204},
	"exportPerson":        {fixed("/api/v1/people/export"), map[string]any{"email": "backend-secret@example.com"}, 200},
	"erasePerson":         {fixed("/api/v1/people/erase"), map[string]any{"email": "nobody-at-all@example.com"}, 200},
	"listUsers":           {fixed("/api/v1/users"), nil, 200},
	"createUser":          {fixed("/api/v1/users"), map[string]any{"email": "zoe@example.com"}, 201},
	"disableUser":         {func(th things) string { return "/api/v1/users/" + th.user }, nil, 404},
	"listSSHKeys":         {fixed("/api/v1/ssh-keys"), nil, 200},
	"addSSHKey":           {fixed("/api/v1/ssh-keys"), map[string]any{"user": "nobody@example.com", "public_key": publicKey}, 400},
	"revokeSSHKey":        {func(th things) string { return "/api/v1/ssh-keys/" + th.sshKey }, nil, 404},
	"listGrants":          {fixed("/api/v1/grants"), nil, 200},
	"setGrant":            {fixed("/api/v1/grants"), map[string]any{"user": "nobody@example.com", "permission": "write"}, 400},
	"removeGrant":         {func(th things) string { return "/api/v1/grants?repo=" + th.repo + "&user=" + th.user }, nil, 400},
	"listWebhookSecrets":  {fixed("/api/v1/webhook-secrets"), nil, 200},
	"createWebhookSecret": {fixed("/api/v1/webhook-secrets"), map[string]any{"forge": "gitea"}, 201},
	"revokeWebhookSecret": {func(th things) string { return "/api/v1/webhook-secrets/" + th.secret }, nil, 404},
	"listConnections":     {fixed("/api/v1/connections"), nil, 200},
	"connect":             {fixed("/api/v1/connections"), map[string]any{"forge": "github", "owner": "acme", "token": ""}, 400},
	"disconnect":          {func(th things) string { return "/api/v1/connections/" + th.connection }, nil, 404},
	"uploadNotes": {fixed("/worker/notes/upload"),
		map[string]any{"entries": []any{map[string]any{"commit_sha": commitA, "content": "stolen"}}}, 200},
	"readNotes":      {fixed("/worker/notes?commits=" + commitB), nil, 200},
	"getMe":          {fixed("/api/me"), nil, 200},
	"syncActivities": {fixed("/api/sync"), map[string]any{"activities": []any{}}, 200},
}

// operations of openapi.yaml: id -> method and scope.
func (w *world) operations() map[string][2]string {
	ops := map[string][2]string{}
	for _, item := range w.spec.Paths.Map() {
		for method, op := range item.Operations() {
			scope, _ := op.Extensions["x-scope"].(string)
			ops[op.OperationID] = [2]string{method, scope}
		}
	}
	return ops
}

func TestEveryOperationIsProbed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for id, op := range w.operations() {
		if _, ok := probes[id]; !ok && op[1] != "public" {
			t.Errorf("operation %s is not in the table of probes: nobody knows what a foreign key gets", id)
		}
	}
}

func TestNoOperationAnswersWithoutAKey(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	th := w.makeThings()
	for id, op := range w.operations() {
		p, ok := probes[id]
		if !ok {
			continue
		}
		for name, key := range map[string]string{"no key": "", "an unknown key": "bpe_" + strings.Repeat("a", 43), "nonsense": "nonsense"} {
			got := w.do(call{method: op[0], path: p.path(th), body: p.body, key: key})
			if got.status != 401 || got.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s with %s: status %d, want 401 with a challenge", id, name, got.status)
			}
		}
	}
}

func TestNoOperationAnswersAKeyOfTooLittleScope(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	th := w.makeThings()
	keys := map[string]string{"ingest": w.ingest, "hook": w.hook, "read": w.read, "write": w.write}
	for id, op := range w.operations() {
		p, ok := probes[id]
		if !ok {
			continue
		}
		for scope, key := range keys {
			allowed := op[1] == "any" || strings.Contains(op[1], scope) || (scope == "write" && strings.Contains(op[1], "read"))
			got := w.do(call{method: op[0], path: p.path(th), body: p.body, key: key})
			if !allowed && (got.status != 403 || !strings.Contains(got.problem().Detail, op[1])) {
				t.Errorf("%s with scope %s: status %d, want 403 that names %s: %s", id, scope, got.status, op[1], got.body)
			}
			if allowed && (got.status == 401 || got.status == 403) {
				t.Errorf("%s with scope %s: status %d, want it allowed", id, scope, got.status)
			}
		}
	}
}

// TestAForeignKeyNeitherSeesNorChanges walks every operation with a key that
// may do everything in another organisation, and compares all that the first
// organisation holds before and after.
func TestAForeignKeyNeitherSeesNorChanges(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	th := w.makeThings()
	before := w.dump()
	ops := w.operations()
	for _, id := range sortedIDs() {
		p := probes[id]
		got := w.do(call{method: ops[id][0], path: p.path(th), body: p.body, key: w.foreignAdmin})
		if got.status != p.foreign {
			t.Errorf("%s with a foreign key: status %d, want %d: %s", id, got.status, p.foreign, got.body)
		}
		for _, mine := range []string{w.org.ID.String(), th.repo, th.key, th.secret, th.policy, th.decision, th.waiver, th.hold, th.user, th.sshKey, th.price, th.session, th.team, th.invitation, th.signIn, "ann@example.com", "backend-secret", "web/app"} {
			if strings.Contains(string(got.body), mine) {
				t.Errorf("%s shows a foreign key %s: %s", id, mine, got.body)
			}
		}
	}
	w.unchanged(before)
}

// unchanged compares the rows of the first organisation with those of a dump.
func (w *world) unchanged(before map[string][]string) {
	w.t.Helper()
	if diff := cmp.Diff(before, w.dump()); diff != "" {
		w.t.Errorf("somebody foreign changed rows (-before +after):\n%s", diff)
	}
}

func sortedIDs() []string {
	var ids []string
	for id := range probes {
		ids = append(ids, id)
	}
	sort.Strings(ids)
	return ids
}

// dump is every row of the first organisation, as text by table.
func (w *world) dump() map[string][]string {
	w.t.Helper()
	ctx := context.Background()
	tables, err := w.db.Pool().Query(ctx, `SELECT table_name || CASE column_name WHEN 'id' THEN ' id' ELSE ' org_id' END
		FROM information_schema.columns WHERE table_schema = 'public' AND (column_name = 'org_id' OR table_name = 'orgs' AND column_name = 'id')`)
	if err != nil {
		w.t.Fatal(err)
	}
	var list []string
	for tables.Next() {
		var s string
		if err := tables.Scan(&s); err != nil {
			w.t.Fatal(err)
		}
		list = append(list, s)
	}
	out := map[string][]string{}
	for _, entry := range list {
		table, column, _ := strings.Cut(entry, " ")
		var rows []string
		err := w.db.Pool().QueryRow(ctx, fmt.Sprintf(`SELECT coalesce(array_agg((to_jsonb(t) - 'last_used_at')::text ORDER BY to_jsonb(t)::text), '{}')
			FROM %s t WHERE %s = $1`, table, column), w.org.ID).Scan(&rows)
		if err != nil {
			w.t.Fatalf("%s: %v", table, err)
		}
		out[table] = rows
	}
	if len(out) < 15 {
		w.t.Fatalf("only %d tables have an organisation", len(out))
	}
	return out
}

func TestARevokedKeyDies(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var made struct {
		Key    struct{ ID, Prefix string }
		Secret string
	}
	w.post(w.admin, "/api/v1/keys", map[string]any{"name": "laptop", "scopes": []string{"read"}, "expires_at": "2999-01-01T00:00:00Z"}).
		want(201).into(&made)
	if !strings.HasPrefix(made.Secret, made.Key.Prefix) || !strings.HasPrefix(made.Secret, store.KeyPrefix) {
		t.Errorf("secret %q and prefix %q do not fit", made.Secret, made.Key.Prefix)
	}
	w.get(made.Secret, "/api/v1/org").want(200)
	if list := w.get(w.admin, "/api/v1/keys").want(200); strings.Contains(string(list.body), made.Secret) {
		t.Error("the list of keys shows a secret")
	}
	w.do(call{method: "DELETE", path: "/api/v1/keys/" + made.Key.ID, key: w.admin}).want(204)
	w.get(made.Secret, "/api/v1/org").want(401)
	w.do(call{method: "DELETE", path: "/api/v1/keys/" + made.Key.ID, key: w.admin}).want(204)
	var me struct{ Username string }
	if w.get(w.admin, "/api/me").want(200).into(&me); me.Username != t.Name() {
		t.Errorf("username %q, want the key's name", me.Username)
	}
}

func TestAKeyRevokedElsewhereDiesWithinTheTTL(t *testing.T) {
	t.Parallel()
	clock := &clock{now: time.Now()}
	w := newWorld(t, func(c *httpapi.Config) { c.Auth = auth.Config{Now: clock.time} })
	keys, err := w.db.Keys(context.Background(), w.org.ID)
	if err != nil {
		t.Fatal(err)
	}
	w.get(w.read, "/api/v1/org").want(200)
	for _, k := range keys {
		if _, err := w.db.RevokeKey(context.Background(), access.CLI(w.org.ID), k.ID); err != nil {
			t.Fatal(err)
		}
	}
	clock.advance(auth.MaxTTL)
	w.get(w.read, "/api/v1/org").want(401)
}

func TestAKeyThatAsksTooOftenWaits(t *testing.T) {
	t.Parallel()
	clock := &clock{now: time.Now()}
	w := newWorld(t, func(c *httpapi.Config) { c.Auth = auth.Config{PerSecond: 0.5, Burst: 3, Now: clock.time} })
	for range 3 {
		w.get(w.read, "/api/v1/org").want(200)
	}
	// A body that never comes must not be waited for.
	got := w.do(call{method: "GET", path: "/api/v1/org", key: w.read}).want(429)
	if got.header.Get("Retry-After") != "2" || got.problem().Code != "rate_limited" {
		t.Errorf("Retry-After %q: %s", got.header.Get("Retry-After"), got.body)
	}
	w.get(w.admin, "/api/v1/org").want(200)
	clock.advance(2 * time.Second)
	w.get(w.read, "/api/v1/org").want(200)
}

func TestAnAddressThatGuessesIsStoppedAndItsNeighboursAreNot(t *testing.T) {
	t.Parallel()
	clock := &clock{now: time.Now()}
	w := newWorld(t, func(c *httpapi.Config) { c.Auth = auth.Config{Guesses: 3, Now: clock.time} })
	w.get(w.read, "/api/v1/org").want(200)
	for i := range 3 {
		w.get(fmt.Sprintf("bpe_guess%d", i), "/api/v1/org").want(401)
	}
	w.get("bpe_guess3", "/api/v1/org").want(429)
	w.get(w.read, "/api/v1/org").want(200)
	clock.advance(auth.MaxTTL / 2)
	w.get(w.read, "/api/v1/org").want(200)
	clock.advance(2 * time.Second)
	w.get("bpe_guess4", "/api/v1/org").want(401)
}

// clock is a clock that stands still until it is advanced.
type clock struct {
	now time.Time
	mu  sync.Mutex
}

func (c *clock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestKeysAreReadFromEitherHeaderButNotFromTwo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, test := range []struct {
		header map[string]string
		want   int
	}{
		{map[string]string{"Authorization": "Bearer " + w.read}, 200},
		{map[string]string{"Authorization": "bearer  " + w.read}, 200},
		{map[string]string{"X-API-Key": w.read}, 200},
		{map[string]string{"X-API-Key": w.read, "Authorization": "Bearer " + w.read}, 200},
		{map[string]string{"X-API-Key": w.read, "Authorization": "Bearer " + w.admin}, 401},
		{map[string]string{"Authorization": "Basic " + w.read}, 401},
		{map[string]string{"Authorization": "Bearer"}, 401},
		{map[string]string{"X-API-Key": strings.Repeat("x", 5000)}, 401},
		{map[string]string{"X-API-Key": "bpe_\x80"}, 401},
	} {
		if got := w.do(call{method: "GET", path: "/api/v1/org", header: test.header}); got.status != test.want {
			t.Errorf("%v: status %d, want %d", test.header, got.status, test.want)
		}
	}
}
