package ui

import (
	"html"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/blameprompt/enterprise/policy"
	"github.com/blameprompt/enterprise/policy/access"
	"github.com/blameprompt/enterprise/policy/push"
	"github.com/blameprompt/enterprise/store"
	"github.com/blameprompt/enterprise/store/storetest"
)

// maxPage is what a page may weigh.
const maxPage = 100 << 10

// furnished is a world in which every list has rows, and every text of people
// and clients that the database takes is hostile.
func furnished(t testing.TB) *world {
	t.Helper()
	w := newWorld(t)
	w.clock.advance(0)
	storetest.Fill(t, w.db.Pool(), w.org.ID, 3000)
	nasty := strings.ReplaceAll(hostile, "\x00", "")
	for _, sql := range []string{
		`UPDATE receipts SET prompt_summary = $1, response_summary = $1, user_name = $1, provider = $1, session_id = $1, ref = $1, timestamp = now() - (id_number % 20) * interval '1 day'
		 FROM (SELECT id AS i, row_number() OVER () AS id_number FROM receipts) n WHERE n.i = receipts.id AND id_number <= 300`,
		`UPDATE receipt_files SET path = $1 WHERE receipt_id IN (SELECT id FROM receipts WHERE prompt_summary = $1)`,
		`UPDATE repos SET fetch_error = $1, fetch_failures = 3 WHERE name = 'repo-1'`,
		// Commits of the last days, every second with AI lines, every third with a note.
		`INSERT INTO commits (org_id, repo_id, commit, parents, author_name, author_email, authored_at, committer_name, committer_email,
			committed_at, subject, bot)
		 SELECT org_id, id, md5(name || i) || '00000000', '{}', $1, 'dev' || i || '@example.com', now() - i * interval '5 h', $1, '',
			now() - i * interval '5 h', $1, false FROM repos, generate_series(1, 70) i WHERE name = 'repo-1'`,
		`INSERT INTO commit_lines (org_id, repo_id, commit, on_default, merge, committed_at, day, author_email, added, ai, human, unknown,
			trailer, excluded, deleted, noted, agent, bot, state, digest)
		 SELECT org_id, repo_id, commit, true, false, committed_at, (committed_at AT TIME ZONE 'UTC')::date, author_email, 30, 10 * (n % 2),
			5, 25 - 10 * (n % 2), 0, 3, 4, n % 3 = 0, CASE n % 4 WHEN 0 THEN '<b>agent' ELSE '' END, false, 'classified', '\x00'
		 FROM (SELECT *, row_number() OVER (ORDER BY committed_at) AS n FROM commits WHERE subject = $1) c`,
		`INSERT INTO added_files SELECT org_id, repo_id, commit, convert_to($1, 'UTF8'), '', '', '', 30, ai, human, unknown, 0 FROM commit_lines`,
		`INSERT INTO added_runs SELECT org_id, repo_id, commit, convert_to($1, 'UTF8'), 1, 10, 'ai', 'blameprompt', 'exact', 'r-1', $1
		 FROM commit_lines WHERE ai > 0`,
		// The sums of receipts end months ago; here they end today.
		`UPDATE rollups SET day = day + 10000`, `UPDATE rollups SET day = day - 10000 + (current_date - date '2026-07-01')`,
	} {
		if !strings.Contains(sql, "$1") {
			sql += " WHERE $1 <> ''"
		}
		if _, err := w.db.Pool().Exec(t.Context(), sql, nasty); err != nil {
			t.Fatalf("%v: %s", err, sql)
		}
	}
	w.furnishEnforcement(nasty)
	return w
}

// furnishEnforcement makes policies, and decisions of every outcome.
func (w *world) furnishEnforcement(nasty string) {
	w.t.Helper()
	ctx, by := w.t.Context(), access.CLI(w.org.ID)
	doc, err := policy.Parse([]byte(`{"name": "no <b>bold</b> models", "rule": {"blocked_models": ["<script>*"]}, "action": "block"}`))
	if err != nil {
		w.t.Fatal(err)
	}
	row, err := w.db.CreatePolicy(ctx, by, doc)
	if err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.db.EnablePolicy(ctx, by, row.ID, 0, false); err != nil {
		w.t.Fatal(err)
	}
	repo, err := w.db.Repo(ctx, w.org.ID, "repo-1")
	if err != nil {
		w.t.Fatal(err)
	}
	for i, c := range []struct {
		outcome push.Outcome
		state   store.DecisionState
		holds   []string
	}{{push.Accept, store.StateFinal, nil}, {push.Warn, store.StateFinal, nil}, {push.Refuse, store.StateFinal, nil},
		{push.Pending, store.StatePending, nil}, {push.Pending, store.StateHeld, []string{"refs/heads/" + nasty}}} {
		commit := strings.Repeat(strconv.Itoa(i+1), 40)
		finding := push.Finding{PolicyID: row.ID.String(), PolicyName: nasty, Version: 1, Rule: "require_review_above", Problem: push.Violated,
			Outcome: push.Refuse, Commit: commit, File: nasty, Receipt: "r-1", Limit: nasty, Found: nasty, Message: nasty, Next: nasty}
		storetest.MustDecision(w.t, w.db, w.org, storetest.Decision{At: time.Now().Add(-time.Duration(i) * time.Minute), Repo: repo, Pusher: nasty,
			State: c.state, Holds: c.holds,
			Verdict: push.Verdict{Outcome: c.outcome, Findings: []push.Finding{finding}, Policies: []push.Judged{{PolicyID: row.ID.String(), PolicyName: nasty, Version: 1, Outcome: c.outcome}}},
			Input: push.Input{Refs: []push.Ref{{Name: "refs/heads/" + nasty, New: commit, Kind: push.Update}},
				Commits: []push.Commit{{OID: commit, Author: push.Person{Name: nasty}, Files: []push.File{{Path: nasty, Added: 10, AI: 4}}}}},
		})
	}
}

var linkTo = regexp.MustCompile(`(?:href|hx-get)="([^"#]*)`)

// Every link of every page leads to a page that is there, is small enough, and
// lets no text out. Pages of one kind are visited a few times.
func TestEveryLinkLeadsSomewhere(t *testing.T) {
	t.Parallel()
	w := furnished(t)
	b := w.person(w.org, "ada@example.com", access.RoleAdmin)
	seen, kinds, queue := map[string]bool{}, map[string]int{}, []string{"/"}
	for len(queue) > 0 {
		path := queue[0]
		queue = queue[1:]
		// The API is no page.
		if strings.HasPrefix(path, "/api/") || seen[path] || kinds[kindOfPath(path)] >= 6 {
			continue
		}
		seen[path] = true
		kinds[kindOfPath(path)]++
		got := b.get(path)
		if got.status != http.StatusOK {
			t.Errorf("%s: status %d", path, got.status)
			continue
		}
		if strings.HasPrefix(path, "/static/") || strings.Contains(got.header.Get("Content-Disposition"), "attachment") {
			continue
		}
		if len(got.body) > maxPage {
			t.Errorf("%s: %d bytes", path, len(got.body))
		}
		checkMarkup(t, path, got.body)
		for _, match := range linkTo.FindAllStringSubmatch(got.body, -1) {
			if link := html.UnescapeString(match[1]); link != "" {
				queue = append(queue, link)
			}
		}
	}
	if len(seen) < 60 {
		t.Errorf("only %d pages were found: %v", len(seen), kinds)
	}
}

var (
	idInPath   = regexp.MustCompile(`[0-9a-f-]{36}|r-[0-9]+`)
	queryNames = regexp.MustCompile(`=[^&]*`)
)

// kindOfPath is a path without what makes it one of many.
func kindOfPath(path string) string {
	return queryNames.ReplaceAllString(idInPath.ReplaceAllString(path, "{id}"), "")
}

// column is the one value that a query answers.
func (w *world) column(sql string) string {
	w.t.Helper()
	values := storetest.Column(w.t, w.db, sql)
	if len(values) != 1 {
		w.t.Fatalf("%d values of %s", len(values), sql)
	}
	return values[0]
}
