package store

import (
	"context"
	"encoding/json"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/notes/price"
)

// ReceiptDetail is a receipt with everything that is known of it.
type ReceiptDetail struct {
	Receipt
	// Ref, Blob and NotesCommit name the body that the content was taken from,
	// beside Repo and CommitHash.
	Ref                string
	Blob               string
	NotesCommit        string
	MessageCount       *int64
	SessionStart       *time.Time
	SessionEnd         *time.Time
	PromptSubmittedAt  *time.Time
	PromptDurationSecs *int64
	AIResponseTimeSecs *float64
	ParentReceiptID    string
	// RawTimestamps, Detail and Conversation are JSON, nil where there is none.
	RawTimestamps     json.RawMessage
	Detail            json.RawMessage
	Conversation      json.RawMessage
	ConversationBytes int64

	PriceID *uuid.UUID
	// Price is what the cost was computed with, nil if it was not computed.
	Price       *price.Entry    `db:"-"`
	FileChanges []ReceiptFile   `db:"-"`
	Bodies      []ReceiptBody   `db:"-"`
	Versions    []NoteVersion   `db:"-"`
	Attested    []AttestedPath  `db:"-"`
	Findings    []StoredFinding `db:"-"`
	// Reattachments are those in force of notes with the receipt.
	Reattachments []StoredReattachment `db:"-"`
}

// ReceiptFile is a file that a receipt claims to have changed.
type ReceiptFile struct {
	Path      string
	LineStart int64
	LineEnd   int64
	BlobHash  string
	Additions *int64
	Deletions *int64
}

// ReceiptBody is a note body in which a receipt stands.
type ReceiptBody struct {
	Repo         string
	RepoID       uuid.UUID
	Ref          string
	Commit       string
	Blob         string
	NotesCommit  string
	Position     int
	Current      bool
	FirstNotedAt time.Time
	NotedAt      time.Time
	// SameContent: this body says what the receipt's row says.
	SameContent bool
}

// ReceiptDetail reads one receipt.
func (db *DB) ReceiptDetail(ctx context.Context, org uuid.UUID, id string) (ReceiptDetail, error) {
	var out ReceiptDetail
	err := db.snapshot(ctx, func(q querier) (err error) {
		out, err = collectOne[ReceiptDetail](ctx, q, "reading a receipt", `SELECT `+receiptColumns+`,
			r.ref, r.blob, r.notes_commit, r.message_count, r.session_start, r.session_end, r.prompt_submitted_at,
			r.prompt_duration_secs, r.ai_response_time_secs, r.parent_receipt_id, r.raw_timestamps, r.detail, r.conversation,
			r.conversation_bytes, r.price_id FROM receipts r WHERE r.org_id = $1 AND r.id = $2`, org, id)
		if err != nil {
			return err
		}
		return out.readRelated(ctx, q, org)
	})
	return out, err
}

func (d *ReceiptDetail) readRelated(ctx context.Context, q querier, org uuid.UUID) (err error) {
	if d.PriceID != nil {
		used, err := collectOne[Price](ctx, q, "reading the price of a receipt", `
			SELECT id, model, valid_from, valid_until, input_rate, output_rate, cache_read_rate, cache_creation_rate, source,
			       '' AS created_by, now() AS created_at FROM prices WHERE org_id = $1 AND id = $2`, org, *d.PriceID)
		if err != nil {
			return err
		}
		e := used.Entry()
		e.Source = used.Source
		d.Price = &e
	}
	d.FileChanges, err = collect[ReceiptFile](ctx, q, "reading the files of a receipt", `
		SELECT path, line_start, line_end, blob_hash, additions, deletions FROM receipt_files
		WHERE org_id = $1 AND receipt_id = $2 ORDER BY position LIMIT 10000`, org, d.ID)
	if err != nil {
		return err
	}
	d.Bodies, err = collect[ReceiptBody](ctx, q, "reading the bodies of a receipt", `
		SELECT p.name AS repo, c.repo_id, c.ref, c.commit, c.blob, c.notes_commit, c.position, c.current, c.first_noted_at,
		       c.noted_at, c.content_hash = r.content_hash AS same_content
		FROM receipt_commits c
		JOIN receipts r ON r.org_id = c.org_id AND r.id = c.receipt_id
		JOIN repos p ON p.org_id = c.org_id AND p.id = c.repo_id
		WHERE c.org_id = $1 AND c.receipt_id = $2
		ORDER BY c.current DESC, c.noted_at DESC, c.repo_id, c.ref, c.commit, c.blob LIMIT `+itoa(maxRelated), org, d.ID)
	if err != nil {
		return err
	}
	d.Versions, err = collect[NoteVersion](ctx, q, "reading the notes of a receipt", `
		SELECT `+versionColumns+` FROM (
			SELECT DISTINCT repo_id, ref, commit FROM receipt_commits WHERE org_id = $1 AND receipt_id = $2) n
		JOIN note_versions v ON v.org_id = $1 AND v.repo_id = n.repo_id AND v.ref = n.ref AND v.commit = n.commit
		ORDER BY v.committed_at DESC, v.notes_commit DESC LIMIT `+itoa(maxRelated), org, d.ID)
	if err != nil {
		return err
	}
	if d.Attested, err = attestedBy(ctx, q, org, d.Versions, &d.ID); err != nil {
		return err
	}
	if d.Reattachments, err = reattachmentsOf(ctx, q, org, d.ID); err != nil {
		return err
	}
	d.Findings, err = collect[StoredFinding](ctx, q, "reading the findings of a receipt", `
		SELECT `+findingColumns+` FROM findings f
		WHERE f.org_id = $1 AND f.receipt_id = $2
		  AND (f.repo_id, f.commit) IN (SELECT c.repo_id, c.commit FROM receipt_commits c
		                                WHERE c.org_id = $1 AND c.receipt_id = $2)
		ORDER BY f.found_at DESC, f.id LIMIT `+itoa(maxRelated), org, d.ID)
	return err
}
