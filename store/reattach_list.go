package store

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// StoredReattachment is a note of a commit that was left behind, and the commit
// that it was found to speak of too.
type StoredReattachment struct {
	ID         uuid.UUID
	RepoID     uuid.UUID
	Repo       string
	Ref        string
	FromCommit string
	Blob       string
	ToCommit   string
	How        string
	Squash     bool
	Active     bool
	FoundAt    time.Time
	EndedAt    *time.Time
	// Receipts stand in the note. Lines are those of ToCommit that are known, one
	// by one, to be of FromCommit.
	Receipts int64
	Lines    int64
}

const reattachmentColumns = `a.id, a.repo_id, p.name AS repo, a.ref, a.from_commit, a.blob, a.to_commit, a.how, a.squash, a.active,
	a.found_at, a.ended_at,
	(SELECT count(*) FROM receipt_commits l
	 WHERE l.org_id = a.org_id AND l.commit = a.from_commit AND l.repo_id = a.repo_id AND l.ref = a.ref AND l.blob = a.blob) AS receipts,
	(SELECT coalesce(sum(l.last - l.first + 1), 0)::bigint FROM reattached_lines l
	 WHERE l.org_id = a.org_id AND l.repo_id = a.repo_id AND l.to_commit = a.to_commit AND l.from_commit = a.from_commit) AS lines`

// ReattachmentFilter says which reattachments are wanted.
type ReattachmentFilter struct {
	Repo uuid.UUID
	// Commit is either of both, empty for all.
	Commit string
	// Active wants those that are in force, or if false those that are not.
	Active *bool
}

// Reattachments lists up to limit reattachments of a repository, those that were
// found last first, after an id (the nil UUID: from the start).
func (db *DB) Reattachments(ctx context.Context, org uuid.UUID, f ReattachmentFilter, after uuid.UUID, limit int) ([]StoredReattachment, error) {
	c := &conditions{}
	c.add("a.org_id = ? AND a.repo_id = ?", org, f.Repo)
	if f.Commit != "" {
		c.add("(a.from_commit = ? OR a.to_commit = ?)", f.Commit, f.Commit)
	}
	if f.Active != nil {
		c.add("a.active = ?", *f.Active)
	}
	if after != uuid.Nil {
		c.add("a.id < ?", after)
	}
	return collect[StoredReattachment](ctx, db.pool, "listing reattachments", `SELECT `+reattachmentColumns+`
		FROM reattachments a JOIN repos p ON p.org_id = a.org_id AND p.id = a.repo_id
		WHERE `+c.where()+` ORDER BY a.id DESC LIMIT `+itoa(limit), c.args...)
}

// reattachmentsOf lists where the notes with a receipt were found to speak of
// other commits.
func reattachmentsOf(ctx context.Context, q querier, org uuid.UUID, receipt string) ([]StoredReattachment, error) {
	return collect[StoredReattachment](ctx, q, "reading the reattachments of a receipt", `SELECT `+reattachmentColumns+`
		FROM receipt_commits c
		JOIN reattachments a ON a.org_id = c.org_id AND a.repo_id = c.repo_id AND a.ref = c.ref AND a.from_commit = c.commit AND a.blob = c.blob
		JOIN repos p ON p.org_id = a.org_id AND p.id = a.repo_id
		WHERE c.org_id = $1 AND c.receipt_id = $2 AND a.active
		ORDER BY a.id DESC LIMIT `+itoa(maxRelated), org, receipt)
}

// reattachmentsAt lists the notes that were laid to a commit, and those of it
// that were laid to others.
func reattachmentsAt(ctx context.Context, q querier, org, repo uuid.UUID, commit string) ([]StoredReattachment, error) {
	return collect[StoredReattachment](ctx, q, "reading the reattachments of a commit", `SELECT `+reattachmentColumns+`
		FROM reattachments a JOIN repos p ON p.org_id = a.org_id AND p.id = a.repo_id
		WHERE a.org_id = $1 AND a.repo_id = $2 AND (a.from_commit = $3 OR a.to_commit = $3) AND a.active
		ORDER BY a.id DESC LIMIT `+itoa(maxRelated), org, repo, commit)
}
