package store

import (
	"context"
	"crypto/sha256"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/blameprompt/enterprise/notes"
)

// LiveWriter brings files of one live map into the store: any number of Stage,
// which nobody sees, then one transaction. It holds a connection until Close
// and is used by one goroutine.
type LiveWriter struct {
	conn      *pgxpool.Conn
	sealer    Sealer
	org, repo uuid.UUID
	ref       string
	// staged counts runs; dirty says that staging tables are not empty.
	staged int
	dirty  bool
}

// codePathTooLong is the finding about a path that no index can hold.
const codePathTooLong = "path_too_long"

// liveCodes are the findings about files of a live map, as notes/lines/live has
// them.
var liveCodes = []string{codePathTooLong, "file_too_large", "file_history_incomplete", "file_history_slow", "file_history_unreadable"}

// liveStage are temporary tables of the writer's session. Runs that ended are
// staged by their origin, with no path.
var liveStage = []string{
	`CREATE TEMP TABLE IF NOT EXISTS stage_live_files (path bytea, directory bytea, blob text, kind text, reason text, lines integer, location text)`,
	`CREATE TEMP TABLE IF NOT EXISTS stage_live_runs (path bytea, first integer, last integer, commit_id text, origin_path bytea,
		origin_line integer, ended_at timestamptz, ended_tip text)`,
	`CREATE TEMP TABLE IF NOT EXISTS stage_live_findings (id uuid, code text, severity text, location text, message text)`,
	`CREATE TEMP TABLE IF NOT EXISTS stage_live_settled (location text)`,
	`CREATE TEMP TABLE IF NOT EXISTS stage_live_gone (commit_id text, origin_path bytea, lines int4multirange, ended_at timestamptz, ended_tip text)`,
	`CREATE TEMP TABLE IF NOT EXISTS stage_live_commits (commit_id text)`,
	`CREATE TEMP TABLE IF NOT EXISTS stage_live_deltas OF live_delta`,
	`CREATE TEMP TABLE IF NOT EXISTS stage_live_pieces (path bytea, first integer, last integer, commit_id text, origin_path bytea,
		origin_line integer, class text, source text, confidence text, receipt_id text, author text, ended_at timestamptz, ended_tip text)`,
}

var liveStageNames = []string{"files", "runs", "findings", "settled", "gone", "commits", "deltas", "pieces"}

// clearLiveStage empties the staging tables. To give them back their space takes
// longer than to write ten files, so that it is done when there is much of it.
func (tx *Tx) clearLiveStage(ctx context.Context, few bool) error {
	var size int64
	err := tx.QueryRow(ctx, `SELECT pg_relation_size('pg_temp.stage_live_runs') + pg_relation_size('pg_temp.stage_live_pieces')`).Scan(&size)
	if err != nil {
		return translate(err, "measuring the staging tables")
	}
	batch := &pgx.Batch{}
	for _, name := range liveStageNames {
		if few && size < maxStageSize {
			batch.Queue(`DELETE FROM pg_temp.stage_live_` + name)
		} else {
			batch.Queue(`TRUNCATE pg_temp.stage_live_` + name)
		}
	}
	return translate(tx.SendBatch(ctx, batch).Close(), "clearing the staging tables")
}

const maxStageSize = 1 << 20

// LiveWriter returns a writer of a repository's map; ref is the branch that its
// findings name.
func (db *DB) LiveWriter(ctx context.Context, org, repo uuid.UUID, ref string) (*LiveWriter, error) {
	conn, err := db.pool.Acquire(ctx)
	if err != nil {
		return nil, translate(err, "writing a live map")
	}
	w := &LiveWriter{conn: conn, sealer: db.sealer, org: org, repo: repo, ref: ref}
	if err := w.prepare(ctx); err != nil {
		w.Close()
		return nil, translate(err, "making staging tables")
	}
	return w, nil
}

// prepare makes the staging tables unless an earlier writer has left them behind.
func (w *LiveWriter) prepare(ctx context.Context) error {
	var ready bool
	if err := w.conn.QueryRow(ctx, `SELECT to_regclass('pg_temp.stage_live_pieces') IS NOT NULL`).Scan(&ready); err != nil || ready {
		return err
	}
	for _, sql := range liveStage {
		if _, err := w.conn.Exec(ctx, sql); err != nil {
			return err
		}
	}
	return nil
}

// Close gives the connection back. One with staged rows is closed, and they go
// with it.
func (w *LiveWriter) Close() {
	if w.dirty {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		// An error means that the session is gone already.
		_ = w.conn.Conn().Close(ctx)
	}
	w.conn.Release()
}

// Stage copies files into the writer's session.
func (w *LiveWriter) Stage(ctx context.Context, files []*LiveFile) error {
	var rows, runs, findings, settled [][]any
	for _, f := range files {
		finding := f.Finding
		location := clean(f.Path)
		if len(f.Path) > MaxLinePath {
			settled = append(settled, []any{location})
			finding = tooLongPath(f)
		} else {
			rows = append(rows, []any{[]byte(f.Path), []byte(liveFolder(f.Path)), f.Blob, f.Kind, f.Excluded, f.Lines, location})
			for _, r := range f.Runs {
				runs = append(runs, []any{[]byte(f.Path), r.First, r.Last, r.Commit, []byte(r.OriginPath), r.OriginLine})
			}
		}
		if finding != nil {
			findings = append(findings, w.finding(finding))
		}
	}
	w.staged, w.dirty = w.staged+len(runs)+len(rows), true
	for _, t := range []stageTable{
		{"stage_live_files", []string{"path", "directory", "blob", "kind", "reason", "lines", "location"}, rows},
		{"stage_live_runs", []string{"path", "first", "last", "commit_id", "origin_path", "origin_line"}, runs},
		{"stage_live_findings", []string{"id", "code", "severity", "location", "message"}, findings},
		{"stage_live_settled", []string{"location"}, settled},
	} {
		if len(t.rows) == 0 {
			continue
		}
		_, err := w.conn.CopyFrom(ctx, pgx.Identifier{"pg_temp", t.name}, t.columns, pgx.CopyFromRows(t.rows))
		if err != nil {
			return translate(err, "copying into %s", t.name)
		}
	}
	return nil
}

func tooLongPath(f *LiveFile) *notes.Finding {
	if f.Kind == LiveRemoved {
		return nil
	}
	return &notes.Finding{Code: codePathTooLong, Severity: notes.Warning, Where: f.Path,
		Message: "The path has more than " + itoa(MaxLinePath) + " bytes. Its lines are not among the live ones."}
}

// finding is a row of a finding; its id is derived from what it is about.
func (w *LiveWriter) finding(f *notes.Finding) []any {
	where := clean(f.Where)
	sum := sha256.New()
	for _, part := range []string{w.repo.String(), w.ref, f.Code, where} {
		hashText(sum, part)
	}
	return []any{hashID(sum), f.Code, string(f.Severity), where, clean(f.Message)}
}

// maxLiveFolders is how deep folders are summed up; live_folders has it too.
const maxLiveFolders = 32

// liveFolder is the folder that a file is listed in, with its slash.
func liveFolder(path string) string {
	end := 0
	for range maxLiveFolders {
		slash := strings.IndexByte(path[end:], '/')
		if slash < 0 {
			break
		}
		end += slash + 1
	}
	return path[:end]
}

// liveStep is a statement of a writer's transaction.
type liveStep struct{ op, sql string }

// inTx runs steps in one transaction behind check, and empties the staging
// tables.
func (w *LiveWriter) inTx(ctx context.Context, args pgx.NamedArgs, check func(LiveMap) error, steps ...liveStep) error {
	raw, err := w.conn.Begin(ctx)
	if err != nil {
		return translate(err, "beginning a transaction")
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = raw.Rollback(end)
	}()
	tx := &Tx{Tx: raw, sealer: w.sealer}
	if err := tx.lockOrg(ctx, w.org); err != nil {
		return err
	}
	state, err := tx.lockLive(ctx, w.org, w.repo)
	if err != nil {
		return err
	}
	if err := check(state); err != nil {
		return err
	}
	if err := tx.planLive(ctx, w.staged < manyNotes); err != nil {
		return err
	}
	all := pgx.NamedArgs{"org": w.org, "repo": w.repo, "ref": w.ref, "codes": liveCodes}
	for name, value := range args {
		all[name] = value
	}
	w.dirty = true
	if err := tx.runLive(ctx, append(steps, sumUpLive), all); err != nil {
		return err
	}
	if err := tx.clearLiveStage(ctx, w.staged < manyNotes); err != nil {
		return err
	}
	if err := raw.Commit(ctx); err != nil {
		return translate(err, "committing")
	}
	w.staged, w.dirty = 0, false
	return nil
}

// runLive sends all steps at once: for ten files waiting for each takes as long as
// the steps themselves.
func (tx *Tx) runLive(ctx context.Context, steps []liveStep, args pgx.NamedArgs) (err error) {
	batch := &pgx.Batch{}
	for _, s := range steps {
		batch.Queue(s.sql, args)
	}
	results := tx.SendBatch(ctx, batch)
	defer func() {
		if closeErr := results.Close(); err == nil {
			err = translate(closeErr, "writing live lines")
		}
	}()
	for _, s := range steps {
		if _, err := results.Exec(); err != nil {
			return translate(err, "%s", s.op)
		}
	}
	return nil
}

// sumUpLive applies what all statements of the transaction add to the sums
// together.
var sumUpLive = liveStep{"summing up live lines", `
	SELECT live_apply(ARRAY(
		SELECT ROW(org_id, repo_id, commit_id, class, receipt_id, agent, sum(live), sum(removed14), sum(removed30), sum(removed90), sum(removed))::live_delta
		FROM stage_live_deltas GROUP BY org_id, repo_id, commit_id, class, receipt_id, agent
		HAVING sum(live) <> 0 OR sum(removed14) <> 0 OR sum(removed30) <> 0 OR sum(removed90) <> 0 OR sum(removed) <> 0))`}

// planLive makes the plans of few rows those of indexes, as planForSize does.
func (tx *Tx) planLive(ctx context.Context, few bool) error {
	_, err := tx.Exec(ctx, `
		SELECT set_config('work_mem', '64MB', true), set_config('jit', 'off', true), set_config('blameprompt.live_deltas', 'later', true),
		       (SELECT count(set_config(name, $1, true)) FROM unnest(ARRAY['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin']) AS name)`,
		map[bool]string{true: "off", false: "on"}[few])
	if err != nil || few {
		return translate(err, "planning")
	}
	_, err = tx.Exec(ctx, `ANALYZE pg_temp.stage_live_files, pg_temp.stage_live_runs (path, commit_id, origin_path)`)
	return translate(err, "measuring staged rows")
}

// replaceLive puts the staged files into the place of those of the same paths.
var replaceLive = []liveStep{
	{"adding the commits of live lines", `
		INSERT INTO live_commits (org_id, repo_id, commit_id, author_email, committed_at, day, landed_at)
		SELECT @org::uuid, @repo::uuid, s.commit_id, lower(coalesce(c.author_email, '')), t.at,
		       (t.at AT TIME ZONE (SELECT time_zone FROM orgs WHERE id = @org))::date, @landed::timestamptz
		FROM (SELECT DISTINCT commit_id FROM stage_live_runs) s
		LEFT JOIN commits c ON c.org_id = @org AND c.repo_id = @repo AND c.commit = s.commit_id
		CROSS JOIN LATERAL (SELECT coalesce(c.committed_at, 'epoch') AS at) t
		ON CONFLICT DO NOTHING`},
	{"settling findings of files", `
		DELETE FROM findings f USING (
			SELECT location FROM stage_live_settled
			UNION
			SELECT s.location FROM stage_live_files s JOIN live_files o ON o.org_id = @org AND o.repo_id = @repo AND o.path = s.path
			WHERE o.kind IN ('too_large', 'unreadable')) s
		WHERE f.org_id = @org AND f.repo_id = @repo AND f.code = ANY(@codes) AND f.location = s.location`},
	{"adding findings of files", `
		INSERT INTO findings (org_id, id, repo_id, code, severity, ref, location, message)
		SELECT DISTINCT ON (id) @org::uuid, id, @repo::uuid, code, severity, @ref::text, location, message FROM stage_live_findings ORDER BY id
		ON CONFLICT DO NOTHING`},
	{"removing live runs", `
		DELETE FROM live_runs l USING stage_live_files s WHERE l.org_id = @org AND l.repo_id = @repo AND l.path = s.path`},
	{"adding live runs", `
		INSERT INTO live_runs (org_id, repo_id, path, first, last, commit_id, origin_path, origin_line, class, source, confidence, receipt_id, author)
		SELECT @org::uuid, @repo::uuid, path, first, last, commit_id, origin_path, origin_line, class, source, confidence, receipt_id, author
		FROM (` + sqlLivePieces + `) p`},
	{"removing live files", `
		DELETE FROM live_files f USING stage_live_files s WHERE f.org_id = @org AND f.repo_id = @repo AND f.path = s.path`},
	{"adding live files", `
		INSERT INTO live_files (org_id, repo_id, path, directory, blob, kind, reason, generation, lines, ai, human, unknown)
		SELECT DISTINCT ON (s.path) @org::uuid, @repo::uuid, s.path, s.directory, s.blob, s.kind, s.reason, @generation::integer, s.lines, n.ai, n.human, n.unknown
		FROM stage_live_files s, LATERAL (` + sqlLiveCounts + `) n
		WHERE s.kind <> '` + LiveRemoved + `'`},
}

// sqlLiveCounts counts the lines of the file s.
const sqlLiveCounts = `
	SELECT coalesce(sum(l.last - l.first + 1) FILTER (WHERE l.class = 'ai'), 0) AS ai,
	       coalesce(sum(l.last - l.first + 1) FILTER (WHERE l.class = 'human'), 0) AS human,
	       coalesce(sum(l.last - l.first + 1) FILTER (WHERE l.class = 'unknown'), 0) AS unknown
	FROM live_runs l WHERE l.org_id = @org AND l.repo_id = @repo AND l.path = s.path`

// sqlLivePieces gives the lines of staged runs the classes that they have among
// the added lines of their commits, and splits the runs where the class
// changes. What no added run has is unknown. Of the added runs of a file only
// those are looked at that a staged run meets: the search begins with the last
// one that begins before it.
const sqlLivePieces = `
	WITH met AS (
		SELECT s.*, s.origin_line + (s.last - s.first) AS origin_last, a.first AS met_first, a.last AS met_last,
		       a.class, a.source, a.confidence, a.receipt_id, a.author
		FROM stage_live_runs s LEFT JOIN LATERAL (
			SELECT greatest(a.first, s.origin_line) AS first, least(a.last, s.origin_line + (s.last - s.first)) AS last,
			       a.class, a.source, a.confidence, a.receipt_id, a.author
			FROM added_runs a
			WHERE a.org_id = @org AND a.repo_id = @repo AND a.commit = s.commit_id AND a.path = s.origin_path
			  AND a.first <= s.origin_line + (s.last - s.first) AND a.last >= s.origin_line
			  AND a.first >= coalesce((SELECT max(b.first) FROM added_runs b
				WHERE b.org_id = @org AND b.repo_id = @repo AND b.commit = s.commit_id AND b.path = s.origin_path
				  AND b.first <= s.origin_line), 0)) a ON true
	), beside AS (
		SELECT *, coalesce(lag(met_last) OVER w + 1, origin_line) AS free, lead(met_first) OVER w IS NULL AS final
		FROM met WINDOW w AS (PARTITION BY path, first, commit_id, origin_path, origin_line, ended_tip ORDER BY met_first)
	)
	SELECT b.path, b.first + (p.first - b.origin_line) AS first, b.first + (p.last - b.origin_line) AS last, b.commit_id, b.origin_path,
	       p.first AS origin_line, p.class, p.source, p.confidence, p.receipt_id, p.author, b.ended_at, b.ended_tip
	FROM beside b, LATERAL (
		SELECT b.met_first, b.met_last, b.class, b.source, b.confidence, b.receipt_id, b.author
		UNION ALL SELECT b.free, coalesce(b.met_first - 1, b.origin_last), 'unknown', '', '', '', ''
		UNION ALL SELECT b.met_last + 1, b.origin_last, 'unknown', '', '', '', '' WHERE b.final
	) p (first, last, class, source, confidence, receipt_id, author)
	WHERE p.first <= p.last`

// Write stores the staged files of a map that is being made. ErrMoved means that
// another one has been begun.
func (w *LiveWriter) Write(ctx context.Context, generation int) error {
	return w.inTx(ctx, pgx.NamedArgs{"generation": generation, "landed": nil},
		func(m LiveMap) error { return m.builds(generation) }, replaceLive...)
}

func (m LiveMap) builds(generation int) error {
	if m.BuildingTip == "" || m.Generation != generation {
		return errLiveMoved("writing a live map")
	}
	return nil
}

// Finish makes the map that is being made the map of its tip. Files that the
// tip does not have go: they are gathered first, so that the runs of those that
// stay, which are all of a first map, are not walked. The beginning of the map
// stays where it was made anew for the same tip.
func (w *LiveWriter) Finish(ctx context.Context, generation int, at time.Time) error {
	return w.inTx(ctx, pgx.NamedArgs{"generation": generation, "at": at},
		func(m LiveMap) error { return m.builds(generation) },
		liveStep{"removing old runs", `
			DELETE FROM live_runs l
			WHERE l.org_id = @org AND l.repo_id = @repo
			  AND l.path = ANY(ARRAY(SELECT f.path FROM live_files f WHERE f.org_id = @org AND f.repo_id = @repo AND f.generation <> @generation))`},
		liveStep{"removing old files", `
			DELETE FROM live_files WHERE org_id = @org AND repo_id = @repo AND generation <> @generation`},
		liveStep{"finishing a live map", `
			UPDATE live_tips SET tip = building_tip, tip_at = @at, building_tip = '', total = 0, updated_at = now(),
				began_at = CASE WHEN tip = building_tip THEN began_at ELSE @at END
			WHERE org_id = @org AND repo_id = @repo`})
}

// LiveMove is a move of a map from one tip to another.
type LiveMove struct {
	Old, Tip string
	// At is the committer time of Tip.
	At  time.Time
	Ref string
	// Abandoned are commits that Old reaches and Tip does not: their lines are not
	// removed, they are no longer part of the branch.
	Abandoned []string
	// Rules is the exclude revision of Tip.
	Rules string
}

// Move makes the map that of another tip by the staged files. ErrMoved means that
// somebody else moved it first.
func (w *LiveWriter) Move(ctx context.Context, move LiveMove) error {
	args := pgx.NamedArgs{"landed": move.At, "at": move.At, "tip": move.Tip, "newref": move.Ref, "abandoned": append([]string{}, move.Abandoned...),
		"generation": 0, "rules": move.Rules}
	check := func(m LiveMap) error {
		if m.Tip != move.Old || m.BuildingTip != "" {
			return errLiveMoved("moving a live map")
		}
		args["generation"] = m.Generation
		return nil
	}
	steps := append([]liveStep{{"noting the lines before", sqlLiveBefore}}, replaceLive...)
	steps = append(steps, removeLive...)
	steps = append(steps, liveStep{"moving a live map", `
		UPDATE live_tips SET ref = @newref, tip = @tip, tip_at = @at, updated_at = now(),
			rules_tip = CASE WHEN exclude_revision = @rules THEN @tip ELSE '' END
		WHERE org_id = @org AND repo_id = @repo`})
	return w.inTx(ctx, args, check, steps...)
}

// sqlLiveBefore notes the origins that the staged files had and have no longer. A
// file whose lines are no longer counted has not lost them.
const sqlLiveBefore = `
	INSERT INTO stage_live_gone
	SELECT commit_id, origin_path, had - coalesce(has, '{}'), @at::timestamptz, @tip::text
	FROM (SELECT commit_id, origin_path, range_agg(lines) FILTER (WHERE old) AS had, range_agg(lines) FILTER (WHERE NOT old) AS has
	      FROM (SELECT l.commit_id, l.origin_path, int4range(l.origin_line, l.origin_line + (l.last - l.first) + 1) AS lines, true AS old
	            FROM stage_live_files s JOIN live_runs l ON l.org_id = @org AND l.repo_id = @repo AND l.path = s.path
	            WHERE s.kind IN ('` + LiveText + `', '` + LiveRemoved + `') AND l.commit_id <> ALL(@abandoned::text[])
	            UNION ALL
	            SELECT commit_id, origin_path, int4range(origin_line, origin_line + (last - first) + 1), false FROM stage_live_runs) l
	      GROUP BY 1, 2) l
	WHERE NOT isempty(had - coalesce(has, '{}'))`

// sqlLiveAlive are the lines that the map has of an origin o.
const sqlLiveAlive = `
	SELECT range_agg(int4range(l.origin_line, l.origin_line + (l.last - l.first) + 1)) AS lines FROM live_runs l
	WHERE l.org_id = @org AND l.repo_id = @repo AND l.commit_id = o.commit_id AND md5(l.origin_path) = md5(o.origin_path)
	  AND l.origin_path = o.origin_path`

// removeLive notes the lines that the map has lost, and takes back those that it
// has again.
var removeLive = []liveStep{
	{"finding lines that are back", `
		INSERT INTO stage_live_pieces
		SELECT ''::bytea, o.first, o.last, o.commit_id, o.origin_path, o.first, '', '', '', '', '', o.ended_at, o.ended_tip
		FROM (SELECT commit_id, origin_path, range_agg(int4range(origin_line, origin_line + (last - first) + 1)) AS lines
		      FROM stage_live_runs GROUP BY 1, 2) s
		JOIN removed_runs o ON o.org_id = @org AND o.repo_id = @repo AND o.commit_id = s.commit_id
			AND md5(o.origin_path) = md5(s.origin_path) AND o.origin_path = s.origin_path AND s.lines && int4range(o.first, o.last + 1)`},
	{"taking back removed lines", `
		DELETE FROM removed_runs r USING stage_live_pieces s
		WHERE r.org_id = @org AND r.repo_id = @repo AND r.commit_id = s.commit_id AND md5(r.origin_path) = md5(s.origin_path)
		  AND r.origin_path = s.origin_path AND r.first = s.first`},
	{"forgetting lines of abandoned commits", `
		DELETE FROM removed_runs WHERE org_id = @org AND repo_id = @repo AND commit_id = ANY(@abandoned::text[])`},
	{"clearing staged runs", `DELETE FROM stage_live_runs`},
	{"collecting removed lines", `
		INSERT INTO stage_live_runs
		SELECT ''::bytea, lower(x), upper(x) - 1, o.commit_id, o.origin_path, lower(x), o.ended_at, o.ended_tip
		FROM (SELECT commit_id, origin_path, lines, ended_at, ended_tip FROM stage_live_gone
		      UNION ALL
		      SELECT commit_id, origin_path, int4multirange(int4range(first, last + 1)), ended_at, ended_tip FROM stage_live_pieces
		      WHERE commit_id <> ALL(@abandoned::text[])) o,
		LATERAL (` + sqlLiveAlive + `) a, LATERAL unnest(o.lines - coalesce(a.lines, '{}')) x`},
	{"adding removed lines", `
		INSERT INTO removed_runs (org_id, repo_id, commit_id, origin_path, first, last, ended_at, ended_tip, class, source, confidence, receipt_id, author)
		SELECT @org::uuid, @repo::uuid, commit_id, origin_path, first, last, ended_at, ended_tip, class, source, confidence, receipt_id, author
		FROM (` + sqlLivePieces + `) p`},
}
