package store

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// ReportScope is what a report is about.
type ReportScope struct {
	Org Org
	// Repos and Emails, unless nil, are the repositories and the lower-case
	// addresses of the people that count.
	Repos  []uuid.UUID
	Emails []string
	// From and To are moments, From inclusive and To exclusive; FirstDay and
	// LastDay are the days between them in the organisation's time zone, both
	// inclusive, as midnight UTC.
	From, To          time.Time
	FirstDay, LastDay time.Time
}

// ReportData reads what reports are made of, all of one moment. It is used by
// one goroutine, one query at a time.
type ReportData struct {
	q     querier
	scope ReportScope
	args  pgx.NamedArgs
}

// accessActs and readActs are the beginnings of acts on who may do what, and of
// those that change nothing.
const (
	accessActs = `'key', 'user', 'grant', 'ssh_key', 'team', 'invitation', 'password', 'webhook_secret', 'account', 'setup'`
	readActs   = `'session', 'prompt', 'report'`
)

// reportMemory is what each step of a report's queries may take in the database,
// which joins and sorts on its disk beyond it.
const reportMemory = "64MB"

// ReadReport hands the data of a scope to fn, as it is at one moment.
func (db *DB) ReadReport(ctx context.Context, scope ReportScope, fn func(*ReportData) error) error {
	return db.snapshot(ctx, func(q querier) error {
		var set string
		if err := q.QueryRow(ctx, `SELECT set_config('work_mem', $1, true)`, reportMemory).Scan(&set); err != nil {
			return translate(err, "reading a report")
		}
		return fn(&ReportData{q: q, scope: scope, args: pgx.NamedArgs{
			"org": scope.Org.ID, "repos": scope.Repos, "emails": scope.Emails, "from": scope.From, "to": scope.To,
			"first": scope.FirstDay, "last": scope.LastDay, "zero": uuid.Nil,
		}})
	})
}

// Scope is what the data is about.
func (d *ReportData) Scope() ReportScope { return d.scope }

// Totals are those that Analytics answers for the same question.
func (d *ReportData) Totals(ctx context.Context) (Sums, []DaySums, error) {
	return AnalyticsFilter{Repos: d.scope.Repos, Emails: d.scope.Emails, From: d.scope.FirstDay, To: d.scope.LastDay}.
		days(ctx, d.q, d.scope.Org.ID)
}

// Retentions lists what is kept how long.
func (d *ReportData) Retentions(ctx context.Context) ([]Retention, error) {
	return retentions(ctx, d.q, d.scope.Org.ID)
}

// ReportQuery names rows that reports are made of.
type ReportQuery string

// The queries. Each says its columns; those of decimals are text.
const (
	// ReportTrail has every current receipt of the period: see its SELECT.
	ReportTrail ReportQuery = "trail"
	// ReportClient has the commits of current receipts, newest first: id, author's
	// time, author, subject, repo, lines, cost, and the receipts as a JSON array, in
	// which each has the fields that the client writes.
	ReportClient ReportQuery = "client"
	// ReportDecisions: id, at, repo, ref, pusher, outcome, state, override, commits,
	// added, ai, human, policies, violations.
	ReportDecisions ReportQuery = "decisions"
	// ReportOutcomes: outcome, state, decisions, commits, overrides.
	ReportOutcomes ReportQuery = "outcomes"
	// ReportExceptions are violations that did not stop a push: at, decision, repo,
	// commit, pusher, policy, version, rule, why (waiver, override, release of a held
	// branch, late, warning), let pass by, reason.
	ReportExceptions ReportQuery = "exceptions"
	// ReportViolated: policy, version, rule, refused, warned.
	ReportViolated ReportQuery = "violated"
	// ReportWaivers: policy, repo, pusher, commit, reason, created by, created at,
	// expires at, revoked at, revoked by.
	ReportWaivers ReportQuery = "waivers"
	// ReportPolicies are the versions in force at some time of the period: name,
	// version, change, author, from, until, rules.
	ReportPolicies ReportQuery = "policies"
	// ReportReviews: at, repo, commit, patch id, reviewer, approved, decision.
	ReportReviews ReportQuery = "reviews"
	// ReportAccess has acts on who may do what, ReportChanges all others but reading
	// and signing in: seq, at, principal, action, target.
	ReportAccess  ReportQuery = "access"
	ReportChanges ReportQuery = "changes"
	// ReportCoverage: repo, commits, bots, noted, marked without note, added, ai,
	// human, unknown, last note.
	ReportCoverage ReportQuery = "coverage"
	// ReportGaps: at, repo, commit, author, agent.
	ReportGaps ReportQuery = "gaps"
	// ReportFindings: at, severity, code, repo, ref, commit, message.
	ReportFindings ReportQuery = "findings"
	// ReportSample: decision, at, repo, commit, notes ref, note blob, pusher,
	// outcome, of pushes chosen by a hash of their ids.
	ReportSample ReportQuery = "sample"
	// ReportPeople: email, names, receipts, with text, with conversation, first, last.
	ReportPeople ReportQuery = "people"
	// ReportCategories: receipts, those with name, email, prompt, response,
	// conversation, paths, session, and secrets that were found in texts.
	ReportCategories ReportQuery = "categories"
	// ReportReads are accesses to prompt text: at, principal, action, target.
	ReportReads ReportQuery = "reads"
	// ReportRecipients are who could read or was told something at some time of the
	// period: kind (person, key, forge, remote), who, may, since, last used.
	ReportRecipients ReportQuery = "recipients"
)

// Rows reads the rows of a query as they are asked for. Cells are nil, string,
// int64, bool or time.Time. The first error ends them.
func (d *ReportData) Rows(ctx context.Context, query ReportQuery) iter.Seq2[[]any, error] {
	op := "reading the " + string(query) + " of a report"
	return func(yield func([]any, error) bool) {
		sql, ok := reportSQL[query]
		if !ok {
			yield(nil, fmt.Errorf("%s: there is no such query", op))
			return
		}
		rows, err := d.q.Query(ctx, sql, d.args)
		if err != nil {
			yield(nil, translate(err, "%s", op))
			return
		}
		defer rows.Close()
		for rows.Next() {
			cells, err := rows.Values()
			if err != nil {
				yield(nil, translate(err, "%s", op))
				return
			}
			for i, cell := range cells {
				cells[i] = reportCell(cell)
			}
			if !yield(cells, nil) {
				return
			}
		}
		if err := rows.Err(); err != nil {
			yield(nil, translate(err, "%s", op))
		}
	}
}

// Count is the number of rows of a query, which are not read for it.
func (d *ReportData) Count(ctx context.Context, query ReportQuery) (n int64, err error) {
	err = d.q.QueryRow(ctx, `SELECT count(*) FROM (`+reportSQL[query]+`) q`, d.args).Scan(&n)
	return n, translate(err, "counting the %s of a report", query)
}

func reportCell(cell any) any {
	switch v := cell.(type) {
	case int32:
		return int64(v)
	case int16:
		return int64(v)
	case [16]byte:
		return uuid.UUID(v).String()
	}
	return cell
}

// inRepos and byPeople restrict rows to the scope.
func inRepos(column string) string {
	return `(@repos::uuid[] IS NULL OR ` + column + ` = ANY (@repos::uuid[]))`
}

func byPeople(column string) string {
	return `(@emails::text[] IS NULL OR lower(` + column + `) = ANY (@emails::text[]))`
}

// inPeriod restricts rows to those of the period by a time column.
func inPeriod(column string) string {
	return column + ` >= @from AND ` + column + ` < @to`
}

// Receipts are of the day that sums count them on. The bounds of time around it
// are for the index, wide enough for every time zone.
const receiptsInPeriod = `r.day BETWEEN @first AND @last
		AND r.timestamp >= @from::timestamptz - interval '2 days' AND r.timestamp < @to::timestamptz + interval '2 days'`

// isoTime is a moment as the client writes it.
func isoTime(column string) string {
	return `to_char(` + column + ` AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
}

// covered are the commits that coverage counts: without those of bots, and merges
// that add nothing of their own. It is commit_lines_delta's definition.
const covered = `NOT l.bot AND NOT (l.merge AND l.added + l.excluded = 0)`

// claimedLines are how many lines the range of a file of a receipt has.
func claimedLines(f string) string {
	return strings.ReplaceAll(`CASE WHEN f.line_start > 0 AND f.line_end >= f.line_start THEN f.line_end - f.line_start + 1 ELSE 0 END`, "f.", f+".")
}

// The first files of a receipt r are joined one by one, as sets: most receipts
// have no more, and gathering the files of a million receipts, or looking
// for each one's, takes longer than all the rest. What is behind them is looked for
// where there is any.
const (
	filesJoined = 4
	allPaths    = `concat_ws(';', f0.path, f1.path, f2.path, f3.path, more.paths)`
)

var allLines = claimedLines("f0") + " + " + claimedLines("f1") + " + " + claimedLines("f2") + " + " + claimedLines("f3") + " + coalesce(more.lines, 0)"

func firstFiles() string {
	var joins strings.Builder
	for i := range filesJoined {
		fmt.Fprintf(&joins, "LEFT JOIN receipt_files f%[1]d ON f%[1]d.org_id = r.org_id AND f%[1]d.receipt_id = r.id AND f%[1]d.position = %[1]d\n", i)
	}
	return joins.String() + `LEFT JOIN LATERAL (
			SELECT string_agg(f.path, ';' ORDER BY f.position) AS paths, sum(` + claimedLines("f") + `)::bigint AS lines
			FROM receipt_files f WHERE r.files >= ` + itoa(filesJoined) + ` AND f.org_id = r.org_id AND f.receipt_id = r.id AND f.position >= ` + itoa(filesJoined) + `) more ON true`
}

// claimedFiles are the files that a receipt r claims to have changed, with how
// many lines their ranges have.
var claimedFiles = `LEFT JOIN LATERAL (
	SELECT jsonb_agg(jsonb_build_object('path', f.path, 'line_range', jsonb_build_array(f.line_start, f.line_end), 'blob_hash', nullif(f.blob_hash, ''),
	                                    'additions', f.additions, 'deletions', f.deletions) ORDER BY f.position) AS changes,
	       sum(` + claimedLines("f") + `) AS lines
	FROM receipt_files f WHERE f.org_id = r.org_id AND f.receipt_id = r.id) f ON true`

var reportSQL = map[ReportQuery]string{
	ReportTrail: `
		SELECT r.commit_hash, r.timestamp, coalesce(nullif(r.user_name, ''), r.user_email), coalesce(c.subject, ''), r.provider,
		       r.model, r.session_id, r.message_count, trim_scale(r.cost_usd)::text, ` + allPaths + `, ` + allLines + `, r.prompt_summary, r.prompt_hash,
		       r.user_email, r.repo, r.id, r.source, r.cost_basis, trim_scale(r.cost_reported_usd)::text, r.current, r.received_at, r.ref, r.blob,
		       l.added, l.ai, l.human, l.unknown, d.outcome, d.id::text, v.rules
		FROM receipts r
		LEFT JOIN commits c ON c.org_id = r.org_id AND c.repo_id = r.repo_id AND c.commit = r.commit_hash
		LEFT JOIN commit_lines l ON l.org_id = r.org_id AND l.repo_id = r.repo_id AND l.commit = r.commit_hash
		LEFT JOIN pushed_commits p ON p.org_id = r.org_id AND p.repo_id = r.repo_id AND p.commit = r.commit_hash
		LEFT JOIN decisions d ON d.org_id = p.org_id AND d.id = p.decision_id
		` + firstFiles() + `
		LEFT JOIN (
			SELECT v.decision_id, string_agg(DISTINCT v.policy_name || ': ' || v.outcome, '; ') AS rules FROM violations v
			WHERE v.org_id = @org GROUP BY 1) v ON v.decision_id = d.id
		WHERE r.org_id = @org AND ` + receiptsInPeriod + ` AND ` + inRepos("r.repo_id") + ` AND ` + byPeople("r.user_email") + `
		ORDER BY r.timestamp, r.id`,
	ReportClient: `
		SELECT g.commit_hash, ` + isoTime("coalesce(c.authored_at, g.at)") + `, coalesce(c.author_name || ' <' || c.author_email || '>', g.who),
		       coalesce(c.subject, ''), g.repo, g.lines, g.cost, g.receipts
		FROM (
			SELECT r.repo_id, min(r.repo) AS repo, r.commit_hash, min(r.timestamp) AS at, max(r.timestamp) AS latest,
			       min(r.user_name || ' <' || r.user_email || '>') AS who, coalesce(sum(f.lines), 0)::bigint AS lines,
			       trim_scale(coalesce(sum(r.cost_usd), 0))::text AS cost,
			       json_agg((coalesce(r.detail, '{}') - ARRAY(SELECT jsonb_object_keys(k.known))) || jsonb_strip_nulls(k.known)
			                ORDER BY r.timestamp, r.id)::text AS receipts
			FROM receipts r ` + claimedFiles + `,
			LATERAL (SELECT jsonb_build_object(
				'id', r.id, 'provider', r.provider, 'model', r.model, 'session_id', r.session_id, 'prompt_number', r.prompt_number,
				'prompt_summary', r.prompt_summary, 'response_summary', nullif(r.response_summary, ''), 'prompt_hash', r.prompt_hash,
				'message_count', coalesce(r.message_count, 0), 'cost_usd', trim_scale(coalesce(r.cost_usd, 0)), 'cost_basis', r.cost_basis,
				'cost_reported_usd', trim_scale(r.cost_reported_usd), 'input_tokens', r.input_tokens, 'output_tokens', r.output_tokens,
				'cache_read_tokens', r.cache_read_tokens, 'cache_creation_tokens', r.cache_creation_tokens,
				'timestamp', ` + isoTime("r.timestamp") + `, 'session_start', ` + isoTime("r.session_start") + `, 'session_end', ` + isoTime("r.session_end") + `,
				'session_duration_secs', r.session_duration_secs, 'ai_response_time_secs', r.ai_response_time_secs,
				'prompt_submitted_at', ` + isoTime("r.prompt_submitted_at") + `, 'prompt_duration_secs', r.prompt_duration_secs,
				'accepted_lines', r.accepted_lines, 'overridden_lines', r.overridden_lines, 'user', r.user_name || ' <' || r.user_email || '>',
				'file_path', r.file_path, 'line_range', jsonb_build_array(r.line_start, r.line_end), 'files_changed', f.changes,
				'parent_receipt_id', nullif(r.parent_receipt_id, ''), 'total_additions', r.total_additions, 'total_deletions', r.total_deletions,
				'conversation', r.conversation) AS known) k
			WHERE r.org_id = @org AND r.current AND ` + receiptsInPeriod + ` AND ` + inRepos("r.repo_id") + ` AND ` + byPeople("r.user_email") + `
			GROUP BY r.repo_id, r.commit_hash) g
		LEFT JOIN commits c ON c.org_id = @org AND c.repo_id = g.repo_id AND c.commit = g.commit_hash
		ORDER BY coalesce(c.committed_at, g.latest) DESC, g.repo, g.commit_hash`,
	ReportDecisions: `
		SELECT d.id::text, d.at, d.repo, d.refs->0->>'name', d.pusher, d.outcome, d.state, d.override, d.commits, d.added, d.ai, d.human,
		       json_array_length(coalesce(d.verdict->'policies', '[]'::json)),
		       (SELECT count(*) FROM violations v WHERE v.org_id = d.org_id AND v.decision_id = d.id)
		FROM decisions d WHERE d.org_id = @org AND ` + inPeriod("d.at") + ` AND ` + inRepos("d.repo_id") + ` AND ` + byPeople("d.pusher") + `
		ORDER BY d.id`,
	ReportOutcomes: `
		SELECT d.outcome, d.state, count(*), sum(d.commits)::bigint, count(*) FILTER (WHERE d.override <> '')
		FROM decisions d WHERE d.org_id = @org AND ` + inPeriod("d.at") + ` AND ` + inRepos("d.repo_id") + ` AND ` + byPeople("d.pusher") + `
		GROUP BY 1, 2 ORDER BY 1, 2`,
	ReportExceptions: `
		SELECT v.at, v.decision_id::text, v.repo, v.commit, v.pusher, v.policy_name, v.version, v.rule,
		       CASE WHEN w.id IS NOT NULL THEN 'waiver' WHEN d.override <> '' THEN 'override' WHEN h.id IS NOT NULL THEN 'release'
		            WHEN v.late THEN 'late' ELSE 'warning' END,
		       CASE WHEN w.id IS NOT NULL THEN w.created_by WHEN d.override <> '' THEN d.pusher ELSE h.released_by END,
		       CASE WHEN w.id IS NOT NULL THEN w.reason WHEN d.override <> '' THEN d.override ELSE h.reason END
		FROM violations v
		JOIN decisions d ON d.org_id = v.org_id AND d.id = v.decision_id
		LEFT JOIN waivers w ON w.org_id = v.org_id AND w.id = v.waiver_id
		LEFT JOIN LATERAL (SELECT h.id, h.released_by, h.reason FROM holds h
		                   WHERE h.org_id = v.org_id AND h.decision_id = v.decision_id AND h.release = 'released' ORDER BY h.released_at LIMIT 1) h ON v.late
		WHERE v.org_id = @org AND ` + inPeriod("v.at") + ` AND ` + inRepos("v.repo_id") + ` AND ` + byPeople("v.pusher") + `
		  AND (d.outcome <> 'refuse' OR v.late)
		ORDER BY v.at, v.id`,
	ReportViolated: `
		SELECT v.policy_name, v.version, v.rule, count(*) FILTER (WHERE v.outcome = 'refuse'), count(*) FILTER (WHERE v.outcome = 'warn')
		FROM violations v
		WHERE v.org_id = @org AND ` + inPeriod("v.at") + ` AND ` + inRepos("v.repo_id") + ` AND ` + byPeople("v.pusher") + `
		GROUP BY 1, 2, 3 ORDER BY 4 DESC, 5 DESC, 1, 2, 3`,
	ReportWaivers: `
		SELECT p.name, coalesce(r.name, ''), w.pusher, w.commit, w.reason, w.created_by, w.created_at, w.expires_at, w.revoked_at, w.revoked_by
		FROM waivers w
		LEFT JOIN policies p ON p.org_id = w.org_id AND p.id = w.policy_id
		LEFT JOIN repos r ON r.org_id = w.org_id AND r.id = w.repo_id
		WHERE w.org_id = @org AND w.created_at < @to AND least(w.expires_at, w.revoked_at) >= @from
		  AND (w.repo_id IS NULL OR ` + inRepos("w.repo_id") + `)
		ORDER BY w.created_at, w.id`,
	ReportPolicies: `
		SELECT p.name, v.version, v.change, v.author, v.created_at, v.until, v.document::text
		FROM (SELECT v.*, lead(v.created_at) OVER (PARTITION BY v.policy_id ORDER BY v.version) AS until
		      FROM policy_versions v WHERE v.org_id = @org) v
		JOIN policies p ON p.org_id = v.org_id AND p.id = v.policy_id
		WHERE v.created_at < @to AND coalesce(v.until, 'infinity') >= @from
		ORDER BY p.name, v.version`,
	ReportReviews: `
		SELECT v.created_at, r.name, v.commit, v.patch_id, v.reviewer, v.approved, v.comment
		FROM reviews v JOIN repos r ON r.org_id = v.org_id AND r.id = v.repo_id
		WHERE v.org_id = @org AND ` + inPeriod("v.created_at") + ` AND ` + inRepos("v.repo_id") + `
		ORDER BY v.created_at, v.id`,
	ReportAccess: `
		SELECT a.seq, a.at, a.principal, a.action, a.target FROM audit_log a
		WHERE a.org_id = @org AND ` + inPeriod("a.at") + ` AND split_part(a.action, '.', 1) IN (` + accessActs + `)
		ORDER BY a.seq`,
	ReportChanges: `
		SELECT a.seq, a.at, a.principal, a.action, a.target FROM audit_log a
		WHERE a.org_id = @org AND ` + inPeriod("a.at") + ` AND split_part(a.action, '.', 1) NOT IN (` + accessActs + `, ` + readActs + `)
		ORDER BY a.seq`,
	ReportCoverage: `
		SELECT p.name, s.commits, s.bots, s.noted, s.marked, s.added, s.ai, s.human, s.unknown, n.last
		FROM (SELECT l.repo_id, count(*) FILTER (WHERE ` + covered + `) AS commits, count(*) FILTER (WHERE l.bot) AS bots,
		             count(*) FILTER (WHERE l.noted AND ` + covered + `) AS noted,
		             count(*) FILTER (WHERE l.agent <> '' AND NOT l.noted AND ` + covered + `) AS marked,
		             sum(l.added)::bigint AS added, sum(l.ai)::bigint AS ai, sum(l.human)::bigint AS human, sum(l.unknown)::bigint AS unknown
		      FROM commit_lines l
		      WHERE l.org_id = @org AND l.on_default AND l.day BETWEEN @first AND @last AND ` + inRepos("l.repo_id") + `
		        AND ` + byPeople("l.author_email") + `
		      GROUP BY l.repo_id) s
		JOIN repos p ON p.org_id = @org AND p.id = s.repo_id
		LEFT JOIN LATERAL (SELECT max(v.received_at) AS last FROM note_versions v
		                   WHERE v.org_id = @org AND v.repo_id = s.repo_id AND v.received_at < @to) n ON true
		ORDER BY p.name`,
	ReportGaps: `
		SELECT l.committed_at, p.name, l.commit, l.author_email, l.agent
		FROM commit_lines l JOIN repos p ON p.org_id = l.org_id AND p.id = l.repo_id
		WHERE l.org_id = @org AND l.on_default AND l.agent <> '' AND NOT l.noted AND ` + covered + ` AND l.day BETWEEN @first AND @last
		  AND ` + inRepos("l.repo_id") + ` AND ` + byPeople("l.author_email") + `
		ORDER BY l.committed_at, p.name, l.commit`,
	ReportFindings: `
		SELECT f.found_at, f.severity, f.code, coalesce(p.name, ''), f.ref, f.commit, f.message
		FROM findings f LEFT JOIN repos p ON p.org_id = f.org_id AND p.id = f.repo_id
		WHERE f.org_id = @org AND ` + inPeriod("f.found_at") + ` AND f.severity <> 'info'
		  AND (f.repo_id IS NULL OR ` + inRepos("f.repo_id") + `)
		ORDER BY f.found_at, f.id`,
	ReportSample: `
		SELECT d.id::text, d.at, d.repo, p.commit, n.ref, n.blob, d.pusher, d.outcome
		FROM (SELECT * FROM decisions d
		      WHERE d.org_id = @org AND ` + inPeriod("d.at") + ` AND ` + inRepos("d.repo_id") + ` AND ` + byPeople("d.pusher") + `
		      ORDER BY md5(d.id::text) LIMIT 25) d
		LEFT JOIN LATERAL (SELECT p.commit FROM pushed_commits p WHERE p.org_id = d.org_id AND p.repo_id = d.repo_id AND p.decision_id = d.id
		                   ORDER BY p.commit LIMIT 3) p ON true
		LEFT JOIN note_versions n ON n.org_id = d.org_id AND n.repo_id = d.repo_id AND n.commit = p.commit AND n.current
		ORDER BY d.at, d.id, p.commit, n.ref`,
	ReportPeople: `
		SELECT n.email, string_agg(nullif(n.name, ''), '; ' ORDER BY n.name), sum(n.receipts)::bigint, sum(n.texts)::bigint,
		       sum(n.conversations)::bigint, min(n.first), max(n.last)
		FROM (SELECT lower(r.user_email) AS email, r.user_name AS name, count(*) AS receipts,
		             count(*) FILTER (WHERE r.prompt_summary <> '' OR r.response_summary <> '') AS texts,
		             count(*) FILTER (WHERE r.conversation IS NOT NULL) AS conversations, min(r.timestamp) AS first, max(r.timestamp) AS last
		      FROM receipts r
		      WHERE r.org_id = @org AND ` + receiptsInPeriod + ` AND ` + inRepos("r.repo_id") + ` AND ` + byPeople("r.user_email") + `
		      GROUP BY 1, 2) n
		GROUP BY 1 ORDER BY 1`,
	ReportCategories: `
		SELECT count(*), count(*) FILTER (WHERE r.user_name <> ''), count(*) FILTER (WHERE r.user_email <> ''),
		       count(*) FILTER (WHERE r.prompt_summary <> ''), count(*) FILTER (WHERE r.response_summary <> ''),
		       count(*) FILTER (WHERE r.conversation IS NOT NULL), count(*) FILTER (WHERE r.file_path <> '' OR r.files > 0),
		       count(*) FILTER (WHERE r.session_id <> ''),
		       (SELECT count(*) FROM findings f WHERE f.org_id = @org AND f.code = 'secret_found' AND ` + inPeriod("f.found_at") + `
		          AND (f.repo_id IS NULL OR ` + inRepos("f.repo_id") + `))
		FROM receipts r
		WHERE r.org_id = @org AND ` + receiptsInPeriod + ` AND ` + inRepos("r.repo_id") + ` AND ` + byPeople("r.user_email"),
	ReportReads: `
		SELECT a.at, a.principal, a.action, a.target FROM audit_log a
		WHERE a.org_id = @org AND ` + inPeriod("a.at") + ` AND (a.action IN ('prompt.read', 'prompt.list', 'person.export')
		  OR a.action = 'report.fetch' AND a.detail->>'type' = 'audit')
		ORDER BY a.seq`,
	ReportRecipients: `
		SELECT q.kind, q.who, q.may, q.since, q.used FROM (
			SELECT 1 AS nth, 'person' AS kind, u.email AS who, u.role AS may, u.created_at AS since,
			       (SELECT max(s.seen_at) FROM sessions s WHERE s.org_id = u.org_id AND s.user_id = u.id) AS used
			FROM users u WHERE u.org_id = @org AND u.created_at < @to AND coalesce(u.disabled_at, 'infinity') >= @from
			UNION ALL
			SELECT 2, 'key', k.name, array_to_string(k.scopes, ', '), k.created_at, k.last_used_at
			FROM api_keys k WHERE k.org_id = @org AND k.scopes && '{read,write,admin}' AND k.created_at < @to
			  AND least(coalesce(k.revoked_at, 'infinity'), coalesce(k.expires_at, 'infinity')) >= @from
			UNION ALL
			SELECT 3, 'forge', f.forge || ': ' || f.owner || coalesce(' at ' || nullif(f.api_url, ''), ''), 'is told outcomes of pushes', f.created_at, f.checked_at
			FROM forge_connections f WHERE f.org_id = @org AND f.created_at < @to AND coalesce(f.revoked_at, 'infinity') >= @from
			UNION ALL
			SELECT 4, 'endpoint', e.name || ' at ' || e.origin, CASE WHEN e.types = '{}' THEN 'is told of everything' ELSE 'is told of ' || array_to_string(e.types, ', ') END,
			       e.created_at, e.succeeded_at
			FROM endpoints e WHERE e.org_id = @org AND e.created_at < @to AND coalesce(e.removed_at, 'infinity') >= @from
			UNION ALL
			SELECT 5, 'remote', r.name, 'is forwarded pushes', NULL, NULL
			FROM repos r WHERE r.org_id = @org AND r.gateway = 'forwarding' AND ` + inRepos("r.id") + `) q
		ORDER BY q.nth, q.who, q.since`,
}
