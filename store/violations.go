package store

import (
	"context"
	"time"

	"github.com/google/uuid"

	"github.com/blameprompt/enterprise/policy/push"
)

// ViolationFilter selects violations; zero values select everything.
type ViolationFilter struct {
	Decision uuid.UUID
	Policy   uuid.UUID
	Repos    []uuid.UUID
	Pusher   string
	Rule     string
	Outcome  push.Outcome
	Commit   string
	// Late and Waived, unless nil, say how it has to be.
	Late, Waived *bool
	// From is inclusive, To is exclusive.
	From, To time.Time
}

// Violations lists up to limit violations, newest first, after the one with the
// id after (the nil UUID: from the newest).
func (db *DB) Violations(ctx context.Context, org uuid.UUID, f ViolationFilter, after uuid.UUID, limit int) ([]Violation, error) {
	return violationsPage(ctx, db.pool, org, f, after, limit)
}

func violationsPage(ctx context.Context, q querier, org uuid.UUID, f ViolationFilter, after uuid.UUID, limit int) ([]Violation, error) {
	c := &conditions{}
	c.add("v.org_id = ?", org)
	if f.Decision != uuid.Nil {
		c.add("v.decision_id = ?", f.Decision)
	}
	if f.Policy != uuid.Nil {
		c.add("v.policy_id = ?", f.Policy)
	}
	if f.Repos != nil {
		c.add("v.repo_id = ANY(?)", f.Repos)
	}
	if f.Pusher != "" {
		c.add("v.pusher = ?", pusherKey(f.Pusher))
	}
	for column, value := range map[string]string{"v.rule": f.Rule, "v.outcome": string(f.Outcome), "v.commit": f.Commit} {
		if value != "" {
			c.add(column+" = ?", value)
		}
	}
	if f.Late != nil {
		c.add("v.late = ?", *f.Late)
	}
	if f.Waived != nil {
		c.add("(v.waiver_id IS NOT NULL) = ?", *f.Waived)
	}
	c.newest("v.id", "v.at", f.From, f.To, after)
	return collect[Violation](ctx, q, "listing violations", `SELECT `+violationColumns+` FROM violations v
		WHERE `+c.where()+` ORDER BY v.id DESC LIMIT `+itoa(limit), c.args...)
}
