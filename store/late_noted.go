package store

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// lateBatch bounds the commits that one transaction of NoteLate looks at.
const lateBatch = 10_000

// NoteLate finds the commits of which a note speaks only since they were pushed, in
// the lines that were classified since it last looked, and among the pushes of the
// last hour: lines and a push may have come at one moment. It takes O(log n) for each
// of these. Reading does not wait for it: what it has not seen yet is looked at then.
func (db *DB) NoteLate(ctx context.Context, now time.Time) error {
	stale, err := collect[struct{ OrgID, ID uuid.UUID }](ctx, db.pool, "looking for new lines of pushed commits", `
		SELECT r.org_id, r.id FROM repos r LEFT JOIN late_noted_marks m ON m.org_id = r.org_id AND m.repo_id = r.id
		WHERE (SELECT true FROM commit_lines l WHERE l.org_id = r.org_id AND l.repo_id = r.id AND l.revision > coalesce(m.revision, 0) LIMIT 1)`)
	if err != nil {
		return err
	}
	for _, repo := range stale {
		if err := db.noteLateOf(ctx, repo.OrgID, repo.ID); err != nil {
			return err
		}
	}
	_, err = db.pool.Exec(ctx, `
		INSERT INTO late_noted AS n (org_id, repo_id, commit, pushed_at)
		SELECT p.org_id, p.repo_id, p.commit, p.pushed_at
		FROM orgs o JOIN pushed_commits p ON p.org_id = o.id AND p.pushed_at > $1 AND NOT p.noted
		JOIN commit_lines l ON l.org_id = p.org_id AND l.repo_id = p.repo_id AND l.commit = p.commit AND l.noted
		ORDER BY 1, 2, 3
		ON CONFLICT (org_id, repo_id, commit) DO UPDATE SET pushed_at = excluded.pushed_at WHERE n.pushed_at <> excluded.pushed_at`,
		now.Add(-lookedBack))
	return translate(err, "looking for notes of new pushes")
}

// noteLateOf looks at the new lines of a repository, a batch at a time.
func (db *DB) noteLateOf(ctx context.Context, org, repo uuid.UUID) error {
	for seen := lateBatch; seen == lateBatch; {
		err := db.InTx(ctx, func(tx *Tx) error {
			// A revision is taken under this lock, so that none comes behind the mark.
			if err := tx.lockLines(ctx, repo); err != nil {
				return err
			}
			row, err := collectOne[struct{ Seen int }](ctx, tx, "noting pushed commits with notes", sqlNoteLate, org, repo, lateBatch)
			seen = row.Seen
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

const sqlNoteLate = `
	WITH lines AS MATERIALIZED (
		SELECT commit, noted, revision FROM commit_lines
		WHERE org_id = $1 AND repo_id = $2
		  AND revision > coalesce((SELECT revision FROM late_noted_marks WHERE org_id = $1 AND repo_id = $2), 0)
		ORDER BY revision LIMIT $3
	), gone AS (
		DELETE FROM late_noted n USING lines l WHERE n.org_id = $1 AND n.repo_id = $2 AND n.commit = l.commit AND NOT l.noted
	), come AS (
		INSERT INTO late_noted AS n (org_id, repo_id, commit, pushed_at)
		SELECT $1, $2, p.commit, p.pushed_at
		FROM lines l JOIN pushed_commits p ON p.org_id = $1 AND p.repo_id = $2 AND p.commit = l.commit AND NOT p.noted
		WHERE l.noted ORDER BY p.commit
		ON CONFLICT (org_id, repo_id, commit) DO UPDATE SET pushed_at = excluded.pushed_at WHERE n.pushed_at <> excluded.pushed_at
	), mark AS (
		INSERT INTO late_noted_marks AS m (org_id, repo_id, revision)
		SELECT $1, $2, max(revision) FROM lines HAVING count(*) > 0
		ON CONFLICT (org_id, repo_id) DO UPDATE SET revision = excluded.revision
	)
	SELECT count(*) AS seen FROM lines`
