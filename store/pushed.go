package store

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/policy/push"
)

// PushedCommit is a commit that an accepted push brought.
type PushedCommit struct {
	Commit      string
	PatchID     string
	AuthorEmail string
	Lines       push.Lines
	Noted       bool
}

// PushedPrompt is a prompt that an accepted push brought.
type PushedPrompt struct {
	ID uuid.UUID
	// UserEmail is who pays for it, Day the day of the prompt as midnight UTC.
	UserEmail string
	Day       time.Time
	CostUSD   push.Decimal
}

// A commit that comes again counts for the push that brought it last, whose
// reading of it is the newest.
const sqlPushedCommits = `
	INSERT INTO pushed_commits AS p (org_id, repo_id, commit, decision_id, patch_id, author_email, added, ai, human, noted, day, pushed_at)
	SELECT $1, $2, c.commit, $3, c.patch_id, c.author_email, c.added, c.ai, c.human, c.noted, $4::date, $5::timestamptz
	FROM unnest($6::text[], $7::text[], $8::text[], $9::bigint[], $10::bigint[], $11::bigint[], $12::boolean[])
		AS c (commit, patch_id, author_email, added, ai, human, noted)
	ORDER BY c.commit
	ON CONFLICT (org_id, repo_id, commit) DO UPDATE
	SET decision_id = excluded.decision_id, patch_id = excluded.patch_id, author_email = excluded.author_email,
	    added = excluded.added, ai = excluded.ai, human = excluded.human, noted = excluded.noted,
	    day = excluded.day, pushed_at = excluded.pushed_at`

func queuePushedCommits(b *pgx.Batch, d *NewDecision) {
	if len(d.Brought) == 0 {
		return
	}
	commits := slices.Clone(d.Brought)
	slices.SortFunc(commits, func(a, c PushedCommit) int { return cmp.Compare(a.Commit, c.Commit) })
	commits = slices.CompactFunc(commits, func(a, c PushedCommit) bool { return a.Commit == c.Commit })
	n := len(commits)
	oids, patches, authors := make([]string, n), make([]string, n), make([]string, n)
	added, ai, human, noted := make([]int64, n), make([]int64, n), make([]int64, n), make([]bool, n)
	for i, c := range commits {
		oids[i], patches[i], authors[i], noted[i] = c.Commit, clean(c.PatchID), clean(c.AuthorEmail), c.Noted
		added[i], ai[i], human[i] = c.Lines.Added, c.Lines.AI, c.Lines.Human
	}
	b.Queue(sqlPushedCommits, d.Org, d.RepoID, d.ID, d.Day, d.At, oids, patches, authors, added, ai, human, noted)
}

// The largest report of a prompt counts, as it does in prompts. One that is
// summed up stays where it is and becomes stale.
const sqlPushedPrompts = `
	INSERT INTO pushed_prompts AS p (org_id, prompt_id, decision_id, repo_id, user_email, day, cost_usd, pushed_at)
	SELECT $1, c.id, $3, $2, c.user_email, c.day, c.cost_usd, $4::timestamptz
	FROM unnest($5::uuid[], $6::text[], $7::date[], $8::numeric[]) AS c (id, user_email, day, cost_usd)
	ORDER BY c.id
	ON CONFLICT (org_id, prompt_id) DO UPDATE
	SET decision_id = excluded.decision_id, cost_usd = excluded.cost_usd, pushed_at = excluded.pushed_at,
	    repo_id = CASE WHEN p.summed_usd IS NULL THEN excluded.repo_id ELSE p.repo_id END,
	    user_email = CASE WHEN p.summed_usd IS NULL THEN excluded.user_email ELSE p.user_email END,
	    day = CASE WHEN p.summed_usd IS NULL THEN excluded.day ELSE p.day END,
	    stale = p.summed_usd IS NOT NULL
	WHERE p.cost_usd < excluded.cost_usd`

func queuePushedPrompts(b *pgx.Batch, d *NewDecision) {
	if len(d.Prompts) == 0 {
		return
	}
	n := len(d.Prompts)
	ids, emails, days, costs := make([]uuid.UUID, n), make([]string, n), make([]time.Time, n), make([]any, n)
	for i, p := range d.Prompts {
		ids[i], emails[i], days[i], costs[i] = p.ID, clean(p.UserEmail), p.Day, numeric(p.CostUSD.String())
	}
	b.Queue(sqlPushedPrompts, d.Org, d.RepoID, d.ID, d.At, ids, emails, days, costs)
}

// looseFor is how long a pushed prompt is compared with the stored one by itself
// before it is summed up: notes of many come within seconds.
const looseFor = 30 * time.Second

// SumPushedPrompts sums up pushed prompts that nothing has stored for a while,
// corrects the sums of those that were stored since, and forgets those that are
// stored as pushed. Totals are the same before and after; it keeps reading them
// short. It works on at most limit prompts of each organisation and returns
// their number.
func (db *DB) SumPushedPrompts(ctx context.Context, limit int) (int, error) {
	return db.sumPushedPrompts(ctx, looseFor, limit)
}

func (db *DB) sumPushedPrompts(ctx context.Context, age time.Duration, limit int) (int, error) {
	orgs, err := collect[struct{ OrgID uuid.UUID }](ctx, db.pool, "finding pushed prompts", `
		SELECT org_id FROM pushed_prompts p WHERE (p.summed_usd IS NULL OR p.stale) AND `+ripe("$1")+`
		UNION SELECT org_id FROM pushed_stored ORDER BY 1`, age)
	if err != nil {
		return 0, err
	}
	total := 0
	for _, org := range orgs {
		err := db.InTx(ctx, func(tx *Tx) error {
			n, err := tx.sumPushedPrompts(ctx, org.OrgID, age, limit)
			total += n
			return err
		})
		if err != nil {
			return total, err
		}
	}
	return total, nil
}

// ripe selects the loose ones among prompts p that are to be summed up.
func ripe(age string) string {
	return `(p.stale OR p.pushed_at < now() - ` + age + `::interval
		OR EXISTS (SELECT FROM prompts s WHERE s.org_id = p.org_id AND s.prompt_id = p.prompt_id))`
}

// sqlSumPushed works on prompts whose rows nobody else holds.
var sqlSumPushed = `
	WITH picked AS MATERIALIZED (
		SELECT p.* FROM pushed_prompts p
		WHERE p.org_id = $1 AND ((p.summed_usd IS NULL OR p.stale) AND ` + ripe("$2") + `
		      OR p.prompt_id IN (SELECT t.prompt_id FROM pushed_stored t WHERE t.org_id = $1))
		ORDER BY p.prompt_id LIMIT $3 FOR UPDATE SKIP LOCKED
	), fresh AS MATERIALIZED (
		SELECT p.prompt_id, p.repo_id, p.user_email, p.day, f.unstored, f.theirs,
		       f.unstored - coalesce(p.summed_usd, 0) AS more, f.theirs - coalesce(p.summed_user_usd, 0) AS more_theirs
		FROM picked p, LATERAL (` + pushedPart + `) f
	), sums AS (
		INSERT INTO pushed_spend AS t (org_id, dimension, repo_id, key, monthly, day, cost_usd)
		SELECT $1, d.dimension, d.repo_id, d.key, g.monthly, CASE WHEN g.monthly THEN date_trunc('month', f.day::timestamp)::date ELSE f.day END,
		       sum(d.more)
		FROM fresh f,
		     LATERAL (VALUES ('all', $4::uuid, '', f.more), ('all', f.repo_id, '', f.more), ('user', $4::uuid, f.user_email, f.more_theirs))
		         AS d (dimension, repo_id, key, more),
		     (VALUES (false), (true)) AS g (monthly)
		GROUP BY 2, 3, 4, 5, 6 HAVING sum(d.more) <> 0 ORDER BY 2, 3, 4, 5, 6
		ON CONFLICT (org_id, dimension, repo_id, key, monthly, day) DO UPDATE SET cost_usd = t.cost_usd + excluded.cost_usd
	), forgotten AS (
		DELETE FROM pushed_prompts p USING fresh f
		WHERE p.org_id = $1 AND p.prompt_id = f.prompt_id AND f.unstored = 0 AND f.theirs = 0
	), kept AS (
		UPDATE pushed_prompts p SET summed_usd = f.unstored, summed_user_usd = f.theirs, stale = false FROM fresh f
		WHERE p.org_id = $1 AND p.prompt_id = f.prompt_id AND (f.unstored <> 0 OR f.theirs <> 0)
	), told AS (
		DELETE FROM pushed_stored t
		WHERE t.org_id = $1 AND (t.prompt_id IN (SELECT prompt_id FROM picked)
		                         OR NOT EXISTS (SELECT FROM pushed_prompts p WHERE p.org_id = $1 AND p.prompt_id = t.prompt_id))
	)
	SELECT count(*)::int FROM picked`

// sumPushedPrompts does one organisation's. While it looks, nobody stores
// prompts: what is not stored then will be told of when it is.
func (tx *Tx) sumPushedPrompts(ctx context.Context, org uuid.UUID, age time.Duration, limit int) (n int, err error) {
	var quiet bool
	err = tx.QueryRow(ctx, `SELECT pg_try_advisory_xact_lock_shared(hashtextextended('receipts:' || $1::text, 0))`, org).Scan(&quiet)
	if err != nil || !quiet {
		return 0, translate(err, "waiting for writers of receipts")
	}
	err = tx.QueryRow(ctx, sqlSumPushed, org, age, limit, uuid.Nil).Scan(&n)
	return n, translate(err, "summing up pushed prompts")
}
