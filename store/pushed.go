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

// The largest report of a prompt counts, as it does in prompts.
const sqlPushedPrompts = `
	INSERT INTO pushed_prompts AS p (org_id, prompt_id, decision_id, repo_id, user_email, day, cost_usd, pushed_at)
	SELECT $1, c.id, $3, $2, c.user_email, c.day, c.cost_usd, $4::timestamptz
	FROM unnest($5::uuid[], $6::text[], $7::date[], $8::numeric[]) AS c (id, user_email, day, cost_usd)
	ORDER BY c.id
	ON CONFLICT (org_id, prompt_id) DO UPDATE
	SET decision_id = excluded.decision_id, repo_id = excluded.repo_id, user_email = excluded.user_email,
	    day = excluded.day, cost_usd = excluded.cost_usd, pushed_at = excluded.pushed_at
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

// keepUnnamed is how long pushed prompts stay whose stored report names nobody:
// longer than any period that is judged as the current one.
const keepUnnamed = 62 * 24 * time.Hour

// PrunePushedPrompts forgets pushed prompts that are stored by now, at most
// limit, and returns how many. They count for nothing already; it keeps sums
// over them short.
func (db *DB) PrunePushedPrompts(ctx context.Context, limit int) (int, error) {
	tag, err := db.pool.Exec(ctx, `
		WITH stored AS (
			SELECT p.org_id, p.prompt_id FROM pushed_prompts p
			JOIN prompts s ON s.org_id = p.org_id AND s.prompt_id = p.prompt_id
			WHERE s.cost_usd >= p.cost_usd AND (s.user_email <> '' OR p.pushed_at < now() - $2::interval)
			ORDER BY p.org_id, p.prompt_id LIMIT $1 FOR UPDATE OF p SKIP LOCKED)
		DELETE FROM pushed_prompts p USING stored s WHERE p.org_id = s.org_id AND p.prompt_id = s.prompt_id`,
		limit, keepUnnamed)
	if err != nil {
		return 0, translate(err, "forgetting stored prompts")
	}
	return int(tag.RowsAffected()), nil
}
