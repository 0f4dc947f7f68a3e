package storetest

import (
	"fmt"
	"strings"

	"github.com/blameprompt/enterprise/policy/push"
)

// historyStatements make, after those of Fill, what the daemon keeps besides
// receipts: classes of the lines of one commit in five that has receipts and of
// half as many without, live lines of 400 files of each repository, a decision
// on every twentieth receipt's push with its findings, findings of intake, acts
// and deliveries. Sums are the work of the database's own triggers, one
// repository at a time.
func historyStatements() []string {
	return append(append(append([]string{}, drawCommits...), lineStatements...), pushStatements()...)
}

var drawCommits = []string{
	`CREATE TEMP TABLE drawn_commits AS
	SELECT repo_id, commit_hash AS commit, max(timestamp) + interval '3 minutes' AS at, max(day) AS day, min(user_email) AS email,
	       min(user_name) AS name, (array_agg(provider ORDER BY id))[1] AS provider,
	       (array_agg(model ORDER BY id))[1] AS model, min(id) AS receipt_id, 20 * count(*) AS ai,
	       (hashtext(commit_hash) & 15) AS human, (hashtext(commit_hash || 'u') & 31) AS unknown, true AS noted, '' AS agent
	FROM receipts WHERE org_id = $1 AND current AND hashtext(commit_hash) % 5 = 0 GROUP BY repo_id, commit_hash`,
	`INSERT INTO drawn_commits
	SELECT repo_id, md5('u' || commit) || '00000000', at + interval '1 hour', day, email, name, '', '', '', 0, 0, 30 + unknown, false,
	       CASE WHEN human = 3 THEN 'copilot' ELSE '' END
	FROM drawn_commits WHERE hashtext(commit || 'half') % 2 = 0`,
	`ALTER TABLE drawn_commits ADD path bytea`,
	`UPDATE drawn_commits c SET path = convert_to(f.path, 'UTF8') FROM receipt_files f
	WHERE f.org_id = $1 AND f.receipt_id = c.receipt_id AND f.position = 1`,
	`UPDATE drawn_commits SET path = convert_to('src/plain/file' || unknown || '.go', 'UTF8') WHERE path IS NULL`,
	`CREATE INDEX ON drawn_commits (repo_id)`,
	`ANALYZE drawn_commits`,
}

// perRepo runs statements for each repository r.id.
func perRepo(statements ...string) string {
	return `DO $do$ DECLARE r record; BEGIN FOR r IN SELECT id, org_id FROM repos ORDER BY name LOOP ` +
		strings.Join(statements, ";\n") + `; END LOOP; END $do$`
}

var lineStatements = []string{
	`INSERT INTO commits (org_id, repo_id, commit, parents, author_name, author_email, authored_at, committer_name, committer_email,
		committed_at, subject, agents, bot, co_authors)
	SELECT $1, repo_id, commit, ARRAY[md5(commit) || '00000000'], name, email, at, name, email, at, 'Change ' || left(commit, 7), NULL, false, NULL
	FROM drawn_commits ORDER BY at`,
	// Files before their commits, with which their lines begin to count.
	`INSERT INTO added_files (org_id, repo_id, commit, path, old_path, blob, excluded, added, ai, human, unknown, trailer)
	SELECT $1, repo_id, commit, path, '', md5(commit || 'b') || '00000000', '', ai + human + unknown, ai, human, unknown, 0 FROM drawn_commits`,
	perRepo(`INSERT INTO commit_lines (org_id, repo_id, commit, on_default, merge, committed_at, day, author_email, added, ai, human, unknown,
			trailer, excluded, deleted, noted, agent, bot, state, digest)
		SELECT r.org_id, repo_id, commit, true, false, at, (at AT TIME ZONE 'UTC')::date, email, ai + human + unknown, ai, human, unknown, 0, 0, 7,
		       noted, agent, false, 'classified', ''
		FROM drawn_commits WHERE repo_id = r.id`,
		`INSERT INTO commit_owners (org_id, repo_id, commit, provider, model, on_default, day, author_email, ai, trailer)
		SELECT r.org_id, repo_id, commit, provider, model, true, (at AT TIME ZONE 'UTC')::date, email, ai, 0
		FROM drawn_commits WHERE repo_id = r.id AND noted`),
	`INSERT INTO added_runs (org_id, repo_id, commit, path, first, last, class, source, confidence, receipt_id, author)
	SELECT $1::uuid, repo_id, commit, path, 1, ai, 'ai', 'blameprompt', 'exact', receipt_id, '' FROM drawn_commits WHERE noted
	UNION ALL
	SELECT $1::uuid, repo_id, commit, path, ai + 1, ai + human, 'human', 'git-ai', 'attested', '', email FROM drawn_commits WHERE human > 0`,
	`INSERT INTO line_tips (org_id, repo_id, ref, tip, globs, rules, done_at)
	SELECT org_id, id, 'refs/heads/main', md5('tip' || name) || '00000000', '{}', '', now() FROM repos WHERE org_id = $1`,
	`INSERT INTO live_tips (org_id, repo_id, ref, tip, tip_at, git_version, exclude_revision, boundary, generation)
	SELECT org_id, id, 'refs/heads/main', md5('tip' || name) || '00000000', {end}, '2.39', '', '', 1 FROM repos WHERE org_id = $1`,
	// Eight runs of eight commits in each of 400 files.
	`CREATE TEMP TABLE drawn_live AS
	SELECT repo_id, commit, at, email, noted, receipt_id, i, (i - 1) / 8 AS file, (i - 1) % 8 AS run, 3 + (i * 7) % 25 AS lines
	FROM (SELECT *, row_number() OVER (PARTITION BY repo_id ORDER BY md5(commit))::int AS i FROM drawn_commits) c WHERE i <= 3200`,
	`ALTER TABLE drawn_live ADD first int`,
	`UPDATE drawn_live d SET first = s.first FROM (SELECT repo_id, i, (1 + sum(lines) OVER (PARTITION BY repo_id, file ORDER BY run) - lines)::int AS first
		FROM drawn_live) s WHERE s.repo_id = d.repo_id AND s.i = d.i`,
	`CREATE INDEX ON drawn_live (repo_id)`,
	`INSERT INTO live_commits (org_id, repo_id, commit_id, author_email, committed_at, day, landed_at)
	SELECT $1, repo_id, commit, email, at, (at AT TIME ZONE 'UTC')::date, at FROM drawn_live`,
	perRepo(`INSERT INTO live_runs (org_id, repo_id, path, first, last, commit_id, origin_path, origin_line, class, source, confidence, receipt_id, author)
		SELECT r.org_id, repo_id, convert_to('src/mod' || file % 20 || '/live' || file || '.go', 'UTF8'), first, first + lines - 1, commit,
		       convert_to('src/mod' || file % 20 || '/live' || file || '.go', 'UTF8'), 1, c.class,
		       CASE WHEN c.class = 'ai' THEN 'blameprompt' ELSE '' END, CASE WHEN c.class = 'ai' THEN 'exact' ELSE '' END,
		       CASE WHEN c.class = 'ai' THEN receipt_id ELSE '' END, ''
		FROM drawn_live, LATERAL (SELECT CASE WHEN noted THEN 'ai' WHEN run % 4 = 1 THEN 'human' ELSE 'unknown' END AS class) c WHERE repo_id = r.id`,
		`INSERT INTO live_files (org_id, repo_id, path, directory, blob, kind, reason, generation, lines, ai, human, unknown)
		SELECT org_id, repo_id, path, convert_to(substring(convert_from(path, 'UTF8') FROM '^.*/'), 'UTF8'), md5(path) || '00000000', 'text', '', 1,
		       sum(last - first + 1), coalesce(sum(last - first + 1) FILTER (WHERE class = 'ai'), 0),
		       coalesce(sum(last - first + 1) FILTER (WHERE class = 'human'), 0), coalesce(sum(last - first + 1) FILTER (WHERE class = 'unknown'), 0)
		FROM live_runs WHERE org_id = r.org_id AND repo_id = r.id GROUP BY org_id, repo_id, path`,
		`INSERT INTO removed_runs (org_id, repo_id, commit_id, origin_path, first, last, ended_at, ended_tip, class, source, confidence, receipt_id, author)
		SELECT r.org_id, repo_id, commit, convert_to('src/mod1/gone.go', 'UTF8'), 1, lines, at + interval '20 days' * (1 + run), 'x',
		       CASE WHEN noted THEN 'ai' ELSE 'unknown' END, CASE WHEN noted THEN 'blameprompt' ELSE '' END,
		       CASE WHEN noted THEN 'exact' ELSE '' END, receipt_id, ''
		FROM drawn_live WHERE repo_id = r.id AND i % 3 = 0`),
	`SELECT prompt_sessions_sum(ARRAY(SELECT DISTINCT ROW(org_id, provider, session_id)::session_key FROM prompts WHERE org_id = $1))`,
}

// Ids of the policies that decisions name.
const policyIDs = `md5('policy' || i % 5)::uuid`

func pushStatements() []string {
	finding := push.Finding{PolicyID: "POLICY", PolicyName: "NAME", Version: 1, Rule: "blocked_models", Problem: "blocked", Commit: "COMMIT",
		Model: "gpt-4o", Limit: "no gpt-4o", Found: "gpt-4o", Message: "The model gpt-4o is blocked.", Next: "Ask for a waiver, or use another model."}
	refused, warned := finding, finding
	refused.Outcome, warned.Outcome = push.Refuse, push.Warn
	verdict := func(o push.Outcome, findings ...push.Finding) string {
		return "'" + text(push.Verdict{Outcome: o, Findings: append([]push.Finding{}, findings...), Policies: []push.Judged{}}) + "'"
	}
	named := func(json string) string {
		return `replace(replace(replace(` + json + `, 'POLICY', ` + policyIDs + `::text), 'NAME', 'Policy ' || i % 5), 'COMMIT', commit)`
	}
	refs := text([]push.Ref{{Name: "refs/heads/main", Old: strings.Repeat("1", 40), New: "COMMIT", Kind: push.Update}})
	return []string{
		`INSERT INTO policies (id, org_id, name, version, enabled, document)
		SELECT ` + policyIDs + `, $1, 'Policy ' || i % 5, 1, true,
		       ('{"name": "Policy ' || i % 5 || '", "enforcement": "block", "rules": {"blocked_models": ["gpt-4o"]}}')::json
		FROM generate_series(0, 4) i`,
		`INSERT INTO policy_versions (org_id, policy_id, version, document, change, author)
		SELECT org_id, id, 1, document, 'create', 'cli' FROM policies WHERE org_id = $1`,
		`INSERT INTO users (id, org_id, email, name)
		SELECT md5('user' || i)::uuid, $1, 'dev' || i || '@example.com', 'Dev ' || i FROM generate_series(0, 199) i`,
		`CREATE TEMP TABLE drawn_pushes AS
		SELECT i, gen.id, c.repo_id, p.name AS repo, c.commit, c.email, c.at, c.ai, c.human, c.unknown, c.noted,
		       CASE WHEN i % 10 = 0 THEN 'refuse' WHEN i % 10 = 1 THEN 'warn' ELSE 'accept' END AS outcome
		FROM (SELECT *, row_number() OVER (ORDER BY md5(commit))::int AS i FROM drawn_commits) c JOIN repos p ON p.id = c.repo_id,
		LATERAL (SELECT (lpad(to_hex((extract(epoch FROM c.at) * 1000)::bigint), 12, '0') || '7' || substr(md5(c.commit || c.repo_id), 1, 3) || '8' ||
		         substr(md5(c.commit || c.repo_id), 4, 15))::uuid AS id) gen
		WHERE i <= {n} / 20`,
		`INSERT INTO decisions (org_id, id, at, repo_id, repo, pusher, pusher_name, forge, via, refs, outcome, state, receipt_mode, commits, added,
			ai, human, verdict, took_us, request_id)
		SELECT $1, id, at, repo_id, repo, email, email, 'git', 'push', replace('` + refs + `', 'COMMIT', commit)::json, outcome, 'final', 'deferred', 1,
		       ai + human + unknown, ai, human,
		       (CASE outcome WHEN 'refuse' THEN ` + named(verdict(push.Refuse, refused)) + ` WHEN 'warn' THEN ` + named(verdict(push.Warn, warned)) + `
		        ELSE ` + verdict(push.Accept) + ` END)::json, 1200 + i % 3000, ''
		FROM drawn_pushes ORDER BY at`,
		`INSERT INTO decision_inputs (org_id, decision_id, push, input) SELECT $1, id, '{}', '` + text(push.Input{}) + `' FROM drawn_pushes`,
		`INSERT INTO violations (org_id, id, decision_id, at, late, repo_id, repo, pusher, policy_id, policy_name, version, rule, outcome, commit, finding)
		SELECT $1, id, id, at, false, repo_id, repo, email, ` + policyIDs + `, 'Policy ' || i % 5, 1, 'blocked_models', outcome, commit,
		       (CASE outcome WHEN 'refuse' THEN ` + named("'"+text(refused)+"'") + ` ELSE ` + named("'"+text(warned)+"'") + ` END)::json
		FROM drawn_pushes WHERE outcome <> 'accept' ORDER BY at`,
		`INSERT INTO pushed_commits (org_id, repo_id, commit, decision_id, patch_id, author_email, added, ai, human, noted, day, pushed_at)
		SELECT $1, repo_id, commit, id, md5('patch' || commit) || '00000000', email, ai + human + unknown, ai, human, noted, (at AT TIME ZONE 'UTC')::date, at
		FROM drawn_pushes WHERE outcome <> 'refuse' ORDER BY at`,
		`INSERT INTO findings (org_id, id, repo_id, code, severity, ref, commit, location, message, found_at)
		SELECT $1, md5('finding' || i)::uuid, repo_id, 'body.unreadable', 'warning', 'refs/notes/blameprompt', commit, '', 'The note cannot be read.', at
		FROM drawn_pushes WHERE i % 7 = 0`,
		`INSERT INTO note_refs (org_id, repo_id, ref, tip) SELECT org_id, id, 'refs/notes/blameprompt', md5('notes' || name) || '00000000' FROM repos WHERE org_id = $1`,
		fmt.Sprintf(`INSERT INTO audit_log (org_id, at, principal, action, target, detail)
		SELECT $1, at, 'user:' || email, %s, repo, '{}' FROM drawn_pushes WHERE i %% 5 = 0 ORDER BY at`, `(ARRAY['policy.replace', 'key.create', 'repo.update'])[1 + i % 3]`),
		`INSERT INTO webhook_deliveries (org_id, forge, delivery_id, event, repo_id, repo, outcome, received_at)
		SELECT $1, 'github', 'd-' || i, 'push', repo_id, repo, 'fetch', at FROM drawn_pushes WHERE i % 20 = 0`,
		`DROP TABLE drawn_commits, drawn_live, drawn_pushes`,
	}
}
