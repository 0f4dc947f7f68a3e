package storetest

import (
	"context"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// Fill makes n receipts of an organisation in a few set-based statements, as
// 200 people in 50 repositories leave them over the 400 days before July 2026:
// some repositories, people and files are much busier than others, people work
// in a few repositories each, and of 12 models each is in fashion for a while.
// Five teams of 20 people, "team-0" to "team-4".
func Fill(t testing.TB, pool *pgxpool.Pool, org uuid.UUID, n int) {
	t.Helper()
	fill(t, pool, filling{org: org, n: n, repos: 50, end: time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)})
}

// FillHistory is Fill in a few repositories and up to today, with what commits,
// pushes and acts leave besides: see Filled.
func FillHistory(t testing.TB, pool *pgxpool.Pool, org uuid.UUID, n int) {
	t.Helper()
	fill(t, pool, filling{org: org, n: n, repos: 6, end: time.Now().UTC().Truncate(time.Hour), history: true})
}

// filling is what an organisation is filled with: so many receipts in so many
// repositories, over the 400 days before end, and with history what commits,
// pushes and acts leave besides.
type filling struct {
	org      uuid.UUID
	n, repos int
	end      time.Time
	history  bool
}

func fill(t testing.TB, pool *pgxpool.Pool, f filling) {
	t.Helper()
	conn, err := pool.Acquire(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	f.run(t, conn, `SET work_mem = '256MB'`, `SET maintenance_work_mem = '256MB'`, `SELECT setseed(0.5)`)
	indexes := takeIndexes(t, context.Background(), conn)
	for _, table := range filled {
		f.run(t, conn, `ALTER TABLE `+table+` DISABLE TRIGGER USER`)
	}
	f.run(t, conn, fillStatements...)
	f.run(t, conn, indexes...)
	for _, table := range filled {
		f.run(t, conn, `ALTER TABLE `+table+` ENABLE TRIGGER USER`)
	}
	if f.history {
		f.run(t, conn, `ANALYZE`)
		f.run(t, conn, historyStatements()...)
	}
	f.run(t, conn, `VACUUM ANALYZE`, `RESET work_mem`, `RESET maintenance_work_mem`)
}

// run executes statements with the filling's values for their {words}.
func (f filling) run(t testing.TB, conn *pgxpool.Conn, statements ...string) {
	t.Helper()
	values := strings.NewReplacer("{n}", strconv.Itoa(f.n), "{repos}", strconv.Itoa(f.repos),
		"{end}", "timestamptz '"+f.end.Format(time.RFC3339)+"'")
	for _, sql := range statements {
		sql = values.Replace(sql)
		var args []any
		if strings.Contains(sql, "$1") {
			args = []any{f.org}
		}
		if _, err := conn.Exec(context.Background(), sql, args...); err != nil {
			t.Fatalf("filling the database: %v\n%s", err, sql)
		}
	}
}

// FillViolations makes, of the receipts of Fill, findings about one commit in 64:
// half of them warn, a quarter refuses, and a quarter was waived.
func FillViolations(t testing.TB, pool *pgxpool.Pool, org uuid.UUID) {
	t.Helper()
	for _, sql := range []string{`
		INSERT INTO violations (org_id, id, decision_id, at, late, repo_id, repo, pusher, policy_id, policy_name, version, rule, outcome,
			commit, waiver_id, finding)
		SELECT $1, md5('v' || commit)::uuid, md5('d' || commit)::uuid, at, false, repo_id, '', '', md5('policy')::uuid, 'policy', 1, 'allowed_models',
		       CASE WHEN h < 32 THEN 'warn' ELSE 'refuse' END, commit, CASE WHEN h >= 48 THEN md5('w' || commit)::uuid END, '{}'
		FROM (SELECT commit, min(noted_at) AS at, min(repo_id::text)::uuid AS repo_id, get_byte(decode(md5(commit), 'hex'), 1) % 64 AS h
		      FROM receipt_commits WHERE org_id = $1 GROUP BY commit) c
		WHERE get_byte(decode(md5(commit), 'hex'), 0) % 64 = 0`,
		`ANALYZE violations`, `ANALYZE receipt_results`,
	} {
		args := []any{org}
		if !strings.Contains(sql, "$1") {
			args = nil
		}
		if _, err := pool.Exec(context.Background(), sql, args...); err != nil {
			t.Fatalf("filling the database: %v", err)
		}
	}
}

var filled = []string{"receipts", "receipt_files", "receipt_commits", "prompts", "rollups", "rollup_months"}

// takeIndexes drops what is faster made anew and returns how.
func takeIndexes(t testing.TB, ctx context.Context, conn *pgxpool.Conn) []string {
	t.Helper()
	rows, err := conn.Query(ctx, `SELECT i.indexname, i.indexdef FROM pg_indexes i
		WHERE i.tablename = ANY($1) AND NOT EXISTS (SELECT FROM pg_constraint c WHERE c.conname = i.indexname)`, filled)
	if err != nil {
		t.Fatal(err)
	}
	var made []string
	var name, def string
	var drops []string
	_, err = pgx.ForEachRow(rows, []any{&name, &def}, func() error {
		made, drops = append(made, def), append(drops, `DROP INDEX `+name)
		return nil
	})
	for i := 0; err == nil && i < len(drops); i++ {
		_, err = conn.Exec(ctx, drops[i])
	}
	if err != nil {
		t.Fatal(err)
	}
	return made
}

var models = []string{"claude-3-opus", "claude-3-5-sonnet", "gpt-4o", "claude-3-7-sonnet", "gemini-1.5-pro", "claude-sonnet-4",
	"gpt-5", "claude-opus-4-1", "claude-sonnet-4-5", "gemini-2.5-pro", "gpt-5-codex", "claude-opus-4-6"}

var providers = []string{"claude", "claude", "copilot", "claude", "gemini", "claude", "copilot", "claude", "claude", "gemini", "codex", "claude"}

// key is what receipts.path_keys holds of a path.
func key(path string) string { return "(" + hash32(path) + " # " + hash32("$1::uuid::text") + ")" }

func hash32(text string) string { return "('x' || left(md5(" + text + "), 8))::bit(32)::integer" }

func array(list []string) string { return "ARRAY['" + strings.Join(list, "','") + "']" }

var fillStatements = []string{
	`INSERT INTO repos (id, org_id, name) SELECT md5('repo' || i)::uuid, $1, 'repo-' || i FROM generate_series(0, {repos} - 1) i`,
	`INSERT INTO teams (id, org_id, name) SELECT md5('team' || i)::uuid, $1, 'team-' || i FROM generate_series(0, 4) i`,
	`INSERT INTO team_members (org_id, team_id, email)
	SELECT $1, md5('team' || i / 20)::uuid, 'dev' || i * 2 || '@example.com' FROM generate_series(0, 99) i`,
	`CREATE TEMP TABLE words AS SELECT i, substr('bakedilofumanepiroshutavewixoyuzaq', 1 + (i * 7) % 30, 3) ||
		substr('etarinosulymbergackponth', 1 + (i * 5) % 21, 3) || (i % 97)::text AS word FROM generate_series(0, 1999) i`,
	// Numbers first, names after: random() is drawn once per column and row.
	`CREATE TEMP TABLE drawn AS
	SELECT i, u, ({repos} * power(('x' || substr(md5(u || '/' || k), 1, 6))::bit(24)::int / 16777216.0, 1.6))::int % {repos} AS repo,
	       x, least(11, (x * 9)::int + (4 * power(m, 2))::int) AS model, cost, files, src, cur,
	       concat_ws(' ', w[1 + w1], w[1 + w2], w[1 + w3], w[1 + w4], w[1 + w5], w[1 + w6]) AS words
	FROM (SELECT i, (199 * power(random(), 1.7))::int AS u, (3.9 * power(random(), 1.5))::int AS k,
	             power(random(), 0.6) AS x, random() AS m, random() AS cost, 1 + (2.5 * power(random(), 2))::int AS files,
	             random() AS src, random() AS cur,
	             (1999 * power(random(), 2.5))::int AS w1, (1999 * power(random(), 2.5))::int AS w2,
	             (1999 * power(random(), 2.5))::int AS w3, (1999 * power(random(), 2.5))::int AS w4,
	             (1999 * power(random(), 2.5))::int AS w5, (1999 * power(random(), 2.5))::int AS w6
	      FROM generate_series(1, {n}) i) d, (SELECT array_agg(word ORDER BY i) AS w FROM words) v`,
	`CREATE TEMP TABLE drawn_files AS
	SELECT i, f, 'src/mod' || file % 20 || '/' AS directory, 'src/mod' || file % 20 || '/file' || file || '_' || repo || '.go' AS path
	FROM drawn, generate_series(1, files) f, LATERAL (SELECT (400 * power(random(), 2))::int AS file WHERE i + f > 0) p`,
	`INSERT INTO receipt_files (org_id, receipt_id, position, path, line_start, line_end, blob_hash)
	SELECT $1, 'r-' || i, f, path, 1, 20, '' FROM drawn_files`,
	`INSERT INTO receipts (org_id, id, repo_id, repo, ref, commit_hash, blob, notes_commit, content_hash, current, source,
		format_version, provider, model, session_id, prompt_number, prompt_id, prompt_summary, response_summary, prompt_hash,
		cost_usd, cost_reported_usd, cost_basis, input_tokens, output_tokens, user_name, user_email, file_path, line_start,
		line_end, files, path_keys, prompt_duration_secs, detail, timestamp, timestamp_basis, day, parent_receipt_id, conversation_turns, conversation_bytes)
	SELECT $1, 'r-' || i, md5('repo' || repo)::uuid, 'repo-' || repo,
	       CASE WHEN src < 0.82 THEN 'refs/notes/blameprompt' ELSE 'refs/notes/ai' END, md5(repo || 'c' || i / 3) || '00000000',
	       md5('b' || i) || '00000000', md5('n' || i / 10) || '00000000', '\x00', cur < 0.93,
	       CASE WHEN src < 0.8 THEN 'blameprompt' WHEN src < 0.98 THEN 'git-ai' ELSE 'api' END, '1.0.1',
	       (` + array(providers) + `)[1 + model], (` + array(models) + `)[1 + model], 's-' || i / 20, i % 20, md5('p' || (i * 3) / 4)::uuid,
	       words, 'done', md5(i::text),
	       round((cost * cost * 2)::numeric, 4), round((cost * cost * 2)::numeric, 4), 'reported', (cost * 9000)::int, (cost * 900)::int,
	       'Dev ' || u, 'dev' || u || '@example.com', 'src/main.go', 1, 20, files, k.keys, (cost * 600)::int,
	       CASE WHEN i % 4 = 0 THEN jsonb_build_object('prompt_quality', jsonb_build_object('score', 40 + i % 60, 'category', 'refactor')) END, t.at, 'client', (t.at AT TIME ZONE 'UTC')::date, '', 4, 900
	FROM drawn
	JOIN (SELECT i, array_agg(` + key("path") + `) || array_agg(` + key("directory") + `) || ` + key("'src/'") + ` AS keys
	      FROM drawn_files GROUP BY i) k USING (i),
	LATERAL (SELECT {end} - interval '400 days' * (1 - x) AS at) t ORDER BY t.at`,
	`INSERT INTO receipt_commits (org_id, receipt_id, repo_id, ref, commit, blob, position, content_hash, first_noted_at, noted_at,
		notes_commit, current)
	SELECT org_id, id, repo_id, ref, commit_hash, blob, 0, content_hash, timestamp, timestamp, notes_commit, current FROM receipts
	WHERE org_id = $1`,
	// One receipt in 500 stands in another repository as well.
	`INSERT INTO receipt_commits (org_id, receipt_id, repo_id, ref, commit, blob, position, content_hash, first_noted_at, noted_at,
		notes_commit, current)
	SELECT org_id, id, md5('repo' || (hashtext(id) & 7))::uuid, ref, md5('x' || id) || '00000000', blob, 0, content_hash, timestamp,
	       timestamp, notes_commit, current
	FROM receipts WHERE org_id = $1 AND hashtext(id) % 500 = 0`,
	`INSERT INTO receipt_repos SELECT DISTINCT c.org_id, c.receipt_id, c.repo_id, r.timestamp
	FROM receipt_commits c JOIN receipts r ON r.org_id = c.org_id AND r.id = c.receipt_id AND r.repo_id <> c.repo_id
	WHERE c.org_id = $1 AND hashtext(c.receipt_id) % 500 = 0`,
	`INSERT INTO prompts (org_id, prompt_id, provider, session_id, prompt_number, receipts, receipt_id, repo_id, model, user_email,
		source, timestamp, day, current, cost_usd, input_tokens, output_tokens, score, category, seconds)
	SELECT DISTINCT ON (prompt_id) org_id, prompt_id, provider, session_id, prompt_number, count(*) OVER (PARTITION BY prompt_id),
	       id, repo_id, model, user_email, source, timestamp, day, bool_or(current) OVER (PARTITION BY prompt_id), cost_usd, input_tokens, output_tokens,
	       receipt_score(detail), receipt_category(detail), receipt_seconds(prompt_duration_secs)
	FROM receipts WHERE org_id = $1 ORDER BY prompt_id, cost_usd DESC, id`,
	// What the triggers would have summed up.
	`INSERT INTO rollups (org_id, dimension, repo_id, key, key2, day, receipts, receipts_current, prompts, cost_usd, input_tokens, output_tokens)
	SELECT $1, e.dimension, e.repo_id, e.key, e.key2, d.day, sum(d.receipts), sum(d.current), sum(d.prompts), sum(d.cost),
	       sum(d.input), sum(d.output)
	FROM (SELECT repo_id, day, user_email, provider, model, source, count(*) AS receipts, count(*) FILTER (WHERE current) AS current,
	             0 AS prompts, 0::numeric AS cost, 0::numeric AS input, 0::numeric AS output
	      FROM receipts WHERE org_id = $1 GROUP BY 1, 2, 3, 4, 5, 6
	      UNION ALL
	      SELECT repo_id, day, user_email, provider, model, source, 0, 0, count(*), sum(cost_usd), sum(input_tokens), sum(output_tokens)
	      FROM prompts WHERE org_id = $1 GROUP BY 1, 2, 3, 4, 5, 6) d,
	     rollup_dimensions(d.repo_id, d.user_email, d.provider, d.model, d.source) e
	GROUP BY 2, 3, 4, 5, 6 ORDER BY 2, 3, 4, 5, 6`,
	`INSERT INTO rollup_months
	SELECT org_id, dimension, repo_id, key, key2, date_trunc('month', day::timestamp)::date, sum(receipts), sum(receipts_current),
	       sum(prompts), sum(cost_usd), sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_creation_tokens)
	FROM rollups WHERE org_id = $1 GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6`,
	`SELECT prompt_rollups_apply(ARRAY(SELECT x FROM prompt_deltas(d.prompts, 1) x))
	FROM (SELECT array_agg(p ORDER BY p.prompt_id) AS prompts FROM prompts p WHERE p.org_id = $1 GROUP BY p.day) d`,
	`DROP TABLE drawn, drawn_files, words`,
}
