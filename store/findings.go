package store

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// StoredFinding says what could not be read, or is not what it seems, and where.
type StoredFinding struct {
	ID        uuid.UUID
	Code      string
	Severity  string
	Ref       string
	Commit    string
	Blob      string
	ReceiptID string
	Location  string
	Message   string
	FoundAt   time.Time
}

const findingColumns = `f.id, f.code, f.severity, f.ref, f.commit, f.blob, f.receipt_id, f.location, f.message, f.found_at`

// FindingPosition is a place in the list of findings.
type FindingPosition struct {
	FoundAt time.Time
	ID      uuid.UUID
}

// Findings lists up to limit findings of a repository, newest first, after the
// position (nil: from the start). severity is empty for all.
func (db *DB) Findings(ctx context.Context, org, repo uuid.UUID, severity string, after *FindingPosition,
	limit int) ([]StoredFinding, error) {
	c := &conditions{}
	c.add("f.org_id = ? AND f.repo_id = ?", org, repo)
	if severity != "" {
		c.add("f.severity = ?", severity)
	}
	if after != nil {
		c.add("f.found_at <= ? AND (f.found_at < ? OR f.id > ?)", after.FoundAt, after.FoundAt, after.ID)
	}
	return collect[StoredFinding](ctx, db.pool, "listing findings", `SELECT `+findingColumns+` FROM findings f
		WHERE `+c.where()+` ORDER BY f.found_at DESC, f.id LIMIT `+itoa(limit), c.args...)
}
