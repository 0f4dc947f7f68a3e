package store

import (
	"context"

	"github.com/jackc/pgx/v5"
)

// reclassBatch is how many commits one transaction gives new classes to.
const reclassBatch = 5000

// Reclass gives live and removed lines of some commits that were classified
// since it was last called the classes that they have now. It reports whether
// there are none left.
func (w *LiveWriter) Reclass(ctx context.Context) (done bool, err error) {
	var revision int64
	var commits []string
	rows, err := w.conn.Query(ctx, `
		SELECT c.revision, c.commit FROM commit_lines c JOIN live_tips t USING (org_id, repo_id)
		WHERE c.org_id = $1 AND c.repo_id = $2 AND c.revision > t.class_revision ORDER BY c.revision LIMIT $3`, w.org, w.repo, reclassBatch)
	if err != nil {
		return false, translate(err, "looking for commits that were classified anew")
	}
	var commit string
	_, err = pgx.ForEachRow(rows, []any{&revision, &commit}, func() error {
		commits = append(commits, commit)
		return nil
	})
	if err != nil || len(commits) == 0 {
		return true, translate(err, "looking for commits that were classified anew")
	}
	w.staged = len(commits)
	return len(commits) < reclassBatch, w.inTx(ctx, pgx.NamedArgs{"commits": commits, "revision": revision},
		func(LiveMap) error { return nil }, reclassLive...)
}

// reclassLive puts the runs of the commits together again as they were before
// classes split them, splits them anew, and writes what differs.
var reclassLive = []liveStep{
	{"noting commits", `INSERT INTO stage_live_commits SELECT DISTINCT unnest(@commits::text[])`},
	{"putting live runs together", `
		INSERT INTO stage_live_runs
		SELECT path, min(first), max(last), commit_id, origin_path, min(origin_line), NULL, NULL
		FROM (SELECT *, count(*) FILTER (WHERE NOT joined) OVER (PARTITION BY path ORDER BY first) AS island
		      FROM (SELECT l.*, (lag(l.last) OVER w + 1 = l.first AND lag(l.commit_id) OVER w = l.commit_id
		                         AND lag(l.origin_path) OVER w = l.origin_path
		                         AND lag(l.origin_line + (l.last - l.first)) OVER w + 1 = l.origin_line) IS TRUE AS joined
		            FROM stage_live_commits c JOIN live_runs l ON l.org_id = @org AND l.repo_id = @repo AND l.commit_id = c.commit_id
		            WINDOW w AS (PARTITION BY l.path ORDER BY l.first)) l) l
		GROUP BY path, island, commit_id, origin_path`},
	{"classing live runs", `INSERT INTO stage_live_pieces ` + sqlLivePieces},
	{"measuring live runs", `ANALYZE pg_temp.stage_live_pieces (path, first, commit_id), pg_temp.stage_live_commits`},
	{"allowing plans for many", `SELECT set_config(name, 'on', true) FROM unnest(ARRAY['enable_seqscan', 'enable_hashjoin', 'enable_mergejoin']) AS name`},
	{"keeping live runs that stay", `
		DELETE FROM stage_live_pieces p USING live_runs l
		WHERE l.org_id = @org AND l.repo_id = @repo AND l.path = p.path AND l.first = p.first AND l.last = p.last
		  AND (l.class, l.source, l.confidence, l.receipt_id, l.author) = (p.class, p.source, p.confidence, p.receipt_id, p.author)`},
	{"removing live runs", `
		DELETE FROM live_runs l USING stage_live_pieces p
		WHERE l.org_id = @org AND l.repo_id = @repo AND l.path = p.path AND l.first BETWEEN p.first AND p.last`},
	{"adding live runs", `
		INSERT INTO live_runs (org_id, repo_id, path, first, last, commit_id, origin_path, origin_line, class, source, confidence, receipt_id, author)
		SELECT @org::uuid, @repo::uuid, path, first, last, commit_id, origin_path, origin_line, class, source, confidence, receipt_id, author
		FROM stage_live_pieces`},
	{"counting lines of files", `
		UPDATE live_files f SET ai = n.ai, human = n.human, unknown = n.unknown
		FROM (SELECT DISTINCT path FROM stage_live_pieces) s, LATERAL (` + sqlLiveCounts + `) n
		WHERE f.org_id = @org AND f.repo_id = @repo AND f.path = s.path AND (f.ai, f.human, f.unknown) <> (n.ai, n.human, n.unknown)`},
	{"clearing staged runs", `TRUNCATE pg_temp.stage_live_runs, pg_temp.stage_live_pieces`},
	{"putting removed runs together", `
		INSERT INTO stage_live_runs
		SELECT ''::bytea, min(first), max(last), commit_id, origin_path, min(first), min(ended_at), ended_tip
		FROM (SELECT *, count(*) FILTER (WHERE NOT joined) OVER (PARTITION BY commit_id, origin_path, ended_tip ORDER BY first) AS island
		      FROM (SELECT r.*, (lag(r.last) OVER w + 1 = r.first) IS TRUE AS joined
		            FROM stage_live_commits c JOIN removed_runs r ON r.org_id = @org AND r.repo_id = @repo AND r.commit_id = c.commit_id
		            WINDOW w AS (PARTITION BY r.commit_id, r.origin_path, r.ended_tip ORDER BY r.first)) r) r
		GROUP BY commit_id, origin_path, ended_tip, island`},
	{"classing removed runs", `INSERT INTO stage_live_pieces ` + sqlLivePieces},
	{"keeping removed runs that stay", `
		DELETE FROM stage_live_pieces p USING removed_runs r
		WHERE ` + sameRemoved + ` AND r.first = p.first AND r.last = p.last
		  AND (r.class, r.source, r.confidence, r.receipt_id, r.author) = (p.class, p.source, p.confidence, p.receipt_id, p.author)`},
	{"taking removed runs out", `
		DELETE FROM removed_runs r USING stage_live_pieces p WHERE ` + sameRemoved + ` AND r.first BETWEEN p.first AND p.last`},
	{"adding removed runs", `
		INSERT INTO removed_runs (org_id, repo_id, commit_id, origin_path, first, last, ended_at, ended_tip, class, source, confidence, receipt_id, author)
		SELECT @org::uuid, @repo::uuid, commit_id, origin_path, first, last, ended_at, ended_tip, class, source, confidence, receipt_id, author
		FROM stage_live_pieces`},
	{"noting the classes", `UPDATE live_tips SET class_revision = @revision, updated_at = now() WHERE org_id = @org AND repo_id = @repo`},
}

const sameRemoved = `r.org_id = @org AND r.repo_id = @repo AND r.commit_id = p.commit_id AND md5(r.origin_path) = md5(p.origin_path)
	AND r.origin_path = p.origin_path AND r.ended_tip = p.ended_tip`
