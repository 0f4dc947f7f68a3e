package store

import (
	"context"
	"strings"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/blameprompt/enterprise/policy/access"
)

// applyBatch is how many receipts are brought in line at once.
const applyBatch = 1000

// ApplyPrompts brings stored receipts in line with what their organisations
// keep of prompts. It can be ended at any moment and goes on where it was.
// What was reduced once does not come back.
func (db *DB) ApplyPrompts(ctx context.Context) error {
	rows, err := db.pool.Query(ctx, `SELECT id FROM orgs WHERE prompts <> prompts_applied ORDER BY id`)
	if err != nil {
		return translate(err, "looking for changed settings of prompts")
	}
	ids, err := pgx.CollectRows(rows, pgx.RowTo[uuid.UUID])
	if err != nil {
		return translate(err, "looking for changed settings of prompts")
	}
	for _, id := range ids {
		org, err := db.OrgByID(ctx, id)
		if err != nil {
			return err
		}
		if err := db.applyPrompts(ctx, &org); err != nil {
			return err
		}
	}
	return nil
}

func (db *DB) applyPrompts(ctx context.Context, org *Org) error {
	changed, after := 0, ""
	for org.Prompts != PromptsStored {
		n, last, err := db.reduceSome(ctx, org, after)
		if err != nil {
			return err
		}
		if n == 0 {
			break
		}
		changed, after = changed+n, last
	}
	return db.InTx(ctx, func(tx *Tx) error {
		tag, err := tx.Exec(ctx, `UPDATE orgs SET prompts_applied = prompts WHERE id = $1 AND prompts = $2`, org.ID, org.Prompts)
		if err != nil || tag.RowsAffected() == 0 {
			return translate(err, "noting the setting of prompts")
		}
		return tx.Audit(ctx, access.Daemon(org.ID), "prompts.apply", org.Name, map[string]any{"prompts": org.Prompts, "receipts": changed})
	})
}

// reduceSome reduces the next receipts behind an id that hold more than the
// organisation keeps.
func (db *DB) reduceSome(ctx context.Context, org *Org, after string) (n int, last string, err error) {
	more := `(prompt_summary <> '' AND NOT starts_with(prompt_summary, '` + hashedPrefix + `')
		OR response_summary <> '' AND NOT starts_with(response_summary, '` + hashedPrefix + `')`
	if org.Prompts == PromptsDropped {
		more = `(prompt_summary <> '' OR response_summary <> '' OR prompt_hash <> ''`
	}
	rows, err := collect[struct{ ID, PromptSummary, ResponseSummary, PromptHash string }](ctx, db.pool, "finding texts to reduce", `
		SELECT id, prompt_summary, response_summary, prompt_hash FROM receipts
		WHERE org_id = $1 AND id > $2 AND `+more+` OR detail IS NOT NULL OR conversation IS NOT NULL)
		ORDER BY id LIMIT `+itoa(applyBatch), org.ID, after)
	if err != nil || len(rows) == 0 {
		return 0, after, err
	}
	ids, prompts, responses, hashes := make([]string, len(rows)), make([]string, len(rows)), make([]string, len(rows)), make([]string, len(rows))
	for i, r := range rows {
		k := kept{}
		k.PromptSummary, k.ResponseSummary, k.PromptHash = r.PromptSummary, r.ResponseSummary, r.PromptHash
		org.reduce(&k)
		ids[i], prompts[i], responses[i], hashes[i] = r.ID, again(r.PromptSummary, k.PromptSummary), again(r.ResponseSummary, k.ResponseSummary), k.PromptHash
	}
	err = db.InTx(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `
			UPDATE receipts r SET prompt_summary = u.prompt, response_summary = u.response, prompt_hash = u.hash, detail = NULL, conversation = NULL
			FROM unnest($2::text[], $3::text[], $4::text[], $5::text[]) AS u (id, prompt, response, hash)
			WHERE r.org_id = $1 AND r.id = u.id`, org.ID, ids, prompts, responses, hashes)
		return translate(err, "reducing texts")
	})
	return len(rows), ids[len(ids)-1], err
}

// again is what a text is reduced to that may be reduced already.
func again(text, reduced string) string {
	if reduced != "" && strings.HasPrefix(text, hashedPrefix) {
		return text
	}
	return reduced
}
