package store

import (
	"context"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/policy/access"
)

// Bounds of what is classified beside default branches.
const (
	// MaxLineBranches is how many branches of one repository may be asked for.
	MaxLineBranches = 20
	// MaxBranchCommits is how many commits of one are kept: the newest.
	MaxBranchCommits = 20_000
)

// LineBranch is a branch beside the default one whose commits are classified, and
// what those add that the default branch does not reach. None of it is a part of
// any other sum.
type LineBranch struct {
	Ref         string
	RequestedBy string
	RequestedAt time.Time
	// Tip is where the branch is, empty if there is none of that name.
	Tip string
	// Waiting is whether the branch or the default one moved since, Open how many
	// commits are still to be classified. Cut says that older ones are left out.
	Waiting, Cut bool
	Open         int64
	// Commits are those that are classified.
	Commits                                      int64
	Added, AI, Human, Unknown, Trailer, Excluded int64
}

// AddLineBranch asks for the commits of a branch to be classified. Asking again
// changes nothing.
func (tx *Tx) AddLineBranch(ctx context.Context, by access.Principal, repo uuid.UUID, ref string) error {
	if err := tx.lockLines(ctx, repo); err != nil {
		return err
	}
	found, err := collectOne[struct {
		Default       string
		Exists, Asked bool
		Others        int
	}](ctx, tx, "looking for the branch", `
		SELECT r.default_branch AS default, EXISTS (SELECT FROM branch_refs b WHERE b.org_id = $1 AND b.repo_id = $2 AND b.ref = $3) AS exists,
		       EXISTS (SELECT FROM line_branches l WHERE l.org_id = $1 AND l.repo_id = $2 AND l.ref = $3) AS asked,
		       (SELECT count(*) FROM line_branches l WHERE l.org_id = $1 AND l.repo_id = $2)::integer AS others
		FROM repos r WHERE r.org_id = $1 AND r.id = $2`, by.Org, repo, ref)
	switch {
	case err != nil || found.Asked:
		return err
	case ref == found.Default:
		return &InvalidError{"ref", "is the default branch, whose commits are classified anyway"}
	case !found.Exists:
		return &InvalidError{"ref", "is no branch that was fetched; write it as refs/heads/NAME"}
	case found.Others >= MaxLineBranches:
		return &InvalidError{"ref", fmt.Sprintf("is one too many: %d branches of a repository are classified; drop one", MaxLineBranches)}
	}
	_, err = tx.Exec(ctx, `INSERT INTO line_branches (org_id, repo_id, ref, requested_by) VALUES ($1, $2, $3, $4)`, by.Org, repo, ref, by.Name)
	if err != nil {
		return translate(err, "asking for the lines of a branch")
	}
	return tx.Audit(ctx, by, "repo.branch.add", repo.String(), map[string]any{"ref": ref})
}

// DropLineBranch forgets a branch that was asked for, with the classes of commits
// that nothing else keeps. ErrNotFound: it was not.
func (db *DB) DropLineBranch(ctx context.Context, by access.Principal, repo uuid.UUID, ref string) error {
	return db.InTx(ctx, func(tx *Tx) error {
		if err := tx.lockLines(ctx, repo); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `DELETE FROM line_branches WHERE org_id = $1 AND repo_id = $2 AND ref = $3`, by.Org, repo, ref)
		if err != nil {
			return translate(err, "dropping a branch")
		}
		if tag.RowsAffected() == 0 {
			return ErrNotFound
		}
		if err := tx.setBranchCommits(ctx, by.Org, repo, ref, nil); err != nil {
			return err
		}
		return tx.Audit(ctx, by, "repo.branch.drop", repo.String(), map[string]any{"ref": ref})
	})
}

// LineBranches lists the branches of a repository that were asked for.
func (db *DB) LineBranches(ctx context.Context, org, repo uuid.UUID) ([]LineBranch, error) {
	return collect[LineBranch](ctx, db.pool, "listing branches", `
		SELECT l.ref, l.requested_by, l.requested_at, coalesce(x.tip, '') AS tip, l.cut,
		       l.tip <> coalesce(x.tip, '') OR l.base <> coalesce(d.tip, '') OR l.planned_at IS NULL AS waiting, n.*
		FROM line_branches l JOIN repos r ON r.org_id = l.org_id AND r.id = l.repo_id
		LEFT JOIN branch_refs x ON x.org_id = l.org_id AND x.repo_id = l.repo_id AND x.ref = l.ref
		LEFT JOIN branch_refs d ON d.org_id = l.org_id AND d.repo_id = l.repo_id AND d.ref = r.default_branch
		CROSS JOIN LATERAL (
			SELECT count(*) FILTER (WHERE c.commit IS NULL) AS open, count(c.commit) AS commits, coalesce(sum(c.added), 0)::bigint AS added,
			       coalesce(sum(c.ai), 0)::bigint AS ai, coalesce(sum(c.human), 0)::bigint AS human, coalesce(sum(c.unknown), 0)::bigint AS unknown,
			       coalesce(sum(c.trailer), 0)::bigint AS trailer, coalesce(sum(c.excluded), 0)::bigint AS excluded
			FROM branch_commits b LEFT JOIN commit_lines c ON c.org_id = b.org_id AND c.repo_id = b.repo_id AND c.commit = b.commit
			WHERE b.org_id = l.org_id AND b.repo_id = l.repo_id AND b.ref = l.ref) n
		WHERE l.org_id = $1 AND l.repo_id = $2 ORDER BY l.ref`, org, repo)
}

// StaleBranch is a branch that was asked for and has to be looked at, since it or
// the default branch moved. Tip and Base are where they are now.
type StaleBranch struct{ Ref, Tip, Base string }

// StaleLineBranches lists them.
func (db *DB) StaleLineBranches(ctx context.Context, org, repo uuid.UUID) ([]StaleBranch, error) {
	return collect[StaleBranch](ctx, db.pool, "looking for branches that moved", `
		SELECT l.ref, coalesce(x.tip, '') AS tip, coalesce(d.tip, '') AS base `+staleBranches+` AND l.org_id = $1 AND l.repo_id = $2
		ORDER BY l.ref`, org, repo)
}

// staleBranches selects from line_branches l those that are not of today.
const staleBranches = `
	FROM line_branches l JOIN repos p ON p.org_id = l.org_id AND p.id = l.repo_id
	LEFT JOIN branch_refs x ON x.org_id = l.org_id AND x.repo_id = l.repo_id AND x.ref = l.ref
	LEFT JOIN branch_refs d ON d.org_id = l.org_id AND d.repo_id = l.repo_id AND d.ref = p.default_branch
	WHERE (l.tip <> coalesce(x.tip, '') OR l.base <> coalesce(d.tip, '') OR l.planned_at IS NULL)`

// PlanLineBranch notes which commits a branch has beside the default one, newest
// first, and demands those that are not classified. A branch that is no longer
// asked for is passed over.
func (db *DB) PlanLineBranch(ctx context.Context, org, repo uuid.UUID, b StaleBranch, commits []string) error {
	cut := len(commits) > MaxBranchCommits
	commits = commits[:min(len(commits), MaxBranchCommits)]
	return db.InTx(ctx, func(tx *Tx) error {
		if err := tx.lockLines(ctx, repo); err != nil {
			return err
		}
		tag, err := tx.Exec(ctx, `
			UPDATE line_branches SET tip = $4, base = $5, cut = $6, planned_at = now() WHERE org_id = $1 AND repo_id = $2 AND ref = $3`,
			org, repo, b.Ref, b.Tip, b.Base, cut)
		if err != nil || tag.RowsAffected() == 0 {
			return translate(err, "planning a branch")
		}
		return tx.setBranchCommits(ctx, org, repo, b.Ref, commits)
	})
}

// setBranchCommits makes commits those of a branch. What only it kept goes, and
// what has no classes is demanded.
func (tx *Tx) setBranchCommits(ctx context.Context, org, repo uuid.UUID, ref string, commits []string) error {
	_, err := tx.Exec(ctx, `CREATE TEMP TABLE IF NOT EXISTS stage_branch (n bigint, commit text) ON COMMIT DELETE ROWS`)
	if err != nil {
		return translate(err, "making a staging table")
	}
	_, err = tx.CopyFrom(ctx, pgx.Identifier{"pg_temp", "stage_branch"}, []string{"n", "commit"},
		pgx.CopyFromSlice(len(commits), func(i int) ([]any, error) { return []any{int64(i), commits[i]}, nil }))
	if err != nil {
		return translate(err, "copying commits of a branch")
	}
	for _, s := range []statement{
		{"measuring the commits of a branch", `ANALYZE pg_temp.stage_branch (commit)`, nil},
		{"leaving commits of a branch", sqlLeaveBranch, []any{lineCodes}},
		{"noting commits of a branch", sqlTakeBranch, nil},
		{"demanding commits of a branch", sqlDemandBranch, nil},
	} {
		args := pgx.NamedArgs{"org": org, "repo": repo, "ref": ref}
		for i, v := range s.args {
			args[positional[i]] = v
		}
		if _, err := tx.Exec(ctx, s.sql, args); err != nil {
			return translate(err, "%s", s.op)
		}
	}
	return nil
}

// A commit that only this branch kept has classes no longer, unless it is on the
// default branch.
const sqlLeaveBranch = `
	WITH gone AS (
		DELETE FROM branch_commits b WHERE b.org_id = @org AND b.repo_id = @repo AND b.ref = @ref
		  AND NOT EXISTS (SELECT FROM stage_branch s WHERE s.commit = b.commit)
		RETURNING b.commit
	), alone AS (
		SELECT g.commit FROM gone g
		WHERE NOT EXISTS (SELECT FROM branch_commits o WHERE o.org_id = @org AND o.repo_id = @repo AND o.commit = g.commit AND o.ref <> @ref)
	), stale AS (
		DELETE FROM commit_lines c USING alone a
		WHERE c.org_id = @org AND c.repo_id = @repo AND c.commit = a.commit AND NOT c.on_default RETURNING c.commit
	), demands AS (
		DELETE FROM line_demands d USING alone a WHERE d.org_id = @org AND d.repo_id = @repo AND d.commit = a.commit AND d.off_default
	), ` + sqlForget

// sqlForget ends a statement that has deleted commits, stale, from commit_lines.
const sqlForget = `owners AS (
		DELETE FROM commit_owners o USING stale s WHERE o.org_id = @org AND o.repo_id = @repo AND o.commit = s.commit
	), files AS (
		DELETE FROM added_files f USING stale s WHERE f.org_id = @org AND f.repo_id = @repo AND f.commit = s.commit
	), runs AS (
		DELETE FROM added_runs r USING stale s WHERE r.org_id = @org AND r.repo_id = @repo AND r.commit = s.commit
	), faults AS (
		DELETE FROM findings f USING stale s
		WHERE f.org_id = @org AND f.repo_id = @repo AND f.commit = s.commit AND f.code = ANY(@a)
	)
	DELETE FROM line_demands d USING stale s WHERE d.org_id = @org AND d.repo_id = @repo AND d.commit = s.commit`

const sqlTakeBranch = `
	INSERT INTO branch_commits (org_id, repo_id, ref, commit)
	SELECT @org::uuid, @repo::uuid, @ref::text, s.commit FROM stage_branch s
	JOIN commits k ON k.org_id = @org AND k.repo_id = @repo AND k.commit = s.commit
	ON CONFLICT DO NOTHING`

const sqlDemandBranch = `
	INSERT INTO line_demands (org_id, repo_id, commit, planned, off_default)
	SELECT @org::uuid, @repo::uuid, s.commit, true, true
	FROM stage_branch s JOIN branch_commits b ON b.org_id = @org AND b.repo_id = @repo AND b.ref = @ref AND b.commit = s.commit
	WHERE NOT EXISTS (SELECT FROM commit_lines c WHERE c.org_id = @org AND c.repo_id = @repo AND c.commit = s.commit)
	  AND NOT EXISTS (SELECT FROM line_demands d WHERE d.org_id = @org AND d.repo_id = @repo AND d.commit = s.commit AND d.planned)
	ORDER BY s.n`
