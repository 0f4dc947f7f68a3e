package store

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
)

// PromptRead records that the text of a receipt is shown to somebody: call it
// before, so that nothing is shown that is not recorded.
func (db *DB) PromptRead(ctx context.Context, by access.Principal, receipt string) error {
	return db.InTx(ctx, func(tx *Tx) error { return tx.Audit(ctx, by, "prompt.read", receipt, nil) })
}

// PromptsListed records that texts of so many receipts are shown in a list.
// Lists of an hour become one act per principal when it is over. A crash of the
// database server may lose the last moments of the count.
func (db *DB) PromptsListed(ctx context.Context, by access.Principal, receipts int) error {
	if receipts == 0 {
		return nil
	}
	return db.InTx(ctx, func(tx *Tx) error {
		// A list need not wait for the disk.
		if _, err := tx.Exec(ctx, `SET LOCAL synchronous_commit = off`); err != nil {
			return translate(err, "counting shown prompts")
		}
		return tx.countListed(ctx, by, receipts)
	})
}

func (tx *Tx) countListed(ctx context.Context, by access.Principal, receipts int) error {
	_, err := tx.Exec(ctx, `
		INSERT INTO prompt_reads AS p (org_id, principal, hour, requests, receipts) VALUES ($1, $2, date_trunc('hour', now()), 1, $3)
		ON CONFLICT (org_id, principal, hour) DO UPDATE SET requests = p.requests + 1, receipts = p.receipts + excluded.receipts`,
		by.Org, by.Name, receipts)
	return translate(err, "counting shown prompts")
}

// RecordPromptsListed makes acts of the lists of hours that are over.
func (db *DB) RecordPromptsListed(ctx context.Context) error { return db.recordListed(ctx, time.Now()) }

func (db *DB) recordListed(ctx context.Context, now time.Time) error {
	return db.InTx(ctx, func(tx *Tx) error {
		rows, err := collect[struct {
			OrgID              uuid.UUID
			Principal          string
			Hour               time.Time
			Requests, Receipts int64
		}](ctx, tx, "recording shown prompts", `
			DELETE FROM prompt_reads WHERE hour < date_trunc('hour', $1::timestamptz) RETURNING org_id, principal, hour, requests, receipts`, now)
		if err != nil {
			return err
		}
		for _, r := range rows {
			by := access.Principal{Org: r.OrgID, Name: r.Principal}
			err := tx.Audit(ctx, by, "prompt.list", r.Hour.UTC().Format(time.RFC3339), map[string]any{"requests": r.Requests, "receipts": r.Receipts})
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// WithText counts the receipts that show what was said.
func WithText(rows []Receipt) int {
	n := 0
	for i := range rows {
		if rows[i].PromptSummary != "" || rows[i].ResponseSummary != "" {
			n++
		}
	}
	return n
}
