package store

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/access"
)

// RepoHold is a hold with the name of its repository.
type RepoHold struct {
	Hold
	Repo string
}

const repoHolds = `SELECT ` + holdColumns + `, r.name AS repo FROM holds h JOIN repos r ON r.org_id = h.org_id AND r.id = h.repo_id`

// HoldFilter selects holds; zero values select everything.
type HoldFilter struct {
	Decision uuid.UUID
	Repos    []uuid.UUID
	Ref      string
	Pusher   string
	// Active, unless nil, says whether the hold is in force.
	Active *bool
}

// Holds lists up to limit holds, newest first, after the one with the id after
// (the nil UUID: from the newest).
func (db *DB) Holds(ctx context.Context, org uuid.UUID, f HoldFilter, after uuid.UUID, limit int) ([]RepoHold, error) {
	c := &conditions{}
	c.add("h.org_id = ?", org)
	if f.Decision != uuid.Nil {
		c.add("h.decision_id = ?", f.Decision)
	}
	if f.Repos != nil {
		c.add("h.repo_id = ANY(?)", f.Repos)
	}
	if f.Ref != "" {
		c.add("h.ref = ?", f.Ref)
	}
	if f.Pusher != "" {
		c.add("h.pusher = ?", pusherKey(f.Pusher))
	}
	if f.Active != nil {
		c.add("(h.released_at IS NULL) = ?", *f.Active)
	}
	c.newest("h.id", "h.created_at", time.Time{}, time.Time{}, after)
	return collect[RepoHold](ctx, db.pool, "listing holds", repoHolds+`
		WHERE `+c.where()+` ORDER BY h.id DESC LIMIT `+itoa(limit), c.args...)
}

// ReleaseHold ends a hold by hand. When it was the last of its decision, the
// decision is released. Releasing again changes nothing.
func (db *DB) ReleaseHold(ctx context.Context, by access.Principal, id uuid.UUID, reason string) (RepoHold, error) {
	if err := checkText("reason", &reason, true); err != nil {
		return RepoHold{}, err
	}
	var hold RepoHold
	err := db.InTx(ctx, func(tx *Tx) (err error) {
		if hold, err = tx.lockHold(ctx, by.Org, id); err != nil || hold.ReleasedAt != nil {
			return err
		}
		if err = tx.endHold(ctx, by, &hold, reason); err != nil {
			return err
		}
		return tx.Audit(ctx, by, "hold.release", id.String(), map[string]any{
			"decision": hold.DecisionID, "repo": hold.Repo, "ref": hold.Ref, "pusher": hold.Pusher, "reason": reason})
	})
	return hold, err
}

// lockHold reads a hold and keeps others from changing its decision.
func (tx *Tx) lockHold(ctx context.Context, org, id uuid.UUID) (RepoHold, error) {
	_, err := tx.Exec(ctx, `
		SELECT FROM decisions WHERE org_id = $1 AND id = (SELECT decision_id FROM holds WHERE org_id = $1 AND id = $2)
		FOR UPDATE`, org, id)
	if err != nil {
		return RepoHold{}, translate(err, "locking the decision of hold %s", id)
	}
	return collectOne[RepoHold](ctx, tx, "finding hold "+id.String(), repoHolds+` WHERE h.org_id = $1 AND h.id = $2`, org, id)
}

// endHold ends an active hold. With the last one of a held decision the decision
// is released, which is an event of it, and its commits are shown as passed.
func (tx *Tx) endHold(ctx context.Context, by access.Principal, hold *RepoHold, reason string) error {
	ended, err := collectOne[Hold](ctx, tx, "releasing hold "+hold.ID.String(), `
		UPDATE holds h SET released_at = now(), released_by = $3, release = 'released', reason = $4
		WHERE h.org_id = $1 AND h.id = $2 RETURNING `+holdColumns, by.Org, hold.ID, actor(by), reason)
	if err != nil {
		return err
	}
	hold.Hold = ended
	tag, err := tx.Exec(ctx, `
		WITH released AS (
			UPDATE decisions d SET state = 'released'
			WHERE d.org_id = $1 AND d.id = $2 AND d.state = 'held'
			  AND NOT EXISTS (SELECT FROM holds h WHERE h.org_id = $1 AND h.decision_id = $2 AND h.released_at IS NULL)
			RETURNING d.id)
		INSERT INTO decision_events (org_id, decision_id, seq, event, state, principal, detail)
		SELECT $1, $2, coalesce((SELECT max(seq) FROM decision_events WHERE org_id = $1 AND decision_id = $2), 0) + 1,
		       'released', 'released', $3, json_build_object('hold', $4::text, 'reason', $5::text)
		FROM released`, by.Org, hold.DecisionID, actor(by), hold.ID.String(), reason)
	if err != nil || tag.RowsAffected() == 0 {
		return translate(err, "releasing decision %s", hold.DecisionID)
	}
	if err := tx.tellReleased(ctx, by, hold.DecisionID); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `
		UPDATE commit_statuses SET state = 'success', description = 'Released by an administrator', changed_at = clock_timestamp(),
			attempts = 0, error = '', next_at = now()
		WHERE org_id = $1 AND decision_id = $2 AND state <> 'success'`, by.Org, hold.DecisionID)
	return translate(err, "changing the statuses of decision %s", hold.DecisionID)
}
