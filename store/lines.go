package store

import (
	"context"

	"github.com/google/uuid"
)

// LineState is how far the added lines of a repository are classified, and what
// they are to be classified by.
type LineState struct {
	OrgID, RepoID uuid.UUID
	Name          string
	// Ref is the default branch, Tip what it points at as far as its commits are
	// stored; empty when there is none. Globs are the repository's setting.
	Ref, Tip string
	Globs    []string
	// Planned is what was planned last; its zero value is nothing yet.
	Planned LineTip
	// Open is whether demands wait, Branches whether branches that were asked for
	// moved.
	Open, Branches bool
}

// LineTip is what the stored classes of a repository are of.
type LineTip struct {
	Ref, Tip string
	Globs    []string
	// Rules is the caller's fingerprint of what decides which files count.
	Rules string
}

// Behind reports whether the plan is not of the branch and setting of today.
func (s *LineState) Behind() bool {
	return s.Ref != s.Planned.Ref || s.Tip != s.Planned.Tip || !equalTexts(s.Globs, s.Planned.Globs)
}

// Done reports whether every commit of the default branch is classified, also
// when there is none.
func (s *LineState) Done() bool {
	return s.Tip == "" && s.Planned.Tip == "" || !s.Open && !s.Branches && !s.Behind()
}

func equalTexts(a, b []string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if a[i] != b[i] {
			return false
		}
	}
	return true
}

const lineStates = `
	SELECT r.org_id, r.id AS repo_id, r.name, r.default_branch AS ref, coalesce(b.tip, '') AS tip, r.excluded_paths AS globs,
	       coalesce(t.ref, '') AS planned_ref, coalesce(t.tip, '') AS planned_tip, coalesce(t.globs, '{}') AS planned_globs,
	       coalesce(t.rules, '') AS planned_rules,
	       EXISTS (SELECT FROM line_demands d WHERE d.org_id = r.org_id AND d.repo_id = r.id) AS open,
	       EXISTS (SELECT ` + staleBranches + ` AND l.org_id = r.org_id AND l.repo_id = r.id) AS branches
	FROM repos r
	LEFT JOIN branch_refs b ON b.org_id = r.org_id AND b.repo_id = r.id AND b.ref = r.default_branch
	LEFT JOIN line_tips t ON t.org_id = r.org_id AND t.repo_id = r.id
	WHERE `

func (db *DB) lineStates(ctx context.Context, where string, args ...any) ([]LineState, error) {
	rows, err := collect[struct {
		OrgID, RepoID                        uuid.UUID
		Name, Ref, Tip                       string
		Globs                                []string
		PlannedRef, PlannedTip, PlannedRules string
		PlannedGlobs                         []string
		Open, Branches                       bool
	}](ctx, db.pool, "looking for lines to classify", lineStates+where, args...)
	states := make([]LineState, len(rows))
	for i, r := range rows {
		states[i] = LineState{OrgID: r.OrgID, RepoID: r.RepoID, Name: r.Name, Ref: r.Ref, Tip: r.Tip, Globs: r.Globs,
			Planned: LineTip{r.PlannedRef, r.PlannedTip, r.PlannedGlobs, r.PlannedRules}, Open: r.Open, Branches: r.Branches}
	}
	return states, err
}

// LinesDue lists, over all organisations, the repositories whose added lines
// have to be looked at: the default branch moved, evidence came or went, or the
// setting changed. Removed repositories wait until they are added again.
func (db *DB) LinesDue(ctx context.Context) ([]LineState, error) {
	return db.lineStates(ctx, `r.removed_at IS NULL AND (b.tip IS NOT NULL OR t.tip IS NOT NULL)
		AND (t.tip IS DISTINCT FROM coalesce(b.tip, '') OR t.ref <> r.default_branch OR t.globs <> r.excluded_paths
		     OR EXISTS (SELECT FROM line_demands d WHERE d.org_id = r.org_id AND d.repo_id = r.id)
		     OR EXISTS (SELECT `+staleBranches+` AND l.org_id = r.org_id AND l.repo_id = r.id))
		ORDER BY t.planned_at NULLS FIRST, r.id`)
}

// LineState reads how far the added lines of one repository are.
func (db *DB) LineState(ctx context.Context, org, repo uuid.UUID) (LineState, error) {
	states, err := db.lineStates(ctx, `r.org_id = $1 AND r.id = $2`, org, repo)
	if err == nil && len(states) == 0 {
		err = ErrNotFound
	}
	if err != nil {
		return LineState{}, err
	}
	return states[0], nil
}

// LineProgress counts the commits of a repository that are classified and those
// that wait.
func (db *DB) LineProgress(ctx context.Context, org, repo uuid.UUID) (done, waiting int, err error) {
	err = db.pool.QueryRow(ctx, `
		SELECT (SELECT count(*) FROM commit_lines WHERE org_id = $1 AND repo_id = $2 AND on_default),
		       (SELECT count(DISTINCT commit) FROM line_demands WHERE org_id = $1 AND repo_id = $2 AND commit <> '')`,
		org, repo).Scan(&done, &waiting)
	return done, waiting, translate(err, "counting classified commits")
}

// DropIdleLineDemands forgets demands in repositories that have no default
// branch. When they get one, all of it is classified.
func (db *DB) DropIdleLineDemands(ctx context.Context) error {
	_, err := db.pool.Exec(ctx, `
		DELETE FROM line_demands d USING repos r
		WHERE d.org_id = r.org_id AND d.repo_id = r.id
		  AND NOT EXISTS (SELECT FROM branch_refs b WHERE b.org_id = r.org_id AND b.repo_id = r.id AND b.ref = r.default_branch)
		  AND NOT EXISTS (SELECT FROM line_tips t WHERE t.org_id = r.org_id AND t.repo_id = r.id)`)
	return translate(err, "dropping idle demands")
}

// LineDemands returns up to limit commits that have to be classified, those
// that were demanded first at the front.
func (db *DB) LineDemands(ctx context.Context, org, repo uuid.UUID, limit int) ([]string, error) {
	rows, err := collect[struct{ Commit string }](ctx, db.pool, "listing commits to classify", `
		SELECT d.commit FROM line_demands d
		WHERE d.org_id = $1 AND d.repo_id = $2 AND d.commit <> ''
		  AND (d.planned OR EXISTS (SELECT FROM commit_lines c WHERE c.org_id = $1 AND c.repo_id = $2 AND c.commit = d.commit))
		ORDER BY d.seq LIMIT $3`, org, repo, limit)
	seen := make(map[string]bool, len(rows))
	var commits []string
	for _, r := range rows {
		if !seen[r.Commit] {
			seen[r.Commit] = true
			commits = append(commits, r.Commit)
		}
	}
	return commits, err
}

// LinesDone notes that nothing of the repository is left to be classified,
// unless something came meanwhile.
func (db *DB) LinesDone(ctx context.Context, org, repo uuid.UUID) error {
	_, err := db.pool.Exec(ctx, `
		UPDATE line_tips t SET done_at = now() WHERE t.org_id = $1 AND t.repo_id = $2
		  AND NOT EXISTS (SELECT FROM line_demands d WHERE d.org_id = $1 AND d.repo_id = $2)`, org, repo)
	return translate(err, "noting classified lines")
}

// lockLines makes the caller the one writer of the added lines of a repository
// until its transaction ends.
func (tx *Tx) lockLines(ctx context.Context, repo uuid.UUID) error {
	_, err := tx.Exec(ctx, `SELECT pg_advisory_xact_lock(hashtextextended('lines:' || $1::text, 0))`, repo)
	return translate(err, "waiting for other writers of lines")
}

// plannedLines reads what was planned last, under the lock.
func (tx *Tx) plannedLines(ctx context.Context, org, repo uuid.UUID) (LineTip, error) {
	rows, err := collect[LineTip](ctx, tx, "reading the plan of lines", `
		SELECT ref, tip, globs, rules FROM line_tips WHERE org_id = $1 AND repo_id = $2`, org, repo)
	if err != nil || len(rows) == 0 {
		return LineTip{}, err
	}
	return rows[0], nil
}

func (t LineTip) same(o LineTip) bool {
	return t.Ref == o.Ref && t.Tip == o.Tip && t.Rules == o.Rules && equalTexts(t.Globs, o.Globs)
}

// LineSums are counts of lines and commits, as line_rollups has them.
type LineSums struct {
	Added, AI, Human, Unknown, Trailer, Excluded, Deleted int64
	// Commits are neither of bots nor merges without lines of their own;
	// CommitsNoted and CommitsMarked are among them.
	Commits, CommitsNoted, CommitsMarked, BotCommits, MergeCommits int64
}

// lineSums sums up columns of line_rollups s.
const lineSums = `coalesce(sum(s.added), 0)::bigint AS added, coalesce(sum(s.ai), 0)::bigint AS ai,
	coalesce(sum(s.human), 0)::bigint AS human, coalesce(sum(s.unknown), 0)::bigint AS unknown,
	coalesce(sum(s.trailer), 0)::bigint AS trailer, coalesce(sum(s.excluded), 0)::bigint AS excluded,
	coalesce(sum(s.deleted), 0)::bigint AS deleted, coalesce(sum(s.commits), 0)::bigint AS commits,
	coalesce(sum(s.commits_noted), 0)::bigint AS commits_noted, coalesce(sum(s.commits_marked), 0)::bigint AS commits_marked,
	coalesce(sum(s.bot_commits), 0)::bigint AS bot_commits, coalesce(sum(s.merge_commits), 0)::bigint AS merge_commits`

// RepoLineSums are the sums of a repository, and how many of its commits git
// could not read.
type RepoLineSums struct {
	LineSums
	Unreadable int64
}

// RepoLines sums up all of a repository's default branch.
func (db *DB) RepoLines(ctx context.Context, org, repo uuid.UUID) (RepoLineSums, error) {
	return collectOne[RepoLineSums](ctx, db.pool, "summing up lines", `
		SELECT `+lineSums+`,
		       (SELECT count(*) FROM commit_lines c WHERE c.org_id = $1 AND c.repo_id = $2 AND c.state = 'unreadable' AND c.on_default) AS unreadable
		FROM line_rollup_months s WHERE s.org_id = $1 AND s.dimension = 'all' AND s.repo_id = $2`, org, repo)
}
