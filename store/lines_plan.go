package store

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
)

// LinePlan moves the added lines of a repository to another tip, or to other
// rules.
type LinePlan struct {
	OrgID, RepoID uuid.UUID
	// Before is what was planned last, as LineState told it, To what is planned now.
	Before, To LineTip
	// Whole says that the commits are all that the new tip reaches, and not the
	// difference to the old one.
	Whole bool
}

// Reached is a commit that a tip reaches, or that it does no longer.
type Reached struct {
	Commit string
	Gained bool
}

// PlanLines notes which commits are on the default branch now, and demands what
// has to be classified for that: commits without a row, all if the rules
// changed, and those that changed receipts may speak of. list hands the
// commits to add, newest first. ErrMoved means that somebody else planned.
func (db *DB) PlanLines(ctx context.Context, p LinePlan, list func(add func([]Reached) error) error) error {
	return db.InTx(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `CREATE TEMP TABLE IF NOT EXISTS stage_reached (n bigint GENERATED ALWAYS AS IDENTITY,
			commit text, gained boolean) ON COMMIT DELETE ROWS`)
		if err != nil {
			return translate(err, "making a staging table")
		}
		if err := list(func(batch []Reached) error { return tx.stageReached(ctx, batch) }); err != nil {
			return err
		}
		if err := tx.lockLines(ctx, p.RepoID); err != nil {
			return err
		}
		planned, err := tx.plannedLines(ctx, p.OrgID, p.RepoID)
		if err != nil {
			return err
		}
		if !planned.same(p.Before) {
			return fmt.Errorf("planning lines: %w", ErrMoved)
		}
		return tx.planLines(ctx, p)
	})
}

func (tx *Tx) stageReached(ctx context.Context, batch []Reached) error {
	_, err := tx.CopyFrom(ctx, pgx.Identifier{"pg_temp", "stage_reached"}, []string{"commit", "gained"},
		pgx.CopyFromSlice(len(batch), func(i int) ([]any, error) { return []any{batch[i].Commit, batch[i].Gained}, nil }))
	return translate(err, "copying commits of a branch")
}

func (tx *Tx) planLines(ctx context.Context, p LinePlan) error {
	if _, err := tx.Exec(ctx, `ANALYZE pg_temp.stage_reached (commit)`); err != nil {
		return translate(err, "measuring the commits of a branch")
	}
	var steps []statement
	if p.Before.Tip != p.To.Tip {
		steps = append(steps,
			statement{"leaving commits", sqlLeaveCommits, []any{p.Whole}},
			statement{"dropping demands", sqlLeaveDemands, []any{p.Whole}},
			statement{"taking commits up again", sqlReturnCommits, nil},
			statement{"demanding new commits", sqlPlanCommits, nil},
			statement{"demanding unreadable commits", sqlPlanUnreadable, nil})
	}
	if p.Before.Rules != p.To.Rules {
		steps = append(steps, statement{"demanding all commits", sqlPlanAll, nil})
	}
	steps = append(steps,
		statement{"finding the commits of receipts", sqlReceiptDemands, nil},
		statement{"dropping idle demands", sqlIdleDemands, nil},
		statement{"dropping stale commits", sqlStaleCommits, []any{lineCodes}},
		statement{"noting the plan", sqlNotePlan, []any{p.To.Ref, p.To.Tip, p.To.Globs, p.To.Rules}})
	for _, s := range steps {
		args := pgx.NamedArgs{"org": p.OrgID, "repo": p.RepoID}
		for i, v := range s.args {
			args[positional[i]] = v
		}
		if _, err := tx.Exec(ctx, s.sql, args); err != nil {
			return translate(err, "%s", s.op)
		}
	}
	return nil
}

// What the branch reaches no longer. Rows stay while nothing makes them wrong,
// for a branch may come back.
const sqlLeaveCommits = `
	WITH flipped AS (
		UPDATE commit_lines c SET on_default = false
		WHERE c.org_id = @org AND c.repo_id = @repo AND c.on_default
		  AND CASE WHEN @a::boolean THEN NOT EXISTS (SELECT FROM stage_reached s WHERE s.commit = c.commit)
		      ELSE c.commit IN (SELECT s.commit FROM stage_reached s WHERE NOT s.gained) END
		RETURNING c.commit)
	UPDATE commit_owners o SET on_default = false FROM flipped f
	WHERE o.org_id = @org AND o.repo_id = @repo AND o.commit = f.commit`

const sqlLeaveDemands = `
	DELETE FROM line_demands d
	WHERE d.org_id = @org AND d.repo_id = @repo AND d.planned AND NOT d.off_default
	  AND CASE WHEN @a::boolean THEN NOT EXISTS (SELECT FROM stage_reached s WHERE s.commit = d.commit)
	      ELSE d.commit IN (SELECT s.commit FROM stage_reached s WHERE NOT s.gained) END`

const sqlReturnCommits = `
	WITH flipped AS (
		UPDATE commit_lines c SET on_default = true FROM stage_reached s
		WHERE c.org_id = @org AND c.repo_id = @repo AND NOT c.on_default AND s.gained AND c.commit = s.commit
		RETURNING c.commit)
	UPDATE commit_owners o SET on_default = true FROM flipped f
	WHERE o.org_id = @org AND o.repo_id = @repo AND o.commit = f.commit`

const sqlPlanCommits = `
	INSERT INTO line_demands (org_id, repo_id, commit, planned)
	SELECT @org::uuid, @repo::uuid, s.commit, true
	FROM stage_reached s JOIN commits k ON k.org_id = @org AND k.repo_id = @repo AND k.commit = s.commit
	WHERE s.gained
	  AND NOT EXISTS (SELECT FROM commit_lines c WHERE c.org_id = @org AND c.repo_id = @repo AND c.commit = s.commit)
	  AND NOT EXISTS (SELECT FROM line_demands d
	                  WHERE d.org_id = @org AND d.repo_id = @repo AND d.commit = s.commit AND d.planned
	                    AND NOT d.off_default)
	ORDER BY s.n`

// A fetch may have brought what was missing.
const sqlPlanUnreadable = `
	INSERT INTO line_demands (org_id, repo_id, commit)
	SELECT @org::uuid, @repo::uuid, commit FROM commit_lines
	WHERE org_id = @org AND repo_id = @repo AND state = 'unreadable'`

const sqlPlanAll = `
	INSERT INTO line_demands (org_id, repo_id, commit)
	SELECT @org::uuid, @repo::uuid, commit FROM commit_lines WHERE org_id = @org AND repo_id = @repo
	ORDER BY committed_at DESC`

// A receipt speaks of the commits whose lines it owns and of those that have the
// very content that it recorded; the commits in whose notes it stands are demanded
// with their notes, and those that such notes were laid to.
const sqlReceiptDemands = `
	WITH taken AS (
		DELETE FROM line_demands WHERE org_id = @org AND repo_id = @repo AND receipt_id <> '' RETURNING receipt_id
	), changed AS (SELECT DISTINCT receipt_id FROM taken)
	INSERT INTO line_demands (org_id, repo_id, commit)
	SELECT @org::uuid, @repo::uuid, commit FROM (
		SELECT a.commit FROM changed r
		JOIN added_runs a ON a.org_id = @org AND a.receipt_id = r.receipt_id AND a.receipt_id <> '' AND a.repo_id = @repo
		UNION
		SELECT a.commit FROM changed r
		JOIN receipt_files f ON f.org_id = @org AND f.receipt_id = r.receipt_id AND f.blob_hash <> ''
		JOIN added_files a ON a.org_id = @org AND a.repo_id = @repo AND a.blob = f.blob_hash
		UNION
		SELECT l.commit FROM changed r
		JOIN receipt_commits l ON l.org_id = @org AND l.receipt_id = r.receipt_id AND l.repo_id = @repo AND l.current
		UNION
		SELECT t.to_commit FROM changed r
		JOIN receipt_commits l ON l.org_id = @org AND l.receipt_id = r.receipt_id AND l.repo_id = @repo
		JOIN reattachments t ON t.org_id = @org AND t.repo_id = @repo AND t.ref = l.ref AND t.from_commit = l.commit AND t.blob = l.blob AND t.active
	) c`

const sqlIdleDemands = `
	DELETE FROM line_demands d
	WHERE d.org_id = @org AND d.repo_id = @repo AND NOT d.planned
	  AND NOT EXISTS (SELECT FROM commit_lines c WHERE c.org_id = @org AND c.repo_id = @repo AND c.commit = d.commit)
	  AND NOT EXISTS (SELECT FROM line_demands p WHERE p.org_id = @org AND p.repo_id = @repo AND p.commit = d.commit AND p.planned)`

// What is off every branch that counts and no longer true is not kept.
const sqlStaleCommits = `
	WITH stale AS (
		DELETE FROM commit_lines c
		WHERE c.org_id = @org AND c.repo_id = @repo AND NOT c.on_default
		  AND EXISTS (SELECT FROM line_demands d WHERE d.org_id = @org AND d.repo_id = @repo AND d.commit = c.commit)
		  AND NOT EXISTS (SELECT FROM branch_commits b WHERE b.org_id = @org AND b.repo_id = @repo AND b.commit = c.commit)
		RETURNING c.commit
	), ` + sqlForget

const sqlNotePlan = `
	INSERT INTO line_tips (org_id, repo_id, ref, tip, globs, rules) VALUES (@org, @repo, @a, @b, @c, @d)
	ON CONFLICT (org_id, repo_id) DO UPDATE
	SET ref = excluded.ref, tip = excluded.tip, globs = excluded.globs, rules = excluded.rules, planned_at = now()`
