package store

import (
	"context"
	"slices"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
)

// Retention says how long an organisation keeps one class of data.
type Retention struct {
	Class string
	// Days is nil for data that is kept for ever.
	Days *int
}

// retained is a class of data that ages.
type retained struct {
	class string
	// days is the default, 0 for ever.
	days int
	// sql removes up to $3 rows of the organisation $1 that are older than $2.
	sql string
}

// retainedClasses are what a limit can be set for; docs/privacy.md says what
// each holds. Acts, notes and what is counted are kept for ever: they are what
// the others can be checked against.
var retainedClasses = []retained{
	{"conversations", 0, `
		UPDATE receipts SET conversation = NULL WHERE org_id = $1 AND id IN (
			SELECT id FROM receipts WHERE org_id = $1 AND timestamp < $2 AND conversation IS NOT NULL LIMIT $3)`},
	{"decision_documents", 0, `
		DELETE FROM decision_inputs i USING (
			SELECT n.decision_id FROM decisions d JOIN decision_inputs n ON n.org_id = d.org_id AND n.decision_id = d.id
			WHERE d.org_id = $1 AND d.at < $2 AND d.state IN ('final', 'released') LIMIT $3) old
		WHERE i.org_id = $1 AND i.decision_id = old.decision_id`},
	{"deliveries", 90, `
		DELETE FROM webhook_deliveries WHERE (org_id, forge, delivery_id) IN (
			SELECT org_id, forge, delivery_id FROM webhook_deliveries WHERE org_id = $1 AND received_at < $2 LIMIT $3)`},
	{"links", 90, `
		DELETE FROM account_links WHERE id IN (SELECT id FROM account_links WHERE org_id = $1 AND expires_at < $2 LIMIT $3)`},
	{"messages", 90, `
		DELETE FROM messages WHERE (org_id, id) IN (SELECT org_id, id FROM messages WHERE org_id = $1 AND created_at < $2 LIMIT $3)`},
	{"prompts", 0, `
		UPDATE receipts SET prompt_summary = '', response_summary = '', prompt_hash = '', detail = NULL, conversation = NULL
		WHERE org_id = $1 AND id IN (
			SELECT id FROM receipts WHERE org_id = $1 AND timestamp < $2
			  AND (prompt_summary <> '' OR response_summary <> '' OR prompt_hash <> '' OR detail IS NOT NULL OR conversation IS NOT NULL) LIMIT $3)`},
}

// retainBatch is how many rows are removed at once.
const retainBatch = 5000

// Retentions lists what is kept how long, by class.
func (db *DB) Retentions(ctx context.Context, org uuid.UUID) ([]Retention, error) {
	return retentions(ctx, db.pool, org)
}

func retentions(ctx context.Context, q querier, org uuid.UUID) ([]Retention, error) {
	set, err := collect[Retention](ctx, q, "reading what is kept how long", `SELECT class, days FROM retention WHERE org_id = $1`, org)
	if err != nil {
		return nil, err
	}
	out := make([]Retention, len(retainedClasses))
	for i, c := range retainedClasses {
		out[i].Class = c.class
		if c.days > 0 {
			out[i].Days = &retainedClasses[i].days
		}
		if at := slices.IndexFunc(set, func(r Retention) bool { return r.Class == c.class }); at >= 0 {
			out[i].Days = set[at].Days
		}
	}
	return out, nil
}

// SetRetention sets how many days a class is kept; nil is for ever. What is
// older is removed by the next run of ApplyRetention.
func (db *DB) SetRetention(ctx context.Context, by access.Principal, r Retention) error {
	if !slices.ContainsFunc(retainedClasses, func(c retained) bool { return c.class == r.Class }) {
		return &InvalidError{"class", "use conversations, decision_documents, deliveries, links, messages or prompts"}
	}
	if r.Days != nil && (*r.Days < 1 || *r.Days > 36500) {
		return &InvalidError{"days", "must be from 1 to 36500, or absent for ever"}
	}
	return db.InTx(ctx, func(tx *Tx) error {
		_, err := tx.Exec(ctx, `
			INSERT INTO retention (org_id, class, days) VALUES ($1, $2, $3)
			ON CONFLICT (org_id, class) DO UPDATE SET days = excluded.days`, by.Org, r.Class, r.Days)
		if err != nil {
			return translate(err, "setting what is kept how long")
		}
		return tx.Audit(ctx, by, "retention.set", r.Class, map[string]any{"days": r.Days})
	})
}

// ApplyRetention removes what is older than its organisation keeps it, and
// records how much. It can be ended at any moment and goes on where it was.
func (db *DB) ApplyRetention(ctx context.Context) error {
	orgs, err := db.Orgs(ctx)
	if err != nil {
		return err
	}
	for _, org := range orgs {
		limits, err := db.Retentions(ctx, org.ID)
		if err != nil {
			return err
		}
		for i, limit := range limits {
			if limit.Days == nil {
				continue
			}
			if err := db.retain(ctx, org.ID, &retainedClasses[i], *limit.Days); err != nil {
				return err
			}
		}
	}
	return nil
}

// retain removes what is too old of one class, batch by batch, each with its act.
func (db *DB) retain(ctx context.Context, org uuid.UUID, class *retained, days int) error {
	before := time.Now().AddDate(0, 0, -days)
	for {
		var removed int64
		err := db.InTx(ctx, func(tx *Tx) error {
			tag, err := tx.Exec(ctx, class.sql, org, before, retainBatch)
			if err != nil {
				return translate(err, "removing old %s", class.class)
			}
			if removed = tag.RowsAffected(); removed == 0 {
				return nil
			}
			return tx.Audit(ctx, access.Daemon(org), "retention.apply", class.class,
				map[string]any{"before": before.UTC().Format(time.RFC3339), "rows": removed})
		})
		if err != nil || removed < retainBatch {
			return err
		}
	}
}
