package store

import (
	"context"
	"encoding/json"

	"github.com/google/uuid"
)

// PostedReceipt is a receipt that was posted for a commit and that no note
// carries.
type PostedReceipt struct {
	Receipt
	// Commit is the one that it was posted for.
	Commit string
	// Conversation is nil unless the organisation keeps them.
	Conversation json.RawMessage
	FilesChanged []ReceiptFile
}

// PostedReceipts lists the receipts that were posted for any of the commits,
// whatever repository they were posted to: a commit's id says which one it is.
func (db *DB) PostedReceipts(ctx context.Context, org uuid.UUID, commits []string) ([]PostedReceipt, error) {
	return collect[PostedReceipt](ctx, db.pool, "reading posted receipts", `SELECT `+receiptColumns+`, c.commit, r.conversation,
			coalesce((SELECT json_agg(json_build_object('Path', f.path, 'LineStart', f.line_start, 'LineEnd', f.line_end,
			                                            'BlobHash', f.blob_hash) ORDER BY f.position)
			          FROM receipt_files f WHERE f.org_id = $1 AND f.receipt_id = r.id), '[]') AS files_changed
		FROM receipt_commits c JOIN receipts r ON r.org_id = c.org_id AND r.id = c.receipt_id AND r.ref = c.ref
		WHERE c.org_id = $1 AND c.commit = ANY($2) AND c.ref = $3
		ORDER BY c.commit, c.position, r.id`, org, commits, APIRef)
}
