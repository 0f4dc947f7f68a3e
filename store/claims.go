package store

import (
	"context"

	"github.com/google/uuid"
)

// CodeUserMismatch is the finding about a receipt that names somebody who has no
// part in the commits that it stands on.
const CodeUserMismatch = "user_mismatch"

// sqlClaimsOfMerged has the claims of merged receipts checked whose commits are
// known; where the commits come later, they have it done.
const sqlClaimsOfMerged = `
	INSERT INTO claims_due
	SELECT DISTINCT @org::uuid, t.receipt_id FROM stage_touched t
	JOIN receipt_commits l ON l.org_id = @org AND l.receipt_id = t.receipt_id
	JOIN commits c ON c.org_id = @org AND c.repo_id = l.repo_id AND c.commit = l.commit
	ORDER BY 2 ON CONFLICT DO NOTHING`

const sqlClaimsOfCommits = `
	INSERT INTO claims_due
	SELECT DISTINCT l.org_id, l.receipt_id FROM stage_commits s
	JOIN receipt_commits l ON l.org_id = s.org_id AND l.commit = s.commit AND l.repo_id = s.repo_id
	ORDER BY 1, 2 ON CONFLICT DO NOTHING`

// sqlClaimsOfPeople has the claims checked that a change of people may touch: those
// that name one of their addresses, and those that were found wanting.
const sqlClaimsOfPeople = `
	INSERT INTO claims_due
	SELECT r.org_id, r.id FROM receipts r
	WHERE r.org_id = $1 AND lower(r.user_email) = ANY($2)
	UNION
	SELECT f.org_id, f.receipt_id FROM findings f WHERE f.org_id = $1 AND f.code = '` + CodeUserMismatch + `'
	ON CONFLICT DO NOTHING`

// sqlCheckClaims compares who is said to have prompted with who made the commits,
// who is named there as co-author, and who was seen to push them. One of them is
// enough, on one of the commits that carry the receipt now, and one name under two
// addresses is taken for one person. Nothing is said where the other side is not
// known: a bot or an agent made the commit, its address is one that a forge hides
// people behind, or its co-authors were never looked for.
const sqlCheckClaims = `
	WITH due AS MATERIALIZED (
		SELECT receipt_id FROM claims_due WHERE org_id = $1 ORDER BY receipt_id LIMIT $2 FOR UPDATE SKIP LOCKED
	), done AS (
		DELETE FROM claims_due d USING due WHERE d.org_id = $1 AND d.receipt_id = due.receipt_id
	), claims AS (
		SELECT r.id, r.user_email, person_of($1, r.user_email) AS person, lower(r.user_name) AS name, l.repo_id, l.ref, l.commit, l.blob,
		       l.noted_at, c.*, coalesce(lower(u.email), d.pusher, '') AS pusher
		FROM due
		JOIN receipts r ON r.org_id = $1 AND r.id = due.receipt_id
		JOIN receipt_commits l ON l.org_id = $1 AND l.receipt_id = r.id AND l.current
		JOIN LATERAL (SELECT c.author_name, lower(c.author_email) AS author_email, lower(c.committer_email) AS committer_email, c.co_authors,
			       c.bot OR jsonb_path_exists(coalesce(c.agents, '[]'), '$[*] ? (@.Evidence == "author")') AS machine
			FROM commits c WHERE c.org_id = $1 AND c.repo_id = l.repo_id AND c.commit = l.commit) c ON true
		LEFT JOIN pushed_commits p ON p.org_id = $1 AND p.repo_id = l.repo_id AND p.commit = l.commit
		LEFT JOIN decisions d ON d.org_id = $1 AND d.id = p.decision_id
		LEFT JOIN LATERAL (SELECT u.email FROM users u WHERE u.org_id = $1 AND u.logins @> ARRAY[d.pusher] LIMIT 1) u ON true
		WHERE r.user_email LIKE '%_@_%'
	), judged AS (
		SELECT *, bool_or(machine OR co_authors IS NULL
			OR author_email !~ '@' OR author_email ~ '@users\.noreply\.|@noreply\.|^no-?reply@'
			OR name <> '' AND name = lower(author_name)
			OR person IN (person_of($1, author_email), person_of($1, committer_email), person_of($1, pusher))
			OR EXISTS (SELECT FROM unnest(co_authors) a (email) WHERE person_of($1, a.email) = person)) OVER (PARTITION BY id) AS fits
		FROM claims
	), wrong AS (
		SELECT DISTINCT ON (id) * FROM judged WHERE NOT fits ORDER BY id, noted_at DESC, repo_id, ref, commit, blob
	), settled AS (
		DELETE FROM findings f USING due WHERE f.org_id = $1 AND f.id = md5('` + CodeUserMismatch + `' || due.receipt_id)::uuid
		  AND NOT EXISTS (SELECT FROM wrong w WHERE w.id = due.receipt_id)
	), found AS (
		INSERT INTO findings AS f (org_id, id, repo_id, code, severity, ref, commit, blob, receipt_id, location, message)
		SELECT $1, md5('` + CodeUserMismatch + `' || w.id)::uuid, w.repo_id, '` + CodeUserMismatch + `', 'warning', w.ref, w.commit, w.blob, w.id, '',
		       'The receipt says that ' || left(w.user_email, 254) || ' prompted, but the commit is by ' || left(w.author_email, 254)
		       || CASE WHEN w.pusher = '' THEN '' ELSE ' and was pushed by ' || left(w.pusher, 254) END || '.'
		FROM wrong w ORDER BY 2
		ON CONFLICT (org_id, id) DO UPDATE SET repo_id = excluded.repo_id, ref = excluded.ref, commit = excluded.commit, blob = excluded.blob,
			message = excluded.message
		WHERE (f.commit, f.message) <> (excluded.commit, excluded.message)
	)
	SELECT count(*)::int AS looked FROM due`

// claimsAtOnce is how many receipts are checked in one transaction.
const claimsAtOnce = 2000

// CheckClaims makes findings of receipts that name somebody who has no part in
// their commits, and takes back those that no longer hold. It looks at what came
// or changed since it was last run.
func (db *DB) CheckClaims(ctx context.Context) error {
	orgs, err := collect[struct{ OrgID uuid.UUID }](ctx, db.pool, "finding claims to check", `
		SELECT o.id AS org_id FROM orgs o WHERE EXISTS (SELECT FROM claims_due d WHERE d.org_id = o.id) ORDER BY 1`)
	if err != nil {
		return err
	}
	for _, org := range orgs {
		for n := claimsAtOnce; n == claimsAtOnce; {
			if n, err = checkClaims(ctx, db.pool, org.OrgID, claimsAtOnce); err != nil {
				return err
			}
		}
	}
	return nil
}

// checkClaims checks at most limit receipts and returns their number.
func checkClaims(ctx context.Context, q querier, org uuid.UUID, limit int) (int, error) {
	row, err := collectOne[struct{ Looked int }](ctx, q, "checking who prompted", sqlCheckClaims, org, limit)
	return row.Looked, err
}
