package store

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// NumberDifference is a figure that is stored as another one than the rows that
// it sums up make.
type NumberDifference struct {
	// Table holds the figure; Dimension and Key say of what it is, as far as the
	// table has such.
	Table, Dimension, Key string
	// Repo is the name of its repository, empty in sums over all.
	Repo string
	// Day is the day, week or month, nil where there is none.
	Day *time.Time
	// Figure is a column of the table; Stored and Recomputed are its values as
	// text. Where a row is missing numbers are 0 and other values "-".
	Figure, Stored, Recomputed string
}

// NumbersReport is what a check of stored sums found.
type NumbersReport struct {
	// Tables are those that were compared.
	Tables []string
	// Differences has at most so many of each table as were asked for; Found is how
	// many there are.
	Differences []NumberDifference
	Found       int64
}

// CheckNumbers recomputes from the rows everything that is kept of an
// organisation as a sum, in one snapshot, and lists what differs: up to limit
// figures of each table. It reads all rows and stops nobody. progress, unless
// nil, is told which table comes next.
func (db *DB) CheckNumbers(ctx context.Context, org uuid.UUID, limit int, progress func(table string)) (NumbersReport, error) {
	var out NumbersReport
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err := db.inTx(ctx, options, func(tx *Tx) error {
		for _, kept := range keptSums {
			if progress != nil {
				progress(kept.table)
			}
			out.Tables = append(out.Tables, kept.table)
			rows, err := collect[struct {
				NumberDifference
				Found int64
			}](ctx, tx, "checking "+kept.table, kept.query(limit), org)
			if err != nil {
				return err
			}
			for _, row := range rows {
				out.Differences = append(out.Differences, row.NumberDifference)
			}
			if len(rows) > 0 {
				out.Found += rows[0].Found
			}
		}
		return nil
	})
	return out, err
}

// keptSum is a table of sums and how they are made from nothing.
type keptSum struct {
	table string
	// key has the columns by which rows are told apart.
	key []string
	// numbers are the columns that count; no row is as good as one of zeros. Of
	// facts, which are other columns, the row must be there.
	numbers, facts []string
	// stored, unless empty, is the query of what is stored instead of all rows;
	// counted that of what should be. They have the same columns, and $1 is the
	// organisation.
	stored, counted string
}

// query compares rows as they are, and names only then the columns that differ.
func (k keptSum) query(limit int) string {
	var stored, counted, values []string
	for _, column := range k.numbers {
		s, c := "coalesce(s."+column+", 0)", "coalesce(c."+column+", 0)"
		stored, counted = append(stored, s), append(counted, c)
		values = append(values, fmt.Sprintf("('%s', trim_scale(%s::numeric)::text, trim_scale(%s::numeric)::text)", column, s, c))
	}
	for _, column := range k.facts {
		stored, counted = append(stored, "s."+column), append(counted, "c."+column)
		values = append(values, fmt.Sprintf("('%[1]s', coalesce(s.%[1]s::text, '-'), coalesce(c.%[1]s::text, '-'))", column))
	}
	from := k.stored
	if from == "" {
		from = "SELECT * FROM " + k.table + " WHERE org_id = $1"
	}
	dimension, repo, day, rest := k.shown()
	return `SELECT '` + k.table + `' AS "table", ` + dimension + ` AS dimension, ` + rest + ` AS key,
		coalesce((SELECT p.name FROM repos p WHERE p.org_id = $1 AND p.id = ` + repo + `), '') AS repo, ` + day + ` AS day,
		f.figure, f.stored, f.recomputed, count(*) OVER () AS found
	FROM (` + from + `) s FULL JOIN (` + k.counted + `) c USING (` + strings.Join(k.key, ", ") + `)
	CROSS JOIN LATERAL (VALUES ` + strings.Join(values, ", ") + `) f (figure, stored, recomputed)
	WHERE (` + strings.Join(stored, ", ") + `) IS DISTINCT FROM (` + strings.Join(counted, ", ") + `) AND f.stored <> f.recomputed
	ORDER BY ` + strings.Join(k.key, ", ") + `, f.figure LIMIT ` + itoa(limit)
}

// shown are the expressions of what a difference names of the key: columns with
// a place of their own, and the rest as one text.
func (k keptSum) shown() (dimension, repo, day, rest string) {
	dimension, repo, day = "''", "NULL::uuid", "NULL::date"
	var parts []string
	for _, column := range k.key {
		switch column {
		case "dimension":
			dimension = column
		case "repo_id":
			repo = column
		case "day", "week":
			day = column
		case "path":
			// Paths may be any bytes.
			parts = append(parts, "encode(path, 'escape')")
		default:
			parts = append(parts, column+"::text")
		}
	}
	if len(parts) == 0 {
		return dimension, repo, day, "''"
	}
	return dimension, repo, day, "btrim(concat_ws(' ', " + strings.Join(parts, ", ") + "))"
}

// keptSums are all tables of sums, each after what it is made of.
var keptSums = slices.Concat(
	[]keptSum{promptsKept, sessionsKept},
	byGrain(receiptSums), byGrain(promptSumsKept), []keptSum{filesKept, commitsKept, ownersKept}, byGrain(lineSumsKept), byGrain(pathSumsKept),
	liveKept, []keptSum{pushedDaysKept, pushedSpendKept, resultsKept, lateKept},
)

// byGrain has the sums by day and by month, whose table is called in the plural
// of it.
func byGrain(of func(table, grain string) keptSum) []keptSum {
	return []keptSum{of("rollups", "day"), of("rollup_months", "month")}
}

var promptsKept = keptSum{
	table: "prompts", key: []string{"prompt_id"}, numbers: []string{"receipts"},
	facts: []string{"provider", "session_id", "prompt_number", "receipt_id", "repo_id", "model", "user_email", "source", "timestamp", "day",
		"current", "cost_usd", "input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens",
		"score", "category", "seconds"},
	counted: `SELECT DISTINCT ON (r.prompt_id) ` + promptOfReceipts + ` FROM receipts r WHERE r.org_id = $1 ` + largestReport,
}

var sessionsKept = keptSum{
	table: "prompt_sessions", key: []string{"provider", "session_id"}, numbers: []string{"prompts", "receipts"},
	facts: []string{"first_at", "last_at", "current", "users", "models", "repos", "cost_usd", "input_tokens", "output_tokens",
		"cache_read_tokens", "cache_creation_tokens"},
	counted: `
		SELECT provider, session_id, count(*) AS prompts, sum(receipts) AS receipts, min(timestamp) AS first_at, max(timestamp) AS last_at,
		       bool_or(current) AS current, coalesce(array_agg(DISTINCT lower(user_email)) FILTER (WHERE user_email <> ''), '{}') AS users,
		       array_agg(DISTINCT model) AS models, array_agg(DISTINCT repo_id) AS repos, sum(cost_usd) AS cost_usd,
		       sum(input_tokens) AS input_tokens, sum(output_tokens) AS output_tokens, sum(cache_read_tokens) AS cache_read_tokens,
		       sum(cache_creation_tokens) AS cache_creation_tokens
		FROM prompts WHERE org_id = $1 AND session_id NOT IN ('', 'unknown') GROUP BY 1, 2`,
}

func receiptSums(table, grain string) keptSum {
	return keptSum{
		table: table, key: []string{"dimension", "repo_id", "key", "key2", "day"},
		numbers: []string{"receipts", "receipts_current", "prompts", "cost_usd", "input_tokens", "output_tokens", "cache_read_tokens",
			"cache_creation_tokens"},
		counted: `
		SELECT e.dimension, e.repo_id, e.key, e.key2, d.day, sum(d.receipts) AS receipts, sum(d.receipts_current) AS receipts_current,
		       sum(d.prompts) AS prompts, sum(d.cost_usd) AS cost_usd, sum(d.input_tokens) AS input_tokens,
		       sum(d.output_tokens) AS output_tokens, sum(d.cache_read_tokens) AS cache_read_tokens,
		       sum(d.cache_creation_tokens) AS cache_creation_tokens
		FROM (SELECT repo_id, date_trunc('` + grain + `', day::timestamp)::date AS day, user_email, provider, model, source,
		             count(*) AS receipts, count(*) FILTER (WHERE current) AS receipts_current, 0 AS prompts, 0 AS cost_usd,
		             0 AS input_tokens, 0 AS output_tokens, 0 AS cache_read_tokens, 0 AS cache_creation_tokens
		      FROM receipts WHERE org_id = $1 GROUP BY 1, 2, 3, 4, 5, 6
		      UNION ALL
		      SELECT repo_id, date_trunc('` + grain + `', day::timestamp)::date, user_email, provider, model, source, 0, 0, count(*),
		             sum(cost_usd), sum(input_tokens), sum(output_tokens), sum(cache_read_tokens), sum(cache_creation_tokens)
		      FROM prompts WHERE org_id = $1 GROUP BY 1, 2, 3, 4, 5, 6) d,
		     rollup_dimensions(d.repo_id, d.user_email, d.provider, d.model, d.source) e
		GROUP BY 1, 2, 3, 4, 5`,
	}
}

// resultsKept are what policies said of receipts.
var resultsKept = keptSum{
	table: "receipt_results", key: []string{"receipt_id", "result"}, facts: []string{"timestamp", "cost_usd", "terms", "prompt_summary"},
	counted: `SELECT * FROM receipt_result_rows($1, ARRAY(SELECT DISTINCT c.receipt_id FROM receipt_commits c WHERE c.org_id = $1))`,
}

// lateKept are the commits that were noted after their push, as far as NoteLate has
// looked: a moment later there may be more.
var lateKept = keptSum{
	table: "late_noted", key: []string{"repo_id", "commit"}, facts: []string{"pushed_at"},
	stored: `SELECT n.* FROM late_noted n
		JOIN pushed_commits p USING (org_id, repo_id, commit) JOIN commit_lines l USING (org_id, repo_id, commit)
		JOIN late_noted_marks m USING (org_id, repo_id)
		WHERE n.org_id = $1 AND l.revision <= m.revision AND ` + lateSettled,
	counted: `SELECT p.repo_id, p.commit, p.pushed_at FROM late_noted_marks n JOIN pushed_commits p USING (org_id, repo_id)
		JOIN commit_lines l USING (org_id, repo_id, commit)
		WHERE n.org_id = $1 AND l.noted AND l.revision <= n.revision AND ` + lateSettled,
}

const lateSettled = `NOT p.noted AND p.pushed_at < now() - interval '10 minutes'`

// promptNumbers are the sums of prompt_rollups.
var promptNumbers = []string{"prompts", "cost_usd", "scored", "score", "excellent", "good", "fair", "timed", "seconds"}

func promptSumsKept(table, grain string) keptSum {
	return keptSum{
		table: "prompt_" + table, key: []string{"dimension", "repo_id", "key", "key2", "day"}, numbers: promptNumbers,
		counted: `
		SELECT d.dimension, d.repo_id, d.key, d.key2, date_trunc('` + grain + `', d.day::timestamp)::date AS day, count(*) AS prompts,
		       sum(d.cost_usd) AS cost_usd, count(d.score) AS scored, sum(d.score) AS score, count(*) FILTER (WHERE d.score >= 90) AS excellent,
		       count(*) FILTER (WHERE d.score BETWEEN 70 AND 89) AS good, count(*) FILTER (WHERE d.score BETWEEN 50 AND 69) AS fair,
		       count(d.seconds) AS timed, sum(d.seconds) AS seconds
		FROM (SELECT e.dimension, r.repo_id, e.key, e.key2, p.day, p.cost_usd, p.score, p.seconds
		      FROM prompts p JOIN orgs o ON o.id = p.org_id
		      CROSS JOIN LATERAL (SELECT lower(p.user_email) AS email, to_char(p.timestamp AT TIME ZONE o.time_zone, 'HH24') AS hour) h
		      CROSS JOIN LATERAL (VALUES ('all', '', ''), ('model', p.model, ''), ('provider', p.provider, ''), ('user', h.email, ''),
		             ('user_model', h.email, p.model), ('hour', h.hour, ''), ('category', p.category, '')) e (dimension, key, key2)
		      CROSS JOIN LATERAL (VALUES (p.repo_id), ('00000000-0000-0000-0000-000000000000'::uuid)) r (repo_id)
		      WHERE p.org_id = $1 AND (p.category <> '' OR e.dimension <> 'category')) d
		GROUP BY 1, 2, 3, 4, 5`,
	}
}

// pathSumsKept are the added lines of folders.
func pathSumsKept(table, grain string) keptSum {
	return keptSum{
		table: "path_" + table, key: []string{"repo_id", "path", "day"}, numbers: []string{"added", "ai", "human", "unknown", "trailer", "excluded"},
		counted: `
		SELECT c.repo_id, d.folder AS path, date_trunc('` + grain + `', c.day::timestamp)::date AS day,
		       sum(f.added) FILTER (WHERE f.excluded = '') AS added, sum(f.ai) AS ai, sum(f.human) AS human, sum(f.unknown) AS unknown,
		       sum(f.trailer) AS trailer, sum(f.added) FILTER (WHERE f.excluded <> '') AS excluded
		FROM commit_lines c JOIN added_files f USING (org_id, repo_id, commit), live_folders(f.path) d
		WHERE c.org_id = $1 AND c.on_default GROUP BY 1, 2, 3`,
	}
}

// filesKept: the lines of a file that do not count have no owners.
var filesKept = keptSum{
	table: "added_files", key: []string{"repo_id", "commit", "path"}, numbers: []string{"ai", "human", "trailer"},
	counted: `
		SELECT repo_id, commit, path, sum(last - first + 1) FILTER (WHERE class = 'ai') AS ai,
		       sum(last - first + 1) FILTER (WHERE class = 'human') AS human,
		       sum(last - first + 1) FILTER (WHERE confidence = 'trailer') AS trailer
		FROM added_runs WHERE org_id = $1 GROUP BY 1, 2, 3`,
}

// commitsKept leaves excluded lines out: those of files with overlong paths are
// counted and have no row.
var commitsKept = keptSum{
	table: "commit_lines", key: []string{"repo_id", "commit"}, numbers: []string{"added", "ai", "human", "unknown", "trailer"},
	counted: `
		SELECT repo_id, commit, sum(added) FILTER (WHERE excluded = '') AS added, sum(ai) AS ai, sum(human) AS human,
		       sum(added - ai - human) FILTER (WHERE excluded = '') AS unknown, sum(trailer) AS trailer
		FROM added_files WHERE org_id = $1 GROUP BY 1, 2`,
}

// ownersKept leaves out repositories where something is to be classified: a
// receipt that has changed is found in its lines a moment later.
var ownersKept = keptSum{
	table: "commit_owners", key: []string{"repo_id", "commit", "provider", "model"}, numbers: []string{"ai", "trailer"},
	stored: `SELECT * FROM commit_owners o WHERE org_id = $1 AND ` + classified("o"),
	counted: `
		SELECT a.repo_id, a.commit, CASE WHEN a.confidence = 'trailer' THEN a.author ELSE coalesce(r.provider, '') END AS provider,
		       CASE WHEN a.confidence = 'trailer' THEN '' ELSE coalesce(r.model, '') END AS model, sum(a.last - a.first + 1) AS ai,
		       sum(a.last - a.first + 1) FILTER (WHERE a.confidence = 'trailer') AS trailer
		FROM added_runs a LEFT JOIN receipts r ON r.org_id = a.org_id AND r.id = a.receipt_id
		WHERE a.org_id = $1 AND a.class = 'ai' AND ` + classified("a") + ` GROUP BY 1, 2, 3, 4`,
}

func classified(table string) string {
	return table + `.repo_id NOT IN (SELECT d.repo_id FROM line_demands d WHERE d.org_id = $1)`
}

// lineNumbers are the sums of line_rollups.
var lineNumbers = []string{"added", "ai", "human", "unknown", "trailer", "excluded", "deleted", "commits", "commits_noted", "commits_marked",
	"bot_commits", "merge_commits"}

func lineSumsKept(table, grain string) keptSum {
	sums := make([]string, len(lineNumbers))
	for i, column := range lineNumbers {
		sums[i] = "sum((d.x)." + column + ") AS " + column
	}
	return keptSum{
		table: "line_" + table, key: []string{"dimension", "repo_id", "key", "key2", "day"}, numbers: lineNumbers,
		counted: `
		SELECT e.dimension, e.repo_id, e.key, e.key2, date_trunc('` + grain + `', (d.x).day::timestamp)::date AS day, ` + strings.Join(sums, ", ") + `
		FROM (SELECT commit_lines_delta(c, 1) AS x FROM commit_lines c WHERE c.org_id = $1 AND c.on_default
		      UNION ALL
		      SELECT commit_owners_delta(o, 1) FROM commit_owners o JOIN commit_lines c USING (org_id, repo_id, commit)
		      WHERE c.org_id = $1 AND c.on_default) d,
		     line_dimensions(d.x) e
		GROUP BY 1, 2, 3, 4, 5`,
	}
}

// liveOwners are the runs of a table with what they are summed up by.
func liveOwners(table string) string {
	return `SELECT l.*, c.author_email, c.day, c.committed_at, c.landed_at IS NOT NULL AS watched, coalesce(p.model, '') AS model,
		CASE WHEN l.source = 'trailer' THEN l.author ELSE coalesce(p.provider, '') END AS provider, l.last - l.first + 1 AS n
	FROM ` + table + ` l JOIN live_commits c USING (org_id, repo_id, commit_id) LEFT JOIN receipts p ON p.org_id = l.org_id AND p.id = l.receipt_id
	WHERE l.org_id = $1`
}

var liveKept = []keptSum{{
	table: "live_files", key: []string{"repo_id", "path"}, numbers: []string{"lines", "ai", "human", "unknown"},
	counted: `
		SELECT repo_id, path, sum(last - first + 1) AS lines, sum(last - first + 1) FILTER (WHERE class = 'ai') AS ai,
		       sum(last - first + 1) FILTER (WHERE class = 'human') AS human, sum(last - first + 1) FILTER (WHERE class = 'unknown') AS unknown
		FROM live_runs WHERE org_id = $1 GROUP BY 1, 2`,
}, {
	table: "live_directories", key: []string{"repo_id", "path"}, numbers: []string{"files", "ai", "human", "unknown"},
	counted: `
		SELECT f.repo_id, d.folder AS path, count(*) AS files, sum(f.ai) AS ai, sum(f.human) AS human, sum(f.unknown) AS unknown
		FROM live_files f, live_folders(f.path) d WHERE f.org_id = $1 AND f.kind = 'text' GROUP BY 1, 2`,
}, {
	table: "live_receipts", key: []string{"receipt_id", "repo_id"}, numbers: []string{"lines", "removed"},
	facts: []string{"model", "provider", "session_id"},
	counted: `
		SELECT l.receipt_id, l.repo_id, coalesce(p.model, '') AS model, coalesce(p.provider, '') AS provider,
		       coalesce(p.session_id, '') AS session_id, l.lines, l.removed
		FROM (SELECT receipt_id, repo_id, sum(live) AS lines, sum(gone) AS removed
		      FROM (SELECT repo_id, receipt_id, last - first + 1 AS live, 0 AS gone FROM live_runs WHERE org_id = $1
		            UNION ALL SELECT repo_id, receipt_id, 0, last - first + 1 FROM removed_runs WHERE org_id = $1) l
		      WHERE receipt_id <> '' GROUP BY 1, 2) l
		LEFT JOIN receipts p ON p.org_id = $1 AND p.id = l.receipt_id`,
}, {
	table: "live_sums", key: []string{"dimension", "repo_id", "key"}, numbers: []string{"ai", "human", "unknown"},
	counted: `
		SELECT e.dimension, e.repo_id, e.key, sum(n) FILTER (WHERE class = 'ai') AS ai, sum(n) FILTER (WHERE class = 'human') AS human,
		       sum(n) FILTER (WHERE class = 'unknown') AS unknown
		FROM (` + liveOwners("live_runs") + `) l, live_dimensions(l.repo_id, class, author_email, day, model, provider) e
		GROUP BY 1, 2, 3`,
}, {
	table: "live_cohorts", key: []string{"dimension", "repo_id", "key", "class", "week", "watched"},
	numbers: []string{"live", "removed14", "removed30", "removed90", "removed"},
	counted: `
		SELECT e.dimension, e.repo_id, e.key, class, date_trunc('week', day::timestamp)::date AS week, watched, sum(live) AS live,
		       sum(n) FILTER (WHERE life <= '14 days') AS removed14, sum(n) FILTER (WHERE life <= '30 days') AS removed30,
		       sum(n) FILTER (WHERE life <= '90 days') AS removed90, sum(n) AS removed
		FROM (SELECT repo_id, class, author_email, day, model, provider, watched, n AS live, 0 AS n, NULL::interval AS life
		      FROM (` + liveOwners("live_runs") + `) a
		      UNION ALL
		      SELECT repo_id, class, author_email, day, model, provider, watched, 0, n, ended_at - committed_at
		      FROM (` + liveOwners("removed_runs") + `) b) l,
		     live_dimensions(l.repo_id, class, author_email, day, model, provider) e
		WHERE e.dimension <> 'month' GROUP BY 1, 2, 3, 4, 5, 6`,
}}

var pushedDaysKept = keptSum{
	table: "pushed_days", key: []string{"repo_id", "day"}, numbers: []string{"commits", "added", "ai", "human"},
	counted: `
		SELECT repo_id, day, count(*) AS commits, sum(added) AS added, sum(ai) AS ai, sum(human) AS human
		FROM pushed_commits WHERE org_id = $1 GROUP BY 1, 2`,
}

// pushedSpendKept: what each prompt says that was summed up of it.
var pushedSpendKept = keptSum{
	table: "pushed_spend", key: []string{"dimension", "repo_id", "key", "monthly", "day"}, numbers: []string{"cost_usd"},
	counted: `
		SELECT d.dimension, d.repo_id, d.key, g.monthly,
		       CASE WHEN g.monthly THEN date_trunc('month', p.day::timestamp)::date ELSE p.day END AS day, sum(d.usd) AS cost_usd
		FROM pushed_prompts p, (VALUES (false), (true)) AS g (monthly),
		     LATERAL (VALUES ('all', '` + uuid.Nil.String() + `'::uuid, '', p.summed_usd), ('all', p.repo_id, '', p.summed_usd),
		                     ('user', '` + uuid.Nil.String() + `'::uuid, p.user_email, p.summed_user_usd)) AS d (dimension, repo_id, key, usd)
		WHERE p.org_id = $1 AND p.summed_usd IS NOT NULL GROUP BY 1, 2, 3, 4, 5`,
}
